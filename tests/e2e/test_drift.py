# SPDX-License-Identifier: Apache-2.0
"""What runs in containers, held against the seals of their images: real containers of a real dockerd."""
import hashlib
import io
import json
import os
import pathlib
import signal
import subprocess
import tarfile
import time

import pytest

from test_docker import overlay  # noqa: F401 (a fixture)
from test_watch import watch  # noqa: F401 (a fixture)

BUSYBOX = pathlib.Path("/bin/busybox").read_bytes()
CHANGED = BUSYBOX[:-1] + bytes([BUSYBOX[-1] ^ 1])
NAMES = ("sh", "ls", "cp", "mv", "ln", "dd", "rm", "cat", "touch", "chmod", "sleep", "true", "mkdir", "usleep", "printf")
FLIP = "printf '\\{byte:03o}' | /usr/bin/dd of={path} bs=1 seek={at} conv=notrunc 2>/dev/null"
CHANGED_RULE = "Changed program of the image ran"
DPKG_STATUS = b"Package: busybox\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.35.0-4\nDescription: x\n\n"


def sha256(b):
    return hashlib.sha256(b).hexdigest()


def flip(path):
    return FLIP.format(byte=CHANGED[-1], path=path, at=len(BUSYBOX) - 1)


@pytest.fixture(scope="module")
def image(overlay, binary, tmp_path_factory):  # noqa: F811
    """Busybox under several names in /usr/bin (each a file of its own), owned by a package; /bin is a link."""
    if "--no-guard" not in subprocess.run([binary, "watch", "--help"], capture_output=True, text=True).stdout:
        pytest.skip("built without the guard")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        def add(name, data=None, mode=0o755):
            info = tarfile.TarInfo(name)
            info.mode = mode
            if data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data) if data is not None else None)
        for name in ("usr", "usr/bin", "etc", "root", "data", "var", "var/lib", "var/lib/dpkg", "var/lib/dpkg/info"):
            add(name)
        add("tmp", mode=0o1777)
        for name in ("busybox", *NAMES):
            add(f"usr/bin/{name}", BUSYBOX)
        add("usr/bin/dpkg", BUSYBOX)
        add("usr/bin/hello", b"#!/bin/sh\necho hello\n")
        memory = tmp_path_factory.mktemp("memory") / "memory"
        subprocess.run([os.environ.get("CC", "gcc").split()[0], "-static", "-O1", "-o", memory, pathlib.Path(__file__).parents[1] / "tools/memory.c"], check=True)
        add("usr/bin/memory", memory.read_bytes())
        add("usr/lib", None)
        add("usr/lib/own.so", BUSYBOX)
        add("var/lib/dpkg/status", DPKG_STATUS, 0o644)
        add("var/lib/dpkg/info/busybox.list", "".join(f"/usr/bin/{n}\n" for n in ("busybox", *NAMES)).encode(), 0o644)
        add("etc/os-release", b"ID=debian\nVERSION_ID=12\n", 0o644)
        link = tarfile.TarInfo("bin")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/bin"
        tar.addfile(link)
    overlay("import", "-", "drift:1", input=out.getvalue())
    return overlay


@pytest.fixture
def guarded(watch, image, tmp_path):  # noqa: F811
    """Watch with a state of its own, and containers whose verdicts are told."""
    class Guarded:
        state = tmp_path / "state"
        names = set()

        def start(self, *args, state=None):
            self.state = state or self.state
            self.state.mkdir(exist_ok=True)
            self.w = watch("--json", "--state", self.state, *args)
            return self.w

        def container(self, name, *args, command=("/bin/sleep", "600")):
            self.names.add(name)
            image("run", "-d", "--name", name, "--network", "none", *args, "drift:1", *command)

        def sh(self, name, script):
            p = subprocess.run(image.command("exec", name, "/bin/sh", "-c", script), env=image.env(), capture_output=True, text=True)
            return p.stdout

        def verdicts(self, name):
            return [l for l in self.w.lines() if l["type"] == "verdict" and l.get("container", {}).get("name") == name]

        def wait(self, name, path, use="exec", seconds=60):
            return self.w.wait_for(lambda l: l["type"] == "verdict" and l.get("container", {}).get("name") == name and l["verdict"]["path"] == path
                                   and l["verdict"]["use"] == use, seconds)[0]

        def sealed(self, name):
            """Waits until the image of this container has a seal (other containers of this machine are judged too)."""
            digest = image.text("inspect", "--format", "{{.Image}}", name)
            seal = self.state / "seals" / (digest.replace(":", "-") + ".seal")
            end = time.monotonic() + 20
            while time.monotonic() < end:
                if seal.exists():
                    assert seal.stat().st_mode & 0o777 == 0o400  # what `seal prune` takes for watch's own work
                    return seal
                time.sleep(0.02)
            raise AssertionError("no seal: " + str([l["status"]["guard_error"] for l in self.w.lines() if "guard_error" in l.get("status", {})]))

        def counter(self, name):
            return max([int(l["status"][name]) for l in self.w.lines() if name in l.get("status", {})], default=0)

        def alerts(self, name):
            return [l["rule"] for l in self.w.lines() if l["type"] == "alert" and l.get("container", {}).get("name") == name]

    g = Guarded()
    g.image = image
    yield g
    for name in g.names:
        subprocess.run(image.command("rm", "-f", name), env=image.env(), capture_output=True)


