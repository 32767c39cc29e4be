"""SS58 addresses, so that made-up hotkeys pass every check of a real one. Pure."""

import hashlib
from typing import Final

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
PREFIX: Final = 42  # of every Bittensor key


def hotkey(seed: int, name: object) -> str:
    """Give the address of a made-up public key, with a correct checksum."""
    public = hashlib.blake2b(f"sn8:{seed}:{name}".encode(), digest_size=32).digest()
    body = bytes([PREFIX]) + public
    checksum = hashlib.blake2b(b"SS58PRE" + body, digest_size=64).digest()[:2]
    number = int.from_bytes(body + checksum)
    letters = ""
    while number:
        number, digit = divmod(number, 58)
        letters = ALPHABET[digit] + letters
    return letters  # the first byte is not zero: nothing to pad
