import pytest

from headworks.access.hosts import Hosts
from headworks.errors import Refusal

HOSTS = Hosts(["gw.example", "Other.Example."])


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:4001", "127.0.0.1:4001", "10.0.0.5", "[::1]:4001", "[2001:db8::1]", "gw.example",
     "GW.example:1", "gw.example.", "other.example"],
)  # fmt: skip
def test_what_is_ours_is_taken(host):
    HOSTS.check({b"host": host.encode()})


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:4001", "localhost.evil.example", "gw.example.evil.example", "127.0.0.1.evil.example",
     "xgw.example", "127.1", "0x7f000001", "2130706433", "", ":4001", "[evil]", "localhost..",
     "127.0.0.1@evil.example"],
)  # fmt: skip
def test_a_name_of_somebody_elses_is_not(host):
    with pytest.raises(Refusal) as refused:
        HOSTS.check({b"host": host.encode()})

    assert (refused.value.status, refused.value.code) == (421, "host_not_allowed")
    assert "evil" not in refused.value.message


def test_who_names_nobody_is_no_browser():
    HOSTS.check({})
