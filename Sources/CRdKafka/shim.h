// librdkafka for Swift: the headers, and what its interface leaves to macros and unions.
#ifndef ROLLCALL_CRDKAFKA_SHIM_H
#define ROLLCALL_CRDKAFKA_SHIM_H

#include <librdkafka/rdkafka.h>
// For the tests: brokers in the process.
#include <librdkafka/rdkafka_mock.h>

// What all records of a batch have in common.
typedef struct {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    const char *epoch;
    ssize_t epoch_size;
    const char *node;
    ssize_t node_size;
    void *opaque;
} rollcall_batch_t;

static inline void rollcall_header(rd_kafka_vu_t *field, const char *name, const void *value, ssize_t size) {
    field->vtype = RD_KAFKA_VTYPE_HEADER;
    field->u.header.name = name;
    field->u.header.val = value;
    field->u.header.size = size;
}

// Queues one record; key and value are copied. A null value makes a tombstone.
static inline rd_kafka_resp_err_t rollcall_produce(
    const rollcall_batch_t *batch, int32_t partition, int64_t timestamp, const void *key, size_t key_size,
    const void *value, size_t value_size, const char *seq, ssize_t seq_size, int replay) {
    rd_kafka_vu_t fields[11];
    size_t count = 0;
    fields[count].vtype = RD_KAFKA_VTYPE_RKT;
    fields[count++].u.rkt = batch->topic;
    fields[count].vtype = RD_KAFKA_VTYPE_PARTITION;
    fields[count++].u.i32 = partition;
    fields[count].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    fields[count++].u.i = RD_KAFKA_MSG_F_COPY;
    fields[count].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    fields[count++].u.i64 = timestamp;
    fields[count].vtype = RD_KAFKA_VTYPE_KEY;
    fields[count].u.mem.ptr = (void *)key;
    fields[count++].u.mem.size = key_size;
    fields[count].vtype = RD_KAFKA_VTYPE_VALUE;
    fields[count].u.mem.ptr = (void *)value;
    fields[count++].u.mem.size = value_size;
    fields[count].vtype = RD_KAFKA_VTYPE_OPAQUE;
    fields[count++].u.ptr = batch->opaque;
    rollcall_header(&fields[count++], "epoch", batch->epoch, batch->epoch_size);
    rollcall_header(&fields[count++], "seq", seq, seq_size);
    rollcall_header(&fields[count++], "node", batch->node, batch->node_size);
    if (replay) rollcall_header(&fields[count++], "replay", "true", 4);
    rd_kafka_error_t *error = rd_kafka_produceva(batch->client, fields, count);
    if (!error) return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return code;
}

#endif
