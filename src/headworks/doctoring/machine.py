"""The machine that the gateway runs on: open files, disk, and how Python and its parsers were built."""

import resource
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from headworks.config import Project
from headworks.doctoring.findings import Check, Finding, in_thread, ok, problem, warning
from headworks.doctoring.running import find_running, fresh_workers
from headworks.doctoring.situation import Situation, existing
from headworks.hot_path import COMPILED, as_source, origin
from headworks.records import JOURNAL_FOLDER
from headworks.telemetry import Left

_OTHER_FILES = 64
"""What a worker has open besides connections: journal, databases, sockets of its own, the interpreter's files."""

_FAST_MODULES = ("uvloop.loop", "httptools.parser.parser", "msgspec._core")


def checks(situation: Situation) -> list[Check]:
    """One, where a project is to run here."""
    project = situation.project
    if project is None:
        return []
    return [Check("machine", in_thread(lambda: look(project, now_s=situation.now())))]


def look(project: Project, *, now_s: float) -> list[Finding]:
    """All of it, for what this project needs. `now_s`: Unix seconds."""
    running = find_running(project, now_s=now_s)
    soft = None if running is None else files_of_process(running.pid)
    journal = project.storage / JOURNAL_FOLDER
    return [
        judge_files(files_needed(project), files_of_process(0), running=soft),
        judge_disk(
            free_bytes=shutil.disk_usage(existing(project.storage)).free,
            used_bytes=_size(journal),
            journal_bytes=project.config.storage.journal_bytes,
            segment_bytes=project.config.storage.segment_bytes,
            where=existing(project.storage),
        ),
        judge_modules([(name, origin(name)) for name in _FAST_MODULES]),
        judge_hot_path(as_source(), fresh_workers(project, now_s=now_s)),
        judge_python(
            arguments=str(sysconfig.get_config_var("CONFIG_ARGS") or ""),
            is_debug=bool(sysconfig.get_config_var("Py_DEBUG")),
            base=sys.base_prefix,
        ),
    ]


def files_needed(project: Project) -> int:
    """File descriptors that one worker may come to need: each of its connections is one."""
    config = project.config
    upstream = sum(
        provider.connections.limit  # its `pools` share them
        for provider in config.providers.values()
        if provider.kind != "simulator"
    )
    return config.server.connections + upstream + _OTHER_FILES


def files_of_process(pid: int) -> int | None:
    """The limit of open files of a process, 0 for this one; None where it cannot be seen."""
    if pid == 0:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if sys.platform != "linux":
        return None
    try:
        return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
    except OSError:  # it has ended, or is somebody else's
        return None


def judge_files(needed: int, here: int | None, *, running: int | None = None) -> Finding:
    """The limit of open files.

    Arguments:
        here: that of this process; a service may have another.
        running: that of the gateway that runs, where it is seen: it is the one that counts.
    """
    soft, whose = (here, "here") if running is None else (running, "of the gateway that runs")
    assert soft is not None, "a process knows its own"
    figures: dict[str, float] = {"needed": needed, "limit": soft}
    if soft in (resource.RLIM_INFINITY, -1) or soft >= needed:
        return ok("open files", f"a worker may need {needed:,}, and the limit {whose} allows them", **figures)
    says = f"a worker may need {needed:,} (`server.connections` and the pools), and the limit {whose} is {soft:,}"
    way_out = f"`ulimit -n {needed}` before the start, `LimitNOFILE={needed}` in systemd, or lower `server.connections`"
    return warning("open files", says, way_out, **figures)


def judge_disk(*, free_bytes: int, used_bytes: int, journal_bytes: int, segment_bytes: int, where: Path) -> Finding:
    """Whether the journals may grow to their bound, `used_bytes` of which they have."""
    wanted = max(0, journal_bytes - used_bytes)
    figures: dict[str, float] = {"free_bytes": free_bytes, "wanted_bytes": wanted}
    if free_bytes >= wanted:
        return ok("disk", f"{_size_words(free_bytes)} are free at {where}", **figures)
    says = f"{_size_words(free_bytes)} are free at {where}, and journals may come to need {_size_words(wanted)}"
    way_out = "free some, move `storage.path`, or lower `storage.journal_bytes`"
    verdict = problem if free_bytes < 2 * segment_bytes else warning
    return verdict("disk", says, way_out, **figures)


def judge_modules(found: Sequence[tuple[str, str]]) -> Finding:
    """Whether what is fast because it is compiled is compiled; the second of each is the file that would be loaded."""
    slow = [name for name, origin in found if not origin.endswith(COMPILED)]
    if not slow:
        return ok("compiled", "uvloop, httptools and msgspec are compiled")
    way_out = (
        "install them as wheels for this Python and machine: `pip install --force-reinstall uvloop httptools msgspec`"
    )
    return problem("compiled", f"not there in compiled form: {', '.join(slow)}", way_out)


def judge_hot_path(here: Sequence[str], left: Sequence[Left] = ()) -> Finding:
    """Whether Headworks' own hot path runs compiled.

    Arguments:
        here: its modules that are not, in this process.
        left: what the workers of the gateway that runs say: they are the ones that count.
    """
    workers = round(sum(one.gauges.get("workers", 0.0) for one in left))
    compiled = round(sum(one.gauges.get("workers_compiled", 0.0) for one in left))
    if not workers:
        workers, compiled, whose = 1, int(not here), "here"
    else:
        whose = "of the gateway that runs"
    figures: dict[str, float] = {"workers": workers, "compiled": compiled}
    if compiled == workers:
        return ok("hot path", f"Headworks' hot path {whose} is compiled", **figures)
    says = f"Headworks' hot path {whose} is Python source: all works, and each call takes more of a core"
    if compiled:
        says = f"Headworks' hot path is compiled in {compiled} of {workers} workers"
    way_out = "install the wheel that `make wheel` makes for this platform and Python, and start the gateway anew"
    return warning("hot path", says, way_out, **figures)


def judge_python(*, arguments: str, is_debug: bool, base: str) -> Finding:
    """How the interpreter was built: an unoptimised build costs 1.6 times as much and more (`make bench`)."""
    version = ".".join(map(str, sys.version_info[:3]))
    if is_debug:
        says = f"Python {version} is a debug build: several times as slow"
        return warning("python", says, "use a release build, such as the distribution's own")
    # Debian and Fedora profile their builds with rules of their own, which sysconfig does not show.
    if "--enable-optimizations" in arguments or base == "/usr":
        return ok("python", f"Python {version} is an optimised build")
    says = f"Python {version} was built without --enable-optimizations: calls cost half as much again, and more"
    return warning("python", says, "use the distribution's own Python, or build with --enable-optimizations --with-lto")


def _size(folder: Path) -> int:
    total = 0
    for file in folder.glob("*"):
        try:
            total += file.stat().st_size
        except FileNotFoundError:
            continue  # drained and removed meanwhile
    return total


def _size_words(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
