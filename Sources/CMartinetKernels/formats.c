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
    static const mk_format plain32 = {1, 4, 0, 0, 0, false, false}, plain16 = {1, 2, 0, 0, 0, false, false};
    static const mk_format q4_0 = {32, 18, 32, 8, 4, false, false}, q4_1 = {32, 20, 32, 0, 4, true, false};
    static const mk_format q5_0 = {32, 22, 32, 16, 5, false, false}, q5_1 = {32, 24, 32, 0, 5, true, false};
    static const mk_format q8_0 = {32, 34, 32, 128, 8, false, false};
    static const mk_format q2_k = {256, 84, 16, 0, 4, true, false}, q3_k = {256, 110, 16, 4, 4, false, false};
    static const mk_format q4_k = {256, 144, 32, 0, 4, true, false}, q5_k = {256, 176, 32, 0, 5, true, false};
    static const mk_format q6_k = {256, 210, 16, 32, 6, false, false};
    static const mk_format iq4_nl = {32, 18, 32, 128, 4, false, true}, iq4_xs = {256, 136, 32, 128, 4, false, true};
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

const uint8_t mk_code_book[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

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


// Blocks of 32 elements with one scale.
static void quants_32(int32_t type, const uint8_t *b, uint8_t *q) {
    switch (type) {
    case MK_Q4_1:
        nibbles(b + 4, q);
        break;
    case MK_Q5_0:
        nibbles(b + 6, q);
        fifth_bits(b + 2, q);
        break;
    case MK_Q5_1:
        nibbles(b + 8, q);
        fifth_bits(b + 4, q);
        break;
    case MK_Q8_0:
        for (int j = 0; j < 32; j++) q[j] = b[2 + j] ^ 0x80;
        break;
    default:  // MK_Q4_0, MK_IQ4_NL
        nibbles(b + 2, q);
        break;
    }
}

// Eight 6-bit scales and minima in 12 bytes, shared by Q4_K and Q5_K.
static void scales_and_minima(const uint8_t *s, int8_t *scale, int8_t *minimum) {
    for (int j = 0; j < 8; j++) {
        scale[j] = (int8_t)(j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4);
        minimum[j] = (int8_t)(j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4);
    }
}

static uint16_t half_bits(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

mk_scales mk_scales_of(int32_t type, const uint8_t *b) {
    mk_scales s = {0, 0, {1}, {1}};
    switch (type) {
    case MK_Q2_K:
        s.d = half_bits(b + 80);
        s.m = half_bits(b + 82);
        for (int g = 0; g < 16; g++) {
            s.scale[g] = b[g] & 15;
            s.minimum[g] = (int8_t)(b[g] >> 4);
        }
        break;
    case MK_Q3_K:
        s.d = half_bits(b + 108);
        for (int g = 0; g < 16; g++) {
            int low = g < 8 ? b[96 + g] & 15 : b[96 + g - 8] >> 4;
            int high = b[96 + 8 + g % 4] >> (g / 4 * 2) & 3;
            s.scale[g] = (int8_t)((low | high << 4) - 32);
        }
        break;
    case MK_Q4_K:
    case MK_Q5_K:
        s.d = half_bits(b);
        s.m = half_bits(b + 2);
        scales_and_minima(b + 4, s.scale, s.minimum);
        break;
    case MK_Q6_K:
        s.d = half_bits(b + 208);
        memcpy(s.scale, b + 192, 16);
        break;
    case MK_IQ4_XS:
        s.d = half_bits(b);
        for (int g = 0; g < 8; g++) {
            int high = (b[2] | b[3] << 8) >> (2 * g) & 3;
            s.scale[g] = (int8_t)(((b[4 + g / 2] >> (g % 2 * 4) & 15) | high << 4) - 32);
        }
        break;
    case MK_Q4_1:
    case MK_Q5_1:
        s.m = half_bits(b + 2);
        s.d = half_bits(b);
        break;
    default: s.d = half_bits(b); break;
    }
    return s;
}

// Two bits of each element, the same bits of 32 elements after one another.
static int two_bits(const uint8_t *q, int e) { return q[e / 128 * 32 + e % 32] >> (e / 32 % 4 * 2) & 3; }

// Four bits of each element, low halves of 32 bytes before the high ones.
static int four_bits(const uint8_t *q, int e) { return q[e / 64 * 32 + e % 32] >> (e / 32 % 2 * 4) & 15; }

static void quants_256(int32_t type, const uint8_t *b, uint8_t *q) {
    for (int e = 0; e < 256; e++) {
        switch (type) {
        case MK_Q2_K: q[e] = (uint8_t)two_bits(b + 16, e); break;
        case MK_Q3_K: q[e] = (uint8_t)(two_bits(b + 32, e) | (b[e % 32] >> (e / 32) & 1) << 2); break;
        case MK_Q4_K: q[e] = (uint8_t)four_bits(b + 16, e); break;
        case MK_Q5_K: q[e] = (uint8_t)(four_bits(b + 48, e) | (b[16 + e % 32] >> (e / 32) & 1) << 4); break;
        case MK_Q6_K: {
            const uint8_t *low = b + e / 128 * 64, *high = b + 128 + e / 128 * 32;
            q[e] = (uint8_t)((low[e % 64] >> (e % 128 / 64 * 4) & 15) | (high[e % 32] >> (e % 128 / 32 * 2) & 3) << 4);
            break;
        }
        default:  // MK_IQ4_XS
            q[e] = b[8 + e / 32 * 16 + e % 16] >> (e % 32 / 16 * 4) & 15;
            break;
        }
    }
}

void mk_quants_of(int32_t type, const uint8_t *block, uint8_t *q) {
    if (mk_format_of(type)->block == 32) {
        quants_32(type, block, q);
    } else {
        quants_256(type, block, q);
    }
}

void mk_unpack(int32_t type, const void *row, size_t first, size_t count, uint8_t *q, float *d, float *m) {
    const mk_format *format = mk_format_of(type);
    if (!format || !format->group) return;
    size_t per = format->block / 32, groups = format->block / format->group;
    const uint8_t *b = (const uint8_t *)row + first / per * format->block_bytes;
    for (size_t i = 0; i < count / per; i++) {
        mk_quants_of(type, b, q);
        for (int j = 0; format->code && j < format->block; j++) q[j] = mk_code_book[q[j]];
        mk_scales s = mk_scales_of(type, b);
        float scale = mk_f16_to_f32(s.d), minimum = mk_f16_to_f32(s.m);
        for (size_t g = 0; g < groups; g++) {
            d[g] = scale * (float)s.scale[g];
            m[g] = per == 1 ? minimum : -(minimum * (float)s.minimum[g]);
        }
        b += format->block_bytes;
        q += format->block;
        d += groups;
        m += groups;
    }
}

void mk_dequantize_groups(const mk_format *format, const uint8_t *q, const float *d, const float *m, float *out,
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
            mk_dequantize_groups(format, q, d, m, out + i, format->block);
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
    return mk_round_up(2 * n + n / 32 * 4 + n / format->group * 4, 64);
}
