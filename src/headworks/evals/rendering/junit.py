"""The run as JUnit XML, for CI servers: a suite for each arm, a test for each case. No inputs, no answers."""

from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from headworks.evals.reporting import Report, reason_of
from headworks.evals.runs import Result, RunFolder, Unit


def junit_report(report: Report, folder: RunFolder) -> Iterator[str]:
    """The XML, piece by piece: a run of many cases is never whole in memory. A wrong answer is a failure, an invalid
    one an error, a question that was not asked is skipped."""
    manifest = report.manifest
    tests = manifest.cases * len(manifest.arms)
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<testsuites name={_attribute(f"eval of {manifest.workload}")} tests="{tests}">\n'
    for number, arm in enumerate(manifest.arms):
        suite = f"{manifest.workload} {arm.name}"
        verdicts = [_verdict(folder, number, index) for index in folder.order]
        counts = {name: verdicts.count(name) for name in ("failure", "error", "skipped")}
        yield (
            f'  <testsuite name={_attribute(suite)} tests="{manifest.cases}" failures="{counts["failure"]}" '
            f'errors="{counts["error"]}" skipped="{counts["skipped"]}">\n'
        )
        for index in folder.order:
            yield _test(folder, number, index, suite)
        yield "  </testsuite>\n"
    yield "</testsuites>\n"


def _results(folder: RunFolder, arm: int, index: int) -> list[Result]:
    case = folder.cases[index]
    units = [Unit(arm, index, repeat) for repeat in range(folder.manifest.repeats)]
    return [
        Result(unit, case, answered, folder.scored(unit))
        for unit in units
        if (answered := folder.answered(unit)) is not None
    ]


def _worst(results: list[Result]) -> Result | None:
    return next((one for kind in ("wrong", "invalid") for one in results if one.verdict == kind), None)


def _verdict(folder: RunFolder, arm: int, index: int) -> str:
    results = _results(folder, arm, index)
    worst = _worst(results)
    if not results:
        return "skipped"
    return "" if worst is None else "failure" if worst.verdict == "wrong" else "error"


def _test(folder: RunFolder, arm: int, index: int, suite: str) -> str:
    results = _results(folder, arm, index)
    seconds = sum(one.answered.reply.latency_ms for one in results) / 1000
    case_id = folder.cases[index].id
    head = f'    <testcase classname={_attribute(suite)} name={_attribute(case_id)} time="{seconds:.3f}"'
    if not results:
        return f"{head}><skipped/></testcase>\n"
    worst = _worst(results)
    if worst is None:
        return f"{head}/>\n"
    element = "failure" if worst.verdict == "wrong" else "error"
    return f"{head}><{element} message={_attribute(reason_of(worst))}/></testcase>\n"


def _attribute(text: str) -> str:
    """A quoted attribute. What XML 1.0 cannot hold at all is replaced (XML 1.0 §2.2)."""
    kept = "".join(
        one if one in "\t\n\r" or " " <= one <= "\ud7ff" or "\ue000" <= one <= "\ufffd" or one > "\uffff" else "\ufffd"
        for one in text
    )
    return quoteattr(kept)
