/* SPDX-License-Identifier: Apache-2.0 */
/* kill-suite.h - kill -9 at any instant: what was acknowledged is there, the rest is there whole or not at all.
 *
 * Two processes at once write transactions (an alert, a setting, an audit entry, a message; then the message is claimed and done) and say
 * on a pipe when one is committed.  They are killed after 0 to 40 ms, hundreds of times; in every other round after the first was committed. */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/audit.h"
#include "store/incidents.h"
#include "store/queue.h"
#include "store/settings.h"
#include "store/sql.h"
#include "tap.h"

enum { WRITERS = 2 };
struct ack {
    uint32_t written, done; /* how many transactions of the kind are committed */
};
static struct hf_err kill_err;

static int number_of(struct hf_store *s, const char *key, uint32_t *ret)
{
    hf_autobuf text = HF_BUF_INIT(64);
    uint64_t v = 0;
    int rc = hf_store_setting_get(s, hf_span_z(key), &text, &kill_err);
    if (rc > 0 && hf_parse_u64(hf_buf_span(&text), 10, 0, UINT32_MAX, &v) < 0)
        rc = HF_E_FORMAT;
    *ret = (uint32_t)v;
    return rc < 0 ? rc : 0;
}

static int set_number(struct hf_store *s, const char *key, uint32_t v)
{
    char text[16];
    snprintf(text, sizeof text, "%u", v);
    return hf_store_setting_put(s, hf_span_z(key), hf_span_z(text), &kill_err);
}

static int write_one(struct hf_store *s, const char *who, uint32_t k, struct hf_span filler)
{
    char text[32], key[32];
    snprintf(text, sizeof text, "%u", k);
    snprintf(key, sizeof key, "kill/%s", who);
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, s, &kill_err);
    if (rc == 0)
        rc = hf_store_alert_add(s, &(struct hf_alert_row){.time = k, .incident = HF_S("I-kill"), .rule = hf_span_z(text), .container = hf_span_z(who), .doc = filler}, NULL, &kill_err);
    if (rc == 0)
        rc = set_number(s, key, k);
    if (rc == 0)
        rc = hf_store_audit_add(s, &(struct hf_audit_entry){.by = hf_span_z(who), .what = hf_span_z(text), .target = hf_span_z(who)}, NULL, &kill_err);
    if (rc == 0)
        rc = hf_store_queue_push(s, hf_span_z(who), (struct hf_span){NULL, 0}, hf_span_z(text), 0, NULL, &kill_err);
    return rc < 0 ? rc : hf_tx_commit(&tx, &kill_err);
}

/* Claims with a lease that is over at once (whoever held it was killed), ends it, notes the body. */
static int done_one(struct hf_store *s, const char *who, uint32_t *ret)
{
    struct hf_queue_entry e;
    hf_autobuf text = HF_BUF_INIT(4096);
    char key[32];
    uint64_t k = 0;
    int rc = hf_store_queue_claim(s, hf_span_z(who), hf_store_now(), 0, &e, &text, NULL, &kill_err);
    if (rc <= 0)
        return rc;
    snprintf(key, sizeof key, "done/%s", who);
    hf_autotx tx = {0};
    rc = hf_parse_u64(e.body, 10, 1, UINT32_MAX, &k);
    if (rc == 0)
        rc = hf_tx_begin(&tx, s, &kill_err);
    if (rc == 0)
        rc = hf_store_queue_done(s, &e, &kill_err);
    if (rc == 0)
        rc = set_number(s, key, (uint32_t)k);
    *ret = (uint32_t)k;
    return rc < 0 ? rc : hf_tx_commit(&tx, &kill_err);
}

static void writer(const char *url, const char *who, int fd)
{
    static char filler[3000];
    struct hf_store *s;
    struct ack a;
    char key[32];
    memset(filler, 'x', sizeof filler);
    int rc = hf_store_open(&s, url, &kill_err);
    snprintf(key, sizeof key, "kill/%s", who);
    rc = rc < 0 ? rc : number_of(s, key, &a.written);
    snprintf(key, sizeof key, "done/%s", who);
    rc = rc < 0 ? rc : number_of(s, key, &a.done);
    while (rc >= 0) {
        rc = write_one(s, who, a.written + 1, hf_span(filler, a.written % sizeof filler));
        if (rc < 0)
            break;
        a.written++; /* committed: this is the acknowledgement */
        if (write(fd, &a, sizeof a) != sizeof a)
            break;
        rc = done_one(s, who, &a.done);
        if (rc >= 0 && write(fd, &a, sizeof a) != sizeof a)
            break;
    }
    fprintf(stderr, "# writer %s: %s\n", who, kill_err.msg);
    _exit(rc == -ECONNRESET ? 0 : 1);
}

/* The last ack a pipe gave; 0 s when there was none. */
static bool last_ack(int fd, struct ack *ret)
{
    struct ack a;
    bool any = false;
    while (read(fd, &a, sizeof a) == sizeof a) {
        *ret = a;
        any = true;
    }
    return any;
}

