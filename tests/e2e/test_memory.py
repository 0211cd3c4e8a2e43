# SPDX-License-Identifier: Apache-2.0
"""Memory made executable, device requests and what else is attached only while a rule needs it: each way gone for real in a container, with
its harmless twin.  Which hook serves them here says `sensor features`; tests/vm/watch.sh does the same on the other hooks."""
import io
import json
import os
import pathlib
import signal
import subprocess
import tarfile

import pytest

from test_docker import overlay  # noqa: F401 (a fixture)
from test_pack import links
from test_watch import watch  # noqa: F401 (a fixture)

ROOT = pathlib.Path(__file__).resolve().parents[2]
COSTLY = ("tracepoint/",)
ONLY = ("--type", "memory,container_end,status")  # other containers of this machine tell much
REQUESTS = """
- rule: Request
  desc: of the pack's rules, with whatever hook there is
  condition: evt.type = ioctl and container.id != host and evt.arg.request in (TIOCSTI, EVIOCGRAB, UI_DEV_CREATE)
  output: "%proc.name %evt.arg.request of %fd.name"
  priority: HIGH
- rule: Traced
  desc: what asks for no privilege
  condition: evt.type = ptrace and container.id != host and evt.arg.request = PTRACE_TRACEME
  output: "%proc.name has itself traced"
  priority: LOW
"""
ANY = """
- rule: Memory
  desc: all that is told of it
  condition: hf.memory and container.id != host
  output: "%proc.name %evt.arg.prot"
  priority: INFO
""".replace("hf.memory", "evt.type in (mmap, mprotect)")


@pytest.fixture(scope="module")
def box(overlay, tmp_path_factory):  # noqa: F811
    """An image with tests/tools/memory.c and busybox."""
    path = tmp_path_factory.mktemp("memory")
    subprocess.run([os.environ.get("CC", "gcc").split()[0], "-static", "-O1", "-o", path / "memory", ROOT / "tests/tools/memory.c"], check=True)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "tmp", "etc", "lib"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(info)
        program, busybox = (path / "memory").read_bytes(), pathlib.Path("/bin/busybox").read_bytes()
        for name, data in (("bin/memory", program), ("lib/own.so", program), ("bin/busybox", busybox), ("bin/sh", busybox), ("bin/cp", busybox), ("bin/sleep", busybox), ("bin/env", busybox)):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    overlay("import", "-", "memory:1", input=out.getvalue())
    return overlay


def run(box, name, *args, options=()):
    return subprocess.run(box.command("run", "--rm", "--name", name, "--network", "none", "--security-opt", "seccomp=unconfined", *options, "memory:1", *args),
                          env=box.env(), capture_output=True, text=True, check=False)


def ended(w, name):
    return w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == name)


def told(w, name, kind="memory"):
    return [l for l in w.lines() if l["type"] == kind and l.get("container", {}).get("name") == name]


def served(binary, name):
    rows = json.loads(subprocess.run([binary, "sensor", "features", "--json"], capture_output=True, check=True).stdout)
    return next(r for r in rows if r["name"] == name)


WAYS = {
    # name: (argument, operation, flags, and what else is in the member)
    "write-and-execute": (None, "mmap", {"anonymous", "write_and_execute"}, {"protection": ["read", "write", "exec"]}),
    "write-then-execute": (None, "mprotect", {"anonymous", "written"}, {"before": ["read", "write"], "protection": ["read", "exec"], "length": 4096}),
    "with-key": (None, "mprotect", {"anonymous", "written"}, {"before": ["read", "write"]}),
    "stack": (None, "mprotect", {"anonymous", "written", "stack", "write_and_execute"}, {}),
    "heap": (None, "mprotect", {"anonymous", "written", "heap"}, {}),
    "memfd": ("payload", "mmap", set(), {"path": "/memfd:payload", "file_flags": ["memfd", "deleted", "tmpfs"]}),
    "unlinked": ("/tmp/gone", "mmap", set(), {"path": "/tmp/gone", "file_flags": ["upper_layer", "overlay", "deleted"]}),
    "shared": (None, "shmat", {"anonymous", "write_and_execute"}, {}),
    "personality": (None, "mmap", {"anonymous", "write_and_execute"}, {}),
    "compat": (None, "mprotect", {"anonymous", "written"}, {"before": ["read", "write"]}),
}


