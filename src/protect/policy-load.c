// SPDX-License-Identifier: Apache-2.0
/* Policy files, read within bounds. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/hash.h"
#include "base/yaml-file.h"
#include "protect/policy-internal.h"

#define FILE_MAX (1u << 20)
#define NODES_MAX 100000
#define MEMORY_MAX (16u << 20)
#define POLICIES_MAX 1024u
#define TESTS_MAX 4096u
#define LIST_MAX 256u
#define CHECK_ARG_MAX 1024u
#define COMPARE_MAX 200000000u /* steps of comparing patterns of equally specific policies: half a second */

struct hf_prot_set {
    struct hf_arena arena;
    struct hf_prot_policy *v;
    struct hf_prot_test *tests;
    size_t n, cap, n_tests, cap_tests;
};
struct loader {
    struct hf_prot_set *s;
    struct hf_yaml y;
    struct hf_span file;
    struct hf_prot_policy *p; /* what is being read: one of the two */
    struct hf_prot_test *t;
};

/* A key of a mapping and what reads its value. */
struct key {
    const char *name;
    int (*read)(struct loader *l, const char *name, const yaml_node_t *value, unsigned arg);
    unsigned arg;
};

/* ---- values ---- */

static int keep(struct loader *l, const char *name, const yaml_node_t *n, struct hf_span *ret)
{
    struct hf_span s = hf_yaml_scalar(n);
    if (!n || n->type != YAML_SCALAR_NODE || !s.n)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a text", name);
    if (memchr(s.p, 0, s.n))
        return hf_yaml_wrong(&l->y, n, "\"%s\" has a byte 0", name);
    return hf_arena_dup(&l->s->arena, s, ret) < 0 ? hf_fail(l->y.err, HF_E_LIMIT, "the policies take more memory than they may") : 0;
}

static int add_span(struct loader *l, const char *name, const yaml_node_t *n, struct hf_prot_spans *list)
{
    struct hf_span s;
    int rc = keep(l, name, n, &s);
    if (rc < 0)
        return rc;
    if (s.n > PATTERN_MAX)
        return hf_yaml_wrong(&l->y, n, "\"%s\" has an entry of more than %u bytes", name, PATTERN_MAX);
    struct hf_span *slot = hf_grow((void **)&list->v, &list->n, &list->cap, sizeof *list->v, 2 * LIST_MAX);
    if (!slot)
        return hf_yaml_wrong(&l->y, n, "\"%s\" has more than %u entries", name, LIST_MAX);
    *slot = s;
    return 0;
}

/* Every item of a list. */
static int each(struct loader *l, const char *name, const yaml_node_t *n, int (*fn)(struct loader *l, const char *name, const yaml_node_t *item, unsigned arg), unsigned arg)
{
    int rc = 0;
    if (!n || n->type != YAML_SEQUENCE_NODE)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a list", name);
    if (n->data.sequence.items.top - n->data.sequence.items.start > (ptrdiff_t)LIST_MAX)
        return hf_yaml_wrong(&l->y, n, "\"%s\" has more than %u entries", name, LIST_MAX);
    for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top && rc == 0; i++)
        rc = fn(l, name, hf_yaml_at(&l->y, *i), arg);
    return rc;
}

static int mapping(struct loader *l, const char *what, const yaml_node_t *n, const struct key *keys, size_t count)
{
    const char *names[HF_YAML_KEYS_MAX];
    struct hf_yaml_walk w = {.at = 0};
    const yaml_node_t *value;
    size_t which;
    int rc = 1;
    for (size_t i = 0; i < count && i < HF_YAML_KEYS_MAX; i++)
        names[i] = keys[i].name;
    while (rc >= 0 && (rc = hf_yaml_next(&l->y, &w, what, n, names, count, &which, &value)) == 1)
        rc = keys[which].read(l, keys[which].name, value, keys[which].arg);
    return rc;
}

/* ---- whom for ---- */

static int one_image(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    (void)arg;
    return add_span(l, name, n, &l->p->images);
}

static int read_images(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    return n && n->type == YAML_SEQUENCE_NODE ? each(l, name, n, one_image, arg) : one_image(l, name, n, arg);
}

static int read_namespace(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    (void)arg;
    int rc = keep(l, name, n, &l->p->namespace);
    return rc == 0 && l->p->namespace.n > PATTERN_MAX ? hf_yaml_wrong(&l->y, n, "\"%s\" has more than %u bytes", name, PATTERN_MAX) : rc;
}

