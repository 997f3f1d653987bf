import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme
from secrets_stage import PlayedManager, managers_of

from headworks.config import Secrets, Vault
from headworks.errors import SecretError
from headworks.secrets import Managers
from openbao_process import ROOT_TOKEN, OpenBaoProcess
from tests.access.token_maker import SigningKey, claims, token

KEY = "sk-proj-in-the-vault-4711"


@pytest.fixture(scope="module")
def bao():
    server = OpenBaoProcess()
    yield server
    server.stop()


def real(bao, folder, environment=None, **fields):
    return Managers(Secrets(vault=Vault(address=bao.address, **fields)), folder, environment or {})


def test_a_field_of_a_secret_is_read_from_kv_2_with_its_version(bao, tmp_path):
    bao.put("teams/ai/openai", api_key="sk-first", other="x")
    bao.put("teams/ai/openai", api_key=KEY)
    managers = real(bao, tmp_path, {"VAULT_TOKEN": ROOT_TOKEN})

    newest = managers.fetch("vault:secret/teams/ai/openai#api_key")
    older = managers.fetch("vault:secret/teams/ai/openai?version=1#api_key")

    assert (newest.secret.reveal(), newest.version) == (KEY, "2")
    assert (older.secret.reveal(), older.version) == ("sk-first", "1")


def test_kv_1_is_read_as_well(bao, tmp_path):
    bao.call("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    bao.call("POST", "old/openai", {"api_key": KEY})

    assert real(bao, tmp_path, {"BAO_TOKEN": ROOT_TOKEN}, kv=1).fetch("vault:old/openai#api_key").secret.reveal() == KEY


def test_an_approle_logs_in_reads_what_its_policy_allows_and_logs_in_again_when_its_token_ends(bao, tmp_path):
    bao.put("openai", api_key=KEY)
    bao.put("payroll", api_key="not for us")
    ids = bao.role("reader", 'path "secret/data/openai" { capabilities = ["read"] }')
    for name, text in zip(("role_id", "secret_id"), ids, strict=True):
        (tmp_path / name).write_text(text)
    managers = real(bao, tmp_path, auth="approle", role_id="file:role_id", secret_id="file:secret_id")

    assert managers.fetch("vault:secret/openai#api_key").secret.reveal() == KEY
    with pytest.raises(SecretError, match="answers with 403: who asks may not read it"):
        managers.fetch("vault:secret/payroll#api_key")
    for accessor in bao.call("LIST", "auth/token/accessors")["data"]["keys"]:
        found = bao.call("POST", "auth/token/lookup-accessor", {"accessor": accessor})["data"]
        if "reader" in found["policies"]:
            bao.call("POST", "auth/token/revoke-accessor", {"accessor": accessor})
    assert managers.fetch("vault:secret/openai#api_key").secret.reveal() == KEY


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("vault:secret/nothing#api_key", "answers with 404: there is no such secret"),
        ("vault:secret/there#other", "the secret has no text in this field"),
        ("vault:secret/lines#api_key", "does not hold one line of visible ASCII"),
    ],
)
def test_what_is_wrong_is_said_by_reference_and_without_a_value(bao, tmp_path, reference, words):
    bao.put("there", api_key=KEY)
    bao.put("lines", api_key=f"{KEY}\nmore")

    with pytest.raises(SecretError, match=words) as raised:
        real(bao, tmp_path, {"VAULT_TOKEN": ROOT_TOKEN}).fetch(reference)

    assert str(raised.value).startswith(reference)
    assert KEY not in str(raised.value)


def test_a_wrong_token_is_refused_and_not_shown(bao, tmp_path):
    with pytest.raises(SecretError, match="answers with 403") as raised:
        real(bao, tmp_path, {"VAULT_TOKEN": "hvs.wrong-token"}).fetch("vault:secret/openai#api_key")

    assert "hvs.wrong-token" not in str(raised.value)


class Cluster(BaseHTTPRequestHandler):
    """As much of a cluster's API as a vault asks: whether a token is one of its pods'."""

    good = ""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        is_good = asked["spec"]["token"] == self.good
        user = {"username": "system:serviceaccount:ai:gateway", "uid": "uid-1", "groups": []}
        status = {"authenticated": is_good, **({"user": user, "audiences": ["headworks"]} if is_good else {})}
        self.send_response(201)
        self.send_header("content-type", "application/json")
        self.end_headers()
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}
        self.wfile.write(json.dumps(review).encode())

    def log_message(self, *_):
        """Nobody reads it."""


