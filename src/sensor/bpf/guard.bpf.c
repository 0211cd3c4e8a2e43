// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* guard.bpf.c - what refuses in the kernel: programs without a good verdict never run an instruction (H1, M10).
 *
 * A file is judged in user space when it is opened to be run (src/protect/exec-perm.c); here its identity and time of change are held against
 * that verdict once no one can write it any more.  Where the kernel lets security hooks refuse, the exec fails (lsm); everywhere the process is
 * killed on its way out of the exec, before the first instruction.  What was never a file has no verdict and falls the same way. */
#include "guard.h"

const volatile __u32 hf_guard_pid = 0;
const volatile __u32 hf_v1_subsys = CGROUP_V2;
const volatile __u32 hf_host_mnt_ns = 0;
__u32 hf_guard_alive = 0;
__u32 hf_guard_rules_n = 0;
__u64 hf_guard_lost = 0;
__u32 hf_guard_free_used = 0;
__u32 hf_guard_stopped_used = 0;
__u32 hf_guard_libs = 0;

/* ---- programs ---- */

#define NAME_PARTS 64 /* of 63 bytes: a name that is longer is taken for any */

/* Bits of the last part of a name in the new memory of the process (which is its own: no other thread is there any more).  It may follow any number of
 * slashes: what counts are the last 63 bytes. */
static __always_inline u32 name_bits(unsigned long at, unsigned long end, unsigned long *ret_next)
{
    char text[64] = {}, name[HF_GUARD_NAME] = {};
    unsigned long part = at;
    long n = sizeof text;
    *ret_next = 0;
    if (!at || at >= end)
        return 0;
    for (u32 i = 0; i < NAME_PARTS && n == sizeof text; i++) {
        part += i ? sizeof text - 1 : 0;
        n = bpf_probe_read_user_str(text, sizeof text, (void *)part);
    }
    if (n <= 0)
        return 0;
    if (n == sizeof text)
        return HF_GUARD_NAME_SHELL | HF_GUARD_NAME_PACKAGES;
    *ret_next = part + n;
    unsigned long first = at;
    if (part != at) { /* n counts the NUL */
        at = part + n - sizeof text;
        if (bpf_probe_read_user_str(text, sizeof text, (void *)at) <= 0)
            return 0;
    }
    u32 from = at == first && text[0] == '-'; /* a login shell */
    for (u32 i = 0; i < sizeof text - 1; i++) { /* without branches: the verifier would follow each of 64 places on its own */
        u32 slash = -(u32)(text[i] == '/');
        asm volatile("" : "+r"(slash));
        from = (from & ~slash) | ((i + 1) & slash);
    }
    asm volatile("" : "+r"(from));
    if (bpf_probe_read_user_str(name, sizeof name, (void *)(at + (from & 63))) <= 0)
        return 0;
    for (u32 i = 0, gone = 0; i < HF_GUARD_NAME; i++) { /* what a longer name left behind its end is not part of the key */
        gone |= -(u32)(name[i] == 0);
        asm volatile("" : "+r"(gone));
        name[i] &= (char)~gone;
    }
    u32 *bits = bpf_map_lookup_elem(&hf_guard_names, name);
    return bits ? *bits : 0;
}

static __always_inline bool called_wrongly(struct task_struct *t, u32 flags)
{
    struct mm_struct *mm = BPF_CORE_READ(t, mm);
    unsigned long end = BPF_CORE_READ(mm, arg_end), next;
    u32 bits = name_bits(BPF_CORE_READ(mm, arg_start), end, &next);
    if (bits & HF_GUARD_NAME_MANY)
        bits |= name_bits(next, end, &next);
    return ((flags & HF_GUARD_SHELLS) && (bits & HF_GUARD_NAME_SHELL)) || ((flags & HF_GUARD_PACKAGES) && (bits & HF_GUARD_NAME_PACKAGES));
}

/* A container's first program may be opened before the guard has marked what it lies on, and come here when the rule is there: it is looked at now.  Nobody is
 * in the container yet who could let it go on (SIGCONT).  Not so a script: its interpreter is what would be looked at. */
