import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.config import Contract, Workload
from headworks.config.contract import Data, Latency, Volume
from headworks.workloads import Facts, ModelFact, Traffic, derive
from headworks.workloads.plan import many

LONG = "---\nversion: 1.0.0\n---\n{% developer %}\n" + "word " * 3000 + "\n{% user %}\n{{ x }}\n"


def decisions(plan) -> dict[str, tuple[str, str]]:
    """By what is decided: the value and its source."""
    return {one.what: (one.value, one.source) for section in plan.sections for one in section.decisions}


def reason(plan, what) -> str:
    return next(one.reason for section in plan.sections for one in section.decisions if one.what == what)


def test_a_minimal_contract_has_a_plan_of_defaults_and_questions(make):
    plan = derive(*make())

    assert [section.title for section in plan.sections] == [
        "Volume", "Model and ladder", "Endpoint", "Prompt cache", "Interactive or batch", "Time limits and fallback",
        "Conversation state", "Prompting, retrieval, fine-tuning", "Provider and residency", "Screening", "Monitoring",
    ]  # fmt: skip
    assert decisions(plan)["model"] == ("nano (sim/a)", "default")
    assert {one.source for section in plan.sections for one in section.decisions} == {"default", "ask"}
    assert {one.what for one in plan.questions} == {
        "busiest minute", "golden set", "most output tokens", "fallback", "retrieval", "outcomes",
    }  # fmt: skip


def test_the_model_is_the_contracts_then_the_locks_then_the_first_rung(make):
    lock = 'workloads: {triage: {model: "mini"}}\n'

    assert decisions(derive(*make("model: flagship\n", lock=lock)))["model"] == ("flagship (real/c)", "contract")
    assert decisions(derive(*make(lock=lock)))["model"] == ("mini (real/b)", "default")


@pytest.mark.parametrize(
    ("cases", "value"),
    [(0, "Which 50 to 200 inputs are typical, and what is right?"), (20, "Which further inputs"), (100, "100 cases")],
)
def test_a_golden_set_is_asked_for_until_it_can_tell(make, cases, value):
    plan = derive(*make(golden_jsonl='{"id": "x"}\n' * cases))

    assert decisions(plan)["golden set"][0].startswith(value)


def test_what_a_golden_set_can_tell_is_said_in_points(make):
    plan = derive(*make("quality: {bar: 0.9}\n", golden_jsonl="{}\n" * 100))

    assert reason(plan, "golden set") == "100 cases tell a bar of 90% accuracy to within 6 points (95 % confidence)"


@pytest.mark.parametrize(
    ("ladder", "upstream"),
    [
        ("nano", ("/v1/responses", "default")),
        ("local/x", ("/v1/chat/completions", "default")),
        ("vectors/x", ("Which endpoint serves vectors/x?", "ask")),
    ],
)
def test_the_endpoint_is_what_the_provider_serves(make, ladder, upstream):
    assert decisions(derive(*make(f"ladder: [{ladder}]\n")))["upstream"] == upstream


def test_volumes_of_a_month_are_quantities_and_no_prices(make):
    found = decisions(derive(*make("volume: {calls_per_day: 1000, input_tokens: 500, output_tokens: 100}\n")))

    assert found["calls a month"] == ("30 thousand", "contract")
    assert found["input tokens a month"] == ("15 million", "contract")
    assert found["output tokens a month"] == ("3 million", "contract")


def test_recorded_traffic_goes_before_what_the_contract_expects(make):
    traffic = Traffic(days=2, calls=100, failures=3, input_tokens=200_000, cached_tokens=50_000, output_tokens=10_000)

    found = decisions(derive(*make("volume: {calls_per_day: 9}\n"), traffic))

    assert found["calls a month"] == ("1,500", "traffic")
    assert found["input tokens a month"] == ("3 million", "traffic")
    assert found["measured share"] == ("25% of input tokens", "traffic")


def test_a_month_costs_what_recorded_calls_have_cost_as_far_as_that_is_known(make):
    workload, facts = make("volume: {calls_per_day: 9}\n")
    traffic = Traffic(days=2, calls=100, cost_pico=80 * 10**9, known_costs=80)

    plan = derive(workload, facts, traffic)
    (decision,) = (one for section in plan.sections for one in section.decisions if one.what == "cost a month")

    assert (decision.value, decision.source) == ("$1.50", "traffic")
    assert decision.reason == "$0.001 a call, the mean of 80 recorded calls; what 20 more cost is not known"
    assert "cost a month" not in decisions(derive(workload, facts, Traffic(days=2, calls=100)))


