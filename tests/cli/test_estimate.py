import json
import time

import pytest

from headworks.calls import Opened, Settled
from headworks.catalogue.money import PICO_PER_USD
from headworks.cli import main
from headworks.records import open_store
from headworks.records.stores import Batch

NEW = ("--model", "gpt-6-luna", "--calls-per-day", "12000", "--input-tokens", "650", "--output-tokens", "60")
HOUR_US = 3_600_000_000


@pytest.fixture
def ask(tmp_path, capsys, monkeypatch):
    """The command in a folder without a project: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def do(*flags):
        code = main(["estimate", *flags])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return do


@pytest.fixture
def found(ask):
    def do(*flags):
        code, out, err = ask(*flags, "--json")
        assert code == 0, err
        return json.loads(out)

    return do


def estimated(desk, *flags):
    code, out, err = desk.run("estimate", *flags, "--json")
    assert code == 0, err
    return json.loads(out)


def figures(report):
    return {one["name"]: one for one in report["figures"]}


def record(desk, count, *, model="ticket-triage", hours_ago=24, first=0, as_model="m", cost_pico=-1, **usage):
    usage = {"input_tokens": 2000, "cached_tokens": 1500, "cache_write_tokens": 100, "output_tokens": 80} | usage
    opened_us = round(time.time() * 1e6) - hours_ago * HOUR_US
    calls = [
        Settled(
            Opened(
                f"call_{model[:3]}{number:024}", opened_us, "responses", model, provider="simulator", model=as_model
            ),
            "answered", 200, 1_000_000, usage_source="provider", cost_pico=cost_pico, **usage,
        )
        for number in range(first, first + count)
    ]  # fmt: skip
    store = open_store(desk.folder / ".headworks")
    store.commit(Batch(settled=calls))
    store.close()


def test_a_project_that_does_not_exist_yet_has_a_price(found):
    """360,000 calls x (650 tokens at $0.10 + 60 at $0.50 per million)."""
    chosen = found(*NEW)["chosen"]

    assert chosen["name"] == "openai/gpt-6-luna"
    assert chosen["month"] == round(34.2 * PICO_PER_USD)
    assert chosen["low"] < chosen["month"] < chosen["high"]
    assert sum(chosen["parts"].values()) == chosen["month"]


def test_every_figure_says_that_it_is_assumed_and_from_where(found):
    by_name = figures(found(*NEW))

    assert not any(one["is_measured"] for one in by_name.values())
    assert by_name["calls_per_day"]["source"] == "given"
    assert (by_name["cache_share"]["low"], by_name["cache_share"]["high"]) == (0.4, 0.7)
    assert by_name["cache_share"]["source"] == "default"


def test_a_count_may_be_given_with_its_bounds_and_is_else_a_fifth_more_or_less(found):
    by_name = figures(found(*NEW, "--output-tokens", "60..60", "--calls-per-day", "10_000..14_000"))

    assert [by_name["input_tokens"][key] for key in ("low", "value", "high")] == [520, 650, 780]
    assert [by_name["calls_per_day"][key] for key in ("low", "value", "high")] == [10_000, 12_000, 14_000]
    assert by_name["output_tokens"]["low"] == by_name["output_tokens"]["high"] == 60


def test_batch_and_flex_are_told_beside_the_tier_that_was_asked_for(found):
    standard, flex = found(*NEW)["chosen"], found(*NEW, "--tier", "flex")["chosen"]

    assert standard["tiers"]["batch"] * 2 == standard["tiers"]["standard"] == standard["month"]
    assert flex["month"] == standard["tiers"]["flex"]


def test_a_short_static_part_is_not_cached_and_the_report_says_so(ask):
    _, out, _ = ask(*NEW, "--static-tokens", "400")

    assert "nothing is cached: the static tokens are 400, and its cache takes 1,024 and more" in out


def test_where_caching_loses_money_is_told(ask):
    flags = (*NEW, "--input-tokens", "3000", "--static-tokens", "2048..2048", "--cache-share")

    _, loses, _ = ask(*flags, "0.1")
    _, may_lose, _ = ask(*flags, "0.2..0.7")
    _, saves, _ = ask(*flags, "0.6")

    assert "caching loses $" in loses
    assert "it pays from a cache share of 21.7 % on" in loses
    assert "may lose at its lower bound" in may_lose
    assert "caching saves $" in saves


def test_too_few_calls_for_the_assumed_cache_share_are_told(ask):
    flags = ("--input-tokens", "3000", "--static-tokens", "2048..2048", "--calls-per-day")

    _, few, _ = ask(*NEW, *flags, "10")
    _, many, _ = ask(*NEW, *flags, "12000")

    assert "so few calls find the cache less often than is assumed: 18.8 % of them" in few
    assert "so few calls" not in many


def test_the_surcharge_for_long_input_is_told(ask, found):
    flags = (*NEW, "--input-tokens", "300000..300000")
    _, out, _ = ask(*flags)
    chosen = found(*flags)["chosen"]
    some = found(*NEW, "--long-share", "0.01", "--long-input-tokens", "300000")["chosen"]

    assert "long context: above 272,000 tokens of input a whole call is dearer" in out
    assert chosen["surcharge"] == 360_000 * (300_000 * 100_000 + 60 * 250_000)
    assert some["surcharge"] * 100 == chosen["surcharge"]


def test_models_are_compared_the_cheapest_first(ask, found):
    report = found(*NEW, "--compare", "gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-luna")
    _, out, _ = ask(*NEW, "--compare", "gpt-6.1-sol")

    assert [one["name"] for one in report["others"]] == ["openai/gpt-6.1-terra", "openai/gpt-6.1-sol"]
    assert "20.00" in out.split("Models")[1]


def test_a_machine_of_one_s_own_has_a_break_even_or_never(ask, found):
    machine = ("--gpu-hour", "2.40", "--output-tokens-per-s", "1200", "--input-tokens-per-s", "8000")
    cheap = found(*NEW, *machine)["machines"][0]
    dear = found(*NEW, "--model", "gpt-6.1-sol", *machine)["machines"][0]
    _, out, _ = ask(*NEW, *machine)

    assert cheap["machine_month"] == 1728 * PICO_PER_USD
    assert cheap["calls"] is None or cheap["calls"] > 10_000_000
    assert 900_000 < dear["calls"] < 1_000_000
    assert "dearer at this volume" in out


TUNED = ("--fine-tune", "openai/gpt-4.1-mini", "--training-tokens", "2000000")


def test_a_fine_tuned_model_has_a_break_even_or_never(ask, found):
    """2 million tokens three times at $5; a call of 200 tokens in and 60 out at $0.80 and $3.20."""
    big = ("--model", "gpt-6.1-sol", *NEW[2:])  # 650 at $2 and 60 at $10
    shorter = found(*big, *TUNED, "--tuned-input-tokens", "200")["fine_tuned"]
    longer = found(*NEW, *TUNED)["fine_tuned"]
    _, out, _ = ask(*big, *TUNED, "--tuned-input-tokens", "200")

    assert shorter["training"] == 30 * PICO_PER_USD
    assert shorter["call"] == 200 * 800_000 + 60 * 3_200_000
    saved = 650 * 2_000_000 + 60 * 10_000_000 - shorter["call"]
    assert shorter["calls"] == -(-30 * PICO_PER_USD // saved)
    assert shorter["saves"] == saved * 360_000
    assert (longer["calls"], longer["months"]) == (None, None)
    assert longer["saves"] < 0
    assert "Fine-tuned" in out
    assert "goes with it" in out


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ((), "name a workload, or a model"),
        (("--model", "gpt-6-luna", "--input-tokens", "1"), "--calls-per-day and --output-tokens must say"),
        ((*NEW, "--compare"), "there is no ladder to compare with"),
        ((*NEW, "--long-share", "0.5"), "go together"),
        ((*NEW, "--gpu-hour", "2"), "a machine needs --gpu-hour and --output-tokens-per-s"),
        ((*NEW, "--fine-tune", "openai/gpt-4.1"), "--fine-tune and --training-tokens go together"),
    ],
)
def test_what_is_missing_is_wrong_usage(ask, flags, says):
    code, _, err = ask(*flags)

    assert code == 2
    assert says in err


def test_a_model_that_nobody_knows_is_said(ask):
    code, _, err = ask("--model", "no-such-model", *NEW[2:])

    assert (code, "no model is called" in err) == (1, True)


def test_what_it_costs_to_train_a_model_must_be_known(ask):
    code, _, err = ask(*NEW, "--fine-tune", "gpt-6-luna", "--training-tokens", "9")

    assert (code, "what it costs to train openai/gpt-6-luna is not" in err) == (1, True)


@pytest.mark.parametrize("flag", [("--cache-share", "1.2"), ("--calls-per-day", "9..3"), ("--input-tokens", "many")])
def test_a_figure_that_is_none_is_wrong_usage(ask, flag):
    with pytest.raises(SystemExit) as ended:
        ask(*NEW, *flag)

    assert ended.value.code == 2


def test_a_workload_is_estimated_by_its_contract_until_there_is_traffic(desk):
    report = estimated(desk, "ticket-triage", "--compare")
    by_name = figures(report)

    assert report["chosen"]["name"] == "simulator/gpt-6-luna"
    assert [one["name"] for one in report["others"]] == ["simulator/gpt-6.1-terra", "simulator/gpt-6.1-sol"]
    assert (by_name["calls_per_day"]["value"], by_name["calls_per_day"]["source"]) == (12_000, "contract")
    assert by_name["input_tokens"]["value"] > 250
    assert by_name["static_tokens"]["value"] > 0
    assert by_name["cache_share"]["source"] == "default"


def test_recorded_calls_go_before_the_contract_and_are_priced_as_they_were(desk):
    record(desk, 400)
    record(desk, 50, model="assistant", input_tokens=9)
    report = estimated(desk, "ticket-triage")
    by_name = figures(report)

    measured = {name for name, one in by_name.items() if one["is_measured"]}
    assert measured >= {"calls_per_day", "input_tokens", "output_tokens", "static_tokens", "cache_share", "write_share"}
    assert by_name["input_tokens"]["value"] == 2000
    assert by_name["calls_per_day"]["value"] == pytest.approx(400, rel=1e-3)
    assert by_name["calls_per_day"]["low"] == pytest.approx(360, rel=1e-3)
    assert report["chosen"]["call"] == 400 * 100_000 + 1500 * 10_000 + 100 * 125_000 + 80 * 500_000


def test_what_recorded_calls_have_cost_stands_beside_what_is_estimated(desk):
    record(desk, 3, cost_pico=2 * 10**9, as_model="gpt-6-luna")
    record(desk, 1, first=3, cost_pico=5 * 10**9)
    record(desk, 2, first=4)
    report = estimated(desk, "ticket-triage")
    text = desk.run("estimate", "ticket-triage")[1]

    first, second = report["recorded"]
    assert (first["name"], first["calls"], first["cost_usd"]) == ("simulator/gpt-6-luna", 3, "0.006")
    assert first["month"] == pytest.approx(2 * 10**9 * report["chosen"]["calls"], rel=1e-6)
    assert (second["name"], second["cost_usd"], report["recorded_unknown"]) == ("simulator/m", "0.005", 2)
    assert "What recorded calls have cost" in text
    assert "what 2 more cost is not known" in text


def test_long_calls_among_the_recorded_are_counted_by_themselves(desk):
    record(desk, 90)
    record(desk, 10, first=90, input_tokens=300_000)
    report = estimated(desk, "ticket-triage")
    by_name = figures(report)

    assert by_name["input_tokens"]["value"] == 2000
    assert (by_name["long_share"]["value"], by_name["long_input_tokens"]["value"]) == (0.1, 300_000)
    assert report["chosen"]["surcharge"] > 0


def test_a_flag_goes_before_traffic(desk):
    record(desk, 400)
    by_name = figures(estimated(desk, "ticket-triage", "--calls-per-day", "5", "--cache-share", "0.3"))

    assert (by_name["calls_per_day"]["value"], by_name["calls_per_day"]["source"]) == (5, "given")
    assert (by_name["cache_share"]["value"], by_name["cache_share"]["is_measured"]) == (0.3, False)
    assert "write_share" not in by_name


def test_older_calls_do_not_count(desk):
    record(desk, 10)

    assert figures(estimated(desk, "ticket-triage", "--since", "2h"))["calls_per_day"]["source"] == "contract"


def test_a_machine_of_the_project_is_compared(desk):
    path = desk.folder / "headworks.yaml"
    machine = "prices: {providers: {simulator: {self_hosted: {gpu_hour: 2, output_tokens_per_s: 1000}}}}\n"
    path.write_text(path.read_text() + machine)

    (one,) = estimated(desk, "ticket-triage", "--model", "openai/gpt-6-luna")["machines"]
    _, out, _ = desk.run("estimate", "ticket-triage")

    assert (one["name"], one["machine_month"]) == ("simulator", 1440 * PICO_PER_USD)
    assert "simulator: the model runs on it" in out


def test_text_and_markdown_say_the_same(desk):
    _, text, _ = desk.run("estimate", "ticket-triage", "--compare")
    _, page, _ = desk.run("estimate", "ticket-triage", "--compare", "--format", "markdown")

    assert text.startswith("ticket-triage on simulator/gpt-6-luna: $")
    assert page.startswith("# Estimate for ticket-triage\n")
    for title in ("What is paid for", "What it rests on", "If every call went by one tier", "Look out", "Models"):
        assert f"\n{title}\n" in text
        assert f"\n## {title}\n" in page


def test_a_model_without_a_price_is_said_and_never_zero(desk):
    path = desk.folder / "headworks.yaml"
    path.write_text(path.read_text().replace("nano: simulator/gpt-6-luna", "nano: simulator/nobody-knows"))
    code, out, _ = desk.run("estimate", "ticket-triage")

    assert code == 1
    assert "no price is known" in out
    assert "$" not in out


def test_an_estimate_writes_nothing(desk):
    before = sorted(desk.folder.rglob("*"))
    desk.run("estimate", "ticket-triage")

    assert sorted(desk.folder.rglob("*")) == before
