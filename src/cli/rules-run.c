// SPDX-License-Identifier: Apache-2.0
/* Rules held against records that come from a file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/rules-cli.h"

/* Rules that come with the program, found from where it lies: installed, or in its build folder. */
static int default_path(char *out, size_t size, struct hf_err *err)
{
    static const char *const places[] = {"share/holdfast/rules", "data/rules"};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = NULL;
    if (n > 0) {
        self[n] = 0;
        slash = strrchr(self, '/');
        char *above = slash ? memrchr(self, '/', (size_t)(slash - self)) : NULL;
        slash = above ? above : slash; /* people are shown these paths: without ".." */
    }
    for (size_t i = 0; slash && i < HF_ARRAY_LEN(places); i++) {
        snprintf(out, size, "%.*s/%s", (int)(slash - self), self, places[i]);
        if (access(out, F_OK) == 0)
            return 0;
    }
    return hf_fail(err, HF_E_NOT_FOUND, "the rules that come with holdfast are not where it lies (../share/holdfast/rules); name some with --rules, or none with --no-rules");
}

int hf_cli_each_rule_file(const struct hf_strs *paths, int (*fn)(void *ctx, const char *name, struct hf_span text, struct hf_err *err), void *ctx, struct hf_err *err)
{
    char path[4200];
    int rc = paths->n ? 0 : default_path(path, sizeof path, err);
    if (rc == 0 && !paths->n)
        return hf_cli_each_file(path, fn, ctx, err);
    for (size_t i = 0; rc == 0 && i < paths->n; i++)
        rc = hf_cli_each_file(paths->v[i], fn, ctx, err);
    return rc;
}

static int add_rules(void *ctx, const char *name, struct hf_span text, struct hf_err *err)
{
    return hf_rules_add(ctx, name, text, err);
}

int hf_cli_rules(const struct hf_strs *paths, struct hf_rules **ret, struct hf_err *err)
{
    hf_cleanup(hf_rules_freep) struct hf_rules *r = NULL;
    int rc = hf_rules_new(&r, NULL, err);
    rc = rc < 0 ? rc : hf_cli_each_rule_file(paths, add_rules, r, err);
    rc = rc < 0 ? rc : hf_rules_compile(r, err);
    if (rc == 0)
        *ret = hf_take(r);
    return rc;
}

#define NAMES_MAX 256u
#define FILE_MAX (8u << 20)

static int whole_file(const char *path, int (*fn)(void *ctx, const char *name, struct hf_span text, struct hf_err *err), void *ctx, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(FILE_MAX + 1);
    int rc = hf_read_file(path, &text, err);
    return rc < 0 ? rc : fn(ctx, path, hf_buf_span(&text), err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int hf_cli_each_file(const char *path, int (*fn)(void *ctx, const char *name, struct hf_span text, struct hf_err *err), void *ctx, struct hf_err *err)
{
    struct stat st;
    char *names[NAMES_MAX];
    size_t n = 0;
    bool needed = strcmp(path, HF_EXCEPTIONS_DIR) != 0; /* that one may be empty */
    if (stat(path, &st) < 0)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return whole_file(path, fn, ctx, err);
    DIR *d = opendir(path);
    if (!d)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(d));) {
        struct hf_span s = hf_span_z(e->d_name);
        if (e->d_name[0] == '.' || !(hf_span_ends(s, HF_S(".yaml")) || hf_span_ends(s, HF_S(".yml"))))
            continue;
        if (n == NAMES_MAX)
            rc = hf_fail(err, HF_E_LIMIT, "%s has more than %u files", path, NAMES_MAX);
        else if ((names[n] = strdup(e->d_name)))
            n++;
    }
    closedir(d);
    if (n)
        qsort(names, n, sizeof *names, by_name);
    if (rc == 0 && !n && needed)
        rc = hf_fail(err, HF_E_NOT_FOUND, "%s has no files (*.yaml)", path);
    for (size_t i = 0; i < n; i++) {
        char full[4096];
        snprintf(full, sizeof full, "%s/%s", path, names[i]);
        if (rc == 0)
            rc = whole_file(full, fn, ctx, err);
        free(names[i]);
    }
    return rc;
}

static int add_excepts(void *ctx, const char *name, struct hf_span text, struct hf_err *err)
{
    return hf_excepts_add(ctx, name, text, err);
}

int hf_cli_excepts(const struct hf_strs *paths, struct hf_excepts **ret, struct hf_err *err)
{
    hf_cleanup(hf_excepts_freep) struct hf_excepts *x = NULL;
    struct stat st;
    int rc = hf_excepts_new(&x, err);
    for (size_t i = 0; i < paths->n && rc == 0; i++)
        rc = hf_cli_each_file(paths->v[i], add_excepts, x, err);
    if (rc == 0 && !paths->n && stat(HF_EXCEPTIONS_DIR, &st) == 0)
        rc = hf_cli_each_file(HF_EXCEPTIONS_DIR, add_excepts, x, err);
    if (rc == 0)
        *ret = hf_take(x);
    return rc;
}

size_t hf_cli_rule_events(const struct hf_rule *r, bool told, const char *out[HF_CLASSES])
{
    size_t n = 0;
    for (unsigned c = 0; c < HF_CLASS_NONE; c++) {
        const char *name = hf_class_name((enum hf_class)c);
        bool known = !(r->classes & HF_CLASS_BIT(c)) || !strcmp(name, "none") || hf_class_is_told((enum hf_class)c) != told;
        for (size_t i = 0; i < n && !known; i++)
            known = !strcmp(out[i], name);
        if (!known)
            out[n++] = name;
    }
    return n;
}

