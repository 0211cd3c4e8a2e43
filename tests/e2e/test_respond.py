# SPDX-License-Identifier: Apache-2.0
"""`respond` on containers of a real dockerd: what it does, that it is undone, what it refuses, and what happens when it fails half-way."""
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import uuid

import jsonschema
import pytest

from conftest import ROOT
from test_docker import overlay  # noqa: F401 (a fixture)
from test_watch import busybox  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="respond needs root")
LOOP = "while :; do /bin/sleep 0.05; done"


SCHEMA = json.loads((ROOT / "docs/schema/respond-1.json").read_text())
SNAPSHOT = json.loads((ROOT / "docs/schema/snapshot-1.json").read_text())


def valid(doc, what):
    jsonschema.Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{what}"}]}).validate(doc)
    jsonschema.Draft202012Validator(SCHEMA).validate(doc)
    return doc


class Respond:
    def __init__(self, binary, state):
        self.binary, self.state = binary, state

    def raw(self, *args, **more):
        return subprocess.run([self.binary, "respond", *map(str, args), "--state", str(self.state)], capture_output=True, text=True, timeout=120, **more)

    def __call__(self, *args, code=0):
        p = self.raw(*args)
        assert p.returncode == code, (args, p.returncode, p.stdout, p.stderr)
        return p.stderr if code in (2, 3) else p.stdout

    def json(self, *args, code=0):
        doc = json.loads(self(*args, "--json", code=code))
        words = [a for a in map(str, args) if a in ("list", "log", "verify", "snapshot")]
        return valid(doc, "list" if words == ["list"] else "log_check" if words == ["log", "verify"] else "snapshot_check" if words == ["snapshot", "verify"] else "did")

    def log(self):
        return [valid(json.loads(line), "line") for line in (self.state / "respond/log.ndjson").read_text().splitlines()]


@pytest.fixture
def respond(binary, tmp_path):
    return Respond(binary, tmp_path / "state")


@pytest.fixture
def box(busybox):  # noqa: F811
    """Starts containers; ends them."""
    names = []

    def start(*args, script=LOOP, name=None):
        name = name or "r" + uuid.uuid4().hex[:8]
        names.append(name)
        busybox("run", "-d", "--name", name, *([] if any(str(a).startswith("--network") for a in args) else ["--network", "none"]), *args, "box:1", "/bin/sh", "-c", script)
        return name
    start.pid = lambda name: int(busybox.text("inspect", "-f", "{{.State.Pid}}", name))
    start.id = lambda name: busybox.text("inspect", "-f", "{{.Id}}", name)
    start.daemon = busybox
    yield start
    for name in names:
        subprocess.run(busybox.command("rm", "-f", name), env=busybox.env(), capture_output=True)


def cgroup_dirs(pid):
    """Folders of the control groups of a process, of every hierarchy that is mounted: {controllers: folder}."""
    mounts = {}
    for line in open("/proc/self/mountinfo"):
        a, b = line.split(" - ")
        kind, _, options = b.split()[:3]
        if kind == "cgroup2":
            mounts.setdefault("", a.split()[4])
        elif kind == "cgroup":
            for option in options.split(","):
                mounts.setdefault(option, a.split()[4])
    found = {}
    for line in open(f"/proc/{pid}/cgroup"):
        _, controllers, path = line.rstrip("\n").split(":", 2)
        for c in controllers.split(","):
            if c in mounts:
                found[c] = pathlib.Path(mounts[c] + path)
    return found


