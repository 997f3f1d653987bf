"""Writing headworks.lock, and other files of a project, whole or not at all."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headworks.cli.state import tell_audit
from headworks.config import LOCK_FILE, Lock, Locked, lock_text
from headworks.errors import CommandError

if TYPE_CHECKING:
    from headworks.config import Project


def write_lock(project: "Project", lock: Lock, name: str, locked: Locked) -> bool:
    """Put a workload's entry into headworks.lock; whether the file changed.

    Raises:
        CommandError: it cannot be written.
    """
    if lock.workloads.get(name) == locked:
        return False
    changed = msgspec.structs.replace(lock, workloads={**lock.workloads, name: locked})
    replace_file(project.folder / LOCK_FILE, lock_text(changed).encode())
    detail = {"workload": name, "model": locked.model, "prompt": locked.prompt_version}
    tell_audit(project, "lock", "workload.locked", name, detail)
    return True


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; its permissions stay.

    Raises:
        CommandError: it cannot be written.
    """
    target = path.resolve()
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        made = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            made.chmod(mode)
            made.replace(target)
        except BaseException:
            made.unlink()
            raise
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
