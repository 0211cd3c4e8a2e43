# SPDX-License-Identifier: Apache-2.0
"""The API of the console: every operation of openapi.yaml against a store filled from recorded lines and a real scan, by hand and by Schemathesis."""
import datetime
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.parse

import jsonschema
import pytest
import yaml

from test_scan import BASE, TOP, mkimage

ROOT = pathlib.Path(__file__).resolve().parents[2]


def lately(path):
    """What was recorded, as if it had begun an hour ago: what is counted of the last day does not depend on when it was recorded."""
    text, form = path.read_text(), "%Y-%m-%dT%H:%M:%S"
    times = [datetime.datetime.strptime(t, form).replace(tzinfo=datetime.timezone.utc) for t in re.findall(r'"time":"([^".]*)', text)]
    later = datetime.timedelta(seconds=int(time.time() - 3600 - min(times).timestamp()))
    return re.sub(r'("time":")([^".]*)', lambda m: m[1] + (datetime.datetime.strptime(m[2], form) + later).strftime(form), text)


STORY = lately(ROOT / "tests/corpus/fuzz-correlate/story.ndjson")
KINDS = ROOT / "tests/corpus/fuzz-live/kinds.ndjson"
SCHEMATHESIS = "schemathesis==4.32.5"
PASSWORD = "correct horse battery"
SPEC = yaml.safe_load((ROOT / "src/console/openapi.yaml").read_text())
EVIL = "<script>alert(1)</script>\"'\\\u202e\u0007"


class Console:
    def __init__(self, binary, store, live, *args):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            listen = "127.0.0.1:%d" % s.getsockname()[1]
        self.process = subprocess.Popen([binary, "console", "--store", store, "--listen", listen, "--live", live, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().strip()
        if not line:
            raise RuntimeError(self.process.communicate(timeout=60)[1])
        self.url, self.tokens = line, {}
        self.host, self.port = urllib.parse.urlsplit(line).hostname, urllib.parse.urlsplit(line).port
        self.stderr = []
        threading.Thread(target=lambda: self.stderr.extend(self.process.stderr), daemon=True).start()

    def call(self, method, path, body=None, role="administrator", headers=None):
        """(status, reply, headers); the reply as JSON where it is."""
        c = http.client.HTTPConnection(self.host, self.port, timeout=30)
        h = {"Authorization": f"Bearer {self.tokens[role]}"} if role else {}
        if body is not None:
            h["Content-Type"] = "application/json"
        c.request(method, path, None if body is None else json.dumps(body), {**h, **(headers or {})})
        r = c.getresponse()
        text = r.read()
        c.close()
        kind = r.headers.get("Content-Type", "")
        return r.status, json.loads(text) if "json" in kind and text else text.decode(), r.headers

    def get(self, path, **query):
        status, reply, _ = self.call("GET", path + ("?" + urllib.parse.urlencode(query) if query else ""))
        assert status == 200, (path, query, reply)
        return reply

    def all(self, path, limit=1, **query):
        """Every item of a list, page by page."""
        items, cursor = [], None
        for _ in range(1000):
            page = self.get(path, limit=limit, **query, **({"cursor": cursor} if cursor else {}))
            assert len(page["items"]) <= limit
            items += page["items"]
            cursor = page["next"]
            if not cursor:
                return items
        raise AssertionError("the list does not end")

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.stderr


def valid(part, value):
    """value against a schema of openapi.yaml."""
    jsonschema.Draft202012Validator({**SPEC["components"]["schemas"][part], "components": SPEC["components"]}, format_checker=jsonschema.FormatChecker()).validate(value)
    return value


def alert(i, rule, box, name="web", when=None, **more):
    when = when or time.time() - 3600 + i
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when)) + ".000000000Z"
    return {"schema": "holdfast.event/1", "time": stamp, "type": "alert", "id": f"01M8CQEFC5001C172PPZ{i:06}", "rule": rule, "severity": "high", "tactics": ["execution"], "techniques": ["T1059"],
            "summary": f"s{i}", "count": 1, "event_type": "file", "container": {"id": box, "name": name, "image": "nginx:1"},
            "process": {"pid": 100 + i, "exe": "/bin/x", "name": EVIL, "args": ["x", EVIL], "ancestors": [{"pid": 5, "exe": "/bin/parent"}]}, "file": {"path": "/etc/passwd", "operation": "open"}, **more}


