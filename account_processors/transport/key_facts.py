"""Reads what a venue says of an API key, by the profile's table: rights, end, addresses.

Lenient: what is missing or not understood is None, "the venue does not say", never a guess.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from account_processors.transport.profile import KeyFields, Row
from account_processors.transport.rows import dig, number, text
from core.model import KeyFacts

YES_OR_NO: Final[Mapping[str, bool]] = {"1": True, "true": True, "0": False, "false": False}


def read_key_facts(row: Row, fields: KeyFields) -> KeyFacts:
    """Read the row that describes the key."""
    is_read_only = YES_OR_NO.get(text(_at(row, fields.read_only)))
    rights = _rights(_at(row, fields.rights))
    return KeyFacts(
        can_read=_can_read(rights, fields, is_read_only),
        can_trade=_can_trade(rights, fields, is_read_only),
        can_withdraw=_can_withdraw(rights, fields, is_read_only),
        expires_at_ms=_time_ms(_at(row, fields.expires)),
        allowed_ips=_addresses(_at(row, fields.ips), fields.every_ip),
    )


def _can_read(
    rights: frozenset[str] | None, fields: KeyFields, is_read_only: bool | None
) -> bool | None:
    if fields.reads:
        return None if rights is None else bool(rights & fields.reads)
    return None if is_read_only is None else True  # it reads, whether or not it writes


def _can_trade(
    rights: frozenset[str] | None, fields: KeyFields, is_read_only: bool | None
) -> bool | None:
    if is_read_only:
        return False
    if fields.trades:
        if rights is None:
            return None
        if not any(needed <= rights for needed in fields.trades):
            return False
    return None if fields.read_only and is_read_only is None else True


def _can_withdraw(
    rights: frozenset[str] | None, fields: KeyFields, is_read_only: bool | None
) -> bool | None:
    if is_read_only:
        return False
    if not fields.withdraws or rights is None:
        return None
    return bool(rights & fields.withdraws)


def _at(row: Row, path: str) -> object:
    return dig(row, path.split(".")) if path else None


def _rights(value: object) -> frozenset[str] | None:
    """Take rights from text divided by commas, a list, or lists by group ("group.right")."""
    if isinstance(value, str):
        value = value.split(",")
    if isinstance(value, list):
        return frozenset(name for name in (text(part).strip() for part in value) if name)
    if isinstance(value, Mapping):
        groups = value.items()
        return frozenset(
            f"{group}.{name}" for group, names in groups for name in _rights(names) or ()
        )
    return None


def _time_ms(value: object) -> int | None:
    """Read milliseconds or ISO 8601; a time at or before 1970 stands for none."""
    at_ms = number(value)
    if at_ms is None:
        try:
            moment = datetime.fromisoformat(text(value))
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        at_ms = number(round(moment.timestamp() * 1000))
    return int(at_ms) if at_ms is not None and at_ms > 0 else None


def _addresses(value: object, every_ip: frozenset[str]) -> tuple[str, ...] | None:
    found = _rights(value) if isinstance(value, str | list) else None
    if found is None:
        return None
    return () if found & every_ip else tuple(sorted(found))
