# SPDX-License-Identifier: Apache-2.0
"""The actions by which sensors are compared (those of Falco's event-generator, and ours), each done for real in a container of its own, and
each giving exactly its alert: with the container, its image, the line of processes that led to it and the technique.

ROWS is the whole list, machine-checked against ACTIONS.  One dockerd and one `watch` with the rules that come with the program; only their
times of learning are shortened (test_pack.py).  What this kernel cannot tell is skipped here and done in the virtual machine."""
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest
import yaml

from conftest import ROOT
from test_docker import overlay  # noqa: F401 (a fixture)
from test_pack import CASES, LATER, LEARN, LEARNING, LOADER, PACK, SOON, SYS_ADMIN, TOKEN, Host, image, talk  # noqa: F401
from test_watch import Watch

# Names of the event-generator's actions (commit 09fdcda), and ours.
ACTIONS = {
    "read": "DirectoryTraversalMonitoredFileRead ReadSensitiveFileUntrusted ReadSensitiveFileTrustedAfterStartup ReadSshInformation ReadShellConfigurationFile ReadEnvironmentVariableFromProcFiles",
    "write": "WriteBelowEtc WriteBelowBinaryDir WriteBelowMonitoredDir WriteBelowRoot WriteBelowRpmDatabase ModifyShellConfigurationFile AddingSshKeysToAuthorizedKeys ClearLogActivities "
             "CreateFilesBelowDev CreateHiddenFilesOrDirectories ModifyContainerEntrypoint ScheduleCronJobs DetectReleaseAgentFileContainerEscapes",
    "names": "CreateSymlinkOverSensitiveFiles CreateHardlinkOverSensitiveFiles ModifyBinaryDirs MkdirBinaryDirs DeleteOrRenameShellHistory SetSetuidOrSetgidBit ContainerDriftDetectedChmod "
             "ContainerDriftDetectedOpenCreate",
    "exec": "RunShellUntrusted SystemUserInteractive DbProgramSpawnedProcess DropAndExecuteNewBinaryInContainer ExecutionFromDevShm FilelessExecutionViaMemfdCreate SearchPrivateKeysOrPasswords FindAwsCredentials "
            "RemoveBulkDataFromDisk DecodingPayloadInContainer DetectCryptoMinersUsingTheStratumProtocol NetcatRemoteCodeExecutionInContainer LaunchSuspiciousNetworkToolInContainer LaunchSuspiciousNetworkToolOnHost "
            "LaunchPackageManagementProcessInContainer LaunchRemoteFileCopyToolsInContainer LaunchIngressRemoteFileCopyToolsInContainer KubernetesClientToolLaunchedInContainer UserMgmtBinaries "
            "MountLaunchedInPrivilegedContainer DebugfsLaunchedInPrivilegedContainer PolkitLocalPrivilegeEscalationVulnerabilityCVE20214034 SudoPotentialPrivilegeEscalation "
            "PotentialLocalPrivilegeEscalationViaEnvironmentVariablesMisuse ProgramRunWithDisallowedHttpProxyEnv",
    "network": "ContactEC2InstanceMetadataServiceFromContainer DisallowedSSHConnectionNonStandardPort UnexpectedUDPTraffic SystemProcsNetworkActivity InterpretedProcsInboundNetworkActivity "
               "InterpretedProcsOutboundNetworkActivity JavaProcessClassFileDownload PacketSocketCreatedInContainer",
    "kernel": "PtraceAttachedToProcess PtraceAntiDebugAttempt ChangeThreadNamespace ChangeNamespacePrivilegesViaUnshare NonSudoSetuid UnprivilegedDelegationOfPageFaultsHandlingToAUserspaceProcess",
    "ours": "io_uring-open io_uring-connect symlink hard-link bind-mount proc-self-root openat2 execveat shebang-chain ld.so binfmt_misc 32-bit-call process-renamed flip-by-thread flip-by-userfaultfd "
            "ring-flood short-life pid-reuse nested-container sensor-stopped",
}
OBJECTS = ("cluster role", "pod", "NodePort", "ConfigMap", "Deployment", "Service", "ServiceAccount")  # Kubernetes audit objects: no source of them yet (docs/acceptance.md)
EVADER = ("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined")
PRIVILEGED = (*SYS_ADMIN, "--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined")  # what of --privileged matters: this machine's root itself may not have all of it
RELEASE_AGENT = next((p for p in pathlib.Path("/sys/fs/cgroup").glob("*/release_agent")), None)
PROGRAMS = ("httpd", "java", "mysqld", "lua", "sha1sum", "debugfs", "pkexec", "sudoedit", "vipw", "nc", "scp", "curl", "innocent")


