// SPDX-License-Identifier: Apache-2.0
#include "incident/correlate.h"

#include <errno.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "incident/advisory.h"
#include "incident/correlate-internal.h"

/* Tables in which the oldest of a set gives way: connections and pairs of containers of the last half hour, containers seen, alerts told lately. */
enum { WAYS = 8, CONN_SETS = 2048, PAIR_SETS = 512, BOX_SETS = 128, ALERT_SETS = 512 };
struct conn {
    uint64_t key, from, to, ns;
};
struct pair {
    uint64_t from, to, first, last, count, port;
};
struct box {
    uint64_t key, ns;
    char id[72], name[128], image[200], digest[80];
};
struct told {
    uint64_t key, ns;
    char incident[32];
};

struct slot {
    struct hf_inc *inc; /* NULL: free */
    uint64_t first, last, base;
    uint64_t boxes[SLOT_BOXES], procs[SLOT_PROCS], things[SLOT_THINGS];
    size_t n_boxes, n_procs, n_things; /* procs and things: ever, the newest are kept */
    bool dirty;
    char mark[32]; /* of one from the store: alerts up to this id are in it */
};

struct hf_corr {
    char host[256];
    struct slot slots[HF_CORR_INCIDENTS_MAX];
    struct conn conns[CONN_SETS][WAYS];
    struct pair pairs[PAIR_SETS][WAYS];
    struct box boxes[BOX_SETS][WAYS];
    struct told told[ALERT_SETS][WAYS];
    struct hf_corr_stats stats;
    bool each_once;
    uint64_t last_alert;
    struct hf_inc *gone[HF_CORR_INCIDENTS_MAX]; /* merged into others, to be told */
    uint64_t gone_base[HF_CORR_INCIDENTS_MAX];
    size_t n_gone;
};

struct hf_corr *hf_corr_new(struct hf_span host)
{
    struct hf_corr *c = calloc(1, sizeof *c);
    hf_autobuf b = HF_BUF_INIT(1024);
    if (c)
        snprintf(c->host, sizeof c->host, "%s", hf_inc_safe(&b, host.n ? host : HF_S("host"), 200));
    return c;
}

void hf_corr_free(struct hf_corr *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < HF_CORR_INCIDENTS_MAX; i++)
        hf_inc_free(c->slots[i].inc);
    for (size_t i = 0; i < c->n_gone; i++)
        hf_inc_free(c->gone[i]);
    free(c);
}

/* ---- tables ---- */

#define FIND(c, table, sets, k, test)                                        \
    for (size_t w_ = 0; w_ < WAYS; w_++) {                                   \
        test *e_ = &(c)->table[(k) % (sets)][w_];                            \
        if (e_->key == (k) && e_->ns)                                        \
            return e_;                                                       \
    }

static struct conn *conn_at(struct hf_corr *c, uint64_t key, bool make)
{
    FIND(c, conns, CONN_SETS, key, struct conn)
    struct conn *set = c->conns[key % CONN_SETS], *old = set;
    for (size_t w = 1; w < WAYS; w++)
        if (set[w].ns < old->ns)
            old = &set[w];
    if (!make)
        return NULL;
    *old = (struct conn){.key = key};
    return old;
}

static struct box *box_find(struct hf_corr *c, uint64_t key)
{
    FIND(c, boxes, BOX_SETS, key, struct box)
    return NULL;
}

static struct told *told_find(struct hf_corr *c, uint64_t key)
{
    FIND(c, told, ALERT_SETS, key, struct told)
    return NULL;
}

static uint64_t pair_set(uint64_t from, uint64_t to)
{
    return (from * 31 ^ to) % PAIR_SETS;
}

static const struct pair *pair_find(const struct hf_corr *c, uint64_t from, uint64_t to)
{
    const struct pair *set = c->pairs[pair_set(from, to)];
    for (size_t w = 0; w < WAYS; w++)
        if (set[w].from == from && set[w].to == to && set[w].last)
            return &set[w];
    return NULL;
}

static struct pair *pair_seen(struct hf_corr *c, uint64_t from, uint64_t to, uint64_t ns, uint64_t port)
{
    struct pair *set = c->pairs[pair_set(from, to)], *p = set;
    for (size_t w = 0; w < WAYS; w++) {
        if (set[w].from == from && set[w].to == to) {
            p = &set[w];
            break;
        }
        if (set[w].last < p->last)
            p = &set[w];
    }
    if (p->from != from || p->to != to)
        *p = (struct pair){.from = from, .to = to, .first = ns};
    p->last = HF_MAX(p->last, ns);
    p->count++;
    p->port = port ? port : p->port;
    return p;
}

