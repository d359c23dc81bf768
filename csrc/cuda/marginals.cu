#include <algorithm>
#include <cfloat>

#include "marginals.h"

namespace densecrf::cuda {
namespace {

constexpr float kHuge = 1e30f;  // keeps differences of logits finite
constexpr int kWarp = 32;
constexpr int kSummed = 64;  // labels added up one after the other

// The points of a tile, and the threads that work on them: one for each part of each point, or thereabouts; a
// multiple of the points in any case.
struct TileShape {
    int points, threads;
    int stride;  // floats from point to point: odd, so that neighbours lie in different banks
    int64_t shared_bytes;
    bool fits;  // or the exponents of a single point are too many for a block's memory
};

TileShape tile_shape(int labels) {
    const int parts = parts_of(labels), stride = labels | 1;
    int points = std::max(kWarp, kBlockThreads / parts / kWarp * kWarp);
    const auto bytes = [&](int64_t floats) { return (floats + 2) * points * static_cast<int64_t>(sizeof(float)); };
    while (points > 1 && bytes(stride) > kSharedBytes) points /= 2;
    const int threads = points * std::min(parts, kBlockThreads / points);
    const bool fits = bytes(stride) <= kSharedBytes;
    return {points, threads, stride, bytes(fits ? stride : 0), fits};
}

struct MarginalsOfTile {
    Pass pass;
    int points, stride;  // TileShape
    float* elsewhere;    // exponents of all tiles, where they do not fit into a block's memory
    int64_t tiles;

    // A tile at work: exponents x [points][stride], then 2^x; largest exponent and 1 / sum of each point.
    struct Work {
        int picture;
        int64_t first;
        int count;
        float *x, *largest, *inverse;
    };

    DENSECRF_DEVICE int64_t plane(const Work& work, int label) const {
        return (static_cast<int64_t>(work.picture) * pass.labels + label) * pass.lattice.points + work.first;
    }

    DENSECRF_DEVICE const int* list(int picture, const LabelSet& set) const {
        return pass.lists + (static_cast<int64_t>(picture) * kLabelLists + set.slot) * pass.labels;
    }

    DENSECRF_DEVICE Four* rows(const Work& work, int parts) const {
        return pass.rows.of(work.picture) + work.first * parts;
    }

    // step(point, label) for all, neighbouring threads at neighbouring points: planes are read and written in
    // order.
    template <class Step>
    DENSECRF_DEVICE void each_score(const Tile& tile, const Work& work, const Step& step) const {
        tile.each_thread([&](int thread) {
            const int p = thread % points;
            if (p >= work.count) return;
            for (int l = thread / points; l < pass.labels; l += tile.threads / points) step(p, l);
        });
    }

    // step(point, part) for all parts of a row, neighbouring threads at neighbouring parts.
    template <class Step>
    DENSECRF_DEVICE void each_part(const Tile& tile, const Work& work, int parts, const Step& step) const {
        tile.each(work.count * parts, [&](int item) { step(item / parts, item % parts); });
    }

    DENSECRF_DEVICE float exponent(float score) const {
        if (pass.begin == Begin::kValues) return score;
        if (pass.kind == Scores::kProbabilities) return log2f(fmaxf(score, pass.clip));
        const float scale = pass.kind == Scores::kLogits ? kLog2e : -kLog2e;
        return fmaxf(fminf(score * scale, kHuge), -kHuge);
    }

    DENSECRF_DEVICE void read(const Tile& tile, const Work& work) const {
        each_score(tile, work, [&](int p, int l) {
            work.x[p * stride + l] = pass.begin == Begin::kZero ? 0.0f : exponent(pass.planes[plane(work, l) + p]);
        });
    }

    DENSECRF_DEVICE void find_largest(const Tile& tile, const Work& work) const {
        tile.each(work.count, [&](int p) {
            float most = -FLT_MAX;
            for (int l = 0; l < pass.labels; ++l) most = fmaxf(most, work.x[p * stride + l]);
            work.largest[p] = most;
        });
    }

