# SPDX-License-Identifier: Apache-2.0
"""Memory that runs out anywhere: an error or an incomplete result, never a crash, never a shorter result that looks whole."""
import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import mkimage  # noqa: E402
from conftest import ROOT  # noqa: E402
from test_java import LOG4J  # noqa: E402
from test_scan import BASE, TOP  # noqa: E402


@pytest.mark.parametrize("how", ["none", "gzip"])
def test_every_allocation_may_fail(advdb, tmp_path, how):
    binary = ROOT / "build-asan" / "holdfast"
    if not binary.exists():
        pytest.skip("build-asan is not built; make test builds it")
    image = tmp_path / "image.tar"
    mkimage.write_image(str(image), [BASE, TOP, mkimage.tar_of_files({"opt/log4j-core-2.14.1.jar": LOG4J})], "docker", how)

    def scan(n):
        env = {**os.environ, "ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=0", "HOLDFAST_SCAN_CACHE_DIR": str(tmp_path / "cache")}
        if n:
            env["HF_FAIL_ALLOC"] = str(n)
        p = subprocess.run([binary, "scan", "--db", advdb, "--jobs", "1", "--no-cache", "--quiet", "--format", "json", image], capture_output=True, text=True, env=env, timeout=60)
        return p.returncode, p.stdout, p.stderr

    rc, out, err = scan(0)
    whole = json.loads(out)
    assert rc == 0 and len(whole["packages"]) == 7, err
    failed = 0
    for n in [*range(1, 120), *range(120, 3000, 37)]:
        rc, out, err = scan(n)
        assert rc in (0, 2, 3, 4), (n, rc, err[-2000:])
        assert rc in (0, 4) or err.strip(), n
        if rc == 0:
            got = json.loads(out)
            assert [p["purl"] for p in got["packages"]] == [p["purl"] for p in whole["packages"]], n
            assert [v["id"] for v in got["vulnerabilities"]] == [v["id"] for v in whole["vulnerabilities"]], n
        failed += rc != 0
    assert failed > 20
