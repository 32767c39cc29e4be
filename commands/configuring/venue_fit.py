"""Whether accounts fit the venues they name: what the file's own parser cannot know.

Reads the venues' profiles, asks no venue, loads no ccxt. What it says repeats no secret.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from account_processors import venue_profiles
from account_processors.base import Profile
from config.account_rows import secret_refusal
from core.settings.account import FILE, SN8_KEY, AccountConfig, Credentials
from core.settings.validation import ConfigProblem

SECRETS: Final = ("api_key", "api_secret", "api_passphrase")
PASTE_ANEW: Final = "enter it anew, one line without spaces"


def misfits(credentials: Credentials) -> tuple[ConfigProblem, ...]:
    """List what keeps accounts, or the access to SN8, from ever working."""
    sn8 = credentials.bittensor_sn8
    refusal = "" if sn8 is None else secret_refusal(sn8.api_key.get_secret_value())
    found = [_problem(f"{SN8_KEY}.api_key", f"api_key {refusal}", PASTE_ANEW)] * bool(refusal)
    found += [row for account in credentials.accounts for row in account_misfits(account)]
    return tuple(found)


def account_misfits(account: AccountConfig) -> tuple[ConfigProblem, ...]:
    """List what keeps one account from ever working at its venue."""
    return tuple(_of(account, venue_profiles().get(account.exchange)))


def _of(account: AccountConfig, profile: Profile | None) -> Iterator[ConfigProblem]:
    name, exchange = account.name, account.exchange
    for key in SECRETS:
        if refusal := secret_refusal(_secret(account, key)):
            yield _problem(f"{name}.{key}", f"{key} {refusal}", PASTE_ANEW)
    if profile is None:
        known = list(venue_profiles())
        near = get_close_matches(exchange, known, n=1)
        text = f"exchange must be one of {', '.join(known)}, was {exchange}"
        remedy = f"did you mean {near[0]}?" if near else "name one of them, or remove the account"
        yield _problem(f"{name}.exchange", text, remedy)
        return
    if account.environment == "demo" and not (profile.demo or account.base_url):
        text = f"environment must be paper or live, was demo: {exchange} has no demo trading"
        yield _problem(f"{name}.environment", text, "choose paper or live")
    if account.copy_trading and profile.copy_trading is None:
        text = (
            f"copy_trading must be false: {exchange} has no copy-trading accounts of another kind"
        )
        yield _problem(f"{name}.copy_trading", text, "set it to false")
    yield from _missing(account, profile)


def _missing(account: AccountConfig, profile: Profile) -> Iterator[ConfigProblem]:
    if not (account.enabled and account.is_configured):
        return  # without a key an account is left out, and the engine says so: that is no mistake
    for key in profile.credentials.values():
        if not _secret(account, key):
            text = f"{key} is missing: {account.exchange} asks for it"
            remedy = "enter the one made with the key, or set enabled to false"
            yield _problem(f"{account.name}.{key}", text, remedy)


def _secret(account: AccountConfig, key: str) -> str:
    secret = getattr(account, key)
    return "" if secret is None else str(secret.get_secret_value())


def _problem(key: str, text: str, remedy: str) -> ConfigProblem:
    return ConfigProblem(file=FILE, key=key, text=text, remedy=remedy)
