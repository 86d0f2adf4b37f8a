"""The entry point `etgraph`, and the table of its commands. Nothing heavy is imported here."""

from __future__ import annotations

import click

from etgraph.cli.group import Entry, LazyGroup

_HERE = "etgraph.cli.commands"

COMMANDS = (
    Entry("demo", f"{_HERE}.demo:demo", "A guided tour on a bundled trace.", "Start"),
    Entry("doctor", f"{_HERE}.doctor:doctor", "Check versions, the store, and what is installed.", "Start"),
    Entry("ingest", f"{_HERE}.ingest:ingest", "Read trace files and keep them in the store.", "Traces"),
    Entry("push", f"{_HERE}.push:push", "Send trace files to a server.", "Traces"),
    Entry("ls", f"{_HERE}.ls:ls", "List the traces of the store.", "Traces"),
    Entry(
        "workloads",
        f"{_HERE}.workloads:workloads",
        "The workloads of the store, and what each of them loses.",
        "Traces",
    ),
    Entry("show", f"{_HERE}.show:show", "What is known of one trace.", "Traces"),
    Entry("export", f"{_HERE}.export:export", "Write a trace as a file that other tools read.", "Traces"),
    Entry("rm", f"{_HERE}.rm:rm", "Remove traces from the store.", "Traces"),
    Entry("tag", f"{_HERE}.tag:tag", "Give a trace a name within its workload.", "Traces"),
    Entry("untag", f"{_HERE}.tag:untag", "Take such a name away.", "Traces"),
    Entry("label", f"{_HERE}.label:label", "Set labels on a trace.", "Traces"),
    Entry("breakdown", f"{_HERE}.breakdown:breakdown", "How much of a step computes, communicates, idles.", "Analyses"),
    Entry("hotspots", f"{_HERE}.hotspots:hotspots", "Which communication costs the most.", "Analyses"),
    Entry("comm-matrix", f"{_HERE}.comm_matrix:comm_matrix", "Who sends how much to whom.", "Analyses"),
    Entry(
        "critical-path",
        f"{_HERE}.critical_path:critical_path",
        "What a step was waiting for, from its start to its end.",
        "Analyses",
    ),
    Entry(
        "stragglers",
        f"{_HERE}.stragglers:stragglers",
        "Who came late where ranks wait for each other, and why.",
        "Analyses",
    ),
    Entry("iterations", f"{_HERE}.iterations:iterations", "Step times, warm-up, outliers and their cause.", "Analyses"),
    Entry(
        "device-use",
        f"{_HERE}.device_use:device_use",
        "How busy the devices were, and what let them starve.",
        "Analyses",
    ),
    Entry("operators", f"{_HERE}.operators:operators", "What each operator costs, and how fast it works.", "Analyses"),
    Entry(
        "waterfall",
        f"{_HERE}.waterfall:waterfall",
        "What steps lose to late ranks, communication, the host, slow operators.",
        "Analyses",
    ),
    Entry("memory", f"{_HERE}.memory:memory", "How much memory was in use, and what held the peak.", "Analyses"),
    Entry(
        "compare", f"{_HERE}.compare:compare", "What changed from one trace to another, and what it costs.", "Analyses"
    ),
    Entry(
        "findings",
        f"{_HERE}.findings:findings",
        "What holds the step back, and what mending it would gain.",
        "Analyses",
    ),
    Entry("check", f"{_HERE}.check:check", "Check runs by rules, as a gate for CI.", "Alerts"),
    Entry("rules", f"{_HERE}.rules:rules", "Write, try and explain rules; have a store keep them.", "Alerts"),
    Entry("alerts", f"{_HERE}.alerts:alerts", "What traces broke of the rules that the store keeps.", "Alerts"),
    Entry("history", f"{_HERE}.history:history", "A metric over a workload's runs, and where it changed.", "Alerts"),
    Entry("whatif", f"{_HERE}.whatif:whatif", "The step of a trace with changes, and what it hangs on.", "Simulation"),
    Entry("simulate", f"{_HERE}.simulate:simulate", "Predict the times of every operator of a trace.", "Simulation"),
    Entry(
        "simulations",
        f"{_HERE}.simulations:simulations",
        "The simulations of a trace beside what was measured.",
        "Simulation",
    ),
    Entry("profile", f"{_HERE}.profile:profile", "Hardware: list, show and check profiles of it.", "Simulation"),
    Entry("sweep", f"{_HERE}.sweep:sweep", "Try a trace on many variations of hardware.", "Simulation"),
    Entry("query", f"{_HERE}.query:query", "Ask a question of the library of Cypher queries.", "Cypher"),
    Entry("cypher", f"{_HERE}.cypher:cypher", "Run a query in Cypher.", "Cypher"),
    Entry("share", f"{_HERE}.share:share", "Let other teams read a trace or a workload.", "Servers"),
    Entry("token", f"{_HERE}.token:token", "Who may ask a server: make, list and revoke tokens.", "Servers"),
    Entry("serve", f"{_HERE}.serve:serve", "Serve the store's traces over HTTP, as GraphQL.", "Servers"),
    Entry("worker", f"{_HERE}.worker:worker", "Do the jobs that a server was given.", "Servers"),
    Entry("jobs", f"{_HERE}.jobs:jobs", "List the jobs of the store, show one, or cancel it.", "Servers"),
    Entry("neo4j", f"{_HERE}.neo4j:neo4j", "Run a Neo4j server on this machine.", "Servers"),
)


def _version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"etgraph {version('etgraph')}")
        context.exit()


@click.group(
    "etgraph",
    cls=LazyGroup,
    entries=COMMANDS,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="A TRACE is a path, a trace id or its beginning (six characters or more), WORKLOAD (its newest trace), or "
    "WORKLOAD@X with X a tag, the beginning of a commit, or label=value. A suffix such as #0,2 or #3-7 keeps only "
    "these iterations.",
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version and exit."
)
def main() -> None:
    """Store execution traces of distributed machine learning, and ask them where the time went.

    New here? Try: etgraph demo
    """


if __name__ == "__main__":
    main()
