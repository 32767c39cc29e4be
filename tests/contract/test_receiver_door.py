"""The receiver's door over HTTP: who is let in, what is answered, what is never said or stored."""

import asyncio
import logging
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from core.home import Home
from signal_processors.client_address import MOST_ADDRESSES, AttemptLimiter, read_address
from signal_processors.tradingview_docs import docs_app
from signal_processors.tradingview_door import Door
from tests.alert_forms import REFUSED_FIELDS, REFUSED_SIZES, SIZES, body
from tests.contract.receiver import FLAT, LONG, PATH, TOKEN, Receiver, running


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    async with running(Home(tmp_path)) as receiver:
        yield receiver


async def test_a_good_alert_is_stored_and_answered_with_its_id(receiver: Receiver) -> None:
    response = await receiver.post(LONG)

    assert response.status_code == 200
    answer = response.json()
    (row,) = receiver.rows
    assert answer == {"status": "ok", "id": row["id"], "warnings": [], "ignored": []}
    assert (row["status"], row["depth"], row["symbol"]) == ("accepted", "0.058", "ETHUSDT")


async def test_the_body_may_carry_the_token_instead_of_the_path(receiver: Receiver) -> None:
    response = await receiver.post({**LONG, "token": TOKEN}, path="/")

    assert response.status_code == 200
    assert receiver.rows[0]["meta"]["raw"]["token"] == "***"


@pytest.mark.parametrize(
    ("path", "alert"),
    [
        ("/webhook/wrong", LONG),
        ("/webhook/", LONG),
        (f"/webhook/{TOKEN}x", LONG),
        (f"/webhook/x/{TOKEN}", LONG),
        ("/webhook/%ff%00", LONG),
        ("/", LONG),
        ("/", {**LONG, "token": "wrong"}),
        ("/", {**LONG, "token": ["x"]}),
        ("/", b"not json"),
        ("/webhook/wrong", {**LONG, "token": TOKEN}),
    ],
)
async def test_c1_without_the_right_token_nothing_comes_in(
    receiver: Receiver, path: str, alert: dict[str, str] | bytes
) -> None:
    response = await receiver.post(alert, path=path)

    assert response.status_code == 401
    assert response.json()["status"] == "rejected"
    assert receiver.rows == []
    assert receiver.intake.counters.unauthorized == 1


async def test_c1_an_empty_token_in_the_settings_refuses_everybody(tmp_path: Path) -> None:
    async with running(Home(tmp_path), token="") as receiver:
        for path in ("/webhook/", "/webhook/x", "/"):
            response = await receiver.post({**LONG, "token": ""}, path=path)

            assert response.status_code == 401
            assert "trade-engine up" in response.json()["reason"]


async def test_a_changed_token_holds_at_once(receiver: Receiver) -> None:
    assert (await receiver.post(LONG)).status_code == 200
    receiver.webhook = receiver.webhook.model_validate({"token": "another"})

    assert (await receiver.post(LONG)).status_code == 401
    assert (await receiver.post(LONG, path="/webhook/another")).status_code == 200


async def test_a_trailing_slash_is_no_matter(receiver: Receiver) -> None:
    assert (await receiver.post(LONG, path=PATH + "/")).status_code == 200


async def test_c1_a_large_body_is_refused_by_its_header(receiver: Receiver) -> None:
    response = await receiver.post(b"x" * (64 * 1024 + 1))

    assert response.status_code == 413
    assert response.headers["connection"] == "close"


async def test_c4_a_large_body_without_a_length_is_cut_off(receiver: Receiver) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100_000_000:
            sent += 4096
            yield b" " * 4096
            await asyncio.sleep(0)

    try:
        response = await receiver.client.post(PATH, content=endless())
    except httpx.TransportError:
        pass  # cut off before the answer was read
    else:
        assert response.status_code == 413
    assert sent < 10_000_000
    assert receiver.rows == []


async def test_a_body_of_just_64_kib_is_taken(receiver: Receiver) -> None:
    alert = b'{"symbol":"ETHUSDT","direction":"flat"}'

    assert (await receiver.post(alert + b" " * (64 * 1024 - len(alert)))).status_code == 200


async def test_what_is_not_understood_is_refused_and_kept(receiver: Receiver) -> None:
    response = await receiver.post({**LONG, "size": "5000/100"})

    assert response.status_code == 422
    answer = response.json()
    (row,) = receiver.rows
    assert (answer["status"], answer["field"]) == ("rejected", "size")
    assert (row["status"], row["reason"], row["depth"]) == ("rejected", answer["reason"], None)


