/* SPDX-License-Identifier: Apache-2.0 */
/* audit.h - who changed what: append-only, each entry holding the hash of the one before.
 *
 * hash = SHA-256("holdfast.audit/1\0" prev_hash(64 hex, zeros for the first) and seq, time (u64), by, via, what, target,
 * before, after (each with its length, u64); all numbers little-endian).  The database refuses UPDATE and DELETE of the table
 * (triggers), and the head is kept beside it, so that cut-off last entries are noticed.  Who may write the file can make a
 * whole new chain: compare the head with one noted elsewhere (hf_store_audit_verify gives it). */
#pragma once
#include "store/store.h"

enum { HF_AUDIT_HASH = 65 }; /* hex and NUL */
struct hf_audit_entry {
    uint64_t seq;                                       /* 1, 2, 3 ...: without a gap */
    int64_t time;                                       /* 0 when appending: now */
    struct hf_span by, via, what, target, before, after; /* via: cli, slack, console...; before and after: any text, best JSON */
    struct hf_span prev_hash, hash;
};
/* Appends (seq, prev_hash and hash are ignored); ret_seq may be NULL. */
HF_MUSTUSE int hf_store_audit_add(struct hf_store *s, const struct hf_audit_entry *e, uint64_t *ret_seq, struct hf_err *err);
typedef int (*hf_audit_cb)(void *ctx, const struct hf_audit_entry *e);
/* Entries with seq > after, oldest first; of one target, or of all when it is empty.  limit 0: 1000. */
HF_MUSTUSE int hf_store_audit_list(struct hf_store *s, struct hf_span target, uint64_t after, unsigned limit, hf_audit_cb cb,
        void *ctx, struct hf_err *err);
struct hf_audit_head {
    uint64_t seq;             /* of the last entry: how many there are; 0: none */
    char hash[HF_AUDIT_HASH]; /* its hash; 64 zeros for none */
};
HF_MUSTUSE int hf_store_audit_head(struct hf_store *s, struct hf_audit_head *ret, struct hf_err *err);
/* Every entry and the head.  0: nothing was altered; HF_E_DIGEST: err names the first entry that is wrong.  known (may be
 * NULL): a head noted earlier that must be part of the chain.  ret_head (may be NULL) is filled when 0 is returned. */
HF_MUSTUSE int hf_store_audit_verify(
        struct hf_store *s, const struct hf_audit_head *known, struct hf_audit_head *ret_head, struct hf_err *err);
