/* SPDX-License-Identifier: Apache-2.0 */
/* The inventory under hostile documents: a scan, lines of watch, and what somebody else may have written into the store, each followed by a re-match, incidents and
 * their end.  What was taken must be found again; the same scan twice gives the same rows; a second re-match changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "advisories/db/build.h"
#include "base/json.h"
#include "inventory/inventory.h"
#include "store/sql.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static struct hf_store *s;
static struct hf_err err;
static char dir[] = "/tmp/hf-fuzz-inventory-XXXXXX", db[100];

static void check(bool good)
{
    if (!good)
        abort();
}

static void closed(void)
{
    char path[100];
    static const char *const ends[] = {"", "-wal", "-shm"};
    hf_store_close(s);
    for (size_t i = 0; i < HF_ARRAY_LEN(ends); i++) {
        snprintf(path, sizeof path, "%s/s.db%s", dir, ends[i]);
        unlink(path);
    }
    unlink(db);
    rmdir(dir);
}

static void opened(void)
{
    static const char *const names[][2] = {{"debian:12", "openssl"}, {"pypi", "requests"}, {"go", "stdlib"}, {"npm", "a"}};
    static const enum hf_scheme schemes[] = {HF_SCHEME_DEB, HF_SCHEME_PEP440, HF_SCHEME_GO, HF_SCHEME_SEMVER};
    char url[100];
    if (s)
        return;
    check(mkdtemp(dir) != NULL);
    snprintf(url, sizeof url, "sqlite:%s/s.db", dir);
    snprintf(db, sizeof db, "%s/a.hfdb", dir);
    check(hf_store_open(&s, url, &err) == 0 && hf_sql_run(s, &err, "PRAGMA synchronous=OFF", HF_NO_VALUES) >= 0);
    hf_cleanup(hf_advb_freep) struct hf_advb *b = hf_advb_new(16 << 20);
    check(hf_advb_source(b, HF_S("osv:x"), HF_S("x"), 1900000000, false, &err) == 0);
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++) {
        uint32_t adv;
        struct hf_adv_range all = {HF_S("0"), HF_S(""), HF_S("")};
        char id[20];
        snprintf(id, sizeof id, "CVE-2030-%04zu", i);
        check(hf_advb_add(b, &(struct hf_advb_advisory){.id = hf_span_z(id), .summary = HF_S("x"), .severity = HF_SEV_HIGH}, &adv, &err) >= 0);
        check(hf_advb_add_row(b, adv, hf_span_z(names[i][0]), hf_span_z(names[i][1]), &(struct hf_advb_row){.scheme = schemes[i], .ranges = &all, .n_ranges = 1}, &err) >= 0);
    }
    check(hf_advb_write(b, db, &err) == 0);
    atexit(closed);
}

static uint64_t rows(const char *sql)
{
    int64_t v = 0;
    check(hf_sql_get_int(s, &err, &v, sql, HF_NO_VALUES) >= 0);
    return (uint64_t)v;
}

static void rematched(void)
{
    struct hf_inv_rematched r;
    struct hf_inv_news *news = NULL;
    check(hf_inv_news_new(&news, s, NULL) == 0);
    int rc = hf_inv_rematch(s, &(struct hf_inv_rematch_opts){.db_path = db, .now_unix = 1900000100, .all = true}, hf_inv_collect, news, &r, &err);
    check(rc == 0);
    check(hf_inv_incidents(news, HF_S("h"), 1900000100000000000, &err) >= 0);
    hf_inv_news_free(news);
    uint64_t findings = rows("SELECT count(*) FROM findings");
    rc = hf_inv_rematch(s, &(struct hf_inv_rematch_opts){.db_path = db, .now_unix = 1900000100, .all = true}, NULL, NULL, &r, &err);
    check(rc == 0 && r.added == 0 && r.removed == 0 && r.changed == 0 && rows("SELECT count(*) FROM findings") == findings);
    check(hf_inv_settle(s, 1900000200000000000, &err) >= 0);
}

static void scan(struct hf_span text)
{
    hf_autobuf digest = HF_BUF_INIT(256);
    if (hf_inv_scan(s, text, hf_span(NULL, 0), &digest, &err) < 0)
        return;
    check(digest.n == 71 && rows("SELECT count(*) FROM images") == 1);
    uint64_t packages = rows("SELECT count(*) FROM packages"), findings = rows("SELECT count(*) FROM findings");
    check(hf_inv_scan(s, text, hf_span(NULL, 0), NULL, &err) == 0);
    check(rows("SELECT count(*) FROM packages") == packages && rows("SELECT count(*) FROM findings") == findings);
    check(hf_store_container_put(s, &(struct hf_inv_container){HF_S("c"), HF_S("h"), HF_S("n"), HF_S("i"), hf_buf_span(&digest), HF_S("{\"labels\":{\"a\":\"b\"}}"), 1, 0, 1}, &err) == 0);
    rematched();
}

static void lines(struct hf_span text)
{
    hf_cleanup(hf_inv_freep) struct hf_inv *v = NULL;
    struct hf_span line;
    hf_autobuf ref = HF_BUF_INIT(8192), digest = HF_BUF_INIT(8192);
    check(hf_inv_new(&v, s, HF_S("machine"), HF_S("h"), &err) == 0);
    while (hf_span_line(&text, &line))
        (void)!hf_inv_line(v, line, &err);
    check(hf_inv_flush(v, hf_store_now(), &err) == 0);
    while (hf_inv_wanted(v, hf_store_now(), &ref, &digest) > 0) {
        check(digest.n >= 71 && ref.n > 0);
        check(hf_inv_scanned(v, hf_span_sub(hf_buf_span(&digest), 0, 71), HF_S("no\nmore"), hf_store_now(), &err) == 0);
        hf_buf_clear(&ref);
        hf_buf_clear(&digest);
    }
    rematched();
}

/* Documents that another wrote: an image, a package, a finding, a container, a note of an incident. */
static void foreign(struct hf_span text)
{
    struct hf_span part[5] = {{NULL, 0}};
    for (size_t i = 0; i < HF_ARRAY_LEN(part) && hf_span_cut(&text, '\n', &part[i]);)
        i++;
    if (hf_store_image_put(s, &(struct hf_inv_image){HF_S(DIGEST), HF_S("web"), part[0], 1}, &err) < 0)
        return;
    check(hf_store_packages_put(s, HF_S(DIGEST), &(struct hf_inv_package){HF_S("npm"), HF_S("a"), HF_S("1"), HF_S(""), part[1], true}, 1, &err) == 0);
    check(hf_store_findings_put(s, HF_S(DIGEST), &(struct hf_inv_finding){HF_S("CVE-1"), HF_S("npm"), HF_S("a"), HF_S("1"), HF_S(""), part[2], 5, true, 1}, 1, &err) == 0);
    check(hf_store_container_put(s, &(struct hf_inv_container){HF_S("c"), HF_S("h"), HF_S("n"), HF_S("i"), HF_S(DIGEST), part[3], 1, 0, 1}, &err) == 0);
    rematched();
}

