"""Check digits against python-stdnum, which others wrote, and against published examples."""

import random
import string

import pytest
import stdnum.be.nn
import stdnum.br.cnpj
import stdnum.br.cpf
import stdnum.de.idnr
import stdnum.es.dni
import stdnum.es.nie
import stdnum.fi.hetu
import stdnum.gb.nhs
import stdnum.iban
import stdnum.luhn
import stdnum.nl.bsn
import stdnum.pl.pesel
import stdnum.pt.nif
import stdnum.us.itin
import stdnum.us.rtn
import stdnum.verhoeff

from headworks.screening.privacy import checks
from headworks.screening.privacy.detectors import banking, health, national_eu, national_in_br, national_us_uk, wallets
from headworks.screening.privacy.keccak import keccak_256

ORACLES = [
    (checks.luhn, stdnum.luhn.is_valid, 12),
    (checks.verhoeff, stdnum.verhoeff.is_valid, 12),
    (national_us_uk.is_nhs, stdnum.gb.nhs.is_valid, 10),
    (national_eu.is_de_tax_id, stdnum.de.idnr.is_valid, 11),
    (national_eu.is_nl_bsn, stdnum.nl.bsn.is_valid, 9),
    (national_eu.is_pt_nif, stdnum.pt.nif.is_valid, 9),
    (national_in_br.is_cpf, stdnum.br.cpf.is_valid, 11),
    (national_in_br.is_cnpj, stdnum.br.cnpj.is_valid, 14),
    (banking.is_routing_number, stdnum.us.rtn.is_valid, 9),
]


@pytest.mark.parametrize(("ours", "theirs", "length"), ORACLES, ids=[one[0].__name__ for one in ORACLES])
def test_check_digits_are_those_of_others(ours, theirs, length):
    rng = random.Random(5)
    for _ in range(4000):
        digits = "".join(rng.choices(string.digits, k=length - 2)) + "00"
        # All hundred endings, so that right ones are among them.
        digits = digits[:-2] + f"{rng.randrange(100):02}"
        if ours in (national_eu.is_pt_nif, banking.is_routing_number):
            digits = "10" + digits[2:]  # they do not look at which are given out
        assert ours(digits) == theirs(digits), digits


def test_a_number_with_one_digit_changed_is_refused():
    rng = random.Random(6)
    for is_valid, digits in [
        (checks.luhn, "4111111111111111"),
        (checks.verhoeff, "234123412346"),
        (national_eu.is_de_tax_id, "86095742719"),
        (national_in_br.is_cpf, "11144477735"),
        (health.is_npi, "1234567893"),
    ]:
        assert is_valid(digits)
        for place in range(len(digits)):
            other = rng.choice([digit for digit in string.digits if digit != digits[place]])
            assert not is_valid(digits[:place] + other + digits[place + 1 :])


def test_iban_lengths_and_checks_are_those_of_others():
    for iban in (
        "DE89370400440532013000",
        "GB82WEST12345698765432",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
    ):
        assert stdnum.iban.is_valid(iban)
        assert checks.mod_97(iban)
        assert banking.IBAN_LENGTHS[iban[:2]] == len(iban)


def test_keccak_is_ethereums():
    # https://github.com/ethereum/eth-hash and EIP-55's own examples
    assert keccak_256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    for address in (b"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", b"0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"):
        assert wallets.is_ethereum_address(address)
        assert not wallets.is_ethereum_address(address[:-1] + address[-1:].swapcase().replace(b"9", b"8"))


def test_segwit_addresses_are_those_of_bip_173_and_350():
    for address in (
        b"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        b"BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        b"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
    ):
        assert wallets.is_bech32_address(address)
        assert not wallets.is_bech32_address(address[:-1] + (b"q" if address[-1:] != b"q" else b"p"))
