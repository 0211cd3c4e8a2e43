// SPDX-License-Identifier: Apache-2.0
/* A new advisory and the containers that run what it is about, as an incident. */
#include "incident/advisory.h"

#include <errno.h>
#include <stdio.h>

#include "base/hash.h"
#include "incident/incident-internal.h"

enum { TEXT_MAX = 8192 };
#define RULE "Vulnerability in a running container"

static void put_bool(cJSON *o, const char *name, bool v)
{
    cJSON_DeleteItemFromObjectCaseSensitive(o, name);
    (void)hf_inc_made(cJSON_AddBoolToObject(o, name, v));
}

static const char *severity_name(int s)
{
    static const char *const names[] = {"debug", "info", "notice", "low", "medium", "high", "critical"};
    return names[HF_MAX(0, HF_MIN(s, 6))];
}

static cJSON *vulns(const struct hf_inc *i)
{
    return hf_inc_array(i, "vulnerabilities");
}

bool hf_inc_is_advisory(const struct hf_inc *i)
{
    return vulns(i) != NULL;
}

struct hf_inc *hf_inc_from_advisory(struct hf_span key, unsigned salt, uint64_t ns)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    hf_autobuf b = HF_BUF_INIT(65536);
    struct hf_digest d;
    char when[40], tail[7] = {0}, id[32];
    hf_inc_time_text(ns, when);
    hf_buf_addf(&b, "advisory%c%u%c", 0, salt, 0);
    hf_buf_adds(&b, hf_span_sub(key, 0, 4096));
    hf_digest_of(HF_SHA256, hf_buf_span(&b), &d);
    for (size_t i = 0; i < 6; i++)
        tail[i] = digits[d.b[i] & 31];
    snprintf(id, sizeof id, "I-%.4s%.2s%.2s-%s", when, when + 5, when + 8, tail);
    struct hf_inc *i = hf_inc_new(id, ns);
    cJSON *list = i ? hf_inc_made(cJSON_AddArrayToObject(i->root, "vulnerabilities")) : NULL;
    if (list)
        return i;
    hf_inc_free(i);
    return NULL;
}

/* ---- what is in it ---- */

static cJSON *same(const cJSON *list, const struct hf_inc_vuln *v, struct hf_buf *a, struct hf_buf *b)
{
    const char *id = hf_inc_safe(a, v->id, 64), *package = hf_inc_safe(b, v->package, 100);
    hf_autobuf digest = HF_BUF_INIT(TEXT_MAX);
    const char *image = hf_inc_safe(&digest, v->image_digest, 79);
    for (cJSON *c = list->child; c; c = c->next)
        if (!strcmp(hf_inc_z(c, "id"), id) && !strcmp(hf_inc_z(c, "package"), package) && !strcmp(hf_inc_z(c, "image_digest"), image))
            return c;
    return NULL;
}

/* What matters more comes first: known to be exploited, severity, in use. */
static int weight(bool kev, int severity, bool in_use)
{
    return (kev ? 100 : 0) + severity * 4 + in_use;
}

static int weight_of(const cJSON *v)
{
    return weight(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(v, "kev")), hf_inc_severity(hf_inc_z(v, "severity")), cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(v, "in_use")));
}

static cJSON *slot(struct hf_inc *i, const struct hf_inc_vuln *v)
{
    cJSON *list = vulns(i), *o;
    int at = 0, n = cJSON_GetArraySize(list), w = weight(v->kev, HF_MIN(v->severity, 6), v->in_use);
    for (const cJSON *c = list->child; c && weight_of(c) >= w; c = c->next)
        at++;
    if (n >= HF_INC_VULNS_MAX) {
        hf_inc_set_number(i->root, "vulnerabilities_dropped", hf_inc_num(i->root, "vulnerabilities_dropped") + 1);
        if (at >= n)
            return NULL;
        cJSON_DeleteItemFromArray(list, n - 1);
    }
    o = hf_inc_made(cJSON_CreateObject());
    if (o && !hf_inc_insert(list, at, o)) {
        cJSON_Delete(o);
        return NULL;
    }
    return o;
}