class Row:
    """`script` is what the container's shell runs; `main` instead: its only program.  also: other alerts that the action itself
    rightly gives, with the reason.  hook: skipped where no LSM, fentry or kprobe program serves this capability."""

    def __init__(self, action, alert, script=None, options=(), also=None, main=None, hook=None, when=None, case=None):
        if case:
            c = next(c for c in CASES if c.rule == case)
            script, options, main = c.trigger, c.options, c.main
            also = also or {a: "needed for it" for a in c.also}
        self.action, self.alert, self.script, self.options, self.also, self.main = action, alert, script, tuple(options), also or {}, main
        self.hook, self.when = hook, when


HASHES = "Password hashes read"
DROPPED = "Dropped program ran from a loose place"
PUT = {"Executable put into a loose place": "it is put there before it runs"}
LINKED = {"Sensitive file linked": "the link is made first, and is told"}
ROWS = [
    Row("DirectoryTraversalMonitoredFileRead", HASHES, SOON + "/bin/cat /etc/../etc/../etc/shadow"),
    Row("ReadSensitiveFileUntrusted", HASHES, case=HASHES),
    Row("ReadSensitiveFileTrustedAfterStartup", HASHES, "/bin/httpd open /etc/shadow r 6000"),
    Row("ReadSshInformation", "SSH key read", case="SSH key read"),
    Row("ReadShellConfigurationFile", "Shell profile read", SOON + "/bin/cat /root/.bashrc"),
    Row("ReadEnvironmentVariableFromProcFiles", "Environment of a process read", "/bin/cat /proc/self/environ >/dev/null", hook="file-open"),
    Row("WriteBelowEtc", "Settings written late", "/bin/sleep 6; echo x >/etc/created"),
    Row("WriteBelowBinaryDir", "System program changed", SOON + "echo x >/bin/created"),
    Row("WriteBelowMonitoredDir", "System program changed", SOON + "echo x >/usr/lib/created"),
    Row("WriteBelowRoot", "File put at the root", "/bin/sleep 6; echo x >/root/created"),
    Row("WriteBelowRpmDatabase", "Record of packages changed", SOON + "echo x >/var/lib/rpm/created"),
    Row("ModifyShellConfigurationFile", "Shell profile changed", case="Shell profile changed"),
    Row("AddingSshKeysToAuthorizedKeys", "SSH keys changed", case="SSH keys changed"),
    Row("ClearLogActivities", "Traces removed", "echo a >>/var/log/syslog; /bin/sleep 3; : >/var/log/syslog; /bin/sleep 1"),
    Row("CreateFilesBelowDev", "File put into /dev", SOON + "echo x >/dev/created"),
    Row("CreateHiddenFilesOrDirectories", "File hidden among those of the system", SOON + "/bin/mkdir /etc/.created"),
    Row("ModifyContainerEntrypoint", "Program of the runtime overwritten", SOON + "actor reopen /usr/bin/runc"),
    Row("ScheduleCronJobs", "Job planted", SOON + "echo '* * * * * true' | /bin/crontab -"),  # the generator lists the table; here a line is added to it
    Row("DetectReleaseAgentFileContainerEscapes", "Kernel told to run a program", SOON + f"actor open {RELEASE_AGENT} w", (*PRIVILEGED, "-v", "/sys/fs/cgroup:/sys/fs/cgroup"),
        when=None if RELEASE_AGENT else "no control group of version 1 is mounted"),
    Row("CreateSymlinkOverSensitiveFiles", "Sensitive file linked", SOON + "/bin/ln -s /etc /tmp/link"),
    Row("CreateHardlinkOverSensitiveFiles", "Sensitive file linked", SOON + "/bin/ln /etc/shadow /tmp/link"),
    Row("ModifyBinaryDirs", "System program changed", SOON + "/bin/mv /bin/innocent /bin/other"),
    Row("MkdirBinaryDirs", "System program changed", SOON + "/bin/mkdir /bin/folder"),
    Row("DeleteOrRenameShellHistory", "Traces removed", SOON + "/bin/rm /root/.bash_history"),
    Row("SetSetuidOrSetgidBit", "Set-uid bit set", case="Set-uid bit set"),
    Row("ContainerDriftDetectedChmod", "Executable put into a loose place", SOON + "echo x >/tmp/new; /bin/chmod 755 /tmp/new"),
    Row("ContainerDriftDetectedOpenCreate", "Executable put into a loose place", SOON + "/bin/cp /bin/true /tmp/new"),
    Row("RunShellUntrusted", "Server started a shell", "/bin/httpd serve 8081 100 /bin/sh -c true"),
    Row("SystemUserInteractive", "User of the system opened a shell", "/bin/actor as 2 /bin/sh -i </dev/null", ("-t",)),
    Row("DbProgramSpawnedProcess", "Database started a program", "/bin/mysqld serve 3307 100 /bin/ls"),
    Row("DropAndExecuteNewBinaryInContainer", "Program from outside the image ran", case="Program from outside the image ran"),
    Row("ExecutionFromDevShm", DROPPED, "/bin/cp /bin/actor /dev/shm/new; /dev/shm/new true", ("--tmpfs", "/dev/shm:exec"), also=PUT),
    Row("FilelessExecutionViaMemfdCreate", "Program without a file ran", case="Program without a file ran"),
    Row("SearchPrivateKeysOrPasswords", "Keys and credentials searched for", "/bin/find /root -name id_rsa"),
    Row("FindAwsCredentials", "Keys and credentials searched for", "/bin/find / -path '*/.aws/credentials'"),
    Row("RemoveBulkDataFromDisk", "Data wiped", "echo x >/root/data; /bin/shred -u /root/data"),
    Row("DecodingPayloadInContainer", "Download run at once", case="Download run at once"),  # decoding alone is everybody's start script; decoded and run is the attack
    Row("DetectCryptoMinersUsingTheStratumProtocol", "Miner started", case="Miner started"),
    Row("NetcatRemoteCodeExecutionInContainer", "Shell on a network connection", "actor listen 4444 2000 & /bin/nc onsocket 4444 /bin/sh -c true"),
    Row("LaunchSuspiciousNetworkToolInContainer", "Attack tool ran", case="Attack tool ran"),
    Row("LaunchPackageManagementProcessInContainer", "Software installed or compiled in a container", case="Software installed or compiled in a container"),
    Row("LaunchRemoteFileCopyToolsInContainer", "Files sent or fetched by a tool for it", f"/bin/sleep {LATER}; /bin/scp true a b"),
    Row("LaunchIngressRemoteFileCopyToolsInContainer", "Files sent or fetched by a tool for it", f"/bin/sleep {LATER}; /bin/curl true -o x http://127.0.0.1/x"),
    Row("KubernetesClientToolLaunchedInContainer", "Tool of clusters or clouds ran", case="Tool of clusters or clouds ran"),
    Row("UserMgmtBinaries", "Accounts managed late", "/bin/sleep 6; /bin/vipw true"),
    Row("MountLaunchedInPrivilegedContainer", "Mount in a container", "actor mount none /mnt tmpfs", PRIVILEGED),
    Row("DebugfsLaunchedInPrivilegedContainer", "Host device opened", SOON + "/bin/debugfs open /dev/sda", ("--device", "DISK:/dev/sda:r")),
    Row("PolkitLocalPrivilegeEscalationVulnerabilityCVE20214034", "Set-uid program started without a name", "actor as 1000 /bin/actor nameless /bin/pkexec"),
    Row("SudoPotentialPrivilegeEscalation", "Hole of sudo tried", "/bin/sudoedit -s 'AAAA\\'"),
    Row("PotentialLocalPrivilegeEscalationViaEnvironmentVariablesMisuse", "Loader of programs attacked", case="Loader of programs attacked"),
    Row("ProgramRunWithDisallowedHttpProxyEnv", "Program run with a proxy of its own", f"/bin/sleep {LATER}; http_proxy=http://10.9.9.9:3128 actor true"),
    Row("ContactEC2InstanceMetadataServiceFromContainer", "Cloud metadata asked by a tool", case="Cloud metadata asked by a tool"),
    Row("DisallowedSSHConnectionNonStandardPort", "SSH to an unusual port", case="SSH to an unusual port"),
    Row("UnexpectedUDPTraffic", "Datagrams to a new port", f"/bin/sleep {LATER}; actor udp 10.9.0.5 6666"),
    Row("SystemProcsNetworkActivity", "Program that never speaks connects", "/bin/sha1sum connect 10.9.0.5 8080"),
    Row("InterpretedProcsInboundNetworkActivity", "New listener", f"/bin/sleep {LATER}; /bin/lua listen 7001 300"),
    Row("InterpretedProcsOutboundNetworkActivity", "Interpreter connects for the first time", f"/bin/sleep {LATER}; /bin/lua connect 10.9.0.5 8080"),
    Row("JavaProcessClassFileDownload", "Class fetched by Java", "actor listen 8000 3000 & /bin/java say 127.0.0.1 8000 'GET /Exploit.class HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'"),
    Row("PacketSocketCreatedInContainer", "Packet socket opened", case="Packet socket opened"),
    Row("PtraceAttachedToProcess", "Program traced by another", case="Program traced by another"),
    Row("PtraceAntiDebugAttempt", "Program guards itself against debuggers", "actor traceme"),
    Row("ChangeThreadNamespace", "Namespace of another entered", case="Namespace of another entered"),
    Row("ChangeNamespacePrivilegesViaUnshare", "Namespaces made in a container", case="Namespaces made in a container"),
    Row("NonSudoSetuid", "Root taken by a call", "actor regain"),
    Row("UnprivilegedDelegationOfPageFaultsHandlingToAUserspaceProcess", "Page faults served by a program", case="Page faults served by a program"),
    Row("io_uring-open", HASHES, SOON + "/bin/evader io_uring", EVADER, {"Requests through a ring": "the ring itself"}),
    Row("io_uring-connect", "Cloud metadata asked by a tool", "actor ring-connect 169.254.169.254 80", EVADER, {"Requests through a ring": "the ring itself"}),
    Row("symlink", HASHES, SOON + "/bin/evader symlinks", EVADER, LINKED),
    Row("hard-link", HASHES, SOON + "/bin/evader hard-link", EVADER, LINKED),
    Row("bind-mount", HASHES, SOON + "/bin/evader bind-mount", EVADER, {"Mount in a container": "the mount", "Namespaces made in a container": "a mount namespace for it"}),
    Row("proc-self-root", HASHES, SOON + "/bin/evader root-link", EVADER),
    Row("openat2", HASHES, SOON + "/bin/evader resolve", EVADER),
    Row("execveat", "Program without a file ran", SOON + "/bin/evader memory", EVADER, {HASHES: "what it then does"}),
    Row("shebang-chain", "Script ran from a loose place", "printf '#!/tmp/b\\n' >/tmp/a; printf '#!/bin/sh\\ntrue\\n' >/tmp/b; /bin/chmod 755 /tmp/a /tmp/b; /tmp/a", also=PUT),
    Row("ld.so", "Program run through the loader", case="Program run through the loader"),
    Row("binfmt_misc", "Process hidden by a mount", "actor mount none /proc/sys/fs/binfmt_misc binfmt_misc; true", PRIVILEGED),  # nothing can be registered without the mount
    Row("32-bit-call", HASHES, SOON + "/bin/evader 32-bit-call", EVADER),
    Row("process-renamed", "Program posing as the kernel", case="Program posing as the kernel"),
    Row("flip-by-thread", HASHES, SOON + "/bin/evader flipping-name", EVADER),
    Row("flip-by-userfaultfd", HASHES, SOON + "/bin/evader late-name", (*EVADER, "--cap-add", "SYS_PTRACE"), {"Page faults served by a program": "how it is done"}),
    Row("ring-flood", HASHES, SOON + "/bin/evader flood", EVADER, {"Job planted": "the flood is of files in /etc/cron.d"}),
    Row("short-life", HASHES, main=["/bin/cat", "/etc/shadow"]),
    Row("pid-reuse", HASHES, SOON + "actor reuse /bin/su true", (*EVADER, "--pid", "host")),
    Row("nested-container", HASHES, SOON + "actor nest /bin/cat /etc/shadow", PRIVILEGED, {"Namespaces made in a container": "those of the inner one"}),
]
# What is like an action and must not give its alert: all of it in one container each, which gives none at all.
TWINS = {
    "Environment of a process read": "/bin/cat /proc/self/status >/dev/null; /bin/ps >/dev/null",
    "Shell profile read": SOON + ". /root/.bashrc; /usr/bin/dpkg put /dev/null /root/.bashrc",
    "Settings written late": SOON + "echo x >/etc/early; /bin/sleep 6; echo x >/var/late",
    "Record of packages changed": SOON + "/usr/bin/dpkg run /bin/cp /etc/motd /var/lib/rpm/new",
    "File put into /dev": SOON + "echo x >/dev/shm/x; echo x >/dev/null",
    "File hidden among those of the system": SOON + "echo x >/tmp/.x; /usr/bin/dpkg run /bin/mkdir /etc/.y",
    "File put at the root": SOON + "echo x >/root/early; /bin/sleep 6; echo x >/root/.x; echo x >/tmp/y",
    "Executable put into a loose place": SOON + "echo x >/tmp/plain; /bin/chmod 644 /tmp/plain",
    "User of the system opened a shell": "/bin/actor as 2 /bin/sh -c true; /bin/actor as 1000 /bin/sh -i </dev/null",
    "Database started a program": "/bin/mysqld serve 3308 100 /bin/mysqld true; /bin/innocent run /bin/ls",
    "Keys and credentials searched for": "/bin/find /root -name notes; /bin/grep -r hello /etc/motd",
    "Data wiped": "/bin/shred --help; echo x >/root/data; /bin/rm /root/data",
    "Files sent or fetched by a tool for it": f"/bin/scp true; /bin/curl true -o /dev/null http://x; /bin/sleep {LATER}; /bin/scp true; /bin/curl true http://x",
    "Accounts managed late": "/bin/vipw true; /bin/innocent true",
    "Set-uid program started without a name": "/bin/actor as 1000 /bin/pkexec true; /bin/actor nameless /bin/innocent",
    "Hole of sudo tried": "/bin/sudoedit /etc/motd; /bin/sudoedit -s plain",
    "Program run with a proxy of its own": f"http_proxy=http://10.9.9.9:1 actor true; /bin/sleep {LATER}; http_proxy=http://10.9.9.9:1 actor true",
    "Datagrams to a new port": f"actor udp 10.9.0.5 6667; /bin/sleep {LATER}; actor udp 10.9.0.6 6667; actor udp 10.9.0.5 53",
    "Program that never speaks connects": "/bin/innocent connect 10.9.0.5 8080",
    "Interpreter connects for the first time": f"/bin/lua connect 10.9.0.6 8080; /bin/sleep {LATER}; /bin/lua connect 10.9.0.6 8081",
    "Class fetched by Java": "actor listen 8001 3000 & /bin/java say 127.0.0.1 8001 'GET /x.html HTTP/1.1\\r\\n\\r\\n'; /bin/innocent say 127.0.0.1 8001 'GET /x.class HTTP/1.1\\r\\n\\r\\n'",
    "Root taken by a call": "/bin/su regain",
    "Attack tool ran on the host": "",  # test_attack_tool_on_the_host
}
APART = {"LaunchSuspiciousNetworkToolOnHost": "test_attack_tool_on_the_host", "sensor-stopped": "test_sensor_stopped"}
CUT = re.compile(r"[^a-z0-9]+")


