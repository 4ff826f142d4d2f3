"""A web site by its sitemap, from a real server: own host, robots.txt, addresses, redirects, bombs."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st
from made_sources import by_name, origin, read_all, settings, synced

from groundtune.access.addresses import is_public
from groundtune.documents.catalogue import Catalogue
from groundtune.documents.changes import documents_of
from groundtune.documents.given import Policy
from groundtune.documents.sources import robots, web
from groundtune.documents.sources.guard import Guard
from groundtune.errors import DocumentError, GroundtuneError, SourceError

PAGE = b"<html><head><title>T</title></head><body><h1>Install</h1><p>Type it.</p></body></html>"


class Server:
    """Answers (status, headers, body) by path, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["Host"]))
                status, headers, body = outer.answers.get(self.path, (404, {}, b"no"))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def page(self, path: str, body: bytes = PAGE, kind: str = "text/html; charset=utf-8", status: int = 200, **headers: str) -> None:
        self.answers[path] = (status, {"Content-Type": kind, **headers}, body)

    def sitemap(self, *urls: str, path: str = "/sitemap.xml", changed: str = "") -> None:
        entries = "".join(f"<url><loc>{url if ':' in url else self.base + url}</loc>{changed}</url>" for url in urls)
        self.page(path, f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>'.encode(), "text/xml")


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def opened(server: Server, **given: Any) -> web.Site:
    table = {"url": f"{server.base}/sitemap.xml", "allow_private": True, "timeout_seconds": 5, **given}
    return web.open(settings("web", **table), Path())


def test_pages_are_named_after_their_paths_and_know_their_address(server: Server) -> None:
    server.sitemap("/", "/guide/install", "/a.html", "/notes.txt", "/guide/?page=2")
    for path in ("/", "/guide/install", "/a.html", "/guide/?page=2"):
        server.page(path)
    server.page("/notes.txt", b"plain words", "text/plain")
    found = read_all(opened(server))
    assert found == {
        "index.html": PAGE,
        "guide/install.html": PAGE,
        "a.html": PAGE,
        "notes.txt": b"plain words",
        "guide/index.html@page=2.html": PAGE,
    }
    assert by_name(opened(server))["guide/install.html"].metadata == {"url": f"{server.base}/guide/install"}
    documents = documents_of(synced(Catalogue(None), origin(opened(server))))
    assert "Type it." in documents["document:box/guide/install.html"].text


def test_an_old_page_is_read_by_the_encoding_that_its_header_names(server: Server) -> None:
    server.sitemap("/old.html", "/wrong.html", "/new.html", "/old.txt")
    server.page("/old.html", "<p>Größe</p>".encode("latin-1"), "text/html; charset=ISO-8859-1")
    server.page("/wrong.html", "<p>Größe</p>".encode(), "text/html; charset=ISO-8859-1")
    server.page("/new.html", "<p>Größe</p>".encode("latin-1"))
    server.page("/old.txt", "Größe".encode("latin-1"), "text/plain; charset=windows-1252")
    found = synced(Catalogue(None), origin(opened(server)))
    assert {item.source: item.text for item in documents_of(found).values()} == {
        "box/old.html": "Größe",
        "box/wrong.html": "Größe",
        "box/old.txt": "Größe",
    }
    assert found.counts["failed"] == 1, "a page that is not what it says it is"


def test_a_page_cannot_name_its_own_readers(server: Server) -> None:
    server.sitemap("/a.html")
    server.page("/a.html", b'<html><head><meta name="readers" content="everyone"></head><body><p>text</p></body></html>')
    [document] = documents_of(
        synced(Catalogue(None), origin(opened(server), policy=Policy(readers=frozenset({"staff"}), trusted=False)))
    ).values()
    assert document.readers == {"staff"}


def test_robots_are_respected_for_pages_and_for_redirects_to_them(server: Server) -> None:
    server.page("/robots.txt", b"User-agent: *\nDisallow: /private\nAllow: /private/open", "text/plain")
    server.sitemap("/a.html", "/private/x.html", "/private/open.html", "/to.html")
    server.page("/a.html")
    server.page("/private/open.html")
    server.page("/to.html", b"", status=302, Location="/private/x.html")
    found = read_all(opened(server))
    assert found["a.html"] == found["private/open.html"] == PAGE
    assert "robots.txt" in str(found["private/x.html"]) and "robots.txt" in str(found["to.html"])
    assert not [path for path, _ in server.asked if path.startswith("/private/x")]


def test_robots_that_cannot_be_had_allow_nothing(server: Server) -> None:
    server.page("/robots.txt", b"", status=503)
    server.sitemap("/a.html")
    with pytest.raises(SourceError, match=r"robots.txt was answered with 503"):
        read_all(opened(server))
    assert [path for path, _ in server.asked] == ["/robots.txt"]


def test_the_sitemap_is_found_by_robots(server: Server) -> None:
    server.page("/robots.txt", f"Sitemap: {server.base}/maps/one.xml".encode(), "text/plain")
    server.sitemap("/a.html", path="/maps/one.xml")
    server.page("/a.html")
    assert read_all(opened(server, url=f"{server.base}/")) == {"a.html": PAGE}


def test_an_index_of_packed_sitemaps_is_followed_and_a_circle_ends(server: Server) -> None:
    inner = f"<urlset><url><loc>{server.base}/a.html</loc></url></urlset>".encode()
    maps = "".join(f"<sitemap><loc>{server.base}{path}</loc></sitemap>" for path in ("/one.xml.gz", "/sitemap.xml"))
    server.page("/sitemap.xml", f"<sitemapindex>{maps}</sitemapindex>".encode(), "text/xml")
    server.page("/one.xml.gz", gzip.compress(inner), "application/gzip")
    server.page("/a.html")
    assert read_all(opened(server)) == {"a.html": PAGE}


def test_other_hosts_and_ports_are_never_asked(server: Server) -> None:
    other = Server()
    try:
        server.sitemap(
            "/a.html", f"{other.base}/x.html", "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "http://u:p@127.0.0.1/"
        )
        server.page("/a.html")
        found = read_all(opened(server))
        assert found.pop("a.html") == PAGE and len(found) == 4 and all(isinstance(text, str) for text in found.values())
        assert not other.asked
        server.page("/a.html", b"", status=302, Location=f"{other.base}/x.html")
        assert "only the sitemap's own host" in str(read_all(opened(server))["a.html"]) and not other.asked
    finally:
        other.http.shutdown()
        other.http.server_close()


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data/", "http://localhost/", "file:///etc/passwd", "gopher://x/", "//10.0.0.1/"]
)
def test_redirects_to_private_places_are_refused(target: str, server: Server) -> None:
    server.sitemap("/a.html")
    server.page("/a.html", b"", status=301, Location=target)
    assert isinstance(read_all(opened(server))["a.html"], str)


