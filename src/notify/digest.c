// SPDX-License-Identifier: Apache-2.0
#include "notify/digest.h"

#include <time.h>

#include "notify/render-internal.h"

const char hf_ndigest_key[] = "digest";

int64_t hf_ndigest_next(const struct hf_nchannel *ch, int64_t now_s, bool local)
{
    struct tm tm;
    time_t t = (time_t)now_s;
    if (!ch->digest_s || !(local ? localtime_r(&t, &tm) : gmtime_r(&t, &tm)))
        return now_s;
    uint32_t minute = (uint32_t)(tm.tm_hour * 60 + tm.tm_min), step = ch->digest_s / 60;
    uint32_t at = ch->digest_at == UINT32_MAX ? (minute / step + 1) * step : ch->digest_at + (minute >= ch->digest_at ? 1440 : 0);
    tm.tm_hour = 0;
    tm.tm_sec = 0;
    tm.tm_min = (int)at; /* mktime and timegm make days of it, and know when clocks change */
    tm.tm_isdst = -1;
    int64_t next = local ? mktime(&tm) : timegm(&tm);
    return next > now_s ? next : now_s + ch->digest_s;
}

static void entry(struct hf_nrender *r, struct hf_jw *w)
{
    hf_autobuf text = HF_BUF_INIT(64 << 10);
    const char *label;
    const struct hf_nview *v = r->v;
    hf_jw_object(w);
    hf_jw_kstr(w, "id", v->id);
    hf_jw_kstrz(w, "severity", hf_nseverities[v->severity]);
    hf_jw_kstrz(w, "state", hf_nstates[v->state]);
    hf_jw_kstr(w, "title", v->title);
    hf_jw_ku64(w, "alerts", v->alerts);
    hf_nr_news(r, &text);
    hf_jw_kstr(w, "news", hf_buf_span(&text));
    for (unsigned i = 0; hf_nr_fact(r, i, &label, &text); i++)
        if (!strcmp(label, "Container") && text.n)
            hf_nr_jcut(w, "where", hf_buf_span(&text), 200);
    hf_buf_clear(&text);
    hf_nr_new_talk(r, &text, 2000);
    hf_jw_kstr_opt(w, "talk", hf_buf_span(&text));
    hf_buf_clear(&text);
    if (hf_nr_link(r, &text))
        hf_jw_kstr(w, "link", hf_buf_span(&text));
    hf_jw_object_end(w);
}

int hf_ndigest_add(struct hf_nrender *r, struct hf_span collected, struct hf_buf *ret, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_jw w;
    double left = 0, since = (double)r->now_s;
    unsigned n = 0;
    int rc = collected.n ? hf_json_parse_within(collected, 16u << 20, &doc, err) : 0;
    if (rc < 0)
        return hf_wrap(err, rc, "what is collected for the digest");
    hf_jnode root = doc ? hf_json_root(doc) : NULL;
    hf_jnum(hf_jget(root, "left_out"), &left);
    hf_jnum(hf_jget(root, "since"), &since);
    r->req.first = !r->m->known;
    r->req.news = hf_nview_news(r->v, r->m) & r->ch->updates;
    bool tells = r->req.first || r->req.news;
    hf_jw_init(&w, ret, false);
    hf_jw_object(&w);
    hf_jw_key(&w, "entries");
    hf_jw_array(&w);
    HF_JFOREACH(e, hf_jget(root, "entries"))
        if (!tells || !hf_span_eq(hf_jgetstr(e, "id"), r->v->id)) {
            hf_ntext_json(&w, e, 4);
            n++;
        }
    if (tells && n < HF_NDIGEST_ENTRIES)
        entry(r, &w);
    else if (tells)
        left++;
    hf_jw_array_end(&w);
    hf_jw_key(&w, "left_out");
    hf_jw_u64(&w, left > 0 && left < 1e15 ? (uint64_t)left : 0);
    hf_jw_key(&w, "since");
    hf_jw_i64(&w, since > 0 && since < 1e12 ? (int64_t)since : r->now_s);
    hf_jw_object_end(&w);
    if (!hf_buf_ok(ret))
        return hf_fail(err, HF_E_LIMIT, "what is collected for the digest is over %zu bytes", ret->max);
    hf_nr_all_told(r);
    return 0;
}
