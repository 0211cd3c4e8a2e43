/* SPDX-License-Identifier: Apache-2.0 */
/* oidc.h - signing in by an OpenID Connect provider: authorization code with PKCE (OpenID Connect Core 1.0, RFC 7636, RFC 9700).
 *
 * The settings are a file of their own (docs/console.md), a list with one `- provider: NAME`.  The client's secret stands in another file or is a systemd
 * credential.  What a sign-in must remember between its two halves is derived from a cookie by a key that only this process has: nothing is kept, and a
 * stranger who begins many sign-ins fills nothing up. */
#pragma once
#include "base/mem.h"
#include "console/api.h"

struct hf_oidc_conf {
    struct hf_arena arena;
    struct hf_span name, issuer, client, secret_file, ca_file, scopes;
    bool secret_credential;
    struct hf_span secret;                    /* after hf_oidc_load */
    struct hf_span user_claim, role_claim;    /* which claims say who and what */
    struct hf_span *roles[4];                 /* by enum hf_role: values of role_claim, empty-ended */
    size_t n_roles[4];
    enum hf_role everyone;                    /* of who has none of those; HF_ROLE_NONE: may not sign in */
};
HF_MUSTUSE int hf_oidc_parse(struct hf_oidc_conf **ret, struct hf_span text, const char *name, struct hf_err *err);
/* With its secret.  HF_E_USAGE with file:line. */
HF_MUSTUSE int hf_oidc_load(struct hf_oidc_conf **ret, const char *path, struct hf_err *err);
void hf_oidc_conf_free(struct hf_oidc_conf *c);
HF_DEFINE_FREEP(struct hf_oidc_conf, hf_oidc_conf_free)

struct hf_oidc;
HF_MUSTUSE int hf_oidc_new(struct hf_oidc **ret, const struct hf_oidc_conf *conf, const char *public_url, struct hf_err *err);
void hf_oidc_free(struct hf_oidc *o);
struct hf_span hf_oidc_name(const struct hf_oidc *o);
/* Where to send the browser, and the value of its cookie.  May ask the provider where that is (from any thread, waits at most 10 s). */
HF_MUSTUSE int hf_oidc_begin(struct hf_oidc *o, int64_t now_ns, char ret_cookie[64], struct hf_buf *ret_url, struct hf_err *err);
/* The provider sent it back: who it is ("oidc:" and the claim) and what role.  HF_E_SIGNATURE: what came is not what was asked for, or not valid;
 * -EPERM: the provider knows the person, no role is given to it here; -EIO: the provider does not answer; -EBUSY (also of hf_oidc_begin): others wait for it already. */
HF_MUSTUSE int hf_oidc_finish(struct hf_oidc *o, struct hf_span cookie, struct hf_span state, struct hf_span code, int64_t now_ns, struct hf_buf *ret_user, enum hf_role *ret_role, struct hf_err *err);
