// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* priv.bpf.c - what needs privilege: tracing other processes, mounts, namespaces, kernel modules, BPF programs, packet sockets
 * (H10-H14), signals that matter (H15), io_uring (H18).
 *
 * Best hook: LSM, else fentry, else kprobe on the same security_* functions.  Where a kernel offers none of them but traces its
 * capability checks (6.14: capability:cap_capable), that trace serves: each of these calls asks for a capability, and asks after
 * its arguments are in registers.  Texts read through such registers lie in the process's memory: HF_F_UNTRUSTED.
 * None of this touches system calls that ask for no privilege. */
#include "emit.h"
#include "hooks.h"
#include "priv.h"

const volatile __u32 hf_calls_served = 0;

/* ---- security hooks ---- */

#define on_ptrace(source) send_ptrace(child, mode &PTRACE_MODE_ATTACH ? HF_PTRACE_ATTACH : HF_PTRACE_READ, mode, source)
HF_HOOK3(ptrace_access_check, on_ptrace, struct task_struct *child, unsigned int mode)

#define on_traceme(source) send_ptrace(parent, HF_PTRACE_TRACEME, 0, source)
HF_HOOK3(ptrace_traceme, on_traceme, struct task_struct *parent)

#define on_mount(source) send_mount(HF_MOUNT_MOUNT, dev_name, path, type, flags, source)
HF_HOOK3(sb_mount, on_mount, const char *dev_name, const struct path *path, const char *type, unsigned long flags, void *data)

#define on_move(source) send_mount(HF_MOUNT_MOVE, NULL, to_path, NULL, 0, source)
HF_HOOK3(move_mount, on_move, const struct path *from_path, const struct path *to_path)

#define on_pivot(source) send_mount(HF_MOUNT_PIVOT, NULL, new_path, NULL, 0, source)
HF_HOOK3(sb_pivotroot, on_pivot, const struct path *old_path, const struct path *new_path)

/* enum kernel_read_file_id and kernel_load_data_id agree: 2 is a module, 3 a kexec image */
#define on_read_file(source) send_module_file(file, id, source)
HF_HOOK3(kernel_read_file, on_read_file, struct file *file, int id)

#define on_load_data(source) send_module_load(id, source)
HF_HOOK3(kernel_load_data, on_load_data, int id)

#define on_bpf(source) send_bpf((u32)cmd, (const struct hf_bpf_attr *)attr, false, source)
HF_HOOK3(bpf, on_bpf, int cmd, void *attr, unsigned int size)

/* kern: the kernel's own, five with every network namespace */
#define on_socket(source) \
    if (!kern)            \
    send_socket((u32)family, (u32)type, (u32)protocol)
HF_HOOK3(socket_create, on_socket, int family, int type, int protocol, int kern)

/* ---- checks of capabilities: their trace (6.14), or the security hook ---- */

static __always_inline void asked_for_namespace(const struct hf_call *c)
{
    struct hf_want want;
    struct hf_wire_ns e;
    if (!hf_wanted(hf_cgroup_of(hf_task()), HF_EV_NS, true, &want))
        return;
    __builtin_memset(&e, 0, sizeof e);
    hf_fill_header(&e.h, hf_task(), HF_EV_NS);
    e.op = c->what == HF_CALL_UNSHARE ? HF_NS_UNSHARE : HF_NS_SETNS;
    e.flags = (u32)(c->what == HF_CALL_UNSHARE ? c->a[0] : c->a[1]);
    e.source = HF_SOURCE_SYSCALL;
    hf_send(&e, sizeof e, &want);
}

