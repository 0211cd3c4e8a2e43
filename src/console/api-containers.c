// SPDX-License-Identifier: Apache-2.0
/* /api/v1/containers: what runs (live.h) joined with what is remembered (the store). */
#include <errno.h>
#include <stdlib.h>

#include "console/api-common.h"
#include "console/live-internal.h"
#include "store/incidents.h"
#include "store/inventory.h"
#include "store/pages.h"

#define DAY INT64_C(86400000000000)

/* ---- rows ---- */

struct row {
    struct hf_span id, name, image, digest, host, runtime, pod_namespace, pod_name, pod_container, doc; /* doc: of the store */
    bool running, live;
    int64_t started, ended;
    unsigned drift;
    double events_per_s;
};
struct gather {
    const struct hf_request *q;
    struct hf_api *api;
    struct hf_span text, digest;
    struct row *rows;
    size_t n, cap;
    struct hf_map at; /* id to place + 1: every container that live knows, also those that do not pass */
    bool failed;
};

static struct row *add(struct gather *g, struct hf_span id)
{
    struct row *r = hf_grow((void **)&g->rows, &g->n, &g->cap, sizeof *r, 1u << 20);
    uint64_t *at = r ? hf_map_at(&g->at, id, NULL) : NULL;
    if (!at) {
        g->failed = true;
        return NULL;
    }
    *at = g->n;
    return r;
}

static bool live_row(void *ctx, const struct hf_live_box *b)
{
    struct gather *g = ctx;
    const struct hf_request *q = g->q;
    struct hf_span id = hf_api_keep(q, b->id);
    bool named = hf_api_contains(b->name, g->text) || hf_api_contains(b->id, g->text) || hf_api_contains(b->image, g->text) || hf_api_contains(b->pod_name, g->text) ||
            hf_api_contains(b->pod_namespace, g->text);
    struct hf_span rest = b->facts, name, value;
    while (!named && hf_live_pair(&rest, &name, &value))
        named = hf_span_starts(name, HF_S("label.")) && (hf_api_contains(name, g->text) || hf_api_contains(value, g->text));
    if (!named || (g->digest.n && !hf_span_eq(b->digest, g->digest))) {
        g->failed = g->failed || !hf_map_at(&g->at, id, NULL);
        return !g->failed;
    }
    struct row *r = add(g, id);
    if (r)
        *r = (struct row){id, hf_api_keep(q, b->name), hf_api_keep(q, b->image), hf_api_keep(q, b->digest), {NULL, 0}, hf_api_keep(q, b->runtime), hf_api_keep(q, b->pod_namespace),
                hf_api_keep(q, b->pod_name), hf_api_keep(q, b->pod_container), {NULL, 0}, b->running, true, b->started, b->ended, b->drift, b->events_per_s};
    return !g->failed;
}

/* Only of those that are shown. */
static void from_doc(const struct hf_request *q, struct row *r)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (!r->doc.n || r->pod_name.n || hf_json_parse_within(r->doc, 16u << 20, &doc, &ignored) < 0)
        return;
    hf_jnode root = hf_json_root(doc), pod = hf_jget(root, "pod");
    r->runtime = r->runtime.n ? r->runtime : hf_api_keep(q, hf_jgetstr(root, "runtime"));
    r->pod_namespace = hf_api_keep(q, hf_jgetstr(pod, "namespace"));
    r->pod_name = hf_api_keep(q, hf_jgetstr(pod, "name"));
    r->pod_container = hf_api_keep(q, hf_jgetstr(pod, "container"));
}

static void from_store(const struct hf_request *q, struct row *r, const struct hf_inv_container *c)
{
    r->name = r->name.n ? r->name : hf_api_keep(q, c->name);
    r->image = r->image.n ? r->image : hf_api_keep(q, c->image);
    r->digest = r->digest.n ? r->digest : hf_api_keep(q, c->digest);
    r->host = hf_api_keep(q, c->host);
    r->started = r->started ? r->started : c->started;
    if (!r->live) {
        r->running = !c->ended;
        r->ended = c->ended;
    }
    if (!r->live)
        r->doc = hf_api_keep(q, c->doc);
}

