// SPDX-License-Identifier: Apache-2.0
/* Rules from text to alerts: operators, macros, lists, exceptions, append and override, counting, errors; Falco's files as they are. */
#include "detect/engine.h"
#include "tap.h"

static unsigned n_alerts;
static char last_rule[128], last_summary[512];
static char last_why[2048], last_container[64], last_id[32];
static uint64_t last_count;

static void take(void *ctx, const struct hf_alert *a)
{
    (void)ctx;
    n_alerts++;
    last_count = a->count;
    last_why[0] = 0;
    for (size_t i = 0; i < a->n_why; i++)
        snprintf(last_why + strlen(last_why), sizeof last_why - strlen(last_why), "%.*s;", HF_SPAN_ARG(a->why[i].value));
    snprintf(last_container, sizeof last_container, "%.*s", HF_SPAN_ARG(a->container_name));
    snprintf(last_id, sizeof last_id, "%.*s", HF_SPAN_ARG(a->id));
    snprintf(last_rule, sizeof last_rule, "%.*s", HF_SPAN_ARG(a->rule));
    snprintf(last_summary, sizeof last_summary, "%.*s", HF_SPAN_ARG(a->summary));
}

static struct hf_engine *engine(const char *text, struct hf_err *err)
{
    struct hf_rules *r = NULL;
    struct hf_engine *e = NULL;
    struct hf_engine_opts o = {.alert = take};
    n_alerts = 0;
    if (hf_rules_new(&r, NULL, err) < 0)
        return NULL;
    if (hf_rules_add(r, "test.yaml", hf_span_z(text), err) < 0 || hf_engine_new(&e, r, &o, NULL, err) < 0) {
        hf_rules_free(r);
        return NULL;
    }
    return e;
}

static struct hf_container box = {.cgroup_id = 5, .id = {"0123456789abcdef", 16}, .name = {"web", 3}, .image = {"shop/web:1.2", 12}, .known = true};
static struct hf_proc shim = {.pid = 1, .comm = {"runc", 4}};
static struct hf_proc nginx = {.pid = 10, .parent = &shim, .comm = {"nginx", 5}, .exe = {"/usr/sbin/nginx", 15}, .container = &box};
static struct hf_proc shell = {.pid = 11, .ppid = 10, .parent = &nginx, .comm = {"sh", 2}, .exe = {"/bin/dash", 9}, .args = {"sh\0-c\0cat /etc/shadow", 21},
        .container = &box, .tty = 0, .login_uid = UINT32_MAX, .uid = 33, .euid = 33};

static struct hf_proc reader = {.pid = 12, .ppid = 11, .parent = &shell, .comm = {"cat", 3}, .exe = {"/bin/cat", 8}, .args = {"cat\0/etc/shadow", 15}, .container = &box};

static struct hf_event exec_event(struct hf_proc *p)
{
    struct hf_event ev = {.type = HF_EV_EXEC, .time_ns = 1000000000000u, .proc = p, .container = p->container, .path = p->exe};
    ev.u.hdr.type = HF_EV_EXEC;
    return ev;
}

static struct hf_event file_event(struct hf_proc *p, unsigned op, const char *path)
{
    struct hf_event ev = {.type = HF_EV_FILE, .seq = 7, .time_ns = 1000000000000u, .proc = p, .container = p->container, .path = hf_span_z(path)};
    ev.u.hdr.type = HF_EV_FILE;
    ev.u.file.op = op;
    return ev;
}

static struct hf_event net_event(struct hf_proc *p, unsigned op, const uint8_t peer[4], uint16_t port)
{
    struct hf_event ev = {.type = HF_EV_NET, .time_ns = 1000000000000u, .proc = p, .container = p->container};
    ev.u.hdr.type = HF_EV_NET;
    ev.u.net.op = op;
    ev.u.net.family = 2;
    ev.u.net.protocol = 6;
    ev.u.net.peer_port = port;
    ev.u.net.local_port = 40000;
    ev.u.net.peer[10] = ev.u.net.peer[11] = ev.u.net.local[10] = ev.u.net.local[11] = 0xff;
    memcpy(ev.u.net.peer + 12, peer, 4);
    return ev;
}

