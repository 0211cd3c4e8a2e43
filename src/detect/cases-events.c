// SPDX-License-Identifier: Apache-2.0
/* Kinds of events and their members as `watch --json` names them, and where each lies in its record. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/opts.h"
#include "detect/cases-internal.h"
#include "event/caps.h"
#include "event/names.h"

enum kind { U16, U32, U64, ADDR, TEXT, CHARS, FLAGS, NAMED, TARGET, CAP, GRANTED, STDIO, CODE, SIGNO, QUESTION, QTYPE, RCODE, RESPONSE, DATA, HEX };

struct member {
    const char *name;
    enum kind kind;
    size_t at;         /* offset; of TEXT, DATA, HEX: which text */
    const void *names; /* FLAGS: hf_flag_name; NAMED: struct named */
};
struct named {
    const char *name;
    uint64_t value;
};
struct length {
    size_t at, size;
};
struct hf_case_type {
    const char *name;
    unsigned wire;
    size_t size;
    size_t op_at;  /* 0: none */
    uint32_t op;   /* what it is at first */
    const struct member *members;
    struct length lengths[6]; /* of its texts; size 0 ends */
};

#define AT(type, member) offsetof(struct hf_wire_##type, member)
#define LEN(type, member) {AT(type, member), sizeof(((struct hf_wire_##type *)0)->member)}

static const struct named file_ops[] = {{"open", HF_FILE_OPEN}, {"write", HF_FILE_WRITE}, {"create", HF_FILE_CREATE}, {"unlink", HF_FILE_UNLINK}, {"rename", HF_FILE_RENAME},
        {"link", HF_FILE_LINK}, {"symlink", HF_FILE_SYMLINK}, {"chmod", HF_FILE_CHMOD}, {"chown", HF_FILE_CHOWN}, {"mkdir", HF_FILE_MKDIR}, {"rmdir", HF_FILE_RMDIR},
        {"setxattr", HF_FILE_XATTR}, {"attributes", HF_FILE_ATTRIB}, {"map_exec", HF_FILE_MMAP_EXEC}, {"connect", HF_FILE_CONNECT}, {"mknod", HF_FILE_MKNOD},
        {"ioctl", HF_FILE_IOCTL}, {NULL, 0}};
static const struct named connect_ops[] = {{"connect", HF_NET_CONNECT}, {"established", HF_NET_ESTABLISHED}, {"failed", HF_NET_FAILED}, {NULL, 0}};
static const struct named protocols[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"icmp", IPPROTO_ICMP}, {NULL, 0}};
static const struct named directions[] = {{"out", HF_PAYLOAD_OUT}, {"in", HF_PAYLOAD_IN}, {NULL, 0}};
static const struct named truths[] = {{"true", 1}, {"false", 0}, {NULL, 0}};
static const struct named ptraces[] = {{"attach", HF_PTRACE_ATTACH}, {"traceme", HF_PTRACE_TRACEME}, {"read", HF_PTRACE_READ}, {"write", HF_PTRACE_WRITE}, {"other", HF_PTRACE_OTHER}, {NULL, 0}};
static const struct named ns_ops[] = {{"unshare", HF_NS_UNSHARE}, {"setns", HF_NS_SETNS}, {"changed", HF_NS_CHANGED}, {NULL, 0}};
static const struct named mounts[] = {{"mount", HF_MOUNT_MOUNT}, {"move", HF_MOUNT_MOVE}, {"pivot_root", HF_MOUNT_PIVOT}, {"unmount", HF_MOUNT_UMOUNT},
        {"open_tree", HF_MOUNT_OPEN_TREE}, {"remount", HF_MOUNT_REMOUNT}, {NULL, 0}};