static void image_has(struct hf_inc *i, const struct hf_inc_vuln *v, uint64_t ns)
{
    hf_autobuf ref = HF_BUF_INIT(TEXT_MAX), label = HF_BUF_INIT(TEXT_MAX), package = HF_BUF_INIT(TEXT_MAX);
    hf_buf_addz(&ref, "i:");
    hf_buf_add_escaped(&ref, v->image_digest.n ? v->image_digest : v->image, 100);
    cJSON *m = hf_inc_node(i, "image", hf_buf_z(&ref), hf_inc_safe(&label, v->image.n ? v->image : v->image_digest, 100));
    if (m && v->image_digest.n)
        hf_inc_set(m, "image_digest", hf_inc_safe(&label, v->image_digest, 79));
    hf_buf_addf(&package, "%.*s %.*s", HF_SPAN_ARG(hf_span_sub(v->package, 0, 200)), HF_SPAN_ARG(hf_span_sub(v->version, 0, 100)));
    (void)hf_inc_vulnerability(i, v->image_digest, v->id, hf_buf_span(&package), v->in_use);
    (void)ns;
}

int hf_inc_add_vulnerability(struct hf_inc *i, const struct hf_inc_vuln *v, uint64_t ns)
{
    hf_autobuf a = HF_BUF_INIT(TEXT_MAX), b = HF_BUF_INIT(TEXT_MAX), line = HF_BUF_INIT(TEXT_MAX);
    cJSON *list = vulns(i), *o = list ? same(list, v, &a, &b) : NULL;
    bool fresh = !o;
    if (!list || !v->id.n || (!o && !(o = slot(i, v))))
        return 0;
    if (!fresh && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "kev")) == v->kev && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "in_use")) == v->in_use &&
            !strcmp(hf_inc_z(o, "fixed"), hf_inc_safe(&b, v->fixed, 100)) && !strcmp(hf_inc_z(o, "severity"), severity_name(v->severity)))
        return 0;
    const struct {
        const char *name;
        struct hf_span text;
        size_t cols;
    } texts[] = {{"id", v->id, 64}, {"package", v->package, 100}, {"version", v->version, 100}, {"fixed", v->fixed, 100}, {"image", v->image, 100}, {"image_digest", v->image_digest, 79},
            {"summary", v->summary, 300}};
    for (size_t k = 0; k < HF_ARRAY_LEN(texts); k++)
        if (texts[k].text.n)
            hf_inc_set(o, texts[k].name, hf_inc_safe(&b, texts[k].text, texts[k].cols));
    hf_inc_set(o, "severity", severity_name(v->severity));
    if (v->score10)
        hf_inc_set_number(o, "score10", v->score10);
    put_bool(o, "kev", v->kev);
    put_bool(o, "in_use", v->in_use);
    image_has(i, v, ns);
    if (!fresh)
        return 1;
    hf_buf_addf(&line, "%s: ", hf_inc_safe(&a, v->id, 64));
    hf_buf_addf(&line, "%s ", hf_inc_safe(&b, v->package, 80));
    hf_buf_addf(&line, "%s in image ", hf_inc_safe(&b, v->version, 60));
    hf_buf_addz(&line, hf_inc_safe(&b, v->image.n ? v->image : v->image_digest, 80));
    hf_inc_tell(i, ns, "alert", hf_buf_z(&line), "");
    return 1;
}

void hf_inc_labels(cJSON *box, hf_jnode from)
{
    cJSON *l = cJSON_IsObject(from) && from->child ? hf_inc_made(cJSON_CreateObject()) : NULL;
    hf_autobuf name = HF_BUF_INIT(TEXT_MAX), value = HF_BUF_INIT(TEXT_MAX);
    int n = 0;
    for (const cJSON *c = l ? from->child : NULL; c && n < HF_INC_LABELS_MAX; c = c->next) {
        struct hf_span k = hf_span_z(c->string), v = cJSON_IsString(c) ? hf_span_z(c->valuestring) : hf_span(NULL, 0);
        if (!k.n || k.n > 120 || !cJSON_IsString(c) || v.n > 200) /* a part of a label is another label */
            continue;
        hf_inc_set(l, hf_inc_safe(&name, k, 120), hf_inc_safe(&value, v, 200));
        n++;
    }
    if (!l)
        return;
    cJSON_DeleteItemFromObjectCaseSensitive(box, "labels");
    if (!n || !hf_inc_added(box, "labels", l))
        cJSON_Delete(l);
}

