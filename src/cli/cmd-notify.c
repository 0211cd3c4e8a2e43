// SPDX-License-Identifier: Apache-2.0
/* holdfast notify: channels checked, tried, and told of incidents. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/config.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/group.h"
#include "daemon/notify-store.h"
#include "notify/deliver.h"
#include "notify/text.h"
#include "store/incidents.h"
#include "store/queue.h"

#define CONFIG "/etc/holdfast/notify.yaml"
enum { WAITING_MAX = 100000, INPUT_MAX = 64 << 20 };

static const char *const update_names[] = {"state", "severity", "alert", "comment", "action"};

/* ---- check ---- */

static void channel_json(const struct hf_nconf *c, size_t i, struct hf_jw *w)
{
    const struct hf_nchannel *ch = &c->channels[i];
    hf_jw_object(w);
    hf_jw_kstr(w, "channel", ch->name);
    hf_jw_kstrz(w, "type", hf_nkinds[ch->kind]);
    hf_jw_ku64(w, "line", ch->line);
    hf_jw_kstr_opt(w, "url", ch->url);
    hf_jw_key(w, "updates");
    hf_jw_array(w);
    for (size_t k = 0; k < HF_ARRAY_LEN(update_names); k++)
        if (ch->updates >> k & 1)
            hf_jw_strz(w, update_names[k]);
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static void route_names(const struct hf_nconf *c, const uint32_t *v, size_t n, struct hf_buf *out)
{
    for (size_t i = 0; i < n; i++)
        hf_buf_addf(out, "%s%.*s", i ? ", " : "", HF_SPAN_ARG(c->channels[v[i]].name));
}

static void check_text(const struct hf_nconf *c, struct hf_buf *out)
{
    for (size_t i = 0; i < c->n_channels; i++)
        hf_buf_addf(out, "channel  %-20.*s %s\n", HF_SPAN_ARG(c->channels[i].name), hf_nkinds[c->channels[i].kind]);
    for (size_t i = 0; i < c->n_routes; i++) {
        const struct hf_nroute *r = &c->routes[i];
        hf_buf_addf(out, "route    %-20.*s %s and above to ", HF_SPAN_ARG(r->name), hf_nseverities[r->at_least]);
        route_names(c, r->to, r->n_to, out);
        if (r->escalate_s) {
            hf_buf_addf(out, "; unacknowledged after %us to ", r->escalate_s);
            route_names(c, r->escalate_to, r->n_escalate_to, out);
        }
        hf_buf_addz(out, r->stop ? "; stop\n" : "\n");
    }
    hf_buf_addf(out, "%zu channels, %zu routes\n", c->n_channels, c->n_routes);
}

static void check_json(const struct hf_nconf *c, struct hf_buf *out)
{
    struct hf_jw w;
    hf_jw_init(&w, out, true);
    hf_jw_object(&w);
    hf_jw_key(&w, "channels");
    hf_jw_array(&w);
    for (size_t i = 0; i < c->n_channels; i++)
        channel_json(c, i, &w);
    hf_jw_array_end(&w);
    hf_jw_key(&w, "routes");
    hf_jw_array(&w);
    for (size_t i = 0; i < c->n_routes; i++) {
        const struct hf_nroute *r = &c->routes[i];
        hf_jw_object(&w);
        hf_jw_kstr(&w, "route", r->name);
        hf_jw_ku64(&w, "line", r->line);
        hf_jw_kstrz(&w, "severity", hf_nseverities[r->at_least]);
        hf_jw_key(&w, "to");
        hf_jw_array(&w);
        for (size_t k = 0; k < r->n_to; k++)
            hf_jw_str(&w, c->channels[r->to[k]].name);
        hf_jw_array_end(&w);
        hf_jw_kbool(&w, "stop", r->stop);
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    hf_buf_addc(out, '\n');
}

static int check(int argc, char **argv)
{
    bool json = false, no_secrets = false;
    const char *config = CONFIG, *args[1];
    size_t n;
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {.name = "config", .type = HF_OPT_STR, .target = &config, .arg = "FILE", .help = "channels and routes (" CONFIG ")"},
            {.name = "no-secrets", .type = HF_OPT_FLAG, .target = &no_secrets, .help = "do not read the files with tokens and addresses"},
            {.name = "json", .type = HF_OPT_FLAG, .target = &json, .help = "as JSON"},
            {0},
    };
    const struct hf_command cmd = {"notify check", "[options]", "are channels and routes right", "Reads the file and what it names, changes nothing and sends nothing.", opts, 0, 0};
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_cleanup(hf_nconf_freep) struct hf_nconf *c = NULL;
    rc = hf_nconf_load(&c, config, &err);
    if (rc == 0 && !no_secrets)
        rc = hf_nconf_secrets(c, NULL, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    hf_autobuf out = HF_BUF_INIT(4u << 20);
    if (json)
        check_json(c, &out);
    else
        check_text(c, &out);
    return hf_cli_print(&out, HF_EXIT_OK);
}

/* ---- test ---- */

static void trial(struct hf_buf *out)
{
    hf_autobuf now = HF_BUF_INIT(64);
    char host[256] = "localhost";
    struct hf_jw w;
    gethostname(host, sizeof host - 1);
    hf_ntext_time(&now, time(NULL));
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.incident/1");
    hf_jw_key(&w, "id");
    hf_autobuf id = HF_BUF_INIT(64);
    hf_buf_addf(&id, "I-TEST-%lld", (long long)time(NULL));
    hf_jw_str(&w, hf_buf_span(&id));
    hf_jw_ku64(&w, "revision", 1);
    hf_jw_kstrz(&w, "title", "Trial message of Holdfast");
    hf_jw_kstrz(&w, "summary", "Somebody ran \"holdfast notify test\". Nothing happened; nothing is to be done.");
    hf_jw_kstrz(&w, "severity", "info");
    hf_jw_kstrz(&w, "state", "open");
    hf_jw_kstr(&w, "opened", hf_buf_span(&now));
    hf_jw_kstr(&w, "updated", hf_buf_span(&now));
    hf_jw_ku64(&w, "alerts", 1);
    hf_jw_key(&w, "hosts");
    hf_jw_array(&w);
    hf_jw_strz(&w, host);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
}

static int find_channel(const struct hf_nconf *c, const char *name, const struct hf_nchannel **ret, struct hf_err *err)
{
    size_t at = hf_nconf_channel(c, hf_span_z(name));
    if (at != SIZE_MAX) {
        *ret = &c->channels[at];
        return 0;
    }
    const char *known[65] = {NULL};
    for (size_t i = 0; i < c->n_channels && i < 64; i++)
        known[i] = c->channels[i].name.p; /* copies of an arena end in NUL */
    const char *near = hf_nearest(name, known);
    return hf_fail(err, HF_E_USAGE, "there is no channel \"%s\"%s%s", name, near ? "; did you mean " : "", near ? near : "");
}

static int test(int argc, char **argv)
{
    const char *config = CONFIG, *args[2];
    size_t n;
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {{.name = "config", .type = HF_OPT_STR, .target = &config, .arg = "FILE", .help = "channels and routes (" CONFIG ")"}, {0}};
    const struct hf_command cmd = {"notify test", "[options] CHANNEL", "send a trial message", "Sends one message marked as a trial, at once and once, and says what the channel answered.", opts, 1, 1};
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_cleanup(hf_nconf_freep) struct hf_nconf *c = NULL;
    const struct hf_nchannel *ch = NULL;
    hf_autobuf doc = HF_BUF_INIT(16384);
    unsigned requests = 0;
    trial(&doc);
    rc = hf_nconf_load(&c, config, &err);
    rc = rc < 0 ? rc : find_channel(c, args[0], &ch, &err);
    rc = rc < 0 ? rc : hf_nconf_secrets(c, ch, &err);
    if (rc == 0) {
        rc = hf_ndeliver_now(c, ch, hf_buf_span(&doc), true, &requests, &err);
        if (rc < 0)
            hf_wrap(&err, rc, "channel \"%s\"", args[0]);
    }
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    printf("channel \"%s\" (%s) took the trial message\n", args[0], hf_nkinds[ch->kind]);
    return HF_EXIT_OK;
}

/* ---- send ---- */

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    (void)sig;
    interrupted = 1;
}

static void tell_report(void *ctx, const struct hf_nreport *r)
{
    bool *bad = ctx;
    char when[48];
    switch (r->event) {
    case HF_NEV_DELIVERED:
        hf_log(HF_LOG_INFO, "delivered", "channel \"%.*s\" has %.*s (%u requests)", HF_SPAN_ARG(r->channel), HF_SPAN_ARG(r->key), r->requests);
        break;
    case HF_NEV_RETRY:
        snprintf(when, sizeof when, "%.1f s", (double)r->wait_ms / 1000);
        hf_log(HF_LOG_WARNING, "retry", "channel \"%.*s\", %.*s: %s; again in %s", HF_SPAN_ARG(r->channel), HF_SPAN_ARG(r->key), r->why, when);
        break;
    case HF_NEV_DEAD:
    case HF_NEV_QUEUE:
        *bad = true;
        hf_log(HF_LOG_ERR, r->event == HF_NEV_DEAD ? "dead-letter" : "queue", "channel \"%.*s\", %.*s: %s%s", HF_SPAN_ARG(r->channel), HF_SPAN_ARG(r->key), r->why, r->event == HF_NEV_DEAD ? "; given up" : "");
        break;
    }
}

static int push_line(struct hf_ndeliver *d, struct hf_span line, const struct hf_nchannel *only, struct hf_err *err)
{
    line = hf_span_trim(line);
    int rc = line.n ? hf_ndeliver_push(d, line, only, err) : 1;
    if (rc == 0)
        hf_log(HF_LOG_NOTICE, "no-route", "no route matches an incident");
    return rc < 0 ? rc : 0;
}

/* A file is one document, or one a line. */
static int push_file(struct hf_ndeliver *d, const char *path, const struct hf_nchannel *only, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(INPUT_MAX);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *whole = NULL;
    int rc = hf_read_file(path, &text, err);
    if (rc < 0)
        return hf_wrap(err, rc, "%s", path);
    struct hf_span rest = hf_buf_span(&text), line;
    struct hf_err ignore = HF_ERR_INIT;
    if (rest.n <= HF_NDOC_MAX && hf_json_parse(rest, &whole, &ignore) == 0)
        return push_line(d, rest, only, err);
    while (rc == 0 && hf_span_line(&rest, &line))
        rc = push_line(d, line, only, err);
    return rc < 0 ? hf_wrap(err, rc, "%s", path) : 0;
}

/* Standard input, a line a document, each sent when it comes. */
static int push_stdin(struct hf_ndeliver *d, const struct hf_nchannel *only, struct hf_err *err)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int rc = 0;
    while (rc == 0 && !interrupted && (n = getline(&line, &cap, stdin)) >= 0)
        rc = push_line(d, hf_span(line, (size_t)n), only, err);
    free(line);
    return rc;
}