static int store_row(void *ctx, const struct hf_inv_container *c)
{
    struct gather *g = ctx;
    uint64_t at;
    if (hf_map_get(&g->at, c->id, &at)) {
        if (at)
            from_store(g->q, &g->rows[at - 1], c);
        return 0;
    }
    struct row *r = add(g, hf_api_keep(g->q, c->id));
    if (!r)
        return -ENOMEM;
    *r = (struct row){.id = hf_api_keep(g->q, c->id)};
    from_store(g->q, r, c);
    return 0;
}

static int newest_first(const void *x, const void *y)
{
    const struct row *a = x, *b = y;
    if (a->running != b->running)
        return a->running ? -1 : 1;
    int64_t s = a->running ? a->started : a->ended, t = b->running ? b->started : b->ended;
    return s != t ? (s > t ? -1 : 1) : -hf_span_cmp(a->id, b->id);
}

static void gather_done(struct gather *g)
{
    free(g->rows);
    hf_map_done(&g->at);
}

int hf_api_image_counts(struct hf_api *api, const struct hf_request *q, struct hf_span digest, struct hf_image_counts *ret, struct hf_err *err)
{
    struct hf_finding_counts f = {0};
    struct hf_page_image_counts p = {0};
    hf_autobuf key = HF_BUF_INIT(8192), text = HF_BUF_INIT(sizeof *ret);
    hf_buf_addf(&key, "image:%.*s", HF_SPAN_ARG(digest));
    if (api->live && hf_live_kept(api->live, hf_buf_span(&key), q->now_ns, &text) && text.n == sizeof *ret) {
        memcpy(ret, text.p, sizeof *ret);
        return 0;
    }
    int rc = hf_store_finding_counts(q->store, digest, false, &f, err);
    rc = rc < 0 ? rc : hf_page_image_counts(q->store, digest, &p, err);
    if (rc < 0)
        return rc;
    *ret = (struct hf_image_counts){.packages = p.packages, .sealed = p.sealed};
    memcpy(ret->n, f.n, sizeof ret->n);
    memcpy(ret->used, f.used, sizeof ret->used);
    if (api->live)
        hf_live_keep(api->live, hf_buf_span(&key), hf_span((const char *)ret, sizeof *ret), q->now_ns + INT64_C(10000000000));
    return 0;
}

void hf_api_findings(struct hf_jw *w, const struct hf_image_counts *c)
{
    uint64_t total = 0, used = 0;
    for (size_t i = 0; i < 7; i++) {
        total += c->n[i];
        used += c->used[i];
    }
    hf_jw_key(w, "findings");
    hf_jw_object(w);
    hf_jw_ku64(w, "critical", c->n[6]);
    hf_jw_ku64(w, "high", c->n[5]);
    hf_jw_ku64(w, "total", total);
    hf_jw_ku64(w, "used", used);
    hf_jw_object_end(w);
}

