/* SPDX-License-Identifier: Apache-2.0 */
/* event.h - a record of the wire (wire.h) as something to look at: lengths checked, texts as spans, process and container
 * joined by the tracker (track.h).
 *
 * hf_event_decode is a parser of hostile bytes: every length is checked against the record, an unknown type or a record that is
 * too short is HF_E_FORMAT and the caller goes on with the next one.  Spans borrow from the record.  The structs of wire.h are
 * copied into the event (aligned), so members may be used freely.  No files, no clock, no globals. */
#pragma once
#include "base/span.h"
#include "event/wire.h"

struct hf_proc;
struct hf_container;
struct hf_writer;

struct hf_event {
    uint64_t seq;      /* counted by the reader from 1 */
    uint64_t time_ns;  /* since the epoch (header's time plus the offset of the clocks) */
    unsigned type;     /* HF_EV_* */
    const struct hf_wire_hdr *h; /* points into u */
    union {
        struct hf_wire_hdr hdr;
        struct hf_wire_exec exec; /* EXEC, PROC */
        struct hf_wire_fork fork;
        struct hf_wire_exit exit;
        struct hf_wire_cgroup cgroup;
        struct hf_wire_file file;
        struct hf_wire_net net;
        struct hf_wire_payload payload;
        struct hf_wire_socket socket;
        struct hf_wire_ptrace ptrace;
        struct hf_wire_mem mem;
        struct hf_wire_ns ns;
        struct hf_wire_mount mount;
        struct hf_wire_module module;
        struct hf_wire_bpf bpf;
        struct hf_wire_io_uring io_uring;
        struct hf_wire_signal signal;
        struct hf_wire_rename rename;
        struct hf_wire_cap cap;
        struct hf_wire_pairs pairs;
        struct hf_wire_loss loss;
        struct hf_wire_rate rate;
        struct hf_wire_cred cred;
        struct hf_wire_verdict verdict;
    } u;
    /* The texts of the record, in the order of its length members; which is which depends on the type: */
    struct hf_span path;     /* EXEC path, FILE path, CGROUP path, MEM path, MODULE path, MOUNT target, VERDICT path */
    struct hf_span path2;    /* EXEC filename as called, FILE path2, MOUNT device, VERDICT path under which the image has the content */
    struct hf_span text;     /* EXEC interp, MODULE name, MOUNT type, PAYLOAD bytes, CONTAINER/STATUS pairs, VERDICT package */
    struct hf_span cwd, args, env; /* EXEC; args and env: NUL between.  VERDICT: cwd is the policy, args its clause */
    /* Decoded from a PAYLOAD (payload.h); kind 0 when nothing was recognised. */
    struct {
        unsigned kind; /* HF_APP_* */
        struct hf_span name;  /* DNS question, TLS server name, HTTP host */
        struct hf_span path;  /* HTTP target */
        struct hf_span agent; /* HTTP user agent, SSH version, IRC or stratum method, Redis command, MySQL or PostgreSQL user */
        unsigned login;       /* HF_LOGIN_*; passwords themselves are not kept */
        unsigned dns_type, dns_rcode, dns_answers;
        bool dns_response;
        uint8_t addrs[8][16]; /* addresses of a DNS answer */
        unsigned n_addrs;
    } app;
    /* Joined by the tracker; NULL when unknown (never for `proc` after hf_track_event, which makes what it misses). */
    struct hf_proc *proc;
    struct hf_proc *target;          /* SIGNAL, PTRACE: the other process; FORK: the child */
    struct hf_container *container;  /* NULL: the host */
    struct hf_container *peer_container; /* NET, PAYLOAD: who is at the other end, when it is on this host */
    struct hf_proc *peer_proc;
    const struct hf_writer *writer;  /* VERDICT: who wrote the file last; NULL: not seen (track.h) */
    struct hf_span peer_name;        /* DNS name last resolved to the peer's address in this container; may be empty */
};

#define HF_APP_NONE 0
#define HF_APP_DNS 1
#define HF_APP_TLS 2
#define HF_APP_HTTP 3
#define HF_APP_SSH 4
#define HF_APP_IRC 5
#define HF_APP_STRATUM 6
#define HF_APP_SOCKS 7
#define HF_APP_REDIS 8
#define HF_APP_POSTGRESQL 9
#define HF_APP_MYSQL 10
#define HF_APP_OTHER 15

#define HF_LOGIN_UNKNOWN 0
#define HF_LOGIN_PASSWORD 1
#define HF_LOGIN_DEFAULT 2   /* with a user and password that everybody knows */
#define HF_LOGIN_EMPTY 3     /* with an empty password */
#define HF_LOGIN_NOT_ASKED 4 /* the server lets in without one */
#define HF_LOGIN_REFUSED 5

/* Decodes one record.  0, or HF_E_FORMAT / HF_E_TRUNCATED with the offset. */
HF_MUSTUSE int hf_event_decode(struct hf_span record, struct hf_event *ret, struct hf_err *err);
/* Length of the first record of a stream of records: > 0, 0 when more bytes are needed, HF_E_FORMAT when it cannot be one. */
HF_MUSTUSE int hf_event_frame(struct hf_span stream, size_t *ret, struct hf_err *err);
/* Next name and value of a CONTAINER or STATUS record's pairs; false at the end. */
bool hf_event_pair(struct hf_span *rest, struct hf_span *ret_name, struct hf_span *ret_value);
/* "exec", "fork", "exit", "cgroup", "file", ... the `type` of the JSON; never NULL. */
const char *hf_event_type_name(unsigned type);
/* Whether a LOSS tells how much of sums that are told as well (by type, of all groups) fell to one container: not to be added to them. */
bool hf_event_loss_is_share(const struct hf_event *ev);
/* "open", "write", ... of a FILE; "connect", ... of a NET.  Never NULL. */
const char *hf_event_file_op_name(unsigned op);
const char *hf_event_net_op_name(unsigned op);
/* Text of an address: "10.0.0.1", "2001:db8::1". */
void hf_event_addr(const uint8_t addr[16], struct hf_buf *out);
bool hf_event_addr_is_v4(const uint8_t addr[16]);
bool hf_event_addr_is_loopback(const uint8_t addr[16]);
