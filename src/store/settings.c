/* SPDX-License-Identifier: Apache-2.0 */
#include "store/settings.h"

#include "store/sql-internal.h"

int hf_store_setting_put(struct hf_store *s, struct hf_span key, struct hf_span value, struct hf_err *err)
{
    int rc = key.n ? hf_store_cap(key, HF_STORE_KEY_MAX, "the name of a setting", err) : hf_fail(err, HF_E_FORMAT, "a setting without a name");
    hf_autotx tx = {0};
    if (rc == 0)
        rc = hf_tx_begin(&tx, s, err);
    if (rc == 0)
        rc = hf_sql_run(s, err, "INSERT INTO settings(name, changed, value) VALUES(?, ?, ?) ON CONFLICT(name) DO UPDATE SET changed = excluded.changed,"
                " value = excluded.value", HF_V(HF_TEXT(key), HF_INT(hf_store_now()), HF_TEXT(value)));
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

int hf_store_setting_get(struct hf_store *s, struct hf_span key, struct hf_buf *ret, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, "SELECT value FROM settings WHERE name = ?", HF_V(HF_TEXT(key)));
    if (rc == 0)
        rc = hf_sql_next(&r, err);
    if (rc <= 0)
        return rc;
    hf_buf_adds(ret, hf_sql_text(&r, 0));
    return hf_buf_ok(ret) ? 1 : hf_fail(err, HF_E_LIMIT, "setting " HF_SPAN_FMT " has over %zu bytes", HF_SPAN_ARG(key), ret->max);
}

int hf_store_setting_delete(struct hf_store *s, struct hf_span key, struct hf_err *err)
{
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, s, err), n = 0;
    if (rc == 0)
        n = rc = hf_sql_run(s, err, "DELETE FROM settings WHERE name = ?", HF_V(HF_TEXT(key)));
    if (rc >= 0)
        rc = hf_tx_commit(&tx, err);
    return rc < 0 ? rc : n;
}

int hf_store_setting_list(struct hf_store *s, struct hf_span prefix, struct hf_span after, unsigned limit, hf_setting_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    hf_autobuf clean = HF_BUF_INIT(4 * HF_STORE_KEY_MAX);
    hf_sql_clean(&clean, hf_span_sub(prefix, 0, HF_STORE_KEY_MAX)); /* as it was stored */
    prefix = hf_buf_span(&clean);
    int rc = hf_sql_query(&r, s, err, "SELECT name, value, changed FROM settings WHERE name >= ? AND name > ? ORDER BY name LIMIT ?",
            HF_V(HF_TEXT(prefix), HF_TEXT(after), HF_INT(hf_store_limit(limit, 1000))));
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        if (!hf_span_starts(hf_sql_text(&r, 0), prefix)) /* in byte order: none follows */
            return 0;
        rc = cb(ctx, hf_sql_text(&r, 0), hf_sql_text(&r, 1), hf_sql_int(&r, 2));
        if (rc != 0)
            return rc;
    }
    return rc;
}
