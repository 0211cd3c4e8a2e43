// SPDX-License-Identifier: Apache-2.0
#include "detect/except.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/hash.h"
#include "base/opts.h"
#include "base/yaml-file.h"
#include "event/json.h"

#define FILE_MAX (1u << 20)
#define EXCEPTS_MAX 16384u
#define MEMORY_MAX (16u << 20)
#define NODES_MAX 400000

const char *const hf_except_keys[HF_EXCEPT_KEYS] = {"image", "container", "exe", "parent", "args_sha256", "path", "peer", "name", "target"};

struct hf_excepts {
    struct hf_arena arena;
    struct hf_except *v;
    size_t n, cap;
    struct hf_map by_rule; /* the latest of a rule: place + 1 */
};

struct loader {
    struct hf_excepts *x;
    struct hf_yaml y;
    struct hf_span file;
};

int hf_except_date(struct hf_span s, int64_t *ret)
{
    uint64_t y, m, d;
    if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || hf_parse_u64(hf_span_sub(s, 0, 4), 10, 1970, 9999, &y) < 0 ||
            hf_parse_u64(hf_span_sub(s, 5, 2), 10, 1, 12, &m) < 0 || hf_parse_u64(hf_span_sub(s, 8, 2), 10, 1, 31, &d) < 0)
        return HF_E_FORMAT;
    struct tm tm = {.tm_year = (int)y - 1900, .tm_mon = (int)m - 1, .tm_mday = (int)d};
    time_t t = timegm(&tm);
    if (tm.tm_mday != (int)d) /* there is no such day */
        return HF_E_FORMAT;
    *ret = (int64_t)t + 86400;
    return 0;
}

static int keep(struct loader *l, const yaml_node_t *n, const char *name, struct hf_span *ret)
{
    struct hf_span s = hf_yaml_scalar(n);
    if (!n || n->type != YAML_SCALAR_NODE || !s.n)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a text", name);
    return hf_arena_dup(&l->x->arena, s, ret) < 0 ? hf_fail(l->y.err, HF_E_LIMIT, "the exceptions take more memory than they may") : 0;
}

static int one_key(struct loader *l, const yaml_node_t *key, const yaml_node_t *value, struct hf_except *e)
{
    const struct {
        const char *name;
        struct hf_span *to;
    } texts[] = {{"exception", &e->id}, {"rule", &e->rule}, {"args", &e->args}, {"owner", &e->owner}, {"why", &e->why}, {"made", &e->made}, {"expires", &e->expires}};
    const char *known[HF_ARRAY_LEN(texts) + HF_EXCEPT_KEYS + 2] = {NULL};
    struct hf_span name = hf_yaml_scalar(key);
    size_t n = 0;
    uint64_t port = 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
        if (hf_span_eqz(name, texts[i].name))
            return keep(l, value, texts[i].name, texts[i].to);
        known[n++] = texts[i].name;
    }
    for (size_t i = 0; i < HF_EXCEPT_KEYS; i++) {
        if (hf_span_eqz(name, hf_except_keys[i]))
            return keep(l, value, hf_except_keys[i], &e->keys[i]);
        known[n++] = hf_except_keys[i];
    }
    known[n++] = "port";
    if (hf_span_eqz(name, "port")) {
        if (hf_parse_u64(hf_yaml_scalar(value), 10, 1, 65535, &port) < 0)
            return hf_yaml_wrong(&l->y, value, "\"port\" must be a number from 1 to 65535");
        e->port = (uint32_t)port;
        return 0;
    }
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)HF_MIN(name.n, sizeof text - 1), name.p ? name.p : "");
    const char *near = hf_nearest(text, known);
    return hf_yaml_wrong(&l->y, key, "unknown key \"%s\"%s%s", text, near ? "; did you mean " : "", near ? near : "");
}

static int one(void *ctx, const yaml_node_t *n)
{
    struct loader *l = ctx;
    struct hf_excepts *x = l->x;
    if (!n || n->type != YAML_MAPPING_NODE)
        return hf_yaml_wrong(&l->y, n, "an exception is a mapping");
    struct hf_except *e = hf_grow((void **)&x->v, &x->n, &x->cap, sizeof *x->v, EXCEPTS_MAX);
    if (!e)
        return hf_fail(l->y.err, HF_E_LIMIT, "more than %u exceptions", EXCEPTS_MAX);
    e->expires_s = INT64_MAX;
    e->file = l->file;
    e->line = (unsigned)(n->start_mark.line + 1);
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        int rc = one_key(l, hf_yaml_at(&l->y, p->key), hf_yaml_at(&l->y, p->value), e);
        if (rc < 0)
            return rc;
    }
    if (!e->rule.n)
        return hf_yaml_wrong(&l->y, n, "an exception has no \"rule\"");
    bool any = e->port != 0;
    for (size_t i = 0; i < HF_EXCEPT_KEYS; i++)
        any |= e->keys[i].n > 0;
    if (!any)
        return hf_yaml_wrong(&l->y, n, "an exception must name more than its rule (to switch a rule off, say \"enabled: false\" in its file)");
    if (e->expires.n && !hf_span_eqz(e->expires, "never") && hf_except_date(e->expires, &e->expires_s) < 0)
        return hf_yaml_wrong(&l->y, n, "\"expires\" must be a date such as 2026-12-31, or never");
    uint64_t *last = hf_map_at(&x->by_rule, e->rule, NULL);
    if (!last)
        return hf_fail(l->y.err, -ENOMEM, "no memory");
    e->next = (size_t)*last;
    *last = x->n;
    return 0;
}

