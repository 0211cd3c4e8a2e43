/* SPDX-License-Identifier: Apache-2.0 */
/* password.h - asks for a secret at the terminal, without showing it. */
#pragma once
#include "base/span.h"

/* The line that is typed, without its end, appended to ret (wipe it).  The terminal is as before in any case, also after Ctrl-C.
 * -ENOTTY: there is no terminal; -ECANCELED: Ctrl-C, Ctrl-D or an end before a line. */
HF_MUSTUSE int hf_cli_password(const char *prompt, struct hf_buf *ret, struct hf_err *err);
