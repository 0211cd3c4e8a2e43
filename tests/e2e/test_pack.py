# SPDX-License-Identifier: Apache-2.0
"""The rules that come with the program, each caused for real in a container of its own, each with a benign twin that must not cause it, and
ordinary work that must cause next to nothing.  What cannot be caused on every machine is in src/detect/test-pack.c; that every rule is in one
of the two is held here.

One dockerd, one `watch`; what takes time runs side by side.  Programs: busybox and tests/tools/actor.c.  Learning times of rules are shortened
(LEARNING), nothing else of them is changed."""
import concurrent.futures
import io
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import tarfile
import time

import pytest
import yaml

from test_docker import overlay  # noqa: F401 (a fixture)
from test_watch import Watch

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACK = ROOT / "data" / "rules"
LEARN = 4  # seconds
LATER = LEARN + 3
LEARNING = ("Program begins to run code from memory", "Application started a shell with a new command", "Server started a program for the first time", "New listener", "Container reaches for an admin port", "Cloud metadata asked", "Token of a service account read anew",
            "Files sent or fetched by a tool for it", "Program run with a proxy of its own", "Datagrams to a new port", "Interpreter connects for the first time")
SYS_ADMIN = ("--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined")
KEYBOARD = ("--device", "/dev/null:/dev/input/event0")  # a node of that name; the real one is in the virtual machine (test_acceptance_vm.py)
COPY = "/bin/cp /bin/actor /usr/local/bin/x"
INSTALLED = "Software installed or compiled in a container"  # by who is slow
LOADER = "lib64/ld-linux-x86-64.so.2"
OWN = f"-{os.getpid()}"  # at the end of our containers' names: watch sees those of other runs on this machine too
TOKEN = "/run/secrets/kubernetes.io/serviceaccount/token"
SOON = "/bin/sleep 1; "  # until the files of the container are watched
MADE_UP = "'#.com'"


class Case:
    """rule: caused by `trigger`, not by `twin` (shell scripts); `also` and `twin_also`: other rules that each rightly causes."""

    def __init__(self, rule, trigger, twin, options=(), also=(), main=None, twin_also=()):
        self.rule, self.trigger, self.twin, self.options, self.also, self.main = rule, trigger, twin, tuple(options), set(also), main
        self.twin_also = frozenset(twin_also) | (frozenset([INSTALLED]) if "/usr/bin/dpkg" in twin and rule != INSTALLED else frozenset())


def talk(port, text, times=1, server=True):
    return (f"actor listen {port} 3000 & " if server else "") + f"actor say 127.0.0.1 {port} '{text}' {times}"


