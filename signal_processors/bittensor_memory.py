"""`state/bittensor.json`: what the SN8 source must not forget over a restart.

The ranking with its weights, what snapshots are compared with, and the positions that are held.
Lost, or of another validator, following begins anew, which is safe: nothing is published before a
snapshot was believed, and every depth grows slowly.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from core.errors import ConfigError
from core.store import atomic_write_json, read_json
from signal_processors.bittensor_book import Held
from signal_processors.bittensor_guards import GuardMemory
from signal_processors.bittensor_model import MinerPosition, RankedMiner, Ranking

log = logging.getLogger(__name__)

NAME: Final = "bittensor.json"
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All of the file; `validator` tells whose view of the network it is."""

    validator: str
    ranking: Ranking | None = None
    ranked_by: str = ""  # tells the settings that it was made by
    careful_until_ms: int = 0  # depths grow slowly until then
    guards: GuardMemory = field(default_factory=GuardMemory)
    held: tuple[Held, ...] = ()


def load_memory(state: Path, validator: str) -> Memory:
    """Recall; begin anew where there is nothing, nothing readable, or another validator's."""
    path = state / NAME
    try:
        memory = _decode(read_json(path))
    except FileNotFoundError:
        return Memory(validator=validator)
    except (
        *(ConfigError, OSError, KeyError, TypeError),
        *(ValueError, ArithmeticError, AttributeError),
    ) as error:
        log.warning("following begins anew", extra={"file": str(path), "reason": str(error)})
        return Memory(validator=validator)
    if memory.validator != validator:
        log.info("another validator than before: following begins anew")
        return Memory(validator=validator)
    return memory


def save_memory(state: Path, memory: Memory) -> None:
    """Replace the file durably. Raises OSError with the old one whole."""
    atomic_write_json(state / NAME, _encode(memory))


def _encode(memory: Memory) -> dict[str, Any]:
    ranking = memory.ranking
    return {
        "v": VERSION,
        "validator": memory.validator,
        "ranking": None
        if ranking is None
        else {
            "name": ranking.name,
            "made_at_ms": ranking.made_at_ms,
            "flags": list(ranking.flags),
            "rows": [_encode_row(row) for row in ranking.rows if row.is_kept],
        },
        "ranked_by": memory.ranked_by,
        "careful_until_ms": memory.careful_until_ms,
        "watermark_ms": memory.guards.watermark_ms,
        "results": {uuid: list(row) for uuid, row in memory.guards.results.items()},
        "held": [_encode_held(row) for row in memory.held],
    }


def _encode_row(row: RankedMiner) -> dict[str, Any]:
    return {
        "hotkey": row.hotkey,
        "weight": str(row.weight),
        "score": row.score,
        "rank": row.rank,
        "reasons": list(row.reasons),
        "refused_pairs": sorted(row.refused_pairs),
    }


def _encode_held(row: Held) -> dict[str, Any]:
    position = row.position
    return {
        "hotkey": position.hotkey,
        "uuid": position.uuid,
        "pair": position.pair,
        "net_leverage": str(position.net_leverage),
        "opened_at_ms": position.opened_at_ms,
        "updated_at_ms": position.updated_at_ms,
        "missing": row.missing,
        "seen_at_ms": row.seen_at_ms,
    }


def _decode(document: Mapping[str, Any]) -> Memory:
    if document["v"] != VERSION:
        raise ConfigError(f"{NAME} is of version {document['v']}, expected {VERSION}")
    results = {
        str(uuid): (str(hotkey), float(result))
        for uuid, (hotkey, result) in document["results"].items()
    }
    return Memory(
        validator=str(document["validator"]),
        ranking=_decode_ranking(document["ranking"]),
        ranked_by=str(document["ranked_by"]),
        careful_until_ms=int(document["careful_until_ms"]),
        guards=GuardMemory(watermark_ms=int(document["watermark_ms"]), results=results),
        held=tuple(_decode_held(row) for row in document["held"]),
    )


def _decode_ranking(document: Mapping[str, Any] | None) -> Ranking | None:
    if document is None:
        return None
    rows = tuple(
        RankedMiner(
            hotkey=str(row["hotkey"]),
            weight=_within(Decimal(row["weight"]), Decimal(0), Decimal(1)),
            score=float(row["score"]),
            rank=None if row["rank"] is None else int(row["rank"]),
            reasons=tuple(str(reason) for reason in row["reasons"]),
            refused_pairs=frozenset(str(pair) for pair in row["refused_pairs"]),
        )
        for row in document["rows"]
    )
    return Ranking(
        name=str(document["name"]),
        made_at_ms=int(document["made_at_ms"]),
        rows=rows,
        flags=tuple(str(flag) for flag in document["flags"]),
    )


def _decode_held(row: Mapping[str, Any]) -> Held:
    position = MinerPosition(
        hotkey=str(row["hotkey"]),
        uuid=str(row["uuid"]),
        pair=str(row["pair"]),
        net_leverage=_within(Decimal(row["net_leverage"]), Decimal(-500), Decimal(500)),
        opened_at_ms=int(row["opened_at_ms"]),
        updated_at_ms=int(row["updated_at_ms"]),
    )
    return Held(position=position, missing=int(row["missing"]), seen_at_ms=int(row["seen_at_ms"]))


def _within(value: Decimal, low: Decimal, high: Decimal) -> Decimal:
    if not low <= value <= high:
        raise ValueError(f"must be {low}..{high}, was {value}")
    return value
