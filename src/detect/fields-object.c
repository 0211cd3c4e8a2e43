// SPDX-License-Identifier: Apache-2.0
/* What a condition can ask of events, files, connections, containers. */
#include <fcntl.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "detect/fields-internal.h"
#include "event/caps.h"
#include "event/json.h"
#include "event/names.h"

/* ---- the ends of a connection, whichever event speaks of it ---- */

struct ends {
    const uint8_t *local, *peer;
    uint16_t local_port, peer_port, family, protocol;
    bool server; /* the local end is the server */
};

static bool ends_of(const struct hf_look *l, struct ends *ret)
{
    const struct hf_event *ev = l->ev;
    if (l->class == HF_CLASS_DUP && l->stdio) {
        static const uint8_t none[16];
        *ret = (struct ends){none, l->stdio->peer, l->stdio->local_port, l->stdio->peer_port, l->stdio->family, IPPROTO_TCP, false};
        return true;
    }
    if (ev->type == HF_EV_NET) {
        const struct hf_wire_net *n = &ev->u.net;
        *ret = (struct ends){n->local, n->peer, n->local_port, n->peer_port, n->family, n->protocol,
                n->op == HF_NET_ACCEPT || n->op == HF_NET_LISTEN || n->op == HF_NET_BIND};
        return true;
    }
    if (ev->type == HF_EV_PAYLOAD) {
        const struct hf_wire_payload *p = &ev->u.payload;
        *ret = (struct ends){p->local, p->peer, p->local_port, p->peer_port, p->family, p->protocol, p->payload_flags & HF_PAYLOAD_ACCEPTED};
        return true;
    }
    return false;
}

static bool make_addr(struct hf_value *ret, const uint8_t addr[16])
{
    ret->kind = HF_VALUE_ADDR;
    memcpy(ret->addr, addr, 16);
    return true;
}

static bool is_listening(const struct hf_look *l)
{
    return l->ev->type == HF_EV_NET && (l->ev->u.net.op == HF_NET_LISTEN || l->ev->u.net.op == HF_NET_BIND);
}

static bool socket_name(struct hf_look *l, const struct ends *e, struct hf_value *ret)
{
    size_t from = l->scratch.n;
    const uint8_t *c = e->server ? e->peer : e->local, *s = e->server ? e->local : e->peer;
    if (!is_listening(l)) {
        hf_event_addr(c, &l->scratch);
        hf_buf_addf(&l->scratch, ":%u->", (unsigned)(e->server ? e->peer_port : e->local_port));
    }
    hf_event_addr(s, &l->scratch);
    hf_buf_addf(&l->scratch, ":%u", (unsigned)(e->server ? e->local_port : e->peer_port));
    return hf_value_made(l, from, ret);
}

static bool connection(struct hf_look *l, unsigned id, unsigned nth, struct hf_value *ret)
{
    struct ends e;
    if (!ends_of(l, &e))
        return false;
    bool listening = is_listening(l);
    switch (id) {
    case F_FD_NAME:
    case F_FD_NAMERAW:
        return nth == 0 && socket_name(l, &e, ret);
    case F_FD_IP: /* either end */
    case F_FD_NET:
        return nth == 0 ? make_addr(ret, e.local) : nth == 1 && !listening && make_addr(ret, e.peer);
    case F_FD_LIP:
    case F_FD_LNET:
        return nth == 0 && make_addr(ret, e.local);
    case F_FD_RIP:
    case F_FD_RNET:
        return nth == 0 && !listening && make_addr(ret, e.peer);
    case F_FD_SIP:
    case F_FD_SNET:
        return nth == 0 && make_addr(ret, e.server ? e.local : e.peer);
    case F_FD_CIP:
    case F_FD_CNET:
        return nth == 0 && !listening && make_addr(ret, e.server ? e.peer : e.local);
    case F_FD_PORT:
        return nth == 0 ? hf_value_num(ret, e.local_port) : nth == 1 && !listening && hf_value_num(ret, e.peer_port);
    case F_FD_LPORT:
        return nth == 0 && hf_value_num(ret, e.local_port);
    case F_FD_RPORT:
        return nth == 0 && !listening && hf_value_num(ret, e.peer_port);
    case F_FD_SPORT:
        return nth == 0 && hf_value_num(ret, e.server ? e.local_port : e.peer_port);
    case F_FD_CPORT:
        return nth == 0 && !listening && hf_value_num(ret, e.server ? e.peer_port : e.local_port);
    case F_FD_RIPNAME:
        return nth == 0 && hf_value_str(ret, l->ev->peer_name);
    case F_FD_SIPNAME:
        return nth == 0 && !e.server && hf_value_str(ret, l->ev->peer_name);
    case F_FD_CIPNAME:
        return nth == 0 && e.server && hf_value_str(ret, l->ev->peer_name);
    case F_FD_L4PROTO:
        return nth == 0 && hf_value_str(ret, e.protocol == IPPROTO_TCP ? HF_S("tcp") : e.protocol == IPPROTO_UDP ? HF_S("udp") : HF_S("icmp"));
    case F_FD_SOCKFAMILY:
        return nth == 0 && hf_value_str(ret, HF_S("ip"));
    case F_FD_TYPE:
        return nth == 0 && hf_value_str(ret, e.family == AF_INET6 && !hf_event_addr_is_v4(e.peer) ? HF_S("ipv6") : HF_S("ipv4"));
    case F_FD_TYPECHAR:
        return nth == 0 && hf_value_str(ret, e.family == AF_INET6 && !hf_event_addr_is_v4(e.peer) ? HF_S("6") : HF_S("4"));
    case F_FD_IS_SERVER:
        return nth == 0 && hf_value_num(ret, e.server);
    case F_FD_CONNECTED:
        return nth == 0 && hf_value_num(ret, l->ev->type != HF_EV_NET || l->ev->u.net.op == HF_NET_ESTABLISHED || l->ev->u.net.op == HF_NET_ACCEPT || l->ev->u.net.op == HF_NET_CONNECT);
    case F_FD_NUM:
        return nth == 0 && l->class == HF_CLASS_DUP && hf_value_num(ret, l->stdio_fd);
    default:
        return false;
    }
}

