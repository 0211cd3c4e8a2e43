// SPDX-License-Identifier: Apache-2.0
/* Accounts and tokens, for administrators. */
#include <cJSON.h>
#include <errno.h>
#include <stdio.h>

#include "console/accounts.h"
#include "console/api-session.h"
#include "console/console-internal.h"

static void write_time(struct hf_jw *w, const char *name, int64_t ns)
{
    char at[40];
    if (ns <= 0)
        return;
    hf_api_time(ns, at);
    hf_jw_kstrz(w, name, at);
}

static void write_account(struct hf_jw *w, const struct hf_account *a)
{
    hf_jw_object(w);
    hf_jw_kstr(w, "name", a->name);
    hf_jw_kstrz(w, "role", hf_roles[a->role]);
    hf_jw_kstrz(w, "source", hf_span_starts(a->name, HF_S("oidc:")) ? "oidc" : "local");
    hf_jw_kbool(w, "locked", a->disabled);
    hf_jw_kbool(w, "password", a->hash.n > 0);
    write_time(w, "created", a->created);
    hf_jw_object_end(w);
}

/* All of them on one page: there are few. */
static int list_all(const struct hf_request *q, struct hf_reply *ret, int (*each)(struct hf_store *s, struct hf_jw *w, struct hf_err *err), struct hf_err *err)
{
    struct hf_jw w;
    int rc = hf_query_only(q, "", err);
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    hf_jw_key(&w, "items");
    hf_jw_array(&w);
    rc = rc < 0 ? rc : each(q->store, &w, err);
    hf_jw_array_end(&w);
    hf_jw_key(&w, "next");
    hf_jw_null(&w);
    hf_jw_object_end(&w);
    return rc;
}

static int list_account(void *ctx, const struct hf_account *a)
{
    write_account(ctx, a);
    return 0;
}

static int accounts(struct hf_store *s, struct hf_jw *w, struct hf_err *err)
{
    return hf_account_list(s, list_account, w, err);
}

HF_HANDLER(hf_api_users_get)
{
    (void)api;
    return list_all(q, ret, accounts, err);
}

static int show(const struct hf_request *q, struct hf_span name, unsigned status, struct hf_reply *ret, struct hf_err *err)
{
    struct hf_account a;
    struct hf_jw w;
    int rc = hf_account_get(q->store, name, q->arena, &a, err);
    if (rc <= 0)
        return rc < 0 ? rc : hf_fail(err, HF_E_NOT_FOUND, "the user is gone");
    hf_jw_init(&w, &ret->body, false);
    write_account(&w, &a);
    ret->status = status;
    return 0;
}

/* Hashing a new password counts with those that are checked. */
static int with_hash(struct hf_console *c, bool hashes, struct hf_reply *ret)
{
    if (!hashes || atomic_fetch_add(&c->hashing, 1) < 2)
        return 1;
    atomic_fetch_sub(&c->hashing, 1);
    hf_problem(ret, 503, "Busy", "others are signing in at this moment; try again");
    ret->retry_after_s = 1;
    return 0;
}

HF_HANDLER(hf_api_users_post)
{
    struct hf_span typed, word, password;
    char name[HF_USER_MAX + 2];
    enum hf_role role = HF_ROLE_NONE;
    int rc = hf_query_only(q, "", err);
    rc = rc < 0 ? rc : hf_body_only(q, "name|role|password", err);
    rc = rc < 0 ? rc : hf_body_str(q, "name", true, 256, &typed, err);
    rc = rc < 0 ? rc : hf_body_str(q, "role", true, 64, &word, err);
    rc = rc < 0 ? rc : hf_body_str(q, "password", false, 1024, &password, err);
    rc = rc < 0 ? rc : hf_account_role(word, &role, err);
    if (rc < 0)
        return rc;
    struct hf_span folded = hf_account_fold(typed, name);
    if (hf_jget(q->body, "password") && !password.n)
        return hf_fail(err, HF_E_USAGE, "\"password\" must not be empty");
    if ((rc = hf_account_name_ok(folded, err)) < 0 || !with_hash(api->console, password.n, ret))
        return rc;
    rc = hf_account_add(q->store, folded, role, password, q->who.name, q->who.via.p, err);
    if (password.n)
        atomic_fetch_sub(&api->console->hashing, 1);
    if (rc < 0)
        return rc;
    snprintf(ret->location, sizeof ret->location, "/api/v1/users/%s", name);
    return show(q, folded, 201, ret, err);
}

