"""From scores to weights: who is followed, capped per owner, and moved a little at a time.

Pure: no I/O, clock or chance; shared by both rankings. Caps hold exactly: per hotkey, per owner and
in all, also halfway between two rankings. Weights are Decimals on a grid of 0.000001, always
rounded down.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal
from typing import Final

from signal_processors.bittensor_config import Following
from signal_processors.bittensor_model import (
    ZERO,
    Miner,
    RankedMiner,
    Ranking,
    Registry,
    Statistics,
    parent_of,
)

ONE: Final = Decimal(1)
WEIGHT_STEP: Final = Decimal("0.000001")
FINE_STEP: Final = Decimal("1e-15")
"""First rounded to this, so that equal shares stay equal whatever their last digit."""
WITHOUT_CHAIN: Final = Decimal("0.5")  # of the cap: owners are unknown then


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingInputs:
    """All that a ranking may know."""

    miners: Mapping[str, Miner]
    statistics: Statistics | None
    eliminated: Mapping[str, str]  # hotkey: reason
    registry: Registry | None
    is_registry_stale: bool
    crypto_pairs: frozenset[str]  # that we map: history in them counts
    previous: Ranking | None
    now_ms: int
    is_anew: bool = False  # settings or knowledge changed: go all the way from `previous` at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a ranking found of one miner, before weights."""

    hotkey: str
    is_eligible: bool
    is_expelled: bool = False  # loses its weight at once, not step by step
    score: float = 0.0  # finite; above 0 where it is eligible
    reasons: tuple[str, ...] = ()
    refused_pairs: frozenset[str] = frozenset()
    figures: Mapping[str, float] = field(default_factory=dict)


