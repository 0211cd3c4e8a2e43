# SPDX-License-Identifier: Apache-2.0
"""Files that rules name and the built-in table lacks are watched from the start; new rules that name others say so when they are loaded."""
import signal
import subprocess
import time

from test_docker import overlay  # noqa: F401 (a fixture)
from test_watch import busybox, watch  # noqa: F401 (fixtures)

RULE = """
- rule: Secret read
  desc: d
  condition: evt.type in (open, openat) and container.id != host and proc.name = busybox and (fd.name = /srv/secret or fd.name startswith /opt/vault/)
  output: "%proc.name read %fd.name"
  priority: HIGH
  key: [container.id, fd.name]
"""
OTHER = """
- rule: Other secret read
  desc: d
  condition: evt.type in (open, openat) and fd.name = /srv/other
  output: o
  priority: HIGH
"""


def test_files_that_rules_name(watch, busybox, tmp_path):  # noqa: F811
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/a.yaml").write_text(RULE)
    w = watch("--json", "--rules", tmp_path / "rules")
    script = ("busybox mkdir -p /srv /opt/vault/deep; echo x > /srv/secret; echo x > /srv/plain; echo x > /opt/vault/deep/key; busybox sleep 1;"
              "busybox cat /srv/secret /srv/plain /opt/vault/deep/key; busybox sleep 1")
    busybox("run", "-d", "--name", "named", "--network", "none", "box:1", "/bin/sh", "-c", script)
    told = w.wait_for(lambda l: l["type"] == "alert" and {a["summary"] for a in w.lines() if a["type"] == "alert"} >= {"busybox read /srv/secret", "busybox read /opt/vault/deep/key"})
    assert {a["container"]["name"] for a in told if "container" in a} == {"named"}
    assert not [l for l in w.lines() if l["type"] == "file" and l["file"]["path"] == "/srv/plain"], "nobody asked for it"
    assert all(l["file"]["watch"] == "rule" for l in w.lines() if l["type"] == "file" and l["file"]["path"] == "/srv/secret")
    # the same rules again: nothing to say; one that names another file: said, since it is watched only from the next start
    for text, said in ((RULE, ""), (RULE + OTHER, "rules name files that are watched only after a new start: Other secret read")):
        (tmp_path / "rules/a.yaml").write_text(text)
        before = (w.path / "err").read_text().count("reloaded")
        w.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 20
        while (w.path / "err").read_text().count("reloaded") == before and time.monotonic() < end:
            time.sleep(0.05)
        err = (w.path / "err").read_text()
        assert err.count("reloaded") == before + 1 and said in err and ("new start" in err) == bool(said)
    subprocess.run(busybox.command("rm", "-f", "named"), env=busybox.env(), capture_output=True)
    assert w.end()[0] in (0, 4)
