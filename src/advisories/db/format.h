/* SPDX-License-Identifier: Apache-2.0 */
/* format.h - layout of the database file, shared by writer and reader; described in docs/formats/advdb.md. Little-endian. */
#pragma once
#include <stdint.h>

#define HF_ADVDB_MAGIC "HFADVDB1"
enum { HF_ADVDB_VERSION = 3 };
enum hf_advdb_section {
    SEC_STRINGS,  /* [uvarint length][bytes], referred to by offset; offset 0 is the empty string */
    SEC_ADVISORY, /* records */
    SEC_ADV_INDEX, /* u32 offset in SEC_ADVISORY of advisory i */
    SEC_ROWS,     /* records */
    SEC_KEYS,     /* {u32 ns, u32 name, u32 offset in SEC_ROWS, u32 rows}, sorted by (ns text, name text) */
    SEC_IDS,      /* {u32 id string, u32 advisory}, sorted by (text, advisory) */
    SEC_NS,       /* u32 string, sorted by text */
    SEC_SOURCES,  /* records */
    SEC_EPSS,     /* {u64 cve, u32 score * 1e9, u32 percentile * 1e9}, sorted */
    SEC_KEV,      /* {u64 cve, u32 added, u32 due, u32 ransomware, u32 0}, sorted */
    SEC_ADV_ROWS, /* {u32 advisory, u32 key index}, sorted: which packages an advisory concerns */
    SEC_TEXTS,    /* zstd frames, each of some descriptions one after another */
    SEC_TEXT_INDEX, /* u32 offset in SEC_TEXTS of frame i */
    SECTIONS
};
/* Header: magic[8], u32 version, u32 sections, u64 built, u64 file size, then {u64 offset, u64 size} a section. */
enum { HF_ADVDB_HEADER = 32 + SECTIONS * 16, KEY_BYTES = 16, ID_BYTES = 8, EPSS_BYTES = 16, KEV_BYTES = 24, ADV_ROW_BYTES = 8 };
enum { HF_ADVDB_BLOCK_MAX = 128 << 10 }; /* a frame, unpacked */
