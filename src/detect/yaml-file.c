// SPDX-License-Identifier: Apache-2.0
#include "detect/yaml-file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

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
