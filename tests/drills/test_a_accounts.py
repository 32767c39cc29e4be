"""Accounts and symbols that leave the configuration: A11."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.drills.stage import BTC, ETH, stage

TENTH = Decimal("0.1")


async def test_a11_a_disabled_account_is_closed_down_once_and_then_left_alone(
    tmp_path: Path, venue: str
) -> None:
    """An account was disabled: its position was orphaned and its exit ignored.

    Must happen: what is ours is closed, reduce-only; what a person does there later is his; the
    other account trades on.
    """
    async with stage(tmp_path, venue, accounts={"main": {}, "other": {}}) as here:
        await here.start()
        signal = await here.alert("long", "2/100")
        for name in ("main", "other"):
            await here.settled(signal, account=name)
        await here.stop()
        here.write_accounts(main={"enabled": False})
        here.forget()
        await here.start()
        await here.until(lambda: here.held() == 0, "closed down")
        await here.settled(await here.alert("long", "3/100"), account="other")
        assert [(o.size_lots, o.reduce_only) for o in here.orders()] == [(-TENTH, True)]
        assert here.held(account="other") > TENTH
        await here.stop()
        here.trade("0.05")
        here.forget()
        await here.start()
        await here.settled(await here.alert("long", "4/100"), account="other")

        assert here.orders() == []
        assert here.held() == Decimal("0.05")


@pytest.mark.parametrize("policy", ["hold", "close"])
async def test_a11_a_symbol_that_left_the_weights_is_held_or_closed_by_policy(
    tmp_path: Path, venue: str, policy: str
) -> None:
    """A symbol left the weights: its position was orphaned without a word.

    Must happen: held with an alert, or closed, as `orphan_policy` says.
    """
    async with stage(tmp_path, venue, orphan_policy=policy) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        here.forget()
        here.weigh(ETH)
        if policy == "close":
            await here.until(lambda: here.held() == 0, "closed")
        else:
            await here.until(lambda: f"orphan/main/{BTC}" in here.alerts(), "told")
            await here.again()

        assert here.held() == (TENTH if policy == "hold" else 0)
        assert [o.reduce_only for o in here.orders()] == ([] if policy == "hold" else [True])


async def test_a11_an_account_that_was_renamed_is_asked_about_not_bought_again(
    tmp_path: Path, venue: str
) -> None:
    """Renamed, the account counted as new and flat: the target was bought on top.

    Must happen: what it holds is found; where adoption is refused nothing is sent.
    """
    async with stage(tmp_path, venue, adopt_policy="refuse") as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        await here.stop()
        here.write_accounts(main={"name": "renamed"})
        here.forget()
        await here.start()
        await here.passed(1, account="renamed", where=lambda r: BTC in r.symbols)
        await here.again(account="renamed")

        assert here.orders() == []
        assert here.held() == TENTH
        assert f"adopt/renamed/{BTC}" in here.alerts()