static int read_labels_to(struct loader *l, const char *name, const yaml_node_t *n, struct hf_prot_spans *to)
{
    int rc = 0;
    if (!n || n->type != YAML_MAPPING_NODE)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a mapping of names to values", name);
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top && rc == 0; p++) {
        rc = add_span(l, name, hf_yaml_at(&l->y, p->key), to);
        rc = rc < 0 ? rc : add_span(l, name, hf_yaml_at(&l->y, p->value), to);
    }
    return rc;
}

static int read_labels(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    (void)arg;
    return read_labels_to(l, name, n, &l->p->labels);
}

static int read_match(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    static const struct key keys[] = {{"image", read_images, 0}, {"namespace", read_namespace, 0}, {"labels", read_labels, 0}};
    (void)arg;
    int rc = mapping(l, name, n, keys, HF_ARRAY_LEN(keys));
    if (rc == 0 && !l->p->images.n && !l->p->namespace.n && !l->p->labels.n)
        return hf_yaml_wrong(&l->y, n, "\"match\" is empty; image: \"*\" is every container");
    return rc;
}

/* ---- how ---- */

static int read_text(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    return keep(l, name, n, arg ? &l->p->description : &l->p->name);
}

static int read_mode(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    unsigned mode;
    (void)arg;
    int rc = hf_yaml_choice(&l->y, name, n, hf_prot_modes, HF_MODES, &mode);
    if (rc == 0)
        l->p->mode = (enum hf_prot_mode)mode;
    return rc;
}

static int read_fail(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    static const char *const names[] = {"open", "closed"};
    unsigned closed;
    (void)arg;
    int rc = hf_yaml_choice(&l->y, name, n, names, 2, &closed);
    if (rc == 0)
        l->p->fail_closed = closed;
    return rc;
}

static int read_blocks(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    uint64_t v;
    (void)arg;
    if (hf_parse_u64(hf_yaml_scalar(n), 10, 0, 1000000, &v) < 0)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a number of at most 1000000 (0: never)", name);
    l->p->disarm_blocks = (uint32_t)v;
    return 0;
}

static int read_unhealthy(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    (void)arg;
    return hf_yaml_flag(&l->y, name, n, &l->p->disarm_unhealthy);
}

static int read_disarm(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    static const struct key keys[] = {{"blocks_per_minute", read_blocks, 0}, {"unhealthy", read_unhealthy, 0}};
    (void)arg;
    return mapping(l, name, n, keys, HF_ARRAY_LEN(keys));
}

/* "127.0.0.1:8080", "[::1]:80"; without a port: 80. */
static int place_of(struct hf_span s, bool needs_port, struct hf_prot_health *h)
{
    struct hf_prot_dest d;
    size_t end = hf_span_starts(s, HF_S("[")) ? hf_span_find(s, ']') : SIZE_MAX, colon = end == SIZE_MAX ? hf_span_find(s, ':') : end + 1 < s.n && s.p[end + 1] == ':' ? end + 1 : SIZE_MAX;
    struct hf_span host = end != SIZE_MAX ? hf_span_sub(s, 1, end - 1) : hf_span_sub(s, 0, HF_MIN(colon, s.n));
    uint64_t port = 80;
    if ((colon == SIZE_MAX && (needs_port || (end != SIZE_MAX && end + 1 != s.n))) || (colon != SIZE_MAX && hf_parse_u64(hf_span_from(s, colon + 1), 10, 1, 65535, &port) < 0))
        return HF_E_FORMAT;
    host = hf_span_eqz(host, "localhost") ? HF_S("127.0.0.1") : host;
    if (hf_span_find(host, '/') != SIZE_MAX || hf_prot_dest_parse(host, false, &d) < 0)
        return HF_E_FORMAT;
    memcpy(h->addr, d.addr, sizeof h->addr);
    h->port = (uint16_t)port;
    return 0;
}