def test_traffic_without_calls_teaches_nothing(make):
    workload, facts = make()

    assert derive(workload, facts, Traffic(days=7, calls=0)) == derive(workload, facts)


def test_a_short_prefix_is_not_cached(make):
    assert decisions(derive(*make()))["cache"] == ("none", "default")


def test_a_long_prefix_that_is_used_often_is_cached_and_its_share_is_expected(make):
    found = decisions(derive(*make("volume: {calls_per_day: 5000, input_tokens: 1000}\n", prompt_md=LONG)))

    assert found["cache"] == ("on, key: triage and the prompt's version", "contract")
    assert found["expected hit rate"] == ("74% of input tokens", "contract")  # 2,944 of about 4,000


def test_a_long_prefix_that_is_seldom_used_does_not_pay_for_its_writes(make):
    found = decisions(derive(*make("volume: {calls_per_day: 10}\n", prompt_md=LONG)))

    assert found["cache"] == ("explicit mode without breakpoints", "contract")
    assert "expected hit rate" not in found


def test_static_text_behind_a_variable_is_pointed_out(make):
    prompt = "---\nversion: 1.0.0\n---\n{% developer %}\n{{ x }}\n" + "word " * 100
    assert "static text after a variable" in decisions(derive(*make(prompt_md=prompt)))


def test_deferred_work_is_a_batch_without_time_limits(make):
    found = decisions(derive(*make("urgency: deferred\n")))

    assert found["mode"] == ("batch", "contract")
    assert found["limits"][0] == "the batch's own window"
    assert "each attempt" not in found


def test_deferred_work_that_somebody_waits_for_is_a_question(make):
    plan = derive(*make("urgency: deferred\nlatency: {first_token_s: 1}\n"))

    assert decisions(plan)["waiting"] == ("Does somebody wait for the answer or not?", "ask")


@pytest.mark.parametrize(("fallback", "rival"), [("[mini]", "mini"), ("[]", "the same model once more")])
def test_a_late_stream_gets_a_rival_where_the_contract_says_so(make, fallback, rival):
    found = decisions(derive(*make(f"ladder: [nano]\nlatency: {{hedge: true}}\nfallback: {fallback}\n")))

    assert found["hedge"][0].startswith(f"ask {rival}")


def test_attempts_share_the_latency_budget(make):
    lines = "latency: {total_s: 10, first_token_s: 3}\nfallback: [mini, flagship, deterministic]\n"

    found = decisions(derive(*make(lines, fallback_json="1")))

    times = [value for what, (value, _) in found.items() if what.startswith("attempts at")]
    assert times == ["at most 6 s", "at most 2.4 s", "at most 1.5 s"]
    assert found["first token"] == ("1.8 s, then the next model", "contract")
    assert found["connecting"] == ("5 s", "contract")
    assert "hedge" not in found
    assert found["stream"] == ("yes", "contract")


def test_a_budget_that_an_answer_does_not_fit_into_is_a_question(make):
    workload, facts = make("latency: {total_s: 2}\nvolume: {output_tokens: 1000}\n")
    measured = Traffic(days=1, calls=10, total_s=0.5)

    assert decisions(derive(workload, facts))["fit"][1] == "ask"
    assert decisions(derive(workload, facts, measured))["fit"] == ("0.5 s of 2 s", "traffic")


def test_a_chain_at_one_provider_asks_for_a_second(make):
    assert "second provider" in decisions(derive(*make("model: mini\nfallback: [flagship]\n")))
    assert "second provider" not in decisions(derive(*make("model: nano\nfallback: [flagship]\n")))


def test_a_provider_that_keeps_the_turns_must_be_able_and_allowed_to(make):
    plan = derive(*make("ladder: [local/x]\nstate: provider\ndata: {agreements: [zero-retention]}\n"))

    assert {"provider's memory", "retention"} <= {one.what for one in plan.questions}


