/* SPDX-License-Identifier: Apache-2.0 */
#include "store/inventory.h"

#include "store/sql-internal.h"

/* A key, in a transaction, one statement: what most writes here are. */
static int put(struct hf_store *s, struct hf_span key, const char *what, const char *sql, const struct hf_sql_value *v, size_t n, struct hf_err *err)
{
    int rc = key.n ? hf_store_cap(key, HF_STORE_KEY_MAX, what, err) : hf_fail(err, HF_E_FORMAT, "%s is empty", what);
    int changed = 0;
    hf_autotx tx = {0};
    if (rc == 0)
        rc = hf_tx_begin(&tx, s, err);
    if (rc == 0)
        changed = rc = hf_sql_run(s, err, sql, v, n);
    if (rc >= 0)
        rc = hf_tx_commit(&tx, err);
    return rc < 0 ? rc : changed;
}

static int done(int rc)
{
    return rc < 0 ? rc : 0;
}

int hf_store_host_put(struct hf_store *s, const struct hf_inv_host *h, struct hf_err *err)
{
    return done(put(s, h->id, "the id of a host",
            "INSERT INTO hosts(id, name, seen, doc) VALUES(?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET name = excluded.name, seen = excluded.seen, doc = excluded.doc",
            HF_V(HF_TEXT(h->id), HF_TEXT(h->name), HF_INT(h->seen), HF_TEXT(h->doc)), err));
}

int hf_store_container_put(struct hf_store *s, const struct hf_inv_container *c, struct hf_err *err)
{
    return done(put(s, c->id, "the id of a container",
            "INSERT INTO containers(id, host, name, image, digest, started, ended, seen, doc) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET"
            " host = excluded.host, name = excluded.name, image = excluded.image, digest = excluded.digest, started = excluded.started,"
            " ended = excluded.ended, seen = excluded.seen, doc = excluded.doc",
            HF_V(HF_TEXT(c->id), HF_TEXT(c->host), HF_TEXT(c->name), HF_TEXT(c->image), HF_TEXT(c->digest), HF_INT(c->started), HF_INT(c->ended),
                    HF_INT(c->seen), HF_TEXT(c->doc)), err));
}

int hf_store_container_end(struct hf_store *s, struct hf_span id, int64_t when, struct hf_err *err)
{
    return put(s, id, "the id of a container", "UPDATE containers SET ended = ? WHERE id = ? AND ended = 0", HF_V(HF_INT(when), HF_TEXT(id)), err);
}

int hf_store_image_put(struct hf_store *s, const struct hf_inv_image *i, struct hf_err *err)
{
    return done(put(s, i->digest, "the digest of an image",
            "INSERT INTO images(digest, name, scanned, doc) VALUES(?, ?, ?, ?) ON CONFLICT(digest) DO UPDATE SET name = excluded.name, scanned = excluded.scanned, doc = excluded.doc",
            HF_V(HF_TEXT(i->digest), HF_TEXT(i->name), HF_INT(i->scanned), HF_TEXT(i->doc)), err));
}

int hf_store_seal_put(struct hf_store *s, const struct hf_inv_seal *seal, struct hf_err *err)
{
    return done(put(s, seal->digest, "the digest of a sealed image",
            "INSERT INTO seals(digest, made, doc) VALUES(?, ?, ?) ON CONFLICT(digest) DO UPDATE SET made = excluded.made, doc = excluded.doc",
            HF_V(HF_TEXT(seal->digest), HF_INT(seal->made), HF_TEXT(seal->doc)), err));
}

int hf_store_seal_get(struct hf_store *s, struct hf_span digest, struct hf_buf *ret_doc, int64_t *ret_made, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, "SELECT doc, made FROM seals WHERE digest = ?", HF_V(HF_TEXT(digest)));
    if (rc == 0)
        rc = hf_sql_next(&r, err);
    if (rc <= 0)
        return rc;
    hf_buf_adds(ret_doc, hf_sql_text(&r, 0));
    if (!hf_buf_ok(ret_doc))
        return hf_fail(err, HF_E_LIMIT, "the seal of " HF_SPAN_FMT " has over %zu bytes", HF_SPAN_ARG(digest), ret_doc->max);
    if (ret_made)
        *ret_made = hf_sql_int(&r, 1);
    return 1;
}

