// Compiled without fused multiply-adds, as cpu/embed.cpp is: the same simplices on every machine.
#include <algorithm>

#include "embed.h"
#include "launch.h"

namespace densecrf::cuda {
namespace {

constexpr int kWordBits = 64;

// A term's features at a point (Krähenbühl & Koltun 2011, section 2), made where they are needed.
struct FeatureSource {
    int positions, channels;
    int64_t size[kMaxDims];     // of the grid's axes, fastest first
    float sigma[kMaxDims];      // of positions, then channels
    float bound[kMaxDims];      // of |channel|: what is promised for valid pictures, and kept for others
    float scale[kMaxDims + 1];  // simplex_scale
    Channels picture;
    const SurveyBits* range;

    DENSECRF_DEVICE float channel(int picture_number, int64_t point, int c) const {
        const int64_t at =
            picture_number * picture.picture_stride + point * picture.point_stride + c * picture.channel_stride;
        float value = picture.type == ChannelType::kUint8
                          ? static_cast<float>(static_cast<const uint8_t*>(picture.data)[at])
                          : static_cast<const float*>(picture.data)[at];
        if (range && disordered(range[picture_number].max) <= 1.0f) value *= 255.0f;
        return fminf(fmaxf(value, -bound[c]), bound[c]);  // and NaN to -bound
    }

    DENSECRF_DEVICE float feature(int picture_number, int64_t point, int64_t& left, int j) const {
        if (j >= positions) return channel(picture_number, point, j - positions) / sigma[j];
        const int64_t at = left % size[j];
        left /= size[j];
        return static_cast<float>(at) / sigma[j];
    }
};

// What does not fit into the arguments of a kernel for many dimensions.
struct Plan {
    FeatureSource source;
    KeyLayout layout;
    int words, picture_shift;
    KeySteps<1> steps[kMaxKeyWords + 1];  // of each word: words do not carry into each other
};

// kDims = 0 for any number of dimensions; those of the usual terms are unrolled.
template <int kDims>
struct EmbedPoint {
    const Plan* plan;
    int any_dims;
    int64_t points, corners;  // N; of all pictures together
    uint64_t* key;
    CornerPlace place;

    DENSECRF_DEVICE void operator()(int picture, int64_t point) const {
        constexpr int kCapacity = kDims ? kDims + 1 : kMaxDims + 1;
        const int dims = kDims ? kDims : any_dims;
        float features[kCapacity];
        int64_t left = point;
        for (int j = 0; j < dims; ++j) features[j] = plan->source.feature(picture, point, left, j);
        Simplex<OneLane, kCapacity> simplex;
        find_simplex<OneLane>(dims, plan->source.scale, features, simplex);

        const int64_t index = picture * points + point;
        Corner* corner = place.corner + index * place.stride + place.first;
        for (int r = 0; r <= dims; ++r) corner[r].weight = simplex.barycentric[r];
        for (int w = 0; w < plan->words; ++w) {
            Key<1> one = vertex0_key(plan->layout, plan->steps[w], [&](int i) { return simplex.remainder0[i]; });
            if (w == plan->words - 1) one.word[0] += static_cast<uint64_t>(picture) << plan->picture_shift;
            uint64_t* out = key + w * corners + index * (dims + 1);
            out[0] = one.word[0];
            for (int r = 1; r <= dims; ++r) {
                one = next_vertex_key(plan->steps[w], one, simplex.axis_at[dims - r + 1]);
                out[r] = one.word[0];
            }
        }
    }
};

FeatureSource feature_source(const Grid& grid, const DeviceTerm& term) {
    FeatureSource source = {};
    source.positions = static_cast<int>(term.term.position_sigma.size());
    source.channels = static_cast<int>(term.term.channel_sigma.size());
    for (int j = 0; j < source.positions; ++j) {
        source.size[j] = grid.shape[grid.shape.size() - 1 - j];
        source.sigma[j] = term.term.position_sigma[j];
    }
    for (int c = 0; c < source.channels; ++c) {
        source.sigma[source.positions + c] = term.term.channel_sigma[c];
        source.bound[c] = static_cast<float>(term.channel_bound[c]);
    }
    for (int j = 0; j < term.term.dims(); ++j) source.scale[j] = simplex_scale(term.term.dims(), j);
    source.picture = term.term.channels;
    source.range = term.range;
    return source;
}

// The steps of one word of keys that have several.
KeySteps<1> steps_of_word(const KeySteps<kMaxKeyWords + 1>& all, int dims, int word) {
    KeySteps<1> steps = {};
    steps.ones.word[0] = all.ones.word[word];
    for (int i = 0; i <= dims; ++i) {
        steps.unit[i].word[0] = all.unit[i].word[word];
        steps.up[i].word[0] = all.up[i].word[word];
    }
    return steps;
}

int bits_for(int count) {
    int bits = 0;
    while ((int64_t{1} << bits) < count) ++bits;
    return bits;
}

}  // namespace

BatchKeys batch_keys(const Grid& grid, int pictures, const DeviceTerm& term) {
    double max_abs[kMaxDims];
    int j = 0;
    for (const float sigma : term.term.position_sigma) {
        max_abs[j] = static_cast<double>(grid.shape[grid.shape.size() - 1 - j] - 1) / sigma;
        ++j;
    }
    for (size_t c = 0; c < term.term.channel_sigma.size(); ++c)
        max_abs[j++] = term.channel_bound[c] / term.term.channel_sigma[c];
    const double bound = elevated_bound(term.term.dims(), max_abs);
    if (!(bound <= kMaxElevated))
        throw std::domain_error("a sigma is too small for this picture: features lie up to " +
                                std::to_string(bound) + " lattice steps apart, and " +
                                std::to_string(kMaxElevated) + " can be told apart");
    BatchKeys keys{key_layout(term.term.dims(), bound), 0, 0, 0};
    const int fields = kWordBits / keys.layout.field_bits;  // in a full word
    const int used = (keys.layout.dims - (keys.layout.words - 1) * fields) * keys.layout.field_bits;
    const int number = bits_for(pictures);
    const bool fits = used + number <= kWordBits;
    keys.words = keys.layout.words + (fits ? 0 : 1);
    keys.picture_shift = number == 0 || !fits ? 0 : used;
    keys.last_bits = fits ? used + number : number;
    return keys;
}

void embed(const Context& context, const Grid& grid, int pictures, const DeviceTerm& term, const BatchKeys& keys,
           uint64_t* key, CornerPlace place) {
    std::vector<Plan> plan(1);
    plan[0] = {feature_source(grid, term), keys.layout, keys.words, keys.picture_shift, {}};
    const auto all = key_steps<kMaxKeyWords + 1>(keys.layout);
    for (int w = 0; w < keys.words; ++w) plan[0].steps[w] = steps_of_word(all, keys.layout.dims, w);
    const Array<Plan> on_device = uploaded(context, plan);
    const int dims = keys.layout.dims;
    const int64_t points = grid.points(), corners = pictures * points * (dims + 1);
    const auto run = [&](auto body) {
        for_each(context, pictures, points, decltype(body){on_device.data(), dims, points, corners, key, place});
    };
    if (dims == 2) return run(EmbedPoint<2>{});
    if (dims == 3) return run(EmbedPoint<3>{});
    if (dims == 5) return run(EmbedPoint<5>{});
    run(EmbedPoint<0>{});
}

}  // namespace densecrf::cuda
