// SPDX-License-Identifier: Apache-2.0
/* Containers and their processes, from lines. */
#include <stdlib.h>

#include "console/live-internal.h"

enum { NAME = 256, ARGS = 1024, PROCS_OF_BOX = 2000 };

/* ---- containers ---- */

struct hf_box *hf_live_find(struct hf_live *l, struct hf_span id)
{
    uint64_t hash = hf_span_hash(id);
    for (struct hf_lt_node *n = hf_lt_chain(&l->boxes, hash); n; n = n->chain)
        if (n->hash == hash && hf_span_eq(hf_text(&((struct hf_box *)n)->id), id))
            return (struct hf_box *)n;
    return NULL;
}

static void proc_free(struct hf_live *l, struct hf_proc_now *p)
{
    hf_lt_del(&l->procs, &p->node);
    *(p->prev ? &p->prev->next : &p->box->procs) = p->next;
    if (p->next)
        p->next->prev = p->prev;
    p->box->n_procs--;
    hf_text_done(&p->name);
    hf_text_done(&p->exe);
    hf_text_done(&p->args);
    hf_text_done(&p->verdict);
    free(p);
}

static void box_free(struct hf_live *l, struct hf_box *b)
{
    while (b->procs)
        proc_free(l, b->procs);
    l->running -= b->running;
    hf_lt_del(&l->boxes, &b->node);
    for (size_t i = 0; i < HF_LIVE_VERDICTS; i++)
        hf_text_done(&b->verdicts[i]);
    struct hf_text *texts[] = {&b->id, &b->name, &b->image, &b->digest, &b->runtime, &b->pod_namespace, &b->pod_name, &b->pod_container, &b->facts};
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
        hf_text_done(texts[i]);
    free(b);
}

void hf_live_boxes_done(struct hf_live *l)
{
    while (l->boxes.oldest)
        box_free(l, (struct hf_box *)l->boxes.oldest);
    free(l->boxes.bucket);
    free(l->procs.bucket);
}

/* Room for one more: of those that ended the one last heard of longest ago, else of all. */
static void make_room(struct hf_live *l)
{
    struct hf_lt_node *n = l->boxes.oldest;
    while (n && ((struct hf_box *)n)->running)
        n = n->newer;
    box_free(l, (struct hf_box *)(n ? n : l->boxes.oldest));
}

static struct hf_box *box_of(struct hf_live *l, struct hf_span id)
{
    struct hf_box *b = hf_live_find(l, id);
    if (b)
        return b;
    if (l->boxes.n >= HF_LIVE_BOXES)
        make_room(l);
    b = calloc(1, sizeof *b);
    if (!b || !hf_text_set(&b->id, id, id.n)) {
        free(b);
        return NULL;
    }
    b->running = true;
    l->running++;
    hf_lt_add(&l->boxes, &b->node, hf_span_hash(id));
    return b;
}

static void known(struct hf_text *t, struct hf_span s)
{
    if (s.n)
        (void)hf_text_set(t, s, 512);
}

void hf_live_pairs(struct hf_text *to, hf_jnode members)
{
    hf_autobuf out = HF_BUF_INIT(HF_LIVE_FACTS);
    HF_JFOREACH(f, members) {
        struct hf_span name = hf_jname(f), value = hf_jstr(f);
        if (out.n + name.n + value.n + 2 > HF_LIVE_FACTS)
            continue;
        hf_buf_adds(&out, name);
        hf_buf_addc(&out, 0);
        hf_buf_adds(&out, value);
        hf_buf_addc(&out, 0);
    }
    if (out.n)
        (void)hf_text_set(to, hf_buf_span(&out), HF_LIVE_FACTS);
}

bool hf_live_pair(struct hf_span *rest, struct hf_span *ret_name, struct hf_span *ret_value)
{
    struct hf_span name, value;
    if (!rest->n || !hf_span_cut(rest, 0, &name) || !hf_span_cut(rest, 0, &value))
        return false;
    *ret_name = name;
    *ret_value = value;
    return true;
}