static __always_inline bool waits_for_judgement(const struct hf_guard_rule *r, bool first, u32 why)
{
    return first && why == HF_GUARD_WHY_UNJUDGED && hf_guard_libs && !(r->flags & HF_GUARD_COUNT);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(hf_guard_exec, struct task_struct *t, int old_pid, struct linux_binprm *bprm)
{
    struct found f;
    if (!hf_guard_rules_n)
        return 0;
    struct hf_guard_rule *r = rule_of(t);
    if (!r || is_runtime(t))
        return 0;
    bool first = !r->begun;
    if (first)
        r->level = (u32)BPF_CORE_READ(t, cred, user_ns, level);
    r->begun = 1;
    if (!(r->flags & HF_GUARD_EXEC) || is_free(t))
        return 0;
    look(BPF_CORE_READ(bprm, file), r, &f);
    bool script = BPF_CORE_READ(bprm, interp) != BPF_CORE_READ(bprm, filename);
    /* a script's interpreter has its verdict; nobody looks at the script when the guard is gone */
    if (!f.why && !hf_guard_alive && (r->flags & HF_GUARD_CLOSED) && script)
        f.why = HF_GUARD_WHY_GONE;
    if (!f.why && (f.verdict & HF_GUARD_MANY) && called_wrongly(t, r->flags))
        f.why = HF_GUARD_WHY_NAME;
    if (!f.why || (!hf_guard_alive && (r->flags & HF_GUARD_COUNT)))
        return 0;
    if (lenient(r, f.why)) {
        if (f.why == HF_GUARD_WHY_STALE) /* so that it is judged when it starts again */
            tell_exec(t, r, &f, BPF_CORE_READ(bprm, filename), 0);
        return 0;
    }
    if (!script && waits_for_judgement(r, first, f.why) && stop_until_judged(t, r->flags)) {
        tell_file(t, r, &f, HF_GUARD_STARTED, 0, true);
        return 0;
    }
    if (!(r->flags & HF_GUARD_COUNT))
        bpf_send_signal(SIGKILL);
    tell_exec(t, r, &f, BPF_CORE_READ(bprm, filename), HF_GUARD_BY_SIGNAL);
    return 0;
}

/* The same before the point of no return; called for a script and then for its interpreter. */
SEC("lsm/bprm_check_security")
int BPF_PROG(hf_guard_bprm, struct linux_binprm *bprm, int ret)
{
    struct found f;
    struct task_struct *t = (struct task_struct *)bpf_get_current_task();
    if (ret || !hf_guard_rules_n)
        return ret;
    struct hf_guard_rule *r = rule_of(t);
    if (!r || (r->flags & (HF_GUARD_EXEC | HF_GUARD_COUNT)) != HF_GUARD_EXEC || is_runtime(t) || is_free(t))
        return 0;
    look(BPF_CORE_READ(bprm, file), r, &f);
    if (!f.why || lenient(r, f.why) || waits_for_judgement(r, !r->begun, f.why)) /* hf_guard_exec stops that one */
        return 0;
    tell_exec(t, r, &f, BPF_CORE_READ(bprm, filename), HF_GUARD_BY_LSM);
    return -EPERM;
}

/* ---- connections ---- */

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, HF_GUARD_NETS_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct hf_guard_net_key);
    __type(value, struct hf_guard_ports);
} hf_guard_nets SEC(".maps");

/* Whether the policy lists the address and port. */
static __always_inline bool listed(const struct hf_guard_rule *r, u32 listen, const u8 addr[16], u16 port, u32 protocol)
{
    struct hf_guard_net_key key = {.bits = HF_GUARD_NET_BITS, .policy = r->policy, .listen = listen};
    __builtin_memcpy(key.addr, addr, 16);
    struct hf_guard_ports *p = bpf_map_lookup_elem(&hf_guard_nets, &key);
    if (!p)
        return false;
    for (u32 i = 0; i < HF_GUARD_PORTS; i++) {
        if (i >= p->n)
            break;
        if ((!p->v[i].protocol || p->v[i].protocol == protocol) && (!p->v[i].from || (port >= p->v[i].from && port <= p->v[i].to)))
            return true;
    }
    return false;
}

static __always_inline bool loopback(const u8 a[16])
{
    const u32 *w = (const u32 *)a;
    if (w[0] || w[1])
        return false;
    return w[2] == __builtin_bswap32(0xffff) ? a[12] == 127 : !w[2] && w[3] == __builtin_bswap32(1);
}

static __always_inline int on_address(struct bpf_sock_addr *ctx, bool six, bool listen)
{
    u8 addr[16] __attribute__((aligned(8))) = {};
    u32 *w = (u32 *)addr;
    if (!hf_guard_rules_n)
        return 1;
    struct task_struct *t = (struct task_struct *)bpf_get_current_task();
    struct hf_guard_rule *r = rule_of(t);
    if (!r || !(r->flags & (listen ? HF_GUARD_LISTEN : HF_GUARD_DEST)))
        return 1;
    u16 port = __builtin_bswap16((u16)ctx->user_port);
    if (six) {
        w[0] = ctx->user_ip6[0];
        w[1] = ctx->user_ip6[1];
        w[2] = ctx->user_ip6[2];
        w[3] = ctx->user_ip6[3];
    } else {
        w[2] = __builtin_bswap32(0xffff);
        w[3] = ctx->user_ip4;
    }
    u32 protocol = ctx->protocol;
    if (listen) {
        if (!port) /* any free port, as who connects has */
            return 1;
        __builtin_memset(addr, 0, 16); /* of a listener only the port counts */
    } else if (loopback(addr)) {
        return 1;
    }
    if (listed(r, listen, addr, port, protocol))
        return 1;
    struct hf_guard_told *e = tell_begin(t, r, listen ? HF_GUARD_WHY_LISTEN : HF_GUARD_WHY_CONNECT, HF_GUARD_BY_CGROUP);
    if (e) {
        e->port = port;
        e->protocol = (u16)protocol;
        __builtin_memcpy(e->addr, addr, 16);
        bpf_ringbuf_submit(e, 0);
    }
    return r->flags & HF_GUARD_COUNT ? 1 : 0;
}