/* ---- packages and findings of an image ---- */

static int image_there(struct hf_store *s, struct hf_span digest, struct hf_err *err)
{
    int64_t n;
    int rc = hf_sql_get_int(s, err, &n, "SELECT 1 FROM images WHERE digest = ?", HF_V(HF_TEXT(digest)));
    return rc < 0 ? rc : rc == 0 ? hf_fail(err, HF_E_NOT_FOUND, "there is no image " HF_SPAN_FMT " in the inventory", HF_SPAN_ARG(digest)) : 0;
}

static int keys(const struct hf_span *v, size_t n, struct hf_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int rc = hf_store_cap(v[i], 1024, "a name, version or id of a package or finding", err); /* together they are a key, and PostgreSQL's index holds 2.7 KB */
        if (rc < 0)
            return rc;
    }
    return 0;
}

int hf_store_packages_put(struct hf_store *s, struct hf_span digest, const struct hf_inv_package *p, size_t n, struct hf_err *err)
{
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, s, err);
    if (rc == 0)
        rc = image_there(s, digest, err);
    if (rc == 0)
        rc = done(hf_sql_run(s, err, "DELETE FROM packages WHERE digest = ?", HF_V(HF_TEXT(digest))));
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = keys((const struct hf_span[]){p[i].ecosystem, p[i].name, p[i].version, p[i].source}, 4, err);
        if (rc == 0) /* the same package at two places of an image is one row */
            rc = done(hf_sql_run(s, err,
                    "INSERT INTO packages(digest, ecosystem, name, version, source, used, doc) VALUES(?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT(digest, ecosystem, name, version) DO UPDATE SET used = CASE WHEN excluded.used = 1 THEN 1 ELSE packages.used END",
                    HF_V(HF_TEXT(digest), HF_TEXT(p[i].ecosystem), HF_TEXT(p[i].name), HF_TEXT(p[i].version), HF_TEXT(p[i].source), HF_INT(p[i].used),
                            HF_TEXT(p[i].doc))));
    }
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

static int finding(struct hf_store *s, struct hf_span digest, const struct hf_inv_finding *f, int64_t found, struct hf_err *err)
{
    int rc = keys((const struct hf_span[]){f->id, f->ecosystem, f->package, f->version}, 4, err);
    if (rc < 0)
        return rc;
    return done(hf_sql_run(s, err,
            "INSERT INTO findings(digest, id, ecosystem, package, version, fixed, severity, used, found, doc) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT(digest, id, ecosystem, package, version) DO UPDATE SET fixed = excluded.fixed, severity = excluded.severity, used = excluded.used, doc = excluded.doc",
            HF_V(HF_TEXT(digest), HF_TEXT(f->id), HF_TEXT(f->ecosystem), HF_TEXT(f->package), HF_TEXT(f->version), HF_TEXT(f->fixed), HF_INT(f->severity),
                    HF_INT(f->used), HF_INT(found), HF_TEXT(f->doc))));
}

/* When the same finding was found first: 1, or 0 when it is new. */
static int found_before(struct hf_store *s, struct hf_span digest, const struct hf_inv_finding *f, int64_t *ret, struct hf_err *err)
{
    return hf_sql_get_int(s, err, ret, "SELECT found FROM findings WHERE digest = ? AND id = ? AND ecosystem = ? AND package = ? AND version = ?",
            HF_V(HF_TEXT(digest), HF_TEXT(f->id), HF_TEXT(f->ecosystem), HF_TEXT(f->package), HF_TEXT(f->version)));
}

