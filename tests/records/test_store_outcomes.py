import itertools
import math
import statistics

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.calls import OutcomeReport
from headworks.records.stores import Batch, OutcomeSelection, Span, Wasted

OF_TRIAGE = {"workload": "triage", "prompt_version": "1.0.0"}
numbers = itertools.count()


def report(**fields) -> OutcomeReport:
    """A report of the key that the calls of these tests have."""
    basic = OutcomeReport(f"out_{next(numbers):09d}", 1000, "accepted", "boolean", "true", key_id="key_a", source="api")
    return msgspec.structs.replace(basic, **fields)


def of_call(store, n=1) -> list[tuple[str, str, str]]:
    found = store.outcomes_of(store.get(f"call_{n:06d}").seq)
    return [(one.name, one.source, one.value) for one in found]


def joined(store) -> list[int]:
    return [one.calls for one in store.outcomes(OutcomeSelection())]


def test_a_report_joins_its_call_whichever_came_first(store, calls):
    store.commit(Batch(outcomes=[report(call_id="call_000001")]))
    before = joined(store)
    store.commit(Batch(settled=[calls.settled(1), calls.settled(2)], outcomes=[report(call_id="call_000002")]))

    assert before == [0]
    assert joined(store) == [1, 1]
    assert of_call(store, 1) == of_call(store, 2) == [("accepted", "api", "true")]


@pytest.mark.parametrize("name", ["trace_id", "caller_key"])
def test_a_trace_or_a_callers_key_may_join_several_calls(store, calls, name):
    store.commit(
        Batch(
            settled=[calls.settled(1, **{name: "t"}), calls.settled(2, **{name: "t"}), calls.settled(3)],
            outcomes=[report(**{name: "t"})],
        )
    )

    assert joined(store) == [2]
    assert [of_call(store, n) != [] for n in (1, 2, 3)] == [True, True, False]


def test_the_latest_report_of_a_name_and_source_holds(store, calls):
    first, second = report(call_id="call_000001"), report(call_id="call_000001", reported_us=1001, value="false")
    other = report(call_id="call_000001", source="user")
    store.commit(Batch(settled=[calls.settled(1)], outcomes=[first, second, other]))
    store.commit(Batch(outcomes=[first]))

    assert of_call(store) == [("accepted", "api", "false"), ("accepted", "user", "true")]


def test_the_latest_holds_however_the_call_was_named(store, calls):
    store.commit(
        Batch(
            settled=[calls.settled(1, trace_id="t", caller_key="k")],
            outcomes=[
                report(trace_id="t", reported_us=3, value="1.0", kind="number"),
                report(call_id="call_000001", reported_us=2),
                report(caller_key="k", reported_us=1),
            ],
        )
    )

    assert of_call(store) == [("accepted", "api", "1.0")]
    assert [(tally.kind, tally.reports) for tally in store.tallies([], Span())] == [("number", 1)]


@pytest.fixture(scope="module")
def filling_store(new_store):
    """One store for all examples, each with calls of its own: making a database takes longer than all else."""
    store = new_store()
    yield store
    store.close()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from(["a", "b"]), st.integers(0, 3), st.booleans()), max_size=10
    ).flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(range(len(drawn)))))
)
def test_it_does_not_matter_in_which_order_and_how_often_reports_are_drained(filling_store, calls, drawn):
    given_reports, order = drawn
    store = filling_store
    held = []
    for arrange in (list, lambda made: [made[place] for place in order], lambda made: made[::-1] + made):
        known = 10 * (next(numbers) + 1)  # before its calls
        reports = [
            report(
                outcome_id=f"out_{known}_{place}",
                call_id=f"call_{known + n:06d}",
                name=name,
                reported_us=at,
                value=str(value).lower(),
            )
            for place, (n, name, at, value) in enumerate(given_reports)
        ]
        for one in arrange(reports):
            store.commit(Batch(outcomes=[one]))
        store.commit(Batch(settled=[calls.settled(known + n) for n in (1, 2, 3)]))
        held.append([of_call(store, known + n) for n in (1, 2, 3)])
    assert held[0] == held[1] == held[2]