/* The members of a row, within an object that is open. */
static int row_json(struct hf_api *api, const struct hf_request *q, struct hf_jw *w, struct row *r, struct hf_err *err)
{
    struct hf_image_counts c = {0};
    uint64_t alerts = 0;
    int severity = -1, rc = 0;
    if (!api->live || !hf_live_loud(api->live, r->id, q->now_ns, &alerts))
        rc = hf_store_alert_count(q->store, hf_span(NULL, 0), r->id, q->now_ns - DAY, &alerts, NULL, err);
    if (rc == 0 && r->digest.n)
        rc = hf_api_image_counts(api, q, r->digest, &c, err);
    from_doc(q, r);
    unsigned incidents = api->live ? hf_live_incidents(api->live, r->id, &severity) : 0;
    hf_jw_kstr(w, "id", r->id);
    hf_jw_kstr(w, "name", r->name.n ? r->name : hf_span_sub(r->id, 0, 12));
    hf_jw_kstr_opt(w, "image", r->image);
    hf_jw_kstr_opt(w, "digest", r->digest);
    hf_jw_kstr_opt(w, "host", r->host);
    hf_jw_kstr_opt(w, "runtime", r->runtime);
    hf_jw_kbool(w, "running", r->running);
    hf_api_when(w, "started", r->started);
    hf_api_when(w, "ended", r->running ? 0 : r->ended);
    if (r->pod_name.n || r->pod_namespace.n) {
        hf_jw_key(w, "pod");
        hf_jw_object(w);
        hf_jw_kstr_opt(w, "namespace", r->pod_namespace);
        hf_jw_kstr_opt(w, "name", r->pod_name);
        hf_jw_kstr_opt(w, "container", r->pod_container);
        hf_jw_object_end(w);
    }
    if (severity >= 0)
        hf_jw_kstrz(w, "severity", hf_api_severity_name(severity));
    hf_jw_ku64(w, "incidents", incidents);
    hf_jw_ku64(w, "alerts", alerts);
    if (r->digest.n)
        hf_api_findings(w, &c);
    if (r->live) {
        hf_jw_ku64(w, "drift", r->drift);
        hf_jw_key(w, "events_per_s");
        hf_jw_fixed(w, r->events_per_s, 1);
    }
    return rc;
}

/* Those that run, of live and of the store: few enough to be held and sorted. */
static int running_rows(struct gather *g, struct hf_err *err)
{
    struct hf_page_containers p = {.text = g->text, .digest = g->digest, .limit = 10000};
    if (g->api->live)
        hf_live_boxes(g->api->live, live_row, g);
    int rc = hf_page_containers(g->q->store, &p, store_row, g, NULL, err);
    if (rc == 0 && g->failed)
        rc = hf_fail(err, HF_E_LIMIT, "too many containers for one list; search for some");
    return rc;
}

int hf_api_containers_of(struct hf_api *api, const struct hf_request *q, struct hf_jw *w, struct hf_span digest, unsigned max, struct hf_err *err)
{
    hf_cleanup(gather_done) struct gather g = {.q = q, .api = api, .digest = digest};
    int rc = running_rows(&g, err);
    if (rc == 0 && g.n)
        qsort(g.rows, g.n, sizeof *g.rows, newest_first);
    for (size_t i = 0; i < g.n && rc == 0 && max; i++) {
        if (!g.rows[i].running)
            continue;
        max--;
        hf_jw_object(w);
        rc = row_json(api, q, w, &g.rows[i], err);
        hf_jw_object_end(w);
    }
    return rc;
}

/* ---- the list ---- */

enum { IN_ENDED = 1 }; /* of a cursor: the page ended among those that ended */
enum { LOOKED_UP = 500 };

static int has_ended(void *ctx, const struct hf_inv_container *c)
{
    *(bool *)ctx = c->ended > 0;
    return 0;
}

/* How many that ended the count of the store does not hold: it has not heard of their end yet, or there is no daemon that tells it. */
static int only_live(const struct gather *g, uint64_t *ret, struct hf_err *err)
{
    unsigned looked = 0;
    *ret = 0;
    for (size_t i = 0; i < g->n; i++) {
        bool stored = false;
        if (g->rows[i].running || !g->rows[i].live || looked++ >= LOOKED_UP)
            continue;
        int rc = hf_store_container_get(g->q->store, g->rows[i].id, has_ended, &stored, err);
        if (rc < 0)
            return rc;
        *ret += !stored;
    }
    return 0;
}

