/* SPDX-License-Identifier: Apache-2.0 */
#include "store/queue.h"

#include <errno.h>

#include "store/sql-internal.h"

enum { WAITS, CLAIMED, DEAD }; /* column state */

int hf_store_queue_push(struct hf_store *s, struct hf_span channel, struct hf_span key, struct hf_span body, int64_t not_before, uint64_t *ret_seq,
        struct hf_err *err)
{
    int64_t seq = 0;
    int rc = channel.n ? hf_store_cap(channel, HF_STORE_KEY_MAX, "the name of a channel", err) : hf_fail(err, HF_E_FORMAT, "a message without a channel");
    if (rc == 0)
        rc = hf_store_cap(key, HF_STORE_KEY_MAX, "the key of a message", err);
    hf_autotx tx = {0};
    if (rc == 0)
        rc = hf_tx_begin(&tx, s, err);
    if (rc == 0 && key.n) /* the last of them: one before it may be at a retry, and must not say the newer things first */
        rc = hf_sql_get_int(s, err, &seq, "SELECT seq FROM queue WHERE channel = ? AND fold_key = ? AND state = 0 ORDER BY seq DESC LIMIT 1", HF_V(HF_TEXT(channel), HF_TEXT(key)));
    if (rc > 0) {
        rc = hf_sql_run(s, err,
                "UPDATE queue SET body = ?, folded = folded + 1, not_before = CASE WHEN tries = 0 AND not_before > ? THEN ? ELSE not_before END WHERE seq = ?",
                HF_V(HF_TEXT(body), HF_INT(not_before), HF_INT(not_before), HF_INT(seq)));
    } else if (rc == 0) {
        rc = hf_store_next_seq(s, "queue", &seq, err);
        if (rc == 0)
            rc = hf_sql_run(s, err,
                    "INSERT INTO queue(seq, channel, fold_key, state, not_before, lease, tries, folded, pushed, error, body) VALUES(?, ?, ?, 0, ?, 0, 0, 0, ?, '', ?)",
                    HF_V(HF_INT(seq), HF_TEXT(channel), HF_TEXT(key), HF_INT(not_before), HF_INT(hf_store_now()), HF_TEXT(body)));
    }
    if (rc >= 0)
        rc = hf_tx_commit(&tx, err);
    if (rc == 0 && ret_seq)
        *ret_seq = (uint64_t)seq;
    return rc;
}

int hf_store_queue_push_claimed(struct hf_store *s, struct hf_span channel, struct hf_span key, struct hf_span body, int64_t now, int64_t lease_ns,
        struct hf_queue_entry *ret_entry, struct hf_err *err)
{
    int64_t seq = 0;
    int rc = channel.n ? hf_store_cap(channel, HF_STORE_KEY_MAX, "the name of a channel", err) : hf_fail(err, HF_E_FORMAT, "a message without a channel");
    rc = rc < 0 ? rc : hf_store_cap(key, HF_STORE_KEY_MAX, "the key of a message", err);
    hf_autotx tx = {0};
    rc = rc < 0 ? rc : hf_tx_begin(&tx, s, err);
    if (rc == 0)
        rc = hf_sql_get_int(s, err, &seq,
                "SELECT seq FROM queue WHERE channel = ? AND (state = 1 OR (state = 0 AND (tries > 0 OR not_before <= ? OR (fold_key <> '' AND fold_key = ?)))) LIMIT 1",
                HF_V(HF_TEXT(channel), HF_INT(now), HF_TEXT(key)));
    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = hf_store_next_seq(s, "queue", &seq, err);
    if (rc == 0)
        rc = hf_sql_run(s, err, "INSERT INTO queue(seq, channel, fold_key, state, not_before, lease, tries, folded, pushed, error, body) VALUES(?, ?, ?, 1, 0, ?, 1, 0, ?, '', ?)",
                HF_V(HF_INT(seq), HF_TEXT(channel), HF_TEXT(key), HF_INT(now + lease_ns), HF_INT(now), HF_TEXT(body)));
    rc = rc < 0 ? rc : hf_tx_commit(&tx, err);
    if (rc < 0)
        return rc;
    *ret_entry = (struct hf_queue_entry){.seq = (uint64_t)seq, .tries = 1, .pushed = now};
    return 1;
}

