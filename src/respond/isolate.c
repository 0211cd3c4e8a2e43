// SPDX-License-Identifier: Apache-2.0
#include "respond/isolate.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>

#include "respond/cut.h"
#include "respond/gate.h"

#define COMMANDS_MAX 65536u
#define OUTPUT_MAX 65536u
#define DEVICES_MAX 64u

/* "ip daddr 10.0.0.0/8 meta l4proto { tcp, udp } th dport 443 accept"; dir: 's' or 'd'. */
static void accept_rule(const struct hf_gate_allow *a, const char *chain, char dir, struct hf_buf *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct hf_gate_allow plain = *a;
    bool v4 = !memcmp(a->addr, mapped, 12) && a->prefix >= 96;
    plain.port = 0;
    hf_buf_addf(out, "add rule %s %s %caddr ", chain, v4 ? "ip" : "ip6", dir);
    hf_gate_allow_text(&plain, out);
    if (a->port)
        hf_buf_addf(out, " meta l4proto { tcp, udp } th %cport %u", dir, a->port);
    hf_buf_addz(out, " accept\n");
}

static bool any_v6(const struct hf_gate_config *c)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    for (unsigned i = 0; i < c->n_allow; i++)
        if (memcmp(c->allow[i].addr, mapped, 12) != 0)
            return true;
    return false;
}

/* A name that needs no quoting rules of nft. */
static bool plain_name(const char *z)
{
    for (const char *p = z; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("-_.@", *p)))
            return false;
    return *z != 0;
}

void hf_isolate_commands(const struct hf_gate_config *c, const char *const *devices, size_t n, struct hf_buf *out)
{
    static const char t[] = "inet " HF_ISOLATE_TABLE;
    /* made first, so that deleting it is no error when there is none: the whole is one transaction */
    hf_buf_addf(out, "add table %s\ndelete table %s\nadd table %s\nadd counter %s out\nadd counter %s in\n", t, t, t, t, t);
    hf_buf_addf(out, "add chain %s out { type filter hook output priority -400; policy drop; }\nadd chain %s in { type filter hook input priority -400; policy drop; }\n", t, t);
    hf_buf_addf(out, "add chain %s through { type filter hook forward priority -400; policy drop; }\n", t);
    hf_buf_addf(out, "add rule %s out oif lo accept\nadd rule %s in iif lo accept\n", t, t);
    if (any_v6(c)) /* else their addresses are never found */
        hf_buf_addf(out, "add rule %s out icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\nadd rule %s in icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n", t, t);
    for (unsigned i = 0; i < c->n_allow; i++) {
        accept_rule(&c->allow[i], "inet " HF_ISOLATE_TABLE " out", 'd', out);
        accept_rule(&c->allow[i], "inet " HF_ISOLATE_TABLE " in", 's', out);
    }
    hf_buf_addf(out, "add rule %s out counter name out drop\nadd rule %s in counter name in drop\n", t, t);
    if (!n)
        return;
    hf_buf_addz(out, "add table netdev " HF_ISOLATE_TABLE "\ndelete table netdev " HF_ISOLATE_TABLE "\nadd table netdev " HF_ISOLATE_TABLE "\n");
    for (size_t i = 0; i < n; i++) {
        char chain[64];
        snprintf(chain, sizeof chain, "netdev " HF_ISOLATE_TABLE " d%zu", i);
        hf_buf_addf(out, "add chain %s { type filter hook egress device \"%s\" priority -400; policy drop; }\n", chain, devices[i]);
        if (c->n_allow)
            hf_buf_addf(out, "add rule %s meta protocol arp accept\n", chain);
        if (any_v6(c))
            hf_buf_addf(out, "add rule %s icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n", chain);
        for (unsigned k = 0; k < c->n_allow; k++)
            accept_rule(&c->allow[k], chain, 'd', out);
    }
}

