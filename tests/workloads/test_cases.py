import msgspec
import pytest

from headworks.errors import ConfigError
from headworks.workloads import GoldenCase, read_cases


@pytest.fixture
def read(tmp_path):
    def do(content):
        (tmp_path / "golden.jsonl").write_bytes(content)
        return read_cases(tmp_path / "golden.jsonl")

    return do


def test_cases_are_read_in_order_and_empty_lines_passed_over(read):
    found = read(b'{"id": "a", "expected": 1}\n\n{"id": "b", "variables": {"x": 1}, "input": "Hi"}\n')

    assert found == (GoldenCase("a"), GoldenCase("b", {"x": 1}, msgspec.Raw(b'"Hi"')))


def test_every_line_that_is_no_case_is_named(read):
    with pytest.raises(ConfigError) as raised:
        read(b'{"id": "a"}\n{"variables": {}}\n[]\n')

    assert [problem.line for problem in raised.value.problems] == [2, 3]


def test_a_file_that_cannot_be_read_says_why(read, tmp_path):
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_cases(tmp_path / "missing.jsonl")
