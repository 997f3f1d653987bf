import pytest

from headworks.config import examine
from headworks.server.keeper import key_sets_of
from tests.config.conftest import SIMULATOR

SIGN_IN = (
    "{url: 'https://gw.example:4001', issuer: i, client_id: c, authorization_url: 'https://id.example/a', "
    "token_url: 'https://id.example/t', jwks_url: 'https://id.example/k'}"
)


def test_there_is_no_admin_api_unless_it_is_asked_for_and_then_for_this_machine_alone(project):
    assert project(SIMULATOR).config.admin.port is None
    assert project(f"{SIMULATOR}admin: {{port: 4001}}\n").config.admin.host == "127.0.0.1"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "gateway.example", "10.0.0.1"])
def test_an_address_that_others_reach_needs_tls(problems, project, host):
    assert "admin.host: other machines reach" in problems(f"{SIMULATOR}admin: {{port: 4001, host: '{host}'}}\n")[0]
    tls = "tls: {certificate: c.pem, key: k.pem}"
    assert project(f"{SIMULATOR}admin: {{port: 4001, host: '{host}', {tls}}}\n").config.admin.host == host


@pytest.mark.parametrize(
    ("changed", "to", "said"),
    [
        ("https://gw.example:4001", "http://gw.example:4001", "admin.sign_in.url: expected `https://`"),
        ("https://gw.example:4001", "https://gw.example/admin", "admin.sign_in.url: has a path"),
        ("https://id.example/t", "http://id.example/t", "admin.sign_in.token_url: expected `https://`"),
        ("https://id.example/k", "http://id.example/k", "admin.sign_in.jwks_url: expected `https://`"),
        ("client_id: c", "client_id: c, jwks_file: k.json", "admin.sign_in: needs `jwks_url` or `jwks_file` and not"),
        ("client_id: c", "client_id: c, scopes: [email]", "admin.sign_in.scopes: needs `openid`"),
    ],
)
def test_sign_in_goes_by_tls_and_asks_for_who_it_is(problems, project, changed, to, said):
    assert project(f"{SIMULATOR}admin: {{port: 1, sign_in: {SIGN_IN}}}\n").config.admin.sign_in is not None
    found = problems(f"{SIMULATOR}admin: {{port: 1, sign_in: {SIGN_IN.replace(changed, to)}}}\n")
    assert said in found[0]


@pytest.mark.parametrize(
    ("access", "said"),
    [
        ("organisations: {a: {teams: [x]}, b: {teams: [x, y]}}", "teams[0]: is a team of more than one organisation"),
        ("users: [{roles: [admin]}]", "access.users[0]: needs either `subject` or `email`"),
        ("users: [{subject: s, email: a@b, roles: [admin]}]", "access.users[0]: needs either"),
        ("users: [{subject: s, roles: [boss]}]", "access.users[0].roles[0]"),
        ("roles: [{value: g, role: admin, organisation: none}]", "there is no such organisation"),
        ("users: [{subject: s, roles: [admin], organisation: none}]", "there is no such organisation"),
    ],
)
def test_who_administrates_is_said_without_a_doubt(problems, access, said):
    assert said in problems(f"{SIMULATOR}access: {{{access}}}\n")[0]


def test_users_and_rules_are_read(project):
    access = project(
        f"{SIMULATOR}access:\n"
        "  organisations: {acme: {teams: [search]}}\n"
        "  users: [{email: ann@a.example, roles: [admin, auditor]}]\n"
        "  roles: [{claim: /realm_access/roles, value: ops, role: operator, organisation: acme}]\n"
    ).config.access

    assert access.users[0].roles == ("admin", "auditor")
    assert (access.roles[0].role, access.roles[0].organisation) == ("operator", "acme")


def test_what_the_admin_api_refers_to_is_looked_at(project):
    text = (
        f"{SIMULATOR}admin: {{port: 1, tls: {{certificate: no.pem, key: no.key}}, "
        f"sign_in: {SIGN_IN.replace('client_id: c', 'client_id: c, client_secret: env:NOWHERE')}}}\n"
    )
    found = [str(one) for one in examine(project(text), environment={}, plan_models=lambda _: ()).problems]

    assert any("admin.tls.certificate" in one for one in found)
    assert any("admin.sign_in.client_secret" in one and "NOWHERE" in one for one in found)
    assert [one.url.rpartition("/")[2] for one in key_sets_of(project(text))] == ["k"]
    assert key_sets_of(project(text.replace("port: 1, ", ""))) == ()


def test_of_an_identity_provider_its_name_is_enough(project, problems):
    sign_in = "{url: 'https://gw.example:4001', issuer: 'https://id.example/', client_id: c}"
    tokens = "[{issuer: 'https://id.example/', audience: [x]}]"
    text = f"{SIMULATOR}admin: {{port: 1, sign_in: {sign_in}, tokens: {tokens}}}\n"
    (wanted,) = key_sets_of(project(text))
    assert (wanted.url, wanted.issuer) == ("https://id.example/.well-known/openid-configuration", "https://id.example/")

    of_a_file = f"{SIMULATOR}admin: {{port: 1, sign_in: {sign_in.replace('client_id', 'jwks_file: k, client_id')}}}\n"
    assert [one.issuer for one in key_sets_of(project(of_a_file))] == ["https://id.example/"]
    assert "admin.sign_in.issuer: expected an `https://`" in problems(of_a_file.replace("https://id.example/", "id"))[0]


def test_with_two_identity_providers_a_rule_says_whose_it_is(problems, project):
    admin = (
        "admin: {port: 1, tokens: [{issuer: a, audience: [x], jwks_file: k}, {issuer: b, audience: [x], jwks_file: k}]}"
    )
    rules = "access: {users: [{subject: s, roles: [admin]}], roles: [{value: g, role: admin, issuer: a}]}"

    assert "access.users[0]: needs `issuer`" in problems(f"{SIMULATOR}{admin}\n{rules}\n")[0]
    project(f"{SIMULATOR}{admin}\n{rules.replace('subject: s', 'subject: s, issuer: b')}\n")