int hf_store_findings_put(struct hf_store *s, struct hf_span digest, const struct hf_inv_finding *f, size_t n, struct hf_err *err)
{
    int64_t now = hf_store_now();
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, s, err);
    if (rc == 0)
        rc = image_there(s, digest, err);
    /* Old rows are marked, the new ones take over when they were first found, the marked rest goes. */
    if (rc == 0)
        rc = done(hf_sql_run(s, err, "UPDATE findings SET used = -1 WHERE digest = ?", HF_V(HF_TEXT(digest))));
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = finding(s, digest, &f[i], f[i].found ? f[i].found : now, err);
    if (rc == 0)
        rc = done(hf_sql_run(s, err, "DELETE FROM findings WHERE digest = ? AND used = -1", HF_V(HF_TEXT(digest))));
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

int hf_store_finding_add(struct hf_store *s, struct hf_span digest, const struct hf_inv_finding *f, struct hf_err *err)
{
    int64_t found = 0;
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, s, err), there = 0;
    if (rc == 0)
        rc = image_there(s, digest, err);
    if (rc == 0)
        there = rc = found_before(s, digest, f, &found, err);
    if (rc >= 0)
        rc = finding(s, digest, f, f->found ? f->found : hf_store_now(), err);
    if (rc == 0)
        rc = hf_tx_commit(&tx, err);
    return rc < 0 ? rc : !there;
}

int hf_store_package_used(struct hf_store *s, struct hf_span digest, struct hf_span ecosystem, struct hf_span name, struct hf_span version, struct hf_err *err)
{
    const struct hf_sql_value v[] = {HF_TEXT(digest), HF_TEXT(ecosystem), HF_TEXT(name), HF_TEXT(version), HF_TEXT(version)};
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, s, err);
    if (rc == 0)
        rc = done(hf_sql_run(s, err, "UPDATE packages SET used = 1 WHERE digest = ? AND ecosystem = ? AND name = ? AND (? = '' OR version = ?) AND used = 0", v, 5));
    if (rc == 0)
        rc = done(hf_sql_run(s, err, "UPDATE findings SET used = 1 WHERE digest = ? AND ecosystem = ? AND package = ? AND (? = '' OR version = ?) AND used = 0", v, 5));
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

/* ---- lists ---- */

static int hosts(struct hf_store *s, const char *sql, const struct hf_sql_value *v, size_t n, hf_inv_host_cb cb, void *ctx, bool *found, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, sql, v, n);
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_inv_host h = {hf_sql_text(&r, 0), hf_sql_text(&r, 1), hf_sql_text(&r, 2), hf_sql_int(&r, 3)};
        *found = true;
        rc = cb(ctx, &h);
        if (rc != 0)
            return rc;
    }
    return rc;
}
#define HOST "SELECT id, name, doc, seen FROM hosts WHERE "

int hf_store_host_list(struct hf_store *s, struct hf_span after, unsigned limit, hf_inv_host_cb cb, void *ctx, struct hf_err *err)
{
    bool found;
    return hosts(s, HOST "id > ? ORDER BY id LIMIT ?", HF_V(HF_TEXT(after), HF_INT(hf_store_limit(limit, 1000))), cb, ctx, &found, err);
}

int hf_store_host_get(struct hf_store *s, struct hf_span id, hf_inv_host_cb cb, void *ctx, struct hf_err *err)
{
    bool found = false;
    int rc = hosts(s, HOST "id = ?", HF_V(HF_TEXT(id)), cb, ctx, &found, err);
    return rc < 0 ? rc : found;
}

static int containers(struct hf_store *s, const char *sql, const struct hf_sql_value *v, size_t n, hf_inv_container_cb cb, void *ctx, bool *found, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, sql, v, n);
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_inv_container c = {hf_sql_text(&r, 0), hf_sql_text(&r, 1), hf_sql_text(&r, 2), hf_sql_text(&r, 3), hf_sql_text(&r, 4), hf_sql_text(&r, 5),
                hf_sql_int(&r, 6), hf_sql_int(&r, 7), hf_sql_int(&r, 8)};
        *found = true;
        rc = cb(ctx, &c);
        if (rc != 0)
            return rc;
    }
    return rc;
}
#define CONTAINER "SELECT id, host, name, image, digest, doc, started, ended, seen FROM containers WHERE "

