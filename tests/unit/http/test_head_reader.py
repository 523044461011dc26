"""Heads off the front of what a client has sent."""

import pytest

from priolb.errors import ClientError
from priolb.http.head_reader import HeadReader
from priolb.http.messages import RequestHead
from priolb.http.parser import HeadLimits

HEAD = b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n"


class Sent:
    """What a client has sent, and who takes heads off its front."""

    def __init__(self, data: bytes, limits: HeadLimits) -> None:
        self.data = data
        self._heads = HeadReader(limits)

    def take_head(self) -> RequestHead | None:
        head = self._heads.take(self.data)
        self.data = self._heads.rest
        return head


def sent(data: bytes, max_bytes: int = 100, max_fields: int = 10) -> Sent:
    return Sent(data, HeadLimits(max_bytes, max_fields))


def path_of(taken: Sent) -> bytes | None:
    head = taken.take_head()
    return None if head is None else head.path


def refused(taken: Sent) -> tuple[int, str]:
    with pytest.raises(ClientError) as error:
        taken.take_head()
    return error.value.status, str(error.value)


def test_a_head_is_taken_and_what_is_behind_it_stays() -> None:
    taken = sent(HEAD + b"body" + HEAD)
    assert path_of(taken) == b"/a"
    assert taken.data == b"body" + HEAD


def test_the_same_head_again_is_the_same_value_and_a_longer_one_is_not() -> None:
    other = HEAD[:-2] + b"X: y\r\n\r\n"
    taken = sent(HEAD + HEAD + b"body")
    first = taken.take_head()
    assert taken.take_head() is first
    assert taken.data == b"body"
    taken.data = other + HEAD
    longer = taken.take_head()
    assert longer is not None and longer.forwarded == b"X: y\r\n"
    assert taken.take_head() is first
    assert taken.data == b""


def with_id(request_id: str) -> bytes:
    return HEAD[:-2] + b"X-Request-ID: %s\r\n\r\n" % request_id.encode()


def test_heads_with_ids_of_their_own_keep_them() -> None:
    ids = ["1", "22", "333", "4-44", "1", "", "a b", "55"]
    taken = sent(b"".join(map(with_id, ids)) + b"rest", max_bytes=200)
    heads = [taken.take_head() for _ in ids]
    assert [head.request_id.decode() for head in heads if head is not None] == ids
    assert [head.path for head in heads if head is not None] == [b"/a"] * len(ids)
    assert taken.data == b"rest"


def test_a_head_with_an_id_may_come_in_parts() -> None:
    data = with_id("333")
    for size in range(1, len(data)):
        taken = sent(with_id("1") + with_id("22") + data[:size])
        assert [path_of(taken), path_of(taken), path_of(taken)] == [b"/a", b"/a", None]
        taken.data += data[size:] + b"rest"
        head = taken.take_head()
        assert head is not None and (head.request_id, taken.data) == (b"333", b"rest")


def test_a_familiar_head_is_bounded_as_any_other() -> None:
    taken = sent(with_id("1") + with_id("2") + with_id("3" * 9) + with_id("4" * 10), len(with_id("3" * 9)))
    assert [path_of(taken), path_of(taken), path_of(taken)] == [b"/a"] * 3
    assert refused(taken) == (431, "the head of the request is too large")


def test_little_is_learned_from_heads_that_have_nothing_in_common() -> None:
    others = [b"GET /%d HTTP/1.1\r\nHost: b\r\n\r\n" % number for number in range(5)]
    taken = sent(b"".join(others) + with_id("1") + with_id("2") + with_id("3"), max_bytes=1000)
    paths = [path_of(taken) for _ in range(7)]
    assert paths == [b"/0", b"/1", b"/2", b"/3", b"/4", b"/a", b"/a"]
    head = taken.take_head()
    assert head is not None and head.request_id == b"3"
    assert head.raw == with_id("3")  # parsed: it was no lesson any more


