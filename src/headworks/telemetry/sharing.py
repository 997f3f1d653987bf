"""One `/metrics` for several workers: each leaves its figures in a small file, whoever is scraped adds them up.
`headworks status` reads the same files.

The file of a worker that died is taken over by the one that replaces it, so that totals never fall.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from headworks.telemetry.metrics import GaugeFamily, Labels, Metrics
from headworks.telemetry.standing import Standing, bounded, together

RUN_FOLDER = "run"
"""Where processes leave their figures, below the storage folder."""


class _Snapshot(msgspec.Struct, frozen=True):
    children: dict[Labels, list[int]]
    gauges: dict[str, float]
    families: dict[str, GaugeFamily] = {}
    standing: Standing | None = None
    left_s: float = 0.0
    caches: dict[str, list[int]] = {}


class Left(msgspec.Struct, frozen=True):
    """What one process has left for others to read.

    Attributes:
        worker: its name.
        left_s: when, in Unix seconds.
        gauges: present values by name; none of a worker that has ended.
        families: those of one process for all, by name.
        standing: how it stands; None of one that has ended, and of processes that serve no calls.
    """

    worker: str
    left_s: float
    gauges: dict[str, float]
    standing: Standing | None
    families: dict[str, GaugeFamily] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Snapshot).decode


class MetricsShare:
    """Reads and writes the figures of all workers in one folder.

    Arguments:
        folder: where the files lie; made when missing; the supervisor empties it at start (`forget_figures`).
        worker: this worker's name; the file is called after it.
        now: Unix seconds.
    """

    def __init__(self, metrics: Metrics, folder: Path, worker: str, *, now: Callable[[], float] = time.time) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._metrics = metrics
        self._folder = folder
        self._now = now
        self._file = _file(folder, worker)
        before = _read(self._file)
        if before is not None:
            metrics.add(before.children, before.caches)

    def publish(self) -> None:
        """Leave this worker's figures for the others. Raises OSError."""
        gauges = {name: read() for name, (_, read) in self._metrics.gauges.items()}
        _write(
            self._file,
            _Snapshot(
                self._metrics.children,
                gauges,
                self._metrics.families,
                self._standing(),
                self._now(),
                self._metrics.caches,
            ),
        )

    def end(self) -> None:
        """Leave what was counted, and no present values: this worker ends. Raises OSError."""
        _write(self._file, _Snapshot(self._metrics.children, {}, left_s=self._now(), caches=self._metrics.caches))

    def render(self) -> bytes:
        """All workers' figures, this one's as of now, the others' at most a second old.

        What is shown is left for others first: a counter that was seen must not fall when this worker is killed.
        """
        with suppress(OSError):  # the worker publishes once a second, too, and says what keeps it from that
            self.publish()
        total = Metrics()
        total.gauges = self._metrics.gauges
        total.add(self._metrics.children, self._metrics.caches)
        total.families.update(self._metrics.families)
        gauges = {name: read() for name, (_, read) in self._metrics.gauges.items()}
        mine = self._standing()
        standings = [] if mine is None else [mine]
        for path in _files(self._folder):
            other = _read(path) if path != self._file else None
            if other is not None:
                total.add(other.children, other.caches)
                total.families.update(other.families)
                for name, value in other.gauges.items():
                    gauges[name] = gauges.get(name, 0.0) + value
                if other.standing is not None:
                    standings.append(other.standing)
        return total.render(gauges, together(standings) if standings else None)

    def _standing(self) -> Standing | None:
        read = self._metrics.standing
        return None if read is None else bounded(read())


def read_left(folder: Path) -> list[Left]:
    """What every process has left, by name. Raises OSError."""
    found = [(path.stem, _read(path)) for path in sorted(_files(folder))]
    return [Left(name, one.left_s, one.gauges, one.standing, one.families) for name, one in found if one is not None]


def forget_figures(folder: Path) -> None:
    """Begin to count from zero. Raises OSError."""
    for file in _files(folder):
        file.unlink()


def forget_gauges(folder: Path, worker: str) -> None:
    """Take a dead worker's present values away; what it counted stays. Raises OSError."""
    left = _read(_file(folder, worker))
    if left is not None:
        _write(_file(folder, worker), _Snapshot(left.children, {}, left_s=left.left_s, caches=left.caches))


def _file(folder: Path, worker: str) -> Path:
    return folder / f"{worker}.metrics"


def _files(folder: Path) -> list[Path]:
    return list(folder.glob("*.metrics"))


def _write(file: Path, snapshot: _Snapshot) -> None:
    """Replaced whole, so that no reader sees half of it; for its owner's eyes only."""
    fresh = file.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(_encode(snapshot))
    fresh.replace(file)


def _read(path: Path) -> _Snapshot | None:
    try:
        return _decode(path.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # not written yet, or by a release with other figures: it counts from zero
