"""What stands against an increase: brakes, unknown equity, a sick market, back-off, margin.

Pure. None of it ever stops a reduction.
"""

from core.attempts import margin_still_refused
from core.decision import Reason, View
from core.model import Mode


def obstacles(view: View, *, reopens: bool = False) -> tuple[Reason, ...]:
    """List everything that stands against an increase now; empty = it may go.

    `reopens`: what is held is closed first, so its margin mode stands against nothing.
    """
    found = list(view.blockers)
    if view.mode is Mode.PAUSE:
        found.append(Reason(code="paused", text=view.mode_reason))
    if view.equity_usdt is None:
        found.append(Reason(code="equity_unknown", text="the account's equity could not be read"))
    elif view.equity_usdt <= 0:
        found.append(Reason(code="no_equity", text=f"equity is {view.equity_usdt} USDT"))
    found.extend(_price_trouble(view))
    found.extend(_margin_mode_trouble(view, reopens=reopens))
    attempts = view.attempts
    if attempts.increase_not_before_ms > view.now_ms:
        wait_s = (attempts.increase_not_before_ms - view.now_ms + 999) // 1000
        found.append(
            Reason(code="backoff", text=f"next try in {wait_s} s: {attempts.increase_error}")
        )
    margin = attempts.margin
    if margin is not None and margin.was_shrunk:
        price = None if view.ticker is None else view.ticker.mark_price
        if margin_still_refused(margin, equity_usdt=view.equity_usdt, price=price):
            found.append(
                Reason(
                    code="margin",
                    text="refused for margin, also when shrunk to what is free; waits for a new "
                    "target, or for equity or price to move by 2 %",
                )
            )
    if view.instrument is not None and not view.instrument.is_trading:
        found.append(Reason(code="not_trading", text=f"{view.symbol} is not open for trading"))
    return tuple(found)


def has_other_margin_mode(view: View) -> bool:
    """Tell whether what is held has another margin mode than the account shall have."""
    wanted, has = view.margin_mode_wanted, view.margin_mode_held
    return wanted is not None and has not in (None, wanted) and bool(view.read_lots)


def _margin_mode_trouble(view: View, *, reopens: bool) -> tuple[Reason, ...]:
    wanted, has = view.margin_mode_wanted, view.margin_mode_held
    if wanted is not None and not view.sets_leverage:
        text = f"the account is in {has} margin, which is never changed: set margin_mode to keep"
        return (Reason(code="margin_mode", text=text),)
    if reopens or not has_other_margin_mode(view):
        return ()
    text = f"margin mode is {has}, {wanted} is configured: it changes while nothing is held"
    if view.attempts.reopened == wanted:
        text = f"margin mode is {has}, not {wanted}, although it was closed and opened again for it"
    return (Reason(code="margin_mode", text=text),)


def _price_trouble(view: View) -> tuple[Reason, ...]:
    ticker = view.ticker
    if ticker is None:
        return (Reason(code="no_price", text="no price within its age limit"),)
    mark = ticker.mark_price
    if ticker.bid_price is None or ticker.ask_price is None:
        return (Reason(code="no_quotes", text="bid or ask is unknown"),)
    if (ticker.ask_price - ticker.bid_price) / mark > view.policy.max_spread:
        text = f"spread {ticker.bid_price}..{ticker.ask_price} is over {view.policy.max_spread}"
        return (Reason(code="wide_spread", text=text),)
    last = ticker.last_price
    if last is not None and abs(last - mark) / mark > view.policy.max_mark_gap:
        text = f"last {last} is over {view.policy.max_mark_gap} from mark {mark}"
        return (Reason(code="mark_gap", text=text),)
    return ()