static uint64_t key_of(struct hf_span s)
{
    uint64_t h = hf_span_hash(s);
    return h ? h : 1;
}

static void box_seen(struct hf_corr *c, hf_jnode box, uint64_t ns)
{
    struct hf_span id = hf_jgetstr(box, "id");
    if (!id.n)
        return;
    uint64_t key = key_of(id);
    struct box *b = box_find(c, key);
    if (!b) {
        struct box *set = c->boxes[key % BOX_SETS];
        b = set;
        for (size_t w = 1; w < WAYS; w++)
            if (set[w].ns < b->ns)
                b = &set[w];
        memset(b, 0, sizeof *b);
        hf_autobuf s = HF_BUF_INIT(1024);
        b->key = key;
        snprintf(b->id, sizeof b->id, "%s", hf_inc_safe(&s, id, 71));
        snprintf(b->name, sizeof b->name, "%.127s", hf_inc_safe(&s, hf_jgetstr(box, "name"), 60));
        snprintf(b->image, sizeof b->image, "%.199s", hf_inc_safe(&s, hf_jgetstr(box, "image"), 100));
        snprintf(b->digest, sizeof b->digest, "%s", hf_inc_safe(&s, hf_jgetstr(box, "image_digest"), 79));
    }
    b->ns = HF_MAX(b->ns, ns);
}

void hf_corr_known(struct hf_corr *c, struct hf_span alert, uint64_t ns, struct hf_span incident)
{
    uint64_t key = key_of(alert);
    struct told *t = told_find(c, key), *set = c->told[key % ALERT_SETS];
    if (!t) {
        t = set;
        for (size_t w = 1; w < WAYS; w++)
            if (set[w].ns < t->ns)
                t = &set[w];
    }
    t->key = key;
    t->ns = ns ? ns : 1;
    snprintf(t->incident, sizeof t->incident, "%.*s", HF_SPAN_ARG(hf_span_sub(incident, 0, sizeof t->incident - 1)));
}

/* ---- slots ---- */

static bool has(const uint64_t *v, size_t n, size_t max, uint64_t key)
{
    for (size_t i = 0; i < HF_MIN(n, max); i++)
        if (v[i] == key)
            return true;
    return false;
}

static void keep(uint64_t *v, size_t *n, size_t max, uint64_t key)
{
    if (key && !has(v, *n, max, key))
        v[(*n)++ % max] = key;
}

static uint64_t now_apart(const struct slot *s, uint64_t ns)
{
    return ns > s->last ? ns - s->last : ns < s->first ? s->first - ns : 0;
}

static struct slot *slot_of(struct hf_corr *c, const char *id)
{
    for (size_t i = 0; i < HF_CORR_INCIDENTS_MAX; i++)
        if (c->slots[i].inc && !strcmp(hf_inc_z(c->slots[i].inc->root, "id"), id))
            return &c->slots[i];
    return NULL;
}

static void slot_drop(struct slot *s)
{
    hf_inc_free(s->inc);
    memset(s, 0, sizeof *s);
}

/* A free one; else that of the oldest incident whose changes are all told; else the oldest. */
static struct slot *slot_free(struct hf_corr *c)
{
    struct slot *old = NULL;
    for (size_t i = 0; i < HF_CORR_INCIDENTS_MAX; i++) {
        struct slot *s = &c->slots[i];
        if (!s->inc)
            return s;
        if (!old || s->dirty < old->dirty || (s->dirty == old->dirty && s->last < old->last))
            old = s;
    }
    c->stats.evicted++;
    slot_drop(old);
    return old;
}

