// SPDX-License-Identifier: Apache-2.0
/* holdfast rules why, except, exceptions: why an alert was raised; that it need not be again. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "cli/state.h"
#include "cli/cli.h"
#include "cli/rules-cli.h"
#include "event/alert-log.h"
#include "event/json.h"

#define FILE_MAX (1u << 20)

static void fact(struct hf_buf *b, const char *title, struct hf_span s)
{
    if (!s.n)
        return;
    hf_buf_addf(b, "%-11s", title);
    hf_buf_add_escaped(b, s, 0);
    hf_buf_addc(b, '\n');
}

static void args_of(hf_jnode process, struct hf_buf *out)
{
    bool first = true;
    HF_JFOREACH(arg, hf_jget(process, "args")) {
        hf_buf_addz(out, first ? "" : " ");
        hf_buf_adds(out, hf_jstr(arg));
        first = false;
    }
}

static void process_line(struct hf_buf *b, const char *title, hf_jnode p)
{
    hf_autobuf args = HF_BUF_INIT(1u << 20);
    struct hf_span exe = hf_jgetstr(p, "exe");
    if (!p)
        return;
    args_of(p, &args);
    hf_buf_addf(b, "%-11s", title);
    hf_buf_add_escaped(b, exe.n ? exe : hf_jgetstr(p, "name"), 0);
    if (args.n) {
        hf_buf_addz(b, "  (");
        hf_buf_add_escaped(b, hf_buf_span(&args), 160);
        hf_buf_addc(b, ')');
    }
    hf_buf_addc(b, '\n');
}

static void why_text(hf_jnode a, struct hf_buf *b)
{
    hf_jnode box = hf_jget(a, "container"), why = hf_jget(a, "why");
    bool first = true;
    fact(b, "alert", hf_jgetstr(a, "id"));
    fact(b, "time", hf_jgetstr(a, "time"));
    fact(b, "rule", hf_jgetstr(a, "rule"));
    fact(b, "severity", hf_jgetstr(a, "severity"));
    fact(b, "summary", hf_jgetstr(a, "summary"));
    fact(b, "container", box ? hf_jgetstr(box, "name") : hf_jget(a, "container_name") ? hf_jgetstr(a, "container_name") : HF_S("host"));
    fact(b, "image", hf_jgetstr(box, "image"));
    process_line(b, "process", hf_jget(a, "process"));
    HF_JFOREACH(up, hf_jget(hf_jget(a, "process"), "ancestors")) {
        process_line(b, first ? "below" : "", up);
        first = false;
    }
    fact(b, "event", hf_jgetstr(a, "event_type"));
    fact(b, "what", hf_jgetstr(a, "what"));
    fact(b, "do", hf_jgetstr(a, "do"));
    fact(b, "benign", hf_jgetstr(a, "benign"));
    first = true;
    HF_JFOREACH(line, hf_jget(a, "before")) {
        fact(b, first ? "before" : "", hf_jstr(line));
        first = false;
    }
    if (!hf_jfirst(why)) {
        hf_buf_addz(b, hf_jget(a, "event_type") ? "no clause of the condition had to hold\n" : "this is a sum of folded alerts; the first of them, which says why, is not kept any more\n");
        return;
    }
    hf_buf_addz(b, "because\n");
    HF_JFOREACH(c, why) {
        hf_buf_addz(b, "    ");
        hf_buf_add_escaped(b, hf_span_trim(hf_jgetstr(c, "clause")), 160);
        hf_buf_addz(b, "\n        ");
        hf_buf_add_escaped(b, hf_jgetstr(c, "field"), 0);
        if (hf_jget(c, "value")) {
            hf_buf_addz(b, " was \"");
            hf_buf_add_escaped(b, hf_jgetstr(c, "value"), 0);
            hf_buf_addz(b, "\"\n");
        } else {
            hf_buf_addz(b, " was empty\n");
        }
    }
}

int hf_cmd_rules_why(int argc, char **argv)
{
    const char *from = NULL, *state = HF_STATE_DIR;
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"from", 0, HF_OPT_STR, &from, "FILE", NULL, 0, 0, "lines of \"watch --json\" (\"-\": standard input) instead of the kept alerts"},
            {"state", 0, HF_OPT_STR, &state, "DIR", NULL, 0, 0, "folder of the kept alerts (" HF_STATE_DIR ")"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"rules why", "[options] ALERT-ID", "which clauses of its rule an alert matched, on which values",
            "The beginning of the id is enough. Alerts of the last runs of \"watch\" are kept.", opts, 1, 1};
    const char *args[2];
    size_t n;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc == 0)
        rc = hf_alert_find(from, state, args[0], &doc, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_autobuf out = HF_BUF_INIT(4u << 20);
    why_text(hf_json_root(doc), &out);
    return hf_cli_print(&out, HF_EXIT_OK);
}

/* ---- except ---- */

