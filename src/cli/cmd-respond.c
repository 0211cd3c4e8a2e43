// SPDX-License-Identifier: Apache-2.0
/* holdfast respond: what is done to a container, by hand. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/json.h"
#include "base/log.h"
#include "cli/state.h"
#include "cli/cli.h"
#include "cli/group.h"
#include "cli/respond-cli.h"
#include "respond/respond.h"

#define OUTPUT_MAX (1u << 20)

struct asked {
    struct hf_respond_opts o;
    const char *time; /* --for */
    bool json;
    uint64_t pid, start, packets, connections, bytes, per_minute;
    int direction;
    struct hf_strs allow;
    const char *incident, *store, *config; /* SNAPSHOT: whose evidence it is */
};
enum { DIRECTION_OUT, DIRECTION_IN, DIRECTION_BOTH };

/* "90", "15m", "2h", "1d" */
int hf_cli_for(const char *option, const char *text, uint64_t *ret, struct hf_err *err)
{
    static const struct {
        char unit;
        uint64_t s;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    struct hf_span s = hf_span_z(text);
    uint64_t n, unit = 1;
    for (size_t i = 0; s.n && i < HF_ARRAY_LEN(units); i++)
        if (s.p[s.n - 1] == units[i].unit) {
            unit = units[i].s;
            s.n--;
            break;
        }
    if (hf_parse_u64(s, 10, 1, HF_RESPOND_FOR_MAX_S, &n) < 0 || n * unit > HF_RESPOND_FOR_MAX_S)
        return hf_fail(err, HF_E_USAGE, "%s takes a time like 90s, 15m, 2h or 1d (30 days at most), not \"%.100s\"", option, text);
    *ret = n * unit;
    return 0;
}

static void show_json(const char *verb, const struct hf_target *t, const struct asked *a, const struct hf_respond_did *d, struct hf_buf *out)
{
    struct hf_jw w;
    struct hf_span rest = hf_buf_span(&d->effects), line;
    hf_jw_init(&w, out, true);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.respond/1");
    hf_jw_kstrz(&w, "action", verb);
    hf_jw_key(&w, "container");
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "id", t->id);
    hf_jw_kstrz(&w, "name", t->name);
    hf_jw_kstr_opt(&w, "image", hf_span_z(t->image));
    hf_jw_object_end(&w);
    hf_jw_kbool(&w, "dry_run", a->o.dry_run);
    hf_jw_kbool(&w, "changed", !a->o.dry_run && !d->nothing);
    hf_jw_kstr_opt(&w, "rung", hf_span_z(d->rung));
    for (unsigned i = 0; i < 2; i++) {
        const struct hf_buf *b = i ? &d->after : &d->before;
        if (!b->n)
            continue;
        hf_jw_key(&w, i ? "after" : "before");
        hf_buf_adds(out, hf_buf_span(b)); /* made by this program */
        w.after_key = false;
    }
    hf_jw_key(&w, "effects");
    hf_jw_array(&w);
    while (hf_span_line(&rest, &line))
        hf_jw_str(&w, line);
    hf_jw_array_end(&w);
    if (a->o.for_s)
        hf_jw_ku64(&w, "for_s", a->o.for_s);
    if (d->seq)
        hf_jw_ku64(&w, "seq", d->seq);
    hf_jw_kbool(&w, "logged", !a->o.dry_run && !d->not_logged && !d->nothing);
    hf_jw_object_end(&w);
    hf_buf_addc(out, '\n');
}

/* The flat object of an action's state: a switch by its name alone, anything else with its value. */
static void show_state(struct hf_span json, struct hf_buf *out)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    if (!json.n || hf_json_parse(json, &doc, NULL) < 0)
        return;
    const char *between = "  now: ";
    HF_JFOREACH(m, hf_json_root(doc)) {
        struct hf_span name = hf_jname(m), text = hf_jstr(m);
        double number;
        hf_buf_addf(out, "%s%s", between, hf_jis_bool(m) && !hf_jis_true(m) ? "not " : "");
        for (size_t i = 0; i < name.n; i++)
            hf_buf_addc(out, name.p[i] == '_' ? ' ' : name.p[i]);
        if (text.n) {
            hf_buf_addc(out, ' ');
            hf_buf_add_escaped(out, text, 0);
        } else if (hf_jnum(m, &number)) {
            hf_buf_addf(out, " %.0f", number);
        }
        between = ", ";
    }
    hf_buf_addc(out, '\n');
}

