"""What a request asks for, as limits count it."""

from __future__ import annotations

from priolb.core.limits.costs import Calls
from priolb.http.request import Request
from priolb.http.rpc_methods import LOOKED_AT_BYTES


def calls_of(request: Request) -> Calls:
    """Return what a request asks for, as far as its beginning tells.

    Of a batch that is longer than what is looked at, the rest counts as if it were the same again and again,
    for as long as it may become. Of a single call, the method counts that it has named by then; when it has
    named none, any may follow.
    """
    rpc = request.rpc()
    if rpc is None:
        return Calls((request.head.method,))
    if not rpc.is_batch:
        return Calls(rpc.names, is_all=bool(rpc.names))
    times = -(-request.body_bytes // LOOKED_AT_BYTES)
    return Calls(rpc.names, rpc.is_all or (times > 1 and bool(rpc.names)), times)
