// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "incident/incident-internal.h"

#define SAFE_MAX 8192u
#define SAME_NS 3000000u /* what came before an alert is told by each of several, in milliseconds before them */
#define HF_INC_FOR_PEOPLE (64u << 10) /* what alerts fill leaves this for comments, actions, evidence */

_Thread_local bool hf_inc_starved;

/* ---- small things ---- */

const char *hf_inc_safe(struct hf_buf *b, struct hf_span s, size_t cols)
{
    hf_buf_clear(b);
    hf_buf_add_escaped(b, hf_span_sub(s, 0, 4 * cols), cols);
    hf_inc_starved |= !hf_buf_ok(b);
    return hf_buf_z(b);
}

const char *hf_inc_z(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsString(v) && v->valuestring ? v->valuestring : "";
}

uint64_t hf_inc_num(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(v) && v->valuedouble > 0 && v->valuedouble < 9007199254740992.0 ? (uint64_t)v->valuedouble : 0;
}

/* An old value's name goes to the new one: cJSON's own replacing copies it, and without memory leaves a member without a name, which hides those behind it. */
static void put(cJSON *o, const char *name, cJSON *v)
{
    cJSON *old = o ? cJSON_GetObjectItemCaseSensitive(o, name) : NULL;
    hf_inc_starved |= !v || !o;
    if (v && old) {
        v->string = old->string;
        v->type |= old->type & cJSON_StringIsConst;
        old->string = NULL;
        cJSON_ReplaceItemViaPointer(o, old, v);
    } else if (!v || !o || !hf_inc_added(o, name, v)) {
        cJSON_Delete(v);
    }
}

void hf_inc_set(cJSON *o, const char *name, const char *value)
{
    put(o, name, hf_inc_made(cJSON_CreateString(value)));
}

void hf_inc_set_number(cJSON *o, const char *name, uint64_t v)
{
    put(o, name, hf_inc_made(cJSON_CreateNumber((double)HF_MIN(v, (uint64_t)9007199254740991))));
}

cJSON *hf_inc_array(const struct hf_inc *i, const char *name)
{
    cJSON *a = cJSON_GetObjectItemCaseSensitive(i->root, name);
    return cJSON_IsArray(a) ? a : NULL;
}

bool hf_inc_insert(cJSON *list, int at, cJSON *item)
{
    cJSON *next = cJSON_GetArrayItem(list, at);
    if (!next || next == list->child || !next->prev)
        return cJSON_InsertItemInArray(list, at, item);
    item->prev = next->prev;
    item->next = next;
    next->prev->next = item;
    next->prev = item;
    return true;
}

void hf_inc_time_text(uint64_t ns, char out[40])
{
    time_t s = (time_t)(ns / 1000000000u);
    struct tm tm;
    if (!gmtime_r(&s, &tm))
        memset(&tm, 0, sizeof tm);
    snprintf(out, 40, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ", ((unsigned)tm.tm_year + 1900u) % 10000u, ((unsigned)tm.tm_mon + 1u) % 100u, (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
            (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u, (unsigned)(ns % 1000000000u));
}

void hf_inc_set_time(cJSON *o, const char *name, uint64_t ns)
{
    char text[40];
    hf_inc_time_text(ns, text);
    hf_inc_set(o, name, text);
}

/* RFC 3339 in UTC, with 0 to 9 digits of a second; years 1970 to 2261. */
bool hf_inc_time(struct hf_span t, uint64_t *ret)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    static const struct {
        uint8_t at, n;
        uint16_t min, max;
    } part[] = {{0, 4, 1970, 2261}, {5, 2, 1, 12}, {8, 2, 1, 31}, {11, 2, 0, 23}, {14, 2, 0, 59}, {17, 2, 0, 60}};
    uint64_t v[6], ns = 0;
    if (t.n < 20 || t.n > 30 || t.p[4] != '-' || t.p[7] != '-' || t.p[10] != 'T' || t.p[13] != ':' || t.p[16] != ':' || t.p[t.n - 1] != 'Z')
        return false;
    for (size_t i = 0; i < 6; i++)
        if (hf_parse_u64(hf_span_sub(t, part[i].at, part[i].n), 10, part[i].min, part[i].max, &v[i]) < 0)
            return false;
    struct hf_span frac = hf_span_sub(t, 19, t.n - 20);
    if (frac.n && (frac.p[0] != '.' || hf_parse_u64(hf_span_from(frac, 1), 10, 0, 999999999, &ns) < 0))
        return false;
    for (size_t n = frac.n ? frac.n - 1 : 9; n < 9; n++)
        ns *= 10;
    uint64_t y = v[0], leaps = (y - 1969) / 4 - (y - 1901) / 100 + (y - 1601) / 400;
    bool leap = y % 4 == 0 && (y % 100 || y % 400 == 0);
    uint64_t days = (y - 1970) * 365 + leaps + before[v[1] - 1] + (leap && v[1] > 2) + v[2] - 1;
    *ret = (((days * 24 + v[3]) * 60 + v[4]) * 60 + v[5]) * 1000000000u + ns;
    return true;
}

