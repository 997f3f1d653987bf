import json

import pytest

from headworks.config import LOCK_FILE, Locked, lock_text
from headworks.config.lock import Lock


@pytest.fixture
def check(desk):
    """Checks the desk; gives problems and warnings as lines, their files relative to its folder."""

    def do():
        code, out, err = desk.run("check", "--json")
        found = json.loads(out)
        assert (code, err) == (1 if found["problems"] else 0, "")
        for kind in ("problems", "warnings"):
            for one in found[kind]:
                one["file"] = one["file"].removeprefix(f"{desk.folder}/")
        return tuple(
            [f"{one['file']}:{one['line']}:{one['column']}: {one['message']}" for one in found[kind]]
            for kind in ("problems", "warnings")
        )

    return do


TRIAGE = "workloads/ticket-triage"


def test_the_example_has_neither_problem_nor_warning(check):
    assert check() == ([], [])


def test_a_kind_of_personal_data_that_there_is_not_is_a_problem(desk, check):
    desk.edit("workload.yaml", "retention:", "screening: {privacy: {kinds: {e_mail: block}}}\nretention:")
    problems, _ = check()
    assert "there is no kind 'e_mail'" in problems[0]


def test_fewer_output_tokens_than_the_responses_api_takes_are_warned_of_with_their_place(desk, check):
    desk.edit("workload.yaml", "max_tokens: 600", "max_tokens: 15")
    problems, (warning,) = check()

    assert problems == []
    assert warning.startswith(
        f"{TRIAGE}/workload.yaml:11:23: output.max_tokens: calls of /v1/responses will be refused"
    )
    desk.edit("workload.yaml", "max_tokens: 15", "max_tokens: 16")
    assert check() == ([], [])


def test_few_output_tokens_are_good_where_only_chat_is_spoken(desk, check):
    desk.edit("workload.yaml", "max_tokens: 600", "max_tokens: 15")
    config = desk.folder / "headworks.yaml"
    config.write_text(config.read_text().replace("kind: simulator", "kind: simulator\n    speaks: [chat]"))

    assert check() == ([], [])


def test_every_problem_of_a_prompt_has_its_place(desk, check):
    desk.edit("prompt.md", "{{ plan }}", "{{ plann }}")
    desk.edit("prompt.md", "{{ product | fence }}", "{{ product | shout }}")

    assert [line.split(": ")[0] for line in check()[0]] == [f"{TRIAGE}/prompt.md:31:23", f"{TRIAGE}/prompt.md:32:10"]


def test_a_version_that_is_published_with_other_bytes_is_a_problem(desk, check):
    desk.run("prompts", "publish", "ticket-triage")
    assert check() == ([], [])
    desk.edit("prompt.md", "twelve", "ten")

    message = "version 1.0.0 is published with other content: raise it (`headworks prompts bump`)"
    assert check() == ([f"{TRIAGE}/prompt.md:2:10: {message}"], [])


def test_a_version_that_is_raised_too_little_is_a_problem(desk, check):
    desk.run("prompts", "publish", "ticket-triage")
    desk.edit("prompt.md", "version: 1.0.0", "version: 1.1.0")
    desk.edit("schema.json", '"access", ', '"access", "fraud", ')

    (problem,) = check()[0]

    assert problem.startswith(f"{TRIAGE}/prompt.md:2:10: version 1.1.0 must be at least 2.0.0, a major step")
    assert problem.endswith("(`headworks prompts bump ticket-triage`)")


def test_a_version_that_calls_are_not_made_with_is_warned_of(desk, check):
    desk.run("prompts", "publish", "ticket-triage")
    desk.edit("prompt.md", "twelve", "ten")
    desk.run("prompts", "bump", "ticket-triage")

    problems, (warning,) = check()

    assert problems == []
    assert "2:10: calls are made with 1.0.0, the active version, and not with this one" in warning


