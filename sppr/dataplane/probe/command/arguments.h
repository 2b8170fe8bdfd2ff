/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_COMMAND_ARGUMENTS_H
#define PROBE_COMMAND_ARGUMENTS_H

#include "probe/port.h"

/* Parse the words `key=value` of `probe start probe:N` and `probe expect probe:N`. */

/* Fill *run with the defaults for this probe and the words. Return false after logging which word
 * is wrong.
 */
bool probe_parse_start(struct probe_run *run, uint16_t number, char *const *word, unsigned int n);

bool probe_parse_expect(uint16_t *flow, uint32_t *key, char *const *word, unsigned int n);

#endif
