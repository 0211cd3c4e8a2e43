# SPDX-License-Identifier: Apache-2.0
"""SBOMs as input: what an image gives, its SBOM gives; lists of purls; what cannot be used is said."""
import json
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402
from test_scan import BASE, TOP  # noqa: E402


@pytest.fixture
def scan(run, advdb, tmp_path):
    def call(target, *options, fmt="json", input=None):
        rc, out, err = run("scan", "--db", advdb, "--cache-dir", tmp_path / "cache", "--format", fmt, "--quiet", *options, target, input=input)
        return rc, json.loads(out) if out.strip() else None, err
    return call


def found(result):
    names = {p["purl"]: p["name"] for p in result["packages"]}
    return sorted((v["id"], names[v["purl"]]) for v in result["vulnerabilities"])


def test_an_image_and_its_sbom_say_the_same(scan, tmp_path, cyclonedx_schema):
    image = tmp_path / "image.tar"
    mkimage.write_image(str(image), [BASE, TOP])
    _, direct, _ = scan(image)
    _, bom, _ = scan(image, fmt="cyclonedx")
    path = tmp_path / "bom.json"
    path.write_text(json.dumps(bom))
    for target in (f"sbom:{path}", path):
        rc, result, err = scan(target)
        assert rc == 0, err
        assert found(result) == found(direct) and found(result)
        assert sorted(p["purl"] for p in result["packages"]) == sorted(p["purl"] for p in direct["packages"])
        assert result["os"]["id"] == "debian" and result["os"]["version"] == "12"
        where = {p["name"]: p["locations"][0]["path"] for p in result["packages"]}
        assert where["lodash"] == "app/node_modules/lodash/package.json"
        assert {p["name"]: p["licenses"] for p in result["packages"]}["lodash"] == ["MIT"]


def test_an_sbom_of_another_tool(scan, tmp_path):
    """As Syft writes it: upstream qualifiers, location properties, one component twice, a component without purl."""
    component = {"type": "library", "name": "libssl3", "version": "3.0.11-1~deb12u1", "publisher": "Debian OpenSSL Team <x@alioth-lists.debian.net>",
                 "purl": "pkg:deb/debian/libssl3@3.0.11-1~deb12u1?arch=amd64&distro=debian-12&upstream=openssl",
                 "properties": [{"name": "syft:location:0:path", "value": "/var/lib/dpkg/status"}]}
    again = {**component, "bom-ref": "2", "properties": [{"name": "syft:location:0:path", "value": "/usr/lib/x"}]}
    bom = {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [
        component, again, {"type": "operating-system", "name": "debian", "version": "12"}, {"type": "application", "name": "mystery", "version": "1"},
        {"type": "file", "name": "/etc/passwd"}, {"type": "library", "name": "old", "purl": "pkg:deb/debian/bash@4.3-11?distro=debian-8"},
        {"type": "library", "name": "x", "purl": "pkg:swift/github.com/a/b@1.0"}]}
    rc, result, err = scan("sbom:-", input=json.dumps(bom))
    assert rc == 4, err
    assert {p["name"] for p in result["packages"]} == {"libssl3", "bash"}
    libssl = next(p for p in result["packages"] if p["name"] == "libssl3")
    assert [l["path"] for l in libssl["locations"]] == ["var/lib/dpkg/status", "usr/lib/x"]
    assert ("CVE-2023-5363", "libssl3") in found(result) and len(found(result)) == len(set(found(result)))
    assert "another release" in next(p for p in result["packages"] if p["name"] == "bash")["unmatched"]
    reasons = [i["reason"] for i in result["incomplete"]]
    assert len(reasons) == 3 and any("another release" in r for r in reasons) and any("mystery" in r and "no purl" in r for r in reasons) and any("swift" in r for r in reasons)