static int page(struct hf_api *api, const struct hf_request *q, struct hf_reply *ret, struct gather *g, const struct hf_cursor *at, int running, unsigned limit, struct hf_err *err)
{
    uint64_t ended = 0, n_running = 0, n_ended = 0, more = 0;
    struct hf_jw w;
    /* Those that ended live knows of are held; of those in the store only as many are read as the page can need. */
    struct hf_page_containers p = {.ended = true, .text = g->text, .digest = g->digest, .after = at->given && at->flags == IN_ENDED, .after_time = at->n, .after_id = at->part[0]};
    for (size_t i = 0; i < g->n; i++) {
        n_running += g->rows[i].running;
        n_ended += !g->rows[i].running;
    }
    p.limit = (unsigned)HF_MIN(limit + 1 + n_ended, (uint64_t)10000);
    int rc = running == 1 ? 0 : only_live(g, &more, err);
    rc = rc < 0 || running == 1 ? rc : hf_page_containers(q->store, &p, store_row, g, &ended, err);
    if (rc == 0 && g->failed)
        rc = hf_fail(err, HF_E_LIMIT, "too many containers for one list; search for some");
    if (rc == 0 && g->n)
        qsort(g->rows, g->n, sizeof *g->rows, newest_first);
    struct row edge = {.id = at->part[0], .running = at->flags != IN_ENDED, .started = at->n, .ended = at->n};
    unsigned shown = 0;
    const struct row *last = NULL;
    hf_api_page(&w, ret);
    for (size_t i = 0; i < g->n && rc == 0; i++) {
        struct row *r = &g->rows[i];
        if ((running >= 0 && r->running != (running == 1)) || (at->given && newest_first(r, &edge) <= 0))
            continue;
        if (shown == limit) {
            hf_api_next(ret, last->running ? last->started : last->ended, last->running ? 0 : IN_ENDED, &last->id, 1);
            break;
        }
        shown++;
        last = r;
        hf_jw_object(&w);
        rc = row_json(api, q, &w, r, err);
        hf_jw_object_end(&w);
    }
    hf_api_page_end(&w, ret, (running == 0 ? 0 : n_running) + (running == 1 ? 0 : ended + more));
    return rc < 0 ? rc : hf_api_end(ret, err);
}

HF_HANDLER(hf_api_containers)
{
    hf_cleanup(gather_done) struct gather g = {.q = q, .api = api, .digest = hf_query(q, "image")};
    struct hf_cursor at;
    unsigned limit = 0;
    int running = -1;
    int rc = hf_api_only(q, "running|q|image|limit|cursor", err);
    rc = rc < 0 ? rc : hf_api_bool(q, "running", &running, err);
    rc = rc < 0 ? rc : hf_api_search(q, &g.text, err);
    rc = rc < 0 ? rc : hf_api_limit(q, 1000, 100, &limit, err);
    rc = rc < 0 ? rc : hf_api_cursor(q, &at, err);
    for (size_t i = 0; i < q->n_query && rc == 0; i++)
        if (hf_span_eqz(q->query[i].name, "image") && !hf_api_is_digest(g.digest))
            rc = hf_fail(err, HF_E_USAGE, "\"image\" must be a digest, sha256: and 64 digits");
    rc = rc < 0 ? rc : running_rows(&g, err);
    return rc < 0 ? rc : page(api, q, ret, &g, &at, running, limit, err);
}

/* ---- one ---- */

struct detail {
    const struct hf_request *q;
    struct row row;
    struct hf_span facts, doc;
    bool found;
};

static bool detail_live(void *ctx, const struct hf_live_box *b)
{
    struct detail *d = ctx;
    const struct hf_request *q = d->q;
    d->found = true;
    d->row = (struct row){hf_api_keep(q, b->id), hf_api_keep(q, b->name), hf_api_keep(q, b->image), hf_api_keep(q, b->digest), {NULL, 0}, hf_api_keep(q, b->runtime),
            hf_api_keep(q, b->pod_namespace), hf_api_keep(q, b->pod_name), hf_api_keep(q, b->pod_container), {NULL, 0}, b->running, true, b->started, b->ended, b->drift, b->events_per_s};
    d->facts = hf_api_keep(q, b->facts);
    return true;
}

static int detail_store(void *ctx, const struct hf_inv_container *c)
{
    struct detail *d = ctx;
    d->found = true;
    d->row.id = d->row.id.n ? d->row.id : hf_api_keep(d->q, c->id);
    from_store(d->q, &d->row, c);
    d->doc = hf_api_keep(d->q, c->doc);
    return 0;
}