def test_a_canary_must_be_published(desk, check):
    desk.edit("workload.yaml", "output:", "canary: { version: 1.1.0 }\noutput:")

    (problem,) = check()[0]

    assert "canary.version: the prompt has no published version 1.1.0" in problem


def test_a_schema_that_is_none_is_a_problem_once(desk, check):
    desk.edit("schema.json", '"type": "object"', '"type": "objekt"')

    problems, _ = check()

    assert len(problems) == 1
    assert problems[0].startswith(f"{TRIAGE}/schema.json:")


def test_a_schema_that_is_none_is_a_problem_once_with_a_published_prompt_too(desk, check):
    desk.run("prompts", "publish", "ticket-triage")
    desk.edit("schema.json", '"type": "object"', '"type": "objekt"')

    problems, _ = check()

    assert [line.split(":")[0] for line in problems] == [f"{TRIAGE}/schema.json"]


def test_what_is_outside_the_strict_subset_is_warned_of_with_rule_and_place(desk, check):
    text = '{"type": "object",\n "properties": {"category": {"type": "string", "minLength": 2}},\n "required": []}'
    (desk.triage / "schema.json").write_text(text)
    (desk.triage / "fallback.json").write_text('{"category": "other"}')

    problems, warnings = check()

    assert problems == []
    assert [line.split("rule `")[1].split("`")[0] for line in warnings] == [
        "additional-properties",
        "required",
        "keyword",
    ]
    assert warnings[2].startswith(f"{TRIAGE}/schema.json:2:")


def test_tools_whose_schemas_cannot_be_used_are_a_problem_once(desk, check):
    path = desk.folder / "workloads" / "assistant" / "tools.json"
    tools = json.loads(path.read_text())
    tools[0]["parameters"]["type"] = "objekt"
    path.write_text(json.dumps(tools))

    problems, _ = check()
    assert len(problems) == 1
    assert problems[0].startswith("workloads/assistant/tools.json:1:2: /0/parameters of")

    del tools[0]["name"]
    path.write_text(json.dumps(tools))
    assert "tool 1: expected `type: function` and a `name`" in check()[0][0]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("def broken(:\n", "1:0", "is not Python"),
        ("import no_such_module_here\n", "1:0", "imports 'no_such_module_here', which is not installed"),
        ("x = 1\n", "0:0", "has no rules"),
    ],
)
def test_rules_that_cannot_be_loaded_are_a_problem(desk, check, text, place, message):
    (desk.triage / "rules.py").write_text(text)

    (problem,) = check()[0]

    assert problem.split(": ")[0].split(":")[:2] == [f"{TRIAGE}/rules.py", place.split(":")[0]]
    assert message in problem


def test_the_static_answer_must_satisfy_the_schema(desk, check):
    desk.edit("fallback.json", '"category": "other"', '"category": "unknown"')

    (problem,) = check()[0]

    assert problem.startswith(f"{TRIAGE}/fallback.json:")
    assert "/category: breaks schema.json: must be one of" in problem

    (desk.triage / "fallback.json").write_text('"A person will answer."')
    assert check()[0][0].startswith(f"{TRIAGE}/fallback.json:0:0: breaks schema.json: ")


def test_a_template_and_a_function_are_checked_like_what_they_stand_in_for(desk, check):
    desk.edit("fallback.json", '"category": "other"', '"category": "{{ tiket }}"')
    (desk.triage / "fallback.py").write_text("\nasync def answer(asked, context):\n    return {}\n")

    problems = check()[0]

    assert problems == [f"{TRIAGE}/fallback.py:2:1: `answer` is a coroutine or generator; it must be a plain function"]
    (desk.triage / "fallback.py").unlink()
    (problem,) = check()[0]
    assert "/category: this name is not declared under `variables`" in problem


def test_a_parameter_that_no_contract_fixes_need_not_be_freed(desk, check):
    path = desk.triage / "workload.yaml"
    path.write_text(path.read_text() + "caller_may_set: [text, temprature, fallback, retries]\n")

    problems, (warning,) = check()

    assert problems == []
    assert "caller_may_set[1]: no contract fixes `temprature`; did you mean `temperature`?" in warning


