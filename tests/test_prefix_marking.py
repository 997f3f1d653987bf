"""The end of a prompt's unchanging prefix, marked in the request for the cache that holds what is marked."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Endpoint
from headworks.catalogue import CacheFacts, Model, TargetPrice
from headworks.composing import PromptMessage, place_messages
from headworks.prefix_marking import prefix_end
from headworks.prompts import parse

MARK = {"mode": "explicit"}
NEW = Model(name="m", cache=CacheFacts(minimum_tokens=1024, ttl_s=1800, bills_writes=True))
OLD = Model(name="m", cache=CacheFacts(minimum_tokens=1024, ttl_s=300))


def prompt_of(body: str, setting: str | None = "auto"):
    cache = "" if setting is None else f"cache: {{breakpoint: {setting}}}\n"
    variables = "variables: {ticket: {type: string}}\n"
    return parse(f"---\nversion: 1.0.0\n{variables}{cache}---\n{body}", name="triage", file="prompt.md")


RULES = "{% developer %}\nSort tickets. \u00e9\n{% user %}\n"


@pytest.fixture
def at(work):
    """Makes the workload with one target, and calls it; returns the conversation that went up."""

    def do(body, setting="auto", *, speaks=tuple(Endpoint), model=NEW, contract="", keyed=True):
        hall = work.hall
        # Anthropic's provider knows no `prompt_cache_key`.
        hall.price, hall.caches_by_key = TargetPrice(None, "", model), keyed and Endpoint.MESSAGES not in speaks[:1]
        cache = "" if setting is None else f"cache: {{breakpoint: {setting}}}\n"
        variables = "variables: {ticket: {type: string}}\n"
        work.make(contract, schema=None, prompt=f"---\nversion: 1.0.0\n{variables}{cache}---\n{body}", speaks=speaks)
        answered = work.chat()
        sent = hall.flight.body
        answered.running.cancel()
        return sent

    return do


def test_anthropic_gets_the_mark_at_the_end_of_the_static_messages(at):
    sent = at(RULES + "{{ ticket | fence }}", speaks=[Endpoint.MESSAGES])
    assert sent["system"] == [{"type": "text", "text": "Sort tickets. \u00e9", "cache_control": {"type": "ephemeral"}}]
    assert json.dumps(sent).count("cache_control") == 1


def test_within_a_message_the_mark_stands_where_the_first_variable_begins(at):
    sent = at(RULES + "These are the teams.\nTicket: {{ ticket | fence }}", speaks=[Endpoint.MESSAGES])
    first, second = sent["messages"][0]["content"]
    assert (first["text"], first["cache_control"]) == ("These are the teams.\nTicket: ", {"type": "ephemeral"})
    assert "cache_control" not in second
    assert "cache_control" not in sent["system"][0]


def test_openai_s_newer_models_get_their_own_mark_and_older_ones_none(at):
    sent = at(RULES + "{{ ticket | fence }}")
    assert sent["messages"][0] == {
        "role": "system",
        "content": [{"type": "text", "text": "Sort tickets. \u00e9", "prompt_cache_breakpoint": MARK}],
    }
    assert at(RULES + "{{ ticket | fence }}", model=OLD)["messages"][0]["content"] == "Sort tickets. \u00e9"


@pytest.mark.parametrize(("model", "keyed"), [(None, True), (NEW, False)])
def test_who_may_not_know_the_mark_gets_none(at, model, keyed):
    assert "breakpoint" not in json.dumps(at(RULES + "{{ ticket | fence }}", model=model, keyed=keyed))


def test_what_is_off_is_never_marked(at):
    sent = at(RULES + "{{ ticket | fence }}", "off", speaks=[Endpoint.MESSAGES])
    assert "cache_control" not in json.dumps(sent)


@pytest.mark.parametrize(
    ("words", "calls_per_day", "is_marked"), [(2000, 10_000, True), (20, 10_000, False), (2000, 1, False)]
)
def test_what_is_left_out_is_marked_where_it_pays(at, words, calls_per_day, is_marked):
    rules = "{% developer %}\n" + "Sort tickets. " * words + "\n{% user %}\n{{ ticket | fence }}"
    sent = at(rules, None, contract=f"volume: {{calls_per_day: {calls_per_day}}}\n", speaks=[Endpoint.MESSAGES])
    assert ("cache_control" in json.dumps(sent)) is is_marked


def test_a_prompt_without_a_prefix_has_nothing_to_mark():
    assert prefix_end(None, 1000) is None
    assert prefix_end(prompt_of("{% user %}\n{{ ticket | fence }}"), 1000) is None
    assert prefix_end(prompt_of("{% input %}\n{% user %}\nEnd. {{ ticket | fence }}"), 1000) is None


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="{}%#"), min_size=1).filter(
    lambda text: not text.isspace()
)


@given(texts, st.text(max_size=30), st.sampled_from([Endpoint.RESPONSES, Endpoint.CHAT]), st.booleans())
def test_whatever_the_texts_are_the_marked_request_says_the_same(static, value, endpoint, is_whole):
    body = f"{{% developer %}}\n{static}\n{{% user %}}\n{'' if is_whole else 'T: '}{{{{ ticket | fence }}}}"
    prompt = prompt_of(body)
    rendered = prompt.render({"ticket": value}, marker="0" * 16)
    messages = [PromptMessage(message.role, message.text) for message in rendered.messages]
    fields = place_messages({}, endpoint, messages, rendered.input_at, ())
    end = prefix_end(prompt, 1000)
    marked = end.mark(fields, endpoint)
    content = "input" if endpoint is Endpoint.RESPONSES else "messages"
    before, after = json.loads(bytes(fields[content])), json.loads(bytes(marked[content]))
    assert bytes(marked[content]).count(b"prompt_cache_breakpoint") == 1
    for one, other in zip(before, after, strict=True):
        parts = other["content"]
        said = parts if isinstance(parts, str) else "".join(part["text"] for part in parts)
        assert (one["role"], one["content"]) == (other["role"], said)


def test_where_the_prefix_is_not_found_the_request_stays_as_it_is():
    end = prefix_end(prompt_of(RULES + "{{ ticket | fence }}"), 1000)
    assert end is not None
    for raw in (b'"text"', b'[{"role":"developer","content":"Sort [NAME_1]."}]'):
        fields = {"input": raw}
        assert end.mark(fields, Endpoint.RESPONSES) is fields
