"""What an engine is built into: where it remembers, whose keys it holds, where its orders go.

`RealWorld` is the trade-engine process and a single cycle; `commands.plans.rehearsal` has the other
one, in which nothing is written and nothing is sent. Decides nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from account_processors.transport.limiter import ENGINE_SHARE
from core.clock import SteadyClock
from core.control import Control
from core.control.errands import Errands
from core.control.flattens import DoneFlattens
from core.errors import ConfigError
from core.events import Events
from core.frozen_targets import FrozenTargets
from core.home import Home
from core.intents import new_engine_id
from core.journal import GroupCommit, Journal
from core.lanes.market_desk import MarketDesk
from core.ports import Clock, SignalSource, Venue
from core.process.key_lease import key_lease
from core.process.lease import Lease
from core.safety.baselines import Baselines
from core.settings import AccountConfig, SettingsReader
from core.signal_manager import SignalManager
from core.store import atomic_write_json, read_json
from core.trips import Trips

ReadControl = Callable[[], Control]


class Log(Protocol):
    """A journal of rows that can be given back."""

    async def commit(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows; returns after the fdatasync, raises OSError."""
        ...

    async def close(self) -> None:
        """Store what waits and give the file back."""
        ...


class World(Protocol):
    """Everything that differs between an engine at work and a rehearsal of it."""

    share: float  # of the venues' rate budgets

    def settings(self) -> SettingsReader:
        """Open the configuration files."""
        ...

    def engine_id(self) -> str:
        """Give the five characters of this engine."""
        ...

    def log(self, prefix: str, clock: Clock) -> Log:
        """Open a journal of the engine's."""
        ...

    def targets(self) -> FrozenTargets:
        """Load the frozen lots."""
        ...

    def trips(self, clock: Clock, events: Events, read_control: ReadControl) -> Trips:
        """Load the engine's own stops."""
        ...

    def baselines(self) -> Baselines:
        """Load from where losses are measured."""
        ...

    def flattens(self) -> DoneFlattens:
        """Load which flattens are done."""
        ...

    def signals(
        self, sources: Sequence[SignalSource], clock: Clock, events: Events
    ) -> SignalManager:
        """Open what the sources say and said."""
        ...

    def chosen(self, accounts: Sequence[AccountConfig]) -> Sequence[AccountConfig]:
        """Give the accounts that take part."""
        ...

    def lease(self, account: AccountConfig) -> Lease | None:
        """Take the account's API key for this host; None = needs none. Raises BusyError."""
        ...

    def venue(
        self, account: AccountConfig, venue: Venue, market: MarketDesk, clock: SteadyClock
    ) -> Venue:
        """Give what stands between the account's lane and its venue."""
        ...

    def errands(self, read_control: Callable[[], Control]) -> Errands | None:
        """Give what other commands ask of the engine; None = it does nothing for them."""
        ...

    def is_dry_run(self, control: Control, account: AccountConfig) -> bool:
        """Tell whether the account's orders are only told, not sent."""
        ...


class RealWorld:
    """Real files, real keys, real orders."""

    share = ENGINE_SHARE

    def __init__(self, home: Home) -> None:
        self.home = home

    def settings(self) -> SettingsReader:
        """Open the configuration files; accounts stay those of the first read."""
        return SettingsReader(self.home, is_keeping_accounts=True)

    def engine_id(self) -> str:
        """Read the five characters of this engine, or make them at the first start."""
        known = known_engine_id(self.home)
        if known is not None:
            return known
        engine_id = new_engine_id()
        self.home.make_folders()
        atomic_write_json(self.home.state / "engine.json", {"engine_id": engine_id})
        return engine_id

    def log(self, prefix: str, clock: Clock) -> Log:
        """Open a journal in the state folder."""
        return GroupCommit(Journal(self.home.state, prefix), clock)

    def targets(self) -> FrozenTargets:
        """Load the frozen lots."""
        return FrozenTargets(self.home.state / "targets.json")

    def trips(self, clock: Clock, events: Events, read_control: ReadControl) -> Trips:
        """Load the engine's own stops."""
        return Trips(self.home.state / "trips.json", clock, events, read_control)

    def baselines(self) -> Baselines:
        """Load from where losses are measured."""
        return Baselines(self.home.state / "baselines.json")

    def flattens(self) -> DoneFlattens:
        """Load which flattens are done."""
        return DoneFlattens(self.home.state / "flattened.json")

    def signals(
        self, sources: Sequence[SignalSource], clock: Clock, events: Events
    ) -> SignalManager:
        """Open what the sources say and said."""
        return SignalManager(self.home, sources, clock, events)

    def chosen(self, accounts: Sequence[AccountConfig]) -> Sequence[AccountConfig]:
        """Give all accounts."""
        return accounts

    def lease(self, account: AccountConfig) -> Lease | None:
        """Take the account's API key for this host. Raises BusyError."""
        return key_lease(account.fingerprint)

    def venue(
        self, account: AccountConfig, venue: Venue, market: MarketDesk, clock: SteadyClock
    ) -> Venue:
        """Give the venue itself."""
        del account, market, clock
        return venue

    def errands(self, read_control: Callable[[], Control]) -> Errands | None:
        """Do what other commands ask for."""
        return Errands(self.home, read_control)

    def is_dry_run(self, control: Control, account: AccountConfig) -> bool:
        """Tell whether nobody armed the account."""
        return not control.is_armed(account)


def known_engine_id(home: Home) -> str | None:
    """Read the engine's five characters; None = it was never started here."""
    try:
        return str(read_json(home.state / "engine.json")["engine_id"])
    except (FileNotFoundError, ConfigError, KeyError, TypeError):
        return None
