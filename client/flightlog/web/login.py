"""Showing the token once, in a browser: a cookie stands for it from then on."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from flightlog.web.access import NOT_OURS, Access, Headers

Answer = tuple[int, dict[str, str], bytes]
Receive = Callable[[], Awaitable[dict[str, Any]]]

_PAGE: Final = Path(__file__).parent / "static" / "login.html"
_FORM_LIMIT_BYTES: Final = 4096
_COOKIE_AGE_S: Final = 30 * 24 * 3600
_HTML: Final = {"content-type": "text/html; charset=utf-8"}


class Login:
    """What answers in place of the page where a browser has yet to show the token.

    Args:
        access: Knows the token.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    def cookie_name(self, scope: dict[str, Any]) -> str:
        """Return the name of the cookie. Ports share cookies, and several servers may run on a machine."""
        return f"flightlog_{scope['server'][1]}"

    async def __call__(
        self, method: str, scope: dict[str, Any], headers: Headers, receive: Receive
    ) -> Answer | None:
        """Return an answer, or None where the request is not about logging in.

        Raises:
            Problem: it is not welcome.
        """
        if self._access.cookie is None:
            return None
        if scope["path"] == "/login" and method == "POST":
            if not self._access.check("/login", headers, ""):
                raise NOT_OURS
            return self._shown(_token(await _form(receive)), scope)
        if scope["path"] == "/" and method == "GET":
            # As any other request, but for the token.
            self._access.check("/login", headers, "")
            token = _token(scope["query_string"])
            if token is not None:
                return self._shown(token, scope)
            if not self._access.is_known(headers, self.cookie_name(scope)):
                return 401, _HTML, _PAGE.read_bytes()
        return None

    def _shown(self, token: str | None, scope: dict[str, Any]) -> Answer:
        """Return the way to the page where a token was shown, else the form again."""
        if token is None or not self._access.knows(token):
            return 401, _HTML, _PAGE.read_bytes()
        cookie = (
            f"{self.cookie_name(scope)}={self._access.cookie}; HttpOnly; SameSite=Strict; Path=/;"
            f" Max-Age={_COOKIE_AGE_S}"
        )
        # Off to an address without the token: it would stay in the history.
        return 303, {"location": "/", "set-cookie": cookie}, b""


async def _form(receive: Receive) -> bytes:
    body = b""
    while len(body) <= _FORM_LIMIT_BYTES:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body
    return b""


def _token(encoded: bytes) -> str | None:
    try:
        [token] = parse_qs(encoded.decode("ascii"), max_num_fields=8)["token"]
    except (ValueError, KeyError):
        return None
    return token.strip()