static void date(int64_t s, struct hf_buf *out)
{
    hf_autobuf text = HF_BUF_INIT(64);
    hf_event_time((uint64_t)HF_MAX(s, 0) * 1000000000u, &text);
    hf_buf_adds(out, hf_span_sub(hf_buf_span(&text), 0, 10));
}

/* "30d", "never", a date. */
static int expiry(const char *text, int64_t now_s, struct hf_buf *out, struct hf_err *err)
{
    struct hf_span s = hf_span_z(text);
    uint64_t days;
    int64_t end;
    if (s.n > 1 && s.p[s.n - 1] == 'd' && hf_parse_u64(hf_span_sub(s, 0, s.n - 1), 10, 1, 3650, &days) == 0)
        date(now_s + (int64_t)days * 86400, out);
    else if (!strcmp(text, "never"))
        hf_buf_addz(out, text);
    else if (hf_except_date(s, &end) == 0 && end > now_s)
        hf_buf_addz(out, text);
    else if (hf_except_date(s, &end) == 0)
        return hf_fail(err, HF_E_USAGE, "--expires %s is over: the exception would never apply", text);
    else
        return hf_fail(err, HF_E_USAGE, "--expires takes days (30d, at most 3650d), a date (2026-12-31) or never, not \"%s\"", text);
    return 0;
}

/* A double-quoted scalar of YAML 1.2: the escapes of JSON. */
static void yaml_pair(struct hf_buf *b, const char *indent, const char *key, struct hf_span value)
{
    struct hf_jw w;
    if (!value.n)
        return;
    hf_buf_addf(b, "%s%s: ", indent, key);
    hf_jw_init(&w, b, false);
    hf_jw_str(&w, value);
    hf_buf_addc(b, '\n');
}

static void number_pair(struct hf_buf *b, const char *key, hf_jnode n)
{
    double v = 0;
    if (hf_jnum(n, &v) && v >= 1 && v <= 65535)
        hf_buf_addf(b, "  %s: %.0f\n", key, v);
}

/* Of what the event did: the part that an attacker would have to repeat. */
static void object_keys(hf_jnode a, struct hf_buf *b)
{
    struct hf_span type = hf_jgetstr(a, "event_type");
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)HF_MIN(type.n, sizeof name - 1), type.p ? type.p : "");
    hf_jnode own = hf_jget(a, name);
    bool server = hf_span_eqz(type, "accept") || hf_span_eqz(type, "listen") || hf_span_eqz(type, "bind");
    if (hf_span_eqz(type, "file") || hf_span_eqz(type, "module") || hf_span_eqz(type, "memory"))
        yaml_pair(b, "  ", "path", hf_jgetstr(own, "path"));
    else if (hf_span_eqz(type, "mount"))
        yaml_pair(b, "  ", "path", hf_jgetstr(own, "target"));
    else if (hf_span_eqz(type, "ptrace") || hf_span_eqz(type, "signal"))
        yaml_pair(b, "  ", "target", hf_jgetstr(hf_jget(own, "target"), "exe"));
    else if (server)
        number_pair(b, "port", hf_jget(own, "local_port"));
    else if (hf_jget(own, "peer_port")) {
        struct hf_span peer_name = hf_jgetstr(own, hf_jget(own, "direction") && hf_jget(own, "name") ? "name" : "peer_name");
        yaml_pair(b, "  ", peer_name.n ? "name" : "peer", peer_name.n ? peer_name : hf_jgetstr(own, "peer"));
        number_pair(b, "port", hf_jget(own, "peer_port"));
    }
}

static void exception_yaml(hf_jnode a, const char *owner, const char *why, struct hf_span expires, int64_t now_s, struct hf_buf *b)
{
    hf_jnode box = hf_jget(a, "container"), process = hf_jget(a, "process"), parent = hf_jfirst(hf_jget(process, "ancestors"));
    hf_autobuf args = HF_BUF_INIT(1u << 20), today = HF_BUF_INIT(64);
    struct hf_span image = hf_jgetstr(box, "image");
    char hash[65];
    args_of(process, &args);
    date(now_s, &today);
    yaml_pair(b, "- ", "exception", hf_jgetstr(a, "id"));
    yaml_pair(b, "  ", "rule", hf_jgetstr(a, "rule"));
    if (image.n)
        yaml_pair(b, "  ", "image", image);
    else
        yaml_pair(b, "  ", "container", box ? hf_jgetstr(box, "name") : HF_S("host"));
    yaml_pair(b, "  ", "exe", hf_jgetstr(process, "exe"));
    yaml_pair(b, "  ", "parent", hf_jgetstr(parent, "exe"));
    bool replaced = hf_span_search(hf_buf_span(&args), HF_S("\xef\xbf\xbd")) != SIZE_MAX; /* U+FFFD: not the bytes that they were */
    if (args.n && !replaced) {
        hf_except_hash(hf_buf_span(&args), hash);
        yaml_pair(b, "  ", "args_sha256", hf_span_z(hash));
        yaml_pair(b, "  ", "args", hf_span_sub(hf_buf_span(&args), 0, 1000));
    }
    object_keys(a, b);
    yaml_pair(b, "  ", "owner", hf_span_z(owner));
    yaml_pair(b, "  ", "why", hf_span_z(why));
    yaml_pair(b, "  ", "made", hf_buf_span(&today));
    yaml_pair(b, "  ", "expires", expires);
}

