from urllib.parse import parse_qs

import pytest
from secrets_stage import PlayedManager, managers_of

from headworks.config import Azure
from headworks.errors import SecretError

KEY = "sk-proj-at-azure"
GOOD = f'{{"value":"{KEY}","id":"https://my-vault.vault.azure.net/secrets/openai/abc123"}}'
SECRET = r"https://my-vault\.vault\.azure\.net/secrets/openai\?api-version=7\.4"
TOKEN = '{"access_token":"eyJ.token","expires_in":3600}'
LOG_IN = r"https://login\.microsoftonline\.com/tenant-1/oauth2/v2\.0/token"


def test_an_application_logs_in_with_its_secret_once(tmp_path):
    played = PlayedManager().on("GET", SECRET, GOOD).on("POST", LOG_IN, TOKEN)
    azure = Azure(tenant="tenant-1", client="client-1", client_secret="env:APP_SECRET")
    managers = managers_of(played, tmp_path, {"APP_SECRET": "app-secret"}, azure=azure)

    found = managers.fetch("azure-kv:my-vault/openai")
    managers.fetch("azure-kv:my-vault/openai")

    assert (found.secret.reveal(), found.version) == (KEY, "abc123")
    form = parse_qs(played.asked[0].body.decode())
    assert form["client_secret"] == ["app-secret"]
    assert form["scope"] == ["https://vault.azure.net/.default"]
    assert played.headers()["authorization"] == "Bearer eyJ.token"
    assert len(played.asked) == 3


def test_a_pod_logs_in_with_its_federated_token(tmp_path):
    (tmp_path / "token").write_text("eyJ.pod")
    played = PlayedManager().on("GET", SECRET, GOOD).on("POST", LOG_IN, TOKEN)
    environment = {
        "AZURE_TENANT_ID": "tenant-1", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token"),
    }  # fmt: skip

    managers_of(played, tmp_path, environment).fetch("azure-kv:my-vault/openai")

    assert parse_qs(played.asked[0].body.decode())["client_assertion"] == ["eyJ.pod"]


@pytest.mark.parametrize(
    ("environment", "url", "header"),
    [
        ({}, r"http://169\.254\.169\.254/metadata/identity/oauth2/token\?.*resource=.*", ("metadata", "true")),
        (
            {"IDENTITY_ENDPOINT": "http://127.0.0.1:41/msi", "IDENTITY_HEADER": "h"},
            r"http://127\.0\.0\.1:41/msi\?.*resource=.*",
            ("x-identity-header", "h"),
        ),
    ],
)
def test_the_managed_identity_of_the_machine_reads_it(tmp_path, environment, url, header):
    played = PlayedManager().on("GET", SECRET, GOOD).on("GET", url, '{"access_token":"eyJ","expires_in":"3600"}')

    assert managers_of(played, tmp_path, environment).fetch("azure-kv:my-vault/openai").secret.reveal() == KEY
    assert header in played.asked[0].headers


def test_an_application_without_its_tenant_is_told_so(tmp_path):
    with pytest.raises(SecretError, match="needs `tenant` and `client`"):
        managers_of(PlayedManager(), tmp_path, {"AZURE_CLIENT_SECRET": "s"}).fetch("azure-kv:my-vault/openai")