int hf_store_container_list(struct hf_store *s, bool running_only, struct hf_span digest, struct hf_span after, unsigned limit, hf_inv_container_cb cb,
        void *ctx, struct hf_err *err)
{
    bool found;
    return containers(s, CONTAINER "(? = 0 OR ended = 0) AND (? = '' OR digest = ?) AND id > ? ORDER BY id LIMIT ?",
            HF_V(HF_INT(running_only), HF_TEXT(digest), HF_TEXT(digest), HF_TEXT(after), HF_INT(hf_store_limit(limit, 1000))), cb, ctx, &found, err);
}

int hf_store_container_get(struct hf_store *s, struct hf_span id, hf_inv_container_cb cb, void *ctx, struct hf_err *err)
{
    bool found = false;
    int rc = containers(s, CONTAINER "id = ?", HF_V(HF_TEXT(id)), cb, ctx, &found, err);
    return rc < 0 ? rc : found;
}

#define RUNNING(table) "(SELECT count(*) FROM containers c WHERE c.digest = " table ".digest AND c.ended = 0)"

static int images(struct hf_store *s, const char *sql, const struct hf_sql_value *v, size_t n, hf_inv_image_cb cb, void *ctx, bool *found, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, sql, v, n);
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_inv_image i = {hf_sql_text(&r, 0), hf_sql_text(&r, 1), hf_sql_text(&r, 2), hf_sql_int(&r, 3)};
        *found = true;
        rc = cb(ctx, &i, (uint64_t)hf_sql_int(&r, 4));
        if (rc != 0)
            return rc;
    }
    return rc;
}
#define IMAGE "SELECT digest, name, doc, scanned, " RUNNING("images") " FROM images WHERE "

int hf_store_image_list(struct hf_store *s, struct hf_span after, unsigned limit, hf_inv_image_cb cb, void *ctx, struct hf_err *err)
{
    bool found;
    return images(s, IMAGE "digest > ? ORDER BY digest LIMIT ?", HF_V(HF_TEXT(after), HF_INT(hf_store_limit(limit, 1000))), cb, ctx, &found, err);
}

int hf_store_image_get(struct hf_store *s, struct hf_span digest, hf_inv_image_cb cb, void *ctx, struct hf_err *err)
{
    bool found = false;
    int rc = images(s, IMAGE "digest = ?", HF_V(HF_TEXT(digest)), cb, ctx, &found, err);
    return rc < 0 ? rc : found;
}

static int packages(struct hf_store *s, const char *sql, const struct hf_sql_value *v, size_t n, hf_inv_package_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, sql, v, n);
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_inv_package p = {hf_sql_text(&r, 1), hf_sql_text(&r, 2), hf_sql_text(&r, 3), hf_sql_text(&r, 4), hf_sql_text(&r, 5), hf_sql_int(&r, 6) == 1};
        rc = cb(ctx, hf_sql_text(&r, 0), &p, (uint64_t)hf_sql_int(&r, 7));
        if (rc != 0)
            return rc;
    }
    return rc;
}
#define PACKAGE "SELECT digest, ecosystem, name, version, source, doc, used, " RUNNING("packages") " FROM packages WHERE "

int hf_store_packages(struct hf_store *s, struct hf_span digest, hf_inv_package_cb cb, void *ctx, struct hf_err *err)
{
    return packages(s, PACKAGE "digest = ? ORDER BY ecosystem, name, version", HF_V(HF_TEXT(digest)), cb, ctx, err);
}

int hf_store_packages_named(struct hf_store *s, struct hf_span ecosystem, struct hf_span name, hf_inv_package_cb cb, void *ctx, struct hf_err *err)
{
    /* two searches by index; with OR SQLite would go through the whole ecosystem */
    return packages(s, PACKAGE "ecosystem = ? AND name = ? UNION " PACKAGE "ecosystem = ? AND source = ? ORDER BY 1, 3, 4",
            HF_V(HF_TEXT(ecosystem), HF_TEXT(name), HF_TEXT(ecosystem), HF_TEXT(name)), cb, ctx, err);
}

