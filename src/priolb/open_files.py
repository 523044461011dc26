"""Open files: the three that a process is born with, and each connection, of which there may be thousands."""

import fcntl
import os
import resource
from typing import Final

# Room for so many takes half a megabyte of the kernel's memory.
_ROOM: Final = 65_536


def connections_allowed() -> tuple[int, int]:
    """Return how many clients may be connected, and how many to a listener of the admin API alone.

    0 for no limit. What is left is for connections to nodes, the store and the log: an eighth of the files
    that the process may have open, 128 at least, but not more than half. A quarter of that is for the admin
    API.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 0, 0
    kept = min(max(limit // 8, 128), limit // 2)
    return limit - kept, max(1, kept // 4)


def open_standard_files() -> None:
    """Put /dev/null on whichever of the descriptors 0, 1 and 2 is closed, before anything else is opened.

    Else a socket gets the number: what is printed goes into it, and libuv ends the process when it is closed.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one


def expect_many_files() -> list[str]:
    """Prepare the process, before it has threads, for many open files; return what could not be done.

    It gets as many as the system allows it. And the kernel's table of them grows now: it doubles whenever it
    is full, and in a process with threads each of these times holds up whoever opens the file for 5 to 25 ms
    (`expand_fdtable` of Linux waits until no processor uses the old table any more). That would be the event
    loop, which accepts a connection.
    """
    faults: list[str] = []
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            limit = hard
        except (OSError, ValueError) as error:
            faults.append(f"the limit on open files stays at {limit}: {error}")
    most = _ROOM if limit == resource.RLIM_INFINITY else min(limit, _ROOM)
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            os.close(fcntl.fcntl(null, fcntl.F_DUPFD_CLOEXEC, most - 1))
        finally:
            os.close(null)
    except OSError as error:
        faults.append(f"the table of open files does not grow: {error}")
    return faults
