"""Requests of ours that go where the operator has sent them, and nowhere else."""

from email.message import Message
from typing import IO
from urllib.request import HTTPRedirectHandler, Request


class NoRedirect(HTTPRedirectHandler):
    """Redirects are not followed: urllib would hand tokens to wherever they point.

    Nor is it read where that is, which may be no URL at all.
    """

    def http_error_302(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message) -> None:
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
