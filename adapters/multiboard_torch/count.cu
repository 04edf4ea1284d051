// Counts all tensors of a capture in one launch: buckets, special values and moments, each value read once.
//
// Every block takes CHUNK values of one row, counts them in shared memory and adds its counts to the row's. Counts are integers,
// so the order does not matter; the moments of the blocks are joined in a fixed order by the second kernel.
//
// The scheme is that of multiboard/buckets.py, which gives the constants: BUCKETS, SPECIALS, SIDE, MANTISSAS, FIRST_FIELD,
// END_FIELD, ZERO, NAN_SLOT, POS_INF, NEG_INF, and the sizes CHUNK, THREADS and WARP.

struct Row {
    const void* values;    // float, bfloat16 or float16
    const void* subtract;  // of the same kind and size, or null: what is counted is the difference
    long long size;
    long long kind;         // 0 float, 1 bfloat16, 2 float16
    long long first_block;  // ascending
};

enum { SLOTS = BUCKETS + SPECIALS };

struct Moments {
    float sum, squares, smallest, largest;
};

__device__ float infinity() { return __int_as_float(0x7f800000); }

struct Float {
    typedef float Stored;
    static __device__ float value(float stored) { return stored; }
};

struct BFloat16 {
    typedef unsigned short Stored;
    static __device__ float value(unsigned short stored) { return __uint_as_float(static_cast<unsigned>(stored) << 16); }
};

struct Float16 {
    typedef unsigned short Stored;
    static __device__ float value(unsigned short stored) {
        float wide;
        asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(stored));
        return wide;
    }
};

__device__ int slot_of(unsigned bits) {
    const int field = (bits >> 23) & 255, mantissa = (bits >> 20) & (MANTISSAS - 1), side = bits >> 31 ? SIDE : 0;
    if (field == 0) return BUCKETS + ZERO;
    if (field == 255) return BUCKETS + (mantissa ? NAN_SLOT : side ? NEG_INF : POS_INF);
    if (field < FIRST_FIELD) return side;
    if (field >= END_FIELD) return side + SIDE - 1;
    return side + (field - FIRST_FIELD) * MANTISSAS + mantissa;
}

__device__ void add(float value, int* counts, Moments& moments) {
    const unsigned bits = __float_as_uint(value);
    atomicAdd(&counts[slot_of(bits)], 1);
    if (((bits >> 23) & 255) == 255) return;
    moments.sum += value;
    moments.squares += value * value;
    moments.smallest = fminf(moments.smallest, value);
    moments.largest = fmaxf(moments.largest, value);
}

template <typename Kind>
__device__ void add_all(const Row& row, long long start, int size, int* counts, Moments& moments) {
    typedef typename Kind::Stored Stored;
    enum { WIDTH = 16 / sizeof(Stored) };
    struct alignas(16) Wide {
        Stored parts[WIDTH];
    };
    const Stored* values = static_cast<const Stored*>(row.values) + start;
    const Stored* subtract = row.subtract ? static_cast<const Stored*>(row.subtract) + start : nullptr;
    const bool aligned = (reinterpret_cast<unsigned long long>(values) | reinterpret_cast<unsigned long long>(subtract)) % 16 == 0;
    const int wide = aligned ? size / WIDTH : 0;
    for (int i = threadIdx.x; i < wide; i += THREADS) {
        const Wide from = reinterpret_cast<const Wide*>(values)[i];
        Wide less = {};
        if (subtract) less = reinterpret_cast<const Wide*>(subtract)[i];
#pragma unroll
        for (int part = 0; part < WIDTH; part++) {
            const float value = Kind::value(from.parts[part]);
            add(subtract ? value - Kind::value(less.parts[part]) : value, counts, moments);
        }
    }
    for (int i = wide * WIDTH + threadIdx.x; i < size; i += THREADS) {
        const float value = Kind::value(values[i]);
        add(subtract ? value - Kind::value(subtract[i]) : value, counts, moments);
    }
}

__device__ Moments joined(Moments a, const Moments& b) {
    a.sum += b.sum;
    a.squares += b.squares;
    a.smallest = fminf(a.smallest, b.smallest);
    a.largest = fmaxf(a.largest, b.largest);
    return a;
}

__device__ int row_of_block(const Row* rows, int n_rows) {
    int row = 0, end = n_rows;  // the last row that begins at this block or before: empty ones before it begin there, too
    while (end - row > 1) {
        const int middle = (row + end) / 2;
        if (rows[middle].first_block <= blockIdx.x) row = middle;
        else end = middle;
    }
    return row;
}

__device__ void count_block(const Row& row, int* total, Moments* parts) {
    __shared__ int counts[SLOTS];
    __shared__ Moments found[THREADS];
    for (int slot = threadIdx.x; slot < SLOTS; slot += THREADS) counts[slot] = 0;
    const long long start = (blockIdx.x - row.first_block) * CHUNK;
    const int size = static_cast<int>(row.size - start < CHUNK ? row.size - start : CHUNK);
    Moments moments = {0, 0, infinity(), -infinity()};
    __syncthreads();
    if (row.kind == 0) add_all<Float>(row, start, size, counts, moments);
    else if (row.kind == 1) add_all<BFloat16>(row, start, size, counts, moments);
    else add_all<Float16>(row, start, size, counts, moments);
    found[threadIdx.x] = moments;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) found[threadIdx.x] = joined(found[threadIdx.x], found[threadIdx.x + half]);
    }
    __syncthreads();
    if (threadIdx.x == 0) parts[blockIdx.x] = found[0];
    for (int slot = threadIdx.x; slot < SLOTS; slot += THREADS)
        if (counts[slot]) atomicAdd(&total[slot], counts[slot]);
}

__device__ void join_blocks(const Row& row, const Moments* parts, Moments* moments) {
    const long long blocks = (row.size + CHUNK - 1) / CHUNK;
    double sum = 0, squares = 0;
    float smallest = infinity(), largest = -infinity();
    for (long long block = threadIdx.x; block < blocks; block += WARP) {
        const Moments part = parts[row.first_block + block];
        sum += part.sum;
        squares += part.squares;
        smallest = fminf(smallest, part.smallest);
        largest = fmaxf(largest, part.largest);
    }
    for (int half = WARP / 2; half > 0; half /= 2) {
        sum += __shfl_down_sync(0xffffffffu, sum, half);
        squares += __shfl_down_sync(0xffffffffu, squares, half);
        smallest = fminf(smallest, __shfl_down_sync(0xffffffffu, smallest, half));
        largest = fmaxf(largest, __shfl_down_sync(0xffffffffu, largest, half));
    }
    if (threadIdx.x == 0) {
        const Moments found = {static_cast<float>(sum), static_cast<float>(squares), smallest, largest};
        *moments = joined(*moments, found);
    }
}

extern "C" __global__ void count(const Row* rows, int n_rows, int* table, Moments* parts) {
    const int index = row_of_block(rows, n_rows);
    count_block(rows[index], table + static_cast<long long>(index) * SLOTS, parts);
}

extern "C" __global__ void join(const Row* rows, const Moments* parts, Moments* moments) {
    join_blocks(rows[blockIdx.x], parts, moments + blockIdx.x);
}

// The same for one row, which needs no memory for its description.

extern "C" __global__ void count_one(const void* values, const void* subtract, long long size, long long kind, int* table,
                                     Moments* parts) {
    count_block({values, subtract, size, kind, 0}, table, parts);
}

extern "C" __global__ void join_one(long long size, const Moments* parts, Moments* moments) {
    join_blocks({nullptr, nullptr, size, 0, 0}, parts, moments);
}
