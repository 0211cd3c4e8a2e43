# SPDX-License-Identifier: Apache-2.0
"""The console's server and sign-in: who may what, and what hostile clients can do."""
import json
import os
import pathlib
import pty
import re
import shutil
import socket
import ssl
import stat
import subprocess
import termios
import threading
import time
import urllib.request

import pytest

from console_client import PASSWORD, SECURITY, Client, Console, query, token, trusting, user

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r'\{"([A-Z]+)", "([^"]+)", HF_ROLE_([A-Z]+), ([^,]+), (hf_api_\w+), ([^}]+)\}')
ROUTES = ROW.findall((ROOT / "src/console/routes.c").read_text())
RANK = {"NONE": 0, "VIEWER": 1, "RESPONDER": 2, "ADMIN": 3}
PEOPLE = {"vera": "viewer", "rex": "responder", "ada": "administrator"}
pytestmark = [pytest.mark.filterwarnings("ignore:ssl.TLSVersion"), pytest.mark.skipif(not (ROOT / "src/console/routes.c").exists(), reason="built without the console")]


def test_table_was_read():
    """What follows walks the table: it must not be empty because the form of its rows changed."""
    rows = [line for line in (ROOT / "src/console/routes.c").read_text().splitlines() if re.match(r'\s*\{"', line)]
    assert len(ROUTES) == len(rows) >= 15


@pytest.fixture(scope="module")
def people(run, tmp_path_factory):
    """A store with a person of each role."""
    path = tmp_path_factory.mktemp("console") / "people.db"
    for name, role in PEOPLE.items():
        user(run, path, name, role)
    return path


@pytest.fixture
def store(people, tmp_path):
    shutil.copy(people, tmp_path / "store.db")
    return tmp_path / "store.db"


@pytest.fixture
def console(binary, store):
    with Console(binary, store) as c:
        yield c


def signed_in(console, name):
    c = Client(console)
    r = c.sign_in(name)
    assert r.status == 200, r
    return c


def fill(path):
    return re.sub(r"\{(\w+)\}", lambda m: {"id": "0" * 64, "digest": "sha256:" + "0" * 64}.get(m[1], "nothing"), path)


def audit(run, store):
    rc, out, err = run("audit", "list", "--store", f"sqlite:{store}", "--json", "--limit", "1000")
    assert rc == 0, err
    return json.loads(out)


# ---- signing in ----

def test_sign_in_and_out(console, run, store):
    c = Client(console)
    assert c.get("/api/v1/session").status == 401
    assert c.get("/api/v1/session/methods").json() == {"password": True, "oidc": None}
    r = c.sign_in("ADA") # names have no case
    assert r.status == 200 and r.json()["user"] == "ada" and r.json()["role"] == "administrator"
    cookie = r.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie and "Secure" not in cookie # plain HTTP on loopback
    assert c.get("/api/v1/session").json()["csrf"] == c.csrf
    secret = c.cookies["hf_session"]
    assert c.call("DELETE", "/api/v1/session").status == 204
    assert "hf_session" not in c.cookies
    c.cookies["hf_session"] = secret
    assert c.get("/api/v1/session").status == 401 # it ended here, not only in the browser
    what = [(e["what"], e["by"]) for e in audit(run, store)]
    assert ("signin", "ada") in what and ("signout", "ada") in what
    kept = b"".join(p.read_bytes() for p in store.parent.glob("store.db*"))
    assert b"console/session/" in kept and secret.encode() not in kept and PASSWORD.encode() not in kept
    assert b"$argon2id$v=19$m=65536,t=3,p=1$" in kept
    assert secret not in console.log() and PASSWORD not in console.log()


def test_no_fixation(console):
    """A session somebody else chose is not taken over, and signing in ends the one before."""
    c = Client(console)
    planted = "A" * 43
    c.cookies["hf_session"] = planted
    assert c.sign_in("vera").status == 200
    first = c.cookies["hf_session"]
    assert first != planted
    assert c.sign_in("vera").status == 200
    assert c.cookies["hf_session"] != first
    for old in (planted, first):
        d = Client(console)
        d.cookies["hf_session"] = old
        assert d.get("/api/v1/session").status == 401
    # Two cookies of the name: one was planted by a page below the same name; neither counts.
    assert c.get("/api/v1/session", headers={"Cookie": f"hf_session={first}; hf_session={c.cookies['hf_session']}"}).status == 401


def test_lock_out(console, run, store):
    c = Client(console)
    for i in range(5):
        r = c.sign_in("vera", "a wrong password")
        assert r.status == 401, (i, r)
        unknown = c.sign_in("nobody-here", "a wrong password") if i == 0 else unknown
    assert unknown.status == 401 and unknown.body == r.body # nothing tells whether there is an account
    r = c.sign_in("vera")
    assert r.status == 429 and 0 < int(r.headers["retry-after"]) <= 30
    assert Client(console).sign_in("rex").status == 200 # others go on
    rc, out, err = run("user", "unlock", "--store", f"sqlite:{store}", "vera")
    assert rc == 0, err
    assert c.sign_in("vera").status == 200
    entries = audit(run, store)
    assert {"signin.failed", "signin.locked", "user.unlock"} <= {e["what"] for e in entries}
    assert not any("nobody-here" in json.dumps(e) for e in entries) # people type passwords there
    assert "nobody-here" not in console.log()


