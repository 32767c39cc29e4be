"""The credentials: access to SN8, and any number of accounts at each exchange, told apart by name.

Prompts only; what becomes of the document is decided in `config.account_rows`. A key is tested as
soon as it was entered, and an unreachable venue is no reason to lose it. Run as a script it is
`trade-engine config credentials`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from config.account_rows import (
    Row,
    VenueForm,
    account_named,
    accounts_at,
    apply,
    bare_address,
    is_old_shape,
    masked,
    name_refusal,
    new_shape,
    parsed,
    secret_refusal,
    secrets_of,
    summary_of,
    with_sn8,
    without,
)
from config.editing import Opened
from config.entry import hand_over
from config.prompting import Conversation, agree, ask_until, choose
from core.errors import ConfigError
from core.process.logs import register_secret
from core.settings.account import SN8_KEY, AccountConfig, Credentials
from core.settings.validation import ConfigProblem

SN8: Final = "Bittensor SN8"
TITLES: Final = ("account", "exchange", "environment", "enabled", "key")
KEEP_CHANGE_REMOVE: Final = ("keep", "change", "remove")
KEEP_REMOVE: Final = ("keep", "remove")
SHORTEST_MASKED: Final = 8  # characters
PAPER_SN8: Final = "simulated; only paper accounts follow it"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTest:
    """What came of trying a key."""

    is_ok: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsWizard:
    """Asks about SN8, then about each exchange in turn."""

    talk: Conversation
    venues: tuple[VenueForm, ...]
    test_key: Callable[[AccountConfig], KeyTest]  # may take seconds
    misfits: Callable[[AccountConfig], Sequence[ConfigProblem]] = lambda _account: ()

    def ask(self, opened: Opened[Credentials]) -> Row:
        """Ask for everything, print a summary and give the file's content."""
        for secret in secrets_of(opened.document):
            _mask(secret)
        document = new_shape(opened.document)
        if is_old_shape(opened.document):
            self.talk.say("The accounts become a list from now on; nothing else of them changes.")
        document = self._ask_sn8(document)
        for venue in self.venues:
            document = self._ask_venue(document, venue)
        document = self._ask_strangers(document)
        self.talk.say("")
        self.talk.table(TITLES, summary_of(document))
        return document

    def _ask_sn8(self, document: Row) -> Row:
        self._title(SN8)
        row = document.get(SN8_KEY)
        if row and row.get("api_key"):
            is_paper = row.get("environment") == "paper"
            where = PAPER_SN8 if is_paper else bare_address(row.get("endpoint"))
            self.talk.say(f"  key {masked(row['api_key'])}, {where}")
            wish = choose(
                self.talk, "Keep/Change/Remove (k/c/r)?", KEEP_CHANGE_REMOVE, default="keep"
            )
            if wish == "keep":
                return document
            if wish == "remove":
                return with_sn8(document, None)
        entered = self._enter_sn8(document, dict(row or {}))
        return document if entered is None else with_sn8(document, entered)

    def _enter_sn8(self, document: Row, row: Row) -> Row | None:
        """Ask for key and endpoint; None = no key, there and entered."""
        known = row.get("api_key")
        key = self._secret("Enter your API key for Bittensor SN8", known, shown=masked(known))
        if not key:
            return None
        row["api_key"] = key
        address = row.get("endpoint")
        hint = f" (press Enter to keep {bare_address(address)})" if address else ""

        def read(typed: str) -> str:
            if typed:
                with_sn8(document, {**row, "endpoint": typed})  # refuses what is no address
            return typed

        endpoint = ask_until(self.talk, f"Enter the Bittensor endpoint URL{hint}:", read)
        if endpoint:
            row["endpoint"] = endpoint
        if row.get("environment") == "paper" and endpoint:
            question = "Environment of SN8: paper (simulated) or live (press Enter for live):"
            row["environment"] = choose(self.talk, question, ("paper", "live"), default="live")
        if row.get("environment", "live") == "live" and not row.get("endpoint"):
            self.talk.say("  Without an endpoint SN8 is not read.")
        return row

    def _ask_venue(self, document: Row, venue: VenueForm) -> Row:
        self._title(venue.title)
        present = accounts_at(document, venue.exchange)
        for row in present:
            document = self._ask_account(document, venue, row)
        if not present:
            key = self._secret(f"Enter your {venue.title} API key", None)
            if not key:
                return document
            document = self._enter_account(document, venue, {"api_key": key}, is_new=True)
        while name := self._ask_another(document, venue):
            document = self._enter_account(document, venue, {"name": name}, is_new=True)
        return document

    def _ask_strangers(self, document: Row) -> Row:
        """Ask about accounts at no venue that there is: nothing can be entered for them."""
        known = {venue.exchange for venue in self.venues}
        for row in document["accounts"]:
            name, exchange = row["name"], str(row["exchange"]).lower()
            if exchange in known:
                continue
            self._title(exchange)
            self._say_misfits(document, name)
            wish = choose(self.talk, f"Keep/Remove {name} (k/r)?", KEEP_REMOVE, default="keep")
            if wish == "remove" and self._is_sure_to_remove(name):
                document = without(document, name)
        return document

    def _say_misfits(self, document: Row, name: str) -> None:
        for problem in self.misfits(parsed(document, name)):
            self.talk.say(f"! {problem}")

    def _ask_another(self, document: Row, venue: VenueForm) -> str:
        question = f"Enter the name of another {venue.title} account or press Enter to finish:"
        return ask_until(self.talk, question, lambda typed: _free_name(document, typed))

    def _ask_account(self, document: Row, venue: VenueForm, row: Row) -> Row:
        name, is_enabled = row["name"], row.get("enabled", True)
        state = "enabled" if is_enabled else "disabled"
        key = masked(row.get("api_key"))
        self.talk.say(f"  {name}: {row['environment']}, {state}, key {key}")
        self._say_misfits(document, name)
        question = f"Keep/Change/Remove {name} (k/c/r)?"
        wish = choose(self.talk, question, KEEP_CHANGE_REMOVE, default="keep")
        if wish == "change":
            return self._enter_account(document, venue, row, is_new=False)
        if wish == "keep" or not self._is_sure_to_remove(name):
            return document
        return without(document, name)

    def _is_sure_to_remove(self, name: str) -> bool:
        self.talk.say(
            f"  Positions that the engine holds on {name} stay open, and nobody closes them. "
            "To have them closed, change it to disabled first."
        )
        return agree(self.talk, f"Remove {name} (y/n)?")

    def _enter_account(self, document: Row, venue: VenueForm, row: Row, *, is_new: bool) -> Row:
        """Ask for one account until it is valid, and works or is wanted all the same."""
        has_key = is_new and "api_key" in row
        row = {"name": "", "exchange": venue.exchange, **row}
        while True:
            row = self._fill(document, venue, row, has_key=has_key, is_new=is_new)
            has_key = False
            try:
                after = apply(document, row)
            except ConfigError as error:
                self.talk.say(f"  {error}")
                continue
            if self._works(after, row["name"]):
                self._say_what_follows(account_named(document, row["name"]), row)
                return after

    def _fill(
        self, document: Row, venue: VenueForm, row: Row, *, has_key: bool, is_new: bool
    ) -> Row:
        row = dict(row)
        what = f"Enter your {venue.title} API"
        if not has_key:
            known_key = row.get("api_key")
            row["api_key"] = self._needed_secret(f"{what} key", known_key, shown=masked(known_key))
        row["api_secret"] = self._needed_secret(f"{what} secret", row.get("api_secret"))
        if venue.has_passphrase:
            row["api_passphrase"] = self._needed_secret(
                f"{what} passphrase", row.get("api_passphrase")
            )
        row["name"] = row["name"] or self._ask_name(document, venue)
        name, known = row["name"], row.get("environment", "live")
        known = known if known in venue.environments else "live"
        choices = ", ".join(venue.environments[:-1]) + " or live"
        row["environment"] = choose(
            self.talk,
            f"Environment of {name}: {choices} (press Enter for {known}):",
            venue.environments,
            default=known,
        )
        if is_new and row["environment"] == "live":
            self.talk.say(f"  Real money: nothing is sent until ./trade-engine arm {name}")
        now = "yes" if row.get("enabled", True) else "no"
        question = f"Enable {name} (y/n, press Enter for {now})?"
        row["enabled"] = agree(self.talk, question, default=now == "yes")
        return row

    def _ask_name(self, document: Row, venue: VenueForm) -> str:
        free = venue.exchange
        while account_named(document, free) is not None:
            free += "-1"
        question = f"Enter a name for this account (press Enter for {free}):"
        return ask_until(self.talk, question, lambda typed: _free_name(document, typed or free))

    def _works(self, document: Row, name: str) -> bool:
        """Try an enabled account's key; a person may keep one that failed."""
        account = parsed(document, name)
        is_ours = account.environment == "paper" and not account.base_url
        if is_ours or not account.enabled:
            return True  # our paper exchange takes any key, once it is in the file
        self.talk.say(f"  Testing the key of {name} ...")
        tried = self.test_key(account)
        self.talk.say(f"  {'ok' if tried.is_ok else 'failed'}: {tried.text}")
        return tried.is_ok or agree(self.talk, "Save anyway (y/n)?")

    def _say_what_follows(self, before: Row | None, row: Row) -> None:
        name = row["name"]
        if before is None:
            return
        if before.get("enabled", True) and not row["enabled"]:
            self.talk.say(f"  What the engine holds on {name} will be closed down once.")
        if row["environment"] == "live" and (
            before["environment"] != "live" or before.get("api_key") != row["api_key"]
        ):
            self.talk.say(f"  {name} is not armed with this key: ./trade-engine arm {name}")

    def _needed_secret(self, question: str, known: object, *, shown: str = "") -> str:
        while not (entered := self._secret(question, known, shown=shown)):
            self.talk.say("  this is needed (Ctrl-C leaves everything as it was)")
        return entered

    def _secret(self, question: str, known: object, *, shown: str = "") -> str:
        """Ask for a secret; Enter keeps the known one, two lines pasted at once are refused."""
        hint = f" (press Enter to keep {shown or 'the current one'})" if known else ""
        while True:
            typed = self.talk.ask_hidden(f"{question}{hint}:")
            for part in typed.split():
                _mask(part)
            if not (refusal := secret_refusal(typed)):
                return typed or str(known or "")
            self.talk.say(f"  it {refusal}: enter one thing at a time")

    def _title(self, text: str) -> None:
        self.talk.say("")
        self.talk.say(text)


def _mask(secret: str) -> None:
    """Mask a secret in all that is printed, unless it may be an ordinary word: on paper it may."""
    if len(secret) >= SHORTEST_MASKED:
        register_secret(secret)


def _free_name(document: Row, typed: str) -> str:
    if typed and (refusal := name_refusal(document, typed)):
        raise ConfigError(refusal)
    return typed


def effect(before: Any, after: Row) -> str:  # noqa: ANN401 - a parsed file
    """Say what makes a saved change effective."""
    had = {row.get("environment") for row in new_shape(before)["accounts"]}
    has = {row.get("environment") for row in after["accounts"]}
    if ("paper" in had) != ("paper" in has):
        return "It takes effect after ./trade-engine up, which starts or stops paper-exchange."
    return "It takes effect after ./trade-engine up, or ./trade-engine restart."


if __name__ == "__main__":
    hand_over("credentials")
