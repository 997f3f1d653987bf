"""Finding data in a text: patterns matched, judged, and made into spans that do not overlap."""

from collections.abc import Callable, Sequence

from headworks.config.privacy import Privacy
from headworks.errors import ConfigError, Problem
from headworks.screening.privacy.detectors import BUILT_IN
from headworks.screening.privacy.detectors.custom import custom_pattern, more_identifiers, word_pattern
from headworks.screening.privacy.engines import Engine, PatternError, PythonEngine, make_engine, why_unbounded
from headworks.screening.privacy.findings import Finding, Recogniser
from headworks.screening.privacy.patterns import Hit, Pattern
from headworks.screening.privacy.shadow import Shadow, is_legible, plain
from headworks.screening.steps import Steps, drained

_MOST_AT_ONCE = 16
"""Matches that are judged in one step: each takes microseconds."""


class Finder:
    """Finds data in texts. Compiled once, shared, without state.

    Arguments:
        settings: what the contract adds, and the least confidence.
        recognisers: those of data without a form.
        prefers_re2: False for Python's engine even where RE2 is installed; the findings are the same.
        file: the contract's name for errors.

    Raises:
        ConfigError: a pattern of the contract cannot be used, with the reason.
    """

    def __init__(
        self,
        settings: Privacy | None = None,
        *,
        recognisers: Sequence[Recogniser] = (),
        prefers_re2: bool = True,
        file: str = "workload.yaml",
    ) -> None:
        settings = settings or Privacy()
        self._least = settings.least_confidence
        self._actions = dict(settings.kinds)
        self._otherwise = settings.otherwise
        self._allows = settings.otherwise == "allow" or "allow" in settings.kinds.values()
        self._recognisers = tuple(recognisers)
        self._never = frozenset(value.casefold() for value in settings.never)
        for name, pattern in settings.patterns.items():
            if not all(map(is_legible, [pattern.regex, *pattern.context])):
                raise _refused(file, name, "letters beyond Latin cannot stand in a pattern; list the words in `words`")
        # In a shadow all words of another script look alike: what was found is compared with the words themselves.
        self._words = {name: frozenset(map(plain, words.words)) for name, words in settings.words.items()}
        own = [(name, custom_pattern(name, pattern)) for name, pattern in settings.patterns.items()]
        own += [(name, word_pattern(name, words)) for name, words in settings.words.items()]
        more = more_identifiers(settings.identifiers, file)
        self._patterns: tuple[Pattern, ...] = BUILT_IN + more + tuple([pattern for _, pattern in own])
        before = len(BUILT_IN) + len(more)
        try:
            self._engine: Engine = make_engine(self._patterns, prefers_re2=prefers_re2)
        except PatternError as error:
            raise _refused(file, own[error.index - before][0], error.reason) from None
        if isinstance(self._engine, PythonEngine):
            for name, pattern in settings.patterns.items():
                reason = why_unbounded(pattern.regex)
                if reason:
                    raise _refused(file, name, f"{reason}; or `pip install 'headworks[privacy]'`, which takes any")

    def may_hold(self, data: bytes) -> Sequence[int]:
        """Which patterns may match in a shadow; what is given to `find_with` for its parts."""
        return self._engine.matching(data)

    @property
    def has_recognisers(self) -> bool:
        """Whether there are any: then no text can be passed over for what its patterns say."""
        return bool(self._recognisers)

    def find(self, text: str) -> list[Finding]:
        """What there is in a text, in order, without overlaps.

        Where two findings overlap, the surer and then the longer one says the kind, and the span is that of both: what
        either found is never left over.
        """
        shadow = Shadow(text)
        return self.find_with(self._engine.matching(shadow.data), text, shadow)

    def find_with(
        self, indices: Sequence[int], text: str, shadow: Shadow, entities: Sequence[Finding] = ()
    ) -> list[Finding]:
        """`find`, when it is known which patterns may match, and what a model has found already."""
        return drained(self.steps(indices, text, shadow, entities))

    def steps(
        self, indices: Sequence[int], text: str, shadow: Shadow, entities: Sequence[Finding] = ()
    ) -> Steps[list[Finding]]:
        """`find_with`, step by step."""
        hits: list[Hit] = []
        data = shadow.data
        for index in indices:
            next_span = self._engine.spans(index, data).send
            is_over, moved = self._judge(index, data, next_span, None, hits)
            while not is_over:
                yield
                is_over, moved = self._judge(index, data, next_span, moved, hits)
        yield
        found = [Finding(*shadow.place(start, end), kind, confidence) for kind, start, end, confidence in hits]
        yield
        found.extend(one for one in entities if one.confidence >= self._least)
        for recogniser in self._recognisers:
            found.extend(finding for finding in recogniser.find(text) if finding.confidence >= self._least)
        if self._words:
            found = [one for one in found if self._is_listed(text, one)]
        if self._allows:
            found = [one for one in found if self._actions.get(one.kind, self._otherwise) != "allow"]
        if self._never:
            found = [one for one in found if text[one.start : one.end].casefold() not in self._never]
        return without_overlaps(found)

    def _is_listed(self, text: str, finding: Finding) -> bool:
        words = self._words.get(finding.kind)
        return words is None or plain(text[finding.start : finding.end]) in words

    def _judge(
        self,
        index: int,
        data: bytes,
        next_span: Callable[[int | None], tuple[int, int]],
        moved: int | None,
        hits: list[Hit],
    ) -> tuple[bool, int | None]:
        """Judge the next matches of a pattern. Returns whether those were all, and from where on to go on."""
        pattern = self._patterns[index]
        judge, least, retries, after = pattern.judge, self._least, pattern.retries, pattern.after
        try:
            for _ in range(_MOST_AT_ONCE):
                first, last = next_span(moved)
                moved = None
                if first == last:
                    continue
                hit = judge(data, first, last)
                if hit is not None and hit[3] >= least:
                    hits.append(hit)
                    if retries and hit[2] != last:
                        moved = hit[2]  # the judge took less than the match
                elif retries:
                    moved = first + 1 if after is None else after(data, first)
        except StopIteration:
            return True, None
        return False, moved


def without_overlaps(found: list[Finding]) -> list[Finding]:
    """Findings in order, those that overlap made into one: the surer and then the longer says the kind."""
    if len(found) < 2:
        return found
    found.sort()
    kept = [found[0]]
    for finding in found[1:]:
        last = kept[-1]
        if finding.start >= last.end:
            kept.append(finding)
            continue
        best = max(last, finding, key=lambda one: (one.confidence, one.end - one.start))
        kept[-1] = Finding(last.start, max(last.end, finding.end), best.kind, best.confidence)
    return kept


def _refused(file: str, name: str, reason: str) -> ConfigError:
    return ConfigError(Problem(file, 0, 0, f"screening.privacy.patterns.{name} cannot be used: {reason}"))
