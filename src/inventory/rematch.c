/* SPDX-License-Identifier: Apache-2.0 */
/* Every image of the inventory against a new database.  An image is read, matched and written within one write transaction, so that a scan of it cannot come
 * between; several small ones share a transaction, and after TURN_NS others get their turn.  What is new is told when it is committed. */
#include <errno.h>
#include <time.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "inventory/inventory-internal.h"
#include "matching/match.h"
#include "packages/eol.h"
#include "policy/ignore.h"
#include "report/report.h"
#include "store/settings.h"
#include "store/sql.h"
#include "store/store.h"

#define TURN_NS 100000000ull
enum { PAGE = 200 };

struct fresh { /* a finding that was not there before; texts are in the arena of the turn */
    struct hf_span digest, image;
    struct hf_inv_finding f;
    uint64_t running;
    bool known_image, kev;
};
struct rematch {
    struct hf_store *s;
    const struct hf_inv_rematch_opts *o;
    hf_inv_new_cb cb;
    void *ctx;
    struct hf_inv_rematched done;
    const struct hf_advdb *db;
    struct hf_ignore *ignore;
    char identity[72];
    uint64_t now_unix;
    struct fresh *news;
    size_t n_news, cap_news;
    struct hf_arena arena; /* of the turn */
    struct hf_buf digests; /* of the page: NUL-terminated */
    struct hf_err *err;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int no_room(struct rematch *m)
{
    return hf_fail(m->err, -ENOMEM, "no memory for the findings of an image");
}

/* What a verdict depends on besides the packages: the database, the entries of the ignore file that hold today, this program. */
static int identify(struct rematch *m)
{
    const struct hf_adv_source *all;
    size_t n = hf_advdb_sources(m->db, &all);
    hf_autobuf text = HF_BUF_INIT(8 << 20);
    struct hf_digest d;
    char digest[HF_DIGEST_TEXT];
    hf_buf_addf(&text, "%s\n%llu\n", HF_VERSION, (unsigned long long)hf_advdb_built_unix(m->db));
    for (size_t i = 0; i < n; i++) {
        hf_buf_adds(&text, all[i].name);
        hf_buf_addf(&text, " %llu %llu %llu %llu\n", (unsigned long long)all[i].newest_unix, (unsigned long long)all[i].fetched_unix, (unsigned long long)all[i].records,
                (unsigned long long)all[i].rejected);
    }
    if (m->o->ignore_file) {
        int rc = hf_ignore_load(&m->ignore, m->o->ignore_file, m->err);
        rc = rc < 0 ? rc : hf_read_file(m->o->ignore_file, &text, m->err);
        if (rc < 0)
            return rc;
        hf_buf_addf(&text, "\n%llu", (unsigned long long)(m->now_unix / 86400)); /* entries end on days */
    }
    if (!hf_buf_ok(&text))
        return hf_fail(m->err, HF_E_LIMIT, "the ignore file and the names of the feeds are over %zu bytes", text.max);
    hf_digest_of(HF_SHA256, hf_buf_span(&text), &d);
    snprintf(m->identity, sizeof m->identity, "%s", hf_digest_text(&d, digest));
    return 0;
}

/* ---- matching, as `scan` does it ---- */

static int judge(struct rematch *m, struct hf_inv_image_scan *i)
{
    struct hf_scan *s = &i->scan;
    struct hf_match_opts mo = {.now_unix = m->now_unix, .stale_after_s = m->o->stale_after_s};
    s->started_unix = m->now_unix;
    for (size_t k = 0; k < s->n_marks; k++)
        mo.ubuntu_pro |= hf_span_eqz(s->marks[k].key, "ubuntu-pro");
    for (size_t k = 0; k < s->n_packages && hf_span_eqz(s->release.id, "ubuntu"); k++)
        mo.ubuntu_pro |= s->packages[k].p.type == HF_PKG_DEB && hf_span_search(s->packages[k].p.version, HF_S("+esm")) != SIZE_MAX;
    s->eol_unix = hf_os_eol(&s->release);
    s->eol = s->eol_unix && s->eol_unix < m->now_unix;
    int rc = hf_match(s, m->db, &mo, NULL, m->err);
    if (rc >= 0 && m->ignore && hf_ignore_apply(m->ignore, s, m->now_unix) < 0)
        rc = no_room(m);
    return rc < 0 ? rc : 0;
}

static uint64_t seconds(const char *rfc3339)
{
    struct tm tm = {0};
    struct hf_span t = hf_span_z(rfc3339);
    uint64_t v[6];
    static const unsigned at[] = {0, 5, 8, 11, 14, 17}, n[] = {4, 2, 2, 2, 2, 2};
    for (size_t i = 0; i < 6; i++)
        if (hf_parse_u64(hf_span_sub(t, at[i], n[i]), 10, 0, 9999, &v[i]) < 0)
            return 0;
    tm = (struct tm){.tm_year = (int)v[0] - 1900, .tm_mon = (int)v[1] - 1, .tm_mday = (int)v[2], .tm_hour = (int)v[3], .tm_min = (int)v[4], .tm_sec = (int)v[5]};
    time_t r = timegm(&tm);
    return r > 0 ? (uint64_t)r : 0;
}

/* What is known of use goes on to what is found now. */
static void use_of(const struct hf_inv_image_scan *i, struct hf_vuln *v)
{
    const struct hf_inv_kept *k = &i->kept[v->package];
    const struct hf_package *p = &i->scan.packages[v->package].p;
    const char *state = hf_inv_z(k->in_use, "state");
    if (k->in_use && strcmp(state, "never") != 0) {
        v->use = !strcmp(state, "act_now") ? HF_USED_NOW : !strcmp(state, "reachable") ? HF_USED_REACHABLE : HF_USED;
        v->use_root = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(k->in_use, "root"));
        v->use_first_unix = seconds(hf_inv_z(k->in_use, "first"));
        v->use_last_unix = seconds(hf_inv_z(k->in_use, "last"));
    } else if (k->used) {
        v->use = HF_USED;
    } else if (i->use_known && (p->type == HF_PKG_DEB || p->type == HF_PKG_RPM || p->type == HF_PKG_APK)) {
        v->use = HF_USED_NEVER;
    }
}

