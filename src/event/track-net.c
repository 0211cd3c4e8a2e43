// SPDX-License-Identifier: Apache-2.0
/* Both ends of connections, the names of addresses, and who talks to whom. */
#include <netinet/in.h>
#include <stdio.h>

#include "event/track-internal.h"

#define HOME_CLASH_NS 600000000000ull
#define LOOKS 8u /* places a key may lie in; the longest unused of them is replaced */

struct tuple {
    uint8_t local[16], peer[16];
    uint16_t local_port, peer_port, protocol, pad;
};

/* A tuple's place: its own, or a free or the longest unused one of those it may have. */
static struct hf_conn *place(const struct hf_track *t, const struct tuple *k, bool make)
{
    size_t at = (size_t)hf_track_hash(k, sizeof *k);
    struct hf_conn *oldest = NULL;
    for (unsigned i = 0; i < LOOKS; i++) {
        struct hf_conn *c = &t->conns[(at + i) & t->conns_mask];
        if (c->used && c->local_port == k->local_port && c->peer_port == k->peer_port && c->protocol == k->protocol &&
                !memcmp(c->local, k->local, 16) && !memcmp(c->peer, k->peer, 16))
            return c;
        if (!oldest || !c->used || (oldest->used && c->last_ns < oldest->last_ns))
            oldest = oldest && !oldest->used ? oldest : c;
    }
    return make ? oldest : NULL;
}

static struct tuple tuple_of(const uint8_t local[16], uint16_t local_port, const uint8_t peer[16], uint16_t peer_port, uint16_t protocol)
{
    struct tuple k = {.local_port = local_port, .peer_port = peer_port, .protocol = protocol};
    memcpy(k.local, local, 16);
    memcpy(k.peer, peer, 16);
    return k;
}

static void remember(struct hf_track *t, const struct hf_event *ev, const struct tuple *k, bool listener)
{
    struct hf_conn *c = place(t, k, true);
    *c = (struct hf_conn){
            .local_port = k->local_port,
            .peer_port = k->peer_port,
            .protocol = k->protocol,
            .used = true,
            .listener = listener,
            .pid = ev->h->pid,
            .start_ns = ev->h->start_ns,
            .net_ns = ev->h->net_ns,
            .cgroup_id = ev->h->cgroup_id,
            .last_ns = ev->h->time_ns,
    };
    memcpy(c->local, k->local, 16);
    memcpy(c->peer, k->peer, 16);
}

static const uint8_t any4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, any6[16] = {0};

static bool is_any(const uint8_t a[16])
{
    return !memcmp(a, any4, 16) || !memcmp(a, any6, 16);
}

/* A listener's key.  Its loopback, and "any" address, is another in each network namespace. */
static struct tuple listening(const uint8_t local[16], uint16_t port, uint16_t protocol, uint32_t net_ns)
{
    struct tuple k = tuple_of(local, port, any6, 0, protocol);
    if (is_any(local) || hf_event_addr_is_loopback(local))
        memcpy(k.peer, &net_ns, sizeof net_ns);
    return k;
}

/* ---- whose an address is ---- */

static struct hf_home *home_place(const struct hf_track *t, const uint8_t addr[16], bool make)
{
    size_t at = (size_t)hf_track_hash(addr, 16);
    struct hf_home *oldest = NULL;
    for (unsigned i = 0; i < LOOKS; i++) {
        struct hf_home *h = &t->homes[(at + i) & t->names_mask];
        if (h->used && !memcmp(h->addr, addr, 16))
            return h;
        if (!oldest || !h->used || (oldest->used && h->last_ns < oldest->last_ns))
            oldest = oldest && !oldest->used ? oldest : h;
    }
    return make ? oldest : NULL;
}

/* A process used this address as its own.  Networks that do not know of each other may have the same addresses: then neither is
 * believed for a while, unless the container that had it has ended. */
static void learn_home(struct hf_track *t, const struct hf_event *ev, const uint8_t addr[16])
{
    uint32_t ns = ev->h->net_ns;
    if (!ns || is_any(addr) || hf_event_addr_is_loopback(addr) || addr[0] == 0xff || (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80) || (hf_event_addr_is_v4(addr) && addr[12] >= 224))
        return;
    struct hf_home *h = home_place(t, addr, true);
    uint64_t now = ev->h->time_ns, clash = 0;
    if (h->used && !memcmp(h->addr, addr, 16)) {
        const struct hf_container *c = h->cgroup_id ? hf_track_container(t, h->cgroup_id) : NULL;
        bool gone = h->cgroup_id && (!c || c->ended_ns);
        clash = h->net_ns != ns && !gone ? now : h->clash_ns;
    }
    *h = (struct hf_home){.net_ns = ns, .used = true, .cgroup_id = ev->container ? ev->container->cgroup_id : 0, .last_ns = now, .clash_ns = clash};
    memcpy(h->addr, addr, 16);
}

