// wsload: many websocket subscribers and one publisher on loopback, to measure the server between them.
//
//   cc -O2 -o wsload wsload.c clients.c publisher.c -lpthread
//   wsload fanout   SUBSCRIBERS PUBLISHING               what each event costs, and how long it takes
//   wsload idle     SUBSCRIBERS                          holds them until stdin ends
//   wsload resume   SUBSCRIBERS --again TEXT PUBLISHING  all are cut off, miss events, and come back at once
//   wsload snapshot SUBSCRIBERS --events N               one asks for a list of N contacts
//   SUBSCRIBERS: --port P --path /sub --sockets N [--say TEXT]
//   PUBLISHING: --publish-port P --publish-path /pub --body TEXT [--type T] --events N [--rate R] [--size 200]
//
// A subscriber sends `--say` when it is connected and waits for its `subscribe_result`; without it, it is subscribed by
// being connected. In `--body` an @ stands for the stamp of the time, padded to `--size`; in `--again` for the position
// that the subscriber has. When all are there the program prints a line, and goes on with a line from stdin, so that
// whoever started it can look at the server's CPU time; the result is one line of JSON. Exit code 1 when not everybody
// got everything.
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clients.h"
#include "publisher.h"

enum {
  CONNECTING_AT_ONCE = 256,  // but for `resume`, where it is everybody
  MAXIMUM_SOCKETS = 19900,   // of 20,000 files
  STALLED_SECONDS = 10,
  EVENTS_BEFORE_CUT = 20,
};

static struct options {
  struct server server;
  struct publishing publishing;
  int sockets;
  const char *say, *again;
} options = {
    .server = {.path = "/ws"}, .sockets = 1,
    .publishing = {.type = "text/plain", .body = "@", .path = "/", .size = 200, .events = 1}};

static struct client *clients;
static struct totals { uint64_t open, answered, served, deliveries, clears, gaps, refused, last_us; } totals;
// Of the events that each subscriber is to get in the pass under way; 0 when there is none.
static uint64_t wanted;
static bool is_returning;

// MARK: delays

// Microseconds, counted with a precision of 1/128: exponent and seven bits behind the leading one.
enum { PRECISION_BITS = 7, CELLS = (64 - PRECISION_BITS) << PRECISION_BITS };
static uint64_t delays[CELLS];

static int cell_of(uint64_t us) {
  int shift = us >> PRECISION_BITS ? 63 - __builtin_clzll(us) - PRECISION_BITS : 0;
  return (shift << PRECISION_BITS) + (int)(us >> shift);
}

static double cell_ms(int cell) {
  int shift = cell >> PRECISION_BITS;
  if (shift) shift--;
  return (double)((uint64_t)(cell - (shift << PRECISION_BITS)) << shift) * 1e-3;
}

static double delay_ms(double part) {
  uint64_t count = 0, seen = 0;
  for (int i = 0; i < CELLS; i++) count += delays[i];
  for (int i = 0; i < CELLS; i++) {
    seen += delays[i];
    if (seen && (double)seen >= part * (double)count) return cell_ms(i);
  }
  return 0;
}

// MARK: what subscribers do

static void opened(struct client *c) {
  totals.open++;
  if (!options.say) return;
  if (!is_returning) {
    client_send(c, options.say);
    return;
  }
  char text[2048], position[64];
  const char *place = strchr(options.again, '@');
  snprintf(position, sizeof position, "{\"epoch\":%" PRIu64 ",\"seq\":%" PRIu64 "}", c->epoch, c->seq);
  int size = snprintf(
      text, sizeof text, "%.*s%s%s", (int)(place - options.again), options.again, position, place + 1);
  if (size >= (int)sizeof text) die("--again is too long");
  client_send(c, text);
}

// The number behind a name such as "seq":, looked for in the front part only; false when there is none.
static bool number_after(const char *text, size_t length, const char *name, uint64_t *number) {
  const char *found = memmem(text, length, name, strlen(name));
  if (!found) return false;
  *number = strtoull(found + strlen(name), NULL, 10);
  return true;
}

// Events of one epoch follow each other without a gap, but for the list behind a `clear`, which has one position.
static void follow(struct client *c, const char *text, size_t length) {
  uint64_t epoch, seq;
  if (!number_after(text, length, "\"epoch\":", &epoch) || !number_after(text, length, "\"seq\":", &seq)) return;
  if (c->epoch == epoch && seq != c->seq + 1) totals.gaps++;
  c->epoch = epoch;
  c->seq = seq;
}

