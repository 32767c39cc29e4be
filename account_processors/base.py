"""Any venue through ccxt: what is common to all, steered by a venue's `Profile`.

`CcxtVenue` is one account; `CcxtMarket`, a venue's public side, is shared by its accounts. Errors
leave here as `core.errors`, rows as `core.model`; nothing above sees ccxt.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Final

from account_processors.transport.access import keys_of, profile_for
from account_processors.transport.key_facts import read_key_facts
from account_processors.transport.market import CcxtMarket, Transport
from account_processors.transport.modes import Modes
from account_processors.transport.order_reads import OrderReads
from account_processors.transport.placing import (
    Outcome,
    inexact,
    of_rows,
    outcome,
    outcomes,
    plain_number,
    raw_words,
    refusal,
    unified_order,
)
from account_processors.transport.profile import Endpoint, Profile, Row
from account_processors.transport.raw_client import Address, RawClient, implicit
from account_processors.transport.rows import (
    dig,
    read_positions,
    read_sides,
    rows_at,
    text,
)
from account_processors.transport.windows import Priority
from core.errors import (
    ClockSkewError,
    NotPlacedError,
    RejectedError,
    TradeEngineError,
    TransientError,
    UnknownOutcomeError,
)
from core.model import (
    AccountMode,
    Equity,
    KeyFacts,
    OrderRequest,
    OrderState,
    PlacedOrder,
    PositionsRead,
)
from core.ports import MayGo, SendKind, nothing_against
from core.settings import AccountConfig

__all__ = ["Address", "CcxtMarket", "CcxtVenue", "Profile", "Transport"]

DEADLINE_MARGIN_S: Final = 5
LEAST_DEADLINE_S: Final = 20
ORDERS_AT_ONCE: Final = 10  # requests with orders on the wire; a batch counts once
PRIORITIES: Final[Mapping[SendKind, Priority]] = {
    "reduce": Priority.REDUCE,
    "increase": Priority.INCREASE,
}


class CcxtVenue:
    """One account at one venue; implements the port `Venue`."""

    def __init__(self, account: AccountConfig, market: CcxtMarket) -> None:
        self._account = account
        self._market = market
        self._profile = profile_for(account, market.profile)
        self._limiter = market.transport.limiter
        self._keys = keys_of(account, self._profile)
        self._caller = market.caller_for(account.name, tuple(self._keys.values()))
        self._client: RawClient | None = None
        self._modes = Modes(
            self._profile,
            lambda endpoint, query: self._caller.read(self._raw(), endpoint, query),
            market.id_of,
        )
        self._orders = OrderReads(self._profile, market, self._rows)
        self._slots = asyncio.Semaphore(ORDERS_AT_ONCE)

    async def connect(self) -> AccountMode:
        """Make ready to trade: clock, instruments, account modes.

        Raises what reads raise, and ClockSkewError when the clocks differ by more than 5 s: then
        the account is ready all the same, for reductions alone.
        """
        await self._market.measure_clock()
        await self._market.listing()
        mode = await self._modes.read_account()
        self._refuse_skew()
        return mode

    @property
    def account_mode(self) -> AccountMode | None:
        """Give the account's modes as read last; None = they were not."""
        return self._modes.account

    @property
    def skew_ms(self) -> int:
        """Give the venue's clock minus this host's, as measured last."""
        return self._market.server_clock.offset_ms

    async def fetch_key_facts(self) -> KeyFacts:
        """What the venue says of the API key: rights, end, addresses; one request at most."""
        fields = self._profile.key
        if fields is None:
            return KeyFacts()
        answer = await self._caller.read(self._raw(), fields.endpoint)
        path = self._profile.rows if fields.endpoint.rows is None else fields.endpoint.rows
        rows = rows_at(answer.envelope, path, "API key", is_object=True)
        return read_key_facts(rows[0], fields) if rows else KeyFacts()

    async def fetch_equity(self) -> Equity:
        """Equity with unrealised PnL, in one request."""
        endpoint = self._profile.equity
        answer = await self._caller.read(self._raw(), endpoint)
        path = self._profile.rows if endpoint.rows is None else endpoint.rows
        rows = rows_at(answer.envelope, path, "equity", is_object=endpoint.is_object)
        if not rows:
            msg = f"{self._account.name}: the reply has no account: equity was not read"
            raise TransientError(msg)
        return self._profile.read_equity(rows, self._account.equity_scope)

    async def fetch_positions(self) -> PositionsRead:
        """All positions; `began_at_ms` is taken when the request leaves, after the wait for it."""
        rows, began_at_ms = await self._rows(self._profile.positions, {}, "positions")
        fields, name_of = self._profile.position, self._market.symbol_of
        read = read_positions(rows, fields, name_of, began_at_ms)
        self._modes.note_held(read_sides(rows, fields, name_of))
        return read

    async def fetch_order(self, symbol: str, client_id: str) -> OrderState | None:
        """Look one order up by client id; None = every place to look said that it is not there."""
        return await self._orders.one(symbol, client_id)

    async def fetch_open_orders(self) -> Sequence[OrderState]:
        """All open orders of the account, foreign ones too."""
        return await self._orders.resting()

    async def fetch_recent_orders(self, symbol: str) -> Sequence[OrderState]:
        """Open and lately closed orders of a symbol, newest first, foreign ones too."""
        return await self._orders.recent(symbol)

    async def wait_turn(self, kind: SendKind, count: int) -> None:
        """Wait until the rate budget allows `count` orders (at most `orders_at_once`)."""
        await self._limiter.reserve(self._caller.route("order"), PRIORITIES[kind], count)

    def orders_at_once(self, kind: SendKind) -> int:
        """Give how many orders the rate budget lets go at once, at best."""
        return self._limiter.most_orders(self._caller.route("order"), PRIORITIES[kind])

    async def place_orders(
        self, orders: Sequence[OrderRequest], *, may_go: MayGo = nothing_against
    ) -> tuple[Outcome, ...]:
        """Send orders, each once, in as few requests as the venue allows; one result an order."""
        if self._market.server_clock.is_stale:
            with suppress(TradeEngineError):  # told to each order that needs the time
                await self._market.measure_clock()
        await self._modes.settle_doubt()
        ready = await asyncio.gather(*(self._completed(order) for order in orders))
        results: dict[int, Outcome] = {
            place: found for place, found in enumerate(ready) if not isinstance(found, OrderRequest)
        }
        sendable = {p: found for p, found in enumerate(ready) if isinstance(found, OrderRequest)}
        chunks = list(self._chunks(sendable))
        sent = (self._place([sendable[place] for place in chunk], may_go) for chunk in chunks)
        for chunk, found in zip(chunks, await asyncio.gather(*sent), strict=True):
            results |= dict(zip(chunk, found, strict=True))
        for place, result in results.items():
            self._learn(orders[place], result)
        return tuple(results[place] for place in range(len(orders)))

    async def cancel_order(self, symbol: str, client_id: str) -> None:
        """Ask for a cancel; success says nothing of fills before it."""
        client, _ = await self._listed(symbol)
        endpoint = self._profile.cancel
        query = {
            **endpoint.params,
            self._profile.symbol_param: await self._market.id_of(symbol),
            self._profile.cancel_param: self._orders.known_as(client_id),
        }
        cancel = implicit(client, endpoint.method)
        written = await self._caller.write(endpoint.group, Priority.REDUCE, lambda: cancel(query))
        self._refuse_failure(written.envelope, f"cancel of {client_id}")
        for row in self._order_rows(written.envelope):
            found = refusal(row, self._profile)
            if found is not None:
                raise found

    async def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        """Set a symbol's leverage; "already so" is success, and so is one that orders bear."""
        client, name = await self._listed(symbol)
        mode = await self._modes.margin_mode_of(symbol)
        said = plain_number(leverage)
        raw, named = (
            self._profile.set_leverage,
            {self._profile.symbol_param: await self._market.id_of(symbol)},
        )
        sends: list[Callable[[], Awaitable[object]]] = []
        for params in self._profile.leverage_params(mode, self._modes.is_hedged):
            send = partial(client.set_leverage, said, name, params)
            if raw is not None:
                words = {**named, "leverage": str(said), **params}
                send = partial(implicit(client, raw.method), words)
            sends.append(send)
        ended = await asyncio.gather(
            *(self._set("leverage", send) for send in sends), return_exceptions=True
        )
        for error in ended:
            if error is not None:
                raise error

    async def set_margin_mode(self, symbol: str, margin_mode: str) -> None:
        """Set `cross` or `isolated`; "already so" is success."""
        client, name = await self._listed(symbol)
        if self._profile.sets_margin_mode:
            await self._set("margin_mode", lambda: client.set_margin_mode(margin_mode, name))
        self._modes.note_set(symbol, margin_mode)

    def deadline_ms(self) -> int:
        """How long after sending an order may still be taken: window + time-out + 5 s, >= 20 s."""
        seconds = self._profile.request_window_s + self._market.transport.timeout_s
        return round(max(LEAST_DEADLINE_S, seconds + DEADLINE_MARGIN_S) * 1000)

    async def close(self) -> None:
        """Give the instance back; the connections are the pool's."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _learn(self, order: OrderRequest, result: Outcome) -> None:
        if isinstance(result, RejectedError) and result.kind == "mode":
            self._modes.doubt(order.symbol)
        elif isinstance(result, PlacedOrder):
            self._orders.note(result)

    async def _place(self, orders: Sequence[OrderRequest], may_go: MayGo) -> list[Outcome]:
        listing = await self._market.listing()
        client, profile = self._raw(), self._profile
        words = [unified_order(o, listing.ccxt_symbols[o.symbol], profile) for o in orders]
        priority = PRIORITIES["reduce" if orders[0].reduce_only else "increase"]
        raw, raw_symbol = self._endpoint_for(orders[0]), await self._market.id_of(orders[0].symbol)

        async def send() -> object:
            if against := next(filter(None, map(may_go, orders)), ""):
                raise NotPlacedError(f"{self._account.name}: {against}")
            if raw is not None:
                place = implicit(client, raw.method)
                return await place(raw_words(orders[0], raw_symbol, raw, profile))
            return await (
                client.create_orders(words) if len(words) > 1 else _create(client, words[0])
            )

        async with self._slots:
            try:
                written = await self._caller.write("order", priority, send, orders=len(orders))
            except TradeEngineError as error:
                return [error for _ in orders]
        if raw is not None:
            return of_rows(orders, written, profile)
        if len(orders) == 1:
            return [outcome(orders[0], written.result, profile)]
        return outcomes(orders, written, profile)

    def _chunks(self, orders: Mapping[int, OrderRequest]) -> Iterator[list[int]]:
        kinds: tuple[SendKind, SendKind] = ("reduce", "increase")  # reductions go first
        for kind in kinds:
            groups: dict[str, list[int]] = {}
            for place, order in orders.items():
                if order.reduce_only == (kind == "reduce"):
                    groups.setdefault(self._batch_of(place, order), []).append(place)
            size = min(self._profile.batch_size, self.orders_at_once(kind))
            for group in groups.values():
                yield from (group[start : start + size] for start in range(0, len(group), size))

    def _batch_of(self, place: int, order: OrderRequest) -> str:
        """Name the orders that may share a request with this one."""
        if self._endpoint_for(order) is not None:
            return f"alone {place}"
        return order.symbol if self._profile.batches_one_symbol else ""

    async def _completed(self, order: OrderRequest) -> OrderRequest | TradeEngineError:
        """Fill in what the venue wants with an order, or tell what speaks against sending it."""
        if self._market.server_clock.is_beyond_tolerance and not order.reduce_only:
            return self._skew()
        try:
            client, name = await self._listed(order.symbol)
            order = await self._modes.completed(order)
        except TradeEngineError as error:
            return error
        if self._is_dust(order):
            return order
        return inexact(order, name, client, self._market.loaded.base_error) or order

    def _endpoint_for(self, order: OrderRequest) -> Endpoint | None:
        """Tell where an order goes; None = ccxt's own way."""
        if self._is_dust(order):
            return self._profile.close_all
        return self._profile.reduce if order.reduce_only else self._profile.place

    def _is_dust(self, order: OrderRequest) -> bool:
        """Tell whether only the venue's own "close all" can close it (A28)."""
        listing = self._market.known_listing
        if not order.reduce_only or self._profile.close_all is None or listing is None:
            return False
        instrument = listing.instruments.get(order.symbol)
        return instrument is not None and abs(order.size_lots) < instrument.min_lots

    async def _set(self, group: str, send: Callable[[], Awaitable[object]]) -> None:
        written = await self._caller.write(group, Priority.INCREASE, send, is_setting=True)
        if written.was_so_already:
            return
        self._refuse_failure(written.envelope, "a setting")
        path = self._profile.refusal
        reasons = dig(written.envelope, path) if path else None
        if reasons is False or (isinstance(reasons, list) and reasons):
            msg = f"{self._account.name}: the venue refused the setting: {reasons}"
            raise RejectedError(msg, kind="mode")

    def _refuse_failure(self, envelope: object, what: str) -> None:
        """A write whose reply does not say success is unknown. Raises UnknownOutcomeError."""
        name, value = self._profile.success
        if text(dig(envelope, (name,))) != value:
            msg = f"{self._account.name}: the reply to {what} has no {name} {value}"
            raise UnknownOutcomeError(msg)

    def _order_rows(self, envelope: object) -> list[Row]:
        found = dig(envelope, self._profile.order_rows) if self._profile.order_rows else None
        rows = found if isinstance(found, list) else [found]
        return [row for row in rows if isinstance(row, Mapping)]

    async def _listed(self, symbol: str) -> tuple[RawClient, str]:
        """Give the instance with its markets, and ccxt's name of a symbol; for writes."""
        try:
            listing = await self._market.listing()
        except TransientError as error:
            msg = f"{symbol}: not sent, as the instruments could not be read: {error}"
            raise NotPlacedError(msg) from None
        name = listing.ccxt_symbols.get(symbol)
        if name is None:
            msg = f"{symbol} is not listed as a USDT perpetual at {self._profile.exchange}"
            raise RejectedError(msg, kind="symbol")
        client = self._raw()
        if client.markets is not listing.client.markets:
            client.set_markets_from_exchange(listing.client)
        return client, name

    async def _rows(
        self, endpoint: Endpoint, query: Mapping[str, object], what: str
    ) -> tuple[list[Row], int]:
        await self._market.listing()  # names symbols; known since connect
        return await self._caller.read_rows(self._raw(), endpoint, query, what)

    def _refuse_skew(self) -> None:
        if self._market.server_clock.is_beyond_tolerance:
            raise self._skew()

    def _skew(self) -> ClockSkewError:
        seconds = Decimal(self._market.server_clock.offset_ms) / 1000
        return ClockSkewError(
            f"{self._profile.exchange}'s clock is {seconds} s ahead of this host's, more than 5 s"
            " apart: nothing is opened until this host's clock is right (timedatectl, NTP)"
        )

    def _raw(self) -> RawClient:
        if self._client is None:
            self._client = self._market.make_client(self._keys)
        return self._client


def _create(client: RawClient, words: Mapping[str, object]) -> Awaitable[object]:
    return client.create_order(**words)
