"""What is to be said of one market on one account: listed, minimums, leverage, affordable. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from commands.checks.findings import Finding, Place, State, worst
from core.model import ZERO, Instrument, Ticker
from core.settings import AccountConfig, Settings
from core.sizing import minimum_lots, notional_usdt

Remark = tuple[State, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A symbol that some source may want, and the most that all of them together may want."""

    symbol: str
    leverage: Decimal
    weight: Decimal  # of all sources that are mapped to it
    max_gross_exposure: Decimal

    def leverage_on(self, account: AccountConfig) -> Decimal:
        """Give the leverage that is configured for an account."""
        return self.leverage if account.leverage_override is None else account.leverage_override

    def exposure_on(self, account: AccountConfig) -> Decimal:
        """Give the largest target, as a multiple of equity."""
        return min(self.weight * self.leverage_on(account), self.max_gross_exposure)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketsSeen:
    """What the venue of one account lists, and at which prices; None = it could not be read."""

    account: AccountConfig
    equity_usdt: Decimal | None
    instruments: Mapping[str, Instrument] | None
    tickers: Mapping[str, Ticker]
    error: str = ""


def wanted_markets(settings: Settings) -> list[Wanted]:
    """Give the symbols that weigh something and that a source is mapped to."""
    mapped = {
        (source, symbol) for source, row in settings.mapping.items() for symbol in row.values()
    }
    found = []
    for row in settings.weights:
        heard = [s.weight for s in row.sources if (s.source, row.symbol) in mapped]
        if total := sum(heard, ZERO):
            limit = settings.engine.engine.max_gross_exposure
            found.append(
                Wanted(
                    symbol=row.symbol,
                    leverage=row.leverage,
                    weight=total,
                    max_gross_exposure=limit,
                )
            )
    return found


def judge_markets(seen: Iterable[MarketsSeen], wanted: Iterable[Wanted]) -> list[Finding]:
    """Judge every market of every account; one that no account lists has failed."""
    everything, symbols = list(seen), list(wanted)
    read = [one.instruments for one in everything if one.instruments is not None]
    found = []
    for one in everything:
        place = Place(where=one.account.name)
        if one.instruments is None:
            why = one.error or "try again"
            found.append(place.fail("markets", f"they could not be read: {why}"))
            continue
        for market in symbols:
            is_elsewhere = any(market.symbol in listed for listed in read)
            found.append(_judge(place, one, market, is_elsewhere=is_elsewhere))
    return found


def _judge(place: Place, seen: MarketsSeen, wanted: Wanted, *, is_elsewhere: bool) -> Finding:
    venue = seen.account.exchange
    instrument = (seen.instruments or {}).get(wanted.symbol)
    if instrument is None and is_elsewhere:
        text = f"{venue} does not list it: never traded on this account"
        return place.warn(wanted.symbol, text)
    if instrument is None:
        text = f"{venue} does not list it: take it out of signal_weight_config.json, or correct"
        return place.fail(wanted.symbol, f"{text} asset_mapping_config.json")
    least_usdt = seen.account.min_order_notional_usdt
    if least_usdt is not None:  # a person's own minimum, beside the venue's
        larger = max(instrument.min_notional_usdt, least_usdt)
        instrument = replace(instrument, min_notional_usdt=larger)
    remarks = [
        _size(instrument, seen.tickers.get(wanted.symbol)),
        _leverage(instrument, wanted.leverage_on(seen.account)),
        *_trading(instrument, venue),
        *_affordable(instrument, seen, wanted),
    ]
    return Finding(
        where=place.where,
        what=wanted.symbol,
        state=worst(state for state, _ in remarks),
        detail="; ".join(text for _, text in remarks),
    )


def _size(instrument: Instrument, ticker: Ticker | None) -> Remark:
    lot = "" if instrument.contract_size == 1 else f", a lot is {instrument.contract_size:f} coins"
    step = f"step {instrument.step_lots:f}{lot}"
    if ticker is None:
        text = f"at least {instrument.min_lots:f} lots, {step}; no price could be read"
        return State.UNKNOWN, text
    least = minimum_lots(instrument, ticker.mark_price)
    worth = notional_usdt(least, ticker.mark_price, instrument)
    return State.OK, f"at least {least:f} lots = {worth:.2f} USDT, {step}"


def _leverage(instrument: Instrument, leverage: Decimal) -> Remark:
    if leverage > instrument.max_leverage:
        text = f"leverage {leverage:f} is more than the venue's {instrument.max_leverage:f}"
        return State.WARN, f"{text}, which is set instead"
    return State.OK, f"leverage {leverage:f} of at most {instrument.max_leverage:f}"


def _trading(instrument: Instrument, venue: str) -> list[Remark]:
    if instrument.is_trading:
        return []
    return [(State.WARN, f"{venue} takes no orders for it at the moment")]


def _affordable(instrument: Instrument, seen: MarketsSeen, wanted: Wanted) -> list[Remark]:
    """Compare the smallest order with the largest target that this account can have."""
    ticker, equity = seen.tickers.get(wanted.symbol), seen.equity_usdt
    if ticker is None or equity is None or equity <= 0:
        return []
    most = equity * wanted.exposure_on(seen.account)
    least = minimum_lots(instrument, ticker.mark_price)
    smallest = notional_usdt(least, ticker.mark_price, instrument)
    if most >= smallest:
        return []
    text = f"the largest target is {most:.2f} USDT: it will always be below the minimum"
    return [(State.WARN, f"{text}; more weight, leverage or equity")]
