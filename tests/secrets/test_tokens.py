"""Access tokens by reference: made out by Azure or Google for whoever we are, and renewed before they end."""

import json
from urllib.parse import parse_qs

import pytest
from secrets_stage import PlayedManager

from headworks.config import Azure, Google, Secret, Secrets, is_reference, is_token
from headworks.errors import SecretError
from headworks.secrets import TOKENS_S, Fetched, Keeper, Managers, Watch

AUDIENCE = "azure-token:cognitiveservices.azure.com"
GOOGLE = "gcp-token:cloud-platform"
LOG_IN = r"https://login\.microsoftonline\.com/t-1/oauth2/v2\.0/token"
MACHINE = r"http://metadata\.google\.internal/computeMetadata/v1/instance/service-accounts/default/token"
STS = "https://sts.googleapis.com/v1/token"
IAM = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/gw@p.iam:generateAccessToken"


class Clock:
    def __init__(self):
        self.now_s = 1_800_000_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def managers_of(played, folder, clock, environment=None, **sections):
    return Managers(
        Secrets(**sections),
        folder,
        environment or {},
        make_asker=lambda timeout_s, ca_file: played,
        now=clock,
        clock=clock,
        home=folder,
    )


def token(name, life_s=3600):
    return json.dumps({"access_token": name, "expires_in": life_s})


def test_an_application_gets_a_token_for_the_audience_and_keeps_it_until_it_is_nearly_over(tmp_path, clock):
    played = PlayedManager().on("POST", LOG_IN, token("eyJ.one"))
    azure = Azure(tenant="t-1", client="c-1", client_secret="env:APP_SECRET")
    managers = managers_of(played, tmp_path, clock, {"APP_SECRET": "s"}, azure=azure)

    assert managers.fetch(AUDIENCE).secret.reveal() == "eyJ.one"
    clock.now_s += 2879
    managers.fetch(AUDIENCE)
    assert len(played.asked) == 1
    assert parse_qs(played.asked[0].body.decode())["scope"] == ["https://cognitiveservices.azure.com/.default"]

    played.on("POST", LOG_IN, token("eyJ.two"))
    clock.now_s += 1
    assert managers.fetch(AUDIENCE).secret.reveal() == "eyJ.two"


def test_a_token_and_the_vaults_secrets_do_not_share_a_log_in(tmp_path, clock):
    vault = r"https://v-1\.vault\.azure\.net/secrets/k\?api-version=7\.4"
    played = PlayedManager().on("POST", LOG_IN, token("eyJ.x")).on("GET", vault, '{"value":"sk","id":"a/b"}')
    environment = {"AZURE_TENANT_ID": "t-1", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s"}
    managers = managers_of(played, tmp_path, clock, environment)
    for reference in (AUDIENCE, "azure-kv:v-1/k", AUDIENCE, "azure-kv:v-1/k"):
        managers.fetch(reference)

    scopes = [parse_qs(ask.body.decode())["scope"][0] for ask in played.asked if ask.method == "POST"]
    assert scopes == ["https://cognitiveservices.azure.com/.default", "https://vault.azure.net/.default"]


def test_a_short_lived_token_of_the_machine_is_renewed_two_minutes_before_its_end(tmp_path, clock):
    played = PlayedManager().on("GET", MACHINE, token("ya29.one", 301))
    managers = managers_of(played, tmp_path, clock)
    managers.fetch(GOOGLE)
    played.on("GET", MACHINE, token("ya29.two"))
    clock.now_s += 180
    assert managers.fetch(GOOGLE).secret.reveal() == "ya29.one"
    clock.now_s += 1
    assert managers.fetch(GOOGLE).secret.reveal() == "ya29.two"


@pytest.mark.parametrize("body", ["{}", '{"access_token": 5}', '{"access_token": "a\\r\\nb: c"}', "[]", "no"])
def test_what_is_no_token_is_none(tmp_path, clock, body):
    managers = managers_of(PlayedManager().on("GET", MACHINE, body), tmp_path, clock)
    with pytest.raises(SecretError, match="gcp-token"):
        managers.fetch(GOOGLE)


# -- workload identity federation --------------------------------------------------------------------------------------


def external(folder, source, **more):
    fields = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": STS,
        "credential_source": source,
    }
    (folder / "external.json").write_text(json.dumps(fields | more))
    return Google(credentials="external.json")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_token_of_another_issuer_is_exchanged_for_googles(tmp_path, clock, form):
    (tmp_path / "pod").write_text("eyJ.pod\n" if form == "text" else '{"id_token": "eyJ.pod"}')
    source = {"file": "pod", "format": {"type": form, "subject_token_field_name": "id_token"}}
    played = PlayedManager().on("POST", STS, token("ya29.exchanged"))
    managers = managers_of(played, tmp_path, clock, google=external(tmp_path, source))

    assert managers.fetch(GOOGLE).secret.reveal() == "ya29.exchanged"
    asked = parse_qs(played.asked[0].body.decode())
    assert asked["subject_token"] == ["eyJ.pod"]
    assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:token-exchange"]
    assert asked["scope"] == ["https://www.googleapis.com/auth/cloud-platform"]


