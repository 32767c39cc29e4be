"""What our processes and commands return to their caller; one table for all of them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """One number, one meaning."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    CHECK_FAILED = 3
    REFUSED = 4  # for safety, or because it needs --yes
    PARTLY_FAILED = 5  # some accounts or symbols failed, the others are done
    DRIFT = 6  # held differs from wanted
    BUSY = 75  # somebody else holds the lock
    CONFIG = 78  # PM2 `stop_exit_codes`: a restart would not help
