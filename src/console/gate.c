// SPDX-License-Identifier: Apache-2.0
#include "console/gate.h"

#include <arpa/inet.h>
#include <pthread.h>

#define SEC 1000000000ll
#define FORGET_NS (24 * 3600 * SEC)   /* failures this long ago do not count */
#define KNOWN_NS (30 * 86400 * SEC)   /* an address an account signed in from */
#define AUDIT_A_MINUTE 60

enum kind { PAIR, ADDRESS, ACCOUNT, KNOWN, REQUESTS };
struct slot {
    uint64_t key;      /* 0: free */
    int64_t last, until;
    uint32_t failures; /* since the last right one */
    double tokens;
};
struct hf_gate {
    pthread_mutex_t lock;
    struct slot slots[HF_GATE_SLOTS];
    int64_t audit_minute;
    unsigned audit_n;
    uint64_t left_out;
};
static const struct {
    uint32_t free;        /* failures without a wait */
    int64_t first, most;  /* ns */
} waits[] = {[PAIR] = {5, 30 * SEC, 900 * SEC}, [ADDRESS] = {20, 30 * SEC, 900 * SEC}, [ACCOUNT] = {50, 10 * SEC, 60 * SEC}};

struct hf_gate *hf_gate_new(void)
{
    struct hf_gate *g = calloc(1, sizeof *g);
    if (g)
        pthread_mutex_init(&g->lock, NULL);
    return g;
}

void hf_gate_free(struct hf_gate *g)
{
    if (g)
        pthread_mutex_destroy(&g->lock);
    free(g);
}

/* An address of IPv6 is cheap to change within its /64. */
static void add_peer(struct hf_buf *b, struct hf_span peer)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr a;
    if (peer.n < sizeof text && hf_span_find(peer, ':') != SIZE_MAX) {
        memcpy(text, peer.p, peer.n);
        text[peer.n] = 0;
        if (inet_pton(AF_INET6, text, &a) == 1) {
            hf_buf_add(b, a.s6_addr, 8);
            return;
        }
    }
    hf_buf_adds(b, peer);
}

static uint64_t key_of(enum kind kind, struct hf_span account, struct hf_span peer)
{
    hf_autobuf b = HF_BUF_INIT(1024);
    hf_buf_addc(&b, (char)('a' + kind));
    if (kind == PAIR || kind == ACCOUNT || kind == KNOWN)
        hf_buf_adds(&b, hf_span_sub(account, 0, 256));
    hf_buf_addc(&b, 0);
    if (kind != ACCOUNT)
        add_peer(&b, hf_span_sub(peer, 0, 256));
    uint64_t h = hf_span_hash(hf_buf_span(&b)); /* keyed: nobody can aim at a slot */
    return h ? h : 1;
}

/* Sets of eight; the longest unused of a set is given up for a new one (make). */
static struct slot *find(struct hf_gate *g, uint64_t key, bool make, int64_t now)
{
    struct slot *set = &g->slots[key % (HF_GATE_SLOTS / 8) * 8], *oldest = set;
    for (unsigned i = 0; i < 8; i++) {
        if (set[i].key == key)
            return &set[i];
        if (!set[i].key || (oldest->key && set[i].last < oldest->last && set[i].until < now))
            oldest = &set[i];
    }
    if (!make)
        return NULL;
    *oldest = (struct slot){.key = key, .last = now, .tokens = HF_GATE_BURST};
    return oldest;
}

static int64_t left(struct hf_gate *g, enum kind kind, struct hf_span account, struct hf_span peer, int64_t unlocked, int64_t now)
{
    struct slot *s = find(g, key_of(kind, account, peer), false, now);
    if (!s || s->until <= now || (kind != ADDRESS && unlocked >= s->last))
        return 0;
    return s->until - now;
}

unsigned hf_gate_wait(struct hf_gate *g, struct hf_span account, struct hf_span peer, int64_t unlocked, int64_t now)
{
    pthread_mutex_lock(&g->lock);
    struct slot *known = find(g, key_of(KNOWN, account, peer), false, now);
    int64_t wait = left(g, PAIR, account, peer, unlocked, now), more = left(g, ADDRESS, account, peer, unlocked, now);
    wait = HF_MAX(wait, more);
    if (!known || now - known->last > KNOWN_NS) {
        more = left(g, ACCOUNT, account, peer, unlocked, now);
        wait = HF_MAX(wait, more);
    }
    pthread_mutex_unlock(&g->lock);
    return (unsigned)((wait + SEC - 1) / SEC);
}

static bool count(struct hf_gate *g, enum kind kind, struct hf_span account, struct hf_span peer, int64_t now)
{
    struct slot *s = find(g, key_of(kind, account, peer), true, now);
    if (now - s->last > FORGET_NS)
        s->failures = 0;
    s->last = now;
    s->failures++;
    if (s->failures < waits[kind].free)
        return false;
    int64_t wait = waits[kind].first;
    for (uint32_t i = waits[kind].free; i < s->failures && wait < waits[kind].most; i++)
        wait *= 2;
    s->until = now + HF_MIN(wait, waits[kind].most);
    return true;
}

bool hf_gate_wrong(struct hf_gate *g, struct hf_span account, struct hf_span peer, int64_t now)
{
    pthread_mutex_lock(&g->lock);
    bool locked = count(g, PAIR, account, peer, now);
    locked = count(g, ADDRESS, account, peer, now) || locked;
    locked = count(g, ACCOUNT, account, peer, now) || locked;
    pthread_mutex_unlock(&g->lock);
    return locked;
}

void hf_gate_right(struct hf_gate *g, struct hf_span account, struct hf_span peer, int64_t now)
{
    static const enum kind cleared[] = {PAIR, ACCOUNT};
    pthread_mutex_lock(&g->lock);
    for (size_t i = 0; i < HF_ARRAY_LEN(cleared); i++) {
        struct slot *s = find(g, key_of(cleared[i], account, peer), false, now);
        if (s)
            *s = (struct slot){.key = 0};
    }
    find(g, key_of(KNOWN, account, peer), true, now)->last = now;
    pthread_mutex_unlock(&g->lock);
}

bool hf_gate_request(struct hf_gate *g, struct hf_span peer, int64_t now)
{
    pthread_mutex_lock(&g->lock);
    struct slot *s = find(g, key_of(REQUESTS, hf_span(NULL, 0), peer), true, now);
    double more = (double)(now - s->last) / (double)SEC * HF_GATE_RATE;
    s->tokens = HF_MIN(s->tokens + HF_MAX(more, 0.0), (double)HF_GATE_BURST);
    s->last = now;
    bool may = s->tokens >= 1;
    if (may)
        s->tokens -= 1;
    pthread_mutex_unlock(&g->lock);
    return may;
}

bool hf_gate_audit(struct hf_gate *g, int64_t now, uint64_t *ret_left_out)
{
    pthread_mutex_lock(&g->lock);
    if (now / (60 * SEC) != g->audit_minute) {
        g->audit_minute = now / (60 * SEC);
        g->audit_n = 0;
    }
    bool may = g->audit_n < AUDIT_A_MINUTE;
    g->audit_n += may;
    *ret_left_out = g->left_out;
    g->left_out = may ? 0 : g->left_out + 1;
    pthread_mutex_unlock(&g->lock);
    return may;
}
