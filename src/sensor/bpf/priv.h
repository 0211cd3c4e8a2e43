/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* priv.h - the calls that ask for a privilege, and the records that tell of them (priv.bpf.c). */
#pragma once
#include "emit.h"
#include "../calls.h"
#include "ioctl.h"
#include "../call-numbers.h"

extern const volatile __u32 hf_self_pid;
extern const volatile __u32 hf_calls_served; /* bit HF_CALL_*: which calls the trace of capability checks is to tell of */

#define PTRACE_MODE_ATTACH 0x02
#define PTRACE_ATTACH 16
#define PTRACE_SEIZE 0x4206

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct io_kiocb {
    u8 opcode;
};
#pragma clang attribute pop

/* union bpf_attr of BPF_PROG_LOAD (bpf(2)): a stable interface, so offsets are written down. */
struct hf_bpf_attr {
    u32 prog_type, insn_cnt;
    u64 insns, license;
    u32 log_level, log_size;
    u64 log_buf;
    u32 kern_version, prog_flags;
    char prog_name[16];
    u32 prog_ifindex, expected_attach_type;
};

/* capabilities(7): DAC_READ_SEARCH 2, NET_RAW 13, SYS_MODULE 16, SYS_RAWIO 17, SYS_CHROOT 18, SYS_PTRACE 19, SYS_ADMIN 21, SYS_BOOT 22,
 * SYS_TIME 25, MKNOD 27, SYSLOG 34, PERFMON 38, BPF 39 */
#define HF_CAPS_OF_INTEREST                                                                                              \
    (1ull << 2 | 1ull << 13 | 1ull << 16 | 1ull << 17 | 1ull << 18 | 1ull << 19 | 1ull << 21 | 1ull << 22 | 1ull << 25 | \
            1ull << 27 | 1ull << 34 | 1ull << 38 | 1ull << 39)

/* IORING_OP_*: sendmsg 9, accept 13, connect 16, openat 18, openat2 28, renameat 35, unlinkat 36, symlinkat 38, linkat 39, socket 45,
 * bind 56, listen 57 */
#define HF_URING_OPCODES                                                                                               \
    (1ull << 9 | 1ull << 13 | 1ull << 16 | 1ull << 18 | 1ull << 28 | 1ull << 35 | 1ull << 36 | 1ull << 38 | 1ull << 39 | \
            1ull << 45 | 1ull << 56 | 1ull << 57)

struct hf_call {
    u32 nr, what;
    u64 a[3];
};

/* What the running task's system call is to us, and its registers; HF_CALL_NONE: nothing.  Every mapping of memory passes here (CAP_SYS_ADMIN is asked for),
 * so by plain loads where there are typed pointers (5.15). */
static __always_inline u32 hf_call_here(struct task_struct *t, struct pt_regs **ret_regs, u64 *ret_nr, bool *ret_compat)
{
    u64 nr;
    bool compat;
    if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) {
        struct task_struct *typed = bpf_get_current_task_btf();
        struct pt_regs *regs = (void *)bpf_task_pt_regs(typed);
        if (typed->flags & PF_KTHREAD)
            return HF_CALL_NONE;
        nr = HF_TYPED_CALL(regs);
        compat = HF_TYPED_COMPAT(typed);
        *ret_regs = regs;
    } else {
        if (BPF_CORE_READ(t, flags) & PF_KTHREAD)
            return HF_CALL_NONE;
        *ret_regs = hf_regs(t);
        nr = HF_REGS_CALL(*ret_regs);
        compat = hf_is_compat(t);
    }
    *ret_nr = nr;
    *ret_compat = compat;
    if (!compat)
        nr &= ~0x40000000ull; /* x32 */
    return nr >= HF_CALL_NUMBERS ? HF_CALL_NONE : compat ? hf_calls_compat[nr] : hf_calls_native[nr];
}