/* "I-20261126-7K3Q9D": the date and 30 bits of the hash of what began it, so that the same alerts make the same incident. */
static void id_of(struct hf_corr *c, const struct facts *f, char out[32])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    char when[40];
    hf_inc_time_text(f->ns, when);
    for (unsigned salt = 0;; salt++) {
        hf_autobuf b = HF_BUF_INIT(4096);
        struct hf_digest d;
        hf_buf_addf(&b, "%s%c%u%c", c->host, 0, salt, 0);
        hf_buf_adds(&b, hf_span_sub(f->id, 0, 64));
        hf_buf_addz(&b, when);
        hf_digest_of(HF_SHA256, hf_buf_span(&b), &d);
        char tail[7] = {0};
        for (size_t i = 0; i < 6; i++)
            tail[i] = digits[d.b[i] & 31];
        snprintf(out, 32, "I-%.4s%.2s%.2s-%s", when, when + 5, when + 8, tail);
        if (!slot_of(c, out) || salt > 64)
            return;
    }
}

static bool peers(const struct hf_corr *c, const struct slot *s, uint64_t box, uint64_t ns)
{
    for (size_t i = 0; box && i < HF_MIN(s->n_boxes, (size_t)SLOT_BOXES); i++) {
        const struct pair *p[2] = {pair_find(c, box, s->boxes[i]), pair_find(c, s->boxes[i], box)};
        for (size_t k = 0; k < 2; k++)
            if (p[k] && (ns < p[k]->last || ns - p[k]->last <= HF_INC_WINDOW_NS))
                return true;
    }
    return false;
}

static int severity(const struct slot *s)
{
    return hf_inc_severity(hf_inc_z(s->inc->root, "severity"));
}

enum { MEDIUM = 4 };

/* 0: no; else the stronger the higher: image, peer, container, process. */
static unsigned belongs(const struct hf_corr *c, const struct slot *s, const struct facts *f)
{
    if (!s->inc || now_apart(s, f->ns) > HF_INC_WINDOW_NS)
        return 0;
    for (size_t i = 0; i < f->n_procs; i++)
        if (has(s->procs, s->n_procs, SLOT_PROCS, f->procs[i]))
            return 4;
    if (f->box_key && has(s->boxes, s->n_boxes, SLOT_BOXES, f->box_key))
        return 3;
    if ((f->severity >= MEDIUM || severity(s) >= MEDIUM) && peers(c, s, f->box_key, f->ns))
        return 2;
    return f->thing && has(s->things, s->n_things, SLOT_THINGS, f->thing) ? 1 : 0;
}

/* ---- what merging and folding do to a slot ---- */

static void merge(struct hf_corr *c, struct slot *into, struct slot *from, uint64_t ns)
{
    hf_corr_absorb(into->inc, from->inc, ns);
    for (size_t i = 0; i < HF_MIN(from->n_boxes, (size_t)SLOT_BOXES); i++)
        if (into->n_boxes < SLOT_BOXES)
            keep(into->boxes, &into->n_boxes, SLOT_BOXES, from->boxes[i]);
    for (size_t i = 0; i < HF_MIN(from->n_procs, (size_t)SLOT_PROCS); i++)
        keep(into->procs, &into->n_procs, SLOT_PROCS, from->procs[i]);
    for (size_t i = 0; i < HF_MIN(from->n_things, (size_t)SLOT_THINGS); i++)
        keep(into->things, &into->n_things, SLOT_THINGS, from->things[i]);
    into->first = HF_MIN(into->first, from->first);
    into->last = HF_MAX(into->last, from->last);
    into->dirty = true;
    c->stats.merged++;
    for (size_t i = 0; i < ALERT_SETS; i++)
        for (size_t w = 0; w < WAYS; w++)
            if (!strcmp(c->told[i][w].incident, hf_inc_z(from->inc->root, "id")))
                snprintf(c->told[i][w].incident, sizeof c->told[i][w].incident, "%s", hf_inc_z(into->inc->root, "id"));
    if (from->base && c->n_gone < HF_CORR_INCIDENTS_MAX) { /* somebody knows of it */
        c->gone_base[c->n_gone] = from->base;
        c->gone[c->n_gone++] = from->inc;
        from->inc = NULL;
    }
    slot_drop(from);
}

