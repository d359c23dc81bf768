#include "passes.h"

#include <algorithm>
#include <cstring>

namespace densecrf::cpu {
namespace {

// The compatibility as a matrix [stride][stride] from the label that is around to the label that gains.
Array<float> mixing_matrix(const Compatibility& compatibility, int labels, int stride) {
    const auto size = static_cast<size_t>(labels), row = static_cast<size_t>(stride);
    Array<float> matrix(row * row);
    std::memset(matrix.data(), 0, matrix.size() * sizeof(float));
    const std::vector<float>& v = compatibility.values;
    for (size_t l = 0; l < size; ++l) {
        if (compatibility.kind == Compatibility::Kind::kMatrix) {
            for (size_t m = 0; m < size; ++m)  // symmetrised, as an energy of pairs is
                matrix[m * row + l] = 0.5f * (v[l * size + m] + v[m * size + l]);
        } else {
            matrix[l * row + l] = v[compatibility.kind == Compatibility::Kind::kPotts ? 0 : l];
        }
    }
    return matrix;
}

// Rows that a thread mixes at a time; of many labels few, because the caller may end the work only in between.
int64_t rows_per_piece(int stride) {
    return std::clamp<int64_t>((int64_t{1} << 26) / stride / stride, 1, 1024);
}

}  // namespace

Scratch::Scratch(int stride)
    : x(kRunLength * stride), q(kRunLength * stride), kept(kRunLength * stride), columns(kRunLength * stride) {
    std::fill_n(x.data(), x.size(), kAbsent);
    std::fill_n(kept.data(), kept.size(), 0.0f);
}

Passes::Passes(const PointOrder& order, const Lattice& lattice, int labels)
    : order_(order), lattice_(lattice), labels_(labels), stride_(padded(labels)), blocks_(label_blocks(labels)) {
    for (size_t t = 0; t < lattice.terms().size(); ++t)
        matrices_.push_back(lattice.mixes(t) ? mixing_matrix(lattice.mixing(t), labels, stride_) : Array<float>());
}

void Passes::keep(const Run& run, const float* rows, const BlockedValues& points) const {
    for (int b = 0, label = 0; b < points.blocks(); label += points.width(b++))
        for (int p = 0; p < run.count; ++p)
            std::copy_n(rows + p * stride_ + label, points.width(b), points.row(b, run.start + p));
}

void Passes::recall(const Run& run, const BlockedValues& points, float* rows) const {
    for (int b = 0, label = 0; b < points.blocks(); label += points.width(b++))
        for (int p = 0; p < run.count; ++p)
            std::copy_n(points.row(b, run.start + p), points.width(b), rows + p * stride_ + label);
}

void Passes::clear(int64_t partition, Sums& sums, Team& team) const {
    const BlockedValues& values = sums.rows;
    sums.subtotals.begin(order_.points_of(static_cast<int>(partition)));
    for (size_t t = 0; t < lattice_.terms().size(); ++t) {
        const Lattice::RowRange rows = lattice_.partition_rows(t, partition);
        for (int b = 0; b < values.blocks(); ++b) {
            team.check();
            sums.subtotals.clear(values.row(b, rows.first), rows.end - rows.first, values.width(b));
        }
    }
}

void Passes::expect_next(int64_t partition, const Run& run, const BlockedValues& values) const {
    const Run& next = *(&run + 1);
    if (&next == order_.end(static_cast<int>(partition))) return;
    constexpr int kCacheLine = 64 / sizeof(float);
    for (size_t t = 0; t < lattice_.terms().size(); ++t) {
        const Lattice::RowRange rows = lattice_.fresh_rows(t, partition, next);
        for (int b = 0; b < values.blocks(); ++b)
            for (const float* at = values.row(b, rows.first); at < values.row(b, rows.end); at += kCacheLine)
                __builtin_prefetch(at, 0, 2);
    }
}

void Passes::slice(const Run& run, const BlockedValues& values, const BlockedValues* base, float* x) const {
    kernels().slice(run.count, lattice_.slice_corners(), run.start, values.rows(), base ? base->rows() : Rows{}, x,
                    stride_);
}

void Passes::splat(const Run& run, const float* q, Sums& sums) const {
    kernels().splat(run.count, lattice_.splat_corners(), run.start, q, stride_, sums.rows.rows());
    sums.subtotals.added(run.count);
}

void Passes::filter(const BlockedValues& values, Team& team, int thread) const {
    blur(lattice_.terms(), values.rows(), Stage::kBlur, team, thread);
    for (size_t t = 0; t < matrices_.size(); ++t)
        if (matrices_[t].size()) mix(t, values, team, thread);
}

void Passes::mix(size_t term, const BlockedValues& values, Team& team, int thread) const {
    const PlacedLattice& placed = lattice_.terms()[term];
    const int64_t first = placed.first_row, end = first + placed.lattice->rows();
    Array<float> scratch(stride_);
    const int64_t rows = rows_per_piece(stride_);
    team.each(thread, (end - first + rows - 1) / rows, [&](int64_t i) {
        const int64_t start = first + i * rows;
        std::vector<float*> piece;
        for (int b = 0; b < values.blocks(); ++b) piece.push_back(values.row(b, start));
        kernels().mix(std::min(rows, end - start), matrices_[term].data(), stride_,
                      {values.blocks(), values.rows().width, piece.data()}, scratch.data());
    });
}

}  // namespace densecrf::cpu
