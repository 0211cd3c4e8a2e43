/* SPDX-License-Identifier: Apache-2.0 */
/* Which packages ran or were loaded, as `holdfast inuse --json` tells it: also libraries, of which no line of watch speaks. */
#include <errno.h>

#include "inventory/inventory-internal.h"
#include "store/sql.h"
#include "store/store.h"

#define OF_SYSTEM "ecosystem NOT IN ('npm', 'pypi', 'golang', 'maven', 'gem', 'cargo')"
enum { IMAGES_MAX = 4096, PACKAGES_MAX = 16384 };

static bool is(const cJSON *o, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, name));
}

/* As a scan says it. */
static cJSON *in_use(const cJSON *p)
{
    bool listens = is(p, "listens"), root = is(p, "root");
    cJSON *o = cJSON_CreateObject();
    hf_inv_put(o, "state", cJSON_CreateString(listens && root ? "act_now" : listens ? "reachable" : "used"));
    hf_inv_put(o, "root", cJSON_CreateBool(root));
    for (const char *const *m = (const char *const[]){"first", "last", NULL}; *m; m++)
        if (strlen(hf_inv_z(p, *m)) == 20)
            hf_inv_put(o, *m, cJSON_CreateString(hf_inv_z(p, *m)));
    return o;
}

/* When it was last used changes all the time: what matters is the hour. */
static bool same(const cJSON *a, const cJSON *b)
{
    return a && !strcmp(hf_inv_z(a, "state"), hf_inv_z(b, "state")) && is(a, "root") == is(b, "root") && !strncmp(hf_inv_z(a, "last"), hf_inv_z(b, "last"), 13);
}

/* The document with this use in it; 1: it is another one. */
static int with_use(struct hf_span doc, const cJSON *use, struct hf_buf *out, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct hf_jw w;
    int rc = hf_json_parse(doc, &d, err);
    const cJSON *root = rc < 0 ? NULL : hf_json_root(d);
    if (rc < 0 || !cJSON_IsObject(root) || same(cJSON_GetObjectItemCaseSensitive(root, "in_use"), use))
        return rc == HF_E_FORMAT ? 0 : rc; /* not ours: left as it is */
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    for (const cJSON *m = root->child; m; m = m->next)
        if (m->string && strcmp(m->string, "in_use") != 0) {
            hf_jw_key(&w, m->string);
            hf_inv_write(&w, m);
        }
    hf_jw_key(&w, "in_use");
    hf_inv_write(&w, use);
    hf_jw_object_end(&w);
    return hf_buf_ok(out) ? 1 : hf_fail(err, HF_E_LIMIT, "a document of over %zu bytes", out->max);
}

struct row {
    struct hf_buf id, ecosystem, doc;
};

static void row_done(struct row *r)
{
    hf_buf_done(&r->id);
    hf_buf_done(&r->ecosystem);
    hf_buf_done(&r->doc);
}

/* The next row behind `after` (ecosystem, id), copied: what is read must not be open while it is changed. */
static int next_row(struct hf_store *s, bool findings, struct hf_span digest, struct hf_span name, struct hf_span version, struct row *r, struct hf_err *err)
{
    const struct hf_sql_value v[] = {HF_TEXT(digest), HF_TEXT(name), HF_TEXT(version), HF_TEXT(hf_buf_span(&r->ecosystem)), HF_TEXT(hf_buf_span(&r->id))};
    hf_autorows rows = {0};
    int rc = findings ? hf_sql_query(&rows, s, err, "SELECT ecosystem, id, doc FROM findings WHERE digest = ? AND package = ? AND version = ? AND (ecosystem, id) > (?, ?) AND " OF_SYSTEM
                                                    " ORDER BY ecosystem, id LIMIT 1", v, 5)
                      : hf_sql_query(&rows, s, err, "SELECT ecosystem, '', doc FROM packages WHERE digest = ? AND name = ? AND version = ? AND ecosystem > ? AND " OF_SYSTEM " ORDER BY ecosystem LIMIT 1", v, 4);
    if (rc == 0)
        rc = hf_sql_next(&rows, err);
    if (rc <= 0)
        return rc;
    hf_buf_clear(&r->ecosystem);
    hf_buf_clear(&r->id);
    hf_buf_clear(&r->doc);
    hf_buf_adds(&r->ecosystem, hf_sql_text(&rows, 0));
    hf_buf_adds(&r->id, hf_sql_text(&rows, 1));
    hf_buf_adds(&r->doc, hf_sql_text(&rows, 2));
    return hf_buf_ok(&r->doc) ? 1 : hf_fail(err, HF_E_LIMIT, "a document of over %zu bytes", r->doc.max);
}

