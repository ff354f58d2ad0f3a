#define _GNU_SOURCE
#include "publisher.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clients.h"

enum { MAXIMUM_BODY = 8192, MAXIMUM_ANSWER = 65536 };

static struct publishing job;
static pthread_t thread;
static atomic_bool done;
static double seconds;

static int dial(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)job.port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to))
    die("the publisher cannot connect: %s", strerror(errno));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

static void sleep_until(uint64_t due) {
  struct timespec at = {.tv_sec = (time_t)(due / 1000000), .tv_nsec = (long)(due % 1000000) * 1000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {}
}

// The body with the stamp of now in place of its `@`.
static size_t compose(char *body) {
  const char *place = strchr(job.body, '@');
  size_t before = (size_t)(place - job.body), after = strlen(place + 1);
  memcpy(body, job.body, before);
  memset(body + before, 'x', job.size);
  char stamp[STAMP_LENGTH + 1];
  snprintf(stamp, sizeof stamp, "T=%016" PRIx64, monotonic_us());
  memcpy(body + before, stamp, STAMP_LENGTH);
  memcpy(body + before + job.size, place + 1, after);
  return before + job.size + after;
}

// Reads one answer to its end: with a length, or in chunks, of which the last is empty.
static void read_answer(int fd) {
  static char answer[MAXIMUM_ANSWER + 1];
  size_t length = 0;
  for (;;) {
    ssize_t n = recv(fd, answer + length, MAXIMUM_ANSWER - length, 0);
    if (n <= 0) die("the publisher's connection ended");
    length += (size_t)n;
    answer[length] = 0;
    char *end = strstr(answer, "\r\n\r\n");
    if (!end) continue;
    char *field = strcasestr(answer, "\r\ncontent-length:");
    size_t body = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
    bool chunked = !field && strcasestr(answer, "chunked");
    if (chunked ? strstr(end, "\r\n0\r\n\r\n") != NULL : length >= (size_t)(end + 4 - answer) + body) break;
  }
  if (memcmp(answer, "HTTP/1.1 2", 10) != 0) die("an event was not taken: %s", answer);
}

static void *publish(void *unused) {
  static char body[MAXIMUM_BODY], request[MAXIMUM_BODY + 1024];
  int fd = dial();
  uint64_t begin = monotonic_us();
  for (uint64_t i = 0; i < job.events; i++) {
    if (job.rate > 0) sleep_until(begin + (uint64_t)((double)i * 1e6 / job.rate));
    size_t length = compose(body);
    int head = snprintf(request, sizeof request,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
        job.path, job.type, length);
    memcpy(request + head, body, length);
    length += (size_t)head;
    if (send(fd, request, length, MSG_NOSIGNAL) != (ssize_t)length)
      die("the publisher cannot send: %s", strerror(errno));
    read_answer(fd);
  }
  seconds = (double)(monotonic_us() - begin) * 1e-6;
  close(fd);
  done = true;
  return unused;
}

void publisher_start(const struct publishing *what) {
  job = *what;
  if (!strchr(job.body, '@')) die("the body needs an @ for the stamp");
  if (job.size < STAMP_LENGTH || job.size + strlen(job.body) > MAXIMUM_BODY) die("--size is too small or too large");
  done = false;
  if (pthread_create(&thread, NULL, publish, NULL)) die("a thread: %s", strerror(errno));
}

bool publisher_done(void) { return done; }

double publisher_finish(void) {
  pthread_join(thread, NULL);
  return seconds;
}

uint64_t stamp_read(const char *text, size_t length) {
  const char *stamp = memmem(text, length, "T=", 2);
  if (!stamp || (size_t)(text + length - stamp) < STAMP_LENGTH) return 0;
  uint64_t value = 0;
  for (const char *digit = stamp + 2; digit < stamp + STAMP_LENGTH; digit++) {
    int nibble = *digit <= '9' ? *digit - '0' : *digit - 'a' + 10;
    if (nibble < 0 || nibble > 15) return 0;
    value = value << 4 | (unsigned)nibble;
  }
  return value;
}
