# SPDX-License-Identifier: Apache-2.0
"""The daemon holds the files of running containers against their seals on a schedule: at idle priority, a difference is an incident once, and a large tree holds up nothing else."""
import pathlib
import re
import subprocess
import uuid

import pytest

from test_daemon import daemon, pytestmark, until, user  # noqa: F401 (fixtures)
from test_docker import overlay  # noqa: F401 (a fixture)
from test_scan import mkimage

RULE = "Files of a container differ from its seal"


@pytest.fixture
def box(overlay, tmp_path):  # noqa: F811
    name = "ver" + uuid.uuid4().hex[:8]
    root = tmp_path / "root"
    for path, data, mode in (("etc/app.conf", b"debug=no\n", 0o644), ("bin/busybox", pathlib.Path("/bin/busybox").read_bytes(), 0o755), ("usr/bin/tool", b"#!/bin/sh\necho tool\n", 0o755),
                             ("var/log/app.log", b"", 0o644), ("tmp/.keep", b"", 0o644), ("run/id", name.encode(), 0o644)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        (root / path).chmod(mode)
    (root / "bin/sh").symlink_to("busybox")
    layer = mkimage.tar_of_folder(root)
    overlay("import", "--change", "LABEL team=shop", "-", f"hf/{name}:1", input=layer)
    overlay("run", "-d", "--name", name, "--network", "none", f"hf/{name}:1", "/bin/busybox", "sleep", "1000")
    yield name
    subprocess.run(overlay.command("rm", "-f", name), env=overlay.env(), capture_output=True)
    subprocess.run(overlay.command("rmi", "-f", f"hf/{name}:1"), env=overlay.env(), capture_output=True)


def verified(daemon, full):  # noqa: F811
    return len(re.findall(rf"hub asks: verify of {full[:64]} .*: done", daemon.log()))


def again(daemon, full):  # noqa: F811
    """After one that began from now on."""
    n = verified(daemon, full)
    assert until(lambda: verified(daemon, full) >= n + 2, 60), daemon.log()


def told(daemon, full):  # noqa: F811
    """How often the rule was told of this container, and the incident (which other alerts of it may have joined)."""
    for row in daemon.incidents():
        doc = daemon.show(row["id"])
        if full in str(doc):
            rules = [r for r in doc["rules"] if r["rule"] == RULE]
            if rules:
                return rules[0]["count"], {**doc, "severity": rules[0]["severity"]}
    return 0, None


def test_a_difference_is_an_incident_once(daemon, overlay, box, monkeypatch):  # noqa: F811
    monkeypatch.setenv("HF_VERIFY_S", "1")
    daemon.settings["docker"] = {"host": overlay.host}
    full = overlay.text("inspect", "-f", "{{.Id}}", box)
    daemon.start()
    assert until(lambda: verified(daemon, full) >= 1, 60), daemon.log()
    # what containers write is nothing: what the image has not, in logs and temporary folders, and no program
    overlay("exec", box, "/bin/sh", "-c", "/bin/busybox echo line >> /var/log/app.log; /bin/busybox echo 1 > /etc/app.pid; /bin/busybox cp /bin/busybox /tmp/x; /bin/busybox mkdir /srv")
    again(daemon, full)
    assert told(daemon, full)[0] == 0, daemon.log()
    overlay("exec", box, "/bin/sh", "-c", "/bin/busybox echo debug=yes > /etc/app.conf")
    count, doc = until(lambda: told(daemon, full) if told(daemon, full)[0] else None, 60) or (0, None)
    assert count == 1, daemon.log()
    assert doc["severity"] == "medium" and "/etc/app.conf (content)" in str(doc) and doc["containers"][0]["labels"] == {"team": "shop"} and doc["containers"][0]["name"] == box
    again(daemon, full)
    again(daemon, full)
    assert told(daemon, full)[0] == 1, "the same difference was told again"
    assert until(lambda: daemon.hook.about(RULE)), daemon.log()
    overlay("exec", box, "/bin/sh", "-c", "/bin/busybox echo evil >> /usr/bin/tool; /bin/busybox cp /bin/busybox /srv/miner")
    count, doc = until(lambda: told(daemon, full) if told(daemon, full)[0] == 2 else None, 60) or (0, None)
    assert count == 2 and doc["severity"] == "critical" and "/usr/bin/tool (content)" in str(doc) and "/srv/miner (added)" in str(doc), daemon.log()
    assert daemon.end() == 0
    before = told(daemon, full)[0]
    daemon.start()
    seen = verified(daemon, full)
    assert until(lambda: verified(daemon, full) >= seen + 2, 60), daemon.log()
    assert told(daemon, full)[0] == before, "a restart tells it again"


def priorities():
    """(nice, scheduling class, I/O class) of every `seal verify` of the hand that runs now."""
    found = set()
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if b"seal\0verify\0--json\0--idle" in (p / "cmdline").read_bytes():
                fields = (p / "stat").read_text().rpartition(")")[2].split()
                io = subprocess.run(["ionice", "-p", p.name], capture_output=True, text=True).stdout.strip()
                if io:
                    found.add((int(fields[16]), int(fields[38]), io))
        except OSError:
            pass
    return found


def test_it_takes_only_what_nobody_else_wants(daemon, overlay, box, monkeypatch):  # noqa: F811
    """A gigabyte in the container, so that the look takes long enough to be seen."""
    monkeypatch.setenv("HF_VERIFY_S", "1")
    daemon.settings["docker"] = {"host": overlay.host}
    overlay("exec", box, "/bin/busybox", "dd", "if=/dev/zero", "of=/srv-big", "bs=1M", "count=1000")
    full = overlay.text("inspect", "-f", "{{.Id}}", box)
    daemon.start()
    seen = set()
    assert until(lambda: seen.update(priorities()) or (19, 5, "idle") in seen, 60, 0.01), (seen, daemon.log())
    assert {(nice, io) for nice, _, io in seen} == {(19, "idle")}
    assert until(lambda: verified(daemon, full) >= 1, 120), daemon.log()
    assert told(daemon, full)[0] == 0


def test_it_can_be_left_out(daemon, overlay, box):  # noqa: F811
    daemon.settings["docker"] = {"host": overlay.host}
    daemon.settings["daemon"]["verify_hours"] = 0
    full = overlay.text("inspect", "-f", "{{.Id}}", box)
    daemon.start()
    assert until(lambda: "seals" in daemon.log(), 90), daemon.log()
    assert verified(daemon, full) == 0
