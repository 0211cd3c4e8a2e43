/* SPDX-License-Identifier: Apache-2.0 */
/* records.h - wire records made by hand for tests: a fixed part, then its texts, padded and with the length set. */
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/span.h"
#include "event/event.h"

struct rec {
    _Alignas(8) char p[HF_WIRE_MAX];
    size_t n;
};

static inline void rec_begin(struct rec *r, void *fixed, size_t n, unsigned type)
{
    struct hf_wire_hdr *h = fixed;
    h->type = (__u16)type;
    h->version = HF_WIRE_VERSION;
    memcpy(r->p, fixed, n);
    r->n = n;
}

static inline void rec_text(struct rec *r, struct hf_span s)
{
    if (s.n)
        memcpy(r->p + r->n, s.p, s.n);
    r->n += s.n;
}

static inline struct hf_span rec_end(struct rec *r)
{
    while (r->n % 8)
        r->p[r->n++] = 0;
    __u32 len = (__u32)r->n;
    memcpy(r->p, &len, sizeof len);
    return hf_span(r->p, r->n);
}

/* Header of a process: pid, parent, when it started, its control group. */
static inline struct hf_wire_hdr rec_hdr(uint32_t pid, uint32_t ppid, uint64_t start_ns, uint64_t cgroup_id, uint64_t time_ns, const char *comm)
{
    struct hf_wire_hdr h = {.time_ns = time_ns, .cgroup_id = cgroup_id, .start_ns = start_ns, .pid = pid, .tid = pid, .ppid = ppid, .ns_pid = pid,
            .login_uid = UINT32_MAX, .session_id = UINT32_MAX, .mnt_ns = 10, .pid_ns = 11, .net_ns = 12, .user_ns = 13};
    size_t n = strnlen(comm, sizeof h.comm - 1);
    memcpy(h.comm, comm, n);
    return h;
}

/* args: NUL between, as the kernel gives them. */
static inline struct hf_span rec_program(struct rec *r, __u16 type, struct hf_wire_hdr h, struct hf_wire_exec x, const char *path, struct hf_span args, const char *cwd, struct hf_span env)
{
    x.h = h;
    x.path_len = (__u16)strlen(path);
    x.filename_len = x.path_len;
    x.cwd_len = (__u16)strlen(cwd);
    x.args_len = (__u32)args.n;
    x.env_len = (__u32)env.n;
    rec_begin(r, &x, sizeof x, type);
    rec_text(r, hf_span_z(path));
    rec_text(r, hf_span_z(path));
    rec_text(r, hf_span_z(cwd));
    rec_text(r, args);
    rec_text(r, env);
    return rec_end(r);
}

static inline struct hf_span rec_exec(struct rec *r, struct hf_wire_hdr h, struct hf_wire_exec x, const char *path, struct hf_span args, const char *cwd, struct hf_span env)
{
    return rec_program(r, HF_EV_EXEC, h, x, path, args, cwd, env);
}

static inline struct hf_span rec_file(struct rec *r, struct hf_wire_hdr h, struct hf_wire_file f, const char *path, const char *path2)
{
    f.h = h;
    f.path_len = (__u16)strlen(path);
    f.path2_len = (__u16)strlen(path2);
    rec_begin(r, &f, sizeof f, HF_EV_FILE);
    rec_text(r, hf_span_z(path));
    rec_text(r, hf_span_z(path2));
    return rec_end(r);
}

/* "10.0.0.1" or "2001:db8::1" */
static inline void rec_addr(uint8_t to[16], const char *text)
{
    memset(to, 0, 16);
    if (inet_pton(AF_INET, text, to + 12) == 1)
        to[10] = to[11] = 0xff;
    else
        (void)inet_pton(AF_INET6, text, to);
}

static inline struct hf_span rec_net(struct rec *r, struct hf_wire_hdr h, unsigned op, unsigned protocol, const char *local, unsigned local_port, const char *peer, unsigned peer_port)
{
    struct hf_wire_net n = {.h = h, .op = op, .protocol = (__u16)protocol, .local_port = (__u16)local_port, .peer_port = (__u16)peer_port};
    rec_addr(n.local, local);
    rec_addr(n.peer, peer);
    n.family = hf_event_addr_is_v4(n.peer) ? AF_INET : AF_INET6;
    rec_begin(r, &n, sizeof n, HF_EV_NET);
    return rec_end(r);
}

static inline struct hf_span rec_payload(struct rec *r, struct hf_wire_hdr h, unsigned direction, unsigned protocol, const char *local, unsigned local_port, const char *peer,
        unsigned peer_port, struct hf_span bytes)
{
    struct hf_wire_payload n = {.h = h, .direction = direction, .protocol = (__u16)protocol, .local_port = (__u16)local_port, .peer_port = (__u16)peer_port, .data_len = (__u16)bytes.n};
    rec_addr(n.local, local);
    rec_addr(n.peer, peer);
    n.family = hf_event_addr_is_v4(n.peer) ? AF_INET : AF_INET6;
    rec_begin(r, &n, sizeof n, HF_EV_PAYLOAD);
    rec_text(r, bytes);
    return rec_end(r);
}

/* pairs: "id\0abc\0name\0web\0" */
static inline struct hf_span rec_pairs(struct rec *r, struct hf_wire_hdr h, unsigned type, struct hf_span pairs)
{
    struct hf_wire_pairs c = {.h = h, .pairs_len = (__u32)pairs.n};
    rec_begin(r, &c, sizeof c, type);
    rec_text(r, pairs);
    return rec_end(r);
}
