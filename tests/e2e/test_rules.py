# SPDX-License-Identifier: Apache-2.0
"""Recordings, and the commands of `rules` on them: a real recording made here from containers of a real dockerd, and the one kept in the tests."""
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import time

import pytest

from test_docker import overlay  # noqa: F401 (a fixture)
from test_watch import RULES, busybox, watch  # noqa: F401 (fixtures)

ROOT = pathlib.Path(__file__).resolve().parents[2]


def drop_and_run(box, name):
    subprocess.run(box.command("run", "--rm", "--name", name, "--network", "none", "box:1", "/bin/sh", "-c",
                               "/bin/cp /bin/true /tmp/true; /tmp/true; /tmp/true; exit 3"), env=box.env(), capture_output=True)


def without_cost(text):
    """What watching cost is measured while it is done, and not recorded."""
    told = [json.loads(line) for line in text.splitlines()]
    for event in told:
        event.pop("cost", None)
    return told


def test_replay_gives_the_output_of_the_recording(watch, busybox, run, binary, tmp_path):  # noqa: F811
    rules, rec = tmp_path / "rules.yaml", tmp_path / "a.hfrec"
    rules.write_text(RULES)
    w = watch("--json", "--rules", rules, "--record", rec, "--budget", "0")
    drop_and_run(busybox, "kept")
    w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "kept")
    code, err = w.end()
    assert (code, err) == (0, "")
    assert rec.stat().st_mode & 0o7777 == 0o600
    live = (w.path / "out").read_text()
    code, out, err = run("watch", "--replay", rec, "--json", "--rules", rules)
    assert (code, err) == (0, "") and without_cost(out) == without_cost(live) and '"type":"alert"' in live
    # the same filters; the text form; through a pipe
    code, out, err = run("watch", "--replay", "-", "--json", "--alerts-only", "--rules", rules, "--container", "kept", input=rec.read_bytes(), text=False)
    told = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [a["count"] for a in told] == [1, 2] and {a["type"] for a in told} == {"alert"}
    assert run("watch", "--replay", rec, "--json", "--no-rules", "--container", "nothing")[1].count("\n") == live.count('"type":"status"')
    assert "ran /tmp/true" in run("watch", "--replay", rec)[1]
    # an ordinary user needs no privileges
    p = subprocess.run([str(binary), "watch", "--replay", "-", "--json", "--no-rules"],
                       input=rec.read_bytes(), capture_output=True, user=65534, group=65534, extra_groups=[])
    assert p.returncode == 0 and p.stderr == b"" and without_cost(p.stdout.decode()) == [e for e in without_cost(live) if e["type"] != "alert"]


