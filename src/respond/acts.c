// SPDX-License-Identifier: Apache-2.0
/* What each action looks at, does and takes back. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "respond/groups.h"
#include "respond/isolate.h"
#include "respond/respond-internal.h"
#include "sensor/frames.h"

#define MEMBERS_MAX 4096u
#define YOUNG_S 1u /* a runtime makes a container in less */
#define SETTLE_TRIES 20u
#define SETTLE_NAP_MS 20

HF_PRINTF(2, 3) static void effect(struct hf_job *j, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    hf_buf_addz(&j->did->effects, line);
    hf_buf_addc(&j->did->effects, '\n');
}

static size_t count(const struct hf_target *t)
{
    hf_autofree pid_t *pids = calloc(HF_TARGET_PROCS, sizeof *pids);
    struct hf_err ignored = HF_ERR_INIT;
    size_t n = 0;
    if (pids && hf_target_procs(t->dir, pids, HF_TARGET_PROCS, &n, &ignored) < 0 && ignored.code != HF_E_LIMIT)
        return 0;
    return n;
}

const char *hf_target_freezer(const struct hf_target *t, int *ret_kind)
{
    struct hf_err ignored = HF_ERR_INIT;
    /* what the v1 freezer holds never tells the other that it stands still (docker pause on a hybrid host) */
    bool held = t->v2[0] && t->freezer[0] && hf_group_is_frozen(t->freezer, HF_FREEZER_V1, &ignored) > 0;
    *ret_kind = t->v2[0] && !held ? HF_FREEZER_V2 : t->freezer[0] ? HF_FREEZER_V1 : HF_FREEZER_NONE;
    return *ret_kind == HF_FREEZER_V2 ? t->v2 : *ret_kind == HF_FREEZER_V1 ? t->freezer : NULL;
}

static void state_json(struct hf_buf *out, const char *key, bool value, size_t processes)
{
    struct hf_jw w;
    hf_buf_clear(out);
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kbool(&w, key, value);
    hf_jw_ku64(&w, "processes", processes);
    hf_jw_object_end(&w);
}

/* ---- freeze ---- */

static int freeze_look(struct hf_job *j, struct hf_err *err)
{
    int kind;
    const char *dir = hf_target_freezer(j->t, &kind);
    if (!dir)
        return hf_fail(err, HF_E_UNSUPPORTED, "%.100s has no control group of its own with a freezer (neither in the unified hierarchy nor in the v1 freezer)", j->t->name);
    int frozen = hf_group_is_frozen(dir, (enum hf_freezer)kind, err);
    if (frozen < 0)
        return frozen;
    j->frozen_before = frozen > 0;
    j->a.was = frozen > 0;
    size_t n = count(j->t);
    state_json(&j->did->before, "frozen", frozen > 0, n);
    snprintf(j->did->rung, sizeof j->did->rung, "%s", hf_freezer_name((enum hf_freezer)kind));
    if (frozen)
        effect(j, "it is frozen already");
    else
        effect(j, n == 1 ? "%zu process stops where it is (%s); nothing of its memory, files or connections is lost, the other sides wait" : "%zu processes stop where they are (%s); nothing of their memory, files or connections is lost, the other sides wait", n, j->did->rung);
    return 0;
}

static int freeze_act(struct hf_job *j, struct hf_err *err)
{
    int kind;
    const char *dir = hf_target_freezer(j->t, &kind);
    int rc = dir ? hf_group_freeze(dir, (enum hf_freezer)kind, HF_RESPOND_FREEZE_MS, err) : -ENOENT;
    if (rc < 0)
        return rc;
    state_json(&j->did->after, "frozen", true, count(j->t));
    return 0;
}

/* ---- kill ---- */

static void comm_of(pid_t pid, struct hf_buf *out)
{
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    if (f)
        fclose(f);
    hf_buf_add_escaped(out, hf_span_trim(hf_span(text, n)), 32);
}

