"""The alert messages to paste into TradingView, and the same as TradingView would fill them in.

Values only. Placeholders are TradingView's; what it cannot know (how much of the account, with
which leverage) is the trader's and stands there as an example.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

SIZE: Final = "5%"
LEVERAGE: Final = "3"
FILLED_IN: Final[Mapping[str, str]] = {
    "{{ticker}}": "BTCUSDT",
    "{{close}}": "60000.5",
    "{{strategy.market_position}}": "long",
    "{{strategy.prev_market_position}}": "flat",
    "{{strategy.order.action}}": "buy",
    "{{strategy.position_size}}": "0.05",
    "{{timenow}}": "2026-01-02T03:04:05Z",
}
"""What TradingView writes for each placeholder that is used, for example."""
PLACEHOLDERS: Final[Mapping[str, str]] = {
    "{{ticker}}": "the chart's symbol; map it if it is not ours, such as BTCUSDT.P",
    "{{strategy.market_position}}": "long, short or flat: what the strategy holds now; it decides",
    "{{strategy.prev_market_position}}": "what it held before: tells two alerts apart",
    "{{strategy.order.action}}": "buy or sell: tells a late exit from a new entry",
    "{{strategy.position_size}}": "contracts of the strategy; for the record, it is no share",
    "{{timenow}}": "when the alert fired: the later one counts, whatever arrives first",
    "{{close}}": "for the record",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One alert message, and when to use it."""

    name: str
    use: str
    alert: Mapping[str, str]

    @property
    def text(self) -> str:
        """Write it as it is pasted: one line of JSON."""
        return orjson.dumps(dict(self.alert)).decode()

    @property
    def filled_in(self) -> bytes:
        """Write it as it would arrive."""
        text = self.text
        for placeholder, value in FILLED_IN.items():
            text = text.replace(placeholder, value)
        return text.encode()


def samples(symbol: str | None) -> list[Sample]:
    """Make the messages; `symbol` in place of the chart's own name."""
    common = {"symbol": symbol or "{{ticker}}"}
    late = {"price": "{{close}}", "timenow": "{{timenow}}"}
    sized = {"size": SIZE, "leverage": LEVERAGE}
    strategy = Sample(
        name="strategy",
        use="one alert on a strategy: it says long, short and flat by itself",
        alert={
            **common,
            "direction": "{{strategy.market_position}}",
            "action": "{{strategy.order.action}}",
            **sized,
            **late,
            "prev_market_position": "{{strategy.prev_market_position}}",
            "strategy": "my-strategy",
            "position_size": "{{strategy.position_size}}",
        },
    )
    named = {"strategy": "my-indicator"}
    return [
        strategy,
        *(
            Sample(
                name=direction,
                use=f"an alert on an indicator that means {direction}",
                alert={**common, "direction": direction, **sized, **late, **named},
            )
            for direction in ("long", "short")
        ),
        Sample(
            name="flat",
            use="an alert on an indicator that means: hold nothing",
            alert={**common, "direction": "flat", **late, **named},
        ),
    ]


def to_rows(found: list[Sample]) -> list[dict[str, Any]]:
    """Give their JSON objects."""
    return [{"name": one.name, "use": one.use, "message": dict(one.alert)} for one in found]
