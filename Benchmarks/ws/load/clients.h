// Websocket clients by the thousand on one epoll: they connect, say what they have to say, and hand over each text
// message that comes. RFC 6455 as far as a client needs it that is sent whole, unmasked text frames.
#ifndef CLIENTS_H
#define CLIENTS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A connection's whole life; `closed` is before the first and after the last of it.
enum phase { CLOSED, CONNECTING, SHAKING_HANDS, OPEN };

struct client {
  int fd;
  enum phase phase;
  uint32_t rest_length;  // of what has come of a frame, or of the handshake's answer, that is not all there
  char *rest;
  // What the program keeps for it: the answer to its subscription, the events since then, and the last one's position.
  bool answered, served;
  uint64_t events, epoch, seq;
};

struct server {
  int port;
  const char *path;
};

// What the clients are to do; `opened` is where first messages are sent.
struct handler {
  void (*opened)(struct client *);
  void (*message)(struct client *, const char *text, size_t length);
};

// Microseconds of CLOCK_MONOTONIC: as of the last wake-up, and now.
extern uint64_t clients_time;
uint64_t monotonic_us(void);

void clients_begin(const struct server *, const struct handler *);

// Begins to connect; `opened` is called when the server has agreed.
void client_connect(struct client *);
void client_send(struct client *, const char *text);
void client_close(struct client *);

// Handles what has happened, waiting for at most so long. Returns how many clients something happened to.
int clients_wait(int milliseconds);

// Ends the program with a reason.
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
#endif
