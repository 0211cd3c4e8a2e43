# SPDX-License-Identifier: Apache-2.0
"""Recordings, and the commands of `rules` on them: a real recording made here from containers of a real dockerd, and the one kept in the tests."""
import json
import pathlib
import subprocess
import time

import pytest

from test_docker import overlay  # noqa: F401 (a fixture)
from test_watch import RULES, busybox, watch  # noqa: F401 (fixtures)

ROOT = pathlib.Path(__file__).resolve().parents[2]


def drop_and_run(box, name):
    subprocess.run(box.command("run", "--rm", "--name", name, "--network", "none", "box:1", "/bin/sh", "-c",
                               "/bin/cp /bin/true /tmp/true; /tmp/true; /tmp/true; exit 3"), env=box.env(), capture_output=True)


def test_replay_gives_the_output_of_the_recording(watch, busybox, run, binary, tmp_path):  # noqa: F811
    rules, rec = tmp_path / "rules.yaml", tmp_path / "a.hfrec"
    rules.write_text(RULES)
    w = watch("--json", "--rules", rules, "--record", rec)
    drop_and_run(busybox, "kept")
    w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "kept")
    code, err = w.end()
    assert (code, err) == (0, "")
    assert rec.stat().st_mode & 0o7777 == 0o600
    live = (w.path / "out").read_text()
    code, out, err = run("watch", "--replay", rec, "--json", "--rules", rules)
    assert (code, err) == (0, "") and out == live and '"type":"alert"' in live
    # the same filters; the text form; through a pipe
    code, out, err = run("watch", "--replay", "-", "--json", "--alerts-only", "--rules", rules, "--container", "kept", input=rec.read_bytes(), text=False)
    told = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [a["count"] for a in told] == [1, 2] and {a["type"] for a in told} == {"alert"}
    assert run("watch", "--replay", rec, "--json", "--container", "nothing")[1].count("\n") == live.count('"type":"status"')
    assert "ran /tmp/true" in run("watch", "--replay", rec)[1]
    # an ordinary user needs no privileges
    p = subprocess.run([str(binary), "watch", "--replay", "-", "--json"],
                       input=rec.read_bytes(), capture_output=True, user=65534, group=65534, extra_groups=[])
    assert p.returncode == 0 and p.stderr == b"" and p.stdout.decode() == "".join(
        line for line in live.splitlines(keepends=True) if '"type":"alert"' not in line)


def test_recording_that_was_cut_off(watch, busybox, run, tmp_path):  # noqa: F811
    rec = tmp_path / "a.hfrec"
    w = watch("--json", "--record", rec)
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
    code, out, err = run("watch", "--replay", rec, "--json")
    assert code == 4 and "the sensor was killed while it was recorded" in err and out == (w.path / "out").read_text()
    part = tmp_path / "part.hfrec"
    part.write_bytes(whole[:-50])
    code, out, err = run("watch", "--replay", part, "--json")
    assert code == 4 and "was cut off" in err and "events were read before" in err and out.count("\n") > 10
    assert w.lines()[0] == json.loads(out.splitlines()[0])
    part.write_bytes(whole[:len(whole) // 2] + b"x" * 100 + whole[len(whole) // 2 + 100:])
    code, out, err = run("watch", "--replay", part, "--json")
    assert code == 4 and "is damaged" in err
    part.write_bytes(b"")
    assert run("watch", "--replay", part)[0] == 3
    part.write_bytes(b"- rule: x\n")
    code, out, err = run("watch", "--replay", part)
    assert code == 3 and out == "" and "not a recording" in err
    code, out, err = run("watch", "--replay", part, "--record", part)
    assert code == 2
    assert run("watch", "--replay", tmp_path / "none")[0] == 3


def test_recording_has_a_limit(watch, busybox, run, tmp_path):  # noqa: F811
    rec = tmp_path / "a.hfrec"
    w = watch("--json", "--record", rec, "--record-max", "1M")
    noise = "busybox head -c 4000000 /dev/urandom | busybox base64 -w 3000 > /tmp/noise; while read l; do busybox true $l; done < /tmp/noise"
    busybox("run", "--rm", "--name", "noisy", "--network", "none", "box:1", "/bin/sh", "-c", noise)
    w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "noisy")
    code, err = w.end()
    assert code == 4 and "the recording has reached its limit of 1048576 bytes" in err and "the recording is not complete" in err
    assert rec.stat().st_size <= 1 << 20
    code, out, err = run("watch", "--replay", rec, "--json")
    assert code == 4 and "reached its limit" in err and (w.path / "out").read_text().startswith(out)


def test_kept_recording(run):
    code, out, err = run("watch", "--replay", ROOT / "tests/recordings/drop-and-run.hfrec")
    assert (code, err) == (0, "") and "kept                  true             ran /tmp/true" in out