CASES = [
    Case("Program from outside the image ran", f"{COPY}; /usr/local/bin/x true", "actor true; /usr/bin/dpkg true; /usr/bin/dpkg run /bin/cp /bin/actor /usr/bin/y; /usr/bin/y true"),
    Case("Dropped program ran from a loose place", "/bin/cp /bin/actor /tmp/.x; /tmp/.x true", "ld true; /bin/cp /bin/actor /tmp/conftest; /tmp/conftest true", also=["Executable put into a loose place"]),
    Case("Script ran from a loose place", "printf '#!/bin/sh\\ntrue\\n' >/tmp/s; /bin/chmod 755 /tmp/s; /tmp/s", "echo true >/root/s; /bin/sh /root/s; /bin/sh -c 'true /tmp/s'", also=["Executable put into a loose place"]),
    Case("Script ran from a loose place", "echo true >/dev/shm/s; /bin/sh /dev/shm/s x", "/bin/cat /dev/null /tmp"),
    Case("Program run through the loader", "/lib64/ld-linux-x86-64.so.2 /bin/actor true", "/lib64/ld-linux-x86-64.so.2 --verify /bin/actor; LD_TRACE_LOADED_OBJECTS=1 /lib64/ld-linux-x86-64.so.2 /bin/actor"),
    Case("Program without a file ran", "actor memfd", "actor true"),
    Case("Shell or tool runs code from memory", "/bin/su mem write-then-execute", "/bin/node mem write-then-execute; /bin/su mem data"),
    Case("Shell or tool runs code from memory", "/bin/su mem write-and-execute", "/bin/su mem map /bin/su"),
    Case("Dropped program runs code from memory", f"{COPY}; /usr/local/bin/x mem write-then-execute", "/usr/bin/dpkg true; /usr/bin/dpkg run /bin/cp /bin/actor /usr/bin/y2; /usr/bin/y2 mem write-and-execute",
         also=["Program from outside the image ran"]),
    Case("Program begins to run code from memory", f"/usr/sbin/app true; /bin/sleep {LATER}; /usr/sbin/app mem write-then-execute",
         f"/usr/sbin/app mem write-then-execute; /bin/sleep {LATER}; /usr/sbin/app mem write-then-execute; /bin/node mem write-then-execute"),
    Case("Stack made executable", "actor mem stack", "/bin/node mem stack; actor mem data"),
    Case("Library from memory loaded", "actor mem memfd", "actor mem map /bin/actor; /bin/node mem write-and-execute"),
    Case("Library without a name loaded", "/bin/cp /bin/actor /root/lib.so; actor mem removed /root/lib.so", "/bin/cp /bin/actor /root/ffiAbC123; actor mem removed /root/ffiAbC123"),
    Case("Library of a loose place loaded", "/bin/cp /bin/actor /tmp/x.so; actor mem map /tmp/x.so", "echo x >/tmp/data; /bin/cat /tmp/data >/dev/null; actor mem map /bin/actor",
         also=["Executable put into a loose place"]),
    Case("Library of a loose place loaded", "/bin/cp /bin/actor /dev/shm/y.so; actor mem map /dev/shm/y.so", "/bin/mkdir -p /root/.venv/lib; /bin/cp /bin/actor /root/.venv/lib/z.so; actor mem map /root/.venv/lib/z.so",
         also=["Executable put into a loose place"]),
    Case("Library from outside the image loaded", "/bin/cp /bin/actor /root/plugin.so; actor mem map /root/plugin.so",
         "/bin/mkdir -p /root/lib/site-packages; /bin/cp /bin/actor /root/lib/site-packages/m.so; actor mem map /root/lib/site-packages/m.so; /usr/bin/dpkg true; /usr/bin/dpkg run /bin/cp /bin/actor /usr/lib/p.so; actor mem map /usr/lib/p.so"),
    Case("Library from outside the image forced into a program", "/bin/cp /bin/actor /root/hook.so; LD_PRELOAD=/root/hook.so actor mem map /root/hook.so", "LD_PRELOAD=/bin/node actor mem map /bin/node"),
    Case("Dropped program connects", f"{COPY}; /usr/local/bin/x connect 10.9.0.5 8080", "actor connect 10.9.0.5 8080", also=["Program from outside the image ran"]),
    Case("Dropped program listens", f"{COPY}; /usr/local/bin/x listen 7000 500", "actor listen 7000 500", also=["Program from outside the image ran"]),
    Case("Beacon of a dropped program", f"{COPY}; /usr/local/bin/x connect 10.9.0.5 8080 7 1100", f"{COPY}2; /usr/local/bin/x2 connect 10.9.0.6 8080 7 200 1500 100 2500 700",
         also=["Program from outside the image ran", "Dropped program connects"], twin_also=["Program from outside the image ran", "Dropped program connects"]),
    Case("Scripted beacon", "for i in 1 2 3 4 5 6 7; do actor connect 93.184.216.34 443; /bin/sleep 2.2; done",
         "for i in 2.1 0.3 3.5 0.2 1 2.9; do actor connect 93.184.216.34 443; /bin/sleep $i; done"),
    Case("Miner started", "actor true -o stratum+tcp://pool:3333 -u x", "actor true -o tcp://pool:3333"),
    Case("Miner speaks to its pool", talk(3333, '{"id":1,"method":"mining.subscribe","params":[]}\\n'), talk(3334, '{"id":1,"method":"state","params":[]}\\n')),
    Case("Attack tool ran", "/bin/nmap true", "actor true nmap"),
    Case("Download run at once", "/bin/sh -c 'echo dHJ1ZQo= | /bin/base64 -d | /bin/sh'", "/bin/sh -c 'echo true | /bin/sh'"),
    Case("Looking around", "/bin/id; /bin/whoami; /bin/uname -a; /bin/hostname; /bin/ps; /bin/nproc; /bin/df; /bin/free", "/bin/id; /bin/ps; /bin/id; /bin/ps; /bin/uname; /bin/id; /bin/ps; /bin/uname"),
    Case("Software installed or compiled in a container", "/bin/sleep 5.5; /usr/bin/dpkg true -i x.deb", "/usr/bin/dpkg true"),
    Case("Shell on a network connection", "actor listen 4444 2000 & actor onsocket 4444 /bin/sh -c true", "actor onunix /bin/sh -c true; /bin/sh -c true </dev/null"),
    Case("Program on a network connection", "actor listen 4445 2000 & actor onsocket 4445 /bin/actor true", "echo x | actor true | /bin/cat"),
    Case("Shell below a connected process", "actor listen 4446 2000 & actor below 4446 /bin/sh", "actor listen 4446 2000 & actor below 4446 /bin/sh -c true"),
    Case("Shell fed by a pipe", "echo true | /bin/sh -i", "echo true | /bin/sh"),
    Case("Server started a shell", "/usr/sbin/nginx serve 8081 100 /bin/sh -c true", "/bin/sh -c true; /usr/sbin/nginx serve 8081 100 /usr/sbin/nginx true"),
    Case("Application started a shell with a new command", f"/bin/node serve 8092 {LATER}000 /bin/sh -c id", f"/bin/node serve 8093 50 /bin/sh -c true; /bin/node serve 8094 {LATER}000 /bin/sh -c true"),
    Case("Server started a program for the first time", f"actor serve 8082 {LATER}000 /bin/id", "/usr/sbin/app serve 8083 50 /bin/true; " + f"/usr/sbin/app serve 8084 {LATER}000 /bin/true"),
    Case("New listener", f"/bin/sleep {LATER}; actor listen 7001 300", f"actor listen 7002 100; /bin/sleep {LATER}; actor listen 7002 100"),
    Case("Setuid program from outside the image ran", "/bin/cp /bin/actor /usr/local/bin/r; /bin/chmod 4755 /usr/local/bin/r; actor as 1000 /usr/local/bin/r true", "actor as 1000 /bin/rootly true",
         also=["Program from outside the image ran", "Set-uid bit set"]),
    Case("Spreading", "actor sweep 10.9.0.1 6379 25", "actor sweep 10.9.0.1 6379 5"),
    Case("Port scan", "actor ports 10.9.0.1 9000 30", "actor ports 10.9.0.9 9000 10"),
    Case("Many dead peers", "actor sweep 10.9.1.1 80 40", "actor sweep 10.9.1.1 80 10"),
    Case("Chat of bots", talk(7100, "NICK b0t\\r\\nUSER b0t 0 * :b\\r\\n"), talk(7101, "GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")),
    Case("Proxy of others", talk(7102, "\\5\\1\\0"), talk(7103, "\\5\\9\\9\\9")),
    Case("SSH to an unusual port", talk(7104, "SSH-2.0-x\\r\\n"), talk(22, "SSH-2.0-x\\r\\n")),
    Case("Name of a relay, paste or pool", "actor dnsd 0 2000 & actor dns 1 1 abc.ngrok.io", "actor dnsd 0 9000 & actor dns 1 1 ngrok.example.com"),
    Case("Made-up names", f"actor dnsd 0 2000 & actor dns 1 14 {MADE_UP}", "actor dns 1 14 mail-%.example.com"),
    Case("Names that do not exist", "actor dnsd 3 2000 & actor dns 1 34 host%.example.com", "actor dns 1 34 host%.example.com"),
    Case("Tunnel through DNS", "actor dnsd 0 2000 & actor dns 1 18 " + "abcdef" * 8 + "%." + "bcdefg" * 3 + ".example.com", "actor dns 1 18 short%.example.com"),
    Case("Orders through DNS texts", "actor dnsd 0 2000 & actor dns 16 12 t%.example.com", "actor dns 16 4 t%.example.com"),
    Case("SYN flood out of a container", "actor flood syn 1 1800 3500", "actor flood syn 1 50 2500"),
    Case("SYN flood into a container", "actor listen 8090 4500 & /bin/sleep 0.3; actor flood half 8090 900 3500", "actor listen 8091 4500 & actor flood half 8091 50 2500"),
    Case("UDP flood out of a container", "actor flood udp 9 8000 3500", "actor flood udp 9 100 2500"),
    Case("ICMP flood out of a container", "actor flood icmp 0 900 3500", "actor flood icmp 0 10 2500"),
    Case("Connection flood into a container", "actor drain 8085 6000 & /bin/sleep 0.3; actor flood tcp 8085 3500 5200", "actor drain 8086 4000 & /bin/sleep 0.3; actor flood tcp 8086 100 2500",
         also=["SYN flood out of a container"]),
    Case("Container reaches for an admin port", f"/bin/sleep {LATER}; actor connect 10.9.0.7 6380 ; actor connect 10.9.0.7 5432", f"actor connect 10.9.0.8 5432; /bin/sleep {LATER}; actor connect 10.9.0.8 5432"),
    Case("Logins tried at another machine", "actor connect 10.9.0.7 22 31", "actor connect 10.9.0.8 22 5"),
    Case("Packet socket opened", "actor packet", "actor flood udp 9 10 100"),
    Case("SSH logins tried again and again", "actor listen 22 3000 & actor say 127.0.0.1 22 'SSH-2.0-x\\r\\n' 44", "actor say 127.0.0.1 22 'SSH-2.0-x\\r\\n' 14", also=["Logins tried at another machine"]),
    Case("SSH logins fail again and again", "/usr/sbin/sshd fail 101 255 10", "/usr/sbin/sshd fail 101 0 10; /usr/sbin/sshd fail 1000 255 10; /usr/sbin/sshd fail 101 255 5"),
    Case("su or sudo fails again and again", "for i in 1 2 3 4 5 6; do /bin/su exit 1; done", "for i in 1 2 3 4 5 6; do /bin/su exit 0; done; /bin/su exit 1"),
    Case("Database logins fail again and again", "actor listen 3306 3000 & actor say 127.0.0.1 3306 'user root password hunter2 database x' 30",
         "actor listen 3306 3000 & actor say 127.0.0.1 3306 'user root password hunter2 database x' 5"),
    Case("Default credentials used", talk(8000, "GET / HTTP/1.1\\r\\nAuthorization: Basic YWRtaW46YWRtaW4=\\r\\n\\r\\n"), talk(8001, "GET / HTTP/1.1\\r\\nAuthorization: Basic YWRtaW46azcjcFE=\\r\\n\\r\\n")),
    Case("Default credentials used", talk(6379, "*2\\r\\n$4\\r\\nAUTH\\r\\n$8\\r\\nfoobared\\r\\n"), talk(6380, "*2\\r\\n$4\\r\\nAUTH\\r\\n$6\\r\\nx7!kpQ\\r\\n")),
    Case("Logins refused again and again", "actor answer 6379 3000 '-WRONGPASS invalid' & actor say 127.0.0.1 6379 'AUTH x7kpQ\\r\\n' 20", "actor answer 6381 3000 '+OK' & actor say 127.0.0.1 6381 'AUTH x7kpQ\\r\\n' 20"),
    Case("Database open to everybody", "/bin/busybox ip addr add 93.184.216.34/32 dev lo; actor zeros 5432 3000 & actor say 93.184.216.34 5432 hello", "actor zeros 5433 3000 & actor say 127.0.0.1 5433 hello", ("--cap-add", "NET_ADMIN")),
    Case("Much more sent out than ever", "actor spray 9 20000 12500", "actor spray 9 1000 3000"),
    Case("Much sent out by one connection", "/bin/busybox ip addr add 93.184.216.34/32 dev lo; actor swallow 7200 4000 & actor pour 93.184.216.34 7200 220", "actor swallow 7201 4000 & actor pour 127.0.0.1 7201 220", ("--cap-add", "NET_ADMIN")),
    Case("Login or password program traced", "/usr/sbin/sshd sleep 2000 & /bin/sleep 0.3; actor ptrace $!", "/usr/sbin/sshd sleep 300 & /bin/kill -0 $!"),
    Case("Program traced by another", "actor sleep 2000 & /bin/sleep 0.3; actor ptrace $!", "actor trace-child"),
    Case("Cloud metadata asked by a tool", "actor connect 169.254.169.254 80", "actor connect 169.254.1.1 80"),
    Case("Cloud metadata asked", None, "true", main=["/bin/actor", "after", f"{LATER}000", "169.254.169.254", "80"]),
    Case("Host disk mounted", "actor mount /dev/sdq1 /mnt ext4", "/bin/cat /proc/mounts >/dev/null", SYS_ADMIN),
    Case("Mount in a container", "actor mount none /mnt tmpfs", "/bin/cat /proc/mounts >/dev/null", SYS_ADMIN),
    Case("Process hidden by a mount", "actor mount none /proc/1 tmpfs", "/bin/cat /proc/1/mounts >/dev/null", SYS_ADMIN),
    Case("Probe or counter opened", "actor perf", "actor true", SYS_ADMIN),
    Case("Requests through a ring", "actor ring", "actor true", ("--security-opt", "seccomp=unconfined")),
    Case("Defences switched off", "/bin/iptables -F; true", "/bin/iptables -L; true"),
    Case("Tool of clusters or clouds ran", "/bin/kubectl true get secrets", "actor true kubectl"),
    Case("System program changed", SOON + "/bin/cp /bin/actor /usr/bin/ps", SOON + "/usr/bin/dpkg run /bin/cp /bin/actor /usr/bin/z; /bin/cat /usr/bin/dpkg >/dev/null"),
    Case("Trust changed", SOON + "echo 10.9.9.9 pool >>/etc/hosts; echo deb http://x >/etc/apt/sources.list", SOON + "/bin/cat /etc/hosts /etc/resolv.conf; /usr/bin/dpkg run /bin/cp /etc/crontab /etc/apt/sources.list"),
    Case("Namespace of another entered", "actor setns", "true", SYS_ADMIN),
    Case("Namespaces made in a container", "actor unshare", "true", SYS_ADMIN),
    Case("BPF program loaded in a container", "actor bpf", "actor bpf map", SYS_ADMIN),
    Case("File opened by handle", "actor handle /bin/sh", "/bin/cat /bin/sh >/dev/null", ("--cap-add", "DAC_READ_SEARCH")),
    Case("Device made in a container", "actor mknod", "actor fifo"),
    Case("Page faults served by a program", "actor uffd", "actor true", ("--security-opt", "seccomp=unconfined")),
    Case("Container runtime contacted", "actor unix /host/docker.sock", "actor unix /host/other.sock", ("-v", "HOST:/host")),
    Case("Container may do everything", "true", "true", ("-v", "/etc:/mnt:ro")),
    Case("Library forced into a program", "LD_PRELOAD=/tmp/x.so actor true", "LD_PRELOAD=/usr/lib/libjemalloc.so.2 actor true"),
    Case("Loader of programs attacked", "GLIBC_TUNABLES=glibc.malloc.mxfast=x actor as 1000 /bin/rootly true", "GLIBC_TUNABLES=glibc.malloc.check=1 actor true"),
    Case("SSH keys changed", SOON + "echo ssh-ed25519 x >>/root/.ssh/authorized_keys", SOON + "/bin/cat /root/.ssh/authorized_keys; echo x >>/root/.ssh/known_hosts"),
    Case("Job planted", SOON + "echo '* * * * * root true' >/etc/cron.d/x", SOON + "/usr/bin/dpkg run /bin/cp /etc/passwd /etc/cron.d/logs; /bin/cat /etc/crontab"),
    Case("Job planted", SOON + "echo x >/tmp/j; /bin/mv /tmp/j /etc/cron.d/j", SOON + "/usr/bin/dpkg run /bin/mv /etc/motd /etc/cron.d/motd"),
    Case("Start-up changed", SOON + "echo x >/etc/systemd/system/x.service", SOON + "/usr/bin/dpkg run /bin/cp /etc/passwd /etc/systemd/system/y.service"),
    Case("Login changed", SOON + "echo 'u ALL=(ALL) NOPASSWD: ALL' >>/etc/sudoers", SOON + "/usr/bin/dpkg run /bin/cp /etc/crontab /etc/pam.d/common; /bin/useradd put /etc/group"),
    Case("Library preload changed", SOON + "echo /tmp/x.so >/etc/ld.so.preload", SOON + "echo x >/etc/ld.so.conf; /bin/cat /etc/crontab"),
    Case("Shell profile changed", SOON + "echo evil >>/root/.bashrc", SOON + ". /root/.bashrc; /usr/bin/dpkg run /bin/cp /etc/crontab /etc/bash.bashrc"),
    Case("Set-uid bit set", SOON + "/bin/chmod 4755 /usr/local/bin/tool", SOON + "/bin/chmod 755 /usr/local/bin/tool; /bin/chmod 700 /bin/rootly"),
    Case("Script put below a web root", SOON + "/usr/sbin/nginx serve 8088 10 /usr/sbin/nginx put /var/www/html/x.php", SOON + "/usr/sbin/nginx serve 8089 10 /usr/sbin/nginx put /var/www/html/x.jpg; /bin/cp /etc/passwd /var/www/html/y.php"),
    Case("Password hashes read", SOON + "/bin/cat /etc/shadow", SOON + "/bin/su put /dev/null /etc/shadow; /bin/cat /etc/passwd"),
    Case("Credentials gathered", SOON + "/bin/cat /root/.aws/credentials /root/.docker/config.json /root/.kube/config", SOON + "/bin/cat /root/.aws/credentials /root/.aws/credentials"),
    Case("SSH key read", SOON + "/bin/cat /root/.ssh/id_ed25519", SOON + "/bin/ssh put /dev/null /root/.ssh/id_ed25519; /bin/cat /root/.ssh/id_ed25519.pub"),
    Case("Token of a service account read anew", f"/bin/cat {TOKEN}; /bin/sleep {LATER}; actor put /dev/null {TOKEN}; /bin/sleep 1", SOON + f"/bin/wc {TOKEN}; /bin/sleep {LATER}; /bin/wc {TOKEN}"),
    Case("Token read and used", SOON + f"/bin/cat {TOKEN}; actor connect 10.96.0.1 443", SOON + "/bin/cat /etc/motd; actor connect 10.96.0.1 443"),
    Case("Keyboard read", SOON + "/bin/cat /dev/input/event0", SOON + "/bin/cat /dev/null; /bin/ls /dev/input", KEYBOARD),
    Case("Keyboard read and sent", SOON + "actor leak /dev/input/event0 10.9.0.5 8080", SOON + "actor leak /dev/null 10.9.0.6 8080", KEYBOARD, also=["Keyboard read"]),
    Case("Keyboard read", SOON + "actor mknod /tmp/k 13 64; actor open /tmp/k; true", SOON + "actor open /dev/null", ("--device-cgroup-rule", "c 13:* rw"), also=["Device made in a container"]),
    Case("Terminal of another session read", SOON + "actor terminal other", SOON + "actor terminal own; /bin/ls -l /dev/pts >/dev/null"),
    Case("Signal of a rootkit", "/bin/kill -62 HOSTPID", "/bin/sleep 3 & /bin/kill -62 $!; /bin/kill -0 HOSTPID", ("--pid", "host")),
    Case("BPF program that changes others", "actor bpf write", "actor bpf map", SYS_ADMIN),
    Case("Hardware or clock of the host touched", "actor swapon", "actor true", (*SYS_ADMIN, "--security-opt", "seccomp=unconfined")),
    Case("Sensitive file linked", SOON + "/bin/ln -s /etc/shadow /tmp/link", SOON + "/bin/ln -s /etc/motd /tmp/motd"),
    Case("Traces removed", SOON + "/bin/rm -f /root/.bash_history", SOON + "/bin/rm -f /var/log/none /root/.wget-hsts; /bin/shred --help"),
    Case("Program of the runtime overwritten", SOON + "echo x >>/usr/bin/runc", SOON + "/bin/cat /usr/bin/runc"),
    Case("Host device opened", SOON + "/bin/cat /dev/sda", SOON + "/bin/cat /dev/null", ("--device", "/dev/null:/dev/sda:r")),
    Case("Program posing as the kernel", "actor name '[kworker/0:1]'", "actor name worker"),
]
BY_HAND = "Shell opened by hand"  # needs a terminal: see test_shell_opened_by_hand
OUTSIDE = "Program started with a folder of the host"  # needs somebody outside: see test_folder_of_the_host
PROGRAMS = ("nmap", "su", "ld", "useradd", "ssh", "iptables", "kubectl", "node")  # of the actor, by another name


