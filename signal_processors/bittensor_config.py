"""`bittensor_processor_config.json`: every parameter of the SN8 source, with default and range.

The descriptions are what the wizard and docs/bittensor.md show. Reads no file by itself.
"""

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from core.settings.files import FileKind
from core.settings.validation import ConfigModel, Number, validate

FILE: Final = "bittensor_processor_config.json"


def _number(low: str, high: str, default: str, description: str) -> Any:  # noqa: ANN401 - pydantic
    return Field(
        default=Decimal(default), ge=Decimal(low), le=Decimal(high), description=description
    )


def _count(low: int, high: int, default: int, description: str) -> Any:  # noqa: ANN401 - pydantic
    return Field(default=default, ge=low, le=high, description=description)


Count = Annotated[int, Field(strict=True)]


class Filtering(ConfigModel):
    """Thresholds that a miner must pass; ranking `classic`."""

    min_trades: Count = _count(1, 10_000, 10, "closed positions a miner must have")
    max_drawdown: Number = _number("-1", "0", "-0.5", "worst fall of its equity; lower is dropped")
    min_profitable_rate: Number = _number("0", "1", "0.6", "share of its positions that won")
    min_total_return: Number = _number(
        "-1", "100", "0", "return over all its positions, 0.1 = 10 %"
    )


class Scoring(ConfigModel):
    """How a miner's figures become one score; ranking `classic`."""

    drawdown_exponent: Number = _number("0", "20", "6", "power of 1 - drawdown")
    sharpe_exponent: Number = _number("0", "20", "2", "power of the rank of its Sharpe ratio")
    profitable_rate_exponent: Number = _number("0", "20", "5", "power of its profitable rate")
    position_count_divisor: Number = _number(
        "0.1", "1000", "5", "larger: many positions count less"
    )


class AssetFiltering(ConfigModel):
    """Which history counts; ranking `classic`."""

    min_trades_per_asset: Count = _count(0, 10_000, 0, "closed positions in a pair to follow it")
    max_trade_age_days: Count = _count(1, 3650, 14, "days since its last close, at most")


class TradingLimits(ConfigModel):
    """What a miner's leverage is measured by; both rankings."""

    leverage_limit: Number = _number("0.01", "20", "0.5", "net leverage in a pair that counts as 1")


class RiskAdjusted(ConfigModel):
    """The default ranking."""

    min_daily_returns: Count = _count(5, 1000, 30, "days of history a miner must have")
    max_drawdown: Number = _number("0.01", "1", "0.08", "worst fall of its equity; more is dropped")
    half_life_days: Number = _number("1", "1000", "30", "days after which a return counts half")
    shrinkage_days: Number = _number("0", "1000", "60", "larger: short histories count less")
    probation_factor: Number = _number("0", "1", "0.5", "factor for miners on probation")
    incentive_prior: Number = _number(
        "0", "1", "0.2", "how much the chain's incentive adds at most"
    )


class Following(ConfigModel):
    """How many are followed, and how much each counts; both rankings."""

    max_weight: Number = _number("0.01", "1", "0.1", "most that one hotkey or coldkey counts")
    max_miners: Count = _count(1, 256, 25, "miners followed at once")
    join_rank: Count = _count(1, 256, 20, "a miner is taken up at this rank or better")
    leave_rank: Count = _count(1, 512, 30, "a miner is left when it falls behind this rank")
    rank_every_s: Count = _count(60, 86_400, 3600, "seconds between two rankings")
    max_weight_change: Number = _number(
        "0.01", "2", "0.1", "all weights together move by this much at one ranking, at most"
    )

    @model_validator(mode="after")
    def _is_ordered(self) -> "Following":
        if self.leave_rank < self.join_rank:
            raise ValueError("leave_rank must be at least join_rank")
        return self


class Publishing(ConfigModel):
    """When a depth becomes a signal."""

    min_publish_change: Number = _number(
        "0.001", "0.5", "0.01", "smaller changes are not published"
    )
    slew_per_minute: Number = _number(
        "0.01", "10", "0.25", "depth away from zero, at most a minute"
    )


class Fetching(ConfigModel):
    """How the validator is asked."""

    poll_interval_s: Count = _count(2, 300, 15, "seconds between two snapshots without push")
    poll_interval_with_push_s: Count = _count(2, 300, 60, "the same while the websocket is live")
    statistics_interval_s: Count = _count(
        60, 86_400, 900, "seconds between two reads of statistics"
    )
    use_push: bool = Field(default=True, description="use the websocket where the tier allows it")
    max_compressed_mb: Count = _count(1, 1024, 64, "a larger answer is refused")
    max_decoded_mb: Count = _count(1, 4096, 256, "an answer that unpacks to more is refused")


class Guards(ConfigModel):
    """When a payload is not believed; the last good targets stay."""

    max_bad_share: Number = _number("0", "1", "0.05", "unreadable miners, as a share of all")
    min_followed_share: Number = _number("0", "1", "0.8", "followed weight that must be there")
    min_registered_share: Number = _number("0", "1", "0.9", "followed weight the chain must know")
    max_step_back_s: Count = _count(0, 86_400, 300, "seconds the newest order may go back")
    max_silence_s: Count = _count(600, 604_800, 21_600, "seconds without any order of the network")
    accept_after: Count = _count(2, 100, 5, "refused payloads that agree are then believed")
    vanish_after: Count = _count(1, 100, 3, "snapshots without it until a position counts as gone")


class ChainConfig(ConfigModel):
    """What the Bittensor chain is asked for."""

    network: str = Field(
        default="finney",
        description="finney, test, archive, a ws:// address, or off",
        max_length=200,
    )
    netuid: Count = _count(0, 65_535, 8, "the subnet")
    interval_s: Count = _count(60, 86_400, 1200, "seconds between two reads")
    require: Literal["soft", "hard"] = Field(
        default="soft", description="hard: without the chain nothing new is opened"
    )

    @model_validator(mode="after")
    def _is_reachable(self) -> "ChainConfig":
        if self.require == "hard" and self.network == "off":
            raise ValueError(
                "with require hard the network must not be off: nothing would be opened"
            )
        return self


class ProcessorConfig(ConfigModel):
    """All of `bittensor_processor_config.json`."""

    ranking: Literal["risk_adjusted", "classic"] = Field(
        default="risk_adjusted", description="how miners are chosen and weighed"
    )
    filtering: Filtering = Filtering()
    scoring: Scoring = Scoring()
    asset_filtering: AssetFiltering = AssetFiltering()
    trading_limits: TradingLimits = TradingLimits()
    risk_adjusted: RiskAdjusted = RiskAdjusted()
    following: Following = Following()
    publishing: Publishing = Publishing()
    fetching: Fetching = Fetching()
    guards: Guards = Guards()
    chain: ChainConfig = ChainConfig()


def parse_processor_config(value: object) -> ProcessorConfig:
    """Build from parsed JSON. Raises InvalidFileError."""
    return validate(ProcessorConfig, value, FILE)


PROCESSOR: Final = FileKind(
    name=FILE,
    parse=parse_processor_config,
    empty=ProcessorConfig(),
    remedy_when_missing="",  # the defaults are meant to be used
)
