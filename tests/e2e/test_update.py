# SPDX-License-Identifier: Apache-2.0
"""db update from mirrors on this machine: what is fetched, resumed, refused and kept; db export and import."""
import base64
import hashlib
import http.server
import io
import json
import os
import pathlib
import subprocess
import tarfile
import threading
import time
import zipfile

import pytest

from conftest import ROOT, SHARED

DEMO = ROOT / "data" / "demo-advisories"


class Mirror:
    """A small web server: files by path, and what it should do wrong."""

    def __init__(self):
        self.files, self.log, self.faults, self.headers = {}, [], {}, {}
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                path = self.path.lstrip("/").replace("%20", " ")
                fault = mirror.faults.get(path)
                asked = {k.lower(): v for k, v in self.headers.items()}
                status, body, extra = 200, mirror.files.get(path), {}
                if fault and fault[0] == "status":
                    status, body = fault[1], b"no"
                elif fault and fault[0] == "redirect":
                    status, body, extra = 302, b"", {"Location": fault[1]}
                elif body is None:
                    status, body = 404, b"not here"
                else:
                    etag = '"' + hashlib.sha1(body).hexdigest() + '"'
                    extra = {"ETag": etag, **mirror.headers.get(path, {})}
                    if asked.get("if-none-match") == etag:
                        status, body = 304, b""
                    elif "range" in asked and asked.get("if-range") == etag:
                        start = int(asked["range"][6:].rstrip("-"))
                        status, extra["Content-Range"] = 206, f"bytes {start}-{len(body) - 1}/{len(body)}"
                        body = body[start:]
                mirror.log.append((path, status, len(body)))
                self.send_response(status)
                for k, v in extra.items():
                    self.send_header(k, v)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if fault and fault[0] == "break" and status == 200:
                    self.wfile.write(body[:fault[1]])
                    self.wfile.flush()
                    self.connection.close()
                    self.close_connection = True
                elif fault and fault[0] == "slow":
                    try:
                        for i in range(100):
                            self.wfile.write(body[i:i + 1])
                            self.wfile.flush()
                            time.sleep(0.2)
                    except OSError:
                        pass
                    self.close_connection = True
                else:
                    self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def index(self):
        files = [{"path": p, "size": len(b), "sha256": hashlib.sha256(b).hexdigest()} for p, b in self.files.items()]
        self.files["holdfast-mirror.json"] = json.dumps({"schema": "holdfast.mirror/1", "files": files}).encode()

    def asked(self, path):
        return [(s, n) for p, s, n in self.log if p == path]


def zip_of(ids):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for i in ids:
            record = {"id": i, "modified": "2026-11-01T00:00:00Z", "published": "2026-11-01T00:00:00Z", "summary": "x" * 200 + os.urandom(2000).hex(),
                      "affected": [{"package": {"ecosystem": "PyPI", "name": "p" + i.lower()}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}]}]}
            z.writestr(i + ".json", json.dumps(record))
    return out.getvalue()


@pytest.fixture
def mirror():
    m = Mirror()
    m.files = {"PyPI/all.zip": zip_of(["CVE-2026-0001", "CVE-2026-0002"]), "Rocky Linux/all.zip": zip_of(["CVE-2026-0003"]),
               "native/kev/known_exploited_vulnerabilities.json": (DEMO / "kev.json").read_bytes()}
    yield m
    m.server.shutdown()
    m.server.server_close()


@pytest.fixture
def update(run, tmp_path):
    db = tmp_path / "x" / "advisories.hfdb"

    def call(*args, env=None):
        env = {"HOLDFAST_DB_DOWNLOAD_DIR": str(tmp_path / "feeds"), "HOLDFAST_DB_PATH": str(db), "no_proxy": "127.0.0.1", **(env or {})}
        rc, out, err = run("db", *args, env=env, timeout=60)
        return rc, out, err
    call.db = db
    call.feeds = tmp_path / "feeds"
    return call


def knows(run, db, ident):
    return run("db", "show", "--db", db, ident)[0] == 0


