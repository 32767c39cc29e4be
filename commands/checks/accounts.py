"""What is to be said of one account: its key, clock, modes and money. Pure: facts in, findings out.

Rights that the venue does not tell are unknown, never good.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from account_processors.probing import KeyProbe
from commands.checks.findings import Finding, Place
from core.clock import utc_minute
from core.model import AccountMode
from core.settings import AccountConfig

DAY_MS: Final = 86_400_000
EXPIRY_TOLD_DAYS: Final = 14
"""Days before a key's end from which on it is told; the last week and the last day more loudly."""
SKEW_WARN_MS: Final = 1_000
SKEW_FAIL_MS: Final = 5_000
PROOF: Final = "./trade-engine test-trade proves it"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSeen:
    """One account as it was read."""

    account: AccountConfig
    probe: KeyProbe
    is_armed: bool


def judge_account(
    seen: AccountSeen, *, now_ms: int, allows_withdrawal: bool = False
) -> Iterator[Finding]:
    """Judge everything but the markets; an account that cannot be read gives one failure."""
    probe, place = seen.probe, Place(where=seen.account.name)
    yield _mode(place, seen)
    if probe.error:
        remedy = "" if probe.is_refused else " (trying again may help)"
        yield place.fail("key", f"{probe.error}{remedy}")
    else:
        yield place.ok("key", f"valid: it may read the {seen.account.exchange} account")
        yield from _rights(place, seen, allows_withdrawal=allows_withdrawal)
        yield from _bounds(place, seen, now_ms)
    if probe.skew_ms is not None:
        yield _clock(place, probe.skew_ms)
    if probe.mode is not None:
        yield _position_mode(place, probe.mode)
        yield _margin_mode(place, seen.account, probe.mode)
    if not probe.error:
        yield _money(place, probe)


def _mode(place: Place, seen: AccountSeen) -> Finding:
    account = seen.account
    if account.is_elsewhere and account.environment != "live":
        host = urlsplit(account.base_url or "").hostname
        text = (
            f"{account.environment}, but base_url is {host}: if that is the venue itself, this is "
            f"real money; it is dry-run until ./trade-engine arm {account.name}"
        )
        return place.warn("trading", text)
    if account.environment != "live":
        return place.ok("trading", f"{account.environment}: no real money")
    if seen.is_armed:
        return place.ok("trading", "live and armed: orders are sent, with real money")
    text = f"live, dry-run: nothing is sent until ./trade-engine arm {account.name}"
    return place.ok("trading", text)


def _rights(place: Place, seen: AccountSeen, *, allows_withdrawal: bool) -> Iterator[Finding]:
    facts, exchange = seen.probe.facts, seen.account.exchange
    if seen.probe.facts_error:
        text = f"they could not be read, so nobody knows: {seen.probe.facts_error}"
        say = place.fail if seen.account.needs_arming else place.warn  # only there they matter
        yield say("rights", text)
        return
    silence = f"{exchange} does not tell"
    if facts.can_read is False:  # equity was read all the same
        yield place.warn("right to read", f"{exchange} does not list it: allow reading")
    if facts.can_trade is None:
        yield place.unknown("right to trade", f"{silence}: {PROOF}")
    elif facts.can_trade:
        yield place.ok("right to trade", "yes")
    else:
        text = f"the key may not trade futures: allow it on {exchange}'s page, or make another"
        yield place.fail("right to trade", text)
    if facts.can_withdraw is None:
        text = f"{silence}: look at the key on {exchange}'s page"
        yield place.unknown("right to withdraw", text)
    elif not facts.can_withdraw:
        yield place.ok("right to withdraw", "no, as it should be")
    elif allows_withdrawal:
        yield place.warn("right to withdraw", "yes, which --allow-withdraw-keys lets pass")
    else:
        text = "whoever has this key can take the money: make one without, or, if it must be so,"
        yield place.fail("right to withdraw", f"{text} say --allow-withdraw-keys")


def _bounds(place: Place, seen: AccountSeen, now_ms: int) -> Iterator[Finding]:
    facts = seen.probe.facts
    if facts.expires_at_ms is not None:
        yield _end(place, facts.expires_at_ms, now_ms)
    if facts.allowed_ips:
        yield place.ok("addresses", f"bound to {', '.join(facts.allowed_ips)}")
    elif facts.allowed_ips is None:
        pass  # it is not told, and nothing depends on it
    elif seen.account.environment == "paper":
        yield place.ok("addresses", "from everywhere, on paper")
    else:
        yield place.warn("addresses", "from everywhere: bind the key to this host's address")


def _end(place: Place, expires_at_ms: int, now_ms: int) -> Finding:
    left_days = (expires_at_ms - now_ms) / DAY_MS
    at = utc_minute(expires_at_ms)
    if left_days <= 0:
        return place.fail("key's end", f"it ended at {at}: make a new key")
    if left_days <= 1:
        return place.warn("key's end", f"TODAY, at {at}: make a new key now")
    text = f"at {at}, in {left_days:.0f} days"
    if left_days <= 7:  # noqa: PLR2004 - a week
        return place.warn("key's end", f"{text}: make a new key this week")
    if left_days <= EXPIRY_TOLD_DAYS:
        return place.warn("key's end", f"{text}: make a new key in time")
    return place.ok("key's end", text)


def _clock(place: Place, skew_ms: int) -> Finding:
    text = f"the venue's is {skew_ms / 1000:+.1f} s from this host's"
    if abs(skew_ms) > SKEW_FAIL_MS:
        return place.fail("clock", f"{text}: nothing is opened beyond 5 s; set the clock (NTP)")
    if abs(skew_ms) > SKEW_WARN_MS:
        return place.warn("clock", f"{text}: set the clock (NTP) before it is 5 s")
    return place.ok("clock", text)


def _position_mode(place: Place, mode: AccountMode) -> Finding:
    if mode.refusal:
        return place.fail("position mode", mode.refusal)
    if mode.is_hedged is None:
        return place.unknown("position mode", f"the venue does not tell: {PROOF}")
    if mode.is_hedged:
        text = "hedge: supported, a target is held on the side of its sign"
        return place.ok("position mode", text)
    return place.ok("position mode", "one-way")


def _margin_mode(place: Place, account: AccountConfig, mode: AccountMode) -> Finding:
    wanted, kept = account.margin_mode, mode.margin_mode
    if kept is None:
        text = "as each symbol has it" if wanted == "keep" else f"{wanted}, set before opening"
        return place.ok("margin mode", f"{text}: the account has none of its own")
    if wanted in ("keep", kept):
        return place.ok("margin mode", kept)
    if kept == "portfolio":
        text = f"portfolio, which is never changed to {wanted}: nothing is opened;"
        return place.warn("margin mode", f'{text} set margin_mode to "keep" in credentials.json')
    return place.ok("margin mode", f"{kept}, is switched to {wanted} while nothing is held")


def _money(place: Place, probe: KeyProbe) -> Finding:
    if probe.equity_usdt is None:
        return place.fail("equity", "the venue does not tell it: nothing can be sized")
    if probe.free_margin_usdt is None:
        free = "free margin unknown"
    else:
        free = f"{probe.free_margin_usdt:.2f} of it free"
    text = f"{probe.equity_usdt:.2f} USDT, {free}"
    if probe.equity_usdt <= 0:
        return place.warn("equity", f"{text}: deposit USDT, nothing is opened without")
    return place.ok("equity", text)
