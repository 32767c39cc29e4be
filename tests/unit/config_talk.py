"""A person before a wizard, as a script: each question to the letter, and what is answered."""

from collections.abc import Iterable, Sequence
from typing import Final

INTERRUPT: Final = "<Ctrl-C>"


class Script:
    """Answers questions in order; a question that is not the next one fails the test."""

    def __init__(self, *lines: tuple[str, str]) -> None:
        self.lines = list(lines)
        self.said: list[str] = []
        self.hidden: list[str] = []  # questions whose answers are not shown
        self.rows: list[tuple[str, ...]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def ask(self, question: str) -> str:
        assert self.lines, f"asked once too often: {question}"
        expected, answer = self.lines.pop(0)
        assert question == expected
        if answer == INTERRUPT:
            raise KeyboardInterrupt
        return answer.strip()

    def ask_hidden(self, question: str) -> str:
        self.hidden.append(question)
        return self.ask(question)

    def table(self, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        self.rows.extend(tuple(row) for row in rows)

    @property
    def text(self) -> str:
        """All that was said."""
        return "\n".join(self.said)
