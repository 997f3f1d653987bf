"""The kinds of data that are known, each with its name, the label in its tokens, and what it is."""

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """One kind of data.

    Attributes:
        name: in contracts, records and metrics.
        label: in tokens: capital letters and digits, never holding "PII" (`tokens` relies on that).
        meaning: a phrase for the reference.
        shows: how many last characters a mask leaves (ISO/IEC 7813 receipts show four of a card).
        is_personal: False for credentials.
    """

    name: str
    label: str
    meaning: str
    shows: int = 0
    is_personal: bool = True


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("email", "EMAIL", "e-mail address"),
        Kind("phone", "PHONE", "telephone number, international or national", 2),
        Kind("card", "CARD", "payment card (Luhn, issuer ranges)", 4),
        Kind("iban", "IBAN", "international bank account number (mod 97, length by country)", 4),
        Kind("bank_account", "ACCOUNT", "bank account, routing number or sort code, named as such", 4),
        Kind("wallet", "WALLET", "crypto wallet (Base58Check, Bech32, EIP-55)", 4),
        Kind("ip", "IP", "public IPv4 or IPv6 address"),
        Kind("mac", "MAC", "hardware address of a network card"),
        Kind("date_of_birth", "BIRTH", "date that is named as a date of birth"),
        Kind("person", "PERSON", "name of a person, by the words around it or by a model"),
        Kind("organisation", "ORG", "name of an organisation, by a model"),
        Kind("location", "PLACE", "place or address, by a model"),
        Kind("passport", "PASSPORT", "passport or identity card number, named as such, or machine-readable"),
        Kind("driving_licence", "LICENCE", "driving licence number"),
        Kind("us_ssn", "SSN", "US social security number", 4),
        Kind("us_itin", "ITIN", "US individual taxpayer number", 4),
        Kind("uk_nino", "NINO", "UK national insurance number"),
        Kind("uk_nhs", "NHS", "UK NHS number (mod 11)"),
        Kind("de_tax_id", "STEUERID", "German tax identification number (ISO 7064)"),
        Kind("de_svnr", "SVNR", "German pension insurance number"),
        Kind("fr_nir", "NIR", "French social security number (mod 97)"),
        Kind("es_dni", "DNI", "Spanish DNI or NIE (mod 23)"),
        Kind("it_codice_fiscale", "CODFISC", "Italian fiscal code"),
        Kind("nl_bsn", "BSN", "Dutch citizen service number (eleven-test)"),
        Kind("pl_pesel", "PESEL", "Polish PESEL"),
        Kind("se_personnummer", "PERSNR", "Swedish personal number (Luhn)"),
        Kind("fi_hetu", "HETU", "Finnish personal identity code (mod 31)"),
        Kind("be_nn", "NATREG", "Belgian national number (mod 97)"),
        Kind("pt_nif", "NIF", "Portuguese taxpayer number (mod 11)"),
        Kind("in_aadhaar", "AADHAAR", "Indian Aadhaar (Verhoeff)", 4),
        Kind("in_pan", "PAN", "Indian permanent account number"),
        Kind("br_cpf", "CPF", "Brazilian CPF"),
        Kind("br_cnpj", "CNPJ", "Brazilian CNPJ, numeric or alphanumeric"),
        Kind("national_id", "NATID", "another identifier, checked by python-stdnum"),
        Kind("medical_record", "MRN", "medical record or patient number, named as such"),
        Kind("health_insurance", "INSURANCE", "health insurance or Medicare number"),
        Kind("npi", "NPI", "US national provider identifier (Luhn)"),
        Kind("dea", "DEA", "US DEA registration number"),
        Kind("api_key", "APIKEY", "API key or token of a known form", 0, False),
        Kind("jwt", "JWT", "JSON web token", 0, False),
        Kind("private_key", "PRIVKEY", "private key (PEM)", 0, False),
        Kind("secret", "SECRET", "password or key, named as such", 0, False),
        Kind("url_credentials", "USERINFO", "user name and password in a URL", 0, False),
    )
}
"""Every kind that is looked for unless the contract says `allow`."""
