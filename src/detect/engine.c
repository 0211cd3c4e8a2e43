// SPDX-License-Identifier: Apache-2.0
#include "detect/engine.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "detect/regex.h"
#include "detect/state.h"
#include "event/json.h"

#define WHY_MAX 24u
#define WHY_TEXT 8192u
#define OUTPUT_MAX 8192u
#define FOLDS 1024u
#define VALUES_PER_FIELD 64u /* ancestors, arguments */
#define SAMPLE 64u
#define TIMED_MAX_NS 20000u /* longer: the process was interrupted meanwhile, not the rule slow */

struct slot {
    const struct hf_rule *rule;
    struct hf_state *state; /* NULL for plain rules */
    struct hf_state *memory; /* keys that are remembered; NULL for rules that make alerts */
    uint64_t looks, matches, alerts, timed, timed_ns, last_match_ns;
    bool shed;
};

struct fold { /* an alert that may be followed by its like */
    uint64_t key, first_ns, last_ns, count, window_ns;
    uint32_t slot;
    char id[27];
    char summary[512], container[80], container_id[65];
    bool used;
};

struct memo {
    uint32_t epoch;
    bool result;
};

struct hf_engine {
    struct hf_rules *rules;
    struct hf_engine_opts o;
    struct hf_excepts *excepts;
    struct slot *slots;
    size_t n_slots;
    uint32_t *memories; /* slots that remember */
    size_t n_memories;
    uint32_t *by_class[HF_CLASSES]; /* indexes into slots */
    size_t n_by_class[HF_CLASSES];
    struct hf_look look, parent_look; /* parent_look: the event as if the parent of its process had caused it */
    struct hf_event parent_event;
    struct memo *memos;
    size_t n_memos;
    struct fold folds[FOLDS];
    uint64_t events, alerts, seed, folds_next_ns, first_event_ns;
    uint64_t sample_at, clock_cost_ns; /* the event whose rules are timed next; what reading the clock costs itself */
    struct hf_buf output, why_text;
    struct hf_clause why[WHY_MAX];
    size_t n_why;
    int worst;
};

/* ---- comparing ---- */

static bool addr_in(const uint8_t addr[16], const struct hf_prog_value *v)
{
    unsigned bytes = v->prefix / 8, bits = v->prefix % 8;
    if (memcmp(addr, v->addr, bytes) != 0)
        return false;
    return !bits || ((addr[bytes] ^ v->addr[bytes]) & (0xff00u >> bits & 0xffu)) == 0;
}

static bool contains_nocase(struct hf_span s, struct hf_span part)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (hf_span_eq_nocase(hf_span_sub(s, i, part.n), part))
            return true;
    return part.n == 0;
}

/* Bytes given in hexadecimal. */
static bool bytes_at(struct hf_span s, struct hf_span hex, bool anywhere)
{
    unsigned char b[256];
    size_t n = hex.n / 2;
    if (hex.n % 2 || !n || n > sizeof b)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t v;
        if (hf_parse_u64(hf_span_sub(hex, i * 2, 2), 16, 0, 255, &v) < 0)
            return false;
        b[i] = (unsigned char)v;
    }
    struct hf_span want = hf_span((const char *)b, n);
    return anywhere ? hf_span_search(s, want) != SIZE_MAX : hf_span_starts(s, want);
}