static void show_text(const char *verb, const struct hf_target *t, const struct asked *a, const struct hf_respond_did *d, struct hf_buf *out)
{
    struct hf_span rest = hf_buf_span(&d->effects), line;
    hf_buf_addf(out, "%s%s ", a->o.dry_run ? "would " : "", verb);
    hf_buf_add_escaped(out, hf_span_z(t->name), 64);
    hf_buf_addf(out, " (%.12s", t->id);
    if (t->image[0]) {
        hf_buf_addz(out, ", ");
        hf_buf_add_escaped(out, hf_span_z(t->image), 100);
    }
    hf_buf_addz(out, d->nothing ? "): nothing to undo\n" : "):\n");
    while (hf_span_line(&rest, &line)) {
        hf_buf_addz(out, "  ");
        hf_buf_add_escaped(out, line, 0);
        hf_buf_addc(out, '\n');
    }
    if (a->o.dry_run)
        return;
    show_state(hf_buf_span(&d->after), out);
    if (a->o.for_s)
        hf_buf_addf(out, "  undone in %llu s\n", (unsigned long long)a->o.for_s);
}

static int show(const char *verb, const struct hf_target *t, const struct asked *a, const struct hf_respond_did *d)
{
    hf_autobuf out = HF_BUF_INIT(OUTPUT_MAX);
    if (a->json)
        show_json(verb, t, a, d, &out);
    else
        show_text(verb, t, a, d, &out);
    if (d->not_logged)
        hf_log(HF_LOG_ERR, "not_logged", "the action was done, but the log of actions could not be written");
    return hf_cli_print(&out, d->not_logged ? HF_EXIT_INCOMPLETE : HF_EXIT_OK);
}

/* What the options mean together. */
static int settle(struct asked *a, enum hf_act act, struct hf_err *err)
{
    struct hf_gate_config *g = &a->o.gate;
    for (unsigned d = 0; d < HF_GATE_DIRECTIONS; d++) {
        if ((a->direction == DIRECTION_OUT && d == HF_GATE_IN) || (a->direction == DIRECTION_IN && d == HF_GATE_OUT))
            continue;
        g->rate[d][HF_GATE_PACKETS] = a->packets;
        g->rate[d][HF_GATE_CONNECTS] = a->connections;
        g->rate[d][HF_GATE_BYTES] = a->bytes;
    }
    if (a->allow.n > HF_GATE_ALLOW)
        return hf_fail(err, HF_E_USAGE, "at most %u addresses can be allowed", HF_GATE_ALLOW);
    for (size_t i = 0; i < a->allow.n; i++) {
        int rc = hf_gate_parse_allow(a->allow.v[i], &g->allow[g->n_allow], err);
        if (rc < 0)
            return rc;
        g->n_allow++;
    }
    a->o.pid = (pid_t)a->pid;
    a->o.pid_start = a->start;
    a->o.per_minute = (unsigned)a->per_minute;
    if (a->start && !a->pid)
        return hf_fail(err, HF_E_USAGE, "--start belongs to --pid");
    if (act == HF_ACT_LIMIT && !a->packets && !a->connections && !a->bytes)
        return hf_fail(err, HF_E_USAGE, "limit to what? --packets, --connections or --bytes, each a second");
    return a->time ? hf_cli_for("--for", a->time, &a->o.for_s, err) : 0;
}

