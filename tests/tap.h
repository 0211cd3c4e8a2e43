/* SPDX-License-Identifier: Apache-2.0 */
/* tap.h - assertions that print TAP (testanything.org).  One binary a module: int main(void) { ...checks...; return tap_done(); } */
#pragma once
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"

static unsigned tap_n, tap_bad;

static inline int tap_result(int ok, const char *file, int line, const char *what)
{
    tap_n++;
    if (!ok)
        tap_bad++;
    printf("%sok %u - %s:%d %s\n", ok ? "" : "not ", tap_n, file, line, what);
    fflush(stdout);
    return ok;
}
#define OK(cond) tap_result(!!(cond), __FILE__, __LINE__, #cond)
#define EQ_U(a, b)                                                                                   \
    do {                                                                                             \
        uintmax_t a_ = (uintmax_t)(a), b_ = (uintmax_t)(b);                                          \
        if (!tap_result(a_ == b_, __FILE__, __LINE__, #a " == " #b))                                 \
            printf("# got %" PRIuMAX ", expected %" PRIuMAX "\n", a_, b_);                           \
    } while (0)
#define EQ_I(a, b)                                                                                   \
    do {                                                                                             \
        intmax_t a_ = (intmax_t)(a), b_ = (intmax_t)(b);                                             \
        if (!tap_result(a_ == b_, __FILE__, __LINE__, #a " == " #b))                                 \
            printf("# got %" PRIdMAX ", expected %" PRIdMAX "\n", a_, b_);                           \
    } while (0)
#define EQ_S(span, text)                                                                             \
    do {                                                                                             \
        struct hf_span s_ = (span), t_ = hf_span_z(text);                                            \
        if (!tap_result(hf_span_eq(s_, t_), __FILE__, __LINE__, #span " == " #text))                 \
            printf("# got \"%.*s\", expected \"%.*s\"\n", (int)s_.n, s_.p ? s_.p : "", (int)t_.n, t_.p); \
    } while (0)

/* How many files this process has open, and a constant: what is given back leaves it as it was. */
static inline unsigned tap_descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static inline int tap_done(void)
{
    printf("1..%u\n", tap_n);
    return tap_bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
