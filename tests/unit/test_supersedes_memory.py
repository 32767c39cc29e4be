"""The receiver's short memory: bounded, and nothing in it that is not durable."""

from dataclasses import replace

from signal_processors.tradingview_memory import MOST, STORED_FOR_MS, Stored, StoredAlerts

ALERT = Stored(id="a", body="b1", event_id="e", is_one_firing=True, at_ms=1_000_000)


def memory(*alerts: Stored) -> StoredAlerts:
    made = StoredAlerts()
    for alert in alerts:
        made.note(alert)
    made.keep()
    return made


def test_a_body_that_tells_its_firing_is_recognised() -> None:
    assert memory(ALERT).same_firing(replace(ALERT, id="c", at_ms=ALERT.at_ms + 1)) == "a"


def test_a_body_that_does_not_tell_its_firing_never_is() -> None:
    vague = replace(ALERT, is_one_firing=False)

    assert memory(ALERT).same_firing(vague) == ""
    assert memory(vague).same_firing(ALERT) == ""


def test_without_an_event_id_nothing_is_recalled() -> None:
    nameless = replace(ALERT, event_id="")

    assert memory(nameless).same_firing(nameless) == ""
    assert memory(nameless).other_body(replace(nameless, body="b2")) == ""


def test_what_is_noted_counts_at_once_and_is_gone_when_it_was_not_stored() -> None:
    made = StoredAlerts()
    made.note(ALERT)
    assert made.same_firing(ALERT) == "a"
    made.drop()

    assert made.same_firing(ALERT) == ""


def test_after_ten_minutes_it_is_forgotten() -> None:
    late = replace(ALERT, at_ms=ALERT.at_ms + STORED_FOR_MS + 1)

    assert memory(ALERT).same_firing(late) == ""
    assert memory(ALERT).other_body(replace(late, body="b2")) == ""


def test_another_body_with_the_same_event_id_is_named() -> None:
    assert memory(ALERT).other_body(replace(ALERT, body="b2")) == "a"
    assert memory(ALERT).other_body(ALERT) == ""


def test_the_memory_is_bounded() -> None:
    alerts = [replace(ALERT, id=str(n), body=str(n), event_id=str(n)) for n in range(MOST + 10)]
    made = memory(*alerts)

    assert made.same_firing(alerts[0]) == ""
    assert made.same_firing(alerts[-1]) == str(MOST + 9)
