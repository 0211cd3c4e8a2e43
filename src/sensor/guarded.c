// SPDX-License-Identifier: Apache-2.0
#include "sensor/guarded.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "event/event.h"

#define FRAMES_AT_ONCE 16u

int hf_guarded_init(struct hf_guarded *g, int fd, struct hf_err *err)
{
    *g = (struct hf_guarded){.gone = fd < 0, .gone_told = fd < 0};
    hf_frames_init(&g->frames, fd);
    g->known = fd < 0 ? NULL : calloc(HF_GUARDED_KNOWN, sizeof *g->known);
    return fd >= 0 && !g->known ? hf_fail(err, -ENOMEM, "no memory for the guard's verdicts") : 0;
}

void hf_guarded_done(struct hf_guarded *g)
{
    hf_frames_done(&g->frames);
    free(g->known);
    g->known = NULL;
}

void hf_guarded_wait(const struct hf_guarded *g, int ms)
{
    struct pollfd p = {.fd = g->frames.fd, .events = POLLIN};
    if (!g->gone)
        (void)poll(&p, 1, ms);
}

static uint64_t key_of(uint64_t cgroup_id, uint64_t inode, uint64_t ctime_ns, uint32_t dev, bool root, struct hf_span path)
{
    const uint64_t words[6] = {cgroup_id, inode, ctime_ns, dev, hf_span_hash(path), root};
    uint64_t key = hf_span_hash(hf_span((const char *)words, sizeof words));
    return key ? key : 1;
}

static struct hf_guarded_known *place(const struct hf_guarded *g, uint64_t key)
{
    struct hf_guarded_known *a = &g->known[key % HF_GUARDED_KNOWN], *b = &g->known[(key + 1) % HF_GUARDED_KNOWN];
    return a->key == key ? a : b->key == key ? b : a->until_ns <= b->until_ns ? a : b;
}

/* Lower layers cannot be written to from the container: what they hold stays what it is.  Scripts are files of their own, and are looked at each time. */
static bool can_be_known(const struct hf_wire_exec *x)
{
    return (x->exec_flags & HF_X_OVERLAY) && !(x->exec_flags & (HF_X_UPPER | HF_X_COPIED_UP | HF_X_DELETED | HF_X_MEMFD | HF_X_SCRIPT));
}

static bool is_known(struct hf_guarded *g, struct hf_span record, uint64_t cgroup_id, uint64_t now_ns)
{
    struct hf_wire_exec x;
    if (record.n < sizeof x)
        return true;
    memcpy(&x, record.p, sizeof x);
    if (x.h.type != HF_EV_EXEC || !can_be_known(&x))
        return false;
    uint64_t key = key_of(cgroup_id, x.inode, x.ctime_ns, x.dev, x.h.euid == 0, hf_span_sub(record, sizeof x, x.path_len));
    const struct hf_guarded_known *k = place(g, key);
    g->skipped += k->key == key && k->until_ns > now_ns;
    return k->key == key && k->until_ns > now_ns;
}

static bool is_wanted(struct hf_span record, const struct hf_wire_hdr *h)
{
    struct hf_wire_net n;
    if (h->type == HF_EV_NET && record.n >= sizeof n) {
        memcpy(&n, record.p, sizeof n);
        return n.op == HF_NET_LISTEN;
    }
    return h->type == HF_EV_EXEC || h->type == HF_EV_PROC || h->type == HF_EV_MEM || h->type == HF_EV_FILE || h->type == HF_EV_CONTAINER || h->type == HF_EV_CONTAINER_END;
}

