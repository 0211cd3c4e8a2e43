/* SPDX-License-Identifier: Apache-2.0 */
/* scheme.h - one comparison function a scheme; -1, 0, 1 or HF_CMP_INVALID.  Shared helpers for digit runs. */
#pragma once
#include "advisories/version/version.h"

int hf_cmp_deb(struct hf_span a, struct hf_span b);
int hf_cmp_rpm(struct hf_span a, struct hf_span b);
int hf_cmp_apk(struct hf_span a, struct hf_span b);
int hf_cmp_pep440(struct hf_span a, struct hf_span b);
int hf_cmp_semver(struct hf_span a, struct hf_span b);
int hf_cmp_go(struct hf_span a, struct hf_span b);
int hf_cmp_hex(struct hf_span a, struct hf_span b);
int hf_cmp_pub(struct hf_span a, struct hf_span b);
int hf_cmp_bitnami(struct hf_span a, struct hf_span b);
int hf_cmp_maven(struct hf_span a, struct hf_span b);
int hf_cmp_gem(struct hf_span a, struct hf_span b);
int hf_cmp_nuget(struct hf_span a, struct hf_span b);
int hf_cmp_packagist(struct hf_span a, struct hf_span b);

static inline bool hf_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool hf_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline char hf_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
/* Order of two digit runs as numbers of any length. */
int hf_cmp_digits(struct hf_span a, struct hf_span b);
/* Takes the digits at the front off *s. */
struct hf_span hf_take_digits(struct hf_span *s);
/* ASCII order without case. */
int hf_cmp_nocase(struct hf_span a, struct hf_span b);
