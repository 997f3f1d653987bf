import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import ConfigError, Refusal
from tests.prompts.conftest import MARKER, make

VARIABLES = """\
x: string
n: integer
yes: boolean
o: object
xs: {type: list, items: string}
orders: {type: list, items: object}
table: {type: list, items: {type: list}}
"""
VALUES = {
    "x": "some text",
    "n": 3,
    "yes": True,
    "o": {"total": 9.5, "items": "mine", "none": None, "inner": {"deep": ["a", "b"]}},
    "xs": ["a", "b"],
    "orders": [{"id": 1}, {"id": 2}],
    "table": [["p", "q"], []],
}


def rendered(template, **changed):
    return make("-" + template, VARIABLES).render(VALUES | changed, marker=MARKER).messages[0].text[1:]


def refusal(template):
    with pytest.raises(ConfigError) as caught:
        make(template, VARIABLES)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ x }}", "some text"),
        ("{{ n }} {{ yes }} {{ o.none }} {{ xs }}", '3 true null ["a", "b"]'),
        ("{{ o.total }} {{ o['total'] }} {{ o.inner.deep[1] }}", "9.5 9.5 b"),
        ("{{ o.items }}", "mine"),
        ("{{ o.absent|default('-') }}", "-"),
        ("{% if o.absent is defined %}a{% elif o.none is none %}b{% else %}c{% endif %}", "b"),
        ("{% for y in xs %}{{ loop.index }}{{ y }}{% if not loop.last %}, {% endif %}{% endfor %}", "1a, 2b"),
        ("{% for y in xs if y != 'a' %}{{ y }}{% else %}none{% endfor %}", "b"),
        ("{% for order in orders %}#{{ order.id }}{% endfor %}", "#1#2"),
        ("{% for row in table %}{% for cell in row %}{{ cell }}{% endfor %};{% endfor %}", "pq;;"),
        ("{% if n > 2 and n <= 3 or not yes %}a{% endif %}", "a"),
        ("{% if 'text' in x and 'a' in xs and n > -1 %}a{% endif %}", "a"),
        ("{{ x|upper|trim }} {{ 'Ab'|lower }} {{ x|length }}", "SOME TEXT ab 9"),
        ("{{ xs|join(', ') }} {{ o|tojson }}", None),
        ("{{ x|truncate(7) }} {{ x|truncate(7, killwords=true, end='') }}", "some... some te"),
        ("{{ o.total|round }} {{ n|round(1) }}", "10.0 3.0"),
        ("{{ 'a\nb\n\nc'|indent(2) }}", "a\n  b\n\n  c"),
        ("{{ 'a\n\nb'|indent(1, first=true, blank=true) }}", " a\n \n b"),
        ("{# a note #}{{ '{{' }}", "{{"),
        ("a\n  {% if yes %}\nb\n  {% endif %}\nc", "a\nb\nc"),
        ("<b>{{ x }}</b>", "<b>some text</b>"),
    ],
)
def test_what_is_allowed_renders(template, text):
    made = rendered(template)

    if text is not None:
        assert made == text


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ ''.__class__ }}", "names that begin with `_` are out of reach"),
        ("{{ x.__class__.__mro__ }}", "names that begin with `_`"),
        ("{{ o['__class__'] }}", "names that begin with `_`"),
        ("{{ o._private }}", "names that begin with `_`"),
        ("{{ x|attr('y') }}", "there is no such filter here"),
        ("{{ xs|map('upper') }}", "there is no such filter here"),
        ("{% include 'a' %}", "`include` is not part of templates here: a prompt is one file"),
        ("{% import 'a' as a %}", "`import` is not part"),
        ("{% from 'a' import a %}", "`import` is not part"),
        ("{% extends 'a' %}", "`extends` is not part"),
        ("{% block a %}{% endblock %}", "`block` is not part"),
        ("{% macro a() %}{% endmacro %}", "`macro` is not part"),
        ("{% call x() %}{% endcall %}", "`call` is not part"),
        ("{% set a = 1 %}", "`set` is not part"),
        ("{% set a %}{% endset %}", "`set` is not part"),
        ("{% with %}{% endwith %}", "`with` is not part"),
        ("{% filter upper %}{% endfilter %}", "`filter` is not part"),
        ("{% autoescape true %}{% endautoescape %}", "`autoescape` is not part"),
        ("{% raw %}{{{% endraw %}", "`raw` is not part"),
        ("{% do x %}", "there is no such tag"),
        ("{{ self }}", "not declared under `variables`"),
        ("{{ lipsum }}", "not declared under `variables`"),
        ("{{ xz }}", "did you mean `x`?"),
        ("{% for y in ys %}{% endfor %}", "not declared under `variables`; did you mean `yes`?"),
        ("{{ cycler.__init__ }}", "not declared under `variables`"),
        ("{{ namespace() }}", "functions and methods cannot be called"),
        ("{{ x.upper() }}", "functions and methods cannot be called"),
        ("{{ 'a' * 10**9 }}", "arithmetic is not part"),
        ("{{ n + 1 }}", "arithmetic is not part"),
        ("{{ -n }}", "is not part"),
        ("{{ x ~ x }}", "`~` is not part"),
        ("{{ x if yes }}", "use `{% if %}`"),
        ("{{ [x] }}", "a list is not part"),
        ("{{ (x, x) }}", "a tuple is not part"),
        ("{{ {'a': 1} }}", "is not part"),
        ("{{ xs[:1] }}", "an item is named by a constant"),
        ("{{ o[x] }}", "an item is named by a constant"),
        ("{{ x.y }}", "only a variable of type `object` has items"),
        ("{% for a in range(10**9) %}{% endfor %}", "`for` goes over a variable of type `list`"),
        ("{% for a in x %}{% endfor %}", "`for` goes over a variable of type `list`"),
        ("{% for a in o.items %}{% endfor %}", "`for` goes over a variable of type `list`"),
        ("{% for a, b in xs %}{% endfor %}", "`for` takes one name"),
        ("{% for x in xs %}{% endfor %}", "this name is taken"),
        ("{% for loop in xs %}{% endfor %}", "this name is taken"),
        ("{% for a in xs recursive %}{% endfor %}", "`recursive` is not part"),
        ("{% for a in xs %}{{ loop }}{% endfor %}", "`loop` has"),
        ("{% for a in xs %}{{ loop.cycle }}{% endfor %}", "`loop` has"),
        ("{% for a in xs %}{{ loop['index'] }}{% endfor %}", "`loop` has"),
        ("{{ x|fence|upper }}", "`fence` is the last filter"),
        ("{% if x|fence == 'a' %}{% endif %}", "`fence` is the last filter"),
        ("{{ '\\ud800' }}", "half of a surrogate pair"),
        ("{{ xs|join('\\ud800') }}", "half of a surrogate pair"),
        ("\ud800", "half of a surrogate pair"),
        ("{{ 'a'|fence }}", "`fence` is for variables"),
        ("{% for a in xs %}{% for b in loop %}{% endfor %}{% endfor %}", "`for` goes over a variable"),
        ("{% for \ufb01 in xs %}{% endfor %}", "a loop's name is of small letters"),
        ("{{ x|fence(1) }}", "`fence` takes no arguments"),
        ("{{ n > x }}", "compare numbers with numbers"),
        ("{{ yes < yes }}", "compare numbers with numbers"),
        ("{{ 1 in n }}", "`in` looks for"),
        ("{{ n in x }}", "`in` looks for"),
        ("{{ n|upper }}", "`upper` takes text, and this is number"),
        ("{{ x|join }}", "`join` takes list, and this is text"),
        ("{{ x|truncate(n) }}", "`length` of `truncate` must be a constant of type int"),
        ("{{ x|indent(1000000) }}", "`width` of `indent` must be at most 32"),
        ("{{ x|trim(chars='a') }}", "`trim` takes no arguments"),
        ("{{ x|default }}", "`default` needs `default_value`"),
        ("{{ x is callable }}", "there is no such test here"),
        ("{{ " + "9" * 5000 + " }}", "a number that is too long"),
        ("{{ 1e999 }}", "this number is too large"),
        ("{{ " + "not " * 3000 + "x }}", "nested too deeply"),
        ("{{ " + "not " * 40 + "x }}", "nested deeper than 32"),
        ("{{ x" + "|trim" * 500 + " }}", "nested deeper than 32"),
        ("{% if yes %}" * 10 + "{% endif %}" * 10, "nested deeper than 8"),
        ("{% if yes %}" + "{% elif yes %}" * 200 + "{% endif %}", "more than 100 branches"),
        ("{{ x", "not a template"),
        ("{% endif %}", "there is no `if` or `for` in this section"),
        ("{{ & }}", "not a template"),
        ("{# a", "Missing end of comment"),
    ],
)
def test_what_is_not_allowed_is_refused_with_the_way_out(template, problem):
    found = refusal(template)

    assert any(problem in each for each in found), found
    assert all(each.startswith("prompt.md:") for each in found)


