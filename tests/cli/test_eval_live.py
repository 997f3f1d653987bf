"""Two versions by what became of their live calls."""

import json
import time
from datetime import UTC, datetime

import msgspec
import pytest

from headworks.calls import Opened, OutcomeReport, Settled
from headworks.cli import main
from headworks.records import JOURNAL_FOLDER
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import Segment

NOW_US = int(time.time() * 1e6)


@pytest.fixture
def compare(tmp_path, capsys):
    """Compares versions 1.0.0 and 1.1.0 of which so many calls of so many were accepted."""
    (tmp_path / "headworks.yaml").write_text("providers: {sim: {kind: simulator}}\n")

    def do(*words, **versions):
        entries, number = [], 0
        for name, (good, cases) in versions.items():
            version = name.removeprefix("v").replace("_", ".")
            for place in range(cases):
                number += 1
                opened = Opened(
                    f"call_{number:027d}", NOW_US - 10**8 + number, "responses", "triage", "key_a", model="luna"
                )
                settled = Settled(opened, "answered", 200, 1000, workload="triage", prompt_version=version)
                cost = -1 if place == 0 else 2_000_000 if version == "1.0.0" else 1_500_000
                entries.append(msgspec.structs.replace(settled, cost_pico=cost))
                value = "true" if place < good else "false"
                entries.append(
                    OutcomeReport(
                        f"out_{number:027d}", NOW_US, "accepted", "boolean", value, opened.call_id, source="app"
                    )
                )
        folder = tmp_path / ".headworks" / JOURNAL_FOLDER
        folder.mkdir(parents=True)
        (folder / Segment("worker-1", 1, 1).name).write_bytes(MAGIC + b"".join(map(frame, entries)))
        flags = ["--config", str(tmp_path / "headworks.yaml")]
        arms = ["--arm", "prompt=1.0.0", "--arm", "prompt=1.1.0"]
        code = main(["eval", "compare", "triage", "--outcome", "accepted", *(words or arms), *flags])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return do


@pytest.mark.parametrize(
    ("old", "new", "code", "word"),
    [
        ((180, 200), (100, 200), 1, "worse"),
        ((9, 10), (8, 10), 3, "too thin"),
        ((180, 200), (199, 200), 0, "not worse"),
    ],
)
def test_two_versions_are_compared_by_their_outcomes(compare, old, new, code, word):
    found, out, _ = compare(v1_0_0=old, v1_1_0=new)

    assert found == code
    assert out.splitlines()[-1].endswith(word)
    assert f"{old[0]} of {old[1]}" in out
    means = ", ".join(
        f"{name} {cost} (mean of {cases - 1}; of 1 it is not known)"
        for name, cost, (_, cases) in (("old", "$0.000002", old), ("new", "$0.0000015", new))
    )
    assert f"what a call has cost: {means}" in out


def moment(us):
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat()


def test_two_times_are_compared_by_their_outcomes(compare):
    """The calls of the versions were made one after the other: they stand for what was before and what came after."""
    then = moment(NOW_US - 10**8 + 201)
    code, out, _ = compare(
        "--arm", f"until={then}", "--arm", f"since={then},until=0s", v1_0_0=(180, 200), v1_1_0=(100, 200)
    )

    assert code == 1
    assert "180 of 200" in out
    assert "100 of 200" in out
    assert "old $0.000002 (mean of 199; of 1 it is not known), new $0.0000015 (mean of 199;" in out


def test_times_belong_to_live_calls(compare):
    code, _, err = compare("--arm", "until=1d", "--arm", "since=1d", "--outcome", "", v1_0_0=(1, 2))
    assert (code, "`since` and `until` are of live calls" in err) == (2, True)


def test_programs_get_everything(compare):
    arms = ("--arm", "prompt=1.0.0", "--arm", "prompt=1.1.0")
    code, out, _ = compare(*arms, "--json", v1_0_0=(180, 200), v1_1_0=(100, 200))
    found = json.loads(out)
    assert (code, found["verdict"], found["sources"]["app"]["second"]["good"]) == (1, "worse", 100)
    assert found["costs"] == [
        {"calls": 200, "unknown_costs": 1, "cost_usd": "0.000398"},
        {"calls": 200, "unknown_costs": 1, "cost_usd": "0.0002985"},
    ]


@pytest.mark.parametrize(
    ("words", "ends_with", "message"),
    [
        (("--arm", "prompt=1.0.0"), 2, "--outcome compares two"),
        (("--arm", "prompt=1.0.0", "--arm", "prompt=9.9.9"), 1, "no source has reported `accepted`"),
        (("--arm", "prompt=1.0.0", "--arm", "temperature=1"), 2, "told apart by version, model and time"),
        (("--arm", "prompt=1.0.0", "--arm", "model=luna"), 2, "a call may be of both"),
        (("--arm", "since=2d", "--arm", "since=1d"), 2, "a call may be of both"),
        (("--arm", "until=1h", "--arm", "until=1d"), 2, "a call may be of both"),
    ],
)
def test_what_cannot_be_compared_is_said(compare, words, ends_with, message):
    code, _, err = compare(*words, v1_0_0=(9, 10))
    assert code == ends_with
    assert message in err
