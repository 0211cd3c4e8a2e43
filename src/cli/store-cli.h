/* SPDX-License-Identifier: Apache-2.0 */
/* store-cli.h - the store that a command reads or changes: its options, and how it is opened. */
#pragma once
#include "base/config.h"
#include "cli/cli.h"
#include "store/store.h"

struct hf_cli_place {
    const char *url, *file; /* of --store and --config */
    struct hf_store *store;
};
#define HF_CLI_PLACE_OPTS(p) \
    {"config", 'c', HF_OPT_STR, &(p).file, "FILE", NULL, 0, 0, "read this file instead of /etc/holdfast"}, \
    {"store", 0, HF_OPT_STR, &(p).url, "ADDRESS", NULL, 0, 0, "this store instead of store.url of the settings"}
#define HF_CLI_OPTS_END {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL}

/* The store of --store, else of the settings.  flags: HF_STORE_*; who only reads says so, and then waits for no writer. */
HF_MUSTUSE int hf_cli_store(const char *url, const char *config_file, unsigned flags, struct hf_store **ret, struct hf_err *err);
/* hf_opts_parse (1: help was given), then opens p->store. */
HF_MUSTUSE int hf_cli_place_open(struct hf_cli_place *p, const struct hf_command *cmd, int argc, char **argv, const char **ret_args, size_t *ret_n, unsigned flags, struct hf_err *err);
void hf_cli_place_done(struct hf_cli_place *p);
