import json
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import ConfigError
from headworks.evals.golden import CaseReader, GoldenCase, GoldenFile, case_line, check_cases, read_cases


def found(path) -> list[str]:
    return [f"{problem.line}:{problem.message}" for problem in check_cases(path)]


def test_cases_are_read_in_order_and_empty_lines_passed_over(golden):
    path = golden('{"id": "a", "expected": 1}', "", '{"id": "b", "variables": {"x": 1}, "input": "Hi"}')

    assert read_cases(path) == (
        GoldenCase("a", expected=msgspec.Raw(b"1")),
        GoldenCase("b", {"x": 1}, msgspec.Raw(b'"Hi"')),
    )


def test_every_line_that_is_no_case_is_named(golden):
    with pytest.raises(ConfigError) as raised:
        read_cases(golden('{"id": "a"}', '{"variables": {}}', "[]"))

    assert [problem.line for problem in raised.value.problems] == [2, 3]


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "golden.jsonl").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"golden\.jsonl:1:1: is not UTF-8"):
        read_cases(tmp_path / "golden.jsonl")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_cases(tmp_path / "missing.jsonl")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[]", "expected a JSON object"),
        ("{", "expected a JSON object"),
        ('{"expected": 1}', "expected an `id`: a text of its own"),
        ('{"id": ""}', "expected an `id`: a text of its own"),
        ('{"id": "a", "expected": 1}', "has the `id` of line 1"),
        ('{"id": "b", "variables": []}', "expected `variables` to be an object"),
        ('{"id": "b", "tags": "x"}', "expected `tags` to be a list of texts"),
        ('{"id": "b", "must_pass": 1}', "expected `must_pass` to be true or false"),
        ('{"id": "b", "split": "exam"}', "expected `split` to be `train`, `dev` or `test`"),
        ('{"id": "b", "input": {}}', "expected `input` to be a text or a list of items"),
    ],
)
def test_a_case_that_is_none_is_named_by_its_line(golden, line, message):
    assert found(golden({"id": "a", "expected": 1}, line)) == [f"2:{message}"]


def test_a_golden_set_in_another_format_does_not_fill_the_screen(golden):
    assert len(check_cases(golden(*["x"] * 1000))) == 20


def test_a_set_without_a_case_is_none(golden):
    assert found(golden("")) == ["0:holds no case"]
    with pytest.raises(ConfigError, match="holds no case"):
        GoldenFile(golden(""))


def test_a_line_beyond_the_bound_is_not_read_to_its_end(golden, monkeypatch):
    monkeypatch.setattr("headworks.evals.golden.reading.MOST_LINE_BYTES", 50)

    assert found(golden({"id": "a"}, {"id": "b" * 100})) == ["2:is longer than 50 bytes: no golden set"]


def test_a_message_never_quotes_a_case(golden):
    (problem,) = check_cases(golden('{"id": 5, "variables": {"ticket": "my secret"}}'))

    assert "secret" not in str(problem)


def test_ten_thousand_cases_stream_in_little_memory(tmp_path):
    path = tmp_path / "golden.jsonl"
    with path.open("wb") as file:
        for number in range(10_000):
            file.write(json.dumps({"id": f"case-{number}", "input": "x" * 2000, "expected": number}).encode() + b"\n")
    tracemalloc.start()
    try:
        count = sum(1 for _ in CaseReader(path))
        with GoldenFile(path) as cases:
            assert cases[9_999].id == "case-9999"
            assert len(cases) == count == 10_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000  # the file has 20 MB


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    variables=st.dictionaries(st.text(), json_values, max_size=3),
    expected=st.none() | json_values,
    tags=st.lists(st.text(), max_size=3),
    must_pass=st.booleans(),
    split=st.sampled_from(["train", "dev", "test", "held-out"]),
)
def test_what_is_written_is_read_again(tmp_path_factory, variables, expected, tags, must_pass, split):
    path = tmp_path_factory.mktemp("written") / "golden.jsonl"
    case = GoldenCase(
        "a",
        variables,
        msgspec.Raw(b'"Hi"'),
        msgspec.Raw(msgspec.json.encode(expected)),
        tags=tuple(tags),
        must_pass=must_pass,
        split=split,
    )
    path.write_bytes(case_line(case))

    assert read_cases(path) == (case,)
    with GoldenFile(path) as cases:
        assert cases[0] == case


def test_what_is_asked_has_one_hash_however_it_is_written():
    one = GoldenCase("a", {"x": 1, "y": 2}, msgspec.Raw(b'[{"role": "user", "content": "Hi"}]'))
    other = GoldenCase("b", {"y": 2, "x": 1}, msgspec.Raw(b'[{"content":"Hi","role":"user"}]'))

    assert one.asked_hash == other.asked_hash
    assert one.asked_hash != GoldenCase("a", {"x": 2, "y": 2}, one.input).asked_hash
