"""The samples of docs/how-to/simulator.md run, and its plans are plans."""

import re
from pathlib import Path

import pytest

from headworks.simulator import load_plan
from headworks.simulator.plan import Fault

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "simulator.md").read_text()


def samples(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


PLANS = [text for text in samples("yaml") if "steps:" not in text]


@pytest.mark.parametrize("text", PLANS, ids=range(len(PLANS)))
def test_the_plans_of_the_page_are_plans(tmp_path, text):
    (tmp_path / "golden.jsonl").write_text('{"input": "a", "answer": "b"}\n')
    (tmp_path / "plan.yaml").write_text(text)
    load_plan(tmp_path / "plan.yaml")


def test_the_sample_without_a_socket_runs():
    (sample,) = [text for text in samples("python") if "Simulator(" in text]
    exec(compile(sample, "sample", "exec"), {})


def test_the_sample_for_ci_passes_against_a_running_simulator(running):
    (sample,) = [text for text in samples("python") if "def test_" in text]
    names = {}
    with running("--pace", "0") as address:
        exec(compile(sample.replace("http://127.0.0.1:4010", address), "sample", "exec"), names)
        names["test_we_retry_an_overloaded_provider"]()


def test_the_page_lists_every_kind_of_fault():
    listed = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert listed == {kind.__struct_config__.tag for kind in Fault.__args__}