def image(more_programs=(), more_files=(), more=None):
    """busybox under its names, the actor under some; more: path -> bytes of other programs."""
    actor = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"hf-actor-{os.getpid()}"
    p = subprocess.run(["cc", "-static", "-O1", "-D_GNU_SOURCE", "-o", actor, ROOT / "tests" / "tools" / "actor.c"], capture_output=True, text=True)
    if p.returncode != 0:
        pytest.skip("no static C library: " + p.stderr.strip()[-200:])
    programs = {"bin/busybox": pathlib.Path("/bin/busybox").read_bytes()}
    code = actor.read_bytes()
    actor.unlink()
    for name in ("bin/actor", "usr/sbin/nginx", "usr/sbin/app", "usr/bin/dpkg", "usr/sbin/sshd", "bin/rootly", *(f"bin/{p}" for p in (*PROGRAMS, *more_programs))):  # files, as they are in real images: links do not count
        programs[name] = code
    programs.update(more or {})
    programs[LOADER] = pathlib.Path("/" + LOADER).read_bytes()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "usr", "usr/bin", "usr/sbin", "usr/local", "usr/local/bin", "tmp", "etc", "root", "mnt", "host", "proc", "sys", "dev", "lib64", "etc/cron.d", "etc/apt", "etc/systemd", "etc/systemd/system", "etc/pam.d", "root/.ssh", "root/.aws", "root/.docker",
                     "root/.kube", "var", "var/www", "var/www/html", "run", "run/secrets", "run/secrets/kubernetes.io", "run/secrets/kubernetes.io/serviceaccount",
                     "var/log", "var/lib", "var/lib/rpm", "var/spool", "var/spool/cron", "var/spool/cron/crontabs", "usr/lib"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(info)
        for name, data in programs.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o4755 if name in ("bin/rootly", "bin/pkexec") else 0o755
            tar.addfile(info, io.BytesIO(data))
        applets = "setsid sh cp sleep true chmod cat id whoami uname hostname ps nproc df free base64 kill ls mkdir rm grep sed awk find tar gzip mv touch date env head sort wc ln shred crontab wget"
        for name in applets.split():
            info = tarfile.TarInfo("bin/" + name)
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
        files = ("etc/shadow", "etc/sudoers", "etc/group", "etc/crontab", "etc/motd", "etc/bash.bashrc", "etc/ld.so.conf", "root/.bashrc", "root/.ssh/authorized_keys", "root/.ssh/known_hosts", "root/.ssh/id_ed25519",
                 "root/.ssh/id_ed25519.pub", "root/.aws/credentials", "root/.docker/config.json", "root/.kube/config", TOKEN[1:], "usr/local/bin/tool", *more_files)
        for name in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode = 2, 0o755 if name.endswith("tool") else 0o600
            tar.addfile(info, io.BytesIO(b"x\n"))
        passwd = b"root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/tmp:/bin/sh\n"
        info = tarfile.TarInfo("etc/passwd")
        info.size = len(passwd)
        tar.addfile(info, io.BytesIO(passwd))
    return out.getvalue()


