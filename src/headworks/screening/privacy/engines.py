"""The two engines that run patterns: RE2 (the extra `privacy`), and Python's own with gates before it.

Both give the same spans. RE2 first asks in one pass which patterns match at all; without it, gates do that: a pattern
is only tried on a text that holds what every match of it must hold.
"""

import functools
import re
from bisect import bisect_right
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Protocol

from headworks.screening.privacy.patterns import Pattern

try:
    import re2
except ImportError:
    re2 = None

_RE2_MEMORY = 128 << 20
"""Bytes that a pattern or a set may take: ten thousand words of a contract need some."""

_AUTOMATON_MEMORY = 32 << 20
"""Bytes that an automaton of the built-in patterns may take. A state is built when it is first needed, so little of it
ever is. Each takes ten seconds of hostile text to grow to half of this; they are shared by all engines."""


Spans = Generator[tuple[int, int], int | None, None]
"""Starts and ends in order. What is sent says from where on to go on, in place of the end of the match."""


class Engine(Protocol):
    """Runs a fixed list of patterns."""

    def matching(self, data: bytes) -> Sequence[int]:
        """Which patterns may match in this; none that does is left out."""
        ...

    def spans(self, index: int, data: bytes) -> Spans:
        """Where a pattern matches, without overlaps: its first group, or all of it."""
        ...


class PatternError(ValueError):
    """A pattern that an engine does not take; says why, and names the pattern by its index."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index
        self.reason = reason


class Re2Engine:
    """google-re2: time is linear in the text, whatever the pattern."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.log_errors = False
        options.max_mem = _RE2_MEMORY
        self._searches: list[_Search] = []
        self._groups = []
        kinds: dict[int, list[int]] = {}
        for index, pattern in enumerate(patterns):
            try:
                compiled = re2.compile(pattern.source.encode("latin-1"), options)
            except re2.error as error:
                reason = error.args[0] if error.args else "it is not RE2 syntax"
                raise PatternError(index, reason.decode() if isinstance(reason, bytes) else str(reason)) from None
            self._searches.append(_re2_search(compiled))
            self._groups.append(1 if compiled.groups else 0)
            kinds.setdefault(_automaton_of(pattern), []).append(index)
        self._sets = []
        for number, indices in sorted(kinds.items()):
            sources = tuple(patterns[index].wider or patterns[index].source for index in indices)
            try:
                # Those of a contract end with it: they may be large, and a reload may bring others.
                found = _set_of(sources, _RE2_MEMORY) if number == _OWN else _shared_set_of(sources)
            except re2.error:
                raise PatternError(indices[-1], "it needs too much memory together with the others") from None
            least = min(patterns[index].digits for index in indices)
            self._sets.append((b"0" * least, found.Match, indices, number == _NUMBERS))
        self._is_near_number = [_automaton_of(pattern) == _NUMBERS for pattern in patterns]
        self._area: tuple[bytes, int, int] = b"", 0, 0
        options.case_sensitive = False
        self._needles = [_needle_search(pattern.needles, options) for pattern in patterns]
        self._near = [_near_search(pattern) for pattern in patterns]

    def matching(self, data: bytes) -> Sequence[int]:
        """Which patterns match."""
        needles = self._needles
        matching: list[int] = []
        digits = data.translate(_DIGITS_TO_ZERO, _BETWEEN_DIGITS)
        has_many = _MANY_DIGITS in digits
        if has_many:
            self._area = data, *_number_area(digits, len(data))
        for least, match, indices, is_near_numbers in self._sets:
            if (has_many or len(least) < _LEAST_DIGITS) and least in digits:
                for place in match(self._near_numbers(data) if is_near_numbers else data) or ():
                    index = indices[place]
                    search = needles[index]
                    if search is None or search(data) is not None:
                        matching.append(index)
        return matching

    def spans(self, index: int, data: bytes) -> Spans:
        """As in `Engine`."""
        search, group, near = self._searches[index], self._groups[index], self._near[index]
        start = count = 0
        stop = len(data)
        if self._is_near_number[index] and self._area[0] is data:
            _, start, stop = self._area
        while start <= stop:
            # A call of RE2 costs half a microsecond and one of `re` a quarter, but that only while matches are near.
            match = near(data, start, start + _NEAR) if near is not None and count >= _DENSE else None
            if match is not None and (first := match.start()) + MOST_NEAR < start + _NEAR:
                if first - start > _CLOSE:
                    count = 0
                start = match.end()
                moved = yield match.span(group)
            else:
                # What it looks at ends there, but it sees what follows: whether a word goes on.
                spans = search(data, start, stop)
                first, end = spans[0]
                if end < 0:
                    return
                count = count + 1 if first - start <= _CLOSE else 0
                start = end
                moved = yield spans[group]
                if first == start:
                    start += 1  # an empty one
            if moved is not None:
                start = moved

    def _near_numbers(self, data: bytes) -> bytes:
        """What of a text is at, or between, its numbers of many digits."""
        _, start, stop = self._area
        return data[start:stop]