def test_recording_that_was_cut_off(watch, busybox, run, tmp_path):  # noqa: F811
    rec = tmp_path / "a.hfrec"
    w = watch("--json", "--no-rules", "--record", rec, "--budget", "0")
    drop_and_run(busybox, "cut")
    w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "cut")
    told = len(w.wait_for(lambda l: l["type"] == "status"))
    w.wait_for(lambda l: l["type"] == "status" and len(w.lines()) and sum(x["type"] == "status" for x in w.lines()) > told + 2)
    w.process.kill()
    w.process.wait()
    end = time.monotonic() + 10
    while "killed" not in (w.path / "err").read_text() and time.monotonic() < end:
        time.sleep(0.05)
    whole = rec.read_bytes()
    code, out, err = run("watch", "--replay", rec, "--json", "--no-rules")
    assert code == 4 and "the sensor was killed while it was recorded" in err and without_cost(out) == without_cost((w.path / "out").read_text())
    part = tmp_path / "part.hfrec"
    part.write_bytes(whole[:-50])
    code, out, err = run("watch", "--replay", part, "--json", "--no-rules")
    assert code == 4 and "was cut off" in err and "events were read before" in err and out.count("\n") > 10
    assert w.lines()[0] == json.loads(out.splitlines()[0])
    part.write_bytes(whole[:len(whole) // 2] + b"x" * 100 + whole[len(whole) // 2 + 100:])
    code, out, err = run("watch", "--replay", part, "--json", "--no-rules")
    assert code == 4 and "is damaged" in err
    part.write_bytes(b"")
    assert run("watch", "--replay", part)[0] == 3
    part.write_bytes(b"- rule: x\n")
    code, out, err = run("watch", "--replay", part)
    assert code == 3 and out == "" and "not a recording" in err
    before = rec.read_bytes()
    code, out, err = run("watch", "--record", rec)
    assert code == 3 and "is there already and not empty" in err and rec.read_bytes() == before
    code, out, err = run("watch", "--replay", part, "--record", part)
    assert code == 2
    assert run("watch", "--replay", tmp_path / "none")[0] == 3


def test_recording_has_a_limit(watch, busybox, run, tmp_path):  # noqa: F811
    rec = tmp_path / "a.hfrec"
    w = watch("--json", "--no-rules", "--record", rec, "--record-max", "1M", "--budget", "0")
    noise = "busybox head -c 4000000 /dev/urandom | busybox base64 -w 3000 > /tmp/noise; while read l; do busybox true $l; done < /tmp/noise"
    busybox("run", "--rm", "--name", "noisy", "--network", "none", "box:1", "/bin/sh", "-c", noise)
    w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "noisy")
    code, err = w.end()
    assert code == 4 and "the recording has reached its limit of 1048576 bytes" in err and "the recording is not complete" in err
    assert rec.stat().st_size <= 1 << 20
    code, out, err = run("watch", "--replay", rec, "--json", "--no-rules")
    assert code == 4 and "reached its limit" in err
    kept = without_cost(out)
    assert kept == without_cost((w.path / "out").read_text())[:len(kept)]


def test_kept_recording(run):
    code, out, err = run("watch", "--replay", ROOT / "tests/recordings/drop-and-run.hfrec")
    assert (code, err) == (0, "") and "kept                  true             ran /tmp/true" in out


REC = ROOT / "tests/recordings/drop-and-run.hfrec"
TEMPORARY = "Program from a temporary folder"


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES + """
- rule: Never here
  desc: A file is read.
  condition: evt.type = openat and fd.name = /etc/shadow
  output: o
  enabled: false
- rule: Of root
  condition: started and user.name = root and proc.name = cp
  output: "%user.name"
  priority: LOW
""")
    return path


def test_rules_replay(run, rules, tmp_path):
    code, out, err = run("rules", "replay", REC, "--rules", rules, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["schema"], told["events"], told["lost"], told["alerts"], told["folded"]) == ("holdfast.rules-replay/1", 19, 0, 2, 1)
    assert [(r["rule"], r["severity"], r["alerts"], r["folded"]) for r in told["rules"]] == [(TEMPORARY, "critical", 1, 1), ("Of root", "low", 1, 0)]
    assert [(c["container"], c["alerts"]) for c in told["rules"][0]["containers"]] == [("kept", 1)]
    assert abs(told["alerts_per_day"] - 2 * 86400 / told["seconds"]) < 1000
    code, out, err = run("rules", "replay", "-", "--rules", rules, input=REC.read_bytes(), text=False)
    lines = out.decode().splitlines()
    assert code == 0 and lines[1].split()[:8] == ["Program", "from", "a", "temporary", "folder", "critical", "1", "1"] and lines[2].split()[:3] == ["kept", "1", "1"]
    assert lines[-1].startswith("19 events in 0.4 s against 3 rules: 2 alerts, 1 more folded, 0 excepted; ")
    part = tmp_path / "part.hfrec"
    part.write_bytes(REC.read_bytes()[:-100])
    code, out, err = run("rules", "replay", part, "--rules", rules)
    assert code == 4 and "cut off; " in err and "events were read before" in err and "events in" in out
    assert run("rules", "replay", REC)[0] == 0  # those that come with the program
    assert run("rules", "replay", rules, "--rules", rules)[0] == 3
    assert run("rules", "replay", tmp_path / "none", "--rules", rules)[0] == 3


