"""Gathers what is known of one symbol at one moment of a pass into the value that decides."""

from core.decision import Policy, View
from core.lanes.account_desk import AccountDesk
from core.lanes.pass_state import PassState
from core.lanes.scope import blockers_of, mode_of
from core.ledger import Trust


def view_of(desk: AccountDesk, state: PassState, symbol: str, policy: Policy) -> View:
    """Look at one symbol as the pass knows it now."""
    snapshot, equity = state.snapshot, state.snapshot.equity
    mode, mode_reason = mode_of(desk, symbol)
    margin_mode = desk.account.margin_mode
    known_mode = desk.mode.margin_mode if desk.mode is not None else None
    row = None if state.read is None else state.read.positions.get(symbol)
    own_mode = desk.margin_modes.get(symbol) if row is None else row.margin_mode
    return View(
        symbol=symbol,
        now_ms=desk.now_ms(),
        wall_ms=desk.wall_ms(),
        mode=mode,
        mode_reason=mode_reason,
        target=state.targets.get(symbol),
        frozen=state.frozen.get(symbol),
        ledger=desk.ledger(symbol),
        trust=state.trust.get(symbol, Trust.UNREADABLE),
        read_lots=None if state.read is None else state.read.size_lots(symbol),
        instrument=snapshot.instruments.get(symbol),
        lists_instruments=bool(snapshot.instruments),
        ticker=snapshot.tickers.get(symbol),
        last_price=desk.market.last_price(symbol),
        leverage_held=desk.known_leverage(symbol),
        sets_leverage=known_mode != "portfolio",
        equity_usdt=None if equity is None else equity.equity_usdt,
        free_margin_usdt=None if equity is None else equity.free_margin_usdt,
        attempts=desk.attempts_of(symbol),
        blockers=blockers_of(desk),
        policy=policy,
        margin_mode_wanted=None if margin_mode == "keep" else margin_mode,
        margin_mode_held=own_mode or known_mode,
        allows_reopen=desk.account.allow_reopen,
        both_sides=None if state.read is None else state.read.both_sides.get(symbol),
    )
