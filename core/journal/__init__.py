"""Append-only journals: writing, group commit, following."""

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
    "encode_rows",
    "journal_names",
    "read_rows",
]
