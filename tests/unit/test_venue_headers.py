"""How long to wait, as a reply's headers have it."""

import pytest

from account_processors.bybit import PROFILE
from account_processors.transport.caller import Caller
from account_processors.transport.limiter import Limiter
from account_processors.transport.raw_client import Trip
from account_processors.transport.server_clock import ServerClock
from core.ports import Clock

NOW_MS = 1_700_000_000_000


class StandingClock:
    def now_ms(self) -> int:
        return NOW_MS

    def monotonic_ms(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def caller() -> Caller:
    clock: Clock = StandingClock()
    server_clock = ServerClock(clock)
    server_clock.set(server_ms=NOW_MS + 2000, sent_at_ms=NOW_MS, answered_at_ms=NOW_MS)
    return Caller(
        profile=PROFILE,
        base_error=Exception,
        limiter=Limiter(clock),
        venue="v",
        account="a",
        server_clock=server_clock,
        secrets=("HUSH",),
    )


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"retry-after": "7"}, 7, id="seconds"),
        pytest.param({"retry-after": "0"}, 1, id="at-once"),
        pytest.param({"retry-after": "soon"}, None, id="words"),
        pytest.param(
            {"x-bapi-limit-reset-timestamp": str(NOW_MS + 2000 + 2500)}, 3, id="venue-s-clock"
        ),
        pytest.param({"x-bapi-limit-reset-timestamp": str(NOW_MS)}, None, id="past"),
        pytest.param({"x-bapi-limit-reset-timestamp": "never"}, None, id="no-number"),
        pytest.param(
            {"retry-after": "7", "x-bapi-limit-reset-timestamp": str(NOW_MS + 9000)}, 7, id="both"
        ),
    ],
)
def test_b17_the_wait_is_the_one_the_venue_asks_for(
    headers: dict[str, str], wait_s: int | None
) -> None:
    assert caller()._retry_after_s(Trip(headers=headers)) == wait_s


def test_a_garbled_reply_among_several_is_noticed() -> None:
    assert Trip(replies=2, parsed=1).is_garbled
    assert not Trip(replies=2, parsed=2).is_garbled


def test_c2_a_caller_s_representation_has_no_secret() -> None:
    assert "HUSH" not in repr(caller())
