"""Who may ask: names of the machine, pages of other sites, the token, other users."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.web import Web

TOKEN = "a-token-of-enough-length"
AS_NOBODY = """
import encodings.idna, os, socket, sys
os.setuid(65534)
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30)
peer.sendall(b"GET /health/live HTTP/1.1\\r\\nhost: localhost\\r\\nconnection: close\\r\\n\\r\\n")
print(peer.recv(1000).decode())
"""
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def guarded(shared_daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Give a server that asks for a token."""
    file = token_file(tmp_path_factory.mktemp("token"), TOKEN)
    with Web(shared_daemon.runtime_dir, "--token-file", str(file)) as running:
        yield running


def token_file(directory: Path, text: str, mode: int = stat.S_IRUSR | stat.S_IWUSR) -> Path:
    """Write a file with a token."""
    file = directory / "token"
    file.write_text(text + "\n")
    file.chmod(mode)
    return file


@pytest.mark.covers("P17")
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8377", "127.0.0.1.evil.example", "x@evil.example"]
)
def test_other_names_are_refused(shared_web: Web, host: str) -> None:
    """Asked by a name that is not this machine's, as after DNS rebinding, nothing is answered."""
    for path in ("/", "/api/executions", "/static/login.html", "/health/live"):
        response = shared_web.get(path, headers={"host": host})
        assert (response.status_code, response.json()["error"]["code"]) == (403, "host")


@pytest.mark.covers("P17")
@pytest.mark.parametrize("host", ["localhost", "localhost:9", "127.0.0.1", "[::1]:8377", "x.localhost"])
def test_own_names_are_welcome(shared_web: Web, host: str) -> None:
    """Asked by loopback's names, through whatever port, it answers."""
    assert shared_web.get("/api/executions", headers={"host": host}).status_code == 200


@pytest.mark.covers("P17")
def test_host_that_is_none(shared_web: Web) -> None:
    """A request without a host, or with one that is none, is a bad request."""
    refused = shared_web.get("/", headers={"host": ""})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid")
    assert shared_web.get("/", headers={"host": "[::"}).status_code == 400
    with shared_web.socket() as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b" 400 " in peer.recv(1000)


@pytest.mark.covers("P17")
def test_names_that_the_operator_allows(shared_daemon: Daemon) -> None:
    """A name given with --allow-host is this machine's."""
    with Web(shared_daemon.runtime_dir, "--allow-host", "box.example") as web:
        assert web.get("/api/executions", headers={"host": "Box.example:80"}).status_code == 200


@pytest.mark.covers("P17")
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"},
    ],
)
def test_pages_of_other_sites_are_refused(shared_web: Web, headers: dict[str, str]) -> None:
    """What a browser asks for on behalf of another site's page is refused, streams as well."""
    for path in ("/api/executions", "/api/stream"):
        response = shared_web.get(path, headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "origin")


@pytest.mark.covers("P17")
def test_links_from_other_sites_lead_to_the_page(shared_web: Web) -> None:
    """A link on another site opens the page; our own page may ask everything."""
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert shared_web.get("/", headers=followed).status_code == 200
    ours = {"origin": shared_web.url, "sec-fetch-site": "same-origin"}
    assert shared_web.get("/api/executions", headers=ours).status_code == 200


@pytest.mark.covers("P17")
def test_every_answer_has_the_headers_of_a_careful_server(shared_web: Web, guarded: Web) -> None:
    """Pages, answers, errors and refusals: none may be framed, sniffed, or run what is not ours."""
    answers = [shared_web.get(path) for path in ("/", "/api/executions", "/nope", "/static/login.html")]
    answers += [guarded.get("/"), guarded.get("/api/executions"), shared_web.get("/", headers={"host": "x"})]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "server" not in answer.headers
        static = "/static/" in str(answer.url)
        assert answer.headers["cache-control"] == ("no-cache" if static else "no-store")


@pytest.mark.covers("P17")
def test_token(guarded: Web) -> None:
    """Without the token only its form, the page's files and the sign of life are answered."""
    for path in (
        "/api/executions",
        "/api/stream",
        "/metrics",
        "/docs",
        "/openapi.json",
        "/health/ready",
        "/nope",
    ):
        refused = guarded.get(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["error"]["code"] == "unauthorized"
        assert guarded.get(path, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert guarded.get(path, headers={"authorization": f"Basic {TOKEN}"}).status_code == 401
    assert guarded.get("/health/live").status_code == 200
    assert guarded.get("/static/login.html").status_code == 200
    assert guarded.get("/api/executions", headers=BEARER).status_code == 200
    assert guarded.get("/api/executions", headers={"authorization": b"Bearer \xff"}).status_code == 401


@pytest.mark.covers("P17")
def test_login(guarded: Web) -> None:
    """Who shows the token in the form, or once in the address, gets a cookie that scripts cannot read."""
    assert "<form" in guarded.get("/").text
    origin = {"origin": guarded.url}
    for wrong in ({"token": "wrong"}, {"token": ""}, {}, {"other": TOKEN}):
        assert guarded.client.post("/login", data=wrong, headers=origin).status_code == 401
    assert guarded.client.post("/login", data={"token": TOKEN}).status_code == 403
    done = guarded.client.post("/login", data={"token": TOKEN}, headers=origin)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    cookie = done.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    try:
        assert guarded.get("/api/executions").status_code == 200
        assert guarded.get("/").status_code == 200
    finally:
        guarded.client.cookies.clear()
    linked = guarded.get("/", params={"token": TOKEN})
    assert (linked.status_code, linked.headers["location"]) == (303, "/")
    guarded.client.cookies.clear()
    assert guarded.get("/", params={"token": "wrong"}).status_code == 401
    assert guarded.get("/api/executions", params={"token": TOKEN}).status_code == 401


@pytest.mark.covers("P17")
def test_other_addresses_need_a_token(alone: Cli, tmp_path: Path) -> None:
    """It does not start on another address than loopback without a token, nor with one that is none."""
    done = alone("web", "--host", "0.0.0.0")
    assert done.code == 3
    assert "0.0.0.0 is not loopback, and there is no token" in done.err
    for text, mode, says in (
        ("short", 0o600, "no token"),
        ("two words are not one", 0o600, "no token"),
        (TOKEN, 0o640, "others may read"),
    ):
        file = token_file(tmp_path, text, mode)
        done = alone("web", "--host", "0.0.0.0", "--token-file", str(file))
        assert (done.code, says in done.err) == (3, True)
    assert alone("web", "--token-file", str(tmp_path / "none")).code == 2


@pytest.mark.covers("P17")
def test_another_address_with_a_token(shared_daemon: Daemon, tmp_path: Path) -> None:
    """With a token it listens where it is told."""
    file = token_file(tmp_path, TOKEN)
    with Web(shared_daemon.runtime_dir, "--host", "0.0.0.0", "--token-file", str(file)) as web:
        assert web.get("/api/executions", headers=BEARER | {"host": socket.gethostname()}).status_code == 200
        assert web.get("/api/executions").status_code == 401


@pytest.mark.covers("P17")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_other_users_of_the_machine(shared_web: Web, guarded: Web) -> None:
    """Without a token, a process of another user of this machine is told that the server is not its own."""
    codes = [
        subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(web.port)], capture_output=True, text=True, check=True
        ).stdout.split()[1]
        for web in (shared_web, guarded)
    ]
    assert codes == ["403", "200"]
