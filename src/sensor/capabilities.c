// SPDX-License-Identifier: Apache-2.0
/* The capabilities of the sensor, each with its hooks, the best first.  A new hook: its program in bpf/, a rung here. */
#include "sensor/capabilities.h"

#include <string.h>

#include "base/attr.h"
#include "event/demand.h"
#include "event/wire.h"
#include "sensor/calls.h"

#define TP(program, target, gap) {HF_HOOK_TP, program, target, gap, 0}
/* LSM, fentry and kprobe variants of one security hook (bpf/priv.bpf.c, HF_HOOK3) */
#define SECURITY(hook)                                                     \
    {HF_HOOK_LSM, "hf_lsm_" hook, hook, NULL, 0},                           \
            {HF_HOOK_FENTRY, "hf_fentry_" hook, "security_" hook, NULL, 0}, \
            {HF_HOOK_KPROBE, "hf_kprobe_" hook, "security_" hook, NULL, 0}
#define GROUP(program, target, gap) {HF_HOOK_CGROUP, program, target, gap, 0}
#define CALL(name) (1u << HF_CALL_##name)
#define OR_CAPABILITY_CHECK(calls, gap) {HF_HOOK_TP, "hf_cap_capable", "cap_capable", gap, calls}
/* The security hook first: it says which checks come from mappings of memory */
#define CAPABILITY_CHECK(calls, gap)                                      \
    {HF_HOOK_LSM, "hf_lsm_capable", "capable", gap, calls},               \
            {HF_HOOK_FENTRY, "hf_fentry_capable", "security_capable", gap, calls}, \
            {HF_HOOK_KPROBE, "hf_kprobe_capable", "security_capable", gap, calls}, OR_CAPABILITY_CHECK(calls, gap)

#define FANOTIFY(gap) {HF_HOOK_USER, NULL, HF_FANOTIFY, gap, 0}

