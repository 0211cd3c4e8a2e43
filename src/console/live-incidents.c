// SPDX-License-Identifier: Apache-2.0
/* Incidents of the store: their changes become events of the stream, and which containers unresolved ones name is known without asking the store. */
#include <stdlib.h>

#include "console/live-internal.h"
#include "store/incidents.h"
#include "store/pages.h"

/* ---- containers that unresolved incidents name, with how many of each severity ---- */

static struct hf_concern *concern(struct hf_live *l, struct hf_span box)
{
    uint64_t hash = hf_span_hash(box);
    for (struct hf_lt_node *n = hf_lt_chain(&l->concerns, hash); n; n = n->chain)
        if (n->hash == hash && hf_span_eq(hf_text(&((struct hf_concern *)n)->id), box))
            return (struct hf_concern *)n;
    return NULL;
}

static void concern_free(struct hf_live *l, struct hf_concern *c)
{
    hf_lt_del(&l->concerns, &c->node);
    hf_text_done(&c->id);
    free(c);
}

static void name_boxes(struct hf_live *l, const struct hf_inc_now *i, bool add)
{
    struct hf_span rest = hf_text(&i->boxes), box;
    size_t severity = (size_t)HF_MIN(HF_MAX(i->severity, 0), 6);
    while (hf_span_cut(&rest, 0, &box)) {
        struct hf_concern *c = concern(l, box);
        if (!c && add && (c = calloc(1, sizeof *c))) {
            if (!hf_text_set(&c->id, box, box.n)) {
                free(c);
                continue;
            }
            hf_lt_add(&l->concerns, &c->node, hf_span_hash(box));
        }
        if (!c)
            continue;
        if (add)
            c->n[severity]++;
        else if (c->n[severity])
            c->n[severity]--;
        uint32_t all = 0;
        for (size_t k = 0; k < 7; k++)
            all += c->n[k];
        if (!all)
            concern_free(l, c);
    }
}

static void forget(struct hf_live *l, struct hf_inc_now *i)
{
    name_boxes(l, i, false);
    hf_lt_del(&l->incidents, &i->node);
    hf_text_done(&i->id);
    hf_text_done(&i->boxes);
    free(i);
}

void hf_live_incidents_done(struct hf_live *l)
{
    while (l->incidents.oldest)
        forget(l, (struct hf_inc_now *)l->incidents.oldest);
    while (l->concerns.oldest)
        concern_free(l, (struct hf_concern *)l->concerns.oldest);
    free(l->incidents.bucket);
    free(l->concerns.bucket);
}

static struct hf_inc_now *find(struct hf_live *l, struct hf_span id)
{
    uint64_t hash = hf_span_hash(id);
    for (struct hf_lt_node *n = hf_lt_chain(&l->incidents, hash); n; n = n->chain)
        if (n->hash == hash && hf_span_eq(hf_text(&((struct hf_inc_now *)n)->id), id))
            return (struct hf_inc_now *)n;
    return NULL;
}

/* boxes: container ids, NUL behind each; NULL: it is resolved. */
static void note(struct hf_live *l, struct hf_span id, int severity, const struct hf_buf *boxes)
{
    struct hf_inc_now *i = find(l, id);
    if (i)
        forget(l, i);
    if (!boxes || !boxes->n)
        return;
    if (l->incidents.n >= HF_LIVE_INCIDENTS)
        forget(l, (struct hf_inc_now *)l->incidents.oldest);
    i = calloc(1, sizeof *i);
    if (!i || !hf_text_set(&i->id, id, id.n) || !hf_text_set(&i->boxes, hf_buf_span(boxes), boxes->n)) {
        free(i ? i->id.p : NULL);
        free(i);
        return;
    }
    i->severity = severity;
    hf_lt_add(&l->incidents, &i->node, hf_span_hash(id));
    name_boxes(l, i, true);
}

