"""The venues' side of the stage: accounts, what reached them, what they hold, what goes wrong.

Drills speak in base coins; the venue's lots are worked out here.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_UP, Decimal
from functools import cached_property
from typing import Any, Final

from account_processors import venue_profiles
from account_processors.transport.profile import Profile
from core.settings import AccountConfig
from paper_exchange.account import Position, position_key
from paper_exchange.accounts import PaperAccount
from paper_exchange.instruments import PaperInstrument
from paper_exchange.pipeline import SeenRequest
from paper_exchange.server import PaperServer
from tests.drills.receiving import BTC
from tests.venues import WORDS, Door, OnTheWire, VenueWords

USED_MARGIN: Final = {  # where an account's reply tells how much margin is in use
    "bybit": "totalPositionIM",
    "blofin": "frozen",
    "kucoin": "positionMargin",
    "mexc": "positionMargin",
}


def share(coins: Decimal | str | int, price: str, leverage: int = 3) -> str:
    """The size of an alert that wants so many coins on 100,000 USDT, a hair above."""
    percent = Decimal(coins) * Decimal(price) / 1_000 / leverage
    return f"{percent.quantize(Decimal('1e-9'), ROUND_UP):f}/100"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where an account is: its venue, and the server that plays it."""

    row: Mapping[str, Any]  # as credentials.json has it
    server: PaperServer

    @property
    def exchange(self) -> str:
        """Our name of the venue."""
        return str(self.row["exchange"])


def open_site(name: str, exchange: str, server: PaperServer, changes: Mapping[str, Any]) -> Site:
    """Open an account; `changes` are its fields, and `server` where another one plays its venue."""
    own = changes.get("server", server)
    exchange = str(changes.get("exchange", exchange))
    words = WORDS[exchange]
    row = {
        "name": name,
        "exchange": exchange,
        "api_key": f"K{secrets.token_hex(8)}",  # leases of keys are the whole host's
        "api_secret": f"S{secrets.token_hex(8)}",
        "api_passphrase": words.passphrase,
        "environment": "paper",
        "base_url": f"{own.url}/{exchange}",
        **{key: value for key, value in changes.items() if key != "server"},
    }
    if row["api_key"]:
        own.exchange.open_account(
            PaperAccount(
                name=name,
                exchange=exchange,
                api_key=str(row["api_key"]),
                api_secret=str(row["api_secret"]),
                api_passphrase=row["api_passphrase"],
            )
        )
    return Site(row=row, server=own)


