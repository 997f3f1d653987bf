"""What a process is given that begins anew."""

import os
import pickle
import socket
import threading

import pytest

from headworks.config import Secret, parse
from headworks.errors import ConfigError
from headworks.secrets import Held, Version, unpack
from headworks.server.fresh import (
    bare_environment,
    environment_of_control,
    given,
    project_of,
    read_given,
    wait_for_given,
)
from headworks.server.messages import Word, frame

TEXT = """
admin:
  port: 0
  sign_in:
    {url: "https://a.example", issuer: i, client_id: c, client_secret: "env:CLIENT", jwks_file: k,
     authorization_url: "https://i.example/a", token_url: "https://i.example/t"}
access: {secret: "vault:secret/headworks#server"}
audit: {key: "env:AUDIT", previous_keys: ["vault:secret/headworks#before"]}
providers:
  up: {kind: openai, api_key: "vault:secret/openai#key"}
  other: {kind: openai, api_key: "env:OTHER"}
"""
ENVIRONMENT = {
    "CLIENT": "of-the-client",
    "AUDIT": "of-the-log",
    "OTHER": "sk-1",
    "BLANK": " ",
    "PATHS": "a b",
    "X": "1",
}
FILE = "/srv/headworks.yaml"


def project(folder, text=TEXT):
    return parse(text, file=FILE, base=folder)


def kept(*references):
    return {one: Held((Version(Secret(f"value of {one}"), "1", 1.0),), 1.0) for one in references}


def test_it_has_what_administration_needs_and_no_providers_key(tmp_path):
    known = kept("vault:secret/headworks#server", "vault:secret/openai#key", "vault:secret/headworks#before")

    content = given(project(tmp_path), TEXT, {"host": "127.0.0.1", "port": 4321}, ENVIRONMENT, known)
    said = read_given(content)

    assert said.variables == {"CLIENT": "of-the-client", "AUDIT": "of-the-log"}
    assert set(unpack(said.kept)) == {"vault:secret/headworks#server", "vault:secret/headworks#before"}
    assert b"sk-1" not in content
    assert b"value of vault:secret/openai#key" not in content
    assert "of-the-client" not in repr(said)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(said)


def test_other_variables_are_as_good_as_they_are_and_have_no_value(tmp_path):
    said = read_given(given(project(tmp_path), TEXT, {}, ENVIRONMENT, {}))

    assert said.shapes == {"OTHER": "set", "X": "set", "BLANK": "", "PATHS": "no secret"}


def test_it_goes_by_the_same_configuration(tmp_path):
    said = read_given(given(project(tmp_path), TEXT, {"port": 4321, "workers": 3}, {}, {}))

    found = project_of(said)

    assert (found.config.server.port, found.config.server.workers, found.folder) == (4321, 3, tmp_path)
    assert found.config.providers == project(tmp_path).config.providers


def test_what_is_no_configuration_is_said(tmp_path):
    said = read_given(given(project(tmp_path), "providers: {}", {}, {}, {}))

    with pytest.raises(ConfigError):
        project_of(said)


def test_what_comes_behind_it_is_left_for_who_listens_next(tmp_path):
    text = TEXT + "# " + "x" * 300_000
    ours, theirs = socket.socketpair()
    content = given(project(tmp_path), text, {}, {}, {})
    said = threading.Thread(target=lambda: ours.sendall(frame(Word.GIVEN, content) + frame(Word.KEPT, b"why")))
    said.start()
    try:
        first = wait_for_given(theirs)
        assert first == content
        assert theirs.recv(100) == frame(Word.KEPT, b"why")
    finally:
        said.join()
        ours.close()
        theirs.close()


@pytest.mark.parametrize("heard", [b"", b"\x06\x00", frame(Word.GIVEN, b"abc")[:-1]])
def test_without_its_supervisor_it_does_not_begin(heard):
    ours, theirs = socket.socketpair()
    ours.sendall(heard)
    ours.close()

    assert wait_for_given(theirs) is None

    theirs.close()


KEYS = """
secrets:
  vault: {auth: approle, role_id: "env:ROLE", secret_id: "env:ROLE_SECRET"}
  azure: {client_secret: "env:AZURE"}
providers:
  up:
    kind: openai
    api_key: "env:FIRST"
    older_api_keys: ["env:SECOND"]
    headers: {x-gate: "env:THIRD"}
    pools: {other: {api_key: "env:FOURTH", base_url: "https://b.example/v1"}}
  signed: {kind: bedrock, region: us-east-1, access_key_id: "env:FIFTH", secret_access_key: "env:SIXTH"}
"""
OF_LIBRARIES = {
    "HOME": "/h",
    "PGPASSFILE": "p",
    "KRB5CCNAME": "k",
    "https_proxy": "http://p",
    "PYTHONHASHSEED": "0",
    "SSL_CERT_FILE": "c",
}
OF_OTHERS = {"TOKEN": "of-the-sink", "SOME_DSN": "its own"}
OF_PROVIDERS = {
    name: f"sk-{name}"
    for name in (
        *("FIRST", "SECOND", "THIRD", "FOURTH", "FIFTH", "SIXTH"),
        *("ROLE", "ROLE_SECRET", "AZURE", "VAULT_TOKEN", "BAO_TOKEN"),
    )
}


def test_the_process_that_serves_the_admin_api_sees_what_our_own_code_needs():
    assert bare_environment(OF_LIBRARIES | OF_OTHERS | OF_PROVIDERS) == OF_LIBRARIES


def test_the_control_plane_sees_all_but_what_leads_to_providers_keys(tmp_path):
    environment = OF_LIBRARIES | OF_OTHERS | OF_PROVIDERS

    assert environment_of_control(project(tmp_path, KEYS), environment) == OF_LIBRARIES | OF_OTHERS


def test_what_it_knows_is_what_it_was_given(tmp_path, monkeypatch):
    from headworks.cli.serve_admin import Surroundings
    from headworks.errors import SecretError

    monkeypatch.setenv("CLIENT", "of an earlier one")
    monkeypatch.setenv("AUDIT", "of an earlier one")
    (tmp_path / "k").write_text("{}")
    known = kept("vault:secret/headworks#server", "vault:secret/openai#key", "vault:secret/headworks#before")
    surroundings = Surroundings()

    found = surroundings.take(read_given(given(project(tmp_path), TEXT, {}, ENVIRONMENT, known)))

    assert os.environ["CLIENT"] == "of-the-client"
    assert surroundings.ask("vault:secret/headworks#server", {}) == "value of vault:secret/headworks#server"
    with pytest.raises(SecretError, match="vault:secret/openai#key is not known"):
        surroundings.ask("vault:secret/openai#key", {})
    unset = TEXT.replace("env:OTHER", "env:NOWHERE")
    assert not [one for one in surroundings.look_over(found).problems if "OTHER" in one.message]
    problems = surroundings.look_over(project(tmp_path, unset)).problems
    assert [one.message for one in problems] == ["providers.other.api_key: env:NOWHERE is not set in the environment"]
