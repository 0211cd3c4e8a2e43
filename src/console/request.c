// SPDX-License-Identifier: Apache-2.0
/* What handlers ask a request. */
#include <stdarg.h>

#include "console/api.h"
#include "console/http.h"

const char *const hf_roles[4] = {"none", "viewer", "responder", "administrator"};

struct hf_span hf_header(const struct hf_request *q, const char *name)
{
    return hf_http_field(q->http, name);
}

static const struct hf_param *param(const struct hf_request *q, const char *name)
{
    for (size_t i = 0; i < q->n_query; i++)
        if (hf_span_eqz(q->query[i].name, name))
            return &q->query[i];
    return NULL;
}

struct hf_span hf_query(const struct hf_request *q, const char *name)
{
    const struct hf_param *p = param(q, name);
    return p ? p->value : hf_span(NULL, 0);
}

int hf_query_u64(const struct hf_request *q, const char *name, uint64_t lo, uint64_t hi, uint64_t missing, uint64_t *ret, struct hf_err *err)
{
    const struct hf_param *p = param(q, name);
    uint64_t v = missing;
    if (p && hf_parse_u64(p->value, 10, lo, hi, &v) < 0)
        return hf_fail(err, HF_E_USAGE, "\"%s\" must be a number from %llu to %llu", name, (unsigned long long)lo, (unsigned long long)hi);
    *ret = v;
    return 0;
}

int hf_query_enum(const struct hf_request *q, const char *name, const char *words, unsigned missing, unsigned *ret, struct hf_err *err)
{
    const struct hf_param *p = param(q, name);
    struct hf_span rest = hf_span_z(words), word;
    if (!p) {
        *ret = missing;
        return 0;
    }
    for (unsigned i = 0; hf_span_cut(&rest, '|', &word); i++)
        if (hf_span_eq(word, p->value)) {
            *ret = i;
            return 0;
        }
    return hf_fail(err, HF_E_USAGE, "\"%s\" must be one of %s", name, words);
}

int hf_body_str(const struct hf_request *q, const char *name, bool required, size_t max, struct hf_span *ret, struct hf_err *err)
{
    hf_jnode n = hf_jget(q->body, name);
    struct hf_span v = hf_jstr(n);
    if (!n && required)
        return hf_fail(err, HF_E_USAGE, "\"%s\" is missing in the body", name);
    if (n && !hf_jis_str(n))
        return hf_fail(err, HF_E_USAGE, "\"%s\" must be a text", name);
    if (v.n > max)
        return hf_fail(err, HF_E_USAGE, "\"%s\" has more than %zu bytes", name, max);
    if (!hf_span_is_utf8(v))
        return hf_fail(err, HF_E_USAGE, "\"%s\" is not UTF-8", name);
    *ret = v;
    return 0;
}

int hf_problem(struct hf_reply *ret, unsigned status, const char *title, const char *fmt, ...)
{
    char detail[1024];
    struct hf_jw w;
    va_list args;
    va_start(args, fmt);
    vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    ret->status = status;
    ret->type = "application/problem+json";
    hf_buf_clear(&ret->body);
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "type", "about:blank");
    hf_jw_kstrz(&w, "title", title);
    hf_jw_ku64(&w, "status", status);
    hf_jw_kstrz(&w, "detail", detail);
    hf_jw_object_end(&w);
    return 0;
}

static int only(struct hf_span name, const char *names, const char *what, struct hf_err *err)
{
    struct hf_span rest = hf_span_z(names), word;
    char shown[128] = "";
    while (hf_span_cut(&rest, '|', &word))
        if (hf_span_eq(word, name))
            return 0;
    hf_autobuf safe = HF_BUF_INIT(1024);
    (void)hf_buf_add_escaped(&safe, hf_span_sub(name, 0, 60), 60);
    snprintf(shown, sizeof shown, "%s", hf_buf_z(&safe));
    return names[0] ? hf_fail(err, HF_E_USAGE, "there is no %s \"%s\" here; known: %s", what, shown, names) : hf_fail(err, HF_E_USAGE, "no %s is taken here, \"%s\" was given", what, shown);
}

int hf_query_only(const struct hf_request *q, const char *names, struct hf_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < q->n_query && rc == 0; i++)
        rc = only(q->query[i].name, names, "parameter", err);
    return rc;
}

int hf_body_only(const struct hf_request *q, const char *names, struct hf_err *err)
{
    int rc = 0;
    HF_JFOREACH (member, q->body)
        rc = rc < 0 ? rc : only(hf_jname(member), names, "member", err);
    return rc;
}
