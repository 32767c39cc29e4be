"""A configuration file broken while money is at work: nothing moves, and you are told of it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.process.key_lease import key_fingerprint
from tests.process.whole_house import House, Row, wait_for, whole_house

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
ENGINE = "trade-engine"
Breaking = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """Give one house to the tests of this file; each mends what it broke."""
    with whole_house() as house:
        house.up()
        yield house


def config_alerts(house: House, name: str) -> list[Row]:
    """List the alerts about one configuration file."""
    alerts: list[Row] = house.status()["alerts"]
    return [alert for alert in alerts if alert["key"].startswith(f"config/{name}")]


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def emptied(_: bytes) -> bytes:
    return b""


def with_leverage_50(content: bytes) -> bytes:
    rows: list[dict[str, Any]] = json.loads(content)
    rows[1]["leverage"] = 50
    return json.dumps(rows).encode()


def with_a_wrong_limit(content: bytes) -> bytes:
    return json.dumps({**json.loads(content), "engine": {"max_gros_exposure": 1}}).encode()


WEIGHTS = "signal_weight_config.json"
CASES = [
    pytest.param(WEIGHTS, half, [], id="weights-half-written"),
    pytest.param(WEIGHTS, with_leverage_50, ["ETHUSDT.leverage", "20", "50"], id="leverage-50"),
    pytest.param("asset_mapping_config.json", emptied, [], id="mapping-emptied"),
    pytest.param("engine_config.json", with_a_wrong_limit, ["max_gross_exposure"], id="wrong-key"),
    pytest.param("credentials.json", half, [], id="credentials-half-written"),
]


@contextmanager
def broken(house: House, name: str, breaking: Breaking) -> Iterator[None]:
    """Break a file until the end of the block, and wait until somebody says so."""
    path = house.home.root / name
    good = path.read_bytes()
    path.write_bytes(breaking(good))
    try:
        wait_for("the alert", lambda: bool(config_alerts(house, name)))
        yield
    finally:
        path.write_bytes(good)


def restart_by_kill(house: House) -> None:
    killed = house.kill(ENGINE)
    assert killed
    wait_for("a new engine", lambda: house.is_ready(ENGINE, other_than=killed))


@pytest.mark.parametrize(("name", "breaking", "words"), CASES)
def test_b13_a_broken_file_moves_nothing_not_even_across_a_kill(
    house: House, name: str, breaking: Breaking, words: list[str]
) -> None:
    lots = house.lots("ETHUSDT") or house.bring("ETHUSDT", "long")
    orders = len(house.orders())
    with broken(house, name, breaking):
        restart_by_kill(house)
        wait_for("its pass", lambda: house.is_settled("ETHUSDT", lots))
        (alert,) = config_alerts(house, name)
    wait_for("a pass on the good file", lambda: house.is_settled("ETHUSDT", lots))

    assert name in alert["text"]
    assert "last good copy is in force" in alert["text"]
    assert [word for word in words if word not in alert["text"]] == []
    assert len(house.orders()) == orders
    assert house.status()["frozen_positions"] == []


def test_b13_the_alert_ends_when_the_file_is_mended(house: House) -> None:
    restart_by_kill(house)
    with broken(house, WEIGHTS, with_leverage_50):
        pass

    wait_for("the alert is over", lambda: config_alerts(house, WEIGHTS) == [])


def test_b13_the_alert_ends_when_the_file_is_mended_after_a_kill(house: House) -> None:
    with broken(house, WEIGHTS, half):
        restart_by_kill(house)

    wait_for("the alert is over", lambda: config_alerts(house, WEIGHTS) == [], limit_s=10)


def test_an_account_that_cannot_be_opened_says_why() -> None:
    with whole_house() as house:
        account = json.loads(house.home.credentials.read_text())["accounts"][0]
        fingerprint = key_fingerprint(account["exchange"], account["api_key"])
        in_the_way = Path("/tmp") / f"trade-engine-key-{fingerprint}.lock"  # noqa: S108 - the lease
        in_the_way.mkdir()
        try:
            house.up()
            wait_for("a word about it", lambda: str(in_the_way) in told(house))
        finally:
            in_the_way.rmdir()


def told(house: House) -> str:
    """Join what the alerts say."""
    return "; ".join(alert["text"] for alert in house.status()["alerts"])