int hf_inc_severity(const char *name)
{
    static const char *const names[] = {"debug", "info", "notice", "low", "medium", "high", "critical"};
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        if (!strcmp(name, names[i]))
            return (int)i;
    return -1;
}

/* ---- reading and writing ---- */

static const char *const lists[] = {"hosts", "containers", "rules", "techniques", "tactics", "chain", "timeline", "advice", "comments", "links", "actions", "evidence", "exceptions"};

static bool ready(struct hf_inc *i)
{
    for (size_t n = 0; n < HF_ARRAY_LEN(lists); n++)
        if (!hf_inc_array(i, lists[n])) {
            put(i->root, lists[n], hf_inc_made(cJSON_CreateArray()));
            if (!hf_inc_array(i, lists[n]))
                return false;
        }
    cJSON *g = cJSON_GetObjectItemCaseSensitive(i->root, "graph");
    if (!cJSON_IsObject(g)) {
        put(i->root, "graph", hf_inc_made(cJSON_CreateObject()));
        g = cJSON_GetObjectItemCaseSensitive(i->root, "graph");
    }
    if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(g, "nodes")))
        put(g, "nodes", hf_inc_made(cJSON_CreateArray()));
    if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(g, "edges")))
        put(g, "edges", hf_inc_made(cJSON_CreateArray()));
    return cJSON_GetObjectItemCaseSensitive(g, "nodes") && cJSON_GetObjectItemCaseSensitive(g, "edges");
}

struct hf_inc *hf_inc_new(const char *id, uint64_t time_ns)
{
    struct hf_inc *i = calloc(1, sizeof *i);
    hf_inc_starved = false;
    if (!i || !(i->root = hf_inc_made(cJSON_CreateObject()))) {
        free(i);
        return NULL;
    }
    hf_inc_set(i->root, "schema", "holdfast.incident/1");
    hf_inc_set(i->root, "id", id);
    hf_inc_set_number(i->root, "revision", 0);
    hf_inc_set(i->root, "title", "");
    hf_inc_set(i->root, "summary", "");
    hf_inc_set(i->root, "severity", "debug");
    hf_inc_set(i->root, "state", "open");
    hf_inc_set_number(i->root, "reopened", 0);
    hf_inc_set_time(i->root, "opened", time_ns);
    hf_inc_set_time(i->root, "updated", time_ns);
    hf_inc_set_time(i->root, "first_alert", time_ns);
    hf_inc_set_time(i->root, "last_alert", time_ns);
    hf_inc_set_number(i->root, "alerts", 0);
    if (!ready(i) || hf_inc_starved) {
        hf_inc_free(i);
        return NULL;
    }
    return i;
}

static bool id_ok(const char *id)
{
    size_t n = strlen(id);
    if (n < 12 || n > 31 || id[0] != 'I' || id[1] != '-')
        return false;
    return strspn(id, "I-0123456789ABCDEFGHJKMNPQRSTVWXYZ") == n;
}

static bool objects_only(const cJSON *list)
{
    for (const cJSON *e = list ? list->child : NULL; e; e = e->next)
        if (!cJSON_IsObject(e))
            return false;
    return true;
}

