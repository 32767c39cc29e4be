"""Turn what a file says into a model, and what is wrong with it into words a person can act on.

Values under secret or unknown keys are never repeated: these texts end in logs and status.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from core.errors import ConfigError

MOST_PROBLEMS: Final = 5
"""Problems told of one file at once: a file of another kind has hundreds."""
SHOWN_CHARACTERS: Final = 40
SECRET_KEYS: Final = frozenset({"api_key", "api_secret", "api_passphrase", "token", "url"})
SHAPES: Final = {
    "model_type": "must be an object {...}",
    "model_attributes_type": "must be an object {...}",
    "dict_type": "must be an object {...}",
    "tuple_type": "must be a list [...]",
}

Model = TypeVar("Model", bound=BaseModel)
Severity = Literal["warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProblem:
    """Something a person should mend in a configuration file; `key` is empty for the whole file."""

    file: str
    key: str
    text: str
    remedy: str
    severity: Severity = "error"  # warning: the file is in force as it is

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{self.text} ({where}); {self.remedy}" if self.remedy else f"{self.text} ({where})"


class InvalidFileError(ConfigError):
    """A configuration file that cannot be in force; `problems` say why, one a key."""

    def __init__(self, problems: Iterable[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigModel(BaseModel):
    """What every part of a configuration file is: frozen, and without keys we do not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )


def _refuse_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic turns only this into a problem
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


# decimal_places bounds the exponent too: 1e-999999999 written out is a gigabyte of zeros
Number = Annotated[Decimal, BeforeValidator(_refuse_bool), Field(decimal_places=18)]
"""An exact number: never a float, never true or false."""
Symbol = Annotated[str, BeforeValidator(_upper), Field(pattern=r"^\S{2,40}$")]
"""Our name of a market, such as BTCUSDT; capitals."""
Name = Annotated[str, BeforeValidator(_lower), Field(pattern=r"^[a-z0-9][a-z0-9_]{0,39}$")]
"""A source or venue: also a folder's or file's name, therefore small letters, digits and _ only."""


def validate(model: type[Model], value: object, file: str) -> Model:
    """Build `model` from parsed JSON. Raises InvalidFileError with a problem for each bad key."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        # `from None`: pydantic's own text may repeat a secret
        raise InvalidFileError(_problems(error, model, value, file)) from None


def _problems(
    error: ValidationError, model: type[BaseModel], value: object, file: str
) -> list[ConfigProblem]:
    found = []
    for detail in error.errors(include_url=False)[:MOST_PROBLEMS]:
        key = _where(detail["loc"], value)
        names = [part for part in detail["loc"] if isinstance(part, str) and part != "[key]"]
        last = names[-1] if names else ""
        subject = "a name" if "[key]" in detail["loc"] else last or "the file"
        text = f"{subject} {_what(detail, model, last)}"
        found.append(ConfigProblem(file=file, key=key, text=text, remedy="correct the file"))
    return found


def _where(loc: tuple[int | str, ...], value: object) -> str:
    """Name the place as a person would: list items by their symbol, source or name."""
    parts: list[str] = []
    for part in loc:
        if part == "[key]":
            continue
        value = _step(value, part)
        names = value if isinstance(part, int) and isinstance(value, dict) else {}
        named = next((names[k] for k in ("symbol", "source", "name") if names.get(k)), None)
        is_name = isinstance(named, str) and "://" not in named  # an address may hold a secret
        parts.append(str(named) if is_name else str(part))
    return ".".join(parts)


def _step(value: object, part: int | str) -> object:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None


def _what(detail: ErrorDetails, model: type[BaseModel], last: str) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not a known key" + _did_you_mean(model, detail["loc"])
    if kind in SHAPES:
        return SHAPES[kind]  # without the value: a key may stand where an object should
    text = _rule(kind, context) or _plain(detail["msg"])
    return text + _was(detail["input"], last)


def _rule(kind: str, context: dict[str, Any]) -> str:
    match kind:
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "greater_than":
            return f"must be above {context['gt']}"
        case "literal_error":
            return f"must be {context['expected']}"
        case "string_pattern_mismatch":
            return "must be a name without spaces"
        case _:
            return ""


def _plain(text: str) -> str:
    text = text.removeprefix("Value error, ")
    text = text.replace("Input should be a valid integer", "must be a whole number")
    text = text.replace("Input should be a valid decimal", "must be a number")
    return text.replace("Input should be a valid", "must be a").replace("Input should", "must")


def _was(given: object, key: str) -> str:
    """Repeat the value where it cannot be a secret."""
    if key in SECRET_KEYS or (key == "name" and "://" in str(given)):
        return ""
    if given is None or isinstance(given, bool | int | float | str):
        shown = "null" if given is None else str(given)
        if "@" in shown:  # of an address only what follows a user name and password
            scheme = re.match(r"[a-z][a-z0-9+.-]*://|", shown, re.IGNORECASE)
            shown = (scheme[0] if scheme else "") + shown.rpartition("@")[2]
        return f", was {shown[:SHOWN_CHARACTERS]}"
    return ""


def _did_you_mean(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    close = get_close_matches(str(loc[-1]), known_keys(model), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def known_keys(model: type[BaseModel]) -> set[str]:
    """Collect the keys of a model and of all models inside it."""
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        keys.add(name)
        for inner in inner_models(field.annotation):
            keys |= known_keys(inner)
    return keys


def inner_models(annotation: object) -> list[type[BaseModel]]:
    """Find the models that a field's type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    arguments = getattr(annotation, "__args__", ())
    return [model for argument in arguments for model in inner_models(argument)]
