// SPDX-License-Identifier: Apache-2.0
#include "sensor/files/watch.h"

#include <errno.h>

#include "base/mem.h"

#define RULE_ROWS_MAX 1024u
#define PATTERN_MAX 1024u

#define R HF_W_READ
#define W HF_W_WRITE
#define N HF_W_NAMES
#define A HF_W_ATTR
#define E HF_W_EACH
#define X HF_W_EXEC
#define H HF_W_HOST
#define C HF_W_CONTAINER
#define CRED HF_WATCH_CREDENTIAL
#define PERS HF_WATCH_PERSISTENCE
#define BIN HF_WATCH_BINARY
#define LOGS HF_WATCH_LOG
#define ESC HF_WATCH_ESCAPE
#define DEV HF_WATCH_DEVICE
#define PROC HF_WATCH_PROCESS

/* The more telling row of a path comes first: its class is the record's.  Where a system has links (/bin -> usr/bin, /var/run -> /run)
 * the real directory comes first: its name is the record's. */
static const struct hf_watch rows[] = {
        /* passwords and keys: reading them is news */
        {"/etc/shadow", CRED, R | W | N | A | E, H | C, 0},
        {"/etc/shadow-", CRED, R | W | N | A, H | C, 0},
        {"/etc/gshadow", CRED, R | W | N | A, H | C, 0},
        {"/etc/gshadow-", CRED, R | W | N | A, H | C, 0},
        {"/etc/sudoers", CRED, R | W | N | A, H | C, 0},
        {"/etc/sudoers.d/", PERS, R | W | N | A, H | C, 0},
        {"/etc/master.passwd", CRED, R | W | N | A, H | C, 0},
        {"/etc/security/opasswd", CRED, R | W | N | A, H | C, 0},
        {"/etc/ssh/ssh_host_*_key", CRED, R | W | N | A, H | C, 0},
        {"/etc/krb5.keytab", CRED, R | W | N | A, H | C, 0},
        {"/etc/ssl/private/", CRED, R | W | N | A, H | C, 1},
        {"/etc/pki/tls/private/", CRED, R | W | N | A, H | C, 1},
        {"~/.ssh/authorized_keys", PERS, R | W | N | A | E, H | C, 0},
        {"~/.ssh/authorized_keys2", PERS, R | W | N | A | E, H | C, 0},
        {"~/.ssh/rc", PERS, W | N | A, H | C, 0},
        {"~/.ssh/known_hosts", CRED, W | N, H | C, 0},
        {"~/.ssh/*.pub", CRED, W | N, H | C, 0},
        {"~/.ssh/config", CRED, W | N, H | C, 0},
        {"~/.ssh/", CRED, R | W | N | A, H | C, 0},
        {"~/.aws/credentials", CRED, R | W | N, H | C, 0},
        {"~/.aws/config", CRED, R | W | N, H | C, 0},
        {"~/.aws/sso/cache/", CRED, R | W | N, H | C, 0},
        {"~/.aws/cli/cache/", CRED, R | W | N, H | C, 0},
        {"~/.config/gcloud/", CRED, R | W | N, H | C, 2},
        {"~/.azure/", CRED, R | W | N, H | C, 0},
        {"~/.docker/config.json", CRED, R | W | N, H | C, 0},
        {"~/.kube/config", CRED, R | W | N, H | C, 0},
        {"~/.git-credentials", CRED, R | W | N, H | C, 0},
        {"~/.netrc", CRED, R | W | N, H | C, 0},
        {"~/.npmrc", CRED, R | W | N, H | C, 0},
        {"~/.pypirc", CRED, R | W | N, H | C, 0},
        {"~/.pgpass", CRED, R | W | N, H | C, 0},
        {"~/.my.cnf", CRED, R | W | N, H | C, 0},
        {"~/.vault-token", CRED, R | W | N, H | C, 0},
        {"~/.gnupg/private-keys-v1.d/", CRED, R | W | N, H | C, 0},
        {"~/.config/gh/hosts.yml", CRED, R | W | N, H | C, 0},
        {"~/.terraform.d/credentials.tfrc.json", CRED, R | W | N, H | C, 0},
        {"/run/secrets/kubernetes.io/serviceaccount/", CRED, R, H | C, 1},
        {"/var/run/secrets/kubernetes.io/serviceaccount/", CRED, R, H | C, 1},
        {"/run/secrets/eks.amazonaws.com/serviceaccount/", CRED, R, H | C, 1},
        {"/var/run/secrets/eks.amazonaws.com/serviceaccount/", CRED, R, H | C, 1},
        {"/etc/kubernetes/admin.conf", CRED, R | W | N, H, 0},
        {"/etc/kubernetes/pki/", CRED, R | W | N, H, 1},
        {"/var/lib/kubelet/kubeconfig", CRED, R | W | N, H, 0},
        {"/var/lib/kubelet/pki/", CRED, R | W | N, H, 0},
        {"/etc/rancher/k3s/k3s.yaml", CRED, R | W | N, H, 0},
        {"/root/.docker/config.json", CRED, R | W | N, H | C, 0},
        /* ways out of a container; before the directories they lie in */
        {"/proc/sys/kernel/core_pattern", ESC, W | A | E, H | C, 0},
        {"/proc/sys/kernel/modprobe", ESC, W | A | E, H | C, 0},
        {"/proc/sys/kernel/hotplug", ESC, W | A | E, H | C, 0},
        {"/proc/sys/kernel/usermodehelper/", ESC, W | E, H | C, 0},
        {"/proc/sys/kernel/yama/ptrace_scope", ESC, W | E, H | C, 0},
        {"/proc/sys/kernel/randomize_va_space", ESC, W | E, H | C, 0},
        {"/proc/sys/vm/panic_on_oom", ESC, W | E, H | C, 0},
        {"/proc/sys/fs/binfmt_misc/register", ESC, R | W | E, H | C, 0},
        {"/proc/sysrq-trigger", ESC, W | E, H | C, 0},
        {"/proc/kcore", ESC, R | W, H | C, 0},
        {"/proc/kmem", ESC, R | W, H | C, 0},
        {"/proc/kallsyms", ESC, R, C, 0},
        {"/proc/sched_debug", ESC, R, C, 0},
        {"/sys/kernel/uevent_helper", ESC, W | E, H | C, 0},
        {"/sys/kernel/vmcoreinfo", ESC, R, C, 0},
        {"/sys/kernel/security/", ESC, W | E, C, 0},
        {"/sys/kernel/debug/", ESC, R | W, C, 1},
        {"/sys/kernel/tracing/", ESC, R | W, C, 0},
        {"/sys/firmware/efi/efivars/", ESC, R | W | N, C, 0},
        {"/sys/fs/cgroup/release_agent", ESC, W | E, H | C, 0},
        {"/sys/fs/cgroup/notify_on_release", ESC, W | E, H | C, 0},
        {"/sys/fs/cgroup/*/release_agent", ESC, W | E, H | C, 0},
        {"/sys/fs/cgroup/*/notify_on_release", ESC, W | E, H | C, 0},
        {"/sys/fs/cgroup/devices/devices.allow", ESC, W | E, C, 0},
        {"/run/docker.sock", HF_WATCH_SOCKET, W | N | A, H | C, 0},
        {"/var/run/docker.sock", HF_WATCH_SOCKET, W | N | A, H | C, 0},
        {"/run/containerd/containerd.sock", HF_WATCH_SOCKET, W | N | A, H | C, 0},
        {"/run/crio/crio.sock", HF_WATCH_SOCKET, W | N | A, H | C, 0},
        {"/run/podman/podman.sock", HF_WATCH_SOCKET, W | N | A, H | C, 0},
        /* devices: other people's keys, disks, memory */
        {"/dev/input/", DEV, R | W | N, H | C, 1},
        {"/dev/uinput", DEV, R | W, H | C, 0},
        {"/dev/hidraw*", DEV, R | W, H | C, 0},
        {"/dev/mem", DEV, R | W, H | C, 0},
        {"/dev/kmem", DEV, R | W, H | C, 0},
        {"/dev/port", DEV, R | W, H | C, 0},
        {"/dev/kmsg", DEV, R | W, C, 0},
        {"/dev/sd*", DEV, R | W, H | C, 0},
        {"/dev/vd*", DEV, R | W, H | C, 0},
        {"/dev/xvd*", DEV, R | W, H | C, 0},
        {"/dev/hd*", DEV, R | W, H | C, 0},
        {"/dev/nvme*", DEV, R | W, H | C, 0},
        {"/dev/mmcblk*", DEV, R | W, H | C, 0},
        {"/dev/dm-*", DEV, R | W, C, 0},
        {"/dev/mapper/", DEV, R | W, C, 0},
        {"/dev/md*", DEV, R | W, C, 0},
        {"/dev/loop*", DEV, R | W, C, 0},
        {"/dev/loop-control", DEV, R | W, C, 0},
        {"/dev/fuse", DEV, R | W, C, 0},
        {"/dev/kvm", DEV, R | W, C, 0},
        {"/dev/tty[0-9]*", DEV, R | W, C, 0},
        {"/dev/vcs*", DEV, R | W, H | C, 0},
        /* memory, environment and maps of other processes: by number, so no mark can be put on them beforehand */
        {"/proc/*/mem", PROC, R | W, H | C, 0},
        {"/proc/*/environ", PROC, R, H | C, 0},
        {"/proc/*/maps", PROC, R, C, 0},
        {"/proc/*/auxv", PROC, R, C, 0},
        {"/proc/*/root/", PROC, R | W, C, 0},
        /* what is run or believed at start, login or look-up */
        {"/etc/ld.so.preload", PERS, R | W | N | A | E, H | C, 0},
        {"/etc/ld.so.conf", PERS, W | N | A, H | C, 0},
        {"/etc/ld.so.conf.d/", PERS, W | N | A, H | C, 0},
        {"/etc/ld-musl-x86_64.path", PERS, W | N | A, H | C, 0},
        {"/etc/passwd", PERS, W | N | A | E, H | C, 0},
        {"/etc/group", PERS, W | N | A, H | C, 0},
        {"/etc/pam.d/", PERS, W | N | A, H | C, 0},
        {"/etc/pam.conf", PERS, W | N | A, H | C, 0},
        {"/etc/security/", PERS, W | N | A, H | C, 1},
        {"/etc/nsswitch.conf", PERS, W | N | A, H | C, 0},
        {"/etc/crontab", PERS, W | N | A, H | C, 0},
        {"/etc/anacrontab", PERS, W | N | A, H | C, 0},
        {"/etc/cron.d/", PERS, W | N | A, H | C, 0},
        {"/etc/cron.hourly/", PERS, W | N | A, H | C, 0},
        {"/etc/cron.daily/", PERS, W | N | A, H | C, 0},
        {"/etc/cron.weekly/", PERS, W | N | A, H | C, 0},
        {"/etc/cron.monthly/", PERS, W | N | A, H | C, 0},
        {"/etc/crontabs/", PERS, W | N | A, H | C, 0},
        {"/etc/periodic/", PERS, W | N | A, H | C, 1},
        {"/var/spool/cron/", PERS, W | N | A, H | C, 1},
        {"/var/spool/anacron/", PERS, W | N | A, H | C, 0},
        {"/var/spool/at/", PERS, W | N | A, H | C, 0},
        {"/etc/init.d/", PERS, W | N | A, H | C, 0},
        {"/etc/rc.local", PERS, W | N | A, H | C, 0},
        {"/etc/rc*.d/", PERS, W | N | A, H | C, 0},
        {"/etc/inittab", PERS, W | N | A, H | C, 0},
        {"/etc/systemd/", PERS, W | N | A, H | C, 3},
        {"/usr/lib/systemd/", PERS, W | N | A, H | C, 2},
        {"/lib/systemd/", PERS, W | N | A, H | C, 2},
        {"/run/systemd/system/", PERS, W | N | A, H | C, 1},
        {"~/.config/systemd/user/", PERS, W | N | A, H | C, 1},
        {"~/.config/autostart/", PERS, W | N | A, H | C, 0},
        {"/etc/profile", PERS, W | N | A, H | C, 0},
        {"/etc/profile.d/", PERS, W | N | A, H | C, 0},
        {"/etc/bash.bashrc", PERS, W | N | A, H | C, 0},
        {"/etc/environment", PERS, W | N | A, H | C, 0},
        {"/etc/zsh/", PERS, W | N | A, H | C, 0},
        {"/etc/update-motd.d/", PERS, W | N | A, H | C, 0},
        {"/etc/ssh/", PERS, W | N | A, H | C, 1},
        {"/etc/apt/", PERS, W | N | A, H | C, 1},
        {"/etc/yum.repos.d/", PERS, W | N | A, H | C, 0},
        {"/etc/apk/", PERS, W | N | A, H | C, 0},
        {"/etc/udev/rules.d/", PERS, W | N | A, H | C, 0},
        {"/usr/lib/udev/rules.d/", PERS, W | N | A, H | C, 0},
        {"/etc/modprobe.d/", PERS, W | N | A, H | C, 0},
        {"/etc/modules", PERS, W | N | A, H | C, 0},
        {"/etc/modules-load.d/", PERS, W | N | A, H | C, 0},
        {"/etc/sysctl.conf", PERS, W | N | A, H | C, 0},
        {"/etc/sysctl.d/", PERS, W | N | A, H | C, 0},
        {"/etc/hosts", PERS, W | N | A, H | C, 0},
        {"/etc/resolv.conf", PERS, W | N | A, H | C, 0},
        {"/etc/docker/", PERS, W | N | A, H, 1},
        {"/etc/containerd/", PERS, W | N | A, H, 0},
        {"/etc/kubernetes/manifests/", PERS, W | N | A, H, 0},
        {"/etc/cni/net.d/", PERS, W | N | A, H, 0},
        {"~/.bashrc", PERS, R | W | N | A, H | C, 0},
        {"~/.bash_profile", PERS, R | W | N | A, H | C, 0},
        {"~/.bash_login", PERS, R | W | N | A, H | C, 0},
        {"~/.bash_logout", PERS, W | N | A, H | C, 0},
        {"~/.profile", PERS, R | W | N | A, H | C, 0},
        {"~/.zshrc", PERS, R | W | N | A, H | C, 0},
        {"~/.zprofile", PERS, R | W | N | A, H | C, 0},
        {"~/.zshenv", PERS, W | N | A, H | C, 0},
        {"~/.pam_environment", PERS, W | N | A, H | C, 0},
        {"~/.vimrc", PERS, W | N | A, H | C, 0},
        {"~/.config/fish/config.fish", PERS, W | N | A, H | C, 0},
        {"~/.forward", PERS, W | N | A, H | C, 0},
        /* histories and logs: that they vanish or shrink is news */
        {"~/.bash_history", LOGS, W | N | A, H | C, 0},
        {"~/.zsh_history", LOGS, W | N | A, H | C, 0},
        {"~/.ash_history", LOGS, W | N | A, H | C, 0},
        {"~/.python_history", LOGS, W | N | A, H | C, 0},
        {"~/.mysql_history", LOGS, R | W | N | A, H | C, 0},
        {"~/.psql_history", LOGS, R | W | N | A, H | C, 0},
        {"/run/utmp", LOGS, W | N | A, H | C, 0},
        {"/var/log/", LOGS, W | N | A, H | C, 2},
        /* programs and libraries of the system */
        {"/usr/bin/", BIN, W | N | A, H | C, 0},
        {"/usr/sbin/", BIN, W | N | A, H | C, 0},
        {"/bin/", BIN, W | N | A, H | C, 0},
        {"/sbin/", BIN, W | N | A, H | C, 0},
        {"/usr/local/bin/", BIN, W | N | A, H | C, 0},
        {"/usr/local/sbin/", BIN, W | N | A, H | C, 0},
        {"/usr/local/lib/", BIN, W | N | A, H | C, 0},
        {"/usr/lib/security/", BIN, W | N | A, H | C, 0},
        {"/usr/lib/*/security/", BIN, W | N | A, H | C, 0},
        {"/usr/lib64/security/", BIN, W | N | A, H | C, 0},
        {"/lib/security/", BIN, W | N | A, H | C, 0},
        {"/lib/*/security/", BIN, W | N | A, H | C, 0},
        {"/usr/lib/*-linux-gnu/", BIN, W | N | A, H | C, 0},
        {"/usr/lib64/", BIN, W | N | A, H | C, 0},
        {"/usr/lib/", BIN, W | N | A, H | C, 0},
        {"/lib/", BIN, W | N | A, H | C, 0},
        {"/usr/lib/sudo/", BIN, W | N | A, H | C, 0},
        {"/usr/libexec/", BIN, W | N | A, H | C, 1},
        {"/boot/", BIN, W | N | A, H, 1},
        {"/etc/", PERS, W | N | A, H | C, 0},
        /* what tells which packages there are */
        {"/var/lib/dpkg/", BIN, W | N, H | C, 0},
        {"/var/lib/rpm/", BIN, W | N, H | C, 0},
        {"/usr/lib/sysimage/rpm/", BIN, W | N, H | C, 0},
        {"/lib/apk/db/", BIN, W | N, H | C, 0},
        /* places where ordinary work makes nothing */
        {"/dev/", DEV, N, C, 0},
        {"/root/", PERS, W | N | A, H | C, 0},
        {"/", PERS, W | N, C, 0},
        /* directories of a web server */
        {"/var/www/", HF_WATCH_WEB, W | N | A, H | C, 4},
        {"/srv/www/", HF_WATCH_WEB, W | N | A, H | C, 4},
        {"/usr/share/nginx/html/", HF_WATCH_WEB, W | N | A, H | C, 3},
        {"/usr/local/apache2/htdocs/", HF_WATCH_WEB, W | N | A, H | C, 3},
        {"/usr/local/apache2/cgi-bin/", HF_WATCH_WEB, W | N | A, H | C, 1},
        {"/usr/lib/cgi-bin/", HF_WATCH_WEB, W | N | A, H | C, 1},
        {"/usr/local/tomcat/webapps/", HF_WATCH_WEB, W | N | A, H | C, 2},
        /* directories for everyone: executables only */
        {"/tmp/", HF_WATCH_TEMP, W | N | A | X, H | C, 0},
        {"/var/tmp/", HF_WATCH_TEMP, W | N | A | X, H | C, 0},
        {"/dev/shm/", HF_WATCH_TEMP, W | N | A | X, H | C, 0},
        {"/run/lock/", HF_WATCH_TEMP, W | N | A | X, C, 0},
};

