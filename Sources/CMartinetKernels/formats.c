// Scalar decoding of every block format; layouts as in the GGUF specification and its reference quantiser.
#include "formats.h"

#include <string.h>

#pragma clang fp contract(off)

float mk_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = (h >> 10) & 0x1f;
    uint32_t mantissa = h & 0x3ff;
    uint32_t bits;
    if (exponent == 0x1f) {
        bits = sign | 0x7f800000 | mantissa << 13 | (mantissa ? 0x400000 : 0);
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    } else {
        // Subnormal: the mantissa counts units of 2⁻²⁴.
        float magnitude = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &magnitude, 4);
        bits |= sign;
    }
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

uint16_t mk_f32_to_f16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x1ff));
    if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00);  // rounds to 65536 or more
    if (magnitude < 0x38800000) {
        // Subnormal: adding 0.5 aligns the mantissa so that the hardware rounds to nearest even at 2⁻²⁴.
        float aligned;
        memcpy(&aligned, &magnitude, 4);
        aligned += 0.5f;
        uint32_t rounded;
        memcpy(&rounded, &aligned, 4);
        return (uint16_t)(sign | (rounded - 0x3f000000));
    }
    uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + odd) >> 13));
}

const mk_format *mk_format_of(int32_t type) {
    static const mk_format plain32 = {1, 4, 0, 0, false}, plain16 = {1, 2, 0, 0, false};
    static const mk_format q4_0 = {32, 18, 32, 8, false}, q4_1 = {32, 20, 32, 0, true};
    static const mk_format q5_0 = {32, 22, 32, 16, false}, q5_1 = {32, 24, 32, 0, true};
    static const mk_format q8_0 = {32, 34, 32, 128, false};
    static const mk_format q2_k = {256, 84, 16, 0, true}, q3_k = {256, 110, 16, 4, false};
    static const mk_format q4_k = {256, 144, 32, 0, true}, q5_k = {256, 176, 32, 0, true};
    static const mk_format q6_k = {256, 210, 16, 32, false};
    static const mk_format iq4_nl = {32, 18, 32, 128, false}, iq4_xs = {256, 136, 32, 128, false};
    switch (type) {
    case MK_F32: return &plain32;
    case MK_F16:
    case MK_BF16: return &plain16;
    case MK_Q4_0: return &q4_0;
    case MK_Q4_1: return &q4_1;
    case MK_Q5_0: return &q5_0;
    case MK_Q5_1: return &q5_1;
    case MK_Q8_0: return &q8_0;
    case MK_Q2_K: return &q2_k;
    case MK_Q3_K: return &q3_k;
    case MK_Q4_K: return &q4_k;
    case MK_Q5_K: return &q5_k;
    case MK_Q6_K: return &q6_k;
    case MK_IQ4_NL: return &iq4_nl;
    case MK_IQ4_XS: return &iq4_xs;
    default: return NULL;
    }
}

static float half_at(const uint8_t *p) { return mk_f16_to_f32((uint16_t)(p[0] | p[1] << 8)); }

