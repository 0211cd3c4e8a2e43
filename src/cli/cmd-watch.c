// SPDX-License-Identifier: Apache-2.0
/* holdfast watch: live events of containers, and alerts of rules; holdfast sensor: what this kernel lets it see. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/json.h"
#include "base/log.h"
#include "base/resident.h"
#include "cli/cli.h"
#include "cli/state.h"
#include "cli/reload.h"
#include "cli/respond-cli.h"
#include "cli/rule-files.h"
#include "cli/rules-cli.h"
#include "cli/watch.h"
#include "cli/watch-respond.h"
#include "detect/demand.h"
#include "cli/policy-cli.h"
#include "event/alert-log.h"
#include "guard/guard.h"
#include "protect/protect.h"
#include "sensor/files/watch.h"
#include "sensor/sensor.h"

#define AHEAD (-10) /* nice of the engine, as of the others */
#define EXECUTOR_END_MS 12000u
#define NEEDING_SHOWN 4u /* names of rules in a line of text */
#define READ_ONLY_DEPTH 4u /* levels of folders below one that a policy calls read-only, in which writes are counted */

static volatile int stop;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

static int engine_code(int rc, const struct hf_err *err)
{
    if (rc == HF_E_INCOMPLETE) {
        hf_log(HF_LOG_WARNING, "incomplete", "%s", err->msg);
        return HF_EXIT_INCOMPLETE;
    }
    return rc < 0 ? hf_cli_fail(err, rc) : HF_EXIT_OK;
}

/* For the unprivileged side, which cannot open files.  Recordings hold command lines as they were: for root alone. */
static int open_record(const char *path, int *ret, struct hf_err *err)
{
    struct stat st;
    hf_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &st) < 0)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    if (S_ISREG(st.st_mode) && st.st_size) /* perhaps the only witness of another night */
        return hf_fail(err, -EEXIST, "%s is there already and not empty; record into another file, or remove it first", path);
    *ret = fd;
    fd = -1;
    return 0;
}

