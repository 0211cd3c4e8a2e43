# SPDX-License-Identifier: Apache-2.0
"""kernel_use of a policy, in containers of a real dockerd: who uses what is not listed is killed (or refused) at it, on whatever rung this kernel has."""
import os
import pathlib
import subprocess

import pytest

from test_docker import overlay  # noqa: F401 (a fixture)
from test_protect import IMAGE, box, prot, protecting, until  # noqa: F401
from test_watch import watch  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLAUSE = """
- policy: uses
  match: {image: "%s:*"}
  mode: %s
  disarm: {blocks_per_minute: 0}
  kernel_use: [%s]
"""
PRIVILEGED = ("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined")


@pytest.fixture(scope="module")
def uses(tmp_path_factory):
    path = tmp_path_factory.mktemp("uses")
    subprocess.run([os.environ.get("CC", "gcc").split()[-1], "-static", "-O1", "-D_GNU_SOURCE", "-o", path / "uses", ROOT / "tests/tools/uses.c"], check=True)
    return path


def of(w):
    return w.status()["policies"][0]["clauses"][0]


def test_uses_that_are_not_listed(protecting, box, uses):  # noqa: F811
    w = protecting(CLAUSE % (IMAGE, "enforce", ""))
    c = of(w)
    assert c["rung"] in ("lsm", "signal") and c["proved"], c
    b = box("uses", "-v", f"{uses}:/t:ro", *PRIVILEGED)
    until(lambda: w.status()["containers"] and w.status()["containers"][0]["enforced"])
    assert b.sh("/bin/ls /bin/ls; /bin/echo fine").stdout == "/bin/ls\nfine\n"  # others go on, also a session that begins
    said = {"traceme": "ptrace", "traceme-i386": "ptrace", "seize": "ptrace", "mem": "ptrace", "vm-write": "ptrace", "userns": "user_namespaces", "clone3-userns": "user_namespaces", "ring": "io_uring",
            "bpf": "bpf", "mount /tmp": "mount", "fsopen": "mount"}
    for what, use in said.items():
        before = len([l for l in w.lines() if l["type"] == "verdict" and l["verdict"].get("path") == use])
        out = b.sh(f"/t/uses {what}").stdout
        assert "ran inside" not in out and (out == "" if c["rung"] == "signal" else "not permitted" in out), (what, out)
        if use == "mount":  # what the call did before the process was gone is undone
            until(lambda: " /tmp tmpfs" not in b.sh("/bin/busybox cat /proc/mounts").stdout)
        until(lambda: len([l for l in w.lines() if l["type"] == "verdict" and l["verdict"].get("path") == use]) > before)
    v = [l["verdict"] for l in w.lines() if l["type"] == "verdict" and "clause" in l["verdict"]][-1]
    assert v["clause"] == "kernel_use" and v["action"] == ("killed" if v["rung"] == "signal" else "denied"), v


def test_uses_that_are_listed_and_uses_that_are_counted(protecting, box, uses, run, tmp_path):  # noqa: F811
    w = protecting(CLAUSE % (IMAGE, "observe", "mount, bpf"))
    b = box("listed", "-v", f"{uses}:/t:ro", *PRIVILEGED)
    until(lambda: w.status()["containers"])
    assert b.sh("/t/uses mount /tmp").stdout.startswith("ran 0")
    assert b.sh("/t/uses traceme; /t/uses ring").stdout.count("ran") == 2
    s = until(lambda: (s := w.status())["policies"][0]["would_have_refused"] >= 2 and s)
    assert {(c["clause"], c["what"]) for c in s["counts"]} == {("kernel_use", "ptrace"), ("kernel_use", "io_uring")}
    assert run("protect", "mode", "--state", tmp_path / "state", "uses", "enforce")[0] == 0
    until(lambda: w.status()["containers"][0]["enforced"])
    assert b.sh("/t/uses mount /etc").stdout.startswith("ran 0")
    assert "ran 0" not in b.sh("/t/uses traceme").stdout
