// SPDX-License-Identifier: Apache-2.0
/* Who wrote which file last, and in whose run: for what is not as the image has it when it runs. */
#include "event/track-internal.h"

#define LOOKS 8u /* places a key may lie in; the longest untouched of them is replaced */
#define ANCESTORS 16u

static uint64_t key_of(const struct hf_container *c, struct hf_span path)
{
    char text[8 + 4096];
    size_t n = HF_MIN(path.n, sizeof text - 8);
    memcpy(text, &c->cgroup_id, 8);
    memcpy(text + 8, path.p, n);
    uint64_t h = hf_track_hash(text, 8 + n);
    return h ? h : 1;
}

static struct hf_writer_slot *place(struct hf_track *t, uint64_t key, bool make)
{
    struct hf_writer_slot *oldest = NULL;
    if (!t->writers && make)
        t->writers = hf_alloc_fails() ? NULL : calloc(t->writers_mask + 1, sizeof *t->writers);
    for (unsigned i = 0; t->writers && i < LOOKS; i++) {
        struct hf_writer_slot *s = &t->writers[(key + i) & t->writers_mask];
        if (s->key == key)
            return s;
        if (!oldest || s->w.time_ns < oldest->w.time_ns)
            oldest = s;
    }
    return make ? oldest : NULL;
}

static bool one_of(struct hf_span name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (hf_span_eqz(name, list[i]))
            return true;
    return false;
}

/* Folders in which an image has its package managers.  Elsewhere a name says nothing. */
static bool in_system(struct hf_span path)
{
    static const char *const dirs[] = {"/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/usr/local/bin/", "/usr/local/sbin/", "/usr/lib/", "/usr/local/lib/", "/opt/"};
    for (size_t i = 0; i < HF_ARRAY_LEN(dirs); i++)
        if (hf_span_starts(path, hf_span_z(dirs[i])))
            return true;
    return false;
}

static struct hf_span argument(const struct hf_proc *p, unsigned nth)
{
    struct hf_span rest = p->args, one;
    for (unsigned i = 0; hf_span_cut(&rest, 0, &one); i++)
        if (i == nth)
            return one;
    return hf_span(NULL, 0);
}

/* The file that makes this process a package manager: its program, or the script that an interpreter runs.  Empty: it is none. */
static struct hf_span manager_file(const struct hf_proc *p)
{
    static const char *const programs[] = {"dpkg", "apt", "apt-get", "aptitude", "rpm", "dnf", "dnf-3", "dnf5", "microdnf", "yum", "zypper", "apk", "pacman", "opkg", "tdnf"};
    static const char *const scripts[] = {"pip", "pip3", "npm", "npm-cli.js", "yarn", "yarn.js", "pnpm", "gem", "bundle", "conda", "mamba", "dnf", "dnf-3", "yum", "apt-add-repository", "uv", "composer", "cpan", "cpanm"};
    struct hf_span script = argument(p, 1), name = hf_span_basename(p->exe);
    if (!in_system(p->exe))
        return hf_span(NULL, 0);
    if (one_of(name, programs, HF_ARRAY_LEN(programs)))
        return p->exe;
    if (hf_span_eqz(script, "-m") && hf_span_starts(name, HF_S("python")) && (hf_span_eqz(argument(p, 2), "pip") || hf_span_eqz(argument(p, 2), "ensurepip")))
        return p->exe;
    name = hf_span_basename(script);
    if (hf_span_starts(name, HF_S("pip3.")))
        name = HF_S("pip3");
    return in_system(script) && one_of(name, scripts, HF_ARRAY_LEN(scripts)) ? script : hf_span(NULL, 0);
}

/* The image's own: by content where that is known, else by the layer it lies in. */
static bool of_image(const struct hf_proc *p)
{
    if (p->verdict == HF_VERDICT_SEALED)
        return true;
    return (p->verdict == 0 || p->verdict == HF_VERDICT_UNSEALED) && !(p->exec_flags & (HF_X_UPPER | HF_X_MEMFD | HF_X_DELETED | HF_X_TMPFS));
}