/* A path that begins with one of the given, at a component's end. */
static bool path_prefix(struct hf_span s, struct hf_span prefix)
{
    if (prefix.n > 1 && prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    return hf_span_starts(s, prefix) && (s.n == prefix.n || s.p[prefix.n] == '/' || prefix.n == 1);
}

static bool compare_text(const struct hf_prog *p, struct hf_span s, const struct hf_prog_value *v)
{
    switch (p->op) {
    case HF_OP_EQ:
    case HF_OP_IN:
    case HF_OP_INTERSECTS:
        return hf_span_eq(s, v->str);
    case HF_OP_NE:
        return !hf_span_eq(s, v->str);
    case HF_OP_LT:
        return hf_span_cmp(s, v->str) < 0;
    case HF_OP_LE:
        return hf_span_cmp(s, v->str) <= 0;
    case HF_OP_GT:
        return hf_span_cmp(s, v->str) > 0;
    case HF_OP_GE:
        return hf_span_cmp(s, v->str) >= 0;
    case HF_OP_CONTAINS:
        return hf_span_search(s, v->str) != SIZE_MAX;
    case HF_OP_ICONTAINS:
        return contains_nocase(s, v->str);
    case HF_OP_BCONTAINS:
        return bytes_at(s, v->str, true);
    case HF_OP_BSTARTSWITH:
        return bytes_at(s, v->str, false);
    case HF_OP_STARTSWITH:
        return hf_span_starts(s, v->str);
    case HF_OP_ENDSWITH:
        return hf_span_ends(s, v->str);
    case HF_OP_GLOB:
        return hf_glob_match(v->str, s, false);
    case HF_OP_IGLOB:
        return hf_glob_match(v->str, s, true);
    case HF_OP_REGEX:
        return hf_regex_match(v->regex, s);
    case HF_OP_PMATCH:
        return path_prefix(s, v->str);
    case HF_OP_EXISTS:
        return true;
    }
    return false;
}

static bool compare_num(const struct hf_prog *p, int64_t n, const struct hf_prog_value *v)
{
    switch (p->op) {
    case HF_OP_EQ:
    case HF_OP_IN:
    case HF_OP_INTERSECTS:
        return n == v->num;
    case HF_OP_NE:
        return n != v->num;
    case HF_OP_LT:
        return n < v->num;
    case HF_OP_LE:
        return n <= v->num;
    case HF_OP_GT:
        return n > v->num;
    case HF_OP_GE:
        return n >= v->num;
    case HF_OP_EXISTS:
        return true;
    default:
        break;
    }
    char text[24]; /* contains, startswith... of a number: its digits */
    snprintf(text, sizeof text, "%lld", (long long)n);
    return compare_text(p, hf_span_z(text), v);
}

static bool compare(const struct hf_prog *p, const struct hf_value *x, const struct hf_prog_value *v)
{
    if (p->op == HF_OP_EXISTS)
        return true;
    if (x->kind == HF_VALUE_ADDR)
        return p->op == HF_OP_NE ? !addr_in(x->addr, v) : addr_in(x->addr, v);
    return x->kind == HF_VALUE_NUM ? compare_num(p, x->num, v) : compare_text(p, x->str, v);
}

/* lower, upper, basename, len of a value; decoded base64. */
static bool transform(struct hf_look *l, enum hf_transform t, struct hf_value *x)
{
    if (t == HF_TRANSFORM_NONE || t == HF_TRANSFORM_VAL)
        return true;
    if (t == HF_TRANSFORM_LEN) {
        x->num = x->kind == HF_VALUE_STR ? (int64_t)x->str.n : x->num;
        x->kind = HF_VALUE_NUM;
        return true;
    }
    if (x->kind != HF_VALUE_STR)
        return false;
    if (t == HF_TRANSFORM_BASENAME) {
        x->str = hf_span_basename(x->str);
        return true;
    }
    size_t from = l->scratch.n;
    if (l->scratch.cap - from < x->str.n + 4)
        return false;
    if (t == HF_TRANSFORM_B64) {
        unsigned acc = 0, bits = 0;
        for (size_t i = 0; i < x->str.n; i++) {
            const char *digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            const char *at = x->str.p[i] ? strchr(digits, x->str.p[i]) : NULL;
            if (!at)
                break;
            acc = acc << 6 | (unsigned)(at - digits);
            bits += 6;
            if (bits >= 8) {
                bits -= 8;
                hf_buf_addc(&l->scratch, (char)(acc >> bits & 0xff));
            }
        }
    } else {
        for (size_t i = 0; i < x->str.n; i++)
            hf_buf_addc(&l->scratch, (char)(t == HF_TRANSFORM_LOWER ? tolower((unsigned char)x->str.p[i]) : toupper((unsigned char)x->str.p[i])));
    }
    x->str = hf_span(l->scratch.p + from, l->scratch.n - from);
    return true;
}

static bool any_value(const struct hf_prog *p, const struct hf_value *x)
{
    uint64_t ignored;
    if (p->has_set && x->kind == HF_VALUE_STR)
        return hf_map_get(&p->set, x->str, &ignored);
    if (p->op == HF_OP_EXISTS)
        return true;
    for (size_t i = 0; i < p->n_values; i++)
        if (compare(p, x, &p->values[i]))
            return true;
    return false;
}

static bool check(struct hf_engine *e, const struct hf_prog *p)
{
    struct hf_look *l = &e->look;
    struct hf_value x;
    if (p->is_type)
        return p->classes & HF_CLASS_BIT(l->class);
    for (unsigned nth = 0; nth < VALUES_PER_FIELD; nth++) {
        if (!hf_field_get(l, p->field, p->arg, p->arg_n, nth, &x) || !transform(l, p->transform, &x))
            return false;
        if (p->right) {
            struct hf_value y;
            if (!hf_field_get(l, p->right, p->right_arg, p->right_n, 0, &y) || !transform(l, p->right_transform, &y))
                return false;
            struct hf_prog_value v = {.str = y.str, .num = y.num, .prefix = 128, .is_num = y.kind == HF_VALUE_NUM};
            memcpy(v.addr, y.addr, 16);
            if (x.kind == y.kind && compare(p, &x, &v))
                return true;
        } else if (any_value(p, &x)) {
            return true;
        }
    }
    return false;
}

static bool holds(struct hf_engine *e, const struct hf_prog *p)
{
    if (!(p->classes & HF_CLASS_BIT(e->look.class)))
        return false;
    switch (p->kind) {
    case HF_COND_AND:
        for (size_t i = 0; i < p->n_parts; i++)
            if (!holds(e, p->parts[i]))
                return false;
        return true;
    case HF_COND_OR:
        for (size_t i = 0; i < p->n_parts; i++)
            if (holds(e, p->parts[i]))
                return true;
        return false;
    case HF_COND_NOT:
        return !holds(e, p->parts[0]);
    case HF_COND_MACRO: {
        struct memo *m = &e->memos[p->memo];
        if (m->epoch != e->look.epoch) {
            m->result = holds(e, p->macro); /* may use the same table: the place is found again */
            e->memos[p->memo].epoch = e->look.epoch;
        }
        return m->result;
    }
    case HF_COND_CHECK:
        return check(e, p);
    }
    return false;
}

/* ---- why ---- */

static struct hf_span keep_text(struct hf_engine *e, struct hf_span s)
{
    size_t from = e->why_text.n;
    s = hf_span_sub(s, 0, 512);
    if (e->why_text.cap - from < s.n)
        return hf_span(NULL, 0);
    hf_buf_adds(&e->why_text, s);
    return hf_span(e->why_text.p + from, s.n);
}

/* A value as people may see it: command lines and environments carry secrets. */
static void show_value(const struct hf_field_def *f, const struct hf_value *v, struct hf_buf *out)
{
    if (v->kind == HF_VALUE_STR && !strncmp(f->name, "proc.", 5))
        hf_event_mask(v->str, out);
    else
        hf_value_text(v, out);
}

/* The comparisons that made it hold: of an "or" the first part that does. */
static void explain(struct hf_engine *e, const struct hf_prog *p)
{
    struct hf_value x;
    if (e->n_why == WHY_MAX || !holds(e, p))
        return;
    switch (p->kind) {
    case HF_COND_AND:
        for (size_t i = 0; i < p->n_parts; i++)
            explain(e, p->parts[i]);
        break;
    case HF_COND_OR:
        for (size_t i = 0; i < p->n_parts; i++)
            if (holds(e, p->parts[i])) {
                explain(e, p->parts[i]);
                return;
            }
        break;
    case HF_COND_MACRO:
        explain(e, p->macro);
        break;
    case HF_COND_CHECK:
        e->why[e->n_why] = (struct hf_clause){.text = hf_span_sub(p->text, 0, 200), .field = hf_span_z(p->field->name)};
        if (hf_field_get(&e->look, p->field, p->arg, p->arg_n, 0, &x)) {
            char store[1024];
            hf_autobuf text = HF_BUF_INIT(sizeof store);
            show_value(p->field, &x, &text);
            e->why[e->n_why].value = keep_text(e, hf_buf_span(&text));
        }
        e->n_why++;
        break;
    case HF_COND_NOT:
        break;
    }
}

/* ---- alerts ---- */

/* One step of SplitMix64 (Steele, Lea, Flood 2014): a number of its own for every count, the same for the same seed. */
static uint64_t mixed(uint64_t seed, uint64_t count)
{
    uint64_t z = seed + count * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void new_id(struct hf_engine *e, uint64_t time_ns, char out[27])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* ULID: 48 bits of ms, 80 bits of its own */
    uint64_t ms = time_ns / 1000000u, low = mixed(e->seed, ++e->alerts), high = e->alerts & 0xffff;
    for (int i = 9; i >= 0; i--, ms >>= 5)
        out[i] = digits[ms & 31];
    for (int i = 25; i >= 13; i--, low >>= 5)
        out[i] = digits[low & 31];
    for (int i = 12; i >= 10; i--, high >>= 5)
        out[i] = digits[high & 31];
    out[26] = 0;
}

static void render(struct hf_engine *e, const struct hf_rule *r)
{
    struct hf_value x;
    hf_buf_clear(&e->output);
    for (size_t i = 0; i < r->n_parts; i++) {
        const struct hf_output_part *p = &r->parts[i];
        if (!p->field)
            hf_buf_adds(&e->output, p->text);
        else if (hf_field_get(&e->look, p->field, p->arg, p->arg_n, 0, &x))
            show_value(p->field, &x, &e->output);
        else
            hf_buf_addz(&e->output, "<NA>");
    }
    if (!hf_buf_ok(&e->output)) { /* longer than a summary may be */
        hf_buf_clear(&e->output);
        hf_buf_adds(&e->output, r->name);
    }
}

static uint64_t hash_parts(struct hf_look *l, const struct hf_key_part *parts, size_t n, bool *ret_any)
{
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++) {
        struct hf_value x = {.kind = HF_VALUE_STR};
        struct hf_span bytes;
        if (!hf_field_get(l, parts[i].field, parts[i].arg, parts[i].arg_n, 0, &x))
            continue;
        *ret_any = true;
        bytes = x.kind == HF_VALUE_STR ? x.str : x.kind == HF_VALUE_NUM ? hf_span((const char *)&x.num, sizeof x.num) : hf_span((const char *)x.addr, 16);
        h = (h << 7 | h >> 57) ^ hf_span_hash(bytes);
    }
    return h;
}

