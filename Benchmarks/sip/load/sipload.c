// sipload: REGISTERs over UDP on loopback, to measure a registrar rather than the generator.
//
//   cc -O2 -o sipload sipload.c message.c -lnettle
//   sipload --port PORT [--domain D] [--first N] [--count N] [--window N] [--rate N] [--expires S] [--password P]
//
// Keeps `window` transactions under way, each of another user: u<first> to u<first+count-1>. Running it again renews:
// the same Call-ID, a higher CSeq. With a password it answers the first challenge and then goes on with that nonce,
// its count rising, as a phone does that keeps its nonce; a later 401 is answered with the nonce that it brings.
// Unanswered requests are sent again after T1, 2 T1, ... up to T2, and given up after 64 T1 (RFC 3261 section 17.1.2).
// Prints one line of JSON. Exit code 1 when not every user was answered 200.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "message.h"

enum {
  BATCH = 64,              // datagrams a system call
  MAXIMUM_WINDOW = 65536,  // slots are four hexadecimal digits in the branch
  LEVELS = 11,             // sendings of one request; 64 T1 are over after the last one's wait
  MAXIMUM_CHALLENGES = 3,  // of one user; then the password is wrong
  RECEIVE_BUFFER = 16 << 20,
};
static const uint64_t T1 = 500000, T2 = 4000000;  // microseconds

// A transaction's place: its request, ready to be sent again as it is, and its link in the list of those that wait
// as long as it does.
struct slot {
  uint64_t user, started, due;
  uint32_t generation;
  int level, previous, next, challenges;
  bool busy;
  size_t length;
  char message[MESSAGE_CAPACITY];
};

// Those sent equally often wait equally long, so each list is in the order of its deadlines.
struct waiting { int head, tail; };

static struct options { int port; uint64_t first, count; int window; double rate; struct identity who; } options = {
    .count = 1000, .window = 64, .who = {.domain = "demo.example", .expires = 3600}};
static struct totals { uint64_t ok, refused, lost, sent_again, challenged; char first_refusal[80]; } totals;
static struct template template;
static struct challenge challenge;
static bool has_challenge;
static uint32_t nonce_count;
static struct slot *slots;
static int *free_slots, free_count;
static struct waiting waiting[LEVELS];
static uint32_t *latencies;
static uint64_t answered, last_answer;
static int fd;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what) {
  fprintf(stderr, "sipload: %s\n", what);
  exit(2);
}

// MARK: lists of deadlines

static void unlink_slot(int index) {
  struct slot *s = &slots[index];
  struct waiting *list = &waiting[s->level];
  if (s->previous < 0) list->head = s->next; else slots[s->previous].next = s->next;
  if (s->next < 0) list->tail = s->previous; else slots[s->next].previous = s->previous;
}

static void wait_for_answer(int index, int level, uint64_t t) {
  struct slot *s = &slots[index];
  struct waiting *list = &waiting[level];
  uint64_t wait = T1 << level;
  s->level = level;
  s->due = t + (wait < T2 ? wait : T2);
  s->next = -1;
  s->previous = list->tail;
  if (list->tail < 0) list->head = index; else slots[list->tail].next = index;
  list->tail = index;
}

// MARK: sending

static void lay_out(int digits, uint32_t cseq) {
  if (!template_layout(&template, &options.who, has_challenge ? &challenge : NULL, digits, cseq))
    die("the message does not fit; shorten the domain");
}

static void compose(int index, uint64_t user) {
  struct slot *s = &slots[index];
  if (digits_of(user) != template.digits) lay_out(digits_of(user), template.cseq);
  if (s->generation != template.generation) {
    memcpy(s->message, template.bytes, template.length);
    char number[5];
    snprintf(number, sizeof number, "%04x", index);
    memcpy(s->message + template.slot_at, number, 4);
    s->generation = template.generation;
    s->length = template.length;
  }
  s->user = user;
  template_patch(&template, &options.who, &challenge, s->message, user, ++nonce_count);
}

static int outbox[MAXIMUM_WINDOW], outbox_count;

// Sends what is in the outbox; what the kernel does not take now stays to be sent again like a lost datagram.
static void flush(void) {
  static struct mmsghdr headers[BATCH];
  static struct iovec vectors[BATCH];
  for (int done = 0; done < outbox_count;) {
    int n = 0;
    for (; n < BATCH && done + n < outbox_count; n++) {
      struct slot *s = &slots[outbox[done + n]];
      vectors[n] = (struct iovec){s->message, s->length};
      headers[n].msg_hdr = (struct msghdr){.msg_iov = &vectors[n], .msg_iovlen = 1};
    }
    int sent = sendmmsg(fd, headers, (unsigned)n, 0);
    if (sent <= 0) {
      if (errno == EINTR) continue;
      if (errno == ECONNREFUSED) die("nobody listens on the port");
      break;
    }
    done += sent;
  }
  outbox_count = 0;
}

