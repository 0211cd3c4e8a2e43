# SPDX-License-Identifier: Apache-2.0
"""Seals of images of Windows: layers as Microsoft's hcsshim writes them (Files/, Hives/, UtilityVM/, tombstones, pax records with attributes and security descriptors), and each kind of
change to one, as an archive and as a mounted tree."""
import base64
import io
import json
import struct
import tarfile

import pytest

from test_scan import mkimage

ADMINISTRATORS, SYSTEM, TRUSTED_INSTALLER = (5, 32, 544), (5, 18), (5, 80, 956008885, 3418522649, 1831038044, 1853292631, 2271478464)
EVERYONE = (1, 0)
READ, FULL = 0x1200a9, 0x1f01ff
ARCHIVE, READONLY, HIDDEN, SYSTEM_FILE, DIRECTORY = 0x20, 1, 2, 4, 0x10


def sid(parts):
    return struct.pack(">BBHI", 1, len(parts) - 1, 0, parts[0]) + b"".join(struct.pack("<I", p) for p in parts[1:])


def descriptor(owner=TRUSTED_INSTALLER, group=TRUSTED_INSTALLER, entries=((READ, EVERYONE), (FULL, SYSTEM))):
    """Self-relative, with a discretionary list."""
    aces = b"".join(struct.pack("<BBHI", 0, 0, 8 + len(sid(who)), mask) + sid(who) for mask, who in entries)
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(aces), len(entries), 0) + aces
    at = 20 + len(acl)
    return struct.pack("<BBHIIII", 1, 0, 0x8004, at, at + len(sid(owner)), 0, 20) + acl + sid(owner) + sid(group)


