"""`state/baselines.json`: from where each account's losses are measured; survives restarts.

A lost file is told: measuring from now on forgives what was lost before.
"""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.errors import ConfigError
from core.safety.losses import Baseline
from core.store import atomic_write_json, read_json
from core.trips import Mark


class Baselines:
    """All accounts' baselines by account and API key; reads the file once, replaces it whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.was_lost = False  # the file was there but could not be understood
        try:
            self._rows = {key: _decode(row) for key, row in read_json(path)["accounts"].items()}
        except FileNotFoundError:
            self._rows = {}
        except (
            ConfigError,
            OSError,
            LookupError,
            AttributeError,
            TypeError,
            ValueError,
            ArithmeticError,
        ):
            self._rows = {}
            self.was_lost = True

    def get(self, key: str) -> Baseline | None:
        """The baseline of an account; None = never seen."""
        return self._rows.get(key)

    def put(self, key: str, baseline: Baseline) -> None:
        """Keep a baseline, durably. Raises OSError; it holds in memory all the same."""
        self._rows = {**self._rows, key: baseline}
        rows = {name: _encode(row) for name, row in self._rows.items()}
        atomic_write_json(self._path, {"accounts": rows})


def _encode(baseline: Baseline) -> dict[str, Any]:
    return {
        "day": baseline.day,
        "day_start_usdt": str(baseline.day_start_usdt),
        "peak_usdt": str(baseline.peak_usdt),
        "orders_from_ms": baseline.orders_from_ms,
        "tripped": {
            kind: {"at_ms": mark.at_ms, "number": mark.number, "until_ms": mark.until_ms}
            for kind, mark in baseline.tripped.items()
        },
    }


def _decode(row: Mapping[str, Any]) -> Baseline:
    return Baseline(
        day=str(row["day"]),
        day_start_usdt=Decimal(row["day_start_usdt"]),
        peak_usdt=Decimal(row["peak_usdt"]),
        orders_from_ms=int(row["orders_from_ms"]),
        tripped={
            kind: Mark(at_ms=mark["at_ms"], number=mark["number"], until_ms=mark["until_ms"])
            for kind, mark in row["tripped"].items()
        },
    )
