/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* ktypes.h - only the kernel fields that are read; libbpf finds where they are in the running kernel (CO-RE).  Order and
 * neighbours here mean nothing.  A type with ___ behind its name is the shape that some kernels have. */
#pragma once
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef __s16 s16;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
    u32 len;
    const unsigned char *name;
};
struct super_block {
    u32 s_dev;
    unsigned long s_magic;
};
struct timespec64 {
    s64 tv_sec;
    long tv_nsec;
};
typedef struct {
    u32 val;
} kuid_t;
typedef struct {
    u32 val;
} kgid_t;
struct inode {
    u16 i_mode;
    kuid_t i_uid;
    kgid_t i_gid;
    struct super_block *i_sb;
    unsigned long i_ino;
    u32 i_nlink;
    u32 i_rdev;
    s64 i_ctime_sec; /* 6.11 (3aa63a569c64) */
    u32 i_ctime_nsec;
};
struct inode___ts { /* before */
    struct timespec64 i_ctime;
};
struct inode___ts2 { /* 6.6 (13bc24457850) to 6.10 */
    struct timespec64 __i_ctime;
};
struct dentry {
    struct dentry *d_parent;
    struct qstr d_name;
    struct inode *d_inode;
    void *d_fsdata;
};
struct vfsmount {
    struct dentry *mnt_root;
    struct super_block *mnt_sb;
};
struct mount {
    struct mount *mnt_parent;
    struct dentry *mnt_mountpoint;
    struct vfsmount mnt;
    struct mnt_namespace *mnt_ns;
};
struct path {
    struct vfsmount *mnt;
    struct dentry *dentry;
};
struct file {
    struct path f_path;
    struct inode *f_inode;
    u32 f_flags;
    u32 f_mode;
    void *private_data;
};
struct nameidata { /* the walk along a path that a task is at */
    struct path path;
};
struct fdtable {
    u32 max_fds;
    struct file **fd;
};
struct files_struct {
    struct fdtable *fdt;
};
struct fs_struct {
    struct path root, pwd;
};
struct mm_struct {
    unsigned long arg_start, arg_end, env_start, env_end, start_brk, brk, start_stack;
    struct file *exe_file;
};
struct vm_area_struct {
    unsigned long vm_start, vm_end, vm_flags;
    struct file *vm_file;
    void *anon_vma;
};
struct ns_common {
    u32 inum;
};
struct pid_namespace {
    struct ns_common ns;
    u32 level;
};
struct net {
    struct ns_common ns;
};
struct mnt_namespace {
    struct ns_common ns;
};
struct user_namespace {
    struct ns_common ns;
    struct user_namespace *parent;
    int level;
};
struct nsproxy {
    struct mnt_namespace *mnt_ns;
    struct pid_namespace *pid_ns_for_children;
    struct net *net_ns;
};
struct upid {
    int nr;
    struct pid_namespace *ns;
};
struct pid {
    u32 level;
    struct upid numbers[1];
};
struct cred {
    kuid_t uid, suid, euid;
    kgid_t gid, egid;
    struct {
        u64 val;
    } cap_effective, cap_permitted; /* read as 8 bytes: the member's name changed in 6.3 (f122a08b197d) */
    struct user_namespace *user_ns;
};
struct tty_driver {
    int major, minor_start;
};
struct tty_struct {
    int index;
    struct tty_driver *driver;
    struct { /* 5.15 (5db4992821df) */
        struct pid *session;
    } ctrl;
};
struct tty_struct___old { /* before */
    struct pid *session;
};
struct signal_struct {
    struct pid *pids[4];
    struct tty_struct *tty;
    int group_exit_code;
    unsigned int flags;
    struct {
        int counter;
    } live;
};
struct kernfs_node {
    const char *name;
    u64 id;
};
struct cgroup_subsys_state {
    struct cgroup *cgroup;
    struct cgroup_subsys_state *parent;
};
struct cgroup_root {
    int hierarchy_id;
};
struct cgroup {
    struct cgroup_subsys_state self;
    struct kernfs_node *kn;
    struct cgroup_root *root;
    int level;
};
struct css_set {
    struct cgroup_subsys_state *subsys[14];
    struct cgroup *dfl_cgrp;
};
#if defined(__TARGET_ARCH_x86)
struct thread_info {
    u32 status;
};
#else
struct thread_info {
    unsigned long flags;
};
#endif
struct task_struct {
    struct thread_info thread_info;
    u32 flags, ptrace;
    int pid, tgid, exit_code;
    struct task_struct *real_parent, *parent, *group_leader;
    struct pid *thread_pid;
    u64 start_boottime;
    const struct cred *cred, *real_cred;
    char comm[16];
    struct fs_struct *fs;
    struct nameidata *nameidata;
    struct files_struct *files;
    struct nsproxy *nsproxy;
    struct signal_struct *signal;
    struct mm_struct *mm;
    kuid_t loginuid;
    u32 sessionid, personality;
    struct css_set *cgroups;
    void *stack;
};
struct linux_binprm {
    struct file *file, *interpreter, *executable;
    struct cred *cred;
    int argc, envc;
    u32 interp_flags;
    const char *filename, *interp, *fdpath;
};
struct in6_addr {
    union {
        u8 u6_addr8[16];
    } in6_u;
};
struct sock_common {
    union {
        struct {
            u32 skc_daddr, skc_rcv_saddr;
        };
    };
    union {
        struct {
            u16 skc_dport, skc_num;
        };
    };
    u16 skc_family;
    u8 skc_state;
    struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
    unsigned long skc_flags;
    struct {
        s64 counter;
    } skc_cookie;
    struct {
        struct net *net;
    } skc_net;
};
struct sock_cgroup_data {
    struct cgroup *cgroup;
};
struct sock {
    struct sock_common __sk_common;
    u16 sk_protocol, sk_type;
    u32 sk_ack_backlog, sk_max_ack_backlog;
    struct socket *sk_socket;
    struct {
        s64 counter;
    } sk_cookie;
};
struct socket {
    struct sock *sk;
    s16 type;
};
struct tcp_sock {
    u64 bytes_sent, bytes_retrans, bytes_received;
    u32 segs_out, segs_in;
};
struct sockaddr_un {
    u16 sun_family;
    char sun_path[108];
};
struct unix_address {
    int len;
    struct sockaddr_un name[0];
};
struct unix_sock {
    struct unix_address *addr;
    struct path path;
};
struct ovl_inode {
    struct inode vfs_inode;
};
struct ovl_entry { /* 6.5 (163db0da3515) and later */
    u32 __numlower;
};
struct kernel_siginfo {
    int si_code;
};
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
    unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#else
