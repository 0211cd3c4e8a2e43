# SPDX-License-Identifier: Apache-2.0
"""What people answer: Slack by Socket Mode and by signed requests, PagerDuty's webhooks, Jira read back.  src/notify alone, by build/tests/answers-driver, against
servers of this test that behave as their makers document it; the daemon applies what the driver prints."""
import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import queue
import subprocess
import threading
import time
import urllib.parse

import pytest
from test_notify import Setup, Web, ca, comment, incident, setup  # noqa: F401 (fixtures)

websockets = pytest.importorskip("websockets")
DRIVER = pathlib.Path(os.environ.get("HF_ANSWERS_DRIVER", pathlib.Path(__file__).resolve().parents[2] / "build" / "tests" / "answers-driver"))
ID = "I-20261126-7K3Q9D"


class Slack:
    """The Web API over HTTP, and a WebSocket for each apps.connections.open: hello, envelopes, disconnect.  Whatever breaks the contract goes to .wrong."""

    def __init__(self, tls=None):
        self.calls, self.wrong, self.acks, self.sockets, self.tickets = [], [], {}, [], {}
        self.open_answer = None
        self.hello = True
        self.loop = asyncio.new_event_loop()
        self.tls = tls
        ready = threading.Event()

        def run():
            asyncio.set_event_loop(self.loop)
            self.server = self.loop.run_until_complete(websockets.serve(self.serve, "localhost", 0, ssl=tls, ping_interval=None, family=2))
            self.ws_port = self.server.sockets[0].getsockname()[1]
            ready.set()
            self.loop.run_forever()
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert ready.wait(10)
        self.web = Web(self.answer, tls)
        self.api = f"http{'s' if tls else ''}://localhost:{self.web.port}/api"

    def close(self):
        async def stop():
            self.server.close()
            await self.server.wait_closed()
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.web.close()

    def check(self, right, what):
        if not right:
            self.wrong.append(what)

    def answer(self, n, method, path, body):
        request = self.web.got[-1]
        name, auth = path.removeprefix("/api/"), request["headers"].get("authorization", "")
        if name == "apps.connections.open":
            self.check(method == "POST" and auth == "Bearer xapp-1-test-token", f"{name}: {method} {auth}")
            self.check(request["headers"].get("content-type") == "application/x-www-form-urlencoded", f"{name}: content type")
            if self.open_answer:
                answer, self.open_answer = self.open_answer, None
                return answer
            ticket = f"t{len(self.tickets) + 1}"
            self.tickets[ticket] = True
            return 200, {}, json.dumps({"ok": True, "url": f"ws{'s' if self.tls else ''}://localhost:{self.ws_port}/link/?ticket={ticket}&app_id=A1"}).encode()
        self.check(auth == "Bearer xoxb-bot-token", f"{name}: {auth}")
        if name.startswith("users.info?"):
            user = urllib.parse.parse_qs(name.split("?")[1])["user"][0]
            return 200, {}, json.dumps({"ok": True, "user": {"id": user, "name": "bob", "real_name": "Bob <b>Builder</b>", "profile": {"display_name": ""}}}).encode()
        said = json.loads(body)
        self.calls.append((name, said))
        limits(said, self.wrong)
        if name == "chat.postMessage":
            return 200, {}, json.dumps({"ok": True, "channel": "C1", "ts": f"1732000000.{len(self.calls):06d}"}).encode()
        if name == "chat.postEphemeral":
            self.check(set(said) <= {"channel", "user", "text", "blocks", "thread_ts"} and said["channel"] == "C1" and said["user"].startswith("U"), f"{name}: {said}")
            return 200, {}, json.dumps({"ok": True, "message_ts": "1"}).encode()
        self.check(name == "chat.update" and said["ts"].startswith("1732"), f"{name}: {said}")
        return 200, {}, json.dumps({"ok": True, "channel": "C1", "ts": said.get("ts")}).encode()

    async def serve(self, socket):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(socket.path).query)
        self.check(self.tickets.pop(query.get("ticket", [""])[0], None), f"ticket used twice or unknown: {socket.path}")
        self.sockets.append(socket)
        with contextlib.suppress(websockets.ConnectionClosed):
            if self.hello:
                await socket.send(json.dumps({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"}, "debug_info": {"host": "applink-1", "approximate_connection_time": 3600}}))
            async for text in socket:
                ack = json.loads(text)
                self.check(set(ack) == {"envelope_id"}, f"acknowledgement: {text}")
                self.acks[ack["envelope_id"]] = time.time()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def send(self, envelope, socket=-1):
        self.call(self.sockets[socket].send(envelope if isinstance(envelope, (str, bytes)) else json.dumps(envelope)))

    def card(self, incident=ID):
        """Number of the call that made the incident's card; 0: there is none."""
        return next((i for i, (n, c) in enumerate(list(self.calls), 1) if n == "chat.postMessage" and "thread_ts" not in c and f'"value": "{incident}"' in json.dumps(c)), 0)

    def ts(self, incident=ID):
        """Of the card: as answer() gave it."""
        return f"1732000000.{self.card(incident):06d}"

    def told(self):
        return [c for n, c in self.calls if n == "chat.postEphemeral"]


def limits(said, wrong):
    """docs.slack.dev/reference/block-kit: what Slack refuses as invalid_blocks."""
    def text(t, most, kinds=("plain_text", "mrkdwn")):
        if t["type"] not in kinds or not 0 < len(t["text"]) <= most:
            wrong.append(f"text over {most}: {t}")
    blocks = said.get("blocks", [])
    if len(blocks) > 50 or len(said.get("text", "")) > 4000:
        wrong.append("too many blocks, or text too long")
    for b in blocks:
        if len(b.get("block_id", "")) > 255:
            wrong.append("block_id")
        if b["type"] == "header":
            text(b["text"], 150, ("plain_text",))
        elif b["type"] == "section":
            text(b["text"], 3000)
        elif b["type"] == "context":
            if not 0 < len(b["elements"]) <= 10:
                wrong.append("context")
        elif b["type"] == "actions":
            if not 0 < len(b["elements"]) <= 25 or len({e["action_id"] for e in b["elements"]}) != len(b["elements"]):
                wrong.append("actions")
            for e in b["elements"]:
                text(e["text"], 75, ("plain_text",))
                if len(e["action_id"]) > 255 or len(e.get("value", "")) > 2000 or len(e.get("url", "")) > 3000 or e.get("style", "danger") not in ("primary", "danger"):
                    wrong.append(f"button {e}")
                if "confirm" in e:
                    text(e["confirm"]["title"], 100, ("plain_text",))
                    text(e["confirm"]["text"], 300)
                    text(e["confirm"]["confirm"], 30, ("plain_text",))
                    text(e["confirm"]["deny"], 30, ("plain_text",))
        elif b["type"] != "rich_text":
            wrong.append(f"block {b['type']}")


class Driver:
    def __init__(self, config, env=None):
        self.p = subprocess.Popen([DRIVER, config], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "no_proxy": "*", **(env or {})})
        self.lines, self.log, self.kept = queue.Queue(), [], []
        self.threads = [threading.Thread(target=lambda: [self.lines.put(json.loads(x)) for x in self.p.stdout], daemon=True), threading.Thread(target=lambda: self.log.extend(self.p.stderr), daemon=True)]
        for t in self.threads:
            t.start()

    def say(self, **line):
        self.p.stdin.write(json.dumps(line) + "\n")
        self.p.stdin.flush()

    def be(self, mode):
        """How it answers from now on."""
        self.say(mode=mode, connected=True)
        self.get("connected")

    def get(self, key, timeout=15):
        """The next line with this key; those before it stay."""
        end = time.time() + timeout
        while True:
            for i, line in enumerate(self.kept):
                if key in line:
                    del self.kept[i]
                    return line[key] if key != "http" else line
            try:
                self.kept.append(self.lines.get(timeout=max(0.01, end - time.time())))
            except queue.Empty:
                raise AssertionError(f"no {key}; log: {''.join(self.log)}") from None

    def nothing(self, seconds=0.4):
        time.sleep(seconds)
        assert self.lines.empty() and not self.kept, [self.kept, self.lines]

    def push_only(self, doc):
        self.p.stdin.write('{"push": ' + json.dumps(doc) + "}\n")
        self.p.stdin.flush()

    def push(self, doc):
        self.push_only(doc)
        return self.get("delivered")

    def http(self, channel, body, headers):
        self.say(http=channel, body=body, headers=[list(h) for h in headers.items()])
        return self.get("http")

    def close(self):
        self.p.stdin.close()
        rc = self.p.wait(20)
        for t in self.threads:
            t.join(10)
        return rc


def until(what, timeout=60):
    end = time.time() + timeout
    while not what():
        assert time.time() < end, "it did not happen"
        time.sleep(0.02)


@pytest.fixture(scope="module", autouse=True)
def built():
    if not DRIVER.exists():
        subprocess.run(["ninja", "-C", DRIVER.parents[1], "tests/answers-driver"], check=True, capture_output=True)


@pytest.fixture
def slack():
    s = Slack()
    yield s
    s.close()
    assert not s.wrong


def slack_channel(setup, s, **more):
    keys = {"channel": "team", "type": "slack", "url": s.api, "token_file": str(setup.secret("bot", "xoxb-bot-token")), "app_token_file": str(setup.secret("app", "xapp-1-test-token")), "to": "C1",
            "people": {"U1": "alice"}, "responders": {"U9": "rita"}, **more}
    return setup.channel(**{k: v for k, v in keys.items() if v is not None})


ROUTE = "- {route: all, match: {severity: low}, to: [team]}\n"


@contextlib.contextmanager
def driver(config, env=None):
    d = Driver(config, env)
    try:
        yield d
    finally:
        rc = d.close()
    assert rc == 0, "".join(d.log)


@pytest.fixture
def team(setup, slack):
    """A Slack channel that was told of one incident, connected by Socket Mode."""
    with driver(slack_channel(setup, slack).write(ROUTE)) as d:
        d.push(incident())
        until(lambda: slack.sockets)
        yield d


def press(slack, button, user="U1", envelope="e-1", ts="1733.5", value=ID, card=None, **more):
    return {"envelope_id": envelope, "type": "interactive", "accepts_response_payload": True, "payload": {
        "type": "block_actions", "user": {"id": user, "username": "somebody", "team_id": "T1"}, "api_app_id": "A1", "container": {"type": "message"}, "trigger_id": "1.2.abc",
        "team": {"id": "T1"}, "channel": {"id": "C1", "name": "sec"}, "message": {"ts": card or (slack.ts(value) if slack.card(value) else slack.ts()), "text": "x"}, "response_url": "https://hooks.slack.com/actions/T1/1/x",
        "actions": [{"action_id": button, "block_id": "hf_actions", "type": "button", "value": value, "action_ts": ts}], **more}}


def write(slack, text, user="U1", envelope="m-1", ts="1733.9", thread=None, **more):
    return {"envelope_id": envelope, "type": "events_api", "accepts_response_payload": False, "retry_attempt": 0, "retry_reason": "", "payload": {
        "token": "x", "type": "event_callback", "event_id": "Ev1", "event": {"type": "message", "user": user, "channel": "C1", "ts": ts, "thread_ts": thread or slack.ts(), "text": text, **more}}}


def test_a_button_is_acknowledged_and_done_and_its_asker_told(slack, team):
    slack.send(press(slack, "hf_ack"))
    assert team.get("answer") == {"kind": "button", "button": "hf_ack", "state": "", "incident": ID, "who": "alice", "via": "slack:team", "user": "U1", "text": "", "channel": "team", "account": True, "responder": False}
    until(lambda: "e-1" in slack.acks and slack.told())
    told = slack.told()[0]
    assert told["user"] == "U1" and told["thread_ts"] == slack.ts()
    assert told["blocks"][0]["text"]["text"] == f"Done for {ID} & <@U1>." and told["text"] == f"Done for {ID} &amp; &lt;@U1&gt;."


def test_freeze_and_kill_are_for_responders(slack, team):
    for i, button in enumerate(["hf_freeze", "hf_kill", "hf_isolate", "hf_except", "hf_evidence"]):
        slack.send(press(slack, button, user="U1", envelope=f"n-{i}", ts=f"1.{i}"))
        until(lambda: len(slack.told()) == i + 1 and f"n-{i}" in slack.acks)
        assert "You may not do that" in slack.told()[-1]["blocks"][0]["text"]["text"]
        team.nothing(0.05)
    slack.send(press(slack, "hf_kill", user="U9", envelope="y", ts="2.0"))
    answer = team.get("answer")
    assert answer["button"] == "hf_kill" and answer["who"] == "rita" and answer["responder"]
    until(lambda: any("asks to kill" in x and "refused, not a responder" in x for x in team.log) and any("asks to kill" in x and "done" in x for x in team.log))


def test_thread_replies_become_comments_once(slack, team):
    slack.send(write(slack, "is it &lt;b&gt; &amp; <@U2>?\n\u202e\x1b[31m second", user="U7"))
    answer = team.get("answer")
    assert answer["kind"] == "comment" and answer["text"] == "is it <b> & <@U2>?\n\u202e\x1b[31m second" and answer["who"] == "Bob <b>Builder</b>" and not answer["account"] and answer["incident"] == ID
    until(lambda: "m-1" in slack.acks)
    slack.send(write(slack, "is it ...", user="U7", envelope="m-2"))  # Slack sends again what it thinks was lost: the same message
    until(lambda: "m-2" in slack.acks)
    for more in ({"bot_id": "B1"}, {"subtype": "message_changed"}):
        slack.send(write(slack, "ours", envelope=f"m-{more}", ts="9.9", **more))
    slack.send(write(slack, "another thread", envelope="other", ts="9.8", thread="1.1"))
    until(lambda: "other" in slack.acks)
    team.nothing()
    slack.send(write(slack, "a second one", user="U7", envelope="m-3", ts="1734.0"))
    assert team.get("answer")["text"] == "a second one"
    assert sum(g["path"].startswith("/api/users.info") for g in slack.web.got) == 1


def test_what_cannot_be_stored_now_is_not_acknowledged(slack, team):
    team.be("again")
    slack.send(write(slack, "important", envelope="a-1"))
    team.get("answer")
    time.sleep(0.3)
    assert "a-1" not in slack.acks
    team.be("ok")
    slack.send(write(slack, "important", envelope="a-2"))  # as Slack does after a minute
    assert team.get("answer")["text"] == "important"
    until(lambda: "a-2" in slack.acks)
    assert "a-1" not in slack.acks


def test_what_is_refused_is_told_to_the_asker_alone(slack, team):
    team.be("refuse")
    slack.send(press(slack, "hf_ack", envelope="r"))
    team.get("answer")
    until(lambda: slack.told())
    assert slack.told()[0]["text"] == "That was not done: it is resolved; reopen it first &lt;!here&gt;"
    slack.send(write(slack, "and a comment", envelope="c"))
    until(lambda: len(slack.told()) == 2 and "c" in slack.acks)


def test_a_slow_action_delays_no_acknowledgement(slack, team):
    team.be("slow")
    slack.send(press(slack, "hf_freeze", user="U9", envelope="f-1", ts="5.1"))
    slack.send(press(slack, "hf_freeze", user="U9", envelope="f-2", ts="5.1"))  # a repeat
    slack.send(press(slack, "hf_ack", user="U9", envelope="f-3", ts="5.2"))
    until(lambda: {"f-1", "f-2", "f-3"} <= set(slack.acks))
    assert team.get("answer")["button"] == "hf_freeze" and team.lines.empty()  # it is still at it
    assert team.get("answer")["button"] == "hf_ack"
    team.nothing(0.1)


def test_buttons_of_others_and_of_unknown_incidents(slack, team):
    slack.send(press(slack, "hf_kill", user="U9", envelope="u-1", value="I-20200101-AAAAAA", ts="1.0", card="1.1"))
    until(lambda: slack.told())
    assert "does not know that incident" in slack.told()[0]["text"]
    slack.send(press(slack, "hf_kill", user="U9", envelope="u-2", value="I-20200101-AAAAAA", ts="1.1"))  # the right card, another's id
    until(lambda: len(slack.told()) == 2)
    slack.send(press(slack, "somebody_elses", envelope="u-3"))
    slack.send(press(slack, "hf_open", envelope="u-4"))
    until(lambda: {"u-3", "u-4"} <= set(slack.acks))
    slack.send(press(slack, "hf_ack", envelope="u-5", card="1.2", ts="1.3"))  # a card that was made twice
    assert team.get("answer")["incident"] == ID


HOSTILE = ["", "{", "null", "[]", '"x"', "{}", '{"type":"interactive"}', '{"type":"interactive","envelope_id":"../../x","payload":{"type":"block_actions"}}', '{"type":"events_api","envelope_id":"h","payload":{"event":{"type":"message","thread_ts":{"a":1}}}}',
           '{"type":"disconnect"', "{\"type\":\"hello\"," + "\"a\":" * 5, "[" * 100000, json.dumps({"type": "interactive", "envelope_id": "x" * 100000}), json.dumps({"type": "slash_commands", "envelope_id": "s", "payload": {}}),
           '{"type":"interactive","envelope_id":"i","payload":{"type":"block_actions","user":{"id":"U9"},"actions":[{"action_id":"hf_kill","value":"\\u0000"}]}}']


def test_hostile_messages_do_no_harm(slack, team):
    for text in HOSTILE:
        slack.send(text)
    slack.send(press(slack, "hf_ack", envelope="after"))
    assert team.get("answer")["button"] == "hf_ack"
    until(lambda: "after" in slack.acks)
    assert len(slack.sockets) == 1


@pytest.mark.parametrize("what", [b"\x00\x01", "x" * 300000], ids=["bytes", "too long"])
def test_frames_that_are_wrong_end_the_connection_and_a_new_one_is_made(slack, team, what):
    slack.send(what)
    until(lambda: len(slack.sockets) == 2)
    slack.send(press(slack, "hf_ack", envelope="after"))
    assert team.get("answer")["button"] == "hf_ack"


def test_a_message_in_pieces_and_pings(slack, team):
    text = json.dumps(press(slack, "hf_ack"))

    async def pieces():
        await slack.sockets[0].send([text[:10], text[10:50], text[50:]])  # one message, three frames
        pong = await slack.sockets[0].ping()
        await asyncio.wait_for(pong, 5)
    slack.call(pieces())
    assert team.get("answer")["button"] == "hf_ack"


def test_a_refresh_overlaps_and_loses_nothing(slack, team):
    slack.send({"type": "disconnect", "reason": "warning", "debug_info": {"host": "applink-1"}})
    until(lambda: len(slack.sockets) == 2)
    assert slack.sockets[0].open
    slack.send(press(slack, "hf_ack", envelope="old", ts="1.1"), socket=0)
    slack.send(press(slack, "hf_assign", envelope="new", ts="1.2"), socket=1)
    assert sorted(team.get("answer")["button"] for _ in range(2)) == ["hf_ack", "hf_assign"]
    slack.send({"type": "disconnect", "reason": "refresh_requested"}, socket=0)
    slack.call(slack.sockets[0].close())
    slack.send(press(slack, "hf_ack", envelope="then", ts="1.3"), socket=1)
    team.get("answer")
    team.nothing(1.5)
    assert len(slack.sockets) == 2  # the old one is not made anew
    slack.send({"type": "disconnect", "reason": "warning"}, socket=1)
    until(lambda: len(slack.sockets) == 3)
    slack.send(press(slack, "hf_ack", envelope="third", ts="1.4"), socket=2)
    team.get("answer")


def test_a_connection_that_breaks_is_made_again(slack, team):
    slack.open_answer = (429, {"Retry-After": "2"}, b"")
    at = time.time()
    slack.call(slack.sockets[0].close(1011))
    until(lambda: len(slack.sockets) == 2)
    assert time.time() - at > 2
    team.say(connected=True)
    until(lambda: (team.say(connected=True), team.get("connected"))[1])
    slack.send(press(slack, "hf_ack"))
    team.get("answer")


def test_a_wrong_app_token_and_an_address_that_is_not_slacks(setup, slack):
    for answer, words in (((200, {}, b'{"ok":false,"error":"invalid_auth"}'), "invalid_auth"), ((200, {}, b'{"ok":true,"url":"wss://evil.example/link"}'), "not Slack's"),
                          ((200, {}, b"<html>"), "Slack's answer"), ((500, {}, b""), "Slack answers 500"), ((200, {}, b'{"ok":true}'), "not Slack's"), ((200, {}, b'{"ok":true,"url":"ws://localhost@evil.example/"}'), "not Slack's")):
        slack.open_answer = answer
        with driver(Setup(setup.run_, setup.binary, setup.path) and slack_channel(Setup(setup.run_, setup.binary, setup.path), slack).write(ROUTE)) as d:
            until(lambda: any("no answers from Slack" in x and words in x for x in d.log))
            d.say(connected=True)
            assert d.get("connected") is False
            assert not any("xapp-1" in x for x in d.log)


def test_socket_mode_over_verified_tls(setup, ca):
    right, wrong = Slack(ca.cert("DNS:localhost")), Slack(ca.cert("DNS:elsewhere.example"))
    try:
        with driver(slack_channel(setup, right, ca_file=ca.file).write(ROUTE)) as d:
            d.push(incident())
            until(lambda: right.sockets)
            right.send(press(right, "hf_ack"))
            d.get("answer")
        assert not right.wrong
        # the API's certificate is right, the WebSocket's is another's
        right.ws_port, port = wrong.ws_port, right.ws_port
        with driver(slack_channel(Setup(setup.run_, setup.binary, setup.path), right, ca_file=ca.file).write(ROUTE)) as d:
            until(lambda: any("no answers from Slack" in x for x in d.log))
        assert not wrong.sockets
        right.ws_port = port
    finally:
        right.close()
        wrong.close()


class Proxy:
    """CONNECT only (RFC 9110, 9.3.6)."""

    def __init__(self):
        import socket
        self.asked, self.sock = [], socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]

        def pump(a, b):
            with contextlib.suppress(OSError):
                while data := a.recv(65536):
                    b.sendall(data)
            with contextlib.suppress(OSError):
                b.shutdown(socket.SHUT_WR)

        def serve(c):
            head = b""
            while b"\r\n\r\n" not in head:
                head += c.recv(4096)
            target = head.split()[1].decode()
            self.asked.append((head.split()[0].decode(), target))
            host, port = target.rsplit(":", 1)
            up = socket.create_connection((host, int(port)))
            c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            threading.Thread(target=pump, args=(up, c), daemon=True).start()
            pump(c, up)

        def loop():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(self.sock.accept()[0],), daemon=True).start()
        threading.Thread(target=loop, daemon=True).start()


