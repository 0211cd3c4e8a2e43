# SPDX-License-Identifier: Apache-2.0
"""`holdfast scan` through the installed command on images made here: every layout, compression, merge rules, hostile input."""
import gzip
import json
import lzma
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402

OS_RELEASE = b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n'


def stanza(name, version, extra=""):
    return f"Package: {name}\nStatus: install ok installed\nMaintainer: Debian X <x@debian.org>\nArchitecture: amd64\nVersion: {version}\n{extra}Description: x\n\n"


def status(*packages):
    return "".join(stanza(*p) for p in packages).encode()


BASE = mkimage.tar_of_files([
    ("etc/os-release", OS_RELEASE),
    ("lib", ("symlink", "usr/lib")),
    ("var/lib/dpkg/status", status(("base-files", "12.4"), ("openssl", "3.0.11-1~deb12u1"))),
    ("var/lib/dpkg/info/base-files.list", b"/.\n/etc\n/etc/os-release\n"),
])
TOP = mkimage.tar_of_files([
    ("var/lib/dpkg/status", status(("base-files", "12.4"), ("openssl", "3.0.11-1~deb12u1"), ("python3-six", "1.16.0-4"))),
    ("var/lib/dpkg/info/python3-six.list", b"/.\n/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO\n"),
    ("usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO", b"Metadata-Version: 1.2\nName: six\nVersion: 1.16.0\n"),
    ("usr/local/lib/python3.11/site-packages/requests-2.19.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: requests\nVersion: 2.19.0\nLicense: Apache-2.0\n\nbody"),
    ("app/node_modules/lodash/package.json", b'{"name": "lodash", "version": "4.17.15", "license": "MIT"}'),
])


def packages(result):
    return {(p["type"], p["name"], p["version"]) for p in result["packages"]}


EXPECTED = {("deb", "base-files", "12.4"), ("deb", "openssl", "3.0.11-1~deb12u1"), ("deb", "python3-six", "1.16.0-4"),
            ("pypi", "six", "1.16.0"), ("pypi", "requests", "2.19.0"), ("npm", "lodash", "4.17.15")}


@pytest.fixture
def scan(holdfast, advdb, tmp_path):
    """Runs a scan, returns (exit code, JSON or None, stderr)."""
    def run(target, *options):
        rc, out, err = holdfast("scan", "--db", str(advdb), "--cache-dir", str(tmp_path / "cache"), "--format", "json", "--quiet", *options, str(target))
        return rc, json.loads(out) if out.strip() else None, err
    return run


@pytest.mark.parametrize("fmt,how", [("docker", "none"), ("docker", "gzip"), ("docker", "zstd"), ("docker-old", "none"), ("docker-old", "gzip"),
                                     ("oci-archive", "none"), ("oci-archive", "gzip"), ("oci-archive", "zstd"), ("oci", "gzip"), ("oci", "zstd"), ("oci", "none")])
def test_every_layout_gives_the_same_packages(scan, tmp_path, fmt, how):
    path = tmp_path / "image"
    mkimage.write_image(str(path), [BASE, TOP], fmt, how)
    rc, result, err = scan(path)
    assert rc == 0, err
    assert result["schema"] == "holdfast.scan/1"
    assert packages(result) == EXPECTED
    assert result["os"]["id"] == "debian" and result["os"]["version"] == "12"
    assert [l["diff_id"] for l in result["image"]["layers"]] == ["sha256:" + mkimage.sha256(t) for t in (BASE, TOP)]
    by_name = {p["name"]: p for p in result["packages"]}
    layer = lambda n: by_name[n]["locations"][0]["layer"]
    assert layer("openssl") == "sha256:" + mkimage.sha256(BASE)
    assert layer("python3-six") == layer("requests") == "sha256:" + mkimage.sha256(TOP)
    assert not result["incomplete"]


