// SPDX-License-Identifier: Apache-2.0
#include "sensor/files/reader.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "sensor/frames.h"

#define GROUPS_MAX 4u
#define READ_BYTES 65536u
#define QUEUE_BYTES (4u << 20)
#define READS_MAX 16u /* of one group before the others have their turn */
#define NAP_NS 1000000

struct hf_reader {
    int fds[GROUPS_MAX], ready, end; /* ready, end: eventfds */
    unsigned n_fds;
    pthread_t thread;
    bool started;
    _Atomic size_t queued;     /* bytes */
    _Atomic uint64_t lost;     /* readings */
    pthread_mutex_t lock;      /* of the list */
    struct hf_reading *first, **last;
    char buf[READ_BYTES];
};

static bool add(struct hf_reader *r, unsigned group, size_t n)
{
    struct hf_reading *x = malloc(sizeof *x + n);
    if (!x)
        return false;
    *x = (struct hf_reading){.time_ns = hf_boot_ns(), .group = group, .n = n};
    memcpy(x->bytes, r->buf, n);
    pthread_mutex_lock(&r->lock);
    *r->last = x;
    r->last = &x->next;
    r->queued += sizeof *x + n;
    pthread_mutex_unlock(&r->lock);
    return true;
}

/* false: no room. */
static bool read_all(struct hf_reader *r)
{
    bool more = false;
    for (unsigned g = 0; g < r->n_fds; g++)
        for (unsigned i = 0; i < READS_MAX; i++) {
            if (r->queued + READ_BYTES > QUEUE_BYTES)
                return false;
            ssize_t n = read(r->fds[g], r->buf, sizeof r->buf);
            if (n <= 0)
                break;
            if (!add(r, g, (size_t)n)) {
                r->lost++;
                return false;
            }
            more = true;
        }
    if (more)
        (void)!write(r->ready, &(uint64_t){1}, sizeof(uint64_t));
    return true;
}

static void *thread(void *arg)
{
    struct hf_reader *r = arg;
    struct pollfd p[GROUPS_MAX + 1];
    const struct sched_param soon = {.sched_priority = 1};
    /* bounded work of microseconds; a runtime's group may have no share of real time */
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &soon) < 0)
        (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), -20);
    for (unsigned i = 0; i < r->n_fds; i++)
        p[i] = (struct pollfd){r->fds[i], POLLIN, 0};
    p[r->n_fds] = (struct pollfd){r->end, POLLIN, 0};
    for (;;) {
        bool nap = poll(p, r->n_fds + 1, -1) < 0; /* interrupted, or no memory: it goes on */
        if (!nap && p[r->n_fds].revents)
            return NULL;
        if (!read_all(r)) {
            (void)!write(r->ready, &(uint64_t){1}, sizeof(uint64_t));
            nap = true;
        }
        if (nap)
            nanosleep(&(struct timespec){0, NAP_NS}, NULL);
    }
}

int hf_reader_new(struct hf_reader **ret, const int *fds, unsigned n_fds, struct hf_err *err)
{
    struct hf_reader *r = n_fds <= GROUPS_MAX ? calloc(1, sizeof *r) : NULL;
    if (!r)
        return hf_fail(err, -ENOMEM, "no memory to read files' events");
    r->n_fds = n_fds;
    for (unsigned i = 0; i < n_fds; i++)
        r->fds[i] = fds[i];
    r->last = &r->first;
    pthread_mutex_init(&r->lock, NULL);
    r->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = r->ready < 0 || r->end < 0 ? errno : pthread_create(&r->thread, NULL, thread, r);
    if (rc) {
        hf_reader_free(r);
        return hf_fail(err, -rc, "no thread to read files' events: %s", strerror(rc));
    }
    r->started = true;
    *ret = r;
    return 0;
}

void hf_reader_free(struct hf_reader *r)
{
    if (!r)
        return;
    if (r->started) {
        (void)!write(r->end, &(uint64_t){1}, sizeof(uint64_t));
        pthread_join(r->thread, NULL);
    }
    hf_reading_free(r->first);
    hf_closep(&r->ready);
    hf_closep(&r->end);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

int hf_reader_fd(const struct hf_reader *r)
{
    return r->ready;
}

uint64_t hf_reader_lost(const struct hf_reader *r)
{
    return r->lost;
}

bool hf_reader_has(const struct hf_reader *r)
{
    return r->queued > 0;
}

struct hf_reading *hf_reader_take(struct hf_reader *r)
{
    uint64_t ignored;
    (void)!read(r->ready, &ignored, sizeof ignored);
    pthread_mutex_lock(&r->lock);
    struct hf_reading *list = r->first;
    r->first = NULL;
    r->last = &r->first;
    r->queued = 0;
    pthread_mutex_unlock(&r->lock);
    return list;
}

void hf_reading_free(struct hf_reading *list)
{
    for (struct hf_reading *next; list; list = next) {
        next = list->next;
        free(list);
    }
}
