#include "term_builder.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "features.h"
#include "phase_builder.h"

namespace densecrf::cpu {
namespace {

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
        lattice_.phases = blur_phases(layout.dims);
        for (BlurPhase& phase : lattice_.phases) phases_.emplace_back(layout_, steps_, phase);
    }

    void embed(int partition, const CornerStore& corners, Profile* profile) override {
        const int64_t points = order_.first_point(partition + 1) - order_.first_point(partition);
        HashTable<kWords> table(static_cast<size_t>(points) / 2);
        Walk walk;
        std::vector<Key<kWords>>& keys = partition_keys_[partition];
        uint32_t* fresh = corners.fresh + (order_.index_of(*order_.begin(partition)) + partition) * corners.terms;
        for (const Run* run = order_.begin(partition); run != order_.end(partition); ++run, fresh += corners.terms) {
            *fresh = static_cast<uint32_t>(keys.size());
            embed_run(*run, corners, table, keys, walk, profile);
        }
        *fresh = static_cast<uint32_t>(keys.size());
    }

    uint32_t partition_rows(int partition) const override {
        return static_cast<uint32_t>(partition_keys_[partition].size());
    }

    void join_partitions() override {
        keys_ = Array<Key<kWords>>(rows());
        size_t row = 0;
        for (std::vector<Key<kWords>>& keys : partition_keys_) {
            std::copy(keys.begin(), keys.end(), keys_.data() + row);
            row += keys.size();
            std::vector<Key<kWords>>().swap(keys);
        }
    }

    void sort(int phase) override { phases_[phase].sort(keys_.data(), keys_.size()); }

    void link(int phase, int64_t piece) override { phases_[phase].link(piece, keys_.data(), first_row()); }

    void close_gaps(int phase) override { phases_[phase].close_gaps(first_row()); }

  private:
    // The vertices of the point before: neighbours in the picture often lie in the same simplex.
    struct Walk {
        Key<kWords> key[kMaxDims + 1] = {};
        uint32_t vertex[kMaxDims + 1] = {};
        bool empty = true;
    };

    uint32_t first_row() const { return lattice_.first_row.front(); }
    size_t rows() const { return lattice_.first_row.back() - lattice_.first_row.front(); }

    void embed_run(const Run& run, const CornerStore& corners, HashTable<kWords>& table,
                   std::vector<Key<kWords>>& keys, Walk& walk, Profile* profile) {
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
                const int64_t at = (run.start + done + l) * corners.per_point + lattice_.first_corner;
                number_vertices(simplices, l, table, keys, walk, corners.row + at);
                for (int r = 0; r <= layout_.dims; ++r) corners.weight[at + r] = simplices.barycentric[r][l];
            }
        }
    }

    void number_vertices(const SimplexLanes& simplices, int l, HashTable<kWords>& table,
                         std::vector<Key<kWords>>& keys, Walk& walk, uint32_t* row) {
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
    std::vector<std::vector<Key<kWords>>> partition_keys_;  // [partitions][rows]
    Array<Key<kWords>> keys_;                               // [rows of the term]
    std::vector<PhaseBuilder<kWords>> phases_;
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
