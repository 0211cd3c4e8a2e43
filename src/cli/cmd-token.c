// SPDX-License-Identifier: Apache-2.0
/* holdfast token: tokens for programs that use the console's API. */
#include <stdio.h>
#include <time.h>

#include "cli/account-cli.h"
#include "cli/group.h"
#include "console/accounts.h"

static int add(int argc, char **argv)
{
    struct hf_cli_place a = {NULL};
    const char *args[2], *user = "administrator", *scopes = "read";
    uint64_t days = 365;
    char id[HF_TOKEN_ID + 1], secret[HF_SECRET_TEXT + 3], folded[HF_USER_MAX + 2];
    size_t n;
    const struct hf_opt opts[] = {HF_CLI_PLACE_OPTS(a), {"days", 0, HF_OPT_U64, &days, "N", NULL, 0, 3650, "until it ends (default: 365); 0: never"},
            {"scopes", 0, HF_OPT_STR, &scopes, "WORDS", NULL, 0, 0, "read (default), respond, admin, metrics, with commas between"},
            {"user", 0, HF_OPT_STR, &user, "NAME", NULL, 0, 0, "whose it is: it may what its scopes and this account's role both allow (default: administrator)"}, HF_CLI_OPTS_END};
    const struct hf_command cmd = {"token add", "[options] NAME", "make a token and print it, once",
            "NAME says what it is for. The token is printed once and kept as a hash only. A program sends it as \"Authorization: Bearer TOKEN\".", opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    struct hf_token t = {.expires = 0};
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : hf_token_scopes(hf_span_z(scopes), &t.scopes, &err);
    rc = rc < 0 ? rc : hf_cli_store(a.url, a.file, 0, &a.store, &err);
    if (rc == 0) {
        t.user = !strncmp(user, "oidc:", 5) ? hf_span_z(user) : hf_account_fold(hf_span_z(user), folded);
        t.name = hf_span_z(args[0]);
        t.expires = days ? hf_store_now() + (int64_t)days * 86400 * 1000000000 : 0;
        rc = hf_token_add(a.store, &t, hf_span_z(hf_cli_who(NULL)), "cli", id, secret, &err);
    }
    hf_cli_place_done(&a);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    printf("%s\n", secret);
    return HF_EXIT_OK;
}

static void day(int64_t ns, const char *none, char out[40])
{
    time_t s = (time_t)(ns / 1000000000);
    struct tm tm;
    if (ns <= 0 || !gmtime_r(&s, &tm) || !strftime(out, 40, "%Y-%m-%d", &tm))
        snprintf(out, 40, "%s", none);
}

static int listed(void *ctx, const struct hf_token *t)
{
    struct hf_cli_listing *l = ctx;
    char scopes[64] = "", made[40], ends[40], used[40];
    day(t->created, "-", made);
    day(t->expires, "never", ends);
    day(t->used, "never", used);
    for (unsigned i = 0; i < HF_ARRAY_LEN(hf_scopes); i++)
        if (t->scopes & 1u << i)
            snprintf(scopes + strlen(scopes), sizeof scopes - strlen(scopes), "%s%s", scopes[0] ? "," : "", hf_scopes[i]);
    if (l->json) {
        hf_jw_object(l->json);
        hf_jw_kstr(l->json, "id", t->id);
        hf_jw_kstr(l->json, "name", t->name);
        hf_jw_kstr(l->json, "user", t->user);
        hf_jw_kstrz(l->json, "scopes", scopes);
        hf_jw_kstrz(l->json, "created", made);
        hf_jw_kstrz(l->json, "expires", ends);
        hf_jw_kstrz(l->json, "used", used);
        hf_jw_object_end(l->json);
        return 0;
    }
    hf_buf_adds(l->out, t->id);
    hf_buf_addc(l->out, ' ');
    size_t cols = hf_buf_add_escaped(l->out, t->user, 24);
    for (; cols < 16; cols++)
        hf_buf_addc(l->out, ' ');
    hf_buf_addf(l->out, " %-20s ends %-10s used %-10s ", scopes, ends, used);
    (void)hf_buf_add_escaped(l->out, t->name, 60);
    hf_buf_addc(l->out, '\n');
    return 0;
}

static int each(struct hf_store *s, struct hf_cli_listing *l, struct hf_err *err)
{
    return hf_token_list(s, listed, l, err);
}

static int list(int argc, char **argv)
{
    return hf_cli_accounts_list("token list", "which tokens there are", "Id, whose, scopes, when it ends, when it was used last, name. Not the tokens themselves: nobody has those but who got them.", argc, argv, each);
}

static int drop(int argc, char **argv)
{
    struct hf_cli_place a = {NULL};
    const char *args[2];
    size_t n;
    const struct hf_opt opts[] = {HF_CLI_PLACE_OPTS(a), HF_CLI_OPTS_END};
    const struct hf_command cmd = {"token remove", "[options] ID", "make a token worthless", "ID is the first column of token list.", opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_cli_place_open(&a, &cmd, argc, argv, args, &n, 0, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : hf_token_remove(a.store, hf_span_z(args[0]), hf_span_z(hf_cli_who(NULL)), "cli", &err);
    hf_cli_place_done(&a);
    return rc < 0 ? hf_cli_fail(&err, rc) : HF_EXIT_OK;
}

int hf_cmd_token(int argc, char **argv)
{
    static const struct hf_cli_command commands[] = {
            {"add", add, "make a token and print it, once"},
            {"list", list, "which tokens there are"},
            {"remove", drop, "make a token worthless"},
    };
    return hf_cli_group("token", "tokens for programs that use the console's API", commands, HF_ARRAY_LEN(commands), argc, argv);
}
