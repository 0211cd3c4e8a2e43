// SPDX-License-Identifier: Apache-2.0
#include "notify/view.h"

#include <stdio.h>
#include <time.h>

#include "base/hash.h"
#include "notify/text.h"

const char *const hf_nstates[HF_NSTATES] = {"open", "acknowledged", "contained", "resolved"};

enum { NAME_MAX_ = 200, TITLE_MAX = 300, SUMMARY_MAX = 1200, COMMENT_MAX = 4000 };

/* A copy of s that is safe to show, at most max columns; lines only when asked for. */
static struct hf_span clean(struct hf_arena *a, struct hf_span s, size_t max, bool lines)
{
    hf_autobuf b = HF_BUF_INIT(64 << 10);
    struct hf_span line, ret = {"", 0};
    size_t cols = 0;
    if (!lines) {
        hf_buf_add_escaped(&b, s, max);
    } else {
        while (hf_span_line(&s, &line) && cols < max) {
            hf_buf_addz(&b, b.n ? "\n" : "");
            cols += hf_buf_add_escaped(&b, line, max - cols) + 1;
        }
    }
    if (!hf_buf_ok(&b) || hf_arena_dup(a, hf_buf_span(&b), &ret) < 0)
        return hf_span("", 0);
    return ret;
}

static int number(struct hf_span s, size_t at, size_t n, uint64_t max, uint64_t *ret)
{
    return at + n > s.n ? HF_E_FORMAT : hf_parse_u64(hf_span_sub(s, at, n), 10, 0, max, ret);
}

int hf_ntime_parse(struct hf_span s, int64_t *ret_s, uint32_t *ret_ns)
{
    uint64_t y, mo, d, h, mi, sec, zh = 0, zm = 0;
    uint32_t ns = 0, unit = 100000000;
    if (number(s, 0, 4, 9999, &y) < 0 || number(s, 5, 2, 12, &mo) < 0 || number(s, 8, 2, 31, &d) < 0 || number(s, 11, 2, 23, &h) < 0 || number(s, 14, 2, 59, &mi) < 0 || number(s, 17, 2, 60, &sec) < 0)
        return HF_E_FORMAT;
    if (s.p[4] != '-' || s.p[7] != '-' || (s.p[10] != 'T' && s.p[10] != ' ') || s.p[13] != ':' || s.p[16] != ':' || y < 1970 || !mo || !d)
        return HF_E_FORMAT;
    size_t i = 19;
    if (i < s.n && s.p[i] == '.')
        for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++, unit /= 10)
            ns += (uint32_t)(s.p[i] - '0') * unit;
    struct hf_span zone = hf_span_from(s, i);
    if (!hf_span_eqz(zone, "Z") && (zone.n != 6 || (zone.p[0] != '+' && zone.p[0] != '-') || number(zone, 1, 2, 23, &zh) < 0 || zone.p[3] != ':' || number(zone, 4, 2, 59, &zm) < 0))
        return HF_E_FORMAT;
    struct tm tm = {.tm_year = (int)y - 1900, .tm_mon = (int)mo - 1, .tm_mday = (int)d, .tm_hour = (int)h, .tm_min = (int)mi, .tm_sec = (int)sec};
    int64_t off = (int64_t)(zh * 3600 + zm * 60);
    *ret_s = timegm(&tm) - (zone.p[0] == '-' ? -off : off);
    *ret_ns = ns;
    return 0;
}

/* For people: seconds, in UTC. */
static struct hf_span stamp(struct hf_arena *a, struct hf_span s)
{
    hf_autobuf b = HF_BUF_INIT(64);
    int64_t at;
    uint32_t ns;
    if (hf_ntime_parse(s, &at, &ns) < 0)
        return clean(a, s, 40, false);
    hf_ntext_time(&b, at);
    return clean(a, hf_buf_span(&b), 40, false);
}

static unsigned choice(struct hf_span s, const char *const *names, unsigned n, unsigned otherwise)
{
    for (unsigned i = 0; i < n; i++)
        if (hf_span_eqz(s, names[i]))
            return i;
    return otherwise;
}

static uint64_t count_of(hf_jnode n)
{
    double d = 0;
    return hf_jnum(n, &d) && d > 0 && d < 9e15 ? (uint64_t)d : 0;
}