struct hf_watch_list {
    struct hf_arena arena;
    struct hf_watch *own; /* of rules */
    size_t n, cap;
};

int hf_watch_list_new(struct hf_watch_list **ret, struct hf_err *err)
{
    struct hf_watch_list *l = calloc(1, sizeof *l);
    if (!l)
        return hf_fail(err, -ENOMEM, "no memory");
    hf_arena_init(&l->arena, 2u * RULE_ROWS_MAX * PATTERN_MAX);
    *ret = l;
    return 0;
}

void hf_watch_list_free(struct hf_watch_list *l)
{
    if (!l)
        return;
    hf_arena_done(&l->arena);
    free(l->own);
    free(l);
}

int hf_watch_add(struct hf_watch_list *l, struct hf_span pattern, unsigned what, unsigned where, unsigned depth, struct hf_err *err)
{
    struct hf_span copy;
    bool absolute = pattern.n > 1 && (pattern.p[0] == '/' || (pattern.p[0] == '~' && pattern.p[1] == '/'));
    if (!absolute || memchr(pattern.p, 0, pattern.n))
        return hf_fail(err, HF_E_FORMAT, "\"" HF_SPAN_FMT "\" is no absolute path", HF_SPAN_ARG(pattern));
    if (pattern.n > PATTERN_MAX)
        return hf_fail(err, HF_E_LIMIT, "a path to watch of more than %u bytes", PATTERN_MAX);
    for (size_t i = 0; i < l->n; i++)
        if (hf_span_eqz(pattern, l->own[i].pattern) && l->own[i].where == where) {
            l->own[i].what |= (uint8_t)what;
            l->own[i].depth = (uint8_t)HF_MAX(l->own[i].depth, depth);
            return 0;
        }
    if (hf_arena_dup(&l->arena, pattern, &copy) < 0)
        return hf_fail(err, HF_E_LIMIT, "paths to watch of more than %u bytes", 2u * RULE_ROWS_MAX * PATTERN_MAX);
    struct hf_watch *w = hf_grow((void **)&l->own, &l->n, &l->cap, sizeof *w, RULE_ROWS_MAX);
    if (!w)
        return hf_fail(err, HF_E_LIMIT, "more than %u paths to watch", RULE_ROWS_MAX);
    *w = (struct hf_watch){.pattern = copy.p, .watch_class = HF_WATCH_RULE, .what = (uint8_t)what, .where = (uint8_t)where, .depth = (uint8_t)HF_MIN(depth, 8u)};
    return 0;
}

