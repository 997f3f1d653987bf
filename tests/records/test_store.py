import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.calls import Caller
from headworks.records.stores import Batch, Bodies, Progress, ResponseOrigin, Selection


@pytest.fixture
def filled(store, calls):
    store.commit(
        Batch(
            settled=[
                calls.settled(1),
                calls.settled(2, key_id="key_b", owner="bob", team="", user="", endpoint="responses", status=404),
                calls.settled(3, outcome="failed", status=503, error_code="upstream_overloaded", input_tokens=0),
                calls.settled(4, outcome="cancelled", status=499, requested_model="sim/gpt-6-luna"),
                calls.settled(5, model="gpt-6-astra", served_model="gpt-6-astra-1", provider="other"),
            ]
        )
    )
    return store


def found(store, **fields) -> list[str]:
    return [record.call_id[-1] for record in store.select(Selection(**fields))]


def test_a_record_has_what_was_settled(store, calls):
    settled = calls.settled(7, is_streamed=True, cost_pico=1_234, price_version="table-1", service_tier="flex")
    store.commit(Batch(settled=[settled]))

    record = store.get("call_000007")

    for field in record.__struct_fields__:
        if field in ("seq", "cache_age_s", "cache_saved_pico", "extras"):
            continue
        origin = settled.opened if hasattr(settled.opened, field) else settled
        assert getattr(record, field) == getattr(origin, field), field


def test_a_call_that_comes_twice_is_there_and_counted_once(store, calls):
    first = store.commit(Batch(settled=[calls.settled(1), calls.settled(1)]))
    second = store.commit(Batch(settled=[calls.settled(1, status=500)]))

    assert (first.recorded, first.duplicates) == (1, 1)
    assert (second.recorded, second.duplicates) == (0, 1)
    assert store.get("call_000001").status == 200
    assert [total.calls for total in store.totals([], None, None)] == [1]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "54321"),
        ({"is_newest_first": False}, "12345"),
        ({"limit": 2}, "54"),
        ({"key_id": "key_b"}, "2"),
        ({"owner": "ann"}, "5431"),
        ({"team": "search"}, "5431"),
        ({"user": "u-1"}, "5431"),
        ({"endpoint": "responses"}, "2"),
        ({"model": "gpt-6-astra"}, "5"),
        ({"model": "gpt-6-astra-1"}, "5"),
        ({"model": "sim/*"}, "4"),
        ({"model": "GPT*"}, ""),
        ({"model": "[g]pt*"}, ""),
        ({"model": "gp?-6-luna"}, ""),
        ({"provider": "other"}, "5"),
        ({"statuses": (404, 499)}, "42"),
        ({"outcomes": ("failed", "cancelled")}, "43"),
        ({"outcomes": ("answered",)}, "521"),
        ({"error_code": "upstream_overloaded"}, "3"),
        ({"response_id": "resp_4"}, "4"),
        ({"min_tokens": 120}, "5421"),
        ({"min_tokens": 121}, ""),
        ({"after_seq": 3}, "45"),
        ({"owner": "ann", "outcomes": ("failed",)}, "3"),
        ({"teams": ("search", "nobody")}, "5431"),
        ({"teams": ("' OR 1=1 --",)}, ""),
        ({"teams": ()}, ""),
        ({"owner": "' OR 1=1 --"}, ""),
    ],
)
def test_every_filter_selects_what_it_says(filled, fields, expected):
    assert "".join(found(filled, **fields)) == expected


