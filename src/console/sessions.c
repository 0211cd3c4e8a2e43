// SPDX-License-Identifier: Apache-2.0
/* Sessions, tokens and the one-time link (accounts.h). */
#include <errno.h>
#include <stdio.h>

#include "base/hash.h"
#include "console/accounts.h"
#include "console/console.h"
#include "console/secret.h"
#include "store/settings.h"

#define SEC 1000000000ll
#define NOTE_S 60 /* how often the use of a session or token is written down */

const char *const hf_scopes[4] = {"read", "respond", "admin", "metrics"};

/* ---- sessions ---- */

static int session_put(struct hf_store *s, const char *key, struct hf_span user, int64_t created_s, int64_t seen_s, struct hf_err *err)
{
    hf_autobuf b = HF_BUF_INIT(1024);
    struct hf_jw w;
    hf_jw_init(&w, &b, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "user", user);
    hf_jw_ku64(&w, "created", (uint64_t)created_s);
    hf_jw_ku64(&w, "seen", (uint64_t)seen_s);
    hf_jw_object_end(&w);
    return hf_store_setting_put(s, hf_span_z(key), hf_buf_span(&b), err);
}

/* Notes a use, unless the record went meanwhile: what was ended must not come back.  Nobody waits for it: while another writes, or the disk is full, the next use
 * is noted. */
static int note(struct hf_store *s, const char *key, int (*put)(struct hf_store *s, const char *key, const void *what, struct hf_err *err), const void *what, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_autotx tx = {0};
    int rc = hf_tx_try(&tx, s, err);
    if (rc == -EBUSY)
        return 1;
    rc = rc < 0 ? rc : hf_rec_get(s, key, &doc, err);
    if (rc <= 0)
        return rc;
    rc = put(s, key, what, err);
    rc = rc < 0 ? rc : hf_tx_commit(&tx, err);
    return rc < 0 && rc != -ENOSPC ? rc : 1;
}

struct times {
    struct hf_span user;
    int64_t created, seen;
};

static int put_seen(struct hf_store *s, const char *key, const void *what, struct hf_err *err)
{
    const struct times *t = what;
    return session_put(s, key, t->user, t->created, t->seen, err);
}

struct own {
    struct hf_store *s;
    struct hf_span user;
    int64_t now_s;
    struct hf_err *err;
    char oldest[HF_REC_KEY];
    uint64_t oldest_at;
    unsigned n;
};

static int count_own(void *ctx, struct hf_span key, struct hf_span name, hf_jnode record)
{
    struct own *o = ctx;
    uint64_t created = hf_rec_u64(record, "created");
    (void)name;
    if (!hf_span_eq(hf_jgetstr(record, "user"), o->user))
        return 0;
    if (!o->n++ || created < o->oldest_at) {
        o->oldest_at = created;
        snprintf(o->oldest, sizeof o->oldest, "%.*s", HF_SPAN_ARG(key));
    }
    return 0;
}

