"""What a start needs (server secret, store's password, shared books, audit key), in a secret manager."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from headworks.audit.keys import MasterKeys
from headworks.audit.sealing import open_ledger
from headworks.audit_intake import masters_of
from headworks.auditing import audit_terms
from headworks.cli import main
from headworks.config import load, read_secret
from headworks.errors import SecretError, StorageError
from headworks.secrets import look_at_keys, references_of, with_known
from headworks.settings import read_settings

SERVER_SECRET = "5e" * 32
AUDIT_KEY = "a0" * 32
OLD_KEY = "b1" * 32
CONFIG = """
secrets: {{vault: {{address: "{address}", token: env:VAULT_TOKEN}}, timeout_s: 5}}
access: {{secret: "vault:secret/headworks#server"}}
audit: {{key: "vault:secret/headworks#audit", previous_keys: ["vault:secret/headworks#old"]}}
quotas: {{valkey: "vault:secret/headworks#valkey"}}
records: {{store: "postgresql://headworks@db.internal/headworks", store_password: "vault:secret/headworks#store"}}
providers: {{sim: {{kind: simulator}}}}
"""


class Vault:
    """The one answer of a key-value engine. State: what it has, and how often it was asked."""

    def __init__(self):
        self.asked = 0
        self.fields = {
            "server": SERVER_SECRET,
            "audit": AUDIT_KEY,
            "old": OLD_KEY,
            "valkey": "valkey://:pa55word@127.0.0.1:6379",
            "store": "p&ss word".replace(" ", "+"),
        }
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                is_good = self.headers["x-vault-token"] == "t0ken" and self.path == "/v1/secret/data/headworks"
                body = json.dumps({"data": {"data": outer.fields, "metadata": {"version": 3}}}).encode()
                self.send_response(200 if is_good else 403)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Nothing is said."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def vault():
    vault = Vault()
    yield vault
    vault.close()


@pytest.fixture
def project_file(tmp_path, vault, monkeypatch):
    monkeypatch.setenv("VAULT_TOKEN", "t0ken")
    file = tmp_path / "headworks.yaml"
    file.write_text(CONFIG.format(address=vault.address))
    return file


def test_a_start_has_all_of_them_from_one_look(project_file, vault):
    project = load(project_file)
    kept = look_at_keys(project)
    asked = vault.asked

    settings = read_settings(project, os.environ, kept, asks=False)
    terms = audit_terms(project, with_known(os.environ, kept))

    assert vault.asked == asked  # a worker asks nobody
    assert settings.secret == SERVER_SECRET.encode()
    assert settings.store_url == "postgresql://headworks@db.internal/headworks?password=p%26ss%2Bword"
    assert settings.valkey == "valkey://:pa55word@127.0.0.1:6379"
    assert terms.secret.reveal() == AUDIT_KEY
    assert [one.reveal() for one in terms.earlier] == [OLD_KEY]


def test_files_that_only_a_start_needs_are_not_looked_at_again(tmp_path):
    (tmp_path / "headworks.yaml").write_text("providers: {sim: {kind: simulator}}\naudit: {key: 'file:audit.key'}\n")
    assert references_of(load(tmp_path)) == ()


def test_a_command_asks_the_manager_by_itself(project_file, vault, capsys):
    assert main(["keys", "create", "app", "--config", str(project_file)]) == 0
    assert main(["keys", "list", "--config", str(project_file)]) == 0
    assert "app" in capsys.readouterr().out
    assert vault.asked > 0
    for path in project_file.parent.rglob("*"):
        assert not path.is_file() or SERVER_SECRET.encode() not in path.read_bytes()


def test_a_command_that_looks_after_keys_asks_it_though_other_sections_are_wrong(project_file, vault, capsys):
    project_file.write_text(project_file.read_text() + "models: {fast: nonsense}\n")
    assert main(["keys", "create", "app", "--config", str(project_file)]) == 0
    assert "warning" in capsys.readouterr().err


def test_the_audit_log_is_sealed_with_the_managers_key(project_file, vault):
    config = project_file.read_text().replace("records: {", "# records: {")
    project_file.write_text(config)
    assert main(["audit", "search", "--config", str(project_file)]) == 0
    project = load(project_file)
    terms = audit_terms(project, with_known(os.environ, look_at_keys(project)))
    open_ledger(terms.folder, masters_of(terms)).close()
    with pytest.raises(StorageError, match="not at hand"):
        open_ledger(terms.folder, MasterKeys(b"another secret, of somebody else's"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("#server", "#nothing"), "vault:secret/headworks#nothing"),
        (("secret/headworks#server", "secret/elsewhere#server"), "vault:secret/elsewhere#server"),
        (("#store", "#nothing"), "records.store_password: vault:secret/headworks#nothing"),
        (("#valkey", "#nothing"), "quotas.valkey: vault:secret/headworks#nothing"),
    ],
)
def test_a_start_without_one_says_which_and_where(project_file, capsys, change, complaint):
    project_file.write_text(project_file.read_text().replace(*change))

    assert main(["serve", "--config", str(project_file), "--port", "0"]) == 1

    error = capsys.readouterr().err
    assert complaint in error
    for secret in (SERVER_SECRET, AUDIT_KEY, "pa55word", "p&ss", "t0ken"):
        assert secret not in error


def test_a_start_without_its_manager_says_so(project_file, vault, capsys):
    gone = project_file.read_text().replace(vault.address, "http://127.0.0.1:1")
    project_file.write_text(gone)
    assert main(["serve", "--config", str(project_file), "--port", "0"]) == 1
    assert "vault:secret/headworks#server" in capsys.readouterr().err


def test_where_nobody_asks_managers_that_is_said(tmp_path):
    with pytest.raises(SecretError, match="none is asked here"):
        read_secret("vault:secret/a#b", base=tmp_path, environment={})
    assert read_secret("vault:secret/a#b", base=tmp_path, environment={"vault:secret/a#b": "known"}).reveal() == "known"
