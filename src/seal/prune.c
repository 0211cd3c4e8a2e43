/* SPDX-License-Identifier: Apache-2.0 */
#include "seal/prune.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { MAX_FILES = 1 << 20 };

struct made {
    char *name;
    uint64_t bytes, unused_s;
};

struct prune {
    const struct hf_seal_prune_opts *o;
    int dir;
    struct made *v;
    size_t n, cap;
    struct hf_seal_pruned *ret;
    int rc;
};

static void done(struct prune *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->v[i].name);
    free(p->v);
}

static int longest_unused_first(const void *a, const void *b)
{
    const struct made *x = a, *y = b;
    if (x->unused_s != y->unused_s)
        return x->unused_s > y->unused_s ? -1 : 1;
    return strcmp(x->name, y->name);
}

static bool removed(struct prune *p, const char *name, struct hf_err *err)
{
    if (p->o->dry_run || unlinkat(p->dir, name, 0) == 0 || errno == ENOENT)
        return true;
    if (p->rc == 0)
        p->rc = hf_fail(err, -errno, "%s/%s: %s", p->o->dir, name, hf_err_name(-errno));
    return false;
}

static int look(struct prune *p, const char *name, struct hf_err *err)
{
    struct stat st, to;
    struct hf_span text = hf_span_z(name);
    if (!hf_span_ends(text, HF_S(".seal")) || fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (S_ISLNK(st.st_mode) && fstatat(p->dir, name, &to, 0) < 0 && errno == ENOENT)
        (void)removed(p, name, err);
    if (!S_ISREG(st.st_mode))
        return 0;
    if ((st.st_mode & 07777) != HF_SEAL_MADE_MODE) {
        p->ret->of_people++;
        return 0;
    }
    struct made *m = hf_grow((void **)&p->v, &p->n, &p->cap, sizeof *m, MAX_FILES);
    time_t now = time(NULL);
    if (!m)
        return hf_fail(err, HF_E_LIMIT, "more than %d seals in %s", MAX_FILES, p->o->dir);
    *m = (struct made){hf_span_dupz(text), (uint64_t)st.st_size, now > st.st_mtim.tv_sec ? (uint64_t)(now - st.st_mtim.tv_sec) : 0};
    return m->name ? 0 : hf_fail(err, -ENOMEM, "out of memory");
}

static int read_folder(struct prune *p, struct hf_err *err)
{
    int rc = 0, copy = fcntl(p->dir, F_DUPFD_CLOEXEC, 0);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) {
        rc = hf_fail(err, -errno, "%s: %s", p->o->dir, hf_err_name(-errno));
        if (copy >= 0)
            close(copy);
        return rc;
    }
    for (struct dirent *e; rc >= 0 && (e = readdir(d));)
        rc = look(p, e->d_name, err);
    closedir(d);
    return rc;
}

int hf_seal_prune(const struct hf_seal_prune_opts *o, struct hf_seal_pruned *ret, struct hf_err *err)
{
    struct hf_seal_pruned count = {0};
    hf_autoclose int dir = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    hf_cleanup(done) struct prune p = {.o = o, .dir = dir, .ret = &count};
    if (dir < 0 && errno != ENOENT)
        return hf_fail(err, -errno, "%s: %s", o->dir, hf_err_name(-errno));
    int rc = dir < 0 ? 0 : read_folder(&p, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < p.n; i++)
        count.kept_bytes += p.v[i].bytes;
    count.kept = p.n;
    if (p.n)
        qsort(p.v, p.n, sizeof *p.v, longest_unused_first);
    for (size_t i = 0; i < p.n; i++) {
        const struct made *m = &p.v[i];
        bool old = o->older_than_s && m->unused_s >= o->older_than_s;
        if ((!old && count.kept_bytes <= o->max_bytes) || (o->in_use && o->in_use(o->ctx, m->name)) || !removed(&p, m->name, err))
            continue;
        count.kept--;
        count.kept_bytes -= m->bytes;
        count.removed++;
        count.removed_bytes += m->bytes;
        if (o->gone)
            o->gone(o->ctx, m->name, m->bytes, m->unused_s);
    }
    *ret = count;
    return p.rc;
}