async def test_every_form_of_a_size_over_http(receiver: Receiver) -> None:
    for size, direction, depth in SIZES:
        response = await receiver.post(body(size=size, direction=direction))

        assert response.status_code == 200, (size, direction)
        newest = receiver.writer.newest()["ETHUSDT"]
        assert newest.depth == Decimal(depth), (size, direction)


async def test_b3_every_refused_form_over_http_says_which_field(receiver: Receiver) -> None:
    forms = [({"size": size, "direction": d}, "size") for size, d in REFUSED_SIZES]
    for fields, field in [*forms, *REFUSED_FIELDS]:
        response = await receiver.post(body(**fields))

        assert response.status_code == 422, fields
        assert response.json()["field"] == field
        assert response.json()["reason"]
    assert {row["status"] for row in receiver.rows} == {"rejected"}


async def test_at_most_a_thousand_rejections_are_stored_in_a_day(receiver: Receiver) -> None:
    take = receiver.intake.take
    answers = [take(b"{}", content_type="", secret="") for _ in range(1_004)]
    assert {answer.status for answer in await asyncio.gather(*answers)} == {422}

    assert (await receiver.post(b"{}")).status_code == 422
    assert len(receiver.rows) == 1_000
    assert receiver.intake.counters.rejected == 1_005


async def test_b4_text_plain_and_any_other_content_type_is_read(receiver: Receiver) -> None:
    for n, kind in enumerate(("text/plain", "text/plain; charset=utf-8", "", "x", "image/png")):
        alert = {**LONG, "size": n + 1}

        assert (await receiver.post(alert, content_type=kind)).status_code == 200
    assert len(receiver.rows) == 5


async def test_latin_1_is_read_where_it_is_declared(receiver: Receiver) -> None:
    alert = '{"symbol":"ETHUSDT","direction":"flat","note":"fermé"}'.encode("latin-1")

    undeclared = await receiver.post(alert, content_type="text/plain")
    declared = await receiver.post(alert, content_type="text/plain; charset=iso-8859-1")
    assert (undeclared.status_code, declared.status_code) == (422, 200)


async def test_ignored_keys_and_warnings_are_told(receiver: Receiver) -> None:
    alert = {**LONG, "symbol": "BTCUSDT.P", "takeprofit": "1", "timenow": "yesterday"}
    answer = (await receiver.post(alert)).json()

    assert answer["ignored"] == ["takeprofit"]
    assert any("asset_mapping_config.json" in text for text in answer["warnings"])
    assert any("timenow" in text for text in answer["warnings"])
    assert receiver.rows[0]["symbol"] == ""
    assert receiver.rows[0]["source_symbol"] == "BTCUSDT.P"


async def test_c1_sixty_wrong_tokens_a_minute_then_429(receiver: Receiver) -> None:
    answers = [await receiver.post(LONG, path="/webhook/no") for _ in range(62)]

    assert [r.status_code for r in answers] == [401] * 60 + [429] * 2
    assert receiver.intake.counters.rate_limited == 2
    # the body is not even read any more, but who knows the path is let in
    assert (await receiver.post({**LONG, "token": TOKEN}, path="/")).status_code == 429
    assert (await receiver.post(LONG)).status_code == 200


async def test_good_alerts_are_never_limited(receiver: Receiver) -> None:
    for n in range(1, 100):
        alert = {**LONG, "size": n, "token": TOKEN}

        assert (await receiver.post(alert, path="/")).status_code == 200


async def test_the_address_behind_a_trusted_proxy_counts(tmp_path: Path) -> None:
    async with running(
        Home(tmp_path), trusted_proxies=["127.0.0.1", "10.0.0.0/8"], allow_ips=["52.89.214.238"]
    ) as receiver:
        allowed = await receiver.post(LONG, x_forwarded_for="6.6.6.6, 52.89.214.238, 10.1.2.3")
        forged = await receiver.post(LONG, x_forwarded_for="52.89.214.238, 6.6.6.6")
        none = await receiver.post(LONG)

        assert [r.status_code for r in (allowed, forged, none)] == [200, 403, 403]


async def test_without_a_trusted_proxy_the_header_is_not_believed(tmp_path: Path) -> None:
    async with running(Home(tmp_path), allow_ips=["52.89.214.238"]) as receiver:
        assert (await receiver.post(LONG, x_forwarded_for="52.89.214.238")).status_code == 403


async def test_each_address_behind_the_proxy_has_its_own_limit(tmp_path: Path) -> None:
    async with running(Home(tmp_path), trusted_proxies=["127.0.0.1"]) as receiver:
        tries = [
            await receiver.post(LONG, path="/webhook/no", x_forwarded_for="6.6.6.6")
            for _ in range(61)
        ]
        other = await receiver.post(LONG, path="/webhook/no", x_forwarded_for="7.7.7.7")
        assert (tries[-1].status_code, other.status_code) == (429, 401)


