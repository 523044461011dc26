"""The node list in Redis, where several instances share it.

One string key holds a JSON list of strings, as the original program keeps it, so that the two can
be swapped in either direction; the original writes `null` for an empty list. A list in one value
cannot be changed by one command, hence a change watches the key, reads, and writes in a
transaction that Redis refuses when somebody else wrote in between; then it is tried again.
"""

import ast
import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, WatchError
from redis.exceptions import TimeoutError as RedisTimeoutError

from priolb.errors import StoreError
from priolb.store.address import RedisAddress
from priolb.store.base import CALL_TIMEOUT_S, OPEN_TIMEOUT_S

NODES_KEY = "prio-load-balancer:nodes"

# Somebody wins each round, so only a store that is written to without pause can use them up.
_CHANGE_TRIES_MAX = 100


class RedisStore:
    """A `Store` in one key of a Redis server.

    Args:
        address: the server.
        prefix: put before the name of the key, `prio-load-balancer:nodes`.
        call_timeout_s: seconds that a call may take, waiting for its turn included.
        open_timeout_s: the same for `open`.
    """

    shared: Final = True

    def __init__(
        self,
        address: RedisAddress,
        prefix: str,
        *,
        call_timeout_s: float = CALL_TIMEOUT_S,
        open_timeout_s: float = OPEN_TIMEOUT_S,
    ) -> None:
        self._address = address
        self._key = prefix + NODES_KEY
        self._call_timeout_s = call_timeout_s
        self._open_timeout_s = open_timeout_s
        self._client: Redis | None = None
        # Changes of this process queue here: they need not fight each other in Redis.
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        if self._client is not None:
            return
        self._client = self._new_client()
        try:
            async with self._bounded(self._open_timeout_s):
                self._decode(await self._client.get(self._key))
        except BaseException:
            await self.close()
            raise

    async def nodes(self) -> list[str]:
        client = self._opened_client()
        async with self._bounded(self._call_timeout_s):
            return self._decode(await client.get(self._key))

    async def add(self, uri: str) -> bool:
        return await self._change(lambda uris: uris if uri in uris else [*uris, uri])

    async def remove(self, uri: str) -> bool:
        return await self._change(lambda uris: [kept for kept in uris if kept != uri])

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(self._call_timeout_s):
                await client.aclose()
        except Exception:  # noqa: BLE001 - see `_bounded`
            # A server that does not take part in closing is left alone: the socket is gone for us,
            # and there is nothing that the caller could do.
            return

    def describe(self) -> str:
        return self._address.describe()

    async def _change(self, edited: Callable[[list[str]], list[str]]) -> bool:
        """Replace the list by `edited(list)`; False when that is the same list."""
        client = self._opened_client()
        async with self._bounded(self._call_timeout_s), self._changing:
            for _ in range(_CHANGE_TRIES_MAX):
                # A connection lost on the way counts as a lost race: reading again tells
                # whether the write was made.
                try:
                    return await self._try_change(client, edited)
                except WatchError:
                    continue
            raise self._error(f"key {self._key!r} was changed by others {_CHANGE_TRIES_MAX} times in a row")

    async def _try_change(self, client: Redis, edited: Callable[[list[str]], list[str]]) -> bool:
        async with client.pipeline(transaction=True) as pipeline:
            await pipeline.watch(self._key)
            before = self._decode(await pipeline.get(self._key))
            after = edited(before)
            if after == before:
                return False
            pipeline.multi()  # type: ignore[no-untyped-call]  # the client leaves it untyped
            await pipeline.set(self._key, json.dumps(after, separators=(",", ":")))  # queued only
            await pipeline.execute()
            return True

    def _new_client(self) -> Redis:
        address = self._address
        tls: dict[str, Any] = {}
        if address.tls is not None:
            tls = {
                "ssl": True,
                "ssl_ca_certs": address.tls.ca_path,
                "ssl_certfile": address.tls.cert_path,
                "ssl_keyfile": address.tls.key_path,
                "ssl_cert_reqs": "required" if address.tls.verify else "none",
                "ssl_check_hostname": address.tls.verify and address.tls.check_hostname,
            }
        return Redis(
            host=address.host,
            port=address.port,
            unix_socket_path=address.socket_path,
            db=address.database,
            username=address.username,
            password=address.password,
            socket_timeout=self._call_timeout_s,
            socket_connect_timeout=self._open_timeout_s,
            # Once, and at once: a connection that died while idle shows it only when it is used. When a reset
            # has just closed it, uvloop says so by a RuntimeError; to catch it, the client is well able.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError, RuntimeError)),  # type: ignore[arg-type]
            protocol=2,  # strings and transactions need no more, and every server speaks it
            **tls,
        )

    def _opened_client(self) -> Redis:
        if self._client is None:
            raise self._error("not open")
        return self._client

    @asynccontextmanager
    async def _bounded(self, timeout_s: float) -> AsyncIterator[None]:
        """Turn lateness and every error of the client into `StoreError`.

        What is no Redis server makes its parser fail as chance will have it: by ValueError, TypeError,
        RecursionError. The errors are not chained: a server that does not know a command repeats its
        arguments, and those of `AUTH` are the password.
        """
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except (TimeoutError, RedisTimeoutError):
            raise self._error(f"no answer within {timeout_s:g} s") from None
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the store that cannot be used
            words = _words(error)
            if words.startswith("WRONGTYPE"):  # says what is wrong, but not where
                words = f"key {self._key!r} holds no string: {words}"
            raise self._error(words) from None

    def _decode(self, text: bytes | str | None) -> list[str]:
        if text is None:
            return []
        try:
            uris = json.loads(text)
        except (ValueError, RecursionError):
            raise self._error(f"key {self._key!r} holds no JSON") from None
        if uris is None:
            return []
        if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
            raise self._error(f"key {self._key!r} holds JSON that is no list of strings")
        return list(dict.fromkeys(uris))

    def _error(self, reason: str) -> StoreError:
        if self._address.password:
            reason = reason.replace(self._address.password, "***")
        return StoreError(f"store {self.describe()}: {reason}")


def _words(error: Exception) -> str:
    """What the server or the system said, without the client's frame around it.

    For a command in a transaction that frame holds the command, and so the node list. Of errors that
    are not made for a reader, it names the kind as well.
    """
    if not isinstance(error, RedisError | OSError):
        return f"no answer of Redis ({type(error).__name__}: {error})"
    _, framed, words = str(error).rpartition("of pipeline caused error: ")
    if not framed:
        return words
    try:  # the arguments of the error inside, as Python writes them
        (inner,) = ast.literal_eval(words)
    except (ValueError, SyntaxError, TypeError):
        return words
    return str(inner)
