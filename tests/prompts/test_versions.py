import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.prompts import RequiredBump, Version, check_bump, required_bump
from tests.prompts.conftest import make

NUMBERS = st.integers(0, 10**9 - 1)
VERSIONS = st.builds(Version, NUMBERS, NUMBERS, NUMBERS)
LEVELS = ("none", "patch", "minor", "major")


def bump(old, new, cases=({"x": "a"},), *, parameters_changed=False, output_broken=False):
    return required_bump(old, new, cases, parameters_changed=parameters_changed, output_broken=output_broken)


def declared(line):
    """A prompt of one variable `x`, which is rendered the same whatever its type."""
    return make("A.{% if x %}{% endif %}", line)


@given(VERSIONS)
def test_a_versions_text_reads_as_the_version(version):
    assert Version.parse(str(version)) == version


@pytest.mark.parametrize(
    "text", ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-rc1", "v1.2.3", "1.2.-3", "1.2.3\n", "\u0661.2.3"]
)
def test_a_text_that_is_no_version_is_refused(text):
    with pytest.raises(ValueError, match="semantic version"):
        Version.parse(text)


@given(VERSIONS, VERSIONS)
def test_versions_are_ordered_as_their_numbers_are(one, other):
    numbers = [(version.major, version.minor, version.patch) for version in (one, other)]

    assert (one < other) == (numbers[0] < numbers[1])


@given(VERSIONS.filter(lambda version: max(version.major, version.minor, version.patch) < 10**9 - 1))
def test_raising_a_version_by_a_level_is_a_step_of_that_level(version):
    for level in LEVELS:
        raised = version.raised(level)
        assert version.level_to(raised) == level
        assert (raised > version) == (level != "none")


@given(VERSIONS, VERSIONS, st.sampled_from(LEVELS))
def test_a_new_version_will_do_exactly_from_the_least_on(old, new, level):
    problem = check_bump(str(old), str(new), RequiredBump(level, ("why",)))
    steps = {
        "major": new.major > old.major,
        "minor": (new.major, new.minor) > (old.major, old.minor),
        "patch": new > old,
        "none": new >= old,
    }

    assert (problem is None) == steps[level]


def test_a_bump_that_is_too_low_is_told_the_least_and_the_reasons():
    required = RequiredBump("minor", ("golden case 2 is rendered otherwise",))

    assert check_bump("1.2.3", "1.2.4", required) == (
        "version 1.2.4 must be at least 1.3.0, a minor step from 1.2.3: golden case 2 is rendered otherwise"
    )
    assert check_bump("1.2.3", "1.1.9", required) == "version 1.1.9 is below 1.2.3; it must be at least 1.3.0"
    assert check_bump("1.2.3", "2.0.0", required) is None


def test_the_same_content_needs_no_bump():
    assert bump(make("A {{ x }}", "x: string"), make("A {{ x }}", "x: string", version="3.0.0")) == RequiredBump(
        "none", ()
    )


def test_a_change_of_the_source_alone_is_a_patch():
    old = make("A {{ x }}", "x: string")

    assert bump(old, make("A {# a note #}{{ x }}", "x: string")).level == "patch"
    assert bump(old, make("A {{ x }}", "x: {type: string, description: What it is.}")).level == "patch"


def test_a_change_of_a_rendered_byte_is_a_minor():
    required = bump(make("A {{ x }}", "x: string"), make("A  {{ x }}", "x: string"), [{"x": "a"}, {"x": "b"}])

    assert required == RequiredBump("minor", ("golden case 1 is rendered otherwise (2 of 2 are)",))


def test_the_place_of_the_input_and_the_role_are_rendered_too():
    old = make("A.\n{% user %}\nB.")

    assert bump(old, make("A.\n{% input %}\n{% user %}\nB."), [{}]).level == "minor"
    assert bump(old, make("{% system %}\nA.\n{% user %}\nB."), [{}]).level == "minor"


def test_a_change_of_parameters_or_of_the_cache_is_a_minor():
    old = make("A {{ x }}", "x: string")

    assert bump(old, old, parameters_changed=True).reasons == ("parameters of the calls change",)
    assert bump(old, make("A {{ x }}", "x: string", more="cache: {breakpoint: off}\n")).level == "minor"


def test_a_broken_output_is_a_major_and_its_reason_comes_first():
    required = bump(make("A {{ x }}", "x: string"), make("B {{ x }}", "x: string"), output_broken=True)

    assert required.level == "major"
    assert required.reasons == ("the output's contract breaks", "golden case 1 is rendered otherwise (1 of 1 are)")


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [
        ("x: string", "x: string\ny: string", "major"),
        ("x: string", "x: string\ny: {type: string, default: a}", "minor"),
        ("x: string\ny: {type: string, default: a}", "x: string", "major"),
        ("x: {type: string, default: a}", "x: string", "major"),
        ("x: string", "x: {type: string, default: a}", "minor"),
        ("x: {type: string, default: a}", "x: {type: string, default: b}", "minor"),
        ("x: {type: object, default: {a: 1}}", "x: {type: object, default: {a: true}}", "minor"),
        ("x: string", "x: integer", "major"),
        ("x: integer", "x: number", "minor"),
        ("x: number", "x: integer", "major"),
        ("x: {type: enum, values: [a]}", "x: string", "minor"),
        ("x: string", "x: {type: enum, values: [a]}", "major"),
        ("x: {type: enum, values: [a, long]}", "x: {type: string, max_length: 3}", "major"),
        ("x: {type: enum, values: [a, b]}", "x: {type: enum, values: [a]}", "major"),
        ("x: {type: enum, values: [a]}", "x: {type: enum, values: [b, a]}", "minor"),
        ("x: {type: enum, values: [a, b]}", "x: {type: enum, values: [b, a]}", "patch"),
        ("x: {type: string, max_length: 9}", "x: {type: string, max_length: 8}", "major"),
        ("x: {type: string, max_length: 8}", "x: {type: string, max_length: 9}", "minor"),
        ("x: {type: integer, minimum: 1}", "x: {type: integer, minimum: 0}", "minor"),
        ("x: integer", "x: {type: integer, minimum: 0}", "major"),
        ("x: {type: number, maximum: 1}", "x: {type: number, maximum: 0.5}", "major"),
        ("x: {type: list, items: string}", "x: {type: list, items: integer}", "major"),
        ("x: {type: list, max_items: 3}", "x: {type: list, max_items: 2}", "major"),
        ("x: {type: list, items: integer}", "x: {type: list, items: number}", "minor"),
        ("x: list", "x: {type: list, items: string}", "major"),
        ("x: {type: string, trusted: true}", "x: string", "patch"),
    ],
)
def test_the_contract_of_the_variables_decides(before, after, level):
    required = bump(declared(before), declared(after), cases=())

    assert required.level == level, required.reasons


def test_a_golden_case_that_is_refused_now_is_a_major():
    required = bump(make("{{ o.a }}", "o: object"), make("{{ o.a }}{{ o.b }}", "o: object"), [{"o": {"a": 1}}])

    assert required == RequiredBump("major", ("golden case 1 was taken and is now refused",))


def test_a_template_that_changes_without_a_golden_case_is_a_minor():
    old, new = make("A {{ x }}", "x: string"), make("A {# note #}{{ x }}", "x: string")

    assert bump(old, new, []).reasons == ("the template changes, and no golden case shows that what is sent does not",)
    assert bump(make("A."), make("{# note #}A."), []).level == "patch"
    assert bump(make("A."), make("B."), []).level == "minor"
