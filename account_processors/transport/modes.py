"""What is known of an account's modes and holdings: what an order must say of margin mode and side.

A memory, not the truth: the venue refuses an order that bears a wrong mode, and then what was known
of that symbol is forgotten and read again.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from account_processors.transport.caller import Answer
from account_processors.transport.classify import HEDGE_TEXT
from account_processors.transport.profile import Endpoint, ModeRead, Profile
from account_processors.transport.rows import dig, text
from core.errors import NotPlacedError, TransientError
from core.model import AccountMode, OrderRequest, Position

Read = Callable[[Endpoint, Mapping[str, object]], Awaitable[Answer]]
IdOf = Callable[[str], Awaitable[str]]


class Modes:
    """One account's modes."""

    def __init__(self, profile: Profile, read: Read, id_of: IdOf) -> None:
        self._profile = profile
        self._read = read
        self._id_of = id_of
        self._account: AccountMode | None = None  # as read when connecting
        self._symbols: dict[str, str] = {}  # margin modes of flat symbols, as read or set
        self.held: Mapping[str, Position] = {}  # as read last

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

    async def margin_mode_of(self, symbol: str) -> str | None:
        """Tell a symbol's margin mode: the position's, its own, the account's; read once.

        Raises NotPlacedError when it had to be read and could not be.
        """
        held = self.held.get(symbol)
        known = (None if held is None else held.margin_mode) or self._symbols.get(symbol)
        if known is None and self._account is not None:
            known = self._account.margin_mode
        if known is not None or self._profile.symbol_margin_mode is None:
            return known or self._profile.flat_margin_mode
        try:
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

    def forget(self, symbol: str) -> None:
        """Forget a symbol's mode: the venue said that it is another."""
        self._symbols.pop(symbol, None)

    async def completed(self, order: OrderRequest) -> OrderRequest:
        """Fill in margin mode, leverage and side. Raises NotPlacedError."""
        if self._profile.orders_bear_mode:
            mode = order.margin_mode or await self.margin_mode_of(order.symbol)
            order = replace(order, margin_mode=mode)
        held = self.held.get(order.symbol)
        leverage = order.leverage or (None if held is None else held.leverage)
        side = "long" if (order.size_lots > 0) is not order.reduce_only else "short"
        return replace(order, leverage=leverage, position_side=side if self.is_hedged else None)

    async def _said(self, read: ModeRead | None, symbol: str = "") -> str | None:
        """Read one mode; None = the venue has none, or a word for it that we do not know."""
        if read is None:
            return None
        query = {self._profile.symbol_param: await self._id_of(symbol)} if symbol else {}
        answer = await self._read(read.endpoint, query)
        return read.words.get(text(dig(answer.envelope, read.path)))
