"""All accounts of the configuration, those that cannot trade too, and why they cannot.

An account is opened on its own, beside the others: a busy API key, a paper exchange that is not
there yet or a missing key parks that account alone (B10).
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from core.errors import BusyError, ConfigError, TransientError
from core.events import Events
from core.intents import OrdersJournal
from core.lanes.lane import Lane
from core.ports import Clock
from core.settings import AccountConfig

RETRY_S = 1.0  # the paper exchange is starting
BUSY_RETRY_S = 10.0  # another engine holds the key
DISABLED = "enabled is false in credentials.json"
CLOSED_DOWN = "closed down: enabled is false in credentials.json, and nothing of ours is left"
HINDRANCES = {
    *("halted", "dry_run", "closing_waits", "reduction_waits"),
    *("dust", "not_listed", "no_instrument"),
}


@dataclass(slots=True, kw_only=True)
class Place:
    """One account and how far it got."""

    account: AccountConfig
    state: str = "connecting"
    reason: str = ""
    lane: Lane | None = None
    closing: tuple[str, ...] = ()  # of a disabled account: what of ours is left on it

    def waits(self, state: str, reason: str) -> None:
        """Note why it is not open; of a disabled account, what cannot be closed down."""
        self.state, self.reason = state, reason
        if self.closing:
            self.state = "disabled"
            self.reason = f"{', '.join(self.closing)} cannot be closed down: {reason}"

    @property
    def standing(self) -> tuple[str, str]:
        """State and reason; a disabled account's say what is being closed down, or why not."""
        lane = self.lane
        if lane is None:
            return self.state, self.reason
        if self.account.enabled:
            return lane.state, lane.reason
        reports = {} if lane.report is None else lane.report.symbols
        hindrances = {r.text for s in reports.values() for r in s.reasons if r.code in HINDRANCES}
        why = "; ".join([lane.reason] if lane.reason else sorted(hindrances))
        symbols = ", ".join(sorted(lane.desk.closing or ()))
        return "disabled", f"closes {symbols} down" + (f": {why}" if why else "")


class Roster:
    """Opens accounts and remembers how each stands.

    A disabled account is opened only while something of ours is left on it, to close that down;
    then it is left alone, also after a restart (A11).
    """

    def __init__(
        self,
        accounts: Sequence[AccountConfig],
        open_account: Callable[[AccountConfig], Lane],
        events: Events,
        clock: Clock,
        journal: OrdersJournal,
        *,
        configured: Collection[str] = (),
    ) -> None:
        self._configured = {account.name for account in accounts} | set(configured)
        self.places = [Place(account=account) for account in accounts]
        self._open_account = open_account
        self._events = events
        self._clock = clock
        self._journal = journal

    async def fill(self, joined: Callable[[Lane], None]) -> None:
        """Open every account; `joined` gets each lane.

        Ends when no account is left to open and none is being closed down.
        """
        self._tell_removed()
        await asyncio.gather(*(self._fill(place, joined) for place in self.places))

    async def _fill(self, place: Place, joined: Callable[[Lane], None]) -> None:
        if place.account.enabled:
            await self._open(place, joined)
            return
        self._find_what_to_close_down(place)
        if not place.closing:
            return
        lane = await self._open(place, joined)
        if lane is not None:
            await lane.ended.wait()
            place.lane, place.reason = None, CLOSED_DOWN

    def _find_what_to_close_down(self, place: Place) -> None:
        """Note what of ours is left on a disabled account, unless another account has its key."""
        account = place.account
        symbols = self._journal.left(account.name)
        was_ours = bool(self._journal.symbols(account.name))
        place.state, place.reason = "disabled", CLOSED_DOWN if was_ours else DISABLED
        if not symbols:
            return
        others = (other.account for other in self.places)
        heir = next((o.name for o in others if _has_key_of(o, account)), None)
        if heir is not None:
            place.reason = f"{', '.join(symbols)} is left to {heir}, which has the same key"
            return
        place.closing = symbols
        place.reason = f"closes {', '.join(symbols)} down"

    async def _open(self, place: Place, joined: Callable[[Lane], None]) -> Lane | None:
        account = place.account
        while True:
            try:
                lane = self._open_account(account)
            except ConfigError as error:
                self._leave_out(place, "unconfigured", str(error))
                return None
            except (BusyError, OSError) as error:
                is_busy = isinstance(error, BusyError)
                text = str(error) if is_busy else f"it cannot be opened: {error}"
                self._leave_out(place, "busy", text)
                await self._clock.sleep(BUSY_RETRY_S)
            except TransientError as error:
                place.waits("connecting", str(error))
                await self._clock.sleep(RETRY_S)
            else:
                self._events.clear(f"account/{account.name}")
                if place.closing:
                    lane.desk.closing = set(place.closing)
                place.lane = lane
                joined(lane)
                return lane

    def _leave_out(self, place: Place, state: str, reason: str) -> None:
        place.waits(state, reason)
        name = place.account.name
        text = f": {place.reason}" if place.closing else f" does not trade: {reason}"
        self._events.alert(f"account/{name}", f"{name}{text}", severity="error", account=name)

    def _tell_removed(self) -> None:
        """Tell of positions of ours under names that are not configured any more; send nothing."""
        for name in self._journal.accounts():
            symbols = ", ".join(self._journal.left(name))
            if not symbols or name in self._configured:
                continue
            text = (
                f"{name} is not in credentials.json any more, but positions of ours were left on"
                f" it: {symbols}. Close them at the venue; or put {name} back with enabled false,"
                " and they are closed down. If it was renamed, the new name asks to adopt them"
            )
            self._events.alert(f"removed/{name}", text, account=name)


def _has_key_of(other: AccountConfig, account: AccountConfig) -> bool:
    return (
        other.enabled
        and other.is_configured
        and (other.environment, other.fingerprint) == (account.environment, account.fingerprint)
    )
