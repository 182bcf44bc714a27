// Attention of one query token over paged keys and values, W lanes over the head's elements.
//
// Positions go by in chunks of 64 from `first` upwards with an online softmax (Milakov and Gimelshein, 2018). Up to
// four query heads that share a key/value head are computed side by side; each one's arithmetic is the same alone.

enum { POSITIONS = 64, GROUP = 4, MAX_HEAD = 512 };

INLINE vf load_kv(int32_t type, const char *p, size_t i) {
    if (type == MK_F32) return load((const float *)p + i);
    return type == MK_F16 ? from_f16(p + 2 * i) : from_bf16(p + 2 * i);
}

INLINE vf load_kv_part(int32_t type, const char *p, size_t i, size_t n) {
    char padded[4 * W] = {0};
    size_t bytes = type == MK_F32 ? 4 : 2;
    memcpy(padded, p + bytes * i, bytes * n);
    return load_kv(type, padded, 0);
}

typedef struct {
    float scores[GROUP][POSITIONS];
    float query[GROUP][MAX_HEAD];
    float acc[GROUP][MAX_HEAD];
    const char *keys[POSITIONS], *values[POSITIONS];
    float largest[GROUP], sum[GROUP];
} ATTENTION_STATE;

INLINE void attend_scores(ATTENTION_STATE *s, int32_t type, size_t size, int group, size_t count) {
    for (size_t base = 0; base < count; base += W) {
        vf dots[GROUP][W];
        for (int p = 0; p < W; p++) {
            const char *key = s->keys[base + p];
            for (int g = 0; g < group; g++) dots[g][p] = (vf)0;
            size_t i = 0;
            for (; i + W <= size; i += W) {
                vf k = load_kv(type, key, i);
                for (int g = 0; g < group; g++) dots[g][p] = fma_(k, load(s->query[g] + i), dots[g][p]);
            }
            if (i < size) {
                vf k = load_kv_part(type, key, i, size - i);
                for (int g = 0; g < group; g++) dots[g][p] = fma_(k, load(s->query[g] + i), dots[g][p]);
            }
        }
        for (int g = 0; g < group; g++) store(s->scores[g] + base, transpose_sum(dots[g]));
    }
}

// Scores become weights relative to the largest so far; what was summed before shrinks when that grows.
INLINE void attend_softmax(ATTENTION_STATE *s, size_t size, int group, size_t count, float scale, float softcap) {
    size_t padded = mk_round_up(count, W);
    for (int g = 0; g < group; g++) {
        for (size_t base = 0; base < count; base += W) {
            vf v = load(s->scores[g] + base) * scale;
            if (softcap > 0) {
                // tanh u = 1 - 2 / (e²ᵘ + 1)
                v = softcap * (1.0f - 2.0f / (exp_(v / softcap * 2.0f) + 1.0f));
            }
            store(s->scores[g] + base, v);
        }
        for (size_t p = count; p < padded; p++) s->scores[g][p] = -INFINITY;
        // A comparison with NaN is false: it does not become the largest, but reaches the sum below.
        vf best = (vf)s->largest[g];
        for (size_t base = 0; base < count; base += W) {
            vf v = load(s->scores[g] + base);
            best = choose(v > best, v, best);
        }
        float largest = max_of_numbers(best);
        if (largest > s->largest[g]) {
            float shrink = exp_((vf)(s->largest[g] - largest))[0];
            s->sum[g] *= shrink;
            for (size_t i = 0; i < size; i += W) store(s->acc[g] + i, load(s->acc[g] + i) * shrink);
            s->largest[g] = largest;
        }
        // With nothing but -inf so far, weights must be 0 rather than e^NaN.
        float reference = largest == -INFINITY ? 0 : largest;
        vf sums = (vf)0;
        for (size_t base = 0; base < count; base += W) {
            vf v = load(s->scores[g] + base);
            vf e = choose(v == -INFINITY, (vf)0, exp_(v - reference));
            store(s->scores[g] + base, e);
            sums += e;
        }
        s->sum[g] += sum_lanes(sums);
    }
}

INLINE void attend_values(ATTENTION_STATE *s, int32_t type, size_t size, int group, size_t count) {
    size_t i = 0;
    for (; i + 4 * W <= size; i += 4 * W) {
        vf acc[GROUP][4];
        for (int g = 0; g < group; g++)
            for (int k = 0; k < 4; k++) acc[g][k] = load(s->acc[g] + i + k * W);
        for (size_t p = 0; p < count; p++) {
            for (int k = 0; k < 4; k++) {
                vf v = load_kv(type, s->values[p], i + k * W);
                for (int g = 0; g < group; g++) acc[g][k] = fma_(v, (vf)s->scores[g][p], acc[g][k]);
            }
        }
        for (int g = 0; g < group; g++)
            for (int k = 0; k < 4; k++) store(s->acc[g] + i + k * W, acc[g][k]);
    }
    for (; i < size; i += W) {
        vf acc[GROUP];
        for (int g = 0; g < group; g++) acc[g] = load(s->acc[g] + i);
        for (size_t p = 0; p < count; p++) {
            vf v = i + W <= size ? load_kv(type, s->values[p], i) : load_kv_part(type, s->values[p], i, size - i);
            for (int g = 0; g < group; g++) acc[g] = fma_(v, (vf)s->scores[g][p], acc[g]);
        }
        for (int g = 0; g < group; g++) store(s->acc[g] + i, acc[g]);
    }
}