int hf_inc_parse(struct hf_span text, struct hf_inc **ret, struct hf_err *err)
{
    static const char *const of_objects[] = {"containers", "rules", "chain", "timeline", "comments", "links", "actions", "evidence", "vulnerabilities"};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    if (text.n > HF_INC_MAX)
        return hf_fail(err, HF_E_LIMIT, "an incident of %zu bytes is over %u", text.n, (unsigned)HF_INC_MAX);
    int rc = hf_json_parse_within(text, 32u << 20, &d, err);
    if (rc < 0)
        return rc;
    hf_jnode root = hf_json_root(d);
    uint64_t t;
    hf_inc_starved = false;
    if (!hf_span_eqz(hf_jgetstr(root, "schema"), "holdfast.incident/1"))
        return hf_fail(err, HF_E_FORMAT, "this is no document of schema holdfast.incident/1");
    hf_cleanup(hf_inc_freep) struct hf_inc *i = calloc(1, sizeof *i);
    if (!i || !(i->root = hf_inc_made(cJSON_Duplicate(root, true))))
        return hf_fail(err, -ENOMEM, "no memory for an incident");
    if (!id_ok(hf_inc_z(i->root, "id")))
        return hf_fail(err, HF_E_FORMAT, "an incident without a right id");
    if (hf_inc_severity(hf_inc_z(i->root, "severity")) < 0)
        return hf_fail(err, HF_E_FORMAT, "incident %s has no severity", hf_inc_z(i->root, "id"));
    if (!hf_inc_time(hf_inc_get(i, "first_alert"), &t) || !hf_inc_time(hf_inc_get(i, "last_alert"), &t))
        return hf_fail(err, HF_E_FORMAT, "incident %s has no right first_alert and last_alert", hf_inc_z(i->root, "id"));
    if (!ready(i))
        return hf_fail(err, -ENOMEM, "no memory for an incident");
    const cJSON *g = cJSON_GetObjectItemCaseSensitive(i->root, "graph");
    bool good = objects_only(cJSON_GetObjectItemCaseSensitive(g, "nodes")) && objects_only(cJSON_GetObjectItemCaseSensitive(g, "edges"));
    for (size_t n = 0; n < HF_ARRAY_LEN(of_objects); n++)
        good = good && objects_only(hf_inc_array(i, of_objects[n]));
    if (!good)
        return hf_fail(err, HF_E_FORMAT, "incident %s has lists of something else than objects", hf_inc_z(i->root, "id"));
    *ret = hf_take(i);
    return 0;
}

void hf_inc_free(struct hf_inc *i)
{
    if (i)
        cJSON_Delete(i->root);
    free(i);
}

hf_jnode hf_inc_root(const struct hf_inc *i)
{
    return i->root;
}

struct hf_span hf_inc_get(const struct hf_inc *i, const char *name)
{
    return hf_span_z(hf_inc_z(i->root, name));
}

uint64_t hf_inc_number(const struct hf_inc *i, const char *name)
{
    return hf_inc_num(i->root, name);
}

static void write_value(struct hf_jw *w, const cJSON *v, unsigned depth)
{
    if (cJSON_IsString(v)) {
        hf_jw_strz(w, v->valuestring ? v->valuestring : "");
    } else if (cJSON_IsNumber(v)) {
        if (v->valuedouble >= 0 && v->valuedouble < 9007199254740992.0)
            hf_jw_u64(w, (uint64_t)v->valuedouble);
        else
            hf_jw_fixed(w, v->valuedouble, 3);
    } else if (cJSON_IsBool(v)) {
        hf_jw_bool(w, cJSON_IsTrue(v));
    } else if (cJSON_IsArray(v) && depth < HF_JSON_DEPTH) {
        hf_jw_array(w);
        for (const cJSON *c = v->child; c; c = c->next)
            write_value(w, c, depth + 1);
        hf_jw_array_end(w);
    } else if (cJSON_IsObject(v) && depth < HF_JSON_DEPTH) {
        hf_jw_object(w);
        for (const cJSON *c = v->child; c; c = c->next) {
            hf_jw_key(w, c->string ? c->string : "");
            write_value(w, c, depth + 1);
        }
        hf_jw_object_end(w);
    } else {
        hf_jw_null(w);
    }
}

