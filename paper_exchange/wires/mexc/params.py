"""What the requests to MEXC have in common: contracts, modes, pages, client ids."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from paper_exchange.account import AccountState, Position
from paper_exchange.instruments import PaperInstrument
from paper_exchange.orders import MarginMode
from paper_exchange.rest import Params, whole
from paper_exchange.wire import Call
from paper_exchange.wires.mexc.codes import (
    LONG_CLIENT_ID,
    NO_CONTRACT,
    WRONG_OPEN_TYPE,
    WRONG_POSITION_TYPE,
    refused,
)

Row = dict[str, Any]
T = TypeVar("T")

ISOLATED, CROSS = 1, 2  # openType
LONG, SHORT = 1, 2  # positionType
MODES = {ISOLATED: MarginMode.ISOLATED, CROSS: MarginMode.CROSS}
PAGE, MOST = 20, 100  # rows
MAX_CLIENT_ID = 32


def contract_of(call: Call, params: Params) -> PaperInstrument:
    """The contract that `symbol` names. Raises VenueError."""
    found = call.instruments.by_id.get(str(params.get("symbol", "")))
    if found is None:
        raise refused(NO_CONTRACT)
    return found


def wanted_symbol(call: Call, params: Params) -> str | None:
    """Our name of the contract asked for, None for all."""
    return contract_of(call, params).symbol if params.get("symbol") else None


def mode_of(params: Params) -> MarginMode:
    """The margin mode that `openType` says. Raises VenueError."""
    mode = MODES.get(whole(params, "openType", "0"))
    if mode is None:
        raise refused(WRONG_OPEN_TYPE)
    return mode


def position_type_of(params: Params) -> int:
    """Whether `positionType` is long or short. Raises VenueError."""
    kind = whole(params, "positionType", "0")
    if kind not in {LONG, SHORT}:
        raise refused(WRONG_POSITION_TYPE)
    return kind


def type_of(lots: Decimal) -> int:
    """The positionType of a signed size."""
    return LONG if lots > 0 else SHORT


def client_id_of(params: Params) -> str:
    """The client's own id of an order, "" for none. Raises VenueError."""
    client_id = str(params.get("externalOid") or "")
    if len(client_id) > MAX_CLIENT_ID:
        raise refused(LONG_CLIENT_ID)
    return client_id


def held_for(state: AccountState, symbol: str, position_type: int) -> Position | None:
    """What is held on that side: of its own in hedge mode, else the net if it has the sign."""
    held = state.position(symbol, position_type if state.is_hedged() else 0)
    return held if held and type_of(held.size_lots) == position_type else None


def leverage_for(
    state: AccountState, instrument: PaperInstrument, position_type: int, mode: MarginMode
) -> Decimal:
    """The leverage in force for a side under a mode.

    The venue keeps one for each, in one-way mode too; what is held has the leverage it has.
    """
    modes = {**state.margin_modes, instrument.symbol: mode}
    held = held_for(state, instrument.symbol, position_type)
    index = held.side_index if held else position_type
    return replace(state, margin_modes=modes).leverage(instrument, index)


def page(found: Sequence[T], params: Params) -> list[T]:
    """The rows of `page_num` (from 1), `page_size` of them."""
    size = max(1, min(MOST, whole(params, "page_size", str(PAGE))))
    start = (max(1, whole(params, "page_num", "1")) - 1) * size
    return list(found[start : start + size])
