/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store-suite.h"
#include "store/test-pg.h"

#include <sys/mount.h>

/* The server goes away and comes back: the call says so, the next ones work, what was acknowledged is there. */
static void lost_server(struct test_pg *pg)
{
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    hf_autobuf got = HF_BUF_INIT(4096);
    EQ_I(good(hf_store_open(&s, pg->url, &err)), 0);
    EQ_I(good(hf_store_setting_put(s, S("kept"), S("yes"), &err)), 0);
    {
        hf_autotx tx = {0};
        EQ_I(good(hf_tx_begin(&tx, s, &err)), 0);
        EQ_I(good(hf_store_setting_put(s, S("kept"), S("no"), &err)), 0);
        test_pg_halt(pg, SIGQUIT);
        EQ_I(hf_store_setting_put(s, S("kept"), S("never"), &err), -ECONNRESET);
        EQ_I(hf_tx_commit(&tx, &err), -ECONNRESET);
    }
    EQ_I(hf_store_setting_get(s, S("kept"), &got, &err), -ECONNRESET);
    OK(test_pg_server(pg));
    EQ_I(good(hf_store_setting_get(s, S("kept"), &got, &err)), 1);
    EQ_S(hf_buf_span(&got), "yes");
}

/* Several processes open a database without tables at once: one makes them, the others wait for it. */
static void made_once(const struct test_pg *pg)
{
    unsigned opened = 0;
    for (unsigned round = 0; round < 4; round++) {
        char name[20], url[300];
        pid_t pids[6];
        snprintf(name, sizeof name, "new%u", round);
        const char *const create[] = {"createdb", "-h", pg->dir, "-U", "holdfast", name, NULL};
        OK(test_pg_run(pg, create));
        snprintf(url, sizeof url, "postgresql://holdfast@/%s?host=%s", name, pg->dir);
        for (size_t i = 0; i < HF_ARRAY_LEN(pids); i++)
            if ((pids[i] = fork()) == 0) {
                struct hf_store *s = NULL;
                _exit(hf_store_open(&s, url, &err) < 0);
            }
        for (size_t i = 0; i < HF_ARRAY_LEN(pids); i++) {
            int status = 1;
            opened += waitpid(pids[i], &status, 0) == pids[i] && status == 0;
        }
    }
    EQ_U(opened, 4 * 6);
}

/* The other direction: a small SQLite store to PostgreSQL. */
static void move_to_pg(const struct test_pg *pg)
{
    const char *const create[] = {"createdb", "-h", pg->dir, "-U", "holdfast", "moved", NULL};
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL, *t = NULL;
    char dir[] = "/tmp/hf-move-XXXXXX", url[300];
    hf_autobuf got = HF_BUF_INIT(4096);
    OK(test_pg_run(pg, create) && mkdtemp(dir));
    snprintf(url, sizeof url, "sqlite:%s/s.db", dir);
    EQ_I(good(hf_store_open(&s, url, &err)), 0);
    snprintf(url, sizeof url, "postgresql://holdfast@/moved?host=%s", pg->dir);
    EQ_I(good(hf_store_open(&t, url, &err)), 0);
    EQ_I(good(hf_store_setting_put(s, S("k"), hf_span("\xc3\xa9\0", 3), &err)), 0);
    EQ_I(good(hf_store_audit_add(s, &(struct hf_audit_entry){.by = hf_span("\0\xff", 2), .what = S("x")}, NULL, &err)), 0);
    EQ_I(good(hf_store_migrate(s, t, NULL, NULL, &err)), 0);
    EQ_I(good(hf_store_setting_get(t, S("k"), &got, &err)), 1);
    EQ_S(hf_buf_span(&got), "\xc3\xa9\xef\xbf\xbd");
    nftw(dir, test_pg_erase, 16, FTW_DEPTH | FTW_PHYS);
}

