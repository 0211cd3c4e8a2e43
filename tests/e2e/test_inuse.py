# SPDX-License-Identifier: Apache-2.0
"""A scan sorted by which packages are in use; what was kept, damaged and foreign."""
import json
import os
import pathlib
import sys

import jsonschema
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402

from test_scan import stanza  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYER = mkimage.tar_of_files({
    "etc/os-release": b"ID=debian\nVERSION_ID=12\n",
    "var/lib/dpkg/status": "".join(stanza(n, v) for n, v in (("curl", "7.88.1-10+deb12u1"), ("openssl", "3.0.9-1"), ("glibc", "2.36-9"), ("openssh", "1:9.2p1-2"))).encode(),
})


@pytest.fixture
def scanned(run, advdb, tmp_path):
    mkimage.write_image(str(tmp_path / "i.tar"), [LAYER], "docker", "none")

    def scan(*options):
        return run("scan", f"docker-archive:{tmp_path}/i.tar", "--db", advdb, "--no-cache", "--state", tmp_path / "state", *options)
    return scan


def keep(tmp_path, digest, text):
    folder = tmp_path / "state" / "inuse"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / (digest.replace(":", "-") + ".json")).write_text(text)


STATE = {"schema": "holdfast.inuse-state/1", "image": "x", "name": "shop/web:1", "since": 1700000000, "packages": [
    {"package": "curl 7.88.1-10+deb12u1", "first": 1700000100, "last": 1700000200, "ran": True},
    {"package": "openssl 3.0.9-1", "first": 1700000100, "last": 1700000300, "mapped": True, "listens": True, "root": True},
    {"package": "openssh 1:9.2p1-1", "first": 1700000100, "last": 1700000300, "ran": True}]}  # another version


def test_nothing_watched_is_said(run, tmp_path):
    rc, out, err = run("inuse", "--state", tmp_path)
    assert rc == 0 and out.startswith("no image has been watched") and err == ""
    rc, out, err = run("inuse", "--json", "--state", tmp_path)
    assert rc == 0 and json.loads(out)["images"] == [] and err == ""


def test_vulnerabilities_are_sorted_by_use(scanned, run, tmp_path):
    rc, out, err = scanned("--format", "json")
    before = json.loads(out)
    assert rc == 0 and all("in_use" not in v for v in before["vulnerabilities"])
    keep(tmp_path, before["image"]["digest"], json.dumps(STATE))
    rc, out, err = scanned("--format", "json")
    doc = json.loads(out)
    jsonschema.validate(doc, json.loads((ROOT / "docs/schema/scan-1.json").read_text()))
    use = {v["name"]: v["in_use"] for v in doc["vulnerabilities"]}
    assert use["openssl"]["state"] == "act_now" and use["openssl"]["root"] and use["openssl"]["first"] == "2023-11-14T22:15:00Z" and use["openssl"]["last"] == "2023-11-14T22:18:20Z"
    assert use["curl"]["state"] == "used" and not use["curl"]["root"]
    assert use["glibc"] == {"state": "never"} and use["openssh"] == {"state": "never"}
    rc, out, err = scanned()
    rows = [line for line in out.splitlines() if "CVE-" in line and ("act now" in line or "in use" in line or "never used" in line)]
    assert [next(p for p in ("openssl", "curl", "glibc", "openssh") if p in line) for line in rows[:2]] == ["openssl", "curl"], out
    assert len(rows) == 4 and all("never used" in line for line in rows[2:])
    rc, out, err = run("inuse", "shop/web:1", "--state", tmp_path / "state", "--json")
    assert rc == 0
    doc = json.loads(out)
    jsonschema.validate(doc, json.loads((ROOT / "docs/schema/inuse-1.json").read_text()))
    assert [p["name"] for p in doc["images"][0]["packages"]] == ["curl", "openssl", "openssh"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "holdfast.inuse-state/1", "packages": 7}', '{"schema": "other"}', "{\"schema\": \"holdfast.inuse-state/1\", \"packages\": [" + "[" * 300])
def test_what_is_damaged_is_said_and_stops_nothing(scanned, run, tmp_path, text):
    digest = json.loads(scanned("--format", "json")[1])["image"]["digest"]
    keep(tmp_path, digest, text)
    rc, out, err = scanned("--format", "json")
    doc = json.loads(out)
    assert rc == 0 and len(doc["vulnerabilities"]) == 4
    if "packages\": 7" not in text:
        assert any("in use" in w for w in doc["warnings"]), doc["warnings"]
        rc, out, err = run("inuse", "--state", tmp_path / "state")
        assert rc == 3 and digest[7:] in err
