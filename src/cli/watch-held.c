// SPDX-License-Identifier: Apache-2.0
#include "cli/watch-held.h"

#include <stdlib.h>

struct one {
    bool used;
    uint32_t pid, dev;
    uint64_t start_ns, inode, until_ns;
    enum hf_severity severity;
    char id[27];
    struct hf_buf log, line;
};
struct hf_held {
    struct one all[HF_HELD_MAX];
    size_t n;
};

struct hf_held *hf_held_new(void)
{
    struct hf_held *h = calloc(1, sizeof *h);
    for (size_t i = 0; h && i < HF_HELD_MAX; i++) {
        hf_buf_init(&h->all[i].log, HF_HELD_BYTES);
        hf_buf_init(&h->all[i].line, HF_HELD_BYTES);
    }
    return h;
}

void hf_held_free(struct hf_held *h)
{
    for (size_t i = 0; h && i < HF_HELD_MAX; i++) {
        hf_buf_done(&h->all[i].log);
        hf_buf_done(&h->all[i].line);
    }
    free(h);
}

bool hf_held_take(struct hf_held *h, const struct hf_alert *a, struct hf_span log, struct hf_span line)
{
    const struct hf_event *ev = a->event;
    struct one *o = NULL;
    for (size_t i = 0; i < HF_HELD_MAX && !o; i++)
        o = h->all[i].used ? NULL : &h->all[i];
    if (!o || !ev || ev->type != HF_EV_EXEC || a->id.n >= sizeof o->id)
        return false;
    hf_buf_clear(&o->log);
    hf_buf_clear(&o->line);
    hf_buf_adds(&o->log, log);
    hf_buf_adds(&o->line, line);
    if (!hf_buf_ok(&o->log) || !hf_buf_ok(&o->line))
        return false;
    o->pid = ev->h->pid;
    o->start_ns = ev->h->start_ns;
    o->inode = ev->u.exec.inode;
    o->dev = ev->u.exec.dev;
    o->until_ns = ev->h->time_ns + HF_HELD_NS;
    o->severity = a->severity;
    memset(o->id, 0, sizeof o->id);
    memcpy(o->id, a->id.p, a->id.n);
    o->used = true;
    h->n++;
    return true;
}

static void tell(struct hf_held *h, struct one *o, const struct hf_held_to *to)
{
    to->tell(to->ctx, hf_buf_span(&o->log), hf_buf_span(&o->line));
    o->used = false;
    h->n--;
}

void hf_held_verdict(struct hf_held *h, const struct hf_event *ev, int worst, const struct hf_held_to *to)
{
    const struct hf_wire_verdict *v = &ev->u.verdict;
    for (size_t i = 0; h->n && i < HF_HELD_MAX; i++) {
        struct one *o = &h->all[i];
        if (!o->used || v->use != HF_USE_EXEC || o->pid != ev->h->pid || o->start_ns != ev->h->start_ns || o->inode != v->inode || o->dev != v->dev)
            continue;
        if (worst < (int)o->severity || !to->leave_out(to->ctx, hf_span_z(o->id))) {
            tell(h, o, to);
            continue;
        }
        o->used = false;
        h->n--;
    }
}

bool hf_held_due(struct hf_held *h, uint64_t boot_ns, const struct hf_held_to *to)
{
    for (size_t i = 0; h->n && i < HF_HELD_MAX; i++)
        if (h->all[i].used && (boot_ns == UINT64_MAX || h->all[i].until_ns <= boot_ns))
            tell(h, &h->all[i], to);
    return h->n;
}
