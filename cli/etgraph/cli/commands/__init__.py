"""The commands. `etgraph.cli.main` names them; each module is imported only when its command is called."""