void hf_inc_write(const struct hf_inc *i, bool pretty, struct hf_buf *out)
{
    struct hf_jw w;
    hf_jw_init(&w, out, pretty);
    write_value(&w, i->root, 0);
}

/* ---- the story's lines, the graph ---- */

static void count_up(cJSON *o, const char *name)
{
    hf_inc_set_number(o, name, hf_inc_num(o, name) + 1);
}

void hf_inc_tell(struct hf_inc *i, uint64_t ns, const char *kind, const char *text, const char *by)
{
    cJSON *t = hf_inc_array(i, "timeline"), *e = hf_inc_made(cJSON_CreateObject());
    char when[40];
    if (!t || !e) {
        cJSON_Delete(e);
        return;
    }
    hf_inc_time_text(ns, when);
    hf_inc_set(e, "time", when);
    hf_inc_set(e, "kind", kind);
    hf_inc_set(e, "text", text);
    if (by && *by)
        hf_inc_set(e, "by", by);
    int at = 0, n = 0;
    for (const cJSON *c = t->child; c; c = c->next) {
        n++;
        if (strcmp(hf_inc_z(c, "time"), when) <= 0)
            at = n;
        uint64_t then;
        if (!strcmp(hf_inc_z(c, "text"), text) && !strcmp(hf_inc_z(c, "kind"), kind) && hf_inc_time(hf_span_z(hf_inc_z(c, "time")), &then) &&
                (then < ns ? ns - then : then - ns) < SAME_NS) { /* told already */
            cJSON_Delete(e);
            return;
        }
    }
    if (!hf_inc_insert(t, at, e)) {
        cJSON_Delete(e);
        return;
    }
    for (const char *const *k = (const char *const[]){"event", "alert", "state", "action", "comment", NULL}; n + 1 > HF_INC_TIMELINE_MAX && *k; k++)
        for (cJSON *c = t->child; c; c = c->next)
            if (!strcmp(hf_inc_z(c, "kind"), *k)) {
                cJSON_Delete(cJSON_DetachItemViaPointer(t, c));
                count_up(i->root, "timeline_dropped");
                n--;
                break;
            }
}

static cJSON *graph(const struct hf_inc *i, const char *part)
{
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(i->root, "graph"), part);
}

cJSON *hf_inc_node(struct hf_inc *i, const char *kind, const char *ref, const char *label)
{
    cJSON *nodes = graph(i, "nodes"), *n;
    int count = 0;
    for (n = nodes ? nodes->child : NULL; n; n = n->next, count++)
        if (!strcmp(hf_inc_z(n, "ref"), ref))
            return n;
    if (!nodes || count >= HF_INC_NODES_MAX || !(n = hf_inc_made(cJSON_CreateObject()))) {
        count_up(cJSON_GetObjectItemCaseSensitive(i->root, "graph"), "dropped");
        return NULL;
    }
    char id[32];
    uint64_t last = 0; /* nodes can have gone: one more than the last, not their number */
    if (nodes->child && nodes->child->prev && hf_parse_u64(hf_span_from(hf_span_z(hf_inc_z(nodes->child->prev, "id")), 1), 10, 0, 1u << 30, &last) < 0)
        last = (uint64_t)count;
    snprintf(id, sizeof id, "n%llu", (unsigned long long)last + 1);
    hf_inc_set(n, "id", id);
    hf_inc_set(n, "kind", kind);
    hf_inc_set(n, "label", label);
    hf_inc_set(n, "ref", ref);
    if (cJSON_GetArraySize(n) < 4 || !hf_inc_kept(cJSON_AddItemToArray(nodes, n))) { /* whole, or not at all */
        cJSON_Delete(n);
        return NULL;
    }
    return n;
}

