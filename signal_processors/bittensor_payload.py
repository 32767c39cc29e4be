"""The validator's JSON as values: lenient about what is new, strict about what is traded on.

Pure: bytes in, values out. One unreadable miner is dropped and told, never taken for a flat one;
a payload that cannot be read at all raises. Orders are read of open positions only: they are most
of the bytes.
"""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Final, TypeVar

import msgspec

from core.errors import TradeEngineError
from signal_processors.bittensor_exposure import LIVE_TIER, is_live
from signal_processors.bittensor_model import (
    ClosedTrade,
    Miner,
    MinerPosition,
    Snapshot,
)
from signal_processors.bittensor_ss58 import is_ss58

Decoded = TypeVar("Decoded")

FUTURE_MS: Final = 60_000
"""How far a time may lie ahead of our clock."""
HIGHEST_LEVERAGE: Final = 500.0  # that any pair ever had
HIGHEST_TRADED: Final = 20.0
"""That a crypto pair ever had. Beyond today's limit a position counts as full, not as damaged: the
network may raise its limit at any time."""
LONGEST_NAME: Final = 100
LONGEST_SHOWN: Final = 80
SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
MOST_DIGITS: Final = 10  # of the number behind an entity's key
SIGNS: Final = {"LONG": 1, "SHORT": -1}


class PayloadError(TradeEngineError):
    """A whole payload cannot be read; `code` says why in one word."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class _BadMinerError(Exception):
    """Something of one miner is wrong; the text says what."""


class _Order(msgspec.Struct, gc=False):
    processed_ms: int


class _Position(msgspec.Struct, gc=False):
    position_uuid: str
    trade_pair: msgspec.Raw
    is_closed_position: bool
    net_leverage: float
    open_ms: int
    close_ms: int | None = None
    return_at_close: float | None = None
    position_type: str | None = None
    miner_hotkey: str | None = None
    orders: msgspec.Raw = msgspec.Raw(b"[]")


class _Miner(msgspec.Struct, gc=False):
    positions: list[_Position]


_top = msgspec.json.Decoder(dict[str, msgspec.Raw])
_miner = msgspec.json.Decoder(_Miner)
_position = msgspec.json.Decoder(_Position)
_orders = msgspec.json.Decoder(list[_Order])
_pair = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What a position is held against; `pairs` are those that may be traded on.

    `tier` is that of the API key: below 100 an open position that is not sampled is a day old. It
    is left out, for its miner may long have closed it and opened another.
    """

    pairs: Collection[str]
    now_ms: int
    tier: int = LIVE_TIER


def read_positions(body: bytes, judge: Judge) -> Snapshot:
    """Read `/miner-positions`. Raises PayloadError when it is no JSON object of miners."""
    try:
        rows = decoded(_top, body)
    except UNREADABLE as error:
        raise PayloadError("not_json", f"miner-positions is no JSON object: {error}") from error
    miners: dict[str, Miner] = {}
    dropped: dict[str, str] = {}
    reading = _Reading(judge)
    for hotkey, raw in rows.items():
        try:
            miners[hotkey] = reading.miner(hotkey, raw)
        except _BadMinerError as error:
            dropped[printable(hotkey)] = str(error)
    for hotkey in _copying(miners.values()):
        dropped[hotkey] = "duplicate: a position of the same id is another miner's too"
        del miners[hotkey]
    return Snapshot(miners=miners, dropped=dropped, watermark_ms=reading.watermark_ms)


def read_push(raw: bytes, judge: Judge) -> MinerPosition:
    """Read one position as the websocket pushes it. Raises PayloadError."""
    try:
        row = _position.decode(raw)
    except UNREADABLE as error:
        raise PayloadError("bad_position", f"a pushed position is unreadable: {error}") from error
    hotkey = row.miner_hotkey or ""  # which is no key
    try:
        _check_hotkey(hotkey)
        return _Reading(judge).position(hotkey, row)
    except _BadMinerError as error:
        raise PayloadError("bad_position", f"a pushed position is not usable: {error}") from error


def decoded(decoder: msgspec.json.Decoder[Decoded], body: bytes) -> Decoded:
    """Decode a whole payload, halves of characters in it replaced.

    Ids come from the miners: one of them must not make everybody unreadable. Raises `UNREADABLE`.
    """
    try:
        return decoder.decode(body)
    except UNREADABLE:
        whole, count = SURROGATE.subn(b"?", body)
        if not count:
            raise
        return decoder.decode(whole)


def printable(text: str) -> str:
    """Make a stranger's text fit to be shown: short, and without control characters."""
    return ascii(text[:LONGEST_SHOWN])[1:-1]


