// SPDX-License-Identifier: Apache-2.0
#include "protect/policy.h"

#include "protect/policy-internal.h"
#include "tap.h"

static struct hf_prot_set *load(const char *text, struct hf_err *err)
{
    struct hf_prot_set *s = NULL;
    if (hf_prot_new(&s, err) == 0 && (hf_prot_add(s, "p.yaml", hf_span_z(text), err) < 0 || hf_prot_check(s, err) < 0)) {
        hf_prot_free(s);
        s = NULL;
    }
    return s;
}

static struct hf_prot_set *must(const char *text)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_prot_set *s = load(text, &err);
    if (!OK(s))
        printf("# %s\n", err.msg);
    return s;
}

static void wrong(const char *text, const char *message)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_prot_freep) struct hf_prot_set *s = load(text, &err);
    if (!OK(!s && strstr(err.msg, message)))
        printf("# got \"%s\", expected \"%s\"\n", err.msg, message);
}

#define HEAD "- policy: p\n  match: {image: \"*\"}\n"

static void mistakes(void)
{
    wrong(HEAD, "refuses nothing");
    wrong("- policy: p\n  no_shells: true\n", "p.yaml:1: policy \"p\" has no \"match\"");
    wrong("- policy: p\n  match: {}\n  no_shells: true\n", "\"match\" is empty");
    wrong(HEAD "  no_shell: true\n", "p.yaml:3: unknown key \"no_shell\" in a policy; did you mean no_shells");
    wrong(HEAD "  no_shells: yes\n", "must be true or false");
    wrong(HEAD "  no_shells: {allow: [bin/sh]}\n", "a path begins with /; a digest with sha256:");
    wrong(HEAD "  only_sealed: {allow: [\"sha256:12\"]}\n", "64 hexadecimal digits");
    wrong(HEAD "  no_shells: {moved: true}\n", "unknown key \"moved\" in no_shells; there are ");
    wrong(HEAD "  mode: on\n  no_shells: true\n", "one of observe, rehearse, canary, enforce");
    wrong(HEAD "  destinations: [example.org]\n", "not a name");
    wrong(HEAD "  destinations: [10.1.2.3/8]\n", "the bits behind its length 0");
    wrong(HEAD "  destinations: [\"10.0.0.0/8 0\"]\n", "a destination is");
    wrong(HEAD "  listen: [90-80]\n", "a port is written as");
    wrong(HEAD "  listen: [\"0.0.0.0 80\"]\n", "a port is written as");
    wrong(HEAD "  maintenance: [Sat 2-4]\n  no_shells: true\n", "a window is written as");
    wrong(HEAD "  maintenance: [Sat 02:00-25:00]\n  no_shells: true\n", "a window is written as");
    wrong(HEAD "  kernel_use: [rootkits]\n", "one of modules, bpf");
    wrong(HEAD "  disarm: {blocks_per_minute: -1}\n  no_shells: true\n", "must be a number");
    wrong(HEAD "  no_shells: true\n  no_shells: true\n", "stands twice");
    wrong(HEAD "  no_shells: true\n  health: {}\n", "needs \"http\", \"tcp\" or \"exec\"");
    wrong(HEAD "  no_shells: true\n  health: {exec: [bin/x]}\n", "path of a program");
    wrong(HEAD "  no_shells: true\n  health: {exec: [/bin/sh]}\n", "is refused by no_shells");
    wrong(HEAD "  no_shells: true\n  health: {exec: [/bin/busybox, sh]}\n", "is refused by no_shells");
    wrong(HEAD "  no_shells: true\n  health: {exec: [/x], user: 4294967295}\n", "must be a number");
    wrong(HEAD "  no_shells: true\n  health: {exec: [/x], timeout: 0s}\n", "a time from 1s to 60s");
    wrong(HEAD "  no_shells: true\n  health: {http: \"https://127.0.0.1/\"}\n", "must be http://ADDRESS");
    wrong(HEAD "  no_shells: true\n  health: {http: \"http://example.org/\"}\n", "must be http://ADDRESS");
    wrong(HEAD "  no_shells: true\n  health: {http: \"http://127.0.0.1/a b\"}\n", "must be http://ADDRESS");
    wrong(HEAD "  no_shells: true\n  health: {http: x}\n", "must be http://ADDRESS");
    wrong(HEAD "  no_shells: true\n  health: {tcp: 127.0.0.1}\n", "must be ADDRESS:PORT");
    wrong(HEAD "  no_shells: true\n  health: {tcp: \"[::1]:0\"}\n", "must be ADDRESS:PORT");
    wrong(HEAD "  no_shells: true\n  health: {tcp: \"[::1]:80\", every: 5}\n", "a time from 1s to 60m");
    wrong(HEAD "  no_shells: true\n  health: {tcp: \"[::1]:80\", failures: 0}\n", "a number from 1 to 100");
    wrong(HEAD "  no_shells: true\n- policy: p\n  match: {image: a}\n  no_shells: true\n", "already in p.yaml:1");
    wrong(HEAD "  no_shells: true\n- policy: q\n  match: {image: \"*\"}\n  no_shells: true\n", "p.yaml:4: policy \"q\" is as specific as \"p\"");
    wrong("- test: t\n  exec: /bin/sh\n", "has no \"expect\"");
    wrong("- test: t\n  expect: allowed\n", "does nothing");
    wrong("- test: t\n  exec: /bin/sh\n  use: bpf\n  expect: allowed\n", "a test has one of");
    wrong("- test: t\n  connect: 10.0.0.0/8\n  expect: allowed\n", "an address and a port");
    wrong("- what: t\n", "\"policy\" or \"test\" is expected");
    wrong("policy: t\n", "a list of policies and tests is expected");
}

