# SPDX-License-Identifier: Apache-2.0
"""What this machine's kernel may refuse, shown on Debian's 6.1 kernel in a virtual machine: BPF-LSM, fentry and kprobe hooks, podman.
HF_VM_KERNEL=5.10 or 6.12: the same on that one (`make test-kernels`, before a release).

Machines side by side (tools of ../shared: vm-run, whose guest sees this machine's files): one with a dockerd and a `watch` for each kind of
hook (tests/vm/watch.sh), one with the tests of the network programs (tests/vm/net_test.py), one with podman (tests/vm/podman.sh)."""
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VM_RUN = pathlib.Path(os.environ.get("HF_VM_RUN", ROOT.parent / "shared" / "tools" / "vm-run"))
KERNEL = os.environ.get("HF_VM_KERNEL", "6.1")
KINDS = ("lsm", "fentry", "kprobe")
SECONDS = 400  # of one machine; more than enough, unless others use the processors, too
# What the verifier of 5.10 refuses: arguments that are structures by value (path_chown), and two of the network's; the rung below serves instead.
REFUSED = {"file-owner", "tcp"} if KERNEL.startswith("5.10") else set()

OLD = KERNEL.startswith("5.10")
NEWER = ("this kernel has no Landlock", "for tracepoint/sys_enter_userfaultfd")  # Landlock came with 5.13; userfaultfd asks for no capability before 5.11

# What is done at once after something else is so on purpose: a folder made just now is watched from its first file on.
FILES = """
busybox sleep 2
cat /etc/shadow
echo x >>/etc/passwd
mkdir /root/.ssh; echo key >/root/.ssh/authorized_keys
ln /etc/shadow /tmp/hard; cat /tmp/hard
ln -s /etc/shadow /tmp/soft; cat /tmp/soft
mv /bin/old /bin/new; rm /bin/new
chmod u+s /bin/tool
chown 7 /bin/tool
"""
# Path, operation, what else is told of it; by program
TOLD = {
    "read by its name": ("/etc/shadow", "open", {}),
    "append": ("/etc/passwd", "write", {}),
    "folder made": ("/root/.ssh", "mkdir", {}),
    "key made in it at once": ("/root/.ssh/authorized_keys", "create", {}),
    "key written": ("/root/.ssh/authorized_keys", "write", {}),
    "hard link": ("/etc/shadow", "link", {"target": "/tmp/hard"}),
    "read by a hard link": ("/tmp/hard", "open", {}),
    "symbolic link": ("/tmp/soft", "symlink", {"target": "/etc/shadow"}),
    "rename": ("/bin/old", "rename", {"target": "/bin/new"}),
    "unlink": ("/bin/new", "unlink", {}),
    "set-uid bit": ("/bin/tool", "chmod", {"new_mode": 0o4755}),
    "owner": ("/bin/tool", "chown", {}),
}
PRIVILEGED = """
actor trace-child
actor mount none /mnt tmpfs
insmod /junk.ko
actor setns
actor unshare
actor mknod
"""

# Ways to executable memory (tests/tools/memory.c), with what is told of each; and requests to devices
MEMORY = {
    "write-and-execute": ("mmap", {"anonymous", "write_and_execute"}, {}),
    "write-then-execute": ("mprotect", {"anonymous", "written"}, {"before": ["read", "write"]}),
    "stack": ("mprotect", {"anonymous", "written", "stack", "write_and_execute"}, {}),
    "heap": ("mprotect", {"anonymous", "written", "heap"}, {}),
    "memfd": ("mmap", set(), {"path": "/memfd:x"}),
    "unlinked": ("mmap", set(), {"path": "/tmp/gone"}),
    "shared": ("shmat", {"write_and_execute"}, {}),
    "personality": ("mmap", {"anonymous", "write_and_execute"}, {}),
    "compat": ("mprotect", {"anonymous", "written"}, {}),
    "file": ("mmap", set(), {"path": "/tmp/x.so"}),
}
ARGUMENTS = {"unlinked": "/tmp/gone", "file": "/tmp/x.so"}
SCRIPT = "busybox cp /bin/memory /tmp/x.so\n" + "\n".join(f"memory {way} {ARGUMENTS.get(way, '')}" for way in MEMORY)
SCRIPT += "\nmemory ordinary\nmemory file /bin/memory\nmemory tiocsti own\nmemory grab\nmemory traceme\nmemory winsize\n"
RULES = """
- rule: What is attached on demand
  desc: so that it is attached
  condition: container.name = nobody and (evt.type in (mmap, mprotect, ioctl, userfaultfd) or (evt.type = ptrace and evt.arg.request = PTRACE_TRACEME))
  output: none
  priority: INFO
"""


