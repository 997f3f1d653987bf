import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.access.principals import AT_THE_SHELL, Organisations, Principal, RoleGrant
from headworks.access.roles import FOR_ALL_ONLY, ROLES, Right, Role, endpoints_of, rights_of

ORGANISATIONS = Organisations({"acme": ["search", "support"], "globex": ["billing"]})

role_grants = st.lists(
    st.builds(RoleGrant, st.sampled_from(Role), st.sampled_from([None, "acme", "globex"])), max_size=4
)


def somebody(*grants):
    return Principal("key_1", "ann", "key", tuple(grants))


def test_every_role_is_in_the_table_and_every_right_has_a_meaning_and_somebody_who_has_it():
    assert set(ROLES) == set(Role)
    assert rights_of(Role) == set(Right)
    assert all(right.meaning for right in Right)


def test_who_writes_keys_does_not_read_the_audit_log_and_who_reads_it_changes_nothing():
    assert not any({Right.WRITE_KEYS, Right.READ_AUDIT} <= ROLES[role].rights for role in Role)
    changing = {right for right in Right if not right.value.endswith(".read")}
    assert not ROLES[Role.AUDITOR].rights & changing
    assert not ROLES[Role.ANALYST].rights & changing


def test_a_caller_may_nothing_at_the_admin_api_and_an_analyst_reads_no_content():
    assert not ROLES[Role.CALLER].rights
    assert Right.READ_CONTENT not in ROLES[Role.ANALYST].rights
    assert endpoints_of(Role.CALLER) == ()
    assert endpoints_of(Role.AUDITOR) is None


def test_a_role_in_one_organisation_reaches_neither_another_nor_what_is_in_none():
    ann = somebody(RoleGrant(Role.ADMIN, "acme"))

    assert [ann.may(Right.READ_KEYS, one) for one in ("acme", "globex", "")] == [True, False, False]
    assert ann.reach(Right.READ_KEYS) == {"acme"}
    assert not ann.may_everywhere(Right.READ_KEYS)


@pytest.mark.parametrize("right", sorted(FOR_ALL_ONLY))
def test_a_role_in_one_organisation_does_not_bring_what_concerns_everybody(right):
    everything = somebody(*(RoleGrant(role, "acme") for role in Role))

    assert not everything.may_somewhere(right)
    assert not everything.may(right, "acme")


def test_a_role_everywhere_reaches_all_and_what_is_in_no_organisation():
    ann = somebody(RoleGrant(Role.ADMIN))

    assert all(ann.may(Right.WRITE_KEYS, one) for one in ("acme", "globex", ""))
    assert ann.reach(Right.WRITE_KEYS) is None


def test_nobody_gives_a_role_that_may_more_than_they_may():
    everywhere, in_acme = somebody(RoleGrant(Role.ADMIN)), somebody(RoleGrant(Role.ADMIN, "acme"))

    assert everywhere.may_give(Role.OPERATOR, "")
    assert not everywhere.may_give(Role.AUDITOR, "")
    assert in_acme.may_give(Role.OPERATOR, "acme")
    assert in_acme.may_give(Role.CALLER, "acme")
    assert not in_acme.may_give(Role.OPERATOR, "globex")
    assert not in_acme.may_give(Role.ANALYST, "")
    assert all(AT_THE_SHELL.may_give(role, where) for role in Role for where in ("", "acme"))


@given(role_grants, st.sampled_from(Role), st.sampled_from(["", "acme", "globex"]))
def test_what_is_given_never_reaches_further_than_who_gives_it(grants, role, where):
    giver = somebody(*grants)
    if not giver.may_give(role, where):
        return
    made = somebody(RoleGrant(role, where or None))
    for right in Right:
        for organisation in ("acme", "globex", ""):
            assert giver.may(right, organisation) or not made.may(right, organisation)


@given(role_grants, st.sampled_from(Right))
def test_reach_says_the_same_as_may(grants, right):
    ann = somebody(*grants)
    reach = ann.reach(right)

    for organisation in ("acme", "globex"):
        assert ann.may(right, organisation) == (reach is None or organisation in reach)
    assert ann.may_somewhere(right) == (reach is None or bool(reach))


def test_a_keys_role_holds_in_the_organisation_of_its_team():
    assert ORGANISATIONS.grant_of_key(Role.ADMIN, "billing") == RoleGrant(Role.ADMIN, "globex")
    assert ORGANISATIONS.grant_of_key(Role.ADMIN, "") == RoleGrant(Role.ADMIN)
    assert ORGANISATIONS.teams(["acme"]) == ("search", "support")
    assert ORGANISATIONS.of("nobody") == ""


def test_a_team_that_is_in_no_organisation_any_more_does_not_make_its_keys_mightier():
    assert ORGANISATIONS.grant_of_key(Role.ADMIN, "gone") is None
    assert Organisations({}).grant_of_key(Role.ADMIN, "search") is None


def test_a_team_that_goes_to_another_organisation_does_not_take_the_roles_of_its_keys_along():
    assert ORGANISATIONS.grant_of_key(Role.ADMIN, "billing", "globex") == RoleGrant(Role.ADMIN, "globex")
    assert ORGANISATIONS.grant_of_key(Role.ADMIN, "billing", "acme") is None
    assert ORGANISATIONS.grant_of_key(Role.ADMIN, "gone", "acme") is None
