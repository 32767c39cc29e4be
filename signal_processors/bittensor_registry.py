"""Who is registered on the subnet, made of one reading of the chain, and its form on disk.

Pure: no I/O, clock or chance, and no `bittensor`: the chain's answer comes as plain attributes.
Nothing in an answer is trusted: a neuron with an impossible number is dropped, and an answer with
many of them is refused as a whole, because a missing key would lose its positions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, fsum
from typing import Any, Final, Protocol

import msgspec

from core.errors import TradeEngineError
from signal_processors.bittensor_model import MS_A_DAY, Neuron, Registry

BLOCK_MS: Final = 12_000
MEAN_OVER_MS: Final = 30 * MS_A_DAY
"""Incentive pays last month's debt in bursts; its mean over a month says more."""
BURN_UIDS: Final = {8: frozenset({229})}
"""Keys by subnet that only receive what is to be destroyed."""
MAX_DROPPED_SHARE: Final = 0.1
STANDSTILL_MS: Final = 600_000
"""A chain without a new block for this long does not answer for now."""
FORGIVEN_MS: Final = MS_A_DAY
"""A reading this old refuses nothing any more: a network may have begun anew."""
HIGHEST_BLOCK: Final = 2**32 - 1
HIGHEST_UID: Final = 2**16 - 1
AHEAD_MS: Final = 60_000
"""How far a file may be ahead of our clock."""
VERSION: Final = 1


