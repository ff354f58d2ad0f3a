// The hashes of nettle for Swift.
#ifndef ROLLCALL_CNETTLE_SHIM_H
#define ROLLCALL_CNETTLE_SHIM_H

#include <nettle/md5.h>
#include <nettle/sha2.h>

#endif
