// SPDX-License-Identifier: Apache-2.0
/* A file of tests: YAML to containers, processes and events. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/opts.h"
#include "detect/cases-internal.h"
#include "event/caps.h"

#define FILE_MAX (8u << 20)
#define MEMORY_MAX (64u << 20)
#define NODES_MAX 400000
#define CASES_MAX 4096u
#define EVENTS_MAX 4096u
#define RECORDS_MAX (16u << 20) /* of a test */
#define TEXTS_MAX 4096u         /* bytes of arguments or of an environment */
#define FIRST_NS 1000000000u
#define STEP_NS 1000000u
#define HOST_GROUP 1u
#define CONTAINER_GROUP 100u

struct hf_cases {
    struct hf_arena arena;
    struct hf_case *v;
    size_t n, cap;
};

int hf_case_number(struct hf_cases_loader *l, const yaml_node_t *n, uint64_t max, uint64_t *ret)
{
    struct hf_span s = hf_yaml_scalar(n);
    bool octal = s.n > 1 && s.p[0] == '0'; /* modes: 0644, 0o644 */
    if (octal)
        s = hf_span_from(s, s.p[1] == 'o' ? 2 : 1);
    if (hf_parse_u64(s, octal ? 8 : 10, 0, max, ret) < 0)
        return hf_yaml_wrong(&l->y, n, "a number from 0 to %llu is expected", (unsigned long long)max);
    return 0;
}

static int no_memory(struct hf_cases_loader *l)
{
    return hf_fail(l->y.err, HF_E_LIMIT, "%s: the tests take more memory than they may", l->y.file);
}

int hf_case_texts(struct hf_cases_loader *l, const yaml_node_t *n, struct hf_span *ret)
{
    hf_autobuf b = HF_BUF_INIT(TEXTS_MAX);
    if (n->type != YAML_SEQUENCE_NODE)
        return hf_yaml_wrong(&l->y, n, "a list of texts is expected");
    for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top; i++) {
        const yaml_node_t *item = hf_yaml_at(&l->y, *i);
        if (!item || item->type != YAML_SCALAR_NODE)
            return hf_yaml_wrong(&l->y, item ? item : n, "a list of texts is expected");
        hf_buf_adds(&b, hf_yaml_scalar(item));
        hf_buf_addc(&b, 0);
    }
    if (!hf_buf_ok(&b))
        return hf_yaml_wrong(&l->y, n, "more than %u bytes", TEXTS_MAX);
    return hf_arena_dup(l->arena, hf_buf_span(&b), ret) < 0 ? no_memory(l) : 0;
}

int hf_case_flags(struct hf_cases_loader *l, const yaml_node_t *n, int (*bit)(struct hf_span name, const void *names, uint64_t *ret), const void *names, uint64_t *ret)
{
    uint64_t all = 0, one = 0;
    if (n->type != YAML_SEQUENCE_NODE)
        return hf_yaml_wrong(&l->y, n, "a list of names is expected");
    for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top; i++) {
        struct hf_span name = hf_yaml_scalar(hf_yaml_at(&l->y, *i));
        if (bit(name, names, &one) < 0)
            return hf_yaml_wrong(&l->y, n, "\"%.*s\" is not a name that is known here", (int)HF_MIN(name.n, (size_t)64), name.p ? name.p : "");
        all |= one;
    }
    *ret = all;
    return 0;
}

/* Every key of a mapping is one of these (NULL-terminated), or also. */
static int only(struct hf_cases_loader *l, const yaml_node_t *map, const char *const *known, struct hf_span also)
{
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = hf_yaml_at(&l->y, p->key);
        struct hf_span s = hf_yaml_scalar(key);
        bool found = also.n && hf_span_eq(s, also);
        for (size_t i = 0; known[i] && !found; i++)
            found = hf_span_eqz(s, known[i]);
        if (found)
            continue;
        char text[64];
        snprintf(text, sizeof text, "%.*s", (int)HF_MIN(s.n, sizeof text - 1), s.p ? s.p : "");
        const char *near = hf_nearest(text, known);
        return hf_yaml_wrong(&l->y, key, "unknown key \"%s\"%s%s", text, near ? "; did you mean " : "", near ? near : "");
    }
    return 0;
}