def test_rules_list(run, rules):
    code, out, err = run("rules", "list", "--rules", rules)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[1].split() == [*TEMPORARY.split(), "critical", "T1059", "execve", f"{rules}:6"]
    assert " off " in lines[2] and lines[-1] == "3 rules, 2 enabled"
    told = {r["rule"]: r for r in json.loads(run("rules", "list", "--rules", rules, "--json")[1])}
    assert told[TEMPORARY] == {"rule": TEMPORARY, "severity": "critical", "techniques": ["T1059"], "tactics": ["execution"], "tags": ["mitre_execution", "T1059"],
                               "events": ["execve"], "enabled": True, "file": str(rules), "line": 6, "what": ""}
    assert told["Never here"]["what"] == "A file is read." and not told["Never here"]["enabled"]


def test_paths_of_the_rules_that_come_with_it_are_plain(run):
    rules = json.loads(run("rules", "list", "--json")[1])
    assert len(rules) > 100 and not [r for r in rules if "/../" in r["file"]]


def test_rules_explain(run, rules):
    code, out, err = run("rules", "explain", TEMPORARY.upper(), "--rules", rules, "--recording", REC)
    assert (code, err) == (0, "")
    assert '''condition
    evt.type in ("execve", "execveat")
    and container.id != "host"
    and proc.exepath pmatch ("/tmp", "/dev/shm")
macros    started
fields    evt.type, container.id, proc.exepath
events
    execve              exec
cost      looked at 4 of 19 events, held for 2; ''' in out
    assert out.startswith(TEMPORARY + "\nseverity  critical\n")
    code, out, err = run("rules", "explain", "Never her", "--rules", rules)
    assert code == 3 and 'did you mean "Never here"' in err
    code, out, err = run("rules", "explain", "Never here", "--rules", rules)
    assert code == 0 and "severity  info, off" in out and "what      A file is read." in out and "    openat " in out
    code, out, err = run("rules", "explane")
    assert code == 2 and "did you mean rules explain" in err


CASES = """
- test: dropped
  containers: [{id: c0ffee, name: web, image: 'nginx:1'}]
  processes: [{pid: 5, exe: /bin/sh, container: web}]
  events:
    - {type: exec, process: {pid: 6, ppid: 5, exe: /dev/shm/x, args: [x], container: web}, exec: {flags: [upper_layer]}}
    - {type: exec, process: {pid: 7, ppid: 5, exe: /bin/cp, container: web, uid: 0}}
  alerts: [Program from a temporary folder]
- test: repeated after a while
  containers: [{id: c0ffee, name: web}]
  events:
    - {type: exec, process: {pid: 6, exe: /tmp/x, container: web}}
    - {type: exec, after: 2s, process: 6}
    - {type: exec, after: 2m, process: 6}
  alerts: [Program from a temporary folder, Program from a temporary folder]
- test: benign
  containers: [{id: c0ffee, name: web}]
  events:
    - {type: exec, process: {pid: 6, exe: /tmpx/x, container: web}}
  alerts: []
"""


def test_rules_explain_asks_the_kernel(run, rules):
    if os.geteuid() != 0:
        pytest.skip("the sensor needs root")
    code, out, err = run("rules", "explain", TEMPORARY, "--rules", rules, "--kernel")
    if code == 3 and "type information" in err:
        pytest.skip(err.strip())
    assert (code, err) == (0, "") and "    execve              exec: tp_btf/sched_process_exec" in out


def test_rules_test(run, rules, tmp_path):
    (tmp_path / "good.yaml").write_text(CASES)
    code, out, err = run("rules", "test", "--rules", rules, tmp_path / "good.yaml")
    assert (code, err) == (0, "") and out == "ok      dropped\nok      repeated after a while\nok      benign\n\n3 tests, 0 failed\n"
    (tmp_path / "bad.yaml").write_text(CASES.replace("alerts: []", "alerts: [Of root]").replace("/dev/shm/x", "/srv/x").replace("{pid: 7,", "{pid: 7, exe: /tmp/y,").replace("exe: /bin/cp, ", ""))
    code, out, err = run("rules", "test", "--rules", rules, tmp_path / "good.yaml", tmp_path / "bad.yaml")
    assert code == 1 and out.endswith("6 tests, 1 failed\n")
    assert f"FAILED  benign  ({tmp_path}/bad.yaml:16)\n    missing: Of root\n" in out
    (tmp_path / "bad.yaml").write_text(CASES.replace("alerts: []", "alerts: []").replace("/tmpx/", "/tmp/"))
    code, out, err = run("rules", "test", "--rules", rules, tmp_path / "bad.yaml")
    assert code == 1 and "    not expected: Program from a temporary folder\n" in out
    (tmp_path / "bad.yaml").write_text(CASES.replace("alerts: []", "alerts: [Nothing]"))
    code, out, err = run("rules", "test", "--rules", rules, tmp_path / "bad.yaml")
    assert code == 2 and f'bad.yaml:16: there is no rule "Nothing"' in err
    (tmp_path / "bad.yaml").write_text(CASES.replace("type: exec", "type: exex"))
    code, out, err = run("rules", "test", "--rules", rules, tmp_path / "bad.yaml")
    assert code == 2 and "bad.yaml:6:" in err and "did you mean exec" in err
    assert run("rules", "test", "--rules", rules, tmp_path / "none.yaml")[0] == 3


