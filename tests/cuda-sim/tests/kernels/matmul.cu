// Products of matrices on matrix units: through wmma, and through mma.sync with ldmatrix and cp.async.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>
using namespace nvcuda;

// One warp makes a tile of 16 x 16; a is [m, k], b is [k, n], both by rows, staged in shared memory.
extern "C" __global__ void through_wmma(const __half *a, const __half *b, float *c, unsigned n, unsigned k) {
    __shared__ __align__(32) __half left[256], right[256];
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
    wmma::fill_fragment(sum, 0.0f);
    for (unsigned at = 0; at < k; at += 16) {
        for (unsigned i = threadIdx.x; i < 256; i += 32) {
            left[i] = a[(blockIdx.y * 16 + i / 16) * k + at + i % 16];
            right[i] = b[(at + i / 16) * n + blockIdx.x * 16 + i % 16];
        }
        __syncwarp();
        wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> x;
        wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::row_major> y;
        wmma::load_matrix_sync(x, left, 16);
        wmma::load_matrix_sync(y, right, 16);
        wmma::mma_sync(sum, x, y, sum);
        __syncwarp();
    }
    for (int i = 0; i < sum.num_elements; i++) sum.x[i] = sum.x[i] * 2.0f;
    wmma::store_matrix_sync(c + blockIdx.y * 16 * n + blockIdx.x * 16, sum, n, wmma::mem_row_major);
}

#if __CUDA_ARCH__ >= 800
extern "C" __global__ void through_tf32(const float *a, const float *b, float *c, unsigned n, unsigned k) {
    wmma::fragment<wmma::accumulator, 16, 16, 8, float> sum;
    wmma::fill_fragment(sum, 0.0f);
    for (unsigned at = 0; at < k; at += 8) {
        wmma::fragment<wmma::matrix_a, 16, 16, 8, wmma::precision::tf32, wmma::row_major> x;
        wmma::fragment<wmma::matrix_b, 16, 16, 8, wmma::precision::tf32, wmma::row_major> y;
        wmma::load_matrix_sync(x, a + blockIdx.y * 16 * k + at, k);
        wmma::load_matrix_sync(y, b + at * n + blockIdx.x * 16, n);
        for (int i = 0; i < x.num_elements; i++) x.x[i] = wmma::__float_to_tf32(x.x[i]);
        for (int i = 0; i < y.num_elements; i++) y.x[i] = wmma::__float_to_tf32(y.x[i]);
        wmma::mma_sync(sum, x, y, sum);
    }
    wmma::store_matrix_sync(c + blockIdx.y * 16 * n + blockIdx.x * 16, sum, n, wmma::mem_row_major);
}

// Four warps make a tile of 64 x 64 in steps of 16, two stages in flight; a is [m, k], b is [n, k], both by rows.
extern "C" __global__ void __launch_bounds__(128) through_mma(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c, unsigned n, unsigned k) {
    __shared__ __align__(16) __nv_bfloat16 left[2][64 * 24], right[2][64 * 24];
    unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    float sum[8][4] = {};
    auto copy = [&](unsigned stage, unsigned at) {
        unsigned row = threadIdx.x / 2, part = threadIdx.x % 2 * 8;
        unsigned to = (unsigned)__cvta_generic_to_shared(&left[stage][row * 24 + part]);
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(a + (blockIdx.y * 64 + row) * k + at + part));
        to = (unsigned)__cvta_generic_to_shared(&right[stage][row * 24 + part]);
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(b + (blockIdx.x * 64 + row) * k + at + part));
        asm volatile("cp.async.commit_group;");
    };
    copy(0, 0);
    for (unsigned at = 0, stage = 0; at < k; at += 16, stage ^= 1) {
        if (at + 16 < k) {
            copy(stage ^ 1, at + 16);
            asm volatile("cp.async.wait_group 1;" ::: "memory");
        } else {
            asm volatile("cp.async.wait_group 0;" ::: "memory");
        }
        __syncthreads();
        unsigned x[4];
        unsigned from = (unsigned)__cvta_generic_to_shared(&left[stage][(warp * 16 + lane % 16) * 24 + lane / 16 * 8]);
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(from));
        for (int tile = 0; tile < 8; tile++) {
            unsigned y[2];
            from = (unsigned)__cvta_generic_to_shared(&right[stage][(tile * 8 + lane % 8) * 24 + lane / 8 % 2 * 8]);
            asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];" : "=r"(y[0]), "=r"(y[1]) : "r"(from));
            float *s = sum[tile];
            asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3]) : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]));
        }
#ifndef NO_LAST_BARRIER
        __syncthreads();
#endif
    }
    for (int tile = 0; tile < 8; tile++)
        for (int i = 0; i < 4; i++) {
            unsigned row = blockIdx.y * 64 + warp * 16 + lane / 4 + i / 2 * 8, column = blockIdx.x * 64 + tile * 8 + lane % 4 * 2 + i % 2;
            c[row * n + column] = sum[tile][i];
        }
}
#endif
