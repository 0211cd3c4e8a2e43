// SPDX-License-Identifier: Apache-2.0
#include "cli/watch-text.h"

#include <time.h>

#include "event/json.h"
#include "event/names.h"
#include "event/reached.h"
#include "event/runtime.h"
#include "event/track.h"

void hf_watch_clock(uint64_t ns, struct hf_buf *out)
{
    time_t s = (time_t)(ns / 1000000000u);
    struct tm tm;
    if (localtime_r(&s, &tm))
        hf_buf_addf(out, "%02d:%02d:%02d.%03u  ", tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(ns / 1000000u % 1000));
}

void hf_watch_column(struct hf_buf *b, struct hf_span s, size_t width)
{
    size_t used = hf_buf_add_escaped(b, s, width);
    for (; used < width + 2; used++)
        hf_buf_addc(b, ' ');
}

/* "made 4096 bytes executable by mprotect (written before)", "mapped /tmp/x.so for execution". */
static void memory_words(const struct hf_event *ev, struct hf_buf *b)
{
    const struct hf_wire_mem *m = &ev->u.mem;
    const char *how = m->mem_flags & HF_MEM_WX ? " (writable and executable)" : m->mem_flags & HF_MEM_WRITTEN ? " (written before)" : "";
    if (m->op == HF_MEM_MPROTECT || !ev->path.n)
        hf_buf_addf(b, "made %llu bytes%s executable by %s", (unsigned long long)m->length,
                m->mem_flags & HF_MEM_STACK ? " of its stack" : m->mem_flags & HF_MEM_HEAP ? " of its heap" : "", hf_name_mem(m->op));
    if (ev->path.n) {
        hf_buf_addz(b, m->op == HF_MEM_MPROTECT ? ", of " : "mapped ");
        hf_buf_add_escaped(b, ev->path, 120);
        hf_buf_addz(b, m->op == HF_MEM_MPROTECT ? "" : " for execution");
    }
    hf_buf_addz(b, how);
}

/* "ran /bin/ls, which is changed (of coreutils 9.1-1; written by /usr/bin/dd (71))" */
static bool verdict_words(const struct hf_event *ev, struct hf_buf *b)
{
    const struct hf_wire_verdict *v = &ev->u.verdict;
    static const char *const words[] = {"", "as the image has it", "changed", "not from the image", "of the image under another name", "on a volume", "in memory only", "not known: the image has no seal", "gone or changing"};
    if (v->use == HF_USE_POLICY) {
        hf_buf_addz(b, "policy ");
        hf_buf_add_escaped(b, ev->cwd, 60);
        hf_buf_addz(b, ": ");
        hf_buf_add_escaped(b, ev->args, 100);
    } else {
        hf_buf_addz(b, v->use == HF_USE_MMAP ? "loaded " : "ran ");
        hf_buf_add_escaped(b, ev->path, 120);
        hf_buf_addf(b, ", which is %s", v->verdict < HF_ARRAY_LEN(words) ? words[v->verdict] : "?");
    }
    if (ev->text.n) {
        hf_buf_addz(b, ", of ");
        hf_buf_add_escaped(b, ev->text, 60);
    }
    if (ev->writer) {
        hf_buf_addz(b, ", written by ");
        hf_buf_add_escaped(b, ev->writer->exe, 80);
        hf_buf_addf(b, " (%u)", ev->writer->pid);
    }
    if (v->action)
        hf_buf_addf(b, " [%s]", v->action == HF_ACTION_WOULD ? "would be refused" : hf_name_action(v->action));
    return true;
}

