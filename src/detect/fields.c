// SPDX-License-Identifier: Apache-2.0
/* The table of fields. */
#include "detect/fields-internal.h"

#define SCRATCH_MAX (1u << 20)

#define BIT(c) HF_CLASS_BIT(HF_CLASS_##c)
#define ALL HF_CLASS_ALL
#define FILES (((1ull << 18) - 1) << HF_CLASS_FILE)
#define MAPPED (BIT(MEM) | BIT(MMAP))
#define NETS (((1ull << 9) - 1) << HF_CLASS_NET)
#define CONNS (NETS | BIT(PAYLOAD) | BIT(DUP))
#define STR HF_VALUE_STR
#define NUM HF_VALUE_NUM
#define ADDR HF_VALUE_ADDR

static const struct hf_field_def table[] = {
        {"proc.name", STR, ALL, NULL, F_PROC_NAME, false},
        {"proc.exe", STR, ALL, NULL, F_PROC_EXE, false},
        {"proc.exepath", STR, ALL, NULL, F_PROC_EXEPATH, false},
        {"proc.args", STR, ALL, NULL, F_PROC_ARGS, false},
        {"proc.arg", STR, ALL, NULL, F_PROC_ARG, true},
        {"proc.cmdline", STR, ALL, NULL, F_PROC_CMDLINE, false},
        {"proc.cmdnargs", NUM, ALL, NULL, F_PROC_CMDNARGS, false},
        {"proc.cmdlenargs", NUM, ALL, NULL, F_PROC_CMDLEN, false},
        {"proc.pname", STR, ALL, NULL, F_PROC_PNAME, false},
        {"proc.pcmdline", STR, ALL, NULL, F_PROC_PCMDLINE, false},
        {"proc.pexe", STR, ALL, NULL, F_PROC_PEXE, false},
        {"proc.pexepath", STR, ALL, NULL, F_PROC_PEXEPATH, false},
        {"proc.aname", STR, ALL, NULL, F_PROC_ANAME, true},
        {"proc.aexe", STR, ALL, NULL, F_PROC_AEXE, true},
        {"proc.aexepath", STR, ALL, NULL, F_PROC_AEXEPATH, true},
        {"proc.acmdline", STR, ALL, NULL, F_PROC_ACMDLINE, true},
        {"proc.apid", NUM, ALL, NULL, F_PROC_APID, true},
        {"proc.tty", NUM, ALL, NULL, F_PROC_TTY, false},
        {"proc.pid", NUM, ALL, NULL, F_PROC_PID, false},
        {"proc.ppid", NUM, ALL, NULL, F_PROC_PPID, false},
        {"proc.vpid", NUM, ALL, NULL, F_PROC_VPID, false},
        {"proc.pvpid", NUM, ALL, NULL, F_PROC_PVPID, false},
        {"proc.sid", NUM, ALL, NULL, F_PROC_SID, false},
        {"proc.sname", STR, ALL, NULL, F_PROC_SNAME, false},
        {"proc.vpgid", NUM, ALL, NULL, F_PROC_VPGID, false},
        {"proc.vpgid.name", STR, BIT(EXEC) | BIT(DUP), NULL, F_PROC_VPGID_NAME, false},
        {"proc.vpgid.exe", STR, BIT(EXEC) | BIT(DUP), NULL, F_PROC_VPGID_EXE, false},
        {"proc.is_vpgid_leader", NUM, BIT(EXEC) | BIT(DUP), NULL, F_PROC_IS_VPGID_LEADER, false},
        {"proc.is_sid_leader", NUM, ALL, NULL, F_PROC_IS_SID_LEADER, false},
        {"proc.cwd", STR, ALL, NULL, F_PROC_CWD, false},
        {"proc.env", STR, ALL, NULL, F_PROC_ENV, true},
        {"proc.duration", NUM, ALL, NULL, F_PROC_DURATION, false},
        {"proc.ppid.duration", NUM, ALL, NULL, F_PROC_PPID_DURATION, false},
        {"proc.is_exe_upper_layer", NUM, ALL, NULL, F_PROC_UPPER, false},
        {"proc.is_exe_from_memfd", NUM, ALL, NULL, F_PROC_MEMFD, false},
        {"proc.is_exe_writable", NUM, ALL, NULL, F_PROC_WRITABLE, false},
        {"proc.exe_ino", NUM, ALL, NULL, F_PROC_INODE, false},
        {"proc.exe_ino.ctime", NUM, BIT(EXEC) | BIT(DUP), NULL, F_PROC_INODE_CTIME, false},
        {"proc.exe_ino.mtime", NUM, BIT(EXEC) | BIT(DUP), NULL, F_PROC_INODE_CTIME, false},
        {"proc.exe_ino.ctime_duration_proc_start", NUM, BIT(EXEC) | BIT(DUP), NULL, F_PROC_INODE_CTIME_START, false},
        {"proc.stdin.type", STR, ALL, NULL, F_PROC_STDIN, false},
        {"proc.stdout.type", STR, ALL, NULL, F_PROC_STDOUT, false},
        {"proc.stderr.type", STR, ALL, NULL, F_PROC_STDERR, false},
        {"proc.loginshellid", NUM, ALL, NULL, F_PROC_LOGINSHELLID, false},
        {"user.name", STR, ALL, NULL, F_USER_NAME, false},
        {"user.uid", NUM, ALL, NULL, F_USER_UID, false},
        {"user.loginuid", NUM, ALL, NULL, F_USER_LOGINUID, false},
        {"user.loginname", STR, ALL, NULL, F_USER_LOGINNAME, false},
        {"group.gid", NUM, ALL, NULL, F_GROUP_GID, false},
        {"group.name", STR, ALL, NULL, F_GROUP_NAME, false},
        {"thread.tid", NUM, ALL, NULL, F_THREAD_TID, false},
        {"thread.cap_effective", STR, ALL, NULL, F_THREAD_CAP_EFF, false},
        {"thread.cap_permitted", STR, ALL, NULL, F_THREAD_CAP_PERM, false},
        {"hf.exe.deleted", NUM, ALL, NULL, F_HF_DELETED, false},
        {"hf.exe.tmpfs", NUM, ALL, NULL, F_HF_TMPFS, false},
        {"hf.exe.copied_up", NUM, ALL, NULL, F_HF_COPIED, false},
        {"hf.exe.setuid", NUM, ALL, NULL, F_HF_SETUID, false},
        {"hf.exe.script", NUM, ALL, NULL, F_HF_SCRIPT, false},
        {"hf.exe.killed", NUM, ALL, NULL, F_HF_KILLED, false},
        {"hf.cwd.outside", NUM, ALL, NULL, F_HF_CWD_OUTSIDE, false},
        {"hf.root.outside", NUM, ALL, NULL, F_HF_ROOT_OUTSIDE, false},
        {"hf.exe.nameless", NUM, BIT(EXEC) | BIT(DUP), NULL, F_HF_NAMELESS, false},
        {"hf.program", STR, ALL, NULL, F_HF_PROGRAM, false},
        {"hf.session", STR, ALL, NULL, F_HF_SESSION, false},
        {"hf.session_user", STR, ALL, NULL, F_HF_SESSION_USER, false},
        {"hf.traced", NUM, ALL, NULL, F_HF_TRACED, false},
        {"hf.runtime", NUM, ALL, NULL, F_HF_RUNTIME, false},
        {"hf.container_main", NUM, ALL, NULL, F_HF_CONTAINER_MAIN, false},
        {"evt.type", STR, ALL, NULL, F_EVT_TYPE, false},
        {"syscall.type", STR, ALL, NULL, F_SYSCALL_TYPE, false},
        {"evt.dir", STR, ALL, NULL, F_EVT_DIR, false},
        {"evt.num", NUM, ALL, NULL, F_EVT_NUM, false},
        {"evt.time", STR, ALL, NULL, F_EVT_TIME, false},
        {"evt.rawtime", NUM, ALL, NULL, F_EVT_RAWTIME, false},
        {"evt.res", STR, ALL, NULL, F_EVT_RES, false},
        {"evt.rawres", NUM, ALL, NULL, F_EVT_RAWRES, false},
        {"evt.failed", NUM, ALL, NULL, F_EVT_FAILED, false},
        {"evt.is_open_read", NUM, FILES, NULL, F_EVT_IS_READ, false},
        {"evt.is_open_write", NUM, FILES, NULL, F_EVT_IS_WRITE, false},
        {"evt.is_open_create", NUM, FILES, NULL, F_EVT_IS_CREATE, false},
        {"evt.is_open_exec", NUM, FILES, NULL, F_EVT_IS_EXEC, false},
        {"evt.hostname", STR, ALL, NULL, F_EVT_HOSTNAME, false},
        {"evt.args", STR, ALL, NULL, F_EVT_ARGS, false},
        {"evt.arg", STR, ALL, NULL, F_EVT_ARG, true},
        {"evt.category", STR, ALL, NULL, F_EVT_CATEGORY, false},
        {"evt.buffer", STR, 0, "needs the bytes that programs read and write, which the sensor never takes", F_EVT_BUFFER, false},
        {"fd.name", STR, FILES | MAPPED | CONNS, NULL, F_FD_NAME, false},
        {"fd.nameraw", STR, FILES | MAPPED | CONNS, NULL, F_FD_NAMERAW, false},
        {"fd.directory", STR, FILES | MAPPED, NULL, F_FD_DIRECTORY, false},
        {"fd.filename", STR, FILES | MAPPED, NULL, F_FD_FILENAME, false},
        {"fd.type", STR, FILES | CONNS, NULL, F_FD_TYPE, false},
        {"fd.typechar", STR, FILES | CONNS, NULL, F_FD_TYPECHAR, false},
        {"fd.types", STR, ALL, NULL, F_FD_TYPES, true},
        {"fd.num", NUM, FILES | BIT(DUP), NULL, F_FD_NUM, false},
        {"fd.ino", NUM, FILES | MAPPED, NULL, F_FD_INO, false},
        {"fd.dev", NUM, FILES | MAPPED, NULL, F_FD_DEV, false},
        {"fd.ip", ADDR, CONNS, NULL, F_FD_IP, false},
        {"fd.cip", ADDR, CONNS, NULL, F_FD_CIP, false},
        {"fd.sip", ADDR, CONNS, NULL, F_FD_SIP, false},
        {"fd.lip", ADDR, CONNS, NULL, F_FD_LIP, false},
        {"fd.rip", ADDR, CONNS, NULL, F_FD_RIP, false},
        {"fd.port", NUM, CONNS, NULL, F_FD_PORT, false},
        {"fd.cport", NUM, CONNS, NULL, F_FD_CPORT, false},
        {"fd.sport", NUM, CONNS, NULL, F_FD_SPORT, false},
        {"fd.lport", NUM, CONNS, NULL, F_FD_LPORT, false},
        {"fd.rport", NUM, CONNS, NULL, F_FD_RPORT, false},
        {"fd.net", ADDR, CONNS, NULL, F_FD_NET, false},
        {"fd.cnet", ADDR, CONNS, NULL, F_FD_CNET, false},
        {"fd.snet", ADDR, CONNS, NULL, F_FD_SNET, false},
        {"fd.rnet", ADDR, CONNS, NULL, F_FD_RNET, false},
        {"fd.lnet", ADDR, CONNS, NULL, F_FD_LNET, false},
        {"fd.ip.name", STR, CONNS, NULL, F_FD_RIPNAME, false},
        {"fd.cip.name", STR, CONNS, NULL, F_FD_CIPNAME, false},
        {"fd.sip.name", STR, CONNS, NULL, F_FD_SIPNAME, false},
        {"fd.rip.name", STR, CONNS, NULL, F_FD_RIPNAME, false},
        {"fd.lip.name", STR, 0, "the sensor keeps no names of local addresses", F_NONE, false},
        {"fd.l4proto", STR, CONNS, NULL, F_FD_L4PROTO, false},
        {"fd.sockfamily", STR, FILES | CONNS, NULL, F_FD_SOCKFAMILY, false},
        {"fd.is_server", NUM, CONNS, NULL, F_FD_IS_SERVER, false},
        {"fd.connected", NUM, CONNS, NULL, F_FD_CONNECTED, false},
        {"fd.name_changed", NUM, 0, "the sensor tells of a connection once, with its final ends", F_NONE, false},
        {"fd.is_upper_layer", NUM, FILES | MAPPED, NULL, F_FD_UPPER, false},
        {"fs.path.name", STR, FILES, NULL, F_FS_PATH_NAME, false},
        {"fs.path.nameraw", STR, FILES, NULL, F_FS_PATH_NAME, false},
        {"fs.path.source", STR, FILES, NULL, F_FS_PATH_SOURCE, false},
        {"fs.path.sourceraw", STR, FILES, NULL, F_FS_PATH_SOURCE, false},
        {"fs.path.target", STR, FILES, NULL, F_FS_PATH_TARGET, false},
        {"fs.path.targetraw", STR, FILES, NULL, F_FS_PATH_TARGET, false},
        {"container.id", STR, ALL, NULL, F_C_ID, false},
        {"container.full_id", STR, ALL, NULL, F_C_FULLID, false},
        {"container.name", STR, ALL, NULL, F_C_NAME, false},
        {"container.image", STR, ALL, NULL, F_C_IMAGE, false},
        {"container.image.repository", STR, ALL, NULL, F_C_REPOSITORY, false},
        {"container.image.tag", STR, ALL, NULL, F_C_TAG, false},
        {"container.image.digest", STR, ALL, NULL, F_C_DIGEST, false},
        {"container.image.id", STR, ALL, NULL, F_C_IMAGEID, false},
        {"container.type", STR, ALL, NULL, F_C_TYPE, false},
        {"container.privileged", NUM, ALL, NULL, F_C_PRIVILEGED, false},
        {"container.mounts", STR, ALL, NULL, F_C_MOUNTS, false},
        {"container.mount.dest", STR, ALL, NULL, F_C_MOUNT_DEST, true},
        {"container.mount.source", STR, ALL, NULL, F_C_MOUNT_SOURCE, true},
        {"container.mount.mode", STR, ALL, NULL, F_C_MOUNT_MODE, true},
        {"container.start_ts", NUM, ALL, NULL, F_C_START, false},
        {"container.duration", NUM, ALL, NULL, F_C_DURATION, false},
        {"container.user", STR, ALL, NULL, F_C_USER, false},
        {"container.host_network", NUM, ALL, NULL, F_C_HOSTNET, false},
        {"container.host_pid", NUM, ALL, NULL, F_C_HOSTPID, false},
        {"container.label", STR, ALL, NULL, F_C_LABEL, true},
        {"k8s.pod.name", STR, ALL, NULL, F_K8S_POD, false},
        {"k8s.pod.uid", STR, ALL, NULL, F_K8S_POD_UID, false},
        {"k8s.ns.name", STR, ALL, NULL, F_K8S_NS, false},
        {"k8s.container.name", STR, ALL, NULL, F_K8S_CONTAINER, false},
        {"hf.peer.container.name", STR, CONNS, NULL, F_HF_PEER_CONTAINER, false},
        {"hf.peer.container.image", STR, CONNS, NULL, F_HF_PEER_IMAGE, false},
        {"hf.peer.exe", STR, CONNS, NULL, F_HF_PEER_EXE, false},
        {"hf.peer.name", STR, CONNS, NULL, F_HF_PEER_NAME, false},
        {"hf.app", STR, BIT(PAYLOAD), NULL, F_HF_APP, false},
        {"hf.app.name", STR, BIT(PAYLOAD), NULL, F_HF_APP_NAME, false},
        {"hf.app.path", STR, BIT(PAYLOAD), NULL, F_HF_APP_PATH, false},
        {"hf.app.agent", STR, BIT(PAYLOAD), NULL, F_HF_APP_AGENT, false},
        {"hf.app.login", STR, BIT(PAYLOAD), NULL, F_HF_APP_LOGIN, false},
        {"hf.dns.type", NUM, BIT(PAYLOAD), NULL, F_HF_DNS_TYPE, false},
        {"hf.dns.rcode", NUM, BIT(PAYLOAD), NULL, F_HF_DNS_RCODE, false},
        {"hf.dns.response", NUM, BIT(PAYLOAD), NULL, F_HF_DNS_RESPONSE, false},
        {"hf.dns.randomness", NUM, BIT(PAYLOAD), NULL, F_HF_DNS_RANDOM, false},
        {"hf.target.exe", STR, BIT(SIGNAL) | BIT(PTRACE), NULL, F_HF_TARGET_EXE, false},
        {"hf.target.name", STR, BIT(SIGNAL) | BIT(PTRACE), NULL, F_HF_TARGET_NAME, false},
        {"hf.target.pid", NUM, BIT(SIGNAL) | BIT(PTRACE), NULL, F_HF_TARGET_PID, false},
        {"hf.target.same_container", NUM, BIT(SIGNAL) | BIT(PTRACE), NULL, F_HF_TARGET_SAME_CONTAINER, false},
        {"hf.target.child", NUM, BIT(SIGNAL) | BIT(PTRACE), NULL, F_HF_TARGET_CHILD, false},
        {"hf.signal", NUM, BIT(SIGNAL), NULL, F_HF_SIGNAL, false},
        {"hf.capability", STR, BIT(CAP) | BIT(USERFAULTFD), NULL, F_HF_CAP, false},
        {"hf.syscall", STR, BIT(CAP) | BIT(USERFAULTFD), NULL, F_HF_SYSCALL, false},
        {"hf.cred.root", NUM, BIT(CRED), NULL, F_HF_CRED_ROOT, false},
        {"hf.cred.unexplained", NUM, BIT(CRED), NULL, F_HF_CRED_UNEXPLAINED, false},
        {"hf.bpf.helpers", STR, BIT(BPF), NULL, F_HF_BPF_HELPERS, false},
        {"hf.mem.writable_exec", NUM, MAPPED, NULL, F_HF_MEM_WX, false},
        {"hf.mem.anonymous", NUM, MAPPED, NULL, F_HF_MEM_ANON, false},
        {"hf.mem.written", NUM, MAPPED, NULL, F_HF_MEM_WRITTEN, false},
        {"hf.mem.stack", NUM, MAPPED, NULL, F_HF_MEM_STACK, false},
        {"hf.mem.heap", NUM, MAPPED, NULL, F_HF_MEM_HEAP, false},
        {"hf.mem.length", NUM, MAPPED, NULL, F_HF_MEM_LENGTH, false},
        {"hf.file.memfd", NUM, FILES | MAPPED, NULL, F_HF_FILE_MEMFD, false},
        {"hf.file.deleted", NUM, FILES | MAPPED, NULL, F_HF_FILE_DELETED, false},
        {"hf.file.tmpfs", NUM, FILES | MAPPED, NULL, F_HF_FILE_TMPFS, false},
        {"hf.file.copied_up", NUM, FILES | MAPPED, NULL, F_HF_FILE_COPIED, false},
        {"hf.rate.syn_out", NUM, BIT(RATE), NULL, F_HF_RATE_SYN_OUT, false},
        {"hf.rate.syn_in", NUM, BIT(RATE), NULL, F_HF_RATE_SYN_IN, false},
        {"hf.rate.accepted", NUM, BIT(RATE), NULL, F_HF_RATE_ACCEPTED, false},
        {"hf.rate.udp_out", NUM, BIT(RATE), NULL, F_HF_RATE_UDP_OUT, false},
        {"hf.rate.packets_out", NUM, BIT(RATE), NULL, F_HF_RATE_PACKETS_OUT, false},
        {"hf.rate.packets_in", NUM, BIT(RATE), NULL, F_HF_RATE_PACKETS_IN, false},
        {"hf.rate.udp_in", NUM, BIT(RATE), NULL, F_HF_RATE_UDP_IN, false},
        {"hf.rate.icmp_out", NUM, BIT(RATE), NULL, F_HF_RATE_ICMP_OUT, false},
        {"hf.rate.bytes_out", NUM, BIT(RATE), NULL, F_HF_RATE_BYTES_OUT, false},
        {"hf.rate.bytes_in", NUM, BIT(RATE), NULL, F_HF_RATE_BYTES_IN, false},
        {"hf.rate.half_open", NUM, BIT(RATE), NULL, F_HF_RATE_HALF_OPEN, false},
        {"hf.changed", STR, FILES, NULL, F_HF_CHANGED, false},
        {"hf.file.watch", NUM, FILES, NULL, F_HF_WATCH, false},
        {"hf.file.node", STR, FILES, NULL, F_HF_NODE, false},
        {"hf.io_uring.opcode", NUM, BIT(IO_URING), NULL, F_HF_URING_OP, false},
        {"hf.exit.code", NUM, BIT(EXIT), NULL, F_HF_EXIT_CODE, false},
        {"hf.exit.signal", NUM, BIT(EXIT), NULL, F_HF_EXIT_SIGNAL, false},
        {"hf.lost", NUM, BIT(LOSS), NULL, F_HF_LOST, false},
        {"hf.status", STR, BIT(STATUS), NULL, F_HF_STATUS, true},
        {"hf.bytes_out", NUM, HF_CLASS_BIT(HF_CLASS_NET + HF_NET_CLOSE), NULL, F_HF_BYTES_OUT, false},
        {"hf.bytes_in", NUM, HF_CLASS_BIT(HF_CLASS_NET + HF_NET_CLOSE), NULL, F_HF_BYTES_IN, false},
        {"hf.connection.duration", NUM, HF_CLASS_BIT(HF_CLASS_NET + HF_NET_CLOSE), NULL, F_HF_CONN_DURATION, false},
        {"hf.incoming", NUM, BIT(PAYLOAD), NULL, F_HF_INCOMING, false},
        {"hf.accepted", NUM, BIT(PAYLOAD), NULL, F_HF_ACCEPTED, false},
        {"hf.mount.source", STR, BIT(MOUNT) | BIT(UMOUNT), NULL, F_HF_MOUNT_SOURCE, false},
        {"hf.mount.target", STR, BIT(MOUNT) | BIT(UMOUNT), NULL, F_HF_MOUNT_TARGET, false},
        {"hf.mount.type", STR, BIT(MOUNT) | BIT(UMOUNT), NULL, F_HF_MOUNT_TYPE, false},
        {"hf.socket.family", NUM, BIT(SOCKET), NULL, F_HF_SOCKET_FAMILY, false},
        {"hf.socket.type", NUM, BIT(SOCKET), NULL, F_HF_SOCKET_TYPE, false},
        {"hf.verdict", STR, BIT(VERDICT), NULL, F_HF_VERDICT, false},
        {"hf.verdict.use", STR, BIT(VERDICT), NULL, F_HF_VERDICT_USE, false},
        {"hf.verdict.path", STR, BIT(VERDICT), NULL, F_HF_VERDICT_PATH, false},
        {"hf.verdict.since_start", NUM, BIT(VERDICT), NULL, F_HF_VERDICT_SINCE_START, false},
        {"hf.verdict.sha256", STR, BIT(VERDICT), NULL, F_HF_VERDICT_SHA256, false},
        {"hf.verdict.sealed_sha256", STR, BIT(VERDICT), NULL, F_HF_VERDICT_SEALED_SHA256, false},
        {"hf.verdict.sealed_path", STR, BIT(VERDICT), NULL, F_HF_VERDICT_SEALED_PATH, false},
        {"hf.verdict.package", STR, BIT(VERDICT), NULL, F_HF_VERDICT_PACKAGE, false},
        {"hf.verdict.action", STR, BIT(VERDICT), NULL, F_HF_VERDICT_ACTION, false},
        {"hf.verdict.rung", STR, BIT(VERDICT), NULL, F_HF_VERDICT_RUNG, false},
        {"hf.verdict.policy", STR, BIT(VERDICT), NULL, F_HF_VERDICT_POLICY, false},
        {"hf.verdict.clause", STR, BIT(VERDICT), NULL, F_HF_VERDICT_CLAUSE, false},
        {"hf.verdict.writer", STR, BIT(VERDICT), NULL, F_HF_VERDICT_WRITER, false},
        {"hf.verdict.writer.cmdline", STR, BIT(VERDICT), NULL, F_HF_VERDICT_WRITER_CMDLINE, false},
        {"hf.verdict.writer.pid", NUM, BIT(VERDICT), NULL, F_HF_VERDICT_WRITER_PID, false},
        {"hf.verdict.writer.age", NUM, BIT(VERDICT), NULL, F_HF_VERDICT_WRITER_AGE, false},
        {"hf.verdict.package_manager", STR, BIT(VERDICT), NULL, F_HF_VERDICT_MANAGER, false},
        {"hf.verdict.package_manager_run", NUM, BIT(VERDICT), NULL, F_HF_VERDICT_MANAGER_RUN, false},
        {"hf.remembered", NUM, ALL, NULL, F_HF_REMEMBERED, true},
        {"hf.parent_remembered", NUM, ALL, NULL, F_HF_PARENT_REMEMBERED, true},
};

