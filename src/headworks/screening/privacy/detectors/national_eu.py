"""Personal numbers of European countries, each with its check digits.

Sources: the tax identification number pages of the European Commission (TIN portal, 2025) and the issuers' own rules;
`python-stdnum` is the oracle of the tests.
"""

from headworks.screening.privacy.checks import is_day, luhn, mod_11_10, weighted
from headworks.screening.privacy.judging import Words, is_other_number, number
from headworks.screening.privacy.patterns import EDGE, Hit, Judge, Pattern, any_of

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU_LETTERS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_CF_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
         10, 22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip
_CF_MONTHS = "ABCDEHLMPRST"
_CF_DIGITS = str.maketrans("LMNPQRSTUV", "0123456789")
_PESEL_CENTURIES = (1900, 2000, 2100, 2200, 1800)


def is_de_tax_id(digits: str) -> bool:
    """Steuer-Identifikationsnummer: one digit of the first ten stands there twice or three times,
    ISO 7064 MOD 11,10."""
    counts = sorted(digits[:10].count(digit) for digit in set(digits[:10]))
    return digits[0] != "0" and (counts[-1] in (2, 3)) and counts[-2] == 1 and mod_11_10(digits)


def is_de_svnr(text: str) -> bool:
    """Rentenversicherungsnummer (VKVV §4): the letter counts as two digits."""
    expanded = text[:8] + f"{ord(text[8]) - 64:02d}" + text[9:]
    total = 0
    for digit, weight in zip(expanded, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=False):
        product = int(digit) * weight
        total += product // 10 + product % 10
    return total % 10 == int(expanded[-1]) and 1 <= int(text[2:4]) <= 81 and 1 <= int(text[4:6]) <= 12


def is_fr_nir(text: str) -> bool:
    """NIR (INSEE): the key is 97 less the rest; Corsica's departments count as 19 and 18."""
    number_, key = text[:13].replace("2A", "19").replace("2B", "18"), text[13:]
    if not number_.isdigit() or not key.isdigit():
        return False
    month = int(number_[3:5])
    return (1 <= month <= 12 or 20 <= month <= 42 or month >= 50) and 97 - int(number_) % 97 == int(key)


def is_es_dni(text: str) -> bool:
    """DNI and NIE: the letter is the rest of 23."""
    digits = str("XYZ".find(text[0])) + text[1:-1] if text[0] in "XYZ" else text[:-1]
    return len(digits) == 8 and _DNI_LETTERS[int(digits) % 23] == text[-1] and len(set(digits)) > 1


def is_it_codice_fiscale(text: str) -> bool:
    """Decreto 23/12/1976: the check letter, and a day that there is; letters may stand for digits (omocodia)."""
    total = sum(_CF_ODD[character] for character in text[:15:2])
    for character in text[1:15:2]:
        total += int(character) if character.isdigit() else ord(character) - 65
    if chr(65 + total % 26) != text[15] or text[8] not in _CF_MONTHS:
        return False
    day = text[9:11].translate(_CF_DIGITS)
    return day.isdigit() and 1 <= int(day) % 40 <= 31


def is_nl_bsn(digits: str) -> bool:
    """The eleven-test, the last digit counting minus one."""
    digits = digits.zfill(9)
    return (weighted(digits[:8], (9, 8, 7, 6, 5, 4, 3, 2)) - int(digits[8])) % 11 == 0 and len(set(digits)) > 1


