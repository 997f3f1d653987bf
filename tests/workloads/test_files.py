import pytest

from headworks.workloads import check_files

TOOL = '{"type": "function", "name": "%s", "parameters": {}}'


def found(workload) -> list[str]:
    return [f"{problem.line}:{problem.message}" for problem in check_files(workload)]


def test_well_formed_files_have_no_problems(make):
    workload, _ = make(
        "actions: {refund: {}}\n",
        tools_json=f"[{TOOL % 'refund'}, {TOOL % 'look_up'}]",
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


def test_a_broken_static_answer_is_a_problem(make):
    workload, _ = make(fallback_json="{")

    assert found(workload) == ["0:is not JSON"]


def test_problems_name_the_file_from_where_the_reader_is(make, tmp_path):
    workload, _ = make(fallback_json="{")

    assert [problem.file for problem in check_files(workload)] == [
        str(tmp_path / "workloads" / "triage" / "fallback.json")
    ]
