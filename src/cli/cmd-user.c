// SPDX-License-Identifier: Apache-2.0
/* holdfast user: who may use the console. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "cli/account-cli.h"
#include "cli/group.h"
#include "cli/password.h"
#include "console/accounts.h"
#include "console/console.h"

/* Typed, where somebody sits at a terminal; else a line of standard input. */
static int one_password(const char *prompt, char ret[HF_PASSWORD_MAX + 2], struct hf_err *err)
{
    struct hf_buf b = HF_BUF_INIT(HF_PASSWORD_MAX + 1);
    char c;
    int rc = isatty(0) ? hf_cli_password(prompt, &b, err) : 0;
    while (!isatty(0) && read(0, &c, 1) == 1 && c != '\n')
        hf_buf_addc(&b, c);
    if (rc == 0 && !hf_buf_ok(&b))
        rc = hf_fail(err, HF_E_USAGE, "the password has more than %u bytes", (unsigned)HF_PASSWORD_MAX);
    else if (rc == 0 && (!b.n || memchr(b.p, 0, b.n)))
        rc = hf_fail(err, HF_E_USAGE, b.n ? "the password has a byte 0" : "no password was given (on standard input, one line)");
    if (rc == 0) {
        memcpy(ret, b.p, b.n);
        ret[b.n] = 0;
    }
    if (b.p)
        explicit_bzero(b.p, b.cap);
    hf_buf_done(&b);
    return rc;
}

static int new_password(char ret[HF_PASSWORD_MAX + 2], struct hf_span name, struct hf_err *err)
{
    char again[HF_PASSWORD_MAX + 2] = "";
    int rc = one_password("New password: ", ret, err);
    rc = rc < 0 ? rc : hf_account_password_ok(name, hf_span_z(ret), err);
    if (rc < 0 || !isatty(0))
        return rc;
    rc = one_password("Again: ", again, err);
    rc = rc < 0 ? rc : strcmp(ret, again) ? hf_fail(err, HF_E_USAGE, "the two are not the same") : 0;
    explicit_bzero(again, sizeof again);
    return rc;
}

/* buf: its place when it had to be made lower case. */
static struct hf_span folded(const char *name, char buf[HF_USER_MAX + 2])
{
    struct hf_span given = hf_span_z(name);
    return hf_span_starts(given, HF_S("oidc:")) ? given : hf_account_fold(given, buf);
}

