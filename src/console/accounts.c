// SPDX-License-Identifier: Apache-2.0
#include "console/accounts.h"

#include <argon2.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/random.h>

#include "console/secret.h"
#include "store/audit.h"
#include "store/settings.h"

/* ---- what may be ---- */

struct hf_span hf_account_fold(struct hf_span name, char ret[HF_USER_MAX + 2])
{
    size_t n = HF_MIN(name.n, (size_t)HF_USER_MAX + 1);
    for (size_t i = 0; i < n; i++)
        ret[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] + 32 : name.p[i]);
    ret[n] = 0;
    return hf_span(ret, n);
}

int hf_account_name_ok(struct hf_span name, struct hf_err *err)
{
    bool ok = name.n && name.n <= HF_USER_MAX && name.p[0] != '.' && name.p[0] != '-';
    for (size_t i = 0; ok && i < name.n; i++)
        ok = name.p[i] && strchr("abcdefghijklmnopqrstuvwxyz0123456789._-@", name.p[i]);
    return ok ? 0 : hf_fail(err, HF_E_USAGE, "a user name has 1 to %u of a-z, 0-9, \".\", \"_\", \"-\" and \"@\", and begins with a letter or digit", (unsigned)HF_USER_MAX);
}

int hf_account_password_ok(struct hf_span name, struct hf_span pw, struct hf_err *err)
{
    size_t chars = 0, different = 0;
    bool seen[256] = {false};
    for (size_t i = 0; i < pw.n; i++) {
        chars += ((unsigned char)pw.p[i] & 0xc0) != 0x80;
        different += !seen[(unsigned char)pw.p[i]];
        seen[(unsigned char)pw.p[i]] = true;
    }
    if (!hf_span_is_utf8(pw) || memchr(pw.n ? pw.p : "", 0, pw.n))
        return hf_fail(err, HF_E_USAGE, "the password is not UTF-8 text");
    if (chars < HF_PASSWORD_MIN)
        return hf_fail(err, HF_E_USAGE, "the password needs at least %u characters; several words are easy to remember and hard to guess", (unsigned)HF_PASSWORD_MIN);
    if (pw.n > HF_PASSWORD_MAX)
        return hf_fail(err, HF_E_USAGE, "the password has more than %u bytes", (unsigned)HF_PASSWORD_MAX);
    if (different < 5)
        return hf_fail(err, HF_E_USAGE, "the password has fewer than five different characters");
    /* The name, alone or with a few characters more, is the first guess. */
    for (size_t i = 0; name.n && i + name.n <= pw.n; i++)
        if (hf_span_eq_nocase(hf_span_sub(pw, i, name.n), name) && pw.n - name.n < 8)
            return hf_fail(err, HF_E_USAGE, "the password is little more than the user name");
    return 0;
}

int hf_account_role(struct hf_span word, enum hf_role *ret, struct hf_err *err)
{
    for (unsigned i = HF_ROLE_VIEWER; i <= HF_ROLE_ADMIN; i++)
        if (hf_span_eqz(word, hf_roles[i])) {
            *ret = (enum hf_role)i;
            return 0;
        }
    return hf_fail(err, HF_E_USAGE, "a role is viewer, responder or administrator, not \"" HF_SPAN_FMT "\"", HF_SPAN_ARG(hf_span_sub(word, 0, 40)));
}

/* ---- passwords ---- */

int hf_password_hash(struct hf_span pw, char ret[128], struct hf_err *err)
{
    uint8_t salt[16];
    if (getrandom(salt, sizeof salt, 0) != sizeof salt)
        return hf_fail(err, -EIO, "the system gives no random bytes");
    int rc = argon2id_hash_encoded(HF_ARGON_PASSES, HF_ARGON_KIB, 1, pw.p, pw.n, salt, sizeof salt, 32, ret, 128);
    return rc == ARGON2_OK ? 0 : hf_fail(err, rc == ARGON2_MEMORY_ALLOCATION_ERROR ? -ENOMEM : -EIO, "the password could not be hashed: %s", argon2_error_message(rc));
}

