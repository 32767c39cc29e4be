"""How the validator misbehaves, on demand: a table of what is in force.

Pure: no I/O and no clock. Three groups: `http` changes an answer, `content` changes what the files
show (the miners themselves trade on), `stream` changes what the websocket sends.

| kind | effect | params |
|---|---|---|
| `http_status` | an HTTP error | `status`, `body` |
| `not_built` | 404 "Data not found", as after a restart | |
| `html` | status 200 with a web page | |
| `empty_object` | status 200 with `{}` | |
| `truncated_gzip` | the compressed body ends half-way | |
| `gzip_bomb` | unpacks to `mb` megabytes, announces next to nothing | `mb` |
| `oversize` | a compressed body of `mb` megabytes | `mb` |
| `latency` | answers `s` seconds late | `s` |
| `hang` | never answers | |
| `rate_limited` | 403 "Unauthorized: Rate limited" | |
| `upstream_failure` | 500 of a proxy whose validator is gone | |
| `stale_file` | files are not rebuilt any more | |
| `emptied` | no miner has a position | |
| `swapped` | every hotkey is another one | |
| `poisoned` | one miner's field has that value | `hotkey`/`index`, `field`, `value`, `where` |
| `removed` | a miner is not there | `hotkey`/`index` |
| `vanished` | an open position is not there, though not closed | `hotkey`/`index`, `pair` |
| `rewritten` | closed positions had another result | `factor`, `hotkey`/`index` |
| `watermark_back` | everything as it was `s` seconds ago | `s` |
| `silence` | the websocket stays open and says nothing | |
| `sequence_gap` | the next `count` messages get a number and are not sent | |
| `batch` | messages come in batches of `messages` | `messages` |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Final, Literal

from core.errors import ConfigError

Group = Literal["http", "content", "stream"]
Params = Mapping[str, Any]
WHO: Final = ("hotkey", "index")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a kind of misbehaviour takes: parameters with their defaults, and those it must have."""

    group: Group
    defaults: Params = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    is_of_one: bool = False  # of one miner, named by hotkey or index
    may_be_of_one: bool = False


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "http_status": Kind(group="http", defaults={"status": 503, "body": ""}),
        "not_built": Kind(group="http"),
        "html": Kind(group="http"),
        "empty_object": Kind(group="http"),
        "truncated_gzip": Kind(group="http"),
        "gzip_bomb": Kind(group="http", defaults={"mb": 512}),
        "oversize": Kind(group="http", defaults={"mb": 100}),
        "latency": Kind(group="http", defaults={"s": 5.0}),
        "hang": Kind(group="http"),
        "rate_limited": Kind(group="http"),
        "upstream_failure": Kind(group="http"),
        "stale_file": Kind(group="content"),
        "emptied": Kind(group="content"),
        "swapped": Kind(group="content"),
        "poisoned": Kind(
            group="content",
            defaults={"where": "open"},
            needed=("field", "value"),
            is_of_one=True,
        ),
        "removed": Kind(group="content", is_of_one=True),
        "vanished": Kind(group="content", needed=("pair",), is_of_one=True),
        "rewritten": Kind(group="content", defaults={"factor": 1.1}, may_be_of_one=True),
        "watermark_back": Kind(group="content", defaults={"s": 3600.0}),
        "silence": Kind(group="stream"),
        "sequence_gap": Kind(group="stream"),
        "batch": Kind(group="stream", defaults={"messages": 2}),
    }
)
POISON_PLACES: Final = ("open", "closed", "order", "miner", "statistics")
NUMBERS: Final = ("status", "mb", "s", "factor", "messages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """One line of the table."""

    id: int
    kind: str
    path: str = "*"  # glob on the path without /sn8; http kinds only
    count: int | None = None  # happens so often; None = until it is cleared
    params: Params = field(default_factory=dict)

    @property
    def group(self) -> Group:
        """What it changes."""
        return KINDS[self.kind].group


class Misbehaviours:
    """All that is in force."""

    def __init__(self) -> None:
        self._rows: dict[int, Misbehaviour] = {}
        self._last_id = 0

    def add(self, kind: str, params: Params) -> Misbehaviour:
        """Put one into force; `path` and `count` are its own. Raises ConfigError."""
        known = KINDS.get(kind)
        if known is None:
            raise ConfigError(f"{kind!r} is no misbehaviour; known: {', '.join(KINDS)}")
        own = {name: params[name] for name in ("path", "count") if name in params}
        rest = {name: value for name, value in params.items() if name not in own}
        checked = _checked(kind, known, {**known.defaults, **rest})
        count = own.get("count", 1 if kind == "sequence_gap" else None)
        if count is not None and (type(count) is not int or count < 1):
            raise ConfigError(f"count must be a whole number above 0, was {count!r}")
        self._last_id += 1
        path = str(own.get("path", "*"))
        row = Misbehaviour(id=self._last_id, kind=kind, path=path, count=count, params=checked)
        self._rows[row.id] = row
        return row

    def clear(self, which: str | int | None = None) -> None:
        """Take out all, those of a kind, or one by its id."""
        kept = (row for row in self._rows.values() if which not in {None, row.kind, row.id})
        self._rows = {row.id: row for row in kept}

    def rows(self, group: Group | None = None) -> tuple[Misbehaviour, ...]:
        """What is in force, oldest first."""
        return tuple(row for row in self._rows.values() if group in {None, row.group})

    def active(self, kind: str) -> Misbehaviour | None:
        """The newest of a kind, not used up by asking."""
        return next((row for row in reversed(self._rows.values()) if row.kind == kind), None)

    def on_request(self, path: str) -> tuple[Misbehaviour, ...]:
        """What happens to an answer; uses up counts."""
        found = tuple(row for row in self.rows("http") if fnmatchcase(path, row.path))
        for row in found:
            self._use_up(row)
        return found

    def takes_message(self) -> bool:
        """Tell whether the next message is lost; uses up counts."""
        row = self.active("sequence_gap")
        if row is None:
            return False
        self._use_up(row)
        return True

    def _use_up(self, row: Misbehaviour) -> None:
        if row.count is None:
            return
        if row.count <= 1:
            del self._rows[row.id]
        else:
            self._rows[row.id] = replace(row, count=row.count - 1)


def _checked(kind: str, known: Kind, params: Params) -> dict[str, Any]:
    allowed = {*known.defaults, *known.needed}
    if known.is_of_one or known.may_be_of_one:
        allowed |= set(WHO)
    odd = sorted(set(params) - allowed)
    if odd:
        message = f"{kind} does not know {', '.join(odd)}; it takes {', '.join(sorted(allowed))}"
        raise ConfigError(message)
    missing = [name for name in known.needed if name not in params]
    if known.is_of_one and not set(WHO) & set(params):
        missing.append("hotkey or index")
    if missing:
        raise ConfigError(f"{kind} needs {', '.join(missing)}")
    for name in set(NUMBERS) & set(params):
        value = params[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ConfigError(f"{name} of {kind} must be a number, not below 0; was {value!r}")
    if params.get("where", "open") not in POISON_PLACES:
        raise ConfigError(f"where must be one of {', '.join(POISON_PLACES)}")
    return dict(params)