static const struct named modules[] = {{"load_from_memory", HF_MODULE_INIT}, {"load_from_file", HF_MODULE_FINIT}, {"delete", HF_MODULE_DELETE}, {"kexec", HF_MODULE_KEXEC}, {NULL, 0}};
static const struct named mem_ops[] = {{"mmap", HF_MEM_MMAP}, {"mprotect", HF_MEM_MPROTECT}, {"shmat", HF_MEM_SHMAT}, {NULL, 0}};
static const struct named requests[] = {{"TIOCSTI", 0x5412}, {"EVIOCGRAB", 0x40044590}, {"EVIOCGKEY", 0x80604518}, {"UI_DEV_CREATE", 0x5501}, {"KDSKBMODE", 0x4b45}, {"TIOCCONS", 0x541d},
        {"USERFAULTFD_IOC_NEW", 0xaa00}, {"SG_IO", 0x2285}, {NULL, 0}};
static const struct named urings[] = {{"create", 0}, {"request", 1}, {NULL, 0}};
static const struct named stdios[] = {{"none", HF_STDIO_NONE}, {"file", HF_STDIO_FILE}, {"pipe", HF_STDIO_PIPE}, {"socket", HF_STDIO_SOCKET}, {"tty", HF_STDIO_TTY},
        {"null", HF_STDIO_NULL}, {"other", HF_STDIO_OTHER}, {NULL, 0}};

static const struct member exec_members[] = {{"flags", FLAGS, AT(exec, exec_flags), hf_names_exec}, {"inode", U64, AT(exec, inode), NULL}, {"device", U32, AT(exec, dev), NULL},
        {"mode", U32, AT(exec, mode), NULL}, {"called_as", TEXT, 1, NULL}, {"interpreter", TEXT, 2, NULL}, {"stdin", STDIO, AT(exec, stdio[0]), NULL},
        {"stdout", STDIO, AT(exec, stdio[1]), NULL}, {"stderr", STDIO, AT(exec, stdio[2]), NULL}, {NULL, U16, 0, NULL}};
static const struct member fork_members[] = {{"child_pid", U32, AT(fork, child_pid), NULL}, {NULL, U16, 0, NULL}};
static const struct member exit_members[] = {{"code", CODE, AT(exit, status), NULL}, {"signal", SIGNO, AT(exit, status), NULL}, {NULL, U16, 0, NULL}};
static const struct member file_members[] = {{"operation", NAMED, AT(file, op), file_ops}, {"path", TEXT, 0, NULL}, {"target", TEXT, 1, NULL}, {"inode", U64, AT(file, inode), NULL},
        {"device", U32, AT(file, dev), NULL}, {"mode", U32, AT(file, mode), NULL}, {"new_mode", U32, AT(file, new_mode), NULL}, {"new_uid", U32, AT(file, new_uid), NULL},
        {"open_flags", FLAGS, AT(file, open_flags), hf_names_open}, {"flags", FLAGS, AT(file, exec_flags), hf_names_exec},
        {"request", NAMED, AT(file, request), requests}, {NULL, U16, 0, NULL}};
#define ENDS(type)                                                                                                                                      \
    {"protocol", NAMED, AT(type, protocol), protocols}, {"local", ADDR, AT(type, local), NULL}, {"local_port", U16, AT(type, local_port), NULL},        \
            {"peer", ADDR, AT(type, peer), NULL}, {"peer_port", U16, AT(type, peer_port), NULL}
static const struct member net_members[] = {{"operation", NAMED, AT(net, op), connect_ops}, ENDS(net), {"backlog", U32, AT(net, backlog), NULL}, {"bytes_out", U64, AT(net, bytes_out), NULL},
        {"bytes_in", U64, AT(net, bytes_in), NULL}, {"duration_ns", U64, AT(net, duration_ns), NULL}, {NULL, U16, 0, NULL}};
