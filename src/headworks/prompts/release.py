"""A prompt together with what is sent beside it: what a version number stands for as a whole.

Callers and the model see more than the prompt's own text: the output's schema and the parameters that the contract
fixes. They change a version as the text does.
"""

import json
from collections.abc import Mapping, Sequence

import msgspec

from headworks.prompts.outputs import broken_output
from headworks.prompts.prompt import Prompt
from headworks.prompts.versions import Level, RequiredBump, required_bump


class Companions(msgspec.Struct, frozen=True):
    """What is sent beside a prompt's messages.

    `schema` is the output's JSON schema, "" for none; `parameters` a JSON object of what the contract fixes, the tools
    among it. Equal when they are sent alike.
    """

    schema: str = ""
    parameters: str = "{}"


class Release(msgspec.Struct, frozen=True):
    """A prompt and its companions; None where those were not kept."""

    prompt: Prompt
    companions: Companions | None


def release_bump(old: Release, new: Release, cases: Sequence[Mapping[str, object]]) -> RequiredBump:
    """By how much the version must rise from one release to another.

    Arguments:
        old: what is published.
        new: what is to be.
        cases: the variables of each case of the golden set.
    """
    found = required_bump(old.prompt, new.prompt, cases, parameters_changed=False, output_broken=False)
    if old.companions is None or new.companions is None:
        return found
    before, after = old.companions, new.companions
    breaks = [f"the output's contract breaks: {reason}" for reason in broken_output(before.schema, after.schema)]
    changes = [f"the parameter `{name}` changes" for name in _changed(before.parameters, after.parameters)]
    if before.schema != after.schema and not breaks:
        changes.insert(0, "the output's schema changes")
    level: Level = found.level
    if breaks:
        level = "major"
    elif changes and level in ("none", "patch"):
        level = "minor"
    own = list(found.reasons)
    ordered = [*breaks, *changes, *own] if found.level == "patch" else [*breaks, *own, *changes]
    return RequiredBump(level, tuple(ordered))


def _changed(old: str, new: str) -> list[str]:
    """The parameters that differ. Order counts below the first level: bytes that move empty the provider's cache."""
    before, after = _spelled(old), _spelled(new)
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _spelled(parameters: str) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in json.loads(parameters).items()}