_OTHERS, _NUMBERS, _NAMED_NUMBERS, _OWN = range(4)


def _automaton_of(pattern: Pattern) -> int:
    """Which patterns one automaton looks for. Each state of it says how far all of them are: where patterns of many
    digits and others are in one, random digits make it build states without end, at microseconds a character."""
    if pattern.is_own:
        return _OWN
    if pattern.digits < _LEAST_DIGITS:
        return _OTHERS
    return _NAMED_NUMBERS if pattern.needles else _NUMBERS


@functools.lru_cache(maxsize=8)
def _shared_set_of(sources: tuple[str, ...]) -> "re2.Set":
    """The one automaton for these built-in patterns. It can be used by threads."""
    return _set_of(sources, _AUTOMATON_MEMORY)


def _set_of(sources: tuple[str, ...], memory: int) -> "re2.Set":
    """An automaton that says which patterns match.

    Raises:
        re2.error: it would take too much memory.
    """
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = memory
    found = re2.Set.SearchSet(options)
    for source in sources:
        found.Add(source.encode("latin-1"))
    found.Compile()
    return found


_DENSE = 16
_CLOSE = 64
"""Matches of a pattern in a row, each so many characters from the last, from which on more are expected to be near."""

_Search = Callable[[bytes, int, int], Sequence[tuple[int, int]]]
"""The spans of the first match between two places, and of its groups; (-1, -1) for none."""


def _re2_search(compiled: "re2._Regexp") -> "_Search":
    """What `compiled.search` does, without an iterator, a match object and a decoder around each call.

    That is RE2's own function, which the package keeps for itself: where it is not what it was, the public one does.
    """
    own = getattr(getattr(compiled, "_regexp", None), "Match", None)
    anywhere = getattr(getattr(re2, "_Anchor", None), "UNANCHORED", None)
    if own is not None and anywhere is not None:
        found: _Search = partial(own, anywhere)
        return found

    def search(data: bytes, start: int, stop: int) -> Sequence[tuple[int, int]]:
        match = compiled.search(data, start, stop)
        return _NOTHING if match is None else [match.span(group) for group in range(compiled.groups + 1)]

    return search


_NOTHING = ((-1, -1),)
_NEAR = 1024
MOST_NEAR = 512
"""Characters that are searched for the next of many matches, and that a match of those patterns has at most."""


def _needle_search(needles: Sequence[bytes], options: "re2.Options") -> "Callable[[bytes], object] | None":
    """What finds one of a pattern's needles; in RE2, which looks for all of them at once."""
    if not needles:
        return None
    search: Callable[[bytes], object] = re2.compile(b"|".join(map(re2.escape, needles)), options).search
    return search


def _near_search(pattern: Pattern) -> "Callable[[bytes, int, int], re.Match[bytes] | None] | None":
    """The same pattern for `re`, if no match of it is long."""
    if pattern.is_long:
        return None
    return re.compile(pattern.source.encode("latin-1")).search


_LEAST_DIGITS = 7
_MANY_DIGITS = b"0" * _LEAST_DIGITS
"""What every match of a pattern of many digits has: so many in a row, with what may stand between them left out."""


def _number_area(digits: bytes, size: int) -> tuple[int, int]:
    """From where to where numbers of many digits are in a text, with what is around them.

    Arguments:
        digits: the text with zeros for digits, and without what stands between those of a number.
        size: of the text.
    """
    first = digits.find(_MANY_DIGITS)
    if first < 0:
        return 0, 0
    # As many characters stand before and behind it at least as when those between digits are left out.
    behind = len(digits) - digits.rfind(_MANY_DIGITS) - _LEAST_DIGITS
    return max(0, first - _REACH), min(size, size - behind + _REACH)


