"""Times and durations as people write them on a command line, and as they like to read them."""

import argparse
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
DURATION_FORM = "such as 90s, 15m, 12h, 30d, 4w"
MOMENT_FORM = f"a duration ({DURATION_FORM}) or a date (2026-12-31, 2026-12-31T18:00, UTC unless it says otherwise)"


def parse_duration(text: str) -> float:
    """Seconds. Raises `argparse.ArgumentTypeError` for anything that is no duration."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhdw])", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration {DURATION_FORM}")
    return float(match[1]) * _UNIT_S[match[2]]


def moment(text: str, *, now: Callable[[], float], sign: int) -> float:
    """Unix seconds. A duration counts from now: forward with sign 1, back with sign -1.

    Raises:
        argparse.ArgumentTypeError: neither a duration nor a date.
    """
    if re.fullmatch(r"[0-9.]+[smhdw]", text.strip()):
        return now() + sign * parse_duration(text)
    try:
        read = datetime.fromisoformat(text.strip())
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is neither {MOMENT_FORM.replace(' or ', ' nor ', 1)}") from None


def past(text: str) -> float:
    """Unix seconds of a `--since WHEN`: a duration counts back from now. Raises `argparse.ArgumentTypeError`."""
    return moment(text, now=time.time, sign=-1)


def iso(seconds: float | None) -> str | None:
    """A time in UTC for machines, to the millisecond: `2026-11-24T00:00:00.000Z`."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def day(seconds: float | None) -> str:
    """A time in UTC for people, to the minute; `-` for none."""
    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def clock(seconds: float, *, now: float) -> str:
    """A time of today without the date, another with it; in UTC, to the second."""
    at, today = datetime.fromtimestamp(seconds, UTC), datetime.fromtimestamp(now, UTC)
    return at.strftime("%H:%M:%S" if at.date() == today.date() else "%Y-%m-%d %H:%M:%S")


def duration(microseconds: int) -> str:
    """A duration to about three digits: `843us`, `12.4ms`, `312ms`, `1.24s`, `2m03s`; `-` for 0."""
    if microseconds <= 0:
        return "-"
    if microseconds < 1000:
        return f"{microseconds}us"
    milliseconds = microseconds / 1000
    if milliseconds < 999.5:
        return f"{milliseconds:.1f}ms" if milliseconds < 99.95 else f"{milliseconds:.0f}ms"
    seconds = milliseconds / 1000
    if seconds < 59.95:
        return f"{seconds:.2f}s" if seconds < 9.995 else f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"
