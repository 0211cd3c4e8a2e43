# SPDX-License-Identifier: Apache-2.0
"""apk and dpkg as real systems write them: exact packages, licences, owned files, marks that change which advisories count."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402

ALPINE = b'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.19.1\nPRETTY_NAME="Alpine Linux v3.19"\n'
# Fields of packages of Alpine 3.19 as lib/apk/db/installed has them; file lists shortened.
INSTALLED = b"""C:Q1/xX3ArgmJ3mJvvZ/bYG7TRPSnhk=
P:musl
V:1.2.4_git20230717-r4
A:x86_64
S:407278
I:667648
T:the musl c library (libc) implementation
U:https://musl.libc.org/
L:MIT
o:musl
m:Timo Ter\xc3\xa4s <timo.teras@iki.fi>
t:1699273544
c:ca7f2ab5e88794e4e654b40776f8a92256f50639
p:so:libc.musl-x86_64.so.1=1
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1AvQKTFkh7p1PM2mWGBAWVEvN7tQ=
R:libc.musl-x86_64.so.1
a:0:0:777
Z:Q17yJ3JFNypA4mxhJJr0ou6CzsJVI=

C:Q1sSNCl4MTQ0d1V/0NTAhIjY7Nqo0=
P:ssl_client
V:1.36.1-r15
A:x86_64
S:4683
I:28672
T:EXternal ssl_client for busybox wget
U:https://busybox.net/
L:GPL-2.0-only
o:busybox
m:S\xc3\xb6ren Tempel <soeren+alpine@soeren-tempel.net>
t:1699382973
c:d1b6f274f29076967826e0ecf6ebcaa5d360272f
D:so:libc.musl-x86_64.so.1 so:libcrypto.so.3 so:libssl.so.3
p:cmd:ssl_client=1.36.1-r15
i:busybox
r:busybox-initscripts
F:usr
F:usr/bin
R:ssl_client
a:0:0:755
Z:Q13XOYP9OO7DXCv2uStoyFqPzyPQ0=

C:Q1aiVUAq+r5GyMJbYYMJoXjh0SrWo=
P:libcrypto3
V:3.1.4-r5
A:x86_64
S:1820117
I:4476928
T:Crypto library from openssl
U:https://www.openssl.org/
L:Apache-2.0
o:openssl
m:Ariadne Conill <ariadne@dereferenced.org>
F:lib
R:libcrypto.so.3
a:0:0:755
Z:Q1aWvWnGzqLkpqQkX3vUHUTJqTLVU=

C:Q1b1u64EjeTdBzGTmA8P0fyKNVcDw=
P:py3-six
V:1.16.0-r8
A:noarch
L:MIT
o:py3-six
F:usr/lib/python3.11/site-packages
R:six.py
F:usr/lib/python3.11/site-packages/six-1.16.0-py3.11.egg-info
R:PKG-INFO