static int read_http(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    struct hf_span url, rest;
    (void)arg;
    int rc = keep(l, name, n, &url);
    if (rc < 0)
        return rc;
    rest = hf_span_from(url, HF_MIN(url.n, (size_t)7));
    size_t slash = hf_span_find(rest, '/');
    bool fine = hf_span_starts(url, HF_S("http://")) && url.n <= PATTERN_MAX && place_of(hf_span_sub(rest, 0, HF_MIN(slash, rest.n)), false, &l->p->health) == 0 && !l->p->health.on;
    l->p->health.path = slash == SIZE_MAX ? HF_S("/") : hf_span_from(rest, slash);
    for (size_t i = 0; i < l->p->health.path.n; i++) /* it becomes a line of a request */
        fine = fine && l->p->health.path.p[i] > ' ' && (unsigned char)l->p->health.path.p[i] < 127;
    l->p->health.on = true;
    return fine ? 0 : hf_yaml_wrong(&l->y, n, "\"%s\" must be http://ADDRESS[:PORT]/PATH with an address of the container (127.0.0.1), and there is one check", name);
}

static int read_tcp(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    (void)arg;
    if (l->p->health.on || place_of(hf_yaml_scalar(n), true, &l->p->health) < 0)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be ADDRESS:PORT, as 127.0.0.1:5432, and there is one check", name);
    l->p->health.on = true;
    return 0;
}

static int check_arg(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    struct hf_prot_spans *list = &l->p->health.exec;
    struct hf_span s;
    (void)arg;
    int rc = keep(l, name, n, &s);
    if (rc < 0)
        return rc;
    if (s.n > CHECK_ARG_MAX)
        return hf_yaml_wrong(&l->y, n, "\"%s\" has an entry of more than %u bytes", name, CHECK_ARG_MAX);
    struct hf_span *slot = hf_grow((void **)&list->v, &list->n, &list->cap, sizeof *list->v, HF_PROT_ARGS);
    if (!slot)
        return hf_yaml_wrong(&l->y, n, "\"%s\" has more than %u entries", name, HF_PROT_ARGS);
    *slot = s;
    return 0;
}

static int read_exec(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    (void)arg;
    int rc = l->p->health.on ? hf_yaml_wrong(&l->y, n, "\"%s\": there is one check", name) : each(l, name, n, check_arg, 0);
    l->p->health.on = true;
    if (rc < 0)
        return rc;
    const struct hf_prot_spans *e = &l->p->health.exec;
    return e->n && hf_span_starts(e->v[0], HF_S("/")) ? 0 : hf_yaml_wrong(&l->y, n, "\"%s\" must begin with the path of a program from the container's root, as /bin/check", name);
}

/* "1000", "1000:1000": numbers, since the container's own list of names is not asked. */
static int read_check_user(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    struct hf_span s = hf_yaml_scalar(n), user = s;
    uint64_t uid, gid;
    (void)arg;
    size_t colon = hf_span_find(s, ':');
    if (colon != SIZE_MAX)
        user = hf_span_sub(s, 0, colon);
    if (hf_parse_u64(user, 10, 0, UINT32_MAX - 1, &uid) < 0 || hf_parse_u64(colon == SIZE_MAX ? user : hf_span_from(s, colon + 1), 10, 0, UINT32_MAX - 1, &gid) < 0)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a number, or USER:GROUP in numbers", name);
    l->p->health.uid = (uint32_t)uid;
    l->p->health.gid = (uint32_t)gid;
    l->p->health.has_user = true;
    return 0;
}

static int read_timeout(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    struct hf_span s = hf_yaml_scalar(n);
    uint64_t v = 0;
    (void)arg;
    if (!hf_span_ends(s, HF_S("s")) || hf_parse_u64(hf_span_sub(s, 0, s.n - 1), 10, 1, 60, &v) < 0)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a time from 1s to 60s", name);
    l->p->health.timeout_s = (uint32_t)v;
    return 0;
}

static int read_every(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    struct hf_span s = hf_yaml_scalar(n);
    uint64_t v = 0, unit = hf_span_ends(s, HF_S("m")) ? 60 : hf_span_ends(s, HF_S("s")) ? 1 : 0;
    (void)arg;
    if (!unit || hf_parse_u64(hf_span_sub(s, 0, s.n - 1), 10, 1, 3600, &v) < 0 || v * unit > 3600)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a time from 1s to 60m", name);
    l->p->health.every_s = (uint32_t)(v * unit);
    return 0;
}

static int read_failures(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    uint64_t v;
    (void)arg;
    if (hf_parse_u64(hf_yaml_scalar(n), 10, 1, 100, &v) < 0)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a number from 1 to 100", name);
    l->p->health.failures = (uint32_t)v;
    return 0;
}

