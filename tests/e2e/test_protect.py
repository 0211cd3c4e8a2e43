# SPDX-License-Identifier: Apache-2.0
"""Policies in force, with containers of a real dockerd: what is refused never runs, is told and counted; modes, disarming, and a guard that is killed."""
import concurrent.futures
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tarfile
import time

import pytest

jsonschema = pytest.importorskip("jsonschema")

from test_docker import overlay  # noqa: F401 (a fixture)
from test_watch import Watch, watch  # noqa: F401

SCHEMA = json.loads((pathlib.Path(__file__).resolve().parents[2] / "docs/schema/protect-1.json").read_text())
IMAGE = f"prot{os.getpid()}"  # other runs of these tests have containers on this host too
SEALED = f"""
- policy: sealed
  match: {{image: "{IMAGE}:*"}}
  mode: enforce
  fail: %s
  disarm: {{blocks_per_minute: %d}}
  only_sealed: true
"""


@pytest.fixture(scope="module")
def prot(overlay):  # noqa: F811
    """An image of copies of busybox, as programs of their own."""
    program = pathlib.Path("/bin/busybox").read_bytes()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "tmp", "etc", "root"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(info)
        for name in ("busybox", "sh", "cp", "sleep", "true", "ls", "dd", "echo"):
            info = tarfile.TarInfo(f"bin/{name}")
            info.size, info.mode = len(program), 0o755
            tar.addfile(info, io.BytesIO(program + name.encode()))  # each its own content
    overlay("import", "-", f"{IMAGE}:1", input=out.getvalue())
    return overlay


def said(text):
    status = json.loads(text)
    jsonschema.validate(status, SCHEMA)
    return status


class Box:
    """A container that sleeps, and programs in it."""

    def __init__(self, docker, name, *args):
        self.docker, self.name = docker, name
        self.call("run", "-d", "--rm", "--name", name, "--network", "none", *args, f"{IMAGE}:1", "/bin/sleep", "1000", check=True)

    def call(self, *args, check=False):
        return subprocess.run(self.docker.command(*args), env=self.docker.env(), capture_output=True, text=True, check=check)

    def sh(self, script):
        return self.call("exec", self.name, "/bin/sh", "-c", script)

    def stop(self):
        self.call("rm", "-f", self.name)


@pytest.fixture
def box(prot):
    boxes = []

    def make(name, *args):
        boxes.append(Box(prot, name, *args))
        return boxes[-1]
    yield make
    for b in boxes:
        b.stop()


@pytest.fixture
def protecting(watch, run, tmp_path):  # noqa: F811
    """protecting(policies) -> a watch, and what `protect status` says."""
    started = []

    def start(text, *args):
        (tmp_path / "policies.yaml").write_text(text)
        w = watch("--json", *(args or ("--no-rules", "--type", "verdict,status")), "--image", f"{IMAGE}:*", "--policy", tmp_path / "policies.yaml", "--state", tmp_path / "state")
        started.append(w)
        w.status = lambda: said(run("protect", "status", "--json", "--state", tmp_path / "state")[1])
        end = time.monotonic() + 20
        while not (tmp_path / "state/protect/status.json").exists():
            errors = [l["status"]["error"] for l in w.lines() if l["type"] == "status" and "error" in l.get("status", {})]
            if time.monotonic() > end or w.process.poll() is not None:
                pytest.skip("no protection here: " + "; ".join([*errors, (tmp_path / "err").read_text()]))
            time.sleep(0.05)
        return w
    yield start
    for w in started:
        w.stop()
    status = tmp_path / "state/protect/status.json"
    while started and status.exists() and pathlib.Path(f"/proc/{json.loads(status.read_text())['pid']}/exe").exists():
        time.sleep(0.05)  # the guard ends after its sensor
    run("protect", "off", "--state", tmp_path / "state")  # what a guard that was killed left closed


