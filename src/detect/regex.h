/* SPDX-License-Identifier: Apache-2.0 */
/* regex.h - regular expressions and wildcards of rules in time linear in the text.
 *
 * An own engine (Thompson's construction, all states at once) and not a library: PCRE2 and the C library's go back over the text,
 * which a process can make as hard as it likes (its arguments are what rules look at); RE2 has no C interface in Debian;
 * Vectorscan would cost 5 MB for the handful of patterns that rules have.
 *
 * Syntax: RE2's for bytes: . [abc] [^a-z] [[:alpha:]] \d \w \s \D \W \S \b \B \A \z \t \n \r \f \v \xHH \x{HH} \Q...\E, groups ( ) (?: )
 * (?P<name> ) (?<name> ), flags (?i) (?s) (?m) (?i: ), | * + ? {n} {n,} {n,m}, lazy forms (the same here: only whether it matches is asked),
 * ^ $.  Not: \p{..}, \C, letters beyond ASCII inside [ ], back references, look-around: HF_E_UNSUPPORTED.  (?i) folds ASCII only;
 * "." takes one byte, not one character.
 * Limits: patterns of HF_REGEX_PATTERN_MAX bytes, HF_REGEX_STATES_MAX states, nesting 64, repetition counts 1000: HF_E_LIMIT.
 * A search takes at most states * (bytes + 1) steps, no memory.  A compiled expression holds the scratch of its searches: one thread. */
#pragma once
#include "base/span.h"

#define HF_REGEX_PATTERN_MAX 4096u
#define HF_REGEX_STATES_MAX 4096u

struct hf_regex;

/* HF_E_FORMAT (offset in err: where in the pattern), HF_E_UNSUPPORTED, HF_E_LIMIT, -ENOMEM. */
HF_MUSTUSE int hf_regex_new(struct hf_span pattern, struct hf_regex **ret, struct hf_err *err);
void hf_regex_free(struct hf_regex *re);
HF_DEFINE_FREEP(struct hf_regex, hf_regex_free)
/* Whether it matches anywhere in the text (RE2's partial match). */
bool hf_regex_search(struct hf_regex *re, struct hf_span text);
/* Whether it matches the text as a whole (RE2's full match: what Falco's `regex` asks). */
bool hf_regex_match(struct hf_regex *re, struct hf_span text);

/* The whole text against a wildcard pattern as fnmatch(3) without flags: '*' any bytes ('/' too), '?' one byte, [a-z] [!a] [[:digit:]],
 * '\' takes the next byte as it is; a '[' without its ']' is itself.  At most pattern * text steps.  nocase folds ASCII. */
bool hf_glob_match(struct hf_span pattern, struct hf_span text, bool nocase);
