# SPDX-License-Identifier: Apache-2.0
"""Checks of policies that run a program inside, in containers of a real dockerd: what they may, how they end, and what their failing does."""
import pathlib
import time

import pytest

from test_docker import overlay  # noqa: F401 (a fixture)
from test_protect import IMAGE, box, prot, protecting, until  # noqa: F401
from test_watch import watch  # noqa: F401

POLICY = """
- policy: checked
  match: {image: "%s:*"}
  mode: %s
  disarm: {blocks_per_minute: 0}
  only_sealed: true
  health: {exec: %s, every: 1s, failures: 2%s}
"""


def enforced(w, name=None):
    until(lambda: any(c["enforced"] for c in w.status()["containers"] if name in (None, c["name"])))


def test_ill_under_a_canary_disarms(protecting, box):  # noqa: F811
    w = protecting(POLICY % (IMAGE, "canary", '[/bin/ls, /tmp/well]', ""))
    b = box("ill")
    b.sh("echo >/tmp/well")
    enforced(w)
    time.sleep(4)
    assert not w.status()["policies"][0]["disarmed"]
    b.sh("/bin/busybox rm /tmp/well")
    s = until(lambda: (s := w.status())["policies"][0]["disarmed"] and s)
    assert "the program ended with 1: ls: /tmp/well: No such file" in s["policies"][0]["why"] and not s["containers"][0]["enforced"]


LOOK = """[/bin/sh, -c, "(/bin/busybox id; /bin/busybox hostname; echo env $WHO; /bin/busybox grep -E 'Cap|NoNew|Seccomp:' /proc/self/status; echo mortal `/bin/busybox cat /proc/self/oom_score_adj`; echo nice `/bin/busybox cut -d ' ' -f 19 /proc/self/stat`; echo pid $$; /bin/busybox ls /proc/self/fd;
      /bin/busybox cat /proc/self/cgroup; /bin/busybox unshare -U /bin/true; /bin/busybox mount -t tmpfs x /tmp; /bin/busybox chroot / /bin/true) >/tmp/new 2>&1; /bin/busybox mv /tmp/new /tmp/said"]"""


@pytest.mark.parametrize("user, runs_as", [("", "uid=1234 gid=55"), (", user: '7:8'", "uid=7 gid=8"), (", user: 0", "uid=0 gid=0")])
def test_what_it_may(protecting, box, user, runs_as):  # noqa: F811
    w = protecting(POLICY % (IMAGE, "enforce", LOOK, user), "--no-rules", "--type", "exec,verdict,status")
    b = box("may", "--user", "1234:55", "--hostname", "there", "-e", "WHO=me", "--cap-add", "SYS_ADMIN", "--tmpfs", "/tmp:mode=1777", "--oom-score-adj", "321")
    enforced(w)
    said = until(lambda: b.sh("/bin/busybox cat /tmp/said 2>/dev/null").stdout).splitlines()
    assert said[0].startswith(runs_as) and said[1:3] == ["there", "env me"], said
    assert "mortal 321" in said and "nice 0" in said, said  # though the guard goes before others
    caps = {line.split(":")[0]: line.split()[1] for line in said if ":\t" in line}
    assert all(int(v, 16) == 0 for k, v in caps.items() if k.startswith("Cap")) and caps["NoNewPrivs"] == "1" and caps["Seccomp"] == "2", caps
    fds = said[said.index(next(l for l in said if l.startswith("pid "))) + 1:][:5]
    assert [f for f in fds if f.isdigit()] == ["0", "1", "2", "3"], said  # the last is that of who lists
    assert sum("not permitted" in line or "denied" in line for line in said) == 3, said
    line = w.wait_for(lambda l: l["type"] == "exec" and "id" in l["process"]["args"] and l["container"]["name"] == "may")[0]
    assert line["process"]["session"] == "check", line["process"]
    b.sh("/bin/busybox uname")
    line = w.wait_for(lambda l: l["type"] == "exec" and "uname" in l["process"]["args"])[0]
    assert line["process"]["session"] == "exec"
    assert {k: v for k, v in line["process"]["session_by"].items() if k not in ("pid", "login_uid")} == {"name": "docker", "uid": 0}
    assert not w.status()["policies"][0]["disarmed"] and "error" not in w.status()


def test_it_is_no_alert(protecting, box):  # noqa: F811
    """How it gets into the container is none of the container's doing; what it does there is."""
    w = protecting(POLICY % (IMAGE, "enforce", '[/bin/sh, -c, /bin/ls /tmp]', ""), "--severity", "info")
    box("quiet", "--user", "1234:55")
    enforced(w)
    w.wait_for(lambda l: l["type"] == "exec" and l["process"].get("session") == "check" and l["process"]["name"] == "ls")
    time.sleep(2)
    of = [l for l in w.lines() if l.get("process", {}).get("name") == "holdfast-check"]
    assert not of
    assert not [l for l in w.lines() if l["type"] == "alert"]


