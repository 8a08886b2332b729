"""Posting requests of OTLP: one connection, and what an answer means."""

import os
import re
import ssl
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct

from flightlog.errors import FlightlogError, UsageError

ANSWER_LIMIT_S: Final = 10.0
HEADERS_VARIABLE: Final = "OTEL_EXPORTER_OTLP_HEADERS"
"""More headers, as `name=value,name=value` with percent-encoding: what OpenTelemetry's exporters read."""

_AGAIN: Final = (429, 502, 503, 504)
_MISTAKEN: Final = (401, 403, 404, 405, 415)
_TOO_LARGE: Final = 413
_PAUSE_LIMIT_S: Final = 60.0
_ANSWER_LIMIT_BYTES: Final = 64 * 1024
_PRINTABLE: Final = re.compile("[!-~]+")
_HEADER_NAME: Final = re.compile("[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE: Final = re.compile(r"[\t -~]*")


class AgainError(Exception):
    """It is worth trying again; the message says what is wrong.

    Attributes:
        after_s: How long the receiver wants to be left alone; 0 where it did not say.
    """

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.after_s = after_s


class TooLargeError(Exception):
    """The receiver takes smaller requests only."""


class Partial(Struct, rename="camel"):
    """How much of a request was not taken, and why."""

    rejected_spans: int | str = 0
    rejected_log_records: int | str = 0
    error_message: str = ""


class _Answer(Struct, rename="camel"):
    partial_success: Partial | None = None


class Receiver:
    """One receiver of OTLP over HTTP.

    Args:
        url: Its base, to which `/v1/logs` and `/v1/traces` are added.
        tls_ca: Certificates to trust, None for the system's.
        tls_cert: Our own certificate.
        tls_key: Its key, where that is a file of its own.

    Attributes:
        name: Host, port and path, without anything secret.

    Raises:
        UsageError: the URL is none, the files make no sense, or a header cannot be sent.
    """

    def __init__(
        self, url: str, tls_ca: Path | None = None, tls_cert: Path | None = None, tls_key: Path | None = None
    ) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.username is not None:
            raise UsageError(
                "a name and a password are no part of the URL",
                f'{HEADERS_VARIABLE}="Authorization=Basic%20..."',
            )
        # What is left over could not be sent, or would be left out in silence.
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or port == -1
            or parts.query
            or parts.fragment
            or not _PRINTABLE.fullmatch(url)
        ):
            raise UsageError(f"{url}: no URL of a receiver", "http://HOST:4318 or https://HOST/PATH")
        self.name = f"{parts.netloc}{parts.path}"
        self._path = parts.path.rstrip("/")
        self._headers = {"content-type": "application/json", **_more_headers()}
        self._connection: HTTPConnection
        if parts.scheme == "https":
            try:
                context = ssl.create_default_context(cafile=tls_ca)
                if tls_cert is not None:
                    context.load_cert_chain(tls_cert, tls_key)
            except OSError as error:
                raise UsageError(f"the certificates: {error.strerror or error}") from None
            self._connection = HTTPSConnection(parts.hostname, port, timeout=ANSWER_LIMIT_S, context=context)
        else:
            self._connection = HTTPConnection(parts.hostname, port, timeout=ANSWER_LIMIT_S)

    def post(self, signal: str, body: bytes) -> tuple[int, str]:
        """Post a request, and return how many of its items were not taken, and why.

        Args:
            signal: `logs` or `traces`.
            body: The request in JSON.

        Raises:
            AgainError: it may be taken later.
            TooLargeError: it has to be smaller.
            FlightlogError: nothing that is posted there will ever be taken.
        """
        try:
            self._connection.request("POST", f"{self._path}/v1/{signal}", body, self._headers)
            answer = self._connection.getresponse()
            told = answer.read(_ANSWER_LIMIT_BYTES)
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise AgainError(f"the receiver does not answer: {str(error) or type(error).__name__}") from None
        if not answer.isclosed():
            self._connection.close()  # the rest of a long answer is of no interest
        if answer.status == _TOO_LARGE:
            raise TooLargeError
        if answer.status in _AGAIN:
            raise AgainError(
                f"the receiver does not take it: HTTP {answer.status}",
                _seconds(answer.getheader("retry-after")),
            )
        reason = f"HTTP {answer.status}: {told[:500].decode(errors='replace')}"
        if answer.status in _MISTAKEN or 300 <= answer.status < 400:
            raise FlightlogError(
                f"the receiver does not take /v1/{signal}: {reason}", f"is it the URL? {HEADERS_VARIABLE}?"
            )
        if answer.status >= 400:
            return -1, reason
        return _rejected(told)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _rejected(told: bytes) -> tuple[int, str]:
    """Return what an answer says was not taken; one that is not understood says nothing."""
    decode: Callable[..., Any] = msgspec.json.decode
    try:
        partial = decode(told or b"{}", type=_Answer).partial_success or Partial()
        return int(partial.rejected_spans) + int(partial.rejected_log_records), partial.error_message
    except ValueError:
        return 0, ""


def _seconds(text: str | None) -> float:
    return min(float(text), _PAUSE_LIMIT_S) if text is not None and re.fullmatch("[0-9]+", text) else 0.0


def _more_headers() -> dict[str, str]:
    pairs = (part.partition("=") for part in os.environ.get(HEADERS_VARIABLE, "").split(",") if "=" in part)
    headers = {unquote(name.strip()): unquote(value.strip()) for name, _, value in pairs}
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise UsageError(f"{HEADERS_VARIABLE}: header {name!r} cannot be sent")
    return headers
