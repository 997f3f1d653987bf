import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.access.key_sets import decode_base64url, read_key_set
from tests.access.token_maker import SigningKey, encode, key_set

# RFC 7515 §A.3, RFC 8037 §A.4
ES256 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
ES256_SIGNED = (
    b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ij"
    b"p0cnVlfQ"
)
ES256_SIGNATURE = b"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
EDDSA = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
EDDSA_SIGNED = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
EDDSA_SIGNATURE = b"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"


@pytest.mark.parametrize(
    ("jwk", "algorithm", "signed", "signature"),
    [
        (ES256, "ES256", ES256_SIGNED, ES256_SIGNATURE),
        (EDDSA, "EdDSA", EDDSA_SIGNED, EDDSA_SIGNATURE),
    ],
)
def test_the_examples_of_the_standards_are_verified(jwk, algorithm, signed, signature):
    key = read_key_set(key_set(jwk)).find(algorithm, None)

    raw = decode_base64url(signature)
    assert key.is_signed(raw, signed)
    assert not key.is_signed(raw, signed + b"x")
    assert not key.is_signed(raw[:-1], signed)
    assert not key.is_signed(b"\0" * len(raw), signed)
    assert not key.is_signed(b"", signed)


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "c2VjcmV0"},
        ES256 | {"crv": "P-384"},
        ES256 | {"y": ES256["x"]},  # not on the curve
        ES256 | {"x": "AA" + ES256["x"]},
        ES256 | {"use": "enc"},
        ES256 | {"key_ops": ["sign"]},
        ES256 | {"alg": "RS256"},
        ES256 | {"alg": "Ed25519"},
        EDDSA | {"x": "AAAA"},
        EDDSA | {"crv": "X25519"},
        {"kty": "RSA", "n": encode(b"\xff" * 128), "e": "AQAB"},  # 1024 bits
        {"kty": "RSA", "n": encode(b"\xff" * 2048), "e": "AQAB"},
        {"kty": "RSA", "n": encode(b"\xff" * 256), "e": encode(b"\xff" * 256)},
        {"kty": 5},
        "key",
    ],
)
def test_a_key_that_cannot_verify_safely_is_left_out_and_the_others_stay(jwk):
    assert [key.algorithm for key in read_key_set(key_set(jwk, EDDSA)).keys] == ["EdDSA"]
    with pytest.raises(ValueError, match="no key in it"):
        read_key_set(key_set(jwk))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"keys": 5}', b"\xff", b"[" * 9999, b" " * 300_000])
def test_what_is_no_key_set_is_said_to_be_none(data):
    with pytest.raises(ValueError, match=r"(?i)key set"):
        read_key_set(data)


def test_a_key_is_found_by_name_and_algorithm_and_never_by_one_of_them_alone():
    keys = [SigningKey("ES256", "a"), SigningKey("EdDSA", "a"), SigningKey("EdDSA", "b")]
    found = read_key_set(key_set(*keys))

    assert found.find("ES256", "a").algorithm == "ES256"
    assert found.find("ES256", "b") is None
    assert found.find("ES256", None).kid == "a"
    assert found.find("EdDSA", None) is None
    assert found.find("HS256", "a") is None


@given(st.binary(max_size=60))
def test_base64url_is_read_back(data):
    assert decode_base64url(encode(data).encode()) == data


@pytest.mark.parametrize("text", [b"AA==", b"A", b"AB", b"A+/A", b"AA A", b"AA\n"])
def test_base64url_has_one_form(text):
    with pytest.raises(ValueError, match=r"(?i)base64"):
        decode_base64url(text)