static size_t length(hf_jnode list, size_t max)
{
    size_t n = 0;
    if (hf_jis_array(list))
        HF_JFOREACH(item, list)
            n += n < max;
    return n;
}

static int texts(struct hf_arena *a, hf_jnode list, struct hf_span **ret, size_t *ret_n)
{
    size_t n = length(list, HF_NLIST_MAX);
    *ret = hf_arena_calloc(a, n + 1, sizeof **ret);
    if (!*ret)
        return HF_E_LIMIT;
    HF_JFOREACH(item, n ? list : NULL)
        if (*ret_n < n && hf_jis_str(item))
            (*ret)[(*ret_n)++] = clean(a, hf_jstr(item), 500, false);
    return 0;
}

static int containers(struct hf_nview *v, struct hf_arena *a)
{
    hf_jnode list = hf_jget(v->root, "containers");
    v->all_containers = length(list, 100000);
    size_t n = HF_MIN(v->all_containers, (size_t)HF_NLIST_MAX);
    v->containers = hf_arena_calloc(a, n + 1, sizeof *v->containers);
    if (!v->containers)
        return HF_E_LIMIT;
    HF_JFOREACH(item, n ? list : NULL) {
        hf_jnode pod = hf_jget(item, "pod");
        if (v->n_containers == n)
            break;
        v->containers[v->n_containers++] = (struct hf_ncontainer){clean(a, hf_jgetstr(item, "id"), 64, false), clean(a, hf_jgetstr(item, "name"), NAME_MAX_, false), clean(a, hf_jgetstr(item, "image"), NAME_MAX_, false),
                clean(a, hf_jgetstr(pod, "namespace"), NAME_MAX_, false), clean(a, hf_jgetstr(pod, "name"), NAME_MAX_, false), item};
    }
    return 0;
}

static int rules(struct hf_nview *v, struct hf_arena *a)
{
    hf_jnode list = hf_jget(v->root, "rules");
    v->all_rules = length(list, 100000);
    size_t n = HF_MIN(v->all_rules, (size_t)HF_NLIST_MAX);
    v->rules = hf_arena_calloc(a, n + 1, sizeof *v->rules);
    if (!v->rules)
        return HF_E_LIMIT;
    HF_JFOREACH(item, n ? list : NULL)
        if (v->n_rules < n)
            v->rules[v->n_rules++] = (struct hf_nrule){clean(a, hf_jgetstr(item, "rule"), NAME_MAX_, false), (enum hf_nseverity)choice(hf_jgetstr(item, "severity"), hf_nseverities, HF_NSEVS, HF_NSEV_MEDIUM), count_of(hf_jget(item, "count"))};
    return 0;
}

static void set_mark(struct hf_ntalk *t)
{
    struct hf_digest d;
    char hex[17];
    hf_autobuf b = HF_BUF_INIT(64 << 10);
    hf_buf_adds(&b, t->by);
    hf_buf_addc(&b, '\n');
    hf_buf_adds(&b, t->text);
    hf_digest_of(HF_SHA256, hf_buf_span(&b), &d);
    hf_hex(d.b, 8, hex);
    snprintf(t->mark, sizeof t->mark, "%.*s %s", (int)HF_MIN(t->time.n, (size_t)40), t->time.p, hex);
}

static int talk(struct hf_nview *v, struct hf_arena *a, const char *name, struct hf_ntalk **ret, size_t *ret_n)
{
    hf_jnode list = hf_jget(v->root, name);
    size_t n = length(list, HF_NTALK_MAX);
    bool action = !strcmp(name, "actions");
    *ret = hf_arena_calloc(a, n + 1, sizeof **ret);
    if (!*ret)
        return HF_E_LIMIT;
    HF_JFOREACH(item, n ? list : NULL) {
        if (*ret_n == n)
            break;
        struct hf_ntalk *t = &(*ret)[(*ret_n)++];
        t->time = clean(a, hf_jgetstr(item, "time"), 40, false);
        t->by = clean(a, hf_jgetstr(item, "by"), NAME_MAX_, false);
        t->via = clean(a, hf_jgetstr(item, "via"), NAME_MAX_, false);
        if (action) {
            hf_autobuf b = HF_BUF_INIT(16 << 10);
            hf_buf_adds(&b, hf_jgetstr(item, "action"));
            hf_buf_addc(&b, ' ');
            hf_buf_adds(&b, hf_jgetstr(item, "target"));
            hf_buf_addz(&b, hf_jgetstr(item, "result").n ? ": " : "");
            hf_buf_adds(&b, hf_jgetstr(item, "result"));
            t->text = clean(a, hf_buf_span(&b), 1000, false);
        } else {
            t->text = clean(a, hf_jgetstr(item, "text"), COMMENT_MAX, true);
        }
        set_mark(t);
    }
    return 0;
}