EXCEPTIONS = """- exception: mine
  rule: "Loud rule"
  exe: "/bin/x"
  path: "/etc/passwd"
  container: "web"
  expires: "2999-01-01"
- exception: old
  rule: "Loud rule"
  exe: "/bin/x"
  expires: "2001-01-01"
"""


def box(i):
    return f"{i:064x}"


@pytest.fixture(scope="module")
def console(binary, run, advdb, tmp_path_factory):
    tmp = tmp_path_factory.mktemp("api")
    store, image, lines = f"sqlite:{tmp}/s.db", tmp / "image.tar", tmp / "lines"
    # a story that was recorded, alerts of our own with hostile names, and a real scan
    mine = [alert(i, "Loud rule" if i % 2 else "Quiet rule", box(i % 3), "web" if i % 3 else EVIL) for i in range(9)] + [alert(9, "Loud rule", box(9), file={"path": "/etc/shadow", "operation": "open"})]
    text = STORY + "".join(json.dumps(a) + "\n" for a in mine)
    rc, out, err = run("incident", "import", "--store", store, "-", input=text)
    assert rc == 0, err
    mkimage.write_image(str(image), [BASE, TOP])
    rc, out, err = run("scan", "--db", advdb, "--no-cache", "--format", "json", image, env={"SOURCE_DATE_EPOCH": "1720000000"})
    assert rc == 0, err
    (tmp / "scan.json").write_text(out)
    rc, out, err = run("inventory", "add", "--store", store, tmp / "scan.json")
    assert rc == 0, err
    digest = json.loads((tmp / "scan.json").read_text())["image"]["digest"]
    with sqlite3.connect(tmp / "s.db") as db:
        for i in range(25):  # more than run: ended ones too
            db.execute("INSERT INTO containers VALUES(?, 'h', ?, 'nginx:1', ?, ?, ?, ?, ?)", (box(100 + i), f"old-{i}", digest, 10 + i, 0 if i < 5 else 1000 + i, 1, json.dumps({"labels": {"team": f"t{i}"}})))
        for i in range(3):
            db.execute("INSERT INTO queue VALUES(?, 'ops', ?, 2, 0, 0, 9, 0, ?, ?, '{}')", (i + 1, f"k{i}", 10**18, EVIL))
        db.execute("INSERT INTO settings VALUES('console/channels', 1, ?)", (json.dumps({"channels": [{"name": "ops", "kind": "slack", "updates": ["state"], "routes": ["all"]}]}),))
        db.execute("INSERT INTO settings VALUES('console/exceptions', 1, ?)", (json.dumps({"files": [{"file": "/etc/x.yaml", "text": EXCEPTIONS}], "left_out": 0}),))
    rc, out, err = run("user", "add", "--store", store, "--role", "administrator", "ann", input=PASSWORD + "\n")
    assert rc == 0, err
    lines.write_text(KINDS.read_text() + STORY)
    c = Console(binary, store, lines)
    c.store, c.digest, c.path = store, digest, tmp
    for user, scopes in (("viewer", "read"), ("responder", "read,respond"), ("administrator", "read,respond,admin,metrics"), ("metrics", "metrics")):
        if user not in ("administrator", "metrics"):
            assert run("user", "add", "--store", store, "--role", user, user, input=f"a password of {user}\n")[0] == 0
        rc, out, err = run("token", "add", "--store", store, "--user", "ann" if user in ("administrator", "metrics") else user, "--scopes", scopes, f"t-{user}")
        assert rc == 0, err
        c.tokens[user] = re.search(r"hf_[A-Za-z0-9_-]+", out)[0]
    c.incident = next(i for i in c.get("/api/v1/incidents")["items"] if "Shell on a network connection" in i["title"])["id"]
    yield c
    c.end()


def operations():
    for path, item in SPEC["paths"].items():
        for method in ("get", "post", "put", "patch", "delete"):
            if method in item:
                yield method.upper(), path


def test_table_and_description_are_the_same():
    table = set(re.findall(r'\{"([A-Z]+)", "(/[^"]+)"', (ROOT / "src/console/routes.c").read_text()))
    assert len(table) > 40 and table == set(operations())


def test_served_description(console):
    status, served, headers = console.call("GET", "/api/v1/openapi.json", role=None)
    assert status == 200 and served == {k: v for k, v in SPEC.items() if not k.startswith("x-")}


