/* SPDX-License-Identifier: Apache-2.0 */
/* incident-cli.h - what the commands of incidents share. */
#pragma once
#include "cli/store-cli.h"
#include "incident/incident.h"

/* Who is at the keyboard: --by, the user behind sudo, the user. */
const char *hf_cli_who(const char *by);
bool hf_cli_colour(void);
/* Escape that begins the colour of a severity or "" without colour; pair with hf_cli_plain. */
const char *hf_cli_severity_colour(struct hf_span severity);
const char *hf_cli_plain(void);
/* "2026-11-26 20:06:14" */
struct hf_span hf_cli_short_time(struct hf_span rfc3339, char buf[24]);
int hf_cli_incident_import(int argc, char **argv);
int hf_cli_incident_show(const struct hf_inc *i, struct hf_buf *out);