Strengths = Callable[[Sequence[Judged]], Sequence[float]]
"""What the chosen ones, best first, are weighed by: finite and above 0, in any unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may be given: `cap` to a hotkey and to all hotkeys of one owner, 1 to all."""

    cap: Decimal  # on the grid of weights
    owners: Mapping[str, str]  # by hotkey

    def clipped(self, weights: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Bring weights within the limits: an owner's shrink together."""
        held = self._held(weights)
        fitting = {
            hotkey: _floor(weight * min(ONE, self.cap / held[self.owners[hotkey]]))
            for hotkey, weight in sorted(weights.items())
            if weight > 0
        }
        total = max(ONE, sum(fitting.values(), ZERO))
        return {hotkey: _floor(weight / total) for hotkey, weight in fitting.items()}

    def shared(
        self, strengths: Mapping[str, float], stays: Mapping[str, Decimal]
    ) -> dict[str, Decimal]:
        """Share out, in proportion to strength, what `stays` leaves.

        What an owner cannot take for its cap goes to the others, until everything is given or all
        of them are full.
        """
        exact = {hotkey: Decimal(strength) for hotkey, strength in sorted(strengths.items())}
        sums, held = self._held(exact), self._held(stays)
        room = {owner: self.cap - held.get(owner, ZERO) for owner in sums}
        left = ONE - sum(stays.values(), ZERO)
        rates = _rates(sums, room, left)
        return {hotkey: _floor(rates[self.owners[hotkey]] * exact[hotkey]) for hotkey in exact}

    def is_full(self, hotkey: str, weights: Mapping[str, Decimal]) -> bool:
        """Tell whether the owner of this key has several, which together are held by its cap."""
        keys = [key for key in weights if self.owners[key] == self.owners[hotkey]]
        given = sum((weights[key] for key in keys), ZERO)
        return len(keys) > 1 and given >= self.cap - WEIGHT_STEP * len(keys)

    def _held(self, weights: Mapping[str, Decimal]) -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for hotkey, weight in sorted(weights.items()):
            owner = self.owners[hotkey]
            found[owner] = found.get(owner, ZERO) + weight
        return found


def cap_of(inputs: RankingInputs, following: Following) -> Decimal:
    """Give the most that one owner may count: half without the chain, which knows the owners."""
    cap = following.max_weight * (WITHOUT_CHAIN if inputs.registry is None else ONE)
    return cap.quantize(WEIGHT_STEP, ROUND_DOWN)


def owner_of(hotkey: str, registry: Registry | None) -> str:
    """Name whose key it is: its coldkey, or where that is unknown the registered key itself."""
    neuron = None if registry is None else registry.neuron(hotkey)
    coldkey = "" if neuron is None else neuron.coldkey
    return f"coldkey {coldkey}" if coldkey else f"hotkey {parent_of(hotkey)}"


def expulsions(hotkey: str, inputs: RankingInputs) -> tuple[str, ...]:
    """Give the reasons for which a miner leaves at once, in any ranking."""
    found = []
    if hotkey in inputs.eliminated:
        found.append(f"eliminated: {inputs.eliminated[hotkey]}")
    if inputs.registry is not None and inputs.registry.neuron(hotkey) is None:
        found.append("not_registered: the chain does not know its key")
    return tuple(found)


def weigh(
    judged: Sequence[Judged], strengths: Strengths, inputs: RankingInputs, following: Following
) -> tuple[RankedMiner, ...]:
    """Turn judgements into rows with weights: ranked ones, best first, then the others."""
    before = {} if inputs.previous is None else inputs.previous.weights
    everybody = [*judged, *_absent(inputs, before)]
    order = sorted(
        (row for row in everybody if row.is_eligible), key=lambda row: (-row.score, row.hotkey)
    )
    chosen = _chosen(order, () if inputs.is_anew else before, following)
    limits = Limits(
        cap=cap_of(inputs, following),
        owners={row.hotkey: owner_of(row.hotkey, inputs.registry) for row in everybody},
    )
    strong = dict(zip((row.hotkey for row in chosen), strengths(chosen), strict=True))
    kept = _kept(everybody, before)
    base = limits.clipped(kept)
    stays = {hotkey: weight for hotkey, weight in base.items() if hotkey not in inputs.miners}
    wanted = stays | limits.shared(strong, stays)
    given = wanted
    if inputs.previous is not None and not inputs.is_anew:
        forced = sum(kept.values(), ZERO) - sum(base.values(), ZERO)
        given = moved(base, wanted, following.max_weight_change - forced)
    if len(kept) < len(before) and not inputs.is_anew:
        # nobody grows for somebody's leaving: it would enlarge positions for no news of theirs
        given = {hotkey: min(weight, base.get(hotkey, ZERO)) for hotkey, weight in given.items()}
    places = {row.hotkey: place for place, row in enumerate(order, start=1)}
    made = _Made(places=places, wanted=wanted, given=given, limits=limits, following=following)
    rows = [made.row(row) for row in everybody]
    rows.sort(key=lambda row: (row.rank is None, row.rank or 0, row.hotkey))
    return tuple(rows)


def moved(
    base: Mapping[str, Decimal], wanted: Mapping[str, Decimal], allowance: Decimal
) -> dict[str, Decimal]:
    """Go from `base` toward `wanted`, both on the grid, as far as `allowance` lets all together.

    Everybody goes the same part of its way; so whatever limits hold at both ends hold between.
    """
    gaps = {
        hotkey: wanted.get(hotkey, ZERO) - base.get(hotkey, ZERO)
        for hotkey in sorted({*base, *wanted})
    }
    allowance = max(ZERO, allowance).quantize(WEIGHT_STEP, ROUND_DOWN)
    distance = sum((abs(gap) for gap in gaps.values()), ZERO)
    if distance <= allowance:
        return dict(wanted)
    # rounding down takes up to a step more from each that shrinks
    margin = WEIGHT_STEP * sum(gap < 0 for gap in gaps.values())
    part = max(ZERO, allowance - margin) / distance
    return {hotkey: _down(base.get(hotkey, ZERO) + gap * part) for hotkey, gap in gaps.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What was decided, to be told miner by miner."""

    places: Mapping[str, int]
    wanted: Mapping[str, Decimal]
    given: Mapping[str, Decimal]
    limits: Limits
    following: Following

    def row(self, judged: Judged) -> RankedMiner:
        hotkey = judged.hotkey
        return RankedMiner(
            hotkey=hotkey,
            weight=self.given.get(hotkey, ZERO),
            score=judged.score,
            rank=self.places.get(hotkey),
            reasons=(*judged.reasons, *self._reasons(hotkey)),
            refused_pairs=judged.refused_pairs,
            figures=judged.figures,
        )

    def _reasons(self, hotkey: str) -> list[str]:
        found = []
        place, wanted = self.places.get(hotkey), self.wanted.get(hotkey, ZERO)
        if place is not None and hotkey not in self.wanted:
            found.append(f"behind: rank {place}, {self._bounds()}")
        if place is not None and hotkey in self.wanted:
            if self.limits.is_full(hotkey, self.wanted):
                found.append(f"same_coldkey_cap: all keys of its owner share {self.limits.cap}")
            if not wanted:
                found.append("no_room: what is left for it rounds to nothing")
        if self.given.get(hotkey, ZERO) != wanted:
            found.append(f"limited_change: on the way to {wanted}")
        return found

    def _bounds(self) -> str:
        f = self.following
        return f"joins at {f.join_rank}, is left behind {f.leave_rank}, at most {f.max_miners}"


def _kept(everybody: Sequence[Judged], before: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Give the weights of before without those of who is expelled."""
    expelled = {row.hotkey for row in everybody if row.is_expelled}
    return {hotkey: weight for hotkey, weight in before.items() if hotkey not in expelled}


def _absent(inputs: RankingInputs, before: Mapping[str, Decimal]) -> list[Judged]:
    """Judge those that were followed and are not in the snapshot: unknown, not flat."""
    rows = () if inputs.previous is None else inputs.previous.rows
    refused = {row.hotkey: row.refused_pairs for row in rows}
    found = []
    for hotkey in sorted(before.keys() - inputs.miners.keys()):
        row = Judged(
            hotkey=hotkey,
            is_eligible=False,
            reasons=("absent: not in the snapshot, its weight stays for now",),
            refused_pairs=refused[hotkey],
        )
        reasons = expulsions(hotkey, inputs)
        if reasons:
            row = replace(row, is_expelled=True, reasons=(*reasons, "absent: not in the snapshot"))
        found.append(row)
    return found


def _chosen(
    order: Sequence[Judged], followed: Collection[str], following: Following
) -> list[Judged]:
    """Take the best; who is followed already may fall further back than a new one."""
    found = [
        row
        for place, row in enumerate(order, start=1)
        if place <= (following.leave_rank if row.hotkey in followed else following.join_rank)
    ]
    return found[: following.max_miners]


def _rates(
    sums: Mapping[str, Decimal], room: Mapping[str, Decimal], left: Decimal
) -> dict[str, Decimal]:
    """Give weight per strength, by owner: the same to all that are not full."""
    order = sorted(sums, key=lambda owner: (room[owner] / sums[owner], owner))  # full ones first
    rests = [ZERO] * (len(order) + 1)
    for number in range(len(order) - 1, -1, -1):
        rests[number] = rests[number + 1] + sums[order[number]]
    rates: dict[str, Decimal] = {}
    for number, owner in enumerate(order):
        rate, full = left / rests[number], room[owner] / sums[owner]
        if rate < full:
            return rates | dict.fromkeys(order[number:], rate)
        rates[owner] = full
        left -= room[owner]
    return rates


def _floor(weight: Decimal) -> Decimal:
    return _down(weight.quantize(FINE_STEP))


def _down(weight: Decimal) -> Decimal:
    return weight.quantize(WEIGHT_STEP, ROUND_DOWN)
