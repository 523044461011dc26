"""What is fuzzed: functions that take any bytes, and fail when balancer and model disagree on them.

Those for evidence fail when it is neither accepted nor refused as documented, or accepted and not authentic.
"""

from collections.abc import Callable

from fuzz import evidence
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
    "certificates": (evidence.certificates, evidence.CERTIFICATES),
    "documents": (evidence.documents, evidence.DOCUMENTS),
    "sgx_evidence": (evidence.sgx_evidence, evidence.SGX_EVIDENCE),
    "collateral": (evidence.collateral, evidence.COLLATERAL),
    "evidence_parts": (evidence.evidence_parts, evidence.PARTS),
    "node_uris": (evidence.node_uris, evidence.NODE_URIS),
}