def test_nothing_without_signing_in(console):
    for method, path in operations():
        op = SPEC["paths"][path][method.lower()]
        path = path.replace("{id}", "x").replace("{name}", "x").replace("{digest}", "x").replace("{channel}", "x")
        if op.get("security") != []:
            assert console.call(method, path, role=None)[0] == 401, (method, path)


def test_roles_and_scopes(console):
    changes = f"/api/v1/incidents/{console.incident}/changes"
    assert console.call("POST", changes, {"verb": "comment", "text": "x"}, role="viewer")[0] == 403
    assert console.call("POST", changes, {"verb": "comment", "text": "x"}, role="metrics")[0] == 403
    assert console.call("POST", changes, {"verb": "comment", "text": "by a responder"}, role="responder")[0] == 200
    assert console.call("GET", "/api/v1/overview", role="viewer")[0] == 200
    assert console.call("GET", "/api/v1/overview", role="metrics")[0] == 403
    assert console.call("GET", "/metrics", role="metrics")[0] == 200
    assert console.call("GET", "/metrics", role="viewer")[0] == 403
    for path in ("/api/v1/users", "/api/v1/tokens"):
        assert console.call("GET", path, role="responder")[0] == 403
        assert console.call("GET", path)[0] == 200
    for path, body in ((f"/api/v1/rules/{urllib.parse.quote('Loud rule')}/exceptions", {"alert": "x", "why": "y"}), ("/api/v1/channels/ops/test", None)):
        assert console.call("POST", path, body, role="responder")[0] == 403
    assert console.call("POST", f"/api/v1/containers/{box(100)}/actions", {"action": "freeze", "dry_run": True}, role="viewer")[0] == 403


def test_overview(console):
    o = valid("Overview", console.get("/api/v1/overview"))
    assert o["alerts"]["total_24h"] >= 10 and len(o["alerts"]["hours"]) == 24 and sum(h["count"] for h in o["alerts"]["hours"]) == o["alerts"]["total_24h"]
    assert {"rule": "Loud rule", "severity": "high", "count": 5} in o["rules"]
    assert o["images"] == {"total": 1, "scanned": 1, "running": 1} and o["findings"]["by_severity"]["high"] > 0
    total = console.get("/api/v1/incidents", limit=1)["total"]
    assert sum(o["incidents"][s] for s in ("open", "acknowledged", "contained", "resolved")) == total >= 2


def test_containers(console):
    everything = console.all("/api/v1/containers", limit=7)
    ids = [c["id"] for c in everything]
    assert len(ids) == len(set(ids)) == console.get("/api/v1/containers")["total"]
    assert {box(100 + i) for i in range(25)} < set(ids)
    assert [c["running"] for c in everything] == sorted((c["running"] for c in everything), reverse=True)  # those that run first
    ended = [c for c in everything if not c["running"] and c["name"].startswith("old-")]
    assert [c["name"] for c in ended] == [f"old-{i}" for i in range(24, 4, -1)]  # the last that ended first
    assert {c["id"] for c in console.all("/api/v1/containers", running="true")} == {c["id"] for c in everything if c["running"]}
    assert {c["id"] for c in console.all("/api/v1/containers", running="false", limit=3)} == {c["id"] for c in everything if not c["running"]}
    assert [c["name"] for c in console.all("/api/v1/containers", q="OLD-17")] == ["old-17"]
    assert [c["name"] for c in console.all("/api/v1/containers", q="t21")] == ["old-21"]  # a label
    assert len(console.all("/api/v1/containers", image=console.digest)) == 25
    web = next(c for c in everything if c["name"] == "web" and c["running"])
    d = valid("ContainerDetail", console.get("/api/v1/containers/" + web["id"]))
    assert d["severity"] == "critical" and d["alerts"] > 0 and [i["id"] for i in d["incident_items"]] == [console.incident] and d["incidents"] == 1
    assert any(p["direction"] == "out" and p["name"] == "db" and p["port"] == 5432 for p in d["peers"])
    c1 = valid("ContainerDetail", console.get("/api/v1/containers/c1"))
    assert c1["mounts"] == [{"source": "/a", "destination": "/b", "options": "ro"}, {"source": "/c", "destination": "/d", "options": "rw"}] and c1["labels"] == {"x": "y"}
    assert "CAP_NET_RAW" in c1["capabilities"] and c1["verdicts"][0]["result"] == "foreign" and c1["drift"] == 1 and not c1["running"]
    assert console.call("GET", "/api/v1/containers/nothing")[0] == 404


