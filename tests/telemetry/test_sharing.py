"""Figures of several workers are one page, and none is counted twice or lost with its worker."""

from prometheus_client.parser import text_string_to_metric_families

from headworks.calls import Opened, Settled
from headworks.telemetry import GaugeFamily, Metrics, MetricsShare, forget_figures, forget_gauges


def settled():
    return Settled(Opened("call_1", 1, "responses", "nano", provider="stub", model="m"), "answered", 200, 5)


def worker(folder, name, calls=0):
    metrics = Metrics()
    metrics.gauge("calls_in_flight", "Calls under way.", lambda: 3)
    share = MetricsShare(metrics, folder, name)
    for _ in range(calls):
        metrics.observe(settled())
    return metrics, share


def figure(share, name):
    families = text_string_to_metric_families(share.render().decode())
    return sum(sample.value for family in families for sample in family.samples if sample.name == f"headworks_{name}")


def test_whoever_is_asked_tells_the_sum(tmp_path):
    _, first = worker(tmp_path, "worker-1", calls=2)
    _, second = worker(tmp_path, "worker-2", calls=5)
    first.publish()
    second.publish()

    assert figure(first, "calls_total") == figure(second, "calls_total") == 7
    assert figure(first, "calls_in_flight") == 6


def test_ones_own_figures_are_those_of_now(tmp_path):
    metrics, share = worker(tmp_path, "worker-1", calls=1)
    share.publish()
    metrics.observe(settled())

    assert figure(share, "calls_total") == 2


def test_a_worker_that_takes_anothers_place_goes_on_counting_where_it_was(tmp_path):
    _, dead = worker(tmp_path, "worker-1", calls=4)
    dead.publish()
    _, born = worker(tmp_path, "worker-1", calls=1)

    assert figure(born, "calls_total") == 5


def test_a_file_that_cannot_be_read_counts_as_nothing(tmp_path):
    (tmp_path / "worker-2.metrics").write_bytes(b"\xc1 of another release")
    _, share = worker(tmp_path, "worker-1", calls=1)

    assert figure(share, "calls_total") == 1


def test_what_was_shown_is_not_lost_with_the_worker_that_showed_it(tmp_path):
    _, dead = worker(tmp_path, "worker-1", calls=4)
    shown = figure(dead, "calls_total")
    _, born = worker(tmp_path, "worker-1")

    assert figure(born, "calls_total") == shown == 4


def test_a_dead_workers_present_values_go_and_its_counts_stay(tmp_path):
    _, dead = worker(tmp_path, "worker-1", calls=4)
    _, other = worker(tmp_path, "worker-2")
    dead.publish()
    assert figure(other, "calls_in_flight") == 6

    forget_gauges(tmp_path, "worker-1")
    forget_gauges(tmp_path, "worker-3")  # it died before it had any

    assert figure(other, "calls_in_flight") == 3
    assert figure(other, "calls_total") == 4


def test_figures_of_a_run_before_can_be_forgotten(tmp_path):
    _, dead = worker(tmp_path, "worker-1", calls=4)
    dead.publish()

    forget_figures(tmp_path)

    _, born = worker(tmp_path, "worker-1", calls=1)
    assert figure(born, "calls_total") == 1


def test_figures_are_shown_where_they_cannot_be_written(tmp_path):
    _, share = worker(tmp_path / "run", "worker-1", calls=2)
    (tmp_path / "run").rmdir()

    assert figure(share, "calls_total") == 2


def test_only_its_owner_may_read_what_is_left_for_the_others(tmp_path):
    _, share = worker(tmp_path / "run", "worker-1")
    share.publish()
    files = (tmp_path / "run", tmp_path / "run" / "worker-1.metrics")

    assert [path.stat().st_mode & 0o777 for path in files] == [0o700, 0o600]


def test_lost_calls_are_counted(tmp_path):
    metrics, share = worker(tmp_path, "control-plane")
    metrics.count_lost(2)

    assert b'outcome="lost",status="0"} 2' in share.render()


def test_a_family_of_gauges_is_shown_by_all_and_goes_with_the_process_that_knew_it(tmp_path):
    metrics, knowing = worker(tmp_path, "control-plane")
    metrics.families["growth"] = GaugeFamily("How much.", ("workload",), {("triage",): 1.5})
    knowing.publish()
    _, other = worker(tmp_path, "worker-1")

    assert figure(other, "growth") == 1.5
    forget_gauges(tmp_path, "control-plane")
    assert figure(other, "growth") == 0


def test_answers_that_were_given_again_are_counted_over_workers_and_outlive_them(tmp_path):
    metrics, dead = worker(tmp_path, "worker-1")
    metrics.count_cached("triage", "hit", 2_500_000)
    metrics.count_cached("triage", "miss", -1)
    dead.publish()
    forget_gauges(tmp_path, "worker-1")
    metrics, share = worker(tmp_path, "worker-2")
    metrics.count_cached("triage", "hit", -1)

    text = share.render().decode()
    assert 'headworks_response_cache_calls_total{workload="triage",result="hit"} 2' in text
    assert 'headworks_response_cache_calls_total{workload="triage",result="bypass"} 0' in text
    assert 'headworks_response_cache_saved_usd_total{workload="triage"} 0.000002500000' in text
    dead.end()
    assert 'result="hit"} 2' in worker(tmp_path, "worker-3")[1].render().decode()
