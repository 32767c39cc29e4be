"""docs/configuration.md names every key of the configuration files as the code has it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from core.home import CHECKOUT
from core.settings import AccountConfig, EngineConfig, SourceWeight, SymbolWeights
from core.settings.account import BittensorCredentials, Credentials
from core.settings.engine import DEFAULT_SOURCES, SourceConfig, parse_engine_config
from core.settings.signals import parse_mapping, parse_weights

PAGE = (CHECKOUT / "docs/configuration.md").read_text(encoding="utf-8")


def shown(default: object) -> str:
    """Write a default as one would in the file."""
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, tuple):
        return "[" + ", ".join(shown(item) for item in default) + "]"
    if isinstance(default, Decimal):
        return str(default)
    return orjson.dumps(default).decode()


def row(key: str, field: FieldInfo) -> str:
    extra = field.json_schema_extra
    unit = extra["unit"] if isinstance(extra, dict) else ""
    reason = (field.description or "").removeprefix(f"{unit}: ")
    return f"| `{key}` | `{shown(field.default)}` | {unit} | {reason} |"


def rows(model: type[BaseModel], prefix: str) -> Iterator[Any]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from rows(inner, f"{prefix}{name}.")
        elif name != "sources":
            yield pytest.param(row(f"{prefix}{name}", field), id=f"{prefix}{name}")


ROWS = [*rows(EngineConfig, ""), *rows(SourceConfig, "sources.NAME.")]


@pytest.mark.parametrize("expected", ROWS)
def test_each_engine_key_is_documented_with_default_unit_and_reason(expected: str) -> None:
    _, key, default, unit, reason, _ = expected.split("|")

    assert all(part.strip() for part in (key, default, unit, reason))
    assert expected in PAGE


def test_there_are_no_other_engine_keys() -> None:
    section = PAGE.partition("\n## engine_config.json\n")[2]
    documented = {line for line in section.splitlines() if line.startswith("| `")}

    assert documented == {param.values[0] for param in ROWS}


@pytest.mark.parametrize(
    "model", [AccountConfig, Credentials, BittensorCredentials, SymbolWeights, SourceWeight]
)
def test_each_key_of_the_other_files_is_documented(model: type[BaseModel]) -> None:
    assert [name for name in model.model_fields if f"`{name}`" not in PAGE] == []


def test_default_sources_are_documented() -> None:
    for name, source in DEFAULT_SOURCES.items():
        assert f"`sources.{name}.stale_after_s` is `{source.stale_after_s}`" in PAGE


def examples() -> list[str]:
    return [block.partition("\n```")[0] for block in PAGE.split("```json\n")[1:]]


def test_the_examples_of_the_page_are_valid() -> None:
    credentials, mapping, weights, engine = (orjson.loads(text) for text in examples())

    assert Credentials.model_validate(credentials).accounts
    assert parse_mapping(mapping)
    assert parse_weights(weights)
    assert parse_engine_config(engine) != EngineConfig()
