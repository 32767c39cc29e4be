"""`--rank` and `--once`: read the network once and print what the service would make of it.

Stores nothing, publishes nothing; the ranking continues from the one the service remembers.
"""

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Column, Table

from core.clock import SystemClock
from core.errors import ConfigError, TradeEngineError
from core.home import Home
from core.process.exit_codes import ExitCode
from core.process.logs import redact, register_secret
from core.process.service_status import read_status
from signal_processors.bittensor_chain import FRESH_MS, load_snapshot
from signal_processors.bittensor_client import ValidatorClient
from signal_processors.bittensor_exposure import Measure, explained, wanted_depths
from signal_processors.bittensor_files import BittensorFiles
from signal_processors.bittensor_follower import FollowSettings
from signal_processors.bittensor_following import limits_of, validator_name
from signal_processors.bittensor_memory import load_memory
from signal_processors.bittensor_model import RankedMiner, Ranking, Snapshot
from signal_processors.bittensor_payload import Judge
from signal_processors.bittensor_ranking import RankingInputs, rank
from signal_processors.bittensor_reading import Reader
from signal_processors.bittensor_service import NO_KEY, NO_PAPER, PAPER, access_of

RANKED: Final = ("rank", "hotkey", "weight", "score", "figures", "reasons")
STACKED: Final = ("rank", "miner")
DEPTHS: Final = ("pair", "symbol", "depth", "agreement", "miners", "largest")
PIPED: Final = 400
"""Characters of a line that no terminal folds."""
LARGEST: Final = 3


# what fails is part of what is printed; without a handler its log lines would stand there too
logging.getLogger("signal_processors").addHandler(logging.NullHandler())


def look(*, ranks: bool, as_json: bool) -> int:
    """Print the ranking or the depths of this moment; give the exit code."""
    home = Home.from_environment()
    try:
        document = asyncio.run(_read(home, ranks=ranks))
    except ConfigError as error:
        return _fail(error, ExitCode.CONFIG)
    except TradeEngineError as error:
        return _fail(error, ExitCode.CHECK_FAILED)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
    else:
        _show(document, ranks=ranks)
    return int(ExitCode.OK)


async def _read(home: Home, *, ranks: bool) -> dict[str, Any]:
    """Read the network and give what is printed. Raises TradeEngineError."""
    files = BittensorFiles(home)
    settings = files.settings()
    credentials = files.credentials()
    if credentials is None:
        raise ConfigError(NO_KEY)
    register_secret(credentials.api_key.get_secret_value())
    url = str(read_status(home, PAPER).get("url") or "")
    if credentials.environment == "paper" and not credentials.endpoint and not url:
        raise TradeEngineError(f"{NO_PAPER}: ./trade-engine up")
    is_simulated = credentials.environment == "paper"
    access, now_ms = access_of(credentials, url), SystemClock().now_ms()
    judge = Judge(pairs=frozenset(settings.targets), now_ms=now_ms, tier=access.tier)
    client = ValidatorClient(access, clock=SystemClock(), limits=limits_of(settings.config))
    try:
        reader = Reader(client, lambda: judge)
        statistics = await reader.statistics(None)
        eliminated = await reader.eliminations({})
        snapshot, _ = await reader.positions()
    finally:
        await client.close()
    chain = settings.config.chain
    registry = None if is_simulated else load_snapshot(home.state, chain, now_ms=now_ms)
    inputs = RankingInputs(
        miners=snapshot.miners,
        statistics=statistics,
        eliminated=eliminated,
        registry=registry,
        is_registry_stale=registry is not None and now_ms - registry.fetched_at_ms >= FRESH_MS,
        crypto_pairs=frozenset(settings.targets),
        previous=load_memory(home.state, validator_name(access, is_simulated)).ranking,
        now_ms=now_ms,
    )
    ranking = rank(inputs, settings.config)
    found = _ranks(ranking) if ranks else _depths(snapshot, ranking, settings, access.tier)
    return {
        "ranking": ranking.name,
        "flags": list(ranking.flags),
        "miners": snapshot.count,
        "unreadable": dict(snapshot.dropped),
        "problems": {**reader.unavailable, **reader.problems},
        **found,
    }


def _ranks(ranking: Ranking) -> dict[str, Any]:
    return {"rows": [_row(row) for row in ranking.rows]}


def _row(row: RankedMiner) -> dict[str, Any]:
    return {
        "rank": row.rank,
        "hotkey": row.hotkey,
        "weight": format(row.weight, "f"),
        "score": row.score,
        "figures": dict(row.figures),
        "reasons": list(row.reasons),
    }


def _depths(
    snapshot: Snapshot, ranking: Ranking, settings: FollowSettings, tier: int
) -> dict[str, Any]:
    measure = Measure(
        limit=settings.config.trading_limits.leverage_limit, targets=settings.targets, tier=tier
    )
    positions = [position for miner in snapshot.miners.values() for position in miner.positions]
    found = wanted_depths(positions, ranking, measure)
    return {
        "depths": [
            {"pair": pair, "symbol": settings.targets[pair], **explained(row)}
            for pair, row in sorted(found.items())
        ]
    }


def _show(document: Mapping[str, Any], *, ranks: bool) -> None:
    is_screen = sys.stdout.isatty()
    console = Console(highlight=False, markup=False, width=None if is_screen else PIPED)
    flags = f", without full knowledge: {', '.join(document['flags'])}" if document["flags"] else ""
    unreadable = len(document["unreadable"])
    console.print(f"{document['miners']} miners, {unreadable} unreadable{flags}")
    for kind, text in document["problems"].items():
        console.print(f"{kind}: {text}")
    titles: Sequence[str] = DEPTHS
    cells = [_depth(row) for row in document.get("depths", ())]
    if ranks:
        titles, cells = RANKED, [_miner(row) for row in document["rows"]]
    if ranks and is_screen:  # one below the other: a screen is not wide enough
        titles, cells = STACKED, [_stacked(row) for row in cells]
    if not cells:
        console.print("Nobody who is followed holds a mapped pair now.")
        return
    columns = (Column(title, overflow="fold") for title in titles)
    table = Table(*columns, box=None, pad_edge=False)
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _miner(row: Mapping[str, Any]) -> Sequence[str]:
    is_ranked = bool(row["rank"])
    return (
        str(row["rank"] or ""),
        row["hotkey"],
        _short(row["weight"]) if Decimal(row["weight"]) else "",
        f"{row['score']:.4g}" if is_ranked else "",
        ", ".join(f"{name} {value:.4g}" for name, value in row["figures"].items()),
        "; ".join(row["reasons"]),
    )


def _stacked(cells: Sequence[str]) -> Sequence[str]:
    place, hotkey, weight, score, figures, reasons = cells
    told = [f"{name} {text}" for name, text in (("weight", weight), ("score", score)) if text]
    return place or "-", "\n".join(filter(None, ("  ".join([hotkey, *told]), figures, reasons)))


def _depth(row: Mapping[str, Any]) -> Sequence[str]:
    largest = (f"{one['hotkey'][:8]} {_short(one['depth'])}" for one in row["miners"][:LARGEST])
    return (
        row["pair"],
        row["symbol"],
        _short(row["wanted"]),
        _short(row["agreement"]),
        str(len(row["miners"])),
        ", ".join(largest),
    )


def _short(number: str) -> str:
    """Write a number without the zeros at its end."""
    return format(Decimal(number).normalize(), "f")


def _fail(error: TradeEngineError, code: ExitCode) -> int:
    sys.stderr.write(redact(f"bittensor_processor: {error}\n"))
    return int(code)
