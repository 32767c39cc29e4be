"""What a venue's protocol must offer; the protocols themselves are in `wires/`.

A wire translates only: it verifies the door, reads parameters, asks the exchange, and answers in
the venue's words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol
from urllib.parse import parse_qsl

from paper_exchange.account import AccountState
from paper_exchange.accounts import PaperAccount
from paper_exchange.exchange import PaperExchange
from paper_exchange.instruments import Instruments
from paper_exchange.orders import MarginMode
from paper_exchange.prices import Board
from paper_exchange.rate_limits import Allowance, Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came, with the venue's prefix taken off the path."""

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes

    def query(self) -> dict[str, str]:
        """The query, decoded; signatures are over `raw_query`."""
        return dict(parse_qsl(self.raw_query, keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer; `payload` is sent as JSON, or as it is when it is text."""

    payload: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request on its way through a wire."""

    exchange: PaperExchange
    venue: str  # prefix of the wire that serves it
    request: Request
    account: PaperAccount | None  # whose key it bears; the wire checks the signature
    at_ms: int  # the true time, for the books
    venue_ms: int  # what the venue's clock shows: skewed by a fault
    view_at_ms: int | None = None  # reads show this moment; None = now

    @property
    def board(self) -> Board:
        """The venue's quotes at the true time."""
        return self.exchange.board(self.venue, self.at_ms)

    @property
    def instruments(self) -> Instruments:
        """What the venue lists."""
        return self.exchange.instruments[self.venue]

    def seen(self, account: PaperAccount) -> AccountState:
        """The account as a read shows it."""
        if self.view_at_ms is None:
            return self.exchange.state(account, self.at_ms)
        return self.exchange.state_at(account, self.view_at_ms, self.at_ms)


class Wire(Protocol):
    """One venue's protocol."""

    prefix: str  # first part of the path: "bybit"
    instruments: Instruments
    start_margin_mode: MarginMode  # of a new account

    def api_key(self, headers: Mapping[str, str]) -> str:
        """The key a request bears, "" for none."""
        ...

    def budgets(self, request: Request, account: PaperAccount | None) -> Sequence[Budget]:
        """The account limits that a request counts against."""
        ...

    def ip_budgets(self) -> Sequence[Budget]:
        """The limits on one address."""
        ...

    def limit_headers(self, allowance: Allowance, at_ms: int) -> Mapping[str, str]:
        """How the venue tells what is left."""
        ...

    def answer(self, call: Call) -> Reply:
        """Serve a request; errors are answers too."""
        ...

    def refusal(self, code: str, text: str, status: int, at_ms: int) -> Reply:
        """An error in the venue's envelope."""
        ...

    def rate_limited(self, at_ms: int) -> Reply:
        """Too many requests of one account."""
        ...

    def ip_banned(self, at_ms: int) -> Reply:
        """Too many requests of one address."""
        ...

    def maintenance(self, at_ms: int) -> Reply:
        """Closed."""
        ...


def plain(value: Decimal) -> str:
    """A number as venues write it: no exponent, no trailing zeros."""
    return f"{value.normalize():f}" if value else "0"


def rounded(value: Decimal, places: int = 8) -> str:
    """The same, cut to some decimal places."""
    return plain(round(value, places))
