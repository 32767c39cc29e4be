"""What ccxt was seen to send is understood; what we answer has the shape it was seen to parse."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from paper_exchange.server import PaperServer
from paper_exchange.wires import find_wires
from tests.paper.scene import Json, Scene, asked, send
from tests.paper.scenes import find_scenes

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT.parent / "shared" / "data" / "ccxt_recorded"
SHAPES = ROOT / "tests" / "data" / "paper"
JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "text": str,
    "number": (int, float),
    "flag": bool,
    "null": type(None),
}
SCENES = find_scenes()


@pytest.fixture
async def server() -> AsyncIterator[PaperServer]:
    accounts = [scene.account for scene in SCENES.values()]
    async with PaperServer(accounts=accounts, limits=False) as running:
        running.pin(BTCUSDT="60000", ETHUSDT="3328")
        yield running


def recorded_calls() -> list[Any]:
    if not RECORDED.exists():
        reason = "recorded requests are not beside this checkout"
        return [pytest.param(None, None, marks=pytest.mark.skip(reason=reason))]
    return [
        pytest.param(scene, call, id=f"{scene.venue}-{call['call']}")
        for scene in SCENES.values()
        for name in scene.recorded
        for call in orjson.loads((RECORDED / f"{name}.json").read_bytes())
        if call["requests"] and call["call"] not in scene.unserved
    ]


def test_every_venue_has_a_scene() -> None:
    assert set(SCENES) == set(find_wires())


@pytest.mark.parametrize(("scene", "call"), recorded_calls())
async def test_recorded_requests_are_understood(
    server: PaperServer, scene: Scene, call: dict[str, Any]
) -> None:
    scene.prepare(server, call["call"])
    for request in call["requests"]:
        _, answer = await send(scene, server, request)

        assert scene.code(answer) == scene.answers.get(call["call"], scene.success), answer


def differences(shape: Json, found: Json, where: str = "result") -> Iterator[str]:
    if isinstance(shape, str):
        is_flag = isinstance(found, bool)
        if is_flag is not (shape == "flag") or not isinstance(found, JSON_TYPES[shape]):
            yield f"{where} is {found!r}, not {shape}"
    elif isinstance(shape, dict):
        for key, inner in shape.items():
            if not isinstance(found, dict) or key not in found:
                yield f"{where}.{key} is missing"
            else:
                yield from differences(inner, found[key], f"{where}.{key}")
    elif shape and not found:
        yield f"{where} is empty"
    else:
        for number, item in enumerate(found if shape else ()):
            yield from differences(shape[0], item, f"{where}[{number}]")


@pytest.mark.parametrize("scene", SCENES.values(), ids=lambda scene: scene.venue)
async def test_every_answer_has_the_fields_and_types_that_ccxt_reads(
    server: PaperServer, scene: Scene
) -> None:
    """The shapes name a request by its path, ids in it as `{id}`."""
    shapes = orjson.loads((SHAPES / f"{scene.venue}_shapes.json").read_bytes())["results"]
    seen = set()
    for request in scene.walk:
        status, answer = await send(scene, server, request)
        name = request.get("name") or f"{request['method']} {request['path']}"
        seen.add(name)

        assert (status, scene.code(answer)) == (200, scene.success), f"{name}: {answer}"
        assert set(answer) >= scene.envelope
        assert list(differences(shapes[name], scene.result(answer))) == [], name
    assert seen == set(shapes)


async def test_a_query_is_signed_as_it_was_sent(server: PaperServer) -> None:
    scene = SCENES["bybit"]
    request = asked("GET", "/v5/position/list", headers=scene.private_headers)
    odd = "category=linear&settleCoin=USDT&note=a,b%2cc~d"
    status, answer = await send(scene, server, {**request, "raw_query": odd})

    assert (status, answer["retMsg"]) == (200, "OK")


async def test_a_path_that_the_venue_has_not_is_404(server: PaperServer) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/bybit/v5/no/such", "/nowhere/v5/market/time", "/"):
            async with session.get(server.url + path) as answer:
                assert answer.status == 404
