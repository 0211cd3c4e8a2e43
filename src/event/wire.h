/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* wire.h - the records of the sensor: what the kernel half writes into its rings, what the privileged process hands to the
 * unprivileged one, and what a recording keeps.  The only layout that kernel and user space share.
 *
 * A record is a header, the fixed part of its type, then `data`: the texts whose lengths the fixed part gives, in the order of
 * those members, without NUL between them unless a member says so; then zero bytes up to a multiple of 8.  Little-endian, no
 * pointers, no enums, explicit padding, every member aligned to its size.  Times are ns of CLOCK_BOOTTIME unless a name says
 * otherwise.  Addresses are 16 bytes: IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), ports in host order.
 *
 * Whatever reads records treats them as hostile (event.h decodes): lengths and types are checked there, nowhere else. */
#pragma once
#include <linux/types.h>

#define HF_WIRE_VERSION 1u
#define HF_WIRE_MAX 65536u /* bytes of a record */

/* Types.  1-63 come from the kernel, 64 and above from the privileged process. */
#define HF_EV_EXEC 1       /* hf_wire_exec */
#define HF_EV_FORK 2       /* hf_wire_fork; the header is the creator's */
#define HF_EV_EXIT 3       /* hf_wire_exit; the whole process, not a thread */
#define HF_EV_CGROUP 4     /* hf_wire_cgroup */
#define HF_EV_FILE 5       /* hf_wire_file */
#define HF_EV_NET 6        /* hf_wire_net */
#define HF_EV_PAYLOAD 7    /* hf_wire_payload: first bytes of a stream, or a DNS message */
#define HF_EV_SOCKET 8     /* hf_wire_socket */
#define HF_EV_PTRACE 9     /* hf_wire_ptrace */
#define HF_EV_MEM 10       /* hf_wire_mem */
#define HF_EV_NS 11        /* hf_wire_ns */
#define HF_EV_MOUNT 12     /* hf_wire_mount */
#define HF_EV_MODULE 13    /* hf_wire_module */
#define HF_EV_BPF 14       /* hf_wire_bpf */
#define HF_EV_IO_URING 15  /* hf_wire_io_uring */
#define HF_EV_SIGNAL 16    /* hf_wire_signal */
#define HF_EV_RENAME 17    /* hf_wire_rename: a task gave itself another name */
#define HF_EV_CAP 18       /* hf_wire_cap */
#define HF_EV_CONTAINER 64 /* hf_wire_pairs: a container's facts; again when more is known */
#define HF_EV_CONTAINER_END 65 /* header only: cgroup_id is gone */
#define HF_EV_PROC 66      /* hf_wire_exec: a process that was there before the sensor, or that it had missed */
#define HF_EV_LOSS 67      /* hf_wire_loss */
#define HF_EV_STATUS 68    /* hf_wire_pairs: the sensor about itself */
#define HF_EV_RATE 69      /* hf_wire_rate: packet counters of a container over an interval (the kernel half sends the header alone, when
                            * packets come fast; it goes no further) */
#define HF_EV_CRED 70      /* hf_wire_cred: derived: the header's credentials or namespaces are not those the process had */

#define HF_EV_VERDICT 71   /* hf_wire_verdict: what a program or library that ran is, held against the seal of its image */

/* In sets of types (1 << HF_EV_*, of those that come from the kernel) the last bit stands for RATE. */
#define HF_SET_RATE (1ull << 63)

/* hf_wire_hdr.flags */
#define HF_F_CRITICAL 0x1u   /* came through the critical ring */
#define HF_F_TRACED 0x2u     /* the process is being traced (task->ptrace) */
#define HF_F_COMPAT32 0x4u   /* the task runs the 32-bit system call interface */
#define HF_F_UNTRUSTED 0x8u  /* some text was read from memory that the process can change meanwhile */
#define HF_F_TRUNCATED 0x10u /* some text was longer than was taken */
#define HF_F_OWNER 0x20u     /* not the running task: the process that owns the socket, as it was when it made or used it */
#define HF_F_KTHREAD 0x40u
#define HF_F_NO_PROC 0x80u   /* process members are unknown (0) */
#define HF_F_CHECK 0x200u    /* EXEC, set by the sensor: a child of the guard started it in the container, as a policy's check of it */
#define HF_F_PID_ONLY 0x100u /* of the process only the pid is known (fanotify), and perhaps its start; cgroup_id is that of the file's container */
#define HF_F_EARLY 0x200u    /* of a RATE: its interval is not over, so much has passed within the last second already; all of it is in those without, too */