def name_of(case):
    return f"t{CASES.index(case)}-" + re.sub(r"[^a-z]+", "-", case.rule.lower()).strip("-")


class Host:
    """dockerd with the image, watch, and what it said of each container."""

    def __init__(self, docker, watch, sockets):
        self.docker, self.watch, self.sockets = docker, watch, sockets
        self.process = subprocess.Popen(["sleep", "600"])  # of the host

    def start(self, name, options, command):
        options = [o.replace("HOST", str(self.sockets)) if o.startswith("HOST:") else o for o in options]
        command = [c.replace("HOSTPID", str(self.process.pid)) for c in command]
        p = subprocess.run(self.docker.command("run", "--rm", "--name", name + OWN, "--network", "none", *options, "pack:1", *command), env=self.docker.env(), capture_output=True, text=True, timeout=60)
        assert p.returncode != 125, p.stderr
        return p

    def shell(self, name, options, script):
        return self.start(name, options, ["/bin/sh", "-c", script + "\nwait"])

    def alerts(self):
        found = {}
        for line in self.watch.lines():
            if line["type"] == "alert" and "container" in line and (line["container"]["name"].endswith(OWN) or line["container"].get("image", "").startswith("sha256:")):
                found.setdefault(line["container"]["name"].removesuffix(OWN), []).append(line)
        return found


