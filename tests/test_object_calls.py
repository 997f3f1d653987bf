"""Calls for what providers store: whose it is, where it goes, what is noted of it."""

import asyncio
import json

import msgspec
import pytest

from headworks.access import Grant
from headworks.batch_lines import ModelLines, read_models, write_models
from headworks.calls import Caller, Endpoint, Extras, Failure, FailureKind, Limits, ObjectNote, Settled
from headworks.catalogue import Period, Prices, Rates, Step, TargetPrice
from headworks.ownership import Shelf

FORM = (
    b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\n%b\r\n'
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n%b\r\n--b--\r\n'
)
MULTIPART = {"content_type": "multipart/form-data; boundary=b"}
PRICE = TargetPrice(
    Prices(
        periods=(Period(rates=Rates(input=1000, output=2000)),),
        tiers={"batch": (Period(rates=Rates(input=500, cached_input=50, output=1000)),)},
    ),
    "v1",
)
ERROR = {"error": {"message": "No.", "type": "invalid_request_error", "code": None, "param": None}}


class Store:
    """What the store knows of objects, as the test says."""

    def __init__(self):
        self.notes = {}
        self.asked = []
        self.mark = bytearray(1)

    async def look_up(self, object_id, waits):
        await asyncio.sleep(0)
        self.asked.append((object_id, waits))
        return self.notes.get(object_id)

    async def select(self, selection):
        await asyncio.sleep(0)
        found = [note for note in self.notes.values() if note.kind == selection.kind and not note.is_gone]
        found.sort(key=lambda note: (note.made_us, note.object_id), reverse=not selection.is_ascending)
        after = selection.after
        if after is not None:
            found = [
                note
                for note in found
                if ((note.made_us, note.object_id) > after) == selection.is_ascending
                and (note.made_us, note.object_id) != after
            ]
        return found[: selection.limit]

    def own(self, object_id, kind="file", provider="pooled:two", key_id="key_1", team="", **more):
        made_us = len(self.notes) + 1
        self.notes[object_id] = ObjectNote(object_id, kind, made_us, made_us, provider, key_id, team, **more)
        self.mark[0] = 1


@pytest.fixture
def store(hall):
    store = Store()
    hall.make(
        shelf=Shelf(store.look_up, store.select, store.mark),
        providers=("pooled", "stub"),
        price_of=lambda provider, model: PRICE,
    )
    return store


def ask(hall, path, body=None, method="POST", **more):
    return hall.ask(path, body, method, turns=6, **more)


def notes(hall):
    return [entry for entry in hall.entries() if isinstance(entry, ObjectNote)]


def records(hall):
    return [entry for entry in hall.entries() if isinstance(entry, Settled)]


def key(flight):
    (line,) = [line for line in flight.request.headers.split(b"\r\n") if line.startswith(b"authorization")]
    return line.removeprefix(b"authorization: Bearer key-of-").decode()


def test_what_is_made_is_noted_with_its_place_and_owner_before_the_caller_knows(hall, store):
    answered = ask(hall, "/v1/vector_stores", {"name": "x"}, x_headworks_provider="pooled:two")
    assert not answered.is_over
    hall.answer({"id": "vs_1", "object": "vector_store"})

    (note,) = notes(hall)
    assert (note.object_id, note.kind, note.provider) == ("vs_1", "vector_store", "pooled:two")
    assert (note.key_id, note.team) == ("key_1", "search")
    assert json.loads(answered.body) == {"id": "vs_1", "object": "vector_store"}
    assert answered.headers["x-headworks-provider"] == "pooled:two"
    assert store.mark[0]
    assert hall.settled.cost_pico == 0


def test_all_that_a_team_makes_goes_to_one_pool(hall, store):
    for _ in range(5):
        ask(hall, "/v1/conversations", {})
        hall.answer({"id": "conv_1"})

    assert len({key(flight) for flight in hall.upstream.flights}) == 1


