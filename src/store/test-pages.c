// SPDX-License-Identifier: Apache-2.0
/* Lists as pages show them, on SQLite and on a PostgreSQL of the test's own: order, going on behind a row, filters, totals. */
#include "store/pages.h"

#include "../../tests/tap.h"
#include "store/queue.h"
#include "test-pg.h"

static struct hf_err err;
#define S(z) hf_span_z(z)

static int good(int rc)
{
    if (rc < 0)
        printf("# %s\n", err.msg);
    return rc;
}

static int box(void *ctx, const struct hf_inv_container *c)
{
    hf_buf_addf(ctx, "%.*s ", HF_SPAN_ARG(c->id));
    return 0;
}
static int image(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    hf_buf_addf(ctx, "%.*s*%u ", HF_SPAN_ARG(i->name), (unsigned)running);
    return 0;
}
static int package(void *ctx, const struct hf_inv_package *p, uint64_t findings)
{
    hf_buf_addf(ctx, "%.*s%s/%u ", HF_SPAN_ARG(p->name), p->used ? "!" : "", (unsigned)findings);
    return 0;
}
static int finding(void *ctx, struct hf_span digest, const struct hf_inv_finding *f, uint64_t running)
{
    (void)digest;
    (void)running;
    hf_buf_addf(ctx, "%.*s%s=%d ", HF_SPAN_ARG(f->id), f->used ? "!" : "", f->severity);
    return 0;
}
static int entry(void *ctx, const struct hf_audit_entry *e)
{
    hf_buf_addf(ctx, "%u%.*s ", (unsigned)e->seq, HF_SPAN_ARG(e->what));
    return 0;
}
static int counted(void *ctx, struct hf_span what, uint64_t n)
{
    hf_buf_addf(ctx, "%.*s=%u ", HF_SPAN_ARG(what), (unsigned)n);
    return 0;
}
static int step(void *ctx, int64_t from, uint64_t n)
{
    hf_buf_addf(ctx, "%d=%u ", (int)from, (unsigned)n);
    return 0;
}
static int alert(void *ctx, const struct hf_page_alert *a)
{
    hf_buf_addf(ctx, "%u@%d%.*s%.*s%d ", (unsigned)a->seq, (int)a->time, HF_SPAN_ARG(a->rule), HF_SPAN_ARG(a->container), a->severity);
    return 0;
}
static int line(void *ctx, const struct hf_alert_row *a)
{
    hf_buf_adds(ctx, a->doc);
    return 0;
}
static int incident(void *ctx, struct hf_span id, uint64_t revision, int64_t updated)
{
    (void)updated;
    hf_buf_addf(ctx, "%.*s:%u ", HF_SPAN_ARG(id), (unsigned)revision);
    return 0;
}
static int named(void *ctx, struct hf_span id, int severity, struct hf_span names)
{
    hf_buf_addf(ctx, "%.*s=%d%s ", HF_SPAN_ARG(id), severity, hf_span_search(names, S("box1")) == SIZE_MAX ? "" : "+");
    return 0;
}

