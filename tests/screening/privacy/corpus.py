"""Seeded values of every kind, made by other people's generators where there are any, and texts that hold them."""

import random
import string

from stdnum import luhn, verhoeff
from stdnum.be import nn
from stdnum.br import cnpj, cpf
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.it import codicefiscale
from stdnum.nl import bsn
from stdnum.pl import pesel
from stdnum.pt import nif

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def digits(rng, count, first="0123456789"):
    return rng.choice(first) + "".join(rng.choices(string.digits, k=count - 1))


def day(rng, first=1930, last=2020):
    return rng.randint(first, last), rng.randint(1, 12), rng.randint(1, 28)


def until(make, is_valid):
    while True:
        value = make()
        if is_valid(value):
            return value


def card(rng):
    prefix, length = rng.choice([("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("34", 15), ("37", 15), ("6011", 16),
                                 ("36", 14), ("3530", 16), ("62", 16), ("65", 16)])  # fmt: skip
    body = prefix + digits(rng, length - len(prefix) - 1)
    number = body + luhn.calc_check_digit(body)
    if length == 16:
        parts = [number[:4], number[4:8], number[8:12], number[12:]]
    else:
        parts = [number[:4], number[4:10], number[10:]]
    return rng.choice(["", " ", "-"]).join(parts)


def ssn(rng):
    area = until(lambda: rng.randint(1, 899), lambda value: value != 666)
    return f"{area:03}-{rng.randint(1, 99):02}-{rng.randint(1, 9999):04}"


def itin(rng):
    return f"9{rng.randint(0, 99):02}-{rng.choice([50, 65, 70, 88, 90, 92, 94, 99])}-{rng.randint(0, 9999):04}"


def nino(rng):
    head = until(
        lambda: rng.choice("ABCEGHJKLMNOPRSTWXYZ") + rng.choice("ABCEGHJKLMNPRSTWXYZ"),
        lambda value: value not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ"),
    )
    number = digits(rng, 6)
    parts = [head, number[:2], number[2:4], number[4:], rng.choice("ABCD")]
    return rng.choice(["", " "]).join(parts)


def nhs_number(rng):
    value = until(lambda: digits(rng, 10, "4567"), nhs.is_valid)
    return f"NHS number {value[:3]} {value[3:6]} {value[6:]}", f"{value[:3]} {value[3:6]} {value[6:]}"


def de_tax(rng):
    value = until(lambda: digits(rng, 11, "123456789"), idnr.is_valid)
    written = f"{value[:2]} {value[2:5]} {value[5:8]} {value[8:]}"
    return rng.choice([(f"Steuer-ID: {value}", value), (written, written)])


def fr_nir(rng):
    year, month, _ = day(rng)
    department, commune, order = rng.randint(1, 95), rng.randint(1, 990), rng.randint(1, 999)
    body = f"{rng.choice('12')}{year % 100:02}{month:02}{department:02}{commune:03}{order:03}"
    value = body + nir.calc_check_digits(body)
    return rng.choice(
        [value, f"{value[0]} {value[1:3]} {value[3:5]} {value[5:7]} {value[7:10]} {value[10:13]} {value[13:]}"]
    )


def es_dni(rng):
    if rng.random() < 0.5:
        number = digits(rng, 8)
        return number + dni.calc_check_digit(number)
    body = rng.choice("XYZ") + digits(rng, 7)
    return body + nie.calc_check_digit(body)


def it_cf(rng):
    year, month, number = day(rng)
    letters = "BCDFGLMNPRSTVZ"
    body = (
        "".join(rng.choices(letters, k=6))
        + f"{year % 100:02}{'ABCDEHLMPRST'[month - 1]}{number + rng.choice([0, 40]):02}"
        + rng.choice("ABCDEFGHL") + digits(rng, 3)
    )  # fmt: skip
    return body + codicefiscale.calc_check_digit(body)


def nl_bsn(rng):
    value = until(lambda: digits(rng, 9, "123456789"), bsn.is_valid)
    return f"BSN {value}", value


def pl_pesel(rng):
    year, month, number = day(rng, 1930, 1999)
    body = f"{year % 100:02}{month:02}{number:02}{digits(rng, 4)}"
    value = body + pesel.calc_check_digit(body)
    return f"PESEL {value}", value


def se_personnummer(rng):
    year, month, number = day(rng)
    body = f"{year % 100:02}{month:02}{number:02}{rng.randint(1, 999):03}"
    value = body + luhn.calc_check_digit(body)
    century = rng.choice(["", str(year)[:2]])
    return f"{century}{value[:6]}-{value[6:]}"


def fi_hetu(rng):
    year, month, number = day(rng)
    serial = rng.randint(2, 899)
    sign = "-" if year < 2000 else "A"
    body = f"{number:02}{month:02}{year % 100:02}{serial:03}"
    value = f"{body[:6]}{sign}{body[6:]}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(body) % 31]}"
    assert hetu.is_valid(value)
    return value


def be_nn(rng):
    year, month, number = day(rng, 1930, 1999)
    body = f"{year % 100:02}{month:02}{number:02}{rng.randint(1, 997):03}"
    value = f"{body}{97 - int(body) % 97:02}"
    assert nn.is_valid(value)
    return f"{value[:2]}.{value[2:4]}.{value[4:6]}-{value[6:9]}.{value[9:]}"


def pt_nif(rng):
    value = until(lambda: digits(rng, 9, "125"), nif.is_valid)
    return f"NIF: {value}", value


def aadhaar(rng):
    body = digits(rng, 11, "23456789")
    value = body + verhoeff.calc_check_digit(body)
    written = f"{value[:4]} {value[4:8]} {value[8:]}"
    return rng.choice([(f"Aadhaar {value}", value), (written, written)])


def pan(rng):
    return (
        "".join(rng.choices(string.ascii_uppercase, k=3)) + rng.choice("ABCFGHJLPT")
        + rng.choice(string.ascii_uppercase) + f"{rng.randint(1, 9999):04}" + rng.choice(string.ascii_uppercase)
    )  # fmt: skip


def br_cpf(rng):
    value = until(lambda: digits(rng, 9), lambda v: len(set(v)) > 1)
    value += cpf._calc_check_digits(value)
    return rng.choice([value, f"{value[:3]}.{value[3:6]}.{value[6:9]}-{value[9:]}"])


def br_cnpj(rng):
    body = digits(rng, 8) + "0001"
    value = body + cnpj.calc_check_digits(body)
    return f"{value[:2]}.{value[2:5]}.{value[5:8]}/{value[8:12]}-{value[12:]}"


def npi(rng):
    body = digits(rng, 9, "12")
    value = body + luhn.calc_check_digit("80840" + body)
    return f"NPI {value}", value


def dea(rng):
    number = digits(rng, 6)
    check = sum(int(n) * w for n, w in zip(number, (1, 2, 1, 2, 1, 2), strict=True)) % 10
    value = f"{rng.choice('ABFM')}{rng.choice(string.ascii_uppercase)}{number}{check}"
    return f"DEA registration {value}", value


def mrn(rng):
    value = digits(rng, rng.randint(6, 10))
    return f"{rng.choice(['MRN', 'MRN:', 'Medical record number', 'patient ID:'])} {value}", value


def mac(rng):
    return rng.choice(":-").join(f"{rng.randrange(256):02x}" for _ in range(6))


def ip(rng):
    value = f"{rng.choice([81, 93, 145, 188, 203])}.{rng.randint(1, 254)}.{rng.randint(60, 254)}.{rng.randint(1, 254)}"
    return f"client {value}", value


def ipv6(rng):
    return "2a01:" + ":".join(f"{rng.randrange(1, 65536):x}" for _ in range(7))


def birth(rng):
    year, month, number = day(rng)
    name = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
                        "November",
            "December"][month - 1]  # fmt: skip
    value = rng.choice([f"{year}-{month:02}-{number:02}", f"{number:02}/{month:02}/{year}", f"{number} {name} {year}",
                        f"{name} {number}, {year}", f"{number}.{month}.{year}"])  # fmt: skip
    word = rng.choice(["DOB:", "Date of birth:", "born on", "geboren am", "date of birth is", "DOB"])
    return f"{word} {value}", value