def test_a_circle_of_redirects_ends(server: Server) -> None:
    server.sitemap("/a.html")
    server.page("/a.html", b"", status=302, Location="/a.html")
    assert "redirects" in str(read_all(opened(server))["a.html"])


def test_private_addresses_are_refused_unless_the_project_allows_them(server: Server) -> None:
    server.sitemap("/a.html")
    with pytest.raises(SourceError, match="not a public address"):
        read_all(opened(server, allow_private=False))
    assert not server.asked


def test_the_address_that_was_looked_at_is_the_one_connected_to(server: Server) -> None:
    """A name that resolves to another address the second time (DNS rebinding) gains nothing: it is resolved once a request."""
    port = server.http.server_port
    asked: list[str] = []

    def resolver(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    server.page("/x")
    guard = Guard("docs.example.com", port, allow_private=True, resolver=resolver)
    assert guard.get(f"http://docs.example.com:{port}/x").body == PAGE
    assert asked == ["docs.example.com"] and server.asked == [("/x", f"docs.example.com:{port}")]
    mixed = Guard("docs.example.com", port, resolver=lambda *_: ["93.184.215.14", "127.0.0.1"])
    with pytest.raises(SourceError, match="not a public"):
        mixed.get(f"http://docs.example.com:{port}/x")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
    ]
    + ["fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::", "ff02::1"],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


def test_addresses_that_are_public() -> None:
    assert is_public("93.184.215.14") and is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><urlset><url><loc>&b;</loc></url></urlset>', "entity"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><urlset/>', "entity"),
        (b"<urlset>" + b"<url>" * 100 + b"</urlset>", "20 deep"),
        (b"<urlset><url><loc>x", "no sitemap"),
        (b"<html></html>", "no sitemap"),
        (b"", "no sitemap"),
        (gzip.compress(b"0" * 60_000_000), "more than"),
        (b"\x1f\x8bgarbage", "unpacked"),
        (b"<urlset>" + b"".join(b"<url><loc>http://127.0.0.1/%d</loc></url>" % n for n in range(60)) + b"</urlset>", "more than 50 pages"),
    ],
)
def test_a_hostile_sitemap_makes_its_source_out_of_reach(body: bytes, words: str, server: Server) -> None:
    server.page("/sitemap.xml", body, "text/xml")
    with pytest.raises(SourceError, match=words):
        read_all(opened(server, most_items=50))