/* ---- files ---- */

static bool file(struct hf_look *l, unsigned id, struct hf_value *ret)
{
    const struct hf_event *ev = l->ev;
    const struct hf_wire_file *f = &ev->u.file;
    switch (id) {
    case F_FD_NAME:
    case F_FD_NAMERAW:
        return hf_value_str(ret, ev->path);
    case F_FD_DIRECTORY: {
        struct hf_span d = hf_span_dirname(ev->path);
        return hf_value_str(ret, d.n ? d : HF_S("/"));
    }
    case F_FD_FILENAME:
        return hf_value_str(ret, hf_span_basename(ev->path));
    case F_FD_TYPE:
        return hf_value_str(ret, f->op == HF_FILE_CONNECT ? HF_S("unix") : (f->mode & 0170000) == 0040000 ? HF_S("directory") : HF_S("file"));
    case F_FD_TYPECHAR:
        return hf_value_str(ret, f->op == HF_FILE_CONNECT ? HF_S("u") : (f->mode & 0170000) == 0040000 ? HF_S("d") : HF_S("f"));
    case F_FD_SOCKFAMILY:
        return f->op == HF_FILE_CONNECT && hf_value_str(ret, HF_S("unix"));
    case F_FD_INO:
        return hf_value_num(ret, (int64_t)f->inode);
    case F_FD_DEV:
        return hf_value_num(ret, f->dev);
    case F_FD_NUM:
        return hf_value_num(ret, 3); /* it was opened: a descriptor above the standard ones */
    case F_FD_UPPER:
        return hf_value_num(ret, (f->exec_flags & HF_X_UPPER) != 0);
    case F_HF_WATCH:
        return f->watch && hf_value_num(ret, f->watch);
    case F_HF_NODE:
        return hf_name_node(f) && hf_value_str(ret, hf_span_z(hf_name_node(f)));
    case F_HF_CHANGED: /* under which name there is something new now */
        return hf_value_str(ret, f->op == HF_FILE_RENAME || f->op == HF_FILE_LINK ? ev->path2 : ev->path);
    case F_FS_PATH_NAME:
        return hf_value_str(ret, ev->path);
    case F_FS_PATH_SOURCE: /* a symbolic link's source is what it points to */
        return hf_value_str(ret, f->op == HF_FILE_SYMLINK ? ev->path2 : ev->path);
    case F_FS_PATH_TARGET:
        return hf_value_str(ret, f->op == HF_FILE_SYMLINK ? ev->path : ev->path2);
    default:
        return false;
    }
}

/* The file behind a mapping. */
static bool mapped_file(const struct hf_look *l, unsigned id, struct hf_value *ret)
{
    const struct hf_event *ev = l->ev;
    const struct hf_wire_mem *m = &ev->u.mem;
    if (!ev->path.n)
        return false;
    switch (id) {
    case F_FD_NAME:
    case F_FD_NAMERAW:
        return hf_value_str(ret, ev->path);
    case F_FD_DIRECTORY:
        return hf_value_str(ret, hf_span_dirname(ev->path).n ? hf_span_dirname(ev->path) : HF_S("/"));
    case F_FD_FILENAME:
        return hf_value_str(ret, hf_span_basename(ev->path));
    case F_FD_INO:
        return hf_value_num(ret, (int64_t)m->inode);
    case F_FD_DEV:
        return hf_value_num(ret, m->dev);
    case F_FD_UPPER:
        return hf_value_num(ret, (m->exec_flags & HF_X_UPPER) != 0);
    default:
        return false;
    }
}

static bool memory(const struct hf_event *ev, unsigned id, struct hf_value *ret)
{
    const struct hf_wire_mem *m = &ev->u.mem;
    static const struct {
        unsigned id;
        uint32_t flag;
    } flags[] = {{F_HF_MEM_WX, HF_MEM_WX}, {F_HF_MEM_ANON, HF_MEM_ANON}, {F_HF_MEM_WRITTEN, HF_MEM_WRITTEN}, {F_HF_MEM_STACK, HF_MEM_STACK}, {F_HF_MEM_HEAP, HF_MEM_HEAP}};
    for (size_t i = 0; i < HF_ARRAY_LEN(flags); i++)
        if (flags[i].id == id)
            return hf_value_num(ret, (m->mem_flags & flags[i].flag) != 0);
    return id == F_HF_MEM_LENGTH && hf_value_num(ret, (int64_t)m->length);
}

