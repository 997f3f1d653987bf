"""The provider's rate limits: continuous token buckets, with the headers and refusals of the OpenAI API.

A request is charged its input tokens and the output it may ask for, at once; nothing is given back, and a
refused request is charged nothing.
"""

import math

import msgspec

from headworks.simulator.plan import Limits
from headworks.simulator.rejection import Rejection, rate_limited, request_too_large

_MINUTE_S = 60.0
_DAY_S = 86_400.0


class Bucket:
    """`capacity` units that flow back evenly over `window_s` seconds. State: the level, and when it was right."""

    __slots__ = ("_at", "_level", "capacity", "window_s")

    def __init__(self, capacity: int, window_s: float, now: float) -> None:
        self.capacity = capacity
        self.window_s = window_s
        self._level = float(capacity)
        self._at = now

    def level(self, now: float) -> float:
        """What may be taken now."""
        elapsed = max(0.0, now - self._at)
        return min(float(self.capacity), self._level + elapsed * self.capacity / self.window_s)

    def wait_s(self, amount: float, now: float) -> float:
        """How long until `amount` may be taken; infinite if it never fits."""
        if amount > self.capacity:
            return math.inf
        return max(0.0, amount - self.level(now)) * self.window_s / self.capacity

    def take(self, amount: float, now: float) -> None:
        """Take `amount`, which must be there."""
        level = self.level(now)
        assert amount <= level + 1e-6, "a bucket is asked before it is taken from"
        self._level = max(0.0, level - amount)
        self._at = max(now, self._at)

    def full_in_s(self, now: float) -> float:
        """How long until it is full again."""
        return self.wait_s(self.capacity, now)


class _Dimension(msgspec.Struct, frozen=True):
    """One limit: a bucket, and how the API calls it."""

    bucket: Bucket
    kind: str  # "requests" or "tokens"
    window: str


class ModelLimits:
    """The limits of one model. State: its buckets."""

    def __init__(self, model: str, limits: Limits, organization: str, now: float) -> None:
        self._model = model
        self._organization = organization
        planned = (
            (limits.rpm, _MINUTE_S, "requests", "requests per min (RPM)"),
            (limits.tpm, _MINUTE_S, "tokens", "tokens per min (TPM)"),
            (limits.rpd, _DAY_S, "requests", "requests per day (RPD)"),
            (limits.tpd, _DAY_S, "tokens", "tokens per day (TPD)"),
        )
        self._dimensions = tuple(
            _Dimension(Bucket(capacity, window_s, now), kind, window)
            for capacity, window_s, kind, window in planned
            if capacity is not None
        )

    def admit(self, tokens: int, now: float) -> dict[bytes, bytes]:
        """Charge one request of `tokens` tokens to every limit, or to none; returns the `x-ratelimit` headers.

        Raises Rejection: the 429 of the limit that makes the request wait longest.
        """
        if not self._dimensions:
            return {}
        waits = [(d.bucket.wait_s(self._amount(d, tokens), now), d) for d in self._dimensions]
        wait_s, tightest = max(waits, key=lambda pair: pair[0])
        if wait_s > 0:
            raise self._refusal(tightest, tokens, wait_s, now)
        for dimension in self._dimensions:
            dimension.bucket.take(self._amount(dimension, tokens), now)
        return self.headers(now)

    def headers(self, now: float) -> dict[bytes, bytes]:
        """The `x-ratelimit` headers: per kind the limit of the shortest window."""
        headers: dict[bytes, bytes] = {}
        for name in ("limit", "remaining", "reset"):
            for kind in ("requests", "tokens"):
                dimension = next((d for d in self._dimensions if d.kind == kind), None)
                if dimension is not None:
                    headers[f"x-ratelimit-{name}-{kind}".encode()] = _header(name, dimension.bucket, now)
        return headers

    @staticmethod
    def _amount(dimension: _Dimension, tokens: int) -> int:
        return 1 if dimension.kind == "requests" else tokens

    def _refusal(self, dimension: _Dimension, tokens: int, wait_s: float, now: float) -> Rejection:
        headers = self.headers(now)
        bucket = dimension.bucket
        if math.isinf(wait_s):
            return request_too_large(
                self._model, self._organization, dimension.window, bucket.capacity, tokens, headers
            )
        headers |= retry_headers(wait_s)
        used = math.ceil(bucket.capacity - bucket.level(now))
        return rate_limited(
            self._model,
            self._organization,
            kind=dimension.kind,
            window=dimension.window,
            detail=f"Limit {bucket.capacity}, Used {used}, Requested {self._amount(dimension, tokens)}",
            wait=duration(wait_s),
            headers=headers,
        )


def _header(name: str, bucket: Bucket, now: float) -> bytes:
    if name == "limit":
        return b"%d" % bucket.capacity
    if name == "remaining":
        return b"%d" % math.floor(bucket.level(now) + 1e-6)
    return duration(bucket.full_in_s(now)).encode()


def retry_headers(wait_s: float) -> dict[bytes, bytes]:
    """`retry-after` in whole seconds and `retry-after-ms`, rounded up so that the wait is long enough."""
    return {b"retry-after": b"%d" % math.ceil(wait_s), b"retry-after-ms": b"%d" % math.ceil(wait_s * 1000)}


def duration(seconds: float) -> str:
    """A duration as the API's headers write it: `6ms`, `1.2s`, `1m12s`, `2h3m4s`; rounded up to milliseconds."""
    milliseconds = math.ceil(round(seconds * 1000, 6))
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    shown = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{shown}"
    return f"{minutes}m{shown}" if minutes else shown