def test_a_stranger_can_neither_report_on_a_call_nor_replace_what_others_say(store, calls):
    mine = calls.settled(1, caller_key="order-17", team="")
    teams = calls.settled(2, caller_key="order-18", key_id="key_x")
    store.commit(
        Batch(
            settled=[mine, teams],
            outcomes=[
                report(caller_key="order-17"),
                report(caller_key="order-17", key_id="key_stranger", reported_us=2000, value="false"),
                report(call_id="call_000001", key_id="key_stranger", team="sales", reported_us=2000, value="false"),
                report(caller_key="order-18", key_id="key_b", team="search"),
                report(caller_key="order-18", key_id="key_c", team="sales", reported_us=2000, value="false"),
            ],
        )
    )

    assert of_call(store, 1) == of_call(store, 2) == [("accepted", "api", "true")]
    assert sorted(joined(store)) == [0, 0, 0, 1, 1]


def test_an_operator_reports_on_any_call(store, calls):
    store.commit(Batch(settled=[calls.settled(1)], outcomes=[report(call_id="call_000001", key_id="", source="cli")]))

    assert of_call(store) == [("accepted", "cli", "true")]


def test_members_of_a_team_speak_with_one_voice(store, calls):
    store.commit(
        Batch(
            settled=[calls.settled(1)],
            outcomes=[
                report(call_id="call_000001", key_id="key_b", team="search"),
                report(call_id="call_000001", key_id="key_c", team="search", reported_us=2000, value="false"),
            ],
        )
    )

    assert of_call(store) == [("accepted", "api", "false")]
    assert len(joined(store)) == 1


def test_what_matches_nothing_is_kept_and_can_be_asked_for(store, calls):
    old, fresh, known = report(trace_id="x", reported_us=5), report(trace_id="y"), report(call_id="call_000001")
    store.commit(
        Batch(settled=[calls.settled(1)], outcomes=[old, fresh, msgspec.structs.replace(known, reported_us=5)])
    )

    unmatched = store.outcomes(OutcomeSelection(unmatched_before_us=500))

    assert [one.report for one in unmatched] == [old]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "321"),
        ({"name": "b"}, "2"),
        ({"source": "user"}, "3"),
        ({"since_us": 2}, "32"),
        ({"until_us": 2}, "1"),
        ({"limit": 1}, "3"),
        ({"name": "' OR 1=1 --"}, ""),
    ],
)
def test_reports_are_selected_the_latest_first(store, fields, expected):
    store.commit(
        Batch(
            outcomes=[
                report(trace_id="1", reported_us=1),
                report(trace_id="2", reported_us=2, name="b"),
                report(trace_id="3", reported_us=3, source="user"),
            ]
        )
    )

    assert "".join(one.report.trace_id for one in store.outcomes(OutcomeSelection(**fields))) == expected


def test_tallies_count_each_call_once_by_group(store, calls):
    new = OF_TRIAGE | {"prompt_version": "1.1.0"}
    store.commit(
        Batch(
            settled=[
                *(calls.settled(n, **OF_TRIAGE) for n in (1, 2)),
                *(calls.settled(n, trace_id="t", **new) for n in (3, 4)),
                calls.settled(5),
            ],
            outcomes=[
                report(call_id="call_000001"),
                report(call_id="call_000002", value="false"),
                report(trace_id="t"),
                report(call_id="call_000001", name="category", kind="label", value='"bug"'),
                report(call_id="call_000002", name="category", kind="label", value='"refund"'),
                report(call_id="call_000005", name="note", kind="text", value='"' + "x" * 500 + '"'),
            ],
        )
    )

    found = store.tallies(["workload", "prompt_version"], Span())
    assert [(*tally.group, tally.name, tally.label, tally.reports, tally.total) for tally in found] == [
        ("", "", "note", "", 1, 0),
        ("triage", "1.0.0", "accepted", "", 2, 1),
        ("triage", "1.0.0", "category", '"bug"', 1, 0),
        ("triage", "1.0.0", "category", '"refund"', 1, 0),
        ("triage", "1.1.0", "accepted", "", 2, 2),
    ]
    fourth = calls.opened(4).opened_us
    in_span = store.tallies([], Span(calls.opened(2).opened_us, fourth, "triage"))
    assert [(tally.name, tally.label, tally.reports) for tally in in_span] == [
        ("accepted", "", 2),
        ("category", '"refund"', 1),
    ]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=20))
