// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* lifecycle.bpf.c - container groups come and go (H4).
 *
 * A container is known here from the creation of its control group, before any process is in it: the policy is set in the kernel at
 * once, so that its first instruction is seen under the right policy.  Which container it is, user space reads from the disk. */
#include "emit.h"

extern const volatile __u32 hf_hierarchy;

/* A table, since each branch of a loop is a path for the verifier. */
static const volatile u8 hex_digits[256] = {['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1};

/* Whether a group's name ends with 64 hexadecimal digits (the id that every runtime gives), perhaps with ".scope" behind, and is
 * not the group of a runtime's monitor. */
static __always_inline bool names_container(struct hf_scratch *s, const char *name)
{
    char *leaf = s->path;
    long n = bpf_probe_read_kernel_str(leaf, 256, name);
    u32 end = (u32)n - 1;
    if (n < 65 || n > 256)
        return false;
    if (leaf[(end - 1) & 255] == 'e' && leaf[(end - 6) & 255] == '.')
        end -= 6;
    if (leaf[0] == 'c' && leaf[5] == 'c' && leaf[6] == 'o' && leaf[7] == 'n' && leaf[8] == 'm') /* crio-conmon- */
        return false;
    if (leaf[0] == 'l' && leaf[7] == 'c' && leaf[8] == 'o' && leaf[9] == 'n' && leaf[10] == 'm') /* libpod-conmon- */
        return false;
    for (u32 i = 0; i < 64; i++) {
        u32 at = end - 64 + i;
        hf_opaque(at);
        if (!hex_digits[(u8)leaf[at & 255]])
            return false;
    }
    return true;
}

/* Groups that runtimes make with names that tell nothing (/default/web, /web): a container until user space has asked the maker's arguments. */
static __always_inline bool made_by_runtime(void)
{
    char comm[16];
    if (bpf_get_current_comm(comm, sizeof comm))
        return false;
    bool runc = comm[0] == 'r' && comm[1] == 'u' && comm[2] == 'n' && (comm[3] == 'c' || comm[3] == 's'); /* runc, runsc */
    return runc || (comm[0] == 'c' && comm[1] == 'r' && comm[2] == 'u' && comm[3] == 'n') || (comm[0] == 'y' && comm[1] == 'o' && comm[2] == 'u' && comm[3] == 'k');
}

static __always_inline void send_group(struct cgroup *cg, const char *path, u32 op, struct task_struct *moved)
{
    struct hf_want want = {.critical = true}; /* as urgent as anything, and of no container's account */
    struct hf_scratch *s = hf_scratch_get(HF_EV_CGROUP);
    if (!s)
        return;
    struct hf_wire_cgroup *e = (void *)s->record;
    u32 len = sizeof *e;
    hf_fill_header(&e->h, hf_task(), HF_EV_CGROUP);
    e->id = BPF_CORE_READ(cg, kn, id);
    struct cgroup_subsys_state *up = BPF_CORE_READ(cg, self.parent);
    e->parent_id = BPF_CORE_READ(up, cgroup, kn, id);
    e->task_start_ns = moved ? BPF_CORE_READ(moved, group_leader, start_boottime) : 0;
    e->task_pid = moved ? (u32)BPF_CORE_READ(moved, tgid) : 0;
    e->op = op;
    e->level = (u32)BPF_CORE_READ(cg, level);
    e->hierarchy = hf_hierarchy;
    e->pad[0] = e->pad[1] = e->pad[2] = 0;
    e->path_len = (u16)hf_add_str(s, &len, path, HF_PATH_BYTES - 1);
    hf_send(s->record, len, &want);
    hf_scratch_put(s);
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(hf_cgroup_mkdir, struct cgroup *cg, const char *path)
{
    struct hf_settings *set = hf_settings();
    if ((u32)BPF_CORE_READ(cg, root, hierarchy_id) != hf_hierarchy || !set)
        return 0;
    u64 id = BPF_CORE_READ(cg, kn, id);
    struct cgroup_subsys_state *up = BPF_CORE_READ(cg, self.parent);
    u64 parent_id = BPF_CORE_READ(up, cgroup, kn, id);
    struct hf_policy *parent = bpf_map_lookup_elem(&hf_policies, &parent_id);
    u64 container = parent ? parent->container : 0;
    u32 flags = parent ? parent->flags & HF_POLICY_MAYBE : 0;
    if ((!container || flags) && made_by_runtime()) { /* not below a container that is one for certain: there anyone may call himself so */
        container = id;
        flags = HF_POLICY_MAYBE;
    }
    struct hf_scratch *s = hf_scratch_get(HF_EV_CGROUP);
    if (s) {
        if (names_container(s, BPF_CORE_READ(cg, kn, name))) {
            container = id; /* also a container within a container */
            flags = 0;
        }
        hf_scratch_put(s);
    }
    if (container) {
        struct hf_policy p = {};
        p.types = set->container_types;
        p.critical = set->container_critical;
        p.container = container;
        p.flags = flags;
        p.limit_per_s = parent && parent->container == container ? parent->limit_per_s : 0; /* a group of its own is no way around it */
        p.tokens = p.limit_per_s ? p.limit_per_s : set->budget_burst;
        p.tokens_ns = bpf_ktime_get_boot_ns();
        bpf_map_update_elem(&hf_policies, &id, &p, BPF_ANY);
    }
    send_group(cg, path, HF_CGROUP_MKDIR, NULL);
    return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(hf_cgroup_rmdir, struct cgroup *cg, const char *path)
{
    if ((u32)BPF_CORE_READ(cg, root, hierarchy_id) != hf_hierarchy)
        return 0;
    /* the policy stays until the sensor has read its loss counters; it deletes it */
    send_group(cg, path, HF_CGROUP_RMDIR, NULL);
    return 0;
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(hf_cgroup_attach, struct cgroup *cg, const char *path, struct task_struct *t, bool threadgroup)
{
    if ((u32)BPF_CORE_READ(cg, root, hierarchy_id) != hf_hierarchy)
        return 0;
    if (BPF_CORE_READ(t, pid) != BPF_CORE_READ(t, tgid))
        return 0;
    send_group(cg, path, HF_CGROUP_ATTACH, t);
    return 0;
}
