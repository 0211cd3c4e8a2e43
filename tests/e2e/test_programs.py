# SPDX-License-Identifier: Apache-2.0
"""Programs that say what they were built from: Go build information, Rust audit sections, in every place a layer can hold them."""
import json
import os
import struct
import subprocess
import sys
import zlib

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402


@pytest.fixture
def scan(run, advdb, tmp_path):
    def call(files, *options, compress="none"):
        image = tmp_path / f"image-{compress}.tar"
        mkimage.write_image(str(image), [mkimage.tar_of_files(files)], "docker", compress)
        rc, out, err = run("scan", "--db", advdb, "--no-cache", "--format", "json", "--quiet", *options, image)
        return rc, json.loads(out) if out.strip() else None, err
    return call


def packages(result, kind):
    return {(p["name"], p["version"]) for p in result["packages"] if p["type"] == kind}


def with_section(tmp_path, name, content):
    """A real program of this machine with one section more."""
    (tmp_path / "section").write_bytes(content)
    out = tmp_path / "program"
    subprocess.run(["objcopy", "--add-section", f"{name}={tmp_path / 'section'}", "/bin/true", out], check=True)
    return out.read_bytes()


AUDIT = {"packages": [
    {"name": "adler", "version": "1.0.2", "source": "crates.io"}, {"name": "time", "version": "0.1.43", "source": "crates.io", "dependencies": [0]},
    {"name": "cc", "version": "1.0.83", "source": "crates.io", "kind": "build"}, {"name": "mytool", "version": "0.3.0", "source": "local", "dependencies": [0, 1], "root": True}]}


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_rust_audit_section(scan, tmp_path, compress):
    program = with_section(tmp_path, ".dep-v0", zlib.compress(json.dumps(AUDIT).encode()))
    rc, result, err = scan({"usr/bin/mytool": program}, compress=compress)
    assert rc == 0, err
    assert packages(result, "cargo") == {("adler", "1.0.2"), ("time", "0.1.43"), ("cc", "1.0.83"), ("mytool", "0.3.0")}
    cc = next(p for p in result["packages"] if p["name"] == "cc")
    assert cc["dev"] is True and cc["purl"] == "pkg:cargo/cc@1.0.83" and cc["locations"][0]["path"] == "usr/bin/mytool"


@pytest.mark.parametrize("content,word", [
    (b"not zlib", "zlib"), (zlib.compress(b"x" * 1000)[:-20], "zlib"), (zlib.compress(b"{}"), "no packages"), (zlib.compress(b"[" * 5000), "nested"),
    (zlib.compress(b'{"packages":[{"name":"a"},{"name":"b","version":"1"}]}'), "1 entries"), (zlib.compress(b" " * (200 << 20)), "more than"),
], ids=["no zlib", "cut off", "no list", "deep", "no version", "bomb"])
def test_damaged_audit_sections_are_said(scan, tmp_path, content, word):
    rc, result, err = scan({"usr/bin/x": with_section(tmp_path, ".dep-v0", content)})
    assert rc == 4 and any(word in i["reason"] for i in result["incomplete"]), (result["incomplete"], err)


def uvarint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def buildinfo(modules, toolchain="go1.21.4", inline=True):
    mark = bytes(range(16))
    text = mark + modules.encode() + mark
    body = b"\xff Go buildinf:" + bytes([8, 2 if inline else 0]) + b"\0" * 16
    return body + uvarint(len(toolchain)) + toolchain.encode() + uvarint(len(text)) + text


MODULES = ("path\texample.com/tool\nmod\texample.com/tool\tv1.2.3\th1:x=\ndep\tgolang.org/x/net\tv0.7.0\th1:x=\n"
           "dep\texample.com/old\tv1.0.0\n=>\texample.com/new\tv1.0.1\th1:x=\nbuild\t-compiler=gc\n")
GO = {("stdlib", "1.21.4"), ("example.com/tool", "v1.2.3"), ("golang.org/x/net", "v0.7.0"), ("example.com/new", "v1.0.1")}


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("before", [0, 70 << 20])
def test_go_program_of_any_size(scan, tmp_path, compress, before):
    """70 MiB before the information: more than is held in memory of a compressed layer's file."""
    program = with_section(tmp_path, ".go.buildinfo", buildinfo(MODULES))
    if before:
        at = program.index(b"\xff Go buildinf:")
        decoy = b"text \xff Go buildinf: in a message" + b"\0" * 5  # not where a header lies
        elf = bytearray(program[:at]) + decoy
        program = bytes(elf) + b"\0" * (before - len(elf)) + buildinfo(MODULES) + b"\0" * (8 << 20)
        if compress == "none":  # found by its section there
            program = with_section(tmp_path, ".go.buildinfo", buildinfo(MODULES)) + b"\0" * before
    rc, result, err = scan({"usr/bin/tool": program}, compress=compress)
    assert rc == 0, (err, result and result["incomplete"])
    assert packages(result, "golang") == GO


