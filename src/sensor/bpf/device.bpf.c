// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* device.bpf.c - devices and terminals that are opened, where the kernel lets no security hook of files be seen.
 *
 * Whether a control group may use a device is asked at every open of a node, and of nothing else.  The program is told a number only; but the walk
 * along the path that led there is not over yet, and the task has it (task_struct.nameidata): the node itself, and its name.  access(2) asks the
 * same after its walk.  What the device refuses later is told too, as by the security hook. */
#include "device.h"

#define SAME_NS 1000000000ull /* the user half tells of a repeated act no sooner (files/files.c) */

struct told {
    u32 pid, dev, type, access;
};
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, HF_DEVICES_TOLD);
    __type(key, struct told);
    __type(value, u64);
} hf_devices_told SEC(".maps");

/* Who opens a device again and again must not fill the ring of what matters most. */
static __always_inline bool is_repeated(const struct told *key)
{
    u64 now = bpf_ktime_get_boot_ns(), *last = bpf_map_lookup_elem(&hf_devices_told, key);
    if (last && now - *last < SAME_NS) {
        struct hf_counters *c = hf_counter(HF_EV_FILE);
        if (c)
            c->deduped++;
        return true;
    }
    bpf_map_update_elem(&hf_devices_told, key, &now, BPF_ANY);
    return false;
}

SEC("cgroup/dev")
int hf_device(struct bpf_cgroup_dev_ctx *ctx)
{
    u32 type = ctx->access_type & 0xffff, access = ctx->access_type >> 16 & (BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE), major = ctx->major, minor = ctx->minor;
    bool is_char = type == BPF_DEVCG_DEV_CHAR;
    struct path at;
    if (!access || hf_usual_device(is_char, major, minor))
        return 1;
    struct task_struct *t = hf_task();
    struct nameidata *walk = BPF_CORE_READ(t, nameidata);
    if (!walk)
        return 1;
    bpf_core_read(&at, sizeof at, &walk->path);
    struct dentry *dentry = at.dentry;
    struct inode *inode = BPF_CORE_READ(dentry, d_inode);
    if (BPF_CORE_READ(inode, i_rdev) != (major << 20 | minor) || !hf_is_device(inode)) /* not the walk to this node */
        return 1;
    bool matters = hf_device_matters(dentry, inode);
    if (is_char && major - PTS_MAJOR < PTS_MAJORS && !matters)
        return 1;
    struct told key = {.pid = (u32)BPF_CORE_READ(t, tgid), .dev = major << 20 | minor, .type = type, .access = access};
    if (key.pid == hf_self_pid || is_repeated(&key))
        return 1;
    bool writes = access & BPF_DEVCG_ACC_WRITE, reads = access & BPF_DEVCG_ACC_READ;
    const struct hf_device_act a = {.op = writes ? HF_FILE_WRITE : HF_FILE_OPEN, .request = key.dev, .source = HF_SOURCE_CGROUP, .watch = matters ? HF_WATCH_DEVICE | HF_WATCH_ITSELF : 0,
            .open_flags = writes ? (reads ? 2 /* O_RDWR */ : 1) : 0, .inode = inode};
    hf_send_device(t, &a, &at);
    return 1;
}
