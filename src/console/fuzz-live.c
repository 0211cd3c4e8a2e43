// SPDX-License-Identifier: Apache-2.0
/* Lines of any kind into the live state: it stays within its bounds, and what comes out as a stream is events of one line of JSON each. */
#include <stdlib.h>

#include "console/live.h"

static bool box(void *ctx, const struct hf_live_box *b)
{
    struct hf_span rest = b->facts, name, value;
    (void)ctx;
    if (!b->id.n || b->id.n > 128 || b->facts.n > HF_LIVE_FACTS)
        abort();
    while (hf_live_pair(&rest, &name, &value))
        if (!hf_span_is_utf8(value))
            abort();
    return true;
}

static bool proc(void *ctx, const struct hf_live_proc *p)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err err = HF_ERR_INIT;
    (void)ctx;
    if (!hf_span_is_utf8(p->name) || (p->args.n && hf_json_parse(p->args, &doc, &err) < 0))
        abort();
    return true;
}

static bool text(void *ctx, struct hf_span json)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err err = HF_ERR_INIT;
    (void)ctx;
    if (hf_json_parse(json, &doc, &err) < 0)
        abort();
    return true;
}

static bool edge(void *ctx, const struct hf_live_edge *e)
{
    (void)ctx;
    if ((e->to.kind == HF_LIVE_CONTAINER) != (e->to.id.n > 0) || e->first > e->last)
        abort();
    return true;
}

static void health(void *ctx, const struct hf_live_sensor *s)
{
    (void)ctx;
    if (s->n_losses > HF_LIVE_LOSSES || s->n_minutes > HF_LIVE_MINUTES || (s->cost.n && !text(NULL, s->cost)))
        abort();
    for (size_t i = 0; i < s->n_given_up; i++)
        (void)text(NULL, hf_span_z(s->given_up[i].text));
}

static void events(struct hf_live *l, uint64_t from)
{
    hf_autobuf out = HF_BUF_INIT(64 << 20);
    struct hf_live_filter all = {0};
    while (hf_live_read(l, &from, &all, 1000, &out))
        ;
    struct hf_span rest = hf_buf_span(&out), line;
    for (unsigned i = 0; hf_span_line(&rest, &line); i++) {
        static const char *const heads[] = {"id: ", "event: ", "data: {", ""};
        if (!hf_span_starts(line, hf_span_z(heads[i % 4])) || (i % 4 == 3 && line.n))
            abort();
    }
    if (from != hf_live_seq(l))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_live_freep) struct hf_live *l = hf_live_new();
    struct hf_span rest = hf_span((const char *)data, size), line;
    struct hf_live_counts n;
    if (!l)
        return 0;
    uint64_t start = hf_live_seq(l);
    while (hf_span_line(&rest, &line))
        if (hf_live_line(l, line, &err) < 0 && !err.msg[0])
            abort();
    hf_live_counts(l, &n);
    if (n.boxes > HF_LIVE_BOXES || n.running > n.boxes || n.procs > HF_LIVE_PROCS || n.edges > HF_LIVE_EDGES || n.bytes > HF_LIVE_BYTES)
        abort();
    hf_live_boxes(l, box, NULL);
    (void)hf_live_procs(l, HF_S("c1"), proc, NULL);
    hf_live_verdicts(l, hf_span(NULL, 0), hf_span(NULL, 0), text, NULL);
    hf_live_edges(l, hf_span(NULL, 0), 0, edge, NULL);
    hf_live_sensor(l, health, NULL);
    events(l, start);
    return 0;
}
