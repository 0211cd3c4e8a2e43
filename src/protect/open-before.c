// SPDX-License-Identifier: Apache-2.0
/* What a container had open for writing before read_only came into force: neither a mount nor the check of an opening takes that away. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "protect/protect-internal.h"

#define DEPTH 4u     /* groups below the container's own */
#define LOOKS 8192u  /* descriptors, mappings and processes; the guard's loop waits for it */
#define TOLD 4u      /* by name; the others by their number */
#define TEXT_MAX 262144u

struct look {
    struct hf_protect *p;
    struct hf_prot_box *b;
    unsigned looked, found, kept; /* kept: what no hook refuses now */
    struct hf_buf told;
};

static bool is_held(const struct look *l, struct hf_span path)
{
    struct hf_prot_act a = {.kind = HF_ACT_WRITE, .path = path};
    return hf_prot_judge(l->b->policy, &a) == HF_CLAUSE_READ_ONLY;
}

static void found(struct look *l, uint32_t pid, struct hf_span path, const char *how, bool refused)
{
    char name[64];
    hf_autobuf comm = HF_BUF_INIT(64);
    struct hf_err ignored = HF_ERR_INIT;
    l->kept += !refused;
    if (l->found++ >= TOLD)
        return;
    snprintf(name, sizeof name, "/proc/%u/comm", pid);
    if (hf_read_file(name, &comm, &ignored) < 0)
        hf_buf_clear(&comm);
    hf_buf_addz(&l->told, l->told.n ? ", " : "");
    hf_buf_add_escaped(&l->told, hf_span_sub(path, 0, 80), 0);
    hf_buf_addf(&l->told, " %s by process %u (", how, pid);
    hf_buf_add_escaped(&l->told, hf_span_trim(hf_buf_span(&comm)), 0);
    hf_buf_addc(&l->told, ')');
}

static bool writes(uint32_t pid, const char *fd)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(TEXT_MAX);
    struct hf_err ignored = HF_ERR_INIT;
    uint64_t flags;
    snprintf(path, sizeof path, "/proc/%u/fdinfo/%.12s", pid, fd);
    if (hf_read_file(path, &text, &ignored) < 0)
        return false;
    for (struct hf_span rest = hf_buf_span(&text), line; hf_span_line(&rest, &line);)
        if (hf_span_starts(line, HF_S("flags:")) && hf_parse_u64(hf_span_trim(hf_span_from(line, 6)), 8, 0, UINT64_MAX, &flags) == 0)
            return !(flags & O_PATH) && (flags & O_ACCMODE) != O_RDONLY;
    return false;
}

/* Below a folder that is open, or worked in, names are made and taken through the mount that it was opened by. */
static bool is_held_folder(struct look *l, struct hf_span path)
{
    hf_autobuf below = HF_BUF_INIT(4200);
    hf_buf_adds(&below, path);
    hf_buf_addz(&below, "/x");
    return is_held(l, hf_buf_span(&below));
}

static void look_fd(struct look *l, uint32_t pid, const char *of, const char *fd, bool by_mount)
{
    char path[64], link[4096];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%u/%s%.12s", pid, of, fd);
    ssize_t n = readlink(path, link, sizeof link);
    if (n <= 0 || link[0] != '/')
        return;
    struct hf_span where = hf_protect_inside(l->b, hf_span(link, (size_t)n));
    bool folder = by_mount && is_held_folder(l, where) && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    if (folder)
        found(l, pid, where, of[0] == 'c' ? "is the working directory" : "is open", false);
    else if (of[0] != 'c' && is_held(l, where) && writes(pid, fd))
        found(l, pid, where, "is open for writing", !by_mount);
}

static void look_maps(struct look *l, uint32_t pid)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(TEXT_MAX);
    struct hf_err ignored = HF_ERR_INIT;
    snprintf(path, sizeof path, "/proc/%u/maps", pid);
    if (hf_read_file(path, &text, &ignored) < 0 && !text.n)
        return;
    for (struct hf_span rest = hf_buf_span(&text), line, word, range; hf_span_line(&rest, &line);) {
        if (!hf_span_cut(&line, ' ', &range) || !hf_span_cut(&line, ' ', &word) || word.n != 4 || word.p[1] != 'w' || word.p[3] != 's')
            continue;
        size_t slash = hf_span_find(line, '/');
        struct hf_span where = slash == SIZE_MAX ? hf_span(NULL, 0) : hf_protect_inside(l->b, hf_span_from(line, slash));
        if (where.n && is_held(l, where))
            found(l, pid, where, "is mapped for writing", false);
    }
}

static void look_process(struct look *l, uint32_t pid)
{
    bool by_mount = !hf_guard_kernel_file_rung(l->p->k);
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/fd", pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && l->looked < LOOKS && (e = readdir(d));)
        if (e->d_name[0] != '.') {
            l->looked++;
            look_fd(l, pid, "fd/", e->d_name, by_mount);
        }
    if (d)
        closedir(d);
    if (by_mount)
        look_fd(l, pid, "cwd", "", true);
    look_maps(l, pid);
}

static void look_group(struct look *l, const char *group, unsigned depth)
{
    char path[1400];
    hf_autobuf text = HF_BUF_INIT(1u << 20);
    struct hf_err ignored = HF_ERR_INIT;
    uint64_t pid;
    snprintf(path, sizeof path, "%s/cgroup.procs", group);
    if (hf_read_file(path, &text, &ignored) == 0)
        for (struct hf_span rest = hf_buf_span(&text), line; l->looked < LOOKS && hf_span_line(&rest, &line);)
            if (hf_parse_u64(line, 10, 1, UINT32_MAX, &pid) == 0) {
                l->looked++;
                look_process(l, (uint32_t)pid);
            }
    DIR *d = depth < DEPTH ? opendir(group) : NULL;
    for (struct dirent *e; d && l->looked < LOOKS && (e = readdir(d));)
        if (e->d_type == DT_DIR && e->d_name[0] != '.' && snprintf(path, sizeof path, "%s/%s", group, e->d_name) < (int)sizeof path)
            look_group(l, path, depth + 1);
    if (d)
        closedir(d);
}

bool hf_protect_open_before(struct hf_protect *p, struct hf_prot_box *b, const char *group)
{
    struct look l = {.p = p, .b = b};
    char text[512];
    hf_buf_init(&l.told, 1024);
    if (group[0])
        look_group(&l, group, 0);
    if (l.found || l.looked == LOOKS) {
        snprintf(text, sizeof text, "container %.*s: read_only came too late for %u: %.200s%s%s%s", (int)HF_MIN(b->c->name.n, (size_t)64), b->c->name.p ? b->c->name.p : "", l.found, l.told.n ? hf_buf_z(&l.told) : "none",
                l.found > TOLD ? ", and others" : "", l.kept ? "; what is so from before can be written still" : "; writes through them are refused", l.looked == LOOKS ? "; there was too much to look at all" : "");
        hf_protect_tell_error(p, text);
        if (l.kept)
            snprintf(b->why, sizeof b->why, "read_only: %u from before can be written still: %.100s", l.kept, l.told.n ? hf_buf_z(&l.told) : "");
    }
    hf_buf_done(&l.told);
    return l.found || l.looked == LOOKS;
}