def test_second_scan_uses_the_cache_and_says_the_same(scan, tmp_path):
    path = tmp_path / "image.tar"
    mkimage.write_image(str(path), [BASE, TOP], "docker", "gzip")
    first, second = scan(path), scan(path)
    assert first[0] == second[0] == 0
    assert first[1]["packages"] == second[1]["packages"] and first[1]["vulnerabilities"] == second[1]["vulnerabilities"]


def test_one_flipped_byte_stops_the_scan_and_names_both_digests(scan, tmp_path):
    path = tmp_path / "image.tar"
    files = mkimage.docker_files([BASE, TOP])
    name = "blobs/sha256/" + mkimage.sha256(TOP)
    changed = bytearray(TOP)
    changed[changed.index(b"Version: 2.19.0") + 9] ^= 1
    files[name] = bytes(changed)
    mkimage.write_tar(str(path), files)
    rc, result, err = scan(path)
    assert rc == 3 and result is None
    assert mkimage.sha256(TOP) in err and mkimage.sha256(bytes(changed)) in err
    rc, result, err = scan(path, "--no-verify")
    assert rc == 0


def test_flipped_byte_is_seen_after_the_layer_is_cached(scan, tmp_path):
    good, bad = tmp_path / "good.tar", tmp_path / "bad.tar"
    files = mkimage.docker_files([BASE, TOP])
    mkimage.write_tar(str(good), files)
    assert scan(good)[0] == 0
    name = "blobs/sha256/" + mkimage.sha256(BASE)
    changed = bytearray(files[name])
    changed[600] ^= 1
    mkimage.write_tar(str(bad), {**files, name: bytes(changed)})
    assert scan(bad)[0] == 3


def test_what_a_higher_layer_removes_is_gone(scan, tmp_path):
    path = tmp_path / "image.tar"
    gone = mkimage.tar_of_files([("app/node_modules/.wh.lodash", b""), ("usr/local/lib/python3.11/.wh..wh..opq", b"")])
    mkimage.write_image(str(path), [BASE, TOP, gone])
    rc, result, _ = scan(path)
    assert rc == 0
    assert packages(result) == EXPECTED - {("npm", "lodash", "4.17.15"), ("pypi", "requests", "2.19.0")}


def test_platforms_of_an_index(scan, tmp_path):
    path = tmp_path / "layout"
    other = mkimage.tar_of_files([("etc/os-release", OS_RELEASE), ("var/lib/dpkg/status", status(("only-arm", "1")))])
    mkimage.write_folder(str(path), mkimage.oci_files([([BASE], "linux/amd64"), ([other], "linux/arm64")]))
    assert ("deb", "only-arm", "1") in packages(scan(path, "--platform", "linux/arm64")[1])
    assert ("deb", "openssl", "3.0.11-1~deb12u1") in packages(scan(path, "--platform", "linux/amd64")[1])
    rc, _, err = scan(path, "--platform", "linux/s390x")
    assert rc == 3 and "linux/arm64" in err


@pytest.mark.parametrize("layers,reasons", [
    ([[("etc/os-release", OS_RELEASE), ("usr/share/db/status", status(("bash", "5.2-1"))), ("var/lib/dpkg", ("symlink", "../../usr/share/db"))]], ["usr/share/db/status"]),
    ([[("etc/os-release", OS_RELEASE), ("opt/s", status(("bash", "5.2-1")))], [("var/lib/dpkg/status", ("symlink", "/opt/s"))]], ["opt/s"]),
    ([[("etc/os-release", ("symlink", "/opt/release")), ("opt/release", OS_RELEASE), ("var/lib/dpkg/status", status(("bash", "5.2-1")))]], ["opt/release"]),
    ([[("etc/os-release", ("symlink", "../usr/lib/os-release")), ("usr/lib/os-release", OS_RELEASE)]], []),
    ([[("etc/os-release", OS_RELEASE), ("var/lib/dpkg", ("symlink", "../../usr/share/db"))]], []),
    ([[("etc/os-release", OS_RELEASE), ("opt/s", b"x"), ("var/lib/dpkg/status", ("symlink", "/opt/s"))], [("opt/.wh.s", b"")]], []),
    ([[("etc/os-release", OS_RELEASE), ("opt/s", b"x"), ("var/lib/dpkg/status", ("symlink", "/opt/s"))], [("opt/.wh..wh..opq", b""), ("opt/s", b"y")]], ["opt/s"]),
], ids=["folder", "file", "os-release", "usual", "dangling", "removed", "again"])
def test_a_database_behind_a_link_is_said(scan, tmp_path, layers, reasons):
    some = [("usr/lib/apk/db/installed", b"P:musl\nV:1.2.4-r0\n\n")]
    mkimage.write_image(str(tmp_path / "image.tar"), [mkimage.tar_of_files(some)] + [mkimage.tar_of_files(l) for l in layers])
    rc, result, err = scan(tmp_path / "image.tar", "--no-vulnerabilities")
    assert [i["reason"].split(",")[0] for i in result["incomplete"]] == [f"links lead to {r}" for r in reasons] and rc == (4 if reasons else 0), err


