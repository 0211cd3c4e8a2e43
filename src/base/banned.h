/* SPDX-License-Identifier: Apache-2.0 */
/* banned.h - calls that invite mistakes on hostile input do not compile.  Force-included by the build for our own sources.
 * Use hf_parse_u64/hf_parse_i64 for numbers, hf_buf for text, openat2 helpers for files, *_r for time. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#undef sprintf /* clang's fortified headers make these macros */
#undef vsprintf
#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat strtok gets atoi atol atoll sscanf gmtime localtime ctime asctime mktemp tmpnam system popen
