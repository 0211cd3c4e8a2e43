/* SPDX-License-Identifier: Apache-2.0 */
/* The Debian security tracker's data/json: {package: {CVE: {description, releases: {bookworm: {status, repositories,
 * fixed_version, urgency, nodsa, nodsa_reason}}}}}.  Read as a stream, since it is some 70 MB.  Rules R10, R11, R14. */
#include <stdio.h>

#include "advisories/feeds/feed.h"
#include "advisories/version/version.h"
#include "base/json.h"
#include "base/mem.h"

enum {
    MAX_TEXT = 4096,
    MAX_NOTES = 1 << 20,          /* CVEs of one package: the kernel has some 15,000 */
    MAX_NOTES_BYTES = 256 << 20,
};

struct release {
    char name[32];
    struct hf_buf status, fixed, urgency, reason;
    struct hf_buf newest; /* of its repositories */
    bool nodsa;
};

/* What is kept of a CVE until its package ends: which releases it spoke of, and what it says of sid. */
struct note {
    struct hf_span cve, description, sid_fixed; /* description: only where the advisory was not made yet */
    uint32_t adv, has;                          /* has: bit per release of names[] */
    bool have_adv, sid_known;
};

struct state {
    struct hf_advb *b;
    struct hf_err *err;
    struct hf_buf package, cve, key, description;
    struct release r;
    bool in_releases, in_repositories;
    uint32_t adv;
    bool have_adv;
    struct note now;          /* of the CVE at hand; cve and description stay in their buffers */
    struct hf_buf sid_fixed;
    struct hf_arena arena;    /* of the package: */
    struct note *notes;
    size_t n_notes, cap_notes;
    struct hf_span *current;  /* newest version a release has of it */
};

static const struct {
    const char *codename, *version;
} names[] = {{"jessie", "8"}, {"stretch", "9"}, {"buster", "10"}, {"bullseye", "11"}, {"bookworm", "12"}, {"trixie", "13"}, {"forky", "14"}, {"duke", "15"},
        {"sid", "sid"}};
enum { SID = HF_ARRAY_LEN(names) - 1 };

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

static bool newer(struct hf_span a, struct hf_span b)
{
    return !b.n || hf_version_cmp(HF_SCHEME_DEB, a, b) == 1;
}

/* Adds a row for a release, and before the first one the advisory. */
static int add_row(struct state *s, size_t release, struct hf_span cve, struct hf_span description, uint32_t *adv, bool *have_adv, const struct hf_advb_row *row)
{
    char ns[48];
    snprintf(ns, sizeof ns, "debian:%s", names[release].version);
    if (!*have_adv) {
        struct hf_advb_advisory a = {.id = cve, .details = description};
        size_t cut = hf_span_search(a.details, HF_S(". ")); /* the first sentence */
        a.summary = hf_span_sub(a.details, 0, HF_MIN(cut, (size_t)240));
        int rc = hf_advb_add(s->b, &a, adv, s->err);
        if (rc < 0)
            return rc;
        *have_adv = true;
    }
    return hf_advb_add_row(s->b, *adv, hf_span_z(ns), hf_buf_span(&s->package), row, s->err);
}

