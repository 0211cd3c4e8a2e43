// SPDX-License-Identifier: Apache-2.0
#include "console/oidc.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/curl.h"
#include "base/hash.h"
#include "console/accounts.h"
#include "console/jwt.h"

#define SEC 1000000000ll
enum {
    ANSWER_MAX = 1 << 20,
    DISCOVERY_S = 3600,  /* how long what the provider says of itself counts */
    KEYS_AGAIN_S = 60,   /* a key that is not known: asked for at most this often */
    BEGIN_S = 600,       /* from begin to finish */
    TRANSFER_S = 10,
    AT_ONCE = 2,         /* sign-ins that may wait for the provider: one that hangs must not take the other threads */
};

struct hf_oidc {
    const struct hf_oidc_conf *conf;
    char redirect[600];
    uint8_t key[32];       /* of what is derived from cookies */
    atomic_int busy;
    pthread_mutex_t lock;  /* of what follows: the provider as last asked */
    struct hf_json_doc *about, *jwks;
    int64_t about_at, jwks_at;
};

int hf_oidc_new(struct hf_oidc **ret, const struct hf_oidc_conf *conf, const char *public_url, struct hf_err *err)
{
    struct hf_oidc *o = calloc(1, sizeof *o);
    if (!o)
        return hf_fail(err, -ENOMEM, "no memory");
    o->conf = conf;
    snprintf(o->redirect, sizeof o->redirect, "%s/auth/oidc/callback", public_url);
    pthread_mutex_init(&o->lock, NULL);
    if (getrandom(o->key, sizeof o->key, 0) != sizeof o->key || !hf_curl(err)) { /* loaded before the sandbox closes */
        hf_oidc_free(o);
        return hf_fail(err, -EIO, "OpenID Connect needs libcurl and random bytes");
    }
    *ret = o;
    return 0;
}