def prepare():
    """Skips with the reason where there can be no machine."""
    if os.geteuid() != 0:
        pytest.skip("loading the sensor's programs and dockerd need root")
    if not VM_RUN.exists():
        pytest.skip(f"{VM_RUN} is not on this machine")
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("qemu-system-x86 is not installed")
    p = subprocess.run([VM_RUN, "--kernel", KERNEL, "--fetch"], capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL)
    if p.returncode != 0:
        pytest.skip(f"Debian's kernel {KERNEL} cannot be had: {p.stderr.strip()[-200:]}")


def machine(*command, options=(), env=None, seconds=SECONDS):
    return subprocess.Popen([VM_RUN, "--kernel", KERNEL, "--timeout", str(seconds), *map(str, options), "--", *map(str, command)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **(env or {})})


def image(folder):
    """busybox, actor and files to be watched."""
    actor, memory = folder / "actor", folder / "memory"
    for tool in (actor, memory):
        p = subprocess.run(["gcc", "-O1", "-static", "-D_GNU_SOURCE", "-o", tool, ROOT / f"tests/tools/{tool.name}.c"], capture_output=True, text=True)
        assert p.returncode == 0, p.stderr
    with tarfile.open(folder / "image.tar", "w") as tar:
        def add(name, data=b"", mode=0o644, **members):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            for key, value in members.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
        for name in ("bin", "etc", "root", "tmp", "mnt"):
            add(name, mode=0o1777 if name == "tmp" else 0o755, type=tarfile.DIRTYPE)
        add("bin/busybox", pathlib.Path("/bin/busybox").read_bytes(), 0o755)
        for name in ("sh", "cat", "mkdir", "ln", "mv", "rm", "chmod", "chown", "insmod"):
            add(f"bin/{name}", mode=0o755, type=tarfile.LNKTYPE, linkname="bin/busybox")
        add("bin/actor", actor.read_bytes(), 0o755)
        add("bin/memory", memory.read_bytes(), 0o755)
        add("bin/old", b"old", 0o755)
        add("bin/tool", b"tool", 0o755)
        add("etc/shadow", b"root:*:1::::::\n", 0o640)
        add("etc/passwd", b"root:x:0:0::/root:/bin/sh\n")
        add("junk.ko", b"not a module" * 100)


class Machines:
    def __init__(self, binary, folder, watch, net, podman):
        self.binary, self.folder, self.watch, self.net, self.podman, self.said = binary, folder, watch, net, podman, {}

    def wait(self, which):
        if which not in self.said:
            p = getattr(self, which)
            self.said[which] = p.communicate(timeout=SECONDS + 30)[0]
        return getattr(self, which).returncode, self.said[which]

    def json(self, name):
        code, said = self.wait("watch")
        path = self.folder / name
        assert path.exists(), f"exit {code}: {said[-3000:]}"
        text = path.read_text()
        assert text, (self.folder / (path.stem + ".err")).read_text() + said[-2000:]
        return text

    def features(self, kind):
        return json.loads(self.json(f"features-{kind}.json"))

    def events(self, kind):
        return [json.loads(line) for line in self.json(f"{kind}.json").splitlines()]

    def of(self, kind, container, type_):
        return [e for e in self.events(kind) if e["type"] == type_ and e.get("container", {}).get("name") == container]

    def close(self):
        for p in (self.watch, self.net, self.podman):
            if p and p.poll() is None:
                p.kill()  # ends the machine, too
                p.wait()


