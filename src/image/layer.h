/* SPDX-License-Identifier: Apache-2.0 */
/* layer.h - walking one layer: every entry logged, every wanted file handed to its catalogers, digests computed on the way. */
#pragma once
#include <pthread.h>

#include "image/dispatch.h"
#include "image/image.h"
#include "image/inflate.h"
#include "image/record.h"

struct hf_progress;
/* Bytes that files of compressed layers may take together, shared by the workers: who finds no room waits, and holds nothing meanwhile. */
struct hf_budget {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    size_t total, left;
};
void hf_budget_init(struct hf_budget *b, size_t total);
void hf_budget_done(struct hf_budget *b);

/* What one layer may use does not depend on how many are walked at a time, so that the result does not; budgets (NULL: none) keep
 * the sum within bounds.  Who waits for one holds only such as stand before it: windows, siblings, held, scratch. */
struct hf_layer_opts {
    const struct hf_dispatch *dispatch;
    struct hf_budget *windows;  /* layers of zstd, max_window each */
    struct hf_budget *siblings; /* 1: who keeps databases until its layer's end */
    struct hf_budget *held;     /* files of compressed layers; its total is the largest that is held */
    struct hf_budget *scratch;  /* calls of catalogers that may need more than light bytes, max_scratch each */
    size_t max_siblings;        /* bytes of databases kept until the layer's end */
    size_t max_scratch, light;  /* light: what each worker may use without asking */
    size_t max_facts, max_log;
    struct hf_quota *quota;    /* facts and logs of all layers together */
    struct hf_bombs *bombs;    /* what all layers unpack to beyond reason */
    uint64_t max_window;
    bool digests;     /* the record is to say all that a seal wants: digest, owner and mode of every entry */
    bool verify;      /* compute the diff id of what is walked */
    struct hf_progress *progress;
};
struct hf_layer_result {
    struct hf_record rec;
    struct hf_digest diff_id; /* computed; n == 0: not (plain regions are hashed apart, directories have none) */
};
/* Walks the layer into *ret (initialised here; hf_record_done is the caller's, also on error: what was gathered is kept).
 * skip: paths of a directory source not to descend into. */
HF_MUSTUSE int hf_layer_walk(const struct hf_layer_source *l, const struct hf_span *skip, size_t n_skip,
        const struct hf_layer_opts *o, struct hf_cat_scratch *scratch, struct hf_layer_result *ret, struct hf_err *err);
/* The same for a layer that cannot be read twice at will: begin, stream, and when hf_layer_again says so (wanted files are hard
 * links to content that came by under another name) the same bytes streamed once more; then end, always.  *ret is initialised by
 * begin (NULL: out of memory) and must stay where it is until end. */
struct hf_walk;
struct hf_walk *hf_layer_begin(const struct hf_layer_opts *o, struct hf_cat_scratch *scratch, struct hf_layer_result *ret);
/* *ret_digest: SHA-256 of the uncompressed bytes to their end, n == 0 when they could not be read to it. */
HF_MUSTUSE int hf_layer_stream(struct hf_walk *w, hf_inflate_source source, void *ctx, enum hf_compression kind, struct hf_digest *ret_digest,
        struct hf_err *err);
bool hf_layer_again(const struct hf_walk *w);
HF_MUSTUSE int hf_layer_end(struct hf_walk *w, struct hf_err *err);
/* SHA-256/512 of a region. */
HF_MUSTUSE int hf_region_digest(int fd, uint64_t offset, uint64_t size, enum hf_hash_kind kind, struct hf_progress *progress,
        struct hf_digest *ret, struct hf_err *err);
/* Reads a directory tree the same way (dir.c). */
HF_MUSTUSE int hf_dir_walk(struct hf_walk *w, const struct hf_layer_source *l, const struct hf_span *skip, size_t n_skip, struct hf_err *err);
/* Whether a directory below root was renamed by the kernel on top of lower layers (overlay redirect_dir). */
HF_MUSTUSE int hf_dir_redirected(const char *root, bool *ret, struct hf_err *err);
/* For dir.c: log an entry, and give a regular file to whoever wants it. */
void hf_walk_log(struct hf_walk *w, enum hf_log_type type, struct hf_span path, struct hf_span target);
void hf_walk_incomplete(struct hf_walk *w, struct hf_span path, const char *reason);
/* The same where path, or what is below it, is not in the log for it. */
void hf_walk_unlisted(struct hf_walk *w, struct hf_span path, const char *reason);
bool hf_walk_wants_path(struct hf_walk *w, struct hf_span path);
HF_MUSTUSE int hf_walk_file(struct hf_walk *w, struct hf_span path, uint64_t size, uint32_t mode, const struct hf_ra *ra, struct hf_err *err);
void hf_walk_count(struct hf_walk *w, uint64_t bytes);
/* Whether digests are wanted; what is known of the entry logged as number `entry`; one of which nothing can be known. */
bool hf_walk_digests(const struct hf_walk *w);
void hf_walk_meta(struct hf_walk *w, struct hf_meta *m);
void hf_walk_unsealed(struct hf_walk *w);
uint64_t hf_walk_entry(const struct hf_walk *w);
/* SHA-256 of n bytes of fd from off on.  HF_E_TRUNCATED when it has less. */
HF_MUSTUSE int hf_walk_hash(struct hf_walk *w, int fd, uint64_t off, uint64_t n, uint8_t ret[32], struct hf_err *err);
