# SPDX-License-Identifier: Apache-2.0
"""Which container: what real runtimes leave on the disk, on this machine.  containerd alone (ctr) and as Kubernetes uses it (CRI), runc alone and with the
paths that systemd's driver would give, docker on the unified hierarchy, containers within containers, before the sensor, and of a few milliseconds.

podman and the other kernels: tests/e2e/test_vm.py."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from test_docker import overlay, started  # noqa: F401 (a fixture)
from test_watch import busybox, watch, Watch  # noqa: F401 (fixtures)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import mkimage  # noqa: E402

IMAGE = "example.org/shop/box:1"
PAUSE = "registry.k8s.io/pause:3.6"
N = f"-{os.getpid()}"  # in names: the same tests may run beside these


def rootfs(folder):
    """A root with busybox and nothing else."""
    for name in ("bin", "tmp", "etc", "proc", "sys", "dev", "root", "run", "usr"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copy("/bin/busybox", folder / "bin/busybox")
    for name in ("sh", "sleep", "true", "cat"):
        (folder / "bin" / name).symlink_to("busybox")
    for name in ("lib", "lib64"):  # of the host's /usr, where that is mounted
        (folder / name).symlink_to(f"usr/{name}")
    return folder


class Containerd:
    """One of its own, with folders that are nowhere near the usual ones."""

    def __init__(self, root):
        self.root, self.socket = root, root / "sock"
        (root / "config.toml").write_text(f"""version = 2
root = "{root}/root"
state = "{root}/state"
[grpc]
  address = "{self.socket}"
[ttrpc]
  address = "{self.socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  stream_server_port = "0"
  restrict_oom_score_adj = true
""")
        with open(root / "log", "wb") as log:
            self.process = subprocess.Popen(["containerd", "-c", root / "config.toml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=root)

    def wait(self):
        for _ in range(100):
            if self.process.poll() is not None:
                break
            if self.socket.exists() and self.ctr("version", check=False).returncode == 0:
                return
            time.sleep(0.1)
        pytest.skip("containerd does not start here: " + "".join((self.root / "log").read_text(errors="replace").splitlines()[-1:]))

    def ctr(self, *args, check=True):
        p = subprocess.run(["ctr", "-a", self.socket, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert not check or p.returncode == 0, (args, p.stderr, (self.root / "log").read_text(errors="replace")[-2000:])
        return p

    def digest(self, reference, namespace="default"):
        for line in self.ctr("-n", namespace, "images", "ls").stdout.splitlines():
            if line.split()[0] == reference:
                return line.split()[2]
        raise AssertionError(reference)

    def put(self, reference, tar, namespaces):
        for namespace in namespaces:
            self.ctr("-n", namespace, "images", "import", "--base-name", reference.rpartition(":")[0], tar)

    def stop(self):
        for namespace in ("default", "k8s.io"):
            for task in self.ctr("-n", namespace, "tasks", "ls", "-q", check=False).stdout.split():
                self.ctr("-n", namespace, "tasks", "rm", "-f", task, check=False)
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for line in pathlib.Path("/proc/mounts").read_text().splitlines():
            if line.split()[1].startswith(f"{self.root}/"):
                subprocess.run(["umount", line.split()[1]], capture_output=True)


@pytest.fixture(scope="module")
def containerd():
    if os.geteuid() != 0:
        pytest.skip("containerd needs root")
    for program in ("containerd", "ctr", "runc"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (Debian package containerd)")
    root = pathlib.Path(tempfile.mkdtemp(prefix="hf-cd-"))  # short: a socket's path has 107 bytes at most
    daemon = Containerd(root)
    try:
        daemon.wait()
        layer = mkimage.tar_of_folder(rootfs(root / "box"))
        for reference, namespaces, seconds in ((IMAGE, ("default", "k8s.io"), "3600"), (PAUSE, ("k8s.io",), "7200")):
            tar = root / "image.tar"
            mkimage.write_image(tar, [layer], "oci-archive", tag=reference.rpartition(":")[2], config={"Cmd": ["/bin/sleep", seconds]})
            daemon.put(reference, tar, namespaces)
        yield daemon
    finally:
        daemon.stop()
        shutil.rmtree(root, ignore_errors=True)


def of(w, name, type_):
    """Its own work: what its runtime does within it is left out."""
    return [l for l in w.lines() if l["type"] == type_ and (l.get("container") or {}).get("name") == name and "runtime" not in (l.get("process") or {})]


def ended(w, *names):
    for name in names:
        w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == name)


def assert_known_from_the_first_program(w, name, image):
    """Each line about the container names it and its image, the first program's too."""
    assert all("runtime" in l["process"] for l in w.lines() if l["type"] == "mount" and (l.get("container") or {}).get("name") == name)
    lines = [l for l in w.lines() if (l.get("container") or {}).get("name") == name]
    assert lines and lines[0]["type"] == "container", [l["type"] for l in lines[:3]]
    assert all(l["container"].get("image") == image for l in lines), {(l["type"], l["container"].get("image")) for l in lines}
    nameless = [l for l in w.lines() if l["type"] == "exec" and l.get("container") and not l["container"].get("image")]
    assert nameless == []
    return lines


