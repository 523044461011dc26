"""The path of a request over sockets."""