/* From a file ("-": standard input) instead of the kernel. */
static int replay(struct hf_watch_opts *o, const char *path, struct hf_err *err)
{
    hf_autoclose int fd = -1;
    bool is_stdin = !strcmp(path, "-");
    if (!is_stdin && (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return hf_cli_fail(err, hf_fail(err, -errno, "%s: %s", path, strerror(errno)));
    int rc = hf_watch_replay(o, is_stdin ? STDIN_FILENO : fd, err);
    return engine_code(rc < 0 ? hf_wrap(err, rc, "%s", path) : rc, err);
}

struct named {
    struct hf_strs rules, exceptions, types, policies;
    volatile int *leaving; /* shared with the guard: an orderly end */
    struct hf_prot_set *prot; /* of --policy */
    const char *record, *replay, *state, *budget;
    const char *respond_for;
    bool no_rules, no_guard, respond;
};

static _Noreturn void engine(struct hf_watch_opts *o, int fd, struct hf_err *err)
{
    signal(SIGINT, SIG_IGN); /* ends when the sensor has said its last */
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    (void)setpriority(PRIO_PROCESS, 0, AHEAD); /* while it waits for a processor, what is critical overtakes what would explain it */
    int code = engine_code(hf_watch_engine(o, fd, err), err);
    fflush(stdout);
    _exit(code);
}

/* The third process: what it does not start with, it goes without; the others go on. */
static pid_t start_guard(const struct hf_watch_opts *o, const struct named *named, pid_t engine_pid, int *ret_fd)
{
    *ret_fd = -1;
    int pair[2];
    pid_t self = getpid();
    if (named->no_guard || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return 0;
    pid_t child = fork();
    if (child == 0) {
        struct hf_err err = HF_ERR_INIT;
        hf_cleanup(hf_guard_freep) struct hf_guard *g = NULL;
        struct hf_guard_opts opts = {.fd = pair[1], .state_dir = named->state, .sensor_pid = (uint32_t)self, .engine_pid = (uint32_t)engine_pid, .stop = &stop, .no_sandbox = o->no_sandbox};
        signal(SIGINT, SIG_IGN); /* ends when the sensor is gone */
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        prctl(PR_SET_NAME, "holdfast-guard");
        close(pair[0]);
        hf_cleanup(hf_protect_freep) struct hf_protect *protect = NULL;
        struct hf_protect_opts popts = {.policies = named->prot, .state_dir = named->state, .leaving = named->leaving};
        int rc = hf_guard_new(&g, &opts, &err);
        rc = rc < 0 || !named->prot ? rc : hf_protect_new(&protect, &popts, &err);
        rc = rc < 0 || !named->prot ? rc : hf_protect_add(protect, g, &err);
        rc = rc < 0 ? rc : hf_guard_run(g, &err);
        if (rc < 0)
            hf_log(HF_LOG_WARNING, "guard", "programs are not held against the seals of their images%s: %s", named->prot ? ", and policies are not in force" : "", err.msg);
        hf_guard_freep(&g);
        _exit(rc < 0 ? HF_EXIT_FAILED : 0);
    }
    close(pair[1]);
    if (child < 0)
        close(pair[0]);
    else
        *ret_fd = pair[0];
    return child > 0 ? child : 0;
}

static bool any_read_only(const struct hf_prot_set *set)
{
    for (size_t i = 0; set && i < hf_prot_count(set); i++)
        if (hf_prot_at(set, i)->clauses >> HF_CLAUSE_READ_ONLY & 1)
            return true;
    return false;
}

/* The privileged side until it ends. */
static int sensor(struct hf_watch_opts *o, const struct named *named, int fd, int reload_fd, pid_t child, struct hf_err *err)
{
    int guard_fd;
    pid_t guard_pid = start_guard(o, named, child, &guard_fd);
    struct hf_reload reload = {.rules = &named->rules, .exceptions = &named->exceptions, .fd = reload_fd, .stop = &stop};
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    struct hf_sensor_opts s = {.out_fd = fd, .peer_pid = (uint32_t)child, .guard_fd = guard_fd, .guard_pid = (uint32_t)guard_pid, .guard_first = named->prot != NULL, .guard_files = any_read_only(named->prot), .host = o->host, .stop = &stop};
    int rc = o->rules ? hf_reload_start(&reload, err) : 0;
    if (rc == 0) {
        s.watch = hf_take(o->watch);
        rc = hf_sensor_run(&s, err);
    }
    close(fd);
    if (named->leaving)
        *named->leaving = 1;
    hf_closep(&guard_fd);
    while (guard_pid > 0 && waitpid(guard_pid, NULL, 0) < 0 && errno == EINTR)
        ;
    hf_reload_end(&reload);
    return rc;
}

static int run(struct hf_watch_opts *o, const struct named *named, struct hf_err *err)
{
    int pair[2], control[2], status = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
        return hf_cli_fail(err, hf_fail(err, -errno, "no socket between sensor and engine"));
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        return hf_cli_fail(err, hf_fail(err, -errno, "no process for the engine"));
    if (child > 0 && o->respond_fd >= 0)
        close(o->respond_fd); /* the engine's alone: with it the executor ends */
    if (child == 0) {
        close(pair[0]);
        close(control[0]);
        o->reload_fd = control[1];
        engine(o, pair[1], err);
    }
    close(pair[1]);
    close(control[1]);
    int rc = sensor(o, named, pair[0], control[0], child, err);
    if (rc < 0) {
        kill(child, SIGKILL); /* there is nothing to tell: the reason is told here */
        waitpid(child, &status, 0);
        return hf_cli_fail(err, rc);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return hf_cli_fail(err, hf_fail(err, -ECHILD, "the engine was killed by signal %d; events since then are not known", WTERMSIG(status)));
}

/* Files that the rules name are watched from the start. */
static int files_of_rules(struct hf_watch_opts *o, struct hf_err *err)
{
    struct hf_rule_files f = {.add = true};
    int rc = hf_watch_list_new(&f.list, err);
    rc = rc < 0 ? rc : hf_rule_files(o->rules, &f, err);
    o->watch = f.list;
    if (rc == 0 && f.left)
        hf_log(HF_LOG_WARNING, "rule_files", "the rules name %zu paths more than the %u that are watched for their sake", f.left, HF_RULE_FILES_MAX);
    hf_buf_done(&f.names);
    return rc;
}

/* Files that a policy calls read-only are watched too, so that what is written there is counted.  A row of the table has no "**" in its middle. */
static int files_of_policies(struct hf_watch_opts *o, const struct hf_prot_set *set, struct hf_err *err)
{
    int rc = 0;
    for (size_t i = 0; set && rc == 0 && i < hf_prot_count(set); i++) {
        const struct hf_prot_spans *paths = &hf_prot_at(set, i)->allow[HF_CLAUSE_READ_ONLY];
        for (size_t k = 0; rc == 0 && k < paths->n; k++) {
            struct hf_span p = hf_span_ends(paths->v[k], HF_S("/**")) ? hf_span_sub(paths->v[k], 0, paths->v[k].n - 2) : paths->v[k];
            rc = o->watch ? 0 : hf_watch_list_new(&o->watch, err);
            if (rc == 0 && hf_span_search(p, HF_S("**")) == SIZE_MAX)
                rc = hf_watch_add(o->watch, p, HF_W_WRITE | HF_W_NAMES | HF_W_ATTR, HF_W_CONTAINER, READ_ONLY_DEPTH, err);
        }
    }
    return rc;
}

/* What is over is undone at every start; with --respond, who acts for rules is started before anything hostile is read. */
static int respond(struct hf_watch_opts *o, const struct named *named, pid_t *ret_executor, struct hf_err *err)
{
    struct hf_watch_respond_opts r = {.state = named->state};
    hf_cli_expire(named->state);
    int rc = named->respond && named->respond_for ? hf_cli_for("--respond-for", named->respond_for, &r.for_s, err) : 0;
    return rc < 0 || !named->respond ? rc : hf_watch_executor(&r, ret_executor, &o->respond_fd, err);
}

static int start(struct hf_watch_opts *o, const struct named *named, struct hf_err *err)
{
    hf_autoclose int record = -1;
    struct hf_alert_log log = HF_ALERT_LOG_INIT;
    hf_resident_begin();
    int rc = named->no_rules ? 0 : hf_cli_excepts(&named->exceptions, &o->excepts, err);
    if (rc < 0)
        return hf_cli_fail(err, rc);
    rc = named->no_rules ? 0 : hf_cli_rules(&named->rules, &o->rules, err);
    if (rc < 0)
        return hf_cli_fail(err, rc);
    rc = hf_watch_filter_rules(&o->filter, o->rules, err);
    if (rc < 0) {
        hf_rules_free(o->rules);
        hf_excepts_free(o->excepts);
        return hf_cli_fail(err, rc);
    }
    o->colour = !o->json && isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    if (named->replay)
        return replay(o, named->replay, err);
    if (geteuid() != 0)
        rc = hf_fail(err, -EPERM, "watching needs root: the kernel shows other processes to nobody else; run it with sudo");
    else if (named->record)
        rc = open_record(named->record, &record, err);
    o->record_fd = record;
    o->goes_on = named->prot || named->respond || record >= 0;
    hf_autoclose int lock = -1; /* as long as this process, or the guard */
    if (rc == 0 && named->prot && !named->no_guard)
        rc = lock = hf_protect_lock(named->state, err);
    rc = HF_MIN(rc, 0);
    if (rc == 0 && o->rules)
        rc = files_of_rules(o, err);
    if (rc == 0)
        rc = files_of_policies(o, named->prot, err);
    if (rc == 0 && o->rules) {
        struct hf_err why = HF_ERR_INIT;
        if (hf_alert_log_open(&log, named->state, &why) < 0)
            hf_log(HF_LOG_WARNING, "alert_log", "alerts are not kept for \"rules why\": %s", why.msg);
        else
            o->log = &log;
    }
    pid_t executor = 0;
    if (rc == 0)
        rc = respond(o, named, &executor, err);
    rc = rc < 0 ? hf_cli_fail(err, rc) : run(o, named, err);
    for (unsigned i = 0; executor > 0 && waitpid(executor, NULL, WNOHANG) == 0; i++) { /* ends with the engine, when it has done what it is at */
        if (i == EXECUTOR_END_MS / 10)
            kill(executor, SIGKILL);
        usleep(10000);
    }
    hf_watch_list_free(o->watch); /* NULL when the sensor took it */
    hf_alert_log_close(&log);
    hf_rules_free(o->rules);
    hf_excepts_free(o->excepts);
    return rc;
}

/* "1", "0.5", "12.25" */
static int budget(const char *text, double *ret_ns, struct hf_err *err)
{
    struct hf_span rest = hf_span_z(text ? text : "1"), whole;
    uint64_t n = 0, hundredths = 0;
    bool good = hf_span_cut(&rest, '.', &whole) && hf_parse_u64(whole, 10, 0, 10000, &n) == 0 && rest.n <= 2 && (!rest.n || hf_parse_u64(rest, 10, 0, 99, &hundredths) == 0);
    if (!good)
        return hf_fail(err, HF_E_USAGE, "--budget takes percent of one core, like 1 or 0.5, not \"%.100s\"", text);
    hundredths *= rest.n == 1 ? 10 : 1;
    *ret_ns = (double)(n * 100 + hundredths) * 100000;
    return 0;
}

/* Of --policy. */
static int policies(struct named *named, struct hf_prot_set **ret, struct hf_err *err)
{
    if (!named->policies.n)
        return 0;
    if (named->no_guard || named->replay)
        return hf_fail(err, HF_E_USAGE, "--policy needs the guard and the kernel: not with --no-guard or --replay");
    named->leaving = mmap(NULL, sizeof *named->leaving, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (named->leaving == MAP_FAILED)
        return hf_fail(err, -ENOMEM, "no memory");
    int rc = hf_cli_policies(named->policies.v, named->policies.n, ret, err);
    if (rc >= 0 && !hf_prot_count(*ret))
        return hf_fail(err, HF_E_USAGE, "--policy %.200s: no policy is in it", named->policies.v[0]);
    named->prot = *ret;
    return rc;
}

int hf_cmd_watch(int argc, char **argv)
{
    struct hf_watch_opts o = {.record_fd = -1, .reload_fd = -1, .respond_fd = -1};
    struct named named = {.state = HF_STATE_DIR};
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"rules", 'r', HF_OPT_LIST, &named.rules, "PATH", NULL, 0, 0, "rule file or folder of them (Falco's language); can be repeated"},
            {"no-rules", 0, HF_OPT_FLAG, &named.no_rules, NULL, NULL, 0, 0, "no rules at all, instead of those that come with holdfast"},
            {"exceptions", 0, HF_OPT_LIST, &named.exceptions, "PATH", NULL, 0, 0, "exceptions from rules, file or folder (" HF_EXCEPTIONS_DIR "); can be repeated"},
            {"container", 0, HF_OPT_STR, &o.container, "NAME", NULL, 0, 0, "only this container (name, or beginning of its id)"},
            {"image", 0, HF_OPT_STR, &o.filter.image, "PATTERN", NULL, 0, 0, "only containers of such images, * is anything"},
            {"type", 0, HF_OPT_LIST, &named.types, "TYPE[,TYPE]", NULL, 0, 0, "only events of these types, as in --json; alerts all the same"},
            {"severity", 0, HF_OPT_ENUM, &o.filter.severity, "MIN", "debug|info|notice|low|medium|high|critical", 0, 0, "only alerts of at least this severity"},
            {"rule", 0, HF_OPT_LIST, &o.filter.rules, "NAME", NULL, 0, 0, "only alerts of this rule; can be repeated"},
            {"host", 0, HF_OPT_FLAG, &o.host, NULL, NULL, 0, 0, "also what happens outside containers"},
            {"alerts-only", 0, HF_OPT_FLAG, &o.alerts_only, NULL, NULL, 0, 0, "alerts of rules, not the events"},
            {"map", 0, HF_OPT_FLAG, &o.map, NULL, NULL, 0, 0, "instead of events and alerts: at the end, who talked to whom"},
            {"cost", 0, HF_OPT_FLAG, &o.cost, NULL, NULL, 0, 0, "instead of events and alerts: what watching costs, by hook, rule and container"},
            {"budget", 0, HF_OPT_STR, &named.budget, "PCT", NULL, 0, 0, "percent of one core that watching may cost (1); what matters least is given up to keep it. 0: no budget"},
            {"tree", 0, HF_OPT_FLAG, &o.tree, NULL, NULL, 0, 0, "processes indented below their parents, with their numbers"},
            {"json", 0, HF_OPT_FLAG, &o.json, NULL, NULL, 0, 0, "one JSON object a line"},
            {"record", 0, HF_OPT_STR, &named.record, "FILE", NULL, 0, 0, "keep all events in a file"},
            {"record-max", 0, HF_OPT_SIZE, &o.record_max, "SIZE", NULL, 1u << 20, 1ull << 50, "bytes of that file at most (1G)"},
            {"replay", 0, HF_OPT_STR, &named.replay, "FILE", NULL, 0, 0, "events from such a file instead of the kernel; needs no root"},
            {"state", 0, HF_OPT_STR, &named.state, "DIR", NULL, 0, 0, "folder of what is kept: alerts for \"rules why\", seals, packages in use (" HF_STATE_DIR ")"},
            {"policy", 0, HF_OPT_LIST, &named.policies, "PATH", NULL, 0, 0, "policies that say what containers may not do, file or folder; can be repeated"},
            {"no-guard", 0, HF_OPT_FLAG, &named.no_guard, NULL, NULL, 0, 0, "do not hold what runs against the seals of the images"},
            {"respond", 0, HF_OPT_FLAG, &named.respond, NULL, NULL, 0, 0, "do what rules want done (\"respond: [freeze, ...]\"); without it they only say so"},
            {"respond-for", 0, HF_OPT_STR, &named.respond_for, "TIME", NULL, 0, 0, "undo that after this time (90s, 15m, 2h, 1d), instead of by \"respond release\""},
            {"no-sandbox", 0, HF_OPT_FLAG, &o.no_sandbox, NULL, NULL, 0, 0, "keep the engine's privileges (for debugging)"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"watch", "[options]", "what containers start, connect to and do, live",
            "Needs root and Linux 5.10 or later with type information. Ends with Ctrl-C; exit 4 when events were lost.", opts, 0, 0};
    const char *args[1];
    size_t n;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    if (named.record && named.replay)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "--record and --replay exclude each other"));
    if (named.no_rules && named.rules.n)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "--rules and --no-rules cannot both be given"));
    if (o.map && (o.tree || o.alerts_only || named.rules.n || named.types.n || o.filter.rules.n || o.filter.severity))
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "--map shows connections only: not with --tree, --alerts-only, --type, --severity, --rule or --rules"));
    named.no_rules |= o.map;
    if (o.cost && (o.map || o.tree || o.alerts_only || named.replay || named.types.n || o.filter.severity || o.filter.image))
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "--cost shows costs only, of a running sensor: not with --map, --tree, --alerts-only, --type, --severity, --image or --replay"));
    if (o.tree && (o.json || o.alerts_only))
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "--tree is a form of the shown events: not with --json or --alerts-only"));
    if (named.no_rules && (o.filter.rules.n || o.filter.severity))
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "--rule and --severity choose among alerts: not with --no-rules"));
    hf_cleanup(hf_prot_freep) struct hf_prot_set *prot = NULL;
    rc = policies(&named, &prot, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (named.respond && (named.no_rules || named.replay || o.cost))
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "--respond does what rules want when they see it: not with --no-rules, --map, --cost or --replay"));
    if (named.respond_for && !named.respond)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "--respond-for belongs to --respond"));
    rc = budget(named.budget, &o.budget_ns, &err);
    rc = rc < 0 ? rc : hf_watch_filter_types(&o.filter, &named.types, &err);
    return rc < 0 ? hf_cli_fail(&err, rc) : start(&o, &named, &err);
}