/* The system call that the running task is in: number, what it is to us, first arguments.  false: none that is to be told of here. */
static __always_inline bool hf_current_call(struct task_struct *t, struct hf_call *ret)
{
    struct pt_regs *regs = NULL;
    u64 nr = 0;
    bool compat = false;
    ret->what = hf_call_here(t, &regs, &nr, &compat);
    if (!(hf_calls_served & (1u << (ret->what & 31))))
        return false;
    ret->nr = (u32)nr;
    if (compat) {
        ret->a[0] = (u32)HF_REGS_COMPAT_0(regs);
        ret->a[1] = (u32)HF_REGS_COMPAT_1(regs);
        ret->a[2] = (u32)HF_REGS_COMPAT_2(regs);
    } else {
        ret->a[0] = HF_REGS_0(regs);
        ret->a[1] = HF_REGS_1(regs);
        ret->a[2] = HF_REGS_2(regs);
    }
    return true;
}

/* One call may ask for several capabilities, or in several places, one after the other: told of once.  The same call again, from the
 * same buffers, is another one: so what the arguments point to counts, and the time is short. */
#define HF_SAME_CALL_NS 100000ull
#define HF_SAME_BPF_NS 2000000ull /* asks again when the program was verified */
#define HF_SAME_IOCTL_NS 20000000ull /* a letter a call, and seen by two hooks: one event */
static const u64 hf_nothing = 0;
struct hf_call_key {
    u64 pid_tgid, arg;
    u32 nr, pad;
};
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct hf_call_key);
    __type(value, u64);
} hf_calls_seen SEC(".maps");

/* Hash of what s->path holds, s->off bytes; into s->dentry.  State in the map: see hf_path_walk. */
__weak __attribute__((noinline)) int hf_hash_path(u32 level)
{
    struct hf_scratch *s = bpf_map_lookup_elem(&hf_scratch_map, &level);
    if (!s)
        return 0;
    u64 h = s->dentry;
    for (u32 i = 0; i < HF_PATH_BYTES / 8; i++) {
        if (i * 8 >= s->off)
            break;
        h = (h ^ ((const u64 *)s->path)[i]) * 0x9e3779b97f4a7c15ull;
    }
    s->dentry = h;
    return 0;
}

/* Hash of two texts of the process. */
static __always_inline u64 hf_hash_texts(const void *one, const void *two)
{
    struct hf_scratch *s = hf_scratch_get(HF_EV_MOUNT);
    if (!s)
        return 0;
    s->dentry = 0;
    for (u32 i = 0; i < 2; i++) {
        long n = bpf_probe_read_user_str(s->path, HF_PATH_BYTES, i ? two : one);
        s->off = n > 0 ? (u32)n : 0;
        if (n > 0)
            bpf_probe_read_kernel(&s->path[n & (HF_PATH_BYTES - 1)], 8, &hf_nothing); /* the last word is whole */
        hf_hash_path(s->level);
    }
    u64 h = s->dentry;
    hf_scratch_put(s);
    return h;
}

static __always_inline bool hf_seen_this_call(struct task_struct *t, const struct hf_call *c)
{
    struct hf_call_key key = {bpf_get_current_pid_tgid(), c->a[0] ^ c->a[1] << 32, c->nr, 0};
    struct hf_bpf_attr attr;
    if (c->what == HF_CALL_BPF && bpf_probe_read_user(&attr, sizeof attr, (void *)c->a[1]) == 0)
        key.arg ^= attr.insns ^ (u64)attr.insn_cnt << 40;
    else if (c->what == HF_CALL_MOUNT || c->what == HF_CALL_UMOUNT || c->what == HF_CALL_PIVOT)
        key.arg ^= hf_hash_texts((void *)c->a[0], (void *)c->a[1]);
    u64 now = bpf_ktime_get_boot_ns(), *last = bpf_map_lookup_elem(&hf_calls_seen, &key);
    if (last && now - *last < (c->what == HF_CALL_BPF ? HF_SAME_BPF_NS : c->what == HF_CALL_IOCTL ? HF_SAME_IOCTL_NS : HF_SAME_CALL_NS)) {
        *last = now;
        return true;
    }
    bpf_map_update_elem(&hf_calls_seen, &key, &now, BPF_ANY);
    return false;
}

/* ---- records ---- */

static __always_inline void fill_ptrace(struct hf_wire_ptrace *e, u32 request, u32 mode, u32 source)
{
    __builtin_memset(e, 0, sizeof *e);
    hf_fill_header(&e->h, hf_task(), HF_EV_PTRACE);
    e->request = request;
    e->mode = mode;
    e->source = source;
}

