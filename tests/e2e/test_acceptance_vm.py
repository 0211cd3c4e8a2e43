# SPDX-License-Identifier: Apache-2.0
"""What the acceptance suite cannot do on every machine, on Debian's 6.1 kernel in a virtual machine: reads below /proc, which only hooks of the file functions
see, and acts that would change the machine the tests run on.  Each for real in a container, each exactly its alert."""
import json
import subprocess

import pytest

from conftest import ROOT
from test_pack import PACK, image
from test_vm import SECONDS, machine, prepare

MAY_ALL = "Container may do everything"
# name -> (alert, options, script, alerts that it rightly gives besides)
ACTS = {
    "environ": ("Environment of a process read", "", "/bin/cat /proc/self/environ >/dev/null", ()),
    "terminal": ("Terminal of another session read", "", "actor terminal other", ()),
    # requests to devices that the machine has, one of them by a node made in the container; what their drivers make of them is no matter
    "requests": ("Keyboard taken over", "--device /dev/input/mice --device /dev/ram0", "actor mknod /tmp/k 13 63; actor ask keys /tmp/k; actor ask make /tmp/k; actor ask raw /dev/ram0",
                 ("Device made in a container", "Keyboard read", "Keyboard made by a program", "Raw commands to a disk")),
    "name-asked": ("Name of a relay, paste or pool", "", "actor dnsd 0 2000 & actor dns 1 1 abc.ngrok.io", ()),
    "memory": ("Memory of a program written", "", "actor sleep 4000 & /bin/sleep 1; actor open /proc/$!/mem", ("Program traced by another",)),
    "traceme": ("Program guards itself against debuggers", "", "actor traceme", ()),
    "core-pattern": ("Kernel told to run a program", "--privileged", "echo core >/proc/sys/kernel/core_pattern", (MAY_ALL,)),
    "module": ("Kernel module touched", "--cap-add SYS_MODULE", "/bin/busybox insmod /etc/junk.ko", ()),
    "clock": ("Hardware or clock of the host touched", "--cap-add SYS_TIME", "/bin/date -s @$(/bin/date +%s)", ()),
    "twin": (None, "", "/bin/cat /proc/self/status >/dev/null; /bin/cat /proc/sys/kernel/core_pattern >/dev/null; /bin/date >/dev/null; /bin/ls /dev /dev/pts /proc/1 >/dev/null; actor terminal own; actor trace-child", ()),
}

GROUPS = {}  # which programs were attached to control groups, with a container and without


def alerts_of(path):
    alerts = {}
    for line in path.read_text().splitlines():
        e = json.loads(line)
        if e["type"] == "alert":
            alerts.setdefault((e.get("container") or {}).get("name"), []).append(e)
    return alerts


@pytest.fixture(scope="module")
def told(binary, tmp_path_factory):
    prepare()
    folder = tmp_path_factory.mktemp("vm")
    (folder / "image.tar").write_bytes(image(more={"etc/junk.ko": b"not a module" * 100}))
    (folder / "acts").mkdir()
    for name, (_, options, script, _) in ACTS.items():
        (folder / "acts" / name).write_text(script + "\nc=$?\nwait\n/bin/sleep 1\nexit $c\n")
        (folder / "acts" / f"{name}.options").write_text(options)
    p = machine(ROOT / "tests/vm/acceptance.sh", binary, PACK, folder, options=["--share", folder, "--append", "apparmor=0", "--memory", "1536"])
    try:
        said = p.communicate(timeout=SECONDS + 60)[0]
    except subprocess.TimeoutExpired:
        p.kill()  # ends the machine, too
        p.wait()
        raise
    assert (folder / "told.json").exists(), f"exit {p.returncode}: {said[-2000:]}"
    best, lower = (alerts_of(folder / name) for name in ("told.json", "lower.json"))
    GROUPS.update({when: (folder / f"groups-{when}.txt").read_text() for when in ("with", "without")})
    return {name: (int((folder / f"{name}.code").read_text() or 1), best.get(name, []), (folder / f"{name}.log").read_text()[-300:], lower.get(name, [])) for name in ACTS}


@pytest.mark.parametrize("name", ACTS)
def test_act(told, name):
    rule, _, script, also = ACTS[name]
    code, alerts, said, _ = told[name]
    rules = [a["rule"] for a in alerts]
    if rule is None:
        assert rules == []
        return
    assert sorted(rules) == sorted([rule, *also]), (rules, code, said)
    a = next(a for a in alerts if a["rule"] == rule)
    assert a["container"]["image"] == "box:1" and a["techniques"] and a["process"]["exe"].startswith("/")
    assert any(p.get("args", [])[:2] == ["/bin/sh", "-c"] for p in [a["process"], *a["process"]["ancestors"]])


def test_devices_without_security_hooks(told):
    """Opened devices and terminals of others are told where no security hook of files serves, by the check of the control group's devices; and of the
    process's own terminal nothing."""
    assert [a["rule"] for a in told["terminal"][3]] == ["Terminal of another session read"]
    assert [a["rule"] for a in told["requests"][3] if a["process"]["args"] == ["actor", "ask", "keys", "/tmp/k"]] == ["Keyboard read"]
    assert told["twin"][3] == []


def packet_programs(text):
    """(group, attach type) of ours."""
    group, found = None, []
    for line in text.splitlines():
        if line.startswith("/"):
            group = line.strip()
        elif "hf_egress" in line or "hf_ingress" in line:
            found.append((group, line.split()[1]))
    return found


def test_packets_cost_containers_alone(told):
    """On a unified hierarchy the programs of every packet are attached to the groups of containers, and what the host sends passes none of them."""
    found = packet_programs(GROUPS["with"])
    assert len(found) == 4 and {what for _, what in found} == {"cgroup_inet_egress", "cgroup_inet_ingress"}, GROUPS["with"]  # two sensors
    assert all("docker" in group for group, _ in found) and len({group for group, _ in found}) == 1
    assert "hf_connect4" in GROUPS["without"] and packet_programs(GROUPS["without"]) == []
