// SPDX-License-Identifier: Apache-2.0
/* An alert becomes part of a document: its lists, its graph, its story. */
#include <stdio.h>

#include "incident/correlate-internal.h"

#define TEXT_MAX 4096u

struct words {
    struct hf_buf a, b; /* for hf_inc_safe, two at a time */
};

static void words_done(struct words *w)
{
    hf_buf_done(&w->a);
    hf_buf_done(&w->b);
}
#define AUTOWORDS hf_cleanup(words_done) struct words

static cJSON *add_object(cJSON *list, int max)
{
    cJSON *o = list && cJSON_GetArraySize(list) < max ? hf_inc_made(cJSON_CreateObject()) : NULL;
    if (o && !hf_inc_kept(cJSON_AddItemToArray(list, o))) {
        cJSON_Delete(o);
        return NULL;
    }
    return o;
}

static cJSON *with(cJSON *list, const char *name, const char *value)
{
    for (cJSON *c = list ? list->child : NULL; c; c = c->next)
        if (!strcmp(hf_inc_z(c, name), value))
            return c;
    return NULL;
}

static void sub_list(cJSON *o, const char *name)
{
    cJSON *a = cJSON_GetObjectItemCaseSensitive(o, name) ? NULL : hf_inc_made(cJSON_CreateArray());
    if (a && !hf_inc_added(o, name, a))
        cJSON_Delete(a);
}

static const char *box_id(const struct facts *f, struct hf_buf *b)
{
    struct hf_span id = hf_jgetstr(f->box, "id");
    return id.n ? hf_inc_safe(b, id, 71) : "host";
}

/* ---- lists ---- */

static void add_box(struct hf_inc *i, const struct facts *f, struct words *w)
{
    static const char *const members[] = {"name", "image", "image_digest"};
    if (!f->box_key)
        return;
    const char *id = box_id(f, &w->a);
    cJSON *list = hf_inc_array(i, "containers"), *c = with(list, "id", id);
    if (!c && !(c = add_object(list, HF_INC_CONTAINERS_MAX))) {
        hf_inc_set_number(i->root, "containers_dropped", hf_inc_num(i->root, "containers_dropped") + 1);
        return;
    }
    hf_inc_set(c, "id", id);
    for (size_t m = 0; m < HF_ARRAY_LEN(members); m++)
        if (hf_jgetstr(f->box, members[m]).n)
            hf_inc_set(c, members[m], hf_inc_safe(&w->b, hf_jgetstr(f->box, members[m]), m == 0 ? 60 : 100));
    hf_inc_labels(c, hf_jget(f->box, "labels"));
    hf_jnode pod = hf_jget(f->box, "pod");
    if (pod && !cJSON_GetObjectItemCaseSensitive(c, "pod")) {
        cJSON *p = hf_inc_made(cJSON_AddObjectToObject(c, "pod"));
        for (const char *const *m = (const char *const[]){"namespace", "name", "container", NULL}; p && *m; m++)
            if (hf_jgetstr(pod, *m).n)
                hf_inc_set(p, *m, hf_inc_safe(&w->b, hf_jgetstr(pod, *m), 100));
    }
    hf_jnode r = hf_jfirst(hf_jget(f->root, "reached_from"));
    if (r && !*hf_inc_z(c, "reached_from")) {
        struct hf_span name = hf_jgetstr(r, "peer_container");
        hf_autobuf from = HF_BUF_INIT(TEXT_MAX);
        hf_buf_addf(&from, "%s%s", name.n ? "container " : "", hf_inc_safe(&w->b, name.n ? name : hf_jgetstr(r, "peer"), 60));
        hf_inc_set(c, "reached_from", hf_buf_z(&from));
    }
}

