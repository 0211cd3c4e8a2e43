// SPDX-License-Identifier: Apache-2.0
/* Matching and judging; the files are read in policy-load.c. */
#include "protect/policy.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "policy/glob.h"
#include "protect/policy-internal.h"

const struct hf_prot_clause_info hf_prot_clauses[HF_CLAUSES] = {
        {"none", "nothing", ""},
        {"only_sealed", "programs that are not in the image as it was sealed", "T1105 T1554 T1036"},
        {"no_shells", "shells", "T1059.004 T1609"},
        {"no_package_managers", "package managers and installers", "T1072 T1105"},
        {"no_written_then_run", "programs that were written since the container began", "T1105 T1204 T1620"},
        {"destinations", "connections to other places than those listed", "T1041 T1071 T1496"},
        {"listen", "listening on other ports than those listed", "T1571 T1205"},
        {"read_only", "writing below these paths", "T1565.001 T1554 T1543"},
        {"devices", "opening other devices than those listed", "T1611 T1006"},
        {"kernel_use", "uses of the kernel that are not listed", "T1547.006 T1611 T1055.008 T1014"},
};
const char *const hf_prot_modes[HF_MODES] = {"observe", "rehearse", "canary", "enforce"};
const char *const hf_prot_uses[HF_USES] = {"modules", "bpf", "mount", "ptrace", "user_namespaces", "io_uring"};
const char *const hf_prot_verdicts[HF_PROT_VERDICTS] = {"unjudged", "sealed", "changed", "foreign", "moved", "volume", "memory", "unsealed", "unreadable"};

/* ---- programs by name ---- */

static const char *const shells[] = {"sh", "bash", "dash", "ash", "zsh", "ksh", "ksh93", "mksh", "pdksh", "rbash", "csh", "tcsh", "fish", "hush", "yash", "rc", "nu", "elvish", "xonsh", "pwsh", NULL};
static const char *const managers[] = {"apt", "apt-get", "aptitude", "dpkg", "dpkg-deb", "apk", "rpm", "yum", "dnf", "dnf5", "microdnf", "tdnf", "zypper", "pacman", "opkg", "ipkg", "emerge",
        "snap", "flatpak", "nix-env", "pip", "pip3", "npm", "yarn", "pnpm", "gem", "cargo", "composer", NULL};
static const char *const many[] = {"busybox", "toybox", "sbase-box", "coreutils", NULL};

const char *const *hf_prot_names(enum hf_prot_clause clause)
{
    static const char *const none[] = {NULL};
    return clause == HF_CLAUSE_SHELLS ? shells : clause == HF_CLAUSE_PACKAGES ? managers : none;
}

static bool is_one(struct hf_span name, const char *const *names)
{
    for (; *names; names++)
        if (hf_span_eqz(name, *names))
            return true;
    return false;
}

/* bash-5.2, pip3.11: a name with its version. */
static struct hf_span without_version(struct hf_span name)
{
    size_t n = name.n;
    while (n && ((name.p[n - 1] >= '0' && name.p[n - 1] <= '9') || name.p[n - 1] == '.' || name.p[n - 1] == '-'))
        n--;
    return hf_span_sub(name, 0, n);
}

enum hf_prot_clause hf_prot_program_class(struct hf_span name)
{
    struct hf_span bare = without_version(name);
    if (is_one(name, shells) || is_one(bare, shells))
        return HF_CLAUSE_SHELLS;
    return is_one(name, managers) || is_one(bare, managers) ? HF_CLAUSE_PACKAGES : HF_CLAUSE_NONE;
}

bool hf_prot_multi_call(struct hf_span name)
{
    return is_one(name, many) || hf_span_starts(name, HF_S("busybox"));
}

/* ---- whom a policy is for ---- */

static bool label_is(const struct hf_prot_spans *labels, struct hf_span name, struct hf_span pattern)
{
    for (size_t i = 0; i + 1 < labels->n; i += 2)
        if (hf_span_eq(labels->v[i], name))
            return hf_glob(pattern, labels->v[i + 1]);
    return false;
}

static bool matches(const struct hf_prot_policy *p, const struct hf_prot_who *who)
{
    bool image = !p->images.n;
    for (size_t i = 0; i < p->images.n && !image; i++)
        image = hf_glob(p->images.v[i], who->image);
    if (!image || (p->namespace.n && !hf_glob(p->namespace, who->namespace)))
        return false;
    for (size_t i = 0; i + 1 < p->labels.n; i += 2)
        if (!label_is(&who->labels, p->labels.v[i], p->labels.v[i + 1]))
            return false;
    return true;
}

static uint64_t literal(struct hf_span pattern)
{
    uint64_t n = 0;
    for (size_t i = 0; i < pattern.n; i++)
        n += pattern.p[i] != '*';
    return n;
}

