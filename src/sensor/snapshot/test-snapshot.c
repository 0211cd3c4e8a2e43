// SPDX-License-Identifier: Apache-2.0
/* Texts of /proc as kernels write them, and as a process can make them: its name is its own choice. */
#include "sensor/snapshot/snapshot.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "event/event.h"
#include "tap.h"

#define STAT_TAIL " S 7 8 9 34816 8 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123 4096 5 18446744073709551615 1 1 0 0 0\n"

static void stat(void)
{
    static const struct {
        const char *text, *comm;
    } cases[] = {
            {"42 (sh)" STAT_TAIL, "sh"},
            {"42 (a) R 1 1 1 0)" STAT_TAIL, "a) R 1 1 1 0"}, /* the last parenthesis counts */
            {"42 ()" STAT_TAIL, ""},
            {"42 (a name that is longer than it can be)" STAT_TAIL, "a name that is "},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        struct hf_wire_exec e = {.exec_flags = 0};
        hf_snapshot_stat(hf_span_z(cases[i].text), &e);
        EQ_S(hf_span_z(e.h.comm), cases[i].comm);
        EQ_U(e.h.ppid, 7);
        EQ_U(e.pgid, 8);
        EQ_U(e.sid, 9);
        EQ_U(e.tty, 136u << 20); /* /dev/pts/0 */
        EQ_U(e.h.start_ns, 123 * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK)));
    }
    static const char *const damaged[] = {"", "42", "42 (", "42 )(", "42 (sh", "42 sh)", "42 (sh) S", "42 (sh) S x y z -1 ", ")"};
    for (size_t i = 0; i < HF_ARRAY_LEN(damaged); i++) {
        struct hf_wire_exec e = {.exec_flags = 0};
        hf_snapshot_stat(hf_span_z(damaged[i]), &e);
        EQ_U(e.h.start_ns, 0);
        EQ_U(e.sid, 0);
    }
}

static void status(void)
{
    static const char text[] = "Name:\tsh\nUmask:\t0022\nTracerPid:\t17\nUid:\t1000\t0\t1000\t1000\nGid:\t100\t101\t100\t100\nNSpid:\t4242\t77\t1\n"
                               "CapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffffff\nNoNewPrivs:\t0\n";
    struct hf_wire_hdr h = {.flags = 0};
    OK(!hf_snapshot_status(hf_span_z(text), &h));
    EQ_U(h.uid, 1000);
    EQ_U(h.euid, 0);
    EQ_U(h.gid, 100);
    EQ_U(h.egid, 101);
    EQ_U(h.ns_pid, 1); /* the innermost */
    EQ_U(h.cap_eff, 0x1ffffffffffull);
    EQ_U(h.flags, HF_F_TRACED);
    struct hf_wire_hdr plain = {.flags = 0};
    OK(hf_snapshot_status(HF_S("CapPrm:\t0000000000002000\nCapEff:\t0000000000000000\n"), &plain)); /* in store */
    OK(hf_snapshot_status(HF_S("Name:\tUid:\t5\nTracerPid:\t0\nUid:\t7\nNSpid:\t9\nCapEff:\tzz\n"), &plain)); /* a name that looks like a line; short lines */
    EQ_U(plain.uid, 7);
    EQ_U(plain.euid, 0);
    EQ_U(plain.ns_pid, 9);
    EQ_U(plain.cap_eff, 0);
    EQ_U(plain.flags, 0);
    hf_snapshot_status(HF_S(""), &plain);
    EQ_U(plain.uid, 0);
}

static uint32_t wanted;
static struct hf_wire_exec found;
static char args[64], path[256];

static void take(void *ctx, struct hf_span record, struct hf_span cgroup)
{
    struct hf_event ev;
    struct hf_err err = HF_ERR_INIT;
    unsigned *bad = ctx;
    if (hf_event_decode(record, &ev, &err) < 0) {
        ++*bad;
        return;
    }
    if (ev.h->pid != wanted)
        return;
    found = ev.u.exec;
    snprintf(args, sizeof args, "%.*s", HF_SPAN_ARG(ev.args));
    snprintf(path, sizeof path, "%.*s", HF_SPAN_ARG(cgroup));
}

/* Whole, of this process and a child with arguments of its own. */
static void procs(void)
{
    struct hf_hierarchy h;
    struct hf_err err = HF_ERR_INIT;
    if (hf_hierarchy_find(&h, &err) < 0) {
        OK(err.msg[0]); /* a machine without control groups */
        return;
    }
    int hold[2];
    if (pipe2(hold, O_CLOEXEC) < 0) {
        OK(!"a pipe");
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(hold[0], 0) == 0)
            execl("/bin/cat", "a-cat", "-", (char *)NULL);
        _exit(1);
    }
    close(hold[0]);
    unsigned bad = 0;
    for (unsigned i = 0; i < 500 && args[0] == 0; i++) { /* until it has become the program */
        wanted = (uint32_t)pid;
        found = (struct hf_wire_exec){.exec_flags = 0};
        OK(hf_snapshot_procs(&h, take, &bad) > 0);
        if (strcmp(args, "a-cat"))
            args[0] = 0;
        usleep(10000);
    }
    EQ_S(hf_span_z(args), "a-cat"); /* the first of them: NUL behind it */
    EQ_U(bad, 0);
    EQ_U(found.h.ppid, (unsigned)getpid());
    EQ_U(found.h.euid, geteuid());
    EQ_U(found.stdio[0].kind, HF_STDIO_PIPE);
    OK(found.h.start_ns > 0 && found.h.mnt_ns > 0 && found.inode > 0 && path[0] == '/');
    close(hold[1]);
    EQ_I(waitpid(pid, NULL, 0), pid);
    hf_autobuf record = HF_BUF_INIT(65536), cgroup = HF_BUF_INIT(8192);
    OK(!hf_snapshot_proc(&h, (uint32_t)pid, &record, &cgroup)); /* gone */
}

/* Started from a mount of the file alone that hangs nowhere, as runc starts itself: "/" is what its link says, and the path of no program. */
static void detached(void)
{
    struct hf_hierarchy h;
    struct hf_err err = HF_ERR_INIT;
    int hold[2];
    if (geteuid() != 0 || hf_hierarchy_find(&h, &err) < 0 || pipe2(hold, O_CLOEXEC) < 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        const char *argv[] = {"a-cat", NULL}, *envp[] = {NULL};
        int file = unshare(CLONE_NEWNS) < 0 || dup2(hold[0], 0) < 0 ? -1 : (int)syscall(SYS_open_tree, AT_FDCWD, "/bin/cat", OPEN_TREE_CLONE);
        if (file >= 0)
            syscall(SYS_execveat, file, "", argv, envp, AT_EMPTY_PATH);
        _exit(77);
    }
    close(hold[0]);
    hf_autobuf record = HF_BUF_INIT(65536), cgroup = HF_BUF_INIT(8192);
    struct hf_event ev = {.type = 0};
    bool became = false;
    for (unsigned i = 0; i < 500 && !became && waitpid(pid, NULL, WNOHANG) == 0; i++) {
        became = hf_snapshot_proc(&h, (uint32_t)pid, &record, &cgroup) && hf_event_decode(hf_buf_span(&record), &ev, &err) == 0 && hf_span_starts(ev.args, HF_S("a-cat"));
        usleep(10000);
    }
    close(hold[1]);
    if (!became) /* a machine that lets nobody make mounts */
        return;
    OK(ev.u.exec.inode > 0);
    EQ_U(ev.path.n, 0);
    EQ_I(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
    stat();
    status();
    procs();
    detached();
    return tap_done();
}
