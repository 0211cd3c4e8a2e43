# SPDX-License-Identifier: Apache-2.0
"""Files below an overlay as other kernels number them (src/guard/look.c): a program that is changed, moved, copied up and dropped, in a virtual machine with
Debian's 6.1 kernel; HF_VM_KERNEL=5.10 or 6.12: on that one."""
import io
import json
import os
import pathlib
import subprocess
import tarfile

import pytest

from test_drift import BUSYBOX, CHANGED, flip, sha256

ROOT = pathlib.Path(__file__).resolve().parents[2]
VM_RUN = pathlib.Path(os.environ.get("HF_VM_RUN", ROOT.parent / "shared" / "tools" / "vm-run"))
KERNEL = os.environ.get("HF_VM_KERNEL", "6.1")
# sleeps: so that the seal is there, and no two states of a file are in one tick of the clock
SCRIPT = f"""
/bin/sleep 8
/bin/touch /bin/ls; /bin/chmod 700 /bin/cat; /bin/sleep 1; /bin/ls /; /bin/cat /etc/x
{flip('/bin/mkdir')}; /bin/sleep 1; /bin/mkdir /x; /bin/sleep 1
/bin/cp /bin/busybox /tmp/moved; /bin/sleep 1; /tmp/moved sleep 1
/bin/cp /bin/mkdir /tmp/dropped; /bin/sleep 1; /tmp/dropped sleep 1
/bin/cp /tmp/dropped /bin/.new; /bin/mv /bin/.new /bin/rm; /bin/sleep 1; /bin/rm /x
/bin/sleep 1
"""


@pytest.fixture(scope="module")
def machine():
    if not VM_RUN.exists():
        pytest.skip(f"{VM_RUN} is not on this machine")
    p = subprocess.run([VM_RUN, "--kernel", KERNEL, "--fetch"], capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL)
    if p.returncode:
        pytest.skip("no virtual machine here: " + p.stderr.strip()[-200:])


def test_files_with_verity_are_read_once(machine):
    """src/guard/test-verity.c on a file system that has fs-verity."""
    build = pathlib.Path(os.environ.get("HF_BUILD", ROOT / "build"))
    program = build / "tests/test-verity"
    subprocess.run(["ninja", "-C", build, "tests/test-verity"], capture_output=True)
    if not program.exists():
        pytest.skip("the test is not built")
    if not pathlib.Path("/sbin/mkfs.ext4").exists():
        pytest.skip("no mkfs.ext4 here")
    p = subprocess.run([VM_RUN, "--kernel", KERNEL, "--timeout", "120", "--", ROOT / "tests/vm/verity.sh", program], capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL)
    lines = p.stdout.splitlines()
    assert p.returncode == 0 and len([l for l in lines if l.startswith("ok")]) > 40 and not [l for l in lines if l.startswith("not ok")], p.stdout[-2000:] + p.stderr[-2000:]


def test_verdicts_on_another_kernel(machine, binary, tmp_path):
    if "--no-guard" not in subprocess.run([binary, "watch", "--help"], capture_output=True, text=True).stdout:
        pytest.skip("built without the guard")
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        for name in ("bin", "tmp", "etc"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(info)
        for name in ("busybox", "sh", "ls", "cat", "cp", "mv", "rm", "mkdir", "touch", "chmod", "sleep"):
            info = tarfile.TarInfo(f"bin/{name}")
            info.size, info.mode = len(BUSYBOX), 0o755
            tar.addfile(info, io.BytesIO(BUSYBOX))
    (tmp_path / "script.sh").write_text(SCRIPT.replace("/usr/bin/dd", "/bin/busybox dd"))
    p = subprocess.run([VM_RUN, "--kernel", KERNEL, "--timeout", "400", "--append", "apparmor=0", "--share", tmp_path, "--", ROOT / "tests/vm/drift.sh", binary, tmp_path],
                       capture_output=True, text=True, timeout=420, stdin=subprocess.DEVNULL)
    assert p.returncode == 0, p.stderr[-2000:]
    lines = [json.loads(line) for line in (tmp_path / "out.json").read_text().splitlines()]
    found = {v["path"]: v for v in (line["verdict"] for line in lines if line["type"] == "verdict" and line.get("container", {}).get("name") == "box")}
    status = [line["status"] for line in lines if line["type"] == "status" and "guard" in json.dumps(line)][-3:]
    got = {path: (v["result"], v.get("sha256")) for path, v in found.items()}
    assert got == {"/bin/mkdir": ("changed", sha256(CHANGED)), "/tmp/moved": ("moved", sha256(BUSYBOX)), "/tmp/dropped": ("foreign", sha256(CHANGED)), "/bin/rm": ("changed", sha256(CHANGED))}, (got, status)
    assert found["/bin/mkdir"]["sealed_sha256"] == sha256(BUSYBOX)
