// SPDX-License-Identifier: Apache-2.0
/* Accounts, sessions, tokens, links: what is kept, what is not, what ends what. */
#include <errno.h>
#include <unistd.h>

#include "console/accounts.h"
#include "console/console.h"
#include "console/oidc.h"
#include "store/audit.h"
#include "store/settings.h"
#include "tap.h"

#define SEC 1000000000ll
#define BY HF_S("tester"), "test"
static struct hf_store *s;
static struct hf_err err;

static void rules(void)
{
    static const char *const names[] = {"", "-a", ".a", "a b", "a:b", "oidc:a", "a/b", "\xc3\xa4", "A"};
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        EQ_I(hf_account_name_ok(hf_span_z(names[i]), &err), HF_E_USAGE);
    EQ_I(hf_account_name_ok(HF_S("a.b-c_d@example.org"), &err), 0);
    char folded[HF_USER_MAX + 2];
    EQ_S(hf_account_fold(HF_S("Alice@Example"), folded), "alice@example");
    struct hf_span alice = HF_S("alice");
    EQ_I(hf_account_password_ok(alice, HF_S("elevenchars"), &err), HF_E_USAGE);
    EQ_I(hf_account_password_ok(alice, HF_S("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa1\xc3\xa9"), &err), HF_E_USAGE); /* six characters in twelve bytes */
    EQ_I(hf_account_password_ok(alice, HF_S("alicealice12"), &err), HF_E_USAGE);
    EQ_I(hf_account_password_ok(alice, HF_S("xAlice1234567"), &err), 0);
    EQ_I(hf_account_password_ok(alice, HF_S("aaaaaaaaaaaaaaaa"), &err), HF_E_USAGE);
    EQ_I(hf_account_password_ok(alice, HF_S("correct horse"), &err), 0);
    EQ_I(hf_account_password_ok(alice, HF_S("twelve\xff bytes"), &err), HF_E_USAGE);
}

static void hashes(void)
{
    char a[128], b[128];
    EQ_I(hf_password_hash(HF_S("correct horse"), a, &err), 0);
    EQ_I(hf_password_hash(HF_S("correct horse"), b, &err), 0);
    OK(strcmp(a, b) != 0);                                            /* salted */
    OK(!strncmp(a, "$argon2id$v=19$m=65536,t=3,p=1$", 31));
    OK(hf_password_right(hf_span_z(a), HF_S("correct horse")));
    OK(!hf_password_right(hf_span_z(a), HF_S("correct hors")));
    OK(!hf_password_right(hf_span(NULL, 0), HF_S("")));               /* no account, no password: never right */
    OK(!hf_password_right(hf_span(NULL, 0), HF_S("nobody")));
}

static int get(const char *name, struct hf_arena *a, struct hf_account *ret)
{
    return hf_account_get(s, hf_span_z(name), a, ret, &err);
}