static bool meet(const char *a, const char *b)
{
    uint64_t steps = 0;
    bool ab = hf_prot_patterns_meet(hf_span_z(a), hf_span_z(b), &steps);
    EQ_U(ab, hf_prot_patterns_meet(hf_span_z(b), hf_span_z(a), &steps));
    return ab;
}

static void specificity(void)
{
    OK(meet("a*", "*a") && meet("*", "") && meet("a*b*c", "a*c") && meet("**", "x") && meet("nginx:1*", "nginx:1.2*") && meet("", ""));
    OK(!meet("a*", "b*") && !meet("*a", "*b") && !meet("ab", "abc") && !meet("a*b", "a*c") && !meet("", "a") && meet("x*yz", "xy*z"));
    hf_cleanup(hf_prot_freep) struct hf_prot_set *s = must(
            "- policy: all\n  match: {image: \"*\"}\n  no_shells: true\n"
            "- policy: nginx\n  match: {image: \"nginx:*\"}\n  no_shells: true\n"
            "- policy: old\n  match: {image: \"nginx:1.2*\"}\n  no_shells: true\n"
            "- policy: shop\n  match: {image: \"*\", namespace: shop}\n  no_shells: true\n"
            "- policy: labelled\n  match: {image: \"*\", labels: {app: web, tier: \"*\"}}\n  no_shells: true\n"
            "- policy: other\n  match: {image: \"*\", labels: {app: db, tier: \"*\"}}\n  no_shells: true\n");
    struct hf_span labels[] = {HF_S("tier"), HF_S("front"), HF_S("app"), HF_S("web")};
    struct hf_prot_who who = {.image = HF_S("redis:7")};
    EQ_S(hf_prot_for(s, &who)->name, "all");
    who.image = HF_S("nginx:3");
    EQ_S(hf_prot_for(s, &who)->name, "nginx");
    who.image = HF_S("nginx:1.25");
    EQ_S(hf_prot_for(s, &who)->name, "old");
    who.namespace = HF_S("shop");
    EQ_S(hf_prot_for(s, &who)->name, "shop");
    who.labels = (struct hf_prot_spans){labels, 4, 4};
    EQ_S(hf_prot_for(s, &who)->name, "labelled");
}

static enum hf_prot_clause exec(const struct hf_prot_set *s, const char *path, unsigned verdict, const char *argv0, const char *argv1)
{
    struct hf_prot_act a = {.kind = HF_ACT_EXEC, .path = hf_span_z(path), .verdict = verdict, .argv = {hf_span_z(argv0), hf_span_z(argv1)}};
    return hf_prot_judge(hf_prot_at(s, 0), &a);
}

