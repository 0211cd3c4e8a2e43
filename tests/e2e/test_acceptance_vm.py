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
    "memory": ("Memory of a program written", "", "actor sleep 4000 & /bin/sleep 1; actor open /proc/$!/mem", ("Program traced by another",)),
    "traceme": ("Program guards itself against debuggers", "", "actor traceme", ()),
    "core-pattern": ("Kernel told to run a program", "--privileged", "echo core >/proc/sys/kernel/core_pattern", (MAY_ALL,)),
    "module": ("Kernel module touched", "--cap-add SYS_MODULE", "/bin/busybox insmod /etc/junk.ko", ()),
    "clock": ("Hardware or clock of the host touched", "--cap-add SYS_TIME", "/bin/date -s @$(/bin/date +%s)", ()),
    "twin": (None, "", "/bin/cat /proc/self/status >/dev/null; /bin/cat /proc/sys/kernel/core_pattern >/dev/null; /bin/date >/dev/null; /bin/ls /dev /proc/1 >/dev/null; actor trace-child", ()),
}


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
    alerts = {}
    for line in (folder / "told.json").read_text().splitlines():
        e = json.loads(line)
        if e["type"] == "alert":
            alerts.setdefault((e.get("container") or {}).get("name"), []).append(e)
    return {name: (int((folder / f"{name}.code").read_text() or 1), alerts.get(name, []), (folder / f"{name}.log").read_text()[-300:]) for name in ACTS}


@pytest.mark.parametrize("name", ACTS)
def test_act(told, name):
    rule, _, script, also = ACTS[name]
    code, alerts, said = told[name]
    rules = [a["rule"] for a in alerts]
    if rule is None:
        assert rules == []
        return
    assert rules.count(rule) == 1, (rules, code, said)
    assert set(rules) - {rule} <= set(also)
    a = next(a for a in alerts if a["rule"] == rule)
    assert a["container"]["image"] == "box:1" and a["techniques"] and a["process"]["exe"].startswith("/")
    assert any(p.get("args", [])[:2] == ["/bin/sh", "-c"] for p in [a["process"], *a["process"]["ancestors"]])