def test_first_update_second_update_and_a_change(run, mirror, update):
    rc, out, err = update("update", "--mirror", mirror.url)
    assert rc == 0, err
    assert "3 files new" in err and knows(run, update.db, "CVE-2026-0001") and knows(run, update.db, "CVE-2026-0003")
    before = update.db.stat()
    mirror.log.clear()
    rc, out, err = update("update", "--mirror", mirror.url)
    assert rc == 0 and "up to date" in out, err
    assert mirror.asked("PyPI/all.zip") == [(304, 0)]
    assert (update.db.stat().st_ino, update.db.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    mirror.files["PyPI/all.zip"] = zip_of(["CVE-2026-0009"])
    rc, out, err = update("update", "--mirror", mirror.url)
    assert rc == 0 and "1 files new, 2 unchanged" in err
    assert knows(run, update.db, "CVE-2026-0009") and not knows(run, update.db, "CVE-2026-0001") and knows(run, update.db, "CVE-2026-0003")


def test_only_the_named_source(mirror, update):
    rc, out, err = update("update", "--mirror", mirror.url, "--source", "osv:PyPI")
    assert rc == 0 and "1 files new" in err and not mirror.asked("Rocky Linux/all.zip")
    rc, _, err = update("update", "--mirror", mirror.url, "--source", "nonsense")
    assert rc == 2 and "osv:Debian" in err


def test_an_interrupted_download_is_resumed(run, mirror, update):
    size = len(mirror.files["PyPI/all.zip"])
    mirror.faults["PyPI/all.zip"] = ("break", 1500)
    rc, out, err = update("update", "--mirror", mirror.url)
    assert rc == 4 and "PyPI" in err and not knows(run, update.db, "CVE-2026-0001") and knows(run, update.db, "CVE-2026-0003")
    mirror.faults.clear()
    mirror.log.clear()
    rc, out, err = update("update", "--mirror", mirror.url)
    assert rc == 0 and mirror.asked("PyPI/all.zip") == [(206, size - 1500)], err
    assert knows(run, update.db, "CVE-2026-0001")
    assert not list(update.feeds.rglob("*.part*"))


def test_what_changed_meanwhile_is_not_glued_together(run, mirror, update):
    mirror.faults["PyPI/all.zip"] = ("break", 1500)
    assert update("update", "--mirror", mirror.url)[0] == 4
    mirror.faults.clear()
    mirror.files["PyPI/all.zip"] = zip_of(["CVE-2026-0011"])
    rc, out, err = update("update", "--mirror", mirror.url)
    assert rc == 0 and mirror.asked("PyPI/all.zip")[-1][0] == 200, err
    assert knows(run, update.db, "CVE-2026-0011")


@pytest.mark.parametrize("fault,word", [
    (("status", 500), "500"), (("status", 403), "403"), (("redirect", "http://127.0.0.1:1/x"), "https"), (("redirect", "file:///etc/passwd"), "https"), (("slow",), "PyPI"),
])
def test_a_source_that_fails_keeps_its_old_copy(run, mirror, update, fault, word):
    assert update("update", "--mirror", mirror.url)[0] == 0
    mirror.faults["PyPI/all.zip"] = fault
    mirror.files["PyPI/all.zip"] = zip_of(["CVE-2026-0012"])
    mirror.files["Rocky Linux/all.zip"] = zip_of(["CVE-2026-0013"])
    rc, out, err = update("update", "--mirror", mirror.url, env={"HF_FETCH_SLOW_S": "2"})
    assert rc == 4 and word in err and "is kept" in err
    assert knows(run, update.db, "CVE-2026-0001") and knows(run, update.db, "CVE-2026-0013")


def test_checksums(run, mirror, update):
    body = mirror.files["PyPI/all.zip"]
    good = base64.b64encode(hashlib.md5(body).digest()).decode()
    mirror.headers["PyPI/all.zip"] = {"x-goog-hash": f"crc32c=AAAAAA==,md5={good}"}
    assert update("update", "--mirror", mirror.url)[0] == 0
    mirror.files["PyPI/all.zip"] = zip_of(["CVE-2026-0014"])  # with the checksum of the one before
    rc, out, err = update("update", "--mirror", mirror.url)
    assert rc == 4 and "md5" in err and good in err and knows(run, update.db, "CVE-2026-0001")
    assert not list(update.feeds.rglob("*.part*"))


def test_index_of_a_mirror(run, mirror, update):
    mirror.index()
    rc, out, err = update("update", "--mirror", mirror.url + "/")
    assert rc == 0 and "3 files new" in err, err
    assert not mirror.asked("Debian/all.zip")
    mirror.files["PyPI/all.zip"] = mirror.files["PyPI/all.zip"] + b"x"  # longer than the index says
    rc, out, err = update("update", "--mirror", mirror.url)
    assert rc == 4 and "more than" in err
    mirror.files["PyPI/all.zip"] = mirror.files["PyPI/all.zip"][:-1]  # as it was, but the index says otherwise
    mirror.index()
    index = json.loads(mirror.files["holdfast-mirror.json"])
    next(f for f in index["files"] if f["path"] == "PyPI/all.zip")["sha256"] = "0" * 64
    mirror.files["holdfast-mirror.json"] = json.dumps(index).encode()
    rc, out, err = update("update", "--mirror", mirror.url)
    assert rc == 4 and "expected sha256:" + "0" * 64 in err
    mirror.files["holdfast-mirror.json"] = b'{"schema":"holdfast.mirror/1","files":[{"path":"../../evil","size":1,"sha256":"' + b"0" * 64 + b'"}]}'
    rc, out, err = update("update", "--mirror", mirror.url)
    assert rc == 3 and "index" in err


def test_nothing_there(mirror, update):
    mirror.files.clear()
    rc, out, err = update("update", "--mirror", mirror.url)
    assert rc == 3 and "none of the known sources" in err and not update.db.exists()
    mirror.server.shutdown()
    mirror.server.server_close()
    rc, out, err = update("update", "--mirror", mirror.url)
    assert rc == 3 and not update.db.exists()


@pytest.mark.parametrize("url", ["http://example.org/x", "ftp://127.0.0.1/x", "http://127.0.0.1.example.org/", "https://", "http://127.0.0.1:1@example.org/"])
def test_addresses_that_are_not_fetched(update, url):
    rc, out, err = update("update", "--mirror", url)
    assert rc in (2, 3) and not update.db.exists(), err


def test_build_from_a_mirror_and_from_a_file_address(run, mirror, update):
    rc, out, err = update("build", "--from", mirror.url)
    assert rc == 0 and knows(run, update.db, "CVE-2026-0001"), err
    rc, out, err = update("update", "--mirror", f"file://{DEMO}")
    assert rc == 0 and knows(run, update.db, "CVE-2021-44228"), err


def test_shared_advisories_over_http(run, update):
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not on this machine")
    m = Mirror()
    for p in SHARED.rglob("*"):
        if p.is_file() and p.name != "SOURCES.md":
            m.files[str(p.relative_to(SHARED))] = p.read_bytes()
    m.index()
    try:
        rc, out, err = update("update", "--mirror", m.url)
        assert rc == 0, err
        direct = update.db.with_name("direct.hfdb")
        assert run("db", "build", "--from", SHARED, "--output", direct)[0] in (0, 4)
        counts = []
        for db in (update.db, direct):
            status = json.loads(run("db", "status", "--json", "--db", db)[1])
            counts.append({s["name"]: s["records"] for s in status["sources"]})
        assert counts[0] == counts[1] and len(counts[0]) > 30
    finally:
        m.server.shutdown()
        m.server.server_close()


# --- one signed file ---

@pytest.fixture
def keys(tmp_path):
    for name in ("a", "b"):
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / f"{name}.pem"], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", tmp_path / f"{name}.pem", "-pubout", "-out", tmp_path / f"{name}.pub"], check=True, capture_output=True)
    return tmp_path