def test_pages_of_the_newest_calls_follow_one_another_without_gap_or_overlap(store, calls):
    at_once = [calls.settled(number) for number in range(1, 4)]
    moment = at_once[0].opened.opened_us
    same = [
        msgspec.structs.replace(one, opened=msgspec.structs.replace(one.opened, opened_us=moment)) for one in at_once
    ]
    store.commit(Batch(settled=[*same, calls.settled(4), calls.settled(5)]))

    seen, before = [], None
    while page := store.select(Selection(limit=2, before=before)):
        seen += [record.call_id[-1] for record in page]
        before = (page[-1].opened_us, page[-1].seq)

    assert seen == found(store)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"workload": "triage"}, "321"),
        ({"workload": "triage", "prompt_version": "1.1.0"}, "32"),
        ({"prompt_version": "1.0.0"}, "41"),
        ({"verdicts": ("invalid",)}, "3"),
        ({"verdicts": ("valid", "invalid")}, "32"),
        ({"workload": "triage", "verdicts": ("valid",)}, "2"),
        ({"workload": "none"}, ""),
    ],
)
def test_calls_are_selected_by_what_their_workload_made_of_them(store, calls, fields, expected):
    store.commit(
        Batch(
            settled=[
                calls.settled(1, workload="triage", prompt_version="1.0.0"),
                calls.settled(2, workload="triage", prompt_version="1.1.0", verdict="valid"),
                calls.settled(3, workload="triage", prompt_version="1.1.0", verdict="invalid", outcome="failed"),
                calls.settled(4, workload="invoices", prompt_version="1.0.0", verdict="repaired"),
                calls.settled(5),
            ]
        )
    )

    assert "".join(found(store, **fields)) == expected


def test_totals_are_by_workload_and_prompt_version(store, calls):
    store.commit(
        Batch(
            settled=[
                calls.settled(1, workload="triage", prompt_version="1.0.0"),
                calls.settled(2, workload="triage", prompt_version="1.1.0"),
                calls.settled(3, workload="triage", prompt_version="1.1.0"),
                calls.settled(4),
            ]
        )
    )

    assert [(total.group, total.calls) for total in store.totals(["workload", "prompt_version"], None, None)] == [
        (("triage", "1.1.0"), 2),
        (("", ""), 1),
        (("triage", "1.0.0"), 1),
    ]


def test_since_is_included_and_until_is_not(filled, calls):
    second, fourth = calls.opened(2).opened_us, calls.opened(4).opened_us

    assert found(filled, since_us=second, until_us=fourth) == ["3", "2"]


def test_a_call_is_found_by_the_beginning_of_its_id(filled):
    assert filled.call_ids("call_00000", 3) == ["call_000001", "call_000002", "call_000003"]
    assert filled.call_ids("call_000004", 3) == ["call_000004"]
    assert filled.call_ids("call%", 3) == []
    assert filled.get("call_9") is None


def test_bodies_are_kept_apart_and_only_where_there_are_any(store, calls):
    store.commit(Batch(settled=[calls.settled(1, request_body=b"{}", response_body=b"\xff"), calls.settled(2)]))

    assert store.bodies(store.get("call_000001").seq) == Bodies(b"{}", b"\xff")
    assert store.bodies(store.get("call_000002").seq) is None


def test_a_response_is_found_for_its_key_and_its_team_and_for_nobody_else(store, calls):
    store.commit(
        Batch(
            settled=[
                calls.settled(1, response_id="resp_x"),
                calls.settled(2, response_id="resp_y", key_id="key_b", team=""),
                calls.settled(3, response_id="", key_id="key_c", team=""),
            ]
        )
    )

    def sees(caller, response_id):
        return store.response_origin(response_id, caller) is not None

    assert sees(Caller("key_a", "", ""), "resp_x")
    assert sees(Caller("key_other", "", "search"), "resp_x")
    assert not sees(Caller("key_other", "", "sales"), "resp_x")
    assert not sees(Caller("key_other", "", ""), "resp_y")
    assert not sees(Caller("key_other", "ann", ""), "resp_x")
    assert not sees(Caller("key_c", "", ""), "")
    assert store.response_origin("resp_y", None) == ResponseOrigin("key_b", "", "sim")