static uint64_t fold_key(struct hf_engine *e, uint32_t slot)
{
    struct hf_value x;
    const struct hf_rule *r = e->slots[slot].rule;
    if (r->once_ns) {
        bool any = false;
        uint64_t parts[2] = {slot, hash_parts(&e->look, r->key, r->n_key, &any)};
        return hf_span_hash(hf_span((const char *)parts, sizeof parts));
    }
    const struct hf_event *ev = e->look.ev;
    struct {
        uint64_t slot, container, exe, object, port;
    } k = {.slot = slot, .container = ev->container ? ev->container->cgroup_id : 0};
    k.exe = ev->proc ? hf_span_hash(ev->proc->exe.n ? ev->proc->exe : ev->proc->comm) : 0;
    k.object = ev->type == HF_EV_FILE || ev->type == HF_EV_MOUNT ? hf_span_hash(ev->path) : ev->target ? hf_span_hash(ev->target->exe) : 0;
    static const char *const port = "fd.sport";
    const struct hf_field_def *f = ev->type == HF_EV_NET ? hf_field_find(hf_span_z(port)) : NULL;
    if (f && hf_field_get(&e->look, f, hf_span(NULL, 0), -1, 0, &x))
        k.port = (uint64_t)x.num;
    return hf_span_hash(hf_span((const char *)&k, sizeof k));
}