class _Reading:
    """One payload while it is read."""

    def __init__(self, judge: Judge) -> None:
        self.watermark_ms = 0
        self._judge = judge
        self._latest_ms = judge.now_ms + FUTURE_MS
        self._pairs: dict[bytes, str] = {}

    def miner(self, hotkey: str, raw: msgspec.Raw) -> Miner:
        _check_hotkey(hotkey)
        try:
            rows = _miner.decode(raw).positions
        except UNREADABLE as error:
            raise _BadMinerError(f"unreadable: {str(error)[:200]}") from error
        positions: list[MinerPosition] = []
        trades: list[ClosedTrade] = []
        for row in rows:
            if row.is_closed_position:
                trades.append(self._trade(hotkey, row))
            else:
                positions.append(self.position(hotkey, row))
        trades.sort(key=lambda trade: trade.closed_at_ms)
        positions = [one for one in positions if is_live(one.uuid, self._judge.tier)]
        _refuse_two_open(positions)
        return Miner(hotkey=hotkey, positions=tuple(positions), trades=tuple(trades))

    def position(self, hotkey: str, row: _Position) -> MinerPosition:
        """Take an open position, or one that was just closed."""
        pair = self._checked(hotkey, row)
        updated_at_ms = self._updated(row)
        self.watermark_ms = max(self.watermark_ms, updated_at_ms)
        if not row.is_closed_position:
            self._check_leverage(row, pair)
        return MinerPosition(
            hotkey=hotkey,
            uuid=row.position_uuid,
            pair=pair,
            net_leverage=Decimal(repr(row.net_leverage)),
            opened_at_ms=row.open_ms,
            updated_at_ms=updated_at_ms,
            is_closed=row.is_closed_position,
        )

    def _trade(self, hotkey: str, row: _Position) -> ClosedTrade:
        pair = self._checked(hotkey, row)
        if row.return_at_close is None or not isfinite(row.return_at_close):
            raise _BadMinerError("no_result: a closed position has no result")
        if row.close_ms is None or not 0 < row.close_ms <= self._latest_ms:
            raise _BadMinerError("time: a closed position has no time of closing, or a future one")
        self.watermark_ms = max(self.watermark_ms, row.close_ms)
        return ClosedTrade(
            uuid=row.position_uuid,
            pair=pair,
            opened_at_ms=row.open_ms,
            closed_at_ms=row.close_ms,
            result=row.return_at_close,
        )

    def _checked(self, hotkey: str, row: _Position) -> str:
        """Check what open and closed positions share; give the pair."""
        if row.miner_hotkey is not None and row.miner_hotkey != hotkey:
            raise _BadMinerError("other_hotkey: a position names another miner")
        if not 0 < len(row.position_uuid) <= LONGEST_NAME:
            raise _BadMinerError("no_id: a position has no usable id")
        if not 0 < row.open_ms <= self._latest_ms:
            raise _BadMinerError("time: a position was opened in the future, or never")
        if row.is_closed_position and row.net_leverage != 0:
            raise _BadMinerError("closed_with_leverage: a closed position still has leverage")
        return self._pair(row.trade_pair)

    def _pair(self, raw: msgspec.Raw) -> str:
        key = bytes(raw)
        known = self._pairs.get(key)
        if known is None:
            try:
                known = _text.decode(_pair.decode(key)[0])
            except (*UNREADABLE, IndexError) as error:
                raise _BadMinerError("no_pair: a position does not name its pair") from error
            if not 0 < len(known) <= LONGEST_NAME:
                raise _BadMinerError("no_pair: a position does not name its pair")
            self._pairs[key] = known
        return known

    def _updated(self, row: _Position) -> int:
        try:
            times = [order.processed_ms for order in _orders.decode(row.orders)]
        except UNREADABLE as error:
            raise _BadMinerError(f"orders: {str(error)[:200]}") from error
        updated_at_ms = max(times, default=row.open_ms)
        if not 0 < updated_at_ms <= self._latest_ms:
            raise _BadMinerError("time: an order was processed in the future, or never")
        return updated_at_ms

    def _check_leverage(self, row: _Position, pair: str) -> None:
        highest = HIGHEST_TRADED if pair in self._judge.pairs else HIGHEST_LEVERAGE
        if not abs(row.net_leverage) <= highest:
            shown = f"{row.net_leverage} of {printable(pair)}"
            raise _BadMinerError(f"leverage: {shown} is out of all bounds")
        side = (row.net_leverage > 0) - (row.net_leverage < 0)
        kind = row.position_type
        if kind is not None and side and SIGNS.get(kind) != side:
            shown = f"{printable(kind)} with a net leverage of {row.net_leverage}"
            raise _BadMinerError(f"side: {shown}")


def _check_hotkey(hotkey: str) -> None:
    parent, separator, number = hotkey.partition("_")
    is_number = number.isascii() and number.isdecimal() and len(number) <= MOST_DIGITS
    if not is_ss58(parent) or (separator and not is_number):
        raise _BadMinerError("hotkey: not a Bittensor key")


def _refuse_two_open(positions: list[MinerPosition]) -> None:
    counts = Counter(position.pair for position in positions)
    twice = next((pair for pair, count in counts.items() if count > 1), None)
    if twice is not None:
        raise _BadMinerError(f"two_open: {counts[twice]} open positions of {printable(twice)}")


def _copying(miners: Collection[Miner]) -> set[str]:
    """Name the miners that show an open position which is another's: who opened it later copied.

    Where nobody was first, nobody is believed.
    """
    first: dict[str, MinerPosition] = {}
    copying: set[str] = set()
    for position in (position for miner in miners for position in miner.positions):
        other = first.setdefault(position.uuid, position)
        if other.hotkey == position.hotkey:
            continue
        if position.opened_at_ms < other.opened_at_ms:
            first[position.uuid] = position
        copying |= {
            one.hotkey
            for one in (position, other)
            if one is not first[position.uuid] or position.opened_at_ms == other.opened_at_ms
        }
    return copying
