// What a caller may ask of the core, made of a fuzzer's bytes: what the bindings let through and more, in memory
// that ends where the sanitizer sees it. Shared by the CPU's target and that of the CUDA kernels' host twin.
#pragma once

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "../../csrc/problem.h"

namespace densecrf::fuzz {

using Bytes = FuzzedDataProvider;

inline void require(bool holds, const char* promise) {
    if (holds) return;
    std::fprintf(stderr, "broken promise: %s\n", promise);
    std::abort();
}

// Any float: any bits, those that programs stumble over, and, most often, a usual one.
inline float any_float(Bytes& bytes) {
    constexpr float kOdd[] = {0.0f,   -0.0f,   1e-45f, 1e-38f,  1e-30f,  1e-5f,    0.5f,          1.0f,
                              255.0f, 1048576, 1e30f,  3e38f,   -1.0f,   -3e38f,   INFINITY,      -INFINITY,
                              NAN,    1e-10f,  1e10f,  0x1p31f, 0x1p24f, -0x1p31f, 2147483648.0f, 1e20f};
    switch (bytes.ConsumeIntegralInRange(0, 7)) {
        case 0: {
            const auto bits = bytes.ConsumeIntegral<uint32_t>();
            float value;
            std::memcpy(&value, &bits, sizeof value);
            return value;
        }
        case 1:
            return bytes.PickValueInArray(kOdd);
        default:
            return static_cast<float>(bytes.ConsumeIntegral<int16_t>()) / 256;
    }
}

// A few floats, over and over, with a step that is coprime to most sizes.
inline std::vector<float> any_floats(Bytes& bytes, size_t count) {
    std::vector<float> pattern(bytes.ConsumeIntegralInRange<size_t>(1, 24));
    for (float& value : pattern) value = any_float(bytes);
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = pattern[(i * 7 + i / 13) % pattern.size()];
    return values;
}

inline bool all_finite(const std::vector<float>& values) {
    return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

// A term, and the memory that its channels lie in.
struct OwnedTerm {
    Term term;
    std::vector<uint8_t> bytes;
    std::vector<float> floats;
    double bound = 0;  // of a channel's absolute values
};

struct Problem {
    Grid grid;
    std::vector<OwnedTerm> owned;
    int labels = 1;
    bool sane = true;  // densecrf/_check would have let it through: answers must be distributions

    std::vector<Term> terms() const {
        std::vector<Term> all;
        for (const OwnedTerm& one : owned) all.push_back(one.term);
        return all;
    }
};

// Now and then a grid that is cut into partitions, which is what threads work on.
inline Grid any_grid(Bytes& bytes, bool large) {
    if (large)
        return {
            {bytes.ConsumeIntegralInRange<int64_t>(150, 170), bytes.ConsumeIntegralInRange<int64_t>(165, 200)}};
    Grid grid;
    int64_t room = 150;
    for (int axes = bytes.ConsumeIntegralInRange(1, 4); axes > 0; --axes) {
        grid.shape.push_back(bytes.ConsumeIntegralInRange<int64_t>(1, room));
        room /= grid.shape.back();
    }
    if (bytes.ConsumeIntegral<uint8_t>() == 0xBA) grid.shape.front() = bytes.ConsumeIntegral<int64_t>();
    return grid;
}

inline float any_sigma(Bytes& bytes, bool& sane) {
    const float sigma = std::fabs(any_float(bytes));
    sane &= sigma > 1e-30f && sigma < 1e30f;
    return sigma > 0 && std::isfinite(sigma) ? sigma : 1;  // the bindings let no others through
}

// Channels (N, C) of one of the layouts that NumPy's views have.
inline void add_channels(Bytes& bytes, int64_t points, int count, OwnedTerm& owned, bool& sane) {
    Channels& channels = owned.term.channels;
    channels.count = count;
    channels.type = bytes.ConsumeBool() ? ChannelType::kUint8 : ChannelType::kFloat32;
    const int64_t gap = bytes.ConsumeIntegralInRange<int64_t>(1, 3);
    const bool planar = bytes.ConsumeBool(), backwards = bytes.ConsumeBool();
    channels.point_stride = planar ? gap : gap * count;
    channels.channel_stride = planar ? gap * points : gap;
    const int64_t size = (points - 1) * channels.point_stride + (count - 1) * channels.channel_stride + 1;
    owned.floats = any_floats(bytes, size);
    const int64_t start = backwards ? size - 1 : 0;
    if (backwards) {
        channels.point_stride = -channels.point_stride;
        channels.channel_stride = -channels.channel_stride;
    }
    if (channels.type == ChannelType::kUint8) {
        owned.bytes.resize(size);
        for (int64_t i = 0; i < size; ++i) std::memcpy(&owned.bytes[i], &owned.floats[i], 1);
        channels.data = owned.bytes.data() + start;
        owned.bound = 255;
        return;
    }
    channels.data = owned.floats.data() + start;
    sane &= all_finite(owned.floats);
    for (const float value : owned.floats) owned.bound = std::fmax(owned.bound, std::fabs(value));
}

inline Compatibility any_compatibility(Bytes& bytes, int labels, bool& sane) {
    Compatibility compatibility;
    compatibility.kind = bytes.PickValueInArray({Compatibility::Kind::kPotts, Compatibility::Kind::kPotts,
                                                 Compatibility::Kind::kDiagonal, Compatibility::Kind::kMatrix});
    const bool is_potts = compatibility.kind == Compatibility::Kind::kPotts;
    const size_t side = compatibility.kind == Compatibility::Kind::kMatrix ? labels : 1;
    compatibility.values = any_floats(bytes, is_potts ? 1 : labels * side);
    for (const float value : compatibility.values) sane &= std::fabs(value) < 1e30f && (!is_potts || value >= 0);
    return compatibility;
}

inline Problem any_problem(Bytes& bytes, bool large, int most_dims) {
    Problem problem;
    problem.grid = any_grid(bytes, large);
    const int64_t points = problem.grid.points();
    if (points > 100000) throw std::domain_error("allowed, and too slow for a fuzzer");
    problem.labels = bytes.ConsumeIntegralInRange(1, large ? 3 : bytes.ConsumeIntegralInRange(0, 7) ? 9 : 70);
    problem.owned.resize(bytes.ConsumeIntegralInRange(0, large ? 1 : 2));
    for (OwnedTerm& owned : problem.owned) {
        Term& term = owned.term;
        const int positions = bytes.ConsumeIntegralInRange<int>(0, problem.grid.shape.size());
        const int most_channels = (large ? 4 : bytes.ConsumeIntegralInRange(0, 7) ? 5 : most_dims) - positions;
        const int channels = bytes.ConsumeIntegralInRange(positions == 0 ? 1 : 0, most_channels);
        for (int i = 0; i < positions; ++i) term.position_sigma.push_back(any_sigma(bytes, problem.sane));
        for (int i = 0; i < channels; ++i) term.channel_sigma.push_back(any_sigma(bytes, problem.sane));
        if (channels > 0) add_channels(bytes, points, channels, owned, problem.sane);
        term.normalization = bytes.PickValueInArray(
            {Normalization::kNone, Normalization::kBefore, Normalization::kAfter, Normalization::kSymmetric});
        term.compatibility = any_compatibility(bytes, problem.labels, problem.sane);
    }
    return problem;
}

// Planes [L, N] that sum to 1 at every point.
inline void normalise(std::vector<float>& planes, int labels) {
    const size_t points = planes.size() / labels;
    for (size_t i = 0; i < points; ++i) {
        double sum = 0;
        for (int l = 0; l < labels; ++l) {
            float& value = planes[l * points + i];
            value = std::isfinite(value) ? std::min(std::fabs(value), 1e30f) : 0.0f;
            sum += value;
        }
        for (int l = 0; l < labels; ++l) {
            float& value = planes[l * points + i];
            value = sum > 0 ? static_cast<float>(value / sum) : 1.0f / labels;
        }
    }
}

inline std::vector<float> any_scores(Bytes& bytes, int64_t points, int labels, Scores kind, bool& sane) {
    std::vector<float> scores = any_floats(bytes, points * labels);
    if (kind == Scores::kProbabilities && bytes.ConsumeIntegralInRange(0, 7) > 0)
        normalise(scores, labels);
    else
        sane &= kind != Scores::kProbabilities && all_finite(scores);
    return scores;
}

inline void require_distributions(const std::vector<float>& planes, int labels) {
    const size_t points = planes.size() / labels;
    for (size_t i = 0; i < points; ++i) {
        double sum = 0;
        for (int l = 0; l < labels; ++l) {
            const float value = planes[l * points + i];
            require(value >= 0 && value <= 1.0001f, "marginals lie in 0..1");
            sum += value;
        }
        require(std::fabs(sum - 1) < 1e-3, "marginals sum to 1");
    }
}

// A share in [0, 1), or anything.
inline float any_share(Bytes& bytes, bool& sane) {
    if (bytes.ConsumeBool()) return 0;
    const float share = bytes.ConsumeBool() ? bytes.ConsumeIntegral<uint8_t>() / 256.0f : any_float(bytes);
    sane &= share >= 0 && share < 1;
    return share;
}

inline Inference any_inference(Bytes& bytes, const float* start, bool& sane) {
    Inference inference;
    inference.iterations = bytes.ConsumeIntegralInRange(-1, 4);
    sane &= inference.iterations >= 0;
    inference.start = start;
    inference.damping = any_share(bytes, sane);
    inference.label_tolerance = any_share(bytes, sane);
    inference.tolerance = any_share(bytes, sane);
    return inference;
}

// What libFuzzer calls: a run ends well, or in an exception that says what was wrong with what it was given.
template <class Run>
int outcome(const uint8_t* data, size_t size, const Run& run) {
    Bytes bytes(data, size);
    try {
        run(bytes);
    } catch (const std::domain_error&) {      // a sigma too small for the picture
    } catch (const std::invalid_argument&) {  // a size or a number of iterations that is none
    }
    return 0;
}

}  // namespace densecrf::fuzz
