// SPDX-License-Identifier: Apache-2.0
/* holdfast audit: who changed what, and whether the log still says so. */
#include <stdio.h>
#include <time.h>

#include "cli/group.h"
#include "cli/incident-cli.h"
#include "store/audit.h"

struct listing {
    struct hf_buf *out;
    struct hf_jw *json;
    unsigned n;
    uint64_t last;
};

static void when(int64_t ns, char out[40])
{
    time_t s = (time_t)(ns / 1000000000);
    struct tm tm;
    if (ns < 0 || !gmtime_r(&s, &tm) || !strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &tm))
        snprintf(out, 40, "-");
}

static int row(void *ctx, const struct hf_audit_entry *e)
{
    struct listing *l = ctx;
    char time[40];
    when(e->time, time);
    l->last = e->seq;
    if (l->json) {
        hf_jw_object(l->json);
        hf_jw_ku64(l->json, "seq", e->seq);
        hf_jw_kstrz(l->json, "time", time);
        hf_jw_kstr(l->json, "by", e->by);
        hf_jw_kstr(l->json, "via", e->via);
        hf_jw_kstr(l->json, "what", e->what);
        hf_jw_kstr(l->json, "target", e->target);
        hf_jw_kstr(l->json, "before", e->before);
        hf_jw_kstr(l->json, "after", e->after);
        hf_jw_kstr(l->json, "prev_hash", e->prev_hash);
        hf_jw_kstr(l->json, "hash", e->hash);
        hf_jw_object_end(l->json);
    } else {
        if (!l->n)
            hf_buf_addf(l->out, "%6s  %-20s  %-14s  %-8s  %-18s  %-17s  %s\n", "SEQ", "TIME", "BY", "VIA", "WHAT", "TARGET", "CHANGE");
        hf_buf_addf(l->out, "%6llu  ", (unsigned long long)e->seq);
        hf_cli_cell(l->out, hf_span_z(time), 20);
        hf_cli_cell(l->out, e->by, 14);
        hf_cli_cell(l->out, e->via, 8);
        hf_cli_cell(l->out, e->what, 18);
        hf_cli_cell(l->out, e->target, 17);
        if (e->before.n) {
            hf_buf_add_escaped(l->out, e->before, 40);
            hf_buf_addz(l->out, " -> ");
        }
        hf_buf_add_escaped(l->out, e->after, 80);
        hf_buf_addc(l->out, '\n');
    }
    l->n++;
    return 0;
}

static int list(int argc, char **argv)
{
    hf_cleanup(hf_cli_place_done) struct hf_cli_place at = {NULL};
    const char *target = NULL, *args[1];
    uint64_t after = 0, limit = 1000;
    bool json = false;
    size_t n;
    const struct hf_opt opts[] = {
            {"after", 0, HF_OPT_U64, &after, "SEQ", NULL, 0, 0, "only entries after this one"},
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as a JSON array"},
            {"limit", 0, HF_OPT_U64, &limit, "N", NULL, 1, 1000, "at most so many (default 1000)"},
            HF_CLI_PLACE_OPTS(at),
            {"target", 0, HF_OPT_STR, &target, "ID", NULL, 0, 0, "only what was done to this incident"},
            HF_CLI_OPTS_END,
    };
    const struct hf_command cmd = {"audit list", "[options]", "who changed what, the oldest first", NULL, opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_cli_place_open(&at, &cmd, argc, argv, args, &n, HF_STORE_READ_ONLY, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    hf_autobuf out = HF_BUF_INIT(64u << 20);
    struct hf_jw w;
    hf_jw_init(&w, &out, true);
    if (json)
        hf_jw_array(&w);
    struct listing l = {&out, json ? &w : NULL, 0, 0};
    rc = rc < 0 ? rc : hf_store_audit_list(at.store, hf_span_z(target), after, (unsigned)limit, row, &l, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (json) {
        hf_jw_array_end(&w);
        hf_buf_addc(&out, '\n');
    } else if (!l.n) {
        hf_buf_addz(&out, "no entries\n");
    }
    return hf_cli_print(&out, HF_EXIT_OK);
}

/* "SEQ:HASH", as verify prints it. */
static int known_head(const char *text, struct hf_audit_head *ret, struct hf_err *err)
{
    struct hf_span rest = hf_span_z(text), seq;
    if (!hf_span_cut(&rest, ':', &seq) || hf_parse_u64(seq, 10, 1, UINT64_MAX, &ret->seq) < 0 || rest.n != 64 || strspn(rest.p, "0123456789abcdef") != 64)
        return hf_fail(err, HF_E_USAGE, "\"%.80s\" is no head of an audit log: SEQ:HASH, as audit verify prints it", text);
    memcpy(ret->hash, rest.p, 64);
    ret->hash[64] = 0;
    return 0;
}

static int verify(int argc, char **argv)
{
    hf_cleanup(hf_cli_place_done) struct hf_cli_place at = {NULL};
    const char *known = NULL, *args[1];
    bool json = false;
    size_t n;
    const struct hf_opt opts[] = {
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as JSON"},
            {"known", 0, HF_OPT_STR, &known, "SEQ:HASH", NULL, 0, 0, "a head noted earlier, which must be part of the chain"},
            HF_CLI_PLACE_OPTS(at),
            HF_CLI_OPTS_END,
    };
    const struct hf_command cmd = {"audit verify", "[options]", "was the log altered",
            "Reads every entry and checks that each holds the hash of the one before. Prints the head: who notes it elsewhere can prove later, with --known, that nothing up to it was altered. Exit 1 when something was.",
            opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    struct hf_audit_head before = {0}, head = {0};
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 || !known ? rc : known_head(known, &before, &err);
    rc = rc < 0 ? rc : hf_cli_store(at.url, at.file, HF_STORE_READ_ONLY, &at.store, &err);
    rc = rc < 0 ? rc : hf_store_audit_verify(at.store, known ? &before : NULL, &head, &err);
    if (rc < 0 && rc != HF_E_DIGEST)
        return hf_cli_fail(&err, rc);
    hf_autobuf out = HF_BUF_INIT(65536);
    if (json) {
        struct hf_jw w;
        hf_jw_init(&w, &out, true);
        hf_jw_object(&w);
        hf_jw_kbool(&w, "unaltered", rc == 0);
        if (rc == 0) {
            hf_jw_ku64(&w, "entries", head.seq);
            hf_jw_kstrz(&w, "head", head.hash);
        } else {
            hf_jw_kstrz(&w, "problem", err.msg);
        }
        hf_jw_object_end(&w);
        hf_buf_addc(&out, '\n');
    } else if (rc == 0) {
        hf_buf_addf(&out, "unaltered: %llu entries, head %llu:%s\n", (unsigned long long)head.seq, (unsigned long long)head.seq, head.hash);
    } else {
        hf_buf_addf(&out, "ALTERED: %s\n", err.msg);
    }
    return hf_cli_print(&out, rc == 0 ? HF_EXIT_OK : HF_EXIT_FINDINGS);
}

int hf_cmd_audit(int argc, char **argv)
{
    static const struct hf_cli_command commands[] = {
            {"list", list, "who changed what, the oldest first"},
            {"verify", verify, "was the log altered"},
    };
    return hf_cli_group("audit", "who changed what", commands, HF_ARRAY_LEN(commands), argc, argv);
}
