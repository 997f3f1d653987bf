"""The limits that a provider states in the headers of its answers, or documents for an account's usage tier, against
those that headworks.yaml has for it.

Sources: OpenAI rate-limit guide (`x-ratelimit-limit-requests`, `-tokens`, `-remaining-*`, `-reset-*`, 2026-11);
Anthropic API reference, "Rate limits" (`anthropic-ratelimit-requests-limit`, `-tokens-limit`, 2026-11).
"""

import re
from collections.abc import Mapping

import msgspec

from headworks.config import Provider, TierLimits, limits_words, source_words
from headworks.config.sections.limits import Limits
from headworks.config.sections.upstreams import ProviderPool
from headworks.doctoring.findings import Finding, ok, problem, warning
from headworks.limits import parse_limits

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGER_THAN_MINUTES_S = 1800.0


class Stated(msgspec.Struct, frozen=True):
    """What a provider allows one model. None where it says nothing."""

    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None


_FIELDS = Stated.__struct_fields__


def stated_limits(headers: Mapping[bytes, bytes]) -> Stated:
    """What the headers of an answer state.

    OpenAI's names say nothing of the window; it follows from how long what is used takes to come back.
    """
    amounts: dict[str, int] = {}
    said = parse_limits(headers, 0.0)
    for name, kind in (("input_tokens", said.input_tokens), ("output_tokens", said.output_tokens)):
        if kind.limit is not None:
            amounts[f"{name}_per_minute"] = kind.limit
    for what in ("requests", "tokens"):
        limit = _number(headers, f"x-ratelimit-limit-{what}")
        if limit is not None:
            amounts[f"{what}_per_{_window(headers, what, limit)}"] = limit
            continue
        limit = _number(headers, f"anthropic-ratelimit-{what}-limit")
        if limit is not None:
            amounts[f"{what}_per_minute"] = limit
            continue
        kind = said.requests if what == "requests" else said.tokens
        if kind.limit is not None:
            amounts[f"{what}_per_minute"] = kind.limit
    return Stated(**amounts)


def configured_limits(provider: Provider, model: str, pool: ProviderPool | None = None) -> Limits:
    """What headworks.yaml allows this model at this provider, or in this pool of it. What is said of the model goes
    before what is said of all; then, what the pool says before what the provider says."""
    general = provider.limits if pool is None or pool.limits is None else pool.limits
    own = {} if pool is None else pool.model_limits
    return own.get(model) or provider.model_limits.get(model) or general


def compare(stated: Stated, configured: Limits, model: str, place: str) -> list[Finding]:
    """What the comparison comes to, for every limit that is stated.

    Arguments:
        place: where in headworks.yaml a limit of this model is to be written.
    """
    findings = []
    theirs: dict[str, int | None] = msgspec.structs.asdict(stated)
    ours: dict[str, int | None] = msgspec.structs.asdict(configured)
    for name in _FIELDS:
        limit, own = theirs[name], ours[name]
        if limit is None:
            continue
        about = f"{name} {model}"
        words = name.replace("_per_", " a ")
        setting = f"`{place}.{name}: {limit}`"
        if own is None:
            says = f"the provider allows {model} {limit:,} {words}, and headworks.yaml says nothing of it"
            findings.append(
                warning(about, says, f"write {setting}, so that calls wait their turn instead of failing", stated=limit)
            )
        elif own > limit:
            says = f"headworks.yaml allows {model} {own:,} {words}, the provider only {limit:,}"
            way_out = f"write {setting}, or ask the provider for more"
            findings.append(problem(about, says, way_out, stated=limit, configured=own))
        else:
            share = "all" if own == limit else f"{own:,}"
            says = f"{model}: {share} of the provider's {limit:,} {words}"
            findings.append(ok(about, says, stated=limit, configured=own))
    return findings


def compare_with_tier(one: TierLimits) -> list[Finding]:
    """What comes of the comparison with the usage tier that headworks.yaml names. An account may have other limits than
    its tier's, so nothing is more than a warning."""
    if one.documented is None:
        says = f"the catalogue knows no usage tier {one.tier} of {one.model}: it has {', '.join(one.known)}"
        return [warning(f"limits {one.model}", says, "see `headworks models show`; `--paid` asks the provider itself")]
    sure = source_words(one.documented)
    findings = []
    for name, figure in one.figures().items():
        about, own = f"{name} {one.model}", getattr(one.configured, name)
        tells = f"usage tier {one.tier} allows {one.model} {limits_words({name: figure})}"
        setting = f"`{one.place}.{name}: {figure}`"
        if own is None:
            says = f"{tells} ({sure}); headworks.yaml says nothing of it"
            way_out = f"write {setting}, so that calls wait their turn instead of failing"
            findings.append(warning(about, says, way_out, documented=figure))
        elif own > figure:
            says = f"{tells} ({sure}); headworks.yaml allows {own:,}"
            way_out = f"write {setting}, or see with `--paid` what the provider allows"
            findings.append(warning(about, says, way_out, documented=figure, configured=own))
        else:
            findings.append(ok(about, f"{own:,} is within what {tells} ({sure})", documented=figure, configured=own))
    return findings


def duration_s(text: str) -> float | None:
    """Seconds of a duration as OpenAI writes it: `6m0s`, `120ms`, `1h2m3.5s`, or a bare number; None if it is none."""
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNIT_S[unit] for number, unit in parts)


def _window(headers: Mapping[bytes, bytes], what: str, limit: int) -> str:
    remaining = _number(headers, f"x-ratelimit-remaining-{what}")
    reset_s = duration_s(headers.get(f"x-ratelimit-reset-{what}".encode(), b"").decode("latin-1").strip())
    if remaining is None or reset_s is None or remaining >= limit:
        return "minute"
    return "day" if reset_s * limit / (limit - remaining) > _LONGER_THAN_MINUTES_S else "minute"


def _number(headers: Mapping[bytes, bytes], name: str) -> int | None:
    text = headers.get(name.encode(), b"").strip()
    return int(text) if text.isdigit() and len(text) < 16 else None
