"""What an answer of our own is when nobody says otherwise."""

from priolb.http.messages import LocalResponse


def test_an_answer_of_our_own_is_plain_text() -> None:
    response = LocalResponse(200, b"ok\n")
    assert (response.status, response.body, response.content_type, response.fields) == (
        200,
        b"ok\n",
        b"text/plain; charset=utf-8",
        b"",
    )