@pytest.fixture
def told(run, rules, tmp_path):
    """Alerts of the kept recording as a file."""
    path = tmp_path / "alerts.ndjson"
    code, out, err = run("watch", "--replay", REC, "--json", "--rules", rules)
    assert (code, err) == (0, "")
    path.write_text(out)
    return path


def test_rules_why(run, told):
    alert = next(a for a in map(json.loads, told.read_text().splitlines()) if a["type"] == "alert" and a["rule"] == TEMPORARY)
    code, out, err = run("rules", "why", alert["id"], "--from", told)
    assert (code, err) == (0, "")
    assert "rule       Program from a temporary folder\nseverity   critical\n" in out and "container  kept\nimage      box:1\n" in out
    assert "process    /tmp/true  (/tmp/true)\nbelow      /bin/sh  (/bin/sh -c " in out
    before = out[out.index("before     "):out.index("because\n")].splitlines()
    assert len(before) == 3 and before[2].endswith(" s  cp (7) ran /bin/cp /bin/true /tmp/true") and [line[11:] for line in before] == alert["before"]
    assert '    proc.exepath pmatch (dropped_dirs)\n        proc.exepath was "/tmp/true"\n' in out
    assert run("rules", "why", alert["id"][:20], "--from", "-", input=told.read_text())[1] == out
    code, out, err = run("rules", "why", "0" * 26, "--from", told)
    assert code == 3 and "has no alert" in err
    assert run("rules", "why", "01K", "--from", told)[0] == 2
    assert run("rules", "why", alert["id"], "--from", told.parent / "none")[0] == 3
    code, out, err = run("rules", "why", alert["id"], "--state", told.parent)
    assert code == 3 and "keeps no alert" in err


def test_alert_carries_what_came_before(run, rules):
    code, out, err = run("watch", "--replay", REC, "--json", "--alerts-only", "--rules", rules)
    alerts = [a for a in map(json.loads, out.splitlines()) if a["rule"] == TEMPORARY]
    assert [len(a["before"]) for a in alerts] == [3, 0]  # the second is a sum
    assert all(re.fullmatch(r"-0\.\d{3} s  .+", line) for line in alerts[0]["before"])
    assert [line.split("  ")[1][:24] for line in alerts[0]["before"]] == ["container of image box:1", "sh (1) ran /bin/sh -c /b", "cp (7) ran /bin/cp /bin/"]
    lines = run("watch", "--replay", REC, "--alerts-only", "--rules", rules)[1].splitlines()
    at = next(i for i, line in enumerate(lines) if TEMPORARY in line)
    assert [line.strip() for line in lines[at + 1:at + 4]] == alerts[0]["before"]
    assert "-0.0" not in run("watch", "--replay", REC, "--rules", rules)[1]  # they stand above it