def test_a_list_of_purls(scan, tmp_path):
    path = tmp_path / "purls.txt"
    path.write_text("# from somewhere\n\npkg:npm/lodash@4.17.15\r\npkg:pypi/Requests@2.19.0\npkg:deb/debian/openssl@3.0.11-1~deb12u1?arch=amd64&distro=debian-12\n")
    rc, result, err = scan(path)
    assert rc == 0, err
    assert {"CVE-2023-5363", "CVE-2018-18074", "CVE-2021-23337"} <= {i for i, _ in found(result)}
    path.write_text("pkg:npm/lodash@4.17.15\nnot a purl\npkg:npm/unversioned\n")
    rc, result, err = scan(path)
    assert rc == 4 and len(result["packages"]) == 1 and len(result["incomplete"]) == 2


@pytest.mark.parametrize("text,code,word", [
    ('{"spdxVersion": "SPDX-2.3"}', 3, "SPDX"), ("<bom/>", 3, "XML"), ("", 3, "empty"), ('{"bomFormat": "Other"}', 3, "bomFormat"), ('{"bomFormat": "CycloneDX", ', 3, "byte"),
    ('{"bomFormat": "CycloneDX", "components": {}}', 3, "list"), ('{"bomFormat":"CycloneDX","components":' + "[" * 100000, 3, "nested"),
])
def test_what_is_no_sbom(scan, tmp_path, text, code, word):
    path = tmp_path / "x"
    path.write_text(text)
    rc, _, err = scan(f"sbom:{path}")
    assert rc == code and word in err and str(path) in err


def test_packages_of_another_release_or_kind_are_not_silently_clean(scan, tmp_path):
    path = tmp_path / "purls"
    path.write_text("pkg:deb/debian/openssl@3.0.11-1~deb12u1?distro=debian-12\npkg:deb/ubuntu/openssl@3.0.2-0ubuntu1?distro=ubuntu-22.04\npkg:rpm/fedora/zlib@1.2-1\n")
    rc, result, err = scan(path)
    assert rc == 4, err
    assert [i["reason"] for i in result["incomplete"]] == ["1 packages are from another release than debian 12, which the others are from: they were not checked",
                                                           "1 packages are not of the kind that debian has: they were not checked"]
    assert {v["purl"].split("@")[0] for v in result["vulnerabilities"]} == {"pkg:deb/debian/openssl"}


@pytest.mark.parametrize("distro", ["debian-12", "12", "bookworm", "debian-12.4"])
def test_ways_to_write_the_release(scan, tmp_path, distro):
    (tmp_path / "purls").write_text(f"pkg:deb/debian/openssl@3.0.11-1~deb12u1?distro={distro}\n")
    rc, result, err = scan(tmp_path / "purls")
    assert rc == 0 and {v["id"] for v in result["vulnerabilities"]} == {"CVE-2023-5363"}, (result["incomplete"], err)


def test_what_the_document_is_about_may_be_a_package(scan, tmp_path):
    for kind, purl, count in (("library", "pkg:npm/lodash@4.17.15", 1), ("container", "pkg:oci/x@sha256:00", 0), ("application", "pkg:generic/app@1", 0)):
        (tmp_path / "bom.json").write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {"component": {"type": kind, "name": "x", "purl": purl}}, "components": []}))
        rc, result, err = scan(tmp_path / "bom.json")
        assert rc == 0 and len(result["packages"]) == count, err


def test_missing_file_and_nothing_named(scan):
    assert scan("sbom:/nonexistent/x")[0] == 3
    assert scan("sbom:")[0] == 2


def test_a_large_document(scan, tmp_path):
    """30,000 components within the ordinary memory."""
    path = tmp_path / "large.json"
    path.write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [
        {"type": "library", "name": f"p{i}", "version": "1.0.0", "purl": f"pkg:npm/p{i}@1.0.0", "licenses": [{"license": {"id": "MIT"}}],
         "properties": [{"name": "syft:location:0:path", "value": f"/a/{i}"}, {"name": "x", "value": "y"}]} for i in range(30000)]}))
    rc, result, err = scan(path)
    assert rc == 0 and len(result["packages"]) == 30000, err
    rc, result, err = scan(path, "--max-memory", "16M")
    assert rc == 3 and ("values" in err or "memory" in err)
