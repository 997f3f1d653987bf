"""A decision of the ladder as what is kept of it: JSON values for headworks.lock, a page of Markdown for reviewers."""

from collections.abc import Iterable

import msgspec

from headworks.evals.amounts import money
from headworks.evals.statistics import wilson
from headworks.evals.terms import Decision, RungResult


def evidence_of(decision: Decision) -> dict[str, object]:
    """What goes into headworks.lock: JSON values, texts as keys."""
    found: object = msgspec.to_builtins(decision)
    assert isinstance(found, dict), "a struct"
    return {str(name): value for name, value in found.items()}


def render_record(workload: str, decision: Decision, facts: Iterable[tuple[str, str]] = ()) -> str:
    """The decision as a page in Markdown for who reviews it.

    Arguments:
        facts: further lines, as name and value: hashes, seed, date.
    """
    chosen = f"`{decision.chosen}`" if decision.chosen else "none: mend the prompt, or lower the bar"
    against = f"against `{decision.reference}`" if decision.reference else "against another"
    lines = [
        f"# Model of {workload}: {chosen}",
        "",
        _asked_for(decision),
        "",
        _promise(decision),
        "",
        f"| rung | verdict | right | 95 % (exact) | on average | {against} | a call | an acceptable answer |",
        "|---|---|---|---|---|---|---|---|",
        *("| " + " | ".join(_row(one, decision.reference)) + " |" for one in decision.rungs),
    ]
    if decision.is_underpowered:
        lines += ["", "**Underpowered**: the set is too small for this bar; the choice was wanted all the same."]
    lines += _looks(decision)
    lines += _ways_out(decision)
    lines += ["", *(f"- {name}: {value}" for name, value in facts)]
    return "\n".join(lines).rstrip() + "\n"


def _asked_for(decision: Decision) -> str:
    terms = decision.terms
    compared = f", and worse than `{decision.reference}` by less than {terms.margin:.0%}" * bool(decision.reference)
    return (
        f"Asked for: more than {terms.floor:.0%} right{compared}. {terms.cases} cases, {decision.calls:,} calls made, "
        f"{decision.calls_saved:,} saved by stopping early."
    )


def _promise(decision: Decision) -> str:
    terms = decision.terms
    last = decision.rungs[-1]
    if decision.chosen and last.verdict == "chosen last":
        return (
            f"`{last.rung}` is what is left: its share of right answers is at the bar or above, which is no proof that "
            "it stays there."
            + f" That a cheaper one was left as hopeless that is worse by half the margin at most has a probability of "
            f"at most {terms.beta:.0%} each." * bool(decision.reference)
        )
    or_worse = left = ""
    if decision.reference:
        or_worse = f", or worse than `{decision.reference}` by {terms.margin:.0%} or more,"
        left = (
            f"; of leaving one as hopeless that is worse than `{decision.reference}` by half of that at most, "
            f"{terms.beta:.0%} each"
        )
    return (
        f"The probability of choosing a rung that is not above the bar{or_worse} is at most {terms.alpha:.0%}, all "
        f"rungs together{left}. This holds for cases like those of the set."
    )


def _row(one: RungResult, reference: str) -> Iterable[str]:
    verdict = one.verdict + (f" ({one.reason})" if one.reason else "")
    if not one.valid:
        return (one.rung, verdict, "", "", "", "", money(one.cost_pico_usd), "")
    low, high = wilson(one.right, one.valid)
    compared = "is it" if one.rung == reference else _compared(one)
    late = f", {one.late} late" if one.late else ""
    invalid = f", {one.invalid} invalid" if one.invalid else ""
    return (
        one.rung,
        verdict,
        f"{one.right} of {one.valid}{late}{invalid}",
        f"{one.interval[0]:.1%} to {one.interval[1]:.1%}",
        f"{low:.1%} to {high:.1%}",
        compared,
        money(one.cost_pico_usd),
        _usd_acceptable(one),
    )


def _compared(one: RungResult) -> str:
    """What came of the comparison: with all pairs, or with those that settle it, and the worst made of the others."""
    if one.score is None or one.difference is None:
        return ""
    low, high = one.difference
    found = f"{one.wins} better, {one.losses} worse"
    if one.compared == one.valid:
        return f"{found}, T = {one.score:.2f}, {low:+.1%} to {high:+.1%}"
    return f"{found} of {one.compared} compared, at worst T = {one.score:.2f}, {low:+.1%} or better"


def _usd_acceptable(one: RungResult) -> str:
    """What a call costs over the share that is acceptable, with that share's interval."""
    if one.cost_pico_usd is None or not one.right:
        return ""
    least, most = (one.cost_pico_usd / share for share in reversed(one.interval))
    return f"{money(round(one.cost_pico_usd * one.valid / one.right))} ({money(round(least))} to {money(round(most))})"


def _looks(decision: Decision) -> list[str]:
    looks = [(rung.rung, look) for rung in decision.rungs for look in rung.looks]
    if not looks:
        return []
    lines = [
        "",
        "| look | after | right | shows the bar | T, at worst | shows the margin | alpha spent |",
        "|---|---|---|---|---|---|---|",
    ]
    for rung, look in looks:
        score = bound = ""
        if look.score is not None:
            score = f"{look.score:.2f}"
            bound = "cannot" if look.bound is None else f"{look.bound:.2f}"
        enough = "cannot" if look.needed > look.valid else f"{look.needed}"
        lines.append(f"| {rung} | {look.asked} | {look.right} | {enough} | {score} | {bound} | {look.alpha:.4f} |")
    return lines


def _seen(one: RungResult) -> str:
    if one.reason == "non-inferiority":
        return f"was better in {one.wins} and worse in {one.losses} of {one.compared} cases"
    return f"was right in {one.right / one.valid:.1%}"


def _ways_out(decision: Decision) -> list[str]:
    """What would change the answer."""
    at_margin = f", at a margin of {decision.terms.margin:.0%}"
    lines = [
        f"- `{one.rung}` {_seen(one)}: if that is what it is, about {one.needed:,} cases would show it four times in "
        f"five{at_margin * (one.reason == 'non-inferiority')}."
        for one in decision.rungs
        if one.needed
    ]
    if not decision.chosen and not lines:
        lines = ["- More cases would not: no rung was right more often than the bar asks."]
    lines += [
        f"- `{one.rung}` was too slow: {one.late} of {one.valid} answers came later than `latency.total_s` allows."
        for one in decision.rungs
        if one.reason == "latency"
    ]
    return ["", "What would change the answer:", "", *lines] if lines else []