static void add_rule(struct hf_inc *i, const struct facts *f, struct words *w)
{
    cJSON *list = hf_inc_array(i, "rules"), *r = with(list, "rule", hf_inc_safe(&w->a, f->rule, 120));
    if (!r && !(r = add_object(list, HF_INC_RULES_MAX))) {
        hf_inc_set_number(i->root, "rules_dropped", hf_inc_num(i->root, "rules_dropped") + 1);
        return;
    }
    char when[40];
    hf_inc_time_text(f->ns, when);
    hf_inc_set(r, "rule", hf_buf_z(&w->a));
    if (hf_inc_severity(hf_inc_z(r, "severity")) < f->severity)
        hf_inc_set(r, "severity", hf_inc_safe(&w->b, hf_jgetstr(f->root, "severity"), 16));
    hf_inc_set_number(r, "count", hf_inc_num(r, "count") + f->count);
    if (!*hf_inc_z(r, "first") || strcmp(when, hf_inc_z(r, "first")) < 0)
        hf_inc_set(r, "first", when);
    if (strcmp(when, hf_inc_z(r, "last")) > 0)
        hf_inc_set(r, "last", when);
    if (hf_jgetstr(f->root, "do").n)
        hf_inc_set(r, "do", hf_inc_safe(&w->b, hf_jgetstr(f->root, "do"), 300));
    if (hf_jgetstr(f->root, "what").n)
        hf_inc_set(r, "what", hf_inc_safe(&w->b, hf_jgetstr(f->root, "what"), 300));
    sub_list(r, "in");
    hf_inc_once(cJSON_GetObjectItemCaseSensitive(r, "in"), box_id(f, &w->b), HF_INC_CONTAINERS_MAX);
    hf_inc_once(hf_inc_array(i, "advice"), hf_inc_safe(&w->b, hf_jgetstr(f->root, "do"), 300), 16);
}

/* The tactics of the alert, each in its place in the chain, with the alert's techniques. */
static void add_chain(struct hf_inc *i, const struct facts *f, struct words *w)
{
    cJSON *list = hf_inc_array(i, "chain");
    unsigned n = 0;
    HF_JFOREACH(t, hf_jget(f->root, "tactics"))
    {
        if (n++ == 14 || !hf_jstr(t).n)
            break;
        const char *name = hf_inc_safe(&w->a, hf_jstr(t), 40);
        cJSON *c = with(list, "tactic", name);
        if (!c) {
            int at = 0;
            if (cJSON_GetArraySize(list) >= 20 || !(c = hf_inc_made(cJSON_CreateObject())))
                continue;
            for (const cJSON *o = list->child; o && hf_inc_tactic_rank(hf_inc_z(o, "tactic")) <= hf_inc_tactic_rank(name); o = o->next)
                at++;
            hf_inc_set(c, "tactic", name);
            hf_inc_set(c, "title", hf_inc_tactic_title(hf_inc_tactic_rank(name)));
            hf_inc_set_time(c, "first", f->ns);
            sub_list(c, "techniques");
            if (!hf_inc_insert(list, at, c)) {
                cJSON_Delete(c);
                continue;
            }
        }
        HF_JFOREACH(k, hf_jget(f->root, "techniques"))
        {
            hf_inc_once(cJSON_GetObjectItemCaseSensitive(c, "techniques"), hf_inc_safe(&w->b, hf_jstr(k), 20), 32);
        }
    }
}

/* ---- graph ---- */

cJSON *hf_corr_box_node(struct hf_inc *i, struct hf_span id, struct hf_span name, struct hf_span image, struct hf_span digest, uint64_t ns)
{
    hf_autobuf ref = HF_BUF_INIT(TEXT_MAX), label = HF_BUF_INIT(TEXT_MAX);
    if (!id.n)
        return NULL;
    hf_buf_addz(&ref, "c:");
    hf_buf_add_escaped(&ref, id, 71);
    hf_buf_add_escaped(&label, name.n ? name : id, 60);
    cJSON *c = hf_inc_node(i, "container", hf_buf_z(&ref), hf_buf_z(&label));
    if (!c || !(image.n || digest.n) || *hf_inc_z(c, "image"))
        return c;
    hf_buf_clear(&ref);
    hf_buf_addz(&ref, "i:");
    hf_buf_add_escaped(&ref, digest.n ? digest : image, 100);
    hf_buf_clear(&label);
    hf_buf_add_escaped(&label, image.n ? image : digest, 100);
    hf_inc_set(c, "image", hf_buf_z(&label));
    cJSON *m = hf_inc_node(i, "image", hf_buf_z(&ref), hf_buf_z(&label));
    if (m && digest.n)
        hf_inc_set(m, "image_digest", hf_inc_safe(&ref, digest, 79));
    hf_inc_edge(i, c, m, "runs", ns, 1);
    return c;
}

static void join_args(hf_jnode args, struct hf_buf *out)
{
    HF_JFOREACH(a, args)
    {
        if (out->n > 400)
            break;
        if (out->n)
            hf_buf_addc(out, ' ');
        hf_buf_adds(out, hf_span_sub(hf_jstr(a), 0, 400));
    }
}

