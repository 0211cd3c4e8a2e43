# SPDX-License-Identifier: Apache-2.0
"""`docker:REF`, `container:ID` and bare references against daemons started here (overlay2, read directly; vfs, exported), and the
export against a made-up daemon that answers as newer ones do, or badly."""
import contextlib
import hashlib
import http.server
import io
import json
import os
import pathlib
import shutil
import socket
import socketserver
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.parse

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402

TOOLS = pathlib.Path(__file__).resolve().parents[1] / "tools"
NOBODY = 65534
OS_RELEASE = b'NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n'


def stanza(name, version):
    return f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\nDescription: x\n\n"


def npm(name, version="1.0.0"):
    return json.dumps({"name": name, "version": version}).encode()


class Daemon:
    def __init__(self, root, driver, before=()):
        self.root, self.driver, self.host = root, driver, f"unix://{root}/sock"
        self.log = root / "log"
        (root / "config").mkdir()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*before, "dockerd", "--debug", "--data-root", root / "data", "--exec-root", root / "exec", "-H", self.host, "--pidfile", root / "pid",
                 "--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver", driver],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=root)

    def wait(self):
        for _ in range(150):
            if self.process.poll() is not None:
                break
            if subprocess.run(self.command("version"), capture_output=True, env=self.env()).returncode == 0:
                return
            time.sleep(0.1)
        tail = self.log.read_text(errors="replace").strip().splitlines()[-1:]
        pytest.skip(f"dockerd with {self.driver} does not start here: {' '.join(tail)}")

    def env(self):
        return {**os.environ, "DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(self.root / "config")}

    def command(self, *args):
        return ["docker", "-H", self.host, *map(str, args)]

    def __call__(self, *args, input=None):
        p = subprocess.run(self.command(*args), input=input, capture_output=True, env=self.env(), timeout=60)
        assert p.returncode == 0, (args, p.stderr.decode())
        return p.stdout

    def text(self, *args, **more):
        return self(*args, **more).decode().strip()

    def exports(self):
        """How often an image or container was exported so far."""
        return sum("Calling GET" in line and (line.rstrip('"\n').endswith("/get") or line.rstrip('"\n').endswith("/export"))
                   for line in self.log.read_text(errors="replace").splitlines())

    def stop(self):
        if self.process.poll() is None:
            names = subprocess.run(self.command("ps", "-aq"), capture_output=True, env=self.env()).stdout.decode().split()
            if names:
                subprocess.run(self.command("rm", "-f", *names), capture_output=True, env=self.env())
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextlib.contextmanager
def started(driver, before=()):
    if not shutil.which("dockerd") or not shutil.which("docker"):
        pytest.skip("dockerd is not installed (Debian package docker.io)")
    if os.geteuid() != 0:
        pytest.skip("dockerd needs root")
    root = pathlib.Path(tempfile.mkdtemp(prefix="hf-docker-"))  # short: a socket's path has 107 bytes at most
    root.chmod(0o755)  # for the unprivileged user of the socket
    daemon = Daemon(root, driver, before)
    try:
        daemon.wait()
        yield daemon
    finally:
        daemon.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def overlay():
    with started("overlay2") as daemon:
        yield daemon


@pytest.fixture(scope="module")
def vfs():
    with started("vfs") as daemon:
        yield daemon


DOCKERFILE = """FROM scratch
ENV A=1
COPY tool /tool
COPY base /
LABEL x=y
COPY app /app
RUN ["/tool", "rm", "/app/node_modules/removed/package.json", ";", "rmtree", "/app/node_modules/tree", ";", "mkdir", "/empty"]
RUN ["/tool", "rmtree", "/app/opaque", ";", "mkdir", "/app/opaque", ";", "mkdir", "/app/opaque/node_modules", ";", "mkdir", "/app/opaque/node_modules/new", ";", "put", "/app/opaque/node_modules/new/package.json", "{\\"name\\": \\"new\\", \\"version\\": \\"2.0.0\\"}"]
RUN ["/tool", "link", "/app/node_modules/lodash/package.json", "/app/node_modules/linked/package.json"]
CMD ["/tool", "wait"]
"""
FILES = {
    "base/etc/os-release": OS_RELEASE,
    "base/var/lib/dpkg/status": (stanza("openssl", "3.0.11-1~deb12u1") + stanza("libc6", "2.36-9+deb12u4")).encode(),
    "base/usr/lib/python3/dist-packages/requests-2.19.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: requests\nVersion: 2.19.0\n\n",
    "app/node_modules/lodash/package.json": npm("lodash", "4.17.15"),
    "app/node_modules/removed/package.json": npm("removed"),
    "app/node_modules/tree/node_modules/deep/package.json": npm("deep"),
    "app/node_modules/linked/README": b"a name for lodash comes here later",
    "app/opaque/node_modules/old/package.json": npm("old"),
}
NAMES = {"openssl", "libc6", "requests", "lodash", "new"}


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    path = tmp_path_factory.mktemp("context")
    p = subprocess.run(["gcc", "-static", "-O1", "-o", path / "tool", TOOLS / "container-tool.c"], capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    for name, data in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    (path / "Dockerfile").write_text(DOCKERFILE)
    return path


@pytest.fixture(scope="module")
def image(overlay, context):
    overlay("build", "-q", "--network", "none", "-t", "hf/app:1", context)
    return overlay


@pytest.fixture(scope="module")
def archive(image, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "image.tar"
    image("save", "-o", path, "hf/app:1")
    return path


@pytest.fixture(scope="module")
def copied(vfs, archive):
    """The same image behind a driver whose store is not read."""
    vfs("load", "-i", archive)
    return vfs


@pytest.fixture
def scan(run, tmp_path):
    def call(target, daemon=None, *options, ok=True, host=None, env=None):
        env = {"DOCKER_HOST": host or (daemon.host if daemon else ""), **(env or {})}
        rc, out, err = run("scan", "--no-vulnerabilities", "--cache-dir", tmp_path / "cache", "--format", "json", "--quiet", *options, target, env=env)
        if ok:
            assert rc == 0, err
            return json.loads(out)
        return rc, out, err
    return call


def comparable(result):
    """What must not depend on the way an image is read."""
    return {"image": {**result["image"], "layers": [(l["diff_id"], l.get("created_by")) for l in result["image"]["layers"]]},
            "os": result["os"], "packages": result["packages"], "incomplete": result["incomplete"]}


def names(result):
    return {p["name"] for p in result["packages"]}


def layer_number(result, name):
    layers = [l.get("diff_id") for l in result["image"]["layers"]]
    return layers.index(next(p for p in result["packages"] if p["name"] == name)["locations"][0]["layer"])


def test_image_in_overlay2_is_its_archive(scan, image, archive):
    before = image.exports()
    direct, saved = scan("docker:hf/app:1", image), scan(f"docker-archive:{archive}")
    assert names(direct) == NAMES
    assert comparable(direct) == comparable(saved)
    assert image.exports() == before, "the store was not read directly"
    assert direct["image"]["digest"] == image.text("inspect", "-f", "{{.Id}}", "hf/app:1")
    layers = direct["image"]["layers"]
    assert [l["diff_id"] for l in layers] == json.loads(image("inspect", "-f", "{{json .RootFS.Layers}}", "hf/app:1"))
    by = [l["created_by"] for l in layers]
    assert "COPY file" in by[0] and " in /tool" in by[0] and by[1].endswith(" in / ") and by[2].endswith("/app ")
    assert by[3].startswith("/tool rm /app") and by[4].startswith("/tool rmtree /app/opaque") and by[5].startswith("/tool link")
    assert layer_number(direct, "openssl") == 1 and layer_number(direct, "requests") == 1 and layer_number(direct, "new") == 4
    assert layer_number(direct, "lodash") == 5  # "link" copied it up


def test_names_of_an_image(scan, image):
    want = comparable(scan("docker:hf/app:1", image))
    image("tag", "hf/app:1", "alone")
    full = image.text("inspect", "-f", "{{.Id}}", "hf/app:1")
    for name in ["hf/app:1", "alone", "alone:latest", full, full[7:], full[7:19], "docker.io/hf/app:1"]:
        for target in [name, "docker:" + name]:
            assert comparable(scan(target, image)) == want, target


def test_image_of_another_driver_is_its_archive(scan, copied, archive):
    before = copied.exports()
    exported, saved = scan("docker:hf/app:1", copied, "--no-cache"), scan(f"docker-archive:{archive}", None, "--no-cache")
    assert comparable(exported) == comparable(saved)
    # "link" made a hard link to a file that comes before it in the same layer, so one more export is right.
    assert copied.exports() - before in (1, 2)


def test_second_scan_needs_no_export(scan, copied):
    first = scan("hf/app:1", copied)
    before = copied.exports()
    second = scan("hf/app:1", copied)
    assert comparable(first) == comparable(second)
    assert copied.exports() == before
    copied("import", "-", "hf/flat:1", input=mkimage.tar_of_files({"etc/hostname": b"h", "x/node_modules/flat/package.json": npm("flat")}))
    first = scan("hf/flat:1", copied)
    before = copied.exports()
    second = scan("hf/flat:1", copied)
    assert names(first) == {"flat"} and comparable(first) == comparable(second) and copied.exports() == before


def test_export_of_a_large_image_is_bounded(binary, copied, tmp_path):
    if "asan" in str(binary):
        pytest.skip("memory of the sanitizer")
    block = os.urandom(1 << 20) * 160
    data = mkimage.tar_of_files([("etc/hostname", b"h"), ("big", block), ("big.so", b"\x7fELF" + block[4:]), ("a/node_modules/end/package.json", npm("end"))])
    copied("import", "-", "hf/large:1", input=data)
    # A process counts as its own the memory of what it was forked from: measured by one that is small.
    measure = "import resource, subprocess, sys; rc = subprocess.call(sys.argv[1:]); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(rc)"
    p = subprocess.run([sys.executable, "-c", measure, binary, "scan", "--no-vulnerabilities", "--no-cache", "--quiet", "--format", "json", "--max-memory", "64M", "docker:hf/large:1"],
                       capture_output=True, text=True, env={**os.environ, "DOCKER_HOST": copied.host, "TMPDIR": "/nonexistent"})
    assert p.returncode == 0, p.stderr
    assert names(json.loads(p.stdout)) == {"end"}
    assert int(p.stderr.split()[-1]) < 100 << 10, f"{p.stderr} KiB"
    copied("rmi", "hf/large:1")


CHANGES = [
    "put", "/var/lib/dpkg/status", stanza("openssl", "3.0.99-1"), ";",
    "rm", "/app/node_modules/lodash/package.json", ";", "rm", "/app/node_modules/linked/package.json", ";",
    "rmtree", "/app/opaque", ";", "mkdir", "/app/opaque", ";",
    "mkdir", "/srv", ";", "mkdir", "/srv/node_modules", ";", "mkdir", "/srv/node_modules/added", ";",
    "put", "/srv/node_modules/added/package.json", '{"name": "added", "version": "3.0.0"}', ";", "wait"]
CHANGED = {("openssl", "3.0.99-1"), ("requests", "2.19.0"), ("added", "3.0.0")}


@contextlib.contextmanager
def container(daemon, name, *command):
    daemon("run", "-d", "--network", "none", "--name", name, "hf/app:1", *command)
    try:
        for _ in range(100):
            if b"ready" in daemon("logs", name):
                break
            time.sleep(0.05)
        else:
            pytest.fail("the container did not get ready")
        yield name
    finally:
        daemon("rm", "-f", name)


def versions(result):
    return {(p["name"], p["version"]) for p in result["packages"]}


def test_running_container_in_overlay2(scan, image):
    before = image.exports()
    with container(image, "changed", "/tool", *CHANGES) as name:
        running = scan("container:" + name, image)
        by_id = scan("container:" + image.text("inspect", "-f", "{{.Id}}", name)[:12], image)
        image("pause", name)
        paused = scan("container:" + name, image)
        image("unpause", name)
        image("stop", "-t", "5", name)
        stopped = scan("container:" + name, image)
    assert versions(running) == CHANGED
    for other in [by_id, paused, stopped]:
        assert other["packages"] == running["packages"]
    assert image.exports() == before
    layers = running["image"]["layers"]
    assert len(layers) == 8 and "diff_id" not in layers[6] and "diff_id" not in layers[7]
    assert layers[7]["created_by"] == "container: changed since start"
    assert layers[5]["created_by"].startswith("/tool link")
    assert running["image"]["digest"] == image.text("inspect", "-f", "{{.Id}}", "hf/app:1")
    assert not running["incomplete"]


def test_what_is_mounted_into_a_container_is_named(scan, image, tmp_path):
    image("create", "--network", "none", "--name", "mounted", "-v", f"{tmp_path}:/data", "--tmpfs", "/scratch", "hf/app:1")
    try:
        result = scan("container:mounted", image)
    finally:
        image("rm", "-f", "mounted")
    assert [w for w in result["warnings"] if "mounted" in w] == ["what is mounted into the container is not part of its file system and was not read: /data, /scratch"]


def test_container_that_changed_nothing_is_its_image(scan, image):
    with container(image, "same") as name:
        result = scan("container:" + name, image)
    want = scan("docker:hf/app:1", image)
    assert result["packages"] == want["packages"]
    assert comparable(result | {"image": {**result["image"], "layers": result["image"]["layers"][:6]}}) == comparable(want)


def test_container_of_another_driver(scan, copied):
    before = copied.exports()
    with container(copied, "changed", "/tool", *CHANGES) as name:
        result = scan("container:" + name, copied)
    assert versions(result) == CHANGED
    assert copied.exports() > before
    assert result["image"]["layers"] == [] and not result["incomplete"]
    assert all("layer" not in l for p in result["packages"] for l in p["locations"])


def test_container_without_its_image(scan, image):
    image("import", "-c", 'CMD ["/tool", "wait"]', "-", "hf/short:1", input=mkimage.tar_of_files(
        [("etc/hostname", b"h"), ("opt/node_modules/left/package.json", npm("left"))]))
    image("create", "--network", "none", "--name", "orphan", "hf/short:1")
    try:
        image("rmi", "-f", "hf/short:1")
        assert names(scan("container:orphan", image)) == {"left"}
    finally:
        image("rm", "-f", "orphan")


def test_renamed_directories_are_exported(scan, image):
    """redirect_dir=on leaves a renamed directory's files in the lower layer under their old name."""
    with container(image, "renamed", "/tool", "rmtree", "/app", ";", "mkdir", "/moved", ";", "wait") as name:
        image("stop", "-t", "5", name)
        upper = image.text("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", name)
        os.setxattr(upper + "/moved", "trusted.overlay.redirect", b"/app")
        before = image.exports()
        result = scan("container:" + name, image)
        assert image.exports() > before
        assert names(result) == NAMES and any(l["path"].startswith("moved/") for p in result["packages"] for l in p["locations"])


def test_attributes_of_the_overlay_file_system(scan, image):
    with container(image, "marked", "/tool", "put", "/app/node_modules/lodash/package.json", '{"name": "lodash", "version": "9.9.9"}', ";", "mkdir", "/app/new", ";", "wait") as name:
        image("stop", "-t", "5", name)
        upper = image.text("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", name)
        assert ("lodash", "9.9.9") in versions(scan("container:" + name, image))
        # user.* is the image's own where the store belongs to root: it must not hide anything
        os.setxattr(upper + "/app", "user.overlay.opaque", b"y")
        assert NAMES == names(scan("container:" + name, image))
        os.setxattr(upper + "/app", "trusted.overlay.opaque", b"x")  # this value means something else
        assert NAMES == names(scan("container:" + name, image))
        # metacopy=on: owner or mode changed, the content is still the lower file's
        package = upper + "/app/node_modules/lodash/package.json"
        os.truncate(package, 0)
        os.truncate(package, 38)
        os.setxattr(package, "trusted.overlay.metacopy", b"")
        assert ("lodash", "4.17.15") in versions(scan("container:" + name, image))
        os.setxattr(upper + "/app", "trusted.overlay.opaque", b"y")
        assert names(scan("container:" + name, image)) == {"openssl", "libc6", "requests"}
    top = image.text("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "hf/app:1")
    os.setxattr(top + "/app/node_modules", "trusted.overlay.redirect", b"x")
    try:
        rc, out, _ = scan("docker:hf/app:1", image, ok=False)
        assert rc == 4 and "redirect_dir" in json.loads(out)["incomplete"][0]["reason"]
    finally:
        os.removexattr(top + "/app/node_modules", "trusted.overlay.redirect")


def test_user_without_rights_to_the_store(binary, image, archive, scan, tmp_path):
    """Direct reading needs trusted.* attributes; others get the export, and the same result."""
    want = comparable(scan(f"docker-archive:{archive}", None, "--no-cache"))
    own = pathlib.Path(tempfile.mkdtemp(prefix="hf-nobody-"))
    sock = image.root / "sock"
    mode = sock.stat().st_mode & 0o777
    try:
        shutil.copy(binary, own / "holdfast")
        own.chmod(0o755)

        def call(target):
            return subprocess.run([own / "holdfast", "scan", "--no-vulnerabilities", "--no-cache", "--quiet", "--format", "json", target], capture_output=True, text=True,
                                  user=NOBODY, group=NOBODY, extra_groups=[], env={**os.environ, "DOCKER_HOST": image.host, "HOME": "/nonexistent"}, cwd="/")
        sock.chmod(0o666)
        p = call("docker:hf/app:1")
        assert p.returncode == 0, p.stderr
        assert comparable(json.loads(p.stdout)) == want
        with container(image, "seen", "/tool", *CHANGES) as name:
            p = call("container:" + name)
            assert p.returncode == 0, p.stderr
            assert versions(json.loads(p.stdout)) == CHANGED
        sock.chmod(0o600)
        p = call("docker:hf/app:1")
        assert p.returncode == 3 and "no permission to use the docker socket" in p.stderr and "group" in p.stderr
    finally:
        sock.chmod(mode)
        shutil.rmtree(own)


def test_image_pulled_by_digest(scan, image):
    """A reference by digest exists only for what came from a registry: a small one on the loopback interface."""
    blobs, descriptor = mkimage.oci_blobs([mkimage.tar_of_files({"etc/hostname": b"h"}),
                                           mkimage.tar_of_files({"opt/node_modules/pulled/package.json": npm("pulled")})], "gzip", "1", "linux/amd64")
    digest = descriptor["digest"]

    class Registry(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            last = self.path.rsplit("/", 1)[-1]
            key = digest[7:] if "/manifests/" in self.path else last.removeprefix("sha256:")
            body = b"{}" if self.path.rstrip("/") == "/v2" else blobs.get(key)
            self.send_response(404 if body is None else 200)
            if "/manifests/" in self.path:
                self.send_header("Content-Type", descriptor["mediaType"])
                self.send_header("Docker-Content-Digest", digest)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        name = f"127.0.0.1:{server.server_port}/hf/pulled"
        image("pull", "-q", f"{name}@{digest}")
        for target in [f"docker:{name}@{digest}", f"{name}@{digest}"]:
            assert names(scan(target, image)) == {"pulled"}
    finally:
        server.shutdown()
        server.server_close()


# --- errors ---

def test_no_such_image_or_container(scan, image):
    rc, out, err = scan("docker:hf/none:1", image, ok=False)
    assert rc == 3 and not out and 'no image "hf/none:1"' in err and "docker images" in err
    rc, _, err = scan("container:none", image, ok=False)
    assert rc == 3 and 'no container "none"' in err and "docker ps -a" in err
    rc, _, err = scan("hf/none:1", image, ok=False)
    assert rc == 3 and "no file or folder" in err and 'no image "hf/none:1"' in err
    for bad in ["docker:-x", "docker:a b", "docker:../../containers/x", "container:a?all=1", "docker:x/"]:
        rc, _, err = scan(bad, image, ok=False)
        assert rc == 2 and "not the name or id" in err, bad


def test_no_daemon(scan, tmp_path):
    short = pathlib.Path(tempfile.mkdtemp(prefix="hf-none-"))
    try:
        rc, _, err = scan("docker:x", host=f"unix://{short}/sock", ok=False)
        assert rc == 3 and f"no docker daemon at unix://{short}/sock" in err and "DOCKER_HOST" in err
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(short / "dead"))
        dead.close()
        rc, _, err = scan("docker:x", host=f"unix://{short}/dead", ok=False)
        assert rc == 3 and "is not running" in err
        rc, _, err = scan("x", host=f"unix://{short}/dead", ok=False)
        assert rc == 3 and "no file or folder" in err and "is not running" in err
        rc, _, err = scan("docker:x", host="tcp://127.0.0.1:1", ok=False)
        assert rc == 3 and "only unix://" in err and "docker save" in err
        rc, _, err = scan("docker:x", host="tcp://127.0.0.1:1", env={"HOLDFAST_DOCKER_HOST": f"unix://{short}/dead"}, ok=False)
        assert rc == 3 and "is not running" in err  # what is configured goes before what docker would use
    finally:
        shutil.rmtree(short)


# --- a daemon of our own making ---

class FakeDaemon(socketserver.ThreadingUnixStreamServer):
    """answers: path -> JSON value | (status, value) | bytes (streamed in chunks; a second element tells after how many bytes to hang up)."""
    daemon_threads = True

    def __init__(self, answers):
        self.root = tempfile.mkdtemp(prefix="hf-fake-")
        self.host = f"unix://{self.root}/sock"
        self.answers, self.asked = answers, []
        super().__init__(self.root + "/sock", Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()
        shutil.rmtree(self.root)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *args):
        pass

    def do_GET(self):
        path = urllib.parse.unquote(self.path)
        self.server.asked.append(path)
        answer = self.server.answers.get(path, (404, {"message": "no such thing"}))
        stop = None
        if isinstance(answer, tuple) and isinstance(answer[0], bytes):
            answer, stop = answer
        if isinstance(answer, bytes):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                for at in range(0, len(answer) if stop is None else stop, 7001):
                    piece = answer[at:at + 7001]
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                if stop is None:
                    self.wfile.write(b"0\r\n\r\n")
            except BrokenPipeError:
                pass
            self.close_connection = True
            return
        status, value = answer if isinstance(answer, tuple) else (200, answer)
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


LAYERS = [mkimage.tar_of_files([("etc/os-release", OS_RELEASE), ("var/lib/dpkg/status", stanza("openssl", "3.0.11-1~deb12u1").encode())]),
          mkimage.tar_of_files([("opt/node_modules/a/package.json", npm("a")), ("opt/b", b"x" * 300000), ("z/node_modules/z/package.json", npm("z"))]),
          mkimage.tar_of_files([("opt/node_modules/.wh.a", b""), ("{x", b"a layer may begin like JSON")][::-1])]


def outer_tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@contextlib.contextmanager
def fake(layers, export, **more):
    """Inspect and history as a daemon with containerd's store gives them: no graph driver."""
    ident = "sha256:" + hashlib.sha256(repr(layers).encode()).hexdigest()
    about = {"Id": ident, "Os": "linux", "Architecture": "amd64", "Created": "2024-01-02T03:04:05Z", "Size": 1000,
             "RootFS": {"Type": "layers", "Layers": ["sha256:" + mkimage.sha256(t) for t in layers]}}
    daemon = FakeDaemon({"/images/img/json": about, f"/images/{ident}/get": export, f"/images/{ident}/history": [], **more})
    try:
        yield daemon
    finally:
        daemon.stop()


@pytest.mark.parametrize("how", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("old", [True, False])
def test_layouts_of_exports(scan, tmp_path, old, how):
    files = list(mkimage.docker_files(LAYERS, old=old, how=how).items())
    path = tmp_path / "image.tar"
    mkimage.write_image(str(path), LAYERS, "docker-old" if old else "docker", how)
    want = comparable(scan(f"docker-archive:{path}", None, "--no-cache"))
    assert [p["name"] for p in want["packages"]] == ["openssl", "z"]
    for order in [files, files[::-1], [("other", b"no layer of this image" * 99), ("repositories", b"{}"), ("VERSION", b"1.0")] + files]:
        with fake(LAYERS, outer_tar(order)) as daemon:
            got = comparable(scan("docker:img", daemon, "--no-cache"))
            assert len([a for a in daemon.asked if a.endswith("/get")]) == 1
        got["image"]["digest"] = want["image"]["digest"]
        got["image"]["target"] = want["image"].get("target")
        want["image"]["target"] = want["image"].get("target")
        assert got == want


def test_layer_that_occurs_twice(scan):
    """docker save of old stores the second as a link to the first."""
    empty = mkimage.tar_of_files({})
    layers = [LAYERS[0], empty, LAYERS[1], empty, LAYERS[1]]
    files = [("a/layer.tar", LAYERS[0]), ("b/layer.tar", empty), ("c/layer.tar", LAYERS[1]), ("d/layer.tar", "../b/layer.tar"), ("e/layer.tar", LAYERS[1])]
    with fake(layers, outer_tar(files)) as daemon:
        for _ in range(2):
            result = scan("docker:img", daemon)
            assert len(result["image"]["layers"]) == 5 and names(result) == {"openssl", "a", "z"} and not result["incomplete"]


def test_hard_links_need_a_second_export(scan):
    layer = mkimage.tar_of_files([("etc/hostname", b"h"), ("store/0001", npm("linked", "5.0.0")), ("srv/node_modules/linked/package.json", ("hardlink", "store/0001"))])
    layers = [LAYERS[0], layer]
    with fake(layers, outer_tar(mkimage.docker_files(layers, old=True).items())) as daemon:
        result = scan("docker:img", daemon)
        assert names(result) == {"openssl", "linked"} and not result["incomplete"]
        assert len([a for a in daemon.asked if a.endswith("/get")]) == 2


def test_container_of_a_daemon_without_graph_driver(scan):
    tree = mkimage.tar_of_files([("etc/hostname", b"h"), ("store/1", npm("linked")), ("srv/node_modules/linked/package.json", ("hardlink", "store/1")),
                                 ("big", b"\0" * 5000000), ("end/node_modules/end/package.json", npm("end"))])
    more = {"/containers/c/json": {"Id": "c0ffee", "Image": "img", "Config": {"Image": "img:1"}}, "/containers/c0ffee/export": tree}
    with fake(LAYERS, b"", **more) as daemon:
        assert names(scan("container:c", daemon)) == {"linked", "end"}
        daemon.answers["/containers/c0ffee/export"] = (tree, len(tree) // 2)
        rc, out, err = scan("container:c", daemon, ok=False)
        assert rc == 3 and not out and "broke off" in err


def test_exports_that_are_not_the_image(scan):
    files = dict(mkimage.docker_files(LAYERS))
    good = outer_tar(files.items())
    changed = bytearray(good)
    changed[changed.index(b"Version: 3.0.11") + 9] ^= 1
    name = "blobs/sha256/" + mkimage.sha256(LAYERS[1])
    lacking = outer_tar([f for f in files.items() if f[0] != name])
    packed = outer_tar([(n, b"BZh91AY" + b"\0" * 999 if n == name else d) for n, d in files.items()])
    cases = [(bytes(changed), "layer 1: nothing the daemon exported has the content sha256:" + mkimage.sha256(LAYERS[0])),
             (lacking, "layer 2: nothing the daemon exported has the content sha256:" + mkimage.sha256(LAYERS[1])), (packed, "bzip2"),
             ((good, len(good) // 3), "broke off the export"), ((good, 100), "broke off the export"), (b"", "layer 1"), (b"nonsense" * 999, "tar"),
             ((500, {"message": "disk on\x1b[31m fire"}), "answered 500"), ((404, {"message": "gone"}), "gone")]
    for export, words in cases:
        with fake(LAYERS, export) as daemon:
            rc, out, err = scan("docker:img", daemon, "--no-cache", ok=False)
            assert rc == 3 and not out and words in err and "\x1b" not in err, (words, err)


def test_answers_that_make_no_sense(scan):
    for answer, words in [((500, {"message": "broken store"}), "broken store"), ((301, {}), "answered 301"), ([], ""), ("text", ""), ({"RootFS": {"Layers": ["sha256:x"]}}, "not a digest"),
                          ({"Id": "x", "RootFS": {"Layers": ["sha256:" + "0" * 64] * 5000}}, "5000 layers"),
                          ({"Id": "sha256:" + "0" * 64, "GraphDriver": {"Name": "overlay2", "Data": {"UpperDir": "relative", "LowerDir": ":" * 5000}}, "RootFS": {"Layers": ["sha256:" + "0" * 64]}}, "")]:
        daemon = FakeDaemon({"/images/img/json": answer})
        try:
            rc, out, err = scan("docker:img", daemon, ok=False)
            assert words in err and (rc == 3 or (rc == 0 and not json.loads(out)["packages"])), (answer, rc, err)
        finally:
            daemon.stop()


def test_damaged_layer_of_an_export_is_incomplete(scan):
    damaged = LAYERS[1][:-9000]
    damaged = damaged[:300000] + b"\xff" * (len(damaged) - 300000)
    layers = [LAYERS[0], damaged]
    with fake(layers, outer_tar(mkimage.docker_files(layers).items())) as daemon:
        rc, out, err = scan("docker:img", daemon, ok=False)
        assert rc == 4 and names(json.loads(out)) == {"openssl", "a"} and json.loads(out)["incomplete"], err
