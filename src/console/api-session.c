// SPDX-License-Identifier: Apache-2.0
/* Signing in and out, and the subscription to the stream. */
#include "console/api-session.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "console/console-internal.h"
#include "console/oidc.h"

enum { HASHING_MAX = 2, LINK_WAITS = 1 }; /* passwords hashed at once: 64 MiB and a core each */

void hf_api_time(int64_t ns, char ret[40])
{
    time_t s = (time_t)(ns / 1000000000);
    struct tm tm;
    if (!gmtime_r(&s, &tm) || !strftime(ret, 40, "%Y-%m-%dT%H:%M:%SZ", &tm))
        ret[0] = 0;
}

HF_HANDLER(hf_api_session_methods)
{
    struct hf_jw w;
    int rc = hf_query_only(q, "", err);
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    hf_jw_kbool(&w, "password", true);
    hf_jw_key(&w, "oidc");
    if (api->console && api->console->oidc) {
        hf_jw_object(&w);
        hf_jw_kstr(&w, "name", hf_oidc_name(api->console->oidc));
        hf_jw_object_end(&w);
    } else {
        hf_jw_null(&w);
    }
    hf_jw_object_end(&w);
    return rc;
}

/* ---- sessions ---- */

static struct hf_span own_secret(const struct hf_request *q)
{
    return hf_http_cookie(hf_header(q, "cookie"), "hf_session");
}

static void describe(struct hf_reply *ret, struct hf_span user, enum hf_role role, struct hf_span secret, int64_t expires, unsigned scopes)
{
    struct hf_jw w;
    char csrf[HF_SECRET_TEXT], at[40];
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "user", user);
    hf_jw_kstrz(&w, "role", hf_roles[role]);
    if (secret.n) {
        hf_session_csrf(secret, csrf);
        hf_api_time(expires, at);
        hf_jw_kstrz(&w, "csrf", csrf);
        hf_jw_kstrz(&w, "expires", at);
    } else {
        hf_jw_key(&w, "scopes");
        hf_jw_array(&w);
        for (unsigned i = 0; i < HF_ARRAY_LEN(hf_scopes); i++)
            if (scopes & 1u << i)
                hf_jw_strz(&w, hf_scopes[i]);
        hf_jw_array_end(&w);
    }
    hf_jw_object_end(&w);
}

static void set_cookie(const struct hf_console *c, struct hf_reply *ret, const char *secret)
{
    /* Without Max-Age: it ends with the browser; the server ends it anyway. */
    snprintf(ret->cookie[0], sizeof ret->cookie[0], "hf_session=%s; Path=/; HttpOnly; SameSite=Strict%s%s", secret ? secret : "", secret ? "" : "; Max-Age=0", c->secure ? "; Secure" : "");
}

HF_HANDLER(hf_api_session_get)
{
    struct hf_session s;
    (void)api;
    int rc = hf_query_only(q, "", err);
    if (rc < 0)
        return rc;
    if (hf_span_eqz(q->who.via, "api")) {
        describe(ret, q->who.name, q->who.role, hf_span(NULL, 0), 0, q->who.scopes);
        return 0;
    }
    rc = hf_session_get(q->store, own_secret(q), q->now_ns, q->arena, &s, err);
    if (rc == 0)
        return hf_problem(ret, 401, "Sign in first", "the session is over");
    if (rc > 0)
        describe(ret, q->who.name, q->who.role, own_secret(q), s.expires, 0);
    return rc < 0 ? rc : 0;
}

