# SPDX-License-Identifier: Apache-2.0
"""`watch --cost`: what watching costs, shown and in JSON; `--budget`: who floods is limited first, then what matters least is given up, loudly, and what
is critical is still told."""
import os
import pty
import fcntl
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from test_docker import overlay  # noqa: F401 (a fixture)
from test_watch import busybox, watch  # noqa: F401 (fixtures)

RULES = """
- rule: Dear
  desc: d
  condition: container.id != host and ((evt.type = prctl and proc.name = nobody) or (evt.type = execve and (GLOBS)))
  output: o
  priority: LOW
- rule: Program from a temporary folder
  desc: d
  condition: evt.type = execve and container.id != host and proc.exepath startswith /tmp/
  output: "%proc.exepath ran"
  priority: CRITICAL
- rule: Detection was reduced
  desc: d
  condition: evt.type = hf.status and hf.status[state] in (limited, left_out, shed)
  output: "%hf.status[what]: %hf.status[reason]"
  priority: HIGH
  once: 1s
"""


def rules(globs):
    """With so many patterns, which is what makes the rule dear."""
    return RULES.replace("GLOBS", " or ".join(f'proc.cmdline glob "*b*n*t*e*{i}"' for i in range(globs)))


LOOP = "i=0; while :; do /bin/true; /bin/true; done"


def docker(busybox, *args):  # noqa: F811
    return subprocess.run(busybox.command(*args), env=busybox.env(), capture_output=True, timeout=60)


def test_json(watch, busybox):  # noqa: F811
    docker(busybox, "run", "-d", "--name", "busy", "--network", "none", "box:1", "/bin/sh", "-c", LOOP)
    w = watch("--cost", "--json", "--budget", "0")
    full = w.wait_for(lambda l: l.get("cost", {}).get("hooks") and l["cost"]["rules"] and any(c["name"] == "busy" for c in l["cost"]["containers"]))[-1]["cost"]
    assert docker(busybox, "rm", "-f", "busy").returncode == 0
    assert {l["type"] for l in w.lines()} == {"status"}
    assert full["budget_pct"] == 0 and full["rules_given_up"] == 0
    assert abs(full["core_pct"] - full["sensor_pct"] - full["engine_pct"] - full["hooks_pct"] - full["guard_pct"] - full["guard_hooks_pct"]) < 0.01
    assert full["sensor_rss_kib"] > 1000 and full["engine_rss_kib"] > 1000 and full["kernel_bytes"] > 1 << 20
    hooks = {h["name"]: h for h in full["hooks"]}
    assert hooks["hf_exec"]["events"] == ["exec"] and hooks["hf_exec"]["runs_per_s"] > 0 and hooks["hf_exec"]["ns_each"] > 0 and hooks["hf_exec"]["rules"] > 5
    assert [h["core_pct"] for h in full["hooks"]] == sorted((h["core_pct"] for h in full["hooks"]), reverse=True)
    assert len(full["rules"]) <= 20 and full["other_rules_pct"] >= 0
    on_exec = [r for r in full["rules"] if "exec" in r["events"]]
    assert on_exec and all(r["tried_per_s"] > 0 and not r["given_up"] for r in on_exec)
    code, err = w.end()
    assert code in (0, 4) and err in ("", err if code == 4 else "")


def test_one_rule_only(watch):  # noqa: F811
    w = watch("--cost", "--json", "--rule", "Password hashes read")
    cost = w.wait_for(lambda l: "cost" in l)[0]["cost"]
    assert [r["rule"] for r in cost["rules"]] == ["Password hashes read"] and cost["rules"][0]["severity"] == "high"
    assert w.end()[0] in (0, 4)


def tables(text):
    return [t for t in re.split(r"(?m)^(?=[0-9.]+ % of a core)", text) if t.strip()]


def test_tables_in_a_file(binary, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("watching needs root")
    with open(tmp_path / "out", "wb") as out:
        p = subprocess.Popen([binary, "watch", "--cost"], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)
        end = time.monotonic() + 30
        while time.monotonic() < end and len(tables((tmp_path / "out").read_text())) < 3 and p.poll() is None:
            time.sleep(0.1)
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=30)
    if b"type information" in err:
        pytest.skip("this kernel has no type information")
    text = (tmp_path / "out").read_text()
    found = tables(text)
    assert len(found) >= 3 and "\033" not in text
    headings = [line for line in found[-1].splitlines() if re.match(r"[A-Z]", line)]
    assert [h.split()[0] for h in headings if h.split()[0] in ("HOOK", "RULE")] == ["HOOK", "RULE"]
    assert all(len(line) <= 100 for line in found[-1].splitlines()), "columns"
    rows = found[-1].split("\nRULE", 1)[1].splitlines()[1:]
    assert [r.split("  ")[0] for r in rows[:6]] == ["(reading, joining, output)", "(finding the watched files)", "(process tree)", "(record and display)", "(guard: digests)",
                                                     "(guard: verdicts, policies)"]
    assert any(r.startswith("Password hashes read") for r in rows), "without a terminal every rule has its line"