static void fill(struct hf_store *s)
{
    unsigned bad = 0;
    for (int i = 0; i < 6; i++) {
        char id[8], doc[400];
        snprintf(id, sizeof id, "c%d", i);
        snprintf(doc, sizeof doc, "{\"labels\":{\"Team\":\"T%d\"}}", i);
        struct hf_inv_container c = {S(id), S("h"), i % 2 ? S("Web_1") : S("db"), S("nginx"), i < 3 ? S("sha256:a") : S("sha256:b"), S(doc), 100 - i, i < 3 ? 0 : 200 + i, 1};
        bad += hf_store_container_put(s, &c, &err) < 0;
        struct hf_alert_row a = {.time = 100 * i, .severity = i, .rule = i % 2 ? S("odd") : S("even"), .container = i < 4 ? S("c0") : S("c1"), .incident = i < 2 ? S("") : i < 4 ? S("I-1") : S("I-2"), .doc = hf_span(&"uvwxyz"[i], 1)};
        bad += hf_store_alert_add(s, &a, NULL, &err) < 0;
        snprintf(doc, sizeof doc,
                "{\"schema\":\"holdfast.incident/1\",\"id\":\"I-%d\",\"revision\":%d,\"title\":\"T%d\",\"state\":\"%s\",\"severity\":\"%s\",%s\"opened\":\"2026-11-26T19:00:00Z\",\"updated\":\"2026-11-26T19:0%d:00Z\",\"containers\":[{\"id\":\"box%d\"}]}", i,
                i + 1, i, i % 3 ? "open" : "resolved", i > 3 ? "critical" : "low", i == 4 ? "\"assignee\":\"ann\"," : "", i, i % 2);
        bad += hf_store_incident_put(s, S(doc), 0, &err) < 0;
        bad += hf_store_audit_add(s, &(struct hf_audit_entry){.by = S("x"), .what = i % 2 ? S("b") : S("a"), .target = i % 2 ? S("t") : S("u")}, NULL, &err) < 0;
    }
    bad += hf_store_image_put(s, &(struct hf_inv_image){S("sha256:a"), S("Zoo"), S("{}"), 5}, &err) < 0;
    bad += hf_store_image_put(s, &(struct hf_inv_image){S("sha256:b"), S("ant"), S("{}"), 0}, &err) < 0;
    struct hf_inv_package p[] = {{S("deb"), S("a"), S("1"), S("src"), S("{}"), false}, {S("deb"), S("b"), S("1"), S(""), S("{}"), true}, {S("npm"), S("A"), S("2"), S(""), S("{}"), false}};
    struct hf_inv_finding f[] = {{S("CVE-1"), S("deb"), S("a"), S("1"), S(""), S("{}"), 6, false, 1}, {S("CVE-2"), S("deb"), S("b"), S("1"), S(""), S("{}"), 3, true, 1}, {S("CVE-3"), S("deb"), S("a"), S("1"), S(""), S("{}"), 4, false, 1}};
    bad += hf_store_packages_put(s, S("sha256:a"), p, 3, &err) < 0;
    bad += hf_store_findings_put(s, S("sha256:a"), f, 3, &err) < 0;
    bad += hf_store_queue_push(s, S("ops"), S(""), S("m"), 0, NULL, &err) < 0;
    EQ_U(bad, 0);
}

#define LIST(expected, call)                    \
    do {                                        \
        hf_buf_clear(&b);                       \
        total = 99;                             \
        EQ_I(good(call), 0);                    \
        EQ_S(hf_buf_span(&b), expected);        \
    } while (0)

