"""`engine_config.json`, section `safety`: what stops the engine by itself, and what it watches.

Values only. Every limit that is a share of equity is off at 0: nobody but its owner knows how much
an account may lose.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from core.settings.validation import ConfigModel, Number

Share = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
WholeSeconds = Annotated[int, Field(ge=0, le=31_536_000)]
LossAction = Literal["pause", "flatten"]


def _key(default: Any, unit: str, reason: str, **bounds: Any) -> Any:  # noqa: ANN401 - as Field
    return Field(
        default, description=f"{unit}: {reason}", json_schema_extra={"unit": unit}, **bounds
    )


class SafetyLimits(ConfigModel):
    """When an account, or the engine, stops by itself."""

    daily_loss_limit: Share = _key(
        Decimal(0),
        "share of the day's first equity",
        "a larger loss since 00:00 UTC stops the account; 0 = off",
    )
    daily_loss_action: LossAction = _key(
        "pause", "pause, flatten", "pause only lets positions run on; flatten closes them"
    )
    daily_loss_release: Literal["next_day", "manual"] = _key(
        "next_day", "next_day, manual", "next_day trades again at 00:00 UTC; manual waits for you"
    )
    drawdown_limit: Share = _key(
        Decimal(0),
        "share of the highest equity",
        "a larger fall from the peak stops the account until you resume it; 0 = off",
    )
    drawdown_action: LossAction = _key(
        "pause", "pause, flatten", "pause only lets positions run on; flatten closes them"
    )
    loss_warning: Share = _key(
        Decimal("0.8"), "share of a loss limit", "a larger part of it used up raises an alert"
    )
    equity_jump_limit: Share = _key(
        Decimal("0.3"),
        "share of equity",
        "a larger change between two reads counts once a second read agrees; 0 = off",
    )
    max_orders_per_minute: Count = _key(
        60, "orders", "of one account; further increases wait, reductions go; 0 = off"
    )
    max_orders_per_day: Count = _key(
        1_000, "orders", "of one account and UTC day: more is a loop, increases stop; 0 = off"
    )
    drift_alert_s: WholeSeconds = _key(
        180, "seconds", "so long off the target for no reason of yours raises an alert; 0 = off"
    )
    max_restarts: Count = _key(
        5, "restarts", "after so many unclean ends in restart_window_s it starts halted; 0 = off"
    )
    restart_window_s: WholeSeconds = _key(
        600, "seconds", "PM2 starts a crashed engine again at once: a loop must not trade", ge=1
    )
