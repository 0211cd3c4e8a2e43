# SPDX-License-Identifier: Apache-2.0
"""holdfast notify against servers of this test: every kind of channel, what is sent (method, path, headers, signature, body, limits), and
what happens when a server is slow, down, refuses, or is somebody else."""
import base64
import contextlib
import email
import email.policy
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest

EVIL = "<script>alert(1)</script> @channel <!here> [x](http://evil) *b* `c` \u202e\x1b[31m |= \\ \" ' ] ^ #1 &amp;"
OPENED = "2026-11-26T18:00:00Z"


def incident(**more):
    doc = {
        "schema": "holdfast.incident/1", "id": "I-20261126-7K3Q9D", "revision": 1, "title": f"Reverse shell {EVIL}", "summary": f"A shell talks to 203.0.113.9.\nSecond line {EVIL}",
        "severity": "high", "state": "open", "opened": OPENED, "updated": OPENED, "first_alert": OPENED, "last_alert": OPENED, "alerts": 3, "reopened": 0,
        "hosts": ["node1"], "containers": [{"id": "c0ffee" * 10 + "beef", "name": f"web {EVIL}", "image": "shop/web:1.2", "image_digest": "sha256:" + "0" * 64,
                                            "pod": {"name": "web-1", "namespace": "shop", "labels": {"team": "web"}}}],
        "rules": [{"rule": "reverse-shell", "severity": "high", "count": 3, "first": OPENED, "last": OPENED, "do": "kill"}], "techniques": ["T1059"], "tactics": ["execution"],
        "graph": {"nodes": [], "edges": [], "dropped": 0}, "timeline": [], "advice": ["Freeze the container"], "comments": [], "links": [], "actions": [], "evidence": [], "exceptions": [],
    }
    doc.update(more)
    return doc


def comment(text, n=1, via="cli"):
    return {"time": f"2026-11-26T18:0{n}:00Z", "by": "alice", "via": via, "text": text}


# --- servers ---

class Web:
    """An HTTP server that keeps what it gets; answer(request number, method, path, body) -> (status, headers, body)."""

    def __init__(self, answer=None, tls=None, port=0):
        self.got = []
        self.answer = answer or (lambda n, method, path, body: (200, {}, b"{}"))
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                web.got.append({"method": self.command, "path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body, "at": time.time()})
                status, headers, out = web.answer(len(web.got), self.command, self.path, body)
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k, v)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_POST = do_PUT = do_PATCH = handle_one

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def json(self, i):
        return json.loads(self.got[i]["body"])


@contextlib.contextmanager
def web(answer=None, tls=None, port=0):
    w = Web(answer, tls, port)
    try:
        yield w
    finally:
        w.close()


class Lines:
    """A TCP server of one thread: talk(connection) for each connection."""

    def __init__(self, talk, tls=None):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.talk, self.tls, self.errors = talk, tls, []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            try:
                c.settimeout(10)
                if self.tls:
                    c = self.tls.wrap_socket(c, server_side=True)
                self.talk(c)
            except (OSError, ssl.SSLError) as e:
                self.errors.append(e)
            finally:
                c.close()

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.thread.join()


class Smtp:
    """Enough of RFC 5321 with STARTTLS and AUTH PLAIN."""

    def __init__(self, tls, auth=None):
        self.mails, self.commands, self.auth, self.tls = [], [], auth, tls
        self.server = Lines(self.talk)
        self.port = self.server.port

    def talk(self, c):
        f = c.makefile("rb")

        def say(line):
            c.sendall(line.encode() + b"\r\n")
        say("220 test ESMTP")
        mail, secure, authed = {"to": []}, False, not self.auth
        while True:
            line = f.readline().decode().strip()
            if not line:
                return
            self.commands.append((secure, line))
            word = line.split(" ")[0].upper()
            if word == "EHLO":
                say("250-test\r\n250-STARTTLS\r\n250 SIZE 1000000" if not secure else "250-test\r\n250-AUTH PLAIN\r\n250 SIZE 1000000")
            elif word == "STARTTLS":
                say("220 go")
                c = self.tls.wrap_socket(c, server_side=True)
                f = c.makefile("rb")
                secure = True
            elif word == "AUTH":
                secret = line.split(" ")[2] if len(line.split(" ")) > 2 else (say("334 ") or f.readline().decode().strip())
                authed = base64.b64decode(secret).decode().split("\0")[1:] == list(self.auth)
                say("235 ok" if authed else "535 no")
            elif word == "MAIL":
                mail = {"from": line, "to": []}
                say("250 ok" if authed and secure else "530 no")
            elif word == "RCPT":
                mail["to"].append(line)
                say("250 ok")
            elif word == "DATA":
                say("354 go")
                data = b""
                while not data.endswith(b"\r\n.\r\n"):
                    data += f.readline()
                mail["data"] = data[:-3].replace(b"\r\n..", b"\r\n.")
                self.mails.append(mail)
                say("250 ok")
            elif word == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    """An authority of our own: cert(name) -> a server's context with a certificate for 127.0.0.1 or that name; .file is what to trust."""
    d = tmp_path_factory.mktemp("ca")

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=d, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority",
            "-addext", "basicConstraints=critical,CA:TRUE")

    class Authority:
        file = str(d / "ca.pem")

        @staticmethod
        def cert(san="IP:127.0.0.1"):
            name = re.sub(r"\W", "_", san)
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=server")
            (d / f"{name}.ext").write_text(f"subjectAltName={san}\n")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(d / f"{name}.pem", d / f"{name}.key")
            return context
    return Authority


