"""One table of the venues' rate limits: shown by a page, kept by us and by the paper exchange."""

import re
from collections.abc import Iterator

import pytest

from account_processors import venue_profiles
from account_processors.transport.profile import Profile
from core.home import CHECKOUT
from paper_exchange.accounts import PaperAccount
from paper_exchange.wire import Request
from paper_exchange.wires import find_wires
from tests.venues import WORDS, Door

PAGE = CHECKOUT / "docs" / "rate-limits.md"
HEAD = ["| venue | what | limit | in | counted by | source |", "|---|---|---|---|---|---|"]


def table() -> list[str]:
    rows = []
    for name, profile in venue_profiles().items():
        for budget in profile.budgets:
            cost = ", ".join(
                f"{group} {costs[budget.group]}"
                for group, costs in profile.costs.items()
                if costs.get(budget.group, 1) > 1
            )
            what = f"{budget.group} (tokens: {cost})" if cost else budget.group
            by = "address" if budget.scope == "ip" else "account"
            span = f"{budget.window_ms / 1000:g} s"
            rows.append(f"| {name} | {what} | {budget.limit} | {span} | {by} | {budget.source} |")
    return [*HEAD, *rows]


def test_the_page_shows_every_limit_with_its_source() -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = re.search(r"<!-- limits -->\n(.*?)\n<!-- /limits -->", text, re.DOTALL)

    assert shown is not None
    assert shown[1].splitlines() == table()


def doors(profile: Profile) -> Iterator[tuple[str, Door]]:
    """Give the doors of a venue that are counted by account, with our group."""
    words = WORDS[profile.exchange]
    yield "order", words.create
    yield profile.positions.group, words.positions
    yield profile.equity.group, words.wallet
    yield "leverage", words.leverage


def kept_by_us(profile: Profile, group: str) -> set[tuple[int, int, int]]:
    costs = profile.costs.get(group, {group: 1})
    return {
        (b.limit, b.window_ms, costs[b.group])
        for b in profile.budgets
        if b.group in costs and b.scope == "account"
    }


@pytest.mark.parametrize("name", venue_profiles())
def test_the_paper_exchange_keeps_the_limits_that_we_keep(name: str) -> None:
    profile, wire = venue_profiles()[name], find_wires()[name]
    account = PaperAccount(name="a", exchange=name, api_key="K")

    assert {(b.limit, b.window_ms) for b in wire.ip_budgets()} == {
        (b.limit, b.window_ms) for b in profile.budgets if b.group == "ip"
    }
    for group, door in doors(profile):
        body = b'{"symbol": "x"}' if door.method == "POST" else b""
        request = Request(method=door.method, path=door.path, raw_query="", headers={}, body=body)
        theirs = {(b.limit, b.window_ms, b.weight) for b in wire.budgets(request, account)}

        assert theirs == kept_by_us(profile, group), (group, door)