def test_large_program_of_before_go_1_18_is_said(scan, tmp_path):
    """Its strings lie elsewhere, so it must be held whole: read a second time when it fits, listed when it does not."""
    program = with_section(tmp_path, ".x", b"x") + b"\0" * (70 << 20)
    program += b"\0" * (-len(program) % 16) + buildinfo(MODULES, inline=False)
    rc, result, err = scan({"usr/bin/tool": program}, compress="gzip")
    assert rc == 4 and any("--max-memory" in i["reason"] and i["path"] == "usr/bin/tool" for i in result["incomplete"])
    rc, result, err = scan({"usr/bin/tool": program}, "--max-memory", "512M", compress="gzip")
    assert rc == 0, err  # no section says that it is Go's: nothing of it is believed


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_large_rust_program(scan, tmp_path, compress):
    """Found by the name of its section, which comes last: the layer is read a second time for it."""
    (tmp_path / "fill").write_bytes(os.urandom(1 << 20) * 20)
    (tmp_path / "section").write_bytes(zlib.compress(json.dumps(AUDIT).encode()))
    subprocess.run(["objcopy", "--add-section", f".fill={tmp_path / 'fill'}", "--add-section", f".dep-v0={tmp_path / 'section'}", "/bin/true", tmp_path / "p"], check=True)
    rc, result, err = scan([("usr/bin/a", b"x"), ("usr/bin/big", (tmp_path / "p").read_bytes()), ("usr/bin/z", b"x")], compress=compress)
    assert rc == 0, err
    assert len(packages(result, "cargo")) == 4 and result["packages"][0]["locations"][0]["path"] == "usr/bin/big"


def test_large_file_that_is_nobodys_needs_no_mention(scan, tmp_path):
    rc, result, err = scan({"usr/lib/big.so": with_section(tmp_path, ".x", b"x") + os.urandom(1 << 20) * 70}, compress="gzip")
    assert rc == 0 and result["packages"] == [] and result["incomplete"] == [], err


def pclntab(names, magic=0xFFFFFFF1):
    """The part of Go's line table that holds the names of functions: header of Go 1.20 and a table of names."""
    table = b"\0".join(n.encode() for n in names) + b"\0"
    head = struct.pack("<IHBB", magic, 0, 1, 8) + struct.pack("<8Q", len(names), 1, 0x401000, 72, 72 + len(table), 0, 0, 0)
    return head + table


@pytest.fixture(scope="module")
def go_db(run, tmp_path_factory):
    d = tmp_path_factory.mktemp("go")
    def record(i, imports, name="golang.org/x/net"):
        return {"id": i, "modified": "2026-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "Go", "name": name}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "9.0.0"}]}],
                "ecosystem_specific": {"imports": imports}}]}
    records = [record("GO-2026-0001", [{"path": "golang.org/x/net/html", "symbols": ["Parse", "parser.reset"]}]),
               record("GO-2026-0002", [{"path": "golang.org/x/net/http2", "symbols": ["Framer.ReadFrame"]}]),
               record("GO-2026-0003", [{"path": "golang.org/x/net/idna"}]),
               record("GO-2026-0004", [{"path": "golang.org/x/net/html", "symbols": ["Render"]}, {"path": "golang.org/x/net/idna"}]),
               record("GO-2026-0005", [{"path": "net/http", "symbols": ["Get"]}], "stdlib"), record("GO-2026-0006", [{"path": "net/http", "symbols": ["Post"]}], "stdlib"),
               record("GO-2026-0007", [{"path": "example.com/new", "symbols": ["F"]}], "example.com/new")]
    for r in records:
        (d / (r["id"] + ".json")).write_text(json.dumps(r))
    rc, _, err = run("db", "build", "--from", d, "--output", d / "x.hfdb")
    assert rc == 0, err
    return d / "x.hfdb"


