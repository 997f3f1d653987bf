from headworks.workloads import steps_of

EVERYTHING = """\
ladder: [nano]
fallback: [mini]
output: {max_tokens: 100, stop: [END]}
caller_may_set: [max_tokens, user]
actions: {refund: {policy: deny}}
canary: {version: 1.1.0, share: 0.1}
retention: {content: redacted, days: 3}
"""
FILES = {
    "prompt_md": "---\nversion: 1.0.0\n---\n{% developer %}\nBe brief.\n",
    "schema_json": "{}",
    "rules_py": "",
    "tools_json": '[{"type": "function", "name": "refund"}]',
}


def reasons(workload, facts) -> dict[str, str]:
    return {step.name: step.reason for step in steps_of(workload, facts)}


def test_a_call_of_a_minimal_contract_goes_through_the_steps_of_a_plain_one(make):
    steps = steps_of(*make())

    assert [step.name for step in steps] == ["authenticate", "decode", "resolve", "open", "attempt", "settle"]
    assert 24 <= sum(step.cost_us for step in steps) <= 26  # what a plain call costs


def test_a_contract_that_needs_everything_has_every_step_in_order(make):
    steps = steps_of(*make(EVERYTHING, **FILES))

    assert [step.name for step in steps] == [
        "authenticate", "decode", "resolve", "render prompt", "fix parameters", "schema upstream",
        "tools upstream", "open", "attempt", "validate schema", "rules", "repair", "tool arguments", "actions",
        "settle",
    ]  # fmt: skip
    assert [step.name for step in steps if step.is_occasional] == ["repair", "tool arguments", "actions"]
    assert all(step.cost_us > 0 and step.reason for step in steps)


def test_each_reason_comes_from_the_contract_or_a_file(make):
    found = reasons(*make(EVERYTHING, **FILES))

    assert found["resolve"] == "the name `triage` means this contract; 10% of calls try prompt version 1.1.0"
    assert found["fix parameters"] == "`output` sets max_tokens, stop; the caller may change max_tokens"
    assert found["attempt"] == "nano (sim/a) -> mini, within 60 s"
    assert found["actions"] == "only for a call of a tool with side effects (refund: deny)"
    assert found["settle"].endswith("content is kept redacted for 3 days")


def test_without_repairs_there_is_no_such_step(make):
    assert "repair" not in reasons(*make("validation: {repairs: 0}\n", schema_json="{}"))


def test_a_longer_prompt_costs_more(make):
    def cost(words):
        steps = steps_of(*make(prompt_md=f"---\nversion: 1.0.0\n---\n{{% developer %}}\n{'word ' * words}\n"))
        return next(step.cost_us for step in steps if step.name == "render prompt")

    assert cost(10) < cost(10_000)


def test_what_a_contract_asks_of_its_streams_is_a_step(make):
    steps = {step.name: step for step in steps_of(*make("streaming: {on_break: continue}\nlatency: {hedge: true}\n"))}

    assert "go on with it" in steps["rewrite"].reason
    assert "95 of 100" in steps["hedge"].reason
    assert steps["rewrite"].is_occasional
    assert steps["hedge"].is_occasional


def test_a_contract_that_takes_refusals_elsewhere_says_so_where_it_asks(make):
    said = {step.name: step.reason for step in steps_of(*make("refusals: fallback\n"))}

    assert "declines is asked of the next" in said["attempt"]
