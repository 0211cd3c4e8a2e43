/* SPDX-License-Identifier: Apache-2.0 */
#include "store/kill-suite.h"
#include "store/test-pg.h"

struct crash {
    struct test_pg *pg;
};

/* Immediate shutdown: the server's processes end without writing anything more; it recovers from its log at the next start. */
static void crash(void *ctx)
{
    test_pg_halt(((struct crash *)ctx)->pg, SIGQUIT);
}

static void postgres(unsigned rounds)
{
    struct test_pg pg;
    if (!test_pg_start(&pg)) {
        printf("# PostgreSQL not tested: %s\n", pg.why);
        test_pg_stop(&pg);
        return;
    }
    kill_suite(pg.url, rounds);
    struct kill_total t = {0};
    struct crash c = {&pg};
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    EQ_I(hf_store_open(&s, pg.url, &kill_err), 0);
    for (unsigned i = 0; i < WRITERS; i++) {
        char key[32];
        snprintf(key, sizeof key, "kill/%s", writers[i]);
        EQ_I(number_of(s, key, &t.last[i].written), 0);
        snprintf(key, sizeof key, "done/%s", writers[i]);
        EQ_I(number_of(s, key, &t.last[i].done), 0);
    }
    hf_store_closep(&s);
    for (unsigned i = 0; i < 10 && !t.wrong; i++) {
        kill_round(pg.url, &t, 20000 + i * 9000, crash, &c);
        OK(test_pg_server(&pg));
        t.wrong += !look(pg.url, &t);
    }
    EQ_U(t.wrong, 0);
    OK(t.busy_rounds >= 5);
    test_pg_stop(&pg);
}

int main(int argc, char **argv)
{
    uint64_t rounds = 200; /* and a quarter on PostgreSQL; more by the first argument */
    char dir[] = "/tmp/hf-kill-XXXXXX", url[200];
    if (argc > 1 && hf_parse_u64(hf_span_z(argv[1]), 10, 1, 1000000, &rounds) < 0)
        return 2;
    OK(mkdtemp(dir) != NULL);
    snprintf(url, sizeof url, "sqlite:%s/store.db", dir);
    kill_suite(url, (unsigned)rounds);
    nftw(dir, test_pg_erase, 16, FTW_DEPTH | FTW_PHYS);
    postgres((unsigned)rounds / 4);
    return tap_done();
}