static const struct hf_home *home_of(const struct hf_track *t, const uint8_t addr[16], uint64_t now_ns)
{
    const struct hf_home *h = home_place(t, addr, false);
    return h && (!h->clash_ns || now_ns > h->clash_ns + HOME_CLASH_NS) ? h : NULL;
}

/* Who is at the other end, when that end is on this host: it was seen with the mirrored tuple, or it listens there. */
static struct hf_conn *other_end(const struct hf_track *t, const struct hf_event *ev, const struct tuple *k)
{
    struct tuple mirror = tuple_of(k->peer, k->peer_port, k->local, k->local_port, k->protocol);
    bool loopback = hf_event_addr_is_loopback(k->peer);
    struct hf_conn *c = place(t, &mirror, false);
    if (c && loopback && c->net_ns != ev->h->net_ns)
        c = NULL;
    const struct hf_home *home = loopback ? NULL : home_of(t, k->peer, ev->h->time_ns);
    uint32_t ns = loopback ? ev->h->net_ns : home ? home->net_ns : 0;
    const uint8_t *const addresses[] = {k->peer, any4, any6};
    for (size_t i = 0; !c && i < HF_ARRAY_LEN(addresses) && (i == 0 || ns); i++) {
        struct tuple l = listening(addresses[i], k->peer_port, k->protocol, ns);
        c = place(t, &l, false);
        c = c && c->listener ? c : NULL;
    }
    return c;
}

/* ---- names ---- */

static struct hf_name *name_place(const struct hf_track *t, uint64_t cgroup_id, const uint8_t addr[16], bool make)
{
    struct {
        uint64_t id;
        uint8_t addr[16];
    } k = {cgroup_id, {0}};
    memcpy(k.addr, addr, 16);
    size_t at = (size_t)hf_track_hash(&k, sizeof k);
    for (unsigned i = 0; i < 4; i++) {
        struct hf_name *n = &t->names[(at + i) & t->names_mask];
        if (n->n && n->cgroup_id == cgroup_id && !memcmp(n->addr, addr, 16))
            return n;
    }
    for (unsigned i = 0; make && i < 4; i++) {
        struct hf_name *n = &t->names[(at + i) & t->names_mask];
        if (!n->n)
            return n;
    }
    return make ? &t->names[at & t->names_mask] : NULL;
}

static uint64_t owner(const struct hf_event *ev)
{
    return ev->container ? ev->container->cgroup_id : 0;
}

static void learn_names(struct hf_track *t, const struct hf_event *ev)
{
    for (unsigned i = 0; ev->app.name.n && i < ev->app.n_addrs; i++) {
        struct hf_name *n = name_place(t, owner(ev), ev->app.addrs[i], true);
        n->cgroup_id = owner(ev);
        memcpy(n->addr, ev->app.addrs[i], 16);
        n->n = (uint8_t)HF_MIN(ev->app.name.n, sizeof n->name);
        memcpy(n->name, ev->app.name.p, n->n);
    }
}

/* ---- the map ---- */

static struct hf_span store(struct hf_edge_slot *s, size_t *at, struct hf_span text)
{
    size_t n = HF_MIN(text.n, sizeof s->text / 3);
    struct hf_span kept = hf_span(s->text + *at, n);
    if (n)
        memcpy(s->text + *at, text.p, n);
    *at += n;
    return kept;
}

static void edge(struct hf_track *t, const struct hf_event *ev, bool incoming)
{
    const struct hf_wire_net *n = &ev->u.net;
    bool local = ev->peer_proc || ev->peer_container;
    const struct hf_container *from = incoming ? ev->peer_container : ev->container, *to = incoming ? ev->container : ev->peer_container;
    struct {
        uint64_t from, to;
        uint8_t peer[16];
        uint16_t port, protocol;
        uint32_t kind;
    } k = {.from = from ? from->cgroup_id : 0, .to = to ? to->cgroup_id : 0, .port = incoming ? n->local_port : n->peer_port, .protocol = n->protocol};
    k.kind = (uint32_t)local << 1 | (incoming && !local);
    if (!local)
        memcpy(k.peer, n->peer, 16);
    size_t at = (size_t)hf_track_hash(&k, sizeof k);
    struct hf_edge_slot *s = NULL;
    for (unsigned i = 0; i < LOOKS; i++) {
        struct hf_edge_slot *e = &t->edges[(at + i) & t->edges_mask];
        if (e->used && e->from_id == k.from && e->to_id == k.to && e->e.port == k.port && e->e.protocol == k.protocol && e->e.peer_local == local &&
                (local || !memcmp(e->e.peer, k.peer, 16))) {
            s = e;
            break;
        }
        if (!s || !e->used || (s->used && e->e.last_ns < s->e.last_ns))
            s = s && !s->used ? s : e;
    }
    bool same = s->used && s->from_id == k.from && s->to_id == k.to && s->e.port == k.port && s->e.protocol == k.protocol && s->e.peer_local == local &&
            (local || !memcmp(s->e.peer, k.peer, 16));
    if (!same) {
        const struct hf_proc *from_proc = incoming ? ev->peer_proc : ev->proc, *to_proc = incoming ? ev->proc : ev->peer_proc;
        size_t used = 0;
        t->n_edges += !s->used;
        *s = (struct hf_edge_slot){.from_id = k.from, .to_id = k.to, .used = true};
        s->e = (struct hf_edge){.port = k.port, .protocol = k.protocol, .peer_local = local, .first_ns = ev->time_ns};
        memcpy(s->e.peer, n->peer, 16);
        s->e.from_exe = store(s, &used, from_proc ? from_proc->exe : hf_span(NULL, 0));
        s->e.to_exe = store(s, &used, to_proc ? to_proc->exe : hf_span(NULL, 0));
        s->e.peer_name = store(s, &used, ev->peer_name);
    }
    s->e.last_ns = ev->time_ns;
    bool again = local && incoming; /* the other end tells of it */
    s->e.count += n->op == HF_NET_ESTABLISHED || (n->op == HF_NET_ACCEPT && !again) || n->op == HF_NET_SEND || n->op == HF_NET_FAILED || n->op == HF_NET_CONNECT;
    s->e.failed += n->op == HF_NET_FAILED;
    if (n->op == HF_NET_CLOSE && !again) {
        s->e.bytes_out += incoming ? n->bytes_in : n->bytes_out;
        s->e.bytes_in += incoming ? n->bytes_out : n->bytes_in;
    }
}