/* ---- the difference ---- */

struct old {
    struct rematch *m;
    struct hf_map by_key; /* -> index + 1 in docs */
    struct hf_span *docs;
    bool *seen;
    size_t n, cap, cap_seen;
};

static void old_done(struct old *o)
{
    hf_map_done(&o->by_key);
    free(o->docs);
    free(o->seen);
}

static void key_of(struct hf_buf *out, struct hf_span id, struct hf_span ecosystem, struct hf_span package, struct hf_span version)
{
    const struct hf_span parts[] = {id, ecosystem, package, version};
    hf_buf_clear(out);
    for (size_t i = 0; i < HF_ARRAY_LEN(parts); i++) {
        hf_buf_adds(out, parts[i]);
        hf_buf_addc(out, 0);
    }
}

static int old_finding(void *ctx, struct hf_span digest, const struct hf_inv_finding *f, uint64_t running)
{
    struct old *o = ctx;
    hf_autobuf key = HF_BUF_INIT(16384);
    struct hf_span stable;
    (void)digest;
    (void)running;
    key_of(&key, f->id, f->ecosystem, f->package, f->version);
    struct hf_span *doc = hf_grow((void **)&o->docs, &o->n, &o->cap, sizeof *doc, HF_INV_FINDINGS_MAX);
    uint64_t *at = doc && hf_arena_dup(&o->m->arena, hf_buf_span(&key), &stable) == 0 ? hf_map_at(&o->by_key, stable, NULL) : NULL;
    if (!at)
        return no_room(o->m);
    *at = o->n;
    return hf_arena_dup(&o->m->arena, f->doc, doc) < 0 ? no_room(o->m) : 0;
}

