/* SPDX-License-Identifier: Apache-2.0 */
/* state.h - where what is kept lies: alerts, seals, packages in use. */
#pragma once
#define HF_STATE_DIR "/var/lib/holdfast"
