"""A WebSocket at a scripted node, as the library `websockets` speaks it."""

import contextlib
import queue

from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from support.scripted_node import Call

_READ_BYTES = 65536


class WebSocketScript:
    """Sends every message back, over as many connections as there are.

    A text of `close CODE REASON` lets it close, one of `drop` lets it vanish. Whatever asks for no WebSocket
    is answered with 200.

    Args:
        subprotocols: what it speaks, the first in order of preference.

    `closes` has code and reason of each closing handshake that the client began, and None for each client
    that has left without one.
    """

    def __init__(self, *subprotocols: str) -> None:
        self.closes: queue.Queue[tuple[int, str] | None] = queue.Queue()
        self._subprotocols = [Subprotocol(name) for name in subprotocols] or None

    def __call__(self, call: Call) -> None:
        if call.field("upgrade") != "websocket":
            call.answer(200, b"plain")
            return
        protocol = ServerProtocol(subprotocols=self._subprotocols, max_size=None)
        protocol.receive_data(call.raw)
        [request] = protocol.events_received()
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        self._flush(call, protocol)
        is_over = False
        while not is_over:
            data = call.connection.socket.recv(_READ_BYTES)
            if data:
                protocol.receive_data(data)
            else:
                protocol.receive_eof()
                is_over = True
            for event in protocol.events_received():
                assert isinstance(event, Frame)
                if event.opcode is Opcode.TEXT and bytes(event.data) == b"drop":
                    call.close()
                    return
                self._reply(protocol, event)
            with contextlib.suppress(OSError):  # the client may be gone
                self._flush(call, protocol)
        received = protocol.close_rcvd
        if received is None:
            self.closes.put(None)
        elif protocol.close_rcvd_then_sent:
            self.closes.put((received.code, received.reason))

    def _reply(self, protocol: ServerProtocol, frame: Frame) -> None:
        data = bytes(frame.data)
        with contextlib.suppress(ConnectionClosed):
            if frame.opcode is Opcode.TEXT and data.startswith(b"close "):
                _, code, reason = data.decode().split(" ", 2)
                protocol.send_close(int(code), reason)
            elif frame.opcode is Opcode.TEXT:
                protocol.send_text(data, frame.fin)
            elif frame.opcode is Opcode.BINARY:
                protocol.send_binary(data, frame.fin)
            elif frame.opcode is Opcode.CONT:
                protocol.send_continuation(data, frame.fin)

    def _flush(self, call: Call, protocol: ServerProtocol) -> None:
        for data in protocol.data_to_send():
            if data:
                call.send(data)
            else:
                call.close()