static void fill(const struct hf_rule *r, struct hf_alert *a)
{
    *a = (struct hf_alert){
            .rule = r->name,
            .severity = r->severity,
            .tags = r->tags,
            .n_tags = r->n_tags,
            .tactics = r->tactics,
            .n_tactics = r->n_tactics,
            .techniques = r->techniques,
            .n_techniques = r->n_techniques,
            .what = r->what.n ? r->what : r->desc,
            .todo = r->todo,
            .respond = r->respond,
            .n_respond = r->n_respond,
            .until_verdict = r->until_verdict,
            .benign = r->benign,
            .source = r->source_file,
            .count = 1,
    };
}

static void tell_fold(struct hf_engine *e, struct fold *f)
{
    struct hf_alert a;
    char summary[640];
    fill(e->slots[f->slot].rule, &a);
    if (f->count == 2)
        snprintf(summary, sizeof summary, "once more: %s", f->summary);
    else
        snprintf(summary, sizeof summary, "%llu times more: %s", (unsigned long long)(f->count - 1), f->summary);
    a.id = hf_span_z(f->id);
    a.time_ns = a.last_ns = f->last_ns;
    a.first_ns = f->first_ns;
    a.count = f->count;
    a.summary = hf_span_z(summary);
    a.container_name = hf_span_z(f->container);
    a.container_id = hf_span_z(f->container_id);
    e->o.alert(e->o.ctx, &a);
}