@pytest.mark.parametrize("provider", ["nobody", "pooled:three", "only-chat", ""])
def test_a_place_that_does_not_exist_is_refused_with_those_that_do(hall, store, provider):
    answered = ask(hall, "/v1/conversations", {}, x_headworks_provider=provider)

    assert (answered.status, answered.error["code"]) == (400, "provider_not_found")
    assert "pooled:one, pooled:two, stub" in answered.error["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/files/file-1"),
        ("DELETE", "/v1/files/file-1"),
        ("GET", "/v1/files/file-1/content"),
    ],
)
def test_an_object_is_reached_through_its_pool_and_by_its_owners_only(hall, store, method, path):
    store.own("file-1")
    answered = ask(hall, path, method=method)
    assert key(hall.flight) == "two"
    assert hall.flight.request.line == f"{method} {path} HTTP/1.1\r\n".encode()
    hall.answer(b"{}")
    assert (answered.status, answered.body) == (200, b"{}")

    hall.ring.grant = Grant(Caller("key_2"))
    refused = ask(hall, path, method=method)
    assert (refused.status, refused.error["code"]) == (404, "file_not_found")


def test_an_id_of_another_kind_is_not_there(hall, store):
    store.own("file-1")

    assert ask(hall, "/v1/batches/file-1", method="GET").error["code"] == "batch_not_found"


@pytest.mark.parametrize("path", ["/v1/files/x/y", "/v1/files/../x", "/v1/uploads/u/x", "/v1/batches/b/delete"])
def test_paths_that_the_api_does_not_have_do_not_exist(hall, store, path):
    assert ask(hall, path, method="GET").status == 404


def test_a_deleted_object_is_gone(hall, store):
    store.own("file-1")
    ask(hall, "/v1/files/file-1", method="DELETE")
    hall.answer({"id": "file-1", "deleted": True})

    assert notes(hall)[-1].is_gone
    assert ask(hall, "/v1/files/file-1", method="GET").status == 404


def test_what_needs_no_body_is_made_without_one(hall, store):
    ask(hall, "/v1/conversations")
    hall.answer({"id": "conv_1"})

    assert notes(hall)[0].object_id == "conv_1"


def test_a_providers_refusal_is_passed_on_and_notes_nothing(hall, store):
    answered = ask(hall, "/v1/conversations", {})
    hall.answer(ERROR, 400)

    assert (answered.status, answered.error["message"]) == (400, "No.")
    assert notes(hall) == []
    assert (hall.settled.outcome, hall.settled.status) == ("failed", 400)


@pytest.mark.parametrize("failure", [FailureKind.BROKEN, FailureKind.UNREACHABLE, FailureKind.TIMEOUT])
def test_what_makes_something_is_not_tried_twice(hall, store, failure):
    hall.make(
        retries=3,
        shelf=Shelf(store.look_up, store.select, store.mark),
        providers=("pooled",),
    )
    answered = ask(hall, "/v1/conversations", {})
    hall.flight.sink.on_failure(Failure(failure, "pooled is away"))
    hall.turn()

    assert answered.status in (502, 504)
    assert len(hall.upstream.flights) == 1


def test_an_answer_without_an_id_is_not_passed_on_for_nobody_could_own_it(hall, store):
    answered = ask(hall, "/v1/conversations", {})
    hall.answer([])

    assert (answered.status, answered.error["code"]) == (502, "upstream_invalid")


def test_who_goes_away_leaves_nothing_under_way(hall, store):
    answered = ask(hall, "/v1/conversations", {})
    answered.running.cancel()
    hall.turn()

    assert hall.flight.is_cancelled
    assert hall.settled.outcome == "cancelled"


# -- uploads -----------------------------------------------------------------------------------------------------------


