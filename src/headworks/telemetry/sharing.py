"""One `/metrics` for several workers: each leaves its figures in a small file, whoever is scraped adds them up.

The file of a worker that died is taken over by the one that replaces it, so that totals never fall.
"""

from pathlib import Path

import msgspec

from headworks.telemetry.metrics import Labels, Metrics

RUN_FOLDER = "run"
"""Where processes leave their figures, below the storage folder."""


class _Snapshot(msgspec.Struct, frozen=True):
    children: dict[Labels, list[int]]
    gauges: dict[str, float]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Snapshot).decode


class MetricsShare:
    """Reads and writes the figures of all workers in one folder.

    Arguments:
        folder: where the files lie; made when missing, emptied by the supervisor at start.
        worker: this worker's name; the file is called after it.
    """

    def __init__(self, metrics: Metrics, folder: Path, worker: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._metrics = metrics
        self._folder = folder
        self._file = folder / f"{worker}.metrics"
        before = _read(self._file)
        if before is not None:
            metrics.add(before.children)

    def publish(self) -> None:
        """Leave this worker's figures for the others; replaced whole, so that no reader sees half of them."""
        gauges = {name: read() for name, (_, read) in self._metrics.gauges.items()}
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(_encode(_Snapshot(self._metrics.children, gauges)))
        fresh.replace(self._file)

    def render(self) -> bytes:
        """All workers' figures, this one's as of now, the others' at most a second old.

        What is shown is left for others first: a counter that was seen must not fall when this worker is killed.
        """
        self.publish()
        total = Metrics()
        total.gauges = self._metrics.gauges
        total.add(self._metrics.children)
        gauges = {name: read() for name, (_, read) in self._metrics.gauges.items()}
        for path in self._folder.glob("*.metrics"):
            other = _read(path) if path != self._file else None
            if other is not None:
                total.add(other.children)
                for name, value in other.gauges.items():
                    gauges[name] = gauges.get(name, 0.0) + value
        return total.render(gauges)


def _read(path: Path) -> _Snapshot | None:
    try:
        return _decode(path.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # not written yet, or by a release with other figures: it counts from zero