/* ---- containers and processes ---- */

struct hf_case_proc *hf_case_proc(struct hf_cases_loader *l, uint64_t pid)
{
    for (size_t i = 0; i < l->n_procs; i++)
        if (l->procs[i].h.pid == pid)
            return &l->procs[i];
    return NULL;
}

static int group_of(struct hf_cases_loader *l, const yaml_node_t *n, uint64_t *ret)
{
    struct hf_span s = hf_yaml_scalar(n);
    if (hf_span_eqz(s, "host")) {
        *ret = HOST_GROUP;
        return 0;
    }
    for (size_t i = 0; i < l->n_containers; i++)
        if (s.n && (hf_span_eq(s, l->containers[i].id) || hf_span_eq(s, l->containers[i].name))) {
            *ret = CONTAINER_GROUP + i;
            return 0;
        }
    return hf_yaml_wrong(&l->y, n, "there is no container of this name or id in the test");
}

/* One container: names and values as docs/formats/events.md lists them. */
static int container(struct hf_cases_loader *l, const yaml_node_t *n)
{
    static const struct hf_wire_pairs empty = {.h = {.type = HF_EV_CONTAINER, .version = HF_WIRE_VERSION, .flags = HF_F_NO_PROC}};
    struct hf_wire_pairs c = empty;
    hf_autobuf pairs = HF_BUF_INIT(32768);
    if (n->type != YAML_MAPPING_NODE)
        return hf_yaml_wrong(&l->y, n, "a container is a mapping");
    if (l->n_containers == HF_CASE_CONTAINERS)
        return hf_yaml_wrong(&l->y, n, "more than %u containers", HF_CASE_CONTAINERS);
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        struct hf_span key = hf_yaml_scalar(hf_yaml_at(&l->y, p->key)), value = hf_yaml_scalar(hf_yaml_at(&l->y, p->value));
        if (!key.n || hf_span_find(key, 0) != SIZE_MAX || hf_span_find(value, 0) != SIZE_MAX)
            return hf_yaml_wrong(&l->y, n, "facts of a container are names and texts");
        hf_buf_adds(&pairs, key);
        hf_buf_addc(&pairs, 0);
        hf_buf_adds(&pairs, hf_span_eqz(value, "true") ? HF_S("1") : hf_span_eqz(value, "false") ? HF_S("0") : value);
        hf_buf_addc(&pairs, 0);
    }
    l->containers[l->n_containers].id = hf_yaml_scalar(hf_yaml_member(&l->y, n, "id"));
    l->containers[l->n_containers].name = hf_yaml_scalar(hf_yaml_member(&l->y, n, "name"));
    if (!l->containers[l->n_containers].id.n)
        return hf_yaml_wrong(&l->y, n, "a container has no \"id\"");
    c.h.cgroup_id = CONTAINER_GROUP + l->n_containers++;
    c.h.time_ns = l->now_ns;
    c.pairs_len = (uint32_t)pairs.n;
    size_t len = (sizeof c + pairs.n + 7) & ~(size_t)7, from = l->records.n;
    c.h.len = (uint32_t)len;
    hf_buf_add(&l->records, &c, sizeof c);
    hf_buf_adds(&l->records, hf_buf_span(&pairs));
    while (hf_buf_ok(&l->records) && l->records.n < from + len)
        hf_buf_addc(&l->records, 0);
    return hf_buf_ok(&pairs) && hf_buf_ok(&l->records) ? 0 : hf_yaml_wrong(&l->y, n, "the facts of a container take more memory than they may");
}

static int cap_bit(struct hf_span name, const void *names, uint64_t *ret)
{
    int n = hf_cap_number(name);
    (void)names;
    *ret = n >= 0 ? 1ull << n : 0;
    return n < 0 ? HF_E_NOT_FOUND : 0;
}

static void take_name(struct hf_case_proc *p, struct hf_span name)
{
    memset(p->h.comm, 0, sizeof p->h.comm);
    memcpy(p->h.comm, name.p ? name.p : "", HF_MIN(name.n, sizeof p->h.comm - 1));
}

