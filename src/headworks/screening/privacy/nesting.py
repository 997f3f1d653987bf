"""How deep within strings of JSON a place of a text lies: so many times has a value to be escaped that is put there.

A model writes JSON as its whole answer, between fences in prose, in the midst of it, and within strings of other JSON,
such as the body of a request among the arguments of a call. Nothing is parsed: the text may come in pieces, and be cut
anywhere. In the midst of prose a document is what begins with a bracket and a string; it is one as long as what follows
may stand in one, for prose has brackets and quotation marks of its own.
"""

import re

import msgspec

_encode = msgspec.json.Encoder().encode

_SIGNS = re.compile(r'(?<!\\)(\\*)"|[{}\[\]]|```(?:\w*[^\S\n]*\n)?')
_UNSURE = re.compile(r"(?:(?<!\\)\\+|`{1,2}|```\w*[^\S\n]*)\Z")
"""What may be another sign with what comes next."""

_MOST_UNSURE = 4096
"""Characters that are kept for it: more backslashes than strings within strings within strings could need."""

_BEFORE = re.compile(r"[\s\\nrt]*")
_WITHIN = re.compile(r"[\s\\{}\[\],:0-9.eE+\-truefalsn]*")
"""All that there can be before a document's first bracket, and from there to its first string. An escape of white space
is one at any depth."""

_BETWEEN = re.compile(r"[\s,:0-9.eE+\-truefalsn]*")
"""What there can be between the strings and brackets of a document."""

_BEFORE_ALL = re.compile(r"[\s,0-9.\-]*")
"""The same before the first of them: a word there is one of prose more often than `true`."""

_MOST_BEFORE = 4096
"""Characters before its first string after which a text is taken for no document."""


class Nesting:
    """Follows one text.

    State: how many strings are open, each within another; whether what is innermost is a document, and, as long as that
    is not known, for how many characters, and whether it has had a bracket; whether the outermost stands in prose, and
    then whether a value in it has just ended.

    Arguments:
        in_json: whether the text is known to be a document.
    """

    __slots__ = (
        "_begun",
        "_brackets",
        "_fenced",
        "_has_bracket",
        "_has_value",
        "_in_json",
        "_in_prose",
        "_is_document",
        "_rest",
        "depth",
    )

    def __init__(self, *, in_json: bool) -> None:
        self._in_json = in_json
        self._is_document: bool | None = True if in_json else None
        self._begun = 0
        self._has_bracket = False
        self._brackets = 0
        self._fenced = False
        self._in_prose = False
        self._has_value = False
        self._rest = ""
        self.depth = 0

    def feed(self, text: str) -> None:
        """What comes next."""
        text = self._rest + text
        unsure = _UNSURE.search(text)
        end = len(text) if unsure is None or len(text) - unsure.start() > _MOST_UNSURE else unsure.start()
        self._rest = text[end:]
        place = 0
        for sign in _SIGNS.finditer(text, 0, end):
            self._pass(text[place : sign.start()])
            place = sign.end()
            if sign[1] is not None:
                self._quote(len(sign[1]))
            elif sign[0][0] == "`":
                self._fence(opens=sign[0] != "```")
            else:
                self._bracket(sign[0])
        self._pass(text[place:end])

    def escaped(self, value: str) -> str:
        """A value as it has to be written here."""
        times = max(self.depth, 1) if self._in_json else self.depth
        for _ in range(times):
            value = _encode(value)[1:-1].decode()
        return value

    def _pass(self, text: str) -> None:
        """What stands between signs."""
        if self._in_prose and text and not self._may_go_on(text):
            self._in_prose = self._is_document = False
            self.depth = 0
        self._begin(text)

    def _may_go_on(self, text: str) -> bool:
        """Whether a document in prose may go on like this. No string goes over the end of a line."""
        if self.depth:
            return "\n" not in text
        said = text.lstrip()
        if not said:
            return True
        if self._has_value and said[0] not in ",:":
            return False
        self._has_value = False
        return _end(_BEFORE_ALL if self._is_document is None else _BETWEEN, said, 0) == len(said)

    def _begin(self, text: str) -> None:
        """What stands between signs says whether something is a document, until that is known."""
        if self._is_document is None and text:
            place = 0
            if not self._has_bracket:
                place = _end(_BEFORE, text, 0)
                self._has_bracket = text[place : place + 1] in ("{", "[")
            if self._has_bracket:
                place = _end(_WITHIN, text, place)
            self._begun += len(text)
            if self._begun > _MOST_BEFORE or place < len(text):
                self._is_document = False

    def _quote(self, backslashes: int) -> None:
        for level in range(self.depth):
            if backslashes % 2 == 0:  # it ends the string at this level, and all within
                self.depth = level
                self._is_document = True
                self._has_value = True
                return
            backslashes //= 2
        if self._is_document is None:
            self._is_document = self._has_bracket
        if self._in_prose and not self.depth and self._has_value:
            self._in_prose = self._is_document = False
        if self._is_document and not backslashes:
            self.depth += 1
            self._look_anew()

    def _bracket(self, sign: str) -> None:
        opens = sign in "{["
        if self._is_document is False and opens and not (self.depth or self._in_json):
            self._restart()
            self._in_prose = True
            self._has_value = False
        self._begin(sign)
        if self.depth or self._in_json or self._is_document is False:
            return
        self._brackets += 1 if opens else -1
        if self._in_prose:
            is_over = self._brackets <= 0 or (opens and self._has_value)
            self._has_value = not opens
            if is_over:
                self._in_prose = self._is_document = False
        elif self._brackets <= 0:  # another one may follow
            self._restart()

    def _fence(self, *, opens: bool) -> None:
        if self.depth or self._in_json:
            return
        if self._fenced:
            self._fenced = self._in_prose = False
            self._is_document = False
        else:
            self._fenced = opens
            self._restart()
            self._in_prose = False
            self._is_document = None if opens else False

    def _restart(self) -> None:
        self._look_anew()
        self._brackets = 0

    def _look_anew(self) -> None:
        self._is_document = None
        self._begun = 0
        self._has_bracket = False


def _end(pattern: re.Pattern[str], text: str, place: int) -> int:
    """Where what matches from here on ends."""
    match = pattern.match(text, place)
    assert match is not None, "it matches the empty text, too"
    return match.end()