const struct hf_capability hf_capabilities[] = {
        {"exec", "programs that start", true, "programs that start", {TP("hf_exec", "sched_process_exec", NULL)}},
        {"fork", "new processes", true, "new processes", {TP("hf_fork", "sched_process_fork", NULL)}},
        {"exit", "processes that end", true, "processes that end", {TP("hf_exit", "sched_process_exit", NULL)}},
        {"rename", "processes that rename themselves", false, "processes that rename themselves", {TP("hf_rename", "task_rename", NULL)}},
        {"container-start", "containers from their creation", true, "containers", {TP("hf_cgroup_mkdir", "cgroup_mkdir", NULL)}},
        {"container-end", "containers that end", true, "containers that end", {TP("hf_cgroup_rmdir", "cgroup_rmdir", NULL)}},
        {"container-join", "processes that are put into a container", false, "processes moved into a container before they act",
                {TP("hf_cgroup_attach", "cgroup_attach_task", NULL)}},
        {"ptrace", "one process tracing or reading another", false, "tracing of other processes",
                {SECURITY("ptrace_access_check"), OR_CAPABILITY_CHECK(CALL(PTRACE) | CALL(VM_READ) | CALL(VM_WRITE), "PTRACE_SEIZE and reads of memory between processes of the same user and "
                                                                      "the same capabilities ask for no capability; PTRACE_ATTACH is seen by its stop signal")}},
        {"traceme", "a process asking to be traced", false, "PTRACE_TRACEME, until the traced process acts (its events say it is traced)",
                {SECURITY("ptrace_traceme")}},
        {"mount", "mounts", false, "mounts",
                {SECURITY("sb_mount"), OR_CAPABILITY_CHECK(CALL(MOUNT) | CALL(UMOUNT), "names are read from the caller's memory and may have been changed meanwhile")}},
        {"move-mount", "mounts by the new interface", false, "move_mount", {SECURITY("move_mount"), OR_CAPABILITY_CHECK(CALL(MOVE_MOUNT) | CALL(OPEN_TREE), "target of the move")}},
        {"pivot-root", "changes of the root", false, "pivot_root", {SECURITY("sb_pivotroot"), OR_CAPABILITY_CHECK(CALL(PIVOT), NULL)}},
        {"module", "kernel modules and kernels loaded from files", false, "kernel modules loaded from files",
                {SECURITY("kernel_read_file"), OR_CAPABILITY_CHECK(CALL(FINIT_MODULE) | CALL(KEXEC), NULL)}},
        {"module-memory", "kernel modules loaded from memory", false, "kernel modules loaded from memory",
                {SECURITY("kernel_load_data"), OR_CAPABILITY_CHECK(CALL(INIT_MODULE), NULL)}},
        {"bpf", "BPF programs loaded, with the helpers they call", false, "BPF programs",
                {SECURITY("bpf"), OR_CAPABILITY_CHECK(CALL(BPF), "programs loaded without privilege")}},
        {"raw-socket", "raw and packet sockets", false, "raw and packet sockets",
                {SECURITY("socket_create"), OR_CAPABILITY_CHECK(CALL(SOCKET), "kernel-crypto and vsock sockets, which need no capability"),
                        GROUP("hf_raw_create", "sock_create", "packet, kernel-crypto and vsock sockets")}},
        {"namespaces", "namespaces left and entered", false,
                "unshare and setns as such; the new namespace is seen with the next event of the process",
                {CAPABILITY_CHECK(CALL(UNSHARE) | CALL(SETNS), "user namespaces made without privilege, until the next event of the process")}},
        {"privileged-calls", "other calls that need privilege (open_by_handle_at, perf_event_open, mknod, chroot, iopl, fsmount...)", false,
                "open_by_handle_at, perf_event_open, mknod, chroot, iopl, clock changes", {CAPABILITY_CHECK(CALL(OTHER) | CALL(DELETE_MODULE), NULL)}},
        {"terminal-input", "input put into terminals (TIOCSTI), as far as it asks for privilege", false, "input put into terminals",
                {CAPABILITY_CHECK(CALL(IOCTL), "the process's own terminal, where dev.tty.legacy_tiocsti is 1 (see \"device-requests\")")}},
        {"signal", "signals at the sensor, crashes, signals that rootkits use", false, "signals", {TP("hf_signal", "signal_generate", NULL)}},
        {"io-uring", "io_uring rings", false, "io_uring rings", {TP("hf_io_uring_create", "io_uring_create", NULL)}},
        {"io-uring-ops", "what io_uring is used for", false, "which operations io_uring is used for",
                {TP("hf_io_uring_submit", "io_uring_submit_req", NULL)}},
        /* files: files/ (watch.c says which) */
        {"file-open", "sensitive files read, watched files written", false, "files that are opened",
                {SECURITY("file_open"),
                        FANOTIFY("whether a file was opened for reading or writing when it was closed at once; for some ms, what is read of a file that replaces a watched one; folders nobody watches; on overlay file systems before Linux 6.6 nothing")}},
        {"device-open", "devices and terminals of others opened", false, "devices that are opened, and terminals of other sessions",
                {SECURITY("file_open"), GROUP("hf_device", "device", NULL),
                        FANOTIFY("terminals of other sessions; devices of names that are not watched; who opened it is gone when it was closed at once")}},
        {"file-create", "watched files made", false, "files that are made", {SECURITY("path_mknod"), FANOTIFY(NULL)}},
        {"file-unlink", "watched files removed", false, "files that are removed", {SECURITY("path_unlink"), FANOTIFY(NULL)}},
        {"file-rename", "watched files renamed", false, "files that are renamed", {SECURITY("path_rename"), FANOTIFY(NULL)}},
        {"file-link", "hard links to watched files", false, "hard links", {SECURITY("path_link"), FANOTIFY("outside watched folders: the new name")}},
        {"file-symlink", "symbolic links in watched folders", false, "symbolic links", {SECURITY("path_symlink"), FANOTIFY(NULL)}},
        {"file-mkdir", "folders made among watched files", false, "folders that are made", {SECURITY("path_mkdir"), FANOTIFY(NULL)}},
        {"file-rmdir", "watched folders removed", false, "folders that are removed", {SECURITY("path_rmdir"), FANOTIFY(NULL)}},
        {"file-mode", "mode of watched files", false, "changes of mode", {SECURITY("path_chmod"), FANOTIFY("the old mode, for files watched through their folder")}},
        {"file-owner", "owner of watched files", false, "changes of owner", {SECURITY("path_chown"), FANOTIFY(NULL)}},
        /* the network: bpf/net*.bpf.c, cgroup programs at the root of the unified hierarchy; those of packets where containers are (packets.c) */
        {"tcp", "TCP connections and listeners", false, "TCP connections and listeners",
                {TP("hf_set_state", "inet_sock_set_state", NULL),
                        GROUP("hf_sockops", "sock_ops", NULL)}},
        {"connect-ipv4", "attempts to connect, IPv4", false,
                "connections that find no route, UDP peers of connected sockets, cloud metadata before it answers (IPv4)", {GROUP("hf_connect4", "connect4", NULL)}},
        {"connect-ipv6", "attempts to connect, IPv6", false,
                "connections that find no route, UDP peers of connected sockets, cloud metadata before it answers (IPv6)", {GROUP("hf_connect6", "connect6", NULL)}},
        {"send-ipv4", "peers of datagrams, IPv4", false, "peers of unconnected UDP sockets (IPv4)", {GROUP("hf_sendmsg4", "sendmsg4", NULL)}},
        {"send-ipv6", "peers of datagrams, IPv6", false, "peers of unconnected UDP sockets (IPv6)", {GROUP("hf_sendmsg6", "sendmsg6", NULL)}},
        {"bind-ipv4", "ports that are bound, IPv4", false, "UDP ports that are bound (IPv4)", {GROUP("hf_post_bind4", "post_bind4", NULL)}},
        {"bind-ipv6", "ports that are bound, IPv6", false, "UDP ports that are bound (IPv6)", {GROUP("hf_post_bind6", "post_bind6", NULL)}},
        {"raw-owner", "owners of raw and ping sockets", false, "raw and ICMP packets in the rates of a container", {GROUP("hf_sock_create", "sock_create", NULL)}},
        {"connect-unrouted", "connections that never left", false, "connections that find no route", {GROUP("hf_sock_release", "sock_release", NULL)}},
        {"packets-out", "DNS questions, first bytes sent, datagram rates out", false, "DNS questions, TLS server names, requests; rates of datagrams sent",
                {GROUP("hf_egress", "egress", "packets of packet sockets (AF_PACKET), which pass no control group")}},
        {"packets-in", "DNS answers, first bytes received, datagram rates in", false, "DNS answers; rates of datagrams received, half-open connections",
                {GROUP("hf_ingress", "ingress", NULL)}},
        {"unix-connect", "connections to Unix sockets with a name", false, "connections to docker.sock, containerd.sock, X11, agents",
                {SECURITY("unix_stream_connect"),
                        GROUP("hf_connect_unix", "connect_unix", "the name is the one given: links to the socket are not followed")}},
        {"tcp-volume", "what connections carry", false, "bytes and packets of TCP connections in the rates of a container", {{HF_HOOK_ITER, "hf_tcp_volume", "bpf_map_elem", NULL, 0}}},
        {"sockets-before", "owners of sockets that were there before", false, "who accepts on listeners that were there before the sensor",
                {{HF_HOOK_ITER, "hf_seed_sockets", "task_file", NULL, 0}}},
};
const unsigned hf_capabilities_n = HF_ARRAY_LEN(hf_capabilities);

