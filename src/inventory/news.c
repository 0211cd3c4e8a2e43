/* SPDX-License-Identifier: Apache-2.0 */
/* What a new advisory means for containers that run, as incidents: few, and of what matters.  Which incident an image's advisories went into is a setting
 * ("inventory/incident/HASH" -> id), so that the next run extends it and hf_inv_settle ends it. */
#include <errno.h>
#include <stdio.h>

#include "base/config.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "incident/advisory.h"
#include "inventory/inventory-internal.h"
#include "store/audit.h"
#include "store/incidents.h"
#include "store/settings.h"
#include "store/store.h"

enum { NEWS_MAX = 100000, INCIDENTS_MAX = 20, TRIES = 8 };
#define PREFIX "inventory/incident/"

struct item {
    struct hf_span digest, image, id, package, version, fixed, summary;
    int severity;
    unsigned score10;
    bool kev, used, taken;
};
struct hf_inv_news {
    struct hf_store *s;
    struct hf_inv_policy policy;
    struct item *v;
    size_t n, cap;
    struct hf_arena arena;
    uint64_t left_out;
    int made;
};

int hf_inv_policy_of(const struct hf_config *c, struct hf_inv_policy *ret, struct hf_err *err)
{
    int severity = 0;
    if (hf_store_severity(hf_span_z(c->incident_severity), &severity) < 0 || severity < 3)
        return hf_fail(err, HF_E_USAGE, "inventory.incident_severity is \"%.40s\"; there are low, medium, high and critical", c->incident_severity);
    *ret = (struct hf_inv_policy){severity, (unsigned)c->incidents_alone, c->incident_in_use != 0};
    return 0;
}

int hf_inv_news_new(struct hf_inv_news **ret, struct hf_store *s, const struct hf_inv_policy *p)
{
    struct hf_inv_news *n = calloc(1, sizeof *n);
    if (!n)
        return -ENOMEM;
    n->s = s;
    n->policy = p ? *p : HF_INV_POLICY_DEFAULT;
    hf_arena_init(&n->arena, 256u << 20);
    *ret = n;
    return 0;
}

void hf_inv_news_free(struct hf_inv_news *n)
{
    if (!n)
        return;
    free(n->v);
    hf_arena_done(&n->arena);
    free(n);
}

static unsigned best_score(const cJSON *v)
{
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(v, "cvss");
    double score = cJSON_IsArray(all) && all->child ? hf_inv_num(all->child, "score") : 0;
    return score > 0 && score <= 10 ? (unsigned)(score * 10 + 0.5) : 0;
}

static bool matters(const struct hf_inv_policy *p, const struct hf_inv_new *n)
{
    const struct hf_inv_finding *f = n->finding;
    if (f->severity == 0) /* accepted, or of no consequence in an image */
        return false;
    if (n->kev)
        return true;
    if (p->only_in_use && !f->used)
        return false;
    return f->severity >= p->min_severity - (f->used ? 1 : 0);
}

int hf_inv_collect(void *ctx, const struct hf_inv_new *n)
{
    struct hf_inv_news *w = ctx;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    const struct hf_inv_finding *f = n->finding;
    if (!n->known_image || !n->running || !matters(&w->policy, n))
        return 0;
    struct item *i = hf_grow((void **)&w->v, &w->n, &w->cap, sizeof *i, NEWS_MAX);
    if (!i) {
        w->left_out++;
        return w->n >= NEWS_MAX ? 0 : -ENOMEM;
    }
    const cJSON *doc = hf_json_parse(f->doc, &d, &ignored) == 0 ? hf_json_root(d) : NULL;
    *i = (struct item){.severity = f->severity, .score10 = best_score(doc), .kev = n->kev, .used = f->used};
    const struct {
        struct hf_span from;
        struct hf_span *to;
    } texts[] = {{n->digest, &i->digest}, {n->image, &i->image}, {f->id, &i->id}, {f->package, &i->package}, {f->version, &i->version}, {f->fixed, &i->fixed},
            {hf_span_z(hf_inv_z(doc, "summary")), &i->summary}};
    for (size_t k = 0; k < HF_ARRAY_LEN(texts); k++)
        if (hf_arena_dup(&w->arena, hf_span_sub(texts[k].from, 0, 1024), texts[k].to) < 0)
            return -ENOMEM;
    return 0;
}

