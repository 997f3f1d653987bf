import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from headworks.config import examine
from headworks.errors import ConfigError, HeadworksError, Problem

SIMULATOR = "providers: {sim: {kind: simulator}}\n"


@pytest.fixture
def examined(project):
    """Examines a configuration's text; says problems and warnings as `line:column: message`."""

    def run(
        text, *, environment=None, plan_models=lambda _: ("gpt-6-luna", "gpt-6.1-terra")
    ) -> tuple[list[str], list[str]]:
        found = examine(project(text), environment=environment or {}, plan_models=plan_models)
        return tuple([f"{p.line}:{p.column}: {p.message}" for p in group] for group in (found.problems, found.warnings))

    return run


def write_certificate(folder: Path, *, password: bytes | None = None) -> None:
    """A self-signed certificate in `cert.pem` and its key, readable by the owner only, in `key.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway.test")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file = folder / "key.pem"
    key_file.touch(mode=0o600)
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))


TLS = SIMULATOR + "server: {tls: {certificate: cert.pem, key: key.pem}}"


def test_a_project_in_which_everything_is_there_has_no_findings(examined, tmp_path):
    write_certificate(tmp_path)
    (tmp_path / "plan.yaml").touch()
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text("sk-1\n")

    assert examined(
        "server: {tls: {certificate: cert.pem, key: key.pem}}\n"
        "providers:\n"
        "  a: {kind: openai, api_key: env:KEY, ca_file: cert.pem, headers: {x-key: 'file:key', x-a: plain}}\n"
        "  b: {kind: simulator, plan: plan.yaml}\n",
        environment={"KEY": "sk-1"},
    ) == ([], [])


def test_nothing_is_written_while_examining(examined, tmp_path):
    assert examined(SIMULATOR) == ([], [])
    assert list(tmp_path.iterdir()) == []


def test_secrets_that_cannot_be_read_are_problems_where_they_are_named(examined):
    problems, _ = examined(
        "access: {secret: env:SERVER}\n"
        "providers:\n"
        "  a: {kind: openai, api_key: env:NOT_THERE, headers: {x-key: 'file:gone'}}\n"
    )

    assert problems == [
        "1:18: access.secret: env:SERVER is not set in the environment",
        "3:30: providers.a.api_key: env:NOT_THERE is not set in the environment",
        "3:55: providers.a.headers.x-key: file:gone cannot be read: No such file or directory",
    ]


def test_an_access_secret_that_exists_must_be_usable(examined, tmp_path):
    (tmp_path / "secret").touch(mode=0o600)

    assert examined(SIMULATOR + "access: {secret: 'file:secret'}")[0] == ["2:18: access.secret: file:secret is empty"]


def test_secret_files_that_others_may_read_are_warned_about(examined, tmp_path):
    (tmp_path / "key").write_text("sk-1")
    (tmp_path / "key").chmod(0o644)

    assert examined("providers: {a: {kind: openai, api_key: 'file:key'}}") == (
        [],
        ["1:40: providers.a.api_key: the file is readable by group or world: `chmod 600` it"],
    )


def test_tls_files_that_are_missing_are_problems(examined, tmp_path):
    assert examined(TLS)[0] == [
        f"2:29: server.tls.certificate: {tmp_path / 'cert.pem'} cannot be read: No such file or directory",
        f"2:44: server.tls.key: {tmp_path / 'key.pem'} cannot be read: No such file or directory",
    ]


def test_a_key_of_another_certificate_is_a_problem(examined, tmp_path):
    write_certificate(tmp_path)
    certificate = (tmp_path / "cert.pem").read_bytes()
    write_certificate(tmp_path)
    (tmp_path / "cert.pem").write_bytes(certificate)

    assert examined(TLS)[0] == [
        "2:10: server.tls: certificate and key cannot be used together, or are not PEM (KEY_VALUES_MISMATCH)"
    ]


def test_an_encrypted_key_is_a_problem_and_asks_nobody(examined, tmp_path):
    write_certificate(tmp_path, password=b"sesame")

    assert [problem.split(" (")[0] for problem in examined(TLS)[0]] == [
        "2:10: server.tls: certificate and key cannot be used together, or are not PEM"
    ]


def test_a_tls_key_that_others_may_read_is_warned_about(examined, tmp_path):
    write_certificate(tmp_path)
    (tmp_path / "key.pem").chmod(0o644)

    assert examined(TLS) == ([], ["2:44: server.tls.key: the file is readable by group or world: `chmod 600` it"])


def test_a_file_of_authorities_must_hold_one(examined, tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    text = "providers: {a: {kind: openai-compatible, base_url: 'https://x', ca_file: %s}}"

    assert examined(text % "ca.pem")[0] == ["1:74: providers.a.ca_file: holds no certificate in PEM form"]
    assert examined(text % "gone.pem")[0] == [
        f"1:74: providers.a.ca_file: {tmp_path / 'gone.pem'} cannot be read: No such file or directory"
    ]


def test_problems_of_a_simulator_plan_are_passed_on(examined, tmp_path):
    (tmp_path / "plan.yaml").write_text("x")
    text = "providers: {a: {kind: simulator, plan: plan.yaml}}"

    def broken(path):
        raise ConfigError(Problem(str(path), 3, 4, "no such model"))

    def unreadable(path):
        raise HeadworksError("cannot be used")

    assert examined(text, plan_models=broken)[0] == ["3:4: no such model"]
    assert examined(text, plan_models=unreadable)[0] == ["1:40: providers.a.plan: cannot be used"]


def test_a_model_that_the_simulator_does_not_have_is_named_with_the_nearest(examined):
    text = SIMULATOR + "models: {good: sim/gpt-6-luna, bad: sim/gpt-6-lunar}"

    assert examined(text)[0] == [
        "2:37: models.bad.model: the simulator's plan has no such model; did you mean `gpt-6-luna`?"
    ]


def test_a_tier_that_is_bound_to_a_model_that_the_simulator_does_not_have_is_named(examined):
    text = SIMULATOR + "models: {own: sim/gpt-6-luna}\ntiers: {nano: sim/gpt-6-lunar, mini: own}"

    assert examined(text)[0] == ["3:15: tiers.nano: the simulator's plan has no such model; did you mean `gpt-6-luna`?"]


def test_a_state_folder_that_is_a_file_is_a_problem(examined, tmp_path):
    (tmp_path / "state").touch()

    assert examined(SIMULATOR + "storage: {path: state/deep}")[0] == [
        f"2:17: storage.path: {tmp_path / 'state'} is not a folder"
    ]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that not even root may write to")
def test_a_state_folder_that_cannot_be_written_is_a_problem(examined):
    assert examined(SIMULATOR + "storage: {path: /proc/self}")[0] == ["2:17: storage.path: /proc/self is not writable"]


@pytest.mark.parametrize(("host", "count"), [("127.0.0.1", 0), ("0.0.0.0", 1)])
def test_a_key_in_the_environment_of_a_gateway_that_other_machines_reach_is_warned_about(examined, host, count):
    text = f"server: {{host: {host}}}\nproviders: {{a: {{kind: openai, api_key: env:KEY}}}}\n"
    problems, warnings = examined(text, environment={"KEY": "sk-1"})

    assert problems == []
    assert len([warning for warning in warnings if "a.api_key: a key in the environment" in warning]) == count


def test_what_a_manager_keeps_is_not_looked_at_for_that_takes_a_network(examined):
    text = "providers: {a: {kind: openai, api_key: 'vault:secret/a#b', pools: {p: {api_key: 'env:NONE'}}}}\n"
    problems, _ = examined(text)

    assert len(problems) == 1
    assert problems[0].endswith("providers.a.pools.p.api_key: env:NONE is not set in the environment")
