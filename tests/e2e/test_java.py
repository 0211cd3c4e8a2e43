# SPDX-License-Identifier: Apache-2.0
"""Java archives: whose pom.properties is whose (R28), archives in archives, and those that are damaged or hostile."""
import io
import json
import os
import pathlib
import struct
import sys
import zipfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402


def pom(group, artifact, version):
    return f"META-INF/maven/{group}/{artifact}/pom.properties", f"#Created by Apache Maven\nversion={version}\ngroupId={group}\nartifactId={artifact}\n"


def manifest(**fields):
    return "META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n" + "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in fields.items()) + "\r\n"


def jar(*members, how=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as z:
        for name, content in members:
            z.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), content, how)
    return out.getvalue()


LOG4J = jar(manifest(Bundle_SymbolicName="org.apache.logging.log4j.core"), pom("org.apache.logging.log4j", "log4j-core", "2.14.1"), ("org/apache/A.class", b"\xca\xfe" * 500))


@pytest.fixture
def scan(run, advdb, tmp_path):
    def call(files, *options, compress="none"):
        image = tmp_path / f"image-{compress}.tar"
        mkimage.write_image(str(image), [mkimage.tar_of_files(files)], "docker", compress)
        rc, out, err = run("scan", "--db", advdb, "--no-cache", "--format", "json", "--quiet", *options, image, timeout=30)
        return rc, json.loads(out) if out.strip() else None, err
    return call


def found(result):
    return {(p["name"], p["version"], p["locations"][0]["path"]) for p in result["packages"]}


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_log4shell(scan, compress):
    rc, result, err = scan({"opt/app/lib/log4j-core-2.14.1.jar": LOG4J}, compress=compress)
    assert rc == 0, err
    assert found(result) == {("org.apache.logging.log4j:log4j-core", "2.14.1", "opt/app/lib/log4j-core-2.14.1.jar")}
    assert result["packages"][0]["purl"] == "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"
    assert "CVE-2021-44228" in {v["id"] for v in result["vulnerabilities"]}


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_archives_in_archives(scan, how, compress):
    inner = jar(("WEB-INF/lib/log4j-core-2.14.1.jar", LOG4J), manifest(Implementation_Version="7"), how=how)
    ear = jar(("web.war", inner), ("lib/plain-1.5.jar", jar(("x", "y"))), how=how)
    rc, result, err = scan({"srv/all-3.0.ear": ear}, compress=compress)
    assert rc == 0, err
    assert found(result) == {
        ("org.apache.logging.log4j:log4j-core", "2.14.1", "srv/all-3.0.ear!/web.war!/WEB-INF/lib/log4j-core-2.14.1.jar"),
        ("web", "7", "srv/all-3.0.ear!/web.war"), ("plain", "1.5", "srv/all-3.0.ear!/lib/plain-1.5.jar"), ("all", "3.0", "srv/all-3.0.ear")}
    assert "CVE-2021-44228" in {v["id"] for v in result["vulnerabilities"]}


def test_which_of_several_poms_is_the_archive(scan):
    shaded = [pom("org.a", "alpha", "1.0"), pom("org.b", "beta", "2.0"), pom("org.c", "gamma", "3.0")]
    rc, result, err = scan({"a/beta-2.0.jar": jar(*shaded), "b/mine-9.jar": jar(*shaded, manifest(Bundle_SymbolicName="org.example.mine;singleton:=true"))})
    assert rc == 0, err
    names = {(p["name"], p["version"]) for p in result["packages"]}
    assert names == {("org.a:alpha", "1.0"), ("org.b:beta", "2.0"), ("org.c:gamma", "3.0"), ("org.example:mine", "9")}
    assert {l["path"] for p in result["packages"] if p["name"] == "org.b:beta" for l in p["locations"]} == {"a/beta-2.0.jar", "b/mine-9.jar"}


@pytest.mark.parametrize("name,members,want", [
    ("x.jar", [manifest(Implementation_Title="tool", Implementation_Version="4.5.6", Implementation_Vendor_Id="com.example")], ("com.example:tool", "4.5.6")),
    ("lib-1.2.3-SNAPSHOT.jar", [("a", "b")], ("lib", "1.2.3-SNAPSHOT")),
    ("commons-lang3-3.12.0.jar", [manifest(Bundle_SymbolicName="org.apache.commons.commons-lang3", Bundle_Version="3.12.0.x")], ("org.apache.commons:commons-lang3", "3.12.0")),
    ("git.hpi", [manifest(Group_Id="org.jenkins-ci.plugins", Short_Name="git", Plugin_Version="5.2.0")], ("org.jenkins-ci.plugins:git", "5.2.0")),
    ("long.jar", [("META-INF/MANIFEST.MF", "Implementation-Title: a-name-that-\r\n goes-on\r\nImplementation-Version: 1\r\n 23\r\n\r\nName: other\r\nImplementation-Version: 9\r\n")],
     ("a-name-that-goes-on", "123")),
    ("app.jar", [("a", "b")], None),
])
def test_archives_without_a_pom(scan, name, members, want):
    rc, result, err = scan({f"opt/{name}": jar(*members)})
    assert rc == 0, err
    assert {(p["name"], p["version"]) for p in result["packages"]} == ({want} if want else set())