def test_sums_and_squares_of_numbers_are_right(filling_store, calls, values):
    known = 100 * (next(numbers) + 1)  # before its calls
    name = f"measure_{known}"
    filling_store.commit(
        Batch(
            settled=[calls.settled(known + n) for n in range(len(values))],
            outcomes=[
                report(
                    call_id=f"call_{known + n:06d}", name=name, kind="number", value=msgspec.json.encode(value).decode()
                )
                for n, value in enumerate(values)
            ],
        )
    )
    (tally,) = [one for one in filling_store.tallies([], Span()) if one.name == name]

    scale = max(1.0, *map(abs, values))
    middle = statistics.fmean(values)
    assert tally.reports == len(values)
    assert tally.total == pytest.approx(math.fsum(values), abs=scale * 1e-9)
    assert tally.squares == pytest.approx(sum((value - middle) ** 2 for value in values), abs=scale**2 * 1e-9)


def test_figures_have_the_median_of_the_answered_calls(store, calls):
    times = [5, 1, 9, 2]
    store.commit(
        Batch(
            settled=[
                *(calls.settled(n, total_us=time, **OF_TRIAGE) for n, time in enumerate(times)),
                calls.settled(7, total_us=1_000_000, outcome="failed", **OF_TRIAGE),
                calls.settled(8, outcome="failed"),
            ]
        )
    )

    none, triage = store.figures(["workload"], Span())

    assert (triage.group, triage.calls, triage.answered, triage.median_us) == (("triage",), 5, 4, 3)
    assert (triage.input_tokens, triage.output_tokens) == (400, 80)
    assert (none.calls, none.answered, none.median_us) == (1, 0, 0)
    assert [one.calls for one in store.figures([], Span())] == [6]
    assert store.figures([], Span(workload="unknown")) == []


def test_lengths_are_counted_of_answers_and_waste_by_its_reason(store, calls):
    store.commit(
        Batch(
            settled=[
                calls.settled(1, output_tokens=20, **OF_TRIAGE),
                calls.settled(2, output_tokens=30, **OF_TRIAGE),
                calls.settled(3, output_tokens=5, finish_reason="length", **OF_TRIAGE),
                calls.settled(4, output_tokens=7, outcome="cancelled", **OF_TRIAGE),
                calls.settled(5, output_tokens=0, usage_source="none"),
                calls.settled(5, output_tokens=9),
            ]
        )
    )
    store.commit(Batch(settled=[calls.settled(6, output_tokens=31, opened_us=calls.opened().opened_us + 4 * 10**9)]))
    store.commit(Batch(settled=[calls.settled(7, output_tokens=31, **OF_TRIAGE), calls.settled(1, **OF_TRIAGE)]))

    lengths = store.output_lengths(Span(workload="triage"))
    hour = calls.opened().opened_us // 3_600_000_000 * 3600
    assert [(one.prompt_version, one.bucket, one.first_hour, one.calls, one.tokens) for one in lengths] == [
        ("1.0.0", 3, hour, 1, 5),
        ("1.0.0", 5, hour, 3, 81),
    ]
    assert store.wasted(Span()) == [
        Wasted("triage", "1.0.0", "cancelled", 1, 7),
        Wasted("triage", "1.0.0", "cut", 1, 5),
    ]
    assert [(one.output_tokens, one.calls) for one in store.output_counts(Span(workload="triage"))] == [
        (5, 1),
        (20, 1),
        (30, 1),
        (31, 1),
    ]
    assert [one.first_hour for one in store.output_lengths(Span(workload=""))] == [hour + 3600]
    assert store.output_lengths(Span(until_us=hour * 1_000_000)) == []


def test_a_count_of_a_provider_that_cannot_be_right_does_no_harm(store, calls):
    store.commit(Batch(settled=[calls.settled(1, output_tokens=2**64 - 1, finish_reason="length")]))

    assert store.output_lengths(Span())[0].tokens == store.wasted(Span())[0].tokens == 10**15
