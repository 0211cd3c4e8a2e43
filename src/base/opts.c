/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opts.h"

#include <stdio.h>

enum { NEAR = 3, MAX_WORD = 40 };

static size_t distance(const char *a, const char *b)
{
    size_t row[MAX_WORD + 1], n = strlen(a), m = strlen(b);
    if (n > MAX_WORD || m > MAX_WORD)
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t up = row[j];
            row[j] = HF_MIN(HF_MIN(up, row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = up;
        }
    }
    return row[m];
}

const char *hf_nearest(const char *word, const char *const *candidates)
{
    const char *best = NULL;
    size_t least = NEAR + 1;
    for (; *candidates; candidates++) {
        size_t d = distance(word, *candidates);
        /* A word of which more than half would be another is near everything. */
        if (d < least && 2 * d <= HF_MAX(strlen(word), strlen(*candidates)) && *word) {
            least = d;
            best = *candidates;
        }
    }
    return best;
}

static const struct hf_opt *find_long(const struct hf_opt *opts, struct hf_span name)
{
    for (; opts->name; opts++)
        if (hf_span_eqz(name, opts->name))
            return opts;
    return NULL;
}

static const struct hf_opt *find_short(const struct hf_opt *opts, char c)
{
    for (; opts->name; opts++)
        if (opts->letter == c && c)
            return opts;
    return NULL;
}

static int parse_size(struct hf_span s, uint64_t *ret)
{
    uint64_t unit = 1;
    if (s.n) {
        char c = s.p[s.n - 1];
        unsigned shift = c == 'K' || c == 'k' ? 10 : c == 'M' || c == 'm' ? 20 : c == 'G' || c == 'g' ? 30 : 0;
        if (shift) {
            unit = UINT64_C(1) << shift;
            s.n--;
        }
    }
    uint64_t v;
    if (hf_parse_u64(s, 10, 0, UINT64_MAX, &v) < 0 || !hf_ckd_mul(&v, v, unit))
        return HF_E_FORMAT;
    *ret = v;
    return 0;
}

static int set(const struct hf_opt *o, const char *value, struct hf_err *err)
{
    struct hf_span v = hf_span_z(value);
    switch (o->type) {
    case HF_OPT_STR:
    case HF_OPT_MAYBE:
        *(const char **)o->target = value;
        return 0;
    case HF_OPT_LIST: {
        struct hf_strs *l = o->target;
        if (l->n == HF_ARRAY_LEN(l->v))
            return hf_fail(err, HF_E_USAGE, "--%s is given more than %zu times", o->name, HF_ARRAY_LEN(l->v));
        l->v[l->n++] = value;
        return 0;
    }
    case HF_OPT_U64:
    case HF_OPT_SIZE: {
        uint64_t n, max = o->max ? o->max : UINT64_MAX;
        int rc = o->type == HF_OPT_SIZE ? parse_size(v, &n) : hf_parse_u64(v, 10, 0, UINT64_MAX, &n);
        if (rc < 0)
            return hf_fail(err, HF_E_USAGE, "--%s wants %s, not \"%s\"", o->name, o->type == HF_OPT_SIZE ? "a size such as 64M" : "a number", value);
        if (n < o->min || n > max)
            return hf_fail(err, HF_E_USAGE, "--%s %s is outside %llu to %llu", o->name, value, (unsigned long long)o->min, (unsigned long long)max);
        *(uint64_t *)o->target = n;
        return 0;
    }
    case HF_OPT_ENUM: {
        struct hf_span rest = hf_span_z(o->choices), part;
        for (int i = 0; hf_span_cut(&rest, '|', &part); i++)
            if (hf_span_eq(part, v)) {
                *(int *)o->target = i;
                return 0;
            }
        return hf_fail(err, HF_E_USAGE, "--%s wants one of %s, not \"%s\"", o->name, o->choices, value);
    }
    case HF_OPT_FLAG:
    default:
        *(bool *)o->target = true;
        return 0;
    }
}

static int unknown(const struct hf_command *cmd, const char *word, struct hf_err *err)
{
    const char *names[128];
    size_t n = 0;
    for (const struct hf_opt *o = cmd->opts; o && o->name && n < HF_ARRAY_LEN(names) - 1; o++)
        names[n++] = o->name;
    names[n] = NULL;
    hf_autobuf bare = HF_BUF_INIT(64);
    hf_buf_adds(&bare, hf_span_sub(hf_span_z(word + (word[0] == '-') + (word[0] == '-' && word[1] == '-')), 0, 60));
    bare.n = HF_MIN(bare.n, hf_span_find(hf_buf_span(&bare), '='));
    const char *near = hf_nearest(hf_buf_z(&bare), names);
    if (near)
        return hf_fail(err, HF_E_USAGE, "unknown option %s; did you mean --%s?", word, near);
    return hf_fail(err, HF_E_USAGE, "unknown option %s; \"holdfast %s --help\" lists them", word, cmd->name);
}