void hf_inc_edge(struct hf_inc *i, const cJSON *from, const cJSON *to, const char *kind, uint64_t ns, uint64_t count)
{
    cJSON *edges = graph(i, "edges"), *e;
    char when[40];
    int n = 0;
    if (!from || !to || from == to || !edges)
        return;
    hf_inc_time_text(ns, when);
    for (e = edges->child; e; e = e->next, n++)
        if (!strcmp(hf_inc_z(e, "from"), hf_inc_z(from, "id")) && !strcmp(hf_inc_z(e, "to"), hf_inc_z(to, "id")) && !strcmp(hf_inc_z(e, "kind"), kind)) {
            if (strcmp(when, hf_inc_z(e, "first")) < 0)
                hf_inc_set(e, "first", when);
            if (strcmp(when, hf_inc_z(e, "last")) > 0)
                hf_inc_set(e, "last", when);
            hf_inc_set_number(e, "count", hf_inc_num(e, "count") + count);
            return;
        }
    if (n >= HF_INC_EDGES_MAX || !(e = hf_inc_made(cJSON_CreateObject()))) {
        count_up(cJSON_GetObjectItemCaseSensitive(i->root, "graph"), "dropped");
        return;
    }
    hf_inc_set(e, "from", hf_inc_z(from, "id"));
    hf_inc_set(e, "to", hf_inc_z(to, "id"));
    hf_inc_set(e, "kind", kind);
    hf_inc_set(e, "first", when);
    hf_inc_set(e, "last", when);
    hf_inc_set_number(e, "count", HF_MAX(count, (uint64_t)1));
    if (cJSON_GetArraySize(e) < 6 || !hf_inc_kept(cJSON_AddItemToArray(edges, e)))
        cJSON_Delete(e);
}

void hf_inc_once(cJSON *list, const char *text, int max)
{
    int n = 0;
    if (!list || !*text)
        return;
    for (const cJSON *c = list->child; c; c = c->next, n++)
        if (cJSON_IsString(c) && !strcmp(c->valuestring, text))
            return;
    cJSON *s = n < max ? hf_inc_made(cJSON_CreateString(text)) : NULL;
    if (s && !hf_inc_kept(cJSON_AddItemToArray(list, s)))
        cJSON_Delete(s);
}

int hf_inc_vulnerability(struct hf_inc *i, struct hf_span digest, struct hf_span id, struct hf_span package, bool in_use)
{
    hf_autobuf ref = HF_BUF_INIT(SAFE_MAX), label = HF_BUF_INIT(SAFE_MAX), text = HF_BUF_INIT(SAFE_MAX);
    cJSON *nodes = graph(i, "nodes"), *image = NULL;
    int n = nodes ? cJSON_GetArraySize(nodes) : 0;
    for (cJSON *c = nodes ? nodes->child : NULL; c && !image; c = c->next)
        if (!strcmp(hf_inc_z(c, "kind"), "image") && digest.n && hf_span_eqz(digest, hf_inc_z(c, "image_digest")))
            image = c;
    if (!image || !id.n)
        return 0;
    hf_buf_addz(&ref, "v:");
    hf_buf_add_escaped(&ref, id, 64);
    hf_buf_addc(&ref, ':');
    hf_buf_add_escaped(&ref, package, 100);
    hf_buf_add_escaped(&label, id, 64);
    cJSON *v = hf_inc_node(i, "vulnerability", hf_buf_z(&ref), hf_buf_z(&label));
    if (!v)
        return 0;
    hf_inc_set(v, "package", hf_inc_safe(&text, package, 100));
    put(v, "in_use", hf_inc_made(cJSON_CreateBool(in_use)));
    uint64_t ns = 0;
    (void)hf_inc_time(hf_inc_get(i, "last_alert"), &ns);
    hf_inc_edge(i, image, v, "has", ns, 1);
    return cJSON_GetArraySize(nodes) > n;
}

/* ---- what follows from the rest ---- */

static const struct {
    const char *name, *id, *title;
} chain[] = {
        {"reconnaissance", "TA0043", "Reconnaissance"}, {"resource_development", "TA0042", "Resource Development"}, {"initial_access", "TA0001", "Initial Access"},
        {"execution", "TA0002", "Execution"}, {"persistence", "TA0003", "Persistence"}, {"privilege_escalation", "TA0004", "Privilege Escalation"},
        {"defense_evasion", "TA0005", "Defense Evasion"}, {"credential_access", "TA0006", "Credential Access"}, {"discovery", "TA0007", "Discovery"},
        {"lateral_movement", "TA0008", "Lateral Movement"}, {"collection", "TA0009", "Collection"}, {"command_and_control", "TA0011", "Command and Control"},
        {"exfiltration", "TA0010", "Exfiltration"}, {"impact", "TA0040", "Impact"},
};

