/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/ignore.h"

#include <stdio.h>
#include <yaml.h>

#include "base/fs.h"
#include "base/opts.h"
#include "packages/purl.h"
#include "policy/glob.h"

enum {
    MAX_FILE = 4 << 20,      /* bytes */
    MAX_RULES = 20000,
    MAX_PATTERNS = 1000,     /* entries without id: each is held against every vulnerability */
    MAX_TEXT = 4096,         /* bytes of one value */
    MAX_WARNINGS = 20,       /* the rest is counted */
    SOON_S = 7 * 24 * 3600,
};

struct rule {
    struct hf_span id, path, reason, owner, purl;
    bool has_package, permanent;
    struct hf_package p; /* from purl; name and version may hold '*' */
    uint64_t ends;       /* first second at which it no longer applies */
    char date[11];
    unsigned line;
    uint32_t next;       /* next entry of the same id + 1, in file order */
};

struct hf_ignore {
    struct hf_arena arena;
    struct hf_span name;
    struct rule *rules;
    size_t n, cap;
    struct hf_map by_id;  /* lower-case id -> index of the first + 1 */
    uint32_t *patterns;   /* entries without id */
    size_t n_patterns, cap_patterns;
};

enum { KEY_ID = 1, KEY_PURL = 2, KEY_PATH = 4, KEY_REASON = 8, KEY_OWNER = 16, KEY_EXPIRES = 32, KEY_PERMANENT = 64 };
static const struct {
    const char *name;
    unsigned bit;
} keys[] = {{"id", KEY_ID}, {"purl", KEY_PURL}, {"path", KEY_PATH}, {"reason", KEY_REASON}, {"owner", KEY_OWNER}, {"expires", KEY_EXPIRES}, {"permanent", KEY_PERMANENT}};

struct reader {
    struct hf_ignore *g;
    const char *name;
    yaml_parser_t y;
};

static int at(const struct reader *r, size_t line, struct hf_err *err, const char *what)
{
    return hf_fail(err, HF_E_USAGE, "%s:%zu: %s", r->name, line, what);
}

/* Next event; aliases and tags have no meaning here, and anchors are how small files become large. */
static int next(struct reader *r, yaml_event_t *e, struct hf_err *err)
{
    if (!yaml_parser_parse(&r->y, e))
        return hf_fail(err, HF_E_USAGE, "%s:%zu: not YAML: %s", r->name, r->y.problem_mark.line + 1, r->y.problem ? r->y.problem : "cannot be read");
    if (e->type == YAML_ALIAS_EVENT) {
        size_t line = e->start_mark.line + 1;
        yaml_event_delete(e);
        return at(r, line, err, "aliases (*name) have no place here");
    }
    return 0;
}

/* Days since the epoch of a date of the Gregorian calendar (the usual civil-date formula). */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = y / 400, yoe = y - era * 400, doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static bool parse_date(struct hf_span s, uint64_t *ret_ends)
{
    static const unsigned char month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t y, m, d;
    if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || hf_parse_u64(hf_span_sub(s, 0, 4), 10, 1970, 9999, &y) < 0 ||
            hf_parse_u64(hf_span_sub(s, 5, 2), 10, 1, 12, &m) < 0 || hf_parse_u64(hf_span_sub(s, 8, 2), 10, 1, 31, &d) < 0)
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (d > (uint64_t)month_days[m - 1] + (m == 2 && leap))
        return false;
    *ret_ends = (uint64_t)(days_of((int64_t)y, (int64_t)m, (int64_t)d) + 1) * 86400; /* through the whole day, UTC */
    return true;
}

static int set_value(struct reader *r, struct rule *u, unsigned bit, struct hf_span v, bool quoted, size_t line, struct hf_err *err)
{
    struct hf_ignore *g = r->g;
    struct hf_span copy;
    struct hf_err why = HF_ERR_INIT;
    v = hf_span_trim(v);
    if (!v.n)
        return at(r, line, err, "empty value");
    if (v.n > MAX_TEXT)
        return at(r, line, err, "value longer than 4096 bytes");
    if (hf_arena_dup(&g->arena, v, &copy) < 0)
        return hf_fail(err, HF_E_LIMIT, "%s: too large", r->name);
    switch (bit) {
    case KEY_ID:
        if (hf_span_find(copy, '*') != SIZE_MAX)
            return at(r, line, err, "an id is matched as a whole; '*' is for purl and path");
        u->id = copy;
        return 0;
    case KEY_PURL:
        if (hf_purl_parse(copy, &g->arena, &u->p, &why) < 0)
            return hf_fail(err, HF_E_USAGE, "%s:%zu: %s", r->name, line, why.msg);
        u->purl = copy;
        u->has_package = true;
        return 0;
    case KEY_PATH:
        while (copy.n && copy.p[0] == '/')
            copy = hf_span_from(copy, 1);
        u->path = copy;
        return copy.n ? 0 : at(r, line, err, "a path cannot be \"/\"; use \"**\" for everything");
    case KEY_REASON:
        u->reason = copy;
        return 0;
    case KEY_OWNER:
        u->owner = copy;
        return 0;
    case KEY_EXPIRES:
        if (!parse_date(copy, &u->ends))
            return at(r, line, err, "expires is not a date like 2027-01-31");
        snprintf(u->date, sizeof u->date, "%.10s", copy.p);
        return 0;
    default:
        if (quoted || (!hf_span_eqz(copy, "true") && !hf_span_eqz(copy, "false")))
            return at(r, line, err, "permanent is neither true nor false");
        u->permanent = hf_span_eqz(copy, "true");
        return 0;
    }
}