class Setup:
    def __init__(self, run, binary, path):
        self.run_, self.binary, self.path, self.text = run, binary, path, ""

    def secret(self, name, value):
        p = self.path / name
        p.write_text(value + "\n")
        p.chmod(0o600)
        return p

    def channel(self, **keys):
        keys.setdefault("channel", "c")
        self.text += "- " + "\n  ".join(f"{k}: {json.dumps(v)}" for k, v in keys.items()) + "\n"
        return self

    def write(self, extra=""):
        (self.path / "notify.yaml").write_text(self.text + extra)
        return self.path / "notify.yaml"

    def send(self, *docs, channel="c", timeout=10, extra=""):
        """All documents one after the other, each delivered before the next is given."""
        config = self.write("- settings: {console: 'https://holdfast.example'}\n" + extra)
        p = subprocess.Popen([self.binary, "notify", "send", "-v", "--config", config, "--timeout", str(timeout), *(["--channel", channel] if channel else []), "-"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "no_proxy": "*"})
        seen = []
        reader = threading.Thread(target=lambda: seen.extend(iter(p.stderr.readline, "")), daemon=True)
        reader.start()
        for i, d in enumerate(docs):
            p.stdin.write(json.dumps(d) + "\n")
            p.stdin.flush()
            end = time.time() + timeout
            while i + 1 < len(docs) and sum("has I-" in s or "given up" in s for s in seen) <= i and time.time() < end:
                time.sleep(0.01)
        p.stdin.close()
        rc = p.wait(timeout + 20)
        reader.join()
        return rc, "".join(seen)


@pytest.fixture
def setup(run, binary, tmp_path):
    return Setup(run, binary, tmp_path)


def strings(value):
    if isinstance(value, dict):
        for k, v in value.items():
            yield from strings(v)
    elif isinstance(value, list):
        for v in value:
            yield from strings(v)
    elif isinstance(value, str):
        yield value


def clean(text):
    return not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", text)


# --- Slack ---

def slack_answer(n, method, path, body):
    return 200, {}, json.dumps({"ok": True, "channel": "C0SEC", "ts": f"1732.{n:04}"}).encode()


def test_slack_card_is_posted_edited_and_answered_to(setup, ca):
    with web(slack_answer, ca.cert()) as w:
        setup.channel(type="slack", url=w.url + "/api", token_file=str(setup.secret("t", "xoxb-secret-token")), to="#security", ca_file=ca.file)
        rc, err = setup.send(incident(), incident(revision=2, alerts=9, state="acknowledged", acknowledged_by="bob", comments=[comment(EVIL)]),
                             incident(revision=3, alerts=9, state="acknowledged", acknowledged_by="bob", comments=[comment(EVIL), comment("from slack", 2, "slack")]))
        assert rc == 0, err
        assert [g["path"] for g in w.got] == ["/api/chat.postMessage", "/api/chat.update", "/api/chat.postMessage", "/api/chat.postMessage"] + ["/api/chat.update"] * (len(w.got) - 4)
        assert len(w.got) == 5, "what was said in Slack is not said there again; the card may be edited"
        assert all(g["headers"]["authorization"] == "Bearer xoxb-secret-token" and g["method"] == "POST" for g in w.got)
        post, update, state, said = (w.json(i) for i in range(4))
        assert post["channel"] == "#security" and "thread_ts" not in post
        assert update["channel"] == "C0SEC" and update["ts"] == "1732.0001" and "acknowledged by bob" in json.dumps(update["blocks"])
        assert state["thread_ts"] == said["thread_ts"] == "1732.0001" and state["channel"] == "C0SEC" and "acknowledged by bob" in state["text"]
        assert said["blocks"][0]["text"]["type"] == "plain_text" and said["blocks"][0]["text"]["text"].startswith("alice (cli): <script>")
        assert "<" not in said["text"] and "&lt;!here&gt;" in said["text"]
        for body in (post, update):
            assert len(body["blocks"]) <= 50
            for b in body["blocks"]:
                assert b["type"] in ("header", "section", "rich_text", "actions", "context")
                assert b["type"] != "header" or len(b["text"]["text"]) <= 150
                assert b["type"] != "section" or (b["text"]["type"] == "plain_text" and len(b["text"]["text"]) <= 3000)
        buttons = {b["action_id"]: b for b in post["blocks"][-1]["elements"]}
        assert set(buttons) == {"hf_ack", "hf_assign", "hf_freeze", "hf_kill", "hf_isolate", "hf_except", "hf_evidence", "hf_open"}
        assert all(b.get("value") == "I-20261126-7K3Q9D" or a == "hf_open" for a, b in buttons.items())
        assert {a for a, b in buttons.items() if "confirm" in b} == {"hf_freeze", "hf_kill", "hf_isolate", "hf_except"}
        assert buttons["hf_open"]["url"] == "https://holdfast.example/incidents/I-20261126-7K3Q9D"
        assert all(clean(s) for g in w.got for s in strings(json.loads(g["body"])))
        assert "xoxb" not in err


def test_slack_says_when_to_come_again_and_who_may_not(setup):
    def answer(n, method, path, body):
        return (429, {"Retry-After": "2"}, b"") if n == 1 else slack_answer(n, method, path, body)
    with web(answer) as w:
        setup.channel(type="slack", url=w.url, token_file=str(setup.secret("t", "xoxb-1")), to="C1")
        rc, err = setup.send(incident())
        assert rc == 0 and "answered 429" in err
        assert len(w.got) == 2 and 2.0 <= w.got[1]["at"] - w.got[0]["at"] < 3.5
        assert w.json(0) == w.json(1)
    with web(lambda *a: (200, {}, b'{"ok":false,"error":"invalid_auth"}')) as w:
        s = setup
        s.text = ""
        s.channel(type="slack", url=w.url, token_file=str(s.secret("t", "xoxb-1")), to="C1")
        rc, err = s.send(incident(), timeout=1)
        assert rc == 3 and "invalid_auth" in err and "could not be delivered in time" in err and len(w.got) == 1, "it waits for somebody to change the key"
    with web(lambda *a: (200, {}, b'{"ok":false,"error":"invalid_blocks"}')) as w:
        s.text = ""
        s.channel(type="slack", url=w.url, token_file=str(s.secret("t", "xoxb-1")), to="C1")
        rc, err = s.send(incident())
        assert rc == 3 and "given up" in err and len(w.got) == 1


