# SPDX-License-Identifier: Apache-2.0
"""A pod made the way CRI-O's source says it makes one, by the parts CRI-O makes it with: the store of containers/storage (written by podman's copy of that library), conmon, runc, and a
bundle with CRI-O's annotations below a folder for what runs.  CRI-O itself is not run (docs/formats/containers.md says why): what only its daemon does is not shown here."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

from test_respond import Respond
from test_respond_runtimes import every_action
from test_runtimes import N, emptied, ended, of, rootfs
from test_watch import Watch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import mkimage  # noqa: E402

IMAGE = f"quay.example.org/shop/pg{N}:1"
POD_UID = "0f0e0d0c-1111-2222-3333-44445555%04x" % (os.getpid() & 0xffff)
NAME = f"pg{N}"
PARENT = f"/kubepods/burstable/pod{POD_UID}"
LOOP = ["/bin/sh", "-c", "echo evil > /tmp/evil; while :; do :; done"]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containers need root")


def group(path, pid=None):
    """The group in every hierarchy there is, as CRI-O's cgroupfs manager makes it; with a process put into it."""
    for mount in {line.split()[1] for line in open("/proc/mounts") if line.split()[2] in ("cgroup", "cgroup2")}:
        at = pathlib.Path(mount + path)
        at.mkdir(parents=True, exist_ok=True)
        for above in [*reversed(at.parents), at]:
            for what in ("cpuset.cpus", "cpuset.mems"):  # v1: empty until they are written, and then nothing can be put into it
                if (above / what).exists() and not (above / what).read_text().strip() and (above.parent / what).exists():
                    (above / what).write_text((above.parent / what).read_text())
        if pid:
            (at / "cgroup.procs").write_text(str(pid))