def test_lock_out_by_address(binary, store):
    """Behind a proxy the last address counts; what a client puts before it does not free it."""
    with Console(binary, store, "--behind-proxy") as console:
        bad = Client(console, X_Forwarded_For="198.51.100.9")
        for _ in range(5):
            assert bad.sign_in("vera", "a wrong password").status == 401
        assert bad.sign_in("vera").status == 429
        assert Client(console, X_Forwarded_For="192.0.2.44, 198.51.100.9").sign_in("vera").status == 429
        assert Client(console, X_Forwarded_For="198.51.100.9, 192.0.2.44").sign_in("vera").status == 200
        # Too many requests of one address, while others go on.
        seen = [Client(console, X_Forwarded_For="203.0.113.5").get("/api/v1/session/methods").status for _ in range(900)]
        assert seen[0] == 200 and 429 in seen
        assert Client(console, X_Forwarded_For="203.0.113.6").get("/api/v1/session/methods").status == 200


def test_forwarded_only_when_told(console):
    for i in range(5):
        Client(console, X_Forwarded_For=f"192.0.2.{i}").sign_in("vera", "a wrong password")
    assert Client(console, X_Forwarded_For="192.0.2.99").sign_in("vera").status == 429


def test_password_change(console):
    one, two = signed_in(console, "vera"), signed_in(console, "vera")
    new = "an even longer password"
    assert one.post("/api/v1/session/password", {"old": "not it at all", "new": new}).status == 403
    assert one.post("/api/v1/session/password", {"old": PASSWORD, "new": "short"}).status == 400
    assert one.post("/api/v1/session/password", {"old": PASSWORD, "new": new}).status == 204
    assert one.get("/api/v1/session").status == 200
    assert two.get("/api/v1/session").status == 401
    assert Client(console).sign_in("vera").status == 401
    assert Client(console).sign_in("vera", new).status == 200


def test_link(console, run, store):
    rc, out, err = run("user", "link", "--store", f"sqlite:{store}", "--public-url", console.url)
    assert rc == 0, err
    page, secret = out.strip().split("#link=")
    assert page == console.url + "/sign-in" and secret.encode() not in store.read_bytes()
    c = Client(console)
    assert c.post("/api/v1/session", {"link": secret[:-1] + ("A" if secret[-1] != "A" else "B")}).status == 401
    r = c.post("/api/v1/session", {"link": secret})
    assert r.status == 200 and r.json()["role"] == "administrator"
    c.csrf = r.json()["csrf"]
    assert Client(console).post("/api/v1/session", {"link": secret}).status == 401
    assert Client(console).sign_in("administrator", "").status == 400
    assert c.post("/api/v1/session/password", {"old": "", "new": PASSWORD}).status == 204
    assert Client(console).sign_in("administrator").status == 200


# ---- who may what ----

def test_roles_over_the_table(console):
    """Every row of the table, with nobody and each role: below what it says 401 or 403, from there on neither."""
    clients = {"NONE": Client(console)}
    for name, role in PEOPLE.items():
        clients[{"viewer": "VIEWER", "responder": "RESPONDER", "administrator": "ADMIN"}[role]] = signed_in(console, name)
    checked = 0
    for method, path, needs, scope, handler, flags in ROUTES:
        if needs == "NONE" or path == "/api/v1/stream" or (method, path) == ("DELETE", "/api/v1/session"):
            continue
        for role, client in clients.items():
            r = client.call(method, fill(path), {} if method != "GET" else None)
            where = f"{role}: {method} {path} needs {needs}: {r}"
            if role == "NONE":
                assert r.status == 401, where
            elif RANK[role] < RANK[needs]:
                assert r.status == 403, where
            else:
                assert r.status not in (401, 403, 405, 500), where
            assert r.headers["cache-control"] == "no-store" and all(r.headers[k] == v for k, v in SECURITY.items()), where
            checked += 1
    assert checked >= 30 and "console.failed" not in console.log()


def test_tokens_over_the_table(console, run, store):
    """A token does what its scopes and its owner's role both allow."""
    words = ["read", "respond", "admin", "metrics"]
    by = {(w, owner): Client(console, Authorization="Bearer " + token(run, store, user=owner, scopes=w)) for w in words for owner in ("ada", "vera")}
    for method, path, needs, scope, handler, flags in ROUTES:
        if needs == "NONE" or path == "/api/v1/stream":
            continue
        takes = set(words) if scope == "ANY" else {w for w in words if "HF_SCOPE_" + w.upper() in scope}
        for (word, owner), client in by.items():
            r = client.call(method, fill(path), {} if method != "GET" else None)
            may = word in takes and (owner == "ada" or needs == "VIEWER")
            assert (r.status in (401, 403)) != may and r.status != 500, (word, owner, method, path, scope, r)


def test_token_life(console, run, store):
    t = token(run, store, user="ada", scopes="read,admin")
    c = Client(console, Authorization="Bearer " + t)
    assert c.get("/api/v1/session").json() == {"user": "ada", "role": "administrator", "scopes": ["read", "admin"]}
    r = c.post("/api/v1/tokens", {"name": "made by a token", "scopes": ["metrics"], "days": 1})
    assert r.status == 201 and r.json()["token"].startswith("hf_") and r.headers["location"].endswith(r.json()["id"])
    made = r.json()
    listed = c.get("/api/v1/tokens").body.decode()
    assert made["id"] in listed and made["token"] not in listed and t not in listed
    kept = b"".join(p.read_bytes() for p in store.parent.glob("store.db*"))
    assert t.encode() not in kept and made["token"].encode() not in kept
    assert c.call("DELETE", f"/api/v1/tokens/{made['id']}").status == 204
    assert Client(console, Authorization="Bearer " + made["token"]).get("/api/v1/session").status == 401
    assert c.call("DELETE", f"/api/v1/tokens/{made['id']}").status == 404
    # Only there: not as a cookie, not in the address.
    assert Client(console).get("/api/v1/session", headers={"Cookie": "hf_session=" + t}).status == 401
    assert Client(console).get("/api/v1/session?token=" + t).status == 401
    assert Client(console, Authorization="Basic " + t).get("/api/v1/session").status == 401
    for body in ({"name": "x", "scopes": []}, {"name": "x", "scopes": ["root"]}, {"name": "x", "scopes": ["read", "read"]}, {"name": "", "scopes": ["read"]}, {"name": "x", "scopes": ["read"], "days": 0},
                 {"name": "x", "scopes": ["read"], "days": 1.5}, {"name": "x", "scopes": "read"}, {"name": "x", "scopes": ["read"], "more": 1}):
        assert c.post("/api/v1/tokens", body).status == 400, body


