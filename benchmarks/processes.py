"""What the kernel says about processes: CPU time, memory, family, and who holds the connections of a port. Linux only.

All functions read /proc (proc(5)) afresh; the `root` that some take is for tests.
"""

import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_ESTABLISHED = "01"
"""TCP_ESTABLISHED as /proc/net/tcp writes it (include/net/tcp_states.h)."""


def cpu_seconds(pids: Iterable[int], *, with_ended_children: bool = False, root: Path = PROC) -> float:
    """CPU time, user and system, that these processes have used since they started; processes that ended count 0.

    Arguments:
        pids: each process with all its threads.
        with_ended_children: adds what their children used that have ended and been waited for.
    """
    total = 0
    for pid in pids:
        if fields := _stat(pid, root):
            total += sum(fields[11:15] if with_ended_children else fields[11:13])
    return total / _TICKS_PER_S


def resident_bytes(pids: Iterable[int], root: Path = PROC) -> int:
    """Resident memory of these processes together; pages that they share are counted in each (VmRSS)."""
    total = 0
    for pid in pids:
        for line in _lines(root / str(pid) / "status"):
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


def family(pid: int, root: Path = PROC) -> list[int]:
    """The process and all its living descendants, and whoever else is in the session that it leads."""
    parents: dict[int, int] = {}
    sessions: dict[int, int] = {}
    for entry in root.iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name), root)):
            parents[int(entry.name)], sessions[int(entry.name)] = fields[1], fields[3]
    found = {pid} | {other for other, session in sessions.items() if session == pid}
    while born := {child for child, parent in parents.items() if parent in found} - found:
        found |= born
    return sorted(found & parents.keys())


def holders(pids: Iterable[int], port: int, root: Path = PROC) -> list[int]:
    """Those of the processes that hold an accepted connection on this local TCP port: the ones that do the work."""
    inodes = _accepted_inodes(port, root)
    found = []
    for pid in pids:
        try:
            targets = {os.readlink(entry) for entry in (root / str(pid) / "fd").iterdir()}
        except FileNotFoundError:
            continue  # it has ended since the list of processes was made
        if any(f"socket:[{inode}]" in targets for inode in inodes):
            found.append(pid)
    return found


def _accepted_inodes(port: int, root: Path) -> set[str]:
    inodes = set()
    for table in ("net/tcp", "net/tcp6"):
        for line in _lines(root / table)[1:]:
            words = line.split()
            if words[3] == _ESTABLISHED and int(words[1].rpartition(":")[2], 16) == port:
                inodes.add(words[9])
    return inodes


def _stat(pid: int, root: Path) -> list[int]:
    """The numbers of /proc/PID/stat from the state on: [1] parent, [3] session, [11:15] utime, stime, cutime, cstime.

    The name before them may hold spaces and parentheses, so counting starts after its last parenthesis. Empty when
    the process has ended.
    """
    lines = _lines(root / str(pid) / "stat")
    if not lines:
        return []
    return [0, *(int(word) for word in lines[0].rpartition(")")[2].split()[1:])]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return []
