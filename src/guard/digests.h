/* SPDX-License-Identifier: Apache-2.0 */
/* digests.h - SHA-256 of files that run, computed once per state of a file: device, inode, change time, size (stat(2), which below an overlay
 * speaks of the file that is really there).
 *
 * A state is remembered when its change time is at least HF_RACY_NS before the hash began and nothing changed meanwhile; of a younger one the
 * digest is given but not kept, since a write in the same tick of the clock would not show.  What a mapping has dirty is written back first, so
 * that a write through it shows.  A file with fs-verity cannot change at all, so its digest is remembered by its measurement too (verity.h), and
 * another file with the same one, or the same in another state or on a file system that was mounted anew, is not read.  security.ima is not used:
 * where no policy of the kernel keeps it, it stays what it was when the content changes.
 *
 * Files larger than `now_bytes` are hashed by a second thread, one after the other, at idle priority; with hf_digests_pace it takes its time, as long as
 * nobody waits for a file.  The loop that owns the object calls everything here; only the file itself is the thread's. */
#pragma once
#include <sys/stat.h>

#include "base/span.h"

#define HF_RACY_NS 20000000ull
#define HF_DIGESTS_QUEUE 64u /* large files that wait */

struct hf_digests;

struct hf_file_state {
    uint64_t dev, inode, ctime_ns, size;
};
struct hf_file_state hf_file_state_of(const struct stat *st);

HF_MUSTUSE int hf_digests_new(struct hf_digests **ret, size_t entries, uint64_t now_bytes, struct hf_err *err);
void hf_digests_free(struct hf_digests *d);
HF_DEFINE_FREEP(struct hf_digests, hf_digests_free)
/* Digest of the file as it is.  0 and ret (ret_racy: it changed so shortly before that it was not kept); -EINPROGRESS: the second thread
 * was, or had been, asked; -EAGAIN: too many wait; -ESTALE: it changes all the time; -errno of reading. */
/* FIRM: what mappings dirtied is written back first, which may take as long as the disk does; one that was read without is read again.  URGENT: somebody
 * is kept waiting for it. */
#define HF_DIGEST_FIRM 1u
#define HF_DIGEST_URGENT 2u
HF_MUSTUSE int hf_digests_fd(struct hf_digests *d, int fd, const struct stat *st, unsigned how, uint8_t ret[32], bool *ret_racy);
/* What is known of this state: no reading.  false: nothing. */
bool hf_digests_known(struct hf_digests *d, const struct stat *st, unsigned how, uint8_t ret[32]);
/* So much of a second (ns) the second thread may compute while nothing urgent waits; 0: all of it. */
void hf_digests_pace(struct hf_digests *d, uint64_t ns_per_s);
/* To wait on: readable when the second thread has finished a file. */
int hf_digests_wait_fd(const struct hf_digests *d);
/* Takes in what the second thread has done; how many. */
unsigned hf_digests_collect(struct hf_digests *d);

struct hf_digests_stats {
    uint64_t hashed, hashed_bytes, hits, racy, failed; /* files read, their bytes; look-ups served from what is known */
    uint64_t measured;     /* known by their measurement alone */
    uint64_t now_ns, later_ns; /* of processor time: on small files, and of the second thread */
    size_t known, waiting;
};
void hf_digests_stats(const struct hf_digests *d, struct hf_digests_stats *ret);
