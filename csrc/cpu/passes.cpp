#include "passes.h"

#include <cstring>

namespace densecrf::cpu {
namespace {

// The compatibility as a matrix [stride][stride] from the label that is around to the label that gains.
Array<float> mixing_matrix(const Compatibility& compatibility, int labels, int stride) {
    if (compatibility.kind == Compatibility::Kind::kPotts && compatibility.values.empty()) return {};
    Array<float> matrix(static_cast<size_t>(stride) * stride);
    std::memset(matrix.data(), 0, matrix.size() * sizeof(float));
    const std::vector<float>& v = compatibility.values;
    for (int l = 0; l < labels; ++l) {
        if (compatibility.kind == Compatibility::Kind::kMatrix) {
            for (int m = 0; m < labels; ++m)  // symmetrised, as an energy of pairs is
                matrix[m * stride + l] = 0.5f * (v[l * labels + m] + v[m * labels + l]);
        } else {
            matrix[l * stride + l] = v[compatibility.kind == Compatibility::Kind::kPotts ? 0 : l];
        }
    }
    return matrix;
}

constexpr int64_t kRowsPerPiece = 1024;

}  // namespace

Scratch::Scratch(int stride) : x(kRunLength * stride), q(kRunLength * stride), columns(8 * stride) {
    std::memset(x.data(), 0, x.size() * sizeof(float));  // rows beyond a run's end are read, not used
}

Passes::Passes(const PointOrder& order, const Lattice& lattice, int labels)
    : order_(order), lattice_(lattice), labels_(labels), stride_(padded(labels)), blocks_(label_blocks(labels)) {
    for (size_t t = 0; t < lattice.terms().size(); ++t)
        matrices_.push_back(mixing_matrix(lattice.mixing(t), labels, stride_));
}

void Passes::keep(const Run& run, const float* rows, const BlockedValues& points) const {
    int first_label = 0;
    for (size_t b = 0; b < blocks_.size(); first_label += blocks_[b++].width) {
        const int width = blocks_[b].width;
        for (int p = 0; p < run.count; ++p)
            std::memcpy(points[b] + (run.start + p) * width, rows + p * stride_ + first_label,
                        width * sizeof(float));
    }
}

void Passes::recall(const Run& run, const BlockedValues& points, float* rows) const {
    int first_label = 0;
    for (size_t b = 0; b < blocks_.size(); first_label += blocks_[b++].width) {
        const int width = blocks_[b].width;
        for (int p = 0; p < run.count; ++p)
            std::memcpy(rows + p * stride_ + first_label, points[b] + (run.start + p) * width,
                        width * sizeof(float));
    }
}

void Passes::clear(int64_t partition, const BlockedValues& values) const {
    for (const TermLattice& term : lattice_.terms()) {
        const int64_t first = term.first_row[partition], end = term.first_row[partition + 1];
        for (size_t b = 0; b < blocks_.size(); ++b)
            std::memset(values[b] + first * blocks_[b].width, 0, (end - first) * blocks_[b].width * sizeof(float));
    }
}

void Passes::expect(int64_t partition, const Run& run, const BlockedValues& values) const {
    for (size_t t = 0; t < lattice_.terms().size(); ++t) {
        const Lattice::Rows rows = lattice_.fresh_rows(t, static_cast<int>(partition), run);
        for (size_t b = 0; b < blocks_.size(); ++b) {
            const float* end = values[b] + int64_t{rows.end} * blocks_[b].width;
            for (const float* at = values[b] + int64_t{rows.first} * blocks_[b].width; at < end; at += 16)
                __builtin_prefetch(at, 0, 2);
        }
    }
}

void Passes::clear_fresh(int64_t partition, const Run& run, const BlockedValues& values) const {
    for (size_t t = 0; t < lattice_.terms().size(); ++t) {
        const Lattice::Rows rows = lattice_.fresh_rows(t, static_cast<int>(partition), run);
        for (size_t b = 0; b < blocks_.size(); ++b)
            std::memset(values[b] + int64_t{rows.first} * blocks_[b].width, 0,
                        (rows.end - rows.first) * blocks_[b].width * sizeof(float));
    }
}

void Passes::slice(const Run& run, const BlockedValues& values, const BlockedValues* base, float* x) const {
    const Corners corners = lattice_.slice_corners(run.start);
    int first_label = 0;
    if (blocks_.size() == 2 && blocks_[1].width == 8) return kernels().slice24(run.count, corners, values[0], values[1], base ? (*base)[0] + run.start * 16 : nullptr, base ? (*base)[1] + run.start * 8 : nullptr, x, stride_);
    for (size_t b = 0; b < blocks_.size(); first_label += blocks_[b++].width)
        blocks_[b].slice(run.count, corners, values[b], base ? (*base)[b] + run.start * blocks_[b].width : nullptr,
                         x + first_label, stride_);
}

void Passes::splat(const Run& run, const float* q, const BlockedValues& values) const {
    const Corners corners = lattice_.splat_corners(run.start);
    int first_label = 0;
    if (blocks_.size() == 2 && blocks_[1].width == 8) return kernels().splat24(run.count, corners, q, stride_, values[0], values[1]);
    for (size_t b = 0; b < blocks_.size(); first_label += blocks_[b++].width)
        blocks_[b].splat(run.count, corners, q + first_label, stride_, values[b]);
}

void Passes::filter(const BlockedValues& values, Team& team, int thread) const {
    blur(lattice_, blocks_, values.blocks(), Stage::kBlur, team, thread);
    for (size_t t = 0; t < matrices_.size(); ++t)
        if (matrices_[t].size()) mix(t, values, team, thread);
}

void Passes::mix(size_t term, const BlockedValues& values, Team& team, int thread) const {
    const int64_t first = lattice_.terms()[term].first_row.front(), end = lattice_.terms()[term].first_row.back();
    Array<float> scratch(stride_);
    team.each(thread, (end - first + kRowsPerPiece - 1) / kRowsPerPiece, [&](int64_t i) {
        const int64_t start = first + i * kRowsPerPiece;
        std::vector<float*> rows;
        for (size_t b = 0; b < blocks_.size(); ++b) rows.push_back(values[b] + start * blocks_[b].width);
        kernels().mix(std::min(kRowsPerPiece, end - start), matrices_[term].data(), stride_, blocks_.data(),
                      rows.data(), scratch.data());
    });
}

}  // namespace densecrf::cpu