def until(fn, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := fn():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def refused(line, path):
    v = line.get("verdict", {})
    return line["type"] == "verdict" and v.get("path") == path and v.get("action") in ("denied", "killed")


def test_what_is_refused_is_an_alert(protecting, box):
    """With the rules that come with it: one each, and none that says it ran."""
    w = protecting(SEALED % ("closed", 0), "--severity", "info")
    b = box("told")
    b.sh("echo x | /bin/dd of=/bin/ls bs=1 seek=4000 count=1 conv=notrunc 2>/dev/null; /bin/ls; /bin/cp /bin/true /root/true; echo >>/root/true; /root/true")
    alerts = lambda: [l for l in w.lines() if l["type"] == "alert" and "refused" in l["rule"]]  # noqa: E731
    until(lambda: len(alerts()) == 2)
    changed, dropped = sorted(alerts(), key=lambda a: a["rule"])
    assert changed["rule"] == "Changed program of the image refused" and changed["severity"] == "critical" and "/bin/dd" in changed["summary"]
    assert dropped["rule"] == "Program refused by a policy" and dropped["severity"] == "high" and "/root/true did not run: only_sealed" in dropped["summary"] and "foreign" in dropped["summary"]
    assert changed["process"]["args"][:2] == dropped["process"]["args"][:2] == ["/bin/sh", "-c"]  # who tried it
    assert not [l for l in w.lines() if l["type"] == "alert" and l["rule"] == "Changed program of the image ran"]


def test_a_changed_and_a_dropped_program_never_run(protecting, box):
    w = protecting(SEALED % ("closed", 0))
    b = box("changed")
    p = b.sh("/bin/ls /bin/ls; /bin/echo fine")
    assert p.stdout == "/bin/ls\nfine\n", p.stderr
    flip = "echo x | /bin/dd of=/bin/ls bs=1 seek=4000 count=1 conv=notrunc 2>/dev/null"
    p = b.sh(f"{flip}; /bin/ls /bin/ls || echo refused")
    assert p.stdout == "refused\n" and "not permitted" in p.stderr + p.stdout or "denied" in p.stderr
    line = w.wait_for(lambda l: refused(l, "/bin/ls"))[0]
    v = line["verdict"]
    assert v["result"] == "changed" and v["policy"] == "sealed" and v["clause"] == "only_sealed" and len(v["sha256"]) == 64 and v["sealed_sha256"] != v["sha256"]
    p = b.sh("/bin/cp /bin/true /tmp/true; echo >>/tmp/true; for i in 1 2 3 4 5 6 7 8 9 10; do /tmp/true && echo ran; done; echo over")
    assert p.stdout == "over\n"
    assert w.wait_for(lambda l: refused(l, "/tmp/true"))[0]["verdict"]["result"] == "foreign"
    s = until(lambda: (s := w.status())["policies"][0]["refused"] >= 11 and s)
    assert s["policies"][0]["clauses"][0]["proved"] and s["containers"][0]["enforced"] and s["containers"][0]["sealed"]
    code, err = w.end()
    assert code in (0, 4), err
    assert b.sh("/bin/ls /bin/ls; /tmp/true && echo ran").stdout == "/bin/ls\nran\n"  # an orderly end leaves nothing behind


def test_one_at_a_time(protecting, box, run, tmp_path):
    """With one folder of state; with two they do not get in each other's way, also where what is closed outlives its guard."""
    w = protecting(SEALED % ("closed", 0))
    rc, _, err = run("watch", "--policy", tmp_path / "policies.yaml", "--state", tmp_path / "state")
    assert rc == 3 and f"process {w.process.pid}" in err, err
    rc, _, err = run("protect", "off", "--state", tmp_path / "other")  # nothing of the first is touched
    assert rc == 0, err
    b = box("one")
    assert b.sh("/bin/cp /bin/true /tmp/true; echo >>/tmp/true; /tmp/true && echo ran").stdout == ""


COUNTING = f"""
- policy: counting
  match: {{image: "{IMAGE}:*"}}
  mode: observe
  only_sealed: true
  no_shells: true
  destinations: [192.0.2.7]
"""


def test_observing_counts_and_a_command_enforces(protecting, box, run, tmp_path):
    w = protecting(COUNTING)
    b = box("counted")
    drop = "/bin/cp /bin/true /tmp/true; echo >>/tmp/true; /tmp/true && echo ran"
    for _ in range(3):
        assert b.sh(drop).stdout == "ran\n"
    would = w.wait_for(lambda l: l["type"] == "verdict" and l["verdict"].get("action") == "would")
    assert would[0]["verdict"]["policy"] == "counting"
    s = until(lambda: (s := w.status())["policies"][0]["would_have_refused"] >= 6 and s)  # a shell and a dropped program, three times
    assert s["policies"][0]["refused"] == 0 and not s["containers"][0]["enforced"]
    counts = {(c["clause"], c["what"]): c["count"] for c in s["counts"]}
    assert counts[("no_shells", "/bin/sh")] >= 3 and counts[("only_sealed", "/tmp/true")] >= 2, counts
    assert run("protect", "mode", "--state", tmp_path / "state", "nothing", "enforce")[0] == 2
    assert run("protect", "mode", "--state", tmp_path / "state", "counting", "enforce")[0] == 0
    until(lambda: w.status()["containers"][0]["enforced"])
    p = b.sh("echo ran")
    assert p.returncode != 0 and p.stdout != "ran\n"
    p = b.call("exec", "counted", "/bin/true")
    assert p.returncode == 0, p.stderr
    assert run("protect", "off", "--state", tmp_path / "state")[0] == 0
    until(lambda: not w.status()["containers"][0]["enforced"])
    assert b.sh("echo ran").stdout == "ran\n"
    out = run("protect", "status", "--state", tmp_path / "state")[1]
    assert "policy counting: off (its file says observe)" in out and [l.split()[3] for l in out.splitlines() if l.startswith("counted ")] == ["off"], out
    assert run("protect", "on", "--state", tmp_path / "state")[0] == 0
    until(lambda: w.status()["containers"][0]["enforced"])
    assert b.sh("echo ran").stdout != "ran\n"
    rc, out, err = run("protect", "status", "--state", tmp_path / "state")
    assert rc == 0 and "policy counting: enforce (its file says observe)" in out and "(proved)" in out and "/tmp/true" in out, err
    w.stop()
    until(lambda: not pathlib.Path(f"/proc/{w.status()['pid']}/exe").exists())
    rc, out, err = run("protect", "status", "--state", tmp_path / "state")  # at once, not when what it wrote has become old
    assert rc == 4 and "is not running: nothing is judged" in out
    rc, out, err = run("protect", "off", "--state", tmp_path / "state")
    assert rc == 0 and out == "" and "counts from the next one on" in err
    w = protecting(COUNTING)
    errors = w.wait_for(lambda l: "error" in l.get("status", {}))
    assert "all policies are off" in errors[0]["status"]["error"]


def test_too_many_refusals_disarm(protecting, box):
    w = protecting(SEALED % ("open", 3))
    b = box("disarmed")
    drop = "/bin/cp /bin/true /tmp/true; echo >>/tmp/true; for i in 1 2 3 4 5 6 7 8; do /tmp/true && echo ran; done; echo over"
    out = b.sh(drop).stdout
    assert out.endswith("over\n") and 0 < out.count("ran") <= 5  # the fourth refusal is the last
    s = until(lambda: (s := w.status())["policies"][0]["disarmed"] and s)
    assert "more refusals in a minute" in s["policies"][0]["why"] and s["policies"][0]["refused"] == 4 and not s["containers"][0]["enforced"]
    w.wait_for(lambda l: "disarmed" in json.dumps(l))


def test_a_failing_health_check_disarms(protecting, box):
    w = protecting((SEALED % ("open", 0)).replace("blocks_per_minute: 0", "blocks_per_minute: 0, unhealthy: true"))
    box("sick", "--health-cmd", "/bin/ls /nothing", "--health-interval", "1s", "--health-retries", "2")
    until(lambda: w.status()["containers"] and w.status()["containers"][0]["enforced"])
    s = until(lambda: (s := w.status())["policies"][0]["disarmed"] and s)
    assert "health check" in s["policies"][0]["why"] and not s["containers"][0]["enforced"]


def test_a_check_of_the_policy_disarms(protecting, box):
    w = protecting((SEALED % ("open", 0)) + '  health: {http: "http://127.0.0.1:8080/well", every: 1s, failures: 2}\n')
    b = box("checked")
    until(lambda: w.status()["containers"] and w.status()["containers"][0]["enforced"])
    b.sh("/bin/busybox mkdir /tmp/www; echo fine >/tmp/www/well; /bin/busybox httpd -h /tmp/www -p 127.0.0.1:8080")
    time.sleep(4)
    assert not w.status()["policies"][0]["disarmed"]  # it is well
    b.sh("/bin/busybox rm /tmp/www/well")  # 404
    s = until(lambda: (s := w.status())["policies"][0]["disarmed"] and s)
    assert "no success" in s["policies"][0]["why"] and not s["containers"][0]["enforced"]


def test_devices(protecting, box):
    w = protecting(f'- policy: dev\n  match: {{image: "{IMAGE}:*"}}\n  mode: enforce\n  disarm: {{blocks_per_minute: 0}}\n  devices: [/dev/loop-*]\n')
    if not w.status()["policies"][0]["clauses"][0]["proved"]:
        pytest.skip("no unified control groups")
    b = box("dev", "--device", "/dev/kmsg")
    p = b.sh("exec 2>&1; /bin/busybox mknod /tmp/k c 1 11; echo open </tmp/k; echo open </dev/kmsg; echo usual </dev/null; echo usual </dev/urandom")
    assert p.stdout.count("not permitted") == 2 and p.stdout.endswith("usual\nusual\n") and "open\n" not in p.stdout, p.stdout
    v = w.wait_for(lambda l: l["type"] == "verdict" and l["verdict"].get("clause") == "devices")[0]["verdict"]
    assert v["path"] == "/dev/kmsg" and v["action"] == "denied" and v["rung"] == "cgroup"


@pytest.mark.parametrize("user, may", [("root", True), ("0", True), ("nobody", False)])
def test_sessions_of_administrators(protecting, box, user, may):
    w = protecting(f'- policy: admins\n  match: {{image: "{IMAGE}:*"}}\n  mode: enforce\n  disarm: {{blocks_per_minute: 0}}\n  exec_by: [{user}]\n  only_sealed: true\n  no_shells: true\n')
    if pathlib.Path("/proc/self/loginuid").read_text() != "4294967295":
        pytest.skip("this session has a login user")
    b = box("admins")
    until(lambda: w.status()["containers"] and w.status()["containers"][0]["enforced"])
    drop = "/bin/cp /bin/true /tmp/true; echo >>/tmp/true; /bin/sh -c '/tmp/true; /bin/sh -c \"/tmp/true && echo ran\"'"
    assert b.sh(drop).stdout == ("ran\n" if may else "")
    p = subprocess.run(b.docker.command("run", "--rm", "--network", "none", f"{IMAGE}:1", "/bin/sh", "-c", "echo ran"), env=b.docker.env(), capture_output=True, text=True)
    assert "ran" not in p.stdout  # that is no session, whoever starts it


def test_a_program_of_a_volume(protecting, box, tmp_path):
    """What lay on the volume before may run, what was written since may not."""
    w = protecting(f'- policy: volumes\n  match: {{image: "{IMAGE}:*"}}\n  mode: enforce\n  no_written_then_run: true\n')
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "true").write_bytes(pathlib.Path("/bin/busybox").read_bytes() + b"old")
    (volume / "true").chmod(0o755)
    time.sleep(0.1)
    b = box("volume", "-v", f"{volume}:/data")
    until(lambda: w.status()["containers"] and w.status()["containers"][0]["marks"] > 1)
    assert b.sh("/data/true && echo ran").stdout == "ran\n"
    assert b.sh("/bin/cp /data/true /data/ls; /data/ls /data/ls").stdout == ""
    assert w.wait_for(lambda l: refused(l, "/data/ls"))[0]["verdict"]["result"] == "volume"
    assert b.sh("/bin/cp /data/true /data/sleep; /bin/cp /data/sleep /data/true; /data/true && echo ran").stdout == ""


