// SPDX-License-Identifier: Apache-2.0
/* At build: openapi.yaml to JSON as a C array.  gen-openapi IN OUT.  Anchors and merge keys ("<<") are resolved; members that begin with "x-" at the top are
 * left out (they only hold anchors). */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static char *out;
static size_t n, cap;

static void put(const char *s, size_t len)
{
    if (n + len + 1 > cap) {
        cap = (n + len + 1) * 2;
        if (!(out = realloc(out, cap)))
            exit(1);
    }
    memcpy(out + n, s, len);
    n += len;
    out[n] = 0;
}
static void putz(const char *s)
{
    put(s, strlen(s));
}

static void string(const unsigned char *s, size_t len)
{
    char b[8];
    putz("\"");
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '"' || s[i] == '\\' || s[i] < 0x20) {
            snprintf(b, sizeof b, s[i] < 0x20 ? "\\u%04x" : "\\%c", s[i]);
            putz(b);
        } else {
            put((const char *)s + i, 1);
        }
    }
    putz("\"");
}

/* A plain scalar that is a number, true, false or null is written as it is (JSON's form of it is the only one used). */
static bool bare(const yaml_node_t *node)
{
    const char *s = (const char *)node->data.scalar.value;
    size_t len = node->data.scalar.length, at = s[0] == '-', dots = 0;
    if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    if (!strcmp(s, "true") || !strcmp(s, "false") || !strcmp(s, "null"))
        return true;
    if (at == len)
        return false;
    for (; at < len; at++) {
        dots += s[at] == '.';
        if ((s[at] < '0' || s[at] > '9') && s[at] != '.')
            return false;
    }
    return dots < 2 && s[len - 1] != '.';
}

static void value(yaml_document_t *d, int index, unsigned depth);

static void pairs(yaml_document_t *d, const yaml_node_t *node, unsigned depth, bool *first, const yaml_node_t *over)
{
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(d, p->key);
        const char *name = (const char *)key->data.scalar.value;
        bool again = false;
        if (!strcmp(name, "<<")) {
            pairs(d, yaml_document_get_node(d, p->value), depth, first, node);
            continue;
        }
        for (const yaml_node_pair_t *o = over ? over->data.mapping.pairs.start : NULL; over && o < over->data.mapping.pairs.top; o++)
            again = again || !strcmp((const char *)yaml_document_get_node(d, o->key)->data.scalar.value, name);
        if (again || (depth == 1 && !strncmp(name, "x-", 2)))
            continue;
        putz(*first ? "" : ",");
        *first = false;
        string(key->data.scalar.value, key->data.scalar.length);
        putz(":");
        value(d, p->value, depth);
    }
}

static void value(yaml_document_t *d, int index, unsigned depth)
{
    const yaml_node_t *node = yaml_document_get_node(d, index);
    bool first = true;
    if (!node || depth > 64)
        exit(1);
    if (node->type == YAML_SCALAR_NODE) {
        if (bare(node))
            put((const char *)node->data.scalar.value, node->data.scalar.length);
        else
            string(node->data.scalar.value, node->data.scalar.length);
    } else if (node->type == YAML_SEQUENCE_NODE) {
        putz("[");
        for (const yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top; i++) {
            putz(first ? "" : ",");
            first = false;
            value(d, *i, depth + 1);
        }
        putz("]");
    } else {
        putz("{");
        pairs(d, node, depth + 1, &first, NULL);
        putz("}");
    }
}

int main(int argc, char **argv)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    FILE *in = argc == 3 ? fopen(argv[1], "re") : NULL, *to = in ? fopen(argv[2], "we") : NULL;
    if (!to || !yaml_parser_initialize(&parser))
        return 1;
    yaml_parser_set_input_file(&parser, in);
    if (!yaml_parser_load(&parser, &doc) || !yaml_document_get_root_node(&doc)) {
        fprintf(stderr, "%s:%zu: %s\n", argv[1], parser.problem_mark.line + 1, parser.problem ? parser.problem : "empty");
        return 1;
    }
    value(&doc, 1, 0);
    fprintf(to, "#include <stddef.h>\nextern const char hf_openapi[];\nextern const size_t hf_openapi_n;\nconst size_t hf_openapi_n = %zu;\nconst char hf_openapi[] = {", n);
    for (size_t i = 0; i < n; i++)
        fprintf(to, "%s%d,", i % 32 ? "" : "\n", (signed char)out[i]);
    fprintf(to, "0};\n");
    yaml_document_delete(&doc);
    yaml_parser_delete(&parser);
    free(out);
    fclose(in);
    return fclose(to) ? 1 : 0;
}