static int kill_look(struct hf_job *j, struct hf_err *err)
{
    hf_autobuf comm = HF_BUF_INIT(256);
    struct hf_jw w;
    size_t n = count(j->t);
    pid_t pid = j->o->pid;
    if (pid && !hf_target_has(j->t, pid))
        return hf_fail(err, HF_E_NOT_FOUND, "process %d is not in container %.100s", (int)pid, j->t->name);
    uint64_t start = pid ? hf_proc_start(pid) : 0;
    hf_jw_init(&w, &j->did->before, false);
    hf_jw_object(&w);
    hf_jw_ku64(&w, "processes", n);
    if (pid) {
        comm_of(pid, &comm);
        hf_jw_ku64(&w, "pid", (uint64_t)pid);
        hf_jw_ku64(&w, "start", start);
        hf_jw_kstr(&w, "comm", hf_buf_span(&comm));
        if (!hf_buf_ok(&comm) || !start)
            return hf_fail(err, HF_E_NOT_FOUND, "process %d has ended", (int)pid);
        effect(j, "process %d (%s) of %zu is ended by SIGKILL; this cannot be undone", (int)pid, hf_buf_z(&comm), n);
        if (j->t->init_pid == (uint32_t)pid)
            effect(j, "it is the first process of the container: all others end with it");
    } else {
        effect(j, n == 1 ? "its %zu process is ended by SIGKILL; this cannot be undone, a runtime may start the container again" :
                           "all %zu processes are ended by SIGKILL; this cannot be undone, a runtime may start the container again", n);
    }
    hf_jw_object_end(&w);
    return 0;
}

static int kill_act(struct hf_job *j, struct hf_err *err)
{
    const char *rung = "SIGKILL";
    size_t n = 1;
    int rc = j->o->pid ? hf_group_kill_one(j->t, j->o->pid, j->o->pid_start, HF_RESPOND_KILL_MS, err) : hf_group_kill(j->t, HF_RESPOND_KILL_MS, &n, &rung, err);
    snprintf(j->did->rung, sizeof j->did->rung, "%s", rung);
    if (rc < 0)
        return rc;
    hf_buf_clear(&j->did->after);
    hf_buf_addf(&j->did->after, "{\"ended\":%zu,\"processes\":%zu}", n, count(j->t));
    return 0;
}

/* ---- isolate ---- */

static void gate_name(const char *action, uint64_t cgroup_id, char out[64])
{
    snprintf(out, 64, "%s-%llu", action, (unsigned long long)cgroup_id);
}

/* Sockets of AF_XDP that are set up pass all of it by; new ones are refused by the programs of the group. */
static void xdp_effect(struct hf_job *j)
{
    uint64_t n = hf_netns_xdp(j->ns);
    if (n)
        effect(j, "%llu sockets of AF_XDP are open in its network namespace: what these send is not stopped (freeze or kill it)", (unsigned long long)n);
    if (!j->t->v2[0])
        effect(j, "it can open sockets of AF_XDP if it has CAP_NET_RAW, which pass nftables by");
}

static void allow_words(const struct hf_gate_config *c, struct hf_buf *out)
{
    for (unsigned i = 0; i < c->n_allow; i++) {
        hf_buf_addz(out, i ? ", " : "");
        hf_gate_allow_text(&c->allow[i], out);
    }
}

static bool young(const struct hf_target *t)
{
    uint64_t ticks = hf_proc_start(hf_target_pid(t));
    return !ticks || hf_boot_ns() / 1000000000ull <= ticks / (uint64_t)sysconf(_SC_CLK_TCK) + YOUNG_S;
}

/* A container that is being made has its runtime in its groups before it has all of these and a network of its own: looked at again, for a moment. */
static int look_network(struct hf_job *j, struct hf_err *err)
{
    for (unsigned i = 0;; i++) {
        int rc = hf_netns_list(j->t, j->ns, err);
        if (rc < 0 || !j->ns->host || i == SETTLE_TRIES || !young(j->t))
            return rc;
        hf_netns_list_done(j->ns);
        nanosleep(&(struct timespec){0, SETTLE_NAP_MS * 1000000l}, NULL);
        if (j->t != &j->again)
            j->again = *j->t;
        j->t = &j->again;
        rc = hf_target_groups(&j->again, err);
        if (rc < 0)
            return rc;
    }
}

