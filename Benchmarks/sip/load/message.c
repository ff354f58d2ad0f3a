// Laying out and patching. A formatted print of a whole REGISTER costs more than some servers take to answer it, and
// on a machine with few processors what the generator burns is taken from the server.
#define _GNU_SOURCE
#include "message.h"

#include <nettle/md5.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { INSTANCE_DIGITS = 12, HEX_DIGEST = 2 * MD5_DIGEST_SIZE };

static const char CNONCE[] = "6b1d4f2a90c3";

int digits_of(uint64_t number) {
  int digits = 1;
  for (; number >= 10; number /= 10) digits++;
  return digits;
}

// Appends text; a length over the capacity is left for the caller to see.
__attribute__((format(printf, 2, 3))) static void add(struct template *t, const char *format, ...) {
  if (t->length >= MESSAGE_CAPACITY) return;
  va_list arguments;
  va_start(arguments, format);
  t->length += (size_t)vsnprintf(t->bytes + t->length, MESSAGE_CAPACITY - t->length, format, arguments);
  va_end(arguments);
}

// Leaves room for the user's number.
static void add_user(struct template *t) {
  t->patches[t->patch_count++] = t->length;
  add(t, "%0*d", t->digits, 0);
}

static void add_credentials(struct template *t, const struct identity *who, const struct challenge *c) {
  add(t, "Authorization: Digest username=\"u");
  add_user(t);
  add(t, "\",realm=\"%s\",nonce=\"%s\",uri=\"sip:%s\",algorithm=MD5,response=\"", c->realm, c->nonce, who->domain);
  t->response_at = t->length;
  add(t, "%032d\"", 0);
  if (c->has_qop) {
    add(t, ",qop=auth,cnonce=\"%s\",nc=", CNONCE);
    t->nc_at = t->length;
    add(t, "%08d", 0);
  }
  if (c->has_opaque) add(t, ",opaque=\"%s\"", c->opaque);
  add(t, "\r\n");
}

bool template_layout(struct template *t, const struct identity *who, const struct challenge *c, int digits,
                     uint32_t cseq) {
  *t = (struct template){.digits = digits, .cseq = cseq, .generation = t->generation + 1};
  add(t, "REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;rport;branch=z9hG4bK", who->domain, who->local_port);
  t->slot_at = t->length;
  add(t, "0000.%u.", cseq);
  add_user(t);
  add(t, "\r\nMax-Forwards: 70\r\nFrom: <sip:u");
  add_user(t);
  add(t, "@%s>;tag=", who->domain);
  add_user(t);
  add(t, "\r\nTo: <sip:u");
  add_user(t);
  add(t, "@%s>\r\nCall-ID: ", who->domain);
  add_user(t);
  // The same in every run, so that a second run renews.
  add(t, "@sipload\r\nCSeq: %u REGISTER\r\nContact: <sip:u", cseq);
  add_user(t);
  add(t, "@127.0.0.1:%d;transport=udp>;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-%0*d", who->local_port,
      INSTANCE_DIGITS, 0);
  t->instance_end = t->length;
  add(t, ">\"\r\nExpires: %d\r\nUser-Agent: sipload\r\n", who->expires);
  if (c) add_credentials(t, who, c);
  add(t, "Content-Length: 0\r\n\r\n");
  return t->length < MESSAGE_CAPACITY;
}

static void hexadecimal(const uint8_t *bytes, size_t count, char *out) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < count; i++) {
    out[2 * i] = digits[bytes[i] >> 4];
    out[2 * i + 1] = digits[bytes[i] & 15];
  }
}

static void finish(struct md5_ctx *md5, char out[HEX_DIGEST]) {
  uint8_t digest[MD5_DIGEST_SIZE];
  md5_digest(md5, sizeof digest, digest);  // and starts anew
  hexadecimal(digest, sizeof digest, out);
}

static void update(struct md5_ctx *md5, const char *text, size_t length) {
  md5_update(md5, length, (const uint8_t *)text);
}

// The response of RFC 7616 section 3.4.1, where HA2 is the same for every user and is kept.
static void respond(const struct template *t, const struct identity *who, const struct challenge *c, char *message,
                    const char *user) {
  static char ha2[HEX_DIGEST];
  static bool has_ha2;
  struct md5_ctx md5;
  md5_init(&md5);
  if (!has_ha2) {
    update(&md5, "REGISTER:sip:", 13);
    update(&md5, who->domain, strlen(who->domain));
    finish(&md5, ha2);
    has_ha2 = true;
  }
  char ha1[HEX_DIGEST];
  update(&md5, "u", 1);
  update(&md5, user, (size_t)t->digits);
  update(&md5, ":", 1);
  update(&md5, c->realm, strlen(c->realm));
  update(&md5, ":", 1);
  update(&md5, who->password, strlen(who->password));
  finish(&md5, ha1);
  update(&md5, ha1, sizeof ha1);
  update(&md5, ":", 1);
  update(&md5, c->nonce, strlen(c->nonce));
  if (c->has_qop) {
    update(&md5, ":", 1);
    update(&md5, message + t->nc_at, 8);
    update(&md5, ":", 1);
    update(&md5, CNONCE, sizeof CNONCE - 1);
    update(&md5, ":auth", 5);
  }
  update(&md5, ":", 1);
  update(&md5, ha2, sizeof ha2);
  finish(&md5, message + t->response_at);
}

void template_patch(const struct template *t, const struct identity *who, const struct challenge *c, char *message,
                    uint64_t user, uint32_t nonce_count) {
  char number[20];
  for (int i = t->digits - 1; i >= 0; i--, user /= 10) number[i] = (char)('0' + user % 10);
  for (size_t i = 0; i < t->patch_count; i++) memcpy(message + t->patches[i], number, (size_t)t->digits);
  memcpy(message + t->instance_end - t->digits, number, (size_t)t->digits);
  if (!t->response_at) return;
  if (t->nc_at) {
    uint8_t count[4] = {nonce_count >> 24, nonce_count >> 16, nonce_count >> 8, nonce_count};
    hexadecimal(count, sizeof count, message + t->nc_at);
  }
  respond(t, who, c, message, number);
}

// The quoted value of a parameter, within one header line.
static bool parameter(const char *line, const char *end, const char *name, char out[MAXIMUM_TEXT]) {
  const char *at = memmem(line, (size_t)(end - line), name, strlen(name));
  if (!at) return false;
  at += strlen(name);
  const char *close = memchr(at, '"', (size_t)(end - at));
  if (!close || close - at >= MAXIMUM_TEXT) return false;
  memcpy(out, at, (size_t)(close - at));
  out[close - at] = 0;
  return true;
}

bool challenge_read(struct challenge *c, const char *response) {
  // A server may offer several algorithms, one header each (RFC 8760); without one named it is MD5.
  for (const char *line = response; (line = strcasestr(line, "\r\nWWW-Authenticate: Digest ")); line += 2) {
    const char *end = strstr(line + 2, "\r\n");
    if (!end) return false;
    const char *algorithm = memmem(line, (size_t)(end - line), "algorithm=", 10);
    if (algorithm) {
      algorithm += 10 + (algorithm[10] == '"');
      if (strncasecmp(algorithm, "MD5", 3) != 0 || algorithm[3] == '-') continue;
    }
    *c = (struct challenge){0};
    if (!parameter(line, end, "realm=\"", c->realm) || !parameter(line, end, "nonce=\"", c->nonce)) return false;
    c->has_opaque = parameter(line, end, "opaque=\"", c->opaque);
    c->has_qop = memmem(line, (size_t)(end - line), "qop=", 4) != NULL;
    return true;
  }
  return false;
}