@pytest.fixture
def cluster():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_real_server_lets_a_pod_in_that_its_cluster_vouches_for(bao, cluster, tmp_path, monkeypatch):
    pod = {"namespace": "ai", "serviceaccount": {"name": "gateway", "uid": "uid-1"}}
    account = "system:serviceaccount:ai:gateway"
    said = claims(iss="https://kubernetes.default.svc", aud=["headworks"], sub=account, exp=4_000_000_000)
    monkeypatch.setattr(Cluster, "good", token(SigningKey("RS256", "k"), said | {"kubernetes.io": pod}).decode())
    bao.put("openai", api_key=KEY)
    bao.call("POST", "sys/policies/acl/pods", {"policy": 'path "secret/data/openai" { capabilities = ["read"] }'})
    bao.call("POST", "sys/auth/cluster-1", {"type": "kubernetes"})
    authorities = trustme.CA().cert_pem.bytes().decode()  # there must be some, though the cluster speaks clear text
    known = {"kubernetes_host": cluster, "kubernetes_ca_cert": authorities, "disable_local_ca_jwt": True}
    bao.call("POST", "auth/cluster-1/config", known | {"token_reviewer_jwt": Cluster.good})
    bound = {"bound_service_account_names": ["gateway"], "bound_service_account_namespaces": ["ai"]}
    bao.call("POST", "auth/cluster-1/role/gw", bound | {"token_policies": ["pods"], "audience": "headworks"})
    monkeypatch.setattr("headworks.secrets.vault.SERVICE_TOKEN", tmp_path / "token")
    (tmp_path / "token").write_text(f"{Cluster.good}\n")
    kubernetes = {"auth": "kubernetes", "role": "gw", "auth_mount": "cluster-1"}

    assert real(bao, tmp_path, **kubernetes).fetch("vault:secret/openai#api_key").secret.reveal() == KEY
    (tmp_path / "token").write_text(token(SigningKey("RS256", "k"), said | {"kubernetes.io": pod}).decode())
    with pytest.raises(SecretError, match="the log-in by kubernetes: Vault answers with 403"):
        real(bao, tmp_path, **kubernetes).fetch("vault:secret/openai#api_key")


def test_a_pod_logs_in_with_its_service_account_in_its_namespace(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("eyJ.pod.token")
    monkeypatch.setattr("headworks.secrets.vault.SERVICE_TOKEN", tmp_path / "token")
    played = (
        PlayedManager()
        .on("POST", ".*/v1/auth/cluster-1/login", '{"auth":{"client_token":"hvs.pod","lease_duration":60}}')
        .on("GET", ".*/v1/secret/data/openai", '{"data":{"data":{"k":"sk-1"},"metadata":{"version":7}}}')
    )
    section = Vault(address="https://v", namespace="ai", auth="kubernetes", role="gw", auth_mount="cluster-1")

    found = managers_of(played, tmp_path, vault=section).fetch("vault:secret/openai#k")

    assert (found.secret.reveal(), found.version) == ("sk-1", "7")
    assert played.asked[0].body == b'{"role":"gw","jwt":"eyJ.pod.token"}'
    assert played.headers()["x-vault-namespace"] == "ai"
    assert played.headers()["x-vault-token"] == "hvs.pod"


def test_clear_text_is_for_this_machine_only(tmp_path):
    managers = Managers(Secrets(vault=Vault(address="http://vault.example.org:8200")), tmp_path, {"VAULT_TOKEN": "t"})

    with pytest.raises(SecretError, match=r"vault\.example\.org:8200 is to be asked in clear text"):
        managers.fetch("vault:secret/a#b")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (Vault(), "it is not said where Vault is"),
        (Vault(address="https://v"), "there is no token for Vault"),
        (Vault(address="https://v", auth="approle"), "`secrets.vault.role_id` is missing"),
        (Vault(address="https://v", auth="kubernetes"), "`secrets.vault.role` is missing"),
    ],
)
def test_what_is_missing_in_the_configuration_is_named(tmp_path, section, words):
    with pytest.raises(SecretError, match=words):
        managers_of(PlayedManager(), tmp_path, vault=section).fetch("vault:secret/a#b")


def test_who_does_not_answer_is_named(tmp_path):
    managers = Managers(Secrets(vault=Vault(address="http://127.0.0.1:9")), tmp_path, {"VAULT_TOKEN": "t"})

    with pytest.raises(SecretError, match=r"127\.0\.0\.1:9 cannot be reached: Connection refused"):
        managers.fetch("vault:secret/a#b")
