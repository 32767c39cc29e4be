"""In which forms one secret may stand in a log: escaped, quoted for an address, encoded.

Pure; what a form is masked by is not its business.
"""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

SHORTEST_ENCODED: Final = 6
"""Bytes of a secret whose encoded forms are looked for: those of a shorter one stand by chance."""
ESCAPE: Final = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)
LEFT_ALONE: Final = ("", "/", "/:", "!'()*", "/:@", "/:+=", "=", "+/=")
"""What the ones and the others do not quote in an address."""


def forms_of(secret: str) -> set[str]:
    """Give the secret in all its forms, those with percent escapes in capitals too."""
    texts = {secret, *_addressed(secret), *_written(secret)}
    if len(secret.encode()) >= SHORTEST_ENCODED:
        texts.update(encoded_forms(secret))
    return texts | {ESCAPE.sub(lambda found: found[0].upper(), text) for text in texts}


def encoded_forms(secret: str) -> set[str]:
    """Give it in hex and base64, also where it is a part of what was encoded."""
    content = secret.encode()
    forms = {content.hex(), content.hex().upper()}
    for encode in (b64encode, urlsafe_b64encode):
        whole = encode(content).decode()
        forms |= {whole, whole.rstrip("="), quote(whole, safe="")}
        for before in range(3):
            # what does not hang on the bytes around it; six bits a character
            inner = encode(bytes(before) + content).decode()
            forms.add(inner[-(-before * 8 // 6) : (before + len(content)) * 8 // 6])
    return forms


def _addressed(secret: str) -> Iterator[str]:
    for safe in LEFT_ALONE:
        for once in (quote(secret, safe=safe), quote_plus(secret, safe=safe)):
            yield once
            yield quote(once, safe="")


def _written(secret: str) -> Iterator[str]:
    """JSON within JSON within JSON, as Python writes it, and with escaped slashes."""
    yield repr(secret)[1:-1]
    for is_ascii in (True, False):
        text = secret
        for _ in range(3):
            text = json.dumps(text, ensure_ascii=is_ascii)[1:-1]
            yield text
            yield text.replace("/", "\\/")