/* How many things it asks, then how much of them is spelled out.  Of several images the loosest counts. */
uint64_t hf_prot_specificity(const struct hf_prot_policy *p)
{
    uint64_t asked = p->labels.n / 2 + (p->images.n > 0) + (p->namespace.n > 0), image = p->images.n ? UINT32_MAX : 0;
    for (size_t i = 0; i < p->images.n; i++)
        image = HF_MIN(image, literal(p->images.v[i]));
    image += literal(p->namespace);
    for (size_t i = 1; i < p->labels.n; i += 2)
        image += literal(p->labels.v[i]);
    return asked << 40 | image;
}

const struct hf_prot_policy *hf_prot_for(const struct hf_prot_set *s, const struct hf_prot_who *who)
{
    const struct hf_prot_policy *best = NULL;
    for (size_t i = 0; i < hf_prot_count(s); i++) {
        const struct hf_prot_policy *p = hf_prot_at(s, i);
        if (matches(p, who) && (!best || hf_prot_specificity(p) > hf_prot_specificity(best)))
            best = p;
    }
    return best;
}

/* Whether some text matches both patterns ('*' is the only wildcard): a row of places in b for each byte of a. */
bool hf_prot_patterns_meet(struct hf_span a, struct hf_span b, uint64_t *steps)
{
    bool now[PATTERN_MAX + 1] = {true}, next[PATTERN_MAX + 1];
    if (a.n > PATTERN_MAX || b.n > PATTERN_MAX)
        return true;
    *steps += (a.n + 1) * (b.n + 1);
    for (size_t i = 0; i <= a.n; i++) {
        bool star_a = i < a.n && a.p[i] == '*';
        memset(next, 0, sizeof next);
        for (size_t k = 0; k <= b.n; k++) {
            if (!now[k])
                continue;
            bool star_b = k < b.n && b.p[k] == '*';
            if (k < b.n && (star_a || star_b))
                now[k + 1] = true; /* a's star takes b's byte, or b's star takes nothing */
            if (i < a.n && (star_a || star_b || (k < b.n && a.p[i] == b.p[k]))) {
                if (star_a || star_b)
                    next[k] = true; /* a's star takes nothing, or b's star takes a's byte */
                if (!star_a && !star_b)
                    next[k + 1] = true;
            }
        }
        if (i == a.n)
            return now[b.n];
        memcpy(now, next, sizeof now);
    }
    return false;
}

bool hf_prot_policies_meet(const struct hf_prot_policy *a, const struct hf_prot_policy *b, uint64_t *steps)
{
    bool image = !a->images.n || !b->images.n;
    for (size_t i = 0; i < a->images.n && !image; i++)
        for (size_t k = 0; k < b->images.n && !image; k++)
            image = hf_prot_patterns_meet(a->images.v[i], b->images.v[k], steps);
    if (!image || (a->namespace.n && b->namespace.n && !hf_prot_patterns_meet(a->namespace, b->namespace, steps)))
        return false;
    for (size_t i = 0; i + 1 < a->labels.n; i += 2)
        for (size_t k = 0; k + 1 < b->labels.n; k += 2)
            if (hf_span_eq(a->labels.v[i], b->labels.v[k]) && !hf_prot_patterns_meet(a->labels.v[i + 1], b->labels.v[k + 1], steps))
                return false;
    return true;
}

/* ---- judging ---- */

static bool among(const struct hf_prot_spans *patterns, struct hf_span path)
{
    for (size_t i = 0; i < patterns->n; i++) {
        struct hf_span p = patterns->v[i];
        if (hf_glob_path(p, path))
            return true;
        if (p.p[p.n - 1] == '/' && hf_span_starts(path, p)) /* a folder: all below */
            return true;
    }
    return false;
}

/* What a program is, by its own name, by the name that its content has in the image, or, if it is many, by its arguments. */
static bool is_program(const struct hf_prot_act *a, enum hf_prot_clause class)
{
    struct hf_span names[2] = {hf_span_basename(a->path), hf_span_basename(a->sealed_path)};
    for (size_t i = 0; i < 2; i++) {
        if (hf_prot_program_class(names[i]) == class)
            return true;
        if (!hf_prot_multi_call(names[i]))
            continue;
        struct hf_span called = hf_span_basename(a->argv[0]);
        if (called.n && called.p[0] == '-')
            called = hf_span_from(called, 1);
        if (hf_prot_program_class(called) == class || (hf_prot_multi_call(called) && hf_prot_program_class(hf_span_basename(a->argv[1])) == class))
            return true;
    }
    return false;
}

