# SPDX-License-Identifier: Apache-2.0
"""`holdfast daemon` on containers of a real dockerd: an attack becomes an incident in the store and a message at a channel; what others change is told; every
process is killed and nothing that was acknowledged is lost; a store that takes nothing; the hand; one daemon a folder; a reload."""
import contextlib
import http.server
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.request
import uuid

import jsonschema
import pytest

from test_docker import overlay  # noqa: F401 (a fixture)
from test_watch import busybox  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the daemon needs root")
# a shell whose input and output are a connection: a reverse shell, to a listener in the same container
ATTACK = "busybox nc -l -p 4444 -e /bin/cat & sleep 0.5; busybox nc 127.0.0.1 4444 -e /bin/sh & sleep 1; echo done; sleep 1000"
USER = "hftest"


def until(fn, seconds=60, every=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = fn()
        if got:
            return got
        time.sleep(every)
    return fn()


class Hook:
    """A webhook: keeps what it was sent; can refuse."""
    def __init__(self):
        hook = self
        self.got, self.refuse = [], False

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not hook.refuse:
                    hook.got.append((time.time(), json.loads(body)))
                self.send_response(503 if hook.refuse else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def about(self, text):
        return [b for _, b in list(self.got) if text in json.dumps(b)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def user():
    try:
        pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER], check=True)
        yield USER
        subprocess.run(["userdel", USER], check=False)
        return
    yield USER


class Daemon:
    def __init__(self, binary, user, hook):
        # not below pytest's folder, which is closed to the daemon's user
        self.binary, self.path, self.hook = binary, pathlib.Path(tempfile.mkdtemp(prefix="hf-daemon-", dir="/tmp")), hook
        self.path.chmod(0o755)
        self.state, self.store = self.path / "state", self.path / "state/store/holdfast.db"
        self.settings = {"daemon": {"user": user, "state": self.state, "notify": self.path / "notify.yaml", "exceptions": self.path / "exceptions.d", "scan": "no"},
                         "store": {"url": self.store}, "db": {"path": self.path / "none.hfdb"}, "scan": {"cache_dir": self.path / "cache"}, "console": {"listen": '""'}}
        self.process = None
        self.channel(hook.url if hook else None)

    def channel(self, url):
        key = self.path / "key"
        key.write_text("k" * 40)
        key.chmod(0o600)
        text = f"- channel: hook\n  type: webhook\n  url: {url}\n  key_file: {key}\n- route: all\n  match: {{severity: notice}}\n  to: hook\n" if url else ""
        (self.path / "notify.yaml").write_text(text)

    def start(self, wait=True):
        config = self.path / "holdfast.yaml"
        config.write_text("".join(f"{section}:\n" + "".join(f"  {k}: {v}\n" for k, v in keys.items()) for section, keys in self.settings.items()))
        self.err = open(self.path / "err", "ab")
        self.process = subprocess.Popen([self.binary, "daemon", "--verbose", "--config", config], stdin=subprocess.DEVNULL, stdout=self.err, stderr=self.err)
        if wait:
            assert until(lambda: self.running("watch") and self.running("hub") and self.status()["lines"]["read"] > 0), self.log()
        return self

    def log(self):
        return (self.path / "err").read_text()

    def run(self, *args, code=0):
        p = subprocess.run([self.binary, *map(str, args)], capture_output=True, text=True, timeout=60)
        assert p.returncode == code, (args, p.returncode, p.stdout, p.stderr)
        return p.stdout if code in (0, 4) else p.stderr

    def status(self):
        p = subprocess.run([self.binary, "daemon", "status", "--json", "--state", self.state], capture_output=True, text=True, timeout=60)
        return json.loads(p.stdout) if p.returncode in (0, 4) else None

    def part(self, name):
        s = self.status()
        return next(p for p in s["processes"] if p["name"] == name) if s else None

    def running(self, name):
        p = self.part(name)
        return p and p["state"] == "running" and p

    def incidents(self):
        p = subprocess.run([self.binary, "incident", "list", "--json", "--store", self.store], capture_output=True, text=True, timeout=60)
        return json.loads(p.stdout) if p.returncode == 0 else []

    def incident_of(self, container):
        for row in self.incidents():
            if container in json.dumps(row) or container in json.dumps(self.show(row["id"])):
                return row
        return None

    def show(self, incident):
        return json.loads(self.run("incident", "show", "--json", "--store", self.store, incident))

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode if self.process else None


@pytest.fixture
def daemon(binary, user):
    hook = Hook()
    d = Daemon(binary, user, hook)
    yield d
    d.end()
    hook.close()
    shutil.rmtree(d.path, ignore_errors=True)


@pytest.fixture
def attack(busybox):  # noqa: F811
    names = []

    def begin():
        name = "d" + uuid.uuid4().hex[:10]
        names.append(name)
        busybox("run", "-d", "--name", name, "--network", "none", "box:1", "/bin/sh", "-c", ATTACK)
        return name
    begin.id = lambda name: busybox.text("inspect", "-f", "{{.Id}}", name)
    yield begin
    for name in names:
        subprocess.run(busybox.command("rm", "-f", name), env=busybox.env(), capture_output=True)


def test_an_attack_reaches_store_and_channel_and_what_others_change_is_told(daemon, attack):
    daemon.start()
    name = attack()
    row = until(lambda: daemon.incident_of(name))
    assert row, daemon.log()
    doc = daemon.show(row["id"])
    assert any(c["name"] == name for c in doc["containers"]) and doc["state"] == "open" and doc["alerts"] >= 1
    assert until(lambda: daemon.hook.about(row["id"])), daemon.log()
    # the alerts themselves are kept, and the audit log says who opened it
    assert daemon.status()["store"]["alerts"] >= 1
    assert "incident.open" in daemon.run("audit", "list", "--store", daemon.store)

    # somebody at the command line: the channel hears, and the correlator does not write over it
    before = len(daemon.hook.about(row["id"]))
    daemon.run("incident", "ack", "--by", "anna", "--comment", "I look at it", "--store", daemon.store, row["id"])
    assert until(lambda: any("anna" in json.dumps(b) for b in daemon.hook.about(row["id"])[before:])), daemon.log()
    other = attack()
    assert until(lambda: daemon.incident_of(other))
    assert daemon.show(row["id"])["state"] == "acknowledged" and daemon.show(row["id"])["acknowledged_by"] == "anna"
    # all in order
    jsonschema.validate(daemon.status(), json.loads((pathlib.Path(__file__).resolve().parents[2] / "docs/schema/daemon-status-1.json").read_text()))
    out = daemon.run("daemon", "status", "--state", daemon.state)
    assert "daemon    healthy" in out and daemon.end() == 0
    assert daemon.run("audit", "verify", "--store", daemon.store)


def test_only_what_needs_root_has_it(daemon):
    daemon.start()
    uid = pwd.getpwnam(USER).pw_uid

    def facts(pid):
        return dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in line)
    hub = facts(daemon.part("hub")["pid"])
    assert hub["Uid"].split() == [str(uid)] * 4 and int(hub["CapEff"], 16) == 0 and int(hub["CapBnd"], 16) == 0 and hub["NoNewPrivs"] == "1" and hub["Seccomp"] == "2"
    assert facts(daemon.part("hand")["pid"])["Uid"].split()[0] == "0"
    st = daemon.store.stat()
    assert st.st_uid == uid and daemon.store.parent.stat().st_mode & 0o777 == 0o700
    # root's command line leaves nothing that shuts the daemon out
    daemon.run("incident", "list", "--store", daemon.store)
    assert all(f.stat().st_uid == uid for f in daemon.store.parent.iterdir())
    # another one does not start here
    p = subprocess.run([daemon.binary, "daemon", "--config", daemon.path / "holdfast.yaml"], capture_output=True, text=True, timeout=60)
    assert p.returncode == 3 and "another daemon runs" in p.stderr


