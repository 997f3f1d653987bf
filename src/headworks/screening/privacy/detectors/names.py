"""Names of persons by the words around them. A name has no form: what stands alone is for word lists and for a model.

Capitals and places of words count, so that scripts without capitals are left to those as well.
"""

import re

from headworks.screening.privacy.patterns import Hit, Pattern, any_of

_WORD = r"[A-Z\xff](?:[A-Za-z\xff'-]{0,23}[A-Za-z\xff])"
_PARTICLE = r"(?:(?:de|van|von|der|den|da|di|la|le|bin|al|el|dos|del|zu) ){0,2}"
_FULL = rf"({_WORD}(?: {_PARTICLE}(?:[A-Z]\. )?{_WORD}){{0,3}})"

_NOBODY = frozenset(
    b"all any anyone app boolean char class client column customer customers date default dear "
    b"doe everybody everyone everything field false folks friend friends guys hello hi hiring int it json ladies "
    b"list lord madam manager member model na name none null number object optional partner property reader recruiter "
    b"required sir sirs sql str string support task team test text that the there this true type undefined unknown "
    b"user users value varchar world you your".split()
)
"""Words that stand where names do and are none: of greetings, and of programs."""

_CODE = re.compile(rb"[\w.(\[{=<>*/\\]")


_GOES_ON = re.compile(rb"[\w(\[{=<]")


def _is_name(data: bytes, start: int, end: int) -> bool:
    words = data[start:end].split()
    return words[0].lower() not in _NOBODY and _GOES_ON.match(data, end) is None


def _introduced(data: bytes, start: int, end: int) -> Hit | None:
    return ("person", start, end, 0.8) if _is_name(data, start, end) else None


_LINE_END = re.compile(rb"[ \t]{0,4}(?:[\r\n]|\Z)")


def _signed(data: bytes, start: int, end: int) -> Hit | None:
    """Below a mail: alone in its line, or the last of the text."""
    is_alone = _LINE_END.match(data, end) is not None
    return ("person", start, end, 0.7) if is_alone and _is_name(data, start, end) else None


def _greeted(data: bytes, start: int, end: int) -> Hit | None:
    is_over = data[end : end + 1] in (b",", b"!", b":", b"\n", b"\r", b"")
    return ("person", start, end, 0.7) if is_over and _is_name(data, start, end) else None


def _filled_in(data: bytes, start: int, end: int) -> Hit | None:
    """In a form or in JSON, under a name that says what it is; not a type, nor an expression."""
    is_code = _CODE.match(data, end) is not None
    return None if is_code or not _is_name(data, start, end) else ("person", start, end, 0.75)


PATTERNS = (
    Pattern(
        r"(?i:\b(?:my name is|my name's|i am called|i'm called|mein name ist|ich hei(?:ss|\xff)e|je m'appelle"
        r"|mon nom est|me llamo|mi nombre es|mi chiamo|il mio nome e|o? ?meu nome e|ik heet|mijn naam is|jag heter))"
        r"[ \t\n]{1,2}" + _FULL,
        _introduced,
        needles=any_of("name|called|hei|appelle|nom|llamo|chiamo|nome|heet|naam|heter"),
        reach=(151, 24),
    ),
    Pattern(
        r"(?i:\b(?:regards|sincerely|cheers|best wishes|yours truly|many thanks|gr(?:u|ue)(?:ss|\xff)en?|cordialement"
        r"|saludos|saluti|atenciosamente|groeten))[,.!]?(?:[ \t]{0,2}[\r\n]{1,3}|,)[ \t]{0,4}" + _FULL,
        _signed,
        needles=any_of("regards|sincerely|cheers|wishes|truly|thanks|gru|cordialement|saludos|saluti|atenc|groeten"),
        reach=(160, 24),
    ),
    Pattern(
        r"\b(?:Dear|Hello|Hi|Hallo|Bonjour|Liebe|Lieber|Estimado|Estimada|Caro|Cara|Prezado|Prezada|Beste) " + _FULL,
        _greeted,
        needles=any_of("dear|hello|hi |hallo|bonjour|liebe|estimad|car|prezad|beste"),
        reach=(145, 24),
    ),
    Pattern(
        r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Herr|Herrn|Frau|Mme|Mlle|Monsieur|Madame|Sra|Sr|Dhr|Mevr)\.? " + _FULL,
        _introduced,
        needles=any_of(
            "mr |mr.|mrs|ms |ms.|miss|mx |mx.|dr |dr.|prof|herr|frau|mme|mlle|monsieur|madame|sra|sr |sr.|dhr|mevr"
        ),
        reach=(146, 24),
    ),
    Pattern(
        r"(?i:\b(?:(?:full|first|last|sur|given|family|maiden|patient|customer|client|employee|contact|cardholder"
        r"|applicant|insured|beneficiary|passenger|guest)[ _-]?names?|surname|vorname|nachname|apellidos?|cognome))"
        r"[\"']?[ \t]{0,2}[:=][ \t]{0,2}[\"']?" + _FULL,
        _filled_in,
        needles=any_of("name|apellido|cognome"),
        reach=(160, 24),
    ),
)
