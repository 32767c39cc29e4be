"""One engine per API key and host, whatever its home: a lease in the system's temporary folder.

Holds no secret: the key is named by a fingerprint that cannot be turned back.
"""

import tempfile
from hashlib import sha256
from pathlib import Path

from core.process.lease import Lease, lock_now


def key_fingerprint(exchange: str, api_key: str) -> str:
    """Name an API key without telling it: 16 hex digits."""
    return sha256(f"{exchange}\0{api_key}".encode()).hexdigest()[:16]


def key_lease(fingerprint: str, *, folder: Path | None = None) -> Lease:
    """Take the lease of one API key for this host; BusyError names the engine that trades it."""
    where = folder or _temporary_folder()
    return lock_now(where / f"trade-engine-key-{fingerprint}.lock", "this API key")


def _temporary_folder() -> Path:
    # not TMPDIR first: two shells with different ones would not see each other's lease
    common = Path("/tmp")  # noqa: S108 - opened with O_NOFOLLOW, and nothing in it is secret
    return common if common.is_dir() else Path(tempfile.gettempdir())
