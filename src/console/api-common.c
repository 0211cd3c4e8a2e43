// SPDX-License-Identifier: Apache-2.0
#include "console/api-common.h"

#include <stdio.h>
#include <stdlib.h>

#include "console/live-internal.h"
#include "event/json.h"
#include "store/store.h"

/* ---- parameters ---- */

static bool one_of(struct hf_span name, const char *names)
{
    struct hf_span rest = hf_span_z(names), word;
    while (hf_span_cut(&rest, '|', &word))
        if (hf_span_eq(word, name))
            return true;
    return false;
}

int hf_api_only(const struct hf_request *q, const char *names, struct hf_err *err)
{
    for (size_t i = 0; i < q->n_query; i++) {
        if (!one_of(q->query[i].name, names))
            return hf_fail(err, HF_E_USAGE, "there is no parameter \"%.60s\" here%s%s", q->query[i].name.n ? hf_api_keep(q, q->query[i].name).p : "", *names ? "; there are " : "", names);
        for (size_t k = 0; k < i; k++)
            if (hf_span_eq(q->query[i].name, q->query[k].name))
                return hf_fail(err, HF_E_USAGE, "\"%.60s\" is given twice", hf_api_keep(q, q->query[i].name).p);
    }
    return 0;
}

int hf_api_body_only(const struct hf_request *q, const char *names, struct hf_err *err)
{
    if (!q->body)
        return 0;
    if (!hf_jis_object(q->body))
        return hf_fail(err, HF_E_USAGE, "the body must be an object");
    HF_JFOREACH(m, q->body) {
        if (!one_of(hf_jname(m), names))
            return hf_fail(err, HF_E_USAGE, "there is no member \"%.60s\" here%s%s", hf_jname(m).n ? hf_api_keep(q, hf_jname(m)).p : "", *names ? "; there are " : "", names);
        for (hf_jnode o = hf_jfirst(q->body); o != m; o = hf_jnext(o))
            if (hf_span_eq(hf_jname(o), hf_jname(m)))
                return hf_fail(err, HF_E_USAGE, "\"%.60s\" is given twice", hf_api_keep(q, hf_jname(m)).p);
    }
    return 0;
}

static bool given(const struct hf_request *q, const char *name)
{
    for (size_t i = 0; i < q->n_query; i++)
        if (hf_span_eqz(q->query[i].name, name))
            return true;
    return false;
}

int hf_api_bool(const struct hf_request *q, const char *name, int *ret, struct hf_err *err)
{
    unsigned which = 0;
    int rc = hf_query_enum(q, name, "false|true", 0, &which, err);
    if (rc == 0)
        *ret = given(q, name) ? (int)which : -1;
    return rc;
}

int hf_api_severity(const struct hf_request *q, const char *name, int *ret, struct hf_err *err)
{
    unsigned which = 0;
    int rc = hf_query_enum(q, name, "debug|info|notice|low|medium|high|critical", 0, &which, err);
    if (rc == 0)
        *ret = (int)which;
    return rc;
}

int hf_api_since(const struct hf_request *q, const char *name, int64_t *ret, struct hf_err *err)
{
    *ret = 0;
    if (!given(q, name))
        return 0;
    if (!hf_live_time(hf_query(q, name), ret))
        return hf_fail(err, HF_E_USAGE, "\"%s\" must be a time in UTC such as 2026-11-26T20:06:14Z (RFC 3339, years 1970 to 2261)", name);
    return 0;
}

