# SPDX-License-Identifier: Apache-2.0
"""The rung that this kernel may not have: programs refused by security hooks, on kernels in a virtual machine (/work/shared/tools/vm-run)."""
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VM_RUN = ROOT.parent / "shared" / "tools" / "vm-run"
TESTS = pathlib.Path(os.environ.get("HF_BUILD", ROOT / "build")) / "tests"
NAMES = ("test-exec-perm", "test-selftest", "test-read-only", "test-guard-files", "test-guard-swap", "test-on-demand")
USES = {"5.10": {"bpf", "mount", "ptrace"}, "6.1": {"modules", "bpf", "mount", "ptrace", "user_namespaces", "io_uring"}, "6.12": {"modules", "bpf", "mount", "ptrace", "user_namespaces", "io_uring"}}


KERNELS = [os.environ.get("HF_VM_KERNEL", "6.1")]  # the others before a release: tools/test-kernels


@pytest.mark.parametrize("kernel", KERNELS)
def test_security_hooks_refuse(kernel, tmp_path_factory):
    if not VM_RUN.exists():
        pytest.skip(f"{VM_RUN} is not there")
    if not all((TESTS / n).exists() for n in NAMES):
        subprocess.run(["ninja", "-C", TESTS.parent, *(f"tests/{n}" for n in NAMES)], capture_output=True)
    if not all((TESTS / n).exists() for n in NAMES):
        pytest.skip("the tests are not built")
    folder = pathlib.Path("/var/tmp") / f"hf-protect-vm-{os.getpid()}"  # /tmp is another one in there
    folder.mkdir()
    try:
        for name in NAMES:
            shutil.copy(TESTS / name, folder)
        p = subprocess.run([VM_RUN, "--kernel", kernel, "--timeout", "600", "--", "sh", "-c", f"mount -t tmpfs tmpfs /tmp; HF_TRIES=30 {folder}/test-exec-perm && {folder}/test-selftest && {folder}/test-read-only && {folder}/test-guard-files && {folder}/test-guard-swap && {folder}/test-on-demand && HF_NO_LSM=1 {folder}/test-selftest && HF_NO_LSM=1 {folder}/test-guard-swap && HF_NO_LSM=1 HF_NO_FENTRY=1 {folder}/test-guard-swap"],
                           capture_output=True, text=True, timeout=700)
    finally:
        shutil.rmtree(folder)
    if p.returncode in (124, 125):
        pytest.skip("the virtual machine did not run: " + p.stderr[-300:])
    assert p.returncode == 0, p.stdout + p.stderr
    lines = p.stdout.splitlines()
    assert "# refused by rung 1" in lines  # LSM
    assert lines.count("# write by rung 1") == 1 and lines.count("# write by rung 6") == 1  # paths by hooks, and without them by mounts
    assert "SKIP" not in p.stdout
    ways = [l.split(";")[0] for l in lines if l.startswith("# by rung")]  # tracing: refused; killed at the entry of a function; at the entry of every call
    assert ways == ["# by rung 1", "# by rung 3", "# by rung 3, at the entry of calls"], ways
    proof = next(l for l in lines if l.startswith("# exec by rung 1, connect 4, listen 4, device 4"))
    assert set(proof.split("refused:")[1].split(";")[0].split()) >= USES[kernel], proof
    signal = next(l for l in lines if l.startswith("# exec by rung 3, connect 4, listen 4, device 4"))  # and without its hooks, all by signals
    assert set(signal.split("refused:")[1].split(";")[0].split()) == {"modules", "bpf", "mount", "ptrace", "user_namespaces", "io_uring"}, signal
    assert not [l for l in lines if l.startswith("not ok")] and len([l for l in lines if l.startswith("ok")]) >= 40


FILES = """
trap 'go=1' USR1
exec 7>>/etc/early; cd /etc/deep/er
while [ -z "$go" ]; do /bin/busybox sleep 0.2; done
exec 2>&1
for try in 'echo x >/etc/hosts' 'echo x >/etc/new' 'echo x >here' '/bin/busybox mkdir /etc/d' '/bin/busybox chmod 700 /etc/deep' '/bin/busybox touch /etc/early' '/bin/busybox mv /etc/early /tmp/x' \\
    '/bin/busybox ln /etc/early /tmp/y' '/bin/busybox rm /bin/ls' 'echo x >>/bin/ls' '/bin/busybox mv /etc /etc2' 'echo x >/etc/vol/new' 'echo x >&7'; do
    (eval "$try") && echo "DONE $try"
done
echo x >/tmp/free && /bin/busybox mv /tmp/free /tmp/free2 && echo well
"""


@pytest.mark.parametrize("kernel", KERNELS)
def test_paths_of_a_container(binary, tmp_path, kernel):
    """On a real overlay: whatever was tried is refused and told; from before too."""
    if not VM_RUN.exists():
        pytest.skip(f"{VM_RUN} is not there")
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        for name in ("bin", "tmp", "etc", "etc/deep", "etc/deep/er"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(info)
        program = pathlib.Path("/bin/busybox").read_bytes()
        for name in ("bin/busybox", "bin/sh", "bin/ls", "etc/early"):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(program), 0o755
            tar.addfile(info, io.BytesIO(program))
    (tmp_path / "script.sh").write_text(FILES)
    (tmp_path / "policies.yaml").write_text('- policy: files\n  match: {image: "box:*"}\n  mode: enforce\n  disarm: {blocks_per_minute: 0}\n  read_only: [/etc/, /bin/ls]\n'
                                            '  health: {exec: [/bin/ls, /etc/early], every: 1s, failures: 2}\n')
    p = subprocess.run([VM_RUN, "--kernel", kernel, "--timeout", "300", "--append", "apparmor=0", "--share", tmp_path, "--", ROOT / "tests/vm/files.sh", binary, tmp_path],
                       capture_output=True, text=True, timeout=320, stdin=subprocess.DEVNULL)
    if p.returncode in (124, 125):
        pytest.skip("the virtual machine did not run: " + p.stderr[-300:])
    assert p.returncode == 0, p.stderr[-2000:]
    said, status = (tmp_path / "run.log").read_text(), json.loads((tmp_path / "status.json").read_text())
    clause = status["policies"][0]["clauses"][0]
    assert (clause["clause"], clause["rung"], clause["proved"]) == ("read_only", "lsm", True), clause
    assert "DONE" not in said and said.count("not permitted") == 13 and said.endswith("well\n"), said
    assert "/etc/early is open for writing by process" in status["error"] and "writes through them are refused" in status["error"], status
    lines = [json.loads(line) for line in (tmp_path / "out.json").read_text().splitlines()]
    assert not status["policies"][0]["disarmed"] and "check is not run" not in (tmp_path / "out.json").read_text()
    assert any(line["type"] == "exec" and line["process"].get("session") == "check" for line in lines)  # on a unified hierarchy, too
    told = {v["path"] for v in (line.get("verdict", {}) for line in lines) if v.get("clause") == "read_only" and v["action"] == "denied" and v["rung"] == "lsm"}
    assert told >= {"/etc/hosts", "/etc/new", "/etc/deep/er/here", "/etc/d", "/etc/deep", "/etc/early", "/bin/ls", "/etc", "/etc/vol/new"}, told
    assert status["policies"][0]["refused"] >= 9
