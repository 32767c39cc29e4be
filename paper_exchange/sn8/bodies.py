"""Bodies that no validator should send: far too large, packed or unpacked. Made piece by piece."""

import gzip
import struct
import zlib
from collections.abc import Iterator
from typing import Final

MB: Final = 1 << 20
HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # of gzip
STORED: Final = 65_535  # most bytes of a stored block
HTML: Final = "<!doctype html><html><body><h1>Just a moment...</h1></body></html>"
ANNOUNCED: Final = 1000  # bytes that a bomb's trailer claims to unpack to
Pieces = tuple[int, Iterator[bytes]]  # how many bytes together, and they


def truncated(packed: bytes) -> bytes:
    """The first half."""
    return packed[: len(packed) // 2]


def bomb(megabytes: float) -> Pieces:
    """A valid stream that unpacks to as many megabytes of blanks and an empty object."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    blanks = b" " * MB
    opening = packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH)
    times = max(1, round(megabytes))
    last = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    closing = last.compress(b"{}") + last.flush()
    checksum = 0
    for _ in range(times):
        checksum = zlib.crc32(blanks, checksum)
    trailer = struct.pack("<II", zlib.crc32(b"{}", checksum), ANNOUNCED)

    def pieces() -> Iterator[bytes]:
        yield HEADER
        for _ in range(times):
            yield opening
        yield closing + trailer

    return len(HEADER) + times * len(opening) + len(closing) + len(trailer), pieces()


def oversize(megabytes: float) -> Pieces:
    """A gzip stream of that size that packs next to nothing away."""
    count = max(1, round(megabytes * MB / STORED))
    block = struct.pack("<BHH", 0, STORED, STORED ^ 0xFFFF) + b" " * STORED
    closing = struct.pack("<BHH", 1, 2, 2 ^ 0xFFFF) + b"{}"
    checksum = 0
    for _ in range(count):
        checksum = zlib.crc32(b" " * STORED, checksum)
    size = (count * STORED + 2) & 0xFFFF_FFFF
    trailer = struct.pack("<II", zlib.crc32(b"{}", checksum), size)

    def pieces() -> Iterator[bytes]:
        yield HEADER
        for _ in range(count):
            yield block
        yield closing + trailer

    return len(HEADER) + count * len(block) + len(closing) + len(trailer), pieces()


def unpacked(packed: bytes) -> bytes:
    """What a proxy sends on that takes the packing off."""
    return gzip.decompress(packed)
