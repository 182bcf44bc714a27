// Weights of W rows unpacked into the interleaved form, without a scalar step.
//
// 16 bytes are loaded from each row and transposed in units of 4 bytes, so that a lane holds what belongs to its row;
// nibbles, high bits, code books and scales are then taken apart in all rows at once. What a lane holds is exactly
// what mk_unpack makes of its row.
//
// The includer defines LOAD_ROWS(p, stride, i): the 16 bytes at row i, i + 4, i + 8, … one after the other, and
// LOOK_UP(table, indices): a byte of a 16-byte table for each byte.

enum { TILES = 2, CHUNK_BLOCKS = 16, TOKEN_TILE = 128 };

typedef struct {
    uint8_t q[CHUNK_BLOCKS * 32 * W] __attribute__((aligned(64)));
    float d[CHUNK_BLOCKS * 2 * W] __attribute__((aligned(64)));
    float m[CHUNK_BLOCKS * 2 * W] __attribute__((aligned(64)));
    const uint8_t *ahead;  // weights that will be needed soon
} WEIGHT_TILE;

// Asks for what W rows of `bytes` will need soon; an address past the end does no harm.
INLINE void fetch_ahead(WEIGHT_TILE *t, size_t bytes) {
    for (size_t i = 0; i < bytes * W; i += 64) __builtin_prefetch(t->ahead + i, 0, 2);
    t->ahead += bytes * W;
}

#if W == 16
#define INTERLEAVE(a, b, H, STEP)                                                                                      \
    (STEP == 1 ? __builtin_shufflevector(a, b, H, 16 + H, 1 + H, 17 + H, 4 + H, 20 + H, 5 + H, 21 + H, 8 + H, 24 + H, \
                                         9 + H, 25 + H, 12 + H, 28 + H, 13 + H, 29 + H)                                \
               : __builtin_shufflevector(a, b, H, 1 + H, 16 + H, 17 + H, 4 + H, 5 + H, 20 + H, 21 + H, 8 + H, 9 + H,  \
                                         24 + H, 25 + H, 12 + H, 13 + H, 28 + H, 29 + H))
#elif W == 8
#define INTERLEAVE(a, b, H, STEP)                                                                                      \
    (STEP == 1 ? __builtin_shufflevector(a, b, H, 8 + H, 1 + H, 9 + H, 4 + H, 12 + H, 5 + H, 13 + H)                   \
               : __builtin_shufflevector(a, b, H, 1 + H, 8 + H, 9 + H, 4 + H, 5 + H, 12 + H, 13 + H))
#else
#define INTERLEAVE(a, b, H, STEP)                                                                                      \
    (STEP == 1 ? __builtin_shufflevector(a, b, H, 4 + H, 1 + H, 5 + H)                                                 \
               : __builtin_shufflevector(a, b, H, 1 + H, 4 + H, 5 + H))
#endif

typedef struct {
    vi v[4];
} quad;

// v[k] holds bytes 4k..4k+3 of 16 bytes in each of W rows.
INLINE quad load_rows(const uint8_t *p, size_t stride) {
    vi a = LOAD_ROWS(p, stride, 0), b = LOAD_ROWS(p, stride, 1), c = LOAD_ROWS(p, stride, 2),
       d = LOAD_ROWS(p, stride, 3);
    vi ab0 = INTERLEAVE(a, b, 0, 1), ab1 = INTERLEAVE(a, b, 2, 1), cd0 = INTERLEAVE(c, d, 0, 1),
       cd1 = INTERLEAVE(c, d, 2, 1);
    quad r = {{INTERLEAVE(ab0, cd0, 0, 2), INTERLEAVE(ab0, cd0, 2, 2), INTERLEAVE(ab1, cd1, 0, 2),
               INTERLEAVE(ab1, cd1, 2, 2)}};
    return r;
}

#define BYTES(x) ((vi)(int32_t)(0x01010101u * (x)))

INLINE vi shift_right(vi v, int by) { return (vi)((vu)v >> (uint32_t)by); }
INLINE void put(WEIGHT_TILE *t, size_t index, vi v) { memcpy(t->q + index * 4 * W, &v, sizeof v); }
INLINE vf low_half(vi v) { return __builtin_convertvector((vf16)__builtin_convertvector(v, vh), vf); }
INLINE vf high_half(vi v) { return low_half(shift_right(v, 16)); }
INLINE vf byte_value(vi v, int i) { return __builtin_convertvector(shift_right(v, 8 * i) & 255, vf); }
INLINE vf signed_byte_value(vi v, int i) { return __builtin_convertvector((v << (24 - 8 * i)) >> 24, vf); }

