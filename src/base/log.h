/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - messages for the operator on stderr: key=value (or JSON), levels, escaped text.  cli/ and daemons log, libraries
 * return errors. */
#pragma once
#include "base/span.h"

enum hf_log_level { HF_LOG_ERR, HF_LOG_WARNING, HF_LOG_NOTICE, HF_LOG_INFO, HF_LOG_DEBUG };
void hf_log_setup(enum hf_log_level up_to, bool json); /* default: NOTICE, text */
/* One line "holdfast: level: message" on stderr; event is a stable name used in JSON and at debug level. */
HF_PRINTF(3, 4) void hf_log(enum hf_log_level level, const char *event, const char *fmt, ...);
