/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/json.h"

static enum hf_log_level limit = HF_LOG_NOTICE;
static bool as_json;
static const char *const names[] = {"error", "warning", "notice", "info", "debug"};

void hf_log_setup(enum hf_log_level up_to, bool json)
{
    limit = up_to;
    as_json = json;
}

void hf_log(enum hf_log_level level, const char *event, const char *fmt, ...)
{
    if (level > limit)
        return;
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    hf_autobuf line = HF_BUF_INIT(16384);
    if (as_json) {
        struct timespec now;
        struct tm tm;
        char when[40];
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &tm);
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
        struct hf_jw w;
        hf_jw_init(&w, &line, false);
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "time", when);
        hf_jw_kstrz(&w, "level", names[level]);
        hf_jw_kstrz(&w, "event", event);
        hf_jw_kstrz(&w, "message", text);
        hf_jw_object_end(&w);
    } else {
        hf_buf_addf(&line, "holdfast: %s: ", names[level]);
        hf_buf_add_escaped(&line, hf_span_z(text), 0);
    }
    hf_buf_addc(&line, '\n');
    fwrite(line.p, 1, line.n, stderr);
}
