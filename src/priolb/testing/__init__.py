"""A kit to try and test the balancer with, shipped with it: the mock node."""