_DIGITS_TO_ZERO = bytes(48 if 48 <= byte < 58 else 120 for byte in range(256))
_SHAPES = bytes(48 if 48 <= byte < 58 else 97 if 65 <= byte < 91 or 97 <= byte < 123 else 45 for byte in range(256))
_FORMS_OF_HEX = {**dict.fromkeys(b"0123456789abcdefABCDEF", 48), 45: 45, 58: 45, 46: 46}
_HEX_SHAPES = bytes(_FORMS_OF_HEX.get(byte, 120) for byte in range(256))
_WORDS = bytes(48 if bytes((byte,)).isalnum() else 45 for byte in range(256))
_BETWEEN_DIGITS = b" \t\r\n.-/()"


class PythonEngine:
    """`re`. The built-in patterns are written so that it takes no more than a bounded time a character; those of
    contracts are refused if they are not."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = tuple(patterns)
        self._compiled = []
        self._groups = []
        for index, pattern in enumerate(patterns):
            try:
                compiled = re.compile(pattern.source.encode("latin-1"))
            except re.error as error:
                raise PatternError(index, str(error)) from None
            self._compiled.append(compiled)
            self._groups.append(1 if compiled.groups else 0)
        self._gates = [(pattern.digits, _gates_of(pattern)) for pattern in patterns]
        self._is_near_digits = [_stays_near_digits(pattern) for pattern in patterns]
        self._is_near_number = [_automaton_of(pattern) == _NUMBERS for pattern in patterns]
        self._areas: tuple[bytes, list[int], list[int]] = b"", [], []
        self._area: tuple[bytes, int, int] = b"", 0, 0
        self._shapes: tuple[bytes, bytes] = b"", b""
        self._lowered: tuple[bytes, bytes] = b"", b""

    def matching(self, data: bytes) -> Sequence[int]:
        """Which patterns may match, by their gates."""
        lowered = data.lower()
        digits = data.translate(_DIGITS_TO_ZERO, _BETWEEN_DIGITS)
        shapes = data.translate(_SHAPES)
        self._area = data, *_number_area(digits, len(data))
        self._shapes = data, shapes
        self._lowered = data, lowered
        most = _longest_run(digits)
        forms = (data.translate(_WORDS), shapes, data.translate(_HEX_SHAPES), lowered)
        matching: list[int] = []
        for index, (least, gates) in enumerate(self._gates):
            if least <= most and _passes(gates, forms):
                matching.append(index)
        return matching

    def spans(self, index: int, data: bytes) -> Spans:
        """As in `Engine`."""
        pattern = self._patterns[index]
        if pattern.shape_first:
            return self._shaped(index, data)
        if pattern.reach is not None:
            return self._within(index, data, *self._near_needles(pattern, pattern.reach, data))
        if self._is_near_number[index] and self._area[0] is data:
            return self._within(index, data, [self._area[1]], [self._area[2]])
        if self._is_near_digits[index]:
            return self._within(index, data, *self._areas_of(data))
        return self._within(index, data, [0], [len(data)])

    def _within(self, index: int, data: bytes, starts: list[int], ends: list[int]) -> Spans:
        """Where a pattern matches in these areas."""
        find = self._compiled[index].finditer
        group = self._groups[index]
        start = number = 0
        while number < len(ends):
            for match in find(data, max(starts[number], start), ends[number]):
                moved = yield match.span(group)
                if moved is not None:
                    start = moved
                    number = bisect_right(ends, start)
                    break
            else:
                number += 1

    def _shaped(self, index: int, data: bytes) -> Spans:
        """The same of a pattern that is only tried where its shape is."""
        known, shapes = self._shapes
        if known is not data:
            shapes = data.translate(_SHAPES)
            self._shapes = data, shapes
        match_at, group, shape = self._compiled[index].match, self._groups[index], self._patterns[index].shapes[0]
        start = shapes.find(shape)
        while start >= 0:
            match = match_at(data, start)
            moved = None if match is None else (yield match.span(group))
            if moved is None:
                moved = start + 1 if match is None else match.end()
            start = shapes.find(shape, moved)

    def _near_needles(self, pattern: Pattern, reach: tuple[int, int], data: bytes) -> tuple[list[int], list[int]]:
        """Where a pattern's needles are, with as much around them as a match may have and what follows it."""
        known, lowered = self._lowered
        if known is not data:
            lowered = data.lower()
            self._lowered = data, lowered
        width, before = reach
        places = []
        for needle in pattern.needles:
            place = lowered.find(needle)
            while place >= 0:
                places.append(place)
                place = lowered.find(needle, place + 1)
        places.sort()
        starts: list[int] = []
        ends: list[int] = []
        for place in places:
            if ends and place - before <= ends[-1]:
                ends[-1] = place + width + 1
            else:
                starts.append(max(0, place - before))
                ends.append(place + width + 1)
        return starts, ends

    def _areas_of(self, data: bytes) -> tuple[list[int], list[int]]:
        """Where digits are, with what is around them; kept for the next pattern that is tried on the same text."""
        known, starts, ends = self._areas
        if known is not data:
            places = [match.span() for match in _DIGIT_AREAS.finditer(data)]
            starts = [max(0, start - _REACH) for start, _ in places]
            ends = [min(len(data), end + _REACH) for _, end in places]
            self._areas = data, starts, ends
        return starts, ends


