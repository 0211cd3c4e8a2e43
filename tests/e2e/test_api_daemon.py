# SPDX-License-Identifier: Apache-2.0
"""The API beside a real daemon: a container of a real dockerd is attacked, looked at, frozen with the effect shown before, released; an exception is made; a
channel is tested; all of it in the audit log."""
import http.client
import json
import os
import socket
import urllib.parse

import pytest

from test_daemon import attack, daemon, until, user  # noqa: F401 (fixtures)
from test_docker import overlay  # noqa: F401 (a fixture)
from test_watch import busybox  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the daemon needs root")


class Api:
    def __init__(self, daemon, port):  # noqa: F811
        self.daemon, self.port, self.token = daemon, port, None

    def __call__(self, method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        headers = {"Authorization": "Bearer " + self.token, **({"Content-Type": "application/json"} if body is not None else {})}
        c.request(method, "/api/v1" + path, None if body is None else json.dumps(body), headers)
        r = c.getresponse()
        text = r.read()
        c.close()
        return r.status, json.loads(text) if text else None

    def get(self, path):
        status, reply = self("GET", path)
        assert status == 200, (path, reply, self.daemon.log())
        return reply


@pytest.fixture
def api(daemon):  # noqa: F811
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    daemon.settings["console"] = {"listen": f"127.0.0.1:{port}"}
    daemon.start()
    assert until(lambda: daemon.running("console")), daemon.log()
    daemon.run("user", "add", "--no-password", "--role", "administrator", "--store", daemon.store, "ann")
    a = Api(daemon, port)
    a.token = daemon.run("token", "add", "--user", "ann", "--scopes", "read,respond,admin,metrics", "--store", daemon.store, "t").split()[-1]
    yield a


def test_what_the_api_does_is_done(api, daemon, attack):  # noqa: F811
    name = attack()
    box = until(lambda: next((c for c in api.get("/containers")["items"] if c["name"] == name and c["alerts"]), None))
    assert box and box["running"] and box["severity"] in ("high", "critical") and box["incidents"] == 1, daemon.log()
    path = f"/containers/{box['id']}"
    d = api.get(path)
    assert any("sleep" in p["args"] or p["name"] == "sh" for p in d["processes"]) and d["command"].startswith("/bin/sh -c") and d["capabilities"]
    incident = d["incident_items"][0]["id"]
    sensor = api.get("/sensor")
    assert sensor["health"]["connected"] and sensor["hooks"]["exec"] and api.get("/overview")["containers"]["running"] >= 1

    # the effect is shown before it is done
    status, shown = api("POST", path + "/actions", {"action": "freeze", "dry_run": True})
    assert status == 200 and shown["dry_run"] and shown["result"]["dry_run"] and shown["result"]["effects"] and not api.get(path)["actions"], shown
    status, done = api("POST", path + "/actions", {"action": "freeze", "why": "test", "for": "10m", "incident": incident})
    assert status == 200 and done["result"]["changed"] and done["incident_revision"] > 1 and "not_noted" not in done, done
    doc = api.get("/incidents/" + incident)
    assert doc["state"] == "contained" and [(a["action"], a["by"], a["result"]) for a in doc["actions"]] == [("freeze", "ann", "done")]
    force = until(lambda: api.get(path)["actions"])
    assert force and force[0]["action"] == "freeze" and force[0]["until"], force
    assert api("POST", path + "/actions", {"action": "thaw", "why": "test"})[0] == 200
    assert until(lambda: not api.get(path)["actions"])
    assert api("POST", path + "/actions", {"action": "freeze", "why": "test", "force": True})[0] in (403, 422)  # never from the console
    log = [(e["what"], e["target"], e["after"]) for e in api.get("/audit?target=" + box["id"])["items"]]
    assert ("container.thaw", box["id"], "done") in log and ("container.freeze", box["id"], "done") in log and log[0][2].startswith("failed: ")

    # rules with their noise; an exception from a kept alert
    alert = api.get(f"/incidents/{incident}/alerts")["items"][0]
    rule = "/rules/" + urllib.parse.quote(alert["rule"], safe="")
    r = until(lambda: (lambda x: x["alerts_24h"] and x)(api.get(rule)))
    assert r["enabled"] and r["condition"] and r["exceptions"] == 0
    status, x = api("POST", rule + "/exceptions", {"alert": alert["id"], "why": "allowed", "dry_run": True})
    assert status == 200 and not x["made"] and alert["rule"] in x["text"], x
    status, x = api("POST", rule + "/exceptions", {"alert": alert["id"], "why": "allowed", "incident": incident})
    assert status == 200 and x["made"], x
    assert until(lambda: api.get(rule)["exceptions"] == 1), daemon.log()
    status, replay = api("POST", rule + "/replay", {})
    assert status == 200 and replay["excepted"] >= 1 and any(i["id"] == alert["id"] and i["result"] == "excepted" for i in replay["items"]), replay

    # channels
    channels = {c["name"]: c for c in api.get("/channels")["items"]}
    assert channels["hook"]["kind"] == "webhook" and channels["hook"]["routes"] == ["all"] and "key" not in json.dumps(channels)
    status, tested = api("POST", "/channels/hook/test")
    assert status == 200 and tested["ok"], tested
    assert api("GET", "/audit/verify")[1]["ok"]
