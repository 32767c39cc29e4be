"""Orders that rest at a venue although ours should not: lost ones of ours, and other engines'."""

from collections.abc import Sequence

from core.errors import TradeEngineError
from core.intents import engine_of
from core.lanes.account_desk import AccountDesk
from core.model import Mode, OrderState

RETRY_EARLIER_MS = 540_000  # of the ten minutes between two looks
CANCEL_EARLIER_MS = 590_000  # after a cancel that failed


async def review_open_orders(desk: AccountDesk) -> None:
    """Trip the account for another engine's order; cancel ours that the journal does not know."""
    try:
        states = await desk.venue.fetch_open_orders()
    except TradeEngineError as error:
        desk.events.emit("open_orders_failed", f"{error}", severity="warning", account=desk.name)
        desk.open_orders_read_at_ms -= RETRY_EARLIER_MS
        return
    desk.open_orders_read_at_ms = desk.now_ms()
    is_cancelled = True
    notice_strangers(desk, states)
    for state in states:
        is_known = any(i.client_id == state.client_id for i in desk.ledger(state.symbol).open)
        if engine_of(state.client_id) == desk.engine_id and not is_known:
            is_cancelled &= await cancel_order(desk, state.symbol, state.client_id)
    if not is_cancelled:
        desk.open_orders_read_at_ms -= CANCEL_EARLIER_MS


def notice_strangers(desk: AccountDesk, states: Sequence[OrderState]) -> None:
    """Trip the account when an order bears another engine's id (A25)."""
    since_ms = desk.strangers_since_ms()
    for state in states:
        is_old = state.updated_at_ms is not None and state.updated_at_ms < since_ms
        engine = engine_of(state.client_id)
        if engine is None or engine == desk.engine_id or (is_old and state.is_terminal):
            continue
        desk.trip(
            "second_engine",
            f"orders of another engine ({engine}) on {desk.name}: stop it, then "
            f"`trade-engine resume --account {desk.name}`",
        )
        return


async def cancel_order(desk: AccountDesk, symbol: str, client_id: str) -> bool:
    """Ask for a cancel, unless a brake says that nothing may be sent; False = it failed."""
    brakes = desk.gate.brakes(desk.name, symbol)
    if brakes.mode is Mode.HALT or brakes.is_dry_run:
        return True
    try:
        await desk.venue.cancel_order(symbol, client_id)
    except TradeEngineError as error:
        desk.events.emit(
            "cancel_failed", f"{error}", severity="warning", account=desk.name, symbol=symbol
        )
        return False
    return True