void hf_oidc_free(struct hf_oidc *o)
{
    if (!o)
        return;
    hf_json_doc_free(o->about);
    hf_json_doc_free(o->jwks);
    OPENSSL_cleanse(o->key, sizeof o->key);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

struct hf_span hf_oidc_name(const struct hf_oidc *o)
{
    return o->conf->name;
}

/* ---- asking the provider ---- */

static size_t got(char *p, size_t size, size_t n, void *ctx)
{
    struct hf_buf *b = ctx;
    hf_buf_add(b, p, size * n);
    return hf_buf_ok(b) ? size * n : 0;
}

/* One request; its answer is JSON.  form NULL: GET. */
static int request(struct hf_oidc *o, struct hf_span url, const char *form, const char *userpwd, struct hf_json_doc **ret, long *ret_status, struct hf_err *err)
{
    const struct hf_curl *c = hf_curl(err);
    char why[CURL_ERROR_SIZE] = "";
    hf_autobuf answer = HF_BUF_INIT(ANSWER_MAX);
    hf_autofree char *z = hf_span_dupz(url), *ca = o->conf->ca_file.n ? hf_span_dupz(o->conf->ca_file) : NULL;
    CURL *e = c && z ? c->init() : NULL;
    if (!e)
        return hf_fail(err, -EIO, "libcurl gives no handle");
    struct curl_slist *headers = c->slist_append(NULL, "Accept: application/json");
    c->setopt(e, CURLOPT_URL, z);
    c->setopt(e, CURLOPT_NOSIGNAL, 1L);
    c->setopt(e, CURLOPT_ERRORBUFFER, why);
    c->setopt(e, CURLOPT_TIMEOUT, (long)TRANSFER_S);
    c->setopt(e, CURLOPT_PROTOCOLS_STR, hf_span_starts(o->conf->issuer, HF_S("https://")) ? "https" : "http,https");
    c->setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    c->setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    c->setopt(e, CURLOPT_USERAGENT, "holdfast/" HF_VERSION);
    c->setopt(e, CURLOPT_HTTPHEADER, headers);
    c->setopt(e, CURLOPT_WRITEFUNCTION, got);
    c->setopt(e, CURLOPT_WRITEDATA, &answer);
    if (ca)
        c->setopt(e, CURLOPT_CAINFO, ca);
    if (form)
        c->setopt(e, CURLOPT_POSTFIELDS, form);
    if (userpwd)
        c->setopt(e, CURLOPT_USERPWD, userpwd);
    CURLcode code = c->perform(e);
    *ret_status = 0;
    c->getinfo(e, CURLINFO_RESPONSE_CODE, ret_status);
    c->cleanup(e);
    c->slist_free_all(headers);
    if (code != CURLE_OK)
        return hf_fail(err, -EIO, "the OpenID provider does not answer at " HF_SPAN_FMT ": %s", HF_SPAN_ARG(url), why[0] ? why : c->strerror(code));
    int rc = hf_json_parse_within(hf_buf_span(&answer), 16u << 20, ret, err);
    return rc < 0 ? hf_wrap(err, -EIO, "the OpenID provider's answer from " HF_SPAN_FMT " (status %ld)", HF_SPAN_ARG(url), *ret_status) : 0;
}

static int get(struct hf_oidc *o, struct hf_span url, struct hf_json_doc **ret, struct hf_err *err)
{
    long status;
    int rc = request(o, url, NULL, NULL, ret, &status, err);
    return rc == 0 && status != 200 ? hf_fail(err, -EIO, "the OpenID provider answers " HF_SPAN_FMT " with status %ld", HF_SPAN_ARG(url), status) : rc;
}

/* With the lock held: what the provider says of itself (OpenID Connect Discovery 1.0, 4). */
static int discover(struct hf_oidc *o, int64_t now, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_autobuf url = HF_BUF_INIT(2048);
    struct hf_span issuer = o->conf->issuer;
    if (o->about && now - o->about_at < DISCOVERY_S * SEC && now >= o->about_at)
        return 0;
    hf_buf_adds(&url, hf_span_sub(issuer, 0, issuer.n - (issuer.p[issuer.n - 1] == '/')));
    hf_buf_addz(&url, "/.well-known/openid-configuration");
    int rc = get(o, hf_buf_span(&url), &doc, err);
    if (rc < 0)
        return rc;
    if (!hf_span_eq(hf_jgetstr(hf_json_root(doc), "issuer"), issuer))
        return hf_fail(err, -EIO, "the OpenID provider says it is \"" HF_SPAN_FMT "\", not \"" HF_SPAN_FMT "\"", HF_SPAN_ARG(hf_span_sub(hf_jgetstr(hf_json_root(doc), "issuer"), 0, 150)), HF_SPAN_ARG(issuer));
    static const char *const needed[] = {"authorization_endpoint", "token_endpoint", "jwks_uri"};
    bool plain = hf_span_starts(issuer, HF_S("http://"));
    for (size_t i = 0; i < HF_ARRAY_LEN(needed); i++) {
        struct hf_span at = hf_jgetstr(hf_json_root(doc), needed[i]);
        if (!hf_span_starts(at, HF_S("https://")) && !(plain && hf_span_starts(at, HF_S("http://"))))
            return hf_fail(err, -EIO, "the OpenID provider gives no https address as %s", needed[i]);
    }
    hf_json_doc_free(o->about);
    o->about = hf_take(doc);
    o->about_at = now;
    return 0;
}

static int fetch_keys(struct hf_oidc *o, int64_t now, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = get(o, hf_jgetstr(hf_json_root(o->about), "jwks_uri"), &doc, err);
    o->jwks_at = now;
    if (rc < 0)
        return rc;
    hf_json_doc_free(o->jwks);
    o->jwks = hf_take(doc);
    return 0;
}

/* ---- what a cookie stands for ---- */

/* The cookie is time and random bytes; state, nonce and verifier are what this process's key makes of it. */
static void derive(const struct hf_oidc *o, const char *what, struct hf_span cookie, struct hf_buf *out)
{
    hf_autobuf text = HF_BUF_INIT(256);
    unsigned char mac[32];
    unsigned n = sizeof mac;
    hf_buf_addz(&text, what);
    hf_buf_addc(&text, ' ');
    hf_buf_adds(&text, cookie);
    if (!HMAC(EVP_sha256(), o->key, sizeof o->key, (const unsigned char *)text.p, text.n, mac, &n)) {
        out->failed = true;
        return;
    }
    hf_base64url_add(out, hf_span((const char *)mac, n));
}

static void add_param(struct hf_buf *b, const char *name, struct hf_span value)
{
    hf_buf_addf(b, "%s=", name);
    for (size_t i = 0; i < value.n; i++)
        if (isalnum((unsigned char)value.p[i]) || strchr("-_.~", value.p[i]))
            hf_buf_addc(b, value.p[i]);
        else
            hf_buf_addf(b, "%%%02X", (unsigned char)value.p[i]);
}

static int begin(struct hf_oidc *o, int64_t now, char ret_cookie[64], struct hf_buf *url, struct hf_err *err)
{
    uint8_t raw[32];
    hf_autobuf cookie = HF_BUF_INIT(64), state = HF_BUF_INIT(64), nonce = HF_BUF_INIT(64), verifier = HF_BUF_INIT(64), challenge = HF_BUF_INIT(64);
    struct hf_digest d;
    uint64_t at = (uint64_t)(now / SEC);
    if (getrandom(raw + 8, 24, 0) != 24)
        return hf_fail(err, -EIO, "the system gives no random bytes");
    for (unsigned i = 0; i < 8; i++)
        raw[i] = (uint8_t)(at >> (56 - 8 * i));
    hf_base64url_add(&cookie, hf_span((const char *)raw, sizeof raw));
    derive(o, "state", hf_buf_span(&cookie), &state);
    derive(o, "nonce", hf_buf_span(&cookie), &nonce);
    derive(o, "verifier", hf_buf_span(&cookie), &verifier);
    hf_digest_of(HF_SHA256, hf_buf_span(&verifier), &d);
    hf_base64url_add(&challenge, hf_span((const char *)d.b, 32));
    pthread_mutex_lock(&o->lock);
    int rc = discover(o, now, err);
    if (rc == 0)
        hf_buf_adds(url, hf_jgetstr(hf_json_root(o->about), "authorization_endpoint"));
    pthread_mutex_unlock(&o->lock);
    if (rc < 0)
        return rc;
    hf_buf_addc(url, hf_span_find(hf_buf_span(url), '?') == SIZE_MAX ? '?' : '&');
    hf_buf_addz(url, "response_type=code&code_challenge_method=S256&");
    add_param(url, "client_id", o->conf->client);
    add_param(url, "&redirect_uri", hf_span_z(o->redirect));
    add_param(url, "&scope", o->conf->scopes);
    add_param(url, "&state", hf_buf_span(&state));
    add_param(url, "&nonce", hf_buf_span(&nonce));
    add_param(url, "&code_challenge", hf_buf_span(&challenge));
    if (!hf_buf_ok(&state) || !hf_buf_ok(&nonce) || !hf_buf_ok(&verifier) || !hf_buf_ok(url))
        return hf_fail(err, HF_E_LIMIT, "the OpenID provider's address is too long");
    snprintf(ret_cookie, 64, "%s", hf_buf_z(&cookie));
    return 0;
}

static int cookie_fresh(struct hf_span cookie, int64_t now, struct hf_err *err)
{
    hf_autobuf raw = HF_BUF_INIT(32);
    uint64_t at = 0, now_s = (uint64_t)(now / SEC);
    if (cookie.n != 43 || hf_base64url(cookie, &raw) < 0 || raw.n != 32)
        return hf_fail(err, HF_E_SIGNATURE, "the cookie of the sign-in is not there");
    for (unsigned i = 0; i < 8; i++)
        at = at << 8 | (uint8_t)raw.p[i];
    return at > now_s || now_s - at > BEGIN_S ? hf_fail(err, HF_E_SIGNATURE, "the sign-in took too long") : 0;
}

/* ---- who it is ---- */

static int user_of(const struct hf_oidc *o, hf_jnode claims, struct hf_buf *ret, struct hf_err *err)
{
    hf_autofree char *name = hf_span_dupz(o->conf->user_claim);
    struct hf_span v = hf_jgetstr(claims, name ? name : "");
    bool bad = !v.n || v.n > HF_USER_MAX - 5;
    hf_buf_addz(ret, "oidc:");
    for (size_t i = 0; !bad && i < v.n; i++) {
        bad = !isalnum((unsigned char)v.p[i]) && !strchr("._-@+", v.p[i]);
        hf_buf_addc(ret, v.p[i]);
    }
    if (bad) {
        hf_buf_clear(ret);
        return hf_fail(err, -EPERM, "the provider's token has no usable name in \"" HF_SPAN_FMT "\" (letters, digits and ._-@+, at most %u)", HF_SPAN_ARG(o->conf->user_claim), (unsigned)HF_USER_MAX - 5);
    }
    return hf_buf_ok(ret) ? 0 : hf_fail(err, HF_E_LIMIT, "the name is too long");
}

/* "groups", or "realm_access.roles": members in members. */
static hf_jnode claim_at(hf_jnode claims, struct hf_span path)
{
    hf_autofree char *whole = hf_span_dupz(path);
    struct hf_span part;
    hf_jnode at = whole ? hf_jget(claims, whole) : NULL; /* names with dots are names first: "https://example.org/roles" */
    if (at)
        return at;
    at = claims;
    while (at && hf_span_cut(&path, '.', &part)) {
        hf_autofree char *name = hf_span_dupz(part);
        at = name ? hf_jget(at, name) : NULL;
    }
    return at;
}

static bool has(hf_jnode claim, struct hf_span value)
{
    if (hf_jis_str(claim))
        return hf_span_eq(hf_jstr(claim), value);
    if (hf_jis_array(claim))
        HF_JFOREACH (one, claim)
            if (hf_jis_str(one) && hf_span_eq(hf_jstr(one), value))
                return true;
    return false;
}

static int role_of(const struct hf_oidc *o, hf_jnode claims, enum hf_role *ret, struct hf_err *err)
{
    hf_jnode claim = claim_at(claims, o->conf->role_claim);
    enum hf_role best = o->conf->everyone;
    for (unsigned r = HF_ROLE_VIEWER; r <= HF_ROLE_ADMIN; r++)
        for (size_t i = 0; i < o->conf->n_roles[r]; i++)
            if (has(claim, o->conf->roles[r][i]) && r > best)
                best = (enum hf_role)r;
    if (best == HF_ROLE_NONE)
        return hf_fail(err, -EPERM, "no role is given to what the provider says in \"" HF_SPAN_FMT "\"", HF_SPAN_ARG(o->conf->role_claim));
    *ret = best;
    return 0;
}

/* The code against tokens (OpenID Connect Core 1.0, 3.1.3). */
static int exchange(struct hf_oidc *o, struct hf_span endpoint, struct hf_span code, struct hf_span verifier, struct hf_json_doc **ret, struct hf_err *err)
{
    hf_autobuf form = HF_BUF_INIT(16384), basic = HF_BUF_INIT(16384);
    long status;
    hf_buf_addz(&form, "grant_type=authorization_code");
    add_param(&form, "&code", code);
    add_param(&form, "&redirect_uri", hf_span_z(o->redirect));
    add_param(&form, "&code_verifier", verifier);
    add_param(&form, "&client_id", o->conf->client);
    if (o->conf->secret.n) { /* RFC 6749, 2.3.1: both are form-encoded first */
        add_param(&basic, "x", o->conf->client);
        hf_buf_addc(&basic, ':');
        struct hf_buf secret = HF_BUF_INIT(16384);
        add_param(&secret, "x", o->conf->secret);
        hf_buf_adds(&basic, hf_span_from(hf_buf_span(&secret), 2));
        if (!hf_buf_ok(&secret))
            basic.failed = true;
        if (secret.p)
            OPENSSL_cleanse(secret.p, secret.n);
        hf_buf_done(&secret);
    }
    if (!hf_buf_ok(&form) || !hf_buf_ok(&basic))
        return hf_fail(err, HF_E_LIMIT, "the code is too long");
    int rc = request(o, endpoint, hf_buf_z(&form), basic.n ? hf_buf_z(&basic) + 2 : NULL, ret, &status, err);
    if (basic.p)
        OPENSSL_cleanse(basic.p, basic.n);
    if (rc == 0 && status != 200) {
        struct hf_span e = hf_jgetstr(hf_json_root(*ret), "error");
        return hf_fail(err, HF_E_SIGNATURE, "the OpenID provider refuses the code: status %ld " HF_SPAN_FMT, status, HF_SPAN_ARG(hf_span_sub(e, 0, 60)));
    }
    return rc;
}

/* With newer keys when the token names one that is not known. */
static int verify(struct hf_oidc *o, struct hf_span token, int64_t now, struct hf_json_doc **ret, struct hf_err *err)
{
    pthread_mutex_lock(&o->lock);
    int rc = o->jwks ? 0 : fetch_keys(o, now, err);
    rc = rc < 0 ? rc : hf_jwt_verify(token, hf_json_root(o->jwks), ret, err);
    if ((rc == HF_E_NOT_FOUND || rc == HF_E_SIGNATURE) && now - o->jwks_at >= KEYS_AGAIN_S * SEC) {
        rc = fetch_keys(o, now, err);
        rc = rc < 0 ? rc : hf_jwt_verify(token, hf_json_root(o->jwks), ret, err);
    }
    pthread_mutex_unlock(&o->lock);
    return rc;
}

static int finish(struct hf_oidc *o, struct hf_span cookie, struct hf_span state, struct hf_span code, int64_t now, struct hf_buf *ret_user, enum hf_role *ret_role, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *tokens = NULL, *claims = NULL;
    hf_autobuf want = HF_BUF_INIT(64), nonce = HF_BUF_INIT(64), verifier = HF_BUF_INIT(64), endpoint = HF_BUF_INIT(4096);
    int rc = cookie_fresh(cookie, now, err);
    if (rc < 0)
        return rc;
    derive(o, "state", cookie, &want);
    derive(o, "nonce", cookie, &nonce);
    derive(o, "verifier", cookie, &verifier);
    if (!hf_buf_ok(&want) || !hf_buf_ok(&nonce) || !hf_buf_ok(&verifier) || !hf_secret_eq(state, hf_buf_span(&want)))
        return hf_fail(err, HF_E_SIGNATURE, "the state is not that of this sign-in");
    if (!code.n || code.n > 4096)
        return hf_fail(err, HF_E_SIGNATURE, "no code came back");
    pthread_mutex_lock(&o->lock);
    rc = discover(o, now, err);
    if (rc == 0)
        hf_buf_adds(&endpoint, hf_jgetstr(hf_json_root(o->about), "token_endpoint"));
    pthread_mutex_unlock(&o->lock);
    rc = rc < 0 ? rc : exchange(o, hf_buf_span(&endpoint), code, hf_buf_span(&verifier), &tokens, err);
    rc = rc < 0 ? rc : verify(o, hf_jgetstr(hf_json_root(tokens), "id_token"), now, &claims, err);
    struct hf_jwt_expect expect = {o->conf->issuer, o->conf->client, hf_buf_span(&nonce), now / SEC};
    rc = rc < 0 ? rc : hf_jwt_claims_ok(hf_json_root(claims), &expect, err);
    rc = rc < 0 ? rc : user_of(o, hf_json_root(claims), ret_user, err);
    return rc < 0 ? rc : role_of(o, hf_json_root(claims), ret_role, err);
}

static bool enter(struct hf_oidc *o)
{
    if (atomic_fetch_add(&o->busy, 1) < AT_ONCE)
        return true;
    atomic_fetch_sub(&o->busy, 1);
    return false;
}

int hf_oidc_begin(struct hf_oidc *o, int64_t now, char ret_cookie[64], struct hf_buf *ret_url, struct hf_err *err)
{
    if (!enter(o))
        return hf_fail(err, -EBUSY, "others wait for the OpenID provider already");
    int rc = begin(o, now, ret_cookie, ret_url, err);
    atomic_fetch_sub(&o->busy, 1);
    return rc;
}

int hf_oidc_finish(struct hf_oidc *o, struct hf_span cookie, struct hf_span state, struct hf_span code, int64_t now, struct hf_buf *ret_user, enum hf_role *ret_role, struct hf_err *err)
{
    if (!enter(o))
        return hf_fail(err, -EBUSY, "others wait for the OpenID provider already");
    int rc = finish(o, cookie, state, code, now, ret_user, ret_role, err);
    atomic_fetch_sub(&o->busy, 1);
    return rc;
}