static int read_health(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    static const struct key keys[] = {{"http", read_http, 0}, {"tcp", read_tcp, 0}, {"exec", read_exec, 0}, {"user", read_check_user, 0}, {"every", read_every, 0}, {"failures", read_failures, 0}, {"timeout", read_timeout, 0}};
    (void)arg;
    l->p->health.every_s = 5;
    l->p->health.failures = l->p->health.timeout_s = 3;
    int rc = mapping(l, name, n, keys, HF_ARRAY_LEN(keys));
    if (rc < 0)
        return rc;
    if (l->p->health.has_user && !l->p->health.exec.n)
        return hf_yaml_wrong(&l->y, n, "\"%s\": \"user\" is of a program (\"exec\")", name);
    return l->p->health.on ? 0 : hf_yaml_wrong(&l->y, n, "\"%s\" needs \"http\", \"tcp\" or \"exec\"", name);
}

static int clock_of(struct hf_span s, uint32_t *ret)
{
    uint64_t h, m;
    if (s.n != 5 || s.p[2] != ':' || hf_parse_u64(hf_span_sub(s, 0, 2), 10, 0, 24, &h) < 0 || hf_parse_u64(hf_span_sub(s, 3, 2), 10, 0, 59, &m) < 0 || h * 60 + m > 1440)
        return HF_E_FORMAT;
    *ret = (uint32_t)(h * 60 + m);
    return 0;
}

/* "Sat 02:00-04:00", "daily 22:00-02:00" (into the next day); UTC. */
static int one_window(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "daily"};
    struct hf_span s = hf_yaml_scalar(n), day, times = s;
    uint32_t from, to;
    unsigned d = 0;
    (void)arg;
    bool right = hf_span_cut(&times, ' ', &day);
    while (d < HF_ARRAY_LEN(days) && !hf_span_eqz(day, days[d]))
        d++;
    if (!right || d == HF_ARRAY_LEN(days) || times.n != 11 || times.p[5] != '-' || clock_of(hf_span_sub(times, 0, 5), &from) < 0 || clock_of(hf_span_from(times, 6), &to) < 0 || from == to)
        return hf_yaml_wrong(&l->y, n, "\"%s\": a window is written as \"Sat 02:00-04:00\" or \"daily 22:00-02:00\" (UTC)", name);
    to += to < from ? 1440 : 0;
    for (unsigned i = d == 7 ? 0 : d; i <= (d == 7 ? 6 : d); i++) {
        struct hf_prot_window *w = hf_grow((void **)&l->p->maintenance.v, &l->p->maintenance.n, &l->p->maintenance.cap, sizeof *w, 7 * LIST_MAX);
        if (!w)
            return hf_yaml_wrong(&l->y, n, "\"%s\" has too many entries", name);
        *w = (struct hf_prot_window){i * 1440 + from, i * 1440 + to};
    }
    return 0;
}

static int read_windows(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    return each(l, name, n, one_window, arg);
}

static int one_user(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    (void)arg;
    return add_span(l, name, n, &l->p->exec_by);
}

static int read_users(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    return each(l, name, n, one_user, arg);
}

/* ---- what ---- */

static int read_sha256(struct loader *l, const char *name, const yaml_node_t *n, struct hf_span hex)
{
    uint8_t d[32];
    for (size_t i = 0; i < 32; i++) {
        uint64_t byte;
        if (hex.n != 64 || hf_parse_u64(hf_span_sub(hex, 2 * i, 2), 16, 0, 255, &byte) < 0)
            return hf_yaml_wrong(&l->y, n, "\"%s\": sha256: must be followed by 64 hexadecimal digits", name);
        d[i] = (uint8_t)byte;
    }
    uint8_t(*slot)[32] = hf_grow((void **)&l->p->digests.v, &l->p->digests.n, &l->p->digests.cap, 32, 4 * LIST_MAX);
    if (!slot)
        return hf_yaml_wrong(&l->y, n, "\"%s\" has too many digests", name);
    memcpy(*slot, d, 32);
    return 0;
}

static int one_path(struct loader *l, const char *name, const yaml_node_t *n, unsigned clause)
{
    struct hf_span s = hf_yaml_scalar(n);
    bool programs = clause >= HF_CLAUSE_SEALED && clause <= HF_CLAUSE_WRITTEN;
    if (programs && hf_span_starts(s, HF_S("sha256:")))
        return read_sha256(l, name, n, hf_span_from(s, 7));
    if (!s.n || s.p[0] != '/')
        return hf_yaml_wrong(&l->y, n, "\"%s\": a path begins with /%s", name, programs ? "; a digest with sha256:" : "");
    return add_span(l, name, n, &l->p->allow[clause]);
}

