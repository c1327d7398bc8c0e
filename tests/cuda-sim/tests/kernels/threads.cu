// Reductions as burn's kernels make them: over a warp with shuffles, over a block through shared memory.
extern "C" __global__ void row_sums(const float *in, float *out, unsigned columns) {
    extern __shared__ float parts[];
    float sum = 0.0f;
    for (unsigned c = threadIdx.x; c < columns; c += blockDim.x) sum += in[blockIdx.x * columns + c];
    for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(__activemask(), sum, offset);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        float all = 0.0f;
        for (unsigned w = 0; w < blockDim.x / 32; w++) all += parts[w];
        out[blockIdx.x] = all;
    }
}

struct shape {
    unsigned long long rows, columns;
    unsigned strides[6];
};

// Transposes with a tile in shared memory; the shape comes as a parameter by value.
extern "C" __global__ void transpose(const float *in, float *out, const __grid_constant__ shape s) {
    __shared__ float tile[32][33];
    unsigned x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
    for (unsigned j = 0; j < 32; j += 8)
        if (x < s.columns && y + j < s.rows) tile[threadIdx.y + j][threadIdx.x] = in[(y + j) * s.columns + x * s.strides[x % 6]];
    __syncthreads();
    x = blockIdx.y * 32 + threadIdx.x;
    y = blockIdx.x * 32 + threadIdx.y;
    for (unsigned j = 0; j < 32; j += 8)
        if (x < s.rows && y + j < s.columns) out[(y + j) * s.rows + x] = tile[threadIdx.x][threadIdx.y + j];
}

extern "C" __global__ void histogram(const unsigned *in, unsigned *out, float *sum, unsigned n) {
    __shared__ unsigned counts[16];
    if (threadIdx.x < 16) counts[threadIdx.x] = 0;
    __syncthreads();
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        atomicAdd(&counts[in[i] % 16], 1u);
        atomicAdd(sum, (float)(in[i] % 4));
    }
    __syncthreads();
    if (threadIdx.x < 16) atomicAdd(&out[threadIdx.x], counts[threadIdx.x]);
}

// Reads three of every four words, of which only these were written: NVRTC loads all four and says which count.
extern "C" __global__ void three_of_four(const float *in, float *out) {
    __shared__ alignas(16) float words[1024];
    for (unsigned i = threadIdx.x; i < 1024; i += blockDim.x)
        if (i % 4 != 3) words[i] = in[i];
    __syncthreads();
    float sum = 0.0f;
    for (unsigned i = 0; i < 4; i++) {
        unsigned at = (threadIdx.x * 4 + i) % 256 * 4;
        sum += words[at] + words[at + 1] * words[at + 2];
    }
    out[threadIdx.x] = sum;
}