bool hf_password_right(struct hf_span hash, struct hf_span pw)
{
    /* Of no password: who has no account learns nothing from the time it takes. */
    static const char nobody[] = "$argon2id$v=19$m=65536,t=3,p=1$bm9ib2R5IGhhcyB0aGlz$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    hf_autofree char *encoded = hf_span_dupz(hash.n ? hash : hf_span_z(nobody));
    bool right = encoded && pw.n <= HF_PASSWORD_MAX && argon2id_verify(encoded, pw.p ? pw.p : "", pw.n) == ARGON2_OK;
    return right && hash.n;
}

/* ---- records ---- */

int hf_console_audit(struct hf_store *s, struct hf_span by, const char *via, const char *what, struct hf_span target, struct hf_span after, struct hf_err *err)
{
    struct hf_audit_entry e = {.by = by, .via = hf_span_z(via), .what = hf_span_z(what), .target = target, .after = after};
    return hf_store_audit_add(s, &e, NULL, err);
}

static int fill(struct hf_arena *a, struct hf_span name, hf_jnode o, struct hf_account *ret, struct hf_err *err)
{
    struct hf_account v = {.created = (int64_t)hf_rec_u64(o, "created") * 1000000000, .changed = (int64_t)hf_rec_u64(o, "changed") * 1000000000, .disabled = hf_jis_true(hf_jget(o, "disabled"))};
    int rc = hf_account_role(hf_jgetstr(o, "role"), &v.role, err);
    if (rc == 0 && (hf_arena_dup(a, name, &v.name) < 0 || hf_arena_dup(a, hf_jgetstr(o, "hash"), &v.hash) < 0))
        rc = hf_fail(err, HF_E_LIMIT, "no memory for an account");
    if (rc < 0)
        return hf_wrap(err, rc == HF_E_USAGE ? HF_E_FORMAT : rc, "account " HF_SPAN_FMT, HF_SPAN_ARG(name));
    *ret = v;
    return 1;
}

int hf_account_get(struct hf_store *s, struct hf_span name, struct hf_arena *a, struct hf_account *ret, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    char key[HF_REC_KEY];
    if (!name.n || name.n > HF_USER_MAX + 5)
        return 0;
    hf_rec_name_key("user", name, key);
    int rc = hf_rec_get(s, key, &doc, err);
    return rc <= 0 ? rc : fill(a, name, hf_json_root(doc), ret, err);
}

static int put(struct hf_store *s, const struct hf_account *a, struct hf_err *err)
{
    hf_autobuf b = HF_BUF_INIT(HF_REC_MAX);
    char key[HF_REC_KEY];
    struct hf_jw w;
    hf_jw_init(&w, &b, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "role", hf_roles[a->role]);
    hf_jw_kstr(&w, "hash", a->hash);
    hf_jw_ku64(&w, "created", (uint64_t)a->created / 1000000000);
    hf_jw_ku64(&w, "changed", (uint64_t)a->changed / 1000000000);
    hf_jw_kbool(&w, "disabled", a->disabled);
    hf_jw_object_end(&w);
    hf_rec_name_key("user", a->name, key);
    return hf_buf_ok(&b) ? hf_store_setting_put(s, hf_span_z(key), hf_buf_span(&b), err) : hf_fail(err, HF_E_LIMIT, "the account's record is too large");
}

struct listing {
    hf_account_cb cb;
    void *ctx;
    unsigned n;
};

static int listed(void *ctx, struct hf_span key, struct hf_span name, hf_jnode record)
{
    struct listing *l = ctx;
    struct hf_account v;
    hf_autoarena a;
    (void)key;
    hf_arena_init(&a, 65536);
    if (fill(&a, name, record, &v, NULL) < 0)
        return 0;
    l->n++;
    return l->cb ? l->cb(l->ctx, &v) : 0;
}

