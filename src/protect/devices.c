// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "policy/glob.h"
#include "protect/protect-internal.h"

#define DEPTH 3u
#define NODES_MAX 65536u

struct walk {
    struct hf_guard_kernel *k;
    uint32_t number;
    const struct hf_prot_spans *patterns;
    unsigned nodes;
    struct hf_err *err;
};

static bool listed(const struct hf_prot_spans *patterns, struct hf_span path)
{
    for (size_t i = 0; i < patterns->n; i++) {
        struct hf_span p = patterns->v[i];
        if (hf_glob_path(p, path) || (p.p[p.n - 1] == '/' && hf_span_starts(path, p)))
            return true;
    }
    return false;
}

static int walk(struct walk *w, const char *folder, unsigned depth)
{
    int rc = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && rc == 0 && (e = readdir(d)) && w->nodes < NODES_MAX;) {
        char path[1024];
        struct stat st;
        w->nodes++;
        if (e->d_name[0] == '.' || snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= (int)sizeof path || lstat(path, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth < DEPTH)
            rc = walk(w, path, depth + 1);
        if ((!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)) || !listed(w->patterns, hf_span_z(path)))
            continue;
        struct hf_guard_device dev = {.policy = w->number, .type = S_ISBLK(st.st_mode) ? 1 : 2, .major_no = major(st.st_rdev), .minor_no = minor(st.st_rdev)};
        rc = hf_guard_kernel_device(w->k, &dev, w->err);
    }
    if (d)
        closedir(d);
    return rc;
}

int hf_protect_devices(struct hf_guard_kernel *k, uint32_t number, const struct hf_prot_policy *policy, struct hf_err *err)
{
    struct walk w = {.k = k, .number = number, .patterns = &policy->allow[HF_CLAUSE_DEVICES], .err = err};
    return w.patterns->n ? walk(&w, "/dev", 0) : 0;
}