"""
EXPECTED = {("musl", "1.2.4_git20230717-r4", "musl", "MIT"), ("ssl_client", "1.36.1-r15", "busybox", "GPL-2.0-only"), ("libcrypto3", "3.1.4-r5", "openssl", "Apache-2.0"),
            ("py3-six", "1.16.0-r8", "py3-six", "MIT")}


@pytest.fixture
def scan(run, tmp_path):
    def call(files, *options, compress="none"):
        layers = [mkimage.tar_of_files(f) for f in (files if isinstance(files, list) and isinstance(files[0], (dict, list)) else [files])]
        image = tmp_path / f"image-{compress}.tar"
        mkimage.write_image(str(image), layers, "docker", compress)
        rc, out, err = run("scan", *(options or ["--no-vulnerabilities"]), "--no-cache", "--format", "json", "--quiet", image)
        return rc, json.loads(out) if out.strip() else None, err
    return call


@pytest.mark.parametrize("where", ["lib/apk/db/installed", "usr/lib/apk/db/installed"])
def test_apk(scan, where):
    rc, result, err = scan({"etc/os-release": ALPINE, where: INSTALLED, "usr/lib/python3.11/site-packages/six-1.16.0-py3.11.egg-info/PKG-INFO": b"Name: six\nVersion: 1.16.0\n"})
    assert rc == 0, err
    apk = {p["name"]: p for p in result["packages"] if p["type"] == "apk"}
    assert {(n, p["version"], p.get("source", {}).get("name", n), p["licenses"][0]) for n, p in apk.items()} == EXPECTED
    assert apk["ssl_client"]["purl"] == "pkg:apk/alpine/ssl_client@1.36.1-r15?arch=x86_64&distro=alpine-3.19.1&upstream=busybox"
    assert apk["musl"]["checksum"] == "sha1:ff15f702b8262779a6f6f67f6d81bb4d13d29e19" or apk["musl"]["checksum"].startswith("sha1:")
    assert apk["musl"]["vendor"].startswith("Timo Ter\u00e4s")
    assert next(p for p in result["packages"] if p["type"] == "pypi")["owned_by"] == "py3-six"


def test_apk_damaged_entries_are_said_and_the_others_read(scan):
    rc, result, err = scan({"etc/os-release": ALPINE, "lib/apk/db/installed": INSTALLED + b"P:noversion\nA:x86_64\n\nP:last\nV:1.0-r0\n"})
    assert rc == 4 and any("apk" in i["reason"] for i in result["incomplete"]), err
    assert {p["name"] for p in result["packages"]} == {n for n, *_ in EXPECTED} | {"last"}


@pytest.mark.parametrize("repositories,version", [
    (b"https://dl-cdn.alpinelinux.org/alpine/v3.19/main\nhttps://dl-cdn.alpinelinux.org/alpine/v3.19/community\n", "3.19.1"),
    (b"https://dl-cdn.alpinelinux.org/alpine/v3.18/main\n#https://dl-cdn.alpinelinux.org/alpine/edge/testing\n", "3.18"),
    (b"https://mirror.example/alpine/edge/main\n", "edge"),
    (b"https://dl-cdn.alpinelinux.org/alpine/v3.18/main\nhttps://dl-cdn.alpinelinux.org/alpine/edge/testing\n", "3.19.1"),
    (b"/media/cdrom/apks\n", "3.19.1"),
])
def test_apk_repositories_say_the_release(scan, repositories, version):
    rc, result, err = scan({"etc/os-release": ALPINE, "lib/apk/db/installed": INSTALLED, "etc/apk/repositories": repositories})
    assert rc == 0 and result["os"]["version"] == version, err
    assert any("packages come from" in w for w in result["warnings"]) == (version not in ("3.19.1",))
    rc, result, err = scan({"etc/os-release": ALPINE, "lib/apk/db/installed": INSTALLED, "etc/apk/repositories.d/a.list": repositories})
    assert result["os"]["version"] == version


def stanza(name, version, *lines):
    return (f"Package: {name}\nStatus: install ok installed\nMaintainer: Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>\nArchitecture: amd64\n"
            f"Version: {version}\n" + "".join(l + "\n" for l in lines) + "Description: x\n\n").encode()


def test_dpkg_installed_without_a_version_is_said(scan):
    entry = b"Package: %s\nStatus: %s\nArchitecture: amd64\n%s\n"
    rc, result, err = scan({"var/lib/dpkg/status": entry % (b"openssl", b"install ok installed", b"") + entry % (b"old", b"deinstall ok config-files", b"")
                            + entry % (b"bash", b"install ok installed", b"Version: 5.2-1\n")})
    assert rc == 4 and [p["name"] for p in result["packages"]] == ["bash"]
    assert [i["reason"] for i in result["incomplete"] if i["path"]] == ["dpkg: 1 installed packages have no version"]


def test_licences_of_packages_for_several_architectures(scan):
    """libc6's list is info/libc6:amd64.list, its copyright file doc/libc6/copyright."""
    rc, result, err = scan({
        "etc/os-release": b"ID=debian\nVERSION_ID=12\n", "var/lib/dpkg/status": stanza("libc6", "2.36-9", "Multi-Arch: same", "Source: glibc") + stanza("bash", "5.2.15-2"),
        "var/lib/dpkg/info/libc6:amd64.list": b"/.\n/lib\n/lib/libc.so.6\n",
        "usr/share/doc/libc6/copyright": b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: x\nLicense: LGPL-2.1+\n",
        "usr/share/doc/bash/copyright": b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: x\nLicense: GPL-3+\n"})
    assert rc == 0, err
    assert {p["name"]: p["licenses"] for p in result["packages"]} == {"libc6": ["LGPL-2.1+"], "bash": ["GPL-3+"]}


def test_this_machine(run, tmp_path):
    """The real database of the machine the tests run on, with its licence files, against dpkg-query."""
    if not pathlib.Path("/var/lib/dpkg/status").exists():
        pytest.skip("not a Debian machine")
    want = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${db:Status-Status}\n"], check=True, capture_output=True, text=True).stdout
    want = {tuple(l.split("\t")[:5]) for l in want.splitlines() if l.endswith("\tinstalled")}
    (tmp_path / "etc").mkdir()
    shutil.copy("/etc/os-release", tmp_path / "etc/os-release")
    shutil.copytree("/var/lib/dpkg", tmp_path / "var/lib/dpkg", ignore=shutil.ignore_patterns("lock*"))
    for path in pathlib.Path("/usr/share/doc").glob("lib[a-d]*/copyright"):
        if path.is_file():
            target = tmp_path / str(path)[1:]
            target.parent.mkdir(parents=True)
            shutil.copy(path, target)
    rc, out, err = run("scan", "--no-vulnerabilities", "--no-cache", "--quiet", "--format", "json", f"dir:{tmp_path}")
    assert rc in (0, 4), err
    got = set()
    for p in json.loads(out)["packages"]:
        if p["type"] == "deb" and any(l["path"] == "var/lib/dpkg/status" for l in p["locations"]):
            source = p.get("source", {"name": p["name"], "version": p["version"]})
            got.add((p["name"], p["version"], p["arch"], source["name"], source["version"]))
    assert got == want and len(got) > 50
    libc = next(p for p in json.loads(out)["packages"] if p["name"] == "libc6")
    assert any(l.startswith("LGPL-2.1") for l in libc["licenses"])


def test_the_last_of_two_files_of_one_name_counts(scan):
    old, new = stanza("gone", "1.0"), stanza("here", "2.0")
    for compress in ("none", "gzip"):
        rc, result, err = scan([("etc/os-release", b"ID=debian\nVERSION_ID=12\n"), ("var/lib/dpkg/status", old), ("x", b"y"), ("var/lib/dpkg/status", new)], compress=compress)
        assert rc == 0 and [p["name"] for p in result["packages"]] == ["here"], err
    rc, result, err = scan([("var/lib/dpkg/status", old), ("var/lib/dpkg/status", ("symlink", "elsewhere"))])
    assert result["packages"] == []


UBUNTU = b'ID=ubuntu\nVERSION_ID="20.04"\nNAME="Ubuntu"\n'


@pytest.fixture(scope="module")
def pro_db(run, tmp_path_factory):
    d = tmp_path_factory.mktemp("pro")
    def record(i, ecosystem, fixed):
        return {"id": i, "modified": "2026-01-01T00:00:00Z", "upstream": ["CVE-2026-5555"], "affected": [{"package": {"ecosystem": ecosystem, "name": "foo"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}] + ([{"fixed": fixed}] if fixed else [])}]}]}
    (d / "UBUNTU-CVE-2026-5555.json").write_text(json.dumps(record("UBUNTU-CVE-2026-5555", "Ubuntu:20.04:LTS", None)))
    (d / "USN-1.json").write_text(json.dumps(record("USN-1", "Ubuntu:Pro:20.04:LTS", "1.0-1ubuntu1+esm1")))
    rc, _, err = run("db", "build", "--from", d, "--output", d / "x.hfdb")
    assert rc == 0, err
    return d / "x.hfdb"


