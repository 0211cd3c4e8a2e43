/* SPDX-License-Identifier: Apache-2.0 */
/* group.h - a command that has others below it: "db update", "rules check". */
#pragma once
#include <stddef.h>

struct hf_cli_command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is its name */
    const char *summary;               /* one line */
};
#define HF_CLI_GROUP_MAX 16u
/* Runs the one that argv[1] names, or lists them for --help; else says which there are.  Returns the exit code. */
int hf_cli_group(const char *group, const char *summary, const struct hf_cli_command *commands, size_t n, int argc, char **argv);
