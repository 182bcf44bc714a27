// What the quantisers of all block formats share: fits of one group of 16 or 32 elements, and error sums.
//
// A fit looks for the scale (and offset) with the least squared error. For given levels q the best scale is a linear
// least squares problem; for a given scale the best levels are the nearest ones. The fits try some scales, solve for each
// one's levels, and alternate from the best.
#ifndef MARTINET_QUANTIZE_H
#define MARTINET_QUANTIZE_H

#include "CMartinetKernels.h"

enum { MK_SUPER_BLOCK = 256, MK_LARGEST_GROUP = 32 };

// Smaller values vanish: half the smallest number above zero that a scale in 16 bits can hold.
#define MK_VANISHING 0x1p-26f

// A group's sums over its levels q: with the elements x, with themselves, alone; and the squared error.
typedef struct {
    float xq, qq, q, error;
} mk_sums;

// Levels clamp(round((x - offset) * inverse), low, high) and their sums for the value scale * q + offset. `inverse` is 0
// where scale is.
mk_sums mk_sum_levels(const float *x, int n, float scale, float offset, float low, float high);

// The squared error alone, without an offset.
float mk_scale_error(const float *x, int n, float scale, float low, float high);

// The scale d of the values d * q, low <= q <= high, that fits x best. low < 0 < high.
float mk_fit_scale(const float *x, int n, float low, float high);

// The scale d >= 0 and the offset of the values d * q + offset, 0 <= q <= high, that fit x best.
typedef struct {
    float scale, offset;
} mk_line;

// non_positive: whether the offset may not be above zero.
mk_line mk_fit_line(const float *x, int n, float high, bool non_positive);

// One level.
int mk_level(float x, float scale, float offset, float low, float high);

static inline float mk_through_f16(float value) { return mk_f16_to_f32(mk_f32_to_f16(value)); }

// The number in 16 bits that is nearest from above in magnitude: what integers up to a largest are scaled by may not be
// smaller than the largest needs. Below 2⁻¹⁴ numbers in 16 bits lie far apart.
static inline float mk_up_through_f16(float value) {
    uint16_t half = mk_f32_to_f16(value);
    float stored = mk_f16_to_f32(half);
    bool is_less = value < 0 ? stored > value : stored < value;
    return is_less ? mk_f16_to_f32((uint16_t)(half + 1)) : stored;
}

static inline void mk_put_f16(uint8_t *out, float value) {
    uint16_t half = mk_f32_to_f16(value);
    out[0] = (uint8_t)half;
    out[1] = (uint8_t)(half >> 8);
}

// A super-block of 256 elements.
void mk_quantize_super_block(int32_t type, const float *x, uint8_t *out);

#endif
