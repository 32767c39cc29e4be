"""What a venue says of the API key that asks, and of what an order cost; on every venue."""

from decimal import Decimal

import aiohttp
import pytest
from pydantic import SecretStr

from account_processors.probing import KeyProbe, probe_key
from core.errors import CredentialsError, RejectedError, TransientError
from core.model import KeyFacts
from tests.contract.capabilities import cell
from tests.contract.venue_cases import BTC, Bench, account_of

IN_A_WEEK_MS = 604_800_000
QUERY = {"bybit": "/v5/user/query-api", "blofin": "/api/v1/user/query-apikey"}
QUERY |= {"kucoin": "/api/v1/user/api-key", "mexc": ""}


async def facts_of(kit: Bench, **rights: object) -> KeyFacts:
    kit.server.set_rights("main", **rights)
    return await (await kit.connected()).fetch_key_facts()


def told(facts: KeyFacts) -> str:
    """Put what is known as the table of capabilities does."""
    known = {
        "trading": facts.can_trade,
        "withdrawal": facts.can_withdraw,
        "end": facts.expires_at_ms,
        "addresses": facts.allowed_ips,
    }
    return ", ".join(name for name, value in known.items() if value is not None) or "no"


async def test_te75_c3_what_the_venue_says_of_the_key_is_told(kit: Bench) -> None:
    ends_at_ms = (kit.their_clock.now_ms() + IN_A_WEEK_MS) // 1000 * 1000
    rights = {"can_withdraw": True, "expires_at_ms": ends_at_ms, "ips": ("10.0.0.1", "10.0.0.2")}
    facts = await facts_of(kit, **rights)

    kit.shows("Tells of an API key", told(facts))
    says = cell(kit.profile, "Tells of an API key")
    assert facts == KeyFacts(
        can_read=True if "trading" in says else None,
        can_trade=True if "trading" in says else None,
        can_withdraw=True if "withdrawal" in says else None,
        expires_at_ms=ends_at_ms if "end" in says else None,
        allowed_ips=("10.0.0.1", "10.0.0.2") if "addresses" in says else None,
    )
    assert len(kit.paths()) == (1 if kit.profile.key else 0)


async def test_te76_c3_a_key_that_may_only_read_is_refused_an_order(kit: Bench) -> None:
    facts = await facts_of(kit, is_read_only=True)
    venue = await kit.connected()
    (outcome,) = await venue.place_orders([kit.order()])

    assert isinstance(outcome, CredentialsError)
    assert "permission" in str(outcome)
    assert kit.size() == 0
    assert (await venue.fetch_equity()).equity_usdt == Decimal(100_000)
    assert facts.can_trade is (None if kit.profile.key is None else False)
    assert facts.can_withdraw is (None if kit.profile.key is None else False)


