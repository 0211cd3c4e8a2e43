// SPDX-License-Identifier: Apache-2.0
/* holdfast daemon: everything, watched over; and what a running one says of itself. */
#include <errno.h>
#include <stdio.h>

#include "base/config.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/rules-cli.h"
#include "daemon/supervise.h"

enum { STATUS_MAX = 1 << 20 };

/* ---- status ---- */

static void line(struct hf_buf *b, const char *name)
{
    hf_buf_addf(b, "%-10s", name);
}

static unsigned long long number(hf_jnode o, const char *name)
{
    double v = 0;
    return hf_jnum(hf_jget(o, name), &v) && v >= 0 && v < 1.8e19 ? (unsigned long long)v : 0;
}

static void process_text(hf_jnode p, struct hf_buf *b)
{
    struct hf_span ended = hf_jgetstr(p, "ended");
    line(b, hf_jgetstr(p, "name").p);
    hf_buf_addf(b, "%-9.*s", HF_SPAN_ARG(hf_jgetstr(p, "state")));
    if (hf_jget(p, "pid"))
        hf_buf_addf(b, " process %llu since %.*s", number(p, "pid"), HF_SPAN_ARG(hf_jgetstr(p, "since")));
    if (number(p, "restarts"))
        hf_buf_addf(b, ", %llu restarts", number(p, "restarts"));
    if (ended.n)
        hf_buf_addf(b, " (%.*s)", HF_SPAN_ARG(ended));
    hf_buf_addc(b, '\n');
}

static void error_text(hf_jnode o, struct hf_buf *b)
{
    struct hf_span e = hf_jgetstr(o, "error");
    if (e.n)
        hf_buf_addf(b, "%-10sERROR: %.*s\n", "", HF_SPAN_ARG(e));
}

static void status_text(hf_jnode s, struct hf_buf *b)
{
    hf_jnode lines = hf_jget(s, "lines"), store = hf_jget(s, "store"), channels = hf_jget(s, "channels"), inventory = hf_jget(s, "inventory"), hand = hf_jget(s, "hand");
    line(b, "daemon");
    hf_buf_addf(b, "%s, process %llu since %.*s\n", hf_jis_true(hf_jget(s, "healthy")) ? "healthy" : "NOT HEALTHY", number(s, "pid"), HF_SPAN_ARG(hf_jgetstr(s, "since")));
    HF_JFOREACH(p, hf_jget(s, "problems"))
        hf_buf_addf(b, "%-10s%.*s\n", "", HF_SPAN_ARG(hf_jstr(p)));
    HF_JFOREACH(p, hf_jget(s, "processes"))
        process_text(p, b);
    if (hf_jget(s, "console")) {
        line(b, "console");
        hf_buf_addf(b, "%.*s\n", HF_SPAN_ARG(hf_jgetstr(s, "console")));
    }
    line(b, "lines");
    hf_buf_addf(b, "%llu read, %llu lost by the sensor, %llu dropped, %llu not passed to the console, %llu KiB wait\n", number(lines, "read"), number(lines, "lost_by_sensor"), number(lines, "dropped"),
            number(lines, "console_dropped"), number(lines, "waiting_bytes") >> 10);
    line(b, "store");
    hf_buf_addf(b, "%s; %llu incidents, %llu changes, %llu alerts written; %llu KiB wait, %llu alerts dropped\n", hf_jis_true(hf_jget(store, "writes")) ? "writes" : "DOWN", number(store, "incidents_new"),
            number(store, "incidents_changed"), number(store, "alerts"), number(store, "pending_bytes") >> 10, number(store, "alerts_dropped"));
    error_text(store, b);
    line(b, "channels");
    hf_buf_addf(b, "%llu; %llu messages delivered, %llu wait, %llu dead, %llu answers\n", number(channels, "count"), number(channels, "delivered"), number(channels, "waiting"), number(channels, "dead"),
            number(channels, "answers"));
    error_text(channels, b);
    line(b, "inventory");
    hf_buf_addf(b, "%llu scans, %llu failed, %llu wait\n", number(inventory, "scans"), number(inventory, "scans_failed"), number(inventory, "scans_waiting"));
    error_text(inventory, b);
    line(b, "hand");
    hf_buf_addf(b, "asked %llu times, %llu refused, %llu failed\n", number(hand, "asked"), number(hand, "refused"), number(hand, "failed"));
}

