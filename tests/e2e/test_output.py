# SPDX-License-Identifier: Apache-2.0
"""What a scan writes: the JSON contract, CycloneDX, the table, exit codes, explanations."""
import json
import os
import pathlib
import re
import subprocess

import jsonschema
import pytest

from test_scan import BASE, OS_RELEASE, TOP, mkimage, stanza

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "image.tar"
    mkimage.write_image(str(path), [BASE, TOP])
    return path


@pytest.fixture
def scan(holdfast, advdb, tmp_path):
    def run(*options):
        return holdfast("scan", "--db", advdb, "--cache-dir", tmp_path / "cache", *options)
    return run


def test_json_follows_its_schema_and_says_what_is_known(scan, image):
    rc, out, err = scan("--format", "json", image)
    assert rc == 0, err
    result = json.loads(out)
    jsonschema.validate(result, json.loads((ROOT / "docs/schema/scan-1.json").read_text()))
    found = {(v["name"], v["id"]): v for v in result["vulnerabilities"]}
    assert set(found) == {("openssl", "CVE-2023-5363"), ("requests", "CVE-2018-18074"), ("requests", "CVE-2023-32681"), ("lodash", "CVE-2021-23337")}
    v = found["openssl", "CVE-2023-5363"]
    assert v["fixed_in"] == ["3.0.11-1~deb12u2"] and v["severity"] == "high" and v["status"] == "fixed"
    assert v["why"][0]["rule"] == "R1" and v["why"][0]["namespace"] == "debian:12" and v["why"][0]["installed"] == "3.0.11-1~deb12u1"
    assert v["layer"] == "sha256:" + mkimage.sha256(BASE)
    purls = {p["name"]: p["purl"] for p in result["packages"]}
    assert purls["openssl"] == "pkg:deb/debian/openssl@3.0.11-1~deb12u1?arch=amd64&distro=debian-12"
    assert purls["requests"] == "pkg:pypi/requests@2.19.0" and purls["lodash"] == "pkg:npm/lodash@4.17.15"
    assert {p["name"]: p.get("owned_by") for p in result["packages"]}["six"] == "python3-six"
    assert any("demonstration" in w for w in result["warnings"])


def test_cyclonedx_has_what_the_json_has(scan, image):
    rc, out, err = scan("--format", "cyclonedx", image)
    assert rc == 0, err
    bom = json.loads(out)
    assert bom["bomFormat"] == "CycloneDX" and bom["specVersion"] == "1.6"
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", bom["serialNumber"])
    refs = [c["bom-ref"] for c in bom["components"]]
    assert len(refs) == len(set(refs)) == 7
    assert {v["id"] for v in bom["vulnerabilities"]} == {"CVE-2023-5363", "CVE-2018-18074", "CVE-2023-32681", "CVE-2021-23337"}
    assert all(a["ref"] in refs for v in bom["vulnerabilities"] for a in v["affects"])


def test_cyclonedx_passes_the_official_schema(scan, image, cyclonedx_schema):
    bom = json.loads(scan("--format", "cyclonedx", image)[1])
    cyclonedx_schema.validate(bom)
    by_name = {c["name"]: c for c in bom["components"]}
    assert by_name["lodash"]["licenses"] == [{"license": {"id": "MIT"}}]
    bom["components"][0]["type"] = "nonsense"  # the validator does validate
    assert not cyclonedx_schema.is_valid(bom)


def test_same_input_same_bytes_whatever_the_number_of_threads(scan, image):
    env = {"SOURCE_DATE_EPOCH": "1720000000"}
    outputs = set()
    for jobs in ("1", "4"):
        rc, out, _ = scan("--format", "cyclonedx", "--no-cache", "-j", jobs, image)
        outputs.add(re.sub(r'"timestamp": "[^"]*"', "", out))
    assert env and len(outputs) == 1


def test_table(scan, image):
    rc, out, err = scan(image)
    assert rc == 0 and err == ""
    lines = out.splitlines()
    assert any(re.match(r"high +CVE-2023-5363 +openssl +3\.0\.11-1~deb12u1 +3\.0\.11-1~deb12u2", line) for line in lines)
    assert "4 vulnerabilities: 3 high, 1 medium; 4 with a fix" in out
    assert "\033" not in out and "\033[" in scan("--color", "always", image)[1]