@pytest.mark.parametrize("how", ["channel", "environment"])
def test_socket_mode_by_a_proxy(setup, ca, how):
    s, proxy = Slack(ca.cert("DNS:localhost")), Proxy()
    try:
        config = slack_channel(setup, s, ca_file=ca.file, proxy=f"http://127.0.0.1:{proxy.port}" if how == "channel" else None).write(ROUTE)
        with driver(config, {"https_proxy": f"http://127.0.0.1:{proxy.port}", "no_proxy": "elsewhere.example"} if how == "environment" else None) as d:
            until(lambda: s.sockets)
            d.push(incident())
            s.send(press(s, "hf_ack"))
            d.get("answer")
        assert ("CONNECT", f"localhost:{s.ws_port}") in proxy.asked and ("CONNECT", f"localhost:{s.web.port}") in proxy.asked
        assert not s.wrong
    finally:
        s.close()
        proxy.sock.close()


def test_two_channels_of_one_app_share_a_connection(setup, slack):
    slack_channel(setup, slack)
    slack_channel(setup, slack, channel="other", to="C2", responders=["U1"])
    with driver(setup.write("- {route: all, to: [team, other]}\n")) as d:
        d.push(incident())
        d.get("delivered")
        until(lambda: slack.sockets)
        cards = [c["channel"] for n, c in slack.calls if n == "chat.postMessage"]
        assert sorted(cards) == ["C1", "C2"]
        for i, at in enumerate(cards, 1):
            slack.send(press(slack, "hf_freeze", envelope=f"s-{i}", card=f"1732000000.{i:06d}", ts=f"3.{i}"))
        assert d.get("answer")["channel"] == "other"  # alice is a responder there only
        until(lambda: slack.told())
        time.sleep(0.3)
        assert len(slack.sockets) == 1


