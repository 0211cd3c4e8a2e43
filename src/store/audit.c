/* SPDX-License-Identifier: Apache-2.0 */
#include "store/audit.h"

#include <inttypes.h>

#include "base/hash.h"
#include "store/sql-internal.h"

#define COLUMNS "seq, time, who, via, what, target, old_value, new_value, prev_hash, hash"
enum { PAGE = 500 };
static const char zeros[HF_AUDIT_HASH] = "0000000000000000000000000000000000000000000000000000000000000000";

static void add_u64(struct hf_hash *h, uint64_t v)
{
    uint8_t b[8];
    for (unsigned i = 0; i < 8; i++)
        b[i] = (uint8_t)(v >> 8 * i);
    hf_hash_add(h, b, 8);
}

static int hash_of(const struct hf_audit_entry *e, char ret[HF_AUDIT_HASH], struct hf_err *err)
{
    const struct hf_span texts[] = {e->by, e->via, e->what, e->target, e->before, e->after};
    hf_cleanup(hf_hash_freep) struct hf_hash *h = hf_hash_new(HF_SHA256);
    uint8_t sum[64];
    if (!h)
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    hf_hash_add(h, "holdfast.audit/1", sizeof "holdfast.audit/1");
    hf_hash_add(h, e->prev_hash.p, e->prev_hash.n);
    add_u64(h, e->seq);
    add_u64(h, (uint64_t)e->time);
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
        add_u64(h, texts[i].n);
        if (texts[i].n)
            hf_hash_add(h, texts[i].p, texts[i].n);
    }
    hf_hex(sum, hf_hash_end(h, sum), ret);
    return 0;
}

int hf_store_audit_head(struct hf_store *s, struct hf_audit_head *ret, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, "SELECT seq, hash FROM audit_head WHERE id = 1", HF_NO_VALUES);
    if (rc == 0)
        rc = hf_sql_next(&r, err);
    if (rc < 0)
        return rc;
    struct hf_span hash = rc ? hf_sql_text(&r, 1) : hf_span_z(zeros);
    if (hash.n != HF_AUDIT_HASH - 1)
        return hf_fail(err, HF_E_DIGEST, "store %s: the kept head of the audit log is not a hash", hf_store_name(s));
    ret->seq = rc ? (uint64_t)hf_sql_int(&r, 0) : 0;
    memcpy(ret->hash, hash.p, hash.n);
    ret->hash[hash.n] = 0;
    return 0;
}

int hf_store_audit_add(struct hf_store *s, const struct hf_audit_entry *e, uint64_t *ret_seq, struct hf_err *err)
{
    struct hf_audit_entry full = *e;
    struct hf_span *texts[] = {&full.by, &full.via, &full.what, &full.target, &full.before, &full.after};
    static const char *const names[] = {"by", "via", "what", "target", "before", "after"};
    hf_autobuf room = HF_BUF_INIT(32 << 20);
    size_t at[HF_ARRAY_LEN(texts)];
    struct hf_audit_head head;
    char hash[HF_AUDIT_HASH];
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) { /* the hash is over what is stored */
        int rc = hf_store_cap(*texts[i], i < 4 ? (size_t)HF_STORE_KEY_MAX : (size_t)HF_STORE_DOC_MAX / 4, names[i], err);
        if (rc < 0)
            return hf_wrap(err, rc, "audit entry");
        at[i] = room.n;
        hf_sql_clean(&room, *texts[i]);
        texts[i]->n = room.n - at[i];
    }
    if (!hf_buf_ok(&room))
        return hf_fail(err, HF_E_LIMIT, "audit entry: out of memory");
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
        texts[i]->p = texts[i]->n ? room.p + at[i] : "";
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, s, err);
    if (rc == 0)
        rc = hf_store_audit_head(s, &head, err);
    if (rc < 0)
        return rc;
    full.seq = head.seq + 1;
    full.time = e->time ? e->time : hf_store_now();
    full.prev_hash = hf_span_z(head.hash);
    rc = hash_of(&full, hash, err);
    if (rc == 0)
        rc = hf_sql_run(s, err, "INSERT INTO audit(" COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                HF_V(HF_INT(full.seq), HF_INT(full.time), HF_TEXT(full.by), HF_TEXT(full.via), HF_TEXT(full.what), HF_TEXT(full.target),
                        HF_TEXT(full.before), HF_TEXT(full.after), HF_TEXT(full.prev_hash), HF_TEXTZ(hash)));
    if (rc >= 0)
        rc = hf_sql_run(s, err, "INSERT INTO audit_head(id, seq, hash) VALUES(1, ?, ?) ON CONFLICT(id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
                HF_V(HF_INT(full.seq), HF_TEXTZ(hash)));
    if (rc >= 0)
        rc = hf_tx_commit(&tx, err);
    if (rc == 0 && ret_seq)
        *ret_seq = full.seq;
    return rc;
}