/* What kind of file it is, of a file at hand or of the one behind a mapping. */
static bool file_kind(const struct hf_event *ev, unsigned id, struct hf_value *ret)
{
    uint32_t flags = ev->type == HF_EV_FILE ? ev->u.file.exec_flags : ev->u.mem.exec_flags;
    if (ev->type != HF_EV_FILE && ev->type != HF_EV_MEM)
        return false;
    return hf_value_num(ret, (flags & (id == F_HF_FILE_MEMFD ? HF_X_MEMFD : id == F_HF_FILE_DELETED ? HF_X_DELETED : id == F_HF_FILE_TMPFS ? HF_X_TMPFS : HF_X_COPIED_UP)) != 0);
}

static bool open_flags(struct hf_look *l, struct hf_value *ret)
{
    size_t from = l->scratch.n;
    const struct hf_wire_file *f = &l->ev->u.file;
    unsigned how = f->open_flags & O_ACCMODE;
    hf_buf_addz(&l->scratch, f->op == HF_FILE_OPEN ? "O_RDONLY" : how == O_RDWR ? "O_RDWR" : "O_WRONLY");
    if (f->op == HF_FILE_CREATE || (f->open_flags & O_CREAT))
        hf_buf_addz(&l->scratch, "|O_CREAT");
    if (f->op == HF_FILE_CREATE)
        hf_buf_addz(&l->scratch, "|FD_UPPER_LAYER_CREATED");
    if (f->open_flags & O_TRUNC)
        hf_buf_addz(&l->scratch, "|O_TRUNC");
    if (f->open_flags & O_APPEND)
        hf_buf_addz(&l->scratch, "|O_APPEND");
    if (f->open_flags & O_DIRECTORY)
        hf_buf_addz(&l->scratch, "|O_DIRECTORY");
    return hf_value_made(l, from, ret);
}

static bool exec_flag_words(struct hf_look *l, struct hf_value *ret)
{
    static const struct hf_flag_name flags[] = {{HF_X_WRITABLE, "EXE_WRITABLE"}, {HF_X_UPPER, "EXE_UPPER_LAYER"}, {HF_X_MEMFD, "EXE_FROM_MEMFD"}, {0, NULL}};
    size_t from = l->scratch.n;
    for (const struct hf_flag_name *f = flags; f->name; f++)
        if (l->ev->u.exec.exec_flags & f->bit) {
            if (l->scratch.n > from)
                hf_buf_addc(&l->scratch, '|');
            hf_buf_addz(&l->scratch, f->name);
        }
    return hf_value_made(l, from, ret);
}

static bool flag_words(struct hf_look *l, uint64_t bits, const struct hf_flag_name *names, const char *prefix, struct hf_value *ret)
{
    size_t from = l->scratch.n;
    for (; names->name; names++)
        if (bits & names->bit) {
            if (l->scratch.n > from)
                hf_buf_addc(&l->scratch, '|');
            hf_buf_addz(&l->scratch, prefix);
            hf_buf_addz(&l->scratch, names->name);
        }
    return hf_value_made(l, from, ret);
}

static bool mode_words(struct hf_look *l, unsigned mode, struct hf_value *ret)
{
    size_t from = l->scratch.n;
    hf_buf_addf(&l->scratch, "%04o", mode & 07777);
    if (mode & 04000)
        hf_buf_addz(&l->scratch, "|S_ISUID");
    if (mode & 02000)
        hf_buf_addz(&l->scratch, "|S_ISGID");
    if (mode & 0111)
        hf_buf_addz(&l->scratch, "|S_IXUSR");
    return hf_value_made(l, from, ret);
}