/* ---- one incident ---- */

struct making {
    struct hf_inv_news *w;
    struct hf_inc *inc;
    uint64_t ns;
    struct hf_err *err;
    struct hf_span host;
    int changed;
    uint64_t running; /* containers of all its images */
};

static int count_running(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    (void)i;
    *(uint64_t *)ctx += running;
    return 0;
}

static void key_of(struct hf_buf *out, struct hf_span what)
{
    struct hf_digest d;
    char text[HF_DIGEST_TEXT];
    hf_digest_of(HF_SHA256, what, &d);
    hf_buf_addf(out, PREFIX "%.32s", hf_digest_text(&d, text) + 7);
}

static int add_box(void *ctx, const struct hf_inv_container *c)
{
    struct making *m = ctx;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    hf_jnode doc = hf_json_parse(c->doc, &d, &ignored) == 0 ? hf_json_root(d) : NULL;
    m->changed |= hf_inc_add_container(m->inc, &(struct hf_inc_container){.id = c->id, .name = c->name, .image = c->image, .image_digest = c->digest, .host = m->host,
            .labels = hf_jget(doc, "labels"), .pod = hf_jget(doc, "pod")}, m->ns);
    return 0;
}

static int boxes_of(struct making *m, struct hf_span digest)
{
    int rc = hf_store_container_list(m->w->s, true, digest, hf_span(NULL, 0), HF_INC_CONTAINERS_MAX, add_box, m, m->err);
    return rc < 0 ? rc : hf_store_image_get(m->w->s, digest, count_running, &m->running, m->err);
}

static int fill(struct making *m, const struct item *const *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct item *t = items[i];
        m->changed |= hf_inc_add_vulnerability(m->inc, &(struct hf_inc_vuln){.id = t->id, .package = t->package, .version = t->version, .fixed = t->fixed, .summary = t->summary,
                .image = t->image, .image_digest = t->digest, .severity = t->severity, .score10 = t->score10, .kev = t->kev, .in_use = t->used}, m->ns);
    }
    for (size_t i = 0; i < n; i++) {
        if (i && hf_span_eq(items[i]->digest, items[i - 1]->digest))
            continue;
        int rc = boxes_of(m, items[i]->digest);
        if (rc < 0)
            return rc;
    }
    hf_inc_containers_run(m->inc, m->running);
    return 0;
}

/* The incident of this key that people still work on: 1; 0: there is none, a new one is to be made. */
static int existing(struct making *m, struct hf_span key, uint64_t *ret_base)
{
    hf_autobuf id = HF_BUF_INIT(256), doc = HF_BUF_INIT(HF_INC_MAX);
    int rc = hf_store_setting_get(m->w->s, key, &id, m->err);
    rc = rc <= 0 ? rc : hf_store_incident_get(m->w->s, hf_buf_span(&id), &doc, ret_base, m->err);
    rc = rc <= 0 ? rc : hf_inc_parse(hf_buf_span(&doc), &m->inc, m->err);
    if (rc < 0 || !m->inc)
        return rc;
    if (!hf_span_eqz(hf_inc_get(m->inc, "state"), "resolved") && !hf_inc_get(m->inc, "merged_into").n)
        return 1;
    hf_inc_free(m->inc);
    m->inc = NULL;
    return 0;
}

static int fresh(struct making *m, struct hf_span what)
{
    for (unsigned salt = 0; salt < 1000; salt++) {
        hf_autobuf doc = HF_BUF_INIT(HF_INC_MAX);
        uint64_t revision;
        m->inc = hf_inc_from_advisory(what, salt, m->ns);
        if (!m->inc)
            return hf_fail(m->err, -ENOMEM, "no memory for an incident");
        int rc = hf_store_incident_get(m->w->s, hf_inc_get(m->inc, "id"), &doc, &revision, m->err);
        if (rc <= 0)
            return rc;
        hf_inc_free(m->inc);
        m->inc = NULL;
    }
    return hf_fail(m->err, HF_E_LIMIT, "over 1000 incidents of one image in a day");
}

