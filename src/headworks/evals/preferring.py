"""Which of two arms a judge likes better, answer against answer, each pair in both orders.

Says what rubric scores do not: two answers that are both good enough may still be told apart. It decides nothing: a
judge's taste is not what is right.
"""

import asyncio
from collections.abc import Iterator

import msgspec

from headworks.evals.golden import GoldenCase
from headworks.evals.pairing import Side
from headworks.evals.runs import Unit
from headworks.evals.scorers import Answer, Judge, Preference, ScoringFailed
from headworks.evals.statistics import mcnemar_midp, tango_interval


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge prefers, over all pairs of answers.

    Attributes:
        judge: the model.
        pairs: cases of which both arms have an answer, one of each cluster; of these:
        old, new: how many times that arm's answer is better, in both orders.
        swayed: pairs of which the judge chose by position; they count as neither's, as do answers that are alike.
        failed: pairs of which it said nothing that can be used.
        interval: of the share of pairs that `new` wins less the share that it loses, 95 % (Tango's).
        p_value: McNemar's mid-p that one of them is preferred by chance alone, two-sided.
        cost_pico_usd: what the judge cost now.
    """

    judge: str
    pairs: int
    old: int
    new: int
    swayed: int
    failed: int
    interval: tuple[float, float]
    p_value: float
    cost_pico_usd: int


async def prefer(judge: Judge, old: Side, new: Side, *, concurrency: int, timeout_s: float) -> Preferences:
    """Ask the judge about every pair of answers of two arms of one run.

    Arguments:
        concurrency: pairs under way at once.
        timeout_s: seconds for one of them.
    """
    waiting, found = _pairs(old, new), list[Preference | None]()

    async def work() -> None:
        for case, first, second in waiting:
            found.append(await _preference(judge, case, first, second, timeout_s))

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
    known = [one for one in found if one is not None]
    olds, news = (sum(one.value == value for one in known) for value in (1.0, 0.0))
    return Preferences(
        judge=judge.asked_model,
        pairs=len(found),
        old=olds,
        new=news,
        swayed=sum(not one.is_consistent for one in known),
        failed=len(found) - len(known),
        interval=tango_interval(olds, news, len(known)),
        p_value=min(1.0, 2.0 * min(mcnemar_midp(olds, news), mcnemar_midp(news, olds))),
        cost_pico_usd=sum(one.cost_pico_usd for one in known),
    )


def _pairs(old: Side, new: Side) -> Iterator[tuple[GoldenCase, Answer, Answer]]:
    clusters = set[str]()
    for place in new.folder.order:
        case = new.folder.cases[place]
        said = [side.folder.answered(Unit(side.arm, place, 0)) for side in (old, new)]
        answers = [one.reply.answer for one in said if one is not None and one.reply.answer is not None]
        if len(answers) < 2 or not clusters.isdisjoint(case.belongs_to):
            continue
        clusters |= case.belongs_to
        yield case, answers[0], answers[1]


async def _preference(
    judge: Judge, case: GoldenCase, first: Answer, second: Answer, timeout_s: float
) -> Preference | None:
    """What the judge says of a pair; None where it says nothing that can be used."""
    if first == second:
        return Preference(0.5, is_consistent=True)
    try:
        async with asyncio.timeout(timeout_s):
            return await judge.prefer(case, first, second)
    except (ScoringFailed, TimeoutError):
        return None
