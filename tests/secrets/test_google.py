import base64
from urllib.parse import parse_qs

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from secrets_stage import PlayedManager, managers_of

from headworks.config import Google
from headworks.errors import SecretError

KEY = "sk-proj-at-google"
DATA = base64.b64encode(KEY.encode()).decode()
GOOD = f'{{"name":"projects/1/secrets/openai/versions/5","payload":{{"data":"{DATA}"}}}}'
LATEST = r"https://secretmanager\.googleapis\.com/v1/projects/my-project/secrets/openai/versions/latest:access"
MACHINE = r"http://metadata\.google\.internal/computeMetadata/v1/instance/service-accounts/default/token"
TOKEN = '{"access_token":"ya29.token","expires_in":3600}'


def test_the_account_of_the_machine_reads_the_latest_version(tmp_path):
    played = PlayedManager().on("GET", LATEST, GOOD).on("GET", MACHINE, TOKEN)
    managers = managers_of(played, tmp_path)

    found = managers.fetch("gcp-sm:my-project/openai")
    managers.fetch("gcp-sm:my-project/openai")

    assert (found.secret.reveal(), found.version) == (KEY, "5")
    assert played.headers(0) == {"metadata-flavor": "Google"}
    assert played.headers()["authorization"] == "Bearer ya29.token"
    assert len(played.asked) == 3


def test_a_service_account_proves_itself_with_its_key_file(tmp_path):
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {"client_email": "gw@p.iam", "private_key": pem, "token_uri": "https://oauth2.googleapis.com/token"}
    (tmp_path / "account.json").write_bytes(msgspec.json.encode(account))
    played = PlayedManager().on("GET", LATEST, GOOD).on("POST", "https://oauth2.googleapis.com/token", TOKEN)

    managers_of(played, tmp_path, google=Google(credentials="account.json")).fetch("gcp-sm:my-project/openai")

    form = parse_qs(played.asked[0].body.decode())
    head, claims, proof = (part.encode() for part in form["assertion"][0].split("."))
    private.public_key().verify(base64.urlsafe_b64decode(proof + b"=="), head + b"." + claims, PKCS1v15(), SHA256())
    said = msgspec.json.decode(base64.urlsafe_b64decode(claims + b"=="))
    assert (said["iss"], said["aud"], said["exp"] - said["iat"]) == ("gw@p.iam", account["token_uri"], 3600)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, "{}", "answers with 404"),
        (403, '{"error":{"message":"sk-echo"}}', "who asks may not read it"),
        (200, '{"payload":{"data":"!!"}}', "it is not a text"),
        (200, "[]", "no JSON object"),
    ],
)
def test_what_is_wrong_is_said_without_the_text_of_the_answer(tmp_path, status, body, words):
    played = PlayedManager().on("GET", LATEST, body, status).on("GET", MACHINE, TOKEN)

    with pytest.raises(SecretError, match=words) as raised:
        managers_of(played, tmp_path).fetch("gcp-sm:my-project/openai")

    assert "sk-echo" not in str(raised.value)


def test_a_file_that_is_no_key_file_is_named(tmp_path):
    (tmp_path / "account.json").write_text('{"client_email": "a", "private_key": "sk-not-pem"}')

    with pytest.raises(SecretError, match="cannot be read as the key file of a service account") as raised:
        managers_of(PlayedManager(), tmp_path, google=Google(credentials="account.json")).fetch("gcp-sm:p/openai")

    assert "sk-not-pem" not in str(raised.value)
