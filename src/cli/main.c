/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast: the table of commands. */
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
        {"scan", hf_cmd_scan, "what is in an image, and what of it is vulnerable"},
        {"inuse", hf_cmd_inuse, "which packages of an image ran or were loaded in its containers"},
        {"db", hf_cmd_db, "the advisory database: update, build, status, show, export, import, cmp"},
        {"config", hf_cmd_config, "show or check the settings"},
        {"rules", hf_cmd_rules, "rule files: list, check, explain, replay"},
        {"seal", hf_cmd_seal, "every file of an image with its digest: make, verify, show, diff"},
        {"policy", hf_cmd_policy, "what containers may not do: check, test, explain"},
        {"incident", hf_cmd_incident, "what alerts have become: list, show, ack, assign, comment, resolve, export, import"},
        {"inventory", hf_cmd_inventory, "what runs where and what is in it: add, hosts, containers, images, packages, findings, rematch"},
        {"audit", hf_cmd_audit, "who changed what: list, verify"},
        {"store", hf_cmd_store, "what holdfast remembers: check it, move it to another database, delete what is old"},
        {"notify", hf_cmd_notify, "who hears of incidents: check, test, send, dead"},
#ifdef HF_CONSOLE
        {"console", hf_cmd_console, "the page and the API over a store, without the daemon"},
        {"user", hf_cmd_user, "who may use the console: add, list, passwd, role, remove, unlock, link"},
        {"token", hf_cmd_token, "tokens for programs that use the console's API: add, list, remove"},
#endif
#ifdef HF_SENSOR
        {"daemon", hf_cmd_daemon, "watch, keep, tell and show: all of it, watched over"},
        {"protect", hf_cmd_protect, "policies in force: status, mode, off, on"},
        {"watch", hf_cmd_watch, "what containers start, connect to and do, live, with alerts"},
        {"respond", hf_cmd_respond, "freeze, kill, isolate, limit or keep evidence of a container; and undo it"},
        {"sensor", hf_cmd_sensor, "what this kernel lets the sensor see"},
#endif
};

/* "| head": who reads has seen enough. */
static bool reader_left(void)
{
    struct pollfd p = {STDOUT_FILENO, 0, 0};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

int hf_cli_fail(const struct hf_err *err, int rc)
{
    fflush(stdout);
    if (rc != -EIO || !reader_left())
        hf_log(HF_LOG_ERR, "failed", "%s", err->msg[0] ? err->msg : hf_err_name(rc));
    return rc == HF_E_USAGE ? HF_EXIT_USAGE : HF_EXIT_FAILED;
}

int hf_cli_stdout(void *ctx, struct hf_span piece)
{
    FILE *f = ctx ? ctx : stdout;
    return fwrite(piece.p, 1, piece.n, f) == piece.n ? 0 : -EIO;
}

int hf_cli_print(const struct hf_buf *out, int code)
{
    static bool told;
    struct hf_err err = HF_ERR_INIT;
    int rc = 0;
    if (out && !hf_buf_ok(out))
        rc = hf_fail(&err, HF_E_LIMIT, "the result is over %zu MiB; narrow it down", out->max >> 20);
    else if ((out && hf_cli_stdout(NULL, hf_buf_span(out)) < 0) || fflush(stdout) != 0)
        rc = hf_fail(&err, -EIO, "the result could not be written to standard output");
    if (rc < 0 && !told)
        (void)hf_cli_fail(&err, rc);
    told |= rc < 0;
    return rc < 0 ? HF_EXIT_FAILED : code;
}

void hf_cli_cell(struct hf_buf *out, struct hf_span text, size_t width)
{
    size_t used = hf_buf_add_escaped(out, text, width);
    hf_buf_addf(out, "%*s", (int)(width - HF_MIN(used, width)) + 2, "");
}

static void help(FILE *f)
{
    fprintf(f, "holdfast %s - container security\n\nUsage: holdfast COMMAND [options] ...\n\nCommands:\n", HF_VERSION);
    for (size_t i = 0; i < HF_ARRAY_LEN(commands); i++)
        fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(f, "\n\"holdfast COMMAND --help\" says more. Exit codes: 0 done, 1 findings at or above --fail-on, 2 wrong usage,\n"
               "3 failed, 4 finished but something could not be examined.\n");
}

int main(int argc, char **argv)
{
    /* Package names are bytes; only multi-byte output of messages needs a locale. */
    setlocale(LC_CTYPE, "C.UTF-8");
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        help(stderr);
        return HF_EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        help(stdout);
        return HF_EXIT_OK;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("holdfast %s\n", HF_VERSION);
        return HF_EXIT_OK;
    }
    const char *names[HF_ARRAY_LEN(commands) + 1] = {NULL};
    for (size_t i = 0; i < HF_ARRAY_LEN(commands); i++) {
        if (!strcmp(argv[1], commands[i].name)) {
            int rc = commands[i].run(argc - 1, argv + 1);
            return rc == HF_EXIT_USAGE ? rc : hf_cli_print(NULL, rc);
        }
        names[i] = commands[i].name;
    }
    struct hf_err err = HF_ERR_INIT;
    const char *near = hf_nearest(argv[1], names);
    return hf_cli_fail(&err, near ? hf_fail(&err, HF_E_USAGE, "unknown command \"%s\"; did you mean %s?", argv[1], near)
                                  : hf_fail(&err, HF_E_USAGE, "unknown command \"%s\"; \"holdfast --help\" lists them", argv[1]));
}