static int written(struct making *m, struct hf_span key, uint64_t base)
{
    hf_autobuf doc = HF_BUF_INIT(HF_INC_MAX);
    struct hf_store *s = m->w->s;
    if (hf_inc_advisory_done(m->inc, m->ns) < 0)
        return hf_fail(m->err, -ENOMEM, "no memory for an incident of advisories");
    hf_inc_write(m->inc, false, &doc);
    if (!hf_buf_ok(&doc))
        return hf_fail(m->err, HF_E_LIMIT, "an incident of advisories of over %d bytes", HF_INC_MAX);
    int rc = hf_store_incident_put(s, hf_buf_span(&doc), base, m->err);
    struct hf_audit_entry e = {.by = HF_S("holdfast"), .via = HF_S("inventory"), .what = base ? HF_S("incident.advisory") : HF_S("incident.open"), .target = hf_inc_get(m->inc, "id"),
            .after = hf_inc_get(m->inc, "title")};
    rc = rc < 0 ? rc : hf_store_audit_add(s, &e, NULL, m->err);
    return rc < 0 || base ? rc : hf_store_setting_put(s, key, hf_inc_get(m->inc, "id"), m->err);
}

static int incident(struct hf_inv_news *w, struct hf_span what, const struct item *const *items, size_t n, struct hf_span host, int64_t now, struct hf_err *err)
{
    hf_autobuf key = HF_BUF_INIT(256);
    struct making m = {.w = w, .ns = (uint64_t)now, .err = err, .host = host};
    uint64_t base = 0;
    hf_autotx tx = {0};
    key_of(&key, what);
    int rc = hf_tx_begin(&tx, w->s, err); /* a write transaction: nobody changes the incident between */
    rc = rc < 0 ? rc : existing(&m, hf_buf_span(&key), &base);
    if (rc == 0)
        rc = fresh(&m, what);
    rc = rc < 0 ? rc : fill(&m, items, n);
    if (rc >= 0 && m.changed)
        rc = written(&m, hf_buf_span(&key), base);
    hf_inc_free(m.inc);
    rc = rc < 0 ? rc : hf_tx_commit(&tx, err);
    w->made += rc == 0 && m.changed;
    return rc;
}

/* ---- which ones ---- */

static int by_image(const void *a, const void *b)
{
    const struct item *x = *(const struct item *const *)a, *y = *(const struct item *const *)b;
    int c = hf_span_cmp(x->digest, y->digest);
    return c ? c : hf_span_cmp(x->id, y->id);
}

static size_t run_of(const struct item *const *v, size_t n, bool by_id)
{
    size_t i = 1;
    while (i < n && hf_span_eq(v[i]->digest, v[0]->digest) && (!by_id || hf_span_eq(v[i]->id, v[0]->id)))
        i++;
    return i;
}

static size_t ids_in(const struct item *const *v, size_t n)
{
    size_t ids = 0;
    for (size_t i = 0; i < n; i += run_of(v + i, n - i, true))
        ids++;
    return ids;
}

/* How many incidents it would be. */
static size_t planned(const struct hf_inv_news *w, const struct item *const *v, size_t n)
{
    size_t total = 0;
    for (size_t i = 0, k; i < n; i += k) {
        k = run_of(v + i, n - i, false);
        size_t ids = ids_in(v + i, k);
        total += ids <= w->policy.alone_max ? ids : 1;
    }
    return total;
}

static int of_image(struct hf_inv_news *w, const struct item *const *v, size_t n, struct hf_span host, int64_t now, struct hf_err *err)
{
    hf_autobuf what = HF_BUF_INIT(8192);
    int rc = 0;
    if (ids_in(v, n) > w->policy.alone_max) {
        hf_buf_addz(&what, "image ");
        hf_buf_adds(&what, v[0]->digest);
        return incident(w, hf_buf_span(&what), v, n, host, now, err);
    }
    for (size_t i = 0, k; i < n && rc == 0; i += k) {
        k = run_of(v + i, n - i, true);
        hf_buf_clear(&what);
        hf_buf_adds(&what, v[i]->id);
        hf_buf_addc(&what, ' ');
        hf_buf_adds(&what, v[i]->digest);
        rc = incident(w, hf_buf_span(&what), v + i, k, host, now, err);
    }
    return rc;
}