unsigned hf_inc_tactic_rank(const char *tactic)
{
    for (unsigned i = 0; i < HF_ARRAY_LEN(chain); i++)
        if (!strcmp(tactic, chain[i].name) || !strcmp(tactic, chain[i].id))
            return i;
    return HF_ARRAY_LEN(chain);
}

const char *hf_inc_tactic_title(unsigned rank)
{
    return rank < HF_ARRAY_LEN(chain) ? chain[rank].title : "Other";
}

/* "chain" is kept in order; the two flat lists follow from it. */
static void flat_lists(struct hf_inc *i)
{
    put(i->root, "tactics", hf_inc_made(cJSON_CreateArray()));
    put(i->root, "techniques", hf_inc_made(cJSON_CreateArray()));
    cJSON *tactics = hf_inc_array(i, "tactics"), *techniques = hf_inc_array(i, "techniques"), *links = hf_inc_array(i, "chain");
    for (const cJSON *c = links ? links->child : NULL; c; c = c->next) {
        hf_inc_once(tactics, hf_inc_z(c, "tactic"), 20);
        const cJSON *of = cJSON_GetObjectItemCaseSensitive(c, "techniques");
        for (const cJSON *t = of ? of->child : NULL; t; t = t->next)
            if (cJSON_IsString(t))
                hf_inc_once(techniques, t->valuestring, 64);
    }
}

static const cJSON *worst_rule(const struct hf_inc *i)
{
    const cJSON *rules = hf_inc_array(i, "rules"), *worst = NULL;
    for (const cJSON *r = rules ? rules->child : NULL; r; r = r->next)
        if (!worst || hf_inc_severity(hf_inc_z(r, "severity")) > hf_inc_severity(hf_inc_z(worst, "severity")))
            worst = r;
    return worst;
}

static void titled(struct hf_inc *i)
{
    hf_autobuf b = HF_BUF_INIT(SAFE_MAX), safe = HF_BUF_INIT(SAFE_MAX);
    const cJSON *boxes = hf_inc_array(i, "containers"), *hosts = hf_inc_array(i, "hosts"), *r = worst_rule(i), *first = boxes ? boxes->child : NULL;
    int n = boxes ? cJSON_GetArraySize(boxes) : 0;
    hf_buf_addz(&b, r ? hf_inc_safe(&safe, hf_span_z(hf_inc_z(r, "rule")), 100) : "Alerts");
    if (first) {
        const char *name = hf_inc_z(first, "name");
        hf_buf_addf(&b, " in %s", hf_inc_safe(&safe, hf_span_z(*name ? name : hf_inc_z(first, "id")), 60));
        if (n > 1)
            hf_buf_addf(&b, " and %d more", n - 1);
    } else if (hosts && cJSON_IsString(hosts->child)) {
        hf_buf_addf(&b, " on %s", hf_inc_safe(&safe, hf_span_z(hosts->child->valuestring), 60));
    }
    hf_inc_set(i->root, "title", hf_buf_z(&b));
}

/* What happened in one container (or on the host), as part of a sentence. */
static unsigned rules_in(const struct hf_inc *i, const char *where, struct hf_buf *b)
{
    const cJSON *rules = hf_inc_array(i, "rules");
    hf_autobuf safe = HF_BUF_INIT(SAFE_MAX);
    unsigned n = 0;
    for (const cJSON *r = rules ? rules->child : NULL; r; r = r->next) {
        const cJSON *in = cJSON_GetObjectItemCaseSensitive(r, "in");
        bool here = false;
        for (const cJSON *c = in ? in->child : NULL; c && !here; c = c->next)
            here = cJSON_IsString(c) && !strcmp(c->valuestring, where);
        if (here && ++n <= 3)
            hf_buf_addf(b, "%s\"%s\"", n == 1 ? "" : ", ", hf_inc_safe(&safe, hf_span_z(hf_inc_z(r, "rule")), 50));
    }
    if (n > 3)
        hf_buf_addf(b, " and %u more", n - 3);
    return n;
}