/* Those of an action, behind each other in one table. */
static size_t options(struct asked *a, enum hf_act act, bool undo, struct hf_opt *out)
{
    size_t n = 0;
    if (!undo && act == HF_ACT_KILL) {
        out[n++] = (struct hf_opt){"pid", 0, HF_OPT_U64, &a->pid, "PID", NULL, 1, INT32_MAX, "only this process of it, by its number on the host"};
        out[n++] = (struct hf_opt){"start", 0, HF_OPT_U64, &a->start, "TICKS", NULL, 1, 0, "only if it is the process that started then (field 22 of /proc/PID/stat)"};
    }
    if (!undo && act == HF_ACT_ISOLATE)
        out[n++] = (struct hf_opt){"allow", 0, HF_OPT_LIST, &a->allow, "ADDR[:PORT]", NULL, 0, 0, "stays reachable; an address or a network, of IPv4 or IPv6; can be repeated"};
    if (!undo && act == HF_ACT_LIMIT) {
        out[n++] = (struct hf_opt){"packets", 0, HF_OPT_U64, &a->packets, "N", NULL, 1, 1000000000, "packets a second"};
        out[n++] = (struct hf_opt){"connections", 0, HF_OPT_U64, &a->connections, "N", NULL, 1, 1000000000, "new TCP connections a second"};
        out[n++] = (struct hf_opt){"bytes", 0, HF_OPT_SIZE, &a->bytes, "SIZE", NULL, 1, 1ull << 50, "bytes a second"};
        out[n++] = (struct hf_opt){"direction", 0, HF_OPT_ENUM, &a->direction, "WHICH", "out|in|both", 0, 0, "out of the container (usual), into it, or both"};
    }
    if (!undo && (act == HF_ACT_FREEZE || act == HF_ACT_ISOLATE || act == HF_ACT_LIMIT))
        out[n++] = (struct hf_opt){"for", 0, HF_OPT_STR, &a->time, "TIME", NULL, 0, 0, "undone after that time (90s, 15m, 2h, 1d), also when this command has long ended"};
    if (!undo && act == HF_ACT_SNAPSHOT) {
        out[n++] = (struct hf_opt){"output", 'o', HF_OPT_STR, &a->o.output, "FILE", NULL, 0, 0, "where to (made up below the state folder)"};
        out[n++] = (struct hf_opt){"freeze", 0, HF_OPT_FLAG, &a->o.freeze, NULL, NULL, 0, 0, "frozen while it is read, so that nothing changes meanwhile"};
        out[n++] = (struct hf_opt){"max-bytes", 0, HF_OPT_SIZE, &a->o.max_bytes, "SIZE", NULL, 1, 1ull << 40, "of changed files (256M); what is left out is named"};
        out[n++] = (struct hf_opt){"incident", 0, HF_OPT_STR, &a->incident, "ID", NULL, 0, 0, "add it to this incident as evidence, with its SHA-256"};
        out[n++] = (struct hf_opt){"store", 0, HF_OPT_STR, &a->store, "ADDRESS", NULL, 0, 0, "store of the incident instead of store.url of the settings"};
        out[n++] = (struct hf_opt){"config", 'c', HF_OPT_STR, &a->config, "FILE", NULL, 0, 0, "read this file instead of /etc/holdfast"};
    }
    out[n++] = (struct hf_opt){"why", 0, HF_OPT_STR, &a->o.why, "TEXT", NULL, 0, 0, "reason, for the log"};
    out[n++] = (struct hf_opt){"dry-run", 'n', HF_OPT_FLAG, &a->o.dry_run, NULL, NULL, 0, 0, "say what it would do, change nothing"};
    if (!undo) {
        out[n++] = (struct hf_opt){"force", 0, HF_OPT_FLAG, &a->o.force, NULL, NULL, 0, 0, "also what the safeguards refuse, and without a log"};
        out[n++] = (struct hf_opt){"per-minute", 0, HF_OPT_U64, &a->per_minute, "N", NULL, 1, 100000, "actions that may begin within a minute (10)"};
    }
    out[n++] = (struct hf_opt){"json", 0, HF_OPT_FLAG, &a->json, NULL, NULL, 0, 0, "as JSON"};
    out[n++] = (struct hf_opt){"state", 0, HF_OPT_STR, &a->o.state, "DIR", NULL, 0, 0, "folder of the state (" HF_STATE_DIR ")"};
    out[n] = (struct hf_opt){NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL};
    return n;
}

int hf_cli_expire(const char *state)
{
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_respond_expire(state, &err);
    if (rc < 0)
        hf_log(HF_LOG_WARNING, "expire", "an action whose time is over could not be undone: %s", err.msg);
    else if (rc > 0)
        hf_log(HF_LOG_NOTICE, "expire", "%d actions whose time was over were undone", rc);
    return rc;
}

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

