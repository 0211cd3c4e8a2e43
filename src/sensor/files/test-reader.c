// SPDX-License-Identifier: Apache-2.0
/* The thread that takes events when they come: of pipes, which give whole writes as fanotify gives whole events. */
#include "sensor/files/reader.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sensor/frames.h"
#include "tap.h"

static int from[2][2];
static struct hf_reader *r;

static void begin(void)
{
    struct hf_err err = HF_ERR_INIT;
    int fds[2];
    for (unsigned i = 0; i < 2; i++) {
        EQ_I(pipe2(from[i], O_NONBLOCK | O_CLOEXEC), 0);
        fds[i] = from[i][0];
    }
    EQ_I(hf_reader_new(&r, fds, 2, &err), 0);
}

static void end(void)
{
    hf_reader_free(hf_take(r));
    for (unsigned i = 0; i < 4; i++)
        close(from[i / 2][i % 2]);
}

static bool ready(int ms)
{
    struct pollfd p = {hf_reader_fd(r), POLLIN, 0};
    return poll(&p, 1, ms) == 1;
}

static void what_comes_has_its_time(void)
{
    begin();
    OK(!hf_reader_has(r) && !ready(0) && !hf_reader_take(r));
    uint64_t before = hf_boot_ns();
    EQ_I(write(from[1][1], "second group", 12), 12);
    OK(ready(10000) && hf_reader_has(r));
    uint64_t after = hf_boot_ns();
    nanosleep(&(struct timespec){0, 20000000}, NULL); /* whoever takes it is late: the time is that of the thread */
    struct hf_reading *one = hf_reader_take(r);
    if (OK(one != NULL)) {
        OK(one->time_ns >= before && one->time_ns <= after && one->group == 1 && !one->next);
        OK(one->n == 12 && !memcmp(one->bytes, "second group", 12));
    }
    hf_reading_free(one);
    OK(!hf_reader_has(r) && !ready(0));
    end();
}

static void oldest_first(void)
{
    size_t n = 0, bytes = 0;
    uint64_t last = 0;
    begin();
    for (unsigned i = 0; i < 100; i++) {
        EQ_I(write(from[i % 2][1], &i, sizeof i), sizeof i);
        OK(ready(10000));
    }
    while (bytes < 100 * sizeof(unsigned)) {
        OK(ready(10000));
        struct hf_reading *all = hf_reader_take(r);
        for (const struct hf_reading *x = all; x; x = x->next, n++) {
            OK(x->time_ns >= last);
            last = x->time_ns;
            bytes += x->n;
        }
        hf_reading_free(all);
    }
    OK(n >= 2 && bytes == 100 * sizeof(unsigned));
    end();
}

/* Nobody takes anything: what is kept has an end, and the rest stays where it was. */
static void a_full_queue_leaves_it_with_the_kernel(void)
{
    static char page[65536];
    size_t put = 0, got = 0;
    begin();
    for (unsigned i = 0, idle = 0; i < 100000 && idle < 100; i++) {
        ssize_t n = write(from[0][1], page, sizeof page);
        idle = n > 0 ? 0 : idle + 1;
        put += n > 0 ? (size_t)n : 0;
        if (n <= 0)
            nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    OK(put > 3u << 20 && put < 5u << 20);
    for (unsigned idle = 0; got < put && idle < 1000;) {
        struct hf_reading *all = hf_reader_take(r);
        idle = all ? 0 : idle + 1;
        for (const struct hf_reading *x = all; x; x = x->next)
            got += x->n;
        hf_reading_free(all);
        (void)ready(10);
    }
    OK(got == put);
    end();
}

/* With something in the queue, and while it is full. */
static void it_ends_at_once(void)
{
    begin();
    EQ_I(write(from[0][1], "x", 1), 1);
    OK(ready(10000));
    end();
    hf_reader_free(NULL);
}

int main(void)
{
    what_comes_has_its_time();
    oldest_first();
    a_full_queue_leaves_it_with_the_kernel();
    it_ends_at_once();
    return tap_done();
}
