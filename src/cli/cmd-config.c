/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/config.h"
#include "cli/cli.h"

int hf_cmd_config(int argc, char **argv)
{
    const char *file = NULL, *args[64];
    const struct hf_opt opts[] = {{"config", 'c', HF_OPT_STR, &file, "FILE", NULL, 0, 0, "read this file instead of /etc/holdfast"}, {0}};
    const struct hf_command cmd = {"config", "[options] show|check", "show or check the settings", NULL, opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    size_t n;
    if (argc > 60)
        return HF_EXIT_USAGE;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    if (strcmp(args[0], "show") != 0 && strcmp(args[0], "check") != 0)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "\"%s\" is neither show nor check", args[0]));
    hf_cleanup(hf_config_freep) struct hf_config *c = NULL;
    rc = hf_config_load(&c, file, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (!strcmp(args[0], "show")) {
        hf_autobuf out = HF_BUF_INIT(1 << 20);
        hf_config_show(c, &out);
        fwrite(out.p, 1, out.n, stdout);
    } else {
        puts("the configuration is good");
    }
    return HF_EXIT_OK;
}
