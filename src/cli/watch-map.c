// SPDX-License-Identifier: Apache-2.0
#include "cli/watch-map.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/watch-text.h"
#include "event/json.h"

#define EDGES_MAX (1u << 20)

struct map {
    struct hf_edge *v;
    size_t n, cap;
    bool (*wanted)(void *ctx, const struct hf_container *c);
    void *ctx;
    bool failed;
};

/* Whoever began it is not on this host. */
static bool from_elsewhere(const struct hf_edge *e)
{
    return !e->peer_local && !e->from && !e->from_exe.n;
}

static bool to_elsewhere(const struct hf_edge *e)
{
    return !e->peer_local && !e->to && !from_elsewhere(e);
}

static bool collect(void *ctx, const struct hf_edge *e)
{
    struct map *m = ctx;
    bool from = !from_elsewhere(e) && m->wanted(m->ctx, e->from), to = !to_elsewhere(e) && m->wanted(m->ctx, e->to);
    if (!e->count || (!from && !to)) /* count 0: only the end was seen, of what began before or is told of by its other end */
        return true;
    struct hf_edge *slot = hf_grow((void **)&m->v, &m->n, &m->cap, sizeof *slot, EDGES_MAX);
    m->failed = !slot;
    if (slot)
        *slot = *e;
    return slot != NULL;
}

static struct hf_span name_of(const struct hf_container *c)
{
    return c ? c->name.n ? c->name : hf_span_sub(c->id, 0, 12) : hf_span(NULL, 0);
}

static int by_ends(const void *x, const void *y)
{
    const struct hf_edge *a = x, *b = y;
    int c = hf_span_cmp(name_of(a->from), name_of(b->from));
    c = c ? c : hf_span_cmp(a->from_exe, b->from_exe);
    c = c ? c : hf_span_cmp(name_of(a->to), name_of(b->to));
    c = c ? c : memcmp(a->peer, b->peer, sizeof a->peer);
    c = c ? c : (int)a->port - (int)b->port;
    c = c ? c : (int)a->protocol - (int)b->protocol;
    return c ? c : a->first_ns < b->first_ns ? -1 : a->first_ns > b->first_ns;
}

static void protocol(uint16_t number, struct hf_buf *out)
{
    if (number == IPPROTO_TCP || number == IPPROTO_UDP)
        hf_buf_addz(out, number == IPPROTO_TCP ? "tcp" : "udp");
    else
        hf_buf_addf(out, "%u", number);
}

/* "web /usr/sbin/nginx", "host /usr/bin/curl", "example.org 93.184.216.34" */
static void end_text(const struct hf_edge *e, bool from, struct hf_buf *out)
{
    const struct hf_container *c = from ? e->from : e->to;
    struct hf_span exe = from ? e->from_exe : e->to_exe;
    if (from ? from_elsewhere(e) : to_elsewhere(e)) {
        hf_buf_adds(out, e->peer_name);
        hf_buf_addz(out, e->peer_name.n ? " " : "");
        hf_event_addr(e->peer, out);
        return;
    }
    hf_buf_adds(out, c ? name_of(c) : HF_S("host"));
    hf_buf_addz(out, exe.n ? " " : "");
    hf_buf_adds(out, exe);
}

static void as_text(const struct map *m, struct hf_buf *out)
{
    hf_autobuf cell = HF_BUF_INIT(65536);
    hf_buf_addf(out, "%-42s%-42s%6s  %-6s%8s%8s%12s%12s\n", "FROM", "TO", "PORT", "PROTO", "COUNT", "FAILED", "BYTES OUT", "BYTES IN");
    for (size_t i = 0; i < m->n; i++) {
        const struct hf_edge *e = &m->v[i];
        for (int to = 0; to < 2; to++) {
            hf_buf_clear(&cell);
            end_text(e, !to, &cell);
            hf_watch_column(out, hf_buf_span(&cell), 40);
        }
        hf_buf_clear(&cell);
        protocol(e->protocol, &cell);
        hf_buf_addf(out, "%6u  %-6s%8llu%8llu%12llu%12llu\n", e->port, hf_buf_z(&cell), (unsigned long long)e->count, (unsigned long long)e->failed, (unsigned long long)e->bytes_out,
                (unsigned long long)e->bytes_in);
    }
}

static void end_json(struct hf_jw *w, const char *key, const struct hf_edge *e, bool from)
{
    const struct hf_container *c = from ? e->from : e->to;
    bool elsewhere = from ? from_elsewhere(e) : to_elsewhere(e);
    hf_autobuf addr = HF_BUF_INIT(64);
    hf_jw_key(w, key);
    hf_jw_object(w);
    hf_jw_kstrz(w, "where", elsewhere ? "elsewhere" : c ? "container" : "host");
    if (elsewhere) {
        hf_event_addr(e->peer, &addr);
        hf_jw_kstr(w, "address", hf_buf_span(&addr));
        hf_jw_kstr_opt(w, "name", e->peer_name);
    } else {
        if (c) {
            hf_jw_kstr(w, "id", c->id);
            hf_jw_kstr(w, "name", c->name);
            hf_jw_kstr_opt(w, "image", c->image);
        }
        hf_jw_kstr_opt(w, "exe", from ? e->from_exe : e->to_exe);
    }
    hf_jw_object_end(w);
}

static void time_json(struct hf_jw *w, const char *key, uint64_t ns)
{
    hf_autobuf text = HF_BUF_INIT(64);
    hf_event_time(ns, &text);
    hf_jw_kstr(w, key, hf_buf_span(&text));
}

static void as_json(const struct map *m, struct hf_buf *out)
{
    struct hf_jw w;
    hf_autobuf proto = HF_BUF_INIT(16);
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.map/1");
    hf_jw_key(&w, "edges");
    hf_jw_array(&w);
    for (size_t i = 0; i < m->n; i++) {
        const struct hf_edge *e = &m->v[i];
        hf_buf_clear(&proto);
        protocol(e->protocol, &proto);
        hf_jw_object(&w);
        end_json(&w, "from", e, true);
        end_json(&w, "to", e, false);
        hf_jw_ku64(&w, "port", e->port);
        hf_jw_kstr(&w, "protocol", hf_buf_span(&proto));
        hf_jw_ku64(&w, "count", e->count);
        hf_jw_ku64(&w, "failed", e->failed);
        hf_jw_ku64(&w, "bytes_out", e->bytes_out);
        hf_jw_ku64(&w, "bytes_in", e->bytes_in);
        time_json(&w, "first", e->first_ns);
        time_json(&w, "last", e->last_ns);
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    hf_buf_addc(out, '\n');
}

int hf_watch_map(const struct hf_track *t, bool json, bool (*wanted)(void *ctx, const struct hf_container *c), void *ctx, struct hf_buf *out, struct hf_err *err)
{
    struct map m = {.wanted = wanted, .ctx = ctx};
    hf_track_each_edge(t, collect, &m);
    if (m.n)
        qsort(m.v, m.n, sizeof *m.v, by_ends);
    if (!m.failed)
        (json ? as_json : as_text)(&m, out);
    free(m.v);
    return m.failed || !hf_buf_ok(out) ? hf_fail(err, -ENOMEM, "no memory for the map of connections") : 0;
}
