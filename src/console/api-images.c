// SPDX-License-Identifier: Apache-2.0
/* /api/v1/images: from the inventory; documents of images are what src/inventory/scan.c wrote (holdfast.image/1). */
#include "console/api-common.h"
#include "console/live-internal.h"
#include "store/inventory.h"
#include "store/pages.h"

/* ---- the list ---- */

struct listing {
    struct hf_api *api;
    const struct hf_request *q;
    struct hf_jw w;
    unsigned n, limit;
    struct hf_span last[2];
    bool more;
    struct hf_err *err;
    /* of one: */
    bool detail;
    struct hf_span doc;
};

static int image_members(struct listing *l, const struct hf_inv_image *i, uint64_t running)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_image_counts c = {0};
    struct hf_jw *w = &l->w;
    int rc = hf_api_image_counts(l->api, l->q, i->digest, &c, l->err);
    hf_jnode root = hf_json_parse_within(i->doc, 64u << 20, &doc, &ignored) == 0 ? hf_json_root(doc) : NULL;
    hf_jw_kstr(w, "digest", i->digest);
    hf_jw_kstr(w, "name", i->name.n ? i->name : hf_span_sub(i->digest, 0, 19));
    hf_api_when(w, "scanned", i->scanned);
    if (hf_jget(root, "size"))
        hf_jw_ku64(w, "size", hf_live_u64(root, "size"));
    hf_jw_kstr_opt(w, "os", hf_jgetstr(hf_jget(root, "release"), "name").n ? hf_jgetstr(hf_jget(root, "release"), "name") : hf_jgetstr(root, "os"));
    hf_jw_kstr_opt(w, "architecture", hf_jgetstr(root, "arch"));
    hf_jw_kstr_opt(w, "scan_error", hf_jgetstr(root, "scan_error"));
    hf_jw_ku64(w, "packages", c.packages);
    hf_jw_ku64(w, "running", running);
    hf_jw_kbool(w, "sealed", c.sealed);
    hf_api_findings(w, &c);
    return rc;
}

static int image_row(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    struct listing *l = ctx;
    if (l->detail) {
        l->doc = hf_api_keep(l->q, i->doc);
        l->n = 1;
        return image_members(l, i, running);
    }
    if (l->n == l->limit) {
        l->more = true;
        return 1;
    }
    l->n++;
    l->last[0] = hf_api_keep(l->q, i->name);
    l->last[1] = hf_api_keep(l->q, i->digest);
    hf_jw_object(&l->w);
    int rc = image_members(l, i, running);
    hf_jw_object_end(&l->w);
    return rc;
}

HF_HANDLER(hf_api_images)
{
    struct listing l = {.api = api, .q = q, .err = err};
    struct hf_page_images p = {0};
    struct hf_cursor at;
    uint64_t total = 0;
    int rc = hf_api_only(q, "q|running|limit|cursor", err);
    rc = rc < 0 ? rc : hf_api_search(q, &p.text, err);
    rc = rc < 0 ? rc : hf_api_bool(q, "running", &p.running, err);
    rc = rc < 0 ? rc : hf_api_limit(q, 1000, 100, &l.limit, err);
    rc = rc < 0 ? rc : hf_api_cursor(q, &at, err);
    if (rc < 0)
        return rc;
    p.limit = l.limit + 1;
    p.after_name = at.part[0];
    p.after_digest = at.part[1];
    hf_api_page(&l.w, ret);
    if ((rc = hf_page_images(q->store, &p, image_row, &l, &total, err)) < 0)
        return rc;
    if (l.more)
        hf_api_next(ret, 0, 0, l.last, 2);
    hf_api_page_end(&l.w, ret, total);
    return hf_api_end(ret, err);
}

/* ---- one ---- */

