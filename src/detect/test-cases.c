// SPDX-License-Identifier: Apache-2.0
#include "detect/cases.h"

#include "event/event.h"
#include "tap.h"

/* The nth record of the first test, decoded. */
static bool nth(const struct hf_cases *c, size_t n, struct hf_event *ret)
{
    struct hf_err err = HF_ERR_INIT;
    size_t len;
    for (struct hf_span rest = hf_cases_at(c, 0)->records; hf_event_frame(rest, &len, &err) == 1; rest = hf_span_from(rest, len))
        if (n-- == 0)
            return hf_event_decode(hf_span_sub(rest, 0, len), ret, &err) == 0;
    return false;
}

static struct hf_cases *load(const char *text)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_cases *c = NULL;
    if (hf_cases_load(&c, "t.yaml", hf_span_z(text), &err) < 0)
        printf("# %s\n", err.msg);
    return c;
}

static void events(void)
{
    hf_cleanup(hf_cases_freep) struct hf_cases *c = load(
            "- test: all\n"
            "  containers:\n"
            "    - {id: c0ffee, name: web, image: 'nginx:1', privileged: true}\n"
            "  processes:\n"
            "    - {pid: 1, exe: /sbin/init}\n"
            "  events:\n"
            "    - type: exec\n"
            "      process: {pid: 7, ppid: 1, exe: /tmp/x, args: [x, -a], uid: 33, container: web, caps: [CAP_KILL], env: [A=b]}\n"
            "      exec: {flags: [upper_layer, deleted], stdin: {kind: socket, peer: 10.0.0.9, port: 4444}}\n"
            "    - {type: file, process: 7, file: {operation: rename, path: /a, target: /b, new_mode: 04755}}\n"
            "    - {type: connect, after: 3s, process: 7, connect: {peer: '2001:db8::1', peer_port: 6667, operation: failed}}\n"
            "    - {type: dns, process: 7, dns: {name: evil.example, query_type: 16, response: true, rcode: 3}}\n"
            "    - {type: payload, process: 7, payload: {hex: 5353482d322e302d780d0a, peer_port: 22}}\n"
            "    - {type: signal, process: 1, signal: {number: 9, target: 7}}\n"
            "    - {type: mount, process: 7, mount: {device: none, target: /mnt, type: tmpfs}}\n"
            "    - {type: namespace, process: 7, namespace: {kinds: [user, pid]}}\n"
            "    - {type: capability, process: 7, capability: {capability: CAP_SYS_ADMIN, granted: false}}\n"
            "    - {type: rate, container: web, rate: {tcp_syn_out: 5000}}\n"
            "    - {type: exit, process: 7, exit: {code: 3}}\n"
            "  alerts: [A, A, B]\n");
    struct hf_event ev;
    OK(c);
    if (!c)
        return;
    EQ_U(hf_cases_count(c), 1);
    EQ_U(hf_cases_at(c, 0)->n_events, 11);
    EQ_U(hf_cases_at(c, 0)->n_alerts, 3);
    EQ_S(hf_cases_at(c, 0)->alerts[2], "B");
    OK(nth(c, 0, &ev) && ev.type == HF_EV_CONTAINER && ev.h->cgroup_id == 100);
    OK(hf_span_search(ev.text, hf_span("privileged\0" "1\0", 13)) != SIZE_MAX);
    OK(nth(c, 1, &ev) && ev.type == HF_EV_PROC && ev.h->pid == 1 && hf_span_eqz(ev.path, "/sbin/init"));
    OK(nth(c, 2, &ev) && ev.type == HF_EV_EXEC && ev.h->uid == 33 && ev.h->euid == 33 && ev.h->cgroup_id == 100 && ev.h->cap_eff == 1u << 5);
    EQ_S(ev.path, "/tmp/x");
    OK(hf_span_eq(ev.args, hf_span("x\0-a\0", 5)) && hf_span_eq(ev.env, hf_span("A=b\0", 4)));
    EQ_U(ev.u.exec.exec_flags, HF_X_UPPER | HF_X_DELETED);
    OK(ev.u.exec.stdio[0].kind == HF_STDIO_SOCKET && ev.u.exec.stdio[0].peer[15] == 9 && ev.u.exec.stdio[0].peer_port == 4444 && ev.u.exec.stdio[0].family == 2);
    OK(ev.u.exec.argc == 2 && !strcmp(ev.h->comm, "x") && ev.u.exec.parent_start_ns == 500000001);
    OK(nth(c, 3, &ev) && ev.u.file.op == HF_FILE_RENAME && hf_span_eqz(ev.path, "/a") && hf_span_eqz(ev.path2, "/b") && ev.u.file.new_mode == 04755);
    uint64_t before = ev.h->time_ns;
    OK(nth(c, 4, &ev) && ev.u.net.op == HF_NET_FAILED && ev.u.net.peer[0] == 0x20 && ev.u.net.peer_port == 6667 && ev.u.net.family == 10 && ev.h->time_ns - before == 3000000000u);
    OK(nth(c, 5, &ev) && ev.app.kind == HF_APP_DNS && ev.app.dns_response && ev.app.dns_rcode == 3 && ev.app.dns_type == 16);
    EQ_S(ev.app.name, "evil.example");
    OK(nth(c, 6, &ev) && ev.app.kind == HF_APP_SSH);
    OK(nth(c, 7, &ev) && ev.u.signal.sig == 9 && ev.u.signal.target_pid == 7 && ev.u.signal.target_cgroup_id == 100);
    OK(nth(c, 8, &ev) && hf_span_eqz(ev.path, "/mnt") && hf_span_eqz(ev.path2, "none") && hf_span_eqz(ev.text, "tmpfs"));
    OK(nth(c, 9, &ev) && ev.u.ns.flags == (0x10000000u | 0x20000000u));
    OK(nth(c, 10, &ev) && ev.u.cap.cap == 21 && ev.u.cap.result == -1);
    OK(nth(c, 11, &ev) && ev.u.rate.tcp_syn_out == 5000 && ev.h->cgroup_id == 100 && ev.h->pid == 0);
    OK(nth(c, 12, &ev) && ev.u.exit.status == 3u << 8);
    OK(!nth(c, 13, &ev));
}

