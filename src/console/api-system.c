// SPDX-License-Identifier: Apache-2.0
/* Channels, the audit log, the description of the API. */
#include <stdio.h>
#include <stdlib.h>

#include "console/api-common.h"
#include "console/live-internal.h"
#include "desk/publish.h"
#include "store/audit.h"
#include "store/pages.h"
#include "store/queue.h"

/* ---- channels ---- */

static int members(const struct hf_request *q, struct hf_jw *w, struct hf_span name, struct hf_err *err)
{
    struct hf_queue_stats s = {0};
    int rc = hf_store_queue_stats(q->store, name, &s, err);
    hf_jw_ku64(w, "waiting", s.waiting);
    hf_jw_ku64(w, "claimed", s.claimed);
    hf_jw_ku64(w, "dead", s.dead);
    hf_jw_ku64(w, "folded", s.folded);
    hf_api_when(w, "oldest", s.oldest);
    return rc;
}

struct rows {
    const struct hf_request *q;
    struct hf_jw w;
    struct hf_map known;
    struct hf_err *err;
    unsigned n, limit;
    uint64_t last;
    bool more;
};

static void rows_done(struct rows *r)
{
    hf_map_done(&r->known);
}

/* The file has it no longer, but there are messages for it. */
static int forgotten(void *ctx, struct hf_span name, uint64_t n)
{
    struct rows *r = ctx;
    uint64_t there;
    (void)n;
    if (hf_map_get(&r->known, name, &there))
        return 0;
    r->n++;
    hf_jw_object(&r->w);
    hf_jw_kstr(&r->w, "name", name);
    hf_jw_kstrz(&r->w, "kind", "");
    hf_jw_kbool(&r->w, "configured", false);
    int rc = members(r->q, &r->w, name, r->err);
    hf_jw_object_end(&r->w);
    return rc;
}

HF_HANDLER(hf_api_channels)
{
    hf_cleanup(rows_done) struct rows r = {.q = q, .err = err};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    (void)api;
    int rc = hf_api_only(q, "", err);
    rc = rc < 0 ? rc : hf_published(q->store, "channels", &doc, err);
    hf_api_page(&r.w, ret);
    HF_JFOREACH(c, hf_jget(doc ? hf_json_root(doc) : NULL, "channels")) {
        struct hf_span name = hf_jgetstr(c, "name");
        if (rc < 0 || !name.n)
            continue;
        (void)!hf_map_at(&r.known, name, NULL);
        r.n++;
        hf_jw_object(&r.w);
        hf_jw_kstr(&r.w, "name", name);
        hf_jw_kstr(&r.w, "kind", hf_jgetstr(c, "kind"));
        hf_jw_kbool(&r.w, "configured", true);
        for (const char *const *k = (const char *const[]){"updates", "routes", NULL}; *k; k++) {
            hf_jw_key(&r.w, *k);
            hf_jw_array(&r.w);
            HF_JFOREACH(t, hf_jget(c, *k))
                hf_jw_str(&r.w, hf_jstr(t));
            hf_jw_array_end(&r.w);
        }
        rc = members(q, &r.w, name, err);
        hf_jw_object_end(&r.w);
    }
    rc = rc < 0 ? rc : hf_page_channels(q->store, forgotten, &r, err);
    hf_api_page_end(&r.w, ret, r.n);
    return rc < 0 ? rc : hf_api_end(ret, err);
}

static int dead_row(void *ctx, const struct hf_queue_entry *e)
{
    struct rows *r = ctx;
    struct hf_jw *w = &r->w;
    if (r->n == r->limit) {
        r->more = true;
        return 1;
    }
    r->n++;
    r->last = e->seq;
    hf_jw_object(w);
    hf_jw_ku64(w, "seq", e->seq);
    hf_jw_kstr(w, "channel", e->channel);
    hf_jw_kstr_opt(w, "key", e->key);
    hf_api_when(w, "pushed", HF_MAX(e->pushed, 1));
    hf_jw_ku64(w, "tries", e->tries);
    hf_jw_ku64(w, "folded", e->folded);
    hf_jw_kstr(w, "error", e->error);
    hf_jw_object_end(w);
    return 0;
}

static int channel_there(void *ctx, struct hf_span name, uint64_t n)
{
    struct rows *r = ctx;
    (void)n;
    r->more = r->more || hf_span_eq(name, r->q->args[0]);
    return 0;
}

