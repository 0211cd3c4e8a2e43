// SPDX-License-Identifier: Apache-2.0
/* holdfast protect: what the policies of a running watch do, on which rung, and other modes for them, at once. */
#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/state.h"
#include "cli/cli.h"
#include "cli/group.h"
#include "protect/hold.h"
#include "protect/kernel.h"
#include "protect/protect.h"

#define STATUS_MAX (8u << 20)

static int read_state(const char *state, const char *name, struct hf_buf *out, struct hf_err *err)
{
    char path[4200];
    if (snprintf(path, sizeof path, "%s/%s/%s", state, HF_PROTECT_DIR, name) >= (int)sizeof path)
        return hf_fail(err, HF_E_USAGE, "the path of the state is too long");
    return hf_read_file(path, out, err);
}

/* ---- status ---- */

static uint64_t number(hf_jnode n)
{
    double v = 0;
    return hf_jnum(n, &v) && v >= 0 && v < 1e18 ? (uint64_t)v : 0;
}

static bool is_guard(uint64_t pid)
{
    char path[64], to[16];
    hf_autobuf comm = HF_BUF_INIT(64);
    struct hf_err ignored = HF_ERR_INIT;
    snprintf(path, sizeof path, "/proc/%llu/exe", (unsigned long long)pid);
    if (readlink(path, to, sizeof to) < 0) /* one that is dead and not yet buried has none */
        return false;
    snprintf(path, sizeof path, "/proc/%llu/comm", (unsigned long long)pid);
    return hf_read_file(path, &comm, &ignored) == 0 && hf_span_eqz(hf_span_trim(hf_buf_span(&comm)), "holdfast-guard");
}

static void cell(struct hf_buf *out, struct hf_span s, size_t width)
{
    size_t used = hf_buf_add_escaped(out, s, width);
    hf_buf_addf(out, "%*s ", (int)(width - HF_MIN(used, width)), "");
}

static void policies_text(hf_jnode root, struct hf_buf *out)
{
    HF_JFOREACH(p, hf_jget(root, "policies"))
    {
        hf_buf_addz(out, "\npolicy ");
        hf_buf_add_escaped(out, hf_jgetstr(p, "policy"), 0);
        hf_buf_addf(out, ": %.*s", HF_SPAN_ARG(hf_jgetstr(p, "mode")));
        if (!hf_span_eq(hf_jgetstr(p, "mode"), hf_jgetstr(p, "mode_of_file")))
            hf_buf_addf(out, " (its file says %.*s)", HF_SPAN_ARG(hf_jgetstr(p, "mode_of_file")));
        hf_buf_addf(out, "%s%s", hf_jis_true(hf_jget(p, "maintenance")) ? ", in a maintenance window" : "", hf_jis_true(hf_jget(p, "disarmed")) ? ", DISARMED: " : "");
        hf_buf_add_escaped(out, hf_jgetstr(p, "why"), 0);
        hf_buf_addf(out, "; refused %llu, would have refused %llu\n", (unsigned long long)number(hf_jget(p, "refused")), (unsigned long long)number(hf_jget(p, "would_have_refused")));
        HF_JFOREACH(c, hf_jget(p, "clauses"))
        {
            hf_buf_addz(out, "    ");
            cell(out, hf_jgetstr(c, "clause"), 20);
            hf_buf_addf(out, "%s%.*s%s", hf_jis_true(hf_jget(c, "judged_first_by_fanotify")) ? "fanotify, then " : "", HF_SPAN_ARG(hf_jgetstr(c, "rung")),
                    hf_jis_true(hf_jget(c, "proved")) ? " (proved)" : "");
            if (hf_jgetstr(c, "why").n) {
                hf_buf_addz(out, "; ");
                hf_buf_add_escaped(out, hf_jgetstr(c, "why"), 0);
            }
            hf_buf_addc(out, '\n');
        }
    }
}

static bool is_off(hf_jnode root, struct hf_span policy)
{
    if (hf_jis_true(hf_jget(root, "all_off")))
        return true;
    HF_JFOREACH(p, hf_jget(root, "policies"))
    if (hf_span_eq(hf_jgetstr(p, "policy"), policy))
        return hf_span_eqz(hf_jgetstr(p, "mode"), "off");
    return false;
}

static void containers_text(hf_jnode root, struct hf_buf *out)
{
    if (hf_jfirst(hf_jget(root, "containers")))
        hf_buf_addf(out, "\n%-24s %-28s %-20s %-10s %8s %8s\n", "CONTAINER", "IMAGE", "POLICY", "STATE", "REFUSED", "WOULD");
    HF_JFOREACH(c, hf_jget(root, "containers"))
    {
        cell(out, hf_jgetstr(c, "name"), 24);
        cell(out, hf_jgetstr(c, "image"), 28);
        cell(out, hf_jgetstr(c, "policy"), 20);
        hf_buf_addf(out, "%-10s %8llu %8llu\n", hf_jis_true(hf_jget(c, "enforced")) ? "enforced" : is_off(root, hf_jgetstr(c, "policy")) ? "off" : "counted", (unsigned long long)number(hf_jget(c, "refused")),
                (unsigned long long)number(hf_jget(c, "would_have_refused")));
    }
    hf_buf_addf(out, "\n%llu containers without a policy\n", (unsigned long long)number(hf_jget(root, "containers_without_policy")));
}

