"""The Bittensor chain as a gate: who is registered on the subnet; nothing else is asked of it.

The only file that knows `bittensor`, imported late because that takes seconds. Every read has a
client of its own on a loop of its own, since a client that lost its connection may wait for ever.
No wallet, no signature, nothing is ever sent but questions, nothing is written under `$HOME`
except the library's cache of the runtime's description, if it can be.
"""

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

from core.errors import ConfigError
from core.ports import Clock
from core.store import atomic_write_json, read_json
from signal_processors.bittensor_apart import Outcome, run_apart, within
from signal_processors.bittensor_config import FILE, ChainConfig
from signal_processors.bittensor_model import Registry
from signal_processors.bittensor_registry import (
    ChainError,
    Subnet,
    build_registry,
    from_document,
    to_document,
)

log = logging.getLogger(__name__)

Standing = Literal["fresh", "stale", "unknown", "off"]
Connect = Callable[[str], Any]
"""Gives what `bittensor.Client` calls a substrate, unconnected, for a network."""

__all__ = [
    "ChainError",
    "ChainView",
    "Limits",
    "Rim",
    "Standing",
    "fetch_registry",
    "load_snapshot",
]

OFF: Final = "off"
THREAD: Final = "chain"
SNAPSHOT: Final = "bittensor_chain.json"
LARGEST_MESSAGE: Final = 64 * 2**20
"""Bytes; the description of the runtime, the largest by far, has under two million."""
LONGEST_TEXT: Final = 300
FRESH_MS: Final = 2 * 3_600_000
KNOWN_MS: Final = 24 * 3_600_000
CHECK_S: Final = 5.0
"""Seconds until a changed configuration is noticed."""
RETRY_FIRST_S: Final = 60.0
RETRY_MOST_S: Final = 600.0
ASKED_LEAST_S: Final = 1.0
ASKED_MOST_S: Final = 6 * 3600.0
"""An endpoint may send us away this long: there must be attempts left before all is unknown."""
EPOCH_S: Final = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long one read may take, in seconds."""

    import_s: float = 60.0  # the first time on a slow disk
    answer_s: float = 45.0
    close_s: float = 5.0


LIMITS: Final = Limits()


async def fetch_registry(
    network: str,
    netuid: int,
    *,
    previous: Registry | None,
    now_ms: int,
    connect: Connect | None = None,
    limits: Limits = LIMITS,
) -> Registry:
    """Read the subnet once, with a client of its own.

    `previous` is an earlier registry of the same subnet; `network` a name, or a ws:// address.

    Raises:
        ChainError: whatever goes wrong; it is raised within the sum of the limits.
    """

    async def work() -> Registry:
        graph = await _read(network, netuid, connect or _connect, limits)
        if graph is None:
            raise ChainError(f"subnet {netuid} does not exist ({FILE}: chain.netuid)")
        return build_registry(graph, netuid=netuid, previous=previous, now_ms=now_ms)

    outcome: Outcome[Registry] = await run_apart(
        work,
        name=THREAD,
        limit_s=limits.import_s + limits.answer_s + limits.close_s,
        largest_message=LARGEST_MESSAGE,
    )
    if outcome.value is not None:
        return outcome.value
    raise _chain_error(outcome.error, network, limits, now_ms) from outcome.error


def network_name(network: str) -> str:
    """Name a network where others can read it: an address without path, query and credentials.

    What was left out is told apart by a digest.
    """
    if "://" not in network:
        return network
    with suppress(ValueError):
        parts = urlsplit(network)
        plain = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        if network.rstrip("/") == plain:
            return plain
        return f"{plain} (#{sha256(network.encode()).hexdigest()[:8]})"
    return "an address that cannot be read"


async def _read(network: str, netuid: int, connect: Connect, limits: Limits) -> Any:  # noqa: ANN401
    # its records of a lost connection say nothing that our error does not
    logging.getLogger("bittensor").propagate = False
    import bittensor  # noqa: PLC0415 - takes seconds, and only this thread needs it

    substrate = connect(network)
    client = bittensor.Client(network, substrate=substrate)
    try:
        return await within(_ask(client, substrate, netuid), limits.answer_s)
    finally:
        await _close(client.close(), limits.close_s)


async def _ask(client: Any, substrate: Any, netuid: int) -> Any:  # noqa: ANN401
    # not client.connect(): that also reads all token symbols and caches them under $HOME
    await substrate.connect()
    return await client.subnets.metagraph(netuid, commitments=False)


async def _close(work: Any, limit_s: float) -> None:  # noqa: ANN401
    # a client whose connection died raises anything here, or waits for ever
    closing = asyncio.ensure_future(work)
    await asyncio.wait({closing}, timeout=limit_s)
    closing.cancel()
    if closing.done() and not closing.cancelled() and closing.exception() is not None:
        log.debug("chain client not closed cleanly", extra={"error": repr(closing.exception())})


def _connect(network: str) -> Any:  # noqa: ANN401
    from bittensor import RpcSubstrate, settings  # noqa: PLC0415 - see _read

    name, endpoint = settings.resolve_endpoint(network)
    return RpcSubstrate(endpoint, fallback_endpoints=settings.default_fallback_endpoints(name))


def _chain_error(
    error: BaseException | None, network: str, limits: Limits, now_ms: int
) -> ChainError:
    if isinstance(error, ChainError):
        return error
    where = network_name(network)
    # the texts of libraries and servers: one printable line, without what an address may hide
    said = " ".join(re.sub(r"[^\x20-\x7e]", " ", str(error).replace(network, where)).split())
    if isinstance(error, ValueError) and said.startswith("Unknown network"):
        return ChainError(
            f"{FILE}: chain.network must be finney, test, archive, a ws:// address or off, "
            f"was {where!r}"
        )
    if not isinstance(error, TimeoutError):
        said = f"{type(error).__name__}: {said}"
    elif not said:
        said = f"no answer within {limits.answer_s:g} s"
    text = f"the chain ({where}): {said}"[:LONGEST_TEXT]
    return ChainError(text, retry_after_s=_retry_after_s(error, now_ms))


def _retry_after_s(error: BaseException | None, now_ms: int) -> float | None:
    # only an endpoint that refuses us under its policy has this, as text or as nothing
    if error is None or not hasattr(error, "retry_after"):
        return None
    said = str(error.retry_after)
    seconds = RETRY_MOST_S
    try:
        seconds = float(said)
        if seconds > EPOCH_S:  # the second at which its limit is reset
            seconds -= now_ms / 1000
    except ValueError:
        with suppress(ValueError):
            seconds = parsedate_to_datetime(said).timestamp() - now_ms / 1000
    if not isfinite(seconds):
        return RETRY_MOST_S
    return min(max(seconds, ASKED_LEAST_S), ASKED_MOST_S)


class Fetch(Protocol):
    """Reads the chain once, as `fetch_registry` does."""

    def __call__(
        self, network: str, netuid: int, *, previous: Registry | None, now_ms: int
    ) -> Awaitable[Registry]:
        """Give the registry. Raises ChainError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rim:
    """What a view reaches the world by; tests on virtual time put others in their place."""

    fetch: Fetch = fetch_registry
    in_thread: Callable[[Callable[[], Any]], Awaitable[Any]] = asyncio.to_thread


