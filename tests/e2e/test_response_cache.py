"""Answers that are given again, as the official client sees them, by two workers that share a file."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from e2e_processes import Gateway

CONFIG = "providers: {sim: {kind: simulator}}\nmodels: {small: sim/gpt-6-luna}\n"
CONTRACT = "owner: o\ndescription: d\nladder: [small]\ncache: {store: sqlite, ttl_s: 600}\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("answers")
    work = folder / "workloads" / "reply"
    work.mkdir(parents=True)
    (work / "workload.yaml").write_text(CONTRACT)
    running = Gateway(folder, CONFIG, "--workers", "2")
    yield running
    assert running.process.stop() == 0, running.process.said


def client(gateway: Gateway, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=gateway.base_url, api_key=key, max_retries=0)


def workers_of(ids: list[str]) -> set[str]:
    """The parts of call ids that are each a process's own."""
    return {one.removeprefix("call_")[11:-6] for one in ids}


def test_answers_come_again_from_either_worker_and_never_for_another_key(gateway: Gateway) -> None:
    words = [{"role": "user", "content": "Say something about parcels."}]
    texts, hows, ids = [], [], []
    while len(workers_of(ids)) < 2 or hows[-3:] != ["hit"] * 3:
        assert len(ids) < 300, "one worker takes every connection, or nothing is given again"
        with client(gateway, gateway.key) as caller:  # a connection of its own, so that either worker may have it
            raw = caller.chat.completions.with_raw_response.create(model="reply", messages=words)  # type: ignore[arg-type]
        texts.append(raw.parse().choices[0].message.content)
        hows.append(raw.headers["x-headworks-cache"])
        ids.append(raw.headers["x-headworks-call-id"])
    # The other worker may ask before the file has the answer; from then on every call gets the same.
    misses = hows.index("hit")
    assert hows == ["miss"] * misses + ["hit"] * (len(hows) - misses)
    assert len(set(texts[misses:])) == 1
    assert texts[misses] in texts[:misses]
    record = gateway.record(ids[-1])
    assert (record.cost_pico, record.attempts, record.provider) == (0, 0, "")
    assert record.cache_age_s is not None
    assert record.cache_saved_pico == gateway.record(ids[0]).cost_pico

    with client(gateway, gateway.new_key("other")) as stranger:
        raw = stranger.chat.completions.with_raw_response.create(model="reply", messages=words)  # type: ignore[arg-type]
    assert raw.headers["x-headworks-cache"] == "miss"
    assert "response cache: " in gateway.command("calls", "savings").stdout
    assert "reply" in gateway.command("cache", "stats").stdout
    assert b"parcels" not in (gateway.folder / ".headworks" / "response-cache.db").read_bytes()


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_a_stream_comes_again_as_it_was(gateway: Gateway, endpoint: str) -> None:
    def stream(caller: openai.OpenAI) -> tuple[str, list[str]]:
        if endpoint == "chat":
            words = [{"role": "user", "content": "Stream something."}]
            raw = caller.chat.completions.with_streaming_response.create(model="reply", messages=words, stream=True)  # type: ignore[call-overload]
        else:
            raw = caller.responses.with_streaming_response.create(model="reply", input="Stream something.", stream=True)
        with raw as answer:
            return answer.headers["x-headworks-cache"], [line for line in answer.iter_lines() if line]

    with client(gateway, gateway.key) as caller:
        streams = [stream(caller)]
        while streams[-1][0] != "hit":
            assert len(streams) < 100, "nothing is given again"
            streams.append(stream(caller))
        again = streams[-1]
        assert again[1] in [[line for line in lines if not line.startswith(": ")] for _, lines in streams[:-1]]
        if endpoint == "responses":
            with caller.responses.create(model="reply", input="Stream something.", stream=True) as events:
                assert [event.type for event in events][-1] == "response.completed"


def test_a_whole_response_comes_again_and_a_caller_may_do_without(gateway: Gateway) -> None:
    with client(gateway, gateway.key) as caller:

        def call(**headers: str) -> tuple[str, str]:
            raw = caller.responses.with_raw_response.create(model="reply", input="Hello.", extra_headers=headers)
            return raw.headers["x-headworks-cache"], raw.parse().output_text

        calls = [call()]
        while calls[-1][0] != "hit":
            assert len(calls) < 100, "nothing is given again"
            calls.append(call())
        assert calls[-1][1] in [text for how, text in calls if how == "miss"]
        assert call(**{"cache-control": "no-cache"})[0] == "bypass"