def test_a_shell_by_a_long_name(protecting, box):
    """The name that counts may stand behind any number of slashes."""
    w = protecting(f'- policy: names\n  match: {{image: "{IMAGE}:*"}}\n  mode: enforce\n  disarm: {{blocks_per_minute: 0}}\n  no_shells: true\n')
    b = box("names")
    until(lambda: w.status()["containers"])

    def start(program, *args):
        return subprocess.run(b.docker.command("exec", "names", program, *args), env=b.docker.env(), capture_output=True, text=True).stdout
    for n in (1, 52, 53, 54, 63, 64, 80, 126, 127, 1000, 3900, 4080):  # /bin/busybox is 12 bytes
        path = "/" * n + "bin/busybox"
        assert start(path, "sh", "-c", "echo ran") == "", n
        assert start(path, "echo", "allowed") == ("allowed\n" if n < 4000 else ""), n  # (4,032 bytes and more are any name)
    assert start("/bin/busybox", "/" * 3000 + "sh", "-c", "echo ran") == ""
    assert w.wait_for(lambda l: refused(l, "/bin/busybox"))[0]["verdict"]["clause"] == "no_shells"


def test_a_first_program_that_nobody_was_asked_for(protecting, prot, tmp_path):
    """It lies on a volume, whose mount is not known before the container begins: stopped before its first instruction and looked at then."""
    w = protecting(f'- policy: first\n  match: {{image: "{IMAGE}:*"}}\n  mode: enforce\n  fail: closed\n  no_written_then_run: true\n  no_package_managers: true\n')
    volume = tmp_path / "volume"
    volume.mkdir()

    def start(program, *args):
        return subprocess.run(prot.command("run", "--rm", "--network", "none", "-v", f"{volume}:/data", f"{IMAGE}:1", f"/data/{program}", *args), env=prot.env(), capture_output=True, text=True).stdout
    for file, more in (("busybox", b"old"), ("dpkg", b"also old")):
        (volume / file).write_bytes(pathlib.Path("/bin/busybox").read_bytes() + more)
        (volume / file).chmod(0o755)
    time.sleep(0.1)
    assert start("busybox", "echo", "ran") == "ran\n"  # was there before
    assert start("dpkg", "--help") == "" and start("busybox", "dpkg", "--help") == ""
    assert w.wait_for(lambda l: refused(l, "/data/dpkg"))[0]["verdict"]["clause"] == "no_package_managers"
    assert start("busybox", "sh", "-c", "/bin/cp /data/busybox /data/new; /data/new echo ran; /data/busybox echo over") == "over\n"


