"""What one key may do, compiled for the hot path. Pure."""

from collections.abc import Iterable

from headworks.access.networks import Networks
from headworks.calls import NO_BUDGET, NO_LIMITS, USUAL_PRIORITY, Budget, Caller, Endpoint, Limits

_REMEMBERED_NAMES = 1024
"""Verdicts that are kept for one grant; names come from callers, so there must be a bound."""


class ModelPattern:
    """A model name in which `*` stands for any characters, or none. Matching is linear whatever the pattern."""

    __slots__ = ("_first", "_is_exact", "_last", "_middle")

    def __init__(self, pattern: str) -> None:
        first, *rest = pattern.split("*")
        self._is_exact = not rest
        self._first = first
        self._last = rest[-1] if rest else ""
        self._middle = tuple(part for part in rest[:-1] if part)

    def matches(self, name: str) -> bool:
        """Whether the whole name fits; upper and lower case differ."""
        if self._is_exact:
            return name == self._first
        end = len(name) - len(self._last)
        position = len(self._first)
        if position > end or not name.startswith(self._first) or not name.endswith(self._last):
            return False
        for part in self._middle:
            # The leftmost place leaves the most room for what follows, so nothing need be tried twice.
            position = name.find(part, position, end)
            if position < 0:
                return False
            position += len(part)
        return True


class Grant:
    """Who calls, and what they may call.

    Arguments:
        caller: who it is.
        models: patterns of the model names that may be asked for; none means all.
        endpoints: what may be called; none means all but approvals.
        expires_at: Unix seconds from which the key is no longer good.
        limits: what the key may ask for.
        budget: what it may spend.
        priority: the class of its calls, 0 (served first, refused last) to 3.
        weight: of its team's share where calls wait.
        networks: from where it may be used; none means from anywhere.

    Attributes:
        networks: the same, None for anywhere.
        has_all_models: no model is out of its scope.
        is_bound: it has limits or a budget.
    """

    __slots__ = (
        "_endpoints",
        "_patterns",
        "_verdicts",
        "budget",
        "caller",
        "expires_at",
        "has_all_models",
        "is_bound",
        "limits",
        "networks",
        "priority",
        "weight",
    )

    def __init__(
        self,
        caller: Caller,
        *,
        models: Iterable[str] = (),
        endpoints: Iterable[Endpoint] = (),
        expires_at: float = float("inf"),
        limits: Limits = NO_LIMITS,
        budget: Budget = NO_BUDGET,
        priority: int = USUAL_PRIORITY,
        weight: int = 1,
        networks: Iterable[str] = (),
    ) -> None:
        self.caller = caller
        named = tuple(networks)
        self.networks = Networks(named) if named else None
        self.priority = priority
        self.weight = weight
        self.limits = limits
        self.budget = budget
        self.is_bound = limits is not NO_LIMITS or budget is not NO_BUDGET
        self.expires_at = expires_at
        self._patterns = tuple(map(ModelPattern, models))
        self.has_all_models = not self._patterns
        self._endpoints = frozenset(endpoints)
        self._verdicts: dict[str, bool] = {}

    @property
    def is_lasting(self) -> bool:
        """Whether it does not expire by itself."""
        return self.expires_at == float("inf")

    def may_call(self, endpoint: Endpoint) -> bool:
        """Whether the key's scope has this endpoint. Listing models is always allowed: it shows only usable ones.
        Deciding approvals is what no key may do unless its scope names it."""
        if endpoint in self._endpoints or endpoint is Endpoint.MODELS:
            return True
        return not self._endpoints and endpoint is not Endpoint.APPROVALS

    def may_use(self, model: str) -> bool:
        """Whether the key's scope has this model, by the name that the caller asks for."""
        if not self._patterns:
            return True
        verdict = self._verdicts.get(model)
        if verdict is None:
            verdict = any(pattern.matches(model) for pattern in self._patterns)
            if len(self._verdicts) < _REMEMBERED_NAMES:
                self._verdicts[model] = verdict
        return verdict
