# SPDX-License-Identifier: Apache-2.0
"""Images made to break scanners: every one ends in time, within its memory, with a clear answer, and touches nothing outside."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import struct
import subprocess
import sys
import tarfile
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402

STATUS = b"Package: good\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0\nMaintainer: x\nDescription: x\n\n"
RELEASE = ("etc/os-release", b"ID=debian\nVERSION_ID=12\n")
GOOD = [RELEASE, ("var/lib/dpkg/status", STATUS)]
MEMORY = 64 << 20        # --max-memory
BASE = 64 << 20          # what the program and its libraries take apart from it
SANITIZED = "asan" in os.environ.get("HF_BIN", "")


class Answer:
    def __init__(self, rc, out, err, seconds, rss):
        self.rc, self.err, self.seconds, self.rss = rc, err, seconds, rss
        self.json = json.loads(out) if out.strip() else None
        self.names = {p["name"] for p in self.json["packages"]} if self.json else set()
        self.reasons = [i["path"] + ": " + i["reason"] for i in self.json["incomplete"]] if self.json else []


def peak(pid):
    """Highest resident set so far. Not ru_maxrss: that begins with the size of the process that forked, which is this one."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        exe = os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return 0
    return 0 if "python" in exe else next((int(l.split()[1]) << 10 for l in lines if l.startswith("VmHWM")), 0)


@pytest.fixture
def scan(binary, tmp_path):
    """Runs a scan with small memory; checks what must hold whatever the input: no signal, at most 10 s, bounded memory, an answer."""
    def call(target, *options, max_memory=MEMORY):
        out, err = tmp_path / "out", tmp_path / "err"
        before = sorted(p for p in tmp_path.rglob("*") if p not in (out, err))
        argv = [str(binary), "scan", "--no-vulnerabilities", "--no-cache", "--quiet", "--format", "json", "--max-memory", str(max_memory), *options, str(target)]
        start = time.monotonic()
        with open(out, "wb") as o, open(err, "wb") as e:
            p = subprocess.Popen(argv, stdout=o, stderr=e, stdin=subprocess.DEVNULL, cwd=tmp_path)
            rss = 0
            while os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
                rss = max(rss, peak(p.pid))
                time.sleep(0.002)
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
        a = Answer(p.returncode, out.read_text(errors="replace"), err.read_text(errors="replace"), time.monotonic() - start, rss)
        assert a.rc in (0, 3, 4), (a.rc, a.err)
        assert usage.ru_utime + usage.ru_stime < (100 if SANITIZED else 10), "over ten seconds of work"
        assert SANITIZED or a.rss < 2 * max_memory + BASE, f"{a.rss >> 20} MiB"
        assert a.rc != 3 or a.err.strip(), "no word on what is wrong"
        assert a.rc != 4 or a.reasons
        assert sorted(p for p in tmp_path.rglob("*") if p not in (out, err)) == before, "files were written"
        return a
    return call


def save(tmp_path, layer, fmt="docker", how="none", name="image.tar"):
    path = tmp_path / name
    mkimage.write_image(str(path), layer if isinstance(layer, list) else [layer], fmt, how)
    return path


