"""Unpacks a compressed body within a bound: a few kilobytes can claim to be gigabytes.

Pure; slow for large bodies, so callers run it in a thread. Judges no content.
"""

import io
import zlib
from hashlib import sha256
from typing import Final, Literal

Coding = Literal["identity", "gzip", "deflate"]
Fault = Literal["truncated", "damaged", "too_large"]

SLICE_BYTES: Final = 64 * 1024  # fed at once: zlib copies what it could not use yet
PIECE_BYTES: Final = 1024 * 1024  # unpacked at once
GZIP_MAGIC: Final = b"\x1f\x8b"
MTIME: Final = slice(4, 8)  # of a gzip header: when it was packed
CM_DEFLATE: Final = 8
WINDOW_BITS: Final = {"gzip": 31, "zlib": 15, "raw": -15}

Buffer = bytes | bytearray


class InflateError(ValueError):
    """The body cannot be unpacked; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault: Fault = fault


def coding_of(body: Buffer, said: str) -> Coding:
    """Tell how a body is packed: by its first bytes, as servers forget or invent the header."""
    if body.startswith(GZIP_MAGIC):
        return "gzip"
    return "deflate" if said.strip().lower() == "deflate" else "identity"


def digest_of(body: Buffer, coding: Coding) -> str:
    """Hash a packed body, leaving out when it was packed; 64 hex digits."""
    view = memoryview(body)
    total = sha256(coding.encode())
    if coding == "gzip":
        total.update(view[: MTIME.start])
        view = view[MTIME.stop :]
    total.update(view)
    return total.hexdigest()


def inflate(body: Buffer, coding: Coding, *, max_bytes: int) -> bytes:
    """Unpack a whole body; never holds more than `max_bytes` and one piece.

    Raises InflateError: cut short, not of this coding or followed by something else, or too large.
    """
    if coding != "identity":
        return _unpacked(body, _window_bits(body, coding), max_bytes)
    if len(body) > max_bytes:
        raise InflateError("too_large")
    return bytes(body)


def _window_bits(body: Buffer, coding: Coding) -> int:
    if coding == "gzip":
        return WINDOW_BITS["gzip"]
    # "deflate" means the zlib format; some servers send the bare stream
    head = int.from_bytes(body[:2], "big")
    has_zlib_header = (head >> 8) & 0x0F == CM_DEFLATE and head % 31 == 0
    return WINDOW_BITS["zlib" if has_zlib_header else "raw"]


def _unpacked(body: Buffer, window_bits: int, max_bytes: int) -> bytes:
    unpacker, view, out = zlib.decompressobj(window_bits), memoryview(body), io.BytesIO()
    try:
        for start in range(0, len(view), SLICE_BYTES):
            if unpacker.eof:  # at once: zlib would gather what is behind, copy by copy
                raise InflateError("damaged")
            _unpack_slice(unpacker, view[start : start + SLICE_BYTES], out, max_bytes)
    except zlib.error:
        raise InflateError("damaged") from None
    if unpacker.unused_data:
        raise InflateError("damaged")
    if not unpacker.eof:
        raise InflateError("truncated")
    return out.getvalue()


def _unpack_slice(
    unpacker: "zlib._Decompress", fed: memoryview, out: io.BytesIO, max_bytes: int
) -> None:
    left: Buffer | memoryview = fed
    while True:
        piece = unpacker.decompress(left, PIECE_BYTES)
        if out.tell() + len(piece) > max_bytes:
            raise InflateError("too_large")
        out.write(piece)
        left = unpacker.unconsumed_tail
        # a full piece may have more behind it although all input was taken
        if unpacker.eof or (not left and len(piece) < PIECE_BYTES):
            return