def test_every_way_to_executable_memory(watch, box, binary, tmp_path):  # noqa: F811
    if not served(binary, "memory")["hook"]:
        pytest.skip("no hook serves it here")
    (tmp_path / "rules.yaml").write_text(ANY)
    w = watch("--json", "--rules", tmp_path / "rules.yaml", "--state", tmp_path / "state", *ONLY)
    w.wait_for(lambda l: l["type"] == "status" and l["status"].get("on_demand") == "memory")
    for way, (arg, *_) in WAYS.items():
        p = run(box, way, "/bin/memory", way, *([arg] if arg else []))
        assert p.returncode in (0, 77), p.stderr
    run(box, "behind", "/bin/memory", "behind-executable")
    run(box, "ordinary", "/bin/memory", "ordinary")
    run(box, "own", "/bin/memory", "file", "/lib/own.so")
    run(box, "dropped", "/bin/sh", "-c", "/bin/cp /lib/own.so /tmp/x.so; /bin/memory file /tmp/x.so; /bin/cp /lib/own.so /dev/shm/y.so; /bin/memory file /dev/shm/y.so")
    run(box, "compiler", "/bin/memory", "compiler", "20000")
    ended(w, "compiler")
    for way, (arg, operation, flags, more) in WAYS.items():
        events = told(w, way)
        assert len(events) == 1, (way, events)
        e = events[0]
        m = e["memory"]
        assert m["operation"] == operation and set(m["flags"]) == flags, (way, m)
        assert all(m.get(k) == v for k, v in more.items()), (way, m)
        assert e["process"]["exe"] == "/bin/memory" and e["process"]["ns_pid"] == 1 and e["container"]["image"] == "memory:1"
    # the range begins with a page that is executable already: the second is seen
    assert [set(e["memory"]["flags"]) for e in told(w, "behind")][0] == {"anonymous", "written"} and len(told(w, "behind")) == 1
    # the image's own files mapped as they are, and memory that only becomes readable: nothing
    assert not told(w, "ordinary") and not told(w, "own")
    assert [(e["memory"]["path"], e["memory"]["file_flags"]) for e in told(w, "dropped")] == [("/tmp/x.so", ["upper_layer", "overlay"]), ("/dev/shm/y.so", ["tmpfs"])]
    # a compiler at run time: once, not 20,000 times
    assert len(told(w, "compiler")) == 1
    code, err = w.end()
    assert code == 0, err


def test_requests_and_tracing(watch, box, binary, tmp_path):  # noqa: F811
    """Rules that need them have them attached, and what that costs is said; a reload without these rules takes them away again."""
    rows = {n: served(binary, n) for n in ("device-requests", "trace-unprivileged")}
    if not rows["device-requests"]["hook"]:
        pytest.skip("no hook serves it here")
    rules = tmp_path / "rules.yaml"
    rules.write_text(REQUESTS)
    w = watch("--json", "--rules", rules, "--state", tmp_path / "state", "--type", "file,ptrace,container_end,status")
    asked = w.wait_for(lambda l: l["type"] == "status" and "ioctl" in l["status"].get("on_demand", ""))[-1]["status"]
    assert asked["hook.device-requests"] == rows["device-requests"]["hook"]
    needs = w.wait_for(lambda l: l["type"] == "status" and "needs.ioctl" in l["status"])[-1]["status"]
    assert needs["needs.ioctl"] == "Request" and needs["needs.trace"] == "Traced" and "needs.memory" not in needs
    costly = rows["device-requests"]["hook"].startswith(COSTLY)
    assert ("costly.device-requests" in asked) == costly
    # a terminal of one's own: input put into it, and its size asked
    script = "/bin/memory winsize; /bin/memory tiocsti; /bin/memory traceme"
    run(box, "terminal", "/bin/sh", "-c", script, options=("-t",))
    run(box, "quiet", "/bin/sh", "-c", "/bin/memory winsize; /bin/memory ordinary", options=("-t",))
    ended(w, "quiet")
    w.wait_for(lambda l: l["type"] == "alert" and l["rule"] == "Traced")
    files = [l["file"] for l in told(w, "terminal", "file") if l["file"]["operation"] == "ioctl"]
    assert [(f["request"], f["path"]) for f in files] == [("TIOCSTI", "/dev/pts/0")] or [(f["request"], f["path"]) for f in files] == [("TIOCSTI", "/dev/tty")]
    alerts = [l for l in w.lines() if l["type"] == "alert"]
    assert {(a["rule"], a["container"]["name"]) for a in alerts} == {("Request", "terminal"), ("Traced", "terminal")}
    # other rules, nothing of it any more
    rules.write_text(ANY)
    w.process.send_signal(signal.SIGHUP)
    w.wait_for(lambda l: l["type"] == "status" and l["status"].get("on_demand") == "memory")
    run(box, "later", "/bin/sh", "-c", script, options=("-t",))
    ended(w, "later")
    assert not [l for l in told(w, "later", "file") if l["file"]["operation"] == "ioctl"]
    code, err = w.end()
    assert code == 0
    assert ("every system call of this host pays" in err) == costly