static __always_inline void asked_for_other(const struct hf_call *c, int cap, int result)
{
    struct hf_want want;
    struct hf_wire_cap e;
    if (!hf_wanted(hf_cgroup_of(hf_task()), HF_EV_CAP, true, &want))
        return;
    __builtin_memset(&e, 0, sizeof e);
    hf_fill_header(&e.h, hf_task(), HF_EV_CAP);
    e.cap = (u32)cap;
    e.syscall = c->nr;
    e.result = result;
    e.args[0] = c->a[0];
    e.args[1] = c->a[1];
    e.args[2] = c->a[2];
    hf_send(&e, sizeof e, &want);
}

static __always_inline void asked_for(int cap, int result)
{
    /* most checks are of CAP_SYS_ADMIN by every mapping of memory: the number of the call tells them apart */
    if (!(HF_CAPS_OF_INTEREST & (1ull << (cap & 63))))
        return;
    struct task_struct *t = hf_task();
    struct hf_call c;
    if (!hf_current_call(t, &c) || (c.what == HF_CALL_IOCTL && !hf_request_matters((u32)c.a[1])) || hf_seen_this_call(t, &c))
        return;
    switch (c.what) {
    case HF_CALL_IOCTL:
        hf_send_ioctl(t, hf_file_of_fd(t, (u32)c.a[0]), (u32)c.a[1], HF_SOURCE_SYSCALL);
        break;
    case HF_CALL_MOUNT:
    case HF_CALL_UMOUNT:
    case HF_CALL_MOVE_MOUNT:
    case HF_CALL_OPEN_TREE:
    case HF_CALL_PIVOT:
        send_mount_call(&c);
        break;
    case HF_CALL_UNSHARE:
    case HF_CALL_SETNS:
        asked_for_namespace(&c);
        break;
    case HF_CALL_INIT_MODULE:
    case HF_CALL_FINIT_MODULE:
    case HF_CALL_DELETE_MODULE:
    case HF_CALL_KEXEC:
        send_module(c.what == HF_CALL_INIT_MODULE ? HF_MODULE_INIT : c.what == HF_CALL_FINIT_MODULE ? HF_MODULE_FINIT : c.what == HF_CALL_KEXEC ? HF_MODULE_KEXEC :
                HF_MODULE_DELETE, c.what == HF_CALL_FINIT_MODULE ? hf_file_of_fd(t, (u32)c.a[0]) : NULL, HF_SOURCE_SYSCALL);
        break;
    case HF_CALL_BPF:
        send_bpf((u32)c.a[0], (const struct hf_bpf_attr *)c.a[1], true, HF_SOURCE_SYSCALL);
        break;
    case HF_CALL_SOCKET:
        send_socket((u32)c.a[0], (u32)c.a[1] & 0xf, (u32)c.a[2]);
        break;
    case HF_CALL_PTRACE:
    case HF_CALL_VM_READ:
    case HF_CALL_VM_WRITE:
        send_ptrace_pid(&c);
        break;
    default:
        asked_for_other(&c, cap, result);
    }
}

SEC("tp_btf/cap_capable")
int BPF_PROG(hf_cap_capable, const struct cred *cred, struct user_namespace *target, const struct user_namespace *capable, int cap, int result)
{
    asked_for(cap, result);
    return 0;
}

/* Asked before it is decided, so decided here too: a capability counts in the process's own user namespace and those below. */
static __always_inline int decided(const struct cred *cred, struct user_namespace *in, int cap)
{
    u64 has = 0;
    struct user_namespace *own = BPF_CORE_READ(cred, user_ns);
    bpf_probe_read_kernel(&has, sizeof has, &cred->cap_effective);
    return has >> (cap & 63) & 1 && (own == in || BPF_CORE_READ(in, level) > BPF_CORE_READ(own, level)) ? 0 : -1;
}

/* Mappings of memory ask without wanting it in the audit log, and end here. */
#define CAP_OPT_NOAUDIT 2u
#define on_capable(source)         \
    if (!(opts & CAP_OPT_NOAUDIT)) \
    asked_for(cap, decided(cred, ns, cap))
HF_HOOK3(capable, on_capable, const struct cred *cred, struct user_namespace *ns, int cap, unsigned int opts)

