/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast db cmp: the order of pairs of versions, line by line, so that anyone can check an order. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "advisories/version/version.h"
#include "base/log.h"
#include "cli/cli.h"

enum {
    MAX_LINE = 2 * (64 << 10) + 2, /* two of the longest versions, their tab, a carriage return; a longer line is "!" */
    MAX_NAMED = 5,                 /* bad lines named by their numbers */
    MAX_ARGS = 64,
};

struct cmp {
    enum hf_scheme scheme;
    uint64_t lines, bad, named[MAX_NAMED];
    /* of the line being read */
    size_t n, tab; /* bytes kept; where its first tab is */
    unsigned tabs;
    bool begun, cut;
    char line[MAX_LINE];
};

static void end_line(struct cmp *c)
{
    c->lines++;
    char order = '!';
    if (c->tabs != 1) {
        if (c->bad < MAX_NAMED)
            c->named[c->bad] = c->lines;
        c->bad++;
    } else if (!c->cut) {
        size_t n = c->n && c->line[c->n - 1] == '\r' ? c->n - 1 : c->n;
        int r = hf_version_cmp(c->scheme, hf_span(c->line, c->tab), hf_span(c->line + c->tab + 1, n - c->tab - 1));
        order = r == HF_CMP_INVALID ? '!' : r < 0 ? '<' : r > 0 ? '>' : '=';
    }
    putchar(order); /* one line for every line of the input, so that the two can be laid side by side */
    putchar('\n');
    c->n = c->tabs = 0;
    c->begun = c->cut = false;
}

static void feed(struct cmp *c, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n') {
            end_line(c);
            continue;
        }
        c->begun = true;
        if (p[i] == '\t' && c->tabs < 2 && c->tabs++ == 0)
            c->tab = c->n;
        if (c->n < MAX_LINE)
            c->line[c->n++] = p[i];
        else
            c->cut = true;
    }
}

/* "a, b, ..." of all schemes. */
static const char *schemes(struct hf_buf *out)
{
    for (unsigned i = 0; i < HF_SCHEMES; i++)
        hf_buf_addf(out, "%s%s", i ? ", " : "", hf_scheme_name((enum hf_scheme)i));
    return hf_buf_z(out);
}

static int report(const struct cmp *c)
{
    if (!c->bad)
        return HF_EXIT_OK;
    hf_autobuf where = HF_BUF_INIT(512);
    for (uint64_t i = 0; i < c->bad && i < MAX_NAMED; i++)
        hf_buf_addf(&where, "%s%" PRIu64, i ? ", " : "", c->named[i]);
    hf_log(HF_LOG_ERR, "lines", "%" PRIu64 " of %" PRIu64 " lines are not two versions with one tab between: line %s%s", c->bad, c->lines, hf_buf_z(&where),
            c->bad > MAX_NAMED ? ", ..." : "");
    return HF_EXIT_INCOMPLETE;
}

int hf_cmd_db_cmp(int argc, char **argv)
{
    const char *args[MAX_ARGS];
    hf_autobuf known = HF_BUF_INIT(1024), details = HF_BUF_INIT(2048);
    hf_buf_addf(&details, "Reads lines of two versions with one tab between from FILE or standard input and prints for each <, =, > or !\n"
                          "(not a version).\nSchemes: %s; npm, cargo, pypi, golang and composer are other names.", schemes(&known));
    const struct hf_opt opts[] = {{0}};
    const struct hf_command cmd = {"db cmp", "SCHEME [FILE]", "the order of versions, pair by pair", hf_buf_z(&details), opts, 1, 2};
    struct hf_err err = HF_ERR_INIT;
    size_t n;
    if (argc > MAX_ARGS)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "too many arguments"));
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_autofree struct cmp *c = calloc(1, sizeof *c);
    if (!c)
        return hf_cli_fail(&err, hf_fail(&err, -ENOMEM, "no memory"));
    c->scheme = hf_scheme_by_name(hf_span_z(args[0]));
    if (c->scheme == HF_SCHEME_NONE)
        return hf_cli_fail(&err, hf_fail(&err, HF_E_USAGE, "unknown scheme \"%s\"; there are %s", args[0], hf_buf_z(&known)));
    bool file = n > 1 && strcmp(args[1], "-") != 0;
    const char *name = file ? args[1] : "standard input";
    FILE *in = file ? fopen(name, "re") : stdin;
    if (!in)
        return hf_cli_fail(&err, hf_fail(&err, -errno, "%s: %s", name, hf_err_name(-errno)));
    char piece[16 << 10];
    errno = 0;
    for (size_t got; !ferror(stdout) && (got = fread(piece, 1, sizeof piece, in)) > 0;)
        feed(c, piece, got);
    rc = ferror(in) ? (errno ? -errno : -EIO) : 0;
    if (file)
        fclose(in);
    if (rc < 0)
        return hf_cli_fail(&err, hf_fail(&err, rc, "%s: %s", name, hf_err_name(rc)));
    if (c->begun)
        end_line(c);
    return report(c);
}