def test_export_and_import(run, advdb, keys, tmp_path):
    out_file, taken = tmp_path / "db.holdfast", tmp_path / "new" / "x.hfdb"
    rc, out, err = run("db", "export", "--db", advdb, "--key", keys / "a.pem", out_file)
    assert rc == 0, err
    rc, out, err = run("db", "import", "--db", taken, "--key", keys / "a.pub", out_file)
    assert rc == 0 and taken.read_bytes() == pathlib.Path(advdb).read_bytes(), err
    # what openssl says of the signature, apart from our own code
    listing = subprocess.run(["tar", "--zstd", "-tf", out_file], capture_output=True, text=True, check=True).stdout.split()
    assert listing == ["manifest.json", "manifest.sig", "advisories.hfdb"]
    subprocess.run(["tar", "--zstd", "-xf", out_file, "-C", tmp_path], check=True)
    subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", keys / "a.pub", "-rawin", "-in", tmp_path / "manifest.json", "-sigfile", tmp_path / "manifest.sig"],
                   check=True, capture_output=True)
    rc, out, err = run("db", "import", "--db", taken, "--key", keys / "b.pub", out_file)
    assert rc == 3 and "signature" in err
    rc, out, err = run("db", "import", "--db", taken, out_file, env={"HOLDFAST_DB_TRUSTED_KEY": str(keys / "a.pub")})
    assert rc == 0, err


