#include "term_builder.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "features.h"
#include "phase_builder.h"
#include "runs.h"
#include "subtotals.h"

namespace densecrf::cpu {
namespace {

constexpr int kOneColumn = 1;  // the width of values without labels

// Rows have numbers below that of the mark that ends a chain.
void require_numbers(size_t rows) {
    if (rows >= kLastOfChain)
        throw std::length_error("this picture needs more than 2^31 lattice vertices; use tiles");
}

template <int kWords>
class TypedTermBuilder final : public TermBuilder {
  public:
    TypedTermBuilder(const PointOrder& order, Features features, const KeyLayout& layout, TermLattice& lattice)
        : order_(order),
          features_(features),
          layout_(layout),
          steps_(key_steps<kWords>(layout)),
          lattice_(lattice),
          partition_keys_(order.partitions()) {
        for (int i = 0; i < layout.dims; ++i) scale_[i] = simplex_scale(layout.dims, i);
        const size_t corners = static_cast<size_t>(order.points()) * (layout.dims + 1);
        lattice_.dims = layout.dims;
        lattice_.phases = blur_phases(layout.dims);
        for (BlurPhase& phase : lattice_.phases) phases_.emplace_back(layout_, steps_, phase);
        lattice_.row = Array<uint32_t>(corners);
        lattice_.barycentric = Array<float>(corners);
        lattice_.fresh = Array<uint32_t>(order.runs() + order.partitions());
    }

    void embed(int partition, Team& team) override {
        HashTable<kWords> table(static_cast<size_t>(order_.points_of(partition)) / 2);
        Walk walk;
        GrowingArray<Key<kWords>>& keys = partition_keys_[partition];
        uint32_t* fresh = fresh_of(partition);
        for_each_run(order_, partition, team, [&](const Run& run) {
            *fresh++ = static_cast<uint32_t>(keys.size());
            embed_run(run, table, keys, walk, team.profile());
            require_numbers(keys.size());
        });
        *fresh = static_cast<uint32_t>(keys.size());
    }

    size_t number_rows(Team& team) override {
        size_t rows = 0;
        for (const GrowingArray<Key<kWords>>& keys : partition_keys_) {
            lattice_.first_row.push_back(static_cast<uint32_t>(rows));
            rows += keys.size();
            require_numbers(rows);
        }
        lattice_.first_row.push_back(static_cast<uint32_t>(rows));
        keys_ = Array<Key<kWords>>(rows);
        Key<kWords>* to = keys_.data();
        for (GrowingArray<Key<kWords>>& keys : partition_keys_) {
            team.check();
            to = std::copy_n(keys.data(), keys.size(), to);
            keys = {};
        }
        ones_ = Array<float>(rows);
        lattice_.norm = Array<float>(order_.points());
        return rows * (sizeof(float) + sizeof(uint32_t) * (corners() + lattice_.phases.size()));
    }

    void sort(int phase, Team& team) override { phases_[phase].sort(keys_.data(), keys_.size(), team); }
    void link(int phase, int64_t piece) override { phases_[phase].link(piece, keys_.data()); }
    void close_gaps(int phase, Team& team) override { phases_[phase].close_gaps(team); }

    void splat_ones(int partition, Team& team) override {
        const uint32_t first = lattice_.first_row[partition];
        const int64_t begin = order_.first_point(partition) * corners(),
                      end = order_.first_point(partition + 1) * corners();
        for (int64_t i = begin; i < end; ++i) lattice_.row[i] += first;
        uint32_t* fresh = fresh_of(partition);
        for (int64_t i = 0; i <= order_.end(partition) - order_.begin(partition); ++i) fresh[i] += first;
        Subtotals subtotals;
        subtotals.begin(order_.points_of(partition));
        subtotals.clear(ones() + first, lattice_.first_row[partition + 1] - first, kOneColumn);
        const float one = 1.0f;
        float* const column[] = {ones()};
        const Corners own = all_corners();
        for_each_run(order_, partition, team, [&](const Run& run) {
            kernels().splat(run.count, {1, &own}, run.start, &one, 0, {1, &kOneColumn, column});
            subtotals.added(run.count);
        });
    }

    float* ones() override { return ones_.data(); }

    void slice_ones(int partition, Team& team) override {
        const float scale = slice_scale(layout_.dims);
        float* const column[] = {ones()};
        const Corners own = all_corners();
        for_each_run(order_, partition, team, [&](const Run& run) {
            float* norm = lattice_.norm.data() + run.start;
            kernels().slice(run.count, {1, &own}, run.start, {1, &kOneColumn, column}, Rows{}, norm, 1);
            for (int p = 0; p < run.count; ++p) norm[p] *= scale;
        });
    }