/* Edges between the incident's containers, as they were seen in ordinary traffic too. */
static void draw_pairs(struct hf_corr *c, struct slot *s, uint64_t box)
{
    for (size_t i = 0; box && i < HF_MIN(s->n_boxes, (size_t)SLOT_BOXES); i++)
        for (size_t k = 0; k < 2 && s->boxes[i] != box; k++) {
            const struct pair *p = k ? pair_find(c, s->boxes[i], box) : pair_find(c, box, s->boxes[i]);
            const struct box *from = p ? box_find(c, p->from) : NULL, *to = p ? box_find(c, p->to) : NULL;
            if (!from || !to)
                continue;
            cJSON *a = hf_corr_box_node(s->inc, hf_span_z(from->id), hf_span_z(from->name), hf_span_z(from->image), hf_span_z(from->digest), p->first);
            cJSON *b = hf_corr_box_node(s->inc, hf_span_z(to->id), hf_span_z(to->name), hf_span_z(to->image), hf_span_z(to->digest), p->first);
            hf_inc_edge(s->inc, a, b, "connected", p->first, 1);
            hf_inc_edge(s->inc, a, b, "connected", p->last, 0);
        }
}

/* Somebody called it harmless and nothing new happens: it stays so.  Else it is open again. */
static void maybe_reopen(struct slot *s, const struct facts *f)
{
    cJSON *r = s->inc->root;
    bool known = false;
    if (strcmp(hf_inc_z(r, "state"), "resolved"))
        return;
    const cJSON *rules = hf_inc_array(s->inc, "rules");
    for (const cJSON *k = rules ? rules->child : NULL; k; k = k->next)
        known = known || hf_span_eqz(f->rule, hf_inc_z(k, "rule"));
    if (strcmp(hf_inc_z(r, "resolution"), "true") && known)
        return;
    hf_inc_set(r, "state", "open");
    cJSON_DeleteItemFromObjectCaseSensitive(r, "resolution");
    hf_inc_set_number(r, "reopened", hf_inc_num(r, "reopened") + 1);
    hf_inc_tell(s->inc, f->ns, "state", "open again: alerts went on", "holdfast");
}

static void fold(struct hf_corr *c, struct slot *s, const struct facts *f)
{
    maybe_reopen(s, f);
    hf_corr_fold(s->inc, f);
    if (f->box_key && s->n_boxes < SLOT_BOXES)
        keep(s->boxes, &s->n_boxes, SLOT_BOXES, f->box_key);
    for (size_t i = 0; i < f->n_procs; i++)
        keep(s->procs, &s->n_procs, SLOT_PROCS, f->procs[i]);
    keep(s->things, &s->n_things, SLOT_THINGS, f->thing);
    s->first = s->first ? HF_MIN(s->first, f->ns) : f->ns;
    s->last = HF_MAX(s->last, f->ns);
    s->dirty = true;
    draw_pairs(c, s, f->box_key);
    hf_corr_known(c, f->id, f->ns, hf_span_z(hf_inc_z(s->inc->root, "id")));
}

/* ---- lines ---- */

static int alert(struct hf_corr *c, const struct facts *f, struct hf_err *err)
{
    struct slot *best = NULL;
    unsigned how = 0;
    c->stats.alerts++;
    struct told *t = told_find(c, key_of(f->id));
    if (f->sum) {
        struct slot *s = t ? slot_of(c, t->incident) : NULL;
        if (s) {
            hf_corr_fold_sum(s->inc, f);
            s->dirty = true;
            c->stats.joined++;
        }
        return 0;
    }
    if (t && slot_of(c, t->incident)) /* this very alert is in already */
        return 0;
    for (size_t i = 0; i < HF_CORR_INCIDENTS_MAX; i++) {
        unsigned b = belongs(c, &c->slots[i], f);
        if (b > how || (b && b == how && c->slots[i].first < best->first)) {
            best = &c->slots[i];
            how = b;
        }
    }
    if (!best) {
        char id[32];
        id_of(c, f, id);
        best = slot_free(c);
        if (!(best->inc = hf_inc_new(id, f->ns)))
            return hf_fail(err, -ENOMEM, "no memory for an incident");
        c->stats.made++;
        fold(c, best, f);
        return 1;
    }
    if (!c->each_once && *best->mark && hf_span_cmp(f->id, hf_span_z(best->mark)) <= 0) /* an earlier run told it; its sums count for nothing either */
        return 0;
    bool merged = false;
    for (size_t i = 0; how > 1 && i < HF_CORR_INCIDENTS_MAX; i++) /* it ties others to this one: the oldest takes all */
        if (&c->slots[i] != best && belongs(c, &c->slots[i], f) > 1) {
            struct slot *a = best, *b = &c->slots[i];
            if (b->first < a->first) {
                a = b;
                b = best;
            }
            merge(c, a, b, f->ns);
            best = a;
            merged = true;
        }
    int before = severity(best);
    fold(c, best, f);
    c->stats.joined++;
    return merged || severity(best) > before;
}

