"""A signed token (JWT) → a principal, with the groups that its claims name; or an error. Nothing in a token counts before it is verified.

    header.{"iss": "https://sso.example", "aud": "groundtune", "sub": "ana", "exp": 1795…, "groups": ["finance"]}.signature
    →  Principal("ana", {finance, user:ana, and what finance is in})

What may sign is settled here and never by the token: one algorithm for each key, by the key's kind. So neither ``alg: none`` nor a public
key used as an HMAC secret is ever tried, and addresses in a header (``jku``, ``x5u``) are never fetched.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.access.directory import Directory
from groundtune.access.groups import USER, closed, own, widened, wrong_name
from groundtune.errors import ConfigError, MissingExtra, TokenError
from groundtune.types import Principal

if TYPE_CHECKING:
    from groundtune.access.jwks import Published

HINT = "ask with a valid token, then type: groundtune ask … --token-file FILE"
CONFIG_HINT = "mend [access.tokens], then type: groundtune check"
MOST_CHARACTERS = 16_384
MOST_GROUPS = 1_000
MOST_KEYS = 100
LEAST_SECRET = 32  # bytes of an HS256 key: as long as its hash (RFC 7518, section 3.2)
LEAST_RSA = 2_048  # bits (RFC 7518, section 3.3)


@dataclass(frozen=True, slots=True)
class Key:
    """What verifies: the one algorithm that it is for, and the key as PyJWT takes it."""

    algorithm: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Whose tokens are taken. ``keys`` by key id, which is empty for a key without one; ``subject`` and ``groups`` are claims.

    Instead of the keys there may be what fetches them (``jwks.Published``).
    """

    issuer: str
    audience: str
    keys: Mapping[str, Key] | Published
    subject: str = "sub"
    groups: str = "groups"
    leeway: float = 30.0


def keys_of_secret(secret: bytes) -> dict[str, Key]:
    """Return an HS256 key. Raises ``ConfigError`` for one that is too short, or that is a public key by mistake."""
    if len(secret) < LEAST_SECRET:
        raise ConfigError(f"access.tokens: a secret of {len(secret)} bytes; HS256 needs {LEAST_SECRET} or more", CONFIG_HINT)
    if secret.lstrip().startswith((b"-----BEGIN", b"ssh-", b"{")):
        raise ConfigError("access.tokens: the secret looks like a public key, which anybody may know; write it to jwks_file", CONFIG_HINT)
    return {"": Key("HS256", secret)}


def keys_of_file(path: Path) -> dict[str, Key]:
    """Return the public keys of a file: a JWKS (JSON), or one key in PEM. RSA keys verify RS256, P-256 keys ES256; others are errors."""
    _jwt()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}", CONFIG_HINT) from None
    if text.lstrip().startswith("-----BEGIN"):
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            return {"": _public(str(path), load_pem_public_key(text.encode()))}
        except ValueError as error:
            raise ConfigError(f"{path}: not a public key in PEM: {str(error)[:100]}", CONFIG_HINT) from None
    return keys_of_jwks(text, str(path))


def keys_of_jwks(text: str, where: str, *, strict: bool = True) -> dict[str, Key]:
    """Return the public keys of a JWKS. ``strict``, a key that is not for RS256 or ES256 is an error.

    Otherwise it is passed over: an issuer publishes keys for others, too. Two usable ones of one id, or none at all, are an error in any
    case (``ConfigError``); the latter says why the last one was passed over.
    """
    jwt = _jwt()
    found: dict[str, Key] = {}
    over = ""
    try:
        rows = json.loads(text)["keys"]
        if len(rows) > MOST_KEYS:
            raise ConfigError(f"{where}: holds {len(rows):,} keys; at most {MOST_KEYS} are read", CONFIG_HINT)
        for row in rows:
            if row.get("use", "sig") != "sig":
                continue
            try:
                key = _of_row(jwt, row, where)
            except (ConfigError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
                if strict:
                    raise
                why = error.message.removeprefix(f"{where}: ") if isinstance(error, ConfigError) else str(error) or type(error).__name__
                over = f"; passed over: {why[:200]}"
                continue
            name = str(row.get("kid", ""))
            if name in found:
                raise ConfigError(f"{where}: two keys of the id {name!r:.80}", CONFIG_HINT)
            found[name] = key
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, jwt.PyJWTError) as error:
        raise ConfigError(f"{where}: not a JWKS: {str(error)[:100] or type(error).__name__}", CONFIG_HINT) from None
    if not found:
        raise ConfigError(f"{where}: holds no key for signatures{over}", CONFIG_HINT)
    return found


