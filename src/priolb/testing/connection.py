"""One connection to the mock node: requests in, answers out, one at a time and in order."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

from priolb.errors import ClientError, FramingError
from priolb.http.body import BodyReader, body_reader
from priolb.http.messages import LocalRequest, LocalResponse, RequestHead
from priolb.http.parser import HEAD_END, parse_request_head
from priolb.http.writer import CONTINUE, local_response

_MAX_HEAD_BYTES: Final = 65536
_MAX_FIELDS: Final = 200
_MAX_BODY_BYTES: Final = 256 * 1024 * 1024
_MAX_PIPELINED_BYTES: Final = 65536


class Service(Protocol):
    """Serves the requests of all connections."""

    def connected(self, connection: Connection) -> None:
        """A client is there."""

    def gone(self, connection: Connection) -> None:
        """A client is gone, and with it what it waits for; also said of clients that wait for nothing."""

    def take(self, connection: Connection, request: LocalRequest) -> None:
        """Serve a request: `connection.answer` is called once, now or later, unless the client goes."""


class Connection(asyncio.Protocol):
    """One connection of a client.

    Args:
        service: serves the requests.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._is_reading = False
        self._is_paused = False
        # Request
        self._head: RequestHead | None = None
        self._body_parts: list[bytes] = []
        self._body_bytes = 0
        self._reader: BodyReader | None = None
        self._is_busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast: transports of uvloop are no subclass of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self._service.connected(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._service.gone(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._read()
        if self._is_busy and len(self._buffer) > _MAX_PIPELINED_BYTES and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def answer(self, response: LocalResponse) -> None:
        """Send the answer to the request under way, and take up the next."""
        head = self._head
        assert head is not None and self._is_busy
        self._is_busy = False
        self._head = None
        self._write(local_response(response, head.method, head.minor, head.keep_alive))
        if not head.keep_alive:
            self._close()
            return
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        self._read()

    def abort(self) -> None:
        """Drop the connection, whatever it waits for."""
        if self._transport is not None:
            self._transport.abort()

    def _read(self) -> None:
        """Take requests out of the buffer as long as none is being served."""
        if self._is_reading:
            return  # an answer given at once leads back here: the loop below goes on
        self._is_reading = True
        try:
            while self._transport is not None and not self._is_busy and self._buffer:
                if not (self._read_head() if self._head is None else self._read_body()):
                    break
        except ClientError as error:
            self._refuse(error.status, str(error))
        except FramingError as error:
            self._refuse(400, str(error))
        finally:
            self._is_reading = False

    def _read_head(self) -> bool:
        """Take a head out of the buffer; False when it is not all there."""
        end = self._buffer.find(HEAD_END) + len(HEAD_END)
        if end < len(HEAD_END):
            if len(self._buffer) > _MAX_HEAD_BYTES:
                raise ClientError(431, "the head of the request is too large")
            return False
        head = parse_request_head(self._buffer[:end], _MAX_FIELDS)
        if head.body_bytes > _MAX_BODY_BYTES:
            raise ClientError(413, "the body of the request is too large")
        self._buffer = self._buffer[end:]
        self._head = head
        self._body_parts = []
        self._body_bytes = 0
        if head.body_bytes == 0:
            self._serve()
            return True
        self._reader = body_reader(head.body_bytes)
        if not self._buffer and head.expects_continue:
            self._write(CONTINUE)
        return True

    def _read_body(self) -> bool:
        """Take what is there of a body out of the buffer; False when more is to come."""
        reader = self._reader
        assert reader is not None
        part = reader.feed(self._buffer)
        while reader.is_behind:
            part += reader.feed(b"")
        self._buffer = reader.rest
        self._body_parts.append(part)
        self._body_bytes += len(part)
        if self._body_bytes > _MAX_BODY_BYTES:
            raise ClientError(413, "the body of the request is too large")
        if reader.done:
            self._serve()
        return reader.done

    def _serve(self) -> None:
        head = self._head
        assert head is not None
        self._is_busy = True
        body, self._body_parts = b"".join(self._body_parts), []
        self._service.take(self, LocalRequest(head, body, self._peer()))

    def _refuse(self, status: int, text: str) -> None:
        response = LocalResponse(status, f"{text}\n".encode())
        self._write(local_response(response, b"", 1, keep_alive=False))
        self._close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _close(self) -> None:
        """Close once all is sent; what still comes is not read."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _peer(self) -> str:
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(peer[0]) if isinstance(peer, tuple) else ""