def name_of(row):
    return "acc-" + CUT.sub("-", row.action.lower()).strip("-")


def twin_of(rule):
    return "twin-" + CUT.sub("-", rule.lower()).strip("-")


def without_hook(features, hook):
    """Why this kernel cannot tell, or nothing."""
    f = features[hook]
    return None if f["hook"] and f["hook"].startswith(("lsm/", "fentry/", "kprobe/")) else f"this kernel has no hook for it ({hook}: {f.get('hook') or 'nothing'}); done in the virtual machine"


@pytest.fixture(scope="module")
def host(binary, overlay, tmp_path_factory):  # noqa: F811
    if os.geteuid() != 0:
        pytest.skip("watching needs root")
    path = tmp_path_factory.mktemp("acceptance")
    evader = path / "evader"
    p = subprocess.run(["cc", "-static", "-O1", "-pthread", "-D_GNU_SOURCE", "-o", evader, ROOT / "tests/tools/evader.c"], capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    more = {"bin/evader": evader.read_bytes(), "usr/bin/runc": b"runc"}
    overlay("import", "-", "pack:1", input=image(PROGRAMS, ("var/log/syslog", "root/.bash_history"), more))
    short = [{"macro": "ran_for_a_while", "condition": "(container.duration > 5000000000)"}] + [{"rule": r, "window": f"{LEARN}s", "override": {"window": "replace"}} for r in LEARNING]
    # what is traced without privilege costs every system call something, so that no rule of the pack asks for it: this one does
    short.append({"rule": "Asks for the hook", "desc": "x", "condition": "evt.type = ptrace and evt.arg.request = PTRACE_TRACEME and container.name = nobody", "output": "x", "priority": "DEBUG"})
    (path / "short.yaml").write_text(yaml.safe_dump(short))
    watch = Watch(binary, path, "--json", "--budget", "0", "--rules", PACK, "--rules", path / "short.yaml")
    h = Host(overlay, watch, path)
    (path / "disk").write_bytes(bytes(1 << 20))
    p = subprocess.run(["losetup", "-r", "-f", "--show", path / "disk"], capture_output=True, text=True)  # what a container is given as its host's disk
    h.disk = p.stdout.strip()
    yield h
    watch.stop()
    h.process.kill()
    h.process.wait()
    if h.disk:
        subprocess.run(["losetup", "-d", h.disk], check=True)


@pytest.fixture(scope="module")
def features(run):
    code, out, err = run("sensor", "features", "--json")
    assert code == 0, err
    return {f["name"]: f for f in json.loads(out)}


@pytest.fixture(scope="module")
def told(host, features):
    """Every action in a container of its own: action -> (exit status, alerts)."""
    todo = [r for r in ROWS if not r.when and (host.disk or "DISK" not in str(r.options)) and not (r.hook and without_hook(features, r.hook))]
    codes = {}

    def act(row):
        options = [o.replace("DISK", host.disk) for o in row.options]
        linger = "\n/bin/sleep 0.7" if row.script and row.script.startswith(SOON) else ""  # what a container does to files in its last moment is not always told
        p = host.start(name_of(row), options, row.main) if row.main else host.start(name_of(row), options, ["/bin/sh", "-c", row.script + "\nc=$?\nwait" + linger + "\nexit $c"])
        codes[row.action] = (p.returncode, p.stderr)
    def twin(rule):
        host.start(twin_of(rule), ("-t",) if "-i" in TWINS[rule] else (), ["/bin/sh", "-c", TWINS[rule] + "\nwait\n/bin/sleep 0.7"])

    todo.sort(key=lambda r: -len(re.findall(r"sleep [4-9]|flood|6000", r.script or "")))
    with concurrent.futures.ThreadPoolExecutor(max_workers=10) as pool:
        for r in [*(pool.submit(twin, rule) for rule in sorted(TWINS, key=lambda r: "sleep 6" not in TWINS[r] and "sleep 7" not in TWINS[r])), *(pool.submit(act, row) for row in todo)]:
            r.result()
    time.sleep(1)
    alerts = host.alerts()
    return {row.action: (codes[row.action], alerts.get(name_of(row), [])) for row in todo}, {rule: alerts.get(twin_of(rule), []) for rule in TWINS}


def test_every_action_has_a_row():
    wanted = [a for names in ACTIONS.values() for a in names.split()]
    rows = [r.action for r in ROWS] + list(APART)
    assert len(wanted) == len(set(wanted)) and sorted(rows) == sorted(wanted)
    assert all(fn in globals() for fn in APART.values())


def test_actions_are_those_of_the_notes():
    """The list that the issue names, where it is: every name of its table is (the end of) one of ours."""
    notes = ROOT.parent / "shared" / "docs" / "runtime-field-notes.md"
    if not notes.exists():
        pytest.skip(f"{notes} is not on this machine")
    table = [line for line in notes.read_text().split("## 3. ")[1].split("\n## ")[0].splitlines() if line.startswith("| ") and not line.startswith(("| Class", "| K8s"))]
    ours = " ".join(ACTIONS.values()).lower()
    named = {w for line in table for w in re.findall(r"\b[A-Z][a-z]+(?:[A-Z0-9][A-Za-z0-9]*)+\b", line)} - {"ReadOnly"}
    assert len(named) > 40
    assert {w for w in named if w.lower() not in ours and not all(part.lower() in ours for part in re.findall(r"[A-Z][a-z]+", w))} == set()


def test_document_has_every_action():
    text = (ROOT / "docs" / "acceptance.md").read_text()
    listed = re.findall(r"^\| (\S+) \| ([^|]+) \| ", text.split("\n## ")[0], re.M)[2:]  # test_acceptance_vm.py holds the other table
    assert sorted(listed) == sorted([(r.action, r.alert) for r in ROWS] + [("LaunchSuspiciousNetworkToolOnHost", "Attack tool ran on the host"), ("sensor-stopped", "Sensor attacked")])
    for o in OBJECTS:
        assert o in text


def test_rules_of_the_rows_exist():
    techniques = {r["rule"]: r.get("tags", []) for f in PACK.glob("*.yaml") for r in yaml.safe_load(f.read_text()) if "rule" in r}
    for row in ROWS:
        assert {row.alert, *row.also} <= set(techniques), row.action
        assert any(re.fullmatch(r"T\d{4}(\.\d{3})?", t) for t in techniques[row.alert])


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.action)
def test_action(told, features, row):
    why = row.when or row.hook and without_hook(features, row.hook)
    if why or row.action not in told[0]:
        pytest.skip(why or "there is no loop device")
    (code, err), alerts = told[0][row.action]
    if code == 77:
        pytest.skip("this kernel or container refuses it: " + err.strip()[-100:])
    rules = [a["rule"] for a in alerts]
    mine = [a for a in alerts if a["rule"] == row.alert]
    assert len(mine) == 1, f"told: {rules}; exit {code}: {err[-300:]}"
    assert set(rules) - {row.alert} <= set(row.also)
    a = mine[0]
    assert a["container"]["image"] == "pack:1" and a["container"]["name"].startswith(name_of(row)) and len(a["container"]["id"]) == 64
    assert a["techniques"] and a["tactics"] and a["summary"]
    first = row.main or ["/bin/sh", "-c"]
    line = [a["process"], *a["process"]["ancestors"]]
    assert any(p.get("args", [])[:len(first)] == first for p in line), line
    assert a["process"]["pid"] > 0 and a["process"]["exe"].startswith("/") and len(a["process"]["ancestors"]) >= 2  # and whoever started the container


