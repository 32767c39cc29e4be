"""What is known of an account's modes and holdings: what an order must say of margin mode and side.

A memory, not the truth: the venue refuses an order that bears a wrong mode, and then what was known
of that symbol and of the account is read again before the next order.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from account_processors.transport.caller import Answer
from account_processors.transport.profile import Endpoint, ModeRead, Profile
from account_processors.transport.rows import dig, text
from core.errors import NotPlacedError, TradeEngineError, TransientError
from core.model import AccountMode, OrderRequest, Position

Read = Callable[[Endpoint, Mapping[str, object]], Awaitable[Answer]]
IdOf = Callable[[str], Awaitable[str]]
HEDGE_TEXT: Final = (
    "the account is in hedge mode, which is not supported: close its positions and orders, switch"
    " the position mode to one-way at the venue, then restart the engine"
)


class Modes:
    """One account's modes."""

    def __init__(self, profile: Profile, read: Read, id_of: IdOf) -> None:
        self._profile = profile
        self._read = read
        self._id_of = id_of
        self._account: AccountMode | None = None  # as read when connecting
        self._symbols: dict[str, str] = {}  # margin modes of flat symbols, as read or set
        self._is_doubted = False  # the venue refused an order for its modes
        # as read last, by symbol and whether it is long
        self._now: Mapping[tuple[str, bool], Position] = {}
        self._once: dict[tuple[str, bool], Position] = {}  # and as ever read: to close with

    @property
    def account(self) -> AccountMode | None:
        """Give the account's modes as read last; None = they were not."""
        return self._account

    @property
    def is_hedged(self) -> bool:
        """True when long and short are held side by side."""
        return self._account is not None and bool(self._account.is_hedged)

    async def read_account(self) -> AccountMode:
        """Read the account-wide modes; a person may have changed them. Raises what reads raise."""
        margin_mode = await self._said(self._profile.margin_mode)
        position_mode = await self._said(self._profile.position_mode)
        self._account = AccountMode(
            margin_mode=margin_mode,
            is_hedged=None if position_mode is None else position_mode == "hedge",
            refusal="" if position_mode != "hedge" or self._profile.holds_sides else HEDGE_TEXT,
        )
        self._symbols.clear()
        return self._account

    def note_held(self, sides: Mapping[tuple[str, bool], Position]) -> None:
        """Take what a read of positions shows; a close of what it does not show may follow."""
        self._now = sides
        self._once |= sides

    async def margin_mode_of(self, symbol: str) -> str | None:
        """Tell a symbol's margin mode: the position's, its own, the account's; read once.

        Raises NotPlacedError when it had to be read and could not be.
        """
        return await self._margin_mode(symbol, _held(self._now, symbol, is_long=True))

    async def _margin_mode(self, symbol: str, held: Position | None) -> str | None:
        known = (None if held is None else held.margin_mode) or self._symbols.get(symbol)
        try:
            if known is None:
                known = (self._account or await self.read_account()).margin_mode
            if known is not None or self._profile.symbol_margin_mode is None:
                return known or self._profile.flat_margin_mode
            said = await self._said(self._profile.symbol_margin_mode, symbol)
        except TransientError as error:
            msg = f"{symbol}: not sent, as its margin mode could not be read: {error}"
            raise NotPlacedError(msg) from None
        if said is not None:
            self._symbols[symbol] = said
        return said

    def note_set(self, symbol: str, margin_mode: str) -> None:
        """Note a margin mode that was set, for the symbol or for the whole account."""
        if self._profile.margin_mode is None:
            self._symbols[symbol] = margin_mode
        elif self._account is not None:
            self._account = replace(self._account, margin_mode=margin_mode)

    def doubt(self, symbol: str) -> None:
        """Forget a symbol's mode and doubt the account's: the venue said that one is another."""
        self._symbols.pop(symbol, None)
        self._is_doubted = True

    async def settle_doubt(self) -> None:
        """Read the account's modes again if they are in doubt; where that fails they stay."""
        if self._is_doubted:
            self._is_doubted = False
            with suppress(TradeEngineError):
                await self.read_account()

    async def completed(self, order: OrderRequest) -> OrderRequest:
        """Fill in margin mode, leverage and side; raises NotPlacedError for one that opens."""
        if self._profile.orders_bear_mode and order.margin_mode is None:
            order = replace(order, margin_mode=await self._mode_for(order))
        is_long, held = _is_of_long(order), self._held_by(order)
        leverage = order.leverage or (None if held is None else held.leverage)
        side = "long" if is_long else "short"
        return replace(order, leverage=leverage, position_side=side if self.is_hedged else None)

    def _held_by(self, order: OrderRequest) -> Position | None:
        """Give the position that an order is about; a close may be of one that is not shown."""
        is_long = _is_of_long(order)
        found = _held(self._now, order.symbol, is_long=is_long)
        if found is None and order.reduce_only:
            return _held(self._once, order.symbol, is_long=is_long)
        return found

    async def _mode_for(self, order: OrderRequest) -> str | None:
        try:
            mode = await self._margin_mode(order.symbol, self._held_by(order))
        except NotPlacedError:
            if order.reduce_only:
                return None  # the venue says no if it must, we do not
            raise
        if mode is None and not order.reduce_only:
            raise NotPlacedError(f"{order.symbol}: not sent, as its margin mode is not known")
        return mode

    async def _said(self, read: ModeRead | None, symbol: str = "") -> str | None:
        """Read one mode; None = the venue has none, or a word for it that we do not know.

        Raises TransientError when the reply says nothing of it.
        """
        if read is None:
            return None
        query = {self._profile.symbol_param: await self._id_of(symbol)} if symbol else {}
        answer = await self._read(read.endpoint, query)
        word = text(dig(answer.envelope, read.path))
        if not word:
            msg = f"{self._profile.exchange}: the reply has no {read.path[-1]}: it was not read"
            raise TransientError(msg)
        return read.words.get(word)


def _held(
    held: Mapping[tuple[str, bool], Position], symbol: str, *, is_long: bool
) -> Position | None:
    """Give the position on that side, else the one on the other."""
    return held.get((symbol, is_long)) or held.get((symbol, not is_long))


def _is_of_long(order: OrderRequest) -> bool:
    """Tell whether it opens or closes a long position."""
    return (order.size_lots > 0) is not order.reduce_only
