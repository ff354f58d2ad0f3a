// One REGISTER, laid out once and patched in place.
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  MESSAGE_CAPACITY = 1536,  // no datagram of ours is longer; a template that does not fit is refused
  MAXIMUM_PATCHES = 12,     // places in a message where the user's number stands
  MAXIMUM_TEXT = 256,       // domain, password, and each value of a challenge
};

// What the server asked for (RFC 7616 section 3.3), as far as MD5 without or with qop=auth needs it.
struct challenge {
  char realm[MAXIMUM_TEXT], nonce[MAXIMUM_TEXT], opaque[MAXIMUM_TEXT];
  bool has_qop, has_opaque;
};

// What all messages of a pass have in common.
struct identity {
  const char *domain, *password;  // password is NULL when the server asks for none
  int local_port, expires;
};

// A message for any user whose number has `digits` digits. `generation` tells buffers whether they hold it already.
struct template {
  char bytes[MESSAGE_CAPACITY];
  size_t length, patches[MAXIMUM_PATCHES], patch_count;
  size_t slot_at;              // four hexadecimal digits in the branch, by which an answer finds its slot
  size_t instance_end;         // where the number in the instance's UUID ends; it is padded with zeros
  size_t response_at, nc_at;   // 32 and 8 hexadecimal digits; 0 without credentials
  int digits;
  uint32_t cseq, generation;
};

// Lays out the message. With a challenge it carries credentials.
// Returns false when it does not fit.
bool template_layout(struct template *, const struct identity *, const struct challenge *, int digits, uint32_t cseq);

// Writes a user's number, and with credentials the digest for this nonce count, into a copy of the template.
void template_patch(const struct template *, const struct identity *, const struct challenge *, char *message,
                    uint64_t user, uint32_t nonce_count);

// Reads the Digest challenge of a 401. Returns false when there is none for MD5.
bool challenge_read(struct challenge *, const char *response);

int digits_of(uint64_t number);
#endif
