"""The world of an engine that only rehearses: it reads all that is real and writes nothing at all.

What the engine at work would store stays in memory, keys are not taken, each account's writes end
in a `SimulatedVenue`, and reads take the part of the rate budgets that is left to commands. So it
may run beside a living engine. Accounts that are not armed are rehearsed as if they were.
"""

from collections.abc import Callable, Sequence

from account_processors.transport.limiter import COMMAND_SHARE
from commands.engine_world import Log, ReadControl, known_engine_id
from commands.plans.simulated_venue import SimulatedVenue
from commands.plans.unkept import (
    NoLog,
    UnkeptBaselines,
    UnkeptFlattens,
    UnkeptSettings,
    UnkeptSignals,
    UnkeptTargets,
    UnkeptTrips,
)
from commands.plans.watched_venue import WatchedVenue
from core.clock import SteadyClock
from core.control import Control
from core.control.errands import Errands
from core.control.flattens import DoneFlattens
from core.events import Events
from core.frozen_targets import FrozenTargets
from core.home import Home
from core.intents import new_engine_id
from core.lanes.market_desk import MarketDesk
from core.ports import Clock, SignalSource, Venue
from core.process.lease import Lease
from core.safety.baselines import Baselines
from core.settings import AccountConfig, SettingsReader
from core.signal_manager import SignalManager
from core.trips import Trips


class Rehearsal:
    """Implements `commands.engine_world.World`; `watched` has each account's venue by name."""

    share = COMMAND_SHARE

    def __init__(self, home: Home, *, account: str | None = None) -> None:
        self.home = home
        self.watched: dict[str, WatchedVenue] = {}
        self._account = account

    def settings(self) -> SettingsReader:
        """Open the configuration files without keeping copies of them."""
        return UnkeptSettings(self.home)

    def engine_id(self) -> str:
        """Give the engine's own five characters, so that its orders are known as ours."""
        return known_engine_id(self.home) or new_engine_id()

    def log(self, prefix: str, clock: Clock) -> Log:
        """Give a journal that forgets."""
        del prefix, clock
        return NoLog()

    def targets(self) -> FrozenTargets:
        """Load the frozen lots; new ones stay in memory."""
        return UnkeptTargets(self.home.state / "targets.json")

    def flattens(self) -> DoneFlattens:
        """Load which flattens are done; new ones stay in memory."""
        return UnkeptFlattens(self.home.state / "flattened.json")

    def trips(self, clock: Clock, events: Events, read_control: ReadControl) -> Trips:
        """Load the engine's own stops; new ones stay in memory."""
        return UnkeptTrips(self.home.state / "trips.json", clock, events, read_control)

    def baselines(self) -> Baselines:
        """Load from where losses are measured; new ones stay in memory."""
        return UnkeptBaselines(self.home.state / "baselines.json")

    def signals(
        self, sources: Sequence[SignalSource], clock: Clock, events: Events
    ) -> SignalManager:
        """Open what the sources say and said; nothing is remembered or confirmed."""
        return UnkeptSignals(self.home, sources, clock, events)

    def chosen(self, accounts: Sequence[AccountConfig]) -> Sequence[AccountConfig]:
        """Give the account asked for, or all."""
        return [row for row in accounts if self._account in (None, row.name)]

    def lease(self, account: AccountConfig) -> Lease | None:
        """Take nothing: reading needs no key of its own."""
        del account
        return None

    def venue(
        self, account: AccountConfig, venue: Venue, market: MarketDesk, clock: SteadyClock
    ) -> Venue:
        """Put a simulation between the lane and its venue."""
        watched = WatchedVenue(SimulatedVenue(venue, market, clock))
        self.watched[account.name] = watched
        return watched

    def errands(self, read_control: Callable[[], Control]) -> Errands | None:
        """Leave them to the living engine: nothing may be answered that was not done."""
        del read_control
        return None

    def is_dry_run(self, control: Control, account: AccountConfig) -> bool:
        """Let every account rehearse its orders."""
        del control, account
        return False
