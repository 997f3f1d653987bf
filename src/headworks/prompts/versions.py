"""Semantic versions of prompts, and by how much a change must raise one.

The machine decides, from what callers and the model see: *major* when a call that was good may be refused or its output
breaks, *minor* when anything that is sent changes, *patch* when only the source does.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from headworks.errors import Refusal
from headworks.prompts.prompt import Prompt
from headworks.prompts.rendering import Rendered
from headworks.prompts.shape import MAX_LENGTH, VERSION, Variable

Level = Literal["major", "minor", "patch", "none"]

_LEVELS: tuple[Level, ...] = ("none", "patch", "minor", "major")
_MARKER = "0goldenset0goldenset"
"""One for both sides, so that fences do not differ. What is rendered with it is compared and never sent."""


class Version(msgspec.Struct, frozen=True, order=True):
    """A semantic version without pre-release and build. Ordered."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        """The version of a text like `1.2.3`.

        Raises:
            ValueError: it is none.
        """
        found = re.fullmatch(VERSION, text)
        if found is None:
            raise ValueError("expected a semantic version like 1.2.3")
        return cls(*map(int, found.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def raised(self, level: Level) -> "Version":
        """The next version at this level."""
        match level:
            case "major":
                return Version(self.major + 1, 0, 0)
            case "minor":
                return Version(self.major, self.minor + 1, 0)
            case "patch":
                return Version(self.major, self.minor, self.patch + 1)
            case "none":
                return self

    def level_to(self, newer: "Version") -> Level:
        """How much a newer version is raised above this one: by its first number that is greater."""
        if newer.major > self.major:
            return "major"
        if newer.minor > self.minor:
            return "minor"
        return "patch" if newer.patch > self.patch else "none"


class RequiredBump(msgspec.Struct, frozen=True):
    """The least level by which the version must rise, and what demands it, the weightiest first."""

    level: Level
    reasons: tuple[str, ...]


def required_bump(
    old: Prompt,
    new: Prompt,
    cases: Sequence[Mapping[str, object]],
    *,
    parameters_changed: bool,
    output_broken: bool,
) -> RequiredBump:
    """By how much the version must rise from one prompt to another. The versions that they state are not looked at.

    Arguments:
        old: what is published.
        new: what is to be.
        cases: the variables of each case of the golden set.
        parameters_changed: whether the calls' parameters (model settings, tools) differ.
        output_broken: whether consumers of the old output cannot take the new one.
    """
    found: list[tuple[Level, str]] = []
    if output_broken:
        found.append(("major", "the output's contract breaks"))
    found.extend(_contract(old.variables, new.variables))
    found.extend(_renderings(old, new, cases))
    if parameters_changed:
        found.append(("minor", "parameters of the calls change"))
    if old.breakpoint != new.breakpoint:
        found.append(("minor", "`cache.breakpoint` changes"))
    if not found and old.hash != new.hash:
        found.append(("patch", "the source changes, and what is sent does not"))
    level: Level = max((level for level, _ in found), key=_LEVELS.index, default="none")
    ordered = sorted(found, key=lambda each: -_LEVELS.index(each[0]))
    return RequiredBump(level, tuple(reason for _, reason in ordered))


def check_bump(old_version: str, new_version: str, required: RequiredBump) -> str | None:
    """What is wrong with a new version, with the least one that is right; None if it will do.

    Raises:
        ValueError: one of them is no version.
    """
    old, new = Version.parse(old_version), Version.parse(new_version)
    least = old.raised(required.level)
    if new < old:
        return f"version {new} is below {old}; it must be at least {least}"
    if _LEVELS.index(old.level_to(new)) >= _LEVELS.index(required.level):
        return None
    return f"version {new} must be at least {least}, a {required.level} step from {old}: " + "; ".join(required.reasons)


def _contract(old: Mapping[str, Variable], new: Mapping[str, Variable]) -> list[tuple[Level, str]]:
    """What changes for whoever gives the variables."""
    found: list[tuple[Level, str]] = []
    for name, before in old.items():
        after = new.get(name)
        if after is None:
            found.append(("major", f"variable `{name}` is gone"))
            continue
        if why := _narrowed(before, after):
            found.append(("major", f"variable `{name}` {why}"))
        elif _narrowed(after, before):
            found.append(("minor", f"variable `{name}` takes more than before"))
        if after.is_required and not before.is_required:
            found.append(("major", f"variable `{name}` is now required"))
        elif before.is_required and not after.is_required:
            found.append(("minor", f"variable `{name}` is no longer required"))
        elif not after.is_required and msgspec.json.encode(before.default) != msgspec.json.encode(after.default):
            found.append(("minor", f"the default of variable `{name}` changes"))
    for name, added in new.items():
        if name not in old:
            level: Level = "major" if added.is_required else "minor"
            found.append((level, f"{'required' if added.is_required else 'optional'} variable `{name}` is added"))
    return found


def _narrowed(old: Variable, new: Variable) -> str | None:
    """Why not every value that `old` takes is one that `new` takes; None if every one is."""
    if old.type == "enum" and new.type in ("enum", "string"):
        if new.type == "enum":
            return "takes fewer values" if set(old.values) - set(new.values) else None
        return "is shorter" if max(map(len, old.values)) > new.max_length else None
    if old.type != new.type and (old.type, new.type) != ("integer", "number"):
        return f"changes from {old.type} to {new.type}"
    if old.type in ("integer", "number"):
        low, high = old.minimum, old.maximum
        if new.minimum is not None and (low is None or new.minimum > low):
            return "has a higher minimum"
        if new.maximum is not None and (high is None or new.maximum < high):
            return "has a lower maximum"
    if old.type in ("string", "list", "object") and _length(new) < _length(old):
        return "has a lower `max_length`"
    if old.type == "list":
        if new.max_items < old.max_items:
            return "has a lower `max_items`"
        why = _narrowed(old.item, new.item)
        return None if why is None else f"has items of which each {why}"
    return None


def _length(variable: Variable) -> int:
    return min(variable.max_length, MAX_LENGTH)


def _renderings(old: Prompt, new: Prompt, cases: Sequence[Mapping[str, object]]) -> list[tuple[Level, str]]:
    found: list[tuple[Level, str]] = []
    changed: list[int] = []
    compared = 0
    for number, case in enumerate(cases, 1):
        before, after = _rendered(old, case), _rendered(new, case)
        if before is not None and after is None:
            found.append(("major", f"golden case {number} was taken and is now refused"))
        if before is None or after is None:
            continue
        compared += 1
        if before != after:
            changed.append(number)
    if changed:
        found.append(("minor", f"golden case {changed[0]} is rendered otherwise ({len(changed)} of {compared} are)"))
    if not compared and not found and _template(old) != _template(new):
        before, after = _rendered(old, {}), _rendered(new, {})
        if before is None or before != after or not all(section.is_static for section in new.sections):
            found.append(("minor", "the template changes, and no golden case shows that what is sent does not"))
    return found


def _rendered(prompt: Prompt, case: Mapping[str, object]) -> Rendered | None:
    try:
        return prompt.render(case, marker=_MARKER)
    except Refusal:
        return None


def _template(prompt: Prompt) -> object:
    return prompt.input_at, [(section.role, section.source) for section in prompt.sections]