static void suite(struct hf_store *s)
{
    hf_autobuf b = HF_BUF_INIT(65536);
    uint64_t total;
    fill(s);
    LIST("c0 c1 c2 ", hf_page_containers(s, &(struct hf_page_containers){.limit = 9}, box, &b, &total, &err));
    EQ_U(total, 3);
    LIST("c1 ", hf_page_containers(s, &(struct hf_page_containers){.after = true, .after_time = 100, .after_id = S("c0"), .limit = 1}, box, &b, &total, &err));
    LIST("c5 c4 c3 ", hf_page_containers(s, &(struct hf_page_containers){.ended = true}, box, &b, &total, &err));
    LIST("c4 c3 ", hf_page_containers(s, &(struct hf_page_containers){.ended = true, .after = true, .after_time = 205, .after_id = S("c5")}, box, &b, &total, &err));
    EQ_U(total, 3);
    LIST("c5 c3 ", hf_page_containers(s, &(struct hf_page_containers){.ended = true, .text = S("WEB_")}, box, &b, &total, &err)); /* "_" is no wildcard */
    EQ_U(total, 2);
    LIST("c2 ", hf_page_containers(s, &(struct hf_page_containers){.text = S("t2"), .digest = S("sha256:a")}, box, &b, &total, &err));
    LIST("Zoo*3 ant*0 ", hf_page_images(s, &(struct hf_page_images){.running = -1}, image, &b, &total, &err));
    EQ_U(total, 2);
    LIST("ant*0 ", hf_page_images(s, &(struct hf_page_images){.running = -1, .after_name = S("Zoo"), .after_digest = S("sha256:a")}, image, &b, &total, &err));
    LIST("Zoo*3 ", hf_page_images(s, &(struct hf_page_images){.running = 1}, image, &b, &total, &err));
    LIST("ant*0 ", hf_page_images(s, &(struct hf_page_images){.running = 0, .text = S("ANT")}, image, &b, &total, &err));
    struct hf_page_image_counts c = {0};
    struct hf_page_inventory n = {0};
    OK(hf_page_image_counts(s, S("sha256:a"), &c, &err) == 0 && c.packages == 3 && !c.sealed);
    OK(hf_page_inventory(s, &n, &err) == 0 && n.images == 2 && n.scanned == 1 && n.images_running == 1 && n.containers == 6 && n.running == 3);
    LIST("b!/1 a/2 A/0 ", hf_page_packages(s, &(struct hf_page_packages){.digest = S("sha256:a")}, package, &b, &total, &err));
    EQ_U(total, 3);
    LIST("a/2 A/0 ", hf_page_packages(s, &(struct hf_page_packages){.digest = S("sha256:a"), .after = true, .after_used = true, .after_ecosystem = S("deb"), .after_name = S("b"), .after_version = S("1")}, package, &b, &total, &err));
    LIST("a/2 ", hf_page_packages(s, &(struct hf_page_packages){.digest = S("sha256:a"), .text = S("SRC")}, package, &b, &total, &err));
    LIST("CVE-2!=3 CVE-1=6 CVE-3=4 ", hf_page_findings(s, &(struct hf_page_findings){.digest = S("sha256:a"), .used = -1}, finding, &b, &total, &err));
    LIST("CVE-3=4 ", hf_page_findings(s, &(struct hf_page_findings){.digest = S("sha256:a"), .used = -1, .after = true, .after_severity = 6, .after_id = S("CVE-1"), .after_ecosystem = S("deb"), .after_package = S("a"), .after_version = S("1")},
                                              finding, &b, &total, &err));
    LIST("CVE-1=6 ", hf_page_findings(s, &(struct hf_page_findings){.digest = S("sha256:a"), .used = 0, .min_severity = 5}, finding, &b, &total, &err));
    EQ_U(total, 1);
    LIST("6b 5a 4b ", hf_page_audit(s, S(""), 0, 3, entry, &b, &total, &err));
    EQ_U(total, 6);
    LIST("4b 2b ", hf_page_audit(s, S("t"), 6, 3, entry, &b, &total, &err));
    EQ_U(total, 3);
    LIST("I-2=2 ", hf_page_incidents_of(s, S("c1"), 9, counted, &b, &err));
    LIST("c0=2 c1=1 ", hf_page_rule_containers(s, S("odd"), 0, 9, counted, &b, &err));
    LIST("0=2 300=1 ", hf_page_rule_steps(s, S("even"), 0, 300, step, &b, &err));
    LIST("ops=1 ", hf_page_channels(s, counted, &b, &err));
    LIST("5@400evenc14 6@500oddc15 ", hf_page_alerts(s, 4, 9, alert, &b, &err));
    EQ_I(good(hf_page_alerts_before(s, 250, &total, &err)), 0);
    EQ_U(total, 3);
    EQ_I(good(hf_page_alerts_before(s, 9999, &total, &err)), 0);
    EQ_U(total, 6);
    LIST("zxv", hf_page_rule_alerts(s, S("odd"), INT64_MAX, INT64_MAX, 9, line, &b, &err));
    LIST("xv", hf_page_rule_alerts(s, S("odd"), 500, 6, 9, line, &b, &err));
    LIST("I-5:6 I-4:5 I-3:4 I-2:3 I-1:2 I-0:1 ", hf_page_incidents(s, &(struct hf_incident_filter){0}, incident, &b, &err));
    LIST("I-5:6 I-4:5 I-2:3 I-1:2 ", hf_page_incidents(s, &(struct hf_incident_filter){.states = HF_STATE_UNRESOLVED}, incident, &b, &err));
    LIST("I-5:6 I-3:4 ", hf_page_incidents(s, &(struct hf_incident_filter){.text = S("BOX1"), .limit = 2}, incident, &b, &err));
    LIST("I-4:5 ", hf_page_incidents(s, &(struct hf_incident_filter){.assignee = S("ann"), .min_severity = 6}, incident, &b, &err));
    EQ_I(good(hf_page_incident_count(s, &(struct hf_incident_filter){.text = S("box1")}, &total, &err)), 0);
    EQ_U(total, 3);
    LIST("I-5=6+ I-4=6 I-2=3 I-1=3+ ", hf_page_incident_index(s, 9, named, &b, &err));
}

int main(void)
{
    char dir[] = "/tmp/hf-test-pages-XXXXXX", path[128];
    struct hf_store *s = NULL;
    struct test_pg pg;
    OK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/s.db", dir);
    EQ_I(good(hf_store_open(&s, path, &err)), 0);
    if (s)
        suite(s);
    hf_store_close(s);
    nftw(dir, test_pg_erase, 16, FTW_DEPTH | FTW_PHYS);
    if (test_pg_start(&pg)) {
        s = NULL;
        EQ_I(good(hf_store_open(&s, pg.url, &err)), 0);
        if (s)
            suite(s);
        hf_store_close(s);
    } else {
        printf("ok %u # SKIP PostgreSQL: %s\n", ++tap_n, pg.why);
    }
    test_pg_stop(&pg);
    return tap_done();
}
