# SPDX-License-Identifier: Apache-2.0
"""`respond` on what containerd runs: a container of ctr, a pod of Kubernetes' runtime interface, one of runc, and with the unified hierarchy alone in sight."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import time

import pytest

from test_respond import Respond, cgroup_dirs, respond, spinning, wait  # noqa: F401 (a fixture)
from test_runtimes import IMAGE, N, containerd, emptied, rootfs, runc  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="respond needs root")
LOOP = ["/bin/sh", "-c", "echo evil > /tmp/evil; while :; do :; done"]


def task(daemon, name, namespace="default"):
    for line in daemon.ctr("-n", namespace, "tasks", "ls").stdout.splitlines():
        if line.split()[0] == name:
            return int(line.split()[1])
    raise AssertionError(name)


@contextlib.contextmanager
def running(daemon, name):
    daemon.ctr("run", "-d", IMAGE, name, *LOOP)
    try:
        yield task(daemon, name)
    finally:
        daemon.ctr("tasks", "rm", "-f", name, check=False)
        daemon.ctr("containers", "rm", name, check=False)


def every_action(respond, name, pid, out):  # noqa: F811
    """Frozen and thawed, limited, cut off, kept as evidence, ended; all of it undone or logged."""
    assert wait(lambda: spinning(pid))
    did = respond.json("freeze", name)
    assert did["rung"].startswith("cgroup") and not spinning(pid)
    respond("thaw", name)
    assert spinning(pid)
    assert respond.json("limit", name, "--packets", 10)["changed"]
    assert respond.json("isolate", name)["changed"]
    assert {a["action"] for a in respond.json("list")} == {"limit", "isolate"} and all(a["running"] for a in respond.json("list"))
    respond("release", name)
    assert respond.json("list") == []
    kept = respond.json("snapshot", name, "--freeze", "-o", out)["after"]
    assert respond("snapshot", "verify", out).startswith("whole") and spinning(pid)
    with tarfile.open(out) as tar:
        container = json.load(tar.extractfile("container.json"))
        changed = tarfile.open(fileobj=tar.extractfile("changed.tar"))
        assert changed.extractfile("tmp/evil").read() == b"evil\n"
    assert kept["members"] > 4
    did = respond.json("kill", name)
    assert did["after"]["processes"] == 0 and wait(lambda: not os.path.exists(f"/proc/{pid}/exe") or not spinning(pid))
    assert respond("log", "verify").startswith("whole")
    return container


def test_ctr(respond, containerd, tmp_path):  # noqa: F811
    name = f"resp{N}"
    with running(containerd, name) as pid:
        container = every_action(respond, name, pid, tmp_path / "e.tar")
        assert container["name"] == name and container["image"] == IMAGE and container["runtime"] == "containerd" and container["image_digest"] == containerd.digest(IMAGE)


def test_pod(respond, containerd, tmp_path):  # noqa: F811
    pytest.importorskip("grpc", reason="python3-grpcio is not installed")
    import cri
    runtime = cri.Cri(containerd.socket)
    pod = runtime.run_pod(f"respod{N}", "shop", "0f0e0d0c-1111-2222-3333-444455556688")
    system = runtime.run_pod(f"syspod{N}", "kube-system", "0f0e0d0c-1111-2222-3333-444455556699")
    try:
        box = runtime.run_container(pod, f"respapi{N}", IMAGE, LOOP)
        pid = task(containerd, box, "k8s.io")
        # the pod is in the host's network: its own control group is all that is touched
        assert os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino
        if "" not in cgroup_dirs(pid):
            pytest.skip("a pod in the host's network, and no unified hierarchy")
        for words in (("isolate", box), ("limit", box, "--packets", 10)):
            assert respond.json(*words, "--dry-run")["rung"] == "cgroup BPF"
        container = every_action(respond, box[:16], pid, tmp_path / "e.tar")
        assert container["pod_namespace"] == "shop" and container["id"] == box
        assert {e["rung"] for e in respond.log() if e["action"] in ("isolate", "limit")} == {"cgroup BPF"}
        other = runtime.run_container(system, f"sysapi{N}", IMAGE, LOOP)
        assert "kube-system" in respond("freeze", other[:16], code=3)
        assert spinning(task(containerd, other, "k8s.io"))
    finally:
        for p in (pod, system):
            runtime.remove_pod(p[0])


def test_runc_in_a_group_of_podman(respond, tmp_path):  # noqa: F811
    if not shutil.which("runc"):
        pytest.skip("runc is not installed (Debian package runc)")
    name = f"{os.getpid():064x}"
    command = runc(tmp_path, name, f"/libpod_parent/libpod-{name}", ["/bin/sh", "-c", "while :; do :; done"], rootfs(tmp_path / "box"))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        state = lambda: subprocess.run(["runc", "--root", tmp_path / "runc", "state", name], capture_output=True, text=True)  # noqa: E731
        assert wait(lambda: state().returncode == 0 and json.loads(state().stdout)["status"] == "running")
        pid = json.loads(state().stdout)["pid"]
        assert respond.json("freeze", name[:20] if name.strip("0") == name[:20] else name)["changed"] and not spinning(pid)
        respond("release", name)
        assert spinning(pid)
        respond("kill", name)
        process.wait(20)
    finally:
        subprocess.run(["runc", "--root", tmp_path / "runc", "kill", name, "KILL"], capture_output=True)
        process.wait(20)
        subprocess.run(["runc", "--root", tmp_path / "runc", "delete", name], capture_output=True)
        emptied("/libpod_parent")


def test_containerd_with_the_unified_hierarchy_alone(binary, containerd, tmp_path):  # noqa: F811
    """As on a host without cgroup v1, as far as a mount namespace of one's own shows it."""
    name = f"respv2{N}"
    with running(containerd, name) as pid:
        if cgroup_dirs(pid).get("", pathlib.Path("/")).name != name:
            pytest.skip("containers have no v2 group here")
        v2 = next(line.split()[4] for line in open("/proc/self/mountinfo") if " - cgroup2 " in line)
        script = f"mount --make-rprivate / && mount --bind {v2} /mnt && umount -Rl /sys/fs/cgroup; mount --move /mnt /sys/fs/cgroup 2>/dev/null || mount -t cgroup2 none /sys/fs/cgroup; exec \"$@\""
        run = lambda *a: subprocess.run(["unshare", "-m", "sh", "-c", script, "x", binary, "respond", *a, "--state", str(tmp_path / "state")], capture_output=True, text=True)  # noqa: E731
        p = run("freeze", name, "--json")
        assert p.returncode == 0, p.stderr
        assert json.loads(p.stdout)["rung"] == "cgroup v2 freezer" and not spinning(pid)
        assert run("thaw", name).returncode == 0 and spinning(pid)
        p = run("limit", name, "--packets", "5", "--json")
        assert p.returncode == 0 and json.loads(p.stdout)["rung"].startswith("cgroup BPF"), p.stderr
        assert run("release", name).returncode == 0
        p = run("kill", name, "--json")
        assert p.returncode == 0 and json.loads(p.stdout)["rung"] == "cgroup.kill", p.stderr
        time.sleep(0.1)
        assert not os.path.exists(f"/proc/{pid}/exe")
