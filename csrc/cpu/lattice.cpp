#include "lattice.h"

#include <algorithm>
#include <stdexcept>

#include "../normalization.h"
#include "room.h"
#include "spatial_cache.h"

namespace densecrf::cpu {
namespace {

bool is_spatial(const Term& term) {
    return term.channel_sigma.empty();
}

// Rows and weights, before and after weighing.
size_t corner_bytes(const PointOrder& order, const std::vector<Term>& terms) {
    size_t corners = 0;
    for (const Term& term : terms) {
        const size_t weights = (term.normalization == Normalization::kSymmetric ? 1 : 2) + is_spatial(term);
        corners += (term.dims() + 1) * (sizeof(uint32_t) + weights * sizeof(float));
    }
    return static_cast<size_t>(order.points()) * corners;
}

}  // namespace

Lattice::Lattice(const PointOrder& order, const Grid& grid, const std::vector<Term>& terms)
    : order_(order), grid_(grid) {
    for (const Term& term : terms) {
        if (is_silent(term)) continue;
        terms_.push_back(term);
        mixing_.push_back(folds(term) ? Compatibility{} : term.compatibility);
    }
    require_memory(corner_bytes(order, terms_));
    for (size_t t = 0; t < terms_.size(); ++t) {
        lattices_.push_back(is_spatial(terms_[t]) ? find_spatial(grid, terms_[t]) : nullptr);
        if (lattices_[t]) continue;
        auto lattice = std::make_shared<TermLattice>();
        building_.push_back({t, lattice, make_term_builder(order, grid, terms_[t], *lattice)});
        lattices_[t] = std::move(lattice);
    }
}

bool Lattice::normalised() const {
    for (const Term& term : terms_)
        if (term.normalization == Normalization::kNone) return false;
    return true;
}

float Lattice::weights() const {
    float sum = 0;
    for (const Term& term : terms_)
        if (folds(term)) sum += term.compatibility.values[0];
    return sum;
}

Lattice::RowRange Lattice::partition_rows(size_t term, int64_t partition) const {
    const uint32_t* at = &placed_[term].lattice->first_row[partition];
    return {placed_[term].first_row + at[0], placed_[term].first_row + at[1]};
}

Lattice::RowRange Lattice::fresh_rows(size_t term, int64_t partition, const Run& run) const {
    const uint32_t* at = &placed_[term].lattice->fresh[order_.index_of(run) + partition];
    return {placed_[term].first_row + at[0], placed_[term].first_row + at[1]};
}

void Lattice::build(Team& team, int thread) {
    if (!building_.empty()) build_terms(team, thread);
    team.once(thread, [&] { place_terms(); });
    team.each(thread, order_.partitions(), [&](int64_t p) {
        const Lap lap(team.profile(), Stage::kNormalise);
        weigh_corners(static_cast<int>(p));
    });
    team.once(thread, [&] { finish(); });
}

void Lattice::build_terms(Team& team, int thread) {
    const int terms = static_cast<int>(building_.size());
    // Calls body(builder, i) for i below count(lattice), for every term; counts towards a stage.
    const auto each = [&](Stage stage, const auto& count, const auto& body) {
        int64_t most = 0;
        for (const Fresh& fresh : building_) most = std::max<int64_t>(most, count(*fresh.lattice));
        team.each(thread, most * terms, [&](int64_t i) {
            const Fresh& fresh = building_[i % terms];
            if (i / terms >= count(*fresh.lattice)) return;
            const Lap lap(team.profile(), stage);
            body(*fresh.builder, static_cast<int>(i / terms), team);
        });
    };
    const auto partitions = [&](const TermLattice&) { return order_.partitions(); };
    const auto phases = [](const TermLattice& lattice) { return static_cast<int>(lattice.phases.size()); };

    team.each(thread, int64_t{terms} * order_.partitions(),
              [&](int64_t i) { building_[i % terms].builder->embed(static_cast<int>(i / terms), team); });
    team.once(thread, [&] {
        size_t bytes = 0;
        for (const Fresh& fresh : building_) bytes += fresh.builder->number_rows(team);
        require_memory(bytes);
    });
    each(Stage::kNeighbours, phases, [](TermBuilder& builder, int phase, Team& all) { builder.sort(phase, all); });
    std::vector<PlacedLattice> alone;
    for (const Fresh& fresh : building_) alone.push_back({fresh.lattice.get(), 0});
    for (size_t at = 0; at < most_phases(alone); ++at)
        each_piece(alone, at, team, thread, [&](size_t t, int64_t piece) {
            const Lap lap(team.profile(), Stage::kNeighbours);
            building_[t].builder->link(static_cast<int>(at), piece);
        });
    each(Stage::kNeighbours, phases,
         [](TermBuilder& builder, int phase, Team& all) { builder.close_gaps(phase, all); });

    each(Stage::kNormalise, partitions,
         [](TermBuilder& builder, int p, Team& all) { builder.splat_ones(p, all); });
    for (const Fresh& fresh : building_) {
        const int width = 1;
        float* const ones[] = {fresh.builder->ones()};
        blur({{fresh.lattice.get(), 0}}, {1, &width, ones}, Stage::kNormalise, team, thread);
    }
    each(Stage::kNormalise, partitions,
         [](TermBuilder& builder, int p, Team& all) { builder.slice_ones(p, all); });
}

void Lattice::place_terms() {
    weights_.resize(lattices_.size());
    for (const Fresh& fresh : building_)  // weighed in place, unless another picture may need them as they are
        if (!is_spatial(terms_[fresh.term])) weights_[fresh.term].splat = std::move(fresh.lattice->barycentric);
    for (size_t t = 0; t < lattices_.size(); ++t) {
        const TermLattice& lattice = *lattices_[t];
        placed_.push_back({&lattice, rows_});
        if (weights_[t].splat.size() == 0) weights_[t].splat = Array<float>(lattice.row.size());
        if (terms_[t].normalization != Normalization::kSymmetric)
            weights_[t].slice = Array<float>(lattice.row.size());
        const Array<float>& slice = weights_[t].slice.size() ? weights_[t].slice : weights_[t].splat;
        splat_.push_back({lattice.dims + 1, lattice.row.data(), weights_[t].splat.data(), rows_});
        slice_.push_back({lattice.dims + 1, lattice.row.data(), slice.data(), rows_});
        rows_ += lattice.rows();
    }
}

void Lattice::weigh_corners(int partition) {
    for (size_t t = 0; t < terms_.size(); ++t) {
        const TermLattice& lattice = *lattices_[t];
        const int corners = lattice.dims + 1;
        const float weight = strength(terms_[t]);
        float *splat = weights_[t].splat.data(), *slice = weights_[t].slice.data();
        const float* barycentric = lattice.barycentric.size() ? lattice.barycentric.data() : splat;
        for (int64_t i = order_.first_point(partition); i < order_.first_point(partition + 1); ++i) {
            const Factors f = factors(terms_[t].normalization, lattice.norm[i], weight);
            for (int64_t k = i * corners; k < (i + 1) * corners; ++k) {
                if (slice) slice[k] = barycentric[k] * f.slice;
                splat[k] = barycentric[k] * f.splat;
            }
        }
    }
}

// Lattices that may serve other pictures are kept; the others need their unweighted corners no more.
void Lattice::finish() {
    for (Fresh& fresh : building_) {
        fresh.builder.reset();
        if (is_spatial(terms_[fresh.term]) && keep_spatial(grid_, terms_[fresh.term], fresh.lattice)) continue;
        fresh.lattice->barycentric = Array<float>();
        fresh.lattice->norm = Array<float>();
    }
    building_.clear();
}

}  // namespace densecrf::cpu
