/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast db export and db import: the database as one signed file. */
#include <stdio.h>

#include "advisories/transport/transport.h"
#include "base/config.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/cli.h"

enum { MAX_ARGS = 64 };
#define MAX_DB ((uint64_t)16 << 30)

static int begin(const struct hf_command *cmd, int argc, char **argv, const char **args, struct hf_config **config, struct hf_err *err)
{
    size_t n;
    if (argc > MAX_ARGS)
        return hf_fail(err, HF_E_USAGE, "too many arguments");
    int rc = hf_opts_parse(cmd, argc, argv, args, &n, err);
    return rc == 0 ? hf_config_load(config, NULL, err) : rc;
}

int hf_cmd_db_export(int argc, char **argv)
{
    const char *key = NULL, *db = NULL, *args[MAX_ARGS];
    const struct hf_opt opts[] = {
            {"key", 0, HF_OPT_STR, &key, "FILE", NULL, 0, 0, "private key that signs it (PEM, ed25519)"},
            {"db", 0, HF_OPT_STR, &db, "FILE", NULL, 0, 0, "database (default: db.path of the settings)"},
            {0},
    };
    const struct hf_command cmd = {"db export", "--key FILE [options] OUTPUT", "write the database as one signed file", NULL, opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_config_freep) struct hf_config *config = NULL;
    int rc = begin(&cmd, argc, argv, args, &config, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    if (!key)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "no key to sign with; make one with: openssl genpkey -algorithm ed25519 -out key.pem, and give --key key.pem"));
    rc = hf_transport_export(db ? db : config->db_path, args[0], key, &err);
    return rc < 0 ? hf_cli_fail(&err, rc) : HF_EXIT_OK;
}

int hf_cmd_db_import(int argc, char **argv)
{
    const char *key = NULL, *db = NULL, *args[MAX_ARGS];
    bool older = false;
    const struct hf_opt opts[] = {
            {"key", 0, HF_OPT_STR, &key, "FILE", NULL, 0, 0, "public key of who signed it (default: db.trusted_key of the settings)"},
            {"db", 0, HF_OPT_STR, &db, "FILE", NULL, 0, 0, "database to replace (default: db.path of the settings)"},
            {"allow-older", 0, HF_OPT_FLAG, &older, NULL, NULL, 0, 0, "also when the present database is newer"},
            {0},
    };
    const struct hf_command cmd = {"db import", "[options] FILE", "take a database that db export wrote",
            "The signature is verified before anything of the database is written; without success the present one stays.", opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_config_freep) struct hf_config *config = NULL;
    int rc = begin(&cmd, argc, argv, args, &config, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    const char *path = db ? db : config->db_path;
    struct hf_transport_opts o = {.key_pem = key ? key : config->db_trusted_key, .allow_older = older, .max_bytes = MAX_DB};
    hf_autobuf dir = HF_BUF_INIT(8192);
    hf_buf_adds(&dir, hf_span_dirname(hf_span_z(path)));
    rc = dir.n ? hf_mkdirs(hf_buf_z(&dir), 0755, &err) : 0;
    if (rc >= 0)
        rc = hf_transport_import(args[0], path, &o, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    hf_log(HF_LOG_NOTICE, "import", "%s: taken, signed by the key %s", path, o.key_pem);
    return HF_EXIT_OK;
}
