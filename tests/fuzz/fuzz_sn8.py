"""Feeds the readers of SN8's bytes with odd ones, led by coverage, for as long as one likes.

    python -m tests.fuzz.fuzz_sn8 --seconds 60
    python -m tests.fuzz.fuzz_sn8 --target frames --runs 100000 --seed 7
    python -m tests.fuzz.fuzz_sn8 crash-0a1b...      # a finding again

Ends with 0, or at the first finding with its traceback and a file that holds it. The first byte of
an input chooses the reader. Half of the new inputs are changed as JSON, so that they stay readable
enough to get far. Writes only into a temporary folder, and findings into the working folder.
"""

import argparse
import importlib
import json
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

SEEDS: Final = Path(__file__).resolve().parent.parent / "data" / "sn8"
WORDS: Final = SEEDS / "words.dict"
LONGEST: Final = 8192  # bytes of an input
ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 0.5, -0.5, 20.5, -500.5, 10**30, -(10**30), 1e308, 1e-320),
    *("", "LONG", "SHORT", "FLAT", "BTCUSD", "_0", "é" * 120, "2023-11-14", "0000-00-00"),
    *([], [[]], [1], {}, {"a": 1}),
)

Path_ = tuple[Any, ...]


def seeds(name: str) -> list[bytes]:
    """Give the small inputs that a reader's fuzzing begins with; what is no text is kept as hex."""
    return [
        bytes.fromhex(path.read_text()) if path.suffix == ".hex" else path.read_bytes()
        for path in sorted(SEEDS.glob(f"{name}-*"))
    ]


def with_odd_value(document: Any, chance: random.Random) -> Any:
    """Change one place of a JSON value: another value, gone, twice, renamed or another's."""
    places = list(_places(document))
    if not places:
        return chance.choice(ODD)
    *path, last = chance.choice(places)
    holder = document
    for key in path:
        holder = holder[key]
    what = chance.randrange(5)
    if what == 0:
        holder[last] = chance.choice(ODD)
    elif what == 1:
        del holder[last]
    elif what == 2 and isinstance(holder, list):
        holder.append(holder[last])
    elif what == 3 and isinstance(holder, dict):
        holder[f"{last}_{'7' * chance.choice((0, 1, 10, 11, 200))}"] = holder.pop(last)
    else:
        holder[last] = _at(document, chance.choice(places))
    return document


def _places(value: Any, here: Path_ = ()) -> Iterator[Path_]:
    if here:
        yield here
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*here, key))


def _at(document: Any, path: Path_) -> Any:
    """Copy what is at a place."""
    for key in path:
        document = document[key]
    return json.loads(json.dumps(document))


def mutator(atheris: Any) -> Callable[[bytes, int, int], bytes]:
    """Make libFuzzer's mutator one that knows JSON."""

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            try:
                changed = with_odd_value(json.loads(data[1:]), chance)
                made = data[:1] + json.dumps(changed, ensure_ascii=False).encode()
            except (ValueError, RecursionError):
                pass
            else:
                return made[:most]
        mutated: bytes = atheris.Mutate(data, most)  # looked up late: `Fuzz` puts it there
        return mutated

    return mutate


def fuzz(targets: Mapping[str, Callable[[bytes], None]], atheris: Any, options: list[str]) -> None:
    """Run until the options say so, or something is found; ends the process."""
    readers = list(targets.values())

    def take(data: bytes) -> None:
        readers[data[0] % len(readers) if data else 0](data[1:])

    with tempfile.TemporaryDirectory() as corpus:
        for number, name in enumerate(targets):
            for one, content in enumerate(seeds(name)):
                Path(corpus, f"{name}-{one}").write_bytes(bytes([number]) + content)
        atheris.Setup([sys.argv[0], *options, corpus], take, custom_mutator=mutator(atheris))
        atheris.Fuzz()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=0, help="0 = without end")
    parser.add_argument("--runs", type=int, default=-1, help="-1 = without end")
    parser.add_argument("--seed", type=int, default=0, help="0 = by chance")
    parser.add_argument("--target", default="", help="one reader only")
    parser.add_argument("found", nargs="?", help="a file with a finding: run it alone")
    wish = parser.parse_args(arguments)
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["signal_processors"], enable_loader_override=False):
        from tests.fuzz import targets as known  # noqa: PLC0415 - instrumented while imported
    every = {**known.READERS, "trap": known.trap}
    chosen = {wish.target: every[wish.target]} if wish.target else known.READERS
    if wish.found:
        data = Path(wish.found).read_bytes()
        list(chosen.values())[data[0] % len(chosen)](data[1:])
        return
    fuzz(
        chosen,
        atheris,
        [
            f"-max_total_time={wish.seconds}",
            f"-runs={wish.runs}",
            f"-seed={wish.seed}",
            f"-max_len={LONGEST}",
            f"-dict={WORDS}",
            "-timeout=10",
            "-rss_limit_mb=1024",
        ],
    )


if __name__ == "__main__":
    main()
