// SPDX-License-Identifier: Apache-2.0
/* Memory that runs out anywhere: an error, never a crash, never a change that is called done and is not, never a document that lost its head.
 *
 * The allocations of cJSON and of what is sized by input fail one after the other: the n-th once, and all from the n-th on. */
#include "incident/advisory.h"
#include "incident/correlate.h"
#include "incident/incident-internal.h"

#include <errno.h>
#include <stdlib.h>

#include "../../tests/tap.h"

static size_t count, fail_at; /* 0: none */
static bool for_good;

static void *some(size_t n)
{
    count++;
    return fail_at && (count == fail_at || (for_good && count > fail_at)) ? NULL : malloc(n);
}

static char *story(void)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/corpus/fuzz-correlate/story.ndjson", getenv("HF_SOURCE_ROOT"));
    FILE *f = fopen(path, "re");
    char *text = calloc(1, 4 << 20);
    size_t n = f && text ? fread(text, 1, (4 << 20) - 1, f) : 0;
    if (f)
        fclose(f);
    OK(n > 1000);
    return text;
}

struct result {
    struct hf_buf docs;
    unsigned n;
    int rc;
};

static int keep(void *ctx, const struct hf_inc *i, uint64_t base, struct hf_err *err)
{
    struct result *r = ctx;
    (void)base;
    (void)err;
    hf_inc_write(i, false, &r->docs);
    hf_buf_addc(&r->docs, '\n');
    r->n++;
    return 0;
}

/* The first error, as a process would end with it. */
static void correlate(const char *text, struct result *r)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_span rest = hf_span_z(text), line;
    struct hf_corr *c = hf_corr_new(HF_S("node-7"));
    r->rc = c ? 0 : -ENOMEM;
    while (c && r->rc >= 0 && hf_span_line(&rest, &line))
        r->rc = hf_corr_line(c, line, &err);
    if (c && r->rc >= 0)
        r->rc = hf_corr_flush(c, keep, r, &err);
    hf_corr_free(c);
}

static void change(const char *doc, struct result *r)
{
    static const struct hf_inc_change changes[] = {
            {.verb = HF_INC_ACK, .by = HF_S("ann"), .via = HF_S("cli"), .note = HF_S("mine")}, {.verb = HF_INC_ASSIGN, .by = HF_S("ann"), .text = HF_S("bob")},
            {.verb = HF_INC_COMMENT, .by = HF_S("bob"), .text = HF_S("looked")}, {.verb = HF_INC_ACTION, .by = HF_S("bob"), .text = HF_S("freeze"), .target = HF_S("web"), .result = HF_S("done")},
            {.verb = HF_INC_LINK, .by = HF_S("bob"), .text = HF_S("ticket"), .target = HF_S("https://example.org/1")},
            {.verb = HF_INC_EVIDENCE, .by = HF_S("bob"), .text = HF_S("map"), .target = HF_S("/x"), .result = HF_S("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")}, {.verb = HF_INC_EXCEPT, .by = HF_S("bob"), .text = HF_S("- rule: x")},
            {.verb = HF_INC_RESOLVE, .by = HF_S("bob"), .text = HF_S("true")}, {.verb = HF_INC_REOPEN, .by = HF_S("bob")},
    };
    struct hf_err err = HF_ERR_INIT;
    struct hf_inc *i = NULL;
    r->rc = hf_inc_parse(hf_span_z(doc), &i, &err);
    for (size_t k = 0; r->rc >= 0 && k < HF_ARRAY_LEN(changes); k++) {
        struct hf_inc_change c = changes[k];
        struct hf_inc_audit a;
        hf_autobuf before = HF_BUF_INIT(HF_INC_MAX), after = HF_BUF_INIT(HF_INC_MAX);
        size_t at = fail_at;
        fail_at = 0; /* to see what was there */
        hf_inc_write(i, false, &before);
        fail_at = at;
        c.via = HF_S("cli");
        c.time_ns = 1764187233000000000u + k;
        r->rc = hf_inc_apply(i, &c, &a, &err);
        fail_at = 0;
        hf_inc_write(i, false, &after);
        fail_at = at;
        if (r->rc < 0)
            r->n += !hf_span_eq(hf_buf_span(&before), hf_buf_span(&after)); /* refused and yet changed */
    }
    if (r->rc >= 0)
        hf_inc_write(i, false, &r->docs);
    hf_inc_free(i);
}

