// SPDX-License-Identifier: Apache-2.0
/* The rules that come with the program, over records made by hand: those whose events cannot be caused on every machine (changes of files, exploits,
 * lost events).  tests/e2e/test_pack.py causes the others for real, and holds that every rule is in one of the two, with its benign twin. */
#include "detect/engine.h"
#include "records.h"
#include "tap.h"

#define SECOND 1000000000ull
#define BOX 1000u /* control group of the container */

static struct hf_track *track;
static struct hf_engine *engine;
static uint64_t now;
static char alerts[8192]; /* "|rule|rule|" */
static struct rec r;

static void take(void *ctx, const struct hf_alert *a)
{
    (void)ctx;
    snprintf(alerts + strlen(alerts), sizeof alerts - strlen(alerts), "%.*s|", HF_SPAN_ARG(a->rule));
}

static void feed(struct hf_span record)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_event ev, cred;
    if (hf_event_decode(record, &ev, &err) < 0) {
        printf("# %s\n", err.msg);
        return;
    }
    ev.time_ns = ev.h->time_ns;
    int rc = hf_track_event(track, &ev, &cred);
    if (rc > 0)
        hf_engine_event(engine, &ev);
    if (rc == 2)
        hf_engine_event(engine, &cred);
}

/* A process of the container is known by its number; it was started at number * 1 ms. */
static struct hf_wire_hdr hdr(uint32_t pid, uint32_t ppid, const char *comm)
{
    now += SECOND / 100;
    struct hf_wire_hdr h = rec_hdr(pid, ppid, pid * 1000000ull, BOX, now, comm);
    h.uid = h.euid = 33;
    return h;
}

/* args: words with one blank between. */
static void run_as(uint32_t pid, uint32_t ppid, const char *path, const char *args, uint32_t flags, const char *env)
{
    char words[512];
    size_t n = strlen(args);
    const char *slash = strrchr(path, '/');
    memcpy(words, args, n + 1);
    for (size_t i = 0; i < n; i++)
        words[i] = words[i] == ' ' ? '\0' : words[i];
    struct hf_wire_exec x = {.parent_start_ns = ppid * 1000000ull, .exec_flags = flags, .mode = 0100755, .sid = pid, .pgid = pid};
    feed(rec_exec(&r, hdr(pid, ppid, slash ? slash + 1 : path), x, path, hf_span(words, n + 1), "/", hf_span(env, strlen(env))));
}

static void run(uint32_t pid, uint32_t ppid, const char *path, const char *args)
{
    run_as(pid, ppid, path, args, 0, "");
}

static void file(uint32_t pid, const char *comm, unsigned op, const char *path, const char *path2)
{
    struct hf_wire_file f = {.op = op, .mode = 0100644, .open_flags = op == HF_FILE_OPEN ? 0 : op == HF_FILE_WRITE ? 1 : 0x41, .new_mode = UINT32_MAX, .new_uid = UINT32_MAX,
            .new_gid = UINT32_MAX, .inode = 7, .nlink = 1};
    feed(rec_file(&r, hdr(pid, 1, comm), f, path, path2));
}

static void chmod_to(uint32_t pid, const char *path, uint32_t mode)
{
    struct hf_wire_file f = {.op = HF_FILE_CHMOD, .mode = 0100000 | mode, .new_mode = mode, .new_uid = UINT32_MAX, .new_gid = UINT32_MAX, .inode = 7, .nlink = 1};
    feed(rec_file(&r, hdr(pid, 1, "chmod"), f, path, ""));
}

static void truncated(uint32_t pid, const char *comm, const char *path)
{
    struct hf_wire_file f = {.op = HF_FILE_WRITE, .mode = 0100644, .open_flags = 01 | 01000, .inode = 7, .nlink = 1};
    feed(rec_file(&r, hdr(pid, 1, comm), f, path, ""));
}

static void connects(uint32_t pid, const char *comm, const char *peer, unsigned port)
{
    feed(rec_net(&r, hdr(pid, 1, comm), HF_NET_ESTABLISHED, IPPROTO_TCP, "172.17.0.2", 40000, peer, port));
}

