/* SPDX-License-Identifier: Apache-2.0 */
/* rule-files.h - the files that rules name and the table of watched files (sensor/files/watch.h) lacks: they are added to it at the start.
 * What is done with files that the table has is told as the table says. */
#pragma once
#include "detect/rules.h"
#include "sensor/files/watch.h"

#define HF_RULE_FILES_MAX 256u /* rows that rules may add */

struct hf_rule_files {
    struct hf_watch_list *list; /* of the built-in rows and those added */
    bool add;           /* else it is only looked which are missing */
    size_t rows;        /* added, or missing */
    size_t left;        /* rows that were too many */
    struct hf_buf names; /* of rules that name one, "A; B" */
};
/* HF_E_LIMIT without memory for the rows. */
HF_MUSTUSE int hf_rule_files(const struct hf_rules *rules, struct hf_rule_files *f, struct hf_err *err);