static int read_allow(struct loader *l, const char *name, const yaml_node_t *n, unsigned clause)
{
    return each(l, name, n, one_path, clause);
}

static int read_moved(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    (void)arg;
    return hf_yaml_flag(&l->y, name, n, &l->p->moved);
}

/* true, or what is excepted. */
static int read_programs(struct loader *l, const char *name, const yaml_node_t *n, unsigned clause)
{
    const struct key keys[] = {{"allow", read_allow, clause}, {"moved", read_moved, 0}};
    if (n && n->type == YAML_MAPPING_NODE) {
        l->p->clauses |= 1u << clause;
        return mapping(l, name, n, keys, clause == HF_CLAUSE_SEALED ? 2 : 1);
    }
    bool on;
    if (n && n->type != YAML_SCALAR_NODE)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be true, false or a mapping", name);
    int rc = hf_yaml_flag(&l->y, name, n, &on);
    if (rc == 0 && on)
        l->p->clauses |= 1u << clause;
    return rc;
}

static int one_dest(struct loader *l, const char *name, const yaml_node_t *n, unsigned clause)
{
    struct hf_prot_dests *to = clause == HF_CLAUSE_LISTEN ? &l->p->listen : &l->p->destinations;
    struct hf_prot_dest d;
    if (hf_prot_dest_parse(hf_yaml_scalar(n), clause == HF_CLAUSE_LISTEN, &d) < 0)
        return hf_yaml_wrong(&l->y, n, clause == HF_CLAUSE_LISTEN ? "\"%s\": a port is written as 8080, 8080/tcp or 9000-9010/udp"
                                                                  : "\"%s\": a destination is an address or a network (the bits behind its length 0), not a name, as 10.0.0.0/8 or \"10.1.2.3 443/tcp\"", name);
    struct hf_prot_dest *slot = hf_grow((void **)&to->v, &to->n, &to->cap, sizeof *slot, LIST_MAX);
    if (!slot)
        return hf_yaml_wrong(&l->y, n, "\"%s\" has more than %u entries", name, LIST_MAX);
    *slot = d;
    return 0;
}

static int read_dests(struct loader *l, const char *name, const yaml_node_t *n, unsigned clause)
{
    l->p->clauses |= 1u << clause;
    return each(l, name, n, one_dest, clause);
}

static int read_paths(struct loader *l, const char *name, const yaml_node_t *n, unsigned clause)
{
    l->p->clauses |= 1u << clause;
    return each(l, name, n, one_path, clause);
}

static int one_use(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    unsigned use;
    (void)arg;
    int rc = hf_yaml_choice(&l->y, name, n, hf_prot_uses, HF_USES, &use);
    if (rc == 0)
        l->p->uses |= 1u << use;
    return rc;
}

static int read_uses(struct loader *l, const char *name, const yaml_node_t *n, unsigned clause)
{
    l->p->clauses |= 1u << clause;
    return each(l, name, n, one_use, 0);
}

/* A check that the policy itself would refuse by its name never runs. */
static int may_check(struct loader *l, const yaml_node_t *n)
{
    const struct hf_prot_spans *e = &l->p->health.exec;
    if (!e->n)
        return 0;
    struct hf_prot_act a = {.kind = HF_ACT_EXEC, .path = e->v[0], .verdict = HF_PROT_SEALED, .argv = {e->v[0], e->n > 1 ? e->v[1] : hf_span(NULL, 0)}};
    enum hf_prot_clause c = hf_prot_judge(l->p, &a);
    return c == HF_CLAUSE_NONE ? 0 : hf_yaml_wrong(&l->y, n, "policy \"%.*s\": its own check %.*s is refused by %s (its \"allow\" would have to list it)", HF_SPAN_ARG(l->p->name), HF_SPAN_ARG(e->v[0]), hf_prot_clauses[c].name);
}

