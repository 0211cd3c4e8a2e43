// SPDX-License-Identifier: Apache-2.0
#include "event/event.h"

#include <arpa/inet.h>

#include "event/payload.h"

/* Size of a type's fixed part; 0: no such type. */
static size_t fixed_size(unsigned type)
{
    static const uint16_t kernel[] = {
            [HF_EV_EXEC] = sizeof(struct hf_wire_exec),
            [HF_EV_FORK] = sizeof(struct hf_wire_fork),
            [HF_EV_EXIT] = sizeof(struct hf_wire_exit),
            [HF_EV_CGROUP] = sizeof(struct hf_wire_cgroup),
            [HF_EV_FILE] = sizeof(struct hf_wire_file),
            [HF_EV_NET] = sizeof(struct hf_wire_net),
            [HF_EV_PAYLOAD] = sizeof(struct hf_wire_payload),
            [HF_EV_SOCKET] = sizeof(struct hf_wire_socket),
            [HF_EV_PTRACE] = sizeof(struct hf_wire_ptrace),
            [HF_EV_MEM] = sizeof(struct hf_wire_mem),
            [HF_EV_NS] = sizeof(struct hf_wire_ns),
            [HF_EV_MOUNT] = sizeof(struct hf_wire_mount),
            [HF_EV_MODULE] = sizeof(struct hf_wire_module),
            [HF_EV_BPF] = sizeof(struct hf_wire_bpf),
            [HF_EV_IO_URING] = sizeof(struct hf_wire_io_uring),
            [HF_EV_SIGNAL] = sizeof(struct hf_wire_signal),
            [HF_EV_RENAME] = sizeof(struct hf_wire_rename),
            [HF_EV_CAP] = sizeof(struct hf_wire_cap),
    };
    static const uint16_t sensor[] = {
            [HF_EV_CONTAINER - 64] = sizeof(struct hf_wire_pairs),
            [HF_EV_CONTAINER_END - 64] = sizeof(struct hf_wire_hdr),
            [HF_EV_PROC - 64] = sizeof(struct hf_wire_exec),
            [HF_EV_LOSS - 64] = sizeof(struct hf_wire_loss),
            [HF_EV_STATUS - 64] = sizeof(struct hf_wire_pairs),
            [HF_EV_RATE - 64] = sizeof(struct hf_wire_rate),
            [HF_EV_CRED - 64] = sizeof(struct hf_wire_cred),
            [HF_EV_VERDICT - 64] = sizeof(struct hf_wire_verdict),
    };
    if (type < HF_ARRAY_LEN(kernel))
        return kernel[type];
    return type >= 64 && type - 64 < HF_ARRAY_LEN(sensor) ? sensor[type - 64] : 0;
}

int hf_event_frame(struct hf_span stream, size_t *ret, struct hf_err *err)
{
    uint32_t len;
    if (stream.n < sizeof len)
        return 0;
    memcpy(&len, stream.p, sizeof len);
    if (len < sizeof(struct hf_wire_hdr) || len > HF_WIRE_MAX || len % 8)
        return hf_fail(err, HF_E_FORMAT, "a record of %u bytes", len);
    if (stream.n < len)
        return 0;
    *ret = len;
    return 1;
}

/* The texts behind the fixed part, in order. */
struct texts {
    struct hf_span rest;
    bool short_;
};

static struct hf_span take(struct texts *t, size_t n)
{
    if (n > t->rest.n) {
        t->short_ = true;
        return hf_span(NULL, 0);
    }
    struct hf_span s = hf_span_sub(t->rest, 0, n);
    t->rest = hf_span_from(t->rest, n);
    return s;
}

static void take_texts(struct hf_event *e, struct texts *t)
{
    switch (e->type) {
    case HF_EV_EXEC:
    case HF_EV_PROC:
        e->path = take(t, e->u.exec.path_len);
        e->path2 = take(t, e->u.exec.filename_len);
        e->text = take(t, e->u.exec.interp_len);
        e->cwd = take(t, e->u.exec.cwd_len);
        e->args = take(t, e->u.exec.args_len);
        e->env = take(t, e->u.exec.env_len);
        break;
    case HF_EV_CGROUP:
        e->path = take(t, e->u.cgroup.path_len);
        break;
    case HF_EV_FILE:
        e->path = take(t, e->u.file.path_len);
        e->path2 = take(t, e->u.file.path2_len);
        break;
    case HF_EV_PAYLOAD:
        e->text = take(t, e->u.payload.data_len);
        break;
    case HF_EV_MEM:
        e->path = take(t, e->u.mem.path_len);
        break;
    case HF_EV_MOUNT:
        e->path2 = take(t, e->u.mount.dev_len);
        e->path = take(t, e->u.mount.target_len);
        e->text = take(t, e->u.mount.type_len);
        break;
    case HF_EV_MODULE:
        e->text = take(t, e->u.module.name_len);
        e->path = take(t, e->u.module.path_len);
        break;
    case HF_EV_VERDICT:
        e->path = take(t, e->u.verdict.path_len);
        e->path2 = take(t, e->u.verdict.sealed_path_len);
        e->text = take(t, e->u.verdict.package_len);
        e->cwd = take(t, e->u.verdict.policy_len);
        e->args = take(t, e->u.verdict.clause_len);
        break;
    case HF_EV_CONTAINER:
    case HF_EV_STATUS:
        e->text = take(t, e->u.pairs.pairs_len);
        break;
    default:
        break;
    }
}

