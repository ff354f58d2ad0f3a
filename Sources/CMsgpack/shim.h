// msgpack-c for Swift. The library's packing functions are static and take a packer whose target must keep its address;
// its parser allocates whatever a length claims. So: one function per kind of value, each over a growable buffer, and
// the library's own parser template (unpack_template.h) instantiated with callbacks that hold depth and memory in bounds.
#ifndef ROLLCALL_CMSGPACK_SHIM_H
#define ROLLCALL_CMSGPACK_SHIM_H

#include <msgpack.h>
#include <msgpack/unpack_define.h>

// Packing. Each returns 0, or -1 when memory ran out.

static inline int rollcall_sbuffer_reserve(msgpack_sbuffer *buffer, size_t capacity) {
    if (buffer->alloc >= capacity) return 0;
    void *data = realloc(buffer->data, capacity);
    if (!data) return -1;
    buffer->data = (char *)data;
    buffer->alloc = capacity;
    return 0;
}

static inline msgpack_packer rollcall_packer(msgpack_sbuffer *buffer) {
    msgpack_packer packer;
    msgpack_packer_init(&packer, buffer, msgpack_sbuffer_write);
    return packer;
}

#define ROLLCALL_PACK(name, parameter, call)                                      \
    static inline int rollcall_pack_##name(msgpack_sbuffer *buffer, parameter) {   \
        msgpack_packer packer = rollcall_packer(buffer);                           \
        return call;                                                               \
    }

ROLLCALL_PACK(array, size_t count, msgpack_pack_array(&packer, count))
ROLLCALL_PACK(map, size_t count, msgpack_pack_map(&packer, count))
ROLLCALL_PACK(integer, int64_t value, msgpack_pack_int64(&packer, value))
ROLLCALL_PACK(unsigned, uint64_t value, msgpack_pack_uint64(&packer, value))
ROLLCALL_PACK(double, double value, msgpack_pack_double(&packer, value))
ROLLCALL_PACK(boolean, bool value, value ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer))
#undef ROLLCALL_PACK

static inline int rollcall_pack_nil(msgpack_sbuffer *buffer) {
    msgpack_packer packer = rollcall_packer(buffer);
    return msgpack_pack_nil(&packer);
}

static inline int rollcall_pack_string(msgpack_sbuffer *buffer, const void *bytes, size_t count) {
    msgpack_packer packer = rollcall_packer(buffer);
    return msgpack_pack_str_with_body(&packer, bytes, count);
}

static inline int rollcall_pack_binary(msgpack_sbuffer *buffer, const void *bytes, size_t count) {
    msgpack_packer packer = rollcall_packer(buffer);
    return msgpack_pack_bin_with_body(&packer, bytes, count);
}

// Unpacking.

enum {
    ROLLCALL_UNPACK_DONE = 1,
    ROLLCALL_UNPACK_TRUNCATED = 0,
    ROLLCALL_UNPACK_MALFORMED = MSGPACK_UNPACK_PARSE_ERROR,
    ROLLCALL_UNPACK_NO_MEMORY = MSGPACK_UNPACK_NOMEM_ERROR,
    ROLLCALL_UNPACK_TOO_DEEP = -3,
    ROLLCALL_UNPACK_OVERLONG = -4,
    // The deepest nesting a caller may allow: one slot of the parser's stack stays to notice the next.
    ROLLCALL_UNPACK_DEEPEST = MSGPACK_EMBED_STACK_SIZE - 1
};

typedef struct rollcall_unpack_user {
    msgpack_zone *zone;
    // Elements that the bytes could still hold: each takes at least one, so what was claimed and not yet
    // granted from here cannot be there, and the objects allocated never outnumber the bytes given.
    size_t budget;
    // The stack slot of the first container that is one too deep.
    const msgpack_object *too_deep;
} rollcall_unpack_user;

#define msgpack_unpack_struct(name) struct rollcall_unpack##name
#define msgpack_unpack_func(ret, name) static inline ret rollcall_unpack##name
#define msgpack_unpack_callback(name) rollcall_unpack_on##name
#define msgpack_unpack_object msgpack_object
#define msgpack_unpack_user rollcall_unpack_user

static inline msgpack_object rollcall_unpack_on_root(rollcall_unpack_user *user) {
    (void)user;
    msgpack_object object = {MSGPACK_OBJECT_NIL, {0}};
    return object;
}

#define ROLLCALL_ON_UNSIGNED(name, ctype)                                                                     \
    static inline int rollcall_unpack_on##name(rollcall_unpack_user *user, ctype value, msgpack_object *o) {  \
        (void)user;                                                                                           \
        o->type = MSGPACK_OBJECT_POSITIVE_INTEGER;                                                            \
        o->via.u64 = value;                                                                                   \
        return 0;                                                                                             \
    }
#define ROLLCALL_ON_SIGNED(name, ctype)                                                                       \
    static inline int rollcall_unpack_on##name(rollcall_unpack_user *user, ctype value, msgpack_object *o) {  \
        (void)user;                                                                                           \
        o->type = value < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER : MSGPACK_OBJECT_POSITIVE_INTEGER;              \
        o->via.i64 = value;                                                                                   \
        return 0;                                                                                             \
    }
#define ROLLCALL_ON_FLOAT(name, ctype, kind)                                                                  \
    static inline int rollcall_unpack_on##name(rollcall_unpack_user *user, ctype value, msgpack_object *o) {  \
        (void)user;                                                                                           \
        o->type = kind;                                                                                       \
        o->via.f64 = value;                                                                                   \
        return 0;                                                                                             \
    }