static void layers_json(struct hf_jw *w, hf_jnode root)
{
    uint64_t index = 0;
    hf_jw_key(w, "layers");
    hf_jw_array(w);
    HF_JFOREACH(layer, hf_jget(root, "layers")) {
        uint64_t findings = 0;
        for (const char *const *k = (const char *const[]){"critical", "high", "medium", "low", "notice", "info", NULL}; *k; k++)
            findings += hf_live_u64(layer, *k);
        hf_jw_object(w);
        hf_jw_ku64(w, "index", index++);
        for (const char *const *k = (const char *const[]){"digest", "diff_id", "created_by", NULL}; *k; k++)
            hf_jw_kstr_opt(w, *k, hf_jgetstr(layer, *k));
        hf_jw_ku64(w, "size", hf_live_u64(layer, "size"));
        hf_jw_ku64(w, "packages", hf_live_u64(layer, "packages"));
        hf_jw_ku64(w, "findings", findings);
        hf_jw_ku64(w, "findings_high", hf_live_u64(layer, "critical") + hf_live_u64(layer, "high"));
        hf_jw_key(w, "brought");
        hf_jw_array(w);
        HF_JFOREACH(name, hf_jget(layer, "names"))
            hf_jw_str(w, hf_jstr(name));
        hf_jw_array_end(w);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
}

static void incomplete_json(struct hf_jw *w, hf_jnode root)
{
    hf_jw_key(w, "incomplete");
    hf_jw_array(w);
    HF_JFOREACH(i, hf_jget(root, "incomplete")) {
        hf_autobuf b = HF_BUF_INIT(8192);
        if (hf_jis_str(i))
            hf_buf_adds(&b, hf_jstr(i));
        HF_JFOREACH(m, hf_jis_object(i) ? i : NULL)
            if (hf_jis_str(m)) {
                hf_buf_addz(&b, b.n ? ": " : "");
                hf_buf_adds(&b, hf_jstr(m));
            }
        if (b.n)
            hf_jw_str(w, hf_buf_span(&b));
    }
    hf_jw_array_end(w);
}

static bool verdict_json(void *ctx, struct hf_span json)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (hf_json_parse(json, &doc, &ignored) == 0)
        hf_live_copy(ctx, hf_json_root(doc));
    return true;
}

static int seal_json(const struct hf_request *q, struct hf_jw *w, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(HF_STORE_DOC_MAX);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    int64_t made = 0;
    int rc = hf_store_seal_get(q->store, q->args[0], &text, &made, err);
    if (rc <= 0)
        return rc;
    hf_jw_key(w, "seal");
    hf_jw_object(w);
    hf_api_when(w, "made", HF_MAX(made, 1));
    if (hf_json_parse_within(hf_buf_span(&text), 64u << 20, &doc, &ignored) == 0) {
        hf_jnode root = hf_json_root(doc);
        if (hf_jget(root, "files"))
            hf_jw_ku64(w, "files", hf_live_u64(root, "files"));
        if (hf_jis_bool(hf_jget(root, "signed")))
            hf_jw_kbool(w, "signed", hf_jis_true(hf_jget(root, "signed")));
    }
    hf_jw_object_end(w);
    return 0;
}

static int not_there(const struct hf_request *q, struct hf_err *err)
{
    return hf_fail(err, HF_E_NOT_FOUND, "there is no image %.80s", hf_api_keep(q, q->args[0]).p);
}

HF_HANDLER(hf_api_image)
{
    struct listing l = {.api = api, .q = q, .err = err, .detail = true};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_finding_counts c = {0};
    int rc = hf_api_only(q, "", err);
    hf_jw_init(&l.w, &ret->body, false);
    hf_jw_object(&l.w);
    if (rc == 0 && hf_api_is_digest(q->args[0]))
        rc = hf_store_image_get(q->store, q->args[0], image_row, &l, err);
    if (rc < 0)
        return rc;
    if (!l.n)
        return not_there(q, err);
    hf_jnode root = hf_json_parse_within(l.doc, 64u << 20, &doc, &ignored) == 0 ? hf_json_root(doc) : NULL;
    layers_json(&l.w, root);
    incomplete_json(&l.w, root);
    if (hf_jis_object(hf_jget(root, "config"))) {
        hf_jw_key(&l.w, "config");
        hf_live_copy(&l.w, hf_jget(root, "config"));
    }
    hf_jw_key(&l.w, "containers");
    hf_jw_array(&l.w);
    rc = hf_api_containers_of(api, q, &l.w, q->args[0], 200, err);
    hf_jw_array_end(&l.w);
    hf_jw_key(&l.w, "drift");
    hf_jw_array(&l.w);
    if (api->live)
        hf_live_verdicts(api->live, hf_span(NULL, 0), q->args[0], verdict_json, &l.w);
    hf_jw_array_end(&l.w);
    rc = rc < 0 ? rc : hf_store_finding_counts(q->store, q->args[0], false, &c, err);
    hf_api_by_severity(&l.w, "findings_by_severity", c.n);
    hf_api_by_severity(&l.w, "used_by_severity", c.used);
    rc = rc < 0 ? rc : seal_json(q, &l.w, err);
    hf_jw_object_end(&l.w);
    return rc < 0 ? rc : hf_api_end(ret, err);
}