static void programs(void)
{
    hf_cleanup(hf_prot_freep) struct hf_prot_set *s = must(HEAD "  only_sealed: {allow: [/opt/plugins/**, \"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"]}\n"
                                                                "  no_shells: {allow: [/usr/bin/git-shell, /srv/bash]}\n  no_package_managers: true\n");
    static const uint8_t empty[32] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99,
            0x1b, 0x78, 0x52, 0xb8, 0x55};
    EQ_U(exec(s, "/bin/ls", HF_PROT_SEALED, NULL, NULL), HF_CLAUSE_NONE);
    EQ_U(exec(s, "/bin/ls", HF_PROT_CHANGED, NULL, NULL), HF_CLAUSE_SEALED);
    EQ_U(exec(s, "/bin/ls", HF_PROT_MOVED, NULL, NULL), HF_CLAUSE_SEALED);
    EQ_U(exec(s, "/opt/plugins/a/b", HF_PROT_FOREIGN, NULL, NULL), HF_CLAUSE_NONE);
    EQ_U(exec(s, "/tmp/x", HF_PROT_UNSEALED, NULL, NULL), HF_CLAUSE_NONE); /* fail: open */
    EQ_U(exec(s, "/bin/sh", HF_PROT_SEALED, NULL, NULL), HF_CLAUSE_SHELLS);
    EQ_U(exec(s, "/srv/bash", HF_PROT_SEALED, NULL, NULL), HF_CLAUSE_NONE);
    EQ_U(exec(s, "/usr/bin/bash-5.2", HF_PROT_SEALED, NULL, NULL), HF_CLAUSE_SHELLS);
    EQ_U(exec(s, "/usr/bin/ssh", HF_PROT_SEALED, NULL, NULL), HF_CLAUSE_NONE);
    EQ_U(exec(s, "/bin/busybox", HF_PROT_SEALED, "ls", NULL), HF_CLAUSE_NONE);
    EQ_U(exec(s, "/bin/busybox", HF_PROT_SEALED, "-ash", NULL), HF_CLAUSE_SHELLS);
    EQ_U(exec(s, "/bin/busybox", HF_PROT_SEALED, "/bin/busybox", "sh"), HF_CLAUSE_SHELLS);
    EQ_U(exec(s, "/bin/busybox", HF_PROT_SEALED, "busybox", "ls"), HF_CLAUSE_NONE);
    EQ_U(exec(s, "/usr/bin/pip3.11", HF_PROT_SEALED, NULL, NULL), HF_CLAUSE_PACKAGES);
    struct hf_prot_act a = {.kind = HF_ACT_EXEC, .path = HF_S("/tmp/innocent"), .sealed_path = HF_S("/bin/dash"), .verdict = HF_PROT_MOVED};
    EQ_U(hf_prot_judge(hf_prot_at(s, 0), &a), HF_CLAUSE_SHELLS);
    a.sha256 = empty;
    EQ_U(hf_prot_judge(hf_prot_at(s, 0), &a), HF_CLAUSE_NONE);
    hf_cleanup(hf_prot_freep) struct hf_prot_set *closed = must(HEAD "  only_sealed: {moved: true}\n  no_written_then_run: true\n  fail: closed\n");
    EQ_U(exec(closed, "/tmp/x", HF_PROT_UNSEALED, NULL, NULL), HF_CLAUSE_SEALED);
    EQ_U(exec(closed, "/tmp/x", HF_PROT_UNJUDGED, NULL, NULL), HF_CLAUSE_SEALED);
    EQ_U(exec(closed, "/tmp/ls", HF_PROT_MOVED, NULL, NULL), HF_CLAUSE_WRITTEN);
    hf_cleanup(hf_prot_freep) struct hf_prot_set *written = must(HEAD "  no_written_then_run: true\n");
    struct hf_prot_act v = {.kind = HF_ACT_EXEC, .path = HF_S("/data/x"), .verdict = HF_PROT_VOLUME};
    EQ_U(hf_prot_judge(hf_prot_at(written, 0), &v), HF_CLAUSE_NONE);
    v.written = true;
    EQ_U(hf_prot_judge(hf_prot_at(written, 0), &v), HF_CLAUSE_WRITTEN);
}

static enum hf_prot_clause net(const struct hf_prot_set *s, enum hf_prot_act_kind kind, const char *text)
{
    struct hf_prot_act a = {.kind = kind};
    OK(hf_prot_dest_parse(hf_span_z(text), kind == HF_ACT_LISTEN, &a.peer) == 0);
    return hf_prot_judge(hf_prot_at(s, 0), &a);
}

static enum hf_prot_clause path(const struct hf_prot_set *s, enum hf_prot_act_kind kind, const char *text, unsigned use)
{
    struct hf_prot_act a = {.kind = kind, .path = hf_span_z(text), .use = use};
    return hf_prot_judge(hf_prot_at(s, 0), &a);
}