def test_a_problem_is_placed_at_its_column():
    found = refusal("Hello.\n  {{ x }} {{ x|attr('y') }}\n{%- if yes -%}   {{ z }}{% endif %}")

    places = [each.split(": ")[0] for each in found]
    assert places == ["prompt.md:13:16", "prompt.md:14:21"]


def test_loops_within_loops_are_bounded_by_what_is_declared():
    nested = "{% for a in xs %}{% for b in xs %}{% for c in xs %}{% endfor %}{% endfor %}{% endfor %}"

    assert "may make 1000000 rounds" in refusal(nested)[0]
    assert make("-" + nested, "xs: {type: list, max_items: 40}")


SNIPPETS = st.sampled_from(
    ["{{", "}}", "{%", "%}", "{#", "#}", " x ", "xs", "|", "fence", "if ", "for ", " in ", "endif", "endfor", "'", '"',
     "(", ")", ".", "__class__", "loop", "\n", "1", "**", "-", "[", "]", "is none", "not ", "raw", "endraw", "é", "\\"]
)  # fmt: skip


@given(st.lists(SNIPPETS, max_size=25).map("".join))
def test_any_text_is_a_prompt_or_has_problems_with_places_in_it(template):
    try:
        make(template, VARIABLES).render(VALUES, marker=MARKER)
        problems = ()
    except Refusal:
        problems = ()  # an object lacks something
    except ConfigError as error:
        problems = error.problems
    lines = template.count("\n") + 20

    assert all(1 <= problem.line <= lines and problem.column >= 1 for problem in problems)


def test_fixed_text_that_cannot_be_rendered_is_a_problem_of_the_file():
    assert "cannot be rendered" in refusal("{{ (1 or 'a')|upper }}")[0]
    assert "longer than 1048576 characters" in refusal("{{ '" + "\\n" * 40_000 + "'|indent(32, blank=true) }}")[0]
