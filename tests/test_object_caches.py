"""Caches of Google's: made where their model is, seen by whoever made them, named by calls that go there."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.access import Grant
from headworks.calls import Caller, Endpoint, ObjectNote, Settled
from headworks.exchange import Timeouts
from headworks.object_caches import read_cache_page, shown_cache, write_cache_page
from headworks.ownership import Shelf
from headworks.providers import ProviderSettings, VertexProvider
from headworks.routing import Health, Reach
from headworks.stations import NO_PRICE, Station
from test_object_calls import Store

PATH = "/v1beta/cachedContents"
NAME = "cachedContents/c1"
CONTENTS = [{"role": "user", "parts": [{"text": "A long book."}]}]
MADE = {"name": NAME, "model": "models/p", "usageMetadata": {"totalTokenCount": 5000}}


@pytest.fixture
def store(hall):
    store = Store()
    hall.make(shelf=Shelf(store.look_up, store.select, store.mark), providers=("pooled", "stub"))
    return store


def ask(hall, path=PATH, body=None, method="POST", **more):
    return hall.ask(path, body, method, turns=6, **more)


def notes(hall):
    return [entry for entry in hall.entries() if isinstance(entry, ObjectNote)]


def key(flight):
    return flight.request.headers.partition(b"key-of-")[2].split(b"\r\n")[0].decode()


def cache_of(store, name=NAME, **more):
    store.own(name, kind="cached_content", **more)


def test_a_cache_is_made_where_its_model_is_and_noted_before_the_caller_knows(hall, store):
    body = {"model": "models/pooled/p", "contents": CONTENTS, "ttl": "300s"}
    answered = ask(hall, body=body, x_headworks_provider="pooled:two")
    assert hall.flight.request.line == b"POST /v1/cachedContents HTTP/1.1\r\n"
    assert (hall.flight.body, key(hall.flight)) == (body | {"model": "models/p"}, "two")
    assert not answered.is_over
    hall.answer(MADE)

    (note,) = notes(hall)
    assert (note.object_id, note.kind, note.provider, note.key_id) == (NAME, "cached_content", "pooled:two", "key_1")
    assert (answered.status, json.loads(answered.body)) == (200, MADE)


def test_nobody_knows_what_a_cache_costs_and_the_record_says_so(hall, store):
    ask(hall, body={"model": "pooled/p", "contents": CONTENTS})
    hall.answer(MADE)

    (settled,) = [entry for entry in hall.entries() if isinstance(entry, Settled)]
    assert (settled.cost_pico, settled.input_tokens, settled.opened.model) == (-1, 5000, "p")
    assert (settled.opened.endpoint, settled.opened.requested_model) == ("cached_contents", "pooled/p")


def test_all_that_a_team_makes_goes_to_one_pool(hall, store):
    for number in range(4):
        ask(hall, body={"model": "pooled/p", "contents": CONTENTS})
        hall.answer(MADE | {"name": f"cachedContents/c{number}"})

    assert len({key(flight) for flight in hall.upstream.flights}) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"contents": CONTENTS}, 400),
        ({"model": 3}, 400),
        ({"model": "nobody"}, 404),
        ({"model": "bridged"}, 400),
        (b"{", 400),
    ],
)
def test_a_cache_of_no_model_that_could_have_one_is_refused_in_googles_words(hall, store, body, status):
    answered = ask(hall, body=body)

    assert (answered.status, answered.error["code"], hall.upstream.flights) == (status, status, [])
    assert answered.error["status"] in ("INVALID_ARGUMENT", "NOT_FOUND")


def test_a_place_where_the_model_is_not_is_refused_with_those_where_it_is(hall, store):
    answered = ask(hall, body={"model": "pooled/p", "contents": []}, x_headworks_provider="stub")

    assert (answered.status, "pooled:one, pooled:two" in answered.error["message"]) == (400, True)


def test_who_may_not_use_a_model_may_not_have_it_cached(hall, store):
    hall.ring.grant = Grant(Caller("key_1"), models=("nano",))
    assert ask(hall, body={"model": "pooled/p", "contents": CONTENTS}).status == 404
    assert hall.upstream.flights == []


def test_what_could_not_be_made_is_told_as_it_came_and_not_noted(hall, store):
    answered = ask(hall, body={"model": "pooled/p", "contents": CONTENTS})
    error = {"error": {"code": 400, "message": "Cached content is too small.", "status": "INVALID_ARGUMENT"}}
    hall.answer(error, 400)

    assert (answered.status, json.loads(answered.body), notes(hall)) == (400, error, [])


@pytest.mark.parametrize(
    ("method", "body", "query"),
    [("GET", None, ""), ("PATCH", {"ttl": "600s"}, "updateMask=ttl"), ("DELETE", None, "")],
)
@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_one_of_them_is_asked_for_where_it_lies(hall, store, version, method, body, query):
    cache_of(store)
    answered = ask(hall, f"/{version}/{NAME}", body, method, query=query)
    question = f"?{query}" if query else ""
    assert hall.flight.request.line == f"{method} /v1/{NAME}{question} HTTP/1.1\r\n".encode()
    assert key(hall.flight) == "two"
    hall.answer(MADE if method != "DELETE" else {})

    assert answered.status == 200
    assert [note.is_gone for note in notes(hall)] == ([True] if method == "DELETE" else [])


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_somebody_elses_is_not_there(hall, store, method):
    cache_of(store, key_id="key_2", team="other")
    answered = ask(hall, f"/v1beta/{NAME}", {} if method == "PATCH" else None, method)

    assert (answered.status, answered.error["status"], hall.upstream.flights) == (404, "NOT_FOUND", [])


def test_a_team_shares_what_its_keys_make(hall, store):
    cache_of(store, key_id="key_2", team="search")
    ask(hall, f"/v1beta/{NAME}", None, "GET")
    hall.answer(MADE)
    assert key(hall.flight) == "two"


def test_a_list_has_the_callers_own_page_by_page(hall, store):
    for number in range(3):
        cache_of(store, f"cachedContents/c{number}")

    answered = ask(hall, body=None, method="GET", query="pageSize=2")
    for flight in hall.upstream.flights[:3]:
        name = flight.request.line.split()[1].removeprefix(b"/v1/").decode()
        flight.answer({"name": name})
        hall.turn()
    page = json.loads(answered.body)
    assert [one["name"] for one in page["cachedContents"]] == ["cachedContents/c2", "cachedContents/c1"]
    assert page["nextPageToken"] == "cachedContents/c1"

    answered = ask(hall, body=None, method="GET", query=f"pageToken={page['nextPageToken']}")
    hall.answer({"name": "cachedContents/c0"})
    assert json.loads(answered.body) == {"cachedContents": [{"name": "cachedContents/c0"}]}


def test_one_that_has_expired_is_in_no_list(hall, store):
    cache_of(store, "cachedContents/old")
    cache_of(store, "cachedContents/new")
    answered = ask(hall, body=None, method="GET")
    gone = {"error": {"code": 403, "message": "CachedContent not found", "status": "PERMISSION_DENIED"}}
    for flight in hall.upstream.flights:
        is_old = b"old" in flight.request.line
        flight.answer(gone if is_old else {"name": "cachedContents/new"}, 403 if is_old else 200)
        hall.turn()

    assert json.loads(answered.body) == {"cachedContents": [{"name": "cachedContents/new"}]}
    assert [(note.object_id, note.is_gone) for note in notes(hall)] == [("cachedContents/old", True)]


@pytest.mark.parametrize("field", ["cachedContent", "cached_content"])
def test_a_call_that_names_one_goes_to_the_pool_that_has_it(hall, store, field):
    cache_of(store)
    hall.ask("/v1beta/models/pooled/p:generateContent", {"contents": CONTENTS, field: NAME}, turns=8)

    assert (key(hall.flight), hall.flight.body[field]) == ("two", NAME)
    hall.answer({"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}]})


@pytest.mark.parametrize("field", ["cachedContent", "cached_content", "c\\u0061chedContent"])
def test_a_call_that_names_somebody_elses_goes_nowhere(hall, store, field):
    cache_of(store, key_id="key_2", team="other")
    body = f'{{"contents": [], "{field}": "{NAME}"}}'.encode()
    answered = hall.ask("/v1beta/models/pooled/p:generateContent", body, turns=8)

    assert (answered.status, answered.error["status"], hall.upstream.flights) == (404, "NOT_FOUND", [])


@pytest.mark.parametrize("size", ["x", "-1", "1001", "²"])
def test_a_page_of_no_size_is_refused(hall, store, size):
    assert ask(hall, body=None, method="GET", query=f"pageSize={size}").status == 400


@given(st.lists(st.integers(0, 9), max_size=5), st.booleans())
def test_a_page_says_where_the_next_begins(numbers, has_more):
    found = [(f"cachedContents/{number}", b'{"name":"%d"}' % number) for number in numbers]
    page = json.loads(write_cache_page(found, has_more=has_more and bool(found)))

    assert [one["name"] for one in page.get("cachedContents", [])] == [str(number) for number in numbers]
    token = page.get("nextPageToken", "")
    assert token == (found[-1][0] if found and has_more else "")
    assert read_cache_page(f"pageToken={token}").after == token


PARENT = "projects/p-1/locations/eu"
AT_VERTEX = {"name": f"projects/4711/locations/eu/{NAME}", "model": f"{PARENT}/publishers/google/models/gemini-v"}


@pytest.fixture
def vertex(hall, store):
    """The gateway with a model at Vertex AI."""
    provider = VertexProvider(ProviderSettings("vertex", f"/v1/{PARENT}", "ya29.t"))
    station = Station(provider, hall.upstream, Timeouts(), NO_PRICE, Health(lambda most: 0.0))
    speaks = frozenset({Endpoint.GENERATE_CONTENT, Endpoint.CACHED_CONTENTS})
    reach = Reach("vertex", (("", lambda model: station),), speaks, ("gemini-v", "endpoints/7"))
    hall.make(shelf=Shelf(store.look_up, store.select, store.mark), providers=("vertex",), more_reaches=(reach,))
    return hall


def test_a_cache_at_vertex_ai_is_made_by_its_names_and_known_by_the_callers(vertex, store):
    answered = ask(vertex, body={"model": "models/vertex/gemini-v", "contents": CONTENTS})
    assert vertex.flight.request.line == f"POST /v1/{PARENT}/cachedContents HTTP/1.1\r\n".encode()
    assert vertex.flight.body["model"] == f"{PARENT}/publishers/google/models/gemini-v"
    vertex.answer(AT_VERTEX)

    assert json.loads(answered.body) == {"name": NAME, "model": "models/gemini-v"}
    assert [note.object_id for note in notes(vertex)] == [NAME]


def test_a_tuned_models_cache_is_made_for_its_endpoint(vertex, store):
    ask(vertex, body={"model": "vertex/endpoints/7", "contents": CONTENTS})
    assert vertex.flight.body["model"] == f"{PARENT}/endpoints/7"
    vertex.answer(AT_VERTEX)


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PATCH", {"ttl": "600s"}), ("DELETE", None)])
def test_one_at_vertex_ai_is_asked_for_by_the_callers_name(vertex, store, method, body):
    cache_of(store, provider="vertex")
    answered = ask(vertex, f"/v1beta/{NAME}", body, method)
    assert vertex.flight.request.line == f"{method} /v1/{PARENT}/{NAME} HTTP/1.1\r\n".encode()
    vertex.answer(AT_VERTEX if method != "DELETE" else {})
    assert json.loads(answered.body) == ({"name": NAME, "model": "models/gemini-v"} if method != "DELETE" else {})


def test_a_list_has_those_of_vertex_ai_by_the_callers_names(vertex, store):
    cache_of(store, provider="vertex")
    answered = ask(vertex, body=None, method="GET")
    vertex.answer(AT_VERTEX)
    assert json.loads(answered.body) == {"cachedContents": [{"name": NAME, "model": "models/gemini-v"}]}


@pytest.mark.parametrize("field", ["cachedContent", "cached_content", "c\\u0061chedContent"])
def test_a_call_at_vertex_ai_names_a_cache_in_full(vertex, store, field):
    cache_of(store, provider="vertex")
    body = f'{{"contents": [], "{field}": "{NAME}"}}'.encode()
    vertex.ask("/v1beta/models/vertex/gemini-v:generateContent", body, turns=8)
    named = "cached_content" if field == "cached_content" else "cachedContent"
    assert vertex.flight.body[named] == f"{PARENT}/{NAME}"
    vertex.answer({"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}]})


def test_what_a_cache_costs_that_is_kept_for_longer_is_not_known_either(hall, store):
    cache_of(store)
    ask(hall, f"/v1beta/{NAME}", {"ttl": "600s"}, "PATCH")
    hall.answer(MADE)
    (settled,) = [entry for entry in hall.entries() if isinstance(entry, Settled)]
    assert settled.cost_pico == -1


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_to_look_at_a_cache_or_to_end_it_costs_nothing(hall, store, method):
    cache_of(store)
    ask(hall, f"/v1beta/{NAME}", None, method)
    hall.answer(MADE)
    (settled,) = [entry for entry in hall.entries() if isinstance(entry, Settled)]
    assert settled.cost_pico == 0


@given(st.binary(max_size=60))
def test_what_is_no_cache_is_shown_as_it_is(body):
    assert shown_cache(body, PARENT) == body
    assert shown_cache(body, "") is body
