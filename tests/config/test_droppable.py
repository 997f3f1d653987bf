"""What configuration may list as droppable, and what it is told of the rest."""

import pytest

from headworks.config import load, load_workloads
from headworks.errors import ConfigError

PROJECT = "providers: {sim: {kind: simulator}}\ntiers: {nano: sim/gpt-6-luna}\n"
CONTRACT = "owner: o\ndescription: d\nladder: [nano]\n"


@pytest.fixture
def told(tmp_path):
    """The problems of a contract, and of a model, that list these."""

    def do(listed, more=""):
        folder = tmp_path / "workloads" / "triage"
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / "headworks.yaml").write_text(PROJECT)
        (folder / "workload.yaml").write_text(f"{CONTRACT}{more}droppable: [{listed}]\n")
        found = []
        try:
            load_workloads(load(tmp_path))
        except ConfigError as error:
            found += [one.message for one in error.problems]
        (tmp_path / "headworks.yaml").write_text(
            f"{PROJECT}models: {{m: {{provider: sim, model: gpt-6-luna, droppable: [{listed}]}}}}\n"
        )
        try:
            load(tmp_path)
        except ConfigError as error:
            found += [one.message for one in error.problems]
        return found

    return do


def test_fields_of_every_dialect_may_be_listed(told):
    assert told("seed, logprobs, reasoning.summary, top_k, generationConfig.topK, stop") == []


@pytest.mark.parametrize(
    ("listed", "why"),
    [
        ("messages", "`messages` is never left out: it is what is asked"),
        ("input", "`input` is never left out: it is what is asked"),
        ("tools", "`tools` is never left out: it says what the model may do"),
        ("tool_choice", "`tool_choice` is never left out: it says what the model may do"),
        ("text.format", "`text.format` is never left out: it says what kind of answer is wanted"),
        ("response_format", "`response_format` is never left out: it says what kind of answer is wanted"),
        ("stream", "`stream` is never left out: it says how, and how often, a call is answered"),
        ("n", "`n` is never left out: it says how, and how often, a call is answered"),
        ("model", "`model` is never left out: it says who is asked"),
        ("max_tokens", "`max_tokens` is never left out: it bounds what is spent"),
        ("safetySettings", "`safetySettings` is never left out: it is there for safety, or says where data may go"),
        ("sead", "`sead` is no field of a request that can be left out; did you mean `seed`?"),
    ],
)
def test_what_is_never_left_out_is_told_with_the_reason(told, listed, why):
    assert told(f"seed, {listed}") == [f"droppable[1]: {why}", f"models.m.droppable[1]: {why}"]


def test_stop_sequences_that_the_contract_sets_are_not_left_out(told):
    assert told("stop", "output: {stop: [END]}\n") == [
        "droppable[0]: `stop` is not left out where `output.stop` sets it"
    ]
