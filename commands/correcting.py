"""What differs between accounts and targets, and how it is put right; for `correct-accounts`.

Differences come from a rehearsal (`commands.plan`), so they are read beside a living engine. Put
right is by people's decisions in control.json: the engine trades, nothing here does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from commands.braking import decide, now_ms, person
from commands.engine_at_hand import AtHand, ended_by_signals, engine_at_hand
from commands.plan import rehearse
from commands.quiet import quiet
from core.control import Control, Scope
from core.control.file import lift_holds, read_control, resume, set_mode
from core.home import Home
from core.ledger import HoldKind
from core.model import Mode

WHY: Final = "correct-accounts"
LIFT: Final = "its hold is lifted, and it is brought to the target"
CLOSE: Final = "it is closed"
WHAT: Final[Mapping[str, str]] = {
    HoldKind.EXTERNAL: "changed by somebody else",
    HoldKind.LIQUIDATION: "liquidated",
    HoldKind.ADOPT: "held before our first order",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person wants corrected; `account` None = all."""

    account: str | None
    closes_foreign: bool
    buys_back: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One symbol that is not as wanted; `remedy` "" = nothing is done about it."""

    account: str
    symbol: str
    held_lots: str | None  # signed
    target_lots: str | None
    what: str
    remedy: str = ""

    @property
    def scope(self) -> Scope:
        """Where it is."""
        return Scope(account=self.account, symbol=self.symbol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All differences, and the accounts that could not be read."""

    rows: tuple[Difference, ...]
    failures: tuple[str, ...]


def differences(home: Home, wish: Wish) -> Found:
    """Look at every account and say what is not as wanted; sends nothing."""
    told = rehearse(home, kind="plan", account=wish.account)
    failures = tuple(
        f"{row['account']}: {failure}" for row in told["accounts"] for failure in row["failures"]
    )
    control = read_control(home)
    rows = tuple(_differences(told["symbols"], wish, control, now_ms()))
    return Found(rows=rows, failures=failures)


def _differences(
    rows: Sequence[Mapping[str, Any]], wish: Wish, control: Control, at_ms: int
) -> Iterator[Difference]:
    for row in rows:
        what, remedy = _judged(row, wish)
        mode, reason = control.mode_for(row["account"], row["symbol"], now_ms=at_ms)
        if what and mode is not Mode.RUN:  # what people decided is not ours to undo
            what, remedy = f"{what}; {reason}", ""
        if what:
            yield Difference(
                account=row["account"],
                symbol=row["symbol"],
                held_lots=row["held_lots"],
                target_lots=row["target_lots"],
                what=what,
                remedy=remedy,
            )


def _judged(row: Mapping[str, Any], wish: Wish) -> tuple[str, str]:
    """Say what a row is, and what is done about it."""
    hold = str(row["hold"] or "")
    codes = {reason["code"] for reason in row["reasons"]}
    if hold:
        is_left = hold == HoldKind.LIQUIDATION and not wish.buys_back
        return WHAT.get(hold, hold), "" if is_left else LIFT
    if "orphan" in codes:
        return "nothing wants it", CLOSE if wish.closes_foreign else ""
    if row["is_off_target"]:
        why = "; ".join(reason["text"] for reason in row["reasons"])
        return f"off its target: {why or 'the engine is about to trade it'}", ""
    return "", ""


async def correct(home: Home, due: Sequence[Difference], *, wait_s: float) -> None:
    """Lift the holds, close what is foreign, and wait until the engine has done it."""
    closing: dict[Scope, str] = {}
    with quiet():
        async with engine_at_hand(home, [row.scope for row in due]) as engine:
            with ended_by_signals():
                try:
                    for row in due:
                        if row.remedy == CLOSE:
                            closing[row.scope] = _close(home, row)
                        else:
                            _lift(home, row.scope)
                    await engine.until(lambda: _is_done(engine, due, closing), within_s=wait_s)
                finally:
                    for scope in closing:
                        _end_closing(home, scope)


def _lift(home: Home, scope: Scope) -> None:
    decide(home, lambda: lift_holds(home, scope, who=person(), why=WHY, now_ms=now_ms()))


def _end_closing(home: Home, scope: Scope) -> None:
    decide(home, lambda: resume(home, scope, who=person(), why=WHY, now_ms=now_ms()))


def _close(home: Home, row: Difference) -> str:
    """Flatten one symbol of one account; gives the id of that decision."""
    control = decide(
        home,
        lambda: set_mode(home, row.scope, Mode.FLATTEN, who=person(), why=WHY, now_ms=now_ms()),
    )
    entry = control.mode_of(row.scope)
    return "" if entry is None else entry.id


def _is_done(engine: AtHand, due: Sequence[Difference], closing: Mapping[Scope, str]) -> bool:
    accounts = {str(row.get("name")): row for row in engine.accounts(Scope())}
    return all(_is_corrected(row, accounts.get(row.account), closing) for row in due)


def _is_corrected(
    row: Difference, said: Mapping[str, Any] | None, closing: Mapping[Scope, str]
) -> bool:
    if said is None:
        return False
    if row.scope in closing:
        return closing[row.scope] in (said.get("flattened") or ())
    found = [s for s in said.get("symbols") or () if s.get("symbol") == row.symbol]
    return any(not s.get("hold") and s.get("verified") for s in found)