static int proc_numbers(struct hf_cases_loader *l, const yaml_node_t *n, struct hf_case_proc *p)
{
    const struct {
        const char *name;
        uint32_t *to;
    } numbers[] = {{"ppid", &p->h.ppid}, {"tid", &p->h.tid}, {"ns_pid", &p->h.ns_pid}, {"uid", &p->h.uid}, {"euid", &p->h.euid}, {"gid", &p->h.gid},
            {"login_uid", &p->h.login_uid}, {"tty", &p->tty}};
    for (size_t i = 0; i < HF_ARRAY_LEN(numbers); i++) {
        const yaml_node_t *v = hf_yaml_member(&l->y, n, numbers[i].name);
        uint64_t x = 0;
        int rc = v ? hf_case_number(l, v, UINT32_MAX, &x) : 0;
        if (rc < 0)
            return rc;
        if (v)
            *numbers[i].to = (uint32_t)x;
    }
    if (hf_yaml_member(&l->y, n, "uid") && !hf_yaml_member(&l->y, n, "euid"))
        p->h.euid = p->h.uid;
    return 0;
}

/* A process as a mapping: what is not said stays as it was. */
static int proc_members(struct hf_cases_loader *l, const yaml_node_t *n, struct hf_case_proc *p)
{
    static const char *const keys[] = {"pid", "ppid", "tid", "ns_pid", "uid", "euid", "gid", "login_uid", "tty", "exe", "name", "args", "cwd", "env", "caps", "container", NULL};
    const yaml_node_t *exe = hf_yaml_member(&l->y, n, "exe"), *args = hf_yaml_member(&l->y, n, "args"), *env = hf_yaml_member(&l->y, n, "env"), *caps = hf_yaml_member(&l->y, n, "caps"), *box = hf_yaml_member(&l->y, n, "container");
    int rc = only(l, n, keys, hf_span(NULL, 0));
    rc = rc < 0 ? rc : proc_numbers(l, n, p);
    if (rc == 0 && (hf_yaml_scalar(exe).n > TEXTS_MAX || hf_yaml_scalar(hf_yaml_member(&l->y, n, "cwd")).n > TEXTS_MAX))
        rc = hf_yaml_wrong(&l->y, n, "a path of over %u bytes", TEXTS_MAX);
    if (rc < 0)
        return rc;
    if (exe) {
        p->exe = hf_yaml_scalar(exe);
        take_name(p, hf_span_basename(p->exe));
        p->args = p->exe;
    }
    if (hf_yaml_member(&l->y, n, "name"))
        take_name(p, hf_yaml_scalar(hf_yaml_member(&l->y, n, "name")));
    if (hf_yaml_member(&l->y, n, "cwd"))
        p->cwd = hf_yaml_scalar(hf_yaml_member(&l->y, n, "cwd"));
    if (args)
        rc = hf_case_texts(l, args, &p->args);
    if (rc == 0 && env)
        rc = hf_case_texts(l, env, &p->env);
    uint64_t cap_eff = p->h.cap_eff, group = p->h.cgroup_id;
    if (rc == 0 && caps)
        rc = hf_case_flags(l, caps, cap_bit, NULL, &cap_eff);
    if (rc == 0 && box)
        rc = group_of(l, box, &group);
    p->h.cap_eff = cap_eff;
    p->h.cgroup_id = group;
    return rc;
}