static int vuln_doc(struct rematch *m, struct hf_inv_image_scan *i, struct hf_vuln *v, struct hf_span *ret, struct hf_inv_row *row)
{
    hf_autobuf text = HF_BUF_INIT(HF_INV_DOC_MAX), one = HF_BUF_INIT(HF_INV_DOC_MAX);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct hf_jw w;
    use_of(i, v);
    hf_jw_init(&w, &text, false);
    hf_report_vulnerability(&w, &i->scan, v);
    if (!hf_buf_ok(&text))
        return hf_fail(m->err, HF_E_LIMIT, "vulnerability %.*s: what is said of it is over %d bytes", HF_SPAN_ARG(v->id), HF_INV_DOC_MAX);
    int rc = hf_json_parse(hf_buf_span(&text), &d, m->err); /* through the same door as a scan's: the same text comes out */
    if (rc < 0)
        return rc;
    hf_jw_init(&w, &one, false);
    hf_inv_write(&w, hf_json_root(d));
    if (!hf_inv_row_of(hf_json_root(d), row))
        return 0;
    const struct hf_span from[] = {row->id, row->package, row->version, row->fixed};
    struct hf_span *const to[] = {&row->id, &row->package, &row->version, &row->fixed};
    for (size_t k = 0; k < HF_ARRAY_LEN(from); k++)
        if (hf_arena_dup(&m->arena, from[k], to[k]) < 0)
            return no_room(m);
    return hf_arena_dup(&m->arena, hf_buf_span(&one), ret) < 0 ? no_room(m) : 1;
}

struct diff {
    struct hf_inv_finding *now;
    size_t n, cap;
    struct hf_map by_key; /* key -> index + 1 in now */
    bool *kev;
    size_t n_kev, cap_kev;
};

static void diff_done(struct diff *d)
{
    hf_map_done(&d->by_key);
    free(d->now);
    free(d->kev);
}

/* One row a key, the last of several says: as the store does it with a scan. */
static int collect(struct rematch *m, struct hf_inv_image_scan *i, struct diff *d)
{
    hf_autobuf key = HF_BUF_INIT(16384);
    for (size_t k = 0; k < i->scan.n_vulns; k++) {
        struct hf_vuln *v = &i->scan.vulns[k];
        struct hf_inv_row row;
        struct hf_span doc = {NULL, 0}, stable;
        int rc = vuln_doc(m, i, v, &doc, &row);
        if (rc < 0)
            return rc;
        if (rc == 0)
            continue;
        struct hf_inv_finding f = {.id = row.id, .ecosystem = i->kept[v->package].ecosystem, .package = row.package, .version = row.version, .fixed = row.fixed, .doc = doc,
                .severity = row.severity, .used = row.used || i->kept[v->package].used};
        if (hf_arena_dup(&m->arena, f.ecosystem, &f.ecosystem) < 0)
            return no_room(m);
        key_of(&key, f.id, f.ecosystem, f.package, f.version);
        if (hf_arena_dup(&m->arena, hf_buf_span(&key), &stable) < 0)
            return no_room(m);
        uint64_t *at = hf_map_at(&d->by_key, stable, NULL);
        if (at && *at) {
            d->now[*at - 1] = f;
            d->kev[*at - 1] = row.kev;
            continue;
        }
        struct hf_inv_finding *slot = at ? hf_grow((void **)&d->now, &d->n, &d->cap, sizeof *slot, HF_INV_FINDINGS_MAX) : NULL;
        bool *kev = slot ? hf_grow((void **)&d->kev, &d->n_kev, &d->cap_kev, sizeof *kev, HF_INV_FINDINGS_MAX) : NULL;
        if (!kev)
            return no_room(m);
        *slot = f;
        *kev = row.kev;
        *at = d->n;
    }
    return 0;
}

