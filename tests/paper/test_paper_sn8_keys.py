"""Who comes in to the simulated validator, in each of the three ways."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.paper.sn8_clients import BEARER, KEY, Bench, bench

NETWORK = "x-taoshi-consumer-request-key"


@pytest.fixture
async def b() -> AsyncIterator[Bench]:
    async with bench() as running:
        yield running


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_of_the_key_may_be_in_any_case(b: Bench, scheme: str) -> None:
    answer = await b.get("/miner-positions", headers={"Authorization": f"{scheme} {KEY}"})

    assert answer.status == 200


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"headers": {}}, id="no-key"),
        pytest.param({"headers": {"Authorization": "Bearer wrong"}}, id="wrong-key"),
        pytest.param({"headers": {"Authorization": f"Basic {KEY}"}}, id="other-scheme"),
        pytest.param({"headers": {NETWORK: KEY}}, id="network-header"),
        pytest.param({"headers": {}, "params": {"api_key": KEY}}, id="in-the-query"),
        pytest.param({"headers": {}, "json": {"api_key": KEY}}, id="in-the-body"),
    ],
)
async def test_without_a_key_in_its_place_nobody_comes_in(options: dict[str, Any]) -> None:
    async with bench(keys={KEY: 100}) as b:
        for path in ("/miner-positions", "/statistics", "/eliminations", "/miner-hotkeys"):
            answer = await b.get(path, **options)
            assert (answer.status, answer.json()) == (401, {"error": "Unauthorized access"})


async def test_an_open_door_wants_some_key(b: Bench) -> None:
    assert (await b.get("/miner-positions", headers={})).status == 401
    assert (await b.get("/miner-positions", headers={"Authorization": "Bearer any"})).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/miner-positions", 403),
        ("/miner-positions?tier=100", 403),
        ("/miner-positions?tier=50", 200),
        ("/miner-positions?tier=0", 200),
        ("/statistics?checkpoints=false", 200),
        ("/miner-hotkeys", 200),
    ],
)
async def test_a_key_opens_its_own_tier_and_those_below(path: str, status: int) -> None:
    async with bench(keys={KEY: 50}) as b:
        answer = await b.get(path)

        assert answer.status == status
        if status == 403:
            text = "Your API key does not have access to tier 100 data"
            assert answer.json() == {"error": text}


async def test_a_network_key_opens_one_url_and_nothing_is_packed() -> None:
    async with bench(auth_style="request_network", keys={KEY: 100}) as b:
        found = await b.get("/miner-positions?tier=100", headers={NETWORK: KEY})
        assert "Content-Encoding" not in found.headers
        assert set(orjson.loads(found.raw)) == set(b.sn8.hotkeys)

        for path, headers in (
            ("/miner-positions", {NETWORK: KEY}),
            ("/statistics?checkpoints=false", {NETWORK: KEY}),
            ("/miner-positions?tier=100", {NETWORK: "other"}),
            ("/miner-positions?tier=100", BEARER),
        ):
            assert (await b.get(path, headers=headers)).status == 403

        b.sn8.misbehave("rate_limited", count=1)
        limited = await b.get("/miner-positions?tier=100", headers={NETWORK: KEY})
        assert (limited.status, limited.json()) == (403, {"error": "Unauthorized: Rate limited"})
        assert "Retry-After" not in limited.headers
        b.sn8.misbehave("upstream_failure", count=1)
        assert (await b.get("/miner-positions?tier=100", headers={NETWORK: KEY})).status == 500


async def test_the_oldest_style_has_the_key_in_the_body_of_a_get() -> None:
    async with bench(auth_style="legacy_body", keys={KEY: 100}) as b:
        body = {"api_key": KEY}
        raw = await b.get("/miner-positions", headers={}, json=body)
        packed = await b.get("/miner-positions?tier=100", headers={}, json=body)

        assert set(orjson.loads(raw.raw)) == set(b.sn8.hotkeys)
        assert orjson.loads(gzip.decompress(packed.raw)) == orjson.loads(raw.raw)
        assert (await b.get("/miner-positions")).status == 401
        assert (await b.get("/miner-positions", headers={}, json={"api_key": 1})).status == 401


def give_credentials(home: Path, **row: Any) -> None:
    home.mkdir(exist_ok=True)
    keys = {"bittensor_sn8": {"api_key": "from-file", **row}, "accounts": []}
    (home / "credentials.json").write_bytes(orjson.dumps(keys))


async def test_a_paper_key_of_the_credentials_comes_in_and_no_other(tmp_path: Path) -> None:
    give_credentials(tmp_path, environment="paper", endpoint="", auth_style="bearer")
    async with bench(home=tmp_path) as b:
        assert (await b.get("/miner-positions")).status == 401
        found = await b.get("/miner-positions", headers={"Authorization": "Bearer from-file"})
        assert found.status == 200
        assert "from-file" not in repr(b.sn8.state())
        assert b.sn8.state()["door"] == "strict"


async def test_the_style_of_the_credentials_is_the_one_in_force(tmp_path: Path) -> None:
    endpoint = "http://127.0.0.1:9100/sn8/miner-positions?tier=50"
    give_credentials(tmp_path, environment="paper", auth_style="request_network", endpoint=endpoint)
    async with bench(home=tmp_path) as b:
        headers = {NETWORK: "from-file"}

        assert (await b.get("/miner-positions?tier=50", headers=headers)).status == 200
        assert (await b.get("/miner-positions?tier=100", headers=headers)).status == 403


async def test_a_live_key_does_not_come_in_here(tmp_path: Path) -> None:
    give_credentials(tmp_path, endpoint="https://validator.example", auth_style="bearer")
    async with bench(home=tmp_path) as b:
        found = await b.get("/miner-positions", headers={"Authorization": "Bearer from-file"})

        assert found.status == 401


async def test_credentials_are_read_again_when_they_change(tmp_path: Path) -> None:
    async with bench(home=tmp_path) as b:
        assert (await b.get("/miner-positions")).status == 200
        give_credentials(tmp_path, environment="paper", auth_style="bearer")
        assert (await b.get("/miner-positions")).status == 401
        (tmp_path / "credentials.json").write_text("{ torn")
        found = await b.get("/miner-positions", headers={"Authorization": "Bearer from-file"})
        assert found.status == 200