def passport(rng):
    value = rng.choice([digits(rng, 9), rng.choice("CFGHJK") + digits(rng, 8), rng.choice("ABX") + digits(rng, 7)])
    words = [
        "passport number", "Passport No.", "passport:", "Reisepass Nr.", "passeport n°", "pasaporte", "passaporto n.",
        "paspoort", "paszport nr", "passaporte nº", "Personalausweis:",
    ]  # fmt: skip
    return f"{rng.choice(words)} {value}", value


def licence(rng):
    value = rng.choice(string.ascii_uppercase) + digits(rng, rng.randint(7, 12))
    return f"{rng.choice(['driver license', 'driving licence number:', 'DL#'])} {value}", value


def account(rng):
    value = digits(rng, rng.randint(8, 12), "123456789")
    return f"{rng.choice(['account number', 'bank account:', 'acct no.', 'Konto:'])} {value}", value


def wallet(rng):
    from hashlib import sha256

    if rng.random() < 0.4:
        return "0x" + "".join(rng.choices("0123456789abcdef", k=40))
    raw = b"\0" + rng.randbytes(20)
    number = int.from_bytes(raw + sha256(sha256(raw).digest()).digest()[:4], "big")
    text = ""
    while number:
        number, rest = divmod(number, 58)
        text = BASE58[rest] + text
    return "1" + text


