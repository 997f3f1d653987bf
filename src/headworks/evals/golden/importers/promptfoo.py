"""promptfoo: the `tests` of a configuration (YAML or JSON), or its table of tests (CSV).

What is read: `vars` (a list of values makes one case of each, as promptfoo does), `assert` of `equals` and of those
that look for a text, `defaultTest`, `description`, `metadata`, and files that `tests` names (promptfoo 0.123.1,
"Configuration reference" and "Test cases"). What else an assertion demands is a scorer's work here, and said in a note.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import yaml

from headworks.errors import ConfigError, Problem
from headworks.evals.golden.cases import GoldenCase
from headworks.evals.golden.importers.csv_table import table_rows
from headworks.evals.golden.importers.imported import Ids, Imported, raw, read_source, text_or_json

_CONTAINS = {"contains": "", "icontains": "(?i)"}
_MATCHING = ("contains", "icontains", "contains-all", "icontains-all", "contains-any", "icontains-any", "regex",
             "starts-with")  # fmt: skip
_COUNTERPARTS = {
    "is-json": "schema",
    "contains-json": "schema",
    "is-valid-openai-tools-call": "tool_calls",
    "llm-rubric": "judge",
    "model-graded-closedqa": "judge",
    "factuality": "judge",
    "g-eval": "judge",
    "similar": "embedding",
    "javascript": "function",
    "python": "function",
    "webhook": "command",
    "cost": "the report",
    "latency": "the report",
}
_TEXT_ASSERTION = re.compile(r"([a-z][a-z-]*)(?:\(([0-9.]+)\))?:(.*)", re.DOTALL)
_ALIASES = {"fn": "javascript", "eval": "javascript", "grade": "llm-rubric"}
_MOST_CASES = 100_000
_MOST_NODES = 5_000_000


class _Test(msgspec.Struct):
    """One test, and where it stands."""

    file: str
    line: int
    variables: dict[str, object]
    asserted: list[tuple[str, object]]
    description: str = ""
    tags: tuple[str, ...] = ()


class _Problems:
    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, file: str, line: int, message: str) -> None:
        if len(self.found) < 20:
            self.found.append(Problem(file, line, 1 if line else 0, message))


def read_promptfoo(path: Path, *, prefix: str = "promptfoo") -> Imported:
    """The cases of a configuration, or of a CSV file of tests.

    Where every test asserts `equals`, its value is what is expected. Where tests look for texts instead, `expected` is
    a regular expression (or a list of them, all of which must match) for the scorer `regex`.

    Arguments:
        prefix: of ids, where a test has no description.

    Raises:
        ConfigError: cannot be read, or has no tests; with file and line.
    """
    problems = _Problems()
    tests = list(itertools.islice(_tests_of(path, problems), _MOST_CASES + 1))
    if len(tests) > _MOST_CASES:
        problems.add(str(path), 0, f"has more than {_MOST_CASES:,} tests: split it")
    if not tests and not problems.found:
        problems.add(str(path), 0, "has no `tests`")
    if problems.found:
        raise ConfigError(*problems.found)
    looks_for_text = any(kind in _MATCHING for test in tests for kind, _ in test.asserted)
    ids, cases, left = Ids(prefix), list[GoldenCase](), Counter[str]()
    for test in tests:
        left.update(kind for kind, _ in test.asserted if kind != "equals" and kind not in _MATCHING)
        expected = _expected(test.asserted, is_pattern=looks_for_text)
        combinations = list(_combinations(test.variables))
        if len(cases) + len(combinations) > _MOST_CASES:
            raise ConfigError(Problem(test.file, test.line, 1, f"makes more than {_MOST_CASES:,} cases of its lists"))
        cluster = ids.next(test.description) if len(combinations) > 1 else ""
        for values in combinations:
            case_id = ids.next(test.description)
            cases.append(GoldenCase(case_id, values, raw([]), expected, test.tags, cluster))
    return Imported(tuple(cases), tuple(_notes(cases, left)), "regex" if looks_for_text else "")


def _notes(cases: list[GoldenCase], left: Counter[str]) -> Iterator[str]:
    for kind, count in left.most_common():
        counterpart = _COUNTERPARTS.get(kind.removeprefix("not-"), "")
        there = {"": "nothing here does the same", "the report": "every report has it"}.get(
            counterpart, f"configure the scorer `{counterpart}` in evals.yaml"
        )
        yield f"{count} assertions of type `{kind}` were left out: {there}"
    templates = sum(any("{{" in str(value) for value in case.variables.values()) for case in cases)
    if templates:
        yield f"{templates} cases have templates (`{{{{ ... }}}}`) in their variables, which stay as they are written"
    without = sum(not case.has_expected for case in cases)
    if without:
        yield f"{without} of {len(cases)} cases do not say what is right"


# -- where tests stand -----------------------------------------------------------------------------------------------


def _tests_of(path: Path, problems: _Problems, common: Mapping[str, object] | None = None) -> Iterator[_Test]:
    """The tests of a file.

    Arguments:
        common: the `defaultTest` of the configuration that names the file.
    """
    if path.suffix.lower() == ".csv":
        yield from _of_csv(path, common or {}, problems)
        return
    document, lines = _load(path)
    if isinstance(document, list):
        yield from _of_list(document, common or {}, path, lines, problems)
        return
    if not isinstance(document, dict):
        problems.add(str(path), 0, "expected a promptfoo configuration with `tests`, or a list of tests")
        return
    default = document.get("defaultTest")
    if isinstance(default, str):
        problems.add(str(path), 0, "`defaultTest` names a file: write it out here")
    tests = document.get("tests")
    entries = tests if isinstance(tests, list) else [] if tests is None else [tests]
    yield from _of_list(entries, default if isinstance(default, dict) else {}, path, lines, problems)
    for name in ("scenarios",):
        if document.get(name):
            problems.add(str(path), 0, f"`{name}` are not read: write them out as `tests`")


def _of_list(
    entries: list[object], default: Mapping[str, object], path: Path, lines: list[int], problems: _Problems
) -> Iterator[_Test]:
    for index, entry in enumerate(entries):
        line = lines[index] if index < len(lines) else 0
        if isinstance(entry, str):
            others = _all_beside(path, entry)
            if not others:
                problems.add(
                    str(path), line, "expected tests, or a CSV, YAML, JSON or JSONL file below this one's folder"
                )
            for other in others:
                if other.suffix == ".jsonl":
                    yield from _of_jsonl(other, default, problems)
                else:
                    yield from _tests_of(other, problems, default)
        elif isinstance(entry, dict):
            test = _of_mapping(entry, default, path, line, problems)
            if test is not None:
                yield test
        else:
            problems.add(str(path), line, "expected a test: a mapping with `vars` and `assert`")


def _of_jsonl(path: Path, default: Mapping[str, object], problems: _Problems) -> Iterator[_Test]:
    for number, line in enumerate(read_source(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            entry = msgspec.json.decode(line, type=dict[str, object])
        except msgspec.DecodeError:
            problems.add(str(path), number, "expected a JSON object")
            continue
        test = _of_mapping(entry, default, path, number, problems)
        if test is not None:
            yield test


def _of_mapping(
    entry: Mapping[str, object], default: Mapping[str, object], path: Path, line: int, problems: _Problems
) -> _Test | None:
    if isinstance(entry.get("vars"), str):
        problems.add(str(path), line, "`vars` names a file: write the variables out here")
        return None
    variables = {**_mapping(default.get("vars")), **_mapping(entry.get("vars"))}
    for name, value in list(variables.items()):
        if isinstance(value, str) and value.startswith("file://"):
            other = _beside(path, value)
            if other is None or other.suffix in (".js", ".ts", ".py", ".mjs"):
                problems.add(str(path), line, f"`vars.{name}` names a file that is not text below this one's folder")
                return None
            variables[name] = read_source(other)
    asserted = list[tuple[str, object]]()
    for one in [*_listed(default.get("assert")), *_listed(entry.get("assert"))]:
        kind = one.get("type") if isinstance(one, dict) else None
        if not isinstance(one, dict) or not isinstance(kind, str):
            problems.add(str(path), line, "expected every assertion to have a `type`")
            return None
        nested = _listed(one.get("assert")) if kind == "assert-set" else [one]
        for each in (each for each in nested if isinstance(each, dict)):
            kind, value = str(each.get("type")), each.get("value")
            if isinstance(value, str) and value.startswith("file://") and (kind == "equals" or kind in _MATCHING):
                other = _beside(path, value)
                if other is None:
                    problems.add(str(path), line, f"`{kind}` names a file that is not below this one's folder")
                    return None
                value = read_source(other).strip()
            asserted.append((kind, value))
    description = entry.get("description")
    tags = tuple(
        f"{name}:{value}" for name, value in _mapping(entry.get("metadata")).items() if isinstance(value, str | int)
    )
    return _Test(str(path), line, variables, asserted, description if isinstance(description, str) else "", tags)


def _of_csv(path: Path, default: Mapping[str, object], problems: _Problems) -> Iterator[_Test]:
    for line, row in table_rows(path):
        usual = _of_mapping({}, default, path, line, problems)
        if usual is None:
            return
        variables, asserted = usual.variables, usual.asserted
        tags, description = list[str](), ""
        for name, cell in row.items():
            if re.fullmatch("__expected[0-9]*", name):
                if cell:
                    asserted.append(_asserted_in(cell))
            elif name == "__description":
                description = cell
            elif name.startswith("__metadata:"):
                key = name.removeprefix("__metadata:").removesuffix("[]")
                tags.extend(f"{key}:{value.strip()}" for value in cell.split(",") if value.strip())
            elif name in ("__prefix", "__suffix") and cell:
                problems.add(str(path), line, f"`{name}` changes the prompt: write it into prompt.md as a variable")
            elif not name.startswith("__"):
                variables[name] = cell
        yield _Test(str(path), line, variables, asserted, description, tuple(tags))


def _asserted_in(cell: str) -> tuple[str, object]:
    """An assertion as it stands in a cell: `contains: text`, `is-json`, or the text that is right."""
    found = _TEXT_ASSERTION.fullmatch(cell)
    kind = "" if found is None else _ALIASES.get(found[1], found[1])
    known = kind.removeprefix("not-")
    if found is not None and (known in _MATCHING or known in _COUNTERPARTS or known == "equals"):
        value = found[3].strip()
        if kind.endswith(("-all", "-any")):
            return kind, [part.strip() for part in value.split(",")]
        return kind, value
    if cell.strip() in _COUNTERPARTS:
        return cell.strip(), None
    return "equals", text_or_json(cell)


# -- what is expected -------------------------------------------------------------------------------------------------


def _expected(asserted: list[tuple[str, object]], *, is_pattern: bool) -> msgspec.Raw | msgspec.UnsetType:
    values = [value for kind, value in asserted if kind == "equals"]
    if not is_pattern:
        return msgspec.UNSET if not values else raw(values[0] if len(values) == 1 else values)
    patterns = [pattern for kind, value in asserted for pattern in _patterns(kind, value)]
    return msgspec.UNSET if not patterns else raw(patterns[0] if len(patterns) == 1 else patterns)


def _patterns(kind: str, value: object) -> list[str]:
    """Regular expressions that must all be found in the answer."""
    texts = [str(one) for one in (value if isinstance(value, list) else [value])]
    ignoring = "(?i)" if kind.startswith("i") else ""
    match kind:
        case "equals":
            return [rf"^\s*{re.escape(texts[0])}\s*$"]
        case "regex":
            return [texts[0]]
        case "starts-with":
            return [f"^{re.escape(texts[0])}"]
        case "contains" | "icontains" | "contains-all" | "icontains-all":
            return [ignoring + re.escape(text) for text in texts]
        case "contains-any" | "icontains-any":
            return [ignoring + "|".join(re.escape(text) for text in texts)]
        case _:
            return []


def _combinations(variables: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """The values of each case: promptfoo makes one test of each value of a list."""
    names = list(variables)
    choices = [value if isinstance(value, list) and value else [value] for value in variables.values()]
    for values in itertools.islice(itertools.product(*choices), _MOST_CASES + 1):
        yield dict(zip(names, values, strict=True))


# -- reading ----------------------------------------------------------------------------------------------------------


def _load(path: Path) -> tuple[object, list[int]]:
    """A YAML or JSON document, and the line of each of its tests."""
    text = read_source(path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        document: object = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 0
        raise ConfigError(Problem(str(path), line, 1 if line else 0, f"is not YAML: {error.problem}")) from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise ConfigError(Problem(str(path), 0, 0, "is not YAML")) from None
    if not _is_bounded(document):
        raise ConfigError(Problem(str(path), 0, 0, "has aliases that make it too large"))
    tests = root
    if isinstance(root, yaml.MappingNode):
        tests = next((value for key, value in root.value if key.value == "tests"), None)
    items = tests.value if isinstance(tests, yaml.SequenceNode) else [] if tests is None else [tests]
    return _plain(document), [item.start_mark.line + 1 for item in items]


def _is_bounded(document: object) -> bool:
    """Whether it is no larger than it looks: aliases of aliases multiply."""
    left, waiting = _MOST_NODES, [document]
    while waiting:
        one = waiting.pop()
        inner = list(one.values()) if isinstance(one, dict) else one if isinstance(one, list) else []
        left -= len(inner)
        if left < 0:
            return False
        waiting.extend(inner)
    return True


def _plain(value: object) -> object:
    """What JSON can hold: YAML's dates and the like as text, keys as text."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _beside(path: Path, name: str) -> Path | None:
    """The file that a configuration names, if it lies below its folder and is there."""
    folder = path.parent.resolve()
    other = (folder / name.removeprefix("file://")).resolve()
    return other if other.is_relative_to(folder) and other.is_file() and other != path.resolve() else None


def _all_beside(path: Path, name: str) -> list[Path]:
    """The files that a configuration names, several by a pattern; by name, each once."""
    pattern = name.removeprefix("file://")
    if "*" not in pattern:
        found = _beside(path, name)
        return [] if found is None else [found]
    if pattern.startswith("/") or ".." in Path(pattern).parts:
        return []
    named = sorted(str(one.relative_to(path.parent)) for one in path.parent.glob(pattern))
    return [found for one in named if (found := _beside(path, one)) is not None]


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
