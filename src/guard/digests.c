// SPDX-License-Identifier: Apache-2.0
#include "guard/digests.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "guard/verity.h"

#define CHUNK (256u << 10)
#define DIRTY_NS 600000000000ull /* the kernel writes back what is dirty after half a minute (vm.dirty_expire_centisecs), a busy one later */
#define REST_MAX_NS 5000000000ull
#define TRIES 3u  /* of a file that changes while it is read */
#define WAYS 8u   /* places a state may lie in; the longest unused of them is replaced */

struct entry {
    struct hf_file_state s; /* inode 0: free */
    uint8_t sha256[32];
    bool firm;
    uint64_t used;
};

struct job {
    int fd; /* -1: none */
    struct hf_file_state asked, s; /* s: what was hashed in the end, the thread's while it is at work */
    uint8_t sha256[32];
    int rc;
    bool racy, firm, urgent;
};

struct hf_digests {
    uint32_t *at;          /* by hash: 1 + which entry; 0: none. Entries lie one after the other, so that a new file does not cost a page */
    struct entry *entries; /* as many as places */
    size_t mask, n_entries;
    uint64_t clock, now_bytes;
    struct hf_digests_stats stats;
    struct hf_verity_known *measured;
    pthread_t thread;
    bool has_thread;
    int event;
    /* The second thread's: under `lock`. */
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job jobs[HF_DIGESTS_QUEUE];
    unsigned first, n, done; /* jobs[first .. first + done) are finished, those up to n wait */
    uint64_t pace_ns;        /* of a second; 0: all */
    bool stop;
};

struct hf_file_state hf_file_state_of(const struct stat *st)
{
    return (struct hf_file_state){
            .dev = st->st_dev,
            .inode = st->st_ino,
            .ctime_ns = (uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec,
            .size = (uint64_t)st->st_size,
    };
}

static bool same(const struct hf_file_state *a, const struct hf_file_state *b)
{
    return a->inode == b->inode && a->ctime_ns == b->ctime_ns && a->dev == b->dev && a->size == b->size;
}

static struct entry *place(struct hf_digests *d, const struct hf_file_state *s, bool make)
{
    size_t at = (size_t)hf_span_hash(hf_span((const char *)s, sizeof *s));
    uint32_t *oldest = NULL;
    for (unsigned i = 0; i < WAYS; i++) {
        uint32_t *p = &d->at[(at + i) & d->mask];
        struct entry *e = *p ? &d->entries[*p - 1] : NULL;
        if (e && same(&e->s, s)) {
            e->used = ++d->clock;
            return e;
        }
        if (!oldest || (*oldest && (!e || e->used < d->entries[*oldest - 1].used)))
            oldest = p;
    }
    if (!make)
        return NULL;
    if (!*oldest)
        *oldest = (uint32_t)++d->n_entries;
    return &d->entries[*oldest - 1];
}

static void keep(struct hf_digests *d, const struct hf_file_state *s, bool firm, const uint8_t sha256[32])
{
    struct entry *e = place(d, s, true);
    d->stats.known += e->s.inode == 0;
    e->s = *s;
    e->used = ++d->clock;
    e->firm = firm;
    memcpy(e->sha256, sha256, 32);
}

/* Read, by measurement too: another file with the same one need not be. */
static void keep_read(struct hf_digests *d, int fd, const struct hf_file_state *s, bool firm, const uint8_t sha256[32])
{
    struct hf_verity v;
    keep(d, s, firm, sha256);
    if (hf_verity_measure(fd, &v))
        hf_verity_keep(d->measured, &v, sha256);
}

/* What was read of another file, or of this one in another state or before its file system was mounted anew. */
static bool by_measurement(struct hf_digests *d, int fd, const struct hf_file_state *s, uint8_t ret[32])
{
    struct hf_verity v;
    if (!hf_verity_measure(fd, &v) || !hf_verity_find(d->measured, &v, ret))
        return false;
    d->stats.measured++;
    keep(d, s, true, ret);
    return true;
}

/* Whether nothing can write to it any more: true through an overlay too, which does not tell the measurement. */
static bool is_verity(int fd)
{
    struct statx x;
    return syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x) == 0 && (x.stx_attributes & STATX_ATTR_VERITY);
}

static uint64_t wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t thread_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Lock held: somebody waits for one of the files that are still to be read. */
static bool is_urgent(const struct hf_digests *d)
{
    for (unsigned i = d->done; i < d->n; i++)
        if (d->jobs[(d->first + i) % HF_DIGESTS_QUEUE].urgent)
            return true;
    return false;
}