/* The process that a node means: a pid that is known, or a mapping (which may make it known). */
static int process(struct hf_cases_loader *l, const yaml_node_t *n, struct hf_case_proc **ret)
{
    const yaml_node_t *pid_node = n->type == YAML_MAPPING_NODE ? hf_yaml_member(&l->y, n, "pid") : n;
    uint64_t pid = 0;
    if (!pid_node)
        return hf_yaml_wrong(&l->y, n, "a process has no \"pid\"");
    int rc = hf_case_number(l, pid_node, UINT32_MAX, &pid);
    if (rc < 0)
        return rc;
    if (!pid)
        return hf_yaml_wrong(&l->y, pid_node, "pids begin at 1");
    struct hf_case_proc *p = hf_case_proc(l, pid);
    if (!p && n->type != YAML_MAPPING_NODE)
        return hf_yaml_wrong(&l->y, n, "no process %llu was named before", (unsigned long long)pid);
    if (!p) {
        if (l->n_procs == HF_CASE_PROCS)
            return hf_yaml_wrong(&l->y, n, "more than %u processes", HF_CASE_PROCS);
        p = &l->procs[l->n_procs++];
        *p = (struct hf_case_proc){.h = {.pid = (uint32_t)pid, .tid = (uint32_t)pid, .ns_pid = (uint32_t)pid, .login_uid = UINT32_MAX, .session_id = UINT32_MAX,
                .start_ns = FIRST_NS / 2 + pid, .cgroup_id = HOST_GROUP, .mnt_ns = 10, .pid_ns = 11, .net_ns = 12, .user_ns = 13}, .cwd = HF_S("/")};
    }
    if (n->type == YAML_MAPPING_NODE)
        rc = proc_members(l, n, p);
    const struct hf_case_proc *parent = hf_case_proc(l, p->h.ppid);
    p->parent_start_ns = parent ? parent->h.start_ns : 0;
    if (p->h.cgroup_id >= CONTAINER_GROUP) { /* namespaces of its own, as containers have */
        uint32_t own = (uint32_t)p->h.cgroup_id * 16;
        p->h.mnt_ns = own + 1, p->h.pid_ns = own + 2, p->h.net_ns = own + 3;
    }
    *ret = p;
    return rc;
}

static void exec_of(const struct hf_case_proc *p, struct hf_case_event *e)
{
    uint32_t argc = 0;
    for (size_t i = 0; i < p->args.n; i++)
        argc += p->args.p[i] == 0;
    e->u.exec.parent_start_ns = p->parent_start_ns;
    e->u.exec.tty = p->tty;
    e->u.exec.argc = HF_MAX(argc, 1u);
    e->texts[0] = e->texts[1] = p->exe;
    e->texts[3] = p->cwd;
    e->texts[4] = p->args;
    e->texts[5] = p->env;
}

/* ---- events ---- */

static int after(struct hf_cases_loader *l, const yaml_node_t *n, uint64_t *ret_ns)
{
    static const struct {
        const char *unit;
        uint64_t ns;
    } units[] = {{"ms", 1000000u}, {"s", 1000000000u}, {"m", 60000000000u}, {"h", 3600000000000u}};
    struct hf_span s = hf_yaml_scalar(n);
    uint64_t v;
    for (size_t i = 0; i < HF_ARRAY_LEN(units); i++) {
        size_t u = strlen(units[i].unit);
        if (s.n > u && hf_span_ends(s, hf_span_z(units[i].unit)) && hf_parse_u64(hf_span_sub(s, 0, s.n - u), 10, 0, 100000, &v) == 0) {
            *ret_ns = v * units[i].ns;
            return 0;
        }
    }
    return hf_yaml_wrong(&l->y, n, "a time is a number and one of ms, s, m, h");
}

