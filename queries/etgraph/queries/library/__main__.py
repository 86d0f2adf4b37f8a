"""Prints the reference of the library: `python -m etgraph.queries.library > docs/queries/library.md`."""

from etgraph.queries.library.page import library_page

if __name__ == "__main__":
    print(library_page(), end="")