@pytest.fixture(scope="module")
def host(binary, overlay, tmp_path_factory):  # noqa: F811
    if os.geteuid() != 0:
        pytest.skip("watching needs root")
    overlay("import", "-", "pack:1", input=image(more_files=("root/.bash_history", "usr/bin/runc")))
    path = tmp_path_factory.mktemp("pack")
    short = [{"macro": "ran_for_a_while", "condition": "(container.duration > 5000000000)"}] + [{"rule": r, "window": f"{LEARN}s", "override": {"window": "replace"}} for r in LEARNING]
    (path / "short.yaml").write_text(yaml.safe_dump(short))
    sockets = path / "sockets"
    sockets.mkdir()
    listeners = []
    for name in ("docker.sock", "other.sock"):
        s = socket.socket(socket.AF_UNIX)
        s.bind(str(sockets / name))
        s.listen()
        listeners.append(s)
    watch = Watch(binary, path, "--json", "--budget", "0", "--rules", PACK, "--rules", path / "short.yaml")
    h = Host(overlay, watch, sockets)
    yield h
    watch.stop()
    h.process.kill()
    h.process.wait()
    for s in listeners:
        s.close()


@pytest.fixture(scope="module")
def told(host):
    """Runs every trigger in a container of its own, the twins together where they are alike: container -> alerts, twins' container -> what may be told, rules."""
    jobs, twins = [], {}
    for c in CASES:
        linger = "\n/bin/sleep 0.7" if c.trigger and c.trigger.startswith(SOON) else ""  # what a container does to files in its last moment is not always told
        jobs.append((name_of(c), c.options, c.main, c.trigger and c.trigger + linger))
        options = () if c.rule == "Container may do everything" else c.options
        twins.setdefault((options, c.twin_also), []).append(c)
    jobs.sort(key=lambda j: -len(re.findall(r"sleep|flood|1100|serve|spray", j[3] or "after sleep")))  # what takes long begins first
    with concurrent.futures.ThreadPoolExecutor(max_workers=5) as pool:
        each = 'for s in "$@"; do /bin/setsid /bin/sh -c "$s" & done; wait'
        runs = [pool.submit(host.start, f"b-{i}", options, ["/bin/sh", "-c", each, "--", *(c.twin + "\nwait" for c in cases)]) for i, ((options, _), cases) in enumerate(twins.items())]
        for name, options, main, script in jobs:
            runs.append(pool.submit(host.start, name, options, main) if main else pool.submit(host.shell, name, options, script))
        for r in runs:
            r.result()
    time.sleep(1.5)  # rates are told every second
    return host.alerts(), {f"b-{i}": (also, {c.rule for c in cases}) for i, ((_, also), cases) in enumerate(twins.items())}


HELLO = "GET / HTTP/1.1\\r\\nAuthorization: Basic %s\\r\\n\\r\\n"
FROM_OUTSIDE = {  # rule: what the server does, what clients outside do that cause it, and what others do that do not: (address, port, text, times)
    "Default credentials used from outside": ("actor listen 8000 8000", ("127.0.0.1", 8000, HELLO % "YWRtaW46YWRtaW4=", 1), ("127.0.0.1", 8000, HELLO % "YWRtaW46azcjcFE=", 1)),
    "Logins from outside refused again and again": ("actor answer 6379 8000 '-WRONGPASS invalid'", ("127.0.0.1", 6379, "AUTH x7kpQ\\r\\n", 16), ("127.0.0.1", 6379, "AUTH x7kpQ\\r\\n", 5)),
    "Database lets strangers in": ("actor zeros 5432 8000", ("93.184.216.34", 5432, "hello", 1), ("127.0.0.1", 5432, "hello", 1)),
    "Request with an attack in it": ("actor listen 8001 8000", ("127.0.0.1", 8001, "GET /?x=${jndi:ldap://x/a} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n", 1),
                                     ("127.0.0.1", 8001, "GET /index.html HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n", 1)),
}


@pytest.mark.parametrize("rule", FROM_OUTSIDE)
def test_from_outside(host, rule):
    """What a server in a container is told by a client that is in none: a program of the host that enters the container's network only."""
    serve, trigger, twin = FROM_OUTSIDE[rule]
    for what, (address, port, text, times) in (("caused", trigger), ("not", twin)):
        name = f"outside-{what}-{port}"
        host.docker("run", "-d", "--rm", "--name", name + OWN, "--network", "none", "--cap-add", "NET_ADMIN", "pack:1", "/bin/sh", "-c", f"/bin/busybox ip addr add 93.184.216.34/32 dev lo; exec {serve}")
        host.watch.wait_for(lambda l: l["type"] == "listen" and l.get("container", {}).get("name") == name + OWN)
        pid = host.docker("inspect", "-f", "{{.State.Pid}}", name + OWN).decode().strip()
        subprocess.run(["nsenter", "-t", pid, "-n", f"/proc/{pid}/root/bin/actor", "say", address, str(port), text, str(times)], check=True, timeout=60)
        said = host.watch.wait_for(lambda l: l.get("container", {}).get("name") == name + OWN and any(l.get(l["type"], {}).get("accepted") for _ in "1"))
        assert all(l["process"]["exe"] == "/bin/actor" for l in said)
        if what == "caused":
            host.watch.wait_for(lambda l: l["type"] == "alert" and l.get("container", {}).get("name") == name + OWN)
        host.docker("rm", "-f", name + OWN)
        host.watch.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == name + OWN)
        assert {a["rule"] for a in host.alerts().get(name, [])} == ({rule} if what == "caused" else set())


def test_from_another_network(host):
    """A client in a network of its own, at the other end of a wire: what it says to the container is told once, with its address."""
    away = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    try:
        host.docker("run", "-d", "--rm", "--name", "wired" + OWN, "--network", "none", "pack:1", "/bin/actor", "listen", "8003", "8000")
        host.watch.wait_for(lambda l: l["type"] == "listen" and l.get("container", {}).get("name") == "wired" + OWN)
        pid = host.docker("inspect", "-f", "{{.State.Pid}}", "wired" + OWN).decode().strip()
        wire = subprocess.run(["ip", "link", "add", "eth0", "netns", str(away.pid), "type", "veth", "peer", "name", "eth0", "netns", pid], capture_output=True, text=True)
        if wire.returncode != 0:
            pytest.skip("no veth: " + wire.stderr.strip())
        for net, address in ((str(away.pid), "93.184.216.34"), (pid, "93.184.216.35")):
            subprocess.run(["nsenter", "-t", net, "-n", "sh", "-c", f"ip addr add {address}/24 dev eth0; ip link set eth0 up"], check=True)
        say = ["nsenter", "-t", str(away.pid), "-n", f"/proc/{pid}/root/bin/actor", "say", "93.184.216.35", "8003", HELLO % "YWRtaW46YWRtaW4=", "1"]
        subprocess.run(say, check=True, timeout=60)
        host.watch.wait_for(lambda l: l["type"] == "alert" and l.get("container", {}).get("name") == "wired" + OWN)
        said, = [l for l in host.watch.lines() if l["type"] == "http" and l.get("container", {}).get("name") == "wired" + OWN]
        assert said["http"]["accepted"] and said["http"]["peer"] == "93.184.216.34" and said["process"]["exe"] == "/bin/actor"
        assert [a["rule"] for a in host.alerts()["wired"]] == ["Default credentials used from outside"]
    finally:
        away.kill()
        away.wait()
        host.docker("rm", "-f", "wired" + OWN)


