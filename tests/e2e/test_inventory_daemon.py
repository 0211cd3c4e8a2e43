# SPDX-License-Identifier: Apache-2.0
"""The daemon keeps the inventory: what runs is there with its labels, its image is scanned by itself, and a new advisory about it is an incident and a message."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import uuid

import pytest

from test_daemon import daemon, pytestmark, until, user  # noqa: F401 (fixtures)
from test_docker import overlay  # noqa: F401 (a fixture)
from test_local_images import index_archive
from test_runtimes import containerd  # noqa: F401 (a fixture)
from test_scan import mkimage, stanza

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEW = {"schema_version": "1.7.0", "id": "HFTEST-0001", "modified": "2026-11-27T00:00:00Z", "published": "2026-11-27T00:00:00Z", "aliases": ["CVE-2030-12345"],
       "summary": "Anybody may run programs", "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
       "affected": [{"package": {"ecosystem": "Debian:12", "name": "openssl"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.99-1"}]}]}]}


@pytest.fixture
def box(overlay):  # noqa: F811
    name = "inv" + uuid.uuid4().hex[:8]
    layer = mkimage.tar_of_files([("etc/os-release", b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n'), ("var/lib/dpkg/status", (stanza("openssl", "3.0.11-1") + stanza("zlib1g", "1.2.13-1")).encode()),
                                  ("bin/busybox", pathlib.Path("/bin/busybox").read_bytes()), ("run/id", name.encode())])
    mode = ["--change", "LABEL team=shop", "--change", "LABEL note=<script>"]
    overlay("import", *mode, "-", f"hf/{name}:1", input=layer)
    yield name
    subprocess.run(overlay.command("rm", "-f", name), env=overlay.env(), capture_output=True)
    subprocess.run(overlay.command("rmi", "-f", f"hf/{name}:1"), env=overlay.env(), capture_output=True)


def database(run, path, *records):
    """As `db update` does it: beside it, then renamed."""
    source = path.parent / f"advisories-{len(records)}"
    shutil.copytree(ROOT / "data/demo-advisories", source)
    for f in source.glob("*.json"):
        if '"openssl"' in f.read_text():
            f.unlink()
    for i, record in enumerate(records):
        (source / f"new-{i}.json").write_text(json.dumps(record))
    rc, _, err = run("db", "build", "--quiet", "--from", source, "--output", path)
    assert rc == 0, err
    path.chmod(0o644)


def test_a_new_advisory_about_what_runs_is_an_incident_and_a_message(run, daemon, overlay, box):  # noqa: F811
    db = daemon.path / "advisories.hfdb"
    database(run, db)
    daemon.settings["db"]["path"] = db
    daemon.settings["daemon"]["scan"] = "yes"
    daemon.settings["docker"] = {"host": overlay.host}
    routes = daemon.path / "notify.yaml"  # only what has the label of the container reaches the channel
    routes.write_text(routes.read_text().replace("{severity: notice}", "{labels: {team: shop}}"))
    assert "team: shop" in routes.read_text()
    daemon.start()
    overlay("run", "-d", "--name", box, "--network", "none", f"hf/{box}:1", "/bin/busybox", "sleep", "1000")
    full = overlay.text("inspect", "-f", "{{.Id}}", box)
    digest = overlay.text("inspect", "-f", "{{.Image}}", box)

    def inventory(what, *options):
        return json.loads(daemon.run("inventory", what, "--json", "--store", daemon.store, *options))[what]
    row = until(lambda: next((c for c in inventory("containers", "--running") if c["id"] == full), None))
    assert row and row["name"] == box and row["image"] == f"hf/{box}:1" and row["image_digest"] == digest, daemon.log()
    assert row["doc"]["labels"] == {"team": "shop", "note": "<script>"}
    image = until(lambda: next((i for i in inventory("images") if i["digest"] == digest and "scanned" in i), None), 60)
    assert image and image["running"] == 1 and image["name"] == f"hf/{box}:1", (daemon.log(), inventory("images"))
    assert {p["name"] for p in inventory("packages", digest)} >= {"openssl", "zlib1g"} and not [f for f in inventory("findings", digest) if f["package"] == "openssl"]
    assert any(h["id"] == row["host"] for h in inventory("hosts"))
    # the advisory comes
    began = time.time()
    database(run, db, NEW)
    found = until(lambda: next((i for i in daemon.incidents() if "CVE-2030-12345" in i["title"]), None), 60)
    assert found, daemon.log()
    print(f"from the beginning of the build of the database to the incident: {time.time() - began:.1f} s")
    doc = daemon.show(found["id"])
    assert doc["severity"] == "critical" and [c["id"] for c in doc["containers"]] == [full] and doc["containers"][0]["labels"]["note"] == "<script>"
    assert [(v["id"], v["package"], v["fixed"]) for v in doc["vulnerabilities"]] == [("CVE-2030-12345", "openssl", "3.0.99-1")]
    assert until(lambda: daemon.hook.about("CVE-2030-12345")), daemon.log()
    assert [f["id"] for f in inventory("findings", digest) if f["package"] == "openssl"] == ["CVE-2030-12345"]
    # its container goes
    overlay("rm", "-f", box)
    assert until(lambda: next((c for c in inventory("containers") if c["id"] == full and not c["running"]), None)), daemon.log()
    assert "1 ended" in daemon.run("inventory", "rematch", "--incidents", "--db", db, "--store", daemon.store) or daemon.show(found["id"])["state"] == "resolved"
    assert daemon.show(found["id"])["state"] == "resolved"


def test_what_was_accepted_is_neither_found_nor_told(run, daemon, overlay, box):  # noqa: F811
    """daemon.ignore_file holds for the scan of what runs and for new advisories; a change of it is looked at by itself."""
    db, accepted = daemon.path / "advisories.hfdb", daemon.path / "ignore.yaml"
    entry = "- id: {}\n  reason: only reached by administrators\n  owner: ann\n  expires: 2099-12-31\n"
    accepted.write_text(entry.format("CVE-2030-12345"))
    accepted.chmod(0o644)
    database(run, db, NEW)
    daemon.settings["db"]["path"] = db
    daemon.settings["daemon"].update(scan="yes", ignore_file=accepted)
    daemon.settings["docker"] = {"host": overlay.host}
    daemon.start()
    overlay("run", "-d", "--name", box, "--network", "none", f"hf/{box}:1", "/bin/busybox", "sleep", "1000")
    digest = overlay.text("inspect", "-f", "{{.Image}}", box)

    def findings():
        rows = json.loads(daemon.run("inventory", "findings", "--json", "--store", daemon.store, digest))["findings"]
        return {f["id"]: bool(f["vulnerability"].get("ignored")) for f in rows if f["package"] == "openssl"}

    def scanned():
        return next((i for i in json.loads(daemon.run("inventory", "images", "--json", "--store", daemon.store))["images"] if i["digest"] == digest and "scanned" in i), None)
    assert until(scanned, 120), daemon.log()
    assert findings() == {"CVE-2030-12345": True}
    # another one comes, which is accepted as well
    more = {**NEW, "id": "HFTEST-0002", "aliases": ["CVE-2030-99999"]}
    accepted.write_text(entry.format("CVE-2030-12345") + entry.format("CVE-2030-99999"))
    database(run, db, NEW, more)
    assert until(lambda: findings() == {"CVE-2030-12345": True, "CVE-2030-99999": True}, 120), daemon.log()
    assert not [i for i in daemon.incidents() if "CVE-2030" in i["title"]]
    # nobody accepts the first any longer: by the file alone it counts again
    accepted.write_text(entry.format("CVE-2030-99999"))
    assert until(lambda: findings() == {"CVE-2030-12345": False, "CVE-2030-99999": True}, 120), daemon.log()
    # a file that is wrong changes nothing, and says so
    accepted.write_text("- id: CVE-2030-12345\n  resaon: x\n")
    assert until(lambda: "resaon" in daemon.log(), 60)
    assert findings() == {"CVE-2030-12345": False, "CVE-2030-99999": True}


def test_what_ended_unseen_has_ended_and_what_runs_on_runs(daemon, overlay, box):  # noqa: F811
    daemon.settings["docker"] = {"host": overlay.host}
    daemon.start()
    overlay("run", "-d", "--name", box, "--network", "none", f"hf/{box}:1", "/bin/busybox", "sleep", "1000")
    full = overlay.text("inspect", "-f", "{{.Id}}", box)

    def running():
        return full in [c["id"] for c in json.loads(daemon.run("inventory", "containers", "--json", "--running", "--store", daemon.store))["containers"]]
    assert until(running), daemon.log()
    # the hub alone is killed: nobody names an idle container to the next one, which must not take it for gone
    hub = daemon.running("hub")["pid"]
    os.kill(hub, signal.SIGKILL)
    assert until(lambda: (lambda p: p and p["pid"] != hub)(daemon.running("hub"))), daemon.log()
    assert daemon.end() == 0  # writes all it knows
    assert running()
    # it ends while nobody watches
    overlay("rm", "-f", box)
    daemon.start()
    assert until(lambda: not running()), daemon.log()
    assert until(lambda: "containers ended while nobody watched" in daemon.log()), daemon.log()


def test_an_image_that_only_containerd_has(run, daemon, containerd, tmp_path):  # noqa: F811
    """Scanned once, from the store on the disk, and known by the digest of the index by which its runtime knows it."""
    reference = f"registry.example.org/inventory/{uuid.uuid4().hex[:8]}:1"
    layer = mkimage.tar_of_files([("etc/os-release", b'ID=debian\nVERSION_ID="12"\n'), ("var/lib/dpkg/status", (stanza("openssl", "3.0.11-1") + stanza("zlib1g", "1.2.13-1")).encode()),
                                  ("bin/busybox", pathlib.Path("/bin/busybox").read_bytes())])
    index, _ = index_archive(tmp_path / "i.tar", reference, {"linux/amd64": [layer], "linux/arm64": [mkimage.tar_of_files({"a": b"b"})]})
    containerd.ctr("images", "import", tmp_path / "i.tar")
    db = daemon.path / "advisories.hfdb"
    database(run, db, NEW)
    daemon.settings["db"]["path"] = db
    daemon.settings["daemon"]["scan"] = "yes"
    daemon.settings["containerd"] = {"root": containerd.root / "root"}
    daemon.settings["docker"] = {"host": "unix:///nonexistent/sock"}
    daemon.start()
    name = "inv" + uuid.uuid4().hex[:8]
    containerd.ctr("run", "-d", reference, name, "/bin/busybox", "sleep", "1000")
    try:
        def inventory(what, *options):
            return json.loads(daemon.run("inventory", what, "--json", "--store", daemon.store, *options))[what]
        image = until(lambda: next((i for i in inventory("images") if i["digest"] == index and "scanned" in i and i["running"] == 1), None), 60)
        assert image and image["name"] == reference, (daemon.log(), inventory("images"))
        assert {p["name"] for p in inventory("packages", index)} == {"openssl", "zlib1g"} and [f["id"] for f in inventory("findings", index) if f["package"] == "openssl"] == ["CVE-2030-12345"]
        assert f"scan of {index}" in daemon.log() and f"scan of container:{name}" not in daemon.log()
    finally:
        containerd.ctr("tasks", "rm", "-f", name, check=False)
        containerd.ctr("containers", "rm", name, check=False)