/* A new session, never the one that came with the request: whoever planted that one would share it. */
static int begin_session(struct hf_console *c, const struct hf_request *q, struct hf_span user, enum hf_role role, struct hf_reply *ret, struct hf_err *err)
{
    char secret[HF_SECRET_TEXT];
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, q->store, err);
    if (rc == 0 && own_secret(q).n)
        rc = hf_session_end(q->store, own_secret(q), err);
    rc = rc < 0 ? rc : hf_session_new(q->store, user, q->now_ns, secret, err);
    rc = rc < 0 ? rc : hf_console_audit(q->store, user, "console", "signin", user, q->peer, err);
    rc = rc < 0 ? rc : hf_tx_commit(&tx, err);
    if (rc < 0)
        return rc;
    hf_log(HF_LOG_INFO, "console.signin", HF_SPAN_FMT " signed in from " HF_SPAN_FMT, HF_SPAN_ARG(user), HF_SPAN_ARG(q->peer));
    set_cookie(c, ret, secret);
    describe(ret, user, role, hf_span_z(secret), q->now_ns + HF_SESSION_MAX_S * 1000000000ll, 0);
    return 0;
}

/* What a wrong try leaves behind.  A name that is no account's is not written down: people type passwords there. */
static int wrong(struct hf_console *c, const struct hf_request *q, struct hf_span gate_name, struct hf_span shown, struct hf_reply *ret, struct hf_err *err)
{
    uint64_t left_out = 0;
    char more[160];
    bool locked = hf_gate_wrong(c->gate, gate_name, q->peer, q->now_ns);
    int rc = 0;
    hf_log(HF_LOG_NOTICE, "console.refused", "a wrong password for " HF_SPAN_FMT " from " HF_SPAN_FMT "%s", HF_SPAN_ARG(shown), HF_SPAN_ARG(q->peer), locked ? "; further ones have to wait" : "");
    if (hf_gate_audit(c->gate, q->now_ns, &left_out)) {
        snprintf(more, sizeof more, HF_SPAN_FMT, HF_SPAN_ARG(q->peer));
        if (left_out)
            snprintf(more + strlen(more), sizeof more - strlen(more), "; %llu more were not written down", (unsigned long long)left_out);
        rc = hf_console_audit(q->store, HF_S("(nobody)"), "console", locked ? "signin.locked" : "signin.failed", shown, hf_span_z(more), err);
    }
    if (rc < 0)
        return rc;
    return hf_problem(ret, 401, "Not signed in", "the name or the password is wrong");
}

static int wait_first(struct hf_reply *ret, unsigned wait)
{
    hf_problem(ret, 429, "Wait a little", "after several wrong passwords the next one is looked at in %u s", wait);
    ret->retry_after_s = wait;
    return 0;
}

/* Hashing takes memory and a core: only few at once, the others come again. */
static bool may_hash(struct hf_console *c, struct hf_reply *ret)
{
    if (atomic_fetch_add(&c->hashing, 1) < HASHING_MAX)
        return true;
    atomic_fetch_sub(&c->hashing, 1);
    hf_problem(ret, 503, "Busy", "others are signing in at this moment; try again");
    ret->retry_after_s = LINK_WAITS;
    return false;
}

static int by_password(struct hf_console *c, const struct hf_request *q, struct hf_reply *ret, struct hf_err *err)
{
    struct hf_span typed, password;
    struct hf_account a = {.role = HF_ROLE_NONE};
    char folded[HF_USER_MAX + 2];
    int64_t unlocked = 0;
    int rc = hf_body_only(q, "user|password", err);
    rc = rc < 0 ? rc : hf_body_str(q, "user", true, 256, &typed, err);
    rc = rc < 0 ? rc : hf_body_str(q, "password", true, 1024, &password, err);
    if (rc < 0)
        return rc;
    if (!typed.n || !password.n)
        return hf_fail(err, HF_E_USAGE, "\"user\" and \"password\" must not be empty");
    struct hf_span name = hf_account_fold(typed, folded);
    bool outside = hf_span_starts(name, HF_S("oidc:")); /* has no password: as an unknown one */
    rc = hf_account_unlocked_at(q->store, name, &unlocked, err);
    unsigned wait = rc < 0 ? 0 : hf_gate_wait(c->gate, name, q->peer, unlocked, q->now_ns);
    if (rc < 0 || wait)
        return rc < 0 ? rc : wait_first(ret, wait);
    int found = rc = outside ? 0 : hf_account_get(q->store, name, q->arena, &a, err);
    if (rc < 0)
        return rc;
    if (!may_hash(c, ret))
        return 0;
    bool right = hf_password_right(found ? a.hash : hf_span(NULL, 0), password);
    atomic_fetch_sub(&c->hashing, 1);
    if (!right || a.disabled)
        return wrong(c, q, name, found ? name : HF_S("(unknown)"), ret, err);
    hf_gate_right(c->gate, name, q->peer, q->now_ns);
    return begin_session(c, q, a.name, a.role, ret, err);
}