/* Behind what the file has; whole or not at all, and only when it is right before and after.  dry_run: only whether it would be. */
static int append(const char *file, struct hf_span entry, bool dry_run, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(2 * FILE_MAX);
    hf_cleanup(hf_excepts_freep) struct hf_excepts *x = NULL;
    struct stat st;
    int rc = 0;
    if (stat(file, &st) == 0)
        rc = hf_read_file(file, &text, err);
    else if (errno != ENOENT)
        rc = hf_fail(err, -errno, "%s: %s", file, strerror(errno));
    else
        hf_buf_addz(&text, "# Exceptions from rules; holdfast-rules(1).\n");
    if (rc == 0 && text.n && text.p[text.n - 1] != '\n')
        hf_buf_addc(&text, '\n');
    hf_buf_adds(&text, entry);
    rc = rc < 0 ? rc : hf_excepts_new(&x, err);
    rc = rc < 0 ? rc : hf_excepts_add(x, file, hf_buf_span(&text), err);
    if (rc < 0 || dry_run)
        return rc;
    struct hf_span dir = hf_span_dirname(hf_span_z(file));
    hf_autofree char *parent = dir.n ? hf_span_dupz(dir) : NULL;
    if (rc == 0 && parent)
        rc = hf_mkdirs(parent, 0755, err);
    return rc < 0 ? rc : hf_write_file(file, 0644, hf_buf_span(&text), err);
}

static const char *who(void)
{
    const char *sudo = getenv("SUDO_USER");
    struct passwd *pw = sudo && *sudo ? NULL : getpwuid(getuid());
    return sudo && *sudo ? sudo : pw ? pw->pw_name : "";
}

int hf_cmd_rules_except(int argc, char **argv)
{
    const char *from = NULL, *state = HF_STATE_DIR, *file = HF_EXCEPTIONS_DIR "/exceptions.yaml", *expires = "90d", *owner = NULL, *why = "";
    bool dry_run = false;
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"from", 0, HF_OPT_STR, &from, "FILE", NULL, 0, 0, "lines of \"watch --json\" (\"-\": standard input) instead of the kept alerts"},
            {"state", 0, HF_OPT_STR, &state, "DIR", NULL, 0, 0, "folder of the kept alerts (" HF_STATE_DIR ")"},
            {"exceptions", 0, HF_OPT_STR, &file, "FILE", NULL, 0, 0, "where it is written (" HF_EXCEPTIONS_DIR "/exceptions.yaml)"},
            {"expires", 0, HF_OPT_STR, &expires, "WHEN", NULL, 0, 0, "days (30d), a date or never (90d)"},
            {"owner", 0, HF_OPT_STR, &owner, "NAME", NULL, 0, 0, "who answers for it (you)"},
            {"why", 0, HF_OPT_STR, &why, "TEXT", NULL, 0, 0, "the reason"},
            {"dry-run", 'n', HF_OPT_FLAG, &dry_run, NULL, NULL, 0, 0, "print it, write nothing"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"rules except", "[options] ALERT-ID", "make the tightest exception that an alert falls under",
            "The rule, the image, the program, its parent, its arguments, and what it touched must all be the same again.", opts, 1, 1};
    const char *args[2];
    size_t n;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_autobuf until = HF_BUF_INIT(64), entry = HF_BUF_INIT(FILE_MAX);
    int64_t now_s = (int64_t)time(NULL);
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    rc = rc != 0 ? rc : expiry(expires, now_s, &until, &err);
    rc = rc != 0 ? rc : hf_alert_find(from, state, args[0], &doc, &err);
    if (rc == 0 && !hf_jget(hf_json_root(doc), "event_type"))
        rc = hf_fail(&err, HF_E_NOT_FOUND, "of alert %s only the sum is left; it does not say what happened", args[0]);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    exception_yaml(hf_json_root(doc), owner ? owner : who(), why, hf_buf_span(&until), now_s, &entry);
    rc = hf_buf_ok(&entry) ? append(file, hf_buf_span(&entry), dry_run, &err) : hf_fail(&err, HF_E_LIMIT, "the exception is too long");
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    printf("%s:\n", file);
    return hf_cli_print(&entry, HF_EXIT_OK);
}