static void container_node(struct hf_inc *i, const struct hf_inc_container *c, uint64_t ns)
{
    hf_autobuf ref = HF_BUF_INIT(TEXT_MAX), label = HF_BUF_INIT(TEXT_MAX);
    hf_buf_addz(&ref, "c:");
    hf_buf_add_escaped(&ref, c->id, 71);
    cJSON *n = hf_inc_node(i, "container", hf_buf_z(&ref), hf_inc_safe(&label, c->name.n ? c->name : c->id, 60));
    hf_buf_clear(&ref);
    hf_buf_addz(&ref, "i:");
    hf_buf_add_escaped(&ref, c->image_digest.n ? c->image_digest : c->image, 100);
    cJSON *m = hf_inc_node(i, "image", hf_buf_z(&ref), hf_inc_safe(&label, c->image.n ? c->image : c->image_digest, 100));
    if (n)
        hf_inc_set(n, "image", hf_buf_z(&label));
    hf_inc_edge(i, n, m, "runs", ns, 1);
}

int hf_inc_add_container(struct hf_inc *i, const struct hf_inc_container *c, uint64_t ns)
{
    hf_autobuf b = HF_BUF_INIT(TEXT_MAX);
    cJSON *list = hf_inc_array(i, "containers"), *o;
    const char *id = hf_inc_safe(&b, c->id, 71);
    if (!list || !c->id.n)
        return 0;
    for (o = list->child; o; o = o->next)
        if (!strcmp(hf_inc_z(o, "id"), id))
            return 0;
    if (cJSON_GetArraySize(list) >= HF_INC_CONTAINERS_MAX || !(o = hf_inc_made(cJSON_CreateObject())))
        return 0;
    if (!hf_inc_kept(cJSON_AddItemToArray(list, o))) {
        cJSON_Delete(o);
        return 0;
    }
    hf_inc_set(o, "id", id);
    const struct {
        const char *name;
        struct hf_span text;
        size_t cols;
    } texts[] = {{"name", c->name, 60}, {"image", c->image, 100}, {"image_digest", c->image_digest, 100}};
    for (size_t k = 0; k < HF_ARRAY_LEN(texts); k++)
        if (texts[k].text.n)
            hf_inc_set(o, texts[k].name, hf_inc_safe(&b, texts[k].text, texts[k].cols));
    cJSON *pod = c->pod ? hf_inc_made(cJSON_AddObjectToObject(o, "pod")) : NULL;
    for (const char *const *m = (const char *const[]){"namespace", "name", "container", NULL}; pod && *m; m++)
        if (hf_jgetstr(c->pod, *m).n)
            hf_inc_set(pod, *m, hf_inc_safe(&b, hf_jgetstr(c->pod, *m), 100));
    hf_inc_labels(o, c->labels);
    if (c->host.n)
        hf_inc_once(hf_inc_array(i, "hosts"), hf_inc_safe(&b, c->host, 100), 32);
    container_node(i, c, ns);
    return 1;
}

void hf_inc_containers_run(struct hf_inc *i, uint64_t n)
{
    uint64_t listed = (uint64_t)HF_MAX(cJSON_GetArraySize(hf_inc_array(i, "containers")), 0);
    if (n > listed)
        hf_inc_set_number(i->root, "containers_dropped", n - listed);
    else
        cJSON_DeleteItemFromObjectCaseSensitive(i->root, "containers_dropped");
}