static void wrong(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
            {"a: b\n", "t.yaml: a list of tests is expected"},
            {"- tes: x\n", "t.yaml:1: a list of tests is expected, each with its name"},
            {"- test: x\n  alerts: []\n", "a test has no \"events\""},
            {"- test: x\n  events: []\n", "a test has no \"alerts\""},
            {"- test: x\n  event: []\n", "unknown key \"event\"; did you mean events"},
            {"- test: x\n  alerts: []\n  events:\n    - {type: exek, process: {pid: 1}}\n", "t.yaml:4: an event has the type of a line of \"watch --json\"; there is no \"exek\"; did you mean exec"},
            {"- test: x\n  alerts: []\n  events:\n    - {type: exec, process: 5}\n", "no process 5 was named before"},
            {"- test: x\n  alerts: []\n  events:\n    - {type: exec}\n", "the event has no \"process\""},
            {"- test: x\n  alerts: []\n  events:\n    - {type: exec, process: {pid: 1}, exec: {flag: []}}\n", "exec has no \"flag\"; did you mean flags"},
            {"- test: x\n  alerts: []\n  events:\n    - {type: exec, process: {pid: 1}, exec: {flags: [red]}}\n", "\"red\" is not a name"},
            {"- test: x\n  alerts: []\n  events:\n    - {type: connect, process: {pid: 1}, connect: {peer: x}}\n", "an address is expected"},
            {"- test: x\n  alerts: []\n  events:\n    - {type: connect, process: {pid: 1}, connect: {peer_port: 70000}}\n", "a number from 0 to 65535"},
            {"- test: x\n  alerts: []\n  events:\n    - {type: exec, process: {pid: 1, container: no}}\n", "there is no container of this name"},
            {"- test: x\n  alerts: []\n  events:\n    - {type: file, process: {pid: 1}, file: {operation: eat}}\n", "one of open, write, create"},
            {"- test: x\n  alerts: []\n  events:\n    - {type: signal, process: {pid: 1}, signal: {target: 2}}\n", "no process 2 was named"},
            {"- test: x\n  alerts: []\n  events:\n    - {type: dns, process: {pid: 1}, dns: {query_type: 1}}\n", "dns has no \"name\""},
            {"- test: x\n  alerts: []\n  events:\n    - {type: exec, process: {pid: 1}, after: 5}\n", "a time is a number and one of"},
            {"- test: [\n", "not YAML"},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        struct hf_err err = HF_ERR_INIT;
        struct hf_cases *c = NULL;
        EQ_I(hf_cases_load(&c, "t.yaml", hf_span_z(cases[i].text), &err), HF_E_USAGE);
        if (!OK(strstr(err.msg, cases[i].message)))
            printf("# %s\n", err.msg);
    }
}

int main(void)
{
    events();
    wrong();
    return tap_done();
}