@pytest.mark.parametrize("command", [["rules", "list"], ["scan"], ["db", "show", "CVE-2021-44228"], ["seal", "show"], ["policy", "check"]], ids=lambda c: c[0])
def test_a_reader_that_left_needs_no_message_but_a_full_disk_does(binary, image, advdb, tmp_path, command):
    policy, seal = tmp_path / "policy.yaml", tmp_path / "image.seal"
    policy.write_text("- policy: web\n  match: {image: \"web*\"}\n  no_shells: true\n")
    subprocess.run([binary, "seal", "--no-cache", "-o", seal, image], check=True, timeout=60)
    more = {"scan": ["--db", advdb, image], "db": ["--db", advdb], "seal": [seal], "policy": [policy]}
    args = [binary, *command, *more.get(command[0], [])]
    r, w = os.pipe()
    os.close(r)
    with os.fdopen(w) as gone, open("/dev/full", "w") as full:
        p = subprocess.run(args, stdout=gone, stderr=subprocess.PIPE, text=True, timeout=60)
        assert (p.returncode, p.stderr) == (3, "")
        p = subprocess.run(args, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert p.returncode == 3 and "could not be written" in p.stderr, p.stderr


def test_several_formats_at_once(scan, image, tmp_path):
    rc, out, err = scan("--format", "table", "--format", f"json={tmp_path}/a.json", "--format", f"cyclonedx={tmp_path}/b.json", image)
    assert rc == 0, err
    assert "4 vulnerabilities" in out
    assert json.loads((tmp_path / "a.json").read_text())["schema"] == "holdfast.scan/1"
    assert json.loads((tmp_path / "b.json").read_text())["bomFormat"] == "CycloneDX"


@pytest.mark.parametrize("level,code", [("critical", 0), ("high", 1), ("medium", 1), ("low", 1)])
def test_fail_on(scan, image, level, code):
    assert scan("--fail-on", level, image)[0] == code


def test_why_and_why_not(scan, image):
    out = scan("--why", image)[1]
    assert "R1: HFDEMO-" in out and "3.0.11-1~deb12u1 is before the fixed version 3.0.11-1~deb12u2" in out
    rc, out, _ = scan("--why-not", "CVE-2019-10744", image)
    assert rc == 0 and "lodash 4.17.15" in out and "fixed version 4.17.12" in out
    assert "is not in the advisory database" in scan("--why-not", "CVE-1999-0001", image)[1]
    assert "other systems and ecosystems only" in scan("--why-not", "CVE-2021-44228", image)[1]


def test_text_from_the_image_cannot_move_the_cursor(scan, tmp_path):
    path = tmp_path / "image.tar"
    evil = mkimage.tar_of_files([("app/package.json", json.dumps({"name": "lod\x1b[2Jash\u202e", "version": "1\r\n2"}).encode()),
                                 ("etc/os-release", b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="\x1b[31mred"\n')])
    mkimage.write_image(str(path), [evil])
    for fmt in ("table", "json"):
        out = scan("--format", fmt, path)[1]
        assert "\x1b" not in out and "\u202e" not in out.replace("\\u202e", "") or fmt == "json"
        assert "\x1b" not in out


def test_what_was_not_looked_for_is_not_clean(scan, image):
    rc, out, err = scan("--no-vulnerabilities", "--no-cache", image)
    assert rc == 0 and out.rstrip().endswith("vulnerabilities were not looked for") and "0 vulnerabilities" not in out
    rc, out, err = scan("--no-vulnerabilities", "--no-cache", "--format", "json", image)
    assert json.loads(out)["summary"]["matched"] is False
    rc, out, err = scan("--no-vulnerabilities", "--no-cache", "--format", "cyclonedx", image)
    assert "vulnerabilities" not in json.loads(out)
    for option in (["--fail-on", "low"], ["--why-not", "CVE-2021-44228"]):
        rc, out, err = scan("--no-vulnerabilities", *option, image)
        assert rc == 2 and option[0] in err


def test_fail_on_says_what_it_does_not_count(holdfast, tmp_path):
    record = {"id": "X-1", "modified": "2024-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "bad"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}]}
    (tmp_path / "X-1.json").write_text(json.dumps(record))
    env = {"SOURCE_DATE_EPOCH": "1704067200"}
    assert holdfast("db", "build", "--from", tmp_path / "X-1.json", "--output", tmp_path / "x.hfdb", env=env)[0] == 0
    rc, out, err = holdfast("scan", "--db", tmp_path / "x.hfdb", "--fail-on", "low", "sbom:-", input="pkg:npm/bad@1.0.0\n", env=env)
    assert rc == 0 and "--fail-on does not count 1 vulnerabilities whose severity no source says (0 of them known to be exploited)" in out
    rc, out, err = holdfast("scan", "--db", tmp_path / "x.hfdb", "sbom:-", input="# nothing\n", env=env)
    assert rc == 0 and "no packages were found" in out


def test_zero_is_said_only_with_whole_data(holdfast, tmp_path):
    record = {"id": "X-1", "modified": "2024-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "bad"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}]}
    (tmp_path / "feed").mkdir()
    (tmp_path / "feed" / "X-1.json").write_text(json.dumps(record))
    db, purls = tmp_path / "x.hfdb", tmp_path / "purls"
    env = lambda day: {"SOURCE_DATE_EPOCH": str(1704067200 + day * 86400)}
    assert holdfast("db", "build", "--from", tmp_path / "feed", "--output", db, env=env(0))[0] == 0
    last = lambda day, text: (purls.write_text(text), holdfast("scan", "--db", db, "sbom:" + str(purls), env=env(day)))[1][1].splitlines()[-1]
    assert last(1, "pkg:npm/good@1.0.0\n") == "0 vulnerabilities"
    assert last(100, "pkg:npm/good@1.0.0\n") == "no vulnerability is known to advisories that are not whole (see the warnings)"
    assert last(1, "pkg:npm/good@1.0.0\nrubbish\n") == "no vulnerability is known; not everything could be examined"


def test_packages_of_one_source_share_a_line_and_unmatched_ones_are_named(holdfast, tmp_path):
    record = {"id": "DEBIAN-CVE-2024-0001", "modified": "2024-01-01T00:00:00Z", "upstream": ["CVE-2024-0001"],
              "affected": [{"package": {"ecosystem": "Debian:12", "name": "util-linux"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.39-1"}]}]}]}
    (tmp_path / "feed").mkdir()
    (tmp_path / "feed" / "X-1.json").write_text(json.dumps(record))
    names = ["bsdutils", "mount", "util-linux"]
    layer = mkimage.tar_of_files({"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": b"".join(
        [stanza(n, "2.38.1-5", "Source: util-linux\n").encode() for n in names] + [stanza("docker-ce", "5:24").replace("x@debian.org", "support@docker.com").encode()])})
    mkimage.write_image(str(tmp_path / "image.tar"), [layer])
    env = {"SOURCE_DATE_EPOCH": "1704153600"}
    assert holdfast("db", "build", "--from", tmp_path / "feed", "--output", tmp_path / "x.hfdb", env=env)[0] == 0
    rc, out, err = holdfast("scan", "--db", tmp_path / "x.hfdb", "--no-cache", tmp_path / "image.tar", env=env)
    lines = [l.split() for l in out.splitlines() if "CVE-2024-0001" in l]
    assert rc == 0 and lines == [["unknown", "CVE-2024-0001", "bsdutils", "+2", "of", "util-linux", "2.38.1-5", "2.39-1"]], (out, err)
    assert "\n3 vulnerabilities: 3 unknown; 3 with a fix\n" in out
    assert "unmatched: 1 package (docker-ce): packaged by Docker Inc." in out
    rc, out, err = holdfast("scan", "--db", tmp_path / "x.hfdb", "--no-cache", "--why", tmp_path / "image.tar", env=env)
    assert sum("CVE-2024-0001" in l for l in out.splitlines()) >= 3
    rc, out, err = holdfast("scan", "--db", tmp_path / "x.hfdb", "--no-cache", "--format", "cyclonedx", tmp_path / "image.tar", env=env)
    assert {"name": "holdfast:unmatched", "value": "packaged by Docker Inc."} in next(c for c in json.loads(out)["components"] if c["name"] == "docker-ce")["properties"]


def test_no_database_says_what_to_do(holdfast, image, tmp_path):
    rc, out, err = holdfast("scan", "--db", tmp_path / "none.hfdb", "--no-cache", image)
    assert rc == 3 and out == "" and "holdfast db build" in err
    rc, out, err = holdfast("scan", "--no-vulnerabilities", "--no-cache", "--format", "json", image)
    assert rc == 0 and len(json.loads(out)["packages"]) == 6


def test_a_release_without_data_is_not_clean(scan, tmp_path):
    path = tmp_path / "image.tar"
    layer = mkimage.tar_of_files([("etc/os-release", b"ID=ubuntu\nVERSION_ID=\"22.04\"\n"), ("var/lib/dpkg/status", b"Package: a\nStatus: install ok installed\nVersion: 1\n")])
    mkimage.write_image(str(path), [layer])
    rc, out, _ = scan("--format", "json", path)
    result = json.loads(out)
    assert rc == 4 and any("ubuntu:22.04" in i["reason"] for i in result["incomplete"])


def test_end_of_life(scan, tmp_path):
    path = tmp_path / "image.tar"
    layer = mkimage.tar_of_files([("etc/os-release", b"ID=debian\nVERSION_ID=10\n"), ("var/lib/dpkg/status", b"Package: sudo\nStatus: install ok installed\nVersion: 1.8.27-1\n")])
    mkimage.write_image(str(path), [layer])
    result = json.loads(scan("--format", "json", path)[1])
    assert result["os"]["ended"] is True and any("2024-07-01" in w or "2024-06-30" in w for w in result["warnings"])
    assert {v["id"] for v in result["vulnerabilities"]} == {"CVE-2021-3156"}


def test_what_another_source_mentions_is_no_coverage(holdfast, tmp_path):
    """An npm feed whose records name a few packages of PyPI does not make PyPI looked at (R20)."""
    record = {"id": "GHSA-aaaa-aaaa-aaaa", "modified": "2024-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": e, "name": "both"}, "ranges": [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]} for e in ("npm", "PyPI")]}
    (tmp_path / "npm").mkdir()
    (tmp_path / "npm" / "GHSA-aaaa-aaaa-aaaa.json").write_text(json.dumps(record))
    env = {"SOURCE_DATE_EPOCH": "1704153600"}
    assert holdfast("db", "build", "--from", tmp_path / "npm", "--output", tmp_path / "x.hfdb", env=env)[0] == 0
    for purl, code, count in (("pkg:npm/other@1.0.0", 0, 0), ("pkg:pypi/django@3.0", 4, 0), ("pkg:pypi/both@1.0", 4, 1)):
        rc, out, err = holdfast("scan", "--db", tmp_path / "x.hfdb", "--format", "json", "sbom:-", input=purl + "\n", env=env)
        result = json.loads(out)
        assert rc == code and len(result["vulnerabilities"]) == count, out
        assert bool(result["incomplete"]) == (code == 4)
        assert any("no catalogue of what is known to be exploited (KEV) and no chances of exploitation (EPSS)" in w for w in result["warnings"])


def test_a_kernel_counts_where_one_may_run(holdfast, tmp_path):
    """R30: in an image no kernel runs; a folder may be a machine's."""
    record = {"id": "DEBIAN-CVE-2024-0001", "modified": "2024-01-01T00:00:00Z", "upstream": ["CVE-2024-0001"],
              "affected": [{"package": {"ecosystem": "Debian:12", "name": "linux"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]}
    (tmp_path / "X-1.json").write_text(json.dumps(record))
    files = {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": b"".join(stanza(n, "6.1.1-1", "Source: linux\n").encode() for n in ("linux-libc-dev", "linux-image-6.1.0-1-amd64"))}
    mkimage.write_image(str(tmp_path / "image.tar"), [mkimage.tar_of_files(files)])
    for name, content in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_bytes(content)
    env = {"SOURCE_DATE_EPOCH": "1704153600"}
    assert holdfast("db", "build", "--from", tmp_path / "X-1.json", "--output", tmp_path / "x.hfdb", env=env)[0] == 0
    for target, counted in ((tmp_path / "image.tar", []), (f"dir:{tmp_path / 'root'}", ["linux-image-6.1.0-1-amd64"])):
        result = json.loads(holdfast("scan", "--db", tmp_path / "x.hfdb", "--no-cache", "--format", "json", target, env=env)[1])
        assert len(result["vulnerabilities"]) == 2 and [v["name"] for v in result["vulnerabilities"] if not v.get("kernel_class")] == counted


def test_the_table_names_the_layer_that_could_not_be_read(scan, tmp_path):
    mkimage.write_image(str(tmp_path / "image.tar"), [BASE, TOP[:1700], BASE])
    rc, out, err = scan("--no-vulnerabilities", "--no-cache", tmp_path / "image.tar")
    assert rc == 4 and "\nnot examined: layer 2 of 3: the layer could not be read to its end" in out
