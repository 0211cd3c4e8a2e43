// SPDX-License-Identifier: Apache-2.0
#include "event/names.h"

#include "event/alert.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "base/attr.h"
#include "event/wire.h"

const struct hf_flag_name hf_names_exec[] = {
        {HF_X_UPPER, "upper_layer"}, {HF_X_OVERLAY, "overlay"}, {HF_X_MEMFD, "memfd"}, {HF_X_DELETED, "deleted"}, {HF_X_SETUID, "setuid"},
        {HF_X_SCRIPT, "script"}, {HF_X_TMPFS, "tmpfs"}, {HF_X_WRITABLE, "writable"}, {HF_X_COPIED_UP, "copied_up"}, {HF_X_FD, "by_descriptor"}, {HF_X_KILLED, "killed"}, {HF_X_CWD_OUTSIDE, "cwd_outside"},
        {HF_X_ROOT_OUTSIDE, "root_outside"}, {0, NULL}};

const struct hf_flag_name hf_names_open[] = {{O_WRONLY, "O_WRONLY"}, {O_RDWR, "O_RDWR"}, {O_CREAT, "O_CREAT"}, {O_EXCL, "O_EXCL"}, {O_TRUNC, "O_TRUNC"},
        {O_APPEND, "O_APPEND"}, {O_DIRECTORY, "O_DIRECTORY"}, {O_NOFOLLOW, "O_NOFOLLOW"}, {0, NULL}};

const struct hf_flag_name hf_names_cred[] = {{HF_CRED_ROOT, "root"}, {HF_CRED_CAPS, "capabilities"}, {HF_CRED_UID, "uid"}, {HF_CRED_NS, "namespaces"},
        {HF_CRED_UNEXPLAINED, "unexplained"}, {0, NULL}};

const struct hf_flag_name hf_names_prot[] = {{1, "read"}, {2, "write"}, {4, "exec"}, {0, NULL}};

const struct hf_flag_name hf_names_clone[] = {{0x00000080, "time"}, {0x00020000, "mount"}, {0x02000000, "cgroup"}, {0x04000000, "uts"},
        {0x08000000, "ipc"}, {0x10000000, "user"}, {0x20000000, "pid"}, {0x40000000, "net"}, {0, NULL}};

const struct hf_flag_name hf_names_helper[] = {{HF_BPF_PROBE_WRITE_USER, "probe_write_user"}, {HF_BPF_OVERRIDE_RETURN, "override_return"},
        {HF_BPF_SEND_SIGNAL, "send_signal"}, {HF_BPF_SKB_STORE, "skb_store_bytes"}, {HF_BPF_GET_CURRENT_TASK, "get_current_task"},
        {HF_BPF_PROBE_READ, "probe_read"}, {0, NULL}};

const struct hf_flag_name hf_names_mem[] = {{HF_MEM_ANON, "anonymous"}, {HF_MEM_WX, "write_and_execute"}, {HF_MEM_WRITTEN, "written"}, {HF_MEM_STACK, "stack"},
        {HF_MEM_HEAP, "heap"}, {HF_MEM_BLIND, "before_unknown"}, {0, NULL}};

#define NAME_OF(list, i) ((i) < HF_ARRAY_LEN(list) && (list)[i] ? (list)[i] : "unknown")

const char *hf_name_ptrace(unsigned request)
{
    static const char *const names[] = {NULL, "attach", "traceme", "read", "write", "other"};
    return NAME_OF(names, request);
}

const char *hf_name_mount(unsigned op)
{
    static const char *const names[] = {NULL, "mount", "move", "pivot_root", "unmount", "open_tree", "remount"};
    return NAME_OF(names, op);
}

const char *hf_name_module(unsigned op)
{
    static const char *const names[] = {NULL, "load_from_memory", "load_from_file", "delete", "kexec"};
    return NAME_OF(names, op);
}

const char *hf_name_mem(unsigned op)
{
    static const char *const names[] = {NULL, "mmap", "mprotect", "shmat"};
    return NAME_OF(names, op);
}

const char *hf_name_verdict(unsigned verdict)
{
    static const char *const names[] = {NULL, "sealed", "changed", "foreign", "moved", "volume", "memory", "unsealed", "unreadable"};
    return NAME_OF(names, verdict);
}

const char *hf_name_use(unsigned use)
{
    static const char *const names[] = {NULL, "exec", "mmap", "policy"};
    return NAME_OF(names, use);
}

const char *hf_name_action(unsigned action)
{
    static const char *const names[] = {"none", "would", "denied", "killed"};
    return NAME_OF(names, action);
}

const char *hf_name_rung(unsigned rung)
{
    static const char *const names[] = {"none", "lsm", "fanotify", "signal", "cgroup", "nftables", "mount"};
    return NAME_OF(names, rung);
}