def test_filters(run, rules):
    def told(*args):
        code, out, err = run("watch", "--replay", REC, "--rules", rules, "--json", *args)
        assert (code, err) == (0, "")
        return [json.loads(line) for line in out.splitlines()]
    all_lines = told()
    alerts = [a for a in all_lines if a["type"] == "alert"]
    assert {a["rule"] for a in alerts} == {TEMPORARY, "Of root"} and {a["severity"] for a in alerts} == {"critical", "low"}
    # by type: of events only
    assert told("--type", "exec,exit", "--type", "container") == [a for a in all_lines if a["type"] in ("exec", "exit", "container", "alert")]
    assert told("--type", "tls") == alerts
    # by severity and rule: of alerts only
    assert told("--severity", "medium") == [a for a in all_lines if a.get("severity") != "low"]
    assert told("--severity", "low") == all_lines
    assert told("--rule", "Of root", "--alerts-only") == [a for a in alerts if a["rule"] == "Of root"]
    assert told("--rule", "Of root", "--rule", TEMPORARY) == all_lines
    assert told("--rule", "Of root", "--severity", "high", "--alerts-only") == []
    # by image: of both; the sums of folded alerts too
    assert told("--image", "box:*", "--alerts-only") == alerts and told("--image", "*") == [a for a in all_lines if a["type"] == "status" or "container" in a or "container_name" in a]
    assert {a["type"] for a in told("--image", "box")} == {"status"} and told("--image", "box:1", "--container", "other", "--alerts-only") == []
    # in the text form
    code, out, err = run("watch", "--replay", REC, "--rules", rules, "--type", "exec", "--severity", "high", "--image", "b?x:1")
    assert (code, err) == (0, "") and " ran /bin/cp " in out and "container ended" not in out and TEMPORARY in out and "Of root" not in out


def test_tree(run):
    code, out, err = run("watch", "--replay", REC, "--no-rules", "--tree")
    assert (code, err) == (0, "")
    at = out.splitlines()[0].index("container of image")
    ran = [line for line in out.splitlines() if line[at:].startswith("ran ")]
    column = [line[:at].split("kept", 1)[1].rstrip() for line in ran]
    indent = [len(c) - len(c.lstrip()) for c in column]
    assert [c.split()[0] for c in column] == ["sh", "cp", "true", "true"] and column[0].split()[1] == "1"
    assert [i - indent[0] for i in indent] == [0, 2, 2, 2] and len({c.split()[1] for c in column}) == 4
    assert run("watch", "--replay", REC, "--tree", "--json")[0] == 2 and run("watch", "--replay", REC, "--tree", "--alerts-only")[0] == 2


def test_filters_that_are_wrong(run, rules):
    code, out, err = run("watch", "--replay", REC, "--type", "exec,exek")
    types = re.search(r'--type: no "exek"; there are (.*)\n$', err)[1].split()
    assert code == 2 and out == ""
    schema = json.loads((ROOT / "docs/schema/event-1.json").read_text())
    assert sorted(types) == sorted(schema["$defs"]["event_line"]["properties"]["type"]["enum"])
    assert run("watch", "--replay", REC, "--type", ",".join(types), "--json", "--no-rules")[1] == run("watch", "--replay", REC, "--json", "--no-rules")[1]
    assert run("watch", "--replay", REC, "--type", "")[0] == 2
    code, out, err = run("watch", "--replay", REC, "--severity", "dire")
    assert code == 2 and "debug|info|notice|low|medium|high|critical" in err
    code, out, err = run("watch", "--replay", REC, "--rules", rules, "--rule", "of root")
    assert code == 2 and out == "" and 'there is no rule "of root"' in err
    assert run("watch", "--replay", REC, "--no-rules", "--severity", "low")[0] == 2