def api_key(rng):
    alphabet = string.ascii_letters + string.digits

    def some(count):
        return "".join(rng.choices(alphabet, k=count))

    return rng.choice(
        [
            f"sk-proj-{some(48)}", f"sk-ant-api03-{some(80)}",
            "AKIA" + "".join(rng.choices("ABCDEFGHIJKLMNOP234567", k=16)),
            f"ghp_{some(36)}", f"xoxb-{digits(rng, 12)}-{some(24)}", f"sk_live_{some(24)}", f"AIza{some(35)}",
            f"glpat-{some(20)}", f"npm_{some(36)}", f"hf_{some(34)}", f"github_pat_{some(22)}_{some(59)}",
            f"gho_{some(36)}", f"sk-or-v1-{rng.randbytes(32).hex()}", f"xapp-1-{some(11)}-{digits(rng, 13)}",
            f"whsec_{some(32)}", f"ya29.{some(60)}", f"GOCSPX-{some(28)}", f"SG.{some(22)}.{some(43)}",
            f"pypi-{some(80)}", f"dop_v1_{rng.randbytes(32).hex()}", f"shpat_{rng.randbytes(16).hex()}",
            f"r8_{some(37)}", f"gsk_{some(52)}", f"xai-{some(80)}", f"hvs.{some(24)}", f"glrt-{some(20)}",
            f"{digits(rng, 9, '123456789')}:AA{some(33)}",
        ]
    )  # fmt: skip


def secret(rng):
    alphabet = string.ascii_letters + string.digits + "!#%+"
    value = "".join(rng.choices(alphabet, k=rng.randint(9, 20))) + rng.choice(string.digits) + "Q"
    return f"{rng.choice(['password:', 'Password =', 'pwd=', 'the password is'])} {value}", value


def userinfo(rng):
    user = "".join(rng.choices(string.ascii_lowercase, k=6))
    value = f"{user}:{''.join(rng.choices(string.ascii_letters + string.digits, k=12))}"
    return f"postgres://{value}@db.internal:5432/app", value


def jwt(rng):
    alphabet = string.ascii_letters + string.digits + "-_"
    return ".".join(["eyJ" + "".join(rng.choices(alphabet, k=30)), "eyJ" + "".join(rng.choices(alphabet, k=60)),
                     "".join(rng.choices(alphabet, k=43))])  # fmt: skip


def de_svnr(rng):
    _, month, number = day(rng)
    area, year, serial = rng.randint(2, 81), rng.randint(0, 99), rng.randint(0, 99)
    head = f"{area:02}{number:02}{month:02}{year:02}{rng.choice(string.ascii_uppercase)}{serial:02}"
    expanded = head[:8] + f"{ord(head[8]) - 64:02}" + head[9:]
    products = [
        int(digit) * weight for digit, weight in zip(expanded, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=False)
    ]
    total = sum(product // 10 + product % 10 for product in products)
    return f"Rentenversicherungsnummer {head}{total % 10}", f"{head}{total % 10}"


def mbi(rng):
    letters, both = "ACDEFGHJKMNPQRTUVWXY", "ACDEFGHJKMNPQRTUVWXY0123456789"
    value = (
        rng.choice("123456789") + rng.choice(letters) + rng.choice(both) + rng.choice(string.digits) + "-"
        + rng.choice(letters) + rng.choice(both) + rng.choice(string.digits) + "-" + rng.choice(letters)
        + rng.choice(letters) + digits(rng, 2)
    )  # fmt: skip
    return rng.choice([(f"Medicare {value}", value), (f"MBI: {value.replace('-', '')}", value.replace("-", ""))])


def pem(rng):
    lines = ["".join(rng.choices(string.ascii_letters + string.digits + "+/", k=64)) for _ in range(3)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])


CHECKED = {
    "card": card, "us_ssn": ssn, "us_itin": itin, "uk_nino": nino, "uk_nhs": nhs_number, "de_tax_id": de_tax,
    "fr_nir": fr_nir, "es_dni": es_dni, "it_codice_fiscale": it_cf, "nl_bsn": nl_bsn, "pl_pesel": pl_pesel,
    "se_personnummer": se_personnummer, "fi_hetu": fi_hetu, "be_nn": be_nn, "pt_nif": pt_nif, "in_aadhaar": aadhaar,
    "in_pan": pan, "br_cpf": br_cpf, "br_cnpj": br_cnpj, "npi": npi, "dea": dea, "medical_record": mrn, "mac": mac,
    "ip": ip, "date_of_birth": birth, "passport": passport, "driving_licence": licence, "bank_account": account,
    "wallet": wallet, "api_key": api_key, "secret": secret, "url_credentials": userinfo, "jwt": jwt,
    "de_svnr": de_svnr, "health_insurance": mbi, "private_key": pem,
}  # fmt: skip
"""A maker for each kind: it gives a value, or a value with the words that it takes, and the value."""

BETWEEN = (
    "Please update the record: {} and confirm by tomorrow.",
    "The customer wrote that {} is what we have on file.",
    "({})",
    "Here it is: {}.",
    "{}",
    '{{"note": "{}"}}',
    "| field | {} |",
    "first line\n{}\nlast line",
    "Bitte prüfen: {}, danke.",
    "Ação necessária — {} — obrigado.",
    "客户信息\uff1a{}。",
)
"""What stands around a value."""


def cases(kind, count, seed=1):
    """Texts with one value of a kind each: the text and where the value is."""
    rng = random.Random(f"{kind}{seed}")
    for _ in range(count):
        made = CHECKED[kind](rng)
        phrase, value = made if isinstance(made, tuple) else (made, made)
        text = rng.choice(BETWEEN).format(phrase)
        start = text.rindex(value)
        yield text, start, start + len(value)
