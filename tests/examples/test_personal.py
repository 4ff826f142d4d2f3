"""Personal data and secrets: found by pattern and check digit, shown masked, and cheap on hostile text."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundtune.examples.personal import MOST, look

# Put together here, so that no scanner takes this file for a leak.
GITHUB = "gh" + "p_" + "a1B2" * 9
AWS = "AK" + "IA" + "ABCDEFGHIJKLMNOP"
KEY = "-----BEGIN RSA " + "PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "name", "secret"),
    [
        ("write to jane.roe@example.org today", "email", False),
        ("call +49 (30) 1234-5678", "phone number", False),
        ("to DE89 3704 0044 0532 0130 00 please", "bank account (IBAN)", False),
        ("to GB82WEST12345698765432", "bank account (IBAN)", False),
        ("card 4111 1111 1111 1111", "payment card", False),
        ("my number is 123-45-6789", "social security number", False),
        ("date of birth: 1980-02-03", "date of birth", False),
        (KEY, "private key", True),
        (AWS, "AWS key", True),
        (f"token {GITHUB}", "GitHub token", True),
        ("xox" + "b-1234567890-abc", "Slack token", True),
        ("s" + "k-" + "a1b2c3d4e5" * 3, "API key", True),
        ("ey" + "J" + "hbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxMjM0In0.dBjftJeZ4CVP", "web token (JWT)", True),
        ("postgres://app:" + "hunter22@db.internal/x", "password in an address", True),
        ("password = Tr0ub4dor3xyz", "assigned secret", True),
    ],
)
def test_each_kind_is_found_and_its_value_is_masked(text: str, name: str, secret: bool) -> None:
    hits = look(text)
    assert (name, secret) in [(hit.name, hit.secret) for hit in hits]
    assert all(hit.value in text and hit.value not in hit.masked and len(hit.masked) <= 5 for hit in hits)


@pytest.mark.parametrize(
    "text",
    [
        "write to support@example.org",
        "version 4.9.12 of 2026-03-01",
        "DE89 3704 0044 0532 0130 01",
        "4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "000-12-3456",
        "the password: is changed monthly",
        "token: aaaaaaaaaaaa",
        "order 1234567890123",
        "https://example.org:8080/a@b",
        "+1 2",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert look(text) == []


def test_a_value_is_told_once_in_the_order_of_the_text() -> None:
    hits = look("b.b@x.org a.a@x.org b.b@x.org")
    assert [hit.value for hit in hits] == ["b.b@x.org", "a.a@x.org"]


@pytest.mark.parametrize("piece", ["a.", "+1 ", "1 ", "eyJ-", "DE89 ", "http://a:", "password:", "-----BEGIN A ", "@a.", "1-"])
def test_hostile_text_is_looked_at_to_its_limit_and_not_beyond(piece: str) -> None:
    text = piece * (2 * MOST // len(piece)) + " late@example.org"
    assert all(hit.value != "late@example.org" for hit in look(text))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=300))
def test_no_text_raises_and_every_value_is_in_it(text: str) -> None:
    assert all(hit.value in text for hit in look(text))
