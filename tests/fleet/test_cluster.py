"""A cluster of three servers that keep all of it, and what is left when parts of it are killed or cut off."""

import os
import random
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest

from cli.runner import COMMAND, Cli
from support.daemon import Daemon, DaemonFactory
from support.fleet import collected, held, say, told
from support.lines import log
from support.nats import NatsServer, cluster_of, nats_program, until

SEEDS = range(20261121, 20261121 + int(os.environ.get("FLEET_SEEDS", "1")))


@pytest.fixture
def cluster(home: Path) -> Iterator[list[NatsServer]]:
    """Give three servers that have agreed on a leader."""
    servers = cluster_of(home / "nats")
    with ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        starting = [threading.Thread(target=server.start) for server in servers]
        for thread in starting:
            thread.start()
        for thread in starting:
            thread.join()
        until(lambda: servers[0].monitored("/jsz").get("meta_cluster", {}).get("leader"), "no leader")
        yield servers


class Program:
    """A relay or a collector that is started again whenever it was killed.

    Args:
        cli: Whose command line.
        arguments: What it is called with.
        prefix: A command that runs it, as in another namespace.
    """

    def __init__(self, cli: Cli, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        self._cli = cli
        self._command = [*prefix, *COMMAND, *arguments]
        self._process = self._start()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait(30)

    def replace(self) -> None:
        """Kill it, and start another one."""
        self.kill()
        self._process = self._start()

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self.kill()

    def terminate(self) -> int:
        """Ask it to end, and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._cli.environment(),
            cwd="/",
        )


@contextmanager
def speaking(*daemons: Daemon) -> Iterator[threading.Event]:
    """Let producers speak to each daemon, one after the other, until the block is left."""
    enough = threading.Event()

    def speak(daemon: Daemon) -> None:
        for number in count(1):
            say(daemon, f"p{number}", *(log(f"e{number % 3}", f"{number} {line}") for line in range(40)))
            if enough.wait(0.02):
                return

    threads = [threading.Thread(target=speak, args=(daemon,)) for daemon in daemons]
    for thread in threads:
        thread.start()
    try:
        yield enough
    finally:
        enough.set()
        for thread in threads:
            thread.join()


@pytest.mark.slow
@pytest.mark.covers("P12", "D3", "D4", "D5")
def test_a_server_is_replaced(daemon_factory: DaemonFactory, cluster: list[NatsServer]) -> None:
    """Each server in turn is killed, one of them replaced by an empty one: nothing is lost or doubled."""
    origins = [daemon_factory(name=name) for name in ("a", "b")]
    centre = daemon_factory(name="centre")
    urls = ",".join(server.url for server in cluster)
    with ExitStack() as stack:
        programs = [
            Program(Cli(origin.runtime_dir), "relay", "--to", urls, "--replicas", "3") for origin in origins
        ]
        programs.append(Program(Cli(centre.runtime_dir), "collect", "--from", urls))
        for program in programs:
            stack.callback(program.close)
        with speaking(*origins):
            for server in cluster:
                before = held(centre)
                until(lambda: held(centre) > before + 200, "nothing came before", 60)  # noqa: B023
                server.kill()
                before = held(centre)
                until(lambda: held(centre) > before + 200, "nothing came after a server was killed", 60)  # noqa: B023
                if server is cluster[1]:
                    server.wipe()
                server.start()
                until(lambda: _caught_up(cluster), "the stream is not on three servers again", 60)
        expected = told(origins)
        until(lambda: held(centre) == len(expected), "not all came", 60)
        assert [program.terminate() for program in programs] == [0, 0, 0]
    assert collected(centre) == expected


def _caught_up(cluster: list[NatsServer]) -> bool:
    """Say whether every server has all of the stream."""
    for server in cluster:
        for account in server.monitored("/jsz?streams=true&accounts=true").get("account_details", []):
            for stream in account.get("stream_detail", []):
                replicas = stream["cluster"].get("replicas", [])
                if stream["cluster"].get("leader") == server.name:
                    return len(replicas) == 2 and all(replica["current"] for replica in replicas)
    return False


@pytest.mark.slow
@pytest.mark.covers("P12", "D3", "D4", "D5")
@pytest.mark.parametrize("seed", SEEDS)
def test_whoever_is_killed(daemon_factory: DaemonFactory, cluster: list[NatsServer], seed: int) -> None:
    """Relays, collectors, daemons and servers killed at random: the centre has each event once, in order."""
    chance = random.Random(seed)
    origins = [daemon_factory(name=name) for name in ("a", "b")]
    centre = daemon_factory(name="centre")
    urls = ",".join(server.url for server in cluster)
    with ExitStack() as stack:
        programs = [
            Program(Cli(origin.runtime_dir), "relay", "--to", urls, "--replicas", "3") for origin in origins
        ]
        programs += [Program(Cli(centre.runtime_dir), "collect", "--from", urls) for _ in range(2)]
        for program in programs:
            stack.callback(program.close)
        with speaking(*origins) as enough:
            for _ in range(15):
                enough.wait(chance.uniform(0.1, 1.0))
                everybody: list[Program | Daemon | NatsServer] = [*programs, centre, chance.choice(cluster)]
                victim = chance.choice(everybody)
                if isinstance(victim, Program):
                    victim.replace()
                else:
                    victim.kill()
                    enough.wait(chance.uniform(0, 1.0))
                    victim.start()
        expected = told(origins)
        until(lambda: held(centre) == len(expected), "not all came", 90)
    assert collected(centre) == expected


@contextmanager
def cable() -> Iterator[tuple[str, str]]:
    """Give two networks that are connected by nothing but a cable, whose ends are called `wire`."""
    names = f"fl-a{os.getpid()}", f"fl-b{os.getpid()}"
    made = [
        *(["ip", "netns", "add", name] for name in names),
        ["ip", "-n", names[0], "link", "add", "wire", "type", "veth", "peer", "wire", "netns", names[1]],
        *(
            ["ip", "-n", name, "addr", "add", f"10.231.7.{number}/24", "dev", "wire"]
            for number, name in enumerate(names, 1)
        ),
        *(["ip", "-n", name, "link", "set", link, "up"] for name in names for link in ("lo", "wire")),
    ]
    try:
        for command in made:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"networks of our own are not allowed here: {done.stderr.strip()}")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.covers("P12", "D4")
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="root and ip are needed")
def test_the_network_is_cut(daemon_factory: DaemonFactory, home: Path) -> None:
    """A collector whose network is cut without a word goes on when it is back; nothing is lost or doubled."""
    origin, centre = daemon_factory(name="origin"), daemon_factory(name="centre")
    with ExitStack() as stack:
        there, here = stack.enter_context(cable())
        inside = ("ip", "netns", "exec", there)
        server = subprocess.Popen(
            [*inside, nats_program(), "-js", "-a", "10.231.7.1", "-sd", str(home / "js")]
        )
        stack.callback(server.wait)
        stack.callback(server.kill)
        url = "nats://10.231.7.1:4222"
        relay = Program(Cli(origin.runtime_dir), "relay", "--to", url, prefix=inside)
        collect = Program(
            Cli(centre.runtime_dir), "collect", "--from", url, prefix=("ip", "netns", "exec", here)
        )
        stack.callback(relay.close)
        stack.callback(collect.close)
        with speaking(origin) as enough:
            until(lambda: held(centre) > 100, "nothing came")
            for _ in range(2):
                subprocess.run(["ip", "-n", here, "link", "set", "wire", "down"], check=True)
                enough.wait(3)
                before = held(centre)
                subprocess.run(["ip", "-n", here, "link", "set", "wire", "up"], check=True)
                until(lambda: held(centre) > before + 100, "nothing came after the cut", 60)  # noqa: B023
        expected = told([origin])
        until(lambda: held(centre) == len(expected), "not all came", 60)
        assert [program.terminate() for program in (relay, collect)] == [0, 0]
    assert collected(centre) == expected