/* Facts of the store where live has none: the document of the inventory keeps them as the line had them. */
static void facts_of(struct detail *d)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    hf_autobuf b = HF_BUF_INIT(HF_LIVE_FACTS);
    if (d->facts.n || !d->doc.n || hf_json_parse_within(d->doc, 16u << 20, &doc, &ignored) < 0)
        return;
    hf_jnode root = hf_json_root(doc), facts = hf_jget(root, "facts");
    HF_JFOREACH(f, facts ? facts : root)
        if (hf_jis_str(f) && b.n + hf_jname(f).n + hf_jstr(f).n + 2 <= HF_LIVE_FACTS) {
            hf_buf_adds(&b, hf_jname(f));
            hf_buf_addc(&b, 0);
            hf_buf_adds(&b, hf_jstr(f));
            hf_buf_addc(&b, 0);
        }
    HF_JFOREACH(l, hf_jget(root, "labels"))
        if (hf_jis_str(l) && b.n + hf_jname(l).n + hf_jstr(l).n + 8 <= HF_LIVE_FACTS) {
            hf_buf_addz(&b, "label.");
            hf_buf_adds(&b, hf_jname(l));
            hf_buf_addc(&b, 0);
            hf_buf_adds(&b, hf_jstr(l));
            hf_buf_addc(&b, 0);
        }
    d->facts = hf_api_keep(d->q, hf_buf_span(&b));
}

void hf_api_facts(struct hf_jw *w, struct hf_span facts); /* api-facts.c */

static bool proc_json(void *ctx, const struct hf_live_proc *p)
{
    struct hf_jw *w = ctx;
    hf_jw_object(w);
    hf_jw_ku64(w, "pid", p->pid);
    hf_jw_ku64(w, "ppid", p->ppid);
    if (p->ns_pid)
        hf_jw_ku64(w, "ns_pid", p->ns_pid);
    hf_jw_kstr(w, "name", p->name);
    hf_jw_kstr(w, "exe", p->exe);
    hf_jw_key(w, "args");
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *args = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (p->args.n && hf_json_parse(p->args, &args, &ignored) == 0)
        hf_live_copy(w, hf_json_root(args));
    else {
        hf_jw_array(w);
        hf_jw_array_end(w);
    }
    hf_jw_ku64(w, "uid", p->uid);
    hf_api_when(w, "started", p->started);
    hf_jw_kstr_opt(w, "session", p->session);
    if (p->runtime)
        hf_jw_kbool(w, "runtime", true);
    if (p->severity >= 0)
        hf_jw_kstrz(w, "severity", hf_api_severity_name(p->severity));
    hf_jw_kstr_opt(w, "verdict", p->verdict);
    hf_jw_object_end(w);
    return true;
}

struct peers {
    struct hf_jw *w;
    struct hf_span id;
    unsigned n;
};

static bool peer_json(void *ctx, const struct hf_live_edge *e)
{
    static const char *const kinds[] = {"container", "host", "address"};
    struct peers *p = ctx;
    bool out = e->from.kind == HF_LIVE_CONTAINER && hf_span_eq(e->from.id, p->id);
    const struct hf_live_end *other = out ? &e->to : &e->from, *own = out ? &e->from : &e->to;
    struct hf_jw *w = p->w;
    hf_jw_object(w);
    hf_jw_kstrz(w, "direction", out ? "out" : "in");
    hf_jw_kstrz(w, "kind", kinds[other->kind]);
    hf_jw_kstr_opt(w, "id", other->id);
    hf_jw_kstr(w, "name", other->kind == HF_LIVE_HOST ? HF_S("host") : other->name.n ? other->name : other->address);
    hf_jw_kstr_opt(w, "address", other->address);
    if (other->kind == HF_LIVE_ADDRESS)
        hf_jw_kstr_opt(w, "dns", other->name);
    hf_jw_ku64(w, "port", e->port);
    hf_jw_kstr(w, "protocol", e->protocol);
    hf_jw_kstr_opt(w, "exe", own->exe);
    hf_jw_ku64(w, "count", e->count);
    hf_api_when(w, "first", e->first);
    hf_api_when(w, "last", e->last);
    hf_jw_object_end(w);
    return ++p->n < 500;
}

