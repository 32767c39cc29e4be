"""Which events and which changes of the processes are news."""

import os
from typing import Any

import pytest

from core.process.logs import register_secret
from core.status.parts import ServicePart, StatusParts
from monitor.notifier.news import LONGEST, News, harmless
from monitor.notifier.picking import pick
from monitor.notifier.service_watch import GRACE_MS, ServiceWatch

NOW = 1_700_000_000_000


def event(**changes: Any) -> dict[str, Any]:
    return {
        "at_ms": NOW,
        "code": "x",
        "severity": "info",
        "text": "words",
        "account": "main",
        "symbol": "BTCUSDT",
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        pytest.param({"severity": "error"}, "error", id="error"),
        pytest.param({"severity": "warning"}, "alert", id="warning"),
        pytest.param({"code": "disk:over"}, "alert", id="end-of-an-alert"),
        pytest.param({"code": "confirmed"}, "trade", id="confirmed"),
        pytest.param(
            {"code": "order_ended", "text": "BTCUSDT: +0.50 of +0.52 lots were filled"},
            "trade",
            id="filled",
        ),
        pytest.param(
            {"code": "order_ended", "text": "sold", "filled_lots": "-0.50"},
            "trade",
            id="sold",
        ),
        pytest.param(
            {"code": "order_ended", "text": "nothing", "filled_lots": "0.00"},
            None,
            id="nothing-filled",
        ),
        pytest.param({"code": "order_placed"}, None, id="sent"),
        pytest.param({"code": "dead_band"}, None, id="a-reason"),
        pytest.param({"severity": "error", "at_ms": "soon"}, None, id="no-time"),
    ],
)
def test_errors_alerts_and_trades_are_news(changes: dict[str, Any], kind: str | None) -> None:
    news = pick(event(**changes))

    assert (None if news is None else news.kind) == kind


def test_news_names_account_and_symbol_once() -> None:
    news = pick(event(severity="error", text="BTCUSDT: refused"))
    other = pick(event(severity="error", text="refused", symbol="ETHUSDT"))

    assert news is not None
    assert news.text == "main BTCUSDT: refused"
    assert other is not None
    assert other.text == "main ETHUSDT: refused"
    assert news.key != other.key


def test_every_trade_is_news_of_its_own() -> None:
    news = pick(event(code="confirmed"))

    assert news is not None
    assert news.key == ""


def test_an_alert_and_its_end_are_one_story() -> None:
    alert, end = pick(event(severity="warning", code="hold")), pick(event(code="hold:over"))

    assert alert is not None
    assert end is not None
    assert alert.key == end.key


def test_a_strangers_text_is_made_harmless() -> None:
    register_secret("hush-hush-hush")
    shown = harmless("a\x1b[2Jb\nhush-hush-hush" + "x" * 1000)

    assert shown.startswith("a [2Jb ***x")
    assert len(shown) == LONGEST


def part(name: str = "trade-engine", *, is_alive: bool = True, **said: Any) -> ServicePart:
    common = {
        "pid": os.getpid(),
        "started_at_ms": NOW,
        "refreshed_at_ms": NOW + 10 * 365 * 86_400_000,
        "ready": True,
        "version": "1",
    }
    return ServicePart(name=name, said=common | said, is_alive=is_alive)


def all_well(**changes: Any) -> StatusParts:
    names = ("trade-engine", "tradingview-endpoint", "monitor")
    parts = {name: part(name) for name in names}
    if changes:
        parts["trade-engine"] = part(**changes)
    return StatusParts(services=parts)


def looked(watch: ServiceWatch, parts: StatusParts, at_ms: int) -> list[tuple[str, str]]:
    return [(news.kind, news.text) for news in watch.look(parts, at_ms)]


def test_what_runs_at_the_first_look_is_no_news() -> None:
    assert looked(ServiceWatch(), all_well(), NOW) == []


def test_a_stop_and_a_start_are_news() -> None:
    watch = ServiceWatch()
    watch.look(all_well(), NOW)
    stopped = looked(watch, all_well(is_alive=False, stopped_at_ms=NOW), NOW + 1)
    started = looked(watch, all_well(started_at_ms=NOW + 5), NOW + 5_000)
    nothing = looked(watch, all_well(started_at_ms=NOW + 5), NOW + 6_000)

    assert stopped == [("service", "trade-engine stopped")]
    assert started == [("service", "trade-engine started, version 1")]
    assert nothing == []


def test_a_crash_is_told_at_once_and_its_end_too() -> None:
    watch = ServiceWatch()
    watch.look(all_well(), NOW)
    crash = {"type": "KeyError", "message": "x", "at_ms": NOW}
    told = looked(watch, all_well(is_alive=False, exception=crash), NOW + 1)
    again = looked(watch, all_well(is_alive=False, exception=crash), NOW + 2)
    over = looked(watch, all_well(), NOW + 3)

    ((kind, text),) = told
    assert kind == "error"
    assert "trade-engine crashed: KeyError: x" in text
    assert again == []
    assert over == [("alert", f"over: {text}")]


def test_a_dead_engine_is_told_when_it_stays_dead() -> None:
    watch = ServiceWatch()
    dead = all_well(is_alive=False)
    early = looked(watch, dead, NOW)
    late = looked(watch, dead, NOW + GRACE_MS)

    assert early == []
    assert late == [("error", "trade-engine is dead: ./trade-engine up")]


@pytest.mark.parametrize(
    "ill",
    [
        pytest.param({"is_alive": False}, id="dead"),
        pytest.param({"problems": [{"file": "f.json", "key": "a.b", "text": "t"}]}, id="config"),
        pytest.param({"exception": {"type": "E", "message": "x", "at_ms": NOW}}, id="crash"),
    ],
)
def test_a_problem_of_a_service_and_its_end_are_one_story(ill: dict[str, Any]) -> None:
    watch = ServiceWatch()
    told = [*watch.look(all_well(**ill), NOW), *watch.look(all_well(**ill), NOW + GRACE_MS)]
    over = watch.look(all_well(started_at_ms=NOW), NOW + GRACE_MS + 1)

    assert [news.key for news in told] == [news.key for news in over]
    assert len(over) == 1


def test_a_restart_of_the_monitor_repeats_nothing() -> None:
    watch = ServiceWatch()
    dead = all_well(is_alive=False)
    watch.look(dead, NOW)
    watch.look(dead, NOW + GRACE_MS)
    after = ServiceWatch(watch.to_row())
    again = [looked(after, dead, NOW + GRACE_MS * n) for n in (2, 3, 4)]

    assert again == [[], [], []]


def test_news_outlives_a_file() -> None:
    news = News(kind="error", at_ms=NOW, text="t", key="k")

    assert News.from_row(news.to_row()) == news
    assert News.from_row({**news.to_row(), "kind": "gossip"}) is None
