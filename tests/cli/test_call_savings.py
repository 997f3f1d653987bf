import json

import msgspec
import pytest

from headworks.calls import Opened, Settled, SettledFromCache, Usage
from headworks.catalogue import PriceArchive
from headworks.cli import main
from headworks.config import load_state, price_book
from headworks.records import JOURNAL_FOLDER
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import Segment

NOV_US = 1_795_435_200_000_000  # 2026-11-23


@pytest.fixture
def project(tmp_path):
    (tmp_path / "headworks.yaml").write_text(
        "providers: {sim: {kind: simulator}}\n"
        "tiers: {nano: sim/gpt-6-luna, mini: sim/gpt-6.1-terra, flagship: sim/gpt-6.1-sol}\n"
    )
    folder = tmp_path / "workloads" / "triage"
    folder.mkdir(parents=True)
    (folder / "workload.yaml").write_text("owner: support\ndescription: Sorts tickets.\n")
    return tmp_path


@pytest.fixture
def record(project):
    """Records calls at the prices of the project, as a worker does that has ended."""
    loaded, _ = load_state(project / "headworks.yaml")
    archive = PriceArchive(project / ".headworks")
    book = price_book(loaded, archive.current())
    archive.keep(book)

    def settled(n, **fields):
        opened = Opened(f"call_{n:04d}", NOV_US, "responses", "triage", "", "", "", "", "sim", "gpt-6-luna")
        call = Settled(opened, "answered", 200, 9, workload="triage", price_version=book.version, attempts=1)
        call = msgspec.structs.replace(call, input_tokens=2_000, output_tokens=100, usage_source="provider")
        call = msgspec.structs.replace(call, **fields)
        usage = Usage(call.input_tokens, call.cached_tokens, call.cache_write_tokens, call.output_tokens, 0, "provider")
        price = book.for_target("sim", "gpt-6-luna")
        if call.cost_pico < 0:
            cost = price.cost(usage, at_us=NOV_US, tier=call.service_tier)
            call = msgspec.structs.replace(call, cost_pico=cost.total)
        return call

    def write(*calls):
        folder = project / ".headworks" / JOURNAL_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        entries = [settled(n, **fields) for n, fields in enumerate(calls)]
        (folder / Segment("worker-1", 1, 1).name).write_bytes(MAGIC + b"".join(map(frame, entries)))

    return write


@pytest.fixture
def savings(project, capsys):
    def run(*flags):
        code = main(["calls", "savings", *flags, "--config", str(project / "headworks.yaml")])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_the_table_names_its_baseline_and_what_is_not_known(record, savings):
    record(
        {"cached_tokens": 1_000, "service_tier": "flex"},
        {"finish_reason": "length"},
        {"workload": ""},
        {"cost_pico": 7},
    )

    code, out, err = savings()

    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split()[:3] == ["WORKLOAD", "MONTH", "BASELINE"]
    assert (
        lines[1].split()
        == ["-", "2026-11", "as", "asked", "for", "1", "$0.00025", "$0.00025", "$0", "0.0%"] + ["$0"] * 3
    )
    assert lines[2].split()[:5] == ["triage", "2026-11", "sim/gpt-6.1-sol", "2", "$0.01"]
    assert lines[3].split()[0] == "total"
    assert "baseline: the model at the top of each workload's ladder, all input at the full price" in out
    assert "output limits: what a maximum or a stop sequence saved is not known, and in no sum; 1 answer was cut" in out
    assert "not compared: 1 of triage in 2026-11" in out


def test_json_has_exact_parts_that_sum_to_what_was_saved(record, savings):
    from decimal import Decimal

    record({"cached_tokens": 1_000, "service_tier": "flex"}, {"cache_write_tokens": 1_920})

    _, out, _ = savings("--json", "--baseline", "sim/gpt-6-astra")

    (line,) = [json.loads(text) for text in out.splitlines()]
    assert (line["baseline"], line["calls"], line["month"]) == ("sim/gpt-6-astra", 2, "2026-11")
    parts = sum(Decimal(part) for part in line["parts_usd"].values())
    assert parts == Decimal(line["saved_usd"]) == Decimal(line["baseline_usd"]) - Decimal(line["paid_usd"])
    assert line["tiers_usd"] == {"flex": line["parts_usd"]["tier"]}
    assert line["output_limits"] == {"saved_usd": None, "cut_calls": 0, "at_most_usd": "0"}


def test_calls_are_read_page_by_page(record, savings, monkeypatch):
    monkeypatch.setattr("headworks.cli.call_pages._PAGE", 2)
    record({}, {}, {}, {}, {})

    _, out, _ = savings("--json")

    assert json.loads(out)["calls"] == 5


def test_a_cache_that_costs_more_than_it_saves_is_named(record, savings):
    record({"cache_write_tokens": 1_920})

    _, out, _ = savings("--workload", "triage")

    assert "triage 2026-11: caching lost $0.000048: writes cost $0.000048 more than plain input, reads saved $0" in out


def test_a_baseline_that_there_is_not_is_refused(record, savings):
    record({})

    code, _, err = savings("--baseline", "no-such-model")

    assert code == 1
    assert "--baseline no-such-model: the project has no such model" in err


def test_nothing_recorded_is_said(savings, record):
    record()

    code, out, err = savings()

    assert (code, out) == (0, "")
    assert "no call that cost anything is recorded" in err


def test_help_says_what_the_baseline_is_and_how_a_saving_is_divided(savings, capsys):
    with pytest.raises(SystemExit):
        main(["calls", "savings", "--help"])

    out = " ".join(capsys.readouterr().out.split())
    assert "The baseline has a name." in out
    assert "Shapley value" in out


def test_what_the_response_cache_saved_is_told_beside_the_sums(project, record, savings):
    record({})
    opened = Opened("call_9000", NOV_US, "responses", "triage", "", "", "", "", "", "gpt-6-luna")
    hit = SettledFromCache(Settled(opened, "answered", 200, 9, workload="triage", cost_pico=0), 2_500_000, 4)
    folder = project / ".headworks" / JOURNAL_FOLDER
    (folder / Segment("worker-2", 1, 1).name).write_bytes(MAGIC + frame(hit))

    assert "response cache: 1 call of triage in 2026-11 answered again: $0.0000025 saved" in savings()[1]
    (line,) = [one for one in map(json.loads, savings("--json")[1].splitlines()) if "response_cache_calls" in one]
    assert (line["response_cache_calls"], line["response_cache_saved_usd"]) == (1, "0.0000025")
