"""How everything stands, as one document built from files."""

from core.status.document import build_status, read_status, unhealthy_reasons

__all__ = ["build_status", "read_status", "unhealthy_reasons"]
