#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long the API takes with 10,000 incidents, 100,000 alerts of a day, 3,000 containers (1,000 run) and 100 images: tests/bench/api.py [REQUESTS].
Milliseconds, the median and the longest, of each over one connection to loopback."""
import http.client
import json
import pathlib
import random
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build/holdfast"
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def run(*args, text=None):
    return subprocess.run([BIN, *map(str, args)], input=text, capture_output=True, text=True, check=True).stdout


def stamp(ns):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10**9)) + f".{ns % 10**9:09}Z"


def insert(db, table, **row):
    db.execute(f"INSERT INTO {table}({','.join(row)}) VALUES({','.join('?' * len(row))})", list(row.values()))


def fill(path):
    """Documents are those of a recorded story, some 25 KB each."""
    random.seed(1)
    db, now = sqlite3.connect(path), int(time.time() * 1e9)
    doc = json.loads(db.execute("SELECT doc FROM incidents").fetchone()[0])
    alert = db.execute("SELECT doc FROM alerts").fetchone()[0]
    db.execute("DELETE FROM alerts")
    for i in range(10000):
        name, n = "", i
        for _ in range(6):
            name, n = LETTERS[n % 32] + name, n // 32
        when, state, boxes = now - i * 10**10, random.choice([1, 1, 2, 4, 8, 8, 8]), [f"{i % 1000:064x}", f"{i * 7 % 1000:064x}"]
        d = {**doc, "id": "I-20260101-" + name, "updated": stamp(when), "title": f"Story {i}", "state": {1: "open", 2: "acknowledged", 4: "contained", 8: "resolved"}[state],
             "containers": [{"id": b, "name": "c", "image": "nginx"} for b in boxes]}
        text = json.dumps(d)
        insert(db, "incidents", id=d["id"], revision=3, state=state, severity=random.randint(3, 6), assignee="", opened=when, updated=when, last_alert=when, bytes=len(text), title=d["title"],
               search="\n".join([d["id"], d["title"], d["summary"], *boxes]).lower() + "\n", doc=text, change=1000 + i)
    for i in range(100000):
        insert(db, "alerts", seq=1000 + i, time=now - (100000 - i) * 860 * 10**6, incident="I-20260101-000000", rule=f"Rule {i % 60}", severity=random.randint(2, 6), container=f"{i % 1000:064x}", bytes=len(alert),
               doc=alert)
    db.execute("UPDATE counters SET value = 200000 WHERE name IN ('alerts', 'incident_changes')")
    for i in range(100):
        digest = f"sha256:{i:064x}"
        insert(db, "images", digest=digest, name=f"image-{i}", scanned=now, doc='{"size": 100, "layers": []}')
        for p in range(400):
            insert(db, "packages", digest=digest, ecosystem="debian:12", name=f"pkg{p}", version="1", source=f"src{p}", used=p % 5 == 0, doc="{}")
        for p in range(300):
            insert(db, "findings", digest=digest, id=f"CVE-{p}", ecosystem="debian:12", package=f"pkg{p}", version="1", fixed="", severity=random.randint(2, 6), used=p % 5 == 0, found=now, doc=json.dumps({"summary": "x" * 300}))
    labels = json.dumps({"labels": {f"a{k}": "b" * 40 for k in range(10)}, "runtime": "docker"})
    for i in range(3000):
        insert(db, "containers", id=f"{i:064x}", host="h", name=f"name-{i}", image="nginx", digest=f"sha256:{i % 100:064x}", started=now - i * 10**9, ended=0 if i < 1000 else now - i * 10**8, seen=now, doc=labels)
    db.commit()


def main():
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as tmp:
        store, lines = f"{tmp}/s.db", pathlib.Path(tmp) / "lines"
        run("incident", "import", "--store", store, "-", text=(ROOT / "tests/corpus/fuzz-correlate/story.ndjson").read_text())
        fill(store)
        run("user", "add", "--no-password", "--role", "administrator", "--store", store, "ann")
        token = re.search(r"hf_\S+", run("token", "add", "--user", "ann", "--scopes", "read,metrics", "--store", store, "bench"))[0]
        lines.write_text("")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            listen = f"127.0.0.1:{s.getsockname()[1]}"
        console = subprocess.Popen([BIN, "console", "--store", store, "--live", lines, "--listen", listen], stdout=subprocess.PIPE, text=True)
        try:
            url = urllib.parse.urlsplit(console.stdout.readline().strip())
            time.sleep(5)  # alerts are counted at the start
            c = http.client.HTTPConnection(url.hostname, url.port)
            image = "images/sha256:" + "0" * 64
            for path in ("overview", "incidents", "incidents?state=unresolved", "incidents?q=story%2099", "incidents?limit=1000", "containers", "containers?q=name-5", "containers?running=true&limit=1000",
                         "containers?running=false", "containers/" + f"{5:064x}", "images", image, image + "/packages", image + "/findings", "rules", "rules/Rule%201", "map", "events", "audit", "sensor", "/metrics"):
                took = []
                for _ in range(requests):
                    begin = time.perf_counter()
                    c.request("GET", path if path[0] == "/" else "/api/v1/" + path, headers={"Authorization": "Bearer " + token})
                    r = c.getresponse()
                    size = len(r.read())
                    took.append((time.perf_counter() - begin) * 1e3)
                    assert r.status == 200, (path, r.status)
                took.sort()
                print(f"{path[:50]:50} {took[len(took) // 2]:8.2f} ms, longest {took[-1]:8.2f}, {size:8} bytes")
        finally:
            console.terminate()
            console.wait()


main()
