/* SPDX-License-Identifier: Apache-2.0 */
#include "base/progress.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

struct hf_progress {
    const char *what;
    atomic_uint_least64_t total, done;
    atomic_uint items, items_done;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stop */
    pthread_cond_t wake;
    bool stop;
};

static void human(uint64_t n, char out[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)n;
    unsigned u = 0;
    while (v >= 1024 && u < 4)
        v /= 1024, u++;
    snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}

static void draw(struct hf_progress *p)
{
    char done[32], total[32];
    uint64_t t = atomic_load(&p->total), d = atomic_load(&p->done);
    unsigned items = atomic_load(&p->items);
    human(d, done);
    human(t, total);
    fprintf(stderr, "\r\033[K%s: %s", p->what, done);
    if (t)
        fprintf(stderr, " of %s (%u %%)", total, (unsigned)(d >= t ? 100 : d * 100 / t));
    if (items)
        fprintf(stderr, ", %u of %u layers", atomic_load(&p->items_done), items);
    fflush(stderr);
}

static void *timer(void *ctx)
{
    struct hf_progress *p = ctx;
    struct timespec until;
    bool drawn = false;
    clock_gettime(CLOCK_REALTIME, &until);
    pthread_mutex_lock(&p->lock);
    for (bool first = true; !p->stop; first = false) {
        until.tv_nsec += first ? 500000000 : 100000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        while (!p->stop && pthread_cond_timedwait(&p->wake, &p->lock, &until) != ETIMEDOUT)
            ;
        if (!p->stop) {
            draw(p);
            drawn = true;
        }
    }
    pthread_mutex_unlock(&p->lock);
    if (drawn)
        fputs("\r\033[K", stderr);
    return NULL;
}

struct hf_progress *hf_progress_start(const char *what, bool quiet)
{
    if (quiet || !isatty(STDERR_FILENO))
        return NULL;
    struct hf_progress *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->what = what;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    if (pthread_create(&p->thread, NULL, timer, p) != 0) {
        free(p);
        return NULL;
    }
    return p;
}

void hf_progress_total(struct hf_progress *p, uint64_t bytes, unsigned items)
{
    if (!p)
        return;
    atomic_fetch_add(&p->total, bytes);
    atomic_fetch_add(&p->items, items);
}

void hf_progress_add(struct hf_progress *p, uint64_t bytes)
{
    if (p)
        atomic_fetch_add(&p->done, bytes);
}

void hf_progress_item(struct hf_progress *p)
{
    if (p)
        atomic_fetch_add(&p->items_done, 1);
}

void hf_progress_stop(struct hf_progress *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->wake);
    free(p);
}
