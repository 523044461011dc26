"""What is fuzzed: functions that take any bytes, and fail when balancer and model disagree on them."""

from collections.abc import Callable

from fuzz.answers import answers
from fuzz.chunks import chunked_bodies
from fuzz.connections import connections
from fuzz.heads import answer_heads, request_heads
from fuzz.seeds import ANSWERS, CHUNKED_BODIES, REQUESTS

Check = Callable[[bytes], None]

# By name: the function, and what to start from.
TARGETS: dict[str, tuple[Check, list[bytes]]] = {
    "request_heads": (request_heads, REQUESTS),
    "answer_heads": (answer_heads, ANSWERS),
    "chunked_bodies": (chunked_bodies, CHUNKED_BODIES),
    "connections": (connections, REQUESTS),
    "answers": (answers, ANSWERS),
}