int hf_session_new(struct hf_store *s, struct hf_span user, int64_t now_ns, char ret[HF_SECRET_TEXT], struct hf_err *err)
{
    char key[HF_REC_KEY];
    hf_autotx tx = {0};
    struct own o = {.s = s, .user = user, .err = err};
    int rc = hf_secret_new(ret, err);
    hf_rec_secret_key("session", hf_span_z(ret), key);
    rc = rc < 0 ? rc : hf_tx_begin(&tx, s, err);
    rc = rc < 0 ? rc : hf_rec_each(s, "session", count_own, &o, err);
    if (rc == 0 && o.n >= HF_SESSIONS_USER)
        rc = hf_store_setting_delete(s, hf_span_z(o.oldest), err);
    rc = rc < 0 ? rc : session_put(s, key, user, now_ns / SEC, now_ns / SEC, err);
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

int hf_session_get(struct hf_store *s, struct hf_span secret, int64_t now_ns, struct hf_arena *a, struct hf_session *ret, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    char key[HF_REC_KEY];
    struct hf_session v;
    int64_t now = now_ns / SEC;
    if (secret.n != HF_SECRET_TEXT - 1)
        return 0;
    hf_rec_secret_key("session", secret, key);
    int rc = hf_rec_get(s, key, &doc, err);
    if (rc <= 0)
        return rc;
    int64_t created = (int64_t)hf_rec_u64(hf_json_root(doc), "created"), seen = (int64_t)hf_rec_u64(hf_json_root(doc), "seen");
    struct hf_span user = hf_jgetstr(hf_json_root(doc), "user");
    if (now - created >= HF_SESSION_MAX_S || now - seen >= HF_SESSION_IDLE_S) {
        rc = hf_store_setting_delete(s, hf_span_z(key), err);
        return rc < 0 ? rc : 0;
    }
    rc = hf_account_get(s, user, a, &v.account, err);
    if (rc <= 0 || v.account.disabled)
        return rc < 0 ? rc : 0;
    struct times t = {user, created, now};
    if (now - seen >= NOTE_S && (rc = note(s, key, put_seen, &t, err)) <= 0)
        return rc;
    v.expires = (created + HF_SESSION_MAX_S) * SEC;
    *ret = v;
    return 1;
}

int hf_session_end(struct hf_store *s, struct hf_span secret, struct hf_err *err)
{
    char key[HF_REC_KEY];
    hf_rec_secret_key("session", secret, key);
    return hf_store_setting_delete(s, hf_span_z(key), err);
}

static int end_own(void *ctx, struct hf_span key, struct hf_span name, hf_jnode record)
{
    struct own *o = ctx;
    (void)name;
    bool ends = hf_span_eq(hf_jgetstr(record, "user"), o->user) && !hf_span_eqz(key, o->oldest);
    int rc = ends ? hf_store_setting_delete(o->s, key, o->err) : 0;
    return rc < 0 ? rc : 0;
}

int hf_session_end_all(struct hf_store *s, struct hf_span user, struct hf_span but, struct hf_err *err)
{
    struct own o = {.s = s, .user = user, .err = err};
    if (but.n)
        hf_rec_secret_key("session", but, o.oldest);
    return hf_rec_each(s, "session", end_own, &o, err);
}

static int end_old(void *ctx, struct hf_span key, struct hf_span name, hf_jnode record)
{
    struct own *o = ctx;
    bool link = hf_span_starts(key, HF_S("console/link/"));
    (void)name;
    bool over = link ? (int64_t)hf_rec_u64(record, "expires") <= o->now_s
                     : o->now_s - (int64_t)hf_rec_u64(record, "created") >= HF_SESSION_MAX_S || o->now_s - (int64_t)hf_rec_u64(record, "seen") >= HF_SESSION_IDLE_S;
    int rc = over ? hf_store_setting_delete(o->s, key, o->err) : 0;
    return rc < 0 ? rc : 0;
}

int hf_session_sweep(struct hf_store *s, int64_t now_ns, struct hf_err *err)
{
    struct own o = {.s = s, .now_s = now_ns / SEC, .err = err};
    int rc = hf_rec_each(s, "session", end_old, &o, err);
    return rc < 0 ? rc : hf_rec_each(s, "link", end_old, &o, err);
}

void hf_session_csrf(struct hf_span secret, char ret[HF_SECRET_TEXT])
{
    hf_autobuf b = HF_BUF_INIT(256);
    struct hf_digest d;
    char hex[65];
    hf_buf_addz(&b, "holdfast.csrf/1 ");
    hf_buf_adds(&b, secret);
    hf_digest_of(HF_SHA256, hf_buf_span(&b), &d);
    hf_hex(d.b, 32, hex);
    snprintf(ret, HF_SECRET_TEXT, "%.43s", hex); /* 172 bits */
}

/* ---- tokens ---- */

int hf_token_scopes(struct hf_span words, unsigned *ret, struct hf_err *err)
{
    struct hf_span one;
    unsigned v = 0;
    while (hf_span_cut(&words, ',', &one)) {
        unsigned i = 0;
        while (i < HF_ARRAY_LEN(hf_scopes) && !hf_span_eqz(hf_span_trim(one), hf_scopes[i]))
            i++;
        if (i == HF_ARRAY_LEN(hf_scopes))
            return hf_fail(err, HF_E_USAGE, "a scope is read, respond, admin or metrics, not \"" HF_SPAN_FMT "\"", HF_SPAN_ARG(hf_span_sub(one, 0, 40)));
        v |= 1u << i;
    }
    if (!v)
        return hf_fail(err, HF_E_USAGE, "a token needs a scope: read, respond, admin, metrics");
    *ret = v;
    return 0;
}

static int token_put(struct hf_store *s, const char *key, const struct hf_token *t, struct hf_err *err)
{
    hf_autobuf b = HF_BUF_INIT(HF_REC_MAX);
    struct hf_jw w;
    hf_jw_init(&w, &b, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "id", t->id);
    hf_jw_kstr(&w, "name", t->name);
    hf_jw_kstr(&w, "user", t->user);
    hf_jw_ku64(&w, "scopes", t->scopes);
    hf_jw_ku64(&w, "created", (uint64_t)(t->created / SEC));
    hf_jw_ku64(&w, "expires", (uint64_t)(t->expires / SEC));
    hf_jw_ku64(&w, "used", (uint64_t)(t->used / SEC));
    hf_jw_object_end(&w);
    return hf_buf_ok(&b) ? hf_store_setting_put(s, hf_span_z(key), hf_buf_span(&b), err) : hf_fail(err, HF_E_LIMIT, "the token's record is too large");
}

static int put_used(struct hf_store *s, const char *key, const void *what, struct hf_err *err)
{
    return token_put(s, key, what, err);
}

static struct hf_token token_of(hf_jnode o)
{
    return (struct hf_token){.id = hf_jgetstr(o, "id"), .name = hf_jgetstr(o, "name"), .user = hf_jgetstr(o, "user"), .scopes = (unsigned)hf_rec_u64(o, "scopes") & 15,
            .created = (int64_t)hf_rec_u64(o, "created") * SEC, .expires = (int64_t)hf_rec_u64(o, "expires") * SEC, .used = (int64_t)hf_rec_u64(o, "used") * SEC};
}

struct tokens {
    hf_token_cb cb;
    void *ctx;
    unsigned n;
    struct hf_span id;
    char key[HF_REC_KEY], user[HF_USER_MAX + 8];
};

static int token_listed(void *ctx, struct hf_span key, struct hf_span name, hf_jnode record)
{
    struct tokens *l = ctx;
    struct hf_token t = token_of(record);
    (void)name;
    l->n++;
    if (l->id.n && hf_span_eq(t.id, l->id)) {
        snprintf(l->key, sizeof l->key, "%.*s", HF_SPAN_ARG(key));
        snprintf(l->user, sizeof l->user, "%.*s", HF_SPAN_ARG(t.user));
    }
    return l->cb ? l->cb(l->ctx, &t) : 0;
}

int hf_token_list(struct hf_store *s, hf_token_cb cb, void *ctx, struct hf_err *err)
{
    struct tokens l = {.cb = cb, .ctx = ctx};
    return hf_rec_each(s, "token", token_listed, &l, err);
}

int hf_token_add(struct hf_store *s, const struct hf_token *given, struct hf_span by, const char *via, char ret_id[HF_TOKEN_ID + 1], char ret[HF_SECRET_TEXT + 3], struct hf_err *err)
{
    char key[HF_REC_KEY], secret[HF_SECRET_TEXT];
    struct hf_account owner;
    hf_autoarena a;
    hf_autotx tx = {0};
    struct tokens l = {.n = 0};
    struct hf_token t = *given;
    hf_arena_init(&a, 65536);
    int rc = !t.name.n || t.name.n > 100 || !hf_span_is_utf8(t.name) ? hf_fail(err, HF_E_USAGE, "a token needs a name of 1 to 100 bytes that says what it is for") : hf_secret_new(secret, err);
    if (rc < 0)
        return rc;
    snprintf(ret, HF_SECRET_TEXT + 3, "hf_%s", secret);
    hf_rec_secret_key("token", hf_span_z(ret), key);
    snprintf(ret_id, HF_TOKEN_ID + 1, "%.16s", key + sizeof "console/token/" - 1);
    t.id = hf_span_z(ret_id);
    t.created = hf_store_now();
    t.used = 0;
    rc = hf_tx_begin(&tx, s, err);
    rc = rc < 0 ? rc : hf_account_get(s, t.user, &a, &owner, err);
    if (rc == 0)
        return hf_fail(err, HF_E_NOT_FOUND, "there is no user \"" HF_SPAN_FMT "\"", HF_SPAN_ARG(hf_span_sub(t.user, 0, 80)));
    rc = rc < 0 ? rc : hf_rec_each(s, "token", token_listed, &l, err);
    if (rc == 0 && l.n >= HF_TOKENS_MAX)
        return hf_fail(err, HF_E_LIMIT, "there are %u tokens already, which is the most", l.n);
    rc = rc < 0 ? rc : token_put(s, key, &t, err);
    rc = rc < 0 ? rc : hf_console_audit(s, by, via, "token.add", t.user, t.name, err);
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

int hf_token_get(struct hf_store *s, struct hf_span secret, int64_t now_ns, struct hf_arena *a, struct hf_token *ret, struct hf_account *ret_owner, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    char key[HF_REC_KEY];
    if (secret.n != HF_SECRET_TEXT + 2 || !hf_span_starts(secret, HF_S("hf_")))
        return 0;
    hf_rec_secret_key("token", secret, key);
    int rc = hf_rec_get(s, key, &doc, err);
    if (rc <= 0)
        return rc;
    struct hf_token t = token_of(hf_json_root(doc));
    if (t.expires && t.expires <= now_ns)
        return 0;
    rc = hf_account_get(s, t.user, a, ret_owner, err);
    if (rc <= 0 || ret_owner->disabled)
        return rc < 0 ? rc : 0;
    if (now_ns - t.used >= NOTE_S * SEC) {
        t.used = now_ns;
        if ((rc = note(s, key, put_used, &t, err)) <= 0)
            return rc;
    }
    if (hf_arena_dup(a, t.id, &t.id) < 0 || hf_arena_dup(a, t.name, &t.name) < 0)
        return hf_fail(err, HF_E_LIMIT, "no memory for a token");
    t.user = ret_owner->name;
    *ret = t;
    return 1;
}

int hf_token_remove(struct hf_store *s, struct hf_span id, struct hf_span by, const char *via, struct hf_err *err)
{
    hf_autotx tx = {0};
    struct tokens l = {.id = id};
    int rc = hf_tx_begin(&tx, s, err);
    rc = rc < 0 ? rc : hf_rec_each(s, "token", token_listed, &l, err);
    if (rc == 0 && (!id.n || !l.key[0]))
        return hf_fail(err, HF_E_NOT_FOUND, "there is no token \"" HF_SPAN_FMT "\"", HF_SPAN_ARG(hf_span_sub(id, 0, 40)));
    rc = rc < 0 ? rc : hf_store_setting_delete(s, hf_span_z(l.key), err);
    rc = rc < 0 ? rc : hf_console_audit(s, by, via, "token.remove", hf_span_z(l.user), id, err);
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

/* ---- the one-time link ---- */

int hf_console_link(struct hf_store *s, const char *public_url, struct hf_buf *ret_url, struct hf_err *err)
{
    char secret[HF_SECRET_TEXT], key[HF_REC_KEY], value[64];
    size_t n = strlen(public_url);
    int rc = hf_secret_new(secret, err);
    hf_rec_secret_key("link", hf_span_z(secret), key);
    snprintf(value, sizeof value, "{\"expires\":%lld}", (long long)(hf_store_now() / SEC + HF_LINK_S));
    rc = rc < 0 ? rc : hf_store_setting_put(s, hf_span_z(key), hf_span_z(value), err);
    while (n && public_url[n - 1] == '/')
        n--;
    hf_buf_add(ret_url, public_url, n);
    hf_buf_addf(ret_url, "/sign-in#link=%s", secret);
    return rc < 0 ? rc : hf_buf_ok(ret_url) ? 0 : hf_fail(err, HF_E_LIMIT, "the address of the console is too long");
}

int hf_link_use(struct hf_store *s, struct hf_span secret, int64_t now_ns, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    char key[HF_REC_KEY];
    struct hf_account admin;
    hf_autoarena a;
    hf_autotx tx = {0};
    hf_arena_init(&a, 65536);
    if (secret.n != HF_SECRET_TEXT - 1)
        return 0;
    hf_rec_secret_key("link", secret, key);
    int rc = hf_tx_begin(&tx, s, err);
    rc = rc < 0 ? rc : hf_rec_get(s, key, &doc, err);
    if (rc <= 0)
        return rc;
    bool fresh = (int64_t)hf_rec_u64(hf_json_root(doc), "expires") > now_ns / SEC;
    rc = hf_store_setting_delete(s, hf_span_z(key), err);
    rc = rc < 0 ? rc : hf_account_get(s, HF_S("administrator"), &a, &admin, err);
    if (rc == 0)
        rc = fresh ? hf_account_add(s, HF_S("administrator"), HF_ROLE_ADMIN, hf_span(NULL, 0), HF_S("administrator"), "console", err) : 0;
    else if (rc > 0)
        fresh = fresh && !admin.disabled;
    rc = rc < 0 ? rc : hf_tx_commit(&tx, err);
    return rc < 0 ? rc : fresh;
}