    // The largest to 0, so that messages are not lost in the rounding of large numbers. Logarithms of
    // probabilities are none.
    DENSECRF_DEVICE void shift(const Tile& tile, const Work& work) const {
        find_largest(tile, work);
        each_score(tile, work, [&](int p, int l) { work.x[p * stride + l] -= work.largest[p]; });
    }

    DENSECRF_DEVICE void add_messages(const Tile& tile, const Work& work) const {
        const LabelSet& set = pass.state[work.picture].values;
        const int* label = list(work.picture, set);
        const Four* values = pass.values.of(pass.lattice.picture[work.picture]);
        const int corners = pass.lattice.corners;
        const Corner* corner = pass.lattice.corner + (work.picture * pass.lattice.points + work.first) * corners;
        each_part(tile, work, set.parts, [&](int p, int part) {
            Four sum = zero<Four>();
            DENSECRF_UNROLL
            for (int k = 0; k < corners; ++k) {
                const Corner c = corner[static_cast<int64_t>(p) * corners + k];
                sum = added(sum, c.weight, values[static_cast<int64_t>(c.row) * set.parts + part]);
            }
            const float message[4] = {sum.x, sum.y, sum.z, sum.w};
            for (int i = 0; i < 4; ++i)
                if (4 * part + i < set.labels) work.x[p * stride + label[4 * part + i]] += message[i];
        });
    }

    // x -> 2^(x - largest), and what makes them add up to one.
    DENSECRF_DEVICE void find_powers(const Tile& tile, const Work& work) const {
        find_largest(tile, work);
        each_score(tile, work, [&](int p, int l) {
            float& x = work.x[p * stride + l];
            x = exp2f(fmaxf(x - work.largest[p], pass.floor));
        });
        tile.each(work.count, [&](int p) {
            float sum = 0;
            for (int first = 0; first < pass.labels; first += kSummed) {  // in two steps, for thousands of labels
                float some = 0;
                for (int l = first; l < pass.labels && l < first + kSummed; ++l) some += work.x[p * stride + l];
                sum += some;
            }
            work.inverse[p] = 1.0f / sum;
        });
    }

    // Between what was and what is; notes how far apart they are.
    DENSECRF_DEVICE float damped(float before, float now, float& change) const {
        const float after = before * pass.damping + now * (1.0f - pass.damping);
        change = fmaxf(change, fabsf(after - before));
        return after;
    }

    DENSECRF_DEVICE void write_rows(const Tile& tile, const Work& work) const {
        const LabelSet& set = pass.state[work.picture].rows;
        const int* label = list(work.picture, set);
        Four* to = rows(work, set.parts);
        each_part(tile, work, set.parts, [&](int p, int part) {
            float q[4] = {};
            for (int i = 0; i < 4; ++i)
                if (4 * part + i < set.labels) q[i] = work.x[p * stride + label[4 * part + i]] * work.inverse[p];
            Four& row = to[static_cast<int64_t>(p) * set.parts + part];
            if (pass.progress) {
                float change = 0;
                row = Four{damped(row.x, q[0], change), damped(row.y, q[1], change), damped(row.z, q[2], change),
                           damped(row.w, q[3], change)};
                raise(&pass.progress[work.picture].change, change);
            } else {
                row = Four{q[0], q[1], q[2], q[3]};
            }
        });
    }

    DENSECRF_DEVICE void write_planes(const Tile& tile, const Work& work) const {
        const int parts = pass.values.most;
        const auto* before = reinterpret_cast<const float*>(rows(work, parts));
        each_score(tile, work, [&](int p, int l) {
            float q = work.x[p * stride + l] * work.inverse[p], change = 0;
            if (pass.progress) q = damped(before[static_cast<int64_t>(p) * 4 * parts + l], q, change);
            pass.out[plane(work, l) + p] = q * pass.scale;
        });
    }

