"""What content misbehaviours make of a document before it is packed.

Pure; never changes its argument. The miners themselves know nothing of it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from paper_exchange.sn8.faults import Misbehaviour, Params
from paper_exchange.sn8.shapes import Json
from paper_exchange.sn8.ss58 import hotkey as make_hotkey

Document = dict[str, Json]


def tampered(document: Document, rows: Sequence[Misbehaviour]) -> Document:
    """The positions document as it is shown under those misbehaviours."""
    for row in rows:
        change = CHANGES.get(row.kind)
        if change is not None:
            document = change(document, row.params)
    return document


def tampered_statistics(document: Json, rows: Sequence[Misbehaviour]) -> Json:
    """The statistics document as it is shown under those misbehaviours."""
    miners: list[Json] = document["data"]
    for row in rows:
        who = row.params.get("hotkey")
        if row.kind == "removed":
            miners = [miner for miner in miners if miner["hotkey"] != who]
        elif row.kind == "poisoned" and row.params["where"] == "statistics":
            miners = [
                _with_field(miner, row.params) if miner["hotkey"] == who else miner
                for miner in miners
            ]
    return {**document, "data": miners}


def _emptied(document: Document, _: Params) -> Document:
    return {hotkey: {**miner, "positions": []} for hotkey, miner in document.items()}


def _swapped(document: Document, _: Params) -> Document:
    found = {}
    for hotkey, miner in document.items():
        other = make_hotkey(0, f"swapped-{hotkey}")
        rows = [{**row, "miner_hotkey": other} for row in miner["positions"]]
        found[other] = {**miner, "positions": rows}
    return found


def _removed(document: Document, params: Params) -> Document:
    return {hotkey: row for hotkey, row in document.items() if hotkey != params["hotkey"]}


def _vanished(document: Document, params: Params) -> Document:
    def is_kept(row: Json) -> bool:
        return bool(row["is_closed_position"]) or row["trade_pair"][0] != params["pair"]

    return _with_miner(
        document,
        params,
        lambda miner: {**miner, "positions": [row for row in miner["positions"] if is_kept(row)]},
    )


def _rewritten(document: Document, params: Params) -> Document:
    def other(row: Json) -> Json:
        if not row["is_closed_position"]:
            return row
        changed = {
            name: row[name] * params["factor"] for name in ("current_return", "return_at_close")
        }
        return {**row, **changed}

    return _with_rows(document, params, other)


def _poisoned(document: Document, params: Params) -> Document:
    where = params["where"]
    if where == "statistics":
        return document
    if where == "miner":
        return _with_miner(document, params, lambda miner: _with_field(miner, params))

    def poisoned(row: Json) -> Json:
        if where == "order":
            return {**row, "orders": [_with_field(order, params) for order in row["orders"]]}
        is_meant = row["is_closed_position"] == (where == "closed")
        return _with_field(row, params) if is_meant else row

    return _with_rows(document, params, poisoned)


def _with_rows(document: Document, params: Params, change: Callable[[Json], Json]) -> Document:
    return _with_miner(
        document,
        params,
        lambda miner: {**miner, "positions": [change(row) for row in miner["positions"]]},
    )


def _with_miner(document: Document, params: Params, change: Callable[[Json], Json]) -> Document:
    """Change one miner, or all where none is named."""
    who = params.get("hotkey")
    return {
        hotkey: change(miner) if who in {None, hotkey} else miner
        for hotkey, miner in document.items()
    }


def _with_field(row: Json, params: Params) -> Json:
    """Put a value into a field; dots lead into objects."""
    first, _, rest = str(params["field"]).partition(".")
    value: Any = params["value"]
    if rest:
        inner = row.get(first)
        value = _with_field(inner if isinstance(inner, dict) else {}, {**params, "field": rest})
    return {**row, first: value}


CHANGES: Final[Mapping[str, Callable[[Document, Params], Document]]] = {
    "emptied": _emptied,
    "swapped": _swapped,
    "removed": _removed,
    "vanished": _vanished,
    "rewritten": _rewritten,
    "poisoned": _poisoned,
}
