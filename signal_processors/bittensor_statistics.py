"""What the validator says about miners rather than positions: `/statistics` and `/eliminations`.

Pure: bytes in, values out. Ranking can do without; so what is missing or odd is left out, never
made up.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Final

import msgspec

from signal_processors.bittensor_model import MS_A_DAY, MinerStatistics, Statistics
from signal_processors.bittensor_payload import UNREADABLE, PayloadError, decoded, printable

SMALLEST_MULTIPLIER: Final = 0.5


class _Row(msgspec.Struct, gc=False):
    hotkey: str
    challengeperiod: msgspec.Raw = msgspec.Raw(b"{}")
    daily_returns: msgspec.Raw = msgspec.Raw(b"[]")
    drawdowns: msgspec.Raw = msgspec.Raw(b"{}")
    penalties: msgspec.Raw = msgspec.Raw(b"{}")


class _Statistics(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]
    created_timestamp_ms: int


class _Status(msgspec.Struct, gc=False):
    status: str | None = None


class _Return(msgspec.Struct, gc=False):
    date: str
    value: float


class _Drawdowns(msgspec.Struct, gc=False):
    instantaneous_max_drawdown: float | None = None


class _Penalties(msgspec.Struct, gc=False):
    total: float | None = None


class _Elimination(msgspec.Struct, gc=False):
    hotkey: str
    reason: str | None = None


_statistics = msgspec.json.Decoder(_Statistics)
_row = msgspec.json.Decoder(_Row)
_status = msgspec.json.Decoder(_Status)
_returns = msgspec.json.Decoder(list[_Return])
_drawdowns = msgspec.json.Decoder(_Drawdowns)
_penalties = msgspec.json.Decoder(_Penalties)
_eliminations = msgspec.json.Decoder(list[msgspec.Raw])
_elimination = msgspec.json.Decoder(_Elimination)
_elimination_table = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_statistics(body: bytes) -> Statistics:
    """Read `/statistics`; a miner whose row is unreadable is left out. Raises PayloadError."""
    try:
        whole = decoded(_statistics, body)
    except UNREADABLE as error:
        raise PayloadError("not_json", f"statistics is not understood: {error}") from error
    found: dict[str, MinerStatistics] = {}
    for raw in whole.data:
        try:
            row = _row.decode(raw)
            found[row.hotkey] = _miner_statistics(row)
        except (*UNREADABLE, ValueError):
            continue
    return Statistics(created_at_ms=whole.created_timestamp_ms, miners=found)


def read_eliminations(body: bytes) -> dict[str, str]:
    """Read `/eliminations`, a list or an object that holds one: reasons by hotkey.

    A row that is unreadable is left out. Raises PayloadError.
    """
    try:
        if body.lstrip()[:1] == b"{":
            body = bytes(decoded(_elimination_table, body)["eliminations"])
        rows = decoded(_eliminations, body)
    except (*UNREADABLE, KeyError) as error:
        raise PayloadError("not_json", f"eliminations is not understood: {error}") from error
    found: dict[str, str] = {}
    for raw in rows:
        try:
            row = _elimination.decode(raw)
        except UNREADABLE:
            continue
        found[row.hotkey] = printable(row.reason or "eliminated")
    return found


def _miner_statistics(row: _Row) -> MinerStatistics:
    fall = _drawdowns.decode(row.drawdowns).instantaneous_max_drawdown
    penalty = _penalties.decode(row.penalties).total
    return MinerStatistics(
        hotkey=row.hotkey,
        bucket=(_status.decode(row.challengeperiod).status or "").lower(),
        daily_returns=tuple(sorted(_days(row.daily_returns).items())),
        drawdown=_as_fall(fall),
        penalty=penalty if penalty is not None and 0 <= penalty <= 1 else None,
    )


def _days(raw: msgspec.Raw) -> Mapping[int, float]:
    found: dict[int, float] = {}
    for day in _returns.decode(raw):
        at = datetime.strptime(day.date, "%Y-%m-%d").replace(tzinfo=UTC)
        if isfinite(day.value):
            found[int(at.timestamp() * 1000) // MS_A_DAY] = day.value / 100
    return found


def _as_fall(value: float | None) -> float | None:
    """Read a drawdown; older validators give what is left (0.97), newer ones the fall (0.03).

    A miner that lost half is eliminated long before, so the two cannot be confused; 0 is what a
    validator says that has no history of the miner.
    """
    if value is None or not 0 < value <= 1:
        return None
    return 1 - value if value > SMALLEST_MULTIPLIER else value
