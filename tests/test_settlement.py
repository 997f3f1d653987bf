from time import perf_counter

from headworks.calls import Caller, Settled
from headworks.settlement import OpenCall, Work


def begin() -> OpenCall:
    return OpenCall("call_1", Caller("key_a"), "responses", 1_795_435_200_000_000, 100, 0.0)


def test_work_has_fields_of_a_settled_entry_with_the_same_defaults():
    fields = Settled.__struct_fields__
    first = fields.index("workload")
    settled = begin().settled("answered", 200, perf_counter())

    assert fields[first : fields.index("cost_pico")] == Work.__struct_fields__
    for name in Work.__struct_fields__:
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
