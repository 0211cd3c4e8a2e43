/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "advisories/db/advdb.h"
#include "base/config.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/group.h"
#include "report/report.h"

enum { MAX_ARGS = 512 };

static int parse(const struct hf_command *cmd, int argc, char **argv, const char **args, size_t *n, struct hf_err *err)
{
    if (argc > MAX_ARGS)
        return hf_fail(err, HF_E_USAGE, "too many arguments");
    return hf_opts_parse(cmd, argc, argv, args, n, err);
}

static int open_db(const char *path, struct hf_config **config, struct hf_advdb **db, const char **ret_path, struct hf_err *err)
{
    int rc = hf_config_load(config, NULL, err);
    if (rc >= 0) {
        *ret_path = path ? path : (*config)->db_path;
        rc = hf_advdb_open(db, *ret_path, err);
    }
    return rc;
}

static void age(uint64_t now, uint64_t then, char out[48])
{
    uint64_t h = now > then ? (now - then) / 3600 : 0;
    if (!then)
        snprintf(out, 48, "not known");
    else if (h < 48)
        snprintf(out, 48, "%llu hours", (unsigned long long)h);
    else
        snprintf(out, 48, "%llu days", (unsigned long long)(h / 24));
}

static int db_status(int argc, char **argv)
{
    const char *path = NULL, *args[MAX_ARGS], *where;
    bool json = false;
    const struct hf_opt opts[] = {
            {"db", 0, HF_OPT_STR, &path, "FILE", NULL, 0, 0, "advisory database"},
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "for programs"},
            {0},
    };
    const struct hf_command cmd = {"db status", "[options]", "what the database holds and how old each source is", "Exit 4 when a source is stale.", opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_config_freep) struct hf_config *config = NULL;
    hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
    size_t n;
    int rc = parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    if ((rc = open_db(path, &config, &db, &where, &err)) < 0)
        return hf_cli_fail(&err, rc);
    const struct hf_adv_source *s;
    size_t count = hf_advdb_sources(db, &s), stale = 0;
    uint64_t now = (uint64_t)time(NULL);
    hf_autobuf out = HF_BUF_INIT(16 << 20);
    struct hf_jw w;
    char text[48], stamp[32];
    hf_jw_init(&w, &out, true);
    age(now, hf_advdb_built_unix(db), text);
    if (json) {
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "schema", "holdfast.db-status/1");
        hf_jw_kstrz(&w, "path", where);
        hf_jw_kstrz(&w, "built", hf_report_time(hf_advdb_built_unix(db), stamp));
        hf_jw_key(&w, "sources");
        hf_jw_array(&w);
    } else {
        hf_buf_addf(&out, "%s, built %s ago\n%-28s %9s %9s  %-12s %s\n", where, text, "SOURCE", "RECORDS", "REJECTED", "FACTS' AGE", "");
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t then = s[i].newest_unix ? s[i].newest_unix : s[i].fetched_unix;
        bool old = !then || (now > then && now - then > config->db_max_age_h * 3600);
        stale += old;
        if (json) {
            hf_jw_object(&w);
            hf_jw_kstr(&w, "name", s[i].name);
            hf_jw_kstr(&w, "from", s[i].from);
            hf_jw_ku64(&w, "records", s[i].records);
            hf_jw_ku64(&w, "rejected", s[i].rejected);
            hf_jw_kstrz(&w, "newest", hf_report_time(s[i].newest_unix, stamp));
            hf_jw_kstrz(&w, "fetched", hf_report_time(s[i].fetched_unix, stamp));
            hf_jw_kbool(&w, "stale", old);
            hf_jw_kbool(&w, "demonstration", s[i].demo);
            hf_jw_object_end(&w);
        } else {
            hf_autobuf name = HF_BUF_INIT(256);
            hf_buf_add_escaped(&name, s[i].name, 28);
            age(now, then, text);
            hf_buf_addf(&out, "%-28s %9llu %9llu  %-12s %s%s\n", hf_buf_z(&name), (unsigned long long)s[i].records, (unsigned long long)s[i].rejected, text, old ? "stale" : "",
                    s[i].demo ? " demonstration data" : "");
        }
    }
    if (json) {
        hf_jw_array_end(&w);
        hf_jw_object_end(&w);
        hf_buf_addc(&out, '\n');
    }
    fwrite(out.p, 1, out.n, stdout);
    return stale || !count ? HF_EXIT_INCOMPLETE : HF_EXIT_OK;
}

struct show {
    const struct hf_advdb *db;
    struct hf_arena arena;
    struct hf_buf *out;
    unsigned n, packages;
};

static void text_line(struct hf_buf *out, const char *name, struct hf_span text)
{
    if (!text.n)
        return;
    hf_buf_addf(out, "  %-10s ", name);
    hf_buf_add_escaped(out, text, 0);
    hf_buf_addc(out, '\n');
}

