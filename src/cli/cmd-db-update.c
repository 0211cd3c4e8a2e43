/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast db build and db update: a database from files, from a mirror, or from the public addresses. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "advisories/db/build.h"
#include "advisories/fetch/fetch.h"
#include "base/config.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/cli.h"

enum { MAX_ARGS = 512, MAX_FROM = 64 };

/* What is to be read, and what fetching it came to. */
struct work {
    const struct hf_config *config;
    const char *const *only;
    size_t n_only;
    bool quiet, fetched, changed, failed, any;
    const char *paths[MAX_FROM];
    char *own[MAX_FROM]; /* paths that were made here */
    size_t n;
};

static void work_done(struct work *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->own[i]);
}

/* Folder of an address below the download folder: its text with everything unusual replaced. */
static void folder_of(const struct hf_config *c, const char *mirror, struct hf_buf *out)
{
    hf_buf_addf(out, "%s/", c->db_download_dir);
    for (const char *p = mirror; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || (*p == '.' && p != mirror);
        if (plain || (out->n && out->p[out->n - 1] != '_'))
            hf_buf_addc(out, plain ? *p : '_');
    }
}

static int fetch_mirror(struct work *w, const char *mirror, struct hf_err *err)
{
    hf_autobuf folder = HF_BUF_INIT(8192);
    struct hf_fetch_result result;
    folder_of(w->config, mirror, &folder);
    if (!hf_buf_ok(&folder))
        return hf_fail(err, HF_E_USAGE, "address too long");
    struct hf_fetch_opts o = {.mirror = mirror, .folder = hf_buf_z(&folder), .only = w->only, .n_only = w->n_only, .quiet = w->quiet};
    int rc = hf_fetch(&o, &result, err);
    struct hf_span rest = hf_buf_span(&result.report), line;
    while (hf_span_line(&rest, &line))
        hf_log(HF_LOG_ERR, "fetch", HF_SPAN_FMT "; what was fetched before is kept", HF_SPAN_ARG(line));
    hf_buf_done(&result.report);
    if (rc < 0)
        return rc;
    unsigned good = result.count[HF_FETCH_NEW] + result.count[HF_FETCH_SAME];
    if (!w->quiet)
        fprintf(stderr, "holdfast: %s: %u files new, %u unchanged, %u failed\n", mirror, result.count[HF_FETCH_NEW], result.count[HF_FETCH_SAME], result.count[HF_FETCH_FAILED]);
    w->fetched = true;
    w->changed |= result.count[HF_FETCH_NEW] != 0;
    w->failed |= result.count[HF_FETCH_FAILED] != 0;
    w->any |= good != 0;
    if (!good && !result.count[HF_FETCH_FAILED])
        return hf_fail(err, HF_E_NOT_FOUND, "%s has none of the known sources", mirror);
    if (w->n == MAX_FROM)
        return hf_fail(err, HF_E_USAGE, "more than %d sources", MAX_FROM);
    if (!(w->own[w->n] = hf_span_dupz(hf_buf_span(&folder))))
        return hf_fail(err, -ENOMEM, "out of memory");
    w->paths[w->n] = w->own[w->n];
    w->n++;
    return 0;
}

static int add_source(struct work *w, const char *from, struct hf_err *err)
{
    const char *path = hf_fetch_file_path(from);
    if (!strcmp(from, "public") || (!path && hf_fetch_is_url(from)))
        return fetch_mirror(w, from, err);
    if (w->n == MAX_FROM)
        return hf_fail(err, HF_E_USAGE, "more than %d sources", MAX_FROM);
    w->own[w->n] = NULL;
    w->paths[w->n++] = path ? path : from;
    w->changed = w->any = true;
    return 0;
}

static int build(struct work *w, const char *path, struct hf_err *err)
{
    hf_autobuf dir = HF_BUF_INIT(8192), report = HF_BUF_INIT(1 << 20);
    hf_buf_adds(&dir, hf_span_dirname(hf_span_z(path)));
    int rc = dir.n ? hf_mkdirs(hf_buf_z(&dir), 0755, err) : 0;
    if (rc < 0)
        return rc;
    struct hf_advdb_build_opts o = {.quiet = w->quiet};
    rc = hf_advdb_build(w->paths, w->n, &o, path, &report, err);
    if (rc < 0 && rc != HF_E_INCOMPLETE)
        return rc;
    struct hf_span rest = hf_buf_span(&report), line;
    while (hf_span_line(&rest, &line))
        hf_log(HF_LOG_WARNING, "feed", HF_SPAN_FMT, HF_SPAN_ARG(line));
    w->failed |= rc == HF_E_INCOMPLETE;
    hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
    if ((rc = hf_advdb_open(&db, path, err)) < 0)
        return rc;
    const struct hf_adv_source *s;
    uint64_t records = 0, rejected = 0;
    size_t count = hf_advdb_sources(db, &s);
    for (size_t i = 0; i < count; i++) {
        records += s[i].records;
        rejected += s[i].rejected;
    }
    if (!w->quiet)
        printf("%s: %llu records from %zu sources%s", path, (unsigned long long)records, count, rejected ? "" : "\n");
    if (!w->quiet && rejected)
        printf(", %llu left out because they are malformed\n", (unsigned long long)rejected);
    return 0;
}