def test_rules_except(run, rules, told, tmp_path):
    alert = next(a for a in map(json.loads, told.read_text().splitlines()) if a["type"] == "alert" and a["rule"] == TEMPORARY)
    file = tmp_path / "e" / "exceptions.yaml"
    code, out, err = run("rules", "except", alert["id"], "--from", told, "--exceptions", file, "--expires", "30d", "--owner", "ada", "--why", 'so "it" is')
    assert (code, err) == (0, "") and out.startswith(f"{file}:\n- exception: ")
    code, out, err = run("rules", "exceptions", "--exceptions", file.parent, "--json")
    (made,) = json.loads(out)
    assert {"rule": TEMPORARY, "image": "box:1", "exe": "/tmp/true", "parent": "/bin/sh", "args": "/tmp/true", "owner": "ada", "why": 'so "it" is', "expired": False,
            "exception": alert["id"]}.items() <= made.items()
    # it holds back that alert and its like, and nothing else
    code, out, err = run("watch", "--replay", REC, "--alerts-only", "--json", "--rules", rules, "--exceptions", file)
    assert code == 0 and [json.loads(l)["rule"] for l in out.splitlines()] == ["Of root"]
    assert f'2 alerts of "{TEMPORARY}" fell under the exception {file}:2' in err
    told_of = json.loads(run("rules", "replay", REC, "--rules", rules, "--exceptions", file, "--json")[1])
    assert (told_of["alerts"], told_of["folded"], told_of["excepted"]) == (1, 0, 2)
    # another program, an expired one
    text = file.read_text()
    file.write_text(text.replace("/bin/sh", "/bin/bash"))
    code, out, err = run("watch", "--replay", REC, "--alerts-only", "--json", "--rules", rules, "--exceptions", file)
    assert (code, err) == (0, "") and TEMPORARY in out
    file.write_text(text.replace(made["expires"], "2024-01-31"))
    code, out, err = run("watch", "--replay", REC, "--alerts-only", "--json", "--rules", rules, "--exceptions", file)
    assert code == 0 and TEMPORARY in out and f'{file}:2: the exception from "{TEMPORARY}" has expired on 2024-01-31 and is not applied' in err
    code, out, err = run("rules", "exceptions", "--exceptions", file)
    assert code == 0 and out.startswith(f"EXPIRED  {TEMPORARY}\n         image box:1, exe /tmp/true, parent /bin/sh, args /tmp/true\n         until 2024-01-31, by ada: so \"it\" is\n")
    assert out.endswith("1 exceptions, 1 expired\n")
    # a second one goes behind the first; a wrong file stays as it is
    code, out, err = run("rules", "except", alert["id"], "--from", told, "--exceptions", file, "--expires", "never")
    assert code == 0 and len(json.loads(run("rules", "exceptions", "--exceptions", file, "--json")[1])) == 2
    file.write_text("- rule: x\n")
    code, out, err = run("rules", "except", alert["id"], "--from", told, "--exceptions", file)
    assert code == 2 and "must name more than its rule" in err and file.read_text() == "- rule: x\n"
    assert run("watch", "--replay", REC, "--rules", rules, "--exceptions", file)[0] == 2
    assert run("rules", "except", alert["id"], "--from", told, "--exceptions", file, "--expires", "soon")[0] == 2
    code, out, err = run("rules", "except", alert["id"], "--from", told, "--exceptions", tmp_path / "over.yaml", "--expires", "2024-01-31")
    assert code == 2 and "is over" in err and not (tmp_path / "over.yaml").exists()


def test_an_output_that_cannot_be_written_is_said(binary, rules):
    """A full disk swallows no alert in silence; who reads a pipe and leaves (| head) has seen enough."""
    for more in ([], ["--json"], ["--map"]):
        command = [binary, "watch", "--replay", REC, *more, *([] if more == ["--map"] else ["--rules", rules])]
        with open("/dev/full", "wb") as full:
            p = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        assert p.returncode == 4 and "could not be written: No space left on device" in p.stderr, p.stderr
        p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        p.stdout.close()
        assert p.stderr.read() == "" and p.wait() == 3


