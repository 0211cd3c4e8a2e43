/* SPDX-License-Identifier: Apache-2.0 */
/* gobuild.h - build information in Go programs (runtime/debug.BuildInfo; debug/buildinfo in the Go sources describes the bytes), stripped
 * or not: inline since Go 1.18, by pointers before. */
#pragma once
#include "formats/elf/elf.h"

/* Finds and reads it: 1 with the toolchain version ("go1.22.3") and the module text (lines "path\t...", "mod\t...", "dep\t...", "=>\t...",
 * "build\t..."), both in work; 0 when this is no Go program; < 0. */
HF_MUSTUSE int hf_gobuild_read(const struct hf_ra *ra, struct hf_buf *work, struct hf_buf *tables, struct hf_span *ret_version, struct hf_span *ret_modules,
        struct hf_err *err);

/* The same from the first bytes of the information itself (HF_GOBUILD_MAGIC), where the rest of the program is out of reach: only what
 * Go 1.18 and later wrote.  1, HF_E_UNSUPPORTED (by pointers), HF_E_TRUNCATED, HF_E_FORMAT. */
#define HF_GOBUILD_MAGIC "\xff Go buildinf:"
HF_MUSTUSE int hf_gobuild_fragment(const struct hf_ra *ra, struct hf_buf *work, struct hf_span *ret_version, struct hf_span *ret_modules, struct hf_err *err);
