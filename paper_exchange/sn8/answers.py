"""An answer before it is sent, and the ones that are always the same. Pure."""

from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from paper_exchange.sn8.bodies import HTML, unpacked
from paper_exchange.sn8.faults import Misbehaviour

OK: Final = 200
FILES: Final = ("/miner-positions", "/statistics")
UPSTREAM_FAILURE: Final = "Internal server error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status with a body; `is_packed` = sent with Content-Encoding gzip."""

    status: int = OK
    body: bytes = b""
    is_packed: bool = False
    content_type: str = "application/json"


def json_answer(document: Any) -> Answer:  # noqa: ANN401 - any JSON value
    """Something that was found."""
    return Answer(body=orjson.dumps(document))


def error(status: int, text: str) -> Answer:
    """An error as the validator words it."""
    return Answer(status=status, body=orjson.dumps({"error": text}))


def file_answer(packed: bytes | None, otherwise: str) -> Answer:
    """A packed file, or 404 where it was not built yet."""
    return error(404, otherwise) if packed is None else Answer(body=packed, is_packed=True)


def as_raw(answer: Answer) -> Answer:
    """The same answer unpacked."""
    return (
        replace(answer, body=unpacked(answer.body), is_packed=False) if answer.is_packed else answer
    )


def refused(path: str, faults: dict[str, Misbehaviour]) -> Answer | None:
    """What is said instead, whoever asks; None = nothing is wrong in this way."""
    if "http_status" in faults:
        params = faults["http_status"].params
        status, body = int(params["status"]), str(params["body"])
        if body:
            return Answer(status=status, body=body.encode(), content_type="text/plain")
        return error(status, "An error occurred processing your request")
    if "not_built" in faults and path.rstrip("/") in FILES:
        return error(404, "Data not found")
    return next((answer for kind, answer in CANNED.items() if kind in faults), None)


CANNED: Final = {
    "rate_limited": error(403, "Unauthorized: Rate limited"),
    "upstream_failure": error(500, UPSTREAM_FAILURE),
    "html": Answer(body=HTML.encode(), content_type="text/html"),
}
