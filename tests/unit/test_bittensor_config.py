"""`bittensor_processor_config.json`: what is valid, and what a person reads when it is not."""

from typing import Any

import pytest

from core.settings.validation import InvalidFileError
from signal_processors.bittensor_config import FILE, ProcessorConfig, parse_processor_config
from signal_processors.bittensor_wizard import apply, changes, parameters, to_document, value_of


def test_nothing_is_the_defaults() -> None:
    assert parse_processor_config({}) == ProcessorConfig()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        pytest.param({"rankin": "classic"}, "did you mean ranking?", id="unknown-key"),
        pytest.param({"ranking": "best"}, "'risk_adjusted' or 'classic', was best", id="choice"),
        pytest.param({"filtering": {"min_trades": 0}}, "must be at least 1, was 0", id="too-low"),
        pytest.param({"filtering": {"min_trades": "x"}}, "must be a whole number", id="text"),
        pytest.param({"filtering": {"min_trades": True}}, "must be a whole number", id="boolean"),
        pytest.param({"following": {"max_weight": 2}}, "must be at most 1, was 2", id="too-high"),
        pytest.param({"following": {"join_rank": 40}}, "at least join_rank", id="join-after-leave"),
        pytest.param(
            {"chain": {"network": "off", "require": "hard"}}, "must not be off", id="hard-and-off"
        ),
        pytest.param({"guards": []}, "must be an object", id="shape"),
    ],
)
def test_what_is_not_valid_is_named_with_key_and_file(document: Any, words: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        parse_processor_config(document)

    assert words in str(caught.value)
    assert FILE in str(caught.value)


@pytest.mark.parametrize("parameter", parameters(), ids=lambda one: f"{one.group}.{one.name}")
def test_every_parameter_has_a_meaning_a_default_and_a_value_that_can_be_typed(
    parameter: Any,
) -> None:
    config = ProcessorConfig()
    typed = "test" if parameter.high is None else str(parameter.high)
    if parameter.choices:
        typed = parameter.choices[-1]
    if parameter.name == "join_rank":
        typed = "30"  # no later than it leaves

    edited = apply(config, parameter, typed)

    assert parameter.meaning
    assert value_of(config, parameter) == parameter.default
    assert value_of(edited, parameter) != parameter.default
    assert len(changes(config, edited)) == 1
    assert parse_processor_config(to_document(edited)) == edited
    assert apply(config, parameter, "") == config
