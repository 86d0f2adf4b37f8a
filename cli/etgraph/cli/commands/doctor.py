"""`etgraph doctor`: what works on this machine."""

from __future__ import annotations

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings


@command("doctor")
@click.option("--verify", is_flag=True, help="Read every stored file and compare it with its checksum.")
@pass_settings
def doctor(settings: Settings, verify: bool) -> int:
    """Check Python, packages and extras, the cache of compiled kernels, and the store.

    The exit code is 0 when all is well, 3 when stored data is damaged, 4 when the store cannot be used.
    """
    from etgraph.cli.documents import diagnosis_document
    from etgraph.cli.progress import watched
    from etgraph.cli.views.tables import diagnosis_view

    with settings.session() as session, watched(settings) as progress:
        progress("reading every stored file" if verify else "looking around")
        diagnosis = session.doctor(verify)
    output = settings.output()
    if settings.json:
        output.document(diagnosis_document(diagnosis))
    else:
        output.show(diagnosis_view(diagnosis))
    if diagnosis.exit_code:
        failed = sum(not check.ok for check in diagnosis.checks)
        output.say(f"{failed} of {len(diagnosis.checks)} checks failed")
    return diagnosis.exit_code
