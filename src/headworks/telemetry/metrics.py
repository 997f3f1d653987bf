"""Counters and histograms of settled calls.

Children (one combination of labels) are lists of numbers that are added to in place; text is made only when
somebody scrapes. Exposition format: Prometheus text format 0.0.4.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping

import msgspec

from headworks.calls import Settled
from headworks.telemetry.exposition import head, label_text
from headworks.telemetry.standing import Standing, render_standing

Labels = tuple[str, str, str, str, int]
"""endpoint, provider, model, outcome, status."""

BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds in seconds, from a classification's answer to a long generation's."""

_BUCKETS_US = tuple(round(bound * 1_000_000) for bound in BUCKETS_S)

_COUNT, _INPUT, _CACHED, _OUTPUT, _REASONING, _DURATION_US, _FIRST_US, _FIRST_COUNT, _COST_PICO = range(9)
_DURATIONS = 9
_FIRSTS = _DURATIONS + len(BUCKETS_S) + 1
_WIDTH = _FIRSTS + len(BUCKETS_S) + 1

_CACHED_HOW = ("hit", "miss", "bypass", "semantic")

_MOST_CHILDREN = 2000
"""Bound on label combinations: model names may come from callers. Beyond it, calls count under `other`."""


class GaugeFamily(msgspec.Struct, frozen=True):
    """Present values of one kind that a single process knows for all, by the values of their labels."""

    description: str
    labels: tuple[str, ...]
    values: dict[tuple[str, ...], float]