static int event(struct hf_cases_loader *l, const yaml_node_t *n)
{
    static const char *const keys[] = {"type", "after", "process", "container", NULL};
    static struct hf_case_event e; /* large; one thread */
    struct hf_case_proc *p = NULL;
    if (n->type != YAML_MAPPING_NODE)
        return hf_yaml_wrong(&l->y, n, "an event is a mapping");
    struct hf_span type = hf_yaml_scalar(hf_yaml_member(&l->y, n, "type"));
    const struct hf_case_type *t = hf_case_type_named(type);
    if (!t) {
        char text[64];
        snprintf(text, sizeof text, "%.*s", (int)HF_MIN(type.n, sizeof text - 1), type.p ? type.p : "");
        const char *near = hf_nearest(text, hf_case_type_names());
        return hf_yaml_wrong(&l->y, n, "an event has the type of a line of \"watch --json\"; there is no \"%s\"%s%s", text, near ? "; did you mean " : "", near ? near : "");
    }
    uint64_t step = STEP_NS, group = HOST_GROUP;
    int rc = only(l, n, keys, type);
    if (rc == 0 && hf_yaml_member(&l->y, n, "after"))
        rc = after(l, hf_yaml_member(&l->y, n, "after"), &step);
    if (rc == 0 && hf_yaml_member(&l->y, n, "process"))
        rc = process(l, hf_yaml_member(&l->y, n, "process"), &p);
    group = p ? p->h.cgroup_id : group;
    if (rc == 0 && hf_yaml_member(&l->y, n, "container"))
        rc = group_of(l, hf_yaml_member(&l->y, n, "container"), &group);
    if (rc < 0)
        return rc;
    unsigned wire = hf_case_wire_type(t);
    if (!p && wire < 64)
        return hf_yaml_wrong(&l->y, n, "the event has no \"process\"");
    l->now_ns += step;
    hf_case_begin(&e, t);
    if (p) {
        p->h.cgroup_id = group;
        e.u.hdr = p->h;
    } else {
        e.u.hdr.flags = HF_F_NO_PROC;
        e.u.hdr.cgroup_id = group;
    }
    e.u.hdr.time_ns = l->now_ns;
    if (p && wire == HF_EV_EXEC)
        exec_of(p, &e);
    if (p && wire == HF_EV_FORK) {
        e.u.fork.child_ppid = p->h.pid;
        e.u.fork.child_cgroup_id = group;
        e.u.fork.child_pid_ns = p->h.pid_ns;
    }
    rc = hf_case_members(l, &e, hf_yaml_member(&l->y, n, hf_case_type_name(t)));
    if (rc == 0 && wire == HF_EV_FORK) {
        e.u.fork.child_ns_pid = e.u.fork.child_pid;
        e.u.fork.child_start_ns = FIRST_NS / 2 + e.u.fork.child_pid;
    }
    return rc < 0 ? rc : hf_case_end(l, &e, n);
}

/* Processes that were there before: told as the sensor tells of them at its start. */
static int earlier(struct hf_cases_loader *l, const yaml_node_t *n)
{
    static struct hf_case_event e;
    struct hf_case_proc *p = NULL;
    size_t from = l->records.n;
    if (n->type != YAML_MAPPING_NODE)
        return hf_yaml_wrong(&l->y, n, "a process is a mapping");
    int rc = process(l, n, &p);
    if (rc < 0)
        return rc;
    hf_case_begin(&e, hf_case_type_named(HF_S("exec")));
    e.u.hdr = p->h;
    e.u.hdr.time_ns = l->now_ns;
    exec_of(p, &e);
    rc = hf_case_end(l, &e, n);
    const uint16_t type = HF_EV_PROC;
    if (rc == 0)
        memcpy(l->records.p + from + offsetof(struct hf_wire_hdr, type), &type, sizeof type);
    return rc;
}

/* ---- tests ---- */