def test_c1_the_limiters_table_is_bounded_and_its_minute_ends() -> None:
    limiter = AttemptLimiter()
    first = read_address("2001:db8::1")
    for _ in range(60):
        limiter.count(first, 0)

    assert not limiter.may_try(read_address("2001:db8::ffff"), 59_999)  # the same site
    assert limiter.may_try(first, 60_000)
    for n in range(MOST_ADDRESSES):
        limiter.count(read_address(f"10.0.{n // 256}.{n % 256}"), 1)
    assert limiter.may_try(first, 2)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/ping", 200),
        ("HEAD", "/ping", 200),
        ("GET", "/health", 200),
        ("GET", "/", 404),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
        ("GET", PATH, 405),
        ("PUT", PATH, 405),
        ("DELETE", "/", 405),
        ("POST", "/ping", 404),
        ("POST", "/webhook", 404),
    ],
)
async def test_other_requests(receiver: Receiver, method: str, path: str, status: int) -> None:
    response = await receiver.client.request(method, path)

    assert response.status_code == status
    if path == "/ping" and method == "GET":
        assert response.json() == {"ping": "pong"}


async def test_docs_are_there_for_those_who_ask(receiver: Receiver) -> None:
    door = Door(intake=receiver.intake, config=lambda: receiver.webhook, docs=docs_app())
    transport = httpx.ASGITransport(app=door)
    async with httpx.AsyncClient(transport=transport, base_url="http://docs") as client:
        assert "swagger" in (await client.get("/docs")).text
        assert "/webhook/{token}" in (await client.get("/openapi.json")).json()["paths"]
        assert (await client.post(PATH, json=dict(FLAT))).status_code == 200


async def test_c2_no_token_is_logged_or_stored(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await receiver.post({**LONG, "token": TOKEN, "note": f"via {PATH}"})
    await receiver.post({**LONG, "size": "x", "token": TOKEN})
    await receiver.post(b'{"token": "' + TOKEN.encode())
    await receiver.post(LONG, path=PATH + "wrong")
    logged = "".join(
        f"{record.getMessage()}{vars(record)}"
        for record in caplog.records
        if not record.name.startswith(("httpx", "httpcore"))
    )
    folder = receiver.home.raw_signals / "tradingview"
    stored = "".join(path.read_text() for path in folder.glob("*.jsonl"))

    assert len(receiver.rows) == 3
    assert TOKEN not in logged
    assert TOKEN not in stored


async def raw_exchange(receiver: Receiver, *parts: bytes) -> bytes:
    """Send parts of a request and read until the other side hangs up."""
    reader, writer = await asyncio.open_connection(*receiver.address)
    for part in parts:
        writer.write(part)
        await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "head", [b"", b"POST /webhook/x HTT", b"POST / HTTP/1.1\r\nhost: x\r\nx-slow: 1"]
)
async def test_c1_a_stranger_who_sends_no_headers_is_not_waited_for(
    tmp_path: Path, head: bytes
) -> None:
    async with running(Home(tmp_path), headers_within_s=0.05) as receiver:
        assert await raw_exchange(receiver, head) == b""


async def test_c1_a_body_that_would_be_too_large_is_not_waited_for(receiver: Receiver) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 65537\r\n\r\n".encode()

    assert (await raw_exchange(receiver, head)).startswith(b"HTTP/1.1 413")


async def test_c1_a_body_that_trickles_is_not_waited_for(tmp_path: Path) -> None:
    async with running(Home(tmp_path), body_within_s=0.05) as receiver:
        head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n".encode()
        answer = await raw_exchange(receiver, head, b"{")

        assert answer.startswith(b"HTTP/1.1 408")


async def test_c1_endless_headers_are_cut_off(receiver: Receiver) -> None:
    lines = [b"x-%d: %s\r\n" % (n, b"y" * 4000) for n in range(40)]
    try:
        answer = await raw_exchange(receiver, b"POST / HTTP/1.1\r\n", *lines)
    except (ConnectionResetError, BrokenPipeError):
        answer = b""

    assert answer == b""
    assert (await receiver.client.get("/ping")).status_code == 200


async def test_a_client_that_leaves_early_harms_nobody(receiver: Receiver) -> None:
    _, writer = await asyncio.open_connection(*receiver.address)
    writer.write(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    assert (await receiver.post(LONG)).status_code == 200


@pytest.mark.parametrize("rubbish", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\x00" * 9])
async def test_what_is_not_http_is_hung_up_on(receiver: Receiver, rubbish: bytes) -> None:
    assert (await raw_exchange(receiver, rubbish)).startswith(b"HTTP/1.1 400")
