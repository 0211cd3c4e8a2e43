# SPDX-License-Identifier: Apache-2.0
"""The inventory by its commands: scans go in, a new database is matched without images, and says what a scan with it would say; incidents of what runs."""
import json
import os
import pathlib
import shutil
import sqlite3
import sys
import zipfile

import jsonschema
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402

from conftest import SHARED  # noqa: E402
from test_scan import BASE, TOP, stanza  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
EPOCH = {"SOURCE_DATE_EPOCH": "1795700000"}

ALPINE = mkimage.tar_of_files([
    ("etc/os-release", b'ID=alpine\nVERSION_ID=3.18.2\nPRETTY_NAME="Alpine Linux v3.18"\n'), ("etc/apk/repositories", b"https://dl-cdn.alpinelinux.org/alpine/v3.18/main\n"),
    ("lib/apk/db/installed", "".join(f"C:Q1/xX3AuJ2gno9b4H0eB1M98RmeE=\nP:{n}\nV:{v}\nA:x86_64\no:{o}\n\n" for n, v, o in (
        ("libcrypto3", "3.1.1-r1", "openssl"), ("libssl3", "3.1.1-r1", "openssl"), ("busybox", "1.36.1-r0", "busybox"), ("curl", "8.1.2-r0", "curl"), ("zlib", "1.2.13-r1", "zlib"))).encode()),
    ("app/node_modules/lodash/package.json", b'{"name": "lodash", "version": "4.17.15"}'), ("app/node_modules/minimist/package.json", b'{"name": "minimist", "version": "0.0.8"}'),
])
UBUNTU = mkimage.tar_of_files([
    ("etc/os-release", b'ID=ubuntu\nVERSION_ID="20.04"\nPRETTY_NAME="Ubuntu 20.04.6 LTS"\n'), ("var/lib/ubuntu-advantage/private/machine-token.json", b"{}"),
    ("var/lib/dpkg/status", "".join(stanza(n, v, f"Source: {s}\n") for n, v, s in (
        ("libssl1.1", "1.1.1f-1ubuntu2", "openssl"), ("curl", "7.68.0-1ubuntu2", "curl"), ("vim", "2:8.1.2269-1ubuntu5+esm1", "vim"), ("linux-libc-dev", "5.4.0-100.113", "linux"))).encode()),
])


def host():
    """This machine's own packages, a program in Go, Python packages of the distribution and others: hundreds, as real images have them."""
    files = [("etc/os-release", pathlib.Path("/etc/os-release").read_bytes()), ("var/lib/dpkg/status", pathlib.Path("/var/lib/dpkg/status").read_bytes())]
    go = next((p for p in ("/usr/sbin/dockerd", "/usr/sbin/runc", "/usr/bin/containerd", "/usr/bin/podman") if os.path.exists(p)), None)
    if go:
        files.append(("usr/local/bin/program", pathlib.Path(go).read_bytes()))
    for path in sorted(pathlib.Path("/usr/lib/python3/dist-packages").glob("*.dist-info/METADATA"))[:40]:
        files.append((str(path)[1:], path.read_bytes()))
    for path in sorted(pathlib.Path("/var/lib/dpkg/info").glob("python3-*.list"))[:200]:
        files.append((str(path)[1:], path.read_bytes()))
    files.append(("usr/local/lib/python3.11/site-packages/requests-2.19.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: requests\nVersion: 2.19.0\n\n"))
    return mkimage.tar_of_files(files)


IMAGES = {"debian": lambda: [BASE, TOP], "alpine": lambda: [ALPINE], "ubuntu": lambda: [UBUNTU], "host": lambda: [host()]}


@pytest.fixture(scope="module")
def databases(run, tmp_path_factory):
    """A: of two thirds of the records, without EPSS, KEV and the distributions' own lists; B: all."""
    path = tmp_path_factory.mktemp("databases")
    if SHARED.is_dir():
        for name in ("Debian", "Ubuntu", "Alpine", "Go", "PyPI", "npm"):
            (path / "a" / name).mkdir(parents=True)
            with zipfile.ZipFile(SHARED / name / "all.zip") as z, zipfile.ZipFile(path / "a" / name / "all.zip", "w") as to:
                for i, entry in enumerate(sorted(z.namelist())):
                    if i % 3:
                        to.writestr(entry, z.read(entry))
        full = SHARED
    else:
        full = ROOT / "data/demo-advisories"
        shutil.copytree(full, path / "a")
        for f in sorted((path / "a").rglob("*.json"))[::3]:
            f.unlink()
    for name, source in (("a", path / "a"), ("b", full)):
        rc, _, err = run("db", "build", "--quiet", "--from", source, "--output", path / f"{name}.hfdb", timeout=300)
        assert rc in (0, 4), err
    return path / "a.hfdb", path / "b.hfdb"


def scan(run, image, db, to):
    rc, _, err = run("scan", "--db", db, "--no-cache", "--state", to.parent / "none", "--format", "json", "--output", to, image, env=EPOCH)
    assert rc in (0, 4), err
    doc = json.loads(to.read_text())
    jsonschema.validate(doc, json.loads((ROOT / "docs/schema/scan-1.json").read_text()))
    return doc