static void limit_rules(const struct hf_gate_config *c, unsigned dir, const char *name, struct hf_buf *out)
{
    static const char t[] = "inet " HF_LIMIT_TABLE;
    const __u64 *rate = c->rate[dir];
    hf_buf_addf(out, "add counter %s %s\nadd chain %s %s { type filter hook %s priority -390; policy accept; }\nadd rule %s %s %s lo accept\n", t, name, t, name, dir == HF_GATE_OUT ? "output" : "input",
            t, name, dir == HF_GATE_OUT ? "oif" : "iif");
    if (rate[HF_GATE_CONNECTS])
        hf_buf_addf(out, "add rule %s %s tcp flags & (syn | ack) == syn limit rate over %llu/second burst %llu packets counter name %s drop\n", t, name, (unsigned long long)rate[HF_GATE_CONNECTS],
                (unsigned long long)HF_MAX(rate[HF_GATE_CONNECTS] / 10, 1ull), name);
    if (rate[HF_GATE_PACKETS])
        hf_buf_addf(out, "add rule %s %s limit rate over %llu/second burst %llu packets counter name %s drop\n", t, name, (unsigned long long)rate[HF_GATE_PACKETS],
                (unsigned long long)HF_MAX(rate[HF_GATE_PACKETS] / 10, 1ull), name);
    if (rate[HF_GATE_BYTES])
        hf_buf_addf(out, "add rule %s %s limit rate over %llu bytes/second counter name %s drop\n", t, name, (unsigned long long)rate[HF_GATE_BYTES], name);
}

void hf_limit_commands(const struct hf_gate_config *c, struct hf_buf *out)
{
    static const char t[] = "inet " HF_LIMIT_TABLE;
    hf_buf_addf(out, "add table %s\ndelete table %s\nadd table %s\n", t, t, t);
    limit_rules(c, HF_GATE_OUT, "out", out);
    if (c->mark)
        hf_buf_addf(out, "add rule %s out meta mark 0 meta mark set 0x%x\n", t, c->mark);
    limit_rules(c, HF_GATE_IN, "in", out);
}

/* Packet sockets (AF_PACKET) send past IP.  All leaves by the interfaces' egress hooks; what was judged before has the mark.  ARP and neighbour discovery have a rate of their own, so that a flood
 * does not take the service's addresses away. */
void hf_limit_below_commands(const struct hf_gate_config *c, const char *const *devices, size_t n, struct hf_buf *out)
{
    static const char t[] = "netdev " HF_LIMIT_TABLE;
    const __u64 *rate = c->rate[HF_GATE_OUT];
    hf_buf_addf(out, "add table %s\ndelete table %s\nadd table %s\nadd counter %s out\n", t, t, t, t);
    if (rate[HF_GATE_PACKETS])
        hf_buf_addf(out, "add limit %s lp { rate over %llu/second burst %llu packets ; }\n", t, (unsigned long long)rate[HF_GATE_PACKETS], (unsigned long long)HF_MAX(rate[HF_GATE_PACKETS] / 10, 1ull));
    if (rate[HF_GATE_BYTES])
        hf_buf_addf(out, "add limit %s lb { rate over %llu bytes/second ; }\n", t, (unsigned long long)rate[HF_GATE_BYTES]);
    for (size_t i = 0; i < n; i++) {
        hf_buf_addf(out, "add chain %s d%zu { type filter hook egress device \"%s\" priority -390; policy accept; }\n", t, i, devices[i]);
        if (c->mark)
            hf_buf_addf(out, "add rule %s d%zu meta mark 0x%x accept\n", t, i, c->mark);
        hf_buf_addf(out, "add rule %s d%zu meta protocol arp limit rate 50/second accept\nadd rule %s d%zu icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } limit rate 50/second accept\n", t, i, t, i);
        if (rate[HF_GATE_PACKETS])
            hf_buf_addf(out, "add rule %s d%zu limit name \"lp\" counter name \"out\" drop\n", t, i);
        if (rate[HF_GATE_BYTES])
            hf_buf_addf(out, "add rule %s d%zu limit name \"lb\" counter name \"out\" drop\n", t, i);
    }
}

/* ---- in the namespace ---- */

struct work {
    const struct hf_gate_config *c;
    const char *table;
    bool keep; /* what was done is not taken back: it takes the place of another one */
};