def _of_row(jwt: Any, row: Mapping[str, Any], where: str) -> Key:
    if row.get("kty") not in ("RSA", "EC"):
        raise ConfigError(f"{where}: holds a key of kind {row.get('kty')!r:.40}; expected public RSA or EC keys", CONFIG_HINT)
    return _public(where, jwt.PyJWK(row, algorithm="RS256" if row["kty"] == "RSA" else "ES256").key, row.get("alg"))


def verified(token: str, issuer: Issuer, directory: Directory) -> Principal:
    """Return the principal that a token proves. Raises ``TokenError`` for every other token, without the token's text.

    Its groups are those of its claim and what they are in by [groups]; the access file adds none. Where the directory knows the same
    name with fewer groups, the token's bearer is not in that name's own group: readers worked out by name took those groups for granted.
    """
    jwt = _jwt()
    if len(token) > MOST_CHARACTERS:
        raise TokenError(f"the token has {len(token):,} characters; at most {MOST_CHARACTERS:,} are read", HINT)
    try:
        header = jwt.get_unverified_header(token)
        key = _chosen(header, issuer)
        claims = jwt.decode(
            token,
            key.value,
            algorithms=[key.algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=issuer.leeway,
            options={"require": ["exp", "iss", "aud"], "verify_signature": True},
        )
    except (jwt.PyJWTError, ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise TokenError(f"the token is not valid here: {str(error)[:200] or type(error).__name__}", HINT) from None
    name, groups = _claim(claims, issuer.subject), _claim(claims, issuer.groups)
    if not isinstance(name, str) or not name.strip() or name != name.strip() or "\0" in name or not _sayable(name):
        raise TokenError(f"the token's claim {issuer.subject!r} names nobody", HINT)
    if groups is None:
        groups = []
    if not isinstance(groups, list) or len(groups) > MOST_GROUPS:
        raise TokenError(f"the token's claim {issuer.groups!r} is no list of at most {MOST_GROUPS} groups", HINT)
    for group in groups:
        if wrong_name(group) or not _sayable(group) or group.startswith(USER):
            raise TokenError(f"the token's claim {issuer.groups!r} holds {group!r:.80}, which is no group", HINT)
    held = widened((unicodedata.normalize("NFC", group) for group in groups), closed(directory.nested))
    name = unicodedata.normalize("NFC", name)
    known = directory.principals.get(name)
    mine = frozenset({own(name)}) if known is None or held <= known.groups else frozenset[str]()
    return Principal(id=name, groups=held | mine)


def _chosen(header: Mapping[str, Any], issuer: Issuer) -> Key:
    """Return the key that a header names. Its algorithm has to be the key's own."""
    if "crit" in header or "b64" in header:
        raise TokenError("the token's header asks for an extension", HINT)
    name = header.get("kid")
    keys = issuer.keys
    if not isinstance(keys, Mapping):
        # Nobody makes us ask the issuer with a token that no key of theirs could have signed.
        if header.get("alg") not in ("RS256", "ES256"):
            raise TokenError(f"the token is signed by {header.get('alg')!r:.40}; only RS256 and ES256 are taken", HINT)
        keys = keys.keys(name if isinstance(name, str) else None)
    if len(keys) == 1 and name is None:
        [key] = keys.values()
    else:
        # A single key without an id is for tokens with any.
        found = keys.get(name) if isinstance(name, str) else None
        found = found or (keys.get("") if len(keys) == 1 else None)
        if found is None:
            raise TokenError("the token names no key that is known here", HINT)
        key = found
    if header.get("alg") != key.algorithm:
        raise TokenError(f"the token is signed by {header.get('alg')!r:.40}; its key is for {key.algorithm}", HINT)
    return key


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim; ``realm_access.roles`` is the claim roles inside realm_access, unless one has the whole name."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _public(where: str, key: Any, wanted: str | None = None) -> Key:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA and wanted in (None, "RS256"):
        return Key("RS256", key)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1) and wanted in (None, "ES256"):
        return Key("ES256", key)
    raise ConfigError(
        f"{where}: holds a {type(key).__name__}; expected public keys of RSA ({LEAST_RSA} bits or more, RS256) or P-256 (ES256)",
        CONFIG_HINT,
    )


def _sayable(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _jwt() -> Any:
    try:
        import cryptography.hazmat.primitives  # noqa: F401
        import jwt
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or "jwt", "tokens") from error
    return jwt
