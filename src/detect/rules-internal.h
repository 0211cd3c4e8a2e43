/* SPDX-License-Identifier: Apache-2.0 */
/* rules-internal.h - between loading (rules.c) and compiling (compile.c). */
#pragma once
#include "detect/rules.h"

struct hf_macro {
    struct hf_span name, condition, file;
    unsigned line;
    struct hf_prog *prog;
    uint32_t memo;
    bool compiling;
};
struct hf_list {
    struct hf_span name;
    struct hf_span *items;
    size_t n;
};
struct hf_exception {
    struct hf_span name;
    struct hf_span fields[8], comps[8];
    size_t n_fields;
    bool single; /* `fields` is one name: values are its alternatives */
    struct hf_span (*rows)[8]; /* values, a row each; "(" starts a list in a value */
    size_t n_rows, cap_rows;
};
struct hf_raw_rule {
    struct hf_rule r;
    struct hf_exception *exceptions;
    size_t n_exceptions, cap_exceptions;
    struct hf_span steps[8];
    size_t n_steps;
    struct hf_span distinct, first, surge, key[4];
    size_t n_key;
};

struct hf_rules {
    struct hf_arena arena;
    struct hf_raw_rule *rules;
    size_t n_rules, cap_rules;
    struct hf_macro *macros;
    size_t n_macros, cap_macros;
    struct hf_list *lists;
    size_t n_lists, cap_lists;
    struct hf_map by_name[3]; /* rules, macros, lists: index + 1 */
    uint32_t memos;
    bool compiled;
    struct hf_prog **progs; /* all, to free what is not in the arena */
    size_t n_progs, cap_progs;
};