static int policy(struct loader *l, const yaml_node_t *n)
{
    static const struct key keys[] = {
            {"policy", read_text, 0}, {"description", read_text, 1}, {"match", read_match, 0}, {"mode", read_mode, 0}, {"fail", read_fail, 0}, {"disarm", read_disarm, 0}, {"health", read_health, 0},
            {"maintenance", read_windows, 0}, {"exec_by", read_users, 0}, {"only_sealed", read_programs, HF_CLAUSE_SEALED}, {"no_shells", read_programs, HF_CLAUSE_SHELLS},
            {"no_package_managers", read_programs, HF_CLAUSE_PACKAGES}, {"no_written_then_run", read_programs, HF_CLAUSE_WRITTEN}, {"destinations", read_dests, HF_CLAUSE_DESTINATIONS},
            {"listen", read_dests, HF_CLAUSE_LISTEN}, {"read_only", read_paths, HF_CLAUSE_READ_ONLY}, {"devices", read_paths, HF_CLAUSE_DEVICES}, {"kernel_use", read_uses, HF_CLAUSE_KERNEL},
    };
    struct hf_prot_set *s = l->s;
    l->p = hf_grow((void **)&s->v, &s->n, &s->cap, sizeof *s->v, POLICIES_MAX);
    if (!l->p)
        return hf_fail(l->y.err, HF_E_LIMIT, "more than %u policies", POLICIES_MAX);
    l->p->file = l->file;
    l->p->line = (unsigned)(n->start_mark.line + 1);
    l->p->disarm_blocks = 5;
    int rc = mapping(l, "a policy", n, keys, HF_ARRAY_LEN(keys));
    if (rc < 0)
        return rc;
    if (!l->p->images.n && !l->p->namespace.n && !l->p->labels.n)
        return hf_yaml_wrong(&l->y, n, "policy \"%.*s\" has no \"match\"; image: \"*\" is every container", HF_SPAN_ARG(l->p->name));
    if (!l->p->clauses)
        return hf_yaml_wrong(&l->y, n, "policy \"%.*s\" refuses nothing", HF_SPAN_ARG(l->p->name));
    return may_check(l, n);
}

/* ---- tests ---- */

static int test_text(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    struct hf_prot_test *t = l->t;
    struct hf_span *const to[] = {&t->name, &t->who.image, &t->who.namespace, &t->act.path, &t->act.sealed_path};
    return keep(l, name, n, to[arg]);
}

static int test_labels(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    (void)arg;
    return read_labels_to(l, name, n, &l->t->who.labels);
}

static int test_container(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    static const struct key keys[] = {{"image", test_text, 1}, {"namespace", test_text, 2}, {"labels", test_labels, 0}};
    (void)arg;
    return mapping(l, name, n, keys, HF_ARRAY_LEN(keys));
}

static int test_content(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    (void)arg;
    return hf_yaml_choice(&l->y, name, n, hf_prot_verdicts, HF_PROT_VERDICTS, &l->t->act.verdict);
}

static int test_written(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    (void)arg;
    return hf_yaml_flag(&l->y, name, n, &l->t->act.written);
}

static int one_arg(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    struct hf_prot_act *a = &l->t->act;
    (void)arg;
    return a->argv[1].n ? 0 : keep(l, name, n, &a->argv[a->argv[0].n > 0]);
}

static int test_args(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    return each(l, name, n, one_arg, arg);
}

static int test_digest(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    struct hf_span hex = hf_yaml_scalar(n);
    (void)arg;
    for (size_t i = 0; i < 32; i++) {
        uint64_t byte;
        if (hex.n != 64 || hf_parse_u64(hf_span_sub(hex, 2 * i, 2), 16, 0, 255, &byte) < 0)
            return hf_yaml_wrong(&l->y, n, "\"%s\" must be 64 hexadecimal digits", name);
        l->t->sha256[i] = (uint8_t)byte;
    }
    l->t->has_sha256 = true; /* the test may move: whoever asks for it sets the pointer */
    return 0;
}

static int begin_act(struct loader *l, const yaml_node_t *n, enum hf_prot_act_kind kind)
{
    if (l->t->act.kind != HF_ACTS)
        return hf_yaml_wrong(&l->y, n, "a test has one of exec, connect, listen, write, device and use");
    l->t->act.kind = kind;
    return 0;
}

static int test_exec(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    static const struct key keys[] = {{"path", test_text, 3}, {"content", test_content, 0}, {"sealed_path", test_text, 4}, {"sha256", test_digest, 0}, {"args", test_args, 0}, {"written", test_written, 0}};
    (void)arg;
    int rc = begin_act(l, n, HF_ACT_EXEC);
    l->t->act.verdict = HF_PROT_SEALED;
    if (rc < 0)
        return rc;
    rc = n && n->type == YAML_SCALAR_NODE ? keep(l, name, n, &l->t->act.path) : mapping(l, name, n, keys, HF_ARRAY_LEN(keys));
    return rc == 0 && !l->t->act.path.n ? hf_yaml_wrong(&l->y, n, "\"exec\" has no path") : rc;
}

