// SPDX-License-Identifier: Apache-2.0
#include "event/json.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "base/json.h"
#include "event/caps.h"
#include "event/names.h"
#include "event/reached.h"
#include "event/runtime.h"

#define ANCESTORS_MAX 16u
#define LABELS_MAX 64u

static const char *const severities[] = {"debug", "info", "notice", "low", "medium", "high", "critical"};

const char *hf_alert_severity_name(enum hf_severity s)
{
    return (unsigned)s < HF_ARRAY_LEN(severities) ? severities[s] : "info";
}

bool hf_alert_severity_parse(struct hf_span name, enum hf_severity *ret)
{
    static const struct {
        const char *name;
        enum hf_severity severity;
    } falco[] = {{"emergency", HF_SEV_CRITICAL}, {"alert", HF_SEV_CRITICAL}, {"error", HF_SEV_HIGH}, {"warning", HF_SEV_MEDIUM},
            {"informational", HF_SEV_INFO}};
    for (size_t i = 0; i < HF_ARRAY_LEN(severities); i++)
        if (hf_span_eq_nocase(name, hf_span_z(severities[i]))) {
            *ret = (enum hf_severity)i;
            return true;
        }
    for (size_t i = 0; i < HF_ARRAY_LEN(falco); i++)
        if (hf_span_eq_nocase(name, hf_span_z(falco[i].name))) {
            *ret = falco[i].severity;
            return true;
        }
    return false;
}

void hf_event_time(uint64_t ns, struct hf_buf *out)
{
    time_t s = (time_t)(ns / 1000000000u);
    struct tm tm;
    if (!gmtime_r(&s, &tm))
        memset(&tm, 0, sizeof tm);
    hf_buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%09uZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
            (unsigned)(ns % 1000000000u));
}

static void ktime(struct hf_jw *w, const char *key, uint64_t ns)
{
    char store[48];
    hf_autobuf text = HF_BUF_INIT(sizeof store);
    hf_event_time(ns, &text);
    hf_jw_kstr(w, key, hf_buf_span(&text));
}

/* ---- secrets ---- */

static bool names_secret(struct hf_span s)
{
    static const char *const words[] = {"password", "passwd", "pwd", "secret", "token", "apikey", "api-key", "api_key", "credential", "authorization", "access-key", "access_key"};
    for (size_t i = 0; i < HF_ARRAY_LEN(words); i++) {
        struct hf_span w = hf_span_z(words[i]);
        for (size_t at = 0; at + w.n <= s.n; at++)
            if (hf_span_eq_nocase(hf_span_sub(s, at, w.n), w))
                return true;
    }
    return false;
}

/* Offset of what follows the name of a secret in "--password=x", "TOKEN=x", "Authorization: x", "https://user:x@host"; SIZE_MAX: none. */
static size_t secret_at(struct hf_span arg)
{
    size_t at = hf_span_find(arg, '=');
    if (at == SIZE_MAX)
        at = hf_span_find(arg, ':');
    if (at != SIZE_MAX && at + 1 < arg.n && names_secret(hf_span_sub(arg, 0, at)))
        return at + 1;
    size_t scheme = hf_span_search(arg, HF_S("://"));
    if (scheme != SIZE_MAX) {
        struct hf_span host = hf_span_from(arg, scheme + 3);
        host = hf_span_sub(host, 0, HF_MIN(hf_span_find(host, '/'), host.n));
        size_t user = hf_span_rfind(host, '@'), colon = hf_span_find(host, ':');
        if (user != SIZE_MAX && colon < user)
            return scheme + 3 + colon + 1;
    }
    return SIZE_MAX;
}

/* The argument as shown; mask: the one before it said that this is a secret. */
static void shown(struct hf_span arg, bool mask, struct hf_buf *out)
{
    size_t at = mask ? 0 : secret_at(arg);
    if (at == SIZE_MAX) {
        hf_buf_adds(out, arg);
        return;
    }
    hf_buf_adds(out, hf_span_sub(arg, 0, at));
    hf_buf_addz(out, "***");
    size_t user = at ? hf_span_rfind(arg, '@') : SIZE_MAX;
    if (user != SIZE_MAX && user > at)
        hf_buf_adds(out, hf_span_from(arg, user));
}

