/* SPDX-License-Identifier: Apache-2.0 */
/* accounts.h - who may use the console: accounts and their passwords, sessions, API tokens, the one-time link; all in the store's settings.
 *
 *   console/user/NAME            {"role","hash","created","changed","disabled"}; hash: argon2id as text (PHC), empty: no password yet, or OpenID Connect
 *   console/session/SHA-256      {"user","created","seen"}
 *   console/token/SHA-256        {"id","name","user","scopes","created","expires","used"}
 *   console/link/SHA-256         {"expires"}
 *   console/unlock/NAME          when its lock-out was lifted by hand
 * What is secret (session ids, tokens, links: 256 random bits) is kept as its hash only.  Names of accounts that come from an OpenID provider begin
 * with "oidc:", which local ones cannot.  Functions that change something write the audit entry in the same transaction; `by` and `via` are for that. */
#pragma once
#include "base/mem.h"
#include "console/api.h"
#include "store/store.h"

enum {
    HF_USER_MAX = 64,           /* bytes of a name */
    HF_USERS_MAX = 1000,
    HF_PASSWORD_MIN = 12,       /* characters */
    HF_PASSWORD_MAX = 256,      /* bytes */
    HF_ARGON_KIB = 64 << 10,    /* RFC 9106, 4: second recommended option, with one lane: a thread has one core */
    HF_ARGON_PASSES = 3,
    HF_SECRET_TEXT = 44,        /* 256 bits in base64url, and NUL */
    HF_SESSION_IDLE_S = 3600,   /* an open page keeps its session */
    HF_SESSION_MAX_S = 12 * 3600,
    HF_SESSIONS_USER = 20,      /* the oldest end */
    HF_LINK_S = 600,
    HF_TOKENS_MAX = 1000,
    HF_TOKEN_ID = 16,           /* hex digits */
};
struct hf_account {
    struct hf_span name, hash;
    enum hf_role role;
    bool disabled;
    int64_t created, changed; /* ns; changed: the password */
};
/* Names have no case: ret is name in lower case (cut at HF_USER_MAX + 1, which is too long to be one). */
struct hf_span hf_account_fold(struct hf_span name, char ret[HF_USER_MAX + 2]);
HF_MUSTUSE int hf_account_name_ok(struct hf_span name, struct hf_err *err);                          /* HF_E_USAGE */
HF_MUSTUSE int hf_account_password_ok(struct hf_span name, struct hf_span password, struct hf_err *err); /* HF_E_USAGE says what is missing */
HF_MUSTUSE int hf_account_role(struct hf_span word, enum hf_role *ret, struct hf_err *err);             /* viewer, responder, administrator */
/* 1 and *ret (in the arena), 0: there is none. */
HF_MUSTUSE int hf_account_get(struct hf_store *s, struct hf_span name, struct hf_arena *a, struct hf_account *ret, struct hf_err *err);
typedef int (*hf_account_cb)(void *ctx, const struct hf_account *a);
HF_MUSTUSE int hf_account_list(struct hf_store *s, hf_account_cb cb, void *ctx, struct hf_err *err); /* by name */
/* A new one: -EEXIST.  password empty: none (a person signs in by link or OpenID Connect). */
HF_MUSTUSE int hf_account_add(struct hf_store *s, struct hf_span name, enum hf_role role, struct hf_span password, struct hf_span by, const char *via, struct hf_err *err);
/* What is not NULL is changed; a new password ends all sessions of the account, so does disabling it.  -EPERM: nobody would be administrator. */
struct hf_account_change {
    const enum hf_role *role;
    const struct hf_span *password;
    const bool *disabled;
    struct hf_span keep; /* secret of a session that goes on; empty: none */
};
HF_MUSTUSE int hf_account_change(struct hf_store *s, struct hf_span name, const struct hf_account_change *c, struct hf_span by, const char *via, struct hf_err *err);
HF_MUSTUSE int hf_account_remove(struct hf_store *s, struct hf_span name, struct hf_span by, const char *via, struct hf_err *err); /* with sessions and tokens */
HF_MUSTUSE int hf_account_unlock(struct hf_store *s, struct hf_span name, struct hf_span by, const char *via, struct hf_err *err);
HF_MUSTUSE int hf_account_unlocked_at(struct hf_store *s, struct hf_span name, int64_t *ret_ns, struct hf_err *err);