struct hf_span hf_users_name(void *ctx, uint32_t id, bool group)
{
    const struct hf_users *u = ctx;
    struct hf_span rest = group ? u->group : u->passwd, line, name, skipped, number;
    uint64_t n;
    while (hf_span_line(&rest, &line))
        if (hf_span_cut(&line, ':', &name) && hf_span_cut(&line, ':', &skipped) && hf_span_cut(&line, ':', &number) && hf_parse_u64(number, 10, 0, UINT32_MAX, &n) == 0 && n == id)
            return name;
    return hf_span(NULL, 0);
}

int hf_rules_run_init(struct hf_rules_run *r, struct hf_rules *rules, uint64_t offset_ns, uint64_t seed, hf_engine_alert alert, void *ctx, struct hf_err *err)
{
    struct hf_engine_opts o = {.alert = alert, .ctx = ctx, .seed = seed, .user_name = hf_users_name, .user_ctx = &r->users};
    *r = (struct hf_rules_run){.offset_ns = offset_ns};
    int rc = hf_engine_new(&r->engine, rules, &o, NULL, err);
    if (rc < 0)
        hf_rules_free(rules);
    return rc < 0 ? rc : hf_track_new(&r->track, NULL, err);
}

void hf_rules_run_done(struct hf_rules_run *r)
{
    hf_engine_free(r->engine);
    hf_track_free(r->track);
    hf_recording_close(r->recording);
    *r = (struct hf_rules_run){.track = NULL};
}

static void record(struct hf_rules_run *r, struct hf_span bytes)
{
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_event ev, cred;
    if (hf_event_decode(bytes, &ev, &ignored) < 0) {
        r->bad++;
        return;
    }
    ev.seq = ++r->events;
    ev.time_ns = ev.h->time_ns + r->offset_ns;
    int rc = hf_track_event(r->track, &ev, &cred);
    if (ev.type == HF_EV_LOSS)
        r->lost += hf_event_loss_is_share(&ev) ? 0 : ev.u.loss.count;
    r->bad += rc < 0; /* no memory: not joined as it should be */
    if (rc != 0)
        hf_engine_event(r->engine, &ev);
    if (rc == 2)
        hf_engine_event(r->engine, &cred);
}

void hf_rules_run_frame(struct hf_rules_run *r, uint64_t boot_ns, struct hf_span records)
{
    struct hf_err ignored = HF_ERR_INIT;
    size_t len;
    r->first_ns = r->first_ns ? r->first_ns : boot_ns;
    r->last_ns = HF_MAX(r->last_ns, boot_ns);
    for (; records.n && hf_event_frame(records, &len, &ignored) > 0; records = hf_span_from(records, len))
        record(r, hf_span_sub(records, 0, len));
    r->bad += records.n > 0;
    hf_engine_tick(r->engine, boot_ns + r->offset_ns, false);
}

static int whole(struct hf_rules_run *run, struct hf_recording *r, struct hf_err *err)
{
    struct hf_recording_frame f;
    struct hf_err inner = HF_ERR_INIT;
    int rc;
    while ((rc = hf_recording_next(r, &f, &inner)) > 0)
        hf_rules_run_frame(run, f.boot_ns, f.records);
    hf_engine_tick(run->engine, 0, true);
    if (rc < 0)
        return hf_fail(err, HF_E_INCOMPLETE, "%s; %llu events were read before", inner.msg, (unsigned long long)run->events);
    if (!hf_span_eqz(hf_recording_reason(r), "stopped"))
        return hf_fail(err, HF_E_INCOMPLETE, "the recording ended before the watching did (%.*s)", HF_SPAN_ARG(hf_recording_reason(r)));
    if (run->bad)
        return hf_fail(err, HF_E_INCOMPLETE, "%llu records could not be read or kept", (unsigned long long)run->bad);
    if (run->lost)
        return hf_fail(err, HF_E_INCOMPLETE, "%llu events were lost when it was recorded", (unsigned long long)run->lost);
    return 0;
}

int hf_rules_run_recording(struct hf_rules_run *ret, const char *path, struct hf_rules *rules, struct hf_excepts *excepts, hf_engine_alert alert, void *ctx,
        struct hf_err *err)
{
    hf_cleanup(hf_recording_closep) struct hf_recording *r = NULL;
    hf_autoclose int opened = -1;
    int fd = STDIN_FILENO, rc = 0;
    if (strcmp(path, "-") != 0 && (fd = opened = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        rc = hf_fail(err, -errno, "%s", strerror(errno));
    if (rc == 0)
        rc = hf_recording_open(&r, hf_recording_read_fd, &fd, err);
    if (rc < 0) {
        hf_rules_free(rules);
        return hf_wrap(err, rc, "%s", path);
    }
    const struct hf_recording_facts *f = hf_recording_facts(r);
    rc = hf_rules_run_init(ret, rules, f->offset_ns, f->seed, alert, ctx, err);
    if (rc == 0) {
        hf_engine_excepts(ret->engine, excepts);
        ret->users = (struct hf_users){f->passwd, f->group};
        ret->recording = hf_take(r); /* what the names borrow from */
        rc = whole(ret, ret->recording, err);
    }
    return rc < 0 ? hf_wrap(err, rc, "%s", path) : 0;
}
