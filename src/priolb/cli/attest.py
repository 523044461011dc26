"""`prio-load-balancer attest`: make, read and try the URIs of nodes that prove what they run."""

import re
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from priolb.attest.attestors import packages_missing
from priolb.attest.expectation import PARAMETERS, SEV_PREFIX, SGX_PREFIX, SevExpectation
from priolb.attest.reader import MalformedError
from priolb.attest.sev.measurements import (
    DEFAULTS,
    JSON_MAX_BYTES,
    Measurements,
    encode_user_part,
    never_matching,
)
from priolb.cli.options import OptionParser
from priolb.config.words import did_you_mean, escaped, shown
from priolb.errors import ConfigError
from priolb.nodes.uri import NodeURI, parse_node_uri

_SCHEME: Final = re.compile("([A-Za-z][A-Za-z0-9+.-]*)://")

# Each action: the words that follow it, for errors, and the options that it has.
_ACTIONS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "uri": ("the host of a node", ("measurements", "mrenclave")),
    "show": ("the URI of a node", ()),
    "probe": ("the URI of a node", ()),
    "collateral": ("the word fetch and a directory", ("url", "fmspc", "ca")),
}


def parser() -> OptionParser:
    """Return what parses the options."""
    options = OptionParser("attest", "Make, read and try the URIs of nodes that prove what they run.")
    options.add_argument("action", help="uri HOST, show URI, probe URI, or collateral fetch DIR")
    options.add_argument("words", nargs="*", help="what the action needs")
    options.add_option("measurements", "FILE", "uri: JSON with the PCRs of a SEV node")
    options.add_option("mrenclave", "HEX", "uri: MRENCLAVE of a SGX node, 64 hex digits")
    options.add_option("url", "URL", "collateral: base URL of a PCCS, default $SGX_COLLATERAL")
    options.add_option("fmspc", "LIST", "collateral: platforms, 12 hex digits each, comma separated")
    options.add_option("ca", "NAME", "collateral: platform or processor, default both")
    return options


def run(options: Namespace) -> int:
    """Do what was asked for and return the exit status: 1 when a node or a service is not as it should be.

    Raises:
        ConfigError: the action is unknown, a word is missing, or something given is of no use to it.
    """
    action, words = options.action, options.words
    if action not in _ACTIONS:
        raise ConfigError(f"attest: unknown action {shown(action)}{did_you_mean(action, list(_ACTIONS))}")
    needed, useful = _ACTIONS[action]
    is_fetch = action == "collateral"
    if len(words) != 1 + is_fetch or (is_fetch and words[0] != "fetch"):
        raise ConfigError(f"attest: {action} needs {needed}, and nothing else")
    for _, names in _ACTIONS.values():
        for name in names:
            if name not in useful and getattr(options, name) is not None:
                raise ConfigError(f"attest: --{name} is not for {action}")
    if action == "uri":
        return _make(words[0], options.measurements, options.mrenclave)
    if action == "show":
        return _show(words[0])
    if action == "probe":
        from priolb.cli.attest_probe import probe  # noqa: PLC0415 - only it pays for an event loop

        return probe(attested_uri(words[0]))
    try:
        from priolb.cli.attest_collateral import fetch  # noqa: PLC0415 - needs what the extra `tee` brings
    except ImportError as error:
        raise packages_missing(error) from None
    return fetch(Path(words[1]), options.url, options.fmspc, options.ca)


def attested_uri(text: str) -> NodeURI:
    """Return the URI of an attested node, taken apart.

    Raises:
        ConfigError: it is none, or that of an ordinary node.
    """
    uri = parse_node_uri(text)
    if uri.expectation is None:
        raise ConfigError(f"attest: {uri.name} has no user part (SEV_... or SGX_...), so it proves nothing")
    return uri


def _make(host: str, measurements: str | None, mrenclave: str | None) -> int:
    if (measurements is None) == (mrenclave is None):
        raise ConfigError("attest: uri needs either --measurements or --mrenclave")
    scheme = _SCHEME.match(host)
    if scheme is not None and scheme[1].lower() != "https":
        raise ConfigError(
            "attest: uri needs a host, with or without https:// in front; an attested node needs https"
        )
    if measurements is None:
        user_part = f"{SGX_PREFIX}{mrenclave}"
    else:
        try:
            with Path(measurements).open("rb") as file:
                document = file.read(JSON_MAX_BYTES + 1)
            user_part = SEV_PREFIX + encode_user_part(document)
        except OSError as error:
            raise ConfigError(f"--measurements: {shown(measurements)}: {error.strerror}") from None
        except MalformedError as error:
            raise ConfigError(f"--measurements: {shown(measurements)}: {error}") from None
    uri = attested_uri(f"https://{user_part}@{host[scheme.end() :] if scheme is not None else host}")
    if isinstance(uri.expectation, SevExpectation):
        for line in _warnings(uri.expectation.measurements):
            print(f"prio-load-balancer: {line}", file=sys.stderr)
    print(uri.uri)
    return 0


def _show(text: str) -> int:
    for line in _lines(attested_uri(text)):
        print(escaped(line))
    return 0


def _lines(uri: NodeURI) -> Iterator[str]:
    yield f"node       {uri.name}"
    expectation = uri.expectation
    assert expectation is not None
    if isinstance(expectation, SevExpectation):
        yield "kind       SEV: AMD SEV-SNP with a virtual TPM, as Constellation on Azure"
        for index, each in sorted(expectation.measurements.items()):
            mode = "warn only" if each.warn_only else "enforced "
            default = "  (default)" if DEFAULTS.get(index) == each else ""
            yield f"PCR {index:<6} {mode} {each.expected.hex()}{default}"
        yield from _warnings(expectation.measurements)
    else:
        yield "kind       SGX: Intel SGX with DCAP, as Gramine's RA-TLS"
        yield f"MRENCLAVE  {expectation.mrenclave.hex()}"
    for parameter in urlsplit(uri.uri).query.split("&"):
        if parameter.partition("=")[0] in PARAMETERS:
            yield f"policy     {parameter} for this node alone"


def _warnings(measurements: Measurements) -> Iterator[str]:
    for index in never_matching(measurements):
        yield f"no node can match: PCR {index} is enforced with a value that no node has; name it in the JSON"
