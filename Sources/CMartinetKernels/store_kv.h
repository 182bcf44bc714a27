// Multiplies each run of n elements, n the largest power of two that divides the size, by the Hadamard matrix of +1 and
// -1: outliers spread over the run, so that bytes lose less (Ashkboos et al., QuaRot, 2024). Twice is n times the
// input.
static void spread(float *x, size_t size) {
    size_t n = size & -size;
    for (size_t half = 1; half < n; half *= 2) {
        for (size_t i = 0; i < size; i += 2 * half) {
            for (size_t j = i; j < i + half; j++) {
                float a = x[j], b = x[j + half];
                x[j] = a + b;
                x[j + half] = a - b;
            }
        }
    }
}

static void spread_back(float *x, size_t size) {
    spread(x, size);
    float scale = 1.0f / (float)(size & -size);
    for (size_t i = 0; i < size; i++) x[i] *= scale;
}

// Storing a token in the KV cache. The includer defines store_row and quantize_kv, which rounds floats to signed bytes
// and returns their scale.
static void store_kv(const mk_kv_layer *layer, size_t slot, const float *key, const float *value) {
    size_t size = (size_t)layer->head_size, lane = slot % MK_KV_TILE;
    size_t tile_bytes = mk_kv_tile_bytes(layer->type, size);
    char row[512 * 4];
    if (size > 512) return;
    for (size_t h = 0; h < (size_t)layer->kv_heads; h++) {
        size_t at = (slot / MK_KV_TILE * (size_t)layer->kv_heads + h) * tile_bytes;
        char *keys = (char *)layer->keys + at, *values = (char *)layer->values + at;
        const float *k = key + h * size, *v = value + h * size;
        switch (layer->type) {
        case MK_I8: {
            float rotated[512];
            memcpy(rotated, k, 4 * size);
            spread(rotated, size);
            float scale = quantize_kv(rotated, (int8_t *)row, size);
            for (size_t i = 0; i < size; i++) keys[i * MK_KV_TILE + lane] = row[i];
            memcpy(keys + MK_KV_TILE * size + 4 * lane, &scale, 4);
            memcpy(rotated, v, 4 * size);
            spread(rotated, size);
            scale = quantize_kv(rotated, (int8_t *)values + lane * size, size);
            memcpy(values + MK_KV_TILE * size + 4 * lane, &scale, 4);
            break;
        }
        case MK_F32:
            for (size_t i = 0; i < size; i++) memcpy(keys + 4 * (i * MK_KV_TILE + lane), k + i, 4);
            store_row(MK_F32, v, values + 4 * lane * size, size);
            break;
        default:
            store_row(layer->type, k, row, size);
            for (size_t i = 0; i < size; i++) memcpy(keys + 2 * (i * MK_KV_TILE + lane), row + 2 * i, 2);
            store_row(layer->type, v, values + 2 * lane * size, size);
        }
    }
}