int hf_engine_worst(const struct hf_engine *e)
{
    return e->worst;
}

bool hf_engine_unsay(struct hf_engine *e, struct hf_span id)
{
    for (size_t i = 0; i < FOLDS; i++) {
        struct fold *f = &e->folds[i];
        if (!f->used || !hf_span_eqz(id, f->id))
            continue;
        if (f->count > 1)
            return false;
        f->used = false;
        e->slots[f->slot].alerts--;
        return true;
    }
    return true; /* another took its place */
}

void hf_engine_tick(struct hf_engine *e, uint64_t now_ns, bool all)
{
    if (!all && now_ns < e->folds_next_ns)
        return;
    e->folds_next_ns = now_ns + 1000000000u;
    for (size_t i = 0; i < FOLDS; i++) {
        struct fold *f = &e->folds[i];
        if (!f->used || (!all && now_ns - f->first_ns < f->window_ns))
            continue;
        if (f->count > 1)
            tell_fold(e, f);
        f->used = false;
    }
}

/* true: told already within the window, and now counted. */
static bool folded(struct hf_engine *e, uint32_t slot, const char id[27], struct hf_span summary)
{
    uint64_t key = fold_key(e, slot), now = e->look.ev->time_ns;
    struct fold *place = NULL;
    for (unsigned i = 0; i < 8; i++) {
        struct fold *f = &e->folds[(key + i) & (FOLDS - 1)];
        if (f->used && f->key == key) {
            if (now - f->first_ns < f->window_ns) {
                f->count++;
                f->last_ns = now;
                return true;
            }
            place = f;
            break;
        }
        if (!place || (place->used && (!f->used || f->last_ns < place->last_ns)))
            place = f;
    }
    if (place->used && place->count > 1)
        tell_fold(e, place);
    const struct hf_rule *r = e->slots[slot].rule;
    *place = (struct fold){.key = key, .window_ns = r->once_ns ? r->once_ns : e->o.fold_ns, .first_ns = now, .last_ns = now, .count = 1, .slot = slot, .used = true};
    memcpy(place->id, id, 27);
    snprintf(place->summary, sizeof place->summary, "%.*s", HF_SPAN_ARG(summary));
    const struct hf_container *c = e->look.ev->container;
    if (c) {
        snprintf(place->container, sizeof place->container, "%.*s", HF_SPAN_ARG(c->name));
        snprintf(place->container_id, sizeof place->container_id, "%.*s", HF_SPAN_ARG(c->id));
    }
    return false;
}

static void alert(struct hf_engine *e, uint32_t slot, const struct hf_prog *prog)
{
    struct hf_alert a;
    char id[27];
    const struct hf_rule *r = e->slots[slot].rule;
    if (hf_excepts_match(e->excepts, r->name, e->look.ev))
        return;
    e->worst = HF_MAX(e->worst, (int)r->severity);
    render(e, r);
    new_id(e, e->look.ev->time_ns, id);
    if (folded(e, slot, id, hf_buf_span(&e->output)))
        return;
    e->slots[slot].alerts++;
    e->n_why = 0;
    hf_buf_clear(&e->why_text);
    if (prog)
        explain(e, prog);
    fill(r, &a);
    a.id = hf_span(id, 26);
    a.time_ns = a.first_ns = a.last_ns = e->look.ev->time_ns;
    a.summary = hf_span_trim(hf_buf_span(&e->output));
    a.why = e->why;
    a.n_why = e->n_why;
    a.event = e->look.ev;
    if (a.event->container) {
        a.container_name = a.event->container->name;
        a.container_id = a.event->container->id;
    }
    e->o.alert(e->o.ctx, &a);
}

/* ---- events ---- */

/* hf.remembered[x], hf.parent_remembered[x]: whether a rule remembers this event's key, as it is or with the parent in its place. */
static bool remembered(void *ctx, struct hf_span name, bool of_parent)
{
    struct hf_engine *e = ctx;
    struct hf_look *l = &e->look;
    const struct hf_event *ev = l->ev;
    if (of_parent) {
        if (!ev->proc || !ev->proc->parent)
            return false;
        if (!e->parent_look.ev) { /* once an event */
            e->parent_event = *ev;
            e->parent_event.proc = ev->proc->parent;
            e->parent_event.container = ev->proc->parent->container;
            hf_look_at(&e->parent_look, &e->parent_event, l->class);
        }
        l = &e->parent_look;
    }
    for (size_t i = 0; i < e->n_memories; i++) {
        struct slot *s = &e->slots[e->memories[i]];
        const struct hf_rule *r = s->rule;
        bool any = false;
        if (hf_span_eq(r->remember, name) && hf_state_remembers(s->memory, r, hash_parts(l, r->key, r->n_key, &any), ev->time_ns))
            return true;
    }
    return false;
}

