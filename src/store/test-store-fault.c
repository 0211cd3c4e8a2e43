/* SPDX-License-Identifier: Apache-2.0 */
/* A full disk and a damaged page: a clear error, and the rest goes on. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "store/audit.h"
#include "store/incidents.h"
#include "store/keep.h"
#include "store/settings.h"
#include "store/sql.h"
#include "tap.h"

#define S(z) hf_span_z(z)
#define NONE ((struct hf_span){NULL, 0})
static struct hf_err err;

static bool says(const char *part)
{
    bool found = strstr(err.msg, part) != NULL;
    if (!found)
        printf("# the error is \"%s\"\n", err.msg);
    return found;
}

static int erase(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static int add(struct hf_store *s, unsigned i)
{
    static char doc[2000];
    int n = snprintf(doc, sizeof doc, "MARK-%06u-", i);
    memset(doc + n, 'x', sizeof doc - (size_t)n);
    return hf_store_alert_add(s, &(struct hf_alert_row){.time = i + 1, .rule = S("r"), .doc = hf_span(doc, sizeof doc)}, NULL, &err);
}

static int64_t count(struct hf_store *s, const char *sql)
{
    int64_t n = -1;
    return hf_sql_get_int(s, &err, &n, sql, HF_NO_VALUES) < 0 ? -1 : n;
}

/* Writes until it fails, sees what is left, makes room, goes on. */
static void fills_up(const char *dir, void (*more)(const char *dir))
{
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    char url[200];
    snprintf(url, sizeof url, "sqlite:%s/full.db", dir);
    EQ_I(hf_store_open(&s, url, &err), 0);
    if (!s)
        return;
    EQ_I(hf_store_audit_add(s, &(struct hf_audit_entry){.by = S("x")}, NULL, &err), 0);
    unsigned n = 0;
    int rc = 0;
    while (n < 20000 && (rc = add(s, n)) == 0)
        n++;
    EQ_I(rc, -ENOSPC);
    OK(says("full.db") && n > 50);
    printf("# after %u: %s\n", n, err.msg);
    /* again and again: still a clear error, and what was acknowledged is readable */
    EQ_I(add(s, n), -ENOSPC);
    {
        hf_autotx tx = {0};
        rc = hf_tx_begin(&tx, s, &err);
        for (int i = 0; i < 2000 && rc >= 0; i++)
            rc = add(s, n);
        if (rc >= 0) /* it was all in memory until now */
            rc = hf_tx_commit(&tx, &err);
        EQ_I(rc, -ENOSPC);
    }
    EQ_I(count(s, "SELECT count(*) FROM alerts"), n);
    EQ_I(hf_store_audit_verify(s, NULL, NULL, &err), 0);
    hf_store_closep(&s);
    EQ_I(hf_store_open(&s, url, &err), 0); /* a full disk does not keep it from being opened */
    EQ_I(count(s, "SELECT count(*) FROM alerts"), n);
    more(dir);
    EQ_I(add(s, n), 0);
    EQ_I(count(s, "SELECT count(*) FROM alerts"), n + 1);
    EQ_I(hf_store_check(s, NULL, NULL, &err), 0);
}

static void lift_limit(const char *dir)
{
    (void)dir;
    struct rlimit r;
    getrlimit(RLIMIT_FSIZE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_FSIZE, &r);
}

static void remount(const char *dir)
{
    if (mount("none", dir, "tmpfs", MS_REMOUNT, "size=16m") < 0)
        printf("# remount: %s\n", strerror(errno));
}

static void full_disk(const char *dir)
{
    char path[200];
    struct rlimit r;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &r);
    r.rlim_cur = 2 << 20;
    setrlimit(RLIMIT_FSIZE, &r);
    fills_up(dir, lift_limit);
    snprintf(path, sizeof path, "%s/small", dir);
    if (mkdir(path, 0700) < 0 || mount("none", path, "tmpfs", 0, "size=3m") < 0) {
        printf("ok - # SKIP a small tmpfs cannot be mounted: %s\n", strerror(errno));
        return;
    }
    fills_up(path, remount);
    EQ_I(umount(path), 0);
}

/* ---- damage ---- */

struct found {
    unsigned good, bad;
    bool alerts, others;
};

static void part(void *ctx, const char *name, uint64_t rows, const char *problem)
{
    struct found *f = ctx;
    (void)rows;
    f->good += !problem;
    f->bad += problem != NULL;
    if (problem) {
        printf("# %s: %s\n", name, problem);
        *(strcmp(name, "alerts") == 0 ? &f->alerts : &f->others) = true;
    }
}

/* Overwrites the page that holds the mark, as a dying disk does. */
static void damage(const char *path, const char *mark)
{
    hf_autobuf all = HF_BUF_INIT(64 << 20);
    hf_autoclose int fd = open(path, O_RDWR | O_CLOEXEC);
    static char buf[65536];
    ssize_t n;
    while ((n = read(fd, buf, sizeof buf)) > 0)
        hf_buf_add(&all, buf, (size_t)n);
    size_t at = hf_span_search(hf_buf_span(&all), S(mark));
    OK(at != SIZE_MAX);
    memset(buf, 0xa5, 4096);
    EQ_I(pwrite(fd, buf, 4096, (off_t)(at / 4096 * 4096)), 4096);
}

