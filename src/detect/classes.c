// SPDX-License-Identifier: Apache-2.0
/* The classes of events, their names in conditions and the hooks behind them. */
#include "detect/fields.h"

#include <sys/syscall.h>

#define BIT(c) HF_CLASS_BIT(HF_CLASS_##c)
#define FILE_(op) HF_CLASS_BIT(HF_CLASS_FILE + HF_FILE_##op)
#define NET_(op) HF_CLASS_BIT(HF_CLASS_NET + HF_NET_##op)
#define OPENS (FILE_(OPEN) | FILE_(WRITE) | FILE_(CREATE))

static const struct {
    const char *name;
    uint64_t classes;
} names[] = {
        {"execve", BIT(EXEC)}, {"execveat", BIT(EXEC)}, {"clone", BIT(FORK)}, {"clone3", BIT(FORK)}, {"fork", BIT(FORK)}, {"vfork", BIT(FORK)},
        {"procexit", BIT(EXIT)}, {"container", BIT(CONTAINER)}, {"hf.container_end", BIT(CONTAINER_END)},
        {"open", OPENS}, {"openat", OPENS}, {"openat2", OPENS}, {"open_by_handle_at", OPENS}, {"creat", FILE_(CREATE)},
        {"unlink", FILE_(UNLINK)}, {"unlinkat", FILE_(UNLINK) | FILE_(RMDIR)}, {"rmdir", FILE_(RMDIR)},
        {"rename", FILE_(RENAME)}, {"renameat", FILE_(RENAME)}, {"renameat2", FILE_(RENAME)},
        {"link", FILE_(LINK)}, {"linkat", FILE_(LINK)}, {"symlink", FILE_(SYMLINK)}, {"symlinkat", FILE_(SYMLINK)},
        {"chmod", FILE_(CHMOD) | FILE_(ATTRIB)}, {"fchmod", FILE_(CHMOD) | FILE_(ATTRIB)}, {"fchmodat", FILE_(CHMOD) | FILE_(ATTRIB)},
        {"chown", FILE_(CHOWN)}, {"fchown", FILE_(CHOWN)}, {"fchownat", FILE_(CHOWN)}, {"lchown", FILE_(CHOWN)},
        {"mkdir", FILE_(MKDIR)}, {"mkdirat", FILE_(MKDIR)}, {"mknod", FILE_(MKNOD)}, {"mknodat", FILE_(MKNOD)},
        {"setxattr", FILE_(XATTR)}, {"fsetxattr", FILE_(XATTR)}, {"ioctl", FILE_(IOCTL)}, {"mprotect", BIT(MEM)}, {"pkey_mprotect", BIT(MEM)}, {"mmap", BIT(MMAP)}, {"mmap2", BIT(MMAP)}, {"shmat", BIT(MMAP)}, {"hf.memory", BIT(MEM) | BIT(MMAP)},
        {"connect", NET_(CONNECT) | NET_(ESTABLISHED) | NET_(FAILED) | FILE_(CONNECT)}, {"accept", NET_(ACCEPT)}, {"accept4", NET_(ACCEPT)},
        {"listen", NET_(LISTEN)}, {"bind", NET_(BIND)}, {"sendto", NET_(SEND)}, {"sendmsg", NET_(SEND)}, {"sendmmsg", NET_(SEND)},
        {"recvfrom", 0}, {"recvmsg", 0}, {"recvmmsg", 0}, {"read", 0}, {"write", 0}, {"close", 0}, {"pipe", 0}, {"select", 0}, {"poll", 0},
        {"hf.close", NET_(CLOSE)}, {"hf.payload", BIT(PAYLOAD)}, {"socket", BIT(SOCKET)}, {"ptrace", BIT(PTRACE)}, {"process_vm_readv", BIT(PTRACE)},
        {"process_vm_writev", BIT(PTRACE)}, {"unshare", BIT(UNSHARE)}, {"setns", BIT(SETNS)}, {"mount", BIT(MOUNT)}, {"umount", BIT(UMOUNT)},
        {"umount2", BIT(UMOUNT)}, {"move_mount", BIT(MOUNT)}, {"init_module", BIT(MODULE)}, {"finit_module", BIT(MODULE)}, {"kexec_load", BIT(MODULE)},
        {"bpf", BIT(BPF)}, {"io_uring_setup", BIT(IO_URING)}, {"io_uring_enter", BIT(IO_URING)}, {"kill", BIT(SIGNAL)}, {"tkill", BIT(SIGNAL)},
        {"tgkill", BIT(SIGNAL)}, {"prctl", BIT(RENAME)}, {"hf.capability", BIT(CAP)}, {"hf.loss", BIT(LOSS)}, {"hf.rate", BIT(RATE)},
        {"hf.credentials", BIT(CRED)}, {"setuid", BIT(CRED)}, {"setreuid", BIT(CRED)}, {"setresuid", BIT(CRED)}, {"setgid", BIT(CRED)},
        {"capset", BIT(CRED)}, {"dup", BIT(DUP)}, {"dup2", BIT(DUP)}, {"dup3", BIT(DUP)}, {"userfaultfd", BIT(USERFAULTFD)},
        {"hf.verdict", BIT(VERDICT)}, {"hf.status", BIT(STATUS)}, {"hf.exec", BIT(EXEC)}, {"hf.fork", BIT(FORK)}, {"hf.signal", BIT(SIGNAL)},
        {"hf.file", OPENS | FILE_(UNLINK) | FILE_(RMDIR) | FILE_(RENAME) | FILE_(LINK) | FILE_(SYMLINK) | FILE_(CHMOD) | FILE_(ATTRIB) | FILE_(CHOWN) | FILE_(MKDIR) |
                            FILE_(MKNOD) | FILE_(XATTR) | FILE_(IOCTL) | FILE_(CONNECT)},
};