/* When the learning of FIRST began: with the container, or with watching. */
static uint64_t born_ns(const struct hf_engine *e)
{
    const struct hf_container *c = e->look.ev->container;
    return c ? HF_MAX(c->started_ns, e->first_event_ns) : e->first_event_ns;
}

static bool matches(struct hf_engine *e, struct slot *s, const struct hf_prog **ret_prog)
{
    const struct hf_rule *r = s->rule;
    bool any = false, early = e->look.ev->type == HF_EV_RATE && (e->look.ev->h->flags & HF_F_EARLY);
    if (early && r->kind != HF_RULE_SURGE) /* the whole interval comes to it later */
        return false;
    if (r->kind == HF_RULE_SEQUENCE) {
        uint64_t key = hash_parts(&e->look, r->key, r->n_key, &any);
        bool step[8];
        for (size_t i = 0; i < r->n_steps; i++)
            step[i] = holds(e, r->steps[i]);
        *ret_prog = r->steps[r->n_steps - 1];
        const struct hf_event *ev = e->look.ev;
        return hf_state_sequence(s->state, r, key, step, ev->type == HF_EV_FILE && ev->u.file.source == HF_SOURCE_FANOTIFY, ev->time_ns);
    }
    if (!holds(e, r->prog))
        return false;
    *ret_prog = r->prog;
    if (r->kind == HF_RULE_PLAIN)
        return true;
    uint64_t key = hash_parts(&e->look, r->key, r->n_key, &any), value = 0;
    bool has = false;
    struct hf_value x;
    if (r->kind == HF_RULE_SURGE) {
        has = hf_field_get(&e->look, r->value.field, r->value.arg, r->value.arg_n, 0, &x) && x.num >= 0;
        value = has ? (uint64_t)x.num : 0;
    } else if (r->value.field) {
        value = hash_parts(&e->look, &r->value, 1, &has);
    }
    if (r->value.field && !has)
        return false;
    if (early)
        return hf_state_surge_early(s->state, r, key, value);
    return hf_state_event(s->state, r, key, value, born_ns(e), e->look.ev->time_ns);
}

