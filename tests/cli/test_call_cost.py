"""What `headworks calls` says of the cost of a call: exact, line by line, by the prices that it was settled at."""

import json
import time

import msgspec
import pytest

from headworks.calls import Extras, Opened, Settled, Usage
from headworks.catalogue import Period, PriceArchive, PriceBook, Prices, Rates, Terms, shipped
from headworks.cli import main
from headworks.records import JOURNAL_FOLDER
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import Segment

NOW_US = int(time.time() * 1e6)
RATES = Rates(input=1_000_000, cached_input=100_000, output=8_000_000, reasoning=9_000_000, request=5)
FLEX = Rates(input=500_000, cached_input=50_000, output=4_000_000)
OWN = Prices(periods=(Period(rates=RATES),), tiers={"flex": (Period(rates=FLEX),)})
BOOK = PriceBook(shipped(), {"sim": Terms(models={"luna": OWN})})
USAGE = Usage(1000, 400, 0, 50, 20, "provider")


def settled(n: int = 1, usage: Usage = USAGE, tier: str = "", **fields: object) -> Settled:
    opened = Opened(f"call_{n:04d}", NOW_US - (100 - n) * 1_000_000, "responses", "fast", provider="sim", model="luna")
    call = Settled(
        opened,
        "answered",
        200,
        1000,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        usage_source=usage.source,
        attempts=1,
        cost_pico=BOOK.for_target("sim", "luna").cost(usage, at_us=opened.opened_us, tier=tier).total,
        price_version=BOOK.version,
        service_tier=tier,
    )
    return msgspec.structs.replace(call, **fields)


@pytest.fixture
def run(tmp_path, capsys):
    """Records a call, then runs `headworks calls` on it."""
    (tmp_path / "headworks.yaml").write_text("providers: {sim: {kind: simulator}}\n")

    def run(entry, *arguments, keeps=True):
        if keeps:
            PriceArchive(tmp_path / ".headworks").keep(BOOK)
        folder = tmp_path / ".headworks" / JOURNAL_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / Segment("worker-1", 1, 1).name).write_bytes(MAGIC + frame(entry))
        assert main(["calls", *arguments, "--config", str(tmp_path / "headworks.yaml")]) == 0
        return capsys.readouterr().out

    return run


def lines_of(out: str) -> list[str]:
    return [" ".join(line.split()) for line in out.splitlines()]


def test_a_cost_is_shown_line_by_line_and_the_lines_sum_to_it(run):
    lines = lines_of(run(settled(), "show", "call_0001"))

    start = lines.index("cost $0.001060000005 (tokens as the provider says)")
    assert lines[start + 1 : start + 7] == [
        "input 600 x $1 per million = $0.0006",
        "cached 400 x $0.1 per million = $0.00004",
        "output 30 x $8 per million = $0.00024",
        "reasoning 20 x $9 per million = $0.00018",
        "request $0.000000000005 each = $0.000000000005",
        f"prices {BOOK.version}",
    ]


def test_a_call_through_a_pool_is_itemised_by_its_provider_s_prices(run):
    call = settled()
    through_a_pool = msgspec.structs.replace(call, opened=msgspec.structs.replace(call.opened, provider="sim:eu"))

    assert "input 600 x $1 per million = $0.0006" in lines_of(run(through_a_pool, "show", "call_0001"))


def test_what_the_provider_said_that_it_charged_is_shown_as_that(run):
    charged = settled(cost_pico=123, price_version=f"{BOOK.version}+charged")

    assert "cost $0.000000000123 (as the provider says that it charged)" in lines_of(run(charged, "show", "call_0001"))
    shown = json.loads(run(charged, "show", "call_0001", "--json"))
    assert (shown["cost"]["is_charged"], shown["cost"]["items"]) == (True, None)


def test_programs_get_the_lines_as_exact_decimal_strings(run):
    shown = json.loads(run(settled(), "show", "call_0001", "--json"))

    assert shown["cost_usd"] == shown["cost"]["total_usd"] == "0.001060000005"
    assert shown["cost"]["items"][1] == {
        "kind": "cached_input",
        "count": 400,
        "price_usd": "0.0000001",
        "amount_usd": "0.00004",
    }
    assert (shown["cost"]["tier"], shown["cost"]["is_estimated"], shown["cost"]["note"]) == ("standard", False, "")
    assert "cost_pico" not in shown