struct hf_wire_hdr {
    __u32 len; /* whole record, multiple of 8 */
    __u16 type;
    __u8 version; /* HF_WIRE_VERSION */
    __u8 pad;
    __u32 cpu;
    __u32 flags; /* HF_F_* */
    __u64 time_ns;
    __u64 cgroup_id; /* of the container hierarchy; 0: unknown */
    __u64 start_ns;  /* when the process (its leader) started; with pid the key of a process */
    __u64 cap_eff;
    __u32 pid, tid, ppid, ns_pid; /* pid, tid: as the host sees them; ns_pid: pid in the process's own namespace */
    __u32 uid, euid, gid, egid;   /* as the initial user namespace sees them */
    __u32 login_uid, session_id;  /* audit; 4294967295: none */
    __u32 mnt_ns, pid_ns, net_ns, user_ns; /* inode numbers of /proc/PID/ns/x */
    char comm[16];
};

/* hf_wire_exec.exec_flags */
#define HF_X_UPPER 0x1u     /* the file lies in the writable layer of an overlay */
#define HF_X_OVERLAY 0x2u   /* the file lies on an overlay */
#define HF_X_MEMFD 0x4u     /* anonymous memory */
#define HF_X_DELETED 0x8u   /* no name leads to it */
#define HF_X_SETUID 0x10u   /* credentials grew by set-uid, set-gid or file capabilities */
#define HF_X_SCRIPT 0x20u   /* a "#!" script or binfmt_misc: `filename` is what was called, `path` the interpreter */
#define HF_X_TMPFS 0x40u    /* the file lies on a tmpfs */
#define HF_X_WRITABLE 0x80u /* the file may be written by the user who runs it */
#define HF_X_COPIED_UP 0x100u /* upper layer, but the image has it too (copy-up) */
#define HF_X_FD 0x200u      /* fexecve: called through a descriptor */
#define HF_X_KILLED 0x400u  /* of an exec: a SIGKILL was pending when it was through, so that not an instruction of the program ran */
#define HF_X_HOLDS 0x800u   /* it has capabilities that are not in effect, and may put them into effect by a call; for the tracker, not shown */
#define HF_X_CWD_OUTSIDE 0x1000u  /* its working directory is a folder of another mount namespace than its own: through a descriptor of such a folder, or an exploit */
#define HF_X_ROOT_OUTSIDE 0x2000u /* so is its root */

/* hf_wire_stdio.kind */
#define HF_STDIO_NONE 0
#define HF_STDIO_FILE 1
#define HF_STDIO_PIPE 2
#define HF_STDIO_SOCKET 3
#define HF_STDIO_TTY 4 /* terminal or pseudo-terminal */
#define HF_STDIO_NULL 5
#define HF_STDIO_OTHER 6
struct hf_wire_stdio {
    __u8 kind, family, pad[2]; /* family: AF_* of a socket */
    __u16 local_port, peer_port;
    __u8 peer[16];
};

struct hf_wire_exec {
    struct hf_wire_hdr h;
    __u64 inode, ctime_ns /* since the epoch */, parent_start_ns;
    __u32 dev; /* kernel's encoding: major << 20 | minor */
    __u32 mode;
    __u32 exec_flags; /* HF_X_* */
    __u32 tty;        /* device of the controlling terminal, same encoding; 0: none */
    __u32 argc, envc; /* as counted by the kernel; 0 when unknown */
    __u32 sid, pgid;  /* session and process group, host's view */
    __u32 exe_uid, nlink;
    struct hf_wire_stdio stdio[3];
    __u16 path_len;     /* of the executed file, from the root of the container */
    __u16 filename_len; /* as called */
    __u16 interp_len;   /* bprm->interp: the script's interpreter as written */
    __u16 cwd_len;
    __u32 args_len; /* NUL between arguments */
    __u32 env_len;  /* NAME=value, NUL between; from the kernel all up to a bound, from the sensor only names that matter */
    char data[];
};

