"""Answers are read the same however they come in, are bounded, and nothing else is taken for one."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import Sequence

import pytest
from httptools import HttpParserError
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model import Response
from orchestrator.replies import MAX_HEADER, Replies

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n"
    b"3;ext=x\r\nhel\r\n2 \r\nlo\r\n0\r\nX-A: of the end\r\nSet-Cookie: late=1\r\n\r\n"
)
EARLY = b"HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\nhello"
HELLO = Response(200, {"content-type": "a/b", "content-length": "5"}, b"hello")

ANSWERS = {
    PLAIN: HELLO,
    EARLY + EARLY + PLAIN: HELLO,
    PLAIN.replace(b"\r\n", b"\n"): HELLO,
    CHUNKED: Response(200, {"transfer-encoding": "chunked", "x-a": "1"}, b"hello"),
    EMPTY: Response(204, {"set-cookie": "b=2"}, b"", ("a=1", "b=2")),
    ENDLESS: Response(200, {}, b"hello"),
}


def read(replies: Replies, pieces: Sequence[bytes], most: int = 100) -> Response | None:
    """Return the answer that the pieces make; the last is followed by the end of the connection."""
    replies.expect(most)
    for piece in pieces:
        assert replies.answer is None, "it was there before its end"
        replies.feed(piece)
    replies.end()
    return replies.answer


def cut(data: bytes, at: Sequence[int]) -> list[bytes]:
    places = [0, *sorted({one % len(data) for one in at} - {0}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(st.sampled_from(sorted(ANSWERS)), st.lists(st.integers(0, 300), max_size=12))
def test_an_answer_is_the_same_however_it_is_cut(said: bytes, at: list[int]) -> None:
    replies = Replies()
    assert read(replies, cut(said, at)) == ANSWERS[said]
    assert replies.last


@given(st.lists(st.sampled_from([PLAIN, CHUNKED, EARLY + EARLY + PLAIN, EMPTY]), min_size=2, max_size=5))
def test_one_answer_after_the_other_is_read_and_nothing_of_one_is_in_the_next(said: list[bytes]) -> None:
    replies = Replies()
    for one in said:
        replies.expect(100)
        replies.feed(one)
        assert replies.answer == ANSWERS[one]
        assert not replies.last


@pytest.mark.parametrize("said", [PLAIN, CHUNKED, EMPTY])
@pytest.mark.parametrize("extra", [PLAIN, EMPTY, EARLY, b"HTTP/1.1 2", b"H", b"rubbish", b"\0"])
def test_what_comes_behind_an_answer_makes_it_the_last(said: bytes, extra: bytes) -> None:
    replies = Replies()
    replies.expect(100)
    replies.feed(said + extra)
    assert replies.answer == ANSWERS[said]
    assert replies.last


@pytest.mark.parametrize(
    ("said", "last"),
    [
        (PLAIN.replace(b"Content-Type", b"Connection: close\r\nContent-Type"), True),
        (PLAIN.replace(b"1.1", b"1.0"), True),
        (PLAIN.replace(b"1.1 200 OK", b"1.0 200 OK\r\nConnection: keep-alive"), False),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", True),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nother", True),
    ],
)
def test_an_answer_after_which_none_may_follow_is_the_last(said: bytes, last: bool) -> None:
    replies = Replies()
    replies.expect(100)
    replies.feed(said)
    assert replies.answer is not None
    assert replies.last is last


@pytest.mark.parametrize("said", [PLAIN[:-1], CHUNKED[:-2], CHUNKED[:60], ENDLESS[:10], EARLY, b"", PLAIN[:-5]])
def test_what_ends_before_its_end_is_no_answer(said: bytes) -> None:
    assert read(Replies(), [said]) is None


@pytest.mark.parametrize("most", [1, 3, 4, 5, 6])
@pytest.mark.parametrize("said", [PLAIN, CHUNKED, ENDLESS])
def test_no_more_of_a_body_is_kept_than_is_wanted(said: bytes, most: int) -> None:
    replies = Replies()
    replies.expect(most)
    for byte in said:
        if replies.answer is None:
            replies.feed(bytes([byte]))
    replies.end()
    assert replies.answer is not None
    assert replies.answer.body == b"hello"[:most]
    assert replies.last


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nX",
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        EARLY + b"HTTP/1.1 200 OK\r\nX: ",
    ],
)
def test_what_has_no_end_is_given_up(before: bytes) -> None:
    replies = Replies()
    replies.expect(100)
    with pytest.raises(HttpParserError):  # noqa: PT012  it is not known when
        for piece in [before, *[b"a" * 1000] * (MAX_HEADER // 1000 + 2)]:
            replies.feed(piece)
    assert replies.answer is None


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 2 * MAX_HEADER + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 103 -\r\n\r\n" * 20_000,
        b"HTTP/1.1 103 -\r\nX: 1\r\n\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_head_is_bounded_however_it_is_cut_and_has_no_nul(said: bytes) -> None:
    for size in (len(said), 64 * 1024, 100):
        replies = Replies()
        replies.expect(100)
        with pytest.raises(HttpParserError):  # noqa: PT012  it is not known when
            for start in range(0, len(said), size):
                replies.feed(said[start : start + size])
        assert replies.answer is None


def test_a_coded_body_of_which_nobody_said_the_length_ends_with_the_connection() -> None:
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nxyz"
    assert read(Replies(), [said]) == Response(200, {"transfer-encoding": "chunked, gzip"}, b"xyz")


def test_a_body_in_tiny_chunks_takes_no_more_than_its_size() -> None:
    replies = Replies()
    replies.expect(1 << 20)
    replies.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    tracemalloc.start()
    for _ in range(100):
        replies.feed(b"2\r\nab\r\n" * 1000)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * 200_000


@given(st.sampled_from(sorted(ANSWERS)), st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=4)), max_size=4))
def test_whatever_comes_is_an_answer_none_yet_or_an_error_of_the_parser(
    said: bytes, changes: list[tuple[int, bytes]]
) -> None:
    for at, put in changes:
        place = at % len(said)
        said = said[:place] + put + said[place + len(put) :]
    replies = Replies()
    replies.expect(4)
    for piece in cut(said, [20, 40]):
        try:
            replies.feed(piece)
        except HttpParserError:
            assert replies.answer is None
            return
        if replies.answer is not None:
            assert len(replies.answer.body) <= 4
            assert all(text == text.encode().decode() for text in replies.answer.headers.values())
            return


def test_a_header_on_two_lines_is_one_list() -> None:
    """Of two limits the later one alone was heeded."""
    replies = Replies()
    replies.expect(1000)
    lines = b"RateLimit-Policy: 100;w=60\r\nRetry-After: 1\r\nratelimit-policy: 9;w=86400\r\nRetry-After: 2\r\n"
    replies.feed(b"HTTP/1.1 429 Busy\r\n" + lines + b"Content-Length: 0\r\n\r\n")
    assert replies.answer is not None
    assert replies.answer.headers["ratelimit-policy"] == "100;w=60, 9;w=86400"
    assert replies.answer.headers["retry-after"] == "2"


def test_nothing_is_left_of_it_when_it_is_closed() -> None:
    gc.collect()
    replies = Replies()
    assert read(replies, [PLAIN]) == HELLO
    replies.close()
    del replies
    assert gc.collect() == 0