bool hf_watch_words(const struct hf_event *ev, struct hf_buf *b)
{
    switch (ev->type) {
    case HF_EV_EXEC: {
        hf_autobuf args = HF_BUF_INIT(65536);
        hf_event_args(ev->proc ? ev->proc->args : ev->args, &args);
        hf_buf_addz(b, "ran ");
        hf_buf_add_escaped(b, args.n ? hf_buf_span(&args) : ev->path, 160);
        return true;
    }
    case HF_EV_CONTAINER:
        hf_buf_addz(b, "container of image ");
        hf_buf_add_escaped(b, ev->container ? ev->container->image : hf_span(NULL, 0), 80);
        return true;
    case HF_EV_CONTAINER_END:
        hf_buf_addz(b, "container ended");
        return true;
    case HF_EV_NET:
        if (ev->u.net.op == HF_NET_CLOSE || ev->u.net.op == HF_NET_BIND)
            return false;
        hf_buf_addf(b, "%s ", hf_event_net_op_name(ev->u.net.op));
        if (ev->u.net.op == HF_NET_LISTEN) {
            hf_buf_addf(b, "port %u", (unsigned)ev->u.net.local_port);
            return true;
        }
        hf_event_addr(ev->u.net.peer, b);
        hf_buf_addf(b, " port %u", (unsigned)(ev->u.net.op == HF_NET_ACCEPT ? ev->u.net.local_port : ev->u.net.peer_port));
        if (ev->peer_container) {
            hf_buf_addz(b, " (container ");
            hf_buf_add_escaped(b, ev->peer_container->name, 40);
            hf_buf_addc(b, ')');
        } else if (ev->peer_name.n) {
            hf_buf_addz(b, " (");
            hf_buf_add_escaped(b, ev->peer_name, 60);
            hf_buf_addc(b, ')');
        }
        return true;
    case HF_EV_PAYLOAD:
        if (!ev->app.name.n)
            return false;
        hf_buf_addf(b, "%s ", hf_event_json_type(ev));
        hf_buf_add_escaped(b, ev->app.name, 100);
        return true;
    case HF_EV_PTRACE:
        hf_buf_addf(b, "%s of ", ev->u.ptrace.request == HF_PTRACE_ATTACH ? "tracing" : "looking into the memory");
        hf_buf_add_escaped(b, ev->target ? ev->target->comm : hf_span_z(ev->u.ptrace.target_comm), 20);
        hf_buf_addf(b, " (%u)", ev->u.ptrace.target_pid);
        return true;
    case HF_EV_MEM:
        memory_words(ev, b);
        return true;
    case HF_EV_MOUNT:
    case HF_EV_MODULE:
    case HF_EV_BPF:
    case HF_EV_SOCKET:
        hf_buf_addf(b, "%s ", hf_event_json_type(ev));
        hf_buf_add_escaped(b, ev->path, 120);
        return true;
    case HF_EV_FILE:
        hf_buf_addf(b, "%s ", hf_event_file_op_name(ev->u.file.op));
        if (ev->u.file.op == HF_FILE_IOCTL)
            hf_buf_addf(b, "%s of ", hf_name_request(ev->u.file.request) ? hf_name_request(ev->u.file.request) : "request");
        hf_buf_add_escaped(b, ev->path, 120);
        if (ev->path2.n) {
            hf_buf_addz(b, " -> ");
            hf_buf_add_escaped(b, ev->path2, 120);
        }
        return true;
    case HF_EV_VERDICT:
        return verdict_words(ev, b);
    case HF_EV_LOSS:
        hf_buf_addf(b, "LOST %llu events of type %s", (unsigned long long)ev->u.loss.count, ev->u.loss.lost_type ? hf_event_type_name(ev->u.loss.lost_type) : "several");
        return true;
    default:
        return false;
    }
}

bool hf_watch_is_setup(const struct hf_event *ev)
{
    return ev->proc && hf_proc_is_runtime(ev->proc) && (ev->proc->container || hf_span_starts(ev->proc->comm, HF_S("runc:["))); /* on the host, `runc` itself is told */
}

void hf_watch_reached(const struct hf_event *ev, struct hf_buf *b)
{
    const struct hf_reached_list *l = hf_reached_of(ev->proc, ev->time_ns);
    if (!l)
        return;
    const struct hf_reached *r = &l->r[0];
    uint64_t before = ev->time_ns > r->time_ns ? ev->time_ns - r->time_ns : 0;
    hf_buf_addf(b, "%*sreached from ", 14, "");
    if (r->container_n) {
        hf_buf_add_escaped(b, hf_span(r->container, r->container_n), 0);
        hf_buf_addc(b, ' ');
    }
    if (r->exe_n) {
        hf_buf_addc(b, '(');
        hf_buf_add_escaped(b, hf_span(r->exe, r->exe_n), 0);
        hf_buf_addz(b, ") ");
    }
    hf_event_addr(r->peer, b);
    hf_buf_addf(b, " at port %u, %llu.%llu s before\n", r->local_port, (unsigned long long)(before / 1000000000u), (unsigned long long)(before / 100000000u % 10));
}