def inside(pid, code, *args, net=True):
    """A program of this host that is a process of the container: in all its control groups and its network."""
    dirs = cgroup_dirs(pid)

    def join():
        for d in dirs.values():
            with open(d / "cgroup.procs", "w") as f:
                f.write(str(os.getpid()))
    return subprocess.Popen([*(["nsenter", "-t", str(pid), "-n"] if net else []), sys.executable, "-u", "-c", textwrap.dedent(code), *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=join)


@pytest.fixture
def wire():
    """A network namespace with one end of a cable, whose other end is put into a container: 10.77.0.1 here, 10.77.0.2 there; fd77::1, fd77::2."""
    name = "hfr" + uuid.uuid4().hex[:8]
    sh = lambda *a: subprocess.run(a, check=True, capture_output=True)  # noqa: E731
    sh("ip", "netns", "add", name)

    def plug(pid):
        sh("ip", "link", "add", "w0", "netns", name, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        there = ("nsenter", "-t", str(pid), "-n", "ip")
        for ip, dev, n in ((("ip", "-n", name), "w0", 1), (there, "eth0", 2)):
            subprocess.run([*ip, "link", "set", "lo", "up"], capture_output=True)
            if ip == there:
                subprocess.run(["nsenter", "-t", str(pid), "-n", "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.eth0.disable_ipv6=0"], capture_output=True)
            sh(*ip, "addr", "add", f"10.77.0.{n}/24", "dev", dev)
            sh(*ip, "link", "set", dev, "up")
            sh(*ip, "addr", "add", f"fd77::{n}/64", "dev", dev, "nodad")
    plug.name = name
    plug.run = lambda code, *args: subprocess.Popen(["ip", "netns", "exec", name, sys.executable, "-u", "-c", textwrap.dedent(code), *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    plug.ping = lambda to: subprocess.run(["ip", "netns", "exec", name, sys.executable, "-c", PING, to], capture_output=True).returncode == 0
    plug.reaches = lambda to: wait(lambda: plug.ping(to), 20)  # the first may be lost to an address that was asked for in vain just before
    yield plug
    subprocess.run(["ip", "netns", "del", name], capture_output=True)


PING = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_RAW, 58 if ":" in sys.argv[1] else 1)
s.settimeout(1)
body = b"\\0\\0" + b"\\0\\1\\0\\1" + b"x" * 8
head = bytes([128 if ":" in sys.argv[1] else 8, 0])
c = sum(int.from_bytes((head + body)[i:i + 2], "big") for i in range(0, len(head + body), 2))
while c >> 16: c = (c & 0xffff) + (c >> 16)
s.sendto(head + (~c & 0xffff).to_bytes(2, "big") + body[2:], (sys.argv[1], 0))
while True:
    p = s.recv(200)
    if (p[0] == 129) if ":" in sys.argv[1] else (p[20] == 0): break
"""
SERVER = """
import socket, threading
for family, address in ((socket.AF_INET, "10.77.0.1"), (socket.AF_INET6, "fd77::1")):
    for port in (5000, 5001):
        s = socket.socket(family)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port)); s.listen(64)
        def serve(s=s):
            while True:
                c, _ = s.accept()
                def echo(c=c):
                    try:
                        while (b := c.recv(100)): c.send(b)
                    except OSError: pass
                threading.Thread(target=echo, daemon=True).start()
        threading.Thread(target=serve, daemon=True).start()
print("ready")
import time; time.sleep(600)
"""


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def spinning(pid, seconds=0.3):
    before = cpu(pid)
    time.sleep(seconds)
    return cpu(pid) > before


def goes_on(pid):
    """However little of the machine it gets."""
    before = cpu(pid)
    return wait(lambda: cpu(pid) > before, 30)


def wait(fn, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if fn():
            return True
        time.sleep(0.02)
    return False


def test_freeze_and_thaw_nested_groups(respond, box):
    name = box()
    pid = box.pid(name)
    nested = [d / "below" / "deeper" for d in cgroup_dirs(pid).values()]
    made = []
    for d in nested:  # as docker in docker or systemd in a container would
        try:
            d.mkdir(parents=True)
            made.append(d)
        except OSError:
            pass
    spin = inside(pid, "while True: pass", net=False)
    for d in made:
        try:
            (d / "cgroup.procs").write_text(str(spin.pid))
        except OSError:
            pass
    try:
        assert goes_on(spin.pid)
        dry = respond.json("freeze", name, "--dry-run")
        assert dry["dry_run"] and not dry["changed"] and dry["before"]["frozen"] is False and "processes stop" in dry["effects"][0]
        assert goes_on(spin.pid) and not (respond.state / "respond/log.ndjson").exists()
        done = respond.json("freeze", box.id(name)[:12], "--why", "looks bad")
        assert done["after"]["frozen"] is True and done["rung"] in ("cgroup v2 freezer", "cgroup v1 freezer") and done["logged"]
        assert not spinning(spin.pid)
        again = respond.json("freeze", name)
        assert again["before"]["frozen"] is True
        listed = respond.json("list")
        assert [(a["action"], a["name"], a["running"]) for a in listed] == [("freeze", name, True)]
        assert "ends" in respond("thaw", name) and goes_on(spin.pid)
        assert "nothing to undo" in respond("thaw", name)
    finally:
        spin.kill()
        spin.wait()
        for d in made:
            for part in (d, d.parent):
                try:
                    part.rmdir()
                except OSError:
                    pass
    log = respond.log()
    assert [(e["action"], e["phase"]) for e in log] == [("freeze", "begin"), ("freeze", "done"), ("freeze", "begin"), ("freeze", "done"), ("freeze", "undone")]
    assert log[0]["why"] == "looks bad" and log[0]["who"]["uid"] == 0 and log[0]["before"]["frozen"] is False and log[1]["after"]["frozen"] is True and log[1]["of"] == 1
    assert "whole: 5 lines" in respond("log", "verify")


def test_what_was_frozen_before_stays_so(respond, box):
    name = box()
    box.daemon("pause", name)
    assert respond.json("freeze", name)["rung"]
    respond("thaw", name)
    assert box.daemon.text("inspect", "-f", "{{.State.Status}}", name) == "paused"
    before = box.pid(name)
    assert not spinning(before, 0.2)
    box.daemon("unpause", name)


def test_for_is_undone_though_the_command_ended(respond, box):
    name = box()
    spin = inside(box.pid(name), "while True: pass", net=False)
    try:
        began = time.monotonic()
        respond("freeze", name, "--for", "2s")
        assert not spinning(spin.pid, 0.2)
        assert wait(lambda: spinning(spin.pid, 0.1), 30) and 1 < time.monotonic() - began
        assert wait(lambda: respond.log()[-1]["phase"] == "undone") and respond.log()[-1]["why"] == "its time is over"
        assert respond.json("list") == []
        # without a time it stays, which is said
        respond("freeze", name, "--for", "3s")
        assert "it was to end by itself in" in respond("freeze", name, "--dry-run") and "now it stays until it is released" in respond("freeze", name)
        time.sleep(4)
        assert not spinning(spin.pid, 0.2)
        respond("thaw", name)
        # nobody waits: the next start of anything does it
        respond("freeze", name, "--for", "3s")
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if (p / "comm").read_text() == "holdfast-undo\n" and str(respond.state) in (p / "cmdline").read_text():
                    os.kill(int(p.name), 9)
            except (OSError, UnicodeDecodeError):
                pass
        time.sleep(4)
        assert not spinning(spin.pid, 0.2)
        p = respond.raw("freeze", "there-is-none-of-that-name")
        assert p.returncode == 3 and "1 actions whose time was over were undone" in p.stderr
        assert goes_on(spin.pid)
    finally:
        spin.kill()
        spin.wait()


def test_kill_one_and_all(respond, box):
    name = box()
    pid = box.pid(name)
    one = inside(pid, "import time; time.sleep(600)", net=False)
    other = subprocess.Popen(["sleep", "600"])
    start = int(open(f"/proc/{one.pid}/stat").read().rsplit(")", 1)[1].split()[19])
    try:
        assert "is not in container" in respond("kill", name, "--pid", other.pid, code=3)
        assert "another one by now" in respond("kill", name, "--pid", one.pid, "--start", start + 1, code=3)
        assert one.poll() is None and other.poll() is None
        did = respond.json("kill", name, "--pid", one.pid, "--start", start, "--why", "miner")
        assert did["before"]["pid"] == one.pid and one.wait(5) == -9
        assert box.daemon.text("inspect", "-f", "{{.State.Running}}", name) == "true"
    finally:
        other.kill()
        other.wait()
        one.kill()
        one.wait()
    bomb = inside(pid, """
        import os, time
        while True:  # runs away from whoever counts
            try:
                if os.fork(): time.sleep(0.005); os._exit(0)
            except OSError: pass
        """, net=False)
    time.sleep(0.2)
    did = respond.json("kill", name)
    assert did["after"]["processes"] == 0 and did["rung"] in ("cgroup.kill", "freezer and SIGKILL")
    assert wait(lambda: box.daemon.text("inspect", "-f", "{{.State.Running}}", name) == "false")
    bomb.wait(5)
    assert "no running container" in respond("kill", name, code=3)


def pins(pid, action):
    """What is pinned for the container, whichever of its groups it is named after."""
    return sorted({p.name for d in cgroup_dirs(pid).values() for p in pathlib.Path("/sys/fs/bpf/holdfast").glob(f"*{action}-{os.stat(d).st_ino}-*")})


FLOOD = """
    import socket, sys, time
    s, at_once = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), int((sys.argv + ["1"])[2])
    if at_once > 1: s.setsockopt(17, 103, 100)  # UDP_SEGMENT: so many datagrams of 100 bytes by one call
    n, end = 0, time.time() + float(sys.argv[1])
    while time.time() < end:
        try: s.sendto(b"x" * 100 * at_once, ("10.77.0.1", 9)); n += at_once
        except OSError: pass
    print(n)
    """
CONNECT = """
    import socket, sys, time
    good, end = 0, time.time() + float(sys.argv[1])
    while time.time() < end:
        s = socket.socket()
        s.settimeout(0.05)
        try: s.connect(("10.77.0.1", 5000)); good += 1
        except OSError: pass
        s.close()
    print(good)
    """


def test_limit_ends_a_flood_and_not_the_service(respond, box, wire):
    name = box()
    pid = box.pid(name)
    wire(pid)
    server = wire.run(SERVER)
    server.stdout.readline()
    try:
        free = inside(pid, FLOOD, 0.5)
        assert int(free.communicate()[0]) > 1000
        assert "limit to what?" in respond("limit", name, code=2)
        did = respond.json("limit", name, "--packets", 50, "--for", "1h")
        assert did["rung"] == "cgroup BPF and nftables" and did["after"]["below_ip"]
        assert pins(pid, "limit")
        sent = int(inside(pid, FLOOD, 2).communicate()[0])
        assert 60 <= sent <= 130, sent  # 50 a second, a tenth of a second's worth at once
        sent = int(inside(pid, FLOOD, 2, 40).communicate()[0])
        assert 40 <= sent <= 160, sent
        one = respond.json("list")[0]
        assert one["action"] == "limit" and one["dropped_packets"] > 1000 and one["settings"] == "50 packets/s out" and 3500 < one["left_s"] <= 3600
        # replaced, not added: connections now
        respond("limit", name, "--connections", 20)
        good = int(inside(pid, CONNECT, 2).communicate()[0])
        assert 20 <= good <= 60, good
        assert int(inside(pid, FLOOD, 0.5).communicate()[0]) > 1000
        respond("limit", name, "--bytes", "10K", "--direction", "both")
        assert int(inside(pid, FLOOD, 1).communicate()[0]) < 200
        assert wire.reaches("10.77.0.2")
        respond("release", name)
        assert int(inside(pid, FLOOD, 0.5).communicate()[0]) > 1000
        assert respond.json("list") == [] and pins(pid, "limit") == []
    finally:
        server.kill()
        server.wait()


TALK = """
    import socket, sys, time
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)
    print("connected")
    n = 0
    try:
        while True:
            s.send(b"x"); s.settimeout(60); assert s.recv(1); n += 1; time.sleep(0.02)
    except (OSError, AssertionError) as e:
        print("ended", type(e).__name__, getattr(e, "errno", None))
    """
TRY = """
    import socket, sys
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])); print("yes")
    except OSError as e: print("no", e)
    """


def connects(pid, address, port, seconds=20, net=True):
    return inside(pid, TRY, address, port, seconds, net=net).communicate()[0] == "yes\n"


RAW = """
    import socket
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(("eth0", 0))
    try: s.send(b"\\xff" * 6 + b"\\2" * 6 + b"\\x88\\xb5" + b"y" * 50); print("sent")
    except OSError as e: print("no", e)
    """


HEAR = """
    import socket, sys
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5))
    s.bind(("w0", 0x88b5)); print("ready"); sys.stdin.read(); s.settimeout(1)
    try: s.recv(100); print("yes")
    except OSError: print("no")
    """


RAW_FLOOD = """
    import socket, sys, time
    kind, frame, to = sys.argv[2], b"\\xff" * 6 + b"\\2" * 6 + b"\\x88\\xb5" + b"y" * 50, None
    if kind == "raw":  # made from the header on, with a protocol that nobody counts
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        frame, to = bytes([0x45, 0, 0, 60, 0, 0, 0, 0, 64, 253, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1]) + b"y" * 40, ("10.77.0.1", 0)
    else:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind(("eth0", 0))
    if kind == "bypass":
        s.setsockopt(263, 20, 1)  # PACKET_QDISC_BYPASS: past queueing and traffic control
        s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0x12345678)
    n, end = 0, time.time() + float(sys.argv[1])
    while time.time() < end:
        try: s.sendto(frame, to) if to else s.send(frame); n += 1
        except OSError: pass
    print(n)
    """
COUNT_RAW = """
    import socket, sys, time
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    s.bind(("w0", 3)); s.settimeout(0.2); print("ready")
    flood, udp, end = 0, 0, time.time() + float(sys.argv[1])
    while time.time() < end:
        try: p, where = s.recvfrom(60)
        except OSError: continue
        if where[2] == 4: continue
        flood += p[12:14] == b"\\x88\\xb5" or (p[12:14] == b"\\x08\\x00" and p[23] == 253)
        udp += p[12:14] == b"\\x08\\x00" and p[23] == 17
    print(flood, udp)
    """


@pytest.mark.parametrize("kind", ["plain", "bypass", "raw"])
def test_limit_sees_packet_sockets(respond, box, wire, kind):
    """A flood below IP (AF_PACKET) is limited too, also past queueing, and takes nothing of what the service may send; one of raw IP packets is, with the rest."""
    name = box()
    pid = box.pid(name)
    wire(pid)
    server = wire.run(SERVER)
    server.stdout.readline()

    def flood(seconds):
        heard = wire.run(COUNT_RAW, seconds + 0.5)
        heard.stdout.readline()
        sent = int(inside(pid, RAW_FLOOD, seconds, kind).communicate()[0])
        return sent, int(heard.communicate()[0].split()[0])
    try:
        assert flood(0.5)[1] > 1000
        did = respond.json("limit", name, "--packets", 100)
        if kind != "raw" and not did["after"]["below_ip"]:
            pytest.skip("this kernel has no egress hooks (Linux 5.16)")
        began = time.monotonic()
        raw = inside(pid, RAW_FLOOD, 3, kind)
        heard = wire.run(COUNT_RAW, 2)
        assert heard.stdout.readline()
        inside(pid, FLOOD, 2).communicate()
        passed, udp = map(int, heard.communicate()[0].split())
        raw.communicate()
        assert passed <= 100 * (time.monotonic() - began) + 20, passed
        assert (0 if kind == "raw" else 100) <= udp <= 320, udp  # 100 a second for it, whatever the flood below IP does
        one = respond.json("list")[0]
        assert one["dropped_packets"] > 1000
        assert connects(pid, "10.77.0.1", 5000)
        respond("release", name)
        assert flood(0.5)[1] > 1000
        assert subprocess.run(["nsenter", "-t", str(pid), "-n", "nft", "list", "ruleset"], capture_output=True, text=True).stdout == ""
    finally:
        server.kill()
        server.wait()


def test_isolate_cuts_and_release_gives_back(respond, box, wire):
    name = box()
    pid = box.pid(name)
    wire(pid)
    server = wire.run(SERVER)
    server.stdout.readline()
    lo = inside(pid, """
        import socket, threading, time
        s = socket.create_server(("127.0.0.1", 7000))
        def serve():
            while True:
                c, _ = s.accept(); c.send(b"here"); c.close()
        threading.Thread(target=serve, daemon=True).start(); print("ready"); time.sleep(600)
        """)
    lo.stdout.readline()
    talks = [inside(pid, TALK, a, p) for a, p in (("10.77.0.1", 5000), ("fd77::1", 5000), ("10.77.0.1", 5001))]
    try:
        for t in talks:
            assert t.stdout.readline() == "connected\n"
        assert wire.reaches("10.77.0.2") and wire.reaches("fd77::2")
        heard = wire.run(HEAR)
        heard.stdout.readline()
        inside(pid, RAW).communicate()
        assert heard.communicate()[0] == "yes\n"
        assert "is no address" in respond("isolate", name, "--allow", "example.org", code=2)
        dry = respond.json("isolate", name, "--dry-run", "--allow", "10.77.0.1:5001")
        assert "all packets into and out of it are dropped" in dry["effects"][0] and "10.77.0.1:5001" in dry["effects"][0]
        assert wire.reaches("10.77.0.2")
        did = respond.json("isolate", name, "--allow", "10.77.0.1:5001")
        assert did["rung"] == "nftables and cgroup BPF" and did["after"]["cut"] and did["after"]["connections_cut"] == 2
        for t in talks[:2]:
            assert re.match("ended (?!Timeout)", t.stdout.readline())
        assert not wire.ping("10.77.0.2") and not wire.ping("fd77::2")
        assert not connects(pid, "10.77.0.1", 5000, 0.5)
        assert not connects(pid, "fd77::1", 5001, 0.5)
        assert connects(pid, "10.77.0.1", 5001) and talks[2].poll() is None
        assert connects(pid, "127.0.0.1", 7000)
        if did["after"]["below_ip"]:
            heard = wire.run(HEAR)
            heard.stdout.readline()
            inside(pid, RAW).communicate()
            assert heard.communicate()[0] == "no\n"
        one = respond.json("list")[0]
        assert one["dropped_packets"] > 0 and one["settings"] == "allowed: 10.77.0.1:5001"
        respond("isolate", name, "--allow", "10.77.0.1:5000")  # another set takes the place
        assert connects(pid, "10.77.0.1", 5000)
        assert not connects(pid, "10.77.0.1", 5001, 0.5)
        respond("release", name)
        assert wire.reaches("10.77.0.2") and wire.reaches("fd77::2") and connects(pid, "10.77.0.1", 5000)
        assert subprocess.run(["nsenter", "-t", str(pid), "-n", "nft", "list", "ruleset"], capture_output=True, text=True).stdout == ""
    finally:
        for p in (server, lo, *talks):
            p.kill()
            p.wait()


XDP = """
    import ctypes, mmap, os, sys
    libc = ctypes.CDLL(None, use_errno=True)
    class Umem(ctypes.Structure):
        _fields_ = [("addr", ctypes.c_uint64), ("len", ctypes.c_uint64), ("chunk", ctypes.c_uint32), ("headroom", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("more", ctypes.c_uint32)]
    memory = mmap.mmap(-1, 64 * 4096)
    def make():
        fd = libc.socket(44, 3, 0)  # AF_XDP, SOCK_RAW
        at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        u = Umem(at, 64 * 4096, 4096, 0, 0, 0)
        return "made" if fd >= 0 and libc.setsockopt(fd, 283, 4, ctypes.byref(u), 32) == 0 else os.strerror(ctypes.get_errno())
    print(make())
    sys.stdin.read()
    """


def test_af_xdp_is_refused_and_what_is_open_is_told(respond, box, wire):
    """What such a socket sends passes the programs and nftables by."""
    name = box()
    pid = box.pid(name)
    wire(pid)
    there = inside(pid, XDP)
    try:
        if there.stdout.readline() != "made\n":
            pytest.skip("no AF_XDP here")
        for verb, more in (("limit", ["--packets", 100]), ("isolate", [])):
            did = respond.json(verb, name, *more)
            assert did["after"]["xdp_refused"] and did["after"]["xdp_open"] == 1 and any("1 sockets of AF_XDP are open" in e for e in did["effects"]), did
            assert inside(pid, XDP).communicate()[0] == "Operation not permitted\n"
            # other options are as ever, also those that are longer than a page
            assert inside(pid, "import socket; s = socket.socket(); s.setsockopt(6, 1, 1); print(s.getsockopt(6, 1))\ntry: s.setsockopt(6, 13, b'reno' + bytes(5000)); print('set')\nexcept OSError as e: print(e)").communicate()[0] == "1\nset\n"
            respond("release", name)
            again = inside(pid, XDP)
            assert again.communicate()[0] == "made\n"
        there.kill()
        there.wait()
        did = respond.json("limit", name, "--packets", 100)
        assert did["after"]["xdp_open"] == 0 and not any("AF_XDP" in e for e in did["effects"])
    finally:
        there.kill()
        there.wait()


def test_isolate_without_interfaces_and_on_the_hosts_network(respond, box, tmp_path):
    name = box()
    assert respond.json("isolate", name)["after"]["isolated"] is True
    respond("release", name)
    name = box("--network", "host")
    pid = box.pid(name)
    if cgroup_dirs(pid).get("", pathlib.Path("/")).name != box.id(name):
        assert "uses the host's network" in respond("isolate", name, code=3)
        return
    did = respond.json("isolate", name)
    assert did["rung"] == "cgroup BPF" and did["before"]["host_network"] is True
    listener = socket.create_server(("127.0.0.1", 0))
    assert subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout.find("holdfast") < 0
    assert connects(pid, "127.0.0.1", listener.getsockname()[1], net=False)
    respond("release", name)


def table_of_another(pid):
    """A second network namespace of the container, with a table of our name that only the socket which made it may change ("flags owner")."""
    dirs = cgroup_dirs(pid)

    def join():
        for d in dirs.values():
            (d / "cgroup.procs").write_text(str(os.getpid()))
    other = subprocess.Popen(["unshare", "-n", "sh", "-c", "(echo 'add table inet holdfast { flags owner; }'; sleep 600) | nft -i"], preexec_fn=join, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert wait(lambda: "holdfast" in subprocess.run(["nsenter", "-t", str(other.pid), "-n", "nft", "list", "tables"], capture_output=True, text=True).stdout, 30)
    return other


def test_nftables_failing_half_way_gives_back_what_was_done(respond, box, wire):
    """A second network namespace of the container where somebody else owns a table of our name: nothing may remain in the first."""
    name = box()
    pid = box.pid(name)
    wire(pid)
    other = table_of_another(pid)
    try:
        err = respond("isolate", name, code=3)
        assert "nftables" in err, err
        assert wire.reaches("10.77.0.2"), "the first namespace was left isolated"
        assert respond.json("list") == []
        assert respond.log()[-1]["phase"] == "failed" and "nftables" in respond.log()[-1]["error"]
        assert pins(pid, "isolate") == []
    finally:
        respond.raw("kill", name)
        other.wait(5)


def refusing(call, *arguments):
    """A preexec_fn: the system call fails with EPERM when its arguments, (index, value) each, are these."""
    import ctypes
    import struct
    ops = [(0x20, 0, 0, 0), (0x15, 0, 2 * len(arguments) + 1, call)]
    for i, (n, value) in enumerate(arguments):
        ops += [(0x20, 0, 0, 16 + 8 * n), (0x15, 0, 2 * (len(arguments) - i) - 1, value)]
    ops += [(0x06, 0, 0, 0x50000 | 1), (0x06, 0, 0, 0x7fff0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *op) for op in ops))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(ops), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)

    def now():
        if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):  # no new privileges; seccomp, filter
            raise OSError(ctypes.get_errno(), "seccomp")
    now.kept = code
    return now


SOCKET, BPF = {"x86_64": (41, 321), "aarch64": (198, 280)}[os.uname().machine]


def test_isolation_that_cannot_cut_connections(respond, box, wire):
    """No sock_diag: the rules hold, the connection stands still, and that it was not cut is told."""
    name = box()
    pid = box.pid(name)
    wire(pid)
    server = wire.run(SERVER)
    server.stdout.readline()
    talk = inside(pid, TALK, "10.77.0.1", 5000)
    try:
        assert talk.stdout.readline() == "connected\n"
        p = respond.raw("isolate", name, "--json", preexec_fn=refusing(SOCKET, (0, socket.AF_NETLINK), (2, 4)))
        assert p.returncode == 0, p.stderr
        after = json.loads(p.stdout)["after"]
        assert after["isolated"] and after["cut"] is False and after["connections_cut"] == 0
        assert not wire.ping("10.77.0.2") and not connects(pid, "10.77.0.1", 5000, 0.5) and talk.poll() is None
        respond("release", name)
        assert wire.reaches("10.77.0.2") and connects(pid, "10.77.0.1", 5000)
    finally:
        for q in (talk, server):
            q.kill()
            q.wait()


@pytest.mark.parametrize("verb, more", [("limit", ("--packets", 50)), ("isolate", ())])
@pytest.mark.parametrize("what", ["attached", "pinned", "named"])
def test_programs_that_fail_half_way(respond, box, wire, verb, more, what):
    """The kernel lets nothing be attached; a pin cannot be made after others were; it cannot have its name after others have theirs."""
    name = box()
    pid = box.pid(name)
    wire(pid)
    respond(verb, name, *more)  # bpffs is there, and all works
    made = pins(pid, verb)
    assert made and not any(m.startswith("new-") for m in made)
    respond("release", name)
    assert pins(pid, verb) == []
    other = pathlib.Path("/sys/fs/bpf/holdfast") / (("new-" if what == "pinned" else "") + [m for m in made if m.endswith("-in")][0])
    if what != "attached":
        other.mkdir()
    try:
        p = respond.raw(verb, name, *more, "--json", **({"preexec_fn": refusing(BPF, (0, 28))} if what == "attached" else {}))  # BPF_LINK_CREATE
        if verb == "limit":
            assert p.returncode == 3 and ("cannot be attached" if what == "attached" else str(other)) in p.stderr, p.stderr
            assert respond.json("list") == [] and respond.log()[-1]["phase"] == "failed"
            assert int(inside(pid, FLOOD, 0.5).communicate()[0]) > 1000
        else:  # the other rung holds alone, and that is told
            assert p.returncode == 0 and json.loads(p.stdout)["rung"] == "nftables" and json.loads(p.stdout)["after"]["xdp_refused"] is False, (p.stdout, p.stderr)
            assert not wire.ping("10.77.0.2")
        assert pins(pid, verb) == ([other.name] if what != "attached" else [])
    finally:
        if what != "attached":
            other.rmdir()
    respond("release", name)
    assert wire.reaches("10.77.0.2")
    respond(verb, name, *more)  # and it works when nothing is in the way
    assert pins(pid, verb) == made
    respond("release", name)


def test_nothing_stays_pinned_for_a_container_that_is_gone(respond, box):
    name, other = box(), box()
    for c in (name, other):
        respond("isolate", c)
        respond("limit", c, "--packets", 10)
    dirs = {d: os.stat(d).st_ino for d in cgroup_dirs(box.pid(name)).values()}
    left = lambda: [p.name for n in dirs.values() for p in pathlib.Path("/sys/fs/bpf/holdfast").glob(f"*-{n}-*")]  # noqa: E731
    assert len(left()) == 8
    box.daemon("rm", "-f", name)
    assert wait(lambda: respond.json("list") and respond.raw("freeze", other).returncode == 0 and not left(), 20), left()
    assert len(pins(box.pid(other), "")) == 8


def test_what_was_cut_off_stays_so_when_it_fails_anew(respond, box, wire):
    name = box()
    pid = box.pid(name)
    wire(pid)
    respond("isolate", name)
    other = table_of_another(pid)
    try:
        err = respond("isolate", name, "--allow", "10.77.0.1:5000", code=3)
        assert "nftables" in err and "stays isolated" in err, err
        assert not wire.ping("10.77.0.2")
        assert subprocess.run(["nsenter", "-t", str(pid), "-n", "nft", "list", "ruleset"], capture_output=True, text=True).stdout != ""
        assert [(a["action"], a["settings"]) for a in respond.json("list")] == [("isolate", "allowed: nothing")]
    finally:
        respond.raw("kill", name)
        other.wait(5)


STUCK = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC), out = open("/dev/shm/hf-stuck", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    struct uffdio_api api = {.api = UFFD_API};
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register r = {.range = {(unsigned long)p, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &r))
        return 1;
    puts("ready");
    fflush(stdout);
    return write(out, p, 4096) < 0; /* waits in the kernel for a page that nobody brings */
}
"""


def without_v2(*args):
    """A command in a view of a host without the unified hierarchy."""
    v2 = {line.split()[4] for line in open("/proc/self/mountinfo") if " - cgroup2 " in line}
    return ["unshare", "-m", "sh", "-c", "mount --make-rprivate / && " + " && ".join(f"umount -l {m}" for m in v2) + " && exec \"$@\"", "x", *map(str, args)]


@pytest.mark.parametrize("freezer", ["v2", "v1"])
def test_freezer_that_does_not_finish_is_given_back(respond, box, tmp_path, freezer):
    (tmp_path / "stuck.c").write_text(STUCK)
    subprocess.run(["gcc", "-o", tmp_path / "stuck", tmp_path / "stuck.c"], check=True)
    name = box()
    pid = box.pid(name)
    dirs = cgroup_dirs(pid)
    if ("" if freezer == "v2" else "freezer") not in dirs:
        pytest.skip(f"no {freezer} freezer here")

    def join():
        for d in dirs.values():
            (d / "cgroup.procs").write_text(str(os.getpid()))
    stuck = subprocess.Popen([tmp_path / "stuck"], preexec_fn=join, stdout=subprocess.PIPE, text=True)
    spin = inside(pid, "while True: pass", net=False)
    try:
        if stuck.stdout.readline() != "ready\n":
            pytest.skip("no userfaultfd here")
        time.sleep(0.2)
        args = [respond.binary, "respond", "freeze", name, "--state", respond.state]
        p = subprocess.run(without_v2(*args) if freezer == "v1" else args, capture_output=True, text=True)
        if p.returncode == 0:
            pytest.skip("this kernel freezes a process that waits for a page")
        assert p.returncode == 3 and "not all processes stopped within" in p.stderr and "thawed again" in p.stderr, p.stderr
        assert respond.log()[-1]["rung"] == f"cgroup {freezer} freezer"
        assert goes_on(spin.pid)
        assert respond.json("list") == [] and respond.log()[-1]["phase"] == "failed"
        assert respond.json("kill", name)["after"]["processes"] == 0
    finally:
        for q in (stuck, spin):
            q.kill()
            q.wait()
        pathlib.Path("/dev/shm/hf-stuck").unlink(missing_ok=True)


def test_safeguards_and_rate(respond, box, binary, busybox):  # noqa: F811
    name = box()
    pid = box.pid(name)
    mine = inside(pid, "import os, sys; os.execv(sys.argv[1], [sys.argv[1], 'respond', 'freeze', sys.argv[2], '--state', sys.argv[3]])", binary, name, respond.state, net=False)
    mine.wait(20)
    assert mine.returncode == 3 and not (respond.state / "respond/active").exists()
    copy = respond.state.parent / "dockerd"  # sees the host's files, as the host's dockerd does
    shutil.copy("/bin/sleep", copy)
    dirs = cgroup_dirs(pid)
    runtime = subprocess.Popen([copy, "600"], preexec_fn=lambda: [(d / "cgroup.procs").write_text(str(os.getpid())) for d in dirs.values()])
    try:
        time.sleep(0.1)
        assert "is the host's dockerd" in respond("freeze", name, code=3)
        assert "is the host's dockerd" in respond("freeze", name, "--dry-run", code=3)
        respond("freeze", name, "--force")
        respond("thaw", name)
    finally:
        runtime.kill()
        runtime.wait()
    kube = box("--label", "io.kubernetes.pod.namespace=kube-system", "--label", "io.kubernetes.pod.name=dns")
    assert "kube-system" in respond("kill", kube, code=3)
    for _ in range(8):
        p = respond.raw("freeze", name)
    refused = [p for p in (respond.raw("freeze", name) for _ in range(4)) if p.returncode]
    assert refused and "within the last minute" in refused[0].stderr
    respond("freeze", name, "--force")
    respond("freeze", name, "--per-minute", 100)
    assert any(e.get("forced") for e in respond.log())
    assert "no running container" in respond("freeze", "nothing-of-that-name", code=3)


def test_tampered_log_is_found(respond, box):
    name = box()
    for _ in range(3):
        respond("freeze", name)
        respond("thaw", name)
    path = respond.state / "respond/log.ndjson"
    good = path.read_text()
    assert respond.json("log", "verify")["whole"] is True
    lines = good.splitlines(keepends=True)

    def check(text, what):
        path.write_text(text)
        p = respond.raw("log", "verify")
        assert p.returncode == 1 and re.search(what, p.stdout), p.stdout
    check("".join([*lines[:3], lines[3].replace('"freeze"', '"frieze"'), *lines[4:]]), "line 4 was changed")
    check("".join(lines[:4] + lines[5:]), "line 5 has the number 6 instead of 5")
    check("".join(lines[1:]), "begins with line 2")
    check("".join(lines[:-1]), "lines are missing at the end")
    check("".join([*lines[:-1], lines[-1].replace('"thaw"', '"x"').replace('"undone"', '"undome"')]), "last line was changed")
    check(good + lines[-1], "line 10 has the number 9")
    check(good[:-5], "has no end")
    # the next action does not make it good again: what it says of the last line is what was written
    path.write_text("".join([*lines[:-1], lines[-1].replace('"undone"', '"undome"')]))
    respond("freeze", name)
    assert respond.raw("log", "verify").returncode == 1
    # a torn line, as a crash leaves it, is cut off and told
    path.write_text(good)
    (respond.state / "respond/log.head").write_text(f"9 {respond_hash(lines[8])}\n")
    with open(path, "a") as f:
        f.write('{"schema":"holdfast.res')
    respond("freeze", name)
    assert "torn line" in respond("log") and respond.json("log", "verify")["whole"] is True


def respond_hash(line):
    import hashlib
    return hashlib.sha256(line.rstrip("\n").encode()).hexdigest()


@pytest.fixture
def small_disk(tmp_path):
    d = tmp_path / "small"
    d.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs", d]).returncode:
        pytest.skip("no tmpfs can be mounted")
    yield d
    subprocess.run(["umount", "-l", d])


def test_full_disk(binary, box, small_disk):
    respond = Respond(binary, small_disk / "state")
    name = box()
    respond("freeze", name)
    respond("thaw", name)
    with pytest.raises(OSError):
        with open(small_disk / "fill", "wb", buffering=0) as f:
            while True:
                f.write(b"x" * 4096)
    # space for the log was taken ahead; what is needed to undo it cannot be kept, so nothing is done
    err = respond("freeze", name, code=3)
    assert "nothing was done" in err and "No space left" in err, err
    assert respond("log", "verify").startswith("whole")
    spin = inside(box.pid(name), "while True: pass", net=False)
    try:
        assert goes_on(spin.pid)
        respond("freeze", name, "--force")
        assert not spinning(spin.pid)
        respond("thaw", name)
        assert goes_on(spin.pid)
    finally:
        spin.kill()
        spin.wait()


def test_container_that_restarts_and_ends_meanwhile(respond, box):
    """A container that starts ten times a second: every answer is a clear one, and nothing remains."""
    name = box("--restart", "always", script="/bin/sleep 0.05")
    codes = []
    for i in range(12):
        for verb, more in (("freeze", ["--force"]), ("isolate", ["--force"]), ("limit", ["--packets", "10", "--force"]), ("kill", ["--force"])):
            p = respond.raw(verb, name, *more)
            codes.append(p.returncode)
            assert p.returncode in (0, 3, 4), (verb, p.stderr)
            if p.returncode == 3:
                assert re.search("no running container|is not running|is gone|has no processes|No such|ended|were undone|No such device", p.stderr), (verb, p.stderr)
            respond.raw("release", name)
    box.daemon("rm", "-f", name)
    assert 0 in codes
    assert respond("log", "verify").startswith("whole")
    ids = {a["id"] for a in respond.json("list") if a["running"]}
    assert not ids


def test_pure_v2_view(binary, tmp_path, box):
    """A host with the unified hierarchy alone, as far as can be seen from a mount namespace of one's own."""
    name = box()
    pid = box.pid(name)
    if cgroup_dirs(pid).get("", pathlib.Path("/")).name != box.id(name):
        pytest.skip("containers have no v2 group here")
    v2 = str(cgroup_dirs(pid)[""]).split("/docker/")[0]
    script = f"mount --make-rprivate / && mount --bind {v2} /mnt && umount -Rl /sys/fs/cgroup; mount --move /mnt /sys/fs/cgroup 2>/dev/null || mount -t cgroup2 none /sys/fs/cgroup; exec \"$@\""
    run = lambda *a: subprocess.run(["unshare", "-m", "sh", "-c", script, "x", binary, "respond", *a, "--state", str(tmp_path / "state")], capture_output=True, text=True)  # noqa: E731
    spin = inside(pid, "while True: pass", net=False)
    try:
        p = run("freeze", name, "--json")
        assert p.returncode == 0, p.stderr
        assert json.loads(p.stdout)["rung"] == "cgroup v2 freezer" and not spinning(spin.pid)
        assert run("thaw", name).returncode == 0 and goes_on(spin.pid)
        p = run("kill", name, "--json")
        assert p.returncode == 0 and json.loads(p.stdout)["rung"] == "cgroup.kill", p.stderr
        spin.wait(5)
    finally:
        spin.kill()
        spin.wait()


def test_v1_freezer_alone(binary, tmp_path, box):
    """The other way round: a host without the unified hierarchy."""
    name = box()
    pid = box.pid(name)
    if "freezer" not in cgroup_dirs(pid):
        pytest.skip("no v1 freezer here")
    run = lambda *a: subprocess.run(without_v2(binary, "respond", *a, "--state", tmp_path / "state"), capture_output=True, text=True)  # noqa: E731
    spin = inside(pid, "while True: pass")
    try:
        p = run("freeze", name, "--json")
        assert p.returncode == 0, p.stderr
        assert json.loads(p.stdout)["rung"] == "cgroup v1 freezer" and not spinning(spin.pid)
        assert run("thaw", name).returncode == 0 and goes_on(spin.pid)
        p = run("limit", name, "--packets", "5", "--json")
        assert p.returncode == 0 and json.loads(p.stdout)["rung"] == "nftables", p.stderr
        p = run("list", "--json")
        assert json.loads(p.stdout)[0]["dropped_packets"] == 0
        assert run("release", name).returncode == 0
        p = run("kill", name, "--json")
        assert p.returncode == 0 and json.loads(p.stdout)["rung"] == "freezer and SIGKILL", p.stderr
        spin.wait(5)
    finally:
        spin.kill()
        spin.wait()


def test_snapshot_and_its_verification(respond, box, tmp_path):
    name = box("-e", "API_TOKEN=hunter2", "-e", "LD_PRELOAD=/none", script="echo evil > /tmp/evil; " + LOOP)
    time.sleep(0.3)
    out = tmp_path / "evidence.tar"
    began = time.monotonic()
    did = respond.json("snapshot", name, "--freeze", "-o", out, "--why", "evidence")
    assert time.monotonic() - began < 10 and did["after"]["file"] == str(out) and os.stat(out).st_mode & 0o777 == 0o600
    spin = inside(box.pid(name), "while True: pass", net=False)
    assert goes_on(spin.pid)
    spin.kill()
    spin.wait()
    import io
    import tarfile
    with tarfile.open(out) as tar:
        names = tar.getnames()
        processes = json.load(tar.extractfile("processes.json"))
        manifest = json.load(tar.extractfile("manifest.json"))
        changed = tarfile.open(fileobj=io.BytesIO(tar.extractfile("changed.tar").read()))
    jsonschema.Draft202012Validator(SNAPSHOT).validate(manifest)
    assert names[-1] == "manifest.json" and len(manifest["members"]) == len(names) - 1
    assert changed.extractfile("tmp/evil").read() == b"evil\n"
    first = [p for p in processes if p["pid"] == box.pid(name)][0]
    assert first["exe"] == "/bin/sh" and len(first["exe_sha256"]) == 64 and "API_TOKEN=***" in first["env"] and "hunter2" not in json.dumps(processes)
    assert respond("snapshot", "verify", out).startswith("whole")
    assert respond.json("snapshot", "verify", out)["logged"] is True
    second = respond.json("snapshot", name)["after"]
    assert respond.json("snapshot", "verify", second["file"])["previous_manifest"] == did["after"]["manifest_sha256"]
    whole = out.read_bytes()
    at = whole.index(b"evil\n")
    (tmp_path / "bad.tar").write_bytes(whole[:at] + b"good\n" + whole[at + 5:])
    p = respond.raw("snapshot", "verify", tmp_path / "bad.tar")
    assert p.returncode == 1 and "changed.tar was changed" in p.stdout
    (tmp_path / "cut.tar").write_bytes(whole[:len(whole) // 2])
    assert respond.raw("snapshot", "verify", tmp_path / "cut.tar").returncode == 3
    assert "FILE" in respond("snapshot", "verify", code=2)
    assert "File exists" in respond("snapshot", name, "-o", out, code=3) and out.read_bytes() == whole


def test_changed_files_come_in_parts(respond, box, tmp_path):
    import io
    import tarfile
    name = box(script="for f in a b c; do /bin/busybox dd if=/dev/zero of=/tmp/$f bs=1024 count=40000 2>/dev/null; done; echo x > /tmp/done; " + LOOP)
    done = pathlib.Path(f"/proc/{box.pid(name)}/root/tmp/done")
    assert wait(done.exists, 60)
    out = tmp_path / "evidence.tar"
    assert respond.json("snapshot", name, "-o", out)["after"]["incomplete"] == 0
    with tarfile.open(out) as tar:
        parts = [n for n in tar.getnames() if n.startswith("changed")]
        files = {m.name: m.size for p in parts for m in tarfile.open(fileobj=io.BytesIO(tar.extractfile(p).read()))}
    assert parts == ["changed.tar", "changed-2.tar"] and [files[f"tmp/{f}"] for f in "abc"] == [40960000] * 3 and files["tmp/done"] == 2, (parts, files)
    assert respond("snapshot", "verify", out).startswith("whole")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_ended_while_it_had_frozen(respond, box, tmp_path, how):
    """Whoever froze a container for the time of a snapshot and is killed leaves one who lets it go on; who is interrupted does that itself, and says so."""
    name = box(script="/bin/busybox mkdir /tmp/d; i=0; while [ $i -lt 3000 ]; do echo $i > /tmp/d/$i; i=$((i + 1)); done; echo x > /tmp/done; " + LOOP)
    assert wait(pathlib.Path(f"/proc/{box.pid(name)}/root/tmp/done").exists, 60)
    spin = inside(box.pid(name), "while True: pass", net=False)
    p = subprocess.Popen([respond.binary, "respond", "snapshot", name, "--freeze", "-o", tmp_path / "evidence.tar", "--state", respond.state], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        helper = lambda: subprocess.run(["pgrep", "-x", "holdfast-thaw"], capture_output=True, text=True).stdout.split()  # noqa: E731
        for _ in range(2000):  # in small steps, until the container stands still: it then does so as long as this likes
            p.send_signal(signal.SIGSTOP)
            if not spinning(spin.pid, 0.05):
                break
            p.send_signal(signal.SIGCONT)
            time.sleep(0.005)
        assert helper() and p.poll() is None and not spinning(spin.pid)
        p.send_signal(how)
        p.send_signal(signal.SIGCONT)
        assert p.wait(30) == (-how if how == signal.SIGKILL else 3)
        assert goes_on(spin.pid) and wait(lambda: not helper())
        assert not (tmp_path / "evidence.tar").exists(), "half an evidence is none"
        last = respond.log()[-1]
        assert last["phase"] == "begin" if how == signal.SIGKILL else last["phase"] == "failed" and "interrupted" in last["error"], last
    finally:
        p.kill()
        spin.kill()
        spin.wait()


def test_snapshot_on_a_full_disk_leaves_nothing(binary, box, small_disk, tmp_path):
    respond = Respond(binary, tmp_path / "state")
    name = box(script="/bin/busybox dd if=/dev/urandom of=/tmp/big bs=1024 count=2000 2>/dev/null; " + LOOP)
    time.sleep(0.5)
    err = respond("snapshot", name, "-o", small_disk / "evidence.tar", code=3)
    assert "No space left" in err, err
    assert not (small_disk / "evidence.tar").exists() and respond.log()[-1]["phase"] == "failed"


RULE = """
- rule: Dropped program
  condition: evt.type in (execve, execveat) and container.id != host and proc.exepath = /tmp/sh
  output: "dropped program in %container.name"
  priority: CRITICAL
  respond: [freeze, snapshot]
"""


@pytest.mark.parametrize("act", [True, False])
def test_rule_freezes(binary, box, tmp_path, act):
    from test_watch import Watch
    (tmp_path / "rules.yaml").write_text(RULE)
    respond = Respond(binary, tmp_path / "state")
    w = Watch(binary, tmp_path, "--json", *(["--respond"] if act else []), "--rules", tmp_path / "rules.yaml", "--state", tmp_path / "state")
    try:
        name = box(script="/bin/cp /bin/sh /tmp/sh; /bin/sleep 1; exec /tmp/sh -c 'while :; do :; done'")
        alert = w.wait_for(lambda l: l["type"] == "alert")[0]
        assert alert["action"]["wanted"] == "freeze,snapshot"
        time.sleep(1)
        if not act:
            assert alert["action"]["taken"].startswith("none") and goes_on(box.pid(name)) and not (tmp_path / "state/respond/log.ndjson").exists()
            return
        assert alert["action"]["taken"] == "asked" and not spinning(box.pid(name))
        assert [(e["action"], e["phase"], e["who"]["rule"]) for e in respond.log()] == [(a, p, "Dropped program") for a in ("freeze", "snapshot") for p in ("begin", "done")]
        assert all(e["container"]["name"] == name and e["container"]["image"] == "box:1" for e in respond.log())
        snapshots = list((tmp_path / "state/respond/snapshots").iterdir())
        assert len(snapshots) == 1 and respond("snapshot", "verify", snapshots[0]).startswith("whole")
        took = float(re.search(r"freeze of container .* done ([0-9.]+) ms", (tmp_path / "err").read_text())[1])
        assert took < 1000
        respond("release", name)
        assert goes_on(box.pid(name))
    finally:
        w.end()


def test_rule_limits_isolates_and_kills(binary, box, tmp_path):
    from test_watch import Watch
    (tmp_path / "rules.yaml").write_text(RULE.replace("[freeze, snapshot]", "[limit, isolate, kill]"))
    respond = Respond(binary, tmp_path / "state")
    w = Watch(binary, tmp_path, "--json", "--respond", "--rules", tmp_path / "rules.yaml", "--state", tmp_path / "state")
    try:
        name = box(script="/bin/cp /bin/sh /tmp/sh; /bin/sleep 1; /tmp/sh -c 'while :; do :; done'; exec /bin/sleep 300")
        w.wait_for(lambda l: l["type"] == "alert")
        assert wait(lambda: [e["action"] for e in respond.log() if e["phase"] == "done"] == ["limit", "isolate", "kill"]), respond.log()
        assert {e["action"] for e in respond.json("list")} == {"limit", "isolate"} and {e["container"]["name"] for e in respond.log()} == {name}
        group = [p for p in pathlib.Path("/proc").glob("[0-9]*/exe") if os.path.exists(p) and os.readlink(p).endswith("/tmp/sh")]
        assert not group and box.pid(name), "the process that did it has ended, the container goes on"
        respond("release", name)
        assert respond.json("list") == []
    finally:
        w.end()


def test_a_rule_takes_back_nothing_that_a_person_set(binary, box, tmp_path):
    from test_watch import Watch
    (tmp_path / "rules.yaml").write_text(RULE.replace("[freeze, snapshot]", "[limit, isolate]"))
    respond = Respond(binary, tmp_path / "state")
    w = Watch(binary, tmp_path, "--json", "--respond", "--respond-for", "2s", "--rules", tmp_path / "rules.yaml", "--state", tmp_path / "state")
    try:
        name = box(script="while [ ! -e /tmp/go ]; do /bin/sleep 0.1; done; /bin/cp /bin/sh /tmp/sh; /tmp/sh -c :; exec /bin/sleep 300")
        respond("limit", name, "--packets", "7")
        respond("isolate", name)
        pathlib.Path(f"/proc/{box.pid(name)}/root/tmp/go").touch()
        assert wait(lambda: [e["action"] for e in respond.log() if e["phase"] == "done" and e["who"].get("rule")] == ["limit", "isolate"]), respond.log()
        time.sleep(4)
        left = {e["action"]: e for e in respond.json("list")}
        assert set(left) == {"limit", "isolate"} and left["limit"]["settings"] == "7 packets/s out" and not any("left_s" in e for e in left.values()), left
        assert not [e for e in respond.log() if e["phase"] == "undone"]
        respond("release", name)
        assert respond.json("list") == []
    finally:
        w.end()


def test_the_eleventh_action_of_a_minute_comes_later(binary, box, tmp_path):
    """Ten actions that somebody provoked do not save a container from the one that matters."""
    from test_watch import Watch
    (tmp_path / "rules.yaml").write_text(RULE)
    respond = Respond(binary, tmp_path / "state")
    other = box()
    for verb in ("freeze", "thaw") * 10:  # 50 seconds ago, as the log has it
        p = subprocess.run(["faketime", "-f", "-50s", binary, "respond", verb, other, "--state", str(respond.state)], capture_output=True, text=True)
        assert p.returncode == 0, p.stderr
    w = Watch(binary, tmp_path, "--json", "--respond", "--rules", tmp_path / "rules.yaml", "--state", respond.state)
    try:
        name = box(script="/bin/cp /bin/sh /tmp/sh; /bin/sleep 1; exec /tmp/sh -c 'while :; do :; done'")
        w.wait_for(lambda l: l["type"] == "alert")
        assert wait(lambda: (tmp_path / "err").read_text().count("it is tried again for five minutes") == 2), (tmp_path / "err").read_text()
        assert wait(lambda: {("freeze", "done"), ("snapshot", "done")} <= {(e["action"], e["phase"]) for e in respond.log() if e["container"]["name"] == name}, 60), (tmp_path / "err").read_text()
        assert not spinning(box.pid(name)) and [e["container"]["name"] for e in respond.log() if e["phase"] == "begin"].count(name) == 2
        respond("release", name)
    finally:
        w.end()


def test_who_waits_for_his_minute_holds_up_nobody(binary, box, tmp_path):
    """More snapshots than are taken at once, all refused for the limit: another container's action is looked at meanwhile, and watch can end."""
    from test_watch import Watch
    (tmp_path / "rules.yaml").write_text(RULE.replace("[freeze, snapshot]", "[snapshot]") + RULE.replace("Dropped program", "Other").replace("/tmp/sh", "/tmp/cp").replace("[freeze, snapshot]", "[freeze]"))
    respond = Respond(binary, tmp_path / "state")
    first = box()
    for verb in ("freeze", "thaw") * 10:
        respond(verb, first)
    w = Watch(binary, tmp_path, "--json", "--respond", "--rules", tmp_path / "rules.yaml", "--state", respond.state)
    said = (tmp_path / "err").read_text
    try:
        for _ in range(10):
            box(script="/bin/cp /bin/sh /tmp/sh; exec /tmp/sh -c 'while :; do /bin/sleep 1; done'")
        assert wait(lambda: said().count("snapshot of container") == 10), said()
        box(script="/bin/cp /bin/cp /tmp/cp; /tmp/cp /bin/sh /tmp/x; exec /bin/sleep 300")
        assert wait(lambda: "freeze of container" in said()), said()
        assert logged(respond).count(("snapshot", "begin")) == 0, "the minute was over: this proved nothing"
    finally:
        code, text = w.end()
    assert code == 0 and text.count("and watch ends") == 11, text


def held(state):
    """Of a snapshot: it waits before its manifest until the file is closed."""
    (state / "respond").mkdir(parents=True, mode=0o700, exist_ok=True)
    f = open(state / "respond/snapshots.lock", "w")
    fcntl.flock(f, fcntl.LOCK_EX)
    return f


def logged(respond):
    return [(e["action"], e["phase"]) for e in respond.log()] if (respond.state / "respond/log.ndjson").exists() else []


IN_TURN = [("snapshot", "begin"), ("freeze", "begin"), ("freeze", "done"), ("snapshot", "done")]


def test_nobody_waits_for_a_snapshot(respond, box):
    one, other = box(), box()
    with held(respond.state):
        snapshot = subprocess.Popen([respond.binary, "respond", "snapshot", one, "--state", respond.state], stdout=subprocess.DEVNULL)
        assert wait(lambda: ("snapshot", "begin") in logged(respond))
        respond("freeze", other)
        assert snapshot.poll() is None
    assert snapshot.wait(30) == 0 and logged(respond) == IN_TURN and respond("log", "verify").startswith("whole")


def test_no_rule_waits_for_a_snapshot_of_another(binary, box, tmp_path):
    from test_watch import Watch
    (tmp_path / "rules.yaml").write_text(RULE.replace("[freeze, snapshot]", "[snapshot]") + RULE.replace("Dropped program", "Other").replace("/tmp/sh", "/tmp/cp").replace("[freeze, snapshot]", "[freeze]"))
    respond = Respond(binary, tmp_path / "state")
    w = Watch(binary, tmp_path, "--json", "--respond", "--rules", tmp_path / "rules.yaml", "--state", tmp_path / "state")
    try:
        with held(respond.state):
            box(script="/bin/cp /bin/sh /tmp/sh; exec /tmp/sh -c 'while :; do /bin/sleep 1; done'")
            assert wait(lambda: ("snapshot", "begin") in logged(respond))
            box(script="/bin/cp /bin/cp /tmp/cp; /tmp/cp /bin/sh /tmp/x; exec /bin/sleep 300")
            assert wait(lambda: ("freeze", "done") in logged(respond), 8)
        assert wait(lambda: len(logged(respond)) == 4, 30) and logged(respond) == IN_TURN
    finally:
        w.end()


FLOOD_RULE = """
- rule: Flood
  condition: evt.type = hf.rate and container.id != host
  surge: {of: hf.rate.udp_out, above: 400, times: 10, samples: 2}
  output: "%hf.rate.udp_out datagrams"
  priority: CRITICAL
  respond: [limit]
- rule: Whole seconds
  condition: evt.type = hf.rate and container.id != host and hf.rate.udp_out > 0
  output: "%hf.rate.udp_out datagrams"
  priority: LOW
"""


def test_flood_is_told_before_its_second_is_over(binary, box, wire, tmp_path):
    from test_watch import Watch
    (tmp_path / "rules.yaml").write_text(FLOOD_RULE)
    respond = Respond(binary, tmp_path / "state")
    w = Watch(binary, tmp_path, "--json", "--respond", "--rules", tmp_path / "rules.yaml", "--state", tmp_path / "state")
    try:
        name = box()
        pid = box.pid(name)
        wire(pid)
        w.wait_for(lambda l: l["type"] == "container" and l["container"]["name"] == name)
        inside(pid, FLOOD, 3).communicate()
        told = w.wait_for(lambda l: l["type"] == "alert" and l["rule"] == "Flood")[0]
        assert told["rate"].get("early") and 800 <= told["rate"]["udp_out"] and told["rate"]["interval_ns"] >= 1e9 and told["action"]["taken"] == "asked"
        assert wait(lambda: [e["phase"] for e in respond.log() if e["action"] == "limit"] == ["begin", "done"])
        assert respond.json("list")[0]["dropped_packets"] > 0
        whole = w.wait_for(lambda l: l["type"] == "alert" and l["rule"] == "Whole seconds")
        assert all("early" not in a["rate"] for a in whole)
        lines = [l["rate"] for l in w.lines() if l["type"] == "rate"]
        assert any(l.get("early") for l in lines) and sum(l["udp_out"] for l in lines if not l.get("early")) >= told["rate"]["udp_out"]
        respond("release", name)
    finally:
        w.end()


def test_rules_that_want_what_there_is_not(run, tmp_path):
    (tmp_path / "r.yaml").write_text(RULE.replace("[freeze, snapshot]", "[freeze, explode]"))
    rc, _, err = run("rules", "check", tmp_path / "r.yaml")
    assert rc == 2 and '"respond" takes freeze, kill, isolate, limit and snapshot' in err, (rc, err)
    (tmp_path / "r.yaml").write_text(RULE)
    assert "responds  freeze, snapshot" in run("rules", "explain", "Dropped program", "--rules", tmp_path / "r.yaml")[1]


def test_snapshot_becomes_evidence_of_an_incident(run, respond, box, tmp_path):
    import hashlib
    store = ("--store", f"sqlite:{tmp_path}/store.db")
    name = box()
    assert "store.db" in respond("snapshot", name, "--incident", "INC-1", *store, code=3)
    assert run("incident", "import", *store, ROOT / "tests/corpus/fuzz-correlate/story.ndjson")[0] in (0, 4)
    which = json.loads(run("incident", "list", *store, "--json")[1])[0]["id"]
    assert "2020-1-99" in respond("snapshot", name, "--incident", "2020-1-99", *store, code=3) and not (tmp_path / "state/respond/snapshots").exists()
    kept = respond.json("snapshot", name, "--incident", which, *store)["after"]
    shown = json.loads(run("incident", "show", "--json", *store, which)[1])
    assert shown["evidence"] == [{"name": pathlib.Path(kept["file"]).name, "sha256": hashlib.sha256(pathlib.Path(kept["file"]).read_bytes()).hexdigest(), "path": kept["file"]}]
    assert "evidence" in run("audit", "list", *store)[1]