struct hf_span hf_live_fact(struct hf_span facts, const char *name)
{
    struct hf_span n, v;
    while (hf_live_pair(&facts, &n, &v))
        if (hf_span_eqz(n, name))
            return v;
    return hf_span(NULL, 0);
}

static void counted(struct hf_box *b, int64_t time)
{
    int64_t second = time / 1000000000, passed = second - b->rate_second;
    if (!b->rate_second || passed < 0) {
        b->rate_second = second;
    } else if (passed > 0) {
        double gone = (double)HF_MIN(passed, 60);
        b->rate = (b->rate * 10 + (double)b->rate_n) / (10 + gone); /* the old mean weighs as ten seconds */
        b->rate_n = 0;
        b->rate_second = second;
    }
    b->rate_n++;
}

struct hf_box *hf_live_box_line(struct hf_live *l, const struct hf_line *line)
{
    hf_jnode c = line->container, pod = hf_jget(c, "pod");
    struct hf_span id = hf_jgetstr(c, "id");
    if (!id.n || id.n > 128)
        return NULL;
    struct hf_box *b = box_of(l, id);
    if (!b)
        return NULL;
    known(&b->name, hf_jgetstr(c, "name"));
    known(&b->image, hf_jgetstr(c, "image"));
    known(&b->digest, hf_jgetstr(c, "image_digest"));
    known(&b->runtime, hf_jgetstr(c, "runtime"));
    known(&b->pod_namespace, hf_jgetstr(pod, "namespace"));
    known(&b->pod_name, hf_jgetstr(pod, "name"));
    known(&b->pod_container, hf_jgetstr(pod, "container"));
    b->seen = HF_MAX(b->seen, line->time);
    counted(b, line->time);
    hf_lt_touch(&l->boxes, &b->node);
    if (hf_span_eqz(line->type, "container")) {
        hf_live_pairs(&b->facts, hf_jget(line->root, "facts"));
        if (!b->running) {
            b->running = true;
            b->ended = 0;
            l->running++;
        }
        if (!b->started && hf_live_fact(hf_text(&b->facts), "known_after_us").n) /* missing for those that ran before */
            b->started = line->time;
    } else if (hf_span_eqz(line->type, "container_end")) {
        while (b->procs)
            proc_free(l, b->procs);
        l->running -= b->running;
        b->running = false;
        b->ended = line->time;
    }
    return b;
}

/* ---- processes ---- */

static uint64_t pid_hash(uint32_t pid)
{
    return hf_span_hash(hf_span((const char *)&pid, sizeof pid));
}

static struct hf_proc_now *proc_find(struct hf_live *l, uint32_t pid)
{
    uint64_t hash = pid_hash(pid);
    for (struct hf_lt_node *n = hf_lt_chain(&l->procs, hash); n; n = n->chain)
        if (n->hash == hash && ((struct hf_proc_now *)n)->pid == pid)
            return (struct hf_proc_now *)n;
    return NULL;
}

static struct hf_proc_now *proc_of(struct hf_live *l, struct hf_box *b, uint32_t pid)
{
    struct hf_proc_now *p = proc_find(l, pid);
    if (p && p->box == b) {
        hf_lt_touch(&l->procs, &p->node);
        return p;
    }
    if (p) /* the number is somebody else's now */
        proc_free(l, p);
    if (b->n_procs >= PROCS_OF_BOX) /* exits that were not told, or a fork bomb: this container's own oldest goes */
        for (struct hf_lt_node *n = l->procs.oldest; n; n = n->newer)
            if (((struct hf_proc_now *)n)->box == b) {
                proc_free(l, (struct hf_proc_now *)n);
                break;
            }
    if (l->procs.n >= HF_LIVE_PROCS)
        proc_free(l, (struct hf_proc_now *)l->procs.oldest);
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    *p = (struct hf_proc_now){.box = b, .next = b->procs, .pid = pid, .severity = -1};
    if (p->next)
        p->next->prev = p;
    b->procs = p;
    b->n_procs++;
    hf_lt_add(&l->procs, &p->node, pid_hash(pid));
    return p;
}

