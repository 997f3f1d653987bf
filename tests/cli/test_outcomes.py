import fcntl
import json
import time

import msgspec
import pytest

from headworks.calls import Opened, OutcomeReport, Settled
from headworks.cli import main
from headworks.records import JOURNAL_FOLDER
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import Segment

NOW_US = int(time.time() * 1e6)


def settled(n: int, **fields: object) -> Settled:
    opened = Opened(f"call_{n:027d}", NOW_US - 100_000_000 + n, "responses", "triage", "key_a", model="luna")
    call = Settled(
        opened,
        "answered",
        200,
        1_240_000,
        input_tokens=1000,
        output_tokens=250,
        usage_source="provider",
        workload="triage",
        prompt_version="1.0.0",
    )
    return msgspec.structs.replace(call, **fields)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "headworks.yaml").write_text("providers: {sim: {kind: simulator}}\n")
    return tmp_path


@pytest.fixture
def write(project):
    """Leaves entries in a journal, as a worker does that has ended."""
    count = 0

    def write(*entries):
        nonlocal count
        count += 1
        folder = project / ".headworks" / JOURNAL_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / Segment("worker-1", 1, count).name).write_bytes(MAGIC + b"".join(map(frame, entries)))

    return write


@pytest.fixture
def outcomes(project, capsys):
    """Runs `headworks outcomes`; returns exit code, standard output, standard error."""

    def run(*arguments):
        code = main(["outcomes", *arguments, "--config", str(project / "headworks.yaml")])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def lines(outcomes, *arguments) -> list[dict[str, object]]:
    code, out, _ = outcomes(*arguments, "--json")
    assert code == 0
    return [json.loads(line) for line in out.splitlines()]


def test_what_is_reported_by_hand_is_listed_with_its_call(write, outcomes):
    write(settled(1), settled(2))

    code, out, err = outcomes(
        "report", "call_000000000000000000000000001", "accepted=true", "score=0.5", "category=refund"
    )
    listed = lines(outcomes)

    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "accepted = true (boolean) of call_000000000000000000000000001",
        "score = 0.5 (number) of call_000000000000000000000000001",
        'category = "refund" (label) of call_000000000000000000000000001',
    ]
    assert [(one["name"], one["value"], one["source"], one["calls"], one["state"]) for one in listed] == [
        ("category", "refund", "cli", 1, "matched"),
        ("score", 0.5, "cli", 1, "matched"),
        ("accepted", True, "cli", 1, "matched"),
    ]


def test_reporting_again_replaces_what_the_source_has_said(write, outcomes):
    write(settled(1))
    outcomes("report", "call_000000000000000000000000001", "accepted=true")
    outcomes("report", "call_000000000000000000000000001", "accepted=false", "--source", "ann")
    outcomes("report", "call_000000000000000000000000001", "accepted=false")

    assert [(one["source"], one["value"]) for one in lines(outcomes)] == [("cli", False), ("ann", False)]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("true", "label", "true"),
        ("5", "text", "5"),
        ('{"a": 1}', "demonstration", {"a": 1}),
        ("so", "demonstration", "so"),
        ('{"a": 1}', None, '{"a": 1}'),
        ("a=b", None, "a=b"),
    ],
)
def test_a_kind_says_how_a_value_is_meant(write, outcomes, value, kind, expected):
    write(settled(1))
    flags = ["--kind", kind] if kind else []

    assert outcomes("report", "call_000000000000000000000000001", f"given={value}", *flags)[0] == 0
    assert [one["value"] for one in lines(outcomes)] == [expected]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ("call_000000000000000000000000009", "accepted=true"),
            "there is no call 'call_000000000000000000000000009'; the nearest: call_000000000000000000000000001",
        ),
        (
            ("call_000000000000000000000000001", "accepted=yes", "--kind", "boolean"),
            "outcomes[0].value must be true or false",
        ),
        (("call_000000000000000000000000001", "Accepted=true"), "outcomes[0].name must be 1 to 64 of"),
        (("call_000000000000000000000000001", "a=1", "--source", "a b"), "outcomes[0].source must be"),
    ],
)
def test_what_cannot_be_reported_is_said_and_nothing_is(write, outcomes, arguments, problem):
    write(settled(1))

    code, out, err = outcomes("report", *arguments)

    assert (code, out) == (1, "")
    assert problem in err
    assert lines(outcomes) == []


def test_what_is_no_assignment_is_wrong_usage(outcomes, capsys):
    with pytest.raises(SystemExit) as ended:
        outcomes("report", "call_000000000000000000000000001", "accepted")

    assert ended.value.code == 2
    assert "is not of the form NAME=VALUE" in capsys.readouterr().err


