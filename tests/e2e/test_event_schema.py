# SPDX-License-Identifier: Apache-2.0
"""Every line of `watch --json` follows docs/schema/event-1.json: all types of events (records of the decoder's corpus as a recording), a real recording, and live."""
import json
import pathlib
import shutil
import struct
import subprocess
import zlib

import pytest

jsonschema = pytest.importorskip("jsonschema")

from test_docker import overlay  # noqa: E402,F401 (a fixture)
from test_watch import RULES, busybox, watch  # noqa: E402,F401 (fixtures)

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/schema/event-1.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
TYPES = SCHEMA["$defs"]["event_line"]["properties"]["type"]["enum"]
NET, NET_OP = 6, 184  # the type of a connection's record; where its operation is


def no_twice(pairs):
    assert len({k for k, _ in pairs}) == len(pairs), f"a name twice: {[k for k, _ in pairs]}"
    return dict(pairs)


def check(text):
    lines = [json.loads(line, object_pairs_hook=no_twice) for line in text.splitlines()]
    wrong = [(line["type"], e.json_path, e.message[:200]) for line in lines for e in VALIDATOR.iter_errors(line)]
    assert not wrong
    return lines


def recording(records):
    """docs/formats/recording.md; every record in a frame."""
    if not shutil.which("zstd"):
        pytest.skip("no zstd")
    facts = b"offset_ns\x001700000000000000000\x00seed\x005\x00"
    out = b"HFRECORD" + struct.pack("<2I", 1, len(facts)) + facts
    for kind, body in [*((1, r) for r in records), (2, b"stopped")]:
        head = struct.pack("<2IQ", len(body), kind, 10**12)
        out += head + struct.pack("<2I", zlib.crc32(head + body), 0) + body
    return subprocess.run(["zstd", "-cq"], input=out, capture_output=True, check=True).stdout


def split(data):
    while data:
        n = struct.unpack_from("<I", data)[0]
        yield data[:n]
        data = data[n:]


def test_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    bad = {"schema": "holdfast.event/1", "time": "2026-11-26T00:00:00.000000000Z", "type": "exit", "exit": {"code": 1, "signal": 0, "core": False}}
    assert VALIDATOR.is_valid(bad)
    for change in ({"type": "exec"}, {"time": "2026-11-26"}, {"more": 1}, {"exit": {"code": 256, "signal": 0, "core": False}}, {"exit": {"code": 1}}, {"schema": "holdfast.event/2"}):
        assert not VALIDATOR.is_valid({**bad, **change})


def test_every_type(run):
    records = [r for name in ("types", "story", "payloads", "memory") for r in split((ROOT / "tests/corpus/fuzz-event" / name).read_bytes())]
    net = next(r for r in records if struct.unpack_from("<H", r, 4)[0] == NET)
    records += [net[:NET_OP] + struct.pack("<I", op) + net[NET_OP + 4:] for op in range(1, 9)]
    code, out, err = run("watch", "--replay", "-", "--json", "--host", input=recording(records), text=False)
    assert code in (0, 4), err
    assert {line["type"] for line in check(out.decode())} >= set(TYPES) - {"socks"}


def test_recording(run, tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    code, out, err = run("watch", "--replay", ROOT / "tests/recordings/drop-and-run.hfrec", "--json", "--rules", tmp_path / "rules.yaml")
    lines = check(out)
    assert code == 0 and {line["type"] for line in lines} >= {"alert", "exec", "exit", "container", "container_end", "status", "fork"}
    sums = [line for line in lines if line["type"] == "alert" and "event_type" not in line]
    assert len(sums) == 1 and sums[0]["container_name"] == "kept"
    first, = [line for line in lines if line["type"] == "alert" and line["id"] == sums[0]["id"] and "event_type" in line]
    assert sums[0]["container_id"] == first["container"]["id"]
    facts = next(line for line in lines if line["type"] == "container")
    assert facts["container"]["name"] == facts["facts"]["name"] == "kept" and facts["facts"]["privileged"] == "0"


def test_live(watch, busybox):  # noqa: F811
    w = watch("--json", "--host")
    busybox("run", "--rm", "--name", "valid", "--network", "none", "--label", "a=b", "box:1", "/bin/busybox", "sh", "-c",
            "busybox nc -l -p 4444 & busybox sleep 0.3; busybox nc 127.0.0.1 4444 </dev/null; busybox cp /bin/true /tmp/true; /tmp/true --password=x; busybox cat /etc/shadow; true")
    w.wait_for(lambda l: l["type"] == "container_end" and l["container"]["name"] == "valid")
    w.wait_for(lambda l: l.get("cost", {}).get("rules"))
    assert w.end()[0] in (0, 4)
    lines = check((w.path / "out").read_text())
    assert {line["type"] for line in lines} >= {"exec", "container", "listen", "connect", "accept", "close", "exit", "status", "container_end"}
    started = next(line for line in lines if line["type"] == "container" and line["container"]["name"] == "valid")
    assert started["container"]["labels"] == {"a": "b"}
