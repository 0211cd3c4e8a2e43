# SPDX-License-Identifier: Apache-2.0
"""Programs that say what they were built from: Go build information, Rust audit sections, in every place a layer can hold them."""
import json
import os
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
