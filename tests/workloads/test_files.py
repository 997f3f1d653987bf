import pytest

from headworks.workloads import check_files

TOOL = '{"type": "function", "name": "%s", "parameters": {}}'


def found(workload) -> list[str]:
    return [f"{problem.line}:{problem.message}" for problem in check_files(workload)]


def test_well_formed_files_have_no_problems(make):
    workload, _ = make(
        "actions: {refund: {}}\n",
        tools_json=f"[{TOOL % 'refund'}, {TOOL % 'look_up'}]",
        golden_jsonl='{"id": "a", "variables": {}, "expected": null}\n\n{"id": "b", "expected": 1}\n',
        fallback_json='"sorry"',
    )

    assert check_files(workload) == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "0:is not JSON"),
        ("{}", "0:expected a list of tools"),
        (
            '[{"type": "web_search"}]',
            "0:tool 1: expected `type: function` and a `name` of letters, digits, `_` and `-`",
        ),
        (f"[{TOOL % 'refund'}, {TOOL % 'refund'}]", "0:tool 2: `refund` is there already"),
    ],
)
def test_tools_that_are_none_are_named_by_their_number(make, text, problem):
    workload, _ = make(tools_json=text)

    assert found(workload) == [problem]


def test_an_action_that_is_no_tool_is_a_problem_of_the_contract(make):
    workload, _ = make("actions:\n  refnd: {}\n", tools_json=f"[{TOOL % 'refund'}]")

    assert found(workload) == ["4:actions.refnd: is no tool of tools.json"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[]", "expected a JSON object"),
        ("{", "expected a JSON object"),
        ('{"expected": 1}', "expected an `id`: a text of its own"),
        ('{"id": "a", "expected": 1}', "has the `id` of line 1"),
        ('{"id": "b"}', "`expected` is missing: what a right answer is"),
        ('{"id": "b", "expected": 1, "variables": []}', "expected `variables` to be an object"),
    ],
)
def test_a_case_that_is_none_is_named_by_its_line(make, line, message):
    workload, _ = make(golden_jsonl=f'{{"id": "a", "expected": 1}}\n{line}\n')

    assert found(workload) == [f"2:{message}"]


def test_a_golden_set_in_another_format_does_not_fill_the_screen(make):
    workload, _ = make(golden_jsonl="x\n" * 1000)

    assert len(check_files(workload)) == 20


def test_an_empty_golden_set_and_a_broken_static_answer_are_problems(make):
    workload, _ = make(golden_jsonl="\n", fallback_json="{")

    assert found(workload) == ["0:holds no case", "0:is not JSON"]


def test_problems_name_the_file_from_where_the_reader_is(make, tmp_path):
    workload, _ = make(fallback_json="{")

    assert [problem.file for problem in check_files(workload)] == [
        str(tmp_path / "workloads" / "triage" / "fallback.json")
    ]
