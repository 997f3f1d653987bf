"""Two arms side by side on the terminal and as JSON: score by score, money, time, the cases that flipped, the word."""

from collections.abc import Sequence

import msgspec

from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, plain, terminal_width
from headworks.evals.comparing import RELEASE_ALPHA
from headworks.evals.gate import Judgement, Word, judge, usual_margin
from headworks.evals.pairing import Bill, Pair, PartRow, Side, ValueRow, pair_up
from headworks.evals.preferring import Preferences
from headworks.evals.rendering import latency, money, percent

_COLOURS: dict[Word, int] = {"not worse": GREEN, "worse": RED, "too thin": YELLOW}
_MOST_FLIPPED = 20


class Shown(msgspec.Struct, frozen=True):
    """One of two arms, as it is called, and what it took."""

    name: str
    run: str
    model: str
    prompt: str
    bill: Bill


class Flipped(msgspec.Struct, frozen=True):
    """A case on which the arms differ, and why the one that is wrong is."""

    id: str
    must_pass: bool
    reason: str


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison came to.

    Attributes:
        run: of the new arm; "" where nothing was run.
        old, new: the arms; None where there was no comparison.
        parts, value: the score, part by part, and its graded mean.
        lost, won: the cases that flipped.
        unpaired: cases that only one arm was asked.
        spent_pico_usd: what it cost now; what came from the cache cost nothing.
        broken: ids of the cases that are wrong now and were right, or that must pass.
        golden_hash: of the new arm's cases.
        counted: cases that the verdict goes by: of a cluster one.
        preferences: what a judge likes better; None where none was asked.
    """

    workload: str
    judgement: Judgement
    run: str = ""
    old: Shown | None = None
    new: Shown | None = None
    parts: tuple[PartRow, ...] = ()
    value: ValueRow | None = None
    lost: tuple[Flipped, ...] = ()
    won: tuple[Flipped, ...] = ()
    unpaired: int = 0
    spent_pico_usd: int = 0
    broken: tuple[str, ...] = ()
    golden_hash: str = ""
    counted: int = 0
    preferences: Preferences | None = None

    def as_json(self) -> dict[str, object]:
        """JSON values, for programs."""
        judgement = self.judgement
        fields: object = msgspec.to_builtins(msgspec.structs.replace(self, judgement=Judgement("worse", ())))
        assert isinstance(fields, dict), "a struct"
        del fields["judgement"]
        paired = None if judgement.paired is None else msgspec.to_builtins(judgement.paired)
        return {"verdict": judgement.word, "reasons": judgement.reasons, "statistics": paired, **fields}


def compare_sides(old: Side, new: Side, *, margin: float | None, alpha: float = RELEASE_ALPHA) -> Compared:
    """Judge one arm against another.

    Arguments:
        margin: by less than this a change may be worse; None for what is usual with so many cases.
        alpha: the probability that *not worse* is said of one that is worse by so much.
    """
    pairing = pair_up(old, new)
    manifest = new.folder.manifest
    cases = pairing.cases()
    gates = manifest.gates and old.folder.manifest.gates
    counted = sum(one.is_counted for one in cases)
    judgement = judge(cases, margin=margin or usual_margin(counted), may_gate=gates, alpha=alpha)
    if old.folder.scorer_hash != new.folder.scorer_hash:
        reason = "the two runs are scored differently: `headworks eval show RUN --rescore`, for both, scores them alike"
        judgement = Judgement("too thin", (reason,), judgement.paired)
    lost, won = pairing.lost(), pairing.won()
    must_pass = [one.case_id for one in pairing.pairs if one.must_pass and one.new.outcome == "wrong"]
    return Compared(
        workload=manifest.workload,
        judgement=judgement,
        run=manifest.run,
        old=_shown(old, pairing.old),
        new=_shown(new, pairing.new),
        parts=pairing.rows(),
        value=pairing.value_row(),
        lost=tuple(_flipped(one, one.new.reason) for one in lost),
        won=tuple(_flipped(one, one.old.reason) for one in won),
        unpaired=pairing.unpaired,
        spent_pico_usd=new.folder.spent_pico_usd,
        broken=tuple(dict.fromkeys((*must_pass, *(one.case_id for one in lost)))),
        golden_hash=manifest.golden_hash,
        counted=counted,
    )


def no_comparison(workload: str, word: Word, reason: str, *, run: str = "") -> Compared:
    """What is said where there is nothing to set side by side."""
    return Compared(workload=workload, judgement=Judgement(word, (reason,)), run=run)


def print_compared(compared: Compared) -> None:
    """For a person."""
    judgement = compared.judgement
    said = f"{judgement.word}: {'; '.join(judgement.reasons)}"
    print(f"\x1b[{_COLOURS[judgement.word]}m{plain(said)}\x1b[0m" if has_colours() else plain(said))
    if compared.old is not None and compared.new is not None and compared.parts:
        print()
        _print_arms([compared.old, compared.new], compared.parts[0])
        dearer = _dearer(compared.old.bill, compared.new.bill)
        if dearer:
            print(dearer)
        print()
        _print_parts(compared)
        if compared.counted < compared.parts[0].cases:
            print(
                f"the verdict goes by {compared.counted:,} cases: of a cluster, and of those that ask the same, one "
                "is counted"
            )
        if compared.unpaired:
            print(f"{compared.unpaired:,} cases are not in both, or are asked otherwise: they are left out")
    if compared.preferences is not None:
        print()
        print(plain(_preferred(compared.preferences)))
    for title, flipped, colour in (
        ("WRONG NOW, RIGHT BEFORE", compared.lost, RED),
        ("RIGHT NOW, WRONG BEFORE", compared.won, GREEN),
    ):
        if flipped:
            print()
            _print_flipped(title, flipped, colour)
    if compared.old is not None and compared.new is not None and (compared.lost or compared.won):
        runs = dict.fromkeys((compared.new.run, compared.old.run))
        print()
        print(f"look at one: {', or '.join(f'headworks eval show {run} --case ID' for run in runs)}")
    others = [name for name in compared.broken if name not in {one.id for one in compared.lost}]
    if others:
        print()
        print(f"must pass and do not: {plain(', '.join(others))}")
    if compared.run:
        print()
        kept = compared.old.bill.cached + compared.new.bill.cached if compared.old and compared.new else 0
        from_cache = f"; {kept:,} answers were kept from before" if kept else ""
        print(f"cost {money(compared.spent_pico_usd)}{from_cache}; run {compared.run}")


def _print_arms(arms: Sequence[Shown], whole: PartRow) -> None:
    head = ("ARM", "MODEL", "PROMPT", "SCORE", "$/CALL", "$/RIGHT", "P50", "P95")
    table = Table(
        head, right=frozenset(range(3, 8)), coloured=has_colours(), flexible=frozenset({1}), width=terminal_width()
    )
    rows = [
        [
            Cell(arm.name),
            Cell(arm.model, GREY),
            Cell(arm.prompt or "-"),
            Cell(percent(score)),
            Cell(money(arm.bill.cost_pico_usd)),
            Cell(money(arm.bill.cost_per_right_pico_usd)),
            Cell(latency(arm.bill.p50_ms)),
            Cell(latency(arm.bill.p95_ms)),
        ]
        for arm, score in zip(arms, (whole.old, whole.new), strict=True)
    ]
    print("\n".join(table.lines(rows)))


def _dearer(old: Bill, new: Bill) -> str:
    """How the price of a call has changed; "" where it has not, or is not known."""
    if not old.cost_pico_usd or new.cost_pico_usd is None:
        return ""
    times = f"{new.cost_pico_usd / old.cost_pico_usd:.2f}"
    return "" if times == "1.00" else f"a call costs {times} times as much"


def _print_parts(compared: Compared) -> None:
    head = ("SCORE", "CASES", "OLD", "NEW", "CHANGE", "95 %", "LOST", "WON")
    table = Table(head, right=frozenset(range(1, 8)), coloured=has_colours())
    rows = []
    for one in compared.parts:
        colour = RED if one.high < 0 else GREEN if one.low > 0 else 0
        figures = (f"{one.cases:,}", percent(one.old), percent(one.new), _points(one.new - one.old))
        cells = [Cell(text) for text in (one.name, *figures)]
        rows.append([*cells, Cell(_interval(one.low, one.high), colour), Cell(f"{one.lost:,}"), Cell(f"{one.won:,}")])
    value = compared.value
    if value is not None:
        figures = (f"{value.cases:,}", f"{value.old:.3f}", f"{value.new:.3f}", f"{value.new - value.old:+.3f}")
        cells = [Cell(text) for text in ("value", *figures)]
        rows.append([*cells, Cell(f"{value.low:+.3f} to {value.high:+.3f}"), Cell(""), Cell("")])
    print("\n".join(table.lines(rows)))


def _preferred(found: Preferences) -> str:
    neither = found.pairs - found.old - found.new - found.failed
    swayed = f" ({found.swayed:,} of them the one that stood first, or last)" if found.swayed else ""
    failed = f"; of {found.failed:,} it said nothing that can be used" if found.failed else ""
    change = (found.new - found.old) / max(1, found.pairs - found.failed)
    return (
        f"the judge {found.judge} prefers the new answer in {found.new:,} of {found.pairs:,} pairs, the old one in "
        f"{found.old:,}, neither in {neither:,}{swayed}{failed}: {_points(change)} points, "
        f"{_interval(*found.interval)} (p = {found.p_value:.2g}); each pair was shown in both orders, and this decides "
        f"nothing; it cost {money(found.cost_pico_usd)}"
    )


def _print_flipped(title: str, flipped: Sequence[Flipped], colour: int) -> None:
    table = Table((title, "WHY"), coloured=has_colours(), flexible=frozenset({1}), width=terminal_width())
    rows = [
        [Cell(one.id + (" (must pass)" if one.must_pass else ""), colour), Cell(one.reason or "-")]
        for one in flipped[:_MOST_FLIPPED]
    ]
    print("\n".join(table.lines(rows)))
    if len(flipped) > _MOST_FLIPPED:
        print(f"and {len(flipped) - _MOST_FLIPPED:,} more; --json names them all")


def _shown(side: Side, bill: Bill) -> Shown:
    arm = side.folder.manifest.arms[side.arm]
    prompt = f"{arm.prompt_version} ({arm.prompt_hash[:7]})" if arm.prompt_hash else ""
    return Shown(arm.name, side.folder.manifest.run, arm.model, prompt, bill)


def _flipped(pair: Pair, reason: str) -> Flipped:
    return Flipped(pair.case_id, pair.must_pass, reason)


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}"


def _interval(low: float, high: float) -> str:
    return f"{100 * low:+.1f} to {100 * high:+.1f}"
