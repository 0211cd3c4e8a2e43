# SPDX-License-Identifier: Apache-2.0
"""A running `holdfast console` and a client for it, for the tests of the console."""
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.parse

PASSWORD = "correct horse battery staple"
SECURITY = {"content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cross-origin-opener-policy": "same-origin"}


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Console:
    """Started with arguments; stopped with `with` or stop()."""

    def __init__(self, binary, store, *args, listen="127.0.0.1:0", stdin=None, env=None):
        if listen == "127.0.0.1:0":
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                listen = f"127.0.0.1:{s.getsockname()[1]}"
        self.listen, self.store, self.binary = listen, store, binary
        self.log_path = f"{store}.console.log"
        self.log_file = open(self.log_path, "a+b")
        self.p = subprocess.Popen([str(binary), "console", "--store", f"sqlite:{store}", "--listen", listen, *map(str, args)], stdin=stdin if stdin else subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=self.log_file, env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})})
        self.url = self.p.stdout.readline().decode().strip()
        assert self.url, self.log()
        self.host, self.port = (listen.rsplit(":", 1) + [""])[:2]

    def log(self):
        with open(self.log_path, "rb") as f:
            return f.read().decode(errors="replace")

    def stop(self):
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGTERM)
        try:
            code = self.p.wait(20)
        except subprocess.TimeoutExpired:
            self.p.kill()
            raise
        self.p.stdout.close()
        self.log_file.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        code = self.stop()
        if exc[0] is None:
            assert code == 0, self.log()

    def connect(self):
        if self.listen.startswith("unix:"):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(30)
            s.connect(self.listen[5:])
            return s
        return socket.create_connection((self.host.strip("[]"), int(self.port)), timeout=30)

    def raw(self, data, wait=5):
        """Sends bytes as they are; what comes back until the other end closes or is silent."""
        with self.connect() as s:
            s.settimeout(wait)
            out = b""
            try:
                s.sendall(data)
                while (some := s.recv(65536)):
                    out += some
            except (TimeoutError, ConnectionError):
                pass
            return out

    def alive(self):
        assert self.p.poll() is None, self.log()
        return Client(self).get("/api/v1/session/methods").status == 200


class Client:
    """A browser, as far as it matters: cookies, the page's token, no redirects followed."""

    def __init__(self, console, tls=None, **headers):
        self.console, self.cookies, self.csrf, self.tls = console, {}, None, tls
        self.headers = {k.replace("_", "-"): v for k, v in headers.items()}

    def call(self, method, path, body=None, headers=None, csrf=True, cookies=True, raw=None):
        c = http.client.HTTPConnection("console", 80, timeout=60)
        c.sock = self.console.connect()
        if self.tls:
            c.sock = self.tls.wrap_socket(c.sock, server_hostname="localhost")
        own = {"Host": "localhost" if self.console.listen.startswith("unix:") else self.console.listen, **self.headers}
        if cookies and self.cookies:
            own["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        if csrf and self.csrf and method not in ("GET", "HEAD"):
            own["X-CSRF-Token"] = self.csrf
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
            own["Content-Type"] = "application/json"
        if data is not None:
            own["Content-Length"] = str(len(data))
        elif method in ("POST", "PATCH", "PUT"):
            own["Content-Length"] = "0"
        own.update(headers or {})
        c.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for k, v in own.items():
            if v is not None:
                c.putheader(k, v)
        c.endheaders(data)
        r = c.getresponse()
        reply = Reply(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        for v in r.headers.get_all("Set-Cookie") or []:
            name, value = re.match(r"([^=]+)=([^;]*)", v).groups()
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        c.close()
        return reply

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)

    def sign_in(self, user, password=PASSWORD, **more):
        for _ in range(50):
            r = self.post("/api/v1/session", {"user": user, "password": password}, csrf=False, **more)
            if r.status != 503: # others are signing in
                break
            time.sleep(0.2)
        if r.status == 200:
            self.csrf = r.json()["csrf"]
        return r


def user(run, store, name, role="viewer", password=PASSWORD):
    rc, out, err = run("user", "add", "--store", f"sqlite:{store}", "--role", role, name, input=password + "\n")
    assert rc == 0, err


def token(run, store, name="test", **options):
    rc, out, err = run("token", "add", "--store", f"sqlite:{store}", *[x for k, v in options.items() for x in (f"--{k}", v)], name)
    assert rc == 0, err
    return out.strip()


def trusting(cert):
    ctx = ssl.create_default_context(cafile=str(cert))
    return ctx


def query(url):
    parts = urllib.parse.urlsplit(url)
    return parts, dict(urllib.parse.parse_qsl(parts.query))
