// Fills in a phase of the blur (blur_plan.h): which rows make a piece, and who is whose neighbour there.
#pragma once

#include <algorithm>
#include <cstring>
#include <numeric>

#include "blur_plan.h"
#include "hash_table.h"
#include "kernels.h"
#include "team.h"

namespace densecrf::cpu {

// Rows of a piece on average: their keys, and a table of them, fit the L1 cache.
constexpr size_t kRowsPerPiece = 512;

// Of loops over the rows of a whole term, which may be a thousand million.
constexpr size_t kRowsPerCheck = 64 * kRowsPerPiece;

template <int kWords>
class PhaseBuilder {
  public:
    PhaseBuilder(const KeyLayout& layout, const KeySteps<kWords>& steps, BlurPhase& phase)
        : layout_(layout), steps_(steps), phase_(phase) {
        // Weights that add up to zero, and are zero for the phase's axes: a step along one of them, which adds 1
        // to all other coordinates, does not change the weighted sum. Coordinate `dims` is minus the sum of the
        // rest.
        uint64_t weight[kMaxDims + 1] = {}, random = 0, sum = 0;
        int last = -1;
        for (int i = 0; i <= layout.dims; ++i) {
            if (i >= phase.first_axis && i < phase.first_axis + phase.axes) continue;
            weight[i] = random += 0x9E3779B97F4A7C15ull;
            weight[i] = (weight[i] ^ (weight[i] >> 29)) * 0xBF58476D1CE4E5B9ull;
            sum += weight[i];
            last = i;
        }
        weight[last] -= sum;
        for (int i = 0; i < layout.dims; ++i)
            field_[i] = {layout.word_of(i), layout.shift_of(i), weight[i] - weight[layout.dims]};
    }

    // Rows to pieces by their weighted sums. Groups of rows that happen to have the same sum share a piece.
    void sort(const Key<kWords>* keys, size_t rows, Team& team) {
        int bits = 0;
        while ((kRowsPerPiece << bits) < rows) ++bits;
        const size_t pieces = size_t{1} << bits;
        Array<uint32_t> piece(rows);
        begin_.assign(pieces + 1, 0);
        for (size_t row = 0; row < rows; ++row) {
            if (row % kRowsPerCheck == 0) team.check();
            piece[row] = bits ? static_cast<uint32_t>(fingerprint(keys[row]) >> (64 - bits)) : 0;
            ++begin_[piece[row] + 1];
        }
        std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
        row_ = Array<uint32_t>(rows);
        std::vector<size_t> place(begin_.begin(), begin_.end() - 1);
        for (size_t row = 0; row < rows; ++row) {
            if (row % kRowsPerCheck == 0) team.check();
            row_[place[piece[row]]++] = static_cast<uint32_t>(row);
        }
        phase_.chain = Array<uint32_t>(rows * phase_.axes + kFetchAhead);
        phase_.first.resize(pieces);
        phase_.length.resize(pieces * phase_.axes);
        phase_.shared.resize(pieces);
    }

    // Chains and shared rows of a piece. The lowest row of a vertex is canonical, in every phase the same.
    void link(int64_t piece, const Key<kWords>* keys) {
        const size_t begin = begin_[piece];
        const auto count = static_cast<uint32_t>(begin_[piece + 1] - begin);
        const uint32_t* row = row_.data() + begin;
        std::vector<Key<kWords>> own(count);
        std::vector<uint8_t> repeats(count);
        HashTable<kWords> table(count);
        for (uint32_t i = 0; i < count; ++i) {
            own[i] = keys[row[i]];
            const uint32_t canonical = table.find_or_insert(own[i], own.data(), i);
            if (canonical == i) continue;
            repeats[i] = 1;
            phase_.shared[piece].push_back({row[i], row[canonical]});
        }
        std::vector<uint32_t> next(count);
        uint32_t* chain = phase_.chain.data() + begin * phase_.axes;
        for (int axis = 0; axis < phase_.axes; ++axis) {
            const Key<kWords> up = steps_.up[phase_.first_axis + axis];
            table.find_neighbours(own.data(), count, up, next.data());
            for (uint32_t i = 0; i < count; ++i) next[i] |= -uint32_t{repeats[i]};
            const uint32_t length = write_chains(next, row, chain);
            phase_.length[piece * phase_.axes + axis] = length;
            chain += length;
        }
    }

    // Chains were written where they had room whatever their length; moves them together.
    void close_gaps(Team& team) {
        uint32_t* end = phase_.chain.data();
        for (size_t piece = 0; piece < phase_.first.size(); ++piece) {
            if (piece % (kRowsPerCheck / kRowsPerPiece) == 0) team.check();
            phase_.first[piece] = end - phase_.chain.data();
            size_t length = 0;
            for (int axis = 0; axis < phase_.axes; ++axis) length += phase_.length[piece * phase_.axes + axis];
            std::memmove(end, phase_.chain.data() + begin_[piece] * phase_.axes, length * sizeof(uint32_t));
            end += length;
        }
        std::fill_n(end, kFetchAhead, 0);
        row_ = Array<uint32_t>();
    }

  private:
    uint64_t fingerprint(const Key<kWords>& key) const {
        const uint64_t mask = ~uint64_t{0} >> (64 - layout_.field_bits);
        uint64_t sum = 0;
        for (int i = 0; i < layout_.dims; ++i)
            sum += field_[i].weight * ((key.word[field_[i].word] >> field_[i].shift) & mask);
        return (sum ^ (sum >> 32)) * 0x9E3779B97F4A7C15ull;
    }

    // Every chain of two or more, from its first row on; returns how many entries that makes.
    static uint32_t write_chains(const std::vector<uint32_t>& next, const uint32_t* row, uint32_t* chain) {
        const auto count = static_cast<uint32_t>(next.size());
        std::vector<uint8_t> has_previous(count + 1);  // and a place for those without a next to write to
        for (const uint32_t n : next) has_previous[std::min(n, count)] = 1;
        std::vector<uint32_t> starts(count + 1);
        uint32_t chains = 0, length = 0;
        for (uint32_t i = 0; i < count; ++i) {  // free of branches, as nothing here can be predicted
            starts[chains] = i;
            chains += (has_previous[i] ^ 1) & static_cast<uint32_t>(next[i] != kNoVertex);
        }
        for (uint32_t c = 0; c < chains; ++c) {
            uint32_t i = starts[c];
            for (; next[i] != kNoVertex; i = next[i]) chain[length++] = row[i];
            chain[length++] = row[i] | kLastOfChain;
        }
        return length;
    }

    const KeyLayout& layout_;
    const KeySteps<kWords>& steps_;
    BlurPhase& phase_;
    struct Field {  // of a coordinate in a key: looked up, because finding out takes divisions
        int word, shift;
        uint64_t weight;
    };
    Field field_[kMaxDims];
    std::vector<size_t> begin_;  // [pieces + 1]: where the rows of a piece begin
    Array<uint32_t> row_;        // [rows], piece by piece
};

}  // namespace densecrf::cpu