INLINE vi code_values(vi indices) {
    static const uint8_t table[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
    return LOOK_UP(table, indices);
}

// Bits 4k..4k+3 of each lane, one to a byte, as the byte's fifth bit.
INLINE vi fifth_bits_at(vi bits, int k) { return ((shift_right(bits, 4 * k) & 15) * 0x00204081 & BYTES(1)) << 4; }

// One dword of nibbles: columns 4k.. in the low ones, 16 + 4k.. in the high ones.
INLINE void put_nibbles(WEIGHT_TILE *t, size_t block, int k, vi v) {
    put(t, block * 8 + (size_t)k, v & BYTES(15));
    put(t, block * 8 + 4 + (size_t)k, shift_right(v, 4) & BYTES(15));
}

INLINE void unpack_q4_1_block(const uint8_t *p, size_t stride, WEIGHT_TILE *t, size_t b) {
    vi head = load_rows(p, stride).v[0];
    store(t->d + b * W, low_half(head));
    store(t->m + b * W, high_half(head));
    quad q = load_rows(p + 4, stride);
    for (int k = 0; k < 4; k++) put_nibbles(t, b, k, q.v[k]);
}

static void unpack_q4_1(const uint8_t *p, size_t stride, size_t count, WEIGHT_TILE *t) {
    size_t b = 0;
    // Four blocks are 20 dwords: five loads of four.
    for (; b + 4 <= count; b += 4, p += 80) {
        fetch_ahead(t, 80);
        vi v[20];
#pragma clang loop unroll(full)
        for (size_t i = 0; i < 5; i++) {
            quad q = load_rows(p + 16 * i, stride);
            for (int k = 0; k < 4; k++) v[4 * i + (size_t)k] = q.v[k];
        }
#pragma clang loop unroll(full)
        for (size_t i = 0; i < 4; i++) {
            store(t->d + (b + i) * W, low_half(v[5 * i]));
            store(t->m + (b + i) * W, high_half(v[5 * i]));
            for (int k = 0; k < 4; k++) put_nibbles(t, b + i, k, v[5 * i + 1 + (size_t)k]);
        }
    }
    for (; b < count; b++, p += 20) unpack_q4_1_block(p, stride, t, b);
}

static void unpack_q4_0(const uint8_t *p, size_t stride, size_t count, WEIGHT_TILE *t, bool code) {
    for (size_t b = 0; b < count; b++, p += 18) {
        fetch_ahead(t, 18);
        store(t->d + b * W, low_half(load_rows(p, stride).v[0]));
        quad q = load_rows(p + 2, stride);
        for (int k = 0; k < 4; k++) {
            vi low = q.v[k] & BYTES(15), high = shift_right(q.v[k], 4) & BYTES(15);
            put(t, b * 8 + (size_t)k, code ? code_values(low) : low);
            put(t, b * 8 + 4 + (size_t)k, code ? code_values(high) : high);
        }
    }
}

static void unpack_q5(const uint8_t *p, size_t stride, size_t count, WEIGHT_TILE *t, bool offset) {
    size_t head_bytes = offset ? 4 : 2;
    for (size_t b = 0; b < count; b++, p += head_bytes + 20) {
        fetch_ahead(t, head_bytes + 20);
        vi head = load_rows(p, stride).v[0], bits = load_rows(p + head_bytes, stride).v[0];
        store(t->d + b * W, low_half(head));
        if (offset) store(t->m + b * W, high_half(head));
        quad q = load_rows(p + head_bytes + 4, stride);
        for (int k = 0; k < 4; k++) {
            put(t, b * 8 + (size_t)k, (q.v[k] & BYTES(15)) | fifth_bits_at(bits, k));
            put(t, b * 8 + 4 + (size_t)k, (shift_right(q.v[k], 4) & BYTES(15)) | fifth_bits_at(bits, k + 4));
        }
    }
}

static void unpack_q8_0(const uint8_t *p, size_t stride, size_t count, WEIGHT_TILE *t) {
    for (size_t b = 0; b < count; b++, p += 34) {
        fetch_ahead(t, 34);
        store(t->d + b * W, low_half(load_rows(p, stride).v[0]));
        for (size_t half = 0; half < 2; half++) {
            quad q = load_rows(p + 2 + 16 * half, stride);
            for (size_t k = 0; k < 4; k++) put(t, b * 8 + half * 4 + k, q.v[k] ^ BYTES(128));
        }
    }
}

// Scales and minima of Q4_K and Q5_K: six bits each, in the 12 bytes after the two halves.
INLINE void put_scales_and_minima(const uint8_t *p, size_t stride, WEIGHT_TILE *t, size_t block) {
    quad s = load_rows(p, stride);
    vf d = low_half(s.v[0]), m = high_half(s.v[0]);
    vi scales[2] = {s.v[1] & BYTES(63), (s.v[3] & BYTES(15)) | (shift_right(s.v[1], 2) & BYTES(48))};
    vi minima[2] = {s.v[2] & BYTES(63), (shift_right(s.v[3], 4) & BYTES(15)) | (shift_right(s.v[2], 2) & BYTES(48))};
    for (int j = 0; j < 8; j++) {
        store(t->d + (block + (size_t)j) * W, d * byte_value(scales[j / 4], j % 4));
        store(t->m + (block + (size_t)j) * W, -(m * byte_value(minima[j / 4], j % 4)));
    }
}

static void unpack_q4_k(const uint8_t *p, size_t stride, size_t count, WEIGHT_TILE *t) {
    for (size_t b = 0; b < count; b += 8, p += 144) {
        put_scales_and_minima(p, stride, t, b);
        for (size_t piece = 0; piece < 8; piece++) {
            fetch_ahead(t, 18);
            quad q = load_rows(p + 16 + 16 * piece, stride);
            size_t at = (b + piece / 2 * 2) * 8 + piece % 2 * 4;
            for (size_t k = 0; k < 4; k++) {
                put(t, at + k, q.v[k] & BYTES(15));
                put(t, at + 8 + k, shift_right(q.v[k], 4) & BYTES(15));
            }
        }
    }
}

static void unpack_q5_k(const uint8_t *p, size_t stride, size_t count, WEIGHT_TILE *t) {
    for (size_t b = 0; b < count; b += 8, p += 176) {
        put_scales_and_minima(p, stride, t, b);
        quad high[2] = {load_rows(p + 16, stride), load_rows(p + 32, stride)};
        for (size_t piece = 0; piece < 8; piece++) {
            fetch_ahead(t, 22);
            quad q = load_rows(p + 48 + 16 * piece, stride);
            size_t at = (b + piece / 2 * 2) * 8 + piece % 2 * 4;
            int bit = (int)(piece / 2 * 2);
            for (size_t k = 0; k < 4; k++) {
                vi h = high[piece % 2].v[k];
                put(t, at + k, (q.v[k] & BYTES(15)) | (shift_right(h, bit) & BYTES(1)) << 4);
                put(t, at + 8 + k,
                    (shift_right(q.v[k], 4) & BYTES(15)) | (shift_right(h, bit + 1) & BYTES(1)) << 4);
            }
        }
    }
}

static void unpack_q6_k(const uint8_t *p, size_t stride, size_t count, WEIGHT_TILE *t) {
    for (size_t b = 0; b < count; b += 8, p += 210) {
        quad s = load_rows(p + 192, stride);
        vf d = high_half(load_rows(p + 194, stride).v[3]);
        for (size_t g = 0; g < 16; g++) store(t->d + (b * 2 + g) * W, d * signed_byte_value(s.v[g / 4], (int)g % 4));
        for (size_t half = 0; half < 2; half++) {
            for (size_t part = 0; part < 2; part++) {
                // 16 columns in each quarter of the 128 share their bytes of high bits.
                quad high = load_rows(p + 128 + 32 * half + 16 * part, stride);
                for (size_t pair = 0; pair < 2; pair++) {
                    fetch_ahead(t, 26);
                    quad low = load_rows(p + 64 * half + 32 * pair + 16 * part, stride);
                    size_t at = (b + half * 4 + pair) * 8 + part * 4;
                    for (size_t k = 0; k < 4; k++) {
                        vi h = shift_right(high.v[k], (int)pair * 2);
                        put(t, at + k, (low.v[k] & BYTES(15)) | (h & BYTES(3)) << 4);
                        put(t, at + 16 + k, (shift_right(low.v[k], 4) & BYTES(15)) | (h & BYTES(48)));
                    }
                }
            }
        }
    }
}

static void unpack_q2_k(const uint8_t *p, size_t stride, size_t count, WEIGHT_TILE *t) {
    for (size_t b = 0; b < count; b += 8, p += 84) {
        quad s = load_rows(p, stride);
        vi head = load_rows(p + 68, stride).v[3];
        vf d = low_half(head), m = high_half(head);
        for (size_t g = 0; g < 16; g++) {
            vi v = s.v[g / 4];
            store(t->d + (b * 2 + g) * W, d * byte_value(v & BYTES(15), (int)g % 4));
            store(t->m + (b * 2 + g) * W, -(m * byte_value(shift_right(v, 4) & BYTES(15), (int)g % 4)));
        }
        for (size_t piece = 0; piece < 4; piece++) {
            fetch_ahead(t, 21);
            quad q = load_rows(p + 16 + 16 * piece, stride);
            for (size_t j = 0; j < 4; j++)
                for (size_t k = 0; k < 4; k++)
                    put(t, (b + piece / 2 * 4 + j) * 8 + piece % 2 * 4 + k,
                        shift_right(q.v[k], (int)j * 2) & BYTES(3));
        }
    }
}

static void unpack_q3_k(const uint8_t *p, size_t stride, size_t count, WEIGHT_TILE *t) {
    for (size_t b = 0; b < count; b += 8, p += 110) {
        quad s = load_rows(p + 92, stride);
        vf d = high_half(load_rows(p + 94, stride).v[3]);
        for (size_t g = 0; g < 16; g++) {
            int i = (int)g / 4;
            vi low = (i < 2 ? s.v[1 + i] : shift_right(s.v[i - 1], 4)) & BYTES(15);
            vi scale = low | (shift_right(s.v[3], 2 * i) & BYTES(3)) << 4;
            store(t->d + (b * 2 + g) * W, d * (byte_value(scale, (int)g % 4) - 32.0f));
        }
        quad mask[2] = {load_rows(p, stride), load_rows(p + 16, stride)};
        for (size_t piece = 0; piece < 4; piece++) {
            fetch_ahead(t, 27);
            quad q = load_rows(p + 32 + 16 * piece, stride);
            for (size_t j = 0; j < 4; j++) {
                int bit = (int)(piece / 2 * 4 + j);
                for (size_t k = 0; k < 4; k++) {
                    vi high = (shift_right(mask[piece % 2].v[k], bit) & BYTES(1)) << 2;
                    put(t, (b + piece / 2 * 4 + j) * 8 + piece % 2 * 4 + k,
                        (shift_right(q.v[k], (int)j * 2) & BYTES(3)) | high);
                }
            }
        }
    }
}

static void unpack_iq4_xs(const uint8_t *p, size_t stride, size_t count, WEIGHT_TILE *t) {
    for (size_t b = 0; b < count; b += 8, p += 136) {
        quad s = load_rows(p, stride);
        vf d = low_half(s.v[0]);
        for (int g = 0; g < 8; g++) {
            fetch_ahead(t, 17);
            vi scale = (shift_right(s.v[1], 4 * g) & 15) | (shift_right(s.v[0], 16 + 2 * g) & 3) << 4;
            store(t->d + (b + (size_t)g) * W, d * __builtin_convertvector(scale - 32, vf));
            quad q = load_rows(p + 8 + 16 * (size_t)g, stride);
            for (size_t k = 0; k < 4; k++) {
                put(t, (b + (size_t)g) * 8 + k, code_values(q.v[k] & BYTES(15)));
                put(t, (b + (size_t)g) * 8 + 4 + k, code_values(shift_right(q.v[k], 4) & BYTES(15)));
            }
        }
    }
}

// Fewer than W rows, by way of the scalar decoder; the last one stands in for those missing.
static void unpack_few(const mk_format *format, int32_t type, const char *weights, size_t row_bytes, size_t rows,
                       size_t first, size_t count, WEIGHT_TILE *t) {
    uint32_t q[CHUNK_BLOCKS * 8];
    float d[CHUNK_BLOCKS * 2], m[CHUNK_BLOCKS * 2];
    size_t groups = count * 32 / format->group;
    for (size_t r = 0; r < W; r++) {
        mk_unpack(type, weights + (r < rows ? r : rows - 1) * row_bytes, first, count, (uint8_t *)q, d, m);
        for (size_t k = 0; k < count * 8; k++) memcpy(t->q + 4 * (k * W + r), q + k, 4);
        for (size_t g = 0; g < groups; g++) t->d[g * W + r] = d[g];
        for (size_t g = 0; format->offset && g < groups; g++) t->m[g * W + r] = m[g];
    }
}

// Blocks [first, first + count) of 32 columns of W rows.
static void unpack_rows(const mk_format *format, int32_t type, const char *weights, size_t row_bytes, size_t first,
                        size_t count, WEIGHT_TILE *t) {
    const uint8_t *p = (const uint8_t *)weights + first * 32 / format->block * format->block_bytes;
    switch (type) {
    case MK_Q4_0: unpack_q4_0(p, row_bytes, count, t, false); break;
    case MK_IQ4_NL: unpack_q4_0(p, row_bytes, count, t, true); break;
    case MK_Q4_1: unpack_q4_1(p, row_bytes, count, t); break;
    case MK_Q5_0: unpack_q5(p, row_bytes, count, t, false); break;
    case MK_Q5_1: unpack_q5(p, row_bytes, count, t, true); break;
    case MK_Q8_0: unpack_q8_0(p, row_bytes, count, t); break;
    case MK_Q2_K: unpack_q2_k(p, row_bytes, count, t); break;
    case MK_Q3_K: unpack_q3_k(p, row_bytes, count, t); break;
    case MK_Q4_K: unpack_q4_k(p, row_bytes, count, t); break;
    case MK_Q5_K: unpack_q5_k(p, row_bytes, count, t); break;
    case MK_Q6_K: unpack_q6_k(p, row_bytes, count, t); break;
    default: unpack_iq4_xs(p, row_bytes, count, t); break;
    }
}
