import keyring
import pytest
from keyring.backend import KeyringBackend
from secrets_stage import PlayedManager, managers_of

from headworks.errors import SecretError

REFERENCE = "keyring:headworks/openai"


class Kept(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        return {("headworks", "openai"): "sk-in-the-keyring"}.get((service, username))

    def set_password(self, service, username, password):
        raise NotImplementedError

    def delete_password(self, service, username):
        raise NotImplementedError


class PlaintextKeyring(Kept):
    priority = 1


@pytest.fixture
def use():
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def test_the_password_of_a_user_of_a_service_is_read(use, tmp_path):
    use(Kept())

    assert managers_of(PlayedManager(), tmp_path).fetch(REFERENCE).secret.reveal() == "sk-in-the-keyring"
    with pytest.raises(SecretError, match="keyring:headworks/other: the keyring has no such entry"):
        managers_of(PlayedManager(), tmp_path).fetch("keyring:headworks/other")


def test_a_keyring_that_protects_nothing_is_refused(use, tmp_path):
    use(PlaintextKeyring())

    with pytest.raises(SecretError, match="there is no keyring here that protects anything"):
        managers_of(PlayedManager(), tmp_path).fetch(REFERENCE)