SEC("cgroup/connect4")
int hf_guard_connect4(struct bpf_sock_addr *ctx)
{
    return on_address(ctx, false, false);
}

SEC("cgroup/connect6")
int hf_guard_connect6(struct bpf_sock_addr *ctx)
{
    return on_address(ctx, true, false);
}

SEC("cgroup/sendmsg4")
int hf_guard_sendmsg4(struct bpf_sock_addr *ctx)
{
    return on_address(ctx, false, false);
}

SEC("cgroup/sendmsg6")
int hf_guard_sendmsg6(struct bpf_sock_addr *ctx)
{
    return on_address(ctx, true, false);
}

SEC("cgroup/bind4")
int hf_guard_bind4(struct bpf_sock_addr *ctx)
{
    return on_address(ctx, false, true);
}

SEC("cgroup/bind6")
int hf_guard_bind6(struct bpf_sock_addr *ctx)
{
    return on_address(ctx, true, true);
}

/* ---- devices ---- */

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, HF_GUARD_DEVICES_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct hf_guard_device);
    __type(value, u32);
} hf_guard_devices SEC(".maps");

/* null, zero, full, random, urandom; tty, console, ptmx; terminals. */
static __always_inline bool usual_device(u32 type, u32 major, u32 minor)
{
    if (type != BPF_DEVCG_DEV_CHAR)
        return false;
    if (major == 1)
        return minor == 3 || minor == 5 || minor == 7 || minor == 8 || minor == 9;
    return (major == 5 && minor <= 2) || (major >= 136 && major <= 143);
}

SEC("cgroup/dev")
int hf_guard_device(struct bpf_cgroup_dev_ctx *ctx)
{
    u32 type = ctx->access_type & 0xffff, access = ctx->access_type >> 16;
    if (!hf_guard_rules_n || !(access & ~(u32)BPF_DEVCG_ACC_MKNOD) || usual_device(type, ctx->major, ctx->minor)) /* a node is nothing before it is opened */
        return 1;
    struct task_struct *t = (struct task_struct *)bpf_get_current_task();
    struct hf_guard_rule *r = rule_of(t);
    if (!r || !(r->flags & HF_GUARD_DEVICES) || !r->begun || is_runtime(t))
        return 1;
    struct hf_guard_device key = {.policy = r->policy, .type = type, .major_no = ctx->major, .minor_no = ctx->minor};
    if (bpf_map_lookup_elem(&hf_guard_devices, &key))
        return 1;
    struct hf_guard_told *e = tell_begin(t, r, HF_GUARD_WHY_DEVICE, HF_GUARD_BY_CGROUP);
    if (e) {
        e->use = type;
        e->dev = key.major_no << 20 | (key.minor_no & 0xfffff);
        bpf_ringbuf_submit(e, 0);
    }
    return r->flags & HF_GUARD_COUNT ? 1 : 0;
}

/* The guard's end is known before its descriptors close: what then is let through by fanotify finds the right answer here. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(hf_guard_exit, struct task_struct *t)
{
    u32 pid = (u32)BPF_CORE_READ(t, tgid);
    if (pid != hf_guard_pid && !hf_guard_free_used && !hf_guard_stopped_used)
        return 0;
    if (BPF_CORE_READ(t, signal, live.counter) > 0)
        return 0;
    if (pid == hf_guard_pid) {
        hf_guard_alive = 0;
        return 0;
    }
    if (hf_guard_free_used)
        bpf_map_delete_elem(&hf_guard_free, &pid);
    if (hf_guard_stopped_used)
        bpf_map_delete_elem(&hf_guard_stopped, &pid);
    return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(hf_guard_fork, struct task_struct *parent, struct task_struct *child)
{
    u32 pid = (u32)BPF_CORE_READ(child, tgid), one = 1;
    if (is_free(parent) && (u32)BPF_CORE_READ(child, pid) == pid)
        bpf_map_update_elem(&hf_guard_free, &pid, &one, BPF_ANY);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