def test_only_what_is_linked_is_reported(run, scan, go_db, tmp_path):
    """R27: a record that names functions counts where one of them is in the program; one that names none, or not all, always."""
    names = ["go:buildid", "main.main", "net/http.Get", "golang.org/x/net/html.Tokenizer", "golang.org/x/net/html.(*parser).reset", "golang.org/x/net/http2.(*Framer).WriteFrame", "example.com/old.G"]
    with_section(tmp_path, ".go.buildinfo", buildinfo(MODULES))
    (tmp_path / "names").write_bytes(pclntab(names))
    subprocess.run(["objcopy", "--add-section", f".gopclntab={tmp_path / 'names'}", tmp_path / "program", tmp_path / "linked"], check=True)
    linked = (tmp_path / "linked").read_bytes()
    rc, result, err = scan({"usr/bin/tool": linked}, "--db", go_db)
    assert rc in (0, 4), err
    assert {v["id"] for v in result["vulnerabilities"]} == {"GO-2026-0001", "GO-2026-0003", "GO-2026-0004", "GO-2026-0005", "GO-2026-0007"}
    image = tmp_path / "image-none.tar"
    rc, out, err = run("scan", "--db", go_db, "--no-cache", "--quiet", "--why-not", "GO-2026-0002", image)
    assert "none of the 1 symbols" in out and "R27" in out
    # the same module in a program that does not say what it links: everything may be
    rc, result, err = scan({"usr/bin/tool": linked, "usr/bin/other": (tmp_path / "program").read_bytes()}, "--db", go_db)
    assert len({v["id"] for v in result["vulnerabilities"]}) == 7, err
    # through the cache
    for _ in range(2):
        mkimage.write_image(str(image), [mkimage.tar_of_files({"usr/bin/tool": linked})])
        rc, out, err = run("scan", "--db", go_db, "--cache-dir", tmp_path / "cache", "--format", "json", "--quiet", image)
        assert len(json.loads(out)["vulnerabilities"]) == 5, err


@pytest.mark.parametrize("compress", ["none", "gzip"])
@pytest.mark.parametrize("large", [False, True])
def test_a_program_is_found_under_each_of_its_names(run, advdb, tmp_path, compress, large):
    """A hard link keeps a program when a higher layer removes the name that it was stored under."""
    program = with_section(tmp_path, ".go.buildinfo", buildinfo(MODULES)) + bytes(6 << 20 if large else 0)
    names = [("tmp/x", program), ("usr/bin/tool", ("hardlink", "tmp/x")), ("usr/bin/other", ("hardlink", "usr/bin/tool")), ("opt/y", program), ("opt/y", b"else"), ("opt/z", ("hardlink", "opt/y"))]
    for top, places in ({}, ["tmp/x", "usr/bin/other", "usr/bin/tool"]), ({"tmp/.wh.x": b""}, ["usr/bin/other", "usr/bin/tool"]):
        mkimage.write_image(str(tmp_path / "image.tar"), [mkimage.tar_of_files(names), mkimage.tar_of_files(top)], "docker", compress)
        rc, out, err = run("scan", "--db", advdb, "--no-cache", "--format", "json", tmp_path / "image.tar")
        result = json.loads(out)
        assert rc == 0, (err, result["incomplete"])
        assert packages(result, "golang") == GO
        assert [l["path"] for p in result["packages"] if p["name"] == "stdlib" for l in p["locations"]] == places


@pytest.mark.parametrize("compress", ["none", "gzip"])
@pytest.mark.parametrize("sections", [(0, 0, 0, 0), (64, 3, 0xffff, 0x1000), (7, 3, 1, 0x1000), (64, 3, 1, 1 << 40), (64, 3, 1, 0x40)], ids=["none", "no names", "size", "outside", "rubbish"])
def test_a_program_with_damaged_sections_is_read_by_its_segments(scan, compress, sections):
    """Linux runs a program whatever its section headers say."""
    size, count, names, where = sections
    info = buildinfo(MODULES)
    elf = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x401000, 64, where, 0, 64, 56, 1, size, count, names)
    elf += struct.pack("<IIQQQQQQ", 1, 6, 0x1000, 0x401000, 0x401000, len(info), len(info), 0x1000)
    rc, result, err = scan({"usr/bin/tool": elf.ljust(0x1000, b"\0") + info}, compress=compress)
    assert rc == 0, (err, result["incomplete"])
    assert packages(result, "golang") == GO


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_damaged_build_information_is_said(scan, tmp_path, compress):
    whole = buildinfo(MODULES)
    for damaged in (whole[:40], whole[:32] + b"\xff" * 9 + whole[41:], whole[:-200]):
        elf = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x401000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        elf += struct.pack("<IIQQQQQQ", 1, 6, 0x1000, 0x401000, 0x401000, len(damaged), len(damaged), 0x1000)
        rc, result, err = scan({"usr/bin/tool": elf.ljust(0x1000, b"\0") + damaged}, compress=compress)
        assert rc == 4 and result["incomplete"][0]["path"] == "usr/bin/tool", result
