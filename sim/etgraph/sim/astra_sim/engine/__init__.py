"""The compiled event loop: state in tables, parts that change it, and the loop that calls them."""
