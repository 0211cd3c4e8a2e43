#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What prevention costs: a container starts one program again and again, watched without a policy and under an enforced one with warm verdicts, in turn; and the first start
of a program of 10 MB.  Needs root and docker: python3 -m pytest -q -s tests/bench/protect.py"""
import os
import pathlib
import statistics
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from conftest import binary, run  # noqa: E402,F401
from test_docker import overlay  # noqa: E402,F401
from test_protect import SEALED, Box, prot  # noqa: E402,F401

STARTS, ROUNDS = 3000, 7
LOOP = f"i=0; while [ $i -lt {STARTS} ]; do /bin/true; i=$((i+1)); done"


def start(program, path, *args):
    out = open(path / "out", "wb")
    p = subprocess.Popen([program, "watch", "--json", "--no-rules", "--type", "status", "--budget", "0", "--state", path / "state", *args], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    time.sleep(2.5)
    return p


def test_cost(binary, prot, tmp_path):  # noqa: F811
    (tmp_path / "p.yaml").write_text(SEALED % ("closed", 0))
    took = {"no policy": [], "enforced": []}
    first = []
    for _ in range(ROUNDS):
        for name, args in (("no policy", ()), ("enforced", ("--policy", tmp_path / "p.yaml"))):
            w = start(binary, tmp_path, *args)
            box = Box(prot, "bench")
            try:
                box.sh("/bin/true; /bin/true")
                time.sleep(1.5)
                begin = time.monotonic()
                assert box.sh(LOOP).returncode == 0
                took[name].append((time.monotonic() - begin) / STARTS * 1e6)
            finally:
                box.stop()
                w.send_signal(2)
                w.wait(20)
    for name, v in took.items():
        print(f"\n{name:10} {statistics.median(v):7.1f} us a start (of {len(v)} rounds: {min(v):.1f} to {max(v):.1f})", end="")
    pairs = [b / a for a, b in zip(took["no policy"], took["enforced"])]
    print(f"\nenforced / no policy, medians of pairs: {statistics.median(pairs):.3f}")
