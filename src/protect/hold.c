// SPDX-License-Identifier: Apache-2.0
#include "protect/hold.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

#define OLD_MAX 256u
#define FILE_MAX_BYTES (8u << 20)

struct old { /* of an earlier guard */
    struct hf_ro ro;
    uint32_t pid;
};
struct hf_hold {
    char path[4200];
    struct old *old;
    size_t n_old;
    struct hf_held *held[OLD_MAX]; /* those that hold something */
    size_t n_held;
};

/* ---- the file: namespace, process, mount, how, path; a line each ---- */

static void lines_of(const struct hf_ro *ro, uint32_t pid, struct hf_buf *out)
{
    for (size_t i = 0; i < ro->n; i++)
        if (ro->v[i].ours != HF_RO_WAS && !strpbrk(ro->v[i].path, "\t\n"))
            hf_buf_addf(out, "%llu\t%u\t%llu\t%u\t%s\n", (unsigned long long)ro->mnt_ns, pid, (unsigned long long)ro->v[i].mount, ro->v[i].ours, ro->v[i].path);
}

static void keep(const struct hf_hold *h)
{
    hf_autobuf b = HF_BUF_INIT(FILE_MAX_BYTES);
    struct hf_err ignored = HF_ERR_INIT;
    for (size_t i = 0; i < h->n_old; i++)
        lines_of(&h->old[i].ro, h->old[i].pid, &b);
    for (size_t i = 0; i < h->n_held; i++)
        lines_of(&h->held[i]->ro, h->held[i]->pid, &b);
    if (hf_buf_ok(&b))
        (void)!hf_write_file(h->path, 0600, hf_buf_span(&b), &ignored); /* without it only a killed guard leaves something behind */
}

static bool parse(struct hf_span line, uint64_t v[4], struct hf_span *path)
{
    for (size_t i = 0; i < 4; i++) {
        struct hf_span word;
        if (!hf_span_cut(&line, '\t', &word) || hf_parse_u64(word, 10, 1, UINT64_MAX, &v[i]) < 0)
            return false;
    }
    *path = line;
    return line.n && line.n < HF_RO_PATH && line.p[0] == '/' && !memchr(line.p, 0, line.n) && v[1] <= UINT32_MAX && (v[3] == HF_RO_IN_PLACE || v[3] == HF_RO_OVER);
}

static struct old *old_of(struct hf_hold *h, uint64_t ns, uint32_t pid)
{
    for (size_t i = 0; i < h->n_old; i++)
        if (h->old[i].ro.mnt_ns == ns)
            return &h->old[i];
    if (h->n_old == OLD_MAX)
        return NULL;
    struct old *more = realloc(h->old, (h->n_old + 1) * sizeof *more);
    if (!more)
        return NULL;
    h->old = more;
    memset(&more[h->n_old], 0, sizeof *more);
    more[h->n_old].ro.mnt_ns = ns;
    more[h->n_old].pid = pid;
    return &more[h->n_old++];
}

static void load(struct hf_hold *h)
{
    hf_autobuf text = HF_BUF_INIT(FILE_MAX_BYTES);
    struct hf_err ignored = HF_ERR_INIT;
    if (hf_read_file(h->path, &text, &ignored) < 0)
        return;
    for (struct hf_span rest = hf_buf_span(&text), line, path; hf_span_line(&rest, &line);) {
        uint64_t v[4];
        struct old *o = parse(line, v, &path) ? old_of(h, v[0], (uint32_t)v[1]) : NULL;
        if (!o || o->ro.n == HF_RO_MAX)
            continue;
        struct hf_ro_path *r = &o->ro.v[o->ro.n++];
        r->mount = v[2];
        r->ours = (uint32_t)v[3];
        memcpy(r->path, path.p, path.n);
        r->path[path.n] = 0;
    }
}

int hf_hold_new(struct hf_hold **ret, const char *state_dir, struct hf_err *err)
{
    struct hf_hold *h = calloc(1, sizeof *h);
    if (!h)
        return hf_fail(err, -ENOMEM, "no memory");
    snprintf(h->path, sizeof h->path, "%s/%s/read-only", state_dir, HF_PROTECT_DIR);
    load(h);
    *ret = h;
    return 0;
}

void hf_hold_free(struct hf_hold *h)
{
    if (!h)
        return;
    free(h->old);
    free(h);
}

/* Of an old one nothing is left, or it was taken over. */
static void drop_old(struct hf_hold *h, uint64_t ns)
{
    for (size_t i = 0; i < h->n_old; i++)
        if (h->old[i].ro.mnt_ns == ns)
            h->old[i--] = h->old[--h->n_old];
}