/* Packets below IP leave by the interfaces that are there now. */
static int with_devices(const struct work *w, void (*commands_of)(const struct hf_gate_config *, const char *const *, size_t, struct hf_buf *), struct hf_err *err)
{
    hf_autobuf commands = HF_BUF_INIT(COMMANDS_MAX), ignored = HF_BUF_INIT(OUTPUT_MAX);
    const char *devices[DEVICES_MAX] = {NULL};
    struct if_nameindex *all = if_nameindex();
    size_t n = 0;
    for (struct if_nameindex *i = all; i && i->if_index; i++)
        if (strcmp(i->if_name, "lo") != 0 && plain_name(i->if_name) && n < DEVICES_MAX)
            devices[n++] = i->if_name;
    commands_of(w->c, devices, n, &commands);
    int rc = n && hf_buf_ok(&commands) ? hf_nft(hf_buf_z(&commands), &ignored, err) : -ENODEV;
    if_freenameindex(all);
    return rc;
}

static int isolate_here(void *ctx, struct hf_buf *out, struct hf_err *err)
{
    const struct work *w = ctx;
    struct hf_isolate_did did = {.egress = true};
    struct hf_err why = HF_ERR_INIT;
    if (with_devices(w, hf_isolate_commands, &why) < 0) {
        hf_autobuf commands = HF_BUF_INIT(COMMANDS_MAX), ignored = HF_BUF_INIT(OUTPUT_MAX);
        did.egress = false;
        hf_isolate_commands(w->c, NULL, 0, &commands);
        int rc = hf_buf_ok(&commands) ? hf_nft(hf_buf_z(&commands), &ignored, err) : hf_fail(err, HF_E_LIMIT, "too many rules");
        if (rc < 0)
            return rc;
    }
    int rc = hf_cut_connections(w->c->allow, w->c->n_allow, &did.cut, &why);
    did.cut_unsupported = rc < 0; /* the rules end them all the same, only later: by their timeouts */
    hf_buf_add(out, &did, sizeof did);
    return 0;
}

static int limit_here(void *ctx, struct hf_buf *out, struct hf_err *err)
{
    const struct work *w = ctx;
    hf_autobuf commands = HF_BUF_INIT(COMMANDS_MAX), ignored = HF_BUF_INIT(OUTPUT_MAX);
    struct hf_isolate_did did = {.egress = false};
    struct hf_err why = HF_ERR_INIT;
    hf_limit_commands(w->c, &commands);
    int rc = hf_nft(hf_buf_z(&commands), &ignored, err);
    did.egress = rc == 0 && with_devices(w, hf_limit_below_commands, &why) == 0;
    hf_buf_add(out, &did, sizeof did);
    return rc;
}

static int below_here(void *ctx, struct hf_buf *out, struct hf_err *err)
{
    (void)out;
    int rc = with_devices(ctx, hf_limit_below_commands, err);
    return rc == -ENODEV ? hf_fail(err, rc, "no interface but the loopback one") : rc;
}

static int clear_here(void *ctx, struct hf_buf *out, struct hf_err *err)
{
    const struct work *w = ctx;
    hf_autobuf commands = HF_BUF_INIT(COMMANDS_MAX);
    struct hf_err ignored = HF_ERR_INIT;
    hf_buf_addf(&commands, "add table netdev %s\ndelete table netdev %s\n", w->table, w->table);
    if (hf_nft(hf_buf_z(&commands), out, &ignored) < 0) /* kernels without that family have none */
        hf_buf_clear(out);
    hf_buf_clear(&commands);
    hf_buf_addf(&commands, "add table inet %s\ndelete table inet %s\n", w->table, w->table);
    return hf_nft(hf_buf_z(&commands), out, err);
}

static int counts_here(void *ctx, struct hf_buf *out, struct hf_err *err)
{
    const struct work *w = ctx;
    hf_autobuf commands = HF_BUF_INIT(COMMANDS_MAX);
    struct hf_err none = HF_ERR_INIT;
    hf_buf_addf(&commands, "list counters table netdev %s\n", w->table);
    int below = hf_nft(hf_buf_z(&commands), out, &none); /* only where packets below IP are counted */
    hf_buf_clear(&commands);
    hf_buf_addf(&commands, "list counters table inet %s\n", w->table);
    int rc = hf_nft(hf_buf_z(&commands), out, &none);
    if (rc < 0 && below >= 0 && strstr(none.msg, "No such file")) /* only what is below IP is limited here */
        return 0;
    return rc < 0 ? hf_fail(err, rc, "%s", none.msg) : 0;
}