/* Names of the kernel are 16 bytes and need not end with NUL when they come from a hostile stream. */
static void end_names(struct hf_event *e)
{
    e->u.hdr.comm[sizeof e->u.hdr.comm - 1] = 0;
    if (e->type == HF_EV_PTRACE)
        e->u.ptrace.target_comm[15] = 0;
    if (e->type == HF_EV_SIGNAL)
        e->u.signal.target_comm[15] = 0;
    if (e->type == HF_EV_BPF)
        e->u.bpf.name[15] = 0;
    if (e->type == HF_EV_RENAME)
        e->u.rename.name[15] = 0;
}

int hf_event_decode(struct hf_span record, struct hf_event *ret, struct hf_err *err)
{
    size_t len = 0, fixed;
    int rc = hf_event_frame(record, &len, err);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return hf_fail(err, HF_E_TRUNCATED, "the record ends after %zu bytes", record.n);
    struct hf_wire_hdr h;
    memcpy(&h, record.p, sizeof h);
    if (h.version != HF_WIRE_VERSION)
        return hf_fail_at(err, HF_E_UNSUPPORTED, 6, "a record of version %u; this program reads version %u", h.version, HF_WIRE_VERSION);
    fixed = fixed_size(h.type);
    if (!fixed)
        return hf_fail_at(err, HF_E_FORMAT, 4, "a record of unknown type %u", h.type);
    if (len < fixed)
        return hf_fail(err, HF_E_TRUNCATED, "a %s record of %zu bytes; at least %zu are needed", hf_event_type_name(h.type), len, fixed);
    struct hf_event e = {.type = h.type};
    memcpy(&e.u, record.p, fixed);
    struct texts t = {hf_span_sub(record, fixed, len - fixed), false};
    take_texts(&e, &t);
    if (t.short_)
        return hf_fail_at(err, HF_E_FORMAT, fixed, "the texts of a %s record go beyond its end", hf_event_type_name(h.type));
    end_names(&e);
    *ret = e;
    ret->h = &ret->u.hdr;
    if (ret->type == HF_EV_PAYLOAD)
        hf_payload_decode(ret);
    return 0;
}

bool hf_event_pair(struct hf_span *rest, struct hf_span *ret_name, struct hf_span *ret_value)
{
    struct hf_span name, value;
    if (!rest->n || !hf_span_cut(rest, 0, &name) || !rest->p || !hf_span_cut(rest, 0, &value))
        return false;
    *ret_name = name;
    *ret_value = value;
    return true;
}

const char *hf_event_type_name(unsigned type)
{
    static const char *const names[] = {"unknown", "exec", "fork", "exit", "cgroup", "file", "net", "payload", "socket", "ptrace", "memory",
            "namespace", "mount", "module", "bpf", "io_uring", "signal", "rename", "capability"};
    static const char *const sensor[] = {"container", "container_end", "process", "drop", "status", "rate", "credentials", "verdict"};
    if (type < HF_ARRAY_LEN(names))
        return names[type];
    return type >= 64 && type - 64 < HF_ARRAY_LEN(sensor) ? sensor[type - 64] : names[0];
}

const char *hf_event_file_op_name(unsigned op)
{
    static const char *const names[] = {"unknown", "open", "write", "create", "unlink", "rename", "link", "symlink", "chmod", "chown", "mkdir",
            "rmdir", "setxattr", "attributes", "map_exec", "connect", "mknod", "ioctl"};
    return names[op < HF_ARRAY_LEN(names) ? op : 0];
}

const char *hf_event_net_op_name(unsigned op)
{
    static const char *const names[] = {"unknown", "connect", "established", "accept", "listen", "bind", "send", "close", "failed"};
    return names[op < HF_ARRAY_LEN(names) ? op : 0];
}

bool hf_event_addr_is_v4(const uint8_t addr[16])
{
    static const uint8_t head[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(addr, head, sizeof head) == 0;
}

bool hf_event_addr_is_loopback(const uint8_t addr[16])
{
    static const uint8_t six[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    return hf_event_addr_is_v4(addr) ? addr[12] == 127 : memcmp(addr, six, sizeof six) == 0;
}

void hf_event_addr(const uint8_t addr[16], struct hf_buf *out)
{
    char text[INET6_ADDRSTRLEN];
    if (inet_ntop(hf_event_addr_is_v4(addr) ? AF_INET : AF_INET6, hf_event_addr_is_v4(addr) ? addr + 12 : addr, text, sizeof text))
        hf_buf_addz(out, text);
}

bool hf_event_loss_is_share(const struct hf_event *ev)
{
    return ev->type == HF_EV_LOSS && ev->u.loss.lost_type == 0 && ev->h->cgroup_id != 0;
}
