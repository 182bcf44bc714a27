// Loads from rows, and byte tables, with NEON.
#define LOAD_ROWS(p, stride, i) ((vi)vld1q_u8((p) + (i) * (stride)))
#define LOOK_UP(table, indices) ((vi)vqtbl1q_u8(vld1q_u8(table), (uint8x16_t)(indices)))