static void serve(struct client *c) {
  if (c->served || !wanted || c->events < wanted || (options.say && !c->answered)) return;
  c->served = true;
  totals.served++;
}

static void message(struct client *c, const char *text, size_t length) {
  uint64_t sent = stamp_read(text, length);
  if (memmem(text, length, "\"replay\":true", 13)) {
    totals.deliveries++;
    c->events++;
  } else if (sent) {
    delays[cell_of(clients_time > sent ? clients_time - sent : 0)]++;
    totals.deliveries++;
    c->events++;
    follow(c, text, length);
  } else if (memmem(text, length, "\"subscribe_result\"", 18)) {
    if (!memmem(text, length, "\"result\":\"ok\"", 13)) totals.refused++;
    c->answered = true;
    totals.answered++;
    if (!is_returning) follow(c, text, length);
  } else if (memmem(text, length, "\"type\":\"clear\"", 14)) {
    totals.clears++;
  }
  totals.last_us = clients_time;
  serve(c);
}

// MARK: passes

// Lets subscribers come in, so many at a time, until all are there and have their answer.
static double connect_all(int at_once) {
  uint64_t begin = monotonic_us(), moved = begin;
  int begun = 0;
  totals.open = totals.answered = 0;
  for (;;) {
    uint64_t there = options.say ? totals.answered : totals.open;
    if (there == (uint64_t)options.sockets) break;
    while (begun < options.sockets && begun - (int)there < at_once) client_connect(&clients[begun++]);
    if (clients_wait(100)) moved = clients_time;
    if (monotonic_us() - moved > STALLED_SECONDS * 1000000ull)
      die("only %" PRIu64 " of the subscribers came in", there);
  }
  if (totals.refused) die("%" PRIu64 " subscriptions were refused", totals.refused);
  return (double)(monotonic_us() - begin) * 1e-6;
}

static void wait_for_word(const char *ready) {
  printf("%s\n", ready);
  fflush(stdout);
  char line[16];
  if (!fgets(line, sizeof line, stdin)) exit(2);
}

static void begin_pass(uint64_t events) {
  wanted = events;
  totals.served = totals.deliveries = totals.clears = totals.gaps = 0;
  memset(delays, 0, sizeof delays);
  for (int i = 0; i < options.sockets; i++) {
    clients[i].events = 0;
    clients[i].served = false;
    serve(&clients[i]);
  }
}

// Goes on until everybody has everything, or nothing comes any more.
static void wait_until_served(void) {
  uint64_t moved = monotonic_us();
  while (totals.served < (uint64_t)options.sockets) {
    if (clients_wait(100)) moved = clients_time;
    if (monotonic_us() - moved > STALLED_SECONDS * 1000000ull) break;
  }
}

static int report(double seconds, const char *also, double value) {
  uint64_t expected = (uint64_t)options.sockets * wanted;
  printf("{\"sockets\":%d,\"deliveries\":%" PRIu64 ",\"expected\":%" PRIu64 ",\"served\":%" PRIu64
         ",\"clears\":%" PRIu64 ",\"gaps\":%" PRIu64, options.sockets, totals.deliveries, expected, totals.served,
         totals.clears, totals.gaps);
  printf(",\"seconds\":%.3f,\"per_s\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"%s\":%.3f}\n",
         seconds,
         seconds > 0 ? (double)totals.deliveries / seconds : 0, delay_ms(0.5), delay_ms(0.99), delay_ms(1), also,
         value);
  return totals.served == (uint64_t)options.sockets && !totals.gaps ? 0 : 1;
}

static double seconds_since(uint64_t begin) { return (double)(totals.last_us - begin) * 1e-6; }

static int fanout(void) {
  char ready[64];
  snprintf(ready, sizeof ready, "{\"connect_s\":%.3f}", connect_all(CONNECTING_AT_ONCE));
  wait_for_word(ready);
  begin_pass(options.publishing.events);
  uint64_t begin = monotonic_us();
  publisher_start(&options.publishing);
  wait_until_served();
  double publishing = publisher_finish();
  return report(seconds_since(begin), "publish_s", publishing);
}