def test_cheap_rules_attach_nothing_costly(watch, box, binary, tmp_path):  # noqa: F811
    """The pack: memory yes, where its hook is cheap; no tracepoint of a system call whatever this kernel lacks."""
    w = watch("--json", "--state", tmp_path / "state")
    asked = w.wait_for(lambda l: l["type"] == "status" and "asked" in l["status"])[-1]["status"]
    assert not [n for n in asked if n.startswith("costly.")]
    assert not any(v.startswith(COSTLY) for n, v in asked.items() if n.startswith("hook."))
    memory = served(binary, "memory")
    assert ("memory" in asked["on_demand"].split(",")) == bool(memory["hook"] and not memory["every_call_pays"])
    assert "Stack made executable" in memory["needed_by"] or memory["every_call_pays"]
    devices = served(binary, "device-requests")
    assert devices["needed_by"] == [] or not devices.get("every_call_pays")
    if devices.get("every_call_pays"):
        assert "Keys put into a terminal" in devices["going_without"] and devices["call_ns"] < 1000
    code, err = w.end()
    assert code == 0 and "every system call" not in err


PYTHON = """
import ctypes, mmap, os, shutil, time
memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
fd = os.memfd_create("lib")
os.write(fd, open("/opt/x.so", "rb").read())
ctypes.CDLL(f"/proc/self/fd/{fd}")
shutil.copy("/opt/x.so", "/tmp/y.so")
ctypes.CDLL("/tmp/y.so")
"""


def test_real_programs_and_the_pack(watch, box, binary, tmp_path):  # noqa: F811
    """The loader of this machine's C library, its Python and a library: what the rules of the pack say of them."""
    if not served(binary, "memory")["hook"] or served(binary, "memory")["every_call_pays"]:
        pytest.skip("no cheap hook serves it here")
    box("import", "-", "links:2", input=links())
    w = watch("--json", "--state", tmp_path / "state", *ONLY)
    w.wait_for(lambda l: l["type"] == "status" and "memory" in l["status"].get("on_demand", ""))

    def act(name, script):
        p = subprocess.run(box.command("run", "--rm", "--name", name, "--network", "none", "-v", "/usr:/usr:ro", "links:2", "/bin/sh", "-c", script), env=box.env(), capture_output=True, text=True, check=False)
        assert p.returncode == 0, p.stderr
        ended(w, name)
        return {l["rule"] for l in w.lines() if l["type"] == "alert" and l.get("container", {}).get("name") == name}

    lib = "mkdir -p /opt; cp /lib/x86_64-linux-gnu/libz.so.1 /opt/x.so; "
    assert act("preloaded", lib + "LD_PRELOAD=/opt/x.so /bin/ls / >/dev/null; true") == {"Library from outside the image forced into a program"}
    m = [l["memory"] for l in told(w, "preloaded") if l["memory"].get("path") == "/opt/x.so"]
    assert len(m) == 1 and "upper_layer" in m[0]["file_flags"] and m[0]["protection"] == ["read", "exec"]
    assert act("own", "LD_PRELOAD=/lib/x86_64-linux-gnu/libz.so.1 /bin/ls / >/dev/null; python3 -c 'import zlib, json, ssl, ctypes'") == set()
    assert act("dropped", lib + "cp /bin/ls /opt/prog; /lib64/ld-linux-x86-64.so.2 /opt/prog / >/dev/null") == {"Program run through the loader", "Library from outside the image loaded"}
    (tmp_path / "p").mkdir()
    rules = act("python", lib + f"cat >/opt/p.py <<'END'\n{PYTHON}\nEND\npython3 /opt/p.py")
    assert rules == {"Library of a loose place loaded", "Library from memory loaded"}, rules
    flags = [l["memory"]["flags"] for l in told(w, "python") if "path" not in l["memory"]]
    assert ["anonymous", "write_and_execute"] in flags
    assert any(l["memory"].get("path", "").startswith("/memfd:lib") and "memfd" in l["memory"]["file_flags"] for l in told(w, "python"))
    code, err = w.end()
    assert code == 0, err
