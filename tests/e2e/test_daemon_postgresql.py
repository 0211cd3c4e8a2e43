# SPDX-License-Identifier: Apache-2.0
"""The daemon, the console and the commands on a PostgreSQL of our own that asks for a password: an attack in a container of a real dockerd becomes an incident, people work on it,
the server is restarted and dies under it, the daemon is killed; nothing that was acknowledged is lost, and what was not is said."""
import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request

import pytest

from postgresql import Postgres
from test_daemon import Daemon, Hook, attack, until  # noqa: F401 (fixtures)
from test_docker import overlay  # noqa: F401 (a fixture)
from test_watch import busybox  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the daemon needs root")
USER, ROLE, PASSWORD = "hfpgtest", "keeper", "x:y\\z"


@pytest.fixture(scope="module")
def home():
    """A user whose home has the password, as docs/store.md tells to do it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hf-home-", dir="/tmp"))
    subprocess.run(["useradd", "--system", "--home-dir", folder, "--no-create-home", "--shell", "/usr/sbin/nologin", USER], check=True)
    pw = pwd.getpwnam(USER)
    passes = folder / ".pgpass"
    passes.write_text("*:*:*:%s:%s\n" % (ROLE, PASSWORD.replace("\\", "\\\\").replace(":", "\\:")))
    passes.chmod(0o600)
    for f in (folder, passes):
        os.chown(f, pw.pw_uid, pw.pw_gid)
    yield folder
    subprocess.run(["userdel", USER], check=False)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server():
    s = Postgres("scram-sha-256")
    s.sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD $pw${PASSWORD}$pw$")
    yield s
    s.close()


class OnPostgres(Daemon):
    def __init__(self, binary, hook, address, home):
        super().__init__(binary, USER, hook)
        self.store = address + f"&passfile={home}/.pgpass"  # what root's commands say; the daemon finds it at home
        self.settings["store"]["url"] = address


@pytest.fixture
def daemon(binary, home, server):
    hook = Hook()
    d = OnPostgres(binary, hook, server.new(ROLE), home)
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        d.port = s.getsockname()[1]
    d.settings["console"]["listen"] = f"127.0.0.1:{d.port}"
    yield d
    d.end()
    hook.close()
    shutil.rmtree(d.path, ignore_errors=True)


def token(daemon):
    daemon.run("user", "add", "--no-password", "--role", "administrator", "--store", daemon.store, "ann")
    return daemon.run("token", "add", "--user", "ann", "--scopes", "read,respond,admin", "--store", daemon.store, "t").split()[-1]


def ask(daemon, secret, path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.port}/api/v1{path}", None if body is None else json.dumps(body).encode(),
                                     {"Authorization": "Bearer " + secret, "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as r:
            return r.status, json.load(r)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


def runs(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def entries(daemon):
    return [(e["what"], e["target"], e["by"]) for e in json.loads(daemon.run("audit", "list", "--json", "--store", daemon.store))]


def test_an_attack_people_and_a_server_that_goes_away(daemon, server, attack, tmp_path):  # noqa: F811
    daemon.start()
    name = attack()
    row = until(lambda: daemon.incident_of(name))
    assert row and until(lambda: daemon.hook.about(row["id"])), daemon.log()
    assert until(lambda: daemon.running("console")), daemon.log()
    secret = token(daemon)
    status, shown = ask(daemon, secret, f"/incidents/{row['id']}")
    assert status == 200 and shown["state"] == "open"

    # acknowledged in the console, seen by the command line and told at the channel
    status, shown = ask(daemon, secret, f"/incidents/{row['id']}/changes", {"verb": "ack", "revision": shown["revision"]})
    assert status == 200 and shown["acknowledged_by"] == "ann", shown
    assert daemon.show(row["id"])["acknowledged_by"] == "ann"
    assert until(lambda: any("ann" in json.dumps(b) for b in daemon.hook.about(row["id"]))), daemon.log()

    # the server goes away: it is said where it is asked for, what happens meanwhile waits and goes to the channel from memory
    server.stop()
    try:
        second = attack()
        assert until(lambda: daemon.status()["store"].get("down_since"), 60), daemon.log()
        assert "hf-e2e-pg-" in daemon.status()["store"]["error"] or "connection" in daemon.status()["store"]["error"]
        assert until(lambda: daemon.hook.about(second), 60), daemon.log()
        why = daemon.run("incident", "comment", "--store", daemon.store, row["id"], "lost", code=3)
        assert server.folder in why and PASSWORD not in why, why
        status, problem = ask(daemon, secret, f"/incidents/{row['id']}")
        assert status == 503 and PASSWORD not in json.dumps(problem), problem
    finally:
        server.start()
    other = until(lambda: daemon.incident_of(second), 60)
    assert other, daemon.log()
    assert until(lambda: "takes what is written again" in daemon.log()) and daemon.status()["store"]["alerts_dropped"] == 0
    assert until(lambda: ask(daemon, secret, f"/incidents/{other['id']}")[0] == 200), daemon.log()

    # the power fails at the server: everything that was answered is there
    server.stop(signal.SIGQUIT)
    server.start()
    daemon.run("incident", "resolve", "--by", "bob", "--store", daemon.store, row["id"], "test")
    assert until(lambda: any("resolved" in json.dumps(b) for b in daemon.hook.about(row["id"]))), daemon.log()
    assert daemon.show(row["id"])["acknowledged_by"] == "ann" and daemon.show(row["id"])["resolution"] == "test"

    # the whole daemon is killed, and begins anew
    pids = [p["pid"] for p in daemon.status()["processes"]]
    daemon.process.kill()
    daemon.process.wait()
    assert until(lambda: not any(runs(p) for p in pids))
    daemon.start()
    third = attack()
    assert until(lambda: daemon.incident_of(third)), daemon.log()
    assert until(lambda: ask(daemon, secret, f"/incidents/{row['id']}")[1].get("state") == "resolved"), daemon.log()
    log = entries(daemon)
    assert log.count(("incident.open", row["id"], "holdfast")) == 1 and log.count(("incident.open", other["id"], "holdfast")) == 1
    assert any(e[1:] == (row["id"], "ann") for e in log) and any(e[1:] == (row["id"], "bob") for e in log)
    assert daemon.end() == 0
    assert daemon.run("audit", "verify", "--store", daemon.store)
    assert PASSWORD not in daemon.log()

    # the console alone, by somebody with the password
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        daemon.port = port.getsockname()[1]
    console = subprocess.Popen([daemon.binary, "console", "--store", daemon.store, "--listen", f"127.0.0.1:{daemon.port}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=daemon.err)
    try:
        assert console.stdout.readline().startswith(b"http://"), daemon.log()
        status, shown = ask(daemon, secret, "/incidents?state=resolved")
        assert status == 200 and row["id"] in [i["id"] for i in shown["items"]]
    finally:
        console.terminate()
        assert console.wait(30) == 0

    # and to a file, as it is
    there = f"sqlite:{tmp_path}/moved.db"
    daemon.run("store", "migrate", daemon.store, there)
    assert daemon.run("audit", "verify", "--store", there) == daemon.run("audit", "verify", "--store", daemon.store)
    one = ["incident", "list", "--json", "--state", "all", "--store"]
    assert json.loads(daemon.run(*one, there)) == json.loads(daemon.run(*one, daemon.store))


def test_without_the_password_it_says_so(daemon, home, server):
    os.rename(home / ".pgpass", home / "away")
    try:
        daemon.start(wait=False)
        assert until(lambda: (lambda s: s and s["store"].get("error"))(daemon.status())), daemon.log()
        assert "password" in daemon.status()["store"]["error"] and "the store cannot be opened" in daemon.log()
    finally:
        os.rename(home / "away", home / ".pgpass")
    assert until(lambda: not daemon.status()["store"].get("down_since")), daemon.log()