@pytest.fixture(scope="module")
def machines(binary, tmp_path_factory):
    prepare()
    folder = tmp_path_factory.mktemp("vm")
    image(folder)
    (folder / "files.sh").write_text(FILES)
    (folder / "privileged.sh").write_text(PRIVILEGED)
    (folder / "memory.sh").write_text(SCRIPT)
    (folder / "rules.yaml").write_text(RULES)
    watch = machine(ROOT / "tests/vm/watch.sh", binary, folder, options=["--share", folder, "--append", "apparmor=0", "--memory", "1536"])
    dump = ROOT / "build/tests/net-dump"
    net = machine("/usr/bin/python3", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", ROOT / "tests/vm/net_test.py") if dump.exists() else None
    podman = None
    if all(map(shutil.which, ("podman", "crun", "runc"))):
        podman = machine(ROOT / "tests/vm/podman.sh", binary, folder, options=["--share", folder, "--append", "apparmor=0", "--memory", "1024"])
    m = Machines(binary, folder, watch, net, podman)
    yield m
    m.close()


def assert_all_loaded(told):
    bad = [c for c in told.values() if c["name"] not in REFUSED and ("not loaded" in json.dumps(c) or "not attached" in json.dumps(c))]
    assert not bad, bad


def hooks(features):
    return {c["name"]: c for c in features}


def test_lsm_hooks_serve(machines):
    told = hooks(machines.features("lsm"))
    for name, hook in (("ptrace", "ptrace_access_check"), ("traceme", "ptrace_traceme"), ("mount", "sb_mount"), ("move-mount", "move_mount"), ("module", "kernel_read_file"),
                       ("module-memory", "kernel_load_data"), ("bpf", "bpf"), ("raw-socket", "socket_create"), ("file-open", "file_open"), ("file-create", "path_mknod"),
                       ("file-unlink", "path_unlink"), ("file-rename", "path_rename"), ("file-link", "path_link"), ("file-symlink", "path_symlink"), ("file-mkdir", "path_mkdir"),
                       ("file-rmdir", "path_rmdir"), ("file-mode", "path_chmod"), ("file-owner", "path_chown"), ("unix-connect", "unix_stream_connect"),
                       ("namespaces", "capable"), ("privileged-calls", "capable"), ("memory", "file_mprotect"), ("memory-map", "mmap_file"), ("device-requests", "file_ioctl")):
        assert name in REFUSED or told[name]["hook"] == f"lsm/{hook}", told[name]
    assert_all_loaded(told)
    assert all(told[name]["hook"] for name in ("exec", "fork", "exit", "container-start", "container-end"))


@pytest.mark.parametrize("kind", KINDS[1:])
def test_lower_hooks_serve(machines, kind):
    told = hooks(machines.features(kind))
    for name, hook in (("file-open", "file_open"), ("file-rename", "path_rename"), ("file-mode", "path_chmod"), ("ptrace", "ptrace_access_check"), ("mount", "sb_mount"), ("module", "kernel_read_file"), ("namespaces", "capable"), ("memory", "file_mprotect"),
                       ("memory-map", "mmap_file"), ("device-requests", "file_ioctl")):
        assert told[name]["hook"] == f"{kind}/security_{hook}", told[name]
    assert_all_loaded(told)


def test_lsm_that_does_not_fire(machines):
    """Without "bpf" among the kernel's security modules its programs attach and never fire: the denial self-test tells, fentry serves."""
    p = machine(machines.binary, "sensor", "features", "--json", options=["--append", "lsm=lockdown,yama"])
    told = hooks(json.loads(p.communicate(timeout=SECONDS + 30)[0]))
    for name, hook in (("file-open", "file_open"), ("ptrace", "ptrace_access_check"), ("mount", "sb_mount")):
        assert told[name]["hook"] == f"fentry/security_{hook}"
        assert f"lsm/{hook}" in json.dumps(told[name]) and "does not fire" in json.dumps(told[name])


@pytest.mark.parametrize("what", TOLD)
@pytest.mark.parametrize("kind", KINDS)
def test_file_is_told(machines, kind, what):
    path, op, more = TOLD[what]
    all_of_it = machines.of(kind, "files", "file")
    found = [e for e in all_of_it if e["file"]["path"] == path and e["file"]["operation"] == op]
    assert found, [(e["file"]["operation"], e["file"]["path"], e["file"].get("target")) for e in all_of_it]
    for e in found:
        assert e["file"]["source"] == ("kprobe" if op == "chown" and "file-owner" in REFUSED else kind)
        assert e["container"]["image"] == "box:1" and e["process"]["pid"] > 0 and e["process"]["exe"].startswith("/bin/")
    assert more.items() <= {**found[0]["file"]}.items(), found[0]["file"]


@pytest.mark.parametrize("kind", KINDS)
def test_read_by_a_symbolic_link(machines, kind):
    """The link's target is what is told: once read by its name, once by the link."""
    reads = [e for e in machines.of(kind, "files", "file") if (e["file"]["path"], e["file"]["operation"]) == ("/etc/shadow", "open")]
    assert any("/tmp/soft" in e["process"].get("args", []) for e in reads), [e["process"].get("args") for e in reads]


@pytest.mark.parametrize("kind", KINDS)
def test_privileged_acts(machines, kind):
    for type_ in ("ptrace", "mount", "module"):
        assert machines.of(kind, "privileged", type_), (type_, {e["type"] for e in machines.events(kind)}, (machines.folder / "run-privileged.log").read_text())
    mounts = [e["mount"] for e in machines.of(kind, "privileged", "mount")]
    assert any(m.get("target") == "/mnt" for m in mounts), mounts
    assert any("/bin/actor" == e["process"]["exe"] for e in machines.of(kind, "privileged", "ptrace"))
    entered = [e["namespace"]["operation"] for e in machines.of(kind, "privileged", "namespace") if e["process"]["exe"] == "/bin/actor"]
    assert {"setns", "unshare"} <= set(entered), entered
    asked = [e["capability"] for e in machines.of(kind, "privileged", "capability") if e["process"].get("args", [""])[-1] == "mknod"]
    assert any(c["capability"] == "CAP_MKNOD" and c["granted"] for c in asked), machines.of(kind, "privileged", "capability")
    assert any("/junk.ko" in json.dumps(e["module"]) for e in machines.of(kind, "privileged", "module")), machines.of(kind, "privileged", "module")


@pytest.mark.parametrize("way", MEMORY)
@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_told(machines, kind, way):
    operation, flags, more = MEMORY[way]
    events = [e for e in machines.of(kind, "memory", "memory") if e["process"].get("args", [""])[1:2] == [way]]
    assert len(events) == 1, [(e["process"].get("args"), e["memory"]) for e in machines.of(kind, "memory", "memory")]
    m = events[0]["memory"]
    assert m["operation"] == operation and flags <= set(m["flags"]) and more.items() <= m.items() and m["source"] == kind, m


@pytest.mark.parametrize("kind", KINDS)
def test_requests_are_told(machines, kind):
    told = [(e["file"]["request"], e["process"]["args"][1], e["file"]["source"]) for e in machines.of(kind, "memory", "file") if e["file"]["operation"] == "ioctl"]
    assert told == [("TIOCSTI", "tiocsti", kind), ("EVIOCGRAB", "grab", kind)]
    traced = [e["ptrace"]["request"] for e in machines.of(kind, "memory", "ptrace")]
    assert traced == ["traceme"]
    # the image's own, mapped as it is; memory that only becomes readable; the size of a terminal
    assert not [e for e in machines.of(kind, "memory", "memory") if "ordinary" in e["process"]["args"] or "/bin/memory" in e["process"]["args"][2:]]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_lost_and_a_clean_end(machines, kind):
    assert not [e for e in machines.events(kind) if e["type"] == "drop"]
    said = (machines.folder / f"{kind}.err").read_text().splitlines()
    assert [line for line in said if not (OLD and any(word in line for word in NEWER))] == []


@pytest.fixture(scope="module")
def podman(machines):
    if not machines.podman:
        pytest.skip("podman, crun and runc are not installed")
    machines.wait("podman")
    lines = machines.folder / "podman.json"
    assert lines.exists() and lines.read_text(), (machines.folder / "podman.log").read_text()
    return [json.loads(line) for line in lines.read_text().splitlines()]


def of(lines, type_, name):
    return [e for e in lines if e["type"] == type_ and (e.get("container") or {}).get("name") == name]


def test_podman_before_the_sensor(podman):
    """Name, image, digest and label of what ran already, from the disk; crun's exec is a session."""
    told = of(podman, "container", "before")[-1]
    assert told["container"]["image"] == "localhost/box:1" and told["container"]["runtime"] == "podman" and told["container"]["labels"] == {"team": "shop"}
    assert told["facts"]["image_digest"].startswith("sha256:") and told["facts"]["image_digest"] != "sha256:" + told["facts"]["image_id"] and int(told["facts"]["init_pid"]) > 1
    ran = [(e["process"]["args"][:2], e["process"].get("session")) for e in of(podman, "exec", "before") if "runtime" not in e["process"]]
    assert ran == [(["/bin/sh", "-c"], "exec")]
    assert 5 in [e["exit"]["code"] for e in of(podman, "exit", "before")]


def test_podman_from_the_first_program(podman):
    lines = [e for e in podman if (e.get("container") or {}).get("name") == "after"]
    assert lines[0]["type"] == "container" and lines[0]["facts"]["from.name"] == "containers-storage"
    assert all(e["container"]["image"] == "localhost/box:1" for e in lines)
    assert [e["process"]["args"][0] for e in of(podman, "exec", "after") if "runtime" not in e["process"]] == ["/bin/sh"]
    assert 6 in [e["exit"]["code"] for e in of(podman, "exit", "after")]
    assert all(e["process"].get("runtime") for e in of(podman, "mount", "after"))


def test_pod_of_podman(podman):
    """The container that holds a pod's namespaces; the pod's own group is none."""
    pods = [e for e in podman if e["type"] == "container" and e["container"].get("pod", {}).get("name") == "shop"]
    assert pods and pods[-1]["facts"]["kind"] == "sandbox" and pods[-1]["container"]["image"] == "localhost/box:1"
    assert all(e["container"].get("image") for e in podman if e["type"] == "container")


def test_podman_from_its_store(machines, podman):
    """The guard's seal of an image whose layers podman mounts by relative names, and a scan of it by name."""
    def told(name):
        text = (machines.folder / name).read_text()
        assert text, [(machines.folder / p).read_text() for p in ("verify.err", "scan.err", "podman.log")]
        return json.loads(text)
    seal, = told("seals.json")["seals"]
    image = told("scan.json")["image"]
    assert seal["by_watch"] and seal["config"] == image["config"] and seal["manifest"] == image["digest"] == of(podman, "container", "before")[-1]["facts"]["image_digest"]
    assert told("verify.json")["differences"] == []


def test_network_programs(machines):
    if not machines.net:
        pytest.skip("build/tests/net-dump is not built: ninja -C build tests/net-dump")
    code, said = machines.wait("net")
    print(said[-2000:])
    assert code == 0 and " passed" in said, said[-4000:]