const char *hf_name_source(unsigned source)
{
    static const char *const names[] = {NULL, "lsm", "fentry", "kprobe", "fanotify", "syscall", "cgroup", "tracepoint"};
    return NAME_OF(names, source);
}

/* Those that the kernel half tells of (sensor/bpf/ioctl.h). */
const char *hf_name_request(unsigned request)
{
    static const struct {
        unsigned request;
        const char *name;
    } names[] = {{0x5412, "TIOCSTI"}, {0x541c, "TIOCLINUX"}, {0x541d, "TIOCCONS"}, {0x4b45, "KDSKBMODE"}, {0x4b47, "KDSKBENT"}, {0x4b49, "KDSKBSENT"},
            {0x40044590, "EVIOCGRAB"}, {0x40044591, "EVIOCREVOKE"}, {0x5501, "UI_DEV_CREATE"}, {0xaa00, "USERFAULTFD_IOC_NEW"}, {0x8914, "SIOCSIFFLAGS"},
            {0x4c00, "LOOP_SET_FD"}, {0x4c0a, "LOOP_CONFIGURE"}, {0x2285, "SG_IO"}, {0xc0484e41, "NVME_IOCTL_ADMIN_CMD"}, {0xae01, "KVM_CREATE_VM"}};
    if ((request & 0xc000ffff) == 0x80004518) /* its size is the caller's */
        return "EVIOCGKEY";
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        if (names[i].request == request)
            return names[i].name;
    return NULL;
}

const char *hf_name_node(const struct hf_wire_file *f)
{
    unsigned type = f->mode & 0170000, major = f->request >> 20, minor = f->request & 0xfffff;
    if (f->op == HF_FILE_IOCTL || !f->request)
        return NULL;
    if (type == 0060000) /* memory and loop devices are disks of one's own */
        return major == 1 || major == 7 ? NULL : "disk";
    if (type != 0020000)
        return NULL;
    if (major >= 136 && major <= 143)
        return "terminal";
    if (major == 13 || (major == 10 && minor == 223))
        return "input";
    return major == 1 && (minor == 1 || minor == 2 || minor == 4) ? "memory" : NULL;
}

const char *hf_name_watch(unsigned c)
{
    static const char *const names[] = {NULL, "credential", "persistence", "binary", "log", "escape", "device", "process", "temporary", "web", "runtime_socket", "rule"};
    return NAME_OF(names, c);
}

const char *hf_name_loss(unsigned reason)
{
    static const char *const names[] = {NULL, "ring_full", "over_budget", "reader_slow", "pressure", "fanotify_overflow"};
    return NAME_OF(names, reason);
}

const char *hf_name_signal(unsigned sig)
{
    static const char *const names[] = {NULL, "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1",
            "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU",
            "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS"};
    return sig < HF_ARRAY_LEN(names) && names[sig] ? names[sig] : "signal";
}

/* Of the processor that this was compiled for, as the sensor's events have them. */
#define CALL(name) {SYS_##name, #name}

const char *hf_name_privileged_call(unsigned nr)
{
    static const struct {
        unsigned nr;
        const char *name;
    } calls[] = {CALL(open_by_handle_at), CALL(perf_event_open), CALL(chroot), CALL(syslog), CALL(swapon), CALL(reboot), CALL(mknodat), CALL(adjtimex), CALL(settimeofday),
            CALL(clock_settime), CALL(sethostname), CALL(acct), CALL(userfaultfd), CALL(fsopen), CALL(fsconfig), CALL(fsmount), CALL(mount_setattr), CALL(unshare), CALL(setns),
            CALL(mount), CALL(ptrace), CALL(bpf), CALL(socket),
#ifdef SYS_iopl /* the newer processors' interfaces have none of these */
            CALL(iopl), CALL(ioperm), CALL(mknod),
#endif
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(calls); i++)
        if (calls[i].nr == nr)
            return calls[i].name;
    return NULL;
}

static const char *const responses[HF_RESPONSES] = {[HF_RESPONSE_FREEZE] = "freeze", [HF_RESPONSE_KILL] = "kill", [HF_RESPONSE_ISOLATE] = "isolate", [HF_RESPONSE_LIMIT] = "limit",
        [HF_RESPONSE_SNAPSHOT] = "snapshot"};

const char *hf_response_name(unsigned r)
{
    return r < HF_RESPONSES ? responses[r] : "none";
}

bool hf_response_parse(struct hf_span name, uint8_t *ret)
{
    for (unsigned i = 0; i < HF_RESPONSES; i++)
        if (hf_span_eqz(name, responses[i])) {
            *ret = (uint8_t)i;
            return true;
        }
    return false;
}
