/* SPDX-License-Identifier: Apache-2.0 */
/* boltdb.h - one value out of a bbolt database (go.etcd.io/bbolt, file format version 2), such as containerd's meta.db.
 * docs/formats/containers.md has the layout.
 *
 * The database may be written to meanwhile by the daemon that owns it: pages of the transaction whose meta page was read stay as they are until
 * the second transaction after it, so the meta page is read again at the end and all is done anew when it has moved on (three times at
 * most).  Every number is checked; a page is at most 1 MiB, a tree at most 16 pages deep.  Nothing is written, nothing is locked. */
#pragma once
#include <sys/types.h>

#include "base/span.h"

struct hf_bolt;
/* Bytes from an offset into a buffer; fewer than asked for: the end.  < 0: -errno. */
typedef ssize_t (*hf_bolt_read)(void *ctx, uint64_t offset, char *out, size_t n);

HF_MUSTUSE int hf_bolt_new(struct hf_bolt **ret, hf_bolt_read read, void *ctx, struct hf_err *err);
/* The same over a regular file, which stays open as long as the reader: 1, 0 there is none (a link is none), < 0. */
HF_MUSTUSE int hf_bolt_open(struct hf_bolt **ret, const char *path, struct hf_err *err);
void hf_bolt_free(struct hf_bolt *b);
HF_DEFINE_FREEP(struct hf_bolt, hf_bolt_free)

/* The value of a key below nested buckets: path[0] ... path[n - 2] are buckets, path[n - 1] the key.  Copied to out (behind what is there).
 * 1 found, 0 not there, < 0: HF_E_FORMAT, HF_E_LIMIT, HF_E_TRUNCATED, -EAGAIN when the owner wrote all the time. */
HF_MUSTUSE int hf_bolt_get(struct hf_bolt *b, const struct hf_span *path, size_t n, struct hf_buf *out, struct hf_err *err);
/* Every key and value (not the buckets) of the bucket path[0] ... path[n - 1], in order; at most 1,024.  fn may be told of some twice when the owner
 * writes meanwhile: ret is cleared by `restart` then.  Same returns. */
HF_MUSTUSE int hf_bolt_each(struct hf_bolt *b, const struct hf_span *path, size_t n, void (*fn)(void *ctx, struct hf_span key, struct hf_span value),
        void (*restart)(void *ctx), void *ctx, struct hf_err *err);
/* The names of the buckets in the bucket path[0] ... path[n - 1] (n 0: of the whole), each with a NUL behind it, appended to out.  HF_E_LIMIT when there are more
 * than max, or more than out takes; HF_E_FORMAT for a name with a NUL in it.  Same returns. */
HF_MUSTUSE int hf_bolt_buckets(struct hf_bolt *b, const struct hf_span *path, size_t n, unsigned max, struct hf_buf *out, struct hf_err *err);
