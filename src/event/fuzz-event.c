/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of records: every text of a decoded one lies inside its record; what is shown of it is one line of well-formed JSON; and
 * a tracker with small limits keeps to them, has no cycle among ancestors, and refers to nothing that it has dropped. */
#include <stdlib.h>

#include "base/json.h"
#include "event/json.h"
#include "event/track.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROCS 16u
#define CONTAINERS 4u

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void inside(struct hf_span s, struct hf_span record)
{
    must(s.n == 0 || (s.p >= record.p && s.p + s.n <= record.p + record.n));
}

static void check_spans(const struct hf_event *e, struct hf_span record)
{
    const struct hf_span all[] = {e->path, e->path2, e->text, e->cwd, e->args, e->env, e->app.path};
    for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
        inside(all[i], record);
    must(e->app.n_addrs <= HF_ARRAY_LEN(e->app.addrs));
    must(e->app.name.n <= record.n);
}

static bool each_proc(void *ctx, const struct hf_proc *p)
{
    unsigned *n = ctx, depth = 0;
    (*n)++;
    for (const struct hf_proc *up = p; up; up = up->parent)
        must(++depth <= PROCS + 1);
    if (p->container)
        must(p->container->index > 0);
    if (p->session_root)
        must(p->session_root->session != HF_SESSION_NONE || p->session_root->pid > 0);
    size_t sum = 0; /* reads every byte that it says it has */
    const struct hf_span all[] = {p->exe, p->comm, p->args, p->cwd, p->env, p->filename, p->interp};
    for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
        for (size_t j = 0; j < all[i].n; j++)
            sum += (unsigned char)all[i].p[j];
    must(sum < SIZE_MAX);
    return true;
}

static bool each_edge(void *ctx, const struct hf_edge *e)
{
    (void)ctx;
    must(e->first_ns <= UINT64_MAX && e->from_exe.n + e->to_exe.n + e->peer_name.n <= 192);
    return true;
}

static int any(void *ctx, const struct hf_json_event *ev)
{
    (void)ctx;
    (void)ev;
    return 0;
}

static void check_writer(const struct hf_writer *w)
{
    size_t sum = 0; /* reads every byte that it says it has */
    for (size_t j = 0; w && j < w->exe.n + w->args.n + w->manager.n; j++)
        sum += (unsigned char)(j < w->exe.n ? w->exe.p[j] : j < w->exe.n + w->args.n ? w->args.p[j - w->exe.n] : w->manager.p[j - w->exe.n - w->args.n]);
    must(sum < SIZE_MAX && (!w || w->exe.n + w->args.n + w->manager.n <= 320));
}

static void check_line(const struct hf_event *e)
{
    hf_autobuf line = HF_BUF_INIT(4u << 20);
    hf_event_json(e, &line);
    must(hf_buf_ok(&line) && line.n && line.p[line.n - 1] == '\n' && !memchr(line.p, '\n', line.n - 1));
    hf_cleanup(hf_json_stream_freep) struct hf_json_stream *s = hf_json_stream_new(any, NULL);
    must(s && hf_json_stream_feed(s, hf_buf_span(&line), NULL) == 0 && hf_json_stream_end(s, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span stream = hf_span((const char *)data, size);
    hf_cleanup(hf_track_freep) struct hf_track *t = NULL;
    const struct hf_track_limits small = {.max_procs = PROCS, .max_containers = CONTAINERS, .max_sockets = 16, .max_names = 16, .max_writers = 16, .max_text_bytes = 4096, .max_args_bytes = 256};
    must(hf_track_new(&t, &small, NULL) == 0);
    size_t len;
    while (hf_event_frame(stream, &len, NULL) == 1) {
        struct hf_span record = hf_span_sub(stream, 0, len);
        struct hf_event e, cred = {.type = 0};
        struct hf_err err = HF_ERR_INIT;
        stream = hf_span_from(stream, len);
        if (hf_event_decode(record, &e, &err) < 0) {
            must(err.msg[0] != 0);
            continue;
        }
        check_spans(&e, record);
        int rc = hf_track_event(t, &e, &cred);
        if (rc == 2)
            check_line(&cred);
        check_line(&e);
        check_writer(e.writer);
        unsigned n = 0;
        struct hf_track_stats s;
        hf_track_each_proc(t, each_proc, &n);
        hf_track_each_edge(t, each_edge, NULL);
        hf_track_stats(t, &s);
        must(s.procs <= PROCS && s.containers <= CONTAINERS && n <= s.procs && s.text_bytes <= small.max_text_bytes + 7 * small.max_args_bytes);
    }
    return 0;
}
