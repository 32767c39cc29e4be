"""Whether a text is an SS58 address, so that an invented or damaged hotkey is never followed.

Pure; the `bittensor` package could tell too, but takes a second to import and stays out of here.
"""

from hashlib import blake2b
from typing import Final

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
VALUES: Final = {letter: value for value, letter in enumerate(ALPHABET)}
KEY_BYTES: Final = 32
CHECKSUM_BYTES: Final = 2
LENGTHS: Final = range(46, 50)
PREFIX: Final = 42  # of every Bittensor key


def is_ss58(text: str) -> bool:
    """Tell whether a text is a Bittensor key with a correct checksum."""
    if len(text) not in LENGTHS:
        return False
    number = 0
    for letter in text:
        value = VALUES.get(letter)
        if value is None:
            return False
        number = number * 58 + value
    try:
        raw = number.to_bytes(1 + KEY_BYTES + CHECKSUM_BYTES)
    except OverflowError:
        return False
    body, checksum = raw[:-CHECKSUM_BYTES], raw[-CHECKSUM_BYTES:]
    digest = blake2b(b"SS58PRE" + body, digest_size=64).digest()
    return body[0] == PREFIX and digest[:CHECKSUM_BYTES] == checksum
