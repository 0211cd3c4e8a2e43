/* SPDX-License-Identifier: Apache-2.0 */
/* cut.h - ends the connections of the network namespace that the caller is in (sock_diag(7), SOCK_DESTROY; as `ss -K`), TCP and UDP, IPv4 and
 * IPv6, but loopback's and those with an address that is allowed.  The other side learns it by the next packet it sends. */
#pragma once
#include "respond/bpf/gate.h"

struct hf_err;
/* How many were cut.  HF_E_UNSUPPORTED: this kernel cannot (CONFIG_INET_DIAG_DESTROY). */
__attribute__((warn_unused_result)) int hf_cut_connections(const struct hf_gate_allow *allow, unsigned n, unsigned *ret_cut, struct hf_err *err);
/* Whether an address and port are allowed; addr 16 bytes, IPv4 mapped. */
int hf_gate_allows(const struct hf_gate_allow *allow, unsigned n, const unsigned char addr[16], unsigned port);