async def test_te77_the_fee_of_an_order_is_told_where_the_venue_tells_it(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([kit.order("te0001", "0.01")])
    state = await venue.fetch_order(BTC, "te0001")
    wallet = kit.state().wallet_usdt

    assert state is not None
    kit.shows("Tells the fee of an order", "no" if state.fee_usdt is None else "yes")
    if state.fee_usdt is not None:
        assert state.fee_usdt == Decimal(100_000) - wallet > 0


async def test_an_order_that_filled_nothing_cost_nothing_or_unknown(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([kit.order("te0001", "0.01", price="30000")])
    state = await venue.fetch_order(BTC, "te0001")

    assert state is not None
    assert not state.filled_lots
    assert not state.fee_usdt


async def test_a_key_without_limits_has_no_end_and_every_address(kit: Bench) -> None:
    facts = await facts_of(kit)

    assert facts.expires_at_ms is None
    assert facts.allowed_ips in ((), None)
    assert facts.can_withdraw in (False, None)


async def test_a_failed_look_at_the_key_is_an_error_and_no_right(kit: Bench) -> None:
    venue = await kit.connected()
    if kit.profile.key is None:
        assert await venue.fetch_key_facts() == KeyFacts()
        return
    kit.server.add_fault("http", status=502, endpoint=QUERY[kit.exchange])
    with pytest.raises(TransientError):
        await venue.fetch_key_facts()


async def probe(kit: Bench, *, timeout_s: float = 5, secret: str | None = None) -> KeyProbe:
    changes = {} if secret is None else {"api_secret": secret}
    account = account_of(exchange=kit.exchange).model_copy(
        update={name: SecretStr(value) for name, value in changes.items()}
    )
    return await probe_key(account, paper_url=kit.server.url, timeout_s=timeout_s)


async def test_a_probe_tells_money_modes_rights_and_skew(kit: Bench) -> None:
    found = await probe(kit)

    assert (found.error, found.facts_error, found.is_refused) == ("", "", False)
    assert found.equity_usdt == found.free_margin_usdt == Decimal(100_000)
    assert found.mode is not None
    assert found.mode.is_hedged is False
    assert found.facts.can_trade is (True if kit.profile.key else None)
    assert found.skew_ms is not None
    assert abs(found.skew_ms) < 1500
    assert {request.method for request in kit.server.requests()} == {"GET"}


async def test_a_probe_with_a_wrong_secret_is_refused_without_showing_it(kit: Bench) -> None:
    found = await probe(kit, secret="NOTTHESECRET00")

    assert found.is_refused
    assert "signature" in found.error
    assert "NOTTHESECRET00" not in repr(found)
    assert found.equity_usdt is None


async def test_a_probe_of_a_clock_that_is_wrong_tells_by_how_much(kit: Bench) -> None:
    kit.their_clock.wrong_by_ms = 7_000
    found = await probe(kit)

    assert found.error == ""
    assert found.skew_ms is not None
    assert 5_500 < found.skew_ms < 8_500
    assert found.mode is not None
    assert found.equity_usdt == Decimal(100_000)


async def test_a_probe_of_a_venue_that_hangs_ends_in_time(kit: Bench) -> None:
    kit.server.add_fault("hang_after")
    found = await probe(kit, timeout_s=0.05)

    assert not found.is_refused
    assert found.error


async def test_a_probe_goes_on_where_only_the_rights_cannot_be_read(kit: Bench) -> None:
    kit.server.add_fault("maintenance", endpoint=QUERY[kit.exchange] or "/no/such")
    found = await probe(kit)

    assert found.error == ""
    assert bool(found.facts_error) is (kit.profile.key is not None)
    assert found.facts == KeyFacts()
    assert found.equity_usdt == Decimal(100_000)


async def test_a_probe_without_a_paper_exchange_or_a_key_says_so() -> None:
    nowhere = await probe_key(account_of(), paper_url=None, timeout_s=1)
    keyless = await probe_key(account_of(api_key=""), paper_url="http://127.0.0.1:9", timeout_s=1)

    assert "paper exchange" in nowhere.error
    assert "api_key is missing" in keyless.error


async def test_reductions_are_refused_to_a_read_only_key_too(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.02")
    kit.server.set_rights("main", is_read_only=True)
    (outcome,) = await venue.place_orders([kit.order("te0002", "-0.01", reduce_only=True)])

    assert isinstance(outcome, CredentialsError)
    assert not isinstance(outcome, RejectedError)
    assert kit.coins() == Decimal("0.02")


async def test_the_rights_of_a_paper_key_are_changed_at_the_side_door(kit: Bench) -> None:
    body = {"account": "main", "is_read_only": True, "ips": ["10.0.0.1"]}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{kit.server.url}/control/keys", json=body) as answer:
            said = await answer.json()
        unknown = {"account": "nobody"}
        async with session.post(f"{kit.server.url}/control/keys", json=unknown) as answer:
            status = answer.status
    facts = await (await kit.connected()).fetch_key_facts()

    assert said["is_read_only"] is True
    assert status == 400
    assert facts.can_trade is (False if kit.profile.key else None)