def test_an_upload_goes_up_byte_for_byte_and_its_purpose_and_models_are_noted(hall, store):
    line = b'{"custom_id":"1","method":"POST","url":"/v1/responses","body":{"model":"%b"}}\n'
    body = FORM % (b"batch", line % b"small" + line % b"large")
    answered = ask(hall, "/v1/files", body, **MULTIPART)
    assert b"".join(hall.flight.uploaded) == body
    assert hall.flight.upload_ends == [None]
    hall.answer({"id": "file-1"})

    asked = read_models(notes(hall)[0].models)
    assert (notes(hall)[0].label, [(one.model, one.lines, one.is_bounded) for one in asked]) == (
        "batch",
        [("small", 1, True), ("large", 1, True)],
    )
    assert answered.status == 200
    assert hall.settled.opened.request_bytes == len(body)


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data"])
def test_an_upload_that_is_no_form_is_refused(hall, store, kind):
    assert ask(hall, "/v1/files", b"{}", content_type=kind).status in (400, 415)
    assert not hall.upstream.flights


# -- batches -----------------------------------------------------------------------------------------------------------


def batch(status="completed", **more):
    return {
        "id": "batch_1",
        "status": status,
        "model": "m-2026",
        "created_at": 1_795_000_000,
        "output_file_id": "file-out",
        "error_file_id": None,
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 40},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 2},
        },
    } | more


def test_a_batch_that_has_ended_is_recorded_once_at_the_batch_price(hall, store):
    store.own("batch_1", "batch", key_id="key_9", team="search")
    for _ in range(2):
        ask(hall, "/v1/batches/batch_1", method="GET")
        hall.answer(batch())

    (record,) = [one for one in records(hall) if one.service_tier == "batch"]
    assert record.cost_pico == 60 * 500 + 40 * 50 + 7 * 1000
    assert (record.opened.key_id, record.opened.team, record.opened.owner) == ("key_9", "search", "")
    assert (record.input_tokens, record.cached_tokens, record.output_tokens) == (100, 40, 7)
    output = next(note for note in notes(hall) if note.object_id == "file-out")
    assert (output.kind, output.provider, output.key_id, output.team) == ("file", "pooled:two", "key_9", "search")


def test_the_id_of_a_batchs_record_is_the_same_whoever_writes_it(hall, store):
    ids = set()
    for _ in range(2):
        hall.make(
            shelf=Shelf(store.look_up, store.select, store.mark), providers=("pooled",), price_of=lambda *_: PRICE
        )
        store.own("batch_1", "batch")
        store.notes["batch_1"] = ObjectNote("batch_1", "batch", 5_000, 5_000, "pooled:two", "key_1")
        ask(hall, "/v1/batches/batch_1", method="GET")
        hall.answer(batch())
        ids |= {one.opened.call_id for one in records(hall) if one.service_tier == "batch"}

    assert len(ids) == 1


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        (batch(usage=None, output_file_id=None), -1),
        (batch("expired"), 39_000),
        (batch("failed", usage=None, request_counts={"total": 3, "completed": 0}), 0),
    ],
)
def test_what_a_batch_costs_is_what_it_says_it_used(hall, store, said, cost):
    store.own("batch_1", "batch")
    ask(hall, "/v1/batches/batch_1", method="GET")
    hall.answer(said)

    assert [one.cost_pico for one in records(hall) if one.service_tier == "batch"] == [cost]


OUTPUT = (
    b'{"response": {"status_code": 200, "body": {"model": "m", "usage": {"input_tokens": 100, "output_tokens": 7}}}}\n'
    b'{"response": {"status_code": 200, "body": {"model": "m", '
    b'"usage": {"prompt_tokens": 10, "completion_tokens": 1}}}}\n'
    b'{"response": {"status_code": 400, "body": {"error": {}}}}\n'
)


def test_a_batch_that_does_not_say_what_it_used_is_charged_by_the_lines_of_its_output(hall, store):
    store.own("batch_1", "batch")
    ask(hall, "/v1/batches/batch_1", method="GET")
    hall.answer(batch(usage=None))
    assert hall.flight.request.line.startswith(b"GET /v1/files/file-out/content ")
    hall.flight.sink.on_head(200, {})
    for start in range(0, len(OUTPUT), 50):
        hall.flight.sink.on_body(OUTPUT[start : start + 50])
    hall.flight.sink.on_end()

    (record,) = [one for one in records(hall) if one.service_tier == "batch"]
    assert (record.input_tokens, record.output_tokens, record.cost_pico) == (110, 8, 110 * 500 + 8 * 1000)


