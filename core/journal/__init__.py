"""Append-only journals: writing, group commit, following, compressing old days."""

from core.journal.archive import compress_old_days
from core.journal.files import JournalLostError, Position, encode_rows, journal_names
from core.journal.group_commit import GroupCommit
from core.journal.tail import JournalTail, read_rows
from core.journal.writing import Journal

__all__ = [
    "GroupCommit",
    "Journal",
    "JournalLostError",
    "JournalTail",
    "Position",
    "compress_old_days",
    "encode_rows",
    "journal_names",
    "read_rows",
]