def repack(source, target, change):
    """The archive again with its members passed through change(name, bytes) -> list of (name, bytes)."""
    raw = subprocess.run(["zstd", "-dc", source], check=True, capture_output=True).stdout
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(raw)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for m in old:
            for name, body in change(m.name, old.extractfile(m).read()):
                info = tarfile.TarInfo(name)
                info.size = len(body)
                new.addfile(info, io.BytesIO(body))
    target.write_bytes(out.getvalue())


def flip(part, at):
    def change(name, body):
        if name == part:
            body = bytearray(body)
            body[at] ^= 1
        return [(name, bytes(body))]
    return change


@pytest.mark.parametrize("change,word", [
    (flip("manifest.json", 60), "signature"), (flip("manifest.sig", 3), "signature"), (flip("advisories.hfdb", 5000), "sha256"), (flip("advisories.hfdb", -1), "sha256"),
    (lambda n, b: [] if n == "manifest.sig" else [(n, b)], "manifest.sig"), (lambda n, b: [("../" + n, b)], "member"), (lambda n, b: [(n, b), (n, b)], ""),
    (lambda n, b: [(n, b[:-10])] if n == "advisories.hfdb" else [(n, b)], "bytes"), (lambda n, b: [(n, b)] + ([("more", b"x")] if n == "advisories.hfdb" else []), "follows"),
    (lambda n, b: [(n, b * 2)] if n == "manifest.sig" else [(n, b)], "manifest.sig"),
], ids=["manifest", "signature", "database", "last byte", "unsigned", "path", "twice", "short", "trailing", "long signature"])
def test_changed_files_are_refused_and_nothing_is_replaced(run, advdb, keys, tmp_path, change, word):
    good, bad, db = tmp_path / "good", tmp_path / "bad", tmp_path / "x.hfdb"
    assert run("db", "export", "--db", advdb, "--key", keys / "a.pem", good)[0] == 0
    assert run("db", "import", "--db", db, "--key", keys / "a.pub", good)[0] == 0
    before = db.read_bytes()
    repack(good, bad, change)
    rc, out, err = run("db", "import", "--db", db, "--key", keys / "a.pub", bad)
    assert rc == 3 and word in err and db.read_bytes() == before
    assert sorted(p.name for p in tmp_path.glob("x.hfdb*")) == ["x.hfdb"]


@pytest.mark.parametrize("cut", [0, 10, 50, 99])
def test_cut_files_are_refused(run, advdb, keys, tmp_path, cut):
    good, bad = tmp_path / "good", tmp_path / "bad"
    assert run("db", "export", "--db", advdb, "--key", keys / "a.pem", good)[0] == 0
    bad.write_bytes(good.read_bytes()[:good.stat().st_size * cut // 100])
    rc, out, err = run("db", "import", "--db", tmp_path / "x.hfdb", "--key", keys / "a.pub", bad)
    assert rc == 3 and not (tmp_path / "x.hfdb").exists()


def test_older_databases_need_a_word(run, advdb, keys, tmp_path):
    old, db = tmp_path / "old", tmp_path / "x.hfdb"
    assert run("db", "export", "--db", advdb, "--key", keys / "a.pem", old)[0] == 0
    time.sleep(1.1)
    assert run("db", "build", "--from", DEMO, "--output", db)[0] == 0
    rc, out, err = run("db", "import", "--db", db, "--key", keys / "a.pub", old)
    assert rc == 2 and "--allow-older" in err
    assert run("db", "import", "--db", db, "--key", keys / "a.pub", "--allow-older", old)[0] == 0


def test_keys_that_are_none(run, advdb, keys, tmp_path):
    rc, out, err = run("db", "export", "--db", advdb, tmp_path / "x")
    assert rc == 2 and "openssl genpkey" in err
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", tmp_path / "rsa.pem"], check=True, capture_output=True)
    rc, out, err = run("db", "export", "--db", advdb, "--key", tmp_path / "rsa.pem", tmp_path / "x")
    assert rc == 3 and "ed25519" in err and not (tmp_path / "x").exists()
