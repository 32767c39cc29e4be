"""Errors of the command line itself, each with the exit code it ends in."""

from core.errors import TradeEngineError
from core.process.exit_codes import ExitCode


class RefusedError(TradeEngineError):
    """Not done for safety's sake; the text says what would make it go."""

    exit_code = ExitCode.REFUSED


class CheckFailedError(TradeEngineError):
    """A check of ours said no."""

    exit_code = ExitCode.CHECK_FAILED


class PartlyFailedError(TradeEngineError):
    """Some accounts, symbols or services failed; the others are done."""

    exit_code = ExitCode.PARTLY_FAILED
