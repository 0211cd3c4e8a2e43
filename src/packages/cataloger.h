/* SPDX-License-Identifier: Apache-2.0 */
/* cataloger.h - the contract between the layer walk and whoever reads package data from files.
 *
 * A cataloger is one file in packages/ and one row in packages/catalogers.c.  It says which files it wants; the walk hands
 * it each such file once.  It is a pure function of the bytes: no files, clock, globals, printing.  It must hold for hostile
 * bytes: bounded work and memory, errors instead of guesses. */
#pragma once
#include "base/ra.h"
#include "packages/facts.h"

enum hf_want_kind {
    HF_WANT_PATH,   /* whole path: "etc/os-release" */
    HF_WANT_TAIL,   /* path ends in this, at a component boundary: "lib/apk/db/installed", "METADATA" */
    HF_WANT_SUFFIX, /* name ends in this, in upper or lower case: ".jar", ".gemspec" */
    HF_WANT_UNDER,  /* any file directly in the directory that ends in this: "dpkg/status.d" */
    HF_WANT_ELF,    /* regular file that begins with \x7f ELF (any name) */
};
struct hf_want {
    enum hf_want_kind kind;
    const char *pattern;   /* NULL for HF_WANT_ELF */
    const char *dir_tail;  /* also required: the directory ends in this (TAIL/SUFFIX), a '*' matches inside one component:
                              "*.dist-info", "info", "specifications"; NULL: any */
    uint64_t max_bytes;    /* larger files are listed as incomplete instead */
    bool with_siblings;    /* held until the layer's end and given together with the other files it wants of the same
                              directory in the same layer (rpmdb.sqlite and rpmdb.sqlite-wal) */
    const char *stream_magic; /* content kinds: text (at most 64 bytes) that every file which matters holds, so that other
                              files too large to hold in memory need no mention; NULL: none */
    uint32_t stream_bytes; /* of such a file it is enough to see so many bytes from the first 16-byte aligned stream_magic on
                              (hf_cat_file.fragment); 0: the whole file is needed */
};
struct hf_cat_file {
    struct hf_span path;   /* in the image, no leading slash, cleaned ("usr/lib/x"), arbitrary bytes except NUL */
    uint64_t size;
    uint32_t mode;         /* st_mode */
    struct hf_ra ra;       /* its bytes; valid during the call */
    bool fragment;         /* ra begins at stream_magic and holds a part of the file */
};
struct hf_cat_scratch { /* reusable memory of the worker that calls */
    struct hf_buf file;  /* for hf_ra_all and hf_ra_get; ceiling is the worker's share of --max-memory */
    struct hf_buf other;
};
struct hf_cataloger {
    const char *name;
    unsigned version; /* part of the cache key: raise it when the facts for the same bytes change */
    const struct hf_want *wants;
    size_t n_wants;
    /* files[0] is the file; more only with with_siblings.  < 0: the file's facts are kept as far as gathered and the error
     * becomes an incomplete record; report damage of a part with hf_facts_incomplete and go on where that makes sense. */
    int (*run)(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out,
            struct hf_err *err);
};
extern const struct hf_cataloger *const hf_catalogers[]; /* NULL-terminated; packages/catalogers.c */