@pytest.mark.parametrize("files,pro", [
    ({}, False), ({"var/lib/ubuntu-advantage/status.json": b'{"attached": true}'}, True), ({"var/lib/ubuntu-advantage/status.json": b'{"attached": false}'}, False),
    ({"etc/apt/sources.list.d/ubuntu-esm-infra.list": b"deb https://esm.ubuntu.com/infra/ubuntu focal-infra-security main\n"}, True),
    ({"etc/apt/sources.list.d/ubuntu-esm-infra.list": b"# deb https://esm.ubuntu.com/infra/ubuntu focal-infra-security main\n"}, False),
])
def test_ubuntu_pro_is_seen(scan, pro_db, files, pro):
    """A fix that only Pro has is one for an image that is attached to it (R15)."""
    rc, result, err = scan({"etc/os-release": UBUNTU, "var/lib/dpkg/status": stanza("foo", "1.0-1ubuntu1"), **files}, "--db", pro_db)
    assert rc in (0, 4), err
    vuln = next(v for v in result["vulnerabilities"] if v["id"] == "CVE-2026-5555")
    assert (vuln["status"] == "fixed" and vuln["fixed_in"] == ["1.0-1ubuntu1+esm1"]) == pro, vuln


def test_gems_as_rubygems_writes_them(scan, tmp_path):
    """Specifications by Gem::Specification#to_ruby, read without running them."""
    script = """
    require 'rubygems'
    [["rack", "2.2.3", "ruby", ["MIT"]], ["nokogiri", "1.15.4", "x86_64-linux", ["MIT"]], ["with-dash", "0.1.0.pre.2", "ruby", ["Apache-2.0", "BSD-2-Clause"]]].each do |n, v, p, l|
      s = Gem::Specification.new { |g| g.name = n; g.version = v; g.platform = p; g.licenses = l; g.summary = 'x'; g.authors = ['a']; g.files = [] }
      File.write(File.join(ARGV[0], s.full_name + '.gemspec'), s.to_ruby_for_cache)
    end"""
    p = subprocess.run(["ruby", "-e", script, tmp_path], capture_output=True, text=True)
    if p.returncode != 0:
        pytest.skip("ruby is not installed: " + p.stderr[-200:])
    files = {f"usr/lib/ruby/gems/3.1.0/specifications/{f.name}": f.read_bytes() for f in tmp_path.glob("*.gemspec")}
    assert len(files) == 3
    rc, result, err = scan(files)
    assert rc == 0, err
    assert {(p["name"], p["version"], p.get("arch", ""), tuple(p["licenses"])) for p in result["packages"]} == {
        ("rack", "2.2.3", "", ("MIT",)), ("nokogiri", "1.15.4", "x86_64-linux", ("MIT",)), ("with-dash", "0.1.0.pre.2", "", ("Apache-2.0", "BSD-2-Clause"))}