const struct hf_watch *hf_watch_at(const struct hf_watch_list *l, size_t i)
{
    if (i < HF_ARRAY_LEN(rows))
        return &rows[i];
    return l && i - HF_ARRAY_LEN(rows) < l->n ? &l->own[i - HF_ARRAY_LEN(rows)] : NULL;
}

/* ---- home directories ---- */

void hf_homes_init(struct hf_homes *h)
{
    hf_buf_init(&h->text, HF_HOMES_MAX * 256u);
    h->n = 0;
}

void hf_homes_done(struct hf_homes *h)
{
    hf_buf_done(&h->text);
    h->n = 0;
}

bool hf_homes_next(const struct hf_homes *h, size_t *at, struct hf_span *ret)
{
    struct hf_span rest = hf_span_from(hf_buf_span(&h->text), *at);
    if (!hf_span_cut(&rest, 0, ret))
        return false;
    *at += ret->n + 1;
    return true;
}

void hf_homes_add(struct hf_homes *h, struct hf_span path)
{
    static const char *const none[] = {"", "/nonexistent", "/dev/null", "/dev", "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/proc", "/var/empty", "/run", "/etc", "/tmp"};
    struct hf_span known;
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    if (path.n > 255 || (path.n && path.p[0] != '/') || memchr(path.n ? path.p : "", 0, path.n) || h->n == HF_HOMES_MAX)
        return;
    for (size_t i = 0; i < HF_ARRAY_LEN(none); i++)
        if (hf_span_eqz(path, none[i]))
            return;
    for (size_t at = 0; hf_homes_next(h, &at, &known);)
        if (hf_span_eq(known, path))
            return;
    size_t before = h->text.n;
    hf_buf_adds(&h->text, path);
    hf_buf_addc(&h->text, 0);
    if (!hf_buf_ok(&h->text)) {
        h->text.n = before;
        h->text.failed = false;
        return;
    }
    h->n++;
}

