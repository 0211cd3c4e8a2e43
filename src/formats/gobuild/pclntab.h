/* SPDX-License-Identifier: Apache-2.0 */
/* pclntab.h - names of the functions linked into a Go program (also stripped ones, and those that were inlined), from the line table of Go
 * 1.16 and later.  Layout: debug/gosym in the Go sources. */
#pragma once
#include "formats/elf/elf.h"

/* 1 and the names, each ended by a NUL (borrowed from memory or in work); 0 when there is no such table; HF_E_LIMIT when it does not fit work. */
HF_MUSTUSE int hf_gopclntab_names(const struct hf_ra *ra, struct hf_buf *work, struct hf_span *ret, struct hf_err *err);