static bool announces_secret(struct hf_span arg)
{
    return arg.n > 2 && arg.p[0] == '-' && hf_span_find(arg, '=') == SIZE_MAX && names_secret(arg);
}

static struct hf_span without_last_nul(struct hf_span args)
{
    return args.n && args.p[args.n - 1] == 0 ? hf_span_sub(args, 0, args.n - 1) : args;
}

static void masked(struct hf_span rest, char separator, struct hf_buf *out)
{
    struct hf_span arg;
    bool mask = false, first = true;
    while (hf_span_cut(&rest, separator, &arg)) {
        if (!first)
            hf_buf_addc(out, ' ');
        first = false;
        shown(arg, mask, out);
        mask = announces_secret(arg);
    }
}

void hf_event_args(struct hf_span args, struct hf_buf *out)
{
    masked(without_last_nul(args), 0, out);
}

void hf_event_mask(struct hf_span text, struct hf_buf *out)
{
    masked(text, ' ', out);
}

static void args_array(struct hf_jw *w, struct hf_span args)
{
    struct hf_span rest = without_last_nul(args), arg;
    bool mask = false;
    hf_jw_key(w, "args");
    hf_jw_array(w);
    while (hf_span_cut(&rest, 0, &arg)) {
        hf_autobuf text = HF_BUF_INIT(65536);
        shown(arg, mask, &text);
        hf_jw_str(w, hf_buf_span(&text));
        mask = announces_secret(arg);
    }
    hf_jw_array_end(w);
}

/* ---- parts ---- */

static void caps_array(struct hf_jw *w, const char *key, uint64_t caps)
{
    hf_jw_key(w, key);
    hf_jw_array(w);
    for (unsigned i = 0; i < 64; i++)
        if ((caps & 1ull << i) && hf_cap_name(i))
            hf_jw_strz(w, hf_cap_name(i));
    hf_jw_array_end(w);
}

static void container(struct hf_jw *w, const char *key, const struct hf_container *c)
{
    if (!c)
        return;
    hf_jw_key(w, key);
    hf_jw_object(w);
    hf_jw_kstr(w, "id", c->id);
    hf_jw_kstr(w, "name", c->name);
    hf_jw_kstr_opt(w, "image", c->image);
    hf_jw_kstr_opt(w, "image_digest", c->image_digest.n ? c->image_digest : c->image_id);
    hf_jw_kstr_opt(w, "runtime", c->runtime);
    hf_jw_key(w, "labels");
    hf_jw_object(w);
    struct hf_span rest = c->pairs, name, value;
    unsigned n = 0;
    while (hf_event_pair(&rest, &name, &value))
        if (hf_span_starts(name, HF_S("label.")) && n++ < LABELS_MAX) {
            hf_jw_key_span(w, hf_span_from(name, 6));
            hf_jw_str(w, value);
        }
    hf_jw_object_end(w);
    if (c->pod_name.n || c->pod_namespace.n) {
        hf_jw_key(w, "pod");
        hf_jw_object(w);
        hf_jw_kstr(w, "namespace", c->pod_namespace);
        hf_jw_kstr(w, "name", c->pod_name);
        hf_jw_kstr_opt(w, "container", c->k8s_container);
        hf_jw_object_end(w);
    }
    hf_jw_object_end(w);
}

static void short_proc(struct hf_jw *w, const struct hf_proc *p)
{
    hf_jw_object(w);
    hf_jw_ku64(w, "pid", p->pid);
    hf_jw_kstr(w, "exe", p->exe);
    hf_jw_kstr(w, "name", p->comm);
    args_array(w, p->args);
    hf_jw_object_end(w);
}

static void opener(struct hf_jw *w, const struct hf_opener *o)
{
    hf_jw_key(w, "session_by");
    hf_jw_object(w);
    hf_jw_ku64(w, "pid", o->pid);
    hf_jw_kstr(w, "name", hf_span_z(o->name));
    hf_jw_ku64(w, "uid", o->uid);
    if (o->login_uid != UINT32_MAX)
        hf_jw_ku64(w, "login_uid", o->login_uid);
    hf_jw_object_end(w);
}