static int test_path(struct loader *l, const char *name, const yaml_node_t *n, unsigned kind)
{
    int rc = begin_act(l, n, (enum hf_prot_act_kind)kind);
    return rc < 0 ? rc : keep(l, name, n, &l->t->act.path);
}

static int test_peer(struct loader *l, const char *name, const yaml_node_t *n, unsigned kind)
{
    int rc = begin_act(l, n, (enum hf_prot_act_kind)kind);
    bool own = kind == HF_ACT_LISTEN;
    if (rc == 0 && (hf_prot_dest_parse(hf_yaml_scalar(n), own, &l->t->act.peer) < 0 || (!own && l->t->act.peer.bits != 128) || !l->t->act.peer.port || !l->t->act.peer.protocol))
        return hf_yaml_wrong(&l->y, n, own ? "\"%s\" must be a port, as 8080/tcp" : "\"%s\" must be an address and a port, as \"10.1.2.3 443/tcp\"", name);
    return rc;
}

static int test_use(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    int rc = begin_act(l, n, HF_ACT_USE);
    (void)arg;
    return rc < 0 ? rc : hf_yaml_choice(&l->y, name, n, hf_prot_uses, HF_USES, &l->t->act.use);
}

static int test_expect(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    static const char *const names[] = {"allowed", "refused", "maintenance"};
    unsigned v;
    (void)arg;
    int rc = hf_yaml_choice(&l->y, name, n, names, 3, &v);
    if (rc == 0) {
        l->t->refused = v > 0;
        l->t->maintenance = v == 2;
    }
    return rc;
}

static int test_clause(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    const char *names[HF_CLAUSES];
    unsigned v;
    (void)arg;
    for (unsigned i = 0; i < HF_CLAUSES; i++)
        names[i] = hf_prot_clauses[i].name;
    int rc = hf_yaml_choice(&l->y, name, n, names + 1, HF_CLAUSES - 1, &v);
    if (rc == 0)
        l->t->clause = (enum hf_prot_clause)(v + 1);
    return rc;
}

static int test_at(struct loader *l, const char *name, const yaml_node_t *n, unsigned arg)
{
    struct hf_span s = hf_yaml_scalar(n);
    uint64_t v[5];
    static const struct {
        unsigned char at, n;
        uint64_t min, max;
    } parts[5] = {{0, 4, 1970, 9999}, {5, 2, 1, 12}, {8, 2, 1, 31}, {11, 2, 0, 23}, {14, 2, 0, 59}};
    (void)arg;
    for (size_t i = 0; i < 5; i++)
        if (s.n != 17 || s.p[4] != '-' || s.p[7] != '-' || s.p[10] != 'T' || s.p[13] != ':' || s.p[16] != 'Z' ||
                hf_parse_u64(hf_span_sub(s, parts[i].at, parts[i].n), 10, parts[i].min, parts[i].max, &v[i]) < 0)
            return hf_yaml_wrong(&l->y, n, "\"%s\" must be a time, as 2026-11-28T03:00Z", name);
    struct tm tm = {.tm_year = (int)v[0] - 1900, .tm_mon = (int)v[1] - 1, .tm_mday = (int)v[2], .tm_hour = (int)v[3], .tm_min = (int)v[4]};
    l->t->at_s = timegm(&tm);
    return 0;
}

static int test(struct loader *l, const yaml_node_t *n)
{
    static const struct key keys[] = {{"test", test_text, 0}, {"container", test_container, 0}, {"exec", test_exec, 0}, {"connect", test_peer, HF_ACT_CONNECT}, {"listen", test_peer, HF_ACT_LISTEN},
            {"write", test_path, HF_ACT_WRITE}, {"device", test_path, HF_ACT_DEVICE}, {"use", test_use, 0}, {"expect", test_expect, 0}, {"clause", test_clause, 0}, {"at", test_at, 0}};
    struct hf_prot_test *t = hf_grow((void **)&l->s->tests, &l->s->n_tests, &l->s->cap_tests, sizeof *t, TESTS_MAX);
    if (!t)
        return hf_fail(l->y.err, HF_E_LIMIT, "more than %u tests", TESTS_MAX);
    l->t = t;
    t->act.kind = HF_ACTS;
    t->at_s = INT64_MIN;
    t->file = l->file.p;
    t->line = (unsigned)(n->start_mark.line + 1);
    int rc = mapping(l, "a test", n, keys, HF_ARRAY_LEN(keys));
    if (rc < 0)
        return rc;
    if (t->act.kind == HF_ACTS)
        return hf_yaml_wrong(&l->y, n, "test \"%.*s\" does nothing: one of exec, connect, listen, write, device and use is needed", HF_SPAN_ARG(t->name));
    return hf_yaml_member(&l->y, n, "expect") ? 0 : hf_yaml_wrong(&l->y, n, "test \"%.*s\" has no \"expect\"", HF_SPAN_ARG(t->name));
}

