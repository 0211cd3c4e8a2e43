/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "store/sql-internal.h"
#include "store/store-suite.h"
#include "store/store.h"
#include "tap.h"

static int erase(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void addresses(const char *dir)
{
    struct hf_store *s = NULL;
    char url[200];
    EQ_I(hf_store_open(&s, "mysql://x", &err), HF_E_USAGE);
    EQ_I(hf_store_open(&s, "", &err), HF_E_USAGE);
    EQ_I(hf_store_open(&s, "sqlite:", &err), HF_E_USAGE);
    snprintf(url, sizeof url, "sqlite:%s", dir);
    EQ_I(hf_store_open(&s, url, &err), -EINVAL);
    snprintf(url, sizeof url, "sqlite:%s/none.db", dir);
    EQ_I(hf_store_open_with(&s, url, HF_STORE_MUST_EXIST, &err), -ENOENT);
    EQ_I(hf_store_open_with(&s, url, HF_STORE_READ_ONLY, &err), -ENOENT);
    /* not a database: it is refused and stays as it is */
    snprintf(url, sizeof url, "sqlite:%s/text", dir);
    FILE *f = fopen(url + 7, "we");
    for (int i = 0; f && i < 1000; i++)
        fputs("not a database\n", f);
    if (f)
        fclose(f);
    EQ_I(hf_store_open(&s, url, &err), HF_E_FORMAT);
    struct stat st;
    OK(stat(url + 7, &st) == 0 && st.st_size == 15000);
    EQ_I(hf_store_open(&s, "postgresql://ann@127.0.0.1:1/x?connect_timeout=2", &err), -ECONNRESET); /* nobody listens */
    OK(says("store postgresql://ann@127.0.0.1:1/x?connect_timeout=2: "));
    /* a password is refused, and not repeated */
    EQ_I(hf_store_open(&s, "postgresql://ann@127.0.0.1/x?password=secret", &err), HF_E_USAGE);
    OK(says("passfile") && !strstr(err.msg, "secret"));
    EQ_I(hf_store_open(&s, "postgresql://ann:secret@127.0.0.1:1/x?sslpassword=secret2&connect_timeout=2", &err), HF_E_USAGE);
    OK(strstr(err.msg, "postgresql://ann@127.0.0.1:1/x?connect_timeout=2") && !strstr(err.msg, "secret"));
    OK(s == NULL);
}

/* What migrate and check go by is the whole of what there is. */
static void tables_are_whole(const char *url)
{
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    int64_t n = 0;
    EQ_I(good(hf_store_open(&s, url, &err)), 0);
    EQ_I(hf_sql_get_int(s, &err, &n, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name <> 'hf_schema'", HF_NO_VALUES), 1);
    EQ_U(n, hf_tables_n);
    for (size_t i = 0; i < hf_tables_n; i++) {
        const struct hf_table *t = &hf_tables[i];
        struct hf_span all = hf_span_z(t->columns), name;
        size_t at = 0;
        EQ_I(hf_sql_get_int(s, &err, &n, "SELECT count(*) FROM pragma_table_info(?)", HF_V(HF_TEXTZ(t->name))), 1);
        EQ_U(n, strlen(t->types));
        for (; hf_span_cut(&all, ',', &name); at++) {
            /* a column of the key is in the key's order, its type as noted */
            EQ_I(hf_sql_get_int(s, &err, &n, "SELECT pk FROM pragma_table_info(?) WHERE name = ? AND type = ?",
                         HF_V(HF_TEXTZ(t->name), HF_TEXT(name), HF_TEXTZ(t->types[at] == 'i' ? "BIGINT" : "TEXT"))), 1);
            EQ_U(n, at < t->key ? at + 1 : 0);
        }
        EQ_U(at, strlen(t->types));
    }
}

/* Several processes find no store and make it at the same time. */
static void made_at_once(const char *dir)
{
    unsigned bad = 0;
    for (unsigned round = 0; round < 30; round++) {
        char url[200];
        pid_t pid[4];
        int go[2], status;
        snprintf(url, sizeof url, "sqlite:%s/new-%u.db", dir, round);
        if (pipe(go) < 0)
            return;
        for (unsigned i = 0; i < HF_ARRAY_LEN(pid); i++) {
            pid[i] = fork();
            if (pid[i] == 0) {
                struct hf_store *s = NULL;
                char c;
                close(go[1]);
                if (read(go[0], &c, 1) != 0) /* ends for all at once */
                    _exit(2);
                int rc = hf_store_open(&s, url, &err);
                if (rc == 0)
                    rc = hf_store_audit_add(s, &(struct hf_audit_entry){.by = S("x")}, NULL, &err);
                if (rc < 0)
                    printf("# %s\n", err.msg);
                fflush(stdout);
                _exit(rc < 0);
            }
        }
        close(go[0]);
        close(go[1]);
        for (unsigned i = 0; i < HF_ARRAY_LEN(pid); i++)
            bad += waitpid(pid[i], &status, 0) != pid[i] || status != 0;
        hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
        struct hf_audit_head head = {0};
        bad += hf_store_open(&s, url, &err) < 0 || hf_store_audit_verify(s, NULL, &head, &err) < 0 || head.seq != HF_ARRAY_LEN(pid);
    }
    EQ_U(bad, 0);
}

/* tests/store/v1.db.gz: written by the program of version 1, never made anew. */
static bool unpack_v1(const char *to)
{
    char path[600];
    static char bytes[1 << 20];
    const char *root = getenv("HF_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/store/v1.db.gz", root ? root : ".");
    gzFile in = gzopen(path, "rb");
    int n = in ? gzread(in, bytes, sizeof bytes) : -1;
    if (in)
        gzclose(in);
    hf_autoclose int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return n > 0 && fd >= 0 && write(fd, bytes, (size_t)n) == n;
}

int main(void)
{
    char dir[] = "/tmp/hf-store-XXXXXX", url[200], url2[200];
    struct stat st;
    OK(mkdtemp(dir) != NULL);
    snprintf(url, sizeof url, "sqlite:%s/deep/er/store.db", dir);
    snprintf(url2, sizeof url2, "sqlite:%s/moved.db", dir);
    store_suite(url, url2);
    OK(stat(url + 7, &st) == 0 && (st.st_mode & 0777) == 0600);
    tables_are_whole(url);
    snprintf(url, sizeof url, "sqlite:%s/v1.db", dir);
    snprintf(url2, sizeof url2, "sqlite:%s/v1-moved.db", dir);
    OK(unpack_v1(url + 7));
    version_1(url, url2);
    tables_are_whole(url); /* brought forward it is what a new one is */
    made_at_once(dir);
    addresses(dir);
    nftw(dir, erase, 16, FTW_DEPTH | FTW_PHYS);
    return tap_done();
}