static int by_link(struct hf_console *c, const struct hf_request *q, struct hf_reply *ret, struct hf_err *err)
{
    struct hf_span link;
    struct hf_account a;
    int rc = hf_body_only(q, "link", err);
    rc = rc < 0 ? rc : hf_body_str(q, "link", true, 200, &link, err);
    if (rc < 0)
        return rc;
    unsigned wait = hf_gate_wait(c->gate, HF_S("#link"), q->peer, 0, q->now_ns);
    if (wait)
        return wait_first(ret, wait);
    rc = hf_link_use(q->store, link, q->now_ns, err);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return wrong(c, q, HF_S("#link"), HF_S("(link)"), ret, err);
    rc = hf_account_get(q->store, HF_S("administrator"), q->arena, &a, err);
    return rc <= 0 ? (rc < 0 ? rc : hf_fail(err, -EIO, "the account of the link is gone")) : begin_session(c, q, a.name, a.role, ret, err);
}

HF_HANDLER(hf_api_session_post)
{
    int rc = hf_query_only(q, "", err);
    if (rc < 0)
        return rc;
    if (!q->body)
        return hf_fail(err, HF_E_USAGE, "the body must be {\"user\", \"password\"} or {\"link\"}");
    return hf_jget(q->body, "link") ? by_link(api->console, q, ret, err) : by_password(api->console, q, ret, err);
}

HF_HANDLER(hf_api_session_delete)
{
    hf_autotx tx = {0};
    int rc = hf_query_only(q, "", err);
    rc = rc < 0 ? rc : hf_tx_begin(&tx, q->store, err);
    rc = rc < 0 ? rc : hf_session_end(q->store, own_secret(q), err);
    rc = rc < 0 ? rc : hf_console_audit(q->store, q->who.name, "console", "signout", q->who.name, q->peer, err);
    rc = rc < 0 ? rc : hf_tx_commit(&tx, err);
    set_cookie(api->console, ret, NULL);
    ret->status = 204;
    return rc;
}

HF_HANDLER(hf_api_session_password)
{
    struct hf_console *c = api->console;
    struct hf_span old, new;
    struct hf_account a;
    int64_t unlocked = 0;
    int rc = hf_query_only(q, "", err);
    rc = rc < 0 ? rc : hf_body_only(q, "old|new", err);
    rc = rc < 0 ? rc : hf_body_str(q, "old", true, 1024, &old, err);
    rc = rc < 0 ? rc : hf_body_str(q, "new", true, 1024, &new, err);
    rc = rc < 0 ? rc : hf_account_get(q->store, q->who.name, q->arena, &a, err);
    rc = rc < 0 ? rc : hf_account_unlocked_at(q->store, q->who.name, &unlocked, err);
    rc = rc < 0 ? rc : hf_account_password_ok(q->who.name, new, err);
    if (rc < 0)
        return rc;
    unsigned wait = hf_gate_wait(c->gate, q->who.name, q->peer, unlocked, q->now_ns);
    if (wait)
        return wait_first(ret, wait);
    if (!may_hash(c, ret))
        return 0;
    /* Who came by a link for the first time has none yet. */
    bool right = !a.hash.n || hf_password_right(a.hash, old);
    struct hf_account_change change = {.password = &new, .keep = own_secret(q)};
    rc = right ? hf_account_change(q->store, q->who.name, &change, q->who.name, "console", err) : 0;
    atomic_fetch_sub(&c->hashing, 1);
    if (rc < 0)
        return rc;
    if (!right) {
        rc = wrong(c, q, q->who.name, q->who.name, ret, err);
        return rc < 0 ? rc : hf_problem(ret, 403, "Not changed", "the old password is wrong");
    }
    ret->status = 204;
    return 0;
}