/* Whether password belongs to the hash; an empty hash takes as long and is never right.  Constant time in the password. */
bool hf_password_right(struct hf_span hash, struct hf_span password);
HF_MUSTUSE int hf_password_hash(struct hf_span password, char ret[128], struct hf_err *err);

/* ---- sessions ---- */
/* 256 random bits as text. */
HF_MUSTUSE int hf_secret_new(char ret[HF_SECRET_TEXT], struct hf_err *err);
bool hf_secret_eq(struct hf_span a, struct hf_span b); /* constant time */
HF_MUSTUSE int hf_session_new(struct hf_store *s, struct hf_span user, int64_t now_ns, char ret[HF_SECRET_TEXT], struct hf_err *err);
struct hf_session {
    struct hf_account account;
    int64_t expires; /* ns, when it goes on being used: the absolute end; else sooner */
};
/* 1: valid, and its use is noted (once a minute); 0: not, or no more. */
HF_MUSTUSE int hf_session_get(struct hf_store *s, struct hf_span secret, int64_t now_ns, struct hf_arena *a, struct hf_session *ret, struct hf_err *err);
HF_MUSTUSE int hf_session_end(struct hf_store *s, struct hf_span secret, struct hf_err *err);
HF_MUSTUSE int hf_session_end_all(struct hf_store *s, struct hf_span user, struct hf_span but, struct hf_err *err); /* but: secret of one that goes on */
HF_MUSTUSE int hf_session_sweep(struct hf_store *s, int64_t now_ns, struct hf_err *err); /* those, and links, that are over */
/* What X-CSRF-Token must be: derived from the session's secret, which scripts cannot read. */
void hf_session_csrf(struct hf_span secret, char ret[HF_SECRET_TEXT]);

/* ---- tokens: "hf_" and 256 random bits ---- */
struct hf_token {
    struct hf_span id, name, user;
    unsigned scopes;
    int64_t created, expires, used; /* ns; expires 0: never */
};
HF_MUSTUSE int hf_token_scopes(struct hf_span words, unsigned *ret, struct hf_err *err); /* "read,respond,admin,metrics" */
HF_MUSTUSE int hf_token_add(struct hf_store *s, const struct hf_token *t, struct hf_span by, const char *via, char ret_id[HF_TOKEN_ID + 1], char ret[HF_SECRET_TEXT + 3], struct hf_err *err);
HF_MUSTUSE int hf_token_get(struct hf_store *s, struct hf_span secret, int64_t now_ns, struct hf_arena *a, struct hf_token *ret, struct hf_account *ret_owner, struct hf_err *err);
typedef int (*hf_token_cb)(void *ctx, const struct hf_token *t);
HF_MUSTUSE int hf_token_list(struct hf_store *s, hf_token_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_token_remove(struct hf_store *s, struct hf_span id, struct hf_span by, const char *via, struct hf_err *err); /* HF_E_NOT_FOUND */
extern const char *const hf_scopes[4]; /* read, respond, admin, metrics */

/* ---- the one-time link; hf_console_link makes it ---- */
/* 1: it was valid; it is not any more, and account "administrator" exists. */
HF_MUSTUSE int hf_link_use(struct hf_store *s, struct hf_span secret, int64_t now_ns, struct hf_err *err);

HF_MUSTUSE int hf_console_audit(struct hf_store *s, struct hf_span by, const char *via, const char *what, struct hf_span target, struct hf_span after, struct hf_err *err);
