/* SPDX-License-Identifier: Apache-2.0 */
/* inuse-join.h - a scan's vulnerabilities, and whether what they are in is used. */
#pragma once
#include "result/scan.h"

/* Marks vulnerabilities of packages of the system by what `watch` kept of the image (STATE/inuse).  1: there was something; 0: not. */
HF_MUSTUSE int hf_inuse_join(struct hf_scan *s, const char *state_dir, struct hf_err *err);