static uint64_t start_requests(uint64_t next, uint64_t begin) {
  uint64_t t = now();
  uint64_t allowed = options.count;
  if (options.rate > 0) {
    double due = 1 + (double)(t - begin) * 1e-6 * options.rate;
    if (due < (double)allowed) allowed = (uint64_t)due;
  }
  while (free_count > 0 && next < allowed) {
    int index = free_slots[--free_count];
    slots[index].started = t;
    slots[index].busy = true;
    slots[index].challenges = 0;
    compose(index, options.first + next++);
    wait_for_answer(index, 0, t);
    outbox[outbox_count++] = index;
  }
  flush();
  return next;
}

static void finish(int index) {
  unlink_slot(index);
  slots[index].busy = false;
  free_slots[free_count++] = index;
}

static void send_again(void) {
  uint64_t t = now();
  for (int level = 0; level < LEVELS; level++) {
    int index;
    while ((index = waiting[level].head) >= 0 && slots[index].due <= t) {
      if (level + 1 == LEVELS) {
        totals.lost++;
        finish(index);
        continue;
      }
      unlink_slot(index);
      wait_for_answer(index, level + 1, t);
      totals.sent_again++;
      if (outbox_count == MAXIMUM_WINDOW) flush();
      outbox[outbox_count++] = index;
    }
  }
  flush();
}

// MARK: receiving

// Answers a challenge with the newest nonce: that of this answer, or one that came since the request was sent.
static bool answer_challenge(int index, const char *response, uint64_t t) {
  struct slot *s = &slots[index];
  if (!options.who.password || ++s->challenges > MAXIMUM_CHALLENGES) return false;
  totals.challenged++;
  if (s->generation == template.generation || !has_challenge) {
    if (!challenge_read(&challenge, response)) return false;
    has_challenge = true;
    nonce_count = 0;
    lay_out(template.digits, template.cseq + 1);
  }
  unlink_slot(index);
  compose(index, s->user);
  wait_for_answer(index, 0, t);
  outbox[outbox_count++] = index;
  return true;
}

// The transaction is found by the branch of the top Via (RFC 3261 section 17.1.3).
static void take(const char *response, size_t length, uint64_t t) {
  if (length < 12 || memcmp(response, "SIP/2.0 ", 8) != 0 || response[8] == '1') return;
  const char *branch = memmem(response, length, "z9hG4bK", 7);
  if (!branch || response + length - branch < 12) return;
  char *end;
  unsigned long index = strtoul(branch + 7, &end, 16);
  if (*end != '.' || index >= (unsigned long)options.window) return;
  struct slot *s = &slots[index];
  size_t rest = strcspn(branch, ";\r\n, ");
  // An answer to a request that was sent again may come twice.
  if (!s->busy || memcmp(branch, s->message + template.slot_at - 7, rest) != 0) return;
  if (memcmp(response + 8, "401", 3) == 0 && answer_challenge((int)index, response, t)) return;
  last_answer = t;
  latencies[answered++] = (uint32_t)(t - s->started);
  if (memcmp(response + 8, "200", 3) == 0) {
    totals.ok++;
  } else {
    if (totals.refused++ == 0)
      snprintf(totals.first_refusal, sizeof totals.first_refusal, "%.*s", (int)strcspn(response, "\r\n\"\\"), response);
  }
  finish((int)index);
}

