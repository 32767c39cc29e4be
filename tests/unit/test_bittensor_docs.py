"""docs/bittensor.md names every parameter and every reason as the code has it, and no others."""

import ast
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from core.home import CHECKOUT
from core.settings.engine import DEFAULT_SOURCES
from signal_processors import bittensor_chain, bittensor_follower, bittensor_guards
from signal_processors.bittensor_config import ProcessorConfig, parse_processor_config
from signal_processors.bittensor_ranking import REASONS
from signal_processors.bittensor_weighing import WITHOUT_CHAIN
from signal_processors.bittensor_wizard import Parameter, parameters, shown

PAGE = (CHECKOUT / "docs/bittensor.md").read_text(encoding="utf-8")
PROSE = " ".join(PAGE.split())
FOLDER = CHECKOUT / "signal_processors"
# files in which miners are judged and weighed
RANKING = sorted([*FOLDER.glob("bittensor_rank*.py"), FOLDER / "bittensor_weighing.py"])
CODE = re.compile(r"^([a-z_]+): ")
CONFIG = ProcessorConfig()
NUMBERS = {2: "two", 3: "three", 5: "five", 10: "ten"}
ORDINALS = {3: "third", 5: "fifth", 10: "tenth"}


def section(heading: str) -> str:
    found = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert found, heading
    return found


def rows_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| `")]


def codes_of(text: str) -> list[str]:
    """Give what stands in the first column."""
    return [row.split("|")[1].strip().strip("`") for row in rows_of(text)]


def row(parameter: Parameter) -> str:
    key = f"{parameter.group}.{parameter.name}" if parameter.group else parameter.name
    what = parameter.range or "text"
    return f"| `{key}` | `{shown(parameter.default)}` | {what} | {parameter.meaning} |"


def codes_in(path: Path) -> Iterator[str]:
    """Give the codes of reasons in a source: texts that begin with a code and a colon."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        text: object = None
        if isinstance(node, ast.Constant):
            text = node.value
        elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            text = node.values[0].value
        if isinstance(text, str) and (found := CODE.match(text)):
            yield found[1]


@pytest.mark.parametrize("parameter", parameters(), ids=lambda one: f"{one.group}.{one.name}")
def test_each_parameter_stands_there_with_default_range_and_meaning(parameter: Parameter) -> None:
    assert row(parameter) in rows_of(section("Parameters"))


def test_there_are_no_other_parameters_and_they_stand_in_the_order_of_the_file() -> None:
    assert rows_of(section("Parameters")) == [row(parameter) for parameter in parameters()]


def test_the_table_of_ranking_reasons_is_that_of_the_code() -> None:
    table = PAGE.partition("<!-- reasons -->")[2].partition("<!-- /reasons -->")[0]

    assert rows_of(table) == [f"| `{code}` | {meaning} |" for code, meaning in REASONS.items()]


def test_the_rankings_give_all_of_these_reasons_and_no_others() -> None:
    assert {code for path in RANKING for code in codes_in(path)} == set(REASONS)


def test_each_reason_of_the_guards_is_explained_and_no_other() -> None:
    given = set(codes_in(FOLDER / "bittensor_guards.py"))

    assert len(given) == 13
    assert sorted(codes_of(section("What is not believed"))) == sorted(given)


def test_the_reasons_that_never_give_way_are_the_first_of_the_table() -> None:
    first = codes_of(section("What is not believed"))[: len(bittensor_guards.HARD)]

    assert set(first) == bittensor_guards.HARD
    assert f"The first {NUMBERS[len(first)]} end by themselves" in PROSE


def percent(value: Decimal) -> str:
    return f"{100 * value:.0f} %"


def numbers() -> Iterator[str]:
    """Give what the text says in numbers, made of the code's."""
    following, guards, fetching = CONFIG.following, CONFIG.guards, CONFIG.fetching
    stale_s = DEFAULT_SOURCES["bittensor"].stale_after_s
    yield f"more than {percent(guards.max_bad_share)} of its miners"
    yield f"more than {guards.max_silence_s // 3600} hours old"
    yield f"more than {guards.max_step_back_s // 60} minutes older"
    yield f"pushed more than {bittensor_guards.BEHIND_PUSH_MS // 60_000} minutes ago"
    yield f"knows less than {percent(guards.min_registered_share)}"
    yield f"the {ORDINALS[guards.accept_after]} time in a row"
    yield f"until {NUMBERS[guards.vanish_after]} snapshots agree"
    yield f"{NUMBERS[bittensor_follower.CAREFUL_MS // 60_000]} minutes after that"
    yield f"a {ORDINALS[bittensor_follower.CAREFUL_DIVISOR]} of their pace"
    yield f"{fetching.max_compressed_mb} MB as they come, {fetching.max_decoded_mb} MB unpacked"
    yield f"asked every {CONFIG.chain.interval_s // 60} minutes"
    yield f"| under {bittensor_chain.FRESH_MS // 3_600_000} hours |"
    yield f"taken up at rank {following.join_rank} and left behind rank {following.leave_rank},"
    yield f"move by at most {following.max_weight_change} at a ranking"
    yield f"have {CONFIG.risk_adjusted.min_daily_returns} days of daily returns"
    yield f"more than {percent(CONFIG.risk_adjusted.max_drawdown)}"
    yield f"`sources.bittensor.stale_after_s` ({stale_s // 60} minutes)"


@pytest.mark.parametrize("text", list(numbers()))
def test_each_number_in_the_text_is_that_of_the_code(text: str) -> None:
    assert text in PROSE


def test_caps_and_probation_are_halved_as_the_text_says() -> None:
    assert float(WITHOUT_CHAIN) == 0.5
    assert "that cap is halved" in PROSE
    assert float(CONFIG.risk_adjusted.probation_factor) == 0.5
    assert "half weight on probation" in PROSE
    assert float(CONFIG.guards.min_followed_share) == 0.8
    assert "a fifth of the followed weight" in PROSE


def test_the_example_of_the_page_is_valid_and_differs_from_the_defaults() -> None:
    examples = re.findall(r"^```json\n(.*?)^```$", section("Parameters"), re.MULTILINE | re.DOTALL)

    assert len(examples) == 1
    assert parse_processor_config(orjson.loads(examples[0])) != CONFIG
