"""The nodes: their URIs, and the pool that keeps store, health checks and scheduler in step."""
