/* SPDX-License-Identifier: Apache-2.0 */
/* The store under hostile texts: every writing function gets pieces of the input as keys, names and documents; what was taken is read back and is what was put,
 * made UTF-8; cursors and filters from the input end every list; the audit chain verifies; nothing but one transaction is left open. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/audit.h"
#include "store/incidents.h"
#include "store/inventory.h"
#include "store/keep.h"
#include "store/queue.h"
#include "store/settings.h"
#include "store/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct hf_store *s;
static struct hf_err err;
static char dir[] = "/tmp/hf-fuzz-store-XXXXXX";

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
    rmdir(dir);
}

static void opened(void)
{
    char url[100];
    if (s)
        return;
    check(mkdtemp(dir) != NULL);
    snprintf(url, sizeof url, "sqlite:%s/s.db", dir);
    check(hf_store_open(&s, url, &err) == 0);
    check(hf_sql_run(s, &err, "PRAGMA synchronous=OFF", HF_NO_VALUES) >= 0);
    atexit(closed);
}

static struct hf_span input;
static size_t at;

static struct hf_span take(void)
{
    size_t n = at < input.n ? (unsigned char)input.p[at++] : 0;
    if (n > 250) /* long ones too */
        n = (n - 250) * 2000;
    struct hf_span r = hf_span_sub(input, at, n);
    at += r.n;
    return r;
}

static int64_t number(void)
{
    struct hf_span t = take();
    int64_t v = 0;
    for (size_t i = 0; i < HF_MIN(t.n, sizeof v); i++)
        v = (int64_t)((uint64_t)v << 8 | (unsigned char)t.p[i]);
    return v;
}

/* ---- settings: what was put is there ---- */

static int seen(void *ctx, struct hf_span key, struct hf_span value, int64_t changed)
{
    (void)value;
    (void)changed;
    check(hf_span_is_utf8(key));
    ++*(unsigned *)ctx;
    return 0;
}

static void setting(void)
{
    struct hf_span key = take(), value = take();
    hf_autobuf got = HF_BUF_INIT(1 << 20), want = HF_BUF_INIT(1 << 20);
    unsigned count = 0;
    int rc = hf_store_setting_put(s, key, value, &err);
    if (rc < 0) {
        check(rc == HF_E_LIMIT || rc == HF_E_FORMAT);
        return;
    }
    check(hf_store_setting_get(s, key, &got, &err) == 1);
    hf_sql_clean(&want, value);
    check(hf_span_eq(hf_buf_span(&got), hf_buf_span(&want)));
    check(hf_store_setting_list(s, hf_span_sub(key, 0, 1), take(), 100, seen, &count, &err) == 0);
    check(hf_store_setting_delete(s, key, &err) == 1);
}

/* ---- incidents ---- */

static int row(void *ctx, const struct hf_incident_row *r)
{
    uint64_t *last = ctx;
    check(hf_span_is_utf8(r->id) && hf_span_is_utf8(r->doc) && (!last || r->change > *last));
    if (last)
        *last = r->change;
    return 0;
}

static void incident(void)
{
    struct hf_span doc = take();
    hf_autobuf made = HF_BUF_INIT(1 << 20);
    uint64_t before = 0, after = 0, seen_to;
    check(hf_store_incident_last_change(s, &before, &err) == 0);
    int rc = hf_store_incident_put(s, doc, (uint64_t)number(), &err);
    hf_buf_addz(&made, "{\"id\":\"fuzz-own\",\"revision\":1,\"state\":\"open\",\"severity\":\"low\",\"opened\":\"2026-11-26T19:00:00Z\",\"updated\":\"2026-11-26T19:00:00Z\",\"title\":\"");
    struct hf_span title = take();
    for (size_t i = 0; i < title.n; i++)
        if ((unsigned char)title.p[i] >= 32 && title.p[i] != '"' && title.p[i] != '\\')
            hf_buf_addc(&made, title.p[i]);
    hf_buf_addz(&made, "\"}");
    int own = hf_store_incident_put(s, hf_buf_span(&made), 0, &err);
    if (own == -ESTALE) /* the input has this very id */
        return;
    check(own == 0);
    check(hf_store_incident_last_change(s, &after, &err) == 0);
    check(after == before + 1 + (rc == 0));
    seen_to = before;
    check(hf_store_incident_changes(s, before, 100, row, &seen_to, &err) == 0 && seen_to == after);
    struct hf_incident_filter f = {.states = (unsigned)number() & 15, .min_severity = (int)(number() & 7), .assignee = take(), .text = take(), .since = number(), .until = number(),
            .after_updated = number(), .after_id = take(), .limit = (unsigned)number()};
    uint64_t total = 0;
    check(hf_store_incident_list(s, &f, row, NULL, &err) == 0 && hf_store_incident_count(s, &f, &total, &err) == 0);
    check(hf_store_incident_delete(s, HF_S("fuzz-own"), &err) == 0);
}

/* ---- alerts, audit, queue ---- */

static int alert_row(void *ctx, const struct hf_alert_row *r)
{
    (void)ctx;
    check(hf_span_is_utf8(r->rule) && hf_span_is_utf8(r->doc) && hf_span_is_utf8(r->container));
    return 0;
}