class Metrics:
    """The figures of one process. State: `children`, `families` by name; `caches` by workload (hits, misses, bypassed,
    pico-dollars saved); `gauges` and `standing` are read when somebody
    looks."""

    def __init__(self) -> None:
        self.children: dict[Labels, list[int]] = {}
        self.families: dict[str, GaugeFamily] = {}
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self.standing: Callable[[], Standing] | None = None
        self.caches: dict[str, list[int]] = {}

    def gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Show the present value of something; `name` without the `headworks_` prefix."""
        self.gauges[name] = (description, read)

    def observe(self, call: Settled) -> None:
        """Count one settled call."""
        opened = call.opened
        labels = (opened.endpoint, opened.provider, opened.model, call.outcome, call.status)
        child = self.children.get(labels)
        if child is None:
            child = self._new_child(labels)
        total_us = call.total_us
        child[_COUNT] += 1
        child[_DURATION_US] += total_us
        child[_DURATIONS + bisect_left(_BUCKETS_US, total_us)] += 1
        child[_INPUT] += call.input_tokens
        child[_OUTPUT] += call.output_tokens
        if call.cost_pico > 0:
            child[_COST_PICO] += call.cost_pico
        if call.cached_tokens:
            child[_CACHED] += call.cached_tokens
        if call.reasoning_tokens:
            child[_REASONING] += call.reasoning_tokens
        if call.first_token_us:
            child[_FIRST_US] += call.first_token_us
            child[_FIRST_COUNT] += 1
            child[_FIRSTS + bisect_left(_BUCKETS_US, call.first_token_us)] += 1

    def count_cached(self, workload: str, how: str, saved_pico: int) -> None:
        """Count a call of a workload that has a response cache: a `hit` or a `semantic` one, which saved this (-1: not
        known), a `miss` or a `bypass`."""
        figures = self.caches.setdefault(workload, [0] * (len(_CACHED_HOW) + 1))
        figures[_CACHED_HOW.index(how)] += 1
        if how in ("hit", "semantic") and saved_pico > 0:
            figures[-1] += saved_pico

    def count_lost(self, calls: int) -> None:
        """Count calls that were under way when their process died: nobody saw how they ended."""
        labels: Labels = ("", "", "", "lost", 0)
        child = self.children.get(labels)
        if child is None:
            child = self._new_child(labels)
        child[_COUNT] += calls

    def add(self, children: Mapping[Labels, list[int]], caches: Mapping[str, list[int]] | None = None) -> None:
        """Add another process's figures to these."""
        for workload, figures in (caches or {}).items():
            sums = self.caches.setdefault(workload, [0] * (len(_CACHED_HOW) + 1))
            *counts, saved = figures  # a process of an earlier release knows fewer ways
            for index, figure in enumerate(counts):
                sums[index] += figure
            sums[-1] += saved
        for labels, figures in children.items():
            mine = self.children.get(labels)
            if mine is None:
                mine = self._new_child(labels)
            for index, figure in enumerate(figures):
                mine[index] += figure

    def render(self, gauges: Mapping[str, float] | None = None, standing: Standing | None = None) -> bytes:
        """The figures as Prometheus text. `gauges` replaces the present values, by name, and `standing` how this
        process stands."""
        lines: list[str] = []
        children = sorted(self.children.items())
        timed = [child for child in children if child[0][3] != "lost"]  # nobody knows how long those took
        for name, description, index in (
            ("calls_total", "Settled calls.", _COUNT),
            ("input_tokens_total", "Input tokens, cached ones included.", _INPUT),
            ("cached_tokens_total", "Input tokens that the provider read from its prefix cache.", _CACHED),
            ("output_tokens_total", "Output tokens, reasoning included.", _OUTPUT),
            ("reasoning_tokens_total", "Reasoning tokens.", _REASONING),
        ):
            lines += head(name, description, "counter")
            lines += [f"headworks_{name}{{{_label_text(labels)}}} {figures[index]}" for labels, figures in children]
        lines += head("cost_usd_total", "Dollars, as far as prices are known.", "counter")
        lines += [
            f"headworks_cost_usd_total{{{_label_text(labels)}}} {_decimal(figures[_COST_PICO])}"
            for labels, figures in children
        ]
        for name, description, start, total, count in (
            ("call_duration_seconds", "From request to settled.", _DURATIONS, _DURATION_US, _COUNT),
            ("first_token_seconds", "From request to the first content.", _FIRSTS, _FIRST_US, _FIRST_COUNT),
        ):
            lines += head(name, description, "histogram")
            for labels, figures in timed:
                lines += _histogram(f"headworks_{name}", _label_text(labels), figures, start, total, count)
        lines += self._cache_lines()
        if standing is None and self.standing is not None:
            standing = self.standing()
        if standing is not None:
            lines += render_standing(standing)
        for name, (description, read) in sorted(self.gauges.items()):
            value = read() if gauges is None else gauges.get(name, 0.0)
            lines += head(name, description, "gauge")
            lines.append(f"headworks_{name} {value:g}")
        for name, family in sorted(self.families.items()):
            lines += head(name, family.description, "gauge")
            lines += [
                f"headworks_{name}{{{label_text(zip(family.labels, labels, strict=True))}}} {value:g}"
                for labels, value in sorted(family.values.items())
            ]
        return ("\n".join(lines) + "\n").encode()

    def _cache_lines(self) -> list[str]:
        if not self.caches:
            return []
        name = "response_cache_calls_total"
        lines = head(name, "Calls of workloads that have a response cache.", "counter")
        for workload, figures in sorted(self.caches.items()):
            for how, count in zip(_CACHED_HOW, figures, strict=False):
                labels = label_text((("workload", workload), ("result", how)))
                lines.append(f"headworks_{name}{{{labels}}} {count}")
        name = "response_cache_saved_usd_total"
        lines += head(name, "Dollars that the calls cost whose answers were given again.", "counter")
        for workload, figures in sorted(self.caches.items()):
            lines.append(f"headworks_{name}{{{label_text((('workload', workload),))}}} {_decimal(figures[-1])}")
        return lines

    def _new_child(self, labels: Labels) -> list[int]:
        if len(self.children) >= _MOST_CHILDREN:
            labels = (labels[0], labels[1], "other", labels[3], labels[4])
        return self.children.setdefault(labels, [0] * _WIDTH)


def _label_text(labels: Labels) -> str:
    return label_text(zip(("endpoint", "provider", "model", "outcome", "status"), labels, strict=True))


def _decimal(pico: int) -> str:
    whole, rest = divmod(pico, 1_000_000_000_000)
    return f"{whole}.{rest:012d}"


def _histogram(name: str, labels: str, figures: list[int], start: int, total: int, count: int) -> list[str]:
    lines = []
    below = 0
    for index, bound in enumerate(BUCKETS_S):
        below += figures[start + index]
        lines.append(f'{name}_bucket{{{labels},le="{bound:g}"}} {below}')
    lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {figures[count]}')
    lines.append(f"{name}_sum{{{labels}}} {figures[total] / 1e6:.6f}")
    lines.append(f"{name}_count{{{labels}}} {figures[count]}")
    return lines