def test_actions_without_a_daemon(console):
    path = f"/api/v1/containers/{box(100)}/actions"
    status, p, _ = console.call("POST", path, {"action": "freeze", "dry_run": True})
    assert status == 503 and "daemon" in p["detail"]
    assert console.call("POST", f"/api/v1/containers/{box(120)}/actions", {"action": "freeze", "dry_run": True})[0] == 404  # ended
    assert console.call("POST", path, {"action": "freeze", "dry_run": True, "force": True}, role="responder")[0] == 403
    for bad in ({}, {"action": "freeze"}, {"action": "melt", "why": "x"}, {"action": "freeze", "why": "x", "for": "5 years"}, {"action": "freeze", "why": "x", "pid": 1}, {"action": "freeze", "why": "x", "other": 1},
                {"action": "isolate", "why": "x", "allow": "10.0.0.1"}, {"action": "freeze", "why": " "}, {"action": "freeze", "why": "x", "incident": "I-1"}):
        assert console.call("POST", path, bad)[0] == 400, bad
    assert console.call("POST", path, {"action": "freeze", "why": "x", "incident": "I-20000101-AAAAAA"})[0] == 404


def test_map(console):
    m = valid("Map", console.get("/api/v1/map"))
    nodes = {n["id"]: n for n in m["nodes"]}
    assert all(e["from"] in nodes and e["to"] in nodes for e in m["edges"])
    web = next(n for n in m["nodes"] if n["name"] == "web" and n.get("severity") == "critical")
    edge = next(e for e in m["edges"] if e["from"] == web["id"] and e["port"] == 5432)
    assert nodes[edge["to"]]["name"] == "db" and edge["count"] == 1 and edge["protocol"] == "tcp"
    assert nodes["address:10.0.0.1"]["local"] is True
    one = console.get("/api/v1/map", container="c1")
    assert {n["id"] for n in one["nodes"]} == {"container:c1", "address:10.0.0.1"} and len(one["edges"]) == 1
    assert console.get("/api/v1/map", limit=1)["dropped"] == len(m["edges"]) - 1


def test_events(console):
    seen, before = [], {}
    while True:
        page = console.get("/api/v1/events", limit=4, kinds="event,alert,container,status,loss", **before)
        seen += page["items"]
        if not page["next"]:
            break
        before = {"before": page["next"]}
    assert [e["line"] for e in reversed(seen)] == [json.loads(line) for line in (KINDS.read_text() + STORY).splitlines()]
    assert [e["seq"] for e in seen] == sorted((e["seq"] for e in seen), reverse=True)
    assert {e["line"]["type"] for e in console.get("/api/v1/events", kinds="event", types="exec,verdict")["items"]} == {"exec", "verdict"}
    assert all(e["line"]["severity"] == "critical" for e in console.get("/api/v1/events", kinds="alert", min_severity="critical")["items"])
    assert {e["line"]["container"]["id"] for e in console.get("/api/v1/events", container="c1")["items"]} == {"c1"}
    for e in seen:
        valid("Event", e)


def test_stream_tells_changes_at_once(console):
    c = http.client.HTTPConnection(console.host, console.port, timeout=60)
    c.request("GET", "/api/v1/stream?kinds=incident", headers={"Authorization": "Bearer " + console.tokens["viewer"]})
    r = c.getresponse()
    assert r.status == 200 and r.headers["Content-Type"].startswith("text/event-stream")
    console.call("POST", f"/api/v1/incidents/{console.incident}/changes", {"verb": "comment", "text": "seen in the stream"})
    event = {}
    while "data" not in event:
        line = r.readline().decode().rstrip("\n")
        if ": " in line and not line.startswith(":"):
            key, value = line.split(": ", 1)
            event[key] = value
    c.close()
    told = json.loads(event["data"])
    assert event["event"] == "incident" and told["id"] == console.incident and told["revision"] > 1 and int(event["id"]) > 0


