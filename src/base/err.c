/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *hf_err_name(int code)
{
    switch (code) {
    case 0:
        return "no error";
    case HF_E_FORMAT:
        return "malformed input";
    case HF_E_TRUNCATED:
        return "input ends early";
    case HF_E_LIMIT:
        return "limit reached";
    case HF_E_UNSUPPORTED:
        return "not supported";
    case HF_E_DIGEST:
        return "digest mismatch";
    case HF_E_DAMAGED_ENTRY:
        return "damaged entry";
    case HF_E_INCOMPLETE:
        return "incomplete";
    case HF_E_NOT_FOUND:
        return "not found";
    case HF_E_USAGE:
        return "wrong usage";
    case HF_E_SIGNATURE:
        return "signature not accepted";
    default: {
        static _Thread_local char text[64];
        const char *s = strerrordesc_np(-code);
        if (s)
            return s;
        snprintf(text, sizeof text, "error %d", code);
        return text;
    }
    }
}

/* Messages quote hostile input; nothing in them may reach a terminal as a control sequence. */
static void scrub(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

__attribute__((format(printf, 4, 0))) static int vfail(struct hf_err *err, int code, uint64_t offset, const char *fmt, va_list ap)
{
    if (!err)
        return code;
    err->code = code;
    err->offset = offset;
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    scrub(err->msg);
    return code;
}

int hf_fail(struct hf_err *err, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfail(err, code, 0, fmt, ap);
    va_end(ap);
    return code;
}

int hf_fail_at(struct hf_err *err, int code, uint64_t offset, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfail(err, code, offset, fmt, ap);
    va_end(ap);
    return code;
}

int hf_wrap(struct hf_err *err, int rc, const char *fmt, ...)
{
    char old[sizeof err->msg];
    va_list ap;

    if (!err)
        return rc;
    if (err->msg[0])
        memcpy(old, err->msg, sizeof old);
    else
        snprintf(old, sizeof old, "%s", hf_err_name(rc));
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    scrub(err->msg);
    size_t n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, ": %s", old);
    err->code = rc;
    return rc;
}
