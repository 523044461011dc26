"""Chunked bodies alone, against the model."""

from fuzz import reference
from fuzz.reference import IncompleteError, MalformedError
from fuzz.split import parts_of
from priolb.errors import FramingError
from priolb.http.body import ChunkedReader


def chunked_bodies(data: bytes) -> None:
    """A chunked body is read as the model reads it, in whatever parts it comes."""
    found = read_chunks([data])
    assert found == read_chunks(parts_of(data))
    try:
        model = reference.read_chunked(data, 0)
    except MalformedError:
        assert found == "malformed"
        return
    except IncompleteError:
        assert found == "incomplete"
        return
    assert isinstance(found, tuple)
    assert found[0] == model.data
    assert found[2] == data[model.end :]
    kept = reference.read_head(b"\r\n" + found[1] + b"\r\n", 0)[1] if found[1] else []
    assert [pair for pair in model.trailers if pair in kept] == kept


def read_chunks(parts: list[bytes]) -> str | tuple[bytes, bytes, bytes]:
    reader = ChunkedReader()
    body = b""
    for index, part in enumerate(parts):
        try:
            body += reader.feed(part)
        except FramingError:
            return "malformed"
        if reader.done:
            return body, reader.trailers, reader.rest + b"".join(parts[index + 1 :])
    return "incomplete"
