"""No request can be read two ways: each is read as the RFC says, or refused and nothing behind it is read.

Source: RFC 9112, sections 2.2, 3.2, 5, 6 and 7.1.
"""

from __future__ import annotations

import pytest

from tests.http_wire import GET, Caller, Handler, post

CHUNKED = b"Transfer-Encoding: chunked"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"


def framed(*headers: bytes, body: bytes = b"hello", version: bytes = b"HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    return b"\r\n".join((b"POST /p " + version, *([host] if host else []), *headers, b"", body))


def chunks(size: bytes, data: bytes = b"hello\r\n") -> bytes:
    return framed(CHUNKED, body=size + b"\r\n" + data + b"0\r\n\r\n")


REFUSED = {
    "length and chunks": framed(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"),
    "chunks and length": framed(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"),
    "two lengths": framed(b"Content-Length: 5", b"Content-Length: 6"),
    "the same length twice": framed(b"Content-Length: 5", b"Content-Length: 5"),
    **{
        f"length {length!r}": framed(b"Content-Length: " + length)
        for length in (b"+5", b"-5", b"0x5", b"5,5", b"5, 5", b"5 5", b"", b"5_0", b"5.0", b"5e0", b"five", b"5\x0b")
    },
    "length beyond 64 bits": framed(b"Content-Length: 18446744073709551621"),
    "length of five thousand digits": framed(b"Content-Length: " + b"9" * 5000),
    "length in a folded line": framed(b"Content-Length:\r\n 5"),
    "a folded header": framed(b"X: a\r\n b", b"Content-Length: 5"),
    "a folded header with a tab": framed(b"X: a\r\n\tContent-Length: 0", b"Content-Length: 5"),
    "space before the colon": framed(b"Content-Length : 5"),
    "tab before the colon": framed(b"Content-Length\t: 5"),
    "space before the first header": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "a header without colon": framed(b"Content-Length 5"),
    "a header without name": framed(b": 5"),
    "line feeds alone": framed(b"Content-Length: 5").replace(b"\r\n", b"\n"),
    "one line feed alone": framed(b"X: y\nContent-Length: 5"),
    "carriage return alone": framed(b"X: y\rContent-Length: 5"),
    "line feed alone before the body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\nhello",
    **{f"byte {code} in a value": framed(b"X: a%cb" % code) for code in (0, 1, 8, 11, 12, 27, 31, 127)},
    **{f"byte {code} in a name": framed(b"X%cY: a" % code) for code in (0, 9, 32, 40, 58 + 1, 127, 128, 255)},
    **{
        f"byte {code} in the target": b"GET /a%cb HTTP/1.1\r\nHost: a\r\n\r\n" % code
        for code in (0, 9, 11, 32, 127, 200)
    },
    "coding gzip": framed(b"Transfer-Encoding: gzip", body=b"0\r\n\r\n"),
    "coding gzip, chunked": framed(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "coding chunked, gzip": framed(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
    "coding chunked, chunked": framed(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "coding chunked twice": framed(CHUNKED, CHUNKED, body=b"0\r\n\r\n"),
    "coding identity": framed(b"Transfer-Encoding: identity", b"Content-Length: 5"),
    "coding identity, chunked": framed(b"Transfer-Encoding: identity", CHUNKED, body=b"0\r\n\r\n"),
    "coding xchunked": framed(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "coding chunked with a parameter": framed(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"),
    'coding "chunked"': framed(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "coding with a tab behind": framed(b"Transfer-Encoding: chunked\t", body=b"0\r\n\r\n"),
    "coding of nothing": framed(b"Transfer-Encoding: ", body=b"0\r\n\r\n"),
    "coding after a vertical tab": framed(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "coding in a folded line": framed(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"),
    "chunks in HTTP/1.0": framed(CHUNKED, body=b"0\r\n\r\n", version=b"HTTP/1.0"),
    **{
        f"chunk size {size!r}": chunks(size)
        for size in (
            b"g",
            b"0x5",
            b" 5",
            b"5 ",
            b"+5",
            b"-5",
            b"",
            b"5\n",
            b"5\r",
            b"5;\x00",
            b"5;a\nb",
            b"5_0",
            b"5,5",
        )
    },
    "chunk size beyond 64 bits": chunks(b"10000000000000005"),
    "chunk extension that spans lines": chunks(b'5;a="\r\n"'),
    "chunk ended by a line feed": chunks(b"5", b"hello\n"),
    "chunk longer than its size": chunks(b"5", b"hello!\r\n"),
    "chunk shorter than its size": chunks(b"6", b"hello\r\n"),
    "last chunk ended by line feeds": framed(CHUNKED, body=b"5\r\nhello\r\n0\n\n"),
    "a trailer with a bare line feed": framed(CHUNKED, body=b"0\r\nX: y\nZ: w\r\n\r\n"),
    "a folded trailer": framed(CHUNKED, body=b"0\r\nX: y\r\n z\r\n\r\n"),
    "no host": framed(host=b""),
    "two hosts": framed(b"host: b"),
    "two types": framed(b"Content-Type: a", b"Content-Type: b"),
    "two keys": framed(b"Authorization: a", b"Authorization: b"),
    "target of another form": b"GET a/b HTTP/1.1\r\nHost: a\r\n\r\n",
    "asterisk with GET": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "another scheme": b"GET ftp://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment in the query": b"GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown method": b"FETCH / HTTP/1.1\r\nHost: a\r\n\r\n",
    "method in small letters": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab behind the method": b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "space behind the version": b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "no version": b"GET /\r\nHost: a\r\n\r\n",
    **{
        f"version {version}": f"GET / {version}\r\nHost: a\r\n\r\n".encode()
        for version in ("HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/01.1", "http/1.1", "HTTP/11", "ICE/1.0")
    },
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "empty bytes": b"\x00" * 100,
}

READ = {
    "length with spaces around": (framed(b"Content-Length: \t 5 \t"), b"hello"),
    "length with leading zeros": (framed(b"Content-Length: 005"), b"hello"),
    "no length": (framed(body=b""), b""),
    "coding in capitals": (framed(b"Transfer-Encoding: CHUNKED", body=b"5\r\nhello\r\n0\r\n\r\n"), b"hello"),
    "coding with spaces before": (framed(b"Transfer-Encoding: \t chunked", body=b"0\r\n\r\n"), b""),
    "chunk size with leading zeros": (chunks(b"0005"), b"hello"),
    "chunk with an extension": (chunks(b'5;a=b;c="d;\\" e"'), b"hello"),
    "chunk with line ends in its data": (chunks(b"9", b"\r\n0\r\n\r\nhi\r\n"), b"\r\n0\r\n\r\nhi"),
    "a request in the body": (post(HIDDEN), HIDDEN),
    "empty lines before": (b"\r\n\r\n" + framed(b"Content-Length: 5"), b"hello"),
    "colon and obs-text in a value": (framed(b"X: a:b\x80\xff", b"Content-Length: 5"), b"hello"),
    "a name that resembles": (framed(b"Content_Length: 9", b"Content-Length: 5"), b"hello"),
}

TARGETS = {
    "origin form": (b"GET", b"/a/b?c=d", b"/a/b", b"c=d"),
    "empty query": (b"GET", b"/a?", b"/a", b""),
    "two slashes": (b"GET", b"//a", b"//a", b""),
    "absolute form": (b"GET", b"http://h:1/a/b?c=d", b"/a/b", b"c=d"),
    "absolute form without path": (b"GET", b"HTTPS://h", b"/", b""),
    "absolute form without path, with query": (b"GET", b"http://h?x=/y", b"/", b"x=/y"),
    "asterisk form": (b"OPTIONS", b"*", b"*", b""),
}


@pytest.mark.parametrize("size", [1, 10**6], ids=["byte by byte", "at once"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_could_be_read_two_ways_is_refused_and_nothing_behind_it_is_read(name: str, size: int) -> None:
    data = REFUSED[name] + HIDDEN
    handler = Handler()
    caller = Caller(handler)
    told = caller.send(GET, *(data[at : at + size] for at in range(0, len(data), size)))
    assert [one.status for one in told] == [200, 400]
    assert told[1].closes
    assert [one[1] for one in handler.seen if one[-1] == 200] == [b"/a"]
    assert caller.wire.eof
    caller.hang_up()
    assert (caller.server.held, caller.server.answering) == (0, 0)


@pytest.mark.parametrize("size", [1, 10**6], ids=["byte by byte", "at once"])
@pytest.mark.parametrize("name", READ)
def test_what_is_unusual_and_clear_is_read_as_the_rfc_says(name: str, size: int) -> None:
    data, body = READ[name]
    handler = Handler()
    caller = Caller(handler)
    for _ in range(2):
        caller.send(*((data + GET)[at : at + size] for at in range(0, len(data + GET), size)))
    assert [(one[4], one[-1]) for one in handler.seen] == [(body, 200), (b"", 200)] * 2


@pytest.mark.parametrize("name", TARGETS)
def test_each_form_of_the_target_gives_its_path(name: str) -> None:
    method, target, path, query = TARGETS[name]
    handler = Handler()
    Caller(handler).send(method + b" " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert handler.seen[0][:3] == (method, path, query)
    assert handler.seen[0][-1] == 200


def test_the_refusal_comes_after_the_answers_to_those_before_it() -> None:
    handler = Handler(at_once=False)
    caller = Caller(handler)
    caller.send(GET + framed(b"Content-Length: +5"))
    assert caller.told() == []
    handler.answer()
    handler.answer()
    assert [one.status for one in caller.told()] == [200, 400]
    assert caller.wire.eof


def test_a_request_with_a_known_head_is_read_as_the_first_was() -> None:
    handler = Handler()
    caller = Caller(handler)
    requests = [post(b"hello"), post(b"hullo"), post(b"hello", b"X: y"), post(b"hell"), post(b"hello")[:-1], b"p", GET]
    caller.send(*requests)
    assert [one[4] for one in handler.seen] == [b"hello", b"hullo", b"hello", b"hell", b"hellp", b""]
    handler.seen[0][3].clear()
    caller.again()
    caller.send(post(b"hallo"), post(b"hi, a") + GET)
    assert [one[4] for one in handler.seen[6:]] == [b"hallo", b"hi, a", b""]
    assert handler.seen[6][3] == {b"host": b"a", b"content-length": b"5"}