static int parse(const struct hf_command *cmd, int argc, char **argv, struct hf_err *err)
{
    const char *args[MAX_ARGS];
    size_t n;
    if (argc > MAX_ARGS)
        return hf_fail(err, HF_E_USAGE, "too many arguments");
    return hf_opts_parse(cmd, argc, argv, args, &n, err);
}

static int make(struct work *w, const struct hf_strs *from, const char *output, struct hf_err *err)
{
    const char *path = output ? output : w->config->db_path;
    struct stat st;
    int rc = 0;
    for (size_t i = 0; i < from->n && rc >= 0; i++)
        rc = add_source(w, from->v[i], err);
    if (rc < 0)
        return rc;
    if (!w->any)
        return hf_fail(err, -EIO, "nothing could be fetched; what was there is unchanged");
    if (!w->changed && stat(path, &st) == 0) {
        if (!w->quiet)
            printf("%s: up to date\n", path);
        return 0;
    }
    return build(w, path, err);
}

int hf_cmd_db_build(int argc, char **argv)
{
    struct hf_strs from = {.n = 0};
    const char *output = NULL;
    bool quiet = false;
    const struct hf_opt opts[] = {
            {"from", 0, HF_OPT_LIST, &from, "DIR|FILE|URL", NULL, 0, 0, "folder or address laid out as the public bucket, zip, or single document; may be repeated"},
            {"output", 'o', HF_OPT_STR, &output, "FILE", NULL, 0, 0, "database to write (default: db.path of the settings)"},
            {"quiet", 'q', HF_OPT_FLAG, &quiet, NULL, NULL, 0, 0, "no progress, no summary"},
            {0},
    };
    const struct hf_command cmd = {"db build", "--from DIR|FILE|URL... [--output FILE]", "make the advisory database from files or a mirror", NULL, opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_config_freep) struct hf_config *config = NULL;
    int rc = parse(&cmd, argc, argv, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    if (!from.n)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "nothing to build from; give --from DIR"));
    if ((rc = hf_config_load(&config, NULL, &err)) < 0)
        return hf_cli_fail(&err, rc);
    hf_cleanup(work_done) struct work w = {.config = config, .quiet = quiet};
    w.changed = true; /* asked for by name: always made */
    rc = make(&w, &from, output, &err);
    return rc < 0 ? hf_cli_fail(&err, rc) : w.failed ? HF_EXIT_INCOMPLETE : HF_EXIT_OK;
}

int hf_cmd_db_update(int argc, char **argv)
{
    struct hf_strs mirrors = {.n = 0}, only = {.n = 0};
    const char *output = NULL;
    bool quiet = false;
    const struct hf_opt opts[] = {
            {"mirror", 0, HF_OPT_LIST, &mirrors, "URL|DIR", NULL, 0, 0, "fetch from here instead of db.mirror (\"public\": the public addresses); may be repeated"},
            {"source", 0, HF_OPT_LIST, &only, "NAME", NULL, 0, 0, "fetch only this source (osv:Debian, debian-tracker, kev, epss...); may be repeated"},
            {"db", 0, HF_OPT_STR, &output, "FILE", NULL, 0, 0, "database to write (default: db.path of the settings)"},
            {"quiet", 'q', HF_OPT_FLAG, &quiet, NULL, NULL, 0, 0, "no progress, no summary"},
            {0},
    };
    const struct hf_command cmd = {"db update", "[options]", "fetch what changed and make the advisory database anew",
            "Only what changed is fetched, what broke off is resumed. A source that fails keeps its old copy and gives exit 4.\n"
            "Proxies are taken from the environment (https_proxy, no_proxy).",
            opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_config_freep) struct hf_config *config = NULL;
    int rc = parse(&cmd, argc, argv, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    if ((rc = hf_config_load(&config, NULL, &err)) < 0)
        return hf_cli_fail(&err, rc);
    if (!mirrors.n)
        mirrors.v[mirrors.n++] = config->db_mirror;
    hf_cleanup(work_done) struct work w = {.config = config, .quiet = quiet, .only = only.v, .n_only = only.n};
    rc = make(&w, &mirrors, output, &err);
    return rc < 0 ? hf_cli_fail(&err, rc) : w.failed ? HF_EXIT_INCOMPLETE : HF_EXIT_OK;
}