/* evt.arg.NAME: the arguments of the system call the event stands for, as far as they are known. */
static bool argument(struct hf_look *l, struct hf_span name, struct hf_value *ret)
{
    const struct hf_event *ev = l->ev;
    if (ev->type == HF_EV_FILE) {
        if (hf_span_eqz(name, "flags"))
            return open_flags(l, ret);
        if (hf_span_eqz(name, "name") || hf_span_eqz(name, "path") || hf_span_eqz(name, "filename") || hf_span_eqz(name, "oldpath"))
            return hf_value_str(ret, ev->u.file.op == HF_FILE_SYMLINK && hf_span_eqz(name, "oldpath") ? ev->path2 : ev->path);
        if (hf_span_eqz(name, "newpath") || hf_span_eqz(name, "linkpath"))
            return hf_value_str(ret, ev->u.file.op == HF_FILE_SYMLINK ? ev->path : ev->path2);
        if (hf_span_eqz(name, "target"))
            return hf_value_str(ret, ev->path2);
        if (ev->u.file.op == HF_FILE_IOCTL && hf_span_eqz(name, "request")) {
            const char *request = hf_name_request(ev->u.file.request);
            size_t from = l->scratch.n;
            if (request)
                return hf_value_str(ret, hf_span_z(request));
            hf_buf_addf(&l->scratch, "%X", ev->u.file.request);
            return hf_value_made(l, from, ret);
        }
        if (hf_span_eqz(name, "mode"))
            return mode_words(l, ev->u.file.op == HF_FILE_CHMOD && ev->u.file.new_mode != UINT32_MAX ? ev->u.file.new_mode : ev->u.file.mode, ret);
        return false;
    }
    if (ev->type == HF_EV_EXEC && hf_span_eqz(name, "flags"))
        return exec_flag_words(l, ret);
    if (ev->type == HF_EV_MEM && hf_span_eqz(name, "prot")) {
        static const struct hf_flag_name prots[] = {{1, "PROT_READ"}, {2, "PROT_WRITE"}, {4, "PROT_EXEC"}, {0, NULL}};
        return flag_words(l, ev->u.mem.prot, prots, "", ret);
    }
    if (ev->type == HF_EV_MEM && (hf_span_eqz(name, "length") || hf_span_eqz(name, "size")))
        return hf_value_num(ret, (int64_t)ev->u.mem.length);
    if (ev->type == HF_EV_EXEC && (hf_span_eqz(name, "filename") || hf_span_eqz(name, "exe")))
        return hf_value_str(ret, ev->path2);
    if (ev->type == HF_EV_NS && hf_span_eqz(name, "flags")) {
        static const struct hf_flag_name clone[] = {{0x00020000, "CLONE_NEWNS"}, {0x02000000, "CLONE_NEWCGROUP"}, {0x04000000, "CLONE_NEWUTS"},
                {0x08000000, "CLONE_NEWIPC"}, {0x10000000, "CLONE_NEWUSER"}, {0x20000000, "CLONE_NEWPID"}, {0x40000000, "CLONE_NEWNET"}, {0, NULL}};
        return flag_words(l, ev->u.ns.flags, clone, "", ret);
    }
    if (ev->type == HF_EV_PTRACE && hf_span_eqz(name, "request")) {
        static const char *const requests[] = {"", "PTRACE_ATTACH", "PTRACE_TRACEME", "PTRACE_PEEKTEXT", "PTRACE_POKETEXT", "PTRACE_OTHER"};
        return hf_value_str(ret, hf_span_z(requests[ev->u.ptrace.request < 6 ? ev->u.ptrace.request : 0]));
    }
    if (ev->type == HF_EV_SOCKET && hf_span_eqz(name, "domain"))
        return hf_value_str(ret, ev->u.socket.family == 17 ? HF_S("AF_PACKET") : ev->u.socket.family == 38 ? HF_S("AF_ALG") : ev->u.socket.family == 10 ? HF_S("AF_INET6") : HF_S("AF_INET"));
    if (ev->type == HF_EV_CRED && hf_span_eqz(name, "uid") && l->user_name) {
        struct hf_span user = l->user_name(l->user_ctx, ev->u.cred.h.euid, false);
        return hf_value_str(ret, user);
    }
    if (ev->type == HF_EV_BPF && hf_span_eqz(name, "cmd"))
        return hf_value_str(ret, ev->u.bpf.cmd == 5 ? HF_S("BPF_PROG_LOAD") : HF_S("BPF_OTHER"));
    return false;
}

static bool event(struct hf_look *l, unsigned id, struct hf_span arg, struct hf_value *ret)
{
    const struct hf_event *ev = l->ev;
    size_t from = l->scratch.n;
    static _Thread_local struct utsname host;
    switch (id) {
    case F_EVT_TYPE:
    case F_SYSCALL_TYPE:
        return hf_value_str(ret, hf_span_z(hf_class_name(l->class)));
    case F_EVT_DIR:
        return hf_value_str(ret, HF_S("<"));
    case F_EVT_NUM:
        return hf_value_num(ret, (int64_t)ev->seq);
    case F_EVT_TIME:
        hf_buf_addf(&l->scratch, "%02u:%02u:%02u.%09u", (unsigned)(ev->time_ns / 3600000000000u % 24), (unsigned)(ev->time_ns / 60000000000u % 60),
                (unsigned)(ev->time_ns / 1000000000u % 60), (unsigned)(ev->time_ns % 1000000000u));
        return hf_value_made(l, from, ret);
    case F_EVT_RAWTIME:
        return hf_value_num(ret, (int64_t)ev->time_ns);
    case F_EVT_RES: /* events are of what was done; a connection that failed says so */
        return hf_value_str(ret, ev->type == HF_EV_NET && ev->u.net.op == HF_NET_FAILED ? HF_S("ECONNREFUSED") : HF_S("SUCCESS"));
    case F_EVT_RAWRES:
        return hf_value_num(ret, ev->type == HF_EV_NET && ev->u.net.op == HF_NET_FAILED ? -111 : ev->type == HF_EV_CAP ? ev->u.cap.result : 0);
    case F_EVT_FAILED:
        return hf_value_num(ret, ev->type == HF_EV_NET && ev->u.net.op == HF_NET_FAILED);
    case F_EVT_IS_READ:
        return ev->type == HF_EV_FILE && hf_value_num(ret, ev->u.file.op == HF_FILE_OPEN || (ev->u.file.open_flags & O_ACCMODE) == O_RDWR);
    case F_EVT_IS_WRITE:
        return ev->type == HF_EV_FILE && hf_value_num(ret, ev->u.file.op == HF_FILE_WRITE || ev->u.file.op == HF_FILE_CREATE);
    case F_EVT_IS_CREATE:
        return ev->type == HF_EV_FILE && hf_value_num(ret, ev->u.file.op == HF_FILE_CREATE);
    case F_EVT_IS_EXEC:
        return ev->type == HF_EV_FILE && hf_value_num(ret, (ev->u.file.mode & 0111) != 0 && ev->u.file.op == HF_FILE_CREATE);
    case F_EVT_HOSTNAME:
        return (host.nodename[0] || uname(&host) == 0) && hf_value_str(ret, hf_span_z(host.nodename));
    case F_EVT_ARG:
        return argument(l, arg, ret);
    case F_EVT_ARGS:
        if (ev->type == HF_EV_FILE)
            hf_buf_addf(&l->scratch, "%s name=%.*s target=%.*s", hf_event_file_op_name(ev->u.file.op), HF_SPAN_ARG(ev->path), HF_SPAN_ARG(ev->path2));
        else if (ev->type == HF_EV_MOUNT)
            hf_buf_addf(&l->scratch, "dev=%.*s dir=%.*s type=%.*s", HF_SPAN_ARG(ev->path2), HF_SPAN_ARG(ev->path), HF_SPAN_ARG(ev->text));
        else if (ev->type == HF_EV_SOCKET)
            hf_buf_addf(&l->scratch, "domain=%u(%s) type=%u proto=%u", ev->u.socket.family, ev->u.socket.family == 17 ? "AF_PACKET" : "other", ev->u.socket.type, ev->u.socket.protocol);
        return hf_value_made(l, from, ret);
    case F_EVT_CATEGORY:
        return hf_value_str(ret, ev->type == HF_EV_FILE ? HF_S("file") : ev->type == HF_EV_NET ? HF_S("net") : HF_S("process"));
    default:
        return false;
    }
}