int hf_nview_read(struct hf_nview *v, struct hf_arena *a, struct hf_span json, struct hf_err *err)
{
    uint32_t ns;
    *v = (struct hf_nview){0};
    if (json.n > HF_NDOC_MAX)
        return hf_fail(err, HF_E_LIMIT, "the incident document of %zu bytes is over %d", json.n, HF_NDOC_MAX);
    int rc = hf_json_parse_within(json, 32u << 20, &v->doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "incident document");
    hf_jnode r = v->root = hf_json_root(v->doc);
    v->id = clean(a, hf_jgetstr(r, "id"), 64, false);
    bool good = hf_jis_object(r) && hf_span_eqz(hf_jgetstr(r, "schema"), "holdfast.incident/1") && v->id.n;
    for (size_t i = 0; i < v->id.n; i++) /* part of addresses and message ids */
        good = good && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", v->id.p[i]);
    if (!good || hf_ntime_parse(hf_jgetstr(r, "opened"), &v->opened_s, &ns) < 0) {
        hf_nview_done(v);
        return hf_fail(err, HF_E_FORMAT, "this is no incident: \"schema\": \"holdfast.incident/1\", \"id\" and \"opened\" are expected");
    }
    v->opened = stamp(a, hf_jgetstr(r, "opened"));
    v->updated = stamp(a, hf_jgetstr(r, "updated"));
    if (hf_ntime_parse(v->updated, &v->updated_s, &ns) < 0)
        v->updated_s = v->opened_s;
    v->title = clean(a, hf_jgetstr(r, "title"), TITLE_MAX, false);
    v->summary = clean(a, hf_jgetstr(r, "summary"), SUMMARY_MAX, true);
    v->resolution = clean(a, hf_jgetstr(r, "resolution"), 40, false);
    v->assignee = clean(a, hf_jgetstr(r, "assignee"), NAME_MAX_, false);
    v->acknowledged_by = clean(a, hf_jgetstr(r, "acknowledged_by"), NAME_MAX_, false);
    v->first_alert = stamp(a, hf_jgetstr(r, "first_alert"));
    v->last_alert = stamp(a, hf_jgetstr(r, "last_alert"));
    v->revision = count_of(hf_jget(r, "revision"));
    v->alerts = count_of(hf_jget(r, "alerts"));
    v->reopened = count_of(hf_jget(r, "reopened"));
    v->severity = (enum hf_nseverity)choice(hf_jgetstr(r, "severity"), hf_nseverities, HF_NSEVS, HF_NSEV_MEDIUM);
    v->state = (enum hf_nstate)choice(hf_jgetstr(r, "state"), hf_nstates, HF_NSTATES, HF_NST_OPEN);
    if (containers(v, a) < 0 || rules(v, a) < 0 || texts(a, hf_jget(r, "techniques"), &v->techniques, &v->n_techniques) < 0 || texts(a, hf_jget(r, "hosts"), &v->hosts, &v->n_hosts) < 0 ||
            texts(a, hf_jget(r, "advice"), &v->advice, &v->n_advice) < 0 || talk(v, a, "comments", &v->comments, &v->n_comments) < 0 || talk(v, a, "actions", &v->actions, &v->n_actions) < 0) {
        hf_nview_done(v);
        return hf_fail(err, HF_E_LIMIT, "the incident takes more memory than it may");
    }
    return 0;
}

void hf_nview_done(struct hf_nview *v)
{
    hf_json_doc_free(v->doc);
    v->doc = NULL;
    v->root = NULL;
}

