from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Extras, Usage
from headworks.catalogue import PriceBook, Terms, shipped
from headworks.records.ledger import Baseline, LedgerSums
from headworks.records.stores import Record
from headworks.records.stores.rows import row_of

BOOK = PriceBook(shipped(), {"sim": Terms(catalogue="openai")})
SOL = Baseline("sim", "gpt-6.1-sol")


def record(calls, n=0, *, is_charged=True, **fields):
    """A record with the cost that its tokens come to."""
    settled = calls.settled(n, **({"price_version": BOOK.version, "workload": "triage"} | fields))
    usage = Usage(
        settled.input_tokens,
        settled.cached_tokens,
        settled.cache_write_tokens,
        settled.output_tokens,
        settled.reasoning_tokens,
        settled.usage_source,
        extras=settled.extras,
    )
    opened = settled.opened
    cost = BOOK.for_target(opened.provider, opened.model).cost(usage, at_us=opened.opened_us, tier=settled.service_tier)
    values = dict(zip(Record.__struct_fields__[1:], row_of(settled), strict=True))
    if is_charged:
        values["cost_pico"] = cost.total
    return Record(seq=n, **values)


def ledger(records, *, book_of={BOOK.version: BOOK}.get, baseline_of=lambda _: SOL):
    sums = LedgerSums(book_of, baseline_of)
    sums.add(records)
    return sums.ledger()


drawn = st.fixed_dictionaries(
    {
        "input_tokens": st.integers(0, 300_000),
        "cached_tokens": st.integers(0, 200_000),
        "cache_write_tokens": st.integers(0, 200_000),
        "output_tokens": st.integers(0, 5_000),
        "service_tier": st.sampled_from(["", "default", "flex", "priority"]),
        "model": st.sampled_from(["gpt-6-luna", "gpt-6.1-terra", "gpt-6.1-sol", "gpt-5.4-mini"]),
        "workload": st.sampled_from(["", "triage", "invoices"]),
        "opened_us": st.sampled_from([1_795_435_200_000_000, 1_798_000_000_000_000, 1_800_000_000_000_000]),
    }
)


@given(st.lists(drawn, max_size=12))
def test_the_sums_of_any_grouping_are_those_of_the_calls(calls, fields):
    records = [record(calls, n, **one) for n, one in enumerate(fields)]

    found = ledger(records)

    assert not found.left_out
    assert sum(line.calls for line in found.lines) == len(records)
    assert sum(line.saving.paid for line in found.lines) == sum(one.cost_pico for one in records)
    for line in found.lines:
        saving = line.saving
        assert saving.model + saving.cache + saving.tier == saving.total
        assert sum(line.tiers.values()) == saving.tier
    one_by_one = [ledger([one]).lines[0].saving for one in records]
    for part in ("baseline", "paid", "model", "cache", "tier"):
        assert sum(getattr(line.saving, part) for line in found.lines) == sum(getattr(one, part) for one in one_by_one)


def test_lines_are_by_workload_and_month_with_their_baseline(calls):
    records = [
        record(calls, 1),
        record(calls, 2, opened_us=1_798_800_000_000_000),
        record(calls, 3, workload=""),
    ]

    found = ledger(records, baseline_of=lambda workload: SOL if workload else None)

    assert [(line.workload, line.month, line.baseline) for line in found.lines] == [
        ("", "2026-11", None),
        ("triage", "2026-11", SOL),
        ("triage", "2027-01", SOL),
    ]
    assert found.lines[0].saving.model == 0
    assert found.price_versions == (BOOK.version,)


def test_what_no_model_of_a_ladder_could_answer_is_compared_with_its_own_model(calls):
    (line,) = ledger([record(calls, 1, endpoint="embeddings")]).lines

    assert (line.baseline, line.saving.model) == (None, 0)


def test_what_caches_cost_and_saved_is_told_apart(calls):
    (line,) = ledger([record(calls, 1, input_tokens=3_000, cached_tokens=1_000, cache_write_tokens=2_000)]).lines

    assert line.cache_reads == 1_000 * 90_000
    assert line.cache_writes == 2_000 * 25_000