static bool sealed_enough(const struct hf_prot_policy *p, const struct hf_prot_act *a)
{
    switch (a->verdict) {
    case HF_PROT_SEALED:
        return true;
    case HF_PROT_MOVED:
        return p->moved;
    case HF_PROT_UNSEALED:
    case HF_PROT_UNREADABLE:
    case HF_PROT_UNJUDGED: /* nobody can say */
        return !p->fail_closed;
    default:
        return false;
    }
}

static bool was_written(const struct hf_prot_act *a)
{
    unsigned verdict = a->verdict;
    return (verdict == HF_PROT_VOLUME && a->written) || verdict == HF_PROT_CHANGED || verdict == HF_PROT_FOREIGN || verdict == HF_PROT_MOVED || verdict == HF_PROT_MEMORY;
}

static enum hf_prot_clause judge_exec(const struct hf_prot_policy *p, const struct hf_prot_act *a)
{
    for (size_t i = 0; a->sha256 && i < p->digests.n; i++)
        if (!memcmp(p->digests.v[i], a->sha256, 32))
            return HF_CLAUSE_NONE;
    const struct {
        enum hf_prot_clause clause;
        bool refused;
    } asked[] = {
            {HF_CLAUSE_SHELLS, is_program(a, HF_CLAUSE_SHELLS)},
            {HF_CLAUSE_PACKAGES, is_program(a, HF_CLAUSE_PACKAGES)},
            {HF_CLAUSE_SEALED, !sealed_enough(p, a)},
            {HF_CLAUSE_WRITTEN, was_written(a)},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(asked); i++)
        if ((p->clauses >> asked[i].clause & 1) && asked[i].refused && !among(&p->allow[asked[i].clause], a->path))
            return asked[i].clause;
    return HF_CLAUSE_NONE;
}

static bool in_net(const struct hf_prot_dest *net, const uint8_t addr[16])
{
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    if (memcmp(net->addr, addr, whole) != 0)
        return false;
    return !rest || (net->addr[whole] ^ addr[whole]) >> (8 - rest) == 0;
}

static bool loopback(const uint8_t a[16])
{
    static const uint8_t six[16] = {[15] = 1}, mapped[13] = {[10] = 0xff, 0xff, 127};
    return !memcmp(a, six, 16) || !memcmp(a, mapped, 13);
}

static bool listed(const struct hf_prot_dests *list, const struct hf_prot_dest *d)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct hf_prot_dest *l = &list->v[i];
        if ((!l->protocol || !d->protocol || l->protocol == d->protocol) && (!l->port || (d->port >= l->port && d->port <= l->port_to)) && in_net(l, d->addr))
            return true;
    }
    return false;
}

enum hf_prot_clause hf_prot_judge(const struct hf_prot_policy *p, const struct hf_prot_act *a)
{
    static const struct hf_span usual[] = {{"/dev/null", 9}, {"/dev/zero", 9}, {"/dev/full", 9}, {"/dev/random", 11}, {"/dev/urandom", 12}, {"/dev/tty", 8}, {"/dev/console", 12}, {"/dev/ptmx", 9},
            {"/dev/pts/ptmx", 13}};
    switch (a->kind) {
    case HF_ACT_EXEC:
        return judge_exec(p, a);
    case HF_ACT_CONNECT:
        return (p->clauses >> HF_CLAUSE_DESTINATIONS & 1) && !loopback(a->peer.addr) && !listed(&p->destinations, &a->peer) ? HF_CLAUSE_DESTINATIONS : HF_CLAUSE_NONE;
    case HF_ACT_LISTEN:
        return (p->clauses >> HF_CLAUSE_LISTEN & 1) && !listed(&p->listen, &a->peer) ? HF_CLAUSE_LISTEN : HF_CLAUSE_NONE;
    case HF_ACT_WRITE:
        return (p->clauses >> HF_CLAUSE_READ_ONLY & 1) && among(&p->allow[HF_CLAUSE_READ_ONLY], a->path) ? HF_CLAUSE_READ_ONLY : HF_CLAUSE_NONE;
    case HF_ACT_DEVICE:
        for (size_t i = 0; i < HF_ARRAY_LEN(usual); i++)
            if (hf_span_eq(usual[i], a->path))
                return HF_CLAUSE_NONE;
        if (hf_span_starts(a->path, HF_S("/dev/pts/")) || !(p->clauses >> HF_CLAUSE_DEVICES & 1))
            return HF_CLAUSE_NONE;
        return among(&p->allow[HF_CLAUSE_DEVICES], a->path) ? HF_CLAUSE_NONE : HF_CLAUSE_DEVICES;
    case HF_ACT_USE:
        return (p->clauses >> HF_CLAUSE_KERNEL & 1) && !(p->uses >> a->use & 1) ? HF_CLAUSE_KERNEL : HF_CLAUSE_NONE;
    case HF_ACTS:
        break;
    }
    return HF_CLAUSE_NONE;
}