static int add(int argc, char **argv)
{
    struct hf_cli_place a = {NULL};
    const char *args[2], *word = "viewer";
    bool none = false;
    char password[HF_PASSWORD_MAX + 2] = "", name[HF_USER_MAX + 2] = "";
    enum hf_role role = HF_ROLE_VIEWER;
    size_t n;
    const struct hf_opt opts[] = {HF_CLI_PLACE_OPTS(a), {"no-password", 0, HF_OPT_FLAG, &none, NULL, NULL, 0, 0, "set none: it can sign in once it has one (user passwd)"},
            {"role", 0, HF_OPT_STR, &word, "ROLE", NULL, 0, 0, "viewer (default), responder or administrator"}, HF_CLI_OPTS_END};
    const struct hf_command cmd = {"user add", "[options] NAME", "make an account",
            "The password is asked for without showing it, or is one line of standard input; it has at least 12 characters. A viewer sees, a responder also works on incidents and acts on "
            "containers, an administrator also changes rules, channels, users and tokens.", opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : hf_account_role(hf_span_z(word), &role, &err);
    rc = rc < 0 ? rc : hf_account_name_ok(folded(args[0], name), &err);
    rc = rc < 0 ? rc : hf_cli_store(a.url, a.file, 0, &a.store, &err);
    rc = rc < 0 || none ? rc : new_password(password, hf_span_z(name), &err);
    rc = rc < 0 ? rc : hf_account_add(a.store, hf_span_z(name), role, hf_span_z(password), hf_span_z(hf_cli_who(NULL)), "cli", &err);
    explicit_bzero(password, sizeof password);
    hf_cli_place_done(&a);
    return rc < 0 ? hf_cli_fail(&err, rc) : HF_EXIT_OK;
}

static int passwd(int argc, char **argv)
{
    struct hf_cli_place a = {NULL};
    const char *args[2];
    char password[HF_PASSWORD_MAX + 2] = "", name[HF_USER_MAX + 2];
    size_t n;
    const struct hf_opt opts[] = {HF_CLI_PLACE_OPTS(a), HF_CLI_OPTS_END};
    const struct hf_command cmd = {"user passwd", "[options] NAME", "set the password of an account",
            "The password is asked for without showing it, or is one line of standard input. All sessions of the account end.", opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    struct hf_span whose = rc < 0 ? hf_span(NULL, 0) : folded(args[0], name), given = {NULL, 0};
    struct hf_account_change change = {.password = &given};
    rc = rc < 0 ? rc : hf_cli_store(a.url, a.file, 0, &a.store, &err);
    rc = rc < 0 ? rc : new_password(password, whose, &err);
    given = hf_span_z(password);
    rc = rc < 0 ? rc : hf_account_change(a.store, whose, &change, hf_span_z(hf_cli_who(NULL)), "cli", &err);
    explicit_bzero(password, sizeof password);
    hf_cli_place_done(&a);
    return rc < 0 ? hf_cli_fail(&err, rc) : HF_EXIT_OK;
}

static int set_role(int argc, char **argv)
{
    struct hf_cli_place a = {NULL};
    const char *args[3];
    char name[HF_USER_MAX + 2];
    enum hf_role role = HF_ROLE_NONE;
    size_t n;
    const struct hf_opt opts[] = {HF_CLI_PLACE_OPTS(a), HF_CLI_OPTS_END};
    const struct hf_command cmd = {"user role", "[options] NAME ROLE", "change what an account may",
            "ROLE is viewer, responder or administrator. It counts from the next request on. One administrator must stay.", opts, 2, 2};
    struct hf_err err = HF_ERR_INIT;
    struct hf_account_change change = {.role = &role};
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : hf_account_role(hf_span_z(args[1]), &role, &err);
    rc = rc < 0 ? rc : hf_cli_store(a.url, a.file, 0, &a.store, &err);
    rc = rc < 0 ? rc : hf_account_change(a.store, folded(args[0], name), &change, hf_span_z(hf_cli_who(NULL)), "cli", &err);
    hf_cli_place_done(&a);
    return rc < 0 ? hf_cli_fail(&err, rc) : HF_EXIT_OK;
}

static int one_name(int argc, char **argv, const char *command, const char *summary, const char *details,
        int (*act)(struct hf_store *s, struct hf_span name, struct hf_span by, const char *via, struct hf_err *err))
{
    struct hf_cli_place a = {NULL};
    const char *args[2];
    char name[HF_USER_MAX + 2];
    size_t n;
    const struct hf_opt opts[] = {HF_CLI_PLACE_OPTS(a), HF_CLI_OPTS_END};
    const struct hf_command cmd = {command, "[options] NAME", summary, details, opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_cli_place_open(&a, &cmd, argc, argv, args, &n, 0, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : act(a.store, folded(args[0], name), hf_span_z(hf_cli_who(NULL)), "cli", &err);
    hf_cli_place_done(&a);
    return rc < 0 ? hf_cli_fail(&err, rc) : HF_EXIT_OK;
}

static int drop(int argc, char **argv)
{
    return one_name(argc, argv, "user remove", "remove an account", "With its sessions and tokens. One administrator must stay.", hf_account_remove);
}

static int unlock(int argc, char **argv)
{
    return one_name(argc, argv, "user unlock", "let an account try again at once", "After several wrong passwords an account has to wait before the next is looked at; this ends the wait.", hf_account_unlock);
}

static void day(int64_t ns, char out[40])
{
    time_t s = (time_t)(ns / 1000000000);
    struct tm tm;
    if (ns <= 0 || !gmtime_r(&s, &tm) || !strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &tm))
        snprintf(out, 40, "-");
}

static int listed(void *ctx, const struct hf_account *a)
{
    struct hf_cli_listing *l = ctx;
    char at[40];
    const char *signs = a->disabled ? "disabled" : hf_span_starts(a->name, HF_S("oidc:")) ? "by provider" : a->hash.n ? "by password" : "no password";
    day(a->created, at);
    if (l->json) {
        hf_jw_object(l->json);
        hf_jw_kstr(l->json, "name", a->name);
        hf_jw_kstrz(l->json, "role", hf_roles[a->role]);
        hf_jw_kbool(l->json, "disabled", a->disabled);
        hf_jw_kbool(l->json, "password", a->hash.n > 0);
        hf_jw_kstrz(l->json, "created", at);
        hf_jw_object_end(l->json);
        return 0;
    }
    size_t cols = hf_buf_add_escaped(l->out, a->name, 40);
    for (; cols < 24; cols++)
        hf_buf_addc(l->out, ' ');
    hf_buf_addf(l->out, " %-14s %-12s %s\n", hf_roles[a->role], signs, at);
    return 0;
}

static int each(struct hf_store *s, struct hf_cli_listing *l, struct hf_err *err)
{
    return hf_account_list(s, listed, l, err);
}

static int list(int argc, char **argv)
{
    return hf_cli_accounts_list("user list", "who may use the console", "Name, role, how it signs in, since when there is an account.", argc, argv, each);
}

static int link_once(int argc, char **argv)
{
    struct hf_cli_place a = {NULL};
    const char *args[1], *url = "http://127.0.0.1:8470";
    size_t n;
    const struct hf_opt opts[] = {HF_CLI_PLACE_OPTS(a), {"public-url", 0, HF_OPT_STR, &url, "URL", NULL, 0, 0, "how the console is reached (default: http://127.0.0.1:8470)"}, HF_CLI_OPTS_END};
    const struct hf_command cmd = {"user link", "[options]", "print a link that signs in once, as administrator",
            "For the first sign-in, or when nobody knows a password any more. Good for 10 minutes, once. Whoever has it is administrator: do not send it around.", opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(4096);
    int rc = hf_cli_place_open(&a, &cmd, argc, argv, args, &n, 0, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : hf_console_link(a.store, url, &out, &err);
    rc = rc < 0 ? rc : hf_console_audit(a.store, hf_span_z(hf_cli_who(NULL)), "cli", "user.link", HF_S("administrator"), HF_S(""), &err);
    hf_buf_addc(&out, '\n');
    hf_cli_place_done(&a);
    return rc < 0 ? hf_cli_fail(&err, rc) : hf_cli_print(&out, HF_EXIT_OK);
}

int hf_cmd_user(int argc, char **argv)
{
    static const struct hf_cli_command commands[] = {
            {"add", add, "make an account"},
            {"list", list, "who may use the console"},
            {"passwd", passwd, "set the password of an account"},
            {"role", set_role, "change what an account may"},
            {"remove", drop, "remove an account"},
            {"unlock", unlock, "let an account try again at once"},
            {"link", link_once, "print a link that signs in once, as administrator"},
    };
    return hf_cli_group("user", "who may use the console", commands, HF_ARRAY_LEN(commands), argc, argv);
}