/* ---- a set ---- */

static int one(void *ctx, const yaml_node_t *n)
{
    struct loader *l = ctx;
    if (n && n->type == YAML_MAPPING_NODE && hf_yaml_member(&l->y, n, "policy"))
        return policy(l, n);
    if (n && n->type == YAML_MAPPING_NODE && hf_yaml_member(&l->y, n, "test"))
        return test(l, n);
    return hf_yaml_wrong(&l->y, n, "a mapping with \"policy\" or \"test\" is expected");
}

int hf_prot_add(struct hf_prot_set *s, const char *file, struct hf_span text, struct hf_err *err)
{
    static const struct hf_yaml_limits limits = {FILE_MAX, NODES_MAX, "a list of policies and tests is expected"};
    struct loader l = {.s = s};
    if (hf_arena_dup(&s->arena, hf_span_z(file), &l.file) < 0)
        return hf_fail(err, -ENOMEM, "no memory");
    int rc = hf_yaml_load(&l.y, file, text, &limits, err);
    if (rc < 0)
        return rc;
    rc = hf_yaml_each(&l.y, one, &l);
    hf_yaml_done(&l.y);
    return rc;
}

int hf_prot_check(const struct hf_prot_set *s, struct hf_err *err)
{
    uint64_t steps = 0;
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < i; k++) {
            const struct hf_prot_policy *a = &s->v[k], *b = &s->v[i];
            if (hf_span_eq(a->name, b->name))
                return hf_fail(err, HF_E_USAGE, "%.*s:%u: policy \"%.*s\" is already in %.*s:%u", HF_SPAN_ARG(b->file), b->line, HF_SPAN_ARG(b->name), HF_SPAN_ARG(a->file), a->line);
            if (hf_prot_specificity(a) == hf_prot_specificity(b) && hf_prot_policies_meet(a, b, &steps))
                return hf_fail(err, HF_E_USAGE, "%.*s:%u: policy \"%.*s\" is as specific as \"%.*s\" (%.*s:%u), and a container could match both", HF_SPAN_ARG(b->file), b->line, HF_SPAN_ARG(b->name),
                        HF_SPAN_ARG(a->name), HF_SPAN_ARG(a->file), a->line);
            if (steps > COMPARE_MAX)
                return hf_fail(err, HF_E_LIMIT, "so many equally specific policies with long patterns cannot be compared");
        }
    return 0;
}

int hf_prot_new(struct hf_prot_set **ret, struct hf_err *err)
{
    struct hf_prot_set *s = calloc(1, sizeof *s);
    if (!s)
        return hf_fail(err, -ENOMEM, "no memory");
    hf_arena_init(&s->arena, MEMORY_MAX);
    *ret = s;
    return 0;
}

void hf_prot_free(struct hf_prot_set *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++) {
        struct hf_prot_policy *p = &s->v[i];
        for (size_t k = 0; k < HF_CLAUSES; k++)
            free(p->allow[k].v);
        free(p->images.v);
        free(p->labels.v);
        free(p->exec_by.v);
        free(p->maintenance.v);
        free(p->digests.v);
        free(p->destinations.v);
        free(p->listen.v);
        free(p->health.exec.v);
    }
    for (size_t i = 0; i < s->n_tests; i++)
        free(s->tests[i].who.labels.v);
    hf_arena_done(&s->arena);
    free(s->v);
    free(s->tests);
    free(s);
}

size_t hf_prot_count(const struct hf_prot_set *s)
{
    return s->n;
}

const struct hf_prot_policy *hf_prot_at(const struct hf_prot_set *s, size_t i)
{
    return &s->v[i];
}

size_t hf_prot_tests(const struct hf_prot_set *s)
{
    return s->n_tests;
}

const struct hf_prot_test *hf_prot_test_at(const struct hf_prot_set *s, size_t i)
{
    return &s->tests[i];
}
