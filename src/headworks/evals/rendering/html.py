"""The report as one HTML file that needs nothing else: no script, no font, no network."""

from collections.abc import Iterator
from html import escape

from headworks.evals.amounts import NONE, money
from headworks.evals.rendering.words import latency, notes_of, percent, score_with_interval
from headworks.evals.reporting import ArmReport, FailingCase, Report

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --right: #197a3c; --wrong: #b3261e; --invalid: #8a6100; }
@media (prefers-color-scheme: dark) { :root { --right: #6fd08c; --wrong: #ff8a80; --invalid: #e0b050; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line);
text-align: left; vertical-align: top } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.bar { position: relative; height: .7rem; min-width: 10rem; background: var(--line); border-radius: 2px }
.bar i { position: absolute; top: 0; bottom: 0; background: currentColor; opacity: .45; border-radius: 2px }
.bar b { position: absolute; top: -2px; bottom: -2px; width: 2px; background: currentColor }
.bar u { position: absolute; top: -4px; bottom: -4px; border-left: 1px dashed currentColor }
.right { color: var(--right) } .wrong { color: var(--wrong) } .invalid { color: var(--invalid) }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem }
summary { cursor: pointer } pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0; font-size: 13px }
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem }
small, .hash { color: GrayText; overflow-wrap: anywhere }
"""
_MOST_CHARACTERS = 20_000


def html_report(report: Report) -> str:
    """The report as HTML."""
    return "".join(_pieces(report))


def _pieces(report: Report) -> Iterator[str]:
    manifest = report.manifest
    title = f"Eval of {manifest.workload}"
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    yield f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
    repeats = f", each {manifest.repeats} times" if manifest.repeats > 1 else ""
    yield (
        f"<p>Run {escape(manifest.run)}: {manifest.cases:,} cases{repeats}, bar {percent(manifest.bar, 0)}, "
        f"cost {money(report.spent_pico_usd)}.</p>"
    )
    notes = list(notes_of(report))
    if notes:
        yield f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>"
    yield "<h2>Arms</h2>"
    yield from _arms(report)
    yield from _slices(report)
    yield from _failing(report)
    yield "<h2>What it was run on</h2><table>"
    for name, value in (
        ("golden set", manifest.golden_hash),
        ("scorers", manifest.scorer_hash),
        ("schema", manifest.schema_hash or NONE),
        ("rules", manifest.rules_hash or NONE),
        ("seed and order", f"{manifest.seed}, {manifest.order}"),
        *((f"prompt of {arm.name}", f"{arm.prompt_version} {arm.prompt_hash}".strip()) for arm in manifest.arms),
        *manifest.versions.items(),
    ):
        yield f'<tr><th>{escape(name)}</th><td class="hash">{escape(value)}</td></tr>'
    yield "</table></body></html>\n"


def _arms(report: Report) -> Iterator[str]:
    heads = ("arm", "model", "score", "95 %", "", "right", "wrong", "invalid", "cost a call", "cost a right answer",
             "p50", "p95", "flicker")  # fmt: skip
    yield f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>"
    for arm in report.arms:
        figures = (
            f"{arm.right:,}", f"{arm.wrong:,}", f"{arm.invalid:,}", money(arm.cost_per_call_pico_usd),
            money(arm.cost_per_right_pico_usd), latency(arm.p50_ms), latency(arm.p95_ms), percent(arm.flicker),
        )  # fmt: skip
        yield f"<tr><td>{escape(arm.arm.name)}</td><td>{escape(arm.arm.model)}</td>"
        yield f'<td class="n">{percent(arm.score)}</td><td class="n">{score_with_interval(arm.low, arm.high)}</td>'
        yield f"<td>{_bar(arm, report.manifest.bar)}</td>"
        yield "".join(f'<td class="n">{figure}</td>' for figure in figures) + "</tr>"
    yield "</table>"


def _bar(arm: ArmReport, bar: float) -> str:
    """Score and interval on a line from 0 to 1, with the workload's bar across."""
    if arm.score is None or arm.low is None or arm.high is None:
        return ""
    width = 100 * (arm.high - arm.low)
    return (
        f'<div class="bar"><i style="left:{100 * arm.low:.1f}%;width:{width:.1f}%"></i>'
        f'<b style="left:{100 * arm.score:.1f}%"></b><u style="left:{100 * bar:.1f}%"></u></div>'
    )


def _slices(report: Report) -> Iterator[str]:
    tags = {one.tag: None for arm in report.arms for one in arm.slices}
    if not tags:
        return
    heads = "".join(f'<th class="n">{escape(arm.arm.name)}</th>' for arm in report.arms)
    yield f'<h2>By tag</h2><table><tr><th>tag</th><th class="n">cases</th>{heads}</tr>'
    for tag in tags:
        found = [{one.tag: one for one in arm.slices}.get(tag) for arm in report.arms]
        cases = max(one.cases for one in found if one is not None)
        yield f'<tr><td>{escape(tag)}</td><td class="n">{cases:,}</td>'
        for one in found:
            shown = (
                NONE if one is None else f"{percent(one.score)} <small>{score_with_interval(one.low, one.high)}</small>"
            )
            yield f'<td class="n">{shown}</td>'
        yield "</tr>"
    yield "</table>"


def _failing(report: Report) -> Iterator[str]:
    yield f"<h2>Cases that went wrong ({report.failing_count:,})</h2>"
    if report.failing_count > len(report.failing):
        yield f"<p>The first {len(report.failing):,} are shown.</p>"
    for case in report.failing:
        yield _case(case)


def _case(case: FailingCase) -> str:
    verdicts = " ".join(f'<span class="{one.verdict}">{escape(one.arm)}: {one.verdict}</span>' for one in case.answers)
    must = " <b>must pass</b>" if case.must_pass else ""
    tags = f" <small>{escape(', '.join(case.tags))}</small>" if case.tags else ""
    sides = "".join(
        f'<div><b>{escape(one.arm)}</b> <span class="{one.verdict}">{one.verdict}'
        f"{f', {one.right} of {one.asked} right' if one.asked > 1 else ''}</span>"
        f"<br><small>{escape(one.reason)}</small>{_text(one.text)}</div>"
        for one in case.answers
    )
    expected = f"<div><b>expected</b>{_text(case.expected)}</div>" if case.expected else ""
    return (
        f"<details><summary>{escape(case.id)}{must}{tags} {verdicts}</summary>{_text(case.asked)}"
        f'<div class="side">{expected}{sides}</div></details>'
    )


def _text(text: str) -> str:
    cut = " …" if len(text) > _MOST_CHARACTERS else ""
    return f"<pre>{escape(text[:_MOST_CHARACTERS])}{cut}</pre>"
