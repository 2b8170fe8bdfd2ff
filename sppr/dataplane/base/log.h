/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

/* Log one line to stderr. Each line is one write, so lines of two threads do not mix. */
void log_set_program(const char *name);
/* The last line that the calling thread logged since log_clear_last(), or "". */
void log_clear_last(void);
const char *log_last(void);

/* false: log_line() only keeps the line for log_last(). */
void log_to_stderr(bool on);

void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
