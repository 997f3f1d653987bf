"""Whether answers have grown: a look at the counted lengths, a gauge of it, and a line in the log when it begins."""

from collections.abc import Callable

from headworks.records import Span, Store
from headworks.records.economy import GROWTH, Growth, economy
from headworks.telemetry import GaugeFamily

LOOK_EVERY_S = 60.0
"""Seconds between two looks, at least: lengths are counted by the hour, and nobody scrapes much more often."""

SPAN_S = 30 * 86_400.0
"""How far back is looked, in seconds: a version of which no call was made since then is no measure any more."""

OVER = 1 + (GROWTH - 1) / 2
"""Below this ratio an alarm is over, and is told of again when it comes back: lower than where it begins, so that one
which hovers there is told of once."""


class GrowthWatch:
    """Compares each prompt version's answers with those of the version before. State: which alarms have been told."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told: set[tuple[str, str, str]] = set()

    def look(self, store: Store, now_s: float) -> GaugeFamily | None:
        """The ratios of all versions that can be compared, as a gauge; None where there are none.

        Raises:
            StorageError: the store cannot be used.
        """
        lengths = store.output_lengths(Span(since_us=int((now_s - SPAN_S) * 1e6)))
        compared = [(one.workload, growth) for one in economy(lengths, (), ()) for growth in one.compared]
        for workload, growth in compared:
            self._tell(workload, growth)
        if not compared:
            return None
        return GaugeFamily(
            "Median output tokens of a prompt version's answers, as a multiple of those of the version before.",
            ("workload", "prompt_version"),
            {(workload, growth.prompt_version): round(growth.factor, 3) for workload, growth in compared},
        )

    def _tell(self, workload: str, growth: Growth) -> None:
        which = (workload, growth.prompt_version, growth.before)
        if growth.factor < OVER:
            self._told.discard(which)
        if growth.factor <= GROWTH or which in self._told:
            return
        self._told.add(which)
        why = "" if growth.is_same_model else "; other models answered, too"
        self._say(
            f"{workload}: answers of prompt version {growth.prompt_version} are {growth.factor - 1:.0%} longer than "
            f"those of {growth.before} (median){why}: headworks calls economy --workload {workload}"
        )
