// SPDX-License-Identifier: Apache-2.0
/* Threads that answer requests, each with a store handle of its own. */
#include <errno.h>
#include <signal.h>

#include "console/console-internal.h"

struct hf_job *hf_job_new(void)
{
    struct hf_job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    hf_buf_init(&j->in, HF_HTTP_HEAD_MAX + HF_API_BODY_MAX);
    hf_buf_init(&j->head, 32768);
    hf_buf_init(&j->out, HF_API_REPLY_MAX);
    return j;
}

void hf_job_free(struct hf_job *j)
{
    if (!j)
        return;
    hf_buf_done(&j->in);
    hf_buf_done(&j->head);
    hf_buf_done(&j->out);
    free(j->stream);
    free(j);
}

static bool slow(const struct hf_job *j)
{
    return !hf_span_eqz(j->http.method, "GET") && !hf_span_eqz(j->http.method, "HEAD");
}

/* The next that may begin: those that change something leave some threads to those that read. */
static struct hf_job *take(struct hf_console *c)
{
    struct hf_job *before = NULL;
    for (struct hf_job *j = c->first; j; before = j, j = j->next) {
        if (slow(j) && c->n_changing >= HF_CON_CHANGING)
            continue;
        if (before)
            before->next = j->next;
        else
            c->first = j->next;
        if (c->last == j)
            c->last = before;
        j->next = NULL;
        c->n_queued--;
        return j;
    }
    return NULL;
}

struct seat {
    struct hf_console *c;
    struct hf_store *s;
};

static void *work(void *arg)
{
    struct seat seat = *(struct seat *)arg;
    struct hf_console *c = seat.c;
    free(arg);
    pthread_mutex_lock(&c->lock);
    for (;;) {
        struct hf_job *j = NULL;
        while (!c->ending && !(j = take(c)))
            pthread_cond_wait(&c->more, &c->lock);
        if (!j)
            break;
        bool changing = slow(j);
        c->n_changing += changing;
        pthread_mutex_unlock(&c->lock);
        hf_dispatch(c, seat.s, j);
        pthread_mutex_lock(&c->lock);
        c->n_changing -= changing;
        if (changing)
            pthread_cond_signal(&c->more);
        j->next = c->done;
        c->done = j;
        uint64_t one = 1;
        (void)!write(c->loop_fd, &one, sizeof one);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

int hf_pool_start(struct hf_console *c, struct hf_err *err)
{
    sigset_t all, was;
    int rc = 0;
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_BLOCK, &all, &was);
    for (unsigned i = 0; i < HF_CON_WORKERS && rc == 0; i++) {
        struct seat *seat = malloc(sizeof *seat);
        if (seat)
            *seat = (struct seat){c, c->stores[i]};
        rc = seat ? pthread_create(&c->workers[i], NULL, work, seat) : ENOMEM;
        if (rc == 0)
            c->n_workers++;
        else
            free(seat);
    }
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return rc ? hf_fail(err, -rc, "no thread") : 0;
}

void hf_pool_end(struct hf_console *c)
{
    pthread_mutex_lock(&c->lock);
    c->ending = true;
    pthread_cond_broadcast(&c->more);
    pthread_mutex_unlock(&c->lock);
    for (unsigned i = 0; i < c->n_workers; i++)
        pthread_join(c->workers[i], NULL);
    for (struct hf_job *next, *j = c->first; j; j = next) {
        next = j->next;
        hf_job_free(j);
    }
    for (struct hf_job *next, *j = c->done; j; j = next) {
        next = j->next;
        hf_job_free(j);
    }
    c->first = c->last = c->done = NULL;
    c->n_workers = 0;
}

bool hf_pool_put(struct hf_console *c, struct hf_job *j)
{
    pthread_mutex_lock(&c->lock);
    bool room = c->n_queued < HF_CON_QUEUE && !c->ending;
    if (room) {
        j->next = NULL;
        if (c->last)
            c->last->next = j;
        else
            c->first = j;
        c->last = j;
        c->n_queued++;
        pthread_cond_signal(&c->more);
    }
    pthread_mutex_unlock(&c->lock);
    return room;
}

struct hf_job *hf_pool_done(struct hf_console *c)
{
    pthread_mutex_lock(&c->lock);
    struct hf_job *j = c->done;
    c->done = NULL;
    pthread_mutex_unlock(&c->lock);
    return j;
}