/* ---- sensor features ---- */

/* The enabled rules that need what is attached on demand; without: those that go without because it costs too much. */
static unsigned needing(const struct hf_feature *f, const struct hf_rules *rules, bool without, struct hf_jw *w, struct hf_buf *text)
{
    unsigned n = 0;
    for (size_t i = 0; i < hf_rules_count(rules); i++) {
        const struct hf_rule *r = hf_rules_at(rules, i);
        if (!r->enabled || !(hf_rule_demand(r) & f->demand) || (f->costly && r->cheap_hooks) != without)
            continue;
        if (w)
            hf_jw_str(w, r->name);
        else if (n < NEEDING_SHOWN) {
            hf_buf_addz(text, n ? ", \"" : "\"");
            hf_buf_add_escaped(text, r->name, 80);
            hf_buf_addc(text, '"');
        }
        n++;
    }
    if (text && n > NEEDING_SHOWN)
        hf_buf_addf(text, " and %u more", n - NEEDING_SHOWN);
    return n;
}

static void on_demand_json(const struct hf_feature *f, const struct hf_rules *rules, struct hf_jw *w)
{
    hf_autobuf name = HF_BUF_INIT(256);
    hf_demand_names(f->demand, &name);
    hf_jw_kstr(w, "on_demand", hf_buf_span(&name));
    hf_jw_key(w, "needed_by");
    hf_jw_array(w);
    needing(f, rules, false, w, NULL);
    hf_jw_array_end(w);
    if (f->costly) {
        hf_jw_key(w, "going_without");
        hf_jw_array(w);
        needing(f, rules, true, w, NULL);
        hf_jw_array_end(w);
    }
    if (!f->hook)
        return;
    hf_jw_kbool(w, "every_call_pays", f->costly);
    if (f->measured) {
        hf_jw_ku64(w, "call_ns", f->call_ns);
        hf_jw_ku64(w, "ns_per_s", f->ns_per_s);
    }
}

