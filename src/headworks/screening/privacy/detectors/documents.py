"""Dates of birth, passports and driving licences: words say what they are, for their own form hardly does."""

import re

from headworks.screening.privacy.checks import is_day
from headworks.screening.privacy.judging import Words
from headworks.screening.privacy.patterns import EDGE, Hit, Pattern, any_of

_MONTH = (
    r"(?:jan|feb|mar|maer|apr|ap|av|abr|may|mai|mag|maj|jun|giu|juin|jul|juil|lug|aug|ago|ao|sep|set"
    r"|oct|okt|ott|out|nov|dec"
    r"|dez|dic|den|ene|gen|fev|mei)[a-z\xff]{0,8}"
)
_BIRTH = (
    r"(?:date[ _-]?of[ _-]?birth|birth[ _-]?date|birthday|dateofbirth|birthdate|d\.?o\.?b\.?|born(?: on"
    r"| in)?|geboren(?: am)?"
    r"|geburtsdatum|geburtstag|geb\.|nee? le|date[ _-]de[ _-]naissance|naissance"
    r"|fecha[ _-]de[ _-]nacimiento|nacid[oa](?: el)?"
    r"|data[ _-]di[ _-]nascita|nat[oa] il|geboortedatum|geboren op|data[ _-]urodzenia|urodzon[ya]|fodelsedatum|fodd|"
    r"syntymaaika|data[ _-]de[ _-]nascimento|nascid[oa](?: em)?|nascimento)"
)
_DATE = (
    r"(?:[0-9]{4}[-/. ][0-9]{1,2}[-/. ][0-9]{1,2}|[0-9]{1,2}[-/. ]{1,2}[0-9]{1,2}[-/. ]{1,2}(?:[0-9]{4}|[0-9]{2})"
    r"|[0-9]{1,2}(?:st|nd|rd|th|er|\.)?[ -](?:of |de )?"
    + _MONTH
    + r"\.?,?[ -](?:de |of )?[0-9]{4}|"
    + _MONTH
    + r"\.? [0-9]{1,2}(?:st|nd|rd|th)?,? [0-9]{4}|(?:19|20)[0-9]{6})"
)
_NUMBERS = re.compile(rb"[0-9]+")


def _birth(data: bytes, start: int, end: int) -> Hit | None:
    numbers = [int(group) for group in _NUMBERS.findall(data[start:end])]
    if len(numbers) == 1:
        numbers = [numbers[0] // 10_000, numbers[0] // 100 % 100, numbers[0] % 100]
    year = max(numbers)
    if year > 31 and not (1890 <= year <= 2035 or year < 100):
        return None
    if len(numbers) == 3:
        first, second = numbers[1:] if numbers[0] == year and year > 31 else numbers[:2]
        if not (is_day(year, first, second) or is_day(year, second, first)):
            return None
    return "date_of_birth", start, end, 0.9


_DIGIT = re.compile(rb"[0-9]")


def _passport(data: bytes, start: int, end: int) -> Hit | None:
    return ("passport", start, end, 0.85) if len(_DIGIT.findall(data[start:end])) >= 4 else None


def _licence(data: bytes, start: int, end: int) -> Hit | None:
    return ("driving_licence", start, end, 0.85) if len(_DIGIT.findall(data[start:end])) >= 4 else None


def _value(character: int) -> int:
    return character - 48 if character <= 57 else 0 if character == 60 else character - 55


def _is_checked(field: bytes, check: int) -> bool:
    """ICAO Doc 9303-3 §4.9: weights 7, 3, 1."""
    return sum(_value(character) * (7, 3, 1)[place % 3] for place, character in enumerate(field)) % 10 == check - 48


def _machine_readable(data: bytes, start: int, end: int) -> Hit | None:
    line = data[start:end]
    is_right = _is_checked(line[:9], line[9]) and _is_checked(line[13:19], line[19])
    return ("passport", start, end, 0.99) if is_right and _is_checked(line[21:27], line[27]) else None


_LICENCE_WORDS = Words(r"licen[cs]e|driv\w*|dvla")


def _dvla(data: bytes, start: int, end: int) -> Hit | None:
    """DVLA: five of the surname, a decade, a month (women's 50 more), a day, a year, initials, and checks."""
    value = data[start:end]
    if not is_day(2000, (int(value[6:8]) - 1) % 50 + 1, int(value[8:10])):
        return None
    return "driving_licence", start, end, 0.95 if _LICENCE_WORDS.stand_before(data, start) else 0.7


# The sign is that of degrees, or of "numero": n\u00b0, \u2116.
_LINK = (
    r"[\"']?[ \t]{0,2}(?:(?:number|num|no|nr|n|nummer|numero|id|card)\b|n?\x7f)?\.?[\"']?[ \t]{0,2}(?:is|was"
    r"|ist|est|es)?[ \t:#=-]{0,4}[\"']?"
)

PATTERNS = (
    Pattern(
        r"(?i)\b"
        + _BIRTH
        + r"[^0-9a-z\n]{0,4}(?:is|was|am|on|the|le|el|il|em|op|[a-z]{2}[/.-][a-z]{2}[/.-][a-z]{2,4})?"
        r"[^0-9a-z\n]{0,6}(?:the )?(" + _DATE + ")" + EDGE,
        _birth,
        digits=2,
        needles=any_of("birth|dob|d.o.b|born|geb|nee |ne le|naissance|nac|nasc|nat|urodz|fod|syntym|d.ob|do.b"),
        reach=(74, 24),
    ),
    Pattern(
        r"(?i)\b(?:passports?|reisepass|passeport|pasaporte|passaporto|paspoort|paszport\w{0,4}"
        r"|passaporte|personalausweis\w{0,8}"
        r"|identity card|id card|carte d'identite|ausweis\w{0,8})[ _-]?"
        + _LINK
        + r"([A-Z]{0,3}[0-9][A-Z0-9]{4,10}|[A-Z][A-Z0-9]{5,10})"
        + EDGE,
        _passport,
        digits=1,
        needles=any_of("passp|passeport|reisepass|pasaporte|passa|paspoort|paszport|ausweis|card|carte"),
        reach=(60, 24),
    ),
    Pattern(
        r"(?i)\b(?:driv(?:er'?s?|ing|ers)?[ _-]?licen[cs]e|dl|licen[cs]e[ _-]?(?:number|no|num)|fuhrerschein\w{0,6}"
        r"|permis de conduire|patente(?: di guida)?|rijbewijs\w{0,6}|carnet de conducir"
        r"|permiso de conducir|prawo jazdy)[ _-]?"
        + _LINK
        + r"([A-Z]{0,5}[ -]?[0-9](?:[A-Z0-9]|-[0-9]){4,18}|[A-Z][A-Z0-9]{5,18})"
        + EDGE,
        _licence,
        digits=1,
        needles=any_of("licen|dl|fuhrerschein|permis|patente|rijbewijs|carnet|prawo"),
        reach=(85, 24),
    ),
    Pattern(
        r"\b([A-Z0-9<]{9}[0-9][A-Z<]{3}[0-9]{7}[MFX<][0-9]{7}[A-Z0-9<]{14}[0-9<][0-9])",
        _machine_readable,
        digits=7,
        shapes=(b"0000000",),
    ),
    Pattern(EDGE + r"([A-Z9]{5}[0-9]{6}[A-Z9]{2}[0-9A-Z][A-Z]{2})" + EDGE, _dvla, digits=6, shapes=(b"000000",)),
)