/* The second thread, after so much computing: rests as the pace wants it.  false: it is to end. */
static bool rest(struct hf_digests *d, uint64_t spent_ns)
{
    struct timespec until;
    pthread_mutex_lock(&d->lock);
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t ns = d->pace_ns ? (uint64_t)((double)spent_ns * (1e9 / (double)d->pace_ns - 1)) : 0;
    ns = HF_MIN(ns, REST_MAX_NS) + (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(ns / 1000000000u);
    until.tv_nsec = (long)(ns % 1000000000u);
    while (!d->stop && d->pace_ns && !is_urgent(d) && pthread_cond_timedwait(&d->more, &d->lock, &until) == 0)
        ;
    bool go_on = !d->stop;
    pthread_mutex_unlock(&d->lock);
    return go_on;
}

/* later: the second thread's; NULL: it is read at once. */
static int read_through(int fd, uint64_t max, struct hf_hash *h, struct hf_digests *later)
{
    hf_autofree char *chunk = malloc(CHUNK);
    uint64_t at = 0, began = later ? thread_ns() : 0;
    while (chunk && at <= max) {
        ssize_t n = pread(fd, chunk, CHUNK, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        hf_hash_add(h, chunk, (size_t)n);
        at += (uint64_t)n;
        uint64_t now = later ? thread_ns() : 0;
        if (later && !rest(later, now - began))
            return -ECANCELED;
        began = now;
    }
    return chunk ? -ESTALE : -ENOMEM; /* longer than it was said to be */
}

/* A page that a mapping has made dirty can be written on without the file's time telling, until it was written back: so that is done first, and who
 * writes after it changes the time.  Of a lower layer, and where nothing is dirty, this costs nothing. */
static void settle(int fd, const struct hf_file_state *s)
{
    uint64_t now = wall_ns();
    if (now < s->ctime_ns || now - s->ctime_ns < DIRTY_NS)
        (void)fdatasync(fd); /* what cannot be synced is read as it is */
}

/* Reads it; again when it changed meanwhile.  *s: the state that was hashed. */
static int hash_file(int fd, struct hf_file_state *s, bool firm, uint8_t ret[32], bool *ret_racy, struct hf_digests *later)
{
    hf_cleanup(hf_hash_freep) struct hf_hash *h = hf_hash_new(HF_SHA256);
    uint8_t sum[64];
    struct stat st;
    if (!h)
        return -ENOMEM;
    for (unsigned i = 0; i < TRIES; i++) {
        if (firm)
            settle(fd, s);
        uint64_t began = wall_ns();
        int rc = read_through(fd, s->size, h, later);
        hf_hash_end(h, sum);
        if (rc < 0 && rc != -ESTALE)
            return rc;
        if (fstat(fd, &st) < 0)
            return -errno;
        struct hf_file_state after = hf_file_state_of(&st);
        if (rc == 0 && same(&after, s)) {
            memcpy(ret, sum, 32);
            *ret_racy = began < s->ctime_ns + HF_RACY_NS && !is_verity(fd);
            return 0;
        }
        *s = after;
    }
    return -ESTALE;
}

static void *work(void *arg)
{
    struct hf_digests *d = arg;
    struct sched_param p = {0};
    (void)sched_setscheduler(0, SCHED_IDLE, &p); /* of this thread */
    pthread_mutex_lock(&d->lock);
    for (;;) {
        while (!d->stop && d->done == d->n)
            pthread_cond_wait(&d->more, &d->lock);
        if (d->stop)
            break;
        struct job *j = &d->jobs[(d->first + d->done) % HF_DIGESTS_QUEUE];
        pthread_mutex_unlock(&d->lock); /* the job is this thread's until it is counted as done */
        j->rc = hash_file(j->fd, &j->s, j->firm, j->sha256, &j->racy, d);
        pthread_mutex_lock(&d->lock);
        d->done++;
        eventfd_write(d->event, 1);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* To the second thread, unless it has it, or its answer waits to be collected. */
static int ask(struct hf_digests *d, int fd, const struct hf_file_state *s, unsigned how)
{
    int rc = -EINPROGRESS;
    pthread_mutex_lock(&d->lock);
    for (unsigned i = 0; i < d->n; i++) {
        struct job *j = &d->jobs[(d->first + i) % HF_DIGESTS_QUEUE];
        if (!same(&j->asked, s) || ((how & HF_DIGEST_FIRM) && !j->firm))
            continue;
        j->urgent |= (how & HF_DIGEST_URGENT) != 0;
        goto out;
    }
    if (d->n == HF_DIGESTS_QUEUE) {
        rc = -EAGAIN;
        goto out;
    }
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0) {
        rc = -errno;
        goto out;
    }
    d->jobs[(d->first + d->n) % HF_DIGESTS_QUEUE] = (struct job){.fd = own, .asked = *s, .s = *s, .firm = how & HF_DIGEST_FIRM, .urgent = how & HF_DIGEST_URGENT};
    d->n++;
    if (!d->has_thread)
        d->has_thread = pthread_create(&d->thread, NULL, work, d) == 0;
out:
    pthread_cond_signal(&d->more);
    pthread_mutex_unlock(&d->lock);
    return rc;
}

unsigned hf_digests_collect(struct hf_digests *d)
{
    eventfd_t ignored;
    unsigned n = 0;
    (void)eventfd_read(d->event, &ignored);
    pthread_mutex_lock(&d->lock);
    for (; d->done; d->done--, d->n--, n++) {
        struct job *j = &d->jobs[d->first];
        d->stats.hashed++;
        d->stats.hashed_bytes += j->s.size;
        if (j->rc == 0)
            keep_read(d, j->fd, &j->s, j->firm, j->sha256); /* that took far longer than a tick of the clock */
        else
            d->stats.failed++;
        close(j->fd);
        d->first = (d->first + 1) % HF_DIGESTS_QUEUE;
    }
    pthread_mutex_unlock(&d->lock);
    return n;
}

void hf_digests_pace(struct hf_digests *d, uint64_t ns_per_s)
{
    pthread_mutex_lock(&d->lock);
    d->pace_ns = ns_per_s;
    pthread_cond_signal(&d->more);
    pthread_mutex_unlock(&d->lock);
}

bool hf_digests_known(struct hf_digests *d, const struct stat *st, unsigned how, uint8_t ret[32])
{
    struct hf_file_state s = hf_file_state_of(st);
    const struct entry *e = place(d, &s, false);
    if (!e || ((how & HF_DIGEST_FIRM) && !e->firm))
        return false;
    d->stats.hits++;
    memcpy(ret, e->sha256, 32);
    return true;
}

int hf_digests_fd(struct hf_digests *d, int fd, const struct stat *st, unsigned how, uint8_t ret[32], bool *ret_racy)
{
    struct hf_file_state s = hf_file_state_of(st);
    *ret_racy = false;
    if (hf_digests_known(d, st, how, ret) || by_measurement(d, fd, &s, ret))
        return 0;
    if (s.size > d->now_bytes)
        return ask(d, fd, &s, how);
    uint64_t began = thread_ns();
    int rc = hash_file(fd, &s, how & HF_DIGEST_FIRM, ret, ret_racy, NULL);
    d->stats.now_ns += thread_ns() - began;
    d->stats.hashed++;
    if (rc < 0) {
        d->stats.failed++;
        return rc;
    }
    d->stats.hashed_bytes += s.size;
    d->stats.racy += *ret_racy;
    if (!*ret_racy)
        keep_read(d, fd, &s, how & HF_DIGEST_FIRM, ret);
    return 0;
}

int hf_digests_wait_fd(const struct hf_digests *d)
{
    return d->event;
}

void hf_digests_stats(const struct hf_digests *d, struct hf_digests_stats *ret)
{
    clockid_t clock;
    struct timespec t;
    *ret = d->stats;
    ret->waiting = d->n;
    if (d->has_thread && pthread_getcpuclockid(d->thread, &clock) == 0 && clock_gettime(clock, &t) == 0)
        ret->later_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int hf_digests_new(struct hf_digests **ret, size_t entries, uint64_t now_bytes, struct hf_err *err)
{
    hf_cleanup(hf_digests_freep) struct hf_digests *d = calloc(1, sizeof *d);
    size_t n = WAYS;
    while (n < entries && n < 1u << 20)
        n *= 2;
    if (!d)
        return hf_fail(err, -ENOMEM, "no memory for digests");
    d->event = -1;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->more, NULL);
    d->at = calloc(n, sizeof *d->at);
    d->entries = calloc(n, sizeof *d->entries);
    d->measured = hf_verity_known_new();
    d->mask = n - 1;
    d->now_bytes = now_bytes;
    d->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!d->at || !d->entries || !d->measured || d->event < 0)
        return hf_fail(err, -ENOMEM, "no memory for digests");
    *ret = hf_take(d);
    return 0;
}

void hf_digests_free(struct hf_digests *d)
{
    if (!d)
        return;
    if (d->has_thread) {
        pthread_mutex_lock(&d->lock);
        d->stop = true;
        pthread_cond_signal(&d->more);
        pthread_mutex_unlock(&d->lock);
        pthread_join(d->thread, NULL);
    }
    for (unsigned i = 0; i < d->n; i++)
        close(d->jobs[(d->first + i) % HF_DIGESTS_QUEUE].fd);
    hf_closep(&d->event);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->more);
    hf_verity_known_free(d->measured);
    free(d->at);
    free(d->entries);
    free(d);
}