    // What rows hold already, where nothing moves any more.
    DENSECRF_DEVICE void write_settled(const Tile& tile, const Work& work) const {
        const int parts = pass.values.most;
        const auto* before = reinterpret_cast<const float*>(rows(work, parts));
        each_score(tile, work, [&](int p, int l) {
            pass.out[plane(work, l) + p] = before[static_cast<int64_t>(p) * 4 * parts + l];
        });
    }

    DENSECRF_DEVICE void note_peaks(const Tile& tile, const Work& work) const {
        tile.each(pass.labels, [&](int l) {
            float most = 0;
            for (int p = 0; p < work.count; ++p) most = fmaxf(most, work.x[p * stride + l] * work.inverse[p]);
            raise(&pass.peaks[static_cast<int64_t>(work.picture) * pass.labels + l], most);
        });
    }

    DENSECRF_DEVICE void operator()(int picture, const Tile& tile) const {
        const int64_t first = tile.index * points, left = pass.lattice.points - first;
        float* x =
            elsewhere ? elsewhere + (picture * tiles + tile.index) * points * stride : tile.shared + 2 * points;
        const Work work{picture, first,       static_cast<int>(left < points ? left : points),
                        x,       tile.shared, tile.shared + points};
        if (pass.state[picture].settled > 0) {
            if (pass.out) write_settled(tile, work);
            return;
        }
        read(tile, work);
        if (pass.begin == Begin::kScores && pass.kind != Scores::kProbabilities) shift(tile, work);
        if (pass.messages) add_messages(tile, work);
        if (pass.softmax)
            find_powers(tile, work);
        else
            tile.each(points, [&](int p) { work.inverse[p] = 1.0f; });
        if (pass.peaks) note_peaks(tile, work);
        pass.out ? write_planes(tile, work) : write_rows(tile, work);
    }
};

struct Narrow {
    Pass pass;

    // Where a label lies in the rows before.
    DENSECRF_DEVICE int place_of(int label, const int* before, const LabelSet& set) const {
        if (set.slot == 0) return label;
        int place = 0;
        while (before[place] != label) ++place;
        return place;
    }

    DENSECRF_DEVICE void operator()(int picture, int64_t i) const {
        const PictureState& state = pass.state[picture];
        if (!state.moves) return;
        const RowPart at = row_part(i, state.rows.parts);
        if (at.row >= pass.lattice.points) return;
        const int* lists = pass.lists + static_cast<int64_t>(picture) * kLabelLists * pass.labels;
        const int *now = lists + state.rows.slot * pass.labels, *before = lists + state.before.slot * pass.labels;
        const auto* from = reinterpret_cast<const float*>(pass.rows.before(picture) + at.row * state.before.parts);
        float q[4] = {};
        for (int c = 0; c < 4; ++c)
            if (4 * at.part + c < state.rows.labels)
                q[c] = from[place_of(now[4 * at.part + c], before, state.before)];
        pass.rows.of(picture)[at.row * state.rows.parts + at.part] = Four{q[0], q[1], q[2], q[3]};
    }
};

}  // namespace

void run_pass(const Context& context, int pictures, const Pass& pass) {
    const TileShape shape = tile_shape(pass.labels);
    const int64_t tiles = (pass.lattice.points + shape.points - 1) / shape.points;
    const Array<float> elsewhere(context, shape.fits ? 0 : pictures * tiles * shape.points * shape.stride);
    for_each_tile(context, pictures, tiles, shape.threads, shape.shared_bytes,
                  MarginalsOfTile{pass, shape.points, shape.stride, elsewhere.data(), tiles});
}

void narrow_rows(const Context& context, int pictures, const Pass& pass) {
    for_each(context, pictures, pass.lattice.points * pass.values.most, Narrow{pass});
}

}  // namespace densecrf::cuda