static void signals(uint32_t pid, const char *comm, uint32_t target, unsigned sig)
{
    struct hf_wire_signal s = {.h = hdr(pid, 1, comm), .target_pid = target, .target_start_ns = target * 1000000ull, .sig = sig};
    rec_begin(&r, &s, sizeof s, HF_EV_SIGNAL);
    feed(rec_end(&r));
}

static void begin(void)
{
    char path[4096];
    struct hf_err err = HF_ERR_INIT;
    struct hf_rules *rules = NULL;
    struct hf_engine_opts o = {.alert = take};
    snprintf(path, sizeof path, "%s/data/rules", getenv("HF_SOURCE_ROOT") ? getenv("HF_SOURCE_ROOT") : ".");
    if (hf_track_new(&track, NULL, &err) < 0 || hf_rules_new(&rules, NULL, &err) < 0 || hf_rules_add_path(rules, path, &err) < 0 || hf_engine_new(&engine, rules, &o, NULL, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    now = 1000 * SECOND;
    snprintf(alerts, sizeof alerts, "|");
    static const char facts[] = "id\0aaaabbbbccccddddeeeeffff0000111122223333444455556666777788889999\0name\0web\0image\0shop/web:1\0runtime\0docker\0privileged\0" "0";
    feed(rec_pairs(&r, hdr(1, 0, "dockerd"), HF_EV_CONTAINER, hf_span(facts, sizeof facts)));
    run(100, 1, "/usr/bin/app", "app --serve");
    run(101, 100, "/bin/sh", "sh -c work");
}

static void end(void)
{
    hf_engine_free(engine);
    hf_track_free(track);
}

static void write_shell(const char *path)
{
    run(200, 101, "/bin/sh", "sh -c echo");
    file(200, "sh", HF_FILE_WRITE, path, "");
}
/* A package manager's helper does the same. */
static void write_dpkg(const char *path)
{
    run(300, 101, "/usr/bin/dpkg", "dpkg -i x.deb");
    run(301, 300, "/usr/bin/install", "install x");
    file(301, "install", HF_FILE_WRITE, path, "");
}

static void keys_bad(void) { write_shell("/root/.ssh/authorized_keys"); }
static void keys_good(void) { write_shell("/root/.ssh/known_hosts"); file(200, "sh", HF_FILE_OPEN, "/root/.ssh/authorized_keys", ""); }
static void keys_renamed(void) { run(200, 101, "/bin/mv", "mv"); file(200, "mv", HF_FILE_RENAME, "/tmp/k", "/root/.ssh/authorized_keys"); }
/* Under the name that the runtime has while it sets a container up. */
static void keys_disguised(void) { run(200, 101, "/bin/sh", "sh"); file(200, "runc:[2:INIT]", HF_FILE_WRITE, "/root/.ssh/authorized_keys", ""); }
static void job_bad(void) { write_shell("/etc/cron.d/update"); }
static void job_good(void) { write_dpkg("/etc/cron.d/logrotate"); }
static void job_renamed(void) { run(200, 101, "/bin/mv", "mv"); file(200, "mv", HF_FILE_RENAME, "/tmp/j", "/var/spool/cron/crontabs/root"); }
static void init_bad(void) { write_shell("/etc/systemd/system/x.service"); }
static void init_good(void) { write_dpkg("/lib/systemd/system/nginx.service"); }
static void login_bad(void) { write_shell("/lib/x86_64-linux-gnu/security/pam_unix.so"); }
static void login_good(void) { write_dpkg("/etc/pam.d/common-auth"); run(210, 101, "/usr/sbin/useradd", "useradd web"); file(210, "useradd", HF_FILE_WRITE, "/etc/passwd", ""); }
static void preload_bad(void) { write_shell("/etc/ld.so.preload"); }
static void preload_good(void) { file(101, "sh", HF_FILE_OPEN, "/etc/ld.so.preload", ""); write_shell("/etc/ld.so.cache"); }
static void profile_bad(void) { write_shell("/root/.bashrc"); }
static void profile_good(void) { write_dpkg("/etc/bash.bashrc"); }
static void setuid_bad(void) { run(200, 101, "/bin/chmod", "chmod 4755"); chmod_to(200, "/tmp/sh", 04755); }
static void setuid_good(void) { run(200, 101, "/bin/chmod", "chmod 755"); chmod_to(200, "/tmp/sh", 0755); }
static void web_shell_bad(void)
{
    run(200, 100, "/usr/sbin/php-fpm", "php-fpm");
    feed(rec_net(&r, hdr(200, 100, "php-fpm"), HF_NET_LISTEN, IPPROTO_TCP, "0.0.0.0", 9000, "0.0.0.0", 0));
    file(200, "php-fpm", HF_FILE_CREATE, "/var/www/html/up/x.php", "");
}
static void web_shell_good(void)
{
    run(200, 100, "/usr/sbin/php-fpm", "php-fpm");
    feed(rec_net(&r, hdr(200, 100, "php-fpm"), HF_NET_LISTEN, IPPROTO_TCP, "0.0.0.0", 9000, "0.0.0.0", 0));
    file(200, "php-fpm", HF_FILE_CREATE, "/var/www/html/up/photo.jpg", "");
    run(201, 101, "/usr/bin/git", "git pull");
    file(201, "git", HF_FILE_CREATE, "/var/www/html/index.php", "");
}
static void keyboard_bad(void) { run(200, 101, "/usr/bin/cat", "cat"); file(200, "cat", HF_FILE_OPEN, "/dev/input/event3", ""); }
static void keyboard_good(void) { run(200, 101, "/usr/bin/cat", "cat"); file(200, "cat", HF_FILE_OPEN, "/dev/null", ""); }
static void keylogger_bad(void) { keyboard_bad(); connects(200, "cat", "93.184.216.34", 443); }
static void keylogger_good(void) { keyboard_bad(); run(205, 101, "/usr/bin/curl", "curl"); connects(205, "curl", "93.184.216.34", 443); connects(200, "cat", "127.0.0.1", 80); }
static void shadow_bad(void) { run(200, 101, "/usr/bin/cat", "cat"); file(200, "cat", HF_FILE_OPEN, "/etc/shadow", ""); }
static void shadow_good(void) { run(200, 101, "/usr/bin/su", "su"); file(200, "su", HF_FILE_OPEN, "/etc/shadow", ""); file(101, "sh", HF_FILE_OPEN, "/etc/passwd", ""); }
/* By a name that is only taken: with prctl, and as a file of that name. */
static void shadow_renamed(void)
{
    run(200, 101, "/usr/bin/python3", "python3");
    struct hf_wire_rename n = {.h = hdr(200, 101, "python3"), .name = "sshd"};
    rec_begin(&r, &n, sizeof n, HF_EV_RENAME);
    feed(rec_end(&r));
    file(200, "sshd", HF_FILE_OPEN, "/etc/shadow", "");
}
static void shadow_dropped(void) { run_as(200, 101, "/tmp/sshd", "sshd", HF_X_OVERLAY | HF_X_UPPER, ""); file(200, "sshd", HF_FILE_OPEN, "/etc/shadow", ""); }
static void shadow_applet(void) { run(200, 101, "/bin/busybox", "passwd root"); file(200, "passwd", HF_FILE_OPEN, "/etc/shadow", ""); }
static void shadow_not_applet(void) { run(200, 101, "/bin/busybox", "cat /etc/shadow"); file(200, "cat", HF_FILE_OPEN, "/etc/shadow", ""); }
static void gathered(const char *a, const char *b, const char *c)
{
    run(200, 101, "/usr/bin/python3", "python3");
    file(200, "python3", HF_FILE_OPEN, a, "");
    file(200, "python3", HF_FILE_OPEN, b, "");
    file(200, "python3", HF_FILE_OPEN, c, "");
}
static void gathered_bad(void) { gathered("/root/.aws/credentials", "/root/.docker/config.json", "/root/.kube/config"); }
static void gathered_good(void) { gathered("/root/.aws/credentials", "/root/.aws/credentials", "/root/.aws/config"); }
static void key_bad(void) { run(200, 101, "/usr/bin/cat", "cat"); file(200, "cat", HF_FILE_OPEN, "/root/.ssh/id_ed25519", ""); }
static void key_good(void) { run(200, 101, "/usr/bin/ssh", "ssh"); file(200, "ssh", HF_FILE_OPEN, "/root/.ssh/id_ed25519", ""); file(101, "sh", HF_FILE_OPEN, "/root/.ssh/id_ed25519.pub", ""); }

#define TOKEN "/run/secrets/kubernetes.io/serviceaccount/..2026/token"
static void token_bad(void) { file(100, "app", HF_FILE_OPEN, TOKEN, ""); now += 600 * SECOND; run(200, 101, "/usr/bin/cat", "cat"); file(200, "cat", HF_FILE_OPEN, TOKEN, ""); }
static void token_good(void) { file(100, "app", HF_FILE_OPEN, TOKEN, ""); now += 600 * SECOND; file(100, "app", HF_FILE_OPEN, TOKEN, ""); }
static void token_used_bad(void) { run(200, 101, "/usr/bin/curl", "curl"); file(200, "curl", HF_FILE_OPEN, TOKEN, ""); connects(200, "curl", "10.96.0.1", 443); }
static void token_used_good(void) { file(100, "app", HF_FILE_OPEN, TOKEN, ""); connects(100, "app", "10.96.0.1", 443); }

static void kernel_bad(void) { write_shell("/proc/sys/kernel/core_pattern"); }
static void kernel_good(void) { file(101, "sh", HF_FILE_OPEN, "/proc/sys/kernel/core_pattern", ""); write_shell("/proc/sys/net/core/somaxconn"); }
static void link_bad(void) { run(200, 101, "/bin/ln", "ln"); file(200, "ln", HF_FILE_LINK, "/etc/shadow", "/tmp/x"); }
static void link_good(void) { run(200, 101, "/bin/ln", "ln"); file(200, "ln", HF_FILE_LINK, "/srv/a", "/srv/b"); file(200, "ln", HF_FILE_SYMLINK, "/srv/c", "/srv/a"); }
static void device_bad(void) { run(200, 101, "/sbin/debugfs", "debugfs"); file(200, "debugfs", HF_FILE_OPEN, "/dev/nvme0n1p2", ""); }
static void device_good(void) { file(101, "sh", HF_FILE_OPEN, "/dev/urandom", ""); file(101, "sh", HF_FILE_OPEN, "/dev/shm/x", ""); }
static void request(uint32_t pid, const char *comm, uint32_t number, const char *path)
{
    struct hf_wire_file f = {.op = HF_FILE_IOCTL, .mode = 0020600, .new_mode = UINT32_MAX, .new_uid = UINT32_MAX, .new_gid = UINT32_MAX, .request = number, .watch = HF_WATCH_DEVICE};
    feed(rec_file(&r, hdr(pid, 1, comm), f, path, ""));
}
static void typed_bad(void) { run(200, 101, "/usr/bin/perl", "perl"); request(200, "perl", 0x5412, "/dev/pts/0"); }
static void typed_good(void) { run(200, 101, "/usr/bin/perl", "perl"); request(200, "perl", 0x5413, "/dev/pts/0"); request(200, "perl", 0x541c, "/dev/tty1"); }
static void grab_bad(void) { run(200, 101, "/usr/bin/x", "x"); request(200, "x", 0x40044590, "/dev/input/event0"); }
static void pressed_bad(void) { run(200, 101, "/usr/bin/x", "x"); request(200, "x", 0x80604518, "/dev/input/event0"); }
static void grab_good(void) { run(200, 101, "/usr/bin/x", "x"); request(200, "x", 0x80044501, "/dev/input/event0"); request(200, "x", 0x40044591, "/dev/input/event0"); }
static void uinput_bad(void) { run(200, 101, "/usr/bin/x", "x"); request(200, "x", 0x5501, "/dev/uinput"); }
static void uinput_good(void) { run(200, 101, "/usr/bin/x", "x"); request(200, "x", 0x5502, "/dev/uinput"); }
static void raw_bad(void) { run(200, 101, "/usr/bin/x", "x"); request(200, "x", 0x2285, "/dev/sda"); }
static void raw_good(void) { run(200, 101, "/usr/sbin/smartctl", "smartctl -a /dev/sda"); request(200, "smartctl", 0x2285, "/dev/sda"); }
static void asks_to_be_traced(uint32_t parent, const char *name)
{
    struct hf_wire_ptrace p = {.h = hdr(201, 1, "x"), .request = HF_PTRACE_TRACEME, .target_pid = parent};
    memcpy(p.target_comm, name, HF_MIN(strlen(name), sizeof p.target_comm - 1));
    run(201, parent, "/usr/bin/x", "x");
    rec_begin(&r, &p, sizeof p, HF_EV_PTRACE);
    feed(rec_end(&r));
}
static void guard_bad(void) { asks_to_be_traced(101, "sh"); }
static void guard_good(void) { run(200, 101, "/usr/bin/gdb", "gdb x"); asks_to_be_traced(200, "gdb"); }
static void runtime_bad(void) { write_shell("/proc/88/exe"); }
static void runtime_good(void) { file(101, "sh", HF_FILE_OPEN, "/proc/88/exe", ""); write_dpkg("/usr/bin/runc"); }
static void memory_bad(void) { run(200, 101, "/usr/bin/dd", "dd"); file(200, "dd", HF_FILE_WRITE, "/proc/100/mem", ""); }
static void memory_good(void) { run(200, 101, "/usr/bin/dd", "dd"); file(200, "dd", HF_FILE_OPEN, "/proc/100/status", ""); }
static void traces_bad(void) { run(200, 101, "/bin/sh", "sh"); truncated(200, "sh", "/var/log/auth.log"); }
static void traces_good(void) { run(200, 101, "/bin/sh", "sh"); file(200, "sh", HF_FILE_WRITE, "/var/log/auth.log", ""); truncated(200, "sh", "/var/log/app/own.log"); }

static void cred(uint32_t what)
{
    struct hf_wire_cred c = {.h = hdr(101, 100, "sh"), .what = what, .old_uid = 33, .old_euid = 33};
    struct hf_event ev = {.type = HF_EV_CRED, .time_ns = now};
    c.h.type = HF_EV_CRED;
    ev.u.cred = c;
    ev.h = &ev.u.hdr;
    ev.proc = hf_track_proc(track, 101, 0);
    ev.container = ev.proc ? ev.proc->container : NULL;
    hf_engine_event(engine, &ev);
}
static void cred_bad(void) { cred(HF_CRED_ROOT | HF_CRED_UNEXPLAINED); }
static void cred_good(void) { cred(HF_CRED_ROOT | HF_CRED_CAPS); }
static void loss(uint64_t cgroup)
{
    struct hf_wire_loss l = {.h = rec_hdr(0, 0, 0, cgroup, now, ""), .count = 9, .lost_type = HF_EV_FORK, .reason = HF_LOSS_RING};
    l.h.flags = HF_F_NO_PROC;
    rec_begin(&r, &l, sizeof l, HF_EV_LOSS);
    feed(rec_end(&r));
}
static void loss_bad(void) { loss(BOX); }
static void loss_good(void) { loss(0); }

static void told_status(struct hf_span pairs)
{
    struct hf_wire_hdr h = rec_hdr(0, 0, 0, BOX, now, "");
    h.flags = HF_F_NO_PROC;
    feed(rec_pairs(&r, h, HF_EV_STATUS, pairs));
}
static void reduced_bad(void) { told_status(HF_S("state\0limited\0what\0ordinary events of box\0reason\0over the budget\0")); }
static void reduced_good(void) { told_status(HF_S("state\0restored\0what\0ordinary events of box\0reason\0there is room\0")); told_status(HF_S("state\0running\0")); }

static void host_program(uint32_t pid, const char *path)
{
    struct hf_wire_exec x = {.mode = 0100755};
    feed(rec_exec(&r, rec_hdr(pid, 1, pid * 1000000ull, 1, now, "holdfast"), x, path, HF_S("holdfast"), "/", HF_S("")));
}
static void sensor_bad(void) { host_program(50, "/usr/bin/holdfast"); run(200, 101, "/bin/kill", "kill"); signals(200, "kill", 50, 19); }
static void sensor_good(void) { host_program(50, "/usr/bin/holdfast"); run(200, 101, "/bin/kill", "kill"); signals(200, "kill", 100, 19); }
static void rootkit_bad(void) { host_program(50, "/usr/bin/other"); run(200, 101, "/bin/kill", "kill"); signals(200, "kill", 50, 64); }
static void rootkit_good(void) { run(200, 101, "/bin/kill", "kill"); signals(200, "kill", 100, 64); signals(200, "kill", 100, 15); }

static void module(unsigned op, uint64_t cgroup)
{
    struct hf_wire_module m = {.h = hdr(101, 100, "insmod"), .op = op};
    m.h.cgroup_id = cgroup;
    rec_begin(&r, &m, sizeof m, HF_EV_MODULE);
    feed(rec_end(&r));
}
static void module_bad(void) { module(HF_MODULE_FINIT, BOX); }
static void module_good(void) { module(HF_MODULE_FINIT, 1); }

static void bpf(uint32_t helpers)
{
    struct hf_wire_bpf b = {.h = hdr(101, 100, "sh"), .cmd = 5, .helpers = helpers, .insns = 10};
    rec_begin(&r, &b, sizeof b, HF_EV_BPF);
    feed(rec_end(&r));
}
static void bpf_bad(void) { bpf(HF_BPF_PROBE_WRITE_USER); }
static void bpf_good(void) { bpf(HF_BPF_PROBE_READ); }

static void clock_call(uint32_t nr, int result)
{
    struct hf_wire_cap c = {.h = hdr(101, 100, "date"), .cap = 25, .syscall = nr, .result = result};
    rec_begin(&r, &c, sizeof c, HF_EV_CAP);
    feed(rec_end(&r));
}
static void hardware_bad(void) { clock_call(227, 0); }
static void hardware_good(void) { clock_call(227, -1); clock_call(170, 0); }

/* What a program or library of the container is, by its content. */
static uint64_t judged_ctime;
static void judged(uint32_t pid, const char *comm, unsigned verdict, unsigned use, const char *path)
{
    struct hf_wire_verdict v = {.h = hdr(pid, 1, comm), .verdict = verdict, .use = use, .ctime_ns = judged_ctime, .path_len = (__u16)strlen(path)};
    memset(v.got, 0xab, sizeof v.got);
    rec_begin(&r, &v, sizeof v, HF_EV_VERDICT);
    rec_text(&r, hf_span_z(path));
    feed(rec_end(&r));
}
/* The same, refused: by `clause`. */
static void refused(uint32_t pid, const char *comm, unsigned verdict, unsigned use, unsigned action, const char *path)
{
    struct hf_wire_verdict v = {.h = hdr(pid, 1, comm), .verdict = verdict, .use = use, .action = action, .path_len = (__u16)strlen(path), .policy_len = 4, .clause_len = 6};
    memset(v.got, 0xab, sizeof v.got);
    rec_begin(&r, &v, sizeof v, HF_EV_VERDICT);
    rec_text(&r, hf_span_z(path));
    rec_text(&r, HF_S("shop"));
    rec_text(&r, HF_S("clause"));
    feed(rec_end(&r));
}
static void refused_changed_bad(void) { refused(101, "sh", HF_VERDICT_CHANGED, HF_USE_EXEC, HF_ACTION_DENIED, "/bin/ls"); }
static void refused_changed_good(void) { refused(101, "sh", HF_VERDICT_SEALED, HF_USE_EXEC, HF_ACTION_NONE, "/bin/ls"); refused(101, "sh", HF_VERDICT_CHANGED, HF_USE_MMAP, HF_ACTION_WOULD, "/bin/ls"); }
static void refused_program_bad(void) { refused(101, "sh", HF_VERDICT_FOREIGN, HF_USE_EXEC, HF_ACTION_KILLED, "/tmp/x"); }
static void refused_program_good(void) { refused(101, "sh", HF_VERDICT_FOREIGN, HF_USE_EXEC, HF_ACTION_WOULD, "/tmp/x"); refused(101, "sh", HF_VERDICT_SEALED, HF_USE_EXEC, HF_ACTION_NONE, "/bin/sh"); }
static void refused_use_bad(void) { refused(101, "sh", HF_VERDICT_UNSEALED, HF_USE_POLICY, HF_ACTION_DENIED, "198.51.100.1 80/tcp"); }
static void refused_use_good(void) { refused(101, "sh", HF_VERDICT_UNSEALED, HF_USE_POLICY, HF_ACTION_WOULD, "198.51.100.1 80/tcp"); }
static void dpkg_writes(const char *path)
{
    run(210, 101, "/usr/bin/dpkg", "dpkg -i tool.deb");
    file(210, "dpkg", HF_FILE_CREATE, "/usr/bin/.tmp", "");
    file(210, "dpkg", HF_FILE_RENAME, "/usr/bin/.tmp", path);
}
static void changed_bad(void) { file(101, "sh", HF_FILE_WRITE, "/bin/ls", ""); run(200, 101, "/bin/ls", "ls"); judged(200, "ls", HF_VERDICT_CHANGED, HF_USE_EXEC, "/bin/ls"); }
static void changed_good(void) { dpkg_writes("/bin/ls"); run(200, 101, "/bin/ls", "ls"); judged(200, "ls", HF_VERDICT_CHANGED, HF_USE_EXEC, "/bin/ls"); judged(200, "ls", HF_VERDICT_SEALED, HF_USE_EXEC, "/bin/cat"); }
static void changed_disguised(void) /* a package manager by name, whose program is not the image's */
{
    run(210, 101, "/usr/bin/dpkg", "dpkg");
    judged(210, "dpkg", HF_VERDICT_FOREIGN, HF_USE_EXEC, "/usr/bin/dpkg");
    file(210, "dpkg", HF_FILE_WRITE, "/bin/ls", "");
    run(200, 101, "/bin/ls", "ls");
    judged(200, "ls", HF_VERDICT_CHANGED, HF_USE_EXEC, "/bin/ls");
}
static void library_bad(void) { judged(100, "app", HF_VERDICT_CHANGED, HF_USE_MMAP, "/lib/libc.so.6"); }
static void library_good(void) { dpkg_writes("/lib/libc.so.6"); judged(100, "app", HF_VERDICT_CHANGED, HF_USE_MMAP, "/lib/libc.so.6"); judged(100, "app", HF_VERDICT_SEALED, HF_USE_MMAP, "/lib/libm.so.6"); }
static void gone_bad(void) { run_as(200, 101, "/bin/ls", "ls", HF_X_OVERLAY | HF_X_UPPER | HF_X_COPIED_UP, ""); judged(200, "ls", HF_VERDICT_UNREADABLE, HF_USE_EXEC, "/bin/ls"); }
static void gone_good(void) { run_as(200, 101, "/bin/ls", "ls", HF_X_OVERLAY, ""); judged(200, "ls", HF_VERDICT_UNREADABLE, HF_USE_EXEC, "/bin/ls"); }
static void volume_bad(void) { judged_ctime = UINT64_MAX; run(200, 101, "/data/tool", "tool"); judged(200, "tool", HF_VERDICT_VOLUME, HF_USE_EXEC, "/data/tool"); }
static void volume_good(void) { judged_ctime = 1; run(200, 101, "/data/tool", "tool"); judged(200, "tool", HF_VERDICT_VOLUME, HF_USE_EXEC, "/data/tool"); judged_ctime = UINT64_MAX; judged(200, "tool", HF_VERDICT_SEALED, HF_USE_EXEC, "/data/tool"); judged(200, "tool", HF_VERDICT_VOLUME, HF_USE_MMAP, "/data/x.so"); }
static void installed_bad(void) { dpkg_writes("/usr/bin/tool"); run(200, 101, "/usr/bin/tool", "tool"); judged(200, "tool", HF_VERDICT_FOREIGN, HF_USE_EXEC, "/usr/bin/tool"); }
static void installed_good(void) { file(101, "sh", HF_FILE_WRITE, "/usr/bin/tool", ""); run(200, 101, "/usr/bin/tool", "tool"); judged(200, "tool", HF_VERDICT_FOREIGN, HF_USE_EXEC, "/usr/bin/tool"); }
static void unguarded_bad(void) { told_status(HF_S("guard\0gone\0error\0ended\0")); }
static void unguarded_good(void) { told_status(HF_S("guard\0running\0guard_judged\0" "7\0")); }

/* every function above, with the rule it is about */
static const struct {
    const char *rule;
    void (*trigger)(void), (*twin)(void);
} cases[] = {
        {"SSH keys changed", keys_bad, keys_good},
        {"SSH keys changed", keys_renamed, keys_good},
        {"SSH keys changed", keys_disguised, keys_good},
        {"Job planted", job_bad, job_good},
        {"Job planted", job_renamed, job_good},
        {"Start-up changed", init_bad, init_good},
        {"Login changed", login_bad, login_good},
        {"Library preload changed", preload_bad, preload_good},
        {"Shell profile changed", profile_bad, profile_good},
        {"Set-uid bit set", setuid_bad, setuid_good},
        {"Script put below a web root", web_shell_bad, web_shell_good},
        {"Keyboard read", keyboard_bad, keyboard_good},
        {"Keyboard read and sent", keylogger_bad, keylogger_good},
        {"Password hashes read", shadow_bad, shadow_good},
        {"Password hashes read", shadow_renamed, shadow_applet},
        {"Password hashes read", shadow_dropped, shadow_good},
        {"Password hashes read", shadow_not_applet, shadow_applet},
        {"Credentials gathered", gathered_bad, gathered_good},
        {"SSH key read", key_bad, key_good},
        {"Token of a service account read anew", token_bad, token_good},
        {"Token read and used", token_used_bad, token_used_good},
        {"Kernel told to run a program", kernel_bad, kernel_good},
        {"Sensitive file linked", link_bad, link_good},
        {"Host device opened", device_bad, device_good},
        {"Program of the runtime overwritten", runtime_bad, runtime_good},
        {"Memory of a program written", memory_bad, memory_good},
        {"Keys put into a terminal", typed_bad, typed_good},
        {"Keyboard taken over", grab_bad, grab_good},
        {"Keyboard taken over", pressed_bad, grab_good},
        {"Keyboard made by a program", uinput_bad, uinput_good},
        {"Raw commands to a disk", raw_bad, raw_good},
        {"Program guards itself against debuggers", guard_bad, guard_good},
        {"Traces removed", traces_bad, traces_good},
        {"Rights that no call explains", cred_bad, cred_good},
        {"Events lost", loss_bad, loss_good},
        {"Detection was reduced to keep the budget", reduced_bad, reduced_good},
        {"Sensor attacked", sensor_bad, sensor_good},
        {"Signal of a rootkit", rootkit_bad, rootkit_good},
        {"Kernel module touched", module_bad, module_good},
        {"BPF program that changes others", bpf_bad, bpf_good},
        {"Hardware or clock of the host touched", hardware_bad, hardware_good},
        {"Changed program of the image ran", changed_bad, changed_good},
        {"Changed program of the image ran", changed_disguised, changed_good},
        {"Changed library of the image loaded", library_bad, library_good},
        {"Program changed while it was looked at", gone_bad, gone_good},
        {"Program written to a volume ran", volume_bad, volume_good},
        {"Installed since the start and used", installed_bad, installed_good},
        {"Changed program of the image refused", refused_changed_bad, refused_changed_good},
        {"Program refused by a policy", refused_program_bad, refused_program_good},
        {"Use refused by a policy", refused_use_bad, refused_use_good},
        {"Programs are not judged any more", unguarded_bad, unguarded_good},
};

static bool told(const char *rule)
{
    char text[128];
    snprintf(text, sizeof text, "|%s|", rule);
    return strstr(alerts, text) != NULL;
}

/* Every rule says what it means, what to do, what else it may be, and which technique it is about. */
static void texts(void)
{
    const struct hf_rules *rules = hf_engine_rules(engine);
    for (size_t i = 0; i < hf_rules_count(rules); i++) {
        const struct hf_rule *x = hf_rules_at(rules, i);
        bool whole = x->remember.n || (x->what.n && x->todo.n && x->benign.n && x->desc.n && x->n_techniques && x->n_tactics && x->n_unserved == 0);
        if (!OK(whole))
            printf("# %.*s\n", HF_SPAN_ARG(x->name));
    }
}

int main(void)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++)
        for (unsigned twin = 0; twin < 2; twin++) {
            begin();
            (twin ? cases[i].twin : cases[i].trigger)();
            if (!OK(told(cases[i].rule) != (twin == 1)))
                printf("# %s, %s: %s\n", cases[i].rule, twin ? "benign twin" : "trigger", alerts);
            end();
        }
    begin();
    texts();
    end();
    return tap_done();
}