def is_pl_pesel(digits: str) -> bool:
    """PESEL: the month carries the century."""
    month = int(digits[2:4])
    year = _PESEL_CENTURIES[month // 20] + int(digits[:2])
    if not is_day(year, month % 20, int(digits[4:6])):
        return False
    return (10 - weighted(digits[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10) % 10 == int(digits[10])


def is_se_personnummer(digits: str) -> bool:
    """Personnummer, and samordningsnummer (the day plus 60): Luhn over the last ten digits."""
    digits = digits.replace("+", "")
    ten = digits[-10:]
    day = int(ten[4:6])
    return is_day(2000 + int(ten[:2]), int(ten[2:4]), day - 60 if day > 60 else day) and luhn(ten)


def is_fi_hetu(text: str) -> bool:
    """Henkilötunnus, with the separators that were added in 2023."""
    day, month, year = int(text[:2]), int(text[2:4]), int(text[4:6])
    serial = text[-4:-1]
    if not is_day(2000 + year, month, day) or serial < "002":
        return False
    return _HETU_LETTERS[int(text[:6] + serial) % 31] == text[-1]


def is_be_nn(digits: str) -> bool:
    """Rijksregisternummer: 97 less the rest, a 2 before it for births from 2000 on. BIS months are 20 or 40 more."""
    month, day = int(digits[2:4]) % 20, int(digits[4:6])
    if month > 12 or day > 31 or digits[6:9] == "000":
        return False
    number_, rest = int(digits[:9]), 97 - int(digits[9:])
    return number_ % 97 == rest or (2_000_000_000 + number_) % 97 == rest


def is_pt_nif(digits: str) -> bool:
    """Número de identificação fiscal, of persons and of others."""
    check = 11 - weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return digits[0] in "1235689" and (0 if check > 9 else check) == int(digits[8]) and len(set(digits)) > 1


_TAX = r"steuer\w*|tax|tin|idnr|id[ -]?nr|identifikationsnummer|finanzamt|taxpayer\w*"
_ID = r"id|identity|personal|national|identification"
_DE = Words(_TAX)
_SV = Words(r"sozialversicherung\w*|rentenversicherung\w*|sv[ -]?nummer|svnr|versicherungsnummer|rvnr|social security")
_FR = Words(r"nir|insee|secu\w*|social\w*|numss|nss|vitale|social security")
_ES = Words(r"dni|nie|nif|documento|identidad|identificacion|tax|id card|" + _ID)
_IT = Words(r"codice|fiscale|cf|c\.f|fiscal|tax\w*")
_NL = Words(r"bsn|burgerservice\w*|sofi\w*|citizen service\w*|persoonsnummer")
_PL = Words(r"pesel|numer|ewidencyjny|" + _ID)
_SE = Words(r"personnummer\w*|person|pnr|samordningsnummer|personal number|identity number|" + _ID)
_FI = Words(r"hetu|henkilo\w*|henkilotunnus|sotu|identity code|personal identity\w*|" + _ID)
_BE = Words(r"rijksregister\w*|rrn|registre|national\w*|insz|niss|inss|nummer|" + _ID)
_PT = Words(r"nif|contribuinte|fiscal|numero de identificacao\w*|tax\w*")


def _capitals(kind: str, judge: Judge) -> Judge:
    """Small letters take a word nearby: in capitals it was meant as a number."""

    def judge_case(data: bytes, start: int, end: int) -> Hit | None:
        hit = judge(data, start, end)
        if data[end - 1] in b"Ee" and data[end : end + 1] in (b"+", b"-"):
            return None  # the exponent of a number
        if hit is None or hit[3] >= 0.95 or data[start:end] == data[start:end].upper():
            return hit
        return kind, start, end, hit[3] - 0.4

    return judge_case


_se_divided = number("se_personnummer", is_se_personnummer, bare=0, written=0.8, words=_SE)


def _personnummer(data: bytes, start: int, end: int) -> Hit | None:
    # The plus of those over a hundred is no separator to `number`.
    if b"+" in data[start:end] and is_se_personnummer(data[start:end].decode()):
        return None if is_other_number(data, start) else ("se_personnummer", start, end, 0.75)
    return None if b"+" in data[start:end] else _se_divided(data, start, end)


_hetu = number("fi_hetu", is_fi_hetu, bare=0.9, written=0.9, words=_FI)
_G = r"[ .-]?"

PATTERNS = (
    Pattern(
        EDGE + r"([1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3})" + EDGE,
        number("de_tax_id", is_de_tax_id, bare=0, written=0.8, words=_DE),
        digits=11,
        shapes=(b"00-000-000-000",),
    ),
    Pattern(
        EDGE + r"([1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3})" + EDGE,
        number("de_tax_id", is_de_tax_id, bare=0, written=0, words=_DE),
        digits=11,
        needles=any_of("steuer|tax|tin|id|finanzamt"),
    ),
    Pattern(
        EDGE + r"([0-9]{2} ?[0-3][0-9][01][0-9][0-9]{2} ?[A-Za-z] ?[0-9]{3})" + EDGE,
        _capitals("de_svnr", number("de_svnr", is_de_svnr, bare=0.75, written=0.75, words=_SV)),
        digits=8,
        shapes=any_of("000000a|000000-a"),
    ),
    Pattern(
        EDGE + r"([1-478] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[ABab]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2})" + EDGE,
        number("fr_nir", is_fr_nir, bare=0.85, written=0.95, words=_FR),
        digits=8,
    ),
    Pattern(
        EDGE + r"([0-9]{8}[ -]?[A-Za-z]|[XYZxyz][ -]?[0-9]{7}[ -]?[A-Za-z])" + EDGE,
        _capitals("es_dni", number("es_dni", is_es_dni, bare=0.7, written=0.75, words=_ES)),
        digits=7,
        shapes=any_of("0000000a|0000000-a"),
        retries=True,
    ),
    Pattern(
        EDGE
        + r"([A-Za-z]{6} ?[0-9LMNP-Vlmnp-v]{2} ?[A-EHLMPR-Ta-ehlmpr-t] ?[0-9LMNP-Vlmnp-v]{2} ?[A-Za-z]"
        + r"[0-9LMNP-Vlmnp-v]{3} ?[A-Za-z])"
        + EDGE,
        _capitals(
            "it_codice_fiscale", number("it_codice_fiscale", is_it_codice_fiscale, bare=0.85, written=0.85, words=_IT)
        ),
        run=6,  # any of its digits may be a letter
        retries=True,
    ),
    Pattern(
        EDGE + r"([0-9]{4}\.[0-9]{2}\.[0-9]{3}|[0-9]{3}[ .]?[0-9]{3}[ .]?[0-9]{3}|[0-9]{8})" + EDGE,
        number("nl_bsn", is_nl_bsn, bare=0, written=0, words=_NL),
        digits=8,
        needles=any_of("bsn|burgerservice|sofi|citizen|persoonsnummer"),
    ),
    Pattern(
        EDGE + r"([0-9]{2}[0-9][0-9][0-3][0-9]{6})" + EDGE,
        number("pl_pesel", is_pl_pesel, bare=0.6, written=0.6, words=_PL),
        digits=11,
        shapes=(b"00000000000",),
    ),
    Pattern(
        EDGE + r"((?:1[89]|20)?[0-9]{2}[01][0-9][0-9]{2}[-+][0-9]{4})" + EDGE,
        _personnummer,
        digits=6,
        shapes=(b"000000-0000",),
    ),
    Pattern(
        EDGE + r"((?:1[89]|20)?[0-9]{2}[01][0-9][0-9]{6})" + EDGE,
        _personnummer,
        digits=10,
        needles=any_of("person|pnr|samordning|id|national"),
    ),
    Pattern(
        EDGE + r"([0-3][0-9][01][0-9]{3}[-+A-FU-Ya-fu-y][0-9]{3}[0-9A-Ya-y])" + EDGE,
        _hetu,
        digits=6,
        shapes=any_of("000000-000|000000a000"),
    ),
    Pattern(
        EDGE + f"([0-9]{{2}}{_G}[0-9]{{2}}{_G}[0-9]{{2}}{_G}[0-9]{{3}}{_G}[0-9]{{2}})" + EDGE,
        number("be_nn", is_be_nn, bare=0.7, written=0.9, words=_BE),
        digits=11,
    ),
    Pattern(
        EDGE + r"([1235689][0-9]{2} ?[0-9]{3} ?[0-9]{3})" + EDGE,
        number("pt_nif", is_pt_nif, bare=0, written=0, words=_PT),
        digits=9,
        needles=any_of("nif|contribuinte|fiscal|identifica|tax"),
    ),
)