/* Whether a condition holds for an event. */
static bool holds(const char *condition, struct hf_event ev)
{
    char text[2048];
    struct hf_err err = HF_ERR_INIT;
    snprintf(text, sizeof text, "- list: shells\n  items: [sh, bash]\n- macro: spawned\n  condition: evt.type in (execve, execveat)\n- rule: r\n  condition: %s\n  output: x\n  priority: INFO\n", condition);
    hf_cleanup(hf_engine_freep) struct hf_engine *e = engine(text, &err);
    if (!e) {
        printf("# %s: %s\n", condition, err.msg);
        return false;
    }
    ev.h = &ev.u.hdr;
    return hf_engine_event(e, &ev) == 1;
}

static void operators(void)
{
    static const uint8_t inside[4] = {10, 1, 2, 3}, outside[4] = {93, 184, 216, 34};
    struct hf_event x = exec_event(&shell), f = file_event(&shell, HF_FILE_OPEN, "/etc/shadow");
    OK(holds("spawned and proc.name in (shells)", x));
    OK(!holds("spawned and proc.name in (bash, zsh)", x));
    OK(holds("evt.type = execve and proc.pname = nginx and proc.aname[2] = runc", x));
    OK(holds("spawned and proc.aname = runc", x));
    OK(!holds("spawned and proc.aname = systemd", x));
    OK(holds("spawned and proc.cmdline = \"sh -c cat /etc/shadow\"", x));
    OK(holds("spawned and proc.args contains shadow and proc.args icontains SHADOW", x));
    OK(holds("spawned and proc.exepath startswith /bin/ and proc.exepath endswith ash", x));
    OK(holds("spawned and proc.exepath glob \"/b?n/*\" and proc.exepath regex \"/bin/(d|b)ash\"", x));
    OK(holds("spawned and not proc.name = bash and not fd.name exists", x));
    OK(!holds("spawned and fd.name != nothing", x)); /* what is missing equals nothing and differs from nothing */
    OK(holds("spawned and container.id != host and container.image.repository = shop/web and container.image.tag = 1.2", x));
    OK(holds("spawned and user.uid = 33 and user.loginuid = -1 and proc.tty = 0", x));
    OK(holds("spawned and toupper(proc.name) = SH and len(proc.name) = 2", x));
    OK(holds("spawned and proc.pid > 10 and proc.pid <= 11", x));
    OK(holds("(evt.type = open or evt.type = openat) and fd.name pmatch (/etc, /usr) and fd.directory = /etc and fd.filename = shadow", f));
    OK(!holds("evt.type = openat and fd.name pmatch (/et, /usr)", f));
    OK(holds("evt.is_open_read = true and evt.type in (open, openat, openat2) and fd.typechar = f", f));
    OK(!holds("evt.type = execve and fd.name = /etc/shadow", f));
    OK(holds("evt.type = connect and fd.sip = 10.1.2.3 and fd.snet in (10.0.0.0/8, 192.168.0.0/16) and fd.sport = 443", net_event(&shell, HF_NET_ESTABLISHED, inside, 443)));
    OK(!holds("evt.type = connect and fd.snet in (\"10.0.0.0/8\")", net_event(&shell, HF_NET_ESTABLISHED, outside, 443)));
    OK(holds("evt.type = connect and fd.l4proto = tcp and fd.typechar = 4 and not fd.snet in (\"10.0.0.0/8\")", net_event(&shell, HF_NET_ESTABLISHED, outside, 443)));
}