# --- signed requests ---

def signed(body, secret="slack-signing-secret", at=None):
    at = str(int(time.time() if at is None else at))
    mac = hmac.new(secret.encode(), f"v0:{at}:{body}".encode(), hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Slack-Request-Timestamp": at, "X-Slack-Signature": "v0=" + mac}


@pytest.fixture
def hooked(setup, slack):
    with driver(slack_channel(setup, slack, app_token_file=None, key_file=str(setup.secret("key", "slack-signing-secret"))).write(ROUTE)) as d:
        d.push(incident())
        yield d


def test_signed_requests(slack, hooked):
    form = "payload=" + urllib.parse.quote(json.dumps(press(slack, "hf_ack")["payload"]))
    r = hooked.http("team", form, signed(form))
    assert (r["http"], r["body"], r["rc"]) == (200, "", 0)
    assert hooked.get("answer")["who"] == "alice"
    assert hooked.http("team", form, signed(form))["http"] == 200  # again: it is done once
    event = json.dumps(write(slack, "by the Events API")["payload"])
    assert hooked.http("team", event, signed(event))["http"] == 200
    assert hooked.get("answer")["text"] == "by the Events API"
    challenge = json.dumps({"type": "url_verification", "token": "x", "challenge": "3eZbrw1a"})
    r = hooked.http("team", challenge, signed(challenge))
    assert (r["http"], r["body"]) == (200, "3eZbrw1a")


def test_a_comment_by_request_is_stored_before_the_answer(slack, hooked):
    hooked.be("again")
    event = json.dumps(write(slack, "x")["payload"])
    assert hooked.http("team", event, signed(event))["http"] == 503
    hooked.be("ok")
    assert hooked.http("team", event, signed(event))["http"] == 200
    assert [hooked.get("answer")["text"] for _ in range(2)] == ["x", "x"]


def test_requests_that_are_not_slacks(slack, hooked):
    form = "payload=" + urllib.parse.quote(json.dumps(press(slack, "hf_kill", user="U9")["payload"]))
    good = signed(form)
    for headers in ({}, {**good, "X-Slack-Signature": "v0=" + "0" * 64}, signed(form, "another"), signed(form, at=time.time() - 400), signed(form, at=time.time() + 400), {**good, "X-Slack-Request-Timestamp": "x"}):
        r = hooked.http("team", form, headers)
        assert (r["http"], r["rc"]) == (401, -4105), headers
    assert hooked.http("team", form + "&x=1", good)["http"] == 401
    assert hooked.http("nobody", form, good)["http"] == 404
    for body in ("{", "payload=%7b", "nothing", '{"type":"url_verification"}'):
        assert hooked.http("team", body, signed(body))["http"] == 400
    assert hooked.http("team", "x" * 300000, signed("x" * 300000))["http"] == 413
    hooked.nothing()


def pd_signed(body, *secrets):
    return {"X-PagerDuty-Signature": ",".join("v1=" + hmac.new(s.encode(), body.encode(), hashlib.sha256).hexdigest() for s in secrets)}


def page(kind, event="01A", agent="user_reference", **data):
    return json.dumps({"event": {"id": event, "event_type": f"incident.{kind}", "resource_type": "incident", "occurred_at": "2026-11-26T18:45:22.169Z", "client": None,
                                 "agent": {"html_url": "https://acme.pagerduty.com/users/PLH1HKV", "id": "PLH1HKV", "self": "https://api.pagerduty.com/users/PLH1HKV", "summary": "Tenex Engineer", "type": agent},
                                 "data": {"id": "PGR0VU2", "type": "incident", "number": 2, "status": kind, "incident_key": f"holdfast-{ID}", "title": "x", **data}}})


def test_pagerduty_webhooks(setup):
    pager = Web(lambda n, method, path, body: (202, {}, b'{"status":"success"}'))
    try:
        config = setup.channel(channel="team", type="pagerduty", url=pager.url, token_file=str(setup.secret("r", "routing-key-0123456789")), key_file=str(setup.secret("k", "pd-secret")), people={"PLH1HKV": "alice"}).write(ROUTE)
        with driver(config) as d:
            d.push(incident())
            assert pager.json(0)["dedup_key"] == f"holdfast-{ID}"
            body = page("acknowledged")
            assert d.http("team", body, pd_signed(body, "old-secret", "pd-secret"))["http"] == 200
            assert d.get("answer")["state"] == "acknowledged"
            body = page("resolved", "01B")
            d.say(http="team", body=body, headers=[list(h) for h in pd_signed(body, "pd-secret").items()])
            answer = d.get("answer")
            assert answer == {"kind": "state", "button": "", "state": "resolved", "incident": ID, "who": "alice", "via": "pagerduty:team", "user": "PLH1HKV", "text": "", "channel": "team", "account": True, "responder": False}
            assert d.get("http")["http"] == 200
            note = json.dumps({"event": {"id": "01C", "event_type": "incident.annotated", "resource_type": "incident", "agent": {"id": "PX", "summary": "Bob", "type": "user_reference"},
                                         "data": {"incident": {"id": "PGR0VU2", "type": "incident_reference"}, "id": "PN1", "content": "looked at it", "trimmed": False, "type": "incident_note"}}})
            d.say(http="team", body=note, headers=[list(h) for h in pd_signed(note, "pd-secret").items()])
            answer = d.get("answer")
            assert (answer["kind"], answer["text"], answer["who"], answer["incident"]) == ("comment", "looked at it", "Bob", ID)
            d.get("http")
            for event in (page("resolved", "01B"), page("acknowledged", "01D", "events_api_v2_inbound_integration_reference"), page("resolved", "01E", incident_key="another"), page("priority_updated", "01F")):
                assert d.http("team", event, pd_signed(event, "pd-secret"))["http"] == 200
            d.nothing()
            assert d.http("team", body, pd_signed(body, "wrong"))["http"] == 401 and d.http("team", body, {})["http"] == 401
    finally:
        pager.close()
