# SPDX-License-Identifier: Apache-2.0
"""only_sealed for what is no program of its own: libraries (files mapped for execution) and scripts that change after they were looked at."""
import io
import os
import pathlib
import signal
import subprocess
import tarfile
import time

import pytest

from test_docker import overlay  # noqa: F401 (a fixture)
from test_protect import Box, IMAGE, SEALED, guard_of, protecting, until  # noqa: F401
from test_watch import watch  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = bytes([0xB8, 42, 0, 0, 0, 0xC3])  # mov $42, %eax; ret
pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="its library is written in that processor's code")


@pytest.fixture(scope="module")
def image(overlay, tmp_path_factory):  # noqa: F811
    path = tmp_path_factory.mktemp("content") / "uses"
    subprocess.run([os.environ.get("CC", "gcc").split()[-1], "-static", "-O1", "-D_GNU_SOURCE", "-o", path, ROOT / "tests/tools/uses.c"], check=True)
    busybox = pathlib.Path("/bin/busybox").read_bytes()
    files = {"bin/busybox": busybox, "bin/sh": busybox + b"sh", "bin/sleep": busybox + b"sleep", "bin/uses": path.read_bytes(), "lib/x.so": CODE.ljust(4096, b"\0"), "lib/y.so": CODE.ljust(4097, b"\1"),
             "bin/script": b"#!/bin/uses\nwhat the image says\n"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "lib", "tmp", "etc", "proc"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(info)
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o755
            tar.addfile(info, io.BytesIO(text))
    overlay("import", "-", f"{IMAGE}:content", input=out.getvalue())
    return overlay


class Content(Box):
    def __init__(self, docker, name, *args):
        self.docker, self.name = docker, name
        self.call("run", "-d", "--rm", "--name", name, "--network", "none", *args, f"{IMAGE}:content", "/bin/sleep", "1000", check=True)

    def run(self, *args):
        return self.call("exec", self.name, *args)


@pytest.fixture
def box(image):
    boxes = []

    def make(name, *args):
        boxes.append(Content(image, name, *args))
        return boxes[-1]
    yield make
    for b in boxes:
        b.stop()


def enforced(w):
    until(lambda: [c for c in w.status()["containers"] if c["enforced"] and c["sealed"]])


def of(w, path):
    return [l["verdict"] for l in w.lines() if l["type"] == "verdict" and l["verdict"].get("path") == path and l["verdict"].get("action") in ("denied", "killed")]


DROP = "/bin/busybox cp /lib/x.so /tmp/x.so; echo x >>/tmp/x.so"


def test_libraries(protecting, box):
    w = protecting(SEALED % ("open", 0))
    c = w.status()["policies"][0]["clauses"][0]
    if "libraries" in c.get("why", ""):
        pytest.skip(c["why"])
    b = box("libraries", "-v", "/vol")
    enforced(w)
    for args in ("map", "map-shared"):
        assert b.run("/bin/uses", args, "/lib/x.so").stdout == "ran 42 \n"  # the image's own
    b.sh(DROP)
    for args in ("map", "map-shared", "map"):
        assert b.run("/bin/uses", args, "/tmp/x.so").stdout == ""
    v = until(lambda: of(w, "/tmp/x.so"))[0]
    assert v["use"] == "mmap" and v["result"] == "foreign" and v["clause"] == "only_sealed" and v["action"] in ("killed", "denied") and len(v["sha256"]) == 64, v
    b.sh("/bin/busybox chmod 700 /lib/y.so")  # copied up, as it was
    assert b.run("/bin/uses", "map", "/lib/y.so").stdout == "ran 42 \n"
    b.sh("echo y >>/lib/y.so")
    assert b.run("/bin/uses", "map", "/lib/y.so").stdout == ""
    assert until(lambda: of(w, "/lib/y.so"))[0]["result"] == "changed"
    b.sh("/bin/busybox cp /lib/x.so /vol/x.so")
    assert b.run("/bin/uses", "map", "/vol/x.so").stdout == ""  # of a volume nobody vouches
    assert b.run("/bin/uses", "map-memory").stdout == ""
    assert until(lambda: [v for l in w.lines() if (v := l.get("verdict", {})).get("result") == "memory" and v["action"] in ("killed", "denied")])
    assert w.end()[0] in (0, 4)
    assert b.run("/bin/uses", "map", "/tmp/x.so").stdout == "ran 42 \n"


def test_libraries_are_counted(protecting, box):
    w = protecting((SEALED % ("open", 0)).replace("mode: enforce", "mode: observe"))
    b = box("counted")
    until(lambda: w.status()["containers"] and w.status()["containers"][0]["sealed"])
    b.sh(DROP)
    p = b.sh("/bin/uses map /tmp/x.so; /bin/uses map /lib/x.so; /bin/uses map /tmp/x.so")
    assert p.stdout == "ran 42 \n" * 3, p
    s = until(lambda: (s := w.status())["policies"][0]["would_have_refused"] + s["counts_left_out"] >= 1 and s)
    assert s["policies"][0]["refused"] == 0


def test_what_is_killed_before_it_runs_is_one_story(protecting, box):
    """A program from memory is killed at its start: the event says so, and only the rules that ask for that tell of it."""
    w = protecting(SEALED % ("open", 0), "--severity", "info")
    b = box("killed")
    enforced(w)
    assert "ran" not in b.run("/bin/uses", "run-memory").stdout
    line = until(lambda: [l for l in w.lines() if l["type"] == "exec" and "memfd" in l["exec"]["flags"]])[0]
    verdicts = lambda: [l["verdict"] for l in w.lines() if l["type"] == "verdict" and l["verdict"]["result"] == "memory"]  # noqa: E731
    action = until(verdicts)[0]["action"]
    assert action in ("killed", "denied") and ("killed" in line["exec"]["flags"]) == (action == "killed"), line
    until(lambda: [l for l in w.lines() if l["type"] == "alert"])
    time.sleep(2)
    assert len(verdicts()) == 1
    assert [l["rule"] for l in w.lines() if l["type"] == "alert"] == ["Program refused by a policy"]


def test_a_killed_guard_leaves_nobody_stopped(protecting, box):
    """While the guard is stopped whoever maps an unknown file waits; when it is killed he goes on, or dies, as the policy says."""
    for fail, said in (("open", "ran 42 \n"), ("closed", "")):
        w = protecting(SEALED % (fail, 0))
        b = box(f"guard-{fail}")
        enforced(w)
        assert b.run("/bin/uses", "map", "/lib/x.so").stdout == "ran 42 \n"
        b.sh(DROP)
        guard = guard_of(w)
        os.kill(guard, signal.SIGSTOP)
        p = subprocess.Popen(b.docker.command("exec", b.name, "/bin/uses", "map", "/tmp/x.so"), env=b.docker.env(), stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        assert p.poll() is None  # stopped
        os.kill(guard, signal.SIGKILL)
        assert p.communicate(timeout=60)[0] == said
        w.stop()
        b.stop()


def test_a_script_that_changes_after_it_was_looked_at(protecting, box):
    w = protecting(SEALED % ("open", 0))
    b = box("script")
    enforced(w)
    good = b.run("/bin/script").stdout
    assert "what the image says" in good
    for change in ("echo evil >>/bin/script", "/bin/busybox cp /bin/script /tmp/s; echo evil >>/tmp/s; /bin/busybox mv /tmp/s /bin/script"):
        b.stop()
        b = box("script")
        until(lambda: [c for c in w.status()["containers"] if c["enforced"] and c["sealed"]])
        p = subprocess.Popen(b.docker.command("exec", b.name, "/bin/script"), env=b.docker.env(), stdout=subprocess.PIPE, text=True)
        time.sleep(0.8)  # its interpreter has begun, and waits
        assert p.poll() is None
        b.sh(change)
        out = p.communicate(timeout=60)[0]
        assert "evil" not in out, (change, out)
        until(lambda: [v for v in of(w, "/bin/script")])


@pytest.fixture
def served(tmp_path):
    """served(*how) -> a folder with one program (or library), on a file system that a process serves, to everybody but us or (with an argument) to all."""
    tool, where = tmp_path / "hang-fuse", tmp_path / "mnt"
    compiler = os.environ.get("CC", "gcc").split()[-1]
    subprocess.run([compiler, "-O1", "-D_GNU_SOURCE", "-o", tool, ROOT / "tests/tools/hang-fuse.c"], check=True)
    subprocess.run([compiler, "-static", "-O1", "-D_GNU_SOURCE", "-o", tmp_path / "prog", ROOT / "tests/tools/uses.c"], check=True)
    where.mkdir()
    servers = []

    def start(*how, content=None):
        if content:
            (tmp_path / "prog").write_bytes(content)
        servers.append(subprocess.Popen([tool, tmp_path / "prog", where, *how]))
        try:
            until(lambda: os.path.ismount(where))
        except AssertionError:
            pytest.skip("no FUSE here")
        return where
    yield start
    subprocess.run(["umount", "-l", where], stderr=subprocess.DEVNULL)
    for s in servers:
        s.kill()
        s.wait()


def test_programs_that_somebody_else_serves_are_judged_by_path(protecting, box, served):
    """Nobody vouches for what FUSE holds; what the policy allows by its path runs, as a program and as a library."""
    where = served("answers")
    w = protecting((SEALED % ("closed", 0)).replace("only_sealed: true", 'only_sealed: {allow: ["/fuse/**"]}'))
    b = box("served", "-v", f"{where}:/fuse", "-v", f"{where}:/other")
    enforced(w)
    until(lambda: b.run("/fuse/prog", "map", "/lib/x.so").stdout)
    assert b.run("/fuse/prog", "map", "/lib/x.so").stdout == "ran 42 \n"
    assert "ran" not in b.run("/other/prog", "map", "/lib/x.so").stdout
    v = until(lambda: of(w, "/other/prog"))[0]
    assert v["result"] == "volume" and v["clause"] == "only_sealed" and v["action"] == "denied" and "sha256" not in v, v


def test_libraries_that_somebody_else_serves_are_judged_by_path(protecting, box, served):
    where = served(content=CODE.ljust(4096, b"\0"))  # who does not even answer us
    w = protecting((SEALED % ("closed", 0)).replace("only_sealed: true", 'only_sealed: {allow: ["/fuse/**"]}'))
    boxes = [box(f"served-{folder}", "-v", f"{where}:/{folder}") for folder in ("fuse", "other")]  # in one container it would be one file, that was allowed
    until(lambda: len([c for c in w.status()["containers"] if c["enforced"] and c["sealed"]]) == 2)
    assert boxes[0].run("/bin/uses", "map", "/fuse/prog").stdout == "ran 42 \n"
    assert boxes[1].run("/bin/uses", "map", "/other/prog").stdout == ""
    assert until(lambda: of(w, "/other/prog"))[0]["use"] == "mmap"


def test_a_script_that_nobody_serves_holds_up_nobody(protecting, box, served):
    """Looked at after it has started, by what is known without asking."""
    where = served(content=b"#!/bin/uses\nx\n")
    w = protecting((SEALED % ("open", 0)).replace("mode: enforce", "mode: observe").replace("only_sealed", "no_shells"))
    b = box("served-script", "-v", f"{where}:/fuse")
    until(lambda: [c for c in w.status()["containers"] if c["sealed"]])
    for _ in range(3):
        b.run("/fuse/prog")
    b.sh(DROP + "; /bin/busybox cp /bin/sleep /tmp/s; echo >>/tmp/s; /tmp/s 0")
    assert until(lambda: [l["verdict"] for l in w.lines() if l["type"] == "verdict" and l["verdict"]["path"] == "/tmp/s"], 5)[0]["result"] == "foreign"


@pytest.mark.parametrize("mode, fail", [("enforce", "open"), ("enforce", "closed"), ("observe", "open")])
def test_a_file_system_that_does_not_answer(protecting, box, served, mode, fail):
    """A server of a file system that answers everybody but us holds up nobody but who starts its programs; after a while the policy says what becomes of those."""
    where = served()
    w = protecting((SEALED % (fail, 0)).replace("mode: enforce", f"mode: {mode}"))
    other = box(f"other-{mode}-{fail}")
    b = box(f"fuse-{mode}-{fail}", "-v", f"{where}:/fuse")
    until(lambda: len([c for c in w.status()["containers"] if c["sealed"] and c["enforced"] == (mode == "enforce")]) == 2)
    start = b.docker.command("exec", b.name, "/fuse/prog", "map", "/lib/x.so")
    p = subprocess.Popen(start, env=b.docker.env(), stdout=subprocess.PIPE, text=True)
    for one in (other, b):
        one.sh(DROP + "; /bin/busybox cp /bin/sleep /tmp/s; echo >>/tmp/s; /tmp/s 0")
        if mode == "enforce":  # others are judged all the while, in the same container too
            assert one.run("/bin/uses", "map", "/lib/x.so").stdout == "ran 42 \n"
            until(lambda: [l for l in w.lines() if l["type"] == "verdict" and l["verdict"].get("path") == "/tmp/s" and l["container"]["name"] == one.name])  # noqa: B023
    if mode == "observe":
        until(lambda: [c for c in w.status()["counts"] if c["what"] == "/tmp/s"])
        until(lambda: [c for c in w.status()["counts"] if c["what"] == "/fuse/prog"])
        assert "ran 42" in p.communicate(timeout=30)[0]
    else:
        until(lambda: [l for l in w.lines() if l["type"] == "status" and "does not answer" in l["status"].get("error", "") and b.name in l["status"]["error"]])
        assert p.poll() is None  # it waits for the server, as we do
        again = subprocess.run(start, env=b.docker.env(), capture_output=True, text=True, timeout=30)
        assert ("ran 42" in again.stdout) == (fail == "open"), again
    assert b.sh("/bin/uses map /fuse/prog; /bin/busybox echo over").stdout.endswith("over\n")