static bool verdict_json(void *ctx, struct hf_span json)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (hf_json_parse(json, &doc, &ignored) == 0)
        hf_live_copy(ctx, hf_json_root(doc));
    return true;
}

struct told {
    struct hf_api *api;
    const struct hf_request *q;
    struct hf_jw *w;
    struct hf_map seen;
    unsigned n;
    struct hf_err *err;
};

static int incident_row(void *ctx, struct hf_span id, uint64_t revision, int64_t updated)
{
    struct told *t = ctx;
    uint64_t *at = hf_map_at(&t->seen, hf_api_keep(t->q, id), NULL);
    (void)updated;
    if (!at || *at || t->n >= 20)
        return 0;
    *at = 1;
    t->n++;
    int rc = hf_api_incident_of(t->api, t->q, t->w, id, revision, t->err);
    return rc < 0 ? rc : 0;
}

static int incident_of_alert(void *ctx, struct hf_span id, uint64_t n)
{
    (void)n;
    return incident_row(ctx, id, 0, 0);
}

/* Unresolved ones that name it, then those that its last alerts are part of. */
static int incidents_json(struct hf_api *api, const struct hf_request *q, struct hf_jw *w, struct hf_span id, struct hf_err *err)
{
    struct told t = {api, q, w, {0}, 0, err};
    struct hf_incident_filter f = {.states = HF_STATE_UNRESOLVED, .text = id, .limit = 20};
    hf_jw_key(w, "incident_items");
    hf_jw_array(w);
    int rc = id.n >= 12 ? hf_page_incidents(q->store, &f, incident_row, &t, err) : 0;
    rc = rc < 0 ? rc : hf_page_incidents_of(q->store, id, 20, incident_of_alert, &t, err);
    hf_jw_array_end(w);
    hf_map_done(&t.seen);
    return rc < 0 ? rc : 0;
}

static void live_parts(struct hf_api *api, struct hf_jw *w, struct hf_span id)
{
    struct peers p = {w, id, 0};
    hf_jw_key(w, "processes");
    hf_jw_array(w);
    if (api->live)
        hf_live_procs(api->live, id, proc_json, w);
    hf_jw_array_end(w);
    hf_jw_key(w, "peers");
    hf_jw_array(w);
    if (api->live)
        hf_live_edges(api->live, id, 0, peer_json, &p);
    hf_jw_array_end(w);
    hf_jw_key(w, "verdicts");
    hf_jw_array(w);
    if (api->live)
        hf_live_verdicts(api->live, id, hf_span(NULL, 0), verdict_json, w);
    hf_jw_array_end(w);
}

void hf_api_in_force(struct hf_api *api, const struct hf_request *q, struct hf_jw *w, struct hf_span id); /* api-act.c */

HF_HANDLER(hf_api_container)
{
    struct detail d = {.q = q};
    struct hf_jw w;
    struct hf_span id = q->args[0];
    int rc = hf_api_only(q, "", err);
    if (rc == 0 && hf_api_is_container(id)) {
        if (api->live)
            hf_live_box(api->live, id, detail_live, &d);
        rc = hf_store_container_get(q->store, id, detail_store, &d, err);
    }
    if (rc < 0)
        return rc;
    if (!d.found)
        return hf_fail(err, HF_E_NOT_FOUND, "there is no container %.64s", hf_api_keep(q, id).p);
    facts_of(&d);
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    rc = row_json(api, q, &w, &d.row, err);
    hf_api_facts(&w, d.facts);
    live_parts(api, &w, id);
    rc = rc < 0 ? rc : incidents_json(api, q, &w, id, err);
    hf_api_in_force(api, q, &w, id);
    hf_jw_object_end(&w);
    return rc < 0 ? rc : hf_api_end(ret, err);
}
