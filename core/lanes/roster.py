"""All accounts of the configuration, those that cannot trade too, and why they cannot.

An account is opened on its own, beside the others: a busy API key, a paper exchange that is not
there yet or a missing key parks that account alone (B10).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.errors import BusyError, ConfigError, TransientError
from core.events import Events
from core.lanes.lane import Lane
from core.ports import Clock
from core.settings import AccountConfig

RETRY_S = 1.0  # the paper exchange is starting
BUSY_RETRY_S = 10.0  # another engine holds the key


@dataclass(slots=True, kw_only=True)
class Place:
    """One account and how far it got."""

    account: AccountConfig
    state: str = "connecting"
    reason: str = ""
    lane: Lane | None = None


class Roster:
    """Opens accounts and remembers how each stands."""

    def __init__(
        self,
        accounts: Sequence[AccountConfig],
        open_account: Callable[[AccountConfig], Lane],
        events: Events,
        clock: Clock,
    ) -> None:
        self.places = [Place(account=account) for account in accounts]
        self._open_account = open_account
        self._events = events
        self._clock = clock

    async def fill(self, joined: Callable[[Lane], None]) -> None:
        """Open every account; `joined` gets each lane. Ends when no account is left to open."""
        await asyncio.gather(*(self._open(place, joined) for place in self.places))

    async def _open(self, place: Place, joined: Callable[[Lane], None]) -> None:
        account = place.account
        if not account.enabled:
            place.state, place.reason = "disabled", "enabled is false in credentials.json"
            return
        while True:
            try:
                place.lane = self._open_account(account)
            except ConfigError as error:
                self._leave_out(place, "unconfigured", str(error))
                return
            except BusyError as error:
                self._leave_out(place, "busy", str(error))
                await self._clock.sleep(BUSY_RETRY_S)
            except OSError as error:
                self._leave_out(place, "busy", f"it cannot be opened: {error}")
                await self._clock.sleep(BUSY_RETRY_S)
            except TransientError as error:
                place.reason = str(error)
                await self._clock.sleep(RETRY_S)
            else:
                self._events.clear(f"account/{account.name}")
                joined(place.lane)
                return

    def _leave_out(self, place: Place, state: str, reason: str) -> None:
        place.state, place.reason = state, reason
        name = place.account.name
        self._events.alert(
            f"account/{name}", f"{name} does not trade: {reason}", severity="error", account=name
        )
