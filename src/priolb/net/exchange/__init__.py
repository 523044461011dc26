"""One request: its tries at nodes, and the answer that comes of them."""