def test_incidents(console):
    everything = [valid("IncidentItem", i) for i in console.all("/api/v1/incidents", limit=1)]
    assert [i["updated"] for i in everything] == sorted((i["updated"] for i in everything), reverse=True)
    assert len({i["id"] for i in everything}) == len(everything) == console.get("/api/v1/incidents")["total"]
    assert [i["id"] for i in console.all("/api/v1/incidents", q="SHELL ON A NETWORK")] == [console.incident]
    assert console.get("/api/v1/incidents", state="resolved")["total"] == sum(i["state"] == "resolved" for i in everything)
    assert console.get("/api/v1/incidents", state="open,resolved")["total"] == sum(i["state"] in ("open", "resolved") for i in everything)
    assert console.get("/api/v1/incidents", min_severity="critical")["total"] == sum(i["severity"] == "critical" for i in everything)
    assert console.get("/api/v1/incidents", since="2200-01-01T00:00:00Z")["items"] == []
    doc = valid("Incident", console.get("/api/v1/incidents/" + console.incident))
    jsonschema.validate(doc, json.loads((ROOT / "docs/schema/incident-1.json").read_text()))
    etag = f'"{doc["revision"]}"'
    status, body, headers = console.call("GET", "/api/v1/incidents/" + console.incident, headers={"If-None-Match": etag})
    assert (status, body, headers["ETag"]) == (304, "", etag)
    assert console.call("GET", "/api/v1/incidents/" + console.incident, headers={"If-None-Match": '"1"'})[0] == 200
    assert console.call("GET", "/api/v1/incidents/I-20000101-AAAAAA")[0] == 404
    alerts = console.all(f"/api/v1/incidents/{console.incident}/alerts", limit=3)
    assert [a["id"] for a in alerts] == [json.loads(line)["id"] for line in STORY.splitlines() if '"type":"alert"' in line]


def test_a_page_is_right_while_things_change(console):
    """What changes while somebody pages moves to the front; nothing else is missed or told twice."""
    before = [i["id"] for i in console.all("/api/v1/incidents", limit=1)]
    first = console.get("/api/v1/incidents", limit=1)
    moved = before[-1]
    assert console.call("POST", f"/api/v1/incidents/{moved}/changes", {"verb": "comment", "text": "moves to the front"})[0] == 200
    rest, cursor = [], first["next"]
    while cursor:
        page = console.get("/api/v1/incidents", limit=1, cursor=cursor)
        rest += [i["id"] for i in page["items"]]
        cursor = page["next"]
    assert [first["items"][0]["id"]] + rest == before[:-1]
    assert console.get("/api/v1/incidents", limit=1)["items"][0]["id"] == moved


def test_changes_of_incidents(console, run):
    path = f"/api/v1/incidents/{console.incident}"
    revision = console.get(path)["revision"]
    status, doc, headers = console.call("POST", path + "/changes", {"verb": "ack", "note": "I look", "revision": revision}, role="responder")
    assert status == 200 and doc["state"] == "acknowledged" and doc["acknowledged_by"] == "responder" and headers["ETag"] == f'"{doc["revision"]}"'
    assert [c["text"] for c in doc["comments"] if c["text"] == "I look"] == ["I look"] and doc["comments"][-1]["via"] == "api"
    status, p, _ = console.call("POST", path + "/changes", {"verb": "comment", "text": "late", "revision": revision})
    assert status == 409 and str(doc["revision"]) in p["detail"] and valid("Problem", p)
    assert console.call("POST", path + "/changes", {"verb": "assign", "text": "me"})[1]["assignee"] == "ann"
    assert [i["id"] for i in console.get("/api/v1/incidents", assignee="me")["items"]] == [console.incident]
    assert console.get("/api/v1/overview")["incidents"]["mine"] == 1
    assert "assignee" not in console.call("POST", path + "/changes", {"verb": "assign", "text": ""})[1]
    assert console.call("POST", path + "/changes", {"verb": "link", "text": "ticket", "target": "https://example.org/1"})[1]["links"] == [{"title": "ticket", "url": "https://example.org/1"}]
    assert console.call("POST", path + "/changes", {"verb": "resolve", "text": "true"})[1]["resolution"] == "true"
    status, p, _ = console.call("POST", path + "/changes", {"verb": "ack"})
    assert status == 409 and "reopen" in p["detail"]
    rc, out, err = run("incident", "reopen", "--store", console.store, "--by", "bob", console.incident)  # the same, from the command line
    assert rc == 0 and console.get(path)["state"] == "open"
    for bad in ({}, {"verb": "melt"}, {"verb": "comment"}, {"verb": "comment", "text": "  "}, {"verb": "ack", "text": "x"}, {"verb": "resolve", "text": "perhaps"}, {"verb": "link", "text": "x", "target": "javascript:alert(1)"},
                {"verb": "comment", "text": 5}, {"verb": "comment", "text": "x", "revision": "1"}, {"verb": "comment", "text": "x", "revision": 1.5}, {"verb": "comment", "text": "x" * 2001}):
        assert console.call("POST", path + "/changes", bad)[0] == 400, bad
    audit = console.all(path + "/audit", limit=2)
    assert [a["what"] for a in audit][-2:] == ["incident.resolve", "incident.reopen"] and audit[-1]["by"] == "bob" and audit[-2]["via"] == "api"
    assert console.get("/api/v1/audit", target=console.incident, limit=1)["items"][0] == audit[-1]
    assert len(console.all("/api/v1/audit", limit=3)) == console.get("/api/v1/audit")["total"]
    v = console.get("/api/v1/audit/verify")
    assert v["ok"] and v["entries"] >= len(audit) and len(v["head"]) == 64


