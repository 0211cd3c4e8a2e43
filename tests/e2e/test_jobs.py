# SPDX-License-Identifier: Apache-2.0
"""The number of threads changes how long a scan takes, never what it finds: on a machine with many processors the share of memory of each
was once too small for the package databases of real images."""
import json
import os
import sqlite3
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402
from test_java import LOG4J, jar  # noqa: E402
from test_scan import OS_RELEASE, status  # noqa: E402


def tree(tmp_path):
    """Databases of the size that real ones have: 2 MB of dpkg, 12 MB of rpm."""
    db = tmp_path / "rpmdb.sqlite"
    with sqlite3.connect(db) as c:
        c.execute("create table Packages (hnum integer primary key autoincrement, blob blob not null)")
        c.execute("create table pad (x blob)")
        c.executemany("insert into pad values (?)", [(os.urandom(1 << 20),)] * 12)
    c.close()
    lock = {"lockfileVersion": 3, "packages": {f"node_modules/p{i}": {"version": f"1.0.{i}", "resolved": "x" * 80, "integrity": "y" * 90, "engines": {"node": ">=1"}} for i in range(8000)}}
    return [mkimage.tar_of_files({"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": status(*[(f"p{i}", f"1.{i}", "X: " + "x" * 1000 + "\n") for i in range(1500)])}),
            mkimage.tar_of_files({"var/lib/rpm/rpmdb.sqlite": db.read_bytes()}),
            mkimage.tar_of_files({"app/package-lock.json": json.dumps(lock).encode()}),
            mkimage.tar_of_files({f"lib/{i}.war": jar(("WEB-INF/lib/log4j-core-2.14.1.jar", LOG4J), ("big", os.urandom(300000))) for i in range(20)}),
            *[mkimage.tar_of_files({f"l{i}/package.json": json.dumps({"name": f"q{i}", "version": "1.0.0"}).encode()}) for i in range(20)]]


@pytest.mark.parametrize("how", ["none", "gzip", "zstd"])
def test_any_number_of_threads_finds_the_same(run, tmp_path, how):
    image, layers = tmp_path / "image.tar", tree(tmp_path)
    mkimage.write_image(str(image), layers, "oci-archive", how)
    results = set()
    for threads in (1, 2, 8, 64):
        rc, out, err = run("scan", "--no-vulnerabilities", "--no-cache", "--format", "json", "--jobs", threads, image, timeout=60, env={"SOURCE_DATE_EPOCH": "1700000000"})
        result = json.loads(out)
        assert rc == 0 and not result["incomplete"], (threads, result["incomplete"])
        results.add(out)
    assert len(results) == 1
    assert len(result["packages"]) == 1500 + 8000 + 20 + 1


def test_a_window_as_large_as_zstd_19_has(run, tmp_path):
    layer = mkimage.tar_of_files({"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": status(("a", "1")), "pad": os.urandom(1 << 20) * 20})
    files = mkimage.oci_files([([layer], "linux/amd64")], "zstd")
    packed = subprocess.run(["zstd", "-q", "-19", "--long=24", "-c"], input=layer, check=True, stdout=subprocess.PIPE).stdout
    old = next(k for k, v in files.items() if v[:4] == b"\x28\xb5\x2f\xfd")
    manifest = next(k for k, v in files.items() if v.startswith(b'{"schemaVersion"') and k != "index.json")
    del files[old]
    text = json.loads(files.pop(manifest))
    text["layers"][0].update(digest="sha256:" + mkimage.sha256(packed), size=len(packed))
    text = json.dumps(text).encode()
    files.update({"blobs/sha256/" + mkimage.sha256(b): b for b in (packed, text)})
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [{"digest": "sha256:" + mkimage.sha256(text), "size": len(text)}]}).encode()
    mkimage.write_tar(str(tmp_path / "image.tar"), files)
    for threads in (1, 64):
        rc, out, err = run("scan", "--no-vulnerabilities", "--no-cache", "--format", "json", "--jobs", threads, tmp_path / "image.tar")
        assert rc == 0 and len(json.loads(out)["packages"]) == 1, (threads, out, err)