int hf_api_channel_known(const struct hf_request *q, struct hf_err *err)
{
    struct rows r = {.q = q};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_published(q->store, "channels", &doc, err);
    rc = rc < 0 ? rc : hf_page_channels(q->store, channel_there, &r, err);
    HF_JFOREACH(c, hf_jget(doc ? hf_json_root(doc) : NULL, "channels"))
        r.more = r.more || hf_span_eq(hf_jgetstr(c, "name"), q->args[0]);
    return rc < 0 ? rc : r.more ? 0 : hf_fail(err, HF_E_NOT_FOUND, "there is no channel %.100s", hf_api_keep(q, q->args[0]).p);
}

HF_HANDLER(hf_api_channel_dead)
{
    hf_cleanup(rows_done) struct rows r = {.q = q, .err = err};
    struct hf_cursor at;
    (void)api;
    int rc = hf_api_only(q, "limit|cursor", err);
    rc = rc < 0 ? rc : hf_api_limit(q, 1000, 100, &r.limit, err);
    rc = rc < 0 ? rc : hf_api_cursor(q, &at, err);
    rc = rc < 0 ? rc : hf_api_channel_known(q, err);
    hf_api_page(&r.w, ret);
    rc = rc < 0 ? rc : hf_store_queue_dead_list(q->store, q->args[0], (uint64_t)at.n, r.limit + 1, dead_row, &r, err);
    if (rc < 0)
        return rc;
    if (r.more)
        hf_api_next(ret, (int64_t)r.last, 0, NULL, 0);
    hf_api_page_end(&r.w, ret, UINT64_MAX);
    return hf_api_end(ret, err);
}

/* ---- audit ---- */

static int audit_row(void *ctx, const struct hf_audit_entry *e)
{
    struct rows *r = ctx;
    if (r->n == r->limit) {
        r->more = true;
        return 1;
    }
    r->n++;
    r->last = e->seq;
    hf_api_audit_item(&r->w, e);
    return 0;
}

HF_HANDLER(hf_api_audit)
{
    hf_cleanup(rows_done) struct rows r = {.q = q, .err = err};
    struct hf_span target;
    struct hf_cursor at;
    uint64_t total = 0;
    (void)api;
    int rc = hf_api_only(q, "target|limit|cursor", err);
    rc = rc < 0 ? rc : hf_api_limit(q, 1000, 100, &r.limit, err);
    rc = rc < 0 ? rc : hf_api_text(q, "target", 200, &target, err);
    rc = rc < 0 ? rc : hf_api_cursor(q, &at, err);
    hf_api_page(&r.w, ret);
    if (rc == 0)
        rc = hf_page_audit(q->store, target, at.given ? (uint64_t)HF_MAX(at.n, 1) : 0, r.limit + 1, audit_row, &r, &total, err);
    if (rc < 0)
        return rc;
    if (r.more)
        hf_api_next(ret, (int64_t)r.last, 0, NULL, 0);
    hf_api_page_end(&r.w, ret, total);
    return hf_api_end(ret, err);
}

HF_HANDLER(hf_api_audit_verify)
{
    struct hf_audit_head head = {0};
    struct hf_jw w;
    (void)api;
    int rc = hf_api_only(q, "", err);
    if (rc < 0)
        return rc;
    rc = hf_store_audit_verify(q->store, NULL, &head, err);
    if (rc < 0 && rc != HF_E_DIGEST)
        return rc;
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    hf_jw_kbool(&w, "ok", rc == 0);
    if (rc < 0)
        hf_jw_kstrz(&w, "problem", err->msg);
    else
        hf_jw_kstrz(&w, "head", head.hash);
    hf_jw_ku64(&w, "entries", rc < 0 ? 0 : head.seq);
    hf_jw_object_end(&w);
    return hf_api_end(ret, err);
}

/* ---- the description ---- */

extern const char hf_openapi[]; /* made from openapi.yaml by gen-openapi */
extern const size_t hf_openapi_n;

HF_HANDLER(hf_api_openapi)
{
    (void)api;
    int rc = hf_api_only(q, "", err);
    if (rc < 0)
        return rc;
    snprintf(ret->etag, sizeof ret->etag, "\"%016zx\"", hf_openapi_n ^ (size_t)hf_span_hash(hf_span(hf_openapi, hf_openapi_n)));
    hf_buf_add(&ret->body, hf_openapi, hf_openapi_n);
    return hf_api_end(ret, err);
}
