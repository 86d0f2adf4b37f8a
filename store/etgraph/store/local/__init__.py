"""The local store: a folder with a SQLite catalogue and immutable Arrow files. See `docs/store.md`."""
