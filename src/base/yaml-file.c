// SPDX-License-Identifier: Apache-2.0
#include "base/yaml-file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/opts.h"

int hf_yaml_load(struct hf_yaml *y, const char *file, struct hf_span text, const struct hf_yaml_limits *l, struct hf_err *err)
{
    yaml_parser_t parser;
    *y = (struct hf_yaml){.file = file, .err = err};
    if (text.n > l->max_bytes)
        return hf_fail(err, HF_E_LIMIT, "%s has more than %zu MiB", file, l->max_bytes >> 20);
    if (!yaml_parser_initialize(&parser))
        return hf_fail(err, -ENOMEM, "no memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    int rc = 0;
    if (!yaml_parser_load(&parser, &y->doc))
        rc = hf_fail(err, HF_E_USAGE, "%s:%zu: not YAML: %s", file, parser.problem_mark.line + 1, parser.problem ? parser.problem : "unknown");
    yaml_parser_delete(&parser);
    if (rc < 0)
        return rc;
    const yaml_node_t *root = yaml_document_get_root_node(&y->doc);
    if (y->doc.nodes.top - y->doc.nodes.start > l->max_nodes)
        rc = hf_fail(err, HF_E_LIMIT, "%s has more than %d values", file, l->max_nodes);
    else if (root && root->type != YAML_SEQUENCE_NODE)
        rc = hf_fail(err, HF_E_USAGE, "%s: %s", file, l->expected);
    if (rc < 0)
        hf_yaml_done(y);
    return rc;
}

void hf_yaml_done(struct hf_yaml *y)
{
    yaml_document_delete(&y->doc);
}

int hf_yaml_each(struct hf_yaml *y, int (*fn)(void *ctx, const yaml_node_t *item), void *ctx)
{
    const yaml_node_t *root = yaml_document_get_root_node(&y->doc);
    int rc = 0;
    for (yaml_node_item_t *i = root ? root->data.sequence.items.start : NULL; i && i < root->data.sequence.items.top && rc == 0; i++)
        rc = fn(ctx, hf_yaml_at(y, *i));
    return rc;
}

int hf_yaml_wrong(const struct hf_yaml *y, const yaml_node_t *n, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return hf_fail(y->err, HF_E_USAGE, "%s:%zu: %s", y->file, n ? n->start_mark.line + 1 : 0, text);
}

yaml_node_t *hf_yaml_at(struct hf_yaml *y, int index)
{
    return yaml_document_get_node(&y->doc, index);
}

struct hf_span hf_yaml_scalar(const yaml_node_t *n)
{
    return n && n->type == YAML_SCALAR_NODE ? hf_span((const char *)n->data.scalar.value, n->data.scalar.length) : hf_span(NULL, 0);
}

yaml_node_t *hf_yaml_member(struct hf_yaml *y, const yaml_node_t *map, const char *name)
{
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++)
        if (hf_span_eqz(hf_yaml_scalar(hf_yaml_at(y, p->key)), name))
            return hf_yaml_at(y, p->value);
    return NULL;
}

int hf_yaml_flag(const struct hf_yaml *y, const char *name, const yaml_node_t *n, bool *ret)
{
    struct hf_span s = hf_yaml_scalar(n);
    if (!hf_span_eqz(s, "true") && !hf_span_eqz(s, "false"))
        return hf_yaml_wrong(y, n, "\"%s\" must be true or false", name);
    *ret = hf_span_eqz(s, "true");
    return 0;
}

int hf_yaml_choice(const struct hf_yaml *y, const char *name, const yaml_node_t *n, const char *const *names, unsigned count, unsigned *ret)
{
    hf_autobuf all = HF_BUF_INIT(512);
    for (unsigned i = 0; i < count; i++) {
        if (hf_span_eqz(hf_yaml_scalar(n), names[i])) {
            *ret = i;
            return 0;
        }
        hf_buf_addf(&all, "%s%s", i ? ", " : "", names[i]);
    }
    return hf_yaml_wrong(y, n, "\"%s\" must be one of %s", name, hf_buf_z(&all));
}

int hf_yaml_next(struct hf_yaml *y, struct hf_yaml_walk *w, const char *what, const yaml_node_t *map, const char *const *names, size_t count, size_t *ret_which,
        const yaml_node_t **ret_value)
{
    const char *known[HF_YAML_KEYS_MAX + 1] = {NULL};
    size_t i = 0;
    if (!map || map->type != YAML_MAPPING_NODE)
        return hf_yaml_wrong(y, map, "\"%s\" must be a mapping", what);
    if (w->at >= (size_t)(map->data.mapping.pairs.top - map->data.mapping.pairs.start))
        return 0;
    const yaml_node_pair_t *p = map->data.mapping.pairs.start + w->at++;
    const yaml_node_t *key = hf_yaml_at(y, p->key);
    struct hf_span name = hf_yaml_scalar(key);
    while (i < count && !hf_span_eqz(name, names[i]))
        i++;
    if (i == count) {
        char text[64];
        hf_autobuf all = HF_BUF_INIT(8192);
        for (size_t k = 0; k < count && k < HF_YAML_KEYS_MAX; k++) {
            known[k] = names[k];
            hf_buf_addf(&all, "%s%s", k ? ", " : "", names[k]);
        }
        snprintf(text, sizeof text, "%.*s", (int)HF_MIN(name.n, sizeof text - 1), name.p ? name.p : "");
        const char *near = hf_nearest(text, known);
        return hf_yaml_wrong(y, key, "unknown key \"%s\" in %s; %s %s", text, what, near ? "did you mean" : "there are", near ? near : hf_buf_z(&all));
    }
    if (w->seen >> i & 1)
        return hf_yaml_wrong(y, key, "\"%s\" stands twice", names[i]);
    w->seen |= 1u << i;
    *ret_which = i;
    *ret_value = hf_yaml_at(y, p->value);
    return 1;
}
