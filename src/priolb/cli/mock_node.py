"""`prio-load-balancer mock-node`: a node to try things with."""

from argparse import Namespace
from typing import Final

from priolb.cli.options import OptionParser
from priolb.config.load import read_value
from priolb.config.parse import Count, Decimal, HostPort, seconds

_LATENCY: Final = seconds(0)
_ERROR_RATE: Final = Decimal("a share", 0, 1)
_CONCURRENCY: Final = Count(0, 1_000_000)


def parser() -> OptionParser:
    """Return what parses the options."""
    options = OptionParser("mock-node", "Be a node that answers JSON-RPC calls.")
    options.add_option("listen", "ADDR", "host:port, default %(default)s", "localhost:8095")
    before = "seconds before each answer but to net_version, default %(default)s"
    fail = "share of answers but to net_version that fail, 0 to 1, default %(default)s"
    options.add_option("latency", "S", before, "0")
    options.add_option("error-rate", "R", fail, "0")
    options.add_option("concurrency", "N", "calls worked on at a time, default %(default)s = no limit", "0")
    return options


def run(options: Namespace) -> int:
    """Serve as a node until a signal ends it, and return the exit status.

    Raises:
        ConfigError: an option holds what it cannot hold.
    """
    listen = read_value("--listen", HostPort(), options.listen)
    latency_s = read_value("--latency", _LATENCY, options.latency)
    error_rate = read_value("--error-rate", _ERROR_RATE, options.error_rate)
    concurrency = read_value("--concurrency", _CONCURRENCY, options.concurrency)

    from priolb.testing.mock_node import serve  # noqa: PLC0415 - only the node itself pays for the event loop

    return serve(listen, latency_s, error_rate, concurrency)