const struct hf_field_def *hf_field_find(struct hf_span name)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(table); i++)
        if (hf_span_eqz(name, table[i].name))
            return &table[i];
    return NULL;
}

const struct hf_field_def *hf_field_at(size_t i)
{
    return i < HF_ARRAY_LEN(table) ? &table[i] : NULL;
}

const char *const *hf_field_names(void)
{
    static const char *names[HF_ARRAY_LEN(table) + 1];
    for (size_t i = 0; i < HF_ARRAY_LEN(table); i++)
        names[i] = table[i].name;
    return names;
}

/* ---- looking ---- */

_Static_assert(F_COUNT <= HF_ARRAY_LEN(((struct hf_look *)0)->cache), "the cache has a place for every field");

void hf_look_init(struct hf_look *l)
{
    *l = (struct hf_look){.scratch = HF_BUF_INIT(SCRATCH_MAX)};
    if (!hf_buf_reserve(&l->scratch, 65536)) /* so that ordinary events never grow it */
        hf_buf_done(&l->scratch);
}

void hf_look_done(struct hf_look *l)
{
    hf_buf_done(&l->scratch);
}

void hf_look_at(struct hf_look *l, const struct hf_event *ev, enum hf_class class)
{
    l->ev = ev;
    l->class = class;
    l->stdio = NULL;
    hf_buf_clear(&l->scratch);
    l->epoch++;
}