@pytest.mark.parametrize("fmt", ["docker", "oci-archive"])
def test_an_archive_of_several_images_says_which_was_scanned(scan, tmp_path, fmt):
    make = (lambda l, t: mkimage.docker_files(l, t)) if fmt == "docker" else (lambda l, t: mkimage.oci_files([(l, "linux/amd64")], tag=t))
    index = "manifest.json" if fmt == "docker" else "index.json"
    one, two, again = make([BASE], "one:1"), make([BASE, TOP], "two:1"), make([BASE], "same:1")
    lists = [json.loads(f[index]) for f in (one, two, again)]

    def write(*which):
        merged = sum(which, []) if fmt == "docker" else {**lists[0], "manifests": sum((w["manifests"] for w in which), [])}
        mkimage.write_tar(tmp_path / "image.tar", {**one, **two, index: json.dumps(merged).encode()})
    write(lists[0], lists[1])
    rc, result, err = scan(tmp_path / "image.tar")
    assert rc == 4, err
    assert [i["reason"] for i in result["incomplete"]] == ["2 images are in it, of which only the first was examined; name another one, or give --all-platforms for all: one:1 two:1"]
    rc, result, err = scan(f"{tmp_path / 'image.tar'}:two:1")
    assert rc == 0 and packages(result) == EXPECTED
    write(lists[0], lists[2])  # one image under two names
    assert scan(tmp_path / "image.tar")[0] == 0


def test_a_system_without_its_packages_is_not_clean(scan, tmp_path):
    """Slimmed, chiselled, or of a kind that is not read."""
    for layers in ([BASE, mkimage.tar_of_files({"var/lib/.wh.dpkg": b""})], [mkimage.tar_of_files({"etc/os-release": b'ID=arch\nPRETTY_NAME="Arch Linux"\n'})]):
        mkimage.write_image(str(tmp_path / "image.tar"), layers)
        rc, result, err = scan(tmp_path / "image.tar")
        assert rc == 4 and "no package database" in result["incomplete"][0]["reason"] and not result["packages"], err
    mkimage.write_image(str(tmp_path / "image.tar"), [mkimage.tar_of_files({"tool": b"x"})])  # no system at all
    assert scan(tmp_path / "image.tar")[0] == 0


def test_an_image_of_windows_is_not_clean(scan, tmp_path):
    mkimage.write_image(str(tmp_path / "image.tar"), [mkimage.tar_of_files({"Files/app/x.txt": b"x"})], platform="windows/amd64")
    rc, result, err = scan(tmp_path / "image.tar")
    assert rc == 4 and "Windows" in result["incomplete"][0]["reason"]


