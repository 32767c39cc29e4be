"""What can go wrong with a flatten: every fault, at every door, for so long, in every situation."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.venues import WORDS, Door, VenueWords

LYING: Final = {"empty", "stale", "fields"}  # of what they say, nothing can be compared

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run."""

    venue: str
    situation: str
    is_living: bool  # an engine lives; else the command is its own
    kind: str
    params: Params
    place: str
    often: str

    def __str__(self) -> str:
        who = "living" if self.is_living else "own"
        fault = f"{self.kind}{dict(self.params) or ''}"
        return f"{self.venue} {self.situation} {who}: {fault} at {self.place} {self.often}"


NO_ANSWER: Final[list[tuple[str, Params]]] = [
    ("drop_before", {}),
    ("drop_after", {}),
    ("hang_after", {"s": 4}),
    ("hang_after", {}),
    ("latency", {"ms": 2600}),
    ("latency", {"ms": 18_000}),
    ("http", {"status": 502}),
    ("http", {"status": 500, "booked": True}),
    ("garbage", {"shape": "html"}),
    ("garbage", {"shape": "truncated"}),
    ("garbage", {"shape": "empty"}),
    ("maintenance", {}),
    ("rate_limit", {}),
    ("refuse", {"code": "unknown"}),
    ("refuse", {"code": "key"}),
]
LIES: Final[list[tuple[str, Params]]] = [
    ("empty", {}),
    ("stale", {"lag_ms": 3000}),
    ("stale", {}),
    ("fields", {"values": dict.fromkeys(("size", "positions", "currentQty", "holdVol"), "x")}),
]
OF_ALL: Final[list[tuple[str, Params]]] = [
    *NO_ANSWER,
    ("ip_ban", {}),
    ("clock_skew", {"ms": 2000}),
    ("clock_skew", {"ms": -40_000}),
]
OF_ORDERS: Final[list[tuple[str, Params]]] = [
    ("reject_order", {"code": "margin"}),
    ("reject_order", {"code": "price"}),
    ("reject_order", {"code": "nothing_to_reduce"}),
    ("reject_order", {"code": "size"}),
    ("reject_order", {"code": "unknown"}),
    ("late_reject", {"reason": "margin"}),
    ("late_reject", {"reason": "price_range"}),
    ("partial_fill", {"fraction": "0.4"}),
    ("partial_fill", {"fraction": "0"}),
    ("fill_delay", {"ms": 1500}),
    ("fill_delay", {"ms": 7000}),
]
FAULTS: Final[Mapping[str, list[tuple[str, Params]]]] = {
    "orders": [*NO_ANSWER, *OF_ORDERS],
    "positions": [*NO_ANSWER, *LIES],
    "wallet": [*NO_ANSWER, ("empty", {})],
    "tickers": [*NO_ANSWER, ("empty", {})],
    "instruments": [*NO_ANSWER, ("empty", {})],
    "clock": NO_ANSWER,
    "look-up": [*NO_ANSWER, ("empty", {})],
    "other look-up": [*NO_ANSWER, ("empty", {})],
    "cancel": NO_ANSWER,
    "everything": OF_ALL,
}
HOW_OFTEN: Final[Mapping[str, Params]] = {
    "once": {"count": 1},
    "three times": {"count": 3},
    "for 20 s": {},
    "for ever": {},
}


def door_of(words: VenueWords, place: str) -> Params:
    """The fields of a fault that name a place; an account where it has a key."""
    doors = {
        "orders": Door("POST", words.placing),
        "positions": words.positions,
        "wallet": words.wallet,
        "tickers": words.tickers,
        "instruments": words.instruments,
        "clock": words.time,
        "look-up": words.look_up[0],
        "other look-up": words.look_up[-1],
        "cancel": words.cancel,
    }
    return {} if place == "everything" else doors[place].fault


def fault_of(case: Case) -> dict[str, Any]:
    """The fault of a case as the table takes it, but for how often."""
    words, params = WORDS[case.venue], dict(case.params)
    if "code" in params:
        params["code"] = words.codes[params["code"]]
    is_of_order = (case.kind, case.params) in OF_ORDERS
    where = {} if is_of_order else door_of(words, case.place)
    return {"kind": case.kind, **params, **where}


def all_cases(venues: Sequence[str], situations: Sequence[str]) -> list[Case]:
    """Every case there is, in a fixed order."""
    return [
        Case(
            venue=venue,
            situation=situation,
            is_living=is_living,
            kind=kind,
            params=params,
            place=place,
            often=often,
        )
        for venue in venues
        for situation in situations
        for is_living in (True, False)
        for place, faults in FAULTS.items()
        for kind, params in faults
        for often in HOW_OFTEN
    ]


def chosen(cases: list[Case], count: int, seed: int = 0) -> list[Case]:
    """Choose so many that many pairs of what they vary in are among them."""
    order = random.Random(seed)
    order.shuffle(cases)
    seen: set[tuple[str, ...]] = set()
    picked: list[Case] = []
    taken: set[int] = set()
    for least in (8, 6, 4, 2, 1, 0):
        for case in cases:
            if len(picked) == count:
                return picked
            pairs = _pairs(case)
            if len(pairs - seen) >= least and id(case) not in taken:
                seen |= pairs
                picked.append(case)
                taken.add(id(case))
    return picked


def _pairs(case: Case) -> set[tuple[str, ...]]:
    fault, who = f"{case.kind}{case.params}", f"living {case.is_living}"
    values = (case.venue, case.situation, who, fault, case.place, case.often)
    return {(a, b) for i, a in enumerate(values) for b in values[i + 1 :]}
