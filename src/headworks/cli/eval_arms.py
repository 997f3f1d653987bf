"""What `--arm` says: `mini`, or `model=mini,prompt=1.2.0,temperature=0.2,retrieval=bm25,name=cool`.

Of live calls, which are compared by their outcomes: `prompt=1.2.0`, `model=mini`, `since=2026-11-01,until=2026-11-08`.
"""

import argparse
import time
from collections.abc import Mapping

import msgspec

from headworks.cli.moments import moment
from headworks.config.contract import OutputLimits
from headworks.config.walk import suggestion

PARAMETERS = ("temperature", "max_tokens", "reasoning_effort", "verbosity")
"""Of the contract's `output`: what an arm may change."""

_TIMES = ("since", "until")
_KEYS = ("model", "prompt", "retrieval", "name", *PARAMETERS, *_TIMES)


class ArmSpec(msgspec.Struct, frozen=True):
    """One arm as it is asked for.

    Attributes:
        model: a role, a public name or `provider/model`; "" for the rung in use.
        prompt: `folder`, `active`, or a published version.
        name: as reports call it; "" for the model's.
        parameters: of the contract's `output`.
        retrieval: a way of evals.yaml by which each case is given a context; "" for what cases say themselves.
        since_us, until_us: of live calls: when they began, from then on and before then; Unix time. None for no bound.
    """

    model: str = ""
    prompt: str = "folder"
    name: str = ""
    parameters: Mapping[str, object] = {}
    retrieval: str = ""
    since_us: int | None = None
    until_us: int | None = None

    def as_given(self) -> dict[str, object]:
        """What makes the same arm again, JSON values only."""
        found = {"retrieval": self.retrieval} if self.retrieval else {}
        return {"model": self.model, "prompt": self.prompt, "name": self.name, **found, **self.parameters}


def arm_spec(text: str) -> ArmSpec:
    """The arm that a flag says.

    Raises:
        argparse.ArgumentTypeError: it says none; what would do.
    """
    if "=" not in text:
        return ArmSpec(model=text)
    given: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        if not equals or not value:
            raise argparse.ArgumentTypeError("expected KEY=VALUE, divided by commas, such as model=mini,prompt=1.2.0")
        if key not in _KEYS:
            raise argparse.ArgumentTypeError(f"`{key[:40]}` is nothing that an arm has{suggestion(key, _KEYS)}")
        given[key] = value
    return ArmSpec(
        given.get("model", ""),
        given.get("prompt", "folder"),
        given.get("name", ""),
        {key: _parameter(key, given[key]) for key in PARAMETERS if key in given},
        given.get("retrieval", ""),
        *(_moment_us(given.get(key)) for key in _TIMES),
    )


def arm_again(given: Mapping[str, object]) -> ArmSpec:
    """The arm that `as_given` was of."""
    return ArmSpec(
        str(given.get("model", "")),
        str(given.get("prompt", "folder")),
        str(given.get("name", "")),
        {key: given[key] for key in PARAMETERS if key in given},
        str(given.get("retrieval", "")),
    )


def _moment_us(text: str | None) -> int | None:
    return None if text is None else round(moment(text, now=time.time, sign=-1) * 1e6)


def _parameter(key: str, text: str) -> object:
    """A value of the contract's `output`, within its bounds."""
    try:
        value: object = msgspec.json.decode(text)
    except msgspec.DecodeError:
        value = text
    try:
        return getattr(msgspec.convert({key: value}, OutputLimits), key)
    except msgspec.ValidationError as error:
        raise argparse.ArgumentTypeError(f"{key}: {error}") from None
