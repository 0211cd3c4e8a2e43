// SPDX-License-Identifier: Apache-2.0
#include "cli/recall.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/watch-text.h"
#include "event/track.h"

#define TEXT_MAX 151u /* an entry has 160 bytes */
#define INDEXES 2048u /* small numbers of containers that are found at once */

struct entry {
    uint64_t time_ns;
    uint8_t n;
    char text[TEXT_MAX];
};
_Static_assert(sizeof(struct entry) == 160, "what recall.h promises");

struct ring {
    uint64_t key, used; /* cgroup; when it was used last */
    uint32_t n;         /* ever added */
    struct entry e[HF_RECALL_LINES];
};

struct hf_recall {
    struct ring *rings[HF_RECALL_CONTAINERS]; /* NULL: not taken yet; those taken come first */
    uint8_t by_index[INDEXES];                /* a guess, by the container's small number */
    uint64_t clock;
    struct hf_buf text, out;
};
_Static_assert(HF_RECALL_CONTAINERS <= 256, "by_index holds bytes");

int hf_recall_new(struct hf_recall **ret, struct hf_err *err)
{
    struct hf_recall *r = calloc(1, sizeof *r);
    if (!r)
        return hf_fail(err, -ENOMEM, "no memory for the flight recorder");
    hf_buf_init(&r->text, 4096);
    hf_buf_init(&r->out, HF_RECALL_LINES * 256);
    *ret = r;
    return 0;
}

void hf_recall_free(struct hf_recall *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < HF_RECALL_CONTAINERS; i++)
        free(r->rings[i]);
    hf_buf_done(&r->text);
    hf_buf_done(&r->out);
    free(r);
}

/* make: the place of another if need be. */
static struct ring *ring_of(struct hf_recall *r, const struct hf_container *c, bool make)
{
    uint64_t key = c ? c->cgroup_id : 0;
    uint8_t *guess = &r->by_index[c ? (c->index + 1) % INDEXES : 0];
    struct ring *ring = r->rings[*guess];
    if (ring && ring->key == key)
        return ring;
    size_t i = 0, oldest = 0;
    for (; i < HF_RECALL_CONTAINERS && r->rings[i]; i++) {
        if (r->rings[i]->key == key) {
            *guess = (uint8_t)i;
            return r->rings[i];
        }
        if (r->rings[i]->used < r->rings[oldest]->used)
            oldest = i;
    }
    if (!make)
        return NULL;
    if (i == HF_RECALL_CONTAINERS)
        i = oldest;
    else if (!(r->rings[i] = calloc(1, sizeof *ring)))
        return NULL;
    r->rings[i]->key = key;
    r->rings[i]->n = 0;
    *guess = (uint8_t)i;
    return r->rings[i];
}

void hf_recall_add(struct hf_recall *r, const struct hf_event *ev)
{
    if (hf_watch_is_setup(ev))
        return;
    hf_buf_clear(&r->text);
    if (ev->proc && ev->proc->comm.n) {
        hf_buf_add_escaped(&r->text, ev->proc->comm, 20);
        hf_buf_addf(&r->text, " (%u) ", ev->proc->ns_pid ? ev->proc->ns_pid : ev->proc->pid);
    }
    if (!hf_watch_words(ev, &r->text) || !hf_buf_ok(&r->text))
        return;
    struct ring *ring = ring_of(r, ev->container, true);
    if (!ring)
        return;
    struct entry *e = &ring->e[ring->n++ % HF_RECALL_LINES];
    size_t n = HF_MIN(r->text.n, (size_t)TEXT_MAX);
    while (n && n < r->text.n && ((unsigned char)r->text.p[n] & 0xc0) == 0x80) /* not within a character */
        n--;
    e->time_ns = ev->time_ns;
    e->n = (uint8_t)n;
    memcpy(e->text, r->text.p, n);
    ring->used = ++r->clock;
}

size_t hf_recall_before(struct hf_recall *r, const struct hf_container *c, uint64_t time_ns, struct hf_span ret[HF_RECALL_LINES])
{
    const struct ring *ring = ring_of(r, c, false);
    size_t from[HF_RECALL_LINES], lines = 0;
    if (!ring)
        return 0;
    uint32_t first = ring->n - HF_MIN(ring->n, HF_RECALL_LINES);
    hf_buf_clear(&r->out);
    for (uint32_t i = first; i != ring->n; i++) {
        const struct entry *e = &ring->e[i % HF_RECALL_LINES];
        uint64_t ago = time_ns > e->time_ns ? time_ns - e->time_ns : 0; /* processors may tell a little out of order */
        if (ago > HF_RECALL_NS)
            continue;
        from[lines++] = r->out.n;
        hf_buf_addf(&r->out, "-%u.%03u s  ", (unsigned)(ago / 1000000000u), (unsigned)(ago / 1000000u % 1000));
        hf_buf_add(&r->out, e->text, e->n);
    }
    if (!hf_buf_ok(&r->out))
        return 0;
    for (size_t i = 0; i < lines; i++)
        ret[i] = hf_span(r->out.p + from[i], (i + 1 < lines ? from[i + 1] : r->out.n) - from[i]);
    return lines;
}