static __always_inline void send_ptrace(struct task_struct *target, u32 request, u32 mode, u32 source)
{
    struct hf_want want;
    struct hf_wire_ptrace e;
    u32 pid = (u32)(bpf_get_current_pid_tgid() >> 32), target_pid = (u32)BPF_CORE_READ(target, tgid);
    if (pid == hf_self_pid || (pid == target_pid && request != HF_PTRACE_TRACEME))
        return;
    if (!hf_wanted(hf_cgroup_of(hf_task()), HF_EV_PTRACE, request != HF_PTRACE_READ, &want))
        return;
    fill_ptrace(&e, request, mode, source);
    e.target_pid = target_pid;
    e.target_start_ns = BPF_CORE_READ(target, group_leader, start_boottime);
    e.target_cgroup_id = hf_cgroup_of(target);
    bpf_core_read(e.target_comm, sizeof e.target_comm, &target->comm);
    hf_send(&e, sizeof e, &want);
}

/* The target by number, as the caller's pid namespace has it. */
static __always_inline void send_ptrace_pid(const struct hf_call *c)
{
    struct hf_want want;
    struct hf_wire_ptrace e;
    if ((u32)(bpf_get_current_pid_tgid() >> 32) == hf_self_pid)
        return;
    if (!hf_wanted(hf_cgroup_of(hf_task()), HF_EV_PTRACE, true, &want))
        return;
    bool attach = c->a[0] == PTRACE_ATTACH || c->a[0] == PTRACE_SEIZE, is_ptrace = c->what == HF_CALL_PTRACE;
    u32 request = is_ptrace ? attach ? HF_PTRACE_ATTACH : HF_PTRACE_OTHER : c->what == HF_CALL_VM_READ ? HF_PTRACE_READ : HF_PTRACE_WRITE;
    fill_ptrace(&e, request, 0, HF_SOURCE_SYSCALL);
    e.target_pid = (u32)(is_ptrace ? c->a[1] : c->a[0]);
    e.h.flags |= HF_F_UNTRUSTED;
    hf_send(&e, sizeof e, &want);
}

/* target: where it is mounted, as the kernel holds it. */
static __always_inline void send_mount(u32 op, const char *dev, const struct path *target, const char *type, u64 flags, u32 source)
{
    struct hf_want want;
    struct path at, root;
    u32 more = 0;
    if (!hf_wanted(hf_cgroup_of(hf_task()), HF_EV_MOUNT, true, &want))
        return;
    struct hf_scratch *s = hf_scratch_get(HF_EV_MOUNT);
    if (!s)
        return;
    struct hf_wire_mount *e = (void *)s->record;
    u32 len = sizeof *e;
    hf_fill_header(&e->h, hf_task(), HF_EV_MOUNT);
    e->mount_flags = flags;
    e->op = op;
    e->source = source;
    e->pad = 0;
    struct fs_struct *fs = BPF_CORE_READ(hf_task(), fs);
    bpf_core_read(&root, sizeof root, &fs->root);
    bpf_probe_read_kernel(&at, sizeof at, target);
    e->dev_len = (u16)hf_add_str(s, &len, dev, 1024);
    e->target_len = (u16)hf_add_path(s, &len, hf_path(s, &at, &root, &more));
    e->type_len = (u16)hf_add_str(s, &len, type, 64);
    e->h.flags |= more;
    hf_send(s->record, len, &want);
    hf_scratch_put(s);
}