static void process(struct hf_jw *w, const struct hf_event *ev)
{
    static const char *const sessions[] = {NULL, "exec", "ssh", "login", "check"};
    const struct hf_proc *p = ev->proc;
    if (!p)
        return;
    hf_jw_key(w, "process");
    hf_jw_object(w);
    hf_jw_ku64(w, "pid", p->pid);
    hf_jw_ku64(w, "tid", ev->h->tid ? ev->h->tid : p->pid);
    hf_jw_ku64(w, "ns_pid", p->ns_pid);
    hf_jw_ku64(w, "ppid", p->ppid);
    hf_jw_kstr(w, "exe", p->exe);
    hf_jw_kstr(w, "name", p->comm);
    args_array(w, p->args);
    hf_jw_kstr_opt(w, "cwd", p->cwd);
    hf_jw_ku64(w, "uid", p->uid);
    hf_jw_ku64(w, "euid", p->euid);
    if (p->login_uid != UINT32_MAX)
        hf_jw_ku64(w, "login_uid", p->login_uid);
    caps_array(w, "caps", p->cap_eff);
    hf_jw_ku64(w, "start_time", p->start_ns);
    if (p->tty)
        hf_jw_ku64(w, "tty", p->tty);
    if (p->session && p->session < HF_ARRAY_LEN(sessions))
        hf_jw_kstrz(w, "session", sessions[p->session]);
    if (p->session_root && p->session_root->opener.pid)
        opener(w, &p->session_root->opener);
    if (p->container && hf_proc_is_runtime(p))
        hf_jw_kbool(w, "runtime", true);
    hf_jw_kbool(w, "traced", ev->h->flags & HF_F_TRACED);
    hf_jw_key(w, "ancestors");
    hf_jw_array(w);
    unsigned n = 0;
    for (const struct hf_proc *up = p->parent; up && n < ANCESTORS_MAX; up = up->parent, n++)
        short_proc(w, up);
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static void address(struct hf_jw *w, const char *key, const uint8_t addr[16])
{
    hf_autobuf text = HF_BUF_INIT(64);
    hf_event_addr(addr, &text);
    hf_jw_kstr(w, key, hf_buf_span(&text));
}

static void flag_names(struct hf_jw *w, const char *key, uint64_t bits, const struct hf_flag_name *names)
{
    hf_jw_key(w, key);
    hf_jw_array(w);
    for (; names->name; names++)
        if (bits & names->bit)
            hf_jw_strz(w, names->name);
    hf_jw_array_end(w);
}

static void exec_part(struct hf_jw *w, const struct hf_event *ev)
{
    static const char *const kinds[] = {"none", "file", "pipe", "socket", "tty", "null", "other"};
    static const char *const streams[] = {"stdin", "stdout", "stderr"};
    const struct hf_wire_exec *x = &ev->u.exec;
    hf_jw_kstr(w, "path", ev->path);
    hf_jw_kstr_opt(w, "called_as", ev->path2);
    if (x->exec_flags & HF_X_SCRIPT)
        hf_jw_kstr_opt(w, "interpreter", ev->text);
    hf_jw_ku64(w, "inode", x->inode);
    hf_jw_ku64(w, "device", x->dev);
    hf_jw_ku64(w, "mode", x->mode & 07777);
    flag_names(w, "flags", x->exec_flags, hf_names_exec);
    for (size_t i = 0; i < 3; i++) {
        const struct hf_wire_stdio *s = &x->stdio[i];
        hf_jw_key(w, streams[i]);
        hf_jw_object(w);
        hf_jw_kstrz(w, "kind", kinds[s->kind < HF_ARRAY_LEN(kinds) ? s->kind : 6]);
        if (s->kind == HF_STDIO_SOCKET && s->peer_port) {
            address(w, "peer", s->peer);
            hf_jw_ku64(w, "port", s->peer_port);
        }
        hf_jw_object_end(w);
    }
    hf_jw_key(w, "env");
    hf_jw_array(w);
    struct hf_span rest = without_last_nul(ev->env), one;
    while (hf_span_cut(&rest, 0, &one)) {
        hf_autobuf text = HF_BUF_INIT(65536);
        shown(one, false, &text);
        hf_jw_str(w, hf_buf_span(&text));
    }
    hf_jw_array_end(w);
}

static void file_part(struct hf_jw *w, const struct hf_event *ev)
{
    const struct hf_wire_file *f = &ev->u.file;
    hf_jw_kstrz(w, "operation", hf_event_file_op_name(f->op));
    hf_jw_kstr(w, "path", ev->path);
    hf_jw_kstr_opt(w, "target", ev->path2);
    hf_jw_ku64(w, "inode", f->inode);
    hf_jw_ku64(w, "device", f->dev);
    hf_jw_ku64(w, "mode", f->mode & 07777);
    if (f->new_mode != UINT32_MAX && f->op == HF_FILE_CHMOD)
        hf_jw_ku64(w, "new_mode", f->new_mode & 07777);
    flag_names(w, "open_flags", f->open_flags, hf_names_open);
    flag_names(w, "flags", f->exec_flags, hf_names_exec);
    if (f->op == HF_FILE_IOCTL) {
        char number[16];
        snprintf(number, sizeof number, "0x%x", f->request);
        hf_jw_kstrz(w, "request", hf_name_request(f->request) ? hf_name_request(f->request) : number);
    }
    hf_jw_kstrz(w, "source", hf_name_source(f->source));
    if (f->watch)
        hf_jw_kstrz(w, "watch", hf_name_watch(f->watch));
    if (hf_name_node(f))
        hf_jw_kstrz(w, "node", hf_name_node(f));
    hf_jw_kbool(w, "untrusted", ev->h->flags & HF_F_UNTRUSTED);
}

static void memory_part(struct hf_jw *w, const struct hf_event *ev)
{
    const struct hf_wire_mem *m = &ev->u.mem;
    hf_jw_kstrz(w, "operation", hf_name_mem(m->op));
    hf_jw_ku64(w, "length", m->length);
    flag_names(w, "protection", m->prot, hf_names_prot);
    if (m->op == HF_MEM_MPROTECT && !(m->mem_flags & HF_MEM_BLIND))
        flag_names(w, "before", m->prot_before, hf_names_prot);
    flag_names(w, "flags", m->mem_flags, hf_names_mem);
    if (ev->path.n) {
        hf_jw_kstr(w, "path", ev->path);
        hf_jw_ku64(w, "inode", m->inode);
        hf_jw_ku64(w, "device", m->dev);
        flag_names(w, "file_flags", m->exec_flags, hf_names_exec);
    }
    hf_jw_kstrz(w, "source", hf_name_source(m->source));
}

static void ends(struct hf_jw *w, const struct hf_event *ev, const uint8_t local[16], uint16_t local_port, const uint8_t peer[16], uint16_t peer_port, unsigned protocol)
{
    hf_jw_kstrz(w, "protocol", protocol == IPPROTO_TCP ? "tcp" : protocol == IPPROTO_UDP ? "udp" : protocol == IPPROTO_ICMP ? "icmp" : "other");
    address(w, "local", local);
    hf_jw_ku64(w, "local_port", local_port);
    address(w, "peer", peer);
    hf_jw_ku64(w, "peer_port", peer_port);
    hf_jw_kstr_opt(w, "peer_name", ev->peer_name);
    container(w, "peer_container", ev->peer_container);
    if (ev->peer_proc) {
        hf_jw_key(w, "peer_process");
        short_proc(w, ev->peer_proc);
    }
}

static void connection_key(struct hf_jw *w, uint64_t key)
{
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)key);
    hf_jw_kstrz(w, "connection", text);
}

