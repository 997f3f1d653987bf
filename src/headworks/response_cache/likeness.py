"""What must be the same in two texts before one's answer may stand for the other's, however near their vectors are.

The vectors of a small model are averages of words: they hardly see a "not", a number, a name, which of two things comes
first, or that of twelve words one is another ("the northern region", "the southern region"). So these are compared
here. None of it makes two texts mean the same; each keeps apart some that do not. Pure.
"""

import re
from hashlib import blake2b
from unicodedata import category

import msgspec

LIKENESS = "numbers, signs, negations, names, order, exchange; 3"
"""What is compared, and the number of its form: what was measured with another does not hold."""

MOST_CHARACTERS = 2000
"""A longer text is not compared: a word that changes everything is lost in its average."""

_NEGATING = """
no not never none nothing nobody without cannot cant dont doesnt didnt wont isnt arent wasnt shouldnt wouldnt couldnt
nicht kein keine keinen keinem keiner nie niemals ohne
ne pas jamais sans aucun aucune rien
nunca sin ningun ninguna nada tampoco
non mai senza nessuno nessuna niente
nao sem nenhum nenhuma niet geen nooit zonder
inte aldrig utan ikke aldri uten uden nie bez ani nic
"""
_NEGATIONS = frozenset(_NEGATING.split())
"""In English, German, French, Spanish, Italian, Portuguese, Dutch, the Scandinavian languages, Polish and Czech: other
languages are not looked at for these. A word that negates in one and not in another keeps apart a little more."""

_PART = re.compile(r"(?P<word>[^\W_]+(?:['\u2019][^\W_]+)*)|(?<!\w)[-\u2212](?=\d)|[^\w\s\-]")
"""A word, a minus before a number, or a character that may be a sign."""

_SIGNS = frozenset("-%#&@*/")
"""Beside the symbols of Unicode, such as `+`, `<` and currencies."""

_SENTENCE_ENDS = ".!?:;\n"
_SHORT = 3
"""A word of so many letters or fewer keeps its ending."""

_JOINING = """
a an the is are was be am do did can has had i me it its you of as so
der die das den dem des ein ich du er sie es wir ist le la les un une de je tu il ce
el los una yo se lo gli di mi o os um uma eu het een ik je en et ett det jeg jag si
"""
_JOINS = frozenset(_JOINING.split())
"""Short words that carry no meaning of their own. All others count: "tom" and "tim", "on" and "off", "to" and "by", and
in languages with short words nearly all of them."""

_MEANING_LITTLE = """
what which does have that this these those there please your about could would will just very really also
bitte welche welcher welches eine einen einem einer dass diese dieser dieses auch sehr
"""
_EMPTY = frozenset(_MEANING_LITTLE.split())
"""Longer words that may be exchanged; "when" and "where" are none of them."""

_ENDINGS = ("ing", "ed", "en", "er", "es", "s", "e", "n")
_DIGEST_BYTES = 4


class Wording(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a text beside its vector; nobody can read it back without the key.

    Attributes:
        words: hashes of the words that carry meaning, without their endings, in order.
        marks: a hash of numbers, signs, negations and names, in order.
    """

    words: bytes
    marks: bytes


def wording_of(text: str, key: bytes) -> Wording:
    """What of a text is compared.

    Arguments:
        key: of the hashes.
    """
    words: list[str] = []
    marks: list[str] = []
    is_first, is_negated, last_end = True, False, 0
    for found in _PART.finditer(text):
        word = found["word"]
        if word is None:
            if found[0] in _SIGNS or category(found[0]).startswith("S"):
                marks.append(f"sign {found[0]}")
            continue
        is_first = is_first or any(one in _SENTENCE_ENDS for one in text[last_end : found.start()])
        last_end = found.end()
        plain = word.casefold().replace("'", "").replace("\u2019", "")
        if plain in _NEGATIONS or word.casefold().endswith(("n't", "n\u2019t")):
            marks.append("not")
            is_negated, is_first = True, False
            continue
        if any(one.isdigit() for one in plain):
            marks.append(f"number {plain}")
        elif not is_first and len(plain) > 1 and word[0].isupper():
            marks.append(f"name {plain}")
        if plain not in _EMPTY and plain not in _JOINS:
            words.append(_stem(plain))
            if is_negated:
                marks.append(f"of {words[-1]}")  # what is negated: "tea and not milk", "milk and not tea"
                is_negated = False
        is_first = False
    return Wording(b"".join([_hash(word, key, _DIGEST_BYTES) for word in words]), _hash("\0".join(marks), key, 16))


def may_stand(one: Wording, other: Wording) -> bool:
    """Whether numbers, signs, negations and names are the same, in one order; at most one of the two has words that the
    other has not; and those that both have come in one order."""
    if one.marks != other.marks:
        return False
    mine, theirs = _split(one.words), _split(other.words)
    common = set(mine).intersection(theirs)
    if len(common) < len(set(mine)) and len(common) < len(set(theirs)):
        return False
    return list(dict.fromkeys(word for word in mine if word in common)) == list(
        dict.fromkeys(word for word in theirs if word in common)
    )


def _stem(word: str) -> str:
    """A word without an ending that is usual in European languages, where four letters of it are left."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) > _SHORT:
            return word[: -len(ending)]
    return word


def _split(words: bytes) -> list[bytes]:
    return [words[at : at + _DIGEST_BYTES] for at in range(0, len(words), _DIGEST_BYTES)]


def _hash(text: str, key: bytes, size: int) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size, key=key[:64]).digest()
