"""The command `prio-load-balancer`: serve, or one of its subcommands."""