static int idle(void) {
  char ready[64];
  snprintf(ready, sizeof ready, "{\"connect_s\":%.3f}", connect_all(CONNECTING_AT_ONCE));
  printf("%s\n", ready);
  fflush(stdout);
  // Pings are answered until stdin ends.
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  char byte;
  while (poll(&input, 1, 0) == 0 || read(STDIN_FILENO, &byte, 1) > 0) clients_wait(100);
  return 0;
}

static int resume(void) {
  if (!options.say || !options.again || !strchr(options.again, '@')) die("resume needs --say, and --again with an @");
  connect_all(CONNECTING_AT_ONCE);
  struct publishing missed = options.publishing;
  // Something that everybody has seen, so that positions are those of events.
  options.publishing.events = EVENTS_BEFORE_CUT;
  begin_pass(EVENTS_BEFORE_CUT);
  publisher_start(&options.publishing);
  wait_until_served();
  publisher_finish();
  if (totals.served != (uint64_t)options.sockets) die("not everybody has what came before the cut");
  for (int i = 0; i < options.sockets; i++) client_close(&clients[i]);
  publisher_start(&missed);
  publisher_finish();
  wait_for_word("{}");
  is_returning = true;
  begin_pass(missed.events);
  for (int i = 0; i < options.sockets; i++) clients[i].answered = false;
  uint64_t begin = monotonic_us();
  double connecting = connect_all(options.sockets);
  wait_until_served();
  return report(seconds_since(begin), "connect_s", connecting);
}

static int snapshot(void) {
  if (!options.say) die("snapshot needs --say");
  wait_for_word("{}");
  wanted = options.publishing.events;
  uint64_t begin = monotonic_us();
  double connecting = connect_all(options.sockets);
  wait_until_served();
  return report(seconds_since(begin), "connect_s", connecting);
}

// MARK: the program

static void read_options(int count, char **arguments) {
  enum { PUBLISH_PORT = 256, PUBLISH_PATH };
  static const struct option known[] = {
      {"port", 1, 0, 'p'},  {"path", 1, 0, 'a'},  {"sockets", 1, 0, 'n'}, {"say", 1, 0, 's'},  {"again", 1, 0, 'g'},
      {"body", 1, 0, 'b'},  {"type", 1, 0, 't'},  {"events", 1, 0, 'e'},  {"rate", 1, 0, 'r'}, {"size", 1, 0, 'z'},
      {"publish-port", 1, 0, PUBLISH_PORT}, {"publish-path", 1, 0, PUBLISH_PATH}, {0}};
  for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
    switch (option) {
    case 'p': options.server.port = atoi(optarg); break;
    case 'a': options.server.path = optarg; break;
    case 'n': options.sockets = atoi(optarg); break;
    case 's': options.say = optarg; break;
    case 'g': options.again = optarg; break;
    case 'b': options.publishing.body = optarg; break;
    case 't': options.publishing.type = optarg; break;
    case 'e': options.publishing.events = strtoull(optarg, NULL, 10); break;
    case 'r': options.publishing.rate = atof(optarg); break;
    case 'z': options.publishing.size = strtoull(optarg, NULL, 10); break;
    case PUBLISH_PORT: options.publishing.port = atoi(optarg); break;
    case PUBLISH_PATH: options.publishing.path = optarg; break;
    default: exit(2);
    }
  }
  if (options.server.port < 1 || options.server.port > 65535) die("--port PORT is needed, 1 to 65535");
  if (options.sockets < 1 || options.sockets > MAXIMUM_SOCKETS) die("--sockets is 1 to %d", MAXIMUM_SOCKETS);
}

int main(int count, char **arguments) {
  static const struct { const char *name; int (*run)(void); } modes[] = {
      {"fanout", fanout}, {"idle", idle}, {"resume", resume}, {"snapshot", snapshot}};
  if (count < 2) die("fanout, idle, resume or snapshot?");
  read_options(count - 1, arguments + 1);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  clients = calloc((size_t)options.sockets, sizeof *clients);
  if (!clients) die("out of memory");
  clients_begin(&options.server, &(struct handler){opened, message});
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    if (strcmp(arguments[1], modes[i].name) == 0) return modes[i].run();
  die("no such mode: %s", arguments[1]);
}
