import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.importing.source import read_toml, read_yaml

TOML = '''
# [not.a.table]
top = 1
[a]
b.c = "x" # = [
list = [
  "one", # ]
  "two",
]
text = """
[no.table]
key = 1
"""
[a."d.e"]
f = { g = 1, h = [1, 2] }
[[rules]]
name = 'first'
[[rules]]
name = "second"
[rules.deep]
x = true
'''


def test_keys_of_toml_have_their_lines(tmp_path):
    path = tmp_path / "file.toml"
    path.write_text(TOML)

    source = read_toml(path)

    lines = TOML.splitlines()
    for place, text in [
        (("top",), "top = 1"),
        (("a", "b", "c"), 'b.c = "x" # = ['),
        (("a", "list"), "list = ["),
        (("a", "text"), 'text = """'),
        (("a", "d.e", "f"), "f = { g = 1, h = [1, 2] }"),
        (("a", "d.e", "f", "h", 1), "f = { g = 1, h = [1, 2] }"),
        (("rules", 0, "name"), "name = 'first'"),
        (("rules", 1, "name"), 'name = "second"'),
        (("rules", 1, "deep", "x"), "x = true"),
    ]:
        assert lines[source.line(place) - 1] == text, place


@given(st.dictionaries(st.from_regex(r"[a-z][a-z_-]{0,8}", fullmatch=True), st.integers(), min_size=1, max_size=20))
def test_every_key_of_a_flat_file_is_found(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("toml") / "file.toml"
    text = "".join(f"{key} = {value}\n" for key, value in values.items())
    path.write_text(text)

    source = read_toml(path)

    assert [source.line((key,)) for key in tomllib.loads(text)] == list(range(1, len(values) + 1))


@pytest.mark.parametrize(("text", "truth"), [("yes", True), ("Off", False), ("true", True), ("1", None), ("", None)])
def test_truth_values_are_those_of_yaml_1_1(tmp_path, text, truth):
    path = tmp_path / "file.yaml"
    path.write_text(f"key: {text}\n")

    value = read_yaml(path).root.get("key")
    assert value is not None
    assert value.truth is truth


@pytest.mark.parametrize(("text", "number"), [("5", 5), ("4e-7", 4e-7), (".5", 0.5), ("1_000", 1000), ("x", None)])
def test_numbers_are_read_from_text(tmp_path, text, number):
    path = tmp_path / "file.yaml"
    path.write_text(f"key: {text}\n")

    value = read_yaml(path).root.get("key")
    assert value is not None
    assert value.number == number


def test_json_that_is_indented_by_tabs_is_read(tmp_path):
    path = tmp_path / "file.json"
    path.write_text('{\n\t"a": {\n\t\t"b": 1\n\t}\n}\n')

    assert read_yaml(path).line(("a", "b")) == 3
