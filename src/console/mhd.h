/* SPDX-License-Identifier: Apache-2.0 */
/* mhd.h - libmicrohttpd, loaded when the console begins, before it gives up files.
 *
 * It brings GnuTLS and what that needs, which would cost every run of the program a millisecond, though only the console uses it. */
#pragma once
#include <microhttpd.h>

#include "base/err.h"

struct hf_mhd {
    __typeof__(&MHD_add_response_header) add_response_header;
    __typeof__(&MHD_create_response_from_buffer) create_response_from_buffer;
    __typeof__(&MHD_create_response_from_callback) create_response_from_callback;
    __typeof__(&MHD_destroy_response) destroy_response;
    __typeof__(&MHD_get_connection_info) get_connection_info;
    __typeof__(&MHD_get_connection_values_n) get_connection_values_n;
    __typeof__(&MHD_queue_response) queue_response;
    __typeof__(&MHD_resume_connection) resume_connection;
    __typeof__(&MHD_set_connection_option) set_connection_option;
    __typeof__(&MHD_start_daemon) start_daemon;
    __typeof__(&MHD_stop_daemon) stop_daemon;
    __typeof__(&MHD_suspend_connection) suspend_connection;
};
/* NULL and the error when the library is missing.  Thread-safe. */
const struct hf_mhd *hf_mhd(struct hf_err *err);
