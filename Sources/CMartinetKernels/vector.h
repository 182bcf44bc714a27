// Vectors of W floats in the compiler's own vector language, so that one source serves every instruction set. A file
// that includes this one sets W and ISA (a suffix for names) and compiles under the target attribute it is meant for.
#include "formats.h"

#include <math.h>
#include <string.h>

#pragma clang fp contract(off)

#define INLINE static inline __attribute__((always_inline))

typedef float vf __attribute__((ext_vector_type(W)));
typedef int32_t vi __attribute__((ext_vector_type(W)));
typedef uint32_t vu __attribute__((ext_vector_type(W)));
typedef uint16_t vh __attribute__((ext_vector_type(W)));
typedef uint8_t vb __attribute__((ext_vector_type(4 * W)));
#if defined(__FLT16_MANT_DIG__)
typedef _Float16 vf16 __attribute__((ext_vector_type(W)));
#endif

INLINE vf load(const float *p) {
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void store(float *p, vf v) { memcpy(p, &v, sizeof v); }
INLINE vf load_part(const float *p, size_t n) {
    vf v = (vf)0;
    memcpy(&v, p, 4 * n);
    return v;
}
INLINE void store_part(float *p, vf v, size_t n) { memcpy(p, &v, 4 * n); }
INLINE vi bits_of(vf v) { return (vi)v; }
INLINE vf of_bits(vi v) { return (vf)v; }
INLINE vf fma_(vf a, vf b, vf c) { return __builtin_elementwise_fma(a, b, c); }
INLINE vf choose(vi mask, vf a, vf b) { return of_bits((bits_of(a) & mask) | (bits_of(b) & ~mask)); }

// Halves and bfloat16 to floats; exact.
INLINE vf from_f16(const void *p) {
    vf16 v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, vf);
}
INLINE vf from_bf16(const void *p) {
    vh v;
    memcpy(&v, p, sizeof v);
    return of_bits(__builtin_convertvector(v, vi) << 16);
}

// Every other lane of two vectors, as one.
INLINE vf even_lanes(vf a, vf b) {
#if W == 16
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
#elif W == 8
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
#else
    return __builtin_shufflevector(a, b, 0, 2, 4, 6);
#endif
}
INLINE vf odd_lanes(vf a, vf b) {
#if W == 16
    return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#elif W == 8
    return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
#else
    return __builtin_shufflevector(a, b, 1, 3, 5, 7);
#endif
}

// Lane i of the result is the sum of the lanes of v[i]; W vectors in.
INLINE vf transpose_sum(vf *v) {
#pragma clang loop unroll(full)
    for (int step = W / 2; step > 0; step /= 2) {
#pragma clang loop unroll(full)
        for (int i = 0; i < step; i++)
            v[i] = even_lanes(v[2 * i], v[2 * i + 1]) + odd_lanes(v[2 * i], v[2 * i + 1]);
    }
    return v[0];
}

// Halves are folded onto one another, so the order of additions is fixed.
INLINE float sum_lanes(vf v) {
#if W == 16
    float __attribute__((ext_vector_type(8))) v8 = v.lo + v.hi;
#elif W == 8
    vf v8 = v;
#endif
#if W >= 8
    float __attribute__((ext_vector_type(4))) v4 = v8.lo + v8.hi;
#else
    vf v4 = v;
#endif
    float __attribute__((ext_vector_type(2))) v2 = v4.lo + v4.hi;
    return v2.x + v2.y;
}

INLINE float max_lanes(vf v) {
    float lanes[W];
    store(lanes, v);
    for (int step = W / 2; step > 0; step /= 2)
        for (int i = 0; i < step; i++) lanes[i] = lanes[i + step] > lanes[i] ? lanes[i + step] : lanes[i];
    return lanes[0];
}

// The same for lanes without NaN, folded in registers.
INLINE float max_of_numbers(vf v) {
#if W == 16
    float __attribute__((ext_vector_type(8))) v8 = __builtin_elementwise_max(v.lo, v.hi);
#elif W == 8
    vf v8 = v;
#endif
#if W >= 8
    float __attribute__((ext_vector_type(4))) v4 = __builtin_elementwise_max(v8.lo, v8.hi);
#else
    vf v4 = v;
#endif
    float __attribute__((ext_vector_type(2))) v2 = __builtin_elementwise_max(v4.lo, v4.hi);
    return v2.x > v2.y ? v2.x : v2.y;
}

// eˣ to about 1 ulp: x = n·ln2 + r, a polynomial for eʳ, and 2ⁿ in two factors so that subnormal results and overflow
// come out right. NaN stays NaN.
INLINE vf exp_(vf x) {
    x = choose(x > 89.0f, (vf)89.0f, x);
    x = choose(x < -104.0f, (vf)-104.0f, x);
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low bits.
    vf shifted = fma_(x, (vf)1.44269504089f, (vf)12582912.0f);
    vi n = bits_of(shifted) - 0x4b400000;
    vf count = shifted - 12582912.0f;
    vf r = fma_(count, (vf)-0.693145751953125f, x);
    r = fma_(count, (vf)-1.42860682030941723e-6f, r);
    vf p = fma_(r, (vf)1.9841270e-4f, (vf)1.3888889e-3f);
    p = fma_(p, r, (vf)8.3333333e-3f);
    p = fma_(p, r, (vf)4.1666667e-2f);
    p = fma_(p, r, (vf)1.6666667e-1f);
    p = fma_(p, r, (vf)0.5f);
    p = fma_(p, r, (vf)1.0f);
    p = fma_(p, r, (vf)1.0f);
    vi low = n >> 1, high = n - low;
    return p * of_bits((low + 127) << 23) * of_bits((high + 127) << 23);
}
