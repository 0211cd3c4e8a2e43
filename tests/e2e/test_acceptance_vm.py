# SPDX-License-Identifier: Apache-2.0
"""What the acceptance suite cannot do on every machine, on Debian's 6.1 kernel in a virtual machine: reads below /proc, which only hooks of the file functions
see, and acts that would change the machine the tests run on: keyboards and disks with their drivers, and an exploit of the kernel (vm_modules.py).  Each for real in
a container, each exactly its alert."""
import json
import re
import subprocess

import pytest
import yaml

import vm_modules
from conftest import ROOT
from test_pack import OUTSIDE, PACK, image
from test_vm import KERNEL, SECONDS, VM_RUN, machine, prepare

EXPLAINED = "Rights that no call explains"
HOLE = "--device /dev/exploit"
MAY_ALL = "Container may do everything"
# name -> (alert, options, script, alerts that it rightly gives besides)
ACTS = {
    "environ": ("Environment of a process read", "", "/bin/cat /proc/self/environ >/dev/null", ()),
    "terminal": ("Terminal of another session read", "", "actor terminal other", ()),
    # requests to devices that the machine has, one of them by a node made in the container; what their drivers make of them is no matter
    "requests": ("Keyboard taken over", "--device /dev/input/mice --device /dev/ram0", "actor mknod /tmp/k 13 63; actor ask keys /tmp/k; actor ask make /tmp/k; actor ask raw /dev/ram0",
                 ("Device made in a container", "Keyboard read", "Keyboard made by a program", "Raw commands to a disk")),
    # drivers that are really there answer: a keyboard on which somebody types, one that is made, a HID device, a disk
    "keyboard": ("Keyboard read", "--device /dev/input/event90", "drivers keys /dev/input/event90 && drivers down /dev/input/event90 && drivers grab /dev/input/event90", ("Keyboard taken over",)),
    "hidraw": ("Keyboard read", "--device /dev/hidraw0", "/bin/sleep 2; drivers report /dev/hidraw0", ()),  # its number is not fixed, so it is known by its name: once the container's /dev is watched
    "typist": ("Keyboard made by a program", "--device /dev/uinput", "drivers keyboard 2", ("Keyboard read",)),
    "scsi": ("Raw commands to a disk", "--device /dev/sda --device /dev/sg0", "drivers inquire /dev/sg0 Linux && drivers inquire /dev/sda Linux", ("Host device opened",)),
    "rights-user": (EXPLAINED, f"--user 1000 {HOLE}", "drivers exploit 1 connect && drivers exploit 1 exec /bin/id -u && drivers exploit 2 open /etc/shadow && drivers exploit 2 exec /bin/id -g && drivers exploit 4 connect && drivers exploit 4 exec /bin/id -G",
                    ("Password hashes read",)),
    "rights-root": (EXPLAINED, HOLE, "drivers exploit 1 connect && drivers exploit 2 connect && drivers exploit 2 exec /bin/id -u && drivers exploit 4 connect && drivers exploit 4 exec /bin/id -G", ()),
    "root-moved": (OUTSIDE, HOLE, "drivers exploit 8 exec /bin/id -u", ()),
    "rights-twin": ("Namespaces made in a container", f"--user 1000 --security-opt seccomp=unconfined {HOLE}", "rootly true && actor unshare user && drivers exploit 0 exec /bin/id -u && drivers exploit 0 connect && /bin/sleep 3", ()),
    "name-asked": ("Name of a relay, paste or pool", "", "actor dnsd 0 2000 & actor dns 1 1 abc.ngrok.io", ()),
    "memory": ("Memory of a program written", "", "actor sleep 4000 & /bin/sleep 1; actor open /proc/$!/mem", ("Program traced by another",)),
    "traceme": ("Program guards itself against debuggers", "", "actor traceme", ()),
    "core-pattern": ("Kernel told to run a program", "--privileged", "/bin/sleep 2; echo core >/proc/sys/kernel/core_pattern", (MAY_ALL,)),
    "module": ("Kernel module touched", "--cap-add SYS_MODULE", "/bin/busybox insmod /etc/junk.ko", ()),
    "clock": ("Hardware or clock of the host touched", "--cap-add SYS_TIME", "/bin/date -s @$(/bin/date +%s)", ()),
    "twin": (None, "", "/bin/cat /proc/self/status >/dev/null; /bin/cat /proc/sys/kernel/core_pattern >/dev/null; /bin/date >/dev/null; /bin/ls /dev /dev/pts /proc/1 >/dev/null; actor terminal own; drivers own; actor trace-child", ()),
}

UNEXPLAINED = {}  # with which hooks: container -> arguments
OPENED = []  # devices by the check of the control group's, without security hooks: (arguments, path, node)
GROUPS = {}  # which programs were attached to control groups, with a container and without


def alerts_of(path):
    alerts = {}
    for line in path.read_text().splitlines():
        e = json.loads(line)
        if e["type"] == "alert":
            alerts.setdefault((e.get("container") or {}).get("name"), []).append(e)
    return alerts