static const struct member payload_members[] = {{"direction", NAMED, AT(payload, direction), directions}, {"accepted", NAMED, AT(payload, payload_flags), truths}, ENDS(payload), {"data", DATA, 0, NULL}, {"hex", HEX, 0, NULL}, {NULL, U16, 0, NULL}};
static const struct member dns_members[] = {ENDS(payload), {"name", QUESTION, 0, NULL}, {"query_type", QTYPE, 0, NULL}, {"response", RESPONSE, 0, NULL}, {"rcode", RCODE, 0, NULL}, {NULL, U16, 0, NULL}};
static const struct member socket_members[] = {{"family", U32, AT(socket, family), NULL}, {"type", U32, AT(socket, type), NULL}, {"protocol", U32, AT(socket, protocol), NULL}, {NULL, U16, 0, NULL}};
static const struct member ptrace_members[] = {{"request", NAMED, AT(ptrace, request), ptraces}, {"target", TARGET, AT(ptrace, target_pid), NULL}, {NULL, U16, 0, NULL}};
static const struct member mem_members[] = {{"operation", NAMED, AT(mem, op), mem_ops}, {"before", FLAGS, AT(mem, prot_before), hf_names_prot}, {"flags", FLAGS, AT(mem, mem_flags), hf_names_mem},
        {"file_flags", FLAGS, AT(mem, exec_flags), hf_names_exec}, {"inode", U64, AT(mem, inode), NULL}, {"length", U64, AT(mem, length), NULL}, {"protection", FLAGS, AT(mem, prot), hf_names_prot}, {"path", TEXT, 0, NULL}, {NULL, U16, 0, NULL}};
static const struct member ns_members[] = {{"operation", NAMED, AT(ns, op), ns_ops}, {"kinds", FLAGS, AT(ns, flags), hf_names_clone}, {NULL, U16, 0, NULL}};
static const struct member mount_members[] = {{"operation", NAMED, AT(mount, op), mounts}, {"device", TEXT, 0, NULL}, {"target", TEXT, 1, NULL}, {"type", TEXT, 2, NULL}, {NULL, U16, 0, NULL}};
static const struct member module_members[] = {{"operation", NAMED, AT(module, op), modules}, {"name", TEXT, 0, NULL}, {"path", TEXT, 1, NULL}, {NULL, U16, 0, NULL}};
static const struct member bpf_members[] = {{"name", CHARS, AT(bpf, name), NULL}, {"program_type", U32, AT(bpf, prog_type), NULL}, {"instructions", U32, AT(bpf, insns), NULL},
        {"helpers", FLAGS, AT(bpf, helpers), hf_names_helper}, {NULL, U16, 0, NULL}};
static const struct member uring_members[] = {{"operation", NAMED, AT(io_uring, op), urings}, {"opcode", U32, AT(io_uring, opcode), NULL}, {NULL, U16, 0, NULL}};
static const struct member signal_members[] = {{"number", U32, AT(signal, sig), NULL}, {"target", TARGET, AT(signal, target_pid), NULL}, {NULL, U16, 0, NULL}};
static const struct member rename_members[] = {{"name", CHARS, AT(rename, name), NULL}, {NULL, U16, 0, NULL}};
static const struct member cap_members[] = {{"capability", CAP, AT(cap, cap), NULL}, {"syscall", U32, AT(cap, syscall), NULL}, {"granted", GRANTED, AT(cap, result), NULL}, {NULL, U16, 0, NULL}};
static const struct member loss_members[] = {{"count", U64, AT(loss, count), NULL}, {NULL, U16, 0, NULL}};
#define RATE(m) {#m, U64, AT(rate, m), NULL}
static const struct member rate_members[] = {RATE(interval_ns), RATE(tcp_syn_out), RATE(tcp_syn_in), RATE(tcp_accepted), RATE(udp_out), RATE(udp_in), RATE(icmp_out), RATE(packets_out),
        RATE(packets_in), RATE(bytes_out), RATE(bytes_in), {NULL, U16, 0, NULL}};