static void others(void)
{
    hf_cleanup(hf_prot_freep) struct hf_prot_set *s = must(HEAD "  destinations: [10.16.0.0/12 5432/tcp, \"fd00::/8 53\", 192.0.2.7]\n  listen: [8080/tcp, 9000-9010]\n"
                                                                "  read_only: [/etc/, /usr/bin/*]\n  devices: [/dev/fuse]\n  kernel_use: [mount]\n");
    EQ_U(net(s, HF_ACT_CONNECT, "10.31.0.1 5432/tcp"), HF_CLAUSE_NONE);
    EQ_U(net(s, HF_ACT_CONNECT, "10.32.0.1 5432/tcp"), HF_CLAUSE_DESTINATIONS);
    EQ_U(net(s, HF_ACT_CONNECT, "10.31.0.1 5433/tcp"), HF_CLAUSE_DESTINATIONS);
    EQ_U(net(s, HF_ACT_CONNECT, "10.31.0.1 5432/udp"), HF_CLAUSE_DESTINATIONS);
    EQ_U(net(s, HF_ACT_CONNECT, "fd12::1 53/udp"), HF_CLAUSE_NONE);
    EQ_U(net(s, HF_ACT_CONNECT, "192.0.2.7 1/tcp"), HF_CLAUSE_NONE);
    EQ_U(net(s, HF_ACT_CONNECT, "127.8.8.8 1/tcp"), HF_CLAUSE_NONE);
    EQ_U(net(s, HF_ACT_CONNECT, "::1 1/tcp"), HF_CLAUSE_NONE);
    EQ_U(net(s, HF_ACT_CONNECT, "::ffff:10.31.0.1 5432/tcp"), HF_CLAUSE_NONE);
    EQ_U(net(s, HF_ACT_LISTEN, "8080/tcp"), HF_CLAUSE_NONE);
    EQ_U(net(s, HF_ACT_LISTEN, "8080/udp"), HF_CLAUSE_LISTEN);
    EQ_U(net(s, HF_ACT_LISTEN, "9010/udp"), HF_CLAUSE_NONE);
    EQ_U(path(s, HF_ACT_WRITE, "/etc/ssl/x", 0), HF_CLAUSE_READ_ONLY);
    EQ_U(path(s, HF_ACT_WRITE, "/etcetera", 0), HF_CLAUSE_NONE);
    EQ_U(path(s, HF_ACT_WRITE, "/usr/bin/ls", 0), HF_CLAUSE_READ_ONLY);
    EQ_U(path(s, HF_ACT_DEVICE, "/dev/sda", 0), HF_CLAUSE_DEVICES);
    EQ_U(path(s, HF_ACT_DEVICE, "/dev/fuse", 0), HF_CLAUSE_NONE);
    EQ_U(path(s, HF_ACT_DEVICE, "/dev/null", 0), HF_CLAUSE_NONE);
    EQ_U(path(s, HF_ACT_USE, "", HF_USE_MOUNT), HF_CLAUSE_NONE);
    EQ_U(path(s, HF_ACT_USE, "", HF_USE_BPF), HF_CLAUSE_KERNEL);
    hf_cleanup(hf_prot_freep) struct hf_prot_set *none = must(HEAD "  destinations: []\n");
    EQ_U(net(none, HF_ACT_CONNECT, "10.0.0.1 1/tcp"), HF_CLAUSE_DESTINATIONS);
    EQ_U(net(none, HF_ACT_LISTEN, "80/tcp"), HF_CLAUSE_NONE);
}

static void windows(void)
{
    hf_cleanup(hf_prot_freep) struct hf_prot_set *s = must(HEAD "  no_shells: true\n  maintenance: [Sat 02:00-04:00, Sun 23:00-01:00]\n");
    const struct hf_prot_policy *p = hf_prot_at(s, 0);
    const int64_t saturday = 1795824000; /* 2026-11-28 00:00 UTC */
    OK(!hf_prot_maintenance(p, saturday + 7199) && hf_prot_maintenance(p, saturday + 7200) && hf_prot_maintenance(p, saturday + 4 * 3600 - 1) && !hf_prot_maintenance(p, saturday + 4 * 3600));
    OK(hf_prot_maintenance(p, saturday + 86400 + 23 * 3600) && hf_prot_maintenance(p, saturday + 2 * 86400 + 1800) && !hf_prot_maintenance(p, saturday + 2 * 86400 + 3600));
    hf_cleanup(hf_prot_freep) struct hf_prot_set *daily = must(HEAD "  no_shells: true\n  maintenance: [daily 22:00-02:00]\n");
    for (int d = 0; d < 8; d++)
        OK(hf_prot_maintenance(hf_prot_at(daily, 0), saturday + d * 86400 + 3600) && !hf_prot_maintenance(hf_prot_at(daily, 0), saturday + d * 86400 + 3 * 3600));
}

int main(void)
{
    mistakes();
    specificity();
    programs();
    others();
    windows();
    return tap_done();
}