/* The same from the registers of the call. */
static __always_inline void send_mount_call(const struct hf_call *c)
{
    struct hf_want want;
    u32 op = c->what == HF_CALL_MOUNT ? HF_MOUNT_MOUNT : c->what == HF_CALL_UMOUNT ? HF_MOUNT_UMOUNT : c->what == HF_CALL_PIVOT ? HF_MOUNT_PIVOT :
            c->what == HF_CALL_MOVE_MOUNT ? HF_MOUNT_MOVE : HF_MOUNT_OPEN_TREE;
    if (!hf_wanted(hf_cgroup_of(hf_task()), HF_EV_MOUNT, true, &want))
        return;
    struct hf_scratch *s = hf_scratch_get(HF_EV_MOUNT);
    if (!s)
        return;
    struct hf_wire_mount *e = (void *)s->record;
    u32 len = sizeof *e;
    hf_fill_header(&e->h, hf_task(), HF_EV_MOUNT);
    e->mount_flags = 0;
    e->op = op;
    e->source = HF_SOURCE_SYSCALL;
    e->pad = 0;
    e->dev_len = e->target_len = e->type_len = 0;
    if (op == HF_MOUNT_MOUNT) {
        e->dev_len = (u16)hf_add_user_str(s, &len, (void *)c->a[0], 1024);
        e->target_len = (u16)hf_add_user_str(s, &len, (void *)c->a[1], 1024);
        e->type_len = (u16)hf_add_user_str(s, &len, (void *)c->a[2], 64);
    } else if (op == HF_MOUNT_UMOUNT || op == HF_MOUNT_PIVOT) {
        e->target_len = (u16)hf_add_user_str(s, &len, (void *)c->a[0], 1024);
    } else {
        e->dev_len = (u16)hf_add_user_str(s, &len, (void *)c->a[1], 1024);
    }
    hf_send(s->record, len, &want);
    hf_scratch_put(s);
}

static __always_inline void send_module(u32 op, struct file *file, u32 source)
{
    struct hf_want want;
    struct path at, root;
    u32 more = 0;
    if (!hf_wanted(hf_cgroup_of(hf_task()), HF_EV_MODULE, true, &want))
        return;
    struct hf_scratch *s = hf_scratch_get(HF_EV_MODULE);
    if (!s)
        return;
    struct hf_wire_module *e = (void *)s->record;
    u32 len = sizeof *e;
    hf_fill_header(&e->h, hf_task(), HF_EV_MODULE);
    e->op = op;
    e->source = source;
    e->name_len = e->path_len = 0;
    e->pad = 0;
    if (file) {
        struct fs_struct *fs = BPF_CORE_READ(hf_task(), fs);
        bpf_core_read(&root, sizeof root, &fs->root);
        bpf_core_read(&at, sizeof at, &file->f_path);
        e->path_len = (u16)hf_add_path(s, &len, hf_path(s, &at, &root, &more));
    }
    hf_send(s->record, len, &want);
    hf_scratch_put(s);
}

#define READING_MODULE 2
#define READING_KEXEC_IMAGE 3
static __always_inline void send_module_file(struct file *file, int id, u32 source)
{
    if (id == READING_MODULE)
        send_module(HF_MODULE_FINIT, file, source);
    else if (id == READING_KEXEC_IMAGE)
        send_module(HF_MODULE_KEXEC, file, source);
}
static __always_inline void send_module_load(int id, u32 source)
{
    if (id == READING_MODULE)
        send_module(HF_MODULE_INIT, NULL, source);
    else if (id == READING_KEXEC_IMAGE)
        send_module(HF_MODULE_KEXEC, NULL, source);
}

#define HF_BPF_CALL 0x85 /* BPF_JMP | BPF_CALL */
/* enum bpf_func_id; a table, since each branch of a loop is a path for the verifier. */
#define HF_BPF_HELPERS 128u
static const volatile u8 hf_helper_flags[HF_BPF_HELPERS] = {
        [36] = HF_BPF_PROBE_WRITE_USER,
        [58] = HF_BPF_OVERRIDE_RETURN,
        [109] = HF_BPF_SEND_SIGNAL,
        [117] = HF_BPF_SEND_SIGNAL,
        [9] = HF_BPF_SKB_STORE,
        [35] = HF_BPF_GET_CURRENT_TASK,
        [4] = HF_BPF_PROBE_READ,
        [112] = HF_BPF_PROBE_READ,
        [113] = HF_BPF_PROBE_READ,
        [114] = HF_BPF_PROBE_READ,
        [115] = HF_BPF_PROBE_READ,
};
#define HF_BPF_INSNS 256u /* in one go, each of which the verifier looks at, */
#define HF_BPF_PARTS 64u  /* so many times */
/* What helpers the instructions call that s->record holds, s->off of them.  State in the map: see hf_path_walk. */
__weak __attribute__((noinline)) int hf_scan_insns(u32 level)
{
    struct hf_scratch *s = bpf_map_lookup_elem(&hf_scratch_map, &level);
    if (!s)
        return 0;
    for (u32 i = 0; i < HF_BPF_INSNS; i++) {
        u64 insn = ((const u64 *)s->record)[i]; /* code, registers, offset, and the helper in the upper half */
        if (i >= s->off)
            return 0;
        if ((insn ^ HF_BPF_CALL) & ~((HF_BPF_HELPERS - 1ull) << 32 | 0xffff0000ull))
            continue;
        u64 helper = insn >> 32;
        hf_opaque(helper);
        s->flags |= hf_helper_flags[helper & (HF_BPF_HELPERS - 1)];
    }
    return 0;
}