class Pod:
    def __init__(self, at):
        self.at, self.boxes = at, {}
        for name in ("exits", "sockets", "runc"):
            (at / name).mkdir()
        image = at / "i.tar"
        mkimage.write_image(image, [mkimage.tar_of_folder(rootfs(at / "rootfs"))], "oci-archive", tag="x", config={"Cmd": ["/bin/sleep", "3600"]})
        p = self.storage("load", "-i", image, check=False)
        if p.returncode:
            pytest.skip("containers/storage does not work here: " + p.stderr.strip()[-200:])
        self.storage("tag", self.storage("images", "-q", "--no-trunc").stdout.split()[0], IMAGE)
        self.record, = json.loads((at / "root/overlay-images/images.json").read_text())

    def storage(self, *args, check=True):
        p = subprocess.run(["podman", "--root", self.at / "root", "--runroot", self.at / "run", "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", *map(str, args)],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, cwd=self.at)
        assert not check or p.returncode == 0, (args, p.stderr)
        return p

    def bundle(self, box):
        return self.at / "run/overlay-containers" / box / "userdata"

    def conmon(self, *args, group_of=None):
        """Waits on a pipe until it is in its group, as conmon does for CRI-O; tells through another one."""
        told, tell = os.pipe()
        waits, go = os.pipe()
        command = ["conmon", *map(str, args), "-r", shutil.which("runc"), "--runtime-arg", f"--root={self.at / 'runc'}", "--socket-dir-path",
                   self.at / "sockets", "--log-level", "info"]
        p = subprocess.Popen(command, pass_fds=(tell, waits), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, "_OCI_SYNCPIPE": str(tell), "_OCI_STARTPIPE": str(waits)})
        os.close(tell)
        os.close(waits)
        if group_of:
            group(group_of, p.pid)
        os.write(go, b"\0")
        os.close(go)
        with os.fdopen(told) as pipe:
            line = pipe.readline()
            assert line, p.communicate(timeout=20)
        assert p.wait(60) in range(256)
        return json.loads(line)

    def create(self, name, program, asked, annotations=()):
        box = self.storage("create", "--network", "none", "--name", f"k8s_{name}_pod_shop_{POD_UID}_0", IMAGE).stdout.strip()
        merged = self.storage("mount", box).stdout.strip()
        labels = {"io.kubernetes.container.name": name, "io.kubernetes.pod.name": f"db{N}", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": POD_UID}
        own = {"Image": asked, "ImageName": IMAGE, "ImageRef": self.record["id"], "Name": f"k8s_{name}_pod_shop_{POD_UID}_0", "ContainerID": box, "ContainerType": "container",
               "Labels": json.dumps(labels), "MountPoint": merged}
        capabilities = ["CAP_KILL"]
        spec = {"ociVersion": "1.0.2", "hostname": "db", "root": {"path": merged},
                "process": {"user": {"uid": 0, "gid": 0}, "args": program, "env": ["PATH=/bin"], "cwd": "/", "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities}},
                "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
                "linux": {"cgroupsPath": f"{PARENT}/crio-{box}", "namespaces": [{"type": n} for n in ("pid", "mount", "ipc", "uts", "network")]},
                "annotations": {**dict(annotations), **{f"io.kubernetes.cri-o.{k}": v for k, v in own.items()}, "io.container.manager": "cri-o", **labels}}
        at = self.bundle(box)
        at.mkdir(parents=True, exist_ok=True)
        for folder in (at, self.at / "root/overlay-containers" / box / "userdata"):
            (folder / "config.json").write_text(json.dumps(spec))
        self.boxes[name] = box
        told = self.conmon("-b", at, "-c", box, "--exit-dir", self.at / "exits", "-l", self.at / f"{name}.log", "-n", own["Name"], "-P", at / "conmon-pidfile", "-p", at / "pidfile", "--persist-dir",
                           self.at / "root/overlay-containers" / box / "userdata", "-u", box, group_of=f"{PARENT}/crio-conmon-{box}")
        assert told["pid"] > 0, told
        return box, told["pid"]

    def start(self, name):
        subprocess.run(["runc", "--root", self.at / "runc", "start", self.boxes[name]], check=True, capture_output=True, timeout=60)

    def exec(self, name, args, group_of=None):
        """ExecSync."""
        config = json.loads((self.bundle(self.boxes[name]) / "config.json").read_text())["process"]
        spec = self.at / "process.json"
        spec.write_text(json.dumps({**config, "args": args}))
        return self.conmon("-c", self.boxes[name], "-n", name, "-p", self.at / "exec.pid", "-e", "-l", self.at / "exec.log", "--sync", "--exec-process-spec", spec,
                           group_of=group_of)["exit_code"]

    def end(self):
        for box in self.boxes.values():
            subprocess.run(["runc", "--root", self.at / "runc", "delete", "-f", box], capture_output=True)
            self.storage("umount", "-f", box, check=False)
        for file in self.at.glob("run/overlay-containers/*/userdata/conmon-pidfile"):
            for _ in range(100):  # it goes by itself when its container is gone
                if not os.path.exists(f"/proc/{file.read_text()}"):
                    break
                time.sleep(0.05)
        subprocess.run(["umount", "-R", self.at / "root/overlay"], capture_output=True)
        shutil.rmtree(self.at, ignore_errors=True)
        emptied(f"/kubepods/burstable/pod{POD_UID}")


@pytest.fixture
def pod():
    for program in ("podman", "conmon", "runc"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    at = pathlib.Path(tempfile.mkdtemp(prefix="hf-cr-"))  # short: sockets
    it = Pod.__new__(Pod)
    it.at, it.boxes = at, {}
    try:
        it.__init__(at)
        yield it
    finally:
        it.end()


# What a pod's author may annotate it with, which CRI-O puts into the bundle.
BORROWED = {"io.kubernetes.cri.image-name": "trusted:1", "io.kubernetes.cri.sandbox-namespace": "kube-system", "nerdctl/name": "etcd", "io.podman.annotations.container.name": "etcd",
            "org.opencontainers.image.ref.name": "trusted:1"}


def test_known_from_the_first_program(binary, pod, tmp_path):
    for number in "12":
        (tmp_path / number).mkdir()
    w = Watch(binary, tmp_path / "1", "--json", "--no-rules")
    late = None
    try:
        sandbox = f"{os.getpid():064x}"
        group(f"{PARENT}/crio-{sandbox}")  # of a pod without a process of its own: an empty one
        box, _ = pod.create(NAME, ["/bin/sleep", "3600"], pod.record["id"], BORROWED)  # as kubelet asks: by id
        pod.start(NAME)
        assert pod.exec(NAME, ["/bin/sh", "-c", "true; exit 4"]) == 4
        late = Watch(binary, tmp_path / "2", "--json", "--no-rules")
        assert pod.exec(NAME, ["/bin/true"]) == 0
        for which in (w, late):
            which.wait_for(lambda l: l["type"] == "exec" and l["process"]["args"] == ["/bin/true"] and l.get("container"))
        subprocess.run(["runc", "--root", pod.at / "runc", "kill", box, "KILL"], check=True, capture_output=True)
        subprocess.run(["runc", "--root", pod.at / "runc", "delete", "-f", box], capture_output=True)
        for which in (w, late):
            ended(which, NAME)
            known = [l for l in which.lines() if (l.get("container") or {}).get("id") == box]
            for line in known:
                c = line["container"]
                assert (c["name"], c["runtime"], c["image"], c["image_digest"]) == (NAME, "cri-o", IMAGE, pod.record["digest"]), (line["type"], c)
                assert c["pod"] == {"namespace": "shop", "name": f"db{N}", "container": NAME} and "etcd" not in json.dumps(c)
            facts = [l["facts"] for l in known if l["type"] == "container"][-1]
            assert facts["image_id"] == pod.record["id"] and facts["pod_uid"] == POD_UID and facts["from.name"] == "bundle" and facts["from.image"] == "bundle" and "kind" not in facts
            ran = [(l["process"]["args"][0], l["process"].get("session")) for l in of(which, NAME, "exec")]
            assert ran[-1] == ("/bin/true", "exec") and all("runtime" in l["process"] for l in known if l["type"] == "exec" and "conmon" in l["process"]["exe"])
        ran = [(l["process"]["args"][0], l["process"].get("session")) for l in of(w, NAME, "exec")]
        assert ran == [("/bin/sleep", None), ("/bin/sh", "exec"), ("/bin/true", "exec")]
        empty = [l["container"] for l in w.lines() if l["type"] == "container" and l["container"]["id"] == sandbox]
        assert empty and empty[0]["runtime"] == "cri-o" and not [l for l in w.lines() if (l.get("container") or {}).get("id") == sandbox and l["type"] == "exec"]
        assert w.end() == (0, "") and late.end() == (0, "")
    finally:
        w.stop()
        if late:
            late.stop()


def test_responses_and_seal(binary, run, pod, tmp_path):
    box, pid = pod.create(NAME, LOOP, IMAGE)
    pod.start(NAME)
    env = {"HOLDFAST_PODMAN_ROOT": str(pod.at / "root")}
    state = ("--state", tmp_path / "state")
    assert run("scan", "--no-vulnerabilities", "--format", "json", f"podman:{IMAGE}", env=env)[0] == 0
    assert run("seal", "--no-cache", *state, f"podman:{IMAGE}", env=env)[0] == 0
    for _ in range(100):
        if pathlib.Path(f"/proc/{pid}/root/tmp/evil").exists():
            break
        time.sleep(0.05)
    differences = lambda: [line for line in run("seal", "verify", *state, f"container:{box[:16]}", env=env)[1].splitlines() if not line[:1].isdigit()]  # noqa: E731
    assert differences() == ["added:     /tmp/evil"]
    (pathlib.Path(f"/proc/{pid}/root") / "bin/busybox").chmod(0o4755)
    assert differences() == ["modified:  /bin/busybox (mode 0755 -> 4755)", "added:     /tmp/evil"]
    container = every_action(Respond(binary, tmp_path / "state"), box[:16], pid, tmp_path / "e.tar")
    assert (container["name"], container["image"], container["image_digest"], container["runtime"], container["pod_namespace"]) == (NAME, IMAGE, pod.record["digest"], "cri-o", "shop")


def test_policy_by_image_and_namespace(binary, pod, tmp_path):
    """Whose author borrows other names is not let off."""
    (tmp_path / "p.yaml").write_text(f'- policy: named\n  match: {{image: "{IMAGE}", namespace: shop}}\n  mode: enforce\n  disarm: {{blocks_per_minute: 0}}\n  only_sealed: true\n')
    w = Watch(binary, tmp_path, "--json", "--no-rules", "--type", "verdict,status", "--policy", tmp_path / "p.yaml", "--state", tmp_path / "state")
    try:
        box, _ = pod.create(NAME, ["/bin/sleep", "3600"], pod.record["id"], BORROWED)
        pod.start(NAME)
        assert pod.exec(NAME, ["/bin/true"]) == 0
        assert pod.exec(NAME, ["/bin/true"], f"{PARENT}/crio-{box}") == 0  # monitor_exec_cgroup = "container": conmon and runc run in the container's group, and are not of its image
        assert pod.exec(NAME, ["/bin/sh", "-c", "cat /bin/busybox > /tmp/true; echo >> /tmp/true; /bin/busybox chmod 755 /tmp/true; /tmp/true && exit 7; exit 8"]) == 8
        v = w.wait_for(lambda l: l["type"] == "verdict" and l["verdict"].get("path") == "/tmp/true" and l["verdict"].get("action") in ("denied", "killed"))[0]["verdict"]
        assert v["policy"] == "named" and v["clause"] == "only_sealed"
        assert w.end()[0] in (0, 4)
    finally:
        w.stop()