static const struct member cred_members[] = {{"old_uid", U32, AT(cred, old_uid), NULL}, {"old_euid", U32, AT(cred, old_euid), NULL}, {"what", FLAGS, AT(cred, what), hf_names_cred}, {NULL, U16, 0, NULL}};
static const struct named verdicts[] = {{"sealed", 1}, {"changed", 2}, {"foreign", 3}, {"moved", 4}, {"volume", 5}, {"memory", 6}, {"unsealed", 7}, {"unreadable", 8}, {NULL, 0}};
static const struct named uses[] = {{"exec", 1}, {"mmap", 2}, {"policy", 3}, {NULL, 0}};
static const struct named actions[] = {{"none", 0}, {"would", 1}, {"denied", 2}, {"killed", 3}, {NULL, 0}};
static const struct named rungs[] = {{"none", 0}, {"lsm", 1}, {"fanotify", 2}, {"signal", 3}, {"cgroup", 4}, {"nftables", 5}, {NULL, 0}};
static const struct member verdict_members[] = {{"path", TEXT, 0, NULL}, {"result", NAMED, AT(verdict, verdict), verdicts}, {"use", NAMED, AT(verdict, use), uses},
        {"action", NAMED, AT(verdict, action), actions}, {"rung", NAMED, AT(verdict, rung), rungs}, {"sealed_path", TEXT, 1, NULL}, {"package", TEXT, 2, NULL},
        {"policy", TEXT, 3, NULL}, {"clause", TEXT, 4, NULL}, {NULL, U16, 0, NULL}};
static const struct member no_members[] = {{NULL, U16, 0, NULL}};

#define NET(name, first) {name, HF_EV_NET, sizeof(struct hf_wire_net), AT(net, op), first, net_members, {{0, 0}}}
static const struct hf_case_type types[] = {
        {"exec", HF_EV_EXEC, sizeof(struct hf_wire_exec), 0, 0, exec_members,
                {LEN(exec, path_len), LEN(exec, filename_len), LEN(exec, interp_len), LEN(exec, cwd_len), LEN(exec, args_len), LEN(exec, env_len)}},
        {"fork", HF_EV_FORK, sizeof(struct hf_wire_fork), 0, 0, fork_members, {{0, 0}}},
        {"exit", HF_EV_EXIT, sizeof(struct hf_wire_exit), 0, 0, exit_members, {{0, 0}}},
        {"file", HF_EV_FILE, sizeof(struct hf_wire_file), AT(file, op), HF_FILE_OPEN, file_members, {LEN(file, path_len), LEN(file, path2_len)}},
        NET("connect", HF_NET_CONNECT), NET("accept", HF_NET_ACCEPT), NET("listen", HF_NET_LISTEN), NET("bind", HF_NET_BIND), NET("send", HF_NET_SEND), NET("close", HF_NET_CLOSE),
        {"payload", HF_EV_PAYLOAD, sizeof(struct hf_wire_payload), AT(payload, direction), HF_PAYLOAD_OUT, payload_members, {LEN(payload, data_len)}},
        {"dns", HF_EV_PAYLOAD, sizeof(struct hf_wire_payload), AT(payload, direction), HF_PAYLOAD_OUT, dns_members, {LEN(payload, data_len)}},
        {"socket", HF_EV_SOCKET, sizeof(struct hf_wire_socket), 0, 0, socket_members, {{0, 0}}},
        {"ptrace", HF_EV_PTRACE, sizeof(struct hf_wire_ptrace), AT(ptrace, request), HF_PTRACE_ATTACH, ptrace_members, {{0, 0}}},
        {"memory", HF_EV_MEM, sizeof(struct hf_wire_mem), AT(mem, op), HF_MEM_MMAP, mem_members, {LEN(mem, path_len)}},
        {"namespace", HF_EV_NS, sizeof(struct hf_wire_ns), AT(ns, op), HF_NS_UNSHARE, ns_members, {{0, 0}}},
        {"mount", HF_EV_MOUNT, sizeof(struct hf_wire_mount), AT(mount, op), HF_MOUNT_MOUNT, mount_members, {LEN(mount, dev_len), LEN(mount, target_len), LEN(mount, type_len)}},
        {"module", HF_EV_MODULE, sizeof(struct hf_wire_module), AT(module, op), HF_MODULE_INIT, module_members, {LEN(module, name_len), LEN(module, path_len)}},
        {"bpf", HF_EV_BPF, sizeof(struct hf_wire_bpf), 0, 0, bpf_members, {{0, 0}}},
        {"io_uring", HF_EV_IO_URING, sizeof(struct hf_wire_io_uring), 0, 0, uring_members, {{0, 0}}},
        {"signal", HF_EV_SIGNAL, sizeof(struct hf_wire_signal), 0, 0, signal_members, {{0, 0}}},
        {"rename", HF_EV_RENAME, sizeof(struct hf_wire_rename), 0, 0, rename_members, {{0, 0}}},
        {"capability", HF_EV_CAP, sizeof(struct hf_wire_cap), 0, 0, cap_members, {{0, 0}}},
        {"container_end", HF_EV_CONTAINER_END, sizeof(struct hf_wire_hdr), 0, 0, no_members, {{0, 0}}},
        {"drop", HF_EV_LOSS, sizeof(struct hf_wire_loss), AT(loss, reason), HF_LOSS_RING, loss_members, {{0, 0}}},
        {"rate", HF_EV_RATE, sizeof(struct hf_wire_rate), 0, 0, rate_members, {{0, 0}}},
        {"credentials", HF_EV_CRED, sizeof(struct hf_wire_cred), 0, 0, cred_members, {{0, 0}}},
        {"verdict", HF_EV_VERDICT, sizeof(struct hf_wire_verdict), AT(verdict, use), HF_USE_EXEC, verdict_members,
                {LEN(verdict, path_len), LEN(verdict, sealed_path_len), LEN(verdict, package_len), LEN(verdict, policy_len), LEN(verdict, clause_len)}},
};