/* Where messages wait: in the store, or in memory. */
struct waiting {
    const struct hf_nconf *conf;
    const struct hf_nchannel *only;
    struct hf_nmemq *mem;
    struct hf_nstoreq *store;
};

static int count_waiting(const struct waiting *w, size_t *ret_waiting, size_t *ret_dead, struct hf_err *err)
{
    int rc = 0;
    *ret_waiting = *ret_dead = 0;
    if (w->mem)
        hf_nmemq_count(w->mem, ret_waiting, ret_dead);
    for (size_t i = 0; w->store && i < w->conf->n_channels && rc == 0; i++)
        if (!w->only || w->only == &w->conf->channels[i])
            rc = hf_nstoreq_count(w->store, w->conf->channels[i].name, ret_waiting, ret_dead, err);
    return rc;
}

/* An incident of the store by its id, a file, or standard input. */
static int push_what(struct hf_ndeliver *d, const char *what, const struct waiting *w, struct hf_err *err)
{
    hf_autobuf doc = HF_BUF_INIT(HF_STORE_DOC_MAX);
    if (!strcmp(what, "-"))
        return push_stdin(d, w->only, err);
    if (!w->store || strncmp(what, "I-", 2))
        return push_file(d, what, w->only, err);
    int rc = hf_store_incident_get(hf_nstoreq_store(w->store), hf_span_z(what), &doc, NULL, err);
    if (rc == 0)
        return hf_fail(err, HF_E_NOT_FOUND, "the store has no incident \"%s\"", what);
    return rc < 0 ? rc : push_line(d, hf_buf_span(&doc), w->only, err);
}

