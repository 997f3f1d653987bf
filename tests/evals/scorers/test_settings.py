import pytest

from headworks.errors import CommandError, ConfigError
from headworks.evals.scorers import (
    Calibration,
    EvalSettings,
    Means,
    build_scorer,
    calibration_key,
    judge_of,
    parse_settings,
    read_settings,
    scorer_hash,
)


@pytest.fixture
def parse(tmp_path):
    return lambda text: parse_settings(text, file="evals.yaml", folder=tmp_path)


def problems(parse, text):
    with pytest.raises(ConfigError) as raised:
        parse(text)
    return [str(problem) for problem in raised.value.problems]


def test_scorers_are_named_or_have_settings(parse):
    found = parse("scorers:\n  - label\n  - fields: {at_least: 0.9, fields: {total: {weight: 3}}}\n    weight: 2\n")

    assert [one.kind for one in found.scorers] == ["label", "fields"]
    assert found.scorers[1].weight == 2
    assert found.scorers[1].fields.fields["total"].weight == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scorers: [lable]", "evals.yaml:1:11: scorers[0]: is no scorer without settings; did you mean `label`?"),
        ("scorers: [judge]", "evals.yaml:1:11: scorers[0]: is no scorer without settings; it needs settings"),
        (
            "scorers:\n  - label: {}\n    exact: {}",
            "evals.yaml:2:5: scorers[0]: expected one kind of scorer, got 2",
        ),
        (
            "scorers:\n  - regex: {patterns: ['(?=a)']}",
            (
                "evals.yaml:2:24: scorers[0].regex.patterns[0]: is no regular expression that can be matched in linear "
                "time: do without look-around and back-references"
            ),
        ),
        (
            "scorers:\n  - function: {call: own.py:f}",
            "evals.yaml:2:22: scorers[0].function.call: there is no such file beside this one",
        ),
        ("scorers:\n  - set: {at_least: 2}", "evals.yaml:2:21: scorers[0].set.at_least: expected at most 1"),
        (
            "scorers:\n  - judge: {model: nano, rubric: r.md}",
            "evals.yaml:2:20: scorers[0].judge.model: expected text like ^[^/]+/.+$",
        ),
        ("scorer: []", "evals.yaml:1:1: `scorer` is not a field; did you mean `scorers`?"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_column(parse, text, message):
    assert message in problems(parse, text)


def test_without_a_file_there_are_defaults(tmp_path):
    assert read_settings(tmp_path) == EvalSettings()
    (tmp_path / "evals.yaml").write_text("timeout_s: 5\n")
    assert read_settings(tmp_path).timeout_s == 5


async def never(*_):
    raise AssertionError("is not asked")


ALL = """
scorers:
  - exact
  - label: {aliases: {a: [b]}}
  - number: {absolute: 1}
  - regex: {patterns: [a]}
  - set
  - list
  - fields
  - schema
  - rules
  - tool_calls
  - embedding: {model: emb}
  - judge: {model: sim/j, rubric: r.md}
  - function: {call: "own.py:f"}
  - command: {run: [./check]}
  - label: {}
    field: team
  - label: {}
    field: team
    gates: false
"""


def test_every_kind_is_built(parse, tmp_path, judged):
    (tmp_path / "r.md").write_text("Be kind.")
    (tmp_path / "own.py").write_text("")
    means = Means(check_schema=lambda text: "", run_rules=never, ask=never, embed=never)
    scorer = build_scorer(parse(ALL), tmp_path, means, expects=True)

    names = [one["name"] for one in scorer.identity["all"]]
    assert names[:4] == ["exact", "label", "number", "regex"]
    assert names[-2:] == ["label team", "label team 2"]
    assert [one["gates"] for one in scorer.identity["all"]][-1] is False


def test_what_this_run_does_not_have_is_said(parse, tmp_path):
    with pytest.raises(CommandError, match="asks for the scorer `schema`, and the workload has no schema"):
        build_scorer(parse("scorers: [schema]"), tmp_path, Means(), expects=True)
    with pytest.raises(CommandError, match="nothing says what a right answer is"):
        build_scorer(EvalSettings(), tmp_path, Means(), expects=False)


def test_the_default_is_what_cases_expect_else_the_contract(tmp_path):
    means = Means(check_schema=lambda text: "", schema_hash="h")

    assert build_scorer(EvalSettings(), tmp_path, means, expects=True).identity["all"][0]["name"] == "expected"
    assert build_scorer(EvalSettings(), tmp_path, means, expects=False).identity["all"][0]["name"] == "schema"


def test_a_judge_gates_once_its_calibration_reaches_the_bar(parse, tmp_path):
    (tmp_path / "r.md").write_text("Be kind.")
    settings = parse("scorers:\n  - judge: {model: sim/j, rubric: r.md, bar: 0.9}")
    key = calibration_key(judge_of(settings.scorers[0].judge, tmp_path, never, may_gate=False))
    good = Means(ask=never, calibrations={key: Calibration(50, 48, 50, 47)})

    assert build_scorer(settings, tmp_path, Means(ask=never), expects=True).may_gate is False
    assert build_scorer(settings, tmp_path, good, expects=True).may_gate is True


def test_another_setting_is_another_scorer(parse, tmp_path):
    one = build_scorer(parse("scorers: [{number: {absolute: 1}}]"), tmp_path, Means(), expects=True)
    other = build_scorer(parse("scorers: [{number: {absolute: 2}}]"), tmp_path, Means(), expects=True)

    assert scorer_hash(one) != scorer_hash(other)


def test_embeddings_are_the_local_models_unless_another_is_named(parse, tmp_path, judged):
    from headworks.cli.eval_scoring import _load_local

    means = Means(load_local=_load_local)
    scorer = build_scorer(parse("scorers: [{embedding: {at_least: 0.9}}]"), tmp_path, means, expects=True)

    assert judged(scorer, "Refund the whole order", "refund the whole order please").is_acceptable
    assert not judged(scorer, "Close the account", "refund the whole order please").is_acceptable
    assert "sha256:" in str(scorer.identity)
    with pytest.raises(CommandError, match="no local model"):
        build_scorer(parse("scorers: [embedding]"), tmp_path, Means(), expects=True)
