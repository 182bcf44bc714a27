// The table of the instruction set that the includer compiles for.
const mk_kernels TABLE = {
    .isa = TABLE_ISA,
    .activation_bytes = mk_activation_bytes,
    .pack_activations = pack_activations,
    .matmul = matmul,
    .matmul_exact = matmul_exact,
    .rms_norm = rms_norm,
    .silu_mul = silu_mul,
    .gelu_mul = gelu_mul,
    .rope = rope,
    .store_row = store_row,
    .attention = attention,
    .argmax = argmax,
    .max = maximum,
    .exp_sum = exp_sum,
};
