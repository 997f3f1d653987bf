"""AWS's signature, checked against the signer of AWS's own SDK."""

import datetime as dt
import pickle
from unittest import mock
from urllib.parse import quote

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.sigv4 import Credentials, Signer, packed, unpacked

HOST = "bedrock-runtime.eu-west-1.amazonaws.com"
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)


def of_the_sdk(credentials, path, query, body, moment):
    """The `authorization` header as botocore makes it."""
    headers = {"content-type": "application/json", "host": HOST}
    url = f"https://{HOST}{path}" + (f"?{query}" if query else "")
    request = botocore.awsrequest.AWSRequest("POST", url, data=body, headers=headers)
    own = botocore.credentials.Credentials(credentials.key_id, credentials.key, credentials.token or None)
    signer = botocore.auth.SigV4Auth(own, "bedrock", "eu-west-1")
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment.replace(tzinfo=None)):
        signer.add_auth(request)
    return request.headers["Authorization"]


@settings(max_examples=60, deadline=None)
@given(
    VISIBLE,
    VISIBLE,
    st.just("") | VISIBLE,
    st.text(min_size=1, max_size=60),
    st.binary(max_size=200),
    st.integers(1_767_225_600, 2_114_380_800),
)
def test_it_signs_as_the_sdk_does(key_id, key, token, model, body, at):
    moment = dt.datetime.fromtimestamp(at, dt.UTC)
    credentials = Credentials(key_id, key, token)
    path = f"/model/{quote(model, safe='')}/converse"
    signer = Signer(credentials, region="eu-west-1", service="bedrock", host=HOST)
    lines = signer.lines("POST", path, "", body, now_s=moment.timestamp()).decode("latin-1").split("\r\n")
    found = dict(line.split(": ", 1) for line in lines if line)
    assert found["authorization"] == of_the_sdk(credentials, path, "", body, moment)
    assert found.get("x-amz-security-token", "") == token


def test_another_day_has_another_key():
    credentials = Credentials("AKIDEXAMPLE", "secret")
    signer = Signer(credentials, region="eu-west-1", service="bedrock", host=HOST)
    for at in (dt.datetime(2026, 11, 25, 23, 59, 59, tzinfo=dt.UTC), dt.datetime(2026, 11, 26, tzinfo=dt.UTC)):
        made = signer.lines("POST", "/model/m/converse", "", b"{}", now_s=at.timestamp()).decode()
        assert of_the_sdk(credentials, "/model/m/converse", "", b"{}", at) in made


def test_credentials_are_one_line_and_come_back():
    credentials = Credentials("AKIDEXAMPLE", "se/cr+et", "to=ken")
    line = packed(credentials)
    assert " " not in line
    assert unpacked(line) == credentials


@pytest.mark.parametrize(
    "key", ["sk-plain", "", "{", '{"key_id":"a"}', '{"key_id":"a","key":"b","more":"c"}', "{\ud800"]
)
def test_what_are_no_credentials_is_a_key_like_any_other(key):
    assert unpacked(key) is None


@pytest.mark.parametrize("text", ["a\r\nx-more: 1", "a\n", "a b", "\u00e9", "a\x00"])
def test_what_could_end_a_header_is_not_signed_with(text):
    assert unpacked(packed(Credentials(text, "secret"))) is None
    assert unpacked(packed(Credentials("AKIDEXAMPLE", "secret", text))) is None
    assert unpacked(packed(Credentials("AKIDEXAMPLE", text))) is not None


def test_credentials_do_not_show_their_key():
    credentials = Credentials("AKIDEXAMPLE", "hidden", "token")
    assert "hidden" not in repr(credentials)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(credentials)
