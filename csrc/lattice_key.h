// Lattice vertices as keys: the first `dims` coordinates packed into 64-bit words, wide enough for the features
// at hand. A step in the lattice is then an addition of words. The only copy, for host and device.
#pragma once

#include <cstdint>

#include "simplex.h"

namespace densecrf {

constexpr int kMaxKeyWords = kMaxDims / 2;  // fields have at most 32 bits

template <int kWords>
struct Key {
    uint64_t word[kWords];
};

template <int kWords>
DENSECRF_HD bool operator==(const Key<kWords>& a, const Key<kWords>& b) {
    uint64_t differ = 0;
    for (int w = 0; w < kWords; ++w) differ |= a.word[w] ^ b.word[w];
    return differ == 0;
}

template <int kWords>
DENSECRF_HD Key<kWords> operator+(Key<kWords> a, const Key<kWords>& b) {
    for (int w = 0; w < kWords; ++w) a.word[w] += b.word[w];
    return a;
}

template <int kWords>
DENSECRF_HD uint64_t hash(const Key<kWords>& key) {
    uint64_t h = 0;
    for (int w = 0; w < kWords; ++w) {
        h = (h ^ key.word[w]) * 0x9E3779B97F4A7C15ull;
        h ^= h >> 32;
    }
    return h;
}

// How coordinates become fields of a key. Every field has room for the largest coordinate, the vertices of its
// simplex and their neighbours, so no step ever carries into the next field.
struct KeyLayout {
    int dims;
    int words;
    int field_bits;
    int32_t bias;  // added to a coordinate to make its field non-negative

    int word_of(int i) const { return i / (64 / field_bits); }
    int shift_of(int i) const { return i % (64 / field_bits) * field_bits; }
};

inline KeyLayout key_layout(int dims, double elevated_bound) {
    // remainder 0 lies within one period of the point, its vertices and their neighbours within one more each.
    const int32_t bias = static_cast<int32_t>(std::ceil(elevated_bound)) + 4 * (dims + 1);
    int bits = 1;
    while ((int64_t{1} << bits) <= 2 * int64_t{bias}) ++bits;
    const int fields_per_word = 64 / bits;
    return {dims, (dims + fields_per_word - 1) / fields_per_word, bits, bias};
}

// The constants of lattice arithmetic for one layout.
template <int kWords>
struct KeySteps {
    Key<kWords> unit[kMaxDims + 1];  // 1 in coordinate i; zero for the last, which a key does not store
    Key<kWords> ones;                // 1 in every coordinate
    Key<kWords> up[kMaxDims + 1];    // to the next vertex along blur axis j: +1 everywhere, -dims in j
};

template <int kWords>
KeySteps<kWords> key_steps(const KeyLayout& layout) {
    KeySteps<kWords> steps = {};
    for (int i = 0; i < layout.dims; ++i) {
        steps.unit[i].word[layout.word_of(i)] = uint64_t{1} << layout.shift_of(i);
        steps.ones = steps.ones + steps.unit[i];
    }
    for (int j = 0; j <= layout.dims; ++j)
        for (int w = 0; w < kWords; ++w)
            steps.up[j].word[w] = steps.ones.word[w] - steps.unit[j].word[w] * uint64_t(layout.dims + 1);
    return steps;
}

// The key of vertex 0 of a simplex; remainder0(i) is its coordinate i.
template <int kWords, class Coordinates>
DENSECRF_HD Key<kWords> vertex0_key(const KeyLayout& layout, const KeySteps<kWords>& steps,
                                    const Coordinates& remainder0) {
    Key<kWords> key = {};
    for (int i = 0; i < layout.dims; ++i) {
        const auto field = static_cast<uint64_t>(remainder0(i) + layout.bias);
        for (int w = 0; w < kWords; ++w) key.word[w] += steps.unit[i].word[w] * field;
    }
    return key;
}

// Vertex r - 1 -> vertex r: +1 everywhere, and the axis of rank dims - r + 1 wraps by one period.
template <int kWords>
DENSECRF_HD Key<kWords> next_vertex_key(const KeySteps<kWords>& steps, const Key<kWords>& key, int wrapping_axis) {
    return key + steps.up[wrapping_axis];
}

}  // namespace densecrf
