# SPDX-License-Identifier: Apache-2.0
"""Watch under pressure: many short containers, a fork bomb, huge arguments and environments.  Nothing that matters is lost, memory stays flat."""
import signal
import subprocess

from test_docker import overlay  # noqa: F401 (a fixture)
from test_watch import busybox, watch  # noqa: F401 (fixtures)

CONTAINERS = 30
BULK = {"several", "fork", "exit", "rename", "payload", "io_uring", "capability", "memory"}


def resident(w):
    pids = [w.process.pid, *map(int, open(f"/proc/{w.process.pid}/task/{w.process.pid}/children").read().split())]
    return sum(int(open(f"/proc/{pid}/statm").read().split()[1]) * 4 for pid in pids)


def docker(busybox, *args, **kw):  # noqa: F811
    return subprocess.run(busybox.command("run", "--rm", "--network", "none", *args), env=busybox.env(), capture_output=True, timeout=60, **kw)


def dropped(w):
    return {(l["drop"]["lost_type"], l["drop"]["reason"]) for l in w.lines() if l["type"] == "drop"}


def test_many_short_containers(watch, busybox):  # noqa: F811
    w = watch("--json")

    def three(name, first):  # at once
        started = [subprocess.Popen(busybox.command("run", "--rm", "--network", "none", "--name", f"{name}{i}", "box:1", "/bin/cp", "/bin/true", f"/tmp/{i}"),
                                    env=busybox.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for i in range(first, first + 3)]
        assert [p.wait(60) for p in started] == [0, 0, 0]
    for i in range(0, 12, 3):  # buffers grow to what waits when several begin on a busy machine
        three("warm", i)
    before = resident(w)
    for i in range(0, CONTAINERS, 3):
        three("short", i)
    names = {f"short{i}" for i in range(CONTAINERS)}
    for name in sorted(names):
        w.wait_for(lambda l, name=name: l["type"] == "container_end" and l["container"]["name"] == name)
    ran = {(l["container"]["name"], l["container"]["image"], l["exec"]["path"]) for l in w.lines() if l["type"] == "exec" and (l.get("container") or {}).get("name", "").startswith("short")}
    assert {(n, "box:1", "/bin/cp") for n in names} <= ran
    assert resident(w) - before < 4096, "KiB more than before"
    assert dropped(w) == set()
    assert w.end() == (0, "")


def test_changed_folders_leave_nothing_behind(watch, busybox):  # noqa: F811
    """Each file that comes to a watched folder is looked at once: what waits for that takes memory only while it waits."""
    w = watch("--json", "--no-rules", "--type", "container_end,status")

    def anonymous():  # of the privileged half
        return next(int(l.split()[1]) for l in open(f"/proc/{w.process.pid}/status") if l.startswith("RssAnon:"))

    def change(name, turns):
        script = f"cd /etc/cron.d; i=0; n=; while [ $i -lt 100 ]; do n=\"$n f$i\"; i=$((i + 1)); done; i=0; while [ $i -lt {turns} ]; do /bin/busybox touch $n; /bin/busybox rm $n; i=$((i + 1)); done"
        assert docker(busybox, "--name", name, "box:1", "/bin/sh", "-c", "/bin/busybox mkdir -p /etc/cron.d; " + script).returncode == 0
        w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == name)
    change("few", 5)
    before = anonymous()
    change("many", 50)
    assert anonymous() - before < 1024, "KiB more than before"
    assert w.end()[0] in (0, 4)


def test_fork_bomb_hides_nothing(watch, busybox):  # noqa: F811
    w = watch("--json")
    docker(busybox, "--name", "warm", "box:1", "/bin/true")
    before = resident(w)
    bomb = "(b() { b | b & }; b; b; b; b) & exec /bin/sleep 3"  # exec: a shell that finds no room to fork ends
    docker(busybox, "--name", "bomb", "--pids-limit", "400", "box:1", "/bin/sh", "-c", bomb)
    docker(busybox, "--name", "after", "box:1", "/bin/cp", "/bin/true", "/tmp/x")
    w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "after")
    told = w.lines()
    assert [l for l in told if l["type"] == "container_end" and l["container"]["name"] == "bomb"]
    assert len([l for l in told if l["type"] == "fork" and (l.get("container") or {}).get("name") == "bomb"]) > 200, "the bomb went off"
    assert [l for l in told if l["type"] == "exec" and (l.get("container") or {}).get("name") == "bomb" and l["exec"]["path"] == "/bin/sleep"]
    assert [l for l in told if l["type"] == "exec" and (l.get("container") or {}).get("name") == "after" and l["exec"]["path"] == "/bin/cp"]
    assert {t for t, _ in dropped(w)} <= BULK
    assert resident(w) - before < 12288, "KiB more than before"
    code, _ = w.end()
    assert code == (4 if dropped(w) else 0)


def test_what_tells_least_makes_room(watch, busybox):  # noqa: F811
    """A reader that is late: names that a process gives itself are left out, and said to be, before anything else is lost."""
    w = watch("--json")
    docker(busybox, "-d", "--name", "press", "box:1", "/bin/sleep", "600")
    w.wait_for(lambda l: l["type"] == "exec" and l.get("container", {}).get("name") == "press" and l["exec"]["path"] == "/bin/sleep")
    w.process.send_signal(signal.SIGSTOP)
    try:
        busybox("exec", "press", "/bin/sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); echo n$i >/proc/self/comm; done; exec /bin/true")
    finally:
        w.process.send_signal(signal.SIGCONT)
    w.wait_for(lambda l: l["type"] == "drop" and l["drop"]["lost_type"] == "several" and l.get("container", {}).get("name") == "press")
    assert w.wait_for(lambda l: l["type"] == "exec" and l.get("container", {}).get("name") == "press" and l["exec"]["path"] == "/bin/true")
    assert {("rename", "pressure"), ("several", "pressure")} <= dropped(w) and dropped(w) <= {(t, "pressure") for t in ("rename", "memory", "io_uring", "payload", "several")}
    assert sum(l["drop"]["count"] for l in w.lines() if l["type"] == "drop" and l["drop"]["lost_type"] == "rename") > 5000
    busybox("rm", "-f", "press")
    assert w.end()[0] == 4


def test_huge_arguments_and_environments(watch, busybox, tmp_path):  # noqa: F811
    (tmp_path / "env").write_text("".join(f"V{i}={'x' * 500}\n" for i in range(200)))
    w = watch("--json")
    docker(busybox, "--name", "huge", "--env-file", tmp_path / "env", "box:1", "/bin/true", *["a" * 16000] * 4)
    end = w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "huge")
    ran = [l for l in w.lines() if l["type"] == "exec" and (l.get("container") or {}).get("name") == "huge"]
    assert end and [l["exec"]["path"] for l in ran] == ["/bin/true"]
    assert ran[0]["process"]["args"][1].startswith("aaaa") and ran[0]["truncated"] is True
    assert w.end()[0] == 0