def test_users(console):
    ada = signed_in(console, "ada")
    r = ada.post("/api/v1/users", {"name": "Newcomer", "role": "viewer", "password": "words that are long"})
    assert r.status == 201 and r.json()["name"] == "newcomer" and "hash" not in r.json(), r
    assert ada.post("/api/v1/users", {"name": "newcomer", "role": "viewer"}).status == 409
    for body in ({"name": "x y", "role": "viewer"}, {"name": "oidc:x", "role": "viewer"}, {"name": "x", "role": "root"}, {"name": "x", "role": "none"}, {"name": "x"}, {"name": "x", "role": "viewer", "password": "short"},
                 {"name": "x", "role": "viewer", "admin": True}, {"name": 1, "role": "viewer"}):
        assert ada.post("/api/v1/users", body).status == 400, body
    new = Client(console)
    assert new.sign_in("newcomer", "words that are long").status == 200
    assert new.get("/api/v1/users").status == 403
    assert ada.call("PATCH", "/api/v1/users/newcomer", {"role": "administrator"}).status == 200
    assert new.get("/api/v1/users").status == 200 # counts at once
    assert ada.call("PATCH", "/api/v1/users/newcomer", {"locked": True}).json()["locked"] is True
    assert new.get("/api/v1/session").status == 401
    assert new.sign_in("newcomer", "words that are long").status == 401
    assert ada.call("PATCH", "/api/v1/users/ada", {"role": "viewer"}).status == 403 # nobody would be administrator
    assert ada.call("DELETE", "/api/v1/users/ada").status == 403
    assert ada.call("PATCH", "/api/v1/users/newcomer", {"locked": False}).status == 200
    assert ada.call("DELETE", "/api/v1/users/newcomer").status == 204
    assert ada.call("DELETE", "/api/v1/users/newcomer").status == 404


# ---- other pages ----

def test_csrf_and_origin(console):
    c, other = signed_in(console, "ada"), signed_in(console, "ada")
    body = {"name": "victim", "role": "administrator"}
    assert c.post("/api/v1/users", body, csrf=False).status == 403
    assert c.post("/api/v1/users", body, headers={"X-CSRF-Token": "0" * 43}).status == 403
    assert c.post("/api/v1/users", body, headers={"X-CSRF-Token": other.csrf}).status == 403
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": f"http://{console.listen}.evil.example"}, {"Origin": f"https://{console.listen}"}, {"Sec-Fetch-Site": "cross-site"},
                    {"Sec-Fetch-Site": "same-site"}, {"Origin": ""}):
        assert c.post("/api/v1/users", body, headers=headers).status == 403, headers
        assert Client(console).post("/api/v1/session", {"user": "ada", "password": PASSWORD}, headers=headers).status == 403, headers # nor signs in for somebody
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None): # what a form of another page can send
        r = c.call("POST", "/api/v1/users", raw=json.dumps(body).encode(), headers={"Content-Type": kind})
        assert r.status == 415, (kind, r)
    assert "victim" not in c.get("/api/v1/users").body.decode()
    assert c.post("/api/v1/users", body, headers={"Origin": console.url, "Sec-Fetch-Site": "same-origin"}).status == 201
    assert "access-control-allow-origin" not in c.get("/api/v1/session", headers={"Origin": "https://evil.example"}).headers