def test_watch_ends_when_nobody_reads_it(binary, watch, rules, tmp_path):  # noqa: F811
    watch("--json", "--state", tmp_path / "other").end()  # skips where there is no watching
    command = [binary, "watch", "--rules", rules, "--container", "there-is-none", "--budget", "0", "--state", tmp_path / "state"]  # and tells nothing
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    p.stdout.close()
    assert p.wait(60) == 3 and "error" not in p.stderr.read()
    p = subprocess.Popen([*command, "--json", "--record", tmp_path / "r.hfrec"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    p.stdout.close()
    assert any("nobody reads the output any more" in line for line in iter(p.stderr.readline, "")) and p.poll() is None
    p.send_signal(signal.SIGINT)
    assert p.wait(60) == 4


def test_alerts_of_the_last_run_are_kept(watch, busybox, run, rules, tmp_path):  # noqa: F811
    w = watch("--json", "--rules", rules, "--state", tmp_path / "state")
    drop_and_run(busybox, "known")
    w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "known")
    assert w.end()[0] == 0
    kept = tmp_path / "state" / "alerts.0.ndjson"
    assert kept.stat().st_mode & 0o7777 == 0o600
    alert = next(a for a in map(json.loads, kept.read_text().splitlines()) if a["rule"] == TEMPORARY and a["container"]["name"] == "known")
    code, out, err = run("rules", "why", alert["id"], "--state", tmp_path / "state")
    assert (code, err) == (0, "") and "container  known\n" in out
    # what people are shown names it, too
    def mine():  # not those of other containers of this machine
        return [line for line in (tmp_path / "shown").read_text().splitlines() if TEMPORARY in line and " shown" in line]
    with open(tmp_path / "shown", "wb") as shown:
        p = subprocess.Popen([w.process.args[0], "watch", "--alerts-only", "--budget", "0", "--rules", rules, "--state", tmp_path / "state"], stdout=shown, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 60
            for i in range(60):
                drop_and_run(busybox, f"shown{i}")
                if mine() or time.monotonic() > end:
                    break
        finally:
            p.send_signal(signal.SIGINT)
            p.wait()
    code, out, err = run("rules", "why", mine()[0].split()[-1], "--state", tmp_path / "state")
    assert (code, err) == (0, "") and f"rule       {TEMPORARY}\n" in out and "container  shown" in out


def test_too_many_operands(run):
    for command in (["watch"], ["rules", "list"], ["rules", "why"], ["sensor"]):
        code, out, err = run(*command, *["x" * 50] * 500)
        assert code == 2 and "unexpected argument" in err


def test_reload(watch, busybox, run, rules, tmp_path):  # noqa: F811
    """SIGHUP: new rules and exceptions apply, wrong ones do not, and the old ones go on."""
    def wait_err(text):
        end = time.monotonic() + 10
        while text not in (w.path / "err").read_text() and time.monotonic() < end:
            time.sleep(0.05)
        assert text in (w.path / "err").read_text()

    def alerts(name):
        drop_and_run(busybox, name)
        w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == name)
        return {l["rule"] for l in w.lines() if l["type"] == "alert" and l.get("container", {}).get("name") == name}

    exceptions = tmp_path / "exceptions"
    exceptions.mkdir()
    (exceptions / "none.yaml").write_text("")
    w = watch("--json", "--rules", rules, "--exceptions", exceptions, "--state", tmp_path / "state")
    assert alerts("one") == {TEMPORARY, "Of root"}
    good = rules.read_text()
    rules.write_text(good.replace("Of root", "Of the superuser"))
    w.process.send_signal(signal.SIGHUP)
    wait_err("reloaded: 3 rules, 0 exceptions")
    assert alerts("two") == {TEMPORARY, "Of the superuser"}
    rules.write_text(good.replace("proc.name = cp", "proc.nmae = cp"))
    w.process.send_signal(signal.SIGHUP)
    wait_err("not reloaded, the old rules go on: " + str(rules))
    assert alerts("three") == {TEMPORARY, "Of the superuser"}
    rules.unlink()
    w.process.send_signal(signal.SIGHUP)
    wait_err("No such file")
    rules.write_text(good)
    (exceptions / "e.yaml").write_text(f'- rule: {TEMPORARY}\n  container: four\n  exe: /tmp/true\n')
    w.process.send_signal(signal.SIGHUP)
    wait_err("reloaded: 3 rules, 1 exceptions")
    assert alerts("four") == {"Of root"}
    code, err = w.end()
    assert code == 0 and f'2 alerts of "{TEMPORARY}" fell under the exception' in err
    # sums of the rules that were replaced were told
    assert sum(l["count"] for l in w.lines() if l["type"] == "alert" and l.get("container_name") == "one") == 2


def test_hangup_of_the_terminal_ends_it(binary, watch, tmp_path):  # noqa: F811
    w = watch("--json", "--no-rules")  # whether this kernel can be watched
    w.end()
    master, slave = pty.openpty()
    p = subprocess.Popen([binary, "watch", "--state", tmp_path], stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.DEVNULL)
    os.close(slave)
    time.sleep(2)
    assert p.poll() is None
    os.close(master)
    p.send_signal(signal.SIGHUP)
    p.wait(10)
