"""Keys from an issuer's address: a real server, which rotates them, stalls, lies, and sends what nobody asked for."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from groundtune.access.directory import Directory
from groundtune.access.jwks import APART, APART_WITHOUT, Published
from groundtune.access.tokens import Issuer, verified
from groundtune.errors import ConfigError, KeysError, TokenError
from groundtune.project import Project

FIRST, SECOND, STRANGER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(3))
CURVE = ec.generate_private_key(ec.SECP256R1())
NOBODY = Directory(principals={})


def row(key: Any, **more: str) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), **more}


def jwks(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(rows)}).encode()


def token(key: Any = FIRST, kid: str | None = "r1", algorithm: str = "RS256", **headers: Any) -> str:
    claims = {"iss": "https://sso", "aud": "groundtune", "sub": "ana", "exp": int(time.time()) + 600, "groups": ["staff"]}
    named = headers if kid is None else {**headers, "kid": kid}
    made: str = jwt.encode(claims, key, algorithm=algorithm, headers=named or None)
    return made


Answer = Callable[["Sender"], None]


class Sender(BaseHTTPRequestHandler):
    server: Issuing

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.seen.append((self.path, dict(self.headers)))
        self.server.answer(self)

    def log_message(self, *_: Any) -> None:
        pass

    def give(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class Issuing(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Sender)
        self.asked = 0
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()
        self.ended = 0
        self.answer: Answer = lambda sender: sender.give(jwks(row(FIRST, kid="r1")))

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a reader that hangs up is what these tests are about

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_port}/keys?tenant=1"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[Issuing]:
    with Issuing() as made:
        thread = threading.Thread(target=partial(made.serve_forever, 0.01), daemon=True)
        thread.start()
        yield made
        made.over.set()
        made.shutdown()


def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def ask(published: Published, text: str) -> str:
    return verified(text, Issuer(issuer="https://sso", audience="groundtune", keys=published), NOBODY).id


def test_keys_are_fetched_once_and_again_for_a_new_key_but_not_for_every_invented_one(server: Issuing) -> None:
    clock = Clock()
    published = Published(server.url, resolver=here, clock=clock)
    assert [ask(published, token()) for _ in range(3)] == ["ana"] * 3
    assert server.asked == 1
    path, headers = server.seen[0]
    assert path == "/keys?tenant=1" and headers["Host"] == f"localhost:{server.server_port}" and headers["Accept-Encoding"] == "identity"
    server.answer = lambda sender: sender.give(jwks(row(SECOND, kid="r2")))
    with pytest.raises(TokenError, match="no key that is known"):
        ask(published, token(SECOND, "r2"))
    assert server.asked == 1, "a minute is not over"
    clock.now += APART
    assert ask(published, token(SECOND, "r2")) == "ana"
    for number in range(20):
        with pytest.raises(TokenError, match="no key that is known"):
            ask(published, token(STRANGER, f"invented-{number}"))
    assert server.asked == 2
    with pytest.raises(TokenError, match="no key that is known"):
        ask(published, token())  # the issuer does not publish it any more


def test_a_forged_token_is_refused_and_one_that_no_key_could_have_signed_asks_nobody(server: Issuing) -> None:
    published = Published(server.url, resolver=here)
    for text in (token(b"k" * 32, "r1", "HS256"), token(FIRST, "r1", "RS512"), token(FIRST, "r1", jku="http://evil/k", crit=["jku"])):
        with pytest.raises(TokenError):
            ask(published, text)
    assert server.asked == 0
    for text in (token(STRANGER), token(CURVE, "r1", "ES256"), token(STRANGER, jku="http://evil/k")):
        with pytest.raises(TokenError):
            ask(published, text)
    assert server.asked == 1


def test_keys_for_other_uses_are_passed_over_and_two_of_one_id_are_refused(server: Issuing) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    others = [
        row(SECOND, kid="e", use="enc"),
        row(SECOND, kid="p", alg="PS512"),
        row(weak, kid="w"),
        {"kty": "oct", "k": "eA", "kid": "o"},
        {},
    ]
    server.answer = lambda sender: sender.give(jwks(*others, row(FIRST, kid="r1"), row(CURVE, kid="c1")))
    published = Published(server.url, resolver=here)
    assert ask(published, token()) == ask(published, token(CURVE, "c1", "ES256")) == "ana"
    for kid in "epwo":
        with pytest.raises(TokenError):
            ask(published, token(SECOND, kid))
    for body in (
        jwks(row(FIRST, kid="r1"), row(SECOND, kid="r1")),
        jwks(*others),
        jwks(),
        jwks(*[row(FIRST, kid=str(n)) for n in range(101)]),
    ):
        server.answer = lambda sender, body=body: sender.give(body)  # type: ignore[misc]
        with pytest.raises(KeysError, match="no token can be checked"):
            ask(Published(server.url, resolver=here), token())


def test_keys_that_cannot_be_renewed_hold_for_their_time_and_no_longer(server: Issuing) -> None:
    clock = Clock()
    published = Published(server.url, fresh=600, resolver=here, clock=clock)
    assert ask(published, token()) == "ana"
    server.answer = lambda sender: sender.give(b"", 503)
    clock.now += 300
    assert ask(published, token()) == "ana" and server.asked == 2
    clock.now += 299
    assert ask(published, token()) == "ana" and server.asked == 3
    clock.now += 1
    with pytest.raises(KeysError, match="HTTP 503"):
        ask(published, token())
    clock.now += APART_WITHOUT - 1.1
    count = server.asked
    with pytest.raises(KeysError, match="HTTP 503"):
        ask(published, token())
    assert server.asked == count, "while there are no keys, the issuer is asked every five seconds at most"
    server.answer = lambda sender: sender.give(jwks(row(FIRST, kid="r1")))
    clock.now += APART
    assert ask(published, token()) == "ana"


def packed(sender: Sender) -> None:
    sender.give(jwks(row(FIRST, kid="r1")), Content_Encoding="gzip")


def elsewhere(sender: Sender) -> None:
    sender.give(b"", 302, Location="http://169.254.169.254/latest/meta-data")


def large(sender: Sender) -> None:
    sender.give(b'{"keys": []' + b" " * 300_000 + b"}")


def short(sender: Sender) -> None:
    sender.give(jwks(row(FIRST, kid="r1")), Content_Length="100000")


def drip(sender: Sender, text: bytes) -> None:
    for letter in text:
        sender.wfile.write(bytes([letter]))
        sender.wfile.flush()
        if sender.server.over.wait(0.05):
            return
    sender.server.ended += 1


def dripped_head(sender: Sender) -> None:
    drip(sender, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2_000)


def dripped_body(sender: Sender) -> None:
    sender.send_response(200)
    sender.end_headers()
    drip(sender, jwks(row(FIRST, kid="r1")) + b" " * 2_000)


def silent(sender: Sender) -> None:
    sender.server.over.wait(60)
    sender.server.ended += 1


def nonsense(sender: Sender) -> None:
    sender.wfile.write(b"\x00" * 500)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (packed, "packed"),
        (elsewhere, "HTTP 302"),
        (large, "more than 262,144 bytes"),
        (short, "IncompleteRead|before its end"),
        (dripped_head, "took more than 0.3 s"),
        (dripped_body, "took more than 0.3 s"),
        (silent, "took more than 0.3 s|TimeoutError"),
        (nonsense, "BadStatusLine|cannot be fetched"),
        (lambda sender: sender.give(b"[" * 100_000), "not a JWKS"),
        (lambda sender: sender.give(b"\xff\xfe"), "not UTF-8"),
        (lambda sender: sender.give(b'{"keys": 7}'), "not a JWKS"),
        (lambda sender: sender.give(b""), "not a JWKS"),
        (
            lambda sender: sender.give(b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'),
            "holds no key for signatures; passed over: holds a key of kind 'oct'",
        ),
        (lambda sender: sender.give(b"", 404), "HTTP 404"),
    ],
)
def test_whatever_the_server_sends_there_is_an_end_and_no_token_is_taken(server: Issuing, answer: Answer, said: str) -> None:
    server.answer = answer
    slow = answer in (dripped_head, dripped_body, silent)
    with pytest.raises(KeysError, match=said) as raised:
        ask(Published(server.url, resolver=here, seconds=0.3 if slow else 20), token())
    assert server.ended == 0, "one limit for the whole answer, however it is stretched"
    assert token()[:40] not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://sso.example.com/keys",
        "ftp://localhost/keys",
        "file:///etc/passwd",
        "https://",
        "https://user:secret@sso.example.com/keys",
        "https://sso.example.com/keys#part",
        "https://sso.example.com:99999/keys",
        "https://sso.example.com/a b",
        "https://sso.example.com/a\nb",
        "https://ssö.example.com/keys",
        "http://localhost.evil.example/keys",
        "http://127.0.0.1.evil.example/keys",
        "http://[::1",
    ],
)
def test_an_address_that_is_not_https_or_this_machine_is_a_mistake_of_the_settings(url: str) -> None:
    with pytest.raises(ConfigError, match="jwks_url"):
        Published(url)


def test_no_private_address_is_connected_to_unless_that_is_allowed(server: Issuing) -> None:
    for address in (
        "127.0.0.1",
        "10.0.0.8",
        "169.254.169.254",
        "192.168.1.1",
        "::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "0.0.0.0",
    ):
        for found in ([address], ["93.184.215.14", address]):
            published = Published("https://sso.example.com/keys", resolver=lambda host, port, found=found: found)  # type: ignore[misc]
            with pytest.raises(KeysError, match="not a public address"):
                published.keys("r1")
    with pytest.raises(KeysError, match="not this machine"):
        Published(server.url, resolver=lambda host, port: ["10.0.0.8"]).keys("r1")
    with pytest.raises(KeysError, match="no address"):
        Published(server.url, resolver=lambda host, port: []).keys("r1")
    assert server.asked == 0


def test_many_threads_ask_once_and_those_with_a_known_key_do_not_wait(server: Issuing) -> None:
    clock = Clock()
    published = Published(server.url, resolver=here, clock=clock)
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: ask(published, token()), range(32))) == {"ana"}
    assert server.asked == 1
    gate, entered = threading.Event(), threading.Event()

    def held(sender: Sender) -> None:
        entered.set()
        gate.wait(5)
        sender.give(jwks(row(FIRST, kid="r1"), row(SECOND, kid="r2")))

    server.answer = held
    clock.now += APART
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, published, token(SECOND, "r2"))
        assert entered.wait(5)
        assert ask(published, token()) == "ana", "while the issuer is slow to answer about another key"
        assert not waiting.done()
        gate.set()
        assert waiting.result(5) == "ana"


def certified(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a self-signed certificate of a host, and its key."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    alternative = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(FIRST.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(FIRST, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key = FIRST.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key)
    return folder / "cert.pem", folder / "key.pem"


def test_a_certificate_has_to_be_trusted_and_of_that_very_host(tmp_path: Path, server: Issuing, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = certified(tmp_path, "sso.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    url = f"https://{{}}:{server.server_port}/keys"
    known = partial(Published, resolver=here, allow_private=True, seconds=5)
    with pytest.raises(KeysError, match="CERTIFICATE_VERIFY_FAILED"):
        known(url.format("sso.test")).keys("r1")
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    assert ask(known(url.format("sso.test")), token()) == "ana"
    assert server.seen[-1][1]["Host"] == f"sso.test:{server.server_port}"
    with pytest.raises(KeysError, match="Hostname mismatch"):
        known(url.format("other.test")).keys("r1")
    assert server.asked == 1


def test_a_server_that_never_ends_its_handshake_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        published = Published(f"https://localhost:{silent.getsockname()[1]}/keys", resolver=here, seconds=0.3)
        with pytest.raises(KeysError, match="took more than 0.3 s"):
            published.keys("r1")


def test_a_project_keeps_the_keys_of_its_address(tmp_path: Path, server: Issuing) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.md").write_text("---\nreaders: [staff]\n---\n# A\n\nA gate opens at six.\n")
    (tmp_path / "access.toml").write_text('[principals]\nana = ["staff"]\n')
    (tmp_path / "examples.jsonl").write_text("")
    (tmp_path / "groundtune.toml").write_text(
        '[project]\nname = "x"\nowner = "me"\n[answers]\ninstructions = "Answer."\n[examples]\npath = "examples.jsonl"\n'
        '[rubric]\nprimary = "token_f1"\n[[arms]]\nname = "prompt"\n'
        f'[access.tokens]\nissuer = "https://sso"\naudience = "groundtune"\njwks_url = "http://127.0.0.1:{server.server_port}/keys"\n'
    )
    project = Project(tmp_path)
    assert {project.verified(token()).id for _ in range(3)} == {"ana"}
    assert server.asked == 1