/* The outermost package manager that a process is or works for, in its own container. */
static const struct hf_proc *manager_of(const struct hf_proc *p, struct hf_span *ret_file)
{
    const struct hf_proc *found = NULL;
    for (unsigned i = 0; p && i < ANCESTORS; i++) {
        struct hf_span file = manager_file(p);
        if (file.n && of_image(p)) {
            found = p;
            *ret_file = file;
        }
        p = p->parent && p->parent->container == p->container ? p->parent : NULL;
    }
    return found;
}

static uint16_t add_text(struct hf_writer_slot *s, size_t *at, struct hf_span text, size_t max)
{
    size_t n = HF_MIN(HF_MIN(text.n, max), sizeof s->text - *at);
    if (n)
        memcpy(s->text + *at, text.p, n);
    *at += n;
    return (uint16_t)n;
}

static void set_manager(struct hf_writer_slot *s, const struct hf_proc *m, struct hf_span file)
{
    size_t at = (size_t)s->exe_n + s->args_n;
    s->manager_n = add_text(s, &at, file, 80);
    s->manager_pid = m->pid;
    s->manager_start_ns = m->start_ns;
}

static void wrote(struct hf_track *t, const struct hf_event *ev, struct hf_span path)
{
    struct hf_writer_slot *s = place(t, key_of(ev->container, path), true);
    const struct hf_proc *p = ev->proc, *m;
    struct hf_span file = {NULL, 0};
    size_t at = 0;
    if (!s)
        return;
    *s = (struct hf_writer_slot){.key = key_of(ev->container, path), .w = {.time_ns = ev->time_ns, .pid = p->pid, .start_ns = p->start_ns}};
    s->exe_n = add_text(s, &at, p->exe.n ? p->exe : p->comm, 80);
    s->args_n = add_text(s, &at, p->args, 160);
    m = manager_of(p, &file);
    if (m)
        set_manager(s, m, file);
}

/* A file under another name keeps its writer: who gave it the name is known only if nobody was seen to write it. */
static void renamed(struct hf_track *t, const struct hf_event *ev)
{
    struct hf_writer_slot *from = place(t, key_of(ev->container, ev->path), false), copy;
    if (!from) {
        wrote(t, ev, ev->path2);
        return;
    }
    copy = *from;
    copy.key = key_of(ev->container, ev->path2);
    if (ev->u.file.op == HF_FILE_RENAME)
        *from = (struct hf_writer_slot){.key = 0};
    struct hf_writer_slot *to = place(t, copy.key, true);
    *to = copy;
}

void hf_track_file_event(struct hf_track *t, const struct hf_event *ev)
{
    unsigned op = ev->u.file.op;
    if (!ev->container || !ev->proc || !ev->path.n)
        return;
    if (op == HF_FILE_WRITE || op == HF_FILE_CREATE)
        wrote(t, ev, ev->path);
    else if ((op == HF_FILE_RENAME || op == HF_FILE_LINK) && ev->path2.n)
        renamed(t, ev);
}

void hf_track_verdict_event(struct hf_track *t, struct hf_event *ev)
{
    const struct hf_wire_verdict *v = &ev->u.verdict;
    if (ev->proc && v->use == HF_USE_EXEC && (ev->proc->verdict == 0 || ev->proc->verdict == HF_VERDICT_SEALED)) /* a script and its interpreter: the worse counts */
        ev->proc->verdict = v->verdict;
    struct hf_writer_slot *s = ev->container && ev->path.n ? place(t, key_of(ev->container, ev->path), false) : NULL;
    if (!s)
        return;
    struct hf_writer *w = &s->w;
    struct hf_proc *p = hf_track_proc(t, w->pid, w->start_ns);
    struct hf_span file = {NULL, 0};
    const struct hf_proc *m = p ? manager_of(p, &file) : NULL;
    if (m) /* told of it after it wrote */
        set_manager(s, m, file);
    m = s->manager_n ? hf_track_proc(t, s->manager_pid, s->manager_start_ns) : NULL;
    if (m && !of_image(m)) /* it had the name only */
        s->manager_n = 0;
    w->exe = hf_span(s->text, s->exe_n);
    w->args = hf_span(s->text + s->exe_n, s->args_n);
    w->manager = hf_span(s->text + s->exe_n + s->args_n, s->manager_n);
    w->manager_key = s->manager_n ? (uint64_t)s->manager_pid << 40 ^ s->manager_start_ns : 0;
    ev->writer = w;
}
