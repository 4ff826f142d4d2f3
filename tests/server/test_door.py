"""Who gets in, and what no request gets past: names, origins, cookies, forms, sizes; and that no response tells more than it should."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_pages import Window, on_disk, project, reviewed, served
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from groundtune.errors import StateError
from groundtune.server.door import HEADERS, MOST_BODY, Door
from groundtune.server.pages import coded, fewer, hidden, more, numbers, plain, seen
from groundtune.server.serve import bound


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("door") / "p")


@pytest.fixture(scope="module")
def window(folder: Path) -> Iterator[Window]:
    with reviewed(folder) as door:
        yield Window(door)


def raw(door: Door, request: str) -> bytes:
    """Send bytes as they are, which no client would."""
    with socket.create_connection(("127.0.0.1", int(door.host.rpartition(":")[2])), timeout=10) as connection:
        connection.sendall(request.encode("latin-1"))
        answer = b""
        with contextlib.suppress(ConnectionResetError):  # what was refused was not read to its end
            while part := connection.recv(65536):
                answer += part
        return answer


def test_the_link_lets_one_browser_in_once(folder: Path) -> None:
    with reviewed(folder) as door, httpx.Client(base_url=door.origin, verify=False) as client:
        assert client.head(door.link).status_code == 405
        assert client.get(f"{door.path}/enter?token=wrong").status_code == 403
        assert client.get(f"{door.path}/enter").status_code == 403
        answer = client.get(door.link)
        cookie = answer.headers["set-cookie"]
        assert answer.status_code == 200 and f'content="0; url={door.path}/"' in answer.text
        assert {"HttpOnly", "SameSite=Strict", f"Path={door.path}"} <= set(cookie.split("; "))
        assert client.get(door.link).status_code == 200 and client.get(f"{door.path}/").status_code == 200
        with httpx.Client(base_url=door.origin, verify=False) as other:
            assert other.get(door.link).status_code == 403 and "set-cookie" not in other.get(door.link).headers
            assert other.get(f"{door.path}/").status_code == 403


def test_no_cookie_or_another_no_page_and_no_decision(window: Window, folder: Path) -> None:
    before = on_disk(folder)
    fields = window.form("/rows/decide") | {"did": "approved"}
    for cookie in (b"", b"groundtune=x", b"groundtune=", b"a=b; ;;=\x80", b"other=1"):
        with httpx.Client(base_url=window.door.origin, headers={b"Cookie": cookie}, verify=False) as client:
            for path in ("/", "/rows", "/rows/edit", "/nowhere"):
                assert client.get(window.door.path + path).status_code == 403
            said = client.post(f"{window.door.path}/rows/decide", data=fields, headers={"Origin": window.door.origin})
            assert said.status_code == 403 and "r0" not in said.text
    assert on_disk(folder) == before


def test_another_name_for_this_machine_is_refused(window: Window) -> None:
    port = window.door.host.rpartition(":")[2]
    names = ("evil.example", f"evil.example:{port}", f"localhost:{port}", "127.0.0.1", f"127.0.0.1:{port}.evil.example", "")
    for name in names:
        answer = window.client.get(f"{window.door.path}/", headers={"Host": name})
        assert answer.status_code in (400, 421) and "Question" not in answer.text, name
    twice = f"GET {window.door.path}/ HTTP/1.1\r\nHost: {window.door.host}\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert raw(window.door, twice).split()[1] in (b"400", b"421")
    assert b"200" not in raw(window.door, f"GET {window.door.path}/ HTTP/1.0\r\n\r\n").split()[1]


def test_another_site_cannot_decide(window: Window, folder: Path) -> None:
    before = on_disk(folder)
    fields = window.form("/rows/decide") | {"did": "approved"}
    path = f"{window.door.path}/rows/decide"
    for headers in (
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": window.door.origin.replace("127.0.0.1", "localhost")},
        {"Origin": f"{window.door.origin}.evil.example"},
        {"Origin": window.door.origin, "Sec-Fetch-Site": "cross-site"},
    ):
        assert window.client.post(path, data=fields, headers=headers).status_code == 403, headers
    own = {"Origin": window.door.origin}
    for changed in ({"csrf": ""}, {"csrf": "x" * 43}, {"csrf": "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")}):
        assert window.client.post(path, data=fields | changed, headers=own).status_code == 400
    del fields["csrf"]
    assert window.client.post(path, data=fields, headers=own).status_code == 400
    assert window.client.post(path, json=fields, headers=own).status_code == 415
    assert window.client.post(path, content=b"x", headers=own | {"Content-Type": "text/plain"}).status_code == 415
    assert window.client.get(path, params=fields).status_code == 405
    assert window.client.put(path, data=fields, headers=own).status_code == 405
    assert on_disk(folder) == before


def test_what_is_too_large_or_no_form_is_refused(window: Window, folder: Path) -> None:
    before = on_disk(folder)
    path, own = f"{window.door.path}/rows/save", {"Origin": window.door.origin, "Content-Type": "application/x-www-form-urlencoded"}
    secret = f"csrf={window.door.csrf}&"
    assert window.client.post(path, content=f"{secret}a={'x' * MOST_BODY}", headers=own).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(MOST_BODY // 10_000 + 5):
            yield b"x" * 10_000

    assert window.client.post(path, content=endless(), headers=own).status_code == 411
    for body in ("", "a", "%ff=1&" + secret, secret + "a=1&a=2", secret + "&".join(f"f{n}=" for n in range(500)), secret + "\x80=\xff"):
        answer = window.client.post(path, content=body.encode("latin-1"), headers=own)
        assert answer.status_code in (400, 409), body[:40]
    long = f"POST {path} HTTP/1.1\r\nHost: {window.door.host}\r\nX: {'y' * 200_000}\r\n\r\n"
    assert b"Question" not in (answer := raw(window.door, long)) and answer[9:10] in (b"", b"4")
    for length in ("-1", "1e3", "9" * 40, "\xb2"):
        head = f"POST {path} HTTP/1.1\r\nHost: {window.door.host}\r\nOrigin: {window.door.origin}\r\nConnection: close\r\n"
        kind = "Content-Type: application/x-www-form-urlencoded\r\n"
        assert raw(window.door, f"{head}{kind}Content-Length: {length}\r\n\r\na=b").split()[1] in (b"400", b"411", b"413"), length
    assert on_disk(folder) == before


def test_every_response_has_the_headers_that_keep_it_to_itself(window: Window) -> None:
    paths = ("/", "/rows", "/rows?part=card", "/nowhere", "/rows?at=gone", "/static/pages.js", "/static/../door.py", "/static/none.css")
    answers = [window.client.get(window.door.path + path) for path in paths] + [httpx.get(window.door.origin + "/", verify=False)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 409, 200, 404, 404, 403]
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert "server" not in answer.headers
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy
    page = answers[0].text
    assert not re.search(r"<[^>]+\s(style|on\w+)=", page) and not re.search(r"<script(?![^>]*src=)", page) and "<style" not in page
    assert not [link for link in re.findall(r'(?:src|href|action)="([^"]*)"', page) if not link.startswith((window.door.path, "#"))]


def test_a_fault_of_ours_shows_no_traceback_and_the_next_request_is_served() -> None:
    async def broken(request: Request) -> Response:
        raise RuntimeError("secret words in /a/path")

    async def fine(request: Request) -> Response:
        return Response("fine")

    with served(lambda: lambda door: [Route("/", fine), Route("/broken", broken)]) as door:
        window = Window(door)
        window.get("/broken")
        assert window.status == 500 and "its details are in the terminal" in window.page
        assert not re.search("secret|Traceback|RuntimeError|/a/path|site-packages", window.page)
        answer = window.client.get(f"{door.path}/broken", headers={"Accept": "application/json"})
        assert answer.json() == {"error": "something went wrong here", "hint": "its details are in the terminal that the server runs in"}
        assert window.get("/") == "fine"


def test_the_server_listens_on_this_machine_only_and_a_taken_port_is_told() -> None:
    with bound(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        listening.listen()
        with pytest.raises(StateError, match=r"port \d+ of 127.0.0.1 cannot be used") as caught:
            bound(listening.getsockname()[1])
        assert "--port" in caught.value.hint


def test_no_two_servers_share_a_path_or_a_secret() -> None:
    one, other = Door(1), Door(1)
    assert one.path != other.path and one.csrf != other.csrf and one.link != other.link
    assert one.enter("") is None and one.enter("\u20ac") is None and not one.knows("groundtune=") and not one.own_form("")


@given(st.text())
def test_a_shown_text_is_escaped_and_hides_no_letter(text: str) -> None:
    shown = str(seen(text))
    bare = re.sub(r'<span class="code" title="[^"<>]*">(\\u[0-9a-f]+)</span>', "", shown)
    assert "<" not in bare and ">" not in bare and '"' not in bare and "'" not in bare
    assert not any(hidden(letter) for letter in shown) and not any(hidden(letter) for letter in plain(text))


@given(st.text())
def test_json_with_its_hidden_letters_as_escapes_says_the_same(text: str) -> None:
    import json

    written = coded(json.dumps({"a": text}, ensure_ascii=False))
    assert json.loads(written) == {"a": text} and not any(hidden(letter) for letter in written)


def test_joiners_of_scripts_and_emoji_are_left_alone_and_controls_are_not() -> None:
    assert str(seen("क्\u200dष \U0001f468\u200d\U0001f469")) == "क्\u200dष \U0001f468\u200d\U0001f469"
    assert (
        'title="RIGHT-TO-LEFT OVERRIDE"' in str(seen("\u202e")) and "\\u200b" in str(seen("\u200b")) and "\\ue0041" in plain("\U000e0041")
    )
    assert str(seen("a\r\nb\tc")) == "a\nb\tc" and "\\u000d" in str(seen("a\rb"))


@given(st.text())
def test_what_can_be_taken_back_is_a_short_list_of_numbers_whatever_is_sent(text: str) -> None:
    found = numbers(text)
    assert len(found) <= 30 and all(0 <= number < 10**9 for number in found)
    assert numbers(more(text, 7))[-1] == 7 and 7 not in numbers(fewer(more(text, 7), 7)) or 7 in found