bool hf_prot_maintenance(const struct hf_prot_policy *p, int64_t now_s)
{
    if (now_s < 0)
        return false;
    uint32_t minute = (uint32_t)((now_s / 60 + 3 * 1440) % WEEK_MINUTES); /* the epoch was a Thursday */
    for (size_t i = 0; i < p->maintenance.n; i++) {
        struct hf_prot_window w = p->maintenance.v[i];
        if ((minute >= w.from && minute < w.to) || (minute + WEEK_MINUTES >= w.from && minute + WEEK_MINUTES < w.to))
            return true;
    }
    return false;
}

bool hf_prot_test_run(const struct hf_prot_set *s, const struct hf_prot_test *t, const struct hf_prot_policy **ret_policy, enum hf_prot_clause *ret_clause, bool *ret_maintenance)
{
    struct hf_prot_act act = t->act;
    const struct hf_prot_policy *p = hf_prot_for(s, &t->who);
    act.sha256 = t->has_sha256 ? t->sha256 : NULL;
    *ret_policy = p;
    *ret_clause = p ? hf_prot_judge(p, &act) : HF_CLAUSE_NONE;
    *ret_maintenance = p && hf_prot_maintenance(p, t->at_s);
    if (!t->refused)
        return *ret_clause == HF_CLAUSE_NONE;
    return *ret_clause != HF_CLAUSE_NONE && (t->clause == HF_CLAUSE_NONE || t->clause == *ret_clause) && t->maintenance == *ret_maintenance;
}

/* ---- destinations as text ---- */

static int ports(struct hf_span s, struct hf_prot_dest *d)
{
    struct hf_span proto = {NULL, 0};
    uint64_t from, to;
    size_t slash = hf_span_find(s, '/'), dash;
    if (slash != SIZE_MAX) {
        proto = hf_span_from(s, slash + 1);
        s = hf_span_sub(s, 0, slash);
        if (!hf_span_eqz(proto, "tcp") && !hf_span_eqz(proto, "udp"))
            return HF_E_FORMAT;
        d->protocol = hf_span_eqz(proto, "tcp") ? 6 : 17;
    }
    dash = hf_span_find(s, '-');
    if (hf_parse_u64(hf_span_sub(s, 0, HF_MIN(dash, s.n)), 10, 1, 65535, &from) < 0)
        return HF_E_FORMAT;
    to = from;
    if (dash != SIZE_MAX && hf_parse_u64(hf_span_from(s, dash + 1), 10, from, 65535, &to) < 0)
        return HF_E_FORMAT;
    d->port = (uint16_t)from;
    d->port_to = (uint16_t)to;
    return 0;
}

static int address(struct hf_span s, struct hf_prot_dest *d)
{
    char text[INET6_ADDRSTRLEN];
    size_t slash = hf_span_find(s, '/');
    struct hf_span a = hf_span_sub(s, 0, HF_MIN(slash, s.n));
    uint64_t bits;
    if (a.n == 0 || a.n >= sizeof text || memchr(a.p, 0, a.n))
        return HF_E_FORMAT;
    memcpy(text, a.p, a.n);
    text[a.n] = 0;
    bool four = inet_pton(AF_INET, text, d->addr + 12) == 1;
    if (!four && inet_pton(AF_INET6, text, d->addr) != 1)
        return HF_E_FORMAT;
    if (four)
        d->addr[10] = d->addr[11] = 0xff;
    bits = four ? 32 : 128;
    if (slash != SIZE_MAX && hf_parse_u64(hf_span_from(s, slash + 1), 10, 0, bits, &bits) < 0)
        return HF_E_FORMAT;
    d->bits = (uint8_t)(four ? 96 + bits : bits);
    for (unsigned i = d->bits; i < 128; i++)
        if (d->addr[i / 8] & (0x80u >> i % 8))
            return HF_E_FORMAT; /* 10.1.2.3/8: which of the two is meant? */
    return 0;
}

int hf_prot_dest_parse(struct hf_span s, bool no_address, struct hf_prot_dest *ret)
{
    struct hf_prot_dest d = {.port = 0};
    size_t blank = hf_span_find(s, ' ');
    int rc = 0;
    if (no_address) {
        rc = ports(s, &d);
    } else {
        rc = address(hf_span_sub(s, 0, HF_MIN(blank, s.n)), &d);
        if (rc == 0 && blank != SIZE_MAX)
            rc = ports(hf_span_trim(hf_span_from(s, blank)), &d);
    }
    if (rc == 0)
        *ret = d;
    return rc;
}