/* Each in an object of its own (on-demand.c), loaded when it is asked for.  Tracepoints of system calls come last: while one is attached,
 * every system call of the host takes the slow way into the kernel. */
#define SYSCALL(program, targets, gap) {HF_HOOK_SYSCALL, program, targets, gap, 0}
#define NO_COMPAT "32-bit programs, whose calls have no tracepoints"

const struct hf_capability hf_capabilities_on_demand[] = {
        {"memory", "memory made executable by mprotect", false, "memory made executable", {SECURITY("file_mprotect"),
                TP("hf_mmap_lock", "mmap_lock_start_locking", NULL), SYSCALL("hf_sys_memory", "sys_enter_mmap,sys_enter_mprotect,sys_enter_pkey_mprotect,sys_enter_shmat", NO_COMPAT)},
                HF_DEMAND_MEMORY},
        {"memory-map", "executable mappings of files and of nothing", false, "executable mappings", {SECURITY("mmap_file"),
                TP("hf_mmap_lock", "mmap_lock_start_locking", "a loader of the image's own kind that was replaced (PT_INTERP); another thread may change the descriptor meanwhile"),
                SYSCALL("hf_sys_memory", "sys_enter_mmap,sys_enter_mprotect,sys_enter_pkey_mprotect,sys_enter_shmat", NO_COMPAT "; another thread may change the descriptor meanwhile")},
                HF_DEMAND_MEMORY},
        {"device-requests", "requests to devices: keys grabbed and read, input put into terminals, raw disk commands", false, "requests to devices",
                {SECURITY("file_ioctl"), SYSCALL("hf_sys_ioctl", "sys_enter_ioctl", NO_COMPAT "; another thread may change the descriptor meanwhile")}, HF_DEMAND_IOCTL},
        {"device-requests-32", "the same of 32-bit programs, where the kernel tells them apart (6.8)", false, "requests to devices by 32-bit programs", {SECURITY("file_ioctl_compat")}, HF_DEMAND_IOCTL},
        {"trace-unprivileged", "tracing that asks for no privilege: PTRACE_TRACEME, processes of one user", false,
                "PTRACE_TRACEME and tracing among processes of one user, where no better hook serves \"traceme\" and \"ptrace\"",
                {SYSCALL("hf_sys_trace", "sys_enter_ptrace,sys_enter_process_vm_readv,sys_enter_process_vm_writev", NO_COMPAT)}, HF_DEMAND_TRACE},
        {"userfaultfd", "page faults handled by a process without privilege", false, "userfaultfd",
                {SYSCALL("hf_sys_userfaultfd", "sys_enter_userfaultfd", NO_COMPAT)}, HF_DEMAND_USERFAULTFD},
};
const unsigned hf_capabilities_on_demand_n = HF_ARRAY_LEN(hf_capabilities_on_demand);

