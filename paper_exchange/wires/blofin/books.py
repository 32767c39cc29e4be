"""Which of an account's two books a request is for: the futures account or copy trading.

Both have their own money, positions, modes and orders, as at the venue. The copy-trading book is
that of a second account, `<name>-copy`, whose key no request can bear.
"""

from dataclasses import replace
from typing import Any

from paper_exchange.accounts import PaperAccount
from paper_exchange.rest import Params, Serve, account_of
from paper_exchange.wire import Call

COPY_SUFFIX = "-copy"
NO_HEADER = "\ncopy"  # a header holds no line break


def copy_account(call: Call) -> PaperAccount:
    """The copy-trading account behind the key; opened on first use, with the start balance."""
    account = account_of(call)
    wanted = replace(account, name=account.name + COPY_SUFFIX, api_key=account.api_key + NO_HEADER)
    doorkeeper = call.exchange.doorkeeper
    known = doorkeeper.find(wanted.exchange, wanted.api_key)
    if known != wanted:
        doorkeeper.register(wanted)
    return wanted


def in_copy_trading(serve: Serve) -> Serve:
    """The same request, served from the copy-trading book."""

    def served(call: Call, params: Params) -> Any:  # noqa: ANN401
        return serve(replace(call, account=copy_account(call)), params)

    return served
