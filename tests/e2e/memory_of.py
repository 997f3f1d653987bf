"""What stands in the memory of another process of ours, and which of them it is. Linux only."""

import re
import socket
from pathlib import Path

_REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r")
_LEAST_KEPT = 4096


def children(pid):
    """The processes that a process has started."""
    return [int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()]


def who_listens(pids, port):
    """The one of these processes that listens on a TCP port of 127.0.0.1."""
    here = int.from_bytes(socket.inet_aton("127.0.0.1"), "little")
    fields = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {one[9] for one in fields if one[1] == f"{here:08X}:{port:04X}" and one[3] == "0A"}
    links = {f"socket:[{inode}]" for inode in inodes}
    found = [pid for pid in pids if any(str(one.readlink()) in links for one in Path(f"/proc/{pid}/fd").iterdir())]
    (pid,) = found
    return pid


def held_by(pid, *texts):
    """Those of the texts that stand anywhere in the memory of a process."""
    found = set()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            region = _REGION.match(line)
            if region is None or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            begin, end = (int(one, 16) for one in region.groups())
            found |= _in_region(memory, begin, end, texts)
    return found


def _in_region(memory, begin, end, texts):
    found, kept, at = set(), b"", begin
    while at < end:
        memory.seek(at)
        try:
            data = memory.read(min(1 << 20, end - at))
        except OSError:
            return found  # pages that nobody can read
        if not data:
            return found
        at += len(data)
        window = kept + data
        found |= {text for text in texts if text.encode() in window}
        kept = window[-_LEAST_KEPT:]
    return found
