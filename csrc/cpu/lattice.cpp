#include "lattice.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "term_builder.h"

namespace densecrf::cpu {
namespace {

constexpr float kLog2e = 1.442695041f;
constexpr float kTiny = 1e-20f;  // keeps an empty neighbourhood from dividing by zero

// What a term's corner weights are multiplied with, on the way into the lattice and on the way out.
struct Factors {
    float splat, slice;
};

// norm: the filter's response to ones at the point; strength: weight, slice scale and log2(e).
Factors factors(Normalization normalization, float norm, float strength) {
    switch (normalization) {
        case Normalization::kSymmetric: {
            const float both = std::sqrt(strength / (norm + kTiny));
            return {both, both};
        }
        case Normalization::kBefore:
            return {1.0f / (norm + kTiny), strength};
        case Normalization::kAfter:
            return {1.0f, strength / (norm + kTiny)};
        case Normalization::kNone:
            break;
    }
    return {1.0f, strength};
}

// Whether the compatibility is one positive number, which the corner weights can take up.
bool folds(const Term& term) {
    return term.compatibility.kind == Compatibility::Kind::kPotts && term.compatibility.values[0] > 0;
}

// Shared row -> canonical row, or back, for one piece and one label block.
void collect(const std::vector<SharedRow>& shared, int width, float* values) {
    for (const SharedRow& s : shared) {
        const float* from = values + int64_t{s.row} * width;
        float* to = values + int64_t{s.canonical} * width;
        for (int i = 0; i < width; ++i) to[i] += from[i];
    }
}

void spread(const std::vector<SharedRow>& shared, int width, float* values) {
    for (const SharedRow& s : shared)
        std::copy_n(values + int64_t{s.canonical} * width, width, values + int64_t{s.row} * width);
}

struct PhaseOfTerm {
    size_t term;
    int phase;
};

std::vector<PhaseOfTerm> all_phases(const std::vector<TermLattice>& terms) {
    std::vector<PhaseOfTerm> all;
    for (size_t t = 0; t < terms.size(); ++t)
        for (size_t p = 0; p < terms[t].phases.size(); ++p) all.push_back({t, static_cast<int>(p)});
    return all;
}

// Calls body(phase of term, piece) for every piece of these phases, and waits for all.
template <class Body>
void each_piece(const std::vector<TermLattice>& terms, const std::vector<PhaseOfTerm>& phases, Team& team,
                int thread, const Body& body) {
    const auto pieces = [&](PhaseOfTerm of) { return terms[of.term].phases[of.phase].pieces(); };
    int64_t count = 0;
    for (const PhaseOfTerm of : phases) count += pieces(of);
    team.each(thread, count, [&](int64_t piece) {
        size_t i = 0;
        for (; piece >= pieces(phases[i]); ++i) piece -= pieces(phases[i]);
        body(phases[i], piece);
    });
}

}  // namespace

Lattice::Lattice(const PointOrder& order, const Grid& grid, const std::vector<Term>& terms) : order_(order) {
    for (const Term& term : terms)
        if (term.compatibility.kind != Compatibility::Kind::kPotts || term.compatibility.values[0] != 0)
            terms_.push_back(term);
    lattices_.resize(terms_.size());
    for (size_t t = 0; t < terms_.size(); ++t) {
        lattices_[t].dims = terms_[t].dims();
        lattices_[t].first_corner = corners_;
        corners_ += terms_[t].dims() + 1;
        builders_.push_back(make_term_builder(order, grid, terms_[t], lattices_[t]));
        mixing_.push_back(folds(terms_[t]) ? Compatibility{} : terms_[t].compatibility);
    }
    allocate_corners();
}

Lattice::~Lattice() = default;

void Lattice::allocate_corners() {
    bool same_weights = true;
    for (const Term& term : terms_) same_weights &= term.normalization == Normalization::kSymmetric;
    const size_t size = static_cast<size_t>(order_.points()) * corners_;
    require_memory(size * (sizeof(uint32_t) + (same_weights ? 1 : 2) * sizeof(float)));
    row_ = Array<uint32_t>(size);
    fresh_ = Array<uint32_t>((order_.runs() + order_.partitions()) * terms_.size());
    splat_weight_ = Array<float>(size);
    if (!same_weights) slice_weight_ = Array<float>(size);
}

void Lattice::build(Team& team, int thread) {
    const int partitions = order_.partitions();
    const int terms = static_cast<int>(terms_.size());
    team.each(thread, int64_t{terms} * partitions,
              [&](int64_t i) { builders_[i % terms]->embed(static_cast<int>(i / terms), corner_store(i % terms), team.profile()); });
    team.once(thread, [&] { number_rows(); });
    const std::vector<PhaseOfTerm> phases = all_phases(lattices_);
    team.each(thread, static_cast<int64_t>(phases.size()), [&](int64_t i) {
        const Lap lap(team.profile(), Stage::kNeighbours);
        builders_[phases[i].term]->sort(phases[i].phase);
    });
    each_piece(lattices_, phases, team, thread, [&](PhaseOfTerm of, int64_t piece) {
        const Lap lap(team.profile(), Stage::kNeighbours);
        builders_[of.term]->link(of.phase, piece);
    });
    team.each(thread, static_cast<int64_t>(phases.size()), [&](int64_t i) {
        const Lap lap(team.profile(), Stage::kNeighbours);
        builders_[phases[i].term]->close_gaps(phases[i].phase);
    });
    team.once(thread, [&] { builders_.clear(); });

    team.once(thread, [&] { ones_ = Array<float>(rows_); });
    team.each(thread, partitions, [&](int64_t p) {
        const Lap lap(team.profile(), Stage::kNormalise);
        splat_ones(static_cast<int>(p));
    });
    float* const ones[] = {ones_.data()};
    const int width = 1;
    blur(*this, {1, &width, ones}, Stage::kNormalise, team, thread);
    team.each(thread, partitions, [&](int64_t p) {
        const Lap lap(team.profile(), Stage::kNormalise);
        weigh_corners(static_cast<int>(p));
    });
    team.once(thread, [&] { ones_ = Array<float>(); });
}

CornerStore Lattice::corner_store(size_t term) {
    return {row_.data(), splat_weight_.data(), corners_, fresh_.data() + term, terms_.size()};
}

void Lattice::number_rows() {
    for (size_t t = 0; t < lattices_.size(); ++t) {
        std::vector<uint32_t>& first = lattices_[t].first_row;
        for (int p = 0; p <= order_.partitions(); ++p) {
            if (rows_ >= kLastOfChain)
                throw std::length_error("this picture needs more than 2^31 lattice vertices; use tiles");
            first.push_back(static_cast<uint32_t>(rows_));
            if (p < order_.partitions()) rows_ += builders_[t]->partition_rows(p);
        }
        builders_[t]->join_partitions();
    }
}

// Also turns the partition's own row numbers into those of the whole lattice.
void Lattice::splat_ones(int partition) {
    const int64_t start = order_.first_point(partition), end = order_.first_point(partition + 1);
    const size_t first_run = order_.index_of(*order_.begin(partition)) + partition;
    const size_t runs = order_.end(partition) - order_.begin(partition);
    for (size_t t = 0; t < lattices_.size(); ++t) {
        const TermLattice& term = lattices_[t];
        for (size_t k = first_run; k <= first_run + runs; ++k)
            fresh_[k * lattices_.size() + t] += term.first_row[partition];
        const uint32_t first = term.first_row[partition];
        std::memset(&ones_[first], 0, (term.first_row[partition + 1] - first) * sizeof(float));
        for (int64_t i = start; i < end; ++i)
            for (int r = 0; r <= term.dims; ++r) row_[i * corners_ + term.first_corner + r] += first;
    }
    const float one = 1.0f;
    const int width = 1;
    float* const ones[] = {ones_.data()};
    for (const Run* run = order_.begin(partition); run != order_.end(partition); ++run)
        kernels().splat(run->count, splat_corners(run->start), &one, 0, {1, &width, ones});
}

void Lattice::weigh_corners(int partition) {
    for (size_t t = 0; t < terms_.size(); ++t) {
        const int dims = lattices_[t].dims;
        const float weight = folds(terms_[t]) ? terms_[t].compatibility.values[0] : 1.0f;
        const float scale = slice_scale(dims), strength = weight * kLog2e * scale;
        for (int64_t i = order_.first_point(partition); i < order_.first_point(partition + 1); ++i) {
            const int64_t at = i * corners_ + lattices_[t].first_corner;
            float norm = 0;
            for (int r = 0; r <= dims; ++r) norm += splat_weight_[at + r] * ones_[row_[at + r]];
            const Factors f = factors(terms_[t].normalization, norm * scale, strength);
            for (int r = 0; r <= dims; ++r) {
                if (slice_weight_.size()) slice_weight_[at + r] = splat_weight_[at + r] * f.slice;
                splat_weight_[at + r] *= f.splat;
            }
        }
    }
}

void blur_piece(const TermLattice& term, int at, int64_t piece, int width, float* values) {
    const BlurPhase& phase = term.phases[at];
    if (at == 0) collect(phase.shared[piece], width, values);
    const uint32_t* chain = phase.chain.data() + phase.first[piece];
    for (int axis = 0; axis < phase.axes; ++axis) {
        const uint32_t length = phase.length[piece * phase.axes + axis];
        kernels().blur(length, chain, width, values);
        chain += length;
    }
    if (&phase == &term.phases.back()) spread(phase.shared[piece], width, values);
}

// One label block through all phases before the next: a block may fit the cache where all of them do not.
void blur_block(const Lattice& lattice, int width, float* values, Stage stage, Team& team, int thread) {
    const std::vector<TermLattice>& terms = lattice.terms();
    size_t most = 0;
    for (const TermLattice& term : terms) most = std::max(most, term.phases.size());
    for (size_t at = 0; at < most; ++at) {
        std::vector<PhaseOfTerm> now;
        for (size_t t = 0; t < terms.size(); ++t)
            if (at < terms[t].phases.size()) now.push_back({t, static_cast<int>(at)});
        each_piece(terms, now, team, thread, [&](PhaseOfTerm of, int64_t piece) {
            const Lap lap(team.profile(), stage);
            blur_piece(terms[of.term], of.phase, piece, width, values);
        });
    }
}

void blur(const Lattice& lattice, Rows values, Stage stage, Team& team, int thread) {
    for (int b = 0; b < values.blocks; ++b)
        blur_block(lattice, values.width[b], values.values[b], stage, team, thread);
}

}  // namespace densecrf::cpu
