/* SPDX-License-Identifier: Apache-2.0 */
/* cond.h - conditions of Falco's rule language as a tree.
 *
 *   expr := and ("or" and)* ; and := not ("and" not)* ; not := "not" not | "(" expr ")" | NAME | check
 *   check := field op value | field "exists" | field ("in"|"intersects"|"pmatch") "(" values ")"
 *   field := name ["[" arg "]"], perhaps within a transformer: tolower(f), toupper(f), basename(f), b64(f), len(f)
 *
 * A NAME alone is a macro.  Values are words, quoted texts, or names of lists (resolved later).  Errors say where (offset). */
#pragma once
#include "base/mem.h"

enum hf_cond_kind { HF_COND_AND, HF_COND_OR, HF_COND_NOT, HF_COND_MACRO, HF_COND_CHECK };
enum hf_cond_op {
    HF_OP_EQ,
    HF_OP_NE,
    HF_OP_LT,
    HF_OP_LE,
    HF_OP_GT,
    HF_OP_GE,
    HF_OP_CONTAINS,
    HF_OP_ICONTAINS,
    HF_OP_BCONTAINS,
    HF_OP_STARTSWITH,
    HF_OP_BSTARTSWITH,
    HF_OP_ENDSWITH,
    HF_OP_GLOB,
    HF_OP_IGLOB,
    HF_OP_REGEX,
    HF_OP_EXISTS,
    HF_OP_IN,
    HF_OP_INTERSECTS,
    HF_OP_PMATCH
};
enum hf_transform { HF_TRANSFORM_NONE, HF_TRANSFORM_LOWER, HF_TRANSFORM_UPPER, HF_TRANSFORM_BASENAME, HF_TRANSFORM_B64, HF_TRANSFORM_LEN, HF_TRANSFORM_VAL };

struct hf_cond_field {
    struct hf_span name, arg;
    enum hf_transform transform;
    bool has_arg;
};
struct hf_cond {
    enum hf_cond_kind kind;
    struct hf_span text; /* of this part, as written */
    struct hf_cond *a, *b; /* AND, OR: both; NOT: a */
    struct hf_span macro;
    struct hf_cond_field field;
    enum hf_cond_op op;
    struct hf_span *values; /* words: list names are not resolved here */
    size_t n_values;
    struct hf_cond_field right; /* a field on the right side; name empty: none */
    size_t offset;
};
/* The tree lives in the arena and borrows from text.  HF_E_FORMAT (offset), HF_E_LIMIT (nesting over 200, values over 65,536). */
HF_MUSTUSE int hf_cond_parse(struct hf_arena *a, struct hf_span text, struct hf_cond **ret, struct hf_err *err);
const char *hf_cond_op_name(enum hf_cond_op op);
bool hf_cond_op_find(struct hf_span name, enum hf_cond_op *ret);
/* "tolower" and so on; NULL for none. */
const char *hf_transform_name(enum hf_transform t);
