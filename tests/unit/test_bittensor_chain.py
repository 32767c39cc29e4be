"""Reading the subnet with the real client and the real decoder over a chain in memory."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from signal_processors.bittensor_chain import (
    ChainError,
    Limits,
    fetch_registry,
    network_name,
)
from signal_processors.bittensor_model import Registry
from tests.chain_fakes import (
    BLOCK,
    QUICK,
    FakeSubstrate,
    Hook,
    chain_threads,
    hang,
    left_threads,
    subnet,
)

NOW_MS = 1_700_000_000_000


async def read(
    substrate: FakeSubstrate, netuid: int = 8, *, limits: Limits = QUICK, **options: Any
) -> Registry:
    return await fetch_registry(
        "finney",
        netuid,
        previous=options.get("previous"),
        now_ms=NOW_MS,
        connect=lambda _network: substrate,
        limits=limits,
    )


async def read_well() -> Registry:
    return await read(FakeSubstrate(graphs={8: subnet()}))


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield

    assert left_threads(5) == []


async def test_every_value_of_a_full_subnet_is_right() -> None:
    registry = await read_well()
    paid = sum(uid + 1 for uid in range(256) if uid not in {0, 1, 229})
    miner = registry.neurons["hot7"]

    assert (registry.block, registry.fetched_at_ms, len(registry.neurons)) == (BLOCK, NOW_MS, 256)
    assert (miner.uid, miner.coldkey, miner.is_validator) == (7, "cold3", False)
    assert miner.registered_at_ms == NOW_MS - 800 * 12_000
    assert miner.incentive == pytest.approx(8 / paid)
    assert sum(row.incentive for row in registry.neurons.values()) == pytest.approx(1)
    assert registry.neurons["hot0"].is_validator
    assert [registry.neurons[key].incentive for key in ("hot0", "owner", "hot229")] == [0, 0, 0]
    assert registry.neuron("unknown") is None
    assert registry.neuron("hot7_3") == miner


async def test_a_read_asks_for_the_subnet_and_nothing_more() -> None:
    substrate = FakeSubstrate(graphs={8: subnet()})
    await read(substrate)

    assert substrate.calls == ["connect", "get_metagraph", "close"]


async def test_a_subnet_that_does_not_exist_is_an_error_that_names_its_setting() -> None:
    with pytest.raises(ChainError, match=r"subnet 9 does not exist .*chain\.netuid"):
        await read(FakeSubstrate(graphs={8: subnet()}), 9)


async def test_an_unknown_network_is_an_error_that_names_its_setting() -> None:
    with pytest.raises(ChainError, match=r"chain\.network must be finney.* was 'fineny'"):
        await fetch_registry("fineny", 8, previous=None, now_ms=NOW_MS, limits=QUICK)


async def fail() -> None:
    raise AssertionError  # as its connection does when it was closed meanwhile


async def refuse() -> None:
    raise ConnectionRefusedError(111, "refused")


async def give_up() -> None:
    raise asyncio.CancelledError


async def swallow() -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await hang()
    await hang()


@pytest.mark.parametrize(
    ("hooks", "text"),
    [
        pytest.param({"on_connect": refuse}, "refused", id="connect-fails"),
        pytest.param({"on_connect": hang}, r"no answer within 0\.5 s", id="connect-hangs"),
        pytest.param({"on_answer": hang}, r"no answer within 0\.5 s", id="answer-hangs"),
        pytest.param({"on_answer": swallow}, "no answer within", id="swallows-being-cancelled"),
        pytest.param({"on_answer": fail}, "AssertionError", id="answer-fails"),
        pytest.param({"on_answer": give_up}, "CancelledError", id="cancels-itself"),
        pytest.param({"on_answer": hang, "on_close": hang}, "no answer within", id="all-hangs"),
        pytest.param({"on_answer": hang, "on_close": fail}, "no answer", id="dead-supervisor"),
    ],
)
async def test_every_failure_is_one_error_and_the_next_read_works(
    hooks: dict[str, Any], text: str
) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(ChainError, match=text):
            await read(FakeSubstrate(graphs={8: subnet()}, **hooks))

        assert len((await read_well()).neurons) == 256


@pytest.mark.parametrize("on_close", [hang, fail, swallow])
async def test_a_client_that_cannot_be_closed_takes_no_answer_away(on_close: Hook) -> None:
    async with asyncio.timeout(5):
        registry = await read(FakeSubstrate(graphs={8: subnet()}, on_close=on_close))

    assert len(registry.neurons) == 256


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"block": None}, id="no-block"),
        pytest.param({"hotkeys": []}, id="nobody"),
        pytest.param({"incentives": ["x"] * 256}, id="words"),
        pytest.param({"coldkeys": []}, id="no-coldkeys"),
        pytest.param({"block_at_registration": []}, id="no-registrations"),
        pytest.param({"incentives": [-1] * 256}, id="negative"),
        pytest.param({"incentives": [70_000] * 256}, id="more-than-all"),
    ],
)
async def test_an_answer_that_cannot_be_right_is_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(ChainError):
        await read(FakeSubstrate(graphs={8: subnet(**changes)}))


async def test_a_cancelled_read_leaves_nothing_and_closes_its_client() -> None:
    asked, loop = asyncio.Event(), asyncio.get_running_loop()

    async def tell() -> None:
        loop.call_soon_threadsafe(asked.set)
        await hang()

    substrate = FakeSubstrate(graphs={8: subnet()}, on_answer=tell)
    reading = asyncio.create_task(read(substrate, limits=Limits()))
    await asked.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    calls = list(substrate.calls)  # by then, not some time later

    assert calls[-1] == "close"
    assert left_threads(0.1) == []


async def test_what_blocks_its_thread_is_given_up_and_never_piles_up() -> None:
    release = threading.Event()

    async def block() -> None:
        release.wait(30)

    limits = Limits(import_s=0.2, answer_s=0.1, close_s=0.1)
    texts = []
    for _ in range(4):
        with pytest.raises(ChainError) as caught:
            await read(FakeSubstrate(on_connect=block), limits=limits)
        texts.append(str(caught.value))
    hanging = len(chain_threads())
    release.set()

    assert ["hangs for" in text for text in texts] == [True, True, True, False]
    assert "3 earlier attempts still hang" in texts[3]
    assert hanging == 3


@pytest.mark.parametrize(
    ("network", "name"),
    [
        ("finney", "finney"),
        ("wss://host.example:443", "wss://host.example:443"),
        ("wss://host.example/", "wss://host.example"),
    ],
)
def test_a_network_is_named_as_it_is(network: str, name: str) -> None:
    assert network_name(network) == name


def test_the_name_of_a_network_hides_what_may_be_secret_and_tells_two_apart() -> None:
    names = {
        network_name(f"wss://{user}host.example:443/{path}")
        for user in ("", "me:secret@")
        for path in ("secret", "secret?key=secret")
    }

    assert len(names) == 4
    assert all(name.startswith("wss://host.example:443 (#") for name in names)
    assert "secret" not in "".join(names)


async def test_no_error_tells_what_an_address_hides() -> None:
    async def repeat() -> None:
        raise RuntimeError("cannot open ws://127.0.0.1:9/secret\n\x1b[31m now")

    with pytest.raises(ChainError) as caught:
        await fetch_registry(
            "ws://127.0.0.1:9/secret",
            8,
            previous=None,
            now_ms=NOW_MS,
            connect=lambda _network: FakeSubstrate(on_connect=repeat),
            limits=QUICK,
        )
    text = str(caught.value)

    assert "secret" not in text
    assert text.isprintable()


def refusal(retry_after: object) -> Hook:
    async def refuse_under_policy() -> None:
        from bittensor import RpcPolicyError  # noqa: PLC0415 - late, as in the program

        raise RpcPolicyError("too many", status_code=429, retry_after=retry_after)  # type: ignore[arg-type]

    return refuse_under_policy


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        pytest.param("120", 120, id="seconds"),
        pytest.param("0.5", 1, id="at-least-one"),
        pytest.param("-3", 1, id="negative"),
        pytest.param(str(NOW_MS // 1000 + 90), 90, id="moment"),
        pytest.param("Tue, 14 Nov 2023 22:15:20 GMT", 120, id="date"),
        pytest.param("86400000", 6 * 3600, id="no-longer-than-we-can-bear"),
        pytest.param(None, 600, id="not-said"),
        pytest.param("soon", 600, id="words"),
        pytest.param("nan", 600, id="nan"),
        pytest.param("1e999", 600, id="infinite"),
    ],
)
async def test_a_refusal_under_a_policy_says_when_to_come_back(
    said: str | None, seconds: float
) -> None:
    with pytest.raises(ChainError) as caught:
        await read(FakeSubstrate(on_connect=refusal(said)))

    assert caught.value.retry_after_s == seconds


async def test_other_failures_say_nothing_of_when_to_come_back() -> None:
    with pytest.raises(ChainError) as caught:
        await read(FakeSubstrate(on_connect=refuse))

    assert caught.value.retry_after_s is None
