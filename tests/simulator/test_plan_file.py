from pathlib import Path

import pytest

from headworks.errors import ConfigError
from headworks.simulator import Plan, load_plan, plan_from
from headworks.simulator.plan import BUILT_IN_MODELS, Case, Cut, LogNormal, Say
from headworks.simulator.plan_file import read_plan
from headworks.simulator.plan_source import plan_value

EXAMPLE = Path(__file__).parents[2] / "examples" / "first-light" / "simulator.yaml"


def problem_of(tmp_path, text):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_plan(path)
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    return problem


def test_an_empty_file_is_the_built_in_plan(tmp_path):
    (tmp_path / "plan.yaml").write_text("")
    assert load_plan(tmp_path / "plan.yaml") == Plan()


def test_models_are_changed_added_and_dropped(tmp_path):
    (tmp_path / "plan.yaml").write_text(
        "models:\n  gpt-6-luna:\n    limits: {rpm: 3}\n    latency: {token: {median_ms: 1}}\n"
        "  my-model: {tier: flagship}\n  gpt-image-1: null\n"
    )
    models = load_plan(tmp_path / "plan.yaml").models
    luna, built_in = models["gpt-6-luna"], BUILT_IN_MODELS["gpt-6-luna"]
    assert (luna.limits.rpm, luna.snapshot) == (3, built_in.snapshot)
    assert luna.latency.token == LogNormal(1, built_in.latency.token.sigma)
    assert luna.latency.first_token == built_in.latency.first_token
    assert models["my-model"].tier == "flagship"
    assert "gpt-image-1" not in models


def test_a_golden_set_is_read_from_beside_the_plan(tmp_path):
    (tmp_path / "golden.jsonl").write_text(
        '{"input": "a", "label": "x", "wrong": ["y"]}\n\n{"input": "b", "label": {"k": 1}}\n'
    )
    (tmp_path / "plan.yaml").write_text("rules:\n  - cases_file: golden.jsonl\n    answer_field: label\n")
    (rule,) = load_plan(tmp_path / "plan.yaml").rules
    assert rule.cases == (Case("a", "x", ("y",)), Case("b", Say(json={"k": 1})))


def test_a_plan_reads_back_from_its_own_data():
    plan = plan_from(
        {
            "seed": 7,
            "models": {"gpt-image-1": None, "x": {"limits": {"tpm": 5}}},
            "rules": [{"say": {"json": {"a": [1]}}, "wrong": ["b"]}, {"cases": [{"input": "i", "say": "s"}]}],
            "faults": [{"kind": "cut", "after_events": 2}, {"kind": "stall", "for_s": 3}],
        }
    )
    assert plan_from(plan_value(plan)) == plan
    assert plan.faults[0] == Cut(after_events=2)


def test_the_example_is_a_plan():
    assert load_plan(EXAMPLE).models


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("- 1", 0, "mapping"),
        ("seed: x", 1, "`seed`: Expected `int`, got `str`"),
        ("seed: 1\npace: -1", 2, "`pace`"),
        ("seed: 1\ncolour: red", 2, "`colour`: there is no such field; choices: `answer_tokens`, "),
        ("models:\n  m:\n    limits:\n      rpm: many", 4, "`models.m.limits.rpm`"),
        ("models: 3", 1, "`models`"),
        ("faults:\n  - kind: cut\n  - kind: gremlin", 3, "`faults[1].kind`"),
        ("rules:\n  - say: {}", 2, "`rules[0].say`: give exactly one"),
        ("seed: 1\nmodles:\n  a: {}", 2, "`modles`: there is no such field; did you mean `models`?"),
        (
            "models:\n  m:\n    limit:\n      rpm: 1",
            3,
            "`models.m.limit`: there is no such field; did you mean `limits`?",
        ),
        ("models: {m: {kind: tex}}", 1, "`models.m.kind`: there is no 'tex'; did you mean `text`?"),
        (
            "faults:\n  - kind: malformed\n    shape: x",
            3,
            "`faults[0].shape`: there is no 'x'; choices: `html`, `truncated`",
        ),
        (
            "faults:\n  - kind: cut\n    after_event: 1",
            3,
            "`faults[0].after_event`: there is no such field; did you mean `after_events`?",
        ),
        ("rules:\n  - when: {endpoint: chat}\n    say: x", 2, "choices: `audio`, `batches`, `chat.completions`"),
        (
            "rules:\n  - say: x\n  - when: {matches: '('}\n    say: x",
            3,
            "`rules[1].when.matches`: is not a regular expression",
        ),
        ("rules:\n  - cases_file: none.jsonl", 2, "none.jsonl cannot be read"),
        ("seed: [", 1, "expected"),
        ("a: b: c", 1, "not allowed"),
    ],
)
def test_a_problem_names_its_place_and_field(tmp_path, text, line, told):
    problem = problem_of(tmp_path, text)
    assert told in problem.message
    assert problem.line == line


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 1 is not a JSON object"),
        ('{"input": 1, "answer": "x"}', "`input` should be a text"),
        ('{"input": "x"}', "`answer` is missing"),
        ('{"input": "x", "answer": "y", "wrong": "z"}', "`wrong` should be a list"),
        ("", "is empty"),
    ],
)
def test_a_problem_in_a_golden_set_names_its_line(tmp_path, line, told):
    (tmp_path / "golden.jsonl").write_text(line + "\n")
    assert told in problem_of(tmp_path, "rules:\n  - cases_file: golden.jsonl").message


def test_a_file_that_is_not_there_is_a_problem(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file or directory$"):
        load_plan(tmp_path / "none.yaml")


def test_every_problem_is_named_in_the_order_of_the_file(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(
        "rules:\n  - say: {}\n  - when: {matches: '('}\n    say: x\n  - cases_file: none.jsonl\n"
        "faults:\n  - kind: bogus\n  - kind: error\n    status: 200\n"
        "models: {a: {tier: small}, b: {dimensions: 0}}\nseed: x\n"
    )

    with pytest.raises(ConfigError) as caught:
        load_plan(path)

    assert [problem.line for problem in caught.value.problems] == [2, 3, 5, 7, 9, 10, 10, 11]
    assert "Errno" not in str(caught.value)
    assert "no 'bogus'; choices: `bad_key`, `cut`, `error`, `failing`" in caught.value.problems[3].message


BOMB = "\n".join(
    f"  - &a{level} [{', '.join([f'*a{level - 1}' if level else 'x'] * 9)}]" for level in range(12)
)  # 9 to the power of 12 values, if all of them were written out


@pytest.mark.parametrize("field", ["rules", "models", "colours"])
def test_aliases_that_stand_for_ever_more_are_refused_without_writing_them_out(tmp_path, field):
    with pytest.raises(ConfigError) as refused:
        read_plan(f"{field}:\n{BOMB}\n", tmp_path / "plan.yaml")

    assert len(str(refused.value)) < 20_000


def test_what_is_nested_too_deep_is_said(tmp_path):
    with pytest.raises(ConfigError, match="is nested too deep"):
        read_plan("[" * 3_000, tmp_path / "plan.yaml")