static int wait_until_told(const struct waiting *w, uint64_t timeout_s, size_t *ret_waiting, size_t *ret_dead, struct hf_err *err)
{
    time_t end = time(NULL) + (time_t)timeout_s;
    for (;;) {
        int rc = count_waiting(w, ret_waiting, ret_dead, err);
        if (rc < 0 || !*ret_waiting || interrupted || time(NULL) >= end)
            return rc;
        poll(NULL, 0, w->store ? 100 : 20);
    }
}

static int send_all(const struct waiting *w, const char *what_or_null, uint64_t timeout_s, struct hf_err *err)
{
    bool bad = false;
    hf_cleanup(hf_ndeliver_freep) struct hf_ndeliver *d = NULL;
    struct hf_nqueue q = w->store ? hf_nstoreq_queue(w->store) : hf_nmemq_queue(w->mem);
    size_t waiting = 0, dead = 0;
    bool by_id = w->store && what_or_null && !strncmp(what_or_null, "I-", 2);
    int rc = hf_ndeliver_new(&d, w->conf, &q, tell_report, &bad, err);
    rc = rc < 0 || by_id ? rc : hf_ndeliver_start(d, err);
    rc = rc < 0 || !what_or_null ? rc : push_what(d, what_or_null, w, err);
    rc = rc < 0 || !by_id ? rc : hf_ndeliver_start(d, err); /* the store's handle was ours until the incident was read */
    rc = rc < 0 ? rc : wait_until_told(w, timeout_s, &waiting, &dead, err);
    hf_ndeliver_stop(d);
    if (rc < 0)
        return rc;
    if (waiting)
        return hf_fail(err, -ETIMEDOUT, "%zu messages could not be delivered in time%s", waiting, w->store ? "; they wait in the store" : "");
    return bad ? hf_fail(err, HF_E_INCOMPLETE, "%zu messages are dead letters", dead) : 0;
}

