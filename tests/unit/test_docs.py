"""README and docs say what the code does: commands, codes, links, examples."""

import ast
import itertools
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
import typer

from commands.main import COMMANDS, build
from core.home import CHECKOUT
from core.ledger import HoldKind, Trust
from core.model import Mode
from core.planner import DEAD_BAND
from core.process.exit_codes import ExitCode
from core.safety.losses import LossKind
from core.settings import EngineConfig
from core.settings.account import Credentials
from core.settings.signals import parse_mapping, parse_weights
from core.sizing import BELOW_MINIMUM
from paper_exchange.faults import ORDER_KINDS, REQUEST_KINDS, FaultTable
from signal_processors.tradingview_processor import ParsedAlert, parse
from tests.unit.docs_pages import PAGES, README, blocks

ALL_TEXTS = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md")])
TROUBLESHOOTING = CHECKOUT / "docs" / "troubleshooting.md"
# how a reason's code is made where it is no literal, and what can come of it
MADE_CODES = {
    "str(hold.kind)": {str(kind) for kind in HoldKind},
    "f'read_{view.trust}'": {f"read_{trust}" for trust in Trust if trust is not Trust.COUNTS},
    "made.reason": {DEAD_BAND},
    "frozen.reason": {BELOW_MINIMUM},
    "str(brakes.mode)": {str(Mode.PAUSE), str(Mode.FLATTEN)},
    "loss.kind": set(get_args(LossKind)),
    # `_nothing`, whose callers say it; what is told of a target, as its text begins
    "code": set(re.findall(r'f"([a-z_]+): ', (CHECKOUT / "core/targets.py").read_text())),
}
OUTCOMES = {
    "order_ambiguous",
    "second_engine",
    "trips_lost",
    "crash_loop",
}  # said elsewhere than in a `Reason`


def blocks_of(*languages: str) -> list[Any]:
    return [
        pytest.param(block.content, id=f"{page.name}-{number}")
        for page in PAGES
        for number, block in enumerate(blocks(page))
        if block.language in languages
    ]


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Give every command line of the pages' shell blocks: where, words."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "sh":
                for line in block.content.replace("\\\n", " ").splitlines():
                    yield page.name, shlex.split(line, comments=True)


def lines_of_blocks() -> list[Any]:
    """Give the words behind `./trade-engine` from blocks: whole command lines."""
    found: set[tuple[str, ...]] = set()
    for _, words in command_lines():
        if "./trade-engine" in words:
            line = itertools.takewhile(lambda word: word not in "|>&;", words)
            found.add(tuple(line)[words.index("./trade-engine") + 1 :])
    return [pytest.param(words, id=" ".join(words)[:40]) for words in sorted(found) if words]


def mentions() -> list[Any]:
    """Give the words behind `./trade-engine` in running text: needed options may be left out."""
    found: set[tuple[str, ...]] = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for code in re.findall(r"`\./trade-engine ([^`\n]+)`", text):
            found.add(tuple(shlex.split(code)))
    return [pytest.param(words, id=" ".join(words)[:40]) for words in sorted(found) if words]


def curl_bodies() -> list[tuple[str, bytes]]:
    """Give the address and the body of every curl line that posts something."""
    return [
        (next(word for word in words if "$" in word or "http" in word), words[-1].encode())
        for _, words in command_lines()
        if words[:1] == ["curl"] and "-d" in words
    ]