/* The same of the process's instructions, as many as can be read.  State in the map. */
struct scan {
    u64 at, left;
};
__weak __attribute__((noinline)) int hf_scan_program(u32 level)
{
    struct hf_scratch *s = bpf_map_lookup_elem(&hf_scratch_map, &level);
    if (!s)
        return 0;
    for (u32 part = 0; part < HF_BPF_PARTS; part++) {
        struct scan *w = (struct scan *)s->work;
        u64 n = w->left;
        if (!n)
            return 0;
        if (n > HF_BPF_INSNS)
            n = HF_BPF_INSNS;
        s->off = (u32)n;
        if (bpf_probe_read_user(s->record, (n & (HF_BPF_INSNS * 2 - 1)) * 8, (void *)w->at))
            return 0;
        hf_scan_insns(level);
        w->at += n * 8;
        w->left -= n;
    }
    return 0;
}

/* What helpers the program calls that is about to be loaded: HF_BPF_* bits. */
static __always_inline u32 helpers_called(u64 insns, u32 count, u32 *flags)
{
    struct hf_scratch *s = hf_scratch_get(HF_EV_BPF);
    if (!s)
        return 0;
    struct scan *w = (struct scan *)s->work;
    s->flags = 0;
    w->at = insns;
    w->left = count;
    hf_scan_program(s->level);
    if (w->left)
        *flags |= HF_F_TRUNCATED;
    u32 found = s->flags;
    hf_scratch_put(s);
    return found;
}

/* in_user: attr is the process's copy, else the kernel's. */
static __always_inline void send_bpf(u32 cmd, const struct hf_bpf_attr *attr, bool in_user, u32 source)
{
    struct hf_want want;
    struct hf_wire_bpf e;
    struct hf_bpf_attr a = {};
    if (cmd != BPF_PROG_LOAD || (u32)(bpf_get_current_pid_tgid() >> 32) == hf_self_pid)
        return;
    if (!hf_wanted(hf_cgroup_of(hf_task()), HF_EV_BPF, true, &want))
        return;
    if (in_user)
        bpf_probe_read_user(&a, sizeof a, attr);
    else
        bpf_probe_read_kernel(&a, sizeof a, attr);
    __builtin_memset(&e, 0, sizeof e);
    hf_fill_header(&e.h, hf_task(), HF_EV_BPF);
    e.cmd = cmd;
    e.source = source;
    e.prog_type = a.prog_type;
    e.attach_type = a.expected_attach_type;
    e.insns = a.insn_cnt;
    e.helpers = helpers_called(a.insns, a.insn_cnt, &e.h.flags);
    e.h.flags |= HF_F_UNTRUSTED;
    __builtin_memcpy(e.name, a.prog_name, sizeof e.name);
    hf_send(&e, sizeof e, &want);
}

#define AF_PACKET 17
#define AF_ALG 38
#define AF_VSOCK 40
#define SOCK_RAW 3
#define IPPROTO_DCCP 33 /* connect and send of these two pass none of the network programs */
#define IPPROTO_SCTP 132
static __always_inline void send_socket(u32 family, u32 type, u32 protocol)
{
    struct hf_want want;
    struct hf_wire_socket e;
    if (family != AF_PACKET && family != AF_ALG && family != AF_VSOCK && type != SOCK_RAW && protocol != IPPROTO_SCTP && protocol != IPPROTO_DCCP)
        return;
    if (family == 16 /* AF_NETLINK: every tool of the network has one */)
        return;
    if (!hf_wanted(hf_cgroup_of(hf_task()), HF_EV_SOCKET, true, &want))
        return;
    __builtin_memset(&e, 0, sizeof e);
    hf_fill_header(&e.h, hf_task(), HF_EV_SOCKET);
    e.family = family;
    e.type = type;
    e.protocol = protocol;
    hf_send(&e, sizeof e, &want);
}
