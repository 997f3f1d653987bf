"""Answers to calls that are like an earlier one, as a dialogue of callers, gateway and upstream."""

import json
import time

import pytest

from headworks.access import Grant
from headworks.cached_calls import Semantic
from headworks.calls import Caller, SettledFromCache
from headworks.embedding import load_local_model
from headworks.response_cache import MemoryStore, Neighbours, ResponseCache
from played_work import chat_answer, message_item, response_object, team

CACHE = "cache: {ttl_s: 60, semantic: {at_least: 0.8, over: ticket}}\n"
LAST = "cache: {ttl_s: 60, semantic: {at_least: 0.8}}\n"
ASKED, LIKE = "How do I reset my password?", "how can i reset my password"
PROMPT = """---
version: 1.2.0
variables:
  ticket: {type: string, trusted: true}
  plan: {type: string, trusted: true, default: free}
---
{% system %}
Route for {{ plan }}.
{% user %}
{{ ticket }}
"""


@pytest.fixture(scope="module")
def model():
    return load_local_model()


@pytest.fixture
def counted():
    return []


@pytest.fixture
def make(work, counted, model):
    def made(contract=CACHE, *, over="ticket", is_measured=True, **options):
        (work.folder / "golden.jsonl").write_text('{"id": "a"}\n')
        cache = ResponseCache("triage", MemoryStore(1 << 20, time.monotonic), None, time.time, counted.append)
        near = Neighbours(cache, model, 0.8, b"s" * 32, time.time)

        def semantic(compiled):
            return Semantic(near, over, compiled.prompt.hash if is_measured and compiled.prompt else "")

        return work.make(contract, cache=cache, cached=counted, semantic=semantic, **({"prompt": PROMPT} | options))

    return made


def missed(hall, work, answered):
    """Whether the call went up; it is answered."""
    if answered.status:
        return False
    work.answer(team("blue"))
    return True


def test_a_call_that_is_like_another_is_given_its_answer_and_told_so(hall, work, make, counted):
    make()
    first = work.chat(ASKED)
    work.answer(team("red"))
    second = work.chat(LIKE)

    assert second.body == first.body
    assert len(hall.upstream.flights) == 1
    assert second.headers["x-headworks-cache"] == "semantic"
    assert 0.8 <= float(second.headers["x-headworks-cache-similarity"]) < 1
    assert second.headers["x-headworks-verdict"] == "valid"
    entry = hall.entries()[-1]
    assert isinstance(entry, SettledFromCache)
    assert entry.settled.course.startswith("response cache: 0 s old, semantic, similarity 0.")
    assert [how for _, how, _ in counted] == ["miss", "semantic"]
    assert work.chat(ASKED).headers["x-headworks-cache"] == "hit"


@pytest.mark.parametrize(
    "other", ["How do I reset my router?", "Why did you not reset my password?", "Reset 2 passwords"]
)
def test_what_is_not_like_it_goes_up(hall, work, make, other):
    make()
    work.chat(ASKED)
    work.answer(team("red"))

    assert missed(hall, work, work.chat(other))


def test_everything_else_must_be_the_same(hall, work, make):
    make()
    work.chat(ASKED)
    work.answer(team("red"))
    variables = {"ticket": LIKE, "plan": "pro"}

    assert missed(hall, work, work.chat(LIKE, prompt={"variables": variables}))
    assert missed(hall, work, work.chat(LIKE, top_p=0.5))
    assert missed(hall, work, work.chat(LIKE, messages=[{"role": "user", "content": "And hurry"}]))
    assert not missed(hall, work, work.chat(LIKE))


@pytest.mark.parametrize(("one", "other", "shares"), [("u1", "u1", True), ("u1", "u2", False), ("", "", False)])
def test_where_each_end_user_is_alone_those_that_are_not_named_are_not_one(hall, work, make, one, other, shares):
    make(CACHE.replace("ttl_s", "scope: user, ttl_s"))
    work.chat(ASKED, **({"user": one} if one else {}))
    work.answer(team("red"))

    assert missed(hall, work, work.chat(LIKE, **({"user": other} if other else {}))) is not shares


@pytest.mark.parametrize(
    ("caller", "shares"), [(Caller("key_2", "bob", "search"), False), (Caller("key_1", "bob", "search"), True)]
)
def test_nothing_of_one_tenant_reaches_another(hall, work, make, caller, shares):
    make()
    hall.ring.grant = Grant(Caller("key_1", "ann", "search"))
    hall.ring.edition = object()
    work.chat(ASKED)
    work.answer(team("red"))
    hall.ring.grant = Grant(caller)
    hall.ring.edition = object()

    assert missed(hall, work, work.chat(LIKE)) is not shares


def test_the_last_message_is_compared_where_no_variable_is_named(hall, work, make):
    make(LAST, over="")
    before = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]

    def asked(text, *, history=before, **fields):
        messages = [*history, {"role": "user", "content": text}]
        return work.chat("x", messages=messages, **fields)

    asked(ASKED)
    work.answer(team("red"))

    assert missed(hall, work, asked(LIKE, history=before[:1]))
    assert missed(hall, work, asked([{"type": "text", "text": LIKE}, {"type": "text", "text": "!"}]))
    assert not missed(hall, work, asked([{"type": "text", "text": LIKE}])), "a text in one part is a text"
    assert not missed(hall, work, asked(LIKE))


def test_it_works_in_the_responses_api_and_without_a_prompt(hall, work, make):
    make(LAST, over="", prompt=None, schema=None)
    body = {"model": "triage", "input": ASKED}
    hall.ask("/v1/responses", body)
    work.answer(response_object(message_item("hi")))
    second = hall.ask("/v1/responses", body | {"input": [{"role": "user", "content": LIKE}]})

    assert second.headers["x-headworks-cache"] == "semantic"


def test_a_prompt_that_was_not_measured_gives_only_what_is_the_same(hall, work, make):
    make(is_measured=False)
    work.chat(ASKED)
    work.answer(team("red"))

    assert missed(hall, work, work.chat(LIKE))
    assert work.chat(ASKED).headers["x-headworks-cache"] == "hit"


def test_calls_with_tools_are_never_only_like_others(hall, work, make):
    make(schema=None, contract=CACHE + "caller_may_set: [tools]\n")
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    work.chat(ASKED, tools=tools)
    work.answer(chat_answer("red"))

    assert missed(hall, work, work.chat(LIKE, tools=tools))


def test_who_wants_no_older_answer_gets_none_and_is_remembered(hall, work, make):
    make()
    work.chat(ASKED)
    work.answer(team("red"))
    fresh = hall.ask(
        "/v1/chat/completions",
        {"model": "triage", "messages": [], "prompt": {"variables": {"ticket": LIKE}}},
        cache_control="no-cache",
    )
    assert missed(hall, work, fresh)
    assert json.loads(work.chat("how can I reset my password").body) == team("blue")


def test_calls_that_wait_for_one_that_is_answered_so_are_told_as_well(hall, work, make):
    make()
    work.chat(ASKED)
    work.answer(team("red"))
    hows = [work.chat(LIKE).headers["x-headworks-cache"] for _ in range(3)]

    assert hows == ["semantic"] * 3