RATES = Rates(input=1000, output=2000, web_search=10**10, file_search=25 * 10**8)
SEARCHED = (
    b'{"response": {"status_code": 200, "body": {"model": "m", "usage": {"input_tokens": 100, "output_tokens": 7}, '
    b'"tool_usage": {"web_search": {"num_requests": 3}}, "output": [{"type": "file_search_call"}, {"type": "x"}]}}}\n'
)
RAN = SEARCHED.replace(b'"x"', b'"code_interpreter_call"')
RESPONSES = {"endpoint": "/v1/responses"}


@pytest.mark.parametrize(
    ("output", "cost"),
    [(SEARCHED, 100 * 500 + 7 * 1000 + 3 * 10**10 + 25 * 10**8), (RAN, -1)],
    ids=["searches", "code"],
)
def test_what_tools_did_for_the_lines_of_a_batch_is_charged_though_its_usage_says_nothing_of_it(
    hall, store, output, cost
):
    period = Period(rates=RATES)
    half = Period(rates=msgspec.structs.replace(RATES, input=500, output=1000))
    price = TargetPrice(Prices(periods=(period,), tiers={"batch": (half,)}), "v1")
    hall.make(shelf=Shelf(store.look_up, store.select, store.mark), providers=("pooled",), price_of=lambda *_: price)
    store.own("batch_1", "batch")
    ask(hall, "/v1/batches/batch_1", method="GET")
    hall.answer(batch(**RESPONSES))
    assert hall.flight.request.line.startswith(b"GET /v1/files/file-out/content ")
    hall.flight.sink.on_head(200, {})
    hall.flight.sink.on_body(output)
    hall.flight.sink.on_end()

    (record,) = [one for one in records(hall) if one.service_tier == "batch"]
    assert record.cost_pico == cost
    assert (record.extras.web_searches, record.extras.file_searches) == (3, 1)


@pytest.mark.parametrize(("hosted", "flights"), [(0, 1), (2, 2), (-1, 2)])
def test_the_output_of_a_batch_whose_lines_name_no_such_tool_is_not_read(hall, store, hosted, flights):
    store.own("batch_1", "batch", models=write_models([ModelLines("m", 2, 9, 9, 9, hosted)]))
    ask(hall, "/v1/batches/batch_1", method="GET")
    hall.answer(batch(**RESPONSES))

    assert len(hall.upstream.flights) == flights
    if flights > 1:
        hall.flight.sink.on_head(404, {})
        hall.flight.sink.on_end()


def test_a_batch_remembers_what_its_input_asks_for(hall, store):
    asked = write_models([ModelLines("m", 2, 9, 9, 9, 1)])
    store.own("file-1", "file", label="batch", models=asked)
    ask(hall, "/v1/batches", {"input_file_id": "file-1", "endpoint": "/v1/responses", "completion_window": "24h"})
    hall.answer({"id": "batch_9"})

    assert next(one.models for one in notes(hall) if one.object_id == "batch_9") == asked


def test_calls_that_together_are_long_are_not_charged_as_long_ones(hall, store):
    long = Period(rates=Rates(input=500, output=1000), steps=(Step(above=100, rates=Rates(input=1000, output=2000)),))
    stepped = TargetPrice(Prices(periods=(long,), tiers={"batch": (long,)}), "v1")
    hall.make(shelf=Shelf(store.look_up, store.select, store.mark), providers=("pooled",), price_of=lambda *_: stepped)
    store.own("batch_1", "batch")
    ask(hall, "/v1/batches/batch_1", method="GET")
    hall.answer(batch(usage={"input_tokens": 110, "output_tokens": 8}))
    hall.flight.sink.on_head(200, {})
    hall.flight.sink.on_body(OUTPUT)
    hall.flight.sink.on_end()

    assert [one.cost_pico for one in records(hall) if one.service_tier == "batch"] == [110 * 500 + 8 * 1000]


