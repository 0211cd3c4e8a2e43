# SPDX-License-Identifier: Apache-2.0
"""What the unprivileged half of `watch` asks of the privileged one: taken by somebody who has broken into it, the socket blinds nobody."""
import ctypes
import os
import socket
import struct
import subprocess
import time

import pytest

from test_docker import overlay  # noqa: F401 (a fixture)
from test_watch import busybox, watch  # noqa: F401 (fixtures)

EXEC, FORK, RENAME = 1, 2, 17
libc = ctypes.CDLL(None, use_errno=True)


def message(magic=0x4B534148, version=1, size=120, seq=100, demand=0, cheap=0, container=0, host=0, flags=0, reserved=0, limit=(0, 0)):
    return struct.pack("<IHHQQQQQII", magic, version, size, seq, demand, cheap, container, host, flags, reserved) + struct.pack("<QQ", *limit) + bytes(48)


def stolen(engine):
    """A copy of the engine's end of the socket to the sensor: the first socket it has."""
    pidfd = os.pidfd_open(engine)
    try:
        for fd in sorted(int(n) for n in os.listdir(f"/proc/{engine}/fd")):
            if fd > 2 and os.readlink(f"/proc/{engine}/fd/{fd}").startswith("socket:"):
                copy = libc.syscall(438, pidfd, fd, 0)
                if copy < 0:
                    pytest.skip("pidfd_getfd is refused: " + os.strerror(ctypes.get_errno()))
                return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=copy)
    finally:
        os.close(pidfd)
    raise AssertionError("the engine has no socket")


def statuses(w, member):
    return [l["status"][member] for l in w.lines() if l["type"] == "status" and member in l["status"]]


def run(busybox, name):  # noqa: F811
    subprocess.run(busybox.command("run", "--rm", "--name", name, "--network", "none", "box:1", "/bin/sh", "-c", "/bin/true; /bin/true"),
                   env=busybox.env(), capture_output=True, check=True)


def told(w, name, kind):
    return [l for l in w.lines() if l["type"] == kind and l.get("container", {}).get("name") == name]


def test_a_broken_in_engine_cannot_blind_the_sensor(watch, busybox):  # noqa: F811
    w = watch("--json", "--budget", "0")  # what it asks of its own accord would come between
    engine = int(open(f"/proc/{w.process.pid}/task/{w.process.pid}/children", encoding="ascii").read().split()[0])
    w.wait_for(lambda l: l["type"] == "status" and "asked" in l["status"])
    with stolen(engine) as s:
        run(busybox, "before")
        w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "before")
        assert told(w, "before", "fork") and told(w, "before", "exec")
        # garbage of every kind: one word about it, and nothing changes
        for bad in (b"x", b"\0" * 56, b"y" * 5000, message(version=9), message(container=1 << EXEC)):
            s.send(bad)
        errors = w.wait_for(lambda l: l["type"] == "status" and "refused" in l["status"].get("error", ""))
        assert len(errors) == 1
        # what may be left out is, and is told
        s.send(message(seq=101, container=1 << FORK | 1 << RENAME))
        w.wait_for(lambda l: l["type"] == "status" and l["status"].get("asked") == "101")
        assert statuses(w, "left_out.containers")[-1] == "fork,rename"
        run(busybox, "less")
        w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "less")
        assert not told(w, "less", "fork") and [l["exec"]["path"] for l in told(w, "less", "exec")][-2:] == ["/bin/true", "/bin/true"]
        # to leave out what starts: refused, and still told
        s.send(message(seq=102, container=1 << EXEC | 1 << FORK))
        w.wait_for(lambda l: l["type"] == "status" and "event types 0x2 cannot be left out" in l["status"].get("error", ""))
        assert "102" not in statuses(w, "asked")
        # hooks attached and detached as fast as it can be asked for: once in two seconds at most, and the last word counts
        for i in range(6):
            s.send(message(seq=200 + i, demand=1 if i % 2 else 0))
            time.sleep(0.25)
        w.wait_for(lambda l: l["type"] == "status" and l["status"].get("asked") == "205" and l["status"].get("on_demand") == "memory")
        changes = [n for n, seq in zip(statuses(w, "on_demand"), statuses(w, "asked")) if int(seq) >= 200]
        assert sum(a != b for a, b in zip(changes, changes[1:])) <= 2
        # a flood: most is not read, the sensor goes on
        s.setblocking(False)
        for i in range(2000):
            try:
                s.send(message(seq=1000 + i))
            except BlockingIOError:
                pass
        run(busybox, "flooded")
        w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "flooded")
        ran = [l for l in told(w, "flooded", "exec") if not l["process"].get("runtime")]  # runc itself may be told before
        assert ran[0]["exec"]["path"] == "/bin/sh" and all(l["exec"]["path"] for l in told(w, "flooded", "exec"))
        assert sum(int(n) >= 1000 for n in statuses(w, "asked")) < 60
    w.end()