/* tests/store/v1.sql: pg_dump of a store that the program of version 1 made. */
static void from_version_1(const struct test_pg *pg)
{
    const char *const create[] = {"createdb", "-h", pg->dir, "-U", "holdfast", "v1", NULL};
    char path[600], copy[100], url[300], url2[100], dir[] = "/tmp/hf-v1-XXXXXX", text[65536];
    const char *root = getenv("HF_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/store/v1.sql", root ? root : ".");
    snprintf(copy, sizeof copy, "%s/v1.sql", pg->dir); /* where the server's user can read it */
    const char *const load[] = {"psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", "-h", pg->dir, "-U", "holdfast", "-d", "v1", "-f", copy, NULL};
    {
        hf_autoclose int in = open(path, O_RDONLY | O_CLOEXEC), out = open(copy, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        ssize_t n = read(in, text, sizeof text);
        OK(n > 10000 && n < (ssize_t)sizeof text && write(out, text, (size_t)n) == n);
    }
    OK(test_pg_run(pg, create) && test_pg_run(pg, load) && mkdtemp(dir));
    snprintf(url, sizeof url, "postgresql://holdfast@/v1?host=%s", pg->dir);
    snprintf(url2, sizeof url2, "sqlite:%s/s.db", dir);
    version_1(url, url2);
    nftw(dir, test_pg_erase, 16, FTW_DEPTH | FTW_PHYS);
}

static void encoding(const struct test_pg *pg)
{
    const char *const create[] = {"createdb", "-h", pg->dir, "-U", "holdfast", "-E", "LATIN1", "-T", "template0", "--locale=C", "latin", NULL};
    char url[300];
    struct hf_store *s = NULL;
    OK(test_pg_run(pg, create));
    snprintf(url, sizeof url, "postgresql://holdfast@/latin?host=%s", pg->dir);
    EQ_I(hf_store_open(&s, url, &err), HF_E_UNSUPPORTED);
    OK(says("must be UTF8"));
    snprintf(url, sizeof url, "postgresql://holdfast@/none?host=%s", pg->dir);
    OK(hf_store_open(&s, url, &err) < 0);
    OK(says("\"none\" does not exist"));
}

/* A page of a table overwritten while the server is down: an error that names the table, and the rest goes on. */
static void bad_page(struct test_pg *pg)
{
    const char *const create[] = {"createdb", "-h", pg->dir, "-U", "holdfast", "bad", NULL};
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    char url[300], path[400] = "";
    OK(test_pg_run(pg, create));
    snprintf(url, sizeof url, "postgresql://holdfast@/bad?host=%s", pg->dir);
    EQ_I(good(hf_store_open(&s, url, &err)), 0);
    for (int i = 0; i < 100; i++) {
        if (good(hf_store_alert_add(s, &(struct hf_alert_row){.time = i, .doc = hf_span(pg->dir, sizeof pg->dir)}, NULL, &err)) < 0)
            OK(false);
    }
    EQ_I(good(hf_store_audit_add(s, &(struct hf_audit_entry){.by = S("x")}, NULL, &err)), 0);
    EQ_I(good(hf_sql_run(s, &err, "CHECKPOINT", HF_NO_VALUES)), 0);
    {
        hf_autorows r = {0};
        EQ_I(good(hf_sql_query(&r, s, &err, "SELECT CAST(pg_relation_filepath('alerts') AS TEXT)", HF_NO_VALUES)), 0);
        EQ_I(hf_sql_next(&r, &err), 1);
        snprintf(path, sizeof path, "%s/data/" HF_SPAN_FMT, pg->dir, HF_SPAN_ARG(hf_sql_text(&r, 0)));
    }
    hf_store_closep(&s);
    test_pg_halt(pg, SIGINT);
    char junk[8192];
    memset(junk, 0xa5, sizeof junk);
    hf_autoclose int fd = open(path, O_RDWR | O_CLOEXEC);
    EQ_I(pwrite(fd, junk, sizeof junk, 0), sizeof junk);
    OK(test_pg_server(pg));
    EQ_I(good(hf_store_open(&s, url, &err)), 0);
    struct seen seen = {.text = HF_BUF_INIT(65536)};
    EQ_I(hf_store_alert_list(s, NONE, 0, 0, alert, &seen, &err), -EIO);
    OK(says("table alerts: ") && says("invalid page"));
    EQ_I(good(hf_store_audit_add(s, &(struct hf_audit_entry){.by = S("y")}, NULL, &err)), 0);
    EQ_I(good(hf_store_audit_verify(s, NULL, NULL, &err)), 0);
    hf_autobuf problems = HF_BUF_INIT(65536);
    EQ_I(good(hf_store_check(s, told, &problems, &err)), 1);
    OK(hf_span_starts(hf_buf_span(&problems), S("alerts: ")));
    hf_buf_done(&seen.text);
}

/* A disk that is full under the table of alerts: that error, the other tables go on, room again and it goes on too. */
static void full_disk(const struct test_pg *pg)
{
    const char *const create[] = {"createdb", "-h", pg->dir, "-U", "holdfast", "full", NULL};
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    char url[300], path[100], sql[200];
    static char doc[8000];
    snprintf(path, sizeof path, "%s/small", pg->dir);
    if (mkdir(path, 0700) < 0 || mount("none", path, "tmpfs", 0, "size=2m") < 0) {
        printf("ok - # SKIP a small tmpfs cannot be mounted: %s\n", strerror(errno));
        tap_n++;
        return;
    }
    EQ_I(chown(path, pg->user ? pg->user->pw_uid : getuid(), pg->user ? pg->user->pw_gid : getgid()), 0);
    OK(test_pg_run(pg, create));
    snprintf(url, sizeof url, "postgresql://holdfast@/full?host=%s", pg->dir);
    EQ_I(good(hf_store_open(&s, url, &err)), 0);
    snprintf(sql, sizeof sql, "CREATE TABLESPACE small LOCATION '%s'", path);
    EQ_I(good(hf_sql_run(s, &err, sql, HF_NO_VALUES)), 0);
    EQ_I(good(hf_sql_run(s, &err, "ALTER TABLE alerts SET TABLESPACE small", HF_NO_VALUES)), 0);
    int rc = 0, n = 0;
    for (uint32_t seed = 1; n < 5000 && rc >= 0; n += rc >= 0) { /* what cannot be compressed */
        for (size_t i = 0; i < sizeof doc; i++)
            doc[i] = (char)(33 + ((seed = seed * 1664525 + 1013904223) >> 24) % 90);
        rc = hf_store_alert_add(s, &(struct hf_alert_row){.time = 1, .doc = hf_span(doc, sizeof doc)}, NULL, &err);
    }
    EQ_I(rc, -ENOSPC);
    OK(says("table alerts: ") && n > 50);
    EQ_I(good(hf_store_audit_add(s, &(struct hf_audit_entry){.by = S("y")}, NULL, &err)), 0);
    EQ_I(rows_of(s, "SELECT count(*) FROM alerts"), n);
    EQ_I(mount("none", path, "tmpfs", MS_REMOUNT, "size=16m"), 0);
    EQ_I(good(hf_store_alert_add(s, &(struct hf_alert_row){.time = 1, .doc = hf_span(doc, sizeof doc)}, NULL, &err)), 0);
    EQ_I(good(hf_sql_run(s, &err, "ALTER TABLE alerts SET TABLESPACE pg_default", HF_NO_VALUES)), 0);
    EQ_I(good(hf_sql_run(s, &err, "DROP TABLESPACE small", HF_NO_VALUES)), 0);
    EQ_I(umount(path), 0);
}

int main(void)
{
    struct test_pg pg;
    if (test_pg_start(&pg)) {
        char url[100];
        snprintf(url, sizeof url, "sqlite:%s-moved.db", pg.dir);
        store_suite(pg.url, url);
        static const char *const ends[] = {"", "-wal", "-shm"};
        for (size_t i = 0; i < HF_ARRAY_LEN(ends); i++) {
            snprintf(url, sizeof url, "%s-moved.db%s", pg.dir, ends[i]);
            unlink(url);
        }
        made_once(&pg);
        move_to_pg(&pg);
        from_version_1(&pg);
        encoding(&pg);
        full_disk(&pg);
        bad_page(&pg);
        lost_server(&pg);
    } else {
        printf("ok 1 # SKIP %s\n1..1\n", pg.why);
    }
    test_pg_stop(&pg);
    return pg.url[0] ? tap_done() : 0;
}