DRAWN = (
    b'{"response": {"status_code": 200, "body": {"created": 1, "data": [{"b64_json": "AA=="}], "usage": '
    b'{"input_tokens": 30, "input_tokens_details": {"text_tokens": 10, "image_tokens": 20}, "output_tokens": 400}}}}\n'
)


def test_images_of_a_batch_cost_what_images_cost_whatever_the_batch_says_of_its_tokens(hall, store):
    rates = Rates(input=5, image_input=8, output=10, image_output=32)
    price = TargetPrice(Prices(periods=(Period(rates=rates),), tiers={"batch": (Period(rates=rates),)}), "v1")
    hall.make(shelf=Shelf(store.look_up, store.select, store.mark), providers=("pooled",), price_of=lambda *_: price)
    store.own("batch_1", "batch")
    ask(hall, "/v1/batches/batch_1", method="GET")
    told = {"usage": {"input_tokens": 30, "output_tokens": 400}, "endpoint": "/v1/images/generations"}
    hall.answer(batch(**told))
    hall.flight.sink.on_head(200, {})
    hall.flight.sink.on_body(DRAWN)
    hall.flight.sink.on_end()

    (record,) = [one for one in records(hall) if one.service_tier == "batch"]
    assert record.cost_pico == 10 * 5 + 20 * 8 + 400 * 32
    assert record.extras == Extras(image_input_tokens=20, image_output_tokens=400)


@pytest.mark.parametrize(("status", "is_final"), [(503, False), (404, True)])
def test_an_output_that_cannot_be_had_is_asked_for_again_unless_it_is_gone(hall, store, status, is_final):
    store.own("batch_1", "batch")
    ask(hall, "/v1/batches/batch_1", method="GET")
    hall.answer(batch(usage=None))
    hall.flight.sink.on_head(status, {})
    hall.flight.sink.on_end()
    assert [one.cost_pico for one in records(hall) if one.service_tier == "batch"] == ([-1] if is_final else [])


def test_a_job_that_has_ended_costs_what_it_was_trained_with(hall, store):
    trained = TargetPrice(Prices(periods=(Period(rates=Rates(input=1, output=1, training=25)),)), "v1")
    hall.make(shelf=Shelf(store.look_up, store.select, store.mark), providers=("pooled",), price_of=lambda *_: trained)
    store.own("ftjob-1", "fine_tuning.job")
    for _ in range(2):
        ask(hall, "/v1/fine_tuning/jobs/ftjob-1", method="GET")
        hall.answer({"id": "ftjob-1", "status": "succeeded", "model": "m", "trained_tokens": 4000})
    (record,) = [one for one in records(hall) if one.finish_reason.startswith("job_")]
    assert (record.cost_pico, record.input_tokens, record.opened.endpoint) == (100_000, 0, "fine_tuning")


def test_without_a_batch_price_the_cost_is_not_known(hall, store):
    plain = TargetPrice(Prices(periods=(Period(rates=Rates(input=1000, output=2000)),)), "v1")
    hall.make(shelf=Shelf(store.look_up, store.select, store.mark), providers=("pooled",), price_of=lambda *_: plain)
    store.own("batch_1", "batch")
    ask(hall, "/v1/batches/batch_1", method="GET")
    hall.answer(batch())

    assert [one.cost_pico for one in records(hall) if one.service_tier == "batch"] == [-1]


def test_a_batch_under_way_is_not_charged(hall, store):
    store.own("batch_1", "batch")
    ask(hall, "/v1/batches/batch_1", method="GET")
    hall.answer(batch("in_progress"))

    assert len(records(hall)) == 1


