/* SPDX-License-Identifier: Apache-2.0 */
/* address.h - which addresses a channel may have.  TLS always, but for this machine and where `plain: true` says so. */
#pragma once
#include "notify/conf.h"

/* HF_E_USAGE; the message completes "the address ..." and never repeats it (it may be secret).  Names and passwords inside an address are refused. */
HF_MUSTUSE int hf_naddress_check(enum hf_nkind kind, struct hf_span url, bool plain, struct hf_err *err);
/* local@domain of RFC 5321's ordinary characters, at most 254 bytes. */
bool hf_naddress_ok(struct hf_span mail);
/* Host and port of an address; port 0 when there is none.  The host of [::1] has no brackets. */
bool hf_naddress_split(struct hf_span url, struct hf_span *scheme, struct hf_span *host, uint16_t *port, struct hf_span *path);
