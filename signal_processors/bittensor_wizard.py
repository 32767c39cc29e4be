"""`--config`: asks for the parameters of the SN8 source and saves them in one step.

What decides is pure: which parameters there are, what a typed text makes of the settings. The
prompts are thin around it; ending anywhere but at "save" leaves the file as it was.
"""

import shutil
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, get_args, get_origin

import annotated_types
import questionary
from pydantic.fields import FieldInfo

from core.errors import ConfigError
from core.home import Home
from core.process.exit_codes import ExitCode
from core.settings.files import ConfigFile
from core.settings.validation import ConfigModel
from core.store import atomic_write_json
from signal_processors.bittensor_config import (
    FILE,
    PROCESSOR,
    ProcessorConfig,
    parse_processor_config,
)

SAVE: Final = "save and quit"
QUIT: Final = "quit, change nothing"
HOW: Final = "(arrow keys and Enter; Ctrl-C leaves everything as it was)"
GENERAL: Final = "general"
INTERRUPTED: Final = 130
RANKING_OF: Final = {
    "filtering": "classic",
    "scoring": "classic",
    "asset_filtering": "classic",
    "risk_adjusted": "risk_adjusted",
}
"""Groups that one ranking alone reads."""
AT_START: Final = frozenset(
    {"fetching.use_push", "fetching.max_compressed_mb", "fetching.max_decoded_mb"}
)
"""What the service reads only when it starts."""
RESTART: Final = "./trade-engine restart bittensor-signals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter as a person meets it; `group` is "" at the top of the file."""

    group: str
    name: str
    meaning: str
    default: object
    low: object = None
    high: object = None
    choices: tuple[str, ...] = ()

    @property
    def range(self) -> str:
        """Say what may be entered."""
        if self.choices:
            return " or ".join(self.choices)
        return "" if self.low is None else f"{shown(self.low)} to {shown(self.high)}"


def parameters(model: type[ConfigModel] = ProcessorConfig, group: str = "") -> list[Parameter]:
    """List every parameter, in the order of the file."""
    found: list[Parameter] = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, ConfigModel):
            found.extend(parameters(inner, name))
        else:
            found.append(_parameter(group, name, field))
    return found


def groups() -> dict[str, str]:
    """Give the meaning of each group by name."""
    found = {GENERAL: "which ranking is used"}
    for name, field in ProcessorConfig.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, ConfigModel):
            text = (inner.__doc__ or "").strip().rstrip(".")
            found[name] = text[:1].lower() + text[1:]
    return found


def title(group: str, config: ProcessorConfig) -> str:
    """Name a group and its meaning, and whether the ranking that is set reads it at all."""
    is_idle = RANKING_OF.get(group, config.ranking) != config.ranking
    return f"{group}: {groups()[group]}{' (not in use)' if is_idle else ''}"


def value_of(config: ProcessorConfig, parameter: Parameter) -> object:
    """Give a parameter's present value."""
    place = getattr(config, parameter.group) if parameter.group else config
    return getattr(place, parameter.name)


def apply(config: ProcessorConfig, parameter: Parameter, text: str) -> ProcessorConfig:
    """Give the settings with one value typed anew; an empty text keeps it.

    Raises ConfigError that says what is wrong with the value.
    """
    text = text.strip()
    if not text:
        return config
    document = config.model_dump()
    place = document[parameter.group] if parameter.group else document
    place[parameter.name] = _typed(parameter, text)
    return parse_processor_config(document)


def to_document(config: ProcessorConfig) -> dict[str, Any]:
    """Give the file's content: what differs from the defaults, as JSON values."""
    document: dict[str, Any] = {}
    for parameter in parameters():
        value = value_of(config, parameter)
        if value != parameter.default:
            place = document.setdefault(parameter.group, {}) if parameter.group else document
            place[parameter.name] = _plain(value)
    return document


def changes(before: ProcessorConfig, after: ProcessorConfig) -> list[str]:
    """Say what differs, a line a parameter."""
    return [
        f"{_path(one)}: {shown(value_of(before, one))} -> {shown(value_of(after, one))}"
        for one in parameters()
        if value_of(before, one) != value_of(after, one)
    ]