static cJSON *proc_node(struct hf_inc *i, const struct facts *f, hf_jnode p, struct words *w)
{
    hf_autobuf ref = HF_BUF_INIT(TEXT_MAX), label = HF_BUF_INIT(TEXT_MAX), args = HF_BUF_INIT(TEXT_MAX);
    uint64_t pid = hf_corr_u64(p, "pid"), start = hf_corr_u64(p, "start_time");
    if (!pid)
        return NULL;
    struct hf_span exe = hf_jgetstr(p, "exe"), name = exe.n ? hf_span_basename(exe) : hf_jgetstr(p, "name");
    hf_buf_addf(&ref, "p:%s:%llu", f->host, (unsigned long long)pid);
    hf_buf_add_escaped(&label, name.n ? name : HF_S("process"), 40);
    hf_buf_addf(&label, " (%llu)", (unsigned long long)pid);
    cJSON *n = hf_inc_node(i, "process", hf_buf_z(&ref), hf_buf_z(&label));
    if (n && start && hf_inc_num(n, "start_time") && hf_inc_num(n, "start_time") != start) { /* the number is used again */
        hf_buf_addf(&ref, "@%llu", (unsigned long long)start);
        n = hf_inc_node(i, "process", hf_buf_z(&ref), hf_buf_z(&label));
    }
    if (!n)
        return NULL;
    hf_inc_set(n, "label", hf_buf_z(&label)); /* it may run something else by now */
    hf_inc_set_number(n, "pid", pid);
    hf_inc_set(n, "host", f->host);
    if (start)
        hf_inc_set_number(n, "start_time", start);
    if (exe.n)
        hf_inc_set(n, "exe", hf_inc_safe(&w->a, exe, 200));
    join_args(hf_jget(p, "args"), &args);
    if (args.n)
        hf_inc_set(n, "command", hf_inc_safe(&w->a, hf_buf_span(&args), 200));
    if (f->box_key)
        hf_inc_set(n, "container", box_id(f, &w->a));
    return n;
}

static cJSON *file_node(struct hf_inc *i, const struct facts *f, struct hf_span path, struct words *w)
{
    hf_autobuf ref = HF_BUF_INIT(TEXT_MAX), label = HF_BUF_INIT(TEXT_MAX);
    if (!path.n)
        return NULL;
    hf_buf_addf(&ref, "f:%s:", box_id(f, &w->a));
    hf_buf_add_escaped(&ref, path, 200);
    hf_buf_add_escaped(&label, path, 200);
    return hf_inc_node(i, "file", hf_buf_z(&ref), hf_buf_z(&label));
}

static cJSON *address_node(struct hf_inc *i, struct hf_span address, struct hf_span name)
{
    hf_autobuf ref = HF_BUF_INIT(TEXT_MAX), label = HF_BUF_INIT(TEXT_MAX);
    if (!address.n)
        return NULL;
    hf_buf_addz(&ref, "a:");
    hf_buf_add_escaped(&ref, address, 60);
    hf_buf_add_escaped(&label, address, 60);
    cJSON *n = hf_inc_node(i, "address", hf_buf_z(&ref), hf_buf_z(&label));
    hf_buf_clear(&label);
    hf_buf_add_escaped(&label, name, 100);
    if (n && label.n)
        hf_inc_set(n, "name", hf_buf_z(&label));
    return n;
}

/* Who reached it. Containers by name are joined to their nodes by the edges of pairs, which know them by id. */
static bool has_edge(const struct hf_inc *i, const cJSON *from, const cJSON *to)
{
    const cJSON *edges = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(i->root, "graph"), "edges");
    for (const cJSON *e = edges ? edges->child : NULL; e; e = e->next)
        if (!strcmp(hf_inc_z(e, "kind"), "connected") && !strcmp(hf_inc_z(e, "from"), hf_inc_z(from, "id")) && !strcmp(hf_inc_z(e, "to"), hf_inc_z(to, "id")))
            return true;
    return false;
}

