"""What must be the same in two texts before one's answer may stand for the other's, however near their vectors are.

The vectors of a small model are averages of words: they hardly see a "not", a number, a name, which of two things comes
first, or that of twelve words one is another ("the northern region", "the southern region"). So these are compared
here, after turns of phrase and words that mean the same were made one. None of it makes two texts mean the same; each
keeps apart some that do not. How many, and how many it should not, is measured (`tests/response_cache`). Pure.
"""

import re
from hashlib import blake2b
from unicodedata import category

import msgspec

LIKENESS = "numbers, signs, negations, names, questions, words, order; 4"
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
a an the is are was were be been am do does did can could has have had i me it its you of as so if then
der die das den dem des ein ich du er sie es wir ist le la les un une de je tu il ce
el los una yo se lo gli di mi o os um uma eu het een ik je en et ett det jeg jag si
"""
_JOINS = frozenset(_JOINING.split())
"""Short words that carry no meaning of their own. All others count: "tom" and "tim", "on" and "off", "to" and "by", and
in languages with short words nearly all of them."""

_MEANING_LITTLE = """
what which that this these those there please about would will just very really also should still yet now currently
actually exactly simply best possible allowed able available offer offers offered provide provides provided
bitte kann können könnte welche welcher welches eine einen einem einer dass diese dieser dieses auch sehr
"""
_EMPTY = frozenset(_MEANING_LITTLE.split())
"""Longer words that may be exchanged, or stand in one text alone."""

_ASKING = frozenset(("how", "why", "when", "where", "who", "whom", "whose", "wie", "warum", "wann", "wo", "wer"))
"""What is asked for. A text that asks "when" is never one that asks "where", nor one that asks nothing."""

_OWNING = frozenset(
    ("my", "mine", "our", "your", "yours", "mein", "meine", "meinen", "meinem", "dein", "deine", "unser", "ihr", "ihre")
)
"""Whose it is may be left out ("the password"), but not be another's."""

_OPENING = frozenset(("when", "if", "because", "since", "while", "once", "wenn", "falls", "weil"))
"""Words that open a clause, which may stand first or last."""

_FRAMES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"(?:please )?(?:can|could|would) you (?:please )?(?:tell me|explain|show me)|(?:please )?tell me", " "),
        (r"i(?: would|'d|\u2019d) like to know", " "),
        (r"is it possible (?:for me )?to|am i (?:allowed|able) to|is there (?:a|any) way to", " "),
        (r"what(?: is|'s|\u2019s| are) the (?:best |right |easiest )?(?:way|steps?) to", "how "),
        (r"what (?:do i|must i|should i) (?:need to |have to )?do (?:in order )?to", "how "),
        (r"i (?:want|need|wish) to|i(?: would|'d|\u2019d) like to|help me(?: to)?", "how "),
        (r"how does (?:that|it|this) work", "how "),
        (r"ich (?:möchte|will|würde gerne?)", "wie "),
        (r"(?:at )?what time", "when "),
        (r"for what reason|how come", "why "),
        (r"what number of", "how many "),
        (r"(where (?:can|do|could) i) (?:find|see|get)", r"\1 "),
        (r"how much (?:do|does|did|will|would) (.{1,80}?) costs?", r"price \1"),
        (r"how much (?:is|are)|what(?: is|'s|\u2019s| are) the (?:costs?|prices?) (?:of|for)", "price "),
        (r"(?:turn|switch)(?:ed|ing)? on", "enable "),
        (r"(?:turn|switch)(?:ed|ing)? off", "disable "),
        (r"(?:sign|log)(?:ged|ging|ned|ning)? ?(?:in|on)(?: to)?", "login "),
        (r"(?:sign|log)(?:ged|ging|ned|ning)? ?(?:out|off)", "logout "),
        (r"wi-fi", "wifi"),
        (r"e-mail(s?)", r"email\1"),
    )
)
"""Turns of phrase that ask the same: what stands for them. In English, and one in German; of other languages the words
are compared as they are."""

_SAME = {
    "purchase": "buy", "purchasing": "buy", "purchased": "buy", "bought": "buy", "buying": "buy",
    "picture": "photo", "image": "photo", "receive": "get", "receiving": "get", "obtain": "get",
    "fix": "repair", "activate": "enable", "deactivate": "disable", "begin": "start", "beginning": "start",
    "package": "parcel", "telephone": "phone", "required": "need", "require": "need", "requires": "need",
    "speak": "talk", "reach": "contact", "assist": "help", "maximum": "max", "minimum": "min",
    "canceled": "cancelled", "canceling": "cancelling",
}  # fmt: skip
"""Words that mean the same wherever all else is the same. "Remove" and "delete", "change" and "update", "ship" and
"deliver" are none: the one may be right where the other is wrong."""