static int everywhere(const struct hf_netns_list *l, hf_netns_fn fn, struct work *w, struct hf_isolate_did *ret, struct hf_err *err)
{
    struct hf_isolate_did sum = {.egress = true}, one;
    int rc = 0;
    size_t i;
    for (i = 0; i < l->n && rc == 0; i++) {
        hf_autobuf out = HF_BUF_INIT(OUTPUT_MAX);
        rc = hf_netns_run(&l->v[i], fn, w, &out, err);
        if (rc < 0 || !ret || out.n != sizeof one)
            continue;
        memcpy(&one, out.p, sizeof one);
        sum.cut += one.cut;
        sum.namespaces++;
        sum.cut_unsupported |= one.cut_unsupported;
        sum.egress &= one.egress;
    }
    for (size_t k = 0; rc < 0 && !w->keep && k + 1 < i; k++) { /* the one that failed is as it was: one transaction */
        hf_autobuf out = HF_BUF_INIT(OUTPUT_MAX);
        struct hf_err why = HF_ERR_INIT;
        if (hf_netns_run(&l->v[k], clear_here, w, &out, &why) < 0)
            return hf_fail(err, rc, "%.200s; and what was done could not be taken back: %.200s", err ? err->msg : "", why.msg);
    }
    if (rc == 0 && ret)
        *ret = sum;
    return rc;
}

int hf_isolate(const struct hf_netns_list *l, const struct hf_gate_config *c, bool already, struct hf_isolate_did *ret, struct hf_err *err)
{
    struct work w = {c, HF_ISOLATE_TABLE, already};
    return everywhere(l, isolate_here, &w, ret, err);
}

int hf_limit_by_nft(const struct hf_netns_list *l, const struct hf_gate_config *c, bool already, struct hf_isolate_did *ret, struct hf_err *err)
{
    struct work w = {c, HF_LIMIT_TABLE, already};
    return everywhere(l, limit_here, &w, ret, err);
}

int hf_limit_below(const struct hf_netns_list *l, const struct hf_gate_config *c, struct hf_err *err)
{
    struct work w = {c, HF_LIMIT_TABLE, false};
    return everywhere(l, below_here, &w, NULL, err);
}

int hf_isolate_clear(const struct hf_netns_list *l, const char *table, struct hf_err *err)
{
    struct work w = {.table = table};
    int rc = 0;
    for (size_t i = 0; i < l->n; i++) {
        hf_autobuf out = HF_BUF_INIT(OUTPUT_MAX);
        struct hf_err why = HF_ERR_INIT;
        if (hf_netns_run(&l->v[i], clear_here, &w, &out, &why) < 0)
            rc = hf_fail(err, why.code, "%s", why.msg);
    }
    return rc;
}

void hf_isolate_parse_counts(struct hf_span text, uint64_t *packets, uint64_t *bytes)
{
    struct hf_span line, word, before = {NULL, 0};
    while (hf_span_line(&text, &line)) {
        line = hf_span_trim(line);
        if (!hf_span_starts(line, HF_S("packets ")))
            continue;
        while (hf_span_cut(&line, ' ', &word)) {
            uint64_t n;
            if (hf_parse_u64(word, 10, 0, UINT64_MAX, &n) == 0) {
                uint64_t *sum = hf_span_eqz(before, "packets") ? packets : hf_span_eqz(before, "bytes") ? bytes : NULL;
                if (sum && !hf_ckd_add(sum, *sum, n))
                    *sum = UINT64_MAX;
            }
            before = word;
        }
    }
}

int hf_isolate_counts(const struct hf_netns_list *l, const char *table, uint64_t *ret_packets, uint64_t *ret_bytes, struct hf_err *err)
{
    struct work w = {.table = table};
    uint64_t packets = 0, bytes = 0;
    for (size_t i = 0; i < l->n; i++) {
        hf_autobuf out = HF_BUF_INIT(OUTPUT_MAX);
        int rc = hf_netns_run(&l->v[i], counts_here, &w, &out, err);
        if (rc < 0)
            return rc;
        hf_isolate_parse_counts(hf_buf_span(&out), &packets, &bytes);
    }
    *ret_packets = packets;
    *ret_bytes = bytes;
    return 0;
}
