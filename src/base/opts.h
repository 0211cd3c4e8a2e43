/* SPDX-License-Identifier: Apache-2.0 */
/* opts.h - the options table of a command: parsing, --help and the man page check all read the same rows.
 *
 * Long options only as a whole word (no prefix matching), `--name value` or `--name=value`, single-letter short forms, `--`
 * ends options, `-` is an operand.  A wrong line gives one specific message with the nearest known name. */
#pragma once
#include "base/span.h"

enum hf_opt_type {
    HF_OPT_FLAG,   /* bool *          --quiet, --no-verify (a row named "no-verify" is its own flag) */
    HF_OPT_STR,    /* const char **   borrowed from argv */
    HF_OPT_MAYBE,  /* const char **   --seal, which gives "", or --seal=FILE; never from the next word */
    HF_OPT_LIST,   /* struct hf_strs * may be repeated */
    HF_OPT_U64,    /* uint64_t *      min..max */
    HF_OPT_SIZE,   /* uint64_t *      bytes; K, M, G suffixes (1024) */
    HF_OPT_ENUM,   /* int *           index into choices ("a|b|c") */
};
struct hf_strs {
    const char *v[64];
    size_t n;
};
struct hf_opt {
    const char *name; /* without "--"; NULL ends the table */
    char letter;      /* 0: none */
    enum hf_opt_type type;
    void *target;
    const char *arg;     /* placeholder in the help ("FILE"); NULL for flags */
    const char *choices; /* HF_OPT_ENUM */
    uint64_t min, max;   /* numbers; max 0: no limit */
    const char *help;    /* one line, plain words */
};
struct hf_command {
    const char *name; /* "scan", "db build" */
    const char *synopsis; /* operands: "[options] TARGET" */
    const char *summary;  /* one line */
    const char *details;  /* paragraphs for --help; may be NULL */
    const struct hf_opt *opts;
    unsigned min_args, max_args; /* operands */
};
/* Parses argv[1..argc): operands are put into ret_args in order, which has max_args + 1 entries.
 * Returns 1 when --help was given (help already printed to stdout), 0, or HF_E_USAGE (err says what and what to do). */
HF_MUSTUSE int hf_opts_parse(const struct hf_command *cmd, int argc, char **argv, const char **ret_args, size_t *ret_n,
        struct hf_err *err);
void hf_opts_help(const struct hf_command *cmd, struct hf_buf *out);
/* The candidate (NULL-terminated list) nearest to word by edit distance at most 3, or NULL: for "did you mean". */
const char *hf_nearest(const char *word, const char *const *candidates);
