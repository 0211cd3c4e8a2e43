// SPDX-License-Identifier: Apache-2.0
/* Who talks to whom, from connect, accept, send and close. */
#include <stdlib.h>

#include "console/live-internal.h"

enum { ADDRESS = 64, LABEL = 256 };

static void end_done(struct hf_edge_end *e)
{
    hf_text_done(&e->id);
    hf_text_done(&e->exe);
    hf_text_done(&e->address);
    hf_text_done(&e->name);
}

static void edge_free(struct hf_live *l, struct hf_edge_now *e)
{
    hf_lt_del(&l->edges, &e->node);
    hf_text_done(&e->key);
    end_done(&e->from);
    end_done(&e->to);
    free(e);
}

void hf_live_edges_done(struct hf_live *l)
{
    while (l->edges.oldest)
        edge_free(l, (struct hf_edge_now *)l->edges.oldest);
    free(l->edges.bucket);
}

/* An end as a line tells it. */
struct end {
    enum hf_live_end_kind kind;
    struct hf_span id, exe, address, name;
};

static void key_end(struct hf_buf *b, const struct end *e)
{
    hf_buf_addc(b, "cha"[e->kind]);
    hf_buf_adds(b, e->kind == HF_LIVE_CONTAINER ? e->id : e->kind == HF_LIVE_ADDRESS ? e->address : HF_S(""));
    hf_buf_addc(b, '\n');
}

static void known(struct hf_edge_end *to, const struct end *e)
{
    to->kind = e->kind;
    if (e->id.n)
        (void)hf_text_set(&to->id, e->id, 128);
    if (e->exe.n)
        (void)hf_text_set(&to->exe, e->exe, LABEL);
    if (e->address.n)
        (void)hf_text_set(&to->address, e->address, ADDRESS);
    if (e->name.n)
        (void)hf_text_set(&to->name, e->name, LABEL);
}

static struct hf_edge_now *edge_of(struct hf_live *l, const struct end *from, const struct end *to, uint16_t port, struct hf_span protocol)
{
    hf_autobuf key = HF_BUF_INIT(1024);
    key_end(&key, from);
    key_end(&key, to);
    hf_buf_addf(&key, "%u %.*s", port, (int)HF_MIN(protocol.n, 7u), protocol.p);
    uint64_t hash = hf_span_hash(hf_buf_span(&key));
    for (struct hf_lt_node *n = hf_lt_chain(&l->edges, hash); n; n = n->chain)
        if (n->hash == hash && hf_span_eq(hf_text(&((struct hf_edge_now *)n)->key), hf_buf_span(&key))) {
            hf_lt_touch(&l->edges, n);
            return (struct hf_edge_now *)n;
        }
    if (!hf_buf_ok(&key))
        return NULL;
    if (l->edges.n >= HF_LIVE_EDGES)
        edge_free(l, (struct hf_edge_now *)l->edges.oldest);
    struct hf_edge_now *e = calloc(1, sizeof *e);
    if (!e || !hf_text_set(&e->key, hf_buf_span(&key), key.n)) {
        free(e);
        return NULL;
    }
    e->port = port;
    snprintf(e->protocol, sizeof e->protocol, "%.*s", (int)HF_MIN(protocol.n, sizeof e->protocol - 1), protocol.n ? protocol.p : "");
    hf_lt_add(&l->edges, &e->node, hash);
    return e;
}

static bool is(struct hf_span s, const char *word)
{
    return hf_span_eqz(s, word);
}