uint64_t hf_classes_named(struct hf_span name, bool *ret_known)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        if (hf_span_eqz(name, names[i].name)) {
            *ret_known = true;
            return names[i].classes;
        }
    *ret_known = false;
    return 0;
}

static uint64_t types_of(enum hf_class c)
{
    static const struct {
        uint8_t class, type;
    } rest[] = {{HF_CLASS_EXEC, HF_EV_EXEC}, {HF_CLASS_DUP, HF_EV_EXEC}, {HF_CLASS_FORK, HF_EV_FORK}, {HF_CLASS_EXIT, HF_EV_EXIT}, {HF_CLASS_CONTAINER, HF_EV_CGROUP},
            {HF_CLASS_CONTAINER_END, HF_EV_CGROUP}, {HF_CLASS_PAYLOAD, HF_EV_PAYLOAD}, {HF_CLASS_SOCKET, HF_EV_SOCKET}, {HF_CLASS_PTRACE, HF_EV_PTRACE},
            {HF_CLASS_MEM, HF_EV_MEM}, {HF_CLASS_UNSHARE, HF_EV_NS}, {HF_CLASS_SETNS, HF_EV_NS}, {HF_CLASS_MOUNT, HF_EV_MOUNT}, {HF_CLASS_UMOUNT, HF_EV_MOUNT},
            {HF_CLASS_MODULE, HF_EV_MODULE}, {HF_CLASS_BPF, HF_EV_BPF}, {HF_CLASS_IO_URING, HF_EV_IO_URING}, {HF_CLASS_SIGNAL, HF_EV_SIGNAL},
            {HF_CLASS_RENAME, HF_EV_RENAME}, {HF_CLASS_CAP, HF_EV_CAP}, {HF_CLASS_USERFAULTFD, HF_EV_CAP}, {HF_CLASS_RATE, 63}};
    if (c > HF_CLASS_FILE && c < HF_CLASS_NET)
        return 1ull << HF_EV_FILE;
    if (c > HF_CLASS_NET && c < HF_CLASS_PAYLOAD)
        return 1ull << HF_EV_NET;
    for (size_t i = 0; i < HF_ARRAY_LEN(rest); i++)
        if (rest[i].class == c)
            return 1ull << rest[i].type;
    return 0;
}

uint64_t hf_classes_types(uint64_t classes)
{
    uint64_t types = 0;
    for (unsigned c = 0; c < HF_CLASS_NONE; c++)
        types |= classes & HF_CLASS_BIT(c) ? types_of((enum hf_class)c) : 0;
    return types;
}

const char *hf_class_name(enum hf_class c)
{
    switch ((unsigned)c) { /* where several classes share a name, or the first name is not the usual one */
    case HF_CLASS_FILE + HF_FILE_OPEN:
    case HF_CLASS_FILE + HF_FILE_WRITE:
    case HF_CLASS_FILE + HF_FILE_CREATE:
        return "openat";
    case HF_CLASS_NET + HF_NET_SEND:
        return "sendto";
    case HF_CLASS_NONE:
        return "none";
    default:
        break;
    }
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        if (names[i].classes & HF_CLASS_BIT(c))
            return names[i].name;
    return "none";
}

bool hf_class_is_told(enum hf_class c)
{
    unsigned op = c > HF_CLASS_FILE && c < HF_CLASS_NET ? (unsigned)c - HF_CLASS_FILE : 0;
    return op != HF_FILE_MMAP_EXEC && c != HF_CLASS_NONE;
}