#define T(type) (1ull << HF_EV_##type)
uint64_t hf_program_types(const char *program)
{
    /* by the part of the name behind hf_, hf_lsm_, hf_fentry_, hf_kprobe_: the first that it begins with */
    static const struct {
        const char *name;
        uint64_t types;
    } rows[] = {{"exec", T(EXEC)}, {"fork", T(FORK)}, {"exit", T(EXIT)}, {"rename", T(RENAME)}, {"cgroup_", T(CGROUP)}, {"device", T(FILE)}, {"egress", T(PAYLOAD) | HF_SET_RATE},
            {"ingress", T(PAYLOAD) | HF_SET_RATE}, {"connect_unix", T(FILE)}, {"unix_stream_connect", T(FILE)}, {"file_mprotect", T(MEM)}, {"file_", T(FILE)}, {"path_", T(FILE)}, {"set_state", T(NET)},
            {"sockops", T(NET)}, {"connect", T(NET)}, {"sendmsg", T(NET)}, {"post_bind", T(NET)}, {"sock_release", T(NET)}, {"raw_create", T(SOCKET)}, {"socket_create", T(SOCKET)},
            {"sock_create", T(NET) | HF_SET_RATE}, {"ptrace", T(PTRACE)}, {"sb_mount", T(MOUNT)}, {"move_mount", T(MOUNT)}, {"sb_pivotroot", T(MOUNT)},
            {"kernel_read_file", T(MODULE)}, {"kernel_load_data", T(MODULE)}, {"bpf", T(BPF)},
            {"cap_capable", T(CAP) | T(NS) | T(MOUNT) | T(MODULE) | T(BPF) | T(SOCKET) | T(PTRACE)}, {"signal", T(SIGNAL) | T(PTRACE)}, {"io_uring_", T(IO_URING)},
            {"mem", T(MEM)}, {"mmap", T(MEM)}, {"sys_memory", T(MEM)}, {"sys_ioctl", T(FILE)}, {"sys_trace", T(PTRACE)}, {"sys_userfaultfd", T(CAP)}};
    static const char *const kinds[] = {"hf_lsm_", "hf_fentry_", "hf_kprobe_", "hf_"};
    for (size_t i = 0; i < HF_ARRAY_LEN(kinds); i++)
        if (!strncmp(program, kinds[i], strlen(kinds[i]))) {
            program += strlen(kinds[i]);
            break;
        }
    for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
        if (!strncmp(program, rows[i].name, strlen(rows[i].name)))
            return rows[i].types;
    return 0;
}
