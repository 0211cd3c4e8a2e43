#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the network programs cost: pairs of runs, without and with net-dump, in turn; medians of the ratios and their spread.

    tests/vm/net_bench.py [--pairs N] [--in host|container] [--costs] [LOAD...]"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from net_test import BUILD, Container, Dump  # noqa: E402

ROUNDS = {"connect": 12000, "storm": 9000, "request": 8000, "udp-echo": 60000, "udp-send": 120000, "stream": 30000}


def run(load, group):
    def enter():
        if group:
            (group.dir / "cgroup.procs").write_text(str(os.getpid()))

    return float(subprocess.check_output([str(BUILD / "tests/net-bench"), load, str(ROUNDS[load])], preexec_fn=enter))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--pairs", type=int, default=11)
    a.add_argument("--in", dest="where", default="host", choices=["host", "container"])
    a.add_argument("--costs", action="store_true", help="run time of each program instead of pairs")
    a.add_argument("--options", default="", help="of net-dump")
    a.add_argument("loads", nargs="*", default=list(ROUNDS))
    o = a.parse_args()
    for load in o.loads or list(ROUNDS):
        if o.costs:
            d = Dump(*o.options.split())
            c = Container()
            d.ask("quiet"), d.ask("stats")
            run(load, c if o.where == "container" else None)
            for e in sorted((e for e in d.ask("costs") if e["type"] == "cost"), key=lambda e: -e["ns"])[:8]:
                print(f"{load:9} {e['program']:16} {e['runs'] / ROUNDS[load]:6.2f} runs a round, {e['ns'] / e['runs']:6.0f} ns each, {e['ns'] / ROUNDS[load]:7.0f} ns a round")
            d.close(), c.close()
            continue
        base, ratios, counts = [], [], None
        for _ in range(o.pairs):
            c = Container()
            off = run(load, c if o.where == "container" else None)
            c.close()
            d = Dump(*o.options.split())
            d.ask("quiet")
            c = Container()
            on = run(load, c if o.where == "container" else None)
            counts = [e for e in d.ask("counts") if e["type"] == "counts"][0]
            d.close(), c.close()
            base.append(off)
            ratios.append(on / off)
        q = statistics.quantiles(ratios, n=4)
        print(f"{load:9} {o.where:9} base {statistics.median(base):8.0f} ns, ratio {statistics.median(ratios):.3f} (quartiles {q[0]:.3f} {q[2]:.3f}), "
              f"events sent {counts['sent']} lost {counts['lost']} deduped {counts['deduped']}", flush=True)


main()