static int show_package(void *ctx, struct hf_span ns, struct hf_span name, const struct hf_adv_row *row)
{
    struct show *s = ctx;
    struct hf_adv_range r;
    if (++s->packages > 200)
        return 0;
    hf_buf_addz(s->out, "  affects    ");
    hf_buf_add_escaped(s->out, ns, 60);
    hf_buf_addc(s->out, ' ');
    hf_buf_add_escaped(s->out, name, 100);
    if (row->state != HF_ADV_RANGES)
        hf_buf_addz(s->out, row->state == HF_ADV_NOT_AFFECTED ? ": never" : row->state == HF_ADV_WONT_FIX ? ": will not be fixed" : ": no fix");
    for (size_t i = 0; i < 20 && hf_adv_row_range(s->db, row, i, &r); i++) {
        hf_buf_addz(s->out, i ? ", from " : ": from ");
        hf_buf_add_escaped(s->out, r.introduced.n ? r.introduced : HF_S("0"), 60);
        if (r.fixed.n || r.last_affected.n) {
            hf_buf_addz(s->out, r.fixed.n ? " to before " : " to ");
            hf_buf_add_escaped(s->out, r.fixed.n ? r.fixed : r.last_affected, 60);
        }
    }
    if (row->n_versions)
        hf_buf_addf(s->out, " (%zu versions listed)", row->n_versions);
    hf_buf_addc(s->out, '\n');
    return 0;
}

static int show_one(void *ctx, uint32_t adv)
{
    struct show *s = ctx;
    struct hf_advisory a;
    char stamp[32];
    if (hf_advdb_advisory(s->db, adv, &s->arena, &a, NULL) < 0 || ++s->n > 100)
        return 0;
    hf_buf_add_escaped(s->out, a.id, 0);
    hf_buf_addz(s->out, "  (");
    hf_buf_add_escaped(s->out, a.source, 0);
    hf_buf_addz(s->out, ")\n");
    text_line(s->out, "summary", a.summary);
    text_line(s->out, "severity", hf_span_z(hf_severity_name(a.severity)));
    for (size_t i = 0; i < a.n_aliases; i++)
        text_line(s->out, i ? "" : "aliases", a.aliases[i]);
    for (size_t i = 0; i < a.n_cvss; i++) {
        hf_buf_addf(s->out, "  %-10s %u.%u ", i ? "" : "cvss", a.cvss[i].score10 / 10, a.cvss[i].score10 % 10);
        hf_buf_add_escaped(s->out, a.cvss[i].vector, 0);
        hf_buf_addc(s->out, '\n');
    }
    if (a.published_unix)
        text_line(s->out, "published", hf_span_sub(hf_span_z(hf_report_time(a.published_unix, stamp)), 0, 10));
    s->packages = 0;
    int rc = hf_advdb_packages(s->db, adv, show_package, s, NULL);
    if (s->packages > 200)
        hf_buf_addf(s->out, "  ... and %u more\n", s->packages - 200);
    for (size_t i = 0; i < a.n_urls; i++)
        text_line(s->out, i ? "" : "urls", a.urls[i]);
    return rc < 0 ? rc : 0;
}

static int db_show(int argc, char **argv)
{
    const char *path = NULL, *args[MAX_ARGS], *where;
    const struct hf_opt opts[] = {{"db", 0, HF_OPT_STR, &path, "FILE", NULL, 0, 0, "advisory database"}, {0}};
    const struct hf_command cmd = {"db show", "[options] ID", "everything the database knows of a CVE or advisory id", NULL, opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_config_freep) struct hf_config *config = NULL;
    hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
    hf_autobuf out = HF_BUF_INIT(16 << 20);
    size_t n;
    int rc = parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    if ((rc = open_db(path, &config, &db, &where, &err)) < 0)
        return hf_cli_fail(&err, rc);
    struct show s = {.db = db, .out = &out};
    hf_arena_init(&s.arena, 64 << 20);
    struct hf_span id = hf_span_z(args[0]);
    struct hf_epss epss;
    struct hf_kev kev;
    rc = hf_advdb_by_id(db, id, show_one, &s, &err);
    bool scored = hf_advdb_epss(db, id, &epss), exploited = hf_advdb_kev(db, id, &kev);
    if (scored)
        hf_buf_addf(&out, "EPSS: %.2f %% chance of exploitation in the next 30 days, more than %.1f %% of all CVEs\n", epss.score * 100, epss.percentile * 100);
    if (exploited) {
        hf_buf_addz(&out, "KEV: known to be exploited since ");
        hf_buf_add_escaped(&out, kev.date_added, 20);
        hf_buf_addz(&out, kev.ransomware ? ", by ransomware\n" : "\n");
    }
    hf_arena_done(&s.arena);
    fwrite(out.p, 1, out.n, stdout);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (!s.n && !scored && !exploited)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_NOT_FOUND, "%s is in none of the database's sources (%s)", args[0], where));
    return HF_EXIT_OK;
}

int hf_cmd_db(int argc, char **argv)
{
    static const struct hf_cli_command commands[] = {
            {"update", hf_cmd_db_update, "fetch what changed and make the database anew"},
            {"build", hf_cmd_db_build, "make the database from files or a mirror"},
            {"status", db_status, "what it holds and how old each source is"},
            {"show", db_show, "everything it knows of an id"},
            {"export", hf_cmd_db_export, "write it as one signed file"},
            {"import", hf_cmd_db_import, "take such a file"},
            {"cmp", hf_cmd_db_cmp, "the order of versions"},
    };
    return hf_cli_group("db", "the advisory database", commands, HF_ARRAY_LEN(commands), argc, argv);
}