int hf_inv_incidents(struct hf_inv_news *w, struct hf_span host, int64_t now, struct hf_err *err)
{
    hf_cleanup(hf_freep) const struct item **v = w->n ? calloc(w->n, sizeof(const struct item *)) : NULL;
    int rc = 0;
    w->made = 0;
    if (!w->n)
        return 0;
    if (!v)
        return hf_fail(err, -ENOMEM, "no memory for incidents of new advisories");
    for (size_t i = 0; i < w->n; i++)
        v[i] = &w->v[i];
    qsort(v, w->n, sizeof *v, by_image);
    if (planned(w, v, w->n) > INCIDENTS_MAX) /* a feed that was behind, say: one story for all of it */
        rc = incident(w, HF_S("advisories"), v, w->n, host, now, err);
    else
        for (size_t i = 0, k; i < w->n && rc == 0; i += k) {
            k = run_of(v + i, w->n - i, false);
            rc = of_image(w, v + i, k, host, now, err);
        }
    if (w->left_out)
        hf_log(HF_LOG_WARNING, "inventory.news", "%llu new vulnerabilities of running containers are in no incident: over %d at once", (unsigned long long)w->left_out, NEWS_MAX);
    return rc < 0 ? rc : w->made;
}

/* ---- the end of such incidents ---- */

struct settling {
    struct hf_store *s;
    struct hf_err *err;
    struct hf_inc *inc;
    struct hf_buf keys; /* NUL between */
    int rc;
    unsigned running, found;
};

static int one_key(void *ctx, struct hf_span key, struct hf_span value, int64_t changed)
{
    struct settling *t = ctx;
    (void)value;
    (void)changed;
    hf_buf_adds(&t->keys, key);
    hf_buf_addc(&t->keys, 0);
    return 0;
}

static int runs(void *ctx, const struct hf_inv_container *c)
{
    *(bool *)ctx = c->ended == 0;
    return 0;
}

static void box_runs(void *ctx, struct hf_span id)
{
    struct settling *t = ctx;
    bool running = false;
    if (t->rc < 0)
        return;
    int rc = hf_store_container_get(t->s, id, runs, &running, t->err);
    t->rc = HF_MIN(rc, 0);
    t->running += running;
}

struct lookup {
    struct hf_span digest;
    bool found;
};

static int is_of(void *ctx, struct hf_span digest, const struct hf_inv_finding *f, uint64_t running)
{
    struct lookup *l = ctx;
    (void)running;
    if (hf_span_eq(digest, l->digest) && f->severity > 0) /* accepted meanwhile: no longer */
        l->found = true;
    return 0;
}

static void still_found(void *ctx, struct hf_span id, struct hf_span digest)
{
    struct settling *t = ctx;
    struct lookup l = {digest, false};
    if (t->rc < 0 || t->found)
        return;
    t->rc = hf_store_findings_of(t->s, id, is_of, &l, t->err);
    t->found += l.found;
}

struct rest {
    struct hf_span digest;
    struct making m;
};

static void more_boxes(void *ctx, struct hf_span id, struct hf_span digest)
{
    struct rest *r = ctx;
    (void)id;
    if (hf_span_eq(r->digest, digest))
        return;
    r->digest = digest; /* borrowed: the list is not changed by adding containers */
    int rc = r->m.changed < 0 ? 0 : boxes_of(&r->m, digest);
    if (rc < 0)
        r->m.changed = rc;
}

/* Containers of the image that started since are part of it. */
static int extend(struct settling *t, struct hf_span key, uint64_t base, int64_t now)
{
    struct hf_inv_news w = {.s = t->s};
    struct rest r = {.m = {.w = &w, .inc = t->inc, .ns = (uint64_t)now, .err = t->err}};
    hf_inc_each_vulnerability(t->inc, more_boxes, &r);
    if (r.m.changed < 0)
        return r.m.changed;
    hf_inc_containers_run(t->inc, r.m.running);
    return r.m.changed ? written(&r.m, key, base) : 0;
}