/* Containers that alerted both and talked: one story. */
static int talked(struct hf_corr *c, const struct pair *p, uint64_t ns)
{
    struct slot *a = NULL, *b = NULL;
    for (size_t i = 0; i < HF_CORR_INCIDENTS_MAX; i++) {
        struct slot *s = &c->slots[i];
        if (!s->inc || now_apart(s, ns) > HF_INC_WINDOW_NS)
            continue;
        bool f = has(s->boxes, s->n_boxes, SLOT_BOXES, p->from), t = has(s->boxes, s->n_boxes, SLOT_BOXES, p->to);
        if (f && t) {
            if (p->count == 1) { /* its edge is new */
                draw_pairs(c, s, p->from);
                s->dirty = true;
            }
            return 0;
        }
        a = f ? s : a;
        b = t ? s : b;
    }
    if (!a || !b || a == b || (severity(a) < MEDIUM && severity(b) < MEDIUM))
        return 0;
    struct slot *into = a->first <= b->first ? a : b;
    merge(c, into, into == a ? b : a, ns);
    draw_pairs(c, into, p->from);
    return 1;
}

static int connection(struct hf_corr *c, const struct facts *f)
{
    bool in = hf_span_eqz(f->type, "accept");
    hf_jnode part = hf_jget(f->root, in ? "accept" : "connect"), peer = hf_jget(part, "peer_container");
    struct hf_span key = hf_jgetstr(part, "connection"), other = hf_jgetstr(peer, "id");
    uint64_t conn = 0, from = in ? 0 : f->box_key, to = in ? f->box_key : 0;
    c->stats.connections++;
    box_seen(c, f->box, f->ns);
    box_seen(c, peer, f->ns);
    if (other.n)
        *(in ? &from : &to) = key_of(other);
    bool known = false;
    if (hf_parse_u64(key, 16, 1, UINT64_MAX, &conn) == 0) {
        struct conn *k = conn_at(c, conn, true);
        known = k->from && k->to; /* the other half told it already */
        k->from = from ? from : k->from;
        k->to = to ? to : k->to;
        k->ns = HF_MAX(f->ns, (uint64_t)1);
        from = k->from;
        to = k->to;
    }
    if (!from || !to || from == to || known)
        return 0;
    const struct pair *p = pair_seen(c, from, to, f->ns, hf_corr_u64(part, in ? "local_port" : "peer_port"));
    return talked(c, p, f->ns);
}

/* reached_from and peers that stand in an alert: as if their connections had been seen. */
static void peers_of_alert(struct hf_corr *c, const struct facts *f)
{
    unsigned n = 0;
    HF_JFOREACH(r, hf_jget(f->root, "reached_from"))
    {
        struct hf_span name = hf_jgetstr(r, "peer_container");
        uint64_t conn = 0, from = 0;
        if (n++ == 16)
            break;
        if (!name.n || !f->box_key)
            continue;
        struct conn *k = hf_parse_u64(hf_jgetstr(r, "connection"), 16, 1, UINT64_MAX, &conn) == 0 ? conn_at(c, conn, false) : NULL;
        if (k && k->from) {
            from = k->from;
        } else { /* a name is not unique; one that is now, is good enough */
            unsigned same = 0;
            for (size_t i = 0; i < BOX_SETS; i++)
                for (size_t w = 0; w < WAYS; w++)
                    if (c->boxes[i][w].ns && hf_span_eqz(name, c->boxes[i][w].name) && f->ns < c->boxes[i][w].ns + HF_INC_WINDOW_NS) {
                        from = c->boxes[i][w].key;
                        same++;
                    }
            from = same == 1 ? from : 0;
        }
        if (from && from != f->box_key && !pair_find(c, from, f->box_key))
            pair_seen(c, from, f->box_key, f->ns, hf_corr_u64(r, "local_port"));
    }
    HF_JFOREACH(m, f->root)
    {
        hf_jnode peer = hf_jget(m, "peer_container");
        struct hf_span id = hf_jgetstr(peer, "id");
        if (!id.n || !f->box_key || key_of(id) == f->box_key)
            continue;
        box_seen(c, peer, f->ns);
        bool in = hf_span_eqz(hf_jname(m), "accept") || hf_span_eqz(hf_jgetstr(m, "direction"), "in");
        if (in)
            pair_seen(c, key_of(id), f->box_key, f->ns, hf_corr_u64(m, "local_port"));
        else
            pair_seen(c, f->box_key, key_of(id), f->ns, hf_corr_u64(m, "peer_port"));
    }
}