struct hf_wire_fork {
    struct hf_wire_hdr h;
    __u64 child_start_ns, child_cgroup_id;
    __u32 child_pid, child_ns_pid, child_ppid, child_pid_ns;
};

struct hf_wire_exit {
    struct hf_wire_hdr h;
    __u32 status; /* as wait(2) gives it: code << 8 | signal | 0x80 for a core file */
    __u32 pad;
};

#define HF_CGROUP_MKDIR 1
#define HF_CGROUP_RMDIR 2
#define HF_CGROUP_ATTACH 3 /* task_pid moved into id */
struct hf_wire_cgroup {
    struct hf_wire_hdr h;
    __u64 id, parent_id, task_start_ns;
    __u32 op, level, task_pid, hierarchy;
    __u16 path_len;
    __u16 pad[3];
    char data[];
};

/* hf_wire_file.op */
#define HF_FILE_OPEN 1   /* for reading */
#define HF_FILE_WRITE 2  /* opened for writing, or written and closed (source fanotify) */
#define HF_FILE_CREATE 3
#define HF_FILE_UNLINK 4
#define HF_FILE_RENAME 5 /* path to path2 */
#define HF_FILE_LINK 6   /* path2 is the new name of path */
#define HF_FILE_SYMLINK 7 /* path is the link, path2 what it points to */
#define HF_FILE_CHMOD 8
#define HF_FILE_CHOWN 9
#define HF_FILE_MKDIR 10
#define HF_FILE_RMDIR 11
#define HF_FILE_XATTR 12
#define HF_FILE_ATTRIB 13 /* mode, owner, times or attributes: which is not known */
#define HF_FILE_MMAP_EXEC 14 /* mapped for execution */
#define HF_FILE_CONNECT 15   /* connected to a Unix socket with this name */
#define HF_FILE_MKNOD 16
#define HF_FILE_IOCTL 17
/* hf_wire_file.source */
#define HF_SOURCE_LSM 1
#define HF_SOURCE_FENTRY 2
#define HF_SOURCE_KPROBE 3
#define HF_SOURCE_FANOTIFY 4
#define HF_SOURCE_SYSCALL 5
#define HF_SOURCE_CGROUP 6
#define HF_SOURCE_TRACEPOINT 7 /* of what the kernel does on the way, not of the call */
/* hf_wire_file.watch: what kind of watched object it is (sensor/files/watch.c names them) */
#define HF_WATCH_CREDENTIAL 1  /* keys, passwords, tokens */
#define HF_WATCH_PERSISTENCE 2 /* what is run or believed at start, login or look-up */
#define HF_WATCH_BINARY 3      /* programs and libraries of the system */
#define HF_WATCH_LOG 4         /* logs and histories */
#define HF_WATCH_ESCAPE 5      /* ways out of a container: core_pattern, release_agent, kcore... */
#define HF_WATCH_DEVICE 6      /* input devices, disks, memory, other terminals */
#define HF_WATCH_PROCESS 7     /* memory, environment, maps of another process */
#define HF_WATCH_TEMP 8        /* an executable in a directory for everyone */
#define HF_WATCH_WEB 9         /* what a web server serves */
#define HF_WATCH_SOCKET 10     /* sockets of container runtimes */
#define HF_WATCH_RULE 11       /* only because a rule asks for it */
struct hf_wire_file {
    struct hf_wire_hdr h;
    __u64 inode;
    __u32 dev, mode;
    __u32 op, open_flags; /* open_flags: O_* as the kernel holds them; source fanotify: 0 when the descriptor was closed before it was looked at */
    __u32 new_mode, new_uid; /* chmod, chown; 4294967295: not given */
    __u32 new_gid, nlink;
    __u32 watch;  /* class of the watched object: HF_WATCH_*; 0: none */
    __u32 source; /* HF_SOURCE_* */
    __u32 exec_flags; /* HF_X_UPPER ... of the object */
    __u32 fs_magic; /* s_magic */
    __u16 path_len;  /* from the root of the container; as the process named it when UNTRUSTED */
    __u16 path2_len;
    __u32 request;   /* IOCTL: the number of the request; else of a device node its own, encoded as dev */
    char data[];
};