def test_reports_that_match_nothing_wait_for_a_day_and_are_unmatched_then(write, outcomes):
    def report(n, age_h):
        return OutcomeReport(
            f"out_{n}", NOW_US - age_h * 3_600_000_000, "accepted", "boolean", "true", trace_id=f"t{n}", source="api"
        )

    write(settled(1, trace_id="t1"), report(1, 30), report(2, 1), report(3, 30))

    states = {one["trace_id"]: one["state"] for one in lines(outcomes)}
    assert states == {"t1": "matched", "t2": "waiting", "t3": "unmatched"}
    assert [one["trace_id"] for one in lines(outcomes, "--unmatched")] == ["t3"]
    table = outcomes()[1].splitlines()
    assert table[0].split() == ["TIME", "NAME", "VALUE", "KIND", "SOURCE", "CALLS", "ABOUT"]
    assert table[1].split()[-3:] == ["waiting", "trace_id", "t2"]


def test_reports_are_filtered(write, outcomes):
    write(settled(1))
    outcomes("report", "call_000000000000000000000000001", "accepted=true", "score=1")

    assert [one["name"] for one in lines(outcomes, "--name", "score")] == ["score"]
    assert [one["name"] for one in lines(outcomes, "list", "--limit", "1")] == ["score"]
    assert lines(outcomes, "--source", "user") == []
    assert lines(outcomes, "--until", "1h") == []


def test_rates_stand_by_workload_and_version_beside_the_calls(write, outcomes):
    write(
        *(settled(n, cost_pico=n * 10**9 if n > 1 else -1) for n in range(1, 5)),
        *(settled(n, prompt_version="1.1.0", total_us=2_000_000) for n in range(5, 7)),
        *(
            OutcomeReport(
                f"out_{n}", n, "accepted", "boolean", "false" if n == 1 else "true", f"call_{n:027d}", source="api"
            )
            for n in (1, 2, 3, 5)
        ),
    )

    code, out, err = outcomes("rates")
    found = lines(outcomes, "rates", "--by", "prompt-version,model", "--since", "1d", "--name", "accepted")

    assert (code, err) == (0, "")
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "WORKLOAD PROMPT-VERSION OUTCOME SOURCE REPORTS RATE 95 % CALLS MEDIAN IN OUT COST",
        "triage 1.0.0 accepted api 3 66.7% 20.8% to 93.9% 4 1.24s 1,000 250 $0.003",
        "triage 1.1.0 accepted api 1 100.0% 20.7% to 100.0% 2 2.00s 1,000 250 -",
    ]
    assert [(one["workload"], one["prompt_version"], one["model"], one["value"]) for one in found] == [
        ("triage", "1.0.0", "luna", pytest.approx(2 / 3)),
        ("triage", "1.1.0", "luna", 1.0),
    ]
    assert [(one["cost_usd"], one["unknown_costs"]) for one in found] == [("0.009", 1), (None, 2)]
    assert lines(outcomes, "rates", "--workload", "other") == []
    assert lines(outcomes, "rates", "--until", "1d") == []
    assert [one["model"] for one in lines(outcomes, "rates", "--by", "model")] == ["luna"]


def test_means_and_labels_have_rates_of_their_own(write, outcomes):
    write(settled(1), settled(2))
    outcomes("report", "call_000000000000000000000000001", "score=1", "category=bug", "note=so", "--source", "a")
    outcomes("report", "call_000000000000000000000000002", "score=2", "category=refund", "--source", "a")
    outcomes("report", "call_000000000000000000000000002", "note=better", "--kind", "text", "--source", "b")

    out = outcomes("rates", "--by", "model")[1]

    for row in (
        "luna category=bug a 1 50.0% 9.5% to 90.5% 2",
        "luna category=refund a 1 50.0% 9.5% to 90.5% 2",
        "luna score a 2 1.5 0.52 to 2.48 2",
        "luna note b 1 - - 2",
    ):
        assert row in [" ".join(line.split()[: len(row.split())]) for line in out.splitlines()], row


def test_before_anything_is_recorded_it_says_so(outcomes, project):
    assert "nothing is recorded yet" in outcomes()[2]
    (project / ".headworks").mkdir()
    assert "no report matches" in outcomes()[2]
    assert "no outcome is reported" in outcomes("rates")[2]


def test_when_the_journals_are_full_nothing_is_reported_and_it_is_said(write, outcomes, project):
    (project / "headworks.yaml").write_text(
        "providers: {sim: {kind: simulator}}\nstorage: {journal_bytes: 1048576, segment_bytes: 65536}\n"
    )
    write(settled(1))
    outcomes()
    kept = project / ".headworks" / JOURNAL_FOLDER / Segment("worker-1", 1, 9).name
    kept.write_bytes(MAGIC + bytes(2_000_000))
    with kept.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as a living worker does
        code, out, err = outcomes("report", "call_000000000000000000000000001", "accepted=true")

    assert (code, out) == (1, "")
    assert "are full" in err
