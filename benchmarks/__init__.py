"""Benchmarks: what a request costs, beside HAProxy and nginx on the same machine in the same run."""