@pytest.mark.parametrize("columns", [100, 80])
def test_on_a_terminal(binary, columns):
    if os.geteuid() != 0:
        pytest.skip("watching needs root")
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    p = subprocess.Popen([binary, "watch", "--cost"], stdin=side, stdout=side, stderr=subprocess.PIPE, env={k: v for k, v in os.environ.items() if k != "NO_COLOR"})
    os.close(side)
    text, end = b"", time.monotonic() + 30
    while time.monotonic() < end and text.count(b"\033[H\033[J") < 4 and p.poll() is None:
        if select.select([main], [], [], 0.2)[0]:
            text += os.read(main, 65536)
    p.send_signal(signal.SIGINT)
    end = time.monotonic() + 20
    while time.monotonic() < end and p.poll() is None:
        if select.select([main], [], [], 0.1)[0]:
            try:
                os.read(main, 65536)
            except OSError:
                break
    err = p.communicate(timeout=60)[1]
    os.close(main)
    if b"type information" in err:
        pytest.skip("this kernel has no type information")
    page = text.decode().replace("\r", "").split("\033[H\033[J")[2]
    assert "\033[1m" in page
    lines = re.sub("\033\\[[0-9;]*m", "", page).splitlines()
    assert len(lines) < 40 and all(len(line) <= columns for line in lines)
    assert any(line.startswith("(") and "more rules)" in line for line in lines), "what has no room is summed"


def test_flood_is_limited_then_the_least_is_given_up(watch, busybox, tmp_path):  # noqa: F811
    (tmp_path / "rules.yaml").write_text(rules(300))
    w = watch("--json", "--type", "status", "--rules", tmp_path / "rules.yaml", "--budget", "0.01")
    docker(busybox, "run", "-d", "--name", "flooder", "--network", "none", "box:1", "/bin/sh", "-c", f"({LOOP}) & {LOOP}")
    limited = w.wait_for(lambda l: l["type"] == "status" and l["status"].get("state") == "limited" and l["status"]["container"] == "flooder", 60)[0]
    shed = w.wait_for(lambda l: l["type"] == "status" and l["status"].get("state") == "shed", 120)[0]
    # who floods is named, with numbers
    assert limited["container"]["name"] == "flooder" and float(limited["status"]["cost_pct"]) > float(limited["status"]["budget_pct"]) == 0.01
    assert float(limited["status"]["share_pct"]) > 50 and int(limited["status"]["per_s"]) >= 100
    # the LOW rule goes, with its events; the kernel half is told
    assert shed["status"]["rules"] == "Dear" and shed["status"]["severity"] == "low" and "rename" in shed["status"]["events"]
    w.wait_for(lambda l: l["type"] == "status" and "rename" in l["status"].get("left_out.containers", ""))
    w.wait_for(lambda l: l.get("cost", {}).get("rules_given_up") == 1 and "rename" in l["cost"]["left_out"])
    # an alert of it, for the container that brought it about
    alerts = w.wait_for(lambda l: l["type"] == "alert" and l["rule"] == "Detection was reduced" and l.get("container", {}).get("name") == "flooder")
    assert "ordinary events of flooder limited to" in alerts[0]["summary"] and "makes" in alerts[0]["summary"]
    # within the flood, and elsewhere, what is critical is told
    assert docker(busybox, "exec", "flooder", "/bin/sh", "-c", "cp /bin/true /tmp/true && /tmp/true").returncode == 0
    assert docker(busybox, "run", "--rm", "--name", "elsewhere", "--network", "none", "box:1", "/bin/sh", "-c", "cp /bin/sleep /tmp/sleep && /tmp/sleep 0").returncode == 0
    for program, container in (("/tmp/true", "flooder"), ("/tmp/sleep", "elsewhere")):
        told = w.wait_for(lambda l: l["type"] == "alert" and l["summary"] == f"{program} ran")
        assert told[0]["container"]["name"] == container and told[0]["severity"] == "critical"
    # what the limit left out is told as lost, of this container
    w.wait_for(lambda l: l["type"] == "drop" and l["drop"]["reason"] == "over_budget" and l.get("container", {}).get("name") == "flooder")
    assert docker(busybox, "rm", "-f", "flooder").returncode == 0
    code, err = w.end()
    assert code == 4 and "ordinary events of flooder limited to" in err and "rule given up: Dear; events left out: " in err
    assert [l for l in w.lines() if l["type"] == "status" and l["status"].get("state") == "shed" and "Program from" in l["status"].get("rules", "")] == []


