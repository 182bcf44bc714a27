// The products of a group by way of sums of 16 bits: two unsigned × signed byte products fill a lane, and several such
// lanes are added before they are widened, as many as cannot overflow.
//
// The includer defines PAIRS(w, x): Σ of two byte products per lane of 16 bits, PAIR_SUMS(v): Σ of two such lanes per
// lane of 32 bits, and PAIR_VECTOR, the type of lanes of 16 bits.

// How many products of bytes of so many bits fit: 2 · 128 · (2ᵇⁱᵗˢ - 1) each, of 32767.
INLINE int short_steps(int bits) { return bits <= 4 ? 8 : bits == 5 ? 4 : 2; }

INLINE void group_dots(SHAPE f, int panels, int tokens, const uint8_t *const *elements, const mk_packed *x, size_t b,
                       int part, vi *high, vi *low) {
    int steps = f.group / 4;
    // Wide bytes go by nibbles.
    int most = is_wide(f) ? 8 : short_steps(f.bits), stride = steps < most ? steps : most;
#pragma clang loop unroll(full)
    for (int first = part * steps; first < (part + 1) * steps; first += stride) {
#pragma clang loop unroll(full)
        for (int i = 0; i < panels; i++) {
            const uint8_t *p = elements[i] + b * elements_bytes(f.bits);
            PAIR_VECTOR sums[2 * TOKENS], upper[2 * TOKENS];
#pragma clang loop unroll(full)
            for (int t = 0; t < 2 * tokens; t++) sums[t] = upper[t] = (PAIR_VECTOR)0;
#pragma clang loop unroll(full)
            for (int k = first; k < first + stride; k++) {
                vi w = elements_at(p, k, f.bits, f.code), w_low = is_wide(f) ? nibbles_low(w) : w;
#pragma clang loop unroll(full)
                for (int t = 0; t < 2 * tokens; t++) {
                    vi a = broadcast_at(x[t / 2].q + b * 64 + t % 2 * 32 + 4 * k);
                    sums[t] += PAIRS(w_low, a);
                    if (is_wide(f)) upper[t] += PAIRS(nibbles_high(w), a);
                }
            }
#pragma clang loop unroll(full)
            for (int t = 0; t < 2 * tokens; t++) {
                vi sum = PAIR_SUMS(sums[t]);
                if (is_wide(f)) sum += PAIR_SUMS(upper[t]) << 4;
                vi *to = (t % 2 ? low : high) + t / 2 * panels + i;
                *to += sum;
            }
        }
    }
}