def test_what_was_agreed_with_real_providers_is_checked_here_and_kept_true_by_people(make):
    lines = "data: {residency: [eu], agreements: [zero-retention], regulations: [hipaa]}\n"
    plan = derive(*make(lines))

    by = {one.what: (one.value, one.by) for section in plan.sections for one in section.decisions}
    assert by["regions"] == ("eu", "headworks")
    assert by["agreements"] == ("zero-retention", "headworks")
    assert by["contracts"] == ("keep what `regions` and `agreements` of headworks.yaml say true: real", "you")
    questions = {one.what: one.value for one in plan.questions}
    assert questions["hipaa agreement"] == "Should `data.agreements` have `business-associate`?"


def test_a_regulation_is_met_by_headworks_only_where_the_contract_screens(make):
    def by(lines):
        decisions = [one for section in derive(*make(lines)).sections for one in section.decisions]
        return {one.what: one.by for one in decisions}

    plain, screened = (
        by("data: {regulations: [pci, sox]}\n"),
        by("data: {regulations: [pci, sox]}\nscreening: {privacy: {}}\n"),
    )
    assert (plain["pci"], plain["sox"]) == ("you", "you")
    assert (screened["pci"], screened["sox"]) == ("headworks", "you")


def test_side_effects_and_tools_that_only_read_are_told_apart(make):
    tools = '[{"type": "function", "name": "refund"}, {"type": "function", "name": "look_up"}]'

    found = decisions(derive(*make("actions: {refund: {}}\n", tools_json=tools)))

    assert found["actions"] == ("refund: hold", "contract")
    assert found["tools"] == ("Has any of these a side effect: look_up?", "ask")


def test_what_contradicts_itself_is_asked(make):
    lines = "data: {sensitivity: restricted}\nretention: {content: full}\nfailure_cost: critical\n"

    found = decisions(derive(*make(lines)))

    assert found["kept content"] == ("Would `redacted` do?", "ask")
    assert found["output"] == ("What must be true of every right answer?", "ask")
    assert found["personal data"] == ("Should `screening.privacy` replace it before calls go up?", "ask")
    assert found["first release"][0] == "not before the golden set has been run"


def test_fine_tuning_needs_volume_and_cases(make):
    busy = "volume: {calls_per_day: 20000}\n"

    assert decisions(derive(*make()))["fine-tuning"][0] == "no"
    assert decisions(derive(*make(busy)))["fine-tuning"][0] == "not yet"
    assert decisions(derive(*make(busy, golden_jsonl="{}\n" * 100)))["fine-tuning"][0].startswith("compare it")


@given(
    total_s=st.floats(0.01, 86_400),
    first_token_s=st.none() | st.floats(0.01, 86_400),
    fallbacks=st.integers(0, 5),
    calls=st.integers(0, 10**9),
    tokens=st.integers(0, 10**7),
    prefix=st.integers(0, 10**6),
    sensitivity=st.sampled_from(["public", "internal", "confidential", "restricted"]),
)
def test_any_contract_has_a_plan_whose_attempts_fit_its_budget(
    total_s, first_token_s, fallbacks, calls, tokens, prefix, sensitivity
):
    names = tuple(f"sim/{n}" for n in range(fallbacks + 1))
    contract = Contract(
        owner="o",
        description="d",
        ladder=names[:1],
        fallback=names[1:],
        latency=Latency(total_s=total_s, first_token_s=first_token_s),
        volume=Volume(calls_per_day=calls, input_tokens=tokens),
        data=Data(sensitivity=sensitivity),
    )
    models = {name: ModelFact("sim", name, "simulator", ("responses",)) for name in names}
    facts = Facts(models=models, prompt_tokens=prefix, prefix_tokens=prefix, has_prompt=prefix > 0)

    plan = derive(Workload("w", None, None, contract), facts)

    times = [float(value.split()[2]) for what, (value, _) in decisions(plan).items() if what.startswith("attempts at")]
    assert len(times) == len(names)
    assert sum(times) <= total_s * 1.01
    share = decisions(plan).get("expected hit rate", ("0%", ""))[0]
    assert 0 <= int(share.split("%")[0]) <= 100


@pytest.mark.parametrize(
    ("count", "text"),
    [(843, "843"), (9_999, "9,999"), (12_345, "12.3 thousand"), (999_999, "1,000 thousand"),
     (4_560_000, "4.56 million"), (2.5e12, "2,500 billion")],
)  # fmt: skip
def test_quantities_are_said_in_three_digits(count, text):
    assert many(count) == text
