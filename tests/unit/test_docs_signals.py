"""What docs/signals.md tells a trader to paste is understood as the page says."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import pytest

from commands.webhook_samples import PLACEHOLDERS
from core.home import CHECKOUT
from signal_processors.tradingview_processor import UNDERSTOOD, ParsedAlert, Rejection, parse
from tests.unit.docs_pages import PAGES, blocks, rows_under

PAGE: Final = CHECKOUT / "docs" / "signals.md"
NOW: Final = 1_800_000_000_000
PLACEHOLDER: Final = re.compile(r"{{[\w.]+}}")
FILLED_IN: Final = {
    "{{ticker}}": "BTCUSDT.P",
    "{{strategy.market_position}}": "short",
    "{{strategy.prev_market_position}}": "long",
    "{{strategy.order.action}}": "sell",
    "{{strategy.order.price}}": "61234.5",
    "{{close}}": "61234.5",
    "{{timenow}}": "2027-01-15T07:59:59Z",
    "{{plot_0}}": "7.5",
}
"""What TradingView writes for the placeholders of the page's messages, for example."""
PINE_VALUES: Final = {
    "syminfo.ticker": "BTCUSDT.P",
    "str.tostring(close)": "61234.5",
    "str.tostring(timenow)": str(NOW - 1_000),
}
PINE_WORD: Final = re.compile(r"'([^']*)'|([\w.]+(?:\(\w+\))?)")


def alerts() -> list[Any]:
    """Give the messages of all pages that are marked as alerts."""
    return [
        pytest.param(block.content, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, block in enumerate(blocks(page))
        if block.mark == "alert"
    ]


def filled_in(message: str) -> bytes:
    """Write a message as TradingView would send it. Raises KeyError: nobody says what it gives."""
    return PLACEHOLDER.sub(lambda found: FILLED_IN[found[0]], message).encode()


def understood(body: bytes) -> ParsedAlert:
    alert = parse(body, received_at_ms=NOW)
    assert isinstance(alert, ParsedAlert), alert
    return alert


def pine_messages() -> Iterator[tuple[list[str], str]]:
    """Give each call of a script's `message(...)`: its arguments, what it writes."""
    for block in blocks(PAGE):
        if block.language != "pine":
            continue
        made = re.search(r"^message\((.*)\) =>\n    (.*)$", block.content, re.MULTILINE)
        assert made
        names = [name.strip() for name in made[1].split(",")]
        for call in re.findall(r"(?:alert_message=|alert\()message\(([^)]*)\)", block.content):
            given = [word.strip().strip('"') for word in call.split(",")]
            values = dict(zip(names, given, strict=True))
            numbers = {f"str.tostring({name})": value for name, value in values.items()}
            yield given, pine_text(made[2], PINE_VALUES | values | numbers)


def pine_text(expression: str, values: dict[str, str]) -> str:
    """Join what a Pine expression of texts and names joins."""
    return "".join(
        found[1] if found[1] is not None else values[found[2]]
        for found in PINE_WORD.finditer(expression)
    )


@pytest.mark.parametrize("message", alerts())
def test_an_alert_of_the_pages_is_understood_without_a_warning(message: str) -> None:
    alert = understood(filled_in(message))

    assert (alert.warnings, alert.ignored) == ((), ())
    assert alert.fired_at_ms


def test_the_alerts_of_the_page_are_there_and_not_alike() -> None:
    depths = {understood(filled_in(message.values[0])).depth for message in alerts()}

    assert depths == {Decimal("-0.05"), Decimal("0.05"), Decimal(0), Decimal("0.075")}


def test_what_the_scripts_of_the_page_write_is_understood() -> None:
    written = list(pine_messages())
    found = [understood(text.encode()) for _, text in written]

    assert [alert.depth > 0 for alert in found] == [given[0] == "long" for given, _ in written]
    assert [alert.depth for alert in found] == [
        Decimal(depth) for depth in ("0.1", "0", "0.05", "0.05", "0")
    ]
    assert all(alert.fired_at_ms and not alert.warnings for alert in found)


def test_an_undefined_size_is_refused_as_the_page_says() -> None:
    answer = parse(b'{"symbol": "BTCUSDT", "direction": "long", "size": "NaN"}', received_at_ms=NOW)

    assert isinstance(answer, Rejection)
    assert "is refused" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("field", sorted(UNDERSTOOD | {"ticker"}))
def test_each_field_of_the_grammar_is_in_the_table(field: str) -> None:
    assert any(f"`{field}`" in row[0] for row in rows_under(PAGE, "Fields"))


def test_no_field_is_in_the_table_that_is_not_understood() -> None:
    named = {name for row in rows_under(PAGE, "Fields") for name in re.findall(r"`(\w+)`", row[0])}

    assert named == UNDERSTOOD | {"ticker"}


def test_the_examples_of_the_fields_are_understood() -> None:
    examples = {row[0]: row[2] for row in rows_under(PAGE, "Fields")}
    sizes = next(example for name, example in examples.items() if name == "`size`")
    for size in re.findall(r"`([^`]+)`", sizes):
        body = f'{{"symbol": "BTCUSDT", "direction": "long", "size": {size}}}'
        assert understood(body.encode()).depth == Decimal("0.058")


@pytest.mark.parametrize("placeholder", sorted(FILLED_IN | dict(PLACEHOLDERS)))
def test_each_placeholder_that_we_tell_people_to_use_is_in_the_table(placeholder: str) -> None:
    assert any(f"`{placeholder}`" in row[0] for row in rows_under(PAGE, "Placeholders"))