static void reached(struct hf_inc *i, const struct facts *f, const cJSON *proc, cJSON *const *above, size_t n_above, struct words *w)
{
    unsigned n = 0;
    HF_JFOREACH(r, hf_jget(f->root, "reached_from"))
    {
        uint64_t ns = f->ns;
        if (n++ == 8)
            break;
        (void)hf_inc_time(hf_jgetstr(r, "time"), &ns);
        struct hf_span name = hf_jgetstr(r, "peer_container");
        cJSON *from = NULL;
        if (name.n) {
            cJSON *nodes = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(i->root, "graph"), "nodes");
            for (cJSON *c = nodes ? nodes->child : NULL; c && !from; c = c->next)
                if (!strcmp(hf_inc_z(c, "kind"), "container") && !strcmp(hf_inc_z(c, "label"), hf_inc_safe(&w->a, name, 60)))
                    from = c;
        }
        if (!from)
            from = address_node(i, hf_jgetstr(r, "peer"), name);
        bool known = false; /* of one that started it, and this one has it from there */
        for (size_t k = 0; from && k < n_above && !known; k++)
            known = has_edge(i, from, above[k]);
        if (!known)
            hf_inc_edge(i, from, proc, "connected", ns, 1);
    }
}

static void own_part(struct hf_inc *i, const struct facts *f, const cJSON *proc, struct words *w)
{
    struct hf_span type = hf_jgetstr(f->root, "event_type");
    hf_jnode part = NULL;
    HF_JFOREACH(m, f->root) if (hf_span_eq(hf_jname(m), type)) part = m;
    if (!hf_jis_object(part))
        return;
    struct hf_span path = hf_jgetstr(part, "path"), op = hf_jgetstr(part, "operation");
    if (hf_span_eqz(type, "file")) {
        bool writes = hf_span_eqz(op, "write") || hf_span_eqz(op, "create") || hf_span_eqz(op, "unlink") || hf_span_eqz(op, "rename") || hf_span_starts(op, HF_S("ch")) || hf_span_ends(op, HF_S("link")) ||
                      hf_span_starts(op, HF_S("mk"));
        HF_JFOREACH(o, hf_jget(part, "open_flags"))
        {
            writes = writes || hf_span_eqz(hf_jstr(o), "O_WRONLY") || hf_span_eqz(hf_jstr(o), "O_RDWR") || hf_span_eqz(hf_jstr(o), "O_CREAT");
        }
        hf_inc_edge(i, proc, file_node(i, f, path, w), writes ? "wrote" : "read", f->ns, 1);
    } else if (hf_span_eqz(type, "exec") || hf_span_eqz(type, "verdict") || hf_span_eqz(type, "memory") || hf_span_eqz(type, "module")) {
        cJSON *file = file_node(i, f, path, w);
        hf_inc_edge(i, proc, file, "ran", f->ns, 1);
        if (file && hf_jgetstr(part, "sha256").n)
            hf_inc_set(file, "sha256", hf_inc_safe(&w->a, hf_jgetstr(part, "sha256"), 64));
    }
    hf_jnode stdio = hf_jget(part, "stdin");
    bool told = false; /* as who reached it */
    HF_JFOREACH(r, hf_jget(f->root, "reached_from")) told = told || hf_span_eq(hf_jgetstr(r, "peer"), hf_jgetstr(stdio, "peer"));
    if (hf_jgetstr(stdio, "peer").n && !told)
        hf_inc_edge(i, proc, address_node(i, hf_jgetstr(stdio, "peer"), hf_span(NULL, 0)), "connected", f->ns, 1);
    struct hf_span peer = hf_jgetstr(part, "peer");
    hf_jnode box = hf_jget(part, "peer_container");
    if (!peer.n && !box)
        return;
    cJSON *other = hf_jgetstr(box, "id").n
                           ? hf_corr_box_node(i, hf_jgetstr(box, "id"), hf_jgetstr(box, "name"), hf_jgetstr(box, "image"), hf_jgetstr(box, "image_digest"), f->ns)
                           : address_node(i, peer, hf_jgetstr(part, "peer_name"));
    bool in = hf_span_eqz(type, "accept") || hf_jis_true(hf_jget(part, "accepted"));
    hf_inc_edge(i, in ? other : proc, in ? proc : other, "connected", f->ns, 1);
}