def test_a_call_of_a_pool_has_the_prices_of_its_provider(calls):
    paid = record(calls, 1)
    pooled = Record(**{name: getattr(paid, name) for name in Record.__struct_fields__} | {"provider": "sim:eu"})

    assert ledger([pooled]).lines[0].saving == ledger([paid]).lines[0].saving


def test_what_cannot_be_compared_is_counted_with_the_reason_and_in_no_sum(calls):
    records = [
        record(calls, 1, is_charged=False),
        record(calls, 2, is_charged=False, cost_pico=7),
        record(calls, 3, price_version="gone"),
        record(calls, 4),
    ]

    found = ledger(records, baseline_of=lambda _: Baseline("sim", "no-such-model"))

    assert found.lines == ()
    assert {(one.why, one.calls, one.cost_pico) for one in found.left_out} == {
        ("unknown cost", 1, 0),
        ("not itemised", 1, 7),
        ("no price table", 1, records[2].cost_pico),
        ("no baseline price", 1, records[3].cost_pico),
    }


def test_a_batch_saved_half_though_its_calls_are_long_together(calls):
    """A million tokens in calls below 272,000: none of them had the prices of long input."""
    fields = {"input_tokens": 1_000_000, "cached_tokens": 0, "cache_write_tokens": 0, "output_tokens": 10_000}
    batch = {"model": "gpt-6-luna", "endpoint": "batches", "service_tier": "batch", "reasoning_tokens": 0}
    cost_pico = 1_000_000 * 50_000 + 10_000 * 250_000
    (line,) = ledger([record(calls, 1, is_charged=False, cost_pico=cost_pico, **fields, **batch)]).lines

    assert (line.saving.paid, line.saving.baseline, line.saving.tier) == (cost_pico, 2 * cost_pico, cost_pico)
    assert line.tiers == {"batch": cost_pico}


def test_what_was_used_beyond_text_is_in_what_it_would_have_cost(calls):
    extras = Extras(web_searches=2)
    (line,) = ledger([record(calls, 1, extras=extras)], baseline_of=lambda _: None).lines

    assert line.saving.baseline >= 2 * 10**10
    assert line.saving.paid >= 2 * 10**10


def test_a_call_that_nothing_was_charged_for_saved_nothing(calls):
    found = ledger([record(calls, 1, is_charged=False, cost_pico=0, price_version="", outcome="refused")])

    assert (found.lines, found.left_out) == ((), ())


def test_what_a_maximum_saved_is_bounded_by_what_the_model_could_still_have_written(calls):
    most = BOOK.for_target("sim", "gpt-6-luna").model.max_output_tokens

    (line,) = ledger([record(calls, 1, finish_reason="length", output_tokens=20), record(calls, 2)]).lines

    assert line.cut.calls == 1
    assert line.cut.most_pico == (most - 20) * 500_000


def test_a_bound_that_nobody_knows_is_none(calls):
    book = PriceBook(shipped(), {"sim": Terms(every=BOOK.for_target("sim", "gpt-6-luna").prices)})
    own = record(calls, 1, finish_reason="max_output_tokens", price_version=book.version)

    (line,) = ledger([own], book_of={book.version: book}.get).lines

    assert (line.cut.calls, line.cut.most_pico) == (1, None)


def test_what_the_response_cache_saved_stands_by_itself(calls):
    values = [(-1, 3), (700, 2), (300, 1)]
    hits = [
        Record(
            seq=n,
            **dict(zip(Record.__struct_fields__[1:], row_of(calls.settled(n, workload="triage"), one), strict=True)),
        )
        for n, one in enumerate(values)
    ]

    found = ledger([record(calls), *hits])

    assert [line.calls for line in found.lines] == [1]
    (repeated,) = found.repeated
    assert (repeated.workload, repeated.month, repeated.calls) == ("triage", "2026-11", 3)
    assert (repeated.saved_pico, repeated.unknown) == (1_000, 1)
