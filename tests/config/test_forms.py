import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.config.forms import FORMS, HOP_BY_HOP, OWNED, Unfit


@pytest.mark.parametrize(
    ("form", "text", "canonical"),
    [
        ("secret-reference", "env:OPENAI_API_KEY", "env:OPENAI_API_KEY"),
        ("secret-reference", "file:/run/secrets/a b", "file:/run/secrets/a b"),
        ("host", "::1", "::1"),
        ("host", "gateway.example", "gateway.example"),
        ("base-url", "https://API.example/v1/", "https://api.example/v1"),
        ("base-url", "http://[::1]:8000", "http://[::1]:8000"),
        ("base-url", "https://h/a/b//", "https://h/a/b"),
        ("proxy-url", "http://Proxy.example:3128/", "http://proxy.example:3128"),
        ("header-name", "X-Team", "x-team"),
        ("header-value", "a value, with (anything); printable", "a value, with (anything); printable"),
        ("header-value", "env:TENANT_KEY", "env:TENANT_KEY"),
        ("header-value", "", ""),
        ("model-name", "meta/llama-3:70b@2026", "meta/llama-3:70b@2026"),
        ("path", "a folder/ü.pem", "a folder/ü.pem"),
        ("store-url", "postgres://u@h:5432/db?sslmode=require", "postgres://u@h:5432/db?sslmode=require"),
        ("store-url", "postgresql://u@a:1,b:2/db?host=/run/pg", "postgresql://u@a:1,b:2/db?host=/run/pg"),
        ("store-url", "postgresql:///db?passfile=/run/pass", "postgresql:///db?passfile=/run/pass"),
    ],
)
def test_a_text_of_the_form_is_returned_in_its_canonical_way(form, text, canonical):
    assert FORMS[form](text) == canonical


@pytest.mark.parametrize(
    ("form", "text", "words"),
    [
        ("secret-reference", "sk-abc", "expected a secret reference"),
        ("secret-reference", "env:", "expected a secret reference"),
        ("secret-reference", "env:A-B", "expected a secret reference"),
        ("secret-reference", "env:1A", "expected a secret reference"),
        ("secret-reference", "file:", "expected a secret reference"),
        ("secret-reference", "vault:x", "expected a secret reference"),
        ("secret-reference", "file:a\0b", "control characters"),
        ("path", "a\nb", "control characters"),
        ("host", "http://x", "expected an address or host name"),
        ("host", "", "expected an address or host name"),
        ("base-url", "api.example/v1", "begins with `http://` or `https://`"),
        ("base-url", "ftp://x/v1", "begins with `http://` or `https://`"),
        ("base-url", "https:///v1", "begins with `http://` or `https://`"),
        ("base-url", "https://u:p@x/v1", "credentials"),
        ("base-url", "https://x/v1?a=b", "query or a fragment"),
        ("base-url", "https://x/v1#", "query or a fragment"),
        ("base-url", "https://x:70000/v1", "valid host and port"),
        ("base-url", "https://x:/v1", "valid host and port"),
        ("base-url", "https://x:0/v1", "valid host and port"),
        ("base-url", "https://[::1/v1", "valid host and port"),
        ("base-url", "https://a,b/v1", "valid host and port"),
        ("base-url", "https://x/\r\nhost: y", "begins with"),
        ("base-url", "https://x\\@y/v1", "begins with"),
        ("proxy-url", "https://x:1", "begins with `http://`"),
        ("proxy-url", "http://x", "expected a proxy as `http://host:port`"),
        ("proxy-url", "http://x:1/path", "expected a proxy as `http://host:port`"),
        ("header-name", "x team", "expected a header name"),
        ("header-name", "x:", "expected a header name"),
        ("header-name", "", "expected a header name"),
        ("header-name", "Authorization", "use `api_key`"),
        ("header-value", "a\r\nb: c", "printable ASCII"),
        ("header-value", "ü", "printable ASCII"),
        ("header-value", " a", "printable ASCII"),
        ("header-value", "sk-proj-1", "looks like a key"),
        ("header-value", "3f1c9a77b2e84d5f9c3e7a1b2d4f6e8a", "looks like a key"),
        ("model-name", "a b", "expected a model name"),
        ("store-url", "mysql://h/db", "expected a PostgreSQL URL"),
        ("store-url", "host=h dbname=db", "expected a PostgreSQL URL"),
        ("store-url", "postgresql://h/d b", "expected a PostgreSQL URL"),
        ("store-url", "postgresql://h/db#x", "expected a PostgreSQL URL"),
        ("store-url", "postgresql://u:p@h/db", "into `store_password`"),
        ("store-url", "postgresql://u:@h/db", "into `store_password`"),
        ("store-url", "postgresql://h/db?a=b&Password=p", "into `store_password`"),
        ("store-url", "postgresql://h?sslpassword=p", "into `store_password`"),
    ],
)
def test_another_text_is_refused_with_what_was_expected(form, text, words):
    with pytest.raises(Unfit, match=words):
        FORMS[form](text)


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP | OWNED))
def test_headers_that_the_gateway_or_a_connection_owns_are_refused(name):
    with pytest.raises(Unfit):
        FORMS["header-name"](name.title())


@pytest.mark.parametrize("form", sorted(FORMS))
@given(text=st.text(max_size=60))
def test_what_a_form_accepts_is_canonical_and_safe_to_send(form, text):
    try:
        canonical = FORMS[form](text)
    except Unfit:
        return
    assert FORMS[form](canonical) == canonical
    assert not set("\r\n\0") & set(canonical)