static struct hf_audit_entry entry_of(const struct hf_sql_rows *r)
{
    return (struct hf_audit_entry){(uint64_t)hf_sql_int(r, 0), hf_sql_int(r, 1), hf_sql_text(r, 2), hf_sql_text(r, 3), hf_sql_text(r, 4), hf_sql_text(r, 5),
            hf_sql_text(r, 6), hf_sql_text(r, 7), hf_sql_text(r, 8), hf_sql_text(r, 9)};
}

int hf_store_audit_list(struct hf_store *s, struct hf_span target, uint64_t after, unsigned limit, hf_audit_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    struct hf_sql_value l = HF_INT(hf_store_limit(limit, 1000));
    int rc = target.n ? hf_sql_query(&r, s, err, "SELECT " COLUMNS " FROM audit WHERE target = ? AND seq > ? ORDER BY seq LIMIT ?", HF_V(HF_TEXT(target), HF_INT(after), l))
                      : hf_sql_query(&r, s, err, "SELECT " COLUMNS " FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", HF_V(HF_INT(after), l));
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_audit_entry e = entry_of(&r);
        rc = cb(ctx, &e);
        if (rc != 0)
            return rc;
    }
    return rc;
}

struct verifying {
    struct hf_audit_head last;
    const struct hf_audit_head *known;
    bool known_seen;
    struct hf_err *err;
};

static int verify_one(void *ctx, const struct hf_audit_entry *e)
{
    struct verifying *v = ctx;
    char hash[HF_AUDIT_HASH];
    if (e->seq != v->last.seq + 1)
        return hf_fail(v->err, HF_E_DIGEST, "audit entry %" PRIu64 " is missing: after %" PRIu64 " comes %" PRIu64, v->last.seq + 1, v->last.seq, e->seq);
    if (!hf_span_eqz(e->prev_hash, v->last.hash))
        return hf_fail(v->err, HF_E_DIGEST, "audit entry %" PRIu64 " does not follow the one before: that has the hash %.16s..., here stands " HF_SPAN_FMT "...", e->seq,
                v->last.hash, HF_SPAN_ARG(hf_span_sub(e->prev_hash, 0, 16)));
    int rc = hash_of(e, hash, v->err);
    if (rc < 0)
        return rc;
    if (!hf_span_eqz(e->hash, hash))
        return hf_fail(v->err, HF_E_DIGEST, "audit entry %" PRIu64 " was altered: its content has the hash %.16s..., noted is " HF_SPAN_FMT "...", e->seq, hash,
                HF_SPAN_ARG(hf_span_sub(e->hash, 0, 16)));
    v->last.seq = e->seq;
    memcpy(v->last.hash, hash, sizeof hash);
    if (v->known && v->known->seq == e->seq) {
        v->known_seen = true;
        if (memcmp(v->known->hash, hash, sizeof hash) != 0)
            return hf_fail(v->err, HF_E_DIGEST, "audit entry %" PRIu64 " is not the one noted earlier: it has the hash %.16s..., noted was %.16s...", e->seq, hash, v->known->hash);
    }
    return 0;
}

int hf_store_audit_verify(struct hf_store *s, const struct hf_audit_head *known, struct hf_audit_head *ret_head, struct hf_err *err)
{
    struct verifying v = {.known = known && known->seq ? known : NULL, .err = err};
    struct hf_audit_head head;
    memcpy(v.last.hash, zeros, sizeof zeros);
    hf_autotx tx = {0}; /* one view of entries and head */
    int rc = hf_tx_begin(&tx, s, err);
    if (rc == 0)
        rc = hf_store_audit_head(s, &head, err);
    for (uint64_t before = UINT64_MAX; rc == 0 && before != v.last.seq;) {
        before = v.last.seq;
        rc = hf_store_audit_list(s, (struct hf_span){NULL, 0}, v.last.seq, PAGE, verify_one, &v, err);
    }
    if (rc < 0)
        return hf_wrap(err, rc, "store %s", hf_store_name(s));
    if (head.seq != v.last.seq || memcmp(head.hash, v.last.hash, sizeof head.hash) != 0)
        return hf_fail(err, HF_E_DIGEST, "store %s: the audit log ends with entry %" PRIu64 " (%.16s...), the head kept says %" PRIu64 " (%.16s...)", hf_store_name(s), v.last.seq,
                v.last.hash, head.seq, head.hash);
    if (v.known && !v.known_seen)
        return hf_fail(err, HF_E_DIGEST, "store %s: the audit log has %" PRIu64 " entries, entry %" PRIu64 " was noted earlier: the last ones were cut off", hf_store_name(s), v.last.seq,
                known->seq);
    if (ret_head)
        *ret_head = v.last;
    return 0;
}
