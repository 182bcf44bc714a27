// Loads from rows, and byte tables, with AVX-512.
#define LOAD_ROWS(p, stride, i) load_rows_512((p) + (i) * (stride), stride)
#define LOOK_UP(table, indices)                                                                                        \
    ((vi)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(table))), (__m512i)(indices)))

INLINE vi load_rows_512(const uint8_t *p, size_t stride) {
    __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)p));
    v = _mm512_mask_broadcast_i32x4(v, 0x00f0, _mm_loadu_si128((const __m128i *)(p + 4 * stride)));
    v = _mm512_mask_broadcast_i32x4(v, 0x0f00, _mm_loadu_si128((const __m128i *)(p + 8 * stride)));
    v = _mm512_mask_broadcast_i32x4(v, 0xf000, _mm_loadu_si128((const __m128i *)(p + 12 * stride)));
    return (vi)v;
}