def test_explained_for_this_kernel(run, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    (tmp_path / "p.yaml").write_text('- policy: p\n  match: {image: "*"}\n  no_shells: true\n  read_only: [/etc/]\n')
    rc, out, err = run("policy", "explain", "--here", tmp_path / "p.yaml")
    if rc == 3:
        pytest.skip("no programs in this kernel: " + err)
    assert re.search(r"here: fanotify, then (lsm|signal) \(proved\)", out) and re.search(r"here: (lsm|mount) \(proved\)", out)


def test_canary(protecting, box):
    w = protecting((SEALED % ("open", 0)).replace("mode: enforce", "mode: canary"))
    first = box("first")
    until(lambda: w.status()["containers"])
    second = box("second")
    until(lambda: len(w.status()["containers"]) == 2)
    assert {c["name"]: c["enforced"] for c in w.status()["containers"]} == {"first": True, "second": False}
    drop = "/bin/cp /bin/true /tmp/true; echo >>/tmp/true; /tmp/true && echo ran"
    assert first.sh(drop).stdout == "" and second.sh(drop).stdout == "ran\n"
    first.stop()
    until(lambda: [c["enforced"] for c in w.status()["containers"]] == [True])  # the next in age
    assert second.sh(drop).stdout == ""


def test_maintenance(protecting, box):
    w = protecting(SEALED % ("closed", 0) + '  maintenance: ["daily 00:00-24:00"]\n')
    b = box("window")
    assert b.sh("/bin/cp /bin/true /tmp/true; echo >>/tmp/true; /tmp/true && echo ran").stdout == "ran\n"
    s = until(lambda: (s := w.status())["containers"] and s["policies"][0]["would_have_refused"] and s)
    assert s["policies"][0]["maintenance"] and not s["containers"][0]["enforced"]


def guard_of(w):
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        if "(holdfast-guard)" in stat and int(stat.rsplit(")", 1)[1].split()[1]) == w.process.pid:
            return pid
    raise AssertionError("there is no guard")


@pytest.mark.parametrize("fail", ["open", "closed"])
@pytest.mark.parametrize("who", ["guard", "sensor"])
def test_killed(protecting, box, run, tmp_path, fail, who):
    w = protecting(SEALED % (fail, 0))
    b = box("killed")

    def left():  # said by whatever state is asked of
        return f"protect off --state {tmp_path / 'state'}\"" in run("protect", "status", "--state", tmp_path / "other")[2]
    assert not left()
    try:
        assert b.sh("/bin/ls /bin/ls").stdout == "/bin/ls\n"
        b.sh("/bin/cp /bin/true /tmp/true; echo >>/tmp/true")
        victim = guard_of(w)
        os.kill(victim if who == "guard" else w.process.pid, signal.SIGKILL)
        if who == "sensor":
            w.process.wait(10)
        until(lambda: not pathlib.Path(f"/proc/{victim}/exe").exists())
        assert b.call("inspect", "-f", "{{.State.Running}}", "killed").stdout == "true\n"  # what runs goes on
        assert b.sh("/bin/ls /bin/ls").stdout == "/bin/ls\n"  # judged before, and as it was
        p = b.sh("/tmp/true && echo ran")
        assert p.stdout == ("ran\n" if fail == "open" else ""), p.stderr
        assert (b.sh("/bin/dd if=/bin/dd of=/dev/null count=1 2>/dev/null && echo ran").stdout == "ran\n") == (fail == "open")  # sealed, but never judged
        assert left() == (fail == "closed")
    finally:
        w.stop()
        assert run("protect", "off", "--state", tmp_path / "state")[0] == 0
    assert not left()
    until(lambda: b.sh("/tmp/true && echo ran").stdout == "ran\n")


def test_connections(protecting, box):
    w = protecting(f'- policy: net\n  match: {{image: "{IMAGE}:*"}}\n  mode: enforce\n  disarm: {{blocks_per_minute: 0}}\n  destinations: ["192.0.2.0/24 80/tcp", "192.0.2.7 53/udp"]\n  listen: [8080/tcp]\n')
    if not w.status()["policies"][0]["clauses"][0]["proved"]:
        pytest.skip("no unified control groups")
    b = box("net")

    def net(*args):
        return b.call("exec", "net", "/bin/busybox", *args).stderr
    until(lambda: w.status()["containers"])
    assert "not permitted" in net("nc", "-w", "1", "198.51.100.1", "80")
    assert "not permitted" in net("nc", "-w", "1", "192.0.2.1", "81")
    assert "unreachable" in net("nc", "-w", "1", "192.0.2.1", "80")  # allowed, but there is no network
    assert "not permitted" in net("nc", "-l", "-p", "9090")
    assert "refused" in net("nc", "-w", "1", "127.0.0.1", "9")  # loopback is never restricted
    lines = w.wait_for(lambda l: l["type"] == "verdict" and l["verdict"].get("clause") == "destinations")
    assert lines[0]["verdict"]["action"] == "denied" and lines[0]["verdict"]["rung"] == "cgroup" and lines[0]["verdict"]["path"] == "198.51.100.1 80/tcp"
    assert lines[0]["process"]["exe"] == "/bin/busybox" and lines[0]["process"]["args"][1:] == ["nc", "-w", "1", "198.51.100.1", "80"]
    w.wait_for(lambda l: l["type"] == "verdict" and l["verdict"].get("clause") == "listen" and l["verdict"]["path"] == "9090/tcp")


def test_a_container_that_restarts_all_the_time(protecting, prot):
    w = protecting(SEALED % ("closed", 0))
    for i in range(20):
        p = subprocess.run(prot.command("run", "--rm", "--network", "none", f"{IMAGE}:1", "/bin/echo", "here"), env=prot.env(), capture_output=True, text=True)
        assert p.stdout == "here\n", (i, p.stderr)
    p = subprocess.run(prot.command("run", "--rm", "--network", "none", f"{IMAGE}:1", "/bin/sh", "-c", "/bin/cp /bin/true /tmp/true; echo >>/tmp/true; /tmp/true && echo ran"), env=prot.env(), capture_output=True, text=True)
    assert "ran" not in p.stdout
    until(lambda: not w.status()["containers"])


AGAIN = """
- policy: again
  match: {labels: {protect.again: "%s"}}
  mode: enforce
  fail: closed
  disarm: {blocks_per_minute: 0}
  no_written_then_run: true
  read_only: [/etc/]
"""


def test_a_root_that_is_used_again(protecting, box_of_runc, tmp_path):
    """A runtime alone, whose containers have no image, and one root after the other: what one container was allowed to run says nothing of the next, which is asked for, and nobody waits for a seal."""
    mine = f"t{os.getpid()}"
    protecting(AGAIN % mine)
    script = "/bin/busybox true; echo x 2>/dev/null >/etc/x && echo written; echo over"
    run = box_of_runc({"protect.again": mine}, ["/bin/sh", "-c", script])
    for i in range(6):
        p = run(f"again{os.getpid()}x{i}")
        assert (p.returncode, p.stdout) == (0, "over\n"), (i, p)


@pytest.fixture
def box_of_runc(tmp_path):
    """box_of_runc(annotations, program) -> run(name): containers of runc on one overlay each."""
    if not shutil.which("runc") or os.geteuid() != 0:
        pytest.skip("needs runc and root")
    made, mounted = [], []

    def make(annotations, program):
        at = tmp_path / f"again{len(made)}"
        made.append(at)
        at.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "none", at], check=True)
        mounted.append(at)
        for name in ("low/bin", "low/etc", "low/proc", "up", "work", "root"):
            (at / name).mkdir(parents=True)
        for name in ("sh", "busybox", "dpkg"):
            shutil.copy("/bin/busybox", at / "low/bin" / name)
        subprocess.run(["mount", "-t", "overlay", "none", "-o", f"lowerdir={at}/low,upperdir={at}/up,workdir={at}/work", at / "root"], check=True)
        mounted.append(at / "root")
        spec = {"ociVersion": "1.0.2", "root": {"path": str(at / "root")}, "annotations": annotations, "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
                "process": {"user": {"uid": 0, "gid": 0}, "args": program, "env": ["PATH=/bin"], "cwd": "/"}, "linux": {"namespaces": [{"type": n} for n in ("pid", "mount", "ipc", "uts", "network")]}}
        (at / "config.json").write_text(json.dumps(spec))
        return lambda name: subprocess.run(["runc", "--root", tmp_path / "runc", "run", "--bundle", at, name], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=55)
    yield make
    for m in reversed(mounted):
        subprocess.run(["umount", "-l", m], check=False)