  private:
    // The vertices of the point before: neighbours in the picture often lie in the same simplex.
    struct Walk {
        Key<kWords> key[kMaxDims + 1] = {};
        uint32_t vertex[kMaxDims + 1] = {};
        bool empty = true;
    };

    int corners() const { return layout_.dims + 1; }
    uint32_t* fresh_of(int partition) {
        return lattice_.fresh.data() + order_.index_of(*order_.begin(partition)) + partition;
    }
    Corners all_corners() const { return {corners(), lattice_.row.data(), lattice_.barycentric.data(), 0}; }

    void embed_run(const Run& run, HashTable<kWords>& table, GrowingArray<Key<kWords>>& keys, Walk& walk,
                   Profile* profile) {
        FeatureLanes features;
        SimplexLanes simplices;
        for (int done = 0; done < run.count; done += kLanes) {
            const int count = std::min(kLanes, run.count - done);
            {
                const Lap lap(profile, Stage::kFeatures);
                features_.load(run.first + done, count, features);
                kernels().simplices(layout_.dims, scale_, features, simplices);
            }
            const Lap lap(profile, Stage::kVertices);
            for (int l = 0; l < count; ++l) {
                const int64_t at = (run.start + done + l) * corners();
                number_vertices(simplices, l, table, keys, walk, lattice_.row.data() + at);
                for (int r = 0; r <= layout_.dims; ++r) lattice_.barycentric[at + r] = simplices.barycentric[r][l];
            }
        }
    }

    void number_vertices(const SimplexLanes& simplices, int l, HashTable<kWords>& table,
                         GrowingArray<Key<kWords>>& keys, Walk& walk, uint32_t* row) {
        const int dims = layout_.dims;
        Key<kWords> key[kMaxDims + 1];
        key[0] = vertex0_key(layout_, steps_, [&](int i) { return simplices.remainder0[i][l]; });
        bool same = key[0] == walk.key[0];
        for (int r = 1; r <= dims; ++r) {
            key[r] = next_vertex_key(steps_, key[r - 1], simplices.axis_at[dims - r + 1][l]);
            same &= key[r] == walk.key[r];
        }
        if (!same || walk.empty) {  // one unpredictable branch for a point, not one for each vertex
            walk.empty = false;
            for (int r = 0; r <= dims; ++r) {
                const auto fresh = static_cast<uint32_t>(keys.size());
                walk.key[r] = key[r];
                walk.vertex[r] = table.find_or_insert(key[r], keys.data(), fresh);
                if (walk.vertex[r] == fresh) keys.push_back(key[r]);
            }
        }
        for (int r = 0; r <= dims; ++r) row[r] = walk.vertex[r];
    }

    const PointOrder& order_;
    const Features features_;
    const KeyLayout layout_;
    const KeySteps<kWords> steps_;
    TermLattice& lattice_;
    float scale_[kMaxDims];
    std::vector<GrowingArray<Key<kWords>>> partition_keys_;  // [partitions][rows]
    Array<Key<kWords>> keys_;                                // [rows of the term]
    std::vector<PhaseBuilder<kWords>> phases_;
    Array<float> ones_;  // [rows]
};

}  // namespace

std::unique_ptr<TermBuilder> make_term_builder(const PointOrder& order, const Grid& grid, const Term& term,
                                               TermLattice& lattice) {
    const Features features(grid, term);
    double max_abs[kMaxDims];
    features.max_abs(max_abs);
    const double bound = elevated_bound(term.dims(), max_abs);
    if (!(bound <= kMaxElevated))
        throw std::domain_error("a sigma is too small for this picture: positions or colours lie up to " +
                                std::to_string(bound) + " lattice steps apart, and " +
                                std::to_string(kMaxElevated) + " can be told apart");
    const KeyLayout layout = key_layout(term.dims(), bound);
    if (layout.words == 1) return std::make_unique<TypedTermBuilder<1>>(order, features, layout, lattice);
    if (layout.words == 2) return std::make_unique<TypedTermBuilder<2>>(order, features, layout, lattice);
    if (layout.words <= 4) return std::make_unique<TypedTermBuilder<4>>(order, features, layout, lattice);
    return std::make_unique<TypedTermBuilder<kMaxKeyWords>>(order, features, layout, lattice);
}

}  // namespace densecrf::cpu
