"""Hooks are asked about what asks models and is no call of one: a batch's lines, runs of evals, counts."""

import json

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headworks
from headworks.extending import HOOKS
from headworks.hook_checks import AskedLines
from headworks.records import Selection, open_store
from offering import forget, offer

SOURCE = """
from headworks.extending import CallRefused, Changes

SEEN = []


class Ceiling:
    def __init__(self, settings):
        self.does = settings["does"]

    def before(self, call):
        SEEN.append(call)
        if self.does == "refuse" and call.parameters.get("max_output_tokens", 0) > 40:
            raise CallRefused("too_long", "Ask for at most 40 tokens.")
        if self.does == "set":
            return Changes(parameters={"max_output_tokens": 40}, metadata={"desk": "north"})
        if self.does == "fail":
            raise RuntimeError("zebra")
        if self.does == "send":
            return Changes(target="elsewhere")
"""

CONFIG = """
version: 1
providers:
  sim: {{kind: simulator, pace: 0}}
models:
  nano: sim/gpt-6-luna
hooks:
  ceiling: {{use: ceiling, timeout_s: 30, {hook}}}
"""


@pytest.fixture
def acme(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    offer(folder, {HOOKS: {"ceiling": "Ceiling"}}, SOURCE)
    monkeypatch.syspath_prepend(folder)
    forget()
    import acme_offers

    yield acme_offers
    forget()


@pytest.fixture
def client(acme, tmp_path):
    """Makes the client of a gateway with this hook."""
    opened = []

    def make(does, more="", **places):
        hook = f"settings: {{does: {does}}}" + more
        (tmp_path / "headworks.yaml").write_text(CONFIG.format(hook=hook))
        opened.append(headworks.connect(tmp_path / "headworks.yaml"))
        return opened[-1].openai(max_retries=0)

    yield make
    for one in opened:
        one.close()


def line(number=1, url="/v1/responses", **body):
    body = {"model": "gpt-6-luna", "input": "Hello", **body}
    return json.dumps({"custom_id": f"c{number}", "method": "POST", "url": url, "body": body}) + "\n"


def batch(client, *lines):
    file = client.files.create(file=("lines.jsonl", "".join(lines).encode()), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")


def test_what_a_hook_refuses_a_call_it_refuses_a_line_of_a_batch(client, acme, tmp_path):
    asking = client("refuse")
    with pytest.raises(openai.PermissionDeniedError, match=r"at most 40 tokens\. \(This is about line 2 of") as refused:
        batch(asking, line(1, max_output_tokens=30), line(2, max_output_tokens=5000))

    assert refused.value.code == "too_long"
    assert asking.batches.list().data == []
    assert [(one.manner, one.endpoint, one.model) for one in acme.SEEN] == [("batch", "responses", "gpt-6-luna")] * 2
    assert "Hello" not in repr(acme.SEEN)


def test_a_batch_that_no_hook_minds_is_made(client, acme):
    made = batch(client("refuse"), *[line(number, input="x" * number, max_output_tokens=40) for number in range(50)])

    assert made.id
    (seen,) = acme.SEEN  # all are alike to a hook
    assert seen.parameters == {"max_output_tokens": 40}
    assert seen.targets == ("gpt-6-luna",)
    assert seen.request_bytes == len(line(49, input="x" * 49, max_output_tokens=40)) - 1


def test_a_line_that_a_hook_would_change_has_to_say_it_itself(client):
    asking = client("set")
    with pytest.raises(openai.PermissionDeniedError, match=r"`max_output_tokens`, `metadata` of line 1") as refused:
        batch(asking, line(max_output_tokens=50))
    assert refused.value.code == "hook_wants_change"

    assert batch(asking, line(max_output_tokens=40, metadata={"desk": "north", "ticket": "7"})).id


@pytest.mark.parametrize("does", ["fail", "send"])
def test_a_hook_that_fails_closes_the_door_for_batches_or_leaves_it_open(client, does):
    with pytest.raises(openai.APIStatusError) as refused:
        batch(client(does), line())
    assert (refused.value.status_code, refused.value.code) == (503, "hook_failed")

    assert batch(client(does, ", on_failure: open"), line()).id


@pytest.mark.parametrize(
    ("models", "is_asked"), [("[nano]", True), ("[sim/*]", True), ("['gpt-6-*']", True), ("[mini]", False)]
)
def test_a_hook_for_a_public_name_is_asked_about_lines_for_what_it_stands_for(client, acme, models, is_asked):
    batch(client("nothing", f", models: {models}"), line())

    assert bool(acme.SEEN) == is_asked


def test_a_hook_for_another_team_has_no_file_read(client, acme):
    assert batch(client("refuse", ", teams: [blue]"), "this is no line").id
    assert acme.SEEN == []


@pytest.mark.parametrize("lines", ["this is no line\n", '{"custom_id": "a"}\n', '{"body": []}\n'])
def test_lines_that_cannot_be_read_are_not_asked(client, lines):
    with pytest.raises(openai.PermissionDeniedError, match="line 1 is no line of a batch") as refused:
        batch(client("refuse"), lines)

    assert refused.value.code == "batch_lines_unknown"


@pytest.mark.parametrize("file_id", ["file-that-is-not-there", "../secrets", ""])
def test_a_file_that_cannot_be_had_makes_no_batch(client, file_id):
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client("refuse").batches.create(input_file_id=file_id, endpoint="/v1/responses", completion_window="24h")

    assert refused.value.code == "batch_lines_unknown"


def test_a_run_of_evals_is_asked_about_by_its_model_and_its_sampling(client, acme):
    asking = client("refuse")
    source = {"type": "responses", "model": "gpt-6-luna", "sampling_params": {"max_output_tokens": 5000}}
    with pytest.raises(openai.PermissionDeniedError, match="a run with `gpt-6-luna`"):
        asking.post("/evals", body={"data_source_config": {}, "testing_criteria": [source]}, cast_to=object)

    assert (acme.SEEN[0].manner, acme.SEEN[0].endpoint) == ("run", "evals")


def test_a_count_can_be_refused_and_is_not_changed(client, acme, tmp_path):
    counting = {"model": "nano", "messages": [{"role": "user", "content": "Hello"}]}
    told = client("set").post("/messages/count_tokens", body=counting, cast_to=object)
    assert told["input_tokens"] > 0
    assert acme.SEEN[-1].manner == "count"

    with pytest.raises(openai.PermissionDeniedError, match="at most 40 tokens"):
        client("refuse").post("/messages/count_tokens", body=counting | {"max_output_tokens": 50}, cast_to=object)
    with pytest.raises(openai.APIStatusError, match="ceiling"):
        client("fail").post("/responses/input_tokens", body={"model": "nano", "input": "Hello"}, cast_to=object)


def test_the_record_says_what_a_hook_minded(client, tmp_path):
    asking = client("set")
    with pytest.raises(openai.PermissionDeniedError):
        batch(asking, line())
    asking.close()
    headworks_of = headworks.connect(tmp_path / "headworks.yaml")
    headworks_of.close()
    store = open_store(tmp_path / ".headworks", "")
    try:
        courses = [one.course for one in store.select(Selection())]
    finally:
        store.close()

    assert "hook ceiling: wants `max_output_tokens`, `metadata`, refused" in courses


LINES = st.lists(
    st.builds(
        line,
        st.integers(0, 3),
        max_output_tokens=st.integers(1, 3),
        input=st.text(max_size=5),
        metadata=st.dictionaries(st.text(max_size=2), st.text(max_size=2), max_size=1),
    ),
    max_size=6,
)


@settings(max_examples=40)
@given(LINES, st.lists(st.integers(0, 600), max_size=6), st.booleans())
def test_in_whatever_pieces_a_file_comes_the_same_is_read(lines, cuts, ends_early):
    data = "".join(lines).encode()
    data = data[:-1] if ends_early else data
    whole, pieces = AskedLines(), AskedLines()
    whole.feed(data)
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        pieces.feed(data[start:end])

    assert pieces.lines() == whole.lines()
    assert pieces.fault == whole.fault == ""
    kinds = {json.dumps({**json.loads(one)["body"], "input": ""}) for one in lines}
    assert len(whole.lines()) == len(kinds)


def test_lines_that_all_differ_are_bounded(monkeypatch):
    monkeypatch.setattr("headworks.hook_checks.MOST_SHAPES", 2)
    read = AskedLines()
    read.feed("".join(line(metadata={"ticket": str(number)}) for number in range(3)).encode())
    read.lines()

    assert read.fault == "more than 2 of its lines differ in model, parameters or metadata, or too widely"


def test_what_is_kept_of_lines_is_bounded(monkeypatch):
    monkeypatch.setattr("headworks.hook_checks.MOST_KEPT_BYTES", 500)
    read = AskedLines()
    read.feed("".join(line(input="x" * 1000) for _ in range(3)).encode())
    assert read.fault == ""

    read.feed(line(metadata={"ticket": "x" * 500}).encode())
    assert "too widely" in read.fault