def shown(value: object) -> str:
    """Show a value as it may be typed."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)


def run_wizard(home: Home | None = None) -> int:
    """Ask until the person saves or leaves; give the exit code."""
    home = home or Home.from_environment()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        sys.stderr.write(f"--config needs a terminal; without one edit {home.root / FILE}\n")
        return int(ExitCode.USAGE)
    try:
        before = ConfigFile(PROCESSOR, home.root, home.last_good).read()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return int(ExitCode.CONFIG)
    for problem in before.problems:
        _say(f"! {problem}")
    try:
        after = _ask(before.content)
    except KeyboardInterrupt:
        after = None
        _say("")
    if after is None:
        _say("Nothing was changed.")
        return INTERRUPTED
    return _save(home, before.content, after)


def _ask(config: ProcessorConfig) -> ProcessorConfig | None:
    """Ask group by group; None = leave everything as it was."""
    start, chosen = config, GENERAL
    while True:
        count = len(changes(start, config))
        titles = {name: title(name, config) for name in groups()}
        titles |= {SAVE: f"{SAVE} ({count} changed)", QUIT: QUIT}
        choices = [questionary.Choice(text, value=name) for name, text in titles.items()]
        chosen = questionary.select(
            "Set what?", choices=choices, default=chosen, instruction=HOW
        ).unsafe_ask()
        if chosen in (SAVE, QUIT):
            return config if chosen == SAVE else None
        for parameter in parameters():
            if (parameter.group or GENERAL) == chosen:
                config = _ask_one(config, parameter)


def _ask_one(config: ProcessorConfig, parameter: Parameter) -> ProcessorConfig:
    now = shown(value_of(config, parameter))
    limits = f" ({parameter.range})" if parameter.range else ""
    _say("")
    _say(f"{parameter.name}: {parameter.meaning}{limits}, default {shown(parameter.default)}")
    text: str = questionary.text(
        f"{parameter.name} (press Enter for current value: {now}):",
        validate=lambda typed: _complaint(config, parameter, typed),
    ).unsafe_ask()
    return apply(config, parameter, text)


def _complaint(config: ProcessorConfig, parameter: Parameter, text: str) -> bool | str:
    """Say what is wrong with a typed value; True = nothing."""
    try:
        apply(config, parameter, text)
    except ConfigError as error:
        return str(error).partition(f" ({FILE}")[0]
    return True


def _save(home: Home, before: ProcessorConfig, after: ProcessorConfig) -> int:
    lines = changes(before, after)
    if not lines:
        _say("Nothing was changed.")
        return int(ExitCode.OK)
    home.make_folders()
    atomic_write_json(home.root / FILE, to_document(after), is_indented=True)
    for line in lines:
        _say(f"  {line}")
    _say(f"Saved to {home.root / FILE}; it takes effect within seconds, without a restart.")
    if late := AT_START.intersection(line.partition(":")[0] for line in lines):
        _say(f"Not yet in force: {', '.join(sorted(late))}. For that: {RESTART}")
    return int(ExitCode.OK)


def _parameter(group: str, name: str, field: FieldInfo) -> Parameter:
    choices: tuple[str, ...] = ()
    if get_origin(field.annotation) is Literal:
        choices = tuple(str(one) for one in get_args(field.annotation))
    elif field.annotation is bool:
        choices = ("yes", "no")
    bounds: dict[str, object] = {}
    for rule in field.metadata:
        if isinstance(rule, annotated_types.Ge):
            bounds["low"] = rule.ge
        elif isinstance(rule, annotated_types.Le):
            bounds["high"] = rule.le
    return Parameter(
        group=group,
        name=name,
        meaning=field.description or "",
        default=field.default,
        low=bounds.get("low"),
        high=bounds.get("high"),
        choices=choices,
    )


def _typed(parameter: Parameter, text: str) -> object:
    """Turn a typed text into what the model takes; what is odd the model refuses."""
    answers: Mapping[str, bool] = {"yes": True, "y": True, "no": False, "n": False}
    if isinstance(parameter.default, bool):
        return answers.get(text.lower(), text)
    is_whole = text.lstrip("+-").isdecimal()
    return int(text) if isinstance(parameter.default, int) and is_whole else text


def _plain(value: object) -> object:
    """Make a JSON number of a Decimal: people read and edit the file."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _path(parameter: Parameter) -> str:
    return f"{parameter.group}.{parameter.name}" if parameter.group else parameter.name


def _say(text: str) -> None:
    """Print a line, folded between words where the terminal is narrow."""
    width = shutil.get_terminal_size().columns
    lines = textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False)
    sys.stdout.write("\n".join(lines or [""]) + "\n")