/* ---- exceptions ---- */

static void key_text(const struct hf_except *e, struct hf_buf *b)
{
    const char *sep = "";
    for (unsigned i = 0; i < HF_EXCEPT_KEYS; i++) {
        if (!e->keys[i].n)
            continue;
        hf_buf_addf(b, "%s%s ", sep, i == HF_EXCEPT_ARGS ? "args" : hf_except_keys[i]);
        hf_buf_add_escaped(b, i == HF_EXCEPT_ARGS && e->args.n ? e->args : e->keys[i], 80);
        sep = ", ";
    }
    if (e->port)
        hf_buf_addf(b, "%sport %u", sep, e->port);
}

static void list_text(const struct hf_excepts *x, int64_t now_s, struct hf_buf *b)
{
    size_t expired = 0;
    for (size_t i = 0; i < hf_excepts_count(x); i++) {
        const struct hf_except *e = hf_excepts_at(x, i);
        bool gone = hf_except_expired(e, now_s);
        expired += gone;
        hf_buf_addf(b, "%-9s", gone ? "EXPIRED" : "applied");
        hf_buf_add_escaped(b, e->rule, 0);
        hf_buf_addz(b, "\n         ");
        key_text(e, b);
        hf_buf_addz(b, "\n         until ");
        hf_buf_add_escaped(b, e->expires.n ? e->expires : HF_S("never"), 0);
        if (e->owner.n) {
            hf_buf_addz(b, ", by ");
            hf_buf_add_escaped(b, e->owner, 0);
        }
        if (e->why.n) {
            hf_buf_addz(b, ": ");
            hf_buf_add_escaped(b, e->why, 0);
        }
        hf_buf_addz(b, "\n         ");
        hf_buf_add_escaped(b, e->file, 0);
        hf_buf_addf(b, ":%u\n", e->line);
    }
    hf_buf_addf(b, "%s%zu exceptions, %zu expired\n", hf_excepts_count(x) ? "\n" : "", hf_excepts_count(x), expired);
}

static void list_json(const struct hf_excepts *x, int64_t now_s, struct hf_buf *b)
{
    struct hf_jw w;
    hf_jw_init(&w, b, true);
    hf_jw_array(&w);
    for (size_t i = 0; i < hf_excepts_count(x); i++) {
        const struct hf_except *e = hf_excepts_at(x, i);
        hf_jw_object(&w);
        hf_jw_kstr_opt(&w, "exception", e->id);
        hf_jw_kstr(&w, "rule", e->rule);
        for (unsigned k = 0; k < HF_EXCEPT_KEYS; k++)
            hf_jw_kstr_opt(&w, hf_except_keys[k], e->keys[k]);
        if (e->port)
            hf_jw_ku64(&w, "port", e->port);
        hf_jw_kstr_opt(&w, "args", e->args);
        hf_jw_kstr_opt(&w, "owner", e->owner);
        hf_jw_kstr_opt(&w, "why", e->why);
        hf_jw_kstr_opt(&w, "made", e->made);
        hf_jw_kstr(&w, "expires", e->expires.n ? e->expires : HF_S("never"));
        hf_jw_kbool(&w, "expired", hf_except_expired(e, now_s));
        hf_jw_kstr(&w, "file", e->file);
        hf_jw_ku64(&w, "line", e->line);
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_buf_addc(b, '\n');
}

int hf_cmd_rules_exceptions(int argc, char **argv)
{
    bool json = false;
    struct hf_strs paths = {.n = 0};
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"exceptions", 0, HF_OPT_LIST, &paths, "PATH", NULL, 0, 0, "file of exceptions or folder of them (" HF_EXCEPTIONS_DIR "); can be repeated"},
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as JSON"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"rules exceptions", "[options]", "exceptions from rules, expired ones marked", NULL, opts, 0, 0};
    const char *args[1];
    size_t n;
    hf_cleanup(hf_excepts_freep) struct hf_excepts *x = NULL;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    rc = rc != 0 ? rc : hf_cli_excepts(&paths, &x, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_autobuf out = HF_BUF_INIT(32u << 20);
    if (json)
        list_json(x, (int64_t)time(NULL), &out);
    else
        list_text(x, (int64_t)time(NULL), &out);
    return hf_cli_print(&out, HF_EXIT_OK);
}