/* A path of stars and slashes alone is where everything is. */
static bool says_nothing(struct hf_span path)
{
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] != '*' && path.p[i] != '/')
            return false;
    return hf_span_search(path, HF_S("**")) != SIZE_MAX;
}

static int check_rule(const struct reader *r, const struct rule *u, unsigned seen, struct hf_err *err)
{
    if (!(seen & (KEY_ID | KEY_PURL)) && (!(seen & KEY_PATH) || says_nothing(u->path)))
        return at(r, u->line, err, "entry without id, purl or path would ignore everything");
    if (!u->reason.n)
        return at(r, u->line, err, "entry without reason");
    if (!(seen & KEY_EXPIRES) && !u->permanent)
        return at(r, u->line, err, "entry without expires: give a date, or permanent: true");
    if ((seen & KEY_EXPIRES) && u->permanent)
        return at(r, u->line, err, "entry has both expires and permanent: true");
    return 0;
}

static int add_rule(struct reader *r, const struct rule *u, struct hf_err *err)
{
    struct hf_ignore *g = r->g;
    struct rule *slot = hf_grow((void **)&g->rules, &g->n, &g->cap, sizeof *slot, MAX_RULES);
    if (!slot)
        return hf_fail(err, HF_E_LIMIT, "%s:%u: more than %d entries", r->name, u->line, MAX_RULES);
    *slot = *u;
    uint32_t index = (uint32_t)(g->n - 1);
    if (!u->id.n) {
        uint32_t *p = hf_grow((void **)&g->patterns, &g->n_patterns, &g->cap_patterns, sizeof *p, MAX_PATTERNS);
        if (!p)
            return hf_fail(err, HF_E_LIMIT, "%s:%u: more than %d entries without id", r->name, u->line, MAX_PATTERNS);
        *p = index;
        return 0;
    }
    char *key = hf_arena_alloc(&g->arena, u->id.n);
    if (!key)
        return hf_fail(err, HF_E_LIMIT, "%s: too large", r->name);
    for (size_t i = 0; i < u->id.n; i++)
        key[i] = (char)(u->id.p[i] >= 'A' && u->id.p[i] <= 'Z' ? u->id.p[i] + 32 : u->id.p[i]);
    uint64_t *head = hf_map_at(&g->by_id, hf_span(key, u->id.n), NULL);
    if (!head)
        return hf_fail(err, HF_E_LIMIT, "%s: too large", r->name);
    slot->next = (uint32_t)*head; /* the later entry first: order among entries of one id does not matter */
    *head = index + 1;
    return 0;
}

static int unknown_key(const struct reader *r, struct hf_span key, size_t line, struct hf_err *err)
{
    const char *names[HF_ARRAY_LEN(keys) + 1] = {NULL};
    for (size_t i = 0; i < HF_ARRAY_LEN(keys); i++)
        names[i] = keys[i].name;
    hf_autofree char *z = hf_span_dupz(hf_span_sub(key, 0, 60));
    const char *near = z ? hf_nearest(z, names) : NULL;
    return near ? hf_fail(err, HF_E_USAGE, "%s:%zu: unknown key \"%s\"; did you mean %s?", r->name, line, z, near)
                : hf_fail(err, HF_E_USAGE, "%s:%zu: unknown key \"%s\"; there are id, purl, path, reason, owner, expires, permanent", r->name, line, z ? z : "");
}

static struct hf_span scalar(const yaml_event_t *e)
{
    return hf_span((const char *)e->data.scalar.value, e->data.scalar.length);
}

