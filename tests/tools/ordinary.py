# SPDX-License-Identifier: Apache-2.0
"""Ordinary work of a host with containers, done for real: a web server before an application with a database and a cache, clients, an SSH
server, cron, builds of images, a registry to push to and pull from, package installation, people who look in.  For tests/e2e/test_ordinary.py
and tests/bench/ordinary.

Everything runs in a network namespace of its own, in which dockerd has its bridges and firewall; nothing leaves it.  The root file system
is Debian's, made once with debootstrap (this needs the Debian mirror) and kept in ~/.cache/holdfast-tests."""
import concurrent.futures
import json
import os
import pathlib
import pty
import shutil
import subprocess
import time

PACKAGES = ("nginx", "postgresql", "redis-server", "build-essential", "openssh-server", "openssh-client", "cron", "python3", "git", "procps", "iproute2", "logrotate", "adduser", "wget", "sudo",
            "docker-registry", "apt-utils")
LATER = ("tree", "jq", "less", "at", "rsyslog", "tmux")  # packages that are installed in containers, with what they need
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "holdfast-tests"
ROOT_TAR = CACHE / "ordinary-bookworm-2.tar"

SETTLE = r"""set -e
mkdir -p /srv/repo /srv/app /var/www/html /srv/site
cd /srv/repo
apt-get update -q >/dev/null
apt-get install -qq -y --no-install-recommends --download-only -o Dir::Cache::archives=/srv/repo LATER >/dev/null
rm -rf partial lock
dpkg-scanpackages . >Packages 2>/dev/null
echo 'deb [trusted=yes] file:///srv/repo ./' >/etc/apt/sources.list
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
apt-get update -q >/dev/null
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
useradd -m -s /bin/bash worker
echo 'worker ALL=(ALL) NOPASSWD: /usr/bin/id' >/etc/sudoers.d/worker
mkdir -p /home/worker/.ssh
cp /root/.ssh/authorized_keys /home/worker/.ssh/
chown -R worker: /home/worker
"""

NGINX = """user www-data; worker_processes 2; pid /run/nginx.pid; events {} http { access_log /var/log/nginx/access.log; error_log /var/log/nginx/error.log;
  resolver 127.0.0.11; server { listen 80; root /srv/site; location /api { set $to http://app:8000; proxy_pass $to; } } }
"""
APP = r"""import http.server, socket, subprocess, os
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        with socket.create_connection(("cache", 6379), 5) as s:
            s.sendall(b"AUTH s3cret\r\nINCR hits\r\n"); n = s.recv(100)
        rows = subprocess.run(["psql", "-h", "db", "-U", "app", "-Atc", "select count(*) from item", "shop"], env={**os.environ, "PGPASSWORD": "tr1cky"}, capture_output=True).stdout
        body = repr((n, rows)).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("", 8000), H).serve_forever()
"""
DATABASE = r"""set -e
P=$(ls -d /usr/lib/postgresql/*/bin); install -d -o postgres /var/lib/shop
run() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
echo first1 >/tmp/pw; chmod 644 /tmp/pw
run $P/initdb -D /var/lib/shop -A scram-sha-256 --pwfile /tmp/pw >/dev/null; rm /tmp/pw
echo 'host all all all scram-sha-256' >>/var/lib/shop/pg_hba.conf
run $P/pg_ctl -D /var/lib/shop -o "-c listen_addresses='' -k /tmp" -w start >/dev/null
export PGPASSWORD=first1
run psql -h /tmp -qc "create user app password 'tr1cky'" -c "create database shop owner app"
PGPASSWORD=tr1cky run psql -h /tmp -U app -qc "create table item(n int)" -c "insert into item select generate_series(1,1000)" shop
run $P/pg_ctl -D /var/lib/shop -w -m fast stop >/dev/null
exec setpriv --reuid postgres --regid postgres --clear-groups $P/postgres -D /var/lib/shop -k /tmp -c listen_addresses='*' -c autovacuum_naptime=10s -c checkpoint_timeout=60s
"""
CLIENT = r"""n=0; while :; do wget -qO /dev/null http://web/; wget -qO /dev/null http://web/api; n=$((n+1))
[ $((n % 10)) = 0 ] && { ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -q worker@login 'uptime; sudo id; df -h / | tail -1'; echo x | ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -q root@login 'cat >/tmp/up; systemctl 2>/dev/null; ls -l /tmp'; }
[ $((n % 15)) = 0 ] && scp -q -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null /etc/services worker@login:; sleep 1; done"""
LOGIN = "mkdir -p /run/sshd; exec /usr/sbin/sshd -D -e"
CRONTAB = """* * * * * root tar -C /etc -czf /var/backups/etc.tar.gz . && find /var/backups -mtime +7 -delete
* * * * * root /usr/sbin/logrotate -f /etc/logrotate.d/dpkg
* * * * * worker /usr/bin/python3 -c "print(sum(range(10000)))" >/dev/null
* * * * * root cd / && run-parts --report /etc/cron.hourly; ps aux | grep -c cron >/dev/null; df -h >/dev/null; uptime >/dev/null
"""
MAKEFILE = "all: prog\n\t./prog\nprog: main.o lib.o\n\tcc -o prog main.o lib.o\ncheck: all\n\tpython3 test.py\ninstall: prog\n\tinstall -D prog /usr/local/bin/prog\n"
SOURCES = {"Makefile": MAKEFILE, "main.c": "#include <stdio.h>\nint twice(int);\nint main(void){printf(\"%d\\n\", twice(21));return 0;}\n", "lib.c": "int twice(int n){return 2*n;}\n",
           "test.py": "import subprocess\nassert subprocess.check_output(['./prog']) == b'42\\n'\n"}
