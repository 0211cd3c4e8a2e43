// SPDX-License-Identifier: Apache-2.0
#include "cli/group.h"

#include <stdio.h>

#include "base/opts.h"
#include "cli/cli.h"

int hf_cli_group(const char *group, const char *summary, const struct hf_cli_command *commands, size_t n, int argc, char **argv)
{
    const char *names[HF_CLI_GROUP_MAX + 1] = {NULL};
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf all = HF_BUF_INIT(1024);
    if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        printf("holdfast %s - %s\n\nUsage: holdfast %s COMMAND [options]\n\nCommands:\n", group, summary, group);
        for (size_t i = 0; i < n; i++)
            printf("  %-10s %s\n", commands[i].name, commands[i].summary);
        return HF_EXIT_OK;
    }
    for (size_t i = 0; i < n && i < HF_CLI_GROUP_MAX; i++) {
        if (argc >= 2 && !strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
        names[i] = commands[i].name;
        hf_buf_addf(&all, "%s%s", i ? ", " : "", names[i]);
    }
    if (argc < 2)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "which? holdfast %s %s", group, hf_buf_z(&all)));
    const char *near = hf_nearest(argv[1], names);
    if (near)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "unknown command \"%s %s\"; did you mean %s %s", group, argv[1], group, near));
    return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "unknown command \"%s %s\"; there are %s", group, argv[1], hf_buf_z(&all)));
}
