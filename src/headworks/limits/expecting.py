"""How many tokens a call will take, before it is made. Pure, in a fixed small memory.

What a call may produce at most (`max_output_tokens`) is many times what it produces; to reserve that would leave most
of a quota idle. What is expected is a high quantile of what calls of the same workload or model really produced.
"""

import math
from collections import OrderedDict

_BYTES_A_TOKEN = 4.0
"""Before anything was seen: English in JSON (OpenAI's tokenizer page: "1 token ~= 4 chars in English")."""

_FIRST_OUTPUT = 512
"""Before anything was seen: a chat answer of some length."""

_QUANTILE = 0.85
_FIRST_STEP = 0.6
_LAST_STEP = 0.03
"""The quantile moves by factors: by up to exp(0.6) at first, by exp(0.03) when it has settled."""

_SETTLED = (_FIRST_STEP / _LAST_STEP) ** 2
_UP = math.exp(_LAST_STEP * _QUANTILE)
_DOWN = math.exp(_LAST_STEP * (_QUANTILE - 1.0))
"""The factors from that call on."""

_LESSON_S = 0.001
"""The least time between two calls that teach us of a well-known kind."""

_INPUT_SMOOTHING = 0.05
_SMOOTH_FROM = 1 / _INPUT_SMOOTHING
_MOST_OFF = 4.0
"""A count of the model's own tokenizer is never taken to be further off what is billed than by this factor."""

_KEYS = 1024


class _Learnt:
    """What calls of one kind came to."""

    __slots__ = ("billed_a_counted", "bytes_a_token", "calls", "learnt_s", "output")

    def __init__(self) -> None:
        self.calls = 0
        self.learnt_s = -math.inf
        self.output = float(_FIRST_OUTPUT)
        self.bytes_a_token = _BYTES_A_TOKEN
        self.billed_a_counted = 1.0


class Expectations:
    """Learns the tokens of calls by kind (a workload's or a model's name). State: `_learnt`, the least used goes first.

    Arguments:
        keys: how many kinds are remembered.
    """

    def __init__(self, keys: int = _KEYS) -> None:
        self._keys = keys
        self._learnt: OrderedDict[str, _Learnt] = OrderedDict()

    def tokens(
        self,
        kind: str,
        body_bytes: int,
        *,
        input_tokens: int | None = None,
        max_output_tokens: int | None = None,
        media_tokens: int = 0,
    ) -> int:
        """What to reserve for a call.

        Arguments:
            body_bytes: of the request's text; stands in for `input_tokens` where those were not counted.
            input_tokens: of its text, as counted; corrected by what such counts were billed as.
            max_output_tokens: what it may produce at most; more is never expected.
            media_tokens: of what is not text, by the providers' rules.
        """
        learnt = self._learnt.get(kind)
        if learnt is None:
            given = input_tokens if input_tokens is not None else math.ceil(body_bytes / _BYTES_A_TOKEN)
            output = _FIRST_OUTPUT
        else:
            given = (
                math.ceil(input_tokens * learnt.billed_a_counted)
                if input_tokens is not None
                else math.ceil(body_bytes / learnt.bytes_a_token)
            )
            output = math.ceil(learnt.output)
        if max_output_tokens is not None and output > max_output_tokens:
            output = max_output_tokens
        return given + media_tokens + output

    def output(self, kind: str) -> int:
        """How many of them it will write."""
        learnt = self._learnt.get(kind)
        return _FIRST_OUTPUT if learnt is None else math.ceil(learnt.output)

    def learn(
        self,
        kind: str,
        body_bytes: int,
        input_tokens: int,
        output_tokens: int,
        *,
        counted_tokens: int | None = None,
        media_tokens: int = 0,
        now_s: float | None = None,
    ) -> None:
        """What a call really came to. For calls that the provider billed; not for those that failed early. A call that
        is mostly media teaches nothing of text: the rules for them are not that exact.

        Arguments:
            body_bytes: of its text.
            counted_tokens: of its text, where they were counted.
            media_tokens: what its media were taken to be.
            now_s: when it was, by any clock. Of a kind that is well known, calls that follow closely on one that has
                taught us are passed over: they would say the same, a hundred times a second and more.

        The quantile is followed by stochastic approximation: up by `step * q` when the output was above, down by
        `step * (1 - q)` when below; in equilibrium a share of `q` is below.
        """
        learnt = self._learnt.get(kind)
        if learnt is None:
            learnt = self._learnt[kind] = _Learnt()
            learnt.output = max(1, output_tokens) * 1.5
            if len(self._learnt) > self._keys:
                self._learnt.popitem(last=False)
        else:
            if now_s is not None and learnt.calls > _SETTLED:
                if 0.0 <= now_s - learnt.learnt_s < _LESSON_S:
                    return
                learnt.learnt_s = now_s
            self._learnt.move_to_end(kind)
            is_above = output_tokens > learnt.output
            if learnt.calls < _SETTLED:
                step = _FIRST_STEP / math.sqrt(learnt.calls)
                learnt.output *= math.exp(step * (_QUANTILE if is_above else _QUANTILE - 1.0))
            else:
                learnt.output *= _UP if is_above else _DOWN
            if learnt.output < 1.0:
                learnt.output = 1.0
        learnt.calls += 1
        billed = input_tokens - media_tokens
        if billed > media_tokens and body_bytes > 0:
            # What we cannot see, such as files by reference, makes single calls odd; a bound keeps one from spoiling
            # the rest.
            weight = _INPUT_SMOOTHING if learnt.calls > _SMOOTH_FROM else 1.0 / (learnt.calls + 1)
            ratio = body_bytes / billed
            ratio = 1.0 if ratio < 1.0 else min(ratio, 16.0)
            learnt.bytes_a_token += (ratio - learnt.bytes_a_token) * weight
            if counted_tokens:
                factor = min(max(billed / counted_tokens, 1 / _MOST_OFF), _MOST_OFF)
                learnt.billed_a_counted += (factor - learnt.billed_a_counted) * weight

    def __len__(self) -> int:
        return len(self._learnt)
