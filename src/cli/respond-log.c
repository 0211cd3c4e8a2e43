// SPDX-License-Identifier: Apache-2.0
/* holdfast respond list, respond log: what is in force, what was done, and whether that is the whole truth. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "base/json.h"
#include "base/log.h"
#include "cli/state.h"
#include "cli/cli.h"
#include "cli/respond-cli.h"
#include "respond/respond-internal.h"
#include "respond/snapshot.h"

#define OUTPUT_MAX (16u << 20)
#define LOG_MAX (64u << 20)

/* ---- list ---- */

static void list_json(const struct hf_active *a, bool there, bool counted, uint64_t packets, uint64_t bytes, struct hf_jw *w)
{
    char time[40];
    uint64_t now = hf_active_now_s();
    hf_jw_object(w);
    hf_jw_kstrz(w, "action", a->action);
    hf_jw_kstrz(w, "id", a->id);
    hf_jw_kstrz(w, "name", a->name);
    hf_jw_kstrz(w, "rung", a->rung);
    hf_jw_kstr_opt(w, "settings", hf_span_z(a->settings));
    hf_journal_time(a->started_s * 1000000000ull, time);
    hf_jw_kstrz(w, "since", time);
    if (a->expires_s)
        hf_jw_ku64(w, "left_s", a->expires_s > now ? a->expires_s - now : 0);
    hf_jw_kbool(w, "running", there);
    if (counted) {
        hf_jw_ku64(w, "dropped_packets", packets);
        hf_jw_ku64(w, "dropped_bytes", bytes);
    }
    hf_jw_ku64(w, "seq", a->seq);
    hf_jw_object_end(w);
}

static void list_text(const struct hf_active *a, bool there, bool counted, uint64_t packets, uint64_t bytes, struct hf_buf *out)
{
    uint64_t now = hf_active_now_s();
    size_t used = hf_buf_add_escaped(out, hf_span_z(a->name), 24);
    hf_buf_addf(out, "%*s%-12.12s %-9s", (int)(26 - HF_MIN(used, (size_t)25)), "", a->id, a->action);
    hf_buf_add_escaped(out, hf_span_z(a->rung), 40);
    if (a->settings[0]) {
        hf_buf_addz(out, "; ");
        hf_buf_add_escaped(out, hf_span_z(a->settings), 200);
    }
    if (counted)
        hf_buf_addf(out, "; dropped %llu packets, %llu bytes", (unsigned long long)packets, (unsigned long long)bytes);
    if (a->expires_s)
        hf_buf_addf(out, "; for %llu s more", (unsigned long long)(a->expires_s > now ? a->expires_s - now : 0));
    hf_buf_addz(out, there ? "\n" : "; the container has ended\n");
}