HF_HANDLER(hf_api_user_patch)
{
    struct hf_span word, password, name;
    char folded[HF_USER_MAX + 2];
    enum hf_role role;
    struct hf_account_change c = {.role = NULL};
    hf_jnode locked = hf_jget(q->body, "locked");
    bool off = hf_jis_true(locked);
    int rc = hf_query_only(q, "", err);
    rc = rc < 0 ? rc : hf_body_only(q, "role|password|locked", err);
    rc = rc < 0 ? rc : hf_body_str(q, "role", false, 64, &word, err);
    rc = rc < 0 ? rc : hf_body_str(q, "password", false, 1024, &password, err);
    if (rc < 0)
        return rc;
    if (!hf_jfirst(q->body))
        return hf_fail(err, HF_E_USAGE, "the body must have \"role\", \"password\" or \"locked\"");
    if (locked && !off && !cJSON_IsFalse(locked))
        return hf_fail(err, HF_E_USAGE, "\"locked\" must be true or false");
    if (hf_jget(q->body, "role") && (rc = hf_account_role(word, &role, err)) < 0)
        return rc;
    name = hf_span_starts(q->args[0], HF_S("oidc:")) ? q->args[0] : hf_account_fold(q->args[0], folded);
    c.role = hf_jget(q->body, "role") ? &role : NULL;
    c.password = hf_jget(q->body, "password") ? &password : NULL;
    c.disabled = locked ? &off : NULL;
    if (!with_hash(api->console, c.password, ret))
        return 0;
    rc = hf_account_change(q->store, name, &c, q->who.name, q->who.via.p, err);
    if (c.password)
        atomic_fetch_sub(&api->console->hashing, 1);
    if (rc == 0 && locked && !off)
        rc = hf_account_unlock(q->store, name, q->who.name, q->who.via.p, err);
    return rc < 0 ? rc : show(q, name, 200, ret, err);
}

HF_HANDLER(hf_api_user_delete)
{
    char folded[HF_USER_MAX + 2];
    struct hf_span name = hf_span_starts(q->args[0], HF_S("oidc:")) ? q->args[0] : hf_account_fold(q->args[0], folded);
    (void)api;
    int rc = hf_query_only(q, "", err);
    rc = rc < 0 ? rc : hf_account_remove(q->store, name, q->who.name, q->who.via.p, err);
    ret->status = 204;
    return rc;
}

/* ---- tokens ---- */

static void write_token(struct hf_jw *w, const struct hf_token *t, const char *secret)
{
    hf_jw_object(w);
    hf_jw_kstr(w, "id", t->id);
    hf_jw_kstr(w, "name", t->name);
    hf_jw_kstr(w, "user", t->user);
    hf_jw_key(w, "scopes");
    hf_jw_array(w);
    for (unsigned i = 0; i < HF_ARRAY_LEN(hf_scopes); i++)
        if (t->scopes & 1u << i)
            hf_jw_strz(w, hf_scopes[i]);
    hf_jw_array_end(w);
    write_time(w, "created", t->created);
    write_time(w, "expires", t->expires);
    write_time(w, "last_used", t->used);
    if (secret)
        hf_jw_kstrz(w, "token", secret);
    hf_jw_object_end(w);
}

static int list_token(void *ctx, const struct hf_token *t)
{
    write_token(ctx, t, NULL);
    return 0;
}

static int tokens(struct hf_store *s, struct hf_jw *w, struct hf_err *err)
{
    return hf_token_list(s, list_token, w, err);
}

HF_HANDLER(hf_api_tokens_get)
{
    (void)api;
    return list_all(q, ret, tokens, err);
}

static int read_scopes(const struct hf_request *q, unsigned *ret, struct hf_err *err)
{
    hf_jnode list = hf_jget(q->body, "scopes");
    *ret = 0;
    if (!hf_jis_array(list) || !hf_jfirst(list))
        return hf_fail(err, HF_E_USAGE, "\"scopes\" must be a list of read, respond, admin, metrics");
    HF_JFOREACH (one, list) {
        unsigned bit = 0;
        int rc = !hf_jis_str(one) || hf_span_find(hf_jstr(one), ',') != SIZE_MAX ? hf_fail(err, HF_E_USAGE, "\"scopes\" must be a list of read, respond, admin, metrics") : hf_token_scopes(hf_jstr(one), &bit, err);
        if (rc == 0 && *ret & bit)
            rc = hf_fail(err, HF_E_USAGE, "\"scopes\" names one twice");
        if (rc < 0)
            return rc;
        *ret |= bit;
    }
    return 0;
}

HF_HANDLER(hf_api_tokens_post)
{
    char id[HF_TOKEN_ID + 1], secret[HF_SECRET_TEXT + 3];
    struct hf_token t = {.user = q->who.name};
    double days = 0;
    hf_jnode given = hf_jget(q->body, "days");
    struct hf_jw w;
    (void)api;
    int rc = hf_query_only(q, "", err);
    rc = rc < 0 ? rc : hf_body_only(q, "name|scopes|days", err);
    rc = rc < 0 ? rc : hf_body_str(q, "name", true, 64, &t.name, err);
    rc = rc < 0 ? rc : read_scopes(q, &t.scopes, err);
    if (rc < 0)
        return rc;
    if (given && (!hf_jnum(given, &days) || days < 1 || days > 3650 || days != (double)(unsigned)days))
        return hf_fail(err, HF_E_USAGE, "\"days\" must be a whole number from 1 to 3650");
    if (given)
        t.expires = q->now_ns + (int64_t)days * 86400 * 1000000000;
    rc = hf_token_add(q->store, &t, q->who.name, q->who.via.p, id, secret, err);
    if (rc < 0)
        return rc;
    t.id = hf_span_z(id);
    t.created = q->now_ns;
    hf_jw_init(&w, &ret->body, false);
    write_token(&w, &t, secret);
    ret->status = 201;
    snprintf(ret->location, sizeof ret->location, "/api/v1/tokens/%s", id);
    return 0;
}

HF_HANDLER(hf_api_token_delete)
{
    (void)api;
    int rc = hf_query_only(q, "", err);
    rc = rc < 0 ? rc : hf_token_remove(q->store, q->args[0], q->who.name, q->who.via.p, err);
    ret->status = 204;
    return rc;
}