def test_ctr(watch, containerd):  # noqa: F811
    w = watch("--json", "--no-rules")
    containerd.ctr("run", "--rm", "--label", "team=shop", IMAGE, "basket", "/bin/true")
    containerd.ctr("-n", "k8s.io", "run", "--rm", IMAGE, "elsewhere", "/bin/sh", "-c", "exit 3", check=False)
    ended(w, "basket", "elsewhere")
    lines = assert_known_from_the_first_program(w, "basket", IMAGE)
    container, facts = lines[0]["container"], lines[0]["facts"]
    assert container["id"] == "basket" and container["runtime"] == "containerd" and container["labels"] == {"team": "shop"}
    assert container["image_digest"] == containerd.digest(IMAGE) and facts["image_digest"] == containerd.digest(IMAGE)
    assert facts["from.name"] == "containerd-store" and facts["from.image"] == "containerd-store" and facts["command"] == "/bin/true"
    assert facts["rootfs"].startswith(f"{containerd.root}/state/") and facts["rootfs"].endswith("/rootfs")
    assert [l["process"]["args"] for l in of(w, "basket", "exec")] == [["/bin/true"]] and of(w, "basket", "exec")[0]["process"].get("session") is None
    assert [l["exit"]["code"] for l in of(w, "elsewhere", "exit") if l["process"]["exe"] == "/bin/busybox"] == [3]
    assert [l for l in w.lines() if l["type"] == "container" and l["container"]["name"] in ("default", "k8s.io")] == []  # groups that hold the containers
    assert w.end() == (0, "")


def test_ctr_before_the_sensor(watch, containerd):  # noqa: F811
    containerd.ctr("run", "-d", "--label", "team=shop", IMAGE, "early", "/bin/sleep", "3600")
    w = watch("--json", "--no-rules")
    told = of(w, "early", "container") or w.wait_for(lambda l: l["type"] == "container" and l["container"]["name"] == "early")
    assert told[0]["container"]["image"] == IMAGE and told[0]["container"]["labels"] == {"team": "shop"} and told[0]["facts"]["image_digest"] == containerd.digest(IMAGE)
    containerd.ctr("tasks", "exec", "--exec-id", "e1", "early", "/bin/true")
    ran = w.wait_for(lambda l: l["type"] == "exec" and l.get("container") and l["container"]["name"] == "early")
    assert ran[0]["process"]["args"] == ["/bin/true"] and ran[0]["process"]["session"] == "exec"
    containerd.ctr("tasks", "rm", "-f", "early")
    ended(w, "early")
    assert w.end() == (0, "")


