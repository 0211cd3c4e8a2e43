/* SPDX-License-Identifier: Apache-2.0 */
/* account-cli.h - what the commands of accounts and of tokens share. */
#pragma once
#include "base/json.h"
#include "cli/incident-cli.h"

struct hf_cli_accounts {
    const char *url, *file; /* of --store and --config */
    struct hf_store *store;
};
#define HF_CLI_ACCOUNTS_OPTS(a) \
    {"config", 'c', HF_OPT_STR, &(a).file, "FILE", NULL, 0, 0, "read this file instead of /etc/holdfast"}, \
    {"store", 0, HF_OPT_STR, &(a).url, "ADDRESS", NULL, 0, 0, "this store instead of store.url of the settings"}
#define HF_CLI_OPTS_END {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL}
HF_MUSTUSE int hf_cli_accounts_open(struct hf_cli_accounts *a, struct hf_err *err);
void hf_cli_accounts_done(struct hf_cli_accounts *a);

struct hf_cli_listing {
    struct hf_buf *out;
    struct hf_jw *json; /* NULL: a table is wanted; else an array is open */
};
/* "COMMAND list [--json]": each writes what there is.  Returns the exit code. */
int hf_cli_accounts_list(const char *command, const char *summary, const char *details, int argc, char **argv, int (*each)(struct hf_store *s, struct hf_cli_listing *l, struct hf_err *err));
