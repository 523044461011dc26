"""Where requests go: nodes, what is known of them, and which of them is next."""