def test_host(binary, store):
    with Console(binary, store, "--public-url", "https://holdfast.example.org") as console:
        port = console.port
        for host, good in (("localhost:" + port, True), ("127.0.0.1:" + port, True), ("holdfast.example.org", True), ("HOLDFAST.example.org:443", True), (socket.gethostname(), True), ("[::1]", True),
                           ("evil.example", False), ("evil.example:" + port, False), ("holdfast.example.org.evil.example", False), ("localhost.evil.example", False), ("a@localhost", False), ("", False)):
            for path in ("/", "/api/v1/session/methods"):
                r = Client(console).get(path, headers={"Host": host})
                assert (r.status not in (400, 421)) == good, (host, path, r)
        r = Client(console).sign_in("vera", headers={"Host": "holdfast.example.org", "Origin": "https://holdfast.example.org"})
        assert r.status == 200 and "; Secure" in r.headers["set-cookie"] and "strict-transport-security" in r.headers
        # An absolute target counts more than the field.
        assert b" 421 " in console.raw(f"GET http://evil.example/api/v1/session/methods HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode()).split(b"\r\n")[0]


# ---- hostile requests ----

BODIES = [b"", b"{", b"[]", b"null", b'"x"', b"[" * 100000, b'{"a":' * 5000, b"\xff\xfe", b'{"user":"\xff"}', b'{"user":"\\u0000"}', b'{"user":{},"password":[]}', b'{"verb":"ack","verb":"nope"}', b"{}" + b" " * 200000,
          b'{"a":1e999999}', json.dumps({k: "x" * 70000 for k in ("user", "name", "text")}).encode(), json.dumps({str(i): i for i in range(20000)}).encode(),
          json.dumps({k: v for k, v in zip("user password link old new name role scopes days verb text note target revision action why for pid incident alert expires dry_run locked".split(),
                                           [None, True, 1, [], {}, -1, 1e300, "\u202e", "' OR 1=1 --", "<script>", "../../etc/passwd", "%00", "\n"] * 2)}).encode()]
ARGS = ["%00", "%ff", "..%2f..%2fetc%2fpasswd", "%2e%2e", "a" * 4000, "'", "%27%20OR%201=1", "%", "%zz", "%C0%AE", "\u00e4".encode().hex(), "%E2%80%AE", "{id}", "*", ";", "sha256:", "sha256:zz", "I-20261126-AAAAAA", "-1", "0"]
QUERIES = ["limit=0", "limit=-1", "limit=99999999999999999999", "limit=abc", "limit=1&limit=2", "cursor=%00", "cursor=%ff", "cursor=" + "A" * 3000, "cursor=!!!", "q=%27%20OR%201%3D1", "q=" + "%25" * 1000, "x=1", "&".join(f"a{i}=1" for i in range(40)),
           "%", "=", "&&&&", "since=9999-99-99", "min_severity=9", "kinds=", "state=%F0%9F%92%A9", "container=..", "before=1e9", "format=exe"]


def test_hostile_requests_to_every_route(console):
    c = signed_in(console, "ada")
    n = 0
    for method, path, needs, scope, handler, flags in ROUTES:
        if path == "/api/v1/stream" or (method, path) == ("DELETE", "/api/v1/session"):
            continue
        targets = [fill(path)] + [path.replace("{", "\0").split("\0")[0] + a + ("/" + path.split("}/", 1)[1] if "}/" in path else "") for a in (ARGS if "{" in path else [])]
        targets = [re.sub(r"\{\w+\}", "x", t) for t in targets]
        if method == "GET":
            targets += [f"{fill(path)}?{q}" for q in QUERIES]
        for t in targets:
            r = c.call(method, t, {} if method != "GET" else None)
            assert r.status < 500 or r.status == 503, (method, t, r)
            n += 1
        if method == "GET":
            continue
        for body in BODIES:
            r = c.call(method, fill(path), raw=body, headers={"Content-Type": "application/json"})
            assert 400 <= r.status < 500 or r.status == 503 or (r.status == 204 and method == "DELETE"), (method, path, body[:60], r)
            if r.status >= 400:
                assert r.headers["content-type"] == "application/problem+json" and r.json()["status"] == r.status, (method, path, body[:60], r)
            n += 1
            if r.status == 429: # the gate of passwords
                break
    assert n > 15 * len(ROUTES) and console.alive()
    assert "console.failed" not in console.log() and "Sanitizer" not in console.log(), console.log()


MALFORMED = [b"", b"\r\n", b"\n\n\n", b"\0" * 5000, b"\xff" * 5000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
             b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n",
             b"GET / HTTP/1.1\r\nHost: localhost\r\nNoColon\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n: empty\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"a" * 100000),
             b"GET / HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n" % (b"a" * 200000), b"GET / HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % b"".join(b"X%d: y\r\n" % i for i in range(3000)),
             b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
             b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n" + b"a" * 300000,
             b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
             b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n", b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
             b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"a" * 65536 + b"\r\n" + b"10000\r\n" + b"a" * 65536 + b"\r\n" + (b"10000\r\n" + b"a" * 65536 + b"\r\n") * 4 + b"0\r\n\r\n",
             b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nExpect: 200-ok\r\nContent-Length: 2\r\n\r\n{}", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
             b"TRACE / HTTP/1.1\r\nHost: localhost\r\nCookie: a=b\r\n\r\n", b"BREW /api/v1/session HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
             b"GET /assets/../index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET //evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]


# Not as the RFC wants it, but nobody could take it for another request: answered.
HARMLESS = (b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n: empty\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n")


def test_malformed(console):
    for data in MALFORMED:
        out = console.raw(data, wait=0.4)
        status = re.match(rb"HTTP/1\.[01] (\d{3}) ", out)
        assert not out or (status and (status[1] < b"500" or status[1] in (b"501", b"505"))), (data[:80], out[:200])
        assert b"root:" not in out and (b" 200 " not in out.split(b"\r\n")[0] or data in HARMLESS), (data[:80], out[:200])
        assert out.count(b"HTTP/1.") <= 2, (data[:80], out) # nothing smuggled is answered
    assert console.alive() and "console.failed" not in console.log()


def test_pipelining(console):
    """What is sent ahead is answered in its order, whoever is quicker: the page at once, the API by another thread."""
    one = f"GET /api/v1/session HTTP/1.1\r\nHost: {console.listen}\r\n\r\nGET /nothing HTTP/1.1\r\nHost: {console.listen}\r\n\r\n"
    out = console.raw((one * 20 + f"GET /api/v1/session/methods HTTP/1.1\r\nHost: {console.listen}\r\nConnection: close\r\n\r\n").encode())
    assert re.findall(rb"HTTP/1\.1 (\d{3})", out) == [b"401", b"404"] * 20 + [b"200"]


def test_methods(console):
    c = Client(console)
    r = c.call("PUT", "/api/v1/session/methods")
    assert r.status == 405 and "GET" in r.headers["allow"]
    r = c.call("HEAD", "/api/v1/session/methods")
    assert r.status == 200 and r.body == b"" and int(r.headers["content-length"]) > 10
    assert c.call("POST", "/").status == 405
    for path in ("/api/v1/nothing", "/api/v1/session/", "/api/v1/session/methods/x", "/.env", "/assets/x/y.js", "/api", "/nothing"):
        r = c.get(path)
        assert r.status == 404 and r.headers["content-type"] == "application/problem+json", (path, r)
        assert all(r.headers[k] == v for k, v in SECURITY.items())


def test_slow_clients(console):
    """Who sends byte by byte holds a place for seconds; the others do not notice."""
    started = time.monotonic()
    slow = [console.connect() for _ in range(60)]
    for i, s in enumerate(slow):
        s.settimeout(0)
        if i % 3:
            s.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
    ended = {}
    while len(ended) < len(slow) and time.monotonic() - started < 40:
        for i, s in enumerate(slow):
            if i in ended:
                continue
            try:
                s.send(b"a")
                if s.recv(4096) == b"":
                    ended[i] = time.monotonic() - started
            except BlockingIOError:
                pass
            except OSError:
                ended[i] = time.monotonic() - started
        assert Client(console).get("/api/v1/session/methods").status == 200
        time.sleep(0.2)
    for s in slow:
        s.close()
    assert len(ended) == len(slow), f"{len(slow) - len(ended)} connections still hold a place"
    assert console.alive()


def test_many_connections(console):
    """More connections than there are places: refused or not, the server goes on, and is free again when they go."""
    many = []
    for _ in range(700):
        try:
            many.append(console.connect())
        except OSError:
            break
    assert console.p.poll() is None
    for s in many:
        s.close()
    for _ in range(100):
        try:
            if Client(console).get("/api/v1/session/methods").status == 200:
                break
        except OSError:
            pass
        time.sleep(0.1)
    else:
        raise AssertionError("no place is free again")


# ---- the stream ----

def line(n, kind="exec"):
    return json.dumps({"schema": "holdfast.event/1", "time": "2026-11-26T20:06:14.000000000Z", "type": kind, "container": {"id": "c1", "name": "web"},
                       "process": {"pid": 10 + n, "tid": 10 + n, "ppid": 5, "name": f"n{n}", "exe": "/a", "args": ["a"], "start_time": 5 + n}}).encode() + b"\n"


class Stream:
    def __init__(self, client, path="/api/v1/stream?kinds=event", last=None):
        self.s = client.console.connect()
        head = f"GET {path} HTTP/1.1\r\nHost: {client.console.listen}\r\nCookie: hf_session={client.cookies.get('hf_session')}\r\n" + (f"Last-Event-ID: {last}\r\n" if last is not None else "") + "\r\n"
        self.s.sendall(head.encode())
        self.f = self.s.makefile("rb")
        self.status = int(self.f.readline().split()[1])
        self.headers = {}
        while (h := self.f.readline().strip()):
            k, v = h.decode().split(":", 1)
            self.headers[k.lower()] = v.strip()
        self.rest = b""

    def more(self):
        if self.headers.get("transfer-encoding") == "chunked":
            size = self.f.readline()
            if not size.strip():
                return False
            data = self.f.read(int(size, 16))
            self.f.readline()
        else:
            data = self.f.read1(65536)
        self.rest += data
        return bool(data)

    def event(self, timeout=60):
        """(id, event, data) of the next one; None: the stream ended."""
        self.s.settimeout(timeout)
        while True:
            while b"\n\n" in self.rest:
                block, self.rest = self.rest.split(b"\n\n", 1)
                fields = dict(f.split(b": ", 1) for f in block.split(b"\n") if b": " in f and not f.startswith(b":"))
                if b"event" in fields:
                    return int(fields.get(b"id", b"0")), fields[b"event"].decode(), json.loads(fields[b"data"])
            if not self.more():
                return None

    def close(self):
        self.f.close()
        self.s.close()


def test_stream(binary, store):
    r, w = os.pipe()
    with Console(binary, store, "--live", "-", stdin=r) as console:
        os.close(r)
        c = signed_in(console, "vera")
        assert Client(console).get("/api/v1/stream").status == 401
        s = Stream(c)
        assert s.status == 200 and s.headers["content-type"] == "text/event-stream" and s.headers["cache-control"] == "no-store"
        os.write(w, b"".join(line(n) for n in range(5)))
        got = [s.event() for _ in range(5)]
        assert [e[2]["process"]["name"] for e in got] == [f"n{n}" for n in range(5)] and {e[1] for e in got} == {"event"}
        ids = [e[0] for e in got]
        assert ids == sorted(set(ids))
        s.close()
        os.write(w, b"".join(line(n) for n in range(5, 8))) # while nobody reads
        s = Stream(c, last=ids[2])
        assert [s.event()[2]["process"]["name"] for _ in range(5)] == ["n3", "n4", "n5", "n6", "n7"]
        # Others: by container, by kind, by what is wrong.
        other = Stream(c, "/api/v1/stream?kinds=event&container=ffff")
        os.write(w, line(8) + b"not json\n" + b"x" * (2 << 20) + b"\n" + line(9))
        assert [s.event()[2]["process"]["name"] for _ in range(2)] == ["n8", "n9"]
        other.s.settimeout(1)
        with pytest.raises(TimeoutError):
            while other.event(timeout=1):
                pass
        other.close()
        for bad in ("?kinds=nothing", "?x=1", "?min_severity=loud", "?container=../x", "?types=EXEC"):
            assert c.get("/api/v1/stream" + bad).status == 400, bad
        assert c.get("/api/v1/stream", headers={"Last-Event-ID": "x"}).status == 400
        last = ids[-1]
        s.close()
        # So much came that the ring no longer has it all: that is said.
        for start in range(0, 24000, 200):
            os.write(w, b"".join(line(n) for n in range(start, start + 200)))
        s = Stream(c, last=last)
        kind, data = s.event(30)[1:]
        assert kind == "gap" and (data.get("missed") or 0) > 1000, data
        assert s.event()[1] == "event"
        # A number from a console that ran before.
        s.close()
        s = Stream(c, last=999999999999999)
        assert s.event()[1] == "gap"
        s.close()
        # Somebody has too many.
        many = [Stream(c) for _ in range(9)]
        assert [m.status for m in many].count(200) == 8 and many[-1].status == 429
        for m in many:
            m.close()
        os.close(w)
        assert console.alive()


def test_slow_reader(binary, store):
    """A reader that takes nothing costs the server a bounded buffer, and the others nothing."""
    r, w = os.pipe()
    with Console(binary, store, "--live", "-", stdin=r) as console:
        os.close(r)
        c = signed_in(console, "vera")
        stuck = Stream(c)
        quick = Stream(c)
        seen = []

        def read():
            while (e := quick.event(30)):
                seen.append(e)
                if e[2].get("process", {}).get("name") == "n19999":
                    return
        t = threading.Thread(target=read)
        t.start()
        for start in range(0, 20000, 100):
            os.write(w, b"".join(line(n) for n in range(start, start + 100)))
        t.join(60)
        assert not t.is_alive()
        missed = sum(e[2].get("missed") or 0 for e in seen if e[1] == "gap")
        assert sum(e[1] == "event" for e in seen) + missed == 20000
        stuck.close()
        quick.close()
        os.close(w)


# ---- where it listens ----

@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    os.chmod(folder / "key.pem", 0o600)
    return folder / "cert.pem", folder / "key.pem"


def test_tls(binary, store, pair):
    cert, key = pair
    with Console(binary, store, "--tls-cert", cert, "--tls-key", key) as console:
        assert console.url.startswith("https://")
        c = Client(console, tls=trusting(cert))
        r = c.sign_in("vera")
        assert r.status == 200 and "; Secure" in r.headers["set-cookie"] and "strict-transport-security" in r.headers
        assert c.get("/api/v1/session").status == 200
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)): # 1.0 and 1.1 are not spoken
            old.wrap_socket(console.connect(), server_hostname="localhost")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            ctx = trusting(cert)
            ctx.minimum_version = ctx.maximum_version = version
            assert Client(console, tls=ctx).get("/api/v1/session/methods").status == 200
        assert b"200" not in console.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", wait=2)
        assert Client(console, tls=trusting(cert)).get("/api/v1/session/methods").status == 200


def test_where_it_refuses_to_listen(run, store, pair, tmp_path):
    cert, key = pair

    def refused(*args):
        rc, out, err = run("console", "--store", f"sqlite:{store}", *args, timeout=60)
        assert rc != 0
        return rc, err
    rc, err = refused("--listen", "0.0.0.0:8470")
    assert rc == 2 and "--tls-cert" in err and "reverse proxy" in err
    rc, err = refused("--listen", "[::]:8470")
    assert rc == 2 and "--tls-cert" in err
    for wrong in ("nowhere", "example.org:80", "127.0.0.1", "127.0.0.1:99999", "unix:relative", ""):
        assert refused("--listen", wrong)[0] == 2, wrong
    os.chmod(key, 0o644)
    rc, err = refused("--listen", "127.0.0.1:1", "--tls-cert", cert, "--tls-key", key)
    os.chmod(key, 0o600)
    assert "everyone may read" in err
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", other], check=True, capture_output=True)
    os.chmod(other, 0o600)
    assert "does not belong" in refused("--listen", "127.0.0.1:1", "--tls-cert", cert, "--tls-key", other)[1]
    assert refused("--listen", "127.0.0.1:1", "--tls-cert", cert)[0] == 2
    assert refused("--listen", "127.0.0.1:1", "--public-url", "holdfast.example.org")[0] == 2


def test_unix_socket(binary, store, tmp_path, run):
    path = tmp_path / "s.sock"
    with Console(binary, store, listen=f"unix:{path}") as console:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert Client(console).sign_in("vera").status == 200
        rc, out, err = run("console", "--store", f"sqlite:{store}", "--listen", f"unix:{path}", timeout=60)
        assert rc == 3 and "already" in err
    assert not path.exists()
    s = socket.socket(socket.AF_UNIX) # one left over by a process that was killed
    s.bind(str(path))
    s.close()
    with Console(binary, store, listen=f"unix:{path}") as console:
        assert console.alive()


def test_sandbox(console):
    status = pathlib.Path(f"/proc/{console.p.pid}/status").read_text()
    assert re.search(r"^Seccomp:\s+2$", status, re.M) and re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert signed_in(console, "ada").get("/api/v1/users").status == 200 # with the store written and read inside


def test_ends_with_work_under_way(binary, store):
    """Streams, waiting connections, a password being hashed: the end does not wait for them."""
    console = Console(binary, store)
    c = signed_in(console, "vera")
    streams = [Stream(c) for _ in range(4)]
    idle = [console.connect() for _ in range(4)]

    def hash_something():
        try:
            Client(console).sign_in("vera", "a wrong password")
        except OSError:
            pass # cut by the end
    t = threading.Thread(target=hash_something)
    t.start()
    time.sleep(0.05)
    assert console.stop() == 0
    t.join(60)
    for s in streams:
        s.close()
    for s in idle:
        s.close()


# ---- OpenID Connect ----

OIDC_VERSION = "9.13.3"


@pytest.fixture(scope="module")
def provider_folder():
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm and node, which the OpenID provider needs, are not installed")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "holdfast-tests" / f"oidc-provider-{OIDC_VERSION}"
    if not (cache / "node_modules/oidc-provider/package.json").exists():
        cache.mkdir(parents=True, exist_ok=True)
        p = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", cache, f"oidc-provider@{OIDC_VERSION}"], capture_output=True, text=True, timeout=180)
        if not (cache / "node_modules/oidc-provider/package.json").exists():
            pytest.skip("the OpenID provider is on npm, which cannot be reached: " + p.stderr.strip()[-200:])
    return cache


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Provider:
    def __init__(self, folder, callback):
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.p = subprocess.Popen(["node", ROOT / "tests/tools/oidc-provider.mjs", folder, str(self.port), callback], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for text in self.p.stdout:
            if text.strip() == b"ready":
                return
        raise AssertionError("the OpenID provider did not start")

    def be(self, who, groups=""):
        with urllib.request.urlopen(f"{self.issuer}/be?user={who}&groups={groups}", timeout=60) as r:
            assert r.read() == b"ok"

    def walk(self, url):
        """As a browser: from the address we send people to, over the provider's pages, to where it sends them back."""
        jar = {}
        for _ in range(10):
            parts, _q = query(url)
            if parts.port != self.port:
                return url
            request = urllib.request.Request(url, headers={"Cookie": "; ".join(f"{k}={v}" for k, v in jar.items())})

            class Stay(urllib.request.HTTPRedirectHandler):
                def redirect_request(self, *a):
                    return None
            try:
                answer = urllib.request.build_opener(Stay).open(request, timeout=60)
                raise AssertionError(f"{url}: {answer.status} {answer.read()[:300]}")
            except urllib.error.HTTPError as e:
                assert e.status in (302, 303), (url, e.status, e.read()[:500])
                for v in e.headers.get_all("Set-Cookie") or []:
                    name, value = v.split(";")[0].split("=", 1)
                    jar[name] = value
                url = urllib.parse.urljoin(url, e.headers["Location"])
        raise AssertionError("the provider goes round in circles")

    def stop(self):
        self.p.kill()
        self.p.wait()
        self.p.stdout.close()


CLIENTS = {"rsa": "rsa", "ec": "ec" + ".apps" * 40}  # as tests/tools/oidc-provider.mjs has them


@pytest.fixture(params=["rsa", "ec"])
def openid(request, binary, store, tmp_path, provider_folder):
    """A console that trusts a real provider: RS256 with a secret, ES256 without."""
    port = free_port()
    provider = Provider(provider_folder, f"http://127.0.0.1:{port}/auth/oidc/callback")
    (tmp_path / "secret").write_text("a secret: with/odd+characters\n")
    os.chmod(tmp_path / "secret", 0o600)
    conf = tmp_path / "oidc.yaml"
    conf.write_text(f"- provider: Example\n  issuer: {provider.issuer}\n  client: {CLIENTS[request.param]}\n" + (f"  secret_file: {tmp_path}/secret\n" if request.param == "rsa" else "") +
                    "  administrator: [security]\n  responder: [on-call, oncall2]\n  viewer: staff\n")
    try:
        with Console(binary, store, "--oidc", conf, listen=f"127.0.0.1:{port}") as console:
            yield console, provider
    finally:
        provider.stop()


def start(console):
    c = Client(console)
    r = c.get("/auth/oidc/start")
    assert r.status == 303, r
    _, q = query(r.headers["location"])
    assert q["code_challenge_method"] == "S256" and len(q["code_challenge"]) == 43 and q["state"] and q["nonce"] and q["response_type"] == "code"
    assert "HttpOnly" in r.headers["set-cookie"] and "SameSite=Lax" in r.headers["set-cookie"]
    return c, r.headers["location"]


def back(console, url):
    return url[len(console.url):]


def test_openid_connect(openid, run, store):
    console, provider = openid
    assert Client(console).get("/api/v1/session/methods").json()["oidc"] == {"name": "Example"}
    for who, groups, role in (("alice", "staff,security", "administrator"), ("bob", "oncall2", "responder"), ("carol", "staff,other", "viewer")):
        provider.be(who, groups)
        c, url = start(console)
        returned = back(console, provider.walk(url))
        r = c.get(returned)
        assert r.status == 303 and r.headers["location"] == "/", (r, r.headers, console.log())
        assert "hf_oidc" not in c.cookies
        session = c.get("/api/v1/session").json()
        assert (session["user"], session["role"]) == ("oidc:" + who, role)
        # What came back is good once.
        again = Client(console)
        again.cookies.update(c.cookies)
        assert again.get(returned).headers["location"].startswith("/sign-in?error=")
    assert any(e["what"] == "signin" and e["by"] == "oidc:alice" for e in audit(run, store))
    # The role is that of the last sign-in; local accounts of the name are others.
    provider.be("alice", "staff")
    c, url = start(console)
    c.get(back(console, provider.walk(url)))
    assert c.get("/api/v1/session").json()["role"] == "viewer"
    provider.be("ada", "staff")
    c, url = start(console)
    c.get(back(console, provider.walk(url)))
    assert c.get("/api/v1/session").json() | {"csrf": 0, "expires": 0} == {"user": "oidc:ada", "role": "viewer", "csrf": 0, "expires": 0}
    # An account that is locked here stays out.
    ada = signed_in(console, "ada")
    assert ada.call("PATCH", "/api/v1/users/oidc:alice", {"locked": True}).status == 200
    provider.be("alice", "security")
    c, url = start(console)
    assert c.get(back(console, provider.walk(url))).headers["location"] == "/sign-in?error=role"
    assert Client(console).sign_in("oidc:carol", "anything at all").status == 401 # no password opens it


def test_openid_connect_refuses(openid):
    console, provider = openid
    provider.be("mallory", "nothing")
    c, url = start(console)
    assert c.get(back(console, provider.walk(url))).headers["location"] == "/sign-in?error=role"
    assert "hf_session" not in c.cookies
    provider.be("alice", "staff")
    c, url = start(console)
    good = back(console, provider.walk(url))
    other, _ = start(console)
    for who, path in ((Client(console), good),                         # without the cookie: somebody else's browser
                      (other, good),                                   # another sign-in's cookie
                      (c, good.replace("state=", "state=x")), (c, "/auth/oidc/callback"), (c, "/auth/oidc/callback?code=x&state=y"), (c, good.replace("code=", "code=x"))):
        saved = dict(who.cookies)
        r = who.get(path)
        assert r.status == 303 and r.headers["location"] == "/sign-in?error=state" and "hf_session" not in who.cookies, (path, r)
        who.cookies = saved
    assert c.get("/auth/oidc/callback?error=access_denied&state=x").headers["location"] == "/sign-in?error=denied"
    provider.stop()
    assert Client(console).sign_in("vera").status == 200 # local accounts go on
    r = Client(console).get("/auth/oidc/callback?code=x&state=y", headers={"Cookie": "hf_oidc=" + "A" * 43})
    assert r.headers["location"] == "/sign-in?error=state"


def test_provider_that_hangs(binary, store, tmp_path):
    """A provider that is down is said; one that takes connections and never answers costs two threads, not the console."""
    with socket.socket() as hangs:
        hangs.bind(("127.0.0.1", 0))
        hangs.listen(64)
        conf = tmp_path / "oidc.yaml"
        conf.write_text(f"- provider: Example\n  issuer: http://127.0.0.1:{hangs.getsockname()[1]}\n  client: x\n  everyone: viewer\n")
        with Console(binary, store, "--oidc", conf) as console:
            ended = []
            threads = [threading.Thread(target=lambda: ended.append(Client(console).get("/auth/oidc/start").headers["location"])) for _ in range(20)]
            for t in threads:
                t.start()
            while len(ended) < 18: # those that are turned away at once
                assert any(t.is_alive() for t in threads)
                time.sleep(0.05)
            assert signed_in(console, "vera").get("/api/v1/session").status == 200
            hangs.close()
            for t in threads:
                t.join(60)
            assert ended == ["/sign-in?error=provider"] * 20
            assert Client(console).get("/auth/oidc/start").headers["location"] == "/sign-in?error=provider" # refused at once
            assert "does not answer" in console.log()


# ---- the commands ----

def test_commands(run, tmp_path):
    store = f"sqlite:{tmp_path}/s.db"

    def call(*args, code=0, **more):
        rc, out, err = run(*args[:2], "--store", store, *args[2:], **more)
        assert rc == code, (args, rc, out, err)
        return out if code == 0 else err
    call("user", "add", "--role", "administrator", "Ada", input=PASSWORD + "\n")
    assert "12 characters" in call("user", "add", "eve", code=2, input="short\n")
    assert "no password" in call("user", "add", "eve", code=2, input="")
    assert "begins with" in call("user", "add", "-- eve".split()[1] + " x", code=2, input=PASSWORD)
    call("user", "add", "--no-password", "eve")
    assert "viewer, responder or administrator" in call("user", "role", "eve", "root", code=2)
    call("user", "role", "eve", "responder")
    listed = json.loads(call("user", "list", "--json"))
    assert [(u["name"], u["role"], u["password"]) for u in listed] == [("ada", "administrator", True), ("eve", "responder", False)]
    assert "no password" in call("user", "list") and "argon2" not in call("user", "list", "--json")
    call("user", "passwd", "eve", input="another long password\n")
    assert "last administrator" in call("user", "remove", "ada", code=3)
    assert "no user" in call("user", "remove", "nobody", code=3)
    call("user", "remove", "eve")
    secret = call("token", "add", "--user", "ada", "--scopes", "read,metrics", "--days", "30", "scraper").strip()
    assert re.fullmatch(r"hf_[A-Za-z0-9_-]{43}", secret)
    tokens = json.loads(call("token", "list", "--json"))
    assert len(tokens) == 1 and tokens[0]["scopes"] == "read,metrics" and secret not in json.dumps(tokens)
    assert "no user" in call("token", "add", "--user", "nobody", "x", code=3)
    assert "a scope is" in call("token", "add", "--user", "ada", "--scopes", "all", "x", code=2)
    call("token", "remove", tokens[0]["id"])
    assert json.loads(call("token", "list", "--json")) == []
    assert "no token" in call("token", "remove", tokens[0]["id"], code=3)
    whats = [e["what"] for e in json.loads(call("audit", "list", "--json"))]
    assert whats == ["user.add", "user.add", "user.role", "user.password", "user.remove", "token.add", "token.remove"]
    call("audit", "verify")


def test_the_password_is_typed_unseen(binary, run, tmp_path):
    """At a terminal it is asked for twice and never shown; Ctrl-C makes no account and leaves the terminal as it was."""
    store = f"sqlite:{tmp_path}/s.db"

    def talk(*texts):
        pid, tty = pty.fork()
        if pid == 0:
            os.execv(binary, [str(binary), "user", "add", "--store", store, "ada"])
        seen = b""
        for prompt, text in zip((b"New password: ", b"Again: "), texts):
            while prompt not in seen:
                seen += os.read(tty, 1000)
            while termios.tcgetattr(tty)[3] & termios.ECHO:  # asked, but not yet silent
                pass
            os.write(tty, text)
        try:
            while more := os.read(tty, 1000):
                seen += more
        except OSError:
            pass
        echo = termios.tcgetattr(tty)[3] & termios.ECHO
        os.close(tty)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen, echo
    rc, seen, echo = talk(b"\x03")
    assert echo and rc == 3 and b"no password was given" in seen
    rc, seen, echo = talk(PASSWORD.encode() + b"\r", b"another long password\r")
    assert echo and rc == 2 and b"not the same" in seen and PASSWORD.encode() not in seen
    assert json.loads(run("user", "list", "--store", store, "--json")[1]) == []
    rc, seen, echo = talk(PASSWORD.encode() + b"\r", PASSWORD.encode() + b"\r")
    assert echo and rc == 0 and PASSWORD.encode() not in seen, seen
    assert json.loads(run("user", "list", "--store", store, "--json")[1])[0]["password"]
