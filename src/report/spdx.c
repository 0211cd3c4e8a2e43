/* SPDX-License-Identifier: Apache-2.0 */
#include "report/spdx.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { MAX_ID = 64, MAX_TERMS = 64, MAX_NESTING = 32 };

static int by_name(const void *key, const void *row)
{
    return strcasecmp(key, *(const char *const *)row);
}

static const char *look_up(const char *name)
{
    const char *const *row = bsearch(name, hf_spdx_ids, hf_spdx_n_ids, sizeof *hf_spdx_ids, by_name);
    return row ? *row : NULL;
}

/* GPL-2, LGPL-2.1+, GFDL-1.3: families whose ids end in -only or -or-later. */
static const char *gnu(struct hf_span words)
{
    static const char *const families[] = {"GPL-", "LGPL-", "AGPL-", "GFDL-"};
    char name[MAX_ID];
    bool later = words.p[words.n - 1] == '+';
    struct hf_span base = hf_span(words.p, words.n - later);
    for (size_t i = 0; i < HF_ARRAY_LEN(families); i++) {
        size_t n = strlen(families[i]);
        if (base.n <= n || !hf_span_eq_nocase(hf_span(base.p, n), hf_span_z(families[i])))
            continue;
        bool whole = hf_span_find(base, '.') == SIZE_MAX;
        int len = snprintf(name, sizeof name, HF_SPAN_FMT "%s-%s", HF_SPAN_ARG(base), whole ? ".0" : "", later ? "or-later" : "only");
        return len > 0 && (size_t)len < sizeof name ? look_up(name) : NULL;
    }
    return NULL;
}

const char *hf_spdx_id(struct hf_span words)
{
    char name[MAX_ID];
    if (!words.n || words.n >= sizeof name || memchr(words.p, 0, words.n))
        return NULL;
    const char *id = gnu(words);
    if (id)
        return id;
    snprintf(name, sizeof name, HF_SPAN_FMT, HF_SPAN_ARG(words));
    return look_up(strcasecmp(name, "Expat") ? name : "MIT");
}

static bool exact(struct hf_span id)
{
    if (id.n && id.p[id.n - 1] == '+')
        id.n--;
    char name[MAX_ID];
    if (!id.n || id.n >= sizeof name || memchr(id.p, 0, id.n))
        return false;
    snprintf(name, sizeof name, HF_SPAN_FMT, HF_SPAN_ARG(id));
    const char *found = look_up(name);
    return found && !strcmp(found, name);
}

static struct hf_span token(struct hf_span *rest)
{
    *rest = hf_span_trim(*rest);
    size_t n = 0;
    if (rest->n && (rest->p[0] == '(' || rest->p[0] == ')'))
        n = 1;
    while (n == 0 || (n < rest->n && rest->p[0] != '(' && rest->p[0] != ')')) {
        if (n >= rest->n || strchr(" \t\r\n()", rest->p[n]))
            break;
        n++;
    }
    struct hf_span t = hf_span_sub(*rest, 0, n);
    *rest = hf_span_from(*rest, n);
    return t;
}

bool hf_spdx_is_expression(struct hf_span rest)
{
    unsigned open = 0, terms = 0;
    bool want_id = true, exception = false;
    if (memchr(rest.p ? rest.p : "", 0, rest.n))
        return false;
    for (struct hf_span t; (t = token(&rest)).n;) {
        if (hf_span_eqz(t, "(")) {
            if (!want_id || exception || ++open > MAX_NESTING)
                return false;
        } else if (hf_span_eqz(t, ")")) {
            if (want_id || open-- == 0)
                return false;
        } else if (hf_span_eqz(t, "AND") || hf_span_eqz(t, "OR") || hf_span_eqz(t, "WITH")) {
            if (want_id)
                return false;
            want_id = true;
            exception = t.p[0] == 'W';
        } else {
            if (!want_id || ++terms > MAX_TERMS || !exact(t))
                return false;
            want_id = exception = false;
        }
    }
    return terms && !want_id && !open;
}