/* ---- packages, findings ---- */

static int exists(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    (void)i;
    (void)running;
    *(bool *)ctx = true;
    return 0;
}

static int must_exist(const struct hf_request *q, struct hf_err *err)
{
    bool there = false;
    int rc = hf_api_is_digest(q->args[0]) ? hf_store_image_get(q->store, q->args[0], exists, &there, err) : 0;
    return rc < 0 ? rc : there ? 0 : not_there(q, err);
}

struct rows {
    const struct hf_request *q;
    struct hf_jw w;
    unsigned n, limit;
    bool more;
    int64_t last_n;
    uint8_t flags;
    struct hf_span last[4];
};

static int package_row(void *ctx, const struct hf_inv_package *p, uint64_t findings)
{
    struct rows *r = ctx;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_jw *w = &r->w;
    if (r->n == r->limit) {
        r->more = true;
        return 1;
    }
    r->n++;
    r->flags = p->used;
    r->last[0] = hf_api_keep(r->q, p->ecosystem);
    r->last[1] = hf_api_keep(r->q, p->name);
    r->last[2] = hf_api_keep(r->q, p->version);
    hf_jnode root = p->doc.n && hf_json_parse_within(p->doc, 16u << 20, &doc, &ignored) == 0 ? hf_json_root(doc) : NULL;
    hf_jw_object(w);
    hf_jw_kstr(w, "ecosystem", p->ecosystem);
    hf_jw_kstr(w, "name", p->name);
    hf_jw_kstr(w, "version", p->version);
    hf_jw_kstr_opt(w, "source", p->source);
    hf_jw_kbool(w, "used", p->used);
    hf_jw_ku64(w, "findings", findings);
    hf_jw_kstr_opt(w, "purl", hf_jgetstr(root, "purl"));
    if (hf_jis_array(hf_jget(root, "licenses"))) {
        hf_jw_key(w, "licenses");
        hf_jw_array(w);
        HF_JFOREACH(l, hf_jget(root, "licenses"))
            if (hf_jis_str(l))
                hf_jw_str(w, hf_jstr(l));
        hf_jw_array_end(w);
    }
    hf_jw_object_end(w);
    return 0;
}

HF_HANDLER(hf_api_packages)
{
    struct rows r = {.q = q};
    struct hf_page_packages p = {.digest = q->args[0]};
    struct hf_cursor at;
    uint64_t total = 0;
    (void)api;
    int rc = hf_api_only(q, "q|limit|cursor", err);
    rc = rc < 0 ? rc : hf_api_search(q, &p.text, err);
    rc = rc < 0 ? rc : hf_api_limit(q, 1000, 100, &r.limit, err);
    rc = rc < 0 ? rc : hf_api_cursor(q, &at, err);
    rc = rc < 0 ? rc : must_exist(q, err);
    if (rc < 0)
        return rc;
    p.limit = r.limit + 1;
    p.after = at.given;
    p.after_used = at.flags & 1;
    p.after_ecosystem = at.part[0];
    p.after_name = at.part[1];
    p.after_version = at.part[2];
    hf_api_page(&r.w, ret);
    if ((rc = hf_page_packages(q->store, &p, package_row, &r, &total, err)) < 0)
        return rc;
    if (r.more)
        hf_api_next(ret, 0, r.flags, r.last, 3);
    hf_api_page_end(&r.w, ret, total);
    return hf_api_end(ret, err);
}

