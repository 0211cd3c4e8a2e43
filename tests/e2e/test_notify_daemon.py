# SPDX-License-Identifier: Apache-2.0
"""The conversation as a whole: a daemon on a real container, a chat server with Socket Mode, a pager, a webhook.  An attack becomes a card; the button there freezes
the container; what is written in the thread, and how it ends, is seen everywhere else."""
import json
import os
import signal
import time

import pytest
from test_daemon import Daemon, Hook, attack, overlay, user  # noqa: F401 (fixtures)
from test_notify import Web
from test_notify_answers import Slack, press, until, write  # noqa: F401
from test_watch import busybox  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the daemon needs root")


@pytest.fixture
def team(binary, user, attack, busybox):  # noqa: F811
    hook, slack, pager = Hook(), Slack(), Web(lambda n, method, path, body: (202, {}, b'{"status":"success"}'))
    d = Daemon(binary, user, hook)

    def secret(name, value):
        path = d.path / name
        path.write_text(value + "\n")
        path.chmod(0o600)
        return str(path)
    channels = [{"channel": "hook", "type": "webhook", "url": hook.url, "key_file": str(d.path / "key")},
                {"channel": "team", "type": "slack", "url": slack.api, "token_file": secret("bot", "xoxb-bot-token"), "app_token_file": secret("app", "xapp-1-test-token"), "to": "C1",
                 "people": {"U1": "alice"}, "responders": {"U9": "rita"}},
                {"channel": "pager", "type": "pagerduty", "url": pager.url, "token_file": secret("pd", "routing-key-0123456789")},
                {"route": "all", "match": {"severity": "notice"}, "to": ["hook", "team", "pager"], "group": "0s"}]
    (d.path / "notify.yaml").write_text(json.dumps(channels))  # YAML has JSON in it
    d.settings["docker"] = {"host": busybox.env()["DOCKER_HOST"]} if "DOCKER_HOST" in busybox.env() else {"host": "unix:///var/run/docker.sock"}
    d.slack, d.pager = slack, pager
    yield d
    d.end()
    hook.close()
    pager.close()
    slack.close()


def test_the_conversation(team, attack, busybox):  # noqa: F811
    slack = team.slack
    team.start()
    until(lambda: slack.sockets)
    name = attack()
    until(lambda: team.incident_of(name))  # other containers of this machine may have incidents of their own
    incident = team.incident_of(name)["id"]
    until(lambda: slack.card(incident))
    container = attack.id(name)
    frozen = lambda: state(container)  # noqa: E731

    # somebody who may not, then somebody who may
    slack.send(press(slack, "hf_freeze", user="U1", envelope="no", value=incident, ts="1.0"))
    until(lambda: slack.told() and "You may not do that" in slack.told()[0]["text"])
    assert not frozen()
    slack.send(press(slack, "hf_freeze", user="U9", envelope="yes", value=incident, ts="1.1"))
    assert got(frozen, 30), (slack.told(), team.log())
    assert "yes" in slack.acks
    until(lambda: team.show(incident)["state"] == "contained")
    action = team.show(incident)["actions"][0]
    assert action["by"] == "rita" and action["action"].startswith("freeze") and action["result"].startswith("done")

    # the card, the pager and the webhook know
    until(lambda: any(n == "chat.update" and "contained" in json.dumps(c) for n, c in slack.calls))
    until(lambda: any(team.pager.json(i)["event_action"] == "acknowledge" for i in range(len(team.pager.got))))
    until(lambda: any("rita" in json.dumps(b) for b in team.hook.about(incident)))

    # the thread is the discussion, both ways, without an echo
    slack.send(write(slack, "who runs this &amp; why?", user="U1", envelope="c", ts="1800.1", thread=slack.ts(incident)))
    until(lambda: any(c["text"] == "who runs this & why?" and c["by"] == "alice" and c["via"] == "slack:team" for c in team.show(incident)["comments"]))
    until(lambda: any("who runs this & why?" in json.dumps(b) for b in team.hook.about(incident)))

    # Slack sends again what a hub had done that was then killed: nothing is done twice
    hub, before, n = team.running("hub")["pid"], team.show(incident), len(slack.sockets)
    os.kill(hub, signal.SIGKILL)
    until(lambda: (lambda p: p and p["pid"] != hub)(team.running("hub")))
    until(lambda: len(slack.sockets) > n)
    slack.send(press(slack, "hf_freeze", user="U9", envelope="yes-again", value=incident, ts="1.1"), -1)
    slack.send(write(slack, "who runs this &amp; why?", user="U1", envelope="c-again", ts="1800.1", thread=slack.ts(incident)), -1)
    until(lambda: {"yes-again", "c-again"} <= set(slack.acks))
    slack.send(write(slack, "after that", user="U1", envelope="d", ts="1801.1", thread=slack.ts(incident)), -1)
    until(lambda: any(c["text"] == "after that" for c in team.show(incident)["comments"]))
    assert len(team.show(incident)["actions"]) == len(before["actions"]) and [c["text"] for c in team.show(incident)["comments"]].count("who runs this & why?") == 1
    team.run("incident", "comment", "--by", "anna", "--store", team.store, incident, "The nightly job, I stop it")
    in_thread = lambda text: [c for n, c in slack.calls if n == "chat.postMessage" and c.get("thread_ts") and text in json.dumps(c)]  # noqa: E731
    until(lambda: in_thread("The nightly job"))

    # how it ended
    team.run("incident", "resolve", "--by", "anna", "--store", team.store, incident, "true")
    until(lambda: any(team.pager.json(i)["event_action"] == "resolve" for i in range(len(team.pager.got))))
    until(lambda: any(n == "chat.update" and "resolved" in json.dumps(c) and "hf_freeze" not in json.dumps(c) for n, c in slack.calls))
    time.sleep(0.5)
    assert not in_thread("who runs this"), "an echo"
    audit = team.run("audit", "list", "--json", "--store", team.store)
    assert "rita" in audit and "slack:team" in audit
    assert team.run("audit", "verify", "--store", team.store)
    assert not slack.wrong


def got(what, seconds):
    end = time.time() + seconds
    while time.time() < end and not what():
        time.sleep(0.05)
    return what()


def state(container):
    """Whether its control group is frozen."""
    import glob
    for path in glob.glob(f"/sys/fs/cgroup/**/*{container}*/cgroup.events", recursive=True) + glob.glob(f"/sys/fs/cgroup/**/{container}/cgroup.events", recursive=True):
        if "frozen 1" in open(path).read():
            return True
    return False
