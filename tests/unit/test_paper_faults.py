"""The fault table fires for whom, where and as often as it was told."""

from decimal import Decimal

import pytest

from core.errors import ConfigError
from paper_exchange.faults import Effects, FaultTable, OrderEffects, with_fields, without_rows
from paper_exchange.orders import Reason
from paper_exchange.rate_limits import Budget, RollingWindows


def test_an_empty_table_does_nothing() -> None:
    table = FaultTable()

    assert table.on_request("main", "GET", "/x", 0) == Effects()
    assert table.on_order("main", "GET", "/x", "ETHUSDT") == OrderEffects()


def test_a_fault_meets_its_account_and_endpoint_only() -> None:
    table = FaultTable()
    table.add({"kind": "empty", "account": "ma*", "endpoint": "/v5/position/*"}, 0)

    assert table.on_request("main", "GET", "/v5/position/list", 0).is_empty
    assert not table.on_request("other", "GET", "/v5/position/list", 0).is_empty
    assert not table.on_request("main", "GET", "/v5/order/create", 0).is_empty


def test_skip_comes_before_count() -> None:
    table = FaultTable()
    table.add({"kind": "drop_after", "skip": 1, "count": 2}, 0)
    fired = [table.on_request("a", "GET", "/x", 0).drop_after for _ in range(4)]

    assert fired == [False, True, True, False]
    assert table.rows() == []


def test_order_faults_are_not_used_up_by_requests() -> None:
    table = FaultTable()
    table.add({"kind": "partial_fill", "fraction": "0.5", "symbol": "ETH*", "count": 1}, 0)
    table.on_request("a", "GET", "/x", 0)

    assert table.on_order("a", "GET", "/x", "BTCUSDT").fill_fraction == 1
    assert table.on_order("a", "GET", "/x", "ETHUSDT").fill_fraction == Decimal("0.5")
    assert table.on_order("a", "GET", "/x", "ETHUSDT").fill_fraction == 1


def test_chance_is_repeatable() -> None:
    def run(seed: int) -> list[bool]:
        table = FaultTable(seed)
        table.add({"kind": "drop_before", "probability": 0.5}, 0)
        return [table.on_request("a", "GET", "/x", 0).drop_before for _ in range(64)]

    assert run(1) == run(1) != run(2)
    assert 10 < sum(run(1)) < 54


def test_several_faults_add_up() -> None:
    table = FaultTable()
    table.add({"kind": "latency", "ms": 20}, 0)
    table.add({"kind": "stale"}, 500)
    table.add({"kind": "late_reject", "reason": "risk_limit"}, 0)
    table.add({"kind": "fill_delay", "ms": 30}, 0)
    effects, order = (
        table.on_request("a", "GET", "/x", 900),
        table.on_order("a", "GET", "/x", "ETHUSDT"),
    )

    assert (effects.latency_ms, effects.view_at_ms) == (20, 500)
    assert (order.doomed, order.fill_delay_ms) == (Reason.RISK_LIMIT, 30)


def test_a_fault_is_taken_out_by_id() -> None:
    table = FaultTable()
    first = table.add({"kind": "empty"}, 0)
    table.add({"kind": "drop_before"}, 0)

    assert table.remove(first.id)
    assert not table.remove(first.id)
    assert [row.kind for row in table.rows()] == ["drop_before"]
    table.clear()
    assert table.rows() == []


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "nonsense"},
        {"kind": "latency"},
        {"kind": "latency", "ms": "soon"},
        {"kind": "partial_fill", "fraction": "half"},
        {"kind": "late_reject", "reason": "because"},
        {},
    ],
)
def test_a_fault_that_is_not_understood_is_refused_at_once(spec: dict[str, object]) -> None:
    table = FaultTable()

    with pytest.raises(ConfigError, match="not understood"):
        table.add(spec, 0)
    assert table.rows() == []


def test_answers_are_emptied_and_overwritten_at_any_depth() -> None:
    payload = {"retCode": 0, "result": {"list": [{"size": "1", "leverage": "10"}], "n": "x"}}

    assert without_rows(payload) == {"retCode": 0, "result": {"list": [], "n": "x"}}
    changed = with_fields(payload, {"leverage": "", "gone": 1})
    assert changed["result"]["list"] == [{"size": "1", "leverage": ""}]
    assert payload["result"]["list"][0]["leverage"] == "10"  # type: ignore[index]


def test_a_window_rolls_and_a_refused_request_counts_nothing() -> None:
    windows = RollingWindows()

    def take(weight: int, at_ms: int) -> bool:
        budget = Budget(bucket="b", limit=10, window_ms=1000, weight=weight)
        return windows.take(budget, at_ms).is_allowed

    assert take(8, 0)
    assert not take(3, 1)
    assert take(2, 500)
    assert not take(1, 999)
    assert take(8, 1000)
    assert not take(1, 1001)
    assert take(2, 1500)
    full = windows.take(Budget(bucket="b", limit=10, window_ms=1000), 1500)
    assert (full.remaining, full.reset_ms) == (0, 2000)
