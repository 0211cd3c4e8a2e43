# SPDX-License-Identifier: Apache-2.0
"""Seals: the same tree has the same root however it is packed; every flipped byte of a seal shows; a statement of one before the files of another."""
import hashlib
import io
import json
import os
import re
import resource
import socket
import stat
import subprocess
import sys
import tarfile
import threading

import jsonschema
import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests" / "tools"))
import mkimage  # noqa: E402

CAPS = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw+ep, version 2
STATUS = b"Package: coreutils\nStatus: install ok installed\nArchitecture: amd64\nVersion: 9.1-1\nDescription: x\n\n"


def layer(*entries):
    """(name, content | None: folder | (type, target) , {attributes})"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content, *more in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = 0o755, 1700000000
            for key, value in (more[0] if more else {}).items():
                setattr(info, key, value)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, tuple):
                info.type, info.linkname = content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


LAYERS = [
    layer(("usr", None), ("usr/bin", None), ("bin", (tarfile.SYMTYPE, "usr/bin")), ("usr/bin/ls", b"ls one", {"uid": 7, "gid": 8}), ("usr/bin/dir", (tarfile.LNKTYPE, "usr/bin/ls"), {"uid": 7, "gid": 8}),
          ("usr/bin/su", b"su", {"mode": 0o4755}), ("usr/bin/ping", b"ping", {"pax_headers": {"SCHILY.xattr.security.capability": CAPS.decode("latin-1")}}),
          ("old", None), ("old/a", b"a"), ("old/b", b"b"), ("gone", None), ("gone/x", b"x"), ("kept", b"kept"), ("turned", None), ("turned/in", b"in"),
          ("var/lib/dpkg/status", STATUS), ("var/lib/dpkg/info/coreutils.list", b"/.\n/bin\n/bin/ls\n/bin/dir\n/usr/bin/su\n")),
    layer(("old/.wh..wh..opq", b""), ("old/c", b"c"), (".wh.gone", b""), ("turned", b"a file now"), ("linked", (tarfile.LNKTYPE, "kept")), ("odd\nname", b"odd"), ("empty", b"")),
]


def layouts(tmp_path):
    for layout, how in (("docker", "none"), ("oci", "gzip"), ("oci-archive", "zstd")):
        path = tmp_path / f"{layout}-{how}"
        mkimage.write_image(path, LAYERS, layout, how, "sealed:1")
        yield path


@pytest.fixture
def seal(run, tmp_path):
    def call(*args, code=0):
        rc, out, err = run("seal", *args)
        assert rc == code, (rc, out, err)
        return out + err
    return call


def listing(run, path):
    rc, out, err = run("seal", "show", "--json", path)
    assert rc == 0, err
    doc = json.loads(out)
    jsonschema.validate(doc, json.loads((ROOT / "docs/schema/seal-1.json").read_text()))
    return doc["seal"], {f["path"]: f["entry"] for f in doc["entries"]}


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_what_an_image_consists_of(run, seal, tmp_path):
    roots = set()
    for i, image in enumerate(layouts(tmp_path)):
        seal("-o", tmp_path / f"{i}.seal", image)
        doc, files = listing(run, tmp_path / f"{i}.seal")
        roots.add(doc["root"])
        assert set(files) == {"/usr", "/usr/bin", "/bin", "/usr/bin/ls", "/usr/bin/dir", "/usr/bin/su", "/usr/bin/ping", "/old", "/old/c", "/kept", "/linked", "/turned", "/odd\nname", "/empty",
                              "/var", "/var/lib", "/var/lib/dpkg", "/var/lib/dpkg/info", "/var/lib/dpkg/status", "/var/lib/dpkg/info/coreutils.list"}
        assert files["/usr/bin/ls"]["sha256"] == files["/usr/bin/dir"]["sha256"] == sha(b"ls one")
        assert (files["/usr/bin/ls"]["uid"], files["/usr/bin/ls"]["gid"], files["/usr/bin/ls"]["size"]) == (7, 8, 6)
        assert files["/usr/bin/ls"]["package"] == files["/usr/bin/dir"]["package"] == files["/usr/bin/su"]["package"] == "pkg:deb/coreutils@9.1-1?arch=amd64"
        assert files["/usr/bin/su"]["mode"] == "0104755" and files["/usr/bin/ping"]["capability"] == CAPS.hex() and "package" not in files["/usr/bin/ping"]
        assert files["/bin"] == {**files["/bin"], "mode": files["/bin"]["mode"], "link": "usr/bin"} and files["/bin"]["mode"].startswith("012")
        assert files["/linked"]["sha256"] == sha(b"kept") and files["/turned"]["sha256"] == sha(b"a file now") and files["/empty"]["sha256"] == sha(b"")
        assert files["/old/c"]["layer"] != files["/kept"]["layer"]
    assert len(roots) == 1, "the same tree has the same root, however it is packed"


def tree(path):
    (path / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c", "sub/d", "plain"):
        (path / name).write_bytes(name.encode() * 1000)
        (path / name).chmod(0o644)
    (path / "link").symlink_to("a")
    for i in range(600):  # several blocks
        (path / f"many{i:04}").write_bytes(b"%d" % i)
    return path


def keys(path, name, *how):
    subprocess.run(["openssl", "genpkey", *how, "-out", path / f"{name}.key"], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", path / f"{name}.key", "-pubout", "-out", path / f"{name}.pub"], check=True, capture_output=True)


def test_the_statement_of_another(run, seal, tmp_path):
    """Whoever signed it: the root does not fit."""
    t = tree(tmp_path / "t")
    keys(tmp_path, "ed", "-algorithm", "ed25519")
    seal("--sign", tmp_path / "ed.key", "-o", tmp_path / "ed.seal", f"dir:{t}")
    (t / "a").write_bytes(b"other")
    seal("-o", tmp_path / "other.seal", f"dir:{t}")
    signed, other = (tmp_path / "ed.seal").read_bytes(), (tmp_path / "other.seal").read_bytes()
    end = lambda b: int.from_bytes(b[40:48], "little")  # noqa: E731 (where the envelope begins)
    forged = bytearray(other[:end(other)] + signed[end(signed):])
    forged[48:56] = len(forged).to_bytes(8, "little")
    (tmp_path / "forged.seal").write_bytes(forged)
    out = seal("verify", "--key", tmp_path / "ed.pub", "--seal", tmp_path / "forged.seal", f"dir:{t}", code=3)
    assert "root" in out or "changed" in out


def test_a_seal_that_was_touched(run, seal, tmp_path):
    t = tree(tmp_path / "t")
    seal("-o", tmp_path / "t.seal", f"dir:{t}")
    good = (tmp_path / "t.seal").read_bytes()
    step = max(1, len(good) // 300)
    for at in range(0, len(good), step):
        bad = bytearray(good)
        bad[at] ^= 0x20
        (tmp_path / "bad.seal").write_bytes(bad)
        rc, out, err = run("seal", "verify", "--seal", tmp_path / "bad.seal", f"dir:{t}")
        assert rc == 3 or (rc == 0 and at >= int.from_bytes(good[40:48], "little")), f"byte {at}: {rc} {out} {err}"  # in the envelope, what says nothing of the files may differ
        assert rc == 0 or err.count("\n") == 1
    for n in (0, 7, 63, 64, 65, len(good) // 2, len(good) - 1):
        (tmp_path / "bad.seal").write_bytes(good[:n])
        assert run("seal", "show", tmp_path / "bad.seal")[0] == 3
    (tmp_path / "bad.seal").write_bytes(good + b"x")
    assert run("seal", "show", tmp_path / "bad.seal")[0] == 3
    assert run("seal", "show", "/dev/zero")[0] == 3 and run("seal", "show", tmp_path)[0] == 3


def test_hostile_tree(run, binary, tmp_path):
    """What a folder can hold that is no file, or never ends: nothing blocks, nothing is followed, all of it is in the seal."""
    t = tmp_path / "t"
    (t / "deep").mkdir(parents=True)
    os.mkfifo(t / "fifo")
    sock = socket.socket(socket.AF_UNIX)
    os.chdir(t)  # a socket's path has 107 bytes at most
    sock.bind("sock")
    os.chdir(ROOT)
    (t / "loop").symlink_to("loop")
    (t / "up").symlink_to("..")
    (t / "out").symlink_to("/etc/shadow")
    (t / "sparse").touch()
    os.truncate(t / "sparse", 1 << 28)
    (t / os.fsdecode(b"\xff\xfe name\n\x1b[2J")).write_text("x")
    (t / "mode").write_text("x")
    (t / "mode").chmod(0o7777)
    at = os.open(t / "deep", os.O_RDONLY)
    for _ in range(120):  # beyond what a path may have
        os.mkdir("d" * 100, dir_fd=at)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    if os.geteuid() == 0:
        os.mknod(t / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(t / "endless", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        os.mknod(t / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 200))
    rc, out, err = run("seal", "-o", tmp_path / "s.seal", f"dir:{t}")
    assert rc in (0, 4) and "\x1b" not in out + err, err
    _, files = listing(run, tmp_path / "s.seal")
    kinds = {"/fifo": "001", "/sock": "014", "/loop": "012", "/out": "012", "/sparse": "010", "/mode": "0107777", **({"/null": "002", "/endless": "002", "/disk": "006"} if os.geteuid() == 0 else {})}
    assert {p: files[p]["mode"][:len(m)] for p, m in kinds.items()} == kinds
    assert files["/out"]["link"] == "/etc/shadow" and files["/sparse"]["sha256"] == hashlib.sha256(bytes(1 << 28)).hexdigest()
    assert not any("sha256" in files[p] for p in kinds if p not in ("/sparse", "/mode")) and max(map(len, files)) < 4200
    rc, out, err = run("seal", "verify", "--seal", tmp_path / "s.seal", f"dir:{t}")
    assert rc in (0, 4) and out.startswith("0 differences"), (rc, out, err)
    (t / "fifo").unlink()
    (t / "fifo").write_text("a file now")
    rc, out, err = run("seal", "verify", "--seal", tmp_path / "s.seal", f"dir:{t}")
    assert rc == 1 and "modified:  /fifo (type)" in out


def test_hundred_thousand_links(run, binary, tmp_path):
    """Hard links, and symbolic ones that go in circles: bounded in time and memory, and each is there."""
    t = tmp_path / "t"
    t.mkdir()
    (t / "one").write_text("content")
    for i in range(50000):
        if i % 20000 == 0:
            (t / f"{i // 20000}").mkdir()
        os.link(t / "one", t / f"{i // 20000}" / f"h{i}")
        os.symlink(f"s{(i + 1) % 50000}", t / f"{i // 20000}" / f"s{i}")
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))  # noqa: E731
    p = subprocess.run([binary, "seal", "--no-cache", "-o", tmp_path / "s.seal", f"dir:{t}"], capture_output=True, text=True, preexec_fn=limit, timeout=100)
    assert p.returncode == 0 and "100004 files" in p.stdout, p.stderr
    assert (tmp_path / "s.seal").stat().st_size < 3 << 20
    (t / "one").write_text("other!!")
    (t / "1/s30000").unlink()
    rc, out, err = run("seal", "verify", "--json", "--seal", tmp_path / "s.seal", f"dir:{t}")
    assert rc == 1 and len(json.loads(out)["differences"]) == 50002, err


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root's rights")
def test_unreadable_files(binary, tmp_path):
    """As an ordinary user: said, exit code 4, and no difference is made up."""
    t = tmp_path / "t"
    (t / "closed").mkdir(parents=True)
    (t / "secret").write_text("x")
    (t / "open").write_text("x")
    (t / "closed/in").write_text("x")
    (t / "secret").chmod(0o600)
    (t / "closed").chmod(0o700)
    for p in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        p.chmod(0o755)
    run = lambda *a: subprocess.run([binary, "seal", *map(str, a)], capture_output=True, text=True, user=65534, group=65534, extra_groups=[], env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})  # noqa: E731
    out = tmp_path / "o"
    out.mkdir()
    os.chown(out, 65534, 65534)
    p = run("--no-cache", "-o", out / "s.seal", f"dir:{t}")
    assert p.returncode == 4 and p.stderr.splitlines() == ["holdfast: /secret: its content could not be read", "holdfast: /closed: directory cannot be opened: Permission denied"], (p.returncode, p.stderr)
    p = run("verify", "--seal", out / "s.seal", f"dir:{t}")
    assert p.returncode == 4 and p.stdout == "0 differences\n", (p.returncode, p.stdout, p.stderr)
    # with a seal that root made: what cannot be looked into is not called removed
    subprocess.run([binary, "seal", "--no-cache", "-o", out / "r.seal", f"dir:{t}"], check=True, capture_output=True)
    (out / "r.seal").chmod(0o644)
    p = run("verify", "--seal", out / "r.seal", f"dir:{t}")
    assert p.returncode == 4 and p.stdout == "0 differences; 1 not compared below what could not be read\n", (p.returncode, p.stdout, p.stderr)
    (t / "secret").chmod(0o644)
    p = run("--no-cache", "-o", out / "t.seal", f"dir:{t}")  # only a folder is closed: that too is no whole seal
    assert p.returncode == 4 and "/closed" in p.stderr, (p.returncode, p.stderr)
    (t / "secret").chmod(0o600)
    (t / "open").write_text("y")
    p = run("verify", "--seal", out / "s.seal", f"dir:{t}")
    assert p.returncode == 1 and p.stdout.startswith("modified:  /open (content)\n1 difference"), p.stdout


def test_files_that_change_while_they_are_read(binary, run, tmp_path):
    """A writer all the time: the run ends, and what stood still is right; what did not is said, or has the digest of one of its states."""
    t = tmp_path / "t"
    t.mkdir()
    for i in range(200):
        (t / f"still{i}").write_text(f"{i}" * 100)
    (t / "log").write_bytes(b"x" * (8 << 20))
    (t / "flip").write_bytes(b"a" * (1 << 20))
    stop = threading.Event()

    def writer():
        n = 0
        while not stop.is_set():
            with open(t / "log", "r+b") as f:
                f.seek((n * 4096) % (8 << 20))
                f.write(os.urandom(4096))
            os.truncate(t / "flip", (n % 2) * (1 << 19) + (1 << 19))
            (t / f"comes{n % 50}").write_text("x") if n % 100 < 50 else (t / f"comes{n % 50}").unlink(missing_ok=True)
            n += 1
    w = threading.Thread(target=writer)
    w.start()
    try:
        for _ in range(3):
            rc, out, err = run("seal", "--no-cache", "--force", "-o", tmp_path / "s.seal", f"dir:{t}")
            assert rc in (0, 4), (rc, err)
            assert rc == 0 or all(re.search(r"^holdfast: (/log|/flip|/comes\d+): ", line) for line in err.splitlines()), err
            _, files = listing(run, tmp_path / "s.seal")
            assert all(files[f"/still{i}"]["sha256"] == sha(f"{i}".encode() * 100) for i in range(200))
            rc, out, err = run("seal", "verify", "--seal", tmp_path / "s.seal", f"dir:{t}")
            assert rc in (0, 1, 4) and not re.search("still", out + err), (out, err)
    finally:
        stop.set()
        w.join()