static int resolve(struct settling *t, struct hf_span key, uint64_t base, int64_t now)
{
    hf_autobuf doc = HF_BUF_INIT(HF_INC_MAX);
    struct hf_inc_audit a;
    struct hf_inc_change c = {.verb = HF_INC_RESOLVE, .time_ns = (uint64_t)now, .by = HF_S("holdfast"), .via = HF_S("inventory"), .text = HF_S("true"),
            .note = t->running ? HF_S("None of these vulnerabilities is in the images any longer, by the advisories of today.") : HF_S("None of its containers runs any longer.")};
    int rc = hf_inc_apply(t->inc, &c, &a, t->err);
    if (rc > 0) {
        hf_inc_write(t->inc, false, &doc);
        rc = hf_buf_ok(&doc) ? hf_store_incident_put(t->s, hf_buf_span(&doc), base, t->err) : hf_fail(t->err, HF_E_LIMIT, "an incident of over %d bytes", HF_INC_MAX);
        struct hf_audit_entry e = {.time = now, .by = HF_S("holdfast"), .via = HF_S("inventory"), .what = hf_span_z(a.what), .target = hf_span_z(a.target), .before = hf_span_z(a.before),
                .after = hf_span_z(a.after)};
        rc = rc < 0 ? rc : hf_store_audit_add(t->s, &e, NULL, t->err);
    }
    rc = rc < 0 ? rc : hf_store_setting_delete(t->s, key, t->err);
    return HF_MIN(rc, 0);
}

/* 1: resolved. */
static int settle_one(struct settling *t, struct hf_span key, int64_t now)
{
    hf_autobuf id = HF_BUF_INIT(256), doc = HF_BUF_INIT(HF_INC_MAX);
    uint64_t base = 0;
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, t->s, t->err), ended = 0;
    rc = rc < 0 ? rc : hf_store_setting_get(t->s, key, &id, t->err);
    rc = rc <= 0 ? rc : hf_store_incident_get(t->s, hf_buf_span(&id), &doc, &base, t->err);
    if (rc > 0)
        rc = hf_inc_parse(hf_buf_span(&doc), &t->inc, t->err);
    if (rc == 0 && (!t->inc || hf_span_eqz(hf_inc_get(t->inc, "state"), "resolved"))) { /* people did, or it went */
        rc = hf_store_setting_delete(t->s, key, t->err);
        return rc < 0 ? rc : hf_tx_commit(&tx, t->err);
    }
    t->rc = rc;
    t->running = t->found = 0;
    if (t->rc == 0)
        hf_inc_each_container(t->inc, box_runs, t);
    if (t->rc == 0 && t->running == 0 && (t->rc = extend(t, key, base, now)) == 0) {
        /* none of those named: one that replaced it of the same image may run */
        hf_inc_each_container(t->inc, box_runs, t);
        if (t->running)
            return hf_tx_commit(&tx, t->err);
    }
    if (t->rc == 0 && t->running)
        hf_inc_each_vulnerability(t->inc, still_found, t);
    if (t->rc == 0 && (!t->running || !t->found)) {
        t->rc = resolve(t, key, base, now);
        ended = 1;
    } else if (t->rc == 0) {
        t->rc = extend(t, key, base, now);
    }
    rc = t->rc < 0 ? t->rc : hf_tx_commit(&tx, t->err);
    return rc < 0 ? rc : ended;
}

int hf_inv_settle(struct hf_store *s, int64_t now, struct hf_err *err)
{
    struct hf_err local = HF_ERR_INIT;
    struct settling t = {.s = s, .err = err ? err : &local, .keys = HF_BUF_INIT(8 << 20)};
    int n = 0, rc = hf_store_setting_list(s, HF_S(PREFIX), hf_span(NULL, 0), HF_STORE_LIST_MAX, one_key, &t, t.err);
    struct hf_span rest = hf_buf_span(&t.keys), key;
    while (rc >= 0 && rest.n && hf_span_cut(&rest, 0, &key)) {
        rc = settle_one(&t, key, now);
        n += rc > 0;
        hf_inc_free(t.inc);
        t.inc = NULL;
    }
    hf_buf_done(&t.keys);
    return rc < 0 ? rc : n;
}
