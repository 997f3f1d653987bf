from time import perf_counter

import pytest

from headworks.calls import Caller, Settled
from headworks.settlement import OpenCall, Work


def begin() -> OpenCall:
    return OpenCall("call_1", Caller("key_a"), "responses", 1_795_435_200_000_000, 100, 0.0)


def test_work_has_fields_of_a_settled_entry_with_the_same_defaults():
    fields = Settled.__struct_fields__
    first = fields.index("workload")
    settled = begin().settled("answered", 200, perf_counter())

    assert fields[first : fields.index("cost_pico")] == Work.__struct_fields__[:-3]
    for name in Work.__struct_fields__[:-3]:
        assert getattr(settled, name) == getattr(Work(), name), name


def test_a_call_of_a_workload_passes_on_what_its_steps_have_learnt():
    call = begin()
    call.finish_reason = "stop"
    call.response_body = b"sealed"
    call.work = Work(workload="triage", prompt_version="1.2.0")
    call.work.verdict = "repaired"
    call.work.content_expires_us = 5

    settled = call.settled("answered", 200, perf_counter())

    assert (settled.workload, settled.prompt_version, settled.verdict) == ("triage", "1.2.0", "repaired")
    assert (settled.finish_reason, settled.response_body, settled.content_expires_us) == ("stop", b"sealed", 5)
    assert (settled.outcome, settled.status, settled.opened.call_id) == ("answered", 200, "call_1")


@pytest.mark.parametrize(
    ("outcome", "fields", "cost"),
    [
        ("answered", {}, -1),
        ("answered", {"model": ""}, 0),  # a stored response that is asked for again
        ("answered", {"finish_reason": "degraded"}, 0),
        ("answered", {"provider": "", "model": "", "attempts": 0}, 0),
        ("answered", {"cost_pico": 7, "price_version": "table-1"}, 7),
        ("answered", {"cost_pico": -1, "price_version": "table-1"}, -1),
        ("cancelled", {}, -1),
        ("cancelled", {"attempts": 0}, 0),
        ("failed", {"error_code": "upstream_timeout"}, -1),
        ("failed", {"error_code": "upstream_broken"}, -1),
        ("failed", {"error_code": "upstream_unreachable"}, 0),
        ("failed", {"error_code": "upstream_rate_limited"}, 0),
        ("failed", {"error_code": "upstream_unreachable", "cost_pico": -1}, -1),
        ("refused", {"attempts": 0}, 0),
    ],
)
def test_a_cost_is_zero_only_where_nothing_can_have_been_used(outcome, fields, cost):
    call = begin()
    for name, value in ({"provider": "stub", "model": "m", "attempts": 1} | fields).items():
        setattr(call, name, value)

    assert call.settled(outcome, 200, perf_counter()).cost_pico == cost
