"""What `why` found, for a person who has five seconds: the sum first, then who, where, and details.

Prints only. Whatever came from outside is made harmless here: no control character reaches the
terminal, no registered secret.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import typer

from commands.reasons.steps import print_steps, steps
from commands.tables import plain, print_table

Row = Mapping[str, Any]
WORDS: Final = ("who", "its symbol", "wants", "x weight", "x leverage", "= adds", "heard / changed")
ACCOUNTS: Final = ("account", "holds", "wants", "as wanted", "because")
MINERS: Final = ("miner", "holds", "x weight", "= adds")
NOTHING: Final = "Nothing is known of {symbol}: no source spoke of it, no account holds it."
NOT_RUNNING: Final = "The engine is NOT running: ./trade-engine up. Accounts as {seen} ago."
SHOWN_MINERS: Final = 8


def show(document: Row, account: str | None = None) -> None:
    """Print the whole story of a symbol, and every step of the account that was asked for."""
    words = [row for row in document["signals"] if "error" not in row]
    _say(_headline(document, words))
    if document["accounts"] and not document["engine"]["is_running"]:
        _say(NOT_RUNNING.format(seen=_time(document["engine"]["seen_s"])))
    _table(WORDS, [_word(row) for row in words])
    _table(ACCOUNTS, [_account(row) for row in document["accounts"]])
    for line in _notes(document):
        _say(line)
    _show_steps(document, account)
    for row in words:
        _show_miners(row)
    for row in document["signals"]:
        if "error" in row:
            _say(f"LOST {row['source']}: its last word is held. {row['error']}", is_error=True)


def _show_steps(document: Row, account: str | None) -> None:
    """Print every step of one account, or how to see them."""
    if document["chains"] and account is None:
        _say(
            f"Every step, with its figures: ./trade-engine why {document['symbol']} --account NAME"
        )
    for chain in document["chains"]:
        if chain["account"] == account:
            _say("")
            _say(f"{account}, step by step:")
            print_steps(steps(chain))


def _headline(document: Row, words: Sequence[Row]) -> str:
    """Say in one line what is wanted and who holds it."""
    lost = [row["source"] for row in document["signals"] if "error" in row]
    accounts = document["accounts"]
    if not words and not accounts and not lost:
        return NOTHING.format(symbol=document["symbol"])
    wanted = f"wanted {_exposure(document['exposure'])}" if words else "no source speaks of it"
    if not document["is_configured"]:
        wanted = "not in signal_weight_config.json, so it has no target"
    if lost:
        wanted += f", without {', '.join(lost)}, whose signals are lost"
    if not accounts:
        return f"{document['symbol']}: {wanted}; no account reports on it"
    behind = [str(row["account"]) for row in accounts if not row["as_wanted"]]
    held = f"held as wanted by {len(accounts) - len(behind)} of {len(accounts)} accounts"
    names = f", NOT by {', '.join(behind)}" if behind else ""
    return f"{document['symbol']}: {wanted}; {held}{names}"


def _notes(document: Row) -> Iterator[str]:
    """Say what else a person must know, a line each."""
    if any(row.get("is_stale") for row in document["signals"]):
        yield "A stale source keeps its last word: it closes nothing, and opens nothing."
    is_split = document["exposure"] != document["exposure_without_simulated"]
    if is_split and any(row["environment"] != "paper" for row in document["accounts"]):
        real = _exposure(document["exposure_without_simulated"])
        yield f"Only paper accounts follow a simulated source; for the others it is {real}."
    for row in document["unmapped"]:
        means = f"means {row['mapped_to']}" if row["mapped_to"] else "means nothing"
        yield (
            f"{row['source']} says {_side(row['depth'])} of a {row['source_symbol']} that {means} "
            "(asset_mapping_config.json)."
        )
    for row in document["alerts"]:
        where = f"{row['account']}: " if row.get("account") else ""
        yield f"{row['severity']}: {where}{row['text']}"


def _word(row: Row) -> list[str]:
    asked = row["asked_leverage"]
    leverage = _short(row["leverage"])
    if asked is not None and _number(asked) != _number(row["leverage"]):
        leverage += f" (asked {_short(asked)})"
    heard = f"{_time(row['age_s'])} ago"
    if row["age_s"] > row["heard_s"]:
        heard = f"{_time(row['heard_s'])} / {heard}"
    return [
        str(row["source"]) + " (simulated)" * row["is_simulated"],
        str(row["source_symbol"]),
        _side(row["depth"]),
        _short(row["weight"]) if _number(row["weight"]) else "0: not heard",
        leverage,
        _short(row["adds"]),
        "STALE " * row["is_stale"] + heard,
    ]


def _account(row: Row) -> list[str]:
    target = row["target_lots"]
    reasons = dict.fromkeys(str(row[key]) for key in ("hold", "reason") if row.get(key))
    return [
        str(row["account"]),
        _side(row["held_lots"]),
        "" if target is None else _side(target),
        "yes" if row["as_wanted"] else "NO",
        "; ".join(reasons),
    ]


def _show_miners(row: Row) -> None:
    """Print who made a depth of SN8; what is no such explanation is passed over."""
    said = row["meta"].get("miners")
    miners = [one for one in said if _is_miner(one)] if isinstance(said, list) else []
    if not miners:
        return
    parts = [_number(one["depth"]) or Decimal(0) for one in miners]
    head = f"{row['source']} {row['source_symbol']}: {', '.join(_told(row, parts))}"
    _table(MINERS, [_miner(one) for one in miners[:SHOWN_MINERS]], head)
    if rest := parts[SHOWN_MINERS:]:
        total = _short(sum(rest, Decimal(0)))
        _say(f"and {len(rest)} smaller, together {total}: --json lists them all")


def _told(row: Row, parts: Sequence[Decimal]) -> Iterator[str]:
    """Put into words what SN8's source says about its own depth."""
    meta = row["meta"]
    long = sum(part > 0 for part in parts)
    yield f"{long} miners long, {sum(part < 0 for part in parts)} short"
    yield f"agreement {_short(meta.get('agreement'))}"
    yield f"ranking {meta.get('ranking')}"
    wanted = _number(meta.get("wanted"))
    if wanted is not None and wanted != _number(row["depth"]):
        yield f"they want {_side(wanted)}, it is on its way"
    flags = meta.get("flags")
    yield from (str(flag) for flag in (flags if isinstance(flags, list) else ()))


def _is_miner(one: object) -> bool:
    keys = ("weight", "net_leverage", "depth")
    return isinstance(one, Mapping) and all(_number(one.get(key)) is not None for key in keys)


def _miner(one: Row) -> list[str]:
    held, weight, adds = one["net_leverage"], one["weight"], one["depth"]
    return [str(one.get("hotkey")), f"{_side(held)} x", _short(weight), _short(adds)]


def _side(number: object) -> str:
    """Say a signed number in words: `long 0.1`, `flat`."""
    value = _number(number)
    if value is None:
        return "?"
    return "flat" if value == 0 else f"{'long' if value > 0 else 'short'} {_short(abs(value))}"


def _exposure(number: object) -> str:
    return f"{_side(number)} x equity" if _number(number) else _side(number)


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _short(number: object) -> str:
    """Write a number without the zeros at its end."""
    value = _number(number)
    return "?" if value is None else format(value.normalize(), "f") if value else "0"


def _time(seconds: int | None) -> str:
    if seconds is None:
        return "long"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], head: str = "") -> None:
    if rows:
        typer.echo(f"\n{plain(head)}" if head else "")
        print_table(titles, rows)


def _say(text: str, *, is_error: bool = False) -> None:
    typer.echo(plain(text), err=is_error)