/* Arguments as a JSON array of at most ARGS bytes; what has no room is left out, which an "..." at its end says. */
static void args_of(struct hf_proc_now *p, hf_jnode args)
{
    hf_autobuf out = HF_BUF_INIT(2 * ARGS), one = HF_BUF_INIT(2 * ARGS);
    struct hf_jw w;
    if (!hf_jis_array(args))
        return;
    hf_jw_init(&w, &out, false);
    hf_jw_array(&w);
    HF_JFOREACH(a, args) {
        struct hf_jw try;
        hf_buf_clear(&one);
        hf_jw_init(&try, &one, false);
        hf_jw_str(&try, hf_jstr(a));
        if (!hf_buf_ok(&one) || out.n + one.n > ARGS) {
            hf_jw_str(&w, HF_S("..."));
            break;
        }
        hf_jw_str(&w, hf_jstr(a));
    }
    hf_jw_array_end(&w);
    if (hf_buf_ok(&out))
        (void)hf_text_set(&p->args, hf_buf_span(&out), 2 * ARGS);
}

static void described(struct hf_proc_now *p, hf_jnode of)
{
    (void)hf_text_set(&p->name, hf_jgetstr(of, "name"), NAME);
    (void)hf_text_set(&p->exe, hf_jgetstr(of, "exe"), 1024);
    args_of(p, hf_jget(of, "args"));
}

static void started(struct hf_live *l, struct hf_proc_now *p, const struct hf_line *line)
{
    uint64_t since_boot = hf_live_u64(line->process, "start_time");
    if (p->started || !since_boot || since_boot > INT64_MAX / 2)
        return;
    int64_t when = l->boot_ns + (int64_t)since_boot;
    p->started = when <= line->time + 1000000000 ? when : line->time; /* a recording of another boot */
    if (p->ns_pid == 1 && !p->box->started)
        p->box->started = p->started;
}

static void forked(struct hf_live *l, const struct hf_proc_now *parent, const struct hf_line *line)
{
    uint32_t pid = (uint32_t)hf_live_u64(hf_jget(line->root, "fork"), "child_pid");
    struct hf_text name = parent->name, exe = parent->exe, args = parent->args;
    uint32_t ppid = parent->pid, uid = parent->uid;
    struct hf_box *b = parent->box;
    char session[8];
    memcpy(session, parent->session, sizeof session);
    hf_autobuf copy = HF_BUF_INIT(16384); /* making room may free the parent */
    hf_buf_add(&copy, name.p ? name.p : "", name.n);
    hf_buf_add(&copy, exe.p ? exe.p : "", exe.n);
    hf_buf_add(&copy, args.p ? args.p : "", args.n);
    struct hf_proc_now *p = pid && pid != ppid && hf_buf_ok(&copy) ? proc_of(l, b, pid) : NULL;
    if (!p)
        return;
    struct hf_span all = hf_buf_span(&copy);
    (void)hf_text_set(&p->name, hf_span_sub(all, 0, name.n), NAME);
    (void)hf_text_set(&p->exe, hf_span_sub(all, name.n, exe.n), 1024);
    (void)hf_text_set(&p->args, hf_span_sub(all, name.n + exe.n, args.n), 2 * ARGS);
    memcpy(p->session, session, sizeof session);
    p->ppid = ppid;
    p->uid = uid;
    p->started = line->time;
}