def test_exports(console):
    for form, kind, start in (("html", "text/html", "<!doctype html>"), ("markdown", "text/markdown", "# "), ("json", "application/json", None), ("stix", "application/stix+json", None)):
        status, body, headers = console.call("GET", f"/api/v1/incidents/{console.incident}/export?format={form}")
        assert status == 200 and headers["Content-Type"].startswith(kind) and "attachment" in headers["Content-Disposition"]
        assert body.lower().startswith(start) if start else body["id" if form == "json" else "type"] in (console.incident, "bundle")


def test_images(console):
    image = valid("Image", console.get("/api/v1/images")["items"][0])
    assert image["digest"] == console.digest and image["running"] == 5 and image["packages"] > 1 and not image["sealed"]
    d = valid("ImageDetail", console.get("/api/v1/images/" + console.digest))
    assert [la["index"] for la in d["layers"]] == [0, 1] and all(la["size"] > 0 for la in d["layers"]) and sum(la["packages"] for la in d["layers"]) == d["packages"]
    assert d["layers"][0]["brought"] and len(d["containers"]) == 5 and sum(d["findings_by_severity"].values()) == d["findings"]["total"]
    packages = [valid("Package", p) for p in console.all(f"/api/v1/images/{console.digest}/packages", limit=1)]
    assert len(packages) == d["packages"] == console.get(f"/api/v1/images/{console.digest}/packages")["total"]
    findings = [valid("Finding", f) for f in console.all(f"/api/v1/images/{console.digest}/findings", limit=1)]
    assert {f["id"] for f in findings} == {"CVE-2023-5363", "CVE-2018-18074", "CVE-2023-32681", "CVE-2021-23337"}
    order = ["debug", "info", "notice", "low", "medium", "high", "critical"]
    assert [order.index(f["severity"]) for f in findings] == sorted((order.index(f["severity"]) for f in findings), reverse=True)
    assert [f["id"] for f in console.get(f"/api/v1/images/{console.digest}/findings", q="lodash")["items"]] == ["CVE-2021-23337"]
    with sqlite3.connect(console.path / "s.db") as db:  # a file of it ran: that one comes first
        db.execute("UPDATE findings SET used = 1 WHERE id = 'CVE-2023-32681'")
    used = console.all(f"/api/v1/images/{console.digest}/findings", limit=2)
    assert used[0]["id"] == "CVE-2023-32681" and used[0]["used"] and len(used) == 4
    assert [f["id"] for f in console.get(f"/api/v1/images/{console.digest}/findings", used="true")["items"]] == ["CVE-2023-32681"]
    missing = "sha256:" + "0" * 64
    for path in ("", "/packages", "/findings"):
        assert console.call("GET", f"/api/v1/images/{missing}{path}")[0] == 404
    assert console.call("POST", f"/api/v1/images/{missing}/scan")[0] == 404
    assert console.call("POST", f"/api/v1/images/{console.digest}/scan")[0] == 503
    assert console.get("/api/v1/images", running="false")["items"] == []