class VenueSide:
    """What the venues know, and what a drill does to them."""

    def __init__(self, exchange: str, server: PaperServer, sites: Mapping[str, Site]) -> None:
        self.exchange = exchange  # of accounts that name none
        self.server = server
        self.sites = sites

    @cached_property
    def words(self) -> VenueWords:
        """What tests know of the venue."""
        return WORDS[self.exchange]

    @cached_property
    def profile(self) -> Profile:
        """What the engine knows of the venue."""
        return venue_profiles()[self.exchange]

    def config(self, account: str = "main") -> AccountConfig:
        """An account as the engine reads it."""
        return AccountConfig.model_validate(dict(self.sites[account].row))

    def instrument(self, symbol: str = BTC, account: str = "main") -> PaperInstrument:
        """A contract as the account's venue lists it."""
        return WORDS[self.sites[account].exchange].instrument(symbol)

    def coins(self, lots: Decimal | str, symbol: str = BTC, account: str = "main") -> Decimal:
        """Lots of the account's venue as base coins."""
        return Decimal(lots) * self.instrument(symbol, account).contract_size

    def lots(self, coins: Decimal | str | int, symbol: str = BTC, account: str = "main") -> Decimal:
        """Base coins as lots of the account's venue."""
        return WORDS[self.sites[account].exchange].lots(symbol, str(coins))

    def step(self, symbol: str = BTC, account: str = "main") -> Decimal:
        """The smallest change of a position, in base coins."""
        return self.coins(self.instrument(symbol, account).step_lots, symbol, account)

    def held(self, symbol: str = BTC, account: str = "main") -> Decimal:
        """The books' size in base coins: the truth."""
        truth = self.sites[account].server.truth(account)
        return self.coins(truth["sizes"].get(symbol, "0"), symbol, account)

    def requests(self, account: str = "main") -> list[SeenRequest]:
        """What this account sent, in order."""
        return self.sites[account].server.requests(account=account)

    def orders(self, account: str = "main") -> list[OnTheWire]:
        """All orders that reached the venue, taken or not, in order; sizes in base coins."""
        words = WORDS[self.sites[account].exchange]
        return [
            replace(order, size_lots=self.coins(order.size_lots, order.symbol, account))
            for request in self.requests(account)
            for order in words.on_the_wire(request)
        ]

    def asked(self, door: Door, account: str = "") -> list[SeenRequest]:
        """The requests at one door of the venue."""
        return [
            request
            for request in self.server.requests(door.path, account)
            if request.method == door.method
        ]

    def trade(
        self, coins: Decimal | str | int, *, symbol: str = BTC, account: str = "main"
    ) -> None:
        """Trade by hand, beside the engine."""
        server = self.sites[account].server
        lots = self.lots(coins, symbol, account)
        server.exchange.trade_by_hand(server.account(account), symbol, lots)

    def break_at(self, door: Door, kind: str, **spec: Any) -> int:
        """Inject a fault at one door; gives its id."""
        return self.server.add_fault(kind, **{**door.fault, **spec})

    def break_orders(self, kind: str, **spec: Any) -> int:
        """Inject a fault at every way to place orders; gives its id."""
        return self.server.add_fault(kind, **{**self.words.creates, **spec})

    def quote(self, **quotes: str) -> int:
        """Have the tickers show these for bid, ask, last and mark, where the venue shows them."""
        names = {name: getattr(self.profile.ticker, name) for name in quotes}
        values = {names[name]: value for name, value in quotes.items() if names[name]}
        return self.break_at(self.words.tickers, "fields", values=values)

    @property
    def unknown_margin(self) -> dict[str, str]:
        """Values of the equity's reply that leave it unknown how much margin is in use."""
        return {USED_MARGIN[self.exchange]: ""}

    def equity(self, account: str = "main") -> Decimal:
        """An account's value, as the books have it."""
        return Decimal(self.sites[account].server.truth(account)["equity_usdt"])

    def change_state(self, account: str = "main", **changes: Any) -> None:
        """Change what the venue knows of an account, as no client could."""
        exchange = self.sites[account].server.exchange
        paper, at_ms = self.sites[account].server.account(account), exchange.clock.now_ms()
        state = exchange.state(paper, at_ms)
        exchange.change(paper.id, replace(state, **changes), at_ms)

    def hold_crumb(self, symbol: str = BTC, account: str = "main") -> Decimal:
        """Hold half of the smallest order, as after the venue made its step larger."""
        lots = self.instrument(symbol, account).min_lots / 2
        crumb = Position(
            symbol=symbol,
            side_index=0,
            size_lots=lots,
            entry_price=Decimal(60_000),
            created_ms=1,
            updated_ms=1,
        )
        self.change_state(account, positions={position_key(symbol, 0): crumb})
        return self.coins(lots, symbol, account)

    def leverage_in_force(self, symbol: str = BTC, account: str = "main") -> Decimal:
        """The leverage that the venue uses for a symbol."""
        site = self.sites[account]
        paper = site.server.account(account)
        state = site.server.exchange.states[paper.id]
        return state.leverage(self.instrument(symbol, account))

    def writes(self, account: str = "main") -> list[SeenRequest]:
        """What this account sent to change something."""
        return [request for request in self.requests(account) if request.method != "GET"]

    def forget_requests(self) -> None:
        """Empty the request logs."""
        for server in self.servers():
            server.forget_requests()

    def servers(self) -> Sequence[PaperServer]:
        """All servers of this stage, each once."""
        found = [self.server, *(site.server for site in self.sites.values())]
        return list(dict.fromkeys(found))