def test_changed_byte_of_a_program_is_named(guarded):
    guarded.start()
    guarded.container("flip")
    guarded.sealed("flip")
    guarded.sh("flip", flip("/bin/ls") + "; /bin/ls /")
    v = guarded.wait("flip", "/usr/bin/ls")["verdict"]
    assert (v["result"], v["action"], v["size"]) == ("changed", "none", len(BUSYBOX))
    assert v["sha256"] == sha256(CHANGED) and v["sealed_sha256"] == sha256(BUSYBOX)
    assert v["package"].startswith("busybox")
    assert v["writer"]["exe"] == "/usr/bin/dd" and "of=/bin/ls" in v["writer"]["args"]
    guarded.w.wait_for(lambda l: l["type"] == "alert" and l["rule"] == CHANGED_RULE)
    alert = [l for l in guarded.w.lines() if l["type"] == "alert" and l["rule"] == CHANGED_RULE][0]
    assert alert["severity"] == "critical" and sha256(CHANGED) in alert["summary"] and sha256(BUSYBOX) in alert["summary"] and "of=/bin/ls" in alert["summary"]
    assert [r for r in guarded.alerts("flip") if "ran" in r] == [CHANGED_RULE]


def test_a_program_that_was_replaced_is_one_story(guarded):
    """Removed and made anew it lies where only what came from outside does; what its path was for the image the verdict knows."""
    outside = "Program from outside the image ran"
    guarded.start()
    guarded.container("anew")
    guarded.sealed("anew")
    guarded.w.wait_for(lambda l: l["type"] == "status" and l["status"].get("guard") == "running")
    guarded.sh("anew", "printf x >/tmp/x; rm /usr/bin/mkdir; cat /bin/busybox /tmp/x >/usr/bin/mkdir; chmod 755 /usr/bin/mkdir; /usr/bin/mkdir /y")
    guarded.w.wait_for(lambda l: l["type"] == "alert" and l["rule"] == CHANGED_RULE)
    assert [l["verdict"]["result"] for l in guarded.verdicts("anew")] == ["changed"]
    time.sleep(0.5)
    assert [r for r in guarded.alerts("anew") if "ran" in r] == [CHANGED_RULE]
    guarded.sh("anew", "/usr/bin/busybox mkdir /opt; cp /usr/bin/mkdir /opt/mkdir; /opt/mkdir /z")  # one that the image does not have: that rule has not spoken yet
    guarded.w.wait_for(lambda l: l["type"] == "alert" and l["rule"] == outside)
    assert [r for r in guarded.alerts("anew") if "ran" in r] == [CHANGED_RULE, outside]
    log = [json.loads(l) for l in (guarded.state / "alerts.0.ndjson").read_text().splitlines()]
    assert [l["rule"] for l in log if "ran" in l["rule"] and l["container"]["name"] == "anew"] == [CHANGED_RULE, outside]


def test_sealed_programs_and_copy_up_are_silent(guarded):
    guarded.start()
    guarded.container("quiet")
    guarded.sealed("quiet")
    guarded.sh("quiet", "touch /bin/ls; chmod 700 /bin/cat; chmod u+x /bin/hello; /bin/ls /; /bin/cat /etc/os-release; /bin/hello; cp -p /bin/true /tmp/t; mv /tmp/t /bin/true; /bin/true")
    guarded.sh("quiet", flip("/bin/mkdir") + "; /bin/mkdir /x")  # behind which the others must have come
    guarded.wait("quiet", "/usr/bin/mkdir")
    assert [v["verdict"]["path"] for v in guarded.verdicts("quiet")] == ["/usr/bin/mkdir"]