/* ---- signals ---- */

#define SIGILL 4
#define SIGTRAP 5
#define SIGABRT 6
#define SIGBUS 7
#define SIGFPE 8
#define SIGSEGV 11
#define SIGSTOP 19
#define SIGSYS 31
#define SEND_SIG_PRIV ((const void *)1) /* the kernel itself sends */

SEC("tp_btf/signal_generate")
int BPF_PROG(hf_signal, int sig, struct kernel_siginfo *info, struct task_struct *target, int group, int result)
{
    struct hf_want want;
    struct hf_wire_signal e;
    struct task_struct *t = hf_task();
    u32 target_pid = (u32)BPF_CORE_READ(target, tgid), pid = (u32)(bpf_get_current_pid_tgid() >> 32);
    u64 cgroup = hf_cgroup_of(t);
    if (info == SEND_SIG_PRIV && sig == SIGSTOP && target_pid != pid) {
        /* PTRACE_ATTACH stops its target this way; nothing else does to another process */
        send_ptrace(target, HF_PTRACE_ATTACH, 0, HF_SOURCE_SYSCALL);
        return 0;
    }
    bool at_us = target_pid == hf_self_pid && pid != hf_self_pid;
    bool crash = sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGABRT || sig == SIGSYS;
    if (!at_us && !crash && sig <= 31)
        return 0;
    if (!hf_wanted(cgroup, HF_EV_SIGNAL, at_us, &want) && !at_us)
        return 0;
    want.critical |= at_us;
    __builtin_memset(&e, 0, sizeof e);
    hf_fill_header(&e.h, t, HF_EV_SIGNAL);
    e.target_start_ns = BPF_CORE_READ(target, group_leader, start_boottime);
    e.target_cgroup_id = hf_cgroup_of(target);
    e.target_pid = target_pid;
    e.sig = (u32)sig;
    if ((u64)info > 1)
        e.code = BPF_CORE_READ(info, si_code);
    else
        e.code = info == SEND_SIG_PRIV ? 0x80 /* SI_KERNEL */ : 0;
    bpf_core_read(e.target_comm, sizeof e.target_comm, &target->comm);
    hf_send(&e, sizeof e, &want);
    return 0;
}

/* ---- io_uring ---- */

static __always_inline void send_io_uring(u32 op, u32 entries, u32 flags, u32 opcode)
{
    struct hf_want want;
    struct hf_wire_io_uring e;
    if (!hf_wanted(hf_cgroup_of(hf_task()), HF_EV_IO_URING, false, &want))
        return;
    __builtin_memset(&e, 0, sizeof e);
    hf_fill_header(&e.h, hf_task(), HF_EV_IO_URING);
    e.op = op;
    e.entries = entries;
    e.setup_flags = flags;
    e.opcode = opcode;
    hf_send(&e, sizeof e, &want);
}

SEC("tp_btf/io_uring_create")
int BPF_PROG(hf_io_uring_create, int fd, void *ctx_, u32 sq_entries, u32 cq_entries, u32 flags)
{
    send_io_uring(0, sq_entries, flags, 0);
    return 0;
}

/* (process, opcode) already told of */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, u64);
    __type(value, u8);
} hf_uring_seen SEC(".maps");

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(hf_io_uring_submit, struct io_kiocb *req)
{
    u32 opcode = BPF_CORE_READ(req, opcode) & 63;
    if (!(HF_URING_OPCODES & (1ull << opcode)))
        return 0;
    u64 key = bpf_get_current_pid_tgid() >> 32 << 8 | opcode;
    if (bpf_map_lookup_elem(&hf_uring_seen, &key))
        return 0;
    u8 one = 1;
    bpf_map_update_elem(&hf_uring_seen, &key, &one, BPF_ANY);
    send_io_uring(1, 0, 0, opcode);
    return 0;
}
