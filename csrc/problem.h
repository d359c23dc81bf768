// What a caller asks for, in plain values: the points, the pairwise terms, the unary scores. Shared by every
// back end; knows no Python. N points, D feature dimensions, L labels, C channels.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

namespace densecrf {

// Exponents and messages are in units of log2 inside, so that a soft-max is a power of two.
constexpr float kLog2e = 1.442695041f;
constexpr float kLn2 = 0.6931471806f;

// The points: a grid in row-major order. shape holds the slowest axis first, e.g. {height, width}.
struct Grid {
    std::vector<int64_t> shape;

    // Throws std::invalid_argument where a size is none: every loop over points relies on this number.
    int64_t points() const {
        int64_t n = 1;
        for (int64_t s : shape) {
            if (s < 1 || n > INT64_MAX / s)
                throw std::invalid_argument("a grid has sizes of at least 1, and fewer than 2^63 points");
            n *= s;
        }
        return n;
    }
};

enum class ChannelType { kUint8, kFloat32 };

// The picture: channel c of point i lies at data[i * point_stride + c * channel_stride]; in a batch, the pictures
// lie picture_stride apart.
struct Channels {
    const void* data = nullptr;
    ChannelType type = ChannelType::kFloat32;
    int count = 0;               // C
    int64_t point_stride = 0;    // in elements
    int64_t channel_stride = 0;  // in elements
    int64_t picture_stride = 0;  // in elements
};

enum class Normalization { kNone, kBefore, kAfter, kSymmetric };

// What label l at a point gains from the mass of label m around it: the weight of the identity (Potts), of a
// diagonal, or a whole matrix. Positive attracts.
struct Compatibility {
    enum class Kind { kPotts, kDiagonal, kMatrix };
    Kind kind = Kind::kPotts;
    std::vector<float> values;  // [1], [L] or [L, L]
};

// One pairwise term. Its features are position / position_sigma (fastest grid axis first: x, y, ...), then
// channel / channel_sigma. Either list may be empty; a term without channels does not look at the picture.
struct Term {
    std::vector<float> position_sigma;
    std::vector<float> channel_sigma;
    Channels channels;  // only read while the lattice is built
    Normalization normalization = Normalization::kSymmetric;
    Compatibility compatibility;

    int dims() const { return static_cast<int>(position_sigma.size() + channel_sigma.size()); }
};

enum class Scores { kProbabilities, kLogits, kEnergies };

// The unary side. scores [L, N], label-major; U = -log(max(score, clip)), U = -score or U = score.
struct Unary {
    const float* scores = nullptr;
    int labels = 0;  // L
    Scores kind = Scores::kProbabilities;
    float clip = 1e-5f;  // smallest probability told apart from 0
};

// One look at scores, so that Python can say what is wrong with them.
struct Survey {
    float min, max;          // over the finite scores
    float sum_min, sum_max;  // of a point's scores over its labels
    int64_t not_finite;      // how many scores are NaN or infinite
};

struct Inference {
    int iterations = 10;
    const float* start = nullptr;  // [L, N], the marginals to start from; null for soft-max(-U)
    float damping = 0;             // share of the marginals before that an iteration keeps
    float label_tolerance = 0;     // labels below it everywhere are not filtered; 0 filters all
    float tolerance = 0;           // stop when no marginal moves by more; 0 runs every iteration

    // Throws std::invalid_argument where the number of iterations is none.
    void require_iterations() const {
        if (iterations < 0) throw std::invalid_argument("iterations must be at least 0");
    }
};

}  // namespace densecrf