static int apply(struct hf_store *s, bool findings, struct hf_span digest, struct hf_span name, struct hf_span version, const cJSON *use, struct hf_err *err)
{
    hf_cleanup(row_done) struct row r = {HF_BUF_INIT(HF_STORE_KEY_MAX), HF_BUF_INIT(HF_STORE_KEY_MAX), HF_BUF_INIT(HF_STORE_DOC_MAX)};
    int rc, changed = 0;
    while ((rc = next_row(s, findings, digest, name, version, &r, err)) > 0) {
        hf_autobuf doc = HF_BUF_INIT(HF_INV_DOC_MAX);
        rc = with_use(hf_buf_span(&r.doc), use, &doc, err);
        if (rc <= 0 && rc != 0)
            return rc;
        if (rc == 0)
            continue;
        changed++;
        const struct hf_sql_value v[] = {HF_TEXT(hf_buf_span(&doc)), HF_TEXT(digest), HF_TEXT(hf_buf_span(&r.ecosystem)), HF_TEXT(name), HF_TEXT(version), HF_TEXT(hf_buf_span(&r.id))};
        rc = findings ? hf_sql_run(s, err, "UPDATE findings SET used = 1, doc = ? WHERE digest = ? AND ecosystem = ? AND package = ? AND version = ? AND id = ?", v, 6)
                      : hf_sql_run(s, err, "UPDATE packages SET used = 1, doc = ? WHERE digest = ? AND ecosystem = ? AND name = ? AND version = ?", v, 5);
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? rc : changed;
}

static int image(struct hf_store *s, const cJSON *i, struct hf_err *err)
{
    struct hf_span digest = hf_span_z(hf_inv_z(i, "image"));
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(i, "packages");
    unsigned n = 0;
    int marked = 0;
    hf_autotx tx = {0};
    if (!hf_inv_digest_ok(digest) || !cJSON_IsArray(all))
        return 0;
    int rc = hf_tx_begin(&tx, s, err);
    for (const cJSON *p = all->child; p && n++ < PACKAGES_MAX && rc >= 0; p = p->next) {
        struct hf_span name = hf_span_z(hf_inv_z(p, "name")), version = hf_span_z(hf_inv_z(p, "version"));
        cJSON *use = name.n && name.n <= HF_INV_KEY_MAX && version.n <= HF_INV_KEY_MAX ? in_use(p) : NULL;
        if (use) {
            rc = apply(s, false, digest, name, version, use, err);
            marked += rc > 0;
            rc = rc < 0 ? rc : apply(s, true, digest, name, version, use, err);
        }
        cJSON_Delete(use);
    }
    rc = rc < 0 ? rc : hf_tx_commit(&tx, err);
    return rc < 0 ? rc : marked;
}

int hf_inv_inuse(struct hf_store *s, struct hf_span text, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    unsigned n = 0;
    int marked = 0, rc = text.n > HF_INV_SCAN_MAX ? hf_fail(err, HF_E_LIMIT, "a list of packages in use of %zu bytes; the limit is %d", text.n, HF_INV_SCAN_MAX) : hf_json_parse(text, &d, err);
    if (rc < 0)
        return rc;
    const cJSON *root = hf_json_root(d), *all = cJSON_GetObjectItemCaseSensitive(root, "images");
    if (strcmp(hf_inv_z(root, "schema"), "holdfast.inuse/1") != 0 || !cJSON_IsArray(all))
        return hf_fail(err, HF_E_FORMAT, "this is no document of schema holdfast.inuse/1, as \"holdfast inuse --json\" writes it");
    for (const cJSON *i = all->child; i && n++ < IMAGES_MAX && rc >= 0; i = i->next) {
        rc = image(s, i, err);
        marked += HF_MAX(rc, 0);
    }
    return rc < 0 ? rc : marked;
}