/* ---- containers ---- */

static struct hf_span fact(const struct hf_container *c, const char *name)
{
    struct hf_span rest = c->pairs, n, v;
    while (hf_event_pair(&rest, &n, &v))
        if (hf_span_eqz(n, name))
            return v;
    return hf_span(NULL, 0);
}

/* "repo:5000/name:tag@sha256:..." */
static void image_parts(struct hf_span image, struct hf_span *repository, struct hf_span *tag)
{
    size_t at = hf_span_find(image, '@');
    if (at != SIZE_MAX)
        image = hf_span_sub(image, 0, at);
    size_t slash = hf_span_rfind(image, '/'), colon = hf_span_rfind(image, ':');
    bool has_tag = colon != SIZE_MAX && (slash == SIZE_MAX || colon > slash);
    *repository = has_tag ? hf_span_sub(image, 0, colon) : image;
    *tag = has_tag ? hf_span_from(image, colon + 1) : hf_span(NULL, 0);
}

/* container.mount.dest[/proc*]: of the first mount whose source (dest: destination) fits; "N/A" when none does, as Falco says it. */
static bool mount_fact(const struct hf_container *c, unsigned id, struct hf_span want, struct hf_value *ret)
{
    struct hf_span mounts = fact(c, "mounts"), line;
    char pattern[256], text[1024];
    snprintf(pattern, sizeof pattern, "%.*s", (int)HF_MIN(want.n, sizeof pattern - 1), want.p ? want.p : "");
    while (hf_span_line(&mounts, &line)) {
        struct hf_span rest = line, source, dest;
        if (!hf_span_cut(&rest, ':', &source) || !hf_span_cut(&rest, ':', &dest))
            continue;
        struct hf_span key = id == F_C_MOUNT_SOURCE ? dest : source;
        snprintf(text, sizeof text, "%.*s", (int)HF_MIN(key.n, sizeof text - 1), key.p);
        if (fnmatch(pattern, text, 0) == 0)
            return hf_value_str(ret, id == F_C_MOUNT_DEST ? dest : id == F_C_MOUNT_SOURCE ? source : rest);
    }
    return hf_value_str(ret, HF_S("N/A"));
}

static bool host(unsigned id, struct hf_value *ret)
{
    switch (id) {
    case F_C_ID:
    case F_C_NAME:
    case F_C_FULLID:
        return hf_value_str(ret, HF_S("host"));
    default:
        return false;
    }
}

static bool container(struct hf_look *l, unsigned id, struct hf_span arg, struct hf_value *ret)
{
    const struct hf_container *c = l->ev->container;
    struct hf_span repository, tag;
    if (!c)
        return host(id, ret);
    image_parts(c->image, &repository, &tag);
    switch (id) {
    case F_C_ID:
        return hf_value_str(ret, hf_span_sub(c->id, 0, 12));
    case F_C_FULLID:
        return hf_value_str(ret, c->id);
    case F_C_NAME:
        return hf_value_str(ret, c->name);
    case F_C_IMAGE:
        return hf_value_str(ret, c->image);
    case F_C_REPOSITORY:
        return hf_value_str(ret, repository);
    case F_C_TAG:
        return hf_value_str(ret, tag);
    case F_C_DIGEST:
        return hf_value_str(ret, c->image_digest);
    case F_C_IMAGEID:
        return hf_value_str(ret, c->image_id);
    case F_C_TYPE:
        return hf_value_str(ret, c->runtime);
    case F_C_PRIVILEGED:
        return c->known && hf_value_num(ret, c->privileged);
    case F_C_MOUNTS:
        return hf_value_str(ret, fact(c, "mounts"));
    case F_C_MOUNT_DEST:
    case F_C_MOUNT_SOURCE:
    case F_C_MOUNT_MODE:
        return c->known && mount_fact(c, id, arg, ret);
    case F_C_START:
        return hf_value_num(ret, (int64_t)c->started_ns);
    case F_C_DURATION:
        return hf_value_num(ret, (int64_t)(l->ev->time_ns - c->started_ns));
    case F_C_USER:
        return hf_value_str(ret, c->user);
    case F_C_HOSTNET:
        return c->known && hf_value_num(ret, c->host_net);
    case F_C_HOSTPID:
        return c->known && hf_value_num(ret, c->host_pid);
    case F_C_LABEL: {
        char name[200];
        snprintf(name, sizeof name, "label.%.*s", (int)HF_MIN(arg.n, (size_t)180), arg.p ? arg.p : "");
        return hf_value_str(ret, fact(c, name));
    }
    case F_K8S_POD:
        return hf_value_str(ret, c->pod_name);
    case F_K8S_NS:
        return hf_value_str(ret, c->pod_namespace);
    case F_K8S_CONTAINER:
        return hf_value_str(ret, c->k8s_container);
    case F_K8S_POD_UID:
        return hf_value_str(ret, c->pod_uid);
    default:
        return false;
    }
}