def test_dropped_moved_replaced_and_gone(guarded):
    guarded.start()
    guarded.container("drop", "--tmpfs", "/dev/shm:exec")
    guarded.sealed("drop")
    miner = BUSYBOX + b"stratum"
    guarded.sh("drop", "printf stratum > /tmp/tail; cat /bin/busybox /tmp/tail > /tmp/miner; chmod +x /tmp/miner; /tmp/miner true; "
               "cp /bin/busybox /tmp/moved; /tmp/moved true; "
               "cp /tmp/miner /usr/bin/.new; mv /usr/bin/.new /usr/bin/usleep; /usr/bin/busybox true; /usr/bin/usleep 1; "
               "cp /tmp/miner /tmp/sleep; /tmp/sleep 1 & sleep 0.1; rm /tmp/sleep; wait; "
               "cp /tmp/miner /dev/shm/m; /dev/shm/m true; ln /tmp/miner /usr/bin/second; /usr/bin/second true")
    dropped = guarded.wait("drop", "/tmp/miner")["verdict"]
    assert dropped["result"] == "foreign" and dropped["sha256"] == sha256(miner) and "sealed_sha256" not in dropped
    moved = guarded.wait("drop", "/tmp/moved")["verdict"]
    assert moved["result"] == "moved" and moved["sha256"] == sha256(BUSYBOX) and moved["sealed_path"].startswith("/usr/bin/")
    replaced = guarded.wait("drop", "/usr/bin/usleep")["verdict"]
    assert replaced["result"] == "changed" and replaced["sha256"] == sha256(miner) and replaced["sealed_sha256"] == sha256(BUSYBOX)
    gone = guarded.wait("drop", "/tmp/sleep")["verdict"]
    assert gone["result"] == "foreign" and gone["sha256"] == sha256(miner)
    volume = guarded.wait("drop", "/dev/shm/m")["verdict"]
    assert volume["result"] == "volume" and volume["sha256"] == sha256(miner)
    assert guarded.wait("drop", "/usr/bin/second")["verdict"]["result"] == "foreign"


def test_script_changed(guarded):
    guarded.start()
    guarded.container("script")
    guarded.sealed("script")
    guarded.sh("script", "printf '#!/bin/sh\\necho other\\n' > /usr/bin/hello; cd /usr; bin/hello")
    v = guarded.wait("script", "/usr/bin/hello")["verdict"]
    assert v["result"] == "changed" and v["sha256"] == sha256(b"#!/bin/sh\necho other\n")


def test_changed_library(guarded):
    guarded.start()
    guarded.container("lib", "--security-opt", "seccomp=unconfined")
    guarded.sealed("lib")
    guarded.w.wait_for(lambda l: "memory" in l.get("status", {}).get("on_demand", ""))
    guarded.sh("lib", "/usr/bin/memory file /usr/lib/own.so; " + flip("/usr/lib/own.so") + "; sleep 0.1; /usr/bin/memory file /usr/lib/own.so; sleep 0.1; "
               "cp /usr/lib/own.so /usr/lib/other.so; sleep 0.1; /usr/bin/memory file /usr/lib/other.so")
    v = guarded.wait("lib", "/usr/lib/own.so", use="mmap")["verdict"]
    assert v["result"] == "changed" and v["sha256"] == sha256(CHANGED) and v["sealed_sha256"] == sha256(BUSYBOX)
    assert guarded.wait("lib", "/usr/lib/other.so", use="mmap")["verdict"]["result"] == "foreign"
    guarded.w.wait_for(lambda l: l["type"] == "alert" and l["rule"] == "Changed library of the image loaded")


def test_volume(guarded, tmp_path):
    (tmp_path / "vol").mkdir()
    (tmp_path / "vol/tool").write_bytes(BUSYBOX + b"1")
    (tmp_path / "vol/tool").chmod(0o755)
    guarded.start()
    guarded.container("vol", "-v", f"{tmp_path}/vol:/data")
    guarded.sealed("vol")
    guarded.sh("vol", "/data/tool true; sleep 1; printf x >> /data/tool; /data/tool true")
    guarded.w.wait_for(lambda l: l["type"] == "verdict" and l["verdict"].get("sha256") == sha256(BUSYBOX + b"1x"))
    assert {v["verdict"]["result"] for v in guarded.verdicts("vol") if v["verdict"]["path"] == "/data/tool"} == {"volume"}
    guarded.w.wait_for(lambda l: l["type"] == "alert" and l["rule"] == "Program written to a volume ran")