const struct hf_case_type *hf_case_type_named(struct hf_span name)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(types); i++)
        if (hf_span_eqz(name, types[i].name))
            return &types[i];
    return NULL;
}

const char *const *hf_case_type_names(void)
{
    static const char *names[HF_ARRAY_LEN(types) + 1];
    for (size_t i = 0; i < HF_ARRAY_LEN(types); i++)
        names[i] = types[i].name;
    return names;
}

const char *hf_case_type_name(const struct hf_case_type *t)
{
    return t->name;
}

unsigned hf_case_wire_type(const struct hf_case_type *t)
{
    return t->wire;
}

static void set(struct hf_case_event *e, size_t at, uint64_t v, size_t size)
{
    memcpy((char *)&e->u + at, &v, size); /* little-endian, as the records are */
}

void hf_case_begin(struct hf_case_event *e, const struct hf_case_type *t)
{
    *e = (struct hf_case_event){.type = t};
    if (t->op_at)
        set(e, t->op_at, t->op, 4);
    if (t->wire == HF_EV_FILE) {
        e->u.file.mode = S_IFREG | 0644;
        e->u.file.new_mode = e->u.file.new_uid = e->u.file.new_gid = UINT32_MAX;
        e->u.file.nlink = 1;
    } else if (t->wire == HF_EV_EXEC) {
        e->u.exec.mode = S_IFREG | 0755;
        e->u.exec.nlink = 1;
    } else if (t->wire == HF_EV_NET) {
        e->u.net.protocol = t->op == HF_NET_SEND ? IPPROTO_UDP : IPPROTO_TCP;
    } else if (t->wire == HF_EV_PAYLOAD) {
        bool dns = t->members == dns_members;
        e->u.payload.protocol = dns ? IPPROTO_UDP : IPPROTO_TCP;
        e->u.payload.peer_port = dns ? 53 : 0;
        e->query_type = 1;
    } else if (t->wire == HF_EV_RATE) {
        e->u.rate.interval_ns = 1000000000u;
    }
}

static int flag_bit(struct hf_span name, const void *names, uint64_t *ret)
{
    for (const struct hf_flag_name *f = names; f->name; f++)
        if (hf_span_eqz(name, f->name)) {
            *ret = f->bit;
            return 0;
        }
    return HF_E_NOT_FOUND;
}