/* What `inuse --json` says: told twice it marks nothing twice. */
static void used(struct hf_span text)
{
    check(hf_store_image_put(s, &(struct hf_inv_image){HF_S(DIGEST), HF_S("web"), HF_S("{}"), 1}, &err) == 0);
    check(hf_store_packages_put(s, HF_S(DIGEST), &(struct hf_inv_package){HF_S("debian:12"), HF_S("a"), HF_S("1"), HF_S(""), HF_S("{\"i\":0,\"type\":\"deb\"}"), false}, 1, &err) == 0);
    check(hf_store_findings_put(s, HF_S(DIGEST), &(struct hf_inv_finding){HF_S("CVE-1"), HF_S("debian:12"), HF_S("a"), HF_S("1"), HF_S(""), HF_S("{}"), 5, false, 1}, 1, &err) == 0);
    int rc = hf_inv_inuse(s, text, &err);
    if (rc < 0)
        return;
    check(rc == 0 || rows("SELECT count(*) FROM findings WHERE used = 1") == 1);
    rematched();
}

/* What `seal verify --json` says: an alert is one whole line. */
static void verified(struct hf_span text)
{
    hf_autobuf alert = HF_BUF_INIT(2 << 20);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    char hash[65];
    struct hf_inv_container c = {.id = HF_S("c"), .name = HF_S("n\x1b"), .doc = HF_S("{\"labels\":{\"a\":[1]}}")};
    int rc = hf_inv_verified(text, &c, 1, &alert, hash, &err);
    check(rc <= 0 || (strlen(hash) == 64 && !memchr(alert.p, '\n', alert.n) && hf_json_parse(hf_buf_span(&alert), &doc, &err) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct hf_span input = hf_span((const char *)p + 1, n ? n - 1 : 0);
    hf_autotx tx = {0};
    opened();
    if (!n)
        return 0;
    check(hf_tx_begin(&tx, s, &err) == 0); /* rolled back: every input finds the same store */
    static void (*const parts[])(struct hf_span) = {scan, lines, foreign, used, verified};
    parts[*p % HF_ARRAY_LEN(parts)](input);
    return 0;
}
