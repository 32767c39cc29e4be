"""The frozen lots of each target version, kept in `state/targets.json`.

Lots are computed once per version and account and fsynced before the first order, so that a restart
or a moving price does not re-size a position. A lost file is not an emergency: lots are computed
anew, and a held position near enough to them is adopted as it is.
"""

from collections.abc import Container, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.decision import Frozen
from core.errors import ConfigError
from core.store import atomic_write_json, read_json


class FrozenTargets:
    """All accounts' frozen targets; reads the file once, replaces it whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.was_lost = False  # the file was there but could not be read
        self._rows: dict[str, dict[str, Frozen]] = self._load()

    def get(self, account: str, symbol: str) -> Frozen | None:
        """The newest frozen version of a symbol."""
        return self._rows.get(account, {}).get(symbol)

    def of_account(self, account: str) -> Mapping[str, Frozen]:
        """All frozen targets of an account by symbol."""
        return dict(self._rows.get(account, {}))

    def put(
        self,
        account: str,
        changed: Mapping[str, Frozen],
        *,
        only: Container[str] | None = None,
        proves_disk: bool = False,
    ) -> bool:
        """Store what differs, durably; False when nothing did. Raises OSError.

        Symbols that are not in `only` have no target any more and are dropped; None = all stay.
        `proves_disk`: write also what is there already, to see that the disk takes it.
        """
        rows = self._rows.get(account, {})
        kept = {s: f for s, f in rows.items() if only is None or s in only}
        merged_rows = {**kept, **changed}
        if merged_rows == rows and not proves_disk:
            return False
        merged = {**self._rows, account: merged_rows}
        atomic_write_json(self._path, _encode(merged))
        self._rows = merged
        return True

    def _load(self) -> dict[str, dict[str, Frozen]]:
        try:
            raw = read_json(self._path)
        except FileNotFoundError:
            return {}
        except ConfigError:
            self.was_lost = True
            return {}
        try:
            return {
                account: {symbol: _decode(row) for symbol, row in rows.items()}
                for account, rows in raw.items()
            }
        except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError):
            self.was_lost = True
            return {}


def _encode(rows: Mapping[str, Mapping[str, Frozen]]) -> dict[str, Any]:
    return {
        account: {
            symbol: {
                "version": f.version,
                "exposure": str(f.exposure),
                "leverage": str(f.leverage),
                "lots": None if f.lots is None else str(f.lots),
                "confirmed": f.confirmed,
                "started": f.started,
                "expired": f.expired,
                "reason": f.reason,
            }
            for symbol, f in symbols.items()
        }
        for account, symbols in rows.items()
    }


def _decode(row: Mapping[str, Any]) -> Frozen:
    return Frozen(
        version=row["version"],
        exposure=Decimal(row["exposure"]),
        leverage=Decimal(row["leverage"]),
        lots=None if row["lots"] is None else Decimal(row["lots"]),
        confirmed=bool(row["confirmed"]),
        started=bool(row.get("started", False)),
        expired=bool(row.get("expired", False)),
        reason=row.get("reason", ""),
    )