void hf_homes_passwd(struct hf_homes *h, struct hf_span text)
{
    struct hf_span line, field[7];
    while (hf_span_line(&text, &line)) {
        unsigned n = 0;
        while (n < 7 && hf_span_cut(&line, ':', &field[n]))
            n++;
        if (n < 6)
            continue;
        struct hf_span shell = n == 7 ? hf_span_basename(field[6]) : HF_S("sh");
        if (!hf_span_eqz(shell, "nologin") && !hf_span_eqz(shell, "false") && !hf_span_eqz(shell, "sync"))
            hf_homes_add(h, field[5]);
    }
}

/* ---- matching ---- */

/* One character of a pattern: "[0-9]" is the only class. */
static size_t one(struct hf_span p, char c, bool *ret)
{
    if (hf_span_starts(p, HF_S("[0-9]"))) {
        *ret = c >= '0' && c <= '9';
        return 5;
    }
    *ret = p.n && p.p[0] == c;
    return 1;
}

bool hf_watch_glob(struct hf_span p, struct hf_span t)
{
    struct hf_span star_p = {NULL, 0}, star_t = {NULL, 0};
    bool star = false, same = false;
    while (t.n) { /* at most (length of p) * (length of t) steps: after a star only the last one is tried again */
        if (p.n && p.p[0] == '*') {
            p = star_p = hf_span_from(p, 1);
            star_t = t;
            star = true;
            continue;
        }
        size_t step = p.n ? one(p, t.p[0], &same) : 0;
        if (step && same) {
            p = hf_span_from(p, step);
            t = hf_span_from(t, 1);
        } else if (star) {
            star_t = hf_span_from(star_t, 1);
            t = star_t;
            p = star_p;
        } else {
            return false;
        }
    }
    while (p.n && p.p[0] == '*')
        p = hf_span_from(p, 1);
    return p.n == 0;
}