/* One mapping, its start already read. */
static int read_rule(struct reader *r, size_t line, struct hf_err *err)
{
    struct rule u = {.line = (unsigned)HF_MIN(line, (size_t)UINT32_MAX)};
    unsigned seen = 0, bit = 0;
    for (;;) {
        yaml_event_t e;
        int rc = next(r, &e, err);
        if (rc < 0)
            return rc;
        size_t here = e.start_mark.line + 1;
        if (e.type == YAML_MAPPING_END_EVENT && !bit) {
            yaml_event_delete(&e);
            break;
        }
        if (e.type != YAML_SCALAR_EVENT) {
            rc = at(r, here, err, "every value is plain text, not a list or mapping");
        } else if (bit) {
            rc = set_value(r, &u, bit, scalar(&e), e.data.scalar.style != YAML_PLAIN_SCALAR_STYLE, here, err);
            bit = 0;
        } else {
            for (size_t i = 0; i < HF_ARRAY_LEN(keys); i++)
                if (hf_span_eqz(scalar(&e), keys[i].name))
                    bit = keys[i].bit;
            if (!bit)
                rc = unknown_key(r, scalar(&e), here, err);
            else if (seen & bit)
                rc = at(r, here, err, "key given twice");
            seen |= bit;
        }
        yaml_event_delete(&e);
        if (rc < 0)
            return rc;
    }
    int rc = check_rule(r, &u, seen, err);
    return rc < 0 ? rc : add_rule(r, &u, err);
}

static int read_list(struct reader *r, struct hf_err *err)
{
    enum { START, LIST, AFTER } state = START;
    for (;;) {
        yaml_event_t e;
        int rc = next(r, &e, err);
        if (rc < 0)
            return rc;
        yaml_event_type_t type = e.type;
        size_t line = e.start_mark.line + 1;
        bool empty = type == YAML_SCALAR_EVENT && e.data.scalar.length == 0;
        yaml_event_delete(&e);
        if (type == YAML_STREAM_END_EVENT)
            return 0;
        if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_END_EVENT)
            continue;
        if (type == YAML_DOCUMENT_START_EVENT && state == START)
            continue;
        if (type == YAML_SEQUENCE_START_EVENT && state == START)
            state = LIST;
        else if (type == YAML_SEQUENCE_END_EVENT && state == LIST)
            state = AFTER;
        else if (type == YAML_MAPPING_START_EVENT && state == LIST) {
            if ((rc = read_rule(r, line, err)) < 0)
                return rc;
        } else if (empty && state == START)
            state = AFTER; /* nothing but comments */
        else
            return at(r, line, err, state == AFTER ? "more than one document" : "not a list of entries (\"- id: CVE-...\")");
    }
}

int hf_ignore_parse(struct hf_ignore **ret, struct hf_span yaml, const char *name, struct hf_err *err)
{
    hf_cleanup(hf_ignore_freep) struct hf_ignore *g = calloc(1, sizeof *g);
    struct reader r = {.g = g, .name = name};
    if (!g)
        return hf_fail(err, HF_E_LIMIT, "%s: no memory", name);
    hf_arena_init(&g->arena, 16 * (size_t)MAX_FILE);
    if (yaml.n > MAX_FILE)
        return hf_fail(err, HF_E_LIMIT, "%s: over %d MiB", name, MAX_FILE >> 20);
    if (hf_arena_dup(&g->arena, hf_span_z(name), &g->name) < 0 || !yaml_parser_initialize(&r.y))
        return hf_fail(err, HF_E_LIMIT, "%s: no memory", name);
    yaml_parser_set_encoding(&r.y, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.y, (const unsigned char *)(yaml.p ? yaml.p : ""), yaml.n);
    int rc = read_list(&r, err);
    yaml_parser_delete(&r.y);
    if (rc >= 0)
        *ret = hf_take(g);
    return rc;
}

int hf_ignore_load(struct hf_ignore **ret, const char *file, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(MAX_FILE);
    int rc = hf_read_file(file, &text, err);
    return rc < 0 ? rc : hf_ignore_parse(ret, hf_buf_span(&text), file, err);
}

void hf_ignore_free(struct hf_ignore *g)
{
    if (!g)
        return;
    hf_map_done(&g->by_id);
    hf_arena_done(&g->arena);
    free(g->patterns);
    free(g->rules);
    free(g);
}

size_t hf_ignore_count(const struct hf_ignore *g)
{
    return g ? g->n : 0;
}

/* --- applying --- */

static bool same_package(const struct hf_package *want, const struct hf_package *p)
{
    struct hf_span version = p->version;
    if (want->type != p->type || !hf_glob(want->name, p->name) || (want->namespace.n && !hf_glob(want->namespace, p->namespace)) ||
            (want->arch.n && !hf_span_eq(want->arch, p->arch)))
        return false;
    if (!want->version.n || hf_glob(want->version, version))
        return true;
    /* A purl has an rpm's epoch apart from its version: one that does not speak of it means any. */
    size_t colon = hf_span_find(version, ':');
    return p->type == HF_PKG_RPM && colon != SIZE_MAX && hf_span_find(want->version, ':') == SIZE_MAX && hf_glob(want->version, hf_span_from(version, colon + 1));
}

