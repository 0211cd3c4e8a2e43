# SPDX-License-Identifier: Apache-2.0
"""Hostile images through `holdfast scan`: whatever the bytes, it ends with exit code 0, 3 or 4 within ten seconds, below
--max-memory plus BASE, writes nothing outside its cache folder, and says which part it could not read.

BASE is what the program needs whatever the image: code and libraries (12 MiB resident), thread stacks, and per thread a decompressor
(1.6 MiB of blocks) and SQLite's page cache."""
import functools
import gzip
import hashlib
import io
import json
import os
import random
import sqlite3
import struct
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402

SECONDS = 10
BASE = 40 << 20
SANITIZED = os.environ.get("HF_SANITIZED") == "1"  # memory and time of a sanitizer build say nothing

OS = b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'
END = bytes(1024)


def stanza(name, version="1"):
    return f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n".encode()


def header(name, size=0, kind=b"0", link=b"", size_field=None, magic=b"ustar\x0000", prefix=b""):
    name = name.encode() if isinstance(name, str) else name
    link = link.encode() if isinstance(link, str) else link
    field = size_field if size_field is not None else b"%011o\0" % size
    h = bytearray(name[:100].ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + field.ljust(12, b"\0") + b"00000000000\0" + b" " * 8 +
                  kind + link[:100].ljust(100, b"\0") + magic + bytes(64) + b"0000000\0" * 2 + prefix.ljust(155, b"\0"))
    h = h.ljust(512, b"\0")
    h[148:156] = b"%06o\0 " % sum(h)
    return bytes(h)


def pad(data):
    return data + bytes(-len(data) % 512)


def entry(name, data=b"", kind=b"0", link=b"", **more):
    """One entry; names over 100 bytes as GNU long names."""
    raw, out = name.encode() if isinstance(name, str) else name, b""
    rawlink = link.encode() if isinstance(link, str) else link
    if len(raw) > 100:
        out += header("././@LongLink", len(raw) + 1, b"L", magic=b"ustar  \0") + pad(raw + b"\0")
    if len(rawlink) > 100:
        out += header("././@LongLink", len(rawlink) + 1, b"K", magic=b"ustar  \0") + pad(rawlink + b"\0")
    return out + header(raw, len(data), kind, rawlink, **more) + pad(data)


def pax(records, name="x", data=b"", **more):
    text = b""
    for k, v in records:
        v = v if isinstance(v, bytes) else v.encode()
        body = b" " + k.encode() + b"=" + v + b"\n"
        n = len(body) + 1
        while len(str(n)) + len(body) != n:
            n = len(str(n)) + len(body)
        text += str(n).encode() + body
    return header("PaxHeaders/x", len(text), b"x") + pad(text) + entry(name, data, **more)


def base256(n):
    return b"\xff" + (n & (1 << 88) - 1).to_bytes(11, "big") if n < 0 else b"\x80" + n.to_bytes(11, "big")


def many(count, name, kind=b"0", link=b""):
    """Headers of `count` empty files, fast: only the name and its part of the checksum change."""
    blank = header("", 0, kind, link)
    fixed = sum(blank[:148]) + sum(blank[156:]) + 8 * 32
    out = []
    for i in range(count):
        n = name(i)
        out.append(n.ljust(100, b"\0") + blank[100:148] + b"%06o\0 " % (fixed + sum(n)) + blank[156:])
    return b"".join(out)


STATUS = entry("var/lib/dpkg/status", stanza("openssl", "3.0.11-1") + stanza("bash", "5.2"))
GOOD = entry("etc/os-release", OS) + STATUS
FOUND = {("deb", "openssl", "3.0.11-1"), ("deb", "bash", "5.2")}


def packages(result):
    return {(p["type"], p["name"], p["version"]) for p in result["packages"]}


def listing(top, without):
    seen = {}
    for folder, dirs, files in os.walk(top):
        if os.path.realpath(folder) == os.path.realpath(without):
            dirs.clear()
            continue
        for f in files + dirs:
            full = os.path.join(folder, f)
            st = os.lstat(full)
            if full != str(without):
                seen[full] = (st.st_size, st.st_mtime_ns) if f in files else None
    return seen


# The kernel counts a parent's pages into what its child used until exec, so a small process of its own starts the scans.
LAUNCHER = """
import json, os, signal, subprocess, sys, threading, time
for line in sys.stdin:
    j = json.loads(line)
    with open(j["out"], "wb") as o, open(j["err"], "wb") as e:
        start = time.monotonic()
        p = subprocess.Popen(j["args"], cwd=j["cwd"], stdin=subprocess.DEVNULL, stdout=o, stderr=e, env={**os.environ, **j["env"]})
        timer = threading.Timer(j["seconds"], p.kill)
        timer.start()
        _, code, usage = os.wait4(p.pid, 0)
        p.returncode = 0
        timer.cancel()
    print(json.dumps([code, time.monotonic() - start, usage.ru_maxrss << 10]), flush=True)
"""