RIM: Final = Rim()


class ChainView:
    """The newest registry, kept up to date while `run` runs, and how far it can be relied on.

    What is held belongs to the configured subnet only: the moment the configuration names another,
    nothing is known. `state` is the folder of the snapshot that the next start begins with.
    """

    def __init__(
        self,
        config: Callable[[], ChainConfig],
        *,
        state: Path,
        clock: Clock,
        chance: random.Random,
        on_change: Callable[[], None] = lambda: None,
        rim: Rim = RIM,
    ) -> None:
        self._config = config
        self._path = state / SNAPSHOT
        self._clock = clock
        self._chance = chance
        self._rim = rim
        self._on_change = on_change
        self._subnet: Subnet | None = None  # that all below is about
        self._registry: Registry | None = None
        self._problem = ""
        self._failures = 0
        self._asked_at_ms: int | None = None  # monotonic; None = not yet
        self._stay_away_s: float | None = None  # None = the configured interval

    @property
    def registry(self) -> Registry | None:
        """The newest one, however old: `standing` tells what it is worth. None = nothing known."""
        return self._registry if self._is_current else None

    @property
    def problem(self) -> str:
        """What went wrong at the last read; empty = nothing."""
        return self._problem if self._is_current else ""

    def age_s(self, now_ms: int) -> float | None:
        """Tell how long ago the registry was read; None = never."""
        registry = self.registry
        return None if registry is None else max(0, now_ms - registry.fetched_at_ms) / 1000

    def standing(self, now_ms: int) -> Standing:
        """Tell what the registry is worth at this wall time."""
        if self._wanted() is None:
            return "off"
        age_s = self.age_s(now_ms)
        if age_s is None or age_s * 1000 > KNOWN_MS:
            return "unknown"
        return "fresh" if age_s * 1000 < FRESH_MS else "stale"

    async def run(self) -> None:
        """Read from disk, then from the chain again and again; ends only by being cancelled."""
        while True:
            await self._look()
            await self._clock.sleep(min(CHECK_S, max(0.0, self._due_in_s())))

    @property
    def _is_current(self) -> bool:
        return self._subnet is not None and self._subnet == self._wanted()

    def _wanted(self) -> Subnet | None:
        return _subnet_of(self._config())

    def _due_in_s(self) -> float:
        if self._subnet is None:
            return CHECK_S
        if self._asked_at_ms is None:
            return 0.0
        pause_s = self._stay_away_s
        if pause_s is None:
            pause_s = self._config().interval_s
        return pause_s - (self._clock.monotonic_ms() - self._asked_at_ms) / 1000

    async def _look(self) -> None:
        wanted = self._wanted()
        if wanted != self._subnet:
            await self._turn_to(wanted)
        if self._subnet is not None and self._due_in_s() <= 0:
            await self._read(self._subnet)

    async def _turn_to(self, subnet: Subnet | None) -> None:
        self._registry = None
        self._problem = ""
        self._failures = 0
        self._asked_at_ms = None
        self._stay_away_s = None
        self._subnet = subnet
        if subnet is not None:
            load = partial(_load, self._path, subnet, self._clock.now_ms())
            self._registry = await self._rim.in_thread(load)

    async def _read(self, subnet: Subnet) -> None:
        try:
            registry = await self._rim.fetch(
                subnet.network,
                subnet.netuid,
                previous=self._registry,
                now_ms=self._clock.now_ms(),
            )
        except ChainError as error:
            self._fail(error)
        else:
            self._problem = ""
            self._failures = 0
            self._stay_away_s = None
            self._registry = registry
            await self._rim.in_thread(partial(self._save, registry, subnet))
            if self._is_current:
                self._on_change()
        self._asked_at_ms = self._clock.monotonic_ms()

    def _fail(self, error: ChainError) -> None:
        self._problem = str(error)
        self._failures += 1
        most_s = min(RETRY_MOST_S, RETRY_FIRST_S * 2.0 ** min(self._failures - 1, 10))
        pause_s = self._chance.uniform(most_s / 2, most_s)
        self._stay_away_s = max(pause_s, error.retry_after_s or 0.0)
        log.warning(
            "chain not read",
            extra={"error": self._problem, "again_in_s": round(self._stay_away_s)},
        )

    def _save(self, registry: Registry, subnet: Subnet) -> None:
        try:
            atomic_write_json(self._path, to_document(registry, _public(subnet)))
        except OSError as error:  # it is held in memory; only a restart would miss it
            log.warning("chain snapshot not written", extra={"error": str(error)})


def load_snapshot(state: Path, config: ChainConfig, now_ms: int) -> Registry | None:
    """Read what a running view left in the `state` folder.

    None = it is switched off, nothing of the configured subnet is there, or it is worth nothing.
    """
    subnet = _subnet_of(config)
    registry = None if subnet is None else _load(state / SNAPSHOT, subnet, now_ms)
    return registry if registry and now_ms - registry.fetched_at_ms <= KNOWN_MS else None


def _load(path: Path, subnet: Subnet, now_ms: int) -> Registry | None:
    try:
        return from_document(read_json(path), _public(subnet), now_ms=now_ms)
    except FileNotFoundError:
        return None
    except (ChainError, ConfigError, OSError) as error:
        log.warning("chain snapshot ignored", extra={"error": f"{path.name}: {error}"})
        return None


def _subnet_of(config: ChainConfig) -> Subnet | None:
    if config.network == OFF:
        return None
    return Subnet(network=config.network, netuid=config.netuid)


def _public(subnet: Subnet) -> Subnet:
    return Subnet(network=network_name(subnet.network), netuid=subnet.netuid)