@pytest.mark.parametrize("which", ["hub", "watch", "hand", "console"])
def test_what_is_killed_comes_back_and_nothing_acknowledged_is_lost(daemon, attack, which):
    if which == "console":
        with contextlib.closing(socket.socket()) as s:
            s.bind(("127.0.0.1", 0))
            daemon.settings["console"]["listen"] = f"127.0.0.1:{s.getsockname()[1]}"
    daemon.start()
    first = attack()
    row = until(lambda: daemon.incident_of(first))
    assert row, daemon.log()
    old = daemon.part(which)["pid"]
    os.kill(old, signal.SIGKILL)
    again = until(lambda: (lambda p: p and p["state"] == "running" and p["pid"] != old and p)(daemon.part(which)))
    assert again and again["restarts"] == 1 and "signal 9" in again["ended"], daemon.log()
    assert f"{which} was killed by signal 9" in daemon.log()
    # that it happened is an incident of its own
    assert until(lambda: any(f'"{which}" was killed' in daemon.run("incident", "show", "--json", "--store", daemon.store, r["id"]).replace("\\", "") for r in daemon.incidents())), daemon.log()
    assert daemon.show(row["id"])["alerts"] >= row["alerts"]
    if which == "console":  # the socket was never closed: whoever asks is served
        url = until(lambda: daemon.running("console") and daemon.status().get("console"))
        assert json.load(urllib.request.urlopen(url + "/api/v1/session/methods", timeout=60))["password"] is True
    if which == "watch":  # it needs a moment until it sees again
        read = daemon.status()["lines"]["read"]
        assert until(lambda: daemon.status()["lines"]["read"] > read)
        time.sleep(1)
    second = attack()
    other = until(lambda: daemon.incident_of(second))
    assert other, daemon.log()
    assert until(lambda: daemon.hook.about(other["id"]))
    assert daemon.run("audit", "verify", "--store", daemon.store)