static void add_graph(struct hf_inc *i, const struct facts *f, struct words *w)
{
    hf_autobuf ref = HF_BUF_INIT(TEXT_MAX);
    cJSON *box = f->box_key ? hf_corr_box_node(i, hf_jgetstr(f->box, "id"), hf_jgetstr(f->box, "name"), hf_jgetstr(f->box, "image"), hf_jgetstr(f->box, "image_digest"), f->ns) : NULL;
    cJSON *proc = proc_node(i, f, f->process, w), *child = proc;
    cJSON *above[CHAIN_MAX];
    size_t n = 0, n_above = 0;
    HF_JFOREACH(a, hf_jget(f->process, "ancestors"))
    {
        if (n++ >= f->n_chain || !child || n_above == CHAIN_MAX)
            break;
        cJSON *parent = above[n_above] = proc_node(i, f, a, w);
        if (!parent)
            break;
        n_above++;
        hf_inc_edge(i, parent, child, "started", f->ns, 0);
        child = parent;
    }
    hf_inc_edge(i, box, child, "started", f->ns, 0);
    reached(i, f, proc, above, n_above, w);
    own_part(i, f, proc, w);
    hf_buf_addf(&ref, "r:%s:", box_id(f, &w->a));
    hf_buf_add_escaped(&ref, f->rule, 120);
    cJSON *alert = hf_inc_node(i, "alert", hf_buf_z(&ref), hf_inc_safe(&w->a, f->rule, 120));
    if (alert && hf_inc_severity(hf_inc_z(alert, "severity")) < f->severity)
        hf_inc_set(alert, "severity", hf_inc_safe(&w->a, hf_jgetstr(f->root, "severity"), 16));
    hf_inc_edge(i, proc ? proc : box, alert, "has", f->ns, f->count);
}

/* ---- story ---- */

/* "-1.736 s  container of image box:1": the time is before the alert's. */
static void before(struct hf_inc *i, const struct facts *f, struct words *w)
{
    hf_autobuf text = HF_BUF_INIT(TEXT_MAX);
    unsigned n = 0, all = 0;
    HF_JFOREACH(b, hf_jget(f->root, "before")) all++;
    HF_JFOREACH(b, hf_jget(f->root, "before"))
    {
        struct hf_span s = hf_jstr(b), when;
        uint64_t sec = 0, ms = 0, ns = f->ns;
        if (n++ + 40 < all) /* the last 40 of many */
            continue;
        if (n > 4096)
            break;
        size_t end = hf_span_search(s, HF_S(" s  "));
        if (s.n && s.p[0] == '-' && end != SIZE_MAX) {
            when = hf_span_sub(s, 1, end - 1);
            size_t dot = hf_span_find(when, '.');
            if (dot != SIZE_MAX && hf_parse_u64(hf_span_sub(when, 0, dot), 10, 0, 100000, &sec) == 0 && hf_parse_u64(hf_span_from(when, dot + 1), 10, 0, 999, &ms) == 0) {
                uint64_t back = sec * 1000000000u + ms * 1000000u;
                ns = back < ns ? ns - back : ns;
                s = hf_span_from(s, end + 4);
            }
        }
        struct hf_span name = hf_jgetstr(f->box, "name");
        hf_buf_clear(&text);
        if (name.n)
            hf_buf_addf(&text, "%s: ", hf_inc_safe(&w->a, name, 40));
        hf_buf_adds(&text, hf_span_z(hf_inc_safe(&w->a, s, 160)));
        hf_inc_tell(i, ns, "event", hf_buf_z(&text), "");
    }
}

static void stretch(struct hf_inc *i, uint64_t ns)
{
    char when[40];
    hf_inc_time_text(ns, when);
    if (strcmp(when, hf_inc_z(i->root, "first_alert")) < 0)
        hf_inc_set(i->root, "first_alert", when);
    if (strcmp(when, hf_inc_z(i->root, "last_alert")) > 0)
        hf_inc_set(i->root, "last_alert", when);
    if (strcmp(when, hf_inc_z(i->root, "updated")) > 0)
        hf_inc_set(i->root, "updated", when);
}

