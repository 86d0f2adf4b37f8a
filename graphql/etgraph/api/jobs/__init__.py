"""Jobs: work that a server was given and that worker processes do, so that it outlives either of them."""
