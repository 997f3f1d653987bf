"""One byte that all processes of an installation share, and that outlives them: cheap enough to look at each call."""

import mmap
import os
from pathlib import Path

from headworks.database import storage_errors

MARK_FILE = "objects.mark"
"""Not zero once an object was made at a provider, below the storage folder."""


def open_mark(storage: Path) -> tuple[mmap.mmap, bool]:
    """The byte, and whether its file was made just now.

    Raises:
        StorageError: it cannot be made or mapped.
    """
    path = storage / MARK_FILE
    with storage_errors(path):
        storage.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            is_new = os.fstat(descriptor).st_size == 0
            if is_new:
                os.ftruncate(descriptor, 1)
            return mmap.mmap(descriptor, 1), is_new
        finally:
            os.close(descriptor)
