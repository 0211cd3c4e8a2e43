/* SPDX-License-Identifier: Apache-2.0 */
/* elf.h - sections and segments of an ELF file by random access.  Spec: System V gABI, chapter 4; ELF-64 object file format.
 *
 * Reads the header, the section headers and their names only: a few small reads whatever the file's size. */
#pragma once
#include "base/ra.h"

enum { HF_ELF_MAX_SECTIONS = 4096, HF_ELF_MAX_SEGMENTS = 512 };

struct hf_elf {
    bool is64, big;
    uint16_t type; /* ET_* */
    uint64_t phoff, shoff;
    uint32_t phentsize, phnum, shentsize, shnum, shstrndx;
};
struct hf_elf_part { /* section or segment */
    uint64_t addr, offset, size; /* size in the file */
    uint32_t type, flags;
};
/* 1 and *ret, or 0 when it is not ELF; HF_E_FORMAT when the header is inconsistent. */
HF_MUSTUSE int hf_elf_open(const struct hf_ra *ra, struct hf_elf *ret, struct hf_err *err);
/* Section by name: 1, 0 when there is none (or no section headers), < 0.  work holds the tables. */
HF_MUSTUSE int hf_elf_section(const struct hf_elf *e, const struct hf_ra *ra, const char *name, struct hf_buf *work, struct hf_elf_part *ret, struct hf_err *err);
/* Segment i: 1, 0 past the end. */
HF_MUSTUSE int hf_elf_segment(const struct hf_elf *e, const struct hf_ra *ra, size_t i, struct hf_elf_part *ret, struct hf_err *err);
/* File offset of a virtual address: true, or false when no segment holds it. */
bool hf_elf_offset(const struct hf_elf *e, const struct hf_ra *ra, uint64_t addr, uint64_t *ret);
