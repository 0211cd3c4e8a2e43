/* SPDX-License-Identifier: Apache-2.0 */
/* The Debian security tracker's data/json: {package: {CVE: {description, releases: {bookworm: {status, repositories,
 * fixed_version, urgency, nodsa, nodsa_reason}}}}}.  Read as a stream, since it is some 70 MB.  Rules R10, R11, R14. */
#include <stdio.h>

#include "advisories/feeds/feed.h"
#include "base/json.h"
#include "base/mem.h"

enum { MAX_TEXT = 4096 };

struct release {
    char name[32];
    struct hf_buf status, fixed, urgency, reason;
    bool nodsa;
};

struct state {
    struct hf_advb *b;
    struct hf_err *err;
    struct hf_buf package, cve, key, description;
    struct release r;
    bool in_releases;
    uint32_t adv;
    bool have_adv;
};

static const struct {
    const char *codename, *version;
} names[] = {{"jessie", "8"}, {"stretch", "9"}, {"buster", "10"}, {"bullseye", "11"}, {"bookworm", "12"}, {"trixie", "13"}, {"forky", "14"}, {"duke", "15"},
        {"sid", "sid"}};

static void set(struct hf_buf *b, struct hf_span s)
{
    hf_buf_clear(b);
    hf_buf_adds(b, hf_span_sub(s, 0, MAX_TEXT));
}

static enum hf_severity urgency(struct hf_span u)
{
    /* "medium**" and "low*" are the tracker's own guesses; the words say how bad, the stars who said so */
    if (hf_span_starts(u, HF_S("high")))
        return HF_SEV_HIGH;
    if (hf_span_starts(u, HF_S("medium")))
        return HF_SEV_MEDIUM;
    if (hf_span_starts(u, HF_S("low")))
        return HF_SEV_LOW;
    return hf_span_eqz(u, "unimportant") ? HF_SEV_NEGLIGIBLE : HF_SEV_UNKNOWN;
}

static int flush_release(struct state *s)
{
    const char *version = NULL;
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        if (!strcmp(s->r.name, names[i].codename))
            version = names[i].version;
    struct hf_span status = hf_buf_span(&s->r.status), fixed = hf_buf_span(&s->r.fixed);
    if (!version || !status.n || hf_span_eqz(status, "undetermined"))
        return 0; /* R14: undetermined is skipped */
    char ns[48];
    snprintf(ns, sizeof ns, "debian:%s", version);
    struct hf_adv_range range = {HF_S("0"), fixed, {NULL, 0}};
    struct hf_advb_row row = {.scheme = HF_SCHEME_DEB, .flags = HF_ADV_DISTRO, .severity = urgency(hf_buf_span(&s->r.urgency))};
    if (hf_span_eqz(hf_buf_span(&s->r.urgency), "unimportant"))
        row.flags |= HF_ADV_UNIMPORTANT;
    if (s->r.nodsa)
        row.flags |= HF_ADV_NO_DSA;
    if (hf_span_eqz(status, "resolved") && hf_span_eqz(fixed, "0")) {
        row.state = HF_ADV_NOT_AFFECTED;
    } else if (hf_span_eqz(status, "resolved") && fixed.n) {
        row.state = HF_ADV_RANGES;
        row.ranges = &range;
        row.n_ranges = 1;
    } else if (hf_span_eqz(status, "open")) {
        /* R14: without a DSA it stays vulnerable; "postponed" waits for the next one, "ignored" or no reason is won't fix */
        bool later = hf_span_starts(hf_buf_span(&s->r.reason), HF_S("postponed"));
        row.state = hf_span_eqz(hf_buf_span(&s->r.urgency), "end-of-life") ? HF_ADV_EOL
                : !s->r.nodsa                                              ? HF_ADV_UNFIXED
                : later                                                    ? HF_ADV_DEFERRED
                                                                           : HF_ADV_WONT_FIX;
    } else {
        hf_advb_rejected(s->b);
        return 0;
    }
    if (!s->have_adv) {
        struct hf_advb_advisory a = {.id = hf_buf_span(&s->cve), .details = hf_buf_span(&s->description)};
        size_t cut = hf_span_search(a.details, HF_S(". ")); /* the first sentence */
        a.summary = hf_span_sub(a.details, 0, HF_MIN(cut, (size_t)240));
        int rc = hf_advb_add(s->b, &a, &s->adv, s->err);
        if (rc < 0)
            return rc;
        s->have_adv = true;
    }
    return hf_advb_add_row(s->b, s->adv, hf_span_z(ns), hf_buf_span(&s->package), &row, s->err);
}

