/* SPDX-License-Identifier: Apache-2.0 */
/* account-cli.h - what the commands of accounts and of tokens share. */
#pragma once
#include "base/json.h"
#include "cli/incident-cli.h"

struct hf_cli_listing {
    struct hf_buf *out;
    struct hf_jw *json; /* NULL: a table is wanted; else an array is open */
};
/* "COMMAND list [--json]": each writes what there is.  Returns the exit code. */
int hf_cli_accounts_list(const char *command, const char *summary, const char *details, int argc, char **argv, int (*each)(struct hf_store *s, struct hf_cli_listing *l, struct hf_err *err));