void hf_live_net_line(struct hf_live *l, const struct hf_line *line)
{
    bool accept = is(line->type, "accept"), closed = is(line->type, "close");
    if (!accept && !closed && !is(line->type, "connect") && !is(line->type, "send"))
        return;
    hf_jnode n = hf_jget(line->root, closed ? "close" : accept ? "accept" : is(line->type, "send") ? "send" : "connect"), box = hf_jget(n, "peer_container"), proc = hf_jget(n, "peer_process");
    struct hf_span op = hf_jgetstr(n, "operation"), protocol = hf_jgetstr(n, "protocol"), peer_box = hf_span_sub(hf_jgetstr(box, "id"), 0, 128);
    uint64_t local_port = hf_live_u64(n, "local_port"), peer_port = hf_live_u64(n, "peer_port");
    struct hf_span own = hf_span_sub(hf_jgetstr(line->container, "id"), 0, 128);
    struct end us = {own.n ? HF_LIVE_CONTAINER : HF_LIVE_HOST, own, hf_jgetstr(line->process, "exe"), {NULL, 0}, {NULL, 0}};
    struct end peer = {peer_box.n ? HF_LIVE_CONTAINER : proc ? HF_LIVE_HOST : HF_LIVE_ADDRESS, peer_box, hf_jgetstr(proc, "exe"), hf_span_sub(hf_jgetstr(n, "peer"), 0, ADDRESS),
            hf_jgetstr(n, "peer_name")};
    if (!hf_jis_object(n) || (peer.kind == HF_LIVE_ADDRESS && !peer.address.n) || local_port > 65535 || peer_port > 65535)
        return;
    if (closed) { /* which end began is not said: an edge that is known, in either direction */
        uint64_t out = hf_live_u64(n, "bytes_out"), in = hf_live_u64(n, "bytes_in");
        if (peer.kind == HF_LIVE_CONTAINER && local_port < peer_port) /* told by both ends; that of the higher port began, as a rule */
            return;
        bool theirs = peer.kind == HF_LIVE_ADDRESS && local_port < peer_port && local_port;
        struct hf_edge_now *e = theirs ? edge_of(l, &peer, &us, (uint16_t)local_port, protocol) : edge_of(l, &us, &peer, (uint16_t)peer_port, protocol);
        if (e && !e->first) { /* it began before watching did: not counted */
            edge_free(l, e);
        } else if (e) {
            e->bytes_out += theirs ? in : out;
            e->bytes_in += theirs ? out : in;
        }
        return;
    }
    struct hf_edge_now *e = accept ? edge_of(l, &peer, &us, (uint16_t)local_port, protocol) : edge_of(l, &us, &peer, (uint16_t)peer_port, protocol);
    if (!e)
        return;
    known(&e->from, accept ? &peer : &us);
    known(&e->to, accept ? &us : &peer);
    /* One between two containers is told by both: counted where it began. */
    bool failed = is(op, "failed");
    e->count += !failed && !(accept && peer.kind == HF_LIVE_CONTAINER && e->count) && !(is(op, "connect") && is(protocol, "tcp"));
    e->failed += failed;
    e->first = e->first ? HF_MIN(e->first, line->time) : line->time;
    e->last = HF_MAX(e->last, line->time);
}

static struct hf_live_end shown(struct hf_live *l, const struct hf_edge_end *e)
{
    struct hf_live_end r = {.kind = e->kind, .id = hf_text(&e->id), .exe = hf_text(&e->exe), .address = hf_text(&e->address), .name = hf_text(&e->name), .running = true};
    const struct hf_box *b = e->kind == HF_LIVE_CONTAINER ? hf_live_find(l, r.id) : NULL;
    if (e->kind == HF_LIVE_CONTAINER) {
        r.name = b && b->name.n ? hf_text(&b->name) : hf_span_sub(r.id, 0, 12);
        r.image = b ? hf_text(&b->image) : hf_span(NULL, 0);
        r.running = b && b->running;
    }
    return r;
}

void hf_live_edges(struct hf_live *l, struct hf_span container, int64_t since, hf_live_edge_cb cb, void *ctx)
{
    pthread_mutex_lock(&l->lock);
    for (struct hf_lt_node *n = l->edges.newest; n; n = n->older) {
        const struct hf_edge_now *e = (struct hf_edge_now *)n;
        if (e->last < since || (container.n && !hf_span_eq(hf_text(&e->from.id), container) && !hf_span_eq(hf_text(&e->to.id), container)))
            continue;
        struct hf_live_edge s = {shown(l, &e->from), shown(l, &e->to), e->port, hf_span_z(e->protocol), e->count, e->failed, e->bytes_out, e->bytes_in, e->first, e->last};
        if (!cb(ctx, &s))
            break;
    }
    pthread_mutex_unlock(&l->lock);
}