def unexplained_of(path):
    """Container -> arguments of what was told to have rights that no call explains."""
    found = {}
    for line in path.read_text().splitlines():
        e = json.loads(line)
        if e["type"] == "credentials" and "unexplained" in e["credentials"]["what"]:
            found.setdefault(e["container"]["name"], set()).add(" ".join(e["process"]["args"]))
    return found


@pytest.fixture(scope="module")
def told(binary, tmp_path_factory):
    prepare()
    folder = tmp_path_factory.mktemp("vm")
    kernel = vm_modules.kernel_folder(VM_RUN, KERNEL)
    vm_modules.exploit(kernel, folder)
    drivers = folder / "drivers"
    vm_modules.run("gcc", "-static", "-O1", "-D_GNU_SOURCE", "-o", drivers, ROOT / "tests/tools/drivers.c")
    (folder / "image.tar").write_bytes(image(more={"etc/junk.ko": b"not a module" * 100, "bin/drivers": drivers.read_bytes()}))
    (folder / "acts").mkdir()
    for name, (_, options, script, _) in ACTS.items():
        (folder / "acts" / name).write_text(script + "\nc=$?\nwait\n/bin/sleep 1\nexit $c\n")
        (folder / "acts" / f"{name}.options").write_text(options)
    (folder / "acts/rights-twin.exec").write_text("actor true")  # as another user
    p = machine(ROOT / "tests/vm/acceptance.sh", binary, PACK, folder, vm_modules.drivers(VM_RUN, kernel.name), options=["--share", folder, "--append", "apparmor=0", "--memory", "1536"], seconds=2 * SECONDS)  # a container for each act
    try:
        said = p.communicate(timeout=2 * SECONDS + 60)[0]
    except subprocess.TimeoutExpired:
        p.kill()  # ends the machine, too
        p.wait()
        raise
    assert (folder / "told.json").exists(), f"exit {p.returncode}: {said[-2000:]}"
    best, lower = (alerts_of(folder / name) for name in ("told.json", "lower.json"))
    UNEXPLAINED.update({which: unexplained_of(folder / f"{which}.json") for which in ("told", "lower")})
    lower_events = map(json.loads, (folder / "lower.json").read_text().splitlines())
    OPENED.extend((e["process"]["args"], e["file"]["path"], e["file"].get("node")) for e in lower_events if e["type"] == "file" and e["file"]["source"] == "cgroup")
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
    first, = [a["process"]["args"][1] for a in told["requests"][3] if a["rule"] == "Keyboard read"]
    assert first in ("mknod", "ask")  # the folder may not be watched yet when the node is made
    assert (["actor", "ask", "keys", "/tmp/k"], "/tmp/k", "input") in OPENED
    assert told["twin"][3] == []


def test_document_has_every_act():
    """docs/acceptance.md, with the techniques that the rules name."""
    tags = {r["rule"]: [t for t in r.get("tags", []) if t[0] == "T"] for f in PACK.glob("*.yaml") for r in yaml.safe_load(f.read_text()) if "rule" in r}
    listed = re.findall(r"^\| act: (\S+) \| (.+?) \| (.+?) \|$", (ROOT / "docs/acceptance.md").read_text(), re.M)
    named = {name: rule for name, (rule, *_) in ACTS.items() if rule and not name.endswith("-twin")}
    assert listed == [(name, rule, ", ".join(tags[rule])) for name, rule in named.items()]


@pytest.mark.parametrize("hooks", ("told", "lower"))
def test_rights_that_an_exploit_wrote(told, hooks):
    """Credentials written over or exchanged in the kernel, of a user and of a container's root, and namespaces, are told at the next thing that the process does,
    which may be that it becomes another program (told of the one that it still is: its name changes before its rights do); set-uid programs, docker exec as another
    user and a new user namespace are not."""
    assert all(told[name][0] == 0 for name in ("rights-user", "rights-root", "rights-twin")), [told[name] for name in ("rights-user", "rights-root", "rights-twin")]
    assert UNEXPLAINED[hooks] == {name: {act for act in ACTS[name][2].split(" && ")} for name in ("rights-user", "rights-root")}


@pytest.mark.parametrize("name", ("keyboard", "hidraw", "typist", "scsi"))
def test_drivers_did_what_was_asked(told, name):
    assert told[name][0] == 0, told[name]


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
    if KERNEL.startswith("5.10") and "hf_" not in GROUPS["with"]:
        pytest.skip("bpftool names groups with programs on this kernel, and not the programs")
    found = packet_programs(GROUPS["with"])
    assert len(found) == 4 and {what for _, what in found} == {"cgroup_inet_egress", "cgroup_inet_ingress"}, GROUPS["with"]  # two sensors
    assert all("docker" in group for group, _ in found) and len({group for group, _ in found}) == 1
    assert "hf_connect4" in GROUPS["without"] and packet_programs(GROUPS["without"]) == []