static int each(struct hf_cases_loader *l, const yaml_node_t *map, const char *name, bool needed, int (*fn)(struct hf_cases_loader *, const yaml_node_t *), size_t *ret_n)
{
    const yaml_node_t *n = hf_yaml_member(&l->y, map, name);
    *ret_n = 0;
    if (!n)
        return needed ? hf_yaml_wrong(&l->y, map, "a test has no \"%s\"", name) : 0;
    if (n->type != YAML_SEQUENCE_NODE)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a list", name);
    for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top; i++) {
        int rc = ++*ret_n > EVENTS_MAX ? hf_yaml_wrong(&l->y, n, "more than %u in \"%s\"", EVENTS_MAX, name) : fn(l, hf_yaml_at(&l->y, *i));
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int expected(struct hf_cases_loader *l, const yaml_node_t *map, struct hf_case *c)
{
    const yaml_node_t *n = hf_yaml_member(&l->y, map, "alerts");
    if (!n)
        return hf_yaml_wrong(&l->y, map, "a test has no \"alerts\" ([]: none are expected)");
    if (n->type != YAML_SEQUENCE_NODE)
        return hf_yaml_wrong(&l->y, n, "\"alerts\" must be a list of rules");
    size_t count = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
    struct hf_span *v = hf_arena_calloc(l->arena, count + 1, sizeof *v);
    if (!v)
        return no_memory(l);
    for (size_t i = 0; i < count; i++) {
        struct hf_span s = hf_yaml_scalar(hf_yaml_at(&l->y, n->data.sequence.items.start[i]));
        if (!s.n)
            return hf_yaml_wrong(&l->y, n, "\"alerts\" must be a list of rules");
        if (hf_arena_dup(l->arena, s, &v[i]) < 0)
            return no_memory(l);
    }
    c->alerts = v;
    c->n_alerts = count;
    return 0;
}

static int one_case(struct hf_cases_loader *l, const yaml_node_t *n, struct hf_case *c)
{
    static const char *const keys[] = {"test", "containers", "processes", "events", "alerts", NULL};
    size_t ignored;
    if (!n || n->type != YAML_MAPPING_NODE || !hf_yaml_scalar(hf_yaml_member(&l->y, n, "test")).n)
        return hf_yaml_wrong(&l->y, n, "a list of tests is expected, each with its name: \"- test: NAME\"");
    int rc = only(l, n, keys, hf_span(NULL, 0));
    l->n_procs = l->n_containers = 0;
    l->now_ns = FIRST_NS;
    hf_buf_clear(&l->records);
    c->line = (unsigned)(n->start_mark.line + 1);
    rc = rc < 0 ? rc : each(l, n, "containers", false, container, &ignored);
    rc = rc < 0 ? rc : each(l, n, "processes", false, earlier, &ignored);
    rc = rc < 0 ? rc : each(l, n, "events", true, event, &c->n_events);
    rc = rc < 0 ? rc : expected(l, n, c);
    if (rc == 0 && (hf_arena_dup(l->arena, hf_yaml_scalar(hf_yaml_member(&l->y, n, "test")), &c->name) < 0 || hf_arena_dup(l->arena, hf_buf_span(&l->records), &c->records) < 0))
        rc = no_memory(l);
    return rc;
}

static int add_case(void *ctx, const yaml_node_t *n)
{
    struct hf_cases_loader *l = ctx;
    struct hf_cases *c = l->cases;
    struct hf_case *one = hf_grow((void **)&c->v, &c->n, &c->cap, sizeof *c->v, CASES_MAX);
    return one ? one_case(l, n, one) : hf_fail(l->y.err, HF_E_LIMIT, "%s has more than %u tests", l->y.file, CASES_MAX);
}

int hf_cases_load(struct hf_cases **ret, const char *name, struct hf_span text, struct hf_err *err)
{
    static const struct hf_yaml_limits limits = {FILE_MAX, NODES_MAX, "a list of tests is expected"};
    hf_cleanup(hf_cases_freep) struct hf_cases *c = calloc(1, sizeof *c);
    hf_autofree struct hf_cases_loader *l = calloc(1, sizeof *l);
    if (!c || !l)
        return hf_fail(err, -ENOMEM, "no memory");
    hf_arena_init(&c->arena, MEMORY_MAX);
    hf_buf_init(&l->records, RECORDS_MAX);
    l->arena = &c->arena;
    l->cases = c;
    int rc = hf_yaml_load(&l->y, name, text, &limits, err);
    if (rc < 0)
        return rc;
    rc = yaml_document_get_root_node(&l->y.doc) ? hf_yaml_each(&l->y, add_case, l) : hf_fail(err, HF_E_USAGE, "%s: %s", name, limits.expected);
    hf_yaml_done(&l->y);
    hf_buf_done(&l->records);
    if (rc == 0)
        *ret = hf_take(c);
    return rc;
}

void hf_cases_free(struct hf_cases *c)
{
    if (!c)
        return;
    hf_arena_done(&c->arena);
    free(c->v);
    free(c);
}

size_t hf_cases_count(const struct hf_cases *c)
{
    return c->n;
}

const struct hf_case *hf_cases_at(const struct hf_cases *c, size_t i)
{
    return &c->v[i];
}
