"""`trade-engine check`: whether everything is in place to trade. Reads only, beside the engine too.

Each line says how one thing stands and what to do about it; a line that fails fails the check.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Final

import typer

from commands.checks.findings import Finding, Place, document, failed, verdict
from commands.checks.sources import SourceSeen, judge_source
from commands.checks.system import judge_service, judge_system
from commands.refusal import CheckFailedError
from commands.signals import source_names
from commands.tables import plain, print_table
from core.home import Home
from core.process.exit_codes import ExitCode
from core.process.logs import redact, register_secret
from core.settings import AccountConfig, Settings, load_settings
from core.source_reader import SourceReader
from core.status.parts import StatusParts, read_parts
from core.store import to_json

TITLES: Final = ("where", "what", "state", "detail")


def command(
    account: Annotated[str | None, typer.Option("--account", help="One account only.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="One source only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    allow_withdraw_keys: Annotated[
        bool, typer.Option("--allow-withdraw-keys", help="Let keys pass that may withdraw.")
    ] = False,
) -> None:
    """Check keys, rights, clocks, modes, money, markets, sources, services; sends no order.

    Ends with "All ok", else with exit code 3. Example: ./trade-engine check --account main
    """
    home = Home.from_environment()
    settings = load_settings(home)
    for one in settings.accounts:
        _register(one)
    now_ms, parts = time.time_ns() // 1_000_000, read_parts(home)
    found: list[Finding] = []
    if account is None and source is None:
        found.extend(judge_system(home, settings, parts, now_ms))
    if source is not None or account is None:
        found.extend(_sources(home, settings, parts, now_ms, only=source))
    if account is not None or source is None:
        chosen = _chosen(settings, account)
        found.extend(_accounts(home, chosen, parts, now_ms, allows=allow_withdraw_keys))
    _tell(found, as_json=as_json)


def _tell(found: list[Finding], *, as_json: bool) -> None:
    if as_json:
        typer.echo(redact(to_json(document(found)).decode()))
        if failed(found):
            raise typer.Exit(ExitCode.CHECK_FAILED)
        return
    print_table(TITLES, [list(row.to_row().values()) for row in found])
    typer.echo()
    if failed(found):
        raise CheckFailedError(plain(verdict(found)))
    typer.echo(verdict(found))


def _accounts(
    home: Home, settings: Settings, parts: StatusParts, now_ms: int, *, allows: bool
) -> list[Finding]:
    if not any(one.enabled for one in settings.accounts):
        names = ", ".join(one.name for one in settings.accounts) or "none"
        text = f"none is enabled, so nothing is traded (credentials.json: {names})"
        return [Place(where="engine").fail("accounts", text)]
    from commands.checks.reading import check_accounts  # noqa: PLC0415 - talks to venues

    reading = check_accounts(home, settings, parts.control, now_ms=now_ms, allows_withdrawal=allows)
    return asyncio.run(reading)


def _sources(
    home: Home, settings: Settings, parts: StatusParts, now_ms: int, *, only: str | None
) -> Iterator[Finding]:
    from signal_processors.base import discover  # noqa: PLC0415 - only sources need it

    profiles, written = discover(), source_names(home)
    weighed = {row.source for weights in settings.weights for row in weights.sources}
    names = sorted({*profiles, *written, *settings.mapping, *weighed})
    if only is not None and only not in names:
        raise typer.BadParameter(f"there is no source {only}; there are: {', '.join(names)}")
    for name in names if only is None else [only]:
        profile = profiles.get(name)
        reader = SourceReader(home, name, is_level=True)
        newest = reader.sweep()
        seen = SourceSeen(
            name=name,
            is_known=profile is not None,
            is_level=profile is not None and profile.is_level,
            newest=newest,
            confirmed_at_ms=reader.confirmed_at_ms(),
            problem=reader.problem,
        )
        yield from judge_source(seen, settings, now_ms)
        if profile is not None:
            yield from judge_service(profile.service, name, parts, now_ms)


def _chosen(settings: Settings, name: str | None) -> Settings:
    """Give the settings with one account only, where one is named."""
    if name is None:
        return settings
    account = settings.account(name)
    if account is None:
        names = ", ".join(row.name for row in settings.accounts) or "none"
        raise typer.BadParameter(f"there is no account {name}; there are: {names}")
    return replace(settings, accounts=(account,))


def _register(account: AccountConfig) -> None:
    """Mask an account's keys in everything that is printed from now on."""
    for secret in (account.api_key, account.api_secret, account.api_passphrase):
        if secret is not None:
            register_secret(secret.get_secret_value())