def header(name, size=0, kind=b"0", link=b"", magic=b"ustar\00000", raw_size=None, prefix=b""):
    h = bytearray(512)
    h[0:len(name[:100])] = name[:100]
    h[100:108], h[108:116], h[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    h[124:136] = raw_size if raw_size is not None else b"%011o\0" % size
    h[136:148], h[156:157] = b"00000000000\0", kind
    h[157:157 + len(link[:100])] = link[:100]
    h[257:265] = magic
    h[345:345 + len(prefix)] = prefix
    h[148:156] = b"        "
    h[148:156] = b"%06o\0 " % sum(h)
    return bytes(h)


def entry(name, body=b"", **kw):
    return header(name, len(body), **kw) + body + b"\0" * (-len(body) % 512)


END = b"\0" * 1024
GOOD_TAR = entry(b"etc/os-release", GOOD[0][1]) + entry(b"var/lib/dpkg/status", STATUS)


@pytest.mark.parametrize("how", ["none", "gzip"])
@pytest.mark.parametrize("bad", [
    header(b"x", raw_size=b"-0000000001\0"), header(b"x", raw_size=b"\x80" + b"\xff" * 11), header(b"x", raw_size=b"\xff" + b"\xff" * 11), header(b"x", raw_size=b"77777777777\0"),
    header(b"x", raw_size=b"9999999999z\0"), entry(b"PaxHeader", b"30 size=99999999999999999999\n\n\n", kind=b"x") + entry(b"x", b"abc"), header(b"x" * 100, kind=b"L", raw_size=b"00020000000\0"),
    entry(b"x", b"y", kind=b"S"), b"\xff" * 512, header(b"x", 10)[:300],
], ids=["minus one", "base-256 huge", "base-256 negative", "eight gigabytes", "not octal", "pax size", "name of 4 MiB", "sparse without map", "no header", "half a header"])
def test_sizes_that_lie(scan, tmp_path, bad, how):
    a = scan(save(tmp_path, GOOD_TAR + bad, how=how))
    assert a.rc in (0, 4) and a.names == {"good"}, a.err
    if how == "none":
        a = scan(save(tmp_path, bad + GOOD_TAR + END))
        assert a.rc in (0, 4), a.err
        assert a.rc == 4 or a.names == {"good"}


def test_sparse_claims_of_terabytes(scan, tmp_path):
    pax = b"".join(b"%d %s\n" % (len(r) + 3 if len(r) + 3 < 100 else len(r) + 4, r) for r in (b"GNU.sparse.major=1", b"GNU.sparse.minor=0", b"GNU.sparse.name=usr/bin/x",
                                                                                              b"GNU.sparse.realsize=9000000000000"))
    data = b"1\n8999999999000\n512\n"
    body = data + b"\0" * (512 - len(data)) + b"\x7fELF" + b"x" * 508
    for how in ("none", "gzip", "zstd"):
        a = scan(save(tmp_path, GOOD_TAR + entry(b"h", pax, kind=b"x") + entry(b"GNUSparseFile/x", body) + END, how=how))
        assert a.names == {"good"}, a.err


@pytest.mark.parametrize("name", [b"../../../../tmp/out", b"/etc/passwd", b"./../x", b"a/../../b", b"", b"\xff\xfe\x80", b"a" * 100, b"/", b".", b"..", b"a\nb\x1b[2J"])
def test_names(scan, tmp_path, name):
    a = scan(save(tmp_path, GOOD_TAR + entry(name, STATUS) + entry(b"var/lib/dpkg/status.d/" + name[:70], STATUS.replace(b"good", b"second")) + END))
    assert "good" in a.names, a.err


def test_links_never_lead_to_the_host(scan, tmp_path):
    """A package database of the host, which links of all kinds point to, is not read."""
    canary = tmp_path / "host"
    canary.mkdir()
    (canary / "status").write_bytes(STATUS.replace(b"good", b"canary"))
    for target in (str(canary), os.path.relpath(canary, "/") , "../" * 30 + str(canary)[1:]):
        layer = mkimage.tar_of_files([RELEASE, ("var/lib/dpkg", ("symlink", target)), ("usr/lib/dpkg/status", ("symlink", target + "/status"))])
        a = scan(save(tmp_path, layer, name="links.tar"))
        assert a.names == set(), a.err
    tree = tmp_path / "tree"
    (tree / "var/lib").mkdir(parents=True)
    (tree / "var/lib/dpkg").symlink_to(canary)
    (tree / "etc").mkdir()
    (tree / "etc/os-release").symlink_to("/etc/os-release")
    (tree / "usr").mkdir()
    os.symlink("..", tree / "usr/up")
    a = scan(f"dir:{tree}")
    assert a.names == set() and a.json["os"]["id"] == "", a.err


def test_link_loops_and_long_chains(scan, tmp_path):
    files = [RELEASE, ("var/lib/dpkg/status", STATUS), ("a", ("symlink", "b")), ("b", ("symlink", "a")), ("self", ("symlink", "self")), ("h", ("hardlink", "h")), ("g", ("hardlink", "missing"))]
    files += [(f"chain/{i}", ("symlink", str(i + 1))) for i in range(10000)]
    files += [("lib/apk/db/installed", ("hardlink", "lib/apk/db/installed")), ("opt/x/status.d", ("symlink", "../../opt/x/status.d"))]
    listed = "".join(f"/a/file{i}\n/self/self/{i}\n/chain/0/{i}\n" for i in range(3000)).encode()
    files.append(("var/lib/dpkg/info/good.list", listed))
    for how in ("none", "gzip"):
        a = scan(save(tmp_path, mkimage.tar_of_files(files), how=how))
        assert a.names == {"good"}, a.err


def test_layers_that_fight(scan, tmp_path):
    wh = lambda *names: mkimage.tar_of_files([(n, b"") for n in names])
    a = scan(save(tmp_path, [mkimage.tar_of_files(GOOD), wh(".wh.", ".wh..wh..opq", "nothing/.wh.here", "var/.wh.lib/x")]))
    assert a.rc in (0, 4)
    a = scan(save(tmp_path, [mkimage.tar_of_files(GOOD), mkimage.tar_of_files([("var", b"a file now")])]))
    assert a.rc == 4 and a.names == set() and "no package database" in a.json["incomplete"][0]["reason"]
    a = scan(save(tmp_path, [mkimage.tar_of_files(GOOD), mkimage.tar_of_files([("var", ("symlink", "etc"))]), mkimage.tar_of_files([("var/lib/dpkg/status", STATUS)])]))
    assert a.rc in (0, 4)
    a = scan(save(tmp_path, [mkimage.tar_of_files(GOOD)] + [wh(f"l{i}/.wh.x") for i in range(400)]))
    assert a.rc == 0 and a.names == {"good"} and len(a.json["image"]["layers"]) == 401


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_truncated_everywhere(scan, tmp_path, how):
    for fmt in ("docker", "oci-archive"):
        whole = save(tmp_path, mkimage.tar_of_files(GOOD + [("pad", os.urandom(20000))]), fmt, how).read_bytes()
        cut = tmp_path / "cut.tar"
        for i in range(20):
            cut.write_bytes(whole[:len(whole) * i // 20])
            a = scan(cut)
            assert a.rc in (3, 4) or a.names == {"good"}, (fmt, i, a.err)  # the end of a tar is padding


def raw_image(tmp_path, blob, diff_id, name="raw.tar"):
    """A docker archive whose only layer is this blob, whatever it is."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode()
    files = [("layer.tar", blob), ("config.json", config), ("manifest.json", json.dumps([{"Config": "config.json", "RepoTags": ["x:1"], "Layers": ["layer.tar"]}]).encode())]
    path = tmp_path / name
    path.write_bytes(mkimage.tar_of_files(files))
    return path


def test_bombs(scan, tmp_path):
    plain = GOOD_TAR + header(b"zeros", 400 << 20) + b"\0" * (400 << 20) + END
    digest = "sha256:" + hashlib.sha256(plain).hexdigest()
    for packed in (gzip.compress(plain, 1), subprocess.run(["zstd", "-q", "-c"], input=plain, capture_output=True, check=True).stdout):
        a = scan(raw_image(tmp_path, packed, digest))
        assert a.rc == 0 and a.names == {"good"}, a.err
    members = gzip.compress(b"") * 200000 + gzip.compress(GOOD_TAR + END)
    a = scan(raw_image(tmp_path, members, "sha256:" + hashlib.sha256(GOOD_TAR + END).hexdigest()))
    assert a.rc in (0, 4), a.err
    for frame in (b"\x28\xb5\x2f\xfd\x00\xf8" + b"\0" * 100, b"\x28\xb5\x2f\xfd\xc0\xff" + b"\xff" * 8 + b"\0" * 100):  # window of 3.75 TiB, content size 2^64 - 1
        a = scan(raw_image(tmp_path, frame, digest))
        assert a.rc in (3, 4), a.err
    skippable = (b"\x50\x2a\x4d\x18" + struct.pack("<I", 8) + b"x" * 8) * 100000
    a = scan(raw_image(tmp_path, skippable + subprocess.run(["zstd", "-q", "-c"], input=GOOD_TAR + END, capture_output=True, check=True).stdout,
                       "sha256:" + hashlib.sha256(GOOD_TAR + END).hexdigest()))
    assert a.rc in (0, 3, 4), a.err


@pytest.mark.parametrize("name,text", [
    ("manifest.json", b"[" * 100000), ("manifest.json", b'{"a":' * 100000), ("manifest.json", b"[]"), ("manifest.json", b"{}"), ("manifest.json", b"[{}]"), ("manifest.json", b'[{"Config":"../../../etc/passwd"}]'),
    ("manifest.json", b'[{"Config":"/etc/passwd","Layers":["/etc/passwd"]}]'), ("manifest.json", b'[{"Config":"manifest.json","Layers":["manifest.json"]}]'), ("manifest.json", b'["' + b"a" * (20 << 20) + b'"]'),
    ("manifest.json", b"\xff\xfe\0"), ("manifest.json", b'[{"Config":"c","Layers":' + json.dumps(["l"] * 5000).encode() + b"}]"),
], ids=["deep list", "deep object", "empty list", "object", "no fields", "leaves", "absolute", "itself", "20 MiB of text", "no text", "5000 layers"])
def test_documents_of_an_archive(scan, tmp_path, name, text):
    path = tmp_path / "x.tar"
    path.write_bytes(mkimage.tar_of_files([(name, text), ("c", b"{}"), ("l", b"")]))
    a = scan(path)
    assert a.rc == 3, a.err


@pytest.mark.parametrize("index", [
    {"manifests": [{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "SELF", "size": 1}]},
    {"manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + "0" * 64, "size": 10}]},
    {"manifests": [{"digest": "sha256:../../../../etc/passwd", "size": 10}]}, {"manifests": [{"digest": "md5:" + "0" * 32, "size": 10}]}, {"manifests": {}}, {"manifests": [None, 1, "x"]},
    {"manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + "0" * 64, "size": -5}]},
], ids=["index in index", "missing blob", "path as digest", "md5", "no list", "no objects", "negative size"])
def test_oci_indexes(scan, tmp_path, index):
    d = tmp_path / "layout"
    (d / "blobs/sha256").mkdir(parents=True)
    (d / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    text = json.dumps(index)
    blob = text.replace("SELF", "sha256:" + "1" * 64).encode()
    (d / "blobs/sha256" / hashlib.sha256(blob).hexdigest()).write_bytes(blob)
    (d / "index.json").write_text(text.replace("SELF", "sha256:" + hashlib.sha256(blob).hexdigest()))
    a = scan(f"oci:{d}")
    assert a.rc == 3, a.err


def bdb_loop():
    """A Berkeley DB hash file whose only bucket names an overflow page that names itself."""
    page = 512
    meta = bytearray(page)
    struct.pack_into("<IIIIIBB", meta, 0, 0, 1, 0, 0x00061561, 9, 0, 8)
    struct.pack_into("<I", meta, 20, page)
    struct.pack_into("<I", meta, 32, 3)
    bucket = bytearray(page)
    struct.pack_into("<IIIIIHHBB", bucket, 0, 0, 0, 1, 0, 0, 2, page - 32, 0, 13)
    struct.pack_into("<HH", bucket, 26, page - 8, page - 20)
    bucket[page - 8:page - 4] = b"\x01" + b"\1\0\0"
    bucket[page - 20:page - 8] = struct.pack("<BxxxII", 3, 2, 1 << 28)
    over = bytearray(page)
    struct.pack_into("<IIIIIHHBB", over, 0, 0, 0, 2, 0, 2, 0, page - 26, 0, 7)
    return bytes(meta + bucket + over)


def sqlite_loop(tmp_path):
    import sqlite3
    p = tmp_path / "loop.sqlite"
    c = sqlite3.connect(p)
    c.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    c.executemany("INSERT INTO Packages VALUES (?, ?)", [(i, b"x" * 1000) for i in range(200)])
    c.commit()
    c.close()
    data = bytearray(p.read_bytes())
    p.unlink()
    root = 4096  # page 2: the table's root, an interior page; its children become itself
    assert data[root] == 5
    n = struct.unpack_from(">H", data, root + 3)[0]
    struct.pack_into(">I", data, root + 8, 2)
    for i in range(n):
        struct.pack_into(">I", data, root + struct.unpack_from(">H", data, root + 12 + 2 * i)[0], 2)
    return bytes(data)


def test_cyclic_database_pages(scan, tmp_path):
    ndb = b"RpmP" + struct.pack("<IIIIIII", 0, 5, 1, 6, 0, 0, 0)
    ndb += b"".join(b"Slot" + struct.pack("<III", i + 1, 256, 4) for i in range(250))
    ndb += b"\0" * (4096 - len(ndb) % 4096) + b"BlbS" + struct.pack("<III", 1, 0, 1 << 30) + b"x" * 100
    for name, db in (("Packages", bdb_loop()), ("rpmdb.sqlite", sqlite_loop(tmp_path)), ("Packages.db", ndb)):
        a = scan(save(tmp_path, mkimage.tar_of_files([("etc/os-release", b"ID=rhel\nVERSION_ID=9\n"), (f"var/lib/rpm/{name}", db)])))
        assert a.rc == 4 and any(name in r for r in a.reasons), (name, a.err)


@pytest.mark.parametrize("name,content,rc", [
    ("app/package.json", b"[" * 100000, 4), ("app/package-lock.json", b'{"dependencies":{"a":' * 40000, 4), ("app/package.json", b'{"name":"' + b"a" * (3 << 20) + b'","version":"1"}', 0),
    ("app/package-lock.json", b'{"packages":{' + b",".join(b'"node_modules/p%d":{"version":"1.0.%d"}' % (i, i) for i in range(200000)) + b"}}", (0, 4)),
    ("usr/lib/python3/site-packages/x.dist-info/METADATA", b"Name: x\nVersion: 1\n" + b"A: b\n" * 500000, 0), ("lib/apk/db/installed", b"P:a\n" * 1000000, 4),
    ("lib/apk/db/installed", b"x" * (30 << 20), (0, 4)), ("usr/bin/x", b"\x7fELF\x02\x01\x01" + b"\xff" * 5000, (0, 4)), ("x.jar", b"PK\5\6" + b"\xff" * 18, 4),
    ("usr/lib/ruby/gems/3.1.0/specifications/a.gemspec", b"s.licenses = [" + b'"x".freeze, ' * 50000, 4),
], ids=["deep manifest", "deep lock", "long name", "200,000 locked", "500,000 headers", "a million names", "one line of 30 MiB", "ELF of ones", "zip64 without", "gem without end"])
def test_hostile_package_data(scan, tmp_path, name, content, rc):
    for how in ("none", "gzip"):
        a = scan(save(tmp_path, mkimage.tar_of_files(GOOD + [(name, content)]), how=how))
        assert a.rc in (rc if isinstance(rc, tuple) else (rc,)) and "good" in a.names, (a.rc, a.err, a.reasons)


def test_large_dpkg_status(scan, tmp_path):
    """Over the limit of memory: listed, not guessed; with room, read."""
    big = STATUS + b"".join(b"Package: p%06d\nStatus: install ok installed\nArchitecture: all\nVersion: 1\nDescription: %s\n\n" % (i, b"x" * 900) for i in range(50000))
    path = save(tmp_path, mkimage.tar_of_files([RELEASE, ("var/lib/dpkg/status", big)]))
    a = scan(path)
    assert a.rc == 4 and any("var/lib/dpkg/status" in r for r in a.reasons)
    a = scan(path, max_memory=512 << 20)
    assert a.rc == 0 and len(a.names) == 50001, a.err
    a = scan(save(tmp_path, mkimage.tar_of_files([RELEASE, ("var/lib/dpkg/status", b"Package: " + b"x" * (10 << 20))])))
    assert a.rc in (0, 4)


@pytest.mark.parametrize("how", ["none", "gzip"])
def test_three_hundred_thousand_entries(scan, tmp_path, how):
    """Names from the generator by which docs/performance.md measured three million."""
    one = bytearray(header(b"d0000000/f0000000"))
    out = bytearray(GOOD_TAR)
    base = sum(one) - sum(one[148:156]) + 8 * 32 - sum(b"d0000000/f0000000")
    for i in range(300000):
        name = b"d%07d/f%07d" % (i // 1000, i)
        one[0:17] = name
        one[148:156] = b"%06o\0 " % (base + sum(name))
        out += one
    a = scan(save(tmp_path, bytes(out) + END, how=how))
    assert a.names == {"good"} and a.json["summary"]["files"] == 300002, a.err


def test_wrong_compression_announced(scan, tmp_path):
    plain = GOOD_TAR + END
    digest = "sha256:" + hashlib.sha256(plain).hexdigest()
    for blob in (b"\x1f\x8b" + plain, b"\x28\xb5\x2f\xfd" + plain, gzip.compress(plain) + b"garbage", gzip.compress(plain)[:-4] + b"\0\0\0\0", b"BZh9" + plain, b"\xfd7zXZ\0" + plain, b""):
        a = scan(raw_image(tmp_path, blob, digest))
        # what follows a whole gzip stream is no part of the layer, whose diff id holds
        assert a.rc in (3, 4) or (blob.endswith(b"garbage") and a.names == {"good"}), (blob[:8], a.err)
