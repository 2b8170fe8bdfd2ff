/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

/* One line on stderr, written at once so that lines of two threads do not mix. */
void log_set_program(const char *name);
/* What the calling thread said last since it forgot; "" for nothing. */
void log_clear_last(void);
const char *log_last(void);

/* false: log_line only keeps the last line. */
void log_to_stderr(bool on);

void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
