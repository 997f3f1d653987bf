"""Scripted answers: which rule speaks, and whether the model is right this time."""

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from headworks.simulator.asking import Ask
from headworks.simulator.chance import digest, fraction
from headworks.simulator.plan import Case, Rule, Say, Tier, When

_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_AT_A_LOSS = Say(text="I am not sure.")


class Line(msgspec.Struct, frozen=True):
    """What a rule makes the model say, with the words that its templates may use."""

    say: Say
    words: Mapping[str, str]

    def filled(self, template: str) -> str:
        """The template with its placeholders replaced; an unknown one stays as it stands."""
        return _PLACEHOLDER.sub(lambda found: self.words.get(found[1], found[0]), template)

    def filled_value(self, value: object) -> object:
        """A JSON value with every string in it filled."""
        if isinstance(value, str):
            return self.filled(value)
        if isinstance(value, list):
            return [self.filled_value(item) for item in value]
        if isinstance(value, dict):
            return {key: self.filled_value(item) for key, item in value.items()}
        return value


class RuleBook:
    """The rules of a plan, ready to be asked. Raises ValueError, naming the rule, for a pattern that is none."""

    def __init__(self, rules: Sequence[Rule], seed: int) -> None:
        self._rules = tuple(_ready(index, rule, seed) for index, rule in enumerate(rules))
        self._seed = seed

    def line(self, ask: Ask) -> Line | None:
        """What the first rule that fits says; None if none does."""
        for rule in self._rules:
            line = rule(ask)
            if line is not None:
                return line
        return None


def _ready(index: int, rule: Rule, seed: int) -> Callable[[Ask], Line | None]:
    patterns = _Patterns(
        _compiled(index, "matches", rule.when.matches), _compiled(index, "tool_says", rule.when.tool_says)
    )
    if rule.cases:
        return _GoldenRule(rule, patterns, seed).line
    return _PlainRule(rule, patterns, seed).line


class _Patterns(msgspec.Struct, frozen=True):
    """A condition's regular expressions: for the last user text, and for the latest tool output."""

    asked: re.Pattern[str] | None
    tool: re.Pattern[str] | None


def _compiled(index: int, field: str, source: str) -> re.Pattern[str] | None:
    try:
        return re.compile(source) if source else None
    except re.error as error:
        raise ValueError(f"`rules[{index}].when.{field}` is not a regular expression: {error}") from error


class _PlainRule:
    """One answer for everything that the condition selects."""

    def __init__(self, rule: Rule, patterns: _Patterns, seed: int) -> None:
        assert rule.say is not None
        self._rule = rule
        self._patterns = patterns
        self._say = _as_say(rule.say)
        self._wrong = tuple(map(_as_say, rule.wrong)) or (_AT_A_LOSS,)
        self._seed = seed

    def line(self, ask: Ask) -> Line | None:
        words = _words(self._rule.when, self._patterns, ask)
        if words is None:
            return None
        luck = fraction(self._seed, "right", ask.last_user_text)
        if luck < _share(self._rule, ask.model.tier):
            return Line(self._say, words)
        return Line(_one_of(self._wrong, self._seed, ask), words)


class _GoldenRule:
    """A golden set. Inputs are ranked by difficulty, the same for all tiers, so that a tier with a right share of
    0.72 is right on exactly 72 of 100 inputs, and on all that a weaker tier is right on."""

    def __init__(self, rule: Rule, patterns: _Patterns, seed: int) -> None:
        self._rule = rule
        self._patterns = patterns
        self._seed = seed
        self._cases = {case.input.strip(): case for case in rule.cases}
        by_difficulty = sorted(self._cases, key=lambda text: digest(seed, "right", text))
        self._rank = {text: rank for rank, text in enumerate(by_difficulty)}
        self._answers = tuple(dict.fromkeys(msgspec.json.encode(_as_say(case.say)) for case in rule.cases))

    def line(self, ask: Ask) -> Line | None:
        key = self._key(ask.last_user_text.strip())
        words = _words(self._rule.when, self._patterns, ask) if key is not None else None
        if key is None or words is None:
            return None
        case = self._cases[key]
        right_count = round(_share(self._rule, ask.model.tier) * len(self._cases))
        if self._rank[key] < right_count:
            return Line(_as_say(case.say), words)
        return Line(_one_of(self._wrong(case), self._seed, ask), words)

    def _key(self, text: str) -> str | None:
        if self._rule.look_for == "equal":
            return text if text in self._cases else None
        return next((key for key in self._cases if key in text), None)

    def _wrong(self, case: Case) -> Sequence[Say]:
        given = case.wrong or self._rule.wrong
        if given:
            return tuple(map(_as_say, given))
        right = msgspec.json.encode(_as_say(case.say))
        others = [msgspec.json.decode(answer, type=Say) for answer in self._answers if answer != right]
        return others or (_AT_A_LOSS,)


def _as_say(say: str | Say) -> Say:
    return Say(text=say) if isinstance(say, str) else say


def _one_of(says: Sequence[Say], seed: int, ask: Ask) -> Say:
    return says[int(fraction(seed, "wrong", ask.model_id, ask.last_user_text) * len(says))]


def _share(rule: Rule, tier: Tier) -> float:
    share = rule.right_share
    return {"nano": share.nano, "mini": share.mini, "flagship": share.flagship}[tier]


def _words(when: When, patterns: _Patterns, ask: Ask) -> dict[str, str] | None:
    """The words for the templates, if the condition holds; None if it does not."""
    text = ask.last_user_text
    holds = (
        (not when.model or when.model in {ask.model_id, ask.model.snapshot})
        and (when.tier is None or when.tier == ask.model.tier)
        and (when.endpoint is None or when.endpoint == ask.endpoint)
        and when.contains.lower() in text.lower()
        and (when.equals is None or when.equals.strip() == text.strip())
        and (not when.has_tool or any(tool.name == when.has_tool for tool in ask.tools))
        and (when.after_tools is None or when.after_tools == bool(ask.tool_outputs))
    )
    if not holds:
        return None
    said = ask.tool_outputs[-1] if ask.tool_outputs else ""
    words = {"input": text, "model": ask.model_id, "tool_output": said}
    for pattern, place in ((patterns.tool, said), (patterns.asked, text)):
        if pattern is None:
            continue
        found = pattern.search(place)
        if found is None:
            return None
        words |= {str(number): group or "" for number, group in enumerate(found.groups(), 1)}
        words |= {name: group or "" for name, group in found.groupdict().items()}
    return words