def test_gems_in_single_quotes(scan):
    rc, result, err = scan({"opt/specifications/rack-2.0.0.gemspec": b"Gem::Specification.new do |s|\n  s.name = 'rack'\n  s.version = '2.0.0'\n  s.licenses = ['MIT']\nend\n"})
    assert rc == 0 and [(p["name"], p["version"], p["licenses"]) for p in result["packages"]] == [("rack", "2.0.0", ["MIT"])]


# As npm 6 and npm 10 wrote them for {"x": "npm:lodash@4.17.15", "mkdirp": "0.5.1", "y": "github:a/b"} and a workspace.
LOCKS = {
    1: {"lockfileVersion": 1, "dependencies": {"mkdirp": {"version": "0.5.1", "dependencies": {"minimist": {"version": "0.0.8"}}}, "x": {"version": "npm:lodash@4.17.15"},
                                               "z": {"version": "npm:@scope/z@1.0.0", "dev": True}, "y": {"version": "github:a/b#0123"}, "w": {"version": "file:w"}}},
    3: {"lockfileVersion": 3, "packages": {"": {"name": "root", "version": "1.0.0"}, "node_modules/mkdirp": {"version": "0.5.1"}, "node_modules/mkdirp/node_modules/minimist": {"version": "0.0.8"},
                                           "node_modules/x": {"name": "lodash", "version": "4.17.15"}, "node_modules/z": {"name": "@scope/z", "version": "1.0.0", "dev": True},
                                           "node_modules/w": {"link": True, "resolved": "w"}}},
}


@pytest.mark.parametrize("version", LOCKS)
def test_npm_locks(scan, version):
    rc, result, err = scan({"app/package-lock.json": json.dumps(LOCKS[version]).encode()})
    assert rc == 0, err
    assert {(p["name"], p["version"], p.get("dev", False)) for p in result["packages"]} == {
        ("mkdirp", "0.5.1", False), ("minimist", "0.0.8", False), ("lodash", "4.17.15", False), ("@scope/z", "1.0.0", True)}


def test_broken_package_json_matters_where_npm_installs(scan):
    broken = ["app/node_modules/a/package.json", "app/node_modules/@s/b/package.json"]
    rc, result, err = scan({p: b'{"name": "x", "version": "1.0.0"' for p in [*broken, "app/node_modules/a/test/malformed/package.json", "app/template/package.json"]})
    assert rc == 4 and sorted(i["path"] for i in result["incomplete"]) == sorted(broken) and not result["packages"]
