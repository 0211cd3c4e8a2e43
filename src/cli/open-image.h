/* SPDX-License-Identifier: Apache-2.0 */
/* open-image.h - hf_image_open, and running containers of every runtime. */
#pragma once
#include "image/image.h"

/* "container:NAME" that no docker daemon knows is looked for among all that run (builds with the sensor). */
HF_MUSTUSE int hf_cli_open_image(const char *target, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err);
/* A running container's merged root, whoever made it (running.h). */
HF_MUSTUSE int hf_cli_open_running(const char *name, hf_image_cb cb, void *ctx, struct hf_err *err);