/* The images' findings as they are now, written where they differ. */
static int apply(struct rematch *m, const struct hf_inv_image *image, uint64_t running, bool known, struct diff *d)
{
    hf_cleanup(old_done) struct old o = {.m = m};
    hf_autobuf key = HF_BUF_INIT(16384);
    uint64_t added = 0, changed = 0, same = 0;
    int rc = hf_store_findings(m->s, image->digest, old_finding, &o, m->err);
    for (size_t i = 0; i < d->n && rc == 0; i++) {
        uint64_t at;
        key_of(&key, d->now[i].id, d->now[i].ecosystem, d->now[i].package, d->now[i].version);
        if (hf_map_get(&o.by_key, hf_buf_span(&key), &at)) {
            bool equal = hf_span_eq(o.docs[at - 1], d->now[i].doc);
            same += equal;
            changed += !equal;
            continue;
        }
        added++;
        struct fresh *f = hf_grow((void **)&m->news, &m->n_news, &m->cap_news, sizeof *f, HF_INV_FINDINGS_MAX);
        if (!f)
            return no_room(m);
        *f = (struct fresh){.f = d->now[i], .running = running, .known_image = known, .kev = d->kev[i]};
        if (hf_arena_dup(&m->arena, image->digest, &f->digest) < 0 || hf_arena_dup(&m->arena, image->name, &f->image) < 0)
            return no_room(m);
    }
    uint64_t removed = o.n > same + changed ? o.n - same - changed : 0;
    if (rc == 0 && added + changed + removed)
        rc = hf_store_findings_put(m->s, image->digest, d->now, d->n, m->err);
    if (rc == 0) {
        m->done.findings += d->n;
        m->done.added += added;
        m->done.changed += changed;
        m->done.removed += removed;
    }
    return rc;
}

struct at {
    struct rematch *m;
    bool current, known;
};

static int matched(struct rematch *m, struct hf_span digest, struct at *ret)
{
    hf_autobuf key = HF_BUF_INIT(256), was = HF_BUF_INIT(256);
    hf_inv_matched_key(&key, digest);
    int rc = hf_store_setting_get(m->s, hf_buf_span(&key), &was, m->err);
    ret->known = rc > 0;
    ret->current = rc > 0 && hf_span_eqz(hf_buf_span(&was), m->identity);
    return rc < 0 ? rc : 0;
}

/* An image that was scanned with a database has been matched before, also when hf_inv_scan came since. */
static bool was_matched(const struct hf_inv_image *i)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    return hf_json_parse(i->doc, &d, &ignored) == 0 && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(hf_json_root(d), "summary"), "matched"));
}

static int one_image(struct rematch *m, const struct hf_inv_image *i, uint64_t running)
{
    struct at at = {.m = m};
    struct hf_inv_image_scan scan;
    hf_cleanup(diff_done) struct diff d = {.n = 0};
    hf_autobuf key = HF_BUF_INIT(256);
    if (!i->scanned) {
        m->done.unscanned++;
        return 0;
    }
    int rc = matched(m, i->digest, &at);
    if (rc < 0)
        return rc;
    if (at.current && !m->o->all) {
        m->done.current++;
        return 0;
    }
    rc = hf_inv_load(&scan, m->s, i, m->err);
    if (rc < 0)
        return rc;
    rc = judge(m, &scan);
    rc = rc < 0 ? rc : collect(m, &scan, &d);
    size_t n = scan.scan.n_packages;
    hf_inv_unload(&scan);
    rc = rc < 0 ? rc : apply(m, i, running, at.known || was_matched(i), &d);
    hf_inv_matched_key(&key, i->digest);
    rc = rc < 0 ? rc : hf_store_setting_put(m->s, hf_buf_span(&key), hf_span_z(m->identity), m->err);
    if (rc == 0) {
        m->done.images++;
        m->done.packages += n;
    }
    return rc;
}

/* ---- turns ---- */

static int tell(struct rematch *m)
{
    int rc = 0;
    for (size_t i = 0; i < m->n_news && rc >= 0 && m->cb; i++) {
        const struct fresh *f = &m->news[i];
        rc = m->cb(m->ctx, &(struct hf_inv_new){.digest = f->digest, .image = f->image, .finding = &f->f, .running = f->running, .known_image = f->known_image, .kev = f->kev});
    }
    m->n_news = 0;
    hf_arena_done(&m->arena);
    hf_arena_init(&m->arena, 512u << 20);
    return rc < 0 ? rc : 0;
}