void hf_track_each_edge(const struct hf_track *t, bool (*fn)(void *ctx, const struct hf_edge *e), void *ctx)
{
    for (size_t i = 0; i <= t->edges_mask; i++) {
        const struct hf_edge_slot *s = &t->edges[i];
        if (!s->used)
            continue;
        struct hf_edge e = s->e;
        e.from = hf_track_container(t, s->from_id);
        e.to = hf_track_container(t, s->to_id);
        if (!fn(ctx, &e))
            return;
    }
}

/* ---- events ---- */

/* Returns whether the other end is a connection of a container on this host, which tells of what passes. */
static bool join(struct hf_track *t, struct hf_event *ev, const struct tuple *k)
{
    struct hf_conn *c = other_end(t, ev, k);
    struct hf_name *n = name_place(t, owner(ev), k->peer, false);
    if (!n && owner(ev))
        n = name_place(t, 0, k->peer, false);
    if (n)
        ev->peer_name = hf_span(n->name, n->n);
    if (!c) { /* who it is may be known, and not which of its programs */
        const struct hf_home *home = hf_event_addr_is_loopback(k->peer) ? NULL : home_of(t, k->peer, ev->h->time_ns);
        if (home && home->cgroup_id && home->net_ns != ev->h->net_ns)
            ev->peer_container = (struct hf_container *)(uintptr_t)hf_track_container(t, home->cgroup_id);
        return false;
    }
    ev->peer_proc = hf_track_proc(t, c->pid, c->start_ns);
    ev->peer_container = (struct hf_container *)(uintptr_t)hf_track_container(t, c->cgroup_id);
    if (!ev->peer_container && ev->peer_proc)
        ev->peer_container = ev->peer_proc->container;
    return !c->listener && ev->peer_container;
}

bool hf_track_net_event(struct hf_track *t, struct hf_event *ev)
{
    if (ev->type == HF_EV_PAYLOAD) {
        const struct hf_wire_payload *p = &ev->u.payload;
        struct tuple k = tuple_of(p->local, p->local_port, p->peer, p->peer_port, p->protocol);
        if (ev->app.kind == HF_APP_DNS && ev->app.dns_response)
            learn_names(t, ev);
        bool told = join(t, ev, &k);
        return !told || !(p->payload_flags & HF_PAYLOAD_ACCEPTED);
    }
    const struct hf_wire_net *n = &ev->u.net;
    struct tuple k = tuple_of(n->local, n->local_port, n->peer, n->peer_port, n->protocol);
    if (n->op == HF_NET_LISTEN || n->op == HF_NET_BIND) {
        struct tuple l = listening(n->local, n->local_port, n->protocol, ev->h->net_ns);
        learn_home(t, ev, n->local);
        if (n->op == HF_NET_LISTEN || n->protocol == IPPROTO_UDP)
            remember(t, ev, &l, true);
        return true;
    }
    if (n->op == HF_NET_ESTABLISHED || n->op == HF_NET_ACCEPT)
        learn_home(t, ev, n->local);
    join(t, ev, &k);
    bool incoming = n->op == HF_NET_ACCEPT;
    if (incoming)
        hf_track_reached(t, ev);
    if (n->op == HF_NET_CLOSE) {
        struct hf_conn *c = place(t, &k, false);
        incoming = c && c->listener; /* kept from ACCEPT */
        if (c)
            c->used = false;
    } else if (n->local_port || n->peer_port) {
        remember(t, ev, &k, incoming);
    }
    edge(t, ev, incoming);
    return true;
}