/* depth 1: package; 2: CVE; 3: fields of the CVE; 4: releases; 5: fields of a release. */
static int on_event(void *ctx, const struct hf_json_event *e)
{
    struct state *s = ctx;
    struct hf_span key = hf_buf_span(&s->key);
    if (e->kind == HF_JSON_KEY) {
        if (e->depth == 1) {
            set(&s->package, e->text);
        } else if (e->depth == 2) {
            set(&s->cve, e->text);
            hf_buf_clear(&s->description);
            s->have_adv = false;
        } else if (e->depth == 4) {
            snprintf(s->r.name, sizeof s->r.name, HF_SPAN_FMT, (int)HF_MIN(e->text.n, (size_t)31), e->text.p);
            hf_buf_clear(&s->r.status);
            hf_buf_clear(&s->r.fixed);
            hf_buf_clear(&s->r.urgency);
            hf_buf_clear(&s->r.reason);
            s->r.nodsa = false;
        } else if (e->depth == 3) {
            s->in_releases = hf_span_eqz(e->text, "releases");
        }
        set(&s->key, e->text);
        return 0;
    }
    if (e->kind == HF_JSON_OBJECT_END && e->depth == 4 && s->in_releases && s->r.name[0]) {
        int rc = flush_release(s);
        s->r.name[0] = 0;
        return rc;
    }
    if (e->kind != HF_JSON_STRING)
        return 0;
    if (e->depth == 3 && hf_span_eqz(key, "description"))
        set(&s->description, e->text);
    if (e->depth == 5 && hf_span_eqz(key, "status"))
        set(&s->r.status, e->text);
    else if (e->depth == 5 && hf_span_eqz(key, "fixed_version"))
        set(&s->r.fixed, e->text);
    else if (e->depth == 5 && hf_span_eqz(key, "urgency"))
        set(&s->r.urgency, e->text);
    else if (e->depth == 5 && hf_span_eqz(key, "nodsa"))
        s->r.nodsa = true;
    else if (e->depth == 5 && hf_span_eqz(key, "nodsa_reason")) {
        s->r.nodsa = true;
        set(&s->r.reason, e->text);
    }
    return 0;
}

static bool is_debian(struct hf_span name, struct hf_span head)
{
    (void)name;
    return hf_span_search(head, HF_S("\"releases\"")) != SIZE_MAX &&
            (hf_span_search(head, HF_S("\"CVE-")) != SIZE_MAX || hf_span_search(head, HF_S("\"TEMP-")) != SIZE_MAX);
}

static int read_debian(struct hf_advb *b, struct hf_span name, struct hf_span bytes, struct hf_err *err)
{
    struct state s = {.b = b, .err = err};
    struct hf_buf *bufs[] = {&s.package, &s.cve, &s.key, &s.description, &s.r.status, &s.r.fixed, &s.r.urgency, &s.r.reason};
    (void)name;
    for (size_t i = 0; i < HF_ARRAY_LEN(bufs); i++)
        hf_buf_init(bufs[i], MAX_TEXT);
    hf_cleanup(hf_json_stream_freep) struct hf_json_stream *j = hf_json_stream_new(on_event, &s);
    int rc = j ? hf_json_stream_feed(j, bytes, err) : hf_fail(err, HF_E_LIMIT, "out of memory");
    if (rc >= 0)
        rc = hf_json_stream_end(j, err);
    for (size_t i = 0; i < HF_ARRAY_LEN(bufs); i++)
        hf_buf_done(bufs[i]);
    return rc;
}

const struct hf_feed hf_feed_debian = {"debian-tracker", is_debian, read_debian};
