/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - what is known of one layer after it was walked: a pure function of the layer's bytes and the analysers' version.
 *
 * Holds the facts of the catalogers, the files those came from, and the log of every path of the layer in the order met
 * (front-coded, some 20 bytes an entry), which the merge needs to see what hides what.  Serialised for the cache. */
#pragma once
#include "packages/facts.h"

/* Key of HF_FACT_INCOMPLETE where something is not even in the log of paths. */
#define HF_WALK_UNLISTED "unlisted"

enum hf_log_type {
    HF_LOG_FILE, HF_LOG_DIR, HF_LOG_SYMLINK, HF_LOG_HARDLINK, HF_LOG_OTHER,
    HF_LOG_WHITEOUT, /* path: what is removed */
    HF_LOG_OPAQUE,   /* path: the directory whose lower content is hidden */
};
/* What a seal wants to know of an entry; kept only where it is asked for. */
struct hf_meta {
    uint64_t entry; /* which entry of the layer, as hf_record.current */
    uint32_t mode, uid, gid;
    uint64_t size;
    bool has_sha256; /* regular files, unless they could not be read */
    uint8_t sha256[32];
    struct hf_span caps; /* security.capability */
    struct hf_span windows; /* as winpax.h gives it, or HF_WINFILE_LOST; of layers of Windows */
};
struct hf_record_file {
    struct hf_span path;
    uint64_t size;
    uint64_t entry; /* which entry of the layer it was: names may occur twice, and the last counts */
};
struct hf_record {
    struct hf_facts facts; /* .arena holds all text */
    struct hf_record_file *files; /* facts' `file` is an index here */
    size_t n_files, cap_files;
    struct hf_buf log;
    bool log_borrowed; /* log lies in storage and cannot grow */
    struct hf_buf last; /* previous path while writing */
    uint64_t current;        /* entry whose file is being examined */
    uint64_t entries, bytes; /* entries met, bytes of content */
    uint64_t unlogged;       /* entries over the log's cap */
    struct hf_buf meta;      /* of hf_record_meta */
    bool has_meta;           /* every entry but whiteouts is in it; else the layer was walked without */
    bool meta_borrowed;
    uint64_t meta_entry;     /* the last one in it */
    uint64_t meta_lost;      /* entries that are not, for want of room or of a way to know */
    struct hf_buf storage;   /* of a record read from the cache */
};
/* quota: what this and other layers may take together, NULL: as much as the ceilings allow. */
void hf_record_init(struct hf_record *r, size_t max_facts_bytes, size_t max_log_bytes, struct hf_quota *quota);
void hf_record_done(struct hf_record *r);
/* Counts an entry, which becomes the current one, and adds its path to the log; target: of links.  Over the cap it is counted in unlogged. */
void hf_record_log(struct hf_record *r, enum hf_log_type type, struct hf_span path, struct hf_span target);
/* Adds what is known of an entry; entries only grow. */
void hf_record_meta(struct hf_record *r, const struct hf_meta *m);
/* Registers a file facts come from and makes it the current one. */
HF_MUSTUSE int hf_record_file(struct hf_record *r, struct hf_span path, uint64_t size, struct hf_err *err);

/* Reads the log back: 1 and the entry (borrowed until the next call), 0 at the end, HF_E_FORMAT. */
struct hf_log_iter {
    const struct hf_record *r;
    size_t off;
    struct hf_buf path;
};
struct hf_log_entry {
    enum hf_log_type type;
    struct hf_span path, target;
};
void hf_log_iter_init(struct hf_log_iter *it, const struct hf_record *r);
void hf_log_iter_done(struct hf_log_iter *it);
HF_MUSTUSE int hf_log_next(struct hf_log_iter *it, struct hf_log_entry *ret);

struct hf_meta_iter {
    const struct hf_record *r;
    size_t off;
    uint64_t entry;
};
/* 1 and the entry's (spans live as long as the record), 0 at the end, HF_E_FORMAT. */
HF_MUSTUSE int hf_meta_next(struct hf_meta_iter *it, struct hf_meta *ret);

/* Bytes for the cache, and back. The record read must have been initialised; it then owns what it points to. */
HF_MUSTUSE int hf_record_write(const struct hf_record *r, struct hf_buf *out, struct hf_err *err);
HF_MUSTUSE int hf_record_read(struct hf_record *r, struct hf_span bytes, struct hf_err *err);