void hf_corr_fold(struct hf_inc *i, const struct facts *f)
{
    AUTOWORDS w = {HF_BUF_INIT(TEXT_MAX), HF_BUF_INIT(TEXT_MAX)};
    hf_autobuf text = HF_BUF_INIT(TEXT_MAX);
    stretch(i, f->ns);
    hf_inc_set_number(i->root, "alerts", hf_inc_num(i->root, "alerts") + f->count);
    if (hf_inc_severity(hf_inc_z(i->root, "severity")) < f->severity)
        hf_inc_set(i->root, "severity", hf_inc_safe(&w.a, hf_jgetstr(f->root, "severity"), 16));
    hf_inc_once(hf_inc_array(i, "hosts"), f->host, 32);
    if (hf_span_cmp(f->id, hf_inc_get(i, "last_alert_id")) > 0) /* ids sort by time */
        hf_inc_set(i->root, "last_alert_id", hf_inc_safe(&w.a, f->id, 31));
    add_box(i, f, &w);
    add_rule(i, f, &w);
    add_chain(i, f, &w);
    add_graph(i, f, &w);
    before(i, f, &w);
    struct hf_span name = hf_jgetstr(f->box, "name");
    hf_buf_addf(&text, "%s: ", name.n ? hf_inc_safe(&w.b, name, 40) : "host");
    hf_buf_addf(&text, "%s: ", hf_inc_safe(&w.a, f->rule, 80));
    hf_buf_addz(&text, hf_inc_safe(&w.a, hf_jgetstr(f->root, "summary"), 160));
    hf_inc_tell(i, f->ns, "alert", hf_buf_z(&text), "");
}

void hf_corr_fold_sum(struct hf_inc *i, const struct facts *f)
{
    AUTOWORDS w = {HF_BUF_INIT(TEXT_MAX), HF_BUF_INIT(TEXT_MAX)};
    uint64_t more = f->count - 1; /* the first of them was told by itself */
    cJSON *r = with(hf_inc_array(i, "rules"), "rule", hf_inc_safe(&w.a, f->rule, 120));
    char when[40];
    stretch(i, f->ns);
    hf_inc_time_text(f->ns, when);
    hf_inc_set_number(i->root, "alerts", hf_inc_num(i->root, "alerts") + more);
    if (!r)
        return;
    hf_inc_set_number(r, "count", hf_inc_num(r, "count") + more);
    if (strcmp(when, hf_inc_z(r, "last")) > 0)
        hf_inc_set(r, "last", when);
}

/* ---- two become one ---- */

static void move_list(struct hf_inc *into, struct hf_inc *from, const char *name, const char *by, int max)
{
    cJSON *to = hf_inc_array(into, name), *of = hf_inc_array(from, name);
    for (const cJSON *c = of ? of->child : NULL; c; c = c->next) {
        if (cJSON_IsString(c)) {
            hf_inc_once(to, c->valuestring, max);
            continue;
        }
        cJSON *same = by && cJSON_IsObject(c) ? with(to, by, hf_inc_z(c, by)) : NULL;
        if (same) {
            hf_inc_set_number(same, "count", hf_inc_num(same, "count") + hf_inc_num(c, "count"));
            if (strcmp(hf_inc_z(c, "last"), hf_inc_z(same, "last")) > 0)
                hf_inc_set(same, "last", hf_inc_z(c, "last"));
            for (const char *const *k = (const char *const[]){"in", "techniques", NULL}; *k; k++) {
                const cJSON *more = cJSON_GetObjectItemCaseSensitive(c, *k);
                for (const cJSON *m = more ? more->child : NULL; m; m = m->next)
                    if (cJSON_IsString(m))
                        hf_inc_once(cJSON_GetObjectItemCaseSensitive(same, *k), m->valuestring, 32);
            }
            continue;
        }
        cJSON *copy = cJSON_GetArraySize(to) < max ? hf_inc_made(cJSON_Duplicate(c, true)) : NULL;
        int at = cJSON_GetArraySize(to);
        if (copy && !strcmp(name, "chain")) {
            at = 0;
            for (const cJSON *o = to->child; o && hf_inc_tactic_rank(hf_inc_z(o, "tactic")) <= hf_inc_tactic_rank(hf_inc_z(c, "tactic")); o = o->next)
                at++;
        }
        if (copy && !hf_inc_insert(to, at, copy))
            cJSON_Delete(copy);
    }
}