/* Ancestors of which nothing was told yet.  Lines do not say which of them are within the container: those below one that is known to be. */
static void ancestors(struct hf_live *l, struct hf_box *b, hf_jnode process)
{
    unsigned below = 0, i = 0;
    uint32_t child = (uint32_t)hf_live_u64(process, "pid");
    HF_JFOREACH(a, hf_jget(process, "ancestors")) {
        const struct hf_proc_now *p = proc_find(l, (uint32_t)hf_live_u64(a, "pid"));
        i++;
        if (p && p->box == b) {
            below = i;
            break;
        }
    }
    i = 0;
    HF_JFOREACH(a, hf_jget(process, "ancestors")) {
        uint32_t pid = (uint32_t)hf_live_u64(a, "pid");
        if (++i > below || !pid || pid == child)
            return;
        struct hf_proc_now *p = proc_find(l, pid), *c;
        if (!p && (p = proc_of(l, b, pid)))
            described(p, a);
        if ((c = proc_find(l, child)) && c->box == b && !c->ppid)
            c->ppid = pid;
        child = pid;
    }
}

void hf_live_proc_line(struct hf_live *l, const struct hf_line *line, struct hf_box *b)
{
    uint32_t pid = (uint32_t)hf_live_u64(line->process, "pid");
    struct hf_proc_now *p = NULL;
    if (!pid || !b || !b->running)
        return;
    if (hf_span_eqz(line->type, "exit")) {
        if ((p = proc_find(l, pid)) && p->box == b && hf_live_u64(line->process, "tid") == pid)
            proc_free(l, p);
        return;
    }
    if (!(p = proc_of(l, b, pid)))
        return;
    described(p, line->process);
    p->ppid = (uint32_t)hf_live_u64(line->process, "ppid");
    p->ns_pid = (uint32_t)hf_live_u64(line->process, "ns_pid");
    p->uid = (uint32_t)hf_live_u64(line->process, "uid");
    p->runtime = hf_jis_true(hf_jget(line->process, "runtime"));
    struct hf_span session = hf_jgetstr(line->process, "session");
    snprintf(p->session, sizeof p->session, "%.*s", (int)HF_MIN(session.n, sizeof p->session - 1), session.n ? session.p : "");
    started(l, p, line);
    if (hf_span_eqz(line->type, "exec") && p->verdict.n)
        hf_text_done(&p->verdict); /* of the program before */
    ancestors(l, b, line->process);
    if (hf_span_eqz(line->type, "fork") && (p = proc_find(l, pid)))
        forked(l, p, line);
}

void hf_live_alert_line(struct hf_live *l, const struct hf_line *line)
{
    struct hf_proc_now *p = proc_find(l, (uint32_t)hf_live_u64(line->process, "pid"));
    int severity = hf_live_severity(hf_jgetstr(line->root, "severity"));
    if (p && hf_span_eq(hf_text(&p->box->id), hf_jgetstr(line->container, "id")))
        p->severity = HF_MAX(p->severity, severity);
}

/* ---- verdicts ---- */

static bool is_drift(struct hf_span result)
{
    return hf_span_eqz(result, "changed") || hf_span_eqz(result, "foreign") || hf_span_eqz(result, "memory");
}

void hf_live_verdict_line(struct hf_live *l, const struct hf_line *line, struct hf_box *b)
{
    hf_jnode v = hf_jget(line->root, "verdict");
    struct hf_span result = hf_jgetstr(v, "result");
    hf_autobuf out = HF_BUF_INIT(32768);
    struct hf_jw w;
    if (!b || !hf_jis_object(v))
        return;
    hf_jw_init(&w, &out, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "time", hf_jgetstr(line->root, "time"));
    hf_jw_kstr(&w, "container", hf_text(&b->id));
    hf_jw_kstr_opt(&w, "container_name", hf_text(&b->name));
    hf_jw_kstr(&w, "path", hf_span_sub(hf_jgetstr(v, "path"), 0, 1024));
    hf_jw_kstr(&w, "result", result);
    hf_jw_kstr(&w, "action", hf_jgetstr(v, "action"));
    for (const char *const *k = (const char *const[]){"use", "package", "sha256", "policy", "clause", NULL}; *k; k++)
        hf_jw_kstr_opt(&w, *k, hf_span_sub(hf_jgetstr(v, *k), 0, 512));
    hf_jw_kstr_opt(&w, "exe", hf_span_sub(hf_jgetstr(line->process, "exe"), 0, 1024));
    hf_jw_kstr_opt(&w, "writer", hf_span_sub(hf_jgetstr(hf_jget(v, "writer"), "exe"), 0, 1024));
    hf_jw_object_end(&w);
    if (!hf_buf_ok(&out))
        return;
    (void)hf_text_set(&b->verdicts[b->verdict_at++ % HF_LIVE_VERDICTS], hf_buf_span(&out), 32768);
    b->drift += is_drift(result);
    struct hf_proc_now *p = proc_find(l, (uint32_t)hf_live_u64(line->process, "pid"));
    if (p && p->box == b && hf_span_eqz(hf_jgetstr(v, "use"), "exec"))
        (void)hf_text_set(&p->verdict, result, 16);
}