def test_rules(console):
    rules = {r["name"]: valid("Rule", r) for r in console.all("/api/v1/rules", limit=50)}
    loud = rules["Loud rule"]
    assert loud["missing"] and not loud["enabled"] and loud["alerts_24h"] == loud["alerts_7d"] == 5 and loud["exceptions"] == 2
    assert list(rules) == sorted(rules, key=str.encode)
    d = valid("RuleDetail", console.get("/api/v1/rules/" + urllib.parse.quote("Loud rule")))
    assert {e["id"]: e["expired"] for e in d["exception_items"]} == {"mine": False, "old": True} and sum(h["count"] for h in d["hours"]) == 5
    assert [a["id"][-2:] for a in d["last_alerts"]] == ["09", "07", "05", "03", "01"] and sum(c["count"] for c in d["containers"]) == 5
    r = valid("Replay", console.call("POST", "/api/v1/rules/" + urllib.parse.quote("Loud rule") + "/replay", {})[1])
    # "mine" needs the container's name and the path; the container of 3 has another name, 9 another path; "old" is over
    assert {i["id"][-2:]: (i["result"], i.get("exception")) for i in r["items"]} == {"01": ("excepted", "mine"), "03": ("would_alert", None), "05": ("excepted", "mine"), "07": ("excepted", "mine"),
                                                                                   "09": ("would_alert", None)}
    assert (r["alerts"], r["excepted"], r["would_alert"], r["cannot_tell"]) == (5, 3, 2, 0)
    assert console.call("POST", "/api/v1/rules/nothing/replay", {})[0] == 404
    path = "/api/v1/rules/" + urllib.parse.quote("Loud rule") + "/exceptions"
    assert console.call("POST", path, {"alert": d["last_alerts"][0]["id"], "why": "x", "dry_run": True})[0] == 503
    assert console.call("POST", path, {"alert": "01M8CQEFC5001C172PPZ000000", "why": "x"})[0] == 404  # of the other rule
    assert console.call("POST", path, {"alert": "x", "why": "x", "expires": "soon"})[0] == 400


def test_channels(console):
    ops = valid("Channel", console.get("/api/v1/channels")["items"][0])
    assert (ops["name"], ops["kind"], ops["dead"], ops["waiting"], ops["configured"]) == ("ops", "slack", 3, 0, True)
    dead = [valid("DeadLetter", d) for d in console.all("/api/v1/channels/ops/dead", limit=1)]
    assert [d["key"] for d in dead] == ["k0", "k1", "k2"] and dead[0]["error"] == EVIL
    assert console.call("GET", "/api/v1/channels/nothing/dead")[0] == 404
    assert console.call("POST", "/api/v1/channels/nothing/test")[0] == 404
    assert console.call("POST", "/api/v1/channels/ops/test")[0] == 503


def test_sensor(console):
    s = valid("Sensor", console.get("/api/v1/sensor"))
    assert s["cost"]["core_pct"] == 1.5 and s["given_up"][0]["status"]["state"] == "shed" and s["losses"][0]["count"] == 5 and s["losses"][0]["reason"] == "ring_full"
    assert s["health"]["connected"] is False and "ended" in s["health"]["why"]


def test_unknown_parameters_are_refused(console):
    for method, path in operations():
        op = SPEC["paths"][path][method.lower()]
        if method != "GET" or path.startswith("/auth") or path == "/api/v1/stream":
            continue
        path = path.replace("{id}", console.incident if "incidents" in path else "c1").replace("{name}", "ops" if "channels" in path else "Loud%20rule").replace("{digest}", console.digest)
        status, p, _ = console.call("GET", path + "?unknown=1")
        assert status == 400 and "unknown" in p["detail"], (path, status, p)
        known = [p["name"] for p in op.get("parameters", []) if p.get("in") == "query"]
        if "limit" in known or any("limit" in p.get("$ref", "") for p in op.get("parameters", [])):
            assert console.call("GET", path + "?limit=0")[0] == 400 and console.call("GET", path + "?limit=x")[0] == 400 and console.call("GET", path + "?limit=1&limit=1")[0] == 400


def test_hostile_text_is_text(console):
    """A name that is markup, a bidirectional mark or a control character comes back as the same text in JSON, and nothing is ever HTML but an export."""
    alerts = [a for i in console.all("/api/v1/incidents") for a in console.all(f"/api/v1/incidents/{i['id']}/alerts", limit=50)]
    assert any(a["process"]["name"] == EVIL and a["process"]["args"][1] == EVIL for a in alerts if a["rule"] == "Loud rule")
    for path in ("/api/v1/incidents", "/api/v1/containers", "/api/v1/rules", "/api/v1/events", "/api/v1/map", "/metrics"):
        _, _, headers = console.call("GET", path)
        assert "html" not in headers["Content-Type"] and headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"].startswith("no-store")
    status, body, headers = console.call("POST", f"/api/v1/incidents/{console.incident}/changes", {"verb": "comment", "text": "<img src=x onerror=alert(1)>"})
    assert status == 200 and body["comments"][-1]["text"] == "<img src=x onerror=alert(1)>"
    page = console.call("GET", f"/api/v1/incidents/{console.incident}/export")[1]
    assert "<img" not in page and "&lt;img" in page


