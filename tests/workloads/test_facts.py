import pytest

from headworks.errors import ConfigError

PROMPT = """\
---
version: 1.0.0
variables: {who: string}
---
{% developer %}
{# nobody sees this comment, however long it may be #}
one two three
{% user %}
four {{ who }} five six
{% input %}
"""


def test_nothing_beside_a_contract_is_nothing(make):
    _, facts = make()

    assert (facts.static_tokens, facts.golden_cases, facts.tools) == (0, 0, ())
    assert not any([facts.has_prompt, facts.has_schema, facts.has_rules, facts.has_fallback])


def test_a_prompt_is_counted_as_the_model_sees_it_and_its_prefix_ends_at_the_first_variable(make):
    _, facts = make(prompt_md=PROMPT)

    assert facts.has_prompt
    assert 5 <= facts.prefix_tokens <= 7
    assert facts.prompt_tokens == facts.prefix_tokens + 4  # `five`, `six` and two line ends


def test_a_prompt_without_variables_is_all_prefix(make):
    _, facts = make(prompt_md="---\nversion: 1.0.0\n---\n{% developer %}\none two three\n")

    assert facts.prefix_tokens == facts.prompt_tokens > 0


def test_tools_schema_and_cases_are_counted(make):
    _, facts = make(
        tools_json='[{"type": "function", "name": "look_up"}, {"name": 3}, 7]',
        schema_json='{"type": "object"}',
        golden_jsonl='{"id": "a"}\n\n{"id": "b"}\n',
    )

    assert (facts.tools, facts.golden_cases, facts.has_schema) == (("look_up",), 2, True)
    assert facts.cacheable_tokens == facts.tools_tokens + facts.schema_tokens > 10


def test_every_rung_and_fallback_is_known_by_its_name(make):
    _, facts = make("ladder: [nano, local/x]\nfallback: [flagship, deterministic]\n", fallback_json="1")

    assert {name: str(model) for name, model in facts.models.items()} == {
        "nano": "sim/a",
        "local/x": "local/x",
        "flagship": "real/c",
    }
    assert facts.models["local/x"].speaks == ("chat",)


def test_what_the_lock_has_decided_is_known(make):
    _, facts = make(lock='version: 1\nworkloads: {triage: {model: "mini"}, other: {model: "nano"}}\n')

    assert facts.locked_model == "mini"


def test_a_file_that_is_not_text_is_a_problem_that_names_it(make, tmp_path):
    folder = tmp_path / "workloads" / "triage"
    folder.mkdir(parents=True)
    (folder / "schema.json").write_bytes(b"\xff")

    with pytest.raises(ConfigError, match=r"schema\.json: is not UTF-8"):
        make()
