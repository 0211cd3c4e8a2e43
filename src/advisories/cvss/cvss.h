/* SPDX-License-Identifier: Apache-2.0 */
/* cvss.h - base scores from CVSS vectors.  Spec: FIRST CVSS v2.0, v3.0, v3.1, v4.0 specification documents. */
#pragma once
#include "base/span.h"

/* Computes the base score of a vector ("CVSS:3.1/AV:N/...", "AV:N/AC:L/Au:N/..." for v2, with or without parentheses) times
 * ten into *ret_score10 (0..100), and the version times ten (20, 30, 31, 40).  Temporal and environmental metrics are checked for
 * shape and ignored.  HF_E_FORMAT when a base metric is missing, unknown or given twice. */
HF_MUSTUSE int hf_cvss_base(struct hf_span vector, unsigned *ret_version10, unsigned *ret_score10);