void hf_inc_each_vulnerability(const struct hf_inc *i, void (*fn)(void *ctx, struct hf_span id, struct hf_span digest), void *ctx)
{
    const cJSON *list = vulns(i);
    for (const cJSON *v = list ? list->child : NULL; v; v = v->next)
        fn(ctx, hf_span_z(hf_inc_z(v, "id")), hf_span_z(hf_inc_z(v, "image_digest")));
}

void hf_inc_each_container(const struct hf_inc *i, void (*fn)(void *ctx, struct hf_span id), void *ctx)
{
    const cJSON *list = hf_inc_array(i, "containers");
    for (const cJSON *c = list ? list->child : NULL; c; c = c->next)
        fn(ctx, hf_span_z(hf_inc_z(c, "id")));
}

/* ---- what follows ---- */

static void advise(struct hf_inc *i)
{
    const cJSON *list = vulns(i);
    hf_autobuf line = HF_BUF_INIT(TEXT_MAX);
    cJSON *advice = hf_inc_array(i, "advice");
    while (advice && advice->child)
        cJSON_DeleteItemFromArray(advice, 0);
    for (const cJSON *v = list->child; v; v = v->next) {
        const char *fixed = hf_inc_z(v, "fixed"), *image = hf_inc_z(v, "image");
        hf_buf_clear(&line);
        if (!*image)
            image = hf_inc_z(v, "image_digest");
        if (*fixed)
            hf_buf_addf(&line, "Build %s anew with %s %s or later, and start its containers from that.", image, hf_inc_z(v, "package"), fixed);
        else
            hf_buf_addf(&line, "There is no fix of %s in %s yet: see whether %s needs it, and keep from the network what can reach it.", hf_inc_z(v, "id"), hf_inc_z(v, "package"), image);
        hf_inc_once(advice, hf_buf_z(&line), 8);
    }
}

/* One row of the list of rules, so that filters and routes that go by rule see these incidents as one kind. */
static void rule(struct hf_inc *i, uint64_t ns)
{
    cJSON *list = hf_inc_array(i, "rules"), *r = list ? list->child : NULL;
    const cJSON *all = vulns(i), *boxes = hf_inc_array(i, "containers");
    int n = cJSON_GetArraySize(all);
    if (!r && list && (r = hf_inc_made(cJSON_CreateObject())) && hf_inc_kept(cJSON_AddItemToArray(list, r))) {
        hf_inc_set(r, "rule", RULE);
        hf_inc_set_time(r, "first", ns);
        hf_inc_made(cJSON_AddArrayToObject(r, "in"));
    }
    if (!r)
        return;
    hf_inc_set(r, "severity", hf_inc_z(i->root, "severity"));
    hf_inc_set_number(r, "count", (uint64_t)HF_MAX(n, 0));
    hf_inc_set_time(r, "last", ns);
    for (const cJSON *c = boxes ? boxes->child : NULL; c; c = c->next)
        hf_inc_once(cJSON_GetObjectItemCaseSensitive(r, "in"), hf_inc_z(c, "id"), HF_INC_CONTAINERS_MAX);
}

int hf_inc_advisory_done(struct hf_inc *i, uint64_t ns)
{
    const cJSON *list = vulns(i);
    int worst = 0;
    bool kev = false;
    if (!list)
        return HF_E_USAGE;
    for (const cJSON *v = list->child; v; v = v->next) {
        worst = HF_MAX(worst, hf_inc_severity(hf_inc_z(v, "severity")));
        kev |= cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(v, "kev"));
    }
    if (kev) /* somebody does it already */
        worst = HF_MAX(worst, 5);
    hf_inc_set(i->root, "severity", severity_name(worst));
    hf_inc_set_number(i->root, "alerts", (uint64_t)cJSON_GetArraySize(list) + hf_inc_num(i->root, "vulnerabilities_dropped"));
    hf_inc_set_time(i->root, "last_alert", ns);
    hf_inc_set_time(i->root, "updated", ns);
    hf_inc_set_number(i->root, "revision", hf_inc_num(i->root, "revision") + 1);
    rule(i, ns);
    advise(i);
    hf_inc_finish(i);
    return hf_inc_starved ? -ENOMEM : 0;
}

