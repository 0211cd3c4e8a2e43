// SPDX-License-Identifier: Apache-2.0
#include "hand/ask.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "hand/hand.h"

/* Caps: a name of a person 128 bytes, a reason 1000, a reference of an image 512; a request HF_HAND_REQUEST_MAX. */
enum { BY_MAX = 128, WHY_MAX = 1000, REF_MAX = 512, MEMORY_MAX = 4 << 20, ACT_S = 120, SNAPSHOT_S = 900, SCAN_S = 3600, VERIFY_S = 6 * 3600, EXCEPT_S = 60, NOTIFY_S = 60 };

/* Every member that anything takes, and by what. */
enum { ACT = 1, SCAN = 2, EXCEPT = 4, PROTECT = 8, NOTIFY = 16, LIST = 32, VERIFY = 64, ALL = ACT | SCAN | EXCEPT | PROTECT | NOTIFY | LIST | VERIFY };
static const struct member {
    const char *name;
    unsigned of;
} members[] = {
        {"id", ALL}, {"do", ALL}, {"by", ALL}, {"via", ALL}, {"action", ACT}, {"container", ACT | VERIFY}, {"why", ACT | EXCEPT}, {"pid", ACT}, {"for", ACT},
        {"dry_run", ACT | EXCEPT}, {"force", ACT}, {"allow", ACT}, {"packets", ACT}, {"connections", ACT}, {"image", SCAN}, {"digest", SCAN},
        {"alert", EXCEPT}, {"expires", EXCEPT}, {"channel", NOTIFY},
};
/* What may be done, with the members that belong to it. */
static const struct action {
    const char *name;
    bool pid, time, allow, rates, undo;
} actions[] = {
        {"freeze", .time = true}, {"thaw", .undo = true}, {"kill", .pid = true}, {"isolate", .time = true, .allow = true},
        {"limit", .time = true, .rates = true}, {"release", .undo = true}, {"snapshot", .time = false},
};

struct reading {
    struct hf_hask *a;
    const struct hf_hask_place *place;
    hf_jnode root;
    struct hf_err *err;
};

void hf_hask_done(struct hf_hask *a)
{
    hf_arena_done(&a->arena);
}

/* A word of the command line, copied.  Without room the argument list stays short and the request is refused in the end. */
HF_PRINTF(2, 3) static int arg(struct reading *r, const char *fmt, ...)
{
    struct hf_span copy;
    char small[2048];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof small || r->a->argc + 1 >= HF_HASK_ARGS || hf_arena_dup(&r->a->arena, hf_span(small, (size_t)n), &copy) < 0)
        return hf_fail(r->err, HF_E_LIMIT, "the request is too long");
    r->a->argv[r->a->argc++] = copy.p;
    r->a->argv[r->a->argc] = NULL;
    return 0;
}

static bool of_chars(struct hf_span s, size_t min, size_t max, const char *chars)
{
    if (s.n < min || s.n > max)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!s.p[i] || !strchr(chars, s.p[i]))
            return false;
    return true;
}