static int pick(struct hf_cases_loader *l, const yaml_node_t *n, const struct named *names, uint64_t *ret)
{
    hf_autobuf known = HF_BUF_INIT(512);
    for (const struct named *x = names; x->name; x++) {
        if (hf_span_eqz(hf_yaml_scalar(n), x->name)) {
            *ret = x->value;
            return 0;
        }
        hf_buf_addf(&known, "%s%s", x == names ? "" : ", ", x->name);
    }
    return hf_yaml_wrong(&l->y, n, "one of %s is expected", hf_buf_z(&known));
}

static int address(struct hf_cases_loader *l, const yaml_node_t *n, uint8_t ret[16])
{
    char text[64];
    struct hf_span s = hf_yaml_scalar(n);
    snprintf(text, sizeof text, "%.*s", (int)HF_MIN(s.n, sizeof text), s.p ? s.p : "");
    memset(ret, 0, 16);
    if (inet_pton(AF_INET, text, ret + 12) == 1)
        ret[10] = ret[11] = 0xff;
    else if (inet_pton(AF_INET6, text, ret) != 1)
        return hf_yaml_wrong(&l->y, n, "an address is expected");
    return 0;
}

static int stdio(struct hf_cases_loader *l, const yaml_node_t *n, struct hf_case_event *e, size_t at)
{
    struct hf_wire_stdio s = {.kind = HF_STDIO_NONE};
    uint64_t v = 0;
    if (n->type != YAML_MAPPING_NODE)
        return hf_yaml_wrong(&l->y, n, "a mapping with \"kind\" is expected");
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        struct hf_span key = hf_yaml_scalar(hf_yaml_at(&l->y, p->key));
        const yaml_node_t *value = hf_yaml_at(&l->y, p->value);
        int rc;
        if (hf_span_eqz(key, "kind")) {
            rc = pick(l, value, stdios, &v);
            s.kind = (uint8_t)v;
        } else if (hf_span_eqz(key, "peer")) {
            rc = address(l, value, s.peer);
            s.family = hf_event_addr_is_v4(s.peer) ? AF_INET : AF_INET6;
        } else if (hf_span_eqz(key, "port")) {
            rc = hf_case_number(l, value, 65535, &v);
            s.peer_port = (uint16_t)v;
        } else {
            rc = hf_yaml_wrong(&l->y, value, "a stream has kind, peer and port");
        }
        if (rc < 0)
            return rc;
    }
    memcpy((char *)&e->u + at, &s, sizeof s);
    return 0;
}

static int target(struct hf_cases_loader *l, const yaml_node_t *n, struct hf_case_event *e)
{
    uint64_t pid = 0;
    int rc = hf_case_number(l, n, UINT32_MAX, &pid);
    const struct hf_case_proc *p = rc == 0 ? hf_case_proc(l, pid) : NULL;
    if (rc < 0)
        return rc;
    if (!p)
        return hf_yaml_wrong(&l->y, n, "no process %llu was named before", (unsigned long long)pid);
    if (e->type->wire == HF_EV_SIGNAL) {
        e->u.signal.target_pid = (uint32_t)pid;
        e->u.signal.target_start_ns = p->h.start_ns;
        e->u.signal.target_cgroup_id = p->h.cgroup_id;
        memcpy(e->u.signal.target_comm, p->h.comm, 16);
    } else {
        e->u.ptrace.target_pid = (uint32_t)pid;
        e->u.ptrace.target_start_ns = p->h.start_ns;
        e->u.ptrace.target_cgroup_id = p->h.cgroup_id;
        memcpy(e->u.ptrace.target_comm, p->h.comm, 16);
    }
    return 0;
}