// Waits until something comes or the socket's time is over, and takes all that is there.
static void receive(void) {
  static char inbox[BATCH][MESSAGE_CAPACITY + 1];
  static struct mmsghdr headers[BATCH];
  static struct iovec vectors[BATCH];
  if (!vectors[0].iov_base) {
    for (int i = 0; i < BATCH; i++) vectors[i] = (struct iovec){inbox[i], MESSAGE_CAPACITY};
    for (int i = 0; i < BATCH; i++) headers[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
  }
  int n = recvmmsg(fd, headers, BATCH, MSG_WAITFORONE, NULL);
  if (n < 0 && errno == ECONNREFUSED) die("nobody listens on the port");
  uint64_t t = now();
  for (int i = 0; i < n; i++) {
    inbox[i][headers[i].msg_len] = 0;
    take(inbox[i], headers[i].msg_len, t);
  }
  flush();
}

// MARK: the run

static void read_options(int count, char **arguments) {
  static const struct option known[] = {
      {"port", 1, 0, 'p'},   {"domain", 1, 0, 'd'}, {"first", 1, 0, 'f'},   {"count", 1, 0, 'c'}, {"window", 1, 0, 'w'},
      {"rate", 1, 0, 'r'},   {"expires", 1, 0, 'e'}, {"password", 1, 0, 's'}, {0}};
  for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
    switch (option) {
    case 'p': options.port = atoi(optarg); break;
    case 'd': options.who.domain = optarg; break;
    case 'f': options.first = strtoull(optarg, NULL, 10); break;
    case 'c': options.count = strtoull(optarg, NULL, 10); break;
    case 'w': options.window = atoi(optarg); break;
    case 'r': options.rate = atof(optarg); break;
    case 'e': options.who.expires = atoi(optarg); break;
    case 's': options.who.password = optarg; break;
    default: exit(2);
    }
  }
  if (options.port < 1 || options.port > 65535) die("--port PORT is needed, 1 to 65535");
  if (options.window < 1 || options.window > MAXIMUM_WINDOW) die("--window is 1 to 65536");
  if (options.count < 1 || options.count > 10000000) die("--count is 1 to 10000000");
  if (options.first > 1000000000) die("--first is at most 1000000000");
  if (strlen(options.who.domain) >= MAXIMUM_TEXT) die("--domain is too long");
}

static void open_socket(void) {
  fd = socket(AF_INET, SOCK_DGRAM, 0);
  int size = RECEIVE_BUFFER;
  // Beyond the system's limit with the privilege, else up to the limit.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  // Paced loads need to wake up for their next request, the others only for what is to be sent again.
  struct timeval wake = {.tv_usec = options.rate > 0 ? 1000 : 50000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wake, sizeof wake);
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  struct sockaddr_in local;
  socklen_t length = sizeof local;
  if (connect(fd, (struct sockaddr *)&server, sizeof server) || getsockname(fd, (struct sockaddr *)&local, &length))
    die(strerror(errno));
  options.who.local_port = ntohs(local.sin_port);
}

static int by_size(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static void report(uint64_t begin, double cpu) {
  double seconds = last_answer > begin ? (double)(last_answer - begin) * 1e-6 : 0;
  qsort(latencies, answered, sizeof *latencies, by_size);
  uint32_t p50 = answered ? latencies[answered / 2] : 0, p99 = answered ? latencies[answered * 99 / 100] : 0;
  uint32_t max = answered ? latencies[answered - 1] : 0;
  printf("{\"ok\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"retransmitted\":%" PRIu64
         ",\"challenged\":%" PRIu64 ",\"seconds\":%.3f,\"per_s\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,"
         "\"own_cpu_us\":%.2f,\"first_refusal\":\"%s\"}\n",
         totals.ok, totals.refused, totals.lost, totals.sent_again, totals.challenged, seconds,
         seconds > 0 ? (double)totals.ok / seconds : 0, p50 * 1e-3, p99 * 1e-3, max * 1e-3,
         cpu / (double)options.count, totals.first_refusal);
}

static double cpu_microseconds(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
         (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

int main(int count, char **arguments) {
  read_options(count, arguments);
  open_socket();
  slots = calloc((size_t)options.window, sizeof *slots);
  free_slots = calloc((size_t)options.window, sizeof *free_slots);
  latencies = calloc(options.count, sizeof *latencies);
  if (!slots || !free_slots || !latencies) die("out of memory");
  while (free_count < options.window) { free_slots[free_count] = options.window - 1 - free_count; free_count++; }
  for (int level = 0; level < LEVELS; level++) waiting[level] = (struct waiting){-1, -1};
  // A later run has a higher CSeq, also one that begins in the same second: tenths of a second since 2025.
  struct timespec wall;
  clock_gettime(CLOCK_REALTIME, &wall);
  uint64_t tenths = (uint64_t)(wall.tv_sec - 1735689600) * 10 + (uint64_t)wall.tv_nsec / 100000000;
  lay_out(digits_of(options.first), (uint32_t)(tenths & 0x7fffffff));
  uint64_t next = 0, begin = now();
  if (options.who.password) {
    // One alone asks for the challenge that all the others then use.
    uint64_t all = options.count;
    options.count = 1;
    next = start_requests(next, begin);
    options.count = all;
    while (totals.ok + totals.refused + totals.lost == 0) { receive(); send_again(); }
  }
  double cpu = cpu_microseconds();
  while (totals.ok + totals.refused + totals.lost < options.count) {
    next = start_requests(next, begin);
    receive();
    send_again();
  }
  report(begin, cpu_microseconds() - cpu);
  return totals.ok == options.count ? 0 : 1;
}