void hf_guarded_send(struct hf_guarded *g, struct hf_span record, uint64_t cgroup_id, uint64_t now_ns)
{
    struct hf_wire_hdr h;
    if (g->gone || !cgroup_id || record.n < sizeof h || record.n > HF_WIRE_MAX)
        return;
    memcpy(&h, record.p, sizeof h);
    if (!is_wanted(record, &h) || ((h.type == HF_EV_EXEC || h.type == HF_EV_PROC) && is_known(g, record, cgroup_id, now_ns)))
        return;
    hf_frames_add(&g->frames, record);
    if (g->frames.now.n < record.n)
        return;
    size_t at = g->frames.now.n - record.n;
    memcpy(g->frames.now.p + at + offsetof(struct hf_wire_hdr, cgroup_id), &cgroup_id, sizeof cgroup_id); /* the container's own group, not one below */
}

void hf_guarded_pace(struct hf_guarded *g, bool on)
{
    hf_autobuf b = HF_BUF_INIT(256);
    if (on == g->paced || g->gone)
        return;
    g->paced = on;
    hf_pairs_begin(&b, HF_EV_STATUS, 0);
    hf_pairs_add(&b, HF_GUARD_PACE, on ? HF_S("1") : HF_S("0"));
    struct hf_span record = hf_pairs_end(&b);
    if (record.n)
        hf_frames_add(&g->frames, record);
    hf_guarded_flush(g);
}

static bool is_cost(struct hf_guarded *g, const struct hf_event *ev)
{
    struct hf_span rest = ev->text, name, value, part;
    uint64_t cost[HF_GUARDED_COSTS];
    if (ev->type != HF_EV_STATUS || !hf_event_pair(&rest, &name, &value) || !hf_span_eqz(name, HF_GUARD_COST))
        return false;
    for (size_t i = 0; i < HF_GUARDED_COSTS; i++) {
        if (i + 1 == HF_GUARDED_COSTS)
            part = value;
        else if (!hf_span_cut(&value, ' ', &part))
            return true;
        if (hf_parse_u64(part, 10, 0, UINT64_MAX, &cost[i]) < 0)
            return true;
    }
    memcpy(g->cost, cost, sizeof cost);
    return true;
}

void hf_guarded_flush(struct hf_guarded *g)
{
    if (g->gone)
        return;
    hf_frames_flush(&g->frames);
    g->gone |= g->frames.closed;
}

/* As the image has it, and nothing was done: only this side wants to know. */
static bool is_quiet(struct hf_guarded *g, const struct hf_event *ev, uint64_t now_ns)
{
    const struct hf_wire_verdict *v = &ev->u.verdict;
    if (ev->type != HF_EV_VERDICT || v->verdict != HF_VERDICT_SEALED || v->action != HF_ACTION_NONE || v->use != HF_USE_EXEC)
        return false;
    uint64_t key = key_of(ev->h->cgroup_id, v->inode, v->ctime_ns, v->dev, ev->h->euid == 0, ev->path);
    struct hf_guarded_known *k = place(g, key);
    *k = (struct hf_guarded_known){.key = key, .until_ns = now_ns + HF_GUARDED_AGAIN_NS};
    return true;
}

void hf_guarded_read(struct hf_guarded *g, uint64_t now_ns, void (*tell)(void *ctx, struct hf_span record), void *ctx)
{
    static _Thread_local _Alignas(8) char frame[HF_WIRE_MAX];
    for (unsigned i = 0; i < FRAMES_AT_ONCE && !g->gone; i++) {
        ssize_t n = recv(g->frames.fd, frame, sizeof frame, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            g->gone = true;
        if (n <= 0)
            return;
        struct hf_span rest = hf_span(frame, (size_t)n);
        size_t len;
        while (hf_event_frame(rest, &len, NULL) == 1) {
            struct hf_span one = hf_span_sub(rest, 0, len);
            struct hf_event ev;
            rest = hf_span_from(rest, len);
            if (hf_event_decode(one, &ev, NULL) < 0 || (ev.type != HF_EV_VERDICT && ev.type != HF_EV_STATUS && ev.type != HF_EV_LOSS)) {
                g->bad++;
                continue;
            }
            g->verdicts += ev.type == HF_EV_VERDICT;
            if (!is_quiet(g, &ev, now_ns) && !is_cost(g, &ev))
                tell(ctx, one);
        }
    }
}