/* ---- OpenID Connect ---- */

static int back_to_sign_in(struct hf_reply *ret, const char *error)
{
    ret->status = 303;
    snprintf(ret->location, sizeof ret->location, "/sign-in?error=%s", error);
    return 0;
}

HF_HANDLER(hf_api_oidc_start)
{
    struct hf_console *c = api->console;
    char cookie[64];
    hf_autobuf url = HF_BUF_INIT(4096);
    if (!c->oidc)
        return hf_problem(ret, 404, hf_http_reason(404), "no OpenID provider is set");
    int rc = hf_query_only(q, "", err);
    if (rc < 0)
        return rc;
    rc = hf_oidc_begin(c->oidc, q->now_ns, cookie, &url, err);
    if (rc == -EIO || rc == -EBUSY) { /* a person looks at this: back to the page, which says so */
        hf_log(HF_LOG_WARNING, "console.provider", "%s", err->msg);
        return back_to_sign_in(ret, "provider");
    }
    if (rc < 0)
        return hf_wrap(err, rc, "OpenID Connect");
    if (!hf_buf_ok(&url) || url.n >= sizeof ret->location)
        return hf_fail(err, HF_E_LIMIT, "the address of the OpenID provider is too long");
    ret->status = 303;
    snprintf(ret->location, sizeof ret->location, "%s", hf_buf_z(&url));
    /* Lax: the provider's page sends the browser back. */
    snprintf(ret->cookie[0], sizeof ret->cookie[0], "hf_oidc=%s; Path=/auth/oidc; HttpOnly; SameSite=Lax; Max-Age=600%s", cookie, c->secure ? "; Secure" : "");
    return 0;
}

/* The account of a person the provider vouches for: made at the first sign-in, its role that of the last. */
static int welcome(struct hf_console *c, const struct hf_request *q, struct hf_span user, enum hf_role role, struct hf_reply *ret, struct hf_err *err)
{
    struct hf_account a;
    struct hf_account_change change = {.role = &role};
    int rc = hf_account_get(q->store, user, q->arena, &a, err);
    if (rc < 0)
        return rc;
    if (rc && a.disabled)
        return -EPERM;
    if (rc == 0)
        rc = hf_account_add(q->store, user, role, hf_span(NULL, 0), HF_S("(OpenID Connect)"), "console", err);
    else
        rc = a.role != role ? hf_account_change(q->store, user, &change, HF_S("(OpenID Connect)"), "console", err) : 0;
    rc = rc < 0 ? rc : begin_session(c, q, user, role, ret, err);
    hf_buf_clear(&ret->body);
    return rc;
}

HF_HANDLER(hf_api_oidc_callback)
{
    struct hf_console *c = api->console;
    struct hf_span cookie = hf_http_cookie(hf_header(q, "cookie"), "hf_oidc");
    hf_autobuf user = HF_BUF_INIT(HF_USER_MAX + 8);
    enum hf_role role = HF_ROLE_NONE;
    struct hf_err why = HF_ERR_INIT;
    if (!c->oidc)
        return hf_problem(ret, 404, hf_http_reason(404), "no OpenID provider is set");
    snprintf(ret->cookie[1], sizeof ret->cookie[1], "hf_oidc=; Path=/auth/oidc; HttpOnly; SameSite=Lax; Max-Age=0%s", c->secure ? "; Secure" : "");
    if (hf_query(q, "error").n)
        return back_to_sign_in(ret, "denied");
    int rc = hf_oidc_finish(c->oidc, cookie, hf_query(q, "state"), hf_query(q, "code"), q->now_ns, &user, &role, &why);
    rc = rc < 0 ? rc : welcome(c, q, hf_buf_span(&user), role, ret, &why);
    if (rc == 0) {
        ret->status = 303;
        snprintf(ret->location, sizeof ret->location, "/");
        return 0;
    }
    uint64_t left_out;
    hf_log(HF_LOG_NOTICE, "console.refused", "a sign-in by OpenID Connect from " HF_SPAN_FMT " was refused: %s", HF_SPAN_ARG(q->peer), why.msg[0] ? why.msg : hf_err_name(rc));
    if (hf_gate_audit(c->gate, q->now_ns, &left_out) && hf_console_audit(q->store, HF_S("(nobody)"), "console", "signin.failed", user.n ? hf_buf_span(&user) : HF_S("(OpenID Connect)"), q->peer, err) < 0)
        return -EIO;
    ret->cookie[0][0] = 0;
    return back_to_sign_in(ret, rc == -EPERM ? "role" : rc == -EIO || rc == -EBUSY ? "provider" : "state");
}

