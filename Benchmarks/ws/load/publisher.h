// Publishes events over HTTP, one connection, one after the other: each says in its own text when it was sent.
#ifndef PUBLISHER_H
#define PUBLISHER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct publishing {
  int port;
  const char *path;
  const char *body;    // `@` stands for the stamp
  const char *type;    // Content-Type
  uint64_t events;
  double rate;         // a second; 0: the next when the last was answered
  size_t size;         // of the stamp with its padding
};

// A stamp is "T=" and these many hexadecimal digits of monotonic microseconds.
enum { STAMP_DIGITS = 16, STAMP_LENGTH = 2 + STAMP_DIGITS };

// Begins in a thread of its own. Only one may run.
void publisher_start(const struct publishing *);
// Whether all have been answered.
bool publisher_done(void);
// Waits for the end. Returns the seconds it took.
double publisher_finish(void);

// Reads a stamp out of a message; 0 when it holds none.
uint64_t stamp_read(const char *text, size_t length);
#endif
