# SPDX-License-Identifier: Apache-2.0
"""Ways around a sensor that looks at system calls and names: each is gone for real, in a container of its own, and must be seen."""
import io
import json
import os
import signal
import subprocess
import tarfile
import time

import pytest

from conftest import ROOT
from test_docker import overlay  # noqa: F401 (a fixture)

WAYS = ["name", "folder", "resolve", "late-name", "proc-fd", "root-link", "hard-link", "symlinks", "mapping", "bind-mount", "new-mount-api", "chroot", "32-bit-call", "io_uring",
        "flipping-name", "flood", "disguise", "memory", "detached-mount"]


@pytest.fixture(scope="module")
def told(overlay, binary, tmp_path_factory):  # noqa: F811
    """Exit status of each way, and every line of one watch over all of them."""
    if os.geteuid() != 0:
        pytest.skip("watching needs root")
    path = tmp_path_factory.mktemp("evasions")
    subprocess.run([os.environ.get("CC", "gcc").split()[0], "-static", "-O1", "-pthread", "-D_GNU_SOURCE", "-o", path / "evader", ROOT / "tests/tools/evader.c"], check=True)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("etc/cron.d", 0o755), ("tmp", 0o1777), ("proc", 0o755)):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, mode
            tar.addfile(info)
        for name, data, mode in (("bin/evader", (path / "evader").read_bytes(), 0o755), ("etc/shadow", b"root:*::\n", 0o640)):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            tar.addfile(info, io.BytesIO(data))
    overlay("import", "-", "evader:1", input=out.getvalue())
    with open(path / "out", "wb") as o, open(path / "err", "wb") as e:
        w = subprocess.Popen([binary, "watch", "--json", "--no-rules"], stdout=o, stderr=e, stdin=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while b'"started"' not in (path / "out").read_bytes():
        if w.poll() is not None and "type information" in (path / "err").read_text():
            pytest.skip((path / "err").read_text().strip())
        assert time.monotonic() < until and w.poll() is None, (path / "err").read_text()
        time.sleep(0.05)
    codes = {}
    try:
        for way in WAYS:
            run = ["run", "--rm", "--network", "none", "--cap-add", "SYS_ADMIN", "--cap-add", "SYS_PTRACE", "--security-opt", "seccomp=unconfined",
                   "--security-opt", "apparmor=unconfined", "--name", f"way-{way}", "evader:1", "/bin/evader", way]
            codes[way] = subprocess.run(overlay.command(*run), env=overlay.env(), capture_output=True, timeout=60).returncode
        time.sleep(1)
    finally:
        w.send_signal(signal.SIGINT)
        w.wait(20)
    lines = [json.loads(line) for line in (path / "out").read_text().splitlines()]
    return codes, lines


@pytest.mark.parametrize("way", WAYS)
def test_way(told, way):
    codes, lines = told
    if codes[way] == 77:
        pytest.skip("this kernel or container refuses it")
    assert codes[way] == 0
    mine = [l for l in lines if (l.get("container") or {}).get("name") == f"way-{way}"]
    opened = [l for l in mine if l["type"] == "file" and l["file"]["operation"] == "open" and l["file"]["watch"] == "credential"]
    assert opened, [(l["type"], l.get("file")) for l in mine]
    process = opened[-1]["process"]
    args = {"memory": ["kworker/0:1", "name"], "detached-mount": ["/bin/evader", "name"]}.get(way, ["/bin/evader", way])
    assert process["ns_pid"] == 1 and process["args"] == args
    if way == "detached-mount":
        assert process["exe"] == "/bin/evader" and [l["exec"]["path"] for l in mine if l["type"] == "exec"][-1] == "/bin/evader"
    if way == "memory":
        ran = [l["exec"]["flags"] for l in mine if l["type"] == "exec"]
        assert "memfd" in ran[-1]
    if way == "io_uring":
        assert [l for l in mine if l["type"] == "io_uring"]
    if way in ("bind-mount", "new-mount-api"):
        assert [l for l in mine if l["type"] == "mount"]