const char *hf_class_hook(enum hf_class c)
{
    if (c > HF_CLASS_FILE && c < HF_CLASS_NET)
        return c == HF_CLASS_FILE + HF_FILE_CONNECT ? "unix-connect" : c == HF_CLASS_FILE + HF_FILE_IOCTL ? "device-requests" : "files";
    if (c > HF_CLASS_NET && c < HF_CLASS_PAYLOAD)
        return "network";
    switch (c) {
    case HF_CLASS_EXEC:
    case HF_CLASS_DUP:
        return "exec";
    case HF_CLASS_FORK:
        return "fork";
    case HF_CLASS_EXIT:
        return "exit";
    case HF_CLASS_CONTAINER:
        return "container-start";
    case HF_CLASS_CONTAINER_END:
        return "container-end";
    case HF_CLASS_PAYLOAD:
        return "first-bytes";
    case HF_CLASS_SOCKET:
        return "raw-socket";
    case HF_CLASS_PTRACE:
        return "ptrace";
    case HF_CLASS_MEM:
        return "memory";
    case HF_CLASS_MMAP:
        return "memory-map";
    case HF_CLASS_UNSHARE:
    case HF_CLASS_SETNS:
        return "namespaces";
    case HF_CLASS_MOUNT:
    case HF_CLASS_UMOUNT:
        return "mount";
    case HF_CLASS_MODULE:
        return "module";
    case HF_CLASS_BPF:
        return "bpf";
    case HF_CLASS_IO_URING:
        return "io-uring";
    case HF_CLASS_SIGNAL:
        return "signal";
    case HF_CLASS_RENAME:
        return "rename";
    case HF_CLASS_CAP:
    case HF_CLASS_USERFAULTFD:
        return "privileged-calls";
    case HF_CLASS_RATE:
        return "rates";
    case HF_CLASS_CRED:
        return "every event";
    case HF_CLASS_VERDICT:
        return "the guard";
    default:
        return "the sensor";
    }
}

enum hf_class hf_class_of(const struct hf_event *ev)
{
    switch (ev->type) {
    case HF_EV_EXEC:
        return HF_CLASS_EXEC;
    case HF_EV_FORK:
        return HF_CLASS_FORK;
    case HF_EV_EXIT:
        return HF_CLASS_EXIT;
    case HF_EV_CONTAINER:
        return HF_CLASS_CONTAINER;
    case HF_EV_CONTAINER_END:
        return HF_CLASS_CONTAINER_END;
    case HF_EV_FILE:
        return ev->u.file.op >= 1 && ev->u.file.op <= HF_FILE_IOCTL ? (enum hf_class)(HF_CLASS_FILE + ev->u.file.op) : HF_CLASS_NONE;
    case HF_EV_NET:
        return ev->u.net.op >= 1 && ev->u.net.op <= HF_NET_FAILED ? (enum hf_class)(HF_CLASS_NET + ev->u.net.op) : HF_CLASS_NONE;
    case HF_EV_PAYLOAD:
        return HF_CLASS_PAYLOAD;
    case HF_EV_SOCKET:
        return HF_CLASS_SOCKET;
    case HF_EV_PTRACE:
        return HF_CLASS_PTRACE;
    case HF_EV_MEM:
        return ev->u.mem.op == HF_MEM_MPROTECT ? HF_CLASS_MEM : HF_CLASS_MMAP;
    case HF_EV_NS:
        return ev->u.ns.op == HF_NS_SETNS ? HF_CLASS_SETNS : HF_CLASS_UNSHARE;
    case HF_EV_MOUNT:
        return ev->u.mount.op == HF_MOUNT_UMOUNT ? HF_CLASS_UMOUNT : HF_CLASS_MOUNT;
    case HF_EV_MODULE:
        return HF_CLASS_MODULE;
    case HF_EV_BPF:
        return HF_CLASS_BPF;
    case HF_EV_IO_URING:
        return HF_CLASS_IO_URING;
    case HF_EV_SIGNAL:
        return HF_CLASS_SIGNAL;
    case HF_EV_RENAME:
        return HF_CLASS_RENAME;
    case HF_EV_CAP:
        return ev->u.cap.syscall == SYS_userfaultfd ? HF_CLASS_USERFAULTFD : HF_CLASS_CAP;
    case HF_EV_LOSS:
        return HF_CLASS_LOSS;
    case HF_EV_RATE:
        return HF_CLASS_RATE;
    case HF_EV_CRED:
        return HF_CLASS_CRED;
    case HF_EV_STATUS:
        return HF_CLASS_STATUS;
    case HF_EV_VERDICT:
        return HF_CLASS_VERDICT;
    default:
        return HF_CLASS_NONE;
    }
}