def test_both_ends_tell_once(host):
    """What passes between two programs of containers is told by the one that connected, and not again by the other."""
    host.shell("both-ends", (), "actor answer 8002 1500 hello & actor say 127.0.0.1 8002 'GET /once HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' 1")
    host.watch.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "both-ends" + OWN)
    said = [l["type"] for l in host.watch.lines() if l.get("container", {}).get("name") == "both-ends" + OWN and l["type"] in ("http", "payload")]
    assert said == ["http", "payload"]


ENTER = """
import ctypes, os, sys
folder = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
top = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
inner = os.open(f"/proc/{sys.argv[1]}/ns/mnt", os.O_RDONLY)
assert ctypes.CDLL(None).setns(inner, 0) == 0
if sys.argv[2] == "cwd":
    os.fchdir(folder)
elif sys.argv[2] == "detached":  # in a mount that is in no namespace yet, or in an anonymous one
    tree = ctypes.CDLL(None).syscall(428, -100, b"/tmp", 1)  # open_tree, OPEN_TREE_CLONE; stays open
    assert tree >= 0
    os.fchdir(tree)
elif sys.argv[2] == "root":
    program = os.open("/bin/actor", os.O_PATH)
    os.fchdir(top)
    os.chroot(".")
    os.execve(program, ["actor", "true"], {})
os.execv("/bin/actor", ["actor", "true"])
"""
STANDS = """/bin/busybox mount -t tmpfs none /mnt; cd /mnt; /bin/busybox umount -l /mnt; actor true
cd /tmp; /bin/busybox unshare -m /bin/sh -c 'actor true; cd /; actor true'; /bin/mkdir -p /tmp/r/bin; /bin/cp /bin/busybox /tmp/r/bin; /bin/busybox chroot /tmp/r /bin/busybox true"""


@pytest.mark.parametrize("how", ["cwd", "root"])
def test_folder_of_the_host(host, how):
    """What runc left to containers before 1.1.12 (CVE-2024-21626), and what exploits write: a program that stands in, or whose root is, a folder of another mount namespace."""
    from test_respond import inside
    name = f"outside-{how}"
    host.docker("run", "-d", "--rm", "--name", name + OWN, "--network", "none", "pack:1", "/bin/sleep", "30")
    host.watch.wait_for(lambda l: l["type"] == "exec" and l.get("container", {}).get("name") == name + OWN and l["process"]["args"] == ["/bin/sleep", "30"])
    pid = int(host.docker("inspect", "-f", "{{.State.Pid}}", name + OWN))
    for way in ("none", "detached", how):
        assert inside(pid, ENTER, pid, way, net=False).wait(30) == 0
    host.docker("exec", "-w", "/tmp", name + OWN, "/bin/actor", "true")
    host.watch.wait_for(lambda l: l["type"] == "alert" and l.get("container", {}).get("name") == name + OWN)
    host.docker("rm", "-f", name + OWN)
    host.watch.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == name + OWN)
    alert, = [a for a in host.alerts()[name] if a["rule"] == OUTSIDE]
    assert alert["process"]["args"] == ["actor", "true"] and alert["severity"] == "critical"
    flags = [l["exec"].get("flags", []) for l in host.watch.lines() if l["type"] == "exec" and l.get("container", {}).get("name") == name + OWN and l["process"]["args"][1:] == ["true"]]
    assert [f"{how}_outside" in f for f in flags] == [False, False, True, False], flags
    told = [l["process"].get("cwd") for l in host.watch.lines() if l["type"] == "exec" and l.get("container", {}).get("name") == name + OWN and l["process"]["args"][1:] == ["true"]]
    assert told == ["/", "/tmp", "/etc" if how == "cwd" else "/", "/tmp"]


def test_folders_of_its_own(host):
    host.shell("inside-folders", SYS_ADMIN, STANDS)
    host.watch.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "inside-folders" + OWN)
    mine = [l for l in host.watch.lines() if l["type"] == "exec" and l.get("container", {}).get("name") == "inside-folders" + OWN]
    assert len([l for l in mine if l["process"]["args"][:2] == ["actor", "true"]]) == 3
    assert not [l for l in mine if {"cwd_outside", "root_outside"} & set(l["exec"].get("flags", []))]
    assert OUTSIDE not in {a["rule"] for a in host.alerts().get("inside-folders", [])}


def test_hidden_by_a_device(host):
    """Runtimes hide files by laying /dev/null over them; what is done with the device is not done with the file."""
    host.shell("hidden", ("-v", "/dev/null:/etc/shadow", "-v", "/dev/null:/tmp/sink"), "/bin/sleep 1; echo x >/tmp/sink; /bin/cat /etc/shadow; /bin/cat /etc/passwd >/dev/null; /bin/sleep 1")
    host.watch.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "hidden" + OWN)
    assert not [l["file"] for l in host.watch.lines() if l["type"] == "file" and l.get("container", {}).get("name") == "hidden" + OWN and l["file"].get("path") == "/etc/shadow"]
    assert "hidden" not in host.alerts()


def name_of_every_rule():
    rules = [r for f in sorted(PACK.glob("*.yaml")) for r in yaml.safe_load(f.read_text())]
    return [r["rule"] for r in rules if "rule" in r and "remember" not in r]


def test_every_rule_is_tested_with_a_twin():
    by_records = set(re.findall(r'^ *\{"([^"]+)", \w+, \w+\}', (ROOT / "src/detect/test-pack.c").read_text(), re.M))
    import test_acceptance  # which has triggers and twins of the others, and imports this module
    by_containers = {c.rule for c in CASES if (c.trigger or c.main) and c.twin} | {BY_HAND, OUTSIDE}
    by_containers |= set(FROM_OUTSIDE)
    by_containers |= ({row.alert for row in test_acceptance.ROWS} | {"Attack tool ran on the host"}) & set(test_acceptance.TWINS)
    rules = name_of_every_rule()
    assert len(rules) == len(set(rules))
    assert set(rules) - by_records - by_containers == set()
    assert (by_records | by_containers) - set(rules) == set()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.rule)
def test_trigger(told, case):
    alerts = told[0].get(name_of(case), [])
    rules = {a["rule"] for a in alerts}
    assert case.rule in rules, f"told: {rules}"
    assert rules - {case.rule} <= case.also


def test_twins(told):
    alerts, twins = told
    wrong = {}
    for name, (also, rules) in twins.items():
        assert not also & rules
        found = [(a["rule"], a["summary"], a["before"][-6:]) for a in alerts.get(name, []) if a["rule"] not in also]
        wrong.update({name: found} if found else {})
    assert wrong == {}


