"""`etgraph token create`, `list` and `revoke`: who may ask a server of this store."""

from __future__ import annotations

from datetime import timedelta

import click

from etgraph.cli.administering import administering
from etgraph.cli.group import Entry, LazyGroup, command, pass_settings
from etgraph.cli.options import Duration
from etgraph.cli.settings import Settings

_HERE = "etgraph.cli.commands.token"


@click.group(
    "token",
    cls=LazyGroup,
    entries=(
        Entry("create", f"{_HERE}:create", "Make a token; its secret is printed once."),
        Entry("list", f"{_HERE}:list_", "The tokens, those that are good no more included."),
        Entry("revoke", f"{_HERE}:revoke", "End a token."),
    ),
    no_args_is_help=True,
)
def token() -> None:
    """Tokens by which a server of the store knows who asks: docs/api/access.md.

    They lie in the store that --store names, which whoever can write to it administrates.
    """


@command("create")
@click.option("--team", metavar="TEAM", required=True, help="The team that it acts for.")
@click.option("--name", metavar="NAME", required=True, help="What its owner is called in logs.")
@click.option(
    "--scope",
    "scopes",
    metavar="SCOPE",
    multiple=True,
    help="What it may do: read, ingest, simulate, alert, admin; may be repeated. Without, only the server's figures.",
)
@click.option("--expires", metavar="TIME", type=Duration(), help="How long it is good: 12h, 90d, 4w. Else for ever.")
@pass_settings
def create(settings: Settings, team: str, name: str, scopes: tuple[str, ...], expires: timedelta | None) -> None:
    """Make a token and print it. It is kept nowhere: who loses it makes another one."""
    from etgraph.cli.views.tokens import token_document

    with administering(settings) as admin:
        made = admin.tokens.create(name, team, scopes, lasts=expires)
        admin.note("createToken", id=made.token.id, name=name, team=team, scopes=scopes)
    output = settings.output()
    if settings.json:
        output.document({"token": token_document(made.token), "secret": made.secret})
    else:
        output.line(made.secret)
        output.say("sent as 'Authorization: Bearer …'; it is not kept anywhere, and cannot be shown again")


@command("list")
@pass_settings
def list_(settings: Settings) -> None:
    """List the tokens, oldest first. With -q, print their ids only."""
    from etgraph.cli.views.tokens import token_document, tokens_view

    with administering(settings) as admin:
        found = admin.tokens.listed()
    output = settings.output()
    if settings.json:
        output.document({"tokens": [token_document(each) for each in found]})
    elif settings.quiet:
        for each in found:
            output.line(each.id)
    elif found:
        output.show(tokens_view(found))
    else:
        output.say("the store has no tokens; 'etgraph token create' makes one")


@command("revoke")
@click.argument("id", metavar="ID")
@pass_settings
def revoke(settings: Settings, id: str) -> None:
    """End the token of that ID; a server that runs learns it within two seconds."""
    from etgraph.cli.views.tokens import token_document

    with administering(settings) as admin:
        found = admin.tokens.revoke(id)
        admin.note("revokeToken", id=id)
    output = settings.output()
    if settings.json:
        output.document({"token": token_document(found)})
    output.say(f"token {found.id} of {found.name}, team {found.team}, is revoked")