_ENDINGS = ("ations", "ation", "ing", "ed", "en", "er", "es", "s", "e", "n")
_DOUBLED = re.compile(r"([bdglmnprt])\1$")
_DIGEST_BYTES = 4


class Wording(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a text beside its vector; nobody can read it back without the key.

    Attributes:
        words: hashes of the words that carry meaning, without their endings, in order.
        marks: a hash of numbers, signs, negations and names, in order, and of what is asked for.
        owners: hashes of the words that say whose it is.
        clauses: before which of the words a clause begins, each place in two bytes.
    """

    words: bytes
    marks: bytes
    owners: bytes = b""
    clauses: bytes = b""


def wording_of(text: str, key: bytes) -> Wording:
    """What of a text is compared.

    Arguments:
        key: of the hashes.
    """
    text = _framed(text)
    words: list[str] = []
    marks: list[str] = []
    asked: set[str] = set()
    owners: set[str] = set()
    clauses: set[int] = set()
    is_first, is_negated, last_end = True, False, 0
    for found in _PART.finditer(text):
        word = found["word"]
        if word is None:
            if found[0] in _SIGNS or category(found[0]).startswith("S"):
                marks.append(f"sign {found[0]}")
            continue
        between = text[last_end : found.start()]
        is_first = is_first or any(one in _SENTENCE_ENDS for one in between)
        last_end = found.end()
        plain = word.casefold().replace("'", "").replace("\u2019", "")
        if is_first or "," in between or plain in _OPENING:
            clauses.add(len(words))
        if _negates(word, plain):
            marks.append("not")
            is_negated, is_first = True, False
            continue
        if any(one.isdigit() for one in plain):
            marks.append(f"number {plain}")
        elif not is_first and len(plain) > 1 and word[0].isupper():
            marks.append(f"name {plain}")
        is_first = False
        if plain in _ASKING:
            asked.add(plain)
        elif plain in _OWNING:
            owners.add(plain)
        elif plain not in _EMPTY and plain not in _JOINS:
            words.append(_stem(_SAME.get(plain, plain)))
            if is_negated:
                marks.append(f"of {words[-1]}")  # what is negated: "tea and not milk", "milk and not tea"
                is_negated = False
    marks += sorted(f"asks {one}" for one in asked)
    return Wording(
        b"".join([_hash(word, key, _DIGEST_BYTES) for word in words]),
        _hash("\0".join(marks), key, 16),
        b"".join([_hash(word, key, _DIGEST_BYTES) for word in sorted(owners)]),
        b"".join([place.to_bytes(2) for place in sorted(clauses) if 0 < place < len(words)]),
    )


def _framed(text: str) -> str:
    """The text with one turn of phrase for those that ask the same."""
    for frame, replacement in _FRAMES:
        text = frame.sub(replacement, text)
    return text


def _negates(word: str, plain: str) -> bool:
    return plain in _NEGATIONS or word.casefold().endswith(("n't", "n\u2019t"))


def may_stand(one: Wording, other: Wording) -> bool:
    """Whether numbers, signs, negations and names are the same, in one order, and what is asked for; whether both have
    the same words, in one order but for clauses that have changed places; and whether it is not somebody else's."""
    if one.marks != other.marks or (one.owners and other.owners and one.owners != other.owners):
        return False
    mine, theirs = _split(one.words), _split(other.words)
    if set(mine) != set(theirs):
        return False
    ours = list(dict.fromkeys(mine))
    return ours == list(dict.fromkeys(theirs)) or _is_turned(mine, one, theirs) or _is_turned(theirs, other, mine)


def _is_turned(words: list[bytes], of: Wording, others: list[bytes]) -> bool:
    """Whether the others are these with a clause of theirs at another end: "when I open it, it crashes"."""
    wanted = list(dict.fromkeys(others))
    places = [int.from_bytes(of.clauses[at : at + 2]) for at in range(0, len(of.clauses), 2)]
    return any(list(dict.fromkeys([*words[place:], *words[:place]])) == wanted for place in places)


def _stem(word: str) -> str:
    """A word without an ending that is usual in European languages, where four letters of it are left."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) > _SHORT:
            word = word[: -len(ending)]
            break
    return _DOUBLED.sub(r"\1", word) if len(word) > _SHORT else word


def _split(words: bytes) -> list[bytes]:
    return [words[at : at + _DIGEST_BYTES] for at in range(0, len(words), _DIGEST_BYTES)]


def _hash(text: str, key: bytes, size: int) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size, key=key[:64]).digest()