uint64_t hf_corr_u64(hf_jnode object, const char *name)
{
    double d;
    return hf_jnum(hf_jget(object, name), &d) && d > 0 && d < 9007199254740992.0 ? (uint64_t)d : 0;
}

bool hf_corr_starts_sessions(struct hf_span name)
{
    static const char *const exact[] = {"systemd", "init", "sshd", "dockerd", "containerd", "runc", "crun", "youki", "conmon", "crio", "podman", "kubelet", "cron", "crond", "atd", "login",
            "buildkitd", "tini", "dumb-init", "docker-init", "lxc-start", "nspawn", "xinetd", "inetd"};
    return HF_SPAN_IN(name, exact) || hf_span_starts(name, HF_S("containerd-shim")) || hf_span_starts(name, HF_S("runc:")) || hf_span_starts(name, HF_S("systemd-"));
}

static uint64_t proc_key(const char *host, uint64_t pid)
{
    char text[300];
    int n = snprintf(text, sizeof text, "%s\n%llu", host, (unsigned long long)pid);
    return key_of(hf_span(text, (size_t)n));
}

static void chain_of(struct facts *f)
{
    uint64_t pid = hf_corr_u64(f->process, "pid");
    if (pid > 1)
        f->procs[f->n_procs++] = proc_key(f->host, pid);
    HF_JFOREACH(a, hf_jget(f->process, "ancestors"))
    {
        pid = hf_corr_u64(a, "pid");
        if (pid <= 1 || f->n_procs == CHAIN_MAX || hf_corr_starts_sessions(hf_jgetstr(a, "name")) || hf_corr_starts_sessions(hf_span_basename(hf_jgetstr(a, "exe"))))
            break;
        f->procs[f->n_procs++] = proc_key(f->host, pid);
        f->n_chain++;
    }
}

static int facts_of(struct hf_corr *c, hf_jnode root, struct facts *f, struct hf_err *err)
{
    *f = (struct facts){.root = root, .host = c->host, .type = hf_jgetstr(root, "type"), .id = hf_jgetstr(root, "id"), .rule = hf_jgetstr(root, "rule"), .box = hf_jget(root, "container"),
            .process = hf_jget(root, "process"), .count = hf_corr_u64(root, "count")};
    if (!hf_span_eqz(hf_jgetstr(root, "schema"), "holdfast.event/1") || !hf_inc_time(hf_jgetstr(root, "time"), &f->ns) || !f->ns)
        return hf_fail(err, HF_E_FORMAT, "a line that is no event of schema holdfast.event/1");
    struct hf_span id = hf_jgetstr(f->box, "id");
    f->box_key = id.n ? key_of(id) : 0;
    if (!hf_span_eqz(f->type, "alert"))
        return 0;
    hf_autobuf b = HF_BUF_INIT(256);
    f->severity = hf_inc_severity(hf_inc_safe(&b, hf_jgetstr(root, "severity"), 16));
    if (f->severity < 0 || !f->rule.n || !f->id.n)
        return hf_fail(err, HF_E_FORMAT, "an alert without id, rule or severity");
    f->count = f->count ? f->count : 1;
    f->sum = !hf_jget(root, "event_type");
    chain_of(f);
    struct hf_span image = hf_jgetstr(f->box, "image_digest");
    if (image.n) {
        hf_autobuf t = HF_BUF_INIT(8192);
        hf_buf_adds(&t, hf_span_sub(image, 0, 128));
        hf_buf_addc(&t, '\n');
        hf_buf_adds(&t, hf_span_sub(f->rule, 0, 1024));
        f->thing = key_of(hf_buf_span(&t));
    }
    return 0;
}

