// The two matrix products of attention, over a block of 64 positions: queries by keys, and weights by values.
//
// An element of either product is one chain of fused multiply-adds in a fixed order, whatever the rows beside it are
// and wherever its factors come from: straight from the cache's type, or from floats that were converted before.

enum { KEY_TILE = MK_KV_TILE, KEY_BLOCK = 64, KEY_TILES = KEY_BLOCK / KEY_TILE, CHAIN = 32, REGISTER_ROWS = 6 };
// Vectors that one of REGISTER_ROWS rows has in registers, and tiles of keys that they are.
enum { REGISTER_VECTORS = W == 8 ? 2 : 4, REGISTER_TILES = REGISTER_VECTORS * W / KEY_TILE };

typedef int8_t vc __attribute__((ext_vector_type(W)));

INLINE vf load_kv(int32_t type, const char *p, size_t i) {
    if (type == MK_F32) return load((const float *)p + i);
    if (type == MK_F16) return from_f16(p + 2 * i);
    if (type == MK_BF16) return from_bf16(p + 2 * i);
    vc v;
    memcpy(&v, p + i, sizeof v);
    return __builtin_convertvector(v, vf);
}

// scores[r][position] = query[r] · key[position], over the tiles of a block: sums of CHAIN products,
// one after the other, so that long heads round as well as short ones.
INLINE void multiply_keys(int32_t type, int rows, const char *const *tiles, size_t size, const float *query,
                          float *scores) {
    for (int t = 0; t < KEY_TILES; t += REGISTER_TILES) {
        for (size_t begin = 0; begin < size; begin += CHAIN) {
            size_t end = size - begin < CHAIN ? size : begin + CHAIN;
            vf sums[REGISTER_ROWS][REGISTER_VECTORS];
            for (int r = 0; r < rows; r++)
                for (int v = 0; v < REGISTER_VECTORS; v++) sums[r][v] = (vf)0;
            for (size_t i = begin; i < end; i++) {
                vf keys[REGISTER_VECTORS];
                for (int v = 0; v < REGISTER_VECTORS; v++)
                    keys[v] = load_kv(type, tiles[t + v * W / KEY_TILE], i * KEY_TILE + (size_t)(v * W % KEY_TILE));
                for (int r = 0; r < rows; r++) {
                    vf q = (vf)query[(size_t)r * size + i];
                    for (int v = 0; v < REGISTER_VECTORS; v++) sums[r][v] = fma_(q, keys[v], sums[r][v]);
                }
            }
            for (int r = 0; r < rows; r++) {
                for (int v = 0; v < REGISTER_VECTORS; v++) {
                    float *to = scores + r * KEY_BLOCK + t * KEY_TILE + v * W;
                    store(to, begin == 0 ? sums[r][v] : load(to) + sums[r][v]);
                }
            }
        }
    }
}

// sums[r] = shrink[r] * sums[r] + weights[r][position] * value[position] for begin..<end, `vectors` vectors of each
// row.
INLINE void multiply_values_by(int32_t type, int rows, int vectors, const char *const *tiles, size_t stride,
                               size_t element, size_t begin, size_t end, const float *weights,
                               const float *shrink, float *sums) {
    vf parts[REGISTER_ROWS][REGISTER_VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            parts[r][v] = load(sums + (size_t)r * stride + element + (size_t)(v * W)) * shrink[r];
    for (size_t p = begin; p < end;) {
        const char *tile = tiles[p / KEY_TILE];
        size_t stop = p / KEY_TILE * KEY_TILE + KEY_TILE;
        if (stop > end) stop = end;
        for (; p < stop; p++) {
            vf values[REGISTER_VECTORS];
            for (int v = 0; v < vectors; v++)
                values[v] = load_kv(type, tile, p % KEY_TILE * stride + element + (size_t)(v * W));
            for (int r = 0; r < rows; r++) {
                vf weight = (vf)weights[(size_t)r * KEY_BLOCK + p];
                for (int v = 0; v < vectors; v++) parts[r][v] = fma_(weight, values[v], parts[r][v]);
            }
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) store(sums + (size_t)r * stride + element + (size_t)(v * W), parts[r][v]);
}

// `stride` floats, a multiple of W, separate the rows of sums; as many elements separate values within a tile.
INLINE void multiply_values(int32_t type, int rows, const char *const *tiles, size_t stride, size_t begin, size_t end,
                            const float *weights, const float *shrink, float *sums) {
    size_t element = 0;
    for (; element + REGISTER_VECTORS * W <= stride; element += REGISTER_VECTORS * W)
        multiply_values_by(type, rows, REGISTER_VECTORS, tiles, stride, element, begin, end, weights, shrink, sums);
    for (; element < stride; element += W)
        multiply_values_by(type, rows, 1, tiles, stride, element, begin, end, weights, shrink, sums);
}

// Both for a type and a number of rows.
typedef struct {
    void (*keys)(const char *const *tiles, size_t size, const float *query, float *scores);
    void (*values)(const char *const *tiles, size_t stride, size_t begin, size_t end, const float *weights,
                   const float *shrink, float *sums);
} products;

#define PRODUCTS(TYPE, ROWS)                                                                                           \
    static void keys_##TYPE##_##ROWS(const char *const *tiles, size_t size, const float *query, float *scores) {       \
        multiply_keys(TYPE, ROWS, tiles, size, query, scores);                                                         \
    }                                                                                                                  \
    static void values_##TYPE##_##ROWS(const char *const *tiles, size_t stride, size_t begin, size_t end,              \
                                       const float *weights, const float *shrink, float *sums) {                       \
        multiply_values(TYPE, ROWS, tiles, stride, begin, end, weights, shrink, sums);                                 \
    }
#define PRODUCTS_OF_TYPE(TYPE)                                                                                         \
    PRODUCTS(TYPE, 1)                                                                                                  \
    PRODUCTS(TYPE, 2)                                                                                                  \
    PRODUCTS(TYPE, 3)                                                                                                  \
    PRODUCTS(TYPE, 4)                                                                                                  \
    PRODUCTS(TYPE, 5)                                                                                                  \
    PRODUCTS(TYPE, 6)                                                                                                  \
    static const products products_##TYPE[REGISTER_ROWS] = {                                                           \
        {keys_##TYPE##_1, values_##TYPE##_1}, {keys_##TYPE##_2, values_##TYPE##_2},                                    \
        {keys_##TYPE##_3, values_##TYPE##_3}, {keys_##TYPE##_4, values_##TYPE##_4},                                    \
        {keys_##TYPE##_5, values_##TYPE##_5}, {keys_##TYPE##_6, values_##TYPE##_6},                                    \
    };

PRODUCTS_OF_TYPE(MK_F32)
PRODUCTS_OF_TYPE(MK_F16)
PRODUCTS_OF_TYPE(MK_BF16)
PRODUCTS_OF_TYPE(MK_I8)

INLINE const products *products_of(int32_t type) {
    switch (type) {
    case MK_F16: return products_MK_F16;
    case MK_BF16: return products_MK_BF16;
    case MK_I8: return products_MK_I8;
    default: return products_MK_F32;
    }
}
