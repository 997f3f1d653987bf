"""Rate-limit headers: those of providers read into one struct, ours written in OpenAI's format. Pure.

| who | limit, remaining, reset | a reset is |
|---|---|---|
| OpenAI, most compatible servers | `x-ratelimit-remaining-requests`, `-tokens` | a duration: `1s`, `6m0s`, `250ms` |
| Azure OpenAI | the same names | seconds, or a duration |
| Anthropic | `anthropic-ratelimit-requests-remaining`, `-tokens-`, `-input-tokens-`, `-output-tokens-` | RFC 3339 |
| Mistral, Cerebras | `x-ratelimit-remaining-req-minute` (`-requests-minute`), `-tokens-minute` | seconds, or missing |
| Together | `x-ratelimit-remaining`, `x-tokenlimit-remaining`, of one second | seconds |

A header that is not understood is as one that is missing: limits are kept without the provider's word, too.
"""

import datetime as dt
import email.utils
import math
import re
from collections.abc import Mapping
from functools import lru_cache

from headworks.limits.provider_limits import NO_LIMITS, NOTHING_SAID, KindLimit, ProviderLimits

_OPENAI = b"x-ratelimit-%b-%b"
_ANTHROPIC = b"anthropic-ratelimit-%b-%b"
_MINUTES = {b"requests": (b"req-minute", b"requests-minute"), b"tokens": (b"tokens-minute",)}
"""Under which names Mistral and Cerebras say the same (headers of their answers, 2026-11)."""

_SECONDS_OF = {b"requests": b"x-ratelimit-%b", b"tokens": b"x-tokenlimit-%b"}
"""Together's names. What one second allows is a sixtieth of what a minute does. Others call other things so, a day's
limit say: they are read only where `x-tokenlimit-limit` is, too (Together "Rate limits", 2026-11)."""

_TOGETHER = b"x-tokenlimit-limit"

