/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h - rule files in, a compiled rule set out.
 *
 * The files are Falco's, as they are: rules, macros, lists, exceptions, append and override, required versions; and Holdfast's keys
 * beside them (holdfast-rules(1)).  A set loads whole or not at all: the first error names file, line and what is wrong.
 * Rules of other sources than "syscall" (audit logs of Kubernetes) are kept, but listen to nothing here.
 *
 * hf_rules_add for every file in order, then hf_rules_compile once. */
#pragma once
#include "base/mem.h"
#include "detect/cond.h"
#include "detect/fields.h"
#include "event/alert.h"

struct hf_rules;
struct hf_rules_limits {
    size_t max_bytes; /* memory of all; 0: 64 MiB */
};

/* A node of the compiled condition.  AND and OR have many children. */
struct hf_prog {
    enum hf_cond_kind kind;
    enum hf_cond_op op;
    uint64_t classes;        /* events for which it can hold; a superset */
    struct hf_prog **parts;  /* AND, OR, NOT (one) */
    size_t n_parts;
    struct hf_prog *macro;   /* MACRO: its condition */
    uint32_t memo;           /* MACRO: place of its result for the event at hand */
    const struct hf_field_def *field;
    struct hf_span arg;
    int64_t arg_n;
    enum hf_transform transform;
    const struct hf_field_def *right; /* compared with this field, or NULL */
    struct hf_span right_arg;
    int64_t right_n;
    enum hf_transform right_transform;
    struct hf_prog_value {
        struct hf_span str;
        int64_t num;
        uint8_t addr[16];
        uint8_t prefix; /* bits of the address that count */
        bool is_num, is_addr;
        void *regex;
    } *values;
    size_t n_values;
    struct hf_map set;       /* of values, when they are many */
    bool has_set, is_type;   /* is_type: evt.type, decided by classes alone */
    struct hf_span text;     /* as written, for `why` */
};

enum hf_rule_kind { HF_RULE_PLAIN, HF_RULE_COUNT, HF_RULE_DISTINCT, HF_RULE_REGULAR, HF_RULE_SEQUENCE, HF_RULE_FIRST, HF_RULE_SURGE };

struct hf_output_part {
    struct hf_span text; /* literal, when field is NULL */
    const struct hf_field_def *field;
    struct hf_span arg;
    int64_t arg_n;
};
struct hf_key_part {
    const struct hf_field_def *field;
    struct hf_span arg;
    int64_t arg_n;
};

struct hf_rule {
    struct hf_span name, desc, condition, output, source_file, what, todo, benign;
    unsigned line;
    enum hf_severity severity;
    bool enabled, is_syscall;
    bool asks_killed; /* its condition has hf.exe.killed: it is also tried on programs that were killed before they ran (HF_X_KILLED) */
    bool until_verdict; /* "until: verdict": told when the guard has judged what started, unless that makes an alert as severe */
    bool cheap_hooks; /* does not make the sensor attach hooks that every system call of the host pays for */
    struct hf_span *tags, *tactics, *techniques;
    size_t n_tags, n_tactics, n_techniques;
    struct hf_prog *prog;       /* NULL for a sequence */
    struct hf_prog **steps;     /* SEQUENCE */
    size_t n_steps;
    uint64_t classes;           /* events that it listens to */
    struct hf_output_part *parts;
    size_t n_parts;
    enum hf_rule_kind kind;
    struct hf_key_part key[4];
    size_t n_key;
    struct hf_key_part value;   /* DISTINCT, FIRST, SURGE */
    uint64_t count, window_ns;
    uint64_t min_ns, max_ns, samples, jitter_pct; /* REGULAR; samples: of SURGE too */
    uint64_t above, times;      /* SURGE */
    uint64_t once_ns;           /* one alert in this time for the same key, more are counted; 0: folded as the engine does */
    struct hf_span remember;    /* makes no alert: the key is remembered under this name for the window (hf.remembered) */
    uint8_t respond[HF_RESPONSES]; /* what it wants done, in order */
    size_t n_respond;
    struct hf_span *unserved;   /* fields of it that no event of this program has, with the reason */
    size_t n_unserved;
    uint64_t definition;        /* hash of all that makes it what it is */
};

HF_MUSTUSE int hf_rules_new(struct hf_rules **ret, const struct hf_rules_limits *limits_or_null, struct hf_err *err);
void hf_rules_free(struct hf_rules *r);
HF_DEFINE_FREEP(struct hf_rules, hf_rules_free)
/* text is copied; name is the file's, for messages and `source_file`. */
HF_MUSTUSE int hf_rules_add(struct hf_rules *r, const char *name, struct hf_span text, struct hf_err *err);
HF_MUSTUSE int hf_rules_compile(struct hf_rules *r, struct hf_err *err);
size_t hf_rules_count(const struct hf_rules *r);
const struct hf_rule *hf_rules_at(const struct hf_rules *r, size_t i);
size_t hf_rules_memos(const struct hf_rules *r); /* places for results of macros */
/* Macros, lists and plain facts, for `rules check`. */
void hf_rules_totals(const struct hf_rules *r, size_t *ret_macros, size_t *ret_lists);
/* Files of a folder (*.yaml, *.yml, in name order) or one file. */
HF_MUSTUSE int hf_rules_add_path(struct hf_rules *r, const char *path, struct hf_err *err);