/* Who reached the process, or what started it, over the network before this. */
static void reached_part(struct hf_jw *w, const struct hf_event *ev)
{
    const struct hf_reached_list *l = hf_reached_of(ev->proc, ev->time_ns);
    if (!l)
        return;
    hf_jw_key(w, "reached_from");
    hf_jw_array(w);
    for (size_t i = 0; i < l->n && l->r[i].time_ns + HF_REACHED_NS >= ev->time_ns; i++) {
        const struct hf_reached *r = &l->r[i];
        hf_autobuf addr = HF_BUF_INIT(64);
        hf_event_addr(r->peer, &addr);
        hf_jw_object(w);
        ktime(w, "time", r->time_ns);
        hf_jw_kstr(w, "peer", hf_buf_span(&addr));
        hf_jw_ku64(w, "peer_port", r->peer_port);
        hf_jw_ku64(w, "local_port", r->local_port);
        hf_jw_kstrz(w, "protocol", r->protocol == IPPROTO_TCP ? "tcp" : "udp");
        connection_key(w, r->key);
        hf_jw_kstr_opt(w, "peer_container", hf_span(r->container, r->container_n));
        hf_jw_kstr_opt(w, "peer_exe", hf_span(r->exe, r->exe_n));
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
}

static void net_part(struct hf_jw *w, const struct hf_event *ev)
{
    const struct hf_wire_net *n = &ev->u.net;
    hf_jw_kstrz(w, "operation", hf_event_net_op_name(n->op));
    ends(w, ev, n->local, n->local_port, n->peer, n->peer_port, n->protocol);
    if (n->op == HF_NET_ESTABLISHED || n->op == HF_NET_ACCEPT || n->op == HF_NET_CLOSE)
        connection_key(w, hf_connection_key(ev));
    if (n->op == HF_NET_CLOSE) {
        hf_jw_ku64(w, "bytes_out", n->bytes_out);
        hf_jw_ku64(w, "bytes_in", n->bytes_in);
        hf_jw_ku64(w, "duration_ns", n->duration_ns);
    }
    if (n->op == HF_NET_LISTEN)
        hf_jw_ku64(w, "backlog", n->backlog);
}

static void payload_part(struct hf_jw *w, const struct hf_event *ev)
{
    static const char *const quiet[] = {"redis", "postgresql", "mysql"}; /* which have no type of event of their own */
    static const char *const logins[] = {"", "password", "default", "empty", "not_asked", "refused"};
    const struct hf_wire_payload *p = &ev->u.payload;
    hf_jw_kstrz(w, "direction", p->direction == HF_PAYLOAD_IN ? "in" : "out");
    if (p->payload_flags & HF_PAYLOAD_ACCEPTED)
        hf_jw_kbool(w, "accepted", true);
    ends(w, ev, p->local, p->local_port, p->peer, p->peer_port, p->protocol);
    hf_jw_kstr_opt(w, "name", ev->app.name);
    hf_jw_kstr_opt(w, "path", ev->app.path);
    hf_jw_kstr_opt(w, "agent", ev->app.agent);
    if (ev->app.kind >= HF_APP_REDIS && ev->app.kind - HF_APP_REDIS < HF_ARRAY_LEN(quiet))
        hf_jw_kstrz(w, "application", quiet[ev->app.kind - HF_APP_REDIS]);
    if (ev->app.login && ev->app.login < HF_ARRAY_LEN(logins))
        hf_jw_kstrz(w, "login", logins[ev->app.login]);
    if (ev->app.kind != HF_APP_DNS)
        return;
    hf_jw_ku64(w, "query_type", ev->app.dns_type);
    hf_jw_kbool(w, "response", ev->app.dns_response);
    hf_jw_ku64(w, "rcode", ev->app.dns_rcode);
    hf_jw_key(w, "addresses");
    hf_jw_array(w);
    for (unsigned i = 0; i < ev->app.n_addrs; i++) {
        hf_autobuf text = HF_BUF_INIT(64);
        hf_event_addr(ev->app.addrs[i], &text);
        hf_jw_str(w, hf_buf_span(&text));
    }
    hf_jw_array_end(w);
}

static void target(struct hf_jw *w, const struct hf_event *ev, uint32_t pid, const char comm[16])
{
    hf_jw_key(w, "target");
    if (ev->target) {
        short_proc(w, ev->target);
        return;
    }
    hf_jw_object(w);
    hf_jw_ku64(w, "pid", pid);
    hf_jw_kstr(w, "exe", hf_span(NULL, 0));
    hf_jw_kstr(w, "name", hf_span(comm, strnlen(comm, 16)));
    hf_jw_key(w, "args");
    hf_jw_array(w);
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static void pairs_part(struct hf_jw *w, const struct hf_event *ev)
{
    struct hf_span rest = ev->text, name, value;
    unsigned n = 0;
    while (hf_event_pair(&rest, &name, &value) && n++ < 512) {
        if (ev->type == HF_EV_STATUS && hf_span_starts(name, HF_S("cost."))) /* numbers for the cost of hooks, which has its own member */
            continue;
        hf_jw_key_span(w, name);
        hf_jw_str(w, value);
    }
}

static void rate_part(struct hf_jw *w, const struct hf_wire_rate *r)
{
    hf_jw_ku64(w, "interval_ns", r->interval_ns);
    if (r->h.flags & HF_F_EARLY)
        hf_jw_kbool(w, "early", true);
    hf_jw_ku64(w, "tcp_syn_out", r->tcp_syn_out);
    hf_jw_ku64(w, "tcp_syn_in", r->tcp_syn_in);
    hf_jw_ku64(w, "tcp_accepted", r->tcp_accepted);
    hf_jw_ku64(w, "udp_out", r->udp_out);
    hf_jw_ku64(w, "udp_in", r->udp_in);
    hf_jw_ku64(w, "icmp_out", r->icmp_out);
    hf_jw_ku64(w, "packets_out", r->packets_out);
    hf_jw_ku64(w, "packets_in", r->packets_in);
    hf_jw_ku64(w, "bytes_out", r->bytes_out);
    hf_jw_ku64(w, "bytes_in", r->bytes_in);
}

static void cred_part(struct hf_jw *w, const struct hf_wire_cred *c)
{
    hf_jw_ku64(w, "old_uid", c->old_uid);
    hf_jw_ku64(w, "old_euid", c->old_euid);
    hf_jw_ku64(w, "uid", c->h.uid);
    hf_jw_ku64(w, "euid", c->h.euid);
    caps_array(w, "gained", c->h.cap_eff & ~c->old_cap_eff);
    flag_names(w, "what", c->what, hf_names_cred);
}

static void digest(struct hf_jw *w, const char *key, const uint8_t d[32])
{
    static const uint8_t none[32];
    char text[65];
    if (!memcmp(d, none, sizeof none))
        return;
    for (size_t i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", d[i]);
    hf_jw_kstrz(w, key, text);
}

static void verdict_part(struct hf_jw *w, const struct hf_event *ev)
{
    const struct hf_wire_verdict *v = &ev->u.verdict;
    hf_jw_kstr(w, "path", ev->path);
    hf_jw_kstrz(w, "use", hf_name_use(v->use));
    hf_jw_kstrz(w, "result", hf_name_verdict(v->verdict));
    if (v->inode) {
        hf_jw_ku64(w, "inode", v->inode);
        hf_jw_ku64(w, "device", v->dev);
        hf_jw_ku64(w, "size", v->size);
    }
    digest(w, "sha256", v->got);
    digest(w, "sealed_sha256", v->want);
    hf_jw_kstr_opt(w, "sealed_path", ev->path2);
    hf_jw_kstr_opt(w, "package", ev->text);
    hf_jw_kstrz(w, "action", hf_name_action(v->action));
    hf_jw_kstrz(w, "rung", hf_name_rung(v->rung));
    hf_jw_kstr_opt(w, "policy", ev->cwd);
    hf_jw_kstr_opt(w, "clause", ev->args);
    if (!ev->writer)
        return;
    hf_jw_key(w, "writer");
    hf_jw_object(w);
    hf_jw_ku64(w, "pid", ev->writer->pid);
    hf_jw_kstr(w, "exe", ev->writer->exe);
    if (ev->writer->args.n)
        args_array(w, ev->writer->args);
    ktime(w, "time", ev->writer->time_ns);
    hf_jw_kstr_opt(w, "package_manager", ev->writer->manager);
    hf_jw_object_end(w);
}

static void own_part(struct hf_jw *w, const struct hf_event *ev)
{
    switch (ev->type) {
    case HF_EV_EXEC:
    case HF_EV_PROC:
        exec_part(w, ev);
        break;
    case HF_EV_FORK:
        hf_jw_ku64(w, "child_pid", ev->u.fork.child_pid);
        break;
    case HF_EV_EXIT:
        hf_jw_ku64(w, "code", ev->u.exit.status >> 8 & 0xff);
        hf_jw_ku64(w, "signal", ev->u.exit.status & 0x7f);
        hf_jw_kbool(w, "core", ev->u.exit.status & 0x80);
        break;
    case HF_EV_CGROUP:
        hf_jw_kstrz(w, "operation", ev->u.cgroup.op == HF_CGROUP_MKDIR ? "mkdir" : ev->u.cgroup.op == HF_CGROUP_RMDIR ? "rmdir" : "attach");
        hf_jw_kstr(w, "path", ev->path);
        break;
    case HF_EV_FILE:
        file_part(w, ev);
        break;
    case HF_EV_NET:
        net_part(w, ev);
        break;
    case HF_EV_PAYLOAD:
        payload_part(w, ev);
        break;
    case HF_EV_SOCKET:
        hf_jw_ku64(w, "family", ev->u.socket.family);
        hf_jw_ku64(w, "type", ev->u.socket.type);
        hf_jw_ku64(w, "protocol", ev->u.socket.protocol);
        break;
    case HF_EV_PTRACE:
        hf_jw_kstrz(w, "request", hf_name_ptrace(ev->u.ptrace.request));
        target(w, ev, ev->u.ptrace.target_pid, ev->u.ptrace.target_comm);
        break;
    case HF_EV_MEM:
        memory_part(w, ev);
        break;
    case HF_EV_NS:
        hf_jw_kstrz(w, "operation", ev->u.ns.op == HF_NS_UNSHARE ? "unshare" : ev->u.ns.op == HF_NS_SETNS ? "setns" : "changed");
        flag_names(w, "kinds", ev->u.ns.flags, hf_names_clone);
        break;
    case HF_EV_MOUNT:
        hf_jw_kstrz(w, "operation", hf_name_mount(ev->u.mount.op));
        hf_jw_kstr(w, "device", ev->path2);
        hf_jw_kstr(w, "target", ev->path);
        hf_jw_kstr_opt(w, "type", ev->text);
        hf_jw_kbool(w, "untrusted", ev->h->flags & HF_F_UNTRUSTED);
        break;
    case HF_EV_MODULE:
        hf_jw_kstrz(w, "operation", hf_name_module(ev->u.module.op));
        hf_jw_kstr_opt(w, "path", ev->path);
        break;
    case HF_EV_BPF:
        hf_jw_kstr(w, "name", hf_span(ev->u.bpf.name, strnlen(ev->u.bpf.name, 16)));
        hf_jw_ku64(w, "program_type", ev->u.bpf.prog_type);
        hf_jw_ku64(w, "instructions", ev->u.bpf.insns);
        flag_names(w, "helpers", ev->u.bpf.helpers, hf_names_helper);
        break;
    case HF_EV_IO_URING:
        hf_jw_kstrz(w, "operation", ev->u.io_uring.op ? "request" : "create");
        if (ev->u.io_uring.op)
            hf_jw_ku64(w, "opcode", ev->u.io_uring.opcode);
        break;
    case HF_EV_SIGNAL:
        hf_jw_ku64(w, "number", ev->u.signal.sig);
        target(w, ev, ev->u.signal.target_pid, ev->u.signal.target_comm);
        break;
    case HF_EV_RENAME:
        hf_jw_kstr(w, "name", hf_span(ev->u.rename.name, strnlen(ev->u.rename.name, 16)));
        break;
    case HF_EV_CAP:
        hf_jw_kstrz(w, "capability", hf_cap_name(ev->u.cap.cap) ? hf_cap_name(ev->u.cap.cap) : "unknown");
        hf_jw_ku64(w, "syscall", ev->u.cap.syscall);
        hf_jw_kbool(w, "granted", ev->u.cap.result == 0);
        break;
    case HF_EV_LOSS:
        hf_jw_ku64(w, "count", ev->u.loss.count);
        hf_jw_kstrz(w, "lost_type", ev->u.loss.lost_type ? hf_event_type_name(ev->u.loss.lost_type) : "several");
        hf_jw_kstrz(w, "reason", hf_name_loss(ev->u.loss.reason));
        break;
    case HF_EV_CONTAINER:
    case HF_EV_STATUS:
        pairs_part(w, ev);
        break;
    case HF_EV_RATE:
        rate_part(w, &ev->u.rate);
        break;
    case HF_EV_CRED:
        cred_part(w, &ev->u.cred);
        break;
    case HF_EV_VERDICT:
        verdict_part(w, ev);
        break;
    default:
        break;
    }
}

const char *hf_event_json_type(const struct hf_event *ev)
{
    static const char *const apps[] = {"payload", "dns", "tls", "http", "ssh", "irc", "stratum", "socks"};
    if (ev->type == HF_EV_NET) {
        switch (ev->u.net.op) {
        case HF_NET_ACCEPT:
        case HF_NET_LISTEN:
        case HF_NET_BIND:
        case HF_NET_SEND:
        case HF_NET_CLOSE:
            return hf_event_net_op_name(ev->u.net.op);
        default:
            return "connect";
        }
    }
    if (ev->type == HF_EV_PAYLOAD)
        return apps[ev->app.kind < HF_ARRAY_LEN(apps) ? ev->app.kind : 0];
    return hf_event_type_name(ev->type);
}

static void begin(struct hf_jw *w, struct hf_buf *out, uint64_t time_ns, const char *type)
{
    hf_jw_init(w, out, false);
    hf_jw_object(w);
    hf_jw_kstrz(w, "schema", "holdfast.event/1");
    ktime(w, "time", time_ns);
    hf_jw_kstrz(w, "type", type);
}

static void subject(struct hf_jw *w, const struct hf_event *ev)
{
    const char *type = hf_event_json_type(ev);
    if (ev->h->flags & HF_F_TRUNCATED)
        hf_jw_kbool(w, "truncated", true); /* some text was longer than is shown */
    container(w, "container", ev->container);
    process(w, ev);
    hf_jw_key(w, ev->type == HF_EV_CONTAINER ? "facts" : type); /* "container" is there already, as on every line */
    hf_jw_object(w);
    own_part(w, ev);
    hf_jw_object_end(w);
}

void hf_event_json_more(const struct hf_event *ev, void (*more)(void *ctx, struct hf_jw *w), void *ctx, struct hf_buf *out)
{
    struct hf_jw w;
    begin(&w, out, ev->time_ns, hf_event_json_type(ev));
    subject(&w, ev);
    if (more)
        more(ctx, &w);
    hf_jw_object_end(&w);
    hf_buf_addc(out, '\n');
}

void hf_event_json(const struct hf_event *ev, struct hf_buf *out)
{
    hf_event_json_more(ev, NULL, NULL, out);
}

void hf_alert_json(const struct hf_alert *a, struct hf_buf *out)
{
    struct hf_jw w;
    begin(&w, out, a->time_ns, "alert");
    hf_jw_kstr(&w, "id", a->id);
    hf_jw_kstr(&w, "rule", a->rule);
    hf_jw_kstrz(&w, "severity", hf_alert_severity_name(a->severity));
    hf_jw_kstrs(&w, "tags", a->tags, a->n_tags);
    hf_jw_kstrs(&w, "tactics", a->tactics, a->n_tactics);
    hf_jw_kstrs(&w, "techniques", a->techniques, a->n_techniques);
    hf_jw_kstr(&w, "summary", a->summary);
    hf_jw_kstr_opt(&w, "what", a->what);
    hf_jw_kstr_opt(&w, "do", a->todo);
    hf_jw_kstr_opt(&w, "benign", a->benign);
    hf_jw_ku64(&w, "count", a->count);
    hf_jw_key(&w, "action");
    hf_jw_object(&w);
    hf_autobuf wanted = HF_BUF_INIT(256);
    for (size_t i = 0; i < a->n_respond; i++)
        hf_buf_addf(&wanted, "%s%s", i ? "," : "", hf_response_name(a->respond[i]));
    hf_jw_kstrz(&w, "wanted", wanted.n ? hf_buf_z(&wanted) : "observe");
    hf_jw_kstrz(&w, "taken", a->taken ? a->taken : "none");
    hf_jw_object_end(&w);
    hf_jw_key(&w, "why");
    hf_jw_array(&w);
    for (size_t i = 0; i < a->n_why; i++) {
        hf_jw_object(&w);
        hf_jw_kstr(&w, "clause", a->why[i].text);
        hf_jw_kstr_opt(&w, "field", a->why[i].field);
        hf_jw_kstr_opt(&w, "value", a->why[i].value);
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_jw_key(&w, "before");
    hf_jw_array(&w);
    for (size_t i = 0; i < a->n_before; i++)
        hf_jw_str(&w, a->before[i]);
    hf_jw_array_end(&w);
    if (!a->event) {
        hf_jw_kstr_opt(&w, "container_name", a->container_name);
        hf_jw_kstr_opt(&w, "container_id", a->container_id);
    } else {
        reached_part(&w, a->event);
        hf_jw_kstrz(&w, "event_type", hf_event_json_type(a->event));
        subject(&w, a->event);
    }
    hf_jw_object_end(&w);
    hf_buf_addc(out, '\n');
}
