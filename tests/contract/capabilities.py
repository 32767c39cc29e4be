"""What each venue can do: the table in the README, as `python -m tests.contract.capabilities` says.

Cells come from the venues' profiles; for each row a case of the suite compares its cells with what
it saw over HTTP (`Bench.shows`).
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from account_processors import venue_profiles
from account_processors.transport.profile import Profile
from tests.venues import WORDS

TITLES: Final = {"bybit": "Bybit", "blofin": "BloFin", "kucoin": "KuCoin", "mexc": "MEXC"}
NO: Final = "no"
YES: Final = "yes"


@dataclass(frozen=True, slots=True)
class Row:
    """One capability: what a venue's profile says of it, and the case that proves it."""

    case: str
    of: Callable[[Profile], str]


def _batch(profile: Profile) -> str:
    one_symbol = ", of one symbol" if profile.batches_one_symbol else ""
    return NO if profile.batch_size == 1 else f"{profile.batch_size}{one_symbol}"


def _mode_scope(profile: Profile) -> str:
    if profile.margin_mode is not None:
        return "account"
    return "symbol" if profile.sets_margin_mode else "position"


def _leverage(mode: str) -> Callable[[Profile], str]:
    def of(profile: Profile) -> str:
        count = len(profile.leverage_params(mode, False))
        return {0: "with the order", 1: "set before"}.get(count, f"set before, {count} requests")

    return of


def _dust(profile: Profile) -> str:
    return "close all" if profile.close_all is not None else "whole lots only"


def _demo(profile: Profile) -> str:
    return {"demo_trading": "demo trading", "sandbox": "demo host", "": NO}[profile.demo]


def _clock(profile: Profile) -> str:
    return "asked" if profile.server_time_ms else "Date header"


def _limits(profile: Profile) -> str:
    """Whether orders and reads of positions use up one budget of the account."""
    groups = ("order", profile.positions.group)
    budgets = [set(profile.costs.get(group, {group: 1})) for group in groups]
    return "in one pool" if budgets[0] & budgets[1] else "by endpoint"


def _key(profile: Profile) -> str:
    """What it says of one, beyond that it works."""
    fields = profile.key
    if fields is None:
        return NO
    told = {
        "trading": fields.read_only or fields.trades,
        "withdrawal": fields.withdraws,
        "end": fields.expires,
        "addresses": fields.ips,
    }
    return ", ".join(name for name, is_told in told.items() if is_told)


ROWS: Final[Mapping[str, Row]] = {
    "A lot is": Row(
        "TE-56", lambda p: "a contract" if p.instrument.contract_size else "a coin"
    ),
    "Orders in one request": Row("TE-22", _batch),
    "Look-up by client id": Row("TE-48", lambda p: f"{len(p.order_lookup)} places"),
    "Margin mode is kept by": Row("TE-30", _mode_scope),
    "Margin mode goes with orders": Row("TE-29", lambda p: YES if p.orders_bear_mode else NO),
    "Leverage, cross": Row("TE-26", _leverage("cross")),
    "Leverage, isolated": Row("TE-32", _leverage("isolated")),
    "Hedge mode": Row("TE-34", lambda p: "by side" if p.holds_sides else "opens nothing"),
    "Remainder below the minimum": Row("TE-70", _dust),
    "A close of more than is held": Row(
        "TE-05",
        lambda p: "is cut to it" if WORDS[p.exchange].cuts_closes else "is refused",
    ),
    "A liquidation is told as such": Row(
        "TE-47", lambda p: YES if p.order.liquidations or p.takings else NO
    ),
    "Mark price": Row("TE-57", lambda p: "told" if p.ticker.mark else "middle of the book"),
    "Venue's clock": Row("TE-58", _clock),
    "A request is valid for": Row("TE-61", lambda p: f"{p.request_window_s} s"),
    "An account's limits are kept": Row("TE-68", _limits),
    "Tells what is left of a limit": Row("TE-66", lambda p: YES if p.limit_headers else NO),
    "Maintenance has a code": Row("TE-69", lambda p: YES if "maintenance" in p.codes else NO),
    "Passphrase": Row("TE-64", lambda p: YES if "password" in p.credentials else NO),
    "Copy-trading accounts": Row(
        "TE-74", lambda p: NO if p.copy_trading is None else YES
    ),
    "Demo accounts": Row("TE-73", _demo),
    "Tells of an API key": Row("TE-75", _key),
    "Tells the fee of an order": Row("TE-77", lambda p: YES if p.order.fees else NO),
}  # fmt: skip


def cell(profile: Profile, capability: str) -> str:
    """What the table says of one venue."""
    return ROWS[capability].of(profile)


def table() -> list[str]:
    """The whole table, as Markdown."""
    profiles = venue_profiles()
    names = [TITLES.get(name, name) for name in profiles]
    lines = [
        f"| | {' | '.join(names)} | proved by |",
        f"|---|{'---|' * len(names)}---|",
    ]
    for capability, row in ROWS.items():
        cells = " | ".join(cell(profile, capability) for profile in profiles.values())
        lines.append(f"| {capability} | {cells} | {row.case} |")
    return lines


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")
