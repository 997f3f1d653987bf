"""What an arm finds for a case before it asks."""

import asyncio
import sys

import pytest

from headworks.errors import CommandError, ConfigError
from headworks.evals.golden import GoldenCase
from headworks.evals.retrieval import (
    MOST_CONTEXT_BYTES,
    Contexts,
    FromCommand,
    FromFile,
    FromFunction,
    RetrievalFailed,
    way_of,
)
from headworks.evals.scorers import parse_settings

CASES = [GoldenCase(name, variables={"q": name}) for name in ("a", "b", "c")]


def found(way, *cases):
    async def do():
        try:
            return [await way.find(case) for case in cases or CASES[:1]]
        finally:
            await way.close()

    return asyncio.run(do())


class Way:
    """Finds by what it is told, and remembers what it was asked."""

    identity = "no other"

    def __init__(self, says):
        self.says, self.asked, self.is_closed = says, [], False

    async def find(self, case):
        self.asked.append(case.id)
        said = self.says(case)
        if isinstance(said, BaseException):
            raise said
        if asyncio.iscoroutine(said):
            said = await said
        return said

    async def close(self):
        self.is_closed = True


def gathered(path, way, cases=CASES, most_s=60.0):
    """How many failed, and what each case has."""

    async def do():
        contexts = Contexts(path, way)
        try:
            failed = await contexts.gather(iter(cases), concurrency=2, most_s=most_s)
            had = {}
            for case in cases:
                try:
                    had[case.id] = contexts.context_of(case)
                except RetrievalFailed as error:
                    had[case.id] = error.args[0]
            return failed, had
        finally:
            await contexts.close()

    return asyncio.run(do())


def test_a_file_has_a_context_for_each_case(tmp_path):
    path = tmp_path / "bm25.jsonl"
    path.write_text('{"id": "b", "context": "two"}\n\n{"id": "a", "context": ["one", "more"]}\n')

    assert found(FromFile(path), *CASES[:2]) == ["one\n\nmore", "two"]
    with pytest.raises(RetrievalFailed, match=r"bm25\.jsonl has no context"):
        found(FromFile(path), CASES[2])
    before = FromFile(path).identity
    path.write_text('{"id": "a", "context": "other"}\n')
    assert FromFile(path).identity != before


@pytest.mark.parametrize("line", ["{", '{"id": "a"}', '{"id": "a", "context": 3}', "\xff"])
def test_a_line_that_is_no_context_is_named_and_not_quoted(tmp_path, line):
    path = tmp_path / "bm25.jsonl"
    path.write_bytes(b'{"id": "z", "context": ""}\n' + line.encode("latin-1"))

    with pytest.raises(ConfigError, match=r"bm25\.jsonl:2"):
        FromFile(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        FromFile(tmp_path / "none")


def test_a_function_sees_the_case_without_what_is_expected(tmp_path):
    path = tmp_path / "find.py"
    path.write_text("def find(case):\n    return [case['id'], str(sorted(case)), case['variables']['q']]\n")

    assert found(FromFunction(path, "find", 10.0)) == ["a\n\n['id', 'input', 'tags', 'variables']\n\na"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def find(case):\n    return 3\n", r"find\.py:find: gave neither a text nor a list of texts"),
        ("def find(case):\n    raise ValueError(case['id'])\n", r"find\.py:find: raises ValueError in line 2$"),
        ("def found(case):\n    return ''\n", "there is no function find"),
        (f"def find(case):\n    return 'x' * {MOST_CONTEXT_BYTES + 1}\n", "longer than 500,000 bytes"),
    ],
)
def test_a_function_that_gives_none_says_why(tmp_path, code, message):
    path = tmp_path / "find.py"
    path.write_text(code)

    with pytest.raises(RetrievalFailed, match=message):
        found(FromFunction(path, "find", 10.0))


def test_a_function_has_so_much_time_and_the_next_case_another_process(tmp_path):
    path = tmp_path / "find.py"
    path.write_text(
        "import time\n\ndef find(case):\n    time.sleep(60 if case['id'] == 'a' else 0)\n    return 'here'\n"
    )

    failed, had = gathered(tmp_path / "contexts.jsonl", FromFunction(path, "find", 1.0), CASES[:2])

    assert (failed, had["b"]) == (1, "here")
    assert "gave no context within 1 s" in had["a"]
    with pytest.raises(ConfigError):
        FromFunction(tmp_path / "none.py", "find", 1.0)


def test_a_command_gets_the_case_and_says_the_context(tmp_path):
    (tmp_path / "find.py").write_text("import json, sys\nprint(json.dumps(json.load(sys.stdin)['case']['id'] * 2))\n")

    assert found(FromCommand((sys.executable, "find.py"), tmp_path, 20.0)) == ["aa"]
    with pytest.raises(RetrievalFailed, match="ended with code 3"):
        found(FromCommand((sys.executable, "-c", "raise SystemExit(3)"), tmp_path, 20.0))
    with pytest.raises(RetrievalFailed, match="cannot be started"):
        found(FromCommand(("no-such-command",), tmp_path, 20.0))


def test_what_was_found_is_kept_with_the_run_and_what_was_not_is_looked_for_again(tmp_path):
    path = tmp_path / "contexts.jsonl"
    first = Way(lambda case: RetrievalFailed("no index") if case.id == "b" else f"for {case.id}")
    assert gathered(path, first) == (1, {"a": "for a", "b": "no index", "c": "for c"})
    second = Way(lambda case: "found now")

    assert gathered(path, second) == (0, {"a": "for a", "b": "found now", "c": "for c"})
    assert second.asked == ["b"]
    assert second.is_closed


def test_all_retrieval_together_has_a_bound(tmp_path):
    failed, had = gathered(tmp_path / "contexts.jsonl", Way(lambda case: asyncio.sleep(60)), most_s=0.05)

    assert failed == 3
    assert set(had.values()) == {"the time for all retrieval was over"}


def test_ways_are_of_evals_yaml(tmp_path):
    (tmp_path / "f.jsonl").write_text("")
    (tmp_path / "f.py").write_text("")

    def parsed(ways):
        return parse_settings(
            f"retrieval: {{variable: passages, ways: {{{ways}}}}}", file="evals.yaml", folder=tmp_path
        ).retrieval

    settings = parsed("one: {file: f.jsonl}, two: {function: {call: 'f.py:g'}}, three: {command: {run: [x]}}")
    assert [type(way_of(settings, name, tmp_path)) for name in settings.ways] == [FromFile, FromFunction, FromCommand]
    with pytest.raises(CommandError, match="called `four`; it has: `one`, `three`, `two`"):
        way_of(settings, "four", tmp_path)
    for ways, message in (
        ("one: {}", "expected one of `file`, `function`, `command`, got 0"),
        ("one: {file: f.jsonl, command: {run: [x]}}", "got 2"),
        ("one: {file: gone.jsonl}", "no such file"),
    ):
        with pytest.raises(ConfigError, match=message):
            parsed(ways)
