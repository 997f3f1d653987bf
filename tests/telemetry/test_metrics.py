"""The text that Prometheus scrapes, read by Prometheus' own parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from headworks.calls import Opened, Settled
from headworks.telemetry import GaugeFamily, Metrics
from headworks.telemetry.metrics import BUCKETS_S


def call(model="m", outcome="answered", status=200, total_us=1_000, first_us=0, **counts):
    opened = Opened("call_1", 1, "chat.completions", "nano", provider="stub", model=model)
    return Settled(opened, outcome, status, total_us, first_us, **counts)


def read(metrics, gauges=None):
    """Values by sample name and labels."""
    families = text_string_to_metric_families(metrics.render(gauges).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def total(values, name, **labels):
    return sum(
        value
        for (sample, given), value in values.items()
        if sample == f"headworks_{name}" and labels.items() <= dict(given).items()
    )


def test_calls_and_tokens_are_counted_by_what_they_were():
    metrics = Metrics()
    metrics.observe(call(input_tokens=9, cached_tokens=4, output_tokens=3, reasoning_tokens=2))
    metrics.observe(call(input_tokens=1))
    metrics.observe(call(outcome="refused", status=401))
    values = read(metrics)

    assert total(values, "calls_total", outcome="answered", status="200", model="m", provider="stub") == 2
    assert total(values, "calls_total", outcome="refused", status="401") == 1
    assert total(values, "input_tokens_total") == 10
    assert total(values, "cached_tokens_total") == 4
    assert total(values, "output_tokens_total") == 3
    assert total(values, "reasoning_tokens_total") == 2


@given(st.lists(st.integers(0, 400_000_000), max_size=20))
def test_a_histogram_counts_each_call_once_in_the_bucket_that_it_fits(durations):
    metrics = Metrics()
    for total_us in durations:
        metrics.observe(call(total_us=total_us))
    values = read(metrics)

    for bound in BUCKETS_S:
        expected = sum(total_us <= bound * 1e6 for total_us in durations)
        assert total(values, "call_duration_seconds_bucket", le=f"{bound:g}") == expected
    assert total(values, "call_duration_seconds_bucket", le="+Inf") == len(durations)
    assert total(values, "call_duration_seconds_count") == len(durations)
    assert total(values, "call_duration_seconds_sum") == pytest.approx(sum(durations) / 1e6)


def test_a_lost_call_is_counted_and_not_timed():
    metrics = Metrics()
    metrics.count_lost(2)
    values = read(metrics)

    assert total(values, "calls_total", outcome="lost", status="0") == 2
    assert total(values, "call_duration_seconds_count") == 0


def test_the_first_token_is_timed_only_where_there_was_one():
    metrics = Metrics()
    metrics.observe(call(first_us=60_000))
    metrics.observe(call())
    values = read(metrics)

    assert total(values, "first_token_seconds_count") == 1
    assert total(values, "first_token_seconds_bucket", le="0.05") == 0
    assert total(values, "first_token_seconds_bucket", le="0.1") == 1


@given(st.text(max_size=30))
def test_any_label_is_read_as_it_was(model):
    metrics = Metrics()
    metrics.observe(call(model=model))

    assert total(read(metrics), "calls_total", model=model) == 1


@pytest.mark.uncounted
def test_names_of_callers_cannot_grow_it_without_bound():
    metrics = Metrics()
    for number in range(2500):
        metrics.observe(call(model=f"m{number}"))
    values = read(metrics)

    assert len(metrics.children) <= 2001
    assert total(values, "calls_total") == 2500
    assert total(values, "calls_total", model="other") == 500


def test_gauges_are_read_when_somebody_looks():
    metrics = Metrics()
    level = [1.0]
    metrics.gauge("level", "A level.", lambda: level[0])
    assert total(read(metrics), "level") == 1
    level[0] = 2.5
    assert total(read(metrics), "level") == 2.5
    assert total(read(metrics, {"level": 7}), "level") == 7


@given(st.dictionaries(st.tuples(st.text(max_size=20), st.text(max_size=5)), st.integers(0, 999_999), max_size=5))
def test_a_family_of_gauges_is_shown_by_its_labels_whatever_they_hold(values):
    metrics = Metrics()
    metrics.families["growth"] = GaugeFamily("How much.", ("workload", "version"), values)
    shown = read(metrics)

    assert {
        tuple(dict(labels)[name] for name in ("workload", "version")): value
        for (name, labels), value in shown.items()
        if name == "headworks_growth"
    } == values
