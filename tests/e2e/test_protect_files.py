# SPDX-License-Identifier: Apache-2.0
"""read_only of a policy, in containers of a real dockerd: held before the first program, given back, found again after a kill."""
import os
import pathlib
import signal
import subprocess

from test_docker import overlay  # noqa: F401 (a fixture)
from test_protect import IMAGE, box, guard_of, prot, protecting, until  # noqa: F401
from test_watch import watch  # noqa: F401

CLAUSE = """
- policy: files
  match: {image: "%s:*"}
  mode: %s
  fail: %s
  disarm: {blocks_per_minute: 0}
  read_only: [/etc/, "/data/**", /bin/ls%s]
"""
TRY = "exec 2>&1; echo x >/etc/new; echo x >>/etc/hosts; /bin/busybox mkdir /etc/d; /bin/busybox chmod 700 /etc; echo x >/data/new; /bin/cp /bin/true /bin/ls; /bin/busybox rm -f /bin/ls; /bin/echo fine >/tmp/free"


def ready(w):
    until(lambda: w.status()["containers"] and w.status()["containers"][0]["enforced"])


def writes(b):
    return b.sh(TRY + "; exec 3<>/etc/new && echo written").stdout


def test_read_only(protecting, box, run, tmp_path):  # noqa: F811
    w = protecting(CLAUSE % (IMAGE, "enforce", "open", ""))
    c = w.status()["policies"][0]["clauses"][0]
    assert c["clause"] == "read_only" and c["rung"] == "mount" and c["proved"], c
    (tmp_path / "data").mkdir()
    b = box("files", "-v", f"{tmp_path}/data:/data")
    ready(w)
    out = writes(b)
    assert out.count("Read-only file system") >= 6 and "written" not in out and b.sh("/bin/busybox cat /tmp/free; /bin/ls /bin/ls").stdout == "fine\n/bin/ls\n", out
    assert list((tmp_path / "data").iterdir()) == []
    assert "why" not in w.status()["containers"][0], w.status()
    assert run("protect", "mode", "--state", tmp_path / "state", "files", "observe")[0] == 0  # given back
    until(lambda: not w.status()["containers"][0]["enforced"])
    assert "written" in writes(b) and (tmp_path / "data/new").exists()
    counts = until(lambda: (c := {c["what"] for c in w.status()["counts"] if c["clause"] == "read_only"}) >= {"/etc/new", "/etc/d", "/data/new", "/bin/ls"} and c)  # and counted
    assert "/tmp/free" not in counts
    assert run("protect", "mode", "--state", tmp_path / "state", "files", "enforce")[0] == 0
    ready(w)
    assert "written" not in writes(b)
    assert w.end()[0] in (0, 4)
    assert "written" in writes(b)  # an orderly end leaves nothing behind


def test_before_the_first_program(protecting, prot):  # noqa: F811
    """A program cannot be so early that it writes, nor keep what it opened early."""
    w = protecting(CLAUSE % (IMAGE, "enforce", "open", ""))
    for _ in range(5):
        p = subprocess.run(prot.command("run", "--rm", "--network", "none", f"{IMAGE}:1", "/bin/sh", "-c", "cd /etc; exec 2>&1; echo x >new; echo x >>hosts; echo x >>/bin/ls; echo over"), env=prot.env(), capture_output=True, text=True)
        assert p.stdout.count("Read-only") == 3 and p.stdout.endswith("over\n"), p.stdout + p.stderr
    del w


def test_what_was_open_before_is_said(protecting, box, run, tmp_path):  # noqa: F811
    """A descriptor, a mapping's file and a working directory that are older than the clause; what else is refused."""
    b = box("before")
    b.sh("/bin/cp /bin/ls /etc/x; (exec 7>>/etc/x; cd /etc; /bin/sleep 500) & (cd /root; /bin/sleep 501) & exit 0")
    w = protecting(CLAUSE % (IMAGE, "observe", "open", ""))
    until(lambda: w.status()["containers"])
    assert run("protect", "mode", "--state", tmp_path / "state", "files", "enforce")[0] == 0
    ready(w)
    error = until(lambda: (e := w.status().get("error", "")).startswith("container before: read_only came too late") and e)
    assert "/etc/x is open for writing by process" in error and "(sleep)" in error and "/root" not in error, error
    c = w.status()["policies"][0]["clauses"][0]
    if c["rung"] == "mount":
        assert "/etc is the working directory" in error and "can be written still" in error and "read_only: " in w.status()["containers"][0]["why"]
        assert "neither told nor counted" in c["why"]


def test_what_is_not_held_is_said(protecting, box):  # noqa: F811
    w = protecting(CLAUSE % (IMAGE, "enforce", "open", ", /nothing/, '/root/*.conf'"))
    c = w.status()["policies"][0]["clauses"][0]
    assert c["rung"] == "mount" and not c["proved"] and "when the container begins" in c["why"]
    b = box("part", "-v", "/data")
    ready(w)
    until(lambda: "/nothing/: No such" in w.status()["containers"][0].get("why", ""))
    assert "Read-only" in b.sh("echo x 2>&1 >/etc/x").stdout + b.sh("exec 2>&1; echo x >/etc/x").stdout


def test_undone_inside_and_done_again(protecting, box):  # noqa: F811
    w = protecting(CLAUSE % (IMAGE, "enforce", "open", ""))
    b = box("undone", "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined")
    ready(w)
    assert "written" in b.sh("/bin/busybox umount -l /etc; exec 3<>/etc/new && echo written").stdout
    until(lambda: "held again" in w.status().get("error", ""))
    assert "written" not in b.sh("exec 3<>/etc/new && echo written").stdout


def test_killed(protecting, box, run, tmp_path):  # noqa: F811
    w = protecting(CLAUSE % (IMAGE, "enforce", "closed", ""))
    b = box("killed")
    ready(w)
    os.kill(guard_of(w), signal.SIGKILL)
    until(lambda: any(l["type"] == "status" and l["status"].get("guard") == "gone" for l in w.lines()))
    assert "written" not in writes(b)  # it stays
    w.stop()
    assert run("protect", "off", "--state", tmp_path / "state")[0] == 0
    assert "written" in writes(b)
    assert (tmp_path / "state/protect/read-only").read_text() == ""