def test_it_may_come_from_an_address_and_stand_for_a_service_account(tmp_path, clock):
    source = {"url": "http://169.254.169.254/token", "headers": {"Metadata": "True"}, "format": {"type": "text"}}
    played = (
        PlayedManager()
        .on("GET", r"http://169\.254\.169\.254/token", "eyJ.machine")
        .on("POST", STS, token("ya29.federated"))
        .on("POST", IAM, '{"accessToken": "ya29.account", "expireTime": "2027-01-15T09:00:00Z"}')
    )
    google = external(tmp_path, source, service_account_impersonation_url=IAM)
    clock.now_s = 1_800_003_000.0  # 2027-01-15T08:50:00Z
    managers = managers_of(played, tmp_path, clock, google=google)

    assert managers.fetch(GOOGLE).secret.reveal() == "ya29.account"
    assert played.asked[0].headers == (("Metadata", "True"),)
    assert played.headers()["authorization"] == "Bearer ya29.federated"
    clock.now_s += 479
    managers.fetch(GOOGLE)
    assert len(played.asked) == 3
    clock.now_s += 2
    managers.fetch(GOOGLE)
    assert len(played.asked) == 6


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"file": "nowhere"}, "cannot be read"),
        ({"executable": {"command": "/bin/x"}}, "not supported"),
        ({"environment_id": "aws1", "url": "http://169.254.169.254/x"}, "not supported"),
        ({"file": "empty"}, "no token to exchange"),
        ({"file": 5}, "external account"),
    ],
)
def test_a_file_that_does_not_lead_to_a_token_says_why(tmp_path, clock, source, words):
    (tmp_path / "empty").write_text("\n")
    managers = managers_of(PlayedManager(), tmp_path, clock, google=external(tmp_path, source))
    with pytest.raises(SecretError, match=words):
        managers.fetch(GOOGLE)


# -- how often they are looked at --------------------------------------------------------------------------------------


def test_only_tokens_are_looked_at_every_minute(tmp_path, clock):
    asked = []

    def fetch(reference):
        asked.append(reference)
        return Fetched(Secret(f"of {len(asked)}"))

    keeper = Keeper(["vault:secret/openai#key", AUDIENCE], fetch, 60.0, clock)
    keeper.begin()
    sent = []
    watch = Watch(keeper, tmp_path, 600.0, now=clock, clock=clock, send=sent.append, say=lambda line: None)
    asked.clear()

    for _ in range(3):
        clock.now_s += TOKENS_S
        watch.tick()
        watch.tick()

    assert asked == [AUDIENCE] * 3
    assert sent[-1][AUDIENCE].versions[0].secret.reveal() == "of 3"
    clock.now_s += 600
    watch.tick()
    assert asked[3:] == ["vault:secret/openai#key", AUDIENCE]


def test_a_token_that_cannot_be_had_is_asked_for_again_soon_and_the_last_one_goes_on(tmp_path, clock):
    asked = []

    def fetch(reference):
        asked.append(reference)
        if len(asked) > 1:
            raise SecretError("nobody answers")
        return Fetched(Secret("ya29"))

    keeper = Keeper([GOOGLE], fetch, 60.0, clock)
    keeper.begin()
    said = []
    watch = Watch(keeper, tmp_path, 3600.0, now=clock, clock=clock, send=lambda kept: None, say=said.append)
    clock.now_s += TOKENS_S
    watch.tick()
    clock.now_s += 2
    watch.tick()

    assert len(asked) == 3
    assert keeper.kept[GOOGLE].versions[0].secret.reveal() == "ya29"
    assert len(said) == 1


@pytest.mark.parametrize(
    "text", ["azure-token:ai.azure.com", "azure-token:cognitiveservices.azure.com", "gcp-token:cloud-platform"]
)
def test_a_token_is_a_reference(text):
    assert is_reference(text)
    assert is_token(text)


@pytest.mark.parametrize(
    "text",
    ["azure-token:", "azure-token:host", "azure-token:a.b/c", "azure-token:a.b#x", "azure-token:a.b?version=1",
     "gcp-token:", "gcp-token:other", "gcp-token:cloud-platform#x"],
)  # fmt: skip
def test_what_is_no_audience_and_no_scope_is_none(text):
    assert not is_reference(text)