def test_a_key_that_may_not_call_an_endpoint_has_no_batch_call_it(hall, store):
    hall.ring.grant = Grant(Caller("key_1"), endpoints=(Endpoint.BATCHES, Endpoint.CHAT))
    store.own("file-1", models="m")
    fields = {"input_file_id": "file-1", "endpoint": "/v1/responses", "completion_window": "24h"}
    refused = ask(hall, "/v1/batches", fields)

    assert (refused.status, refused.error["param"]) == (403, "endpoint")
    ask(hall, "/v1/batches", fields | {"endpoint": "/v1/chat/completions"})
    assert key(hall.flight) == "two"
    hall.answer({"id": "batch_1"})


@pytest.mark.parametrize(
    ("models", "code"),
    [("m", None), ("m\nother", "model_not_found"), ("?", "batch_models_unknown"), ("", "batch_models_unknown")],
)
def test_a_key_of_some_models_may_have_a_batch_ask_these(hall, store, models, code):
    hall.ring.grant = Grant(Caller("key_1"), models=("m",))
    store.own("file-1", models=models)
    answered = ask(hall, "/v1/batches", {"input_file_id": "file-1", "endpoint": "/v1/responses"})

    if code is None:
        hall.answer({"id": "batch_1"})
        assert answered.status == 200
    else:
        assert answered.error["code"] == code


# -- lists -------------------------------------------------------------------------------------------------------------


def test_a_page_asks_each_pool_for_what_lies_there_and_drops_what_is_gone(hall, store):
    store.own("file-1", provider="pooled:one")
    store.own("file-2")
    store.own("file-3")
    answered = ask(hall, "/v1/files", method="GET", query="limit=2")
    by_id = {flight.request.line.split(b" ")[1].rpartition(b"/")[2]: flight for flight in hall.upstream.flights}
    assert {name: key(flight) for name, flight in by_id.items()} == {
        b"file-1": "one",
        b"file-2": "two",
        b"file-3": "two",
    }
    by_id[b"file-2"].answer(ERROR, 404)
    by_id[b"file-3"].answer(b'{"id": "file-3",  "bytes": 1}')
    by_id[b"file-1"].answer({"id": "file-1"})
    hall.turn(9)

    page = json.loads(answered.body)
    assert b'{"id": "file-3",  "bytes": 1}' in answered.body
    assert [one["id"] for one in page["data"]] == ["file-3", "file-1"]
    assert (page["first_id"], page["last_id"], page["has_more"]) == ("file-3", "file-1", False)
    assert [note.object_id for note in notes(hall) if note.is_gone] == ["file-2"]


def test_a_pool_that_knows_nothing_of_a_page_does_not_end_everything(hall, store):
    store.own("file-1")
    answered = ask(hall, "/v1/files", method="GET")
    hall.answer(ERROR, 404)

    assert json.loads(answered.body)["data"] == []
    assert notes(hall) == []


def test_a_list_says_so_when_a_pool_cannot_be_asked(hall, store):
    store.own("file-1")
    answered = ask(hall, "/v1/files", method="GET")
    hall.flight.sink.on_failure(Failure(FailureKind.UNREACHABLE, "pooled:two is away"))
    hall.turn()

    assert (answered.status, answered.error["code"]) == (502, "upstream_unreachable")


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=²", "order=up", "after=a&before=b"])
def test_a_page_that_the_api_does_not_have_is_refused(hall, store, query):
    assert ask(hall, "/v1/files", method="GET", query=query).status == 400


# -- model calls -------------------------------------------------------------------------------------------------------


def call(hall, *file_ids, model="pooled/p", **more):
    parts = [{"type": "input_file", "file_id": one} for one in file_ids]
    return ask(hall, "/v1/responses", {"model": model, "input": [{"role": "user", "content": parts}]} | more)


def test_a_call_goes_where_its_file_lies_and_nowhere_else(hall, store):
    hall.make(retries=2, shelf=Shelf(store.look_up, store.select, store.mark), providers=("pooled",))
    store.own("file-1")
    answered = call(hall, "file-1")
    assert key(hall.flight) == "two"
    hall.answer({"error": {"message": "Bad key.", "code": "invalid_api_key"}}, 401)
    hall.turn(6)

    assert len(hall.upstream.flights) == 1
    assert answered.status == 502
    assert "lies at `pooled:two`, so it goes nowhere else" in answered.error["message"]