DOCKERFILE = """FROM WORK AS build
COPY src /src
RUN cd /src && make check && make install
RUN apt-get install -y --no-install-recommends jq && adduser --system --group prog && echo 'export X=1' >/etc/profile.d/x.sh
FROM WORK
COPY --from=build /usr/local/bin/prog /usr/local/bin/prog
COPY entry /usr/local/bin/entry
RUN useradd -r svc && chmod 755 /usr/local/bin/entry && rm -rf /var/log/dpkg.log
USER svc
CMD ["/usr/local/bin/entry"]
"""
REGISTRY = "version: 0.1\nstorage: {filesystem: {rootdirectory: /var/lib/docker-registry}}\nhttp: {addr: ':5000'}\n"
ENTRY = "#!/bin/sh\nset -e\necho started >/tmp/state\n/usr/local/bin/prog\nexec sleep 2\n"
CI = r"""set -e
git config --global user.email x@example.com; git config --global user.name x; cp -r /src /tmp/w; cd /tmp/w; git init -q .; git add .; git commit -qm one
make check; for i in 1 2 3; do printf 'int main(void){return 0;}' >conftest.c; cc conftest.c -o conftest; ./conftest; done
python3 - <<'END'
import os, subprocess, tempfile, threading, http.server, urllib.request
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler); threading.Thread(target=s.serve_forever, daemon=True).start()
for i in range(20): urllib.request.urlopen(f"http://127.0.0.1:{s.server_port}/Makefile").read()
with tempfile.TemporaryDirectory() as d:
    open(d + "/t.py", "w").write("print(1)"); subprocess.check_call(["python3", d + "/t.py"], stdout=subprocess.DEVNULL)
END
git log --oneline; git gc -q; make -j2 all; rm -rf /tmp/w"""
INSTALL = r"""set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -q; apt-get install -qq -y --no-install-recommends tree jq less; tree / -L 1 >/dev/null; apt-get install -qq -y at rsyslog; adduser --disabled-password --gecos '' alice; usermod -s /bin/sh alice; addgroup staff2; adduser alice staff2
apt-get install -qq -y tmux; dpkg -l >/dev/null; apt-get remove -qq -y tree; apt-get purge -qq -y rsyslog; deluser alice; apt-get clean; update-alternatives --display awk >/dev/null; dpkg --configure -a; ldconfig"""


