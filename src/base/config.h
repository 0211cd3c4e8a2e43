/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - settings: default < /etc/holdfast/holdfast.yaml < /etc/holdfast/conf.d/x.yaml < environment < command line.
 *
 * One table row an option drives the parser, `holdfast config show|check`, the man page and the sample file.  Unknown keys
 * and bad values are errors with file:line, what was expected and the nearest known key. */
#pragma once
#include "base/opts.h"

struct hf_config {
    char *cache_dir;    /* scan.cache_dir: layer facts */
    char *db_path;      /* db.path: advisory database */
    uint64_t db_max_age_h;  /* db.max_age_hours: older sources are reported as stale */
    uint64_t max_memory;    /* scan.max_memory, bytes */
    char *docker_host;  /* docker.host: socket of the daemon */
};
/* Defaults depend on who runs: root uses /var/lib/holdfast, others $XDG_CACHE_HOME/holdfast and $XDG_DATA_HOME/holdfast. */
HF_MUSTUSE int hf_config_load(struct hf_config **ret, const char *file_or_null, struct hf_err *err);
void hf_config_free(struct hf_config *c);
HF_DEFINE_FREEP(struct hf_config, hf_config_free)
/* "key  value  where it came from" lines. */
void hf_config_show(const struct hf_config *c, struct hf_buf *out);