static int any(void *ctx, const struct hf_alert_row *row)
{
    (void)row;
    ++*(unsigned *)ctx;
    return 0;
}

static void bad_page(const char *dir)
{
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    char url[200];
    unsigned seen = 0;
    snprintf(url, sizeof url, "sqlite:%s/bad.db", dir);
    EQ_I(hf_store_open(&s, url, &err), 0);
    for (unsigned i = 0; i < 300; i++) {
        if (add(s, i) < 0)
            OK(false);
    }
    EQ_I(hf_store_setting_put(s, S("k"), S("v"), &err), 0);
    EQ_I(hf_store_audit_add(s, &(struct hf_audit_entry){.by = S("x")}, NULL, &err), 0);
    hf_store_closep(&s); /* everything is in the file itself now */
    damage(url + 7, "MARK-000150-");
    EQ_I(hf_store_open(&s, url, &err), 0);
    EQ_I(hf_store_alert_list(s, NONE, 0, 0, any, &seen, &err), -EIO);
    OK(says("bad.db, table alerts: ") && seen > 0 && seen < 300);
    printf("# %s\n", err.msg);
    /* the rest goes on */
    hf_autobuf got = HF_BUF_INIT(100);
    EQ_I(hf_store_setting_get(s, S("k"), &got, &err), 1);
    EQ_I(hf_store_setting_put(s, S("k"), S("w"), &err), 0);
    EQ_I(hf_store_audit_add(s, &(struct hf_audit_entry){.by = S("y")}, NULL, &err), 0);
    EQ_I(hf_store_audit_verify(s, NULL, NULL, &err), 0);
    seen = 0;
    EQ_I(hf_store_alert_list(s, NONE, 200, 0, any, &seen, &err), 0); /* and so do the alerts behind the page */
    EQ_U(seen, 100);
    EQ_I(add(s, 301), 0);
    struct found f = {0};
    OK(hf_store_check(s, part, &f, &err) > 0);
    OK(f.alerts && !f.others && f.good >= 12);
    /* moving it says which table cannot be moved, and moves nothing */
    hf_cleanup(hf_store_closep) struct hf_store *t = NULL;
    snprintf(url, sizeof url, "sqlite:%s/moved.db", dir);
    EQ_I(hf_store_open(&t, url, &err), 0);
    EQ_I(hf_store_migrate(s, t, NULL, NULL, &err), -EIO);
    OK(says("table alerts"));
    EQ_I(count(t, "SELECT count(*) FROM audit"), 0);
    EQ_I(count(t, "SELECT count(*) FROM alerts"), 0);
}

/* The first page damaged, cut files, junk behind the header: an error, never a crash. */
static void bad_files(const char *dir)
{
    char url[200], good[200];
    struct hf_store *s = NULL;
    hf_autobuf all = HF_BUF_INIT(64 << 20);
    snprintf(good, sizeof good, "sqlite:%s/base.db", dir);
    EQ_I(hf_store_open(&s, good, &err), 0);
    EQ_I(hf_store_audit_add(s, &(struct hf_audit_entry){.by = S("x"), .what = S("y")}, NULL, &err), 0);
    hf_store_closep(&s);
    int fd = open(good + 7, O_RDONLY | O_CLOEXEC);
    static char buf[65536];
    ssize_t n;
    while ((n = read(fd, buf, sizeof buf)) > 0)
        hf_buf_add(&all, buf, (size_t)n);
    close(fd);
    unsigned opened = 0, refused = 0, right = 0, rounds = 400;
    uint32_t seed = 12345;
    for (unsigned i = 0; i < rounds; i++) {
        snprintf(url, sizeof url, "sqlite:%s/junk-%u.db", dir, i);
        fd = open(url + 7, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        size_t len = i % 4 == 0 ? (size_t)(all.n * i / rounds) : all.n;
        if (write(fd, all.p, len) != (ssize_t)len)
            OK(false);
        for (unsigned k = 0; len && k < 1u << i % 8; k++) { /* 1 to 128 bytes changed, half of the time in the first page */
            seed = seed * 1664525 + 1013904223;
            char b = (char)(seed >> 24);
            size_t at = (seed >> 3) % (i & 1 ? HF_MIN(len, (size_t)4096) : len);
            if (pwrite(fd, &b, 1, (off_t)at) != 1)
                OK(false);
        }
        close(fd);
        err.msg[0] = 0;
        if (hf_store_open(&s, url, &err) < 0) {
            refused++;
            right += strstr(err.msg, "junk-") != NULL;
        } else {
            struct found f = {0};
            opened++;
            (void)!add(s, 1);
            right += hf_store_check(s, NULL, &f, &err) >= 0;
            hf_store_closep(&s);
        }
        unlink(url + 7);
    }
    EQ_U(right, rounds);
    OK(opened > 20 && refused > 20);
    printf("# %u opened, %u refused\n", opened, refused);
}

int main(void)
{
    char dir[] = "/tmp/hf-fault-XXXXXX";
    OK(mkdtemp(dir) != NULL);
    full_disk(dir);
    bad_page(dir);
    bad_files(dir);
    nftw(dir, erase, 16, FTW_DEPTH | FTW_PHYS);
    return tap_done();
}
