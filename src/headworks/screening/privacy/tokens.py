"""The form of a token, `PII_EMAIL_k3f9a1x`: how it is derived, and how it is recognised when a model altered it.

It is letters, digits and underscores only, so it stays what it is in JSON, HTML, Markdown, URLs and code. Three rules
make it unambiguous: no label holds "PII"; the last part has neither p nor i, so that no token can begin in it; and that
part always has the same length. So a text holds the same tokens wherever it is cut, and whatever stands around them.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator

_LETTERS = "abcdefghjkmnqrstvwxyz"
_DIGITS = "23456789"
_BOTH = _LETTERS + _DIGITS
"""Without what is mistaken for something else (0 and o, 1 and l), without vowels that words need, p and i as above."""

SUFFIX_LENGTH = 7
"""A letter, a digit, and five of both: 3.4 billion; the digit keeps words of a language out."""

_SEPARATOR = (
    "[\\s_\\-\\\\.*`~:/+=|\u00a0\u00ad\u200b-\u200d\u2010-\u2015\u202f\u2060\u2212\u3000\ufe33\ufe34\ufeff\uff0d\uff3f]"
)
"""White space, what joins words in any script, marks of Markdown, and characters without a width."""

_SEPARATORS_MOST = 3
_SUFFIX = f"[{_LETTERS}][{_DIGITS}]" + f"[{_BOTH}]{{{SUFFIX_LENGTH - 2}}}"

QUOTED = "quoted"
"""The kind of what a caller typed that looks like a token; its label is `QUOTED`."""


def suffix_of(key: bytes, kind: str, value: str, attempt: int) -> str:
    """The last part of a token: HMAC-SHA256 under the tenant's key.

    Arguments:
        attempt: 0, or more when what came out stands for another value already.
    """
    message = b"\0".join((kind.encode(), str(attempt).encode(), value.encode("utf-8", "surrogatepass")))
    number = int.from_bytes(hmac.digest(key, message, hashlib.sha256), "big")
    number, first = divmod(number, len(_LETTERS))
    number, second = divmod(number, len(_DIGITS))
    rest = []
    for _ in range(SUFFIX_LENGTH - 2):
        number, place = divmod(number, len(_BOTH))
        rest.append(_BOTH[place])
    return _LETTERS[first] + _DIGITS[second] + "".join(rest)


def token(label: str, suffix: str) -> str:
    """A whole token."""
    return f"PII_{label}_{suffix}"


class TokenForm:
    """Recognises tokens with certain labels.

    Arguments:
        labels: in capitals and digits.
    """

    __slots__ = ("_begins", "_search", "longest")

    def __init__(self, labels: Iterable[str]) -> None:
        ordered = sorted({*labels, QUOTED.upper()}, key=lambda label: (-len(label), label))
        assert not any("PII" in label for label in ordered)
        some = f"{_SEPARATOR}{{0,{_SEPARATORS_MOST}}}"
        one = f"{_SEPARATOR}{{1,{_SEPARATORS_MOST}}}"
        whole = "|".join(ordered)
        self._search = re.compile(f"(?i:PII{some}({whole}){one}({_SUFFIX}))", re.ASCII).finditer
        parts = "|".join(
            sorted({label[:length] for label in ordered for length in range(1, len(label) + 1)}, reverse=True)
        )
        ends = ""
        for character in reversed([f"[{_LETTERS}]", f"[{_DIGITS}]", *[f"[{_BOTH}]"] * (SUFFIX_LENGTH - 3)]):
            ends = f"(?:{character}{ends})?"
        begins = f"P(?:I(?:I(?:{some}(?:(?:{parts})|(?:{whole}){one}{ends})?)?)?)?\\Z"
        self._begins = re.compile(f"(?i:{begins})", re.ASCII).search
        self.longest = 3 + _SEPARATORS_MOST + len(ordered[0]) + _SEPARATORS_MOST + SUFFIX_LENGTH

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Every token in a text: where it starts and ends, and the form that it should have."""
        for match in self._search(text):
            yield match.start(), match.end(), token(match[1].upper(), match[2].lower())

    def open_end(self, text: str) -> int:
        """Where a token may have begun that is not complete; the length of the text if none has."""
        match = self._begins(text, max(0, len(text) - self.longest))
        return len(text) if match is None else match.start()