struct user_pt_regs {
    u64 regs[31], sp, pc, pstate;
};
struct pt_regs {
    u64 regs[31], orig_x0;
    int syscallno;
};
#endif

enum cgroup_subsys_id { cpuset_cgrp_id, memory_cgrp_id, pids_cgrp_id, freezer_cgrp_id, cpu_cgrp_id };

#pragma clang attribute pop

#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define TMPFS_MAGIC 0x01021994
#define S_IFMT 00170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFCHR 0020000
#define S_IFBLK 0060000
#define S_IFIFO 0010000
#define PF_KTHREAD 0x00200000
#define MNT_NS_ANONYMOUS 0xeffffff7u /* number of those that nobody can enter, Linux 6.18; 0 before */
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10

/* What differs between processors: whether a task runs the 32-bit interface, the number of the system call it is in, its first arguments. */
#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 0x0002
#define hf_is_compat(t) (BPF_CORE_READ(t, thread_info.status) & TS_COMPAT)
#define HF_REGS_CALL(r) BPF_CORE_READ(r, orig_ax)
#define HF_REGS_0(r) BPF_CORE_READ(r, di)
#define HF_REGS_1(r) BPF_CORE_READ(r, si)
#define HF_REGS_2(r) BPF_CORE_READ(r, dx)
#define HF_REGS_COMPAT_0(r) BPF_CORE_READ(r, bx)
#define HF_REGS_COMPAT_1(r) BPF_CORE_READ(r, cx)
#define HF_REGS_COMPAT_2(r) BPF_CORE_READ(r, dx)
#define HF_REGS_3(r) BPF_CORE_READ(r, r10)
#define HF_REGS_4(r) BPF_CORE_READ(r, r8)
#define HF_REGS_COMPAT_3(r) BPF_CORE_READ(r, si)
#define HF_REGS_COMPAT_4(r) BPF_CORE_READ(r, di)
/* the same as plain loads, of typed pointers */
#define HF_TYPED_COMPAT(t) ((t)->thread_info.status & TS_COMPAT)
#define HF_TYPED_CALL(r) (r)->orig_ax
#define HF_TYPED_2(r) (r)->dx
#define HF_NR_MMAP 9
#define HF_NR_MPROTECT 10
#define HF_NR_PKEY_MPROTECT 329
#define HF_NR_SHMAT 30
#define HF_NR_IOCTL 16
#define HF_NR_COMPAT_PKEY_MPROTECT 380
#define HF_NR_COMPAT_SHMAT 397
#else /* arm64: the first argument's register holds the result after the call, orig_x0 what it was */
#define TIF_32BIT 22
#define hf_is_compat(t) (BPF_CORE_READ(t, thread_info.flags) >> TIF_32BIT & 1)
#define HF_REGS_CALL(r) (u32) BPF_CORE_READ(r, syscallno)
#define HF_REGS_0(r) BPF_CORE_READ(r, orig_x0)
#define HF_REGS_1(r) BPF_CORE_READ(r, regs[1])
#define HF_REGS_2(r) BPF_CORE_READ(r, regs[2])
#define HF_REGS_COMPAT_0 HF_REGS_0
#define HF_REGS_COMPAT_1 HF_REGS_1
#define HF_REGS_COMPAT_2 HF_REGS_2
#define HF_REGS_3(r) BPF_CORE_READ(r, regs[3])
#define HF_REGS_4(r) BPF_CORE_READ(r, regs[4])
#define HF_REGS_COMPAT_3 HF_REGS_3
#define HF_REGS_COMPAT_4 HF_REGS_4
#define HF_TYPED_COMPAT(t) ((t)->thread_info.flags >> TIF_32BIT & 1)
#define HF_TYPED_CALL(r) (r)->syscallno
#define HF_TYPED_2(r) (r)->regs[2]
#define HF_NR_MMAP 222
#define HF_NR_MPROTECT 226
#define HF_NR_PKEY_MPROTECT 288
#define HF_NR_SHMAT 196
#define HF_NR_IOCTL 29
#define HF_NR_COMPAT_PKEY_MPROTECT 394
#define HF_NR_COMPAT_SHMAT 305
#endif