size_t hf_api_characters(struct hf_span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

int hf_api_search(const struct hf_request *q, struct hf_span *ret, struct hf_err *err)
{
    return hf_api_text(q, "q", 200, ret, err);
}

int hf_api_text(const struct hf_request *q, const char *name, size_t max, struct hf_span *ret, struct hf_err *err)
{
    struct hf_span s = hf_query(q, name);
    if (given(q, name) && (!s.n || hf_api_characters(s) > max))
        return hf_fail(err, HF_E_USAGE, "\"%s\" must have 1 to %zu characters", name, max);
    *ret = s;
    return 0;
}

int hf_api_body_text(const struct hf_request *q, const char *name, bool required, size_t max, struct hf_span *ret, struct hf_err *err)
{
    int rc = hf_body_str(q, name, required, 4 * max, ret, err);
    if (rc == 0 && hf_api_characters(*ret) > max)
        return hf_fail(err, HF_E_USAGE, "\"%s\" has more than %zu characters", name, max);
    return rc;
}

int hf_api_limit(const struct hf_request *q, unsigned max, unsigned missing, unsigned *ret, struct hf_err *err)
{
    uint64_t n = 0;
    int rc = hf_query_u64(q, "limit", 1, max, missing, &n, err);
    if (rc == 0)
        *ret = (unsigned)n;
    return rc;
}

int hf_api_body_bool(const struct hf_request *q, const char *name, bool *ret, struct hf_err *err)
{
    hf_jnode n = hf_jget(q->body, name);
    if (n && !hf_jis_bool(n))
        return hf_fail(err, HF_E_USAGE, "\"%s\" must be true or false", name);
    *ret = hf_jis_true(n);
    return 0;
}

int hf_api_body_u64(const struct hf_request *q, const char *name, uint64_t lo, uint64_t hi, uint64_t missing, uint64_t *ret, struct hf_err *err)
{
    hf_jnode n = hf_jget(q->body, name);
    double d = 0;
    *ret = missing;
    if (!n)
        return 0;
    if (!hf_jnum(n, &d) || d < (double)lo || d > (double)hi || d != (double)(uint64_t)d)
        return hf_fail(err, HF_E_USAGE, "\"%s\" must be a number from %llu to %llu", name, (unsigned long long)lo, (unsigned long long)hi);
    *ret = (uint64_t)d;
    return 0;
}

bool hf_api_is_incident(struct hf_span id)
{
    bool good = id.n == 17 && id.p[0] == 'I' && id.p[1] == '-' && id.p[10] == '-';
    for (size_t i = 2; i < 10 && good; i++)
        good = id.p[i] >= '0' && id.p[i] <= '9';
    for (size_t i = 11; i < 17 && good; i++)
        good = (id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'A' && id.p[i] <= 'Z' && !strchr("ILOU", id.p[i]));
    return good;
}

bool hf_api_is_container(struct hf_span id)
{
    bool good = id.n > 0 && id.n <= 128;
    for (size_t i = 0; i < id.n && good; i++) {
        char c = id.p[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        good = word || (i && strchr("_.:@-", c) && c);
    }
    return good;
}

bool hf_api_is_digest(struct hf_span d)
{
    bool good = d.n == 71 && hf_span_starts(d, HF_S("sha256:"));
    for (size_t i = 7; i < d.n && good; i++)
        good = (d.p[i] >= '0' && d.p[i] <= '9') || (d.p[i] >= 'a' && d.p[i] <= 'f');
    return good;
}

/* ---- cursors ---- */

enum { CURSOR_MAX = 1000 }; /* bytes */

int hf_api_cursor(const struct hf_request *q, struct hf_cursor *ret, struct hf_err *err)
{
    struct hf_span text = hf_query(q, "cursor");
    *ret = (struct hf_cursor){.given = given(q, "cursor")};
    if (!ret->given)
        return 0;
    uint8_t *b = text.n % 2 == 0 && text.n >= 18 && text.n <= 2 * CURSOR_MAX ? hf_arena_alloc(q->arena, text.n / 2 + 1) : NULL;
    for (size_t i = 0; b && i < text.n; i++) {
        static const char hex[] = "0123456789abcdef";
        const char *at = text.p[i] ? strchr(hex, text.p[i]) : NULL;
        if (!at)
            return hf_fail(err, HF_E_USAGE, "\"cursor\" is none that this API gave");
        b[i / 2] = (uint8_t)((i % 2 ? b[i / 2] << 4 : 0) | (at - hex));
    }
    if (!b)
        return hf_fail(err, HF_E_USAGE, "\"cursor\" is none that this API gave");
    uint64_t n = 0;
    for (size_t i = 0; i < 8; i++)
        n = n << 8 | b[i];
    ret->n = (int64_t)HF_MIN(n, (uint64_t)INT64_MAX);
    ret->flags = b[8];
    struct hf_span rest = hf_span((const char *)b + 9, text.n / 2 - 9);
    for (size_t i = 0; i < HF_ARRAY_LEN(ret->part) && hf_span_cut(&rest, 0, &ret->part[i]); i++)
        if (!hf_span_is_utf8(ret->part[i])) /* ours are; others are looked for as nothing */
            ret->part[i] = hf_span("", 0);
    return 0;
}

void hf_api_next(struct hf_reply *ret, int64_t n, uint8_t flags, const struct hf_span *part, size_t n_parts)
{
    static const char last[] = "\xf4\x8f\xbf\xbf"; /* U+10FFFF sorts behind everything */
    uint8_t b[CURSOR_MAX];
    size_t at = 9, room = HF_MIN(sizeof b, sizeof ret->next / 2 - 1);
    for (size_t i = 0; i < 8; i++)
        b[i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
    b[8] = flags;
    for (size_t i = 0; i < n_parts; i++) {
        size_t left = room - at, take = HF_MIN(part[i].n, left > 8 ? left - 8 : 0);
        bool cut = take < part[i].n;
        while (cut && take && ((unsigned char)part[i].p[take] & 0xc0) == 0x80)
            take--;
        if (take)
            memcpy(b + at, part[i].p, take);
        at += take;
        if (cut) {
            memcpy(b + at, last, 4);
            at += 4;
            break;
        }
        b[at++] = 0;
    }
    for (size_t i = 0; i < at; i++)
        snprintf(ret->next + 2 * i, 3, "%02x", b[i]);
}

/* ---- writing ---- */

void hf_api_page(struct hf_jw *w, struct hf_reply *ret)
{
    hf_jw_init(w, &ret->body, false);
    hf_jw_object(w);
    hf_jw_key(w, "items");
    hf_jw_array(w);
}

void hf_api_page_end(struct hf_jw *w, const struct hf_reply *ret, uint64_t total)
{
    hf_jw_array_end(w);
    hf_jw_key(w, "next");
    if (ret->next[0])
        hf_jw_strz(w, ret->next);
    else
        hf_jw_null(w);
    if (total != UINT64_MAX)
        hf_jw_ku64(w, "total", total);
    hf_jw_object_end(w);
}

void hf_api_when(struct hf_jw *w, const char *key, int64_t ns)
{
    hf_autobuf text = HF_BUF_INIT(64);
    if (ns <= 0)
        return;
    hf_event_time((uint64_t)ns, &text);
    hf_jw_kstr(w, key, hf_buf_span(&text));
}

void hf_api_raw(struct hf_jw *w, struct hf_span json)
{
    static const char place[] = "null"; /* the writer places comma and colon for this, which the text then takes the place of */
    hf_jw_null(w);
    if (!hf_buf_ok(w->out) || w->out->n < sizeof place - 1)
        return;
    w->out->n -= sizeof place - 1;
    hf_buf_adds(w->out, json);
}

const char *hf_api_severity_name(int severity)
{
    return hf_store_severity_name(HF_MAX(0, HF_MIN(severity, 6)));
}

void hf_api_by_severity(struct hf_jw *w, const char *key, const uint64_t n[7])
{
    hf_jw_key(w, key);
    hf_jw_object(w);
    for (int i = 6; i >= 0; i--)
        hf_jw_ku64(w, hf_api_severity_name(i), n[i]);
    hf_jw_object_end(w);
}

struct hf_span hf_api_keep(const struct hf_request *q, struct hf_span s)
{
    struct hf_span kept;
    return hf_arena_dup(q->arena, s, &kept) < 0 ? hf_span("", 0) : kept;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool hf_api_contains(struct hf_span text, struct hf_span needle)
{
    if (!needle.n)
        return true;
    for (size_t at = 0; at + needle.n <= text.n; at++) {
        size_t i = 0;
        while (i < needle.n && lower(text.p[at + i]) == lower(needle.p[i]))
            i++;
        if (i == needle.n)
            return true;
    }
    return false;
}

int hf_api_end(struct hf_reply *ret, struct hf_err *err)
{
    return hf_buf_ok(&ret->body) ? 0 : hf_fail(err, HF_E_LIMIT, "the reply would be over %zu bytes; ask for less", ret->body.max);
}
