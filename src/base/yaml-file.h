/* SPDX-License-Identifier: Apache-2.0 */
/* yaml-file.h - a YAML file whose root is a list, as rules, exceptions, policies and channels are: loaded within bounds, walked, errors with
 * file and line.  The text is hostile. */
#pragma once
#include <yaml.h>

#include "base/span.h"

struct hf_yaml {
    yaml_document_t doc;
    const char *file; /* of messages; borrowed */
    struct hf_err *err;
};
struct hf_yaml_limits {
    size_t max_bytes;
    int max_nodes; /* scalars, lists and maps together */
    const char *expected; /* "a list of rules is expected" */
};
/* 0: end with hf_yaml_done.  HF_E_USAGE (not YAML, not a list), HF_E_LIMIT. */
HF_MUSTUSE int hf_yaml_load(struct hf_yaml *y, const char *file, struct hf_span text, const struct hf_yaml_limits *l, struct hf_err *err);
void hf_yaml_done(struct hf_yaml *y);
/* Every item of the root list, until fn gives an error.  An empty file has none. */
HF_MUSTUSE int hf_yaml_each(struct hf_yaml *y, int (*fn)(void *ctx, const yaml_node_t *item), void *ctx);
/* HF_E_USAGE, "file:line: ..."; n NULL: no line. */
HF_PRINTF(3, 4) int hf_yaml_wrong(const struct hf_yaml *y, const yaml_node_t *n, const char *fmt, ...);
yaml_node_t *hf_yaml_at(struct hf_yaml *y, int index);
/* Text of a scalar; else empty. */
struct hf_span hf_yaml_scalar(const yaml_node_t *n_or_null);
/* true or false; one of the names.  HF_E_USAGE says what `name` must be. */
HF_MUSTUSE int hf_yaml_flag(const struct hf_yaml *y, const char *name, const yaml_node_t *n, bool *ret);
HF_MUSTUSE int hf_yaml_choice(const struct hf_yaml *y, const char *name, const yaml_node_t *n, const char *const *names, unsigned count, unsigned *ret);
/* The next member of a map: 1, which of the known names it has, and its value; 0 at the end.  HF_E_USAGE: not a map, a name that is not known (with
 * the nearest) or stands twice; `what` is the map in messages. */
#define HF_YAML_KEYS_MAX 32u
struct hf_yaml_walk {
    size_t at;     /* zero at first */
    uint32_t seen;
};
HF_MUSTUSE int hf_yaml_next(struct hf_yaml *y, struct hf_yaml_walk *w, const char *what, const yaml_node_t *map, const char *const *names, size_t count, size_t *ret_which,
        const yaml_node_t **ret_value);
/* A member of a map; NULL. */
yaml_node_t *hf_yaml_member(struct hf_yaml *y, const yaml_node_t *map, const char *name);