static void features_json(const struct hf_feature *f, size_t n, const struct hf_rules *rules, struct hf_buf *out)
{
    struct hf_jw w;
    hf_jw_init(&w, out, true);
    hf_jw_array(&w);
    for (size_t i = 0; i < n; i++) {
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "name", f[i].name);
        hf_jw_kstrz(&w, "title", f[i].title);
        hf_jw_key(&w, "hook");
        if (f[i].hook)
            hf_jw_strz(&w, f[i].hook);
        else
            hf_jw_null(&w);
        if (f[i].refused) {
            hf_jw_kstrz(&w, "refused", f[i].refused);
            hf_jw_kstrz(&w, "why", f[i].why);
        }
        if (f[i].not_covered)
            hf_jw_kstrz(&w, "not_covered", f[i].not_covered);
        if (f[i].demand)
            on_demand_json(&f[i], rules, &w);
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_buf_addc(out, '\n');
}

static void on_demand_text(const struct hf_feature *f, const struct hf_rules *rules, struct hf_buf *out)
{
    hf_autobuf names = HF_BUF_INIT(4096);
    unsigned n = needing(f, rules, false, NULL, &names);
    hf_buf_addf(out, "%-18s   only while a rule needs it: ", "");
    if (n)
        hf_buf_adds(out, hf_buf_span(&names));
    else
        hf_buf_addz(out, "no enabled rule does");
    hf_buf_addc(out, '\n');
    hf_buf_clear(&names);
    if (needing(f, rules, true, NULL, &names)) {
        hf_buf_addf(out, "%-18s   not for those that say \"hooks: cheap\": ", "");
        hf_buf_adds(out, hf_buf_span(&names));
        hf_buf_addc(out, '\n');
    }
    if (!f->hook)
        return;
    hf_buf_addf(out, "%-18s   costs: ", "");
    if (f->measured)
        hf_buf_addf(out, "%llu ns of run time a second here and now; ", (unsigned long long)f->ns_per_s);
    if (f->costly && f->measured)
        hf_buf_addf(out, "%llu ns more for every system call of the host\n", (unsigned long long)f->call_ns);
    else
        hf_buf_addz(out, f->costly ? "every system call of the host pays for it\n" : "nothing to who does nothing of the kind\n");
}