def test_a_card_that_was_deleted_is_made_anew(setup):
    def answer(n, method, path, body):
        return (200, {}, b'{"ok":false,"error":"message_not_found"}') if n == 2 else slack_answer(n, method, path, body)
    with web(answer) as w:
        setup.channel(type="slack", url=w.url, token_file=str(setup.secret("t", "xoxb-1")), to="C1")
        rc, err = setup.send(incident(), incident(revision=2, alerts=4))
        assert rc == 0, err
        assert [g["path"] for g in w.got] == ["/chat.postMessage", "/chat.update", "/chat.postMessage"]


# --- webhooks of chats ---

def url_channel(setup, kind, url, **more):
    setup.channel(type=kind, url_file=str(setup.secret("url", url)), **more)


def test_slack_webhook(setup):
    with web(lambda *a: (200, {}, b"ok")) as w:
        url_channel(setup, "slack-webhook", w.url + "/services/T0/B0/SECRETPART")
        rc, err = setup.send(incident(), incident(revision=2, alerts=50), incident(revision=3, state="resolved", resolution="benign", comments=[comment("done")]))
        assert rc == 0, err
        assert [g["path"] for g in w.got] == ["/services/T0/B0/SECRETPART"] * 2, "more alerts alone are not told"
        assert "new incident" in json.dumps(w.json(0)) and "resolved (benign), comment" in json.dumps(w.json(1)) and "alice (cli): done" in json.dumps(w.json(1))
        assert "hf_ack" not in json.dumps(w.json(0)), "a webhook's buttons reach nobody"
        assert "SECRETPART" not in err


