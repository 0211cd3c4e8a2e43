/* SPDX-License-Identifier: Apache-2.0 */
/* gosymbols.h - which functions of a module a Go program links, as a set of 32-bit hashes (R27).
 *
 * A program links some ten thousand functions; their names would be megabytes of facts.  Of two names in 50,000 one in 100,000 shares a
 * hash with another: a record then matches that need not, never the other way round. */
#pragma once
#include "base/span.h"

/* Import path and symbol of a name in a program's function table: "golang.org/x/net/http2.(*Framer).ReadFrame" gives
 * "golang.org/x/net/http2" and "Framer.ReadFrame"; generic arguments and "-fm" go, %2e in paths is a dot.  The texts lie in work.
 * false: not a function of a package. */
bool hf_go_symbol_split(struct hf_span name, struct hf_buf *work, struct hf_span *ret_path, struct hf_span *ret_symbol);
/* "path.symbol" as advisories are kept. */
uint32_t hf_go_symbol_hash(struct hf_span full);
/* set: 32-bit hashes, sorted, in the machine's byte order. */
bool hf_go_symbol_linked(struct hf_span set, struct hf_span full);
/* The union of two sets, malloc'd into out (emptied first). */
HF_MUSTUSE bool hf_go_symbol_union(struct hf_span a, struct hf_span b, struct hf_buf *out);
