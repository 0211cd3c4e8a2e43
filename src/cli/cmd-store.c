// SPDX-License-Identifier: Apache-2.0
/* holdfast store: the store looked over, and moved to another database. */
#include <stdio.h>

#include "base/config.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/group.h"
#include "cli/store-cli.h"
#include "store/keep.h"

/* ---- check ---- */

struct report {
    struct hf_buf *out;
    struct hf_jw *json; /* or NULL */
};

static void part(void *ctx, const char *name, uint64_t rows, const char *problem)
{
    struct report *r = ctx;
    if (r->json) {
        hf_jw_object(r->json);
        hf_jw_kstrz(r->json, "part", name);
        if (problem)
            hf_jw_kstrz(r->json, "problem", problem);
        else
            hf_jw_ku64(r->json, "rows", rows);
        hf_jw_object_end(r->json);
        return;
    }
    hf_buf_addf(r->out, "%-12s ", name);
    if (problem)
        hf_buf_addf(r->out, "DAMAGED  %s\n", problem);
    else
        hf_buf_addf(r->out, "good     %llu rows\n", (unsigned long long)rows);
}

static int check(int argc, char **argv)
{
    hf_cleanup(hf_cli_place_done) struct hf_cli_place at = {NULL};
    const char *args[2];
    bool json = false;
    size_t n;
    const struct hf_opt opts[] = {
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as JSON"},
            HF_CLI_PLACE_OPTS(at),
            HF_CLI_OPTS_END,
    };
    const struct hf_command cmd = {"store check", "[options]", "is everything in the store readable and unaltered",
            "Reads every row of every table, pages and indexes too on SQLite, verifies the hash chain of the audit log, and goes on after a problem. Changes nothing. "
            "Exit 1 when there is a problem.", opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_cli_place_open(&at, &cmd, argc, argv, args, &n, HF_STORE_READ_ONLY, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    hf_autobuf out = HF_BUF_INIT(1u << 20);
    struct hf_jw w;
    hf_jw_init(&w, &out, true);
    struct report r = {&out, json ? &w : NULL};
    if (json) {
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "store", hf_store_name(at.store));
        hf_jw_key(&w, "parts");
        hf_jw_array(&w);
    }
    rc = hf_store_check(at.store, part, &r, &err);
    if (json) {
        hf_jw_array_end(&w);
        hf_jw_object_end(&w);
        hf_buf_addc(&out, '\n');
    }
    if (hf_cli_print(&out, HF_EXIT_OK) != HF_EXIT_OK)
        return HF_EXIT_FAILED;
    return rc < 0 ? hf_cli_fail(&err, rc) : rc > 0 ? HF_EXIT_FINDINGS : HF_EXIT_OK;
}

/* ---- migrate ---- */

struct moved {
    struct hf_buf *out;
    struct {
        const char *table;
        uint64_t rows;
    } last;
};

static void flush(struct moved *m)
{
    if (m->last.table)
        hf_buf_addf(m->out, "%-12s %llu rows\n", m->last.table, (unsigned long long)m->last.rows);
}

static void progress(void *ctx, const char *table, uint64_t rows)
{
    struct moved *m = ctx;
    if (m->last.table && strcmp(m->last.table, table) != 0)
        flush(m);
    m->last.table = table;
    m->last.rows = rows;
}

static int migrate(int argc, char **argv)
{
    const char *args[3];
    size_t n;
    const struct hf_opt opts[] = {HF_CLI_OPTS_END};
    const struct hf_command cmd = {"store migrate", "FROM TO", "copy a store to another, empty one",
            "FROM and TO are addresses: a path from the root, sqlite:PATH, or postgresql://USER@HOST/NAME. All of it is copied, or nothing; FROM stays as it is. The hash chain "
            "of the audit log is verified on both sides. Stop what writes to FROM before: what it writes afterwards is not in TO.", opts, 2, 2};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_store_closep) struct hf_store *from = NULL, *to = NULL;
    hf_autobuf out = HF_BUF_INIT(65536);
    struct moved m = {.out = &out};
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    if (rc == 0)
        rc = hf_store_open_with(&from, args[0], HF_STORE_MUST_EXIST, &err);
    if (rc == 0)
        rc = hf_store_open(&to, args[1], &err);
    if (rc == 0)
        rc = hf_store_migrate(from, to, progress, &m, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    flush(&m);
    return hf_cli_print(&out, HF_EXIT_OK);
}

/* ---- retain ---- */

static int retain(int argc, char **argv)
{
    hf_cleanup(hf_cli_place_done) struct hf_cli_place at = {NULL};
    const char *args[1];
    bool json = false, dry = false;
    size_t n;
    const struct hf_opt opts[] = {
            {"dry-run", 0, HF_OPT_FLAG, &dry, NULL, NULL, 0, 0, "only say how much it would be"},
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as JSON"},
            HF_CLI_PLACE_OPTS(at),
            HF_CLI_OPTS_END,
    };
    const struct hf_command cmd = {"store retain", "[options]", "delete what is older or more than the settings keep",
            "As the daemon does once a day: what store.keep_... of the settings say. An audit entry says how much went.", opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_config_freep) struct hf_config *config = NULL;
    hf_autobuf out = HF_BUF_INIT(65536);
    struct hf_retention r;
    struct hf_retained done = {0};
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : hf_config_load(&config, at.file, &err);
    rc = rc < 0 ? rc : hf_cli_store(at.url, at.file, dry ? HF_STORE_READ_ONLY : HF_STORE_MUST_EXIST, &at.store, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    hf_store_retention(config, &r);
    rc = dry ? hf_store_retain_count(at.store, &r, hf_store_now(), &done, &err) : hf_store_retain(at.store, &r, hf_store_now(), &done, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    const struct {
        const char *name, *words;
        uint64_t n;
    } parts[] = {{"alerts", "alerts", done.alerts}, {"incidents", "incidents", done.incidents}, {"containers", "containers", done.containers}, {"images", "images", done.images},
            {"dead_letters", "dead letters", done.dead}, {"notes", "notes of channels", done.notes}};
    struct hf_jw w;
    hf_jw_init(&w, &out, true);
    if (json)
        hf_jw_object(&w);
    for (size_t i = 0; i < HF_ARRAY_LEN(parts); i++)
        if (json)
            hf_jw_ku64(&w, parts[i].name, parts[i].n);
        else
            hf_buf_addf(&out, "%-18s %llu %s\n", parts[i].words, (unsigned long long)parts[i].n, dry ? "would go" : "deleted");
    if (json) {
        hf_jw_object_end(&w);
        hf_buf_addc(&out, '\n');
    }
    return hf_cli_print(&out, HF_EXIT_OK);
}

int hf_cmd_store(int argc, char **argv)
{
    static const struct hf_cli_command commands[] = {
            {"check", check, "is everything in the store readable and unaltered"},
            {"migrate", migrate, "copy a store to another, empty one"},
            {"retain", retain, "delete what is older or more than the settings keep"},
    };
    return hf_cli_group("store", "what holdfast remembers", commands, HF_ARRAY_LEN(commands), argc, argv);
}