static void accounts(struct hf_arena *a)
{
    struct hf_account v;
    enum hf_role viewer = HF_ROLE_VIEWER, admin = HF_ROLE_ADMIN;
    bool off = true;
    EQ_I(hf_account_add(s, HF_S("root"), HF_ROLE_ADMIN, HF_S("correct horse"), BY, &err), 0);
    EQ_I(hf_account_add(s, HF_S("root"), HF_ROLE_ADMIN, HF_S("correct horse"), BY, &err), -EEXIST);
    EQ_I(hf_account_add(s, HF_S("eve"), HF_ROLE_VIEWER, HF_S("short"), BY, &err), HF_E_USAGE);
    EQ_I(get("eve", a, &v), 0);
    /* Somebody must stay who may manage. */
    EQ_I(hf_account_remove(s, HF_S("root"), BY, &err), -EPERM);
    EQ_I(hf_account_change(s, HF_S("root"), &(struct hf_account_change){.role = &viewer}, BY, &err), -EPERM);
    EQ_I(hf_account_change(s, HF_S("root"), &(struct hf_account_change){.disabled = &off}, BY, &err), -EPERM);
    EQ_I(get("root", a, &v), 1);
    EQ_U(v.role, HF_ROLE_ADMIN);
    EQ_I(hf_account_add(s, HF_S("eve"), HF_ROLE_VIEWER, hf_span(NULL, 0), BY, &err), 0);
    EQ_I(hf_account_change(s, HF_S("eve"), &(struct hf_account_change){.role = &admin}, BY, &err), 0);
    EQ_I(hf_account_change(s, HF_S("root"), &(struct hf_account_change){.disabled = &off}, BY, &err), 0);
    EQ_I(hf_account_remove(s, HF_S("eve"), BY, &err), -EPERM);
    off = false;
    EQ_I(hf_account_change(s, HF_S("root"), &(struct hf_account_change){.disabled = &off}, BY, &err), 0);
    EQ_I(hf_account_change(s, HF_S("nobody"), &(struct hf_account_change){.role = &viewer}, BY, &err), HF_E_NOT_FOUND);
    EQ_I(hf_account_remove(s, HF_S("nobody"), BY, &err), HF_E_NOT_FOUND);
    EQ_I(hf_account_change(s, HF_S("eve"), &(struct hf_account_change){.role = &viewer}, BY, &err), 0);
}

static int no_secret(void *ctx, struct hf_span key, struct hf_span value, int64_t changed)
{
    struct hf_span secret = *(struct hf_span *)ctx;
    (void)changed;
    OK(hf_span_search(key, secret) == SIZE_MAX && hf_span_search(value, secret) == SIZE_MAX);
    return 0;
}

