import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.access.networks import MOST_HOPS, Networks, client_address, parse_address, parse_network

PROXIES = Networks(["10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7:51000 ", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", None),
        ("unknown", None),
        ("192.0.2.07", None),
        ("1" * 5000, None),
        ("192.0.2.7, 10.0.0.1", None),
    ],
)
def test_an_address_is_read_in_every_form_that_proxies_write(text, address):
    assert parse_address(text) == (None if address is None else ipaddress.ip_address(address))


def test_a_network_with_bits_behind_its_prefix_is_refused_with_the_one_that_was_meant():
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/8$"):
        parse_network("10.1.2.3/8")
    with pytest.raises(ValueError, match="expected a network"):
        parse_network("ten")


def test_an_address_of_one_family_is_in_no_network_of_the_other_but_mapped_ones_are_the_same():
    assert not Networks(["0.0.0.0/0"]).has(parse_address("2001:db8::1"))
    assert not Networks(["::/0"]).has(parse_address("192.0.2.7"))
    assert Networks(["::ffff:192.0.2.0/120"]).has(parse_address("192.0.2.7"))
    assert Networks(["192.0.2.0/24"]).has(parse_address("::ffff:192.0.2.7"))
    assert not Networks(["0.0.0.0/0", "::/0"]).has(None)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.7", b"198.51.100.1", "192.0.2.7"),  # no proxy of ours: what it says is its own invention
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", b"192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", b"198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", b"198.51.100.1, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("::ffff:10.0.0.1", b"2001:db8::1, fd00::5", "2001:db8::1"),
        ("10.0.0.1", b"10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", b"192.0.2.7, unknown", None),
        ("10.0.0.1", b"192.0.2.7,", None),
        ("", b"192.0.2.7", None),
    ],
)
def test_who_calls_is_read_from_the_right_past_trusted_proxies_only(peer, forwarded, address):
    found = client_address(peer, forwarded, PROXIES)

    assert found == (None if address is None else ipaddress.ip_address(address))


def test_a_way_through_very_many_proxies_leads_nowhere():
    assert client_address("10.0.0.1", b"192.0.2.7" + b", 10.0.0.2" * (MOST_HOPS + 1), PROXIES) is None


@given(
    forged=st.text(st.characters(max_codepoint=255), max_size=60),
    real=st.ip_addresses().filter(lambda address: not PROXIES.has(parse_address(str(address)))),
    proxies=st.lists(st.sampled_from(["10.0.0.1", "10.9.9.9", "fd00::1"]), max_size=4),
)
def test_nothing_that_a_caller_writes_changes_who_it_is(forged, real, proxies):
    header = ", ".join([forged, str(real), *proxies]).encode("latin-1")

    assert client_address("10.0.0.1", header, PROXIES) == parse_address(str(real))