static bool applies(const struct rule *u, const struct hf_scan_package *p)
{
    if (u->has_package && !same_package(&u->p, &p->p))
        return false;
    /* Every place where it lies must be covered: an accepted copy says nothing of another. */
    for (size_t i = 0; i < p->n_locations && u->path.n; i++) {
        struct hf_span path = p->locations[i].path;
        while (path.n && path.p[0] == '/')
            path = hf_span_from(path, 1);
        if (!hf_glob_path(u->path, path))
            return false;
    }
    return !u->path.n || p->n_locations;
}

struct run {
    const struct hf_ignore *g;
    struct hf_scan *s;
    uint64_t now;
    unsigned char *warned; /* one an entry */
    size_t warnings, unsaid;
};

static int warn(struct run *r, size_t index)
{
    const struct rule *u = &r->g->rules[index];
    bool over = !u->permanent && u->ends <= r->now, soon = !u->permanent && !over && u->ends - r->now <= SOON_S;
    if (r->warned[index] || (!over && !soon))
        return 0;
    r->warned[index] = 1;
    if (++r->warnings > MAX_WARNINGS) {
        r->unsaid++;
        return 0;
    }
    struct hf_span what = u->id.n ? u->id : u->purl.n ? u->purl : u->path, name = r->g->name;
    hf_autobuf who = HF_BUF_INIT(256);
    if (u->owner.n) {
        hf_buf_addz(&who, " (owner: ");
        hf_buf_adds(&who, hf_span_sub(u->owner, 0, 120));
        hf_buf_addc(&who, ')');
    }
    what = hf_span_sub(what, 0, 160);
    name = hf_span_sub(name, 0, 160);
    return over ? hf_scan_warn(r->s, HF_SPAN_FMT ":%u: the exception for " HF_SPAN_FMT " expired on %s%s: it counts again", HF_SPAN_ARG(name), u->line, HF_SPAN_ARG(what), u->date,
                          hf_buf_z(&who))
                : hf_scan_warn(r->s, HF_SPAN_FMT ":%u: the exception for " HF_SPAN_FMT " ends on %s%s", HF_SPAN_ARG(name), u->line, HF_SPAN_ARG(what), u->date, hf_buf_z(&who));
}

/* Holds one entry against one vulnerability; the first live one that applies gives the reason. */
static int try_rule(struct run *r, size_t index, struct hf_vuln *v)
{
    const struct rule *u = &r->g->rules[index];
    if (!applies(u, &r->s->packages[v->package]))
        return 0;
    int rc = warn(r, index);
    if (rc < 0 || (!u->permanent && u->ends <= r->now) || v->ignored_by.n)
        return rc;
    return hf_arena_dup(&r->s->arena, u->reason, &v->ignored_by);
}

static int try_id(struct run *r, struct hf_span id, struct hf_vuln *v)
{
    char low[256];
    uint64_t head;
    if (id.n > sizeof low)
        return 0;
    for (size_t i = 0; i < id.n; i++)
        low[i] = (char)(id.p[i] >= 'A' && id.p[i] <= 'Z' ? id.p[i] + 32 : id.p[i]);
    if (!hf_map_get(&r->g->by_id, hf_span(low, id.n), &head))
        return 0;
    for (size_t i = (size_t)head; i; i = r->g->rules[i - 1].next) {
        int rc = try_rule(r, i - 1, v);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int hf_ignore_apply(const struct hf_ignore *g, struct hf_scan *s, uint64_t now_unix)
{
    struct run r = {g, s, now_unix, NULL, 0, 0};
    int rc = 0, ignored = 0;
    if (!g->n)
        return 0;
    hf_autofree unsigned char *warned = calloc(g->n, 1);
    if (!(r.warned = warned))
        return HF_E_LIMIT;
    for (size_t i = 0; i < s->n_vulns && rc >= 0; i++) {
        struct hf_vuln *v = &s->vulns[i];
        if (v->package >= s->n_packages)
            continue;
        rc = try_id(&r, v->id, v);
        for (size_t k = 0; k < v->n_aliases && rc >= 0; k++)
            rc = try_id(&r, v->aliases[k], v);
        for (size_t k = 0; k < g->n_patterns && rc >= 0; k++)
            rc = try_rule(&r, g->patterns[k], v);
        ignored += v->ignored_by.n != 0;
    }
    if (rc >= 0 && r.unsaid)
        rc = hf_scan_warn(s, "%zu more exceptions of the ignore file expired or end within seven days", r.unsaid);
    return rc < 0 ? rc : ignored;
}