def test_a_store_that_takes_nothing_does_not_stop_detection(daemon, attack):
    daemon.start()
    first = attack()
    row = until(lambda: daemon.incident_of(first))
    assert row, daemon.log()
    # whoever holds the writer's lock for good
    holder = subprocess.Popen(["/usr/bin/python3", "-c", "import sqlite3,sys,time\nc=sqlite3.connect(sys.argv[1], isolation_level=None)\nc.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\nsys.stdin.read()",
                               daemon.store], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        second = attack()
        # nobody can write: the status says so, the log too, and the channel hears of it from memory
        assert until(lambda: daemon.status()["store"].get("down_since")), daemon.log()
        assert not daemon.status()["healthy"] and daemon.status()["store"]["error"]
        assert until(lambda: daemon.hook.about(second)), daemon.log()
        assert daemon.status()["store"]["pending_bytes"] > 0
    finally:
        holder.stdin.close()
        holder.wait()
    assert until(lambda: daemon.incident_of(second)), daemon.log()
    assert until(lambda: daemon.status()["store"]["writes"]) and daemon.status()["store"]["alerts_dropped"] == 0
    assert "takes what is written again" in daemon.log()
    # the channel knows the incident already: what comes of it now is news of it, not the incident again
    other = daemon.incident_of(second)
    daemon.run("incident", "ack", "--by", "anna", "--store", daemon.store, other["id"])
    assert until(lambda: any("anna" in json.dumps(b) for b in daemon.hook.about(other["id"]))), daemon.log()
    assert [b["type"].split(".")[3] for b in daemon.hook.about(other["id"])].count("opened") == 1, [b["type"] for b in daemon.hook.about(other["id"])]


def test_a_channel_that_is_down_waits_and_changed_channels_are_read_again(daemon, attack):
    daemon.hook.refuse = True
    daemon.start()
    name = attack()
    row = until(lambda: daemon.incident_of(name))
    assert row and until(lambda: daemon.status()["channels"]["waiting"] >= 1), daemon.log()
    # a file that is wrong changes nothing, and says so
    hub = daemon.part("hub")["pid"]
    (daemon.path / "notify.yaml").write_text("- channel: x\n  type: slak\n")
    daemon.process.send_signal(signal.SIGHUP)
    assert until(lambda: "channels stay as they were" in daemon.log())
    assert daemon.part("hub")["pid"] == hub
    # another address: what waits goes there
    other = Hook()
    daemon.channel(other.url)
    daemon.process.send_signal(signal.SIGHUP)
    assert until(lambda: other.about(row["id"]), 60), daemon.log()
    assert daemon.part("hub")["restarts"] == 0
    other.close()


MANY_RULES = """- rule: Many programs
  desc: programs with names that only this test uses, each an alert of its own
  condition: evt.type = execve and proc.name startswith hfmany
  output: program %proc.name
  priority: NOTICE
  key: [container.id, proc.name]
  once: 1h
- rule: Severe program
  desc: the same, above those
  condition: evt.type = execve and proc.name startswith hfmuch
  output: program %proc.name
  priority: CRITICAL
  key: [container.id, proc.name]
  once: 1h
"""
MANY = "for i in $(busybox seq 1 {n}); do cp /bin/busybox /tmp/{name}$i; /tmp/{name}$i true; rm /tmp/{name}$i; done; busybox sleep 1000"


def test_a_hub_that_is_killed_again_and_again_loses_no_alert(daemon, busybox):  # noqa: F811
    """What it read and had not written is in watch's log of alerts: the next one takes it from there, each alert once."""
    (daemon.path / "rules.yaml").write_text(MANY_RULES)
    daemon.settings["daemon"].update(rules=daemon.path / "rules.yaml")
    daemon.start()
    want, boxes = 60, [("d" + uuid.uuid4().hex[:10], name) for name in ("hfmany", "hfmuch", "hfmany")]

    def logged():
        lines = [json.loads(line) for f in ("alerts.0.ndjson", "alerts.1.ndjson") for line in (daemon.state / f).read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [a for a in lines if a["rule"] in ("Many programs", "Severe program") and "event_type" in a]
    try:
        for box, name in boxes:
            busybox("run", "-d", "--name", box, "--network", "none", "box:1", "/bin/sh", "-c", MANY.format(n=want, name=name))
        for kill in range(5):
            assert until(lambda: len(logged()) > 30 * kill, 90), daemon.log()
            hub = daemon.running("hub")
            os.kill(hub["pid"], signal.SIGKILL)
            assert until(lambda: (lambda p: p and p["pid"] != hub["pid"])(daemon.running("hub")), 60), daemon.log()
        assert until(lambda: len(logged()) >= 3 * want, 120), (len(logged()), daemon.log())
        ids = {a["id"] for a in logged()}
        assert len(ids) == 3 * want

        def stored():
            db = sqlite3.connect(f"file:{daemon.store}?mode=ro", uri=True)
            try:
                return [(json.loads(doc)["id"], incident) for doc, incident in db.execute("SELECT doc, incident FROM alerts WHERE rule IN ('Many programs', 'Severe program')")]
            finally:
                db.close()
        assert until(lambda: len(stored()) >= len(ids), 60), (len(stored()), daemon.log())
        assert daemon.end() == 0
    finally:
        for box, _ in boxes:
            subprocess.run(busybox.command("rm", "-f", box), env=busybox.env(), capture_output=True)
    got = stored()
    assert sorted(i for i, _ in got) == sorted(ids), "each alert once, none lost"
    counted = {}
    for row in json.loads(daemon.run("incident", "list", "--json", "--state", "all", "--store", daemon.store)):
        doc = daemon.show(row["id"])
        counted[row["id"]] = sum(r["count"] for r in doc["rules"] if r["rule"] in ("Many programs", "Severe program"))
    for incident in {i for _, i in got}:
        while json.loads(daemon.run("incident", "show", "--json", "--store", daemon.store, incident)).get("merged_into"):
            incident = daemon.show(incident)["merged_into"]
        assert incident in counted
    assert sum(counted.values()) == len(ids), (counted, daemon.log())
    assert "did not come to" in daemon.log()


RULES = """- rule: Marked program
  desc: a program with a name that only this test uses
  condition: evt.type = execve and proc.name = hfmarked
  output: a marked program
  priority: CRITICAL
  respond: [freeze]
"""
MARKED = "cp /bin/busybox /tmp/hfmarked; busybox sleep 1; /tmp/hfmarked true; while :; do busybox sleep 1; done"


def test_what_a_rule_wants_done_is_done_and_stands_in_the_incident(daemon, busybox):  # noqa: F811
    (daemon.path / "rules.yaml").write_text(RULES)
    daemon.settings["daemon"].update(rules=daemon.path / "rules.yaml", respond="yes")
    daemon.start()
    name = "d" + uuid.uuid4().hex[:10]
    busybox("run", "-d", "--name", name, "--network", "none", "box:1", "/bin/sh", "-c", MARKED)
    try:
        row = until(lambda: daemon.incident_of(name))
        assert row, daemon.log()
        doc = until(lambda: (lambda d: d.get("actions") and d)(daemon.show(row["id"])))
        assert doc, daemon.log()
        action = doc["actions"][0]
        assert action["action"] == "freeze" and action["result"] == "done" and action["by"] == 'rule "Marked program"' and doc["state"] == "contained"
        assert until(lambda: any('"freeze"' in json.dumps(b) for b in daemon.hook.about(row["id"]))), daemon.log()
        assert [a["action"] for a in json.loads(daemon.run("respond", "list", "--json", "--state", daemon.state))] == ["freeze"]
    finally:
        subprocess.run([daemon.binary, "respond", "release", "--state", daemon.state, name], capture_output=True)
        subprocess.run(busybox.command("rm", "-f", name), env=busybox.env(), capture_output=True)


def test_images_of_what_runs_are_scanned(daemon, busybox, advdb, attack):  # noqa: F811
    shutil.copy(advdb, daemon.path / "advisories.hfdb")
    (daemon.path / "advisories.hfdb").chmod(0o644)
    daemon.settings["daemon"]["scan"] = "yes"
    daemon.settings["db"]["path"] = daemon.path / "advisories.hfdb"
    daemon.settings["docker"] = {"host": busybox.host}
    daemon.start()
    digest = busybox.text("inspect", "-f", "{{.Image}}", attack())

    def scanned():
        return [i for i in json.loads(daemon.run("inventory", "images", "--json", "--store", daemon.store))["images"] if i["digest"] == digest and i.get("scanned")]
    assert until(scanned, 180, 0.5), digest + daemon.log()  # other containers of this machine may come first
    assert daemon.status()["inventory"]["scans"] >= 1 and daemon.status()["hand"]["asked"] >= 1 and "hub asks: scan" in daemon.log()


def test_it_says_what_is_missing(binary, daemon, tmp_path):
    def refused(code, *words, **settings):
        for key, value in settings.items():
            section, name = key.split("__")
            daemon.settings[section][name] = value
        daemon.start(wait=False)
        assert daemon.process.wait(30) == code, daemon.log()
        assert all(w in daemon.log() for w in words), daemon.log()
    refused(2, 'there is no user "nobody-like-this"', "useradd --system", daemon__user="nobody-like-this")
    refused(2, "must not be root", daemon__user="root")
    (daemon.path / "full").mkdir()
    (daemon.path / "full/other").write_text("x")
    refused(2, "has other things in it (other)", daemon__user=USER, store__url=daemon.path / "full/holdfast.db")
    assert (daemon.path / "full").stat().st_uid == 0
    closed = daemon.path / "closed"
    closed.mkdir(mode=0o700)
    refused(2, "a folder above it is closed", store__url=closed / "store/holdfast.db")
    p = subprocess.run([binary, "daemon", "status", "--state", tmp_path], capture_output=True, text=True, timeout=60)
    assert p.returncode == 3 and "no daemon runs" in p.stderr


def test_without_a_kernel_to_watch_it_goes_on(daemon):
    rules = daemon.path / "bad-rules"
    rules.mkdir()
    (rules / "x.yaml").write_text("- rule: [\n")
    daemon.settings["daemon"]["rules"] = rules
    daemon.start(wait=False)
    assert until(lambda: (daemon.part("watch") or {}).get("state") == "given up"), daemon.log()
    assert "cannot be watched" in daemon.log() and daemon.running("hub") and daemon.running("hand")
    # mended: SIGHUP tries again
    (rules / "x.yaml").write_text("- rule: shell\n  desc: a shell\n  condition: spawned_process and proc.name = sh\n  output: a shell\n  priority: NOTICE\n- macro: spawned_process\n  condition: evt.type = execve\n")
    daemon.process.send_signal(signal.SIGHUP)
    assert until(lambda: daemon.running("watch")), daemon.log()


def test_systemd_is_told(daemon):
    path = daemon.path / "notify.sock"
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as s:
        s.bind(str(path))
        s.settimeout(30)
        os.environ["NOTIFY_SOCKET"] = str(path)
        try:
            daemon.start(wait=False)
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert s.recv(1000).startswith(b"READY=1")
        daemon.end()
        assert b"STOPPING=1" in s.recv(1000)