def test_a_container_that_restarts_many_times_a_second(protecting, box_of_runc):
    """As fast as a runtime can: every start runs what it may, and nothing stays behind.  (Where nothing else runs, ten to twenty a second; where others use the processors, a policy may come after
    what the first program does at once: docs/protect.md.  So the first program waits a moment before it does what it may not.)"""
    mine = f"t{os.getpid()}"
    w = protecting(AGAIN % mine + "  no_package_managers: true\n")
    guard, loops, starts = guard_of(w), 4, 50
    script = "/bin/busybox true && echo allowed; /bin/busybox sleep 0.3; /bin/dpkg 2>/dev/null; test $? = 126 && echo refused"
    expected = "allowed\nrefused\n"
    boxes = [box_of_runc({"protect.again": mine}, ["/bin/sh", "-c", script]) for _ in range(loops)]

    def restarting(n):
        return [boxes[n](f"often{os.getpid()}x{n}x{i}") for i in range(starts)]
    assert boxes[0](f"often{os.getpid()}first").stdout == expected
    until(lambda: not w.status()["containers"])
    before, began = len(os.listdir(f"/proc/{guard}/fd")), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(loops) as pool:
        for outcome in pool.map(restarting, range(loops)):
            assert [(p.returncode, p.stdout) for p in outcome] == [(0, expected)] * starts, [p.stderr for p in outcome]
    print(f"{loops * starts / (time.monotonic() - began):.1f} starts a second")
    until(lambda: not w.status()["containers"])
    until(lambda: len(os.listdir(f"/proc/{guard}/fd")) <= before + OF_A_CONTAINER)
    assert boxes[0](f"often{os.getpid()}last").stdout == expected


