"""Traces: read without their content, kept within bounds and apart by key, and put in order."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import Refusal
from headworks.tracing import Ingested, Span, Trace, TraceBook, read_traces, tree_of
from headworks.tracing.reading import MOST_ITEMS

TRACE = {"object": "trace", "id": "trace_1", "workflow_name": "Support", "group_id": "g", "metadata": {"a": "secret"}}
SPAN = {
    "object": "trace.span",
    "id": "span_1",
    "trace_id": "trace_1",
    "parent_id": None,
    "started_at": "2026-11-26T03:00:00.000001+00:00",
    "ended_at": "2026-11-26T03:00:01Z",
    "span_data": {"type": "function", "name": "look", "input": "secret", "output": "secret", "mcp_data": None},
    "error": {"message": "secret", "data": None},
}


def body(*items):
    return json.dumps({"data": items}).encode()


def span(span_id, parent_id="", started_us=0, trace_id="trace_1", response_id=""):
    return Span(trace_id, span_id, parent_id, "agent", span_id, started_us, started_us + 1, response_id, False)


@pytest.fixture
def book(tmp_path):
    book = TraceBook(tmp_path / "traces.sqlite")
    yield book
    book.close()


def test_names_times_and_ids_are_read_and_no_content():
    read = read_traces(body(TRACE, SPAN))

    assert read.traces == [Trace("trace_1", "Support", "g")]
    (one,) = read.spans
    assert (one.kind, one.name, one.parent_id, one.has_failed) == ("function", "look", "", True)
    assert one.ended_us - one.started_us == 999_999
    assert "secret" not in repr(read)


def test_a_response_is_named_by_its_id():
    data = {"type": "response", "response_id": "resp_1", "usage": {"input_tokens": 5}}
    (one,) = read_traces(body(SPAN | {"span_data": data, "error": None})).spans

    assert (one.response_id, one.has_failed) == ("resp_1", False)


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        (b"{", 400, "not valid JSON"),
        (b"{}", 400, "'data'"),
        (body({"object": "other", "id": "x"}), 400, "data[0].object"),
        (body(TRACE, SPAN | {"trace_id": None}), 400, "data[1].trace_id"),
        (body(SPAN | {"id": "a b"}), 400, "data[0].id"),
        (body(SPAN | {"started_at": "yesterday, secret"}), 400, "data[0].started_at"),
        (body(SPAN | {"span_data": "secret"}), 400, "Invalid value"),
        (body(*[TRACE] * (MOST_ITEMS + 1)), 400, "several bodies"),
        (b" " * ((8 << 20) + 1), 413, "8 MiB"),
    ],
)
def test_what_cannot_be_read_is_refused_without_being_repeated(sent, status, says):
    with pytest.raises(Refusal) as refused:
        read_traces(sent)

    assert refused.value.status == status
    assert says in refused.value.message
    assert "secret" not in refused.value.message


def test_what_was_kept_is_found_again(book):
    sent = Ingested([Trace("trace_1", "Support", "g")], [span("b", "a", 2), span("a", started_us=1)])
    book.add(sent, "key_1", now_us=10)
    book.add(sent, "key_1", now_us=11)

    assert book.recent(5) == [("key_1", sent.traces[0])]
    ((key_id, trace, spans),) = book.find("trace_1")
    assert (key_id, trace) == ("key_1", sent.traces[0])
    assert [one.span_id for one in spans] == ["a", "b"]
    assert book.find("trace_2") == []


def test_two_keys_do_not_touch_each_other_s_traces(book):
    book.add(Ingested([Trace("trace_1", "mine", "")], [span("a")]), "key_1", now_us=10)
    book.add(Ingested([Trace("trace_1", "theirs", "")], [span("a", "x")]), "key_2", now_us=11)

    found = {
        key_id: (trace.workflow, [one.parent_id for one in spans]) for key_id, trace, spans in book.find("trace_1")
    }
    assert found == {"key_1": ("mine", [""]), "key_2": ("theirs", ["x"])}


def test_old_ones_go_by_age_and_by_number(book):
    book.add(Ingested([Trace("trace_1", "old", "")], [span("a")]), "k", now_us=10)
    book.add(
        Ingested([Trace("trace_2", "new", "")], [span("b", trace_id="trace_2")]), "k", now_us=20, forget_before_us=15
    )
    assert [trace.workflow for _, trace in book.recent(9)] == ["new"]
    assert book.find("trace_1") == []

    many = [span(f"s{number}", trace_id="trace_3") for number in range(9)]
    book.add(Ingested([], many), "k", now_us=30, most_spans=4)
    ((_, trace, spans),) = book.find("trace_3")
    assert trace is None
    assert [one.span_id for one in spans] == ["s5", "s6", "s7", "s8"]


def test_the_tree_has_parents_before_their_children():
    branches = tree_of([span("c", "a", 3), span("a", started_us=1), span("d", "gone", 9), span("b", "c", 4)])

    assert [(one.depth, one.span.span_id) for one in branches] == [(0, "a"), (1, "c"), (2, "b"), (0, "d")]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 5)), max_size=12))
def test_whatever_comes_each_span_stands_in_the_tree_once(drawn):
    spans = list({name: span(str(name), str(parent), at) for name, parent, at in drawn}.values())

    assert sorted(one.span.span_id for one in tree_of(spans)) == sorted(one.span_id for one in spans)
