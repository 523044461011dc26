"""Towards nodes: connections to each of them, health checks, and what is told to the list of nodes."""
