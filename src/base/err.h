/* SPDX-License-Identifier: Apache-2.0 */
/* err.h - error codes and the caller-owned error detail.
 *
 * Fallible functions return int: < 0 is an error, 0 done or none, > 0 something was produced.  Codes are negative errno
 * values for the system's errors and HF_E_* for our own.  The detail never allocates, may be NULL, may be ignored. */
#pragma once
#include <stdint.h>

enum {
    HF_E_FORMAT = -4096,        /* bytes break the format */
    HF_E_TRUNCATED = -4097,     /* input ends inside a record */
    HF_E_LIMIT = -4098,         /* a cap was reached; the message names it */
    HF_E_UNSUPPORTED = -4099,   /* valid, but a variant we do not read */
    HF_E_DIGEST = -4100,        /* content differs from its digest; the message names both */
    HF_E_DAMAGED_ENTRY = -4101, /* one entry is bad, the caller may go on */
    HF_E_INCOMPLETE = -4102,    /* done, but something could not be examined */
    HF_E_NOT_FOUND = -4103,     /* the thing asked for does not exist */
    HF_E_USAGE = -4104,         /* wrong command line or configuration */
    HF_E_SIGNATURE = -4105,     /* a signature is missing or wrong */
};

struct hf_err {
    int code;
    uint64_t offset; /* byte offset in the input, 0 when unknown */
    char msg[512];   /* always NUL-terminated, no trailing newline, control bytes replaced */
};

#define HF_ERR_INIT {0, 0, {0}}

/* Fills *err (NULL is fine) and returns code, so that a failing function can `return hf_fail(...)`. */
__attribute__((format(printf, 3, 4))) int hf_fail(
        struct hf_err *err, int code, const char *fmt, ...);

/* As hf_fail, with the byte offset where the input went wrong. */
__attribute__((format(printf, 4, 5))) int hf_fail_at(
        struct hf_err *err, int code, uint64_t offset, const char *fmt, ...);

/* Puts "context: " in front of the message on the way up and returns rc.  An empty detail gets the code's name. */
__attribute__((format(printf, 3, 4))) int hf_wrap(
        struct hf_err *err, int rc, const char *fmt, ...);

/* A short phrase for a code (HF_E_* or negative errno).  Static or thread-local storage. */
const char *hf_err_name(int code);