static int send_cmd(int argc, char **argv)
{
    const char *config = CONFIG, *channel = NULL, *store = NULL, *args[2] = {NULL};
    uint64_t timeout_s = 60;
    bool verbose = false;
    size_t n;
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {.name = "config", .type = HF_OPT_STR, .target = &config, .arg = "FILE", .help = "channels and routes (" CONFIG ")"},
            {.name = "channel", .type = HF_OPT_STR, .target = &channel, .arg = "NAME", .help = "this one, whatever the routes say"},
            {.name = "store", .type = HF_OPT_STR, .target = &store, .arg = "ADDRESS", .help = "queue and what channels know are kept in this store"},
            {.name = "timeout", .type = HF_OPT_U64, .target = &timeout_s, .arg = "SECONDS", .max = 86400, .help = "how long to try after the last document was read (60)"},
            {.name = "verbose", .letter = 'v', .type = HF_OPT_FLAG, .target = &verbose, .help = "say what was delivered, too"},
            {0},
    };
    const struct hf_command cmd = {"notify send", "[options] [INCIDENT]", "send incidents to the channels the routes choose",
            "INCIDENT is a file of incident documents (holdfast.incident/1; one, or one a line), \"-\" for standard input, or with --store an id. With --store and without "
            "it, what waits there is delivered.", opts, 0, 1};
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_cleanup(hf_nconf_freep) struct hf_nconf *c = NULL;
    hf_cleanup(hf_nmemq_freep) struct hf_nmemq *mem = NULL;
    hf_cleanup(hf_nstoreq_freep) struct hf_nstoreq *stored = NULL;
    struct waiting w = {0};
    if (!n && !store)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "what? a file of incidents, \"-\", or --store ADDRESS"));
    if (verbose)
        hf_log_setup(HF_LOG_INFO, false);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    rc = hf_nconf_load(&c, config, &err);
    rc = rc < 0 || !channel ? rc : find_channel(c, channel, &w.only, &err);
    rc = rc < 0 ? rc : hf_nconf_secrets(c, store ? NULL : w.only, &err);
    if (rc == 0 && store)
        rc = hf_nstoreq_open(&stored, store, &err);
    else if (rc == 0 && !(mem = hf_nmemq_new(WAITING_MAX)))
        rc = hf_fail(&err, -ENOMEM, "no memory");
    w.conf = c;
    w.mem = mem;
    w.store = stored;
    rc = rc < 0 ? rc : send_all(&w, n ? args[0] : NULL, timeout_s, &err);
    return rc < 0 ? hf_cli_fail(&err, rc) : HF_EXIT_OK;
}

