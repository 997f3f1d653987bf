"""Who we are at AWS, by reference: for what is signed elsewhere, renewed before it ends."""

import json
from datetime import UTC, datetime

import pytest
from secrets_stage import PlayedManager, managers_of

from headworks.config import Aws, load
from headworks.errors import SecretError
from headworks.secrets import Managers
from headworks.secrets.references import references_of
from headworks.sigv4 import unpacked

BOX = "http://169.254.170.2/v2/x"
IN_A_BOX = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "t"}


def given(name, until_s):
    until = datetime.fromtimestamp(until_s, UTC).isoformat()
    return json.dumps({"AccessKeyId": name, "SecretAccessKey": "s", "Token": "session", "Expiration": until})


def test_they_are_renewed_before_they_end(tmp_path):
    now_s = 1_800_000_000.0
    played = PlayedManager().on("GET", BOX, given("ASIAONE", now_s + 3600))
    managers = Managers(
        managers_of(played, tmp_path)._section,
        tmp_path,
        IN_A_BOX,
        make_asker=lambda timeout_s, ca_file: played,
        now=lambda: now_s,
        home=tmp_path,
    )
    first = unpacked(managers.fetch("aws-credentials:default").secret.reveal())
    assert (first.key_id, first.key, first.token) == ("ASIAONE", "s", "session")

    played.on("GET", BOX, given("ASIATWO", now_s + 7200))
    now_s += 3200
    assert unpacked(managers.fetch("aws-credentials:default").secret.reveal()).key_id == "ASIAONE"
    now_s += 200
    assert unpacked(managers.fetch("aws-credentials:default").secret.reveal()).key_id == "ASIATWO"


def test_the_environment_has_them_without_a_region(tmp_path):
    environment = {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "s"}
    found = managers_of(PlayedManager(), tmp_path, environment).fetch("aws-credentials:default")
    assert unpacked(found.secret.reveal()).key_id == "AKIAENV"


def test_a_profile_is_named_by_the_reference(tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        "[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = s\n"
        "[prod]\naws_access_key_id = AKIAPROD\naws_secret_access_key = s\n"
    )
    managers = managers_of(PlayedManager(), tmp_path, aws=Aws(profile="work"))
    named = [unpacked(managers.fetch(f"aws-credentials:{one}").secret.reveal()).key_id for one in ("default", "prod")]
    assert named == ["AKIAWORK", "AKIAPROD"]
    with pytest.raises(SecretError, match="aws-credentials:none: the AWS profile none has no access key"):
        managers.fetch("aws-credentials:none")


def test_nobody_is_nobody(tmp_path):
    environment = {"AWS_EC2_METADATA_DISABLED": "true"}
    with pytest.raises(SecretError, match="aws-credentials:default: there are no AWS credentials"):
        managers_of(PlayedManager(), tmp_path, environment).fetch("aws-credentials:default")


def test_what_signs_is_looked_at_again_as_other_keys_are(tmp_path):
    (tmp_path / "headworks.yaml").write_text(
        "providers:\n"
        "  own: {kind: bedrock, region: eu-west-1, access_key_id: 'file:id', secret_access_key: 'file:key',\n"
        "        session_token: env:TOKEN}\n"
        "  role: {kind: bedrock, region: eu-west-1}\n"
    )
    assert references_of(load(tmp_path)) == ("file:id", "file:key", "aws-credentials:default")
