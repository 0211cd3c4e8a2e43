// SPDX-License-Identifier: Apache-2.0
#include "event/recording.h"

#include <sys/mman.h>
#include <unistd.h>

#include "records.h"
#include "tap.h"

static const struct hf_recording_facts facts = {.offset_ns = 1700000000000000000u, .seed = 77, .started_ns = 5, .hostname = HF_S("box"), .kernel = HF_S("6.1"),
        .program = HF_S("0.1"), .passwd = HF_S("root:x:0:\n"), .group = HF_S("wheel:x:0:\n")};

static int memory(void)
{
    int fd = memfd_create("recording", MFD_CLOEXEC);
    OK(fd >= 0);
    return fd;
}

/* Writes `n` frames of one record; ends it when asked. */
static uint64_t write_one(int fd, unsigned n, bool end)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_recorder_freep) struct hf_recorder *w = NULL;
    static struct rec r;
    EQ_I(hf_recorder_new(&w, fd, 0, &facts, &err), 0);
    for (unsigned i = 0; i < n; i++) {
        struct hf_span s = rec_exec(&r, rec_hdr(100 + i, 1, 7, 9, i, "sh"), (struct hf_wire_exec){.argc = 1}, "/bin/sh", hf_span("sh", 3), "/", hf_span(NULL, 0));
        if (hf_recorder_frame(w, i * 400000000u, s, &err) != 0)
            return 0;
    }
    if (end)
        EQ_I(hf_recorder_end(w, 99, "stopped", &err), 0);
    return (uint64_t)lseek(fd, 0, SEEK_END);
}

static int count(int fd, unsigned *ret_frames, struct hf_err *err)
{
    hf_cleanup(hf_recording_closep) struct hf_recording *r = NULL;
    struct hf_recording_frame f;
    *ret_frames = 0;
    if (lseek(fd, 0, SEEK_SET) != 0)
        return -1;
    int rc = hf_recording_open(&r, hf_recording_read_fd, &fd, err);
    while (rc >= 0 && (rc = hf_recording_next(r, &f, err)) > 0)
        ++*ret_frames;
    return rc;
}

static void round_trip(void)
{
    struct hf_err err = HF_ERR_INIT;
    int fd = memory();
    write_one(fd, 1000, true);
    hf_cleanup(hf_recording_closep) struct hf_recording *r = NULL;
    struct hf_recording_frame f;
    EQ_I(lseek(fd, 0, SEEK_SET), 0);
    EQ_I(hf_recording_open(&r, hf_recording_read_fd, &fd, &err), 0);
    const struct hf_recording_facts *have = hf_recording_facts(r);
    EQ_U(have->offset_ns, facts.offset_ns);
    EQ_U(have->seed, 77);
    EQ_S(have->hostname, "box");
    EQ_S(have->passwd, "root:x:0:\n");
    EQ_S(have->group, "wheel:x:0:\n");
    unsigned n = 0, wrong = 0;
    while (hf_recording_next(r, &f, &err) == 1) {
        struct hf_event ev;
        wrong += f.boot_ns != n * 400000000u || hf_event_decode(f.records, &ev, &err) < 0 || ev.h->pid != 100 + n || !hf_span_eqz(ev.path, "/bin/sh");
        n++;
    }
    EQ_U(n, 1000);
    EQ_U(wrong, 0);
    EQ_S(hf_recording_reason(r), "stopped");
    EQ_I(hf_recording_next(r, &f, &err), 0);
    close(fd);
}

static void cut_off(void)
{
    struct hf_err err = HF_ERR_INIT;
    unsigned n;
    int fd = memory();
    uint64_t size = write_one(fd, 100, false); /* killed: no end */
    EQ_I(count(fd, &n, &err), HF_E_TRUNCATED);
    OK(n >= 97 && n < 100); /* all but what came in the last second */
    OK(strstr(err.msg, "cut off"));
    close(fd);
    fd = memory();
    size = write_one(fd, 100, true);
    unsigned before = 100, bad = 0;
    for (uint64_t to = size - 1; to > 0; to -= HF_MIN(to, 13u)) {
        struct hf_err e = HF_ERR_INIT;
        if (ftruncate(fd, (off_t)to) < 0)
            bad++;
        int rc = count(fd, &n, &e);
        bad += rc >= 0 && to + 4 < size; /* the last four bytes are zstd's checksum: the end frame was there already */
        bad += n > before || !(rc >= 0 || e.msg[0]);
        before = n;
    }
    EQ_U(bad, 0);
    close(fd);
}

static void limit(void)
{
    struct hf_err err = HF_ERR_INIT;
    int fd = memory();
    hf_cleanup(hf_recorder_freep) struct hf_recorder *w = NULL;
    EQ_I(hf_recorder_new(&w, fd, 300000, &facts, &err), 0);
    static char noise[65536];
    uint64_t x = 88172645463325252u;
    int rc = 0;
    unsigned n = 0, have;
    for (; rc == 0 && n < 1000; n++) {
        for (size_t i = 0; i < sizeof noise; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            noise[i] = (char)x;
        }
        rc = hf_recorder_frame(w, n, hf_span(noise, sizeof noise), &err);
    }
    EQ_I(rc, HF_E_LIMIT);
    OK(strstr(err.msg, "limit of 300000 bytes"));
    OK(n >= 3 && n < 6);
    OK(lseek(fd, 0, SEEK_END) <= 300000);
    EQ_I(hf_recorder_frame(w, n, hf_span(noise, 8), &err), HF_E_LIMIT);
    EQ_I(hf_recorder_end(w, n, "stopped", &err), 0); /* has ended */
    EQ_I(count(fd, &have, &err), 0);
    EQ_U(have, n - 1);
    close(fd);
}

static void refused(void)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *why;
    } cases[] = {{"", 0, "empty"}, {"{\"a\":1}\n", 8, "not a recording"}, {"\x28\xb5\x2f\xfd", 4, "ends within its header"}};
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        struct hf_err err = HF_ERR_INIT;
        unsigned n;
        int fd = memory();
        OK(write(fd, cases[i].bytes, cases[i].n) == (ssize_t)cases[i].n);
        OK(count(fd, &n, &err) < 0);
        if (!OK(strstr(err.msg, cases[i].why)))
            printf("# %s\n", err.msg);
        close(fd);
    }
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_recorder_freep) struct hf_recorder *w = NULL;
    OK(hf_recorder_new(&w, -1, 0, &facts, &err) < 0);
    OK(strstr(err.msg, "could not be written"));
}

int main(void)
{
    round_trip();
    cut_off();
    limit();
    refused();
    return tap_done();
}