static int flush_release(struct state *s)
{
    size_t release = 0;
    while (release < HF_ARRAY_LEN(names) && strcmp(s->r.name, names[release].codename) != 0)
        release++;
    struct hf_span status = hf_buf_span(&s->r.status), fixed = hf_buf_span(&s->r.fixed), newest = hf_buf_span(&s->r.newest);
    if (release == HF_ARRAY_LEN(names) || !status.n)
        return 0;
    s->now.has |= 1u << release;
    if (newest.n && newer(newest, s->current[release]) && hf_arena_dup(&s->arena, newest, &s->current[release]) < 0)
        return hf_fail(s->err, HF_E_LIMIT, "a package of the tracker is over the memory limit");
    if (hf_span_eqz(status, "undetermined"))
        return 0; /* R14: skipped */
    if (release == SID) {
        set(&s->sid_fixed, hf_span_eqz(status, "resolved") ? fixed : hf_span("", 0));
        s->now.sid_known = hf_span_eqz(status, "open") || hf_span_eqz(status, "resolved");
    }
    struct hf_adv_range range = {HF_S("0"), fixed, {NULL, 0}};
    struct hf_advb_row row = {.scheme = HF_SCHEME_DEB, .flags = HF_ADV_DISTRO, .severity = urgency(hf_buf_span(&s->r.urgency))};
    if (hf_span_eqz(hf_buf_span(&s->r.urgency), "unimportant"))
        row.flags |= HF_ADV_UNIMPORTANT;
    if (s->r.nodsa)
        row.flags |= HF_ADV_NO_DSA;
    if (hf_span_eqz(status, "resolved") && hf_span_eqz(fixed, "0")) {
        row.state = HF_ADV_NOT_AFFECTED;
    } else if (hf_span_eqz(status, "resolved") && fixed.n && newest.n && newer(fixed, newest)) {
        row.state = HF_ADV_UNFIXED; /* R14: a fix newer than anything in the release is none there */
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
    return add_row(s, release, hf_buf_span(&s->cve), hf_buf_span(&s->description), &s->adv, &s->have_adv, &row);
}

static int end_cve(struct state *s)
{
    if (!s->now.sid_known) /* nothing that another release's version could be held against */
        return 0;
    struct note *n = hf_grow((void **)&s->notes, &s->n_notes, &s->cap_notes, sizeof *n, MAX_NOTES);
    if (!n)
        return hf_fail(s->err, HF_E_LIMIT, "a package of the tracker has more than %d CVEs", MAX_NOTES);
    *n = s->now;
    n->adv = s->adv;
    n->have_adv = s->have_adv;
    n->description = hf_span("", 0);
    if (hf_arena_dup(&s->arena, hf_buf_span(&s->cve), &n->cve) < 0 || hf_arena_dup(&s->arena, hf_buf_span(&s->sid_fixed), &n->sid_fixed) < 0 ||
            (!n->have_adv && hf_arena_dup(&s->arena, hf_buf_span(&s->description), &n->description) < 0))
        return hf_fail(s->err, HF_E_LIMIT, "a package of the tracker is over the memory limit");
    return 0;
}

static void begin_package(struct state *s)
{
    hf_arena_done(&s->arena);
    hf_arena_init(&s->arena, MAX_NOTES_BYTES);
    s->n_notes = 0;
    memset(s->current, 0, HF_ARRAY_LEN(names) * sizeof *s->current);
}

/* R14: a release that has the package, but no entry for a CVE: its version is held against sid's fix. */
static int end_package(struct state *s)
{
    int rc = 0;
    for (size_t i = 0; i < s->n_notes && rc >= 0; i++) {
        struct note *n = &s->notes[i];
        for (size_t r = 0; r < SID && rc >= 0; r++) {
            if (n->has & 1u << r || !s->current[r].n || hf_span_eqz(n->sid_fixed, "0"))
                continue;
            struct hf_adv_range range = {HF_S("0"), n->sid_fixed, {NULL, 0}};
            bool there = n->sid_fixed.n && !newer(n->sid_fixed, s->current[r]);
            struct hf_advb_row row = {.scheme = HF_SCHEME_DEB, .flags = HF_ADV_DISTRO, .state = there ? HF_ADV_RANGES : HF_ADV_UNFIXED, .ranges = &range, .n_ranges = there};
            rc = add_row(s, r, n->cve, n->description, &n->adv, &n->have_adv, &row);
        }
    }
    begin_package(s);
    return rc;
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
            s->now = (struct note){.adv = 0};
            hf_buf_clear(&s->sid_fixed);
        } else if (e->depth == 4) {
            snprintf(s->r.name, sizeof s->r.name, HF_SPAN_FMT, (int)HF_MIN(e->text.n, (size_t)31), e->text.p);
            hf_buf_clear(&s->r.status);
            hf_buf_clear(&s->r.fixed);
            hf_buf_clear(&s->r.urgency);
            hf_buf_clear(&s->r.reason);
            hf_buf_clear(&s->r.newest);
            s->r.nodsa = false;
        } else if (e->depth == 5) {
            s->in_repositories = hf_span_eqz(e->text, "repositories");
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
    if (e->kind == HF_JSON_OBJECT_END && e->depth == 2)
        return end_cve(s);
    if (e->kind == HF_JSON_OBJECT_END && e->depth == 1)
        return end_package(s);
    if (e->kind != HF_JSON_STRING)
        return 0;
    if (e->depth == 3 && hf_span_eqz(key, "description"))
        set(&s->description, e->text);
    if (e->depth == 6 && s->in_repositories && hf_version_valid(HF_SCHEME_DEB, e->text) && newer(e->text, hf_buf_span(&s->r.newest)))
        set(&s->r.newest, e->text);
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
    struct hf_buf *bufs[] = {&s.package, &s.cve, &s.key, &s.description, &s.r.status, &s.r.fixed, &s.r.urgency, &s.r.reason, &s.r.newest, &s.sid_fixed};
    struct hf_span current[HF_ARRAY_LEN(names)];
    s.current = current;
    begin_package(&s);
    (void)name;
    for (size_t i = 0; i < HF_ARRAY_LEN(bufs); i++)
        hf_buf_init(bufs[i], MAX_TEXT);
    hf_cleanup(hf_json_stream_freep) struct hf_json_stream *j = hf_json_stream_new(on_event, &s);
    int rc = j ? hf_json_stream_feed(j, bytes, err) : hf_fail(err, HF_E_LIMIT, "out of memory");
    if (rc >= 0)
        rc = hf_json_stream_end(j, err);
    for (size_t i = 0; i < HF_ARRAY_LEN(bufs); i++)
        hf_buf_done(bufs[i]);
    hf_arena_done(&s.arena);
    free(s.notes);
    return rc;
}

const struct hf_feed hf_feed_debian = {"debian-tracker", is_debian, read_debian};