/* ---- asked ---- */

static struct hf_live_box shown(const struct hf_box *b)
{
    return (struct hf_live_box){.id = hf_text(&b->id), .name = hf_text(&b->name), .image = hf_text(&b->image), .digest = hf_text(&b->digest), .runtime = hf_text(&b->runtime),
            .pod_namespace = hf_text(&b->pod_namespace), .pod_name = hf_text(&b->pod_name), .pod_container = hf_text(&b->pod_container), .facts = hf_text(&b->facts), .running = b->running,
            .started = b->started, .ended = b->ended, .seen = b->seen, .processes = b->n_procs, .drift = b->drift, .events_per_s = b->rate};
}

void hf_live_boxes(struct hf_live *l, hf_live_box_cb cb, void *ctx)
{
    pthread_mutex_lock(&l->lock);
    for (struct hf_lt_node *n = l->boxes.newest; n; n = n->older) {
        struct hf_live_box b = shown((struct hf_box *)n);
        if (!cb(ctx, &b))
            break;
    }
    pthread_mutex_unlock(&l->lock);
}

bool hf_live_box(struct hf_live *l, struct hf_span id, hf_live_box_cb cb, void *ctx)
{
    pthread_mutex_lock(&l->lock);
    const struct hf_box *b = hf_live_find(l, id);
    if (b) {
        struct hf_live_box s = shown(b);
        (void)cb(ctx, &s);
    }
    pthread_mutex_unlock(&l->lock);
    return b != NULL;
}

size_t hf_live_procs(struct hf_live *l, struct hf_span container, hf_live_proc_cb cb, void *ctx)
{
    pthread_mutex_lock(&l->lock);
    const struct hf_box *b = hf_live_find(l, container);
    size_t n = b ? b->n_procs : 0;
    for (const struct hf_proc_now *p = b ? b->procs : NULL; p; p = p->next) {
        struct hf_live_proc s = {.pid = p->pid, .ppid = p->ppid, .ns_pid = p->ns_pid, .uid = p->uid, .name = hf_text(&p->name), .exe = hf_text(&p->exe), .args = hf_text(&p->args),
                .session = hf_span_z(p->session), .verdict = hf_text(&p->verdict), .started = p->started, .runtime = p->runtime, .severity = p->severity};
        if (!cb(ctx, &s))
            break;
    }
    pthread_mutex_unlock(&l->lock);
    return n;
}

void hf_live_verdicts(struct hf_live *l, struct hf_span container, struct hf_span digest, hf_live_text_cb cb, void *ctx)
{
    bool more = true;
    pthread_mutex_lock(&l->lock);
    for (struct hf_lt_node *n = l->boxes.newest; n && more; n = n->older) {
        const struct hf_box *b = (struct hf_box *)n;
        if ((container.n && !hf_span_eq(hf_text(&b->id), container)) || (digest.n && !hf_span_eq(hf_text(&b->digest), digest)))
            continue;
        for (unsigned i = 0; i < HF_LIVE_VERDICTS && i < b->verdict_at && more; i++) {
            const struct hf_text *t = &b->verdicts[(b->verdict_at - 1 - i) % HF_LIVE_VERDICTS];
            more = !t->n || cb(ctx, hf_text(t));
        }
    }
    pthread_mutex_unlock(&l->lock);
}