/* hf_wire_net.op */
#define HF_NET_CONNECT 1 /* attempt, before the first packet */
#define HF_NET_ESTABLISHED 2 /* of an outgoing connection */
#define HF_NET_ACCEPT 3  /* incoming connection established */
#define HF_NET_LISTEN 4
#define HF_NET_BIND 5
#define HF_NET_SEND 6    /* first datagram to a peer */
#define HF_NET_CLOSE 7
#define HF_NET_FAILED 8  /* a connection that was tried ended before it was established */
struct hf_wire_net {
    struct hf_wire_hdr h;
    __u64 cookie; /* of the socket; 0: none */
    __u64 bytes_out, bytes_in, duration_ns; /* CLOSE */
    __u8 local[16], peer[16];
    __u32 op;
    __u16 family, protocol; /* AF_INET, AF_INET6; IPPROTO_* */
    __u16 local_port, peer_port;
    __u32 backlog; /* LISTEN; ESTABLISHED, ACCEPT, CONNECT: as many like it were left out before it (a storm is told in samples) */
};

#define HF_PAYLOAD_OUT 1
#define HF_PAYLOAD_IN 2
#define HF_PAYLOAD_ACCEPTED 0x1u /* hf_wire_payload.payload_flags: the peer opened the connection */
struct hf_wire_payload {
    struct hf_wire_hdr h;
    __u64 cookie;
    __u8 local[16], peer[16];
    __u32 direction;
    __u16 family, protocol;
    __u16 local_port, peer_port;
    __u16 data_len; /* what was taken */
    __u16 payload_flags;
    char data[];
};

struct hf_wire_socket {
    struct hf_wire_hdr h;
    __u32 family, type, protocol, pad;
};

/* hf_wire_ptrace.request */
#define HF_PTRACE_ATTACH 1 /* attach or seize */
#define HF_PTRACE_TRACEME 2
#define HF_PTRACE_READ 3   /* memory or registers of another process: process_vm_readv, /proc/PID/mem, environ... */
#define HF_PTRACE_WRITE 4
#define HF_PTRACE_OTHER 5
struct hf_wire_ptrace {
    struct hf_wire_hdr h;
    __u64 target_start_ns, target_cgroup_id;
    __u32 target_pid, request;
    __u32 mode; /* PTRACE_MODE_* where an LSM hook served it */
    __u32 source;
    char target_comm[16];
};

#define HF_MEM_MMAP 1
#define HF_MEM_MPROTECT 2
#define HF_MEM_SHMAT 3 /* System V shared memory */
/* hf_wire_mem.mem_flags */
#define HF_MEM_ANON 0x1u    /* no file behind it */
#define HF_MEM_WX 0x2u      /* can be written and executed at once */
#define HF_MEM_WRITTEN 0x4u /* was writable, or was written to, before it became executable */
#define HF_MEM_STACK 0x8u
#define HF_MEM_HEAP 0x10u
#define HF_MEM_BLIND 0x20u  /* what was there before is not known */
struct hf_wire_mem {
    struct hf_wire_hdr h;
    __u64 addr, length, inode;
    __u32 prot, prot_before; /* PROT_*; before: of an mprotect */
    __u32 op, mem_flags;
    __u32 dev, source;    /* HF_SOURCE_* */
    __u32 exec_flags;     /* HF_X_* of the file */
    __u16 path_len;       /* file behind it; 0: anonymous */
    __u16 pad;
    char data[];
};