int hf_opts_parse(const struct hf_command *cmd, int argc, char **argv, const char **ret_args, size_t *ret_n, struct hf_err *err)
{
    size_t n = 0;
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (ended || a[0] != '-' || a[1] == 0) {
            if (n <= cmd->max_args)
                ret_args[n] = a;
            n++;
            continue;
        }
        if (!strcmp(a, "--")) {
            ended = true;
            continue;
        }
        if (!strcmp(a, "--help") || !strcmp(a, "-h")) {
            hf_autobuf out = HF_BUF_INIT(1 << 20);
            hf_opts_help(cmd, &out);
            fwrite(out.p, 1, out.n, stdout);
            return 1;
        }
        const struct hf_opt *o;
        const char *value = NULL;
        if (a[1] == '-') {
            size_t eq = hf_span_find(hf_span_z(a), '=');
            o = cmd->opts ? find_long(cmd->opts, hf_span_sub(hf_span_z(a), 2, eq == SIZE_MAX ? SIZE_MAX : eq - 2)) : NULL;
            value = eq == SIZE_MAX ? NULL : a + eq + 1;
        } else {
            o = cmd->opts ? find_short(cmd->opts, a[1]) : NULL;
            value = a[2] ? a + 2 : NULL;
            if (o && (o->type == HF_OPT_FLAG || o->type == HF_OPT_MAYBE) && value)
                return hf_fail(err, HF_E_USAGE, "-%c takes no value; write short options apart", a[1]);
        }
        if (!o)
            return unknown(cmd, a, err);
        if (o->type == HF_OPT_FLAG && value)
            return hf_fail(err, HF_E_USAGE, "--%s takes no value", o->name);
        if (o->type == HF_OPT_MAYBE && !value)
            value = "";
        else if (o->type == HF_OPT_MAYBE && !*value)
            return hf_fail(err, HF_E_USAGE, "--%s= names nothing", o->name);
        if (o->type != HF_OPT_FLAG && !value) {
            if (i + 1 >= argc)
                return hf_fail(err, HF_E_USAGE, "--%s wants a value: %s", o->name, o->arg ? o->arg : "VALUE");
            value = argv[++i];
        }
        int rc = set(o, value, err);
        if (rc < 0)
            return rc;
    }
    if (n < cmd->min_args)
        return hf_fail(err, HF_E_USAGE, "too few arguments; usage: holdfast %s %s", cmd->name, cmd->synopsis);
    if (n > cmd->max_args)
        return hf_fail(err, HF_E_USAGE, "unexpected argument \"%s\"; usage: holdfast %s %s", ret_args[cmd->max_args], cmd->name, cmd->synopsis);
    *ret_n = n;
    return 0;
}

void hf_opts_help(const struct hf_command *cmd, struct hf_buf *out)
{
    hf_buf_addf(out, "holdfast %s - %s\n\nUsage: holdfast %s %s\n", cmd->name, cmd->summary, cmd->name, cmd->synopsis);
    if (cmd->details)
        hf_buf_addf(out, "\n%s\n", cmd->details);
    if (!cmd->opts || !cmd->opts->name)
        return;
    hf_buf_addz(out, "\nOptions:\n");
    for (const struct hf_opt *o = cmd->opts; o->name; o++) {
        hf_autobuf left = HF_BUF_INIT(256);
        if (o->letter)
            hf_buf_addf(&left, "  -%c, --%s", o->letter, o->name);
        else
            hf_buf_addf(&left, "      --%s", o->name);
        if (o->type == HF_OPT_MAYBE)
            hf_buf_addf(&left, "[=%s]", o->arg ? o->arg : "VALUE");
        else if (o->type != HF_OPT_FLAG)
            hf_buf_addf(&left, " %s", o->arg ? o->arg : "VALUE");
        hf_buf_addf(out, "%-34s %s\n", hf_buf_z(&left), o->help);
        if (o->choices)
            hf_buf_addf(out, "%-34s (%s)\n", "", o->choices);
    }
    hf_buf_addf(out, "%-34s %s\n", "  -h, --help", "show this text");
}