int hf_corr_line(struct hf_corr *c, struct hf_span line, struct hf_err *err)
{
    static const struct hf_span wanted[] = {HF_S("alert"), HF_S("connect"), HF_S("accept")};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct facts f;
    c->stats.lines++;
    size_t at = hf_span_search(hf_span_sub(line, 0, 256), HF_S("\"type\":\""));
    if (at != SIZE_MAX) { /* as watch writes it: most lines need no more */
        bool of_use = false;
        for (size_t i = 0; i < HF_ARRAY_LEN(wanted); i++)
            of_use = of_use || hf_span_starts(hf_span_from(line, at + 8), wanted[i]);
        if (!of_use)
            return 0;
    }
    int rc = line.n > HF_CORR_LINE_MAX ? hf_fail(err, HF_E_LIMIT, "a line of %zu bytes is over %u", line.n, (unsigned)HF_CORR_LINE_MAX) : hf_json_parse_within(line, 32u << 20, &d, err);
    rc = rc < 0 ? rc : facts_of(c, hf_json_root(d), &f, err);
    if (rc < 0) {
        c->stats.refused++;
        return rc;
    }
    hf_inc_starved = false;
    if (hf_span_eqz(f.type, "connect") || hf_span_eqz(f.type, "accept")) {
        rc = connection(c, &f);
    } else if (hf_span_eqz(f.type, "alert")) {
        c->last_alert = key_of(f.id);
        box_seen(c, f.box, f.ns);
        peers_of_alert(c, &f);
        rc = alert(c, &f, err);
    }
    return rc >= 0 && hf_inc_starved ? hf_fail(err, -ENOMEM, "memory ran out: what an alert tells is in its incident only in part") : rc;
}

/* ---- to and from the store ---- */

static void slot_load(struct slot *s)
{
    const cJSON *boxes = hf_inc_array(s->inc, "containers"), *nodes = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(s->inc->root, "graph"), "nodes");
    (void)hf_inc_time(hf_inc_get(s->inc, "first_alert"), &s->first);
    (void)hf_inc_time(hf_inc_get(s->inc, "last_alert"), &s->last);
    for (const cJSON *b = boxes ? boxes->child : NULL; b && s->n_boxes < SLOT_BOXES; b = b->next)
        if (*hf_inc_z(b, "id"))
            keep(s->boxes, &s->n_boxes, SLOT_BOXES, key_of(hf_span_z(hf_inc_z(b, "id"))));
    for (const cJSON *n = nodes ? nodes->child : NULL; n; n = n->next)
        if (!strcmp(hf_inc_z(n, "kind"), "process") && hf_inc_num(n, "pid"))
            keep(s->procs, &s->n_procs, SLOT_PROCS, proc_key(hf_inc_z(n, "host"), hf_inc_num(n, "pid")));
    snprintf(s->mark, sizeof s->mark, "%.31s", hf_inc_z(s->inc->root, "last_alert_id"));
    s->base = hf_inc_num(s->inc->root, "revision");
}

int hf_corr_take(struct hf_corr *c, struct hf_span document, struct hf_err *err)
{
    static const char *const people[] = {"revision", "state", "resolution", "reopened", "assignee", "acknowledged_by", "comments", "links", "actions", "evidence", "exceptions"};
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    int rc = hf_inc_parse(document, &i, err);
    if (rc < 0)
        return rc;
    if (hf_inc_is_advisory(i)) /* alerts in its containers are a story of their own */
        return 0;
    for (size_t k = 0; k < c->n_gone; k++) /* one that is told as merged in any case */
        if (!strcmp(hf_inc_z(c->gone[k]->root, "id"), hf_inc_z(i->root, "id"))) {
            c->gone_base[k] = hf_inc_num(i->root, "revision");
            return 0;
        }
    struct slot *s = slot_of(c, hf_inc_z(i->root, "id"));
    if (!s) {
        if (*hf_inc_z(i->root, "merged_into"))
            return 0;
        s = slot_free(c);
        s->inc = hf_take(i);
        slot_load(s);
        return 0;
    }
    for (size_t k = 0; k < HF_ARRAY_LEN(people); k++) {
        cJSON_DeleteItemFromObjectCaseSensitive(s->inc->root, people[k]);
        cJSON *v = cJSON_DetachItemFromObjectCaseSensitive(i->root, people[k]);
        if (v && !hf_inc_added(s->inc->root, people[k], v))
            cJSON_Delete(v);
    }
    const cJSON *lines = hf_inc_array(i, "timeline");
    for (const cJSON *e = lines ? lines->child : NULL; e; e = e->next) {
        uint64_t ns;
        if (strcmp(hf_inc_z(e, "kind"), "event") && strcmp(hf_inc_z(e, "kind"), "alert") && hf_inc_time(hf_span_z(hf_inc_z(e, "time")), &ns))
            hf_inc_tell(s->inc, ns, hf_inc_z(e, "kind"), hf_inc_z(e, "text"), hf_inc_z(e, "by"));
    }
    s->base = hf_inc_num(s->inc->root, "revision");
    return hf_inc_starved ? hf_fail(err, -ENOMEM, "no memory for incident %s", hf_inc_z(s->inc->root, "id")) : 0;
}