static uint64_t own_clock(void *ctx)
{
    struct timespec t;
    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What a reading costs is taken off every measured time, which otherwise would be mostly that. */
static void learn_clock(struct hf_engine *e)
{
    if (!e->o.clock_ns)
        e->o.clock_ns = own_clock;
    e->clock_cost_ns = UINT64_MAX;
    for (unsigned i = 0; i < 32; i++) {
        uint64_t before = e->o.clock_ns(e->o.clock_ctx), after = e->o.clock_ns(e->o.clock_ctx);
        e->clock_cost_ns = HF_MIN(e->clock_cost_ns, after - before);
    }
}

/* Distances of 1 to 2 * SAMPLE - 1 events: regular ones would always meet the same kind of event where programs act in a rhythm. */
static bool is_sample(struct hf_engine *e)
{
    if (e->events < e->sample_at)
        return false;
    e->sample_at = e->events + 1 + mixed(e->seed, e->events) % (2 * SAMPLE - 1);
    return true;
}

static void held(struct hf_engine *e, uint32_t index, const struct hf_prog *prog)
{
    struct slot *s = &e->slots[index];
    s->matches++;
    s->last_match_ns = e->look.ev->time_ns;
    if (!s->rule->remember.n) {
        alert(e, index, prog);
        return;
    }
    bool any = false;
    hf_state_remember(s->memory, hash_parts(&e->look, s->rule->key, s->rule->n_key, &any), e->look.ev->time_ns);
}

static unsigned one_class(struct hf_engine *e, enum hf_class class, bool sample)
{
    unsigned n = 0;
    uint64_t before = sample ? e->o.clock_ns(e->o.clock_ctx) : 0;
    const struct hf_event *ev = e->look.ev;
    bool never_ran = ev->type == HF_EV_EXEC && (ev->u.exec.exec_flags & HF_X_KILLED); /* who killed it tells of it */
    for (size_t i = 0; i < e->n_by_class[class]; i++) {
        uint32_t index = e->by_class[class][i];
        struct slot *s = &e->slots[index];
        const struct hf_prog *prog = NULL;
        if (s->shed || (never_ran && !s->rule->asks_killed))
            continue;
        s->looks++;
        bool hit = matches(e, s, &prog);
        if (sample) {
            uint64_t now = e->o.clock_ns(e->o.clock_ctx), spent = now - before;
            s->timed++;
            s->timed_ns += HF_MIN(spent > e->clock_cost_ns ? spent - e->clock_cost_ns : 0, (uint64_t)TIMED_MAX_NS);
            before = now;
        }
        if (!hit)
            continue;
        n += !s->rule->remember.n;
        held(e, index, prog);
        if (sample)
            before = e->o.clock_ns(e->o.clock_ctx); /* telling is not what a rule costs all the time */
    }
    return n;
}

unsigned hf_engine_event(struct hf_engine *e, const struct hf_event *ev)
{
    enum hf_class class = hf_class_of(ev);
    e->events++;
    e->worst = -1;
    e->parent_look.ev = NULL;
    if (!e->first_event_ns)
        e->first_event_ns = ev->time_ns;
    if (class == HF_CLASS_NONE)
        return 0;
    unsigned n = 0;
    bool sample = is_sample(e);
    if (e->n_by_class[class]) {
        hf_look_at(&e->look, ev, class);
        n = one_class(e, class, sample);
    }
    for (unsigned i = 0; ev->type == HF_EV_EXEC && e->n_by_class[HF_CLASS_DUP] && i < 2; i++) {
        const struct hf_wire_stdio *s = &ev->u.exec.stdio[i];
        if (s->kind != HF_STDIO_SOCKET || (s->family != 2 && s->family != 10))
            continue;
        hf_look_at(&e->look, ev, HF_CLASS_DUP);
        e->look.stdio = s;
        e->look.stdio_fd = i;
        n += one_class(e, HF_CLASS_DUP, sample);
        break;
    }
    return n;
}

/* ---- life ---- */

static bool wanted(const struct hf_engine_opts *o, const struct hf_rule *r)
{
    return r->is_syscall && (r->enabled || o->disabled_too) && (r->prog || r->n_steps) && r->classes;
}

static int index_rules(struct hf_engine *e, struct hf_err *err)
{
    size_t all = hf_rules_count(e->rules);
    e->slots = calloc(all ? all : 1, sizeof *e->slots);
    e->memories = calloc(all ? all : 1, sizeof *e->memories);
    if (!e->slots || !e->memories)
        return hf_fail(err, -ENOMEM, "no memory for the rules");
    for (size_t i = 0; i < all; i++) {
        const struct hf_rule *r = hf_rules_at(e->rules, i);
        if (!wanted(&e->o, r))
            continue;
        struct slot *s = &e->slots[e->n_slots++];
        s->rule = r;
        if (r->kind != HF_RULE_PLAIN && !(s->state = hf_state_new(r)))
            return hf_fail(err, -ENOMEM, "no memory for the rules' state");
        if (r->remember.n && !(s->memory = hf_state_new(r)))
            return hf_fail(err, -ENOMEM, "no memory for what rules remember");
        if (s->memory)
            e->memories[e->n_memories++] = (uint32_t)(e->n_slots - 1);
    }
    for (unsigned c = 0; c < HF_CLASSES; c++) {
        e->by_class[c] = calloc(e->n_slots ? e->n_slots : 1, sizeof *e->by_class[c]);
        if (!e->by_class[c])
            return hf_fail(err, -ENOMEM, "no memory for the rules");
        for (size_t i = 0; i < e->n_slots; i++)
            if (e->slots[i].rule->classes & HF_CLASS_BIT(c))
                e->by_class[c][e->n_by_class[c]++] = (uint32_t)i;
    }
    return 0;
}

static void move_state(struct hf_engine *e, struct hf_engine *from)
{
    for (size_t i = 0; i < e->n_slots; i++)
        for (size_t k = 0; k < from->n_slots; k++)
            if (e->slots[i].rule->definition == from->slots[k].rule->definition) {
                struct hf_state *s = e->slots[i].state, *m = e->slots[i].memory;
                e->slots[i].state = from->slots[k].state;
                from->slots[k].state = s;
                e->slots[i].memory = from->slots[k].memory;
                from->slots[k].memory = m;
                e->slots[i].looks = from->slots[k].looks;
                e->slots[i].matches = from->slots[k].matches;
                e->slots[i].alerts = from->slots[k].alerts;
                e->slots[i].timed = from->slots[k].timed;
                e->slots[i].timed_ns = from->slots[k].timed_ns;
                e->slots[i].last_match_ns = from->slots[k].last_match_ns;
            }
    e->alerts = from->alerts;
    e->first_event_ns = from->first_event_ns;
}

int hf_engine_new(struct hf_engine **ret, struct hf_rules *rules, const struct hf_engine_opts *o, struct hf_engine *before, struct hf_err *err)
{
    int rc = hf_rules_compile(rules, err);
    if (rc < 0)
        return rc;
    hf_cleanup(hf_engine_freep) struct hf_engine *e = calloc(1, sizeof *e);
    if (!e)
        return hf_fail(err, -ENOMEM, "no memory for the engine");
    e->o = *o;
    e->o.fold_ns = o->fold_ns ? o->fold_ns : 60000000000u;
    hf_buf_init(&e->output, OUTPUT_MAX);
    hf_buf_init(&e->why_text, WHY_TEXT);
    hf_look_init(&e->look);
    hf_look_init(&e->parent_look);
    e->look.remembered = e->parent_look.remembered = remembered;
    e->look.remembered_ctx = e->parent_look.remembered_ctx = e;
    e->look.user_name = o->user_name;
    e->look.user_ctx = o->user_ctx;
    e->n_memos = hf_rules_memos(rules);
    e->memos = calloc(e->n_memos ? e->n_memos : 1, sizeof *e->memos);
    e->seed = o->seed;
    if (!e->seed && getrandom(&e->seed, sizeof e->seed, GRND_NONBLOCK) < 0)
        e->seed = (uint64_t)(uintptr_t)e;
    learn_clock(e);
    if (!e->memos || !e->look.scratch.cap || !hf_buf_reserve(&e->why_text, WHY_TEXT))
        return hf_fail(err, -ENOMEM, "no memory for the engine");
    e->rules = rules;
    rc = index_rules(e, err);
    if (rc < 0) {
        e->rules = NULL; /* the caller still has them */
        return rc;
    }
    if (before) {
        move_state(e, before);
        hf_engine_free(before);
    }
    *ret = hf_take(e);
    return 0;
}

void hf_engine_free(struct hf_engine *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n_slots; i++) {
        hf_state_free(e->slots[i].state);
        hf_state_free(e->slots[i].memory);
    }
    for (unsigned c = 0; c < HF_CLASSES; c++)
        free(e->by_class[c]);
    free(e->slots);
    free(e->memories);
    free(e->memos);
    hf_look_done(&e->look);
    hf_look_done(&e->parent_look);
    hf_buf_done(&e->output);
    hf_buf_done(&e->why_text);
    hf_rules_free(e->rules);
    free(e);
}