def test_a_tier_has_its_own_prices_and_is_named(run):
    lines = lines_of(run(settled(tier="flex"), "show", "call_0001"))

    assert "input 600 x $0.5 per million = $0.0003" in lines
    assert "service tier flex" in lines


def test_a_tier_without_prices_is_said_to_be_charged_as_another(run):
    assert "service tier priority, charged as standard" in lines_of(run(settled(tier="priority"), "show", "call_0001"))


def test_the_word_for_the_standard_tier_needs_no_explanation(run):
    assert "service tier default" in lines_of(run(settled(tier="default"), "show", "call_0001"))


def test_tokens_that_were_counted_here_are_said_to_be(run):
    usage = Usage(10, output_tokens=5, source="estimated")

    out = run(settled(usage=usage), "show", "call_0001")

    assert "estimated: tokens counted here" in out
    assert run(settled(usage=usage), "list").splitlines()[1].split()[-4] == "~$0.00005"


@pytest.mark.parametrize(
    ("fields", "keeps", "cost", "why"),
    [
        ({}, False, "$0.001060000005", "not itemised: the terms of price table"),
        ({"attempts": 3, "cost_pico": 9}, True, "$0.000000000009", "not itemised: 3 attempts, each charged by itself"),
        ({"cost_pico": 9}, True, "$0.000000000009", "not itemised: the tokens of the record do not come to it"),
        ({"cost_pico": 0, "price_version": "", "outcome": "refused"}, True, "$0", "nothing was charged"),
        (
            {"cost_pico": -1, "price_version": ""},
            True,
            "not known",
            "no price of luna was known, or an earlier release",
        ),
        (
            {"cost_pico": -1, "price_version": "", "usage_source": "none"},
            True,
            "not known",
            "nobody says what was used",
        ),
        ({"cost_pico": -1}, True, "not known", "one of its attempts had no price"),
        ({"cost_pico": -1, "price_version": "", "outcome": "lost"}, True, "not known", "its process died"),
    ],
)
def test_a_cost_that_cannot_be_shown_line_by_line_says_why(run, fields, keeps, cost, why):
    out = run(settled(**fields), "show", "call_0001", keeps=keeps)
    shown = json.loads(run(settled(**fields), "show", "call_0001", "--json", keeps=keeps))

    assert f"{'cost':<20} {cost}" in out
    assert why in out
    assert why in shown["cost"]["note"]
    assert shown["cost"]["items"] is None
    assert (shown["cost_usd"] is None) == (cost == "not known")


def test_a_call_of_a_model_that_is_shut_down_says_so(run):
    """One that is gone for good: what is near today is not tomorrow."""
    gone = settled()
    gone = msgspec.structs.replace(gone, opened=msgspec.structs.replace(gone.opened, model="gpt-4.1-nano"))

    assert any(
        line.startswith("shut down 2026-10-23, gone since then") for line in lines_of(run(gone, "show", "call_0001"))
    )
    assert json.loads(run(gone, "show", "call_0001", "--json"))["retirement"]["shutdown_on"] == "2026-10-23"


def test_of_a_model_that_stays_no_end_is_shown(run):
    assert json.loads(run(settled(), "show", "call_0001", "--json"))["retirement"] is None


def test_what_ran_in_a_container_is_itemised_as_not_known_beside_what_the_rest_comes_to(run):
    extras = Extras(container_runs=2)
    call = settled(usage=Usage(1000, source="provider"), cost_pico=-1, extras=extras)
    lines = lines_of(run(call, "show", "call_0001"))

    start = lines.index(
        "cost not known: 2 runs in containers have no price here, and what has one comes to $0.001000000005"
    )
    assert lines[start + 1 : start + 4] == [
        "input 1,000 x $1 per million = $0.001",
        "request $0.000000000005 each = $0.000000000005",
        "runs in containers 2 x not known",
    ]


def test_the_same_for_machines(run):
    call = settled(usage=Usage(1000, source="provider"), cost_pico=-1, extras=Extras(container_runs=2))
    cost = json.loads(run(call, "show", "call_0001", "--json"))["cost"]

    assert cost["total_usd"] is None
    assert cost["unpriced"] == {"container_run": 2}
    assert [item["kind"] for item in cost["items"]] == ["input", "request"]
