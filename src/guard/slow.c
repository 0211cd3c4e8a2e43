// SPDX-License-Identifier: Apache-2.0
#include "guard/slow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "guard/guard-internal.h"
#include "sensor/frames.h"

#define INFO_MAX (4u << 20)
#define KNOWN_NS 5000000000ull /* numbers of such devices are given again */

static bool is_served(struct hf_span type)
{
    /* virtiofs and 9p are served by the machine that runs this one */
    static const char *const names[] = {"fuse", "fuseblk", "nfs", "nfs4", "cifs", "smb3", "ceph", "afs", "coda", "lustre"};
    return HF_SPAN_IN(type, names) || hf_span_starts(type, HF_S("fuse."));
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - fuse.sshfs host: rw" */
static bool parse(struct hf_span line, struct hf_mount *m, uint64_t *ret_parent)
{
    struct hf_span f[6], part;
    uint64_t major_no, minor_no;
    size_t dash = hf_span_search(line, HF_S(" - ")), n = 0;
    struct hf_span after = hf_span_from(line, dash == SIZE_MAX ? line.n : dash + 3);
    while (n < 6 && hf_span_cut(&line, ' ', &f[n]))
        n++;
    if (n < 6 || !hf_span_cut(&after, ' ', &m->type) || hf_parse_u64(f[0], 10, 0, UINT64_MAX, &m->id) < 0 || hf_parse_u64(f[1], 10, 0, UINT64_MAX, ret_parent) < 0 ||
            !hf_span_cut(&f[2], ':', &part) || hf_parse_u64(part, 10, 0, 0xfff, &major_no) < 0 || hf_parse_u64(f[2], 10, 0, 0xfffff, &minor_no) < 0)
        return false;
    m->point = f[4];
    m->dev = (uint32_t)(major_no << 20 | minor_no);
    m->noexec = hf_span_search(f[5], HF_S("noexec")) != SIZE_MAX;
    m->served = is_served(m->type);
    return true;
}

bool hf_mounts_next(struct hf_mounts *m, struct hf_mount *ret)
{
    struct hf_span line;
    uint64_t parent;
    while (hf_span_line(&m->rest, &line)) {
        if (!parse(line, ret, &parent))
            continue;
        ret->below = ret->served && !hf_span_eqz(ret->point, "/"); /* the root itself may be one (fuse-overlayfs): then nothing of the container could be looked at */
        m->root = hf_span_eqz(ret->point, "/") ? ret->id : m->root;
        for (size_t i = 0; i < m->n && !ret->below; i++)
            ret->below = m->ids[i] == parent;
        ret->below |= m->n == HF_MOUNTS_BELOW && parent != m->root && ret->id != m->root;
        if (ret->below && m->n < HF_MOUNTS_BELOW)
            m->ids[m->n++] = ret->id;
        return true;
    }
    return false;
}

static bool read_mounts(uint32_t pid, struct hf_buf *text)
{
    char path[64];
    struct hf_err ignored = HF_ERR_INIT;
    snprintf(path, sizeof path, "/proc/%u/mountinfo", pid);
    return pid && hf_read_file(path, text, &ignored) == 0 && text->n;
}

/* 1, 0; -1: nobody is there any more who sees its mounts. */
static int look(uint32_t pid, uint32_t dev)
{
    hf_autobuf text = HF_BUF_INIT(INFO_MAX);
    struct hf_mount m;
    if (!read_mounts(pid, &text))
        return -1;
    for (struct hf_mounts all = {.rest = hf_buf_span(&text)}; hf_mounts_next(&all, &m);)
        if (m.served && m.dev == dev)
            return 1;
    return 0;
}

bool hf_guard_served(struct hf_guard *g, const struct hf_guard_container *c, uint32_t pid, uint32_t dev)
{
    struct hf_served *at = &g->served[dev % HF_ARRAY_LEN(g->served)];
    uint64_t now = hf_boot_ns();
    if (!dev || dev == c->root_dev)
        return false;
    if (at->dev == dev && now - at->at_ns < KNOWN_NS)
        return at->is;
    int is = look(pid, dev);
    is = is < 0 ? look(c->pid, dev) : is; /* it was over too soon: what the container's first process sees */
    if (is < 0)
        return true; /* not known: better not opened than never ended */
    *at = (struct hf_served){.dev = dev, .at_ns = now, .is = is};
    return at->is;
}

uint64_t hf_mount_of(int fd, struct statx *ret)
{
    struct statx x = {.stx_mask = 0};
    bool ok = syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS | STATX_MNT_ID, &x) == 0;
    if (ret)
        *ret = x;
    return ok && (x.stx_mask & STATX_MNT_ID) ? x.stx_mnt_id : 0;
}

int hf_box_open(struct hf_guard_box *b, struct hf_span path)
{
    hf_autobuf text = HF_BUF_INIT(INFO_MAX);
    struct hf_mount m;
    uint64_t now = hf_boot_ns();
    bool fresh = b->mounts_ns && now - b->mounts_ns < KNOWN_NS;
    if ((!fresh || b->sees_served) && read_mounts(b->c.pid, &text)) {
        b->mounts_ns = now;
        b->sees_served = false;
        for (struct hf_mounts all = {.rest = hf_buf_span(&text)}; !b->sees_served && hf_mounts_next(&all, &m);)
            b->sees_served = m.below;
    }
    if (!b->sees_served)
        return hf_open_in_root(b->c.root_fd, path, O_PATH | O_CLOEXEC, NULL);
    /* what the kernel knows of names without asking: what ran has just been looked up */
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED};
    hf_autofree char *z = hf_span_dupz(path);
    hf_autoclose int fd = z ? (int)syscall(SYS_openat2, b->c.root_fd, z, &how, sizeof how) : -1;
    uint64_t id = fd < 0 ? 0 : hf_mount_of(fd, NULL);
    for (struct hf_mounts all = {.rest = hf_buf_span(&text)}; id && hf_mounts_next(&all, &m);)
        if (m.id == id)
            return m.below ? -1 : hf_take_fd(fd);
    return -1;
}