OF_A_CONTAINER = 8  # descriptors of the guard, at most


def test_many_at_once(protecting, prot, tmp_path):
    """Containers that begin and end all the time, several at once, with all that has to be set up before their first program: each is protected, and nothing stays."""
    w = protecting(SEALED % ("closed", 0) + "  read_only: [/etc/]\n  kernel_use: []\n")
    guard = guard_of(w)
    script = "/bin/cp /bin/true /tmp/true; echo >>/tmp/true; /tmp/true && echo ran; echo x 2>/dev/null >/etc/x && echo written; echo over"

    def one(_):
        return subprocess.run(prot.command("run", "--rm", "--network", "none", f"{IMAGE}:1", "/bin/sh", "-c", script), env=prot.env(), capture_output=True, text=True)
    def containers():  # of this whole machine: the guard looks at those of others too
        return sum(len(d) == 64 for _, below, _ in os.walk("/sys/fs/cgroup/devices" if os.path.isdir("/sys/fs/cgroup/devices") else "/sys/fs/cgroup") for d in below)

    def more():  # descriptors than before, without those that others' containers account for
        return len(os.listdir(f"/proc/{guard}/fd")) - before - OF_A_CONTAINER * max(0, containers() - there)
    assert one(0).stdout == "over\n"
    until(lambda: not w.status()["containers"])
    before, there = len(os.listdir(f"/proc/{guard}/fd")), containers()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for p in pool.map(one, range(30)):
            assert p.stdout == "over\n", p.stderr
    until(lambda: not w.status()["containers"])
    until(lambda: more() <= 2)
    assert (tmp_path / "state/protect/read-only").read_text() == ""


def test_a_large_program_keeps_no_other_waiting(protecting, box):
    w = protecting(SEALED % ("closed", 0))
    b = box("large")
    b.sh("/bin/cp /bin/true /tmp/large; /bin/busybox truncate -s 10G /tmp/large")  # to be read, or given up after half a minute
    slow = subprocess.Popen(b.docker.command("exec", "large", "/tmp/large"), env=b.docker.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.5)
    begin = time.monotonic()
    assert b.call("exec", "large", "/bin/true").returncode == 0
    assert b.call("exec", "large", "/bin/echo").returncode == 0
    took, still = time.monotonic() - begin, slow.poll() is None
    assert slow.wait(60) != 0
    assert took < 3 and (still or took < 1)
    w.wait_for(lambda l: refused(l, "/tmp/large"))
    assert int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{guard_of(w)}/status").read_text())[1]) < 100_000  # KB