static int hex(struct hf_cases_loader *l, const yaml_node_t *n, struct hf_span *ret)
{
    struct hf_span s = hf_yaml_scalar(n);
    char *out = s.n % 2 || s.n > 8192 ? NULL : hf_arena_alloc(l->arena, s.n / 2 + 1);
    uint64_t v = 0;
    for (size_t i = 0; out && i < s.n; i += 2) {
        if (hf_parse_u64(hf_span_sub(s, i, 2), 16, 0, 255, &v) < 0)
            out = NULL;
        else
            out[i / 2] = (char)v;
    }
    if (!out)
        return hf_yaml_wrong(&l->y, n, "bytes in hexadecimal are expected, at most 4096");
    *ret = hf_span(out, s.n / 2);
    return 0;
}

static int plain(struct hf_cases_loader *l, struct hf_case_event *e, const struct member *m, const yaml_node_t *n)
{
    static const uint64_t max[] = {[U16] = 65535, [U32] = UINT32_MAX, [U64] = UINT64_MAX, [CODE] = 255, [SIGNO] = 127, [QTYPE] = 65535, [RCODE] = 15};
    uint64_t v = 0;
    int rc = hf_case_number(l, n, max[m->kind], &v);
    if (rc < 0)
        return rc;
    if (m->kind == CODE)
        e->u.exit.status |= (uint32_t)v << 8;
    else if (m->kind == SIGNO)
        e->u.exit.status |= (uint32_t)v;
    else if (m->kind == QTYPE)
        e->query_type = v;
    else if (m->kind == RCODE)
        e->rcode = v;
    else
        set(e, m->at, v, m->kind == U16 ? 2 : m->kind == U32 ? 4 : 8);
    return 0;
}

static int one_member(struct hf_cases_loader *l, struct hf_case_event *e, const struct member *m, const yaml_node_t *n)
{
    struct hf_span s = hf_yaml_scalar(n);
    uint64_t v = 0;
    int rc = 0;
    switch (m->kind) {
    case ADDR: {
        uint8_t addr[16];
        rc = address(l, n, addr);
        if (rc == 0)
            memcpy((char *)&e->u + m->at, addr, 16);
        return rc;
    }
    case TEXT:
    case DATA:
        if (n->type != YAML_SCALAR_NODE || s.n > 4096)
            return hf_yaml_wrong(&l->y, n, "a text of at most 4096 bytes is expected");
        e->texts[m->at] = s;
        return 0;
    case HEX:
        return hex(l, n, &e->texts[m->at]);
    case CHARS:
        memcpy((char *)&e->u + m->at, s.p ? s.p : "", HF_MIN(s.n, (size_t)15));
        return 0;
    case FLAGS:
        rc = hf_case_flags(l, n, flag_bit, m->names, &v);
        set(e, m->at, v, 4);
        return rc;
    case NAMED:
        rc = pick(l, n, m->names, &v);
        set(e, m->at, v, m->names == protocols || m->names == truths ? 2 : 4);
        return rc;
    case TARGET:
        return target(l, n, e);
    case CAP: {
        int cap = hf_cap_number(s);
        if (cap < 0)
            return hf_yaml_wrong(&l->y, n, "there is no capability of this name");
        set(e, m->at, (uint64_t)cap, 4);
        return 0;
    }
    case GRANTED:
        e->u.cap.result = hf_span_eqz(s, "false") ? -1 : 0;
        return 0;
    case RESPONSE:
        e->response = hf_span_eqz(s, "true");
        return 0;
    case STDIO:
        return stdio(l, n, e, m->at);
    case QUESTION:
        if (!s.n || s.n > 253)
            return hf_yaml_wrong(&l->y, n, "a name of 1 to 253 bytes is expected");
        e->question = s;
        return 0;
    default:
        return plain(l, e, m, n);
    }
}

