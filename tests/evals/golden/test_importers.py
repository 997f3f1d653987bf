import json

import msgspec
import pytest

from headworks.errors import CommandError, ConfigError
from headworks.evals.golden import read_cases
from headworks.evals.golden.importers import (
    Columns,
    KeptCall,
    candidates_of,
    read_csv,
    read_openai_evals,
    read_promptfoo,
    reviewed_cases,
    save_cases,
)


@pytest.fixture
def write(tmp_path):
    def do(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return do


def shown(imported):
    return [(case.id, dict(case.variables), case.expected_value()) for case in imported.cases]


# -- promptfoo --------------------------------------------------------------------------------------------------------

PROMPTFOO = """\
prompts: [file://prompt.txt]
providers: [openai:gpt-6-luna]
defaultTest:
  vars: {product: Ledgerly}
tests:
  - description: Double charge
    vars: {ticket: I was charged twice}
    assert: [{type: equals, value: billing}, {type: latency, threshold: 1000}]
    metadata: {plan: pro}
  - vars: {ticket: [Locked out, No login]}
    assert:
      - {type: equals, value: access}
      - {type: llm-rubric, value: is polite}
"""


def test_a_promptfoo_configuration_becomes_cases_and_says_what_it_leaves_out(write):
    found = read_promptfoo(write("promptfooconfig.yaml", PROMPTFOO))

    assert shown(found) == [
        ("double-charge", {"product": "Ledgerly", "ticket": "I was charged twice"}, "billing"),
        ("promptfoo-0003", {"product": "Ledgerly", "ticket": "Locked out"}, "access"),
        ("promptfoo-0004", {"product": "Ledgerly", "ticket": "No login"}, "access"),
    ]
    assert found.cases[0].tags == ("plan:pro",)
    assert found.cases[1].cluster == found.cases[2].cluster != ""
    assert found.notes == (
        "1 assertions of type `latency` were left out: every report has it",
        "1 assertions of type `llm-rubric` were left out: configure the scorer `judge` in evals.yaml",
    )
    assert found.scorer == ""


def test_assertions_that_look_for_texts_become_patterns(write):
    text = json.dumps(
        {
            "tests": [
                {
                    "vars": {"x": "1"},
                    "assert": [{"type": "icontains", "value": "a.b"}, {"type": "regex", "value": "^c+"}],
                },
                {"vars": {"x": "2"}, "assert": [{"type": "equals", "value": "yes"}]},
                {"vars": {"x": "3"}, "assert": [{"type": "contains-any", "value": ["a", "b"]}]},
            ]
        }
    )
    found = read_promptfoo(write("config.json", text))

    assert [case.expected_value() for case in found.cases] == [["(?i)a\\.b", "^c+"], r"^\s*yes\s*$", "a|b"]
    assert found.scorer == "regex"


def test_a_promptfoo_table_has_its_assertions_in_cells(write):
    table = (
        'ticket,__expected1,__expected2,__description,__metadata:plan\nHi,greeting,is-json,First,pro\n"a,b",x: y,,,\n'
    )
    found = read_promptfoo(write("tests.csv", table))

    assert shown(found) == [("first", {"ticket": "Hi"}, "greeting"), ("promptfoo-0002", {"ticket": "a,b"}, "x: y")]
    assert found.cases[0].tags == ("plan:pro",)
    assert found.notes == ("1 assertions of type `is-json` were left out: configure the scorer `schema` in evals.yaml",)


def test_tests_in_a_file_beside_the_configuration_are_read_and_no_other(write):
    write("tests.csv", "x,__expected\n1,one\n")
    write("more.jsonl", '{"vars": {"x": "2"}, "assert": [{"type": "equals", "value": "two"}]}\n')

    found = read_promptfoo(write("c.yaml", "tests:\n  - file://tests.csv\n  - file://more.jsonl\n"))
    assert [case.expected_value() for case in found.cases] == ["one", "two"]
    with pytest.raises(ConfigError, match=r"c\.yaml:2:1: expected tests, or a CSV"):
        read_promptfoo(write("c.yaml", "tests:\n  - file:///etc/passwd\n"))


def test_what_is_no_promptfoo_configuration_is_named_by_line(write):
    with pytest.raises(ConfigError, match=r"c\.yaml:2:1: expected a test"):
        read_promptfoo(write("c.yaml", "tests:\n  - 5\n"))
    with pytest.raises(ConfigError, match=r"c\.yaml:1:1: is not YAML"):
        read_promptfoo(write("c.yaml", "tests: [}"))
    with pytest.raises(ConfigError, match="has no `tests`"):
        read_promptfoo(write("c.yaml", "prompts: []"))


def test_aliases_that_multiply_are_refused(write):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(ConfigError, match="aliases that make it too large"):
        read_promptfoo(write("c.yaml", "\n".join(lines)))


def test_lists_that_multiply_are_refused(write):
    values = json.dumps([str(n) for n in range(100)])
    text = f"tests:\n  - vars: {{a: {values}, b: {values}, c: {values}, d: {values}}}\n"

    with pytest.raises(ConfigError, match="more than 100,000 cases"):
        read_promptfoo(write("c.yaml", text))


# -- OpenAI Evals -----------------------------------------------------------------------------------------------------


def sample(system, user, ideal):
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return json.dumps({"input": messages, "ideal": ideal})


def test_samples_become_cases_and_their_common_instructions_the_prompts(write):
    text = sample("Sort.", "Hi", "greeting") + "\n" + sample("Sort.", "Bye\u2028now", ["farewell", "bye"]) + "\n"
    found = read_openai_evals(write("samples.jsonl", text))

    assert [case.input_value() for case in found.cases] == [
        [{"role": "user", "content": "Hi"}],
        [{"role": "user", "content": "Bye\u2028now"}],
    ]
    assert [case.expected_value() for case in found.cases] == ["greeting", ["farewell", "bye"]]
    assert "left out" in found.notes[0]


def test_instructions_that_differ_become_a_variable(write):
    text = sample("One.", "Hi", "x") + "\n" + sample("Two.", "Hi", "y")
    found = read_openai_evals(write("samples.jsonl", text))

    assert [case.variables for case in found.cases] == [{"instructions": "One."}, {"instructions": "Two."}]


def test_a_hosted_data_set_has_its_fields_as_variables(write):
    path = write("data.jsonl", '{"item": {"ticket": "Hi", "label": "greeting"}}\n')

    assert shown(read_openai_evals(path, expected_field="label")) == [("sample-0001", {"ticket": "Hi"}, "greeting")]
    with pytest.raises(ConfigError, match=r"data\.jsonl:1:1: `item` has no such field"):
        read_openai_evals(path, expected_field="lable")


@pytest.mark.parametrize(
    "line", ["{", '{"ideal": 1}', '{"input": [{"role": "robot", "content": "x"}]}', '{"input": 5}']
)
def test_a_line_that_is_no_sample_is_named(write, line):
    with pytest.raises(ConfigError, match=r"samples\.jsonl:2:1: expected"):
        read_openai_evals(write("samples.jsonl", sample("a", "b", "c") + "\n" + line))


# -- CSV --------------------------------------------------------------------------------------------------------------


def test_a_tables_columns_are_variables_but_for_those_that_mean_something(write):
    table = 'id,ticket,expected,tags,cluster\nt1,"two\nlines","{""a"": 1}",x; y,doc\n,007,0042,,\n'
    found = read_csv(write("t.csv", table))

    assert shown(found) == [("t1", {"ticket": "two\nlines"}, {"a": 1}), ("row-0002", {"ticket": "007"}, "0042")]
    assert (found.cases[0].tags, found.cases[0].cluster) == (("x", "y"), "doc")


def test_columns_can_be_named_and_must_be_there(write):
    path = write("t.csv", "q,a\nHi,greeting\n")

    assert shown(read_csv(path, Columns(expected="a", input="q"))) == [("row-0001", {}, "greeting")]
    assert read_csv(path, Columns(input="q", expected="a")).cases[0].input_value() == "Hi"
    with pytest.raises(ConfigError, match="there is no column `label`"):
        read_csv(path, Columns(expected="label"))


def test_a_row_that_does_not_fit_its_head_is_named(write):
    with pytest.raises(ConfigError, match=r"t\.csv:3:1: has 3 cells, and the head line names 2"):
        read_csv(write("t.csv", "q,a\n1,2\n1,2,3\n"))


# -- calls ------------------------------------------------------------------------------------------------------------


def call(**changes):
    made = KeptCall(
        call_id="call_1",
        is_redacted=True,
        variables={"ticket": "Hi"},
        input=msgspec.Raw(b"[]"),
        answer='{"team": "support"}',
    )
    return msgspec.structs.replace(made, **changes)


def test_good_calls_become_candidates_that_a_person_reviews(tmp_path):
    found, lines = candidates_of(
        [call(), call(call_id="call_2", demonstration='{"team": "finance"}')], finds_personal=lambda text: False
    )
    path = tmp_path / "candidates.jsonl"
    path.write_bytes(lines)

    assert [case.expected_value() for case in found.cases] == [{"team": "support"}, {"team": "finance"}]
    with pytest.raises(ConfigError, match="no candidate is reviewed yet"):
        reviewed_cases(path)
    path.write_text(path.read_text().replace('"reviewed":false', '"reviewed":true', 1))
    reviewed = reviewed_cases(path)
    assert [case.id for case in reviewed.cases] == ["call_1"]
    assert reviewed.notes == ("1 candidates are not reviewed and were left out",)


def test_a_call_that_is_not_redacted_is_refused():
    with pytest.raises(CommandError, match=r"retention\.content: redacted"):
        candidates_of([call(is_redacted=False)], finds_personal=lambda text: False)


def test_a_call_in_which_personal_data_is_left_is_left_out_and_said():
    found, lines = candidates_of([call(answer="Call +49 170 1234567")], finds_personal=lambda text: "+49" in text)

    assert (found.cases, lines) == ((), b"")
    assert found.notes == ("1 calls were left out: personal data was found in what is kept of them",)


# -- saving -----------------------------------------------------------------------------------------------------------


def test_cases_are_added_once_and_the_file_is_replaced_at_once(write, tmp_path):
    path = tmp_path / "golden.jsonl"
    found = read_csv(write("t.csv", "q,expected\nHi,x\nBye,y\n"))

    assert save_cases(path, found.cases[:1]).added == 1
    second = save_cases(path, found.cases)
    assert (second.added, second.known) == (1, 1)
    assert [case.id for case in read_cases(path)] == ["row-0001", "row-0002"]
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv", "golden.jsonl"] or len(list(tmp_path.iterdir())) == 2


def test_an_id_that_another_case_has_is_refused_and_nothing_written(write, tmp_path, golden):
    path = golden({"id": "row-0001", "input": "Something else", "expected": 1})
    before = path.read_bytes()

    with pytest.raises(CommandError, match="other cases with the ids `row-0001`"):
        save_cases(path, read_csv(write("t.csv", "q,expected\nHi,x\n")).cases)
    assert path.read_bytes() == before