/* ---- Holdfast's own ---- */

/* How unlike words the longest label of a name is: 0 to 100.  Names that programs make up have many consonants in a row, digits
 * between letters, and no vowel rhythm. */
static int64_t randomness(struct hf_span name)
{
    struct hf_span label, rest = name, longest = {NULL, 0};
    while (hf_span_cut(&rest, '.', &label))
        if (label.n > longest.n)
            longest = label;
    unsigned switches = 0, run = 0, worst = 0, digits = 0, vowels = 0, letters = 0;
    for (size_t i = 0; i < longest.n; i++) {
        char c = longest.p[i] | 0x20;
        bool digit = longest.p[i] >= '0' && longest.p[i] <= '9', letter = c >= 'a' && c <= 'z', vowel = letter && strchr("aeiouy", c) != NULL;
        digits += digit;
        letters += letter;
        vowels += vowel;
        run = letter && !vowel ? run + 1 : 0;
        worst = HF_MAX(worst, run);
        if (i && digit != (longest.p[i - 1] >= '0' && longest.p[i - 1] <= '9'))
            switches++;
    }
    if (longest.n < 8)
        return 0;
    int64_t score = (int64_t)HF_MIN(switches * 8u, 40u) + (int64_t)(worst >= 4 ? HF_MIN((worst - 3) * 12u, 40u) : 0);
    if (letters >= 8 && vowels * 5 < letters)
        score += 25;
    if (longest.n > 24)
        score += 15;
    if (digits && letters && digits * 4 > longest.n)
        score += 10;
    return HF_MIN(score, 100);
}

static bool app(struct hf_look *l, unsigned id, struct hf_value *ret)
{
    static const char *const kinds[] = {"", "dns", "tls", "http", "ssh", "irc", "stratum", "socks", "redis", "postgresql", "mysql"};
    static const char *const logins[] = {"", "password", "default", "empty", "not_asked", "refused"};
    const struct hf_event *ev = l->ev;
    if (ev->type != HF_EV_PAYLOAD)
        return false;
    switch (id) {
    case F_HF_APP:
        return ev->app.kind && hf_value_str(ret, ev->app.kind < HF_ARRAY_LEN(kinds) ? hf_span_z(kinds[ev->app.kind]) : HF_S("other"));
    case F_HF_APP_NAME:
        return hf_value_str(ret, ev->app.name);
    case F_HF_APP_PATH:
        return hf_value_str(ret, ev->app.path);
    case F_HF_APP_AGENT:
        return hf_value_str(ret, ev->app.agent);
    case F_HF_APP_LOGIN:
        return ev->app.login && ev->app.login < HF_ARRAY_LEN(logins) && hf_value_str(ret, hf_span_z(logins[ev->app.login]));
    case F_HF_DNS_TYPE:
        return ev->app.kind == HF_APP_DNS && hf_value_num(ret, ev->app.dns_type);
    case F_HF_DNS_RCODE:
        return ev->app.kind == HF_APP_DNS && ev->app.dns_response && hf_value_num(ret, ev->app.dns_rcode);
    case F_HF_DNS_RESPONSE:
        return ev->app.kind == HF_APP_DNS && hf_value_num(ret, ev->app.dns_response);
    case F_HF_DNS_RANDOM:
        return ev->app.kind == HF_APP_DNS && hf_value_num(ret, randomness(ev->app.name));
    default:
        return false;
    }
}

static bool rate(const struct hf_wire_rate *r, unsigned id, struct hf_value *ret)
{
    uint64_t ns = r->interval_ns ? r->interval_ns : 1, n;
    switch (id) {
    case F_HF_RATE_SYN_OUT:
        n = r->tcp_syn_out;
        break;
    case F_HF_RATE_SYN_IN:
        n = r->tcp_syn_in;
        break;
    case F_HF_RATE_ACCEPTED:
        n = r->tcp_accepted;
        break;
    case F_HF_RATE_UDP_OUT:
        n = r->udp_out;
        break;
    case F_HF_RATE_PACKETS_OUT:
        n = r->packets_out;
        break;
    case F_HF_RATE_PACKETS_IN:
        n = r->packets_in;
        break;
    case F_HF_RATE_UDP_IN:
        n = r->udp_in;
        break;
    case F_HF_RATE_ICMP_OUT:
        n = r->icmp_out;
        break;
    case F_HF_RATE_BYTES_OUT:
        n = r->bytes_out;
        break;
    case F_HF_RATE_BYTES_IN:
        n = r->bytes_in;
        break;
    case F_HF_RATE_HALF_OPEN:
        n = r->tcp_syn_in > r->tcp_accepted ? r->tcp_syn_in - r->tcp_accepted : 0;
        break;
    default:
        return false;
    }
    return hf_value_num(ret, (int64_t)((double)n * 1e9 / (double)ns)); /* a second */
}

