/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - JSON in (stream and document) and out.  Spec: RFC 8259.
 *
 * Reading a stream: yajl, bounded memory on documents of any size.  Reading a small document: cJSON.  Both refuse nesting
 * over HF_JSON_DEPTH and say at which byte they stopped.  Not checked: names that occur twice (a document's getter sees the
 * first, a stream all of them), and, in a document, UTF-8 and control characters inside strings. */
#pragma once
#include "base/span.h"

enum {
    HF_JSON_DEPTH = 200,           /* containers in containers */
    HF_JSON_DOC_MAX = 64 << 20,    /* bytes of a document read at once */
    HF_JSON_NODES_MAX = 1 << 20,   /* values of a document: each costs some 100 bytes of memory, but only 2 of input */
    HF_JSON_TOKEN_MAX = 4 << 20,   /* bytes a stream may go on without an event: one string, number or gap is kept whole */
};

/* --- stream: events in document order.  A callback returns 0 to go on, < 0 to stop with that code. --- */
enum hf_json_ev {
    HF_JSON_NULL,
    HF_JSON_BOOL,   /* .boolean */
    HF_JSON_NUMBER, /* .text: as written */
    HF_JSON_STRING, /* .text: unescaped bytes, borrowed for the call */
    HF_JSON_KEY,    /* .text: the member's name; its value follows */
    HF_JSON_OBJECT,
    HF_JSON_OBJECT_END,
    HF_JSON_ARRAY,
    HF_JSON_ARRAY_END,
};
struct hf_json_event {
    enum hf_json_ev kind;
    unsigned depth; /* of the container this event is in; 0 at the top */
    bool boolean;
    struct hf_span text;
};
typedef int (*hf_json_cb)(void *ctx, const struct hf_json_event *ev);

struct hf_json_stream;
struct hf_json_stream *hf_json_stream_new(hf_json_cb cb, void *ctx);
void hf_json_stream_free(struct hf_json_stream *s);
HF_DEFINE_FREEP(struct hf_json_stream, hf_json_stream_free)
/* Next piece of the document, best 4 KiB or more.  HF_E_FORMAT (offset in err), HF_E_LIMIT (depth, token), or the callback's
 * code.  After an error the stream stays failed. */
HF_MUSTUSE int hf_json_stream_feed(struct hf_json_stream *s, struct hf_span piece, struct hf_err *err);
/* No more pieces: HF_E_TRUNCATED when the document is not complete. */
HF_MUSTUSE int hf_json_stream_end(struct hf_json_stream *s, struct hf_err *err);

/* --- document.  Nodes are borrowed from the document; every getter accepts NULL and answers "nothing". --- */
struct cJSON;
typedef const struct cJSON *hf_jnode;
struct hf_json_doc;
/* HF_E_FORMAT (also for a NUL in a string, which a C string cannot hold) or HF_E_LIMIT; a UTF-8 byte order mark is skipped. */
HF_MUSTUSE int hf_json_parse(struct hf_span text, struct hf_json_doc **ret, struct hf_err *err);
/* The same, HF_E_LIMIT when the document would take more than about max_bytes of memory. */
HF_MUSTUSE int hf_json_parse_within(struct hf_span text, size_t max_bytes, struct hf_json_doc **ret, struct hf_err *err);
void hf_json_doc_free(struct hf_json_doc *d);
HF_DEFINE_FREEP(struct hf_json_doc, hf_json_doc_free)
hf_jnode hf_json_root(const struct hf_json_doc *d);
hf_jnode hf_jget(hf_jnode object, const char *name);          /* exact, case-sensitive; NULL when missing */
hf_jnode hf_jfirst(hf_jnode container);                       /* first child of an object or array */
hf_jnode hf_jnext(hf_jnode child);
struct hf_span hf_jname(hf_jnode member);                     /* name of an object's member */
struct hf_span hf_jstr(hf_jnode n);                           /* text of a string, else empty */
struct hf_span hf_jgetstr(hf_jnode object, const char *name); /* hf_jstr(hf_jget()) */
bool hf_jis_str(hf_jnode n);
bool hf_jis_object(hf_jnode n);
bool hf_jis_array(hf_jnode n);
bool hf_jis_true(hf_jnode n);
bool hf_jis_bool(hf_jnode n);
bool hf_jnum(hf_jnode n, double *ret);
#define HF_JFOREACH(child, container) for (hf_jnode child = hf_jfirst(container); child; child = hf_jnext(child))

/* --- writing: a thin layer over hf_buf that places commas and escapes.  Invalid UTF-8 becomes U+FFFD.  pretty: two
 * spaces of indentation.  The writer keeps only the nesting; check hf_buf_ok at the end. --- */
struct hf_jw {
    struct hf_buf *out;
    bool pretty;
    unsigned depth;
    uint64_t has_items[4]; /* one bit a level: whether something was written there (nesting up to 255) */
    bool after_key;
};
void hf_jw_init(struct hf_jw *w, struct hf_buf *out, bool pretty);
void hf_jw_object(struct hf_jw *w);
void hf_jw_object_end(struct hf_jw *w);
void hf_jw_array(struct hf_jw *w);
void hf_jw_array_end(struct hf_jw *w);
void hf_jw_key(struct hf_jw *w, const char *name);
void hf_jw_key_span(struct hf_jw *w, struct hf_span name);
void hf_jw_str(struct hf_jw *w, struct hf_span s);
void hf_jw_strz(struct hf_jw *w, const char *z);
void hf_jw_u64(struct hf_jw *w, uint64_t v);
void hf_jw_i64(struct hf_jw *w, int64_t v);
void hf_jw_fixed(struct hf_jw *w, double v, unsigned decimals); /* finite numbers only; others become null */
void hf_jw_bool(struct hf_jw *w, bool v);
void hf_jw_null(struct hf_jw *w);
/* key and value in one; the _opt forms write nothing when the span is empty. */
void hf_jw_kstr(struct hf_jw *w, const char *name, struct hf_span s);
void hf_jw_kstrs(struct hf_jw *w, const char *key, const struct hf_span *v, size_t n); /* an array of strings */
void hf_jw_kstr_opt(struct hf_jw *w, const char *name, struct hf_span s);
void hf_jw_kstrz(struct hf_jw *w, const char *name, const char *z);
void hf_jw_ku64(struct hf_jw *w, const char *name, uint64_t v);
void hf_jw_kbool(struct hf_jw *w, const char *name, bool v);