def test_hard_link_and_writer_who_races(guarded):
    """The file is written through another name while it is run again and again: each state that ran is told as what it was, or as not seen."""
    guarded.start()
    guarded.container("race")
    guarded.sealed("race")
    guarded.sh("race", "ln /bin/true /bin/other; i=0; while [ $i -lt 40 ]; do " + flip("/bin/other") + "; /bin/true; cat /bin/ls > /bin/other; /bin/true; i=$((i+1)); done; "
               + flip("/bin/other") + "; /bin/true; sleep 2; cat /bin/ls > /bin/other")  # the last one stands still long enough to be read on any machine
    guarded.sh("race", flip("/bin/mkdir") + "; /bin/mkdir /x")
    guarded.wait("race", "/usr/bin/mkdir")
    ran = [v["verdict"] for v in guarded.verdicts("race") if v["verdict"]["path"] == "/usr/bin/true"]
    assert len(ran) >= 30, len(ran)  # of 40 runs while it was changed
    assert all(v["result"] in ("changed", "unreadable") for v in ran)
    # a change within the same tick of the clock as the one before it cannot be told from it: then the digest is of what was found
    assert any(v.get("sha256") == sha256(CHANGED) for v in ran) and not any(v.get("sha256") == sha256(BUSYBOX) for v in ran)


def test_hundred_thousand_starts_of_one_file_are_hashed_once(guarded):
    guarded.start("--no-rules", "--type", "verdict,status")
    guarded.container("storm")
    guarded.sealed("storm")
    time.sleep(1.2)
    before = guarded.counter("guard_hashed")
    guarded.sh("storm", "i=0; while [ $i -lt %s ]; do /bin/true; i=$((i+1)); done" % os.environ.get("HF_STORM", "5000"))
    time.sleep(2.2)
    assert guarded.counter("guard_hashed") - before < 200, (before, guarded.counter("guard_hashed"))  # other containers of this machine run things too
    assert guarded.verdicts("storm") == []


def test_container_that_restarts_all_the_time(guarded, image):
    guarded.start()
    guarded.container("again", "--restart", "always", command=("/bin/sh", "-c", flip("/bin/ls") + "; /bin/ls / > /dev/null"))
    guarded.wait("again", "/usr/bin/ls")
    time.sleep(3)
    image("rm", "-f", "again")
    guarded.container("after")
    guarded.sh("after", flip("/bin/cat") + "; /bin/cat /etc/os-release")
    guarded.wait("after", "/usr/bin/cat")
    assert all(v["verdict"]["result"] in ("changed", "unreadable", "unsealed") for v in guarded.verdicts("again"))  # unsealed: it ended before there was a seal
    assert guarded.alerts("again").count(CHANGED_RULE) <= 3