#define ROLLCALL_ON_SIMPLE(name, kind, truth)                                                                 \
    static inline int rollcall_unpack_on##name(rollcall_unpack_user *user, msgpack_object *o) {               \
        (void)user;                                                                                           \
        o->type = kind;                                                                                       \
        o->via.boolean = truth;                                                                               \
        return 0;                                                                                             \
    }
#define ROLLCALL_ON_BYTES(name, kind, member)                                                                 \
    static inline int rollcall_unpack_on##name(                                                               \
        rollcall_unpack_user *user, const char *base, const char *bytes, unsigned int count, msgpack_object *o) { \
        (void)user;                                                                                           \
        (void)base;                                                                                           \
        o->type = kind;                                                                                       \
        o->via.member.ptr = bytes;                                                                            \
        o->via.member.size = count;                                                                           \
        return 0;                                                                                             \
    }

ROLLCALL_ON_UNSIGNED(_uint8, uint8_t)
ROLLCALL_ON_UNSIGNED(_uint16, uint16_t)
ROLLCALL_ON_UNSIGNED(_uint32, uint32_t)
ROLLCALL_ON_UNSIGNED(_uint64, uint64_t)
ROLLCALL_ON_SIGNED(_int8, int8_t)
ROLLCALL_ON_SIGNED(_int16, int16_t)
ROLLCALL_ON_SIGNED(_int32, int32_t)
ROLLCALL_ON_SIGNED(_int64, int64_t)
ROLLCALL_ON_FLOAT(_float, float, MSGPACK_OBJECT_FLOAT32)
ROLLCALL_ON_FLOAT(_double, double, MSGPACK_OBJECT_FLOAT64)
ROLLCALL_ON_SIMPLE(_nil, MSGPACK_OBJECT_NIL, false)
ROLLCALL_ON_SIMPLE(_true, MSGPACK_OBJECT_BOOLEAN, true)
ROLLCALL_ON_SIMPLE(_false, MSGPACK_OBJECT_BOOLEAN, false)
ROLLCALL_ON_BYTES(_str, MSGPACK_OBJECT_STR, str)
ROLLCALL_ON_BYTES(_bin, MSGPACK_OBJECT_BIN, bin)
#undef ROLLCALL_ON_UNSIGNED
#undef ROLLCALL_ON_SIGNED
#undef ROLLCALL_ON_FLOAT
#undef ROLLCALL_ON_SIMPLE
#undef ROLLCALL_ON_BYTES

// The count includes the type byte; the template's 32-bit sum wraps to 0 for a length of 2^32 - 1.
static inline int rollcall_unpack_on_ext(
    rollcall_unpack_user *user, const char *base, const char *bytes, unsigned int count, msgpack_object *o) {
    (void)user;
    (void)base;
    if (count == 0) return ROLLCALL_UNPACK_OVERLONG;
    o->type = MSGPACK_OBJECT_EXT;
    o->via.ext.type = (int8_t)*bytes;
    o->via.ext.ptr = bytes + 1;
    o->via.ext.size = count - 1;
    return 0;
}

static inline int rollcall_unpack_on_array(rollcall_unpack_user *user, unsigned int count, msgpack_object *o) {
    if (o >= user->too_deep) return ROLLCALL_UNPACK_TOO_DEEP;
    if (count > user->budget) return ROLLCALL_UNPACK_OVERLONG;
    user->budget -= count;
    o->type = MSGPACK_OBJECT_ARRAY;
    o->via.array.size = 0;
    o->via.array.ptr = NULL;
    if (count == 0) return 0;
    o->via.array.ptr = (msgpack_object *)msgpack_zone_malloc(user->zone, count * sizeof(msgpack_object));
    return o->via.array.ptr ? 0 : ROLLCALL_UNPACK_NO_MEMORY;
}

static inline int rollcall_unpack_on_array_item(rollcall_unpack_user *user, msgpack_object *array, msgpack_object item) {
    (void)user;
    array->via.array.ptr[array->via.array.size++] = item;
    return 0;
}

static inline int rollcall_unpack_on_map(rollcall_unpack_user *user, unsigned int count, msgpack_object *o) {
    if (o >= user->too_deep) return ROLLCALL_UNPACK_TOO_DEEP;
    if (count > user->budget / 2) return ROLLCALL_UNPACK_OVERLONG;
    user->budget -= 2 * (size_t)count;
    o->type = MSGPACK_OBJECT_MAP;
    o->via.map.size = 0;
    o->via.map.ptr = NULL;
    if (count == 0) return 0;
    o->via.map.ptr = (msgpack_object_kv *)msgpack_zone_malloc(user->zone, count * sizeof(msgpack_object_kv));
    return o->via.map.ptr ? 0 : ROLLCALL_UNPACK_NO_MEMORY;
}

static inline int rollcall_unpack_on_map_item(
    rollcall_unpack_user *user, msgpack_object *map, msgpack_object key, msgpack_object value) {
    (void)user;
    msgpack_object_kv *entry = &map->via.map.ptr[map->via.map.size++];
    entry->key = key;
    entry->val = value;
    return 0;
}

#include <msgpack/unpack_template.h>

// Parses one value; `consumed` tells how many bytes it took. The result points into `bytes` and `zone`.
static inline int rollcall_unpack(
    const void *bytes, size_t count, unsigned int maximum_depth, msgpack_zone *zone, msgpack_object *result,
    size_t *consumed) {
    struct rollcall_unpack_context context;
    context.user.zone = zone;
    context.user.budget = count;
    context.user.too_deep = &context.stack[maximum_depth].obj;
    rollcall_unpack_init(&context);
    *consumed = 0;
    int status = rollcall_unpack_execute(&context, (const char *)bytes, count, consumed);
    if (status == ROLLCALL_UNPACK_DONE) *result = rollcall_unpack_data(&context);
    return status;
}

#endif