int hf_account_list(struct hf_store *s, hf_account_cb cb, void *ctx, struct hf_err *err)
{
    struct listing l = {cb, ctx, 0};
    return hf_rec_each(s, "user", listed, &l, err);
}

/* Administrators that can sign in, but for this one. */
struct others {
    struct hf_span but;
    unsigned n;
};

static int other(void *ctx, const struct hf_account *a)
{
    struct others *o = ctx;
    o->n += a->role == HF_ROLE_ADMIN && !a->disabled && !hf_span_eq(a->name, o->but);
    return 0;
}

static int stays_managed(struct hf_store *s, const struct hf_account *was, struct hf_err *err)
{
    struct others o = {was->name, 0};
    if (was->role != HF_ROLE_ADMIN || was->disabled)
        return 0;
    int rc = hf_account_list(s, other, &o, err);
    return rc < 0 || o.n ? rc : hf_fail(err, -EPERM, "\"" HF_SPAN_FMT "\" is the last administrator; make another one first", HF_SPAN_ARG(was->name));
}

int hf_account_add(struct hf_store *s, struct hf_span name, enum hf_role role, struct hf_span pw, struct hf_span by, const char *via, struct hf_err *err)
{
    char hash[128] = "";
    hf_autoarena arena;
    hf_autotx tx = {0};
    struct hf_account was, a = {.name = name, .role = role, .created = hf_store_now()};
    struct listing l = {NULL, NULL, 0};
    hf_arena_init(&arena, 65536);
    bool outside = hf_span_starts(name, HF_S("oidc:"));
    int rc = outside ? 0 : hf_account_name_ok(name, err);
    if (rc == 0 && pw.n)
        rc = hf_account_password_ok(name, pw, err);
    if (rc == 0 && pw.n)
        rc = hf_password_hash(pw, hash, err); /* before the transaction: it takes its time */
    a.hash = hf_span_z(hash);
    a.changed = a.created;
    if (rc == 0)
        rc = hf_tx_begin(&tx, s, err);
    if (rc == 0)
        rc = hf_account_get(s, name, &arena, &was, err);
    if (rc > 0)
        return hf_fail(err, -EEXIST, "user \"" HF_SPAN_FMT "\" is there already", HF_SPAN_ARG(name));
    if (rc == 0)
        rc = hf_rec_each(s, "user", listed, &l, err);
    if (rc == 0 && l.n >= HF_USERS_MAX)
        return hf_fail(err, HF_E_LIMIT, "there are %u users already, which is the most", l.n);
    rc = rc < 0 ? rc : put(s, &a, err);
    rc = rc < 0 ? rc : hf_console_audit(s, by, via, "user.add", name, hf_span_z(hf_roles[role]), err);
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

static int load(struct hf_store *s, struct hf_span name, struct hf_arena *a, struct hf_account *ret, struct hf_err *err)
{
    int rc = hf_account_get(s, name, a, ret, err);
    return rc == 0 ? hf_fail(err, HF_E_NOT_FOUND, "there is no user \"" HF_SPAN_FMT "\"", HF_SPAN_ARG(hf_span_sub(name, 0, 80))) : rc < 0 ? rc : 0;
}

int hf_account_change(struct hf_store *s, struct hf_span name, const struct hf_account_change *c, struct hf_span by, const char *via, struct hf_err *err)
{
    char hash[128];
    hf_autoarena arena;
    hf_autotx tx = {0};
    struct hf_account was, a;
    hf_arena_init(&arena, 65536);
    int rc = c->password ? hf_account_password_ok(name, *c->password, err) : 0;
    if (rc == 0 && c->password && hf_span_starts(name, HF_S("oidc:")))
        return hf_fail(err, HF_E_USAGE, "this account signs in by OpenID Connect and has no password here");
    if (rc == 0 && c->password)
        rc = hf_password_hash(*c->password, hash, err);
    if (rc == 0)
        rc = hf_tx_begin(&tx, s, err);
    if (rc == 0)
        rc = load(s, name, &arena, &was, err);
    if (rc < 0)
        return rc;
    a = was;
    if (c->role)
        a.role = *c->role;
    if (c->disabled)
        a.disabled = *c->disabled;
    if (a.role != HF_ROLE_ADMIN || a.disabled)
        rc = stays_managed(s, &was, err);
    if (c->password) {
        a.hash = hf_span_z(hash);
        a.changed = hf_store_now();
    }
    rc = rc < 0 ? rc : put(s, &a, err);
    if (rc == 0 && (c->password || a.disabled))
        rc = hf_session_end_all(s, name, c->keep, err);
    if (rc == 0 && a.role != was.role)
        rc = hf_console_audit(s, by, via, "user.role", name, hf_span_z(hf_roles[a.role]), err);
    if (rc == 0 && c->password)
        rc = hf_console_audit(s, by, via, "user.password", name, HF_S(""), err);
    if (rc == 0 && a.disabled != was.disabled)
        rc = hf_console_audit(s, by, via, a.disabled ? "user.disable" : "user.enable", name, HF_S(""), err);
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

struct owned {
    struct hf_store *s;
    struct hf_span user;
    struct hf_err *err;
};

static int drop_token(void *ctx, struct hf_span key, struct hf_span name, hf_jnode record)
{
    struct owned *o = ctx;
    (void)name;
    int rc = hf_span_eq(hf_jgetstr(record, "user"), o->user) ? hf_store_setting_delete(o->s, key, o->err) : 0;
    return rc < 0 ? rc : 0;
}

int hf_account_remove(struct hf_store *s, struct hf_span name, struct hf_span by, const char *via, struct hf_err *err)
{
    char key[HF_REC_KEY];
    hf_autoarena arena;
    hf_autotx tx = {0};
    struct hf_account was;
    struct owned o = {s, name, err};
    hf_arena_init(&arena, 65536);
    int rc = hf_tx_begin(&tx, s, err);
    rc = rc < 0 ? rc : load(s, name, &arena, &was, err);
    rc = rc < 0 ? rc : stays_managed(s, &was, err);
    hf_rec_name_key("user", name, key);
    rc = rc < 0 ? rc : hf_store_setting_delete(s, hf_span_z(key), err);
    rc = rc < 0 ? rc : hf_session_end_all(s, name, hf_span(NULL, 0), err);
    rc = rc < 0 ? rc : hf_rec_each(s, "token", drop_token, &o, err);
    rc = rc < 0 ? rc : hf_console_audit(s, by, via, "user.remove", name, HF_S(""), err);
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

int hf_account_unlock(struct hf_store *s, struct hf_span name, struct hf_span by, const char *via, struct hf_err *err)
{
    char key[HF_REC_KEY], at[32];
    hf_autoarena arena;
    hf_autotx tx = {0};
    struct hf_account was;
    hf_arena_init(&arena, 65536);
    int rc = hf_tx_begin(&tx, s, err);
    rc = rc < 0 ? rc : load(s, name, &arena, &was, err);
    hf_rec_name_key("unlock", name, key);
    snprintf(at, sizeof at, "%lld", (long long)hf_store_now());
    rc = rc < 0 ? rc : hf_store_setting_put(s, hf_span_z(key), hf_span_z(at), err);
    rc = rc < 0 ? rc : hf_console_audit(s, by, via, "user.unlock", name, HF_S(""), err);
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

int hf_account_unlocked_at(struct hf_store *s, struct hf_span name, int64_t *ret_ns, struct hf_err *err)
{
    char key[HF_REC_KEY];
    hf_autobuf b = HF_BUF_INIT(64);
    hf_rec_name_key("unlock", name, key);
    int rc = hf_store_setting_get(s, hf_span_z(key), &b, err);
    int64_t v = 0;
    if (rc > 0 && hf_parse_i64(hf_buf_span(&b), 0, INT64_MAX, &v) < 0)
        v = 0;
    *ret_ns = v;
    return rc < 0 ? rc : 0;
}