static int findings(struct hf_store *s, const char *sql, struct hf_span of, hf_inv_finding_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, sql, HF_V(HF_TEXT(of)));
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_inv_finding f = {hf_sql_text(&r, 1), hf_sql_text(&r, 2), hf_sql_text(&r, 3), hf_sql_text(&r, 4), hf_sql_text(&r, 5), hf_sql_text(&r, 6),
                (int)hf_sql_int(&r, 7), hf_sql_int(&r, 8) == 1, hf_sql_int(&r, 9)};
        rc = cb(ctx, hf_sql_text(&r, 0), &f, (uint64_t)hf_sql_int(&r, 10));
        if (rc != 0)
            return rc;
    }
    return rc;
}
#define FINDING "SELECT digest, id, ecosystem, package, version, fixed, doc, severity, used, found, " RUNNING("findings") " FROM findings WHERE "

int hf_store_findings(struct hf_store *s, struct hf_span digest, hf_inv_finding_cb cb, void *ctx, struct hf_err *err)
{
    return findings(s, FINDING "digest = ? ORDER BY severity DESC, id, ecosystem, package, version", digest, cb, ctx, err);
}

int hf_store_findings_of(struct hf_store *s, struct hf_span id, hf_inv_finding_cb cb, void *ctx, struct hf_err *err)
{
    return findings(s, FINDING "id = ? ORDER BY digest, ecosystem, package, version", id, cb, ctx, err);
}

/* ---- counts ---- */

int hf_store_finding_counts(struct hf_store *s, struct hf_span digest, bool running_only, struct hf_finding_counts *ret, struct hf_err *err)
{
    struct hf_finding_counts c = {0};
    hf_autorows r = {0};
    int rc = digest.n ? hf_sql_query(&r, s, err, "SELECT severity, used, count(*) FROM findings WHERE digest = ? GROUP BY severity, used", HF_V(HF_TEXT(digest)))
             : running_only
            ? hf_sql_query(&r, s, err,
                      "SELECT severity, used, count(*) FROM findings WHERE digest IN (SELECT digest FROM containers WHERE ended = 0) GROUP BY severity, used", HF_NO_VALUES)
            : hf_sql_query(&r, s, err, "SELECT severity, used, count(*) FROM findings GROUP BY severity, used", HF_NO_VALUES);
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        int64_t severity = HF_MAX(0, HF_MIN(hf_sql_int(&r, 0), (int64_t)HF_ARRAY_LEN(c.n) - 1));
        c.n[severity] += (uint64_t)hf_sql_int(&r, 2);
        if (hf_sql_int(&r, 1) == 1)
            c.used[severity] += (uint64_t)hf_sql_int(&r, 2);
        rc = 0;
    }
    if (rc == 0)
        *ret = c;
    return rc;
}

int hf_store_inventory_counts(struct hf_store *s, struct hf_inv_counts *ret, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err,
            "SELECT (SELECT count(*) FROM hosts), (SELECT count(*) FROM images), (SELECT count(*) FROM images WHERE scanned > 0), (SELECT count(*) FROM containers),"
            " (SELECT count(*) FROM containers WHERE ended = 0), (SELECT count(*) FROM packages), (SELECT count(*) FROM findings)", HF_NO_VALUES);
    if (rc == 0)
        rc = hf_sql_next(&r, err);
    if (rc > 0)
        *ret = (struct hf_inv_counts){(uint64_t)hf_sql_int(&r, 0), (uint64_t)hf_sql_int(&r, 1), (uint64_t)hf_sql_int(&r, 2), (uint64_t)hf_sql_int(&r, 3),
                (uint64_t)hf_sql_int(&r, 4), (uint64_t)hf_sql_int(&r, 5), (uint64_t)hf_sql_int(&r, 6)};
    return rc < 0 ? rc : 0;
}