static void structure(void)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_event x = exec_event(&shell);
    x.h = &x.u.hdr;
    {
        hf_cleanup(hf_engine_freep) struct hf_engine *e = engine("- list: a\n  items: [zsh]\n- list: a\n  append: true\n  items: [sh]\n- macro: m\n  condition: evt.type = execve\n"
                "- rule: r\n  desc: d\n  condition: m and proc.name in (a)\n  output: \"ran %proc.cmdline in %container.name (%fd.name)\"\n  priority: WARNING\n  tags: [mitre_execution, T1059]\n"
                "- rule: r\n  append: true\n  condition: and not proc.pname = cron\n", &err);
        OK(e != NULL);
        EQ_U(e ? hf_engine_event(e, &x) : 0, 1);
        EQ_S(hf_span_z(last_summary), "ran sh -c cat /etc/shadow in web (<NA>)");
        EQ_U(e ? hf_engine_event(e, &x) : 0, 1);
        EQ_U(n_alerts, 1); /* the second was folded */
        if (e)
            hf_engine_tick(e, x.time_ns + 61000000000u, false);
        EQ_U(n_alerts, 2);
        EQ_U(last_count, 2);
        EQ_S(hf_span_z(last_container), "web"); /* a sum says whose it is, too */
    }
    {
        hf_cleanup(hf_engine_freep) struct hf_engine *e = engine("- rule: r\n  condition: evt.type = execve\n  output: o\n  priority: INFO\n  exceptions:\n  - name: known\n"
                "    fields: [proc.name, proc.pname]\n    comps: [in, \"=\"]\n    values:\n    - [[sh, ash], nginx]\n", &err);
        OK(e != NULL);
        EQ_U(e ? hf_engine_event(e, &x) : 9, 0);
    }
    {
        hf_cleanup(hf_engine_freep) struct hf_engine *e = engine("- rule: many\n  condition: evt.type = execve\n  output: o\n  priority: INFO\n  count: 3\n  window: 10s\n", &err);
        OK(e != NULL);
        EQ_U(e ? hf_engine_event(e, &x) : 9, 0);
        EQ_U(e ? hf_engine_event(e, &x) : 9, 0);
        x.time_ns += 11000000000u; /* the first is too old now */
        EQ_U(e ? hf_engine_event(e, &x) : 9, 0);
        x.time_ns += 1;
        EQ_U(e ? hf_engine_event(e, &x) : 9, 0);
        EQ_U(e ? hf_engine_event(e, &x) : 9, 1);
    }
}

/* What people read of an alert has no secrets; what rules compare is as it was. */
static void secrets(void)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_proc client = shell;
    client.args = hf_span("psql\0--password=hunter2\0--token\0tk9\0postgres://u:pw7@db/x", 57);
    client.comm = HF_S("psql");
    struct hf_event x = exec_event(&client);
    x.h = &x.u.hdr;
    hf_cleanup(hf_engine_freep) struct hf_engine *e = engine("- rule: r\n  condition: evt.type = execve and proc.cmdline contains hunter2\n  output: \"%proc.cmdline | %proc.args\"\n  priority: INFO\n", &err);
    EQ_U(e ? hf_engine_event(e, &x) : 0, 1);
    EQ_S(hf_span_z(last_summary), "psql --password=*** --token *** postgres://u:***@db/x | --password=*** --token *** postgres://u:***@db/x");
    OK(strstr(last_why, "--password=***") && !strstr(last_why, "hunter2") && !strstr(last_why, "tk9"));
}