#define DIGITS "0123456789"
#define HEX DIGITS "abcdef"
#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* A text for people: UTF-8 without control characters. */
static bool plain_text(struct hf_span s, size_t max)
{
    if (s.n > max || !hf_span_is_utf8(s))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

/* A string member; missing gives an empty span when it may be missing. */
static int text(struct reading *r, const char *name, bool required, struct hf_span *ret)
{
    hf_jnode n = hf_jget(r->root, name);
    struct hf_span s = hf_jstr(n);
    if (n && !hf_jis_str(n))
        return hf_fail(r->err, HF_E_USAGE, "\"%s\" is not a text", name);
    if (!s.n && required)
        return hf_fail(r->err, HF_E_USAGE, "\"%s\" is missing", name);
    return hf_arena_dup(&r->a->arena, s, ret) < 0 ? hf_fail(r->err, HF_E_LIMIT, "the request is too large") : 0;
}

static int people_text(struct reading *r, const char *name, bool required, size_t max, struct hf_span *ret)
{
    int rc = text(r, name, required, ret);
    if (rc == 0 && !plain_text(*ret, max))
        return hf_fail(r->err, HF_E_USAGE, "\"%s\" is over %zu bytes, or not plain text", name, max);
    return rc;
}

static int flag(struct reading *r, const char *name, bool *ret)
{
    hf_jnode n = hf_jget(r->root, name);
    double ignored;
    *ret = hf_jis_true(n);
    if (n && !*ret && (hf_jis_str(n) || hf_jis_object(n) || hf_jis_array(n) || hf_jnum(n, &ignored)))
        return hf_fail(r->err, HF_E_USAGE, "\"%s\" is neither true nor false", name);
    return 0;
}

/* A whole number from 1 to max; 0 when it is missing. */
static int number(struct reading *r, const char *name, uint64_t max, uint64_t *ret)
{
    hf_jnode n = hf_jget(r->root, name);
    double v = 0;
    *ret = 0;
    if (!n)
        return 0;
    if (!hf_jnum(n, &v) || !(v >= 1 && v <= (double)max) || v != (double)(uint64_t)v)
        return hf_fail(r->err, HF_E_USAGE, "\"%s\" is not a whole number from 1 to %llu", name, (unsigned long long)max);
    *ret = (uint64_t)v;
    return 0;
}

/* ---- act ---- */

static int act_allow(struct reading *r)
{
    hf_jnode list = hf_jget(r->root, "allow");
    unsigned count = 0;
    if (list && !hf_jis_array(list))
        return hf_fail(r->err, HF_E_USAGE, "\"allow\" is not a list");
    HF_JFOREACH(n, list) {
        struct hf_span s = hf_jstr(n); /* which addresses are good is for the command to say */
        if (!of_chars(s, 2, 64, HEX "ABCDEF.:/[]"))
            return hf_fail(r->err, HF_E_USAGE, "\"allow\" holds what is no address");
        if (++count > HF_HASK_ALLOW_MAX)
            return hf_fail(r->err, HF_E_LIMIT, "\"allow\" has more than %d addresses", HF_HASK_ALLOW_MAX);
        int rc = arg(r, "--allow=%.*s", HF_SPAN_ARG(s));
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int act_for(struct reading *r)
{
    struct hf_span s;
    int rc = text(r, "for", false, &s);
    if (rc < 0 || !s.n)
        return rc;
    if (!of_chars(hf_span_sub(s, 0, s.n - 1), 1, 9, DIGITS) || !of_chars(hf_span_from(s, s.n - 1), 1, 1, "smhd"))
        return hf_fail(r->err, HF_E_USAGE, "\"for\" is no time such as 15m");
    return arg(r, "--for=%.*s", HF_SPAN_ARG(s));
}

/* Members that do not go with this action. */
static int act_fits(struct reading *r, const struct action *x)
{
    const struct {
        const char *name;
        bool fits;
    } all[] = {{"pid", x->pid}, {"for", x->time}, {"allow", x->allow}, {"packets", x->rates}, {"connections", x->rates}, {"force", !x->undo}};
    for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
        if (!all[i].fits && hf_jget(r->root, all[i].name))
            return hf_fail(r->err, HF_E_USAGE, "\"%s\" does not go with %s", all[i].name, x->name);
    return 0;
}

static int act_reason(struct reading *r)
{
    struct hf_span why;
    int rc = people_text(r, "why", false, WHY_MAX, &why);
    return rc < 0 ? rc : arg(r, "--why=%.*s via %.*s%s%.*s", HF_SPAN_ARG(r->a->by), HF_SPAN_ARG(r->a->via), why.n ? ": " : "", HF_SPAN_ARG(why));
}

static int act(struct reading *r)
{
    size_t which = 0;
    uint64_t pid, packets, connections;
    bool force;
    int rc = text(r, "action", true, &r->a->what);
    rc = rc < 0 ? rc : text(r, "container", true, &r->a->on);
    while (rc == 0 && which < HF_ARRAY_LEN(actions) && !hf_span_eqz(r->a->what, actions[which].name))
        which++;
    if (rc == 0 && which == HF_ARRAY_LEN(actions))
        return hf_fail(r->err, HF_E_USAGE, "\"action\" is none of freeze, thaw, kill, isolate, limit, release and snapshot");
    if (rc == 0 && !of_chars(r->a->on, 64, 64, HEX))
        return hf_fail(r->err, HF_E_USAGE, "\"container\" is no id of 64 hexadecimal digits");
    const struct action *x = &actions[which];
    rc = rc < 0 ? rc : act_fits(r, x);
    rc = rc < 0 ? rc : flag(r, "dry_run", &r->a->dry_run);
    rc = rc < 0 ? rc : flag(r, "force", &force);
    rc = rc < 0 ? rc : number(r, "pid", INT32_MAX, &pid);
    rc = rc < 0 ? rc : number(r, "packets", 1000000000, &packets);
    rc = rc < 0 ? rc : number(r, "connections", 1000000000, &connections);
    if (rc == 0 && force && !r->place->force)
        return hf_fail(r->err, -EPERM, "what safeguards refuse can only be forced at this machine: holdfast respond %s --force", x->name);
    if (rc == 0 && x->rates && !packets && !connections)
        return hf_fail(r->err, HF_E_USAGE, "limit needs \"packets\" or \"connections\"");
    r->a->timeout_s = hf_span_eqz(r->a->what, "snapshot") ? SNAPSHOT_S : ACT_S;
    rc = rc < 0 ? rc : arg(r, "respond");
    rc = rc < 0 ? rc : arg(r, "%s", x->name);
    rc = rc < 0 ? rc : arg(r, "--json");
    rc = rc < 0 ? rc : arg(r, "--state=%s", r->place->state);
    rc = rc < 0 ? rc : act_reason(r);
    rc = rc < 0 || !r->a->dry_run ? rc : arg(r, "--dry-run");
    rc = rc < 0 || !force ? rc : arg(r, "--force");
    rc = rc < 0 || !pid ? rc : arg(r, "--pid=%llu", (unsigned long long)pid);
    rc = rc < 0 || !packets ? rc : arg(r, "--packets=%llu", (unsigned long long)packets);
    rc = rc < 0 || !connections ? rc : arg(r, "--connections=%llu", (unsigned long long)connections);
    rc = rc < 0 ? rc : act_for(r);
    rc = rc < 0 ? rc : act_allow(r);
    rc = rc < 0 ? rc : arg(r, "--");
    return rc < 0 ? rc : arg(r, "%.*s", HF_SPAN_ARG(r->a->on));
}

/* ---- scan ---- */

/* A reference of an image, as it is taken behind "image:": never a path (no "/" or "." in front), never an option. */
static bool is_reference(struct hf_span s)
{
    return of_chars(s, 1, REF_MAX, LETTERS UPPER DIGITS "._/:@-") && of_chars(hf_span_sub(s, 0, 1), 1, 1, LETTERS UPPER DIGITS) && hf_span_search(s, HF_S("..")) == SIZE_MAX &&
            hf_span_search(s, HF_S("//")) == SIZE_MAX;
}

static int scan(struct reading *r)
{
    struct hf_span image, digest, id;
    int rc = text(r, "image", true, &image);
    rc = rc < 0 ? rc : text(r, "digest", false, &digest);
    if (rc < 0)
        return rc;
    if (digest.n && !(hf_span_starts(digest, HF_S("sha256:")) && of_chars(hf_span_from(digest, 7), 64, 64, HEX)))
        return hf_fail(r->err, HF_E_USAGE, "\"digest\" is not sha256: and 64 hexadecimal digits");
    bool box = hf_span_starts(image, HF_S("container:"));
    id = hf_span_from(image, 10);
    if (box ? !of_chars(id, 64, 64, HEX) : !is_reference(image))
        return hf_fail(r->err, HF_E_USAGE, "\"image\" is neither a reference of an image nor \"container:\" and an id");
    r->a->what = HF_S("scan");
    r->a->on = image;
    r->a->timeout_s = SCAN_S;
    rc = arg(r, "scan");
    rc = rc < 0 ? rc : arg(r, "--format=json");
    rc = rc < 0 ? rc : arg(r, "--quiet");
    rc = rc < 0 ? rc : arg(r, "--jobs=1");
    rc = rc < 0 ? rc : arg(r, "--db=%s", r->place->db);
    rc = rc < 0 ? rc : arg(r, "--state=%s", r->place->state);
    rc = rc < 0 || !r->place->cache ? rc : arg(r, "--cache-dir=%s", r->place->cache);
    rc = rc < 0 || !r->place->ignore ? rc : arg(r, "--ignore-file=%s", r->place->ignore);
    rc = rc < 0 ? rc : arg(r, "--");
    return rc < 0 ? rc : arg(r, "%s%.*s", box ? "" : "image:", HF_SPAN_ARG(image));
}

/* ---- verify ---- */

static int verify(struct reading *r)
{
    struct hf_span rest = hf_span_z(r->place->verify_ignore ? r->place->verify_ignore : ""), pattern;
    unsigned n = 0;
    int rc = text(r, "container", true, &r->a->on);
    if (rc == 0 && !of_chars(r->a->on, 64, 64, HEX))
        return hf_fail(r->err, HF_E_USAGE, "\"container\" is no id of 64 hexadecimal digits");
    r->a->what = HF_S("verify");
    r->a->timeout_s = VERIFY_S;
    rc = rc < 0 ? rc : arg(r, "seal");
    rc = rc < 0 ? rc : arg(r, "verify");
    rc = rc < 0 ? rc : arg(r, "--json");
    rc = rc < 0 ? rc : arg(r, "--idle");
    rc = rc < 0 ? rc : arg(r, "--state=%s", r->place->state);
    while (rc == 0 && hf_span_cut(&rest, ' ', &pattern))
        if (pattern.n)
            rc = ++n > HF_HASK_IGNORE_MAX ? hf_fail(r->err, HF_E_LIMIT, "daemon.verify_ignore has more than %d patterns", HF_HASK_IGNORE_MAX) : arg(r, "--ignore=%.*s", HF_SPAN_ARG(pattern));
    rc = rc < 0 ? rc : arg(r, "--");
    return rc < 0 ? rc : arg(r, "container:%.*s", HF_SPAN_ARG(r->a->on));
}

/* ---- except ---- */

static bool is_expiry(struct hf_span s)
{
    if (hf_span_eqz(s, "never") || (s.n > 1 && s.p[s.n - 1] == 'd' && of_chars(hf_span_sub(s, 0, s.n - 1), 1, 4, DIGITS)))
        return true;
    return s.n == 10 && s.p[4] == '-' && s.p[7] == '-' && of_chars(s, 10, 10, DIGITS "-");
}

static int except(struct reading *r)
{
    struct hf_span why, expires;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *alert = NULL;
    int rc = text(r, "alert", true, &r->a->input);
    rc = rc < 0 ? rc : people_text(r, "why", true, WHY_MAX, &why);
    rc = rc < 0 ? rc : text(r, "expires", false, &expires);
    rc = rc < 0 ? rc : flag(r, "dry_run", &r->a->dry_run);
    if (rc < 0)
        return rc;
    if (!r->place->exceptions)
        return hf_fail(r->err, HF_E_UNSUPPORTED, "no exceptions are made here: daemon.exceptions is empty");
    if (expires.n && !is_expiry(expires))
        return hf_fail(r->err, HF_E_USAGE, "\"expires\" is no date, number of days (30d) or \"never\"");
    if (memchr(r->a->input.p, '\n', r->a->input.n) || hf_json_parse_within(r->a->input, MEMORY_MAX, &alert, r->err) < 0)
        return hf_fail(r->err, HF_E_USAGE, "\"alert\" is not a line of \"watch --json\"");
    if (hf_arena_dup(&r->a->arena, hf_jgetstr(hf_json_root(alert), "id"), &r->a->on) < 0 || !of_chars(r->a->on, 10, 64, LETTERS UPPER DIGITS "-") || r->a->on.p[0] == '-')
        return hf_fail(r->err, HF_E_USAGE, "\"alert\" has no id");
    r->a->what = HF_S("except");
    r->a->timeout_s = EXCEPT_S;
    rc = arg(r, "rules");
    rc = rc < 0 ? rc : arg(r, "except");
    rc = rc < 0 ? rc : arg(r, "--from=-");
    rc = rc < 0 ? rc : arg(r, "--exceptions=%s", r->place->exceptions);
    rc = rc < 0 ? rc : arg(r, "--owner=%.*s", HF_SPAN_ARG(r->a->by));
    rc = rc < 0 ? rc : arg(r, "--why=%.*s", HF_SPAN_ARG(why));
    rc = rc < 0 || !expires.n ? rc : arg(r, "--expires=%.*s", HF_SPAN_ARG(expires));
    rc = rc < 0 || !r->a->dry_run ? rc : arg(r, "--dry-run");
    rc = rc < 0 ? rc : arg(r, "--");
    return rc < 0 ? rc : arg(r, "%.*s", HF_SPAN_ARG(r->a->on));
}

/* Commands that say what is kept where only root reads: "NAME --json --state=...". */
static int kept(struct reading *r)
{
    static const struct {
        const char *what, *command, *word;
    } commands[] = {{"protect", "protect", "status"}, {"list", "respond", "list"}, {"inuse", "inuse", NULL}, {"seals", "seal", "list"}};
    struct hf_span what = hf_jgetstr(r->root, "do");
    size_t i = 0;
    while (i + 1 < HF_ARRAY_LEN(commands) && !hf_span_eqz(what, commands[i].what))
        i++;
    r->a->what = hf_span_z(commands[i].what);
    r->a->timeout_s = EXCEPT_S;
    int rc = arg(r, "%s", commands[i].command);
    rc = rc < 0 || !commands[i].word ? rc : arg(r, "%s", commands[i].word);
    rc = rc < 0 ? rc : arg(r, "--json");
    return rc < 0 ? rc : arg(r, "--state=%s", r->place->state);
}

static int notify_test(struct reading *r)
{
    r->a->what = HF_S("notify.test");
    r->a->timeout_s = NOTIFY_S;
    return people_text(r, "channel", true, BY_MAX, &r->a->on);
}

/* ---- the whole ---- */

static int check_members(struct reading *r, unsigned kind)
{
    uint32_t seen = 0;
    HF_JFOREACH(n, r->root) {
        struct hf_span name = hf_jname(n);
        size_t i = 0;
        while (i < HF_ARRAY_LEN(members) && !hf_span_eqz(name, members[i].name))
            i++;
        if (i == HF_ARRAY_LEN(members) || !(members[i].of & kind))
            return hf_fail(r->err, HF_E_USAGE, "\"%.*s\" is not taken", (int)HF_MIN(name.n, (size_t)40), name.p ? name.p : "");
        if (seen >> i & 1)
            return hf_fail(r->err, HF_E_USAGE, "\"%s\" occurs twice", members[i].name);
        seen |= 1u << i;
    }
    return 0;
}

int hf_hask_read(struct hf_hask *ret, struct hf_span json, const struct hf_hask_place *place, struct hf_err *err)
{
    static const struct {
        const char *name;
        unsigned members;
        enum hf_hask_kind kind;
        int (*read)(struct reading *r);
    } kinds[] = {
            {"act", ACT, HF_HASK_ACT, act}, {"scan", SCAN, HF_HASK_SCAN, scan}, {"verify", VERIFY, HF_HASK_VERIFY, verify}, {"except", EXCEPT, HF_HASK_EXCEPT, except},
            {"protect", PROTECT, HF_HASK_PROTECT, kept}, {"list", LIST, HF_HASK_LIST, kept}, {"inuse", LIST, HF_HASK_LIST, kept}, {"seals", LIST, HF_HASK_LIST, kept}, {"notify.test", NOTIFY, HF_HASK_NOTIFY_TEST, notify_test},
    };
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct reading r = {.a = ret, .place = place, .err = err};
    double id = 0;
    *ret = (struct hf_hask){.argc = 0};
    hf_arena_init(&ret->arena, MEMORY_MAX);
    if (json.n > HF_HAND_REQUEST_MAX)
        return hf_fail(err, HF_E_LIMIT, "a request is at most %d bytes", HF_HAND_REQUEST_MAX);
    int rc = hf_json_parse_within(json, MEMORY_MAX, &doc, err);
    if (rc < 0)
        return rc;
    r.root = hf_json_root(doc);
    if (!hf_jis_object(r.root) || !hf_jnum(hf_jget(r.root, "id"), &id) || !(id >= 1 && id <= 9007199254740991.0) || id != (double)(uint64_t)id)
        return hf_fail(err, HF_E_USAGE, "\"id\" is no number of a request");
    ret->id = (uint64_t)id;
    struct hf_span what = hf_jgetstr(r.root, "do");
    size_t k = 0;
    while (k < HF_ARRAY_LEN(kinds) && !hf_span_eqz(what, kinds[k].name))
        k++;
    if (k == HF_ARRAY_LEN(kinds))
        return hf_fail(err, HF_E_USAGE, "\"do\" is none of act, scan, except, protect, list, inuse, seals and notify.test");
    ret->kind = kinds[k].kind;
    rc = check_members(&r, kinds[k].members);
    rc = rc < 0 ? rc : people_text(&r, "by", kinds[k].kind == HF_HASK_ACT || kinds[k].kind == HF_HASK_EXCEPT, BY_MAX, &ret->by);
    rc = rc < 0 ? rc : text(&r, "via", kinds[k].kind == HF_HASK_ACT || kinds[k].kind == HF_HASK_EXCEPT, &ret->via);
    if (rc == 0 && ret->via.n && !of_chars(ret->via, 1, 24, LETTERS))
        return hf_fail(err, HF_E_USAGE, "\"via\" is not a small word");
    return rc < 0 ? rc : kinds[k].read(&r);
}
