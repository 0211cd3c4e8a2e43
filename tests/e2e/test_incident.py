# SPDX-License-Identifier: Apache-2.0
"""Alerts of a real watch over real containers become incidents of a store; what people do with them; exports; the audit log."""
import html.parser
import io
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import time

import jsonschema
import pytest

from test_docker import overlay  # noqa: F401 (a fixture)

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests/corpus/fuzz-correlate"
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/schema/incident-1.json").read_text()))


class Store:
    def __init__(self, run, path):
        self.path, self.call = path, run

    def run(self, *args, code=0, **more):
        rc, out, err = self.call(*args[:2], "--store", f"sqlite:{self.path}", *args[2:], **more)
        assert rc == code, (args, out, err)
        return out if code != 2 else err

    def list(self, *args):
        return json.loads(self.run("incident", "list", "--json", *args))

    def show(self, which):
        document = json.loads(self.run("incident", "show", "--json", which))
        SCHEMA.validate(document)
        return document


@pytest.fixture
def store(run, tmp_path):
    return Store(run, tmp_path / "store.db")


def image(name, overlay, *extra):  # noqa: F811
    program = pathlib.Path("/bin/busybox").read_bytes()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("bin", "tmp", "etc"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(info)
        for file, content in [*((f"bin/{n}", program) for n in ("busybox", "sh", "cp", "true")), ("etc/name", name.encode())]:
            info = tarfile.TarInfo(file)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    overlay("import", "-", name, input=out.getvalue())
    return name


def test_a_break_in_through_two_containers_is_one_incident_while_it_happens(store, binary, overlay, tmp_path):  # noqa: F811
    if os.geteuid() != 0 or not shutil.which("nsenter"):
        pytest.skip("watching needs root, reaching the container nsenter")
    images = [image(f"story-{n}:1", overlay) for n in ("web", "db", "other")]
    watch_err = open(tmp_path / "watch.err", "wb")
    watch = subprocess.Popen([binary, "watch", "--json", "--budget", "0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=watch_err)
    importer = subprocess.Popen([binary, "incident", "import", "-", "--store", f"sqlite:{store.path}"], stdin=watch.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watch.stdout.close()
    try:
        time.sleep(3)
        if watch.poll() is not None and b"type information" in (tmp_path / "watch.err").read_bytes():
            pytest.skip("this kernel has no type information")
        overlay("run", "-d", "--name", "story-db", "--network", "none", images[1], "/bin/busybox", "nc", "-ll", "-p", "5432", "-e", "/bin/sh")
        overlay("run", "-d", "--name", "story-web", "--network", "container:story-db", images[0], "/bin/busybox", "nc", "-ll", "-p", "8080", "-e", "/bin/sh")
        time.sleep(1)
        pid = overlay.text("inspect", "-f", "{{.State.Pid}}", "story-db").strip()
        subprocess.run(["nsenter", "-t", pid, "-n", "/bin/busybox", "nc", "127.0.0.1", "8080"], timeout=30, capture_output=True,
                       input=b"(echo 'cp /bin/true /tmp/miner; /tmp/miner'; busybox sleep 1) | busybox nc 127.0.0.1 5432; busybox sleep 0.2; exit\n")
        overlay("run", "--rm", "--name", "story-other", "--network", "none", images[2], "/bin/busybox", "sh", "-c", "cp /bin/true /tmp/x; /tmp/x; busybox sleep 0.5")
        found = []
        for _ in range(100):  # while both still run
            found = [i for i in store.list("--text", "story-")] if store.path.exists() else []
            if len(found) >= 2 and any("/tmp/miner" in json.dumps(store.show(i["id"])["graph"]) for i in found):
                break
            time.sleep(0.1)
        assert importer.poll() is None and len(found) == 2, found
        one = store.show(next(i for i in found if "story-web" in i["title"])["id"])
        store.run("incident", "ack", one["id"], "--by", "anna")  # somebody works on it while alerts come
        overlay("exec", "story-web", "/bin/sh", "-c", "cp /bin/true /tmp/more; /tmp/more")
        for _ in range(100):
            now = store.show(one["id"])
            if now["alerts"] > one["alerts"] and "/tmp/more" in json.dumps(now):
                break
            time.sleep(0.1)
        assert "/tmp/more" in json.dumps(now) and now["state"] == "acknowledged" and now["acknowledged_by"] == "anna" and now["revision"] > one["revision"] + 1
    finally:
        watch.terminate()
        watch.wait(20)
        out, err = importer.communicate(timeout=60)
        subprocess.run(overlay.command("rm", "-f", "story-db", "story-web"), env=overlay.env(), capture_output=True)
    assert importer.returncode == 0 and err == "", err
    assert re.search(rf"^{one['id']}  critical  Shell on a network connection in story-web$", out, re.M), out
    assert {c["name"] for c in now["containers"]} == {"story-web", "story-db"} and now["severity"] == "critical"
    assert now["summary"].startswith('In container story-web (story-web:1), reached from 127.0.0.1: "Shell on a network connection"')
    assert "Then in container story-db (story-db:1), reached from container story-web:" in now["summary"] and len(now["summary"]) <= 600
    assert [c["tactic"] for c in now["chain"]][:1] == ["execution"] and now["tactics"] == [c["tactic"] for c in now["chain"]]
    nodes = {n["id"]: n for n in now["graph"]["nodes"]}
    edges = {(nodes[e["from"]]["label"], e["kind"], nodes[e["to"]]["label"]) for e in now["graph"]["edges"]}
    assert ("story-web", "connected", "story-db") in edges and ("story-db", "runs", "story-db:1") in edges
    assert any(kind == "ran" and to == "/tmp/miner" for _, kind, to in edges) and any(kind == "wrote" and to == "/tmp/miner" for _, kind, to in edges)
    assert [e["time"] for e in now["timeline"]] == sorted(e["time"] for e in now["timeline"])
    assert any("listen port 8080" in e["text"] for e in now["timeline"] if e["kind"] == "event")
    assert {c["name"] for c in store.show(next(i["id"] for i in found if i["id"] != one["id"]))["containers"]} == {"story-other"}


def test_lines_are_read_once_and_bad_ones_are_counted(store):
    story = CORPUS / "story.ndjson"
    assert "14 lines, 11 alerts: 1 incidents are new" in store.run("incident", "import", "--host", "h", story)
    [before] = store.list()
    assert "0 incidents are new" in store.run("incident", "import", "--host", "h", story)
    [after] = store.list()
    assert before["alerts"] == after["alerts"] == 15
    out = store.run("incident", "import", "--host", "h", "-", input=b"not json\n{}\n\n" + (CORPUS / "many.ndjson").read_bytes(), text=False, code=4)
    assert b"42 lines, 40 alerts: 14 incidents are new" in out.replace(b"43 lines", b"42 lines")
    assert len(store.list("--limit", "5")) == 5 and store.list("--state", "resolved") == []
    lines = store.run("incident", "list").splitlines()
    assert lines[0].split()[:4] == ["ID", "SEVERITY", "STATE", "ALERTS"] and len(lines) == 16
    assert all(line[lines[0].index("SEVERITY"):].startswith("critical") and line[lines[0].index("WHAT"):].startswith("Shell on") for line in lines[1:])
    assert "\033" not in "".join(lines)


def test_what_is_removed_or_changed_under_the_importer(store, binary):
    """Lines come slowly; meanwhile the incident is commented, then removed."""
    lines = (CORPUS / "story.ndjson").read_bytes().splitlines(keepends=True)
    importer = subprocess.Popen([binary, "incident", "import", "-", "--host", "h", "--json", "--store", f"sqlite:{store.path}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    alerts = [i for i, line in enumerate(lines) if b'"type":"alert"' in line and b'"event_type"' in line]

    def feed(until):
        importer.stdin.write(b"".join(lines[feed.at:until]))
        importer.stdin.flush()
        feed.at = until
        time.sleep(0.8)
    feed.at = 0
    feed(alerts[0] + 1)
    which = store.list()[0]["id"]
    store.run("incident", "comment", which, "mine", "--by", "anna")
    feed(alerts[2] + 1)
    document = store.show(which)
    assert [c["text"] for c in document["comments"]] == ["mine"] and document["alerts"] == 3
    db = sqlite3.connect(store.path)
    assert db.execute("DELETE FROM incidents WHERE id = ?", (which,)).rowcount == 1
    db.commit()
    db.close()
    feed(len(lines))
    out, err = importer.communicate(timeout=60)
    assert (importer.returncode, err) == (0, b"") and store.show(which)["alerts"] == 15
    told = [json.loads(line) for line in out.decode().splitlines()]
    assert {t["id"] for t in told} == {which} and [t["new"] for t in told].count(True) == 2


def test_people(store):
    store.run("incident", "import", "--host", "h", CORPUS / "story.ndjson")
    which = store.list()[0]["id"]
    assert store.run("incident", "ack", which, "--by", "anna") == f"{which}: acknowledged\n"
    assert store.run("incident", "ack", which, "--by", "bert") == f"{which}: acknowledged (as it was)\n"
    store.run("incident", "assign", which, "me", "--by", "bert", "--comment", "first\nsecond \033[31mred")
    changed = json.loads(store.run("incident", "comment", which, "<b>third</b>", "--by", "carl", "--json"))
    SCHEMA.validate(changed)
    assert changed["assignee"] == "bert" and [c["text"] for c in changed["comments"]] == ["first\nsecond \\x1b[31mred", "<b>third</b>"]
    assert "true, benign or test" in store.run("incident", "resolve", which, "maybe", code=2)
    assert store.run("incident", "resolve", which, "benign", "--by", "anna") == f"{which}: resolved as benign\n"
    assert store.list() == [] and store.list("--state", "resolved")[0]["resolution"] == "benign" and store.list("--state", "all", "--assignee", "bert")
    assert "reopen it first" in store.run("incident", "ack", which, code=2)
    store.run("incident", "reopen", which, "--by", "anna")
    shown = store.run("incident", "show", which)
    for part in ("What to do now", "MITRE ATT&CK", "Discussion", "state    resolved: benign (anna)", "Execution               T1059.004"):
        assert part in shown
    assert store.show(which)["reopened"] == 1
    store.run("incident", "show", "I-20261126-000000", code=3)
    log = json.loads(store.run("audit", "list", "--json", "--target", which))
    assert [(e["by"], e["via"], e["what"]) for e in log] == [("holdfast", "import", "incident.open"), ("anna", "cli", "incident.ack"), ("bert", "cli", "incident.assign"), ("carl", "cli", "incident.comment"),
                                                             ("anna", "cli", "incident.resolve"), ("anna", "cli", "incident.reopen")]
    assert (log[4]["before"], log[4]["after"]) == ("acknowledged", "resolved benign")
    assert store.run("audit", "list", "--after", "5").splitlines()[1].split()[0] == "6"


def test_altered_audit_log_is_found(store):
    store.run("incident", "import", "--host", "h", CORPUS / "story.ndjson")
    which = store.list()[0]["id"]
    for n in range(4):
        store.run("incident", "comment", which, f"number {n}", "--by", "anna")
    head = re.fullmatch(r"unaltered: 5 entries, head (5:[0-9a-f]{64})\n", store.run("audit", "verify"))[1]
    store.run("incident", "ack", which, "--by", "anna")
    assert json.loads(store.run("audit", "verify", "--json", "--known", head))["unaltered"] is True
    store.run("audit", "verify", "--known", "5:" + "0" * 64, code=1)
    store.run("audit", "verify", "--known", "x", code=2)
    db = sqlite3.connect(store.path)
    for change in ("UPDATE audit SET who = 'eve' WHERE seq = 3", "DELETE FROM audit WHERE seq = 3"):
        with pytest.raises(sqlite3.Error, match="append-only"):
            db.execute(change)
    db.rollback()
    for trigger, in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'").fetchall():
        db.execute(f'DROP TRIGGER "{trigger}"')
    assert db.execute("UPDATE audit SET new_value = 'nothing happened' WHERE seq = 3").rowcount == 1
    db.commit()
    db.close()
    out = store.run("audit", "verify", code=1)
    assert out.startswith("ALTERED: ") and re.search(r"\b3\b", out)
    assert json.loads(store.run("audit", "verify", "--json", code=1))["unaltered"] is False


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = set(), [], "", []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("lines", ["story", "hostile"])
def test_exports(store, tmp_path, lines):
    store.run("incident", "import", "--host", "h", CORPUS / f"{lines}.ndjson", code=4 if lines == "hostile" else 0)
    which = store.list()[0]["id"]
    document = store.show(which)
    assert json.loads(store.run("incident", "export", which, "-f", "json")) == document
    store.run("incident", "export", which, "-o", tmp_path / "page.html")
    page = Page()
    page.feed((tmp_path / "page.html").read_text())
    assert not page.tags & {"script", "img", "iframe", "object", "link", "b", "a", "form"} and "svg" in page.tags
    assert not [a for a in page.attributes if a[0].startswith("on") or a[0] in ("href", "src")] and document["title"] in page.text
    for n in document["graph"]["nodes"]:
        assert n["label"] in page.text
    markdown = store.run("incident", "export", which, "-f", "markdown")
    assert markdown.startswith("# ") and not re.search(r"(?<!\\)<", markdown)
    check_stix(json.loads(store.run("incident", "export", which, "-f", "stix")), document)


def check_stix(bundle, document):
    """The properties STIX 2.1 requires of what is in the bundle; and the reference library reads it, where it is installed."""
    need = {"incident": ["name"], "attack-pattern": ["name"], "relationship": ["relationship_type", "source_ref", "target_ref"], "process": ["pid"], "file": ["name"], "ipv4-addr": ["value"], "ipv6-addr": ["value"],
            "vulnerability": ["name"], "observed-data": ["first_observed", "last_observed", "number_observed", "object_refs"]}
    observable = {"process", "file", "ipv4-addr", "ipv6-addr"}
    ids = {o["id"] for o in bundle["objects"]}
    assert bundle["type"] == "bundle" and len(ids) == len(bundle["objects"])
    for o in [bundle, *bundle["objects"]]:
        assert re.fullmatch(o["type"] + r"--[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", o["id"]), o["id"]
    for o in bundle["objects"]:
        assert o["spec_version"] == "2.1" and all(o.get(k) not in (None, "", []) for k in need[o["type"]]), o
        if o["type"] not in observable:
            assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", o[k]) for k in ("created", "modified")) and o["created"] <= o["modified"]
        for k in [o.get("source_ref"), o.get("target_ref"), *o.get("object_refs", [])]:
            assert k is None or k in ids
    assert {o["name"] for o in bundle["objects"] if o["type"] == "incident"} == {document["title"]}
    sys.path[:0] = [p for p in os.environ.get("HF_TEST_PYTHON", "").split(":") if p]
    try:
        import stix2
    except ImportError:
        return
    assert len(stix2.parse(json.dumps(bundle)).objects) == len(bundle["objects"])