static void summarised(struct hf_inc *i)
{
    hf_autobuf b = HF_BUF_INIT(SAFE_MAX), safe = HF_BUF_INIT(SAFE_MAX);
    const cJSON *boxes = hf_inc_array(i, "containers");
    unsigned told = 0, rules = (unsigned)cJSON_GetArraySize(hf_inc_array(i, "rules"));
    uint64_t alerts = hf_inc_num(i->root, "alerts"), first = 0, last = 0;
    for (const cJSON *c = boxes ? boxes->child : NULL; c; c = c->next) {
        hf_autobuf what = HF_BUF_INIT(SAFE_MAX);
        const char *from = hf_inc_z(c, "reached_from");
        if (told == 3)
            break;
        if (!rules_in(i, hf_inc_z(c, "id"), &what))
            continue;
        const char *name = hf_inc_z(c, "name");
        hf_buf_addf(&b, "%s %s", told ? " Then in container" : "In container", hf_inc_safe(&safe, hf_span_z(*name ? name : hf_inc_z(c, "id")), 30));
        if (*hf_inc_z(c, "image"))
            hf_buf_addf(&b, " (%s)", hf_inc_safe(&safe, hf_span_z(hf_inc_z(c, "image")), 40));
        if (*from)
            hf_buf_addf(&b, ", reached from %s", hf_inc_safe(&safe, hf_span_z(from), 40));
        hf_buf_addf(&b, ": %s.", hf_buf_z(&what));
        told++;
    }
    hf_autobuf host = HF_BUF_INIT(SAFE_MAX);
    if (rules_in(i, "host", &host)) {
        hf_buf_addf(&b, "%s: %s.", told ? " And on the host itself" : "On the host itself", hf_buf_z(&host));
        told++;
    }
    (void)hf_inc_time(hf_inc_get(i, "first_alert"), &first);
    (void)hf_inc_time(hf_inc_get(i, "last_alert"), &last);
    char tail[128];
    snprintf(tail, sizeof tail, " %llu alert%s of %u rule%s within %llu s.", (unsigned long long)alerts, alerts == 1 ? "" : "s", rules, rules == 1 ? "" : "s",
            (unsigned long long)(last > first ? (last - first + 999999999u) / 1000000000u : 0));
    hf_autobuf whole = HF_BUF_INIT(SAFE_MAX);
    hf_buf_adds(&whole, hf_span_sub(hf_buf_span(&b), 0, HF_INC_SUMMARY_MAX - strlen(tail) - 4));
    while (whole.n && b.n > whole.n && !hf_span_is_utf8(hf_buf_span(&whole)))
        whole.n--;
    if (b.n > whole.n)
        hf_buf_addz(&whole, "...");
    hf_buf_addz(&whole, tail);
    hf_inc_set(i->root, "summary", hf_buf_z(&whole) + (told ? 0 : 1));
}

static size_t size_of(const struct hf_inc *i)
{
    hf_autobuf b = HF_BUF_INIT(16u << 20);
    hf_inc_write(i, false, &b);
    return hf_buf_ok(&b) ? b.n : SIZE_MAX;
}

/* The oldest half of a list goes. */
static bool halve(cJSON *list, cJSON *counted, const char *name)
{
    int n = list ? cJSON_GetArraySize(list) : 0;
    for (int k = 0; k < (n + 1) / 2; k++) {
        cJSON_DeleteItemFromArray(list, 0);
        count_up(counted, name);
    }
    return n > 0;
}

void hf_inc_finish(struct hf_inc *i)
{
    flat_lists(i);
    if (!hf_inc_advisory_words(i)) {
        titled(i);
        summarised(i);
    }
    cJSON *g = cJSON_GetObjectItemCaseSensitive(i->root, "graph");
    while (size_of(i) > HF_INC_MAX - HF_INC_FOR_PEOPLE)
        if (!halve(graph(i, "edges"), g, "dropped") && !halve(hf_inc_array(i, "timeline"), i->root, "timeline_dropped") && !halve(hf_inc_array(i, "rules"), i->root, "rules_dropped") &&
                !halve(graph(i, "nodes"), g, "dropped"))
            break;
}
