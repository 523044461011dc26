"""The command line: which command is meant, and what the exit status says.

0   done
1   a running instance refused or is not well, a node has not proven itself, a service has no answer
2   the operator has to change something: a flag, a variable, a store that is away
130 interrupted by Ctrl-C, as shells have it
"""

import errno
import os
import platform
import signal
import sys
from argparse import Namespace
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from io import TextIOWrapper
from typing import Final, Protocol

from priolb import __version__
from priolb.cli import attest, config, explain, health, mock_node, nodes
from priolb.cli.options import OptionParser
from priolb.config.flags import HELP_FLAGS, VERSION_FLAGS
from priolb.config.help import help_text
from priolb.config.load import load_settings
from priolb.config.words import did_you_mean, shown
from priolb.errors import ConfigError, ConfigFileError, PriolbError
from priolb.open_files import open_standard_files

EXIT_DONE: Final = 0
EXIT_REFUSED: Final = 1
EXIT_OPERATOR: Final = 2
EXIT_INTERRUPTED: Final = 128 + signal.SIGINT

# Why a program cannot write what it has to say: the reader is gone, or the disk is full.
_OUTPUT_ERRORS: Final = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO})


class Command(Protocol):
    """A subcommand, as its module offers it."""

    def parser(self) -> OptionParser:
        """Return what parses the words after the subcommand."""

    def run(self, options: Namespace) -> int:
        """Do it and return the exit status."""


COMMANDS: Final[dict[str, Command]] = {
    "attest": attest,
    "config": config,
    "explain": explain,
    "health": health,
    "mock-node": mock_node,
    "nodes": nodes,
}


def main(argv: list[str] | None = None) -> int:
    """Run the command that the words ask for and return the exit status.

    Args:
        argv: the words after the name of the program; None for those that the process was given.
    """
    open_standard_files()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # whatever can be said, it says
    try:
        status = _dispatch(sys.argv[1:] if argv is None else argv)
        if sys.stdout is not None:  # as it is where nobody wants to hear anything
            sys.stdout.flush()
        return status
    except OSError as error:
        if error.errno not in _OUTPUT_ERRORS:
            raise
        _say_no_more()
        if error.errno != errno.EPIPE:  # else whoever reads has seen enough
            print(f"prio-load-balancer: cannot write the output: {error.strerror}", file=sys.stderr)
        return EXIT_REFUSED
    except ConfigFileError as error:
        for mistake in error.mistakes:
            print(f"prio-load-balancer: {mistake}", file=sys.stderr)
        return EXIT_OPERATOR
    except PriolbError as error:
        print(f"prio-load-balancer: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return EXIT_OPERATOR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _say_no_more() -> None:
    """Write nothing to the standard output any more, or Python would complain at its end."""
    if sys.stdout is None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _dispatch(words: list[str]) -> int:
    asks_for_help = not HELP_FLAGS.isdisjoint(words)
    if words and words[0] in COMMANDS:
        command = COMMANDS[words[0]]
        if asks_for_help:
            print(command.parser().format_help(), end="")
            return EXIT_DONE
        return command.run(command.parser().parse(words[1:]))
    if words and not words[0].startswith("-"):
        raise ConfigError(f"unknown command {shown(words[0])}{did_you_mean(words[0], list(COMMANDS))}")
    if asks_for_help:
        print(help_text(), end="")
        return EXIT_DONE
    if not VERSION_FLAGS.isdisjoint(words):
        print(version_line())
        return EXIT_DONE
    settings = load_settings(words, os.environ)
    from priolb.app import run  # noqa: PLC0415 - only who serves pays for event loop and store drivers

    return run(settings)


def version_line() -> str:
    """Return what --version prints: the release, and whether its hot path is compiled."""
    scheduler = find_spec("priolb.core.scheduler")
    compiled = scheduler is not None and str(scheduler.origin).endswith(tuple(EXTENSION_SUFFIXES))
    how = "compiled" if compiled else "interpreted"
    return f"prio-load-balancer {__version__} ({how}, Python {platform.python_version()})"
