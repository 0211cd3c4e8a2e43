/* SPDX-License-Identifier: Apache-2.0 */
/* tar-walk.h - one pass over a tar stream (libarchive; POSIX pax, GNU, v7), entries with cleaned paths, contents on demand.
 *
 * From a region of a file contents are skipped by seeking; from a pull stream they are read past.  Nothing is unpacked. */
#pragma once
#include "base/hash.h"
#include "base/ra.h"

enum hf_tar_type { HF_TAR_FILE, HF_TAR_DIR, HF_TAR_SYMLINK, HF_TAR_HARDLINK, HF_TAR_OTHER };
struct hf_tar_entry {
    enum hf_tar_type type;
    struct hf_span path; /* cleaned: no leading '/', no "." or empty components; never holds ".." or NUL */
    struct hf_span link; /* symlink: text as stored; hardlink: cleaned path of the target */
    uint64_t size;       /* bytes of content */
    uint32_t mode;       /* st_mode */
    uint32_t uid, gid;   /* (uint32_t)-1 for what does not fit */
    struct hf_span caps; /* security.capability (PAX SCHILY.xattr), borrowed for the call, or empty */
    struct hf_span windows; /* limits.windows: as winpax.h gives it, borrowed for the call, or empty */
    bool windows_lost;      /* ... and it is not known whether there is one */
};
struct hf_tar;

/* Where piece after piece of an unseekable tar comes from: 1 and *ret (borrowed until the next call), 0 at the end, < 0. */
typedef int (*hf_tar_pull)(void *ctx, struct hf_span *ret, struct hf_err *err);
/* One entry.  < 0 stops the walk with that code.  e is borrowed for the call. */
typedef int (*hf_tar_cb)(void *ctx, const struct hf_tar_entry *e, struct hf_tar *t, struct hf_err *err);
/* An entry that was left out (bad path, over a cap): the walk goes on.  NULL: ignored. */
typedef void (*hf_tar_skipped)(void *ctx, struct hf_span path, const char *reason);

struct hf_tar_limits {
    uint64_t max_entries; /* 0: HF_TAR_MAX_ENTRIES */
    hf_tar_skipped skipped;
    void *skipped_ctx;
    bool windows; /* attributes and security descriptors of Windows are wanted */
};
enum { HF_TAR_MAX_ENTRIES = 8 << 20, HF_TAR_MAX_PATH = 4096 };

HF_MUSTUSE int hf_tar_walk_fd(int fd, uint64_t offset, uint64_t size, hf_tar_cb cb, void *ctx, const struct hf_tar_limits *l,
        struct hf_err *err);
HF_MUSTUSE int hf_tar_walk_pull(hf_tar_pull pull, void *pull_ctx, hf_tar_cb cb, void *ctx, const struct hf_tar_limits *l,
        struct hf_err *err);

/* Inside the callback, for a regular file: */
/* Absolute offset of its first content byte in fd; HF_E_UNSUPPORTED for pull streams and sparse entries. */
HF_MUSTUSE int hf_tar_data_offset(struct hf_tar *t, uint64_t *ret, struct hf_err *err);
/* The next piece of its content: 1 and *ret at file offset *ret_off (holes of sparse files are skipped), 0 at the end, < 0. */
HF_MUSTUSE int hf_tar_read(struct hf_tar *t, struct hf_span *ret, uint64_t *ret_off, struct hf_err *err);

/* Has all that hf_tar_read gives of this entry hashed too (holes as zeroes); NULL ends it. */
void hf_tar_hash(struct hf_tar *t, struct hf_hash *h);
/* Reads the rest of the content, so that the hash is of all of it. */
HF_MUSTUSE int hf_tar_drain(struct hf_tar *t, uint64_t size, struct hf_err *err);

/* Appends the path without leading '/', "." and empty components.  ".." removes a component when collapse is set, else is
 * HF_E_FORMAT, as are NUL bytes; HF_E_LIMIT over HF_TAR_MAX_PATH. */
HF_MUSTUSE int hf_path_clean(struct hf_span path, bool collapse, struct hf_buf *out);