int hf_case_members(struct hf_cases_loader *l, struct hf_case_event *e, const yaml_node_t *map)
{
    if (!map)
        return 0;
    if (map->type != YAML_MAPPING_NODE)
        return hf_yaml_wrong(&l->y, map, "\"%s\" must be a mapping", e->type->name);
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = hf_yaml_at(&l->y, p->key), *value = hf_yaml_at(&l->y, p->value);
        const struct member *m = e->type->members;
        const char *names[32] = {NULL};
        char text[64];
        for (size_t i = 0; m->name && !hf_span_eqz(hf_yaml_scalar(key), m->name); m++)
            if (i < HF_ARRAY_LEN(names) - 1)
                names[i++] = m->name;
        if (!m->name) {
            snprintf(text, sizeof text, "%.*s", HF_SPAN_ARG(hf_yaml_scalar(key)));
            const char *near = hf_nearest(text, names);
            return hf_yaml_wrong(&l->y, key, "%s has no \"%s\"%s%s", e->type->name, text, near ? "; did you mean " : "", near ? near : "");
        }
        int rc = one_member(l, e, m, value);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* A question, or its answer without records. */
static int dns_message(struct hf_cases_loader *l, struct hf_case_event *e, const yaml_node_t *where)
{
    unsigned flags = e->response ? 0x8180u | (unsigned)e->rcode : 0x0100u;
    hf_autobuf b = HF_BUF_INIT(512);
    const char head[] = {0, 1, (char)(flags >> 8), (char)flags, 0, 1, 0, 0, 0, 0, 0, 0};
    hf_buf_add(&b, head, sizeof head);
    struct hf_span rest = e->question, label;
    if (!rest.n)
        return hf_yaml_wrong(&l->y, where, "dns has no \"name\"");
    while (hf_span_cut(&rest, '.', &label)) {
        if (!label.n && !rest.n)
            break; /* a dot at the end */
        if (!label.n || label.n > 63)
            return hf_yaml_wrong(&l->y, where, "a part of the name has 1 to 63 bytes");
        hf_buf_addc(&b, (char)label.n);
        hf_buf_adds(&b, label);
    }
    const char tail[] = {0, (char)(e->query_type >> 8), (char)e->query_type, 0, 1};
    hf_buf_add(&b, tail, sizeof tail);
    if (!hf_buf_ok(&b) || hf_arena_dup(l->arena, hf_buf_span(&b), &e->texts[0]) < 0)
        return hf_yaml_wrong(&l->y, where, "no memory");
    e->u.payload.direction = e->response ? HF_PAYLOAD_IN : HF_PAYLOAD_OUT;
    return 0;
}

int hf_case_end(struct hf_cases_loader *l, struct hf_case_event *e, const yaml_node_t *where)
{
    const struct hf_case_type *t = e->type;
    if (t->members == dns_members) {
        int rc = dns_message(l, e, where);
        if (rc < 0)
            return rc;
    }
    if (t->wire == HF_EV_NET)
        e->u.net.family = hf_event_addr_is_v4(e->u.net.peer) || hf_event_addr_is_v4(e->u.net.local) ? AF_INET : AF_INET6;
    if (t->wire == HF_EV_PAYLOAD)
        e->u.payload.family = hf_event_addr_is_v4(e->u.payload.peer) ? AF_INET : AF_INET6;
    size_t len = t->size, from = l->records.n;
    for (size_t i = 0; i < HF_ARRAY_LEN(t->lengths) && t->lengths[i].size; i++) {
        set(e, t->lengths[i].at, e->texts[i].n, t->lengths[i].size);
        len += e->texts[i].n;
    }
    len = (len + 7) & ~(size_t)7;
    if (len > HF_WIRE_MAX)
        return hf_yaml_wrong(&l->y, where, "the event is longer than %u bytes", HF_WIRE_MAX);
    e->u.hdr.len = (uint32_t)len;
    e->u.hdr.type = (uint16_t)t->wire;
    e->u.hdr.version = HF_WIRE_VERSION;
    hf_buf_add(&l->records, &e->u, t->size);
    for (size_t i = 0; i < HF_ARRAY_LEN(t->lengths) && t->lengths[i].size; i++)
        hf_buf_adds(&l->records, e->texts[i]);
    while (hf_buf_ok(&l->records) && l->records.n < from + len)
        hf_buf_addc(&l->records, 0);
    return hf_buf_ok(&l->records) ? 0 : hf_yaml_wrong(&l->y, where, "the events of a test take more memory than they may");
}