def reason_codes() -> tuple[set[str], set[str]]:
    """Give the codes of reasons in the core: literals, and expressions that make others."""
    literals: set[str] = set()
    made: set[str] = set()
    for path in sorted((CHECKOUT / "core").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            code: ast.expr | None = None
            if call.func.id == "Reason":
                code = next((word.value for word in call.keywords if word.arg == "code"), None)
            elif call.func.id == "_nothing":
                code = call.args[1]
            if isinstance(code, ast.Constant):
                literals.add(str(code.value))
            elif code is not None:
                made.add(ast.unparse(code))
    return literals, made


def alert_keys() -> set[str]:
    """Give the keys of alerts in the code, those with a name behind a slash up to the slash."""
    keys: set[str] = set()
    for folder in ("core", "commands"):
        for path in (CHECKOUT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            keys.update(re.findall(r"\b_?alert\(\s*f?\"([a-z_]+/?)", text))
            keys.update(re.findall(r"\bkey = f\"([a-z_]+/)", text))
    return keys


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_in_the_readme(name: str) -> None:
    assert re.search(rf"^\| `{name}[ `]", README.read_text(encoding="utf-8"), re.MULTILINE)


def test_each_way_to_make_a_reason_is_known_here() -> None:
    assert reason_codes()[1] == set(MADE_CODES)


@pytest.mark.parametrize("code", sorted(reason_codes()[0].union(OUTCOMES, *MADE_CODES.values())))
def test_each_reason_is_explained(code: str) -> None:
    assert f"`{code}`" in TROUBLESHOOTING.read_text(encoding="utf-8")


def test_no_reason_is_explained_that_does_not_exist() -> None:
    text = TROUBLESHOOTING.read_text(encoding="utf-8")
    section = text.partition("\n## Reason codes\n")[2].partition("\n## ")[0]
    explained = {
        code
        for line in section.splitlines()
        if line.startswith("| `")
        for code in re.findall(r"`(\w+)`", line.split("|")[1])
    }

    assert explained == reason_codes()[0].union(*MADE_CODES.values())


@pytest.mark.parametrize("key", sorted(alert_keys()))
def test_each_alert_is_explained(key: str) -> None:
    assert f"`{key}`" in TROUBLESHOOTING.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ALL_TEXTS, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def test_each_page_is_reached_from_the_readme() -> None:
    text = README.read_text(encoding="utf-8")

    assert [page.name for page in PAGES[1:] if page != README and f"{page.name})" not in text] == []


@pytest.mark.parametrize("page", ALL_TEXTS, ids=lambda page: page.name)
def test_no_page_names_a_place_of_somebodys_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    places = re.findall(r"(?<![\w.$])/(?:work|root|home|opt|tmp|Users)/[^\s`]*", text)

    assert [place for place in places if not place.startswith("/home/you/")] == []
    assert str(CHECKOUT) not in text


@pytest.mark.parametrize("content", blocks_of("json"))
def test_json_blocks_parse(content: str) -> None:
    assert orjson.loads(content)


@pytest.mark.parametrize("content", blocks_of("sh"))
def test_shell_blocks_are_shell(content: str) -> None:
    checked = subprocess.run(["/bin/sh", "-n"], input=content, text=True, check=False)

    assert checked.returncode == 0


@pytest.mark.parametrize("content", blocks_of("python"))
def test_python_blocks_compile(content: str) -> None:
    compile(content, "docs", "exec")  # raises SyntaxError


def test_alerts_of_the_pages_are_understood() -> None:
    alerts = [body for address, body in curl_bodies() if "WEBHOOK" in address]
    parsed = [parse(body, received_at_ms=1_800_000_000_000) for body in alerts]

    assert [alert for alert in parsed if not isinstance(alert, ParsedAlert)] == []
    assert {"long": 1, "short": -1, "flat": 0}.keys() <= {
        orjson.loads(body)["direction"] for body in alerts
    }


def test_what_else_the_pages_post_is_json_for_an_address_that_exists() -> None:
    routes = (CHECKOUT / "paper_exchange/control.py").read_text(encoding="utf-8")
    faults = FaultTable()
    others = [pair for pair in curl_bodies() if "WEBHOOK" not in pair[0]]

    assert others
    for address, body in others:
        path = address.partition("/control")[2]
        assert f'("POST", "/control{path}"' in routes
        if path == "/faults":
            faults.add(orjson.loads(body), 0)
        assert orjson.loads(body)


def test_each_fault_is_documented() -> None:
    page = (CHECKOUT / "docs/paper-exchange.md").read_text(encoding="utf-8")

    assert [kind for kind in (*REQUEST_KINDS, *ORDER_KINDS) if f"`{kind}`" not in page] == []


def leaf_of(words: tuple[str, ...]) -> tuple[Any, list[str]]:
    """Give the command or sub-command that the words name, and the words behind it."""
    name, *rest = words
    command: Any = typer.main.get_command(build(name))
    command = command.commands[name]
    while (inner := getattr(command, "commands", None)) and rest and rest[0] in inner:
        command, rest = inner[rest[0]], rest[1:]
    return command, rest


def strange_words(command: Any, rest: list[str]) -> list[str]:
    """Give what stands where a sub-command should, and is none."""
    if not getattr(command, "commands", None):
        return []
    return [word for word in rest if word[0] != "-" and word not in ("NAME", "...")]


def is_ours(words: tuple[str, ...]) -> bool:
    return words[0] in COMMANDS and words[0] != "test"  # its words are pytest's


@pytest.mark.parametrize("words", mentions())
def test_commands_that_the_pages_mention_exist(words: tuple[str, ...]) -> None:
    assert words[0] in COMMANDS or words[0] in ("COMMAND", "--help")
    if not is_ours(words):
        return
    command, rest = leaf_of(words)
    known = {"--help", "-h"}
    for parameter in command.params:
        known.update((*parameter.opts, *parameter.secondary_opts))

    assert [word for word in rest if word.startswith("-") and word not in known] == []
    assert strange_words(command, rest) == []


@pytest.mark.parametrize("words", lines_of_blocks())
def test_command_lines_of_the_pages_can_be_typed(words: tuple[str, ...]) -> None:
    assert words[0] in COMMANDS
    if is_ours(words):
        command, rest = leaf_of(words)

        assert strange_words(command, rest) == []
        command.make_context(words[0], rest)  # raises what a wrong line would be answered with


def test_files_that_the_pages_start_exist() -> None:
    started = [
        word
        for _, words in command_lines()
        if words[:2] == ["pm2", "start"] or any(word.endswith("python3") for word in words[:1])
        for word in words
        if word.endswith((".py", ".js"))
    ]

    assert started
    assert [path for path in started if not (CHECKOUT / path).exists()] == []


@pytest.mark.parametrize("code", ExitCode, ids=lambda code: code.name)
def test_each_exit_code_is_documented(code: ExitCode) -> None:
    page = (CHECKOUT / "docs/processes.md").read_text(encoding="utf-8")
    readme = README.read_text(encoding="utf-8")
    in_short = re.search(r"^Exit codes: (.*?)\n\n", readme, re.MULTILINE | re.DOTALL)

    assert f"\n| {int(code)} |" in page
    assert in_short
    assert re.search(rf"(^|, |,\n){int(code)} [a-z]", in_short[1])


@pytest.mark.parametrize("content", blocks_of("json"))
def test_examples_of_the_engine_configuration_are_valid(content: str) -> None:
    document = orjson.loads(content)
    if isinstance(document, dict) and document.keys() <= EngineConfig.model_fields.keys():
        EngineConfig.model_validate(document)  # raises what the engine would say of it


def test_examples_of_the_readme_are_valid_configuration() -> None:
    mapping, weights, credentials = (
        orjson.loads(block.content) for block in blocks(README) if block.language == "json"
    )

    assert parse_mapping(mapping)
    assert parse_weights(weights)
    assert Credentials.model_validate(credentials).accounts[0].environment == "paper"
