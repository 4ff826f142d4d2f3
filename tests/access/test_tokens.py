"""A principal from a token: every way in which one may be forged, stale or meant for somebody else is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.access.directory import Directory, member
from groundtune.access.groups import closed
from groundtune.access.rules import Rule, ruling
from groundtune.access.tokens import Issuer, Key, keys_of_file, keys_of_secret, verified
from groundtune.errors import ConfigError, GroundtuneError, TokenError
from groundtune.types import Document

SECRET = b"k" * 32
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
NESTED = {"payroll": ("finance",), "finance": ()}
DIRECTORY = Directory(
    principals={"cy": member("cy", ["finance"], closed(NESTED))}, nested=NESTED, read=(("x", datetime.now(UTC)),), tokens=True
)


def pem(key: Any) -> bytes:
    public: bytes = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return public


def jwk(key: Any, **more: str) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), **more}


def issuer(keys: Mapping[str, Key], **more: Any) -> Issuer:
    return Issuer(issuer="https://sso", audience="groundtune", keys=keys, **more)


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {"iss": "https://sso", "aud": "groundtune", "sub": "ana", "iat": now, "exp": now + 60, "groups": ["payroll"], **more}
    return {name: value for name, value in whole.items() if value is not None}


def signed(payload: Mapping[str, Any], key: Any = SECRET, algorithm: str = "HS256", **headers: Any) -> str:
    token: str = jwt.encode(dict(payload), key, algorithm=algorithm, headers=headers or None)
    return token


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


HMAC = issuer(keys_of_secret(SECRET))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("keys")
    (place / "jwks.json").write_text(json.dumps({"keys": [jwk(RSA, kid="r1", use="sig", alg="RS256"), jwk(EC, kid="e1")]}))
    (place / "rsa.pem").write_bytes(pem(RSA))
    (place / "ec.pem").write_bytes(pem(EC))
    return place


def test_each_algorithm_verifies_by_its_own_key_and_groups_are_nested(folder: Path) -> None:
    several = issuer(keys_of_file(folder / "jwks.json"))
    for token, taken in (
        (signed(claims()), HMAC),
        (signed(claims(), RSA, "RS256", kid="r1"), several),
        (signed(claims(), EC, "ES256", kid="e1"), several),
        (signed(claims(), RSA, "RS256"), issuer(keys_of_file(folder / "rsa.pem"))),
        (signed(claims(), RSA, "RS256", kid="whatever"), issuer(keys_of_file(folder / "rsa.pem"))),
        (signed(claims(), EC, "ES256"), issuer(keys_of_file(folder / "ec.pem"))),
    ):
        found = verified(token, taken, DIRECTORY)
        assert (found.id, found.groups) == ("ana", {"payroll", "finance", "user:ana"})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"exp": int(time.time()) - 3600}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "integer"),
        ({"exp": float("inf")}, ""),
        ({"nbf": int(time.time()) + 3600}, "not yet valid"),
        ({"iat": int(time.time()) + 3600}, "not yet valid"),
        ({"iss": "https://other"}, "ssuer"),
        ({"iss": "https://sso/"}, "ssuer"),
        ({"iss": None}, "iss"),
        ({"aud": "another"}, "udience"),
        ({"aud": ["another", "third"]}, "udience"),
        ({"aud": None}, "aud"),
        ({"sub": None}, "names nobody"),
        ({"sub": ""}, "names nobody"),
        ({"sub": " ana"}, "names nobody"),
        ({"sub": "a\0"}, "names nobody"),
        ({"sub": 7}, ""),
        ({"groups": "payroll"}, "no list"),
        ({"groups": {"payroll": True}}, "no list"),
        ({"groups": ["user:bo"]}, "no group"),
        ({"groups": ["user:ana"]}, "no group"),
        ({"groups": [7]}, "no group"),
        ({"groups": [" payroll"]}, "no group"),
        ({"groups": ["a\0b"]}, "no group"),
        ({"groups": ["\ud800"]}, "no group"),
        ({"groups": [f"g{n}" for n in range(1001)]}, "no list"),
    ],
)
def test_claims_that_are_not_as_they_have_to_be_are_refused(more: dict[str, Any], said: str) -> None:
    header, payload = part({"alg": "HS256", "typ": "JWT"}), part(claims(**more))
    mark = part(hmac.new(SECRET, f"{header}.{payload}".encode(), hashlib.sha256).digest())
    token = f"{header}.{payload}.{mark}"
    with pytest.raises(TokenError) as raised:
        verified(token, HMAC, DIRECTORY)
    assert said in raised.value.message and token not in str(raised.value)


def test_nothing_unsigned_or_signed_otherwise_is_taken(folder: Path) -> None:
    several, single = issuer(keys_of_file(folder / "jwks.json")), issuer(keys_of_file(folder / "rsa.pem"))
    public = pem(RSA)
    confused = [
        f"{part(header)}.{part(claims())}.{part(hmac.new(secret, f'{part(header)}.{part(claims())}'.encode(), hashlib.sha256).digest())}"
        for secret in (public, public.strip(), json.dumps(jwk(RSA)).encode(), b"")
        for header in ({"alg": "HS256"}, {"alg": "HS256", "kid": "r1"}, {"alg": "hs256", "kid": "r1"}, {"alg": "RS256", "kid": "r1"})
    ]
    unsigned = [
        f"{part({'alg': name, **more})}.{part(claims())}.{mark}"
        for name in ("none", "None", "NONE", "nOnE", "", None, 7)
        for more in ({}, {"kid": "r1"})
        for mark in ("", part(b"x"))
    ]
    wrong = [
        signed(claims(), OTHER_RSA, "RS256", kid="r1"),
        signed(claims(), RSA, "RS384", kid="r1"),
        signed(claims(), RSA, "PS256", kid="r1"),
        signed(claims(), RSA, "RS256", kid="e1"),
        signed(claims(), RSA, "RS256", kid="unknown"),
        signed(claims(), b"j" * 32),
        signed(claims(), SECRET, "HS512"),
        signed(claims(), OTHER_RSA, "RS256", jwk=jwk(OTHER_RSA)),
        signed(claims(), OTHER_RSA, "RS256", kid="r1", jku="https://evil/keys.json"),
        signed(claims(), OTHER_RSA, "RS256", kid="../../etc/passwd"),
        signed(claims(), RSA, "RS256", kid="r1", crit=["exp"]),
    ]
    for taken in (several, single, HMAC):
        for token in [*confused, *unsigned, *wrong]:
            if token == wrong[4] and taken is single:
                continue  # the one key without an id is for any, and this is its own signature
            if token == wrong[3] and taken is single:
                continue
            with pytest.raises(TokenError):
                verified(token, taken, DIRECTORY)
    with pytest.raises(TokenError):
        verified(signed(claims(), RSA, "RS256"), several, DIRECTORY)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_token_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    token = signed(claims(), SECRET)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABab01-_.="))
    changed = token[:place] + letter + token[place + 1 :]

    def meaning(text: str) -> list[bytes | None]:
        # The last letter of a part has bits that say nothing.
        found: list[bytes | None] = []
        for piece in text.split("."):
            try:
                found.append(base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))
            except ValueError:
                found.append(None)
        return found

    if changed.split(".")[:2] == token.split(".")[:2] and meaning(changed) == meaning(token):
        return
    with pytest.raises(TokenError):
        verified(changed, HMAC, DIRECTORY)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: f"{part(raw)}.{part(raw)}.{part(raw)}"))
def test_any_text_is_a_token_or_an_error_that_can_be_told(text: str) -> None:
    with pytest.raises(TokenError):
        verified(text, HMAC, DIRECTORY)


def test_a_long_token_is_not_read() -> None:
    with pytest.raises(TokenError, match="characters"):
        verified(signed(claims(more="x" * 20_000)), HMAC, DIRECTORY)


def test_no_groups_are_no_groups_and_a_claim_may_be_inside_another() -> None:
    assert verified(signed(claims(groups=None)), HMAC, DIRECTORY).groups == {"user:ana"}
    inside = issuer(HMAC.keys, subject="email", groups="realm_access.roles")
    found = verified(signed(claims(email="bo@x", realm_access={"roles": ["finance"]})), inside, DIRECTORY)
    assert (found.id, found.groups) == ("bo@x", {"finance", "user:bo@x"})
    with pytest.raises(TokenError, match="no list"):
        verified(signed(claims(email="bo@x", realm_access={"roles": {"a": 1}})), inside, DIRECTORY)


def test_a_token_that_says_more_groups_than_the_directory_knows_does_not_get_what_was_worked_out_by_name() -> None:
    people = DIRECTORY.people
    rules = [Rule(number=1, match="", allow=frozenset({"finance"}), deny=frozenset({"payroll"}))]
    document = Document(id="document:a", source="a", title="", text="", content_hash="", readers=frozenset({"everyone"}))
    readers = ruling(rules, document, (), people).readers
    assert readers == {"user:cy"}
    assert verified(signed(claims(sub="cy", groups=["finance"])), HMAC, DIRECTORY).groups & readers
    assert not verified(signed(claims(sub="cy", groups=["payroll"])), HMAC, DIRECTORY).groups & readers


def test_keys_that_must_not_be_trusted_are_refused_before_any_token(tmp_path: Path) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    curve = ec.generate_private_key(ec.SECP384R1())
    symmetric = {"kty": "oct", "k": part(SECRET), "kid": "s"}
    private = RSA.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for raw, said in (
        (json.dumps({"keys": [symmetric]}).encode(), "'oct'"),
        (json.dumps({"keys": [jwk(weak)]}).encode(), "2048"),
        (json.dumps({"keys": [{**jwk(EC), "alg": "HS256"}]}).encode(), "P-256"),
        (json.dumps({"keys": [jwk(RSA, kid="a"), jwk(OTHER_RSA, kid="a")]}).encode(), "two keys"),
        (json.dumps({"keys": []}).encode(), "no key"),
        (json.dumps({"keys": [jwk(RSA, use="enc")]}).encode(), "no key"),
        (json.dumps([jwk(RSA)]).encode(), "not a JWKS"),
        (json.dumps({"keys": "abc"}).encode(), "not a JWKS"),
        (b"{", "not a JWKS"),
        (b"\xff", "not UTF-8"),
        (pem(weak), "2048"),
        (pem(curve), "P-256"),
        (private, "not a public key"),
        (b"-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n", "not a public key"),
    ):
        path = tmp_path / "keys"
        path.write_bytes(raw)
        with pytest.raises(ConfigError, match=said):
            keys_of_file(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        keys_of_file(tmp_path / "absent")
    for secret, said in ((b"short", "5 bytes"), (pem(RSA), "public key"), (json.dumps(jwk(RSA)).encode(), "public key")):
        with pytest.raises(GroundtuneError, match=said):
            keys_of_secret(secret)