def test_a_call_to_a_model_elsewhere_is_refused(hall, store):
    store.own("file-1")

    assert call(hall, "file-1", model="nano").error["code"] == "model_elsewhere"
    store.own("file-2", provider="pooled:gone")
    assert call(hall, "file-2").error["code"] == "pool_not_configured"


def test_what_nobody_here_has_made_is_the_providers_to_judge_and_looked_up_once(hall, store):
    store.mark[0] = 1
    for _ in range(2):
        answered = call(hall, "file-x", "file-y")
        hall.answer({"id": "resp_1", "output": []})
        assert answered.status == 200

    waited = [object_id for object_id, waits in store.asked if waits]
    assert len(waited) == 1  # what another worker has made has come by then
    assert len(store.asked) == 4


def test_a_file_and_a_response_of_two_pools_do_not_go_together(hall, store):
    store.own("file-1")
    hall.own("resp_1", provider="pooled:one")

    refused = call(hall, "file-1", previous_response_id="resp_1")
    assert refused.error["code"] == "objects_in_different_pools"


def test_a_response_whose_pool_is_configured_no_more_is_not_gone_on_from_elsewhere(hall, store):
    hall.own("resp_1", provider="pooled:gone")
    answered = ask(hall, "/v1/responses", {"model": "pooled/p", "input": "x", "previous_response_id": "resp_1"})

    assert answered.error["code"] == "pool_not_configured"


def test_until_anything_was_made_no_call_is_looked_through(hall, store):
    call(hall, "file-x")
    hall.answer({"id": "resp_1", "output": []})

    assert store.asked == []


def test_limits_of_a_key_hold_for_objects(hall, store):
    hall.ring.grant = Grant(Caller("key_1"), limits=Limits(requests_per_minute=1))
    store.own("file-1")
    ask(hall, "/v1/files/file-1", method="GET")
    hall.answer({"id": "file-1"})
    waiting = ask(hall, "/v1/files/file-1", method="GET")

    assert len(hall.upstream.flights) == 1
    waiting.running.cancel()
    hall.turn()


def test_calls_for_objects_take_no_tokens_however_much_they_send(hall, store):
    hall.ring.grant = Grant(Caller("key_1"), limits=Limits(tokens_per_minute=50))
    for _ in range(3):
        ask(hall, "/v1/conversations", {"metadata": {"a": "x" * 10_000}})
        hall.answer({"id": "conv_1"})

    assert len(hall.upstream.flights) == 3


@pytest.mark.parametrize("path", ["/v1/evals", "/v1/evals/eval_1", "/v1/evals/eval_1/runs"])
def test_a_key_for_some_models_has_no_eval_ask_another(hall, store, path):
    store.own("eval_1", "eval")
    grader = {"type": "score_model", "name": "g", "model": "other", "input": []}
    source = {"type": "responses", "model": "m", "sampling_params": {"temperature": 0}}
    hall.ring.grant = Grant(Caller("key_1"), models=["m"])
    refused = ask(hall, path, {"data_source": source, "testing_criteria": [{"graders": {"a": grader}}]})
    assert (refused.status, refused.error["code"]) == (404, "model_not_found")
    assert hall.upstream.flights == []

    ask(hall, path, {"data_source": source, "testing_criteria": [{**grader, "model": "m"}]})
    assert len(hall.upstream.flights) == 1
    hall.answer({"id": "eval_2"})


def test_an_eval_that_names_more_models_than_are_looked_at_is_refused(hall, store):
    hall.ring.grant = Grant(Caller("key_1"), models=["m"])
    graders = [{"model": "m"}] * 101

    assert ask(hall, "/v1/evals", {"testing_criteria": graders}).error["code"] == "too_many_models"