bool hf_value_str(struct hf_value *ret, struct hf_span s)
{
    ret->kind = HF_VALUE_STR;
    ret->str = s;
    return s.n > 0;
}

bool hf_value_num(struct hf_value *ret, int64_t n)
{
    ret->kind = HF_VALUE_NUM;
    ret->num = n;
    return true;
}

bool hf_value_made(struct hf_look *l, size_t from, struct hf_value *ret)
{
    /* texts are kept as offsets would be: the buffer was reserved, and what outgrows it is given up rather than moved */
    if (!hf_buf_ok(&l->scratch) || l->scratch.n < from)
        return false;
    return hf_value_str(ret, hf_span(l->scratch.p + from, l->scratch.n - from));
}

static bool get(struct hf_look *l, unsigned id, struct hf_span arg, int64_t arg_n, unsigned nth, struct hf_value *ret)
{
    /* the buffer must not move under values made before: room for the largest text is there, or there is no value */
    if (l->scratch.cap - l->scratch.n < 20000 && !(l->scratch.n < 20000 && hf_buf_reserve(&l->scratch, 65536)))
        return false;
    return id <= F_PROC_LAST ? hf_field_proc(l, id, arg, arg_n, nth, ret) : hf_field_object(l, id, arg, arg_n, nth, ret);
}

bool hf_field_get(struct hf_look *l, const struct hf_field_def *f, struct hf_span arg, int64_t arg_n, unsigned nth, struct hf_value *ret)
{
    if (f->arg || nth || f->id == F_NONE)
        return f->id != F_NONE && get(l, f->id, arg, arg_n, nth, ret);
    if (l->cache[f->id].epoch != l->epoch) {
        l->cache[f->id].epoch = l->epoch;
        l->cache[f->id].has = get(l, f->id, arg, arg_n, 0, &l->cache[f->id].v);
    }
    *ret = l->cache[f->id].v;
    return l->cache[f->id].has;
}

void hf_value_text(const struct hf_value *v, struct hf_buf *out)
{
    if (v->kind == HF_VALUE_STR)
        hf_buf_adds(out, v->str);
    else if (v->kind == HF_VALUE_NUM)
        hf_buf_addf(out, "%lld", (long long)v->num);
    else
        hf_event_addr(v->addr, out);
}
