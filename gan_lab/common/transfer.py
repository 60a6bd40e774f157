"""Answers of HTTP servers, read within bounds of bytes and time."""

import socket
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPResponse

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte
GRACE = 60.0  # seconds in which any rate is accepted
MIN_RATE = 20_000  # bytes a second, on average


@contextmanager
def socket_timeout(seconds: float) -> Iterator[None]:
    """Ends connections that others open, and set no timeout for, after some seconds without a byte."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def open_url(url: str, headers: Mapping[str, str] | None = None, timeout: float = TIMEOUT) -> HTTPResponse:
    """Requests an address, and returns the answer, of which nothing but the headers is read.

    Raises:
        OSError: if the server cannot be reached, or refuses.
        http.client.HTTPException: if its answer is malformed.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "gan_lab", **(headers or {})})
    response: HTTPResponse = urllib.request.urlopen(request, timeout=timeout)
    if response.status not in (200, 206):
        response.close()
        raise OSError(f"it answers with the status {response.status}")
    return response


def content_length(response: HTTPResponse) -> int | None:
    """Returns the number of bytes that an answer says it has; None if it says nothing, or no number."""
    text = response.headers.get("Content-Length", "").strip()
    return int(text) if text.isascii() and text.isdigit() else None


def blocks(response: HTTPResponse, limit: int) -> Iterator[bytes]:
    """Yields what an answer holds, as it comes.

    Args:
        response: the answer.
        limit: the number of bytes that are expected at most.

    Raises:
        OSError: if there are more, or if they come too slowly; so the total time is bounded, too.
    """
    begin, received = time.monotonic(), 0
    while block := response.read1(CHUNK):
        received += len(block)
        seconds = time.monotonic() - begin
        if received > limit:
            raise OSError(f"it sends more than the {limit:,} bytes that are expected")
        if seconds > GRACE + received / MIN_RATE:
            raise OSError(f"it is too slow, with {received:,} bytes in {seconds:.0f} s")
        yield block