def test_teams(setup):
    with web(lambda *a: (202, {}, b"")) as w:
        url_channel(setup, "teams", w.url + "/workflows/x/triggers/manual/paths/invoke?api-version=2016-06-01&sig=SECRETSIG")
        long = "\u0001" * 2500
        rc, err = setup.send(incident(comments=[comment(long + EVIL, n) for n in range(5)], advice=[long] * 5, summary=long))
        assert rc == 0, err
        body = w.json(0)
        assert len(w.got[0]["body"]) <= 28 * 1024 and w.got[0]["path"].endswith("sig=SECRETSIG")
        card = body["attachments"][0]["content"]
        assert body["type"] == "message" and body["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive" and card["type"] == "AdaptiveCard"
        assert {b["type"] for b in card["body"]} == {"RichTextBlock"} and all(i["type"] == "TextRun" for b in card["body"] for i in b["inlines"])
        assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open in Holdfast", "url": "https://holdfast.example/incidents/I-20261126-7K3Q9D"}]


def test_mattermost(setup):
    with web(lambda *a: (200, {}, b"ok")) as w:
        url_channel(setup, "mattermost", w.url + "/hooks/abc", to="town-square")
        assert setup.send(incident())[0] == 0
        body = w.json(0)
        a = body["attachments"][0]
        assert body["channel"] == "town-square" and a["color"] == "#dc2626" and {"title": "Rule", "value": "reverse\\-shell \\(3 times\\)", "short": True} in a["fields"]
        for s in strings(body):
            assert "@channel" not in s and "[x](http" not in s and not re.search(r"(?<!\\)[*`<]", s), s


def test_discord(setup):
    def answer(n, method, path, body):
        return (200, {}, b'{"id":"998"}') if n != 2 else (429, {"Retry-After": "0.3"}, b'{"retry_after":0.3}')
    with web(answer) as w:
        url_channel(setup, "discord", w.url + "/api/webhooks/1/tok?thread_id=5")
        rc, err = setup.send(incident(title="@" * 300, summary="@" * 3000, containers=[{"id": "x", "name": "@" * 500, "image": "@" * 500}] * 9), incident(revision=2, alerts=7, comments=[comment("@everyone hi")]))
        assert rc == 0, err
        assert [(g["method"], g["path"]) for g in w.got] == [("POST", "/api/webhooks/1/tok?wait=true&thread_id=5")] + [("PATCH", "/api/webhooks/1/tok/messages/998?thread_id=5")] * 2 + [
            ("POST", "/api/webhooks/1/tok?wait=true&thread_id=5")]
        for i in (0, 2):
            e = w.json(i)["embeds"][0]
            total = len(e["title"]) + len(e["description"]) + sum(len(f["name"]) + len(f["value"]) for f in e["fields"])
            assert len(e["title"]) <= 256 and len(e["description"]) <= 4096 and len(e["fields"]) <= 25 and all(len(f["value"]) <= 1024 for f in e["fields"]) and total <= 6000
        assert all(json.loads(g["body"])["allowed_mentions"] == {"parse": []} for g in w.got) and "@everyone" not in w.json(3)["content"]


def test_matrix(setup):
    with web(lambda n, *a: (200, {}, json.dumps({"event_id": f"$e{n}"}).encode())) as w:
        setup.channel(type="matrix", url=w.url, token_file=str(setup.secret("t", "syt_1")), to="!room:example.org")
        rc, err = setup.send(incident(), incident(revision=2, alerts=5, comments=[comment("hi <b>")]))
        assert rc == 0, err
        assert all(g["method"] == "PUT" and g["path"].startswith("/_matrix/client/v3/rooms/%21room%3Aexample.org/send/m.room.message/") for g in w.got)
        assert len({g["path"] for g in w.got}) == 3
        first, edit, said = (w.json(i) for i in range(3))
        assert first["format"] == "org.matrix.custom.html" and "<script" not in first["formatted_body"]
        assert edit["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$e1"} and edit["body"].startswith("* ") and edit["m.new_content"]["body"]
        assert said["m.relates_to"]["rel_type"] == "m.thread" and said["formatted_body"].endswith("hi &lt;b&gt;")


# --- pagers and tickets ---

def test_pagerduty(setup):
    with web(lambda *a: (202, {}, b'{"status":"success"}')) as w:
        setup.channel(type="pagerduty", url=w.url, token_file=str(setup.secret("k", "R0UT1NGKEY")))
        rc, err = setup.send(incident(title="t" * 3000), incident(revision=2, state="acknowledged"), incident(revision=3, state="contained"), incident(revision=4, state="resolved"), incident(revision=5, state="open", reopened=1))
        assert rc == 0, err
        got = [w.json(i) for i in range(len(w.got))]
        assert [g["event_action"] for g in got] == ["trigger", "acknowledge", "resolve", "trigger"]
        assert {g["dedup_key"] for g in got} == {"holdfast-I-20261126-7K3Q9D"} and {g["routing_key"] for g in got} == {"R0UT1NGKEY"} and all(g["path"] == "/v2/enqueue" for g in w.got)
        p = got[0]["payload"]
        assert len(p["summary"]) <= 1024 and p["severity"] == "error" and p["source"] == "node1/shop/web-1" and p["timestamp"] == OPENED and p["class"] == "reverse-shell" and p["group"] == "shop"
        assert "payload" not in got[1] and got[0]["links"][0]["href"].endswith("/incidents/I-20261126-7K3Q9D")


def test_nobody_is_paged_for_what_is_over(setup):
    with web(lambda *a: (202, {}, b"{}")) as w:
        setup.channel(type="pagerduty", url=w.url, token_file=str(setup.secret("k", "R0UT1NGKEY")))
        assert setup.send(incident(revision=7, state="resolved"))[0] == 0 and not w.got


def test_jira_service_management(setup):
    with web(lambda *a: (202, {}, b'{"result":"Request will be processed","requestId":"r"}')) as w:
        setup.channel(type="jsm-ops", url=w.url, token_file=str(setup.secret("k", "genie-1")), labels=["soc"])
        rc, err = setup.send(incident(title="x" * 500), incident(revision=2, state="acknowledged", acknowledged_by="bob", comments=[comment("look")]), incident(revision=3, state="resolved", comments=[comment("look")]))
        assert rc == 0, err
        alias = "/v2/alerts/holdfast-I-20261126-7K3Q9D/"
        assert [g["path"] for g in w.got] == ["/v2/alerts", alias + "acknowledge?identifierType=alias", alias + "notes?identifierType=alias", alias + "close?identifierType=alias"]
        first = w.json(0)
        assert len(first["message"]) <= 130 and first["priority"] == "P2" and first["alias"] == "holdfast-I-20261126-7K3Q9D" and first["tags"] == ["holdfast", "soc", "T1059"]
        assert w.got[0]["headers"]["authorization"] == "GenieKey genie-1" and w.json(1)["user"] == "bob" and w.json(2)["note"] == "alice (cli): look"


def jira_answer(n, method, path, body):
    if method == "GET":
        return 200, {}, json.dumps({"transitions": [{"id": "11", "name": "Start", "to": {"name": "In Progress"}}, {"id": "31", "name": "Close it", "to": {"name": "Done"}}]}).encode()
    return (201, {}, b'{"id":"10001","key":"SEC-42","self":"x"}') if path.endswith("/issue") else (204, {}, b"")


def test_jira_cloud(setup):
    with web(jira_answer) as w:
        setup.channel(type="jira", url=w.url, user="bot@example.org", token_file=str(setup.secret("k", "apitok")), project="SEC", transitions={"acknowledged": "in progress", "resolved": "Done"}, labels=["soc"])
        rc, err = setup.send(incident(), incident(revision=2, state="acknowledged", acknowledged_by="bob", comments=[comment(EVIL)]), incident(revision=3, state="resolved", comments=[comment(EVIL)]))
        assert rc == 0, err
        base = "/rest/api/3/issue"
        assert [(g["method"], g["path"]) for g in w.got] == [("POST", base), ("GET", base + "/SEC-42/transitions"), ("POST", base + "/SEC-42/transitions"), ("POST", base + "/SEC-42/comment"),
                                                               ("GET", base + "/SEC-42/transitions"), ("POST", base + "/SEC-42/transitions")]
        assert all(g["headers"]["authorization"] == "Basic " + base64.b64encode(b"bot@example.org:apitok").decode() for g in w.got)
        f = w.json(0)["fields"]
        assert f["project"] == {"key": "SEC"} and f["issuetype"] == {"name": "Task"} and len(f["summary"]) <= 255 and f["labels"] == ["holdfast", "soc"]
        assert f["description"]["type"] == "doc" and f["description"]["version"] == 1 and f["description"]["content"][0]["type"] == "paragraph"

        def nodes(n):
            yield n
            for c in n.get("content", []):
                yield from nodes(c)
        assert all(n["text"] for n in nodes(f["description"]) if n["type"] == "text") and {n["type"] for n in nodes(f["description"])} == {"doc", "paragraph", "text", "bulletList", "listItem"}
        assert w.json(2) == {"transition": {"id": "11"}} and w.json(5) == {"transition": {"id": "31"}}
        assert "<script>" in w.json(3)["body"]["content"][0]["content"][0]["text"], "text nodes have no marks: nothing to escape"


def test_jira_data_center(setup):
    with web(jira_answer) as w:
        setup.channel(type="jira", api="data-center", url=w.url + "/jira", token_file=str(setup.secret("k", "pat")), project="SEC")
        rc, err = setup.send(incident(), incident(revision=2, state="acknowledged", acknowledged_by="bob"))
        assert rc == 0, err
        assert [g["path"] for g in w.got] == ["/jira/rest/api/2/issue", "/jira/rest/api/2/issue/SEC-42/comment"] and w.got[0]["headers"]["authorization"] == "Bearer pat"
        d = w.json(0)["fields"]["description"]
        assert isinstance(d, str) and not re.search(r"(?<!\\)[\[{|!]", d) and "acknowledged by bob" in w.json(1)["body"]


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_issues_of_forges(setup, kind):
    with web(lambda n, method, path, body: (201 if method == "POST" else 200, {}, b'{"number":7,"iid":7,"id":9}')) as w:
        setup.channel(type=kind, url=w.url, token_file=str(setup.secret("k", "tok")), project="acme/ops", labels=["soc"])
        rc, err = setup.send(incident(comments=[comment("/close\n/assign @root " + EVIL)]), incident(revision=2, state="resolved", resolution="benign", comments=[comment("/close\n/assign @root " + EVIL)]))
        assert rc == 0, err
        base = "/repos/acme/ops/issues" if kind == "github" else "/projects/acme%2Fops/issues"
        assert [(g["method"], g["path"]) for g in w.got] == [("POST", base), ("POST", base + ("/7/comments" if kind == "github" else "/7/notes")), ("PATCH" if kind == "github" else "PUT", base + "/7")]
        body = w.json(0)["body" if kind == "github" else "description"]
        assert not re.search(r"@\w|(?<!\\)[<`]|\]\(", body) and len(w.json(0)["title"]) <= 255
        said = w.json(1)["body"]
        assert not re.search(r"^/", said, re.M) and not re.search(r"@\w", said)
        if kind == "github":
            assert w.got[0]["headers"]["x-github-api-version"] == "2022-11-28" and w.got[0]["headers"]["authorization"] == "Bearer tok" and w.json(0)["labels"] == ["holdfast", "soc"]
            assert w.json(2) == {"state": "closed", "state_reason": "not_planned"}
        else:
            assert w.got[0]["headers"]["private-token"] == "tok" and w.json(0)["labels"] == "holdfast,soc" and w.json(2) == {"state_event": "close"}


# --- mail ---

def test_mail_is_threaded_and_encrypted(setup, ca):
    s = Smtp(ca.cert(), ("bot", "pa ss"))
    try:
        setup.channel(type="mail", url=f"smtp://127.0.0.1:{s.port}", user="bot", token_file=str(setup.secret("p", "pa ss")), to=["soc@example.org", "boss@example.org"], **{"from": "holdfast@example.org"}, ca_file=ca.file)
        rc, err = setup.send(incident(title="Überfall\r\nBcc: x@evil " + "ä" * 200), incident(revision=2, state="resolved", resolution="true", comments=[comment("done " + EVIL)]))
        assert rc == 0, err
    finally:
        s.server.close()
    assert len(s.mails) == 2 and all("MAIL FROM:<holdfast@example.org>" in m["from"] for m in s.mails)
    assert [t.split(":")[1] for t in s.mails[0]["to"]] == ["<soc@example.org>", "<boss@example.org>"]
    assert not [c for secure, c in s.commands if not secure and not c.startswith(("EHLO", "STARTTLS"))], "nothing before STARTTLS"
    first, second = (email.message_from_bytes(m["data"], policy=email.policy.default) for m in s.mails)
    assert all(len(line) <= 998 for m in s.mails for line in m["data"].split(b"\r\n")) and all(b"\n" not in part for m in s.mails for part in m["data"].split(b"\r\n"))
    assert first["Message-ID"] == "<I-20261126-7K3Q9D@example.org>" and second["References"] == second["In-Reply-To"] == first["Message-ID"] and second["Message-ID"] != first["Message-ID"]
    assert first["Auto-Submitted"] == "auto-generated" and first["Bcc"] is None and first["Subject"].startswith("HIGH: Überfall") and second["Subject"].startswith("Re: HIGH")
    assert first.get_content_type() == "multipart/alternative" and [p.get_content_type() for p in first.iter_parts()] == ["text/plain", "text/html"]
    text, html = (p.get_content() for p in second.iter_parts())
    assert "resolved (a true alarm), comment" in text and "alice (cli): done <script>" in text and "<script" not in html and "&lt;script&gt;" in html
    assert not first.defects and not second.defects and "pa ss" not in err


def test_mail_without_encryption_is_not_sent(setup, ca):
    def talk(c):
        c.sendall(b"220 x\r\n")
        f = c.makefile("rb")
        while line := f.readline():
            c.sendall(b"250 ok\r\n")
            seen.append(line)
    seen = []
    s = Lines(talk)
    try:
        setup.channel(type="mail", url=f"smtp://127.0.0.1:{s.port}", to="soc@example.org", **{"from": "holdfast@example.org"}, ca_file=ca.file)
        rc, err = setup.send(incident(), timeout=1)
        assert rc == 3 and not [line for line in seen if line.startswith((b"MAIL", b"DATA"))], err
    finally:
        s.close()


# --- syslog ---

def frames(data):
    out = []
    while data:
        n, _, rest = data.partition(b" ")
        out.append(rest[:int(n)].decode())
        assert len(rest) >= int(n)
        data = rest[int(n):]
    return out


@pytest.mark.parametrize("fmt", ["text", "cef", "leef", "ocsf"])
def test_syslog_over_tls(setup, ca, fmt):
    got = []

    def talk(c):
        while piece := c.recv(65536):
            got.append(piece)
    s = Lines(talk, ca.cert())
    try:
        setup.channel(type="syslog", url=f"syslog+tls://127.0.0.1:{s.port}", format=fmt, ca_file=ca.file)
        rc, err = setup.send(incident(), incident(revision=2, state="resolved"))
        assert rc == 0, err
    finally:
        s.close()
    lines = frames(b"".join(got))
    assert len(lines) == 2
    m = re.fullmatch(r"<(\d+)>1 2026-11-26T18:00:00Z (\S+) holdfast - incident \[incident@32473((?: \w+=\"(?:[^\"\\\]]|\\[\"\\\]])*\")+)\] \ufeff(.*)", lines[0])
    assert m and m[1] == "107", lines[0]
    assert 'id="I-20261126-7K3Q9D"' in m[3] and clean(lines[0]) and "\n" not in lines[0]
    text = m[4]
    if fmt == "text":
        assert text.startswith("HIGH: Reverse shell") and "Rule: reverse-shell" in text
    elif fmt == "cef":
        head = re.match(r"CEF:0\|Holdfast\|Holdfast\|[\d.]+\|reverse-shell\|((?:[^|\\]|\\[\\|])*)\|8\|(.*)", text)
        assert head and "\\|=" in head[1]
        pairs = re.findall(r"(\w+)=((?:[^=\\]|\\[\\=])*?)(?= \w+=|$)", head[2])
        values = {k: re.sub(r"\\(.)", r"\1", v) for k, v in pairs}
        assert values["externalId"] == "I-20261126-7K3Q9D" and values["cnt"] == "3" and values["cs1Label"] == "Container" and values["cs2"] == "shop/web:1.2"
    elif fmt == "leef":
        parts = text.split("|", 6)
        assert parts[0] == "LEEF:2.0" and parts[4] == "reverse-shell" and parts[5] == "^"
        values = dict(p.split("=", 1) for p in parts[6].split("^"))
        assert values["sev"] == "8" and values["Incident"] == "I-20261126-7K3Q9D" and "^" not in values["title"]
    else:
        first, second = (json.loads(re.split("\ufeff", x)[1]) for x in lines)
        assert first["class_uid"] == 2004 and first["type_uid"] == 200401 and first["severity_id"] == 4 and first["finding_info"]["uid"] == "I-20261126-7K3Q9D" and first["time"] == 1795716000000
        assert second["activity_id"] == 3 and second["type_uid"] == 200403 and second["status_id"] == 4


# --- machines ---

@pytest.mark.parametrize("key", ["plain-secret", "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()])
def test_cloudevents_signed(setup, key):
    with web() as w:
        setup.channel(type="webhook", url=w.url + "/in?x=1", key_file=str(setup.secret("k", key)))
        doc = incident(assignee=None, reopened=0)
        rc, err = setup.send(doc)
        assert rc == 0, err
        g = w.got[0]
        assert g["headers"]["content-type"] == "application/cloudevents+json" and g["path"] == "/in?x=1" and abs(int(g["headers"]["webhook-timestamp"]) - time.time()) < 60
        raw = base64.b64decode(key[6:]) if key.startswith("whsec_") else key.encode()
        signed = f"{g['headers']['webhook-id']}.{g['headers']['webhook-timestamp']}.".encode() + g["body"]
        assert g["headers"]["webhook-signature"] == "v1," + base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
        e = w.json(0)
        assert e["specversion"] == "1.0" and e["id"] == "I-20261126-7K3Q9D.1" and e["type"] == "io.holdfast.incident.opened.v1" and e["source"].startswith("//") and e["datacontenttype"] == "application/json"
        assert e["data"] == doc, "the document is passed on whole"


def test_otlp(setup):
    with web(lambda *a: (200, {}, b'{"partialSuccess":{}}')) as w:
        setup.channel(type="otlp", url=w.url, token_file=str(setup.secret("k", "tok")))
        rc, err = setup.send(incident())
        assert rc == 0, err
        assert w.got[0]["path"] == "/v1/logs" and w.got[0]["headers"]["content-type"] == "application/json" and w.got[0]["headers"]["authorization"] == "Bearer tok"
        rl = w.json(0)["resourceLogs"][0]
        r = rl["scopeLogs"][0]["logRecords"][0]
        assert r["timeUnixNano"] == "1795716000000000000" and r["severityNumber"] == 17 and r["severityText"] == "ERROR" and r["body"]["stringValue"].startswith("HIGH: ")
        assert {"key": "service.name", "value": {"stringValue": "holdfast"}} in rl["resource"]["attributes"]
        assert {"key": "k8s.pod.name", "value": {"stringValue": "web-1"}} in r["attributes"]


def test_otlp_partial_success(setup):
    with web(lambda *a: (200, {}, b'{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no thanks"}}')) as w:
        setup.channel(type="otlp", url=w.url)
        rc, err = setup.send(incident())
        assert rc == 3 and "the collector refused it: no thanks; given up" in err and len(w.got) == 1


def test_file(setup, tmp_path):
    setup.channel(type="file", path=str(tmp_path / "out.json"))
    docs = [incident(), incident(revision=2, alerts=4), incident(id="I-2", title="other")]
    rc, err = setup.send(*docs)
    assert rc == 0, err
    assert [json.loads(line) for line in (tmp_path / "out.json").read_text().splitlines()] == docs
    assert (tmp_path / "out.json").stat().st_mode & 0o777 == 0o640


# --- delivery ---

def test_a_server_that_was_down_gets_the_newest_of_each_in_order(setup, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    key = setup.secret("k", "0123456789")
    setup.channel(type="webhook", url=f"http://127.0.0.1:{port}/", key_file=str(key))
    setup.channel(channel="log", type="file", path=str(tmp_path / "log.json"))
    config = setup.write("- route: all\n  match: {severity: low}\n  to: [c, log]\n  group: 0s\n")
    p = subprocess.Popen([setup.binary, "notify", "send", "--config", config, "--timeout", "20", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "no_proxy": "*"})
    began = time.time()
    for rev in range(1, 31):
        for name in ("I-A", "I-B", "I-C"):
            p.stdin.write(json.dumps(incident(id=name, revision=rev, alerts=rev)) + "\n")
        p.stdin.flush()
    assert time.time() - began < 2, "the caller does not wait for channels"
    time.sleep(1.2)
    assert len((tmp_path / "log.json").read_text().splitlines()) >= 3, "the other channel is not held up"
    with web(port=port) as w:
        p.stdin.close()
        assert p.wait(30) == 0
        got = [w.json(i)["id"] for i in range(len(w.got))]
    assert "again in" in p.stderr.read()
    p.stderr.close()
    assert got == ["I-A.30", "I-B.30", "I-C.30"], "one message of each, the newest, in the order they first came"


def test_the_wrong_server_is_refused(setup, ca):
    for san in ("DNS:elsewhere.example", "IP:127.0.0.2"):
        with web(tls=ca.cert(san)) as w:
            setup.text = ""
            setup.channel(type="webhook", url=w.url, key_file=str(setup.secret("k", "0123456789")), ca_file=ca.file)
            config = setup.write()
            rc, out, err = setup.run_("notify", "test", "--config", config, "c", env={"no_proxy": "*"})
            assert rc == 3 and "certificate is refused" in err and not w.got, err
    with web(tls=ca.cert()) as w:  # an authority nobody trusts
        setup.text = ""
        setup.channel(type="webhook", url=w.url, key_file=str(setup.secret("k", "0123456789")))
        rc, out, err = setup.run_("notify", "test", "--config", setup.write(), "c", env={"no_proxy": "*"})
        assert rc == 3 and "certificate is refused" in err and not w.got, err


def test_syslog_of_the_wrong_name_is_refused(setup, ca):
    got = []
    s = Lines(lambda c: got.append(c.recv(65536)), ca.cert("DNS:elsewhere.example"))
    try:
        setup.channel(type="syslog", url=f"syslog+tls://127.0.0.1:{s.port}", ca_file=ca.file)
        rc, out, err = setup.run_("notify", "test", "--config", setup.write(), "c", env={"no_proxy": "*"})
        assert rc == 3 and "certificate is refused" in err and not [g for g in got if g]
    finally:
        s.close()


def test_incidents_of_a_watch(setup, run, tmp_path):
    """A real alert (of a recording) becomes an incident of the store and is told by its id; what people do is told next."""
    url = f"sqlite:{tmp_path}/store.db"
    root = pathlib.Path(__file__).resolve().parents[2]
    alerts = subprocess.run([setup.binary, "watch", "--replay", root / "tests/recordings/drop-and-run.hfrec", "--json"], capture_output=True, text=True, timeout=60)
    if "alert" not in alerts.stdout:
        pytest.skip("this build has no sensor")
    rc, out, err = run("incident", "import", "--store", url, "-", input=alerts.stdout)
    assert rc == 0, err
    rc, out, err = run("incident", "list", "--store", url, "--json")
    ids = re.findall(r"I-\d{8}-[0-9A-Z]{6}", out)
    assert rc == 0 and ids, out + err
    with web(slack_answer) as w:
        setup.channel(type="slack", url=w.url, token_file=str(setup.secret("t", "xoxb-1")), to="C1")
        setup.write("- route: all\n  match: {severity: debug}\n  to: c\n")
        rc, out, err = stored(setup, url, ids[0])
        assert rc == 0 and [g["path"] for g in w.got] == ["/chat.postMessage"], err
        assert ids[0] in w.got[0]["body"].decode() and ".000000000Z" not in w.got[0]["body"].decode()
        rc, out, err = run("incident", "ack", "--store", url, ids[0])
        assert rc == 0, err
        rc, out, err = run("incident", "comment", "--store", url, ids[0], "looking into it")
        assert rc == 0, err
        rc, out, err = stored(setup, url, ids[0])
        assert rc == 0, err
        assert [g["path"] for g in w.got[1:]] == ["/chat.update", "/chat.postMessage", "/chat.postMessage"] and "looking into it" in w.json(3)["text"]
        assert stored(setup, url, ids[0])[0] == 0 and len(w.got) == 4, "nothing new: nothing is sent"


def test_a_trial_message(setup):
    with web(slack_answer) as w:
        setup.channel(channel="team", type="slack", url=w.url, token_file=str(setup.secret("t", "xoxb-1")), to="C1")
        rc, out, err = setup.run_("notify", "test", "--config", setup.write(), "team", env={"no_proxy": "*"})
        assert rc == 0 and out == 'channel "team" (slack) took the trial message\n' and w.json(0)["text"].startswith("[TEST] INFO: ")
        rc, out, err = setup.run_("notify", "test", "--config", setup.write(), "taem")
        assert rc == 2 and 'there is no channel "taem"; did you mean team' in err
    with web(lambda n, m, p, body: (403, {}, b"the key xoxb-1-secret-key is bad")) as w:
        setup.text = ""
        setup.channel(type="slack", url=w.url, token_file=str(setup.secret("t", "xoxb-1-secret-key")), to="C1")
        rc, out, err = setup.run_("notify", "test", "--config", setup.write(), "c", env={"no_proxy": "*"})
        assert rc == 3 and "answered 403: the key *** is bad" in err and "xoxb" not in err


def test_an_escalation_waits_and_is_called_off(setup):
    now = time.time()

    def stamp(t):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))
    with web(lambda *a: (202, {}, b"{}")) as w:
        setup.channel(channel="pager", type="pagerduty", url=w.url, token_file=str(setup.secret("k", "R0UT1NGKEY")))
        setup.channel(channel="log", type="file", path=str(setup.path / "log"))
        config = setup.write("- route: all\n  match: {severity: low}\n  to: [log]\n  group: 0s\n  escalate: {after: 3s, to: [pager]}\n")
        docs = [incident(id="I-ACKED", opened=stamp(now)), incident(id="I-LEFT", opened=stamp(now)), incident(id="I-ACKED", opened=stamp(now), revision=2, state="acknowledged")]
        (setup.path / "in").write_text("".join(json.dumps(d) + "\n" for d in docs))
        rc, out, err = setup.run_("notify", "send", "--config", config, "--timeout", "15", setup.path / "in", env={"no_proxy": "*"})
        assert rc == 0, err
        assert [w.json(i)["dedup_key"] for i in range(len(w.got))] == ["holdfast-I-LEFT"] and w.got[0]["at"] >= int(now) + 3


def stored(setup, url, *args, timeout=20):
    return setup.run_("notify", "send", "-v", "--config", setup.path / "notify.yaml", "--store", url, "--timeout", timeout, *args, env={"no_proxy": "*"})


def test_the_store_keeps_what_waits_and_what_channels_know(setup):
    url = f"sqlite:{setup.path}/s/store.db"
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    setup.channel(type="slack", url=f"http://127.0.0.1:{port}", token_file=str(setup.secret("t", "xoxb-1")), to="C1")
    setup.write("- route: all\n  match: {severity: low}\n  to: c\n")
    (setup.path / "in").write_text(json.dumps(incident()) + "\n" + json.dumps(incident(revision=2, alerts=8)) + "\n")
    rc, out, err = stored(setup, url, setup.path / "in", timeout=1)
    assert rc == 3 and "could not be delivered in time; they wait in the store" in err
    with web(slack_answer, port=port) as w:
        rc, out, err = stored(setup, url)
        assert rc == 0, err
        w.got[:] = [g for g in w.got if "/conversations.history" not in g["path"]]  # whether an earlier process made the card
        first = len(w.got)
        # Two only when the first was under way at the moment the second came.
        assert [g["path"] for g in w.got] in (["/chat.postMessage"], ["/chat.postMessage", "/chat.update"]) and '"text":"8"' in w.got[-1]["body"].decode(), "the newest"
        (setup.path / "in").write_text(json.dumps(incident(revision=3, alerts=8, state="acknowledged", acknowledged_by="bob")))
        rc, out, err = stored(setup, url, setup.path / "in")
        assert rc == 0, err
        assert [g["path"] for g in w.got[first:]] == ["/chat.update", "/chat.postMessage"] and w.json(first)["ts"].startswith("1732.000"), "another process knows the card"
    with web(lambda *a: (200, {}, b'{"ok":false,"error":"msg_too_long"}'), port=port) as w:
        (setup.path / "in").write_text(json.dumps(incident(id="I-20261126-AAAAAA")))
        rc, out, err = stored(setup, url, setup.path / "in")
        assert rc == 3 and "dead letters" in err
    rc, out, err = setup.run_("notify", "dead", "--store", url)
    assert rc == 0 and re.fullmatch(r"(\d+) +c  I-20261126-AAAAAA  1 tries: Slack refused it: msg_too_long\n", out), out
    number = out.split()[0]
    with web(slack_answer, port=port) as w:
        assert setup.run_("notify", "dead", "--store", url, "--retry", number)[0] == 0
        assert stored(setup, url)[0] == 0 and len(w.got) == 1
    assert setup.run_("notify", "dead", "--store", url) == (0, "", "")
    rc, out, err = stored(setup, url, "I-NONE")
    assert rc == 3 and 'no incident "I-NONE"' in err


def test_killed_at_any_moment_nothing_is_lost(setup):
    url = f"sqlite:{setup.path}/store.db"
    with web() as w:
        setup.channel(type="webhook", url=w.url, key_file=str(setup.secret("k", "0123456789")))
        setup.write("- route: all\n  match: {severity: low}\n  to: c\n  group: 0s\n")
        (setup.path / "in").write_text("".join(json.dumps(incident(id=f"I-{n}")) + "\n" for n in range(60)))
        p = subprocess.Popen([setup.binary, "notify", "send", "--config", setup.path / "notify.yaml", "--store", url, setup.path / "in"], env={**os.environ, "no_proxy": "*"})
        while len(w.got) < 10 and p.poll() is None:
            time.sleep(0.01)
        p.kill()
        p.wait()
        before = len(w.got)
        assert 10 <= before < 60
        (setup.path / "in").write_text("".join(json.dumps(incident(id=f"I-{n}")) + "\n" for n in range(60)))
        rc, out, err = stored(setup, url, setup.path / "in", timeout=100)
        assert rc == 0, err
        ids = [json.loads(g["body"])["subject"] for g in w.got]
        assert set(ids) == {f"I-{n}" for n in range(60)} and len(ids) <= 61, "each once, but for the one that was under way"


# --- configuration ---

@pytest.mark.parametrize("text, message", [
    ("- channel: a\n  type: slak\n", ":2: \"type\" must be one of slack, slack-webhook"),
    ("- channel: a\n  type: slack\n  to: C1\n", ":1: a slack channel needs \"token_file\""),
    ("- channel: a\n  type: teams\n  url: https://x.example/y\n", ":1: whoever knows the address of a teams channel may post there"),
    ("- channel: a\n  type: otlp\n  url: http://collector.example:4318\n", "must begin with https:// (http:// is for this machine, or with \"plain: true\")"),
    ("- channel: a\n  type: otlp\n  url: https://u:p@collector.example\n", "has a name or password in it"),
    ("- channel: a\n  type: file\n  path: /x\n  tpoe: 1\n", ":4: unknown key \"tpoe\" in channel; did you mean type"),
    ("- channel: a\n  type: file\n  path: /x\n  user: 1\n", ":1: a file channel has no \"user\""),
    ("- channel: a\n  type: file\n  path: /x\n- route: r\n  to: [b]\n", ":4: route \"r\" speaks of a channel \"b\" that is not there"),
    ("- channel: a\n  type: file\n  path: /x\n- route: r\n  match: {hours: Mon 8-18}\n  to: a\n", "a time is written as"),
    ("- channel: a\n  type: mail\n  url: smtp://m.example\n  from: x\n  to: a@b.example\n", "\"from\" must be an e-mail address"),
    ("- channel: a\n  type: github\n  token_file: /x\n  project: a/../b\n", "is OWNER/REPOSITORY"),
    ("- channel: a\n  type: slack\n  token_file: /nonexistent\n  to: C\n", "/nonexistent"),
])
def test_wrong_files(run, tmp_path, text, message):
    (tmp_path / "n.yaml").write_text(text)
    rc, out, err = run("notify", "check", "--config", tmp_path / "n.yaml")
    assert rc == 2 and message in err, err


def test_secrets_that_everyone_may_read_are_refused_and_credentials_work(setup, run):
    setup.channel(type="slack", token_file=str(setup.secret("t", "xoxb-1")), to="C1")
    (setup.path / "t").chmod(0o644)
    rc, out, err = run("notify", "check", "--config", setup.write())
    assert rc == 2 and "everyone may read" in err
    setup.text = ""
    setup.channel(type="slack", token_credential="slack", to="C1")
    (setup.path / "creds").mkdir()
    (setup.path / "creds/slack").write_text("xoxb-9")
    assert run("notify", "check", "--config", setup.write(), env={"CREDENTIALS_DIRECTORY": ""})[0] == 2
    rc, out, err = run("notify", "check", "--config", setup.write(), env={"CREDENTIALS_DIRECTORY": str(setup.path / "creds")})
    assert rc == 0 and "channel  c" in out and "xoxb" not in out + err


@pytest.mark.parametrize("text", [b"{}", b"[]", b"", b"\xff\xfe", b'{"schema":"holdfast.incident/1"}', b'{"schema":"holdfast.incident/1","id":"../x","opened":"2026-11-26T18:00:00Z"}', b"[" * 10000, b'{"a":' * 300])
def test_documents_that_are_none(setup, text):
    setup.channel(type="file", path=str(setup.path / "o"))
    (setup.path / "in").write_bytes(text)
    rc, out, err = setup.run_("notify", "send", "--config", setup.write(), "--channel", "c", "--timeout", "3", setup.path / "in")
    assert (rc == 3 and "incident" in err or not text) and not (setup.path / "o").exists()
