/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h - facts of layers by diff id and analysers' version, and which regions of which files were verified (SQLite, WAL).
 *
 * Readers never wait for readers; a cache that cannot be opened or is damaged costs time, never a result. Thread-safe: one
 * connection behind a lock. */
#pragma once
#include "base/hash.h"
#include "image/record.h"

struct hf_cache;
/* dir is made (0700) when missing.  version: analysers' version text.  NULL in *ret and < 0 when it cannot be used. */
HF_MUSTUSE int hf_cache_open(struct hf_cache **ret, const char *dir, struct hf_span version, struct hf_err *err);
void hf_cache_close(struct hf_cache *c);
/* 1 and *ret filled (initialised by the caller), 0 when not there or damaged. c may be NULL. */
HF_MUSTUSE int hf_cache_get(struct hf_cache *c, const struct hf_digest *diff_id, struct hf_record *ret);
bool hf_cache_has(struct hf_cache *c, const struct hf_digest *diff_id);
void hf_cache_put(struct hf_cache *c, const struct hf_digest *diff_id, const struct hf_record *r);
/* Whether this region of this very file (device, inode, size, times to the nanosecond) had this digest when last hashed;
 * the change time cannot be set by a program, so a file written since is not believed. */
bool hf_cache_verified(struct hf_cache *c, int fd, uint64_t offset, uint64_t size, const struct hf_digest *d);
void hf_cache_set_verified(struct hf_cache *c, int fd, uint64_t offset, uint64_t size, const struct hf_digest *d);
/* The same for "blob digest unpacks to diff id". */
bool hf_cache_pair(struct hf_cache *c, const struct hf_digest *blob, const struct hf_digest *diff_id);
void hf_cache_set_pair(struct hf_cache *c, const struct hf_digest *blob, const struct hf_digest *diff_id);
