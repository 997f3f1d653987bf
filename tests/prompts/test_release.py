import json

import pytest

from headworks.prompts import Companions, Release, parse, release_bump

SCHEMA = json.dumps({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})
WIDER = json.dumps({"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]})
DESCRIBED = json.dumps(json.loads(SCHEMA) | {"description": "An answer."})


COMPANIONS = Companions(SCHEMA, '{"temperature":0}')


def release(text="Sort.", *, companions=COMPANIONS):
    source = f"---\nversion: 1.0.0\nvariables: {{x: {{type: string, default: ''}}}}\n---\n{text}\n"
    return Release(parse(source, name="w", file="prompt.md"), companions)


def bump(old, new):
    return release_bump(old, new, [{"x": "a"}])


def test_a_release_that_is_the_same_needs_no_step():
    assert bump(release(), release()).level == "none"


@pytest.mark.parametrize(
    ("companions", "level", "reason"),
    [
        (Companions(WIDER, '{"temperature":0}'), "major", "the output's contract breaks: `a` may be of type null"),
        (Companions(DESCRIBED, '{"temperature":0}'), "minor", "the output's schema changes"),
        (Companions(SCHEMA, '{"temperature":1}'), "minor", "the parameter `temperature` changes"),
        (Companions(SCHEMA, '{"temperature":0,"tools":[]}'), "minor", "the parameter `tools` changes"),
    ],
)
def test_what_is_sent_beside_the_prompt_counts(companions, level, reason):
    found = bump(release(), release(companions=companions))

    assert (found.level, found.reasons) == (level, (reason,))


def test_the_weightiest_reason_comes_first():
    found = bump(release(), release("Sort.{# kindly #}", companions=Companions(SCHEMA, '{"temperature":1}')))
    broken = bump(release(), release("Sort well.", companions=Companions(WIDER, '{"temperature":1}')))

    assert (found.level, found.reasons[0]) == ("minor", "the parameter `temperature` changes")
    assert [reason.split()[1] for reason in broken.reasons] == ["output's", "case", "parameter"]
    assert broken.level == "major"


def test_what_was_not_kept_is_not_compared():
    assert bump(release(companions=None), release()).level == "none"