/* ---- the stream ---- */

static int words_ok(struct hf_span list, const char *known, const char *name, struct hf_err *err)
{
    struct hf_span one, rest, word;
    while (hf_span_cut(&list, ',', &one)) {
        bool ok = false;
        rest = hf_span_z(known);
        while (known && hf_span_cut(&rest, '|', &word))
            ok |= hf_span_eq(word, one);
        for (size_t i = 0; !known && i <= one.n; i++)
            ok = i == one.n ? one.n && one.n <= 20 : true;
        for (size_t i = 0; !known && i < one.n; i++)
            ok &= (one.p[i] >= 'a' && one.p[i] <= 'z') || one.p[i] == '_';
        if (!ok)
            return known ? hf_fail(err, HF_E_USAGE, "\"%s\" must be words of %s with commas between", name, known) : hf_fail(err, HF_E_USAGE, "\"%s\" must be words with commas between", name);
    }
    return 0;
}

HF_HANDLER(hf_api_stream)
{
    struct hf_span kinds = hf_query(q, "kinds"), types = hf_query(q, "types"), container = hf_query(q, "container"), last = hf_header(q, "last-event-id");
    unsigned severity = 0;
    uint64_t seq = 0;
    (void)api;
    int rc = hf_query_only(q, "kinds|types|container|min_severity", err);
    rc = rc < 0 ? rc : words_ok(kinds, "event|alert|incident|container|status|loss", "kinds", err);
    rc = rc < 0 ? rc : words_ok(types, NULL, "types", err);
    rc = rc < 0 ? rc : hf_query_enum(q, "min_severity", "debug|info|notice|low|medium|high|critical", 0, &severity, err);
    if (rc == 0 && (kinds.n >= 128 || types.n >= 256))
        rc = hf_fail(err, HF_E_USAGE, "\"kinds\" or \"types\" is too long");
    for (size_t i = 0; rc == 0 && i < container.n; i++)
        if (!strchr("0123456789abcdef", container.p[i]) || container.n > 64)
            rc = hf_fail(err, HF_E_USAGE, "\"container\" must be the id of a container");
    if (rc == 0 && last.n && hf_parse_u64(last, 10, 0, INT64_MAX, &seq) < 0)
        rc = hf_fail(err, HF_E_USAGE, "Last-Event-ID must be the id of an event of this stream");
    if (rc < 0)
        return rc;
    struct hf_stream *s = calloc(1, sizeof *s);
    if (!s)
        return hf_fail(err, -ENOMEM, "no memory");
    snprintf(s->user, sizeof s->user, "%.*s", HF_SPAN_ARG(q->who.name));
    snprintf(s->kinds, sizeof s->kinds, "%.*s", HF_SPAN_ARG(kinds));
    snprintf(s->types, sizeof s->types, "%.*s", HF_SPAN_ARG(types));
    snprintf(s->container, sizeof s->container, "%.*s", HF_SPAN_ARG(container));
    s->min_severity = (int)severity;
    s->resumes = last.n;
    s->seq = seq;
    ret->stream = s;
    return 0;
}