static void behaviour(void)
{
    struct hf_err err = HF_ERR_INIT;
    {
        hf_cleanup(hf_engine_freep) struct hf_engine *e = engine("- rule: spreads\n  condition: evt.type = connect\n  output: o\n  priority: INFO\n  count: 5\n  distinct: fd.sip\n  window: 60s\n", &err);
        unsigned fired = 0;
        for (uint8_t i = 0; e && i < 5; i++) {
            const uint8_t peer[4] = {10, 0, 0, i}, same[4] = {10, 0, 0, 0};
            struct hf_event n = net_event(&shell, HF_NET_ESTABLISHED, peer, 22), again = net_event(&shell, HF_NET_ESTABLISHED, same, 22);
            n.h = &n.u.hdr;
            again.h = &again.u.hdr;
            EQ_U(fired, 0);
            fired += hf_engine_event(e, &n);
            if (i < 4)
                fired += hf_engine_event(e, &again);
        }
        EQ_U(fired, 1);
    }
    for (unsigned irregular = 0; irregular < 2; irregular++) {
        hf_cleanup(hf_engine_freep) struct hf_engine *e = engine("- rule: beacon\n  condition: evt.type = connect\n  output: o\n  priority: INFO\n  regular: {min: 5s, max: 1h, samples: 6, jitter: 10}\n", &err);
        static const uint8_t peer[4] = {93, 184, 216, 34};
        unsigned fired = 0;
        struct hf_event n = net_event(&shell, HF_NET_ESTABLISHED, peer, 443);
        n.h = &n.u.hdr;
        for (unsigned i = 0; e && i < 7; i++) {
            fired += hf_engine_event(e, &n);
            n.time_ns += irregular ? 10000000000u + i * 7000000000u : 30000000000u + i * 300000000u;
        }
        EQ_U(fired, irregular ? 0 : 1);
    }
    hf_cleanup(hf_engine_freep) struct hf_engine *e = engine("- rule: two\n  sequence: [\"evt.type = openat and fd.name = /etc/shadow\", \"evt.type = connect\"]\n  output: o\n  priority: INFO\n", &err);
    static const uint8_t peer[4] = {93, 184, 216, 34};
    struct hf_event f = file_event(&shell, HF_FILE_OPEN, "/etc/shadow"), n = net_event(&shell, HF_NET_ESTABLISHED, peer, 443);
    f.h = &f.u.hdr;
    n.h = &n.u.hdr;
    OK(e != NULL);
    EQ_U(e ? hf_engine_event(e, &n) : 9, 0);
    EQ_U(e ? hf_engine_event(e, &f) : 9, 0);
    EQ_U(e ? hf_engine_event(e, &n) : 9, 1);
    EQ_U(e ? hf_engine_event(e, &n) : 9, 0);
    f.u.file.source = HF_SOURCE_FANOTIFY; /* told after what followed it; but not long after */
    EQ_U(e ? hf_engine_event(e, &f) : 9, 1);
    f.time_ns += 2000000000u;
    EQ_U(e ? hf_engine_event(e, &f) : 9, 0);
}

/* Rules that speak to each other, that alert once, that know what is usual. */
static void memory(void)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_proc child = shell;
    struct hf_event x = exec_event(&shell), f = file_event(&shell, HF_FILE_OPEN, "/etc/shadow"), y;
    child.parent = &shell;
    child.pid = 12;
    y = exec_event(&child);
    x.h = &x.u.hdr;
    f.h = &f.u.hdr;
    y.h = &y.u.hdr;
    {
        hf_cleanup(hf_engine_freep) struct hf_engine *e = engine("- rule: sees\n  condition: evt.type = openat\n  remember: seen\n  key: [container.id, proc.pid]\n  window: 10s\n"
                "- rule: own\n  condition: evt.type = execve and hf.remembered[seen] = true\n  output: o\n- rule: parent\n  condition: evt.type = execve and hf.parent_remembered[seen] = true\n  output: o\n", &err);
        OK(e != NULL);
        EQ_U(e ? hf_engine_event(e, &x) : 9, 0);
        EQ_U(e ? hf_engine_event(e, &f) : 9, 0); /* remembering is no alert */
        EQ_U(e ? hf_engine_event(e, &x) : 9, 1);
        EQ_S(hf_span_z(last_rule), "own");
        EQ_U(e ? hf_engine_event(e, &y) : 9, 1);
        EQ_S(hf_span_z(last_rule), "parent");
        x.time_ns += 11000000000u;
        EQ_U(e ? hf_engine_event(e, &x) : 9, 0);
    }
    {
        hf_cleanup(hf_engine_freep) struct hf_engine *e = engine("- rule: r\n  condition: evt.type = openat\n  output: o\n  once: 1h\n  key: fd.name\n", &err);
        OK(e != NULL);
        n_alerts = 0;
        for (unsigned i = 0; e && i < 3; i++, f.time_ns += 1000000000000u)
            hf_engine_event(e, &f);
        EQ_U(n_alerts, 1);
        f.path = HF_S("/etc/passwd"); /* another key */
        if (e)
            hf_engine_event(e, &f);
        EQ_U(n_alerts, 2);
        if (e)
            hf_engine_tick(e, 1000000000000u + 3700000000000u, false);
        EQ_U(n_alerts, 3);
        EQ_U(last_count, 3);
    }
    {
        hf_cleanup(hf_engine_freep) struct hf_engine *e = engine("- rule: r\n  condition: evt.type = openat\n  output: o\n  first: fd.name\n  window: 10s\n", &err);
        OK(e != NULL);
        f.time_ns = 5000000000000u;
        EQ_U(e ? hf_engine_event(e, &f) : 9, 0); /* learning */
        f.time_ns += 11000000000u;
        EQ_U(e ? hf_engine_event(e, &f) : 9, 0); /* known */
        f.path = HF_S("/etc/new");
        EQ_U(e ? hf_engine_event(e, &f) : 9, 1);
        EQ_U(e ? hf_engine_event(e, &f) : 9, 0);
    }
    hf_cleanup(hf_engine_freep) struct hf_engine *e = engine("- rule: r\n  condition: evt.type = hf.rate\n  output: o\n  surge: {of: hf.rate.udp_out, above: 1000, times: 5, samples: 2}\n", &err);
    struct hf_event rate = {.type = HF_EV_RATE, .time_ns = 1000000000u, .container = shell.container};
    rate.u.hdr.type = HF_EV_RATE;
    rate.u.rate.interval_ns = 1000000000u;
    rate.h = &rate.u.hdr;
    OK(e != NULL);
    unsigned fired = 0;
    for (unsigned i = 0; e && i < 100; i++, rate.time_ns += 1000000000u) { /* busy all day, after a quiet start: no surge, not even at three times as much */
        rate.u.rate.udp_out = i < 10 ? 900 : i < 90 ? 2000 : 6000;
        fired += hf_engine_event(e, &rate);
    }
    EQ_U(fired, 0);
    rate.u.rate.udp_out = 60000;
    EQ_U(e ? hf_engine_event(e, &rate) : 9, 0); /* one sample is no flood */
    EQ_U(e ? hf_engine_event(e, &rate) : 9, 1);
}

