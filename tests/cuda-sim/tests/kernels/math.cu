// Functions of one value, as burn's element-wise kernels call them: each thread computes all of them.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

extern "C" __global__ void floats(const float *in, float *out, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float x = in[i], y = in[(i + 1) % n];
    float *o = out + i * 32;
    o[0] = expf(x);
    o[1] = logf(fabsf(x) + 1e-3f);
    o[2] = powf(fabsf(x), y);
    o[3] = tanhf(x);
    o[4] = sinf(x * 100.0f);
    o[5] = cosf(x * 1e6f);
    o[6] = erff(x);
    o[7] = sqrtf(fabsf(x));
    o[8] = rsqrtf(fabsf(x) + 0.5f);
    o[9] = floorf(x);
    o[10] = ceilf(x);
    o[11] = roundf(x);
    o[12] = truncf(x);
    o[13] = fmodf(x, 0.7f);
    o[14] = x / y;
    o[15] = 1.0f / x;
    o[16] = fmaxf(x, y);
    o[17] = fminf(x, y);
    o[18] = log1pf(fabsf(x));
    o[19] = rintf(x);
    o[20] = __powf(fabsf(x), 0.5f);
    o[21] = __fdividef(x, y);
    o[22] = isnan(x) ? 1.0f : 0.0f;
    o[23] = (float)(int)x;
    o[24] = (float)(unsigned char)fabsf(x);
    o[25] = fmaf(x, y, 1.0f);
    o[26] = sqrtf(x * x + y * y);
    o[27] = atan2f(x, y);
    o[28] = (float)exp((double)x);
    o[29] = exp2f(x);
    o[30] = tanf(x);
    o[31] = copysignf(2.0f, x);
}

extern "C" __global__ void halves(const float *in, float *out, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    __half x = __float2half_rn(in[i]), y = __float2half_rn(in[(i + 1) % n]);
    __nv_bfloat16 u = __float2bfloat16(in[i]), v = __float2bfloat16(in[(i + 1) % n]);
    __half2 two = __halves2half2(x, y);
    float *o = out + i * 32;
    o[0] = __half2float(x + y);
    o[1] = __half2float(x * y);
    o[2] = __half2float(x - y);
    o[3] = __half2float(hexp(x));
    o[4] = __half2float(__hmax(x, y));
    o[5] = __half2float(__hmin(x, y));
    o[6] = __half2float(hsqrt(__habs(x)));
    o[7] = __half2float(__hfma(x, y, x));
    o[8] = __bfloat162float(u + v);
    o[9] = __bfloat162float(u * v);
    o[10] = __bfloat162float(u - v);
    o[11] = __bfloat162float(hexp(u));
    o[12] = __low2float(two * two);
    o[13] = __high2float(two + two);
    o[14] = x < y ? 1.0f : 0.0f;
    o[15] = __half2float(x / (y + __float2half_rn(3.0f)));
    o[16] = (float)(int)__half2int_rn(x);
    o[17] = __half2float(__int2half_rn((int)i));
    o[18] = __bfloat162float(v / (__habs(u) + __float2bfloat16(1.0f)));
    o[19] = __half2float(htanh(x));
}

extern "C" __global__ void integers(const unsigned *in, unsigned *out, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned x = in[i], y = in[(i + 1) % n];
    int a = (int)x, b = (int)y;
    unsigned *o = out + i * 32;
    o[0] = x / (y | 1);
    o[1] = x % (y | 1);
    o[2] = (unsigned)(a / (b | 1));
    o[3] = (unsigned)(a % (b | 1));
    o[4] = __umulhi(x, y);
    o[5] = (unsigned)__mulhi(a, b);
    o[6] = __clz(x);
    o[7] = __ffs(x);
    o[8] = __popc(x);
    o[9] = __brev(x);
    o[10] = __dp4a(a, b, 7);
    o[11] = (unsigned)(((unsigned long long)x * y) >> 17);
    o[12] = (unsigned)(((unsigned long long)x << 20 | y) / 1000003ull);
    o[13] = (unsigned)(((long long)a * b) % 1000003ll);
    o[14] = __funnelshift_l(x, y, 9);
    o[15] = __byte_perm(x, y, 0x4176);
    o[16] = x >> (y & 31);
    o[17] = (unsigned)(a >> (y & 31));
    o[18] = (unsigned)(signed char)x;
    o[19] = (unsigned)(short)y;
    o[20] = (unsigned)max(a, b);
    o[21] = min(x, y);
    o[22] = (unsigned)abs(a);
    o[23] = x & ~y ^ 0x55u;
    o[24] = __clzll(((unsigned long long)x << 13) | y);
    o[25] = (x / 7u) * 7u + x % 7u;
    switch (x % 6) {
    case 0: o[26] = 11; break;
    case 1: o[26] = y * 3; break;
    case 2: o[26] = x ^ y; break;
    case 3: o[26] = 77; break;
    case 4: o[26] = x + y; break;
    default: o[26] = 5;
    }
    unsigned local[8];
    for (int j = 0; j < 8; j++) local[j] = x * (j + 1);
    o[27] = local[y % 8];
    unsigned char bytes[4] = {(unsigned char)x, (unsigned char)y, 3, 4};
    o[28] = bytes[y % 4];
}