/* ---- title and summary, for hf_inc_finish ---- */

static unsigned kinds(const cJSON *list, const char *name)
{
    unsigned n = 0; /* lists are short */
    for (const cJSON *v = list->child; v; v = v->next) {
        const cJSON *o = list->child;
        while (o != v && strcmp(hf_inc_z(o, name), hf_inc_z(v, name)) != 0)
            o = o->next;
        n += o == v;
    }
    return n;
}

static void where(const struct hf_inc *i, struct hf_buf *b)
{
    const cJSON *boxes = hf_inc_array(i, "containers"), *first = boxes ? boxes->child : NULL;
    uint64_t n = (uint64_t)HF_MAX(cJSON_GetArraySize(boxes), 0) + hf_inc_num(i->root, "containers_dropped");
    if (!first)
        return;
    hf_buf_addf(b, " in %s", *hf_inc_z(first, "name") ? hf_inc_z(first, "name") : hf_inc_z(first, "id"));
    if (n > 1)
        hf_buf_addf(b, " and %llu more", (unsigned long long)n - 1);
}

bool hf_inc_advisory_words(struct hf_inc *i)
{
    const cJSON *list = vulns(i), *v = list ? list->child : NULL;
    hf_autobuf title = HF_BUF_INIT(TEXT_MAX), s = HF_BUF_INIT(TEXT_MAX);
    if (!v)
        return false;
    unsigned ids = kinds(list, "id"), images = kinds(list, "image_digest");
    uint64_t dropped = hf_inc_num(i->root, "vulnerabilities_dropped"), boxes = (uint64_t)HF_MAX(cJSON_GetArraySize(hf_inc_array(i, "containers")), 0) + hf_inc_num(i->root, "containers_dropped");
    bool kev = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(v, "kev")), used = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(v, "in_use"));
    uint64_t score = hf_inc_num(v, "score10");
    if (ids == 1 && !dropped)
        hf_buf_addf(&title, "%s (%s)", hf_inc_z(v, "id"), hf_inc_z(v, "package"));
    else
        hf_buf_addf(&title, "%llu new vulnerabilities (%s, ...)", (unsigned long long)(ids + dropped), hf_inc_z(v, "id"));
    where(i, &title);
    hf_inc_set(i->root, "title", hf_buf_z(&title));
    if (ids > 1 || dropped)
        hf_buf_addf(&s, "New advisories tell of %llu vulnerabilities in ", (unsigned long long)(ids + dropped));
    else
        hf_buf_addf(&s, "A new advisory tells of %s in ", hf_inc_z(v, "id"));
    if (images > 1)
        hf_buf_addf(&s, "%u images", images);
    else
        hf_buf_addf(&s, "image %.120s", *hf_inc_z(v, "image") ? hf_inc_z(v, "image") : hf_inc_z(v, "image_digest"));
    hf_buf_addf(&s, ", of which %llu container%s run%s. %s%s %.60s (%s", (unsigned long long)boxes, boxes == 1 ? "" : "s", boxes == 1 ? "s" : "", ids > 1 || dropped ? "The worst: " : "Package: ",
            hf_inc_z(v, "package"), hf_inc_z(v, "version"), hf_inc_z(v, "severity"));
    if (score)
        hf_buf_addf(&s, ", CVSS %llu.%llu", (unsigned long long)score / 10, (unsigned long long)score % 10);
    hf_buf_addf(&s, ")%s%s.", kev ? ", known to be exploited" : "", used ? ", in use" : "");
    if (*hf_inc_z(v, "fixed"))
        hf_buf_addf(&s, " Fixed in %.80s.", hf_inc_z(v, "fixed"));
    else
        hf_buf_addz(&s, " No fix is known yet.");
    struct hf_span text = hf_span_sub(hf_buf_span(&s), 0, HF_INC_SUMMARY_MAX);
    while (text.n && !hf_span_is_utf8(text))
        text.n--;
    s.n = text.n;
    hf_inc_set(i->root, "summary", hf_buf_z(&s));
    return true;
}