struct copy {
    struct rematch *m;
    struct hf_inv_image i;
    uint64_t running;
};

static int copied(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    struct copy *c = ctx;
    c->i.scanned = i->scanned;
    c->running = running;
    if (hf_arena_dup(&c->m->arena, i->digest, &c->i.digest) < 0 || hf_arena_dup(&c->m->arena, i->name, &c->i.name) < 0 || hf_arena_dup(&c->m->arena, i->doc, &c->i.doc) < 0)
        return no_room(c->m);
    return 0;
}

/* One image in a savepoint of its own: what is wrong with it does not hold up the others. */
static int guarded(struct rematch *m, struct hf_span digest)
{
    struct hf_inv_rematched before = m->done;
    size_t news = m->n_news;
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, m->s, m->err);
    struct copy c = {.m = m};
    int there = rc < 0 ? rc : hf_store_image_get(m->s, digest, copied, &c, m->err);
    if (there > 0)
        there = one_image(m, &c.i, c.running);
    if (there >= 0)
        return hf_tx_commit(&tx, m->err);
    if (rc < 0 || (there != HF_E_FORMAT && there != HF_E_LIMIT && there != HF_E_TRUNCATED))
        return there;
    hf_log(HF_LOG_WARNING, "inventory.rematch", "image %.*s keeps the findings it has: %s", HF_SPAN_ARG(digest), m->err->msg);
    m->done = before;
    m->done.failed++;
    m->n_news = news;
    return 0;
}

static int turn(struct rematch *m, struct hf_span *rest)
{
    uint64_t start = now_ns();
    struct hf_span digest;
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, m->s, m->err);
    while (rc == 0 && now_ns() - start < TURN_NS && hf_span_cut(rest, 0, &digest))
        rc = guarded(m, digest);
    rc = rc < 0 ? rc : hf_tx_commit(&tx, m->err);
    return rc < 0 ? rc : tell(m);
}

static int digest_of(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    struct rematch *m = ctx;
    (void)running;
    if (m->digests.n)
        hf_buf_addc(&m->digests, 0);
    hf_buf_adds(&m->digests, i->digest);
    return 0;
}

static int pages(struct rematch *m)
{
    hf_autobuf after = HF_BUF_INIT(HF_STORE_KEY_MAX);
    for (;;) {
        hf_buf_clear(&m->digests);
        int rc = hf_store_image_list(m->s, hf_buf_span(&after), PAGE, digest_of, m, m->err);
        struct hf_span rest = hf_buf_span(&m->digests), last = hf_span_from(rest, hf_span_rfind(rest, 0) + 1);
        if (rc < 0 || !rest.n)
            return rc;
        hf_buf_clear(&after);
        hf_buf_adds(&after, last);
        while (rc == 0 && rest.n)
            rc = turn(m, &rest);
        if (rc < 0)
            return rc;
    }
}

int hf_inv_rematch(struct hf_store *s, const struct hf_inv_rematch_opts *o, hf_inv_new_cb cb, void *ctx, struct hf_inv_rematched *ret, struct hf_err *err)
{
    struct hf_err local = HF_ERR_INIT;
    hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
    struct rematch m = {.s = s, .o = o, .cb = cb, .ctx = ctx, .err = err ? err : &local, .now_unix = o->now_unix ? o->now_unix : (uint64_t)time(NULL)};
    hf_arena_init(&m.arena, 512u << 20);
    hf_buf_init(&m.digests, (PAGE + 1) * HF_STORE_KEY_MAX);
    int rc = hf_advdb_open(&db, o->db_path, m.err);
    m.db = db;
    rc = rc < 0 ? rc : identify(&m);
    rc = rc < 0 ? rc : pages(&m);
    hf_arena_done(&m.arena);
    hf_buf_done(&m.digests);
    hf_ignore_free(m.ignore);
    free(m.news);
    if (ret)
        *ret = m.done;
    return rc;
}
