"""Where the node list lives: in memory, in a SQLite file, or in Redis."""

from priolb.store.address import check_tls_files, redis_address, sqlite_path
from priolb.store.base import Store
from priolb.store.memory import MemoryStore
from priolb.store.sqlite import SqliteStore

__all__ = ["Store", "open_store"]


def open_store(uri: str, prefix: str) -> Store:
    """The store that a URI names, not yet reached: `await store.open()` does that.

    Args:
        uri: `dev`, `sqlite:///path`, `host:port`, `redis://`, `rediss://` or `unix://`.
        prefix: put before the name of the key in Redis; the other stores have no use for it.

    Raises:
        ConfigError: the URI is none of these, or names a file that cannot be used; names `REDIS_URI` and
            the value, password masked.
    """
    if uri == "dev":
        return MemoryStore()
    if uri.startswith("sqlite:"):
        return SqliteStore(sqlite_path(uri))
    address = redis_address(uri)
    if address.tls is not None:
        check_tls_files(uri, address.tls)
    # Here and not above: the client takes longer to import than the rest of the program.
    from priolb.store.redis import RedisStore  # noqa: PLC0415

    return RedisStore(address, prefix)
