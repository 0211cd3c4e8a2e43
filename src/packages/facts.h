/* SPDX-License-Identifier: Apache-2.0 */
/* facts.h - what catalogers learn from single files.  Facts of a layer depend on that layer's bytes only; joining (which
 * file belongs to which package, what a higher layer hides, duplicates) happens later on the merged image.
 *
 * Every call copies what it is given into the facts' arena.  0, or HF_E_LIMIT when the arena's ceiling is reached; the
 * caller returns that error and the file is listed as incomplete. */
#pragma once
#include "base/mem.h"
#include "packages/package.h"

enum hf_fact_kind {
    HF_FACT_PACKAGE,    /* .pkg */
    HF_FACT_OWNED,      /* package `key` of type .type owns file `text` (path without leading slash) */
    HF_FACT_LICENSE,    /* package `key` of type .type has licence `text` */
    HF_FACT_OS,         /* .os */
    HF_FACT_INCOMPLETE, /* something in this file could not be read: `text` says what and where */
    HF_FACT_MARK,       /* a named observation: key "apk-repositories" / "ubuntu-pro" / "rhel-content-set" / "java-unnamed", text its value */
};
struct hf_fact {
    enum hf_fact_kind kind;
    enum hf_pkg_type type;
    uint32_t file; /* index of the file it came from, as set by the runner */
    struct hf_span key, text;
    struct hf_package *pkg;
    struct hf_os_release *os;
};
struct hf_facts {
    struct hf_arena arena;
    struct hf_fact *v; /* malloc'd */
    size_t n, cap;
    uint32_t file; /* the runner sets it before each cataloger call */
    uint64_t lost; /* calls of hf_facts_incomplete that found no room: the layer is incomplete all the same */
    struct hf_quota *quota; /* shared with other layers; NULL: none */
};
void hf_facts_init(struct hf_facts *f, size_t max_bytes);
void hf_facts_done(struct hf_facts *f);
HF_MUSTUSE int hf_facts_package(struct hf_facts *f, const struct hf_package *p, struct hf_err *err);
HF_MUSTUSE int hf_facts_owned(struct hf_facts *f, enum hf_pkg_type t, struct hf_span key, struct hf_span path, struct hf_err *err);
HF_MUSTUSE int hf_facts_license(struct hf_facts *f, enum hf_pkg_type t, struct hf_span key, struct hf_span text, struct hf_err *err);
HF_MUSTUSE int hf_facts_os(struct hf_facts *f, const struct hf_os_release *os, struct hf_err *err);
HF_MUSTUSE int hf_facts_mark(struct hf_facts *f, struct hf_span key, struct hf_span text, struct hf_err *err);
/* The facts from first up to end once more, for the current file: another name of the one they came from. They share their text. */
HF_MUSTUSE int hf_facts_repeat(struct hf_facts *f, size_t first, size_t end, struct hf_err *err);
HF_PRINTF(2, 3) int hf_facts_incomplete(struct hf_facts *f, const char *fmt, ...);
