/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - texts of a view for formats that have marks of their own, and small encodings.  Pure. */
#pragma once
#include "base/json.h"

/* s cut at a character to at most max bytes, with "..." when something was left out. */
void hf_ntext_cut(struct hf_buf *b, struct hf_span s, size_t max);
/* Markdown (GitHub, GitLab, Mattermost, Discord): every mark with a backslash, nobody mentioned, no issue linked; lines become spaces. */
void hf_ntext_markdown(struct hf_buf *b, struct hf_span s);
/* Element content and attribute values of HTML. */
void hf_ntext_html(struct hf_buf *b, struct hf_span s);
/* Slack's three: & < > (docs.slack.dev, "Formatting message text"). */
void hf_ntext_slack(struct hf_buf *b, struct hf_span s);
/* Jira's wiki marks. */
void hf_ntext_wiki(struct hf_buf *b, struct hf_span s);
/* One part of an address's path or query: all but unreserved as %XX. */
void hf_ntext_url(struct hf_buf *b, struct hf_span s);
void hf_ntext_base64(struct hf_buf *b, struct hf_span bytes);
/* false: not base64. */
bool hf_ntext_unbase64(struct hf_buf *b, struct hf_span text);
void hf_hmac_sha256(struct hf_span key, struct hf_span text, uint8_t ret[32]);
/* "2026-11-26T19:58:04Z" */
void hf_ntext_time(struct hf_buf *b, int64_t s);
/* A value copied into another document; strings as valid UTF-8.  depth: how deep it may go. */
void hf_ntext_json(struct hf_jw *w, hf_jnode n, unsigned depth);