/* Of the document of the scan (docs/schema/scan-1.json, "vulnerabilities"). */
static void finding_doc(struct hf_jw *w, hf_jnode root)
{
    double score = -1, one;
    HF_JFOREACH(c, hf_jget(root, "cvss"))
        if (hf_jnum(hf_jget(c, "score"), &one))
            score = HF_MAX(score, one);
    if (score >= 0) {
        hf_jw_key(w, "score");
        hf_jw_fixed(w, score, 1);
    }
    if (hf_jnum(hf_jget(hf_jget(root, "epss"), "score"), &one)) {
        hf_jw_key(w, "epss");
        hf_jw_fixed(w, one, 5);
    }
    hf_jw_kstr_opt(w, "title", hf_span_sub(hf_jgetstr(root, "summary"), 0, 400));
    hf_jw_kstr_opt(w, "layer", hf_jgetstr(root, "layer"));
    hf_jw_kstr_opt(w, "url", hf_jstr(hf_jfirst(hf_jget(root, "urls"))));
    if (hf_jis_object(hf_jget(root, "kev")))
        hf_jw_kbool(w, "exploited", true);
    hf_jw_kstr_opt(w, "status", hf_jgetstr(root, "status"));
    hf_jw_kstr_opt(w, "use", hf_jgetstr(hf_jget(root, "in_use"), "state"));
}

static int finding_row(void *ctx, struct hf_span digest, const struct hf_inv_finding *f, uint64_t running)
{
    struct rows *r = ctx;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_jw *w = &r->w;
    (void)digest;
    (void)running;
    if (r->n == r->limit) {
        r->more = true;
        return 1;
    }
    r->n++;
    r->flags = f->used;
    r->last_n = f->severity;
    r->last[0] = hf_api_keep(r->q, f->id);
    r->last[1] = hf_api_keep(r->q, f->ecosystem);
    r->last[2] = hf_api_keep(r->q, f->package);
    r->last[3] = hf_api_keep(r->q, f->version);
    hf_jw_object(w);
    hf_jw_kstr(w, "id", f->id);
    hf_jw_kstr(w, "ecosystem", f->ecosystem);
    hf_jw_kstr(w, "package", f->package);
    hf_jw_kstr(w, "version", f->version);
    hf_jw_kstr_opt(w, "fixed", f->fixed);
    hf_jw_kstrz(w, "severity", hf_api_severity_name(f->severity));
    hf_jw_kbool(w, "used", f->used);
    hf_api_when(w, "found", HF_MAX(f->found, 1));
    if (f->doc.n && hf_json_parse_within(f->doc, 16u << 20, &doc, &ignored) == 0)
        finding_doc(w, hf_json_root(doc));
    hf_jw_object_end(w);
    return 0;
}

HF_HANDLER(hf_api_findings_list)
{
    struct rows r = {.q = q};
    struct hf_page_findings p = {.digest = q->args[0]};
    struct hf_cursor at;
    uint64_t total = 0;
    (void)api;
    int rc = hf_api_only(q, "q|min_severity|used|limit|cursor", err);
    rc = rc < 0 ? rc : hf_api_search(q, &p.text, err);
    rc = rc < 0 ? rc : hf_api_severity(q, "min_severity", &p.min_severity, err);
    rc = rc < 0 ? rc : hf_api_bool(q, "used", &p.used, err);
    rc = rc < 0 ? rc : hf_api_limit(q, 1000, 100, &r.limit, err);
    rc = rc < 0 ? rc : hf_api_cursor(q, &at, err);
    rc = rc < 0 ? rc : must_exist(q, err);
    if (rc < 0)
        return rc;
    p.limit = r.limit + 1;
    p.after = at.given;
    p.after_used = at.flags & 1;
    p.after_severity = (int)HF_MIN(at.n, 7);
    p.after_id = at.part[0];
    p.after_ecosystem = at.part[1];
    p.after_package = at.part[2];
    p.after_version = at.part[3];
    hf_api_page(&r.w, ret);
    if ((rc = hf_page_findings(q->store, &p, finding_row, &r, &total, err)) < 0)
        return rc;
    if (r.more)
        hf_api_next(ret, r.last_n, r.flags, r.last, 4);
    hf_api_page_end(&r.w, ret, total);
    return hf_api_end(ret, err);
}