static void counts_text(hf_jnode root, struct hf_buf *out)
{
    if (hf_jfirst(hf_jget(root, "counts")))
        hf_buf_addf(out, "\nrefused, or would have been, in the last seven days:\n%8s %-16s %-20s %-20s %-32s %s\n", "TIMES", "LAST", "POLICY", "CLAUSE", "WHAT", "BY");
    HF_JFOREACH(c, hf_jget(root, "counts"))
    {
        char when[32];
        time_t last = (time_t)number(hf_jget(c, "last"));
        struct tm tm;
        gmtime_r(&last, &tm);
        strftime(when, sizeof when, "%Y-%m-%d %H:%M", &tm);
        hf_buf_addf(out, "%8llu %-16s ", (unsigned long long)number(hf_jget(c, "count")), when);
        cell(out, hf_jgetstr(c, "policy"), 20);
        cell(out, hf_jgetstr(c, "clause"), 20);
        cell(out, hf_jgetstr(c, "what"), 32);
        hf_buf_add_escaped(out, hf_jgetstr(c, "by"), 60);
        hf_buf_addc(out, '\n');
    }
}

static void tell_left(void *ctx, const char *pin, uint64_t pid, const char *state)
{
    (void)ctx;
    if (is_guard(pid))
        return;
    if (!state[0])
        hf_log(HF_LOG_WARNING, "left", "programs of a guard are in force by %s, which does not say of what state; umount -l %s ends them", pin, pin);
    else
        hf_log(HF_LOG_WARNING, "left", "a guard with the state in %s was killed, and what its policies close stays closed: a watch with that state takes over, or \"holdfast protect off --state %s\" ends it", state, state);
}

static int status(int argc, char **argv)
{
    bool json = false;
    const char *state = HF_STATE_DIR;
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as JSON"},
            {"state", 0, HF_OPT_STR, &state, "DIR", NULL, 0, 0, "folder that watch keeps its state in (" HF_STATE_DIR ")"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"protect status", "[options]", "which policies are in force, on which rung, and what they refused",
            "As the running watch wrote it within the last seconds. Exit 4 when none runs, or a clause stands on no rung.", opts, 0, 0};
    const char *args[1];
    size_t n;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_guard_kernel_pinned(tell_left, NULL);
    hf_autobuf text = HF_BUF_INIT(STATUS_MAX), out = HF_BUF_INIT(STATUS_MAX);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    rc = read_state(state, "status.json", &text, &err);
    if (rc == -ENOENT)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_NOT_FOUND, "no watch with policies has run with the state in %s (holdfast watch --policy PATH)", state));
    rc = rc < 0 ? rc : hf_json_parse(hf_buf_span(&text), &doc, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    hf_jnode root = hf_json_root(doc);
    /* what ended within the last seconds has written just as lately as what runs */
    bool alive = (uint64_t)time(NULL) <= number(hf_jget(root, "time")) + HF_PROTECT_ALIVE_S && is_guard(number(hf_jget(root, "pid"))), whole = alive;
    HF_JFOREACH(p, hf_jget(root, "policies"))
    HF_JFOREACH(c, hf_jget(p, "clauses"))
    whole &= hf_jis_true(hf_jget(c, "proved"));
    if (json) {
        hf_buf_adds(&out, hf_buf_span(&text));
    } else {
        hf_buf_addf(&out, alive ? "guard %llu is running%s\n" : "guard %llu is not running: nothing is judged; what follows is the last it said%s\n", (unsigned long long)number(hf_jget(root, "pid")),
                hf_jis_true(hf_jget(root, "all_off")) ? "; all policies are off (holdfast protect on)" : "");
        if (hf_jgetstr(root, "error").n) {
            hf_buf_addz(&out, "error: ");
            hf_buf_add_escaped(&out, hf_jgetstr(root, "error"), 0);
            hf_buf_addc(&out, '\n');
        }
        policies_text(root, &out);
        containers_text(root, &out);
        counts_text(root, &out);
    }
    return hf_cli_print(&out, whole ? HF_EXIT_OK : HF_EXIT_INCOMPLETE);
}

/* ---- modes ---- */

enum { ALL_OFF = 100, ALL_ON };

