"""Who may relay and collect: TLS both ways, and credentials that allow what the docs say, and no more."""

import json
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from os import urandom
from pathlib import Path
from typing import Any

import nkeys
import pytest

from cli.runner import Cli
from support.daemon import Daemon, DaemonFactory
from support.fleet import collected, say, told
from support.lines import logs
from support.nats import NatsServer

HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}
UNLIMITED = dict.fromkeys(
    (
        *("subs", "data", "payload", "imports", "exports", "conn", "leaf"),
        *("mem_storage", "disk_storage", "streams", "consumer"),
    ),
    -1,
)


def openssl(*arguments: str) -> None:
    """Run openssl."""
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def certificates(directory: Path) -> None:
    """Make an authority `ca.pem`, and `server.pem` and `client.pem` that it has signed, with their keys."""
    directory.mkdir()
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    ca = ("-CA", str(directory / "ca.pem"), "-CAkey", str(directory / "ca.key"))
    for name, extra in (("ca", ()), ("server", ca), ("client", ca)):
        constraint = "basicConstraints=critical,CA:" + ("TRUE" if name == "ca" else "FALSE")
        openssl(
            *("req", "-x509", *key, "-subj", f"/CN={name}", *extra, "-addext", constraint),
            *(("-addext", "subjectAltName=IP:127.0.0.1") if extra else ()),
            *("-keyout", str(directory / f"{name}.key"), "-out", str(directory / f"{name}.pem")),
        )


@pytest.mark.slow
@pytest.mark.covers("P12")
def test_tls_both_ways(origin: Daemon, centre: Daemon, there: Cli, here: Cli, home: Path) -> None:
    """Servers and programs show each other certificates; who has none of the authority's is not let in."""
    files = home / "tls"
    certificates(files)
    tls = f'cert_file: "{files}/server.pem", key_file: "{files}/server.key", ca_file: "{files}/ca.pem"'
    say(origin, "p", *logs("e", 10))
    with NatsServer(home / "nats", extra=[f"tls {{ {tls}, verify: true }}"]).start() as nats:
        url = nats.url.replace("nats://", "tls://")
        trust = ("--tls-ca", str(files / "ca.pem"))
        ours = (*trust, "--tls-cert", str(files / "client.pem"), "--tls-key", str(files / "client.key"))
        there.ok("relay", "--to", url, *ours, "--once")
        here.ok("collect", "--from", url, *ours, "--once")
        for less in ((), trust):
            done = there("relay", "--to", url, *less, "--once")
            assert done.code == 2, done
            assert "no connection to 127.0.0.1" in done.err
            assert "certificate" in done.err
    assert collected(centre) == told([origin])


class Issuer:
    """A key of NATS, and what is signed with it.

    Args:
        kind: Of an operator, an account or a user.
    """

    def __init__(self, kind: int) -> None:
        self.seed = nkeys.encode_seed(urandom(32), kind)
        self.pair = nkeys.from_seed(self.seed)
        self.name = self.pair.public_key.decode()

    def sign(self, subject: str, **claims: Any) -> str:
        """Return claims about somebody, signed."""
        body = {"jti": "x", "iat": 1, "iss": self.name, "name": subject, "sub": subject}
        parts = [
            _base64(json.dumps(part).encode()) for part in (HEADER, body | {"nats": claims | {"version": 2}})
        ]
        return ".".join((*parts, _base64(self.pair.sign(".".join(parts).encode()))))

    def credentials(self, file: Path, publish: Sequence[str]) -> Path:
        """Write a credentials file of a user of this account who may publish on some subjects."""
        user = Issuer(nkeys.PREFIX_BYTE_USER)
        told = self.sign(
            user.name,
            type="user",
            **dict.fromkeys(("subs", "data", "payload"), -1),
            pub={"allow": publish},
            sub={"allow": ["_INBOX.>"]},
        )
        file.write_text(
            f"-----BEGIN NATS USER JWT-----\n{told}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
        )
        return file


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.slow
@pytest.mark.covers("P12")
def test_credentials(daemon_factory: DaemonFactory, centre: Daemon, here: Cli, home: Path) -> None:
    """Permissions as the docs have them are enough, and a machine cannot speak for another one."""
    operator, account, system = map(
        Issuer, (nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_ACCOUNT)
    )
    limits = UNLIMITED | {"wildcards": True}
    accounts = ", ".join(
        f"{one.name}: {operator.sign(one.name, type='account', limits=limits if one is account else {})}"
        for one in (account, system)
    )
    trust = [
        f"operator: {operator.sign(operator.name, type='operator')}",
        f"system_account: {system.name}",
        "resolver: MEMORY",
        f"resolver_preload: {{ {accounts} }}",
    ]
    stream = [f"$JS.API.STREAM.{what}.flightlog" for what in ("INFO", "CREATE")]
    relay = account.credentials(home / "relay.creds", ["flightlog.web-3.*", *stream])
    collect = account.credentials(
        home / "collect.creds",
        [
            "$JS.API.CONSUMER.*.flightlog.>",
            "$JS.API.CONSUMER.*.*.flightlog.>",
            "$JS.ACK.flightlog.>",
            stream[0],
        ],
    )
    origin = daemon_factory(name="origin", host_name="web-3")
    there = Cli(origin.runtime_dir)
    say(origin, "p", *logs("e", 10))
    with NatsServer(home / "nats", extra=trust).start() as nats:
        passed = there("relay", "--to", nats.url, "--creds", str(relay), "--once")
        assert passed.code == 0, (passed, (home / "nats/nats.log").read_text()[-3000:])
        here.ok("collect", "--from", nats.url, "--creds", str(collect), "--once")
        origin.config["host_name"] = "db-1"
        origin.restart()
        other = there("relay", "--to", nats.url, "--creds", str(relay), "--once", "--after", "0")
        assert other.code == 2
        assert "takes nothing" in other.err
        assert 'permissions violation for publish to "flightlog.db-1.' in other.err.lower()
        assert there("relay", "--to", nats.url, "--once").code == 2
    assert collected(centre) == told([origin])