static int hand_out(struct hf_inc *i, uint64_t base, hf_corr_cb cb, void *ctx, struct hf_err *err)
{
    hf_inc_starved = false;
    hf_inc_set_number(i->root, "revision", base + 1);
    hf_inc_finish(i);
    if (hf_inc_starved) /* later again */
        return hf_fail(err, -ENOMEM, "no memory for incident %s", hf_inc_z(i->root, "id"));
    return cb(ctx, i, base, err);
}

int hf_corr_changed(struct hf_corr *c, hf_corr_cb cb, void *ctx, struct hf_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < HF_CORR_INCIDENTS_MAX; i++)
        if (c->slots[i].inc && c->slots[i].dirty)
            rc = hand_out(c->slots[i].inc, c->slots[i].base, cb, ctx, err);
    return rc;
}

int hf_corr_flush(struct hf_corr *c, hf_corr_cb cb, void *ctx, struct hf_err *err)
{
    while (c->n_gone) {
        int rc = hand_out(c->gone[c->n_gone - 1], c->gone_base[c->n_gone - 1], cb, ctx, err);
        if (rc < 0)
            return rc;
        hf_inc_free(c->gone[--c->n_gone]);
    }
    for (;;) {
        struct slot *next = NULL;
        for (size_t i = 0; i < HF_CORR_INCIDENTS_MAX; i++)
            if (c->slots[i].inc && c->slots[i].dirty && (!next || c->slots[i].first < next->first))
                next = &c->slots[i];
        if (!next)
            return 0;
        int rc = hand_out(next->inc, next->base, cb, ctx, err);
        if (rc < 0)
            return rc;
        next->base++;
        next->dirty = false;
    }
}

void hf_corr_lost(struct hf_corr *c, struct hf_span incident)
{
    for (size_t k = 0; k < c->n_gone; k++)
        if (hf_span_eqz(incident, hf_inc_z(c->gone[k]->root, "id"))) { /* nobody needs to know that it is part of another */
            hf_inc_free(c->gone[k]);
            c->n_gone--;
            memmove(&c->gone[k], &c->gone[k + 1], (c->n_gone - k) * sizeof c->gone[0]);
            memmove(&c->gone_base[k], &c->gone_base[k + 1], (c->n_gone - k) * sizeof c->gone_base[0]);
            return;
        }
    for (size_t i = 0; i < HF_CORR_INCIDENTS_MAX; i++)
        if (c->slots[i].inc && hf_span_eqz(incident, hf_inc_z(c->slots[i].inc->root, "id")))
            c->slots[i].base = 0;
}

void hf_corr_stats(const struct hf_corr *c, struct hf_corr_stats *ret)
{
    *ret = c->stats;
    ret->held = 0;
    for (size_t i = 0; i < HF_CORR_INCIDENTS_MAX; i++)
        ret->held += c->slots[i].inc != NULL;
}

void hf_corr_each_once(struct hf_corr *c, bool yes)
{
    c->each_once = yes;
}

uint64_t hf_corr_last_alert(const struct hf_corr *c)
{
    return c->last_alert;
}

struct hf_span hf_corr_of_alert(const struct hf_corr *c, struct hf_span alert_id)
{
    return hf_corr_of_number(c, key_of(alert_id));
}

struct hf_span hf_corr_of_number(const struct hf_corr *c, uint64_t key)
{
    for (size_t w = 0; w < WAYS; w++)
        if (c->told[key % ALERT_SETS][w].key == key && c->told[key % ALERT_SETS][w].ns)
            return hf_span_z(c->told[key % ALERT_SETS][w].incident);
    return hf_span(NULL, 0);
}