_Gates = Sequence[tuple[int, tuple[bytes, ...]]]
"""In which form of a text, by its place in `PythonEngine.matching`, one of these must be."""


def _gates_of(pattern: Pattern) -> _Gates:
    by_form = ((b"0" * pattern.run,) if pattern.run else (), pattern.shapes, pattern.hex_shapes, pattern.needles)
    return tuple((form, held) for form, held in enumerate(by_form) if held)


def _passes(gates: _Gates, forms: Sequence[bytes]) -> bool:
    for form, held in gates:
        text = forms[form]
        for one in held:
            if one in text:
                break
        else:
            return False
    return True


_REACH = 48
"""Characters that a match of a pattern of digits has at most before its first or behind its last ones."""

_DIGIT_AREAS = re.compile(rb"[0-9](?:[^0-9]{0,96}[0-9])*")


def _stays_near_digits(pattern: Pattern) -> bool:
    """Whether no match reaches further than `_REACH` from a digit: those of many digits, and no words of a language."""
    return pattern.digits >= 4 and not pattern.needles


_RUNS = tuple(b"0" * length for length in range(1, 17))


def _longest_run(digits: bytes) -> int:
    """How many digits stand in a row at most; sixteen and more are the same."""
    low, high = 0, len(_RUNS)
    while low < high:
        middle = (low + high + 1) // 2
        if _RUNS[middle - 1] in digits:
            low = middle
        else:
            high = middle - 1
    return low


def make_engine(patterns: Sequence[Pattern], *, prefers_re2: bool = True) -> Engine:
    """The best engine that is installed.

    Raises:
        PatternError: it does not take one of the patterns.
    """
    return Re2Engine(patterns) if prefers_re2 and re2 is not None else PythonEngine(patterns)


_VARIABLE = re.compile(r"\{(\d*)(?:(,)(\d*))?\}|[*+?]")
_MOST_TRIES = 10_000


def why_unbounded(source: str) -> str:
    """Why Python's engine could take too long for a pattern; empty if it could not. Stricter than need be.

    Refused are repeats without an upper bound, repeats within a repeated group, back references and look-around, and
    repeats that together could be tried in more than ten thousand ways at one place.
    """
    tries = 1
    repeats_in_group = [False]
    last_group_repeats = False
    place = 0
    while place < len(source):
        character = source[place]
        if character == "\\":
            if source[place + 1 : place + 2].isdigit():
                return "it refers back to a group"
            place, last_group_repeats = place + 2, False
        elif character == "[":
            place, last_group_repeats = _after_class(source, place), False
        elif character == "(":
            if source.startswith(("(?=", "(?!", "(?<=", "(?<!", "(?P="), place):
                return "it looks around, or refers back to a group"
            repeats_in_group.append(False)
            place += 3 if source.startswith("(?:", place) else 1
        elif character == ")":
            last_group_repeats = repeats_in_group.pop() if len(repeats_in_group) > 1 else False
            repeats_in_group[-1] |= last_group_repeats
            place += 1
        elif match := _VARIABLE.match(source, place):
            ways = _ways(match)
            if not ways:
                return "a repeat has no upper bound: write {1,64}"
            if last_group_repeats and ways > 1:
                return "a repeat stands within a repeat"
            tries *= ways
            repeats_in_group[-1] |= ways > 1
            place, last_group_repeats = match.end(), False
        else:
            place, last_group_repeats = place + 1, False
    return "its repeats can be tried in too many ways" if tries > _MOST_TRIES else ""


def _ways(match: re.Match[str]) -> int:
    """In how many ways a repeat can be; 0 if there is no end to them."""
    if match.group() in ("*", "+"):
        return 0
    if match.group() == "?":
        return 2
    if not match.group(2):
        return 1
    return int(match.group(3)) - int(match.group(1) or 0) + 1 if match.group(3) else 0


def _after_class(source: str, place: int) -> int:
    place += 2 if source.startswith("[^", place) else 1
    if source.startswith("]", place):
        place += 1
    while place < len(source) and source[place] != "]":
        place += 2 if source[place] == "\\" else 1
    return place + 1
