"""`engine_config.json`: limits, timings, ports and the webhook token; each key has a default.

Every key states its unit and its reason here and nowhere else: docs/configuration.md repeats them.
Money and ratios are Decimals, durations are seconds.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator, model_validator

from core.settings.safety import SafetyLimits
from core.settings.validation import ConfigModel, Name, Number, validate

FILE: Final = "engine_config.json"

Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(ge=0, le=31_536_000)]
WholeSeconds = Annotated[int, Field(ge=0, le=31_536_000)]
Share = Annotated[Number, Field(ge=0, le=1)]


def _key(default: Any, unit: str, reason: str, **bounds: Any) -> Any:  # noqa: ANN401 - as Field
    return Field(
        default, description=f"{unit}: {reason}", json_schema_extra={"unit": unit}, **bounds
    )


class WebhookConfig(ConfigModel):
    """The TradingView receiver's door."""

    host: str = _key("127.0.0.1", "address", "put a TLS proxy in front, not the internet")
    port: Port = _key(8000, "port", "a busy one: the next free one is taken and printed")
    token: SecretStr = _key(
        SecretStr(""), "text", "secret part of the URL, made by `up`; empty refuses every alert"
    )
    allow_ips: tuple[IPvAnyNetwork, ...] = _key(
        (), "networks", "only these may send alerts; empty allows all"
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = _key(
        (), "networks", "only their X-Forwarded-For is believed"
    )
    show_docs: bool = _key(
        default=False, unit="true/false", reason="serve /docs; tells strangers what runs"
    )


class MonitorConfig(ConfigModel):
    """The status page."""

    host: str = _key("127.0.0.1", "address", "it shows positions: keep it on this machine")
    port: Port = _key(8010, "port", "a busy one: the next free one is taken and printed")


class PaperExchangeConfig(ConfigModel):
    """The exchange that costs nothing."""

    port: Port = _key(9100, "port", "a busy one: the next free one is taken and printed")
    seed: int = _key(1, "number", "the same seed gives the same prices")
    start_balance_usdt: Number = _key(
        Decimal(100_000), "USDT", "what a new paper account owns", gt=0, le=Decimal(10**12)
    )


NewsKind = Literal["error", "alert", "trade", "service"]
NEWS_KINDS: Final[tuple[NewsKind, ...]] = ("error", "alert", "trade", "service")


class NotificationChannel(ConfigModel):
    """One place where people are told; `url` is a secret."""

    name: Name
    url: SecretStr
    what: Annotated[tuple[NewsKind, ...], Field(min_length=1)] = NEWS_KINDS

    @field_validator("url")
    @classmethod
    def _has_a_scheme(cls, value: SecretStr) -> SecretStr:
        scheme, found, rest = value.get_secret_value().partition("://")
        if not (found and scheme and rest):
            raise ValueError(
                "must be an address such as tgram://TOKEN/CHAT (docs/notifications.md)"
            )
        return value


class NotificationsConfig(ConfigModel):
    """How people are told of errors, alerts and trades."""

    channels: tuple[NotificationChannel, ...] = _key(
        (), "channels", "who is told: `name`, `url`, `what`; none by default"
    )
    batch_s: Seconds = _key(
        10, "seconds", "what happens within it is one message: venues of chat throttle", le=3600
    )
    repeat_first_s: Seconds = _key(
        60, "seconds", "the same news again within it is only counted", gt=0
    )
    repeat_max_s: Seconds = _key(
        3600, "seconds", "it doubles while the same goes on, up to this", gt=0
    )
    max_per_minute: Annotated[int, Field(ge=1, le=60)] = _key(
        6, "messages", "a channel gets no more; what is left waits for the next one"
    )
    max_waiting: Annotated[int, Field(ge=10, le=10_000)] = _key(
        200, "news", "a channel that is down keeps the newest; what is dropped is counted and told"
    )
    timeout_s: Seconds = _key(20, "seconds", "one message to one channel", gt=0, le=120)

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        names = [channel.name for channel in self.channels]
        twice = next((name for name in names if names.count(name) > 1), "")
        if twice:
            raise ValueError(f"two channels are named {twice}")
        if self.repeat_first_s > self.repeat_max_s:
            raise ValueError("repeat_first_s must not exceed repeat_max_s")
        return self


class EngineLimits(ConfigModel):
    """How the engine decides, and what it never does."""

    resync_interval_s: Seconds = _key(
        60, "seconds", "a full comparison this often, also without news", ge=1
    )
    max_entry_age_s: WholeSeconds = _key(
        900, "seconds", "an older signal opens nothing when first executable; 0 = off"
    )
    config_change_limit: Share = _key(
        Decimal("0.25"), "share of equity", "a larger effect of an edit needs a second equal read"
    )
    rebalance: Literal["on_signal", "drift"] = _key(
        "on_signal", "on_signal, drift", "drift also re-sizes between signals"
    )
    rebalance_drift: Share = _key(
        Decimal("0.2"), "share of the target", "how far off is worth fees", gt=0
    )
    dead_band: Share = _key(
        Decimal("0.02"), "share of the target", "smaller changes of a position cost more than help"
    )
    orphan_policy: Literal["hold", "close"] = _key(
        "hold", "hold, close", "what becomes of a position whose symbol left the weights"
    )
    adopt_policy: Literal["auto", "refuse", "adopt"] = _key(
        "auto",
        "auto, refuse, adopt",
        "positions found without orders of ours: auto adopts on paper, refuses elsewhere",
    )
    external_change_policy: Literal["hold", "restore"] = _key(
        "hold", "hold, restore", "a position changed by somebody else; a liquidation always holds"
    )
    ticker_max_age_s: Seconds = _key(5, "seconds", "older prices open nothing", gt=0)
    order_type: Literal["collar", "market"] = _key(
        "collar", "collar, market", "collar = IOC limit near the mark price: no fill in a wick"
    )
    collar: Share = _key(Decimal("0.005"), "share of the mark price", "for increases", gt=0)
    reduce_collars: tuple[Share, ...] = _key(
        (Decimal("0.005"), Decimal("0.015"), Decimal("0.05")),
        "shares of the mark price",
        "reductions widen step by step and never give up",
        min_length=1,
    )
    max_spread: Share = _key(Decimal("0.01"), "share of the price", "wider: no increase", gt=0)
    max_mark_gap: Share = _key(
        Decimal("0.02"), "share of the price", "last farther from mark: no increase", gt=0
    )
    max_gross_exposure: Number = _key(
        Decimal(3), "times equity", "all targets together; above it all are scaled", gt=0, le=100
    )
    max_order_share: Share = _key(
        Decimal("0.25"), "share of equity", "a larger order is split", gt=0
    )
    request_timeout_s: Seconds = _key(10, "seconds", "one request to a venue", gt=0, le=120)
    retry_first_s: Seconds = _key(5, "seconds", "first pause after a refused increase", gt=0)
    retry_max_s: Seconds = _key(120, "seconds", "longest pause; each is twice the last", gt=0)

    @model_validator(mode="after")
    def _are_ordered(self) -> Self:
        if self.retry_first_s > self.retry_max_s:
            raise ValueError("retry_first_s must not exceed retry_max_s")
        if list(self.reduce_collars) != sorted(self.reduce_collars):
            raise ValueError("reduce_collars must widen step by step")
        return self


class SourceConfig(ConfigModel):
    """How one source of signals is judged."""

    stale_after_s: WholeSeconds = _key(
        0, "seconds", "older word adds nothing to a position; 0 = never stale"
    )


DEFAULT_SOURCES: Final[Mapping[str, SourceConfig]] = {
    "tradingview": SourceConfig(stale_after_s=0),
    "bittensor": SourceConfig(stale_after_s=600),
}


class EngineConfig(ConfigModel):
    """All of `engine_config.json`."""

    webhook: WebhookConfig = WebhookConfig()
    monitor: MonitorConfig = MonitorConfig()
    paper_exchange: PaperExchangeConfig = PaperExchangeConfig()
    engine: EngineLimits = EngineLimits()
    safety: SafetyLimits = SafetyLimits()
    notifications: NotificationsConfig = NotificationsConfig()
    sources: dict[Name, SourceConfig] = Field(default_factory=lambda: dict(DEFAULT_SOURCES))

    @field_validator("sources")
    @classmethod
    def _with_defaults(cls, value: dict[str, SourceConfig]) -> dict[str, SourceConfig]:
        return {**DEFAULT_SOURCES, **value}

    def source(self, name: str) -> SourceConfig:
        """How a source is judged; one that is not listed is never stale."""
        return self.sources.get(name) or SourceConfig()


def parse_engine_config(value: object) -> EngineConfig:
    """Build from parsed JSON. Raises InvalidFileError."""
    return validate(EngineConfig, value, FILE)