const struct hf_ntalk *hf_ntalk_after(const struct hf_ntalk *v, size_t n, const char *mark)
{
    struct hf_span when = hf_span_z(mark), time;
    if (!*mark)
        return n ? v : NULL;
    for (size_t i = n; i-- > 0;)
        if (!strcmp(v[i].mark, mark))
            return i + 1 < n ? &v[i + 1] : NULL;
    if (!hf_span_cut(&when, ' ', &time))
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (hf_span_cmp(v[i].time, time) > 0)
            return &v[i];
    return NULL;
}

unsigned hf_nview_news(const struct hf_nview *v, const struct hf_nmark *m)
{
    unsigned news = v->state != m->state || v->reopened != m->reopened ? HF_NUP_STATE : 0;
    news |= v->severity > m->severity ? HF_NUP_SEVERITY : 0;
    news |= v->alerts != m->alerts ? HF_NUP_ALERT : 0;
    news |= hf_ntalk_after(v->comments, v->n_comments, m->comment) ? HF_NUP_COMMENT : 0;
    return news | (hf_ntalk_after(v->actions, v->n_actions, m->action) ? HF_NUP_ACTION : 0);
}

static void copy_text(char *to, size_t size, struct hf_span s)
{
    snprintf(to, size, "%.*s", (int)HF_MIN(s.n, size - 1), s.p ? s.p : "");
}

int hf_nmark_read(struct hf_nmark *m, struct hf_span json, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    *m = (struct hf_nmark){0};
    if (!json.n)
        return 0;
    int rc = json.n > 16384 ? hf_fail(err, HF_E_LIMIT, "what is known of an incident is over 16 KiB") : hf_json_parse(json, &doc, err);
    if (rc < 0)
        return rc;
    hf_jnode r = hf_json_root(doc);
    copy_text(m->ref, sizeof m->ref, hf_jgetstr(r, "ref"));
    copy_text(m->ref2, sizeof m->ref2, hf_jgetstr(r, "ref2"));
    copy_text(m->comment, sizeof m->comment, hf_jgetstr(r, "comment"));
    copy_text(m->action, sizeof m->action, hf_jgetstr(r, "action"));
    copy_text(m->pending, sizeof m->pending, hf_jgetstr(r, "pending"));
    m->revision = count_of(hf_jget(r, "revision"));
    m->card = count_of(hf_jget(r, "card"));
    m->alerts = count_of(hf_jget(r, "alerts"));
    m->reopened = count_of(hf_jget(r, "reopened"));
    m->severity = (enum hf_nseverity)choice(hf_jgetstr(r, "severity"), hf_nseverities, HF_NSEVS, HF_NSEV_DEBUG);
    m->state = (enum hf_nstate)choice(hf_jgetstr(r, "state"), hf_nstates, HF_NSTATES, HF_NST_OPEN);
    m->known = hf_jis_true(hf_jget(r, "known"));
    return 0;
}

void hf_nmark_ref(const struct hf_nmark *m, struct hf_buf *out)
{
    if (m->ref[0])
        hf_buf_addf(out, "%s%s%s", m->ref2, m->ref2[0] ? "/" : "", m->ref);
}

void hf_nmark_write(const struct hf_nmark *m, struct hf_buf *out)
{
    struct hf_jw w;
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstr_opt(&w, "ref", hf_span_z(m->ref));
    hf_jw_kstr_opt(&w, "ref2", hf_span_z(m->ref2));
    hf_jw_ku64(&w, "revision", m->revision);
    hf_jw_ku64(&w, "card", m->card);
    hf_jw_ku64(&w, "alerts", m->alerts);
    hf_jw_ku64(&w, "reopened", m->reopened);
    hf_jw_kstrz(&w, "severity", hf_nseverities[m->severity]);
    hf_jw_kstrz(&w, "state", hf_nstates[m->state]);
    hf_jw_kstr_opt(&w, "comment", hf_span_z(m->comment));
    hf_jw_kstr_opt(&w, "action", hf_span_z(m->action));
    hf_jw_kstr_opt(&w, "pending", hf_span_z(m->pending));
    hf_jw_kbool(&w, "known", m->known);
    hf_jw_object_end(&w);
}