static void sessions(struct hf_arena *a)
{
    char one[HF_SECRET_TEXT], two[HF_SECRET_TEXT], csrf[HF_SECRET_TEXT], more[HF_SECRET_TEXT];
    struct hf_session v;
    int64_t now = hf_store_now() / SEC * SEC;
    EQ_I(hf_session_new(s, HF_S("root"), now, one, &err), 0);
    EQ_I(hf_session_new(s, HF_S("root"), now, two, &err), 0);
    OK(strcmp(one, two) != 0 && strlen(one) == 43);
    struct hf_span secret = hf_span_z(one);
    EQ_I(hf_store_setting_list(s, HF_S("console/session/"), hf_span(NULL, 0), 0, no_secret, &secret, &err), 0);
    EQ_I(hf_session_get(s, secret, now, a, &v, &err), 1);
    EQ_S(v.account.name, "root");
    hf_session_csrf(secret, csrf);
    OK(strcmp(csrf, one) != 0 && strlen(csrf) == 43);
    EQ_I(hf_session_get(s, HF_S("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), now, a, &v, &err), 0);
    EQ_I(hf_session_get(s, HF_S(""), now, a, &v, &err), 0);
    /* Used, it lives on; idle, it ends; after twelve hours it ends whatever is done. */
    EQ_I(hf_session_get(s, secret, now + 3500 * SEC, a, &v, &err), 1);
    EQ_I(hf_session_get(s, secret, now + 7000 * SEC, a, &v, &err), 1);
    EQ_I(hf_session_get(s, hf_span_z(two), now + 3600 * SEC, a, &v, &err), 0);
    for (int64_t t = 7000; t < 43200; t += 3000)
        EQ_I(hf_session_get(s, secret, now + t * SEC, a, &v, &err), 1);
    EQ_I(hf_session_get(s, secret, now + 43200 * SEC, a, &v, &err), 0);
    EQ_I(hf_session_get(s, secret, now + 43199 * SEC, a, &v, &err), 0); /* it is gone, not only over */
    /* A new password ends all but the one it came from. */
    struct hf_span pw = HF_S("another password");
    EQ_I(hf_session_new(s, HF_S("root"), now, one, &err), 0);
    EQ_I(hf_session_new(s, HF_S("root"), now, two, &err), 0);
    EQ_I(hf_account_change(s, HF_S("root"), &(struct hf_account_change){.password = &pw, .keep = hf_span_z(two)}, BY, &err), 0);
    EQ_I(hf_session_get(s, hf_span_z(one), now, a, &v, &err), 0);
    EQ_I(hf_session_get(s, hf_span_z(two), now, a, &v, &err), 1);
    EQ_I(hf_session_end(s, hf_span_z(two), &err), 1);
    EQ_I(hf_session_get(s, hf_span_z(two), now, a, &v, &err), 0);
    /* The oldest of too many. */
    EQ_I(hf_session_new(s, HF_S("root"), now - SEC, one, &err), 0);
    for (unsigned i = 0; i < HF_SESSIONS_USER; i++)
        EQ_I(hf_session_new(s, HF_S("root"), now, more, &err), 0);
    EQ_I(hf_session_get(s, hf_span_z(one), now, a, &v, &err), 0);
    EQ_I(hf_session_get(s, hf_span_z(more), now, a, &v, &err), 1);
    /* Who is removed is out at once. */
    EQ_I(hf_session_new(s, HF_S("eve"), now, one, &err), 0);
    EQ_I(hf_account_remove(s, HF_S("eve"), BY, &err), 0);
    EQ_I(hf_session_get(s, hf_span_z(one), now, a, &v, &err), 0);
    EQ_I(hf_session_sweep(s, now + 13 * 3600 * SEC, &err), 0);
    EQ_I(hf_session_get(s, hf_span_z(more), now, a, &v, &err), 0);
}

static void tokens(struct hf_arena *a)
{
    char id[HF_TOKEN_ID + 1], text[HF_SECRET_TEXT + 3];
    struct hf_token v, t = {.name = HF_S("ci"), .user = HF_S("root"), .scopes = HF_SCOPE_READ};
    struct hf_account owner;
    unsigned scopes = 0;
    int64_t now = hf_store_now();
    EQ_I(hf_token_scopes(HF_S("read, metrics"), &scopes, &err), 0);
    EQ_U(scopes, HF_SCOPE_READ | HF_SCOPE_METRICS);
    EQ_I(hf_token_scopes(HF_S("write"), &scopes, &err), HF_E_USAGE);
    EQ_I(hf_token_scopes(HF_S(""), &scopes, &err), HF_E_USAGE);
    t.expires = now + 60 * SEC;
    EQ_I(hf_token_add(s, &t, BY, id, text, &err), 0);
    struct hf_span secret = hf_span_z(text);
    EQ_I(hf_store_setting_list(s, HF_S("console/token/"), hf_span(NULL, 0), 0, no_secret, &secret, &err), 0);
    EQ_I(hf_token_get(s, secret, now, a, &v, &owner, &err), 1);
    EQ_S(v.user, "root");
    EQ_U(v.scopes, HF_SCOPE_READ);
    EQ_I(hf_token_get(s, hf_span_sub(secret, 0, secret.n - 1), now, a, &v, &owner, &err), 0);
    EQ_I(hf_token_get(s, secret, now + 61 * SEC, a, &v, &owner, &err), 0);
    EQ_I(hf_token_remove(s, HF_S("0123456789abcdef"), BY, &err), HF_E_NOT_FOUND);
    EQ_I(hf_token_remove(s, hf_span_z(id), BY, &err), 0);
    EQ_I(hf_token_get(s, secret, now, a, &v, &owner, &err), 0);
    t.user = HF_S("nobody");
    EQ_I(hf_token_add(s, &t, BY, id, text, &err), HF_E_NOT_FOUND);
}

static void links(struct hf_arena *a)
{
    hf_autobuf url = HF_BUF_INIT(1024);
    struct hf_account v;
    int64_t now = hf_store_now();
    EQ_I(hf_console_link(s, "https://x.example/", &url, &err), 0);
    OK(hf_span_starts(hf_buf_span(&url), HF_S("https://x.example/sign-in#link=")));
    struct hf_span secret = hf_span_from(hf_buf_span(&url), 31);
    EQ_I(hf_link_use(s, HF_S("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), now, &err), 0);
    EQ_I(get("administrator", a, &v), 0);
    EQ_I(hf_link_use(s, secret, now, &err), 1);
    EQ_I(get("administrator", a, &v), 1);
    OK(v.role == HF_ROLE_ADMIN && !v.hash.n);
    EQ_I(hf_link_use(s, secret, now, &err), 0); /* once */
    hf_buf_clear(&url);
    EQ_I(hf_console_link(s, "https://x.example", &url, &err), 0);
    secret = hf_span_from(hf_buf_span(&url), 31);
    EQ_I(hf_link_use(s, secret, now + 601 * SEC, &err), 0); /* ten minutes */
    EQ_I(hf_link_use(s, secret, now, &err), 0);
}

static int provider(const char *text)
{
    hf_cleanup(hf_oidc_conf_freep) struct hf_oidc_conf *c = NULL;
    err.msg[0] = 0;
    return hf_oidc_parse(&c, hf_span_z(text), "f.yaml", &err);
}

static void providers(void)
{
    EQ_I(provider("- provider: Example\n  issuer: https://id.example\n  client: us\n  administrator: [ops, sec]\n  viewer: all\n"), 0);
    EQ_I(provider("- provider: Example\n  issuer: http://127.0.0.1:9/x\n  client: us\n  everyone: viewer\n"), 0);
    static const struct {
        const char *text, *says;
    } bad[] = {
            {"", "no provider"},
            {"- provider: a\n  issuer: https://x\n  client: c\n", "nobody could sign in"},
            {"- provider: a\n  issuer: http://id.example\n  client: c\n  everyone: viewer\n", "f.yaml:2: \"issuer\" must be an https"},
            {"- provider: a\n  issuer: http://127.0.0.1.evil.example\n  client: c\n  everyone: viewer\n", "https"},
            {"- provider: a\n  issuer: https://u@x\n  client: c\n  everyone: viewer\n", "https"},
            {"- provider: a\n  issuer: https://x\n  client: c\n  everyone: administrator\n", "everyone"},
            {"- provider: a\n  isuer: https://x\n", "issuer"},
            {"- provider: a\n  issuer: https://x\n  client: c\n  secret_file: relative\n  everyone: viewer\n", "absolute"},
            {"- provider: a\n  issuer: https://x\n  client: c\n  secret_file: /a\n  secret_credential: b\n  everyone: viewer\n", "both"},
            {"- provider: a\n  issuer: https://x\n  client: c\n  secret_credential: ../b\n  everyone: viewer\n", "not a path"},
            {"- provider: a\n  issuer: https://x\n  client: c\n  everyone: viewer\n- provider: b\n", "more than one"},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
        EQ_I(provider(bad[i].text), HF_E_USAGE);
        if (!OK(strstr(err.msg, bad[i].says) != NULL))
            printf("# %s\n", err.msg);
    }
}

int main(void)
{
    char path[] = "/tmp/hf-test-accounts-XXXXXX", url[64];
    hf_autoarena a;
    hf_arena_init(&a, 4u << 20);
    int fd = mkstemp(path);
    close(fd);
    unlink(path);
    snprintf(url, sizeof url, "sqlite:%s", path);
    if (!OK(hf_store_open(&s, url, &err) == 0))
        return tap_done();
    rules();
    hashes();
    accounts(&a);
    sessions(&a);
    tokens(&a);
    links(&a);
    providers();
    struct hf_audit_head head;
    EQ_I(hf_store_audit_verify(s, NULL, &head, &err), 0);
    OK(head.seq >= 8);
    hf_store_close(s);
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (unsigned i = 0; i < 3; i++) {
        char z[80];
        snprintf(z, sizeof z, "%s%s", path, ends[i]);
        unlink(z);
    }
    return tap_done();
}