def groups():
    return list(pathlib.Path("/sys/fs/cgroup").rglob("holdfast-check-*"))


def test_it_ends_at_its_limit_with_all_that_it_started(protecting, box):  # noqa: F811
    w = protecting(POLICY % (IMAGE, "enforce", '[/bin/sh, -c, "/bin/busybox setsid /bin/sleep 777 & /bin/sleep 777"]', ", timeout: 1s"))
    b = box("slow")
    enforced(w)
    assert until(lambda: b.sh("/bin/busybox ps").stdout.count("sleep 777")) == 2
    # it was never well, and the container is young: it does not disarm
    until(lambda: "sleep 777" not in b.sh("/bin/busybox ps").stdout)
    assert not w.status()["policies"][0]["disarmed"]
    w.end()
    until(lambda: "sleep 777" not in b.sh("/bin/busybox ps").stdout and not groups())


def test_what_says_too_much_and_what_it_leaves_behind(protecting, box):  # noqa: F811
    w = protecting(POLICY % (IMAGE, "enforce", '[/bin/sh, -c, "if [ -e /tmp/loud ]; then /bin/busybox yes; else /bin/busybox setsid /bin/sleep 778 & fi"]', ""))
    b = box("loud")
    enforced(w)
    time.sleep(3)
    assert "sleep 778" not in b.sh("/bin/busybox ps").stdout or until(lambda: "sleep 778" not in b.sh("/bin/busybox ps").stdout)
    assert not w.status()["policies"][0]["disarmed"]
    b.sh("echo >/tmp/loud")
    s = until(lambda: (s := w.status())["policies"][0]["disarmed"] and s)
    assert "it says too much: y" in s["policies"][0]["why"]


def test_what_is_refused_says_nothing_of_the_service(protecting, box):  # noqa: F811
    """Whoever changes the program that checks neither has it run, nor disarms the policy by it."""
    w = protecting(POLICY % (IMAGE, "enforce", '[/bin/ls, /tmp]', ""))
    b = box("changed")
    enforced(w)
    time.sleep(2)
    b.sh("echo x | /bin/dd of=/bin/ls bs=1 seek=4000 count=1 conv=notrunc 2>/dev/null")
    until(lambda: "its check is not run in container changed" in w.status().get("error", ""))
    time.sleep(3)
    s = w.status()
    assert not s["policies"][0]["disarmed"] and s["policies"][0]["refused"] >= 2 and s["containers"][0]["enforced"]


def test_paused(protecting, box):  # noqa: F811
    w = protecting(POLICY % (IMAGE, "enforce", '[/bin/true]', ""))
    b = box("paused")
    enforced(w)
    time.sleep(2)
    assert b.call("pause", "paused").returncode == 0
    time.sleep(6)
    assert not w.status()["policies"][0]["disarmed"]
    b.call("unpause", "paused")


def test_files(run, tmp_path):
    def check(text):
        (tmp_path / "p.yaml").write_text(text)
        rc, out, err = run("policy", "check", tmp_path / "p.yaml")
        return rc, err
    head = '- policy: p\n  match: {image: "*"}\n'
    assert check(head + "  only_sealed: true\n  health: {exec: [/bin/check, -q], user: '1:2', timeout: 10s}\n")[0] == 0
    rc, err = check(head + "  no_shells: true\n  health: {exec: [/bin/sh, -c, x]}\n")
    assert rc == 2 and "refused by no_shells" in err, err
    assert check(head + "  no_shells: {allow: [/bin/sh]}\n  health: {exec: [/bin/sh, -c, x]}\n")[0] == 0
    for wrong, why in (("exec: [check]", "path of a program"), ("exec: []", "path of a program"), ("exec: /bin/x", "must be a list"), ("exec: [/x], tcp: 127.0.0.1:1", "one check"), ("tcp: 127.0.0.1:1, user: 5", "of a program"),
                       ("exec: [/x], user: root", "must be a number"), ("exec: [/x], timeout: 61s", "1s to 60s")):
        rc, err = check(head + f"  only_sealed: true\n  health: {{{wrong}}}\n")
        assert rc == 2 and why in err, (wrong, err)
    (tmp_path / "p.yaml").write_text(head + "  only_sealed: true\n  health: {exec: [/bin/check, -q], failures: 4}\n")
    rc, out, err = run("policy", "explain", tmp_path / "p.yaml")
    assert rc == 0 and "when /bin/check -q in the container fails 4 times, 5 s apart; 3 s are given to it" in out, out
