/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_TOKENS_H
#define CONTROL_TOKENS_H

/* Cut text at its spaces, in place. Return the number of words, or max + 1 if there are more than
 * max. A NUL replaces the space after each word; SPP echoes the text in this form.
 */
unsigned int tokens_split(char *text, char **word, unsigned int max);

#endif
