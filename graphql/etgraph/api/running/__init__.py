"""Running the API: its settings, and a server that ends without breaking off what it is at."""