static int alert_count(void *ctx, const struct hf_alert_count *c)
{
    *(uint64_t *)ctx += c->n;
    return 0;
}

static void alert(void)
{
    struct hf_alert_row a = {.time = number(), .severity = (int)number(), .incident = take(), .rule = take(), .container = take(), .doc = take()};
    uint64_t seq = 0, by_hour = 0, all = 0;
    int64_t step = number(), since = number();
    if (hf_store_alert_add(s, &a, &seq, &err) == 0)
        check(hf_store_alert_get(s, seq, alert_row, NULL, &err) == 1);
    check(hf_store_alert_list(s, a.incident, (uint64_t)number(), 50, alert_row, NULL, &err) == 0);
    check(hf_store_alert_newest(s, a.rule, a.container, (uint64_t)number(), 50, alert_row, NULL, &err) == 0);
    check(hf_store_alert_counts(s, since, step, HF_COUNT_RULE | HF_COUNT_SEVERITY, alert_count, &by_hour, &err) == 0);
    check(hf_store_alert_counts(s, since, 0, 0, alert_count, &all, &err) == 0);
    check(by_hour == all); /* however they are cut, they are all there */
}

static void queued(void)
{
    struct hf_span channel = take(), key = take(), body = take(), why = take();
    struct hf_queue_entry e;
    hf_autobuf text = HF_BUF_INIT(1 << 20);
    int64_t next;
    if (hf_store_queue_push(s, channel, key, body, 0, NULL, &err) < 0)
        return;
    check(hf_store_queue_claim(s, channel, 1000, 10, &e, &text, &next, &err) == 1);
    check(hf_store_queue_retry(s, &e, 5, why, &err) == 0 || err.code == HF_E_LIMIT);
    if (hf_store_queue_claim(s, channel, 3000, 10, &e, &text, &next, &err) == 1)
        check(hf_store_queue_done(s, &e, &err) == 0);
    struct hf_audit_entry a = {.by = take(), .via = take(), .what = take(), .target = take(), .before = take(), .after = take()};
    (void)!hf_store_audit_add(s, &a, NULL, &err);
}

/* ---- inventory ---- */

static int package(void *ctx, struct hf_span digest, const struct hf_inv_package *p, uint64_t running)
{
    (void)digest;
    (void)running;
    check(hf_span_is_utf8(p->name) && hf_span_is_utf8(p->doc));
    ++*(unsigned *)ctx;
    return 0;
}

static int finding(void *ctx, struct hf_span digest, const struct hf_inv_finding *f, uint64_t running)
{
    (void)digest;
    (void)running;
    check(hf_span_is_utf8(f->id) && hf_span_is_utf8(f->doc));
    ++*(unsigned *)ctx;
    return 0;
}

static void inventory(void)
{
    struct hf_inv_image i = {take(), take(), take(), number()};
    struct hf_inv_package p[3];
    struct hf_inv_finding f[3];
    unsigned n = 0;
    for (size_t k = 0; k < 3; k++)
        p[k] = (struct hf_inv_package){take(), take(), take(), take(), take(), number() & 1};
    for (size_t k = 0; k < 3; k++)
        f[k] = (struct hf_inv_finding){take(), take(), take(), take(), take(), take(), (int)number(), number() & 1, number()};
    if (hf_store_image_put(s, &i, &err) < 0)
        return;
    if (hf_store_packages_put(s, i.digest, p, 3, &err) == 0)
        check(hf_store_packages(s, i.digest, package, &n, &err) == 0 && n >= 1 && n <= 3);
    n = 0;
    if (hf_store_findings_put(s, i.digest, f, 3, &err) == 0)
        check(hf_store_findings(s, i.digest, finding, &n, &err) == 0 && n >= 1 && n <= 3);
    struct hf_finding_counts c;
    check(hf_store_finding_counts(s, i.digest, false, &c, &err) == 0);
    uint64_t sum = 0;
    for (size_t k = 0; k < HF_ARRAY_LEN(c.n); k++)
        sum += c.n[k];
    check(n == 0 || sum == n);
    check(hf_store_packages_named(s, p[0].ecosystem, p[0].name, package, &n, &err) == 0);
    check(hf_store_package_used(s, i.digest, p[1].ecosystem, p[1].name, take(), &err) >= 0);
    struct hf_inv_container box = {take(), take(), take(), take(), i.digest, take(), number(), number(), number()};
    (void)!hf_store_container_put(s, &box, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static void (*const parts[])(void) = {setting, incident, alert, queued, inventory};
    opened();
    input = hf_span((const char *)p, n);
    at = 0;
    {
        hf_autotx tx = {0}; /* rolled back: every input finds the same store */
        check(hf_tx_begin(&tx, s, &err) == 0);
        for (unsigned i = 0; i < 8 && at < input.n; i++)
            parts[(unsigned char)input.p[at++] % HF_ARRAY_LEN(parts)]();
        struct hf_audit_head head;
        check(hf_store_audit_verify(s, NULL, &head, &err) == 0);
    }
    uint64_t left = 9;
    check(hf_store_incident_last_change(s, &left, &err) == 0 && left == 0);
    return 0;
}