def test_a_layer_in_another_compression_is_named(scan, tmp_path):
    packed = lzma.compress(BASE)
    files = mkimage.oci_files([([packed], "linux/amd64")])
    config = json.loads(files.pop(next(k for k in files if b"rootfs" in files[k])))
    config["rootfs"]["diff_ids"] = ["sha256:" + mkimage.sha256(BASE)]
    config = json.dumps(config).encode()
    manifest = json.loads(files.pop(next(k for k in files if b'"layers"' in files[k])))
    manifest["config"].update(digest="sha256:" + mkimage.sha256(config), size=len(config))
    manifest = json.dumps(manifest).encode()
    files.update({"blobs/sha256/" + mkimage.sha256(b): b for b in (config, manifest)})
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [{"digest": "sha256:" + mkimage.sha256(manifest), "size": len(manifest)}]}).encode()
    mkimage.write_tar(tmp_path / "image.tar", files)
    rc, result, err = scan(tmp_path / "image.tar")
    assert rc == 4 and "compressed with xz" in result["incomplete"][0]["reason"], err


@pytest.mark.parametrize("fmt", ["docker", "oci-archive"])
def test_an_image_of_another_platform_is_not_the_answer(scan, tmp_path, fmt):
    files = mkimage.docker_files([BASE]) if fmt == "docker" else mkimage.oci_files([([BASE], "linux/amd64")])
    if fmt != "docker":  # a descriptor need not say its platform
        index = json.loads(files["index.json"])
        del index["manifests"][0]["platform"]
        files["index.json"] = json.dumps(index).encode()
    mkimage.write_tar(str(tmp_path / "image.tar"), files)
    rc, result, err = scan(tmp_path / "image.tar", "--platform", "linux/arm64")
    assert rc == 3 and "the image is for linux/amd64, not for linux/arm64" in err and result is None
    assert scan(tmp_path / "image.tar", "--platform", "linux/amd64")[0] == 0


def test_a_reference_is_not_the_folder_of_its_name(holdfast, advdb, tmp_path):
    """A source tree of Debian has a folder "debian": "debian:12" must not be that."""
    (tmp_path / "debian").mkdir()
    path = str(tmp_path / "debian") + ":12"
    rc, out, err = holdfast("scan", "--db", advdb, path, env={"DOCKER_HOST": f"unix://{tmp_path}/none"})
    assert rc == 3 and "no file or folder" in err and not out
    assert holdfast("scan", "--db", advdb, "--no-cache", tmp_path / "debian")[0] == 0


def test_stores_of_engines_in_a_directory_are_named(scan, tmp_path):
    for name in ("app/a", "var/lib/docker/volumes/v"):
        (tmp_path / "root" / name).mkdir(parents=True)
        (tmp_path / "root" / name / "package.json").write_text('{"name": "x", "version": "1.0.0"}')
    rc, result, err = scan(f"dir:{tmp_path / 'root'}")
    assert [l["path"] for p in result["packages"] for l in p["locations"]] == ["app/a/package.json"]
    assert [w for w in result["warnings"] if "not entered: var/lib/docker, where" in w]


