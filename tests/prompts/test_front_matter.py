import pytest

from headworks.errors import ConfigError
from headworks.prompts import parse


def problems(text):
    with pytest.raises(ConfigError) as caught:
        parse(text, name="triage", file="prompt.md")
    return [str(problem) for problem in caught.value.problems]


def front(*lines):
    return "---\n" + "\n".join(lines) + "\n---\nHello.\n"


def test_the_least_prompt_is_a_version_and_a_text():
    prompt = parse(front("version: 1.2.3"), name="triage", file="prompt.md")

    assert (prompt.name, prompt.version, prompt.variables, prompt.breakpoint) == ("triage", "1.2.3", {}, None)
    assert [(section.role, section.source) for section in prompt.sections] == [("developer", "Hello.")]


def test_every_field_of_a_variable_is_read():
    prompt = parse(
        front(
            "version: 1.0.0",
            "variables:",
            "  ticket: string",
            "  tone: {type: enum, values: [formal, warm], default: warm, description: How to write.}",
            "  share: {type: number, minimum: 0, maximum: 1, default: 0.5}",
            "  lines: {type: list, items: {type: object, max_length: 50}, max_items: 3, default: [{a: 1, b: null}]}",
            "  loud: {type: boolean, default: false, trusted: true}",
            "  note: {type: string, max_length: 9, default: '7'}",
            "cache: {breakpoint: off}",
        ),
        name="triage",
        file="prompt.md",
    )

    tone, share, lines = (prompt.variables[name] for name in ("tone", "share", "lines"))
    assert prompt.variables["ticket"].max_length == 20_000
    assert prompt.variables["ticket"].is_required
    assert (tone.values, tone.default, tone.description) == (("formal", "warm"), "warm", "How to write.")
    assert (share.minimum, share.maximum, share.default) == (0, 1, 0.5)
    assert (lines.max_items, lines.item.type, lines.item.max_length) == (3, "object", 50)
    assert lines.default == [{"a": 1, "b": None}]
    assert prompt.variables["loud"].trusted
    assert prompt.variables["note"].default == "7"
    assert prompt.breakpoint == "off"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["variables: {}"], "prompt.md:2:1: version: is missing"),
        (["version: 1.0"], "prompt.md:2:10: version: expected text, got a number"),
        (["version: 1.0.0-rc1"], "prompt.md:2:10: version: expected a semantic version like 1.2.3"),
        (["version: 01.0.0"], "prompt.md:2:10: version: expected a semantic version"),
        (["version: 1.0.0", "modle: x"], "prompt.md:3:1: `modle` is not a field"),
        (["version: 1.0.0", "variables:", "  x: strng"], "prompt.md:4:6: variables.x: expected a mapping with `type`"),
        (["version: 1.0.0", "variables:", "  x: strng"], "did you mean `string`?"),
        (["version: 1.0.0", "variables:", "  X: string"], "prompt.md:4:3: variables.X: expected a name"),
        (["version: 1.0.0", "variables:", "  loop: string"], "variables.loop: is a word of the template language"),
        (["version: 1.0.0", "variables:", "  _x: string"], "prompt.md:4:3: "),
        (["version: 1.0.0", "variables:", "  x: enum"], "variables.x.values: is missing: an enum needs its choices"),
        (["version: 1.0.0", "variables:", "  x: {type: string, values: [a]}"], "has a meaning for `enum` only"),
        (["version: 1.0.0", "variables:", "  x: {type: string, items: string}"], "has a meaning for `list` only"),
        (
            ["version: 1.0.0", "variables:", "  x: {type: string, minimum: 1}"],
            "prompt.md:4:30: variables.x.minimum: has a meaning for `integer`, `number` only",
        ),
        (
            ["version: 1.0.0", "variables:", "  x: {type: number, minimum: 2, maximum: 1}"],
            "must not be below `minimum`",
        ),
        (
            ["version: 1.0.0", "variables:", "  x: {type: integer, default: many}"],
            "prompt.md:4:31: variables.x.default: expected a whole number, got text",
        ),
        (["version: 1.0.0", "variables:", "  x: {type: string, default: 7}"], "expected text, got a whole number"),
        (["version: 1.0.0", "variables:", "  x: {type: string, default: }"], "expected text, got null"),
        (
            ["version: 1.0.0", "variables:", "  x: {type: enum, values: [a], default: b}"],
            "variables.x.default: expected one of `a`",
        ),
        (
            ["version: 1.0.0", "variables:", "  x: {type: list, items: {type: string, default: a}}"],
            "variables.x.items.default: belongs to the list",
        ),
        (
            ["version: 1.0.0", "variables:", "  x: {type: list, items: {type: string, trusted: true}}"],
            "variables.x.items.trusted: belongs to the list",
        ),
        (["version: 1.0.0", "cache: {breakpoint: on}"], "cache.breakpoint: expected one of `auto`, `off`"),
        (["version: 1.0.0", "cache: {}"], "cache.breakpoint: is missing"),
        (["version: [1"], "prompt.md:3:1: not valid YAML"),
        (["version: 1.0.0", "version: 1.0.0"], "prompt.md:3:1: this key stands here a second time"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_in_the_file(lines, problem):
    found = problems(front(*lines))

    assert any(problem in each for each in found), found


def test_every_problem_is_named_at_once_in_the_order_of_the_file():
    found = problems("---\nversion: one\nvariables:\n  x: strng\n---\n{{ y }} {{ x }}\n{% include 'a' %}\n")

    assert [each.split(": ")[0] for each in found] == [
        "prompt.md:2:10",
        "prompt.md:4:6",
        "prompt.md:6:4",
        "prompt.md:7:4",
    ]


def test_a_variable_that_is_declared_wrongly_is_not_called_undeclared_too():
    assert len(problems("---\nversion: 1.0.0\nvariables:\n  x: strng\n---\n{{ x|upper }}\n")) == 1


@pytest.mark.parametrize("text", ["", "Hello.", "\n---\nversion: 1.0.0\n---\n", "version: 1.0.0\n---\nHello."])
def test_a_file_without_front_matter_is_told_how_one_begins(text):
    assert problems(text) == [
        "prompt.md:1:1: a prompt begins with front matter: a line `---`, `version: 1.0.0`, a line `---`"
    ]


def test_front_matter_without_an_end_is_named():
    assert "has no end" in problems("---\nversion: 1.0.0\nHello.\n")[0]


def test_line_ends_and_a_byte_order_mark_do_not_matter():
    unix = parse(front("version: 1.0.0"), name="triage", file="prompt.md")
    windows = parse("\ufeff" + front("version: 1.0.0").replace("\n", "\r\n"), name="triage", file="prompt.md")

    assert unix.hash == windows.hash


def test_a_file_that_is_too_long_is_refused_before_it_is_read():
    assert "longer than" in problems("x" * 1_048_577)[0]
