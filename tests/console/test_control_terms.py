"""What the control plane goes by arrives as it was, and is shown to nobody on its way."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.auditing import AnchorTerms, AuditTerms
from headworks.config import Secret
from headworks.console import ControlTerms, pack_terms, unpack_terms
from headworks.console.alert_channels import AlertTerms, MailTerms, WebhookTerms
from headworks.console.sink_terms import SinkTerms

secrets = st.text(min_size=1).map(Secret)
texts = st.text(max_size=20)
paths = st.text("abc/. é\udcff", min_size=1).map(Path)
days = st.none() | st.integers(1, 10_000)
settings = st.dictionaries(texts, texts, max_size=3)

alerts = st.builds(
    AlertTerms,
    st.lists(st.builds(WebhookTerms, secrets, st.booleans(), st.none() | secrets), max_size=3).map(tuple),
    st.none() | st.builds(MailTerms, secrets, texts, st.lists(texts).map(tuple)),
)
anchors = st.builds(AnchorTerms, st.none() | paths, texts, st.none() | secrets)
audits = st.builds(
    AuditTerms,
    paths,
    secrets,
    st.lists(secrets, max_size=2).map(tuple),
    days,
    st.dictionaries(texts, st.integers(1, 10_000), max_size=3),
    st.lists(anchors, max_size=2).map(tuple),
    st.floats(0, 1e6),
)
sinks = st.lists(st.builds(SinkTerms, texts, texts, st.booleans(), st.integers(1, 10_000), settings), max_size=2)


@given(st.builds(ControlTerms, paths, secrets, days, st.booleans(), alerts, st.none() | audits, sinks.map(tuple)))
def test_what_is_unpacked_is_what_was_packed(terms):
    assert unpack_terms(pack_terms(terms)) == terms


def test_no_secret_of_it_is_shown():
    planted = Secret("planted-secret")
    terms = ControlTerms(
        Path("/srv"),
        planted,
        None,
        serves_leases=True,
        alerts=AlertTerms((WebhookTerms(planted, is_slack=True, key=planted),), MailTerms(planted, "a", ("b",))),
        audit=AuditTerms(Path("/srv"), planted, (planted,), None, {}, (AnchorTerms(None, "u", planted),), 1.0),
        sinks=(SinkTerms("s", "acme", True, 1, {"token": "planted-secret"}),),
    )

    assert "planted-secret" not in repr(terms)
    assert b"planted-secret" in pack_terms(terms)


def test_what_has_no_form_of_its_own_is_not_packed():
    with pytest.raises(NotImplementedError, match="object"):
        pack_terms(ControlTerms(object(), Secret("x"), None, serves_leases=True))