def test_directory(scan, tmp_path):
    for name, data in {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": status(("openssl", "3.0.11-1~deb12u1"))}.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_bytes(data)
    os.symlink("/etc/shadow", tmp_path / "root/etc/outside")
    rc, result, err = scan(f"dir:{tmp_path}/root")
    assert rc == 0, err
    assert packages(result) == {("deb", "openssl", "3.0.11-1~deb12u1")}


def test_hard_linked_package_database_is_read_under_its_name(scan, tmp_path):
    path = tmp_path / "image.tar"
    layer = mkimage.tar_of_files([("objects/ab.file", status(("openssl", "1"))), ("etc/os-release", OS_RELEASE),
                                  ("var/lib/dpkg/status", ("hardlink", "objects/ab.file"))])
    for how in ("none", "gzip"):
        mkimage.write_image(str(path), [layer], "docker", how)
        rc, result, err = scan(path)
        assert rc == 0, err
        assert packages(result) == {("deb", "openssl", "1")}


# --- hostile input: an error or an incomplete record, never silence ---

def damaged(layer):
    """(what it is called, layer bytes)"""
    return {
        "truncated": layer[:len(layer) // 2 + 100],
        "garbage": bytes(range(256)) * 100,
        "header checksum": layer[:148] + b"0000000\0" + layer[156:],
    }


@pytest.mark.parametrize("kind", ["truncated", "garbage", "header checksum"])
@pytest.mark.parametrize("how", ["none", "gzip"])
def test_damaged_layer_is_reported(scan, tmp_path, kind, how):
    path = tmp_path / "image.tar"
    mkimage.write_image(str(path), [BASE, damaged(TOP)[kind]], "docker", how)
    rc, result, err = scan(path)
    assert rc == 4, err
    assert any(i["layer"] for i in result["incomplete"])
    assert ("deb", "openssl", "3.0.11-1~deb12u1") in packages(result), "what was read before is kept"


def test_truncated_gzip(scan, tmp_path):
    path = tmp_path / "image.tar"
    files = mkimage.docker_files([BASE], old=True, how="gzip")
    name = next(n for n in files if n.endswith("layer.tar"))
    mkimage.write_tar(str(path), {**files, name: files[name][:-20]})
    rc, result, err = scan(path)
    assert rc == 4 and "gzip" in json.dumps(result["incomplete"])


def test_paths_outside_are_left_out_and_reported(scan, tmp_path):
    path = tmp_path / "image.tar"
    layer = mkimage.tar_of_files([("etc/os-release", OS_RELEASE), ("../../var/lib/dpkg/status", status(("evil", "1")))])
    mkimage.write_image(str(path), [layer])
    rc, result, _ = scan(path)
    assert rc == 4
    assert ("deb", "evil", "1") not in packages(result)
    assert "outside" in json.dumps(result["incomplete"])


def test_compression_bomb(scan, tmp_path):
    path = tmp_path / "image.tar"
    one = gzip.compress(b"\0" * (64 << 20), 9)
    bomb = one * 40  # 2.5 GiB out of 2.6 MB, as members one after another
    header = mkimage.tar_of_files([("etc/os-release", OS_RELEASE)])[:1024]
    files = mkimage.docker_files([BASE], old=True)
    config = json.loads(files[next(n for n in files if n.endswith(".json") and n != "manifest.json")])
    name = next(n for n in files if n.endswith("layer.tar"))
    files[name] = gzip.compress(header) + bomb
    mkimage.write_tar(str(path), files)
    rc, result, err = scan(path)
    text = err + json.dumps(result and result["incomplete"])
    assert rc in (3, 4) and ("bomb" in text or "expected sha256" in text), text
    assert config["rootfs"]


@pytest.mark.parametrize("change,word", [
    (lambda f: f.pop(next(n for n in f if n.startswith("blobs") and len(f[n]) > 2000)), "no member"),
    (lambda f: f.__setitem__("manifest.json", b"[" * 100000), "nested"),
    (lambda f: f.__setitem__("manifest.json", b"{}"), "no image"),
    (lambda f: f.__setitem__("manifest.json", b'[{"Config": 3}'), "manifest.json"),
])
def test_broken_archives(scan, tmp_path, change, word):
    path = tmp_path / "image.tar"
    files = mkimage.docker_files([BASE])
    change(files)
    mkimage.write_tar(str(path), files)
    rc, result, err = scan(path)
    assert rc == 3 and result is None
    assert word in err


@pytest.mark.parametrize("scheme", ["", "docker-archive:", "oci-archive:"])
def test_an_archive_must_be_a_file(scan, tmp_path, scheme):
    os.mkfifo(tmp_path / "pipe")
    rc, result, err = scan(scheme + str(tmp_path / "pipe"))
    assert rc == 3 and "save it to a file first" in err


@pytest.mark.parametrize("target,code", [("/does/not/exist.tar", 3), ("docker-archive:", 2), ("dir:/does/not/exist", 3)])
def test_targets_that_are_not_there(scan, target, code):
    rc, result, err = scan(target)
    assert rc == code and result is None
    assert err.startswith("holdfast: error: ") and err.count("\n") == 1


def test_no_arguments_is_a_usage_error(holdfast):
    rc, out, err = holdfast("scan")
    assert rc == 2 and out == "" and "TARGET" in err
