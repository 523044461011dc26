"""Requests of ours that go where the operator has sent them, and nowhere else."""

from email.message import Message
from typing import IO
from urllib.request import HTTPRedirectHandler, Request


class NoRedirect(HTTPRedirectHandler):
    """Redirects are not followed: urllib would hand tokens to wherever they point."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None