INLINE void attend(const mk_kv_layer *kv, int32_t type, const int32_t *block_table, size_t first, size_t length,
                   const float *query, int group, size_t size, size_t kv_head, float scale, float softcap,
                   float *out) {
    ATTENTION_STATE s;
    size_t block = (size_t)kv->block_size;
    size_t element = type == MK_F32 ? 4 : 2;
    size_t slot_bytes = (size_t)kv->kv_heads * size * element, head_bytes = kv_head * size * element;
    for (int g = 0; g < group; g++) {
        memset(s.query[g] + size / W * W, 0, sizeof(vf));
        memcpy(s.query[g], query + (size_t)g * size, 4 * size);
        memset(s.acc[g], 0, mk_round_up(size, W) * 4);
        s.largest[g] = -INFINITY;
        s.sum[g] = 0;
    }
    size_t index = first / block, within = first % block;
    for (size_t p = first; p < length; p += POSITIONS) {
        size_t count = length - p < POSITIONS ? length - p : POSITIONS;
        for (size_t j = 0; j < count; j++) {
            size_t at = ((size_t)block_table[index] * block + within) * slot_bytes + head_bytes;
            s.keys[j] = (const char *)kv->keys + at;
            s.values[j] = (const char *)kv->values + at;
            if (++within == block) {
                within = 0;
                index++;
            }
        }
        // Positions that fill up the last vector are computed from the first and masked.
        for (size_t j = count; j % W; j++) s.keys[j] = s.keys[0];
        attend_scores(&s, type, size, group, count);
        attend_softmax(&s, size, group, count, scale, softcap);
        attend_values(&s, type, size, group, count);
    }
    for (int g = 0; g < group; g++) {
        float inverse = s.sum[g] == 0 ? 0 : 1.0f / s.sum[g];
        for (size_t i = 0; i < size; i += W) {
            vf v = load(s.acc[g] + i) * inverse;
            size_t n = size - i < W ? size - i : W;
            if (n == W) {
                store(out + (size_t)g * size + i, v);
            } else {
                store_part(out + (size_t)g * size + i, v, n);
            }
        }
    }
}

// Loops over the common head sizes are unrolled.
INLINE void attend_type(const mk_kv_layer *kv, int32_t type, const int32_t *block_table, size_t first, size_t length,
                        const float *query, int group, size_t kv_head, float scale, float softcap, float *out) {
    size_t size = (size_t)kv->head_size;
    if (size == 64) {
        attend(kv, type, block_table, first, length, query, group, 64, kv_head, scale, softcap, out);
    } else if (size == 128) {
        attend(kv, type, block_table, first, length, query, group, 128, kv_head, scale, softcap, out);
    } else {
        attend(kv, type, block_table, first, length, query, group, size, kv_head, scale, softcap, out);
    }
}

#define ATTEND_FUNCTION(NAME, TYPE)                                                                                    \
    static void NAME(const mk_kv_layer *kv, const int32_t *block_table, size_t first, size_t length,                  \
                     const float *query, size_t group, size_t kv_head, float scale, float softcap, float *out) {       \
        switch (group) {                                                                                               \
        case 1: attend_type(kv, TYPE, block_table, first, length, query, 1, kv_head, scale, softcap, out); break;      \
        case 2: attend_type(kv, TYPE, block_table, first, length, query, 2, kv_head, scale, softcap, out); break;      \
        case 3: attend_type(kv, TYPE, block_table, first, length, query, 3, kv_head, scale, softcap, out); break;      \
        default: attend_type(kv, TYPE, block_table, first, length, query, 4, kv_head, scale, softcap, out); break;     \
        }                                                                                                              \
    }

ATTEND_FUNCTION(attend_f32, MK_F32)
ATTEND_FUNCTION(attend_f16, MK_F16)
ATTEND_FUNCTION(attend_bf16, MK_BF16)

static void attention(const mk_kv_layer *kv, const int32_t *block_table, size_t first, size_t length,
                      const float *query, size_t heads, size_t head_begin, size_t head_end, float scale, float softcap,
                      float *out) {
    size_t size = (size_t)kv->head_size, shared = heads / (size_t)kv->kv_heads;
    if (size > MAX_HEAD) return;
    for (size_t h = head_begin; h < head_end;) {
        size_t kv_head = h / shared, count = (kv_head + 1) * shared - h;
        if (count > head_end - h) count = head_end - h;
        if (count > GROUP) count = GROUP;
        const float *q = query + h * size;
        float *o = out + h * size;
        if (kv->type == MK_F32) {
            attend_f32(kv, block_table, first, length, q, count, kv_head, scale, softcap, o);
        } else if (kv->type == MK_F16) {
            attend_f16(kv, block_table, first, length, q, count, kv_head, scale, softcap, o);
        } else {
            attend_bf16(kv, block_table, first, length, q, count, kv_head, scale, softcap, o);
        }
        h += count;
    }
}