def test_terminal_of_the_host(host):
    """A terminal of this machine that a container was given is another's too, whatever path leads to it; one on which no session runs is nobody's."""
    pid, master = pty.fork()
    if not pid:
        os.execv("/bin/sleep", ["sleep", "60"])
    while not (ours := os.readlink(f"/proc/{pid}/fd/0")).startswith("/dev/pts/"):
        time.sleep(0.01)  # it is its session's from then on
    spare, nobodys = pty.openpty()
    try:
        for name, terminal in (("host-terminal", ours), ("nobodys-terminal", os.ttyname(nobodys))):
            host.shell(name, ("-v", "/dev/pts:/there"), f"/bin/sleep 1; actor spy /there/{os.path.basename(terminal)}; /bin/sleep 1")
        host.watch.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "nobodys-terminal" + OWN)
        told = host.alerts()
        alert, = told["host-terminal"]
        assert alert["rule"] == "Terminal of another session read" and alert["process"]["args"] == ["actor", "spy", f"/there/{os.path.basename(ours)}"] and "nobodys-terminal" not in told
        opened, = [l for l in host.watch.lines() if l["type"] == "file" and l.get("container", {}).get("name") == "host-terminal" + OWN and l["file"].get("node")]
        assert opened["file"]["node"] == "terminal" and opened["file"]["path"] == f"/there/{os.path.basename(ours)}" and opened["file"]["watch"] == "device" and opened["file"]["source"] != "fanotify"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for fd in (master, spare, nobodys):
            os.close(fd)


def test_shell_opened_by_hand(host):
    """A person's shell through `docker exec -it` is told of, once; a command through `docker exec` is not."""
    host.docker("run", "-d", "--rm", "--name", "by-hand" + OWN, "--network", "none", "pack:1", "/bin/sleep", "60")
    host.docker("run", "-d", "--rm", "--name", "not-by-hand" + OWN, "--network", "none", "pack:1", "/bin/sleep", "60")
    for command in (["/bin/sh", "-c", "/bin/ls /; /bin/ps"], ["/bin/true"]):
        host.docker("exec", "not-by-hand" + OWN, *command)
    master, slave = pty.openpty()
    p = subprocess.Popen(host.docker.command("exec", "-it", "by-hand" + OWN, "/bin/sh"), env=host.docker.env(), stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    os.write(master, b"/bin/ls /\n/bin/ps\n/bin/sh\nexit\nexit\n")
    end = time.monotonic() + 20
    while p.poll() is None and time.monotonic() < end:
        try:
            os.read(master, 4096)
        except OSError:
            break
    assert p.wait(10) == 0
    os.close(master)
    host.watch.wait_for(lambda l: l["type"] == "alert" and l.get("container", {}).get("name") == "by-hand" + OWN)
    alerts = host.alerts()
    assert [a["rule"] for a in alerts["by-hand"]] == [BY_HAND] and "not-by-hand" not in alerts
    host.docker("rm", "-f", "by-hand" + OWN, "not-by-hand" + OWN)


# ---- ordinary work ----

def of_host(*programs):
    """The programs, and the libraries they need, as members of a tar: path -> bytes."""
    found = {}
    for program in programs:
        real = os.path.realpath(program)
        found[program[1:]] = pathlib.Path(real).read_bytes()
        out = subprocess.run(["ldd", real], capture_output=True, text=True).stdout
        for lib in re.findall(r"(/\S+) \(0x", out):
            found[lib[1:]] = pathlib.Path(lib).read_bytes()
    return found


def debian():
    """An image with dpkg, a shell, nginx and redis of this machine."""
    wanted = ["/bin/sh", "/usr/bin/dpkg", "/usr/bin/dpkg-deb", "/usr/bin/dpkg-split", "/usr/bin/tar", "/bin/rm", "/bin/cat", "/bin/ls", "/bin/sleep", "/bin/mkdir", "/usr/bin/id", "/usr/bin/dpkg-query",
              "/usr/bin/diff", "/bin/chmod", "/bin/chown", "/usr/sbin/nginx", "/usr/bin/redis-server", "/usr/bin/redis-cli", "/usr/bin/redis-benchmark", "/sbin/ldconfig", "/bin/busybox", "/sbin/start-stop-daemon"]
    members = of_host(*(p for p in wanted if os.path.exists(p)))
    texts = {"etc/passwd": "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n", "etc/group": "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n",
             "etc/shadow": "root:*:1::::::\n", "var/lib/dpkg/status": "", "var/lib/dpkg/available": "", "etc/crontab": "", "var/www/index.html": "hello\n",
             "etc/nginx/nginx.conf": "daemon off; worker_processes 2; error_log /dev/stderr; events {} http { access_log /var/log/nginx/access.log; server { listen 80; root /var/www; } }\n"}
    folders = ["tmp", "root", "proc", "sys", "dev", "run", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/log/nginx", "var/lib/nginx", "etc/cron.d", "etc/init.d", "lib/systemd/system", "pkg"]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        made = set()
        for name in [*folders, *(os.path.dirname(m) for m in [*members, *texts])]:
            for i in range(1, len(name.split("/")) + 1):
                part = "/".join(name.split("/")[:i])
                if part not in made:
                    made.add(part)
                    info = tarfile.TarInfo(part)
                    info.type, info.mode = tarfile.DIRTYPE, 0o1777 if part == "tmp" else 0o755
                    tar.addfile(info)
        for name, data in [*members.items(), *((n, t.encode()) for n, t in texts.items())]:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o600 if name == "etc/shadow" else 0o755
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def package(path):
    """A .deb with a program, a job, a unit, a set-uid helper, and scripts that run the program."""
    tree = path / "deb"
    for folder in ("DEBIAN", "usr/bin", "etc/cron.d", "lib/systemd/system", "etc/init.d"):
        (tree / folder).mkdir(parents=True)
    (tree / "DEBIAN/control").write_text("Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n")
    (tree / "usr/bin/tool").write_bytes(pathlib.Path("/bin/busybox").read_bytes())
    (tree / "usr/bin/tool").chmod(0o755)
    (tree / "usr/bin/tool-root").write_text("#!/bin/sh\n")
    (tree / "usr/bin/tool-root").chmod(0o4755)
    (tree / "etc/cron.d/tool").write_text("0 0 * * * root tool\n")
    (tree / "lib/systemd/system/tool.service").write_text("[Service]\nExecStart=/usr/bin/tool\n")
    (tree / "etc/init.d/tool").write_text("#!/bin/sh\n")
    (tree / "DEBIAN/postinst").write_text("#!/bin/sh\nset -e\nid root >/dev/null\n/usr/bin/tool true\necho 'tool:x:900:900::/:/bin/false' >>/etc/passwd\nchown root:root /usr/bin/tool\n")
    (tree / "DEBIAN/postinst").chmod(0o755)
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, path / "tool.deb"], check=True, capture_output=True)