int hf_excepts_add(struct hf_excepts *x, const char *name, struct hf_span text, struct hf_err *err)
{
    static const struct hf_yaml_limits limits = {FILE_MAX, NODES_MAX, "a list of exceptions is expected"};
    struct loader l = {.x = x};
    if (hf_arena_dup(&x->arena, hf_span_z(name), &l.file) < 0)
        return hf_fail(err, -ENOMEM, "no memory");
    int rc = hf_yaml_load(&l.y, name, text, &limits, err);
    if (rc < 0)
        return rc;
    rc = hf_yaml_each(&l.y, one, &l);
    hf_yaml_done(&l.y);
    return rc;
}

int hf_excepts_new(struct hf_excepts **ret, struct hf_err *err)
{
    struct hf_excepts *x = calloc(1, sizeof *x);
    if (!x)
        return hf_fail(err, -ENOMEM, "no memory");
    hf_arena_init(&x->arena, MEMORY_MAX);
    *ret = x;
    return 0;
}

void hf_excepts_free(struct hf_excepts *x)
{
    if (!x)
        return;
    hf_map_done(&x->by_rule);
    hf_arena_done(&x->arena);
    free(x->v);
    free(x);
}

size_t hf_excepts_count(const struct hf_excepts *x)
{
    return x ? x->n : 0;
}

const struct hf_except *hf_excepts_at(const struct hf_excepts *x, size_t i)
{
    return &x->v[i];
}

bool hf_except_expired(const struct hf_except *e, int64_t now_s)
{
    return now_s >= e->expires_s;
}

void hf_except_hash(struct hf_span shown, char ret[65])
{
    struct hf_digest d;
    hf_digest_of(HF_SHA256, shown, &d);
    hf_hex(d.b, 32, ret);
}

/* ---- matching ---- */

/* What the event has for a key, by way of b where it has to be made. */
static struct hf_span value_of(const struct hf_event *ev, unsigned key, struct hf_buf *b)
{
    const struct hf_span none = {NULL, 0};
    bool net = ev->type == HF_EV_NET || ev->type == HF_EV_PAYLOAD;
    hf_buf_clear(b);
    switch (key) {
    case HF_EXCEPT_IMAGE:
        return ev->container ? ev->container->image : none;
    case HF_EXCEPT_CONTAINER:
        return ev->container ? ev->container->name : HF_S("host");
    case HF_EXCEPT_EXE:
        return ev->proc ? ev->proc->exe : none;
    case HF_EXCEPT_PARENT:
        return ev->proc && ev->proc->parent ? ev->proc->parent->exe : none;
    case HF_EXCEPT_ARGS: {
        char hash[65];
        if (!ev->proc)
            return none;
        hf_event_args(ev->proc->args, b);
        hf_except_hash(hf_buf_span(b), hash);
        hf_buf_clear(b);
        hf_buf_addz(b, hash);
        return hf_buf_span(b);
    }
    case HF_EXCEPT_PATH:
        return ev->type == HF_EV_FILE || ev->type == HF_EV_MOUNT || ev->type == HF_EV_MODULE || ev->type == HF_EV_MEM ? ev->path : none;
    case HF_EXCEPT_PEER:
        if (net)
            hf_event_addr(ev->type == HF_EV_NET ? ev->u.net.peer : ev->u.payload.peer, b);
        return hf_buf_span(b);
    case HF_EXCEPT_NAME:
        return ev->type == HF_EV_PAYLOAD && ev->app.name.n ? ev->app.name : ev->peer_name;
    case HF_EXCEPT_TARGET:
        return ev->target ? ev->target->exe : none;
    default:
        return none;
    }
}

/* The port that tells a service: of the peer where the container called, else its own. */
static uint32_t port_of(const struct hf_event *ev)
{
    if (ev->type == HF_EV_PAYLOAD)
        return ev->u.payload.peer_port;
    if (ev->type != HF_EV_NET)
        return 0;
    bool own = ev->u.net.op == HF_NET_ACCEPT || ev->u.net.op == HF_NET_LISTEN || ev->u.net.op == HF_NET_BIND;
    return own ? ev->u.net.local_port : ev->u.net.peer_port;
}

static bool falls_under(const struct hf_except *e, const struct hf_event *ev, struct hf_buf *b)
{
    if (e->port && e->port != port_of(ev))
        return false;
    for (unsigned i = 0; i < HF_EXCEPT_KEYS; i++)
        if (e->keys[i].n && !hf_span_eq(e->keys[i], value_of(ev, i, b)))
            return false;
    return true;
}

const struct hf_except *hf_excepts_match(struct hf_excepts *x, struct hf_span rule, const struct hf_event *ev)
{
    uint64_t place = 0;
    hf_autobuf b = HF_BUF_INIT(65536);
    if (!x || !hf_map_get(&x->by_rule, rule, &place))
        return NULL;
    for (size_t i = (size_t)place; i; i = x->v[i - 1].next) {
        struct hf_except *e = &x->v[i - 1];
        if (hf_except_expired(e, (int64_t)(ev->time_ns / 1000000000u)) || !falls_under(e, ev, &b))
            continue;
        e->used++;
        return e;
    }
    return NULL;
}