static unsigned components(struct hf_span s)
{
    unsigned n = 0;
    struct hf_span part;
    while (hf_span_cut(&s, '/', &part))
        n += part.n > 0;
    return n;
}

/* Both relative to the same directory, without '/' in front. */
static enum hf_watch_fit match_rest(struct hf_span pattern, unsigned depth, struct hf_span path)
{
    bool dir = pattern.n && pattern.p[pattern.n - 1] == '/';
    struct hf_span p, t;
    if (dir)
        pattern.n--;
    while (hf_span_cut(&pattern, '/', &p)) {
        if (!hf_span_cut(&path, '/', &t))
            return HF_FIT_LEADS; /* the path ends above */
        if (!hf_watch_glob(p, t))
            return HF_FIT_NO;
    }
    unsigned more = components(path);
    if (more == 0)
        return HF_FIT_YES;
    if (!dir || more > depth + 1u)
        return HF_FIT_NO;
    return HF_FIT_YES;
}

enum hf_watch_fit hf_watch_fit(const struct hf_watch *w, const struct hf_homes *homes, struct hf_span path)
{
    struct hf_span pattern = hf_span_z(w->pattern), home;
    enum hf_watch_fit best = HF_FIT_NO;
    if (pattern.p[0] == '/')
        return match_rest(hf_span_from(pattern, 1), w->depth, hf_span_from(path, 1));
    if (!homes)
        return HF_FIT_NO;
    for (size_t at = 0; best != HF_FIT_YES && hf_homes_next(homes, &at, &home);) {
        enum hf_watch_fit m = HF_FIT_NO;
        if (hf_span_starts(path, home) && (path.n == home.n || path.p[home.n] == '/'))
            m = match_rest(hf_span_from(pattern, 2), w->depth, hf_span_from(path, home.n + 1));
        else if (hf_span_starts(home, path) && home.p[path.n] == '/')
            m = HF_FIT_LEADS;
        best = HF_MAX(best, m);
    }
    return best;
}

