"""Talking with the person before a wizard, behind a port: a terminal here, a script in tests.

Questions come out to the letter, a refused answer is asked for again with the reason, and whatever
is printed went through `clean`. Nothing here knows what is configured.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from config.unechoed import forget_typed
from core.errors import ConfigError

BOLD: Final = [("qmark", "bold"), ("question", "bold")]
YES_OR_NO: Final = ("y", "n")

Answer = TypeVar("Answer")


class Conversation(Protocol):
    """What a wizard needs of a person; `ask` raises KeyboardInterrupt or EOFError when they go."""

    def say(self, text: str) -> None:
        """Print a line."""
        ...

    def ask(self, question: str) -> str:
        """Ask for a text, given without spaces around it."""
        ...

    def ask_hidden(self, question: str) -> str:
        """Ask for a secret: what is typed is never shown."""
        ...

    def table(self, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print rows under titles."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalConversation:
    """A person at a terminal."""

    clean: Callable[[str], str]  # takes secrets and control codes out of what is printed
    print_line: Callable[[str], object]
    print_table: Callable[[Sequence[str], Iterable[Sequence[str]]], None]
    has_secrets: bool = False  # what is typed ahead may be one: it answers no later question

    def say(self, text: str) -> None:
        """Print a line."""
        self.print_line(self.clean(text))

    def ask(self, question: str) -> str:
        """Ask for a text."""
        import questionary  # noqa: PLC0415 - takes a quarter of a second

        return self._answer(questionary.text, question)

    def ask_hidden(self, question: str) -> str:
        """Ask for a secret."""
        import questionary  # noqa: PLC0415

        return self._answer(questionary.password, question)

    def table(self, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print rows under titles."""
        self.print_table(titles, rows)

    def _answer(self, kind: Callable[..., Any], question: str) -> str:
        from questionary import Style  # noqa: PLC0415

        # questionary puts a blank between its mark and the question: so the first word is the mark
        mark, _, rest = self.clean(question).partition(" ")
        if self.has_secrets:
            forget_typed()
        answer: str = kind(rest, qmark=mark, style=Style(BOLD)).unsafe_ask()
        return answer.strip()


def ask_until(talk: Conversation, question: str, read: Callable[[str], Answer]) -> Answer:
    """Ask until `read` takes the answer; its ConfigError is told before asking again."""
    while True:
        typed = talk.ask(question)
        try:
            return read(typed)
        except ConfigError as error:
            talk.say(f"  {error}")


def choose(talk: Conversation, question: str, answers: Sequence[str], *, default: str = "") -> str:
    """Ask for one of `answers` by its first letters; Enter gives the default where there is one."""

    def read(typed: str) -> str:
        wish = typed.lower() or default
        fitting = [answer for answer in answers if wish and answer.startswith(wish)]
        if len(fitting) != 1:
            raise ConfigError(f"please answer {' or '.join(answer[0] for answer in answers)}")
        return fitting[0]

    return ask_until(talk, question, read)


def agree(talk: Conversation, question: str, *, default: bool | None = None) -> bool:
    """Ask for yes or no; None = Enter is no answer."""
    enter = "" if default is None else YES_OR_NO[not default]
    return choose(talk, question, ("yes", "no"), default=enter) == "yes"