/* The entry to give out: 1 and its seq, or 0 and when to ask again. */
static int next_due(struct hf_store *s, struct hf_span channel, int64_t now, int64_t *ret_seq, int64_t *ret_next, struct hf_err *err)
{
    int64_t held = INT64_MAX, next = 0;
    *ret_next = 0;
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, "SELECT seq, lease FROM queue WHERE channel = ? AND state = 1 ORDER BY seq LIMIT 1", HF_V(HF_TEXT(channel)));
    if (rc == 0)
        rc = hf_sql_next(&r, err);
    if (rc < 0)
        return rc;
    if (rc > 0) { /* one at a time: its claimer lives (wait), or its lease ran out (again) */
        *ret_seq = hf_sql_int(&r, 0);
        *ret_next = hf_sql_int(&r, 1);
        return *ret_next <= now;
    }
    /* a retry holds back what is behind it */
    rc = hf_sql_get_int(s, err, &held, "SELECT min(seq) FROM queue WHERE channel = ? AND state = 0 AND tries > 0 AND not_before > ?", HF_V(HF_TEXT(channel), HF_INT(now)));
    if (rc >= 0)
        rc = hf_sql_get_int(s, err, ret_seq, "SELECT min(seq) FROM queue WHERE channel = ? AND state = 0 AND not_before <= ? AND seq < ?",
                HF_V(HF_TEXT(channel), HF_INT(now), HF_INT(held)));
    if (rc != 0)
        return rc;
    rc = hf_sql_get_int(s, err, &next, "SELECT min(not_before) FROM queue WHERE channel = ? AND state = 0 AND seq <= ?", HF_V(HF_TEXT(channel), HF_INT(held)));
    if (rc > 0)
        *ret_next = next;
    return rc < 0 ? rc : 0;
}

static void keep_text(struct hf_buf *text, struct hf_span *s, size_t *at)
{
    *at = text->n;
    hf_buf_adds(text, *s);
}

/* Columns as in QUEUE_COLUMNS. */
#define COLUMNS "seq, channel, fold_key, body, tries, folded, pushed, not_before, error"
static struct hf_queue_entry entry_of(const struct hf_sql_rows *r)
{
    return (struct hf_queue_entry){(uint64_t)hf_sql_int(r, 0), hf_sql_text(r, 1), hf_sql_text(r, 2), hf_sql_text(r, 3), (unsigned)hf_sql_int(r, 4),
            (unsigned)hf_sql_int(r, 5), hf_sql_int(r, 6), hf_sql_int(r, 7), hf_sql_text(r, 8)};
}

int hf_store_queue_claim(struct hf_store *s, struct hf_span channel, int64_t now, int64_t lease_ns, struct hf_queue_entry *ret_entry, struct hf_buf *ret_text,
        int64_t *ret_next, struct hf_err *err)
{
    int64_t seq = 0, next = 0;
    struct hf_queue_entry e = {0};
    hf_autotx tx = {0};
    int rc = next_due(s, channel, now, &seq, &next, err); /* a look: most claims find nothing, and need not wait for those who write */
    if (rc > 0)
        rc = hf_tx_begin(&tx, s, err);
    if (rc == 0 && tx.s)
        rc = next_due(s, channel, now, &seq, &next, err);
    if (rc <= 0) {
        if (rc == 0 && ret_next)
            *ret_next = next;
        return rc;
    }
    rc = hf_sql_run(s, err, "UPDATE queue SET state = 1, tries = tries + 1, lease = ? WHERE seq = ?", HF_V(HF_INT(now + lease_ns), HF_INT(seq)));
    hf_buf_clear(ret_text);
    {
        hf_autorows r = {0};
        if (rc >= 0)
            rc = hf_sql_query(&r, s, err, "SELECT " COLUMNS " FROM queue WHERE seq = ?", HF_V(HF_INT(seq)));
        if (rc == 0)
            rc = hf_sql_next(&r, err);
        if (rc < 0)
            return rc;
        e = entry_of(&r);
        struct hf_span *texts[] = {&e.channel, &e.key, &e.body, &e.error};
        size_t at[HF_ARRAY_LEN(texts)];
        for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
            keep_text(ret_text, texts[i], &at[i]);
        if (!hf_buf_ok(ret_text))
            return hf_fail(err, HF_E_LIMIT, "message %llu has over %zu bytes", (unsigned long long)e.seq, ret_text->max);
        for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
            texts[i]->p = texts[i]->n ? ret_text->p + at[i] : NULL;
    }
    rc = hf_tx_commit(&tx, err);
    if (rc < 0)
        return rc;
    *ret_entry = e;
    return 1;
}