class ChainError(TradeEngineError):
    """The chain could not be read; what was known before stays.

    Attributes:
        retry_after_s: how long the endpoint asks us to stay away; None = it does not say.
    """

    def __init__(self, text: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class NeuronRow(Protocol):
    """What is read of a neuron; `bittensor.MetagraphNeuron` has it."""

    @property
    def uid(self) -> int:
        """Its place."""
        ...

    @property
    def hotkey(self) -> str:
        """Its own key."""
        ...

    @property
    def coldkey(self) -> str:
        """Its owner's key."""
        ...

    @property
    def incentive(self) -> float:
        """Share of what is paid, 0..1."""
        ...

    @property
    def validator_permit(self) -> bool:
        """Whether it judges others."""
        ...

    @property
    def block_at_registration(self) -> int:
        """When it took its place."""
        ...


class Graph(Protocol):
    """What is read of a subnet; `bittensor.Metagraph` has it."""

    @property
    def block(self) -> int:
        """When it was like this."""
        ...

    @property
    def owner_hotkey(self) -> str:
        """The subnet's owner."""
        ...

    @property
    def owner_coldkey(self) -> str:
        """The subnet's owner."""
        ...

    @property
    def neurons(self) -> Sequence[NeuronRow]:
        """Everybody."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """Which subnet of which network; `network` is what the configuration says."""

    network: str
    netuid: int


def build_registry(
    graph: Graph, *, netuid: int, previous: Registry | None, now_ms: int
) -> Registry:
    """Make the registry of one answer.

    `previous` is an earlier one of the same subnet, which the mean incentive goes on from.

    Raises:
        ChainError: the answer is older than `previous`, empty, or mostly impossible.
    """
    if not 0 < graph.block <= HIGHEST_BLOCK:
        raise ChainError(f"the chain cannot be at block {graph.block}")
    _refuse_old(graph.block, previous, now_ms)
    rows = [row for row in graph.neurons if _is_possible(row, graph.block)]
    dropped = len(graph.neurons) - len(rows)
    if not rows or dropped > MAX_DROPPED_SHARE * len(graph.neurons):
        raise ChainError(
            f"subnet {netuid}: {dropped} of {len(graph.neurons)} neurons cannot be right"
        )
    shares = _shares(_newest(rows), graph, netuid)
    neurons = [_neuron(row, graph.block, now_ms) for row in _newest(rows)]
    means = _means(neurons, shares, previous, now_ms)
    found = {row.hotkey: replace(row, incentive=means[row.hotkey]) for row in neurons}
    return Registry(
        block=graph.block,
        fetched_at_ms=now_ms,
        neurons={**_unreadable(graph, previous, found), **found},
    )


def _unreadable(
    graph: Graph, previous: Registry | None, found: Mapping[str, Neuron]
) -> dict[str, Neuron]:
    """Keep who was known and whose row cannot be right now: unreadable is not deregistered."""
    if previous is None:
        return {}
    named = {row.hotkey for row in graph.neurons} - found.keys()
    return {hotkey: one for hotkey, one in previous.neurons.items() if hotkey in named}


def _refuse_old(block: int, previous: Registry | None, now_ms: int) -> None:
    if previous is None or now_ms - previous.fetched_at_ms >= FORGIVEN_MS:
        return
    if block < previous.block:
        raise ChainError(f"the endpoint lags: block {block} after {previous.block}")
    if block == previous.block and now_ms - previous.fetched_at_ms >= STANDSTILL_MS:
        raise ChainError(f"the endpoint stands still at block {block}")


def _is_possible(row: NeuronRow, block: int) -> bool:
    return (
        row.hotkey not in {"", "None"}
        and row.coldkey not in {"", "None"}  # the decoder's text for a column that is too short
        and 0 <= row.uid <= HIGHEST_UID
        and 0 <= row.incentive <= 1  # which NaN is not
        and 0 < row.block_at_registration <= block  # 0: the column was missing
    )


def _newest(rows: Sequence[NeuronRow]) -> list[NeuronRow]:
    found: dict[str, NeuronRow] = {}
    for row in rows:
        held = found.get(row.hotkey)
        if held is None or row.block_at_registration > held.block_at_registration:
            found[row.hotkey] = row
    return list(found.values())


def _neuron(row: NeuronRow, block: int, now_ms: int) -> Neuron:
    return Neuron(
        hotkey=row.hotkey,
        uid=row.uid,
        coldkey=row.coldkey,
        incentive=0.0,
        registered_at_ms=now_ms - (block - row.block_at_registration) * BLOCK_MS,
        is_validator=row.validator_permit,
    )


def _shares(rows: Sequence[NeuronRow], graph: Graph, netuid: int) -> dict[str, float]:
    # paid for other things than trading: validators, the owner, what is burned
    miners = {
        row.hotkey: row.incentive
        for row in rows
        if not row.validator_permit
        and row.hotkey != graph.owner_hotkey
        and row.coldkey != graph.owner_coldkey
        and row.uid not in BURN_UIDS.get(netuid, frozenset())
    }
    return _to_one(miners)


def _means(
    neurons: Sequence[Neuron], shares: dict[str, float], previous: Registry | None, now_ms: int
) -> dict[str, float]:
    everybody = dict.fromkeys((row.hotkey for row in neurons), 0.0)
    if previous is None:
        return everybody | shares
    kept = exp(-max(0, now_ms - previous.fetched_at_ms) / MEAN_OVER_MS)
    before = {row.hotkey: _mean_before(row, previous) for row in neurons if row.hotkey in shares}
    mixed = {key: kept * before[key] + (1 - kept) * share for key, share in shares.items()}
    return everybody | _to_one(mixed)


def _mean_before(neuron: Neuron, previous: Registry) -> float:
    # a place taken since then is a new beginning, also for a key that had one before
    held = previous.neurons.get(neuron.hotkey)
    is_new = neuron.registered_at_ms > previous.fetched_at_ms
    return 0.0 if held is None or is_new else held.incentive


def _to_one(amounts: dict[str, float]) -> dict[str, float]:
    total = fsum(amounts.values())
    if total <= 0:
        return dict.fromkeys(amounts, 0.0)
    return {key: amount / total for key, amount in amounts.items()}


class _NeuronOnDisk(msgspec.Struct, forbid_unknown_fields=True):
    uid: int
    coldkey: str
    incentive: float
    registered_at_ms: int
    is_validator: bool


class _RegistryOnDisk(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    network: str
    netuid: int
    block: int
    fetched_at_ms: int
    neurons: dict[str, _NeuronOnDisk]


def to_document(registry: Registry, subnet: Subnet) -> Any:  # noqa: ANN401 - JSON
    """Give a registry its form on disk."""
    disk = _RegistryOnDisk(
        version=VERSION,
        network=subnet.network,
        netuid=subnet.netuid,
        block=registry.block,
        fetched_at_ms=registry.fetched_at_ms,
        neurons={
            key: _NeuronOnDisk(
                uid=row.uid,
                coldkey=row.coldkey,
                incentive=row.incentive,
                registered_at_ms=row.registered_at_ms,
                is_validator=row.is_validator,
            )
            for key, row in registry.neurons.items()
        },
    )
    return msgspec.to_builtins(disk)


def from_document(value: object, subnet: Subnet, *, now_ms: int) -> Registry:
    """Take a registry from disk. Raises ChainError: it is of another subnet, or cannot be right."""
    try:
        disk = msgspec.convert(value, _RegistryOnDisk)
    except msgspec.ValidationError as error:
        raise ChainError(f"not a registry: {error}") from error
    if (disk.network, disk.netuid) != (subnet.network, subnet.netuid):
        raise ChainError(f"it is of subnet {disk.netuid} of another network or netuid")
    incentives = [row.incentive for row in disk.neurons.values()]
    if (
        disk.version != VERSION
        or not disk.neurons
        or disk.fetched_at_ms > now_ms + AHEAD_MS
        or not all(0 <= amount <= 1 for amount in incentives)
    ):
        raise ChainError("it is of another version, from the future or damaged")
    return Registry(
        block=disk.block,
        fetched_at_ms=disk.fetched_at_ms,
        neurons={
            key: Neuron(
                hotkey=key,
                uid=row.uid,
                coldkey=row.coldkey,
                incentive=row.incentive,
                registered_at_ms=row.registered_at_ms,
                is_validator=row.is_validator,
            )
            for key, row in disk.neurons.items()
        },
    )