@pytest.mark.parametrize("how", ["cut", "forged", "of another image", "writable by others"])
def test_seal_that_is_no_good_is_told_and_replaced(guarded, image, how, tmp_path):
    guarded.start()
    guarded.container("first")
    seal = guarded.sealed("first")
    guarded.w.end()
    good = seal.read_bytes()
    if how == "cut":
        seal.write_bytes(good[:len(good) // 2])
    elif how == "forged":
        at = good.find(bytes.fromhex(sha256(BUSYBOX)))
        at = at if at >= 0 else len(good) // 3
        seal.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
    elif how == "of another image":
        image("import", "-", "drift:2", input=tar_of({"usr/bin/other": BUSYBOX + b"3", "usr/bin/sleep": BUSYBOX, "usr/bin/busybox": BUSYBOX}))
        (tmp_path / "w2").mkdir()
        guarded.start(state=tmp_path / "w2" / "state")
        guarded.names.add("second")
        image("run", "-d", "--name", "second", "--network", "none", "drift:2", "/usr/bin/sleep", "600")
        other = guarded.sealed("second").read_bytes()
        guarded.w.end()
        seal.write_bytes(other)
    else:
        seal.chmod(0o666)
    (tmp_path / "w3").mkdir()
    guarded.start(state=seal.parent.parent)
    guarded.w.wait_for(lambda l: "no good" in l.get("status", {}).get("guard_error", ""))
    guarded.sh("first", flip("/bin/ls") + "; /bin/ls /")
    assert guarded.wait("first", "/usr/bin/ls")["verdict"]["result"] == "changed"
    assert seal.read_bytes()[:16] == good[:16] and seal.stat().st_mode & 0o777 == 0o400


def test_the_seal_that_watch_makes_is_that_of_the_image(guarded, image, run, tmp_path):
    """Not of the image and what docker puts on top of it (/.dockerenv, /etc/hosts): the image would seem changed."""
    guarded.start()
    guarded.container("whose")
    seal = guarded.sealed("whose")
    guarded.w.end()
    host = image.host
    rc, out, err = run("seal", "-o", tmp_path / "image.seal", "docker:drift:1", env={"DOCKER_HOST": host})
    assert rc == 0, err
    rc, out, err = run("seal", "diff", seal, tmp_path / "image.seal")
    assert (rc, out) == (0, "0 differences\n"), err
    assert run("seal", "verify", "--state", guarded.state, "docker:drift:1", env={"DOCKER_HOST": host})[:2] == (0, "0 differences\n")


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def deb(name, files):
    """A Debian package: ar of debian-binary, control.tar.gz, data.tar.gz."""
    def tar(files, top):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT) as t:
            for path, data in files.items():
                info = tarfile.TarInfo(top + path)
                info.size, info.mode = len(data), 0o755
                t.addfile(info, io.BytesIO(data))
        return out.getvalue()
    control = f"Package: {name}\nVersion: 1.0\nArchitecture: amd64\nMaintainer: x <x@example.org>\nDescription: x\n".encode()
    out = b"!<arch>\n"
    for member, data in (("debian-binary", b"2.0\n"), ("control.tar.gz", tar({"control": control}, "./")), ("data.tar.gz", tar(files, "./"))):
        out += f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


def test_package_manager_is_one_story(guarded):
    guarded.start()
    guarded.container("install")
    guarded.sealed("install")
    for i, files in enumerate(({f"usr/bin/tool{k}": BUSYBOX + b"tool%d" % k for k in range(5)} | {"usr/bin/touch": CHANGED}, {"usr/bin/later": BUSYBOX + b"later"})):
        subprocess.run(guarded.image.command("cp", "-", "install:/root"), input=tar_of({f"{i}.deb": deb(f"tools{i}", files)}), env=guarded.image.env(), check=True)
    guarded.sh("install", "cd /root; mkdir -p /var/lib/dpkg/info; /usr/bin/dpkg -i 0.deb; sleep 1; for k in 0 1 2 3 4; do busybox true; /usr/bin/tool$k true; done; /usr/bin/touch /x")
    found = guarded.wait("install", "/usr/bin/tool4")["verdict"]
    assert found["result"] == "foreign" and found["writer"].get("package_manager") == "/usr/bin/dpkg", (found, [l["process"] for l in guarded.w.lines() if l["type"] == "file" and "tool4" in json.dumps(l)])
    assert guarded.wait("install", "/usr/bin/touch")["verdict"]["result"] == "changed"
    alerts = guarded.alerts("install")
    assert alerts.count("Installed since the start and used") == 1 and CHANGED_RULE not in alerts and not [r for r in alerts if "outside the image" in r], alerts
    guarded.sh("install", "cd /root; /usr/bin/dpkg -i 1.deb; sleep 1; /usr/bin/later true")
    guarded.wait("install", "/usr/bin/later")
    guarded.w.wait_for(lambda l: l["type"] == "alert" and "/usr/bin/later" in l["summary"])
    assert guarded.alerts("install").count("Installed since the start and used") == 2  # another run, another story


def test_guard_that_dies_is_told_and_containers_go_on(guarded, image):
    guarded.start()
    guarded.container("orphan")
    guarded.sealed("orphan")
    sensor = guarded.w.process.pid
    children = pathlib.Path(f"/proc/{sensor}/task/{sensor}/children").read_text().split()
    guard = [int(p) for p in children if pathlib.Path(f"/proc/{p}/comm").read_text().strip() == "holdfast-guard"]
    assert len(guard) == 1
    os.kill(guard[0], signal.SIGKILL)
    guarded.w.wait_for(lambda l: l.get("status", {}).get("guard") == "gone")
    guarded.w.wait_for(lambda l: l["type"] == "alert" and l["rule"] == "Programs are not judged any more")
    assert guarded.sh("orphan", "/bin/busybox echo still here") == "still here\n"
    code, err = guarded.w.end()
    assert code in (0, 4), err


def test_guard_holds_few_privileges(guarded):
    guarded.start()
    guarded.container("caps")
    guarded.sealed("caps")
    sensor = guarded.w.process.pid
    for p in pathlib.Path(f"/proc/{sensor}/task/{sensor}/children").read_text().split():
        status = pathlib.Path(f"/proc/{p}/status").read_text()
        if "holdfast-guard" in status:
            caps = int(status.split("CapEff:")[1].split()[0], 16)
            assert not caps & (1 << 1 | 1 << 0 | 1 << 6 | 1 << 7 | 1 << 16 | 1 << 17), hex(caps)  # no DAC_OVERRIDE, CHOWN, SETUID, SETGID, MODULE, RAWIO
            assert "NoNewPrivs:\t1" in status
            return
    raise AssertionError("no guard")


def test_packages_in_use(guarded, run):
    import jsonschema
    guarded.start()
    guarded.container("inuse", command=("/bin/busybox", "nc", "-l", "-p", "8080"))
    guarded.sealed("inuse")
    guarded.sh("inuse", "/bin/ls /")
    time.sleep(3)
    guarded.w.end()
    rc, out, err = run("inuse", "drift:1", "--json", "--state", guarded.state)
    assert rc == 0, err
    doc = json.loads(out)
    jsonschema.validate(doc, json.loads((pathlib.Path(__file__).parents[2] / "docs/schema/inuse-1.json").read_text()))
    (image,) = doc["images"]
    (package,) = [p for p in image["packages"] if p["name"] == "busybox"]
    assert package["ran"] and package["root"] and package["listens"] and package["first"] <= package["last"]
    rc, out, err = run("inuse", "--state", guarded.state)
    assert rc == 0 and "busybox" in out and "listens" in out
    rc, out, err = run("inuse", image["image"][:20], "--state", guarded.state)
    assert rc == 0 and "drift:1" in out
    rc, out, err = run("inuse", "other:1", "--state", guarded.state)
    assert rc == 3 and "other:1" in err


def test_libraries_in_use(guarded, run, image):
    """This machine's own sleep with its libraries, as its packages have them."""
    sleep = pathlib.Path("/usr/bin/sleep")
    libs = [w for w in subprocess.run(["ldd", sleep], capture_output=True, text=True).stdout.split() if w.startswith("/")]
    if not libs or not pathlib.Path("/var/lib/dpkg/status").exists():
        pytest.skip("no dynamic program, or no dpkg, on this machine")
    owner = subprocess.run(["dpkg", "-S", "*/libc.so.6"], capture_output=True, text=True).stdout.split(":")[0]
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", owner + ":amd64"], capture_output=True, text=True).stdout
    if not version:
        pytest.skip("the C library's package is not known here")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path in [sleep, pathlib.Path("/bin/busybox"), *map(pathlib.Path, libs), pathlib.Path("/var/lib/dpkg/status"), *pathlib.Path("/var/lib/dpkg/info").glob("libc6:*.list"),
                     *pathlib.Path("/var/lib/dpkg/info").glob("coreutils.list"), pathlib.Path("/etc/os-release").resolve()]:
            real = path.resolve()
            tar.add(real, arcname=str(real)[1:])
        for name in ("bin", "lib", "lib64"):  # as on a system whose /bin is a link
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(info)
        info = tarfile.TarInfo("usr/lib64/ld-linux-x86-64.so.2")
        info.type, info.linkname = tarfile.SYMTYPE, "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
        tar.addfile(info)
    image("import", "-", "dyn:1", input=out.getvalue())
    guarded.start()
    guarded.names.add("dyn")
    image("run", "-d", "--name", "dyn", "--network", "none", "dyn:1", "/usr/bin/sleep", "600")
    guarded.sealed("dyn")
    time.sleep(4)
    guarded.w.end()
    rc, text, err = run("inuse", "dyn:1", "--json", "--state", guarded.state)
    assert rc == 0, err
    packages = {p["name"]: p for p in json.loads(text)["images"][0]["packages"]}
    assert packages["coreutils"]["ran"] and packages["libc6"]["loaded"] and packages["libc6"]["version"] == version and not packages["libc6"]["listens"]
