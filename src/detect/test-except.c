// SPDX-License-Identifier: Apache-2.0
#include "detect/except.h"

#include "tap.h"

static struct hf_excepts *load(const char *text, struct hf_err *err)
{
    struct hf_excepts *x = NULL;
    if (hf_excepts_new(&x, err) == 0 && hf_excepts_add(x, "e.yaml", hf_span_z(text), err) < 0) {
        hf_excepts_free(x);
        x = NULL;
    }
    return x;
}

static struct hf_container box = {.id = {"c0ffee", 6}, .name = {"web", 3}, .image = {"nginx:1", 7}};
static struct hf_proc parent = {.pid = 1, .exe = {"/bin/sh", 7}};
static struct hf_proc proc = {.pid = 2, .parent = &parent, .exe = {"/tmp/x", 6}, .args = {"x\0--password\0geheim", 19}, .container = &box};

/* Whether an alert of rule "r" for the event falls under these keys. */
static bool matches(const char *keys, struct hf_event ev)
{
    char text[1024];
    struct hf_err err = HF_ERR_INIT;
    snprintf(text, sizeof text, "- rule: r\n%s", keys);
    hf_cleanup(hf_excepts_freep) struct hf_excepts *x = load(text, &err);
    if (!OK(x)) {
        printf("# %s\n", err.msg);
        return false;
    }
    ev.h = &ev.u.hdr;
    const struct hf_except *e = hf_excepts_match(x, HF_S("r"), &ev);
    OK(!hf_excepts_match(x, HF_S("other"), &ev));
    EQ_U(hf_excepts_at(x, 0)->used, e != NULL);
    return e;
}

static void matching(void)
{
    struct hf_event ev = {.type = HF_EV_EXEC, .time_ns = 1700000000000000000u /* 2023-11-14 */, .proc = &proc, .container = &box}, net = ev;
    char hash[65], keys[128];
    OK(matches("  image: nginx:1\n  exe: /tmp/x\n  parent: /bin/sh\n  container: web\n", ev));
    OK(!matches("  image: nginx:1\n  exe: /tmp/y\n", ev));
    OK(!matches("  image: nginx:2\n  exe: /tmp/x\n", ev));
    OK(!matches("  exe: /tmp/x\n  parent: /bin/bash\n", ev));
    OK(!matches("  container: host\n", ev));
    hf_except_hash(HF_S("x --password ***"), hash);
    snprintf(keys, sizeof keys, "  args_sha256: %s\n", hash);
    OK(matches(keys, ev));
    OK(!matches("  exe: /tmp/x\n  path: /tmp/x\n", ev));
    OK(matches("  exe: /tmp/x\n  expires: 2023-11-14\n", ev));
    OK(!matches("  exe: /tmp/x\n  expires: 2023-11-13\n", ev));
    OK(matches("  exe: /tmp/x\n  expires: never\n", ev));
    net.type = HF_EV_NET;
    net.u.net.op = HF_NET_CONNECT;
    net.u.net.peer[10] = net.u.net.peer[11] = 0xff;
    net.u.net.peer[12] = 10;
    net.u.net.peer[15] = 9;
    net.u.net.peer_port = 443;
    net.u.net.local_port = 40000;
    net.peer_name = HF_S("example.org");
    OK(matches("  peer: 10.0.0.9\n  port: 443\n", net));
    OK(matches("  name: example.org\n  port: 443\n", net));
    OK(!matches("  peer: 10.0.0.8\n", net));
    OK(!matches("  port: 40000\n", net));
    net.u.net.op = HF_NET_ACCEPT;
    OK(matches("  port: 40000\n", net));
}

static void wrong(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
            {"rule: x\n", "a list of exceptions is expected"},
            {"- exe: /x\n", "e.yaml:1: an exception has no \"rule\""},
            {"- rule: r\n", "must name more than its rule"},
            {"- rule: r\n  exec: /x\n", "e.yaml:2: unknown key \"exec\"; did you mean exe"},
            {"- rule: r\n  exe: [a]\n", "\"exe\" must be a text"},
            {"- rule: r\n  port: 0\n", "a number from 1 to 65535"},
            {"- rule: r\n  exe: /x\n  expires: soon\n", "must be a date"},
            {"- rule: r\n  exe: /x\n  expires: 2026-02-30\n", "must be a date"},
            {"- rule: [\n", "not YAML"},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        struct hf_err err = HF_ERR_INIT;
        OK(!load(cases[i].text, &err));
        if (!OK(strstr(err.msg, cases[i].message)))
            printf("# %s\n", err.msg);
    }
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_excepts_freep) struct hf_excepts *x = load("# none yet\n", &err);
    OK(x && hf_excepts_count(x) == 0);
}

int main(void)
{
    matching();
    wrong();
    return tap_done();
}