def root_tar():
    """The root file system; RuntimeError where it cannot be made."""
    if ROOT_TAR.exists():
        return ROOT_TAR
    if not shutil.which("debootstrap"):
        raise RuntimeError("debootstrap is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    tree = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"hf-ordinary-{os.getpid()}"
    try:
        for command in (["debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES), "bookworm", tree],
                        ["chroot", tree, "/bin/sh", "-c", SETTLE.replace("LATER", " ".join(LATER))],
                        ["tar", "-C", tree, "--exclude=./proc/*", "--exclude=./sys/*", "--exclude=./dev/*", "-cf", f"{ROOT_TAR}.part", "."]):
            p = subprocess.run(list(map(str, command)), capture_output=True, text=True)
            if p.returncode != 0:
                raise RuntimeError(f"{command[0]}: " + (p.stderr or p.stdout).strip()[-300:])
        os.rename(f"{ROOT_TAR}.part", ROOT_TAR)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    return ROOT_TAR


class Ordinary:
    """A host at work.  start(), then work(seconds); what is done and how often is in `done`, what failed in `failed`."""

    def __init__(self, folder):
        self.folder, self.socket = pathlib.Path(folder), f"unix://{folder}/sock"
        self.done, self.failed, self.daemon = {}, [], None
        self.image = f"ordinary-{os.getpid()}:1"  # watch sees what others on this machine do, too
        self.images = set()
        self.env = {**os.environ, "DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(self.folder / "config")}

    def command(self, *args):
        return ["docker", "-H", self.socket, *map(str, args)]

    def docker(self, *args, timeout=300, check=True, input=None):
        p = subprocess.run(self.command(*args), env=self.env, capture_output=True, text=True, timeout=timeout, input=input)
        if check and p.returncode != 0:
            raise RuntimeError(f"{args[:6]}: {(p.stderr or p.stdout).strip()[-300:]}")
        return p.stdout

    def start(self):
        """dockerd with bridges in a network namespace of its own, and the image; RuntimeError where that is refused."""
        (self.folder / "config").mkdir()
        f = self.folder
        script = f"ip link set lo up; exec dockerd --data-root {f}/data --exec-root {f}/exec --pidfile {f}/pid -H {self.socket} --storage-driver overlay2"
        with open(f / "log", "wb") as log:
            self.daemon = subprocess.Popen(["unshare", "-n", "/bin/sh", "-c", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=f)
        for _ in range(200):
            if self.daemon.poll() is not None or subprocess.run(self.command("version"), env=self.env, capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        if self.daemon.poll() is not None:
            raise RuntimeError("dockerd: " + (f / "log").read_text(errors="replace").strip()[-300:])
        self.docker("import", root_tar(), self.image)
        site, src = f / "site", f / "build" / "src"
        site.mkdir()
        src.mkdir(parents=True)
        (site / "index.html").write_text("hello\n" * 200)
        for name, text in SOURCES.items():
            (src / name).write_text(text)
        (f / "build" / "entry").write_text(ENTRY)
        (f / "build" / "Dockerfile").write_text(DOCKERFILE.replace("WORK", self.image))
        for name, text in (("nginx.conf", NGINX), ("app.py", APP), ("crontab", CRONTAB), ("registry.yml", REGISTRY)):
            (f / name).write_text(text)
            (f / name).chmod(0o644)

    def services(self):
        """What runs all the time."""
        f, net = self.folder, ("--network", "shop")
        self.docker("network", "create", "--subnet", f"10.{os.getpid() // 250 % 200 + 20}.{os.getpid() % 250}.0/24", "shop")  # not that of another run
        for name, options, command in (
                ("cache", (), ["redis-server", "--requirepass", "s3cret", "--protected-mode", "no", "--save", "15 1", "--appendonly", "yes", "--dir", "/var/lib/redis"]),
                ("db", (), ["bash", "-c", DATABASE]),
                ("app", ("-v", f"{f}/app.py:/srv/app/app.py:ro"), ["python3", "/srv/app/app.py"]),
                ("web", ("-v", f"{f}/nginx.conf:/etc/nginx/nginx.conf:ro", "-v", f"{f}/site:/srv/site:ro"), ["nginx", "-g", "daemon off;"]),
                ("login", (), ["sh", "-c", LOGIN]),
                ("cron", ("-v", f"{f}/crontab:/etc/cron.d/work:ro"), ["cron", "-f"]),
                ("registry", ("-p", "127.0.0.1:5000:5000", "-v", f"{f}/registry.yml:/etc/registry.yml:ro"), ["docker-registry", "serve", "/etc/registry.yml"]),
                ("client", (), ["bash", "-c", CLIENT])):
            self.docker("run", "-d", "--name", name, "--hostname", name, *net, *options, self.image, *command)

    def build(self, n):
        self.docker("build", "-q", "--no-cache", "-t", "localhost:5000/prog:1", self.folder / "build")
        self.docker("run", "--rm", "--name", f"prog{n}", "--network", "shop", "localhost:5000/prog:1")
        self.docker("push", "-q", "localhost:5000/prog:1")
        self.images |= set(self.docker("images", "-aq", "--no-trunc").split())
        self.docker("rmi", "localhost:5000/prog:1")
        self.docker("pull", "-q", "localhost:5000/prog:1")

    def ci(self, n):
        self.docker("run", "--rm", "--name", f"ci{n}", "--network", "shop", "-v", f"{self.folder}/build/src:/src:ro", self.image, "bash", "-c", CI)

    def install(self, n):
        self.docker("run", "--rm", "--name", f"install{n}", "--network", "none", self.image, "bash", "-c", INSTALL)

    def backup(self, n):
        self.docker("exec", "-e", "PGPASSWORD=first1", "db", "sh", "-c", "pg_dumpall -h /tmp -U postgres >/tmp/dump.sql && gzip -f /tmp/dump.sql")
        self.docker("exec", "cache", "redis-cli", "-a", "s3cret", "bgsave")
        self.docker("cp", "db:/tmp/dump.sql.gz", self.folder / "dump.sql.gz")

    def rotate(self, n):
        self.docker("exec", "web", "sh", "-c", "mv /var/log/nginx/access.log /var/log/nginx/access.log.1; nginx -s reopen; sleep 1; gzip -f /var/log/nginx/access.log.1")
        self.docker("exec", "web", "nginx", "-s", "reload")

    def load(self, n):
        self.docker("exec", "cache", "redis-benchmark", "-a", "s3cret", "-q", "-n", "20000", "-c", "20", "-t", "get,set,lpush")

    def look(self, n):
        """A person opens a shell, and asks this and that."""
        for name in ("web", "db"):
            self.docker("exec", name, "ps", "aux")
            self.docker("exec", name, "sh", "-c", "ls -l /; df -h; cat /etc/os-release")
            self.docker("top", name)
        self.docker("logs", "--tail", "5", "web")
        self.docker("stats", "--no-stream")
        master, slave = pty.openpty()
        p = subprocess.Popen(self.command("exec", "-it", "app", "bash"), env=self.env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        os.write(master, b"ls /\nps\nid\ntail -1 /etc/passwd\nexit\n")
        until = time.monotonic() + 30
        while p.poll() is None and time.monotonic() < until:
            try:
                os.read(master, 4096)
            except OSError:
                break
        p.wait(30)
        os.close(master)

    def again(self, n):
        """Containers are restarted, one by one."""
        self.docker("restart", "-t", "2", ("web", "app", "cache", "cron", "login")[n % 5])

    JOBS = (("build", 60), ("ci", 45), ("install", 70), ("backup", 40), ("rotate", 30), ("load", 50), ("look", 55), ("again", 200))  # every so many seconds

    def work(self, seconds, pace=1.0):
        until, due, count = time.monotonic() + seconds, {name: i * 2.0 for i, (name, _) in enumerate(self.JOBS)}, {}
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(max_workers=3) as pool:
            running = {}
            while time.monotonic() < until:
                now = time.monotonic() - began
                for name, every in self.JOBS:
                    if name in running and running[name].done():
                        error = running.pop(name).exception()
                        if error:
                            self.failed.append(f"{name}: {error}")
                        else:
                            self.done[name] = self.done.get(name, 0) + 1
                        due[name] = now + every * pace
                    if name not in running and now >= due[name] and (name != "again" or now > 100):
                        count[name] = count.get(name, -1) + 1
                        running[name] = pool.submit(getattr(self, name), count[name])
                time.sleep(0.5)
            for name, r in running.items():
                error = r.exception()
                if error:
                    self.failed.append(f"{name}: {error}")
                else:
                    self.done[name] = self.done.get(name, 0) + 1

    def alerts(self, path):
        """container -> alerts, of our containers, of a file that `watch --json` wrote."""
        found = {}
        with open(path) as f:
            for line in f:
                a = json.loads(line) if line.endswith("\n") else {}
                c = a.get("container") or {}
                if a.get("type") == "alert" and (c.get("image") in {self.image, *self.images} or c.get("image", "").startswith("localhost:5000/prog")):
                    found.setdefault(c["name"], []).append(a)
        return found

    def stop(self):
        if self.daemon and self.daemon.poll() is None:
            names = subprocess.run(self.command("ps", "-aq"), env=self.env, capture_output=True, text=True).stdout.split()
            if names:
                subprocess.run(self.command("rm", "-f", *names), env=self.env, capture_output=True)
            self.daemon.terminate()
            try:
                self.daemon.wait(30)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()