static void move_graph(struct hf_inc *into, const struct hf_inc *from)
{
    const cJSON *g = cJSON_GetObjectItemCaseSensitive(from->root, "graph"), *nodes = cJSON_GetObjectItemCaseSensitive(g, "nodes"), *edges = cJSON_GetObjectItemCaseSensitive(g, "edges");
    cJSON *own = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(into->root, "graph"), "nodes");
    for (const cJSON *n = nodes->child; n; n = n->next) {
        cJSON *m = hf_inc_node(into, hf_inc_z(n, "kind"), hf_inc_z(n, "ref"), hf_inc_z(n, "label"));
        for (const cJSON *k = m ? n->child : NULL; k; k = k->next)
            if (k->string && !cJSON_GetObjectItemCaseSensitive(m, k->string))
                cJSON_AddItemToObject(m, k->string, hf_inc_made(cJSON_Duplicate(k, true)));
    }
    for (const cJSON *e = edges->child; e; e = e->next) {
        const cJSON *a = NULL, *b = NULL;
        uint64_t first = 0, last = 0;
        for (const cJSON *n = nodes->child; n; n = n->next) {
            if (!strcmp(hf_inc_z(n, "id"), hf_inc_z(e, "from")))
                a = with(own, "ref", hf_inc_z(n, "ref"));
            if (!strcmp(hf_inc_z(n, "id"), hf_inc_z(e, "to")))
                b = with(own, "ref", hf_inc_z(n, "ref"));
        }
        if (hf_inc_time(hf_span_z(hf_inc_z(e, "first")), &first) && hf_inc_time(hf_span_z(hf_inc_z(e, "last")), &last)) {
            hf_inc_edge(into, a, b, hf_inc_z(e, "kind"), first, hf_inc_num(e, "count"));
            hf_inc_edge(into, a, b, hf_inc_z(e, "kind"), last, 0);
        }
    }
}

void hf_corr_absorb(struct hf_inc *into, struct hf_inc *from, uint64_t ns)
{
    static const struct {
        const char *name, *by;
        int max;
    } move[] = {{"hosts", NULL, 32}, {"containers", "id", HF_INC_CONTAINERS_MAX}, {"rules", "rule", HF_INC_RULES_MAX}, {"chain", "tactic", 20}, {"advice", NULL, 16}, {"comments", NULL, HF_INC_LIST_MAX},
            {"links", NULL, HF_INC_LIST_MAX}, {"actions", NULL, HF_INC_LIST_MAX}, {"evidence", NULL, HF_INC_LIST_MAX}, {"exceptions", NULL, HF_INC_LIST_MAX}};
    for (size_t k = 0; k < HF_ARRAY_LEN(move); k++)
        move_list(into, from, move[k].name, move[k].by, move[k].max);
    cJSON *boxes = hf_inc_array(into, "containers"); /* which have no counts */
    for (cJSON *b = boxes ? boxes->child : NULL; b; b = b->next) {
        cJSON_DeleteItemFromObjectCaseSensitive(b, "count");
    }
    cJSON *links = hf_inc_array(into, "chain");
    for (cJSON *b = links ? links->child : NULL; b; b = b->next) {
        cJSON_DeleteItemFromObjectCaseSensitive(b, "count");
    }
    move_graph(into, from);
    const cJSON *lines = hf_inc_array(from, "timeline");
    uint64_t t;
    for (const cJSON *e = lines ? lines->child : NULL; e; e = e->next)
        if (hf_inc_time(hf_span_z(hf_inc_z(e, "time")), &t))
            hf_inc_tell(into, t, hf_inc_z(e, "kind"), hf_inc_z(e, "text"), hf_inc_z(e, "by"));
    if (hf_inc_severity(hf_inc_z(from->root, "severity")) > hf_inc_severity(hf_inc_z(into->root, "severity")))
        hf_inc_set(into->root, "severity", hf_inc_z(from->root, "severity"));
    hf_inc_set_number(into->root, "alerts", hf_inc_num(into->root, "alerts") + hf_inc_num(from->root, "alerts"));
    for (const char *const *k = (const char *const[]){"first_alert", "last_alert", NULL}; *k; k++)
        if (hf_inc_time(hf_span_z(hf_inc_z(from->root, *k)), &t))
            stretch(into, t);
    char text[96];
    snprintf(text, sizeof text, "%s is part of this story", hf_inc_z(from->root, "id"));
    hf_inc_tell(into, ns, "state", text, "holdfast");
    snprintf(text, sizeof text, "goes on as %s", hf_inc_z(into->root, "id"));
    hf_inc_tell(from, ns, "state", text, "holdfast");
    hf_inc_set(from->root, "merged_into", hf_inc_z(into->root, "id"));
    hf_inc_set(from->root, "state", "resolved");
    hf_inc_set_time(from->root, "updated", ns);
}