_DURATION = re.compile(rb"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SECONDS = re.compile(rb"\d+(?:\.\d+)?")
_WHOLE = re.compile(rb"-?\d{1,18}(?:\.\d+)?")
_MOST_S = 31 * 86_400.0
"""A reset or a retry further away than a month is a mistake or an attack."""


def parse_limits(headers: Mapping[bytes, bytes], unix_s: float) -> ProviderLimits:
    """What an answer says of limits.

    Arguments:
        headers: lower-case names to values.
        unix_s: the time of day, for resets and retries that are named by a date; an answer that has a `date` says
            itself what time it was then, and our clock need not agree.
    """
    limits = ProviderLimits(
        _kind(headers, b"requests", unix_s),
        _kind(headers, b"tokens", unix_s),
        _kind(headers, b"input-tokens", unix_s),
        _kind(headers, b"output-tokens", unix_s),
        parse_retry_after(headers, unix_s),
    )
    return NO_LIMITS if limits == NO_LIMITS else limits


def parse_retry_after(headers: Mapping[bytes, bytes], unix_s: float) -> float | None:
    """Seconds to wait, by `retry-after-ms` (OpenAI, Azure) or else `retry-after` (RFC 9110 §10.2.3: whole seconds or
    an HTTP date; some providers send fractions). A date counts from the answer's own `date`, as in `parse_limits`."""
    milliseconds = headers.get(b"retry-after-ms", b"").strip()
    if _SECONDS.fullmatch(milliseconds):
        return _bounded(float(milliseconds) / 1000.0)
    value = headers.get(b"retry-after", b"").strip()
    if not value:
        return None
    if _SECONDS.fullmatch(value):
        return _bounded(float(value))
    date_s = _unix_of(value)
    return None if date_s is None else _bounded(date_s - _time_of(headers, unix_s))


def parse_duration(value: bytes) -> float | None:
    """Seconds of `1s`, `6m0s`, `250ms`, `1h2m3.5s`, or a bare number of seconds; None for anything else."""
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return _bounded(float(value))
    match = _DURATION.fullmatch(value)
    if not value or match is None:
        return None
    days, hours, minutes, seconds, milliseconds = (float(part or 0.0) for part in match.groups())
    return _bounded(days * 86_400.0 + hours * 3600.0 + minutes * 60.0 + seconds + milliseconds / 1000.0)


def render_limits(
    requests: KindLimit = NOTHING_SAID, tokens: KindLimit = NOTHING_SAID, retry_after_s: float | None = None
) -> tuple[tuple[str, str], ...]:
    """Our own limits as OpenAI writes them, for an answer's headers: what is None is left out.

    `retry-after` is rounded up to whole seconds and `retry-after-ms` to milliseconds: who waits so long is served.
    """
    headers: list[tuple[str, str]] = []
    for kind, said in (("requests", requests), ("tokens", tokens)):
        if said.limit is not None:
            headers.append((f"x-ratelimit-limit-{kind}", str(said.limit)))
        if said.remaining is not None:
            headers.append((f"x-ratelimit-remaining-{kind}", str(max(0, said.remaining))))
        if said.reset_s is not None:
            headers.append((f"x-ratelimit-reset-{kind}", render_duration(said.reset_s)))
    if retry_after_s is not None and math.isfinite(retry_after_s):
        milliseconds = _milliseconds(retry_after_s)
        headers.append(("retry-after", str(-(-milliseconds // 1000))))
        headers.append(("retry-after-ms", str(milliseconds)))
    return tuple(headers)


def render_duration(seconds: float) -> str:
    """A duration as OpenAI's headers write it: `6ms`, `1.2s`, `1m12s`, `2h3m4s`; rounded up to milliseconds."""
    milliseconds = _milliseconds(seconds)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    shown = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{shown}"
    return f"{minutes}m{shown}" if minutes else shown


def _milliseconds(seconds: float) -> int:
    return math.ceil(round(max(0.0, seconds) * 1000.0, 6))  # 0.3 s are not 301 ms


def _kind(headers: Mapping[bytes, bytes], kind: bytes, unix_s: float) -> KindLimit:
    if _TOGETHER in headers and kind in _SECONDS_OF:
        return _of_a_second(headers, _SECONDS_OF[kind])
    for name in _MINUTES.get(kind, ()):
        if _OPENAI % (b"remaining", name) in headers:
            kind = name
    limit = _whole(headers.get(_OPENAI % (b"limit", kind)) or headers.get(_ANTHROPIC % (kind, b"limit")))
    remaining = _whole(headers.get(_OPENAI % (b"remaining", kind)) or headers.get(_ANTHROPIC % (kind, b"remaining")))
    reset_s = None
    if duration := headers.get(_OPENAI % (b"reset", kind)):
        reset_s = parse_duration(duration)
    elif moment := headers.get(_ANTHROPIC % (kind, b"reset")):
        reset_s = _until(moment, _time_of(headers, unix_s))
    if limit is None and remaining is None and reset_s is None:
        return NOTHING_SAID
    return KindLimit(limit, None if remaining is None else max(0, remaining), reset_s)


def _of_a_second(headers: Mapping[bytes, bytes], name: bytes) -> KindLimit:
    """What Together says: units of a second, here as a minute's limit, of which no more than those are left."""
    limit = _whole(headers.get(name % b"limit"))
    remaining = _whole(headers.get(name % b"remaining"))
    reset_s = parse_duration(headers.get(name % b"reset", b"x"))
    if limit is None and remaining is None and reset_s is None:
        return NOTHING_SAID
    return KindLimit(None if limit is None else 60 * limit, None if remaining is None else max(0, remaining), reset_s)


def _whole(value: bytes | None) -> int | None:
    value = (value or b"").strip()
    if not _WHOLE.fullmatch(value):
        return None
    return int(value.partition(b".")[0])


def _time_of(headers: Mapping[bytes, bytes], unix_s: float) -> float:
    """The time of day when an answer was made, by whoever made it; by us, where it does not say."""
    date = headers.get(b"date")
    date_s = None if date is None else _unix_of(date)
    return unix_s if date_s is None else date_s


@lru_cache(maxsize=64)  # answers of one second have one date, and reading one costs more than all else here
def _unix_of(date: bytes) -> float | None:
    """Unix seconds of an HTTP date."""
    try:
        parsed = email.utils.parsedate_to_datetime(date.strip().decode("ascii"))
        if parsed.tzinfo is None:  # `-0000` is UTC of an unknown place (RFC 5322 §3.3)
            parsed = parsed.replace(tzinfo=dt.UTC)
        return parsed.timestamp()
    except (ValueError, OverflowError):
        return None


def _until(moment: bytes, unix_s: float) -> float | None:
    """Seconds until a moment of RFC 3339."""
    try:
        parsed = dt.datetime.fromisoformat(moment.strip().decode("ascii").upper())
    except ValueError:
        return None
    return _bounded(parsed.timestamp() - unix_s) if parsed.tzinfo is not None else None


def _bounded(seconds: float) -> float | None:
    """At least now; None where it is absurd."""
    return max(0.0, seconds) if seconds <= _MOST_S else None