def test_pod(binary, tmp_path, containerd):
    """A pod as kubelet has it made: the one that holds its namespaces, two containers, a `kubectl exec`; a second sensor comes later."""
    pytest.importorskip("grpc", reason="python3-grpcio is not installed")
    import cri
    runtime = cri.Cri(containerd.socket)
    pod_name, api_name, side_name = f"basket{N}", f"api{N}", f"sidecar{N}"
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    w = Watch(binary, tmp_path / "1", "--json", "--no-rules")
    late = None
    try:
        pod = runtime.run_pod(pod_name, "shop", "0f0e0d0c-1111-2222-3333-444455556666")
        api = runtime.run_container(pod, api_name, IMAGE, ["/bin/sleep", "3600"])
        runtime.run_container(pod, side_name, IMAGE, ["/bin/sh", "-c", "sleep 3600 & wait"])
        assert runtime.exec(api, ["/bin/sh", "-c", "true; exit 4"]) == 4
        late = Watch(binary, tmp_path / "2", "--json", "--no-rules")
        assert runtime.exec(api, ["/bin/true"]) == 0
        for which in (w, late):
            which.wait_for(lambda l: l["type"] == "exec" and l["process"]["args"] == ["/bin/true"] and l.get("container"))
        runtime.remove_pod(pod[0])
        for which in (w, late):
            ended(which, api_name, side_name)
            wanted = {"namespace": "shop", "name": pod_name}
            for name in (api_name, side_name):
                facts = of(which, name, "container")[-1]
                assert facts["container"]["pod"] == {**wanted, "container": name} and facts["container"]["image"] == IMAGE and facts["container"]["runtime"] == "containerd"
                assert facts["facts"]["pod_uid"] == "0f0e0d0c-1111-2222-3333-444455556666" and facts["facts"]["image_digest"] == containerd.digest(IMAGE, "k8s.io")
                assert facts["facts"]["from.name"] == "bundle" and "kind" not in facts["facts"]
            pause = which.wait_for(lambda l: l["type"] == "container_end" and l["container"]["id"] == pod[0]) and [
                l for l in which.lines() if l["type"] == "container" and l["container"]["id"] == pod[0]][-1]
            assert pause["container"]["name"] == "pause"
            assert pause["facts"]["kind"] == "sandbox" and pause["container"]["image"] == PAUSE and pause["container"]["pod"] == wanted
            assert pause["container"]["labels"] == {"app": pod_name}
            ran = [l["process"] for l in of(which, api_name, "exec")]
            assert [p["args"] for p in ran if p.get("session") == "exec"][-1] == ["/bin/true"]
            named = [l["container"] for l in which.lines() if l.get("container") and l["container"].get("pod", {}).get("name") == pod_name]
            assert named and all(c.get("image") for c in named), "a line without its image"
        assert [(p["args"][0], p.get("session")) for p in (l["process"] for l in of(w, api_name, "exec"))] == [("/bin/sleep", None), ("/bin/sh", "exec"), ("/bin/true", "exec")]
        assert all(l["process"].get("session") is None for l in of(w, side_name, "exec")) and len(of(w, side_name, "exec")) == 2
        assert w.end() == (0, "") and late.end() == (0, "")
    finally:
        w.stop()
        if late:
            late.stop()


ID = "0123456789abcdef0123456789abcdef0123456789abcdef01234567%08x"
UID = "0f0e0d0c_1111_2222_3333_444455556666"
PATHS = {  # what the drivers of the runtimes make; {} is the id
    "docker, systemd": ("/system.slice/docker-{}.scope", "docker", None),
    "docker, cgroupfs": ("/docker/{}", "docker", None),
    "CRI, systemd": (f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID}.slice/cri-containerd-{{}}.scope", "containerd", UID),
    "CRI, cgroupfs": (f"/kubepods/burstable/pod{UID.replace('_', '-')}/{{}}", "runc", UID),
    "CRI, no systemd behind systemd's names": (f"/system.slice/kubepods-besteffort-pod{UID}.slice:cri-containerd:{{}}", "containerd", UID),
    "CRI-O, systemd": (f"/kubepods.slice/kubepods-pod{UID}.slice/crio-{{}}.scope", "cri-o", UID),
    "podman, systemd": ("/machine.slice/libpod-{}.scope", "podman", None),
    "podman, cgroupfs": ("/libpod_parent/libpod-{}", "podman", None),
}