/* Intervals that are not over: what has passed already must be enough for all samples; only a surge is told by them. */
static void early(void)
{
    static const char rules[] = "- rule: surge\n  condition: evt.type = hf.rate\n  output: o\n  surge: {of: hf.rate.udp_out, above: 1000, times: 5, samples: 3}\n"
            "- rule: plain\n  condition: evt.type = hf.rate and hf.rate.udp_out > 500000\n  output: o\n- rule: twice\n  condition: evt.type = hf.rate and hf.rate.udp_out > 500000\n  output: o\n  count: 2\n";
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_engine_freep) struct hf_engine *e = engine(rules, &err);
    struct hf_event rate = {.type = HF_EV_RATE, .time_ns = 1000000000u, .container = shell.container};
    rate.u.hdr.type = HF_EV_RATE;
    rate.u.rate.interval_ns = 1000000000u;
    rate.h = &rate.u.hdr;
    OK(e != NULL);
    rate.u.hdr.flags = HF_F_EARLY;
    rate.u.rate.udp_out = 2999; /* nothing known of the container: the floor */
    EQ_U(e ? hf_engine_event(e, &rate) : 9, 0);
    rate.u.rate.udp_out = 3000;
    EQ_U(e ? hf_engine_event(e, &rate) : 9, 1);
    rate.u.hdr.flags = 0;
    for (unsigned i = 0; e && i < 40; i++, rate.time_ns += 1000000000u) {
        rate.u.rate.udp_out = 900;
        EQ_U(hf_engine_event(e, &rate), 0);
    }
    rate.u.hdr.flags = HF_F_EARLY; /* usual is 900 by now: 5 times that, three times */
    rate.u.rate.udp_out = 13499;
    EQ_U(e ? hf_engine_event(e, &rate) : 9, 0);
    for (unsigned i = 0; e && i < 50; i++) { /* and none of it changes what is usual */
        rate.u.rate.udp_out = 13400;
        EQ_U(hf_engine_event(e, &rate), 0);
    }
    rate.u.rate.udp_out = 1000000;
    EQ_U(e ? hf_engine_event(e, &rate) : 9, 1);
    EQ_S(hf_span_z(last_rule), "surge");
    rate.u.hdr.flags = 0;
    EQ_U(e ? hf_engine_event(e, &rate) : 9, 1); /* the whole interval: the plain rule, and the first sample for the others */
    EQ_S(hf_span_z(last_rule), "plain");
}

