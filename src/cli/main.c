/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast: the table of commands. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "cli/cli.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
        {"scan", hf_cmd_scan, "what is in an image, and what of it is vulnerable"},
        {"db", hf_cmd_db, "the advisory database: update, build, status, show, export, import, cmp"},
        {"config", hf_cmd_config, "show or check the settings"},
        {"rules", hf_cmd_rules, "rule files: list, check, explain, replay"},
#ifdef HF_SENSOR
        {"watch", hf_cmd_watch, "what containers start, connect to and do, live, with alerts"},
        {"sensor", hf_cmd_sensor, "what this kernel lets the sensor see"},
#endif
};

int hf_cli_fail(const struct hf_err *err, int rc)
{
    fflush(stdout);
    hf_log(HF_LOG_ERR, "failed", "%s", err->msg[0] ? err->msg : hf_err_name(rc));
    return rc == HF_E_USAGE ? HF_EXIT_USAGE : HF_EXIT_FAILED;
}

int hf_cli_stdout(void *ctx, struct hf_span piece)
{
    FILE *f = ctx ? ctx : stdout;
    return fwrite(piece.p, 1, piece.n, f) == piece.n ? 0 : -EIO;
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
            if (fflush(stdout) != 0 && rc != HF_EXIT_USAGE) {
                struct hf_err err = HF_ERR_INIT;
                return hf_cli_fail(&err, hf_fail(&err, -EIO, "the result could not be written to standard output"));
            }
            return rc;
        }
        names[i] = commands[i].name;
    }
    struct hf_err err = HF_ERR_INIT;
    const char *near = hf_nearest(argv[1], names);
    return hf_cli_fail(&err, near ? hf_fail(&err, HF_E_USAGE, "unknown command \"%s\"; did you mean %s?", argv[1], near)
                                  : hf_fail(&err, HF_E_USAGE, "unknown command \"%s\"; \"holdfast --help\" lists them", argv[1]));
}
