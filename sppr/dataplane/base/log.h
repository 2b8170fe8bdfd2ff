/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SAY_H
#define SAY_H

/* One line on stderr, written at once so that lines of two threads do not mix. */
void say_program(const char *name);
/* What the calling thread said last since it forgot; "" for nothing. */
void say_forget(void);
const char *say_last(void);

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