def test_real_archive(scan):
    path = pathlib.Path("/usr/share/java/commons-lang3.jar")
    if not path.exists():
        pytest.skip("libcommons-lang3-java is not installed")
    rc, result, err = scan({"lib/commons-lang3.jar": path.resolve().read_bytes()})
    assert rc == 0, err
    with zipfile.ZipFile(path) as z:
        lines = next(z.read(n) for n in z.namelist() if n.endswith("pom.properties")).decode().split()
    version = next(l.split("=")[1] for l in lines if l.startswith("version="))
    assert {(p["name"], p["version"]) for p in result["packages"]} == {("org.apache.commons:commons-lang3", version)}


def test_behind_a_prefix_and_with_64_bit_sizes(scan):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z, z.open("META-INF/maven/g/a/pom.properties", "w", force_zip64=True) as f:
        f.write(b"groupId=g.h\nartifactId=a\nversion=1.0\n")
    rc, result, err = scan({"bin/run.jar": b"#!/bin/sh\nexec java -jar $0\n" + LOG4J, "lib/a.jar": out.getvalue()})
    assert rc == 0, err
    assert {p["name"] for p in result["packages"]} == {"org.apache.logging.log4j:log4j-core", "g.h:a"}


def test_forty_deep(scan):
    inner = LOG4J
    for i in range(40):
        inner = jar((f"n{i}.jar", inner), how=zipfile.ZIP_STORED if i % 2 else zipfile.ZIP_DEFLATED)
    rc, result, err = scan({"deep-1.jar": inner})
    assert rc == 4 and any("8 deep" in i["reason"] for i in result["incomplete"]), err


def again(archive, n):
    """The archive with the entries of its directory n times: all point at the same data."""
    end = archive.rindex(b"PK\5\6")
    size, off = struct.unpack_from("<II", archive, end + 12)
    count = struct.unpack_from("<H", archive, end + 10)[0]
    return archive[:off] + archive[off:off + size] * n + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, n * count, n * count, size * n, off, 0)


def test_bombs_end(scan):
    rc, result, err = scan({"bomb-1.jar": jar(("zero-1.jar", b"\0" * (70 << 20)))})
    assert rc == 4 and any("zero-1.jar" in i["reason"] for i in result["incomplete"]), err
    assert ("bomb", "1", "bomb-1.jar") in found(result)
    rc, result, err = scan({"many-1.jar": again(jar(("z.jar", b"\0" * (30 << 20))), 60000)})
    assert rc == 4 and any("unpack to more than" in i["reason"] for i in result["incomplete"]) and len(result["incomplete"]) < 60, err


def test_one_member_listed_again_and_again(scan):
    """Bounded by the number of members, and listed once."""
    rc, result, err = scan({"again-2.jar": again(jar(("lib/x-1.0.jar", jar(("a", "b"))), how=zipfile.ZIP_STORED), 60000)})
    assert rc == 0, err
    assert found(result) == {("again", "2", "again-2.jar"), ("x", "1.0", "again-2.jar!/lib/x-1.0.jar")}


@pytest.mark.parametrize("cut", [1, 10, 30, 60, 90, 99])
def test_cut_archives_are_said(scan, cut):
    rc, result, err = scan({"lib/log4j-core-2.14.1.jar": LOG4J[:len(LOG4J) * cut // 100]})
    assert rc == 4 and result["incomplete"][0]["path"] == "lib/log4j-core-2.14.1.jar", err


def test_every_changed_byte_ends_well(scan):
    files = {}
    for at in range(0, len(LOG4J), 7):
        bad = bytearray(LOG4J)
        bad[at] ^= 0xFF
        files[f"l/{at}/log4j-core-2.14.1.jar"] = bytes(bad)
    rc, result, err = scan(files)
    assert rc in (0, 4), err
    seen = {l["path"] for p in result["packages"] for l in p["locations"]} | {i["path"] for i in result["incomplete"]}
    assert seen == set(files)  # found by one way or another, or listed


def test_encrypted_and_unknown_members(scan):
    z = bytearray(LOG4J)
    at = z.index(b"PK\1\2", z.index(b"PK\1\2") + 4)
    z[at + 8] |= 1
    rc, result, err = scan({"lib/log4j-core-2.14.1.jar": bytes(z)})
    assert rc == 4 and any("encrypted" in i["reason"] for i in result["incomplete"]), err
    assert ("org.apache.logging.log4j:log4j-core" in {p["name"] for p in result["packages"]}) is False


def test_other_things_with_such_names(scan):
    rc, result, err = scan({"a.rar": b"Rar!\x1a\x07\0" + b"x" * 100, "b.far": b"x" * 100, "empty.jar": b""})
    assert rc == 0 and result["packages"] == [], err