static int64_t count_of(struct hf_store *s, const char *sql, const char *who)
{
    int64_t n = -1;
    return hf_sql_get_int(s, &kill_err, &n, sql, HF_V(HF_TEXTZ(who))) < 0 ? -1 : n;
}

/* One writer's part of the store against what it acknowledged. */
static bool as_acknowledged(struct hf_store *s, const char *who, const struct ack *a)
{
    uint32_t written, done;
    char key[32];
    struct hf_queue_stats st;
    snprintf(key, sizeof key, "kill/%s", who);
    int rc = number_of(s, key, &written);
    snprintf(key, sizeof key, "done/%s", who);
    if (rc == 0)
        rc = number_of(s, key, &done);
    if (rc == 0)
        rc = hf_store_queue_stats(s, hf_span_z(who), &st, &kill_err);
    int64_t alerts = count_of(s, "SELECT count(*) FROM alerts WHERE container = ?", who), entries = count_of(s, "SELECT count(*) FROM audit WHERE target = ?", who);
    bool right = rc == 0 && written >= a->written && written <= a->written + 1 && alerts == written && entries == written && done >= a->done && done <= a->done + 1 &&
            st.waiting + st.claimed == written - done;
    if (!right)
        printf("# writer %s: acknowledged %u written %u done; there are %u written, %" PRId64 " alerts, %" PRId64 " audit entries, %u done, %" PRIu64 "+%" PRIu64 " messages (%s)\n", who,
                a->written, a->done, written, alerts, entries, done, st.waiting, st.claimed, kill_err.msg);
    return right;
}

static const char *const writers[WRITERS] = {"one", "two"};

struct kill_total {
    unsigned rounds, wrong, busy_rounds;
    struct ack last[WRITERS];
};

static bool look(const char *url, struct kill_total *t)
{
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    int rc = hf_store_open(&s, url, &kill_err);
    bool right = rc == 0;
    /* PostgreSQL's process for a killed writer may still be at its last statement: a writing transaction waits for it, and is one view */
    hf_autotx tx = {0};
    right = right && hf_tx_begin(&tx, s, &kill_err) == 0;
    for (unsigned i = 0; i < WRITERS && right; i++)
        right = as_acknowledged(s, writers[i], &t->last[i]);
    if (right)
        right = hf_store_audit_verify(s, NULL, NULL, &kill_err) == 0;
    if (!right)
        printf("# round %u: %s\n", t->rounds, kill_err.msg);
    /* what was not acknowledged may be there: from here on it counts */
    for (unsigned i = 0; i < WRITERS && right; i++) {
        char key[32];
        snprintf(key, sizeof key, "kill/%s", writers[i]);
        right = number_of(s, key, &t->last[i].written) == 0;
        snprintf(key, sizeof key, "done/%s", writers[i]);
        right = right && number_of(s, key, &t->last[i].done) == 0;
    }
    return right;
}

/* One round: both write, then `strike` (kill the writers, or the server under them) after some time. */
static void kill_round(const char *url, struct kill_total *t, unsigned after_us, void (*strike)(void *ctx), void *ctx)
{
    pid_t pid[WRITERS];
    int fd[WRITERS];
    bool any = false;
    for (unsigned i = 0; i < WRITERS; i++) {
        int p[2];
        if (pipe2(p, O_CLOEXEC) < 0)
            exit(99);
        fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
        pid[i] = fork();
        if (pid[i] == 0)
            writer(url, writers[i], p[1]);
        close(p[1]);
        fd[i] = p[0];
    }
    if (t->rounds % 2) { /* every other round certainly in the middle of writing, however slow the machine is; the others also while opening */
        struct pollfd first = {.fd = fd[t->rounds / 2 % WRITERS], .events = POLLIN};
        (void)!poll(&first, 1, 10000);
        after_us %= 20000;
    }
    usleep(after_us);
    if (strike)
        strike(ctx);
    for (unsigned i = 0; i < WRITERS; i++) {
        if (!strike)
            kill(pid[i], SIGKILL);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        int status = 0;
        waitpid(pid[i], &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status)) /* it failed by itself */
            t->wrong++;
        any |= last_ack(fd[i], &t->last[i]);
        close(fd[i]);
    }
    t->rounds++;
    t->busy_rounds += any;
}

static void kill_suite(const char *url, unsigned rounds)
{
    struct kill_total t = {0};
    for (unsigned i = 0; i < rounds; i++) {
        kill_round(url, &t, (i * 7919u) % 40000, NULL, NULL);
        t.wrong += !look(url, &t);
        if (t.wrong)
            break;
    }
    EQ_U(t.wrong, 0);
    EQ_U(t.rounds, rounds);
    OK(t.busy_rounds >= rounds / 2);
    OK(t.last[0].written + t.last[1].written >= rounds / 2);
    printf("# %u rounds, %u killed while writing; %u + %u transactions, %u + %u messages done\n", t.rounds, t.busy_rounds, t.last[0].written, t.last[1].written, t.last[0].done,
            t.last[1].done);
}
