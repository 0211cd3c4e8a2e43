// SPDX-License-Identifier: Apache-2.0
#include "event/reached.h"

#include <string.h>

#include "event/track.h"

#define ANCESTORS 16u

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
    const uint8_t *at = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ at[i]) * 0x100000001b3ull; /* FNV-1a */
    return h;
}

uint64_t hf_connection_key(const struct hf_event *ev)
{
    struct end {
        uint8_t addr[16];
        uint16_t port;
    } a = {.port = 0}, b = {.port = 0};
    bool net = ev->type == HF_EV_NET;
    memcpy(a.addr, net ? ev->u.net.local : ev->u.payload.local, 16);
    memcpy(b.addr, net ? ev->u.net.peer : ev->u.payload.peer, 16);
    a.port = net ? ev->u.net.local_port : ev->u.payload.local_port;
    b.port = net ? ev->u.net.peer_port : ev->u.payload.peer_port;
    uint16_t protocol = net ? ev->u.net.protocol : ev->u.payload.protocol;
    int order = memcmp(a.addr, b.addr, 16);
    const struct end *first = order < 0 || (order == 0 && a.port < b.port) ? &a : &b, *second = first == &a ? &b : &a;
    uint64_t h = mix(0xcbf29ce484222325ull, &protocol, sizeof protocol);
    h = mix(mix(h, first->addr, 16), &first->port, sizeof first->port);
    h = mix(mix(h, second->addr, 16), &second->port, sizeof second->port);
    if (hf_event_addr_is_loopback(a.addr))
        h = mix(h, &ev->h->net_ns, sizeof ev->h->net_ns);
    return h;
}

static uint8_t keep(char *to, size_t max, struct hf_span text)
{
    size_t n = HF_MIN(text.n, max);
    if (n)
        memcpy(to, text.p, n);
    return (uint8_t)n;
}

void hf_reached_add(struct hf_reached_list *l, const struct hf_event *ev)
{
    const struct hf_wire_net *n = &ev->u.net;
    struct hf_reached r = {.key = hf_connection_key(ev), .time_ns = ev->time_ns, .peer_port = n->peer_port, .local_port = n->local_port, .protocol = n->protocol};
    memcpy(r.peer, n->peer, 16);
    if (ev->peer_container)
        r.container_n = keep(r.container, sizeof r.container, ev->peer_container->name.n ? ev->peer_container->name : ev->peer_container->id);
    if (ev->peer_proc)
        r.exe_n = keep(r.exe, sizeof r.exe, ev->peer_proc->exe);
    size_t at = 0;
    while (at < l->n && (memcmp(l->r[at].peer, r.peer, 16) || l->r[at].local_port != r.local_port || l->r[at].container_n != r.container_n ||
                                memcmp(l->r[at].container, r.container, r.container_n)))
        at++;
    if (at < l->n && !r.exe_n) { /* which of its programs it is may only be known of some of its connections */
        r.exe_n = l->r[at].exe_n;
        memcpy(r.exe, l->r[at].exe, sizeof r.exe);
    }
    if (at == l->n && l->n < HF_REACHED_MAX)
        l->n++;
    at = HF_MIN(at, (size_t)HF_REACHED_MAX - 1);
    memmove(&l->r[1], &l->r[0], at * sizeof l->r[0]);
    l->r[0] = r;
}

const struct hf_reached_list *hf_reached_of(const struct hf_proc *p, uint64_t time_ns)
{
    const struct hf_container *in = p ? p->container : NULL;
    for (unsigned i = 0; p && i < ANCESTORS && p->container == in; i++, p = p->parent)
        if (p->reached && p->reached->n && p->reached->r[0].time_ns + HF_REACHED_NS >= time_ns)
            return p->reached;
    return NULL;
}