int hf_cmd_respond_list(int argc, char **argv)
{
    bool json = false;
    const char *state = HF_STATE_DIR, *args[1];
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as JSON"},
            {"state", 0, HF_OPT_STR, &state, "DIR", NULL, 0, 0, "folder of the state (" HF_STATE_DIR ")"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"respond list", "[options]", "what is in force, and what it dropped", NULL, opts, 0, 0};
    hf_autofree struct hf_active *all = NULL;
    hf_autobuf out = HF_BUF_INIT(OUTPUT_MAX);
    char dir[3800];
    size_t n, bad = 0;
    struct hf_jw w;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    hf_respond_dir(state, dir);
    rc = rc < 0 ? rc : hf_active_all(dir, &all, &n, &bad, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    hf_jw_init(&w, &out, true);
    if (json)
        hf_jw_array(&w);
    for (size_t i = 0; i < n; i++) {
        hf_autofree struct hf_target *t = calloc(1, sizeof *t);
        struct hf_err ignored = HF_ERR_INIT;
        uint64_t packets = 0, bytes = 0;
        bool there = t && hf_target_by_group(all[i].cgroup_id, all[i].id, t, &ignored) == 0;
        bool counted = strcmp(all[i].action, "freeze") != 0 && hf_act_dropped(&all[i], there ? t : NULL, &packets, &bytes);
        if (json)
            list_json(&all[i], there, counted, packets, bytes, &w);
        else
            list_text(&all[i], there, counted, packets, bytes, &out);
    }
    if (json) {
        hf_jw_array_end(&w);
        hf_buf_addc(&out, '\n');
    } else if (!n) {
        hf_buf_addz(&out, "nothing is in force\n");
    }
    if (bad)
        hf_log(HF_LOG_WARNING, "damaged", "%zu files in %s/active cannot be read: actions may be in force that are not shown", bad, dir);
    return hf_cli_print(&out, bad ? HF_EXIT_INCOMPLETE : HF_EXIT_OK);
}

/* ---- log ---- */

static void word(hf_jnode n, const char *name, const char *before, struct hf_buf *out)
{
    struct hf_span s = hf_jgetstr(n, name);
    if (!s.n)
        return;
    hf_buf_addz(out, before);
    hf_buf_add_escaped(out, s, 200);
}

static void log_text(struct hf_span text, struct hf_buf *out)
{
    struct hf_span line;
    while (hf_span_line(&text, &line)) {
        hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
        struct hf_err err = HF_ERR_INIT;
        double uid;
        if (hf_json_parse_within(line, 1u << 20, &doc, &err) < 0) {
            hf_buf_addz(out, "(a line that cannot be read)\n");
            continue;
        }
        hf_jnode root = hf_json_root(doc), who = hf_jget(root, "who");
        word(root, "time", "", out);
        word(root, "action", "  ", out);
        word(root, "phase", " ", out);
        word(hf_jget(root, "container"), "name", "  ", out);
        if (hf_jgetstr(who, "rule").n)
            word(who, "rule", "  by rule ", out);
        else if (hf_jnum(hf_jget(who, "login_uid"), &uid) || hf_jnum(hf_jget(who, "uid"), &uid))
            hf_buf_addf(out, "  by uid %.0f", uid);
        word(root, "rung", "  ", out);
        word(root, "why", "  because: ", out);
        word(root, "error", "  error: ", out);
        hf_buf_addc(out, '\n');
    }
}

static int verify(const char *dir, bool json)
{
    struct hf_journal_check c;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(4096);
    struct hf_jw w;
    memset(&c, 0, sizeof c);
    int rc = hf_journal_verify(dir, &c, &err);
    if (rc < 0 && rc != HF_E_DIGEST && rc != HF_E_FORMAT && rc != HF_E_TRUNCATED && rc != HF_E_LIMIT)
        return hf_cli_fail(&err, rc);
    if (json) {
        hf_jw_init(&w, &out, true);
        hf_jw_object(&w);
        hf_jw_kbool(&w, "whole", rc == 0);
        hf_jw_ku64(&w, "lines", c.lines);
        hf_jw_ku64(&w, "last", c.last);
        hf_jw_kstrz(&w, "head", c.head);
        if (rc < 0)
            hf_jw_kstrz(&w, "error", err.msg);
        if (c.bad_line)
            hf_jw_ku64(&w, "line", c.bad_line);
        hf_jw_object_end(&w);
        hf_buf_addc(&out, '\n');
    } else if (rc == 0) {
        hf_buf_addf(&out, "whole: %llu lines, the last is %llu, sha256:%s\n", (unsigned long long)c.lines, (unsigned long long)c.last, c.head);
    } else {
        hf_buf_addf(&out, "not whole: %s\n", err.msg);
    }
    return hf_cli_print(&out, rc < 0 ? HF_EXIT_FINDINGS : HF_EXIT_OK);
}

int hf_cmd_respond_log(int argc, char **argv)
{
    bool json = false;
    const char *state = HF_STATE_DIR, *args[2];
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "the lines as they are (JSON)"},
            {"state", 0, HF_OPT_STR, &state, "DIR", NULL, 0, 0, "folder of the state (" HF_STATE_DIR ")"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"respond log", "[options] [verify]", "what was done, by whom and why", "With \"verify\": whether a line was changed or is missing; exit 1 if so.", opts, 0, 1};
    hf_autobuf text = HF_BUF_INIT(LOG_MAX), out = HF_BUF_INIT(LOG_MAX * 2ull);
    char dir[3800];
    size_t n;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    if (rc == 0 && n && strcmp(args[0], "verify") != 0)
        rc = hf_fail(&err, HF_E_USAGE, "\"respond log\" takes \"verify\" or nothing, not \"%.100s\"", args[0]);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    hf_respond_dir(state, dir);
    if (n)
        return verify(dir, json);
    rc = hf_journal_read(dir, &text, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (json)
        return hf_cli_print(&text, HF_EXIT_OK);
    log_text(hf_buf_span(&text), &out);
    return hf_cli_print(&out, HF_EXIT_OK);
}

/* ---- snapshot verify ---- */

static void verified(const struct hf_snapshot_check *c, bool json, struct hf_buf *out)
{
    struct hf_jw w;
    if (!json) {
        hf_buf_addf(out, "whole: %llu members, %llu bytes, of %.12s at %s, manifest sha256:%s\n%s\n", (unsigned long long)c->members, (unsigned long long)c->bytes, c->container, c->made, c->manifest,
                c->logged ? "the log of actions has this manifest" : "the log of actions does not have this manifest: who made the file is not proven");
        if (c->incomplete)
            hf_buf_addf(out, "%llu things were left out; \"incomplete\" of the manifest names them\n", (unsigned long long)c->incomplete);
        return;
    }
    hf_jw_init(&w, out, true);
    hf_jw_object(&w);
    hf_jw_kbool(&w, "whole", true);
    hf_jw_ku64(&w, "members", c->members);
    hf_jw_ku64(&w, "bytes", c->bytes);
    hf_jw_kstrz(&w, "container", c->container);
    hf_jw_kstrz(&w, "made", c->made);
    hf_jw_kstrz(&w, "manifest_sha256", c->manifest);
    hf_jw_kstrz(&w, "previous_manifest", c->prev);
    hf_jw_kbool(&w, "logged", c->logged);
    hf_jw_ku64(&w, "incomplete", c->incomplete);
    hf_jw_object_end(&w);
    hf_buf_addc(out, '\n');
}

int hf_cmd_respond_verify(int argc, char **argv)
{
    bool json = false;
    const char *state = HF_STATE_DIR, *args[2];
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as JSON"},
            {"state", 0, HF_OPT_STR, &state, "DIR", NULL, 0, 0, "folder of the state, whose log is asked (" HF_STATE_DIR ")"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"respond snapshot verify", "[options] FILE", "whether a snapshot is what its manifest says; exit 1 if not", NULL, opts, 1, 1};
    struct hf_snapshot_check c;
    hf_autobuf out = HF_BUF_INIT(16384);
    size_t n;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_autoclose int fd = open(args[0], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return hf_cli_fail(&err, hf_fail(&err, -errno, "%s: %s", args[0], strerror(errno)));
    rc = hf_snapshot_verify(fd, state, &c, &err);
    if (rc < 0 && rc != HF_E_DIGEST)
        return hf_cli_fail(&err, hf_wrap(&err, rc, "%s", args[0]));
    if (rc < 0 && json)
        hf_buf_addz(&out, "{\"whole\": false}\n");
    else if (rc < 0)
        hf_buf_addf(&out, "not whole: %s\n", err.msg);
    else
        verified(&c, json, &out);
    return hf_cli_print(&out, rc < 0 ? HF_EXIT_FINDINGS : HF_EXIT_OK);
}
