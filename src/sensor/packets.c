// SPDX-License-Identifier: Apache-2.0
#include "sensor/packets.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "base/fs.h"
#include "base/mem.h"
#include "sensor/policy-map.h"

#define KERNFS_HANDLE 0xfe /* FILEID_KERNFS (5.5): the handle is the id of the group */
#define SOON_NS 200000
#define SOON_TRIES 3u
#define EFFECTIVE_MAX 128u /* programs of one kind that run for one group; the kernel takes 64 at one place */

struct group {
    uint64_t id;
    int links[2]; /* -1: not attached here, but above, or not at all */
};

struct hf_packets {
    struct hf_packets_opts o;
    uint32_t prog_id; /* of the one by which it is told whether a group has them */
    enum bpf_attach_type type;
    int root[2];
    bool off;
    struct group *groups;
    size_t n, cap;
};

static bool is_attached(const struct group *g)
{
    return g->links[0] >= 0 || g->links[1] >= 0;
}

static const enum bpf_attach_type types[2] = {BPF_CGROUP_INET_EGRESS, BPF_CGROUP_INET_INGRESS};

static int attach(const struct hf_packets *p, int group_fd, int links[2])
{
    for (size_t i = 0; i < 2; i++) {
        if (links[i] >= 0 || p->o.progs[i] < 0)
            continue;
        int fd = bpf_link_create(p->o.progs[i], group_fd, types[i], NULL);
        if (fd < 0)
            return -errno;
        links[i] = fd;
    }
    return 0;
}

static void detach(int links[2])
{
    hf_closep(&links[0]);
    hf_closep(&links[1]);
}

static int open_group(const struct hf_packets *p, uint64_t id)
{
    union {
        struct file_handle h;
        char room[sizeof(struct file_handle) + sizeof id];
    } u = {.h = {.handle_bytes = sizeof id, .handle_type = KERNFS_HANDLE}};
    memcpy(u.room + offsetof(struct file_handle, f_handle), &id, sizeof id);
    int fd = open_by_handle_at(p->o.root_fd, &u.h, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* How often they run for a packet of this group: attached to it, and to those above. */
static int times_in_force(const struct hf_packets *p, int group_fd)
{
    uint32_t ids[EFFECTIVE_MAX], n = EFFECTIVE_MAX;
    int times = 0;
    if (bpf_prog_query(group_fd, p->type, BPF_F_QUERY_EFFECTIVE, NULL, ids, &n) < 0)
        return -errno;
    for (uint32_t i = 0; i < n; i++)
        times += ids[i] == p->prog_id;
    return times;
}

/* Attaches to a group, once: a container within a container has those of the outer one. */
static int join(struct hf_packets *p, struct group *g)
{
    hf_autoclose int fd = open_group(p, g->id);
    if (fd < 0)
        return fd == -ESTALE || fd == -ENOENT ? 0 : fd; /* it has ended, or is not quite there yet */
    int times = times_in_force(p, fd);
    if (times > 0)
        return 0;
    int rc = times < 0 ? times : attach(p, fd, g->links);
    for (size_t i = 0; i < p->n && rc == 0; i++) {
        struct group *inner = &p->groups[i];
        if (inner == g || !is_attached(inner))
            continue;
        hf_autoclose int at = open_group(p, inner->id);
        if (at >= 0 && times_in_force(p, at) > 1)
            detach(inner->links);
    }
    return rc;
}

/* Puts in force what is wanted. */
static int settle(struct hf_packets *p, struct hf_err *err)
{
    bool whole = !p->off && (p->o.host || (!p->o.by_group && p->n > 0)), apart = !p->off && !whole;
    int rc = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct group *g = &p->groups[i];
        if (!apart)
            detach(g->links);
        else if (rc == 0 && !is_attached(g))
            rc = join(p, g);
    }
    if (rc < 0) { /* somebody's own programs forbid others below them: at the root they are out of the way */
        p->o.host = true;
        return settle(p, err);
    }
    if (!whole)
        detach(p->root);
    else if ((rc = attach(p, p->o.root_fd, p->root)) < 0)
        return hf_fail(err, rc, "packets of containers cannot be seen: the programs could not be attached");
    return 0;
}

int hf_packets_new(struct hf_packets **ret, const struct hf_packets_opts *o, struct hf_err *err)
{
    struct hf_packets *p = calloc(1, sizeof *p);
    struct bpf_prog_info info = {0};
    uint32_t len = sizeof info;
    if (!p)
        return hf_fail(err, -ENOMEM, "no memory");
    size_t by = o->progs[0] >= 0 ? 0 : 1;
    *p = (struct hf_packets){.o = *o, .root = {-1, -1}, .type = types[by]};
    int rc = bpf_obj_get_info_by_fd(o->progs[by], &info, &len) < 0 ? hf_fail(err, -errno, "the packet programs cannot be told apart") : 0;
    p->prog_id = info.id;
    rc = rc < 0 ? rc : settle(p, err);
    if (rc < 0) {
        hf_packets_free(p);
        return rc;
    }
    *ret = p;
    return 0;
}

void hf_packets_free(struct hf_packets *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        detach(p->groups[i].links);
    detach(p->root);
    free(p->groups);
    free(p);
}

int hf_packets_add(struct hf_packets *p, uint64_t cgroup_id, struct hf_err *err)
{
    for (size_t i = 0; p && i < p->n; i++)
        if (p->groups[i].id == cgroup_id)
            return 0;
    struct group *g = p ? hf_grow((void **)&p->groups, &p->n, &p->cap, sizeof *g, HF_MAX_CGROUPS) : NULL;
    if (!g)
        return p ? hf_fail(err, HF_E_LIMIT, "packets of more than %u containers are not seen", HF_MAX_CGROUPS) : 0;
    *g = (struct group){.id = cgroup_id, .links = {-1, -1}};
    int rc = settle(p, err);
    for (unsigned i = 0; i < SOON_TRIES && rc == 0 && p->o.by_group && !is_attached(&p->groups[p->n - 1]); i++) { /* the event of its making may be ahead of the group */
        const struct timespec soon = {0, SOON_NS};
        nanosleep(&soon, NULL);
        rc = settle(p, err);
    }
    return rc;
}

int hf_packets_tick(struct hf_packets *p, struct hf_err *err)
{
    return p ? settle(p, err) : 0;
}

void hf_packets_remove(struct hf_packets *p, uint64_t cgroup_id)
{
    struct hf_err ignored = HF_ERR_INIT;
    for (size_t i = 0; p && i < p->n; i++)
        if (p->groups[i].id == cgroup_id) {
            detach(p->groups[i].links);
            p->groups[i] = p->groups[--p->n];
            (void)settle(p, &ignored); /* what lay within it, if it was no container after all, had its programs */
            return;
        }
}

int hf_packets_off(struct hf_packets *p, bool off, struct hf_err *err)
{
    if (!p || p->off == off)
        return 0;
    p->off = off;
    return settle(p, err);
}