static bool own(struct hf_look *l, unsigned id, struct hf_value *ret)
{
    const struct hf_event *ev = l->ev;
    switch (id) {
    case F_HF_PEER_CONTAINER:
        return ev->peer_container && hf_value_str(ret, ev->peer_container->name);
    case F_HF_PEER_IMAGE:
        return ev->peer_container && hf_value_str(ret, ev->peer_container->image);
    case F_HF_PEER_EXE:
        return ev->peer_proc && hf_value_str(ret, ev->peer_proc->exe);
    case F_HF_PEER_NAME:
        return hf_value_str(ret, ev->peer_name);
    case F_HF_TARGET_EXE:
        return ev->target && hf_value_str(ret, ev->target->exe);
    case F_HF_TARGET_NAME:
        return ev->target ? hf_value_str(ret, ev->target->comm)
                          : ev->type == HF_EV_SIGNAL ? hf_value_str(ret, hf_span_z(ev->u.signal.target_comm))
                                                     : ev->type == HF_EV_PTRACE && hf_value_str(ret, hf_span_z(ev->u.ptrace.target_comm));
    case F_HF_TARGET_PID:
        return ev->target ? hf_value_num(ret, ev->target->pid) : ev->type == HF_EV_SIGNAL && hf_value_num(ret, ev->u.signal.target_pid);
    case F_HF_TARGET_SAME_CONTAINER:
        return ev->target && hf_value_num(ret, ev->target->container == ev->container);
    case F_HF_TARGET_CHILD:
        return ev->target && ev->proc && hf_value_num(ret, ev->target->parent == ev->proc);
    case F_HF_SIGNAL:
        return ev->type == HF_EV_SIGNAL && hf_value_num(ret, ev->u.signal.sig);
    case F_HF_CAP:
        return ev->type == HF_EV_CAP && hf_cap_name(ev->u.cap.cap) && hf_value_str(ret, hf_span_z(hf_cap_name(ev->u.cap.cap)));
    case F_HF_SYSCALL:
        return ev->type == HF_EV_CAP && hf_name_privileged_call(ev->u.cap.syscall) && hf_value_str(ret, hf_span_z(hf_name_privileged_call(ev->u.cap.syscall)));
    case F_HF_CRED_ROOT:
        return ev->type == HF_EV_CRED && hf_value_num(ret, (ev->u.cred.what & HF_CRED_ROOT) != 0);
    case F_HF_CRED_UNEXPLAINED:
        return ev->type == HF_EV_CRED && hf_value_num(ret, (ev->u.cred.what & HF_CRED_UNEXPLAINED) != 0);
    case F_HF_BPF_HELPERS:
        return ev->type == HF_EV_BPF && flag_words(l, ev->u.bpf.helpers, hf_names_helper, "", ret);
    case F_HF_MEM_WX:
    case F_HF_MEM_ANON:
    case F_HF_MEM_WRITTEN:
    case F_HF_MEM_STACK:
    case F_HF_MEM_HEAP:
    case F_HF_MEM_LENGTH:
        return ev->type == HF_EV_MEM && memory(ev, id, ret);
    case F_HF_FILE_MEMFD:
    case F_HF_FILE_DELETED:
    case F_HF_FILE_TMPFS:
    case F_HF_FILE_COPIED:
        return file_kind(ev, id, ret);
    case F_HF_URING_OP:
        return ev->type == HF_EV_IO_URING && hf_value_num(ret, ev->u.io_uring.op ? (int64_t)ev->u.io_uring.opcode : -1);
    case F_HF_EXIT_CODE:
        return ev->type == HF_EV_EXIT && hf_value_num(ret, ev->u.exit.status >> 8 & 0xff);
    case F_HF_EXIT_SIGNAL:
        return ev->type == HF_EV_EXIT && hf_value_num(ret, ev->u.exit.status & 0x7f);
    case F_HF_LOST:
        return ev->type == HF_EV_LOSS && hf_value_num(ret, (int64_t)ev->u.loss.count);
    case F_HF_BYTES_OUT:
        return ev->type == HF_EV_NET && hf_value_num(ret, (int64_t)ev->u.net.bytes_out);
    case F_HF_BYTES_IN:
        return ev->type == HF_EV_NET && hf_value_num(ret, (int64_t)ev->u.net.bytes_in);
    case F_HF_CONN_DURATION:
        return ev->type == HF_EV_NET && hf_value_num(ret, (int64_t)ev->u.net.duration_ns);
    case F_HF_INCOMING:
        return ev->type == HF_EV_PAYLOAD && hf_value_num(ret, ev->u.payload.direction == HF_PAYLOAD_IN);
    case F_HF_ACCEPTED:
        return ev->type == HF_EV_PAYLOAD && hf_value_num(ret, ev->u.payload.payload_flags & HF_PAYLOAD_ACCEPTED);
    case F_HF_MOUNT_SOURCE:
        return ev->type == HF_EV_MOUNT && hf_value_str(ret, ev->path2);
    case F_HF_MOUNT_TARGET:
        return ev->type == HF_EV_MOUNT && hf_value_str(ret, ev->path);
    case F_HF_MOUNT_TYPE:
        return ev->type == HF_EV_MOUNT && hf_value_str(ret, ev->text);
    case F_HF_SOCKET_FAMILY:
        return ev->type == HF_EV_SOCKET && hf_value_num(ret, ev->u.socket.family);
    case F_HF_SOCKET_TYPE:
        return ev->type == HF_EV_SOCKET && hf_value_num(ret, ev->u.socket.type);
    default:
        return ev->type == HF_EV_RATE ? rate(&ev->u.rate, id, ret) : app(l, id, ret);
    }
}