static int isolate_look(struct hf_job *j, struct hf_err *err)
{
    hf_autobuf allowed = HF_BUF_INIT(MEMBERS_MAX);
    struct hf_active old;
    struct hf_err ignored = HF_ERR_INIT;
    int rc = look_network(j, err);
    if (rc < 0)
        return rc;
    if (j->ns->host && !j->t->v2[0])
        return hf_fail(err, HF_E_UNSUPPORTED, "%.100s uses the host's network, and has no group of its own in the unified hierarchy in which it could be told from the host: not isolated (freeze or kill it)", j->t->name);
    if (!j->ns->n && !j->ns->host)
        return hf_fail(err, HF_E_NOT_FOUND, "%.100s has no processes any more", j->t->name);
    bool already = hf_active_read(j->dir, "isolate", j->t->id, &old, &ignored) == 0 && old.cgroup_id == j->t->cgroup_id;
    allow_words(&j->o->gate, &allowed);
    j->already = already;
    hf_buf_addf(&j->did->before, "{\"isolated\":%s,\"network_namespaces\":%zu,\"host_network\":%s}", already ? "true" : "false", j->ns->n, j->ns->host ? "true" : "false");
    snprintf(j->a.settings, sizeof j->a.settings, "allowed: %s", allowed.n ? hf_buf_z(&allowed) : "nothing");
    snprintf(j->did->rung, sizeof j->did->rung, "%s%s%s", j->ns->n && !j->ns->host ? "nftables" : "", j->ns->n && !j->ns->host && j->t->v2[0] ? " and " : "", j->t->v2[0] ? "cgroup BPF" : "");
    effect(j, "all packets into and out of it are dropped (%s) but those over loopback%s%s; its connections are cut", j->did->rung, allowed.n ? " and with " : "", hf_buf_z(&allowed));
    if (j->ns->n && !j->ns->host)
        effect(j, "other containers that share its network namespace are cut off with it");
    if (j->ns->host)
        effect(j, "it uses the host's network: only packets of its own sockets are dropped, connections end by their timeouts");
    xdp_effect(j);
    return 0;
}

static void xdp_after(struct hf_job *j, bool gate)
{
    hf_buf_addf(&j->did->after, "\"xdp_refused\":%s,\"xdp_open\":%llu}", gate ? "true" : "false", (unsigned long long)hf_netns_xdp(j->ns));
}

static int isolate_act(struct hf_job *j, struct hf_err *err)
{
    struct hf_gate_config c = j->o->gate;
    struct hf_isolate_did did = {.namespaces = 0};
    struct hf_err why = HF_ERR_INIT;
    char name[64];
    bool nft = j->ns->n && !j->ns->host, gate = false;
    int rc = 0;
    memset(c.rate, 0, sizeof c.rate);
    c.isolate = 1;
    gate_name("isolate", j->t->cgroup_id, name);
    if (j->t->v2[0]) { /* first: it holds for all sockets of the group, also in namespaces that are made meanwhile */
        rc = hf_gate_set(j->t->v2, name, &c, &why);
        gate = rc == 0;
        if (rc < 0 && !nft)
            return hf_fail(err, rc, "%s", why.msg);
    }
    if (nft) {
        rc = hf_isolate(j->ns, &c, j->already, &did, err);
        if (rc < 0 && rc == HF_E_UNSUPPORTED && gate) { /* no libnftables: the other rung holds alone */
            nft = false;
            rc = 0;
        }
        if (rc < 0) {
            if (j->already)
                return hf_wrap(err, rc, "it stays isolated, in part with the addresses that are allowed now");
            if (gate)
                hf_gate_clear(name, &why);
            return rc;
        }
    }
    snprintf(j->did->rung, sizeof j->did->rung, "%s%s%s", nft ? "nftables" : "", nft && gate ? " and " : "", gate ? "cgroup BPF" : "");
    hf_buf_addf(&j->did->after, "{\"isolated\":true,\"connections_cut\":%u,\"cut\":%s,\"below_ip\":%s,", did.cut, nft && !did.cut_unsupported ? "true" : "false", nft && did.egress ? "true" : "false");
    xdp_after(j, gate);
    return 0;
}

