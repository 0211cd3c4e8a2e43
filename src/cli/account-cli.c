// SPDX-License-Identifier: Apache-2.0
#include "cli/account-cli.h"

int hf_cli_accounts_list(const char *command, const char *summary, const char *details, int argc, char **argv, int (*each)(struct hf_store *s, struct hf_cli_listing *l, struct hf_err *err))
{
    struct hf_cli_place a = {NULL};
    const char *args[1];
    bool json = false;
    size_t n;
    const struct hf_opt opts[] = {HF_CLI_PLACE_OPTS(a), {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as JSON"}, HF_CLI_OPTS_END};
    const struct hf_command cmd = {command, "[options]", summary, details, opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(4u << 20);
    struct hf_jw w;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    struct hf_cli_listing l = {&out, json ? &w : NULL};
    hf_jw_init(&w, &out, true);
    if (json)
        hf_jw_array(&w);
    rc = rc < 0 ? rc : hf_cli_store(a.url, a.file, 0, &a.store, &err);
    rc = rc < 0 ? rc : each(a.store, &l, &err);
    if (json) {
        hf_jw_array_end(&w);
        hf_buf_addc(&out, '\n');
    }
    hf_cli_place_done(&a);
    return rc < 0 ? hf_cli_fail(&err, rc) : hf_cli_print(&out, HF_EXIT_OK);
}
