"""What the commands say of traffic, held against what the official client was told in `usage`."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from e2e_desk import Desk, cases, prompt_of, wait_for

NAME = "ticket-triage"
ECHO = {
    "workload.yaml": "owner: me\ndescription: Says it again.\nladder: [nano]\nretention: { content: full }\n",
    "prompt.md": """---
version: 1.0.0
variables:
  text: { type: string, max_length: 8000 }
---
{% developer %}
You say it again.
{% user %}
ECHO {{ text }}
{% input %}
""",
}
"""A workload whose answer is the text that it is given: of a length that a test chooses."""


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[openai.OpenAI]:
    for name in ("echo", "unkept"):
        folder = desk.folder / "workloads" / name
        folder.mkdir()
        for file, text in ECHO.items():
            (folder / file).write_text(text.replace("content: full", "content: full" if name == "echo" else "days: 1"))
    desk.edit(
        "simulator.yaml", "rules:\n", 'rules:\n  - when: { matches: "(?s)ECHO (?P<text>.*)" }\n    say: "{{text}}"\n'
    )
    for name in ("echo", NAME):
        desk.command("prompts", "publish", name)
    desk.start()
    with desk.client() as made:
        yield made


def say(client: openai.OpenAI, text: str, name: str = "echo") -> Any:
    answer = client.responses.create(prompt={"id": name, "variables": {"text": text}})
    assert answer.output_text == text
    return answer.usage


class Told:
    """What the client was told of its usage, added up. A mended answer's usage is its last turn's."""

    def __init__(self) -> None:
        self.calls = self.input_tokens = self.cached_tokens = self.output_tokens = 0

    def add(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> None:
        self.calls += 1
        self.input_tokens += input_tokens
        self.cached_tokens += cached_tokens
        self.output_tokens += output_tokens


@pytest.fixture(scope="module")
def told(client: openai.OpenAI) -> Told:
    """Of forty tickets, whole and streamed, in both dialects."""
    told = Told()
    for place, case in enumerate(cases(NAME)[:40]):
        prompt: Any = prompt_of(NAME, case)
        try:
            if place % 4 == 0:
                usage: Any = client.responses.create(prompt=prompt).usage
            elif place % 4 == 1:
                with client.responses.create(prompt=prompt, stream=True) as events:
                    usage = [event for event in events if event.type == "response.completed"][-1].response.usage
            elif place % 4 == 2:
                usage = client.chat.completions.create(model=NAME, messages=[], extra_body={"prompt": prompt}).usage
            else:
                options: Any = {"stream": True, "stream_options": {"include_usage": True}}
                chunks = client.chat.completions.create(
                    model=NAME, messages=[], extra_body={"prompt": prompt}, **options
                )
                usage = [chunk.usage for chunk in chunks if chunk.usage][-1]
        except openai.APIError:
            continue  # blocked in a stream: there is no usage to be told
        if usage is None:
            continue  # the static answer, which no model gave
        if place % 4 < 2:
            told.add(usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens)
        else:
            told.add(usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens)
    assert told.calls > 35
    return told


def test_the_sums_of_calls_and_their_economy_are_what_the_client_was_told(desk: Desk, told: Told) -> None:
    records = desk.told("calls", "--workload", NAME, "--limit", "100")
    answered = [one for one in records if one["outcome"] == "answered"]
    good = [one for one in answered if one["finish_reason"] != "degraded"]
    totals = {
        (one["workload"], one["outcome"]): one for one in desk.told("calls", "totals", "--by", "workload,outcome")
    }
    (economy,) = desk.told("calls", "economy", "--workload", NAME)
    (version,) = economy["versions"]

    assert len(records) == 40
    assert len(good) == told.calls
    assert sum(one["output_tokens"] - one["wasted_tokens"] for one in good) == told.output_tokens
    whole = [one for one in good if not one["repairs"]]
    assert len(whole) < told.calls, "some were mended"
    assert (version["prompt_version"], version["calls"]) == ("1.0.0", len(good))
    assert version["tokens"] == told.output_tokens
    paid = sum(one["output_tokens"] for one in records)
    thrown = {one["reason"]: one for one in economy["thrown"]}
    assert thrown["validation"]["tokens"] == sum(one["wasted_tokens"] for one in answered)
    assert paid == told.output_tokens + sum(one["tokens"] for one in thrown.values() if one["reason"] != "cut")
    for one in thrown.values():
        assert one["share"] == pytest.approx(one["tokens"] / paid)
    assert totals[NAME, "answered"]["calls"] == len(answered)
    assert totals[NAME, "answered"]["output_tokens"] == sum(one["output_tokens"] for one in answered)
    lengths = sorted(one["output_tokens"] - one["wasted_tokens"] for one in good)
    assert economy["saving"]["calls"] == len(good)
    assert economy["saving"]["max_tokens"] in lengths[-2:]


def test_the_plan_reckons_with_what_the_client_was_told(desk: Desk, told: Told) -> None:
    records = desk.told("calls", "--workload", NAME, "--limit", "100")
    plan = json.loads(desk.command("plan", NAME, "--json").stdout)
    decisions = {one["what"]: one for section in plan["sections"] for one in section["decisions"]}

    mean_input = sum(one["input_tokens"] for one in records) / 40
    mean_output = sum(one["output_tokens"] for one in records) / 40
    per_call = decisions["output tokens a month"]
    assert per_call["source"] == "traffic"
    assert per_call["reason"] == f"{mean_input:,.0f} input and {mean_output:,.0f} output tokens a call"
    assert (
        decisions["calls a month"]["value"] == "28.8 thousand"
    )  # forty in the hour that traffic is counted over at least
    assert mean_input * 40 >= told.input_tokens
    assert "40 recorded calls" in decisions["measured share"]["reason"]


def test_what_a_stop_sequence_and_a_maximum_would_save_is_told_from_real_answers(
    desk: Desk, client: openai.OpenAI
) -> None:
    told = [say(client, "one two three four END five six seven eight").output_tokens for _ in range(5)]
    told += [say(client, "one two three four").output_tokens for _ in range(5)]

    (found,) = desk.told(
        "calls", "economy", "--workload", "echo", "--stop", "END", "--stop", r"\n", "--max-tokens", "5"
    )

    stop, line = found["stops"]
    assert (stop["sequence"], stop["cut_calls"], stop["calls"]) == ("END", 5, 10)
    assert stop["share"] == pytest.approx(5 * 4 / sum(told), abs=0.02)
    assert (line["cut_calls"], line["share"]) == (0, 0.0)
    assert found["saving"]["share"] == pytest.approx(sum(max(0, one - 5) for one in told) / sum(told))


def test_without_kept_content_nobody_can_tell_what_a_stop_would_save(desk: Desk, client: openai.OpenAI) -> None:
    say(client, "one END two", name="unkept")

    said = desk.command("calls", "economy", "--workload", "unkept", "--stop", "END").stdout

    assert "nobody can tell what it would save, for no content is kept of these answers" in said


def growth(desk: Desk) -> list[str]:
    page = httpx2.get(f"{desk.running.process.address}/metrics").text
    return [line for line in page.splitlines() if line.startswith("headworks_output_growth_ratio{")]


def test_the_alarm_when_answers_grow_is_in_the_metrics_and_once_in_the_log(desk: Desk, client: openai.OpenAI) -> None:
    for _ in range(100):
        say(client, "one two three four five six seven eight nine ten")
    desk.edit("workloads/echo/prompt.md", "again.", "again, and at length.")
    desk.command("prompts", "bump", "echo")
    desk.command("prompts", "publish", "echo")
    desk.reload()
    for _ in range(100):
        last = say(client, " ".join(["one two three four five six seven eight nine ten"] * 3))
    desk.told("calls", "economy")  # what it drains need not be waited for

    desk.stop()  # a control plane looks when it starts, and then once a minute
    desk.start()
    (line,) = wait_for(lambda: growth(desk))
    said = desk.running.process.said
    (alarm,) = wait_for(lambda: [line for line in said if "longer than those of 1.0.0" in line])
    ratio = float(line.split()[-1])

    assert line.startswith('headworks_output_growth_ratio{workload="echo",prompt_version="1.1.0"} ')
    assert 2 < ratio < 5
    assert last.output_tokens >= 30
    assert alarm.startswith("headworks: echo: answers of prompt version 1.1.0 are ")
    (economy,) = desk.told("calls", "economy", "--workload", "echo")
    assert economy["growth"][0]["factor"] == pytest.approx(ratio, abs=0.001)