def findings(run, store, image):
    rc, out, err = run("inventory", "findings", "--json", "--store", f"sqlite:{store}", image)
    assert rc == 0, err
    rows = json.loads(out)["findings"]
    assert all(row.pop("found") for row in rows)
    return rows


@pytest.mark.parametrize("image", IMAGES)
def test_a_rematch_says_what_a_scan_would(run, databases, tmp_path, image):
    a, b = databases
    tar = tmp_path / "image.tar"
    mkimage.write_image(str(tar), IMAGES[image]())
    before = scan(run, tar, a, tmp_path / "a.json")
    scan(run, tar, b, tmp_path / "b.json")
    digest = before["image"]["digest"]
    for name in "ab":
        rc, out, err = run("inventory", "add", "--store", f"sqlite:{tmp_path}/{name}.db", tmp_path / f"{name}.json")
        assert rc == 0 and out.strip() == digest, err
    old, new = findings(run, tmp_path / "a.db", digest), findings(run, tmp_path / "b.db", digest)
    rc, out, err = run("inventory", "rematch", "--json", "--db", b, "--store", f"sqlite:{tmp_path}/a.db")
    assert rc == 0, err
    counts = json.loads(out)
    assert counts["images"] == 1 and counts["packages"] == len(before["packages"]) and counts["failed"] == 0
    assert new and new != old and counts["added"] > 0, "the two databases say the same of this image: the test would show nothing"
    assert findings(run, tmp_path / "a.db", digest) == new
    # and the other way: what is withdrawn goes
    rc, out, err = run("inventory", "rematch", "--json", "--db", a, "--store", f"sqlite:{tmp_path}/b.db")
    assert rc == 0 and json.loads(out)["removed"] == counts["added"], err
    assert findings(run, tmp_path / "b.db", digest) == old
    rc, out, err = run("inventory", "rematch", "--json", "--db", a, "--store", f"sqlite:{tmp_path}/b.db")
    assert rc == 0 and json.loads(out)["current"] == 1 and json.loads(out)["images"] == 0


def test_new_advisories_of_what_runs_become_incidents(run, databases, tmp_path):
    a, b = databases
    store, digests = f"sqlite:{tmp_path}/s.db", {}
    for name in ("debian", "alpine"):
        mkimage.write_image(str(tmp_path / f"{name}.tar"), IMAGES[name]())
        digests[name] = scan(run, tmp_path / f"{name}.tar", a, tmp_path / f"{name}.json")["image"]["digest"]
        assert run("inventory", "add", "--store", store, tmp_path / f"{name}.json")[0] == 0
    with sqlite3.connect(tmp_path / "s.db") as db:  # what the daemon writes when containers start
        db.execute("INSERT INTO containers VALUES(?, 'h', ?, ?, ?, 1, 0, 1, ?)",
                   ("ab" * 32, "web-<script>", "shop/web:1", digests["alpine"], json.dumps({"labels": {"team": "shop\x1b[1m"}, "pod": {"namespace": "shop", "name": "web-0"}})))
    rc, out, err = run("inventory", "rematch", "--incidents", "--db", b, "--store", store)
    assert rc == 0 and "incidents are new" in out, err
    rc, out, err = run("incident", "list", "--json", "--store", store)
    listed = json.loads(out)["incidents"] if isinstance(json.loads(out), dict) else json.loads(out)
    assert 1 <= len(listed) <= 3, out
    schema = json.loads((ROOT / "docs/schema/incident-1.json").read_text())
    for each in listed:
        rc, out, err = run("incident", "export", "--format", "json", "--store", store, each["id"])
        doc = json.loads(out)
        jsonschema.validate(doc, schema)
        assert doc["vulnerabilities"] and all(v["image_digest"] == digests["alpine"] for v in doc["vulnerabilities"])
        assert doc["containers"][0]["labels"] == {"team": "shop\\x1b[1m"} and doc["containers"][0]["pod"]["namespace"] == "shop"
        assert "web-<script>" in doc["title"] and doc["advice"]
        for fmt in ("html", "markdown", "stix"):
            rc, out, err = run("incident", "export", "--format", fmt, "--store", store, each["id"])
            assert rc == 0 and doc["vulnerabilities"][0]["id"] in out and (fmt != "html" or "<script>" not in out), err
    # nothing runs from it any longer
    with sqlite3.connect(tmp_path / "s.db") as db:
        db.execute("UPDATE containers SET ended = 2")
    rc, out, err = run("inventory", "rematch", "--incidents", "--db", b, "--store", store)
    assert rc == 0 and f"{len(listed)} ended" in out, out
    rc, out, err = run("audit", "verify", "--store", store)
    assert rc == 0, err


