/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_TOKENS_H
#define CONTROL_TOKENS_H

/* Cuts text at its spaces, in place, into at most max words; their number, or max + 1 when there
 * are more. What is left in text is what SPP echoes: a NUL for the space after each word.
 */
unsigned int tokens_split(char *text, char **word, unsigned int max);

#endif