#define HF_NS_UNSHARE 1
#define HF_NS_SETNS 2
#define HF_NS_CHANGED 3 /* seen by comparing, call unknown */
struct hf_wire_ns {
    struct hf_wire_hdr h;
    __u32 op, flags; /* CLONE_NEW* bits */
    __u32 target_pid, source;
};

#define HF_MOUNT_MOUNT 1
#define HF_MOUNT_MOVE 2
#define HF_MOUNT_PIVOT 3
#define HF_MOUNT_UMOUNT 4
#define HF_MOUNT_OPEN_TREE 5
#define HF_MOUNT_REMOUNT 6
struct hf_wire_mount {
    struct hf_wire_hdr h;
    __u64 mount_flags; /* MS_* */
    __u32 op, source;
    __u16 dev_len, target_len, type_len, pad;
    char data[];
};

#define HF_MODULE_INIT 1 /* from memory */
#define HF_MODULE_FINIT 2 /* from a file */
#define HF_MODULE_DELETE 3
#define HF_MODULE_KEXEC 4
struct hf_wire_module {
    struct hf_wire_hdr h;
    __u32 op, source;
    __u16 name_len, path_len;
    __u32 pad;
    char data[];
};

/* hf_wire_bpf.helpers: what a loaded program calls */
#define HF_BPF_PROBE_WRITE_USER 0x1u
#define HF_BPF_OVERRIDE_RETURN 0x2u
#define HF_BPF_SEND_SIGNAL 0x4u
#define HF_BPF_SKB_STORE 0x8u
#define HF_BPF_GET_CURRENT_TASK 0x10u
#define HF_BPF_PROBE_READ 0x20u
struct hf_wire_bpf {
    struct hf_wire_hdr h;
    __u32 cmd, prog_type, attach_type, helpers;
    __u32 insns, source;
    char name[16];
};

struct hf_wire_io_uring {
    struct hf_wire_hdr h;
    __u32 op; /* 0: ring created; 1: a request with this opcode for the first time */
    __u32 entries, setup_flags, opcode;
};

struct hf_wire_signal {
    struct hf_wire_hdr h; /* the sender's */
    __u64 target_start_ns, target_cgroup_id;
    __u32 target_pid, sig;
    __s32 code; /* si_code */
    __u32 pad;
    char target_comm[16];
};

struct hf_wire_rename {
    struct hf_wire_hdr h;
    char name[16];
};

struct hf_wire_cap {
    struct hf_wire_hdr h;
    __u32 cap, syscall; /* syscall: number of the call that asked, of the task's own interface */
    __s32 result; /* 0 granted */
    __u32 pad;
    __u64 args[3]; /* first arguments of that call as the registers hold them */
};

/* Names and values, each followed by NUL: "id\0abc\0name\0web\0".  Names: docs/formats/events.md. */
struct hf_wire_pairs {
    struct hf_wire_hdr h;
    __u32 pairs_len, pad;
    char data[];
};

#define HF_LOSS_RING 1     /* the ring was full */
#define HF_LOSS_BUDGET 2   /* the container was over its budget */
#define HF_LOSS_QUEUE 3    /* the unprivileged side was too slow */
#define HF_LOSS_PRESSURE 4 /* sampled away because the ring was filling */
#define HF_LOSS_FANOTIFY 5 /* the kernel's queue overflowed */
struct hf_wire_loss {
    struct hf_wire_hdr h; /* cgroup_id: whose; 0: several */
    __u64 count;
    __u32 lost_type; /* HF_EV_*; 0: several */
    __u32 reason;    /* HF_LOSS_* */
};

struct hf_wire_rate {
    struct hf_wire_hdr h; /* cgroup_id, net_ns: whose */
    __u64 interval_ns;
    __u64 tcp_syn_out, tcp_syn_in, tcp_accepted, udp_out, udp_in, icmp_out, packets_out, packets_in, bytes_out, bytes_in;
};

