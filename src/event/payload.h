/* SPDX-License-Identifier: Apache-2.0 */
/* payload.h - what the first bytes of a connection, or a datagram, are: DNS (RFC 1035), TLS ClientHello with its server name (RFC 8446,
 * RFC 6066), HTTP/1 (RFC 9112), SSH (RFC 4253), IRC (RFC 2812), stratum (miners' JSON-RPC), SOCKS 4 and 5.
 *
 * The bytes are the network's: every length is checked, names are followed over at most 32 pointers, nothing is believed. */
#pragma once
#include "event/event.h"

/* Fills e->app from e->text (an HF_EV_PAYLOAD).  Names of DNS are written into a static thread-local buffer that the next call reuses. */
void hf_payload_decode(struct hf_event *e);
