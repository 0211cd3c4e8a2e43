// SPDX-License-Identifier: Apache-2.0
/* rules-bench - how many events of a recording one core takes: decoded and joined, then also remembered for alerts and held against rules.
 * Usage: rules-bench RECORDING RUNS [NAME PATH[,PATH]...]...   A line for "no rules" and for each set: events, events a second (median of the
 * runs, on this thread's processor time), ns an event, alerts.  With PROFILE=NAME only that set is run, for profilers.
 * Used by tests/bench/rules. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/recall.h"
#include "detect/engine.h"
#include "event/recording.h"

#define RUNS_MAX 99u
#define FILES_MAX 256u

struct records {
    char *p;
    size_t n, cap;
    struct frame {
        size_t from, n;
        uint64_t boot_ns;
    } *frames;
    size_t n_frames, cap_frames;
    uint64_t offset_ns;
};

static uint64_t alerts;

static void on_alert(void *ctx, const struct hf_alert *a)
{
    (void)ctx;
    alerts += a->event != NULL;
}

static _Noreturn void fail(const char *what, const struct hf_err *err)
{
    fprintf(stderr, "%s: %s\n", what, err ? err->msg : "no memory");
    exit(3);
}

static void load(struct records *r, const char *path)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_recording *rec = NULL;
    struct hf_recording_frame f;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || hf_recording_open(&rec, hf_recording_read_fd, &fd, &err) < 0)
        fail(path, &err);
    r->offset_ns = hf_recording_facts(rec)->offset_ns;
    while (hf_recording_next(rec, &f, &err) > 0) {
        while (r->cap - r->n < f.records.n) {
            r->cap = r->cap ? r->cap * 2 : 1u << 26;
            r->p = realloc(r->p, r->cap);
        }
        if (r->n_frames == r->cap_frames) {
            r->cap_frames = r->cap_frames ? r->cap_frames * 2 : 4096;
            r->frames = realloc(r->frames, r->cap_frames * sizeof *r->frames);
        }
        if (!r->p || !r->frames)
            fail(path, NULL);
        memcpy(r->p + r->n, f.records.p, f.records.n);
        r->frames[r->n_frames++] = (struct frame){r->n, f.records.n, f.boot_ns};
        r->n += f.records.n;
    }
    hf_recording_close(rec);
    close(fd);
}

static void add_path(struct hf_rules *rules, const char *path)
{
    struct hf_err err = HF_ERR_INIT;
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < HF_MAX(n, 1); i++) {
        char full[4096];
        const char *name = n > 0 ? names[i]->d_name : ".yaml";
        size_t len = strlen(name);
        snprintf(full, sizeof full, n > 0 ? "%s/%s" : "%s", path, name);
        hf_autobuf text = HF_BUF_INIT(8u << 20);
        if (len >= 5 && !strcmp(name + len - 5, ".yaml") && (hf_read_file(full, &text, &err) < 0 || hf_rules_add(rules, full, hf_buf_span(&text), &err) < 0))
            fail(full, &err);
    }
}

static struct hf_engine *engine_of(const char *paths)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_rules *rules = NULL;
    struct hf_engine *e = NULL;
    const struct hf_engine_opts o = {.alert = on_alert, .seed = 1};
    if (hf_rules_new(&rules, NULL, &err) < 0)
        fail("rules", &err);
    char copy[4096];
    snprintf(copy, sizeof copy, "%s", paths);
    for (char *save = NULL, *path = strtok_r(copy, ",", &save); path; path = strtok_r(NULL, ",", &save))
        add_path(rules, path);
    if (hf_engine_new(&e, rules, &o, NULL, &err) < 0)
        fail(paths, &err);
    return e;
}

static double once(const struct records *r, const char *paths, uint64_t *ret_events)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_track *track = NULL;
    struct hf_recall *recall = NULL;
    struct hf_engine *e = paths ? engine_of(paths) : NULL;
    struct timespec a, b;
    uint64_t n = 0;
    if (hf_track_new(&track, NULL, &err) < 0 || hf_recall_new(&recall, &err) < 0)
        fail("tracker", &err);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    for (size_t i = 0; i < r->n_frames; i++) {
        struct hf_span rest = hf_span(r->p + r->frames[i].from, r->frames[i].n);
        size_t len;
        for (; rest.n && hf_event_frame(rest, &len, &err) > 0; rest = hf_span_from(rest, len)) {
            struct hf_event ev, cred;
            if (hf_event_decode(hf_span_sub(rest, 0, len), &ev, &err) < 0)
                continue;
            ev.seq = ++n;
            ev.time_ns = ev.h->time_ns + r->offset_ns;
            int rc = hf_track_event(track, &ev, &cred);
            if (rc == 0 || !e)
                continue;
            hf_engine_event(e, &ev);
            hf_recall_add(recall, &ev);
            if (rc == 2)
                hf_engine_event(e, &cred);
        }
        if (e)
            hf_engine_tick(e, r->frames[i].boot_ns + r->offset_ns, false);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    hf_engine_free(e);
    hf_recall_free(recall);
    hf_track_free(track);
    *ret_events = n;
    return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void set(const struct records *r, unsigned runs, const char *name, const char *paths)
{
    double s[RUNS_MAX];
    uint64_t n = 0;
    const char *only = getenv("PROFILE");
    if (only && strcmp(only, name) != 0)
        return;
    for (unsigned i = 0; i < runs; i++) {
        alerts = 0;
        s[i] = once(r, paths, &n);
    }
    qsort(s, runs, sizeof *s, by_size);
    double m = s[runs / 2];
    printf("%s\t%llu\t%.0f\t%.0f\t%llu\n", name, (unsigned long long)n, (double)n / m, m * 1e9 / (double)n, (unsigned long long)alerts);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct records r = {.n = 0};
    uint64_t runs = 0;
    if (argc < 3 || argc % 2 == 0 || hf_parse_u64(hf_span_z(argv[2]), 10, 1, RUNS_MAX, &runs) < 0) {
        fprintf(stderr, "usage: rules-bench RECORDING RUNS [NAME PATH[,PATH]...]...\n");
        return 2;
    }
    load(&r, argv[1]);
    set(&r, (unsigned)runs, "no rules", NULL);
    for (int i = 3; i + 1 < argc; i += 2)
        set(&r, (unsigned)runs, argv[i], argv[i + 1]);
    free(r.p);
    free(r.frames);
    return 0;
}
