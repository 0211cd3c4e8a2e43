#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the daemon takes: from an event in a container to the first byte of the request at a channel, with the store in place, and what it costs while nothing happens.

tests/bench/daemon/measure.py [SAMPLES [IDLE_SECONDS]] (ALONE=1: the daemon before everything else that runs, as if it was alone): each sample is a container of an image of its own (so that its alert is a new incident), which starts a program
from /tmp; the event's time is the kernel's, in the alert; the request's is when the connection to the webhook was taken.  Needs root and a docker daemon's program."""
import http.server
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))
import pytest  # noqa: E402

HERE = pathlib.Path(__file__).resolve()
ROOT = HERE.parents[3]
USER = os.environ.get("HF_USER", "holdfast")


def ns(text):
    whole, frac = re.fullmatch(r"(.*?)(?:\.(\d+))?Z", text).groups()
    import calendar
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int((frac or "0").ljust(9, "0"))


class Hook(http.server.BaseHTTPRequestHandler):
    got = {}

    def handle_one_request(self):
        began = time.time_ns()
        self.began = began
        super().handle_one_request()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = json.dumps(body)
        for name in re.findall(r"bench-[0-9]+", text):
            Hook.got.setdefault(name, (self.began, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


def cpu_s(pid):
    f = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid):
    return sum(int(line.split()[1]) for line in open(f"/proc/{pid}/smaps_rollup") if line.startswith(("Pss:",))) / 1024


def quantile(values, q):
    v = sorted(values)
    return v[min(len(v) - 1, int(q * len(v)))]


def image(busybox, i):
    """The same of an image and a rule are one incident: each sample has an image of its own."""
    program, out = pathlib.Path("/bin/busybox").read_bytes(), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in ((f"bench-{i}", b""), ("bin/sh", program), ("bin/cp", program), ("bin/sleep", program), ("bin/busybox", program)):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
        info = tarfile.TarInfo("tmp")
        info.type, info.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(info)
    busybox("import", "-", f"bench{i}:1", input=out.getvalue())


def serve(server):
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -15)  # on a loaded machine: the daemon is measured, not this
    if os.environ.get("ALONE"):
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_RR, os.sched_param(20))
    server.serve_forever()


def test_measure(busybox, binary):
    import test_daemon
    samples, idle = int(os.environ.get("SAMPLES", 100)), int(os.environ.get("IDLE", 30))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    d = test_daemon.Daemon(binary, USER, None)
    d.channel(f"http://127.0.0.1:{server.server_address[1]}/")
    d.settings["console"]["listen"] = "127.0.0.1:18470"
    d.start()
    if os.environ.get("ALONE"):  # as on a machine where nothing else wants the processors
        for p in [d.process.pid, *[p["pid"] for p in d.status()["processes"]]]:
            for child in {p, *map(int, pathlib.Path(f"/proc/{p}/task/{p}/children").read_text().split())}:
                for task in os.listdir(f"/proc/{child}/task"):
                    os.sched_setscheduler(int(task), os.SCHED_RR, os.sched_param(10))
    try:
        pids = {p["name"]: p["pid"] for p in d.status()["processes"]}
        time.sleep(5)
        before = {n: cpu_s(p) for n, p in pids.items()}
        at = time.monotonic()
        time.sleep(idle)
        took = time.monotonic() - at
        idle_cost = {n: ((cpu_s(p) - before[n]) / took * 100, memory_mib(p)) for n, p in pids.items()}
        idle_cost["supervisor"] = (0, memory_mib(d.process.pid))
        for i in range(samples):
            image(busybox, i)
        for i in range(samples):
            busybox("run", "--rm", "--name", f"bench-{i}", "--network", "none", f"bench{i}:1", "/bin/sh", "-c", "cp /bin/busybox /tmp/busybox; /tmp/busybox true; sleep 0.1")
        end = time.monotonic() + 20
        while time.monotonic() < end and len(Hook.got) < samples:
            time.sleep(0.2)
        took = []
        for name, (began, body) in Hook.got.items():
            doc = body["data"]
            first = doc.get("first_alert") or doc["opened"]
            took.append((began - ns(first)) / 1e6)
        print(f"\n{len(took)} of {samples} told; event to first byte of the request: p50 {quantile(took, .5):.1f} ms, p90 {quantile(took, .9):.1f}, p99 {quantile(took, .99):.1f}, max {max(took):.1f}")
        for n, (pct, mib) in idle_cost.items():
            print(f"idle: {n}: {pct:.2f} % of a core, {mib:.1f} MiB (PSS)")
        print("status:", json.dumps(d.status()["channels"]), json.dumps(d.status()["store"]))
        if os.environ.get("SHOW"):
            print(d.log())
        assert len(took) > samples * .9
    finally:
        d.end()
        server.shutdown()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        os.environ["SAMPLES"] = sys.argv[1]
    if len(sys.argv) > 2:
        os.environ["IDLE"] = sys.argv[2]
    sys.exit(pytest.main(["-q", "-s", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(ROOT), "-p", "conftest", str(HERE)]))
else:
    from conftest import *  # noqa: F401,F403,E402
    from test_docker import overlay  # noqa: F401,E402
    from test_watch import busybox  # noqa: F401,E402