def layer(*entries):
    """(name, content or None for a folder, attributes, descriptor)"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content, *more in entries:
            attributes, sd = (more + [None, None])[:2] if more else (DIRECTORY if content is None else ARCHIVE, None)
            info = tarfile.TarInfo(name)
            info.mtime = 1700000000
            info.pax_headers = {"MSWINDOWS.fileattr": str(attributes), "MSWINDOWS.rawsd": base64.b64encode(sd or descriptor()).decode(), "LIBARCHIVE.creationtime": "1700000000.5"}
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o777
                tar.addfile(info)
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size, info.mode = len(content), 0o666
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


BASE = [("Files", None), ("Files/Windows", None), ("Files/Windows/System32", None), ("Files/Windows/System32/kernel32.dll", b"MZ" + b"\x90" * 70000), ("Files/Windows/System32/cmd.exe", b"MZcmd"),
        ("Files/Windows/System32/drivers/etc/hosts", b"127.0.0.1 localhost\r\n"), ("Files/ProgramData", None), ("Files/ProgramData/old.txt", b"old"), ("Files/ProgramData/folder", None), ("Files/ProgramData/folder/a.txt", b"a"),
        ("Files/ProgramData/Straße/Größe.TXT", "groß".encode()), ("Files/Users/link", "C:\\ProgramData"), ("Hives", None), ("Hives/Software_Base", b"regf" + b"\0" * 4096),
        ("UtilityVM/Files/Windows/System32/vm.dll", b"MZvm")]
TOP = [("Files/PROGRAMDATA/.wh.OLD.TXT", b""), ("Files/App/service.exe", b"MZ one", ARCHIVE, descriptor(ADMINISTRATORS, SYSTEM)), ("Files/windows/SYSTEM32/Drivers/ETC/hosts", b"10.0.0.1 db\r\n"),
       ("Hives/Software_Delta", b"regf delta")]


def image(path, base=None, top=None, how="none"):
    mkimage.write_image(path, [layer(*(base or BASE)), layer(*(top or TOP))], "oci-archive", how, tag="w", platform="windows/amd64")
    return path


@pytest.fixture
def sealed(run, tmp_path):
    def call(path, name):
        rc, out, err = run("seal", "--no-cache", "--platform", "windows/amd64", "-o", tmp_path / f"{name}.seal", path)
        assert rc in (0, 4), err
        return tmp_path / f"{name}.seal"
    return call


def paths(run, seal):
    return [json.loads(line) if line.startswith("{") else line.split()[-1] for line in run("seal", "show", seal)[1].splitlines()]


@pytest.mark.parametrize("how", ["none", "gzip", "zstd"])
def test_merged_whatever_the_case(run, sealed, tmp_path, how):
    """A tombstone and a file in other letters are about the same names; the first spelling stays.  The same in whichever form the layers lie."""
    shown = run("seal", "show", sealed(image(tmp_path / "i.tar", how=how), "i"))[1]
    names = [line.split(None, 4)[-1] for line in shown.splitlines()]
    assert [n for n in names if n.lower().startswith("/files/programdata")] == ["/Files/ProgramData", "/Files/ProgramData/Straße", "/Files/ProgramData/Straße/Größe.TXT", "/Files/ProgramData/folder",
                                                                               "/Files/ProgramData/folder/a.txt"]
    assert sum("hosts" in n for n in names) == 1 and "/Files/Windows/System32/drivers/etc/hosts" in names
    assert "/Hives/Software_Delta" in names and "/UtilityVM/Files/Windows/System32/vm.dll" in names and "/Files/App/service.exe" in names
    plain = sealed(image(tmp_path / "plain.tar"), "plain")
    assert run("seal", "diff", tmp_path / "i.seal", plain)[:2] == (0, "0 differences\n")
    assert struct.unpack_from("<I", (tmp_path / "i.seal").read_bytes(), 8)[0] == 2  # the version with descriptors


def changed(**by_name):
    """BASE with entries replaced, left out (None) or, by another name, added."""
    out = []
    for entry in BASE:
        new = by_name.pop(entry[0], entry)
        out += [new] if new else []  # None: left out
    return out + list(by_name.values())


NAMED = {
    "content": ({"Files/Windows/System32/cmd.exe": ("Files/Windows/System32/cmd.exe", b"MZcmD")}, "modified:  /Files/Windows/System32/cmd.exe (content)"),
    "owner": ({"Files/Windows/System32/cmd.exe": ("Files/Windows/System32/cmd.exe", b"MZcmd", ARCHIVE, descriptor(ADMINISTRATORS))},
              "modified:  /Files/Windows/System32/cmd.exe (owner S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464 -> "
              "S-1-5-32-544:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)"),
    "access": ({"Files/Windows/System32": ("Files/Windows/System32", None, DIRECTORY, descriptor(entries=((FULL, EVERYONE),)))}, "modified:  /Files/Windows/System32 (access)"),
    "attributes": ({"Files/Windows/System32/cmd.exe": ("Files/Windows/System32/cmd.exe", b"MZcmd", ARCHIVE | HIDDEN | SYSTEM_FILE, None)}, "modified:  /Files/Windows/System32/cmd.exe (attributes 0x20 -> 0x26)"),
    "added": ({"new": ("Files/Windows/Temp.exe", b"MZnew")}, "added:     /Files/Windows/Temp.exe"),
    "removed": ({"Files/ProgramData/folder/a.txt": None}, "removed:   /Files/ProgramData/folder/a.txt"),
    "link": ({"Files/Users/link": ("Files/Users/link", "C:\\Temp")}, "modified:  /Files/Users/link (link)"),
    "type": ({"Files/Users/link": ("Files/Users/link", b"no link")}, "modified:  /Files/Users/link (type)"),
    "hive": ({"Hives/Software_Base": ("Hives/Software_Base", b"regf" + b"\1" * 4096)}, "modified:  /Hives/Software_Base (content)"),
    "utility": ({"UtilityVM/Files/Windows/System32/vm.dll": ("UtilityVM/Files/Windows/System32/vm.dll", b"MZvN")}, "modified:  /UtilityVM/Files/Windows/System32/vm.dll (content)"),
    "case": ({"Files/ProgramData/Straße/Größe.TXT": ("Files/programdata/STRAßE/GRÖßE.txt", "groß".encode())}, None),
    "same": ({}, None),
}


@pytest.mark.parametrize("what", NAMED)
def test_each_change_is_named(run, sealed, tmp_path, what):
    change, line = NAMED[what]
    seal = sealed(image(tmp_path / "before.tar"), "before")
    after = image(tmp_path / "after.tar", changed(**change))
    other = sealed(after, "after")
    rc, out, err = run("seal", "diff", seal, other)
    assert (rc, out) == ((1, line + "\n1 difference\n") if line else (0, "0 differences\n")), err
    found = json.loads(run("seal", "diff", "--json", seal, other)[1])["differences"]
    assert len(found) == (1 if line else 0)
    if what == "owner":
        assert found[0]["sealed"]["owner_sid"].startswith("S-1-5-80-") and found[0]["found"]["owner_sid"] == "S-1-5-32-544" and found[0]["what"] == ["owner"]
        assert base64.b64decode(found[0]["found"]["security_descriptor"]) == descriptor(ADMINISTRATORS)
    if what == "attributes":
        assert (found[0]["sealed"]["attributes"], found[0]["found"]["attributes"]) == (0x20, 0x26)
    rc, out, err = run("seal", "verify", "--platform", "windows/amd64", "--seal", seal, image(tmp_path / "before.tar"))
    assert (rc, out) == (0, "0 differences\n"), err
    assert run("seal", "verify", "--platform", "windows/amd64", "--seal", seal, after)[0] == (0 if what == "same" else 3)  # of another image


def tree(path, entries=BASE):
    """C: as it is mounted, with what the merged image has."""
    for name, content, *_ in [*entries, *TOP]:
        if not name.startswith("Files/") or ".wh." in name or isinstance(content, str) or "old.txt" in name:
            continue
        at = path
        for part in name.removeprefix("Files/").split("/"):  # one spelling of each
            at = next((p for p in at.iterdir() if p.name.lower() == part.lower()), at / part) if at.is_dir() else at / part
            if at.exists():
                continue
            if part != name.split("/")[-1] or content is None:
                at.mkdir()
        if content is not None:
            at.write_bytes(content)
    (path / "Users").mkdir(exist_ok=True)
    (path / "Users/link").symlink_to("/mnt/ProgramData")
    return path


def test_a_mounted_tree(run, sealed, tmp_path):
    seal = sealed(image(tmp_path / "i.tar"), "i")
    (tmp_path / "C").mkdir()
    root = tree(tmp_path / "C")
    rc, out, err = run("seal", "verify", "--seal", seal, f"dir:{root}")
    assert (rc, out) == (0, "0 differences\n") and "below /Files" in err, (out, err)
    (root / "Windows/System32/cmd.exe").write_bytes(b"MZcmD")
    (root / "Windows/System32/cmd.exe").chmod(0o600)
    (root / "Windows/evil.dll").write_bytes(b"MZ")
    (root / "ProgramData/folder/a.txt").unlink()
    (root / "App/service.exe").rename(root / "App/SERVICE.EXE")
    rc, out, err = run("seal", "verify", "--seal", seal, f"dir:{root}")
    assert rc == 1 and out.splitlines() == ["removed:   /Files/ProgramData/folder/a.txt", "added:     /Windows/evil.dll", "modified:  /Files/Windows/System32/cmd.exe (content)", "3 differences"], (out, err)


def test_layers_that_say_it_otherwise(run, sealed, tmp_path):
    """A descriptor that is none is compared as bytes; records that cannot be read are told, and the rest is sealed."""
    good = sealed(image(tmp_path / "good.tar"), "good")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, headers in (("Files/a", {"MSWINDOWS.rawsd": "AAAA"}), ("Files/b", {"MSWINDOWS.fileattr": "99999999999"}), ("Files/c", {"MSWINDOWS.fileattr": "32"})):
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = 1, headers
            tar.addfile(info, io.BytesIO(b"x"))
    mkimage.write_image(tmp_path / "odd.tar", [out.getvalue()], "oci-archive", tag="w", platform="windows/amd64")
    odd = json.loads(run("seal", "diff", "--json", sealed(tmp_path / "odd.tar", "odd"), good)[1])["differences"]
    sealed_side = {d["path"]: d["sealed"] for d in odd if "sealed" in d}
    assert "owner_sid" not in sealed_side["/Files/a"] and sealed_side["/Files/a"]["security_descriptor"] == "AAAA" and "attributes" not in sealed_side["/Files/b"]
    assert sealed_side["/Files/c"]["attributes"] == 32
    info = tarfile.TarInfo("Files/d")
    info.size, info.pax_headers = 1, {"MSWINDOWS.rawsd": "!!!"}
    bad = io.BytesIO()
    with tarfile.open(fileobj=bad, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(b"x"))
    mkimage.write_image(tmp_path / "bad.tar", [bad.getvalue()], "oci-archive", "gzip", tag="w", platform="windows/amd64")
    rc, out, err = run("seal", "--no-cache", "--platform", "windows/amd64", "-o", tmp_path / "bad.seal", tmp_path / "bad.tar")
    assert "security descriptor could not be read" in err and rc == 4, (rc, err)
    assert "/Files/d" in run("seal", "show", tmp_path / "bad.seal")[1]
