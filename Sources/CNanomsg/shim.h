// nanomsg for Swift: the headers, and the macros that the importer may leave out as constants.
#ifndef ROLLCALL_CNANOMSG_SHIM_H
#define ROLLCALL_CNANOMSG_SHIM_H

#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>
#include <nanomsg/tcp.h>
// Swift's own view of the C library leaves eventfd(2) out.
#include <sys/eventfd.h>
#include <sys/types.h>

static const int ROLLCALL_NN_PUSH = NN_PUSH;
static const int ROLLCALL_NN_PULL = NN_PULL;
static const ssize_t ROLLCALL_NN_MSG = (ssize_t)NN_MSG;

#endif
