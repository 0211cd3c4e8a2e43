# SPDX-License-Identifier: Apache-2.0
"""Java archives: whose pom.properties is whose (R28), archives in archives, and those that are damaged or hostile."""
import io
import json
import os
import pathlib
import struct
import sys
import zipfile
import zlib

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


def test_archives_that_say_nothing_are_counted(scan):
    rc, result, err = scan({"a/app.jar": jar(("x.class", "y")), "b/all.ear": jar(("in.war", jar(("WEB-INF/lib/log4j-core-2.14.1.jar", LOG4J))), manifest(Implementation_Version="1"))})
    assert rc == 0 and {p["name"] for p in result["packages"]} == {"all", "org.apache.logging.log4j:log4j-core"}
    assert [w for w in result["warnings"] if "Java" in w] == ["2 Java archives say no version, such as app.jar: what is in them by themselves is not known"]


def test_suffix_in_upper_case(scan):
    assert found(scan({"opt/LOG.JAR": LOG4J})[1]) == {("org.apache.logging.log4j:log4j-core", "2.14.1", "opt/LOG.JAR")}


def test_an_archive_that_does_not_say_its_group_is_never_clean(scan, run, tmp_path):
    record = {"id": "GHSA-xxxx-xxxx-0001", "modified": "2024-01-01T00:00:00Z", "aliases": ["CVE-2015-7501"], "affected": [
        {"package": {"ecosystem": "Maven", "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "5.3.1"}]}]}
        for name in ("commons-collections:commons-collections", "org.springframework:spring-core")]}
    (tmp_path / "feed").mkdir()
    (tmp_path / "feed" / "GHSA-xxxx-xxxx-0001.json").write_text(json.dumps(record))
    env = {"SOURCE_DATE_EPOCH": "1704153600"}
    assert run("db", "build", "--from", tmp_path / "feed", "--output", tmp_path / "x.hfdb", env=env)[0] == 0
    mkimage.write_image(str(tmp_path / "image.tar"), [mkimage.tar_of_files({f"app/{n}.jar": jar(("x", "y")) for n in ("commons-collections-3.2.1", "spring-core-5.3.0")})])
    args = ("scan", "--db", tmp_path / "x.hfdb", "--no-cache")
    result = json.loads(run(*args, "--format", "json", tmp_path / "image.tar", env=env)[1])
    assert [(v["id"], v["name"]) for v in result["vulnerabilities"]] == [("CVE-2015-7501", "commons-collections")]
    assert {p["name"]: p.get("unmatched", "")[:3] for p in result["packages"]} == {"commons-collections": "", "spring-core": "R28"}
    assert "unmatched: 1 package (spring-core): R28" in run(*args, tmp_path / "image.tar", env=env)[1]
    assert "spring-core 5.3.0 (maven): not matched: R28" in run(*args, "--why-not", "CVE-2015-7501", tmp_path / "image.tar", env=env)[1]


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


def entries(local, members):
    """An archive whose directory has these (name, method, packed, size, crc) at offset 0 of the same local bytes."""
    directory = b"".join(struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, method, 0, 0, crc, packed, size, len(name), 0, 0, 0, 0, 0, 0) + name
                         for name, method, packed, size, crc in members)
    return local + directory + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, len(members), len(members), len(directory), len(local), 0)


def same(name, content, times, method=0, plain=None):
    """An archive that lists one member again and again."""
    size, crc = (len(content), zlib.crc32(content)) if plain is None else (len(plain), zlib.crc32(plain))
    local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, method, 0, 0, crc, len(content), size, len(name), 0) + name + content
    return entries(local, [(name, method, len(content), size, crc)] * times)


@pytest.mark.parametrize("count", [0, 1])
def test_a_count_that_is_too_low_hides_nothing(scan, count):
    bad = bytearray(LOG4J)
    at = bad.rindex(b"PK\5\6")
    struct.pack_into("<HH", bad, at + 8, count, count)
    rc, result, err = scan({"lib/app.jar": bytes(bad)})
    assert rc == 0 and found(result) == {("org.apache.logging.log4j:log4j-core", "2.14.1", "lib/app.jar")}, err


def test_a_nested_archive_that_lies_hides_nothing_else(scan):
    n = 2 << 20
    lies = (struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, n, n, 0, 0) + struct.pack("<IIQI", 0x07064B50, 0, 0, 1)
            + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    rc, result, err = scan({"a/app-1.0.war": jar(pom("org.x", "app", "1.0"), ("WEB-INF/lib/bad.jar", lies), ("WEB-INF/lib/log4j-core-2.14.1.jar", LOG4J))})
    assert rc == 4 and [i["reason"].startswith("java: in WEB-INF/lib/bad.jar: zip: ") for i in result["incomplete"]] == [True], err
    assert {p["name"] for p in result["packages"]} == {"org.x:app", "org.apache.logging.log4j:log4j-core"}


def test_nested_things_with_such_names(scan):
    rc, result, err = scan({"e-1.0.jar": jar(("r/x.rar", b"Rar!\x1a\x07\0" + b"x" * 100), ("y.par", b"x"), ("z.far", b"x" * 50)), "short.far": b"xyz"})
    assert rc == 0 and {p["name"] for p in result["packages"]} == {"e"}, err


@pytest.mark.parametrize("inner", [b"P" * 65557, jar(("a", "b")), b"PK\5\6" + bytes(18)])
def test_small_files_of_many_archives_end(scan, inner):
    """90 000 archives to open in a file of less than 100 KB."""
    rc, result, err = scan({"c-1.jar": same(b"m.jar", same(b"i.jar", inner, 300), 300)})
    assert rc in (0, 4) and ("c", "1", "c-1.jar") in found(result), err
    assert rc == 0 or any("unpack to more than" in i["reason"] for i in result["incomplete"])


@pytest.mark.parametrize("name", [b"META-INF/maven/g/a/pom.properties", b"META-INF/MANIFEST.MF", b"x.jar"])
def test_overlapping_members_that_unpack_to_little_end(scan, name):
    """Deflated data of empty blocks: a lot to read, nothing comes out."""
    plain = b""
    blocks = b"\0\0\0\xff\xff" * ((4 << 20) // 5) + b"\3\0"
    rc, result, err = scan({"b-1.jar": same(name, blocks, 5000, 8, plain=plain)})
    assert ("b", "1", "b-1.jar") in found(result), err
    assert name == b"x.jar" or (rc == 4 and any("unpack to more than" in i["reason"] for i in result["incomplete"]))  # an empty x.jar is nothing
