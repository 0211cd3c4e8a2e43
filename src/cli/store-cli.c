// SPDX-License-Identifier: Apache-2.0
#include "cli/store-cli.h"

int hf_cli_store(const char *url, const char *config_file, unsigned flags, struct hf_store **ret, struct hf_err *err)
{
    hf_cleanup(hf_config_freep) struct hf_config *config = NULL;
    int rc = url ? 0 : hf_config_load(&config, config_file, err);
    return rc < 0 ? rc : hf_store_open_with(ret, url ? url : config->store_url, flags, err);
}

int hf_cli_place_open(struct hf_cli_place *p, const struct hf_command *cmd, int argc, char **argv, const char **ret_args, size_t *ret_n, unsigned flags, struct hf_err *err)
{
    int rc = hf_opts_parse(cmd, argc, argv, ret_args, ret_n, err);
    return rc ? rc : hf_cli_store(p->url, p->file, flags, &p->store, err);
}

void hf_cli_place_done(struct hf_cli_place *p)
{
    hf_store_close(hf_take(p->store));
}
