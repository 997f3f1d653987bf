"""Values that satisfy a JSON schema: deterministic, short, and flavoured with words of the prompt."""

import decimal
import math
import random
import re
from collections.abc import Sequence

from headworks.simulator.pattern import PatternUnsupported, PatternWriter
from headworks.simulator.schema import Node, Schema, SchemaRefused, nodes, properties, required, types, whole

_SOFT_DEPTH = 4
"""From this level of nesting on, the shortest way out is taken: short lists, no optional parts."""

_TRIES = 20
"""How often a pattern is tried until the lengths fit as well."""

_WORDS = ("amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "harbor", "inlet", "jetty", "knoll", "ledge")
_LONGEST_TEXT = 24
_WIDEST_RANGE = 100


class Inventor:
    """Invents values for one schema.

    Arguments:
        schema: what they satisfy.
        chance: what chooses among the values that would do.
        vocabulary: words that free strings are made of, such as those of the prompt.
    """

    def __init__(self, schema: Schema, chance: random.Random, vocabulary: Sequence[str] = ()) -> None:
        self._schema = schema
        self._chance = chance
        self._vocabulary = tuple(vocabulary) or _WORDS

    def value(self) -> object:
        """One value. Raises SchemaRefused if none can be made."""
        return self._value(self._schema.root, 0)

    def _value(self, node: Node, depth: int) -> object:
        if "$ref" in node:
            return self._value(self._schema.resolve(node["$ref"]), depth)
        if "const" in node:
            return node["const"]
        choices = node.get("enum")
        if isinstance(choices, list) and choices:
            return self._chance.choice(choices)
        if branches := nodes(node.get("anyOf") or node.get("oneOf")):
            return self._value(self._branch(branches, depth), depth)
        if parts := nodes(node.get("allOf")):
            return self._value(self._merged([{k: v for k, v in node.items() if k != "allOf"}, *parts]), depth)
        kinds = types(node) or ["string"]
        kind = min(kinds, key=self._cheapness) if depth >= _SOFT_DEPTH else self._chance.choice(kinds)
        return self._typed(kind, node, depth)

    def _branch(self, branches: list[Node], depth: int) -> Node:
        heights = [self._schema.height(branch) for branch in branches]
        if depth >= _SOFT_DEPTH:
            return branches[heights.index(min(heights))]
        finite = [branch for branch, height in zip(branches, heights, strict=True) if math.isfinite(height)]
        return self._chance.choice(finite)

    def _merged(self, parts: list[Node]) -> Node:
        """`allOf` as one node: later keywords win, properties and required names add up."""
        merged: Node = {}
        for part in parts:
            node = self._schema.resolve(part["$ref"]) if "$ref" in part else part
            members = {**properties(merged), **properties(node)}
            needed = sorted(required(merged) | required(node))
            merged |= node
            if members:
                merged |= {"properties": members, "required": needed}
        return merged

    @staticmethod
    def _cheapness(kind: str) -> int:
        return ("null", "boolean", "integer", "number", "string", "array", "object").index(kind)

    def _typed(self, kind: str, node: Node, depth: int) -> object:
        match kind:
            case "object":
                return self._object(node, depth)
            case "array":
                return self._array(node, depth)
            case "string":
                return self._string(node)
            case "integer":
                return self._integer(node)
            case "number":
                return self._number(node)
            case "boolean":
                return self._chance.random() < 0.5
            case "null":
                return None
            case _:
                raise SchemaRefused((), f"{kind!r} is not a type.")

    def _object(self, node: Node, depth: int) -> dict[str, object]:
        needed = required(node)
        made: dict[str, object] = {}
        for name, member in properties(node).items():
            is_kept = name in needed or (
                depth < _SOFT_DEPTH and math.isfinite(self._schema.height(member)) and self._chance.random() < 0.5
            )
            if is_kept:
                made[name] = self._value(member, depth + 1)
        extra = node.get("additionalProperties")
        for name in sorted(needed - made.keys()):
            made[name] = self._value(extra if isinstance(extra, dict) else {"type": "string"}, depth + 1)
        return made

    def _array(self, node: Node, depth: int) -> list[object]:
        least = whole(node.get("minItems"), 0)
        most = whole(node.get("maxItems"), max(least, 1) + 2)
        if most < least:
            raise SchemaRefused((), "'maxItems' is below 'minItems'.")
        items = node.get("items")
        item = items if isinstance(items, dict) else {"type": "string"}
        if depth >= _SOFT_DEPTH or math.isinf(self._schema.height(item)):
            length = least
        else:
            length = self._chance.randint(min(max(least, 1), most), min(most, max(least, 1) + 2))
        return [self._value(item, depth + 1) for _ in range(length)]

    def _string(self, node: Node) -> str:
        least = whole(node.get("minLength"), 0)
        most = whole(node.get("maxLength"), max(least, _LONGEST_TEXT))
        if most < least:
            raise SchemaRefused((), "'maxLength' is below 'minLength'.")
        pattern = node.get("pattern")
        if isinstance(pattern, str):
            return self._matching(pattern, least, most)
        form = node.get("format")
        if isinstance(form, str) and (formatted := self._formatted(form)):
            return formatted
        words = self._chance.sample(self._vocabulary, k=min(len(self._vocabulary), self._chance.randint(1, 3)))
        text = " ".join(words)
        while len(text) < least:
            text += " " + self._chance.choice(self._vocabulary)
        return text[:most]

    def _matching(self, pattern: str, least: int, most: int) -> str:
        writer = PatternWriter(pattern)
        try:
            for _ in range(_TRIES):
                text = writer.write(self._chance)
                if least <= len(text) <= most and re.search(pattern, text):
                    return text
        except (PatternUnsupported, re.error) as error:
            raise SchemaRefused((), f"pattern {pattern!r} is not supported: {error}.") from error
        raise SchemaRefused((), f"no string was found for the pattern {pattern!r} and the lengths given.")

    def _formatted(self, form: str) -> str:
        chance = self._chance
        day = f"{chance.randint(2024, 2026)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
        time = f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}Z"
        word = chance.choice(_WORDS)
        digits = f"{chance.getrandbits(128):032x}"
        samples = {
            "date-time": f"{day}T{time}",
            "date": day,
            "time": time,
            "duration": f"P{chance.randint(1, 9)}DT{chance.randint(1, 23)}H",
            "email": f"{word}@example.com",
            "hostname": f"{word}.example.com",
            "ipv4": f"192.0.2.{chance.randint(1, 254)}",  # RFC 5737: documentation addresses
            "ipv6": f"2001:db8::{chance.randint(1, 65535):x}",  # RFC 3849
            "uuid": f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}",
            "uri": f"https://example.com/{word}",
        }
        return samples.get(form, "")

    def _integer(self, node: Node) -> int:
        step = _decimal(node.get("multipleOf")) or decimal.Decimal(1)
        if step % 1:
            step *= 10 ** -int(step.as_tuple().exponent)  # 0.5 → 5: a multiple of both it and 1
        return int(self._multiple(node, step, whole_numbers=True))

    def _number(self, node: Node) -> float:
        step = _decimal(node.get("multipleOf"))
        if step:
            return float(self._multiple(node, step))
        low, high = _bounds(node)
        middle = low + (high - low) * decimal.Decimal(repr(self._chance.uniform(0.05, 0.95)))
        rounded = round(middle, 2)
        return float(rounded if low < rounded < high else middle)

    def _multiple(self, node: Node, step: decimal.Decimal, *, whole_numbers: bool = False) -> decimal.Decimal:
        """A multiple of `step` within the bounds."""
        low, high = _bounds(node)
        first, last = math.ceil(low / step), math.floor(high / step)
        if _decimal(node.get("exclusiveMinimum")) == low == first * step:
            first += 1
        if _decimal(node.get("exclusiveMaximum")) == high == last * step:
            last -= 1
        if last < first:
            kind = "integer" if whole_numbers else "number"
            raise SchemaRefused((), f"no {kind} lies within the bounds given.")
        return self._chance.randint(first, last) * step


def _decimal(value: object) -> decimal.Decimal | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return decimal.Decimal(repr(value)) if is_number else None


def _bounds(node: Node) -> tuple[decimal.Decimal, decimal.Decimal]:
    """The range to draw from: as given, an open end is a hundred away from the other."""
    lows = [_decimal(node.get(name)) for name in ("minimum", "exclusiveMinimum")]
    highs = [_decimal(node.get(name)) for name in ("maximum", "exclusiveMaximum")]
    low = max((bound for bound in lows if bound is not None), default=None)
    high = min((bound for bound in highs if bound is not None), default=None)
    if low is None:
        low = min(decimal.Decimal(0), high) if high is not None else decimal.Decimal(0)
        if high is not None and high <= 0:
            low = high - _WIDEST_RANGE
    step = _decimal(node.get("multipleOf")) or decimal.Decimal(1)
    if high is None:
        high = low + max(decimal.Decimal(_WIDEST_RANGE), step * 10)
    elif node.get("minimum") is None and node.get("exclusiveMinimum") is None:
        low = min(low, high - step * 2)
    if high < low:
        raise SchemaRefused((), "'maximum' is below 'minimum'.")
    return low, high
