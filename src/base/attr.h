/* SPDX-License-Identifier: Apache-2.0 */
/* attr.h - compiler attributes, cleanup helpers and checked arithmetic used everywhere. */
#pragma once
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define HF_MUSTUSE __attribute__((warn_unused_result))
#define HF_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define HF_UNUSED __attribute__((unused))
#define HF_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* `hf_cleanup(hf_thing_freep) struct hf_thing *t = NULL;` runs hf_thing_freep(&t) when t leaves scope. */
#define hf_cleanup(f) __attribute__((cleanup(f)))

/* Hands a pointer over and leaves NULL behind, so that its cleanup does nothing. */
#define hf_take(p)            \
    __extension__({           \
        __typeof__(p) t_ = (p); \
        (p) = NULL;           \
        t_;                   \
    })

/* Defines hf_x_freep(T **) for a destructor hf_x_free(T *). */
#define HF_DEFINE_FREEP(type, fn)                       \
    static inline HF_UNUSED void fn##p(type **p)        \
    {                                                   \
        fn(*p);                                         \
        *p = NULL;                                      \
    }

static inline void hf_freep(void *p)
{
    free(*(void **)p);
    *(void **)p = NULL;
}

static inline void hf_closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

#define hf_autofree hf_cleanup(hf_freep)
#define hf_autoclose hf_cleanup(hf_closep)

/* Checked arithmetic: true when the result fits and was stored.  Sizes from input go through these. */
#define hf_ckd_add(r, a, b) (!__builtin_add_overflow((a), (b), (r)))
#define hf_ckd_sub(r, a, b) (!__builtin_sub_overflow((a), (b), (r)))
#define hf_ckd_mul(r, a, b) (!__builtin_mul_overflow((a), (b), (r)))

#define HF_MIN(a, b) ((a) < (b) ? (a) : (b))
#define HF_MAX(a, b) ((a) > (b) ? (a) : (b))
