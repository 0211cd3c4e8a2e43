/* SPDX-License-Identifier: Apache-2.0 */
/* glob.h - wildcards of policies: '*' any bytes; in paths '*' stays within one segment and "**" crosses them. */
#pragma once
#include "base/span.h"

/* Whole text against the pattern, in at most pattern * text steps. */
bool hf_glob(struct hf_span pattern, struct hf_span text);
bool hf_glob_path(struct hf_span pattern, struct hf_span path);
