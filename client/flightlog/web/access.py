"""Who may ask what: host names, origins, the token."""

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from flightlog.web.problem import Problem

OPEN_PATHS: Final = ("/health/live", "/login", "/static/")
"""What is answered without the token: that it runs, how to log in, and the files of the page."""

NOT_OURS: Final = Problem(
    403,
    "forbidden",
    "what changes something needs the token or an `Origin` that is this server",
    "send the header `Origin: http://HOST:PORT` of this server, or a token",
)
"""What a request that would change something is told where nothing says that it is meant."""

_CROSS: Final = frozenset({"cross-site", "same-site"})
_HOST_HINT: Final = "name it with --allow-host, if it is one of this machine's"

Headers = Mapping[str, str]


class Access:
    """What a request needs.

    A page of another site can make a browser send requests here, and, by letting its own name point to this
    machine (DNS rebinding), read the answers. So the name by which we are asked has to be one of ours, and
    what a browser says of where a request comes from has to be ourselves.

    Args:
        host: The address that is listened on.
        names: More names for this machine.
        token: What a request has to know; None where every request that comes is welcome.
    """

    def __init__(self, host: str, names: tuple[str, ...], token: str | None) -> None:
        self._names = {"localhost", host.lower(), socket.gethostname().lower(), *map(str.lower, names)}
        self._token = None if token is None else token.encode()

    @property
    def cookie(self) -> str | None:
        """What a browser that has shown the token gets to show instead; the token cannot be told from it."""
        return None if self._token is None else hmac.digest(self._token, b"cookie", "sha256").hex()

    def check(self, path: str, headers: Headers, cookie_name: str) -> bool:
        """Return where a request is welcome, with whether it may change something; else `NOT_OURS` is for it.

        That is for whoever would change something to look at: that there is no such method comes first. A
        WebSocket only reads here; a browser always says which page opens it, and another's is refused.

        Args:
            path: Its path.
            headers: Its headers by lower-case name.
            cookie_name: The name of the cookie that shows a token.

        Raises:
            Problem: it is not; the status is 400, 401 or 403.
        """
        self._check_host(headers.get("host", ""))
        same_origin = self._check_origin(path, headers)
        bearer = self.is_token(headers.get("authorization", ""))
        if not path.startswith(OPEN_PATHS) and not self.is_known(headers, cookie_name):
            raise Problem(
                401,
                "unauthorized",
                "this server wants its token",
                "send `Authorization: Bearer TOKEN`, or open / in a browser",
                {"www-authenticate": "Bearer"},
            )
        return bearer or same_origin

    def is_known(self, headers: Headers, cookie_name: str) -> bool:
        """Say whether a request shows the token or what stands for it, or no token is wanted."""
        if self._token is None or self.is_token(headers.get("authorization", "")):
            return True
        cookie = self.cookie
        assert cookie is not None
        for pair in headers.get("cookie", "").split(";"):
            key, _, value = pair.strip().partition("=")
            if key == cookie_name:
                return hmac.compare_digest(value.encode("utf-8", "replace"), cookie.encode())
        return False

    def is_token(self, authorization: str) -> bool:
        """Say whether the value of an `Authorization` header is the token."""
        kind, _, given = authorization.partition(" ")
        return kind.lower() == "bearer" and self.knows(given.strip())

    def knows(self, token: str) -> bool:
        """Say whether this is the token; how long that takes tells nothing about it."""
        return self._token is not None and hmac.compare_digest(token.encode("utf-8", "replace"), self._token)

    def _check_host(self, value: str) -> None:
        try:
            name = urlsplit(f"//{value}").hostname
        except ValueError:
            name = None
        if not name:
            raise Problem(400, "invalid", "no `Host` that is one")
        # Nobody can make an address, rather than a name, point to somewhere else.
        if name not in self._names and not name.endswith(".localhost") and not _is_address(name):
            raise Problem(403, "host", f"this server is not called {name!r}", _HOST_HINT)

    def _check_origin(self, path: str, headers: Headers) -> bool:
        """Say whether a request surely comes from a page of ours; one from another's is refused."""
        origin = headers.get("origin")
        if origin is not None:
            if urlsplit(origin).netloc.lower() != headers["host"].lower():
                raise Problem(403, "origin", "a page of another site asked for this")
            return True
        site = headers.get("sec-fetch-site")
        # A link from elsewhere to the page is welcome, what it would load in the background is not.
        followed = headers.get("sec-fetch-mode") == "navigate" and not path.startswith("/api/")
        if site in _CROSS and not followed:
            raise Problem(403, "origin", "a page of another site asked for this")
        return site == "same-origin"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
