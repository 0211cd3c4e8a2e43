/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h - a thread that takes fanotify's events as they come and notes when.  fanotify tells no time: what is read late would be held against what the
 * process has become meanwhile (a shell that read a file and then executed something else), so that the reading must not wait behind other work.
 *
 * The thread touches nothing but the descriptors and its queue.  A full queue leaves events with the kernel, which counts what it loses.  All
 * functions are the one caller's. */
#pragma once
#include "base/span.h"

struct hf_reader;
/* What one read(2) gave: whole events of one group. */
struct hf_reading {
    struct hf_reading *next;
    uint64_t time_ns; /* boot clock; none of them happened later */
    unsigned group;
    size_t n;
    _Alignas(8) char bytes[];
};

/* fds: of groups, not blocking; stay the caller's, and open until hf_reader_free.  Those before go before. */
HF_MUSTUSE int hf_reader_new(struct hf_reader **ret, const int *fds, unsigned n_fds, struct hf_err *err);
/* Waits for the thread, which ends at once. */
void hf_reader_free(struct hf_reader *r);
/* Readable when there is something to take. */
int hf_reader_fd(const struct hf_reader *r);
/* Readings that there was no memory for. */
uint64_t hf_reader_lost(const struct hf_reader *r);
/* Whether there is, at the price of a memory access. */
bool hf_reader_has(const struct hf_reader *r);
/* All that there is, oldest first; the caller's to free (hf_reading_free).  NULL: nothing. */
struct hf_reading *hf_reader_take(struct hf_reader *r);
void hf_reading_free(struct hf_reading *list);
