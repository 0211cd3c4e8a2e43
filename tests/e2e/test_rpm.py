# SPDX-License-Identifier: Apache-2.0
"""RPM databases that rpm, Berkeley DB and SQLite made themselves, in every layout, against what `rpm -qa` says of them."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402

HERE = pathlib.Path(__file__).parent
DATABASES = {"sqlite": "var/lib/rpm/rpmdb.sqlite", "wal": "var/lib/rpm/rpmdb.sqlite", "ndb": "usr/lib/sysimage/rpm/Packages.db",
             "bdb-le": "var/lib/rpm/Packages", "bdb-be": "var/lib/rpm/Packages"}
ALMA = b'ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\nPRETTY_NAME="AlmaLinux 9.4"\n'


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """Folder with a root for each layout and what rpm says."""
    top = tmp_path_factory.mktemp("rpm")
    p = subprocess.run([HERE / "osfixtures" / "make-rpm-tree.sh", top], capture_output=True, text=True, timeout=120)
    if p.returncode == 77:
        pytest.skip(p.stderr.strip())
    assert p.returncode == 0, p.stderr
    for name in DATABASES:
        (top / name / "etc").mkdir(exist_ok=True)
        (top / name / "etc" / "os-release").write_bytes(ALMA)
    return top


@pytest.fixture
def scan(run, tmp_path):
    def call(target, *options):
        rc, out, err = run("scan", "--no-vulnerabilities", "--cache-dir", tmp_path / "cache", "--format", "json", "--quiet", *options, target)
        return rc, json.loads(out) if out.strip() else None, err
    return call


def none(s):
    return "" if s == "(none)" else s


def expected(trees):
    rows = [line.split("\t") for line in (trees / "expected.tsv").read_text().splitlines()]
    return {(n, evr, arch, none(vendor), lic, none(module), src[:-len(".src.rpm")]) for n, evr, arch, src, vendor, lic, module in rows}


def found(result):
    return {(p["name"], p["version"], p["arch"], p.get("vendor", ""), p["licenses"][0], p.get("module", ""), p["source"]["name"] + "-" + p["source"]["version"])
            for p in result["packages"] if p["type"] == "rpm"}


@pytest.mark.parametrize("kind", DATABASES)
def test_every_database_gives_what_rpm_says(scan, trees, kind):
    rc, result, err = scan(f"dir:{trees / kind}")
    assert rc == 0, err
    assert found(result) == expected(trees) and len(result["packages"]) == len(expected(trees))
    assert result["incomplete"] == []
    assert {p["locations"][0]["path"] for p in result["packages"]} == {DATABASES[kind]}
    nodejs = next(p for p in result["packages"] if p["name"] == "nodejs")
    assert nodejs["purl"] == ("pkg:rpm/almalinux/nodejs@18.20.2-1.module%2Bel8.9.0%2B21767%2B537f34ee?arch=x86_64&distro=almalinux-9.4&epoch=1"
                              "&rpmmod=nodejs:18:8090020240301110609:a75119d5")
    libs = next(p for p in result["packages"] if p["name"] == "openssl-libs")
    assert libs["purl"] == "pkg:rpm/almalinux/openssl-libs@3.0.7-24.el9?arch=x86_64&distro=almalinux-9.4&epoch=1&upstream=openssl-3.0.7-24.el9.src.rpm"


@pytest.mark.parametrize("kind", DATABASES)
def test_files_belong_to_the_package_that_lists_them(scan, trees, tmp_path, kind):
    """Every file that rpm lists is owned: an npm manifest put at its path is taken as part of that package (R21)."""
    listed = [line.split("\t") for line in (trees / "expected-files.tsv").read_text().splitlines()]
    assert len(listed) > 2000
    manifest = "usr/lib/node_modules/npm/package.json"
    owner = next(nevra for nevra, path in listed if path == "/" + manifest)
    assert owner.startswith("nodejs-1:18.20.2")
    layer = subprocess.run(["tar", "-C", trees / kind, "-cf", "-", "."], check=True, stdout=subprocess.PIPE).stdout
    more = mkimage.tar_of_files([(manifest, b'{"name":"npm","version":"10.5.0"}'), ("opt/mine/package.json", b'{"name":"mine","version":"1.0.0"}')])
    image = tmp_path / "image.tar"
    mkimage.write_image(str(image), [layer, more])
    rc, result, err = scan(image)
    assert rc == 0, err
    npm = {p["name"]: p.get("owned_by") for p in result["packages"] if p["type"] == "npm"}
    assert npm == {"npm": "nodejs", "mine": None}


def copy(trees, tmp_path, kind):
    root = tmp_path / "root"
    shutil.copytree(trees / kind, root)
    return root, root / DATABASES[kind]


@pytest.mark.parametrize("kind", DATABASES)
def test_a_database_cut_in_half_is_incomplete(scan, trees, tmp_path, kind):
    root, db = copy(trees, tmp_path, kind)
    target = pathlib.Path(str(db) + "-wal") if kind == "wal" else db
    os.truncate(target, target.stat().st_size // 2)
    rc, result, err = scan(f"dir:{root}")
    assert rc == 4 and result["incomplete"], err
    assert any(i["path"].startswith(DATABASES[kind]) for i in result["incomplete"])
    assert found(result) <= expected(trees)


@pytest.mark.parametrize("kind", DATABASES)
def test_a_flipped_byte_never_hides_a_package_silently(scan, trees, tmp_path, kind):
    """A byte in the middle of a name or index: either the same packages are read, or something is listed as incomplete."""
    root, db = copy(trees, tmp_path, kind)
    target = pathlib.Path(str(db) + "-wal") if kind == "wal" else db
    whole = target.read_bytes()
    names = {p[0] for p in expected(trees)}
    for at in range(40, len(whole), max(1, len(whole) // 40)):
        bad = bytearray(whole)
        bad[at] ^= 0x55
        target.write_bytes(bad)
        rc, result, err = scan(f"dir:{root}", "--no-cache")
        got = {p[0] for p in found(result)} if result else set()
        # a changed letter of a name shows as another package, never as one less
        assert rc in (0, 4), err
        assert rc == 4 or len(got) == len(names), f"byte {at}: {names - got} vanished"


def test_a_log_without_its_database(scan, trees, tmp_path):
    root, db = copy(trees, tmp_path, "wal")
    db.unlink()
    rc, result, _ = scan(f"dir:{root}")
    assert rc == 4 and any("write-ahead log" in i["reason"] for i in result["incomplete"])


def test_no_database_at_all_is_no_error(scan, tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "os-release").write_bytes(ALMA)
    rc, result, err = scan(f"dir:{tmp_path}")
    assert result["packages"] == [], err


def test_container_manifest_and_content_sets(scan, tmp_path):
    lines = ["bash\t5.1.8-1.cm2\t1650000000\t1650000001\tMicrosoft Corporation\t(none)\t123\tx86_64\t0\tbash-5.1.8-1.cm2.src.rpm",
             "openssl-libs\t1.1.1k-13.cm2\t1650000000\t1650000001\tMicrosoft Corporation\t(none)\t123\tx86_64\t1\topenssl-1.1.1k-13.cm2.src.rpm",
             "this is no line of a manifest"]
    root = tmp_path / "mariner"
    (root / "var/lib/rpmmanifest").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text('ID=mariner\nVERSION_ID="2.0"\n')
    (root / "var/lib/rpmmanifest/container-manifest-2").write_text("\n".join(lines) + "\n")
    (root / "root/buildinfo/content_manifests").mkdir(parents=True)
    (root / "root/buildinfo/content_manifests/x.json").write_text('{"content_sets": ["rhel-8-for-x86_64-baseos-rpms"]}')
    rc, result, err = scan(f"dir:{root}")
    assert rc == 4, err
    assert {(p["name"], p["version"], p["source"]["name"]) for p in result["packages"]} == {("bash", "5.1.8-1.cm2", "bash"), ("openssl-libs", "1:1.1.1k-13.cm2", "openssl")}
    assert any("manifest" in i["path"] for i in result["incomplete"])
