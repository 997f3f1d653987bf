"""A plan: the architecture that follows from a contract, as decisions with their reasons. Values, and how they read."""

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec.structs import force_setattr

from headworks.config import Workload
from headworks.config.contract import Contract
from headworks.workloads.facts import Facts, ModelFact

Source = Literal["contract", "traffic", "default", "ask"]
"""Where a decision comes from: the contract says it; recorded calls show it; nobody has said otherwise; or it cannot
be derived, and somebody must be asked."""

By = Literal["headworks", "you", ""]
"""Who sees to a decision: Headworks, with every call; or people, whose work or judgement it is. A figure: nobody."""

DAYS_PER_MONTH = 30


class Decision(msgspec.Struct, frozen=True):
    """One decision. With source `ask` the value is the question, and the reason why it matters: it is the reader's."""

    what: str
    value: str
    reason: str
    source: Source
    by: By = "headworks"

    def __post_init__(self) -> None:
        if self.source == "ask":
            force_setattr(self, "by", "you")


class PlanSection(msgspec.Struct, frozen=True):
    """Decisions that belong together."""

    title: str
    decisions: tuple[Decision, ...]


class Plan(msgspec.Struct, frozen=True):
    """The whole plan of one workload."""

    workload: str
    description: str
    owner: str
    sections: tuple[PlanSection, ...]

    @property
    def questions(self) -> tuple[Decision, ...]:
        """What somebody must be asked."""
        return tuple(one for section in self.sections for one in section.decisions if one.source == "ask")


class Traffic(msgspec.Struct, frozen=True):
    """What recorded calls of a workload show.

    Attributes:
        days: the time that they were counted over.
        calls: how many there were.
        failures: those that ended neither answered nor cancelled.
        input_tokens, cached_tokens, output_tokens: sums.
        total_s: seconds to the last byte below which 95 of 100 answered calls stayed; 0: not known.
        first_token_s: the same to the first token; 0: not known.
        cost_pico: what those have cost whose cost is known, in pico-dollars.
        known_costs: how many those are.
    """

    days: float
    calls: int
    failures: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    total_s: float = 0.0
    first_token_s: float = 0.0
    cost_pico: int = 0
    known_costs: int = 0


class Given(msgspec.Struct, frozen=True):
    """What a plan is derived from, with the questions that several sections ask of it."""

    workload: Workload
    facts: Facts
    traffic: Traffic | None = None

    @property
    def contract(self) -> Contract:
        return self.workload.contract

    def source(self, *place: str) -> Source:
        """`contract` if the contract sets the value at this place, else `default`."""
        return "contract" if place in self.workload.places else "default"

    @property
    def measured(self) -> Traffic | None:
        """The traffic, if there is any to learn from."""
        return self.traffic if self.traffic is not None and self.traffic.calls > 0 and self.traffic.days > 0 else None

    @property
    def rung(self) -> str:
        """The name of the model in use: the contract's, else the lock's, else the first of the ladder."""
        return self.contract.model or self.facts.locked_model or self.contract.ladder[0]

    @property
    def model(self) -> ModelFact | None:
        return self.facts.models.get(self.rung)

    @property
    def chain(self) -> tuple[str, ...]:
        """The model in use, then the fallbacks, the static answer included."""
        return (self.rung, *self.contract.fallback)

    @property
    def calls_per_day(self) -> float:
        return self.contract.volume.calls_per_day if self.measured is None else self.measured.calls / self.measured.days

    @property
    def volume_source(self) -> Source:
        return self.source("volume", "calls_per_day") if self.measured is None else "traffic"

    @property
    def input_tokens(self) -> float:
        """Input tokens of a call, static ones included."""
        if self.measured is not None and self.measured.input_tokens:
            return self.measured.input_tokens / self.measured.calls
        return self.facts.static_tokens + self.contract.volume.input_tokens

    @property
    def output_tokens(self) -> float:
        if self.measured is not None and self.measured.output_tokens:
            return self.measured.output_tokens / self.measured.calls
        return self.contract.volume.output_tokens


def named(name: str, models: Mapping[str, ModelFact]) -> str:
    """A rung with the model that it stands for: `nano (openai/gpt-6-luna)`."""
    model = models.get(name)
    return name if model is None or str(model) == name else f"{name} ({model})"


def many(tokens: float) -> str:
    """A count to three digits: `843`, `12.3 thousand`, `4.56 million`."""
    for size, word in ((1e9, "billion"), (1e6, "million"), (1e4, "thousand")):
        if tokens >= size:
            scaled = tokens / (1e3 if word == "thousand" else size)
            return f"{scaled:.3g} {word}" if scaled < 999.5 else f"{scaled:,.0f} {word}"
    return f"{tokens:,.0f}"
