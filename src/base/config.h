/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - settings: default < /etc/holdfast/holdfast.yaml < /etc/holdfast/conf.d/x.yaml < environment < command line.
 *
 * One table row an option drives the parser, `holdfast config show|check`, the man page and the sample file.  Unknown keys,
 * keys given twice in a file and bad values are errors (HF_E_USAGE) with file:line, what was expected and the nearest known
 * key.  The environment variable of section.key is HOLDFAST_SECTION_KEY.  Files are YAML, at most 1 MiB each. */
#pragma once
#include "base/opts.h"

struct hf_config {
    char *cache_dir;    /* scan.cache_dir: layer facts */
    char *db_path;      /* db.path: advisory database */
    char *db_mirror;       /* db.mirror: "public" or the address of a mirror */
    char *db_download_dir; /* db.download_dir: what was fetched */
    char *db_trusted_key;  /* db.trusted_key: PEM file */
    uint64_t db_max_age_h;  /* db.max_age_hours: older sources are reported as stale */
    uint64_t max_memory;    /* scan.max_memory, bytes */
    char *store_url;    /* store.url: what hf_store_open takes */
    uint64_t keep_alerts_d, keep_incidents_d, keep_containers_d, keep_dead_d; /* store.keep_..._days; 0: for good */
    char *incident_severity;  /* inventory.incident_severity: new advisories from here on become incidents */
    uint64_t incidents_alone; /* inventory.incidents_alone */
    uint64_t incident_in_use; /* inventory.incident_in_use: only of packages in use, and what is exploited */
    uint64_t keep_alerts_max; /* store.keep_alerts_size, bytes; 0: no limit */
    char *docker_host;  /* docker.host: socket of the daemon */
    char *containerd_root, *podman_root; /* containerd.root, podman.root: folders of their stores; empty: the usual ones */
    /* `holdfast daemon`; texts that may be empty are "" then, never NULL */
    char *daemon_user, *daemon_state;
    char *daemon_rules, *daemon_exceptions, *daemon_policy, *daemon_notify, *daemon_ignore_file; /* files or folders; may be empty */
    uint64_t daemon_respond, daemon_scan; /* yes: 1 */
    uint64_t daemon_verify_h;   /* daemon.verify_hours; 0: never */
    char *daemon_verify_ignore; /* daemon.verify_ignore: patterns with blanks between */
    char *console_listen, *console_tls_cert, *console_tls_key, *console_public_url;
    char *console_oidc;
    uint64_t console_behind_proxy; /* yes: 1 */
};
/* Defaults depend on who runs: root uses /var/lib/holdfast, others $XDG_CACHE_HOME/holdfast and $XDG_DATA_HOME/holdfast. */
HF_MUSTUSE int hf_config_load(struct hf_config **ret, const char *file_or_null, struct hf_err *err);
/* The same with another folder than /etc/holdfast. */
HF_MUSTUSE int hf_config_load_from(struct hf_config **ret, const char *dir, const char *file_or_null, struct hf_err *err);
/* Defaults and this text only; name stands for the file in messages. */
HF_MUSTUSE int hf_config_parse(struct hf_config **ret, struct hf_span text, const char *name, struct hf_err *err);
void hf_config_free(struct hf_config *c);
HF_DEFINE_FREEP(struct hf_config, hf_config_free)
/* "key  value  where it came from" lines. */
void hf_config_show(const struct hf_config *c, struct hf_buf *out);