def test_a_static_answer_that_the_active_version_does_not_take_is_warned_of(desk, check):
    desk.run("prompts", "publish", "ticket-triage")
    desk.edit("schema.json", '"access", ', '"access", "fraud", ')
    for action in ("bump", "publish"):
        desk.run("prompts", action, "ticket-triage")
    desk.edit("fallback.json", '"other"', '"fraud"')
    assert check() == ([], [])

    desk.run("prompts", "rollback", "ticket-triage")
    problems, warnings = check()

    assert problems == []
    assert "breaks the schema of 1.0.0, the active version" in "".join(warnings)


def test_golden_cases_that_no_call_could_be_are_warned_of_with_their_lines(desk, check):
    path = desk.triage / "golden.jsonl"
    lines = path.read_text().splitlines()
    first = json.loads(lines[0])
    lines[0] = json.dumps(first | {"variables": {"plan": "pro", "ticket": "x"}})
    lines[1] = json.dumps(json.loads(lines[1]) | {"expected": first["expected"] | {"category": "none"}})
    path.write_text("\n".join(lines) + "\n\n")

    problems, warnings = check()

    assert problems == []
    assert warnings[0].startswith(f"{TRIAGE}/golden.jsonl:1:1: The variables do not fit the prompt")
    assert warnings[1].startswith(f"{TRIAGE}/golden.jsonl:2:1: `expected` breaks the schema: /category: must be one of")
    assert len(warnings) == 2


def test_a_lock_of_another_prompt_or_schema_than_calls_are_made_with_is_warned_of(desk, check):
    desk.run("prompts", "publish", "ticket-triage")
    assert check() == ([], [])
    lock = desk.folder / LOCK_FILE
    text = lock.read_text()

    lock.write_text(text.replace('prompt_hash: "sha256:', 'prompt_hash: "sha256:0'))
    assert check()[1][0].startswith(
        f"{LOCK_FILE}:0:0: ticket-triage is locked to prompt 1.0.0, and calls are made with another, 1.0.0: "
    )
    lock.write_text(text.replace('schema_hash: "sha256:', 'schema_hash: "sha256:0'))
    assert "ticket-triage is locked to another schema than answers must satisfy" in check()[1][0]


def test_whoever_goes_back_goes_back_with_schema_and_parameters(desk, check):
    desk.run("prompts", "publish", "ticket-triage")
    desk.edit("schema.json", '"access", ', '"access", "fraud", ')
    for action in ("bump", "publish"):
        desk.run("prompts", action, "ticket-triage")
    assert check() == ([], [])

    _, out, _ = desk.run("prompts", "rollback", "ticket-triage")

    assert "Its schema and parameters come with it; the folder's are others" in out
    assert "- the output's contract breaks: `category` may have further values" in out
    assert "calls are made with 1.0.0, the active version, and not with this one" in check()[1][0]


def test_a_lock_that_names_a_model_that_is_gone_is_a_problem(desk, check):
    lock = Lock(workloads={"ticket-triage": Locked(model="gone/model")})
    (desk.folder / LOCK_FILE).write_text(lock_text(lock))

    assert "ticket-triage is locked to `gone/model`, which is bound to no model" in check()[0][0]

    (desk.folder / LOCK_FILE).write_text("<<<<<<< ours\n")
    assert "a merge was left unfinished here" in check()[0][0]


def test_a_registry_that_cannot_be_used_is_a_problem(desk, check):
    desk.run("prompts", "publish", "ticket-triage")
    for path in (desk.folder / ".headworks").glob("prompts.db*"):
        path.unlink()
    (desk.folder / ".headworks" / "prompts.db").write_text("no database, and long enough to be looked at as one" * 9)

    problems, _ = check()

    assert len(problems) == 3
    assert "prompts.db: file is not a database" in problems[0]
