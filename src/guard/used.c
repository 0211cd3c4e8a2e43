// SPDX-License-Identifier: Apache-2.0
/* Packages in use: the libraries of programs, shortly after their start, and who waits for connections. */
#include <stdio.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "guard/guard-internal.h"

#define MAPS_MAX (4u << 20)
#define LOOKS_AT_ONCE 8u /* each second, so that a storm of programs costs little */

/* Packages of all files that the process has mapped for execution. */
static void mapped(struct hf_guard_box *b, uint32_t pid, uint32_t how)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(MAPS_MAX);
    struct hf_span rest, line, before = {NULL, 0};
    snprintf(path, sizeof path, "/proc/%u/maps", pid);
    if (hf_read_file(path, &text, NULL) < 0)
        return;
    rest = hf_buf_span(&text);
    while (hf_span_line(&rest, &line)) { /* from-to perms offset device inode   path */
        struct hf_seal_entry e;
        size_t slash = hf_span_find(line, '/'), blank = hf_span_find(line, ' ');
        struct hf_span name = slash == SIZE_MAX ? hf_span(NULL, 0) : hf_span_from(line, slash);
        if (!name.n || blank == SIZE_MAX || hf_span_sub(line, blank + 3, 1).n == 0 || line.p[blank + 3] != 'x' || hf_span_eq(name, before))
            continue;
        before = name;
        if (hf_seal_find(b->c.seal, name, &e, NULL) > 0 && e.package != UINT32_MAX)
            hf_inuse_mark(b->inuse, hf_seal_package(b->c.seal, e.package), how);
    }
}

void hf_used_exec(struct hf_guard *g, struct hf_guard_box *b, const struct hf_wire_hdr *h, struct hf_span exe)
{
    uint64_t key[2] = {hf_span_hash(exe), h->euid == 0};
    uint64_t hash = hf_span_hash(hf_span((const char *)key, sizeof key));
    for (size_t i = 0; i < HF_USED_SEEN; i++)
        if (b->seen[i] == hash)
            return;
    b->seen[b->next_seen++ % HF_USED_SEEN] = hash;
    struct hf_used *u = &g->used[g->next_used++ % HF_USED_MAX];
    *u = (struct hf_used){.cgroup_id = b->c.cgroup_id, .pid = h->pid, .how = HF_INUSE_MAPPED | (h->euid == 0 ? HF_INUSE_ROOT : 0), .at_ns = g->now_ns + HF_INUSE_LOOK_S * 1000000000ull / 2};
}

void hf_used_listens(struct hf_guard *g, struct hf_guard_box *b, const struct hf_event *ev)
{
    struct hf_used *u = &g->used[g->next_used++ % HF_USED_MAX];
    *u = (struct hf_used){.cgroup_id = b->c.cgroup_id, .pid = ev->h->pid, .how = HF_INUSE_MAPPED | HF_INUSE_LISTENS | (ev->h->euid == 0 ? HF_INUSE_ROOT : 0), .at_ns = g->now_ns + 1000000000ull};
}

bool hf_used_pending(const struct hf_guard *g)
{
    for (size_t i = 0; i < HF_USED_MAX; i++)
        if (g->used[i].pid)
            return true;
    return false;
}

void hf_used_look(struct hf_guard *g)
{
    unsigned n = 0;
    for (size_t i = 0; i < HF_USED_MAX && n < LOOKS_AT_ONCE; i++) {
        struct hf_used *u = &g->used[i];
        struct hf_guard_box *b = u->pid && g->now_ns >= u->at_ns ? hf_box_of(g, u->cgroup_id) : NULL;
        if (!u->pid || g->now_ns < u->at_ns)
            continue;
        if (b && !b->c.seal && !b->no_seal) /* with a later one */
            continue;
        if (b && b->c.seal && b->inuse)
            mapped(b, u->pid, u->how);
        u->pid = 0;
        n++;
    }
}