/* Reloaded: what is unchanged goes on where it was, what is changed begins anew. */
static void reloaded(void)
{
    static const char *const texts[] = {
            "- rule: two\n  sequence: [\"evt.type = openat\", \"evt.type = unlink\", \"evt.type = connect\"]\n  output: o\n- rule: once\n  condition: evt.type = openat\n  output: o\n  count: 2\n",
            "- rule: two\n  sequence: [\"evt.type = openat\", \"evt.type = connect\"]\n  output: o\n- rule: once\n  condition: evt.type = openat\n  output: o\n  count: 2\n"};
    struct hf_err err = HF_ERR_INIT;
    struct hf_event f = file_event(&shell, HF_FILE_OPEN, "/a"), u = file_event(&shell, HF_FILE_UNLINK, "/a");
    struct hf_engine *e = engine(texts[0], &err), *next = NULL;
    struct hf_rules *r = NULL;
    struct hf_engine_opts o = {.alert = take};
    f.h = &f.u.hdr;
    u.h = &u.u.hdr;
    OK(e != NULL);
    EQ_U(e ? hf_engine_event(e, &f) : 9, 0);
    EQ_U(e ? hf_engine_event(e, &u) : 9, 0); /* two of three steps */
    OK(hf_rules_new(&r, NULL, &err) == 0 && hf_rules_add(r, "test.yaml", hf_span_z(texts[1]), &err) == 0 && hf_engine_new(&next, r, &o, e, &err) == 0);
    EQ_U(next ? hf_engine_event(next, &u) : 9, 0); /* the other sequence is not where the old one was */
    EQ_U(next ? hf_engine_event(next, &f) : 9, 1); /* the count went on */
    hf_engine_free(next);
}

static bool refused(const char *text, const char *message)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_engine *e = engine(text, &err);
    bool ok = !e && strstr(err.msg, message);
    if (!ok)
        printf("# %s\n", e ? "loaded" : err.msg);
    hf_engine_free(e);
    return ok;
}

static void errors(void)
{
    OK(refused("- rule: r\n  condition: proc.nmae = x\n  output: o\n", "did you mean \"proc.name\""));
    OK(refused("- rule: r\n  condition: (evt.type = execve\n  output: o\n", "\")\" is missing"));
    OK(refused("- rule: r\n  condition: nothing and evt.type = execve\n  output: o\n", "unknown macro \"nothing\""));
    OK(refused("- macro: a\n  condition: b\n- macro: b\n  condition: a\n- rule: r\n  condition: a\n  output: o\n", "uses itself"));
    OK(refused("- rule: r\n  condition: fd.sip = 300.1.1.1\n  output: o\n", "no address"));
    OK(refused("- rule: r\n  condition: proc.pid = many\n  output: o\n", "no number"));
    OK(refused("- rule: r\n  condition: evt.type = execve\n  output: \"%proc.nam\"\n", "unknown field"));
    OK(refused("- rule: r\n  condition: evt.type = execve\n", "no output"));
    OK(refused("- rule: r\n\tcondition: x\n", "test.yaml:2: not YAML"));
    OK(refused("- rule: r\n  condition: evt.type = execve\n  output: o\n  priority: LOUD\n", "test.yaml:4: unknown priority"));
    OK(refused("- rule: r\n  condition: hf.remembered[x] = true\n  output: o\n", "no rule remembers \"x\""));
    OK(refused("- rule: r\n  condition: evt.type = hf.rate\n  surge: {of: hf.rate.udp_out}\n  output: o\n", "\"above\""));
    OK(refused("- rule: r\n  condition: evt.type = hf.rate\n  surge: {of: proc.name, above: 1}\n  output: o\n", "is no number"));
    OK(refused("- rule: r\n  condition: proc.name regex \"(a\"\n  output: o\n", "regular expression"));
}