USR = ("-v", "/usr:/usr:ro")  # compilers, python and PostgreSQL of this machine
BUILD = """mkdir -p /tmp/w && cd /tmp/w
for i in 1 2 3 4 5; do echo "int main(void){return 0;}" >conftest.c; gcc conftest.c -o conftest && ./conftest; done
printf 'all: prog\\n\\t./prog\\nprog: a.o b.o\\n\\tgcc -o prog a.o b.o\\n' >Makefile
echo 'int f(void);int main(void){return f();}' >a.c; echo 'int f(void){return 0;}' >b.c
make && ls -l && ps && id && uname -a; python3 -c 'import os; os.makedirs("/tmp/p"); open("/tmp/p/x.py","w").write("print(1)")'; python3 /tmp/p/x.py; git --version; rm -rf /tmp/w"""
POSTGRES = """P=$(ls -d /usr/lib/postgresql/*/bin | tail -1); mkdir -p /tmp/db && $P/initdb -D /tmp/db -U u -A trust >/dev/null && $P/pg_ctl -D /tmp/db -o "-k /tmp -c fsync=off" -w start >/dev/null
for i in 1 2 3 4 5; do $P/psql -h 127.0.0.1 -U u postgres -c 'create table if not exists t(a int); insert into t select generate_series(1,1000); select count(*) from t' >/dev/null; done; $P/pg_ctl -D /tmp/db -w stop >/dev/null"""
WEB = """nginx -c /etc/nginx/nginx.conf & sleep 0.5; for i in $(busybox seq 60); do busybox wget -qO /dev/null http://127.0.0.1/; done
nginx -c /etc/nginx/nginx.conf -s reload; sleep 0.5; busybox mv /var/log/nginx/access.log /var/log/nginx/access.log.1; nginx -c /etc/nginx/nginx.conf -s reopen; busybox gzip /var/log/nginx/access.log.1; sleep 0.5; nginx -c /etc/nginx/nginx.conf -s quit"""
REDIS = "redis-server --save '' --daemonize yes >/dev/null; sleep 0.3; redis-benchmark -q -n 20000 -c 50 -t get,set >/dev/null; redis-cli set a b; redis-cli bgsave; sleep 0.5; redis-cli shutdown nosave"
PYTHON = """python3 -m http.server 8000 >/dev/null 2>&1 & S=$!; sleep 0.7; python3 - <<'END'
import subprocess, urllib.request, concurrent.futures as c
with c.ThreadPoolExecutor(4) as p: list(p.map(lambda i: urllib.request.urlopen("http://127.0.0.1:8000/").read(1), range(40)))
subprocess.run(["ls", "-l", "/"], stdout=subprocess.DEVNULL); subprocess.run("date; hostname", shell=True, stdout=subprocess.DEVNULL)
END
kill $S"""
CRON = "/bin/busybox mkdir -p /var/spool/cron/crontabs; echo '* * * * * /bin/date' | /bin/busybox crontab -; /bin/busybox crond -b; /bin/sleep 6; /bin/ps; /bin/df; /bin/find /etc -name '*.conf'"
WORK = {
    "package": ("debian:1", ("-v", "PKG:/pkg:ro"), "dpkg -i /pkg/tool.deb && tool true && /usr/bin/tool-root; dpkg -l tool; dpkg -r tool"),
    "nginx": ("debian:1", (), WEB),
    "redis": ("debian:1", (), REDIS),
    "build": ("links:1", USR, BUILD),
    "postgres": ("links:1", (*USR, "--user", "1000"), POSTGRES),
    "python": ("links:1", USR, PYTHON),
    "cron": ("pack:1", (), CRON),
}
DOCKERFILE = "FROM pack:1\nRUN /bin/mkdir /app && /bin/cp /bin/actor /app/server && /app/server true\nRUN echo u2:x:1001:1001::/:/bin/sh >>/etc/passwd && /bin/chmod 755 /app/server\nCMD [\"/app/server\", \"true\"]\n"


def links():
    """A root that has nothing but links into /usr, which is mounted."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("tmp", "etc", "root", "usr", "proc", "sys", "dev", "var"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(info)
        for name in ("bin", "sbin", "lib", "lib64"):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, "usr/" + name
            tar.addfile(info)
        text = b"root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/tmp:/bin/sh\n"
        info = tarfile.TarInfo("etc/passwd")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


def test_ordinary_work(host, tmp_path):
    """At most one alert in each container; none but where the work is what an intruder does too."""
    for program in ("dpkg-deb", "nginx", "redis-server", "gcc", "make"):
        if not any(os.path.exists(f"{d}/{program}") for d in ("/usr/bin", "/usr/sbin", "/bin")):
            pytest.skip(f"{program} is not installed")
    package(tmp_path)
    host.docker("import", "-", "debian:1", input=debian())
    host.docker("import", "-", "links:1", input=links())
    before = {name: len(a) for name, a in host.alerts().items()}

    def work(name):
        image, options, script = WORK[name]
        options = [o.replace("PKG", str(tmp_path)) for o in options]
        p = subprocess.run(host.docker.command("run", "--rm", "--name", "work-" + name + OWN, "--network", "none", *options, image, "/bin/sh", "-c", script),
                           env=host.docker.env(), capture_output=True, text=True, timeout=60)
        assert p.returncode == 0, (name, p.returncode, p.stderr[-800:])

    def build():
        (tmp_path / "Dockerfile").write_text(DOCKERFILE)
        host.docker("build", "-q", "--network", "none", "-t", "built:1", tmp_path)
        host.docker("run", "--rm", "--name", "work-built" + OWN, "--network", "none", "built:1")
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        for r in [*(pool.submit(work, name) for name in WORK if name != "postgres" or list(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))), pool.submit(build)]:
            r.result()
    time.sleep(1)
    images = set(host.docker.text("images", "-aq", "--no-trunc").split())  # of containers that build: others may run on this machine
    found = {name: [a["rule"] for a in alerts[before.get(name, 0):]] for name, alerts in host.alerts().items()
             if len(alerts) > before.get(name, 0) and (name.startswith("work-") or alerts[-1]["container"].get("image") in images)}
    assert {name: rules for name, rules in found.items() if len(rules) > 1} == {}
    expected = {"work-cron": "Job planted"}  # who edits the table of jobs
    named = {name: rules[0] for name, rules in found.items() if name.startswith("work-")}
    assert {name: rule for name, rule in named.items() if expected.get(name) != rule} == {}


def test_rules_that_come_with_the_program(host, run, binary, tmp_path):
    """Without --rules it is these; --no-rules is none; an installed program finds them beside itself."""
    assert run("watch", "--no-rules", "--rules", PACK)[0] == 2
    installed = tmp_path / "bin" / "holdfast"
    installed.parent.mkdir()
    installed.write_bytes(binary.read_bytes())
    installed.chmod(0o755)
    code, out, err = run("watch", "--no-rules", "--frob")
    assert code == 2
    p = subprocess.run([installed, "watch", "--json"], capture_output=True, text=True, timeout=60)
    assert p.returncode == 3 and "share/holdfast/rules" in p.stderr and "--no-rules" in p.stderr
    (tmp_path / "share/holdfast").mkdir(parents=True)
    (tmp_path / "share/holdfast/rules").symlink_to(PACK)
    watches = []
    try:
        for name, program, args in (("default", binary, []), ("installed", installed, []), ("none", binary, ["--no-rules"])):
            (tmp_path / name).mkdir()
            watches.append(Watch(program, tmp_path / name, "--json", *args))
        host.shell("defaults", (), "/bin/cp /bin/actor /tmp/x; /tmp/x true")
        for w in watches:
            w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "defaults" + OWN)
        rules = [{l["rule"] for l in w.lines() if l["type"] == "alert" and l.get("container", {}).get("name") == "defaults" + OWN} for w in watches]
        assert rules == [{"Executable put into a loose place", "Dropped program ran from a loose place"}] * 2 + [set()]
    finally:
        for w in watches:
            w.stop()