def runc(tmp_path, name, cgroups_path, program, rootfs_at, root="runc"):
    """Arguments of `runc run` with a bundle of its own."""
    bundle = tmp_path / f"bundle-{name}"
    bundle.mkdir()
    capabilities = ["CAP_KILL"]
    spec = {"ociVersion": "1.0.2", "hostname": "box", "root": {"path": str(rootfs_at), "readonly": True},
            "process": {"user": {"uid": 0, "gid": 0}, "args": program, "env": ["PATH=/bin"], "cwd": "/", "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities}},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {"namespaces": [{"type": n} for n in ("pid", "mount", "ipc", "uts", "network")], **({"cgroupsPath": cgroups_path} if cgroups_path else {})}}
    (bundle / "config.json").write_text(json.dumps(spec))
    return ["runc", "--root", tmp_path / root, "run", "--bundle", bundle, name]


@pytest.fixture
def box(tmp_path):
    if not shutil.which("runc"):
        pytest.skip("runc is not installed (Debian package runc)")
    return rootfs(tmp_path / "box")


def emptied(path):
    """Groups that runc made on the way to a container's."""
    for mount in pathlib.Path("/sys/fs/cgroup").iterdir():
        at = mount / path.lstrip("/").split("/")[0]
        for folder in sorted(at.rglob("*") if at.is_dir() else [], reverse=True):
            if folder.is_dir():
                with contextlib.suppress(OSError):
                    folder.rmdir()
        with contextlib.suppress(OSError):
            at.rmdir()


def test_paths_of_all_drivers(watch, box, tmp_path):  # noqa: F811
    """Groups as each runtime's drivers name them: made for real by runc, which is told the path."""
    w = watch("--json", "--no-rules")
    ids = {}
    for i, (what, (path, _, _)) in enumerate(PATHS.items()):
        ids[what] = ID % i
        p = subprocess.run(runc(tmp_path, ids[what], path.format(ids[what]), ["/bin/true", what], box), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert p.returncode == 0, (what, p.stderr)
        emptied(path)
    for what, (path, runtime, uid) in PATHS.items():
        w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["id"] == ids[what])
        ran = [l for l in w.lines() if l["type"] == "exec" and (l.get("container") or {}).get("id") == ids[what] and "runtime" not in l["process"]]
        assert [l["process"]["args"] for l in ran] == [["/bin/true", what]]
        facts = [l for l in w.lines() if l["type"] == "container" and l["container"]["id"] == ids[what]][-1]
        assert facts["container"]["runtime"] == runtime and facts["container"]["name"] == ids[what][:12]
        assert facts["facts"].get("pod_uid") == (uid and uid.replace("_", "-")) and facts["facts"]["command"] == f"/bin/true {what}"
    assert w.end() == (0, "")


def test_runc_alone(watch, box, tmp_path):  # noqa: F811
    """An id that a person chose, with and without a path of its own; a runtime of the same name that makes no container is none."""
    w = watch("--json", "--no-rules")
    for name, path in (("plain", None), ("placed", "/mine/placed")):
        p = subprocess.run(runc(tmp_path, name, path, ["/bin/true"], box), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert p.returncode == 0, p.stderr
        ended(w, name)
        facts = of(w, name, "container")[-1]
        assert facts["container"]["id"] == name and facts["container"]["runtime"] == "runc" and facts["facts"]["from.name"] == "id" and facts["facts"]["hostname"] == "box"
        assert [l["process"]["args"] for l in of(w, name, "exec")] == [["/bin/true"]]
    emptied("/mine")
    (tmp_path / "liar").mkdir()
    liar = tmp_path / "liar/runc"
    liar.write_text("#!/bin/sh\nfor m in /sys/fs/cgroup/*; do mkdir $m/hf-liar; done 2>/dev/null\nsleep 0.3\nrmdir /sys/fs/cgroup/*/hf-liar 2>/dev/null\ntrue\n")
    liar.chmod(0o755)
    subprocess.run([liar, "run", "--bundle", tmp_path / "bundle-placed", "placed2"], check=True, timeout=60)
    subprocess.run(runc(tmp_path, "last", None, ["/bin/true"], box), stdin=subprocess.DEVNULL, check=True, timeout=60)
    ended(w, "last")
    assert not {"placed2", "hf-liar", "mine"} & {l["container"]["name"] for l in w.lines() if l["type"] == "container"}
    assert w.end() == (0, "")


def test_containers_of_milliseconds(watch, busybox, containerd):  # noqa: F811
    """Programs that end at once: each line names container and image, the first too."""
    w = watch("--json", "--no-rules")
    names = []
    for i in range(3):
        names += [f"dock{i}", f"ctr{i}"]
        busybox("run", "--rm", "--network", "none", "--name", f"dock{i}", "box:1", "/bin/true")
        containerd.ctr("run", "--rm", IMAGE, f"ctr{i}", "/bin/true")
    ended(w, *names)
    for name in names:
        lines = assert_known_from_the_first_program(w, name, "box:1" if name.startswith("dock") else IMAGE)
        assert len(of(w, name, "exec")) == 1 and len(of(w, name, "exit")) >= 1
        assert int(lines[0]["facts"]["known_after_us"]) > 0
    assert w.end() == (0, "")


UNIFIED = r"""
mount --make-rprivate /
for m in $(awk '$3 == "cgroup" { print $2 }' /proc/mounts); do umount "$m"; done
[ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] || mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup || exit 77
exec "$@"
"""


def test_unified_hierarchy(binary, tmp_path):
    """docker and the sensor where only the unified hierarchy is mounted: a mount namespace of their own."""
    with started_unified() as daemon:
        daemon("import", "-", "box:1", input=mkimage.tar_of_folder(rootfs(tmp_path / "box")))
        daemon("run", "-d", "--name", f"before{N}", "--network", "none", "box:1", "/bin/sleep", "3600")
        w = UnifiedWatch(binary, tmp_path, "--json", "--no-rules")
        try:
            assert [l["status"]["hierarchy"] for l in w.lines() if l["type"] == "status" and "hierarchy" in l["status"]] == ["unified"]
            daemon("run", "--rm", "--name", f"after{N}", "--network", "none", "box:1", "/bin/true")
            daemon("run", "--rm", "--name", f"slice{N}", "--cgroup-parent", "/hf.slice/deeper.slice", "--network", "none", "box:1", "/bin/true")
            daemon("exec", f"before{N}", "/bin/true")
            ended(w, f"after{N}", f"slice{N}")
            ran = w.wait_for(lambda l: l["type"] == "exec" and (l.get("container") or {}).get("name") == f"before{N}")
            assert ran[0]["process"]["session"] == "exec"
            for name in (f"before{N}", f"after{N}", f"slice{N}"):
                assert of(w, name, "container")[-1]["container"]["image"] == "box:1" and len(of(w, name, "exec")) == 1
            assert w.end() == (0, "")
        finally:
            w.stop()
    emptied("/hf.slice")


class UnifiedWatch(Watch):
    def __init__(self, binary, path, *args):
        (path / "unified.sh").write_text(UNIFIED)
        within = path / "watch-within"
        within.write_text(f'#!/bin/sh\nexec unshare -m sh {path}/unified.sh {binary} "$@"\n')
        within.chmod(0o755)
        super().__init__(within, path, *args)


@contextlib.contextmanager
def started_unified():
    with contextlib.ExitStack() as stack:
        script = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hf-v2-"))) / "unified.sh"
        script.write_text(UNIFIED)
        yield stack.enter_context(started("overlay2", before=("unshare", "-m", "sh", script)))


HIDDEN = """
mount --make-rprivate / && mkdir -p data exec && mount -t tmpfs data data && mount -t tmpfs exec exec && exec "$@"
"""


def test_daemon_is_asked_when_the_disk_says_nothing(watch, tmp_path):  # noqa: F811
    """A dockerd whose folders are in a mount namespace of its own: only its socket can tell."""
    script = tmp_path / "hidden.sh"
    script.write_text(HIDDEN)
    with started("overlay2", before=("unshare", "-m", "sh", script)) as daemon:
        daemon("import", "-", "box:1", input=mkimage.tar_of_folder(rootfs(tmp_path / "box")))
        daemon("run", "-d", "--name", f"before{N}", "--label", "team=shop", "--network", "none", "box:1", "/bin/sleep", "3600")
        w = watch("--json", "--no-rules")
        daemon("run", "-d", "--name", f"after{N}", "--network", "none", "box:1", "/bin/sleep", "3600")
        for name in (f"before{N}", f"after{N}"):
            told = w.wait_for(lambda l: l["type"] == "container" and l["container"]["name"] == name)[-1]
            assert told["container"]["image"] == "box:1" and told["container"]["runtime"] == "docker"
            assert told["facts"]["from.name"] == "docker-socket" and told["facts"]["from.image"] == "docker-socket" and told["facts"]["command"] == "/bin/sleep 3600"
        assert of(w, f"before{N}", "container")[-1]["container"]["labels"] == {"team": "shop"}
        daemon("exec", f"after{N}", "/bin/true")
        ran = w.wait_for(lambda l: l["type"] == "exec" and l["process"]["args"] == ["/bin/true"] and (l.get("container") or {}).get("name") == f"after{N}")
        assert ran[0]["process"]["session"] == "exec" and ran[0]["container"]["image"] == "box:1"
        assert w.end() == (0, "")


NESTED = r"""
busybox cp -r /box /run/box && /usr/sbin/runc --root /run/r run --bundle /bundle {id} && /bin/true outer
"""


@pytest.mark.parametrize("who", ["host", "container"])
def test_daemons_are_believed_on_the_host_only(watch, busybox, who):  # noqa: F811
    """What says that it is dockerd names a socket, which is asked of a container that nothing is known of: not when it runs in a container, where whoever is
    there could answer with any name."""
    with tempfile.TemporaryDirectory(prefix="hf-liar-") as folder, contextlib.ExitStack() as end:
        listener = end.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(f"{folder}/sock")
        listener.listen(4)
        listener.settimeout(5)
        script = f"printf '#!/bin/sh\\nread x\\n' >{{0}}/dockerd; chmod +x {{0}}/dockerd; exec {{0}}/dockerd -H unix://{folder}/sock"
        if who == "host":
            daemon = subprocess.Popen(["/bin/sh", "-c", script.format(folder)], stdin=subprocess.PIPE)
            end.callback(daemon.wait)
            end.callback(daemon.stdin.close)
        else:
            busybox("run", "-di", "--name", "liar" + N, "--network", "none", "box:1", "/bin/busybox", "sh", "-c", script.format("/tmp"))
            end.callback(busybox, "rm", "-f", "liar" + N)
        time.sleep(0.5)
        watch("--json")
        group = pathlib.Path("/sys/fs/cgroup/memory" if pathlib.Path("/sys/fs/cgroup/memory").exists() else "/sys/fs/cgroup") / "docker" / os.urandom(32).hex()
        group.mkdir(parents=True)
        end.callback(group.rmdir)
        try:
            with listener.accept()[0] as asked:
                assert who == "host" and group.name in asked.recv(4096).decode()
        except TimeoutError:
            assert who == "container"


def test_nested(watch, busybox, box, tmp_path):  # noqa: F811
    """runc in a container of docker's: two containers, each with its own programs."""
    inner = ID % 0xaaaa
    args = runc(tmp_path, inner, f"docker/{inner}", ["/bin/true", "inner"], "/run/box")
    busybox("import", "-", "nest:1", input=mkimage.tar_of_folder(box))
    w = watch("--json", "--no-rules")
    p = subprocess.run(busybox.command("run", "--rm", "--name", "outer", "--network", "none", "--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--security-opt", "seccomp=unconfined",
                                       "--security-opt", "apparmor=unconfined", "--tmpfs", "/run:exec,dev", "-v", "/usr:/usr:ro", "-v", f"{args[-2]}:/bundle:ro", "-v", f"{box}:/box:ro", "-v", "/sys/fs/cgroup:/sys/fs/cgroup",
                                       "nest:1", "/bin/sh", "-c", NESTED.format(id=inner)), env=busybox.env(), capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stderr
    ended(w, "outer")
    told = {l["container"]["id"]: l["container"] for l in w.lines() if l["type"] == "container"}
    assert inner in told
    by = {tuple(l["process"]["args"]): l["container"] for l in w.lines() if l["type"] == "exec" and l.get("container")}
    assert by[("/bin/true", "inner")]["id"] == inner and by[("/bin/true", "inner")]["name"] == inner[:12]
    assert by[("/bin/true", "outer")]["name"] == "outer" and by[("/bin/true", "outer")]["image"] == "nest:1"
    assert w.end() == (0, "")


def test_more_daemons_than_are_read(watch, tmp_path):  # noqa: F811
    """What a host has too much of is said, once, and forgotten with the daemons."""
    script = tmp_path / "dockerd"
    script.write_text("#!/bin/sh\nsleep 60 & trap 'kill $!' TERM\nwait\n")
    script.chmod(0o755)
    many = subprocess.Popen([script, *(f"--exec-root=/no/such/{i}" for i in range(200))], stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while pathlib.Path(f"/proc/{many.pid}/comm").read_text() != "dockerd\n" and time.monotonic() < until:
            time.sleep(0.02)
        w = watch("--json", "--no-rules", "--type", "status")
        told = w.wait_for(lambda l: "runtimes_left_out" in l.get("status", {}))
        assert int(told[0]["status"]["runtimes_left_out"]) >= 72 and "without names" in told[0]["status"]["error"]
        w.wait_for(lambda l: int(l.get("status", {}).get("uptime_s", 0)) >= 4)
        assert len([l for l in w.lines() if "runtimes_left_out" in l.get("status", {})]) == 1
        code, err = w.end()
        assert code == 0 and err.count("more daemons of containers") == 1
    finally:
        many.terminate()
        many.wait()
    w = watch("--json", "--no-rules", "--type", "status")
    w.wait_for(lambda l: int(l.get("status", {}).get("uptime_s", 0)) >= 2)
    assert not [l for l in w.lines() if "runtimes_left_out" in l.get("status", {})]
    assert w.end() == (0, "")