/* ---- limit ---- */

static void rate_words(const struct hf_gate_config *c, struct hf_buf *out)
{
    static const char *const what[] = {"packets/s", "new connections/s", "bytes/s"}, *const where[] = {"out", "in"};
    for (unsigned d = 0; d < HF_GATE_DIRECTIONS; d++)
        for (unsigned i = 0; i < HF_GATE_RATES; i++)
            if (c->rate[d][i])
                hf_buf_addf(out, "%s%llu %s %s", out->n ? ", " : "", (unsigned long long)c->rate[d][i], what[i], where[d]);
}

static bool limits_out(const struct hf_gate_config *c)
{
    return c->rate[HF_GATE_OUT][HF_GATE_PACKETS] || c->rate[HF_GATE_OUT][HF_GATE_BYTES];
}

static int limit_look(struct hf_job *j, struct hf_err *err)
{
    hf_autobuf words = HF_BUF_INIT(MEMBERS_MAX);
    struct hf_active old;
    struct hf_err ignored = HF_ERR_INIT;
    rate_words(&j->o->gate, &words);
    if (!words.n)
        return hf_fail(err, HF_E_USAGE, "limit to what? --packets, --connections or --bytes, each a second");
    int rc = look_network(j, err);
    if (rc < 0)
        return rc;
    if (!j->t->v2[0] && (j->ns->host || !j->ns->n))
        return hf_fail(err, HF_E_UNSUPPORTED, "%.100s has no group of its own in the unified hierarchy and uses the host's network: it cannot be limited", j->t->name);
    bool already = hf_active_read(j->dir, "limit", j->t->id, &old, &ignored) == 0 && old.cgroup_id == j->t->cgroup_id;
    j->already = already;
    hf_buf_addf(&j->did->before, "{\"limited\":%s}", already ? "true" : "false");
    snprintf(j->a.settings, sizeof j->a.settings, "%s", hf_buf_z(&words));
    bool below = j->ns->n && !j->ns->host && limits_out(&j->o->gate);
    snprintf(j->did->rung, sizeof j->did->rung, "%s%s", j->t->v2[0] ? "cgroup BPF" : "nftables", j->t->v2[0] && below ? " and nftables" : "");
    effect(j, "at most %s pass (%s); what is over is dropped and counted; loopback is not limited", hf_buf_z(&words), j->did->rung);
    if (already)
        effect(j, "this takes the place of: %s", old.settings);
    if (!below && limits_out(&j->o->gate))
        effect(j, "it uses the host's network: what it sends below IP (AF_PACKET, with CAP_NET_RAW) is not limited");
    if (!j->t->v2[0])
        effect(j, "it has no group of its own in the unified hierarchy: limited in its network namespace, with whoever shares that");
    if (limits_out(&j->o->gate))
        xdp_effect(j);
    return 0;
}