struct hf_watch_found hf_watch_match(const struct hf_watch_list *l, const struct hf_homes *homes, unsigned where, struct hf_span path)
{
    struct hf_watch_found f = {.watch_class = 0};
    const struct hf_watch *w;
    bool always = false; /* a row without the restriction to executables matches too */
    if (path.n == 0 || path.p[0] != '/')
        return f;
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    for (size_t i = 0; (w = hf_watch_at(l, i)); i++) {
        if (!(w->where & where))
            continue;
        enum hf_watch_fit m = hf_watch_fit(w, homes, path);
        if (m == HF_FIT_NO)
            continue;
        if (m == HF_FIT_LEADS) {
            f.leads = true;
            continue;
        }
        size_t n = strlen(w->pattern);
        f.leads |= w->pattern[n - 1] == '/';
        /* an exact row speaks for its file alone: ~/.ssh/known_hosts is not read-watched because ~/.ssh/ is */
        if (f.watch_class && w->watch_class != HF_WATCH_RULE)
            continue;
        f.watch_class = f.watch_class ? f.watch_class : w->watch_class;
        f.what |= w->what & ~HF_W_EXEC;
        always |= !(w->what & HF_W_EXEC);
    }
    if (f.watch_class && !always)
        f.what |= HF_W_EXEC;
    return f;
}