def test_a_response_belongs_to_who_made_it_not_to_who_asked_for_it_later(store, calls):
    store.commit(
        Batch(
            settled=[
                calls.settled(1, response_id="resp_x"),
                calls.settled(2, response_id="resp_x", key_id="key_thief", team="", provider="elsewhere"),
            ]
        )
    )

    assert store.response_origin("resp_x", None) == ResponseOrigin("key_a", "search", "sim")


def test_what_a_dead_writer_had_open_is_lost_once(store, calls):
    store.commit(Batch(opened=[("w-1", calls.opened(1)), ("w-1", calls.opened(2)), ("w-2", calls.opened(3))]))
    store.commit(Batch(settled=[calls.settled(2)]))

    writers = store.open_writers()
    first = store.commit(Batch(ended_writers=["w-1"]))
    second = store.commit(Batch(ended_writers=["w-1"]))

    assert writers == {"w-1", "w-2"}
    assert (first.lost, second.lost) == (1, 0)
    lost = store.get("call_000001")
    assert (lost.outcome, lost.status, lost.error_code, lost.usage_source, lost.owner) == (
        "lost",
        0,
        "lost",
        "none",
        "ann",
    )
    assert store.get("call_000002").outcome == "answered"
    assert store.get("call_000003") is None
    assert store.open_writers() == {"w-2"}


def test_progress_is_kept_with_the_batch_and_forgotten_when_asked(store):
    store.commit(Batch(progress={"a": Progress(10), "b": Progress(20)}))
    store.commit(Batch(progress={"a": Progress(30, is_finished=True)}, forgotten=["b"]))

    assert store.progress() == {"a": Progress(30, is_finished=True)}


def test_totals_are_by_any_group_and_by_whole_hours(filled, calls):
    by_outcome = {total.group[0]: total for total in filled.totals(["outcome"], None, None)}
    hour_s = calls.opened(1).opened_us // 3_600_000_000 * 3600

    assert {name: total.calls for name, total in by_outcome.items()} == {"answered": 3, "failed": 1, "cancelled": 1}
    assert by_outcome["failed"].failures == 1
    assert by_outcome["answered"].input_tokens == 300
    assert by_outcome["answered"].first_tokens == 3
    assert [total.group for total in filled.totals(["hour", "provider"], None, None)] == [
        (hour_s, "sim"),
        (hour_s, "other"),
    ]
    assert filled.totals([], (hour_s + 3600) * 1_000_000, None) == []
    assert [total.calls for total in filled.totals([], (hour_s + 1800) * 1_000_000, None)] == [5]
    assert [total.calls for total in filled.totals([], None, (hour_s + 1) * 1_000_000)] == [5]
    assert filled.totals([], None, hour_s * 1_000_000) == []


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2**64 - 1), st.booleans()), max_size=12))
def test_rollups_always_say_what_the_rows_say(new_store, calls, drawn):
    store = new_store()
    for n, count, is_lost in drawn:
        settled = calls.settled(n, input_tokens=count, key_id=f"key_{n % 2}")
        if is_lost:
            store.commit(Batch(opened=[("w", settled.opened)], ended_writers=["w"]))
        else:
            store.commit(Batch(settled=[settled]))
    sums: dict[tuple[str, str], list[int]] = {}
    for record in store.select(Selection()):
        counted = sums.setdefault((record.key_id, record.outcome), [0, 0, 0])
        for place, value in enumerate((1, record.input_tokens, record.total_us)):
            counted[place] += value
    totals = {
        total.group: [total.calls, total.input_tokens, total.total_us]
        for total in store.totals(["key_id", "outcome"], None, None)
    }
    store.close()
    assert totals == sums


@pytest.mark.parametrize("count", [-1, 2**63, 2**64 - 1])
def test_figures_that_cannot_be_right_are_bounded_and_do_no_harm(store, calls, count):
    store.commit(Batch(settled=[calls.settled(1, input_tokens=count, total_us=count)]))

    record = store.get("call_000001")
    assert 0 <= record.input_tokens <= 10**15
    assert 0 <= record.total_us <= 10**15