def test_twins(told):
    assert {rule: found for rule, alerts in told[1].items() if (found := [(a["rule"], a["summary"], a["before"][-5:]) for a in alerts])} == {}


def test_attack_tool_on_the_host(binary, tmp_path):
    """Watched with --host, the host's own programs are told of, too; without a container in the alert."""
    tool, twin = tmp_path / "nmap", tmp_path / "nmapper"
    for path in (tool, twin):
        path.write_bytes(pathlib.Path("/bin/busybox").read_bytes())
        path.chmod(0o755)
    watch = Watch(binary, tmp_path, "--json", "--budget", "0", "--host", "--rules", PACK)
    try:
        subprocess.run([twin, "--help"], capture_output=True)
        subprocess.run([tool, "--help"], capture_output=True)
        alert = watch.wait_for(lambda l: l["type"] == "alert" and l["rule"] == "Attack tool ran on the host" and str(tmp_path) in l["process"]["exe"])
    finally:
        watch.stop()
    assert len(alert) == 1 and alert[0].get("container") is None and alert[0]["process"]["exe"] == str(tool) and alert[0]["techniques"] == ["T1046", "T1588"]
    assert os.getpid() in [p["pid"] for p in alert[0]["process"]["ancestors"]]


def test_sensor_stopped(host, binary, tmp_path):
    """A container that sees the host's processes stops the sensor: the survivor says so, and the alert comes when it goes on."""
    watch = Watch(binary, tmp_path, "--json", "--budget", "0", "--rules", PACK)
    try:
        host.start("stopper", ("--pid", "host"), ["/bin/sh", "-c", f"/bin/kill -STOP {watch.process.pid}; /bin/kill -0 {os.getpid()}"])
        until = time.monotonic() + 20
        while "the sensor has said nothing" not in (tmp_path / "err").read_text() and time.monotonic() < until:
            time.sleep(0.1)
        assert "the sensor has said nothing" in (tmp_path / "err").read_text()
        os.kill(watch.process.pid, signal.SIGCONT)
        alert = watch.wait_for(lambda l: l["type"] == "alert" and l["rule"] == "Sensor attacked")
    finally:
        watch.process.send_signal(signal.SIGCONT)
        watch.stop()
    assert len(alert) == 1 and alert[0]["container"]["name"].startswith("stopper") and alert[0]["container"]["image"] == "pack:1" and "T1562.001" in alert[0]["techniques"]
    assert [p["args"][:2] for p in alert[0]["process"]["ancestors"]][0] == ["/bin/sh", "-c"] or alert[0]["process"]["args"][:2] == ["/bin/sh", "-c"]