def test_lists(run, advdb, tmp_path):
    mkimage.write_image(str(tmp_path / "i.tar"), [BASE, TOP])
    scan(run, tmp_path / "i.tar", advdb, tmp_path / "i.json")
    store = f"sqlite:{tmp_path}/s.db"
    rc, digest, err = run("inventory", "add", "--store", store, "-", input=(tmp_path / "i.json").read_text())
    assert rc == 0, err
    rc, out, err = run("inventory", "images", "--json", "--store", store)
    images = json.loads(out)["images"]
    assert rc == 0 and len(images) == 1 and images[0]["digest"] == digest.strip() and images[0]["running"] == 0
    assert [layer["packages"] for layer in images[0]["doc"]["layers"]] == [2, 4] and images[0]["doc"]["size"] == sum(layer["size"] for layer in images[0]["doc"]["layers"])
    assert "lodash" in images[0]["doc"]["layers"][1]["names"]
    rc, out, err = run("inventory", "packages", "--json", "--store", store, digest.strip()[7:19])
    assert rc == 0 and {p["name"] for p in json.loads(out)["packages"]} == {"base-files", "openssl", "python3-six", "six", "requests", "lodash"}
    rc, out, err = run("inventory", "findings", "--json", "--store", store, digest.strip())
    rows = json.loads(out)["findings"]
    assert rc == 0 and rows
    rc, out, err = run("inventory", "findings", "--json", "--store", store, rows[0]["id"])
    assert {row["image_digest"] for row in json.loads(out)["findings"]} == {digest.strip()}
    for command in (("images",), ("containers",), ("hosts",), ("packages", digest.strip()), ("findings", digest.strip())):
        rc, out, err = run("inventory", *command[:1], "--store", store, *command[1:])
        assert rc == 0 and out.count("\n") >= 1, err
    assert run("inventory", "packages", "--store", store, "nothing")[0] == 3
    assert run("inventory", "images", "--store", f"sqlite:{tmp_path}/none.db")[0] == 3


@pytest.mark.parametrize("text,says", [("", "scan"), ("{}", "holdfast.scan/1"), ('{"schema":"holdfast.scan/1"}', "of no image"), ("[" * 10000, "scan")])
def test_what_is_no_scan_is_refused(run, tmp_path, text, says):
    rc, out, err = run("inventory", "add", "--store", f"sqlite:{tmp_path}/s.db", "-", input=text)
    assert rc in (2, 3) and says in err


def test_what_is_in_use_is_marked(run, advdb, tmp_path):
    mkimage.write_image(str(tmp_path / "i.tar"), [BASE, TOP])
    digest = scan(run, tmp_path / "i.tar", advdb, tmp_path / "i.json")["image"]["digest"]
    store = f"sqlite:{tmp_path}/s.db"
    assert run("inventory", "add", "--store", store, tmp_path / "i.json")[0] == 0
    folder = tmp_path / "state/inuse"
    folder.mkdir(parents=True)
    (folder / (digest.replace(":", "-") + ".json")).write_text(json.dumps({"schema": "holdfast.inuse-state/1", "image": digest, "name": "shop/web:1", "since": 1700000000, "packages": [
        {"package": "openssl 3.0.11-1~deb12u1", "first": 1700000100, "last": 1700000300, "mapped": True, "listens": True, "root": True}]}))
    rc, out, err = run("inuse", "--json", "--state", tmp_path / "state")
    assert rc == 0, err
    rc, out, err = run("inventory", "add", "--store", store, "-", input=out)
    assert rc == 0 and out == "1 packages marked\n", err
    rc, out, err = run("inventory", "findings", "--json", "--in-use", "--store", store, digest)
    rows = json.loads(out)["findings"]
    assert rows and {(r["package"], r["vulnerability"]["in_use"]["state"]) for r in rows} == {("openssl", "act_now")}
    rc, out, err = run("inventory", "packages", "--in-use", "--json", "--store", store, digest)
    assert [p["name"] for p in json.loads(out)["packages"]] == ["openssl"]


def test_retain_counts_first_and_then_does_it(run, tmp_path):
    store = tmp_path / "s.db"
    assert run("inventory", "rematch", "--store", f"sqlite:{store}", "--db", tmp_path / "none.hfdb")[0] == 3  # makes the store
    with sqlite3.connect(store) as db:
        db.execute("INSERT INTO alerts VALUES(1, 1, '', 'r', 3, 'c', 2, '{}'), (2, 9000000000000000000, '', 'r', 3, 'c', 2, '{}')")
        db.execute("INSERT INTO containers VALUES('c', 'h', 'n', 'i', 'sha256:a', 1, 2, 1, '{}')")
        db.execute("INSERT INTO images VALUES('sha256:a', 'i', 3, '{}')")
    rc, out, err = run("store", "retain", "--dry-run", "--json", "--store", f"sqlite:{store}")
    assert rc == 0 and json.loads(out) == {"alerts": 1, "incidents": 0, "containers": 1, "images": 1, "dead_letters": 0, "notes": 0}, err
    rc, out, err = run("store", "retain", "--store", f"sqlite:{store}")
    assert rc == 0 and "alerts             1 deleted" in out
    rc, out, err = run("store", "retain", "--dry-run", "--json", "--store", f"sqlite:{store}")
    assert set(json.loads(out).values()) == {0}