def test_too_large_and_wrongly_named_pages_are_told_and_stop_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.sitemap("/a.html", "/bomb.html", "/pdf", "/lost.html", "/down.html", "/text.txt")
    server.page("/a.html")
    server.page("/bomb.html", gzip.compress(b"0" * 50_000_000), "text/html", **{"Content-Encoding": "gzip"})
    server.page("/pdf", b"%PDF", "application/pdf")
    server.page("/down.html", b"", status=500)
    server.page("/text.txt")
    found = read_all(opened(server))
    assert found.pop("a.html") == PAGE
    assert {name: str(text).split(": ", 1)[1][:24] for name, text in found.items()} == {
        "bomb.html": "more than 40,000,000 byt",
        "pdf.html": "is application/pdf, and ",
        "lost.html": "is in the sitemap, and w",
        "down.html": "was answered with 500",
        "text.txt": "is a page, and its name ",
    }


def test_a_server_that_is_down_is_out_of_reach(server: Server) -> None:
    server.http.server_close()
    server.http.shutdown()
    with pytest.raises(SourceError, match="cannot be fetched"):
        read_all(opened(server))


def test_a_time_of_change_is_a_stamp_only_when_it_is_settled(server: Server) -> None:
    server.sitemap("/a.html", changed="<lastmod>2020-01-01</lastmod>")
    assert by_name(opened(server))["a.html"].stamp == "2020-01-01"
    assert web.settled("2999-01-01") == "" == web.settled("yesterday") and web.settled("2026-03-01T10:00:00+00:00")


@pytest.mark.parametrize("path", ["/%2e%2e/%2e%2e/etc/passwd", "/a/../../b", "/..%2fup", "/a%00b"])
def test_paths_upwards_are_refused_by_name(path: str, server: Server) -> None:
    server.sitemap("/a.html", path)
    server.page("/a.html")
    found = synced(Catalogue(None), origin(opened(server)))
    assert set(documents_of(found)) == {"document:box/a.html"} and found.counts["failed"] == 1


@pytest.mark.parametrize("url", ["", "ftp://x/", "nonsense", "http://"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(SourceError, match="expected http"):
        web.open(settings("web", url=url), Path())


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("User-agent: *\nDisallow: /a", "/ab", False),
        ("User-agent: *\nDisallow: /a$", "/ab", True),
        ("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdf", False),
        ("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdfx", True),
        ("User-agent: *\nDisallow: /\nAllow: /a", "/a/b", True),
        ("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True),
        ("User-agent: groundtune\nDisallow: /x\nUser-agent: *\nDisallow: /", "/y", True),
        ("User-agent: other\nDisallow: /", "/y", True),
        ("User-agent: other\nUser-agent: *\nDisallow: /", "/y", False),
        ("User-agent: *\nDisallow:", "/y", True),
        ("Disallow: /", "/y", True),
        ("User-agent: *\nDisallow: /%61", "/a", False),
        ("User-agent: *\nDisallow: /a?b=1", "/a?b=1", False),
        ("User-agent: *\nDisallow: /" + "*a" * 3000 + "$", "/" + "a" * 2000 + "b", True),
    ],
)
def test_robots_rules(text: str, path: str, allowed: bool) -> None:
    assert robots.parse(text, "groundtune").allows(f"http://x{path}") is allowed


@tries(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "replace")), st.text(max_size=20))
def test_any_robots_and_any_sitemap_are_read_or_told(text: str, path: str) -> None:
    robots.parse(f"User-agent: *\nDisallow: {text}\n{text}", "groundtune").allows(f"http://x/{path}")
    try:
        web.sitemap("http://x/", f"<urlset><url><loc>{text}</loc></url></urlset>".encode("utf-8", "replace"), most=5)
        Guard("x", 80).allows(text)
    except (GroundtuneError, DocumentError):
        pass


def test_a_page_that_comes_a_byte_at_a_time_is_left_after_its_time() -> None:
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            talk, _ = listening.accept()
            with talk:
                talk.recv(10_000)
                talk.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
                while not over.wait(0.05):
                    try:
                        talk.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        port = listening.getsockname()[1]
        try:
            with pytest.raises(SourceError, match="took more than 1 s"):
                Guard("127.0.0.1", port, allow_private=True, timeout=1.0).get(f"http://127.0.0.1:{port}/page")
        finally:
            over.set()
            thread.join(10)
