// Loads from rows, and byte tables, with AVX2.
#define LOAD_ROWS(p, stride, i) load_rows_256((p) + (i) * (stride), stride)
#define LOOK_UP(table, indices)                                                                                        \
    ((vi)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(table))),                   \
                             (__m256i)(indices)))

INLINE vi load_rows_256(const uint8_t *p, size_t stride) {
    __m256i v = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p));
    return (vi)_mm256_inserti128_si256(v, _mm_loadu_si128((const __m128i *)(p + 4 * stride)), 1);
}