// The IQ4 code book, 128 added.
static const uint8_t iq4_values[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

static void nibbles(const uint8_t *in, uint8_t *q) {
    for (int j = 0; j < 16; j++) {
        q[j] = in[j] & 15;
        q[j + 16] = in[j] >> 4;
    }
}

static void fifth_bits(const uint8_t *in, uint8_t *q) {
    uint32_t bits = in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
    for (int j = 0; j < 32; j++) q[j] |= (uint8_t)((bits >> j & 1) << 4);
}

static void code_book(uint8_t *q) {
    for (int j = 0; j < 32; j++) q[j] = iq4_values[q[j]];
}

// Blocks of 32 elements with one scale.
static void unpack_32(int32_t type, const uint8_t *b, uint8_t *q, float *d, float *m) {
    *d = half_at(b);
    switch (type) {
    case MK_Q4_0:
        nibbles(b + 2, q);
        break;
    case MK_Q4_1:
        *m = half_at(b + 2);
        nibbles(b + 4, q);
        break;
    case MK_Q5_0:
        nibbles(b + 6, q);
        fifth_bits(b + 2, q);
        break;
    case MK_Q5_1:
        *m = half_at(b + 2);
        nibbles(b + 8, q);
        fifth_bits(b + 4, q);
        break;
    case MK_Q8_0:
        for (int j = 0; j < 32; j++) q[j] = b[2 + j] ^ 0x80;
        break;
    default:  // MK_IQ4_NL
        nibbles(b + 2, q);
        code_book(q);
        break;
    }
}

// Eight 6-bit scales and minima in 12 bytes, shared by Q4_K and Q5_K.
static void scales_and_minima(const uint8_t *b, float *d, float *m) {
    float scale = half_at(b), minimum = half_at(b + 2);
    const uint8_t *s = b + 4;
    for (int j = 0; j < 8; j++) {
        int sc = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        int mn = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
        d[j] = scale * (float)sc;
        m[j] = -(minimum * (float)mn);
    }
}

static void unpack_q2_k(const uint8_t *b, uint8_t *q, float *d, float *m) {
    float scale = half_at(b + 80), minimum = half_at(b + 82);
    for (int g = 0; g < 16; g++) {
        d[g] = scale * (float)(b[g] & 15);
        m[g] = -(minimum * (float)(b[g] >> 4));
    }
    const uint8_t *qs = b + 16;
    for (int e = 0; e < 256; e++) q[e] = qs[e / 128 * 32 + e % 32] >> (e / 32 % 4 * 2) & 3;
}

static void unpack_q3_k(const uint8_t *b, uint8_t *q, float *d) {
    float scale = half_at(b + 108);
    const uint8_t *s = b + 96;
    for (int g = 0; g < 16; g++) {
        int low = g < 8 ? s[g] & 15 : s[g - 8] >> 4;
        int high = s[8 + g % 4] >> (g / 4 * 2) & 3;
        d[g] = scale * (float)((low | high << 4) - 32);
    }
    const uint8_t *mask = b, *qs = b + 32;
    for (int e = 0; e < 256; e++) {
        int low = qs[e / 128 * 32 + e % 32] >> (e / 32 % 4 * 2) & 3;
        q[e] = (uint8_t)(low | (mask[e % 32] >> (e / 32) & 1) << 2);
    }
}

static void unpack_q4_k(const uint8_t *b, uint8_t *q, float *d, float *m) {
    scales_and_minima(b, d, m);
    const uint8_t *qs = b + 16;
    for (int e = 0; e < 256; e++) q[e] = qs[e / 64 * 32 + e % 32] >> (e / 32 % 2 * 4) & 15;
}

static void unpack_q5_k(const uint8_t *b, uint8_t *q, float *d, float *m) {
    scales_and_minima(b, d, m);
    const uint8_t *high = b + 16, *qs = b + 48;
    for (int e = 0; e < 256; e++) {
        int low = qs[e / 64 * 32 + e % 32] >> (e / 32 % 2 * 4) & 15;
        q[e] = (uint8_t)(low | (high[e % 32] >> (e / 32) & 1) << 4);
    }
}

static void unpack_q6_k(const uint8_t *b, uint8_t *q, float *d) {
    float scale = half_at(b + 208);
    for (int g = 0; g < 16; g++) d[g] = scale * (float)(int8_t)b[192 + g];
    for (int half = 0; half < 2; half++) {
        const uint8_t *low = b + 64 * half, *high = b + 128 + 32 * half;
        for (int e = 0; e < 128; e++) {
            int lo = low[e % 64] >> (e / 64 * 4) & 15;
            int hi = high[e % 32] >> (e / 32 * 2) & 3;
            q[128 * half + e] = (uint8_t)(lo | hi << 4);
        }
    }
}

static void unpack_iq4_xs(const uint8_t *b, uint8_t *q, float *d) {
    float scale = half_at(b);
    int high = b[2] | b[3] << 8;
    for (int g = 0; g < 8; g++) {
        int s = (b[4 + g / 2] >> (g % 2 * 4) & 15) | (high >> (2 * g) & 3) << 4;
        d[g] = scale * (float)(s - 32);
        nibbles(b + 8 + 16 * g, q + 32 * g);
        code_book(q + 32 * g);
    }
}

void mk_unpack(int32_t type, const void *row, size_t first, size_t count, uint8_t *q, float *d, float *m) {
    const mk_format *format = mk_format_of(type);
    if (!format || !format->group) return;
    size_t per = format->block / 32, groups = format->block / format->group;
    const uint8_t *b = (const uint8_t *)row + first / per * format->block_bytes;
    for (size_t i = 0; i < count / per; i++) {
        switch (type) {
        case MK_Q2_K: unpack_q2_k(b, q, d, m); break;
        case MK_Q3_K: unpack_q3_k(b, q, d); break;
        case MK_Q4_K: unpack_q4_k(b, q, d, m); break;
        case MK_Q5_K: unpack_q5_k(b, q, d, m); break;
        case MK_Q6_K: unpack_q6_k(b, q, d); break;
        case MK_IQ4_XS: unpack_iq4_xs(b, q, d); break;
        default: unpack_32(type, b, q, d, m); break;
        }
        b += format->block_bytes;
        q += format->block;
        d += groups;
        m += groups;
    }
}

static void dequantize_groups(const mk_format *format, const uint8_t *q, const float *d, const float *m, float *out,
                              size_t count) {
    int zero = format->zero;
    for (size_t g = 0; g < count / format->group; g++) {
        for (int j = 0; j < format->group; j++) {
            float product = d[g] * (float)(q[j] - zero);
            out[j] = format->offset ? product + m[g] : product;
        }
        q += format->group;
        out += format->group;
    }
}

void mk_dequantize_part(int32_t type, const void *row, size_t first, size_t count, float *out) {
    const mk_format *format = mk_format_of(type);
    if (!format) return;
    const uint8_t *bytes = row;
    if (type == MK_F32) {
        memcpy(out, bytes + 4 * first, 4 * count);
    } else if (type == MK_F16) {
        for (size_t i = 0; i < count; i++) out[i] = half_at(bytes + 2 * (first + i));
    } else if (type == MK_BF16) {
        for (size_t i = 0; i < count; i++) {
            uint16_t h;
            memcpy(&h, bytes + 2 * (first + i), 2);
            uint32_t bits = (uint32_t)h << 16;
            memcpy(out + i, &bits, 4);
        }
    } else {
        uint8_t q[256];
        float d[16], m[16];
        for (size_t i = 0; i < count; i += format->block) {
            mk_unpack(type, row, (first + i) / 32, format->block / 32, q, d, m);
            dequantize_groups(format, q, d, m, out + i, format->block);
        }
    }
}

bool mk_dequantize_row(int32_t type, const void *row, float *out, size_t n) {
    if (!mk_format_of(type)) return false;
    mk_dequantize_part(type, row, 0, n, out);
    return true;
}

size_t mk_activation_bytes(int32_t weight_type, size_t n) {
    const mk_format *format = mk_format_of(weight_type);
    if (!format) return 0;
    if (!format->group) return mk_round_up(4 * n, 64);
    return mk_round_up(n + n / 32 * 4 + n / format->group * 4, 64);
}
