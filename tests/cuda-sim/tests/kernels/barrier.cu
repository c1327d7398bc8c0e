// Copies to shared memory that a cuda::barrier counts: on sm_90 in bulk, on sm_80 by cp.async, before that by loads and stores.
#include <cuda/barrier>

extern "C" __global__ void stages(const float *in, float *out) {
    __shared__ cuda::barrier<cuda::thread_scope_block> barrier;
    __shared__ alignas(16) float stage[256];
    if (threadIdx.x == 0) init(&barrier, blockDim.x);
    __syncthreads();
    float sum[4] = {};
    for (int at = 0; at < 4; at++) {
        cuda::memcpy_async(stage + threadIdx.x * 4, in + at * 256 + threadIdx.x * 4, cuda::aligned_size_t<16>(16), barrier);
        barrier.arrive_and_wait();
        for (int j = 0; j < 4; j++) sum[j] += stage[(threadIdx.x * 4 + j + 5) % 256];
        __syncthreads();
    }
    for (int j = 0; j < 4; j++) out[threadIdx.x * 4 + j] = sum[j];
}