static void advisory(struct result *r)
{
    static const char labels[] = "{\"labels\":{\"team\":\"shop\",\"app\":\"web\"},\"pod\":{\"namespace\":\"shop\",\"name\":\"web-0\"}}";
    struct hf_err err = HF_ERR_INIT;
    struct hf_json_doc *d = NULL;
    size_t at = fail_at;
    fail_at = 0; /* the caller's own */
    (void)!hf_json_parse(hf_span_z(labels), &d, &err);
    fail_at = at;
    struct hf_inc *i = hf_inc_from_advisory(HF_S("CVE-1 sha256:a"), 0, 1764187233000000000u);
    r->rc = i ? 0 : -ENOMEM;
    for (int k = 0; i && k < 3; k++) {
        (void)hf_inc_add_vulnerability(i, &(struct hf_inc_vuln){.id = hf_span(&"CVE-1CVE-2CVE-3"[5 * k], 5), .package = HF_S("openssl"), .version = HF_S("3"), .fixed = k ? HF_S("4") : HF_S(""),
                .image = HF_S("web:1"), .image_digest = HF_S("sha256:a"), .severity = 4 + k, .kev = k == 1}, 1764187233000000000u);
        (void)hf_inc_add_container(i, &(struct hf_inc_container){.id = hf_span(&"abc"[k], 1), .name = HF_S("web"), .image = HF_S("web:1"), .image_digest = HF_S("sha256:a"), .host = HF_S("h"),
                .labels = hf_jget(hf_json_root(d), "labels"), .pod = hf_jget(hf_json_root(d), "pod")}, 1764187233000000000u);
    }
    if (i)
        r->rc = hf_inc_advisory_done(i, 1764187234000000000u);
    if (r->rc >= 0)
        hf_inc_write(i, false, &r->docs);
    hf_inc_free(i);
    fail_at = 0;
    hf_json_doc_free(d);
    fail_at = at;
}

static const char *lines, *doc;

static void run(unsigned which, struct result *r)
{
    *r = (struct result){.docs = HF_BUF_INIT(16 << 20)};
    if (which == 0)
        correlate(lines, r);
    else if (which == 1)
        change(doc, r);
    else
        advisory(r);
}

/* Whole, or an error: nothing between. */
static void torture(unsigned which, const char *name)
{
    struct result whole, r;
    unsigned bad = 0, failed = 0, changed = 0;
    fail_at = 0;
    count = 0;
    run(which, &whole);
    size_t all = count;
    if (!OK(whole.rc >= 0 && whole.docs.n > 500))
        printf("# %s: %d\n", name, whole.rc);
    printf("# %s: %zu allocations\n", name, all);
    for (unsigned good = 0; good < 2; good++) {
        for_good = good;
        for (size_t n = 1; n <= all; n += n < 400 ? 1 : 1 + all / 400) {
            count = 0;
            fail_at = n;
            run(which, &r);
            fail_at = 0;
            failed += r.rc < 0;
            changed += which == 1 ? r.n : 0;
            if (r.rc >= 0 && !hf_span_eq(hf_buf_span(&r.docs), hf_buf_span(&whole.docs)) && !bad++)
                printf("# %s: allocation %zu of %zu fails%s: %d, and the document is another one\n# %s\n# %s\n", name, n, all, good ? " and all after it" : "", r.rc, hf_buf_z(&r.docs), hf_buf_z(&whole.docs));
            hf_buf_done(&r.docs);
        }
    }
    EQ_U(bad, 0);
    EQ_U(changed, 0);
    OK(failed > 100);
    hf_buf_done(&whole.docs);
}

int main(void)
{
    char *text = story();
    struct result r;
    cJSON_InitHooks(&(cJSON_Hooks){some, free});
    lines = text;
    run(0, &r);
    struct hf_span rest = hf_buf_span(&r.docs), first = {NULL, 0};
    while (hf_span_line(&rest, &first) && hf_span_search(first, HF_S("\"merged_into\"")) != SIZE_MAX)
        ;
    OK(first.n > 1000);
    char *one = hf_span_dupz(first);
    doc = one;
    hf_buf_done(&r.docs);
    torture(0, "correlate");
    torture(1, "change");
    torture(2, "advisory");
    free(text);
    free(one);
    return tap_done();
}
