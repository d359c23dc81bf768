#include "term_builder.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "hash_table.h"

namespace densecrf::cpu {
namespace {

constexpr int kShards = 8;            // of the vertex table, so that merging can be shared out
constexpr size_t kChainPiece = 4096;  // entries of a blur chain handed to a thread at a time

template <int kWords>
class TypedTermBuilder final : public TermBuilder {
  public:
    TypedTermBuilder(const PointOrder& order, Features features, const KeyLayout& layout, TermLattice& lattice)
        : order_(order),
          features_(features),
          layout_(layout),
          steps_(key_steps<kWords>(layout)),
          lattice_(lattice),
          keys_(order.partitions()) {
        for (int i = 0; i < layout.dims; ++i) scale_[i] = simplex_scale(layout.dims, i);
        for (int s = 0; s < shards(); ++s) tables_.emplace_back(0);
        lattice_.shared.resize(shards());
        lattice_.axes.resize(layout.dims + 1);
    }

    void embed(int partition, const CornerStore& corners) override {
        HashTable<kWords> table(order_.first_point(partition + 1) - order_.first_point(partition));
        Walk walk(layout_.dims);
        for (const Run* run = order_.begin(partition); run != order_.end(partition); ++run)
            embed_run(*run, corners, table, keys_[partition], walk);
        if (order_.partitions() == 1) tables_[0] = std::move(table);
    }

    uint32_t partition_rows(int partition) const override {
        return static_cast<uint32_t>(keys_[partition].size());
    }

    int shards() const override { return order_.partitions() == 1 ? 1 : kShards; }

    void merge(int shard) override {
        if (shards() == 1) return;  // the only partition's table is the table
        HashTable<kWords> table(0);
        for (int p = 0; p < order_.partitions(); ++p) {
            const uint32_t first = lattice_.first_row[p];
            for (uint32_t v = 0; v < keys_[p].size(); ++v) {
                if (shard_of(keys_[p][v]) != shard) continue;
                const uint32_t canonical = table.find_or_insert(keys_[p][v], first + v);
                if (canonical != first + v) lattice_.shared[shard].push_back({first + v, canonical});
            }
        }
        tables_[shard] = std::move(table);
    }

    void find_chains(int axis) override {
        const uint32_t origin = lattice_.first_row.front();
        const std::vector<uint32_t> next = next_along(axis);
        std::vector<uint8_t> has_previous(next.size());
        for (uint32_t n : next)
            if (n != kNoVertex) has_previous[n - origin] = 1;

        BlurAxis& blur = lattice_.axes[axis];
        blur.piece.push_back(0);
        for (uint32_t start = 0; start < next.size(); ++start) {
            if (has_previous[start] || next[start] == kNoVertex) continue;
            uint32_t row = start + origin;
            for (; next[row - origin] != kNoVertex; row = next[row - origin]) blur.chain.push_back(row);
            blur.chain.push_back(row | kLastOfChain);
            if (blur.chain.size() - blur.piece.back() >= kChainPiece) blur.piece.push_back(blur.chain.size());
        }
        if (blur.piece.back() != blur.chain.size()) blur.piece.push_back(blur.chain.size());
    }

  private:
    // The simplex of the point before: neighbours in the picture mostly share vertices, and so skip the table.
    struct Walk {
        explicit Walk(int dims) : key(dims + 1), vertex(dims + 1, kNoVertex) {}
        std::vector<Key<kWords>> key;
        std::vector<uint32_t> vertex;
    };

    static int shard_of(const Key<kWords>& key) { return static_cast<int>(hash(key) >> 56) % kShards; }

    void embed_run(const Run& run, const CornerStore& corners, HashTable<kWords>& table,
                   std::vector<Key<kWords>>& keys, Walk& walk) {
        FeatureLanes features;
        Simplices<kLanes> simplices;
        for (int done = 0; done < run.count; done += kLanes) {
            const int count = std::min(kLanes, run.count - done);
            features_.load(run.first + done, count, features);
            kernels().simplices(layout_.dims, scale_, features, simplices);
            for (int l = 0; l < count; ++l) {
                const int64_t at = (run.start + done + l) * corners.per_point + lattice_.first_corner;
                number_vertices(simplices, l, table, keys, walk, corners.row + at);
                for (int r = 0; r <= layout_.dims; ++r) corners.weight[at + r] = simplices.barycentric[r][l];
            }
        }
    }

    void number_vertices(const Simplices<kLanes>& simplices, int l, HashTable<kWords>& table,
                         std::vector<Key<kWords>>& keys, Walk& walk, uint32_t* row) {
        Key<kWords> key = vertex0_key(layout_, steps_, simplices, l);
        for (int r = 0;; ++r) {
            if (walk.vertex[r] == kNoVertex || !(walk.key[r] == key)) {
                const auto fresh = static_cast<uint32_t>(keys.size());
                walk.key[r] = key;
                walk.vertex[r] = table.find_or_insert(key, fresh);
                if (walk.vertex[r] == fresh) keys.push_back(key);
            }
            row[r] = walk.vertex[r];
            if (r == layout_.dims) return;
            key = next_vertex_key(steps_, key, simplices.axis_at[layout_.dims - r][l]);
        }
    }

    // For every row of the term, numbered from 0: the row of the next vertex along the axis. Rows that are not
    // canonical have none.
    std::vector<uint32_t> next_along(int axis) const {
        const uint32_t origin = lattice_.first_row.front();
        std::vector<uint32_t> next(lattice_.first_row.back() - origin, kNoVertex);
        uint32_t row = 0;
        constexpr size_t kAhead = 12;  // look-ups under way at once
        for (const auto& keys : keys_) {
            for (size_t v = 0; v < keys.size(); ++v) {
                if (v + kAhead < keys.size()) prefetch(keys[v + kAhead] + steps_.up[axis]);
                next[row++] = find(keys[v] + steps_.up[axis]);
            }
        }
        for (const auto& list : lattice_.shared)
            for (const SharedRow& shared : list) next[shared.row - origin] = kNoVertex;
        return next;
    }

    void prefetch(const Key<kWords>& key) const { tables_[shards() == 1 ? 0 : shard_of(key)].prefetch(key); }

    uint32_t find(const Key<kWords>& key) const {
        if (shards() > 1) return tables_[shard_of(key)].find(key);
        const uint32_t vertex = tables_[0].find(key);  // numbered within the partition
        return vertex == kNoVertex ? kNoVertex : vertex + lattice_.first_row.front();
    }

    const PointOrder& order_;
    const Features features_;
    const KeyLayout layout_;
    const KeySteps<kWords> steps_;
    TermLattice& lattice_;
    float scale_[kMaxDims];
    std::vector<std::vector<Key<kWords>>> keys_;  // [partitions][rows]
    std::vector<HashTable<kWords>> tables_;       // [shards]: key -> canonical row
};

}  // namespace

std::unique_ptr<TermBuilder> make_term_builder(const PointOrder& order, const Grid& grid, const Channels& channels,
                                               const Term& term, TermLattice& lattice) {
    const Features features(grid, channels, term);
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