static void features_text(const struct hf_feature *f, size_t n, const struct hf_rules *rules, struct hf_buf *out)
{
    hf_buf_addf(out, "%-18s %s\n", "CAPABILITY", "SERVED BY");
    for (size_t i = 0; i < n; i++) {
        hf_buf_addf(out, "%-18s %s\n", f[i].name, f[i].hook ? f[i].hook : "nothing");
        if (f[i].refused)
            hf_buf_addf(out, "%-18s   better: %s (%s)\n", "", f[i].refused, f[i].why);
        if (f[i].not_covered)
            hf_buf_addf(out, "%-18s   not seen: %s\n", "", f[i].not_covered);
        if (f[i].demand)
            on_demand_text(&f[i], rules, out);
    }
}

int hf_cmd_sensor(int argc, char **argv)
{
    bool json = false;
    struct hf_strs paths = {.n = 0};
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"rules", 'r', HF_OPT_LIST, &paths, "PATH", NULL, 0, 0, "rules that may need something on demand, instead of those that come with holdfast; can be repeated"},
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as JSON"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"sensor", "[options] features", "what this kernel lets the sensor see, by which hook, and what it does not",
            "features: every capability with the hook that serves it, found by loading and attaching. Needs root.", opts, 1, 1};
    const char *args[2];
    size_t n, count;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    if (strcmp(args[0], "features") != 0)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "\"sensor\" takes \"features\""));
    hf_cleanup(hf_kernel_closep) struct hf_kernel *k = NULL;
    hf_cleanup(hf_rules_freep) struct hf_rules *rules = NULL;
    rc = hf_cli_rules(&paths, &rules, &err);
    rc = rc < 0 ? rc : hf_sensor_probe(&k, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    hf_kernel_measure_demand(k);
    const struct hf_feature *f = hf_kernel_features(k, &count);
    hf_autobuf out = HF_BUF_INIT(1u << 20);
    if (json)
        features_json(f, count, rules, &out);
    else
        features_text(f, count, rules, &out);
    return hf_cli_print(&out, HF_EXIT_OK);
}
