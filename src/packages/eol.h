/* SPDX-License-Identifier: Apache-2.0 */
/* eol.h - when support of an OS release ends, by its publisher's own dates (security support open to everyone). */
#pragma once
#include "packages/package.h"

/* Seconds since the epoch of the last day, 0: not known. */
uint64_t hf_os_eol(const struct hf_os_release *os);
