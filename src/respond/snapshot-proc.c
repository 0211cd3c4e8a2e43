// SPDX-License-Identifier: Apache-2.0
/* What /proc says of a container's processes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include "respond/snapshot-internal.h"
#include "sensor/snapshot/env-names.h"

#define PROCS_DETAIL 2048u        /* processes told in full */
#define FDS_MAX 512u              /* of a process */
#define TEXT_MAX (256u << 10)     /* of a text of /proc kept whole; a longer one is cut */
#define ARGS_MAX 65536u
#define ENV_MAX 16384u
#define JSON_MAX (48u << 20)
#define MAPS_PROCS 256u
#define EXE_BYTES (1ull << 30)
#define EXES_MAX 1024u

struct exe {
    dev_t dev;
    ino_t ino;
    int64_t ctime_ns;
    char sha256[65];
};
struct looker {
    struct hf_bundle_out *b;
    struct hf_jw *w;
    struct exe *exes;
    size_t n_exes, cap_exes;
};

/* The beginning of a text that may have no end. */
static int text_at(int proc, const char *name, size_t max, struct hf_buf *out, bool *ret_cut)
{
    hf_autoclose int fd = openat(proc, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    hf_buf_clear(out);
    *ret_cut = false;
    if (fd < 0 || !hf_buf_reserve(out, max))
        return -ENOENT;
    while (out->n < max) {
        ssize_t n = read(fd, out->p + out->n, max - out->n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && !out->n ? -errno : 0;
        out->n += (size_t)n;
    }
    *ret_cut = true;
    return 0;
}

static void link_member(struct looker *l, int proc, const char *name, const char *key)
{
    char target[4096];
    ssize_t n = readlinkat(proc, name, target, sizeof target);
    if (n > 0)
        hf_jw_kstr(l->w, key, hf_span(target, (size_t)n));
}

/* Once a file; not of what is no file, or too big, or when time is over. */
static const char *digest_of(struct looker *l, int proc)
{
    struct stat st;
    hf_autoclose int fd = openat(proc, "exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > EXE_BYTES)
        return NULL;
    int64_t ctime_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
    for (size_t i = 0; i < l->n_exes; i++)
        if (l->exes[i].dev == st.st_dev && l->exes[i].ino == st.st_ino && l->exes[i].ctime_ns == ctime_ns)
            return l->exes[i].sha256;
    hf_autofree char *bytes = malloc(1u << 20);
    hf_cleanup(hf_hash_freep) struct hf_hash *h = bytes ? hf_hash_new(HF_SHA256) : NULL;
    uint8_t d[64];
    ssize_t n = h ? 1 : -1;
    while (n > 0 && !hf_bundle_late(l->b)) {
        n = read(fd, bytes, 1u << 20);
        if (n > 0)
            hf_hash_add(h, bytes, (size_t)n);
    }
    struct exe *e = n == 0 ? hf_grow((void **)&l->exes, &l->n_exes, &l->cap_exes, sizeof *e, EXES_MAX) : NULL;
    if (!e)
        return NULL;
    hf_hash_end(h, d);
    e->dev = st.st_dev;
    e->ino = st.st_ino;
    e->ctime_ns = ctime_ns;
    hf_hex(d, 32, e->sha256);
    return e->sha256;
}

static void nul_list(struct looker *l, const char *key, struct hf_span list)
{
    struct hf_span one;
    hf_jw_key(l->w, key);
    hf_jw_array(l->w);
    while (hf_span_cut(&list, 0, &one))
        hf_jw_str(l->w, one);
    hf_jw_array_end(l->w);
}

/* Lines "Name:\tvalue" of /proc/PID/status that matter. */
static void status(struct looker *l, struct hf_span text)
{
    static const char *const wanted[] = {"Name", "State", "PPid", "NSpid", "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "VmRSS", "Threads", "TracerPid"};
    struct hf_span line, name;
    hf_jw_key(l->w, "status");
    hf_jw_object(l->w);
    while (hf_span_line(&text, &line)) {
        if (!hf_span_cut(&line, ':', &name))
            continue;
        for (size_t i = 0; i < HF_ARRAY_LEN(wanted); i++)
            if (hf_span_eqz(name, wanted[i]))
                hf_jw_kstr(l->w, wanted[i], hf_span_trim(line));
    }
    hf_jw_object_end(l->w);
}

static void files(struct looker *l, int proc, pid_t pid)
{
    int fd = openat(proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    unsigned n = 0;
    if (fd >= 0 && !d)
        close(fd);
    hf_jw_key(l->w, "files");
    hf_jw_array(l->w);
    for (struct dirent *e; d && (e = readdir(d));) {
        char target[4096];
        if (e->d_name[0] == '.')
            continue;
        if (n++ >= FDS_MAX) {
            hf_bundle_lacks(l->b, "open files of process %d beyond %u", (int)pid, FDS_MAX);
            break;
        }
        ssize_t len = readlinkat(dirfd(d), e->d_name, target, sizeof target);
        hf_jw_object(l->w);
        hf_jw_kstrz(l->w, "fd", e->d_name);
        hf_jw_kstr(l->w, "to", hf_span(target, (size_t)HF_MAX(len, 0)));
        hf_jw_object_end(l->w);
    }
    hf_jw_array_end(l->w);
    if (d)
        closedir(d);
}

static void namespaces(struct looker *l, int proc)
{
    static const char *const kinds[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
    hf_jw_key(l->w, "namespaces");
    hf_jw_object(l->w);
    for (size_t i = 0; i < HF_ARRAY_LEN(kinds); i++) {
        char path[32];
        snprintf(path, sizeof path, "ns/%s", kinds[i]);
        link_member(l, proc, path, kinds[i]);
    }
    hf_jw_object_end(l->w);
}

static void process(struct looker *l, pid_t pid)
{
    hf_autobuf text = HF_BUF_INIT(TEXT_MAX), env = HF_BUF_INIT(ENV_MAX);
    char path[32];
    bool cut;
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    hf_autoclose int proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t start = hf_proc_start(pid);
    if (proc < 0 || !start)
        return; /* has ended */
    hf_jw_object(l->w);
    hf_jw_ku64(l->w, "pid", (uint64_t)pid);
    hf_jw_ku64(l->w, "start_ticks", start);
    if (text_at(proc, "status", TEXT_MAX, &text, &cut) == 0)
        status(l, hf_buf_span(&text));
    link_member(l, proc, "exe", "exe");
    const char *digest = digest_of(l, proc);
    if (digest)
        hf_jw_kstrz(l->w, "exe_sha256", digest);
    link_member(l, proc, "cwd", "cwd");
    link_member(l, proc, "root", "root");
    if (text_at(proc, "cmdline", ARGS_MAX, &text, &cut) == 0)
        nul_list(l, "args", hf_buf_span(&text));
    if (cut)
        hf_bundle_lacks(l->b, "arguments of process %d beyond %u bytes", (int)pid, ARGS_MAX);
    if (text_at(proc, "environ", ARGS_MAX, &text, &cut) == 0) {
        hf_env_filter(hf_buf_span(&text), ENV_MAX, &env);
        nul_list(l, "env", hf_buf_span(&env));
    }
    if (text_at(proc, "cgroup", TEXT_MAX, &text, &cut) == 0)
        hf_jw_kstr(l->w, "cgroups", hf_buf_span(&text));
    namespaces(l, proc);
    files(l, proc, pid);
    hf_jw_object_end(l->w);
}

/* A text of /proc as a member of its own. */
static int member(struct hf_bundle_out *b, pid_t pid, const char *file, const char *name, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(TEXT_MAX);
    char path[64];
    bool cut;
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    hf_autoclose int proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0 || text_at(proc, file, TEXT_MAX, &text, &cut) < 0)
        return 0;
    if (cut)
        hf_bundle_lacks(b, "%s beyond %u bytes", name, TEXT_MAX);
    return hf_bundle_add(b, name, hf_buf_span(&text), err);
}

static int network(struct hf_bundle_out *b, const struct hf_netns *ns, struct hf_err *err)
{
    static const char *const tables[] = {"tcp", "tcp6", "udp", "udp6", "raw", "raw6", "unix", "packet", "dev", "route", "ipv6_route", "arp", "if_inet6"};
    int rc = 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(tables) && rc == 0; i++) {
        char file[32], name[64];
        snprintf(file, sizeof file, "net/%s", tables[i]);
        snprintf(name, sizeof name, "net/%llu/%s", (unsigned long long)ns->ino, tables[i]);
        rc = member(b, ns->pid, file, name, err);
    }
    return rc;
}

static int texts(struct hf_bundle_out *b, const struct hf_target *t, const pid_t *pids, size_t n, struct hf_err *err)
{
    hf_cleanup(hf_netns_list_done) struct hf_netns_list nets = {.n = 0};
    struct hf_err why = HF_ERR_INIT;
    int rc = 0;
    for (size_t i = 0; i < n && i < MAPS_PROCS && rc == 0 && !hf_bundle_late(b); i++) {
        char name[64];
        snprintf(name, sizeof name, "proc/%d/maps", (int)pids[i]);
        rc = member(b, pids[i], "maps", name, err);
    }
    if (n > MAPS_PROCS)
        hf_bundle_lacks(b, "memory maps of %zu processes", n - MAPS_PROCS);
    pid_t first = hf_target_pid(t);
    if (rc == 0 && first)
        rc = member(b, first, "mountinfo", "mountinfo", err);
    if (rc == 0 && hf_netns_list(t, &nets, &why) < 0)
        hf_bundle_lacks(b, "sockets: %s", why.msg);
    else if (rc == 0 && nets.host)
        hf_bundle_lacks(b, "sockets of the host's network, which it uses: they are not told apart by namespace");
    for (size_t i = 0; rc == 0 && !why.msg[0] && i < nets.n; i++)
        rc = network(b, &nets.v[i], err);
    return rc;
}

int hf_snapshot_processes(struct hf_bundle_out *b, const struct hf_target *t, struct hf_err *err)
{
    hf_autofree pid_t *pids = calloc(HF_TARGET_PROCS, sizeof *pids);
    hf_autobuf json = HF_BUF_INIT(JSON_MAX);
    struct hf_jw w;
    struct looker l = {.b = b, .w = &w};
    struct hf_err why = HF_ERR_INIT;
    size_t n = 0, i;
    if (!pids)
        return hf_fail(err, -ENOMEM, "no memory for the processes");
    if (hf_target_procs(t->dir, pids, HF_TARGET_PROCS, &n, &why) < 0)
        hf_bundle_lacks(b, "processes: %s", why.msg);
    hf_jw_init(&w, &json, true);
    hf_jw_array(&w);
    for (i = 0; i < n && i < PROCS_DETAIL && json.n < JSON_MAX / 2 && !hf_bundle_late(b); i++)
        process(&l, pids[i]);
    if (i < n)
        hf_bundle_lacks(b, "%zu of %zu processes", n - i, n);
    hf_jw_array_end(&w);
    hf_buf_addc(&json, '\n');
    free(l.exes);
    int rc = hf_buf_ok(&json) ? hf_bundle_add(b, "processes.json", hf_buf_span(&json), err) : hf_fail(err, HF_E_LIMIT, "the list of processes is over %u bytes", JSON_MAX);
    return rc < 0 ? rc : texts(b, t, pids, HF_MIN(i, n), err);
}