/* ---- dead ---- */

static int dead_line(void *ctx, const struct hf_queue_entry *e)
{
    struct hf_buf *out = ctx;
    hf_buf_addf(out, "%-8llu ", (unsigned long long)e->seq);
    hf_buf_add_escaped(out, e->channel, 40);
    hf_buf_addz(out, "  ");
    hf_buf_add_escaped(out, e->key, 40);
    hf_buf_addf(out, "  %u tries: ", e->tries);
    hf_buf_add_escaped(out, e->error, 200);
    hf_buf_addc(out, '\n');
    return 0;
}

static int dead_cmd(int argc, char **argv)
{
    const char *store = NULL, *args[1];
    uint64_t retry = 0, drop = 0;
    size_t n;
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {.name = "store", .type = HF_OPT_STR, .target = &store, .arg = "ADDRESS", .help = "this store instead of store.url of the settings"},
            {.name = "retry", .type = HF_OPT_U64, .target = &retry, .arg = "NUMBER", .help = "put this one back to its place"},
            {.name = "drop", .type = HF_OPT_U64, .target = &drop, .arg = "NUMBER", .help = "forget this one"},
            {0},
    };
    const struct hf_command cmd = {"notify dead", "[options]", "messages that were given up", "Lists them: number, channel, incident, tries, why. At most 1000.", opts, 0, 0};
    hf_cleanup(hf_config_freep) struct hf_config *settings = NULL;
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    hf_autobuf out = HF_BUF_INIT(4u << 20);
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    if (rc == 0 && !store)
        rc = hf_config_load(&settings, NULL, &err);
    rc = rc < 0 ? rc : hf_store_open_with(&s, store ? store : settings->store_url, retry || drop ? HF_STORE_MUST_EXIST : HF_STORE_READ_ONLY, &err);
    if (rc == 0)
        rc = retry ? hf_store_queue_revive(s, retry, &err) : drop ? hf_store_queue_drop(s, drop, &err) : hf_store_queue_dead_list(s, hf_span(NULL, 0), 0, 0, dead_line, &out, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    return hf_cli_print(&out, HF_EXIT_OK);
}

int hf_cmd_notify(int argc, char **argv)
{
    static const struct hf_cli_command commands[] = {
            {"check", check, "are channels and routes right"},
            {"test", test, "send a trial message"},
            {"send", send_cmd, "send incidents to the channels the routes choose"},
            {"dead", dead_cmd, "messages that were given up"},
    };
    return hf_cli_group("notify", "who hears of incidents", commands, HF_ARRAY_LEN(commands), argc, argv);
}