static int limit_act(struct hf_job *j, struct hf_err *err)
{
    struct hf_gate_config c = j->o->gate;
    struct hf_isolate_did did = {.egress = false};
    struct hf_err why = HF_ERR_INIT;
    char name[64];
    bool gate = j->t->v2[0] != 0, own = j->ns->n && !j->ns->host, below = false;
    c.isolate = 0;
    if (!own || !limits_out(&c) || getrandom(&c.mark, sizeof c.mark, 0) != (ssize_t)sizeof c.mark)
        c.mark = 0;
    gate_name("limit", j->t->cgroup_id, name);
    int rc = gate ? hf_gate_set(j->t->v2, name, &c, err) : hf_limit_by_nft(j->ns, &c, j->already, &did, err);
    if (rc < 0)
        return rc;
    if (gate && own && limits_out(&c)) /* the programs do what they can without it: no interface, no libnftables, an old kernel */
        below = hf_limit_below(j->ns, &c, &why) == 0;
    if (gate && own && !below && j->already) {
        struct hf_err ignored = HF_ERR_INIT;
        if (hf_isolate_clear(j->ns, HF_LIMIT_TABLE, &ignored) < 0) /* of a limit before this one, with another mark; without libnftables there is none */
            below = false;
    }
    snprintf(j->did->rung, sizeof j->did->rung, "%s%s", gate ? "cgroup BPF" : "nftables", below ? " and nftables" : "");
    hf_buf_addf(&j->did->after, "{\"limited\":true,\"below_ip\":%s,", below || did.egress ? "true" : "false");
    xdp_after(j, gate);
    return 0;
}

/* ---- back ---- */

int hf_act_undo(const struct hf_active *a, const struct hf_target *t, struct hf_err *err)
{
    char name[64];
    int kind, rc = 0;
    if (!strcmp(a->action, "freeze")) {
        kind = strstr(a->rung, "v2") ? HF_FREEZER_V2 : HF_FREEZER_V1; /* the one that was used, whoever used the other since */
        const char *dir = !t ? NULL : kind == HF_FREEZER_V2 ? t->v2 : t->freezer;
        return dir && dir[0] && !a->was ? hf_group_thaw(dir, (enum hf_freezer)kind, HF_RESPOND_FREEZE_MS, err) : 0;
    }
    bool isolate = !strcmp(a->action, "isolate");
    gate_name(a->action, a->cgroup_id, name);
    if (t && strstr(a->rung, "nftables")) {
        hf_cleanup(hf_netns_list_done) struct hf_netns_list l = {.n = 0};
        rc = hf_netns_list(t, &l, err);
        rc = rc < 0 ? rc : hf_isolate_clear(&l, isolate ? HF_ISOLATE_TABLE : HF_LIMIT_TABLE, err);
    }
    if (rc < 0)
        return rc;
    return hf_gate_clear(name, err);
}

bool hf_act_dropped(const struct hf_active *a, const struct hf_target *t, uint64_t *ret_packets, uint64_t *ret_bytes)
{
    struct hf_gate_counts c[HF_GATE_DIRECTIONS];
    struct hf_err ignored = HF_ERR_INIT;
    hf_cleanup(hf_netns_list_done) struct hf_netns_list l = {.n = 0};
    char name[64];
    uint64_t packets = 0, bytes = 0;
    bool known = false;
    gate_name(a->action, a->cgroup_id, name);
    if (strstr(a->rung, "BPF") && hf_gate_counts(name, c, &ignored) == 0) {
        packets = c[0].dropped_packets + c[1].dropped_packets;
        bytes = c[0].dropped_bytes + c[1].dropped_bytes;
        known = true;
    }
    if (t && strstr(a->rung, "nftables") && hf_netns_list(t, &l, &ignored) == 0) {
        uint64_t p, b;
        bool isolate = !strcmp(a->action, "isolate");
        if (hf_isolate_counts(&l, isolate ? HF_ISOLATE_TABLE : HF_LIMIT_TABLE, &p, &b, &ignored) == 0) {
            packets += p;
            bytes += b;
            known = true;
        }
    }
    *ret_packets = packets;
    *ret_bytes = bytes;
    return known;
}

const struct hf_act_ops hf_act_ops[HF_ACTS] = {
        [HF_ACT_FREEZE] = {"freeze", true, freeze_look, freeze_act},
        [HF_ACT_KILL] = {"kill", false, kill_look, kill_act},
        [HF_ACT_ISOLATE] = {"isolate", true, isolate_look, isolate_act},
        [HF_ACT_LIMIT] = {"limit", true, limit_look, limit_act},
        [HF_ACT_SNAPSHOT] = {"snapshot", false, hf_snapshot_look, hf_snapshot_act},
};