def test_what_was_given_up_comes_back(watch, busybox, tmp_path):  # noqa: F811
    """A load sheds a rule; when it is gone the rule is back, sees again what it did not see meanwhile, and the kernel half is told."""
    (tmp_path / "rules.yaml").write_text(rules(3000))  # so dear that what other containers of this machine cost is little beside it
    w = watch("--json", "--type", "status", "--rules", tmp_path / "rules.yaml", "--budget", "6")

    def told(state, text, seconds):
        return w.wait_for(lambda l: l["type"] == "status" and l["status"].get("state") == state and text in l["status"]["what"], seconds)[0]["status"]

    def one(name):  # a program that the rule is about
        docker(busybox, "run", "--rm", "--name", name, "--network", "none", "box:1", "/bin/true", "b-n-t-e-1")

    docker(busybox, "run", "-d", "--name", "load", "--network", "none", "box:1", "/bin/sh", "-c", f"({LOOP}) & {LOOP}")
    told("shed", "rule given up: Dear", 120)
    w.wait_for(lambda l: l.get("cost", {}).get("rules_given_up"))
    one("unseen")
    assert docker(busybox, "rm", "-f", "load").returncode == 0
    back = told("restored", "rule back: Dear; events told again: ", 300)
    assert float(back["cost_pct"]) < float(back["budget_pct"]) == 6
    told("restored", "ordinary events of load not limited any more", 300)
    assert w.wait_for(lambda l: "left_out.containers" in l.get("status", {}))[-1]["status"]["left_out.containers"] == "none"
    one("seen")
    w.wait_for(lambda l: l["type"] == "alert" and l["rule"] == "Dear" and l["container"]["name"] == "seen")
    assert not [l for l in w.lines() if l["type"] == "alert" and l["rule"] == "Dear" and l["container"]["name"] == "unseen"]
    assert w.end()[0] in (0, 4)


def test_recordings_are_whole(watch, tmp_path):  # noqa: F811
    w = watch("--json", "--type", "status", "--no-rules", "--budget", "0.01", "--record", tmp_path / "a.hfrec")
    said = w.wait_for(lambda l: l["type"] == "status" and l["status"].get("state") == "over_budget", 60)[0]["status"]
    assert "nothing that may be given up would help" in said["what"] and "events" not in said
    assert {l["status"]["state"] for l in w.lines() if l["type"] == "status" and "state" in l["status"]} <= {"started", "running", "over_budget", "limited"}
    assert all(l["status"]["left_out.containers"] == "none" for l in w.lines() if l["type"] == "status" and "left_out.containers" in l["status"])
    assert w.end()[0] in (0, 4)


def test_wrong_use(run):
    for args in (("--cost", "--map"), ("--cost", "--tree"), ("--cost", "--replay", "x"), ("--cost", "--type", "exec"), ("--budget", "much"), ("--budget", "1.234"), ("--budget", "-1")):
        code, _, err = run("watch", *args)
        assert code == 2 and ("--cost" in err or "--budget" in err)


def test_large_files_are_hashed_slowly_before_anything_is_given_up(watch, busybox):  # noqa: F811
    """The guard's work is a part of the cost; when large files make it too much they are taken slowly, small ones are not."""
    w = watch("--json", "--type", "status,verdict", "--budget", "2")
    docker(busybox, "run", "-d", "--name", "large", "--network", "none", "box:1", "/bin/sh", "-c", "/bin/sleep 300")
    script = "for i in 1 2 3 4 5 6 7 8 9; do mkdir /tmp/large$i; cp /bin/sleep /tmp/large$i/sleep; truncate -s 3G /tmp/large$i/sleep; /tmp/large$i/sleep 0; done"
    assert docker(busybox, "exec", "large", "/bin/sh", "-c", script).returncode == 0
    paced = w.wait_for(lambda l: l["type"] == "status" and l["status"].get("state") in ("paced", "shed", "left_out"), 60)[0]["status"]
    assert paced["state"] == "paced" and "slowly" in paced["what"] and float(paced["saves_pct"]) > 1 and "rules" not in paced
    cost = w.wait_for(lambda l: l.get("cost", {}).get("guard_paced"))[0]["cost"]
    assert cost["guard_pct"] * 1.1 > cost["guard_hash_pct"] > 0  # read one after the other
    w.wait_for(lambda l: l.get("cost", {}).get("guard_paced") and l["cost"]["guard_hash_pct"] < 1.5)
    assert docker(busybox, "exec", "large", "/bin/sh", "-c", "mkdir /tmp/small; cp /bin/sleep /tmp/small/sleep; echo >>/tmp/small/sleep; /tmp/small/sleep 0").returncode == 0
    w.wait_for(lambda l: l["type"] == "verdict" and l["verdict"]["path"] == "/tmp/small/sleep" and l["verdict"]["result"] == "foreign", 20)
    assert len({l["verdict"]["path"] for l in w.lines() if l["type"] == "verdict" and "large" in l["verdict"]["path"]}) < 9, "they are still waited for"
    docker(busybox, "rm", "-f", "large")