def test_a_head_that_is_too_long_to_be_remembered_is_parsed_again() -> None:
    long = b"GET /a HTTP/1.1\r\nHost: b\r\nX: %s\r\n\r\n" % (b"y" * 1100)
    taken = sent(long + long + HEAD, max_bytes=2000)
    assert [path_of(taken), path_of(taken), path_of(taken), taken.data] == [b"/a", b"/a", b"/a", b""]


def test_the_same_head_again_is_taken_when_it_comes_in_parts() -> None:
    taken = sent(HEAD + HEAD[:-1])
    first = taken.take_head()
    assert taken.take_head() is None
    taken.data += HEAD[-1:] + b"GET /x"
    assert taken.take_head() is first
    assert taken.take_head() is None
    taken.data += HEAD[6:]
    assert path_of(taken) == b"/x"


@pytest.mark.parametrize("size", range(1, len(HEAD)))
def test_a_head_that_comes_in_two_parts_is_taken_with_the_second(size: int) -> None:
    taken = sent(HEAD[:size])
    assert taken.take_head() is None
    assert taken.data == HEAD[:size]
    taken.data += HEAD[size:] + b"x"
    assert path_of(taken) == b"/a"
    assert taken.data == b"x"


def test_a_short_head_behind_a_long_one_that_came_in_parts_is_found() -> None:
    taken = sent(b"GET /long HTTP/1.1\r\nHost: b\r\nX: " + b"y" * 40)
    assert taken.take_head() is None
    taken.data += b"\r\n\r\n" + HEAD
    assert [path_of(taken), path_of(taken)] == [b"/long", b"/a"]


@pytest.mark.parametrize("lines", [1, 2, 1000])
def test_empty_lines_before_a_head_are_passed_over(lines: int) -> None:
    """RFC 9112, section 2.2."""
    taken = sent(b"\r\n" * lines + HEAD)
    assert path_of(taken) == b"/a"


def test_empty_lines_alone_are_nothing() -> None:
    taken = sent(b"\r\n\r\n")
    assert taken.take_head() is None
    assert taken.data == b""
    taken.data = b"\r"
    assert taken.take_head() is None
    assert taken.data == b"\r"
    taken.data += b"\n" + HEAD
    assert path_of(taken) == b"/a"


def test_a_head_at_its_bound_is_taken_and_one_beyond_it_is_refused() -> None:
    assert path_of(sent(HEAD, max_bytes=len(HEAD))) == b"/a"
    too_large = (431, "the head of the request is too large")
    assert refused(sent(HEAD, max_bytes=len(HEAD) - 1)) == too_large
    assert refused(sent(HEAD[:-1], max_bytes=len(HEAD) - 2)) == too_large


def test_a_request_line_beyond_the_bound_is_another_refusal() -> None:
    """RFC 9110, section 15.5.15."""
    too_long = (414, "the request line is too long")
    assert refused(sent(b"GET /" + b"a" * 100)) == too_long
    assert refused(sent(b"GET /" + b"a" * 100 + b" HTTP/1.1\r\nHost: b\r\n\r\n")) == too_long


def test_the_number_of_fields_is_bounded() -> None:
    assert refused(sent(HEAD, max_fields=0)) == (431, "more than 0 header fields")


@pytest.mark.parametrize("data", [b"\rx", b"\r\r\n", b"\rGET / HTTP/1.1\r\n\r\n"])
def test_a_carriage_return_alone_is_malformed(data: bytes) -> None:
    assert refused(sent(data)) == (400, "malformed request: a line that does not end in CR LF")


@pytest.mark.parametrize("cut", [*range(1, 20), 0])
@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nA: \n", b"GET / HTTP/1.1\r\nA: \rb"])
def test_half_an_end_of_a_line_is_malformed_before_the_head_is_there(data: bytes, cut: int) -> None:
    taken = sent(data[:cut] or data)
    if cut:
        assert taken.take_head() is None  # where a read ends between both halves, the other one may come
        taken.data += data[cut:]
    assert refused(taken) == (400, "malformed request: a line that does not end in CR LF")
