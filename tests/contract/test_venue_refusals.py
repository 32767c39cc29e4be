"""What speaks against an account or a request on every venue: keys, rates, bans, maintenance."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from core.errors import (
    CredentialsError,
    MaintenanceError,
    RateLimitedError,
    TradeEngineError,
    UnknownOutcomeError,
)
from core.model import PlacedOrder, PositionsRead
from tests.contract.venue_cases import BTC, Bench


@pytest.mark.parametrize("why", ["key", "permission", "ip", "expired"])
async def test_te62_a_key_that_is_refused_parks_the_account(kit: Bench, why: str) -> None:
    venue = await kit.connected()
    code = kit.words.codes.get(why, kit.words.codes["key"])  # an expired key may be an unknown one
    text = "origin_string[1KEYMAIN5] KEYMAIN"
    fault = kit.break_orders("refuse", code=code, text=text)
    (outcome,) = await venue.place_orders([kit.order()])
    kit.server.remove_fault(fault)
    kit.break_at(kit.words.positions, "refuse", code=code, text=text)
    with pytest.raises(CredentialsError):
        await venue.fetch_positions()

    assert isinstance(outcome, CredentialsError)
    assert "KEYMAIN" not in str(outcome)
    assert "credentials.json" in str(outcome)
    assert kit.size() == 0


async def test_te63_a_wrong_secret_parks_the_account(kit: Bench) -> None:
    venue = kit.venue(api_secret=SecretStr("WRONGSECRET"))
    with pytest.raises(CredentialsError, match="secret"):
        await venue.connect()
    (outcome,) = await venue.place_orders([kit.order()])

    assert isinstance(outcome, CredentialsError)
    assert kit.size() == 0


async def test_te64_a_wrong_passphrase_parks_the_account(kit: Bench) -> None:
    venue = kit.venue(api_passphrase=SecretStr("WRONG"))
    if kit.words.passphrase is None:  # a venue without one does not look at it
        await venue.connect()
    else:
        with pytest.raises(CredentialsError):
            await venue.connect()

    kit.shows("Passphrase", "no" if kit.words.passphrase is None else "yes")


async def test_te65_c2_no_error_shows_a_key_a_secret_or_a_signature(kit: Bench) -> None:
    venue = await kit.connected()
    code = kit.words.codes["signature"]
    kit.server.add_fault("refuse", endpoint="*", code=code, text="origin_string[1KEYMAIN5000x]")
    with pytest.raises(CredentialsError) as caught:
        await venue.fetch_positions()
    found = await venue.place_orders([kit.order()])

    errors: list[BaseException | None] = [caught.value]
    errors += [one for one in found if isinstance(one, Exception)]
    assert len(errors) == 2
    for one in errors:
        error = one
        while error is not None:
            assert "KEYMAIN" not in f"{error!r}"
            error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("fault", "wait_s"),
    [
        pytest.param({"kind": "rate_limit"}, None, id="its-own-word"),
        pytest.param({"kind": "http", "status": 429, "body": "slow down"}, 0, id="429"),
        pytest.param(
            {"kind": "http", "status": 429, "headers": {"Retry-After": "7"}}, 7, id="retry-after"
        ),
    ],
)
async def test_te66_b17_an_order_refused_for_the_rate_was_not_placed(
    kit: Bench, fault: dict[str, Any], wait_s: int | None
) -> None:
    venue = await kit.connected()
    seen: list[bool] = []
    observe = kit.transport.limiter.observe

    def watched(*route: Any, **told: Any) -> None:
        seen.append(told["remaining"] is not None)
        observe(*route, **told)

    kit.transport.limiter.observe = watched  # type: ignore[method-assign] # looked at, passed on
    await kit.open(venue, "0.01", client_id="te01")
    kit.break_orders(**fault, count=1)
    (outcome,) = await venue.place_orders([kit.order("te02")])

    assert isinstance(outcome, RateLimitedError)
    assert outcome.retry_after_s >= 1
    assert wait_s is None or outcome.retry_after_s == (wait_s or kit.profile.ip_silence_s)
    assert kit.size() == kit.words.lots(BTC, "0.01")
    kit.shows("Tells what is left of a limit", "yes" if seen[0] else "no")


async def test_te67_b17_after_a_ban_nothing_more_is_sent(kit: Bench) -> None:
    venue = await kit.connected()
    kit.break_orders("ip_ban", count=1)
    (first,) = await venue.place_orders([kit.order("te01")])
    kit.server.forget_requests()
    (second,) = await venue.place_orders([kit.order("te02", "-0.01", reduce_only=True)])
    with pytest.raises(RateLimitedError):
        await venue.fetch_positions()

    assert isinstance(first, RateLimitedError)
    assert first.retry_after_s >= 30
    assert isinstance(second, RateLimitedError)
    assert kit.paths() == []
    assert kit.size() == 0


async def test_te68_b17_a_limited_endpoint_lets_the_others_through(kit: Bench) -> None:
    venue, other = await kit.connected(), await kit.connected("second")
    kit.break_orders("rate_limit", count=1)
    await venue.place_orders([kit.order()])
    (elsewhere,) = await other.place_orders([kit.order()])
    kit.server.forget_requests()
    (read,) = await asyncio.gather(venue.fetch_positions(), return_exceptions=True)
    by_endpoint = isinstance(read, PositionsRead)

    assert by_endpoint or isinstance(read, RateLimitedError)  # told, not waited for
    assert isinstance(elsewhere, PlacedOrder)  # another account goes on
    kit.shows("An account's limits are kept", "by endpoint" if by_endpoint else "in one pool")
    assert kit.to(kit.words.positions) == int(by_endpoint)
    kit.later(60)
    assert (await venue.fetch_positions()).positions == {}


async def test_te69_b20_maintenance_is_told_on_reads_and_places_nothing(kit: Bench) -> None:
    venue = await kit.connected()
    kit.server.add_fault("maintenance")
    for read in (venue.fetch_positions, venue.fetch_equity, venue.fetch_open_orders):
        with pytest.raises(MaintenanceError):
            await read()
    (outcome,) = await venue.place_orders([kit.order("te01")])
    has_code = isinstance(outcome, MaintenanceError)
    kit.server.clear_faults()
    state = await venue.fetch_order(BTC, "te01")
    (again,) = await venue.place_orders([kit.order("te01")])

    expected: type[TradeEngineError] = MaintenanceError if has_code else UnknownOutcomeError
    assert type(outcome) is expected  # without a word of the venue's own it is not known
    assert state is None
    assert isinstance(again, PlacedOrder)
    kit.shows("Maintenance has a code", "yes" if has_code else "no")