void hf_engine_excepts(struct hf_engine *e, struct hf_excepts *x)
{
    e->excepts = x;
}

const struct hf_rules *hf_engine_rules(const struct hf_engine *e)
{
    return e->rules;
}

size_t hf_engine_costs(const struct hf_engine *e, struct hf_rule_cost *out, size_t max)
{
    for (size_t i = 0; i < HF_MIN(max, e->n_slots); i++) {
        const struct slot *s = &e->slots[i];
        out[i] = (struct hf_rule_cost){.rule = s->rule, .looks = s->looks, .matches = s->matches, .alerts = s->alerts, .timed = s->timed, .timed_ns = s->timed_ns,
                .ns = s->timed ? (uint64_t)((double)s->timed_ns / (double)s->timed * (double)s->looks) : 0, .last_match_ns = s->last_match_ns,
                .state_bytes = hf_state_bytes(s->state) + hf_state_bytes(s->memory), .shed = s->shed};
    }
    return e->n_slots;
}

void hf_engine_shed(struct hf_engine *e, size_t i, bool off)
{
    if (i < e->n_slots)
        e->slots[i].shed = off;
}

uint64_t hf_engine_needs(const struct hf_engine *e)
{
    uint64_t classes = 0;
    for (size_t i = 0; i < e->n_slots; i++)
        classes |= e->slots[i].shed ? 0 : e->slots[i].rule->classes;
    return classes;
}