SAMPLE = re.compile(r'^([a-z_][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9.e+]+)$')


def test_metrics(console):
    """The text exposition format: every family has HELP and TYPE before its samples, no series twice, counters end in _total."""
    status, text, headers = console.call("GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4") and text.endswith("\n")
    helped, types, series, current = set(), {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split(" ", 3)[2]
            assert current not in helped and len(line.split(" ", 3)) == 4
            helped.add(current)
        elif line.startswith("# TYPE "):
            name, kind = line.split(" ")[2:]
            assert name == current and kind in ("counter", "gauge") and (kind == "counter") == name.endswith("_total")
            types[name] = kind
        else:
            m = SAMPLE.match(line)
            assert m and m[1] == current and types[m[1]], line
            assert (m[1], m[2]) not in series, line
            series[m[1], m[2]] = float(m[3])
    assert series["holdfast_queue_dead", 'channel="ops"'] == 3 and series["holdfast_rule_alerts_24h", 'rule="Loud rule"'] == 5
    assert series["holdfast_sensor_connected", None] == 0 and series["holdfast_lines_total", 'kind="alert"'] == 11
    assert sum(v for (n, _), v in series.items() if n == "holdfast_incidents") == console.get("/api/v1/incidents")["total"]


@pytest.fixture(scope="module")
def schemathesis(tmp_path_factory):
    """Schemathesis in an environment of its own, kept between runs."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "holdfast-tests" / SCHEMATHESIS.replace("==", "-")
    program = cache / "bin" / "schemathesis"
    if not (cache / "complete").exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--clear", cache], check=True, capture_output=True, timeout=120)
        p = subprocess.run([cache / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", SCHEMATHESIS], capture_output=True, text=True, timeout=300)
        if p.returncode:
            pytest.skip(f"{SCHEMATHESIS} cannot be had from PyPI: {p.stderr.strip()[-200:]}")
        (cache / "complete").touch()
    return program


def test_schemathesis(console, schemathesis, tmp_path):
    """No reply that the description does not allow, no crash, nothing invalid taken, nothing valid refused, over every operation but the endless stream; then along the links of the
    description: what a list names is there, what was made can be changed and removed, and is gone then."""
    (tmp_path / "st.toml").write_text(f"""
[generation]
allow-x00 = false  # a text with NUL is refused everywhere; JSON schema cannot say so
[phases.stateful]
inference.algorithms = []  # the links that are declared: guessed ones remove the token that all this goes by
[auth.openapi.token]
bearer = "{console.tokens["administrator"]}"
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "414", "415", "422", "428", "429", "431", "5xx"]
# Nothing but a daemon can do these: 503 is what is described.
[[operations]]
include-operation-id = ["actOnContainer", "scanImage", "exceptRule", "testChannel", "answerChannel", "answerSlack"]
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", "503"]
# What is a good password, no schema says.  Of OpenID Connect there is none here.
[[operations]]
include-operation-id = ["addUser", "changeUser", "changeOwnPassword", "signIn", "startOidc", "finishOidc"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "422", "429"]
""")
    # Along links lists are asked for without filters: what one finds nothing by leads nowhere.
    (tmp_path / "hooks.py").write_text("""
import schemathesis
@schemathesis.hook
def map_query(context, query):
    return {} if context.operation.method.upper() == "GET" else query
""")

    def run(phases, cases, **env):
        return subprocess.run([schemathesis, "--config-file", tmp_path / "st.toml", "run", console.url + "/api/v1/openapi.json", "--exclude-operation-id", "streamEvents", "--phases", phases, "--workers", "1",
                               "-n", cases, "--seed", "6", "--continue-on-failure", "--no-color", "--output-truncate", "true"], capture_output=True, text=True, timeout=240, cwd=tmp_path, env={**os.environ, **env})
    p = run("examples,coverage,fuzzing", "6")
    tested = re.search(r"Tested: (\d+)", p.stdout)
    assert p.returncode == 0, p.stdout[-6000:] + p.stderr[-2000:]
    # all but the stream, and the description itself, which it does not ask for again
    assert tested and int(tested[1]) == len(list(operations())) - 2, p.stdout[-3000:]
    p = run("stateful", "100", SCHEMATHESIS_HOOKS="hooks", PYTHONPATH=str(tmp_path))
    links = re.search(r"API Links: +(\d+) covered", p.stdout)
    assert p.returncode == 0 and links and int(links[1]) > 5, p.stdout[-6000:] + p.stderr[-2000:]
