"""What is remembered comes back whole; what is torn, foreign or absurd is begun anew."""

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.home import Home
from core.store import read_json
from signal_processors.bittensor_book import Held
from signal_processors.bittensor_guards import GuardMemory
from signal_processors.bittensor_memory import NAME, Memory, load_memory, save_memory
from signal_processors.bittensor_model import RankedMiner, Ranking
from tests.disk_full import disk_full_after
from tests.unit.sn8_following import following, statistics
from tests.unit.sn8_scene import NOW_MS, hotkey, open_row, payload, position, ranking

VALIDATOR = "a validator"
FULL = Memory(
    validator=VALIDATOR,
    ranking=Ranking(
        name="risk_adjusted",
        made_at_ms=NOW_MS,
        rows=(
            RankedMiner(
                hotkey=hotkey(0),
                weight=Decimal("0.1"),
                score=1.5,
                rank=1,
                reasons=("limited_change: on the way to 0.2",),
                refused_pairs=frozenset({"BTCUSD", "ETHUSD"}),
            ),
            RankedMiner(hotkey=hotkey(1), weight=Decimal("0.05"), score=0.5, rank=None),
        ),
        flags=("no_chain",),
    ),
    guards=GuardMemory(watermark_ms=NOW_MS - 5, results={"closed-1": (hotkey(1), 1.0625)}),
    held=(
        Held(position=position(0, "-0.12345"), missing=2),
        Held(position=position(1, "0.5", pair="ETHUSD")),
    ),
)
NOTHING = Memory(validator=VALIDATOR)


def document() -> dict[str, Any]:
    """Give what is stored of a full memory."""
    with tempfile.TemporaryDirectory() as name:
        save_memory(Path(name), FULL)
        stored: dict[str, Any] = read_json(Path(name) / NAME)
    return stored


def test_everything_comes_back(tmp_path: Path) -> None:
    save_memory(tmp_path, FULL)

    assert load_memory(tmp_path, VALIDATOR) == FULL


def test_a_memory_without_a_ranking_comes_back(tmp_path: Path) -> None:
    save_memory(tmp_path, NOTHING)

    assert load_memory(tmp_path, VALIDATOR) == NOTHING


def test_nothing_is_remembered_where_there_is_no_file(tmp_path: Path) -> None:
    assert load_memory(tmp_path, VALIDATOR) == NOTHING


def test_only_followed_miners_are_remembered(tmp_path: Path) -> None:
    save_memory(tmp_path, Memory(validator=VALIDATOR, ranking=ranking({0: "0.1", 1: "0"})))
    found = load_memory(tmp_path, VALIDATOR).ranking

    assert found is not None
    assert [row.hotkey for row in found.rows] == [hotkey(0)]


def test_another_validator_s_view_of_the_network_is_not_ours(tmp_path: Path) -> None:
    save_memory(tmp_path, FULL)

    assert load_memory(tmp_path, "another") == Memory(validator="another")


def test_a_file_torn_anywhere_begins_anew(tmp_path: Path) -> None:
    save_memory(tmp_path, FULL)
    content = (tmp_path / NAME).read_bytes().rstrip()
    for size in range(len(content)):
        (tmp_path / NAME).write_bytes(content[:size])
        assert load_memory(tmp_path, VALIDATOR) == NOTHING, size


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("v",), 2),
        (("ranking", "rows", 0, "weight"), "1.01"),
        (("ranking", "rows", 0, "weight"), "-0.1"),
        (("ranking", "rows", 0, "weight"), "NaN"),
        (("ranking", "rows", 0, "weight"), "Infinity"),
        (("ranking", "rows", 0, "score"), "much"),
        (("ranking", "rows", 0, "rank"), [1]),
        (("held", 0, "net_leverage"), "501"),
        (("held", 0, "net_leverage"), "sNaN"),
        (("held", 0, "missing"), None),
        (("held",), {"a": 1}),
        (("results",), [1, 2]),
        (("results", "closed-1"), [1]),
        (("watermark_ms",), "soon"),
        (("ranking",), [1]),
    ],
    ids=str,
)
def test_what_cannot_be_begins_anew(tmp_path: Path, path: tuple[Any, ...], value: object) -> None:
    stored = document()
    place: Any = stored
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (tmp_path / NAME).write_bytes(orjson.dumps(stored))

    assert load_memory(tmp_path, VALIDATOR) == NOTHING


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(document())), json_values)
def test_whatever_stands_in_a_key_the_service_starts(key: str, value: object) -> None:
    stored = {**document(), key: value}
    with tempfile.TemporaryDirectory() as name:
        try:
            (Path(name) / NAME).write_bytes(orjson.dumps(stored))
        except orjson.JSONEncodeError:
            return  # an integer that no JSON file of ours can hold

        assert load_memory(Path(name), VALIDATOR).validator == VALIDATOR


def test_b15_a_full_disk_leaves_the_old_file_whole(tmp_path: Path) -> None:
    save_memory(tmp_path, FULL)
    with disk_full_after(50), pytest.raises(OSError, match="too large"):
        save_memory(tmp_path, Memory(validator=VALIDATOR, held=FULL.held))

    assert load_memory(tmp_path, VALIDATOR) == FULL


def test_following_goes_on_from_a_torn_memory_without_a_jump(home: Home) -> None:
    rows = payload(*([open_row(n, 0.5)] for n in range(8)))

    async def work() -> list[dict[str, Decimal]]:
        seen = []
        for _ in range(2):
            async with following(home, {}) as desk:
                desk.study(statistics(8))
                assert await desk.see(rows)
                seen.append(desk.published())
            (home.state / NAME).write_bytes(b'{"v": 1, "ranking"')
        return seen

    first, second = asyncio.run(work())
    assert first == {"BTCUSD": Decimal("0.25")}
    assert first["BTCUSD"] <= second["BTCUSD"] <= Decimal("0.4")