@pytest.fixture(scope="module")
def launch():
    p = subprocess.Popen([sys.executable, "-S", "-E", "-c", LAUNCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(**job):
        p.stdin.write(json.dumps(job) + "\n")
        p.stdin.flush()
        return json.loads(p.stdout.readline())
    yield call
    p.stdin.close()
    p.wait()


@pytest.fixture
def scan(binary, launch, tmp_path):
    """Runs a scan in a folder of its own and checks what must hold for every input; returns (exit code, result, errors and incomplete
    as one text)."""
    cwd = tmp_path / "host" / "a" / "b"
    cwd.mkdir(parents=True)
    cache = tmp_path / "cache"

    def run(target, *options, mem=64, codes=(0, 3, 4), seconds=SECONDS):
        out, err = tmp_path / "stdout", tmp_path / "stderr"
        out.write_bytes(b""), err.write_bytes(b"")
        before = listing(tmp_path, cache)
        code, took, peak = launch(args=[str(binary), "scan", "--no-vulnerabilities", "--cache-dir", str(cache), "--max-memory", f"{mem}M", "--format", "json", "--quiet",
                                        *options, str(target)], cwd=str(cwd), out=str(out), err=str(err), seconds=seconds * (8 if SANITIZED else 2),
                                  env={"LC_ALL": "C.UTF-8", "HOME": str(cwd), "TMPDIR": str(cwd)})
        if os.environ.get("HF_HOSTILE_LOG"):
            with open(os.environ["HF_HOSTILE_LOG"], "a") as log:
                log.write(f"{took:6.2f} s {peak >> 20:5d} of {mem:3d} MiB code {code:5d} {os.environ.get('PYTEST_CURRENT_TEST', '')}\n")
        errors = err.read_bytes().decode("utf-8", "strict")
        assert os.WIFEXITED(code), f"signal {os.WTERMSIG(code)} after {took:.1f} s: {errors}"
        rc = os.WEXITSTATUS(code)
        assert rc in codes, (rc, errors, out.read_text()[:2000])
        if not SANITIZED:
            assert took <= seconds, f"{took:.1f} s"
            assert peak <= (mem << 20) + BASE, f"{peak >> 20} MiB with --max-memory {mem}M"
        after = listing(tmp_path, cache)
        assert {k for k in after if after[k] != before.get(k, 0)} <= {str(out), str(err)}, "a file was written"
        result = json.loads(out.read_bytes().decode("utf-8", "strict")) if rc in (0, 4) else None
        if rc == 3:
            assert errors.startswith("holdfast: error: ") and errors.count("\n") == 1 and len(errors) > 30, errors
        if rc == 4:
            assert result["incomplete"] and all(i["reason"] for i in result["incomplete"])
        if rc == 0:
            assert not result["incomplete"]
        return rc, result, errors + json.dumps(result["incomplete"] if result else "", ensure_ascii=False)
    return run


def image(tmp_path, layers, how="none", fmt="docker"):
    path = tmp_path / "image.tar"
    mkimage.write_image(str(path), layers, fmt, how)
    return path


def raw_image(tmp_path, blobs, diff_ids=None):
    """Layers as they are, with a config that names any diff ids: what digests do not cover."""
    diff_ids = diff_ids or ["sha256:" + hashlib.sha256(b"%d" % i).hexdigest() for i in range(len(blobs))]
    names = [f"{i:064x}/layer.tar" for i in range(len(blobs))]
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
    cname = mkimage.sha256(config) + ".json"
    files = dict(zip(names, blobs))
    files[cname] = config
    files["manifest.json"] = json.dumps([{"Config": cname, "RepoTags": ["x:1"], "Layers": names}]).encode()
    path = tmp_path / "image.tar"
    mkimage.write_tar(str(path), files)
    return path


# --- tar ---
TAR = {
    # name: (bytes after the good entries, exit codes, what must be said)
    "size negative": (entry("x", size_field=base256(-5)), (4,), "tar"),
    "size negative octal": (entry("x", size_field=b"-0000000005\0"), (0, 4), ""),
    "size 2^63": (entry("x", size_field=base256(1 << 63)), (4,), "tar"),
    "size 2^64 - 1": (entry("x", size_field=base256((1 << 64) - 1)), (4,), "tar"),
    "size 2^87": (entry("x", size_field=base256(1 << 87)), (4,), "tar"),
    "size 8 TiB of nothing": (entry("x", size_field=base256(8 << 40)), (4,), ""),
    "size wraps offset": (entry("x", size_field=base256((1 << 63) - 1024)), (4,), ""),
    "size no number": (entry("x", size_field=b"zzzzzzzzzzz\0"), (0, 4), ""),
    "wanted file of 8 TiB": (entry("app/package.json", size_field=base256(8 << 40)), (4,), "package.json"),
    "pax size larger": (pax([("size", str(1 << 40))], "app/package.json", b"{}"), (4,), ""),
    "pax size negative": (pax([("size", "-1")], "x", b"abc"), (0, 4), ""),
    "pax size overflow": (pax([("size", "9" * 40)], "x", b"abc"), (4,), ""),
    "pax size not a number": (pax([("size", "1e9")], "x", b"abc"), (0, 4), ""),
    "pax record length 0": (header("P", 6, b"x") + pad(b"0 a=b\n") + entry("x"), (0, 4), ""),
    "pax record length huge": (header("P", 30, b"x") + pad(b"99999999999999999999 path=y\n") + entry("x"), (0, 4), ""),
    "pax header of 8 EiB": (header("P", kind=b"x", size_field=base256(8 << 50)), (4,), "tar"),
    "long name of 8 EiB": (header("././@LongLink", kind=b"L", size_field=base256(8 << 50), magic=b"ustar  \0"), (4,), "tar"),
    "pax path with NUL": (pax([("path", b"a\0../../b")], "x"), (0, 4), ""),
    "sparse 1.0 of 8 TiB": (pax([("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "app/package.json"),
                                 ("GNU.sparse.realsize", str(8 << 40))], "s", b"1\n0\n2\n".ljust(512, b"\0") + b"{}"), (4,), "package.json"),
    "sparse 0.1 of 8 TiB": (pax([("GNU.sparse.size", str(8 << 40)), ("GNU.sparse.numblocks", "1"), ("GNU.sparse.map", f"{8 << 39},2")], "app/package.json", b"{}"), (4,), "package.json"),
    "sparse old of 8 TiB": (header("app/package.json", 2, b"S", magic=b"ustar  \0")[:386] + b"%011o\0" % 0 + b"%011o\0" % 2 + bytes(73) + base256(8 << 40) + bytes(17), (4,), ""),
    "sparse map overlaps": (pax([("GNU.sparse.size", "100"), ("GNU.sparse.numblocks", "2"), ("GNU.sparse.map", "50,2,0,2")], "app/package.json", b"{}{}"), (0, 4), ""),
    "sparse map a million blocks": (pax([("GNU.sparse.size", str(4 << 20)), ("GNU.sparse.map", ",".join(f"{2 * i},1" for i in range(100000)))], "app/package.json", b"x" * 100000), (0, 4), ""),
    "path ../": (entry("../../etc/evil/package.json", b'{"name":"evil","version":"1"}'), (4,), "outside"),
    "path a/../../": (entry("a/../../package.json", b'{"name":"evil","version":"1"}'), (4,), "outside"),
    "path absolute": (entry("/app/package.json", b'{"name":"abs","version":"1"}'), (0,), ""),
    "path ./": (entry("./", kind=b"5") + entry("././/./app/package.json", b'{"name":"abs","version":"1"}'), (0,), ""),
    "path empty": (entry("", b"abc") + entry("/", kind=b"5"), (0, 4), ""),
    "path 4 MiB": (entry("d/" * (2 << 20) + "package.json", b'{"name":"evil","version":"1"}'), (4,), ""),
    "path 1 MiB": (entry("d/" * (512 << 10) + "package.json", b'{"name":"evil","version":"1"}'), (4,), ""),
    "path invalid UTF-8": (entry(b"app/\xff\xfe\xc3/package.json", b'{"name":"utf","version":"1"}'), (0,), ""),
    "path terminal escapes": (entry(b"../\x1b[2J\x1b]0;evil\x07", b"x"), (4,), "outside"),
    "link 4 MiB": (entry("l", kind=b"2", link="d/" * (2 << 20)), (4,), ""),
    "hard link to missing": (entry("app/package.json", kind=b"1", link="nowhere"), (4,), "package.json"),
    "hard link to itself": (entry("app/package.json", kind=b"1", link="app/package.json"), (4,), "package.json"),
    "hard links to each other": (entry("a/package.json", kind=b"1", link="b/package.json") + entry("b/package.json", kind=b"1", link="a/package.json"), (4,), "package.json"),
    "hard link outside": (entry("app/package.json", kind=b"1", link="../../../etc/passwd"), (4,), "outside"),
    "hard link with a size": (header("app/package.json", 512, b"1", b"etc/os-release") + pad(b"x" * 512), (0, 4), ""),
    "symlink loop": (entry("a", kind=b"2", link="b") + entry("b", kind=b"2", link="a") + entry("var/lib/dpkg/info/bash.list", b"/a/x\n/b/../a/package.json\n"), (0,), ""),
    "symlink to itself": (entry("a", kind=b"2", link="a/a/a") + entry("var/lib/dpkg/info/bash.list", b"/a/x\n"), (0,), ""),
    "symlink chain of 10000": (many(10000, lambda i: b"l%d" % i, b"2", b"l1/l1") + entry("var/lib/dpkg/info/bash.list", b"/l9999/x\n"), (0,), ""),
    "devices and fifos": (b"".join(entry(f"d{k}", kind=k.encode()) for k in "34567") + entry("app/package.json", kind=b"6"), (0,), ""),
    "unknown type": (entry("app/package.json", b"{}", kind=b"Z"), (0, 4), ""),
    "whiteout of nothing": (entry("a/.wh.b") + entry(".wh..wh.") + entry(".wh.") + entry(".wh..wh.plnk/1"), (0,), ""),
    "garbage behind the end": (END + b"\xff" * 5000, (0,), ""),
}


@pytest.mark.parametrize("how", ["none", "gzip"])
@pytest.mark.parametrize("name", TAR)
def test_tar(scan, tmp_path, name, how):
    tail, codes, word = TAR[name]
    rc, result, text = scan(image(tmp_path, [GOOD + tail + (b"" if END in tail[:1024] else END)], how), codes=codes)
    assert FOUND <= packages(result), "what came before is lost"
    assert "evil" not in {p["name"] for p in result["packages"]}
    assert word in text
    assert "\x1b" not in text


def test_gnu_headers_in_a_row(scan, tmp_path):
    """Headers that describe the next entry may be repeated without end: libarchive recurses on them."""
    one = header("././@LongLink", 2, b"L", magic=b"ustar  \0") + pad(b"x\0")
    for chain in (one * 100000, pax([("path", "y")])[:1024] * 100000):
        scan(image(tmp_path, [GOOD + chain + entry("x") + END], "gzip"), codes=(0, 4))


# --- links never lead to the host ---
def test_links_to_the_host_are_not_followed(scan, tmp_path):
    canary = tmp_path / "host" / "canary"
    (canary / "var/lib/dpkg").mkdir(parents=True)
    (canary / "var/lib/dpkg/status").write_bytes(stanza("canary"))
    (canary / "package.json").write_bytes(b'{"name":"canary","version":"1"}')
    target = str(canary)
    layer = (entry("etc/os-release", OS) + entry("var/lib/dpkg/status", kind=b"2", link=target + "/var/lib/dpkg/status") + entry("app/package.json", kind=b"1", link=target + "/package.json") +
             entry("lib/dpkg", kind=b"2", link="../" * 20 + target[1:] + "/var/lib/dpkg") + entry("node", kind=b"2", link=target) +
             entry(target + "/written", b"x") + entry("../../../../written", b"x") + END)
    for how in ("none", "gzip"):
        rc, result, text = scan(image(tmp_path, [layer], how), codes=(0, 4))
        assert packages(result) == set()
    root = tmp_path / "host" / "root"
    (root / "var/lib").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/os-release").write_bytes(OS)
    os.symlink(canary / "var/lib/dpkg", root / "var/lib/dpkg")
    os.symlink(canary / "package.json", root / "package.json")
    os.symlink("/proc/self/root" + target, root / "proc-way")
    os.mkfifo(root / "status")
    rc, result, text = scan(f"dir:{root}", codes=(0, 4))
    assert packages(result) == set()
    layout = tmp_path / "host" / "layout"
    files = mkimage.oci_files([([GOOD + END], "linux/amd64")])
    mkimage.write_folder(str(layout), files)
    blob = layout / "blobs/sha256" / mkimage.sha256(GOOD + END)
    (tmp_path / "host" / "outside.tar").write_bytes(blob.read_bytes())
    blob.unlink()
    os.symlink("../../../outside.tar", blob)
    rc, result, text = scan(f"oci:{layout}", codes=(3,))
    assert mkimage.sha256(GOOD + END)[:12] in text


# --- the merged tree ---
def package_json(name):
    return json.dumps({"name": name, "version": "1"}).encode()


@pytest.mark.parametrize("how", ["none", "gzip"])
def test_of_equal_names_the_last_counts(scan, tmp_path, how):
    layer = GOOD + entry("app/package.json", package_json("first")) + entry("b/package.json", package_json("other")) + entry("./app//package.json", package_json("second")) + END
    rc, result, _ = scan(image(tmp_path, [layer], how))
    assert packages(result) == FOUND | {("npm", "second", "1"), ("npm", "other", "1")}
    layer = GOOD + entry("app/package.json", package_json("first")) + entry("app/package.json", package_json("second")) + END
    rc, result, _ = scan(image(tmp_path, [layer], how))
    assert packages(result) == FOUND | {("npm", "second", "1")}


def test_folder_replaced_by_a_file_and_back(scan, tmp_path):
    a = GOOD + entry("app/x/package.json", package_json("a")) + END
    b = entry("app", b"file now") + END
    c = entry("app/y/package.json", package_json("c")) + END
    assert packages(scan(image(tmp_path, [a, b]))[1]) == FOUND
    assert packages(scan(image(tmp_path, [a, b, c]))[1]) == FOUND | {("npm", "c", "1")}


@pytest.mark.parametrize("tail,left", [(entry(".wh..wh..opq"), set()), (entry("/.wh.var"), set()), (entry("var/.wh.lib/x"), FOUND), (entry(".wh.."), FOUND), (entry(".wh..."), FOUND),
                                       (entry("nothing/.wh..wh..opq"), FOUND), (many(2000, lambda i: b"d%d/.wh..wh..opq" % i), FOUND)],
                         ids=["opaque root", "folder", "file in a whiteout", "dot", "dots", "opaque nothing", "opaque everywhere"])
def test_whiteouts(scan, tmp_path, tail, left):
    assert packages(scan(image(tmp_path, [GOOD + END, tail + END]))[1]) == left


# --- work must not grow with the square of the input ---
def test_one_package_in_many_places(scan, tmp_path):
    body = package_json("same")
    layer = GOOD + b"".join(entry(b"n/%06d/package.json" % i, body) for i in range(60000)) + END
    rc, result, _ = scan(image(tmp_path, [layer], "gzip"), mem=256, codes=(0, 4))
    assert ("npm", "same", "1") in packages(result)


def test_many_hard_links_and_many_files(scan, tmp_path):
    layer = GOOD + many(4000, lambda i: b"l/%05d/package.json" % i, b"1", b"f/000000") + many(100000, lambda i: b"f/%06d" % i) + END
    scan(image(tmp_path, [layer]), codes=(0, 4))


def test_the_same_whiteout_again_and_again(scan, tmp_path):
    low = GOOD + b"".join(entry(b"n/%05d/package.json" % i, package_json("p%d" % i)) for i in range(20000)) + END
    high = many(20000, lambda i: b".wh.n") + many(20000, lambda i: b"n/.wh..wh..opq") + many(20000, lambda i: b"n") + END
    rc, result, _ = scan(image(tmp_path, [low, high], "gzip"), mem=256, codes=(0, 4))
    assert packages(result) == FOUND


def test_long_link_chains_for_many_folders(scan, tmp_path):
    far = "x/" * 1900
    chain = b"".join(entry("l%d" % i, kind=b"2", link="./" * 1900 + "l%d" % (i + 1)) for i in range(45))
    listed = b"".join(b"/l5/%d/f\n" % i for i in range(300000))
    layer = GOOD + chain + entry(far + "package.json", package_json("far")) + entry("var/lib/dpkg/info/bash.list", listed) + END
    scan(image(tmp_path, [layer], "gzip"), mem=256, codes=(0, 4))


def test_300000_entries(scan, tmp_path):
    layer = GOOD + many(300000, lambda i: b"usr/share/d%03d/f%06d" % (i % 997, i)) + END
    rc, result, _ = scan(image(tmp_path, [layer], "gzip"), codes=(0, 4))
    assert packages(result) == FOUND


def test_many_large_layers(scan, tmp_path):
    """What layers leave behind counts together: here names that do not compress, then lists of files."""
    rnd = random.Random(1)
    layers = [GOOD + END] + [many(60000, lambda i: b"%0100x" % rnd.getrandbits(396)) + END for _ in range(10)]
    scan(image(tmp_path, layers), codes=(0, 3, 4))


def test_many_large_lists(scan, tmp_path):
    rnd = random.Random(1)
    layers = [GOOD + END]
    for k in range(10):
        lines = b"".join(b"/%050x\n" % rnd.getrandbits(200) for _ in range(100000))
        layers.append(entry("var/lib/dpkg/info/p%d.list" % k, lines) + END)
    scan(image(tmp_path, layers), codes=(3, 4))


def test_packages_on_top_of_many_layers(scan, tmp_path):
    """Which layer brought each package is asked of the layers that have the database, not of all."""
    top = b"".join(stanza("p%d" % i) for i in range(40000))
    layers = [entry("etc/os-release", OS) + entry("var/lib/dpkg/status", stanza("p7")) + END] + [entry("l%d" % i) + END for i in range(600)]
    layers.append(entry("var/lib/dpkg/status", top) + END)
    rc, result, _ = scan(image(tmp_path, layers), mem=256, codes=(0,))
    where = {p["name"]: p["locations"][0]["layer"] for p in result["packages"]}
    assert where["p7"] == "sha256:" + mkimage.sha256(layers[0]) and where["p8"] == "sha256:" + mkimage.sha256(layers[-1])


def test_1000_layers(scan, tmp_path):
    layers = [GOOD + END] + [entry("l%d/package.json" % i, package_json("p%d" % i)) + END for i in range(999)]
    rc, result, _ = scan(image(tmp_path, layers), codes=(0,))
    assert len(result["packages"]) == 2 + 999
    rc, _, text = scan(image(tmp_path, layers + [GOOD + END]), codes=(3,))
    assert "1001 layers" in text


# --- compression ---
@functools.lru_cache
def zeros_gz(mib):
    return gzip.compress(bytes(mib << 20), 6, mtime=0)


@functools.lru_cache
def zeros_zst(mib):
    return subprocess.run(f"head -c {mib}M /dev/zero | zstd -q -1 -c", shell=True, check=True, stdout=subprocess.PIPE).stdout


def skippable(n, data=b""):
    return (b"\x50\x2a\x4d\x18" + struct.pack("<I", n) + data)


def zstd(data):
    return mkimage.compress(data, "zstd")


BIG = header("zeros", size_field=base256(1 << 40))
PACKED = {
    "gzip bomb of one member": (lambda: gzip.compress(GOOD + BIG) + zeros_gz(64) * 48, "bomb"),
    "gzip bomb of 1000 members": (lambda: gzip.compress(GOOD + BIG) + zeros_gz(4) * 1000, "bomb"),
    "zstd bomb": (lambda: zstd(GOOD + BIG) + zeros_zst(512) * 8, "bomb"),
    "gzip of a million empty members": (lambda: gzip.compress(GOOD) + gzip.compress(b"", mtime=0) * 300000 + gzip.compress(END), ""),
    "zstd window of 2 TiB": (lambda: zstd(GOOD) + b"\x28\xb5\x2f\xfd\x00\xf8" + b"\x01\x00\x00", "zstd"),
    "zstd window of 64 MiB": (lambda: zstd(GOOD) + b"\x28\xb5\x2f\xfd\x00\x80" + b"\x01\x00\x00", "zstd"),
    "zstd skippable frames": (lambda: skippable(3, b"abc") * 100000 + zstd(GOOD + END), ""),
    "zstd skippable frame of 4 GiB": (lambda: zstd(GOOD) + skippable(0xffffffff, b"abc"), "zstd"),
    "zstd frame that claims 8 EiB": (lambda: zstd(GOOD) + b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 62) + b"\x01\x00\x00", "zstd"),
    "gzip damaged in the middle": (lambda: (lambda z: z[:len(z) // 2] + b"\xff" * 9 + z[len(z) // 2:])(gzip.compress(GOOD + random.Random(2).randbytes(60000) + END)), "gzip"),
    "gzip checksum": (lambda: (lambda z: z[:-8] + b"\0\0\0\0" + z[-4:])(gzip.compress(GOOD + END)), "gzip"),
    "gzip reserved flags": (lambda: b"\x1f\x8b\x08\xe0" + bytes(6) + gzip.compress(GOOD)[10:], ""),
    "gzip header that never ends": (lambda: b"\x1f\x8b\x08\x18" + bytes(6) + b"n" * (4 << 20), "gzip"),
    "gzip alone": (lambda: b"\x1f\x8b", "gzip"),
    "zstd alone": (lambda: b"\x28\xb5\x2f\xfd", "zstd"),
    "xz": (lambda: b"\xfd7zXZ\0" + bytes(100), "xz"),
    "bzip2": (lambda: b"BZh9" + bytes(100), "bzip2"),
    "nothing": (lambda: b"", ""),
}


@pytest.mark.parametrize("name", PACKED)
def test_compression(scan, tmp_path, name):
    make, word = PACKED[name]
    rc, result, text = scan(raw_image(tmp_path, [make()]), "--no-verify", codes=(0, 4))
    assert word in text
    if word:
        assert rc == 4
    scan(raw_image(tmp_path, [make()]), codes=(3, 4))


def test_bombs_of_many_layers_count_together(scan, tmp_path):
    blob = zstd(GOOD + BIG) + zeros_zst(512) + zeros_zst(256)
    rc, result, text = scan(raw_image(tmp_path, [blob] * 60), codes=(4,))
    assert "bomb" in text


@pytest.mark.parametrize("fmt", ["docker", "oci-archive"])
@pytest.mark.parametrize("how", ["none", "gzip", "zstd"])
def test_truncated(scan, tmp_path, fmt, how):
    path = image(tmp_path, [GOOD + entry("x", random.Random(3).randbytes(20000)) + END, entry("app/package.json", package_json("top")) + END], how, fmt)
    whole = path.read_bytes()
    full = packages(scan(path, codes=(0,))[1])
    for i in range(20):
        path.write_bytes(whole[:len(whole) * i // 20])
        rc, result, text = scan(f"{'oci-archive' if fmt == 'oci-archive' else 'docker-archive'}:{path}")
        if rc == 0:
            assert packages(result) == full, f"cut at {i}/20: packages are gone without a word"


@pytest.mark.parametrize("how", ["none", "gzip", "zstd"])
def test_truncated_layer(scan, tmp_path, how):
    layer = GOOD + entry("x", random.Random(3).randbytes(20000)) + entry("app/package.json", package_json("top")) + END
    stored = mkimage.compress(layer, how)
    for i in range(20):
        rc, result, text = scan(raw_image(tmp_path, [stored[:len(stored) * i // 20]]), "--no-verify", codes=(0, 4))
        if rc == 0:
            assert ("npm", "top", "1") in packages(result) or i == 0, f"cut at {i}/20: packages are gone without a word"


def test_trailing_garbage(scan, tmp_path):
    path = image(tmp_path, [GOOD + END])
    with open(path, "ab") as f:
        f.write(random.Random(4).randbytes(100000))
    assert packages(scan(path, codes=(0,))[1]) == FOUND
    stored = gzip.compress(GOOD + END) + bytes(5000)
    assert packages(scan(raw_image(tmp_path, [stored], ["sha256:" + mkimage.sha256(GOOD + END)]), codes=(0,))[1]) == FOUND


# --- manifests ---
def change_json(files, name, change):
    doc = json.loads(files[name])
    change(doc)
    files[name] = json.dumps(doc).encode()


def oci_with(change_manifest=None, change_config=None, raw_manifest=None, raw_config=None):
    layer, files = GOOD + END, {"oci-layout": b"{}"}
    config = json.loads(mkimage.config_of([layer]))
    if change_config:
        change_config(config)
    config = raw_config or json.dumps(config).encode()
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"digest": "sha256:" + mkimage.sha256(config), "size": len(config)},
                "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:" + mkimage.sha256(layer), "size": len(layer)}]}
    if change_manifest:
        change_manifest(manifest)
    manifest = raw_manifest or json.dumps(manifest).encode()
    for b in (layer, config, manifest):
        files["blobs/sha256/" + mkimage.sha256(b)] = b
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [{"digest": "sha256:" + mkimage.sha256(manifest), "size": len(manifest)}]}).encode()
    return files


def layer0(**kw):
    return lambda m: m["layers"][0].update(kw)


def nested(n):
    return b'{"a":' * n + b"1" + b"}" * n


MANIFESTS = {
    "layer digest wrong": (lambda: oci_with(layer0(digest="sha256:" + "0" * 64)), (3,), "0" * 64),
    "layer digest is a path": (lambda: oci_with(layer0(digest="sha256:../../../../etc/passwd")), (3,), "not a digest"),
    "layer digest short": (lambda: oci_with(layer0(digest="sha256:00")), (3,), "digest"),
    "layer digest of another kind": (lambda: oci_with(layer0(digest="md5:" + "0" * 32)), (3,), "digest"),
    "layer size wrong": (lambda: oci_with(layer0(size=7)), (3,), "size"),
    "layer size negative": (lambda: oci_with(layer0(size=-1)), (3,), "size"),
    "layer size huge": (lambda: oci_with(layer0(size=1e300)), (3,), "size"),
    "layer media type wrong": (lambda: oci_with(layer0(mediaType="application/vnd.oci.image.layer.v1.tar+gzip")), (0, 3, 4), ""),
    "layer media type foreign": (lambda: oci_with(layer0(mediaType="text/html")), (0, 3, 4), ""),
    "layers no list": (lambda: oci_with(lambda m: m.update(layers={"a": 1})), (3,), ""),
    "layers of numbers": (lambda: oci_with(lambda m: m.update(layers=[1, 2])), (3,), ""),
    "no layers": (lambda: oci_with(lambda m: m.update(layers=[])), (3,), "layers"),
    "million layers": (lambda: oci_with(lambda m: m.update(layers=[{}] * 100000)), (3,), "layers"),
    "no config": (lambda: oci_with(lambda m: m.pop("config")), (3,), ""),
    "config digest wrong": (lambda: oci_with(lambda m: m["config"].update(digest="sha256:" + "1" * 64)), (3,), "1" * 64),
    "diff id wrong": (lambda: oci_with(None, lambda c: c["rootfs"].update(diff_ids=["sha256:" + "2" * 64])), (3,), "2" * 64),
    "diff ids too many": (lambda: oci_with(None, lambda c: c["rootfs"].update(diff_ids=["sha256:" + "2" * 64] * 3)), (3,), "diff_ids"),
    "diff id no digest": (lambda: oci_with(None, lambda c: c["rootfs"].update(diff_ids=[{"a": 1}])), (3,), "digest"),
    "manifest nested": (lambda: oci_with(raw_manifest=nested(100000)), (3,), "nested"),
    "config nested": (lambda: oci_with(raw_config=nested(100000)), (3,), "nested"),
    "manifest is text": (lambda: oci_with(raw_manifest=b"hello"), (3,), "JSON"),
    "manifest is null": (lambda: oci_with(raw_manifest=b"null"), (3,), ""),
    "manifest of 64 MiB": (lambda: oci_with(raw_manifest=b'{"a":"' + b"x" * (64 << 20) + b'"}'), (3,), "bytes"),
    "config string of 7 MiB": (lambda: oci_with(None, lambda c: c.update(os="\x1b[31m" + "x" * (7 << 20))), (0, 3, 4), ""),
    "config of 4 million values": (lambda: oci_with(raw_config=b"[" + b"1," * (3 << 20) + b"1]"), (3,), "values"),
    "history of odd types": (lambda: oci_with(None, lambda c: c.update(history=[1, None, "x", {"empty_layer": "no"}, {"created_by": {"a": 1}}])), (0,), ""),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests(scan, tmp_path, name):
    make, codes, word = MANIFESTS[name]
    path = tmp_path / "image.tar"
    mkimage.write_tar(str(path), make())
    rc, _, text = scan(f"oci-archive:{path}", codes=codes)
    assert word in text
    layout = tmp_path / "host" / "layout"
    mkimage.write_folder(str(layout), make())
    scan(f"oci:{layout}", codes=codes)


def test_indexes_in_circles(scan, tmp_path):
    """A digest cannot name itself, but without verification a circle of indexes is possible."""
    d = ["sha256:" + c * 64 for c in "ab"]
    index = lambda x: json.dumps({"schemaVersion": 2, "manifests": [{"digest": x, "size": 9}] * 50}).encode()
    files = {"oci-layout": b"{}", "index.json": index(d[0]), "blobs/sha256/" + "a" * 64: index(d[1]), "blobs/sha256/" + "b" * 64: index(d[0])}
    path = tmp_path / "image.tar"
    mkimage.write_tar(str(path), files)
    for more in ([], ["--all-platforms"]):
        rc, _, text = scan(f"oci-archive:{path}", "--no-verify", *more, codes=(3,))
        assert "nested" in text


def test_indexes_without_images_that_multiply(scan, tmp_path):
    """Four levels of 1000 entries each would be 10^12 documents."""
    files, inner = {"oci-layout": b"{}"}, json.dumps({"manifests": []}).encode()
    for level in range(4):
        files["blobs/sha256/" + mkimage.sha256(inner)] = inner
        inner = json.dumps({"manifests": [{"digest": "sha256:" + mkimage.sha256(inner)}] * 1000}).encode()
    files["index.json"] = inner
    path = tmp_path / "image.tar"
    mkimage.write_tar(str(path), files)
    scan(f"oci-archive:{path}", codes=(3,))


DOCKER = {
    "blob missing": (lambda f: f.pop(next(n for n in f if len(f[n]) > 2000)), "no member"),
    "nested": (lambda f: f.__setitem__("manifest.json", b"[" * 100000), "nested"),
    "string of 64 MiB": (lambda f: f.__setitem__("manifest.json", b'["' + b"x" * (64 << 20) + b'"]'), "manifest.json"),
    "invalid UTF-8": (lambda f: f.__setitem__("manifest.json", b'[{"Config":"\xff\xfe","Layers":[]}]'), "no member"),
    "config is a path": (lambda f: f.__setitem__("manifest.json", b'[{"Config":"../../../etc/passwd","Layers":[]}]'), "no member"),
    "layers are numbers": (lambda f: change_json(f, "manifest.json", lambda d: d[0].update(Layers=[1])), "layer 1"),
    "layer twice": (lambda f: change_json(f, "manifest.json", lambda d: d[0].update(Layers=d[0]["Layers"] * 2)), "diff_ids"),
    "config as layer": (lambda f: change_json(f, "manifest.json", lambda d: d[0].update(Layers=[d[0]["Config"]])), "sha256:"),
}


@pytest.mark.parametrize("name", DOCKER)
def test_docker_manifests(scan, tmp_path, name):
    change, word = DOCKER[name]
    files = mkimage.docker_files([GOOD + END])
    change(files)
    path = tmp_path / "image.tar"
    mkimage.write_tar(str(path), files)
    rc, _, text = scan(path, codes=(3,))
    assert word in text


def test_many_members_of_the_archive(scan, tmp_path):
    path = image(tmp_path, [GOOD + END])
    body = path.read_bytes()
    path.write_bytes(many(150000, lambda i: b"%d" % i) + body)
    rc, _, text = scan(path, codes=(3,))
    assert "members" in text


# --- what catalogers read ---
def npm_lock(n, deep):
    d = {}
    for i in range(deep):
        d = {"dependencies": {"x%d" % i: {"version": "1", **d}}}
    return json.dumps(d).encode()


WIDE = b'{"packages":{' + b",".join(b'"node_modules/p%d":{"version":"1"}' % i for i in range(200000)) + b"}}"
CONTENT = {
    # path, content, codes, word, --max-memory
    "package.json nested": ("app/package.json", nested(100000), (4,), "nested", 64),
    "package.json values": ("app/package.json", b'{"name":"x","version":"1","a":[' + b"1," * 1500000 + b"1]}", (4,), "values", 64),
    "package.json half a million values": ("app/package.json", b'{"name":"x","version":"1","a":[' + b"1," * 500000 + b"1]}", (0, 4), "", 64),
    "package.json string": ("app/package.json", b'{"name":"' + b"x" * (3 << 20) + b'","version":"1"}', (0, 4), "", 64),
    "package.json invalid UTF-8": ("app/package.json", b'{"name":"\xff\xfe\x1b[2J","version":"1"}', (0, 4), "", 64),
    "package-lock nested": ("app/package-lock.json", nested(100000), (4,), "nested", 64),
    "package-lock deep dependencies": ("app/package-lock.json", npm_lock(1, 90), (0, 4), "", 64),
    "package-lock of 64 MiB": ("app/package-lock.json", b'{"a":"' + b"x" * (64 << 20) + b'"}', (4,), "package-lock.json", 64),
    "package-lock of 40 MiB": ("app/package-lock.json", b'{"a":"' + b"x" * (40 << 20) + b'"}', (0, 4), "", 512),
    "package-lock wide": ("app/package-lock.json", WIDE, (0, 4), "", 128),
    "package-lock same name": ("app/package-lock.json", b'{"packages":{' + b",".join([b'"a/node_modules/p":{"version":"1"}'] * 100000) + b"}}", (0, 4), "", 256),
    "dpkg status of 100 MB": ("var/lib/dpkg/status", lambda: b"".join(stanza("p%d" % i) for i in range(1200000)), (4,), "status", 64),
    "dpkg status of 20 MB": ("var/lib/dpkg/status", lambda: b"".join(stanza("p%d" % i) for i in range(230000)), (0, 3, 4), "", 256),
    "dpkg status of one line": ("var/lib/dpkg/status", b"x" * (100 << 20), (4,), "status", 64),
    "dpkg status of one short line": ("var/lib/dpkg/status", b"x" * (7 << 20), (4,), "status", 64),
    "dpkg field of 7 MB": ("var/lib/dpkg/status", b"Package: " + b"x" * (7 << 20) + b"\nStatus: install ok installed\nVersion: 1\n", (0, 4), "", 64),
    "dpkg continuation lines": ("var/lib/dpkg/status", b"Package: p\nStatus: install ok installed\nVersion: 1\nDescription: x\n" + b" \n" * 3000000, (0, 4), "", 64),
    "dpkg list of 16 MB": ("var/lib/dpkg/info/bash.list", lambda: b"".join(b"/%d/x\n" % i for i in range(1300000)), (0, 3, 4), "", 256),
    "copyright of 4 MB": ("usr/share/doc/bash/copyright", b"/usr/share/common-licenses/GPL-3\n" * 120000, (0, 4), "", 64),
    "copyright of slashes": ("usr/share/doc/bash/copyright", b"/usr/share/common-license" * 160000, (0, 4), "", 64),
    "apk endless line": ("lib/apk/db/installed", b"P:" + b"x" * (7 << 20), (0, 4), "", 64),
    "apk many": ("lib/apk/db/installed", b"".join(b"P:p%d\nV:1\nF:a\nR:b\n\n" % i for i in range(200000)), (3, 4), "memory limit", 64),
    "os-release endless line": ("etc/os-release", b"ID=" + b"x" * (7 << 20), (0, 4), "", 64),
    "METADATA endless line": ("usr/lib/python3/x.dist-info/METADATA", b"Name: " + b"x" * (7 << 20), (4,), "METADATA", 64),
    "gemspec endless line": ("var/lib/gems/3.1.0/specifications/a-1.gemspec", b"s.name = " + b"x" * (3 << 20), (0, 4), "", 64),
    "ELF header of ff": ("usr/bin/x", b"\x7fELF\x02\x01\x01" + b"\xff" * 5000, (0, 4), "", 64),
    "ELF with go mark": ("usr/bin/x", b"\x7fELF\x02\x01\x01" + bytes(57) + b"\xff Go buildinf:\x08\x02" + b"\xff" * 5000, (0, 4), "", 64),
    "jar of ff": ("app/x.jar", b"PK\x05\x06" + b"\xff" * 18, (0, 4), "", 64),
    "status of NULs": ("var/lib/dpkg/status", bytes(1 << 20), (0, 4), "", 64),
}


# of these the size is refused before anything is unpacked: one way of packing is enough
LARGE = {"package-lock of 64 MiB", "dpkg status of 100 MB", "dpkg status of one line"}


@pytest.mark.parametrize("name,how", [(n, h) for n in CONTENT for h in ("none", "gzip") if not (n in LARGE and h == "gzip")])
def test_content(scan, tmp_path, name, how):
    path, data, codes, word, mem = CONTENT[name]
    data = data() if callable(data) else data
    low = b"" if path == "etc/os-release" else entry("etc/os-release", OS)
    rc, result, text = scan(image(tmp_path, [low + entry("app2/package.json", package_json("kept")) + entry(path, data) + END], how), codes=codes, mem=mem)
    assert word in text
    if result:
        assert ("npm", "kept", "1") in packages(result), "others must not suffer"


def zip_of(members):
    import zipfile
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members:
            z.writestr(name, data)
    return out.getvalue()


def test_jars_nested_40_deep(scan, tmp_path):
    jar = zip_of([("META-INF/maven/g/a/pom.properties", "groupId=g\nartifactId=a\nversion=1\n")])
    for i in range(40):
        jar = zip_of([(f"lib/j{i}.jar", jar), ("META-INF/MANIFEST.MF", f"Implementation-Title: t{i}\nImplementation-Version: {i}\n")])
    for how in ("none", "gzip"):
        rc, _, text = scan(image(tmp_path, [GOOD + entry("app/x.jar", jar) + END], how), codes=(4,))
        assert "x.jar" in text


def test_jar_bombs(scan, tmp_path):
    bomb = zip_of([("lib/b.jar", bytes(200 << 20))])
    many_bombs = zip_of([(f"lib/b{i}.jar", bytes(30 << 20)) for i in range(20)])
    for jar in (bomb, many_bombs, zip_of([("META-INF/MANIFEST.MF", bytes(100 << 20))])):
        scan(image(tmp_path, [GOOD + entry("app/x.jar", jar) + END]), codes=(0, 4))
    layer = GOOD + b"".join(entry("app/x%d.jar" % i, many_bombs) for i in range(100)) + END
    rc, result, text = scan(image(tmp_path, [layer]), mem=256, codes=(4,))
    assert "unpack to more than" in text and packages(result) >= FOUND


def test_many_small_members_that_grow(scan, tmp_path):
    pom = zip_of([(f"META-INF/maven/g/a{i}/pom.properties", bytes(64 << 10)) for i in range(2000)])
    rc, _, text = scan(image(tmp_path, [GOOD + entry("app/x.jar", pom) + END]), mem=256, codes=(4,))
    assert "unpack to more than" in text


def test_long_fields_hide_no_other_package(scan, tmp_path):
    long = b"Package: x" + b"x" * 100000 + b"\nStatus: install ok installed\nVersion: 1\n\n"
    rc, result, text = scan(image(tmp_path, [entry("etc/os-release", OS) + entry("var/lib/dpkg/status", stanza("a") + long + stanza("b")) + END]), codes=(4,))
    assert packages(result) == {("deb", "a", "1"), ("deb", "b", "1")} and "100001 bytes" in text


# --- RPM databases that lead in circles ---
def bdb_page(n, next_page, kind, entries=0, high=0, body=b""):
    return (bytes(8) + struct.pack("<III", n, 0, next_page) + struct.pack("<HHBB", entries, high, 0, kind) + body).ljust(4096, b"\0")[:4096]


def bdb(pages):
    meta = (bytes(8) + struct.pack("<IIII", 0, 0x061561, 9, 4096) + bytes([0, 8, 0, 0]) + struct.pack("<II", 0, len(pages))).ljust(4096, b"\0")
    return meta + b"".join(pages)


def bdb_circle(total):
    offpage = struct.pack("<B3xIII", 3, 0, 0, 0)
    item_key, item = b"\x01\x01\0\0\0", struct.pack("<B3xII", 3, 2, total)
    page = bytearray(bdb_page(1, 0, 13, 2, 0))
    k, d = 4096 - len(item_key), 4096 - len(item_key) - len(item)
    page[26:30] = struct.pack("<HH", k, d)
    page[k:k + len(item_key)] = item_key
    page[d:d + len(item)] = item
    assert offpage
    return bdb([bytes(page), bdb_page(2, 2, 7, 0, 4000, b"x" * 4000)])


def ndb_overlap():
    slots = b"".join(struct.pack("<IIII", 0x746f6c53, i + 1, 256, 8) for i in range(254))
    head = struct.pack("<IIII", 0x506d7052, 0, 1, 1) + struct.pack("<IIII", 255, 0, 0, 0)
    blob = struct.pack("<IIII", 0x53626c42, 1, 1, 64) + b"\xff" * 112
    return (head + slots).ljust(4096, b"\0") + blob * 100


def sqlite_circle(tmp_path, page_type):
    path = tmp_path / "host" / "rpm.sqlite"
    db = sqlite3.connect(path)
    db.execute("PRAGMA page_size=4096")
    db.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    db.executemany("INSERT INTO Packages (blob) VALUES (?)", [(b"\x8e\xad\xe8\x01" + b"x" * (9000 if page_type == "overflow" else 900),)] * 300)
    db.commit()
    root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name='Packages'").fetchone()[0]
    db.close()
    data = bytearray(path.read_bytes())
    path.unlink()
    at = (root - 1) * 4096
    if page_type == "tree":  # every child of the root is the root
        assert data[at] == 5
        n = struct.unpack(">H", data[at + 3:at + 5])[0]
        data[at + 8:at + 12] = struct.pack(">I", root)
        for i in range(n):
            cell = struct.unpack(">H", data[at + 12 + 2 * i:at + 14 + 2 * i])[0]
            data[at + cell:at + cell + 4] = struct.pack(">I", root)
    elif page_type == "overflow":  # every page that could be one links to itself
        for p in range(3, len(data) // 4096 + 1):
            if data[(p - 1) * 4096] not in (2, 5, 10, 13):
                data[(p - 1) * 4096:(p - 1) * 4096 + 4] = struct.pack(">I", p)
    return bytes(data)


@pytest.mark.parametrize("how", ["none", "gzip"])
@pytest.mark.parametrize("kind", ["bdb small", "bdb large", "bdb huge", "ndb", "tree", "overflow"])
def test_rpm_databases_in_circles(scan, tmp_path, kind, how):
    name, data = {"bdb": lambda: ("Packages", bdb_circle({"small": 10000, "large": 4 << 20, "huge": 0xffffffff}[kind.split()[1]])),
                  "ndb": lambda: ("Packages.db", ndb_overlap())}.get(kind.split()[0], lambda: ("rpmdb.sqlite", sqlite_circle(tmp_path, kind)))()
    rc, _, text = scan(image(tmp_path, [entry("etc/os-release", OS) + entry("var/lib/rpm/" + name, data) + END], how), codes=(4,))
    assert name in text