/* A snapshot takes seconds, and what was frozen for it or begun is put right; the second time nobody waits for that. */
static void stop_by_signal(struct hf_respond_opts *o)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < HF_ARRAY_LEN(signals); i++)
        sigaction(signals[i], &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND}, NULL);
    o->stop = &stop;
}

static int act(const char *verb, const char *summary, enum hf_act what, bool undo, int argc, char **argv)
{
    hf_autofree struct asked *a = calloc(1, sizeof *a);
    hf_autofree struct hf_target *t = calloc(1, sizeof *t);
    struct hf_opt opts[16];
    char name[32];
    struct hf_err err = HF_ERR_INIT;
    const char *args[2];
    size_t n;
    if (!a || !t)
        return hf_cli_fail(&err, hf_fail(&err, -ENOMEM, "no memory"));
    a->o.state = HF_STATE_DIR;
    options(a, what, undo, opts);
    snprintf(name, sizeof name, "respond %s", verb);
    const struct hf_command cmd = {name, "[options] CONTAINER", summary, "CONTAINER is a name, or the beginning of an id. Needs root.", opts, 1, 1};
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : settle(a, what, &err);
    if (rc == 0 && geteuid() != 0)
        rc = hf_fail(&err, -EPERM, "this needs root: control groups and networks of containers belong to it; run it with sudo");
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (!a->o.dry_run)
        hf_cli_expire(a->o.state);
    rc = hf_target_find(args[0], t, &err);
    if (rc == 0 && a->incident) /* before the work: there may be no such incident */
        rc = hf_cli_evidence_of(a->incident, a->store, a->config, NULL, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (what == HF_ACT_SNAPSHOT && !undo)
        stop_by_signal(&a->o);
    struct hf_respond_did did;
    hf_respond_did_init(&did);
    rc = undo ? hf_respond_undo(what, t, &a->o, &did, &err) : hf_respond_do(what, t, &a->o, &did, &err);
    int code = rc < 0 ? hf_cli_fail(&err, rc) : show(verb, t, a, &did);
    if (rc >= 0 && a->incident && !a->o.dry_run && hf_cli_evidence_of(a->incident, a->store, a->config, &did.after, &err) < 0) {
        hf_log(HF_LOG_ERR, "evidence", "the snapshot is kept, but the incident does not have it: %s", err.msg);
        code = HF_EXIT_INCOMPLETE;
    }
    hf_respond_did_done(&did);
    return code;
}

static const struct acting {
    const char *name;
    const char *summary;
    enum hf_act act;
    bool undo;
} acts[] = {
        {"freeze", "stop all processes of a container where they are", HF_ACT_FREEZE, false},
        {"thaw", "let a frozen container go on", HF_ACT_FREEZE, true},
        {"kill", "end a container, or one process of it", HF_ACT_KILL, false},
        {"isolate", "cut a container off from the network", HF_ACT_ISOLATE, false},
        {"limit", "let only so many packets or connections a second out of or into a container", HF_ACT_LIMIT, false},
        {"release", "undo all that was done to a container", HF_ACTS, true},
        {"snapshot", "keep evidence of a container; snapshot verify FILE: is it what was kept", HF_ACT_SNAPSHOT, false},
};

static int run_act(int argc, char **argv)
{
    const struct acting *x = acts;
    while (strcmp(x->name, argv[0]) != 0) /* the group found it by this name */
        x++;
    if (x->act == HF_ACT_SNAPSHOT && argc >= 2 && !strcmp(argv[1], "verify"))
        return hf_cmd_respond_verify(argc - 1, argv + 1);
    return act(x->name, x->summary, x->act, x->undo, argc, argv);
}

int hf_cmd_respond(int argc, char **argv)
{
    struct hf_cli_command commands[HF_ARRAY_LEN(acts) + 2];
    size_t n = 0;
    for (; n < HF_ARRAY_LEN(acts); n++)
        commands[n] = (struct hf_cli_command){acts[n].name, run_act, acts[n].summary};
    commands[n++] = (struct hf_cli_command){"list", hf_cmd_respond_list, "what is in force, and what it dropped"};
    commands[n++] = (struct hf_cli_command){"log", hf_cmd_respond_log, "what was done, by whom and why; is the log whole"};
    return hf_cli_group("respond", "what is done to a container, by hand", commands, n, argc, argv);
}