static void falco(void)
{
    char path[4096];
    struct hf_err err = HF_ERR_INIT;
    struct hf_rules *r = NULL;
    hf_cleanup(hf_engine_freep) struct hf_engine *e = NULL;
    struct hf_engine_opts o = {.alert = take, .disabled_too = true};
    snprintf(path, sizeof path, "%s/../shared/data/rules/falco/rules", getenv("HF_SOURCE_ROOT") ? getenv("HF_SOURCE_ROOT") : ".");
    if (access(path, R_OK) != 0) {
        printf("ok %u - Falco's rules # SKIP %s is not here\n", ++tap_n, path);
        return;
    }
    OK(hf_rules_new(&r, NULL, &err) == 0 && hf_rules_add_path(r, path, &err) == 0 && hf_engine_new(&e, r, &o, NULL, &err) == 0);
    EQ_U(e ? hf_rules_count(r) : 0, 93);
    struct hf_event ev = file_event(&reader, HF_FILE_OPEN, "/etc/shadow");
    ev.h = &ev.u.hdr;
    ev.seq = 7;
    n_alerts = 0;
    if (e)
        hf_engine_event(e, &ev);
    EQ_U(n_alerts, 1);
    EQ_S(hf_span_z(last_rule), "Read sensitive file untrusted");
    ev = file_event(&reader, HF_FILE_OPEN, "/etc/hostname"); /* its benign twin */
    ev.h = &ev.u.hdr;
    ev.seq = 7;
    n_alerts = 0;
    if (e)
        hf_engine_event(e, &ev);
    EQ_U(n_alerts, 0);
}

/* A program that was killed before it ran: only for rules that look at that, also through a macro.  What was told and taken back is told the next time. */
static void never_ran(void)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_proc killed = shell;
    struct hf_event ran = exec_event(&shell), not = exec_event(&killed);
    ran.h = &ran.u.hdr;
    not.h = &not.u.hdr;
    not.u.exec.exec_flags = killed.exec_flags = HF_X_KILLED;
    {
        hf_cleanup(hf_engine_freep) struct hf_engine *e = engine("- macro: gone\n  condition: (hf.exe.killed = true)\n- rule: any\n  condition: evt.type = execve\n  output: o\n  priority: CRITICAL\n"
                "- rule: asks\n  condition: evt.type = execve and gone\n  output: o\n  priority: LOW\n- rule: both\n  condition: evt.type = execve and hf.exe.killed in (true, false)\n  output: o\n", &err);
        OK(e != NULL);
        EQ_U(e ? hf_engine_event(e, &ran) : 9, 2); /* any, both */
        EQ_I(e ? hf_engine_worst(e) : 9, HF_SEV_CRITICAL);
        EQ_U(e ? hf_engine_event(e, &not) : 9, 2); /* asks, both */
        OK(!e || hf_engine_worst(e) < (int)HF_SEV_CRITICAL);
    }
    {
        hf_cleanup(hf_engine_freep) struct hf_engine *e = engine("- rule: r\n  condition: evt.type = execve\n  output: o\n  once: 1h\n  until: verdict\n", &err);
        OK(e != NULL && hf_rules_at(hf_engine_rules(e), 0)->until_verdict);
        hf_engine_event(e, &ran);
        EQ_U(n_alerts, 1);
        OK(hf_engine_unsay(e, hf_span_z(last_id)));
        hf_engine_event(e, &ran);
        EQ_U(n_alerts, 2);
        hf_engine_event(e, &ran); /* folded into it: it cannot be taken back */
        EQ_U(n_alerts, 2);
        OK(!hf_engine_unsay(e, hf_span_z(last_id)));
        OK(hf_engine_unsay(e, HF_S("another")));
        struct hf_event file = file_event(&shell, HF_FILE_OPEN, "/x");
        file.h = &file.u.hdr;
        hf_engine_event(e, &file);
        OK(hf_engine_worst(e) < 0);
    }
    OK(!engine("- rule: r\n  condition: evt.type = execve\n  output: o\n  until: monday\n", &err) && strstr(err.msg, "\"until\" is \"verdict\""));
}

int main(void)
{
    never_ran();
    operators();
    structure();
    secrets();
    behaviour();
    memory();
    early();
    reloaded();
    errors();
    falco();
    return tap_done();
}