#define HF_CRED_ROOT 0x1u     /* euid became 0 */
#define HF_CRED_CAPS 0x2u     /* effective capabilities grew */
#define HF_CRED_UID 0x4u      /* another uid */
#define HF_CRED_NS 0x8u       /* a namespace changed */
#define HF_CRED_UNEXPLAINED 0x10u /* no system call the process may make explains it: an exploit */
struct hf_wire_cred {
    struct hf_wire_hdr h; /* as it is now */
    __u64 old_cap_eff;
    __u32 old_uid, old_euid;
    __u32 old_mnt_ns, old_pid_ns, old_net_ns, old_user_ns;
    __u32 what, pad; /* HF_CRED_* */
};

/* hf_wire_verdict.verdict */
#define HF_VERDICT_SEALED 1     /* as the image has it */
#define HF_VERDICT_CHANGED 2    /* the image has the path, with other content */
#define HF_VERDICT_FOREIGN 3    /* not from this image */
#define HF_VERDICT_MOVED 4      /* the image has the content, under another path */
#define HF_VERDICT_VOLUME 5     /* lies on a volume, which no image vouches for */
#define HF_VERDICT_MEMORY 6     /* no file: memory only */
#define HF_VERDICT_UNSEALED 7   /* there is no seal of this image */
#define HF_VERDICT_UNREADABLE 8 /* it could not be read: gone, or changing all the time */
/* hf_wire_verdict.action */
#define HF_ACTION_NONE 0
#define HF_ACTION_WOULD 1  /* would have been refused (observe) */
#define HF_ACTION_DENIED 2
#define HF_ACTION_KILLED 3
/* hf_wire_verdict.rung: what the action was, or would be, done with */
#define HF_RUNG_NONE 0
#define HF_RUNG_LSM 1
#define HF_RUNG_FANOTIFY 2
#define HF_RUNG_SIGNAL 3
#define HF_RUNG_CGROUP 4
#define HF_RUNG_NFTABLES 5
#define HF_RUNG_MOUNT 6 /* a read-only mount */
/* hf_wire_verdict.use */
#define HF_USE_EXEC 1
#define HF_USE_MMAP 2
#define HF_USE_POLICY 3 /* a clause of a policy, of something that need be no file */
struct hf_wire_verdict {
    struct hf_wire_hdr h; /* of the process that ran it; time: of the verdict */
    __u64 inode, ctime_ns, size; /* of the file; 0: not known */
    __u32 dev, mode;
    __u32 verdict, action, rung, use;
    __u8 got[32], want[32]; /* SHA-256 of the content, and of what the image has under the path; zero: not known, or has none */
    __u16 path_len, sealed_path_len, package_len, policy_len, clause_len;
    __u16 pad[3];
    char data[];
};

/* Both compilers hold the layout. */
_Static_assert(sizeof(struct hf_wire_hdr) == 120, "hdr");
_Static_assert(sizeof(struct hf_wire_stdio) == 24, "stdio");
_Static_assert(sizeof(struct hf_wire_exec) == 120 + 24 + 40 + 72 + 16, "exec");
_Static_assert(sizeof(struct hf_wire_fork) == 152, "fork");
_Static_assert(sizeof(struct hf_wire_cgroup) == 168, "cgroup");
_Static_assert(sizeof(struct hf_wire_file) == 184, "file");
_Static_assert(sizeof(struct hf_wire_net) == 200, "net");
_Static_assert(sizeof(struct hf_wire_payload) == 176, "payload");
_Static_assert(sizeof(struct hf_wire_ptrace) == 168, "ptrace");
_Static_assert(sizeof(struct hf_wire_mem) == 176, "mem");
_Static_assert(sizeof(struct hf_wire_mount) == 144, "mount");
_Static_assert(sizeof(struct hf_wire_bpf) == 160, "bpf");
_Static_assert(sizeof(struct hf_wire_signal) == 168, "signal");
_Static_assert(sizeof(struct hf_wire_cap) == 160, "cap");
_Static_assert(sizeof(struct hf_wire_rate) == 208, "rate");
_Static_assert(sizeof(struct hf_wire_cred) == 160, "cred");
_Static_assert(sizeof(struct hf_wire_verdict) == 248, "verdict");
