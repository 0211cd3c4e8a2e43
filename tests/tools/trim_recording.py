# SPDX-License-Identifier: Apache-2.0
"""Keeps of a recording (docs/formats/recording.md) what happened in containers, and the sensor's status; nothing of the host, for recordings that
are kept with the tests.  trim_recording.py IN OUT"""
import struct
import subprocess
import sys
import zlib

CONTAINER, STATUS = 64, 68


def main(source, target):
    data = subprocess.run(["zstd", "-dcq", source], capture_output=True, check=True).stdout
    assert data[:8] == b"HFRECORD"
    version, n = struct.unpack_from("<2I", data, 8)
    pairs = data[16:16 + n].split(b"\0")[:-1]
    facts = dict(zip(pairs[::2], pairs[1::2]))
    facts.update({b"hostname": b"host", b"passwd": b"root:x:0:\nnobody:x:65534:\n", b"group": b"root:x:0:\nnogroup:x:65534:\n"})
    head = b"".join(k + b"\0" + v + b"\0" for k, v in facts.items())
    frames, at = [], 16 + n
    while at < len(data):
        length, kind, boot = struct.unpack_from("<2IQ", data, at)
        frames.append((kind, boot, data[at + 24:at + 24 + length]))
        at += 24 + length
    records = []
    for kind, boot, body in frames:
        here, at = [], 0
        while kind == 1 and at < len(body):
            length, type_ = struct.unpack_from("<IH", body, at)
            here.append((type_, struct.unpack_from("<Q", body, at + 24)[0], body[at:at + length]))
            at += length
        records.append((kind, boot, here if kind == 1 else body))
    groups = {cgroup for kind, _, here in records if kind == 1 for type_, cgroup, _ in here if type_ == CONTAINER}
    pieces = [b"HFRECORD" + struct.pack("<2I", version, len(head)) + head]
    for kind, boot, here in records:
        body = here if kind != 1 else b"".join(r for type_, cgroup, r in here if type_ == STATUS or (cgroup in groups and b"runc" not in r))
        if body:
            first = struct.pack("<2IQ", len(body), kind, boot)
            pieces.append(first + struct.pack("<2I", zlib.crc32(first + body), 0) + body)
    with open(target, "wb") as f:
        for piece in (pieces[0], b"".join(pieces[1:])):  # the header can be read even when the rest is cut
            f.write(subprocess.run(["zstd", "-19", "-cq"], input=piece, capture_output=True, check=True).stdout)


main(*sys.argv[1:])