void hf_hold_settle(struct hf_hold *h)
{
    if (!h->n_old)
        return;
    for (size_t i = 0; i < h->n_old; i++)
        (void)hf_ro_release(&h->old[i].ro, h->old[i].pid);
    h->n_old = 0;
    keep(h);
}

void hf_hold_release_all(const char *state_dir)
{
    struct hf_hold *h = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (hf_hold_new(&h, state_dir, &ignored) == 0)
        hf_hold_settle(h);
    hf_hold_free(h);
}

/* ---- of a container ---- */

static bool is_there(const struct hf_held *held, uint64_t ns, uint32_t pid)
{
    char path[64];
    struct stat st;
    (void)held;
    snprintf(path, sizeof path, "/proc/%u/ns/mnt", pid);
    return pid && stat(path, &st) == 0 && st.st_ino == ns;
}

/* A process that is in the namespace still: the one that was seen, or another of its group. */
static uint32_t process(struct hf_held *held, uint64_t ns)
{
    char path[1100];
    hf_autobuf text = HF_BUF_INIT(1u << 20);
    struct hf_err ignored = HF_ERR_INIT;
    if (is_there(held, ns, held->pid))
        return held->pid;
    snprintf(path, sizeof path, "%s/cgroup.procs", held->group);
    if (held->group[0] && hf_read_file(path, &text, &ignored) == 0)
        for (struct hf_span rest = hf_buf_span(&text), line; hf_span_line(&rest, &line);) {
            uint64_t pid;
            if (hf_parse_u64(line, 10, 1, UINT32_MAX, &pid) == 0 && is_there(held, ns, (uint32_t)pid)) {
                held->pid = (uint32_t)pid;
                return held->pid;
            }
        }
    return 0;
}

static void list(struct hf_hold *h, struct hf_held *held, bool on)
{
    for (size_t i = 0; i < h->n_held; i++)
        if (h->held[i] == held)
            h->held[i--] = h->held[--h->n_held];
    if (on && h->n_held < OLD_MAX)
        h->held[h->n_held++] = held;
}

int hf_hold_paths(struct hf_hold *h, struct hf_held *held, uint32_t pid, const struct hf_prot_spans *patterns, bool on, struct hf_err *err)
{
    if (on == held->armed)
        return 0;
    if (!on) {
        uint32_t in = process(held, held->ro.mnt_ns);
        int rc = in ? hf_ro_release(&held->ro, in) : 0;
        memset(&held->ro, 0, sizeof held->ro);
        held->armed = false;
        list(h, held, false);
        keep(h);
        return rc < 0 && rc != -ESRCH ? hf_fail(err, rc, "paths of the container stay read-only: %s", strerror(-rc)) : 0;
    }
    const struct hf_ro *old = NULL;
    for (size_t i = 0; i < h->n_old; i++)
        if (is_there(held, h->old[i].ro.mnt_ns, pid))
            old = &h->old[i].ro;
    int rc = hf_ro_arm(&held->ro, pid, patterns, old, err);
    if (rc < 0)
        return rc;
    drop_old(h, held->ro.mnt_ns);
    held->pid = pid;
    held->armed = true;
    held->has_ids = false; /* ours are among them from now on */
    list(h, held, true);
    keep(h);
    return 0;
}

void hf_hold_mounts(struct hf_held *held, uint32_t pid)
{
    if (held->has_ids)
        return;
    held->pid = held->pid ? held->pid : pid;
    held->has_ids = hf_ro_ids(&held->ids, held->pid) == 0;
}

int hf_hold_undo(struct hf_held *held)
{
    uint32_t pid = held->has_ids ? process(held, held->ids.mnt_ns) : 0;
    return pid ? hf_ro_undo(&held->ids, pid) : -ESRCH;
}

int hf_hold_look(struct hf_hold *h, struct hf_held *held, const struct hf_prot_spans *patterns)
{
    static struct hf_ro again;
    struct hf_err ignored = HF_ERR_INIT;
    uint32_t pid = held->armed ? process(held, held->ro.mnt_ns) : 0;
    if (!pid || hf_ro_state(&held->ro, pid) != 0)
        return 0;
    if (hf_ro_arm(&again, pid, patterns, &held->ro, &ignored) == 0) {
        held->ro = again;
        held->has_ids = false;
        keep(h);
    }
    return 1;
}

void hf_hold_gone(struct hf_hold *h, struct hf_held *held)
{
    list(h, held, false);
    if (held->armed)
        keep(h);
}
