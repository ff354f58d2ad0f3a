#define _GNU_SOURCE
#include "clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  INBOX = 1 << 20,         // read in one go, behind the rest of what came before
  MAXIMUM_REST = 1 << 17,  // no message here is longer
  MAXIMUM_REQUEST = 4096,
  READY = 512,             // clients looked at in one wake-up
};
enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };

uint64_t clients_time;
static struct server server;
static struct handler handler;
static int poller = -1;
static char inbox[MAXIMUM_REST + INBOX];

void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("wsload: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(2);
}

uint64_t monotonic_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void clients_begin(const struct server *to, const struct handler *with) {
  server = *to;
  handler = *with;
  poller = epoll_create1(0);
  if (poller < 0) die("epoll: %s", strerror(errno));
}

static void watch(struct client *c, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  if (epoll_ctl(poller, operation, c->fd, &event)) die("epoll: %s", strerror(errno));
}

void client_connect(struct client *c) {
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) die("a socket: %s", strerror(errno));
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server.port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("connect: %s", strerror(errno));
  c->phase = CONNECTING;
  watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

void client_close(struct client *c) {
  close(c->fd);
  free(c->rest);
  c->rest = NULL;
  c->rest_length = 0;
  c->phase = CLOSED;
}

static void send_all(struct client *c, const char *bytes, size_t length) {
  // What a client says is short: a socket that does not take it at once is broken.
  if (send(c->fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length) die("a client could not send: %s", strerror(errno));
}

static void send_frame(struct client *c, int opcode, const char *payload, size_t length) {
  char frame[MAXIMUM_REQUEST];
  size_t at = 0;
  if (length > sizeof frame - 8) die("a client's message is too long");
  frame[at++] = (char)(0x80 | opcode);
  if (length < 126) {
    frame[at++] = (char)(0x80 | length);
  } else {
    frame[at++] = (char)(0x80 | 126);
    frame[at++] = (char)(length >> 8);
    frame[at++] = (char)length;
  }
  // Clients must mask; with a key of zeros the bytes stay as they are.
  memset(frame + at, 0, 4);
  at += 4;
  memcpy(frame + at, payload, length);
  send_all(c, frame, at + length);
}

void client_send(struct client *c, const char *text) { send_frame(c, TEXT, text, strlen(text)); }

static void shake_hands(struct client *c) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) die("connect: %s", strerror(error));
  char request[MAXIMUM_REQUEST];
  int length = snprintf(request, sizeof request,
      "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: cm9sbGNhbGwgY2xpZW50cw==\r\nSec-WebSocket-Version: 13\r\n\r\n", server.path, server.port);
  if (length >= (int)sizeof request) die("the path is too long");
  send_all(c, request, (size_t)length);
  c->phase = SHAKING_HANDS;
  watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

// Takes one frame or answer off the front. Returns its length, 0 when it is not all there.
static size_t take_answer(struct client *c, char *bytes, size_t length) {
  char *end = memmem(bytes, length, "\r\n\r\n", 4);
  if (!end) return 0;
  if (length < 12 || memcmp(bytes, "HTTP/1.1 101", 12) != 0)
    die("the server does not agree: %.*s", (int)(end - bytes), bytes);
  c->phase = OPEN;
  handler.opened(c);
  return (size_t)(end + 4 - bytes);
}

static size_t take_frame(struct client *c, char *bytes, size_t length) {
  const unsigned char *head = (const unsigned char *)bytes;
  if (length < 2) return 0;
  size_t size = head[1] & 127, at = 2;
  if (size == 126) {
    if (length < 4) return 0;
    size = (size_t)head[2] << 8 | head[3];
    at = 4;
  } else if (size == 127) {
    if (length < 10) return 0;
    size = 0;
    for (int i = 2; i < 10; i++) size = size << 8 | head[i];
    at = 10;
  }
  if (size > MAXIMUM_REST - at) die("a message of %zu bytes", size);
  if (length < at + size) return 0;
  switch (head[0] & 15) {
  case TEXT: handler.message(c, bytes + at, size); break;
  case CLOSE: die("the server closes: %.*s", size > 2 ? (int)size - 2 : 0, bytes + at + 2);
  case PING: send_frame(c, PONG, bytes + at, size); break;
  default: die("opcode %d", head[0] & 15);
  }
  return at + size;
}

static void receive(struct client *c) {
  size_t length = c->rest_length;
  memcpy(inbox, c->rest, length);
  ssize_t n = recv(c->fd, inbox + length, INBOX, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) die("the server has gone: %s", n ? strerror(errno) : "end of stream");
  length += (size_t)n;
  size_t at = 0;
  while (c->phase == SHAKING_HANDS || c->phase == OPEN) {
    size_t taken = c->phase == OPEN ? take_frame(c, inbox + at, length - at) : take_answer(c, inbox + at, length - at);
    if (!taken) break;
    at += taken;
  }
  if (c->phase == CLOSED) return;
  length -= at;
  if (length > MAXIMUM_REST) die("an answer that does not end");
  if (length > c->rest_length || !length) {
    free(c->rest);
    c->rest = length ? malloc(length) : NULL;
    if (length && !c->rest) die("out of memory");
  }
  if (length) memcpy(c->rest, inbox + at, length);
  c->rest_length = (uint32_t)length;
}

int clients_wait(int milliseconds) {
  struct epoll_event events[READY];
  int n = epoll_wait(poller, events, READY, milliseconds);
  clients_time = monotonic_us();
  for (int i = 0; i < n; i++) {
    struct client *c = events[i].data.ptr;
    if (c->phase == CONNECTING) {
      shake_hands(c);
    } else {
      // Delays count from the socket that is read, not from the first of the wake-up.
      clients_time = monotonic_us();
      receive(c);
    }
  }
  return n < 0 ? 0 : n;
}
