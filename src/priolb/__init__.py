"""A load balancer that serves urgent requests first, for JSON-RPC and any other HTTP service."""

__version__ = "0.1.0"