/* At the start: names are lines of ids, titles, hosts, containers, images and rules; ids of containers are told by their form. */
static int indexed(void *ctx, struct hf_span id, int severity, struct hf_span names)
{
    struct hf_live *l = ctx;
    struct hf_span line;
    hf_autobuf boxes = HF_BUF_INIT(65536);
    while (hf_span_line(&names, &line)) {
        bool hex = line.n == 64;
        for (size_t k = 0; k < line.n && hex; k++)
            hex = (line.p[k] >= '0' && line.p[k] <= '9') || (line.p[k] >= 'a' && line.p[k] <= 'f');
        if (hex) {
            hf_buf_adds(&boxes, line);
            hf_buf_addc(&boxes, 0);
        }
    }
    pthread_mutex_lock(&l->lock);
    note(l, id, severity, &boxes);
    pthread_mutex_unlock(&l->lock);
    return 0;
}

struct poll {
    struct hf_live *live;
    uint64_t change;
    int n;
};

static void line_of(const struct hf_incident_row *row, hf_jnode doc, struct hf_buf *out, struct hf_buf *boxes)
{
    struct hf_jw w;
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "type", "incident");
    hf_jw_kstr(&w, "time", hf_jgetstr(doc, "updated"));
    hf_jw_kstr(&w, "id", row->id);
    hf_jw_ku64(&w, "revision", row->revision);
    for (const char *const *k = (const char *const[]){"state", "resolution", "severity", "assignee", "acknowledged_by", "merged_into", "title", "summary", "opened", "updated", "last_alert", NULL}; *k; k++)
        hf_jw_kstr_opt(&w, *k, hf_jgetstr(doc, *k));
    hf_jw_ku64(&w, "alerts", hf_live_u64(doc, "alerts"));
    hf_jw_key(&w, "containers");
    hf_jw_array(&w);
    HF_JFOREACH(c, hf_jget(doc, "containers")) {
        struct hf_span id = hf_jgetstr(c, "id");
        hf_jw_str(&w, id);
        hf_buf_adds(boxes, id);
        hf_buf_addc(boxes, 0);
    }
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
}

static int changed(void *ctx, const struct hf_incident_row *row)
{
    struct poll *p = ctx;
    struct hf_live *l = p->live;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_autobuf line = HF_BUF_INIT(256 << 10), boxes = HF_BUF_INIT(65536);
    struct hf_err ignored = HF_ERR_INIT;
    p->change = row->change;
    if (hf_json_parse_within(row->doc, 64u << 20, &doc, &ignored) < 0)
        return 0;
    line_of(row, hf_json_root(doc), &line, &boxes);
    if (!hf_buf_ok(&line))
        return 0;
    pthread_mutex_lock(&l->lock);
    note(l, row->id, row->severity, hf_span_eqz(row->state, "resolved") ? NULL : &boxes);
    hf_live_push(l, HF_KIND_INCIDENT, HF_S("incident"), row->severity, hf_span(NULL, 0), hf_buf_span(&line));
    pthread_mutex_unlock(&l->lock);
    p->n++;
    return 0;
}

int hf_live_poll(struct hf_live *l, struct hf_store *s, struct hf_err *err)
{
    struct poll p = {l, l->change, 0}; /* change and indexed belong to the writer alone */
    uint64_t last = 0;
    int rc = hf_store_incident_last_change(s, &last, err);
    rc = rc < 0 ? rc : hf_live_noise_poll(l, s, hf_store_now(), err);
    if (rc < 0)
        return rc;
    if (!l->indexed) {
        if ((rc = hf_page_incident_index(s, HF_LIVE_INCIDENTS, indexed, l, err)) < 0)
            return rc;
        l->indexed = true;
        l->change = last; /* read before: what changes meanwhile is looked at again */
        return 0;
    }
    if (last < l->change) /* another store under the same name: from its beginning */
        p.change = 0;
    for (int before = -1; last > p.change && p.n != before;) {
        before = p.n;
        uint64_t was = p.change;
        if ((rc = hf_store_incident_changes(s, p.change, 200, changed, &p, err)) < 0)
            return rc;
        if (p.change == was) /* those that changed were removed since */
            p.change = last;
        l->change = p.change;
    }
    return p.n;
}

unsigned hf_live_incidents(struct hf_live *l, struct hf_span container, int *ret_severity)
{
    unsigned n = 0;
    *ret_severity = -1;
    pthread_mutex_lock(&l->lock);
    const struct hf_concern *c = concern(l, container);
    for (int k = 0; c && k < 7; k++) {
        n += c->n[k];
        *ret_severity = c->n[k] ? k : *ret_severity;
    }
    pthread_mutex_unlock(&l->lock);
    return n;
}
