import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime

import msgspec
import pytest
from secrets_stage import PlayedManager, managers_of

from headworks.config import Aws, Secrets
from headworks.errors import SecretError
from headworks.secrets import Ask, Managers
from headworks.secrets.signing import Credentials, signed
from valkey_process import free_port

botocore = pytest.importorskip("botocore", reason="requirements/dev.txt has it")

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "aws-secret-0815", "AWS_REGION": "eu-west-1"}
KEY = "sk-proj-at-aws-4711"
NOW_S = datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def moto():
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    due_s = time.monotonic() + 60
    address = f"http://127.0.0.1:{port}"
    while True:
        try:
            urllib.request.urlopen(f"{address}/moto-api/", timeout=5).close()
            break
        except OSError:
            assert process.poll() is None, "moto does not start"
            assert time.monotonic() < due_s, "moto does not answer"
            time.sleep(0.05)
    yield address
    process.kill()
    process.wait(10)


def call(address, service, target, **body):
    """What our own signer sends is what a client of AWS would."""
    headers = (("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target))
    ask = signed(
        Ask("POST", f"{address}/", headers, msgspec.json.encode(body)),
        Credentials("AKIATEST", "x"), "eu-west-1", service, time.time(),
    )  # fmt: skip
    request = urllib.request.Request(ask.url, ask.body, dict(ask.headers), method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return msgspec.json.decode(answer.read())


def test_secrets_and_parameters_are_read_in_the_version_that_is_asked_for(moto, tmp_path):
    secrets = "secretsmanager"
    call(
        moto, secrets, "secretsmanager.CreateSecret", Name="prod/openai", SecretString=KEY, ClientRequestToken="a" * 32
    )
    call(moto, secrets, "secretsmanager.PutSecretValue", SecretId="prod/openai", SecretString='{"key": "sk-new"}')
    call(moto, "ssm", "AmazonSSM.PutParameter", Name="/prod/openai", Value=KEY, Type="SecureString")
    call(
        moto, "ssm", "AmazonSSM.PutParameter", Name="/prod/openai", Value="sk-new", Type="SecureString", Overwrite=True
    )
    managers = Managers(Secrets(aws=Aws(endpoint=moto)), tmp_path, ENVIRONMENT, home=tmp_path)

    assert managers.fetch("aws-sm:prod/openai#key").secret.reveal() == "sk-new"
    assert managers.fetch("aws-sm:prod/openai?version=AWSPREVIOUS").secret.reveal() == KEY
    newest, older = managers.fetch("aws-ssm:/prod/openai"), managers.fetch("aws-ssm:/prod/openai?version=1")
    assert (newest.secret.reveal(), newest.version) == ("sk-new", "2")
    assert (older.secret.reveal(), older.version) == (KEY, "1")
    with pytest.raises(SecretError, match="AWS refuses it: ResourceNotFoundException"):
        managers.fetch("aws-sm:nothing")
    with pytest.raises(SecretError, match="AWS refuses it: ParameterNotFound"):
        managers.fetch("aws-ssm:/nothing")


@pytest.mark.parametrize("token", ["", "session/token+=="])
@pytest.mark.parametrize("body", [b"", b'{"SecretId":"a"}', '{"Name":"ü"}'.encode()])
def test_requests_are_signed_as_the_sdk_of_aws_signs_them(token, body, monkeypatch):
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as Theirs

    moment = datetime.fromtimestamp(NOW_S, UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_: moment.replace(tzinfo=None))
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "secretsmanager.GetSecretValue"}
    url = "https://secretsmanager.eu-west-1.amazonaws.com/"
    theirs = AWSRequest("POST", url, headers, body)
    SigV4Auth(Theirs("AKIATEST", "aws-secret-0815", token or None), "secretsmanager", "eu-west-1").add_auth(theirs)

    ours = signed(
        Ask("POST", url, tuple(headers.items()), body),
        Credentials("AKIATEST", "aws-secret-0815", token), "eu-west-1", "secretsmanager", NOW_S,
    )  # fmt: skip

    assert dict(ours.headers)["authorization"] == theirs.headers["Authorization"]


GOOD = '{"SecretString":"sk-1","VersionId":"v"}'
ANSWERS = r"https://secretsmanager\.eu-west-1\.amazonaws\.com/"


def key_id_of(played):
    return played.headers()["authorization"].partition("Credential=")[2].partition("/")[0]


def test_credentials_are_of_a_profile_where_the_environment_has_none(tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text("[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = s\n")
    (tmp_path / ".aws/config").write_text("[profile work]\nregion = eu-west-1\n")
    played = PlayedManager().on("POST", ANSWERS, GOOD)

    managers_of(played, tmp_path, aws=Aws(profile="work")).fetch("aws-sm:a")

    assert key_id_of(played) == "AKIAWORK"


def test_credentials_are_of_a_web_identity(tmp_path):
    (tmp_path / "token").write_text("eyJ.web.identity")
    sts = (
        "<R><Credentials><AccessKeyId>ASIAWEB</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t"
        "</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></R>"
    )
    played = PlayedManager().on("POST", ANSWERS, GOOD).on("POST", r"https://sts\.eu-west-1\.amazonaws\.com/", sts)
    environment = {
        "AWS_REGION": "eu-west-1", "AWS_ROLE_ARN": "arn:aws:iam::1:role/gw",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
    }  # fmt: skip
    managers = managers_of(played, tmp_path, environment)

    managers.fetch("aws-sm:a")
    managers.fetch("aws-sm:b")

    assert b"WebIdentityToken=eyJ.web.identity" in played.asked[0].body
    assert key_id_of(played) == "ASIAWEB"
    assert len(played.asked) == 3  # who we are was asked once


def test_credentials_are_of_the_container(tmp_path):
    given = '{"AccessKeyId":"ASIABOX","SecretAccessKey":"s","Token":"t","Expiration":"2030-01-01T00:00:00Z"}'
    played = PlayedManager().on("POST", ANSWERS, GOOD).on("GET", "http://169.254.170.2/v2/x", given)
    environment = {
        "AWS_REGION": "eu-west-1", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pod-token",
    }  # fmt: skip

    managers_of(played, tmp_path, environment).fetch("aws-sm:a")

    assert played.headers(0)["authorization"] == "pod-token"
    assert key_id_of(played) == "ASIABOX"


def test_credentials_are_of_the_machine_after_a_session_was_opened(tmp_path):
    root = "http://169.254.169.254/latest"
    given = '{"AccessKeyId":"ASIAVM","SecretAccessKey":"s","Token":"t","Expiration":"2030-01-01T00:00:00Z"}'
    played = (
        PlayedManager()
        .on("POST", ANSWERS, GOOD)
        .on("PUT", f"{root}/api/token", "session")
        .on("GET", f"{root}/meta-data/iam/security-credentials/", "gw-role\n")
        .on("GET", f"{root}/meta-data/iam/security-credentials/gw-role", given)
    )

    managers_of(played, tmp_path, {"AWS_REGION": "eu-west-1"}).fetch("aws-sm:a")

    assert played.headers(1)["x-aws-ec2-metadata-token"] == "session"
    assert key_id_of(played) == "ASIAVM"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "its region is not known"),
        ({"AWS_REGION": "eu-west-1"}, "there are no AWS credentials"),
        ({"AWS_REGION": "eu-west-1", "AWS_PROFILE": "sso"}, "the AWS profile sso has no access key of its own"),
        (
            {"AWS_REGION": "eu-west-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://evil.example.org/"},
            "leads to another machine in clear text",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path, environment, words):
    with pytest.raises(SecretError, match=words):
        managers_of(PlayedManager(), tmp_path, environment).fetch("aws-sm:a")