/* Reads, changes and replaces the file of modes; one at a time. */
static int change(const char *state, const char *policy, int mode, struct hf_err *err)
{
    char dir[4200], path[4300], lock[4300];
    hf_autobuf text = HF_BUF_INIT(65537), out = HF_BUF_INIT(65537);
    struct hf_protect_modes m = {.n = 0};
    snprintf(dir, sizeof dir, "%s/%s", state, HF_PROTECT_DIR);
    snprintf(path, sizeof path, "%s/modes", dir);
    snprintf(lock, sizeof lock, "%s/modes.lock", dir);
    int rc = hf_mkdirs(dir, 0700, err);
    hf_autoclose int fd = rc < 0 ? -1 : open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (rc < 0 || fd < 0 || flock(fd, LOCK_EX) < 0)
        return rc < 0 ? rc : hf_fail(err, -errno, "%s: %s", lock, strerror(errno));
    rc = hf_read_file(path, &text, err);
    rc = rc == -ENOENT ? 0 : rc < 0 ? rc : hf_protect_modes_parse(hf_buf_span(&text), &m, err);
    if (rc < 0)
        return rc;
    if (mode >= ALL_OFF)
        m.all_off = mode == ALL_OFF;
    else
        rc = hf_protect_modes_set(&m, policy, mode, err);
    hf_protect_modes_write(&m, &out);
    return rc < 0 ? rc : hf_write_file(path, 0600, hf_buf_span(&out), err);
}

/* Whether the policies that are in force have this one; not known: yes. */
static bool known_policy(const char *state, const char *policy)
{
    hf_autobuf text = HF_BUF_INIT(STATUS_MAX);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (read_state(state, "status.json", &text, &ignored) < 0 || hf_json_parse(hf_buf_span(&text), &doc, &ignored) < 0)
        return true;
    HF_JFOREACH(p, hf_jget(hf_json_root(doc), "policies"))
    if (hf_span_eqz(hf_jgetstr(p, "policy"), policy))
        return true;
    return false;
}

/* Whether the guard that wrote the status is there: then it holds its pins, and lets go by itself. */
static bool guard_runs(const char *state)
{
    hf_autobuf text = HF_BUF_INIT(STATUS_MAX);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (read_state(state, "status.json", &text, &ignored) < 0 || hf_json_parse(hf_buf_span(&text), &doc, &ignored) < 0)
        return false;
    return is_guard(number(hf_jget(hf_json_root(doc), "pid")));
}

static int later(const char *state)
{
    if (!guard_runs(state))
        fprintf(stderr, "holdfast: note: no watch with policies runs with the state in %s; this counts from the next one on\n", state);
    return HF_EXIT_OK;
}

static int mode(int argc, char **argv)
{
    static const char *const names[] = {"observe", "rehearse", "canary", "enforce", "off", "file", NULL};
    const char *state = HF_STATE_DIR;
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"state", 0, HF_OPT_STR, &state, "DIR", NULL, 0, 0, "folder that watch keeps its state in (" HF_STATE_DIR ")"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"protect mode", "[options] POLICY MODE", "another mode for a policy, instead of that of its file",
            "MODE is observe, rehearse, canary, enforce, off, or file: as its file says. The running watch follows within a second, and what was disarmed is armed again.", opts, 2, 2};
    const char *args[3];
    size_t n, i = 0;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    while (names[i] && strcmp(names[i], args[1]))
        i++;
    if (!names[i])
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "\"%s\" is no mode: observe, rehearse, canary, enforce, off, file", args[1]));
    if (!known_policy(state, args[0]))
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "no policy \"%s\" is in force (holdfast protect status)", args[0]));
    rc = change(state, args[0], i == 5 ? (int)HF_OVERRIDE_NONE : (int)i, &err);
    return rc < 0 ? hf_cli_fail(&err, rc) : later(state);
}

static int all(const char *name, const char *summary, const char *details, int to, int argc, char **argv)
{
    const char *state = HF_STATE_DIR;
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"state", 0, HF_OPT_STR, &state, "DIR", NULL, 0, 0, "folder that watch keeps its state in (" HF_STATE_DIR ")"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {name, "[options]", summary, details, opts, 0, 0};
    const char *args[1];
    size_t n;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    if (to == ALL_OFF && !guard_runs(state)) { /* what a guard that was killed left closed, too */
        char pins[HF_GUARD_PINS_PATH];
        hf_guard_pins(state, pins);
        hf_guard_kernel_unpin(pins);
        (void)umount2(pins, MNT_DETACH);
        (void)rmdir(pins);
        hf_hold_release_all(state);
    }
    rc = change(state, NULL, to, &err);
    return rc < 0 ? hf_cli_fail(&err, rc) : later(state);
}

static int off(int argc, char **argv)
{
    return all("protect off", "nothing is refused any more, by any policy",
            "The running watch follows within a second; a later one begins so too, until \"protect on\". Also ends what a policy that fails closed holds after its guard was killed.", ALL_OFF, argc, argv);
}

static int on(int argc, char **argv)
{
    return all("protect on", "policies are in force again after \"protect off\"", NULL, ALL_ON, argc, argv);
}

int hf_cmd_protect(int argc, char **argv)
{
    static const struct hf_cli_command commands[] = {
            {"status", status, "which policies are in force, on which rung, and what they refused"},
            {"mode", mode, "another mode for a policy, instead of that of its file"},
            {"off", off, "nothing is refused any more, by any policy"},
            {"on", on, "policies are in force again after \"protect off\""},
    };
    return hf_cli_group("protect", "policies in force", commands, HF_ARRAY_LEN(commands), argc, argv);
}