/* One statement about a claim that must still be ours. */
static int end_claim(struct hf_store *s, const struct hf_queue_entry *e, const char *sql, const struct hf_sql_value *v, size_t n, struct hf_err *err)
{
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, s, err);
    if (rc == 0)
        rc = hf_sql_run(s, err, sql, v, n);
    if (rc == 0)
        return hf_fail(err, -ESTALE, "message %llu: the lease of this claim ran out, somebody else has it", (unsigned long long)e->seq);
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

int hf_store_queue_done(struct hf_store *s, const struct hf_queue_entry *e, struct hf_err *err)
{
    return end_claim(s, e, "DELETE FROM queue WHERE seq = ? AND tries = ? AND state = 1", HF_V(HF_INT(e->seq), HF_INT(e->tries)), err);
}

int hf_store_queue_retry(struct hf_store *s, const struct hf_queue_entry *e, int64_t when, struct hf_span why, struct hf_err *err)
{
    return end_claim(s, e, "UPDATE queue SET state = 0, lease = 0, not_before = ?, error = ? WHERE seq = ? AND tries = ? AND state = 1",
            HF_V(HF_INT(when), HF_TEXT(hf_span_sub(why, 0, HF_STORE_KEY_MAX)), HF_INT(e->seq), HF_INT(e->tries)), err);
}

int hf_store_queue_dead(struct hf_store *s, const struct hf_queue_entry *e, struct hf_span why, struct hf_err *err)
{
    return end_claim(s, e, "UPDATE queue SET state = 2, lease = 0, error = ? WHERE seq = ? AND tries = ? AND state = 1",
            HF_V(HF_TEXT(hf_span_sub(why, 0, HF_STORE_KEY_MAX)), HF_INT(e->seq), HF_INT(e->tries)), err);
}

int hf_store_queue_dead_list(struct hf_store *s, struct hf_span channel, uint64_t after, unsigned limit, hf_queue_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, "SELECT " COLUMNS " FROM queue WHERE state = 2 AND (? = '' OR channel = ?) AND seq > ? ORDER BY seq LIMIT ?",
            HF_V(HF_TEXT(channel), HF_TEXT(channel), HF_INT(after), HF_INT(hf_store_limit(limit, 1000))));
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_queue_entry e = entry_of(&r);
        rc = cb(ctx, &e);
        if (rc != 0)
            return rc;
    }
    return rc;
}

static int dead_letter(struct hf_store *s, uint64_t seq, const char *sql, struct hf_err *err)
{
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, s, err);
    if (rc == 0)
        rc = hf_sql_run(s, err, sql, HF_V(HF_INT(seq)));
    if (rc == 0)
        return hf_fail(err, HF_E_NOT_FOUND, "there is no dead letter %llu", (unsigned long long)seq);
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

int hf_store_queue_revive(struct hf_store *s, uint64_t seq, struct hf_err *err)
{
    return dead_letter(s, seq, "UPDATE queue SET state = 0, tries = 0, not_before = 0 WHERE seq = ? AND state = 2", err);
}

int hf_store_queue_drop(struct hf_store *s, uint64_t seq, struct hf_err *err)
{
    return dead_letter(s, seq, "DELETE FROM queue WHERE seq = ? AND state = 2", err);
}

int hf_store_queue_stats(struct hf_store *s, struct hf_span channel, struct hf_queue_stats *ret, struct hf_err *err)
{
    struct hf_queue_stats st = {0};
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err,
            "SELECT state, count(*), CAST(sum(folded) AS BIGINT), min(pushed) FROM queue WHERE (? = '' OR channel = ?) GROUP BY state",
            HF_V(HF_TEXT(channel), HF_TEXT(channel)));
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        int64_t state = hf_sql_int(&r, 0), pushed = hf_sql_int(&r, 3);
        uint64_t *count[] = {&st.waiting, &st.claimed, &st.dead};
        if (state >= WAITS && state <= DEAD)
            *count[state] = (uint64_t)hf_sql_int(&r, 1);
        st.folded += state != DEAD ? (uint64_t)hf_sql_int(&r, 2) : 0;
        if (state != DEAD && (!st.oldest || pushed < st.oldest))
            st.oldest = pushed;
        rc = 0;
    }
    if (rc == 0)
        *ret = st;
    return rc;
}
