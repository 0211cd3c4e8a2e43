# SPDX-License-Identifier: Apache-2.0
"""Network programs of the sensor against real sockets: what every act of a process gives, exactly, and nothing else.

Runs as root on the machine (pytest tests/vm/net_test.py) and in a VM:
    tools of ../shared: vm-run --kernel 6.1 -- python3 -m pytest -q tests/vm/net_test.py
A test makes a control group that looks like a container's, a process in it with its own network namespace, and reads what
build/tests/net-dump writes."""

import contextlib
import ctypes
import fcntl
import json
import os
import secrets
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("HF_BUILD_ROOT", ROOT / "build"))
DUMP = BUILD / "tests/net-dump"
CLONE_NEWNET = 0x40000000
V2 = "cgroup2" in [line.split()[2] for line in open("/proc/mounts") if line.split()[1] == "/sys/fs/cgroup"]
GROUPS = Path("/sys/fs/cgroup") if V2 else Path("/sys/fs/cgroup/pids")
SLOW = 5 if Path("/.vm-run").exists() or os.environ.get("HF_SLOW") else 1
TCP, UDP, ICMP = 6, 17, 1

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not DUMP.exists(), reason="needs root and build/tests/net-dump")


class Dump:
    """The sensor's kernel half, its events as they come."""

    def __init__(self, *options):
        self.p = subprocess.Popen([str(DUMP), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.events = []
        self.until("start")

    def until(self, what):
        for line in self.p.stdout:
            e = json.loads(line)
            if "done" in e:
                assert e["done"] == what
                return
            self.events.append(e)
        raise AssertionError(f"net-dump ended: {self.p.wait()}")

    def ask(self, line):
        self.events = []
        self.p.stdin.write(line + "\n")
        self.until(line)
        errors = [e for e in self.events if "error" in e]
        assert not errors, errors
        return self.events

    def sync(self):
        kept = self.events
        time.sleep(0.05 * SLOW)
        self.events = kept
        self.p.stdin.write("sync\n")
        self.until("sync")
        out, self.events = self.events, []
        return out

    def close(self):
        if self.p.poll() is None:
            self.p.stdin.write("quit\n")
            self.p.stdin.close()
            self.p.wait(20 * SLOW)


@pytest.fixture(scope="module")
def dump():
    d = Dump()
    yield d
    d.close()


class Container:
    """A control group with a container's name, perhaps made before the sensor runs."""

    def __init__(self):
        self.top = GROUPS / f"hf-net-{secrets.token_hex(4)}"
        self.dir = self.top / secrets.token_hex(32)
        self.top.mkdir()
        self.dir.mkdir()
        self.id = self.dir.stat().st_ino

    def known_to(self, dump):
        """The event of its making was read, and the sensor does what it does then."""
        dump.sync()
        dump.ask(f"container {self.dir}")

    def close(self):
        for _ in range(200):
            try:
                self.dir.rmdir()
                self.top.rmdir()
                return
            except OSError:
                time.sleep(0.02)


@pytest.fixture
def box(dump):
    c = Container()
    c.known_to(dump)
    yield c
    c.close()


def up(*addresses):
    """Brings loopback up in the caller's own network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING
    for i, a in enumerate(addresses):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            fcntl.ioctl(s, 0x8916, struct.pack("16sHH4s8x", f"lo:{i}".encode(), socket.AF_INET, 0, socket.inet_aton(a)))  # SIOCSIFADDR


def inside(c, act, *args, netns=True, addresses=()):
    """Runs act(*args) in a new process of the container, in a new network namespace; what it returns, and its pid."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(r)
            if c:
                (c.dir / "cgroup.procs").write_text(str(os.getpid()))
            if netns:
                assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0
                up(*addresses)
            os.write(w, json.dumps(act(*args)).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(w)
    out = b""
    while piece := os.read(r, 65536):
        out += piece
    os.close(r)
    assert os.waitpid(pid, 0)[1] == 0
    return json.loads(out), pid


def of(events, c, kind="net", accepted=False):
    """accepted: of first bytes, those told by the end that was connected to, in place of those by the other."""
    return [e for e in events if e["type"] == kind and e.get("cgroup") == c.id and e.get("accepted", accepted) == accepted]


def ops(events):
    return [e["op"] for e in events]


def only(events, **want):
    found = [e for e in events if all(e[k] == v for k, v in want.items())]
    assert len(found) == 1, (want, found, events)
    return found[0]


def talk(family, at, name, port, ask=b"hello", answer=b"welcome"):
    """A server and a client in one process; both ends' names."""
    srv = socket.socket(family, socket.SOCK_STREAM)
    srv.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    srv.bind((at, port))
    srv.listen(7)
    port = srv.getsockname()[1]

    def serve():
        s, _ = srv.accept()
        got = b""
        while len(got) < len(ask):
            got += s.recv(65536)
        s.sendall(answer)
        s.recv(1)
        s.close()

    t = threading.Thread(target=serve)
    t.start()
    cli = socket.create_connection((name, port)) if ":" not in name else socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    if ":" in name:
        cli.connect((name, port))
    mine = cli.getsockname()
    cli.sendall(ask)
    got = b""
    while len(got) < len(answer):
        got += cli.recv(65536)
    cli.close()
    t.join()
    srv.close()
    return {"port": port, "client": mine[1], "netns": os.stat("/proc/self/ns/net").st_ino}


@pytest.mark.parametrize(
    "family,at,name,shown",
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1", "::1"),
        (socket.AF_INET6, "::", "::1", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::", "::ffff:127.0.0.1", "127.0.0.1"),
    ],
)
def test_tcp(dump, box, family, at, name, shown):
    said, pid = inside(box, talk, family, at, name, 8080)
    events = dump.sync()
    net = of(events, box)
    assert sorted(ops(net)) == ["accept", "bind", "close", "close", "close", "established", "listen"]
    fam = socket.AF_INET6 if ":" in shown else socket.AF_INET
    for e in net:
        assert e["pid"] == pid and e["net_ns"] == said["netns"] and e["protocol"] == TCP and e["cookie"], e
    listen = only(net, op="listen")
    assert (listen["local"], listen["lport"], listen["pport"], listen["backlog"], listen["critical"], listen["owner"]) == (at, 8080, 0, 7, True, False)
    out = only(net, op="established")
    assert (out["local"], out["lport"], out["peer"], out["pport"], out["family"]) == (shown, said["client"], shown, 8080, fam)
    assert out["owner"] and not out["critical"]
    acc = only(net, op="accept")
    assert (acc["local"], acc["lport"], acc["peer"], acc["pport"], acc["family"]) == (shown, 8080, shown, said["client"], fam)
    ends = {e["cookie"]: e for e in net if e["op"] == "close"}
    assert len(ends) == 3 and listen["cookie"] in ends
    assert (ends[out["cookie"]]["out"], ends[out["cookie"]]["in"]) == (5, 7)
    assert (ends[acc["cookie"]]["out"], ends[acc["cookie"]]["in"]) == (7, 5)
    assert ends[out["cookie"]]["lport"] == said["client"] and ends[acc["cookie"]]["duration"] > 0
    pay = of(events, box, "payload")
    assert [(e["direction"], bytes.fromhex(e["data"]), e["cookie"]) for e in pay] == [("out", b"hello", out["cookie"]), ("in", b"welcome", out["cookie"])]
    assert all((e["peer"], e["pport"], e["lport"], e["pid"], e["family"]) == (shown, 8080, said["client"], pid, fam) for e in pay)


def test_large_transfer_is_counted_exactly(dump, box):
    inside(box, talk, socket.AF_INET, "127.0.0.1", "127.0.0.1", 8080, b"q" * 300001, b"a" * 2000003)
    events = dump.sync()
    net = of(events, box)
    assert sorted((e["out"], e["in"]) for e in net if e["op"] == "close") == [(0, 0), (300001, 2000003), (2000003, 300001)]
    assert [(len(e["data"]) // 2, e["truncated"]) for e in of(events, box, "payload")] == [(512, True), (512, True)]


def many(n, wait=0.0):
    srv = socket.create_server(("127.0.0.1", 8080), backlog=128)
    for i in range(n):
        c = socket.create_connection(("127.0.0.1", 8080))
        s, _ = srv.accept()
        c.close()
        s.close()
        if i == n - 2:
            time.sleep(wait)
    srv.close()


def test_many_connections(dump, box):
    inside(box, many, 60)
    net = of(dump.sync(), box)
    count = {o: ops(net).count(o) for o in set(ops(net))}
    assert count == {"bind": 1, "listen": 1, "established": 60, "accept": 60, "close": 121}
    assert len({e["cookie"] for e in net}) == 121


def test_a_storm_is_told_in_samples():
    """64 connections of a process to one place in a time, then how many more there were; the rates count all."""
    d = Dump(f"--dedupe-ms={2500 * SLOW}")  # all of them come within one time, in a slow machine too
    c = Container()
    try:
        c.known_to(d)
        d.ask("rates")
        inside(c, many, 101, 3.0 * SLOW)
        net = of(d.sync(), c)
        count = {o: ops(net).count(o) for o in set(ops(net))}
        assert count == {"bind": 1, "listen": 1, "established": 65, "accept": 65, "close": 131}
        for op in ("established", "accept"):
            assert [e["backlog"] for e in net if e["op"] == op] == [0] * 64 + [100 - 64]
        r = only(of(d.ask("rates"), c, "rate"))
        assert (r["tcp_syn_out"], r["tcp_syn_in"], r["tcp_accepted"]) == (101, 101, 101)
        assert [e for e in d.ask("counts") if e["type"] == "counts"][0]["deduped"] >= 2 * (100 - 64)
    finally:
        c.close()
        d.close()


def test_listeners_that_share_a_port(dump, box):
    def act():
        a, b = socket.socket(), socket.socket()
        for s in (a, b):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            s.bind(("0.0.0.0", 80))
            s.listen(8)
        a.close()
        c = socket.create_connection(("127.0.0.1", 80))
        s, _ = b.accept()
        c.close(), s.close(), b.close()
        again = socket.create_server(("127.0.0.1", 80))
        c = socket.create_connection(("127.0.0.1", 80))
        s, _ = again.accept()

    inside(box, act)
    net = of(dump.sync(), box)
    assert ops(net).count("accept") == 2 and ops(net).count("listen") == 3
    assert len({e["cookie"] for e in net if e["op"] == "close" and e["pport"] == 0}) == 3


def test_second_listener_is_not_critical(dump, box):
    def two():
        a, b = socket.create_server(("127.0.0.1", 81)), socket.create_server(("127.0.0.1", 82))
        a.close()
        b.close()

    inside(box, two)
    assert [e["critical"] for e in of(dump.sync(), box) if e["op"] == "listen"] == [True, False]


def test_listen_without_bind(dump, box):
    def act():
        s = socket.socket()
        s.listen(1)
        port = s.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        a, _ = s.accept()
        a.close()
        return port

    port, _ = inside(box, act)
    net = of(dump.sync(), box)
    assert only(net, op="accept")["lport"] == port
    assert only(net, op="listen")["lport"] in (0, port)  # the port is chosen after the change of state


def attempt(address, port, family=socket.AF_INET):
    s = socket.socket(family, socket.SOCK_STREAM)
    try:
        s.connect((address, port))
        return "connected"
    except OSError as e:
        return e.strerror
    finally:
        s.close()


@pytest.mark.parametrize("family,address", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET, "192.0.2.7"), (socket.AF_INET6, "2001:db8::7")])
def test_refused_and_unrouted(dump, box, family, address):
    said, pid = inside(box, attempt, address, 9, family)
    assert said != "connected"
    e = only(of(dump.sync(), box))
    assert (e["op"], e["peer"], e["pport"], e["pid"], e["family"]) == ("failed", address, 9, pid, family)


def test_one_socket_used_again(dump, box):
    def act():
        s = socket.socket()
        for port in (9, 10):
            try:
                s.connect(("192.0.2.7", port))
            except OSError:
                pass
        srv = socket.create_server(("127.0.0.1", 80))
        s.connect(("127.0.0.1", 80))
        a, _ = srv.accept()
        s.close()
        a.close()
        srv.close()

    inside(box, act)
    net = of(dump.sync(), box)
    assert sorted(ops(net)) == ["accept", "bind", "close", "close", "close", "established", "failed", "failed", "listen"]
    assert sorted(e["pport"] for e in net if e["op"] == "failed") == [9, 10]


def test_cloud_metadata_is_critical(dump, box):
    def act():
        srv = socket.create_server(("169.254.169.254", 80))
        c = socket.create_connection(("169.254.169.254", 80))
        a, _ = srv.accept()
        c.close()
        a.close()
        srv.close()
        return attempt("169.254.170.2", 80)

    said, _ = inside(box, act, addresses=("169.254.169.254",))
    assert said != "connected"
    net = of(dump.sync(), box)
    assert sorted(ops(net)) == ["accept", "bind", "close", "close", "close", "connect", "connect", "failed", "listen"]
    assert all(e["critical"] and not e["owner"] for e in net if e["op"] == "connect")
    assert only(net, op="failed")["peer"] == "169.254.170.2"


def test_metadata_ipv6_and_mapped(dump, box):
    def act():
        attempt("fd00:ec2::254", 80, socket.AF_INET6)
        attempt("::ffff:169.254.169.254", 80, socket.AF_INET6)
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.sendto(b"x", ("169.254.169.254", 80))
        except OSError:
            pass

    inside(box, act)
    net = of(dump.sync(), box)
    assert [(e["op"], e["peer"], e["critical"], e["family"]) for e in net if e["op"] != "failed"] == [
        ("connect", "fd00:ec2::254", True, socket.AF_INET6),
        ("connect", "169.254.169.254", True, socket.AF_INET),
        ("send", "169.254.169.254", True, socket.AF_INET),
    ]


@pytest.mark.parametrize("family,at,to,shown", [(socket.AF_INET, "127.0.0.1", "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "::1", "::1"), (socket.AF_INET6, "::", "::ffff:127.0.0.1", "127.0.0.1")])
def test_udp(dump, box, family, at, to, shown):
    def act():
        srv, cli = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
        srv.bind((at, 4000))
        for _ in range(100):
            cli.sendto(b"ping", (to, 4000))
            _, peer = srv.recvfrom(100)
            srv.sendto(b"pong", peer)
            cli.recv(100)
        return cli.getsockname()[1]

    port, pid = inside(box, act)
    events = dump.sync()
    net = of(events, box)
    assert ops(net) == ["bind", "send", "send"]
    assert (net[0]["local"], net[0]["lport"], net[0]["protocol"], net[0]["pid"]) == (at, 4000, UDP, pid)
    assert (net[1]["peer"], net[1]["pport"], net[1]["lport"], net[1]["owner"]) == (shown, 4000, port, False)
    assert (net[2]["peer"], net[2]["pport"], net[2]["lport"]) == (shown, port, 4000)
    assert not of(events, box, "payload")


def test_udp_connected(dump, box):
    def act():
        srv = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        srv.bind(("127.0.0.1", 4000))
        for _ in range(50):  # as resolvers do: a new socket each time
            c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            c.connect(("127.0.0.1", 4000))
            c.send(b"x")
            c.close()
        c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        c.connect(("127.0.0.1", 4001))

    inside(box, act)
    net = of(dump.sync(), box)
    assert [(e["op"], e["peer"], e["pport"]) for e in net if e["op"] != "bind"] == [("connect", "127.0.0.1", 4000), ("connect", "127.0.0.1", 4001)]


def test_udp_scan_shows_every_port(dump, box):
    def act():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for port in range(1000, 1200):
            s.sendto(b"x", ("127.0.0.1", port))

    inside(box, act)
    assert [e["pport"] for e in of(dump.sync(), box)] == list(range(1000, 1200))


def query(name, ident=0x1234):
    q = struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 0)
    return q + b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0" + struct.pack(">HH", 1, 1)


def reply(q, address):
    return q[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + q[12:] + b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(address)


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("family,at", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_dns(dump, box, connected, family, at):
    names = ["example.org", "a-very-long-label-for-a-tunnel.evil.example"]

    def act():
        srv, cli = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
        srv.bind((at, 53))
        if connected:
            cli.connect((at, 53))
        for n in names:
            cli.send(query(n)) if connected else cli.sendto(query(n), (at, 53))
            q, peer = srv.recvfrom(4096)
            srv.sendto(reply(q, "192.0.2.80"), peer)
            cli.recv(4096)
        return cli.getsockname()[1]

    port, pid = inside(box, act)
    pay = of(dump.sync(), box, "payload")
    want = [(d, (query(n) if d == "out" else reply(query(n), "192.0.2.80")).hex()) for n in names for d in ("out", "in")]
    assert [(e["direction"], e["data"]) for e in pay] == want
    assert all((e["pid"], e["peer"], e["pport"], e["local"], e["lport"], e["protocol"]) == (pid, at, 53, at, port, UDP) for e in pay)


def test_dns_over_tcp(dump, box):
    q = query("example.org")
    inside(box, talk, socket.AF_INET, "127.0.0.1", "127.0.0.1", 53, struct.pack(">H", len(q)) + q, b"\0\1x")
    pay = of(dump.sync(), box, "payload")
    assert [e["direction"] for e in pay] == ["out", "in"] and bytes.fromhex(pay[0]["data"])[2:] == q


def test_tls_server_name(dump, box):
    def act():
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
        out = ssl.MemoryBIO()
        tls = ctx.wrap_bio(ssl.MemoryBIO(), out, server_hostname="secret.example.org")
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello = out.read()
        hello += b"\0" * 1300  # as long as one with a post-quantum key share
        talk(socket.AF_INET, "127.0.0.1", "127.0.0.1", 443, hello)
        return hello.hex()

    hello, _ = inside(box, act)
    pay = of(dump.sync(), box, "payload")
    assert pay[0]["data"] == hello and b"secret.example.org" in bytes.fromhex(pay[0]["data"])


def test_owner_of_a_passed_socket(dump, box):
    def act():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.sendto(b"x", ("127.0.0.1", 4000))
        srv = socket.create_server(("127.0.0.1", 80))
        child = os.fork()
        if child == 0:
            s.sendto(b"x", ("127.0.0.1", 4000))
            a, _ = srv.accept()
            a.recv(1)
            os._exit(0)
        c = socket.create_connection(("127.0.0.1", 80))
        c.close()
        os.waitpid(child, 0)
        return child

    child, pid = inside(box, act)
    net = of(dump.sync(), box)
    assert [e["pid"] for e in net if e["op"] == "send"] == [pid, child]
    assert only(net, op="accept")["pid"] == pid  # the listener's owner


class Ring:
    """As much of io_uring as one request at a time needs."""

    def __init__(self):
        import mmap

        self.libc = ctypes.CDLL(None, use_errno=True)
        params = bytearray(120)
        self.fd = self.libc.syscall(425, 8, (ctypes.c_char * 120).from_buffer(params))
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup")
        self.sq_tail, self.sq_mask, self.sq_array = (struct.unpack_from("<I", params, at)[0] for at in (44, 48, 64))
        self.cq_head, self.cq_cqes = struct.unpack_from("<I", params, 80)[0], struct.unpack_from("<I", params, 100)[0]
        self.ring = mmap.mmap(self.fd, 4096, offset=0)
        self.cq = mmap.mmap(self.fd, 4096, offset=0x8000000)
        self.sqes = mmap.mmap(self.fd, 4096, offset=0x10000000)
        self.n = 0

    def connect(self, fd, address):
        packed = struct.pack(">2sH4s8x", struct.pack("<H", socket.AF_INET), address[1], socket.inet_aton(address[0]))
        buf = ctypes.create_string_buffer(packed, 16)
        self.sqes[0:64] = struct.pack("<BBHiQQ40x", 16, 0, 0, fd, 16, ctypes.addressof(buf))  # IORING_OP_CONNECT, off: length
        self.ring[self.sq_array + 4 * (self.n & 7) : self.sq_array + 4 * (self.n & 7) + 4] = struct.pack("<I", 0)
        self.n += 1
        self.ring[self.sq_tail : self.sq_tail + 4] = struct.pack("<I", self.n)
        assert self.libc.syscall(426, self.fd, 1, 1, 1, None, 0) == 1  # io_uring_enter, wait for one
        at = self.cq_cqes + 16 * ((self.n - 1) & 15)
        return struct.unpack_from("<i", self.cq, at + 8)[0]


def test_io_uring_does_not_hide_a_connection(dump, box):
    def act():
        try:
            ring = Ring()
        except OSError as e:
            return str(e)
        srv = socket.create_server(("127.0.0.1", 80))
        c = socket.socket()
        assert ring.connect(c.fileno(), ("127.0.0.1", 80)) == 0
        c.sendall(b"through a ring")
        a, _ = srv.accept()
        a.recv(64)
        return None

    why, pid = inside(box, act)
    if why:
        pytest.skip(why)
    events = dump.sync()
    e = only(of(events, box), op="established")
    assert (e["pid"], e["pport"]) == (pid, 80)
    assert bytes.fromhex(only(of(events, box, "payload"), direction="out")["data"]) == b"through a ring"


def test_raw_and_ping(dump, box):
    def act():
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, ICMP)
        for _ in range(20):
            s.sendto(struct.pack(">BBHHH", 8, 0, 0xF7FF, 0, 0), ("127.0.0.1", 0))

    dump.ask("rates")
    _, pid = inside(box, act)
    events = dump.sync()
    sock = only(of(events, box, "socket"))
    assert (sock["pid"], sock["family"], sock["kind"], sock["protocol"], sock["critical"]) == (pid, socket.AF_INET, socket.SOCK_RAW, ICMP, True)
    assert only(of(dump.ask("rates"), box, "rate"))["icmp_out"] == 20


def test_rates(dump, box):
    def act():
        srv, cli = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        srv.bind(("127.0.0.1", 4000))
        for _ in range(50):
            cli.sendto(b"x" * 72, ("127.0.0.1", 4000))
            srv.recv(100)
        tcp = socket.create_server(("127.0.0.1", 80), backlog=64)
        for _ in range(20):
            c = socket.create_connection(("127.0.0.1", 80))
            a, _ = tcp.accept()
            a.close()
            c.close()
        for _ in range(5):
            attempt("127.0.0.1", 9)

    dump.ask("rates")
    inside(box, act)
    time.sleep(0.2)
    r = only(of(dump.ask("rates"), box, "rate"))
    assert (r["udp_out"], r["udp_in"], r["tcp_syn_out"], r["tcp_syn_in"], r["tcp_accepted"]) == (50, 50, 25, 20, 20)
    assert r["icmp_out"] == 0 and r["packets_out"] >= 50 + 20 * 5 and r["bytes_out"] >= 50 * 100 and r["interval"] > 0 and r["net_ns"]
    assert not of(dump.ask("rates"), box, "rate")


@pytest.mark.parametrize("kind", ["icmp", "syn", "udp"])
def test_fast_packets_are_told_at_once(dump, box, kind):
    """What floods are made of: the numbers so far, again and again, and then all of it."""
    def act():
        s = socket.socket(socket.AF_INET, *((socket.SOCK_RAW, ICMP) if kind == "icmp" else (socket.SOCK_DGRAM, 0)))
        for _ in range(4000):
            if kind == "syn":
                attempt("127.0.0.1", 9)
            else:
                s.sendto(struct.pack(">BBHHH", 8, 0, 0xF7FF, 0, 0), ("127.0.0.1", 9))

    def slow():
        for _ in range(20):
            attempt("127.0.0.1", 9)
            time.sleep(0.02)

    dump.ask("rates")
    inside(box, slow)
    assert not [e for e in of(dump.sync(), box, "rate") if e["early"]]
    dump.ask("rates")
    began = time.monotonic()
    inside(box, act)
    took = time.monotonic() - began
    early = [e for e in of(dump.sync(), box, "rate") if e["early"]]
    what = {"icmp": "icmp_out", "syn": "tcp_syn_out", "udp": "udp_out"}[kind]
    assert early or took > {"icmp": 2, "syn": 2, "udp": 0.4}[kind], "as fast as that, and not told"
    assert all(e["interval"] >= 1e9 for e in early) and [e[what] for e in early] == sorted(e[what] for e in early)
    whole = only(of(dump.ask("rates"), box, "rate"))
    assert whole[what] == 4000 and not whole["early"]


def test_what_a_connection_carries_is_told_while_it_is_open(dump, box):
    """Its packets are not looked at any more: what it carried is asked of the kernel."""
    go, gone = os.pipe(), os.pipe()

    def act():
        srv = socket.create_server(("127.0.0.1", 80))
        cli = socket.create_connection(("127.0.0.1", 80))
        end, _ = srv.accept()

        def carry(n):
            while n:
                sent = cli.send(b"x" * min(n, 50000))
                n -= sent
                while sent:
                    sent -= len(end.recv(sent))
        carry(1000000)
        if os.fork() == 0:  # the connection stays, the pipe that inside() waits for does not
            for fd in {int(f) for f in os.listdir("/proc/self/fd")} - {0, 1, 2, go[0], gone[1], srv.fileno(), cli.fileno(), end.fileno()}:
                with contextlib.suppress(OSError):
                    os.close(fd)
            for n in (300000, 0):
                os.read(go[0], 1)
                carry(n)
                os.write(gone[1], b"x")
            os._exit(0)

    def step():
        os.write(go[1], b"x")
        os.read(gone[0], 1)
    dump.ask("rates")
    inside(box, act)
    r = only(of(dump.ask("rates"), box, "rate"))
    assert (r["bytes_out"], r["tcp_syn_out"]) == (1000000, 1) and 1000000 <= r["bytes_in"] < 1000400 and 4 < r["packets_out"] < 1000 and 4 < r["packets_in"] < 1000, r
    assert not of(dump.ask("rates"), box, "rate")
    step()
    r = only(of(dump.ask("rates"), box, "rate"))
    assert (r["bytes_out"], r["bytes_in"], r["tcp_syn_out"]) == (300000, 300000, 0) and 1 < r["packets_out"] < 500, r
    step()
    time.sleep(0.2)
    r = only(of(dump.ask("rates"), box, "rate"))  # its end
    assert r["bytes_out"] == 0 and r["bytes_in"] <= 2 and 0 < r["packets_out"] < 10, r


def test_forged_packets_of_tcp_count(dump, box):
    """A raw socket that sends what looks like the beginning of connections is none of those whose packets end early."""
    def act():
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
        for port in range(30):
            s.sendto(struct.pack(">HHIIBBHHH", 1000 + port, 9, 1, 0, 0x50, 2, 1000, 0, 0), ("127.0.0.1", 0))

    dump.ask("rates")
    inside(box, act)
    assert only(of(dump.ask("rates"), box, "rate"))["tcp_syn_out"] == 30


def test_binds_to_chosen_ports_are_bounded(dump, box):
    def act():
        for _ in range(100):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("127.0.0.1", 0))
            s.close()
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 5353))

    inside(box, act)
    net = of(dump.sync(), box)
    assert len(net) == 17 and net[-1]["lport"] == 5353


def test_unix_sockets(dump, box, tmp_path):
    nscd = Path("/var/run/nscd/socket")

    def act():
        os.chdir(tmp_path)
        srv = socket.socket(socket.AF_UNIX)
        srv.bind(str(tmp_path / "docker.sock"))
        srv.listen(16)
        os.symlink("docker.sock", "link.sock")
        x11, other = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        x11.bind("\0/tmp/.X11-unix/X77")
        x11.listen(4)
        other.bind("\0something-else")
        other.listen(4)
        for name in [str(tmp_path / "docker.sock")] * 3 + ["docker.sock", "link.sock", "\0/tmp/.X11-unix/X77", "\0something-else", str(nscd)]:
            c = socket.socket(socket.AF_UNIX)
            try:
                c.connect(name)
            except OSError:
                assert name == str(nscd)
            c.close()

    _, pid = inside(box, act)
    unix = of(dump.sync(), box, "unix")
    real = str(tmp_path / "docker.sock")
    if unix and unix[0]["untrusted"]:  # by the name given, before it is looked up
        assert [e["path"] for e in unix] == [real, real, str(tmp_path / "link.sock"), "@/tmp/.X11-unix/X77"]
    else:  # by the socket found
        assert [e["path"] for e in unix] == [real, "@/tmp/.X11-unix/X77"]
        assert unix[0]["inode"]
    assert all(e["pid"] == pid for e in unix)


def test_two_namespaces(dump):
    """A client of one container, a server of another, a pair of virtual cables between."""
    if subprocess.run(["ip", "link", "help"], capture_output=True).returncode not in (0, 255):
        pytest.skip("no iproute2")
    a, b = Container(), Container()
    a.known_to(dump)
    b.known_to(dump)
    ready, go, moved = os.pipe(), os.pipe(), os.pipe()

    def serve():
        os.write(ready[1], b"%d\n" % os.getpid())
        os.read(go[0], 1)
        srv = socket.create_server(("10.77.0.2", 80))
        os.write(moved[1], b"x")
        s, peer = srv.accept()
        s.recv(10)
        s.close()
        return [os.stat("/proc/self/ns/net").st_ino, peer[0]]

    got = []
    t = threading.Thread(target=lambda: got.append(inside(b, serve)))
    t.start()
    server = int(os.read(ready[0], 32))

    def client():
        run = lambda *w: subprocess.run(["ip", *w], check=True)
        run("link", "add", "hf0", "type", "veth", "peer", "name", "hf1", "netns", str(server))
        run("addr", "add", "10.77.0.1/24", "dev", "hf0")
        run("link", "set", "hf0", "up")
        subprocess.run(["nsenter", "-t", str(server), "-n", "sh", "-c", "ip addr add 10.77.0.2/24 dev hf1; ip link set hf1 up"], check=True)
        os.write(go[1], b"x")
        os.read(moved[0], 1)
        c = socket.create_connection(("10.77.0.2", 80), timeout=10)
        c.sendall(b"GET / HTTP/1.1\r\n\r\n")
        c.close()
        return os.stat("/proc/self/ns/net").st_ino

    try:
        ns, pid = inside(a, client)
        t.join()
        (server_ns, peer), _ = got[0]
        time.sleep(0.2)
        events = dump.sync()
        out = only(of(events, a), op="established", pid=pid)
        acc = only(of(events, b), op="accept")
        assert (out["net_ns"], acc["net_ns"], acc["pid"], peer) == (ns, server_ns, server, "10.77.0.1")
        assert (out["local"], out["lport"], out["peer"], out["pport"]) == (acc["peer"], acc["pport"], acc["local"], acc["lport"])
        assert [(e["direction"], bytes.fromhex(e["data"])[:5]) for e in of(events, a, "payload") if e["pid"] == pid] == [("out", b"GET /")]
        assert [(e["direction"], bytes.fromhex(e["data"])[:5]) for e in of(events, b, "payload", True)] == [("in", b"GET /")]  # user space knows that both are the same (event/track-net.c)
    finally:
        t.join()
        a.close()
        b.close()


def test_host_processes(dump):
    """Outside containers: connections too, payloads not."""
    _, pid = inside(None, talk, socket.AF_INET, "127.0.0.1", "127.0.0.1", 8080)
    mine = [e for e in dump.sync() if e.get("pid") == pid]
    assert sorted(e["op"] for e in mine if e["type"] == "net") == ["accept", "bind", "close", "close", "close", "established", "listen"]
    assert not any(e["critical"] or e["type"] == "payload" for e in mine)


def test_told_again_after_a_while():
    d = Dump("--dedupe-ms=300")
    c = Container()

    def act():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(2):
            for _ in range(5):
                s.sendto(b"x", ("127.0.0.1", 4000))
            time.sleep(0.5)

    try:
        c.known_to(d)
        inside(c, act)
        assert ops(of(d.sync(), c)) == ["send", "send"]
    finally:
        c.close()
        d.close()


def test_sockets_from_before_the_sensor():
    c = Container()
    r, w = os.pipe()
    port_r, port_w = os.pipe()
    server = os.fork()
    if server == 0:
        (c.dir / "cgroup.procs").write_text(str(os.getpid()))
        ctypes.CDLL(None).unshare(CLONE_NEWNET)
        up()
        srv = socket.create_server(("127.0.0.1", 8080))
        res, cli = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        res.bind(("127.0.0.1", 53))
        cli.connect(("127.0.0.1", 53))
        os.write(port_w, b"x")
        os.read(r, 1)
        k = socket.create_connection(("127.0.0.1", 8080))
        a, _ = srv.accept()
        a.close()
        k.close()
        cli.send(query("old.example"))
        os.write(port_w, b"x")
        os.read(r, 1)
        os._exit(0)
    os.read(port_r, 1)
    d = Dump()
    try:
        served = {e["name"]: e["hook"] for e in d.ask("features") if e["type"] == "feature"}
        d.ask(f"container {c.dir}")
        d.ask("seed")
        os.write(w, b"x")
        os.read(port_r, 1)
        events = d.sync()
        pay = [bytes.fromhex(e["data"]) for e in of(events, c, "payload")]
        assert pay == [query("old.example")]
        net = of(events, c)
        assert only(net, op="established")["pid"] == server
        if served["sockets-before"]:
            acc = only(net, op="accept")
            assert (acc["pid"], acc["lport"], acc["owner"]) == (server, 8080, True)
        else:
            assert "accept" not in ops(net)
    finally:
        os.write(w, b"x")
        os.waitpid(server, 0)
        c.close()
        d.close()


def test_every_capability_has_a_hook(dump):
    hooks = {e["name"]: e["hook"] for e in dump.ask("features") if e["type"] == "feature"}
    for name in ("tcp", "connect-ipv4", "connect-ipv6", "send-ipv4", "send-ipv6", "bind-ipv4", "bind-ipv6", "raw-owner", "connect-unrouted", "packets-out", "packets-in"):
        assert hooks[name], name