static bool digest(struct hf_look *l, const uint8_t d[32], struct hf_value *ret)
{
    static const uint8_t none[32];
    size_t from = l->scratch.n;
    if (!memcmp(d, none, sizeof none))
        return false;
    for (size_t i = 0; i < 32; i++)
        hf_buf_addf(&l->scratch, "%02x", d[i]);
    return hf_value_made(l, from, ret);
}

static bool writer(struct hf_look *l, unsigned id, struct hf_value *ret)
{
    const struct hf_writer *w = l->ev->writer;
    size_t from = l->scratch.n;
    switch (id) {
    case F_HF_VERDICT_WRITER:
        return w && hf_value_str(ret, w->exe);
    case F_HF_VERDICT_WRITER_CMDLINE:
        if (w)
            hf_event_args(w->args.n ? w->args : w->exe, &l->scratch);
        return hf_value_made(l, from, ret);
    case F_HF_VERDICT_WRITER_PID:
        return w && hf_value_num(ret, w->pid);
    case F_HF_VERDICT_WRITER_AGE:
        return w && l->ev->time_ns >= w->time_ns && hf_value_num(ret, (int64_t)(l->ev->time_ns - w->time_ns));
    case F_HF_VERDICT_MANAGER:
        return w && hf_value_str(ret, w->manager);
    default:
        return w && w->manager_key && hf_value_num(ret, (int64_t)(w->manager_key >> 1));
    }
}

static bool verdict(struct hf_look *l, unsigned id, struct hf_value *ret)
{
    const struct hf_event *ev = l->ev;
    const struct hf_wire_verdict *v = &ev->u.verdict;
    switch (id) {
    case F_HF_VERDICT:
        return hf_value_str(ret, hf_span_z(hf_name_verdict(v->verdict)));
    case F_HF_VERDICT_USE:
        return hf_value_str(ret, hf_span_z(hf_name_use(v->use)));
    case F_HF_VERDICT_PATH:
        return hf_value_str(ret, ev->path);
    case F_HF_VERDICT_SINCE_START: /* the change time is of the clock that started_ns is of */
        return v->ctime_ns && ev->container && ev->container->started_ns && hf_value_num(ret, v->ctime_ns > ev->container->started_ns);
    case F_HF_VERDICT_SHA256:
        return digest(l, v->got, ret);
    case F_HF_VERDICT_SEALED_SHA256:
        return digest(l, v->want, ret);
    case F_HF_VERDICT_SEALED_PATH:
        return hf_value_str(ret, ev->path2);
    case F_HF_VERDICT_PACKAGE:
        return hf_value_str(ret, ev->text);
    case F_HF_VERDICT_ACTION:
        return hf_value_str(ret, hf_span_z(hf_name_action(v->action)));
    case F_HF_VERDICT_RUNG:
        return hf_value_str(ret, hf_span_z(hf_name_rung(v->rung)));
    case F_HF_VERDICT_POLICY:
        return hf_value_str(ret, ev->cwd);
    case F_HF_VERDICT_CLAUSE:
        return hf_value_str(ret, ev->args);
    default:
        return writer(l, id, ret);
    }
}

/* hf.status[name]: what the sensor says of itself under this name. */
static bool status(const struct hf_event *ev, struct hf_span want, struct hf_value *ret)
{
    struct hf_span rest = ev->text, name, value;
    while (ev->type == HF_EV_STATUS && hf_event_pair(&rest, &name, &value))
        if (hf_span_eq(name, want))
            return hf_value_str(ret, value);
    return false;
}

bool hf_field_object(struct hf_look *l, unsigned id, struct hf_span arg, int64_t arg_n, unsigned nth, struct hf_value *ret)
{
    if (id == F_FD_TYPES) { /* of standard streams: fd.types[0] */
        const struct hf_proc *p = l->ev->proc;
        unsigned i = arg_n >= 0 ? (unsigned)arg_n : nth;
        return p && i < 3 && (arg_n < 0 || nth == 0) && hf_field_proc(l, F_PROC_STDIN + i, arg, -1, 0, ret);
    }
    if (id >= F_FD_NAME && id <= F_FD_UPPER)
        return l->ev->type == HF_EV_FILE ? nth == 0 && file(l, id, ret) : l->ev->type == HF_EV_MEM ? nth == 0 && mapped_file(l, id, ret) : connection(l, id, nth, ret);
    if (nth)
        return false;
    if (id == F_HF_STATUS)
        return status(l->ev, arg, ret);
    if (id >= F_VERDICT_FIRST && id < F_NONE)
        return l->ev->type == HF_EV_VERDICT && verdict(l, id, ret);
    if (id == F_HF_REMEMBERED || id == F_HF_PARENT_REMEMBERED)
        return hf_value_num(ret, l->remembered && l->remembered(l->remembered_ctx, arg, id == F_HF_PARENT_REMEMBERED));
    if (id >= F_FS_PATH_NAME && id <= F_FS_PATH_TARGET)
        return l->ev->type == HF_EV_FILE && file(l, id, ret);
    if (id == F_HF_WATCH || id == F_HF_NODE || id == F_HF_CHANGED)
        return l->ev->type == HF_EV_FILE && file(l, id, ret);
    if (id >= F_EVT_TYPE && id <= F_SYSCALL_TYPE)
        return event(l, id, arg, ret);
    if (id >= F_C_ID && id <= F_K8S_POD_UID)
        return container(l, id, arg, ret);
    return own(l, id, ret);
}
