# SPDX-License-Identifier: Apache-2.0
"""Running containers of containerd (ctr and pods), podman and runc held against seals: their root as the kernel puts it together, without what is mounted into it."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

from test_docker import overlay  # noqa: F401 (a fixture)
from test_runtimes import IMAGE, N, containerd, emptied, rootfs, runc  # noqa: F401 (a fixture)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import mkimage  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containers need root")
NONE = {"HOLDFAST_DOCKER_HOST": "unix:///nonexistent/sock"}


@pytest.fixture
def verify(run, binary):
    if "respond" not in run("--help")[1]:
        pytest.skip("built without the sensor")

    def call(target, *args, code=0, env=NONE):
        rc, out, err = run("seal", "verify", *args, target, env=env)
        assert rc == code, (rc, out, err)
        return [line for line in out.splitlines() if not line[:1].isdigit()], err
    return call


def sealed(run, tmp_path, image):
    rc, out, err = run("seal", "--no-cache", "-o", tmp_path / "image.seal", image)
    assert rc == 0, err
    return "--seal", tmp_path / "image.seal"


def enter(pid, *command):
    subprocess.run(["nsenter", "-t", str(pid), "-m", *map(str, command)], check=True, timeout=60)


def pid_of(daemon, name, namespace="default"):
    for line in daemon.ctr("-n", namespace, "tasks", "ls").stdout.splitlines():
        if line.split()[0] == name:
            return int(line.split()[1])
    raise AssertionError(name)


def root_of(pid):
    return pathlib.Path(f"/proc/{pid}/root")


def test_containerd(run, verify, containerd, tmp_path):  # noqa: F811
    """Nothing of what the runtime makes is a difference; a changed file is one, and nothing that is mounted over it hides it."""
    layer = mkimage.tar_of_folder(rootfs(tmp_path / "again"))
    mkimage.write_image(tmp_path / "image.tar", [layer], "oci-archive", tag="1", config={"Cmd": ["/bin/sleep", "3600"]})
    state = ("--state", tmp_path / "state")
    assert run("seal", "--no-cache", *state, tmp_path / "image.tar")[0] == 0
    name = f"sealed{N}"
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/of-the-volume").write_text("x")
    containerd.ctr("run", "-d", "--mount", f"type=bind,src={tmp_path}/volume,dst=/mnt/deep/in,options=rbind:ro", IMAGE, name, "/bin/sleep", "3600")
    try:
        pid = pid_of(containerd, name)
        seal = ("--seal", next((tmp_path / "state/seals").glob("*.seal")))
        assert verify(f"container:{name}", *seal)[0] == []
        assert verify(f"container:{name}", *state)[0] == []  # by the digest that containerd knows it by
        root = root_of(pid)
        data = (root / "bin/busybox").read_bytes()
        (root / "etc/added").write_text("")
        (root / "bin/evil").write_bytes(data)
        (root / "bin/evil").chmod(0o4755)
        (root / "bin/true").unlink()
        (root / "tmp").chmod(0o777)
        changed = ["added:     /bin/evil", "removed:   /bin/true", "added:     /etc/added", "modified:  /tmp (mode 0755 -> 0777)"]
        assert verify(f"container:{name}", *seal, code=1)[0] == changed
        # whoever may mount in the container lays something over it: what is below stays in sight, and no mount point of his own making is the runtime's
        enter(pid, "/bin/busybox", "mount", "-o", "bind", "/etc", "/bin")
        assert verify(f"container:{name}", *seal, code=1)[0] == changed
        rc, out, err = run("scan", "--no-vulnerabilities", "-f", "json", "--no-cache", f"container:{name}", env=NONE)
        assert rc == 0 and json.loads(out)["target"] == f"container:{name}", err
    finally:
        containerd.ctr("tasks", "rm", "-f", name, check=False)
        containerd.ctr("containers", "rm", name, check=False)
    assert "no running container" in verify(f"container:{name}", *seal, code=3)[1]


def test_a_mount_point_hides_nothing(run, verify, containerd, tmp_path):  # noqa: F811
    """A changed program with something mounted upon it by the container itself is a difference, not a mount point."""
    layer = mkimage.tar_of_folder(rootfs(tmp_path / "again"))
    mkimage.write_image(tmp_path / "image.tar", [layer], "oci-archive", tag="1", config={"Cmd": ["/bin/sleep", "3600"]})
    seal = sealed(run, tmp_path, tmp_path / "image.tar")
    name = f"covered{N}"
    containerd.ctr("run", "-d", "--privileged", IMAGE, name, "/bin/sleep", "3600")
    try:
        root = root_of(pid_of(containerd, name))
        good = (root / "bin/busybox").read_bytes()
        for i, (path, script) in enumerate({"/bin/extra": "cp /bin/busybox /bin/extra; mount -o bind /bin/busybox /bin/extra",
                                            "/bin/busybox": "cp /bin/busybox /tmp/good; cp /bin/busybox /bin/new; echo x >> /bin/new; mv /bin/new /bin/busybox; mount -o bind /tmp/good /bin/busybox"}.items()):
            script = " && ".join(f"/tmp/busybox {part.strip()}" if not part.strip().startswith("echo") else part.strip() for part in script.split(";"))
            shutil.copy("/bin/busybox", root / "tmp/busybox")
            containerd.ctr("tasks", "exec", "--exec-id", f"e{i}", name, "/bin/sh", "-c", script)
        assert (root / "bin/busybox").read_bytes() == good  # what is seen in the container
        told = verify(f"container:{name}", *seal, "--ignore", "/tmp/**", code=1)[0]
        assert told == ["modified:  /bin/busybox (content)", "added:     /bin/extra"]
    finally:
        containerd.ctr("tasks", "rm", "-f", name, check=False)
        containerd.ctr("containers", "rm", name, check=False)


def test_pod(run, verify, containerd, tmp_path):  # noqa: F811
    pytest.importorskip("grpc", reason="python3-grpcio is not installed")
    import cri
    layer = mkimage.tar_of_folder(rootfs(tmp_path / "again"))
    mkimage.write_image(tmp_path / "image.tar", [layer], "oci-archive", tag="1", config={"Cmd": ["/bin/sleep", "3600"]})
    seal = sealed(run, tmp_path, tmp_path / "image.tar")
    runtime = cri.Cri(containerd.socket)
    pod = runtime.run_pod(f"sealpod{N}", "shop", "0f0e0d0c-1111-2222-3333-444455556677")
    try:
        box = runtime.run_container(pod, f"sealapi{N}", IMAGE, ["/bin/sleep", "3600"])
        assert verify(f"container:{box}", *seal)[0] == []
        runtime.exec(box, ["/bin/sh", "-c", "echo x > /root/dropped"])
        assert verify(f"container:{box[:20]}", *seal, code=1)[0] == ["added:     /root/dropped"]
    finally:
        runtime.remove_pod(pod[0])


@contextlib.contextmanager
def runc_on_overlay(tmp_path, name):
    """A container whose root is an overlay that copies up metadata alone, and renames directories by name."""
    lower = rootfs(tmp_path / "lower")
    (lower / "etc/big").write_bytes(b"b" * 100000)
    (lower / "etc/folder").mkdir()
    (lower / "etc/folder/file").write_text("f")
    for part in ("upper", "work", "merged"):
        (tmp_path / part).mkdir()
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower},upperdir={tmp_path}/upper,workdir={tmp_path}/work,metacopy=on,redirect_dir=on", tmp_path / "merged"], check=True)
    process = None
    try:
        command = runc(tmp_path, name, f"/libpod_parent/libpod-{name}", ["/bin/sleep", "3600"], tmp_path / "merged")
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        pid = None
        for _ in range(100):
            p = subprocess.run(["runc", "--root", tmp_path / "runc", "state", name], capture_output=True, text=True)
            if p.returncode == 0 and json.loads(p.stdout)["status"] == "running":
                pid = json.loads(p.stdout)["pid"]
                break
            time.sleep(0.05)
        assert pid, process.stderr.read()
        yield pid
    finally:
        subprocess.run(["runc", "--root", tmp_path / "runc", "kill", name, "KILL"], capture_output=True)
        if process:
            process.wait(20)
        subprocess.run(["umount", tmp_path / "merged"], check=True)
        emptied("/libpod_parent")


def test_overlay_that_copies_metadata_alone(run, verify, tmp_path):
    if not shutil.which("runc"):
        pytest.skip("runc is not installed (Debian package runc)")
    name = f"{os.getpid():064x}"
    with runc_on_overlay(tmp_path, name):
        assert run("seal", "--no-cache", "-o", tmp_path / "d.seal", f"dir:{tmp_path}/lower")[0] == 0
        assert verify(f"container:{name}", "--seal", tmp_path / "d.seal")[0] == []
        (tmp_path / "merged/etc/big").chmod(0o600)
        (tmp_path / "merged/etc/folder").rename(tmp_path / "merged/etc/renamed")
        assert os.getxattr(tmp_path / "upper/etc/big", "trusted.overlay.metacopy") == b""
        assert verify(f"container:{name}", "--seal", tmp_path / "d.seal", code=1)[0] == \
            ["modified:  /etc/big (mode 0644 -> 0600)", "removed:   /etc/folder", "removed:   /etc/folder/file", "added:     /etc/renamed", "added:     /etc/renamed/file"]


def test_metacopy_in_the_store_of_docker(run, verify, overlay, tmp_path):  # noqa: F811
    """What the store alone does not tell is read as the container runs; one that does not run says so."""
    root = rootfs(tmp_path / "root")
    (root / "etc/big").write_bytes(b"b" * 5000)
    mkimage.write_image(tmp_path / "i.tar", [mkimage.tar_of_folder(root)], "docker", tag=f"meta:{os.getpid()}", config={"Cmd": ["/bin/sleep", "3600"]})
    overlay("load", "-i", tmp_path / "i.tar")
    seal = sealed(run, tmp_path, tmp_path / "i.tar")
    env = {"HOLDFAST_DOCKER_HOST": overlay.host}
    box = overlay.text("create", "--network", "none", f"meta:{os.getpid()}", "/bin/sleep", "3600")
    upper = pathlib.Path(overlay.text("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", box))
    (upper / "etc").mkdir(exist_ok=True)
    (upper / "etc/big").write_bytes(b"")
    os.truncate(upper / "etc/big", 5000)
    os.setxattr(upper / "etc/big", "trusted.overlay.metacopy", b"")
    err = verify(f"container:{box}", *seal, code=3, env=env)[1]
    assert "while it runs" in err
    overlay("start", box)
    told, err = verify(f"container:{box}", *seal, code=4, env=env)
    assert told == [] and "/etc/big: cannot be examined" in err  # docker mounts without metacopy, where the kernel gives no such file out
    overlay("rm", "-f", box)


def podman(tmp_path):
    if not shutil.which("podman"):
        pytest.skip("podman is not installed")
    at = pathlib.Path("/tmp") / f"hf-pod-{os.getpid()}"

    def call(*args, check=True):
        p = subprocess.run(["podman", "--root", at / "root", "--runroot", at / "run", "--cgroup-manager", "cgroupfs", "--runtime", shutil.which("runc") or "runc",
                            "--storage-opt", "overlay.mountopt=metacopy=on", *map(str, args)], capture_output=True, text=True, timeout=60, cwd=tmp_path)
        assert not check or p.returncode == 0, (args, p.stderr)
        return p
    return at, call


def test_podman(run, verify, tmp_path):
    at, call = podman(tmp_path)
    image = tmp_path / "i.tar"
    mkimage.write_image(image, [mkimage.tar_of_folder(rootfs(tmp_path / "root"))], "oci-archive", tag="box:1", config={"Cmd": ["/bin/sleep", "3600"]})
    try:
        p = call("load", "-i", image, check=False)
        if p.returncode:
            pytest.skip("podman does not work here: " + p.stderr.strip()[-200:])
        p = call("run", "-d", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000", "--pids-limit", "0", "--network", "none", "--name", f"pod{N}", "localhost/box:1", check=False)
        if p.returncode:
            pytest.skip("podman does not start containers here: " + p.stderr.strip()[-200:])
        state = ("--state", tmp_path / "state")
        assert run("seal", "--no-cache", *state, image)[0] == 0
        assert verify(f"container:pod{N}", *state)[0] == []
        call("exec", f"pod{N}", "/bin/busybox", "chmod", "4755", "/bin/busybox")
        assert verify(f"container:pod{N}", *state, code=1)[0] == ["modified:  /bin/busybox (mode 0755 -> 4755)"]
        pid = call("inspect", f"pod{N}", "-f", "{{.State.Pid}}").stdout.strip()
        assert hashlib.sha256(pathlib.Path(f"/proc/{pid}/root/bin/busybox").read_bytes()).hexdigest() == hashlib.sha256((tmp_path / "root/bin/busybox").read_bytes()).hexdigest()
        other = tmp_path / "o.tar"
        mkimage.write_image(other, [mkimage.tar_of_folder(rootfs(tmp_path / "root2"))], "docker", tag="o:1", config={"Cmd": ["other"]})
        _, err = verify(f"container:pod{N}", *sealed(run, tmp_path, other), code=1)
        assert "whether" in err and "is not known" in err
    finally:
        call("rm", "-f", "-t", "0", "-a", check=False)
        call("rmi", "-fa", check=False)
        subprocess.run(["umount", "-R", at / "root/overlay"], capture_output=True)
        shutil.rmtree(at, ignore_errors=True)


def test_what_has_no_root_of_its_own(run, verify, tmp_path):
    """A control group that only has a container's name: its process is the host's."""
    group = next((p for p in (pathlib.Path("/sys/fs/cgroup/pids"), pathlib.Path("/sys/fs/cgroup/unified"), pathlib.Path("/sys/fs/cgroup")) if (p / "cgroup.procs").exists()), None)
    name = f"{os.getpid():064x}"
    made = []
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        for mount in {group, *[p for p in pathlib.Path("/sys/fs/cgroup").iterdir() if (p / "cgroup.procs").exists()]}:
            at = mount / f"docker-{name}.scope"
            with contextlib.suppress(OSError):
                at.mkdir()
                made.append(at)
                (at / "cgroup.procs").write_text(str(sleeper.pid))
        assert run("seal", "-o", tmp_path / "d.seal", f"dir:{tmp_path}")[0] == 0
        _, err = verify(f"container:{name}", "--seal", tmp_path / "d.seal", code=3)
        assert "no root of its own" in err
    finally:
        sleeper.kill()
        sleeper.wait()
        time.sleep(0.1)
        for at in made:
            with contextlib.suppress(OSError):
                at.rmdir()