static int status(int argc, char **argv)
{
    bool json = false;
    const char *file = NULL, *state = NULL, *args[1];
    size_t n;
    const struct hf_opt opts[] = {
            {"config", 'c', HF_OPT_STR, &file, "FILE", NULL, 0, 0, "read this file instead of /etc/holdfast"},
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as JSON (holdfast.daemon-status/1)"},
            {"state", 0, HF_OPT_STR, &state, "DIR", NULL, 0, 0, "folder of the daemon's state instead of daemon.state of the settings"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"daemon status", "[options]", "what a running daemon says of itself", "Its processes, its health, what waits and what was lost. Exit 4: something is not as it should be.", opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_config_freep) struct hf_config *c = NULL;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    hf_autobuf text = HF_BUF_INIT(STATUS_MAX), out = HF_BUF_INIT(STATUS_MAX);
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 || state ? rc : hf_config_load(&c, file, &err);
    rc = rc < 0 ? rc : hf_supervise_status(state ? state : c->daemon_state, &text, &err);
    rc = rc < 0 ? rc : hf_json_parse(hf_buf_span(&text), &d, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (json)
        hf_buf_adds(&out, hf_buf_span(&text));
    else
        status_text(hf_json_root(d), &out);
    return hf_cli_print(&out, hf_jis_true(hf_jget(hf_json_root(d), "healthy")) ? HF_EXIT_OK : HF_EXIT_INCOMPLETE);
}

/* ---- the daemon ---- */

static int load_rules(const char *path, struct hf_rules **ret, struct hf_err *err)
{
    struct hf_strs paths = {.n = 0};
    if (*path)
        paths.v[paths.n++] = path;
    return hf_cli_rules(&paths, ret, err);
}

int hf_cmd_daemon(int argc, char **argv)
{
    bool verbose = false, json = false;
    const char *file = NULL, *args[1];
    struct hf_supervise_opts o = {.rules = load_rules};
    size_t n;
    const struct hf_opt opts[] = {
            {"config", 'c', HF_OPT_STR, &file, "FILE", NULL, 0, 0, "read this file instead of /etc/holdfast"},
            {"link", 0, HF_OPT_FLAG, &o.link, NULL, NULL, 0, 0, "print a link that signs in to the console once, when it is ready"},
            {"log-json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "messages as JSON, one a line"},
            {"no-sandbox", 0, HF_OPT_FLAG, &o.no_sandbox, NULL, NULL, 0, 0, "no limits on files and system calls (for debugging)"},
            {"verbose", 'v', HF_OPT_FLAG, &verbose, NULL, NULL, 0, 0, "say more on standard error"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"daemon", "[options]", "watch, keep, tell and show: all of holdfast, watched over",
            "Needs root to begin with. \"holdfast daemon status\" says how a running one does. SIGTERM or Ctrl-C ends it, SIGHUP reads rules and channels again.", opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_config_freep) struct hf_config *c = NULL;
    if (argc > 1 && !strcmp(argv[1], "status"))
        return status(argc - 1, argv + 1);
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    hf_log_setup(verbose ? HF_LOG_INFO : HF_LOG_NOTICE, json);
    rc = rc < 0 ? rc : hf_config_load(&c, file, &err);
    o.config = c;
    rc = rc < 0 ? rc : hf_supervise(&o, &err);
    return rc < 0 ? hf_cli_fail(&err, rc) : HF_EXIT_OK;
}
